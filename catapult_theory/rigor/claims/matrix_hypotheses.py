"""Hypotheses about matrices: equations are solved for a matrix or a parameter, the rest kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from catapult_theory.errors import ClaimError
from catapult_theory.rigor.claims.contractions import (
    COLUMN,
    CUT,
    ROW,
    UNIT,
    Contraction,
    Monomial,
    NotPolynomial,
    Path,
    in_order,
)
from catapult_theory.rigor.claims.matrix_reading import MatrixHypothesis
from catapult_theory.rigor.claims.matrix_tree import MatrixRelation, Value
from catapult_theory.rigor.claims.matrix_vocabulary import MatrixVocabulary


@dataclass(frozen=True)
class Hypotheses:
    """What may be put in for matrices and parameters, and what is left to be met.

    Parameters
    ----------
    vocabulary : MatrixVocabulary
    matrices, scalars : mapping
        What solved equations say.
    kept : tuple of (text, relation)
        Inequalities, and equations that could not be solved.
    """

    vocabulary: MatrixVocabulary
    matrices: Mapping[str, Contraction]
    scalars: Mapping[Any, Contraction]
    kept: tuple[tuple[str, MatrixRelation], ...]

    @classmethod
    def of(cls, vocabulary: MatrixVocabulary, given: Sequence[MatrixHypothesis]) -> Hypotheses:
        """Solve the equations among hypotheses, one after the other.

        Raises
        ------
        ClaimError
            If an equation is false for every state.
        """
        own = cls(vocabulary, {}, {}, ())
        for hypothesis in given:
            for relation in hypothesis.relations:
                own = own._with(hypothesis.text, relation)
        return own

    def _with(self, text: str, relation: MatrixRelation) -> Hypotheses:
        kept = (*self.kept, (text, relation))
        if not relation.is_equation:
            return Hypotheses(self.vocabulary, self.matrices, self.scalars, kept)
        equation = self.at(difference(relation, self.vocabulary))
        if equation.is_zero:
            return self
        if set(equation.terms) == {UNIT}:
            raise ClaimError(f"the hypotheses cannot be met: {text} is false for every state")
        solved = self._scalar(equation) or self._matrix(equation)
        if solved is None:
            return Hypotheses(self.vocabulary, self.matrices, self.scalars, kept)
        matrices, scalars = solved
        product = self.vocabulary.algebra.substituted
        old = {k: product(v, matrices, scalars) for k, v in self.matrices.items()}
        older = {k: product(v, matrices, scalars) for k, v in self.scalars.items()}
        return Hypotheses(self.vocabulary, {**old, **matrices}, {**older, **scalars}, self.kept)

    def _scalar(self, equation: Contraction) -> Any:
        """Solve for a parameter in which the equation is linear, the width last."""
        if any(m.parts for m in equation.terms):
            return None
        names = {name for m in equation.terms for name, _ in m.scalars}
        for name in sorted(names, key=lambda s: (s == "n", str(s))):
            if not isinstance(name, str) or name not in self.vocabulary.base:
                continue
            powers = {m: dict(m.scalars).get(name, Fraction(0)) for m in equation.terms}
            slope = [m for m, p in powers.items() if p == 1]
            if len(slope) != 1 or any(p not in (0, 1) for p in powers.values()):
                continue
            (lead,) = slope
            rest = {m: c for m, c in equation.terms.items() if m != lead}
            # Where the rest is a number, no factor of the term that equals it can vanish.
            others = [s for s, _ in lead.scalars if s != name]
            if set(rest) != {UNIT} and not self._never_vanish(others):
                continue
            inverse = tuple((k, -p) for k, p in lead.scalars if k != name)
            factor = Contraction({Monomial(inverse, ()): -1 / equation.terms[lead]}, {})
            value = self.vocabulary.algebra.product(Contraction(rest, {}), factor)
            return {}, {name: value}
        return None

    def _matrix(self, equation: Contraction) -> Any:
        """Solve for a matrix that stands alone in one term and in no other."""
        if not set(equation.sides) <= {ROW, COLUMN}:
            return None
        if not self.vocabulary.solves_target and _speaks_of(equation, "g"):
            return None  # g is a function of the outputs and the targets, not free
        used: dict[str, int] = {}
        for m in equation.terms:
            for part in m.parts:
                for name, _ in part.word:
                    used[name] = used.get(name, 0) + 1
        for monomial, c in equation.terms.items():
            name = _alone(monomial)
            if not name or used[name] != 1 or name.endswith("'"):
                continue
            if not self._never_vanish(s for s, _ in monomial.scalars):
                continue
            rest = Contraction({m: x for m, x in equation.terms.items() if m != monomial},
                               equation.sides) * (-1 / c)  # fmt: skip
            powers = tuple((k, -p) for k, p in monomial.scalars)
            algebra = self.vocabulary.algebra
            value = algebra.product(rest, Contraction({Monomial(powers, ()): Fraction(1)}, {}))
            flip = _stands_turned(monomial)
            if flip:
                value = self.vocabulary.transposed(value)
            symmetric = self.vocabulary.transposed(value)
            if name in algebra.symmetric and symmetric.key != value.key:
                continue
            made = self._made_of(name)
            solved = (self.matrices[k] for k in made & set(self.matrices))
            if made and not (value.is_zero and all(own.is_zero for own in solved)):
                continue
            sides = {k: self.vocabulary.value(k).sides for k in made}
            return {name: value} | {k: Contraction({}, own) for k, own in sides.items()}, {}
        return None

    def _made_of(self, name: str) -> set[str]:
        """Return the blocks that a matrix of the frame is a factor of; they vanish with it."""
        blocks = self.vocabulary.blocks.items()
        return {k for k, (first, second, _) in blocks if name in (first[0], second[0])}

    def _never_vanish(self, scalars: Iterable[Any]) -> bool:
        """Return whether an equation may be divided by a product of scalars."""
        positive = {name for name, s in self.vocabulary.base.items() if s.is_positive}
        return all(s in positive or s in (*self.vocabulary.sizes, "n") for s in scalars)

    def at(self, value: Contraction) -> Contraction:
        """Return an expression with what the hypotheses solve put in.

        Raises
        ------
        ClaimError
            If it then divides by zero.
        """
        if not self.matrices and not self.scalars:
            return value
        try:
            return self.vocabulary.algebra.substituted(value, self.matrices, self.scalars)
        except (ZeroDivisionError, NotPolynomial) as cause:
            raise ClaimError(
                "under the hypotheses the claim divides by zero or by a sum"
            ) from cause


def difference(relation: MatrixRelation, vocabulary: MatrixVocabulary) -> Contraction:
    """Return an expression that is zero where two sides are equal."""
    return quotient_difference(relation.left, relation.right, vocabulary)


def quotient_difference(left: Value, right: Value, vocabulary: MatrixVocabulary) -> Contraction:
    """Return left minus right, times both denominators."""
    algebra = vocabulary.algebra
    left, right = fitted(left, right), fitted(right, left)
    if left.bottom.key == right.bottom.key:
        return left.top - right.top
    first = algebra.product(left.top, right.bottom)
    return first - algebra.product(right.top, left.bottom)


def fitted(value: Value, other: Value) -> Value:
    """Give zero and the identity the sizes of what they are compared with."""
    if value.is_literal_zero:
        return Value(Contraction({}, other.top.sides))
    if value.identity and not other.identity:
        size = other.top.sides.get(ROW, "1")
        own = Contraction.identity(size)
        terms = {
            Monomial(m.scalars, in_order((*m.parts, *p.parts))): c * x
            for m, c in value.top.terms.items()
            for p, x in own.terms.items()
        }
        return Value(Contraction(terms, own.sides), value.bottom)
    return value


def _speaks_of(value: Contraction, name: str) -> bool:
    words = (part.word for m in value.terms for part in m.parts)
    return any(own.rstrip("'") == name for word in words for own, _ in word)


def _alone(monomial: Monomial) -> str:
    """Return the name of a matrix that is a term by itself, or nothing."""
    if len(monomial.parts) != 1 or len(monomial.parts[0].word) != 1:
        return ""
    return monomial.parts[0].word[0][0] if isinstance(monomial.parts[0], Path) else ""


def _stands_turned(monomial: Monomial) -> bool:
    (path,) = monomial.parts
    flip = path.word[0][1]
    if not isinstance(path, Path):
        return False
    backward = path.left == COLUMN or path.right == ROW
    return flip != backward and (path.left, path.right) != (CUT, CUT)
