"""The units of a map: what scales out of an expression, and the groups that are left.

Give every symbol x the factor s^w(x). The map keeps its form for all s > 0 if every monomial
of x' has the weight of x and every argument of an exponential or logarithm has weight 0: linear
equations A w = 0 for the weights. A monomial prod x^e is dimensionless if it is orthogonal to
all such w, that is if e lies in the row space of A (Buckingham). The reduced echelon form of A
gives one group for each pivot symbol; the symbols without a pivot are units and drop out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType
from typing import Any

import sympy as sp

from catapult_theory.errors import InputError
from catapult_theory.symbolic.symbols import eta, f, lam, n, omega, symbol, y
from catapult_theory.symbolic.update_map import UpdateMap

Exponents = tuple[sp.Rational, ...]

# What the theory calls a group, should the map turn out to have it (theory, section 1).
_NAMES: Mapping[sp.Expr, str] = {
    eta * lam: "a",
    eta * f / sp.sqrt(n): "q",
    eta**2 * f**2 / n: "b",
    eta * y / sp.sqrt(n): "kappa",
    eta * omega: "decay",
    eta**2 * y**2 / n: "kappa2",
    eta / sp.sqrt(n): "rho",
    eta**2 / n: "nu",
}
# Pivots are taken from the left, so that these are the units where nothing speaks against it.
_LAST = ("n", "eta")


@dataclass(frozen=True)
class Group:
    """A dimensionless monomial and the symbol that it replaces.

    Parameters
    ----------
    pivot : Symbol
    exponents : mapping
        The nonzero exponents, that of the pivot among them.
    """

    pivot: sp.Symbol
    exponents: Mapping[sp.Symbol, sp.Rational]

    @property
    def denominator(self) -> int:
        """The least power that makes all exponents integers."""
        return int(sp.ilcm(1, *(e.q for e in self.exponents.values())))

    @property
    def expression(self) -> sp.Expr:
        """The monomial in the original symbols."""
        return sp.Mul(*(s**e for s, e in self.exponents.items()))

    @property
    def name(self) -> str:
        """The theory's name, the symbol's own where it is the group, or the name with a suffix."""
        if self.expression == self.pivot:
            return str(self.pivot.name)
        return _NAMES.get(self.expression, f"{self.pivot.name}_hat")

    def raised(self, power: int) -> Group:
        """Return the group to an integer power."""
        return Group(self.pivot, {s: power * e for s, e in self.exponents.items()})

    def solved(self, value: sp.Symbol) -> sp.Expr:
        """Return the pivot where the group has this value (an even power: up to sign)."""
        own = self.exponents[self.pivot]
        rest = (s ** (-e / own) for s, e in self.exponents.items() if s != self.pivot)
        return value ** (1 / own) * sp.Mul(*rest)


@dataclass(frozen=True)
class Scaling:
    """The groups and units of a map, without its form in them.

    Parameters
    ----------
    symbols : tuple of Symbol
        State and parameters, in the order of the symmetries' entries.
    variables, constants : tuple of Symbol
        The groups that replace state, in its order, and parameters.
    groups : mapping
        Each new symbol in the original symbols.
    originals : mapping
        Each original symbol that is not a unit, in new symbols and units. Where a group is an
        even power (b = eta^2 f^2 / n), the original is given up to its sign.
    units : tuple of Symbol
        The parameters that scale out (uv-model: the width and the learning rate).
    free : tuple of Symbol
        State variables whose own scale drops out, and which therefore keep their units.
    symmetries : tuple of tuple
        Generators of the scaling symmetries: the weight of each symbol. The first belong to the
        units, each of weight 1 under its own and 0 under the others.
    """

    symbols: tuple[sp.Symbol, ...]
    variables: tuple[sp.Symbol, ...]
    constants: tuple[sp.Symbol, ...]
    groups: Mapping[sp.Symbol, sp.Expr]
    originals: Mapping[sp.Symbol, sp.Expr]
    units: tuple[sp.Symbol, ...]
    free: tuple[sp.Symbol, ...]
    symmetries: tuple[Exponents, ...]

    def __post_init__(self) -> None:
        for name in ("groups", "originals"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __hash__(self) -> int:
        return hash((self.symbols, self.variables, self.constants))

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
        if self.free:
            return None
        powers = (_dot(weight, v) for v in self.symmetries)
        unit = sp.Mul(*(u**e for u, e in zip(self.units, powers, strict=True)))
        ones = dict.fromkeys(self.units, sp.S.One)
        values = {s: sp.sympify(e).xreplace(ones) for s, e in self.originals.items()}
        return unit, _replaced(sp.sympify(expression), {**values, **ones})


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
    >>> dict(scaling(derive(models.uv())).groups)
    {q: eta*f/sqrt(n), a: eta*lam}
    """
    return scaling_in(update_map, find_groups(update_map))


def scaling_in(update_map: UpdateMap, groups: Sequence[Group]) -> Scaling:
    """Return the scaling of a map in given groups.

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one.
    groups : sequence of Group
        From `find_groups`, or powers of these.

    Returns
    -------
    Scaling
    """
    symbols = ordered_symbols(update_map)
    names = {group.pivot: symbol(group.name) for group in groups}
    free = tuple(s for s in update_map.variables if s not in names)
    units = tuple(s for s in symbols if s not in names and s not in free)
    state = tuple(names.get(s, s) for s in update_map.variables)
    return Scaling(
        symbols=symbols,
        variables=state,
        constants=tuple(names[g.pivot] for g in groups if names[g.pivot] not in state),
        groups={**{s: s for s in free}, **{names[g.pivot]: g.expression for g in groups}},
        originals={g.pivot: g.solved(names[g.pivot]) for g in groups},
        units=units,
        free=free,
        symmetries=tuple(_symmetry(symbols, s, groups) for s in (*units, *free)),
    )


def _symmetry(
    symbols: Sequence[sp.Symbol], scaled: sp.Symbol, groups: Sequence[Group]
) -> Exponents:
    """Return the weights under which one unit has weight 1, the others and all groups none."""
    weights = {scaled: sp.S.One}
    for group in groups:
        own = group.exponents[group.pivot]
        weights[group.pivot] = -group.exponents.get(scaled, sp.S.Zero) / own
    return tuple(weights.get(s, sp.S.Zero) for s in symbols)


def _replaced(expression: sp.Expr, values: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """Put values for symbols, all at once.

    A maximum keeps its arguments: looking for one that is always the larger costs more than all
    the rest, and none is in new units if none was in the old ones.
    """
    if not expression.args:
        return values.get(expression, expression)
    parts = [_replaced(a, values) for a in expression.args]
    if isinstance(expression, (sp.Max, sp.Min)):
        return expression.func(*parts, evaluate=False)
    return expression.func(*parts)


def ordered_symbols(update_map: UpdateMap) -> tuple[sp.Symbol, ...]:
    """State first, then parameters, the usual units last: pivots are taken from the left."""
    if update_map.is_matrix:
        raise InputError(
            "dimensionless groups are found for scalar maps; for a matrix map scale eta, n and "
            "the blocks by hand"
        )
    constants = [c for c in update_map.constants if c.name not in _LAST]
    units = [c for name in _LAST for c in update_map.constants if c.name == name]
    return (*update_map.variables, *constants, *units)


def weight_equations(update_map: UpdateMap, symbols: Sequence[sp.Symbol]) -> sp.Matrix:
    """Return the linear equations that the weights of the symbols obey, as rows of a matrix."""
    collector = Weights(symbols)
    for s, image in update_map.updates.items():
        collector.equal([collector.weight(sp.expand(image)), collector.weight(s)])
    return sp.Matrix(list(dict.fromkeys(collector.equations)) or [(0,) * len(symbols)])


class Weights:
    """Collects the linear equations that homogeneity puts on the weights of the symbols."""

    def __init__(self, symbols: Sequence[sp.Symbol]) -> None:
        self.symbols = tuple(symbols)
        self.equations: list[Exponents] = []

    def weight(self, expression: sp.Expr) -> Exponents:
        """Return the weight as a linear form, noting what must hold for there to be one."""
        zero = (sp.S.Zero,) * len(self.symbols)
        if expression.is_number:
            return zero
        if expression in self.symbols:
            return tuple(sp.Integer(s == expression) for s in self.symbols)
        if expression.is_Mul:
            parts = [self.weight(a) for a in expression.args]
            return tuple(map(sum, zip(*parts, strict=True)))
        if expression.is_Add:
            parts = [self.weight(a) for a in expression.args]
            self.equal(parts)
            return parts[0]
        if expression.is_Pow and expression.exp.is_Rational:
            return tuple(expression.exp * w for w in self.weight(expression.base))
        if isinstance(expression, (sp.Abs, sp.Max, sp.Min)):
            parts = [self.weight(a) for a in expression.args]
            self.equal(parts)
            return parts[0]
        self.equal([zero, *(self.weight(a) for a in expression.args)])
        return zero

    def equal(self, weights: Iterable[Exponents]) -> None:
        """Note that all these weights are one."""
        first, *others = weights
        for other in others:
            difference = tuple(a - b for a, b in zip(first, other, strict=True))
            if any(difference):
                self.equations.append(difference)


def find_groups(update_map: UpdateMap) -> tuple[Group, ...]:
    """Return one group for each pivot symbol, by the best choice of units."""
    symbols = ordered_symbols(update_map)
    equations = weight_equations(update_map, symbols)
    count = len(update_map.variables)
    states, others = symbols[:count], symbols[count:]
    candidates = []
    for size in range(len(others) + 1):
        for units in combinations(others, size):
            order = [*states, *(s for s in others if s not in units), *units]
            candidates.append(_echelon(equations, symbols, order))
    best: Sequence[Group] = min(candidates, key=_score)
    return tuple(best)  # the first of equals: the usual units


def _echelon(
    equations: sp.Matrix, symbols: Sequence[sp.Symbol], order: Sequence[sp.Symbol]
) -> list[Group]:
    reduced, pivots = equations[:, [symbols.index(s) for s in order]].rref()
    groups = []
    for i, k in enumerate(pivots):
        # eta / sqrt(n) rather than n / eta^2: the group that is small at large width, and the
        # power in which the width enters a network's output.
        power = -sp.S.Half if order[k].name == "n" else sp.S.One
        exponents = {s: power * e for s, e in zip(order, reduced[i, :], strict=True) if e != 0}
        groups.append(Group(order[k], exponents))
    return sorted(groups, key=lambda group: symbols.index(group.pivot))


def _score(groups: Sequence[Group]) -> tuple[Any, ...]:
    """No division by what may vanish, few roots, small exponents."""
    divisions = sum(
        1 for group in groups for s, e in group.exponents.items() if e < 0 and not s.is_positive
    )
    roots = sum(1 for group in groups if group.denominator > 1 and group.pivot.name != "n")
    return divisions, roots, sum(abs(e) for group in groups for e in group.exponents.values())


def _dot(left: Sequence[sp.Expr], right: Sequence[sp.Expr]) -> sp.Expr:
    return sp.Add(*(a * b for a, b in zip(left, right, strict=True)))
