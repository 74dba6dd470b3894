"""The comment at the top of an emitted file: the mathematics first, then each symbol."""

from __future__ import annotations

from typing import Any


from catapult_theory.codegen.lowering import Program, code_name
from catapult_theory.symbolic.update_map import UpdateMap

MEANING = {
    "eta": "learning rate (inverse curvature: eta * lam is a pure number)",
    "n": "width of the hidden layer (a number; need not be an integer)",
    "beta": "momentum of the heavy ball",
    "omega": "weight decay, (omega/2) |Phi|^2 in the loss",
    "y": "label",
    "f": "output of the network",
    "lam": "neural tangent kernel (curvature); with several samples its top eigenvalue",
    "X": "inputs, one sample a row",
    "Y": "targets, one sample a row",
    "m": "number of samples",
    "d": "number of inputs",
    "k": "number of outputs",
}
SOURCE = (
    "Exact dynamics of the Gram matrix (docs/theory.md, section 2) of the models of",
    "Lewkowycz, Bahri, Dyer, Sohl-Dickstein, Gur-Ari, arXiv 2003.02218.",
)


def header(update_map: UpdateMap, program: Program, target: str, dtype: str) -> str:
    """Return the docstring of an emitted file.

    Parameters
    ----------
    update_map : UpdateMap
    program : Program
    target : str
        What the file needs, in words.
    dtype : str

    Returns
    -------
    str
        Equations, symbols with units and shapes, exactness and source.
    """
    lines = [
        f"One step of training: {update_map.model}, {update_map.loss} loss, {update_map.optimizer}.",
        "",
        "Equations (a prime marks the value after the step):",
        "",
        *(f"    {line}" for line in str(update_map).splitlines()[:-1]),
        "",
        f"Exactness: {update_map.exactness}.",
        "",
        "Symbols (all are pure numbers in the units of the loss and the inputs):",
        "",
        *_symbol_rows(update_map, program),
        "",
        *SOURCE,
        "",
        f"Generated for {target}, {dtype}; needs nothing else. The order of operations is the",
        "file's own: hoisted quantities are named c and h, shared ones x.",
    ]
    body = "\n".join(line.rstrip() for line in lines)
    return '"""' + body.replace("\\", "\\\\").replace('"""', "'''") + '\n"""\n'


def _symbol_rows(update_map: UpdateMap, program: Program) -> list[str]:
    gram = {s.name: f"{s.name} = {e}" for s, e in update_map.gram.items()}
    rows = []
    for title, inputs in (
        ("state", program.state),
        ("parameter", program.parameters),
        ("data", program.data),
    ):
        for i in inputs:
            shape = f"({', '.join(map(str, i.shape))})" if i.shape else "scalar"
            meaning = "; ".join(x for x in (MEANING.get(i.name), gram.get(i.name)) if x)
            rows.append((i.code, title, shape, meaning))
    rows += [(d, "size", "integer", MEANING.get(d, "size of a matrix")) for d in program.dims]
    widths = [max(len(row[c]) for row in rows) for c in range(3)]
    return [
        "    " + "  ".join([*(row[c].ljust(widths[c]) for c in range(3)), row[3]]) for row in rows
    ]


def observable_comment(update_map: UpdateMap, name: str) -> str:
    """Return the formula of an observable on one line, for the docstring of its function.

    Parameters
    ----------
    update_map : UpdateMap
    name : str

    Returns
    -------
    str
    """
    text = str(update_map.observables[name]).replace("\\", "\\\\")
    return f"{code_name(name)} = {text}"


def positive_names(update_map: UpdateMap) -> dict[str, Any]:
    """Return what each parameter must obey: True for > 0, False for >= 0, None for anything.

    Parameters
    ----------
    update_map : UpdateMap

    Returns
    -------
    dict of str to bool or None
    """
    rules: dict[str, Any] = {}
    for s in update_map.constants:
        rules[s.name] = True if s.is_positive else (False if s.is_nonnegative else None)
    return rules


__all__ = ["header", "observable_comment", "positive_names"]
