"""What a run decides about each lane, and the result that carries it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Status(IntEnum):
    """The behaviour of one lane (theory, section 1).

    - CONVERGED: |grad L|^2 has fallen to 1e-24 of its running maximum (1e-12 in float32, where
      a residual is not resolved any finer) and the stability margin of the map, where it has
      one, is positive: the lane does not merely rest on an unstable minimum. Where |grad L|^2
      is a sum whose terms cancel, a value below the rounding of these terms counts as zero.
    - DIVERGED: |q| = |eta f / sqrt(n)| exceeds 1e100 (1e30 in float32), or the loss does where
      the map has no q, or a step is not finite (such a step is not taken).
    - INVALID: a state or parameter of the lane is NaN; the lane is not run.
    - UNDECIDED: none of these within the given steps.

    A lane is frozen once it is decided: state and loss stay as they were at `status_step`.
    """

    UNDECIDED = 0
    CONVERGED = 1
    DIVERGED = 2
    INVALID = 3


@dataclass(frozen=True)
class Limits:
    """The numbers that the status rests on, for one floating-point type.

    Parameters
    ----------
    bound : float
        A lane whose |q| (or loss) exceeds it has diverged.
    tolerance : float
        Of |grad L|^2 relative to its running maximum.
    rounding : float
        Of a sum relative to the sum of the absolute values of its terms.
    """

    bound: float
    tolerance: float
    rounding: float


LIMITS: Mapping[str, Limits] = {
    "float64": Limits(1e100, 1e-24, 8.881784197001252e-16),
    "float32": Limits(1e30, 1e-12, 4.76837158203125e-07),
}


@dataclass(frozen=True)
class RunResult:
    """The outcome of a run; every array has the shape of the lanes (scalars for one lane).

    Parameters
    ----------
    state : dict of str to array
        The final state by name; matrices have their two axes last.
    loss : array
        Of the final state.
    peak_loss, peak_step : array
        The largest loss over all states, the initial and the final one included, and the first
        step at which it was reached.
    status : array of int
        Values of `Status`.
    status_step : array of int
        The step at which the lane was decided; the number of steps if it never was.
    """

    state: dict[str, Any]
    loss: Any
    peak_loss: Any
    peak_step: Any
    status: Any
    status_step: Any
