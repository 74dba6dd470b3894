"""Check certified phase maps again, with nothing of the program that made them.

The file is read by `certificate_file`, images of boxes are enclosed by `certificate_balls`; both
share no line and no formula with the certifier. A cell that its certificate does not settle at
once is cut in quarters, each of which must meet the same certificate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from catapult_theory.errors import InputError
from catapult_theory.rigor.certified.certificate_balls import (
    PRECISION,
    Box,
    Image,
    ball,
    cycle_contracts,
    flint,
)
from catapult_theory.rigor.certified.certificate_basin import DEEPEST, Basin, basin_of, settled
from catapult_theory.rigor.certified.certificate_file import Record, read

# What each theorem says of a start.
CONCLUSIONS = {
    "none": "open",
    "trap_y": "converges",
    "trap_s": "converges",
    "T3 and T4": "converges",
    "edge": "no stable minimum",
    "escape": "no stable minimum",
    "cone": "diverges",
    "cycle": "cycles",
}


@dataclass(frozen=True)
class CellCheck:
    """What the check of one cell found.

    Parameters
    ----------
    row : int
    valid : bool
    reason : str
        What is wrong, or by which theorem the cell was settled.
    """

    row: int
    valid: bool
    reason: str


@dataclass(frozen=True)
class FileCheck:
    """What the check of a file found.

    Parameters
    ----------
    path : Path
    cells : int
        In the file.
    checked : tuple of CellCheck
        Certified cells that were checked.
    faults : tuple of str
        What is wrong with the file as a whole.
    """

    path: Path
    cells: int
    checked: tuple[CellCheck, ...]
    faults: tuple[str, ...]

    @property
    def rejected(self) -> tuple[CellCheck, ...]:
        """Cells whose certificate does not hold."""
        return tuple(one for one in self.checked if not one.valid)

    @property
    def valid(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.rejected and not self.faults

    def __str__(self) -> str:
        good = len(self.checked) - len(self.rejected)
        lines = [f"{self.path}: {self.cells} cells, {good} of {len(self.checked)} checked hold"]
        lines += [f"  {fault}" for fault in self.faults]
        lines += [f"  cell {one.row}: {one.reason}" for one in self.rejected]
        return "\n".join(lines)


def check_file(
    path: str | Path, sample: int = 200, seed: int = 0, rows: Iterable[int] | None = None
) -> FileCheck:
    """Check a certified phase map: the file as a whole, and a sample of its cells.

    Parameters
    ----------
    path : str or pathlib.Path
    sample : int
        How many certified cells are drawn, evenly over the theorems.
    seed : int
    rows : iterable of int, optional
        These cells instead of a sample.

    Returns
    -------
    FileCheck

    Raises
    ------
    MissingBackend
        Without python-flint.
    InputError
        If the file cannot be read, or is of another schema; if no cell is to be drawn.

    Examples
    --------
    >>> check_file("no-such-map.nc")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    catapult_theory.errors.InputError: cannot read a certified phase map from no-such-map.nc: ...
    """
    if rows is None and sample < 1:
        raise InputError(f"a check draws at least 1 cell, not {sample}")
    record = read(path)
    flint()
    chosen = record.sample(sample, seed) if rows is None else list(rows)
    checked = tuple(check_cell(record, row) for row in chosen)
    faults = (*record.faults(chosen), *_misnamed(record))
    return FileCheck(Path(path), record.count, checked, faults)


def _misnamed(record: Record) -> list[str]:
    """Return the classes, of all cells and not of a sample alone, that no theorem gives them.

    A cell without a theorem is never drawn; one that is called more than open would pass.
    """
    pairs = np.stack([record.columns["theorem"], record.columns["kind"]], axis=-1)
    found = []
    _, first, counts = np.unique(pairs, axis=0, return_index=True, return_counts=True)
    for row, count in zip(map(int, first), counts, strict=True):
        name, kind = record.theorem(row), record.kind(row)
        if CONCLUSIONS.get(name) != kind:
            found.append(
                f"theorem {name!r} does not give the class {kind!r}, which {count} cells have, "
                f"cell {row} first"
            )
    return found


def check_cell(record: Record, row: int) -> CellCheck:
    """Check one cell from its certificate.

    Parameters
    ----------
    record : Record
    row : int

    Returns
    -------
    CellCheck

    Raises
    ------
    MissingBackend
        Without python-flint.
    """
    name, kind = record.theorem(row), record.kind(row)
    if CONCLUSIONS.get(name) != kind:
        return CellCheck(row, False, f"theorem {name!r} does not give the class {kind!r}")
    if name == "none":
        return CellCheck(row, True, "open: nothing is claimed")
    box = record.box(row)
    if min(box[0], box[2]) < 0 or record.kappa < 0:
        return CellCheck(row, False, "the cell or kappa lies outside the domain")
    claim = Claim(
        name,
        record.kappa,
        int(record.columns["steps"][row]),
        record.trap(row),
        record.cycle,
        basin_of(record),
    )
    with flint().ctx.workprec(PRECISION):
        valid = claim.numbers_hold() and claim.holds_on(box)
    return CellCheck(row, valid, name if valid else f"the certificate by {name} does not hold")


@dataclass(frozen=True)
class Claim:
    """What a certificate says of each start in a box.

    Parameters
    ----------
    theorem : str
    kappa : Fraction
    steps : int
    trap : tuple of Fraction
        r, m, M, e, g.
    cycle : mapping of str to float
    basin : Basin
    """

    theorem: str
    kappa: Fraction
    steps: int
    trap: tuple[Fraction, ...]
    cycle: Mapping[str, float]
    basin: Basin

    def numbers_hold(self) -> bool:
        """Check what does not depend on the cell."""
        if self.theorem in ("trap_y", "trap_s"):
            return len(self.trap) == 5 and self._trap_holds()
        if self.theorem == "T3 and T4":
            return self.kappa == 0
        if self.theorem == "edge":
            return self.kappa < 2
        if self.theorem == "escape":
            return self.kappa > 0
        if self.theorem == "cycle":
            return cycle_contracts(self.kappa, self.cycle)
        return True

    def _trap_holds(self) -> bool:
        r, m, most, e, g = self.trap
        k = self.kappa
        ordered = 0 <= m <= most and e >= 0 and 0 <= r < 1
        shrinks = 1 - m + e * (e + k) <= r and most - 1 + e * k <= r
        return ordered and shrinks and (self.theorem == "trap_s" or g == 0)

    def holds_on(self, box: Box) -> bool:
        """Check a box, and the cells of the basin on which it relies."""
        relied: set[int] = set()

        def rule(image: Image) -> bool:
            return self._holds_at(image, relied)

        return settled(box, self.kappa, self.steps, rule, DEEPEST) and self.basin.holds(relied)

    def _holds_at(self, image: Image, relied: set[int]) -> bool:
        k = ball(self.kappa)
        if not image.is_finite:
            return False
        if self.theorem in ("trap_y", "trap_s"):
            return self._is_trapped(image)
        if self.theorem == "T3 and T4":
            return bool(image.a < 2)
        if self.theorem == "edge":
            return bool(image.combined(-k, 1) > 4)
        if self.theorem == "escape":
            return bool(image.a >= 4 + 4 * k)
        if self.theorem == "cone":
            return bool(abs(image.p) >= 4 + 2 * k) and bool(image.p * image.p >= 4 * image.a)
        return self.basin.supports(image, relied)

    def _is_trapped(self, image: Image) -> bool:
        r, m, most, e, g = (ball(v) for v in self.trap)
        k = ball(self.kappa)
        if not abs(image.p) <= e:
            return False
        if self.theorem == "trap_y":
            moved = e * (4 * (e + k) + e * most)
            return bool(moved <= (image.a - m) * (1 - r)) and bool(
                moved <= (most - image.a) * (1 - r)
            )
        s = image.combined(-g, 1)
        for a in (m, most):
            rate = abs(g * a - 4 * k) + e * abs(a - 4 - g * k) + abs(g) * e * e
            below = e * rate <= (s - abs(g) * e - m) * (1 - r)
            if not (below and e * rate <= (most - s - abs(g) * e) * (1 - r)):
                return False
        return True
