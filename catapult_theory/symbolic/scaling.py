"""An update map in its dimensionless groups: what is left of it when the units scale out."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import sympy as sp

from catapult_theory.symbolic.forms import tidy_update
from catapult_theory.symbolic.symbols import symbol
from catapult_theory.symbolic.units import (
    Group,
    Scaling,
    find_groups,
    ordered_symbols,
    scaling_in,
    weight_equations,
)
from catapult_theory.symbolic.update_map import UpdateMap, prime, tex


@dataclass(frozen=True)
class DimensionlessMap(Scaling):
    """An update map in dimensionless groups: a `Scaling` with the step in its groups.

    Parameters
    ----------
    updates : mapping
        Each new state symbol after the step, in the new symbols.
    domain : tuple of relations
        The domain in the new symbols; empty where a group is an even power.
    """

    updates: Mapping[sp.Symbol, sp.Expr]
    domain: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "updates", MappingProxyType(dict(self.updates)))

    def __hash__(self) -> int:
        return hash((self.variables, self.constants, tuple(self.updates.items())))

    def __reduce__(self) -> tuple[Any, ...]:
        values = (getattr(self, field.name) for field in fields(self))
        plain = (dict(v) if isinstance(v, MappingProxyType) else v for v in values)
        return type(self), tuple(plain)

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
    kernel = weight_equations(update_map, symbols).nullspace()
    return tuple(dict(zip(symbols, vector, strict=True)) for vector in kernel)


def _with_integer_powers(update_map: UpdateMap, groups: Sequence[Group]) -> list[Group]:
    """Raise a group with roots to an integer power wherever the map closes in that power."""
    kept = list(groups)
    for i, group in enumerate(groups):
        if group.denominator == 1:
            continue
        trial = [*kept[:i], group.raised(group.denominator), *kept[i + 1 :]]
        put = _substitution(update_map, trial)
        images = [_polynomial(put(update_map.updates[s])) for s in update_map.variables
                  if s not in put.table]  # fmt: skip
        images += [_image(update_map, g, put) for g in trial if g.pivot in update_map.updates]
        if all(_integer_in(e, put.table[group.pivot]) for e in images):
            kept = trial
    return kept


def _integer_in(expression: sp.Expr, variable: sp.Symbol) -> bool:
    """Whether a variable enters with integer powers alone."""
    powers = expression.atoms(sp.Pow)
    return all(p.exp.is_Integer for p in powers if p.base == variable)


@dataclass(frozen=True)
class _Substitution:
    """Groups in place of state and parameters, with a dummy for each and all units set to 1."""

    table: Mapping[sp.Symbol, sp.Symbol]
    inside: Mapping[sp.Symbol, sp.Expr]
    ones: Mapping[sp.Symbol, sp.Expr]

    def __call__(self, expression: Any) -> Any:
        """Return the expression in the groups, in the form that it has."""
        return expression.subs(dict(self.inside), simultaneous=True).subs(dict(self.ones))

    def keeps_form(self, group: Group) -> bool:
        """Whether the group is its pivot where the units are 1."""
        others = set(group.exponents) - {group.pivot}
        return group.exponents[group.pivot] == 1 and others <= set(self.ones)


def _substitution(update_map: UpdateMap, groups: Sequence[Group]) -> _Substitution:
    table: dict[sp.Symbol, sp.Symbol] = {}
    for group in groups:
        even = group.exponents[group.pivot] % 2 == 0
        positive = even or all(s.is_positive for s in group.exponents)
        table[group.pivot] = sp.Dummy(group.name, positive=positive or None, real=True)
    inside = {group.pivot: group.solved(table[group.pivot]) for group in groups}
    kept = {*table, *update_map.variables}
    ones = {s: sp.S.One for s in ordered_symbols(update_map) if s not in kept}
    return _Substitution(table, inside, ones)


def _image(update_map: UpdateMap, group: Group, put: _Substitution) -> sp.Expr:
    """Return the group after the step, expanded."""
    old = {s: put(e) for s, e in update_map.updates.items() if s in group.exponents}
    new = (old.get(s, put(s)) ** e for s, e in group.exponents.items())
    return _polynomial(sp.powdenest(sp.Mul(*map(_polynomial, new)), force=True))


def _polynomial(expression: sp.Expr) -> sp.Expr:
    """Expand a polynomial; leave 1 / (1 + exp(z))^2 as it is, since it overflows expanded."""
    return sp.expand(expression) if not expression.has(sp.exp, sp.log) else expression


def _assembled(update_map: UpdateMap, groups: Sequence[Group]) -> DimensionlessMap:
    """Return the map in given groups; where a group keeps its form, so does its update.

    Factoring the step again would take minutes for a long one (Nesterov).
    """
    found, put = scaling_in(update_map, groups), _substitution(update_map, groups)
    owner = {group.pivot: group for group in groups}
    final = {put.table[group.pivot]: symbol(group.name) for group in groups}
    updates = {}
    for s, new in zip(update_map.variables, found.variables, strict=True):
        if s not in owner or put.keeps_form(owner[s]):
            updates[new] = put(update_map.updates[s]).xreplace(final)
        else:
            updates[new] = tidy_update(new, _image(update_map, owner[s], put).xreplace(final))
    signed = all(group.exponents[group.pivot] % 2 for group in groups)
    domain = (put(relation).xreplace(final) for relation in update_map.domain)
    own = {field.name: getattr(found, field.name) for field in fields(found)}
    return DimensionlessMap(**own, updates=updates, domain=tuple(domain) if signed else ())
