"""Files of certified phase maps, read for a check: nothing here comes from their writer."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from catapult_theory.errors import InputError

SCHEMA = "catapult_theory/phase-map/2"
_DTYPES = {
    "index_x": "<u4",
    "index_y": "<u4",
    "level_x": "u1",
    "level_y": "u1",
    "kind": "u1",
    "theorem": "u1",
    "steps": "<u2",
    "trap": "<f8",
    "basin_index_x": "<u2",
    "basin_index_y": "<u2",
    "basin_level": "u1",
    "basin_steps": "u1",
    "basin_rank": "<u2",
}

Box = tuple[Fraction, Fraction, Fraction, Fraction]


@dataclass(frozen=True, eq=False)
class Record:
    """A file as read here.

    Parameters
    ----------
    columns : mapping of str to numpy.ndarray
    attrs : mapping
    """

    columns: Mapping[str, Any]
    attrs: Mapping[str, Any]

    @property
    def count(self) -> int:
        """Number of cells."""
        return len(self.columns["theorem"])

    @property
    def kappa(self) -> Fraction:
        """The label, exactly the double in the file."""
        return Fraction(float(self.attrs["kappa"]))

    def theorem(self, row: int) -> str:
        """Return the name of the theorem of a cell."""
        return _named(self.attrs["theorems"], self.columns["theorem"][row])

    def kind(self, row: int) -> str:
        """Return what the file says of a cell."""
        return _named(self.attrs["kinds"], self.columns["kind"][row])

    def box(self, row: int) -> Box:
        """Return the exact corners of a cell."""
        corners: list[Fraction] = []
        for axis in "xy":
            low, high = (Fraction(float(v)) for v in self.attrs[f"box_{axis}"])
            index = int(self.columns[f"index_{axis}"][row])
            parts = 2 ** int(self.columns[f"level_{axis}"][row])
            corners += [low + (high - low) * Fraction(i, parts) for i in (index, index + 1)]
        return corners[0], corners[1], corners[2], corners[3]

    def trap(self, row: int) -> tuple[Fraction, ...]:
        """Return r, m, M, e and g of a trap, exactly; nothing where they are no numbers."""
        numbers = self.columns["trap"][row]
        if not np.all(np.isfinite(numbers)):
            return ()
        return tuple(Fraction(float(v)) for v in numbers)

    @property
    def cycle(self) -> dict[str, float]:
        """The numbers of the cycle, or nothing."""
        found = {k: float(v) for k, v in self.attrs.items() if k.startswith("cycle_")}
        return {k.removeprefix("cycle_"): v for k, v in found.items()}

    def sample(self, number: int, seed: int) -> list[int]:
        """Return certified cells, as many of each theorem as can be had."""
        rng = np.random.default_rng(seed)
        theorem = self.columns["theorem"]
        # By name: which code means "none" is for the file to say, and no certificate.
        codes = [
            code for code in np.unique(theorem) if _named(self.attrs["theorems"], code) != "none"
        ]
        rows: list[int] = []
        for i, code in enumerate(codes):
            among = np.flatnonzero(theorem == code)
            share = number // len(codes) + (i < number % len(codes))
            rows += sorted(map(int, rng.choice(among, min(share, len(among)), replace=False)))
        return rows

    def faults(self, rows: Iterable[int]) -> list[str]:
        """Return what is wrong with the file as a whole, or with the place of these cells."""
        found = []
        if self._digest() != str(self.attrs.get("digest")):
            found.append("the contents are not those that were written (digest)")
        level = {axis: self.columns[f"level_{axis}"].astype(np.int64) for axis in "xy"}
        index = {axis: self.columns[f"index_{axis}"].astype(np.int64) for axis in "xy"}
        depth, count = np.unique(level["x"] + level["y"], return_counts=True)
        area = sum(
            (Fraction(int(c), 2 ** int(d)) for d, c in zip(depth, count, strict=True)), Fraction(0)
        )
        inside = all(np.all(index[axis] < 2 ** level[axis]) for axis in "xy")
        if area != 1 or not inside:
            found.append(f"the cells do not tile the box: their area is {float(area)} of it")
        for row in rows:
            both = np.ones(self.count, bool)
            for axis in "xy":
                finest = np.maximum(level[axis], level[axis][row])
                low, own = index[axis] << (finest - level[axis]), index[axis][row]
                high = (index[axis] + 1) << (finest - level[axis])
                shift = finest - level[axis][row]
                both &= (low < (own + 1) << shift) & (high > own << shift)
            if both.sum() != 1:
                found.append(f"cell {row} overlaps another one")
        return found

    def _digest(self) -> str:
        total = hashlib.sha256()
        cycle = sorted(name for name in self.attrs if name.startswith("cycle_"))
        numbers = [self.attrs["kappa"], *self.attrs["box_x"], *self.attrs["box_y"]]
        numbers += [self.attrs[name] for name in cycle]
        total.update(np.array([float(v) for v in numbers], "<f8").tobytes())
        for name, dtype in _DTYPES.items():
            total.update(np.ascontiguousarray(self.columns[name].astype(dtype)).tobytes())
        return total.hexdigest()


def _named(names: Any, code: Any) -> str:
    known = str(names).split(", ")
    return known[int(code)] if int(code) < len(known) else f"code {int(code)}"


def read(path: str | Path) -> Record:
    """Read a file, without the program that wrote it.

    Parameters
    ----------
    path : str or pathlib.Path

    Returns
    -------
    Record

    Raises
    ------
    InputError
        If it is not a certified phase map of the known schema.
    """
    try:
        with h5py.File(path, "r") as file:
            attrs = {k: _plain(v) for k, v in file.attrs.items()}
            if attrs.get("schema") != SCHEMA:
                raise InputError(
                    f"{path} has schema {attrs.get('schema')!r}, this check knows {SCHEMA!r}"
                )
            columns = {name: file[name][...] for name in _DTYPES}
            for name in ("kappa", "box_x", "box_y", *(k for k in attrs if k.startswith("cycle_"))):
                np.asarray(attrs[name], dtype=float)
            _check_form(columns, attrs)
    except OSError as cause:
        # HDF5 words its errors in several lines' length; those of the system have a number.
        reason = os.strerror(cause.errno) if cause.errno else "it is no netCDF file"
        raise InputError(f"cannot read a certified phase map from {path}: {reason}") from cause
    except (KeyError, TypeError, ValueError) as cause:
        raise InputError(f"cannot read a certified phase map from {path}: {cause}") from cause
    return Record(columns, attrs)


def _check_form(columns: Mapping[str, Any], attrs: Mapping[str, Any]) -> None:
    """Raise ValueError where columns differ in length, KeyError where names are missing."""
    for basin in (False, True):
        named = [c for name, c in columns.items() if name.startswith("basin_") == basin]
        if len({len(column) for column in named}) != 1:
            raise ValueError("its columns differ in length")
    for name in ("theorems", "kinds"):
        attrs[name]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray) and value.size == 1:
        return value.reshape(())[()]
    return value
