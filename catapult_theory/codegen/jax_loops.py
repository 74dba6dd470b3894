"""Model-independent parts of the JAX target: helpers with derivatives, and the time loop.

The loop is the same text for every model; it knows the state as a tuple only.
"""

from __future__ import annotations

from catapult_theory.codegen import array_loops
from catapult_theory.codegen.array_loops import VERDICTS, filled, small_lines, verdict_fields
from catapult_theory.codegen.lowering import Program

SWITCH = 'jax.config.update("jax_enable_x64", True)'

_IMPORTS = """import math
from functools import partial

import jax
from jax import lax
from jax import numpy as xp

DTYPE = "{DTYPE}"
# Lanes in a block and steps unrolled, measured on a CPU of two cores with other work on it, in
# nanoseconds a step of a lane of the model uv. 10^6 lanes (not 256 lanes, not 16 steps): all at
# once 22, unrolled 4 times 17; blocks of 1024 13, unrolled 9.8; of 4096 10 and 10. 10^5 lanes: all
# at once 5.0, unrolled 3.5, on both cores; blocks of 256 7.0 and 5.7, of 1024 5.8 and 5.1, of
# 4096 5.7 and 5.7, on one. Unrolled 8 or 16 times: no faster, up to five times as long to
# compile. Loops of matrices, slow to compile, are not unrolled; that was not measured.
BLOCK, UNROLL = 1024, {UNROLL}"""

# These functions have a slope at 0, whatever that of the absolute value is taken to be there.
_SOFTPLUS = f"""@jax.custom_jvp
{array_loops.SOFTPLUS}


softplus.defjvps(lambda tangent, value, x: tangent * sigmoid(x))"""

_SIGMOID = f"""@jax.custom_jvp
{array_loops.SIGMOID}


sigmoid.defjvps(lambda tangent, value, x: tangent * value * sigmoid(-x))"""

HELPERS = {"softplus": _SOFTPLUS, "sigmoid": _SIGMOID}

_LOOPS = '''@jax.custom_jvp
def guarded(active, state, parameters, data, hoisted):
    """`evaluate` with a derivative of zero where a lane is decided or a value is not finite.

    Such values are not used; but zero times an infinite slope would make a gradient NaN.
    """
    return evaluate(state, parameters, data, hoisted)


@guarded.defjvp
def guarded_slope(primals, tangents):
    """Differentiate at a harmless state, all ones, where the derivative is not used."""
    active, state, *fixed = primals
    judged, new = evaluate(state, *fixed)

    def slopes(taken, part):
        safe = tuple(xp.where(columns(taken), x, 1.0) for x in state)
        _, found = jax.jvp(evaluate, (safe, *fixed), tangents[1:])
        return found[part]

    sound = active
    for value in judged:
        sound = sound & xp.isfinite(value)
    kept = tuple(xp.where(sound, x, 0.0) for x in slopes(sound, 0))
    sound = active & finite(new)
    taken = tuple(xp.where(columns(sound), x, 0.0) for x in slopes(sound, 1))
    return (judged, new), (kept, taken)


def finite(state):
    """Whether all of a lane's state is finite."""
    sound = True
    for value in state:
        sound = sound & per_lane(xp.isfinite, value)
    return sound


def begun(state, parameters):
    """Return what a loop starts from, and parameters that are harmless in invalid lanes.

    The carry is (t, state, largest squared gradient, end): the end of a lane is 0 while it is
    undecided, t + 1 if it converged at step t, -(t + 1) if it diverged there.
    """
    valid = xp.asarray(True)
    for value in state:
        valid = valid & per_lane(lambda x: ~xp.isnan(x), value)
    for value in parameters:
        valid = valid & ~xp.isnan(value)
    parameters = tuple(xp.where(valid, p, 1.0) for p in parameters)
    largest, end = xp.zeros(valid.shape, dtype=DTYPE), (~valid).astype(int)
    return (0, state, largest, end), parameters, valid


def advance(carry, parameters, data, hoisted, steps):
    """Judge the state and take a step; return the loss and which lanes were undecided.

    A decided lane keeps its state, and so does every lane at the last step.
    """
    t, state, largest, end = carry
    given = tuple(columns(p) for p in parameters)
    active = end == 0
    {JUDGED}, new = guarded(active, state, given, data, hoisted)
    diverged = active & {DIVERGED}
{CONVERGED}
    end = xp.where(diverged, -(t + 1), xp.where(converged, t + 1, end))
    going, sound = (end == 0) & (t < steps), finite(new)
    end = xp.where(going & ~sound, -(t + 2), end)
    taken = columns(going & sound)
    state = tuple(xp.where(taken, a, b) for a, b in zip(new, state, strict=True))
    return (t + 1, state, largest, end), (now, active)


def settled(state, parameters, data, steps, unroll):
    """Return the final state and the verdicts of lanes that share a shape."""
    start, parameters, valid = begun(state, parameters)
    given = tuple(columns(p) for p in parameters)
    hoisted = constants(*given, *data)

    def turn(carry, _):
        (t, *_), peak_loss, peak_step = carry
        after, (now, active) = advance(carry[0], parameters, data, hoisted, steps)
        higher = active & ((now > peak_loss) | (t == 0))
        peak_loss = xp.where(higher, now, peak_loss)
        return (after, peak_loss, xp.where(higher, t, peak_step)), None

    _, _, zero, end = start
    carry = (start, zero + xp.nan, xp.zeros_like(end))
    carry, _ = lax.scan(turn, carry, None, length=steps + 1, unroll=unroll)
    (_, state, _, end), peak_loss, peak_step = carry
    (loss, *_), _ = guarded(valid, state, given, data, hoisted)
    loss = xp.where(valid, loss, xp.nan)
    status = xp.where(end > 0, CONVERGED, xp.where(end < 0, DIVERGED, UNDECIDED))
    status = xp.where(valid, status, INVALID).astype(int)
    status_step = xp.where(end == 0, steps, xp.abs(end) - 1)
    return state, (loss, peak_loss, peak_step, status, status_step)


def prepared(state, parameters, data):
    """Return all arguments in the type of this file, and the shape of the lanes."""
    if jax.dtypes.canonicalize_dtype(DTYPE) != DTYPE:
        raise TypeError(
            "JAX is kept to float32: at the start of your program, add "
            '{SWITCH}'
        )
    state, data = (tuple(xp.asarray(x, dtype=DTYPE) for x in part) for part in (state, data))
    state, parameters, shape = lanes_of(state, parameters)
    return state, parameters, data, shape


@partial(jax.jit, static_argnames=("steps", "block", "unroll"))
def run(state, parameters, data, steps, block=None, unroll=UNROLL):
    """Return the final state and (loss, peak_loss, peak_step, status, status_step).

    Parameters: state and parameters are tuples of arrays that broadcast over lanes, in the
    order above; data is {DATA}. On a CPU lanes are worked on in blocks, one after the
    other; block=0 for all of them at once, as elsewhere.
    """
    if block is None:
        block = BLOCK if jax.default_backend() == "cpu" else 0
    state, parameters, data, shape = prepared(state, parameters, data)
    count, depth = math.prod(shape), len(shape)
    if not 0 < block < count:
        return settled(state, parameters, data, steps, unroll)
    blocks = -(-count // block)

    def split(x):
        flat = x.reshape((count, *x.shape[depth:]))
        fill = [(0, blocks * block - count)] + [(0, 0)] * (flat.ndim - 1)
        return xp.pad(flat, fill, mode="edge").reshape((blocks, block, *flat.shape[1:]))

    def whole(x):
        flat = x.reshape((blocks * block, *x.shape[2:]))[:count]
        return flat.reshape(shape + flat.shape[1:])

    def one(lanes):
        return settled(*lanes, data, steps, unroll)

    return jax.tree.map(whole, lax.map(one, jax.tree.map(split, (state, parameters))))


@partial(jax.jit, static_argnames=("steps", "every", "unroll"))
def trajectory(state, parameters, data, steps, every=1, unroll=UNROLL):
    """Return the states at steps 0, every, 2 every, ..., steps first; arguments as for `run`."""
    state, parameters, data, _ = prepared(state, parameters, data)
    start, parameters, _ = begun(state, parameters)
    hoisted = constants(*(columns(p) for p in parameters), *data)

    def turn(carry, _):
        return advance(carry, parameters, data, hoisted, steps)[0], None

    def stretch(carry, _):
        carry, _ = lax.scan(turn, carry, None, length=every, unroll=min(unroll, every))
        return carry, carry[1]

    together = max(1, unroll // every)
    _, kept = lax.scan(stretch, start, None, length=steps // every, unroll=together)
    return tuple(xp.concat([a[None], b]) for a, b in zip(state, kept, strict=True))'''


_MARGIN = """    converged = lax.cond(
        xp.any(converged),
        lambda: converged & (stability_margin(state, parameters, data) > 0.0),
        lambda: converged,
    )"""


def imports(program: Program, dtype: str) -> str:
    """Return the imports and the constants that the loops are tuned by."""
    return filled(_IMPORTS, {"DTYPE": dtype, "UNROLL": "1" if program.is_matrix else "4"})


def loops(program: Program, dtype: str, margin: bool) -> str:
    """Return the bounds of the verdicts and the functions that run over time.

    Parameters
    ----------
    program : Program
    dtype : str
    margin : bool
        Whether the module has a function ``stability_margin``.

    Returns
    -------
    str
    """
    small = small_lines(program)
    lines = ["converged = active & ~active"]
    if small:
        lines = ["grad_norm2 = lax.stop_gradient(grad_norm2)", *small]
        lines.append("converged = active & ~diverged & small")
    lines = ["    " + line for line in lines] + ([_MARGIN] if small and margin else [])
    fields = {
        "CONVERGED": "\n".join(lines),
        "SWITCH": SWITCH,
        "DATA": "(X, Y)" if program.is_matrix else "the empty tuple",
        **verdict_fields(program, dtype),
    }
    return filled(f"{VERDICTS}\n\n\n{_LOOPS}", fields)
