"""Polynomial claims put to an SMT solver: decided, refuted at a rational state, or unknown.

What the claim, the domain and the hypotheses say becomes polynomials, as for the exact prover:
roots and absolute values are symbols with a known square, and symbols that a scaling symmetry
makes redundant are one. z3 is asked for a state in the domain that meets the hypotheses and
violates the claim; that there is none is a decision (nlsat works with exact algebraic numbers).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.polys.rings import PolyElement

from catapult_theory.errors import ClaimError
from catapult_theory.rigor.claims.counterexample import Goal
from catapult_theory.rigor.claims.generators import Generators, ring_of
from catapult_theory.rigor.claims.inequalities import reduced_by_scaling, sign_polynomial
from catapult_theory.rigor.claims.problem import Branch, Facts
from catapult_theory.rigor.claims.quotient import is_small
from catapult_theory.rigor.claims.states import Point, States
from catapult_theory.rigor.optional_parts import optional_part

# Terms of all polynomials together: beyond, the solver does not come back in time.
_MOST_TERMS = 400
_ROUNDED = (1, 2, 4, 10, 100, 10**4, 10**8)


@dataclass(frozen=True)
class Answer:
    """What the solver said.

    Parameters
    ----------
    status : str
        "unsat", "sat" or "unknown".
    point : mapping or None
        For "sat", a rational state, if one was found.
    reason : str
        For "unknown", why.
    """

    status: str
    point: Point | None = None
    reason: str = ""


@dataclass(frozen=True)
class _System:
    """Polynomial conditions in the symbols of one ring."""

    conditions: tuple[tuple[PolyElement, str], ...]
    generators: Generators


def violation(goal: Goal, facts: Facts, seconds: float) -> Answer:
    """Ask for a state that meets all facts and violates a claim.

    Parameters
    ----------
    goal : Goal
    facts : Facts
    seconds : float
        Time for all branches of the hypotheses together.

    Returns
    -------
    Answer
        "unsat" decides the claim; a point has been checked by exact arithmetic.

    Raises
    ------
    MissingBackend
        If z3 is not installed.
    """
    wanted = {">=": "<", ">": "<=", "=": "!="}[goal.kind]
    return _on_branches(goal.margin, wanted, goal, facts, seconds)


def can_be_met(facts: Facts, seconds: float) -> Answer:
    """Ask for a state that meets all facts: "unsat" says that the hypotheses contradict."""
    return _on_branches(None, "", None, facts, seconds)


def _on_branches(
    margin: sp.Expr | None, wanted: str, goal: Goal | None, facts: Facts, seconds: float
) -> Answer:
    optional_part("z3", "deciding polynomial claims")
    end = time.monotonic() + seconds
    answers = []
    for branch in facts.branches:
        answer = _on_branch(margin, wanted, goal, facts, branch, end)
        if answer.status == "sat":
            return answer
        answers.append(answer)
    return next((a for a in answers if a.status != "unsat"), Answer("unsat"))


def _on_branch(
    margin: sp.Expr | None, wanted: str, goal: Goal | None, facts: Facts, branch: Branch, end: float
) -> Answer:
    system = _system(margin, wanted, branch)
    if system is None:
        return Answer("unknown", reason="the claim is too large for the solver")
    used = frozenset(facts.used) if goal is None else goal.symbols
    states = States.of(facts.vocabulary, branch, used)
    query = _Query(system, end)
    status = query.check()
    if status != "sat":
        return Answer(status, reason="z3 gave no answer in its time" if status != "unsat" else "")
    if states.from_vectors:
        reason = "z3 finds a violation of the domain's inequalities, which need not be a network's"
        return Answer("unknown", reason=reason)
    for point in query.points(states):
        full = states.completed(point)
        if full is not None and (goal is None or goal.is_false_at(full)):
            return Answer("sat", full)
    return Answer("unknown", reason="z3 finds a violation, but none in rational numbers")


def _system(margin: sp.Expr | None, wanted: str, branch: Branch) -> _System | None:
    expressions = [c.expression for c in branch.constraints]
    kinds = [c.kind for c in branch.constraints]
    if margin is not None:
        expressions, kinds = [branch.at(margin), *expressions], [wanted, *kinds]
    try:
        generators, lifted = Generators.of(expressions)
    except ClaimError:
        return None
    signs = sorted(generators.nonnegative, key=str)
    ring = ring_of([*lifted, *signs], generators)
    polynomials = [sign_polynomial(e, ring, generators) for e in lifted]
    kinds += [">" if s in generators.positive else ">=" for s in signs]
    polynomials += [ring(s) for s in signs]
    for root, square in generators.squares.items():
        polynomials.append(ring(root) ** 2 - sign_polynomial(square, ring, generators))
        kinds.append("=")
    if sum(map(len, polynomials)) > _MOST_TERMS or not all(map(is_small, polynomials)):
        return None
    positive = [p for p, kind in zip(polynomials, kinds, strict=True) if kind == ">"]
    reduced = reduced_by_scaling(polynomials, positive)
    return _System(tuple(zip(reduced, kinds, strict=True)), generators)


class _Query:
    """One conversation with the solver, within a time."""

    def __init__(self, system: _System, end: float) -> None:
        z3 = optional_part("z3", "deciding polynomial claims")
        self._z3, self._end, self._generators = z3, end, system.generators
        self._context = z3.Context()
        self._solver = z3.Tactic("qfnra-nlsat", ctx=self._context).solver()
        ring = system.conditions[0][0].ring
        self._names = {s: z3.Real(f"x{i}", self._context) for i, s in enumerate(ring.symbols)}
        # Those that a scaling symmetry has set to one are in no condition.
        degrees = [max((p.degree(g) for p, _ in system.conditions), default=0) for g in ring.gens]
        self._used = [s for s, d in zip(ring.symbols, degrees, strict=True) if d > 0]
        for polynomial, kind in system.conditions:
            self._solver.add(self._compared(self._translated(polynomial), kind))

    def _translated(self, polynomial: PolyElement) -> Any:
        variables = list(self._names.values())
        terms = []
        for exponents, number in polynomial.terms():
            term = self._number(Fraction(int(number.numerator), int(number.denominator)))
            for variable, power in zip(variables, exponents, strict=True):
                for _ in range(power):
                    term = term * variable
            terms.append(term)
        return self._z3.Sum(*terms) if len(terms) > 1 else (terms or [self._number(Fraction(0))])[0]

    def _number(self, number: Fraction) -> Any:
        return self._z3.RealVal(str(number), self._context)

    def _compared(self, value: Any, kind: str) -> Any:
        zero = self._number(Fraction(0))
        return {">=": value >= zero, ">": value > zero, "=": value == zero, "<": value < zero,
                "<=": value <= zero, "!=": value != zero}[kind]  # fmt: skip

    def check(self) -> str:
        """Return "sat", "unsat" or "unknown"."""
        left = self._end - time.monotonic()
        if left <= 0:
            return "unknown"
        self._solver.set("timeout", max(1, int(1000 * left)))
        return str(self._solver.check())

    def points(self, states: States) -> Iterator[Point]:
        """Yield a rational solution: numbers are fixed one by one, each as simple as it can be."""
        known: dict[sp.Symbol, Fraction] = {}
        model = self._solver.model()
        for symbol in self._used:
            variable = self._names[symbol]
            value = model.eval(variable, model_completion=True)
            for number in _near(self._z3, value):
                self._solver.push()
                self._solver.add(variable == self._number(number))
                if self.check() == "sat":
                    known[symbol], model = number, self._solver.model()
                    break
                self._solver.pop()
            else:
                return
        yield self._lifted_back(known, states.symbols)

    def _lifted_back(
        self, known: dict[sp.Symbol, Fraction], symbols: Sequence[sp.Symbol]
    ) -> dict[sp.Symbol, Fraction]:
        point = {}
        for symbol in symbols:
            root = self._generators.roots.get(symbol)
            if root is not None:
                point[symbol] = known.get(root, Fraction(1)) ** 2
            else:
                point[symbol] = known.get(symbol, Fraction(1))
            if symbol.name == "n" and point[symbol].denominator != 1:
                point[symbol] = Fraction(1)
        return point


def _near(z3: Any, value: Any) -> list[Fraction]:
    """Return fractions near a solution's coordinate, the simplest first."""
    if not z3.is_rational_value(value):
        value = value.approx(12)
    exact = Fraction(value.numerator_as_long(), value.denominator_as_long())
    rounded = [exact.limit_denominator(k) for k in _ROUNDED]
    return list(dict.fromkeys([*rounded, exact]))
