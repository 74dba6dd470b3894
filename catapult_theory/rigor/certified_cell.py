"""The certificate of one box of starts: its image after t steps, then one of the theorems.

The image of a box under t steps is enclosed twice, and the two enclosures are intersected:
step by step in intervals, and by the mean-value form F^t(c) + J (box - c) with the orbit of the
middle c and an interval matrix J that holds the Jacobian of F^t at every point of the box.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from catapult_theory.rigor.certified_interval import (
    Interval,
    add,
    down,
    meet,
    mul,
    size,
    sub,
    up,
    width,
)
from catapult_theory.rigor.certified_step import Table, affine, entry, multiplier, slopes
from catapult_theory.rigor.certified_theorems import (
    CONE,
    CYCLE,
    EDGE,
    ESCAPE,
    FALL,
    NONE,
    TRAP_S,
    TRAP_Y,
    escapes,
    falls,
    in_cone,
    is_above_edge,
    trap_s,
    trap_y,
)

Matrix = tuple[Interval, Interval, Interval, Interval]
# Enclosures wider than this (|p| <= 2 below the edge) or larger than that are given up.
WIDEST = 2.0
LARGEST = 1e8
# A trap is looked for once |p| is below this.
NEAR = 0.5
STEPS_ABOVE = 16


@njit(error_model="numpy")
def jacobian(table: Table, p: Interval, w: Interval) -> Matrix:
    """Return the derivatives of (p', w') in (p, w) on a box, row by row."""
    app, apw = slopes(table, 0, p, w)
    bpp, bpw = slopes(table, 1, p, w)
    return (
        add(multiplier(table, 0, p, w), mul(p, app)),
        mul(p, apw),
        mul(w, bpp),
        add(multiplier(table, 1, p, w), mul(w, bpw)),
    )


@njit(error_model="numpy")
def product(a: Matrix, b: Matrix) -> Matrix:
    """Return the matrix product of two interval matrices."""
    return (
        add(mul(a[0], b[0]), mul(a[1], b[2])),
        add(mul(a[0], b[1]), mul(a[1], b[3])),
        add(mul(a[2], b[0]), mul(a[3], b[2])),
        add(mul(a[2], b[1]), mul(a[3], b[3])),
    )


@njit(error_model="numpy")
def spread(u: Interval, v: Interval, radius: tuple[float, float]) -> Interval:
    """Return u dx + v dy for |dx|, |dy| up to the radii."""
    most = up(up(size(u) * radius[0]) + up(size(v) * radius[1]))
    return -most, most


@njit(error_model="numpy")
def start(factors: Table, box: NDArray[np.float64]) -> tuple:
    """Return a box of (X, Y) as (p, w): enclosures, those of the middle, Jacobian, radii."""
    x, y = (down(box[0]), up(box[1])), (down(box[2]), up(box[3]))
    cx, cy = 0.5 * (x[0] + x[1]), 0.5 * (y[0] + y[1])
    radius = (max(up(cx - x[0]), up(x[1] - cx)), max(up(cy - y[0]), up(y[1] - cy)))
    matrix = (
        entry(factors, 0, 1),
        entry(factors, 0, 2),
        entry(factors, 1, 1),
        entry(factors, 1, 2),
    )
    p, w = affine(factors, 0, x, y), affine(factors, 1, x, y)
    middle_p, middle_w = (
        affine(factors, 0, (cx, cx), (cy, cy)),
        affine(factors, 1, (cx, cx), (cy, cy)),
    )
    return p, w, middle_p, middle_w, matrix, radius


@njit(error_model="numpy")
def step(table: Table, p: Interval, w: Interval) -> tuple[Interval, Interval]:
    """Return an enclosure of (p', w')."""
    return mul(p, multiplier(table, 0, p, w)), mul(w, multiplier(table, 1, p, w))


@njit(error_model="numpy")
def advance(table: Table, state: tuple) -> tuple:
    """Return the state of `start` one step later."""
    p, w, middle_p, middle_w, matrix, radius = state
    matrix = product(jacobian(table, p, w), matrix)
    p, w = step(table, p, w)
    middle_p, middle_w = step(table, middle_p, middle_w)
    p = meet(p, add(middle_p, spread(matrix[0], matrix[1], radius)))
    w = meet(w, add(middle_w, spread(matrix[2], matrix[3], radius)))
    return p, w, middle_p, middle_w, matrix, radius


@njit(error_model="numpy")
def combination(state: tuple, c: Interval, cp: Interval, cw: Interval) -> Interval:
    """Return c + cp p + cw w on the box, its rows combined before they are bounded."""
    p, w, middle_p, middle_w, matrix, radius = state
    plain = add(c, add(mul(cp, p), mul(cw, w)))
    middle = add(c, add(mul(cp, middle_p), mul(cw, middle_w)))
    u = add(mul(cp, matrix[0]), mul(cw, matrix[2]))
    v = add(mul(cp, matrix[1]), mul(cw, matrix[3]))
    return meet(plain, add(middle, spread(u, v, radius)))


@njit(error_model="numpy")
def longer_side(state: tuple) -> int:
    """Return the side (0 for X, 1 for Y) that contributes more to the width of the image."""
    matrix, radius = state[4], state[5]
    x = (size(matrix[0]) + size(matrix[2])) * radius[0]
    y = (size(matrix[1]) + size(matrix[3])) * radius[1]
    return 0 if x >= y else 1


@njit(error_model="numpy")
def is_small(state: tuple) -> bool:
    """Return whether every number is below the size beyond which a box is given up."""
    matrix = state[4]
    most = max(max(size(matrix[0]), size(matrix[1])), max(size(matrix[2]), size(matrix[3])))
    return size(state[0]) < LARGEST and size(state[1]) < LARGEST and most < LARGEST


@njit(error_model="numpy")
def above(state: tuple, table: Table, box: Table, k: float) -> tuple[int, int]:
    """Return theorem and steps for a box on which a minimum is out of reach, or may be."""
    for t in range(STEPS_ABOVE):
        a = combination(state, entry(box, 2, 0), entry(box, 2, 1), entry(box, 2, 2))
        if in_cone(state[0], a, k):
            return CONE, t
        state = advance(table, state)
        if not is_small(state):
            break
    return NONE, 0


@njit(error_model="numpy")
def certify_cell(
    cell: NDArray[np.float64],
    kappa: float,
    table: Table,
    factors: Table,
    box: Table,
    cycle: NDArray[np.float64],
    steps: int,
    data: NDArray[np.float64],
) -> tuple[int, int, int]:
    """Return theorem, steps and the side to split; the numbers of a trap go into ``data``.

    ``cycle`` is (low X, high X, largest Y) of the box that a cycle contracts, or empty.
    """
    state = start(factors, cell)
    side = longer_side(state)
    w = state[1]
    if w[0] > 0.0 or kappa >= 2.0:
        theorem, t = above(state, table, box, kappa)
        if theorem == NONE:
            a = affine(box, 2, state[0], w)
            theorem = EDGE if is_above_edge(w, kappa) else ESCAPE if escapes(a, kappa) else NONE
        return theorem, t, side
    if w[1] >= 0.0:
        return NONE, 0, side
    for t in range(steps):
        p, w = state[0], state[1]
        a = combination(state, entry(box, 2, 0), entry(box, 2, 1), entry(box, 2, 2))
        if falls(a, kappa):
            return FALL, t, side
        if kappa < 1.0 and size(p) < NEAR and a[0] > 0.0 and a[1] < 2.0:
            trap = trap_y(p, a, kappa)
            if trap[0] < 1.0:
                data[:] = trap
                return TRAP_Y, t, side
            g = 8.0 * kappa / (a[0] + a[1])
            by_p = sub(entry(box, 2, 1), (g, g))
            s = combination(state, entry(box, 2, 0), by_p, entry(box, 2, 2))
            trap = trap_s(p, s, kappa, g)
            if trap[0] < 1.0:
                data[:] = trap
                return TRAP_S, t, side
        if cycle.size:
            x = combination(state, entry(box, 0, 0), entry(box, 0, 1), entry(box, 0, 2))
            y = combination(state, entry(box, 1, 0), entry(box, 1, 1), entry(box, 1, 2))
            if cycle[0] <= x[0] and x[1] <= cycle[1] and y[1] <= cycle[2]:
                return CYCLE, t, side
        state = advance(table, state)
        side = longer_side(state)
        # The theorem edge: below it |p| stays at most 2, and w keeps its sign.
        bounded = meet(state[0], (-2.0, 2.0)), meet(state[1], (-1e9, 0.0))
        state = (bounded[0], bounded[1], state[2], state[3], state[4], state[5])
        if not is_small(state) or width(state[0]) >= WIDEST:
            break
    return NONE, 0, side
