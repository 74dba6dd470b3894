"""What became of a lane: the status codes of runs (theory, section 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum


class Status(IntEnum):
    """What a run decides about one lane (theory, section 1).

    CONVERGED: the squared gradient norm fell to 1e-24 of its running maximum (1e-12 in
    float32, where a residual is not resolved any finer) at a linearly stable state, as far as
    the map has a stability margin. Where that norm is a sum whose terms cancel, a value below
    the rounding of its terms counts as zero. DIVERGED: eta |f| / sqrt(n) (elsewhere the loss)
    passed 1e100 (1e30 in float32), or the next state is not finite; such a step is not taken.
    INVALID: a state or parameter was NaN at the start. UNDECIDED: anything else.

    A decided lane is frozen: its state and loss stay those of the step at which it was decided.
    """

    UNDECIDED = 0
    CONVERGED = 1
    DIVERGED = 2
    INVALID = 3


@dataclass(frozen=True)
class Limits:
    """The numbers that the verdicts rest on, for one floating-point type.

    Parameters
    ----------
    bound : float
        A lane whose |q| (or loss) exceeds it has diverged.
    tolerance : float
        Of |grad L|^2 relative to its running maximum.
    rounding : float
        Of a sum relative to the sum of the absolute values of its terms: four roundings.
    """

    bound: float
    tolerance: float
    rounding: float


LIMITS: Mapping[str, Limits] = {
    "float64": Limits(1e100, 1e-24, 4 * 2.0**-52),
    "float32": Limits(1e30, 1e-12, 4 * 2.0**-23),
}
