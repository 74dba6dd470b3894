"""Signs of polynomials in one symbol on a set given by polynomials, decided exactly.

The line is cut at the real roots of all polynomials involved; each piece is judged at a
rational point inside, each root by isolating intervals that are refined until no other
polynomial vanishes in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import sympy as sp

_MOST_DEGREE = 60
_REFINEMENTS = 200


def decided_on_line(
    goal: sp.Poly, strict: bool, constraints: Sequence[tuple[sp.Poly, bool]]
) -> bool | None:
    """Return whether a polynomial is nonnegative (or positive) where the constraints hold.

    Parameters
    ----------
    goal : sympy.Poly
        In one symbol, with rational coefficients.
    strict : bool
        Whether the goal must be positive.
    constraints : sequence of (sympy.Poly, strict)
        Polynomials that are nonnegative, or positive where strict.

    Returns
    -------
    bool or None
        None if the polynomials are too large, their roots too close, or the set is empty.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> inside = [(sp.Poly(x, x), False), (sp.Poly(2 - x, x), True)]
    >>> decided_on_line(sp.Poly(x * (x - 2) ** 2 / 4, x), False, inside)
    True
    """
    every = [goal, *(p for p, _ in constraints)]
    if sum(max(p.degree(), 0) for p in every) > _MOST_DEGREE:
        return None
    try:
        signs = _signs(every)
    except _TooClose:
        return None
    inside = [s for s in signs if _admitted(s[1:], constraints)]
    if not inside:
        return None
    return all(s[0] > 0 or (s[0] == 0 and not strict) for s in inside)


class _TooClose(ArithmeticError):
    """Roots that are not told apart by the refinements that are made."""


def _signs(every: Sequence[sp.Poly]) -> list[list[int]]:
    """Return the signs of polynomials between and at their real roots."""
    roots = sorted(_roots(_irreducible(every)), key=lambda r: r[1])
    signs = [[_at(p, x) for p in every] for x in _between(roots)]
    return signs + [_at_root(every, base, interval) for base, interval in roots]


def _admitted(signs: Sequence[int], constraints: Sequence[tuple[sp.Poly, bool]]) -> bool:
    return all(
        s > 0 or (s == 0 and not strict) for s, (_, strict) in zip(signs, constraints, strict=True)
    )


def _irreducible(polynomials: Sequence[sp.Poly]) -> list[sp.Poly]:
    found: dict[sp.Poly, None] = {}
    for polynomial in polynomials:
        if polynomial.degree() > 0:
            found |= {factor.monic(): None for factor, _ in polynomial.factor_list()[1]}
    return list(found)


def _roots(bases: Sequence[sp.Poly]) -> list[tuple[sp.Poly, tuple[sp.Rational, sp.Rational]]]:
    """Return isolating intervals of all real roots, refined until they are disjoint."""
    found = [(b, tuple(map(sp.Rational, i))) for b in bases for i, _ in b.intervals()]
    for _ in range(_REFINEMENTS):
        found.sort(key=lambda r: r[1])
        clash = [k for k in range(len(found) - 1) if found[k][1][1] >= found[k + 1][1][0]]
        if not clash:
            return found
        for k in {j for i in clash for j in (i, i + 1)}:
            found[k] = (found[k][0], _refined(*found[k]))
    raise _TooClose("real roots")


def _refined(
    base: sp.Poly, interval: tuple[sp.Rational, sp.Rational]
) -> tuple[sp.Rational, sp.Rational]:
    low, high = interval
    if low == high:
        return interval
    middle = (low + high) / 2
    value = base.eval(middle)
    if value == 0:
        return middle, middle
    return (low, middle) if base.eval(low) * value < 0 else (middle, high)


def _between(roots: Sequence[tuple[sp.Poly, tuple[sp.Rational, sp.Rational]]]) -> list[sp.Rational]:
    if not roots:
        return [sp.S.Zero]
    ends = [interval for _, interval in roots]
    inner = [(a[1] + b[0]) / 2 for a, b in pairwise(ends)]
    return [ends[0][0] - 1, *inner, ends[-1][1] + 1]


def _at(polynomial: sp.Poly, x: sp.Rational) -> int:
    return int(sp.sign(polynomial.eval(x)))


def _at_root(
    polynomials: Sequence[sp.Poly], base: sp.Poly, interval: tuple[sp.Rational, sp.Rational]
) -> list[int]:
    signs = []
    for polynomial in polynomials:
        if polynomial.is_zero or polynomial.rem(base).is_zero:
            signs.append(0)
            continue
        low, high = interval
        for _ in range(_REFINEMENTS):
            if low == high or polynomial.count_roots(low, high) == 0:
                break
            low, high = _refined(base, (low, high))
        else:
            raise _TooClose("a root and a sign")
        signs.append(_at(polynomial, (low + high) / 2))
    return signs
