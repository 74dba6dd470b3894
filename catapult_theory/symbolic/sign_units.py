"""Piecewise linear units on one sample: exact while no unit changes sign, and until when.

With the signs of its inputs kept, a (leaky) ReLU unit is linear, and the units of each sign are
a frame: every row (u_i, v_i) of it is multiplied by the same step matrices, so that after t steps
it is (u_i, v_i) Pi. Divided by u_i at the start, its first entry is Pi_uu + r_i Pi_vu, r_i the
ratio v_i / u_i: linear in r_i, so that the first unit to flip has the smallest or the largest
ratio of its frame. These two rows, carried along, tell the step of the first flip exactly.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import sympy as sp

from catapult_theory.errors import InputError, NotClosed, unknown_name
from catapult_theory.symbolic import losses, optimizers
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.gram import GramMatrix
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.symbols import f, g, n, vectors, y
from catapult_theory.symbolic.update_map import Step, UpdateMap, prime

KEPT = sp.Symbol("signs_kept", nonnegative=True)
STEPS = sp.Symbol("steps_kept", nonnegative=True)

Array = Any


def relu_one_sample(slope: Any = 0, label: Any = False) -> Model:
    """Return f = (1/sqrt(n)) sum_i v_i phi(u_i), phi(u) = u for u > 0 and slope * u below.

    One sample with x = 1. The units with u > 0 are the frame (u1, v1), those with u < 0 the
    frame (u2, v2); where the slope is 0 these are at rest and left out. The dynamics is that of
    the network while no unit changes sign: `watch_signs` follows until when.

    Parameters
    ----------
    slope : number or symbol
        0 for ReLU.
    label : number, symbol or bool

    Returns
    -------
    Model

    Examples
    --------
    >>> print(relu_one_sample(slope=sp.Rational(1, 10)))
    relu_one_sample: f = (<u1,v1> + <u2,v2>/10)/sqrt(n)
    """
    u1, v1, u2, v2 = vectors("u1 v1 u2 v2")
    alpha = slope if isinstance(slope, sp.Expr) else sp.nsimplify(slope, rational=True)
    if alpha == 0:
        return Model(
            output=u1 @ v1 / sp.sqrt(n), vectors=(u1, v1), label=label, name="relu_one_sample",
            frames={"u1 v1": sp.Rational(1, 2)},
        )  # fmt: skip
    return Model(
        output=(u1 @ v1 + alpha * (u2 @ v2)) / sp.sqrt(n),
        vectors=(u1, v1, u2, v2),
        label=label,
        name="relu_one_sample",
        frames={"u1 v1": sp.Rational(1, 2), "u2 v2": sp.Rational(1, 2)},
    )


def watch_signs(model: Model, loss: Any = "squared", optimizer: Any = "gd") -> UpdateMap:
    """Derive a model together with the signs of the first vector of each of its frames.

    The state gains, for each frame (u, v), the rows of the smallest and the largest ratio
    v_i / u_i (low_u, low_v, high_u, high_v: entries over u_i at the start), ``signs_kept``
    (1 until the first unit changes sign, then 0), and ``steps_kept``, the steps until then. The
    map is that of the network as long as ``signs_kept`` is 1.

    Parameters
    ----------
    model : Model
        Scalar, with frames of two vectors each that the output joins by inner products.
    loss : str, Loss or sympy.Expr
    optimizer : str or Optimizer
        Without momentum.

    Returns
    -------
    UpdateMap

    Raises
    ------
    NotClosed
        If a frame has other than two vectors: then two rows do not bound the others.
    InputError
        For an optimizer with momentum, or an output that is not bilinear.

    Examples
    --------
    >>> watch_signs(relu_one_sample()).state._fields[-2:]
    ('signs_kept', 'steps_kept')
    """
    base = derive(model, loss, optimizer)
    rule = optimizers.get(optimizer)
    if not isinstance(rule, optimizers.Optimizer) or rule.copies != 1:
        raise InputError("watch_signs follows gradient descent, with or without weight decay")
    if any(len(names) != 2 for names in model.parts.groups) or model.fixed:
        raise NotClosed(
            "min_i v_i/u_i",
            "only in a frame of two trained vectors do two rows bound all the others",
        )
    step = _step_matrix(model, rule)
    output = f if f in base.updates else base.observables["f"]
    slope = losses.get(loss).derivative().subs({f: output, y: model.label}, simultaneous=True)
    step = step.subs(g, slope)
    names = list(model.names)
    rows: dict[Any, Any] = {}
    watched = []
    for u, v in model.parts.groups:
        i, j = names.index(u), names.index(v)
        for end in ("low", "high"):
            x, z = (sp.Symbol(f"{end}_{name}", real=True) for name in (u, v))
            rows[x] = step[i, i] * x + step[j, i] * z
            rows[z] = step[i, j] * x + step[j, j] * z
            watched.append(rows[x])
    same = sp.And(*(image > 0 for image in watched))
    still = sp.Piecewise((KEPT, same), (sp.S.Zero, True))
    rows |= {KEPT: still, STEPS: STEPS + still}
    text = (
        "Rows of the frames over their first entry at the start, for the smallest and the largest "
        "ratio; no unit has changed sign while their first entries are positive:"
    )
    return replace(
        base,
        model=f"{base.model}, signs watched",
        variables=(*base.variables, *rows),
        updates={**base.updates, **rows},
        gram={**base.gram, **{s: s for s in rows}},
        steps=(*base.steps, Step(text, tuple((prime(s), e) for s, e in rows.items()))),
    )


def _step_matrix(model: Model, rule: Any) -> sp.Matrix:
    """Return M with Phi' = Phi M and the output gradient g opaque."""
    groups = () if model.parts.is_single else tuple(map(model.parts.group, model.names))
    gram = GramMatrix(model.names, groups)
    D = gram.symmetric_gradient(gram.of(model.output))
    if D.free_symbols & set(gram.entries):
        raise InputError(f"the output {model.output} is not bilinear in its vectors")
    return sp.Matrix(rule.step_matrix(sp.Matrix(2 * g / n * D)))


def unit_start(update_map: UpdateMap, u: Array, v: Array) -> dict[str, Any]:
    """Return the start of a watched map from the raw weights of the units.

    Parameters
    ----------
    update_map : UpdateMap
        From `watch_signs` of `relu_one_sample`.
    u, v : array, shape (n,)
        Input and output weights.

    Returns
    -------
    dict of str to float

    Raises
    ------
    InputError
        If the arrays do not fit, an entry of u is zero, or no unit has the sign of a frame.

    Examples
    --------
    >>> start = unit_start(watch_signs(relu_one_sample()), [1.0, 2.0, -1.0], [1.0, -1.0, 3.0])
    >>> start["low_v1"], start["high_v1"], start["signs_kept"]
    (-0.5, 1.0, 1.0)
    """
    if KEPT not in update_map.updates:
        raise unknown_name("state", KEPT.name, [s.name for s in update_map.variables])
    first, second = (np.asarray(a, dtype=float) for a in (u, v))
    if first.ndim != 1 or first.shape != second.shape or not np.all(first != 0):
        raise InputError("u and v are vectors of one length, and no entry of u is zero")
    names = update_map.frame.names
    gram = np.zeros((len(names), len(names)))
    start: dict[str, Any] = {}
    for k in range(0, len(names), 2):
        inside = first > 0 if k == 0 else first < 0
        if not inside.any():
            raise InputError(f"no unit belongs to the frame of {names[k]}: draw other weights")
        frame = np.stack([first[inside], second[inside]])
        gram[k : k + 2, k : k + 2] = frame @ frame.T / len(first)
        ratios = frame[1] / frame[0]
        for end, ratio in (("low", ratios.min()), ("high", ratios.max())):
            start |= {f"{end}_{names[k]}": 1.0, f"{end}_{names[k + 1]}": float(ratio)}
    invariants = [s for s in update_map.variables if update_map.gram[s] != s]
    plain = replace(update_map, variables=tuple(invariants))
    state = plain.state_from_gram(gram, len(first))
    return {**{k: float(a) for k, a in state.items()}, **start,
            KEPT.name: 1.0, STEPS.name: 0.0}  # fmt: skip


def first_flip(result: Any) -> Array:
    """Return the step at which the first unit changed sign, -1 where none has.

    Parameters
    ----------
    result : xarray.Dataset
        Of `ct.run` or `ct.trajectory` on a watched map.

    Returns
    -------
    array of int
        Over the lanes; of a trajectory at its last step.

    Examples
    --------
    >>> first_flip({"signs_kept": np.array([1.0, 0.0]), "steps_kept": np.array([9.0, 3.0])})
    array([-1,  4])
    """
    kept, steps = (result[name] for name in (KEPT.name, STEPS.name))
    if "step" in getattr(kept, "dims", ()):
        kept, steps = kept.isel(step=-1), steps.isel(step=-1)
    return np.where(np.asarray(kept) > 0, -1, np.asarray(steps).astype(int) + 1)
