"""Quantities that only rise or only fall along training, read off the factors of their increment.

The increment of a quantity is a product. Even powers and factors of known sign do not change its
sign, and neither does an invariant factor w whose multiplier is positive: on either side of the
line w = 0 the quantity is then monotone for ever (the curvature of the uv-model: it falls below
eta lam = 4 and rises above).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from catapult_theory.symbolic.fixed_points import positive_groups
from catapult_theory.symbolic.invariants import (
    InvariantFactor,
    conserved_quantities,
    invariant_factors,
)
from catapult_theory.symbolic.scaling import DimensionlessMap, signed_dimensionless
from catapult_theory.symbolic.signs import sign_core, sign_of
from catapult_theory.symbolic.update_map import UpdateMap


@dataclass(frozen=True)
class Monotone:
    """A quantity and what decides the sign of its increment.

    Parameters
    ----------
    quantity : sympy.Expr
        In the groups of the map; a carried quantity by its name, squared.
    increment : sympy.Expr
        Its value after the step minus the one before, factored; for a carried quantity over
        the quantity itself.
    sign : sympy.Expr
        A number, or an expression of the sign of the increment where that is not zero.
    condition : tuple of sympy.Expr
        What must be positive for the sign to stay what it is.
    """

    quantity: sp.Expr
    increment: sp.Expr
    sign: sp.Expr
    condition: tuple[sp.Expr, ...] = ()

    def __str__(self) -> str:
        if self.sign.is_number:
            said = "never falls" if self.sign > 0 else "never rises"
        else:
            said = f"rises while {self.sign} > 0, falls while {self.sign} < 0"
            kept = " and ".join(f"{c} > 0" for c in self.condition)
            said += f" (for ever, given {kept})" if kept else " (for ever)"
        return f"{self.quantity} {said}; increment {self.increment}"


@lru_cache(maxsize=64)
def monotone_quantities(update_map: UpdateMap) -> tuple[Monotone, ...]:
    """Return the state variables and carried quantities that are monotone, with their sides.

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one.

    Returns
    -------
    tuple of Monotone

    Raises
    ------
    InputError
        For matrix maps.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> for quantity in monotone_quantities(derive(models.uv())):
    ...     print(quantity)
    a rises while a - 4 > 0, falls while a - 4 < 0 (for ever); increment q**2*(a - 4)
    """
    small = signed_dimensionless(update_map)
    factors = invariant_factors(update_map)
    found = []
    for s in small.variables:
        increment = sp.factor(sp.expand(small.updates[s] - s))
        if increment != 0 and increment.is_polynomial(*small.variables):
            found.append(_judged(s, increment, small, factors))
    for carried in conserved_quantities(update_map):
        multiplier = _scaled(small, carried.multiplier)
        if multiplier is not None and multiplier != 1:
            growth = sp.factor(sp.expand(multiplier**2 - 1))
            found.append(_judged(carried.symbol**2, growth, small, factors))
    return tuple(one for one in found if one is not None)


def positive_where(multiplier: sp.Expr, variables: tuple[sp.Symbol, ...]) -> sp.Expr | None:
    """Return what must be positive for a multiplier to be positive at every state, almost.

    Parameters
    ----------
    multiplier : sympy.Expr
        A square, or a polynomial of degree two in one state variable.
    variables : tuple of Symbol
        The state.

    Returns
    -------
    sympy.Expr or None
        In the parameters; 1 where it always is, None where that is not known.

    Examples
    --------
    >>> p, k = sp.symbols("p k", real=True)
    >>> positive_where(1 + k * p + p**2, (p,))
    4 - k**2
    """
    core = sign_core(multiplier)
    if sign_of(core) is not None:
        return sp.Integer(sign_of(core))
    inside = [s for s in variables if s in core.free_symbols]
    if len(inside) != 1 or sp.degree(core, inside[0]) != 2:
        return None
    if sign_of(sp.Poly(core, inside[0]).LC()) != 1:
        return None
    condition = sign_core(-sp.discriminant(core, inside[0]))
    sign = sign_of(condition)
    return condition if sign is None else sp.Integer(sign)


def _scaled(small: DimensionlessMap, expression: sp.Expr) -> sp.Expr | None:
    """Return an expression in the groups alone, or None where units are left."""
    whole = sp.expand(sp.powdenest(small.scaled(expression), force=True))
    return None if whole.free_symbols & set(small.units) else whole


def _judged(
    quantity: sp.Expr,
    increment: sp.Expr,
    small: DimensionlessMap,
    factors: tuple[InvariantFactor, ...],
) -> Monotone | None:
    known = positive_groups(small)
    core = sign_core(increment, known)
    if core.is_number:
        return Monotone(quantity, increment, core)
    for factor in factors:
        ratio = sp.cancel(core / factor.expression)
        sign = sign_of(ratio, known)
        condition = positive_where(factor.multiplier, small.variables)
        if sign is not None and condition is not None and condition not in (0, -1):
            kept = () if condition == 1 else (condition,)
            return Monotone(quantity, increment, sign * factor.expression, kept)
    return None
