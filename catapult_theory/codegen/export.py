"""Generated sources as files of their own, to be embedded in other programs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from catapult_theory.codegen.kernel import DTYPES, Kernel
from catapult_theory.errors import InputError, OutputError, unknown_name

ENDINGS = {"c": (".h", ".hpp"), "numba": (".py",), "jax": (".py",), "array": (".py",)}


def endings(target: str) -> tuple[str, ...]:
    """Return the file endings that fit a target, the usual one first.

    Parameters
    ----------
    target : str

    Returns
    -------
    tuple of str

    Raises
    ------
    InputError
        For a target that is not embedded through a file.

    Examples
    --------
    >>> endings("numba")
    ('.py',)
    """
    if target not in ENDINGS:
        raise unknown_name("target", target, ENDINGS)
    return ENDINGS[target]


def exported(update_map: Any, target: str, dtype: str = "float64") -> str:
    """Return the standalone source of a map; what the target needs need not be installed here.

    Parameters
    ----------
    update_map : UpdateMap
    target : str
        "c", "numba", "jax" or "array".
    dtype : str

    Returns
    -------
    str

    Raises
    ------
    InputError
        For an unknown target or dtype.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> "uv_squared_gd_step" in exported(ct.derive(ct.models.uv()), "c")
    True
    """
    endings(target)
    if dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    return Kernel(update_map, target, dtype).source


def check_destination(path: Path, target: str, force: bool) -> None:
    """Refuse a file that should not be written, before work is done for it.

    Parameters
    ----------
    path : pathlib.Path
    target : str
    force : bool
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        If the ending does not fit the target.
    OutputError
        If the file exists, or cannot be written.

    Examples
    --------
    >>> check_destination(Path("uv.py"), "c", force=True)
    Traceback (most recent call last):
    ...
    catapult_theory.errors.InputError: uv.py does not look like a file for target c: name it uv.h
    """
    fitting = endings(target)
    folder = path.absolute().parent
    if path.suffix not in fitting and not path.is_dir():
        better = path.with_suffix(fitting[0]) if path.suffix else f"{path}{fitting[0]}"
        raise InputError(f"{path} does not look like a file for target {target}: name it {better}")
    if (path.exists() and not path.is_file()) or not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write {path}: give a file in an existing, writable folder")
    if path.exists() and not force:
        raise OutputError(f"{path} exists: give another name, or --force to replace it")


def write_whole(path: Path, text: str) -> None:
    """Write a file through a temporary one: it is there as a whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
    text : str

    Raises
    ------
    OutputError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(Path(folder, "a.h"), "int a;")
    ...     [file.name for file in Path(folder).iterdir()]
    ['a.h']
    """
    whole = path.resolve()
    part = whole.with_name(f".{whole.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, whole)
    except OSError as cause:
        raise OutputError(f"cannot write {path}: {cause.strerror or cause}") from cause
    finally:
        part.unlink(missing_ok=True)
