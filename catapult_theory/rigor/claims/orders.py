"""The order in 1/n of an expression under a scaling of the state.

Polynomials and their quotients: exact, by the largest weighted degree (distinct monomials
do not cancel for a generic state). Other expressions: the slope in n at a generic rational
state, read off between n = 10^60 and 10^80 in three hundred digits and rounded to quarters.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

import mpmath
import numpy as np
import sympy as sp
from sympy.polys.rings import PolyElement

from catapult_theory.rigor.claims.generators import Generators, ring_of
from catapult_theory.rigor.claims.points import Undefined, precise
from catapult_theory.rigor.claims.positivity import values
from catapult_theory.rigor.claims.quotient import convert
from catapult_theory.rigor.claims.reading import Scaling

_WIDTHS = (60, 80)
_DIGITS = 400
# A slope is a multiple of a quarter up to O(10^-60 / 4); a wrong one misses by much more.
_SLOPE_TOLERANCE = mpmath.mpf(10) ** -8


def order_of(expression: sp.Expr, scaling: Scaling) -> Fraction | None:
    """Return the exponent of n with which an expression grows at a generic state.

    Parameters
    ----------
    expression : sympy.Expr
        In state variables and parameters; not identically zero.
    scaling : Scaling

    Returns
    -------
    Fraction or None
        None if it follows no power of n that could be read off.

    Examples
    --------
    >>> from catapult_theory.symbolic.symbols import f, lam, n
    >>> order_of(f**2 / n * (lam - 4), Scaling({n: Fraction(1)}))
    Fraction(-1, 1)
    """
    generators, (lifted,) = Generators.of([expression])
    if set(generators.meaning) <= set(generators.roots.values()):
        return _exact(lifted, generators, scaling)
    return _slope(expression, scaling)


def _exact(lifted: sp.Expr, generators: Generators, scaling: Scaling) -> Fraction | None:
    quotient = convert(lifted, ring_of([lifted], generators)).cancelled()
    if not quotient.top:
        return None
    weights = _weights(quotient.ring.symbols, generators, scaling)
    divisors = quotient.divisors.items()
    return _weight(quotient.top, weights) - sum(
        (power * _weight(d, weights) for d, power in divisors), Fraction(0)
    )


def _weights(
    symbols: Sequence[sp.Symbol], generators: Generators, scaling: Scaling
) -> list[Fraction]:
    halves = {root: symbol for symbol, root in generators.roots.items()}
    return [scaling.of(halves[s]) / 2 if s in halves else scaling.of(s) for s in symbols]


def _weight(polynomial: PolyElement, weights: Sequence[Fraction]) -> Fraction:
    return max(_dot(exponents, weights) for exponents in polynomial.monoms())


def _dot(exponents: Sequence[int], weights: Sequence[Fraction]) -> Fraction:
    return sum((e * w for e, w in zip(exponents, weights, strict=True)), Fraction(0))


def _slope(expression: sp.Expr, scaling: Scaling) -> Fraction | None:
    """Return the largest slope over states of different signs and sizes, which |f| and what
    is in pieces need: two sides that agree near zero may differ further out."""
    kinds = itertools.product(range(4), (1, 12))
    slopes = [_slope_at(expression, scaling, signs, size) for signs, size in kinds]
    return max((slope for slope in slopes if slope is not None), default=None)


def _slope_at(expression: sp.Expr, scaling: Scaling, signs: int, size: int) -> Fraction | None:
    found = []
    with mpmath.workdps(_DIGITS):
        for power in _WIDTHS:
            try:
                point = _state(expression, scaling, mpmath.mpf(10) ** power, signs, size)
                found.append(abs(precise(expression, point, _DIGITS)))
            except (Undefined, OverflowError):
                return None
        if min(found) < mpmath.mpf(10) ** (40 - _DIGITS):
            return None
        slope = mpmath.log10(found[1] / found[0]) / (_WIDTHS[1] - _WIDTHS[0])
        rounded = mpmath.nint(4 * slope)
        if abs(4 * slope - rounded) > _SLOPE_TOLERANCE:
            return None
        return Fraction(int(rounded), 4)


def _state(
    expression: sp.Expr, scaling: Scaling, width: mpmath.mpf, signs: int, size: int
) -> dict[sp.Symbol, mpmath.mpf]:
    """Return a generic state of size O(1) times the scales, inside |f| <= sqrt(n) lam / 2.

    What may be negative and is O(1) is so many times as large."""
    point = {}
    for i, s in enumerate(sorted(expression.free_symbols, key=lambda s: s.name)):
        positive = mpmath.mpf(7 + i) / 6
        signed = mpmath.mpf((-1) ** (signs >> (i % 2))) / (4 + i)
        exponent = scaling.of(s)
        if not s.is_nonnegative:
            positive = signed * (size if exponent == 0 else 1)
        point[s] = width if s.name == "n" else positive * width ** _number(exponent)
    return point


def _number(exponent: Fraction) -> mpmath.mpf:
    return mpmath.mpf(exponent.numerator) / exponent.denominator


def leaves_domain(constraints: Sequence[sp.Expr], scaling: Scaling) -> bool:
    """Return whether no state of a scaling meets nonnegativity constraints at large n.

    Parameters
    ----------
    constraints : sequence of sympy.Expr
        Polynomial or rational, up to square roots of symbols.
    scaling : Scaling

    Examples
    --------
    >>> from catapult_theory.symbolic.symbols import f, lam, n
    >>> domain = [lam - 2 * f / sp.sqrt(n), lam + 2 * f / sp.sqrt(n)]
    >>> half, one = (Scaling({n: Fraction(1), f: Fraction(k, 2)}) for k in (1, 2))
    >>> leaves_domain(domain, half), leaves_domain(domain, one)
    (False, True)
    """
    generators, lifted = Generators.of(constraints)
    if not set(generators.meaning) <= set(generators.roots.values()):
        return False
    ring = ring_of(lifted, generators)
    weights = _weights(ring.symbols, generators, scaling)
    forms = [_leading(convert(e, ring).cancelled().top, weights) for e in lifted]
    random = np.random.default_rng(5)
    points = random.normal(size=(len(ring.symbols), 4000))
    for at, s in enumerate(ring.symbols):
        if s.is_nonnegative:
            points[at] = abs(points[at])
    inside = np.all([values(form, points) >= 0 for form in forms], axis=0)
    return not bool(inside.any())


def _leading(polynomial: PolyElement, weights: Sequence[Fraction]) -> PolyElement:
    top = _weight(polynomial, weights)
    terms = {e: c for e, c in polynomial.terms() if _dot(e, weights) == top}
    return polynomial.ring.from_dict(terms)
