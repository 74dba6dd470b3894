"""What is refused before a run begins: one clear error for each way in which input can be wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp

from catapult_theory.codegen.grid import Array, numeric
from catapult_theory.errors import InputError, unknown_name
from catapult_theory.symbolic.symbols import beta
from catapult_theory.symbolic.update_map import UpdateMap

DTYPES = ("float64", "float32")
GIGABYTE = 1e9
# Part of the free memory that one result may fill; the rest is left to its reader.
MEMORY_SHARE = 0.8


def checked_map(update_map: Any) -> UpdateMap:
    """Return the update map, or say how to obtain one.

    Parameters
    ----------
    update_map : UpdateMap

    Returns
    -------
    UpdateMap

    Raises
    ------
    InputError
        If it is something else, such as a model.
    """
    if not isinstance(update_map, UpdateMap):
        raise InputError(
            f"a run needs an update map, got {type(update_map).__name__}: "
            "make one with ct.derive(model)"
        )
    return update_map


def whole_number(name: str, value: Any, least: int) -> int:
    """Return a count as an int.

    Parameters
    ----------
    name : str
        For the message.
    value : int
    least : int
        The smallest admitted value.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If the value is not an integer (1000.0 is not), or too small.

    Examples
    --------
    >>> whole_number("steps", 500, least=0)
    500
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        hint = f": write {int(value)}" if isinstance(value, float) and value.is_integer() else ""
        raise InputError(f"{name} must be an integer, got {value!r}{hint}")
    if value < least:
        raise InputError(f"{name} must be at least {least}, got {value}")
    return int(value)


def checked_dtype(dtype: Any) -> str:
    """Return the name of a floating-point type.

    Parameters
    ----------
    dtype : str or numpy type
        float64 or float32.

    Returns
    -------
    str

    Raises
    ------
    InputError
        For another type.

    Examples
    --------
    >>> checked_dtype(np.float32)
    'float32'
    """
    try:
        name = str(np.dtype(dtype))
    except TypeError:
        name = str(dtype)
    if name not in DTYPES:
        raise unknown_name("dtype", name, DTYPES)
    return name


def checked_observables(update_map: UpdateMap, names: Any) -> tuple[str, ...]:
    """Return the names of the quantities asked for, without repetitions.

    Parameters
    ----------
    update_map : UpdateMap
    names : str or iterable of str

    Returns
    -------
    tuple of str

    Raises
    ------
    InputError
        For an unknown name, with the nearest valid one.
    """
    asked = (names,) if isinstance(names, str) else tuple(names)
    known = [
        *update_map.observables,
        *(s.name for s in update_map.carried),
        *(s.name for s in update_map.variables),
    ]
    for name in asked:
        if name not in known:
            raise unknown_name("observable", name, dict.fromkeys(known))
    return tuple(dict.fromkeys(asked))


def check_parameter_names(update_map: UpdateMap, parameters: Mapping[str, Any]) -> None:
    """Raise if a parameter is missing or unknown.

    Parameters
    ----------
    update_map : UpdateMap
    parameters : mapping

    Raises
    ------
    InputError
    """
    known = [s.name for s in update_map.constants]
    for name in parameters:
        if name not in known:
            raise unknown_name("parameter", name, known)
    missing = [name for name in known if name not in parameters]
    if missing:
        example = ", ".join(f"{name}=..." for name in missing)
        raise InputError(
            f"missing parameter {', '.join(missing)} of {update_map.model}: pass {example}"
        )


def check_parameter_values(update_map: UpdateMap, parameters: Mapping[str, Any]) -> None:
    """Raise if a parameter is not finite, or violates what its symbol assumes (eta, n > 0).

    Parameters
    ----------
    update_map : UpdateMap
    parameters : mapping
        Numbers, arrays or `xarray.DataArray` by name.

    Raises
    ------
    InputError
        Naming the first offending value and its position.
    """
    for symbol in update_map.constants:
        values = numeric(symbol.name, parameters[symbol.name])
        good, rule = np.isfinite(values), "finite"
        if symbol == beta:
            good, rule = (values >= 0) & (values < 1), "non-negative and below 1"
        elif symbol.is_positive:
            good, rule = good & (values > 0), "positive and finite"
        elif symbol.is_nonnegative:
            good, rule = good & (values >= 0), "non-negative and finite"
        if not good.all():
            index = tuple(int(i) for i in np.argwhere(~good)[0])
            place = f" at position {', '.join(map(str, index))}" if index else ""
            raise InputError(f"{symbol.name} must be {rule}, got {values[index]}{place}")


def checked_data(update_map: UpdateMap, data: Any) -> dict[str, Array]:
    """Return inputs and targets as float64 matrices, by the names that the map gives them.

    Parameters
    ----------
    update_map : UpdateMap
    data : pair (X, y), object with attributes X and Y, or None
        X of shape (m, d); y of shape (m,) or (m, k).

    Returns
    -------
    dict
        Empty for scalar maps.

    Raises
    ------
    InputError
        If data is missing, not wanted, holds NaN, or shapes do not fit.
    """
    if not update_map.is_matrix:
        if data is not None:
            raise InputError(
                f"{update_map.model} has scalar state and takes no data: leave data= out "
                "(its label is a parameter)"
            )
        return {}
    if data is None:
        raise InputError(f"{update_map.model} needs data=(X, y), with X of shape (samples, inputs)")
    inputs, targets = _pair(data)
    names = [s.name for s in update_map.data]
    X, Y = numeric(names[0], inputs).astype(float), numeric(names[1], targets).astype(float)
    Y = Y[:, None] if Y.ndim == 1 else Y
    for name, array in zip(names, (X, Y), strict=True):
        if array.ndim != 2 or array.size == 0:
            raise InputError(f"{name} must be a non-empty matrix, got shape {array.shape}")
        if not np.isfinite(array).all():
            row, column = np.argwhere(~np.isfinite(array))[0]
            raise InputError(
                f"{name} holds {array[row, column]} at row {row}, column {column}: "
                "remove or fill such samples"
            )
    if len(X) != len(Y):
        raise InputError(f"{names[0]} has {len(X)} samples but {names[1]} has {len(Y)}")
    return dict(zip(names, (X, Y), strict=True))


def _pair(data: Any) -> tuple[Any, Any]:
    if hasattr(data, "X") and hasattr(data, "Y"):
        return data.X, data.Y
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return data[0], data[1]
    raise InputError(f"data must be a pair (X, y), got {type(data).__name__}")


def bound_sizes(update_map: UpdateMap, data: Mapping[str, Array]) -> dict[str, int]:
    """Return the values of the symbolic sizes (m, d, k), read from the data.

    Parameters
    ----------
    update_map : UpdateMap
    data : mapping
        From `checked_data`.

    Returns
    -------
    dict of str to int

    Raises
    ------
    InputError
        If the data does not have the sizes that the model fixes.
    """
    sizes: dict[str, int] = {}
    roles = (("samples", "inputs"), ("samples", "outputs"))
    for symbol, axes in zip(update_map.data, roles, strict=False):
        array = data[symbol.name]
        for expected, actual, role in zip(symbol.shape, array.shape, axes, strict=True):
            length = sizes.get(str(expected), expected)
            if isinstance(expected, sp.Symbol) and str(expected) not in sizes:
                sizes[str(expected)] = actual
            elif length != actual:
                raise InputError(
                    f"{update_map.model} has {length} {role}, but {symbol.name} of shape "
                    f"{array.shape} has {actual}: give the model {role}={actual}"
                )
    return sizes


def length_of(side: Any, sizes: Mapping[str, int]) -> int:
    """Return the length of a side of a matrix.

    Parameters
    ----------
    side : int or sympy expression
        Such as d, or k + d.
    sizes : mapping of str to int
        Values of the symbols.

    Returns
    -------
    int

    Examples
    --------
    >>> length_of(sp.Symbol("k") + sp.Symbol("d"), {"k": 2, "d": 3})
    5
    """
    expression = sp.sympify(side)
    return int(expression.xreplace({s: sp.Integer(sizes[s.name]) for s in expression.free_symbols}))


def check_memory(required: int, shown: str, remedy: str) -> None:
    """Raise if a result would not fit the free memory.

    Parameters
    ----------
    required : int
        Bytes.
    shown : str
        What the bytes hold, for the message.
    remedy : str

    Raises
    ------
    InputError
        With the size in GB.
    """
    free = available_memory()
    if required > MEMORY_SHARE * free:
        raise InputError(
            f"{shown} would take {required / GIGABYTE:.3g} GB, and {free / GIGABYTE:.3g} GB "
            f"of memory are free: {remedy}"
        )


def available_memory() -> float:
    """Return the bytes that this process may still take, infinity where that is not known.

    Returns
    -------
    float

    Examples
    --------
    >>> available_memory() > 0
    True
    """
    return min(_free_memory(), _container_limit())


def _free_memory() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return math.inf
    table = dict(line.split(":", 1) for line in lines)
    return float(table["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in table else math.inf


def _container_limit() -> float:
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text().strip()
    except OSError:
        return math.inf
    return float(limit) - float(used) if limit.isdigit() else math.inf
