"""What changes from step to step of a training: rates by the step, samples by the step.

Both are given as tables. Nothing is drawn or computed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from catapult_theory.errors import InputError, unknown_name
from catapult_theory.networks.optimizers import Rates
from catapult_theory.networks.parameters import Array

SCHEDULED = {"eta": "eta", "beta": "beta", "weight_decay": "omega"}


@dataclass(frozen=True, eq=False)
class Plan:
    """Tables over the steps; the last row serves for the state after the last step.

    Parameters
    ----------
    rates : mapping of str to array, shape (steps, lanes) or (steps, 1)
        Fields of `Rates`, or names among its numbers.
    batches : array of int, shape (steps, size), or None
        Rows of the data that each step sees; None for all.
    """

    rates: Mapping[str, Array] = field(default_factory=dict)
    batches: Any = None

    def at(self, rates: Rates, lanes: Any, step: int) -> Rates:
        """Return the rates of the given lanes at a step.

        Parameters
        ----------
        rates : Rates
        lanes : array of int
        step : int

        Returns
        -------
        Rates
        """
        if not self.rates:
            return rates
        own = {}
        for name, table in self.rates.items():
            row = table[min(step, len(table) - 1)]
            own[name] = row[lanes] if len(row) > 1 else np.repeat(row, len(lanes))
        fields = {k: a for k, a in own.items() if k in SCHEDULED.values()}
        others = {k: a for k, a in own.items() if k not in fields}
        return replace(rates, **fields, numbers={**rates.numbers, **others})


def planned(
    schedules: Mapping[str, Any] | None, batches: Any, lanes: tuple[int, ...], samples: int | None
) -> Plan:
    """Return the plan of a training, with every table checked.

    Parameters
    ----------
    schedules : mapping of str to array, shape (steps,) or (steps, *lanes)
        Of "eta", "beta", "weight_decay" and the optimizer's own numbers.
    batches : array of int, shape (steps, size), or None
    lanes : tuple of int
    samples : int or None

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        If a table has no rows, negative entries or samples that are not there.

    Examples
    --------
    >>> planned({"eta": [0.1, 0.2]}, None, (3,), None).rates["eta"].shape
    (2, 1)
    """
    tables = {}
    for name, values in (schedules or {}).items():
        if name not in (*SCHEDULED, "rho", "clip"):
            raise unknown_name("scheduled rate", name, (*SCHEDULED, "rho", "clip"))
        table = np.asarray(values, dtype=float)
        if table.ndim < 1 or not len(table) or not (np.isfinite(table) & (table >= 0)).all():
            raise InputError(f"the schedule of {name} must be non-negative numbers, one a step")
        wide = np.broadcast_to(table, (len(table), *lanes)) if table.ndim > 1 else table
        tables[SCHEDULED.get(name, name)] = wide.reshape(len(table), -1)
    if batches is None:
        return Plan(tables)
    rows = np.asarray(batches)
    if samples is None:
        raise InputError("mini-batches need a network with data: leave batches out")
    if rows.ndim != 2 or rows.dtype.kind not in "iu":
        raise InputError("batches must be integers of shape (steps, size)")
    if rows.size and not (rows.min() >= 0 and rows.max() < samples):
        raise InputError(f"batches must name samples 0 to {samples - 1}")
    return Plan(tables, rows)
