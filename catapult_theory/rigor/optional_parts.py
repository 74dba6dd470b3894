"""Optional packages of this room, imported when they are first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from catapult_theory.errors import MissingBackend

_PACKAGES = {"hypothesis": "hypothesis", "z3": "z3-solver", "flint": "python-flint"}
_REMEDY = "pip install -e '.[rigor]'"


def optional_part(module: str, purpose: str) -> Any:
    """Return an optional module, or refuse with the line that installs it.

    Parameters
    ----------
    module : str
        "hypothesis", "z3" or "flint".
    purpose : str
        What it is needed for, as the subject of the message.

    Returns
    -------
    module

    Raises
    ------
    MissingBackend
        If it is not installed.

    Examples
    --------
    >>> optional_part("hypothesis", "this test").__name__
    'hypothesis'
    """
    try:
        return import_module(module)
    except ImportError as cause:
        raise MissingBackend(f"{purpose} needs {_PACKAGES[module]}: {_REMEDY}") from cause
