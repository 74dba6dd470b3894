"""The start of a run: given values, an earlier result, or a law that draws Gram matrices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import sympy as sp
import xarray as xr

from catapult_theory.codegen.grid import Array, Lanes, lanes_of
from catapult_theory.codegen.labels import ranges
from catapult_theory.codegen.run_checks import length_of
from catapult_theory.errors import InputError, StartError, unknown_name
from catapult_theory.symbolic.symbols import Inner, n
from catapult_theory.symbolic.update_map import UpdateMap

ROLES = ("output", "input", "sample")


@runtime_checkable
class StartLaw(Protocol):
    """A random start, handed over as an object: it draws Gram matrices of the parameters.

    A draw depends on the seed, the width and the number of columns alone.
    """

    seeds: tuple[int, ...]

    def gram(self, columns: int, n: Any, size: tuple[int, ...]) -> Array:
        """Return Gram matrices divided by n, of shape (*size, columns, columns).

        With several seeds ``size[0]`` is their number.
        """

    def describe(self) -> str:
        """Return the law in words."""


@dataclass(frozen=True)
class Start:
    """Lanes that hold the state too, and where the state came from.

    Parameters
    ----------
    lanes : Lanes
    description : str
    seeds : str
        Empty for given values.
    drawn : bool
        Whether a law made the state, so that it belongs to a network by construction.
    """

    lanes: Lanes
    description: str
    seeds: str
    drawn: bool


def started(
    update_map: UpdateMap,
    start: Any,
    parameters: Mapping[str, Any],
    sizes: Mapping[str, int],
    taken: frozenset[str],
) -> Start:
    """Return the lanes of parameters and starting states.

    Parameters
    ----------
    update_map : UpdateMap
    start : mapping, xarray.Dataset or StartLaw
        State values by name (of an earlier result, its state is taken). Velocities may be
        left out: they start at zero.
    parameters : mapping
    sizes : mapping of str to int
        Symbolic sizes of a matrix map.
    taken : frozenset of str
        Names that lane dimensions may not bear.

    Returns
    -------
    Start

    Raises
    ------
    InputError
        If the start is of another kind, or states are unknown, missing or of a wrong shape.
    """
    core = core_dims(update_map)
    labels = {name: name for name in parameters}
    if isinstance(start, Mapping):
        given = _given(update_map, start, sizes)
        start_labels = {name: f"{name}_0" for name in given if not core[name]}
        lanes = lanes_of({**parameters, **given}, {**labels, **start_labels}, core, taken)
        _check_shapes(update_map, lanes, sizes)
        return Start(lanes, _in_words(start, given), "", drawn=False)
    if isinstance(start, StartLaw):
        recorded = {f"{name}_0" for name in core}
        lanes = lanes_of(parameters, labels, {}, {*taken, *_flat(core), *recorded})
        return _drawn(update_map, start, lanes, sizes, core)
    raise InputError(
        f"start must be state values such as {_example(update_map)}, or a start law such as "
        f"ct.gaussian_start(seed=0); got {type(start).__name__}"
    )


def core_dims(update_map: UpdateMap) -> dict[str, tuple[str, ...]]:
    """Return the dimension names of every state's matrix: output, input, parameter.

    A side that occurs twice in one matrix is numbered: (input, input2).

    Parameters
    ----------
    update_map : UpdateMap

    Returns
    -------
    dict of str to tuple of str
        Empty tuples for scalar states.
    """
    if not update_map.is_matrix:
        return {s.name: () for s in update_map.variables}
    inputs, targets = update_map.data
    lengths = (targets.shape[1], inputs.shape[1], inputs.shape[0])
    roles = {length: role for length, role in reversed(list(zip(lengths, ROLES, strict=True)))}
    result: dict[str, tuple[str, ...]] = {}
    for s in update_map.variables:
        first, second = (roles.get(side, "parameter") for side in s.shape)
        result[s.name] = (first, second if second != first else f"{first}2")
    return result


def _flat(core: Mapping[str, tuple[str, ...]]) -> set[str]:
    return {dim for names in core.values() for dim in names}


def _example(update_map: UpdateMap) -> str:
    return "{" + ", ".join(f'"{s.name}": ...' for s in update_map.variables) + "}"


def _given(
    update_map: UpdateMap, start: Mapping[Any, Any], sizes: Mapping[str, int]
) -> dict[str, Any]:
    known = [s.name for s in update_map.variables]
    if not isinstance(start, xr.Dataset):
        for name in start:
            if name not in known:
                raise unknown_name("state", name, known)
    values: dict[str, Any] = {name: start[name] for name in known if name in start}
    missing = []
    for s in update_map.variables:
        if s.name in values:
            continue
        if _is_velocity(update_map, s):
            values[s.name] = np.zeros(_shape(s, sizes))
        else:
            missing.append(s.name)
    if missing:
        raise StartError(
            f"the start lacks {', '.join(missing)}",
            f"give start={_example(update_map)}, or a start law such as ct.gaussian_start(seed=0)",
        )
    return {name: values[name] for name in known}


def _shape(symbol: Any, sizes: Mapping[str, int]) -> tuple[int, ...]:
    sides = getattr(symbol, "shape", ())
    return tuple(length_of(side, sizes) for side in sides)


def _is_velocity(update_map: UpdateMap, symbol: Any) -> bool:
    """Whether every term of the state contains a buffer, which is zero at the start."""
    buffers = set(update_map.frame.names[update_map.frame.trained :])
    expression = update_map.gram[symbol]
    products = (
        [{s.name for s in pair.args} for pair in expression.atoms(Inner)]
        if isinstance(expression, sp.Expr) and not update_map.is_matrix
        else [{s.name for s in expression.atoms(sp.MatrixSymbol)}]
    )
    return bool(products) and all(names & buffers for names in products)


def _check_shapes(update_map: UpdateMap, lanes: Lanes, sizes: Mapping[str, int]) -> None:
    for s in update_map.variables:
        expected = _shape(s, sizes)
        variable = lanes.values[s.name]
        actual = variable.shape[variable.ndim - len(expected) :]
        if actual != expected:
            raise InputError(
                f"{s.name} must be {' x '.join(map(str, expected))} for this data, "
                f"got {' x '.join(map(str, actual))}"
            )


def _in_words(start: Mapping[Any, Any], given: Mapping[str, Any]) -> str:
    if isinstance(start, xr.Dataset):
        return f"state of an earlier run ({start.attrs.get('start', 'unknown start')})"
    texts = []
    for name, value in given.items():
        if name in start:
            shape = np.shape(value)
            texts.append(f"{name} {shape}" if shape else f"{name} = {float(value)!r}")
    return "given values: " + ", ".join(texts)


def _drawn(
    update_map: UpdateMap,
    law: StartLaw,
    lanes: Lanes,
    sizes: Mapping[str, int],
    core: Mapping[str, tuple[str, ...]],
) -> Start:
    """Draw once for each seed and distinct width, and spread over the lanes of the width."""
    if n.name not in lanes.values:
        raise StartError(
            f"a start law needs the width n as a parameter of {update_map.model}",
            f"give n, or the state itself: start={_example(update_map)}",
        )
    frame = update_map.frame
    counts = [length_of(c, sizes) for c in frame.columns[: frame.trained]]
    columns = sum(counts)
    seeds = np.asarray(law.seeds, dtype=np.int64)
    width = lanes.values[n.name]
    distinct, position = np.unique(width.values, return_inverse=True)
    several = seeds.size > 1
    shape = (seeds.size, distinct.size) if several else (distinct.size,)
    gram = _frames_drawn(update_map, law, counts, distinct, shape).reshape(
        seeds.size, distinct.size, columns, columns
    )
    states = update_map.state_from_gram(gram, distinct, sizes=sizes)
    place = xr.Variable(width.dims, position.reshape(width.shape))
    values = {
        name: _spread(np.broadcast_to(state, (*gram.shape[:2], *_core_shape(state, core[name]))),
                      place, several, core[name])
        for name, state in states.items()
    }  # fmt: skip
    coords = {"seed": xr.Variable(("seed",), seeds) if several else xr.Variable((), seeds[0])}
    recorded = {f"{name}_0": v for name, v in values.items() if not core[name]}
    spread = lanes.extended(values, coords)
    full = Lanes(spread.sizes, spread.values, {**spread.coords, **recorded})
    return Start(full, law.describe(), ranges([int(s) for s in law.seeds]), drawn=True)


def _frames_drawn(
    update_map: UpdateMap,
    law: StartLaw,
    counts: list[int],
    widths: Array,
    shape: tuple[int, ...],
) -> Array:
    """Return Gram matrices over n: of each frame from the start of its own length."""
    frame, columns = update_map.frame, sum(counts)
    if not frame.groups:
        return np.asarray(law.gram(columns, widths, shape))
    owner = np.repeat(frame.groups[: frame.trained], counts)
    total = np.zeros((*shape, columns, columns))
    for share in sorted(set(frame.shares)):
        rows = widths * int(share.p)
        if (rows % int(share.q)).any():
            raise InputError(
                f"{update_map.model} shares its units out in frames of {share} of the width: "
                f"take widths that are multiples of {share.q}"
            )
        drawn = np.asarray(law.gram(columns, rows // int(share.q), shape)) * float(share)
        inside = np.array([frame.shares[i] == share for i in owner])
        total += np.where((owner[:, None] == owner) & inside, drawn, 0.0)
    return total


def _core_shape(state: Array, core: tuple[str, ...]) -> tuple[int, ...]:
    return state.shape[state.ndim - len(core) :] if core else ()


def _spread(state: Array, place: xr.Variable, several: bool, core: tuple[str, ...]) -> xr.Variable:
    """Return a state of shape (seeds, widths, *core) over the lanes of the width and the seed."""
    if not several:
        return xr.Variable((*place.dims, *core), state[0][place.values])
    seed, position = np.arange(len(state)), np.asarray(place.values)
    if "seed" not in place.dims:
        return xr.Variable((*place.dims, "seed", *core), state[seed, position[..., None]])
    along = [-1 if dim == "seed" else 1 for dim in place.dims]
    return xr.Variable((*place.dims, *core), state[seed.reshape(along), position])
