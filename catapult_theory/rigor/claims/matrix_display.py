"""Contractions as SymPy expressions that read like the claim: W*Z.T, tr(G), (X*g)_alpha."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from catapult_theory.rigor.claims.contractions import (
    COLUMN,
    CUT,
    ROW,
    Contraction,
    Cycle,
    Factor,
    Path,
    Word,
    flipped,
)
from catapult_theory.rigor.claims.matrix_tree import ONES, Function
from catapult_theory.rigor.claims.matrix_vocabulary import MatrixVocabulary

_MOST_SHOWN = 60


def shown(value: Contraction, vocabulary: MatrixVocabulary) -> sp.Expr:
    """Return an expression for a reader, with f and Z written where their products stand.

    Parameters
    ----------
    value : Contraction
    vocabulary : MatrixVocabulary

    Returns
    -------
    sympy.Expr
        In one symbol for each chain; of the first sixty terms if there are more.
    """
    folds = _folds(vocabulary)
    total = sp.S.Zero
    for monomial, c in list(value.terms.items())[:_MOST_SHOWN]:
        term = sp.Rational(c.numerator, c.denominator)
        for name, power in monomial.scalars:
            own = _scalar(name, vocabulary)
            term *= own ** sp.Rational(power.numerator, power.denominator)
        for part in monomial.parts:
            term *= _part(part, folds, vocabulary)
        total += term
    return sp.factor_terms(total)


def _scalar(name: Any, vocabulary: MatrixVocabulary) -> sp.Symbol:
    """Return a scalar by name; functions with their insides, so that two stay apart."""
    if isinstance(name, Function):
        inside = shown(name.top, vocabulary) / shown(name.bottom, vocabulary)
        return sp.Symbol(f"{name.name}({inside})", positive=True)
    return sp.Symbol(str(name), positive=True)


def _folds(vocabulary: MatrixVocabulary) -> dict[Word, tuple[Factor, sp.Expr]]:
    """Return the words that f and the gradients stand for, with what multiplies them."""
    table: dict[Word, tuple[Factor, sp.Expr]] = {}
    names = ["f", *(s.name for s in vocabulary.update_map.definitions if s.name not in ("f", "g"))]
    for name in names:
        found = vocabulary.tensor(name)
        if found is None or len(found.value.terms) != 1:
            continue
        ((monomial, c),) = found.value.terms.items()
        if len(monomial.parts) != 1 or len(monomial.parts[0].word) < 2:
            continue
        (path,) = monomial.parts
        turned = isinstance(path, Path) and (path.left == COLUMN or path.right == ROW)
        scale = sp.Rational(c.denominator, c.numerator)
        for scalar, power in monomial.scalars:
            scale *= _scalar(scalar, vocabulary) ** sp.Rational(-power.numerator, power.denominator)
        table[path.word] = (name, turned), scale
        table[flipped(path.word, vocabulary.algebra.symmetric)] = (name, not turned), scale
    return table


def _part(
    part: Path | Cycle, folds: Mapping[Word, tuple[Factor, sp.Expr]], vocabulary: MatrixVocabulary
) -> sp.Expr:
    symmetric = vocabulary.algebra.symmetric
    word, ends = part.word, ("", "")
    if isinstance(part, Path):
        ends = part.left, part.right
        if ends[0] == COLUMN or ends[1] == ROW or (ends[0] == CUT and ends[1] not in (CUT, COLUMN)):
            word, ends = flipped(word, symmetric), ends[::-1]
    factors, scale = _folded(word, folds)
    text = "*".join(f"{name}.T" if flip else name for name, flip in factors) or "I"
    if isinstance(part, Cycle):
        return scale * sp.Symbol(f"tr({text})")
    labels = [end for end in ends if end not in (CUT, ROW, COLUMN)]
    if labels:
        own = text if len(factors) == 1 and not factors[0][1] else f"({text})"
        text = f"{own}_{{{' '.join(label.strip('<>') for label in labels)}}}"
    return scale * sp.Symbol(text)


def _folded(
    word: Word, folds: Mapping[Word, tuple[Factor, sp.Expr]]
) -> tuple[list[Factor], sp.Expr]:
    out: list[Factor] = []
    scale = sp.S.One
    for name, flip in word:
        out.append((f"sum over {name[len(ONES) :]}" if name.startswith(ONES) else name, flip))
        pair = folds.get(tuple(out[-2:]))
        if pair is not None:
            out[-2:], scale = [pair[0]], scale * pair[1]
    return out, scale
