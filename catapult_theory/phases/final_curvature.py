"""The band of the final curvature a_inf of catapults as the starting output goes to zero.

Near b = 0 a step multiplies b by (a_0 - 1)^2, so that starts b_0 and b_0 (a_0 - 1)^2 lie on one
orbit up to O(b_0): the limit b_0 -> 0 of a_inf is a function of log b_0 modulo log (a_0 - 1)^2.
Its range over one period is the band (theory, section 4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from catapult_theory.errors import InputError
from catapult_theory.phases.iteration import Step, stepper
from catapult_theory.symbolic.scaling import DimensionlessMap, dimensionless
from catapult_theory.symbolic.update_map import UpdateMap

Array = NDArray[np.float64]
Best = Callable[[Array], np.intp]

SMALL = 1e-12
SAMPLES = 2048
ZOOMS = 3
STEPS = 20_000
# What the remaining change of a may be when an orbit counts as finished.
SETTLED = 1e-9


@dataclass(frozen=True)
class CurvatureBand:
    """The range of the final curvature over one period of log b_0.

    Parameters
    ----------
    start : float
        a_0 = eta lam_0.
    low, high : float
        Range of a_inf; ``low`` is exactly 0 where some orbit meets b = 1.
    peak : float
        The largest b of any orbit, so that the largest loss is n peak / (2 eta^2).
    touches_balance : bool
        Whether some orbit meets b = 1, which makes the two layers balanced.
    """

    start: float
    low: float
    high: float
    peak: float
    touches_balance: bool

    @property
    def width(self) -> float:
        """The width of the band."""
        return self.high - self.low

    def __str__(self) -> str:
        exact = " (exactly)" if self.touches_balance else ""
        return f"a_0 = {self.start:g}: a_inf from {self.low:.4f}{exact} to {self.high:.4f}"


def final_curvature_band(
    update_map: UpdateMap, start: float, small: float = SMALL, samples: int = SAMPLES
) -> CurvatureBand:
    """Return the range of the final curvature of a catapult as b_0 -> 0.

    Where the largest b over all orbits is at least 1, some orbit meets b = 1 by continuity: the
    step there gives a^2 - 4b = 0, on which a falls to 0 like 1/t, so that the lower edge is
    exactly 0. This happens above a_0 = 3.08481 (see `balance_threshold`).

    Parameters
    ----------
    update_map : UpdateMap
        One that is dimensionless in two groups, a curvature and a squared output.
    start : float
        a_0, between 2 and 4.
    small : float
        b_0 at the lower end of the period.
    samples : int
        Starts in a period; extremes are refined around the best of them.

    Returns
    -------
    CurvatureBand

    Raises
    ------
    InputError
        If a_0 is not between 2 and 4, or the map has other groups.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> print(final_curvature_band(derive(models.uv()), 2.5, samples=64))
    a_0 = 2.5: a_inf from 1.2823 to 1.2823
    """
    step, growth = _prepared(update_map, start)
    orbits = _Orbits(step, start, small, growth)
    whole = np.linspace(0.0, 1.0, samples, endpoint=False)
    peak = _extreme(orbits.peaks, whole, np.argmax)
    touches = peak >= 1.0
    low = 0.0 if touches else _extreme(orbits.ends, whole, np.argmin)
    return CurvatureBand(start, low, _extreme(orbits.ends, whole, np.argmax), peak, touches)


def balance_threshold(
    update_map: UpdateMap, low: float = 3.0, high: float = 3.2, width: float = 1e-6
) -> tuple[float, float]:
    """Return a bracket of the least a_0 at which some orbit meets b = 1.

    Parameters
    ----------
    update_map : UpdateMap
    low, high : float
        No orbit meets b = 1 from ``low``; some orbit does from ``high``.
    width : float
        Of the bracket.

    Returns
    -------
    tuple of float

    Raises
    ------
    InputError
        If the ends do not hold what they should.
    """
    if _peak(update_map, low) >= 1.0 or _peak(update_map, high) < 1.0:
        raise InputError(f"the interval [{low:g}, {high:g}] does not hold the threshold")
    while high - low > width:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if _peak(update_map, middle) >= 1.0 else (middle, high)
    return low, high


def _peak(update_map: UpdateMap, start: float) -> float:
    step, growth = _prepared(update_map, start)
    orbits = _Orbits(step, start, SMALL, growth)
    return _extreme(orbits.peaks, np.linspace(0.0, 1.0, 256, endpoint=False), np.argmax)


@dataclass(frozen=True)
class _Orbits:
    """All starts b_0 = small * growth^phase, phase in [0, 1)."""

    step: Step
    start: float
    small: float
    growth: float

    def ends(self, phases: Array) -> Array:
        """Return the final a of each orbit."""
        b, a = self._begin(phases)
        for _ in range(STEPS):
            b, a = self.step([b, a])
            if _settled(a, b):
                break
        return a

    def peaks(self, phases: Array) -> Array:
        """Return the largest b of each orbit; once a < 2 it only falls (theory, section 5, T7)."""
        b, a = self._begin(phases)
        peak = b.copy()
        for _ in range(STEPS):
            b, a = self.step([b, a])
            np.maximum(peak, b, out=peak)
            if np.all(a < 2.0):
                break
        return peak

    def _begin(self, phases: Array) -> tuple[Array, Array]:
        b = self.small * self.growth**phases
        return b, np.full_like(b, self.start)


def _extreme(quantity: Callable[[Array], Array], phases: Array, best: Best) -> float:
    """Return the extreme of a quantity, the period scanned anew around the best phase."""
    spacing = phases[1] - phases[0]
    values = quantity(phases)
    for _ in range(ZOOMS):
        phases = phases[best(values)] + np.linspace(-spacing, spacing, 65)
        spacing = phases[1] - phases[0]
        values = quantity(phases)
    return float(values[best(values)])


def _settled(a: Array, b: Array) -> bool:
    """Whether what is left of the fall of a, sum b (4 - a) <= 4 b / (1 - (1 - a)^2), is small."""
    left = a * (2.0 - a)  # 1 - (1 - a)^2
    return bool(np.all((left > 0) & (4.0 * b <= SETTLED * left)))


def _prepared(update_map: UpdateMap, start: float) -> tuple[Step, float]:
    """Return the step of (b, a) and what multiplies b in a step from b = 0."""
    small = _two_groups(update_map)
    if not 2.0 < start < 4.0:
        raise InputError(f"a catapult has a_0 between 2 and 4, got {start}")
    output, curvature = small.variables
    rate = sp.diff(small.updates[output], output).subs({output: 0, curvature: sp.Float(start)})
    return stepper(small.updates, {}), float(rate)


def _two_groups(update_map: UpdateMap) -> DimensionlessMap:
    small = dimensionless(update_map)
    if [s.name for s in small.variables] != ["b", "a"] or small.constants:
        raise InputError(
            "the band of the final curvature is defined for maps in the two groups "
            f"a and b alone; this one has {', '.join(s.name for s in small.groups)}"
        )
    return small
