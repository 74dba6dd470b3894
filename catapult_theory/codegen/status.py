"""What became of a lane: the status codes of runs (theory, section 1)."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """The outcome of one lane.

    CONVERGED: the squared gradient norm fell to 1e-24 of its running maximum at a linearly
    stable state. DIVERGED: eta |f| / sqrt(n) (elsewhere the loss) passed 1e100, or a value
    stopped being finite. INVALID: the input was NaN. UNDECIDED: anything else.
    """

    UNDECIDED = 0
    CONVERGED = 1
    DIVERGED = 2
    INVALID = 3


# The bounds of the verdicts, written into the generated sources as literals.
CONVERGED_BELOW = 1e-24
DIVERGED_ABOVE = {"float64": 1e100, "float32": 1e30}
