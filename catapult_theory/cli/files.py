"""Files that commands write: refused before work is done for them, and errors in one line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from catapult_theory.errors import OutputError


def check_target(path: Path | None) -> None:
    """Refuse a file that cannot be written before work is done for it.

    Parameters
    ----------
    path : pathlib.Path or None

    Raises
    ------
    OutputError
        If it is a folder, or its folder does not exist or cannot be written to.

    Examples
    --------
    >>> check_target(Path("no-such-folder/runs.nc"))
    Traceback (most recent call last):
    ...
    catapult_theory.errors.OutputError: cannot write no-such-folder/runs.nc: give a file in an \
existing, writable folder
    """
    if path is None:
        return
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write {path}: give a file in an existing, writable folder")


def check_new(path: Path | None) -> None:
    """Refuse a file that cannot be written, or that is there: what it holds took long to make.

    Parameters
    ----------
    path : pathlib.Path or None

    Raises
    ------
    OutputError

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     check_new(Path(folder, "map.nc"))
    """
    check_target(path)
    if path is not None and path.exists():
        raise OutputError(f"{path} exists: give another name, or --force to replace it")


def save_text(text: str, path: Path) -> None:
    """Write a text file.

    Parameters
    ----------
    text : str
    path : pathlib.Path

    Raises
    ------
    OutputError
        If that fails.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_text("| uv |", Path(folder, "table.md"))
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as cause:
        raise OutputError(f"cannot write {path}: {cause.strerror or cause}") from cause


def save_netcdf(dataset: Any, path: Path) -> None:
    """Write labelled data as netCDF.

    Parameters
    ----------
    dataset : xarray.Dataset
    path : pathlib.Path

    Raises
    ------
    OutputError
        If that fails.

    Examples
    --------
    >>> import tempfile
    >>> import xarray as xr
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_netcdf(xr.Dataset({"loss": 0.5}), Path(folder, "runs.nc"))
    """
    try:
        dataset.to_netcdf(path, engine="h5netcdf")
    except OSError as cause:
        reason = os.strerror(cause.errno) if cause.errno else cause
        raise OutputError(f"cannot write {path}: {reason}") from cause
