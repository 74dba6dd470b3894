"""Generated files: sources, for Numba's cache and for debuggers, and compiled objects."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from catapult_theory.errors import OutputError

VARIABLE = "CATAPULT_CACHE"
_DIGEST = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """Return the folder of generated files: $CATAPULT_CACHE or ~/.cache/catapult_theory.

    Returns
    -------
    pathlib.Path

    Examples
    --------
    >>> cache_folder().is_absolute()
    True
    """
    chosen = os.environ.get(VARIABLE)
    return Path(chosen).absolute() if chosen else Path.home() / ".cache" / "catapult_theory"


def load_module(source: str, key: Iterable[str]) -> ModuleType:
    """Write a source under a name made of its content and key, and import it.

    Parameters
    ----------
    source : str
    key : iterable of str
        What the compiled form depends on besides the source: backend, versions, flags.

    Returns
    -------
    module

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    name = _name(source, *key)
    if name in sys.modules:
        return sys.modules[name]
    path = cache_folder() / f"{name}.py"
    try:
        if not path.exists() or path.read_text() != source:
            _write(path, source.encode())
    except OSError as cause:
        raise OutputError(
            f"cannot write generated code to {path.parent} ({cause.strerror}): set ${VARIABLE} "
            "to a folder that can be written"
        ) from cause
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise OutputError(f"cannot import the generated file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def stored_object(key: Iterable[str], make: Callable[[], bytes]) -> bytes:
    """Return what was made under a key in this or another process, or make and keep it.

    A file that was cut short or changed does not bear its own digest, and is made again. Where
    the folder cannot be written, objects are made anew in every process.

    Parameters
    ----------
    key : iterable of str
        All that the object depends on.
    make : callable

    Returns
    -------
    bytes
    """
    path = cache_folder() / f"{_name(*key)}.o"
    with suppress(OSError):
        kept = path.read_bytes()
        if hashlib.sha256(kept[_DIGEST:]).digest() == kept[:_DIGEST]:
            return kept[_DIGEST:]
    made = make()
    with suppress(OSError):
        _write(path, hashlib.sha256(made).digest() + made)
    return made


def _name(*key: str) -> str:
    """Return the name of a generated file with that key."""
    return f"catapult_kernel_{hashlib.sha256(chr(0).join(key).encode()).hexdigest()[:16]}"


def _write(path: Path, content: bytes) -> None:
    """Write through a temporary file, so that no other process sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
