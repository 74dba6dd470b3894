"""The phase plane (a, b) of the uv-model without label: orbits, domain, where the loss falls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from catapult_theory.errors import DomainError, InputError
from catapult_theory.phases.iteration import OVERFLOW, stepper
from catapult_theory.symbolic.invariants import edge_factors
from catapult_theory.symbolic.scaling import dimensionless
from catapult_theory.symbolic.update_map import UpdateMap

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PhasePlane:
    """What a drawing of the (a, b) plane needs.

    Parameters
    ----------
    a : array, shape (points,)
        Abscissa of the curves.
    domain : array, shape (points,)
        The largest b that a network can have: a^2 / 4.
    falls_above, falls_below : array, shape (points,)
        The loss falls in a step where falls_above < b < falls_below: a - 2 and a.
    edge : float
        The invariant line a = edge.
    orbits : tuple of array, shape (steps + 1, 2)
        Columns a and b; an orbit that overflows is cut there.
    """

    a: Array
    domain: Array
    falls_above: Array
    falls_below: Array
    edge: float
    orbits: tuple[Array, ...]


def phase_plane(
    update_map: UpdateMap, starts: Any, steps: int = 200, points: int = 401, highest: float = 6.0
) -> PhasePlane:
    """Return orbits and curves of the (a, b) plane of a map in these two groups.

    The curves are solved from the derived map: b' = b parts where the loss falls, b = a^2 / 4 is
    the side of the domain, and the edge is the engine's invariant line.

    Parameters
    ----------
    update_map : UpdateMap
        The uv-model without label.
    starts : array_like, shape (orbits, 2)
        Rows (a_0, b_0), dimensionless, with 0 <= 4 b_0 <= a_0^2.
    steps : int
    points : int
        On each curve.
    highest : float
        The largest a.

    Returns
    -------
    PhasePlane

    Raises
    ------
    InputError
        If the map has other groups, or the starts are not pairs.
    DomainError
        If no network has such a start.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> plane = phase_plane(derive(models.uv()), [(3.0, 1e-3)], points=7)
    >>> plane.edge, plane.falls_above.tolist()
    (4.0, [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0])
    """
    small = dimensionless(update_map)
    if [s.name for s in small.variables] != ["b", "a"] or small.constants:
        names = ", ".join(s.name for s in small.groups)
        raise InputError(f"the (a, b) plane needs a map in a and b alone; this one has {names}")
    b, a = small.variables
    rows = _checked(starts)
    grid = np.linspace(0.0, highest, points)
    ratio = sp.cancel(small.updates[b] / b)
    roots = sorted(sp.solve(sp.factor(ratio - 1), b), key=lambda root: float(root.subs(a, 1)))
    low, high = (sp.lambdify(a, root, "numpy")(grid) for root in roots)
    (edge,) = sp.solve(edge_factors(update_map)[0].expression, a)
    step = stepper(small.updates, {})
    orbits = tuple(_orbit(step, row, steps) for row in rows)
    return PhasePlane(grid, grid**2 / 4, low, high, float(edge), orbits)


def _checked(starts: Any) -> Array:
    rows = np.asarray(starts, dtype=float)
    if rows.ndim != 2 or rows.shape[1] != 2:
        raise InputError(f"starts must be pairs (a_0, b_0), got an array of shape {rows.shape}")
    outside = ~((rows[:, 1] >= 0) & (4 * rows[:, 1] <= rows[:, 0] ** 2 * (1 + 1e-12)))
    if outside.any():
        k = int(np.argmax(outside))
        raise DomainError(
            f"start {k}: (a, b) = {tuple(rows[k].tolist())} is outside 0 <= 4 b <= a^2: no network "
            "has it; lower |f| or raise lam"
        )
    return rows


def _orbit(step: Any, row: Array, steps: int) -> Array:
    a, b = np.array([row[0]]), np.array([row[1]])
    points = [row]
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            b, a = step([b, a])
            if not (np.abs(a[0]) < OVERFLOW and np.abs(b[0]) < OVERFLOW):
                break
            points.append(np.array([a[0], b[0]]))
    return np.array(points)
