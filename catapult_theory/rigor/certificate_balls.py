"""Images of boxes of starts in ball arithmetic of arbitrary precision (python-flint).

The step of the labelled uv-model is written here from the theory (section 5, T1), in the
coordinates p and a; the program that makes certificates has it from the engine, in others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

from catapult_theory.errors import MissingBackend

PRECISION = 128
# How finely the box of a cycle is cut here.
CYCLE_PIECES = 64

Box = tuple[Fraction, Fraction, Fraction, Fraction]


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
    """A box of starts after some steps: balls around p and a, their middle, their Jacobian."""

    p: Any
    a: Any
    middle: tuple[Any, Any]
    jacobian: tuple[Any, Any, Any, Any]
    radius: tuple[Any, Any]
    bounded: bool

    @classmethod
    def of(cls, box: Box, kappa: Fraction) -> Image:
        """Return a box of (X, Y) before any step."""
        x0, x1, y0, y1 = box
        x, y = ball(x0).union(ball(x1)), ball(y0).union(ball(y1))
        cx, cy = ball((x0 + x1) / 2), ball((y0 + y1) / 2)
        k = ball(kappa)
        p, a = (x - y) / 4 - k, (x + y) / 2
        quarter, half = ball(Fraction(1, 4)), ball(Fraction(1, 2))
        # Below the edge |p| <= 2 and 0 <= a <= 4 + 2 kappa for ever (theorem edge).
        bounded = kappa < 2 and bool(a - 4 - k * p <= 0)
        return cls(
            p,
            a,
            ((cx - cy) / 4 - k, (cx + cy) / 2),
            (quarter, -quarter, half, half),
            (x - cx, y - cy),
            bounded,
        )

    @property
    def is_finite(self) -> bool:
        """Whether the balls still say anything."""
        return bool(self.p.is_finite() and self.a.is_finite())

    def after_a_step(self, kappa: Fraction) -> Image:
        """Return the image one step later."""
        if not self.is_finite:
            return self
        k, p, a = ball(kappa), self.p, self.a
        pp, pa = 1 - a + 2 * k * p + 3 * p * p, -p
        ap, aa = 2 * p * (a - 4) - 4 * k, 1 + p * p
        j = self.jacobian
        jacobian = (
            pp * j[0] + pa * j[2],
            pp * j[1] + pa * j[3],
            ap * j[0] + aa * j[2],
            ap * j[1] + aa * j[3],
        )
        middle = _step(*self.middle, k)
        p, a = _step(p, a, k)
        dx, dy = self.radius
        p = _common(p, middle[0] + jacobian[0] * dx + jacobian[1] * dy)
        a = _common(a, middle[1] + jacobian[2] * dx + jacobian[3] * dy)
        if self.bounded:
            p = _common(p, ball(Fraction(-2)).union(ball(Fraction(2))))
            a = _common(a, ball(Fraction(0)).union(ball(4 + 2 * kappa)))
        return Image(p, a, middle, jacobian, self.radius, self.bounded)

    def combined(self, by_p: Any, by_a: Any) -> Any:
        """Return by_p p + by_a a, its terms combined before they are bounded."""
        j, (dx, dy) = self.jacobian, self.radius
        middle = by_p * self.middle[0] + by_a * self.middle[1]
        u, v = by_p * j[0] + by_a * j[2], by_p * j[1] + by_a * j[3]
        return _common(by_p * self.p + by_a * self.a, middle + u * dx + v * dy)


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
    if not all(name in cycle for name in needed):
        return False
    period = int(cycle["period"])
    low, high, top = (Fraction(cycle[name]) for name in needed[1:])
    return 0 <= low < high and top > 0 and period >= 1 and _contracts(kappa, period, low, high, top)


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
    for t in range(1, period + 1):
        image = image.after_a_step(kappa)
        x = image.combined(2, 1) + 2 * k
        if t < period and not (x < low or x > high):
            return False
    # X = a + 2 (p + kappa), Y = a - 2 (p + kappa), so do their derivatives.
    p_x, p_y, a_x, a_y = image.jacobian
    first = abs(a_x + 2 * p_x) + abs(a_y + 2 * p_y) / weight
    second = abs(a_x - 2 * p_x) * weight + abs(a_y - 2 * p_y)
    inside = x > low and x < high and image.combined(-2, 1) - 2 * k < top
    return bool(inside and first < 1 and second < 1)
