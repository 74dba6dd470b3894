"""Invariant factors of an update map: lines in the state that the dynamics cannot cross.

A polynomial w with w(T(x)) = c(x) w(x) is a Darboux polynomial of the map T: the set w = 0 is
invariant, and where the multiplier c is positive the sign of w never changes. Affine factors are
found exactly: the line w = 0 is put into w(T(x)), and every coefficient of what is left must
vanish. Nothing about a particular model is known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp
from sympy.core.function import Application

from catapult_theory.errors import InputError
from catapult_theory.symbolic.forms import oriented
from catapult_theory.symbolic.scaling import DimensionlessMap, signed_dimensionless
from catapult_theory.symbolic.symbols import eta
from catapult_theory.symbolic.update_map import UpdateMap

# More unknown slopes than this make the algebraic equations too hard to solve exactly.
LARGEST_STATE = 3
_KINDS = ("edge", "minimum", "line", "domain")


@dataclass(frozen=True)
class InvariantFactor:
    """A factor w of the state with w' = multiplier * w.

    Parameters
    ----------
    expression : sympy.Expr
        w in the dimensionless groups, affine in the state.
    multiplier : sympy.Expr
        In the dimensionless groups, factored.
    physical : sympy.Expr
        w in the original symbols.
    kind : str
        "domain": w >= 0 is one of the inequalities that every network obeys; "minimum": the
        gradient vanishes where w = 0; "edge": where w = 0 depends on the learning rate, so that
        the line parts starting points by it; "line" otherwise.
    """

    expression: sp.Expr
    multiplier: sp.Expr
    physical: sp.Expr
    kind: str

    def __str__(self) -> str:
        return f"{self.kind}: w = {self.expression}, w' = ({self.multiplier})*w"


@dataclass(frozen=True)
class Conserved:
    """A quantity that the step multiplies by a factor, or leaves as it is.

    Parameters
    ----------
    symbol : Symbol
        Its name (the imbalance Delta).
    definition : sympy.Expr
        In the original symbols or in inner products of the frame.
    multiplier : sympy.Expr
        What one step multiplies it by; 1 where it is conserved.
    """

    symbol: sp.Symbol
    definition: sp.Expr
    multiplier: sp.Expr

    @property
    def is_constant(self) -> bool:
        """Whether the quantity does not change at all."""
        return bool(self.multiplier == 1)

    def __str__(self) -> str:
        name = self.symbol
        return f"{name} = {self.definition}, {name}' = ({self.multiplier})*{name}"


@lru_cache(maxsize=64)
def invariant_factors(update_map: UpdateMap) -> tuple[InvariantFactor, ...]:
    """Return every factor w, affine in the dimensionless state, with w' = c w.

    Both the coefficients of w and its multiplier c may depend on the parameters. Exponentials
    (logistic loss), maxima and roots are treated as independent of the state: factors are then
    exact, but some may be missed. Maps of more than three state variables are not searched.

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one.

    Returns
    -------
    tuple of InvariantFactor
        Empty where there is none.

    Raises
    ------
    InputError
        For matrix maps.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> for factor in invariant_factors(derive(models.uv())):
    ...     print(factor)
    edge: w = a - 4, w' = (q**2 + 1)*w
    minimum: w = q, w' = (-a + q**2 + 1)*w
    domain: w = a + 2*q, w' = ((1 - q)**2)*w
    domain: w = a - 2*q, w' = ((q + 1)**2)*w
    """
    if len(update_map.variables) > LARGEST_STATE and not update_map.is_matrix:
        return ()
    small = signed_dimensionless(update_map)
    images = _opaque(small)
    found = {w: None for w in _lines(small.variables, images)}
    factors = []
    for w in sorted(found, key=lambda e: (len(str(e)), str(e))):
        multiplier = sp.factor(sp.cancel(_image(w, dict(small.updates)) / w))
        line = small.physical(w)
        factors.append(InvariantFactor(w, oriented(multiplier), line, _kind(update_map, line)))
    return tuple(sorted(factors, key=lambda factor: _KINDS.index(factor.kind)))


def _kind(update_map: UpdateMap, line: sp.Expr) -> str:
    state = set(update_map.variables)
    for relation in update_map.domain:
        ratio = sp.cancel(sp.together(line / (relation.lhs - relation.rhs)))
        if not ratio.free_symbols & state:
            return "domain"
    gradient = update_map.observables.get("grad_norm2")
    pivot = next(s for s in update_map.variables if s in line.free_symbols)
    on_line = [gradient.subs(pivot, root) for root in sp.solve(line, pivot)] if gradient else []
    if any(sp.simplify(e) == 0 for e in on_line):
        return "minimum"
    core = sp.Mul(*(x for x in sp.Mul.make_args(sp.factor(line)) if x.is_Add))
    return "edge" if eta in core.free_symbols else "line"


def is_searched(update_map: UpdateMap) -> bool:
    """Return whether `invariant_factors` searches a map of this size.

    Parameters
    ----------
    update_map : UpdateMap

    Returns
    -------
    bool
    """
    return not update_map.is_matrix and len(update_map.variables) <= LARGEST_STATE


def has_functions(small: DimensionlessMap) -> bool:
    """Return whether a step holds functions or roots of the state, which hide some lines.

    Parameters
    ----------
    small : DimensionlessMap

    Returns
    -------
    bool
    """
    return not all(e.is_rational_function(*small.variables) for e in small.updates.values())


def conserved_quantities(update_map: UpdateMap) -> tuple[Conserved, ...]:
    """Return what the step leaves alone or only rescales.

    Parameters
    ----------
    update_map : UpdateMap

    Returns
    -------
    tuple of Conserved
        Those that the closure engine carries along, and state variables that do not change.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> for quantity in conserved_quantities(derive(models.uv())):
    ...     print(quantity)
    Delta = <u,u>/n - <v,v>/n, Delta' = (-eta**2*f**2/n + 1)*Delta
    """
    carried = [
        Conserved(s, update_map.gram.get(s, s), _per(image, s))
        for s, image in update_map.carried.items()
    ]
    fixed = [Conserved(s, s, sp.S.One) for s, e in update_map.updates.items() if e == s]
    return (*carried, *fixed)


def _per(image: sp.Expr, s: sp.Symbol) -> sp.Expr:
    """Return image / s with the form of the image kept."""
    rest = [x for x in sp.Mul.make_args(image) if x != s]
    return sp.Mul(*rest) if s in sp.Mul.make_args(image) else sp.cancel(image / s)


def _opaque(small: DimensionlessMap) -> dict[sp.Symbol, sp.Expr]:
    """Replace each function and root of the state by a symbol of its own."""
    table = {node: sp.Dummy(f"E{i}") for i, node in enumerate(_functions(small))}
    images = {s: e.xreplace(table) for s, e in small.updates.items()}
    roots = sorted(
        {p for e in images.values() for p in e.atoms(sp.Pow) if not p.exp.is_integer}, key=str
    )
    bases = {p: (p.base, sp.Rational(1, sp.denom(p.exp))) for p in roots}
    symbols = {root: sp.Dummy(f"R{i}") for i, root in enumerate(dict.fromkeys(bases.values()))}
    powers = {
        p: p.base ** sp.floor(p.exp) * symbols[bases[p]] ** (sp.numer(p.exp) % sp.denom(p.exp))
        for p in roots
    }
    return {s: e.xreplace(powers) for s, e in images.items()}


def _functions(small: DimensionlessMap) -> list[sp.Expr]:
    """Return the exponentials, maxima and other functions of the state in a step."""
    state = set(small.variables)
    found = {node for e in small.updates.values() for node in e.atoms(Application)}
    return sorted((node for node in found if node.free_symbols & state), key=str)


def _image(w: sp.Expr, images: dict[sp.Symbol, sp.Expr]) -> sp.Expr:
    return w.subs(images, simultaneous=True)


def _lines(variables: Sequence[sp.Symbol], images: dict[sp.Symbol, sp.Expr]) -> Iterator[sp.Expr]:
    """Yield each w, once for every choice of the last variable that it contains."""
    for k in range(len(variables)):
        pivot, before = variables[k], variables[:k]
        slopes = [sp.Dummy(f"s_{s.name}") for s in before]
        offset = sp.Dummy("t")
        line = sp.Add(offset, *(s * x for s, x in zip(slopes, before, strict=True)))
        unknowns = [*slopes, offset]
        for solution in _solutions(pivot - line, pivot, line, images, unknowns):
            yield _normalised(pivot - line.subs(solution))


def _solutions(
    w: sp.Expr,
    pivot: sp.Symbol,
    line: sp.Expr,
    images: dict[sp.Symbol, sp.Expr],
    unknowns: Sequence[sp.Symbol],
) -> Iterator[dict[sp.Symbol, sp.Expr]]:
    rest = sp.together(_image(w, images).subs(pivot, line))
    numerator = sp.fraction(rest)[0]
    opaque = {s for e in images.values() for s in e.free_symbols if isinstance(s, sp.Dummy)}
    generators = [s for s in images if s != pivot] + sorted(opaque, key=str)
    if not generators:
        return
    equations = sp.Poly(sp.expand(numerator), *generators).coeffs()
    # SymPy's solve passes over equations without an unknown; here they cannot hold.
    if any(not e.free_symbols & set(unknowns) for e in equations):
        return
    for solution in sp.solve(equations, unknowns, dict=True):
        values = {s: sp.factor(solution[s]) for s in unknowns if s in solution}
        # A free unknown is a whole family of lines: a conserved quantity, not a barrier.
        known = len(values) == len(unknowns)
        if known and all(v.is_rational_function() for v in values.values()):
            yield values


def _normalised(expression: sp.Expr) -> sp.Expr:
    """Return the expression without denominators, expanded."""
    numerator = sp.fraction(sp.together(sp.expand(expression)))[0]
    return sp.expand(numerator)


def edge_factors(update_map: UpdateMap) -> tuple[InvariantFactor, ...]:
    """Return the invariant factors that part starting points by the learning rate.

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one.

    Returns
    -------
    tuple of InvariantFactor

    Raises
    ------
    InputError
        For matrix maps.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> [str(factor.physical) for factor in edge_factors(derive(models.uv()))]
    ['eta*lam - 4']
    """
    return tuple(w for w in invariant_factors(update_map) if w.kind == "edge")


def verify_factor(update_map: UpdateMap, factor: InvariantFactor) -> bool:
    """Return whether w' = c w holds identically, by exact algebra.

    Parameters
    ----------
    update_map : UpdateMap
    factor : InvariantFactor

    Returns
    -------
    bool

    Raises
    ------
    InputError
        If the factor is written in symbols that are not groups of the map.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> uv = derive(models.uv())
    >>> verify_factor(uv, invariant_factors(uv)[0])
    True
    """
    small = signed_dimensionless(update_map)
    unknown = (factor.expression * factor.multiplier).free_symbols - set(small.groups)
    if unknown:
        known = ", ".join(s.name for s in small.groups)
        raise InputError(f"{factor.expression} uses {unknown}; the groups of this map are {known}")
    image = _image(factor.expression, dict(small.updates))
    return bool(sp.simplify(image - factor.multiplier * factor.expression) == 0)
