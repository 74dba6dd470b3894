"""How a PyTorch network is trained: an optimizer as the course that it takes from the start.

Conventions (theory, section 1). Heavy ball: P' = beta P - eta grad, theta' = theta + P', with
P = 0 at the start; at a fixed learning rate the same as torch.optim.SGD(momentum=beta) with
dampening 0, whose buffer is -P/eta. No factor 1 - beta in front of the gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from catapult_theory.networks.torch_part import Tensor, torch_part
from catapult_theory.networks.torch_problem import Point, TorchProblem

Array = Any
# Batches that are drawn at first; as many again whenever they are used up.
DRAWN = 1024


@dataclass(frozen=True, eq=False)
class Moment:
    """Where a course is before its next step.

    Parameters
    ----------
    point : dict of str to tensor
    outputs : tensor
        Of all samples.
    loss : float
        Of all samples.
    """

    point: Point
    outputs: Tensor
    loss: float


class TorchOptimizer(Protocol):
    """A way to train a network."""

    @property
    def key(self) -> dict[str, Any]:
        """What tells its runs from those of others in a store; nothing for gradient descent."""

    def course(self, problem: TorchProblem, eta: float) -> Iterator[Moment]:
        """Yield the start, and where every step leads, without end."""


@dataclass(frozen=True)
class GradientDescent:
    """theta' = theta - eta grad, on all samples.

    Examples
    --------
    >>> GradientDescent().key
    {}
    """

    @property
    def key(self) -> dict[str, Any]:
        """Nothing: what was kept before there were other optimizers is found again."""
        return {}

    def course(self, problem: TorchProblem, eta: float) -> Iterator[Moment]:
        """Yield the start, and where every step leads, without end."""
        point = dict(problem.start)
        while True:
            outputs, loss, slope = problem.gradient(point)
            yield Moment(point, outputs, loss)
            point = _moved(point, slope, eta)


@dataclass(frozen=True)
class HeavyBall:
    """P' = beta P - eta grad, theta' = theta + P', P = 0 at the start, on all samples.

    Parameters
    ----------
    beta : float
        Momentum, in [0, 1).

    Examples
    --------
    >>> HeavyBall(0.9).key
    {'optimizer': 'heavy ball', 'beta': 0.9}
    """

    beta: float

    @property
    def key(self) -> dict[str, Any]:
        """Name and momentum."""
        return {"optimizer": "heavy ball", "beta": self.beta}

    def course(self, problem: TorchProblem, eta: float) -> Iterator[Moment]:
        """Yield the start, and where every step leads, without end."""
        point = dict(problem.start)
        velocity = {name: torch_part().zeros_like(t) for name, t in point.items()}
        while True:
            outputs, loss, slope = problem.gradient(point)
            yield Moment(point, outputs, loss)
            velocity = {n: self.beta * p - eta * slope[n] for n, p in velocity.items()}
            point = {n: t + velocity[n] for n, t in point.items()}


class Draws(Protocol):
    """Which samples each step sees."""

    @property
    def size(self) -> int:
        """Samples in a batch."""

    @property
    def sampling(self) -> str:
        """With or without replacement."""

    @property
    def seed(self) -> int:
        """Of the draws."""

    def indices(self, samples: int, steps: int) -> Array:
        """Return an array (steps, size) of samples; more steps do not change the first ones."""


@dataclass(frozen=True)
class MiniBatches:
    """theta' = theta - eta grad, the gradient that of the loss on the batch of the step.

    Parameters
    ----------
    batches : object that draws the samples of every step
    """

    batches: Draws

    @property
    def key(self) -> dict[str, Any]:
        """Name and how batches are drawn."""
        drawn = self.batches
        return {
            "optimizer": "mini-batches", "batch": drawn.size, "sampling": drawn.sampling,
            "batch seed": drawn.seed,
        }  # fmt: skip

    def course(self, problem: TorchProblem, eta: float) -> Iterator[Moment]:
        """Yield the start, and where every step leads, without end."""
        point = dict(problem.start)
        for rows in self._rows(problem.samples):
            outputs = problem.forward(point)
            yield Moment(point, outputs, problem.value(outputs))
            point = _moved(point, restricted(problem, rows).gradient(point)[2], eta)

    def _rows(self, samples: int) -> Iterator[Array]:
        drawn = 0
        while True:
            table = self.batches.indices(samples, max(DRAWN, 2 * drawn))
            yield from table[drawn:]
            drawn = len(table)


FULL_BATCH = GradientDescent()


def restricted(problem: TorchProblem, rows: Array) -> TorchProblem:
    """Return the problem on some of its samples.

    Parameters
    ----------
    problem : TorchProblem
    rows : array of int

    Returns
    -------
    TorchProblem
    """
    index = torch_part().as_tensor(rows, device=problem.X.device)
    shape = (len(index), *problem.shape[1:])
    return replace(problem, X=problem.X[index], Y=problem.Y[index], shape=shape)


def _moved(point: Mapping[str, Tensor], slope: Mapping[str, Tensor], eta: float) -> Point:
    return {name: t - eta * slope[name] for name, t in point.items()}
