"""Inequalities between traces and quadratic forms: each chain becomes a number of known sign.

A chain that reads the same from both ends is a square, or a quadratic form of a Gram matrix:
it is nonnegative. What is left is an inequality between polynomials in such numbers, which
the prover for scalar claims decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from catapult_theory.errors import ClaimError
from catapult_theory.rigor.claims.contractions import CUT, Contraction, Cycle, Path, Word, flipped
from catapult_theory.rigor.claims.identities import Difference
from catapult_theory.rigor.claims.inequalities import certificate
from catapult_theory.rigor.claims.matrix_tree import SYMPY_FUNCTIONS, Function
from catapult_theory.rigor.claims.matrix_vocabulary import MatrixVocabulary
from catapult_theory.rigor.claims.positivity import Budget
from catapult_theory.rigor.claims.problem import Branch, Constraint
from catapult_theory.rigor.claims.size import size_of

_NONNEGATIVE: Mapping[str, bool] = {"nonnegative": True}


@dataclass
class Numbers:
    """Scalar contractions as polynomials in real numbers of known sign.

    Parameters
    ----------
    vocabulary : MatrixVocabulary
    """

    vocabulary: MatrixVocabulary
    _symbols: dict[Any, Any] = field(default_factory=dict)

    def of(self, value: Contraction) -> sp.Expr:
        """Return a scalar contraction as a SymPy expression."""
        total = sp.S.Zero
        for monomial, c in value.terms.items():
            term = sp.Rational(c.numerator, c.denominator)
            for name, power in monomial.scalars:
                own = sp.Rational(power.numerator, power.denominator)
                term *= self._scalar(name) ** own
            for part in monomial.parts:
                term *= self._part(part)
            total += term
        return sp.sympify(total)

    def vanish(self, value: Contraction) -> bool:
        """Return whether a scalar contraction is zero by the rules of roots, exponentials and
        logarithms; one that is too large for them is not seen to be."""
        expression = self.of(value)
        try:
            size_of(expression, {}).check("")
        except ClaimError:
            return False
        return Difference.of(expression).is_zero

    def _scalar(self, name: Any) -> sp.Expr:
        if name not in self._symbols:
            if isinstance(name, Function):
                self._symbols[name] = SYMPY_FUNCTIONS[name.name](
                    self.of(name.top) / self.of(name.bottom)
                )
            elif name in self.vocabulary.base:
                own = self.vocabulary.base[name]
                self._symbols[name] = sp.Symbol(name, **_assumptions(own))
            else:
                self._symbols[name] = sp.Symbol(name, **self._sign(name))
        return self._symbols[name]

    def _sign(self, name: str) -> Mapping[str, bool]:
        """Return what is known of the sign of a size or an observable."""
        if name in self.vocabulary.sizes:
            return {"positive": True}
        return {"real": True} if name.rstrip("'") in self.vocabulary.signed else _NONNEGATIVE

    def _part(self, part: Path | Cycle) -> sp.Symbol:
        if part not in self._symbols:
            sign = _NONNEGATIVE if self.is_nonnegative(part) else {}
            text = "*".join(f"{a}.T" if t else a for a, t in part.word)
            name = f"tr({text})" if isinstance(part, Cycle) else f"[{text}]"
            self._symbols[part] = sp.Symbol(name, real=True, **sign)
        return self._symbols[part]

    def is_nonnegative(self, part: Path | Cycle) -> bool:
        """Return whether a chain is a square or a form of a positive semidefinite matrix."""
        if isinstance(part, Path):
            return (part.left, part.right) == (CUT, CUT) and self._is_form(part.word)
        turns = range(max(len(part.word), 1))
        words = [part.word[i:] + part.word[:i] for i in turns]
        return any(
            self._is_form(w) or (self._is_semidefinite(w[:1]) and self._is_form(w[1:]))
            for w in words
        )

    def _is_form(self, word: Word) -> bool:
        if word != flipped(word, self.vocabulary.algebra.symmetric):
            return False
        middle = word[len(word) // 2 :][: len(word) % 2]
        return not middle or self._is_semidefinite(middle)

    def _is_semidefinite(self, word: Word) -> bool:
        return len(word) == 1 and word[0][0] in self.vocabulary.algebra.symmetric


def _assumptions(symbol: sp.Symbol) -> Mapping[str, bool]:
    if symbol.is_positive:
        return {"positive": True}
    return _NONNEGATIVE if symbol.is_nonnegative else {"real": True}


@dataclass(frozen=True)
class _Facts:
    """What `certificate` asks of facts: branches, later consequences, words, a budget."""

    branches: tuple[Branch, ...]
    vocabulary: Any
    budget: Budget
    later: tuple[sp.Expr, ...] = ()


def matrix_certificate(
    margin: sp.Expr,
    strict: bool,
    constraints: Sequence[Constraint],
    vocabulary: MatrixVocabulary,
    budget: Budget,
) -> str | None:
    """Return how a margin is seen to be nonnegative (positive if strict), or None.

    Parameters
    ----------
    margin : sympy.Expr
        From `Numbers`.
    strict : bool
    constraints : sequence of Constraint
        Hypotheses in the same symbols.
    vocabulary : MatrixVocabulary
    budget : Budget

    Returns
    -------
    str or None
    """
    symbols = margin.free_symbols.union(*(c.expression.free_symbols for c in constraints))
    signs = [
        Constraint(s, ">" if s.is_positive else ">=", "sign")
        for s in sorted(symbols, key=str)
        if s.is_nonnegative
    ]
    facts: Any = _Facts((Branch({}, (*constraints, *signs)),), vocabulary, budget)
    return certificate(margin, strict, facts)
