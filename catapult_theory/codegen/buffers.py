"""Memory of trajectories: aligned, refused where there cannot be enough, or the caller's own."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from catapult_theory.errors import InputError

# Whole cache lines can be written past the caches.
ALIGNMENT = 64


def aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return a new array that begins at a cache line.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype

    Returns
    -------
    array

    Examples
    --------
    >>> aligned((3, 5), "float64").ctypes.data % ALIGNMENT
    0
    """
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(kind).reshape(shape)


def refuse_beyond_memory(shapes: Mapping[str, tuple[int, ...]], dtype: Any) -> None:
    """Refuse arrays that this machine cannot hold.

    Raises
    ------
    InputError
        With the size, and what to do instead.

    Examples
    --------
    >>> refuse_beyond_memory({"f": (10, 10)}, "float64")
    """
    need = sum(math.prod(s) for s in shapes.values()) * np.dtype(dtype).itemsize
    have = _physical_memory()
    if have and need > have:
        raise InputError(
            f"these arrays need {_readable(need)}, this machine has {_readable(have)}: keep fewer "
            "rows (every=), give memory-mapped arrays (out=), or go through the lanes in portions"
        )


def _physical_memory() -> int:
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names or "SC_PAGE_SIZE" not in names:
        return 0
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _readable(size: float) -> str:
    units = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")
    power = min(len(units) - 1, max(0, (len(str(int(size))) - 1) // 3))
    return f"{size / 1000**power:.3g} {units[power]}"


def result_buffers(
    shapes: Mapping[str, tuple[int, ...]], out: Mapping[str, Any] | None, dtype: str
) -> dict[str, Any]:
    """Return the arrays of a trajectory, checked where the caller gives them.

    Parameters
    ----------
    shapes : mapping of str to tuple
    out : mapping of str to array or None
    dtype : str

    Returns
    -------
    dict of str to array

    Raises
    ------
    InputError
        If an array is missing, read-only, or of another shape or kind.
    """
    if out is None:
        refuse_beyond_memory(shapes, dtype)
        return {name: aligned(shape, dtype) for name, shape in shapes.items()}
    for name, shape in shapes.items():
        refuse_unfit(f"out[{name!r}]", out.get(name), shape, dtype)
    refuse_shared({f"out[{name!r}]": out[name] for name in shapes})
    return {name: out[name] for name in shapes}


def refuse_unfit(shown: str, buffer: Any, shape: tuple[int, ...], dtype: Any) -> None:
    """Refuse a buffer that cannot take a result.

    Parameters
    ----------
    shown : str
        What the caller knows it as.
    buffer : array
    shape : tuple of int
    dtype : dtype
        Of the result; a buffer may hold other numbers of the same kind.

    Raises
    ------
    InputError
    """
    if not isinstance(buffer, np.ndarray) or buffer.shape != shape:
        raise InputError(f"{shown} must be an array of shape {shape}")
    if not buffer.flags.writeable:
        raise InputError(f"{shown} is read-only: give an array that can be written")
    if buffer.dtype.kind != np.dtype(dtype).kind:
        raise InputError(f"{shown} holds {buffer.dtype}: give one of {np.dtype(dtype)}")
    steps = zip(buffer.strides, shape, strict=True)
    if buffer.size and any(step == 0 and n > 1 for step, n in steps):
        raise InputError(f"{shown} has elements that share memory: give an array of its own")


def refuse_shared(buffers: Mapping[str, Any]) -> None:
    """Refuse buffers that would overwrite one another.

    Parameters
    ----------
    buffers : mapping of str to array
        By what the caller knows them as.

    Raises
    ------
    InputError
    """
    names = list(buffers)
    for i, name in enumerate(names):
        for other in names[:i]:
            if np.shares_memory(buffers[name], buffers[other]):
                raise InputError(f"{other} and {name} share memory")


def flat_result(buffer: Any, tail: int, dtype: Any) -> Any:
    """Return a buffer of results as it is filled, lanes flat: a view if may be, else a new array.

    Parameters
    ----------
    buffer : array
        Of shape (lanes..., inner...).
    tail : int
        Dimensions of what is inside a lane.
    dtype : dtype

    Returns
    -------
    array

    Examples
    --------
    >>> flat_result(np.zeros((2, 3, 4)), 1, "float64").shape
    (6, 4)
    """
    lanes, inner = buffer.shape[: buffer.ndim - tail], buffer.shape[buffer.ndim - tail :]
    return flat_rows(buffer[None], (math.prod(lanes), *inner), dtype)[0]


def flat_rows(buffer: Any, inner: tuple[int, ...], dtype: Any) -> Any:
    """Return a buffer with flat lanes: a view where its layout allows, else a new array.

    Parameters
    ----------
    buffer : array
        Of shape (rows, lanes..., inner...).
    inner : tuple of int
        (lanes, ...): the shape of a row.
    dtype : dtype

    Returns
    -------
    array
    """
    shape = (buffer.shape[0], *inner)
    plain = buffer.flags.c_contiguous and buffer.flags.aligned
    if plain and buffer.dtype == np.dtype(dtype):
        return buffer.reshape(shape)
    return aligned(shape, dtype)


def store(buffer: Any, values: Any) -> None:
    """Copy values into a buffer, unless they are a view of it."""
    if not np.shares_memory(buffer, values):
        buffer[...] = values.reshape(buffer.shape)
