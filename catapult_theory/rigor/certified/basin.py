"""The basin of an attracting cycle, certified backwards: cells led into cells of lower rank.

A cell below the edge has rank r >= 1 if its whole image, some steps later, lies in the box that the
cycle contracts (`certified.cycle`), or in cells of ranks below r. By induction on the rank every
orbit that starts in such a cell enters that box, and goes to the cycle. The ranks are what makes
the argument well founded: no cell relies on itself, through however many others.

They are found by a fixed-point iteration on the graph of cells: round r accepts every cell with an
image inside what rounds below r accepted. Cells that no round accepts are cut in quarters. Cells
that meet a minimum, p = 0, are never accepted: no image of such a cell leaves it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catapult_theory.rigor.certified.cells import Cells, joined
from catapult_theory.rigor.certified.covering import ARRIVED, BASIN_BOX, sums_of
from catapult_theory.rigor.certified.cycle import Cycle
from catapult_theory.rigor.certified.kernels import kernels
from catapult_theory.rigor.certified.step import StepTables

COARSEST = 6
FINEST = 10
# Images of a cell are looked at for so many steps, and so many periods of the cycle.
STEPS, PERIODS = 8, 4
# Cells are cut no further once this part of all below the edge belongs to the basin.
ENOUGH = 0.4


@dataclass(frozen=True, eq=False)
class Basin:
    """Cells from which every orbit below the edge goes to the cycle.

    Parameters
    ----------
    cells : Cells
        Of the rectangle `BASIN_BOX`; as often halved in X as in Y.
    steps : numpy.ndarray of uint8
        After how many steps the image of the cell lies in cells of lower rank.
    rank : numpy.ndarray of uint16
        1 and more.
    """

    cells: Cells
    steps: NDArray[np.uint8]
    rank: NDArray[np.uint16]

    def __post_init__(self) -> None:
        for array in (self.steps, self.rank):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.cells)


def covered_by(basin: Basin | None) -> NDArray[np.int32]:
    """Return the table of sums (`covering`) of the cells of a basin.

    Parameters
    ----------
    basin : Basin or None

    Returns
    -------
    numpy.ndarray of int32
        One pixel that is not covered, where there is no basin.
    """
    if basin is None:
        return np.zeros((2, 2), np.int32)
    finest = int(basin.cells.level_x.max())
    covered = np.zeros((2**finest, 2**finest), bool)
    for level in np.unique(basin.cells.level_x):
        _paint(covered, basin.cells[basin.cells.level_x == level], int(level))
    return sums_of(covered)


def basin_of(tables: StepTables, cycle: Cycle) -> Basin | None:
    """Return the cells found to be led into the box of a cycle.

    Parameters
    ----------
    tables : StepTables
    cycle : Cycle

    Returns
    -------
    Basin or None
        None where no cell of the finest size is.

    Examples
    --------
    >>> from catapult_theory.rigor.certified.cycle import attracting_cycle
    >>> from catapult_theory.rigor.certified.step import step_tables
    >>> tables = step_tables(1.1)
    >>> found = basin_of(tables, attracting_cycle(tables))
    >>> len(found) > 1000, int(found.rank.min())
    (True, 1)
    """
    covered = np.zeros((2**FINEST, 2**FINEST), bool)
    waiting, parts, rank = _all_cells(COARSEST), list[Basin](), 0
    for level in range(COARSEST, FINEST + 1):
        waiting = waiting[_meets_below_edge(waiting, tables)]
        seen = _images(waiting, tables, cycle)
        taken = np.zeros(len(waiting), np.uint8)
        while True:
            open_rows = np.flatnonzero(taken == 0)
            inside = _are_covered(sums_of(covered), seen[open_rows])
            accepted = inside.any(axis=1)
            if not accepted.any():
                break
            rank += 1
            rows, steps = open_rows[accepted], inside[accepted].argmax(axis=1) + 1
            taken[rows] = steps
            parts.append(
                Basin(waiting[rows], steps.astype(np.uint8), np.full(len(rows), rank, np.uint16))
            )
            _paint(covered, waiting[rows], level)
        waiting = waiting[taken == 0]
        if covered.mean() > ENOUGH * _part_below_edge(tables.kappa):
            break
        waiting = _quarters(waiting)
    if not parts:
        return None
    columns = [np.concatenate([getattr(b, s) for b in parts]) for s in ("steps", "rank")]
    return Basin(joined([b.cells for b in parts]), *columns)


def _all_cells(level: int) -> Cells:
    index = np.arange(2**level, dtype=np.int64)
    x, y = (v.ravel() for v in np.meshgrid(index, index, indexing="ij"))
    return Cells(x, y, np.full(x.shape, level), np.full(x.shape, level))


def _quarters(cells: Cells) -> Cells:
    halves = cells.halves(np.zeros(len(cells), np.int64))
    return halves.halves(np.ones(len(halves), np.int64))


def _part_below_edge(kappa: float) -> float:
    """Return the part of `BASIN_BOX` below the edge: a triangle of legs 4 (2 +- kappa)."""
    (_, x), (_, y) = BASIN_BOX
    return 8.0 * (4.0 - kappa * kappa) / (x * y)


def _meets_below_edge(cells: Cells, tables: StepTables) -> NDArray[np.bool_]:
    """Return which cells may have a point with w < 0; the others could not be accepted."""
    x, _, y, _ = cells.corners(BASIN_BOX).T
    constant, by_x, by_y = tables.factors[1].mean(axis=1)
    return np.asarray(constant + by_x * x + by_y * y < 0.0)


def _images(cells: Cells, tables: StepTables, cycle: Cycle) -> NDArray[np.int32]:
    """Return the pixels of the finest size that images of cells meet."""
    rule = (tables.multipliers, tables.factors, tables.box, cycle.numbers())
    steps = STEPS + PERIODS * cycle.period
    return np.asarray(kernels().images(cells.enclosures(BASIN_BOX), *rule, steps, 2**FINEST))


def _are_covered(sums: NDArray[np.int32], pixels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which ranges of pixels belong to a union as a whole, or lie in the cycle's box."""
    number = len(sums) - 1
    left, right, low, high = np.moveaxis(pixels, -1, 0)
    known = (left >= 0) & (right < number) & (high < number)
    left, right, low, high = (np.where(known, v, 0) for v in (left, right + 1, low, high + 1))
    count = sums[right, high] - sums[left, high] - sums[right, low] + sums[left, low]
    arrived = pixels[..., 0] == ARRIVED
    return np.asarray(arrived | known & (count == (right - left) * (high - low)))


def _paint(covered: NDArray[np.bool_], cells: Cells, level: int) -> None:
    """Add cells of one level to a union of pixels."""
    number = 2**level
    size = len(covered) // number
    blocks = covered.reshape(number, size, number, size)
    blocks[cells.index_x, :, cells.index_y, :] = True
