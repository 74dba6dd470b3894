"""Generated sources as real files, so that Numba can cache them and a debugger can step in."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from catapult_theory.errors import OutputError

VARIABLE = "CATAPULT_CACHE"


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
    digest = hashlib.sha256("\0".join([source, *key]).encode()).hexdigest()[:16]
    name = f"catapult_kernel_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    path = cache_folder() / f"{name}.py"
    try:
        if not path.exists() or path.read_text() != source:
            _write(path, source)
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


def _write(path: Path, source: str) -> None:
    """Write through a temporary file, so that no other process sees half a source."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(handle, "w") as file:
        file.write(source)
    os.replace(temporary, path)
