"""The median over starts, with an interval that assumes nothing of their distribution.

Between the r-th smallest and r-th largest of N independent values lies the median of their
distribution with probability at least 1 - 2 P(B < r), B binomial with N and 1/2 (equal for a
continuous one). Five values: from the smallest to the largest, 93.75 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from catapult_theory.errors import InputError
from catapult_theory.validation.probing.result import Edge

WANTED = 0.9


@dataclass(frozen=True)
class Median:
    """A median with its interval.

    Parameters
    ----------
    value : float
        Of the middles of the brackets; infinite where more than half are censored.
    low, high : float
        The interval, from lower ends of brackets to upper ends.
    coverage : float
        The exact probability that the interval holds the median of the distribution.
    count : int
        Starts.
    """

    value: float
    low: float
    high: float
    coverage: float
    count: int

    def __str__(self) -> str:
        if not math.isfinite(self.high):
            middle = f"{self.value:.3f}" if math.isfinite(self.value) else "none"
            return f"{middle} [{self.low:.3f}, not found]"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def median_of(brackets: Sequence[Edge]) -> Median:
    """Return the median of values known up to brackets.

    Parameters
    ----------
    brackets : sequence of Edge
        One for each start; NaN, where nothing survived to be measured, counts as censored.

    Returns
    -------
    Median

    Raises
    ------
    InputError
        Without any.

    Examples
    --------
    >>> print(median_of([Edge(v, v) for v in (3.0, 1.0, 2.0, 5.0, 4.0)]))
    3.000 [1.000, 5.000]
    >>> median_of([Edge(1.0, 1.0)] * 5).coverage
    0.9375
    """
    if not brackets:
        raise InputError("a median needs at least one value")
    lost = [math.isnan(b.low) for b in brackets]
    lows = np.sort([-math.inf if gone else b.low for b, gone in zip(brackets, lost, strict=True)])
    highs = np.sort([math.inf if gone else b.high for b, gone in zip(brackets, lost, strict=True)])
    middles = np.sort(
        [math.inf if not math.isfinite(h) or gone else 0.5 * (b.low + h)
         for b, h, gone in zip(brackets, (b.high for b in brackets), lost, strict=True)]
    )  # fmt: skip
    count = len(brackets)
    rank = _rank(count)
    half = 0.5 * (middles[(count - 1) // 2] + middles[count // 2])
    return Median(
        float(half),
        float(lows[rank - 1]),
        float(highs[count - rank]),
        _coverage(count, rank),
        count,
    )


def _coverage(count: int, rank: int) -> float:
    return max(0.0, 1 - 2 * float(binom.cdf(rank - 1, count, 0.5)))


def _rank(count: int) -> int:
    """Return the largest r that still covers what is wanted; 1 for few values."""
    good = [r for r in range(1, (count + 1) // 2 + 1) if _coverage(count, r) >= WANTED]
    return max(good, default=1)
