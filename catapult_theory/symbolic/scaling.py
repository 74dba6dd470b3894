"""Dimensionless groups of an update map, found from its scaling symmetries.

Give every symbol x the factor s^w(x). The map keeps its form for all s > 0 if every monomial
of x' has the weight of x and every argument of an exponential or logarithm has weight 0: linear
equations A w = 0 for the weights. A monomial prod x^e is dimensionless if it is orthogonal to
all such w, that is if e lies in the row space of A (Buckingham). The reduced echelon form of A
gives one group for each pivot symbol; the symbols without a pivot are units and drop out.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from types import MappingProxyType
from typing import Any

import sympy as sp

from catapult_theory.errors import InputError
from catapult_theory.symbolic.forms import tidy_update
from catapult_theory.symbolic.symbols import eta, f, lam, n, omega, symbol, y
from catapult_theory.symbolic.update_map import UpdateMap, prime, tex

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
class DimensionlessMap:
    """An update map in dimensionless groups.

    Parameters
    ----------
    variables : tuple of Symbol
        The new state, in the order of the old one.
    constants : tuple of Symbol
        The groups of parameters that are left.
    groups : mapping
        Each new symbol in the original symbols.
    originals : mapping
        Each original symbol that is not a unit, in new symbols and units. Where a group is an
        even power (b = eta^2 f^2 / n), the original is given up to its sign.
    updates : mapping
        Each new state symbol after the step, in the new symbols.
    units : tuple of Symbol
        The parameters that scale out (uv-model: the width and the learning rate).
    free : tuple of Symbol
        State variables whose own scale drops out, and which therefore keep their units.
    domain : tuple of relations
        The domain in the new symbols; empty where a group is an even power.
    """

    variables: tuple[sp.Symbol, ...]
    constants: tuple[sp.Symbol, ...]
    groups: Mapping[sp.Symbol, sp.Expr]
    originals: Mapping[sp.Symbol, sp.Expr]
    updates: Mapping[sp.Symbol, sp.Expr]
    units: tuple[sp.Symbol, ...]
    free: tuple[sp.Symbol, ...] = ()
    domain: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        for field in ("groups", "originals", "updates"):
            object.__setattr__(self, field, MappingProxyType(dict(getattr(self, field))))

    def __hash__(self) -> int:
        return hash((self.variables, self.constants, tuple(self.updates.items())))

    def __reduce__(self) -> tuple[Any, ...]:
        plain = (dict(self.groups), dict(self.originals), dict(self.updates))
        rest = (self.units, self.free, self.domain)
        return type(self), (self.variables, self.constants, *plain, *rest)

    @property
    def state(self) -> Any:
        """The new state as a namedtuple of symbols (uv-model: b, a)."""
        return namedtuple("State", [s.name for s in self.variables])(*self.variables)

    @property
    def parameters(self) -> Any:
        """The parameters that are left as a namedtuple of symbols (labelled uv-model: kappa)."""
        return namedtuple("Parameters", [s.name for s in self.constants])(*self.constants)

    def physical(self, expression: Any) -> sp.Expr:
        """Return an expression in the groups as one in the original symbols.

        Parameters
        ----------
        expression : sympy.Expr or relation
            In the new symbols.

        Returns
        -------
        sympy.Expr

        Examples
        --------
        >>> from catapult_theory.symbolic import models
        >>> from catapult_theory.symbolic.closure import derive
        >>> small = dimensionless(derive(models.uv()))
        >>> small.physical(small.state.a - 4)
        eta*lam - 4
        """
        return sp.sympify(expression).subs(dict(self.groups), simultaneous=True)

    def scaled(self, expression: Any) -> sp.Expr:
        """Return an expression in the original symbols in new symbols and units.

        Parameters
        ----------
        expression : sympy.Expr or relation
            In the original symbols.

        Returns
        -------
        sympy.Expr
            Free of units if the expression is dimensionless.

        Examples
        --------
        >>> from catapult_theory.symbolic import models
        >>> from catapult_theory.symbolic.closure import derive
        >>> uv = derive(models.uv())
        >>> dimensionless(uv).scaled(uv.observables["loss"])
        b*n/(2*eta**2)
        """
        return sp.powdenest(
            sp.sympify(expression).subs(dict(self.originals), simultaneous=True), force=True
        )

    def latex(self) -> str:
        """Return groups and updates as a LaTeX aligned block.

        Returns
        -------
        str

        Examples
        --------
        >>> from catapult_theory.symbolic import models
        >>> from catapult_theory.symbolic.closure import derive
        >>> print(dimensionless(derive(models.uv())).latex().splitlines()[1])
        a &= \\eta \\lambda \\\\
        """
        rows = [f"{tex(s)} &= {tex(e)}" for s, e in self._ordered(self.groups)]
        rows += [f"{tex(s)}_{{t+1}} &= {tex(e)}" for s, e in self._ordered(self.updates)]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def __str__(self) -> str:
        rows = [f"{s} = {e}" for s, e in self._ordered(self.groups) if s not in self.free]
        rows += [f"{prime(s)} = {e}" for s, e in self._ordered(self.updates)]
        left = ", ".join(s.name for s in self.constants)
        word = "parameters are" if len(self.constants) > 1 else "parameter is"
        rows.append(f"the {word} left: {left}" if left else "no parameter is left")
        if self.free:
            rows.append(f"scale drops out: {', '.join(s.name for s in self.free)}")
        return "\n".join(rows)

    def _ordered(self, table: Mapping[sp.Symbol, sp.Expr]) -> list[tuple[sp.Symbol, sp.Expr]]:
        rank = {s: (s in self.constants, s.name) for s in table}
        return sorted(table.items(), key=lambda item: rank[item[0]])


def dimensionless(update_map: UpdateMap) -> DimensionlessMap:
    """Return the map in its dimensionless groups, integer powers where the map closes in them.

    The output enters the uv-model without label as b = eta^2 f^2 / n, since the map commutes
    with f -> -f; where no such symmetry holds the group has a fractional exponent
    (q = eta f / sqrt(n) and kappa = eta y / sqrt(n) with a label).

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one.

    Returns
    -------
    DimensionlessMap

    Raises
    ------
    InputError
        For matrix maps.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> print(dimensionless(derive(models.uv())))
    a = eta*lam
    b = eta**2*f**2/n
    a' = a + b*(a - 4)
    b' = b*(a - b - 1)**2
    no parameter is left
    """
    return _assembled(update_map, _with_integer_powers(update_map, find_groups(update_map)))


@lru_cache(maxsize=64)
def signed_dimensionless(update_map: UpdateMap) -> DimensionlessMap:
    """Return the map in groups of first order in each state variable, which keep its sign.

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one.

    Returns
    -------
    DimensionlessMap

    Raises
    ------
    InputError
        For matrix maps.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> print(signed_dimensionless(derive(models.uv())))
    a = eta*lam
    q = eta*f/sqrt(n)
    a' = a + q**2*(a - 4)
    q' = q*(-a + q**2 + 1)
    no parameter is left
    """
    return _assembled(update_map, find_groups(update_map))


def scaling_weights(update_map: UpdateMap) -> tuple[dict[sp.Symbol, sp.Rational], ...]:
    """Return the generators of the scaling symmetries: the weight of each symbol.

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one.

    Returns
    -------
    tuple of dict
        A basis; replacing each x by s**weight[x] * x leaves the map's form as it is.

    Raises
    ------
    InputError
        For matrix maps.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> scaling_weights(derive(models.uv()))
    ({f: 1/2, lam: 0, n: 1, eta: 0}, {f: -1, lam: -1, n: 0, eta: 1})
    """
    symbols = ordered_symbols(update_map)
    equations = sp.Matrix(weight_equations(update_map, symbols))
    return tuple(dict(zip(symbols, vector, strict=True)) for vector in equations.nullspace())


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


def weight_equations(update_map: UpdateMap, symbols: Sequence[sp.Symbol]) -> list[list[sp.Expr]]:
    """Return the linear equations that the weights of the symbols obey, as rows."""
    collector = Weights(symbols)
    for s, image in update_map.updates.items():
        collector.equal([collector.weight(sp.expand(image)), collector.weight(s)])
    return [list(e) for e in dict.fromkeys(collector.equations)] or [[0] * len(symbols)]


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


def find_groups(update_map: UpdateMap, equations: sp.Matrix | None = None) -> list[Group]:
    """Return one group for each pivot symbol, by the best choice of units."""
    symbols = ordered_symbols(update_map)
    if equations is None:
        equations = sp.Matrix(weight_equations(update_map, symbols))
    count = len(update_map.variables)
    states, others = symbols[:count], symbols[count:]
    candidates = []
    for size in range(len(others) + 1):
        for units in combinations(others, size):
            order = [*states, *(s for s in others if s not in units), *units]
            candidates.append(_echelon(equations, symbols, order))
    return min(candidates, key=_score)  # the first of equals: the usual units


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


def _with_integer_powers(update_map: UpdateMap, groups: Sequence[Group]) -> list[Group]:
    """Raise a group with roots to an integer power wherever the map closes in that power."""
    kept = list(groups)
    for i, group in enumerate(groups):
        if group.denominator == 1:
            continue
        trial = [*kept[:i], group.raised(group.denominator), *kept[i + 1 :]]
        table, images = _images(update_map, trial)
        if all(_integer_in(e, table[group.pivot]) for e in images.values()):
            kept = trial
    return kept


def _integer_in(expression: sp.Expr, variable: sp.Symbol) -> bool:
    """Whether a variable enters with integer powers alone."""
    powers = expression.atoms(sp.Pow)
    return all(p.exp.is_Integer for p in powers if p.base == variable)


def _images(
    update_map: UpdateMap, groups: Sequence[Group]
) -> tuple[dict[sp.Symbol, sp.Symbol], dict[sp.Symbol, sp.Expr]]:
    """Return a symbol for each group's pivot, and the updates in these, all units set to 1."""
    table: dict[sp.Symbol, sp.Symbol] = {}
    inside: dict[sp.Symbol, sp.Expr] = {}
    for group in groups:
        even = group.exponents[group.pivot] % 2 == 0
        positive = even or all(s.is_positive for s in group.exponents)
        table[group.pivot] = sp.Dummy(group.name, positive=positive or None, real=True)
    free = [s for s in update_map.variables if s not in table]
    for group in groups:
        inside[group.pivot] = group.solved(table[group.pivot])
    units = {s: sp.S.One for s in ordered_symbols(update_map) if s not in table and s not in free}
    old = {
        s: _polynomial(e.subs(inside, simultaneous=True).subs(units))
        for s, e in update_map.updates.items()
    }
    images = {s: old[s] for s in free}
    for group in groups:
        if group.pivot in old:
            new = (old.get(s, units.get(s, s)) ** e for s, e in group.exponents.items())
            images[group.pivot] = _polynomial(sp.powdenest(sp.Mul(*new), force=True))
    return table, images


def _polynomial(expression: sp.Expr) -> sp.Expr:
    """Expand a polynomial; leave 1 / (1 + exp(z))^2 as it is, since it overflows expanded."""
    return sp.expand(expression) if not expression.has(sp.exp, sp.log) else expression


def _assembled(update_map: UpdateMap, groups: Sequence[Group]) -> DimensionlessMap:
    table, images = _images(update_map, groups)
    final = {table[group.pivot]: symbol(group.name) for group in groups}
    names = {pivot: final[dummy] for pivot, dummy in table.items()}
    free = tuple(s for s in update_map.variables if s not in table)
    units = [s for s in ordered_symbols(update_map) if s not in table and s not in free]
    state = tuple(names.get(s, s) for s in update_map.variables)
    updates = {}
    for s, new in zip(update_map.variables, state, strict=True):
        updates[new] = tidy_update(new, images[s].xreplace(final))
    originals = {group.pivot: group.solved(names[group.pivot]) for group in groups}
    signed = all(group.exponents[group.pivot] % 2 for group in groups)
    one = {s: sp.S.One for s in units}
    inside = {group.pivot: group.solved(table[group.pivot]) for group in groups}
    domain = (
        r.subs(inside, simultaneous=True).subs(one).xreplace(final) for r in update_map.domain
    )
    return DimensionlessMap(
        variables=state,
        constants=tuple(names[group.pivot] for group in groups if names[group.pivot] not in state),
        groups={**{s: s for s in free}, **{names[g.pivot]: g.expression for g in groups}},
        originals=originals,
        updates=updates,
        units=tuple(units),
        free=free,
        domain=tuple(domain) if signed else (),
    )
