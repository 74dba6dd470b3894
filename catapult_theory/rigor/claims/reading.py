"""Reading what a user hands to `verify`: the claim, its hypotheses and the scaling.

Each may be plain text, LaTeX or SymPy; all end as relations over one claim's tree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Rational
from typing import Any

import sympy as sp

from catapult_theory.errors import ClaimError
from catapult_theory.rigor.claims.indices import check_arguments
from catapult_theory.rigor.claims.latex import is_latex, tokens_in
from catapult_theory.rigor.claims.text import (
    Source,
    check_nesting,
    checked_text,
    with_products,
    with_steps,
)
from catapult_theory.rigor.claims.token import Token, Words
from catapult_theory.rigor.claims.tree import Reader, Relation, from_sympy
from catapult_theory.rigor.claims.vocabulary import Vocabulary

MOST_HYPOTHESES = 12
CONSERVED = re.compile(r"\s*conserved\s*:", re.IGNORECASE)
SCALE = re.compile(r"(?:=\s*O|~|=)\s*(\(.*\)|.+)", re.DOTALL)
# Powers of n that no claim holds: n^(1/4), 1/n^0.3, n^{-1/3}.
_WIDTH_POWER = re.compile(r"(1\s*/\s*)?n\s*(?:\^|\*\*)\s*[({]?\s*(-?[\d.]+(?:\s*/\s*\d+)?)\s*[)}]?")


@dataclass(frozen=True)
class Claim:
    """What is claimed: one relation, or the links of a chain of inequalities.

    Parameters
    ----------
    text : str
        As the user wrote it.
    relations : tuple of Relation
    source : Source or None
        The text in the parser's own spelling; None for claims that are no plain text.
    """

    text: str
    relations: tuple[Relation, ...]
    source: Source | None = None

    @property
    def is_equation(self) -> bool:
        """Whether the claim is a single equation."""
        return len(self.relations) == 1 and self.relations[0].is_equation


def source_of(tokens: Sequence[Token]) -> Source:
    """Return tokens in the parser's own spelling, products and steps written out."""
    check_nesting(tokens)
    check_arguments(tokens)
    return Source.of(with_steps(with_products(tokens)))


def _reader(tokens: Sequence[Token], vocabulary: Vocabulary) -> Reader:
    return Reader(source_of(tokens), vocabulary)


def read_claim(claim: Any, vocabulary: Vocabulary) -> Claim:
    """Read a claim in any of its forms.

    Parameters
    ----------
    claim : str or sympy relation
        Plain text, LaTeX, ``"conserved: EXPR"``, or a SymPy Eq, inequality or conjunction.
    vocabulary : Vocabulary

    Returns
    -------
    Claim

    Raises
    ------
    ClaimError
        With the position of what cannot be read.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> words = Vocabulary.of(ct.derive(ct.models.uv()))
    >>> read_claim("0 <= a' <= a", words).relations[1].sign
    '<='
    """
    if isinstance(claim, sp.Basic):
        return Claim(str(claim)[:200], from_sympy(claim, vocabulary))
    text = checked_text(claim)
    if match := CONSERVED.match(text):
        padded = " " * match.end() + text[match.end() :]
        if not padded.strip():
            raise ClaimError("conserved: needs an expression, such as conserved: a - 4")
        reader = _reader(tokens_in(padded, vocabulary), vocabulary)
        value, divisors = reader.expression(), reader.divisors
        if any(s.name.endswith("'") for s in value.free_symbols):
            raise ClaimError("conserved: takes an expression of the state without primes")
        divisors += tuple(vocabulary.primed(d) for d in divisors)
        return Claim(text.strip(), (Relation(vocabulary.primed(value), "=", value, divisors),))
    tokens = tokens_in(text, vocabulary)
    check_relations(tokens)
    source = source_of(tokens)
    return Claim(text.strip(), Reader(source, vocabulary).relations(), source)


def check_relations(tokens: Sequence[Token]) -> None:
    """Refuse tokens without a relation, with two equals signs, or with an empty side."""
    signs = [t for t in tokens if t.kind == "relation"]
    if not signs:
        raise ClaimError("the text holds no relation: write =, <, <=, > or >= between two sides")
    equations = [t for t in signs if t.text == "=="]
    if len(equations) > 1:
        raise ClaimError(
            f"two equals signs, the second at position {equations[1].at}: state one equation"
        )
    for side in split(tokens, "relation"):
        if not side:
            raise ClaimError(f"a side of the relation at position {signs[0].at} is empty")


def split(tokens: Sequence[Token], kind: str) -> list[list[Token]]:
    """Return the tokens in parts, cut at tokens of a kind outside parentheses."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += {"open": 1, "close": -1}.get(token.kind, 0)
        if token.kind == kind and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def read_hypotheses(where: Any, vocabulary: Vocabulary) -> tuple[Claim, ...]:
    """Read hypotheses: a text with commas, semicolons or "and" between them, or a list.

    Parameters
    ----------
    where : str, sympy relation, sequence of them, or None
    vocabulary : Vocabulary

    Returns
    -------
    tuple of Claim

    Raises
    ------
    ClaimError
        With the position of what cannot be read.
    """
    if where is None:
        return ()
    if isinstance(where, (sp.Basic, bool)):
        found = [read_claim(where, vocabulary)]
    elif isinstance(where, str):
        found = _from_text(where, vocabulary)
    elif isinstance(where, Sequence):
        found = [
            h for part in where[: MOST_HYPOTHESES + 1] for h in read_hypotheses(part, vocabulary)
        ]
    else:
        raise ClaimError(f"hypotheses are a text or a list of texts, not {type(where).__name__}")
    if len(found) > MOST_HYPOTHESES:
        raise ClaimError(f"more than {MOST_HYPOTHESES} hypotheses: give fewer")
    return tuple(found)


def _from_text(where: str, vocabulary: Vocabulary) -> list[Claim]:
    found = []
    for part, own in hypothesis_parts(where, vocabulary):
        try:
            check_relations(part)
            found.append(Claim(own, _reader(part, vocabulary).relations()))
        except ClaimError as cause:
            raise ClaimError(f"in the hypotheses: {cause}") from cause
    return found


def hypothesis_parts(where: str, vocabulary: Words) -> list[tuple[list[Token], str]]:
    """Return the tokens and the text of each hypothesis of a list in words.

    Parameters
    ----------
    where : str
        With commas, semicolons or "and" between hypotheses.
    vocabulary : Vocabulary or MatrixVocabulary

    Returns
    -------
    list of (tokens, text)

    Raises
    ------
    ClaimError
        With the position of what cannot be read.
    """
    text = re.sub(r"\band\b|;|∧|&&", lambda m: ",".ljust(len(m.group())), checked_text(where))
    parts = [part for part in split(tokens_in(text, vocabulary), "comma") if part]
    ends = [*(part[0].at - 1 for part in parts[1:]), len(text)]
    return [
        (part, text[part[0].at - 1 : end].strip(" ,\n\t$"))
        for part, end in zip(parts, ends, strict=True)
    ]


@dataclass(frozen=True)
class Scaling:
    """How each symbol grows with the width: x = O(n^exponent), 0 where nothing is said.

    Parameters
    ----------
    exponents : mapping from symbols to fractions
    """

    exponents: Mapping[sp.Symbol, Fraction]

    def of(self, symbol: sp.Symbol) -> Fraction:
        """Return the exponent of n with which a symbol grows; n itself has 1."""
        return self.exponents.get(symbol, Fraction(0))

    def words(self, vocabulary: Vocabulary) -> str:
        """Return the scaling as a phrase: ``f = O(n^(1/2)); lam, eta = O(1)``."""
        symbols = [*vocabulary.update_map.variables, *vocabulary.update_map.constants]
        groups: dict[Fraction, list[str]] = {}
        for s in symbols:
            if s.name != "n" and s.name not in vocabulary.carried:
                groups.setdefault(self.of(s), []).append(s.name)
        return growth_words(groups)


def growth_words(groups: Mapping[Fraction, Sequence[str]]) -> str:
    """Return names by their exponents of n as a phrase.

    Examples
    --------
    >>> growth_words({Fraction(1, 2): ["f"], Fraction(0): ["lam", "eta"]})
    'lam, eta = O(1); f = O(sqrt(n))'
    """
    return "; ".join(f"{', '.join(names)} = {_order(e)}" for e, names in sorted(groups.items()))


def _order(exponent: Fraction) -> str:
    named = {Fraction(0): "O(1)", Fraction(1): "O(n)", Fraction(-1): "O(1/n)",
             Fraction(1, 2): "O(sqrt(n))", Fraction(-1, 2): "O(1/sqrt(n))"}  # fmt: skip
    return named.get(exponent, f"O(n^({exponent}))")


def read_scaling(scaling: Any, vocabulary: Vocabulary) -> Scaling:
    """Read a scaling: ``"f = O(sqrt(n)), eta = O(1/n)"``, or ``{"f": 1/2}``; default all O(1).

    Parameters
    ----------
    scaling : str, mapping or None
        Exponents are numbers, or powers of n.
    vocabulary : Vocabulary

    Returns
    -------
    Scaling

    Raises
    ------
    ClaimError
        For a name that is neither state nor parameter, or a scale that is no power of n.
    """
    width = vocabulary.base.get("n")
    start = {} if width is None else {width: Fraction(1)}
    if scaling is None:
        return Scaling(start)
    if isinstance(scaling, str):
        pairs = [
            _scale(part, vocabulary)
            for part in re.split(r"[,;]", checked_text(scaling))
            if part.strip()
        ]
    elif isinstance(scaling, Mapping):
        pairs = [(str(getattr(k, "name", k)), exponent_of(v)) for k, v in scaling.items()]
    else:
        raise ClaimError("scaling is a text such as 'f = O(sqrt(n))' or a mapping {'f': 1/2}")
    for name, exponent in pairs:
        symbol = vocabulary.base.get(vocabulary.canonical(name, 1))
        if symbol is None or symbol == width:
            raise ClaimError(
                f"scaling is for state variables and parameters other than n, not {name}"
            )
        start[symbol] = exponent
    return Scaling(start)


def _scale(part: str, vocabulary: Vocabulary) -> tuple[str, Fraction]:
    name, match = re.match(r"\s*\\?(\w*)\s*", part), None
    if name is not None:
        match = SCALE.fullmatch(part[name.end() :].strip())
    if name is None or match is None or not name.group(1):
        raise ClaimError(f"cannot read the scaling {part.strip()[:40]!r}: write f = O(sqrt(n))")
    if (written := width_power(match.group(1))) is not None:
        return name.group(1), written
    value = _reader(tokens_in(match.group(1), vocabulary), vocabulary).expression()
    width = vocabulary.base.get("n")
    power = value.as_powers_dict().get(width, sp.S.Zero) if width is not None else sp.S.Zero
    if (value / width**power if width is not None else value) != 1 or not power.is_Rational:
        raise ClaimError(f"the scale {match.group(1)[:40]} is no power of n")
    return name.group(1), Fraction(int(power.p), int(power.q))


def width_power(text: str) -> Fraction | None:
    """Return the exponent of a power of n that is written with a number, or None.

    Examples
    --------
    >>> width_power("(n^(1/4))"), width_power("1/n^0.25"), width_power("sqrt(n)")
    (Fraction(1, 4), Fraction(-1, 4), None)
    """
    inner = text.strip()
    if inner.startswith("(") and inner.endswith(")"):
        inner = inner[1:-1].strip()
    match = _WIDTH_POWER.fullmatch(inner)
    if match is None:
        return None
    try:
        exponent = Fraction(match.group(2).replace(" ", ""))
    except (ValueError, ZeroDivisionError):
        return None
    return exponent_of(-exponent if match.group(1) else exponent)


def exponent_of(value: Any) -> Fraction:
    """Return an exponent of n as a fraction, or refuse it."""
    exact = isinstance(value, (Rational, sp.Rational)) and not isinstance(value, bool)
    if not exact and not isinstance(value, float):
        raise ClaimError(f"an exponent of n is a number, not {value!r}")
    try:
        exponent = (
            Fraction(int(value.p), int(value.q))
            if isinstance(value, sp.Rational)
            else Fraction(value)
        )
    except (ValueError, OverflowError) as cause:
        raise ClaimError(f"an exponent of n must be finite, got {value!r}") from cause
    exponent = exponent.limit_denominator(12)
    if abs(exponent) > 8:
        raise ClaimError(f"the exponent {exponent} of n is too large: at most 8")
    return exponent


__all__ = [
    "CONSERVED",
    "SCALE",
    "Claim",
    "Relation",
    "Scaling",
    "check_relations",
    "exponent_of",
    "growth_words",
    "hypothesis_parts",
    "is_latex",
    "read_claim",
    "read_hypotheses",
    "read_scaling",
    "source_of",
    "width_power",
]
