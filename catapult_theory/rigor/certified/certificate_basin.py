"""The basin of a cycle, checked again: each cell leads to lower ranks, or into the cycle's box.

A cell of the basin claims that what starts in it below the edge comes, so many steps later, into
the box of the cycle or into cells of lower rank. Whoever relies on a cell relies on those that it
relies on in turn, down to the box: all of them are checked, each once. Since ranks fall strictly,
this ends, and no cell supports itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from catapult_theory.rigor.certified.certificate_balls import Box, Image, ball
from catapult_theory.rigor.certified.certificate_file import Record

# The cells of the basin come from halving this rectangle.
HIGHEST_X, HIGHEST_Y = 16, 4
# Finer files are refused; a cell is cut in quarters at most so often.
FINEST, DEEPEST = 12, 5
_NO_CELL = -1


@dataclass(frozen=True, eq=False)
class Basin:
    """The cells of the basin of a file.

    Parameters
    ----------
    kappa : Fraction
    cycle : tuple of Fraction
        Low X, high X and largest Y of the box that the cycle contracts; nothing if there is none.
    owner : numpy.ndarray of int, shape (N, N)
        The row of the cell that holds each pixel of the finest size, or -1.
    index_x, index_y, level, steps, rank : numpy.ndarray of int
        A row for each cell.
    """

    kappa: Fraction
    cycle: tuple[Fraction, ...]
    owner: NDArray[np.int64]
    index_x: NDArray[np.int64]
    index_y: NDArray[np.int64]
    level: NDArray[np.int64]
    steps: NDArray[np.int64]
    rank: NDArray[np.int64]
    # Rows found to hold, with all on which they rely.
    _good: set[int] = field(default_factory=set)

    def box(self, row: int) -> Box:
        """Return the exact corners of a cell."""
        parts = 2 ** int(self.level[row])
        x, y = int(self.index_x[row]), int(self.index_y[row])
        width, height = Fraction(HIGHEST_X, parts), Fraction(HIGHEST_Y, parts)
        return x * width, (x + 1) * width, y * height, (y + 1) * height

    def supports(self, image: Image, relied: set[int], below: int | None = None) -> bool:
        """Check that an image lies in the cycle's box or in cells of the basin.

        Parameters
        ----------
        image : Image
        relied : set of int
            Receives the rows of those cells.
        below : int, optional
            They must have a lower rank than this.

        Returns
        -------
        bool
        """
        if not image.is_finite or not image.bounded or len(self.cycle) != 3:
            return False
        k = ball(self.kappa)
        # X = a + 2 (p + kappa), Y = a - 2 (p + kappa).
        x, y = image.combined(2, 1) + 2 * k, image.combined(-2, 1) - 2 * k
        low, high, top = map(ball, self.cycle)
        if bool(x >= low) and bool(x <= high) and bool(y <= top):
            return True
        number = len(self.owner)
        (left, right), (bottom, upper) = _met(x, number, HIGHEST_X), _met(y, number, HIGHEST_Y)
        if right >= number or upper >= number:
            return False
        rows = np.unique(self.owner[left : right + 1, bottom : upper + 1])
        if rows[0] == _NO_CELL or (below is not None and self.rank[rows].max() >= below):
            return False
        relied.update(map(int, rows))
        return True

    def holds(self, rows: set[int]) -> bool:
        """Check cells, and all on which they rely."""
        seen, waiting = set(rows) - self._good, list(rows - self._good)
        while waiting:
            row = waiting.pop()
            relied: set[int] = set()
            rank, steps = int(self.rank[row]), int(self.steps[row])

            def rule(image: Image, relied: set[int] = relied, rank: int = rank) -> bool:
                return self.supports(image, relied, rank)

            if rank < 1 or not settled(self.box(row), self.kappa, steps, rule, DEEPEST):
                return False
            waiting += relied - seen - self._good
            seen |= relied
        self._good.update(seen)
        return True


def settled(
    box: Box, kappa: Fraction, steps: int, rule: Callable[[Image], bool], depth: int
) -> bool:
    """Check a rule on the image of a box after some steps, or on those of its quarters.

    Parameters
    ----------
    box : tuple of Fraction
    kappa : Fraction
    steps : int
    rule : callable
        From an `Image` to whether it is as claimed.
    depth : int
        How often the box may be cut.

    Returns
    -------
    bool
    """
    image = Image.of(box, kappa)
    for _ in range(steps):
        image = image.after_a_step(kappa)
    if rule(image):
        return True
    if depth == 0:
        return False
    x0, x1, y0, y1 = box
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    quarters = ((x0, x, y0, y), (x, x1, y0, y), (x0, x, y, y1), (x, x1, y, y1))
    return all(settled(quarter, kappa, steps, rule, depth - 1) for quarter in quarters)


@lru_cache(maxsize=1)
def basin_of(record: Record) -> Basin:
    """Return the basin of a file.

    Parameters
    ----------
    record : Record

    Returns
    -------
    Basin
        Without any cell, where the file has none or the cells lie outside the rectangle.
    """
    names = ("index_x", "index_y", "level", "steps", "rank")
    columns = [record.columns[f"basin_{name}"].astype(np.int64) for name in names]
    x, y, level = columns[:3]
    if np.any(level > FINEST) or np.any(np.maximum(x, y) >> np.minimum(level, FINEST)):
        columns = [column[:0] for column in columns]
    x, y, level = columns[:3]
    finest = int(level.max()) if len(level) else 0
    owner = np.full((2**finest, 2**finest), _NO_CELL, np.int64)
    for row, (i, j, size) in enumerate(zip(x, y, 2 ** (finest - level), strict=True)):
        owner[i * size : (i + 1) * size, j * size : (j + 1) * size] = row
    numbers = [record.cycle.get(name, np.nan) for name in ("x_low", "x_high", "y_high")]
    cycle = tuple(map(Fraction, numbers)) if np.all(np.isfinite(numbers)) else ()
    return Basin(record.kappa, cycle, owner, *columns)


def _met(value: Any, number: int, highest: int) -> tuple[int, int]:
    """Return the first and last pixel that a ball meets; X and Y are never negative."""
    scale = Fraction(number, highest)
    ends = (value * ball(scale)).lower().floor(), (value * ball(scale)).upper().floor()
    low, high = (int(end.unique_fmpz()) for end in ends)
    return max(low, 0), max(high, 0)
