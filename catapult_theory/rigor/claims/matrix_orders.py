"""Orders in 1/n of claims about matrix models: read off the terms, or off the limits of functions.

A monomial grows as its factors do. A function F of an inside x = x_0 (1 + O(n^-k)) is F(x_0)
up to O(n^-k), for roots and moduli whatever x_0 is, for the others where x_0 = O(1); the top
eigenvalue after the step is the one before it where the two kernels have the same limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import mpmath
import numpy as np

from catapult_theory.rigor.claims.contractions import Contraction, Monomial
from catapult_theory.rigor.claims.matrix_hypotheses import Hypotheses
from catapult_theory.rigor.claims.matrix_inequalities import Numbers
from catapult_theory.rigor.claims.matrix_states import State
from catapult_theory.rigor.claims.matrix_tree import Function, MatrixRelation
from catapult_theory.rigor.claims.matrix_vocabulary import MatrixVocabulary
from catapult_theory.rigor.claims.points import Undefined
from catapult_theory.rigor.claims.reading import Scaling

# Twelfth powers, so that every scale n^(k/12) is a whole number.
_WIDTHS = (10**12, 10**24)
_STATES = 3


@dataclass(frozen=True)
class Orders:
    """How expressions grow with n.

    Parameters
    ----------
    vocabulary : MatrixVocabulary
    scaling : Scaling
    given : Hypotheses
        Their solved equations are put in.
    """

    vocabulary: MatrixVocabulary
    scaling: Scaling
    given: Hypotheses

    @cached_property
    def _scale(self) -> Mapping[Any, Fraction]:
        return {**self.scaling.exponents, "n": Fraction(1)}

    def relative(self, relation: MatrixRelation, difference: Contraction) -> Fraction:
        """Return k with |difference| = O(n^-k) beside the leading terms of two polynomial sides."""
        bottoms = self._bottoms(relation)
        tops = [(self.given.at(t.top), self.given.at(t.bottom)) for t in relation.terms]
        leading = [self.of(top) - self.of(bottom) for top, bottom in tops if not top.is_zero]
        return max(leading) + sum(map(self.of, bottoms)) - self.of(difference)

    def at_limit(self, relation: MatrixRelation, difference: Contraction) -> Fraction | None:
        """Return a lower bound on the relative order, functions put at the limits of their
        insides; None where a limit is not known, or a denominator vanishes there."""
        bottoms = [self._leading(b) for b in self._bottoms(relation)]
        found = self._limit(difference)
        if found is None or None in bottoms:
            return None
        value, gap = found
        error = self.of(difference) - gap
        if not (value.is_zero or (value.is_scalar and Numbers(self.vocabulary).vanish(value))):
            error = max(error, self.of(value))
        leading = []
        for term in relation.terms:
            top = self._leading(self.given.at(term.top))
            bottom = self._leading(self.given.at(term.bottom))
            # A term that vanishes at the limit may be of any lower order: it leads nothing.
            if top is not None and bottom is not None:
                leading.append(self.of(top[0]) - self.of(bottom[0]))
        scale = sum(self.of(b[0]) for b in bottoms if b is not None)
        return max(leading) + scale - error if leading else None

    def _bottoms(self, relation: MatrixRelation) -> list[Contraction]:
        """Return the denominators that the difference was multiplied with."""
        left, right = relation.left.bottom, relation.right.bottom
        own = [left] if left.key == right.key else [left, right]
        return [self.given.at(b) for b in own]

    def of(self, value: Contraction) -> Fraction:
        """Return the largest order among the terms."""
        return max(self._weight(m) for m in value.terms)

    def _weight(self, monomial: Monomial) -> Fraction:
        total = sum((p * self._growth(s) for s, p in monomial.scalars), Fraction(0))
        for part in monomial.parts:
            words = (self._scale.get(_stem(a), Fraction(0)) for a, _ in part.word)
            total += sum(words, Fraction(0))
        return total

    def _growth(self, scalar: Any) -> Fraction:
        """Return the order of a scalar: that of a root or a modulus is read off its inside."""
        if not isinstance(scalar, Function):
            return self._scale.get(_stem(scalar), Fraction(0))
        inside = self.of(scalar.top) - self.of(scalar.bottom)
        return {"sqrt": inside / 2, "abs": inside}.get(scalar.name, Fraction(0))

    # Limits.

    def _limit(self, value: Contraction) -> tuple[Contraction, Fraction] | None:
        """Return an expression with functions at their limits, and the relative error in them."""
        total, gaps = Contraction({}, value.sides), [Fraction(100)]
        for monomial, c in value.terms.items():
            scalars: dict[Any, Fraction] = {}
            for name, power in monomial.scalars:
                found = self._scalar_limit(name)
                if found is None:
                    return None
                scalars[found[0]] = scalars.get(found[0], Fraction(0)) + power
                gaps.append(found[1])
            own = tuple(sorted(scalars.items(), key=lambda pair: str(pair[0])))
            total = total + Contraction({Monomial(own, monomial.parts): c}, value.sides)
        return total, min(gaps)

    def _scalar_limit(self, name: Any) -> tuple[Any, Fraction] | None:
        if isinstance(name, Function):
            return self._function_limit(name)
        if _stem(name) == name or _stem(name) not in self.vocabulary.opaque:
            return name, Fraction(100)
        return self._eigenvalue_limit(name) if _stem(name) == "lam" else None

    def _function_limit(self, function: Function) -> tuple[Any, Fraction] | None:
        parts = [self._leading(x) for x in (function.top, function.bottom)]
        if None in parts:
            return None
        (top, first), (bottom, second) = (p for p in parts if p is not None)
        if self.of(top) != self.of(bottom) and function.name not in ("sqrt", "abs"):
            return None
        return Function(function.name, top, bottom), min(first, second)

    def _eigenvalue_limit(self, name: str) -> tuple[Any, Fraction] | None:
        now, after = self.vocabulary.tensor("Theta"), self.vocabulary.tensor_after("Theta")
        if now is None or after is None:
            return None
        before, then = self.given.at(now.value), self.given.at(after.value)
        step = then - before
        if step.is_zero:
            return _stem(name), Fraction(100)
        gap = self.of(before) - self.of(step)
        return (_stem(name), gap) if gap > 0 else None

    def _leading(self, value: Contraction) -> tuple[Contraction, Fraction] | None:
        """Return the leading terms of an expression at its limit, and the relative error."""
        found = self._limit(value)
        if found is None or found[0].is_zero:
            return None
        value, gap = found
        weights = {m: self._weight(m) for m in value.terms}
        best = max(weights.values())
        rest = [best - w for w in weights.values() if w < best]
        terms = {m: c for m, c in value.terms.items() if weights[m] == best}
        return Contraction(terms, value.sides), min([gap, *rest])

    # Numbers.

    def stays_apart(self, relation: MatrixRelation, states: Iterable[State]) -> bool:
        """Return whether two sides are seen to differ at leading order, at very large widths.

        The blocks of a small network, scaled with n, are those of a network of any larger
        width; what fraction of the largest term the difference is must not fall with n.
        """
        for tried, ratios in enumerate(self._ratios(relation, states)):
            if ratios[1] > 0.9 * ratios[0] > 1e-20:
                return True
            if tried == _STATES:
                return False
        return False

    def _ratios(
        self, relation: MatrixRelation, states: Iterable[State]
    ) -> Iterator[tuple[Any, Any]]:
        for state in states:
            try:
                first, second = (self._ratio(relation, self._wide(state, n)) for n in _WIDTHS)
            except (Undefined, ZeroDivisionError, KeyError):
                continue
            yield first, second

    def _wide(self, state: State, width: int) -> State:
        """Return the same blocks, scaled, at a large width; the frame is not known there."""
        root = round(mpmath.root(width, 12))
        frame = self.vocabulary.update_map.frame.names
        matrices = {
            name: own * Fraction(root) ** int(12 * self._scale.get(name, Fraction(0)))
            for name, own in state.matrices.items()
            if name not in frame
        }
        scalars = {
            name: own * Fraction(root) ** int(12 * self._scale.get(name, Fraction(0)))
            for name, own in state.scalars.items()
        }
        sizes = {**state.sizes, "n": width}
        return State(state.vocabulary, sizes, scalars, matrices, is_exact=False)

    def _ratio(self, relation: MatrixRelation, state: State) -> Any:
        left, right = state.sides(relation.left, relation.right)
        size = max(_largest(state.quotient(term)) for term in relation.terms)
        return _largest(left - right) / size


def _largest(array: Any) -> Any:
    return max(abs(mpmath.mpf(x)) for x in np.ravel(array))


def _stem(name: Any) -> Any:
    return name.rstrip("'") if isinstance(name, str) else name
