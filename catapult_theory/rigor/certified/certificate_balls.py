"""Images of boxes of starts in ball arithmetic of arbitrary precision (python-flint).

The step of the labelled uv-model is written here from the theory (section 5, T1), in the
coordinates p and a; the program that makes certificates has it from the engine, in others. Images
are followed as parallelograms (Lohner's method).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

from catapult_theory.errors import MissingBackend

PRECISION = 128
# How finely the box of a cycle is cut here.
CYCLE_PIECES = 64
# No certifier looks for a longer cycle, and a check ends.
LONGEST = 64

Box = tuple[Fraction, Fraction, Fraction, Fraction]
Matrix = tuple[Any, Any, Any, Any]


def flint() -> Any:
    """Return python-flint, or say how to get it."""
    try:
        import flint as installed
    except ImportError as cause:
        raise MissingBackend(
            "checking certificates needs python-flint: pip install 'catapult-theory[rigor]'"
        ) from cause
    return installed


@dataclass(frozen=True)
class Image:
    """A box of starts after some steps: balls around p and a, and a parallelogram that holds it.

    The parallelogram is c + A r + Q e with exact c, A and Q, r in the ``radius`` of the box of
    starts and e in a small ``error``, all balls.
    """

    p: Any
    a: Any
    centre: tuple[Any, Any]
    linear: Matrix
    turn: Matrix
    error: tuple[Any, Any]
    radius: tuple[Any, Any]
    bounded: bool

    @classmethod
    def of(cls, box: Box, kappa: Fraction) -> Image:
        """Return a box of (X, Y) before any step."""
        x0, x1, y0, y1 = box
        x, y = ball(x0).union(ball(x1)), ball(y0).union(ball(y1))
        cx, cy = ball((x0 + x1) / 2).mid(), ball((y0 + y1) / 2).mid()
        k, zero, one = ball(kappa), ball(0), ball(1)
        p, a = (x - y) / 4 - k, (x + y) / 2
        exact = (cx - cy) / 4 - k, (cx + cy) / 2
        centre = (exact[0].mid(), exact[1].mid())
        quarter, half = ball(Fraction(1, 4)), ball(Fraction(1, 2))
        # Below the edge |p| <= 2 and 0 <= a <= 4 + 2 kappa for ever (theorem edge).
        bounded = kappa < 2 and bool(a - 4 - k * p <= 0)
        return cls(
            p,
            a,
            centre,
            (quarter, -quarter, half, half),
            (one, zero, zero, one),
            (exact[0] - centre[0], exact[1] - centre[1]),
            (x - cx, y - cy),
            bounded,
        )

    @property
    def is_finite(self) -> bool:
        """Whether the balls still say anything."""
        balls = (self.p, self.a, *self.centre, *self.linear, *self.error)
        return all(one.is_finite() for one in balls)

    def jacobian(self, kappa: Fraction) -> Matrix:
        """Return the derivatives of (p', a') in (p, a) everywhere on the image."""
        k, p, a = ball(kappa), self.p, self.a
        return 1 - a + 2 * k * p + 3 * p * p, -p, 2 * p * (a - 4) - 4 * k, 1 + p * p

    def after_a_step(self, kappa: Fraction) -> Image:
        """Return the image one step later."""
        if not self.is_finite:
            return self
        k, slope = ball(kappa), self.jacobian(kappa)
        along, turned = _product(slope, self.linear), _product(slope, self.turn)
        exact = _step(*self.centre, k)
        centre, linear = (exact[0].mid(), exact[1].mid()), _middle(along)
        turn = _frame(turned, self.error)
        over = [one - other for one, other in zip(along, linear, strict=True)]
        rest = _sum(_times(over, self.radius), (exact[0] - centre[0], exact[1] - centre[1]))
        back = _inverse(turn)
        error = _sum(_times(_product(back, turned), self.error), _times(back, rest))
        p, a = _step(self.p, self.a, k)
        image = Image(p, a, centre, linear, turn, error, self.radius, self.bounded)
        p, a = image.combined(1, 0), image.combined(0, 1)
        if self.bounded:
            p = _common(p, ball(-2).union(ball(2)))
            a = _common(a, ball(0).union(ball(4 + 2 * kappa)))
        return replace(image, p=p, a=a)

    def combined(self, by_p: Any, by_a: Any) -> Any:
        """Return by_p p + by_a a, its terms combined before they are bounded."""
        total = by_p * self.centre[0] + by_a * self.centre[1]
        for matrix, part in ((self.linear, self.radius), (self.turn, self.error)):
            total += (by_p * matrix[0] + by_a * matrix[2]) * part[0]
            total += (by_p * matrix[1] + by_a * matrix[3]) * part[1]
        return _common(by_p * self.p + by_a * self.a, total)


def _product(a: Sequence[Any], b: Sequence[Any]) -> Matrix:
    return (
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
    )


def _times(a: Sequence[Any], x: Sequence[Any]) -> tuple[Any, Any]:
    return a[0] * x[0] + a[1] * x[1], a[2] * x[0] + a[3] * x[1]


def _sum(x: Sequence[Any], y: Sequence[Any]) -> tuple[Any, Any]:
    return x[0] + y[0], x[1] + y[1]


def _middle(a: Sequence[Any]) -> Matrix:
    return a[0].mid(), a[1].mid(), a[2].mid(), a[3].mid()


def _inverse(a: Matrix) -> Matrix:
    determinant = a[0] * a[3] - a[1] * a[2]
    return a[3] / determinant, -a[1] / determinant, -a[2] / determinant, a[0] / determinant


def _frame(a: Matrix, error: tuple[Any, Any]) -> Matrix:
    """Return a matrix of doubles, nearly a rotation, along the direction that grows most."""
    b = [float(one.mid()) for one in a]
    sizes = [float(one.abs_upper()) for one in error]
    columns = ((b[0], b[2]), (b[1], b[3]))
    lengths = [math.hypot(*column) for column in columns]
    first = int(lengths[0] * sizes[0] < lengths[1] * sizes[1])
    if not 0 < lengths[first] < math.inf:
        return ball(1), ball(0), ball(0), ball(1)
    p, q = (ball(number / lengths[first]) for number in columns[first])
    return p, -q, q, p


def _step(p: Any, a: Any, k: Any) -> tuple[Any, Any]:
    """Return T1: p' = p (1 - a + p (p + kappa)), a' = a - 4 p (p + kappa) + p^2 a."""
    return p * (1 - a + p * (p + k)), a - 4 * p * (p + k) + p * p * a


def ball(value: Fraction | float) -> Any:
    """Return a ball around a rational number."""
    library = flint()
    exact = Fraction(value)
    return library.arb(library.fmpq(exact.numerator, exact.denominator))


def _common(one: Any, other: Any) -> Any:
    """Return the part common to two balls around the same number."""
    if not one.is_finite():
        return other
    if not other.is_finite():
        return one
    return one.intersection(other)


def cycle_contracts(kappa: Fraction, cycle: Mapping[str, float]) -> bool:
    """Check that the steps of a cycle contract its box and that it does not meet p = 0.

    Parameters
    ----------
    kappa : Fraction
    cycle : mapping of str to float
        period, x_low, x_high and y_high.

    Returns
    -------
    bool
        Whether ``period`` steps map the box into itself with a Jacobian of norm below 1 in
        max(|X| / d, |Y| / h), d and h its half width and height, and no fewer steps meet it.
    """
    needed = ("period", "x_low", "x_high", "y_high")
    if not all(math.isfinite(cycle.get(name, math.nan)) for name in needed):
        return False
    period = int(cycle["period"])
    low, high, top = (Fraction(cycle[name]) for name in needed[1:])
    return (
        0 <= low < high
        and top > 0
        and 1 <= period <= LONGEST
        and _contracts(kappa, period, low, high, top)
    )


@cache
def _contracts(kappa: Fraction, period: int, low: Fraction, high: Fraction, top: Fraction) -> bool:
    rows = CYCLE_PIECES // 4
    xs = [low + (high - low) * Fraction(i, CYCLE_PIECES) for i in range(CYCLE_PIECES + 1)]
    ys = [top * Fraction(i, rows) for i in range(rows + 1)]
    return all(
        _piece_contracts((x0, x1, y0, y1), kappa, period, (low, high, top))
        for x0, x1 in pairwise(xs)
        for y0, y1 in pairwise(ys)
    )


def _piece_contracts(
    piece: Box, kappa: Fraction, period: int, whole: tuple[Fraction, Fraction, Fraction]
) -> bool:
    low, high, top = map(ball, whole)
    k, weight = ball(kappa), ball((whole[1] - whole[0]) / (2 * whole[2]))
    image = Image.of(piece, kappa)
    if not (image.p > 0 or image.p < 0):
        return False
    slope = image.linear
    for t in range(1, period + 1):
        slope = _product(image.jacobian(kappa), slope)
        image = image.after_a_step(kappa)
        x = image.combined(2, 1) + 2 * k
        if t < period and not (x < low or x > high):
            return False
    # X = a + 2 (p + kappa), Y = a - 2 (p + kappa), so do their derivatives.
    p_x, p_y, a_x, a_y = slope
    first = abs(a_x + 2 * p_x) + abs(a_y + 2 * p_y) / weight
    second = abs(a_x - 2 * p_x) * weight + abs(a_y - 2 * p_y)
    inside = x > low and x < high and image.combined(-2, 1) - 2 * k < top
    return bool(inside and first < 1 and second < 1)
