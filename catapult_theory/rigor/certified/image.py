"""The image of a box of starts, followed as a parallelogram with a small error (Lohner's method).

After t steps the image of a box c_0 + [-rx, rx] x [-ry, ry] lies in

    c + A [-rx, rx] x [-ry, ry] + Q e,

with a point c, ordinary matrices A and Q and a small box e. A step F takes x to
F(c) + J (x - c), J an interval matrix that holds the Jacobian of F between c and every x. What the
middle of J A leaves of J A, and the rounding of F(c), goes into e; Q is turned so that its first
column follows the direction that grows most (Lohner 1987; Moore, Kearfott, Cloud 2009,
chapter 10). The mean-value form F^t(c_0) + M r, M the product of all interval matrices J, holds the
image as well. Its width grows with the absolute values of the entries, a thousandfold in ten
steps near a cycle, but for few steps of a large box it is the narrower one: both are
followed, and their enclosures intersected.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from catapult_theory.rigor.certified.interval import (
    Interval,
    add,
    divide,
    meet,
    mul,
    size,
    sub,
    up,
    width,
)
from catapult_theory.rigor.certified.step import Table, affine, entry, multiplier, slopes

Matrix = tuple[Interval, Interval, Interval, Interval]
Numbers = tuple[float, float, float, float]
LARGEST = 1e8
# Enclosures wider than this are given up; below the edge |p| <= 2.
WIDEST = 2.0
# A box is not cut any longer than this many times its width.
SLENDER = 3.0


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
    """Return the product of two interval matrices."""
    return (
        add(mul(a[0], b[0]), mul(a[1], b[2])),
        add(mul(a[0], b[1]), mul(a[1], b[3])),
        add(mul(a[2], b[0]), mul(a[3], b[2])),
        add(mul(a[2], b[1]), mul(a[3], b[3])),
    )


@njit(error_model="numpy")
def thin(a: Numbers) -> Matrix:
    """Return a matrix of numbers as one of intervals."""
    return (a[0], a[0]), (a[1], a[1]), (a[2], a[2]), (a[3], a[3])


@njit(error_model="numpy")
def middle(x: Interval) -> float:
    """Return some number in the interval, near its middle."""
    return 0.5 * (x[0] + x[1])


@njit(error_model="numpy")
def applied(u: Interval, v: Interval, x: Interval, y: Interval) -> Interval:
    """Return u x + v y."""
    return add(mul(u, x), mul(v, y))


@njit(error_model="numpy")
def frame(b: Numbers, x: float, y: float) -> Numbers:
    """Return a nearly orthogonal matrix whose first column follows the longer column of b.

    The lengths of the columns count ``x`` and ``y`` fold. Any matrix would be sound.
    """
    first, second = math.hypot(b[0], b[2]) * x, math.hypot(b[1], b[3]) * y
    p, w = (b[0], b[2]) if first >= second else (b[1], b[3])
    length = math.hypot(p, w)
    if not 0.0 < length < np.inf:
        return 1.0, 0.0, 0.0, 1.0
    return p / length, -w / length, w / length, p / length


@njit(error_model="numpy")
def inverse(q: Numbers) -> Matrix:
    """Return an interval matrix that holds the inverse of q."""
    a, b, c, d = thin(q)
    determinant = sub(mul(a, d), mul(b, c))
    return (
        divide(d, determinant),
        divide((-b[1], -b[0]), determinant),
        divide((-c[1], -c[0]), determinant),
        divide(a, determinant),
    )


@njit(error_model="numpy")
def start(factors: Table, box: NDArray[np.float64]) -> tuple:
    """Return a box of (X, Y) before any step.

    Returns
    -------
    tuple
        Enclosures of p and w, then c, A, Q, e, the radii (rx, ry) as intervals, M and F^t(c_0).
    """
    cx, cy = 0.5 * (box[0] + box[1]), 0.5 * (box[2] + box[3])
    rx = max(up(cx - box[0]), up(box[1] - cx))
    ry = max(up(cy - box[2]), up(box[3] - cy))
    radius = ((-rx, rx), (-ry, ry))
    x, y = (box[0], box[1]), (box[2], box[3])
    slope = (entry(factors, 0, 1), entry(factors, 0, 2), entry(factors, 1, 1), entry(factors, 1, 2))
    a = (middle(slope[0]), middle(slope[1]), middle(slope[2]), middle(slope[3]))
    at_p, at_w = affine(factors, 0, (cx, cx), (cy, cy)), affine(factors, 1, (cx, cx), (cy, cy))
    c = (middle(at_p), middle(at_w))
    left = thin(a)
    over_p = applied(sub(slope[0], left[0]), sub(slope[1], left[1]), *radius)
    over_w = applied(sub(slope[2], left[2]), sub(slope[3], left[3]), *radius)
    e = (add(sub(at_p, (c[0], c[0])), over_p), add(sub(at_w, (c[1], c[1])), over_w))
    p, w = affine(factors, 0, x, y), affine(factors, 1, x, y)
    return p, w, c, a, (1.0, 0.0, 0.0, 1.0), e, radius, slope, (at_p, at_w)


@njit(error_model="numpy")
def step(table: Table, p: Interval, w: Interval) -> tuple[Interval, Interval]:
    """Return an enclosure of (p', w')."""
    return mul(p, multiplier(table, 0, p, w)), mul(w, multiplier(table, 1, p, w))


@njit(error_model="numpy")
def is_bounded(x: Interval) -> bool:
    """Return whether both ends are numbers below the size beyond which a box is given up."""
    return x[0] > -LARGEST and x[0] < LARGEST and x[1] > -LARGEST and x[1] < LARGEST


@njit(error_model="numpy")
def kept(m: Matrix, at: tuple[Interval, Interval]) -> tuple[Matrix, tuple[Interval, Interval]]:
    """Return a mean-value form, or where it has grown too large one that holds all small images."""
    rows = is_bounded(m[0]) and is_bounded(m[1]) and is_bounded(m[2]) and is_bounded(m[3])
    if rows and is_bounded(at[0]) and is_bounded(at[1]):
        return m, at
    nothing, everything = (0.0, 0.0), (-2.0 * LARGEST, 2.0 * LARGEST)
    return (nothing, nothing, nothing, nothing), (everything, everything)


@njit(error_model="numpy")
def advance(table: Table, state: tuple) -> tuple:
    """Return the image of `start` one step later."""
    p, w, c, a, q, e, radius, m, at = state
    j = jacobian(table, p, w)
    at_p, at_w = step(table, (c[0], c[0]), (c[1], c[1]))
    c = (middle(at_p), middle(at_w))
    ja, jq = product(j, thin(a)), product(j, thin(q))
    a = (middle(ja[0]), middle(ja[1]), middle(ja[2]), middle(ja[3]))
    left = thin(a)
    over_p = applied(sub(ja[0], left[0]), sub(ja[1], left[1]), *radius)
    over_w = applied(sub(ja[2], left[2]), sub(ja[3], left[3]), *radius)
    rest_p, rest_w = add(sub(at_p, (c[0], c[0])), over_p), add(sub(at_w, (c[1], c[1])), over_w)
    q = frame((middle(jq[0]), middle(jq[1]), middle(jq[2]), middle(jq[3])), size(e[0]), size(e[1]))
    back = inverse(q)
    turned = product(back, jq)
    e = (
        add(applied(turned[0], turned[1], *e), applied(back[0], back[1], rest_p, rest_w)),
        add(applied(turned[2], turned[3], *e), applied(back[2], back[3], rest_p, rest_w)),
    )
    p, w = step(table, p, w)
    zero, one = (0.0, 0.0), (1.0, 1.0)
    m, at = kept(product(j, m), step(table, *at))
    state = (p, w, c, a, q, e, radius, m, at)
    p, w = combination(state, zero, one, zero), combination(state, zero, zero, one)
    return p, w, c, a, q, e, radius, m, at


@njit(error_model="numpy")
def combination(state: tuple, constant: Interval, cp: Interval, cw: Interval) -> Interval:
    """Return constant + cp p + cw w on the image, its terms combined before they are bounded.

    The image must be small (`is_small`); of one that is not, only that is found out.
    """
    p, w, c, a, q, e, radius, m, at = state
    plain = add(constant, applied(cp, cw, p, w))
    left, right = thin(a), thin(q)
    total = add(constant, applied(cp, cw, (c[0], c[0]), (c[1], c[1])))
    by_x, by_y = applied(cp, cw, left[0], left[2]), applied(cp, cw, left[1], left[3])
    by_e, by_f = applied(cp, cw, right[0], right[2]), applied(cp, cw, right[1], right[3])
    linear = add(applied(by_x, by_y, *radius), applied(by_e, by_f, *e))
    mean = add(constant, applied(cp, cw, *at))
    slope_x, slope_y = applied(cp, cw, m[0], m[2]), applied(cp, cw, m[1], m[3])
    mean = add(mean, applied(slope_x, slope_y, *radius))
    return meet(meet(plain, mean), add(total, linear))


@njit(error_model="numpy")
def longer_side(state: tuple) -> int:
    """Return the side (0 for X, 1 for Y) that contributes more to the width of the image."""
    a, radius = state[3], state[6]
    rx, ry = radius[0][1], radius[1][1]
    if rx > SLENDER * ry or ry > SLENDER * rx:
        return 0 if rx > ry else 1
    return 0 if (abs(a[0]) + abs(a[2])) * rx >= (abs(a[1]) + abs(a[3])) * ry else 1


@njit(error_model="numpy")
def is_small(state: tuple) -> bool:
    """Return whether no number of the image is beyond that size; an infinity or NaN is."""
    p, w, c, a, e = state[0], state[1], state[2], state[3], state[5]
    numbers = is_bounded(c) and is_bounded((a[0], a[1])) and is_bounded((a[2], a[3]))
    boxes = is_bounded(p) and is_bounded(w) and is_bounded(e[0]) and is_bounded(e[1])
    return numbers and boxes


@njit(error_model="numpy")
def below_edge(state: tuple) -> tuple:
    """Return the image cut down to what the theorem edge allows: |p| <= 2 and w <= 0."""
    p, w, c, a, q, e, radius, m, at = state
    return meet(p, (-2.0, 2.0)), meet(w, (-LARGEST, 0.0)), c, a, q, e, radius, m, at


@njit(error_model="numpy")
def is_usable(state: tuple) -> bool:
    """Return whether an image below the edge still says anything."""
    return is_small(state) and width(state[0]) < WIDEST
