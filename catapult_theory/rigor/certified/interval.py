"""Interval arithmetic inside compiled kernels, rounded outwards in ordinary double precision.

No rounding mode is switched and no order of evaluation is assumed. The one fact used is the
standard model of IEEE arithmetic in round-to-nearest: for an addition, subtraction,
multiplication or division of doubles that does not overflow, the computed r and the exact z obey

    |r - z| <= u |z| + 2^-1022,      u = 2^-53,

which stays true where subnormal numbers are flushed to zero and where a product and a sum are
contracted into one operation (a contraction rounds less often, never more coarsely). Hence
|r - z| <= 2u |r| + 2^-1021. `down` subtracts 4u |r| + 1e-300 from r and `up` adds it; each of the
three operations in them errs by at most a relative u, which costs less than u |r| in all, so that
down(r) <= z <= up(r). An interval is a pair (low, high) of doubles.

What overflows ends as an infinity or NaN; kernels leave a box alone as soon as a bound is not
below a fixed size, before such a value can be used.
"""

from __future__ import annotations

import numpy as np
from numba import njit

RELATIVE = 2.0**-51
ABSOLUTE = 1e-300

Interval = tuple[float, float]


@njit(error_model="numpy")
def down(x: float) -> float:
    """Return a double below every exact result that rounds to x."""
    return x - (abs(x) * RELATIVE + ABSOLUTE)


@njit(error_model="numpy")
def up(x: float) -> float:
    """Return a double above every exact result that rounds to x."""
    return x + (abs(x) * RELATIVE + ABSOLUTE)


@njit(error_model="numpy")
def add(x: Interval, y: Interval) -> Interval:
    """Return an interval that holds every sum."""
    return down(x[0] + y[0]), up(x[1] + y[1])


@njit(error_model="numpy")
def sub(x: Interval, y: Interval) -> Interval:
    """Return an interval that holds every difference."""
    return down(x[0] - y[1]), up(x[1] - y[0])


@njit(error_model="numpy")
def mul(x: Interval, y: Interval) -> Interval:
    """Return an interval that holds every product."""
    a, b, c, d = x[0] * y[0], x[0] * y[1], x[1] * y[0], x[1] * y[1]
    return down(min(min(a, b), min(c, d))), up(max(max(a, b), max(c, d)))


@njit(error_model="numpy")
def sqr(x: Interval) -> Interval:
    """Return an interval that holds every square."""
    low, high = abs(x[0]), abs(x[1])
    if x[0] <= 0.0 <= x[1]:
        return 0.0, up(max(low * low, high * high))
    return max(down(min(low * low, high * high)), 0.0), up(max(low * low, high * high))


@njit(error_model="numpy")
def divide(x: Interval, y: Interval) -> Interval:
    """Return an interval that holds every quotient by a y that does not hold 0."""
    if y[0] <= 0.0 <= y[1]:
        return -np.inf, np.inf
    a, b, c, d = x[0] / y[0], x[0] / y[1], x[1] / y[0], x[1] / y[1]
    return down(min(min(a, b), min(c, d))), up(max(max(a, b), max(c, d)))


@njit(error_model="numpy")
def meet(x: Interval, y: Interval) -> Interval:
    """Return the part common to two intervals that hold the same number."""
    return max(x[0], y[0]), min(x[1], y[1])


@njit(error_model="numpy")
def size(x: Interval) -> float:
    """Return the largest absolute value."""
    return max(abs(x[0]), abs(x[1]))


@njit(error_model="numpy")
def width(x: Interval) -> float:
    """Return the width, rounded upwards."""
    return up(x[1] - x[0])
