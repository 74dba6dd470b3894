"""Lanes: numbers, arrays and labelled arrays brought to one set of independent runs.

NumPy arguments broadcast against each other, as they do in an arithmetic expression;
labelled arrays (`xarray.DataArray`) bring their own dimensions, and different dimensions make
an outer product. A lane is one combination: one learning rate, one width, one start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from catapult_theory.codegen.labels import describe
from catapult_theory.errors import InputError

Array = np.ndarray[Any, Any]


def grid(**axes: Any) -> dict[str, xr.DataArray]:
    """Return every axis as a labelled array with a dimension of its own: an outer product.

    For axes of lengths N_1, ..., N_r the runs that use them have N_1 x ... x N_r lanes.

    Parameters
    ----------
    **axes : 1-d array or number
        By parameter (or state) name. A number adds no dimension.

    Returns
    -------
    dict of str to xarray.DataArray

    Raises
    ------
    InputError
        If an axis is empty, has more than one dimension, or is not made of finite numbers.

    Examples
    --------
    >>> axes = grid(eta=[0.5, 1.0, 1.5], n=[64, 4096])
    >>> {name: axis.dims for name, axis in axes.items()}
    {'eta': ('eta',), 'n': ('n',)}
    """
    if not axes:
        raise InputError("grid() needs at least one axis, such as grid(eta=[0.5, 1.0])")
    return {name: _axis(name, values) for name, values in axes.items()}


def _axis(name: str, values: Any) -> xr.DataArray:
    array = numeric(name, values)
    if array.ndim > 1 or array.size == 0 or not np.isfinite(array).all():
        raise InputError(
            f"the axis {name} must be a number or a non-empty 1-d array of finite numbers, "
            f"got shape {array.shape}: {values!r:.60}"
        )
    if array.ndim == 0:
        return xr.DataArray(array, name=name, attrs=describe(name))
    return xr.DataArray(array, {name: (name, array, describe(name))}, (name,), name=name)


def numeric(name: str, values: Any) -> Array:
    """Return the values as a real numerical array.

    Parameters
    ----------
    name : str
        For the message.
    values : number or array-like

    Returns
    -------
    numpy.ndarray
        Of an integer or floating-point type.

    Raises
    ------
    InputError
        If they are text, truth values, complex, ragged or of another kind.

    Examples
    --------
    >>> numeric("eta", [1, 2.5])
    array([1. , 2.5])
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind == "O":
            array = array.astype(float)
    except (TypeError, ValueError) as cause:
        raise InputError(f"{name} must be real numbers, got {values!r:.60}") from cause
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name} must be real numbers, got {values!r:.60}")
    return array


@dataclass(frozen=True)
class Lanes:
    """Independent runs with named dimensions.

    Parameters
    ----------
    sizes : mapping of str to int
        The lane dimensions in order; empty for a single run.
    values : mapping of str to xarray.Variable
        Each over its own lane dimensions, followed by its core dimensions (of a matrix).
    coords : mapping of str to xarray.Variable
        The coordinates that label the lanes.
    """

    sizes: Mapping[str, int]
    values: Mapping[str, xr.Variable]
    coords: Mapping[str, xr.Variable]

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the lane dimensions."""
        return tuple(self.sizes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the lane dimensions."""
        return tuple(self.sizes.values())

    @property
    def count(self) -> int:
        """How many lanes there are."""
        return int(np.prod(self.shape, dtype=np.int64))

    def take(self, name: str, low: int, high: int) -> Array:
        """Return one value for the lanes ``low`` to ``high`` in C order.

        Parameters
        ----------
        name : str
        low, high : int

        Returns
        -------
        array, shape (high - low, *core)
            A copy.
        """
        variable = self.values[name]
        own = [d for d in variable.dims if d in self.sizes]
        data = np.asarray(variable.values)
        if not own:
            return np.repeat(data[None], high - low, axis=0)
        if tuple(own) == self.dims:
            # As most lanes are: in order, without an index for each.
            return data.reshape(self.count, *data.shape[len(own) :])[low:high].copy()
        index = dict(zip(self.dims, self._index(low, high), strict=True))
        return np.asarray(data[tuple(index[str(d)] for d in own)])

    def _index(self, low: int, high: int) -> tuple[Array, ...]:
        return np.unravel_index(np.arange(low, high), self.shape) if self.shape else ()

    def where(self, lane: int) -> str:
        """Return the position of a lane in words, for an error message.

        Parameters
        ----------
        lane : int
            In C order.

        Returns
        -------
        str
        """
        if not self.shape:
            return "the only lane"
        index = [int(i) for i in np.unravel_index(lane, self.shape)]
        return "lane " + ", ".join(f"{d}[{i}]" for d, i in zip(self.dims, index, strict=True))

    def extended(
        self, values: Mapping[str, xr.Variable], coords: Mapping[str, xr.Variable]
    ) -> Lanes:
        """Return lanes with further values, whose new dimensions have coordinates.

        Parameters
        ----------
        values : mapping
            Over known lane dimensions, dimensions among ``coords`` and core dimensions.
        coords : mapping
            A known dimension must have the same coordinate.

        Returns
        -------
        Lanes

        Raises
        ------
        InputError
            If a coordinate disagrees with a known one.
        """
        sizes = dict(self.sizes)
        for dim, coord in coords.items():
            known = self.coords.get(dim)
            if known is not None and not _same(known, coord):
                raise InputError(
                    f"the coordinate {dim} of an argument is {known.values.tolist()!s:.60}, "
                    f"but the start has {coord.values.tolist()!s:.60}"
                )
            if coord.ndim and sizes.setdefault(dim, coord.size) != coord.size:
                raise InputError(
                    f"the dimension {dim} has length {sizes[dim]} in an argument but "
                    f"{coord.size} in the start"
                )
        return Lanes(sizes, {**self.values, **values}, {**self.coords, **coords})


def lanes_of(
    values: Mapping[str, Any],
    labels: Mapping[str, str],
    core: Mapping[str, tuple[str, ...]],
    taken: Iterable[str] = (),
) -> Lanes:
    """Bring values to lanes.

    Plain arrays broadcast against each other and keep their shape, with dimensions ``dim_0``,
    ``dim_1``, ...; a single 1-d array among numbers gets a dimension of its own name, with
    the values as its coordinate. Labelled arrays bring their dimensions and coordinates.

    Parameters
    ----------
    values : mapping
        Numbers, arrays or `xarray.DataArray`.
    labels : mapping
        The coordinate under which a value is recorded, for those that are.
    core : mapping
        Names of the trailing dimensions that belong to a matrix, for those that have some.
    taken : iterable of str
        Names of the variables of the result, which no lane dimension may bear.

    Returns
    -------
    Lanes

    Raises
    ------
    InputError
        If shapes do not broadcast, dimensions disagree, or a name is taken.

    Examples
    --------
    >>> lanes_of({"eta": [0.5, 1.0], "n": 64}, {"eta": "eta", "n": "n"}, {}).sizes
    {'eta': 2}
    """
    plain = {k: v for k, v in values.items() if not isinstance(v, xr.DataArray)}
    variables, plain_dims = _plain_variables(plain, labels, core)
    found: dict[str, list[tuple[str, xr.Variable]]] = {}
    for name, value in values.items():
        if isinstance(value, xr.DataArray):
            variables[name] = _labelled_variable(name, value, core.get(name, ()))
            _collect_coords(name, value, found)
        elif labels.get(name) in plain_dims:
            found.setdefault(labels[name], []).append((name, variables[name]))
    ordered = {name: variables[name] for name in values}
    coords = _agreed(found, set(labels.values()))
    renamed = _renamed_dims(ordered, labels, core)
    ordered = {k: _rename(v, renamed) for k, v in ordered.items()}
    coords = {renamed.get(k, k): _rename(v, renamed) for k, v in coords.items()}
    sizes = _sizes(ordered, core, plain_dims)
    reserved = {*taken, *(d for names in core.values() for d in names)}
    _refuse_taken(sizes, reserved)
    recorded = {labels[k]: v for k, v in ordered.items() if k in labels}
    kept = {k: v for k, v in coords.items() if k not in reserved and set(v.dims) <= set(sizes)}
    return Lanes(sizes, ordered, {**kept, **recorded})


def _plain_variables(
    plain: Mapping[str, Any], labels: Mapping[str, str], core: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, xr.Variable], tuple[str, ...]]:
    """Return plain arrays with named dimensions, and the dimensions of their common shape."""
    arrays = {name: numeric(name, value) for name, value in plain.items()}
    shapes = {k: _lane_shape(k, a, len(core.get(k, ()))) for k, a in arrays.items()}
    several = [name for name, shape in shapes.items() if shape]
    try:
        full = np.broadcast_shapes(*shapes.values())
    except ValueError as cause:
        listed = ", ".join(f"{name} {shapes[name]}" for name in several)
        raise InputError(
            f"shapes do not broadcast: {listed}; for an outer product use ct.grid(...)"
        ) from cause
    names = tuple(f"dim_{i}" for i in range(len(full)))
    if len(several) == 1 and len(full) == 1 and several[0] in labels:
        names = (labels[several[0]],)
    result = {}
    for name, array in arrays.items():
        axes = range(len(names) - len(shapes[name]), len(names))
        sizes = zip(axes, shapes[name], strict=True)
        # An axis of length one that is stretched belongs to the other arrays: it is dropped.
        stretched = {axis for axis, size in sizes if size != full[axis]}
        dims = [names[axis] for axis in axes if axis not in stretched]
        squeezed = array.squeeze(axis=tuple(axis - axes.start for axis in stretched))
        result[name] = xr.Variable((*dims, *core.get(name, ())), squeezed)
    return result, names


def _lane_shape(name: str, array: Array, core: int) -> tuple[int, ...]:
    if array.ndim < core:
        raise InputError(f"{name} must be a matrix, or an array of them; got shape {array.shape}")
    return tuple(array.shape[: array.ndim - core])


def _labelled_variable(name: str, value: xr.DataArray, core: tuple[str, ...]) -> xr.Variable:
    missing = [d for d in core if d not in value.dims]
    if missing:
        raise InputError(
            f"{name} needs the dimensions {', '.join(core)}; "
            f"it has {', '.join(map(str, value.dims)) or 'none'}"
        )
    own = [d for d in value.dims if d not in core]
    array = numeric(name, value.transpose(*own, *core).values)
    return xr.Variable((*map(str, own), *core), array)


def _collect_coords(
    name: str, value: xr.DataArray, found: dict[str, list[tuple[str, xr.Variable]]]
) -> None:
    import pandas as pd

    for key, coord in value.coords.items():
        if isinstance(value.indexes.get(key), pd.MultiIndex):
            raise InputError(f"{name} has a multi-index {key}: call .reset_index({key!r}) first")
        variable = xr.Variable(tuple(map(str, coord.dims)), coord.values, coord.attrs)
        found.setdefault(str(key), []).append((name, variable))


def _agreed(
    found: Mapping[str, list[tuple[str, xr.Variable]]], labels: set[str]
) -> dict[str, xr.Variable]:
    """Return the coordinates on which all arguments agree.

    Those of a dimension must agree; others are left out where they differ, and where the
    value itself will be recorded under that name.
    """
    kept = {}
    for key, entries in found.items():
        (first_owner, first), *others = entries
        different = [owner for owner, v in others if not _same(v, first)]
        if different and first.dims == (key,):
            raise InputError(
                f"the coordinate {key} of {different[0]} differs from that of {first_owner}: "
                "align them first (xarray.align)"
            )
        if not different and (first.dims == (key,) or key not in labels):
            kept[key] = first
    return kept


def _same(first: xr.Variable, second: xr.Variable) -> bool:
    return first.dims == second.dims and np.array_equal(first.values, second.values)


def _renamed_dims(
    variables: Mapping[str, xr.Variable],
    labels: Mapping[str, str],
    core: Mapping[str, tuple[str, ...]],
) -> dict[str, str]:
    """Return new names for dimensions whose name must be left to a recorded coordinate.

    A coordinate that bears a dimension's name must run along it. The start of the state f is
    recorded as f_0, so that a dimension f becomes f_0; a dimension eta along which the
    learning rate does not run alone becomes eta_axis.
    """
    found: dict[str, str] = {}
    lane_dims = dict.fromkeys(
        str(d) for k, v in variables.items() for d in v.dims if d not in core.get(k, ())
    )
    by_label = {label: name for name, label in labels.items()}
    for dim in lane_dims:
        target = labels.get(dim, dim)
        owner = by_label.get(target)
        if owner is not None and variables[owner].dims != (dim,):
            target = f"{target}_axis"
        if target != dim:
            found[dim] = target
    return found


def _rename(variable: xr.Variable, names: Mapping[str, str]) -> xr.Variable:
    dims = [names.get(str(d), str(d)) for d in variable.dims]
    return xr.Variable(dims, variable.values, variable.attrs)


def _sizes(
    variables: Mapping[str, xr.Variable],
    core: Mapping[str, tuple[str, ...]],
    plain_dims: tuple[str, ...],
) -> dict[str, int]:
    """Return the lane dimensions in order of appearance, those of plain arrays kept together."""
    sizes: dict[str, int] = {}
    source: dict[str, str] = {}
    for name, variable in variables.items():
        for dim, size in variable.sizes.items():
            key = str(dim)
            if key in core.get(name, ()):
                continue
            if sizes.setdefault(key, size) != size:
                raise InputError(
                    f"the dimension {key} has length {size} in {name} but "
                    f"{sizes[key]} in {source[key]}"
                )
            source.setdefault(key, name)
            if size == 0:
                raise InputError(f"there is nothing to run: {name} is empty along {key}")
    order: dict[str, int] = {}
    for dim in sizes:
        together = plain_dims if dim in plain_dims else (dim,)
        order.update({d: sizes[d] for d in together})
    return order


def _refuse_taken(sizes: Mapping[str, int], taken: set[str]) -> None:
    clash = sorted(set(sizes) & taken)
    if clash:
        raise InputError(
            f"the dimension name {clash[0]!r} is taken by a variable of the result: "
            f"rename it, for example .rename({clash[0]}={clash[0] + '_start'!r})"
        )
