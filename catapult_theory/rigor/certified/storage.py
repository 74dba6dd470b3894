"""Certified phase maps as netCDF files, with all that is needed to check each cell again."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from catapult_theory.errors import InputError, OutputError
from catapult_theory.rigor.certified.basin import Basin
from catapult_theory.rigor.certified.cells import Cells
from catapult_theory.rigor.certified.cycle import Cycle
from catapult_theory.rigor.certified.phase_map import KINDS, TRAP_NUMBERS, PhaseMap
from catapult_theory.rigor.certified.theorems import THEOREMS

SCHEMA = "catapult_theory/phase-map/2"
_CYCLE, _BASIN = "cycle_", "basin_"
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


def to_dataset(phase_map: PhaseMap) -> xr.Dataset:
    """Return a map as an xarray Dataset, the form in which it is stored.

    Parameters
    ----------
    phase_map : PhaseMap

    Returns
    -------
    xarray.Dataset
        Dimensions cell, number and basin; attributes schema, kappa, box_x, box_y, digest and the
        cycle's, if there is one.
    """
    cells = phase_map.cells
    columns: dict[str, Any] = {
        "index_x": cells.index_x,
        "index_y": cells.index_y,
        "level_x": cells.level_x,
        "level_y": cells.level_y,
        "kind": phase_map.kind,
        "theorem": phase_map.theorem,
        "steps": phase_map.steps,
    }
    data: dict[str, Any] = {k: ("cell", v.astype(_DTYPES[k])) for k, v in columns.items()}
    data |= {k: ("basin", v.astype(_DTYPES[k])) for k, v in _basin_columns(phase_map).items()}
    data["trap"] = (("cell", "number"), phase_map.trap.astype(_DTYPES["trap"]))
    attrs: dict[str, Any] = {
        **phase_map.attrs,
        "schema": SCHEMA,
        "kappa": phase_map.kappa,
        "box_x": np.array(phase_map.box[0]),
        "box_y": np.array(phase_map.box[1]),
        "kinds": ", ".join(KINDS),
        "theorems": ", ".join(THEOREMS),
    }
    if phase_map.cycle is not None:
        cycle = dataclasses.asdict(phase_map.cycle)
        attrs |= {_CYCLE + name: value for name, value in cycle.items()}
    dataset = xr.Dataset(data, coords={"number": list(TRAP_NUMBERS)}, attrs=attrs)
    dataset.attrs["digest"] = digest(dataset)
    return dataset


def _basin_columns(phase_map: PhaseMap) -> dict[str, Any]:
    basin = phase_map.basin
    if basin is None:
        return {name: np.zeros(0) for name in _DTYPES if name.startswith(_BASIN)}
    return {
        "basin_index_x": basin.cells.index_x,
        "basin_index_y": basin.cells.index_y,
        "basin_level": basin.cells.level_x,
        "basin_steps": basin.steps,
        "basin_rank": basin.rank,
    }


def digest(dataset: xr.Dataset) -> str:
    """Return a SHA-256 of all that the certificates rest on.

    Parameters
    ----------
    dataset : xarray.Dataset

    Returns
    -------
    str
        Hexadecimal.
    """
    total = hashlib.sha256()
    names = sorted(name for name in dataset.attrs if name.startswith(_CYCLE))
    numbers = [dataset.attrs["kappa"], *dataset.attrs["box_x"], *dataset.attrs["box_y"]]
    numbers += [dataset.attrs[name] for name in names]
    total.update(np.array(numbers, "<f8").tobytes())
    for name, dtype in _DTYPES.items():
        total.update(np.ascontiguousarray(dataset[name].values.astype(dtype)).tobytes())
    return total.hexdigest()


def save(phase_map: PhaseMap, path: str | Path) -> Path:
    """Write a map to a netCDF file.

    Parameters
    ----------
    phase_map : PhaseMap
    path : str or pathlib.Path

    Returns
    -------
    pathlib.Path

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    dataset = to_dataset(phase_map)
    packed = {name: {"zlib": True, "complevel": 4, "shuffle": True} for name in _DTYPES}
    try:
        dataset.to_netcdf(path, engine="h5netcdf", encoding=packed)
    except OSError as cause:
        reason = os.strerror(cause.errno) if cause.errno else cause
        raise OutputError(f"cannot write the map to {path}: {reason}") from cause
    return Path(path)


def load(path: str | Path) -> PhaseMap:
    """Read a map that `save` wrote.

    Parameters
    ----------
    path : str or pathlib.Path

    Returns
    -------
    PhaseMap

    Raises
    ------
    InputError
        If it is no such file, of another schema, or its contents were changed.
    """
    try:
        with xr.open_dataset(path, engine="h5netcdf") as file:
            dataset = file.load()
    except OSError as cause:
        reason = os.strerror(cause.errno) if cause.errno else "it is no netCDF file"
        raise InputError(f"cannot read a phase map from {path}: {reason}") from cause
    except ValueError as cause:
        raise InputError(f"cannot read a phase map from {path}: {cause}") from cause
    found = dataset.attrs.get("schema")
    if found != SCHEMA:
        raise InputError(f"{path} has schema {found!r}, this version reads {SCHEMA!r}")
    if digest(dataset) != dataset.attrs.get("digest"):
        raise InputError(f"the contents of {path} are not those that were written: make it anew")
    return _from_dataset(dataset)


def _from_dataset(dataset: xr.Dataset) -> PhaseMap:
    attrs = dict(dataset.attrs)
    kinds: dict[str, Any] = {
        f.name: int if f.type == "int" else float for f in dataclasses.fields(Cycle)
    }
    cycle = None
    if _CYCLE + "period" in attrs:
        cycle = Cycle(**{name: make(attrs[_CYCLE + name]) for name, make in kinds.items()})
    (x0, x1), (y0, y1) = attrs["box_x"], attrs["box_y"]
    names = ("index_x", "index_y", "level_x", "level_y")
    cells = Cells(*(dataset[name].values.astype(np.int64) for name in names))
    own = ("schema", "kappa", "box_x", "box_y", "kinds", "theorems", "digest")
    kept = {k: v for k, v in attrs.items() if k not in own and not k.startswith(_CYCLE)}
    return PhaseMap(
        float(attrs["kappa"]),
        ((float(x0), float(x1)), (float(y0), float(y1))),
        cells,
        dataset["theorem"].values,
        dataset["steps"].values,
        dataset["trap"].values,
        cycle,
        _basin(dataset),
        kept,
    )


def _basin(dataset: xr.Dataset) -> Basin | None:
    if not dataset.sizes["basin"]:
        return None
    level = dataset["basin_level"].values.astype(np.int64)
    x, y = (dataset[f"basin_index_{axis}"].values.astype(np.int64) for axis in "xy")
    return Basin(
        Cells(x, y, level, level), dataset["basin_steps"].values, dataset["basin_rank"].values
    )
