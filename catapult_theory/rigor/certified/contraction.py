"""How strongly some steps contract a box of (X, Y), in outward-rounded arithmetic."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from catapult_theory.rigor.certified.image import (
    advance,
    combination,
    is_small,
    jacobian,
    product,
    start,
)
from catapult_theory.rigor.certified.interval import size, up
from catapult_theory.rigor.certified.step import Table, entry


@njit(error_model="numpy")
def contraction_of(
    table: Table, factors: Table, box: Table, corners: NDArray[np.float64], period: int, pieces: int
) -> float:
    """Return an upper bound of the contraction on a box of (X, Y), or infinity.

    Parameters
    ----------
    table, factors, box : numpy.ndarray
        Of `StepTables`.
    corners : numpy.ndarray
        Low X, high X, high Y.
    period, pieces : int

    Returns
    -------
    float
    """
    low, high, top = corners
    shape = 0.5 * (high - low) / top
    worst = 0.0
    cell = np.empty(4)
    for i in range(pieces):
        for j in range(pieces):
            cell[0] = low + (high - low) * (i / pieces)
            cell[1] = low + (high - low) * ((i + 1) / pieces) if i + 1 < pieces else high
            cell[2] = top * (j / pieces)
            cell[3] = top * ((j + 1) / pieces)
            state = start(factors, cell)
            if state[0][0] <= 0.0 <= state[0][1]:
                return np.inf
            slope = (
                entry(factors, 0, 1),
                entry(factors, 0, 2),
                entry(factors, 1, 1),
                entry(factors, 1, 2),
            )
            for t in range(period):
                slope = product(jacobian(table, state[0], state[1]), slope)
                state = advance(table, state)
                if not is_small(state):
                    return np.inf
                x = combination(state, entry(box, 0, 0), entry(box, 0, 1), entry(box, 0, 2))
                outside = x[1] < low or x[0] > high
                if t + 1 < period and not outside:
                    return np.inf
            y = combination(state, entry(box, 1, 0), entry(box, 1, 1), entry(box, 1, 2))
            if not (low < x[0] and x[1] < high and y[1] < top):
                return np.inf
            rows = (entry(box, 0, 1), entry(box, 0, 2), entry(box, 1, 1), entry(box, 1, 2))
            slope = product(rows, slope)
            # Any weight makes a norm, so that the rounding of ``shape`` itself does not matter.
            first = up(size(slope[0]) + up(size(slope[1]) / shape))
            second = up(up(size(slope[2]) * shape) + size(slope[3]))
            worst = max(worst, max(first, second))
    return worst
