"""The comment at the head of every generated file: equations, symbols, shapes, source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from catapult_theory.codegen.labels import describe
from catapult_theory.codegen.lowering import code_name
from catapult_theory.symbolic.update_map import name, show

NEEDS = {
    "numba": "NumPy and Numba",
    "array": "an array-API library such as NumPy",
    "llvm": "LLVM",
    "c": "a C99 compiler and its math.h",
    "jax": "JAX",
}
# Numba takes the products of matrices from the BLAS that SciPy brings.
MATRIX_NEEDS = {**NEEDS, "numba": "NumPy, SciPy and Numba"}
# The batches themselves are data, which no file can hold.
BATCHES = (
    "This file draws no mini-batches: give each step its batch as X and Y. What runs many steps",
    "trains on all of the X and Y that it is given, at every step.",
)
SIZES = {"m": "number of samples", "d": "number of inputs", "k": "number of outputs"}


def docstring(text: str) -> str:
    """Return a text as the docstring of a Python module."""
    escaped = text.replace("\\", "\\\\").replace('"""', r"\"\"\"")
    return f'"""{escaped}\n"""\n'


def header(
    update_map: Any,
    backend: str,
    comment: Callable[[str], str] = docstring,
    spelled: Callable[[str], str] = code_name,
) -> str:
    """Return the comment at the head of a generated file.

    Parameters
    ----------
    update_map : UpdateMap
    backend : str
    comment : callable
        From the text to a comment of the target's language.
    spelled : callable
        From the name of a symbol to its spelling in the file.

    Returns
    -------
    str

    Examples
    --------
    >>> from catapult_theory.symbolic.closure import derive
    >>> from catapult_theory.symbolic import models
    >>> "lam' = " in header(derive(models.uv()), "array")
    True
    """
    needs = MATRIX_NEEDS if update_map.is_matrix else NEEDS
    lines = [
        f"Exact training dynamics of the model {update_map.model!r}: {update_map.loss} loss, "
        f"{update_map.optimizer}.",
        "",
        f"One step ({update_map.exactness}; a prime marks the value after the step):",
        "",
        *(f"    {line}" for line in _equations(update_map)),
        "",
        "Symbols, all of them pure numbers:",
        "",
        *(f"    {line}" for line in _symbol_lines(update_map, spelled)),
        "",
        'Source: Lewkowycz et al., "The large learning rate phase of deep learning: the catapult',
        'mechanism" (arXiv 2003.02218); derived by catapult_theory. This file needs only',
        f"{needs[backend]}.",
        "Quantities named h depend on the data alone, c on parameters alone; x are intermediate.",
        *(BATCHES if update_map.batches is not None else ()),
    ]
    return comment("\n".join(lines))


def _equations(update_map: Any) -> list[str]:
    """Return the equations in the form in which they are computed."""
    given = [f"{name(s)} = {show(e)}" for s, e in update_map.definitions.items()]
    return given + [f"{name(s)}' = {show(e)}" for s, e in update_map.updates.items()]


def _symbol_lines(update_map: Any, spelled: Callable[[str], str]) -> list[str]:
    """Return name, shape, meaning and definition of every symbol, in columns."""
    rows = []
    for s in (*update_map.variables, *update_map.constants, *update_map.data):
        shape = ", ".join(map(str, s.shape)) if hasattr(s, "shape") else ""
        spelling = spelled(s.name)
        meaning = describe(s.name).get("long_name", s.name)
        parts = [meaning if meaning != s.name else "", _definition(update_map, s)]
        rows.append(
            (spelling, f"({shape})" if shape else "scalar", "; ".join(p for p in parts if p))
        )
    sizes = {str(x) for s in (*update_map.variables, *update_map.data) for x in _symbols_of(s)}
    rows += [(x, "integer", SIZES.get(x, "size of a matrix")) for x in sorted(sizes)]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    return [f"{a.ljust(widths[0])}  {b.ljust(widths[1])}  {c}".rstrip() for a, b, c in rows]


def _definition(update_map: Any, s: Any) -> str:
    value = update_map.gram.get(s)
    if value is not None:
        return f"{s.name} = {value}"
    return {"X": "inputs, a sample a row", "Y": "targets, a sample a row"}.get(s.name, "")


def _symbols_of(s: Any) -> set[Any]:
    return set().union(*(size.free_symbols for size in getattr(s, "shape", ())))
