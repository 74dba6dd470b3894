"""Sums of contractions of matrices, in one normal form for matrix and index notation.

Every factor has two sides and every summed index joins two of them, so that a product is a
set of paths (open chains of factors) and cycles (traces). A chain read from its other end,
and a trace read from another factor, are the same; symmetric factors are their own
transposes; a side of length one cuts a chain. Written so, two expressions in independent
matrices of every size are equal exactly if they have the same terms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

from catapult_theory.errors import ClaimError

MOST_TERMS = 800
MOST_PRODUCTS = 20_000
LONGEST = 40

ROW, COLUMN = "<row>", "<column>"
CUT = ""  # the end of a path at a side of length one

Factor = tuple[str, bool]  # a name, and whether it stands transposed
Word = tuple[Factor, ...]


class NotPolynomial(ArithmeticError):
    """A power of an expression that is no polynomial in contractions."""


class Path(NamedTuple):
    """An open chain: its two ends (labels, or cuts) and the factors between them."""

    left: str
    word: Word
    right: str


class Cycle(NamedTuple):
    """A closed chain: the trace of a product."""

    word: Word


@dataclass(frozen=True)
class Atom:
    """A matrix that a claim may name: its sides, and whether it is symmetric.

    Parameters
    ----------
    name : str
    rows, columns : str
        Names of the sizes, or digits; "1" is a side that takes no index.
    symmetric : bool
    """

    name: str
    rows: str
    columns: str
    symmetric: bool = False


class Monomial(NamedTuple):
    """Powers of scalars times paths and cycles, each sorted."""

    scalars: tuple[tuple[Any, Fraction], ...]
    parts: tuple[Path | Cycle, ...]


UNIT = Monomial((), ())


@dataclass(frozen=True)
class Contraction:
    """A polynomial in contractions: rational numbers before monomials.

    Parameters
    ----------
    terms : mapping from Monomial to Fraction
        Without zeros.
    sides : mapping from label to size
        The open ends that every term has.
    """

    terms: Mapping[Monomial, Fraction]
    sides: Mapping[str, str]

    @classmethod
    def number(cls, value: Any) -> Contraction:
        """Return a rational number."""
        own = Fraction(value)
        return cls({UNIT: own} if own else {}, {})

    @classmethod
    def scalar(cls, name: Any, power: Any = 1) -> Contraction:
        """Return a power of a scalar symbol."""
        return cls({Monomial(((name, Fraction(power)),), ()): Fraction(1)}, {})

    @classmethod
    def of(cls, atom: Atom) -> Contraction:
        """Return a matrix with its row and column open."""
        pairs = ((ROW, atom.rows), (COLUMN, atom.columns))
        left, right = (CUT if size == "1" else label for label, size in pairs)
        symmetric = frozenset({atom.name} if atom.symmetric else ())
        path = _turned(Path(left, ((atom.name, False),), right), symmetric)
        sides = {label: size for label, size in pairs if size != "1"}
        return cls({Monomial((), (path,)): Fraction(1)}, sides)

    @classmethod
    def identity(cls, size: str) -> Contraction:
        """Return the identity matrix of a size."""
        if size == "1":
            return cls.number(1)
        return cls({Monomial((), (Path(COLUMN, (), ROW),)): Fraction(1)},
                   {ROW: size, COLUMN: size})  # fmt: skip

    @cached_property
    def key(self) -> frozenset[tuple[Monomial, Fraction]]:
        """What equal expressions share, to look them up by."""
        return frozenset(self.terms.items())

    @property
    def is_zero(self) -> bool:
        """Whether no term is left."""
        return not self.terms

    @property
    def is_scalar(self) -> bool:
        """Whether no end is open."""
        return not self.sides

    def __add__(self, other: Contraction) -> Contraction:
        total = dict(self.terms)
        for monomial, c in other.terms.items():
            new = total.get(monomial, Fraction(0)) + c
            if new:
                total[monomial] = new
            else:
                total.pop(monomial, None)
        return _bounded(total, self.sides if self.terms else other.sides)

    def __mul__(self, factor: Any) -> Contraction:
        own = Fraction(factor)
        return Contraction({m: c * own for m, c in self.terms.items()} if own else {}, self.sides)

    def __sub__(self, other: Contraction) -> Contraction:
        return self + other * -1


Scalars = tuple[tuple[Any, Fraction], ...]


@dataclass
class Work:
    """What may still be multiplied for one claim, in products of two terms.

    Counted instead of timed, so that what is refused does not depend on the machine.
    """

    left: int = 10**9

    def spend(self, products: int) -> None:
        """Count products; `ClaimError` when there have been too many."""
        self.left -= products
        if self.left < 0:
            raise _too_large()


@dataclass(frozen=True)
class Algebra:
    """Products of contractions: which factors are symmetric, which neighbours contract.

    Parameters
    ----------
    symmetric : frozenset of str
    neighbours : mapping
        From two adjacent factors that share the width to the factor that stands for their
        product, and the scalars that come with it.
    signed : frozenset of str
        Scalars that may be negative: their squares have no root that is a polynomial.
    work : Work
        A bound on all products together.
    """

    symmetric: frozenset[str] = frozenset()
    neighbours: Mapping[tuple[Factor, Factor], tuple[Factor, Scalars]] = field(default_factory=dict)
    signed: frozenset[str] = frozenset()
    work: Work = field(default_factory=Work, compare=False)

    def renamed(self, value: Contraction, table: Mapping[str, str]) -> Contraction:
        """Return an expression with open ends under other labels."""
        if not any(label in table for label in value.sides):
            return value
        terms = {
            Monomial(m.scalars, in_order(self._relabelled(p, table) for p in m.parts)): c
            for m, c in value.terms.items()
        }
        return Contraction(terms, {table.get(k, k): v for k, v in value.sides.items()})

    def _relabelled(self, part: Any, table: Mapping[str, str]) -> Any:
        if isinstance(part, Cycle):
            return part
        ends = (table.get(part.left, part.left), table.get(part.right, part.right))
        return _turned(Path(ends[0], part.word, ends[1]), self.symmetric)

    def product(self, left: Contraction, right: Contraction) -> Contraction:
        """Return a product; open ends of one label are joined and summed over."""
        if len(left.terms) * len(right.terms) > MOST_PRODUCTS:
            raise _too_large()
        shared = [label for label in left.sides if label in right.sides]
        sides = {k: v for k, v in (*left.sides.items(), *right.sides.items()) if k not in shared}
        total: dict[Monomial, Fraction] = {}
        for a, x in left.terms.items():
            self.work.spend(len(right.terms) * (1 + len(a.parts) // 4))
            for b, y in right.terms.items():
                monomial, factor = self._joined(a, b, shared, left.sides)
                new = total.get(monomial, Fraction(0)) + x * y * factor
                if new:
                    total[monomial] = new
                else:
                    total.pop(monomial, None)
        return _bounded(total, sides)

    def traced(self, value: Contraction, first: str, second: str) -> Contraction:
        """Return the sum over two open ends set equal."""
        size = value.sides[first]
        low, high = sorted((first, second))
        delta = {Monomial((), (Path(low, (), high),)): Fraction(1)}
        return self.product(value, Contraction(delta, {first: size, second: size}))

    def _joined(
        self, a: Monomial, b: Monomial, shared: Iterable[str], sides: Mapping[str, str]
    ) -> tuple[Monomial, int]:
        """Return the product of two monomials, and a number that comes with it."""
        scalars = dict(a.scalars)
        parts: list[Any] = [*a.parts, *b.parts]
        for name, power in b.scalars:
            scalars[name] = scalars.get(name, Fraction(0)) + power
        number = 1
        for label in shared:
            parts = self._at(parts, label)
            if parts[-1] == Cycle(()):  # the trace of an identity is its size
                parts.pop()
                size = sides[label]
                if size.isdigit():
                    number *= int(size)
                else:
                    scalars[size] = scalars.get(size, Fraction(0)) + 1
        if shared:
            parts = [self._contracted(p, scalars) for p in parts]
        own = tuple(sorted(((k, e) for k, e in scalars.items() if e), key=_order))
        return Monomial(own, in_order(parts)), number

    def _at(self, parts: list[Any], label: str) -> list[Any]:
        """Join the two ends of a label."""
        kept: list[Any] = []
        found: list[Path] = []
        for part in parts:
            hit = isinstance(part, Path) and label in (part.left, part.right)
            (found if hit else kept).append(part)
        if len(found) == 1:
            (path,) = found
            return [*kept, self._closed(path.word)]
        first, second = found
        head = first if first.right == label else self._flipped(first)
        tail = second if second.left == label else self._flipped(second)
        word = head.word + tail.word
        if len(word) > LONGEST:
            raise _too_large()
        return [*kept, _turned(Path(head.left, word, tail.right), self.symmetric)]

    def _flipped(self, path: Path) -> Path:
        return Path(path.right, flipped(path.word, self.symmetric), path.left)

    def _closed(self, word: Word) -> Cycle:
        """Return a cycle in its least spelling among rotations and the transpose."""
        other = flipped(word, self.symmetric)
        count = range(max(len(word), 1))
        return Cycle(min(w[i:] + w[:i] for w in (word, other) for i in count))

    def _contracted(self, part: Any, scalars: dict[Any, Fraction]) -> Any:
        """Replace adjacent factors that share the width by the block that they make."""
        if not self.neighbours or not part.word:
            return part
        word = self._rotated(part.word) if isinstance(part, Cycle) else part.word
        out: list[Factor] = []
        for factor in word:
            pair = self.neighbours.get((out[-1], factor)) if out else None
            if pair is None:
                out.append(factor)
                continue
            out[-1] = pair[0]
            for name, power in pair[1]:
                scalars[name] = scalars.get(name, Fraction(0)) + power
        if isinstance(part, Cycle):
            return self._closed(tuple(out))
        return _turned(Path(part.left, tuple(out), part.right), self.symmetric)

    def _rotated(self, word: Word) -> Word:
        """Begin a cycle at a factor that does not contract with the one before it."""
        for i in range(len(word)):
            if (word[i - 1], word[i]) not in self.neighbours:
                return word[i:] + word[:i]
        return word[1:] + word[:1]

    def substituted(
        self, value: Contraction, matrices: Mapping[str, Contraction], scalars: Mapping[Any, Any]
    ) -> Contraction:
        """Return an expression with matrices and scalars replaced by expressions.

        Parameters
        ----------
        value : Contraction
        matrices : mapping from names to expressions with row and column open
        scalars : mapping from names to scalar expressions
            Their powers in the expression must be whole, unless they become single terms.
        """
        total = Contraction({}, value.sides)
        for monomial, c in value.terms.items():
            term = Contraction.number(c)
            for name, power in monomial.scalars:
                new = scalars.get(name)
                factor = Contraction.scalar(name, power) if new is None else self.power(new, power)
                term = self.product(term, factor)
            for part in monomial.parts:
                term = self.product(term, self._part(part, matrices))
            total = total + term
        return Contraction(total.terms, value.sides)

    def _part(self, part: Path | Cycle, matrices: Mapping[str, Contraction]) -> Contraction:
        """Return a path or a cycle multiplied out again, with factors replaced."""
        if not any(name in matrices for name, _ in part.word):
            return Contraction({Monomial((), (part,)): Fraction(1)}, _own_sides(part))
        chain: Contraction | None = None
        for piece in self._pieces(part.word, matrices):
            chain = piece if chain is None else self._after(chain, piece)
        if chain is None:
            raise ValueError("an empty chain has no factors to replace")
        if isinstance(part, Cycle):
            return self.traced(chain, "<a>", "<b>") if chain.sides else chain
        ends = {"<a>": part.left, "<b>": part.right}
        return self._opened(chain, ends)

    def _pieces(self, word: Word, matrices: Mapping[str, Contraction]) -> Iterable[Contraction]:
        """Yield the runs of factors that stay, and the replacements between them."""
        kept: list[Factor] = []
        for name, flip in (*word, ("", False)):
            if name and name not in matrices:
                kept.append((name, flip))
                continue
            if kept:
                path = _turned(Path("<a>", tuple(kept), "<b>"), self.symmetric)
                yield Contraction({Monomial((), (path,)): Fraction(1)}, {"<a>": "?", "<b>": "?"})
                kept = []
            if name:
                table = {ROW: "<b>", COLUMN: "<a>"} if flip else {ROW: "<a>", COLUMN: "<b>"}
                yield self.renamed(matrices[name], table)

    def _after(self, chain: Contraction, new: Contraction) -> Contraction:
        return self.product(self.renamed(chain, {"<b>": "<c>"}), self.renamed(new, {"<a>": "<c>"}))

    def _opened(self, value: Contraction, table: Mapping[str, str]) -> Contraction:
        """Return a chain with its two ends as they stood, which may be cuts."""
        found = self.renamed(value, table)
        return Contraction(found.terms, {k: v for k, v in found.sides.items() if k != CUT})

    def power(self, value: Contraction, exponent: Any) -> Contraction:
        """Return a power of a scalar expression; of a single term, also a negative or half one.

        Raises
        ------
        NotPolynomial
            If the power is not a polynomial in contractions.
        ClaimError
            If it is too large.
        """
        own = Fraction(exponent)
        if own.denominator == 1 and own >= 0:
            out = Contraction.number(1)
            for _ in range(int(own)):
                out = self.product(out, value)
            return out
        if len(value.terms) != 1:
            raise NotPolynomial("a negative or broken power of a sum")
        ((monomial, c),) = value.terms.items()
        root = _rational_power(c, own)
        if monomial.parts or root is None:
            raise NotPolynomial("a negative or broken power of a product of matrices")
        if own.denominator != 1 and any(self._may_be_negative(s) for s, _ in monomial.scalars):
            raise NotPolynomial("a root of a scalar of unknown sign")
        scalars = tuple((name, e * own) for name, e in monomial.scalars)
        return Contraction({Monomial(scalars, ()): root}, {})

    def _may_be_negative(self, scalar: Any) -> bool:
        if isinstance(scalar, str):
            return scalar.rstrip("'") in self.signed
        return bool(scalar.is_signed)


def flipped(word: Word, symmetric: frozenset[str]) -> Word:
    """Return a word transposed; symmetric factors stay as they are."""
    return tuple((name, name not in symmetric and not t) for name, t in reversed(word))


def _turned(path: Path, symmetric: frozenset[str]) -> Path:
    """Return a path in the lesser of its two directions."""
    return min(path, Path(path.right, flipped(path.word, symmetric), path.left))


def in_order(parts: Iterable[Path | Cycle]) -> tuple[Path | Cycle, ...]:
    """Return the parts of a monomial in their one order: paths, then cycles."""
    return tuple(sorted(parts, key=lambda p: (isinstance(p, Cycle), p)))


def _own_sides(part: Path | Cycle) -> dict[str, str]:
    if isinstance(part, Cycle):
        return {}
    return {end: "?" for end in (part.left, part.right) if end != CUT}


def _order(pair: tuple[Any, Fraction]) -> str:
    return str(pair[0])


def _bounded(terms: dict[Monomial, Fraction], sides: Mapping[str, str]) -> Contraction:
    if len(terms) > MOST_TERMS:
        raise _too_large()
    return Contraction(terms, dict(sides))


def _too_large() -> ClaimError:
    return ClaimError(
        f"the claim is too large to judge: multiplied out, it exceeds {MOST_TERMS} terms or "
        f"{LONGEST} factors in a chain; shorten it or lower its powers"
    )


def _rational_power(number: Fraction, exponent: Fraction) -> Fraction | None:
    if exponent.denominator == 1:
        return number**exponent.numerator
    tops = math.isqrt(abs(number.numerator)), math.isqrt(number.denominator)
    if exponent.denominator != 2 or number <= 0:
        return None
    if (tops[0] ** 2, tops[1] ** 2) != (number.numerator, number.denominator):
        return None
    return Fraction(*tops) ** exponent.numerator
