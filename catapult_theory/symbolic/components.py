"""Solutions of polynomial equations as families: split by factors, eliminate what is linear.

The equations of a fixed point factor (the gradient vanishes, or a mode flips its sign), so that
branching over factors and substituting finds every family in closed form, with the parameters
kept as symbols. What stays irreducible is handed to a Groebner basis, and left as an equation
where that does not solve it either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import sympy as sp

# Deeper branches come from systems of more variables than any map of the toolkit has.
DEEPEST = 24


@dataclass(frozen=True)
class Component:
    """A family of solutions.

    Parameters
    ----------
    values : mapping
        The unknowns that are solved for, in the free ones and the parameters.
    free : tuple of Symbol
        The unknowns along which the family extends.
    equations : tuple of sympy.Expr
        Polynomials in the free unknowns that vanish on the family and have no closed solution.
    """

    values: Mapping[sp.Symbol, sp.Expr]
    free: tuple[sp.Symbol, ...]
    equations: tuple[sp.Expr, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))

    def __hash__(self) -> int:
        return hash((tuple(self.values.items()), self.free, self.equations))

    def at(self, expression: sp.Expr) -> sp.Expr:
        """Return an expression in the unknowns on the family."""
        return sp.sympify(expression).subs(dict(self.values), simultaneous=True)

    def contains(self, other: Component) -> bool:
        """Whether every point of another family without open equations lies on this one."""
        gaps = [s - e for s, e in self.values.items()] + list(self.equations)
        return all(_vanishes(other.at(gap)) for gap in gaps)


def components(
    equations: Sequence[sp.Expr], unknowns: Sequence[sp.Symbol]
) -> tuple[Component, ...]:
    """Return the families on which all equations vanish, for parameters in general position.

    Parameters
    ----------
    equations : sequence of sympy.Expr
        Rational in the unknowns; every other symbol is a parameter. A polynomial in the
        parameters alone counts as different from zero.
    unknowns : sequence of Symbol

    Returns
    -------
    tuple of Component
        None contained in another; the largest first.

    Examples
    --------
    >>> q, a, k = sp.symbols("q a k")
    >>> for family in components([(q - k) * (a - q), (q - k) * (a - 1)], [q, a]):
    ...     print(dict(family.values), family.free)
    {q: k} (a,)
    {q: 1, a: 1} ()
    """
    found: list[Component] = []
    for values, rest in _branches(list(equations), tuple(unknowns), {}, DEEPEST):
        free = tuple(s for s in unknowns if s not in values)
        ordered = {s: sp.factor(values[s]) for s in unknowns if s in values}
        found.append(Component(ordered, free, tuple(rest)))
    kept: list[Component] = []
    for one in sorted(found, key=lambda c: -len(c.free) + len(c.equations)):
        if not any(other.contains(one) for other in kept):
            kept.append(one)
    return tuple(kept)


@dataclass(frozen=True)
class Solved:
    """One equation solved for one unknown; where the guard vanishes the roots mean nothing."""

    equation: sp.Expr
    unknown: sp.Symbol
    roots: tuple[sp.Expr, ...]
    guard: sp.Expr | None = None


Branch = tuple[dict[sp.Symbol, sp.Expr], list[sp.Expr]]


def _branches(
    equations: list[sp.Expr],
    unknowns: tuple[sp.Symbol, ...],
    values: dict[sp.Symbol, sp.Expr],
    depth: int,
) -> Iterator[Branch]:
    """Yield solved values and what is left to solve, one for each branch."""
    plain = [e for e in map(_numerator, equations) if e != 0]
    step = _linear(plain, unknowns, guarded=False)
    if step is None:
        split = [_factors(e, unknowns) for e in plain]
        if any(not parts for parts in split):
            return  # a number or a function of the parameters alone would have to vanish
        if not split or depth == 0:
            yield values, [sp.Mul(*parts) for parts in split]
            return
        split.sort(key=lambda parts: (len(parts) == 1, sum(sp.count_ops(x) for x in parts)))
        first, others = split[0], [sp.Mul(*parts) for parts in split[1:]]
        if len(first) > 1:
            for factor in first:
                yield from _branches([factor, *others], unknowns, values, depth - 1)
            return
        plain = [parts[0] for parts in split]
        step = _linear(plain, unknowns, guarded=True) or _quadratic(plain, unknowns)
    if step is None:
        yield from _by_groebner(plain, unknowns, values, depth)
        return
    yield from _substituted(step, plain, unknowns, values, depth)


def _substituted(
    step: Solved,
    equations: list[sp.Expr],
    unknowns: tuple[sp.Symbol, ...],
    values: dict[sp.Symbol, sp.Expr],
    depth: int,
) -> Iterator[Branch]:
    """Put each root of one equation into the others, and the guard's zeros apart."""
    rest = [e for e in equations if e is not step.equation]
    if step.guard is not None:  # the coefficient may vanish as well
        both = [step.guard, step.equation, *rest]
        yield from _branches(both, unknowns, values, depth - 1)
    smaller = tuple(x for x in unknowns if x != step.unknown)
    for root in step.roots:
        new = {x: sp.cancel(e.subs(step.unknown, root)) for x, e in values.items()}
        inside = [e.subs(step.unknown, root) for e in rest]
        yield from _branches(inside, smaller, new | {step.unknown: root}, depth - 1)


def _vanishes(expression: sp.Expr) -> bool:
    reduced = sp.cancel(sp.together(expression))
    return bool(reduced == 0 or (reduced.has(sp.sqrt) and sp.simplify(reduced) == 0))


def _numerator(equation: sp.Expr) -> sp.Expr:
    numerator = sp.expand(sp.fraction(sp.together(equation))[0])
    rational = all(p.exp.is_Integer for p in numerator.atoms(sp.Pow))
    return numerator if rational else sp.simplify(numerator)


def _factors(equation: sp.Expr, unknowns: Sequence[sp.Symbol]) -> list[sp.Expr]:
    """Return the distinct factors that contain unknowns."""
    _, parts = sp.factor_list(equation)
    return [part for part, _ in parts if part.free_symbols & set(unknowns)]


def _linear(
    equations: Sequence[sp.Expr], unknowns: Sequence[sp.Symbol], *, guarded: bool
) -> Solved | None:
    """Solve for an unknown that is linear; with ``guarded``, its coefficient may hold unknowns."""
    candidates = []
    for equation in equations:
        for s in unknowns:
            if s not in equation.free_symbols or not equation.is_polynomial(s):
                continue
            if sp.degree(equation, s) != 1:
                continue
            slope = sp.expand(equation).coeff(s)
            guard = slope if slope.free_symbols & set(unknowns) else None
            if guard is not None and not guarded:
                continue
            offset = sp.expand(equation).coeff(s, 0)
            root = sp.cancel(-offset / slope)
            rank = (sp.count_ops(slope), sp.count_ops(offset))
            candidates.append((rank, Solved(equation, s, (root,), guard)))
    return min(candidates, key=lambda item: item[0])[1] if candidates else None


def _quadratic(equations: Sequence[sp.Expr], unknowns: Sequence[sp.Symbol]) -> Solved | None:
    """Solve an equation in one unknown alone by its two roots."""
    for equation in equations:
        inside = equation.free_symbols & set(unknowns)
        if len(inside) == 1:
            (s,) = inside
            if equation.is_polynomial(s) and sp.degree(equation, s) == 2:
                a, b, c = sp.Poly(equation, s).all_coeffs()
                root = sp.sqrt(sp.factor(b**2 - 4 * a * c))
                return Solved(equation, s, ((-b + root) / (2 * a), (-b - root) / (2 * a)))
    return None


def _by_groebner(
    equations: list[sp.Expr],
    unknowns: tuple[sp.Symbol, ...],
    values: dict[sp.Symbol, sp.Expr],
    depth: int,
) -> Iterator[Branch]:
    present = [s for s in unknowns if any(s in e.free_symbols for e in equations)]
    if len(equations) == 1 or not all(e.is_polynomial(*present) for e in equations):
        yield values, equations
        return
    basis = [e.as_expr() for e in sp.groebner(equations, *present, order="lex").exprs]
    if set(map(sp.expand, basis)) == set(map(sp.expand, equations)):
        yield values, equations
        return
    yield from _branches(basis, unknowns, values, depth - 1)
