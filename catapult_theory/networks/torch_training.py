"""The training of a PyTorch network from its start, watched step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from catapult_theory.networks.spectra import Spectrum, spectrum
from catapult_theory.networks.spectra_operators import flat, jvp, unflat
from catapult_theory.networks.torch_optimizers import FULL_BATCH, TorchOptimizer
from catapult_theory.networks.torch_part import Tensor, torch_part
from catapult_theory.networks.torch_problem import Point, TorchProblem

Array = Any
# A catapult of a network of width n rises to about n times the loss of the start, and survivors
# were seen at 709 times; a divergence squares its size at every step and passes any number.
CEILING = 1e12
# A run that is at its highest at the end goes on until it is decided, up to so many times longer.
LONGER = 10


@dataclass(frozen=True, eq=False)
class Descent:
    """A training run.

    Parameters
    ----------
    losses : array
        Of all samples, before every step and after the last; up to the first that counts as
        divergence.
    amplitudes : array
        The gradient in the outputs along a fixed direction of them.
    diverged : bool
        Whether the loss passed the ceiling or was not finite.
    final : dict of str to tensor
    outputs : tensor
        Of the last point.
    """

    losses: Array
    amplitudes: Array
    diverged: bool
    final: Point
    outputs: Tensor


def ceiling(problem: TorchProblem) -> float:
    """Return the loss above which a run counts as diverged.

    1e12 times the loss of the start, or of zero outputs where that is larger.

    Parameters
    ----------
    problem : TorchProblem

    Returns
    -------
    float
    """
    outputs = problem.forward(problem.start)
    zero = problem.value(torch_part().zeros_like(outputs))
    scales = [abs(s) for s in (problem.value(outputs), zero) if math.isfinite(s)]
    return CEILING * max(scales)


def descend(
    problem: TorchProblem,
    eta: float,
    steps: int,
    direction: Tensor,
    limit: float,
    optimizer: TorchOptimizer = FULL_BATCH,
) -> Descent:
    """Return a training run on the loss as it is.

    Parameters
    ----------
    problem : TorchProblem
    eta : float
        Learning rate, as for torch.optim.SGD.
    steps : int
        A run whose loss is at its highest after so many goes on until that changes, at most ten
        times as long: some networks diverge slowly.
    direction : tensor, of the shape of the outputs
    limit : float
        A larger loss counts as divergence.
    optimizer : TorchOptimizer
        Full-batch gradient descent when left out.

    Returns
    -------
    Descent
    """
    losses, amplitudes, diverged = [], [], False
    for here in optimizer.course(problem, eta):
        losses.append(here.loss)
        residual = problem.loss.gradient(here.outputs, problem.Y)
        amplitudes.append(float((residual * direction).sum()))
        diverged, done = not here.loss <= limit, len(losses) > steps
        if diverged or (done and not _undecided(losses, steps)):
            break
    return Descent(np.array(losses), np.array(amplitudes), diverged, here.point, here.outputs)


def _undecided(losses: list[float], steps: int) -> bool:
    """Return whether the loss is at its highest, and time is left to see where it goes."""
    return losses[-1] > losses[0] and losses[-1] >= max(losses) and len(losses) <= LONGER * steps


def top_direction(problem: TorchProblem, found: Spectrum) -> Tensor:
    """Return the unit direction of the outputs that the top eigenvector moves them along.

    For a squared loss it is the top eigenvector of the tangent kernel.

    Parameters
    ----------
    problem : TorchProblem
    found : Spectrum
        Of the Gauss-Newton matrix at the start.

    Returns
    -------
    tensor, of the shape of the outputs
    """
    along = unflat(found.directions()[:, 0], problem.start)
    moved = jvp(problem, problem.start, along)
    return moved / moved.norm().clamp(min=torch_part().finfo(moved.dtype).tiny)


def alignment(problem: TorchProblem, point: Point, found: Spectrum) -> float:
    """Return the share of the squared gradient that lies in the span of the eigenvectors.

    Parameters
    ----------
    problem : TorchProblem
    point : dict of str to tensor
    found : Spectrum
        At that point.

    Returns
    -------
    float
        Between 0 and 1; NaN where the gradient is zero.
    """
    gradient = flat(problem.gradient(point)[2])
    whole = float(gradient @ gradient)
    if whole == 0:
        return math.nan
    inside = found.directions().T @ gradient
    return float(inside @ inside) / whole


def leading(
    problem: TorchProblem, point: Point, count: int, tolerance: float | None = None
) -> Spectrum:
    """Return the leading eigenvalues of the Gauss-Newton matrix, as many as there can be.

    Parameters
    ----------
    problem : TorchProblem
    point : dict of str to tensor
    count : int
    tolerance : float, optional
        As for `spectrum`.

    Returns
    -------
    Spectrum
    """
    most = min(problem.samples * problem.outputs, problem.size)
    return spectrum(problem, "ggn", min(count, most), point, tolerance=tolerance)
