"""What is kept of the steps of a training: losses always, larger things when asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np

from catapult_theory.errors import InputError, unknown_name
from catapult_theory.networks import ntk
from catapult_theory.networks.parameters import Array, columns, gram, positive_integer
from catapult_theory.networks.problem import Problem

QUANTITIES = ("output", "gram", "lam", "ggn", "parameters")


class Recorder(Protocol):
    """Sees every step of a training."""

    def observe(self, step: int, batch: Any, point: Any) -> None:
        """Take what is needed of the lanes in ``batch`` at their ``point``."""


class NoRecorder:
    """Keeps nothing.

    Examples
    --------
    >>> NoRecorder().observe(0, None, None)
    """

    def observe(self, step: int, batch: Any, point: Any) -> None:
        """Do nothing."""


class StepRecorder:
    """Keeps loss and gradient norm of every step, and recorded quantities at their cadence.

    A lane that has left keeps the last value that was taken of it.

    Parameters
    ----------
    problem : Problem
    every : mapping of str to int
        From recorded quantities to the number of steps between two of their values.
    """

    def __init__(self, problem: Problem, every: Mapping[str, int]) -> None:
        self._problem = problem
        self._every = dict(every)
        self._rows: dict[str, list[Array]] = {}
        self._steps: dict[str, list[int]] = {}

    def observe(self, step: int, batch: Any, point: Any) -> None:
        """Take what is due at this step."""
        self._append("loss", step, batch, point.loss)
        self._append("grad_norm2", step, batch, point.grad_norm2)
        for quantity, every in self._every.items():
            if step % every == 0:
                for name, value in self._values(quantity, batch, point).items():
                    self._append(name, step, batch, value)

    def arrays(self) -> dict[str, Any]:
        """Return the fields of a `TrainingResult` that hold the course of the training."""
        shaped = self._problem.over_lanes
        stacked = {
            name: np.stack([shaped(row) for row in rows]) for name, rows in self._rows.items()
        }
        loss, norm = stacked.pop("loss"), stacked.pop("grad_norm2")
        taken = {name: np.asarray(self._steps[name], dtype=np.int64) for name in stacked}
        return {"loss": loss, "grad_norm2": norm, "recorded": stacked, "recorded_steps": taken}

    def _append(self, name: str, step: int, batch: Any, value: Array) -> None:
        rows = self._rows.setdefault(name, [])
        if rows:
            row = rows[-1].copy()
            row[batch.index] = value
        else:
            row = np.array(value)
        rows.append(row)
        self._steps.setdefault(name, []).append(step)

    def _values(self, quantity: str, batch: Any, point: Any) -> dict[str, Array]:
        problem, parameters = self._problem, batch.parameters
        network, X = problem.network, problem.X
        if quantity == "output":
            return {"output": point.F if problem.has_data else point.F[:, 0, 0]}
        if quantity == "gram":
            return {"gram": gram(parameters, network.shapes)}
        if quantity == "lam":
            return {"lam": ntk.top_eigenvalue(network, parameters, X)}
        if quantity == "ggn":
            return {"ggn": ntk.ggn_top(network, parameters, X, batch.Y, problem.loss)}
        return dict(parameters)


def cadence(
    record: str | Iterable[str] | Mapping[str, int], every: int, problem: Problem
) -> dict[str, int]:
    """Return how often each recorded quantity is due.

    Parameters
    ----------
    record : str, iterable of str, or mapping of str to int
    every : int
        For names without a number of their own.
    problem : Problem

    Returns
    -------
    dict of str to int

    Raises
    ------
    InputError
        For an unknown quantity, a cadence that is not a positive integer, or parameters
        that have no Gram matrix or hide another recorded name.
    """
    names = [record] if isinstance(record, str) else record
    table = dict(names) if isinstance(names, Mapping) else dict.fromkeys(names, every)
    for name, steps in table.items():
        if name not in QUANTITIES:
            raise unknown_name("recorded quantity", name, QUANTITIES)
        table[name] = positive_integer(f"the steps between records of {name!r}", steps)
    shapes = problem.network.shapes
    if "gram" in table:
        columns(shapes)
    hidden = set(shapes) & {*QUANTITIES, "loss", "grad_norm2"}
    if "parameters" in table and hidden:
        raise InputError(f"parameters named {sorted(hidden)} cannot be recorded: rename them")
    return table
