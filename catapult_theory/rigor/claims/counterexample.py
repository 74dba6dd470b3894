"""The search for a state at which a claim is false, and its presentation.

Sample points are screened in float64 and judged exactly; near misses are followed downhill
on the margin. Of all violations found the one in the smallest numbers is kept, and its
numbers are made smaller still as long as the claim stays false.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp
from scipy.optimize import minimize

from catapult_theory.rigor.claims.points import (
    Irrational,
    Undefined,
    arrays,
    plain_float,
    sign,
    value,
)
from catapult_theory.rigor.claims.problem import Facts
from catapult_theory.rigor.claims.states import Point, States
from catapult_theory.rigor.claims.vocabulary import Vocabulary

_JUDGED = 200
_JUDGED_IRRATIONAL = 40
_DESCENTS = 12
# Nodes of expressions that all descents together may compute.
_EVALUATED = 200_000
_SHRINKS = 120


@dataclass(frozen=True, eq=False)
class Counterexample(Mapping[str, Fraction]):
    """A state and parameters, in exact numbers, at which a claim is false.

    It reads like a dictionary from names to fractions.

    Parameters
    ----------
    numbers : mapping from names to Fraction, or to SymPy matrices
    relation : tuple of str
        Left side, sign and right side of the link of the claim that fails.
    left, right : Fraction or sympy.Expr
        The values of its two sides; SymPy numbers where they are irrational, matrices where the
        sides are.
    after : mapping from names to numbers
        The state variables after the step, where the claim speaks of them.
    """

    numbers: Mapping[str, Fraction]
    relation: tuple[str, str, str]
    left: Any
    right: Any
    after: Mapping[str, Any]

    def __getitem__(self, name: str) -> Fraction:
        return self.numbers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def __hash__(self) -> int:
        return hash((frozenset(self.numbers.items()), self.relation))

    def __str__(self) -> str:
        state = ", ".join(f"{k} = {_matrix_text(v)}" for k, v in self.numbers.items())
        later = "".join(f", {k}' = {_shown(v)}" for k, v in self.after.items())
        left, link, right = self.relation
        return (
            f"at {state}{later}: {left} is {_shown(self.left)}, {right} is {_shown(self.right)}, "
            f"so that {left} {link} {right} is false"
        )


@dataclass(frozen=True, eq=False)
class Meaningless(Counterexample):
    """Sizes at which a claim about matrices means nothing, with the reason."""

    reason: str = ""

    def __str__(self) -> str:
        sizes = ", ".join(f"{k} = {v}" for k, v in self.numbers.items())
        return f"at {sizes or 'all sizes'}: {self.reason}"


def _shown(number: Any) -> str:
    text = _matrix_text(number) if getattr(number, "shape", ()) else str(number)
    if getattr(number, "shape", ()):
        return text
    if isinstance(number, Fraction):
        return (
            text if len(text) <= 40 else f"{float(number):.10g} (a fraction of {len(text)} digits)"
        )
    decimal = sp.N(number, 12)
    return f"{text} = {decimal}" if len(text) <= 60 else f"{decimal}"


def _matrix_text(value: Any) -> str:
    """Return a number, or a matrix as its rows."""
    return str(value.tolist()) if getattr(value, "shape", ()) else str(value)


@dataclass(frozen=True)
class Goal:
    """What would be a violation: a margin that is negative, not positive, or not zero.

    Parameters
    ----------
    left, right : sympy.Expr
        In state variables and parameters.
    margin : sympy.Expr
    kind : str
        ">=", ">" or "=": how the claim compares the margin with zero.
    names : tuple of str
        The sides and the sign as text.
    divisors : tuple of sympy.Expr
        What the claim divides by: where it vanishes nothing is claimed.
    """

    left: sp.Expr
    right: sp.Expr
    margin: sp.Expr
    kind: str
    names: tuple[str, str, str]
    divisors: tuple[sp.Expr, ...] = ()

    @property
    def symbols(self) -> frozenset[sp.Symbol]:
        """The state variables and parameters that the claim speaks of."""
        return frozenset(self.left.free_symbols | self.right.free_symbols)

    @property
    def is_algebraic(self) -> bool:
        """Whether no exponential or logarithm has to be computed to many digits."""
        return not self.margin.atoms(sp.exp, sp.log, sp.tanh)

    def expressions(self, states: States) -> list[sp.Expr]:
        """Return all that is computed at each point of a search."""
        return [self.left, self.right, self.margin, *(c.expression for c in states.checked)]

    def is_false_at(self, point: Point) -> bool:
        """Return whether the claim is false at a point, judged exactly."""
        try:
            found = sign(self.margin, point)
        except (Irrational, Undefined):
            return False
        if found is None:
            return False
        return found != 0 if self.kind == "=" else found < 0 or (found == 0 and self.kind == ">")


def search(goal: Goal, facts: Facts, effort: int = 2) -> Counterexample | None:
    """Return a state at which a claim is false while all facts hold, or None.

    Parameters
    ----------
    goal : Goal
    facts : Facts
    effort : int
        1 for a grid alone, 2 for random draws and descents too.

    Returns
    -------
    Counterexample or None
        None means that none was found, which proves nothing.
    """
    for branch in facts.branches:
        states = States.of(facts.vocabulary, branch, goal.symbols)
        point = _search(goal, states, effort)
        if point is not None:
            small = states.completed(_shrunk(goal, states, point))
            return presented(goal, small or point, facts.vocabulary)
    return None


def can_be_met(facts: Facts) -> bool:
    """Return whether a state was found that meets the domain and all hypotheses."""
    for branch in facts.branches:
        states = States.of(facts.vocabulary, branch, facts.used)
        for batch in states.batches():
            kept = [p for p, inside in zip(batch, states.inside(batch), strict=True) if inside]
            if any(states.completed(p) for p in kept[:_JUDGED]):
                return True
    return False


def _search(goal: Goal, states: States, effort: int) -> Point | None:
    margins: list[tuple[float, Point]] = []
    for batch in itertools.islice(states.batches(), None if effort > 1 else 2):
        if not batch:
            continue
        keep = states.inside(batch)
        values = _margins(goal, states, batch)
        false = keep & _looks_false(values, goal.kind)
        candidates = sorted((batch[i] for i in np.flatnonzero(false)), key=complexity)
        for point in candidates[: _JUDGED if goal.is_algebraic else _JUDGED_IRRATIONAL]:
            full = states.completed(point)
            if full is not None and goal.is_false_at(full):
                return point
        near = np.flatnonzero(keep & np.isfinite(values))
        margins += [(values[i], batch[i]) for i in near[np.argsort(values[near])[:_DESCENTS]]]
    if effort < 2 or goal.kind == "=" or states.from_vectors:
        return None
    margins.sort(key=lambda pair: (pair[0] == 0, pair[0]))
    return _descend(goal, states, [p for _, p in margins[:_DESCENTS]])


def _margins(goal: Goal, states: States, points: list[Point]) -> np.ndarray:
    """Return margins in units of the two sides."""
    columns = states.columns(points)
    left, right = arrays(goal.left, columns), arrays(goal.right, columns)
    with np.errstate(all="ignore"):
        scaled = arrays(goal.margin, columns) / (1e-300 + abs(left) + abs(right))
    return np.broadcast_to(scaled, (len(points),))


def _looks_false(values: np.ndarray, kind: str) -> np.ndarray:
    if kind == "=":
        # Not finite: too large for float64, and for the exact judgement to say.
        return ~(abs(values) <= 1e-9)
    return values < (1e-13 if kind == ">" else -1e-13)


def complexity(point: Mapping[sp.Symbol, Fraction]) -> float:
    """Return how hard a point's numbers are to compute with by hand."""
    return sum(
        math.log2(1 + abs(v.numerator)) + 2 * math.log2(v.denominator) + (v < 0)
        for v in point.values()
    )


def _descend(goal: Goal, states: States, starts: list[Point]) -> Point | None:
    """Follow the margin downhill from near misses, then round to small fractions."""
    nodes = sum(1 for e in goal.expressions(states) for _ in sp.preorder_traversal(e))
    evaluations = _EVALUATED // (nodes * max(len(starts), 1))
    for start in starts if evaluations >= 40 else ():
        moving = [s for s in start if s.name != "n"]
        if not moving:
            return None

        def height(x: np.ndarray, start: Point = start, moving: list[sp.Symbol] = moving) -> float:
            trial = {s: np.array([plain_float(v)]) for s, v in start.items()}
            trial |= {s: np.array([v]) for s, v in zip(moving, x, strict=True)}
            return _height(goal, states, trial)

        origin = [plain_float(start[s]) for s in moving]
        found = minimize(
            height, origin, method="Nelder-Mead", options={"maxfev": min(evaluations, 400)}
        )
        for bottom in (8, 60, 1000, 10**6):
            point = dict(start)
            point |= {s: Fraction(float(x)).limit_denominator(bottom)
                      for s, x in zip(moving, found.x, strict=True) if np.isfinite(x)}  # fmt: skip
            full = states.completed(point)
            if full is not None and goal.is_false_at(full):
                return point
    return None


def _height(goal: Goal, states: States, columns: dict[sp.Symbol, np.ndarray]) -> float:
    columns = columns | {
        s: arrays(e, columns) * np.ones(1) for s, e in states.branch.solved.items()
    }
    with np.errstate(all="ignore"):
        sides = abs(arrays(goal.left, columns)) + abs(arrays(goal.right, columns))
        total = arrays(goal.margin, columns) / (1e-12 + sides)
        for constraint in states.checked:
            total = total + 10 * np.maximum(0, -arrays(constraint.expression, columns))
    value = float(np.ravel(total)[0])
    return value if np.isfinite(value) else 1e9


def _shrunk(goal: Goal, states: States, point: Point) -> Point:
    """Replace numbers by simpler ones as long as the claim stays false."""
    if states.from_vectors:
        return point
    left = _SHRINKS
    improved = True
    while improved and left > 0:
        improved = False
        for symbol in point:
            for number in _simpler(point[symbol], symbol):
                left -= 1
                trial = {**point, symbol: number}
                full = states.completed(trial) if complexity(trial) < complexity(point) else None
                if full is not None and goal.is_false_at(full):
                    point, improved = trial, True
                    break
    return point


def _simpler(number: Fraction, symbol: sp.Symbol) -> list[Fraction]:
    if symbol.name == "n":
        return [Fraction(k) for k in (1, 4, 9, 100) if k < number]
    rounded = [number.limit_denominator(k) for k in (1, 2, 3, 4, 10)]
    return [Fraction(1), Fraction(2), *rounded]


def presented(goal: Goal, point: Point, vocabulary: Vocabulary) -> Counterexample:
    """Return a violation as a reader checks it: the point, both sides, the state afterwards."""
    order = [*vocabulary.update_map.variables, *vocabulary.update_map.constants]
    full = dict(point)
    later = [s for s in vocabulary.update_map.variables if f"{s.name}'" in " ".join(goal.names)]
    after = {}
    for s in later:
        image = vocabulary.after(s)
        if image.free_symbols <= set(full):
            after[s.name] = value(image, full)
    return Counterexample(
        {s.name: full[s] for s in order if s in full},
        goal.names,
        value(goal.left, full),
        value(goal.right, full),
        after,
    )
