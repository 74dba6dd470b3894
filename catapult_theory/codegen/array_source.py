"""Target "array": plain array-API Python, for NumPy and whatever the caller's arrays are."""

from __future__ import annotations

from typing import Any

from catapult_theory.codegen.header import header
from catapult_theory.codegen.programs import Lowered, Program, observable_program
from catapult_theory.codegen.printing import Printer, is_matrix
from catapult_theory.codegen.status import CONVERGED_BELOW, DIVERGED_ABOVE, Status

PRINTER = Printer("xp", "larger", "smaller", "flip({})", "below", "beside")

HELPERS = '''
def larger(a, b):
    return xp_of(a, b).where(a > b, a, b)


def smaller(a, b):
    return xp_of(a, b).where(a < b, a, b)


def xp_of(*arrays):
    """The namespace of the first argument that has one."""
    for a in arrays:
        if hasattr(a, "__array_namespace__"):
            return a.__array_namespace__()
    import numpy

    return numpy


def softplus(z):
    """log(1 + exp(z)) without overflow."""
    xp = xp_of(z)
    return xp.log1p(xp.exp(-abs(z))) + larger(z, 0.0 * z)
'''

MATRIX_HELPERS = """
def flip(a):
    return xp_of(a).matrix_transpose(a)


def total(a):
    return xp_of(a).sum(a, axis=(-2, -1), keepdims=True)


def trace(a):
    xp = xp_of(a)
    return xp.linalg.trace(a)[..., None, None]


def softmax(a):
    xp = xp_of(a)
    e = xp.exp(a - xp.max(a, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def logsumexp(a):
    xp = xp_of(a)
    top = xp.max(a, axis=-1, keepdims=True)
    return xp.log(xp.sum(xp.exp(a - top), axis=-1, keepdims=True)) + top


def part(a):
    return a


def below(rows):
    return xp_of(*rows).concat(rows, axis=-2)


def beside(cols):
    return xp_of(*cols).concat(cols, axis=-1)
"""

LOOPS = '''
def decide(xp, loss, norm, size, top, margin):
    """Codes of lanes: {DIVERGED} diverged, {CONVERGED} converged, 0 undecided."""
    lost = (size > {LIMIT}) | ~xp.isfinite(loss)
    rest = (norm <= {SMALL} * top) & (margin > 0.0)
    return xp.where(lost, {DIVERGED}, xp.where(rest, {CONVERGED}, 0))


def orbit(steps, state, given):
    """Yield the state, the lanes' codes and the loss at every step, decided lanes frozen."""
    xp = xp_of(*state)
    loss, norm, size = watch(*state, *given)
    sound = xp.isnan(loss)
    for value in (*state, *given):
        sound = sound | lanes_with_nan(value, loss)
    top = norm
    code = xp.where(sound, {INVALID}, decide(xp, loss, norm, size, top, margin(*state, *given)))
    yield state, code, loss
    for _ in range(steps):
        new = step(*state, *given)
        open_ = code == 0
        state = tuple(xp.where({SPREAD}, a, b) for a, b in zip(new, state))
        loss, norm, size = watch(*state, *given)
        top = larger(norm, top)
        now = decide(xp, loss, norm, size, top, margin(*state, *given))
        code = xp.where(open_, now, code)
        yield state, code, loss
'''


def emit_array(update_map: Any, lowered: Lowered, dtype: str) -> str:
    """Return the source of a module with ``step``, ``watch``, ``margin`` and ``orbit``.

    Parameters
    ----------
    update_map : UpdateMap
    lowered : Lowered
    dtype : str
        "float64" or "float32"; sets the bound of divergence.

    Returns
    -------
    str
    """
    matrix = update_map.is_matrix
    parts = [header(update_map, "array"), HELPERS]
    if matrix:
        parts.append(MATRIX_HELPERS)
    whole = Program("step", (*lowered.hoisted, *lowered.step.assignments), lowered.step.results)
    parts.append(function_text(update_map, whole, PRINTER, "One step."))
    parts.append(
        function_text(update_map, lowered.watch, PRINTER, "Loss, |grad L|^2, size for divergence.")
    )
    if lowered.margin is None:
        first = update_map.variables[0].name
        names = ", ".join(argument_names(update_map))
        flat = f"total({first})" if matrix else first
        parts.append(f"\n\ndef margin({names}):\n    return 0.0 * {flat} + 1.0\n")
    else:
        parts.append(
            function_text(update_map, lowered.margin, PRINTER, "Positive at a stable minimum.")
        )
    for name in update_map.observables:
        doc = f"The observable {name}."
        parts.append(function_text(update_map, observable_program(update_map, name), PRINTER, doc))
    spread = "open_" if matrix else "open_"
    parts.append(
        "\n\ndef lanes_with_nan(value, loss):\n"
        + (
            "    xp = xp_of(value, loss)\n"
            "    bad = xp.isnan(value)\n"
            "    return xp.any(bad, axis=(-2, -1), keepdims=True) if value.ndim > 1 else bad\n"
            if matrix
            else "    return xp_of(value, loss).isnan(value)\n"
        )
    )
    loops = LOOPS.replace("{SPREAD}", spread)
    for key, value in _literals(dtype).items():
        loops = loops.replace(key, value)
    parts.append("\n" + loops)
    return "".join(parts)


def _literals(dtype: str) -> dict[str, str]:
    return {
        "{DIVERGED}": str(int(Status.DIVERGED)),
        "{CONVERGED}": str(int(Status.CONVERGED)),
        "{INVALID}": str(int(Status.INVALID)),
        "{LIMIT}": repr(DIVERGED_ABOVE[dtype]),
        "{SMALL}": repr(CONVERGED_BELOW),
    }


def argument_names(update_map: Any) -> list[str]:
    """Return the arguments of generated functions: state, parameters, data."""
    return [s.name for s in (*update_map.variables, *update_map.constants, *update_map.data)]


def function_text(
    update_map: Any, program: Program, printer: Printer, doc: str, decorator: str = ""
) -> str:
    """Return a program as a Python function of state, parameters and data.

    Parameters
    ----------
    update_map : UpdateMap
    program : Program
    printer : Printer
    doc : str
    decorator : str
        A line put before the function.

    Returns
    -------
    str
    """
    names = argument_names(update_map)
    extra = ["R"] if program.name == "kernel_action" else []
    lines = [f"def {program.name}({', '.join([*names, *extra])}):", f'    """{doc}"""']
    used = printer.namespace == "xp"
    if used:
        lines.append(f"    xp = xp_of({', '.join(names)})")
    if update_map.is_matrix:
        lines += _size_lines(update_map)
    for s, e in program.assignments:
        lines.append(f"    {s.name} = {_text(printer, e)}")
    texts = [_text(printer, e) for e in program.results]
    lines.append(f"    return {', '.join(texts)}")
    body = "\n".join(lines)
    if (
        used
        and " xp." not in body.replace("xp = xp_of", "")
        and "xp." not in body.split("\n", 3)[-1]
    ):
        body = "\n".join(line for line in lines if "xp = xp_of" not in line)
    return "\n\n" + (decorator + "\n" if decorator else "") + body + "\n"


def _text(printer: Printer, e: Any) -> str:
    text = printer.matrix(e) if is_matrix(e) else printer.scalar(e)
    return text[1:-1] if text.startswith("(") and _wraps(text) else text


def _wraps(text: str) -> bool:
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0 and i < len(text) - 1:
            return False
    return True


def _size_lines(update_map: Any) -> list[str]:
    X, Y = update_map.data
    lines = []
    for owner, axes in ((X, (-2, -1)), (Y, (-2, -1))):
        for axis, size in zip(axes, owner.shape, strict=True):
            if size.is_Symbol:
                lines.append(f"    {size.name} = {owner.name}.shape[{axis}]")
    return list(dict.fromkeys({line.split(" = ")[0]: line for line in lines}.values()))
