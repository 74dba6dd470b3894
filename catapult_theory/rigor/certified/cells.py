"""Boxes made by halving a rectangle again and again, as whole numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rectangle = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Cells:
    """Boxes made by halving a rectangle again and again, a row each.

    In units of the rectangle's sides cell i is [index_x, index_x + 1] / 2^level_x by
    [index_y, index_y + 1] / 2^level_y, exactly.

    Parameters
    ----------
    index_x, index_y, level_x, level_y : numpy.ndarray of int
    """

    index_x: NDArray[np.int64]
    index_y: NDArray[np.int64]
    level_x: NDArray[np.int64]
    level_y: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.index_x)

    def __getitem__(self, rows: Any) -> Cells:
        return Cells(*(getattr(self, f.name)[rows] for f in fields(self)))

    @property
    def area(self) -> NDArray[np.float64]:
        """Areas as parts of the rectangle, exactly."""
        return np.ldexp(1.0, -(self.level_x + self.level_y).astype(np.int32))

    def corners(self, box: Rectangle) -> NDArray[np.float64]:
        """Return low X, high X, low Y, high Y, each rounded from the exact corner."""
        columns = []
        for (low, high), index, level in zip(
            box, (self.index_x, self.index_y), (self.level_x, self.level_y), strict=True
        ):
            for number in (index, index + 1):
                part = np.ldexp(number.astype(np.float64), -level.astype(np.int32))
                columns.append(low + (high - low) * part)
        return np.stack(columns, axis=1)

    def enclosures(self, box: Rectangle) -> NDArray[np.float64]:
        """Return the corners moved outwards by more than the roundings in `corners`.

        Those are three, each of less than an ulp of the largest side of the box.
        """
        slack = 4.0 * np.spacing(max(high for _, high in box))
        return self.corners(box) + slack * np.array([-1.0, 1.0, -1.0, 1.0])

    def halves(self, side: NDArray[np.integer]) -> Cells:
        """Return both halves of each cell, cut across X (side 0) or Y (side 1)."""
        across_x = side == 0
        parts = [
            (
                np.where(across_x, 2 * self.index_x + half, self.index_x),
                np.where(across_x, self.index_y, 2 * self.index_y + half),
                self.level_x + across_x,
                self.level_y + ~across_x,
            )
            for half in (0, 1)
        ]
        return Cells(*(np.concatenate(both) for both in zip(*parts, strict=True)))


def joined(parts: list[Cells]) -> Cells:
    """Return the cells of all parts in order."""
    return Cells(*(np.concatenate([getattr(c, f.name) for c in parts]) for f in fields(Cells)))
