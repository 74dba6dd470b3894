"""What is to be judged, in the symbols of the map: expressions, constraints, branches.

A hypothesis that is an equation is solved for a symbol in which it is linear; where it
factors, each factor is a branch of its own, and a claim must hold on every branch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import sympy as sp

from catapult_theory.errors import ClaimError
from catapult_theory.rigor.claims.generators import Generators, ring_of
from catapult_theory.rigor.claims.positivity import Budget
from catapult_theory.rigor.claims.quotient import convert, factors_of
from catapult_theory.rigor.claims.tree import Relation
from catapult_theory.rigor.claims.vocabulary import Vocabulary

_MOST_BRANCHES = 8


@dataclass(frozen=True)
class Constraint:
    """An expression that is nonnegative, positive (strict) or, for equations, zero.

    Parameters
    ----------
    expression : sympy.Expr
        In state variables and parameters.
    kind : str
        ">=", ">" or "=".
    source : str
        "domain", or the hypothesis as written.
    """

    expression: sp.Expr
    kind: str
    source: str

    def at(self, table: Mapping[sp.Symbol, sp.Expr]) -> Constraint:
        """Return the constraint with symbols replaced."""
        return replace(self, expression=self.expression.xreplace(dict(table)))


@dataclass(frozen=True)
class Branch:
    """One way of meeting the equations among the hypotheses.

    Parameters
    ----------
    solved : mapping
        Symbols and what they equal, in the symbols that are left.
    constraints : tuple of Constraint
        Domain and hypotheses in the symbols that are left; equations that could not be
        solved stay among them.
    """

    solved: Mapping[sp.Symbol, sp.Expr]
    constraints: tuple[Constraint, ...]

    def at(self, expression: sp.Expr) -> sp.Expr:
        """Return an expression on the branch."""
        return expression.xreplace(dict(self.solved))

    @property
    def equations(self) -> tuple[Constraint, ...]:
        """The equations that could not be solved."""
        return tuple(c for c in self.constraints if c.kind == "=")


def margin(relation: Relation, vocabulary: Vocabulary) -> tuple[sp.Expr, str]:
    """Return an expression and ">=", ">" or "=": how a relation compares it with zero."""
    left, right = vocabulary.resolved(relation.left), vocabulary.resolved(relation.right)
    if relation.sign in ("<", "<="):
        return right - left, ">" if relation.sign == "<" else ">="
    return left - right, relation.sign


@dataclass(frozen=True)
class Facts:
    """All that may be assumed: the map's domain, the signs of symbols, the hypotheses.

    Parameters
    ----------
    vocabulary : Vocabulary
    hypotheses : tuple of (text, relations)
    used : frozenset of symbols
        The state variables and parameters that the claim speaks of.
    budget : Budget
        Work that proofs from these facts may still spend.
    """

    vocabulary: Vocabulary
    hypotheses: tuple[tuple[str, tuple[Relation, ...]], ...] = ()
    used: frozenset[sp.Symbol] = frozenset()
    budget: Budget = field(default_factory=Budget, compare=False)

    @cached_property
    def constraints(self) -> tuple[Constraint, ...]:
        """Hypotheses, then domain and signs, in state variables and parameters."""
        found = []
        for text, relations in self.hypotheses:
            for relation in relations:
                expression, kind = margin(relation, self.vocabulary)
                found.append(Constraint(expression, kind, text))
        symbols = self.used.union(*(c.expression.free_symbols for c in found))
        return (*found, *_domain(self.vocabulary, symbols))

    @cached_property
    def later(self) -> tuple[sp.Expr, ...]:
        """What is nonnegative because the state after the step is one of a network too."""
        domain = (c for c in _domain(self.vocabulary, self.used) if c.kind == ">=")
        return tuple(self.vocabulary.after(c.expression) for c in domain)

    @cached_property
    def branches(self) -> tuple[Branch, ...]:
        """The branches of the equations among the hypotheses; one without any equation."""
        branches = [Branch({}, self.constraints)]
        for _ in range(len(self.constraints)):
            new = [b for branch in branches for b in _solve_one(branch)]
            if len(new) > _MOST_BRANCHES:
                raise ClaimError("the equations among the hypotheses split into too many cases")
            if new == branches:
                break
            branches = new
        return tuple(branches)


def _domain(vocabulary: Vocabulary, used: frozenset[sp.Symbol]) -> Iterable[Constraint]:
    update_map = vocabulary.update_map
    for relation in update_map.domain:
        strict = isinstance(relation, (sp.StrictGreaterThan, sp.StrictLessThan))
        yield Constraint(relation.gts - relation.lts, ">" if strict else ">=", "domain")
    if used & {vocabulary.base[name] for name in vocabulary.carried}:
        yield from (Constraint(e, ">=", "domain") for e in vocabulary.minors)
    for s in (*update_map.variables, *update_map.constants):
        if s.is_nonnegative:
            yield Constraint(s, ">" if s.is_positive else ">=", "domain")


def _solve_one(branch: Branch) -> list[Branch]:
    """Solve the first equation that can be solved; each of its factors makes a branch."""
    for equation in branch.equations:
        cases = _cases(equation.expression, branch)
        if cases is None:
            continue
        rest = tuple(c for c in branch.constraints if c is not equation)
        return [_with(branch, rest, case) for case in cases]
    return [branch]


def _with(branch: Branch, rest: Sequence[Constraint], case: Mapping[sp.Symbol, sp.Expr]) -> Branch:
    table = dict(case)
    solved = {s: e.xreplace(table) for s, e in branch.solved.items()} | table
    return Branch(solved, tuple(c.at(table) for c in rest))


def solutions(constraint: Constraint, branch: Branch) -> list[dict[sp.Symbol, sp.Expr]]:
    """Return where a constraint becomes an equality, as a symbol in terms of the others."""
    return _cases(constraint.expression, branch) or []


def _cases(expression: sp.Expr, branch: Branch) -> list[dict[sp.Symbol, sp.Expr]] | None:
    """Return the solutions of an equation, one for each factor, or None if one is not linear."""
    generators, (lifted,) = Generators.of([expression])
    if generators.squares or not lifted.free_symbols:
        return [{}] if lifted == 0 else None
    top = convert(lifted, ring_of([lifted], generators)).cancelled().top
    if not top:
        return [{}]
    known_positive = {c.expression for c in branch.constraints if c.kind == ">"}
    cases = []
    for factor, _ in factors_of(top)[1]:
        polynomial = factor.as_expr()
        if generators.is_positive(polynomial) or generators.unlifted(polynomial) in known_positive:
            continue
        case = _linear(polynomial, generators)
        if case is None:
            return None
        cases.append(case)
    return cases


def _linear(polynomial: sp.Expr, generators: Generators) -> dict[sp.Symbol, sp.Expr] | None:
    """Solve a polynomial for a symbol whose coefficient never vanishes, the width last."""
    hidden = set(generators.meaning) | set(generators.roots)
    inside = set().union(*(m.free_symbols for m in generators.meaning.values()), set())
    candidates = [s for s in polynomial.free_symbols if s not in hidden and s not in inside]
    order = {"y": 0, "f": 1, "lam": 3, "eta": 4, "n": 9}
    for symbol in sorted(candidates, key=lambda s: (order.get(s.name, 2), s.name)):
        found = sp.Poly(polynomial, symbol)
        if found.degree() != 1:
            continue
        slope, rest = found.all_coeffs()
        if generators.is_positive(slope) or generators.is_positive(-slope):
            return {symbol: generators.unlifted(sp.factor(-rest / slope))}
    return None
