"""Runs whose parameters or data change from step to step: schedules and mini-batches.

The map stays what it is; only what it is given differs between steps. Loops that hold their
parameters fixed cannot do this: the array target does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from catapult_theory.codegen.arguments import Arguments, Lanes
from catapult_theory.errors import InputError
from catapult_theory.symbolic.schedules import Schedule

DRIVEN_BACKEND = "array"


@dataclass(frozen=True, eq=False)
class Drive:
    """What a step is given: called with the step, returns parameters and the data it sees.

    Parameters
    ----------
    parameters : tuple of array
        In order, over lanes; peaks where scheduled.
    factors : mapping of int to array, shape (steps,)
        By the position of scheduled parameters.
    data : tuple of array
        All samples.
    rows : array of int, shape (steps, size), or None
        The samples of each step; None for all of them.
    """

    parameters: tuple[Any, ...]
    factors: Mapping[int, Any]
    data: tuple[Any, ...]
    rows: Any

    def __call__(self, step: int) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
        """Return the parameters of a step, and its samples or None for all."""
        given = tuple(
            p * self.factors[i][min(step, len(self.factors[i]) - 1)] if i in self.factors else p
            for i, p in enumerate(self.parameters)
        )
        if self.rows is None or step >= len(self.rows):
            return given, None
        return given, tuple(np.ascontiguousarray(a[self.rows[step]]) for a in self.data)


def is_driven(update_map: Any, parameters: Mapping[str, Any]) -> bool:
    """Return whether something changes from step to step.

    Parameters
    ----------
    update_map : UpdateMap
    parameters : mapping

    Returns
    -------
    bool
    """
    scheduled = any(isinstance(value, Schedule) for value in parameters.values())
    return scheduled or update_map.batches is not None


def check_backend(backend: str, update_map: Any, parameters: Mapping[str, Any]) -> None:
    """Refuse a backend whose loops hold parameters and data fixed, where they change.

    Raises
    ------
    InputError
    """
    if backend != DRIVEN_BACKEND and is_driven(update_map, parameters):
        what = "mini-batches" if update_map.batches is not None else "a schedule"
        raise InputError(
            f"the {backend} backend holds parameters and data fixed along a run and cannot "
            f"follow {what}: compile with backend='{DRIVEN_BACKEND}'"
        )


@dataclass(frozen=True)
class Changes:
    """What changes from step to step, checked; empty where nothing does.

    Parameters
    ----------
    factors : mapping of int to array, shape (steps,)
        By the position of scheduled parameters.
    rows : array of int, shape (steps, size), or None
        The samples of each step; None for all of them.
    """

    factors: Mapping[int, Any]
    rows: Any

    def driving(self, lanes: Lanes) -> Lanes:
        """Return lanes with what drives them, scheduled parameters at their peaks."""
        if not self.factors and self.rows is None:
            return lanes
        return replace(lanes, drive=Drive(lanes.parameters, self.factors, lanes.data, self.rows))


def changes(
    update_map: Any, asked: Arguments, schedules: Mapping[str, Schedule], steps: int
) -> Changes:
    """Return what changes from step to step of a run.

    Parameters
    ----------
    update_map : UpdateMap
    asked : Arguments
    schedules : mapping of str to Schedule
    steps : int

    Returns
    -------
    Changes

    Raises
    ------
    InputError
        If a schedule has values that are negative or not finite, or a batch more than all samples.
    """
    factors = {}
    for i, s in enumerate(update_map.constants):
        if s.name in schedules:
            table = schedules[s.name].factors(max(steps, 1))
            if not (np.isfinite(table) & (table >= 0)).all():
                raise InputError(f"the schedule of {s.name} must be non-negative and finite")
            factors[i] = table.astype(asked.parameters[i].dtype)
    rows = None
    if update_map.batches is not None:
        rows = update_map.batches.indices(len(asked.data[0]), steps)
    return Changes(factors, rows)
