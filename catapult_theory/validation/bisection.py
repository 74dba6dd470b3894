"""Bisection of many brackets at once: where does a yes-or-no question change its answer?

Divergence is not monotone in the learning rate: above its first onset there are windows in
which a network is caught again. `first_boundary` therefore scans upward before it bisects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from catapult_theory.errors import InputError

Array = Any


@dataclass(frozen=True, eq=False)
class Bracket:
    """Brackets of a change, one for each lane.

    Parameters
    ----------
    low, high : array
        The largest value tried where the answer was no, the smallest where it was yes;
        ``low`` is -inf where it was yes at the lower end already, ``high`` inf where it
        was no at the upper end still.
    """

    low: Array
    high: Array

    @property
    def middle(self) -> Array:
        """The middle of each bracket; infinite where nothing was found."""
        return 0.5 * (self.low + self.high)


def bisect_boundary(
    diverges: Callable[[Array], Array], low: Any, high: Any, tolerance: float
) -> Bracket:
    """Return brackets of where the answer changes from no to yes, all lanes side by side.

    Every round asks once about the middles of all brackets. If the answer changes more than
    once in a lane, one of the changes is found.

    Parameters
    ----------
    diverges : callable
        From an array of values, one for each lane, to an array of bool.
    low, high : float or array
        Ends of the search, no expected at ``low`` and yes at ``high``.
    tolerance : float
        Largest width of a final bracket.

    Returns
    -------
    Bracket

    Raises
    ------
    InputError
        If an end or the tolerance cannot be used.

    Examples
    --------
    >>> edges = np.array([1.2, 3.3])
    >>> found = bisect_boundary(lambda x: x > edges, [0.0, 0.0], [4.0, 4.0], tolerance=0.01)
    >>> bool(np.all((found.low <= edges) & (edges < found.high)))
    True
    """
    lower, upper = np.broadcast_arrays(np.asarray(low, float), np.asarray(high, float))
    if not (np.isfinite(lower).all() and np.isfinite(upper).all() and (lower < upper).all()):
        raise InputError("bisection needs finite ends with low < high")
    if not tolerance > 0:
        raise InputError(f"the tolerance must be positive, got {tolerance!r}")
    lower, upper = lower.copy(), upper.copy()
    early, late = np.asarray(diverges(lower)), ~np.asarray(diverges(upper))
    rounds = max(0, int(np.ceil(np.log2(np.max(upper - lower) / tolerance))))
    for _ in range(rounds):
        middle = 0.5 * (lower + upper)
        yes = np.asarray(diverges(middle))
        lower, upper = np.where(yes, lower, middle), np.where(yes, middle, upper)
    low_end = np.where(early, -np.inf, np.where(late, np.asarray(high, float), lower))
    high_end = np.where(late, np.inf, np.where(early, np.asarray(low, float), upper))
    return Bracket(low_end, high_end)


def first_boundary(
    diverges: Callable[[Array], Array], low: float, high: float, stride: float, tolerance: float
) -> Bracket:
    """Return brackets of the first change from no to yes, seen at a given stride.

    Scans low, low + stride, ... up to high, until all lanes have answered yes, then bisects
    the stride before the first yes. A window of yes narrower than the stride may be missed.
    Lanes that have answered are asked again where they said yes, which is cheap when yes
    means an early end.

    Parameters
    ----------
    diverges : callable
        From an array of values, one for each lane (or a number, for all), to bool.
    low, high : float
    stride : float
        Distance of the values that are tried first.
    tolerance : float
        Largest width of a final bracket.

    Returns
    -------
    Bracket
        ``low`` is -inf for a yes at the lower end, ``high`` inf where no yes was found.

    Raises
    ------
    InputError
        If an end, the stride or the tolerance cannot be used.

    Examples
    --------
    >>> caught_again = lambda x: ((x > 1.3) & (x < 2.0)) | (x > 3.0)
    >>> found = first_boundary(lambda x: caught_again(np.atleast_1d(x)), 0.0, 4.0, 0.5, 0.01)
    >>> found.low.round(1), bool(found.low[0] <= 1.3 < found.high[0])
    (array([1.3]), True)
    """
    if not (np.isfinite([low, high]).all() and low < high and stride > 0 and tolerance > 0):
        raise InputError("a scan needs finite low < high, a positive stride and tolerance")
    upper = np.asarray(np.where(diverges(np.asarray(low)), low, np.inf))
    early = np.isfinite(upper)
    for value in np.arange(low + stride, high + 0.5 * stride, stride):
        if np.isfinite(upper).all():
            break
        asked = np.where(np.isfinite(upper), upper, value)
        upper = np.where(np.isfinite(upper) | ~np.asarray(diverges(asked)), upper, value)
    late = ~np.isfinite(upper)
    upper = np.where(late, high, upper)
    lower = upper - np.where(late, 0.0, stride)
    for _ in range(max(0, int(np.ceil(np.log2(stride / tolerance))))):
        middle = np.where(early | late, upper, 0.5 * (lower + upper))
        yes = np.asarray(diverges(middle)) | early
        lower, upper = np.where(yes, lower, middle), np.where(yes & ~late, middle, upper)
    return Bracket(np.where(early, -np.inf, lower), np.where(late, np.inf, upper))


def scanned_boundary(
    changes: Callable[[Array], Array], low: Any, high: Any, tolerance: float, points: int = 24
) -> Bracket:
    """Return brackets of the first change from no to yes, by scans of all lanes at once.

    Each round asks about equally spaced values between the ends in one call and keeps the gap
    between the first clear yes and the last clear no below it, which costs fewer and wider calls
    than a bisection. A bracket stays wider than the tolerance where no clearer answer is given.
    A window of yes narrower than the first spacing may be missed.

    Parameters
    ----------
    changes : callable
        From values of shape (points, lanes) to answers of that shape: bool, or 1 for a clear
        yes, -1 for a clear no and 0 where it cannot be told.
    low, high : float or array of shape (lanes,)
        Ends of the search, no expected at ``low``.
    tolerance : float
        Largest width of a final bracket.
    points : int
        Values in each scan.

    Returns
    -------
    Bracket
        ``low`` is -inf for a yes at the lower end, ``high`` inf where no yes was found.

    Raises
    ------
    InputError
        If an end, the tolerance or the number of points cannot be used.

    Examples
    --------
    >>> edges = np.array([1.2, 3.3])
    >>> found = scanned_boundary(lambda x: x > edges, [0.0, 0.0], [4.0, 4.0], tolerance=0.01)
    >>> bool(np.all((found.low <= edges) & (edges < found.high)))
    True
    """
    lower, upper = (np.atleast_1d(np.asarray(e, dtype=float)) for e in (low, high))
    if not (np.isfinite(lower).all() and np.isfinite(upper).all() and (lower < upper).all()):
        raise InputError("a scan needs finite ends with low < high")
    if not tolerance > 0 or points < 3:
        raise InputError("a scan needs a positive tolerance and at least three points")
    while True:
        values = np.linspace(lower, upper, points)
        yes, no = _told(np.asarray(changes(values)))
        found = yes.any(axis=0) & no[0]
        if not found.all():
            break
        width = np.max(upper - lower)
        first = np.argmax(yes, axis=0)[None]
        before = no & (np.arange(points)[:, None] < first)
        last = points - 1 - np.argmax(before[::-1], axis=0)[None]
        lower, upper = (np.take_along_axis(values, k, axis=0)[0] for k in (last, first))
        narrowed = np.max(upper - lower)
        if narrowed <= tolerance or narrowed > 0.9 * width:
            break
    return Bracket(
        np.where(no[0], lower, -np.inf), np.where(yes.any(axis=0), upper, np.inf)
    )  # fmt: skip


def _told(answers: Array) -> tuple[Array, Array]:
    """Return where the answer is a clear yes, and where a clear no."""
    if answers.dtype == bool:
        return answers, ~answers
    return answers > 0, answers < 0
