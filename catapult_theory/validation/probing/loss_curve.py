"""What a loss curve shows: a catapult in the first steps, and rises that come later.

An excursion begins where the loss rises above all of its values so far and since the last
excursion, and ends where it comes back to the level that it left. A catapult's begins within the
first ten steps; a later one is the edge of stability, after the curvature has grown to 2/eta.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any
CATAPULT_STEPS = 10
# A rise by less is rounding or a flat curve.
LEAST_RISE = 1e-6


@dataclass(frozen=True)
class LossCurve:
    """A loss curve in numbers.

    Parameters
    ----------
    peak : float
        The largest loss over that of the start.
    peak_step : int
    catapult : float
        The largest loss of an excursion that begins within the first ten steps, over that of the
        start; 0 without one. Below 1 the loss had fallen by more before.
    catapult_step : int or None
        Where that largest loss is.
    later_rises : int
        Excursions that begin later.
    later_peak : float
        The largest of them, over the level that it left; 1 without one.
    """

    peak: float
    peak_step: int
    catapult: float
    catapult_step: int | None
    later_rises: int
    later_peak: float


def read_curve(losses: Array) -> LossCurve:
    """Return what a loss curve shows.

    Parameters
    ----------
    losses : array, shape (steps + 1,)
        Before the first step and after every one.

    Returns
    -------
    LossCurve

    Examples
    --------
    >>> found = read_curve([1.0, 4.0, 0.5] + 20 * [0.4] + [0.6, 0.3])
    >>> found.catapult, found.catapult_step, found.later_rises, round(found.later_peak, 3)
    (4.0, 1, 1, 1.5)
    """
    curve = np.where(np.isfinite(losses), losses, np.inf)
    early: list[tuple[float, int | None]] = [(0.0, None)]
    later: list[float] = []
    for begin, level, top, step in _excursions(curve):
        if begin <= CATAPULT_STEPS:
            early.append((top / curve[0] if curve[0] > 0 else np.inf, step))
        else:
            later.append(top / level if level > 0 else np.inf)
    catapult, where = max(early, key=lambda pair: pair[0])
    top = int(np.argmax(curve))
    return LossCurve(
        float(curve[top] / curve[0]) if curve[0] > 0 else float("inf"),
        top,
        float(catapult),
        where,
        len(later),
        float(max(later, default=1.0)),
    )


def _excursions(curve: Array) -> list[tuple[int, float, float, int]]:
    """Return of each excursion its first step, the level it left, its largest loss and where."""
    found = []
    level, step = float(curve[0]), 1
    while step < len(curve):
        if curve[step] <= level * (1 + LEAST_RISE):
            level = min(level, float(curve[step]))
            step += 1
            continue
        back = np.flatnonzero(curve[step:] <= level)
        end = step + int(back[0]) if len(back) else len(curve)
        top = step + int(np.argmax(curve[step:end]))
        found.append((step, level, float(curve[top]), top))
        step = end
    return found


def growth(amplitudes: Array) -> float:
    """Return by what factor the amplitude along the top eigenvector grows in the first step.

    abs(c_1/c_0). In the linear regime c_t+1 = (1 - eta lambda) c_t, so that it crosses 1 at
    eta lambda = 2, while the loss as a whole still falls because its other parts shrink. Later
    steps see another kernel: over ten of them it crossed anywhere from 1.6 to 3.8 in networks of
    width 256.

    Parameters
    ----------
    amplitudes : array, shape (steps + 1,)

    Returns
    -------
    float
        Infinite for a course that is not finite.

    Examples
    --------
    >>> growth([2.0, -3.0, 9.0])
    1.5
    """
    first = np.abs(np.asarray(amplitudes, dtype=float)[:2])
    if not np.isfinite(first).all() or len(first) < 2:
        return float("inf")
    return float(first[1] / first[0]) if first[0] > 0 else float("inf" if first[1] else 0)
