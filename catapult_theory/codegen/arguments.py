"""Arguments of kernels: names, kinds and shapes checked once, before any work."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from catapult_theory.codegen.buffers import refuse_beyond_memory
from catapult_theory.errors import InputError, unknown_name

# Compiled code counts in 64 bits, and to a little beyond the last step.
MOST_STEPS = 2**62


@dataclass(frozen=True)
class Lanes:
    """Arguments of a kernel as contiguous arrays over flattened lanes.

    Parameters
    ----------
    shape : tuple of int
        The shape of the lanes.
    states, parameters, data : tuple of arrays
        States (lanes, ...) , parameters (lanes,), data without lanes.
    drive : callable or None
        From the step to its parameters and samples, where these change.
    verdicts : tuple of arrays
        Buffers (lanes,) for what a run finds, as `execution.verdict_buffers` makes them; empty
        where it is to make them.
    """

    shape: tuple[int, ...]
    states: tuple[Any, ...]
    parameters: tuple[Any, ...]
    data: tuple[Any, ...]
    drive: Any = None
    verdicts: tuple[Any, ...] = ()

    @property
    def count(self) -> int:
        """The number of lanes."""
        return math.prod(self.shape)

    def apart_from(self, buffers: Iterable[Any]) -> Lanes:
        """Return the same arguments, copied where a buffer that is to be filled holds them."""
        filled = [b for b in buffers if isinstance(b, np.ndarray)]
        return replace(
            self, parameters=_apart(self.parameters, filled), data=_apart(self.data, filled)
        )


def _apart(arrays: tuple[Any, ...], buffers: Iterable[Any]) -> tuple[Any, ...]:
    """Return arrays, copied where they share memory with any of some buffers."""
    return tuple(
        array.copy() if any(np.may_share_memory(array, b) for b in buffers) else array
        for array in arrays
    )


def numeric(name: str, value: Any, dtype: Any) -> np.ndarray:
    """Return a value as an array of the kernel's type.

    Raises
    ------
    InputError
        If it is not real and numeric.
    """
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O":  # exact numbers such as fractions; None would become NaN
            array = np.asarray([float(x) for x in array.flat]).reshape(array.shape)
    except (TypeError, ValueError) as cause:
        raise InputError(f"{name} must be real numbers, got {value!r:.60}") from cause
    if array.dtype.kind not in "iufb":
        raise InputError(f"{name} must be real numbers, got {array.dtype} values: {value!r:.60}")
    return array.astype(dtype, copy=False)


def checked_parameters(update_map: Any, given: Mapping[str, Any], dtype: Any) -> dict[str, Any]:
    """Return the parameters in order; refuse unknown, missing and non-positive ones.

    Raises
    ------
    InputError
    """
    check_parameter_names(update_map, given)
    arrays = {s.name: numeric(s.name, given[s.name], dtype) for s in update_map.constants}
    for s in update_map.constants:
        _check_sign(s, arrays[s.name])
    return arrays


def _check_sign(symbol: Any, values: Any) -> None:
    """Refuse values that the assumptions of a parameter exclude; NaN marks a lane invalid."""
    if symbol.is_positive and (values <= 0).any():
        raise InputError(f"{symbol.name} must be positive, got {np.nanmin(values):g}")
    if symbol.is_nonnegative and (values < 0).any():
        raise InputError(f"{symbol.name} must not be negative, got {np.nanmin(values):g}")


def check_parameter_names(update_map: Any, given: Mapping[str, Any]) -> None:
    """Refuse unknown and missing parameters.

    Raises
    ------
    InputError
    """
    names = [s.name for s in update_map.constants]
    for name in given:
        if name not in names:
            raise unknown_name("parameter", name, names)
    missing = [name for name in names if name not in given]
    if missing:
        raise InputError(f"missing parameter {', '.join(missing)}: give {missing[0]}=...")


def check_state_names(update_map: Any, state: Mapping[str, Any]) -> None:
    """Refuse unknown and missing state variables.

    Raises
    ------
    InputError
    """
    names = [s.name for s in update_map.variables]
    for name in state:
        if name not in names:
            raise unknown_name("state variable", name, names)
    missing = [name for name in names if name not in state]
    if missing:
        raise InputError(f"missing state {', '.join(missing)}: the state is {', '.join(names)}")


def checked_state(update_map: Any, state: Mapping[str, Any], dtype: Any) -> dict[str, Any]:
    """Return the state in order; refuse unknown and missing names.

    Raises
    ------
    InputError
    """
    check_state_names(update_map, state)
    return {s.name: numeric(s.name, state[s.name], dtype) for s in update_map.variables}


def checked_data(update_map: Any, data: Any, dtype: Any) -> tuple[Any, ...]:
    """Return (X, Y) of a matrix map, Y as m x k.

    Raises
    ------
    InputError
    """
    if not update_map.is_matrix:
        if data is not None:
            raise InputError("this model has no data: leave data out")
        return ()
    if data is None or len(data) != 2:
        raise InputError("this model needs data=(X, y), X of shape (m, d) and y of shape (m, k)")
    X, Y = (numeric(name, a, dtype) for name, a in zip("Xy", data, strict=True))
    if Y.ndim == 1:
        Y = Y[:, None]
    if X.ndim != 2 or Y.ndim != 2 or len(X) != len(Y):
        raise InputError(f"X {X.shape} and y {Y.shape} do not fit: X is (m, d), y is (m, k)")
    if not (X.size and Y.size):
        raise InputError(f"X {X.shape} and y {Y.shape} hold no numbers: give at least one sample")
    if not (np.isfinite(X).all() and np.isfinite(Y).all()):
        raise InputError("the data hold NaN or infinite values: remove those samples first")
    return np.ascontiguousarray(X), np.ascontiguousarray(Y)


def sizes_of(update_map: Any, data: tuple[Any, ...]) -> dict[Any, int]:
    """Return the values of the size symbols, read from the data.

    Raises
    ------
    InputError
        If the data do not have the sizes of the model.
    """
    table: dict[Any, int] = {}
    for symbol, array in zip(update_map.data, data, strict=True):
        for size, value in zip(symbol.shape, array.shape, strict=True):
            expected = table.get(size, size)
            if size.is_Symbol and size not in table:
                table[size] = value
            elif int(expected) != value:
                raise InputError(
                    f"{symbol.name} has shape {array.shape}, but the model needs {symbol.shape} "
                    f"with {size} = {expected}"
                )
    return table


@dataclass(frozen=True)
class Arguments:
    """Checked arguments of a kernel, before they are brought to lanes.

    Parameters
    ----------
    shape : tuple of int
        The common shape of the lanes.
    inner : tuple of tuple of int
        The shape of each state in a lane: () for numbers.
    states, parameters, data : tuple of arrays
    """

    shape: tuple[int, ...]
    inner: tuple[tuple[int, ...], ...]
    states: tuple[Any, ...]
    parameters: tuple[Any, ...]
    data: tuple[Any, ...]

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the final states."""
        return tuple((*self.shape, *tail) for tail in self.inner)

    def lanes(self, buffers: tuple[Any, ...] = ()) -> Lanes:
        """Return the arguments over flattened lanes.

        Kernels write into the states: these are new arrays, or the first of some buffers, which
        have that shape; arguments that share memory with any of them, states, parameters or data,
        are copied before the first of them is filled.
        """
        own, parameters, data = (
            _apart(group, buffers) for group in (self.states, self.parameters, self.data)
        )
        places = buffers[: len(own)] or (None,) * len(own)
        return Lanes(
            self.shape,
            tuple(self._flat(*item) for item in zip(own, self.inner, places, strict=True)),
            tuple(self._read(a) for a in parameters),
            data,
        )

    def _flat(self, array: Any, tail: tuple[int, ...], buffer: Any = None) -> Any:
        # Contiguous: kernels compile for one layout.
        count = math.prod(self.shape)
        shape = (*self.shape, *tail)
        wide = array if array.shape == shape else np.broadcast_to(array, shape)
        if buffer is None:
            return wide.reshape(count, *tail).copy(order="C")
        np.copyto(buffer.reshape(wide.shape), wide)
        return buffer

    def _read(self, array: Any) -> Any:
        # Parameters are only read: an array that has the layout already serves as it is.
        plain = array.flags.carray and array.shape == self.shape
        return array.reshape(math.prod(self.shape)) if plain else self._flat(array, ())


def lanes_of(
    update_map: Any, state: Mapping[str, Any], given: Mapping[str, Any], data: Any, dtype: Any
) -> Lanes:
    """Return all arguments over common, flattened lanes.

    Raises
    ------
    InputError
        If names, kinds or shapes do not fit.
    """
    return arguments_of(update_map, state, given, data, dtype).lanes()


def arguments_of(
    update_map: Any, state: Mapping[str, Any], given: Mapping[str, Any], data: Any, dtype: Any
) -> Arguments:
    """Return all arguments, checked against each other.

    Raises
    ------
    InputError
        If names, kinds or shapes do not fit.
    """
    parameters = checked_parameters(update_map, given, dtype)
    states = checked_state(update_map, state, dtype)
    arrays = checked_data(update_map, data, dtype)
    sizes = sizes_of(update_map, arrays)
    inner = {
        s.name: tuple(int(sizes.get(d, d)) for d in s.shape) if update_map.is_matrix else ()
        for s in update_map.variables
    }
    shapes = [a.shape for a in parameters.values()]
    for name, array in states.items():
        depth = len(inner[name])
        if array.shape[array.ndim - depth :] != inner[name] or array.ndim < depth:
            raise InputError(f"{name} has shape {array.shape}; it must end in {inner[name]}")
        shapes.append(array.shape[: array.ndim - depth])
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError as cause:
        names = ", ".join(f"{k} {v}" for k, v in zip([*parameters, *states], shapes, strict=True))
        raise InputError(f"shapes do not broadcast against each other: {names}") from cause
    refuse_beyond_memory({name: (*shape, *inner[name]) for name in states}, dtype)
    fixed = (tuple(inner.values()), tuple(states.values()), tuple(parameters.values()))
    return Arguments(shape, *fixed, arrays)


def checked_threads(threads: Any) -> int | None:
    """Return a number of threads as an int, or None for all cores.

    Raises
    ------
    InputError
    """
    return None if threads is None else checked_steps(threads, "threads", 1)


def checked_steps(steps: Any, name: str = "steps", least: int = 0) -> int:
    """Return a step count as an int.

    Raises
    ------
    InputError
    """
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < least:
        raise InputError(f"{name} must be an integer of at least {least}, got {steps!r}")
    if steps > MOST_STEPS:
        raise InputError(f"{name} must be at most 2**62, got {steps!r}")
    return int(steps)
