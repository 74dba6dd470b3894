"""What a comparison gives each step: parameters by the step, samples by the step.

One table serves both sides: the update map and the networks receive the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from catapult_theory.symbolic.batches import Batches
from catapult_theory.symbolic.schedules import Schedule

# What the networks call a parameter of the theory.
RAW_NAMES = {"omega": "weight_decay"}


@dataclass(frozen=True, eq=False)
class Course:
    """The arguments of every step of a run.

    Parameters
    ----------
    given : mapping
        Numbers or schedules.
    data : pair (X, Y) or None
    batches : Batches or None
    steps : int

    Examples
    --------
    >>> from catapult_theory.symbolic.schedules import warmup
    >>> float(Course({"eta": warmup(1.0, 2)}, None, None, 3).parameters(0)["eta"])
    0.5
    """

    given: Mapping[str, Any]
    data: Any
    batches: Batches | None
    steps: int

    @cached_property
    def schedules(self) -> dict[str, Any]:
        """Tables of the scheduled parameters, steps first."""
        count = max(self.steps, 1)
        return {k: v.values(count) for k, v in self.given.items() if isinstance(v, Schedule)}

    @cached_property
    def rows(self) -> Any:
        """The samples of each step, or None for all of them."""
        if self.batches is None:
            return None
        return self.batches.indices(len(np.asarray(next(iter(self.data)))), self.steps)

    @property
    def raw(self) -> dict[str, Any]:
        """The same for `train_network`."""
        named = {RAW_NAMES.get(k, k): table for k, table in self.schedules.items()}
        return {"schedules": named, "batches": self.rows}

    def parameters(self, steps: Any) -> dict[str, Any]:
        """Return the parameters at a step, or at several along an axis in front.

        Parameters
        ----------
        steps : int or array of int

        Returns
        -------
        dict
        """
        last = np.minimum(steps, max(self.steps, 1) - 1)
        return {**self.given, **{k: table[last] for k, table in self.schedules.items()}}

    def samples(self, step: int) -> Any:
        """Return the data that a step sees, None without data."""
        if self.data is None or self.rows is None:
            return self.data
        return tuple(np.asarray(a)[self.rows[step]] for a in self.data)
