"""Iterating a derived map over many lanes at once, in NumPy.

Phase questions concern maps that have no parameters of a run left (the dimensionless ones), or a
scan of learning rates from one start; both are a few arrays and a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

Array = NDArray[np.float64]
Step = Callable[[Sequence[Array]], list[Array]]

# Beyond this a lane counts as diverged (theory, section 1).
OVERFLOW = 1e100


def stepper(updates: Mapping[sp.Symbol, sp.Expr], values: Mapping[sp.Symbol, Any]) -> Step:
    """Return one step of the map as a function of arrays.

    Parameters
    ----------
    updates : mapping
        From state symbols to expressions in state and parameters.
    values : mapping
        From parameter symbols to numbers or arrays.

    Returns
    -------
    callable
        From the list of state arrays, in the order of ``updates``, to the next one.

    Examples
    --------
    >>> x, c = sp.symbols("x c")
    >>> stepper({x: c * x}, {c: 2.0})([np.array([1.0, 3.0])])
    [array([2., 6.])]
    """
    state, parameters = list(updates), list(values)
    function = sp.lambdify([*state, *parameters], [updates[s] for s in state], "numpy", cse=True)
    arguments = [np.asarray(values[p], dtype=float) for p in parameters]

    def step(current: Sequence[Array]) -> list[Array]:
        images = function(*current, *arguments)
        return [np.asarray(image, dtype=float) for image in images]

    return step


def bounded(step: Step, start: Sequence[Array], steps: int) -> NDArray[np.bool_]:
    """Return which lanes stay below the overflow threshold.

    Parameters
    ----------
    step : callable
        See `stepper`.
    start : sequence of arrays
        Of one shape.
    steps : int

    Returns
    -------
    array of bool

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> bounded(stepper({x: x**2}, {}), [np.array([0.9, 1.1])], 100)
    array([ True, False])
    """
    current = [np.array(s, dtype=float) for s in np.broadcast_arrays(*start)]
    inside = np.ones(current[0].shape, dtype=bool)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            # Lanes that have left stay at zero, so that they cost no overflow afterwards.
            current = [np.where(inside, s, 0.0) for s in step(current)]
            inside &= np.all([np.abs(s) < OVERFLOW for s in current], axis=0)
    return inside
