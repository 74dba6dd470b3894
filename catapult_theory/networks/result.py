"""What a training returns: statuses, peaks, final parameters, and arrays per step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from catapult_theory.errors import unknown_name
from catapult_theory.networks.parameters import Array, Parameters


class TrainingStatus(IntEnum):
    """What became of a lane (theory, section 1); the numbers are those of compiled kernels.

    Examples
    --------
    >>> TrainingStatus(2).name
    'DIVERGED'
    """

    UNDECIDED = 0
    CONVERGED = 1
    DIVERGED = 2


@dataclass(frozen=True, eq=False)
class TrainingSummary:
    """The outcome of a training, without a trace of its steps.

    Arrays over lanes have the shape of the lanes; a single network has shape ().

    Parameters
    ----------
    network, optimizer, loss_name, start : str
        What was trained, in words.
    n : int
        Width.
    eta, beta, weight_decay : array, shape (*lanes,)
    steps : int
        As asked for.
    last_step : int
        The last step that any lane took: less than ``steps`` if all were decided before.
    status : array of int, shape (*lanes,)
        Codes of `TrainingStatus`.
    status_step : array of int, shape (*lanes,)
        The step at which the status was reached; ``steps`` where undecided.
    peak_loss, peak_step : array, shape (*lanes,)
        The largest data loss, initial and final state included, and its step.
    final_loss : array, shape (*lanes,)
        Data loss at the last state of each lane.
    output : array, shape (*lanes, m, k), or (*lanes,) in a network without data
        Output at the last state of each lane.
    parameters : dict of arrays, shape (*lanes, ...)
        The last state of each lane.
    """

    network: str
    optimizer: str
    loss_name: str
    start: str
    n: int
    eta: Array
    beta: Array
    weight_decay: Array
    steps: int
    last_step: int
    status: Any
    status_step: Any
    peak_loss: Array
    peak_step: Any
    final_loss: Array
    output: Array
    parameters: Parameters

    @property
    def diverged(self) -> Any:
        """Whether each lane diverged, a boolean array of the shape of the lanes."""
        return self.status == TrainingStatus.DIVERGED

    @property
    def converged(self) -> Any:
        """Whether each lane converged, a boolean array of the shape of the lanes."""
        return self.status == TrainingStatus.CONVERGED

    def __str__(self) -> str:
        counts = ", ".join(
            f"{int((self.status == s).sum())} {s.name.lower()}" for s in TrainingStatus
        )
        return (
            f"{self.network}, n = {self.n}, {self.optimizer}, {self.loss_name} loss, "
            f"{self.last_step} of {self.steps} steps: {counts}"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


@dataclass(frozen=True, eq=False, repr=False)
class TrainingResult(TrainingSummary):
    """The outcome of a training with its course, step 0 included.

    Parameters
    ----------
    loss : array, shape (last_step + 1, *lanes)
        Data loss (without weight decay) at every step. A lane that has diverged keeps its
        last value.
    grad_norm2 : array, shape (last_step + 1, *lanes)
        Squared norm of the gradient of the whole loss, weight decay included.
    recorded : mapping of str to array
        What was asked for, steps first: "output" (shape as ``output``), "gram" (*lanes, p, p),
        "lam" (*lanes,), "ggn" (*lanes,), and for "parameters" one entry for each parameter
        under its own name.
    recorded_steps : mapping of str to array of int
        The steps of each entry of ``recorded``.
    """

    loss: Array
    grad_norm2: Array
    recorded: Mapping[str, Array]
    recorded_steps: Mapping[str, Any]

    def __getitem__(self, name: str) -> Array:
        """Return a recorded quantity by name: ``result["gram"]``."""
        if name not in self.recorded:
            raise unknown_name("recorded quantity", name, self.recorded)
        return self.recorded[name]
