"""`falsify`: search for a state at which a claim about training is false, or decide it.

The order of work: exact algebra (`verify`), Hypothesis, then z3 for one step; for orbits
induction over the steps, Hypothesis, then descents on the time or margin of violation.
"""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import sympy as sp

from catapult_theory.errors import ClaimError, InputError, UnmetHypotheses
from catapult_theory.rigor.claims.counterexample import (
    Goal,
    can_be_met,
    complexity,
    presented,
    search,
)
from catapult_theory.rigor.claims.matrix_vocabulary import MatrixVocabulary
from catapult_theory.rigor.claims.points import Point
from catapult_theory.rigor.claims.problem import Facts, margin
from catapult_theory.rigor.claims.reading import Claim, read_claim, read_hypotheses
from catapult_theory.rigor.claims.tree import Relation
from catapult_theory.rigor.claims.verify import judged_as_read, verify, vocabulary_of
from catapult_theory.rigor.claims.vocabulary import Vocabulary
from catapult_theory.rigor.falsification import smt
from catapult_theory.rigor.falsification.descent import rational_minima
from catapult_theory.rigor.falsification.drawn_states import Drawing
from catapult_theory.rigor.falsification.orbits import Conditions, Moment, along
from catapult_theory.rigor.falsification.result import Falsification, OrbitCounterexample
from catapult_theory.rigor.falsification.strategies import states
from catapult_theory.rigor.optional_parts import optional_part

METHODS = ("algebra", "hypothesis", "descent", "z3")
_TEMPORAL = re.compile(r"\s*(always|eventually)\s*:", re.IGNORECASE)
_DEFAULT_STEPS = 100
_LONGEST_ORBIT = 10_000
# How often the search asks for a simpler counterexample once it has one.
_SIMPLER = 120


def falsify(
    claim: Any,
    model: Any = None,
    loss: Any = "squared",
    optimizer: Any = "gd",
    where: Any = None,
    steps: int | None = None,
    tries: int = 300,
    seed: int = 0,
    seconds: float = 20.0,
    methods: Sequence[str] = METHODS,
) -> Falsification:
    r"""Search for a state of some network at which a claim is false, or decide the claim.

    A claim about one step is a statement on all states x in the domain that meet the hypotheses:
    its margin m(x) has the sign that it claims. About an orbit it is a statement on all starts:
    at each (``always``), or at one (``eventually``), of the first N steps. The domain, a positive
    semidefinite Gram matrix (theory, section 2), is part of every question.

    Parameters
    ----------
    claim : str or sympy relation
        As `verify` reads it (``"lam_next <= lam"``). With ``steps``, or after ``"always:"``, it is
        a claim on each of the first N steps (a claim without a prime, on states 0 to N); after
        ``"eventually:"``, on at least one of them. Hypotheses are about the start.
    model : Model or UpdateMap, optional
        The uv-model without a label if left out.
    loss, optimizer : str or object
        As for `derive`.
    where : str, sympy relation or sequence, optional
        Hypotheses, with commas between them.
    steps : int, optional
        N; left out, the claim is about one step (100 after ``always:`` and ``eventually:``).
    tries : int
        Starts that Hypothesis draws.
    seed : int
        The same seed draws the same starts.
    seconds : float
        No search begins after this time, and the solver gives up.
    methods : sequence of str
        "algebra" is always used; without "hypothesis", "descent" or "z3" that part is left out.

    Returns
    -------
    Falsification

    Raises
    ------
    ClaimError
        If the text cannot be read; for orbits, if the model has matrices for its state.
    MissingBackend
        If a method needs a package that is not installed.
    InputError
        For numbers of steps, tries or seconds that cannot be.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> uv = ct.derive(ct.models.uv())
    >>> print(falsify("lam_next <= lam", uv, where="eta*lam < 4").status)
    proved
    >>> falsify("b_next > 0", uv, where="b > 0, a < 4").counterexample["f"]
    Fraction(1, 1)
    """
    mode, text = _mode(claim)
    steps = _DEFAULT_STEPS if steps is None and mode else steps
    effort = _Effort(*_checked(steps, tries, seed, seconds, methods))
    if model is None:
        from catapult_theory.symbolic.models import uv

        model = uv()
    vocabulary = vocabulary_of(model, loss, optimizer)
    try:
        if isinstance(vocabulary, MatrixVocabulary):
            return _of_matrices(claim, vocabulary, where, steps)
        read = read_claim(text, vocabulary)
        hypotheses = read_hypotheses(where, vocabulary)
        if steps is None:
            return _OneStep(vocabulary, read, hypotheses, where, effort).result()
        search = _Orbit(vocabulary, read, hypotheses, where, effort, steps, mode or "always")
        return search.result()
    except UnmetHypotheses as cause:
        return Falsification(str(claim), "hypotheses cannot be met", "exact algebra",
                             hint=str(cause))  # fmt: skip


def _mode(claim: Any) -> tuple[str, Any]:
    if not isinstance(claim, str):
        return "", claim
    match = _TEMPORAL.match(claim)
    return (match.group(1).lower(), claim[match.end() :]) if match else ("", claim)


def _checked(
    steps: Any, tries: Any, seed: Any, seconds: Any, methods: Sequence[str]
) -> tuple[int, int, float, tuple[str, ...]]:
    for name, value, least in (("steps", steps, 1), ("tries", tries, 0), ("seed", seed, 0)):
        if name == "steps" and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
    if steps is not None and steps > _LONGEST_ORBIT:
        raise InputError(f"steps={steps}: rigorous orbits are followed up to {_LONGEST_ORBIT}")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise InputError(f"seconds must be positive, got {seconds!r}")
    if unknown := sorted(set(methods) - set(METHODS)):
        raise InputError(f"unknown methods {', '.join(unknown)}: {', '.join(METHODS)}")
    return tries, seed, float(seconds), tuple(methods)


@dataclass(frozen=True)
class _Effort:
    """How much is to be searched, and by what."""

    tries: int
    seed: int
    seconds: float
    methods: tuple[str, ...]


def _of_matrices(
    claim: Any, vocabulary: MatrixVocabulary, where: Any, steps: int | None
) -> Falsification:
    """Hand a claim about matrices to `verify`, which judges single steps."""
    if steps is not None:
        raise ClaimError(
            "claims over orbits are judged for scalar maps; for this one draw states with "
            "ct.testing.matrix_states and use ct.testing.assert_holds_at_every_step"
        )
    verdict = verify(claim, vocabulary.update_map, where=where)
    decided = _from_verdict(verdict)
    if decided is not None:
        return decided
    return Falsification(verdict.claim, "unknown", hypotheses=verdict.hypotheses, hint=verdict.hint)


def _from_verdict(verdict: Any) -> Falsification | None:
    """Return what exact algebra has decided."""
    if verdict.status in ("holds", "holds-under-hypotheses"):
        method = f"exact algebra ({verdict.certificate})"
        return Falsification(verdict.claim, "proved", method, hypotheses=verdict.hypotheses)
    if verdict.counterexample is not None:
        return Falsification(
            verdict.claim, "counterexample", "a search among small numbers",
            verdict.counterexample, verdict.hypotheses, hint=verdict.hint,
        )  # fmt: skip
    return None


@dataclass
class _OneStep:
    """The search about one step of a scalar map."""

    vocabulary: Vocabulary
    claim: Claim
    hypotheses: tuple[Claim, ...]
    where: Any
    effort: _Effort

    def result(self) -> Falsification:
        end = time.monotonic() + self.effort.seconds
        # What the algebra leaves of the time is for the searches.
        limit = 0.6 * self.effort.seconds
        verdict = judged_as_read(self.vocabulary, self.claim, self.hypotheses, limit)
        decided = _from_verdict(verdict)
        if decided is not None:
            return decided
        goals = [_goal(r, self.vocabulary) for r in self.claim.relations]
        if verdict.status == "holds-asymptotically":
            return self._at_finite_width(goals[0], verdict)
        impossible = self._unmet(goals, end)
        if impossible is not None:
            return impossible
        drawn = self._drawn(goals, end)
        if drawn.state is not None:
            point = {self.vocabulary.base[k]: v for k, v in drawn.state.items()}
            return self._counterexample(_violated(goals, point)[0], point, "Hypothesis")
        unfinished = verdict.difference is sp.nan
        hint = (
            "the exact algebra ran out of time: give seconds= more" if unfinished else verdict.hint
        )
        return self._solved(goals, end, hint, drawn)

    def _at_finite_width(self, goal: Goal, verdict: Any) -> Falsification:
        """Return where an equation fails that is right only as the width grows."""
        shown = search(goal, self._facts(goal.symbols)) if verdict.difference != 0 else None
        status = "unknown" if shown is None else "counterexample"
        method = "" if shown is None else "a search among small numbers"
        return Falsification(self.claim.text, status, method, shown, self.texts, hint=verdict.hint)

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(h.text for h in self.hypotheses)

    def _facts(self, symbols: frozenset[sp.Symbol]) -> Facts:
        pairs = tuple((h.text, h.relations) for h in self.hypotheses)
        return Facts(self.vocabulary, pairs, symbols)

    def _unmet(self, goals: Sequence[Goal], end: float) -> Falsification | None:
        """Return a result if no state is known that meets the hypotheses."""
        facts = self._facts(frozenset(s for g in goals for s in g.symbols))
        if not self.hypotheses or can_be_met(facts) or "z3" not in self.effort.methods:
            return None
        answer = smt.can_be_met(facts, max(0.1, end - time.monotonic()))
        if answer.status == "unsat":
            hint = "z3 says that no state of the domain meets them"
            status = "hypotheses cannot be met"
            return Falsification(self.claim.text, status, "z3", None, self.texts, hint=hint)
        if answer.status == "unknown":
            hint = f"no state was found that meets the hypotheses; {answer.reason}"
            return Falsification(self.claim.text, "unknown", "", None, self.texts, hint=hint)
        return None

    def _drawn(self, goals: Sequence[Goal], end: float) -> _Draws:
        if "hypothesis" not in self.effort.methods or not self.effort.tries:
            return _Draws(None, 0)

        def violates(state: dict[str, Fraction]) -> bool:
            point = {self.vocabulary.base[k]: v for k, v in state.items()}
            return bool(_violated(goals, point))

        return _first(self.vocabulary, self.where, violates, self.effort, end)

    def _counterexample(self, goal: Goal, point: Point, method: str) -> Falsification:
        shown = presented(goal, dict(point), self.vocabulary)
        return Falsification(self.claim.text, "counterexample", method, shown, self.texts)

    def _solved(self, goals: Sequence[Goal], end: float, hint: str, drawn: _Draws) -> Falsification:
        hints = "; ".join(filter(None, [drawn.reason, hint]))
        left = Falsification(self.claim.text, "not falsified", "", None, self.texts, drawn.tried,
                             hint=hints)  # fmt: skip
        if "z3" not in self.effort.methods or not all(g.is_algebraic for g in goals):
            return left
        answers = []
        for goal in goals:
            left_time = max(0.05, end - time.monotonic())
            answer = smt.violation(goal, self._facts(goal.symbols), left_time)
            if answer.point is not None:
                return self._counterexample(goal, answer.point, "z3")
            answers.append(answer)
        if all(a.status == "unsat" for a in answers):
            method = "z3 (nlsat: no state of the domain violates it)"
            return Falsification(self.claim.text, "proved", method, None, self.texts)
        reason = next(a.reason for a in answers if a.status != "unsat")
        hints = "; ".join(filter(None, [reason, drawn.reason]))
        return replace(left, status="unknown", hint=hints)


def _violated(goals: Sequence[Goal], point: dict[sp.Symbol, Fraction]) -> list[Goal]:
    """Return the goals that are false at a point, of those that it has all numbers for."""
    return [g for g in goals if g.symbols <= set(point) and g.is_false_at(point)]


def _goal(relation: Relation, vocabulary: Vocabulary) -> Goal:
    expression, kind = margin(relation, vocabulary)
    left, right = vocabulary.resolved(relation.left), vocabulary.resolved(relation.right)
    names = (str(relation.left), relation.sign, str(relation.right))
    return Goal(left, right, expression, kind, names)


@dataclass(frozen=True)
class _Draws:
    """What came of drawing states: the simplest that meets a condition, how many were drawn, and
    why none could be."""

    state: dict[str, Fraction] | None
    tried: int
    reason: str = ""


def _first(
    vocabulary: Vocabulary, where: Any, condition: Any, effort: _Effort, end: float
) -> _Draws:
    """Draw states with Hypothesis until one meets a condition, and simplify that one."""
    hypothesis = optional_part("hypothesis", "ct.falsify")
    found: list[dict[str, Fraction]] = []
    asked, tried, reason = 0, 0, ""

    def holds(state: dict[str, Fraction]) -> bool:
        nonlocal asked, tried
        asked += bool(found)
        if asked > _SIMPLER or time.monotonic() > end:
            return False
        tried += 1
        if not condition(state):
            return False
        found.append(state)
        return True

    wanted = hypothesis.settings(
        max_examples=effort.tries, database=None, deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    errors = hypothesis.errors
    # Flaky: the asking ended while an example was made smaller; the best so far is kept.
    with contextlib.suppress(errors.NoSuchExample, errors.Unsatisfiable, errors.Flaky):
        try:
            strategy = states(_without_carried(vocabulary), where)
        except InputError as cause:
            reason = f"no states were drawn: {cause}"
        else:
            hypothesis.find(strategy, holds, settings=wanted, random=random.Random(effort.seed))
    return _Draws(min(found, key=_complexity, default=None), tried, reason)


def _complexity(state: dict[str, Fraction]) -> float:
    return complexity({sp.Symbol(k): v for k, v in state.items()})


def _without_carried(vocabulary: Vocabulary) -> Any:
    """Return the map without quantities that ride along and that its state does not need."""
    carried = set(vocabulary.carried)
    if not carried:
        return vocabulary.update_map
    update_map = vocabulary.update_map
    kept = tuple(s for s in update_map.variables if s.name not in carried)
    riding = {s: update_map.updates[s] for s in update_map.variables if s.name in carried}
    return replace(
        update_map,
        variables=kept,
        updates={s: update_map.updates[s] for s in kept},
        carried={**update_map.carried, **riding},
    )


@dataclass
class _Orbit(_OneStep):
    """The search about the first steps of an orbit."""

    steps: int
    mode: str

    def result(self) -> Falsification:
        end = time.monotonic() + self.effort.seconds
        if self.mode == "always":
            one = self._one_step(self.claim, end)
            if one.counterexample is not None:
                return self._at_the_start(one)
            if one.status == "proved" and self._keep_holding(end):
                return replace(one, method=f"induction over the steps; each by {one.method}",
                               hypotheses=self.texts, steps=self.steps)  # fmt: skip
        goals = [_goal(r, self.vocabulary) for r in self.claim.relations]
        impossible = self._unmet(goals, end)
        if impossible is not None:
            return impossible
        drawing = Drawing.of(_without_carried(self.vocabulary), self.where)
        conditions = Conditions.of(self.claim, self.vocabulary)
        if extra := conditions.symbols - set(drawing.symbols):
            names = ", ".join(sorted(s.name for s in extra))
            raise ClaimError(f"{names} is not in the state: give the map with_observables(...)")
        return self._searched(drawing, conditions, end)

    def _searched(self, drawing: Drawing, conditions: Conditions, end: float) -> Falsification:
        symbols = {s.name: s for s in drawing.symbols}
        updates = drawing.update_map.updates
        tried = 0

        def violates(state: dict[str, Fraction]) -> bool:
            nonlocal tried
            tried += 1
            point = {symbols[k]: v for k, v in state.items()}
            return self._violation(conditions, updates, point) is not None

        for start in self._one_step_later(drawing, end):
            if self._violation(conditions, updates, start) is not None:
                return self._found(conditions, updates, start, "a search among small numbers")
        if "hypothesis" in self.effort.methods and self.effort.tries:
            middle = end - self.effort.seconds / 2
            drawn = _first(self.vocabulary, self.where, violates, self.effort, middle)
            if drawn.state is not None:
                point = {symbols[k]: v for k, v in drawn.state.items()}
                return self._found(conditions, updates, point, "Hypothesis")
        if "descent" in self.effort.methods:
            starts = rational_minima(drawing, conditions, self.steps, self.mode, self.effort.seed,
                                     end)  # fmt: skip
            for point in starts:
                tried += 1
                if self._violation(conditions, updates, point) is not None:
                    return self._found(conditions, updates, point, "descent on the margin")
        return Falsification(self.claim.text, "not falsified", "", None, self.texts, tried,
                             steps=self.steps)  # fmt: skip

    def _one_step_later(self, drawing: Drawing, end: float) -> list[Point]:
        """Return a start after which a claim on a single state fails at once, if there is one."""
        if self.mode != "always" or Conditions.of(self.claim, self.vocabulary).is_step:
            return []
        found = self._one_step(_primed(self.claim, self.vocabulary), end).counterexample
        if found is None or set(found) < {s.name for s in drawing.symbols}:
            return []
        return [{s: found[s.name] for s in drawing.symbols}]

    def _violation(self, conditions: Conditions, updates: Any, point: Point) -> Moment | None:
        if self.mode == "always":
            moments = along(conditions, updates, point, self.steps)
            return next((m for m in moments if m.holds is False), None)
        last = None
        for moment in along(conditions, updates, point, self.steps):
            if moment.holds is not False:
                return None
            last = moment
        count = conditions.moments(self.steps)
        return last if last is not None and (last.rests or last.step == count - 1) else None

    def _found(
        self, conditions: Conditions, updates: Any, point: Point, method: str
    ) -> Falsification:
        moment = self._violation(conditions, updates, point)
        if moment is None:
            raise InputError("a violation that was found could not be found again")
        numbers = {s.name: v for s, v in point.items()}
        shown = OrbitCounterexample(numbers, moment.step, moment.exact, moment.rests)
        return Falsification(self.claim.text, "counterexample", method, shown, self.texts,
                             steps=self.steps)  # fmt: skip

    def _at_the_start(self, one: Falsification) -> Falsification:
        """Return a state that violates the claim by itself as the start of an orbit."""
        shown = OrbitCounterexample(dict(one.counterexample), 0, True, False)
        return replace(one, counterexample=shown, steps=self.steps,
                       hint=str(one.counterexample))  # fmt: skip

    def _keep_holding(self, end: float) -> bool:
        """Return whether the hypotheses are seen to hold after a step where they do before."""
        constants = set(self.vocabulary.update_map.constants)
        for hypothesis in self.hypotheses:
            sides = [e for r in hypothesis.relations for e in (r.left, r.right)]
            names = {s for e in sides for s in e.free_symbols}
            if any(s.name.endswith("'") for s in names):
                return False
            if names - constants:
                later = _primed(hypothesis, self.vocabulary)
                if self._one_step(later, end).status != "proved":
                    return False
        return True

    def _one_step(self, claim: Claim, end: float) -> Falsification:
        own = tuple(m for m in self.effort.methods if m != "hypothesis")
        left = max(0.1, (end - time.monotonic()) / 4)
        effort = _Effort(0, self.effort.seed, left, own)
        return _OneStep(self.vocabulary, claim, self.hypotheses, self.where, effort).result()


def _primed(hypothesis: Claim, vocabulary: Vocabulary) -> Claim:
    relations = tuple(
        Relation(vocabulary.primed(r.left), r.sign, vocabulary.primed(r.right))
        for r in hypothesis.relations
    )
    return Claim(f"{hypothesis.text}, after the step", relations)
