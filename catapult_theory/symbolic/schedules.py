"""Schedules: a parameter of a run that changes from step to step, most often eta.

A schedule is data, the value of every step, which theory and brute force receive alike. Step
t = 0 is the first one. With momentum it matters what the buffer holds: P of `heavy_ball`
contains the learning rates of the past, the buffer of `torch_heavy_ball` does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from catapult_theory.errors import InputError


@dataclass(frozen=True, eq=False)
class Schedule:
    """A value for each step: ``peak`` times a factor of the step, or a table.

    Parameters
    ----------
    peak : float or array
        What a run labels its lanes with; an array makes lanes as the plain parameter would.
    factor : callable
        From an array of steps to factors, 1 at most.
    words : str
        For the record.

    Examples
    --------
    >>> Schedule(0.5, lambda t: 1 / (1 + t), "0.5/(1 + t)").values(3).tolist()
    [0.5, 0.25, 0.16666666666666666]
    """

    peak: Any
    factor: Callable[[np.ndarray], np.ndarray]
    words: str

    def values(self, steps: int) -> np.ndarray:
        """Return the values of the first steps.

        Parameters
        ----------
        steps : int

        Returns
        -------
        array, shape (steps, *shape of peak)
        """
        peak = np.asarray(self.peak, dtype=float)
        return self.factors(steps).reshape(-1, *(1,) * peak.ndim) * peak

    def factors(self, steps: int) -> np.ndarray:
        """Return what the peak is multiplied by at the first steps.

        Parameters
        ----------
        steps : int

        Returns
        -------
        array, shape (steps,)
        """
        return np.asarray(self.factor(np.arange(steps)), dtype=float)

    def then(self, other: Schedule, after: int) -> Schedule:
        """Return this schedule for some steps and another one from then on, from its own step 0.

        Parameters
        ----------
        other : Schedule
            Of the same peak.
        after : int

        Returns
        -------
        Schedule

        Examples
        --------
        >>> warmup(0.5, 2).then(linear(0.5, 4), after=2).values(6).tolist()
        [0.25, 0.5, 0.5, 0.375, 0.25, 0.125]
        """
        count = _count("after", after, 0)
        if not np.array_equal(np.asarray(self.peak), np.asarray(other.peak)):
            raise InputError(f"the schedules have peaks {self.peak} and {other.peak}: use one peak")

        def factor(t: np.ndarray) -> np.ndarray:
            first = self.factor(np.minimum(t, max(count - 1, 0)))
            return np.where(t < count, first, other.factor(np.maximum(t - count, 0)))

        return Schedule(self.peak, factor, f"{self.words}; from step {count} {other.words}")

    def __str__(self) -> str:
        return self.words


def _count(name: str, value: Any, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name} must be an integer of at least {least}, got {value!r}")
    return int(value)


def _fraction(name: str, value: Any) -> float:
    if not 0.0 <= value <= 1.0:
        raise InputError(f"{name} is a fraction of the peak, between 0 and 1, got {value!r}")
    return float(value)


def _ramped(schedule: Schedule, steps: int) -> Schedule:
    return schedule if steps == 0 else warmup(schedule.peak, steps).then(schedule, after=steps)


def constant(peak: Any) -> Schedule:
    """Return the schedule that stays at its peak.

    Parameters
    ----------
    peak : float or array

    Returns
    -------
    Schedule

    Examples
    --------
    >>> constant(0.5).values(2).tolist()
    [0.5, 0.5]
    """
    return Schedule(peak, lambda t: np.ones(len(t)), f"constant {peak}")


def warmup(peak: Any, steps: int) -> Schedule:
    """Return a linear rise, peak (t + 1)/steps, to the peak, and the peak from then on.

    Parameters
    ----------
    peak : float or array
    steps : int

    Returns
    -------
    Schedule

    Examples
    --------
    >>> warmup(1.0, 4).values(6).tolist()
    [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    """
    count = _count("steps", steps)
    return Schedule(
        peak, lambda t: np.minimum((t + 1) / count, 1.0), f"warm-up to {peak} over {count} steps"
    )


def cosine(peak: Any, steps: int, floor: float = 0.0, warmup: int = 0) -> Schedule:
    """Return half a cosine from the peak to floor * peak, after an optional warm-up.

    Parameters
    ----------
    peak : float or array
    steps : int
        Length of the descent; the floor is held from then on.
    floor : float
        In units of the peak.
    warmup : int
        Steps of linear warm-up before it.

    Returns
    -------
    Schedule

    Examples
    --------
    >>> cosine(1.0, 4).values(5).round(3).tolist()
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """
    count, low = _count("steps", steps), _fraction("floor", floor)

    def factor(t: np.ndarray) -> np.ndarray:
        part = np.minimum(t / count, 1.0)
        return np.asarray(low + (1.0 - low) * 0.5 * (1.0 + np.cos(np.pi * part)))

    words = f"cosine from {peak} over {count} steps to {low} of it"
    return _ramped(Schedule(peak, factor, words), _count("warmup", warmup, 0))


def linear(peak: Any, steps: int, floor: float = 0.0, warmup: int = 0) -> Schedule:
    """Return a straight descent from the peak to floor * peak, after an optional warm-up.

    Parameters
    ----------
    peak : float or array
    steps : int
    floor : float
    warmup : int

    Returns
    -------
    Schedule

    Examples
    --------
    >>> linear(1.0, 4, floor=0.5).values(6).tolist()
    [1.0, 0.875, 0.75, 0.625, 0.5, 0.5]
    """
    count, low = _count("steps", steps), _fraction("floor", floor)

    def factor(t: np.ndarray) -> np.ndarray:
        return np.asarray(1.0 - (1.0 - low) * np.minimum(t / count, 1.0))

    words = f"linear from {peak} over {count} steps to {low} of it"
    return _ramped(Schedule(peak, factor, words), _count("warmup", warmup, 0))


def staircase(peak: Any, every: int, drop: float = 0.1, warmup: int = 0) -> Schedule:
    """Return a value that is multiplied by ``drop`` every so many steps.

    Parameters
    ----------
    peak : float or array
    every : int
    drop : float
    warmup : int

    Returns
    -------
    Schedule

    Examples
    --------
    >>> staircase(1.0, 2, drop=0.5).values(5).tolist()
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    count, each = _count("every", every), _fraction("drop", drop)
    words = f"{peak} times {each} every {count} steps"
    return _ramped(
        Schedule(peak, lambda t: each ** (t // count), words), _count("warmup", warmup, 0)
    )


def exponential(peak: Any, rate: float, warmup: int = 0) -> Schedule:
    """Return exponential decay, peak * rate^t.

    Parameters
    ----------
    peak : float or array
    rate : float
        Factor of one step.
    warmup : int

    Returns
    -------
    Schedule

    Examples
    --------
    >>> exponential(1.0, 0.5).values(3).tolist()
    [1.0, 0.5, 0.25]
    """
    each = _fraction("rate", rate)
    words = f"{peak} times {each} each step"
    return _ramped(
        Schedule(peak, lambda t: each ** t.astype(float), words), _count("warmup", warmup, 0)
    )


def table(values: Any) -> Schedule:
    """Return the schedule that lists its values; the last one is held.

    Parameters
    ----------
    values : array, shape (steps,)

    Returns
    -------
    Schedule
        With peak 1: lanes are labelled with 1, the values are used as they are.

    Raises
    ------
    InputError
        If they are not a row of finite, non-negative numbers.

    Examples
    --------
    >>> table([0.5, 0.1]).values(3).tolist()
    [0.5, 0.1, 0.1]
    """
    rows = np.asarray(values, dtype=float)
    if rows.ndim != 1 or not rows.size or not (np.isfinite(rows) & (rows >= 0)).all():
        raise InputError("a table is a row of finite, non-negative numbers, one for each step")
    kept = rows.copy()
    kept.flags.writeable = False
    return Schedule(
        1.0, lambda t: kept[np.minimum(t, len(kept) - 1)], f"a table of {len(kept)} values"
    )


def peaks_and_schedules(
    parameters: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, Schedule]]:
    """Return parameters with schedules replaced by their peaks, and the schedules by name.

    Parameters
    ----------
    parameters : dict

    Returns
    -------
    dict, dict

    Examples
    --------
    >>> peaks, found = peaks_and_schedules({"eta": warmup(0.5, 2), "n": 9})
    >>> peaks, list(found)
    ({'eta': 0.5, 'n': 9}, ['eta'])
    """
    found = {k: v for k, v in parameters.items() if isinstance(v, Schedule)}
    return {**parameters, **{k: s.peak for k, s in found.items()}}, found


def peak(value: Any) -> Any:
    """Return the peak of a schedule, and anything else as it is.

    Parameters
    ----------
    value : Schedule, number or array

    Returns
    -------
    number or array

    Examples
    --------
    >>> peak(warmup(0.5, 10)), peak(0.25)
    (0.5, 0.25)
    """
    return value.peak if isinstance(value, Schedule) else value
