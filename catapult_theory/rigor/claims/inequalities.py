"""Inequalities decided by exact algebra: from expressions to polynomials and the prover.

The margin and everything that may be assumed become polynomials in symbols and generators;
absolute values split into cases; symbols that a scaling symmetry makes redundant are set
to one. What comes out is a certificate in words, or nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sympy as sp
from sympy.polys.matrices import DomainMatrix
from sympy.polys.rings import PolyElement, PolyRing

from catapult_theory.errors import ClaimError
from catapult_theory.rigor.claims.generators import Generators, ring_of
from catapult_theory.rigor.claims.positivity import Budget, Known, Prover, Region
from catapult_theory.rigor.claims.problem import Branch, Constraint, Facts
from catapult_theory.rigor.claims.quotient import convert, is_small
from catapult_theory.rigor.claims.size import size_of

_MOST_CASES = 8
# Set to one first when a scaling symmetry allows it: the reader then sees f, lam, y.
_REDUNDANT = ("eta", "sqrt_n", "n", "sqrt_eta")


@dataclass(frozen=True)
class _Case:
    """One choice of signs of the absolute values, with what it assumes."""

    table: Mapping[sp.Symbol, sp.Expr]
    assumed: tuple[sp.Expr, ...]


def certificate(goal: sp.Expr, strict: bool, facts: Facts) -> str | None:
    """Return how an expression is seen to be nonnegative wherever the facts hold, or None.

    Parameters
    ----------
    goal : sympy.Expr
        In state variables and parameters.
    strict : bool
        Whether it must be positive.
    facts : Facts
        Domain, signs and hypotheses; an equation that factors makes several branches, and
        the goal must be seen on each.

    Returns
    -------
    str or None
        The certificate in words; None if these methods do not decide.
    """
    if choices := _choices(goal):
        every, goals = choices
        reasons = [certificate(g, strict, facts) for g in goals]
        known = [r for r in reasons if r is not None]
        return known[0] if known and (not every or len(known) == len(reasons)) else None
    goal = _peeled(goal)
    found: list[str] = []
    for branch in facts.branches:
        reason = _on_branch(branch, goal, strict, branch.constraints, facts.budget)
        if reason is None:
            reason = _with_more(branch, goal, strict, facts)
        if reason is None:
            return None
        found.append(reason)
    return "; ".join(dict.fromkeys(found))


def _choices(goal: sp.Expr) -> tuple[bool, list[sp.Expr]] | None:
    """Return goals with each argument in place of a maximum or minimum that stands linearly, and
    whether every one of them is needed: one is enough where the largest counts."""
    for node in sorted(goal.atoms(sp.Max, sp.Min, sp.Abs), key=str):
        slope = goal.coeff(node)
        rest = sp.expand(goal - slope * node)
        if slope.is_Rational and slope != 0 and not rest.has(node):
            arguments = node.args
            if isinstance(node, sp.Abs):
                # Of polynomials the cases of absolute values are told apart later.
                if slope > 0 or not node.has(sp.Max, sp.Min):
                    continue
                arguments = (node.args[0], -node.args[0])
            goals = [rest + slope * argument for argument in arguments]
            return isinstance(node, sp.Min) == (slope > 0), goals
    return None


def _tangents(goal: sp.Expr) -> list[sp.Expr]:
    """Return what is nonnegative by convexity: exp(x) - 1 - x for x and -x, x - 1 - log(x)."""
    inside = [e.args[0] for e in sorted(goal.atoms(sp.exp), key=str)]
    above = [sp.exp(x) - 1 - x for y in inside for x in (y, -y)]
    return above + [e.args[0] - 1 - e for e in sorted(goal.atoms(sp.log), key=str)]


def _with_more(branch: Branch, goal: sp.Expr, strict: bool, facts: Facts) -> str | None:
    """Try again with consequences of the facts, and with the width at least one."""
    if tangents := _tangents(branch.at(goal)):
        known = (Constraint(e, ">=", "convexity") for e in tangents)
        return _on_branch(branch, goal, strict, (*branch.constraints, *known), facts.budget)
    later = tuple(branch.at(e) for e in facts.later)
    reason = _on_branch(branch, goal, strict, branch.constraints, facts.budget, later)
    width = facts.vocabulary.base.get("n")
    if reason is not None or width is None or width in branch.solved:
        return reason
    if width not in branch.at(goal).free_symbols:
        return None
    whole = Constraint(width - 1, ">=", "the width is at least one")
    return _on_branch(branch, goal, strict, (*branch.constraints, whole), facts.budget)


def _peeled(goal: sp.Expr) -> sp.Expr:
    """Return A - B for a goal c*(F(A) - F(B)) with F = log or exp, which has the same sign."""
    terms = sp.Add.make_args(goal)
    if len(terms) > 2:
        return goal
    parts = [t.as_coeff_Mul() for t in terms]
    functions = {type(f) for _, f in parts}
    if len(functions) != 1 or not isinstance(parts[0][1], (sp.log, sp.exp)):
        return goal
    if len(parts) == 1:
        number, function = parts[0]
        return number * (function.args[0] - 1) if isinstance(function, sp.log) else goal
    (first, left), (second, right) = parts
    if first + second != 0:
        return goal
    return _peeled(sp.sign(first) * (left.args[0] - right.args[0]))


def _on_branch(
    branch: Branch,
    goal: sp.Expr,
    strict: bool,
    constraints: Sequence[Constraint],
    budget: Budget,
    later: Sequence[sp.Expr] = (),
) -> str | None:
    goal = branch.at(goal)
    if not strict and _is_sum_of_squares(goal):
        return "a sum of squares"
    useful = _relevant(goal, constraints)
    expressions = [goal, *(c.expression for c in useful), *later]
    try:
        for e in expressions:
            size_of(e, {}).check("")
        generators, lifted = Generators.of(expressions)
    except ClaimError:
        return None
    absolutes = generators.absolutes
    if 2 ** len(absolutes) > _MOST_CASES:
        return None
    reasons = []
    for case in _cases(absolutes):
        reason = _in_case(lifted, strict, useful, generators, case, budget)
        if reason is None:
            return None
        reasons.append(reason)
    return reasons[0] if len(set(reasons)) == 1 else "by cases of absolute values"


def _is_sum_of_squares(goal: sp.Expr) -> bool:
    """Return whether every term is nonnegative as written: even powers, nonnegative symbols."""
    for term in sp.Add.make_args(goal):
        number, rest = term.as_coeff_Mul()
        powers = [] if rest == 1 else rest.as_powers_dict().items()
        if number < 0 or not all(b.is_nonnegative or p.is_even for b, p in powers):
            return False
    return True


def _relevant(goal: sp.Expr, constraints: Sequence[Constraint]) -> list[Constraint]:
    """Return the constraints that are linked to the goal through shared symbols."""
    linked = set(goal.free_symbols)
    chosen = [c for c in constraints if len(c.expression.free_symbols) == 1]
    others = [c for c in constraints if len(c.expression.free_symbols) > 1]
    for _ in range(2):
        near = [c for c in others if c.expression.free_symbols & linked]
        linked |= set().union(*(c.expression.free_symbols for c in near), set())
    return [c for c in constraints if c in chosen or c.expression.free_symbols & linked]


def _cases(absolutes: Mapping[sp.Symbol, sp.Expr]) -> Iterable[_Case]:
    for signs in itertools.product((1, -1), repeat=len(absolutes)):
        inside = [s * e for s, e in zip(signs, absolutes.values(), strict=True)]
        yield _Case(dict(zip(absolutes, inside, strict=True)), tuple(inside))


def _in_case(
    lifted: Sequence[sp.Expr],
    strict: bool,
    constraints: Sequence[Constraint],
    generators: Generators,
    case: _Case,
    budget: Budget,
) -> str | None:
    goal, *others = (e.xreplace(dict(case.table)) for e in lifted)
    signs = [(s, s in generators.positive) for s in generators.nonnegative if s not in case.table]
    ring = ring_of([goal, *others, *case.assumed, *(s for s, _ in signs)], generators)
    target = sign_polynomial(goal, ring, generators)
    if not is_small(target):
        return None
    polynomials = [sign_polynomial(e, ring, generators) for e in others]
    later = polynomials[len(constraints) :]
    known = [(p, c.kind, c.source) for p, c in zip(polynomials, constraints, strict=False)]
    known += [(sign_polynomial(e, ring, generators), ">=", "case") for e in case.assumed]
    known += [(ring(s), ">" if positive else ">=", "sign") for s, positive in signs]
    roots = [s for s in generators.squares if s in ring.symbols and s not in case.table]
    relations = [ring(s) ** 2 - convert(generators.squares[s], ring).top for s in roots]
    reduced = iter(
        reduced_by_scaling(
            [target, *(p for p, _, _ in known), *relations, *later],
            [p for p, kind, _ in known if kind == ">"],
        )
    )
    target, region = next(reduced), _region([next(reduced) for _ in known], known)
    squares = {ring.symbols.index(s): ring(s) ** 2 - next(reduced) for s in roots}
    later = [p for p in reduced if p]
    return _search(target, strict, region, squares, later, budget)


def _search(
    target: PolyElement,
    strict: bool,
    region: Region,
    squares: dict[int, PolyElement],
    later: Sequence[PolyElement],
    budget: Budget,
) -> str | None:
    ring = target.ring
    if not later:
        return Prover(ring, squares, budget=budget).prove(target, strict, region)
    facts = frozenset(p.primitive()[1] for p in later)
    wider = Prover(ring, squares, budget=budget).enriched(region)
    return Prover(ring, squares, facts, budget).prove(target, strict, wider)


def sign_polynomial(expression: sp.Expr, ring: PolyRing, generators: Generators) -> PolyElement:
    """Return a polynomial with the sign of a quotient wherever the quotient is defined."""
    own = generators.reduced(convert(expression, ring)).cancelled()
    product = own.top
    for divisor, power in own.divisors.items():
        if power % 2:
            product *= divisor
    return generators.reduced(type(own)(product, {})).top


def _region(
    polynomials: Sequence[PolyElement], known: Sequence[tuple[PolyElement, str, str]]
) -> Region:
    found: list[Known] = []
    for polynomial, (_, kind, source) in zip(polynomials, known, strict=True):
        if not polynomial:
            continue
        own = polynomial.primitive()[1]
        if own.is_ground and own.LC > 0:
            continue
        found.append(Known(own, kind == ">", source))
        if kind == "=":
            found.append(Known(-own, False, source))
    return tuple(dict.fromkeys(found))


def reduced_by_scaling(
    polynomials: Sequence[PolyElement], positive: Sequence[PolyElement]
) -> list[PolyElement]:
    """Return polynomials with the symbols set to one that scaling symmetries make redundant.

    If x_i -> s^{w_i} x_i multiplies each polynomial by a power of s > 0, signs do not change
    along the orbit, and a positive symbol with w != 0 may be set to one.

    Parameters
    ----------
    polynomials : sequence of PolyElement
    positive : sequence of PolyElement
        Polynomials known to be positive; only generators among them are set to one.

    Returns
    -------
    list of PolyElement

    Examples
    --------
    >>> from sympy.polys.rings import ring
    >>> R, eta, f, lam = ring("eta f lam", sp.QQ)
    >>> reduced_by_scaling([4 - eta * lam, f], [eta])
    [-lam + 4, f]
    """
    ring = polynomials[0].ring
    rows = set()
    for first, *others in (p.monoms() for p in polynomials if p):
        rows |= {tuple(a - b for a, b in zip(e, first, strict=True)) for e in others}
    count = len(ring.gens)
    matrix = [[sp.ZZ(x) for x in row] for row in sorted(rows)] or [[sp.ZZ(0)] * count]
    null = DomainMatrix(matrix, (len(matrix), count), sp.ZZ).to_field().nullspace().to_Matrix()
    names = [str(s) for s in ring.symbols]
    chosen: list[int] = []
    for name in _REDUNDANT:
        if name not in names or ring.gens[names.index(name)] not in positive:
            continue
        trial = [*chosen, names.index(name)]
        if null.rows and null.extract(list(range(null.rows)), trial).rank() == len(trial):
            chosen = trial
    reduced = list(polynomials)
    for at in chosen:
        reduced = [p.subs(ring.gens[at], 1) for p in reduced]
    return reduced
