"""Model-independent parts of the array target: helpers, and the loop over time steps.

The loop is the same text for every model; it knows the state as a tuple only.
"""

from __future__ import annotations

from collections.abc import Mapping

from catapult_theory.codegen.bodies import packed
from catapult_theory.codegen.lowering import Program, judged_names
from catapult_theory.codegen.status import LIMITS

NAMESPACE = '''def namespace(*values):
    """Return the array namespace of the first argument that has one, else NumPy."""
    for value in values:
        if hasattr(value, "__array_namespace__"):
            return value.__array_namespace__()
    import numpy

    return numpy'''

COLUMNS = '''def columns(value):
    """Let a number for each lane broadcast against a matrix for each lane."""
    return value[..., None, None] if getattr(value, "ndim", 0) else value


def scalars(value):
    """Undo `columns`."""
    return value[..., 0, 0]


def per_lane(test, value):
    """Whether something holds for every entry of a lane's matrix."""
    xp = namespace(value)
    return xp.all(test(value), axis=(-2, -1))'''

NO_COLUMNS = '''def columns(value):
    """Scalar states broadcast against parameters as they are."""
    return value


scalars = columns


def per_lane(test, value):
    """Whether something holds for a lane."""
    return test(value)'''

SOFTPLUS = '''def softplus(x):
    """log(1 + exp(x)) without overflow."""
    xp = namespace(x)
    return xp.log1p(xp.exp(-xp.abs(x))) + 0.5 * (x + xp.abs(x))'''

SIGMOID = '''def sigmoid(x):
    """1 / (1 + exp(-x)) without overflow."""
    xp = namespace(x)
    small = xp.exp(-xp.abs(x))
    return xp.where(x >= 0.0, xp.ones_like(small), small) / (1.0 + small)'''

TOTAL = '''def total(matrix):
    """The sum of all entries of each lane's matrix, with both axes kept."""
    xp = namespace(matrix)
    return xp.sum(matrix, axis=(-2, -1), keepdims=True)'''

SOFTMAX = '''def softmax(rows):
    """The softmax of each row."""
    xp = namespace(rows)
    weights = xp.exp(rows - xp.max(rows, axis=-1, keepdims=True))
    return weights / xp.sum(weights, axis=-1, keepdims=True)'''

LOGSUMEXP = '''def logsumexp(rows):
    """The logarithm of the sum of exponentials of each row, as a column."""
    xp = namespace(rows)
    top = xp.max(rows, axis=-1, keepdims=True)
    return xp.log(xp.sum(xp.exp(rows - top), axis=-1, keepdims=True)) + top'''

VERDICTS = '''UNDECIDED, CONVERGED, DIVERGED, INVALID = 0, 1, 2, 3
BOUND = {BOUND}
TOLERANCE = {TOLERANCE}
ROUNDING = {ROUNDING}


def lanes_of(state, parameters):
    """Return state and parameters over common lanes, and the shape of the lanes."""
    xp = namespace(*state, *parameters)
    parameters = [xp.asarray(p, dtype=state[0].dtype) for p in parameters]
    views = xp.broadcast_arrays(*(scalars(x) for x in state), *parameters)
    shape = views[0].shape
    state = tuple(xp.broadcast_to(x, shape + x.shape[{INNER}:]) for x in state)
    return state, tuple(views[len(state) :]), shape'''

_LOOPS = '''def orbit(state, parameters, data, steps, drive=None):
    """Yield the step, the state and the verdicts so far; a decided lane keeps its state.

    The verdicts are loss, peak_loss, peak_step, status and status_step, arrays over lanes.
    ``drive``, if given, is called with the step and returns its parameters and the data that
    it sees, None for all of them; what is judged is always all of the data.
    """
    state, given, shape = lanes_of(state, parameters)
    parameters = tuple(columns(p) for p in given)
    xp = namespace(*state)
    hoisted = constants(*parameters, *data)
    zero = xp.zeros(shape, dtype=xp.int64)
    valid = zero == 0
    for value in state:
        valid = valid & per_lane(lambda x: ~xp.isnan(x), value)
    for value in given:
        valid = valid & ~xp.isnan(value)
    nothing = xp.zeros(shape, dtype=state[0].dtype) + xp.nan
    loss = peak_loss = nothing
    largest = xp.zeros(shape, dtype=state[0].dtype)
    peak_step, status = zero, xp.where(valid, zero, zero + INVALID)
    status_step = xp.where(valid, zero + steps, zero)
    for t in range(steps + 1):
        active = status == UNDECIDED
        batch = None
        if drive is not None:
            given, batch = drive(t)
            parameters = tuple(columns(p) for p in given)
            hoisted = constants(*parameters, *data)
        {JUDGED}, new = evaluate(state, parameters, data, hoisted)
        if batch is not None:
            new = evaluate(state, parameters, batch, constants(*parameters, *batch))[-1]
        loss = xp.where(active, now, loss)
        higher = active & ((now > peak_loss) | xp.isnan(peak_loss))
        peak_loss = xp.where(higher, now, peak_loss)
        peak_step = xp.where(higher, zero + t, peak_step)
        diverged = active & {DIVERGED}
{CONVERGED}
        status = xp.where(diverged, zero + DIVERGED, status)
        status = xp.where(converged, zero + CONVERGED, status)
        status_step = xp.where(diverged | converged, zero + t, status_step)
        yield t, state, (loss, peak_loss, peak_step, status, status_step)
        active = status == UNDECIDED
        if t == steps or not xp.any(active):
            return
        finite = valid
        for value in new:
            finite = finite & per_lane(xp.isfinite, value)
        overflowed = active & ~finite
        status = xp.where(overflowed, zero + DIVERGED, status)
        status_step = xp.where(overflowed, zero + t + 1, status_step)
        taken = columns(active & finite)
        state = tuple(xp.where(taken, a, b) for a, b in zip(new, state, strict=True))


def run(state, parameters, data, steps, drive=None):
    """Return the final state and the verdicts.

    Parameters: state and parameters are tuples of arrays that broadcast over lanes, in the
    order above; data is {DATA}; drive is as for orbit.
    """
    for _, state, verdicts in orbit(state, parameters, data, steps, drive):
        pass
    return state, verdicts


def trajectory(state, parameters, data, steps, every=1, drive=None):
    """Return the states at steps 0, every, 2 every, ..., steps first."""
    kept = []
    for t, last, _ in orbit(state, parameters, data, steps, drive):
        if t % every == 0:
            kept.append(last)
    kept += [last] * (steps // every + 1 - len(kept))
    return tuple(namespace(*last).stack(rows) for rows in zip(*kept, strict=True))'''

_CONVERGED = "converged = active & ~diverged & small"
_STABLE = """        if xp.any(converged):
            converged = converged & (stability_margin(state, given, data) > 0.0)"""
_NEVER = "converged = active & ~active"


def loops(program: Program, dtype: str, margin: bool) -> str:
    """Return the loop over time steps with this program's verdicts filled in.

    Parameters
    ----------
    program : Program
        Its outputs say what there is to judge by.
    dtype : str
    margin : bool
        Whether the module has a function ``stability_margin``.

    Returns
    -------
    str
    """
    small = small_lines(program)
    lines = ["        " + line for line in ([*small, _CONVERGED] if small else [_NEVER])]
    lines += [_STABLE] if small and margin else []
    fields = {
        "CONVERGED": "\n".join(lines),
        "DATA": "(X, Y)" if program.is_matrix else "the empty tuple",
        **verdict_fields(program, dtype),
    }
    return filled(f"{VERDICTS}\n\n\n{_LOOPS}", fields)


def small_lines(program: Program) -> list[str]:
    """Return the lines that say whether the gradient is small; none where it is not judged by.

    Parameters
    ----------
    program : Program

    Returns
    -------
    list of str
    """
    judged = judged_names(program)
    if "grad_norm2" not in judged:
        return []
    lines = [
        "largest = xp.where(active & (grad_norm2 > largest), grad_norm2, largest)",
        "small = grad_norm2 <= TOLERANCE * largest",
    ]
    if "rounding" in judged:
        lines.append("small = small | (grad_norm2 <= ROUNDING * rounding)")
    return lines


def filled(template: str, fields: Mapping[str, str]) -> str:
    """Return a template with its fields replaced.

    Parameters
    ----------
    template : str
    fields : mapping of str to str

    Returns
    -------
    str

    Examples
    --------
    >>> filled("BOUND = {BOUND}", {"BOUND": "1e100"})
    'BOUND = 1e100'
    """
    for key, value in fields.items():
        template = template.replace("{" + key + "}", value)
    return template


def verdict_fields(program: Program, dtype: str) -> dict[str, str]:
    """Return what `VERDICTS` and the loops of array libraries leave open.

    Parameters
    ----------
    program : Program
    dtype : str

    Returns
    -------
    dict of str to str
    """
    judged, limits = judged_names(program), LIMITS[dtype]
    return {
        "BOUND": repr(limits.bound),
        "TOLERANCE": repr(limits.tolerance),
        "ROUNDING": repr(limits.rounding),
        "INNER": "-2" if program.is_matrix else "len(x.shape)",
        "DIVERGED": "(size > BOUND)" if "size" in judged else "(now > BOUND)",
        "JUDGED": packed(["now" if name == "loss" else name for name in judged]),
    }
