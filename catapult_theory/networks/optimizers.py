"""Optimizers by hand, on arrays of parameters; the gradient holds any weight decay already.

Conventions (theory, section 1): heavy ball P' = beta P - eta grad, theta' = theta + P', with
P = 0 at the start and weight decay inside the gradient (coupled).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from catapult_theory.errors import InputError, unknown_name
from catapult_theory.networks.parameters import Array, Parameters

Buffers = dict[str, Parameters]


@dataclass(frozen=True, eq=False)
class Rates:
    """Learning rate, momentum and weight decay of every lane, each of shape (lanes,).

    ``numbers`` holds what single optimizers need besides: ``rho``, ``clip``.
    """

    eta: Array
    beta: Array
    omega: Array
    numbers: Mapping[str, Array] = field(default_factory=dict)

    def take(self, kept: Any) -> Rates:
        """Return the rates of the lanes that are kept."""
        others = {k: a[kept] for k, a in self.numbers.items()}
        return Rates(self.eta[kept], self.beta[kept], self.omega[kept], others)


class Optimizer(Protocol):
    """A rule from gradients to new parameters, with buffers of the parameters' shapes."""

    @property
    def name(self) -> str:
        """The name under which a result records it."""

    def buffers(self, parameters: Mapping[str, Array]) -> Buffers:
        """Return the buffers at the start."""

    def step(
        self,
        parameters: Parameters,
        buffers: Buffers,
        gradient: Parameters,
        rates: Rates,
        number: int,
    ) -> tuple[Parameters, Buffers]:
        """Return parameters and buffers after step ``number`` = 1, 2, ..."""

    def threshold(self, rates: Rates) -> Array | None:
        """Return the largest eta * curvature at which a minimum is linearly stable, if known."""


class Stateless(ABC):
    """A rule without buffers: theta' = theta - eta d(grad), d acting on each array by itself."""

    @abstractmethod
    def direction(self, gradient: Array) -> Array:
        """Return d of one array of the gradient."""

    def buffers(self, parameters: Mapping[str, Array]) -> Buffers:
        """Return no buffers."""
        return {}

    def step(
        self,
        parameters: Parameters,
        buffers: Buffers,
        gradient: Parameters,
        rates: Rates,
        number: int,
    ) -> tuple[Parameters, Buffers]:
        """Return the parameters after one step."""
        moves = {k: over(rates.eta, a) * self.direction(gradient[k]) for k, a in parameters.items()}
        return {k: a - moves[k] for k, a in parameters.items()}, buffers


@dataclass(frozen=True)
class GradientDescent(Stateless):
    """theta' = theta - eta grad.

    Examples
    --------
    >>> GradientDescent().name
    'gd'
    """

    name: str = "gd"

    def direction(self, gradient: Array) -> Array:
        """Return the gradient."""
        return gradient

    def threshold(self, rates: Rates) -> Array | None:
        """Return 2."""
        return np.full_like(rates.eta, 2.0)


@dataclass(frozen=True)
class HeavyBall:
    """P' = beta P - eta grad, theta' = theta + P', P = 0 at the start.

    Examples
    --------
    >>> HeavyBall().name
    'heavy_ball'
    """

    name: str = "heavy_ball"

    def buffers(self, parameters: Mapping[str, Array]) -> Buffers:
        """Return the velocity P = 0."""
        return {"P": {k: np.zeros_like(a) for k, a in parameters.items()}}

    def step(
        self,
        parameters: Parameters,
        buffers: Buffers,
        gradient: Parameters,
        rates: Rates,
        number: int,
    ) -> tuple[Parameters, Buffers]:
        """Return parameters and velocity after one step."""
        velocity = {
            k: over(rates.beta, p) * p - over(rates.eta, p) * gradient[k]
            for k, p in buffers["P"].items()
        }
        return {k: a + velocity[k] for k, a in parameters.items()}, {"P": velocity}

    def threshold(self, rates: Rates) -> Array | None:
        """Return 2 (1 + beta)."""
        return np.asarray(2.0 * (1.0 + rates.beta))


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma, Ba 2014): a coordinate-wise rule, whose dynamics does not close.

    Parameters
    ----------
    decay1, decay2 : float
        Of the running means of the gradient and of its square.
    epsilon : float
        Added to the root of the second.

    Examples
    --------
    >>> Adam().name
    'adam'
    """

    decay1: float = 0.9
    decay2: float = 0.999
    epsilon: float = 1e-8
    name: str = "adam"

    def __post_init__(self) -> None:
        if not (0 <= self.decay1 < 1 and 0 <= self.decay2 < 1 and self.epsilon > 0):
            raise InputError("Adam needs decay1 and decay2 in [0, 1) and epsilon > 0")

    def buffers(self, parameters: Mapping[str, Array]) -> Buffers:
        """Return both running means at zero."""
        return {
            mean: {k: np.zeros_like(a) for k, a in parameters.items()}
            for mean in ("first", "second")
        }

    def step(
        self,
        parameters: Parameters,
        buffers: Buffers,
        gradient: Parameters,
        rates: Rates,
        number: int,
    ) -> tuple[Parameters, Buffers]:
        """Return parameters and running means after one step."""
        b1, b2 = self.decay1, self.decay2
        first = {k: b1 * s + (1 - b1) * gradient[k] for k, s in buffers["first"].items()}
        second = {k: b2 * s + (1 - b2) * gradient[k] ** 2 for k, s in buffers["second"].items()}
        new = {}
        for k, a in parameters.items():
            root = np.sqrt(second[k] / (1 - b2**number)) + self.epsilon
            new[k] = a - over(rates.eta, a) * first[k] / (1 - b1**number) / root
        return new, {"first": first, "second": second}

    def threshold(self, rates: Rates) -> Array | None:
        """Return None: the step is not linear in the gradient."""
        return None


@dataclass(frozen=True)
class SignDescent(Stateless):
    """theta' = theta - eta sign(grad), a coordinate-wise rule, whose dynamics does not close.

    Examples
    --------
    >>> SignDescent().name
    'sign_descent'
    """

    name: str = "sign_descent"

    def direction(self, gradient: Array) -> Array:
        """Return the signs of the gradient."""
        return np.sign(gradient)

    def threshold(self, rates: Rates) -> Array | None:
        """Return None: the step is not linear in the gradient."""
        return None


NAMED: Mapping[str, type[GradientDescent] | type[HeavyBall] | type[Adam] | type[SignDescent]] = {
    "gd": GradientDescent,
    "heavy_ball": HeavyBall,
    "weight_decay": GradientDescent,
    "adam": Adam,
    "sign_descent": SignDescent,
}


def get(optimizer: Any) -> Optimizer:
    """Return the optimizer of a name, or the object itself.

    Parameters
    ----------
    optimizer : str or Optimizer
        "gd", "heavy_ball", "weight_decay" (gradient descent by another name), "adam" or
        "sign_descent".

    Returns
    -------
    Optimizer

    Raises
    ------
    InputError
        For an unknown name, or something that is not an optimizer.

    Examples
    --------
    >>> get("heavy_ball")
    HeavyBall(name='heavy_ball')
    """
    if isinstance(optimizer, str):
        if optimizer not in NAMED:
            raise unknown_name("optimizer", optimizer, NAMED)
        return NAMED[optimizer]()
    steps = hasattr(optimizer, "step") or hasattr(optimizer, "advance")
    if not steps or not all(hasattr(optimizer, k) for k in ("name", "buffers", "threshold")):
        raise InputError(f"an optimizer is one of {', '.join(NAMED)}, not {optimizer!r}")
    chosen: Optimizer = optimizer
    return chosen


def over(rate: Array, array: Array) -> Array:
    """Return the rates of the lanes with axes appended, to multiply arrays of parameters.

    Parameters
    ----------
    rate : array, shape (lanes,)
    array : array, shape (lanes, ...)

    Returns
    -------
    array, shape (lanes, 1, ...)

    Examples
    --------
    >>> over(np.zeros(3), np.zeros((3, 5, 2))).shape
    (3, 1, 1)
    """
    return rate.reshape(rate.shape + (1,) * (array.ndim - 1))
