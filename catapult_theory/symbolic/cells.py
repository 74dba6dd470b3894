"""Where conditions on one parameter hold, exactly: the cells between the roots of polynomials.

Between neighbouring real roots of a set of polynomials no sign changes, so that one rational point
decides a whole cell. Roots are algebraic numbers, isolated and compared exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import sympy as sp


@dataclass(frozen=True)
class Cell:
    """An open interval of the parameter and a rational point inside it.

    Parameters
    ----------
    low, high : sympy.Expr
        Roots of the polynomials, or infinite.
    sample : sympy.Rational
    """

    low: sp.Expr
    high: sp.Expr
    sample: sp.Rational


def cells(
    polynomials: Iterable[sp.Expr],
    x: sp.Symbol,
    low: sp.Expr = -sp.oo,
    high: sp.Expr = sp.oo,
) -> tuple[Cell, ...]:
    """Return the open intervals between the real roots of polynomials.

    Parameters
    ----------
    polynomials : iterable of sympy.Expr
        In ``x`` alone, rational coefficients.
    x : Symbol
    low, high : sympy.Expr
        Ends of the range.

    Returns
    -------
    tuple of Cell

    Examples
    --------
    >>> c = sp.Symbol("c")
    >>> [(cell.low, cell.high) for cell in cells([c**2 - 2], c, low=sp.S.Zero)]
    [(0, sqrt(2)), (sqrt(2), oo)]
    """
    roots = {r: None for part in _irreducible(polynomials, x) for r in sp.real_roots(part)}
    inside = [r for r in roots if low < r < high]
    ends = [low, *sorted(inside, key=lambda r: r.evalf(60)), high]
    return tuple(Cell(a, b, _between(a, b)) for a, b in pairwise(ends))


def where(
    holds: Callable[[sp.Rational], bool], found: Iterable[Cell]
) -> tuple[tuple[sp.Expr, sp.Expr], ...]:
    """Return the intervals on whose cells a question is answered with yes, neighbours joined.

    Parameters
    ----------
    holds : callable
        Constant on each cell; asked at its rational point, and at the root between two cells
        that both say yes.
    found : iterable of Cell
        In order.

    Returns
    -------
    tuple of pairs
        Open intervals, in order.

    Examples
    --------
    >>> c = sp.Symbol("c")
    >>> where(lambda s: bool(s**2 < 2), cells([c**2 - 2], c))
    ((-sqrt(2), sqrt(2)),)
    """
    joined: list[tuple[sp.Expr, sp.Expr]] = []
    for cell in found:
        if not holds(cell.sample):
            continue
        if joined and joined[-1][1] == cell.low and holds(cell.low):
            joined[-1] = (joined[-1][0], cell.high)
        else:
            joined.append((cell.low, cell.high))
    return tuple(joined)


def _irreducible(polynomials: Iterable[sp.Expr], x: sp.Symbol) -> list[sp.Poly]:
    """Return the distinct irreducible factors that contain the parameter."""
    found: dict[sp.Poly, None] = {}
    for polynomial in dict.fromkeys(polynomials):
        numerator = sp.Poly(sp.fraction(sp.together(polynomial))[0], x)
        found |= {part: None for part, _ in numerator.factor_list()[1]}
    return list(found)


def _between(low: sp.Expr, high: sp.Expr) -> sp.Rational:
    if low == -sp.oo:
        return sp.Integer(0) if high == sp.oo else sp.floor(high) - 1
    if high == sp.oo:
        return sp.floor(low) + 1
    digits = 20
    while True:
        middle = sp.Rational(str(((low + high) / 2).evalf(digits)))
        if low < middle < high:
            return middle.limit_denominator(10**6) if _inside(low, high, middle) else middle
        digits *= 2


def _inside(low: sp.Expr, high: sp.Expr, middle: sp.Rational) -> bool:
    return bool(low < middle.limit_denominator(10**6) < high)
