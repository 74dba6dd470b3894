"""Quotients of polynomials over the rationals, kept over a factored denominator.

The arithmetic that decides identities: sums and products are expanded exactly, common
factors are cancelled only on request, so that no step costs more than its size says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.polys.rings import PolyElement, PolyRing

# Factoring is exact but has bad cases; beyond this size a difference is shown unfactored.
FACTOR_TERMS = 160
FACTOR_DEGREE = 26
FACTOR_BITS = 200


@dataclass(frozen=True)
class Quotient:
    """A numerator over powers of primitive divisors, all in one polynomial ring.

    Parameters
    ----------
    top : PolyElement
    divisors : mapping
        From primitive polynomials with positive leading coefficient to powers.
    """

    top: PolyElement
    divisors: Mapping[PolyElement, int]

    @property
    def ring(self) -> PolyRing:
        """The polynomial ring of numerator and divisors."""
        return self.top.ring

    @property
    def bottom(self) -> PolyElement:
        """The denominator, multiplied out."""
        product = self.ring.one
        for divisor, power in self.divisors.items():
            product *= divisor**power
        return product

    def __add__(self, other: Quotient) -> Quotient:
        shared = {
            d: max(self.divisors.get(d, 0), other.divisors.get(d, 0))
            for d in {**self.divisors, **other.divisors}
        }
        return Quotient(self._over(shared) + other._over(shared), shared)

    def _over(self, shared: Mapping[PolyElement, int]) -> PolyElement:
        top = self.top
        for divisor, power in shared.items():
            top *= divisor ** (power - self.divisors.get(divisor, 0))
        return top

    def __mul__(self, other: Quotient) -> Quotient:
        divisors = dict(self.divisors)
        for d, power in other.divisors.items():
            divisors[d] = divisors.get(d, 0) + power
        return Quotient(self.top * other.top, divisors)

    def power(self, exponent: int) -> Quotient:
        """Return an integer power; negative ones need a numerator that is not zero."""
        if exponent < 0:
            return self.inverse().power(-exponent)
        return Quotient(self.top**exponent, {d: p * exponent for d, p in self.divisors.items()})

    def inverse(self) -> Quotient:
        """Return one over the quotient.

        Raises
        ------
        ZeroDivisionError
            If the numerator is zero.
        """
        if not self.top:
            raise ZeroDivisionError("one over a quotient that is zero")
        content, primitive = self.top.primitive()
        if primitive.LC < 0:
            content, primitive = -content, -primitive
        divisors: dict[PolyElement, int] = {}
        if primitive.is_term:
            (exponents, _), *_ = primitive.terms()
            divisors = {g: e for g, e in zip(self.ring.gens, exponents, strict=True) if e}
        else:
            divisors[primitive] = 1
        return Quotient(self.bottom * (1 / content), divisors)

    def cancelled(self) -> Quotient:
        """Return the quotient without factors that numerator and divisors share."""
        top, divisors = self.top, {}
        if not top:
            return Quotient(top, {})
        for divisor, power in self.divisors.items():
            left = power
            while left and not top.rem(divisor):
                top, left = top.exquo(divisor), left - 1
            if left:
                divisors[divisor] = left
        return Quotient(top, divisors)

    def as_expr(self) -> sp.Expr:
        """Return the quotient as a SymPy expression, factored where that is cheap."""
        own = self.cancelled()
        bottom = sp.Mul(*(factored(d) ** p for d, p in own.divisors.items()))
        return factored(own.top) / bottom


def is_small(polynomial: PolyElement) -> bool:
    """Return whether factoring the polynomial is known to be quick."""
    degree = max((sum(m) for m in polynomial.monoms()), default=0)
    if len(polynomial) > FACTOR_TERMS or degree > FACTOR_DEGREE:
        return False
    coefficients = polynomial.coeffs()
    bits = max((int(c.numerator).bit_length() for c in coefficients), default=0)
    return bits <= FACTOR_BITS


def factors_of(polynomial: PolyElement) -> tuple[Any, list[tuple[PolyElement, int]]]:
    """Return the constant and the irreducible factors with their multiplicities.

    A polynomial too large to factor is split into its monomial content and the rest.
    """
    ring = polynomial.ring
    lowest = [min(e) for e in zip(*polynomial.monoms(), strict=True)]
    found = [(g, e) for g, e in zip(ring.gens, lowest, strict=True) if e]
    rest = polynomial
    for generator, power in found:
        rest = rest.exquo(generator**power)
    if not is_small(rest):
        content, rest = rest.primitive()
        return content, [*found, (rest, 1)]
    content, more = rest.factor_list()
    return content, found + list(more)


def factored(polynomial: PolyElement) -> sp.Expr:
    """Return a polynomial as a SymPy product of factors."""
    if not polynomial:
        return sp.S.Zero
    content, factors = factors_of(polynomial)
    parts = [f.as_expr() ** p for f, p in factors]
    return sp.Mul(sp.Rational(content.numerator, content.denominator), *parts)


def convert(expression: sp.Expr, ring: PolyRing) -> Quotient:
    """Return a rational expression in the ring's symbols as a quotient.

    Parameters
    ----------
    expression : sympy.Expr
        Of sums, products and integer powers.
    ring : PolyRing

    Raises
    ------
    ZeroDivisionError
        If it divides by an expression that is zero.

    Examples
    --------
    >>> from sympy.polys.rings import ring
    >>> R, x, y = ring("x y", sp.QQ)
    >>> X, Y = sp.symbols("x y")
    >>> convert((X**2 - Y**2) / (X - Y), R).as_expr()
    x + y
    """
    if expression.is_Symbol:
        return Quotient(ring(expression), {})
    if expression.is_Rational:
        return Quotient(ring(sp.QQ(int(expression.p), int(expression.q))), {})
    if expression.is_Add or expression.is_Mul:
        first, *rest = (convert(a, ring) for a in expression.args)
        for other in rest:
            first = first + other if expression.is_Add else first * other
        return first
    if expression.is_Pow and expression.exp.is_Integer:
        return convert(expression.base, ring).power(int(expression.exp))
    raise TypeError(f"{expression} is no quotient of polynomials")
