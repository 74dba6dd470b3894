"""Claims about matrix models: judged by their normal form, refuted by exact matrices.

The two sides of an equation are equal for all m, d, k and n exactly if their normal forms in
independent matrices are; what differs is refuted by a small network in whole numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from catapult_theory.errors import ClaimError
from catapult_theory.rigor.claims.contractions import Contraction
from catapult_theory.rigor.claims.counterexample import Counterexample, Meaningless
from catapult_theory.rigor.claims.matrix_display import shown
from catapult_theory.rigor.claims.matrix_draws import states
from catapult_theory.rigor.claims.matrix_hypotheses import Hypotheses, quotient_difference
from catapult_theory.rigor.claims.matrix_inequalities import Numbers, matrix_certificate
from catapult_theory.rigor.claims.matrix_orders import Orders
from catapult_theory.rigor.claims.matrix_reading import (
    MatrixClaim,
    MatrixHypothesis,
    read_matrix_claim,
)
from catapult_theory.rigor.claims.matrix_states import State, sign_of
from catapult_theory.rigor.claims.matrix_tree import (
    Function,
    MatrixReader,
    MatrixRelation,
    Misfit,
)
from catapult_theory.rigor.claims.matrix_vocabulary import MatrixVocabulary
from catapult_theory.rigor.claims.near_misses import Mended, mended
from catapult_theory.rigor.claims.points import DIGITS, Undefined
from catapult_theory.rigor.claims.positivity import Budget
from catapult_theory.rigor.claims.problem import Constraint
from catapult_theory.rigor.claims.reading import Scaling, growth_words
from catapult_theory.rigor.claims.screens import MatrixScreen
from catapult_theory.rigor.claims.verdict import UNMET, Verdict, power_text
from catapult_theory.symbolic.update_map import show

_EXACT = "equal normal forms in independent matrices, for all sizes"
_FUNCTIONS = "equal normal forms, with the rules of roots, exponentials and logarithms"
_UNDECIDED = "no small network refutes it, and its chains, squares and Gram forms do not prove it"
_UNTOLD = "the normal forms differ, but no small network that meets the hypotheses shows it"
# Products of two terms that judging a claim, and the search for a near miss, may form: some
# tenths of a second each.
_JUDGING = 30_000
_NEAR_MISSES = 20_000
# What a step leaves as it is, besides sizes and constants, and the words around it.
_NOT_STATES = ("X", "Y", "I", "T", "tr", "trace")
_RANK = ("holds", "holds-asymptotically", "holds-under-hypotheses", "not-checked", "fails")


@dataclass(frozen=True)
class MatrixJudge:
    """The judgement of one claim about a matrix model.

    Parameters
    ----------
    vocabulary : MatrixVocabulary
    claim : MatrixClaim
    hypotheses : tuple of MatrixHypothesis
    scaling : Scaling
    """

    vocabulary: MatrixVocabulary
    claim: MatrixClaim
    hypotheses: tuple[MatrixHypothesis, ...]
    scaling: Scaling
    budget: Budget = field(default_factory=Budget)

    def verdict(self) -> Verdict:
        """Return the verdict on the claim: the worst of its links."""
        try:
            relations = self.claim.relations()
        except Misfit as cause:
            return self._misfit(cause)
        # The names' own values, worked out while reading, do not count.
        bounded = replace(self, vocabulary=self.vocabulary.bounded(_JUDGING))
        # Functions are computed with as many digits as signs are told with.
        with mpmath.workdps(DIGITS):
            found = [bounded._judge(relation) for relation in relations]
        worst = max(found, key=lambda v: _RANK.index(v.status))
        certificates = tuple(dict.fromkeys(v.certificate for v in found if v.certificate))
        texts = tuple(dict.fromkeys(h for v in found for h in v.hypotheses))
        return Verdict(
            claim=self.claim.text,
            status=worst.status,
            difference=worst.difference,
            scaling=self.scaling_words(),
            counterexample=worst.counterexample,
            hypotheses=texts,
            order=worst.order,
            hint=worst.hint,
            certificate="; ".join(certificates) if worst.status.startswith("holds") else "",
            mended=worst.mended,
            kind="equation" if self.claim.is_equation else "inequality",
        )

    def _verdict(self, status: str, difference: Any, **fields: Any) -> Verdict:
        return Verdict(self.claim.text, status, difference, "", **fields)

    def _misfit(self, cause: Misfit) -> Verdict:
        """A claim whose sizes do not fit is false: at most sizes it means nothing."""
        sizes = {s: Fraction(i + 2) for i, s in enumerate(sorted(self.vocabulary.sizes))}
        example = Meaningless(sizes, ("", "", ""), sp.nan, sp.nan, {}, str(cause))
        near = self._near_miss(Hypotheses.of(self.vocabulary, self.hypotheses))
        words = "the sizes or the indices do not fit, so that the claim means nothing"
        return Verdict(
            self.claim.text, "fails", sp.nan, self.scaling_words(), counterexample=example,
            hint=f"{words}; {near}" if near else words, mended=near.claim if near else "",
            kind="equation" if self.claim.is_equation else "inequality",
        )  # fmt: skip

    def scaling_words(self) -> str:
        """Return how blocks and parameters grow with n, in words."""
        symbols = (*self.vocabulary.update_map.variables, *self.vocabulary.update_map.constants)
        names = [s.name for s in symbols if s.name != "n"]
        groups: dict[Fraction, list[str]] = {}
        for name in [*names, "X", "g"]:
            groups.setdefault(self.scaling.exponents.get(name, Fraction(0)), []).append(name)
        return growth_words(groups)

    def _judge(self, relation: MatrixRelation) -> Verdict:
        own = Hypotheses.of(self.vocabulary, self.hypotheses)
        self._refuse_division(relation, own)
        judged = self._equation if relation.is_equation else self._inequality
        found = judged(relation, own)
        rests = self.hypotheses and found.status in ("holds-under-hypotheses", "not-checked")
        if rests and next(self._meeting(relation, own), None) is None:
            return replace(found, status="not-checked", hint=UNMET)
        return found

    def _refuse_division(self, relation: MatrixRelation, given: Hypotheses) -> None:
        """Refuse a claim that the hypotheses make one about a division by zero."""
        for side in (relation.left, relation.right):
            if given.at(side.bottom).is_zero:
                raise ClaimError("under the hypotheses the claim divides by zero: multiply it out")

    # Equations

    def _equation(self, relation: MatrixRelation, given: Hypotheses) -> Verdict:
        # Claimed minus true: what stands beside the value after the step is the claim.
        turned = "'" in relation.names[1] and "'" not in relation.names[0]
        sides = (relation.left, relation.right) if turned else (relation.right, relation.left)
        plain = quotient_difference(*sides, self.vocabulary)
        if plain.is_zero:
            return self._exact()
        if given.at(plain).is_zero:
            needed = self._needed(lambda h: h.at(plain).is_zero)
            return self._verdict(
                "holds-under-hypotheses", shown(plain, self.vocabulary), hypotheses=needed,
                certificate=f"{_EXACT}, with the hypotheses put in",
            )  # fmt: skip
        if (found := self._identity(plain, given)) is not None:
            return found
        example = self._search(relation, given)
        if example is None:
            return self._verdict(
                "not-checked", shown(given.at(plain), self.vocabulary),
                hypotheses=tuple(h.text for h in self.hypotheses), hint=_UNTOLD,
            )  # fmt: skip
        return self._wrong_equation(relation, given.at(plain), given, example)

    def _wrong_equation(
        self,
        relation: MatrixRelation,
        own: Contraction,
        given: Hypotheses,
        example: Counterexample,
    ) -> Verdict:
        """Return the verdict on an equation that is false at some width."""
        difference = shown(own, self.vocabulary)
        texts = tuple(h.text for h in self.hypotheses)
        order = self._order(relation, own, given)
        if order is None:
            hint = "false at finite width; its order in 1/n could not be read off"
            return self._verdict(
                "not-checked", difference, counterexample=example, hypotheses=texts, hint=hint
            )
        near = self._near_miss(given)
        parts = [str(near) if near else "", self._true_equation(relation)]
        exact = "; ".join(part for part in parts if part)
        claim = near.claim if near else ""
        if order > 0:
            hint = f"right up to O({power_text(order)}) beside its leading terms; {exact}"
            return self._verdict(
                "holds-asymptotically", difference, order=_plain(order),
                hypotheses=texts, hint=hint.rstrip("; "), mended=claim,
            )  # fmt: skip
        return self._verdict(
            "fails", difference, counterexample=example, hypotheses=texts, hint=exact,
            mended=claim,
        )  # fmt: skip

    def _identity(self, plain: Contraction, given: Hypotheses) -> Verdict | None:
        """Return what holds by the rules of roots, exponentials and logarithms."""
        if plain.sides or self._is_polynomial(plain):
            return None
        if Numbers(self.vocabulary).vanish(plain):
            return self._exact(_FUNCTIONS)
        if self.hypotheses and Numbers(self.vocabulary).vanish(given.at(plain)):
            texts = tuple(h.text for h in self.hypotheses)
            return self._verdict(
                "holds-under-hypotheses", shown(plain, self.vocabulary), hypotheses=texts,
                certificate=f"{_FUNCTIONS}, with the hypotheses put in",
            )  # fmt: skip
        return None

    def _near_miss(self, given: Hypotheses) -> Mended | None:
        """Return the small change that mends an equation."""
        if self.claim.text.lower().startswith("conserved"):
            return None
        names = self.vocabulary.bounded(_NEAR_MISSES)
        reader = MatrixReader(names, self.claim.reader.source, _NEAR_MISSES)
        screen = MatrixScreen(reader, replace(given, vocabulary=names))
        return mended(self.claim.tree, self.vocabulary.known, True, screen)

    def _exact(self, certificate: str = _EXACT) -> Verdict:
        hint = "the hypotheses are not needed" if self.hypotheses else ""
        return self._verdict("holds", sp.S.Zero, hint=hint, certificate=certificate)

    def _needed(self, proof: Any) -> tuple[str, ...]:
        """Return the texts of the hypotheses that a proof cannot do without."""
        kept = list(self.hypotheses)
        for hypothesis in self.hypotheses:
            fewer = [h for h in kept if h is not hypothesis]
            if proof(Hypotheses.of(self.vocabulary, fewer)):
                kept = fewer
        return tuple(h.text for h in kept)

    def _order(
        self, relation: MatrixRelation, difference: Contraction, given: Hypotheses
    ) -> Fraction | None:
        """Return the relative order of an error; None where it could not be read off."""
        orders = Orders(self.vocabulary, self.scaling, given)
        values = (relation.left, relation.right, *relation.terms)
        parts = (difference, *(c for v in values for c in (v.top, v.bottom)))
        if all(self._is_polynomial(c) for c in parts):
            return orders.relative(relation, difference)
        # Functions and eigenvalues are not independent of each other: their terms may cancel.
        found = orders.at_limit(relation, difference)
        if found is not None and found > 0:
            return found
        apart = orders.stays_apart(relation, self._meeting(relation, given))
        return Fraction(0) if apart else None

    def _true_equation(self, relation: MatrixRelation) -> str:
        """Return the exact update of the quantity that a claim is about."""
        for name in relation.names:
            stem = name.rstrip("'")
            if name == f"{stem}'" and stem in self.vocabulary.base:
                symbol = self.vocabulary.base[stem]
                if symbol in self.vocabulary.update_map.updates:
                    return f"the exact equation is {name} = " + show(
                        self.vocabulary.update_map.updates[symbol]
                    )
        return ""

    # Inequalities

    def _inequality(self, relation: MatrixRelation, given: Hypotheses) -> Verdict:
        strict = relation.sign in ("<", ">")
        plain = self._margin(relation, Hypotheses.of(self.vocabulary, ()))
        difference = shown(plain, self.vocabulary)
        texts = tuple(h.text for h in self.hypotheses)
        if plain.is_zero and not strict:
            return self._exact()
        example = self._search(relation, given)
        if example is not None:
            return self._verdict("fails", difference, counterexample=example, hypotheses=texts)
        if reason := self._proof(relation, strict, given):
            needed = self._needed(lambda h: self._proof(relation, strict, h))
            return self._verdict(
                "holds-under-hypotheses" if needed else "holds", difference, hypotheses=needed,
                certificate=reason,
            )  # fmt: skip
        if reason := self._proof_of_all_states():
            return self._verdict("holds", difference, certificate=reason)
        return self._verdict("not-checked", difference, hypotheses=texts, hint=_UNDECIDED)

    def _proof_of_all_states(self) -> str | None:
        """Return how a claim about the state after the step alone is seen to hold of any state.

        A step leads from a network to a network, so that what holds of all holds after it.
        """
        text = self.claim.text
        symbols = self.vocabulary.update_map.constants
        lasting = {*_NOT_STATES, *self.vocabulary.sizes, *(s.name for s in symbols)}
        names = re.findall(r"[^\W\d]\w*'?", text)
        if "\\" in text or not all(x.endswith("'") or x in lasting for x in names):
            return None
        if not any(x.endswith("'") for x in names):
            return None
        earlier = read_matrix_claim(text.replace("'", ""), self.vocabulary)
        found = replace(self, claim=earlier, hypotheses=()).verdict()
        return f"of every state: {found.certificate}" if found.status == "holds" else None

    def _margin(self, relation: MatrixRelation, given: Hypotheses) -> Contraction:
        """Return what is nonnegative where an inequality holds (denominators multiplied twice)."""
        pair = (relation.right, relation.left)
        larger, smaller = pair if relation.sign in ("<", "<=") else pair[::-1]
        product = self.vocabulary.algebra.product
        top = product(larger.top, smaller.bottom) - product(smaller.top, larger.bottom)
        bottom = product(larger.bottom, smaller.bottom)
        return given.at(top if bottom.key == Contraction.number(1).key else product(top, bottom))

    def _proof(self, relation: MatrixRelation, strict: bool, given: Hypotheses) -> str | None:
        numbers = Numbers(self.vocabulary)
        polynomial = self._margin(relation, given)
        if polynomial.is_zero:
            return None if strict else _EXACT
        margin = numbers.of(polynomial)
        constraints = []
        for text, own in given.kept:
            if any(s.top.sides for s in (own.left, own.right)):
                continue
            kind = "=" if own.is_equation else ">" if own.sign in ("<", ">") else ">="
            constraints.append(Constraint(numbers.of(self._margin(own, given)), kind, text))
        return matrix_certificate(margin, strict, constraints, self.vocabulary, self.budget)

    # Counterexamples

    def _search(self, relation: MatrixRelation, given: Hypotheses) -> Counterexample | None:
        for state in self._meeting(relation, given):
            try:
                if _is_false(relation, state):
                    return self._presented(relation, state)
            except (Undefined, ZeroDivisionError):
                continue
        return None

    def _meeting(self, relation: MatrixRelation, given: Hypotheses) -> Iterator[State]:
        """Yield networks that meet the hypotheses, as exact as what is asked of them."""
        values = [v for r in (relation, *(r for _, r in given.kept)) for v in (r.left, r.right)]
        is_exact = all(self._is_polynomial(c) for v in values for c in (v.top, v.bottom))
        for state in states(self.vocabulary, given, is_exact):
            try:
                met = all(_is_true(r, state) for _, r in given.kept)
            except (Undefined, ZeroDivisionError):
                continue
            if met:
                yield state

    def _is_polynomial(self, value: Contraction) -> bool:
        """Return whether an expression is free of functions and of eigenvalues."""
        scalars = [s for m in value.terms for s, _ in m.scalars]
        opaque = {f"{s}{mark}" for s in self.vocabulary.opaque for mark in ("", "'")}
        return not any(isinstance(s, Function) or s in opaque for s in scalars)

    def _presented(self, relation: MatrixRelation, state: State) -> Counterexample:
        numbers: dict[str, Any] = {s: Fraction(x) for s, x in state.sizes.items()}
        numbers |= {k: _plain_number(v) for k, v in state.scalars.items()}
        later: dict[str, Any] = {}
        for s in self.vocabulary.update_map.variables:
            numbers[s.name] = _matrix(state.matrices[s.name])
            if f"{s.name}'" in " ".join(relation.names):
                later[s.name] = _matrix(state.updated(s.name))
        numbers["X"] = _matrix(state.matrices["X"])
        numbers["Y"] = _matrix(state.target)
        left, right = state.quotient(relation.left), state.quotient(relation.right)
        return Counterexample(
            numbers, (relation.names[0], relation.sign, relation.names[1]),
            _entry(left), _entry(right), later,
        )  # fmt: skip


def _plain(order: Fraction) -> int | Fraction:
    return int(order) if order.denominator == 1 else order


def _matrix(array: np.ndarray) -> Any:
    return sp.ImmutableMatrix([[_number(x) for x in row] for row in np.atleast_2d(array)])


def _entry(array: Any) -> Any:
    own = np.asarray(array, dtype=object)
    if own.ndim == 0:
        return _plain_number(own.item())
    if own.ndim <= 2:
        return _matrix(own)
    return sp.ImmutableDenseNDimArray([_number(x) for x in own.ravel()], own.shape)


def _plain_number(value: Any) -> Any:
    return value if isinstance(value, Fraction) else _number(value)


def _number(value: Any) -> sp.Expr:
    if isinstance(value, Fraction):
        return sp.Rational(value.numerator, value.denominator)
    return sp.Float(value, 15)


def _is_false(relation: MatrixRelation, state: State) -> bool:
    """Return whether a relation is seen to be false at a state."""
    return _truth(relation, state) is False


def _is_true(relation: MatrixRelation, state: State) -> bool:
    return _truth(relation, state) is True


def _truth(relation: MatrixRelation, state: State) -> bool | None:
    """Return whether a relation is true at a state; None where digits do not tell.

    What they leave open is tried in fractions: a root of zero is zero.
    """
    found = _told(relation, state)
    if found is None and not state.is_exact and state.is_rational:
        with suppress(Undefined):
            return _told(relation, state.exact)
    return found


def _told(relation: MatrixRelation, state: State) -> bool | None:
    left, right = state.sides(relation.left, relation.right)
    signs = [
        sign_of(a - b, max(abs(a), abs(b)))
        for a, b in zip(left.ravel(), right.ravel(), strict=True)
    ]
    if relation.is_equation:
        if any(s for s in signs if s is not None):
            return False
        return None if None in signs else True
    (sign,) = signs
    if sign is None:
        return None
    return bool({"<": sign < 0, "<=": sign <= 0, ">": sign > 0, ">=": sign >= 0}[relation.sign])
