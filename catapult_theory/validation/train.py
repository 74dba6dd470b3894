"""Brute-force training under the names of the theory.

The networks are trained on raw parameters; the invariants are read off their Gram matrix,
while output, loss and lambda come from forward and backward passes, so that each can be
laid over the same variable of a run of the update map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from catapult_theory.codegen.labels import describe, flags, versions
from catapult_theory.codegen.run_start import core_dims
from catapult_theory.errors import InputError, unknown_name
from catapult_theory.networks import TrainingStatus, gaussian_start, train_network
from catapult_theory.symbolic import optimizers
from catapult_theory.symbolic.schedules import peak
from catapult_theory.symbolic.update_map import UpdateMap
from catapult_theory.validation.course import Course
from catapult_theory.validation.problem import Pairing, pair

Array = Any
Progress = Callable[[int, int], None]


def train(
    model: Any,
    data: Any = None,
    *,
    n: int | None = None,
    eta: Any,
    steps: int,
    optimizer: Any = "gd",
    loss: Any = "squared",
    seed: Any = 0,
    start: Any = "gaussian",
    every: int = 1,
    observables: Iterable[str] | str = (),
    progress: Progress | None = None,
    **parameters: Any,
) -> xr.Dataset:
    """Train a network of width n on its raw parameters and return its course.

    The same variables as `ct.trajectory`: the invariants of the update map, from the Gram
    matrix of the raw parameters (theory, section 2); f, loss and lam (the largest
    eigenvalue of Theta/m) from forward passes and gradients, which know nothing of it.
    A model or optimizer that does not close is trained all the same, without invariants.

    Parameters
    ----------
    model : Model or str
        Zoo models are trained by hand-written networks, others by automatic differentiation
        of their raw forward pass.
    data : pair (X, y) or Dataset, optional
        X of shape (m, d), y of shape (m,) or (m, k), for matrix models.
    n : int, optional
        Width; may be left out when ``start`` holds arrays.
    eta : float, array of shape (e,) or Schedule
        Learning rate; an array makes a dimension ``eta``, and so does a schedule with several
        peaks.
    steps : int
    optimizer : str or Optimizer
    loss : str, Loss or sympy.Expr
    seed : int or iterable of int
        Of the Gaussian start; several make a dimension ``seed``.
    start : "gaussian", start law or dict of arrays
        Raw parameters by name, such as ``{"u": ..., "v": ...}``.
    every : int
        Keep steps 0, every, 2 every, ...
    observables : iterable of str
        ``"lam"`` for matrix models, where it is dear; scalar models always have it.
    progress : callable, optional
        Called as ``progress(step, steps)``.
    **parameters
        Values of the symbols of model and optimizer: ``y``, ``beta``, ``omega``, ...

    Returns
    -------
    xarray.Dataset
        With the dimension ``step`` first; a network that has diverged keeps its last values.
        ``status`` and ``status_step`` as in runs, without freezing converged networks.

    Raises
    ------
    InputError, ModelError
        If an input cannot be used; the message says which.

    Examples
    --------
    >>> ds = train("uv", n=64, eta=1.2, steps=200)
    >>> ds.lam.dims, bool(ds.lam[-1] < ds.lam[0]), int(ds.status)
    (('step',), True, 1)
    """
    both = pair(model, data, optimizer, loss, **parameters)
    rule = optimizers.get(optimizer)
    course = Course({**parameters, "eta": eta}, data, getattr(rule, "batches", None), steps)
    names = _observables(observables)
    law = gaussian_start(seeds=_seeds(seed)) if isinstance(start, str) else start
    if isinstance(start, str) and start != "gaussian":
        raise unknown_name("start", start, ["gaussian"])
    rates = peak(eta)
    raw, lanes, coords = _lanes(both, law, n, rates, seed)
    recorded = ["output", *(["gram"] if both.update_map is not None else [])]
    if not both.model.is_matrix or "lam" in names:
        recorded.append("lam")
    result = train_network(
        both.network, data, eta=rates, steps=steps, n=n, start=raw, optimizer=both.rule,
        loss=both.loss, **both.rates.given, **course.raw,
        record=recorded, every=every, progress=progress,
    )  # fmt: skip
    return _dataset(both, result, (lanes, coords), every, law, sizes_of(data))


def states_of(
    update_map: UpdateMap, gram: Array, n: int, sizes: Mapping[str, int]
) -> dict[str, Any]:
    """Return the states of raw networks from the Gram matrices of their columns.

    Parameters
    ----------
    update_map : UpdateMap
    gram : array, shape (..., p, p)
        Of parameters and, under momentum, velocities.
    n : int
    sizes : mapping of str to int
        Symbolic sizes of a matrix model.

    Returns
    -------
    dict of str to array

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> float(states_of(derive(models.uv()), np.eye(2), 4, {})["lam"])
    2.0
    """
    frame = update_map.frame
    whole = replace(update_map, frame=replace(frame, trained=len(frame.names)))
    return whole.state_from_gram(gram, n, sizes=dict(sizes))


def sizes_of(data: Any) -> dict[str, int]:
    """Return the sizes m, d and k of a data set; none without data.

    Parameters
    ----------
    data : pair (X, Y), Dataset or None

    Returns
    -------
    dict of str to int

    Examples
    --------
    >>> sizes_of((np.zeros((5, 3)), np.zeros(5)))
    {'m': 5, 'd': 3, 'k': 1}
    """
    if data is None:
        return {}
    X, Y = (np.asarray(a) for a in data)
    return {"m": X.shape[0], "d": X.shape[1], "k": 1 if Y.ndim == 1 else Y.shape[1]}


def _observables(observables: Iterable[str] | str) -> list[str]:
    names = [observables] if isinstance(observables, str) else list(observables)
    for name in names:
        if name != "lam":
            raise unknown_name("observable of brute-force training", name, ["lam"])
    return names


def _seeds(seed: Any) -> list[Any]:
    return [seed] if np.ndim(seed) == 0 and not isinstance(seed, range) else list(seed)


def _lanes(
    both: Pairing, law: Any, n: Any, eta: Any, seed: Any
) -> tuple[Any, tuple[str, ...], dict[str, Any]]:
    """Return raw parameters with lanes in front, the names of the lanes and coordinates."""
    if np.ndim(eta) > 1:
        raise InputError("eta must be a number or a one-dimensional array of learning rates")
    dims: tuple[str, ...] = ("eta",) if np.ndim(eta) == 1 else ()
    coords: dict[str, Any] = {"eta": np.asarray(eta, dtype=float)} if dims else {}
    shapes = both.own_shapes
    if isinstance(law, Mapping):
        raw = {name: np.asarray(a, dtype=float) for name, a in law.items()}
        return both.raw_start(raw), dims, coords
    if not hasattr(law, "raw"):
        raise InputError('start must be "gaussian", a start law or a dict of raw parameters')
    if n is None:
        raise InputError("give the width, n=..., or a start with parameter arrays")
    raw = law.raw(shapes, n)
    if len(law.seeds) > 1 or np.ndim(seed) == 1:
        count = len(law.seeds)
        raw = {k: np.asarray(a).reshape(count, *(1,) * len(dims), *np.shape(a)[-len(shapes[k]):])
               for k, a in raw.items()}  # fmt: skip
        coords = {"seed": np.asarray(law.seeds), **coords}
        dims = ("seed", *dims)
    return both.raw_start(raw), dims, coords


def _dataset(
    both: Pairing,
    result: Any,
    labels: tuple[tuple[str, ...], Mapping[str, Any]],
    every: int,
    law: Any,
    sizes: Mapping[str, int],
) -> xr.Dataset:
    lanes, coords = labels
    kept = np.arange(0, result.steps + 1, every)
    variables: dict[str, Any] = {}

    def add(name: str, array: Array, core: tuple[str, ...] = (), definition: Any = None) -> None:
        full = _padded(np.asarray(array), len(kept))
        variables[name] = (("step", *lanes, *core), full, describe(name, definition))

    update_map = both.update_map
    if update_map is not None:
        dims = core_dims(update_map)
        for name, array in states_of(update_map, result["gram"], result.n, sizes).items():
            add(name, array, dims[name], update_map.gram.get(update_map.state._asdict()[name]))
    add("f", result["output"], ("sample", "output") if both.model.is_matrix else ())
    if "lam" in result.recorded:
        add("lam", result["lam"])
    add("loss", result.loss[::every])
    variables["status"] = (lanes, result.status, flags(TrainingStatus))
    variables["status_step"] = (lanes, result.status_step, describe("status_step"))
    coordinates = {"step": ("step", kept, describe("step"))}
    coordinates |= {k: (k, v, describe(k)) for k, v in coords.items()}
    return xr.Dataset(variables, coordinates, _attributes(both, result, law))


def _padded(array: Array, length: int) -> Array:
    """Repeat the last row of a training that ended early because all lanes had diverged."""
    missing = length - len(array)
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) if missing > 0 else array


def _attributes(both: Pairing, result: Any, law: Any) -> dict[str, Any]:
    update_map = both.update_map
    return {
        "model": both.model.name,
        "loss": both.loss_name,
        "optimizer": both.optimizer_name,
        "method": "brute force on raw parameters, float64",
        "exactness": "does not close" if update_map is None else str(update_map.exactness),
        "n": result.n,
        "eta": np.asarray(result.eta).tolist() if np.ndim(result.eta) else float(result.eta),
        "beta": np.max(np.asarray(result.beta)).item(),
        "omega": np.max(np.asarray(result.weight_decay)).item(),
        "steps": result.steps,
        "start": law.describe() if hasattr(law, "describe") else "given parameters",
        "versions": versions(),
    }
