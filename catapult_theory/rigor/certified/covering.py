"""Whether the image of a box lies in a union of dyadic cells, looked up in a table of sums.

A union of cells of the rectangle `BASIN_BOX` is kept as pixels of one size, 2^-n of its sides, and
as the table S of their sums: S[i, j] pixels below column i and row j belong to it. A range of
pixels belongs to it as a whole where four entries of S give its full number. The sides of the
rectangle are powers of two, so that the pixel of a double is found without rounding.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from catapult_theory.rigor.certified.image import (
    advance,
    below_edge,
    combination,
    is_usable,
    start,
)
from catapult_theory.rigor.certified.interval import Interval
from catapult_theory.rigor.certified.step import Table, entry

# Below the edge X <= 4 (2 + kappa) and Y <= 4 (2 - kappa): for 1 < kappa < 2 all that is here.
HIGHEST_X, HIGHEST_Y = 16.0, 4.0
BASIN_BOX = ((0.0, HIGHEST_X), (0.0, HIGHEST_Y))
ARRIVED = -2
Pixels = tuple[int, int, int, int]


@njit(error_model="numpy")
def coordinates(state: tuple, box: Table) -> tuple[Interval, Interval]:
    """Return enclosures of X and Y on an image."""
    x = combination(state, entry(box, 0, 0), entry(box, 0, 1), entry(box, 0, 2))
    y = combination(state, entry(box, 1, 0), entry(box, 1, 1), entry(box, 1, 2))
    return x, y


@njit(error_model="numpy")
def is_in_cycle(x: Interval, y: Interval, cycle: NDArray[np.float64]) -> bool:
    """Return whether a box of (X, Y) lies in that of a cycle: (low X, high X, largest Y)."""
    return cycle[0] <= x[0] and x[1] <= cycle[1] and y[1] <= cycle[2]


@njit(error_model="numpy")
def pixels(x: Interval, y: Interval, number: int) -> Pixels:
    """Return the first and last column and row of pixels that a box of (X, Y) meets.

    X and Y are never negative; what an enclosure has below 0 holds no orbit. All that lies beyond
    the rectangle counts as column or row ``number``, which is in no union.
    """
    by_x, by_y = number / HIGHEST_X, number / HIGHEST_Y
    return (
        int(min(max(x[0], 0.0) * by_x, number)),
        int(min(x[1] * by_x, number)),
        int(min(max(y[0], 0.0) * by_y, number)),
        int(min(y[1] * by_y, number)),
    )


@njit(error_model="numpy")
def are_covered(sums: NDArray[np.int32], found: Pixels) -> bool:
    """Return whether a range of pixels belongs to the union as a whole."""
    left, right, low, high = found[0], found[1] + 1, found[2], found[3] + 1
    number = len(sums) - 1
    if right > number or high > number:
        return False
    count = sums[right, high] - sums[left, high] - sums[right, low] + sums[left, low]
    return count == (right - left) * (high - low)


@njit(error_model="numpy")
def follow(
    cell: NDArray[np.float64],
    table: Table,
    factors: Table,
    box: Table,
    cycle: NDArray[np.float64],
    number: int,
    found: NDArray[np.int32],
) -> None:
    """Put into row t - 1 of ``found`` the pixels that the image after t steps meets.

    An image in the box of the cycle ends it, its row is `ARRIVED`. Rows after that, after the last
    usable image, and all of a cell that is not below the edge, stay.
    """
    state = start(factors, cell)
    if state[1][1] >= 0.0:
        return
    for t in range(len(found)):
        state = below_edge(advance(table, state))
        if not is_usable(state):
            return
        x, y = coordinates(state, box)
        if is_in_cycle(x, y, cycle):
            found[t] = ARRIVED
            return
        found[t] = pixels(x, y, number)


def sums_of(covered: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the table of sums of a union of pixels.

    Parameters
    ----------
    covered : numpy.ndarray of bool, shape (N, N)

    Returns
    -------
    numpy.ndarray of int32, shape (N + 1, N + 1)

    Examples
    --------
    >>> sums_of(np.eye(2, dtype=bool)).tolist()
    [[0, 0, 0], [0, 1, 1], [0, 1, 2]]
    """
    sums = np.zeros((len(covered) + 1, len(covered) + 1), np.int32)
    sums[1:, 1:] = covered.cumsum(axis=0, dtype=np.int32).cumsum(axis=1, dtype=np.int32)
    return sums
