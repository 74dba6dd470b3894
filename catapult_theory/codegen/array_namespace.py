"""Arguments in arrays of another library: checked by name, kept in that library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from catapult_theory.codegen.arguments import check_parameter_names, check_state_names
from catapult_theory.errors import InputError


def is_foreign(value: Any) -> bool:
    """Whether a value is an array of another array-API library than NumPy."""
    return hasattr(value, "__array_namespace__") and not isinstance(value, (np.ndarray, np.generic))


def foreign_among(values: Any) -> bool:
    """Whether any of the values is an array of another library."""
    return any(is_foreign(v) for v in values)


def converted(name: str, value: Any, xp: Any, dtype: str) -> Any:
    """Return a number or an array of the library in the kernel's floating-point type.

    Parameters
    ----------
    name : str
    value : number or array
    xp : namespace
    dtype : str

    Returns
    -------
    array

    Raises
    ------
    InputError
        If the value is neither a real number nor a real array of that library.
    """
    kind = getattr(xp, dtype)
    if is_foreign(value):
        if value.__array_namespace__() is not xp:
            raise InputError(f"{name} is an array of another library than the others: convert it")
        if not xp.isdtype(value.dtype, ("real floating", "integral")):
            raise InputError(f"{name} must be real numbers, got {value.dtype}")
        return xp.astype(value, kind)
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
        return xp.asarray(float(value), dtype=kind)
    raise InputError(f"{name} must be a number or an array of the same library as the others")


def foreign_arguments(
    update_map: Any, state: Mapping[str, Any], given: Mapping[str, Any], data: Any, dtype: str
) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]:
    """Return state, parameters and data in order, as arrays of the caller's library.

    Raises
    ------
    InputError
        If a name is unknown or missing, or a value cannot be used.
    """
    check_state_names(update_map, state)
    check_parameter_names(update_map, given)
    matrices = tuple(data or ())
    everything = (*state.values(), *given.values(), *matrices)
    xp = next(v.__array_namespace__() for v in everything if is_foreign(v))
    if len(matrices) != len(update_map.data):
        raise InputError("this model needs data=(X, Y)" if update_map.data else "leave data out")
    return (
        tuple(converted(s.name, state[s.name], xp, dtype) for s in update_map.variables),
        tuple(converted(s.name, given[s.name], xp, dtype) for s in update_map.constants),
        tuple(
            converted(s.name, m, xp, dtype) for s, m in zip(update_map.data, matrices, strict=True)
        ),
    )
