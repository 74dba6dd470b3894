"""Bounds on claims: a text is refused before anything large is computed with it.

A claim is judged by expanding it to a quotient of polynomials. Its size (the terms, the
degree and the digits that the expansion can reach) follows from the sizes of its parts,
so that an upper bound is known before the first product is formed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from catapult_theory.errors import ClaimError

TEXT = 2000
TOKENS = 500
DEPTH = 30
EXPONENT = 16
NUMBER_DIGITS = 40
TERMS = 1500
DEGREE = 160
DIGITS = 1500
NODES = 600
NESTED_FUNCTIONS = 3
# A quotient in more symbols than this is bounded by its terms alone.
_SYMBOLS = 7


@dataclass(frozen=True)
class Size:
    """Upper bounds on an expression written as a quotient of expanded polynomials.

    Parameters
    ----------
    terms, degree : int
        Of the numerator.
    digits : int
        Decimal digits of the largest coefficient.
    divisors : mapping
        From each factor of the denominator to (terms, degree, power).
    """

    terms: int = 1
    degree: int = 0
    digits: int = 1
    divisors: Mapping[Any, tuple[int, int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        dense = math.comb(min(self.degree, 400) + _SYMBOLS, _SYMBOLS)
        object.__setattr__(self, "terms", min(self.terms, dense))

    def plus(self, other: Size) -> Size:
        """Return the size of a sum, over the least common denominator."""
        shared = _common(self.divisors, other.divisors)
        left, right = self._over(shared), other._over(shared)
        return Size(
            left.terms + right.terms,
            max(left.degree, right.degree),
            max(left.digits, right.digits) + 1,
            shared,
        )

    def _over(self, shared: Mapping[Any, tuple[int, int, int]]) -> Size:
        grown = Size(self.terms, self.degree, self.digits)
        for key, (terms, degree, power) in shared.items():
            missing = power - self.divisors.get(key, (0, 0, 0))[2]
            grown = grown.times(Size(terms, degree).power(missing))
        return grown

    def times(self, other: Size) -> Size:
        """Return the size of a product."""
        divisors = dict(self.divisors)
        for key, (terms, degree, power) in other.divisors.items():
            divisors[key] = (terms, degree, power + divisors.get(key, (0, 0, 0))[2])
        return Size(
            self.terms * other.terms,
            self.degree + other.degree,
            self.digits + other.digits,
            divisors,
        )

    def power(self, exponent: int) -> Size:
        """Return the size of a non-negative integer power."""
        ways = math.comb(min(self.terms, 5000) + exponent - 1, exponent) if exponent else 1
        divisors = {k: (t, d, p * exponent) for k, (t, d, p) in self.divisors.items() if exponent}
        return Size(ways, self.degree * exponent, max(self.digits * exponent, 1), divisors)

    def inverse(self, key: Any) -> Size:
        """Return the size of 1 over an expression; ``key`` names it as a divisor."""
        top = Size()
        for terms, degree, power in self.divisors.values():
            top = top.times(Size(terms, degree).power(power))
        return Size(top.terms, top.degree, top.digits, {key: (self.terms, self.degree, 1)})

    def check(self, where: str) -> Size:
        """Return the size itself, or refuse a claim that is too large.

        Raises
        ------
        ClaimError
            If expanding the expression could exceed a bound.
        """
        degree = self.degree + sum(d * p for _, d, p in self.divisors.values())
        if self.terms > TERMS or degree > DEGREE or self.digits > DIGITS:
            raise ClaimError(
                f"the claim is too large to judge{where}: expanded, it may reach {self.terms} "
                f"terms of degree {degree} with {self.digits} digits (at most {TERMS}, {DEGREE} "
                f"and {DIGITS}); "
                "shorten it or lower its powers"
            )
        return self


def _common(
    left: Mapping[Any, tuple[int, int, int]], right: Mapping[Any, tuple[int, int, int]]
) -> dict[Any, tuple[int, int, int]]:
    shared = dict(left)
    for key, (terms, degree, power) in right.items():
        shared[key] = (terms, degree, max(power, shared.get(key, (0, 0, 0))[2]))
    return shared


SYMBOL = Size(1, 1)


def size_of(expression: sp.Expr, leaves: Mapping[sp.Symbol, Size], where: str = "") -> Size:
    """Return an upper bound on the size of a SymPy expression.

    Parameters
    ----------
    expression : sympy.Expr
    leaves : mapping
        Sizes of symbols that stand for larger expressions.
    where : str
        A phrase for the error, such as " at position 3".

    Returns
    -------
    Size

    Raises
    ------
    ClaimError
        If a bound is exceeded.

    Examples
    --------
    >>> x, y = sp.symbols("x y")
    >>> size_of((x + y)**3, {}).terms
    4
    """
    if isinstance(expression, sp.Symbol):
        return leaves.get(expression, SYMBOL)
    if isinstance(expression, sp.Rational):
        digits = _digits(expression)
        return Size(1, 0, digits).check(where)
    if isinstance(expression, (sp.Add, sp.Mul)):
        parts = [size_of(a, leaves, where) for a in expression.args]
        total = parts[0]
        for part in parts[1:]:
            step = total.plus if isinstance(expression, sp.Add) else total.times
            total = step(part).check(where)
        return total
    if isinstance(expression, sp.Pow) and expression.exp.is_Rational:
        base, exponent = expression.args
        return power_size(size_of(base, leaves, where), base, exponent, where)
    for argument in expression.args:
        size_of(argument, leaves, where)
    return SYMBOL


def power_size(size: Size, base: sp.Expr, exponent: sp.Rational, where: str) -> Size:
    """Return the size of a power with a rational exponent; a root counts as a new symbol.

    Raises
    ------
    ClaimError
        If the exponent or the size of the power exceeds its bound.
    """
    whole = exponent if exponent.is_Integer else 2 * exponent
    if abs(whole) > 4 * EXPONENT:
        raise ClaimError(f"exponent {exponent}{where} is too large: at most {EXPONENT}")
    if not exponent.is_Integer:
        size = SYMBOL
    if whole >= 0:
        return size.power(int(whole)).check(where)
    return size.inverse(base).power(int(-whole)).check(where)


def _digits(number: sp.Rational) -> int:
    bits = max(int(number.p).bit_length(), int(number.q).bit_length())
    return max(1, math.ceil(bits * 0.302))
