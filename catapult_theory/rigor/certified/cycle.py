"""An attracting cycle away from the minima, certified: a box that P steps map into itself.

Where kappa > 1 no stable minimum is left; orbits below the edge become balanced, X or Y -> 0
(theory, section 5, edge-2), and on Y = 0 the map is a cubic in one variable with an attracting
cycle for most kappa up to about 1.303. Let B = [x - d, x + d] x [0, h] in (X, Y). If P steps
map B into itself and the Jacobian of P steps has norm at most L < 1 on B in the norm
max(|X| / d, |Y| / h), then P steps are a contraction of B: every orbit that enters B converges to
one cycle, whose period divides P. B does not meet p = 0, so that the cycle is no minimum; the
first P - 1 images of B do not meet B, so that the period is P.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catapult_theory.rigor.certified.kernels import kernels
from catapult_theory.rigor.certified.step import StepTables

LONGEST = 64
SETTLING = 50_000
SAME = 1e-9
# The box is cut into this many pieces a side, so that its enclosure is narrow.
PIECES = 24
WIDTHS = tuple(2.0**-j for j in range(0, 14))
HEIGHTS = tuple(2.0**-j for j in range(-2, 14))


@dataclass(frozen=True)
class Cycle:
    """A box that ``period`` steps contract, and the cycle in it.

    Parameters
    ----------
    period : int
    x_low, x_high, y_high : float
        The box: X in [x_low, x_high], Y in [0, y_high].
    contraction : float
        Upper bound L < 1 of the norm of the Jacobian of ``period`` steps on the box.
    pieces : int
        Pieces a side into which the box was cut to show it.
    """

    period: int
    x_low: float
    x_high: float
    y_high: float
    contraction: float
    pieces: int

    def numbers(self) -> NDArray[np.float64]:
        """Return what a kernel needs: the box."""
        return np.array([self.x_low, self.x_high, self.y_high])


def attracting_cycle(tables: StepTables) -> Cycle | None:
    """Return the largest box found around an attracting cycle on Y = 0.

    The cycle is looked for in float64; the box is what is certified.

    Parameters
    ----------
    tables : StepTables

    Returns
    -------
    Cycle or None
        None where no cycle of period up to 64 is found, or none can be certified; always for
        kappa <= 1.

    Examples
    --------
    >>> from catapult_theory.rigor.certified.step import step_tables
    >>> attracting_cycle(step_tables(1.1)).period
    2
    >>> attracting_cycle(step_tables(1.5)) is None
    True
    """
    if not 1.0 < tables.kappa < 2.0:
        return None
    points = _balanced_cycle(tables)
    best: Cycle | None = None
    for x in points:
        for cycle in _boxes(tables, x, len(points)):
            if best is None or _room(cycle) > _room(best):
                best = cycle
    return best


def _room(cycle: Cycle) -> float:
    return (cycle.x_high - cycle.x_low) * cycle.y_high


def _boxes(tables: StepTables, x: float, period: int) -> Iterator[Cycle]:
    """Yield, for each half width, the highest box around a point that can be certified."""
    for half in WIDTHS:
        for height in HEIGHTS:
            corners = np.array([x - half, x + half, height])
            rule = (tables.multipliers, tables.factors, tables.box)
            found = kernels().contraction(*rule, corners, period, PIECES)
            if found < 1.0:
                low, high, top = map(float, corners)
                yield Cycle(period, low, high, top, float(found), PIECES)
                break


def _balanced_cycle(tables: StepTables) -> list[float]:
    """Return X along the attracting cycle on Y = 0, in float64, or nothing."""
    multiplier, box = tables.multipliers.mean(axis=2), tables.box.mean(axis=2)

    def advanced(p: float) -> float:
        w = -(box[1, 0] + box[1, 1] * p) / box[1, 2]
        return p * float(multiplier[0] @ [1.0, p, w, p * p, p * w, w * w])

    p = 0.1
    for _ in range(SETTLING):
        p = advanced(p)
    orbit = [p]
    for _ in range(LONGEST):
        orbit.append(advanced(orbit[-1]))
    period = next((j for j in range(1, LONGEST + 1) if abs(orbit[j] - p) < SAME), 0)
    on_edge = [-(box[1, 0] + box[1, 1] * q) / box[1, 2] for q in orbit[:period]]
    return [float(box[0] @ [1.0, q, w]) for q, w in zip(orbit[:period], on_edge, strict=True)]
