"""Parameter arrays by name: their shapes, the frame of width-n columns, and lanes.

A shape is a tuple of integers and the text ``"n"`` for the width: ``("n",)`` is a vector,
``(3, "n")`` and ``("n", 64)`` are matrices with one side of length n, ``("n/2", 64)`` belongs
to one half of the hidden units. Arrays may carry leading axes, the lanes: independent networks
that are trained side by side.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from catapult_theory.errors import InputError

WIDTH = "n"
_SIDE = re.compile(r"([1-9]\d*)?n(?:/([1-9]\d*))?")

Array: TypeAlias = npt.NDArray[np.float64]
Parameters: TypeAlias = dict[str, Array]
Shape: TypeAlias = tuple[int | str, ...]
Shapes: TypeAlias = Mapping[str, Shape]


class Network(Protocol):
    """What training needs of a network: shapes, a forward pass and its two derivatives.

    Outputs have shape (*lanes, m, k). ``label`` is None for a network that takes data, and
    the target of a scalar network (one sample, no data) otherwise.
    """

    @property
    def shapes(self) -> Shapes:
        """The shape of each parameter, in the order of the frame."""

    @property
    def label(self) -> Any:
        """The target of a scalar network, or None."""

    def forward(self, parameters: Mapping[str, Array], X: Any) -> Array:
        """Return the outputs."""

    def backpropagate(
        self, parameters: Mapping[str, Array], X: Any, output_gradient: Callable[[Array], Array]
    ) -> tuple[Array, Parameters]:
        """Return the outputs F and the pull-back of ``output_gradient(F)`` to the parameters."""

    def jvp(self, parameters: Mapping[str, Array], X: Any, tangent: Mapping[str, Array]) -> Array:
        """Return the derivative of the outputs along a direction of the parameters."""


def frozen_of(network: Any) -> tuple[str, ...]:
    """Return the parameters that a network holds fixed: no gradient, no decay.

    Parameters
    ----------
    network : Network

    Returns
    -------
    tuple of str
        Empty for a network that says nothing of it.

    Examples
    --------
    >>> frozen_of(None)
    ()
    """
    return tuple(getattr(network, "frozen", ()))


def checked_shapes(shapes: Any) -> Shapes:
    """Return the shapes as a dict of tuples, or say what is wrong with them.

    Parameters
    ----------
    shapes : mapping of str to tuple

    Returns
    -------
    mapping

    Raises
    ------
    InputError
        If a size is neither a positive integer nor ``"n"`` (or a part of it, ``"n/2"``), or if
        no size is.

    Examples
    --------
    >>> checked_shapes({"V": (1, "n"), "U": ["n", 64]})
    {'V': (1, 'n'), 'U': ('n', 64)}
    """
    if not isinstance(shapes, Mapping) or not shapes:
        raise InputError('shapes must be a mapping such as {"u": ("n",), "v": ("n",)}')
    table: dict[str, Shape] = {}
    for name, shape in shapes.items():
        if isinstance(shape, (str, int)):
            raise InputError(f'the shape of {name!r} must be a tuple such as ("n",), got {shape!r}')
        table[name] = tuple(_size(name, s) for s in shape)
    if not any(share_of(size) for shape in table.values() for size in shape):
        raise InputError('no parameter has a side of the width: use "n" in its shape')
    return table


def share_of(size: Any) -> Fraction | None:
    """Return which part of the width n a side is: 1 for ``"n"``, 1/2 for ``"n/2"``.

    Parameters
    ----------
    size : int or str

    Returns
    -------
    Fraction or None
        None for a number, which does not grow with the width.

    Examples
    --------
    >>> share_of("3n/4"), share_of(7)
    (Fraction(3, 4), None)
    """
    found = _SIDE.fullmatch(size) if isinstance(size, str) else None
    if found is None:
        return None
    return Fraction(int(found[1] or 1), int(found[2] or 1))


def rows_of(share: Fraction, n: int) -> int:
    """Return the length of a side that is a part of the width.

    Parameters
    ----------
    share : Fraction
    n : int

    Returns
    -------
    int

    Raises
    ------
    InputError
        If it is not a whole number.

    Examples
    --------
    >>> rows_of(Fraction(1, 2), 64)
    32
    """
    rows = share * n
    if rows.denominator != 1:
        raise InputError(
            f"a width of {n} cannot be shared out: {share} of it is no whole number; take a "
            f"multiple of {share.denominator}"
        )
    return int(rows)


def width_axis(shape: Shape) -> int:
    """Return the axis of a parameter that grows with the width, -1 if it is not a single one.

    Parameters
    ----------
    shape : tuple

    Returns
    -------
    int

    Examples
    --------
    >>> width_axis((3, "n")), width_axis(("n", "n"))
    (1, -1)
    """
    axes = [i for i, size in enumerate(shape) if share_of(size) is not None]
    return axes[0] if len(axes) == 1 else -1


def _size(name: str, size: Any) -> int | str:
    if share_of(size):
        return str(size)
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
        raise InputError(
            f'sizes of {name!r} are positive integers, "n" or a part of it ("n/2"), got {size!r}'
        )
    return int(size)


def positive_integer(name: str, value: Any, limit: float = np.inf) -> int:
    """Return the value as an int, or raise a clear error (floats such as 1e6 are accepted).

    Parameters
    ----------
    name : str
        For the message.
    value : number
    limit : float
        The largest admitted value.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If it is not a whole number between 1 and ``limit``.

    Examples
    --------
    >>> positive_integer("n", 1e6)
    1000000
    """
    try:
        number = float(value)
        whole = not isinstance(value, (bool, np.bool_)) and number == int(number)
    except (TypeError, ValueError, OverflowError):
        whole, number = False, np.nan
    if not whole or not 1 <= number <= limit:
        upper = f" of at most {limit:g}" if np.isfinite(limit) else ""
        raise InputError(f"{name} must be a positive integer{upper}, got {value!r}")
    return int(value)


def columns(shapes: Shapes) -> int:
    """Return the number p of width-n columns in all parameters together.

    Parameters
    ----------
    shapes : mapping

    Returns
    -------
    int

    Raises
    ------
    InputError
        If a parameter does not have exactly one side of length n.

    Examples
    --------
    >>> columns({"V": (10, "n"), "U": ("n", 64)})
    74
    """
    for name, shape in shapes.items():
        if width_axis(shape) < 0:
            raise InputError(
                f"parameter {name!r} of shape {shape} is not made of width-n columns: a Gram "
                "matrix needs exactly one side of length n in every parameter"
            )
    return sum(columns_of(shape) for shape in shapes.values())


def columns_of(shape: Shape) -> int:
    """Return the number of width-n columns in one parameter: the product of its other sides."""
    return math.prod(int(s) for s in shape if not share_of(s))


def frame(parameters: Mapping[str, Array], shapes: Shapes) -> Array:
    """Return all parameters as columns of length n, in the order of the shapes.

    Parameters that fill a part of the width are shorter: zeros stand below them.

    Parameters
    ----------
    parameters : mapping of str to array
        With any lanes in front.
    shapes : mapping

    Returns
    -------
    array, shape (*lanes, n, p)

    Raises
    ------
    InputError
        If a parameter does not have exactly one side of length n.

    Examples
    --------
    >>> import numpy as np
    >>> frame({"V": np.zeros((1, 5)), "U": np.ones((5, 3))}, {"V": (1, "n"), "U": ("n", 3)}).shape
    (5, 4)
    """
    columns(shapes)
    parts = []
    for name, shape in shapes.items():
        array = parameters[name]
        lead = array.ndim - len(shape)
        upright = np.moveaxis(array, lead + width_axis(shape), lead)
        parts.append(upright.reshape(*upright.shape[: lead + 1], columns_of(shape)))
    longest = max(part.shape[-2] for part in parts)
    return np.concatenate([_lengthened(part, longest) for part in parts], axis=-1)


def _lengthened(columns_: Array, rows: int) -> Array:
    missing = rows - columns_.shape[-2]
    if not missing:
        return columns_
    zeros = np.zeros((*columns_.shape[:-2], missing, columns_.shape[-1]))
    return np.concatenate([columns_, zeros], axis=-2)


def split(columns_: Array, shapes: Shapes) -> Parameters:
    """Return the parameters whose frame is given: the inverse of `frame`.

    Parameters
    ----------
    columns_ : array, shape (*lanes, n, p)
    shapes : mapping
        Each with exactly one side of length n.

    Returns
    -------
    dict of str to array

    Examples
    --------
    >>> import numpy as np
    >>> split(np.zeros((5, 4)), {"V": (1, "n"), "U": ("n", 3)})["V"].shape
    (1, 5)
    """
    parameters, first = {}, 0
    lead = columns_.ndim - 2
    for name, shape in shapes.items():
        last = first + columns_of(shape)
        rest = tuple(int(s) for s in shape if not share_of(s))
        block = columns_[..., first:last].reshape(*columns_.shape[:-1], *rest)
        axis = lead + width_axis(shape)
        parameters[name] = np.ascontiguousarray(np.moveaxis(block, lead, axis))
        first = last
    return parameters


def gram(parameters: Mapping[str, Array], shapes: Shapes) -> Array:
    """Return the inner products of all width-n columns, divided by n.

    Parameters
    ----------
    parameters : mapping of str to array
        With any lanes in front.
    shapes : mapping

    Returns
    -------
    array, shape (*lanes, p, p)
        In the order of the shapes.

    Examples
    --------
    >>> import numpy as np
    >>> gram({"u": np.array([1.0, 2.0]), "v": np.array([3.0, 4.0])}, {"u": ("n",), "v": ("n",)})
    array([[ 2.5,  5.5],
           [ 5.5, 12.5]])
    """
    phi = frame(parameters, shapes)
    name, shape = next(iter(shapes.items()))
    axis = width_axis(shape)
    length = parameters[name].shape[parameters[name].ndim - len(shape) + axis]
    width = length / share_of(shape[axis])  # type: ignore[operator]
    return np.asarray(np.swapaxes(phi, -1, -2) @ phi / float(width))


def checked(parameters: Any, shapes: Shapes) -> tuple[Parameters, int, tuple[int, ...]]:
    """Return the parameters as float64 arrays, with the width and the shape of the lanes.

    Parameters
    ----------
    parameters : mapping of str to array
    shapes : mapping

    Returns
    -------
    parameters : dict of str to array
    n : int
    lanes : tuple of int

    Raises
    ------
    InputError
        If a name is missing or unknown, if shapes do not fit each other, or if a value is
        not finite.

    Examples
    --------
    >>> checked({"u": [1.0, 2.0], "v": [3.0, 4.0]}, {"u": ("n",), "v": ("n",)})[1:]
    (2, ())
    """
    if not isinstance(parameters, Mapping) or set(parameters) != set(shapes):
        given = sorted(parameters) if isinstance(parameters, Mapping) else type(parameters).__name__
        raise InputError(f"the network's parameters are {list(shapes)}, got {given}")
    arrays = {name: _finite(name, parameters[name]) for name in shapes}
    widths: set[Fraction] = set()
    lanes = set()
    for name, shape in shapes.items():
        actual = arrays[name].shape
        lead = len(actual) - len(shape)
        pairs = list(zip(shape, actual[max(lead, 0) :], strict=False))
        if lead < 0 or any(not share_of(s) and s != size for s, size in pairs):
            raise InputError(
                f"parameter {name!r} has shape {actual}: expected {shape}, with any lanes in front"
            )
        widths |= {size / part for s, size in pairs if (part := share_of(s))}
        lanes.add(actual[:lead])
    if len(widths) != 1 or widths == {0} or min(widths).denominator != 1:
        got = ", ".join(map(str, sorted(widths)))
        raise InputError(f"the parameters must share one width n >= 1, got {got}")
    if len(lanes) != 1:
        raise InputError(f"the parameters must have the same lanes, got {sorted(lanes)}")
    return arrays, int(widths.pop()), lanes.pop()


def _finite(name: str, value: Any) -> Array:
    array = real_array(f"parameter {name!r}", value)
    if not np.isfinite(array).all():
        raise InputError(f"parameter {name!r} holds NaN or infinite values: draw the start anew")
    return array


def real_array(what: str, value: Any) -> Array:
    """Return the value as a float64 array; text, objects and complex numbers are refused.

    Parameters
    ----------
    what : str
        For the message.
    value : array_like

    Returns
    -------
    array of float64

    Raises
    ------
    InputError

    Examples
    --------
    >>> real_array("X", [[1, 2]])
    array([[1., 2.]])
    """
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"dtype {array.dtype}")
        return array.astype(np.float64)
    except (TypeError, ValueError) as cause:
        raise InputError(f"{what} must be an array of real numbers ({cause})") from cause
