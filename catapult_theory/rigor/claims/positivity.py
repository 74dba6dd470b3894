"""A small exact prover for "this polynomial is nonnegative where those are".

Every rule is sound on its own: signs of terms, factors, exact real-root isolation in one
symbol, Bernstein coefficients between two bounds, shifts past one bound, discriminants,
and cases by the sign of a symbol. The search is bounded by a count of steps, not by time,
so that a verdict does not depend on the machine. A rule that does not apply proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import sympy as sp
from sympy.polys.rings import PolyElement, PolyRing

from catapult_theory.rigor.claims.quotient import factors_of, is_small
from catapult_theory.rigor.claims.real_roots import decided_on_line
from catapult_theory.rigor.claims.size import Size

STEPS = 300
WORK = 1500
_DEPTH = 7
_SAMPLES = 600
_BOUNDS = 5
_SUBSTITUTED = 600


@dataclass(frozen=True)
class Known:
    """A polynomial that is nonnegative, or positive where strict, and why."""

    polynomial: PolyElement
    strict: bool
    source: str


@dataclass(frozen=True)
class Bound:
    """A bound top/bottom on a symbol, with a positive bottom."""

    top: PolyElement
    bottom: PolyElement
    strict: bool

    def __str__(self) -> str:
        return str(self.top.as_expr() / self.bottom.as_expr())


Region = tuple[Known, ...]


def coefficients(polynomial: PolyElement, at: int) -> list[PolyElement]:
    """Return the coefficients in one generator of a ring, the constant one first.

    Examples
    --------
    >>> from sympy.polys.rings import ring
    >>> R, x, y = ring("x y", sp.QQ)
    >>> coefficients(x**2 * y + 3, 0)
    [3, 0, y]
    """
    ring = polynomial.ring
    parts: dict[int, Any] = {}
    for exponents, number in polynomial.terms():
        left = (*exponents[:at], 0, *exponents[at + 1 :])
        parts.setdefault(exponents[at], {})[left] = number
    degree = max(parts, default=0)
    return [ring.from_dict(parts.get(i, {})) for i in range(degree + 1)]


@dataclass
class Budget:
    """Work that is left for all proofs of one claim, in units of a small step.

    Counted instead of timed, so that a verdict is the same on every machine.
    """

    left: int = WORK


@dataclass
class Prover:
    """A search for a proof, with a budget of steps.

    Parameters
    ----------
    squares : mapping from generator index to polynomial
        Radicals t of the ring and what t^2 equals.
    facts : frozenset of PolyElement
        Primitive polynomials known to be nonnegative, used where they match and nowhere else.
    budget : Budget
        Shared by all proofs of one claim.
    """

    ring: PolyRing
    squares: dict[int, PolyElement] = field(default_factory=dict)
    facts: frozenset[PolyElement] = frozenset()
    budget: Budget = field(default_factory=Budget)
    steps: int = STEPS
    _memo: dict[Any, str | None] = field(default_factory=dict)
    _points: dict[Region, np.ndarray] = field(default_factory=dict)

    def prove(self, goal: PolyElement, strict: bool, region: Region, depth: int = 0) -> str | None:
        """Return how a polynomial is seen to be nonnegative (positive if strict), or None.

        Parameters
        ----------
        goal : PolyElement
        strict : bool
        region : tuple of Known
            What may be assumed.

        Returns
        -------
        str or None
            The rule that applies, in words.
        """
        if goal.is_ground:
            number = goal.LC if goal else 0
            return "a number" if number > 0 or (number == 0 and not strict) else None
        goal = goal.primitive()[1]
        key = goal, strict, region
        if key not in self._memo:
            self._memo[key] = None
            self._memo[key] = self._search(goal, strict, region, depth)
        return self._memo[key]

    def _search(self, goal: PolyElement, strict: bool, region: Region, depth: int) -> str | None:
        cost = 1 + len(goal) * _degree(goal) // 30
        self.steps, self.budget.left = self.steps - cost, self.budget.left - cost
        if self.steps < 0 or self.budget.left < 0 or depth > _DEPTH:
            return None
        if simple := self._by_terms(goal, strict, region) or _among(goal, strict, region):
            return simple
        if goal in self.facts and not strict:
            return "the state after the step is one of a network"
        if not is_small(goal) or self._refuted(goal, region):
            return None
        _, factors = factors_of(goal)
        if len(factors) > 1 or factors[0][1] > 1:
            return self._by_factors(goal, strict, region, depth)
        used = [i for i in range(len(self.ring.gens)) if goal.degree(self.ring.gens[i]) > 0]
        if len(used) == 1:
            decided = self._on_line(goal, strict, region, used[0])
            if decided is not None:
                return f"real roots in {self.ring.symbols[used[0]]}" if decided else None
        for at in used:
            for reason in self._by_symbol(goal, strict, region, at, depth):
                if reason:
                    return reason
        return None

    def _by_terms(self, goal: PolyElement, strict: bool, region: Region) -> str | None:
        signs, products = _signs(region), _products(region)
        positive = False
        for exponents, number in goal.terms():
            found = _sign_of_term(exponents, number > 0, signs, products)
            if found is None:
                return None
            positive |= found
        return "nonnegative terms" if positive or not strict else None

    def _by_factors(
        self, goal: PolyElement, strict: bool, region: Region, depth: int
    ) -> str | None:
        content, factors = factors_of(goal)
        sign, reasons = (1 if content > 0 else -1), []
        for factor, power in factors:
            if power % 2 == 0:
                if strict and not self._nonzero(factor, region, depth):
                    return None
                reasons.append((factor, f"**{power} >= 0"))
                continue
            if reason := self.prove(factor, strict, region, depth + 1):
                reasons.append((factor, f" {'>' if strict else '>='} 0 ({reason})"))
            elif reason := self.prove(-factor, strict, region, depth + 1):
                sign = -sign
                reasons.append((factor, f" {'<' if strict else '<='} 0 ({reason})"))
            else:
                return None
        if sign < 0:
            return None
        return "factors: " + "; ".join(_worded(factor, how) for factor, how in reasons)

    def _nonzero(self, factor: PolyElement, region: Region, depth: int) -> bool:
        if any(k.strict and not k.polynomial.rem(factor) for k in region):
            return True
        proofs = (self.prove(s * factor, True, region, depth + 1) for s in (1, -1))
        return any(p is not None for p in proofs)

    def _on_line(self, goal: PolyElement, strict: bool, region: Region, at: int) -> bool | None:
        x = self.ring.gens[at]
        symbol = self.ring.symbols[at]
        own = [k for k in region if k.polynomial.degree(x) > 0]
        alone = [k for k in own if _symbols(k.polynomial) == {at}]
        constraints = [(sp.Poly(k.polynomial.as_expr(), symbol), k.strict) for k in alone]
        decided = decided_on_line(sp.Poly(goal.as_expr(), symbol), strict, constraints)
        return None if decided is False and len(alone) < len(own) else decided

    def _by_symbol(
        self, goal: PolyElement, strict: bool, region: Region, at: int, depth: int
    ) -> Iterator[str | None]:
        """Try every rule that removes one symbol."""
        lower, upper = self._bounds(region, at, depth)
        rest = self._without(region, at, lower, upper)
        name = self.ring.symbols[at]
        parts = coefficients(goal, at)
        if at in self.squares and len(parts) == 2:
            yield self._radical(parts, strict, region, at, depth)
        lower = [b for b in lower if _is_affordable(parts, b)]
        upper = [b for b in upper if _is_affordable(parts, b)]
        even = not any(parts[1::2])
        if even and len(parts) > 1:
            yield self._even(parts[::2], strict, rest, lower, upper, depth, name)
        for low in lower:
            for high in upper:
                yield self._between(parts, strict, rest, low, high, depth, name)
        for low in lower:
            yield self._past(_shifted(parts, low, 1), strict, rest, low.strict, depth, name)
        for high in upper:
            yield self._past(_shifted(parts, high, -1), strict, rest, high.strict, depth, name)
        if len(parts) == 3:
            yield self._discriminant(parts, strict, rest, depth, name)
        if at not in _signs(region) and (lower or upper or not even):
            yield self._by_sign(goal, strict, region, at, depth)

    def _bounds(self, region: Region, at: int, depth: int) -> tuple[list[Bound], list[Bound]]:
        lower, upper = [], []
        for known in region:
            parts = coefficients(known.polynomial, at)
            if len(parts) != 2:
                continue
            rest, slope = parts
            free = tuple(k for k in region if k.polynomial.degree(self.ring.gens[at]) <= 0)
            if self.prove(slope, True, free, depth + 2):
                lower.append(Bound(-rest, slope, known.strict))
            elif self.prove(-slope, True, free, depth + 2):
                upper.append(Bound(rest, -slope, known.strict))
        return lower[:_BOUNDS], upper[:_BOUNDS]

    def enriched(self, region: Region) -> Region:
        """Return a region with what follows from it by removing one symbol.

        Two bounds on a symbol are in order; of a product, factors of known sign are dropped.
        """
        found: list[Known] = list(region)
        for at in range(len(self.ring.gens)):
            lower, upper = self._bounds(region, at, _DEPTH - 3)
            found += self._without(region, at, lower, upper)
        return tuple(dict.fromkeys([*region, *(self._stripped(k, region) for k in found)]))

    def _stripped(self, known: Known, region: Region) -> Known:
        polynomial = known.polynomial
        self.budget.left -= 1 + len(polynomial) * _degree(polynomial) // 30
        if not is_small(polynomial) or self.budget.left < 0:
            return known
        _, factors = factors_of(polynomial)
        for factor, power in factors:
            for sign in (1, -1):
                if power % 2 and self.prove(sign * factor, True, region, _DEPTH - 3):
                    polynomial = polynomial.exquo(sign * factor)
                    break
        if polynomial.is_ground:
            return known
        return Known(polynomial.primitive()[1], known.strict, known.source)

    def _without(
        self, region: Region, at: int, lower: Sequence[Bound], upper: Sequence[Bound]
    ) -> Region:
        """Return what is known of the other symbols, including that bounds are in order."""
        x = self.ring.gens[at]
        kept = [k for k in region if k.polynomial.degree(x) <= 0]
        for low in lower:
            for high in upper:
                gap = high.top * low.bottom - low.top * high.bottom
                if not gap.is_ground:
                    gap = gap.primitive()[1]
                    kept.append(Known(gap, low.strict or high.strict, "bounds in order"))
        return tuple(dict.fromkeys(kept))

    def _all(self, goals: Sequence[PolyElement], region: Region, depth: int) -> bool:
        return all(self.prove(g, False, region, depth + 1) for g in goals)

    def _between(
        self, parts: Sequence[PolyElement], strict: bool, rest: Region, low: Bound, high: Bound,
        depth: int, name: Any,
    ) -> str | None:  # fmt: skip
        """Use the Bernstein coefficients of x = low + t (high - low), t in [0, 1]."""
        power = _in_unit_interval(parts, low, high)
        for degree in (len(power) - 1, len(power) + 1):
            bernstein = _bernstein(power, degree)
            if not self._all(bernstein, rest, depth):
                continue
            ends = [bernstein[i] for i, b in ((0, high), (-1, low)) if b.strict]
            candidates = bernstein if len(ends) == 2 else ends
            if not strict or any(self.prove(c, True, rest, depth + 1) for c in candidates):
                return f"Bernstein coefficients in {name} between {low} and {high}"
            if all(self.prove(c, True, rest, depth + 1) for c in bernstein):
                return f"Bernstein coefficients in {name} between {low} and {high}"
        return None

    def _past(
        self, shifted: Sequence[PolyElement], strict: bool, rest: Region, open_end: bool,
        depth: int, name: Any,
    ) -> str | None:  # fmt: skip
        """Use the coefficients in the distance from a bound."""
        if not self._all(shifted, rest, depth):
            return None
        candidates = shifted if open_end else shifted[:1]
        if strict and not any(self.prove(c, True, rest, depth + 1) for c in candidates):
            return None
        return f"nonnegative coefficients in {name} past its bound"

    def _even(
        self, parts: Sequence[PolyElement], strict: bool, rest: Region,
        lower: Sequence[Bound], upper: Sequence[Bound], depth: int, name: Any,
    ) -> str | None:  # fmt: skip
        """Treat a goal in even powers of x as one in x^2, between 0 and a squared bound."""
        zero = Bound(self.ring.zero, self.ring.one, False)
        for high in upper:
            opposite = [b for b in lower if b.top * high.bottom + high.top * b.bottom == 0]
            if opposite:
                # The square is below its bound only if neither end is reached.
                is_open = high.strict and any(low.strict for low in opposite)
                square = Bound(high.top**2, high.bottom**2, is_open)
                if reason := self._between(parts, strict, rest, zero, square, depth, f"{name}**2"):
                    return reason
        return self._past(parts, strict, rest, False, depth, f"{name}**2")

    def _discriminant(
        self, parts: Sequence[PolyElement], strict: bool, rest: Region, depth: int, name: Any
    ) -> str | None:
        constant, linear, lead = parts
        gap = 4 * lead * constant - linear**2
        if not (
            self._all([lead, constant], rest, depth) and self.prove(gap, strict, rest, depth + 1)
        ):
            return None
        return f"a quadratic in {name} without a change of sign"

    def _radical(
        self, parts: Sequence[PolyElement], strict: bool, region: Region, at: int, depth: int
    ) -> str | None:
        """Prove p + q t >= 0 for a root t by comparing p^2 with q^2 t^2."""
        p, q = parts
        square = self.squares[at]
        gap = p**2 - q**2 * square
        if self.prove(p, False, region, depth + 1):
            if self.prove(q, False, region, depth + 1) and not strict:
                return "both parts beside the root"
            return "squares compared" if self.prove(gap, strict, region, depth + 1) else None
        if self.prove(q, False, region, depth + 1) and self.prove(-gap, strict, region, depth + 1):
            return "squares compared"
        return None

    def _by_sign(
        self, goal: PolyElement, strict: bool, region: Region, at: int, depth: int
    ) -> str | None:
        x = self.ring.gens[at]
        side = Known(x, False, "case")
        mirrored = tuple(Known(_mirror(k.polynomial, at), k.strict, k.source) for k in region)
        right = self.prove(goal, strict, (*region, side), depth + 2)
        if not right:
            return None
        turned = self._turned(at)
        left = turned.prove(_mirror(goal, at), strict, (*mirrored, side), depth + 2)
        self.steps = turned.steps
        return f"cases by the sign of {self.ring.symbols[at]}" if left else None

    def _turned(self, at: int) -> Prover:
        """Return the prover for -x in place of x: what roots and facts say of x turns as well."""
        squares = {i: _mirror(p, at) for i, p in self.squares.items()}
        facts = frozenset(_mirror(p, at) for p in self.facts)
        if squares == self.squares and facts == self.facts:
            return self
        return replace(self, squares=squares, facts=facts, _memo={}, _points={})

    def _refuted(self, goal: PolyElement, region: Region) -> bool:
        """Return whether sample points rule a proof out; saves steps, decides nothing."""
        if region not in self._points:
            self._points[region] = _sample(region, len(self.ring.gens), self.squares)
        points = self._points[region]
        floor = -1e-9 * values(_size(goal), abs(points))
        return bool((values(goal, points) < floor).any())


def _worded(factor: PolyElement, how: str) -> str:
    text = str(factor.as_expr())
    return f"({text}){how}" if how.startswith("**") and len(factor) > 1 else f"{text}{how}"


def _among(goal: PolyElement, strict: bool, region: Region) -> str | None:
    for known in region:
        if known.polynomial == goal and (known.strict or not strict):
            return known.source
    return None


def _signs(region: Region) -> dict[int, bool]:
    """Return the generators known to be nonnegative, and whether they are positive."""
    signs: dict[int, bool] = {}
    for known in region:
        if known.polynomial.is_term and known.polynomial.LC > 0:
            (exponents, _), *_ = known.polynomial.terms()
            if sum(exponents) == 1:
                at = exponents.index(1)
                signs[at] = signs.get(at, False) or known.strict
    return signs


def _products(region: Region) -> list[tuple[tuple[int, ...], bool, bool]]:
    """Return the products of generators of known sign: exponents, whether >= 0, whether strict."""
    terms = [(k.polynomial, k.strict) for k in region if k.polynomial.is_term]
    own = [(p.monoms()[0], p.LC > 0, strict) for p, strict in terms]
    return [
        (exponents, up, strict) for exponents, up, strict in own if sum(exponents) > 1 or not up
    ]


def _sign_of_term(
    exponents: tuple[int, ...],
    up: bool,
    signs: Mapping[int, bool],
    products: Sequence[tuple[tuple[int, ...], bool, bool]],
) -> bool | None:
    """Return whether a term is positive, or None if it is not seen to be nonnegative.

    It is where its symbols are, or where a product of known sign is and the rest of it.
    """
    for taken, sign, strict in ((tuple(0 for _ in exponents), True, True), *products):
        rest = [e - t for e, t in zip(exponents, taken, strict=True)]
        if sign != up or min(rest, default=0) < 0:
            continue
        if all(e % 2 == 0 or i in signs for i, e in enumerate(rest)):
            return strict and all(signs.get(i, False) for i, e in enumerate(rest) if e)
    return None


def _symbols(polynomial: PolyElement) -> set[int]:
    return {i for exponents in polynomial.monoms() for i, e in enumerate(exponents) if e}


def _power(polynomial: PolyElement, exponent: int) -> PolyElement:
    """Return a power with p**0 = 1, also for p = 0."""
    return polynomial**exponent if exponent else polynomial.ring.one


def _mirror(polynomial: PolyElement, at: int) -> PolyElement:
    return polynomial.ring.from_dict({e: (-c if e[at] % 2 else c) for e, c in polynomial.terms()})


def _is_affordable(parts: Sequence[PolyElement], bound: Bound) -> bool:
    """Return whether a bound can be put in for a symbol without growing a goal too far."""
    degree = len(parts) - 1
    own = Size(max(len(bound.top), len(bound.bottom)), _degree(bound.top))
    size = own.power(degree)
    return size.terms * max(len(p) for p in parts) <= _SUBSTITUTED


def _degree(polynomial: PolyElement) -> int:
    return max((sum(m) for m in polynomial.monoms()), default=0)


def _shifted(parts: Sequence[PolyElement], bound: Bound, sign: int) -> list[PolyElement]:
    """Return the coefficients in s of bottom^d p(bound + sign s)."""
    ring = parts[0].ring
    degree = len(parts) - 1
    out = [ring.zero] * (degree + 1)
    for i, part in enumerate(parts):
        for j in range(i + 1):
            weight = math.comb(i, j) * sign**j
            out[j] += (
                part * _power(bound.top, i - j) * _power(bound.bottom, degree - i + j) * weight
            )
    return out


def _in_unit_interval(parts: Sequence[PolyElement], low: Bound, high: Bound) -> list[PolyElement]:
    """Return the coefficients in t of (bottoms)^d p(low + t (high - low))."""
    ring = parts[0].ring
    degree = len(parts) - 1
    start, bottom = low.top * high.bottom, low.bottom * high.bottom
    step = high.top * low.bottom - start
    out = [ring.zero] * (degree + 1)
    for i, part in enumerate(parts):
        scaled = part * _power(bottom, degree - i)
        for j in range(i + 1):
            out[j] += scaled * _power(start, i - j) * _power(step, j) * math.comb(i, j)
    return out


def _bernstein(power: Sequence[PolyElement], degree: int) -> list[PolyElement]:
    ring = power[0].ring
    out = []
    for j in range(degree + 1):
        total = ring.zero
        for i, part in enumerate(power[: j + 1]):
            total += part * sp.QQ(math.comb(j, i), math.comb(degree, i))
        out.append(total)
    return out


def _size(polynomial: PolyElement) -> PolyElement:
    return polynomial.ring.from_dict({e: abs(c) for e, c in polynomial.terms()})


def _as_float(number: Any) -> float:
    try:
        return int(number.numerator) / int(number.denominator)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def values(polynomial: PolyElement, points: np.ndarray) -> np.ndarray:
    """Return float64 values of a polynomial at points of shape (generators, count)."""
    total = np.zeros(points.shape[1])
    for exponents, number in polynomial.terms():
        term = np.full(points.shape[1], _as_float(number))
        for i, e in enumerate(exponents):
            if e:
                with np.errstate(all="ignore"):
                    term = term * points[i] ** e
        total += term
    return total


def _sample(region: Region, count: int, squares: Mapping[int, PolyElement]) -> np.ndarray:
    random = np.random.default_rng(20)
    size = np.exp(random.normal(scale=1.2, size=(count, _SAMPLES)))
    points = size * random.choice([-1.0, 1.0], size=(count, _SAMPLES))
    for at in _signs(region):
        points[at] = abs(points[at])
    inside = np.ones(_SAMPLES, dtype=bool)
    with np.errstate(all="ignore"):
        for _ in squares:  # a root may stand inside another
            for at, square in squares.items():
                points[at] = np.sqrt(values(square, points))
        inside &= np.isfinite(points).all(axis=0)
        for known in region:
            inside &= values(known.polynomial, points) > 0
    return np.asarray(points[:, inside])
