"""A certified phase map: boxes of starts that tile a rectangle, each with its certificate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from catapult_theory.errors import InputError
from catapult_theory.rigor.certified.basin import Basin
from catapult_theory.rigor.certified.cells import Cells, Rectangle
from catapult_theory.rigor.certified.cycle import Cycle
from catapult_theory.rigor.certified.theorems import (
    CONE,
    CYCLE,
    EDGE,
    ESCAPE,
    FALL,
    NONE,
    THEOREMS,
    TRAP_S,
    TRAP_Y,
)

KINDS = ("open", "converges", "cycles", "no stable minimum", "diverges")
_KIND_OF_THEOREM = {
    NONE: 0,
    TRAP_Y: 1,
    TRAP_S: 1,
    FALL: 1,
    CYCLE: 2,
    EDGE: 3,
    ESCAPE: 3,
    CONE: 4,
}
KIND_OF_THEOREM = np.array([_KIND_OF_THEOREM[i] for i in range(len(THEOREMS))], np.uint8)
TRAP_NUMBERS = ("r", "m", "M", "e", "g")


@dataclass(frozen=True, eq=False)
class PhaseMap:
    """What has been proved about every start in a rectangle of (X, Y), X, Y = a +- 2q.

    Parameters
    ----------
    kappa : float
        eta y / sqrt(n).
    box : tuple
        ((low X, high X), (low Y, high Y)).
    cells : Cells
        They tile the box.
    theorem : numpy.ndarray of uint8
        Index into `THEOREMS` for each cell; 0 for an open one.
    steps : numpy.ndarray of uint16
        After how many steps the image of the cell meets the theorem's hypotheses.
    trap : numpy.ndarray, shape (cells, 5)
        r, m, M, e and g of a trap; zero where another theorem was used.
    cycle : Cycle or None
        The box that the theorem "cycle" speaks of.
    basin : Basin or None
        The cells that lead into that box, on which the theorem relies as well.
    attrs : mapping
        How the map was made.
    """

    kappa: float
    box: Rectangle
    cells: Cells
    theorem: NDArray[np.uint8]
    steps: NDArray[np.uint16]
    trap: NDArray[np.float64]
    cycle: Cycle | None = None
    basin: Basin | None = None
    attrs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        arrays = [getattr(self.cells, f.name) for f in fields(Cells)]
        for array in (*arrays, self.theorem, self.steps, self.trap):
            array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def kind(self) -> NDArray[np.uint8]:
        """Index into `KINDS` for each cell."""
        return KIND_OF_THEOREM[self.theorem]

    @property
    def area(self) -> dict[str, float]:
        """The part of the box that each kind covers; the sum is exactly 1."""
        total = np.bincount(self.kind, weights=self.cells.area, minlength=len(KINDS))
        return dict(zip(KINDS, map(float, total), strict=True))

    @property
    def area_by_theorem(self) -> dict[str, float]:
        """The part of the box that each theorem covers."""
        total = np.bincount(self.theorem, weights=self.cells.area, minlength=len(THEOREMS))
        return dict(zip(THEOREMS, map(float, total), strict=True))

    def corners(self) -> NDArray[np.float64]:
        """Return low X, high X, low Y, high Y of each cell."""
        return self.cells.corners(self.box)

    def cell_at(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.int64]:
        """Return the row of a cell that holds each start.

        Parameters
        ----------
        x, y : array_like
            X and Y of the starts, in the box.

        Returns
        -------
        numpy.ndarray of int

        Raises
        ------
        InputError
            If a start lies outside the box.
        """
        xs, ys = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        parts = [
            (v - low) / (high - low) for v, (low, high) in zip((xs, ys), self.box, strict=True)
        ]
        if not all(np.all((part >= 0) & (part <= 1)) for part in parts):
            raise InputError(f"a start lies outside the box {self.box} of this map")
        found = np.full(xs.shape, -1, np.int64)
        levels = np.stack([self.cells.level_x, self.cells.level_y])
        for i, j in np.unique(levels, axis=1).T:
            rows = np.flatnonzero((levels[0] == i) & (levels[1] == j))
            keys = (self.cells.index_x[rows] << int(j)) + self.cells.index_y[rows]
            order = np.argsort(keys)
            column, row = (
                np.minimum((part * 2.0**k).astype(np.int64), 2 ** int(k) - 1)
                for part, k in zip(parts, (i, j), strict=True)
            )
            wanted = (column << int(j)) + row
            place = np.minimum(np.searchsorted(keys[order], wanted), len(rows) - 1)
            hit = keys[order][place] == wanted
            found[hit] = rows[order][place[hit]]
        return found

    def kind_at(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.str_]:
        """Return what is proved of each start, in words.

        Parameters
        ----------
        x, y : array_like
            X = a + 2q and Y = a - 2q, in the box.

        Returns
        -------
        numpy.ndarray of str
        """
        return np.array(KINDS)[self.kind[self.cell_at(x, y)]]

    def certificate(self, row: int) -> str:
        """Return the certificate of one cell as a sentence.

        Parameters
        ----------
        row : int

        Returns
        -------
        str
        """
        low_x, high_x, low_y, high_y = self.corners()[row]
        text = f"X in [{low_x:.6g}, {high_x:.6g}], Y in [{low_y:.6g}, {high_y:.6g}]: "
        name, steps = THEOREMS[self.theorem[row]], int(self.steps[row])
        if name == "none":
            return text + "open"
        text += f"{KINDS[self.kind[row]]}, by {name} after {steps} steps"
        if name.startswith("trap"):
            pairs = zip(TRAP_NUMBERS, self.trap[row], strict=True)
            text += " with " + ", ".join(f"{s} = {v:.6g}" for s, v in pairs)
        if name == "cycle" and self.cycle is not None:
            text += f", period {self.cycle.period}, contraction {self.cycle.contraction:.4g}"
        return text

    def save(self, path: str | Path) -> Path:
        """Write the map to a netCDF file and return its path: `storage.save`."""
        from catapult_theory.rigor.certified.storage import save

        return save(self, path)

    @staticmethod
    def load(path: str | Path) -> PhaseMap:
        """Read a map that `save` wrote: `storage.load`, which says what it refuses."""
        from catapult_theory.rigor.certified.storage import load

        return load(path)

    def __str__(self) -> str:
        (x0, x1), (y0, y1) = self.box
        lines = [f"kappa = {self.kappa:g}, X in [{x0:g}, {x1:g}], Y in [{y0:g}, {y1:g}]"]
        lines += [f"  {name:<18} {100 * part:8.3f} %" for name, part in self.area.items()]
        lines.append(f"  {len(self)} cells; {self.attrs.get('stopped', '')}".rstrip("; "))
        return "\n".join(lines)
