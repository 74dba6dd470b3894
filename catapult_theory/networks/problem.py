"""A training problem with every input checked: network, data, start, rates, loss, optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from catapult_theory.errors import InputError
from catapult_theory.networks import losses, optimizers
from catapult_theory.networks.datasets import Dataset
from catapult_theory.networks.losses import OutputLoss
from catapult_theory.networks.optimizers import Optimizer, Rates
from catapult_theory.networks.parameters import (
    Array,
    Network,
    Parameters,
    checked,
    positive_integer,
    real_array,
)
from catapult_theory.networks.plan import Plan, planned
from catapult_theory.networks.starts import gaussian_start


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything that a training needs, lanes flattened to one axis of length L.

    Parameters
    ----------
    network, optimizer, loss
        As objects.
    X : array, shape (m, d), or None
        None in a network without data.
    Y : array, shape (L, m, k) or (1, m, k)
        One set of targets for each lane, or one for all.
    parameters : dict of arrays, shape (L, ...)
    rates : Rates
    n : int
    lanes : tuple of int
        The shape that L is the product of.
    start : str
        The start in words.
    plan : Plan
        What changes from step to step.
    """

    network: Network
    optimizer: Optimizer
    loss: OutputLoss
    X: Array | None
    Y: Array
    parameters: Parameters
    rates: Rates
    n: int
    lanes: tuple[int, ...]
    start: str
    plan: Plan = field(default_factory=Plan)

    @property
    def has_data(self) -> bool:
        """Whether outputs keep their sample and output axes."""
        return self.X is not None

    def over_lanes(self, array: Any) -> Any:
        """Return an array of shape (L, ...) with its first axis as the lanes' shape."""
        return np.asarray(array).reshape((*self.lanes, *np.shape(array)[1:]))

    def outputs_over_lanes(self, array: Any) -> Any:
        """Return outputs (L, m, k) over the lanes' shape; plain numbers without data."""
        return self.over_lanes(array if self.has_data else np.asarray(array)[:, 0, 0])


def pose(
    network: Network,
    data: Any,
    *,
    eta: Any,
    n: Any,
    start: Any,
    optimizer: Any,
    loss: Any,
    beta: Any,
    weight_decay: Any,
    numbers: Mapping[str, Any] | None = None,
    schedules: Mapping[str, Any] | None = None,
    batches: Any = None,
) -> Problem:
    """Return the problem, or say which input cannot be used.

    Parameters
    ----------
    network, data, eta, n, start, optimizer, loss, beta, weight_decay, numbers, schedules, batches
        As in `train_network`.

    Returns
    -------
    Problem

    Raises
    ------
    InputError

    Examples
    --------
    >>> from catapult_theory.networks.zoo import UVNetwork
    >>> problem = pose(UVNetwork(), None, eta=[0.1, 0.2], n=8, start=gaussian_start(seeds=[0, 1]),
    ...     optimizer="gd", loss="squared", beta=0.0, weight_decay=0.0)
    >>> problem.lanes
    (2,)
    """
    if not all(hasattr(network, part) for part in ("shapes", "label", "forward", "backpropagate")):
        raise InputError(
            f"{network!r} is not a network: use UVNetwork, LinearNetwork or GenericNetwork"
        )
    rule, criterion = optimizers.get(optimizer), losses.get(loss)
    X, Y = _data(network, data)
    parameters, width, own_lanes, words = _start(network, n, start)
    rates = _rates(eta, beta, weight_decay, numbers or {}, rule)
    own = (rates.eta, rates.beta, rates.omega, *rates.numbers.values())
    shapes = [own_lanes, *(a.shape for a in own), Y.shape[:-2]]
    lanes = _common(shapes)
    problem = Problem(
        network=network,
        optimizer=rule,
        loss=criterion,
        X=X,
        Y=_flat(Y, Y.ndim - 2, lanes) if Y.ndim > 2 else Y[None],
        parameters={
            name: _flat(a, a.ndim - len(network.shapes[name]), lanes)
            for name, a in parameters.items()
        },
        rates=Rates(
            _flat(rates.eta, rates.eta.ndim, lanes),
            _flat(rates.beta, rates.beta.ndim, lanes),
            _flat(rates.omega, rates.omega.ndim, lanes),
            {k: _flat(a, a.ndim, lanes) for k, a in rates.numbers.items()},
        ),
        n=width,
        lanes=lanes,
        start=words,
        plan=planned(schedules, batches, lanes, None if X is None else len(X)),
    )
    _check_outputs(problem)
    return problem


def _data(network: Network, data: Any) -> tuple[Array | None, Array]:
    if network.label is not None:
        if data is not None:
            raise InputError(
                f"{type(network).__name__} has one sample and a label of its own: leave data out"
            )
        return None, np.asarray(network.label, dtype=float)[..., None, None]
    if data is None:
        raise InputError(f"{type(network).__name__} needs data=(X, y), for instance data=digits()")
    if not isinstance(data, Dataset):
        if not isinstance(data, (tuple, list)) or len(data) != 2:
            raise InputError("data must be a pair (X, y) or a Dataset")
        data = Dataset(*data)
    expected = getattr(network, "inputs", None)
    if expected is not None and expected != data.inputs:
        raise InputError(f"the network has {expected} inputs, X has {data.inputs} columns")
    return data.X, data.Y


def _start(network: Network, n: Any, start: Any) -> tuple[Parameters, int, tuple[int, ...], str]:
    law = gaussian_start() if start is None else start
    if isinstance(law, Mapping):
        drawn, words = law, "given parameters"
    elif hasattr(law, "raw"):
        if n is None:
            raise InputError("give the width, n=..., or a start with parameter arrays")
        drawn = law.raw(network.shapes, positive_integer("the width n", n))
        words = law.describe()
    else:
        raise InputError("start must be a start law (gaussian_start(seed=0)) or a dict of arrays")
    parameters, width, lanes = checked(drawn, network.shapes)
    if n is not None and width != n:
        raise InputError(f"the start has width {width}, n = {n} was asked for")
    return parameters, width, lanes, words


def _rates(
    eta: Any, beta: Any, weight_decay: Any, numbers: Mapping[str, Any], rule: Optimizer
) -> Rates:
    rates = Rates(
        real_array("eta", eta), real_array("beta", beta), real_array("weight_decay", weight_decay),
        {name: real_array(name, value) for name, value in numbers.items()},
    )  # fmt: skip
    if not (np.isfinite(rates.eta) & (rates.eta > 0)).all():
        raise InputError(f"the learning rate eta must be positive and finite, got {eta!r}")
    if not ((rates.beta >= 0) & (rates.beta < 1)).all():
        raise InputError(f"the momentum beta must lie in [0, 1), got {beta!r}")
    if not (np.isfinite(rates.omega) & (rates.omega >= 0)).all():
        raise InputError(f"weight_decay must be non-negative and finite, got {weight_decay!r}")
    for name, value in rates.numbers.items():
        if not (np.isfinite(value) & (value >= 0)).all():
            raise InputError(f"{name} must be non-negative and finite, got {numbers[name]!r}")
    has_momentum = rule.name == "heavy_ball" or getattr(rule, "momentum", "none") != "none"
    if rates.beta.any() and not has_momentum:
        raise InputError(f"{rule.name} has no momentum beta: use optimizer='heavy_ball'")
    return rates


def _common(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    try:
        lanes = np.broadcast_shapes(*shapes)
    except ValueError as cause:
        raise InputError(
            f"start, eta, beta, weight_decay and label have lanes {shapes}: these do not broadcast"
        ) from cause
    if 0 in lanes:
        raise InputError("there is nothing to train: an array of eta, starts or labels is empty")
    return lanes


def _flat(array: Array, lead: int, lanes: tuple[int, ...]) -> Array:
    rest = array.shape[lead:]
    spread = np.broadcast_to(array, (*lanes, *rest))
    return np.array(spread).reshape(-1, *rest)


def _check_outputs(problem: Problem) -> None:
    one = {name: a[:1] for name, a in problem.parameters.items()}
    outputs = problem.network.forward(one, problem.X)
    if outputs.shape[-2:] != problem.Y.shape[-2:]:
        raise InputError(
            f"the network's outputs have shape {outputs.shape[-2:]}, the targets "
            f"{problem.Y.shape[-2:]}: one row for each sample, one column for each output"
        )
    name = problem.loss.name
    if name == "softmax_cross_entropy" and outputs.shape[-1] < 2:
        raise InputError(
            "softmax cross-entropy needs at least 2 outputs; for one use loss='logistic'"
        )
    signs = name in ("logistic", "exponential")
    if signs and problem.has_data and not (np.abs(problem.Y) == 1).all():
        raise InputError(f"the {name} loss needs labels -1 and 1; turn labels 0, 1 into 2*y - 1")
