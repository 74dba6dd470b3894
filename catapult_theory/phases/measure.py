"""The upper edge of the learning rate, measured where no closed form is known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from catapult_theory.errors import InputError
from catapult_theory.phases.iteration import Array, bounded, stepper
from catapult_theory.symbolic.symbols import eta
from catapult_theory.symbolic.update_map import UpdateMap

# A float64 run of an unstable orbit far longer than this says nothing about the exact orbit.
STEPS = 3000
POINTS = 64
DOUBLINGS = 6
RELATIVE_WIDTH = 1e-4


def measure_edge(
    update_map: UpdateMap,
    start: Mapping[str, float],
    low: float,
    high: float,
    *,
    steps: int = STEPS,
    points: int = POINTS,
    relative_width: float = RELATIVE_WIDTH,
    **parameters: float,
) -> tuple[float, float]:
    """Return a bracket of the first learning rate from below at which a start is unbounded.

    The interval is scanned with equally spaced learning rates, then the gap below the first
    unbounded one is scanned again until it is narrow. Windows of unbounded learning rates
    narrower than the first scan's spacing are missed. The measurement is in float64: where a
    divergence matters, check that its step does not depend on the precision (theory, section 5).

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one.
    start : mapping of str to float
        State at the start; what is missing (velocities) is zero.
    low, high : float
        Bounded and unbounded learning rate.
    steps : int
        How long a run is followed.
    points : int
        Learning rates in each scan.
    relative_width : float
        Of the bracket that is returned.
    **parameters : float
        All parameters but the learning rate.

    Returns
    -------
    tuple of float
        The last bounded and the first unbounded learning rate.

    Raises
    ------
    InputError
        If a parameter is missing, or if the interval does not hold an edge.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> low, high = measure_edge(derive(models.uv()), {"f": 0.3, "lam": 2.0}, 1.0, 3.0, n=100)
    >>> low <= 2.0 <= high, high - low < 3e-4
    (True, True)
    """
    _check(update_map, start, parameters)
    return _narrowed(update_map, start, parameters, (low, high), steps, points, relative_width)


def _narrowed(
    update_map: UpdateMap,
    start: Mapping[str, float],
    parameters: Mapping[str, float],
    interval: tuple[float, float],
    steps: int,
    points: int,
    relative_width: float,
) -> tuple[float, float]:
    low, high = interval
    while True:
        rates = np.linspace(low, high, points)
        inside = _bounded_at(update_map, start, parameters, rates, steps)
        if not inside[0]:
            raise InputError(f"the start is unbounded at eta = {low:g}: take a smaller low")
        if inside.all():
            raise InputError(f"the start is bounded up to eta = {high:g}: take a larger high")
        first = int(np.argmin(inside))
        low, high = float(rates[first - 1]), float(rates[first])
        if high - low <= relative_width * high:
            return low, high


def first_edge(
    update_map: UpdateMap, start: Mapping[str, float], low: float, **parameters: float
) -> tuple[float, float] | None:
    """Return the bracket of `measure_edge`, the upper end of the interval found by doubling.

    Parameters
    ----------
    update_map : UpdateMap
    start : mapping of str to float
    low : float
        A learning rate at which the start is bounded.
    **parameters : float

    Returns
    -------
    tuple of float or None
        None where the start is unbounded at ``low``, or bounded in every scan up to 64 times it.

    Raises
    ------
    InputError
        If a parameter is missing.
    """
    _check(update_map, start, parameters)
    for _ in range(DOUBLINGS):
        rates = np.linspace(low, 2 * low, POINTS)
        inside = _bounded_at(update_map, start, parameters, rates, STEPS)
        if not inside[0]:
            return None
        if not inside.all():
            interval = (low, 2 * low)
            return _narrowed(update_map, start, parameters, interval, STEPS, POINTS, RELATIVE_WIDTH)
        low = 2 * low
    return None


def _bounded_at(
    update_map: UpdateMap,
    start: Mapping[str, float],
    parameters: Mapping[str, float],
    rates: Array,
    steps: int,
) -> NDArray[np.bool_]:
    values = {c: rates if c == eta else parameters[c.name] for c in update_map.constants}
    step = stepper(update_map.updates, values)
    lanes = [np.full(rates.shape, float(start.get(s.name, 0.0))) for s in update_map.variables]
    return bounded(step, lanes, steps)


def _check(
    update_map: UpdateMap, start: Mapping[str, float], parameters: Mapping[str, float]
) -> None:
    if update_map.is_matrix:
        raise InputError("measure_edge() is for scalar maps; bisect with ct.run for matrix maps")
    known = {s.name for s in update_map.variables}
    if set(start) - known:
        raise InputError(f"unknown state {sorted(set(start) - known)}; this map has {known}")
    missing = {c.name for c in update_map.constants if c != eta} - set(parameters)
    if missing:
        raise InputError(f"measure_edge() needs values for {', '.join(sorted(missing))}")
