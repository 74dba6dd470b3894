"""Reading claims, hypotheses and scalings about matrix models."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp

from catapult_theory.errors import ClaimError
from catapult_theory.rigor.claims.latex import tokens_in
from catapult_theory.rigor.claims.matrix_tree import (
    ONE,
    MatrixReader,
    MatrixRelation,
    Misfit,
    Value,
)
from catapult_theory.rigor.claims.matrix_vocabulary import MatrixVocabulary
from catapult_theory.rigor.claims.reading import (
    CONSERVED,
    MOST_HYPOTHESES,
    SCALE,
    Scaling,
    check_relations,
    exponent_of,
    hypothesis_parts,
    source_of,
    width_power,
)
from catapult_theory.rigor.claims.text import checked_text


@dataclass(frozen=True)
class MatrixClaim:
    """A claim about matrices as a tree, which a reader turns into relations.

    Parameters
    ----------
    text : str
        As the user wrote it.
    tree : ast.expr
        Of the parser's own spelling.
    reader : MatrixReader
    """

    text: str
    tree: ast.expr
    reader: MatrixReader

    @property
    def is_equation(self) -> bool:
        """Whether the claim is a single equation."""
        signs = self.tree.ops if isinstance(self.tree, ast.Compare) else []
        return len(signs) == 1 and isinstance(signs[0], ast.Eq)

    def relations(self) -> tuple[MatrixRelation, ...]:
        """Return the relations; `Misfit` if sizes or indices do not fit."""
        return self.reader.relations(self.tree)


def read_matrix_claim(claim: Any, vocabulary: MatrixVocabulary) -> MatrixClaim:
    """Read a claim about a matrix model.

    Parameters
    ----------
    claim : str
        Plain text or LaTeX, in matrix or index notation, or ``"conserved: EXPR"``.
    vocabulary : MatrixVocabulary

    Returns
    -------
    MatrixClaim

    Raises
    ------
    ClaimError
        With the position of what cannot be read.
    """
    if isinstance(claim, sp.Basic):
        raise ClaimError("claims about matrix models are texts: W' = W - eta*(S*Z + Z*G)")
    text = checked_text(claim)
    if match := CONSERVED.match(text):
        padded = " " * match.end() + text[match.end() :]
        if not padded.strip():
            raise ClaimError("conserved: needs an expression, such as conserved: trace(G)")
        source = source_of(tokens_in(padded, vocabulary))
        inside = source.tree()
        after = ast.Call(ast.Name("next"), [inside], [])
        tree: ast.expr = ast.Compare(after, [ast.Eq()], [inside])
        ast.fix_missing_locations(tree)
    else:
        tokens = tokens_in(text, vocabulary)
        check_relations(tokens)
        source = source_of(tokens)
        tree = source.tree()
    return MatrixClaim(text.strip(), tree, MatrixReader(vocabulary, source))


@dataclass(frozen=True)
class MatrixHypothesis:
    """One hypothesis: its text and its relations."""

    text: str
    relations: tuple[MatrixRelation, ...]


def read_matrix_hypotheses(
    where: Any, vocabulary: MatrixVocabulary
) -> tuple[MatrixHypothesis, ...]:
    """Read hypotheses: a text with commas, semicolons or "and" between them, or a list.

    Raises
    ------
    ClaimError
        With the position of what cannot be read, or if sizes do not fit.
    """
    if where is None:
        return ()
    if isinstance(where, str):
        found = _hypotheses(where, vocabulary)
    elif isinstance(where, Sequence):
        parts = where[: MOST_HYPOTHESES + 1]
        found = [h for part in parts for h in read_matrix_hypotheses(part, vocabulary)]
    else:
        raise ClaimError(f"hypotheses are a text or a list of texts, not {type(where).__name__}")
    if len(found) > MOST_HYPOTHESES:
        raise ClaimError(f"more than {MOST_HYPOTHESES} hypotheses: give fewer")
    return tuple(found)


def _hypotheses(where: str, vocabulary: MatrixVocabulary) -> list[MatrixHypothesis]:
    found = []
    for part, own in hypothesis_parts(where, vocabulary):
        try:
            check_relations(part)
            source = source_of(part)
            relations = MatrixReader(vocabulary, source).relations(source.tree())
        except (ClaimError, Misfit) as cause:
            raise ClaimError(f"in the hypotheses: {cause}") from cause
        found.append(MatrixHypothesis(own, relations))
    return found


def read_matrix_scaling(scaling: Any, vocabulary: MatrixVocabulary) -> Scaling:
    """Read how blocks and parameters grow with n; what is not named is O(1).

    Raises
    ------
    ClaimError
        For a name that is neither, or a scale that is no power of n.
    """
    names: dict[str, Fraction] = {}
    if isinstance(scaling, str):
        for part in re.split(r"[,;]", checked_text(scaling)):
            if part.strip():
                name, exponent = _scale(part, vocabulary)
                names[name] = exponent
    elif isinstance(scaling, Mapping):
        names = {str(getattr(k, "name", k)): exponent_of(v) for k, v in scaling.items()}
    elif scaling is not None:
        raise ClaimError("scaling is a text such as 'W = O(sqrt(n))' or a mapping {'W': 1/2}")
    table: dict[Any, Fraction] = {}
    for name, exponent in names.items():
        own = vocabulary.canonical(name, 1)
        if own == "n" or (own not in vocabulary.base and own not in ("f", "g", "X", "Y")):
            raise ClaimError(f"scaling is for blocks, data and parameters other than n, not {name}")
        for atom in vocabulary.scaled_with(own):
            table[atom] = exponent
    return Scaling(table)


def _scale(part: str, vocabulary: MatrixVocabulary) -> tuple[str, Fraction]:
    name = re.match(r"\s*\\?(\w+)\s*", part)
    match = SCALE.fullmatch(part[name.end() :].strip()) if name else None
    if name is None or match is None:
        raise ClaimError(f"cannot read the scaling {part.strip()[:40]!r}: write f = O(sqrt(n))")
    if (written := width_power(match.group(1))) is not None:
        return name.group(1), written
    source = source_of(tokens_in(match.group(1), vocabulary))
    value = MatrixReader(vocabulary, source).value(source.tree())
    exponent = _power_of_n(value)
    if exponent is None:
        raise ClaimError(f"the scale {match.group(1)[:40]} is no power of n")
    return name.group(1), exponent


def _power_of_n(value: Value) -> Fraction | None:
    if value.bottom.key != ONE.key or len(value.top.terms) != 1:
        return None
    ((monomial, c),) = value.top.terms.items()
    scalars = dict(monomial.scalars)
    power = scalars.pop("n", Fraction(0))
    return None if scalars or monomial.parts or c != 1 else power


__all__ = [
    "MatrixClaim",
    "MatrixHypothesis",
    "read_matrix_claim",
    "read_matrix_hypotheses",
    "read_matrix_scaling",
]
