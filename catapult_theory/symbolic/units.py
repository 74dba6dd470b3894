"""The units of a map: what scales out of an expression, and what is left in the groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from catapult_theory.symbolic.scaling import (
    Exponents,
    Weights,
    find_groups,
    ordered_symbols,
    weight_equations,
)
from catapult_theory.symbolic.symbols import symbol
from catapult_theory.symbolic.update_map import UpdateMap


@dataclass(frozen=True)
class Scaling:
    """The groups and units of a map, without its form in them.

    Parameters
    ----------
    symbols : tuple of Symbol
        State and parameters, in the order of the symmetries' entries.
    variables, constants : tuple of Symbol
        The groups that replace state and parameters.
    groups, originals : mapping
        As in `DimensionlessMap`.
    units, free : tuple of Symbol
        As in `DimensionlessMap`.
    symmetries : tuple of tuple
        Generators of the scaling symmetries: the weight of each symbol.
    """

    symbols: tuple[sp.Symbol, ...]
    variables: tuple[sp.Symbol, ...]
    constants: tuple[sp.Symbol, ...]
    groups: Mapping[sp.Symbol, sp.Expr]
    originals: Mapping[sp.Symbol, sp.Expr]
    units: tuple[sp.Symbol, ...]
    free: tuple[sp.Symbol, ...]
    symmetries: tuple[Exponents, ...]

    def split(self, expression: sp.Expr) -> tuple[sp.Expr, sp.Expr] | None:
        """Split an expression into its unit and a function of the groups alone.

        It is unit * g(groups) if every symmetry multiplies it by a power of s; the unit is the
        monomial in the units with the same powers, and g the expression at units 1, in the
        form that the expression has.

        Parameters
        ----------
        expression : sympy.Expr
            In the original symbols.

        Returns
        -------
        tuple of sympy.Expr or None
            (unit, g), or None where there is no such split.

        Examples
        --------
        >>> from catapult_theory.symbolic import models
        >>> from catapult_theory.symbolic.closure import derive
        >>> uv = derive(models.uv(label=True))
        >>> scaling(uv).split(uv.observables["loss"])
        (n/eta**2, (-kappa + q)**2/2)
        """
        collector = Weights(self.symbols)
        weight = collector.weight(sp.sympify(expression))
        if any(_dot(e, v) != 0 for e in collector.equations for v in self.symmetries):
            return None
        if len(self.symmetries) != len(self.units):
            return None
        powers = self._powers([_dot(weight, v) for v in self.symmetries])
        unit = sp.Mul(*(u**e for u, e in zip(self.units, powers, strict=True)))
        ones = dict.fromkeys(self.units, sp.S.One)
        values = {s: sp.sympify(e).xreplace(ones) for s, e in self.originals.items()}
        return unit, sp.sympify(expression).subs({**values, **ones}, simultaneous=True)

    def _powers(self, weights: list[sp.Expr]) -> list[sp.Expr]:
        """Return the powers of the units that have these weights under the symmetries."""
        if not any(weights):
            return [sp.S.Zero] * len(weights)
        places = [self.symbols.index(u) for u in self.units]
        rows = [[v[i] for i in places] for v in self.symmetries]
        return list(sp.Matrix(rows).LUsolve(sp.Matrix(weights)))


def scaling(update_map: UpdateMap) -> Scaling:
    """Return the groups of first order in each state variable, and the units.

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one.

    Returns
    -------
    Scaling

    Raises
    ------
    InputError
        For matrix maps.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> scaling(derive(models.uv())).groups
    {q: eta*f/sqrt(n), a: eta*lam}
    """
    symbols = ordered_symbols(update_map)
    equations = sp.Matrix(weight_equations(update_map, symbols))
    groups = find_groups(update_map, equations)
    names = {group.pivot: symbol(group.name) for group in groups}
    free = tuple(s for s in update_map.variables if s not in names)
    state = tuple(names.get(s, s) for s in update_map.variables)
    return Scaling(
        symbols,
        state,
        tuple(names[g.pivot] for g in groups if names[g.pivot] not in state),
        {**{s: s for s in free}, **{names[g.pivot]: g.expression for g in groups}},
        {g.pivot: g.solved(names[g.pivot]) for g in groups},
        tuple(s for s in symbols if s not in names and s not in free),
        free,
        tuple(tuple(vector) for vector in equations.nullspace()),
    )


def _dot(left: Sequence[sp.Expr], right: Sequence[sp.Expr]) -> sp.Expr:
    return sp.Add(*(a * b for a, b in zip(left, right, strict=True)))
