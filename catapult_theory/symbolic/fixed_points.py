"""Fixed points of an update map: their families, what they are, and when they are stable.

The fixed points of a training step are the minima (a manifold, as a rule), other stationary points
of the loss, and states whose invariants do not change although the parameters do: a mode that
flips its sign at every step. Nothing about a particular model is known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import sympy as sp
from sympy.polys.matrices import DomainMatrix

from catapult_theory.symbolic.components import Component, components
from catapult_theory.symbolic.minima import stationary_outputs
from catapult_theory.symbolic.scaling import DimensionlessMap, signed_dimensionless
from catapult_theory.symbolic.signs import sign_core, sign_of
from catapult_theory.symbolic.stability import Stability, jury_conditions, stability_of
from catapult_theory.symbolic.symbols import Inner, f
from catapult_theory.symbolic.update_map import UpdateMap

MULTIPLIER = sp.Symbol("x")
# Larger systems (Nesterov, whose step is of the seventh degree) would take minutes to solve.
MOST_TERMS = 120
_ORDER = ("zero loss", "stationary", "flipping", "fixed")
_WORDS = {
    "zero loss": "zero-loss minima",
    "stationary": "stationary point of the loss",
    "flipping": "invariants at rest, parameters flipping their sign at every step",
    "fixed": "fixed point",
}


@dataclass(frozen=True)
class FixedFamily:
    """A family of fixed points, in the dimensionless groups of the map and in its own symbols.

    Parameters
    ----------
    values : mapping
        The groups that are solved for, in the free ones and the parameters.
    free : tuple of Symbol
        The groups along which the family extends.
    physical : mapping
        The state in the original symbols, where it is solved for.
    kind : str
        "zero loss"; "stationary": the gradient vanishes, the loss does not; "flipping": the
        gradient does not vanish, so that the parameters move; "fixed": the gradient norm is no
        function of the state.
    domain : tuple of relations
        What the domain demands on the family, in the groups.
    multipliers : tuple of sympy.Expr
        Factors of the characteristic polynomial of the Jacobian across the family, in
        `MULTIPLIER`, with their multiplicities as powers.
    stability : Stability
        Of the directions across the family.
    """

    values: Mapping[sp.Symbol, sp.Expr]
    free: tuple[sp.Symbol, ...]
    physical: Mapping[sp.Symbol, sp.Expr]
    kind: str
    domain: tuple[Any, ...]
    multipliers: tuple[sp.Expr, ...]
    stability: Stability

    def __post_init__(self) -> None:
        for name in ("values", "physical"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __hash__(self) -> int:
        return hash((tuple(self.values.items()), self.kind))

    @property
    def eigenvalues(self) -> tuple[sp.Expr, ...]:
        """The multipliers that have a closed form, each once."""
        found: list[sp.Expr] = []
        for part in self.multipliers:
            base = part.as_base_exp()[0]
            if sp.degree(base, MULTIPLIER) <= 2:
                found += sp.solve(base, MULTIPLIER)
        return tuple(found)

    def __str__(self) -> str:
        at = ", ".join(f"{s} = {e}" for s, e in self.physical.items())
        along = ", ".join(s.name for s in self.free)
        rows = [f"{_WORDS[self.kind]}: {at}" + (f", any {along}" if along else "")]
        if self.domain:
            rows.append("in the domain where " + ", ".join(map(str, self.domain)))
        rows.append("multipliers: roots of " + ", ".join(map(str, self.multipliers)))
        rows.append(str(self.stability))
        return "\n    ".join(rows)


@lru_cache(maxsize=64)
def fixed_points(update_map: UpdateMap) -> tuple[FixedFamily, ...]:
    """Return the families of fixed points that the domain admits, minima first.

    Every family of a map that is polynomial in its state is found; where it is long (Nesterov),
    those with velocities at rest. Of other maps (exponentials, square roots) only the states at
    which the loss is stationary are.

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one.

    Returns
    -------
    tuple of FixedFamily

    Raises
    ------
    InputError
        For matrix maps.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> from catapult_theory.symbolic.symbols import lam
    >>> minima, *flipping = fixed_points(derive(models.uv()))
    >>> print(minima)
    zero-loss minima: f = 0, any a
        multipliers: roots of a + x - 1
        stable for eta < 2/lam
    >>> flipping[0].physical[lam], flipping[0].eigenvalues
    (4/eta, (9, 5))
    """
    small = signed_dimensionless(update_map)
    solved = [one for one in _components(update_map, small) if not one.equations]
    found = [_family(update_map, small, one) for one in solved]
    kept = [family for family in found if family is not None]
    return tuple(sorted(kept, key=lambda family: _ORDER.index(family.kind)))


def open_equations(update_map: UpdateMap) -> tuple[sp.Expr, ...]:
    """Return the equations of fixed points for which there is no closed form.

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one.

    Returns
    -------
    tuple of sympy.Expr
        In the groups of the map.
    """
    small = signed_dimensionless(update_map)
    return tuple(e for one in _components(update_map, small) for e in one.equations)


def positive_groups(small: DimensionlessMap) -> tuple[sp.Symbol, ...]:
    """Return the groups that are positive by what they are made of: a = eta lam, decay.

    Parameters
    ----------
    small : DimensionlessMap

    Returns
    -------
    tuple of Symbol
    """
    return tuple(s for s, e in small.groups.items() if sign_of(e) == 1)


def is_polynomial(small: DimensionlessMap) -> bool:
    """Return whether the new state is polynomial in the old one.

    Parameters
    ----------
    small : DimensionlessMap

    Returns
    -------
    bool
    """
    return all(e.is_polynomial(*small.variables) for e in small.updates.values())


@lru_cache(maxsize=64)
def _components(update_map: UpdateMap, small: DimensionlessMap) -> tuple[Component, ...]:
    if not is_polynomial(small):
        return _stationary(update_map, small)
    gaps = [sp.expand(image - s) for s, image in small.updates.items()]
    if is_searched_whole(small):
        return components(gaps, small.variables)
    at_rest = dict.fromkeys(_buffers(update_map, small), sp.S.Zero)
    moving = [s for s in small.variables if s not in at_rest]
    found = components([e.subs(at_rest) for e in gaps], moving)
    return tuple(Component({**c.values, **at_rest}, c.free, c.equations) for c in found)


def is_searched_whole(small: DimensionlessMap) -> bool:
    """Return whether the equations are few enough to be solved with the buffers in motion.

    Parameters
    ----------
    small : DimensionlessMap

    Returns
    -------
    bool
    """
    return sum(len(sp.Add.make_args(sp.expand(e))) for e in small.updates.values()) <= MOST_TERMS


def _buffers(update_map: UpdateMap, small: DimensionlessMap) -> list[sp.Symbol]:
    """Return the groups of inner products with velocities, which vanish at rest."""
    own = set(update_map.frame.names[: update_map.frame.trained])
    return [
        small_s
        for s, small_s in zip(update_map.variables, small.variables, strict=True)
        if all({a.name for a in pair.args} - own for pair in update_map.gram[s].atoms(Inner))
    ]


def _stationary(update_map: UpdateMap, small: DimensionlessMap) -> tuple[Component, ...]:
    """Return the states at rest with a stationary loss, for maps that are not polynomial."""
    if f not in update_map.variables:
        return ()
    name = dict(zip(update_map.variables, small.variables, strict=True))
    buffers = update_map.variables[2:]
    found = []
    for root in stationary_outputs(update_map.observables["loss"]) or ():
        at = {name[f]: small.scaled(root), **{name[s]: sp.S.Zero for s in buffers}}
        at[name[f]] = at[name[f]].subs({u: 1 for u in small.units})
        one = Component(at, tuple(s for s in small.variables if s not in at))
        if all(sp.simplify(one.at(e - s)) == 0 for s, e in small.updates.items()):
            found.append(one)
    return tuple(found)


def _family(update_map: UpdateMap, small: DimensionlessMap, one: Component) -> FixedFamily | None:
    """Return the family with its meaning and stability; None outside the domain."""
    known = positive_groups(small)
    demands = []
    for relation in small.domain:
        core = sign_core(one.at(relation.lhs), known)
        if sign_of(core, known) == -1:
            return None
        if sign_of(core, known) is None:
            demands.append(core)
    demands = list(dict.fromkeys(demands))
    names = dict(zip(update_map.variables, small.variables, strict=True))
    physical = {
        s: _shorter(small.physical(one.values[g]) * s / small.physical(g))
        for s, g in names.items()
        if g in one.values
    }
    parts = _multipliers(small, one)
    conditions = [c for part in parts for c in jury_conditions(part.as_base_exp()[0], MULTIPLIER)]
    stability = stability_of(conditions, small.groups, [*known, *demands])
    relations = tuple(sp.Ge(demand, 0) for demand in demands)
    kind = _kind(update_map, physical)
    return FixedFamily(one.values, one.free, physical, kind, relations, parts, stability)


def _shorter(expression: sp.Expr) -> sp.Expr:
    return min((sp.expand(expression), sp.factor(expression)), key=sp.count_ops)


def _multipliers(small: DimensionlessMap, one: Component) -> tuple[sp.Expr, ...]:
    """Return the factors of the characteristic polynomial, one root 1 for each free direction."""
    images = sp.Matrix([small.updates[s] for s in small.variables])
    jacobian = images.jacobian(sp.Matrix(small.variables)).applyfunc(lambda e: sp.expand(one.at(e)))
    coefficients = DomainMatrix.from_Matrix(jacobian).to_field().charpoly()
    to_expr = DomainMatrix.from_Matrix(jacobian).to_field().domain.to_sympy
    polynomial = sp.Poly([to_expr(c) for c in coefficients], MULTIPLIER).as_expr()
    along = (MULTIPLIER - 1) ** len(one.free)
    across = sp.cancel(sp.expand(polynomial) / along)
    _, parts = sp.factor_list(across, MULTIPLIER)
    return tuple(part**power for part, power in parts)


def _kind(update_map: UpdateMap, at: Mapping[sp.Symbol, sp.Expr]) -> str:
    gradient = update_map.observables.get("grad_norm2")
    if gradient is None:
        return "fixed"
    if sp.simplify(gradient.subs(at, simultaneous=True)) != 0:
        return "flipping"
    loss = sp.simplify(update_map.observables["loss"].subs(at, simultaneous=True))
    return "zero loss" if loss == 0 and update_map.decay == 0 else "stationary"
