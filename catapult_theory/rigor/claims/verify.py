"""`verify`: is this equation or inequality about one step of training right?

The order of work: exact identity; exact under hypotheses; a counterexample; then, for an
equation that a counterexample refutes, whether it is right at leading order in 1/n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import sympy as sp

from catapult_theory.errors import ClaimError, UnmetHypotheses
from catapult_theory.rigor.claims.counterexample import Counterexample, Goal, can_be_met, search
from catapult_theory.rigor.claims.deadline import SECONDS, OutOfTime, within
from catapult_theory.rigor.claims.identities import Difference, relative_order, vanishes
from catapult_theory.rigor.claims.inequalities import certificate
from catapult_theory.rigor.claims.matrix_reading import (
    read_matrix_claim,
    read_matrix_hypotheses,
    read_matrix_scaling,
)
from catapult_theory.rigor.claims.matrix_verify import MatrixJudge
from catapult_theory.rigor.claims.matrix_vocabulary import MatrixVocabulary
from catapult_theory.rigor.claims.near_misses import Mended, mended
from catapult_theory.rigor.claims.orders import leaves_domain, order_of
from catapult_theory.rigor.claims.positivity import WORK, Budget
from catapult_theory.rigor.claims.problem import Facts, margin
from catapult_theory.rigor.claims.reading import (
    Claim,
    Scaling,
    read_claim,
    read_hypotheses,
    read_scaling,
)
from catapult_theory.rigor.claims.screens import ScalarScreen
from catapult_theory.rigor.claims.size import size_of
from catapult_theory.rigor.claims.tree import Relation
from catapult_theory.rigor.claims.verdict import UNMET, Verdict, power_text
from catapult_theory.rigor.claims.vocabulary import Vocabulary
from catapult_theory.symbolic.update_map import UpdateMap

_UNDECIDED = (
    "no counterexample was found, and the exact methods tried (factoring, Bernstein "
    "coefficients, real roots, discriminants) do not decide it; ct.falsify searches longer and "
    "asks an SMT solver"
)
_UNTOLD = (
    "the difference could neither be brought to zero nor be told from zero at the states tried"
)


def verify(
    claim: Any,
    model: Any,
    loss: Any = "squared",
    optimizer: Any = "gd",
    where: Any = None,
    scaling: Any = None,
    timeout: float | None = SECONDS,
) -> Verdict:
    r"""Judge an equation or an inequality about one step of training of a scalar model.

    The claim is compared with the update that `derive` finds for the model. With D the
    difference of the two sides of an equation, expanded over the rationals in the state
    (x, parameters, and roots and exponentials as further symbols): D = 0 identically is a
    proof; otherwise a rational state with D != 0 refutes, and the claim is asymptotic if
    D = o(leading terms) as n grows, under the scaling.

    Parameters
    ----------
    claim : str or sympy relation
        Plain text (``"lam' = lam + eta*f**2/n*(eta*lam - 4)"``; ``f_next``, ``^``, Greek
        letters and products without a sign are read), LaTeX as in the paper
        (``r"f_{t+1} = (1 - \eta\lambda_t) f_t"``), ``"conserved: EXPR"``, a chain of
        inequalities (``"0 <= a' <= a"``), or a SymPy Eq or inequality. A prime marks the
        value after the step. Names are those of theory, section 1: the state and the
        parameters of the map, its observables (``loss``, ``sharpness``, ...), ``Delta``, and
        a = eta*lam, b = eta^2 f^2/n, q, kappa, p, g = dl/df.
    model : Model or UpdateMap
        With an update map, ``loss`` and ``optimizer`` are not used.
    loss, optimizer : str or object
        As for `derive`.
    where : str, sympy relation or sequence, optional
        Hypotheses, with commas between them: ``"y = 0, eta*lam < 4"``. The domain of the map
        always counts, and so do the signs of its symbols.
    scaling : str or mapping, optional
        Growth with n of what is not O(1): ``"f = O(sqrt(n))"`` or ``{"f": 1/2}``.
    timeout : float or None
        Seconds after which the work is stopped, and the verdict is "not-checked".

    Returns
    -------
    Verdict

    Raises
    ------
    ClaimError
        If the text cannot be read, is too large, or its hypotheses contradict each other.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> uv = ct.derive(ct.models.uv(label=True))
    >>> verify("lam' = lam + eta*f**2/n*(eta*lam - 4)", uv, where="y = 0").status
    'holds-under-hypotheses'
    >>> verify("lam' <= lam", uv, where="y = 0, eta*lam < 5").counterexample["eta"] > 0
    True
    """
    return verdict_of(claim, vocabulary_of(model, loss, optimizer), where, scaling, timeout)


def verdict_of(
    claim: Any,
    vocabulary: Vocabulary | MatrixVocabulary,
    where: Any,
    scaling: Any,
    timeout: float | None,
) -> Verdict:
    """Return the verdict on a claim about a map whose names are known; else as `verify`."""
    try:
        judge = within(timeout, lambda: _judge(claim, vocabulary, where, scaling))
    except OutOfTime as cause:
        raise ClaimError(f"reading the claim took longer than {timeout} s: shorten it") from cause
    return _judged(judge, timeout)


def _judged(judge: _Judge | MatrixJudge, timeout: float | None) -> Verdict:
    """Return a judge's verdict, or "not-checked" when its time is up."""
    try:
        return within(timeout, judge.verdict)
    except OutOfTime:
        return _unfinished(judge, timeout)


def _judge(claim: Any, vocabulary: Any, where: Any, scaling: Any) -> _Judge | MatrixJudge:
    """Read a claim about a map of either kind."""
    if isinstance(vocabulary, MatrixVocabulary):
        return MatrixJudge(
            vocabulary,
            read_matrix_claim(claim, vocabulary),
            read_matrix_hypotheses(where, vocabulary),
            read_matrix_scaling(scaling, vocabulary),
        )
    return _Judge(
        vocabulary,
        read_claim(claim, vocabulary),
        read_hypotheses(where, vocabulary),
        read_scaling(scaling, vocabulary),
    )


def _unfinished(judge: _Judge | MatrixJudge, timeout: float | None) -> Verdict:
    """Return the verdict on a claim whose time was up."""
    return Verdict(
        claim=judge.claim.text,
        status="not-checked",
        difference=sp.nan,
        scaling=judge.scaling_words(),
        hypotheses=tuple(h.text for h in judge.hypotheses),
        hint=f"stopped after {timeout:g} s: give timeout= more, or None for no bound",
        kind="equation" if judge.claim.is_equation else "inequality",
    )


def judged_as_read(
    vocabulary: Vocabulary, claim: Claim, hypotheses: tuple[Claim, ...], timeout: float | None
) -> Verdict:
    """Return the verdict on a claim about a scalar map that has been read already."""
    judge = _Judge(vocabulary, claim, hypotheses, read_scaling(None, vocabulary))
    return _judged(judge, timeout)


def vocabulary_of(model: Any, loss: Any, optimizer: Any) -> Vocabulary | MatrixVocabulary:
    """Return the names of a model's map, or of a map."""
    if isinstance(model, UpdateMap):
        return MatrixVocabulary.of(model) if model.is_matrix else Vocabulary.of(model)
    from catapult_theory.symbolic.closure import derive

    label = getattr(model, "label", None)
    number = label if isinstance(label, sp.Expr) and label.is_Rational else None
    update_map = derive(model, loss=loss, optimizer=optimizer)
    if update_map.is_matrix:
        return MatrixVocabulary.of(update_map)
    return Vocabulary.of(update_map, number)


@dataclass(frozen=True)
class _Found:
    """What was found about one relation of a claim."""

    status: str
    difference: sp.Expr
    hypotheses: tuple[str, ...] = ()
    counterexample: Counterexample | None = None
    order: Fraction | None = None
    hint: str = ""
    certificate: str = ""
    mended: str = ""


@dataclass(frozen=True)
class _Judge:
    vocabulary: Vocabulary
    claim: Claim
    hypotheses: tuple[Claim, ...]
    scaling: Scaling
    budget: Budget = field(default_factory=Budget)

    def verdict(self) -> Verdict:
        found = [self._judge(relation) for relation in self.claim.relations]
        worst = max(found, key=lambda f: _RANK[f.status])
        hypotheses = tuple(dict.fromkeys(h for f in found for h in f.hypotheses))
        certificates = tuple(dict.fromkeys(f.certificate for f in found if f.certificate))
        order = worst.order
        return Verdict(
            claim=self.claim.text,
            status=worst.status,
            difference=worst.difference,
            scaling=self.scaling_words(),
            counterexample=worst.counterexample,
            hypotheses=hypotheses,
            order=int(order) if order is not None and order.denominator == 1 else order,
            hint=worst.hint,
            certificate="; ".join(certificates) if worst.status.startswith("holds") else "",
            mended=worst.mended,
            kind="equation" if self.claim.is_equation else "inequality",
        )

    def scaling_words(self) -> str:
        """Return how state and parameters grow with n, in words."""
        return self.scaling.words(self.vocabulary)

    def _judge(self, relation: Relation) -> _Found:
        expression, kind = margin(relation, self.vocabulary)
        size_of(expression, {}).check("")
        goal = Goal(
            self.vocabulary.resolved(relation.left),
            self.vocabulary.resolved(relation.right),
            expression,
            kind,
            (str(relation.left), relation.sign, str(relation.right)),
            relation.divisors,
        )
        self._refuse_division(goal)
        facts = self._facts(goal, self.hypotheses)
        met = not self.hypotheses or can_be_met(facts)
        if not met:
            self._refuse_contradictions(goal, facts)
        if relation.is_equation:
            found = self._equation(relation, goal, facts)
        else:
            found = self._inequality(relation, goal, facts)
        if not met and found.status in ("holds-under-hypotheses", "not-checked"):
            return _Found("not-checked", found.difference, found.hypotheses, hint=UNMET)
        return found

    def _refuse_division(self, goal: Goal) -> None:
        """Refuse a claim that the hypotheses make one about a division by zero."""
        pairs = tuple((h.text, h.relations) for h in self.hypotheses)
        branches = Facts(self.vocabulary, pairs, goal.symbols, self.budget).branches
        for divisor in goal.divisors:
            value = self.vocabulary.resolved(divisor)
            if branches and all(Difference.of(b.at(value)).is_zero for b in branches):
                raise ClaimError("under the hypotheses the claim divides by zero: multiply it out")

    def _refuse_contradictions(self, goal: Goal, facts: Facts) -> None:
        """Refuse hypotheses that are seen to contradict each other or the domain."""
        refuted = [h for h in self.hypotheses if self._is_refuted(h, goal)]
        if refuted or not facts.branches:
            names = ", ".join(h.text for h in refuted or self.hypotheses)
            raise UnmetHypotheses(
                f"the hypotheses cannot be met: {names} contradicts the others, the domain or "
                "the label of the model"
            )

    def _is_refuted(self, hypothesis: Claim, goal: Goal) -> bool:
        others = self._facts(goal, [h for h in self.hypotheses if h is not hypothesis])
        for relation in hypothesis.relations:
            expression, kind = margin(relation, self.vocabulary)
            if kind == "=":
                if expression.is_number and expression != 0:
                    return True
            elif certificate(-expression, kind == ">=", others):
                return True
        return False

    def _facts(self, goal: Goal, hypotheses: Sequence[Claim]) -> Facts:
        pairs = [(h.text, h.relations) for h in hypotheses]
        for d in goal.divisors:
            base = d if self.vocabulary.resolved(d).is_nonnegative else d**2
            pairs.append((f"{d} is divided by", (Relation(base, ">", sp.S.Zero),)))
        return Facts(self.vocabulary, tuple(pairs), goal.symbols, self.budget)

    def _fewest(
        self, proof: Callable[[Facts], str | None], goal: Goal, reason: str
    ) -> tuple[tuple[Claim, ...], str]:
        """Return the hypotheses that a proof cannot do without, dropped one by one, and it."""
        kept = self.hypotheses
        for hypothesis in self.hypotheses:
            fewer = tuple(h for h in kept if h is not hypothesis)
            if found := proof(self._facts(goal, fewer)):
                kept, reason = fewer, found
        return kept, reason

    def _proved(
        self, proof: Callable[[Facts], str | None], goal: Goal, facts: Facts, difference: sp.Expr
    ) -> _Found | None:
        """Return what holds without hypotheses, or with those that are needed.

        The work for what may not be needed is counted apart: a proof that fails without the
        hypotheses must not use up what the proof with them takes.
        """
        apart = replace(self, budget=Budget(WORK // 2))
        if not self.hypotheses:
            reason = proof(facts)
            return _Found("holds", difference, certificate=reason) if reason else None
        if reason := proof(facts):
            needed, reason = apart._fewest(proof, goal, reason)
        elif reason := proof(apart._facts(goal, ())):
            needed = ()
        else:
            return None
        if not needed:
            hint = "the hypotheses are not needed"
            return _Found("holds", difference, hint=hint, certificate=reason)
        return _Found(
            "holds-under-hypotheses", difference, tuple(h.text for h in needed), certificate=reason
        )

    # Equations

    def _equation(self, relation: Relation, goal: Goal, facts: Facts) -> _Found:
        turned = _is_primed(relation.right) and not _is_primed(relation.left)
        claimed = goal.margin if turned else -goal.margin
        plain = Difference.of(claimed)
        if plain.is_zero:
            return self._exact()
        shown = plain.as_expr()
        if proved := self._proved(lambda f: vanishes(goal.margin, f), goal, facts, shown):
            return proved
        branch = facts.branches[0]
        if branch.solved:
            shown = Difference.of(branch.at(claimed)).as_expr()
        counterexample = search(goal, facts)
        texts = tuple(h.text for h in self.hypotheses)
        if counterexample is None:
            return _Found("not-checked", shown, texts, hint=_UNTOLD)
        exact = self._true_equation(relation)
        self._check_scaling(facts)
        # Where the equation is exact there is no error to compare.
        wrong = [b for b in facts.branches if not Difference.of(b.at(goal.margin)).is_zero]
        orders = [relative_order(relation, facts, b, self.scaling) for b in wrong]
        if any(o is None for o in orders):
            hint = f"false at finite width; its order in 1/n could not be read off; {exact}"
            return _Found("not-checked", shown, texts, counterexample, hint=hint.strip("; "))
        order = min(o for o in orders if o is not None)
        near = self._near_miss(facts)
        exact = "; ".join(filter(None, [str(near) if near else "", exact]))
        claim = near.claim if near else ""
        if order > 0:
            found = self._asymptotic(relation, goal, shown, order, exact)
            return replace(found, mended=claim)
        hint = " ".join(filter(None, [self._true_where(goal), exact]))
        return _Found("fails", shown, texts, counterexample, hint=hint, mended=claim)

    def _near_miss(self, facts: Facts) -> Mended | None:
        """Return the small change that mends an equation."""
        source = self.claim.source
        if source is None:
            return None
        screen = ScalarScreen(self.vocabulary, source, facts)
        return mended(source.tree(), self.vocabulary.known, False, screen)

    def _exact(self) -> _Found:
        order = self.vocabulary.update_map.exactness.order
        zero, reason = sp.S.Zero, "expansion to zero over the rationals"
        if order is not None:
            hint = "equal to the truncated map, which itself holds up to this order"
            return _Found("holds-asymptotically", zero, (), order=Fraction(order), hint=hint)
        hint = "the hypotheses are not needed" if self.hypotheses else ""
        return _Found("holds", zero, hint=hint, certificate=reason)

    def _asymptotic(
        self, relation: Relation, goal: Goal, shown: sp.Expr, order: Fraction, exact: str
    ) -> _Found:
        plain = self._facts(goal, ())
        alone = relative_order(relation, plain, plain.branches[0], self.scaling)
        needed = () if alone is not None and alone >= order else self.hypotheses
        hint = f"right up to O({power_text(order)}) beside its leading terms"
        if self._claims_order(relation, goal, order):
            hint += ", but its own terms of that order are wrong"
        hint = "; ".join(filter(None, [hint, exact]))
        return _Found(
            "holds-asymptotically", shown, tuple(h.text for h in needed), order=order, hint=hint
        )

    def _claims_order(self, relation: Relation, goal: Goal, order: Fraction) -> bool:
        """Return whether the claimed side has terms of the order of the error."""
        side = goal.left if _is_primed(relation.right) else goal.right
        terms = sp.Add.make_args(sp.expand(side))
        if len(terms) > 40 or not terms:
            return False
        found = [order_of(t, self.scaling) for t in terms]
        known = [o for o in found if o is not None]
        return bool(known) and max(known) - order in known

    def _true_equation(self, relation: Relation) -> str:
        """Return the exact equation for the quantity that the claim is about."""
        for side in (relation.left, relation.right):
            if side.is_Symbol and _is_primed(side):
                state = self.vocabulary.base.get(side.name[:-1])
                if state in self.vocabulary.update_map.updates:
                    true = self.vocabulary.update_map.updates[state]
                else:
                    true = Difference.of(self.vocabulary.value(side)).as_expr()
                return f"the exact equation is {side.name} = {true}"
        return ""

    def _true_where(self, goal: Goal) -> str:
        """Return the simplest special case in which a false equation is right."""
        for name in ("y", "omega", "beta", "Delta"):
            symbol = self.vocabulary.base.get(name)
            if symbol in goal.margin.free_symbols:
                special = goal.margin.xreplace({symbol: sp.S.Zero})
                if not special.has(sp.zoo, sp.nan, sp.oo) and Difference.of(special).is_zero:
                    return f"it is right for {name} = 0;"
        return ""

    def _check_scaling(self, facts: Facts) -> None:
        """Refuse a scaling that leaves the domain as the width grows."""
        small = set(self.vocabulary.update_map.constants)
        small |= {s for name, s in self.vocabulary.base.items() if name in ("f", "lam")}
        domain = [c.expression for c in facts.constraints if c.source == "domain"]
        domain = [e for e in domain if len(e.free_symbols) > 1 and e.free_symbols <= small]
        if domain and leaves_domain(domain, self.scaling):
            raise ClaimError(
                f"the scaling {self.scaling.words(self.vocabulary)} leaves the domain as n grows: "
                f"no state has {' and '.join(f'{e} >= 0' for e in domain)}"
            )

    # Inequalities

    def _inequality(self, relation: Relation, goal: Goal, facts: Facts) -> _Found:
        difference = Difference.of(goal.margin)
        shown = difference.as_expr()
        strict = goal.kind == ">"
        if difference.is_zero and not strict:
            return self._exact()
        texts = tuple(h.text for h in self.hypotheses)
        if counterexample := search(goal, facts, effort=1):
            return self._false(goal, shown, texts, counterexample)
        if proved := self._proved(
            lambda f: certificate(goal.margin, strict, f), goal, facts, shown
        ):
            return proved
        if counterexample := search(goal, facts):
            return self._false(goal, shown, texts, counterexample)
        if reason := self._proof_of_all_states(relation):
            return _Found("holds", shown, certificate=reason)
        return _Found("not-checked", shown, texts, hint=_UNDECIDED)

    def _proof_of_all_states(self, relation: Relation) -> str | None:
        """Return how a relation after the step alone is seen to hold of any state.

        A step leads from a network to a network, so that what holds of all holds after it.
        """
        if self.vocabulary.update_map.exactness.order is not None:
            return None
        table = {}
        for s in relation.left.free_symbols | relation.right.free_symbols:
            name = s.name.rstrip("'")
            if name != s.name:
                table[s] = self.vocabulary.symbol(name)
            elif s not in self.vocabulary.update_map.constants:
                return None
        if not table:
            return None
        sides = (side.xreplace(table) for side in (relation.left, relation.right))
        divisors = tuple(d.xreplace(table) for d in relation.divisors)
        earlier = Relation(next(sides), relation.sign, next(sides), divisors)
        own = replace(self, hypotheses=(), budget=Budget())
        found = own._judge(earlier)
        return f"of every state: {found.certificate}" if found.status == "holds" else None

    def _false(
        self, goal: Goal, shown: sp.Expr, texts: tuple[str, ...], counterexample: Counterexample
    ) -> _Found:
        left, sign, right = goal.names
        hint = f"the link {left} {sign} {right} is false" if len(self.claim.relations) > 1 else ""
        return _Found("fails", shown, texts, counterexample, hint=hint)


_RANK = {
    "holds": 0,
    "holds-asymptotically": 1,
    "holds-under-hypotheses": 2,
    "not-checked": 3,
    "fails": 4,
}


def _is_primed(side: sp.Expr) -> bool:
    return any(s.name.endswith("'") for s in side.free_symbols)
