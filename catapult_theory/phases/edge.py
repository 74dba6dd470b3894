"""The upper edge of the learning rate, from the invariant factor that the engine finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from catapult_theory.symbolic.invariants import InvariantFactor, edge_factors
from catapult_theory.symbolic.scaling import signed_dimensionless
from catapult_theory.symbolic.stability import root_from_zero, scaled_quadratic
from catapult_theory.symbolic.symbols import eta, f, lam, n
from catapult_theory.symbolic.update_map import UpdateMap


@dataclass(frozen=True)
class EdgeFinding:
    """The first learning rate at which a start lies on an invariant line.

    Parameters
    ----------
    expr : sympy.Expr
        In the state at the start and the parameters.
    condition : sympy relation
        Where the line's multiplier is positive, in the original symbols.
    factor : InvariantFactor
    """

    expr: sp.Expr
    condition: Any
    factor: InvariantFactor


def edge_of(update_map: UpdateMap) -> EdgeFinding | None:
    """Return the edge that an invariant factor gives, solved for the learning rate.

    A factor w = A eta^2 + B eta + C with C < 0 is negative at small eta and first vanishes at
    eta = -2C / (B + sqrt(B^2 - 4AC)), the root that stays finite as A goes to 0.

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one.

    Returns
    -------
    EdgeFinding or None
        None where the map has no such factor.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> edge_of(derive(models.uv())).expr
    4/lam
    """
    for factor in edge_factors(update_map):
        expr = _first_root(factor.physical)
        if expr is not None:
            return EdgeFinding(expr, _positive(update_map, factor), factor)
    return None


def _first_root(line: sp.Expr) -> sp.Expr | None:
    """Return where a factor first vanishes.

    Not `first_root`: that the root is real is part of the theorem on the edge, which holds under
    the finding's own condition, so that no case is told apart here.
    """
    coefficients = scaled_quadratic(-line, eta)
    if coefficients is None or not coefficients[2].is_positive:
        return None
    return root_from_zero(*coefficients)


def _positive(update_map: UpdateMap, factor: InvariantFactor) -> Any:
    """Return the condition on the parameters for the multiplier to be positive everywhere."""
    small = signed_dimensionless(update_map)
    state = [s for s in small.variables if s in factor.multiplier.free_symbols]
    if not state:
        return sp.simplify(small.physical(factor.multiplier)) > 0
    if len(state) > 1 or sp.degree(factor.multiplier, state[0]) != 2:
        return sp.false
    leading = sp.Poly(factor.multiplier, state[0]).LC()
    discriminant = sp.factor(sp.discriminant(factor.multiplier, state[0]) / leading)
    core = sp.expand(small.physical(discriminant))
    return sp.true if core.is_negative else sp.Lt(core, 0)


def obeys_edge_theorem(update_map: UpdateMap) -> bool:
    """Return whether a map is the one that the theorem "edge" speaks of (theory, section 5).

    That is f' = f - eta lam g + eta^2 g^2 f / n, lam' = lam - 4 eta g f / n + eta^2 g^2 lam / n
    with g = f - y for some constant y.

    Parameters
    ----------
    update_map : UpdateMap

    Returns
    -------
    bool

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> obeys_edge_theorem(derive(models.uv(label=True)))
    True
    >>> obeys_edge_theorem(derive(models.uv(), optimizer="weight_decay"))
    False
    """
    if update_map.is_matrix or set(update_map.variables[:2]) != {f, lam}:
        return False
    g = sp.diff(update_map.observables["loss"], f)
    if sp.diff(g, f) != 1 or g.has(lam):
        return False
    images = {
        f: f - eta * lam * g + eta**2 * g**2 * f / n,
        lam: lam - 4 * eta * g * f / n + eta**2 * g**2 * lam / n,
    }
    return all(sp.expand(update_map.updates[s] - e) == 0 for s, e in images.items())
