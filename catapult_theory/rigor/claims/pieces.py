"""Expressions in pieces: which case holds at a point, and pieces that join as max and min.

A loss such as Huber's is one expression below a bound, another above a second, a third between.
If they join there, it is a sum of functions of max(x, lo) and min(x, hi), which exact algebra
reads; other pieces keep their conditions and are known by numbers alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp
from sympy.core.relational import Relational
from sympy.logic.boolalg import And, Not, Or

_LOWER = (sp.Lt, sp.Le)
_UPPER = (sp.Gt, sp.Ge)


def is_met(condition: Any, difference: Callable[[sp.Expr], Any]) -> bool:
    """Return whether the condition of a case is met.

    Parameters
    ----------
    condition : SymPy condition
        Relations, and what And, Or and Not make of them.
    difference : callable
        From an expression to its value, or its values at many points.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> outside = sp.Or(x < -1, x > 1)
    >>> [is_met(outside, lambda e, at=at: e.subs(x, at)) for at in (-2, 0, 2)]
    [True, False, True]
    """
    if isinstance(condition, Relational):
        return bool(condition.func(difference(condition.lhs - condition.rhs), 0))
    if isinstance(condition, And):
        return all(is_met(c, difference) for c in condition.args)
    if isinstance(condition, Or):
        return any(is_met(c, difference) for c in condition.args)
    if isinstance(condition, Not):
        return not is_met(condition.args[0], difference)
    return condition == sp.true


def joined(expression: sp.Expr) -> sp.Expr:
    """Return an expression with pieces that join written with max and min.

    For F = A(x) below lo, C(x) above hi and B(x) between, with A(lo) = B(lo) and C(hi) = B(hi),

        F(x) = B(max(lo, min(hi, x))) + A(min(x, lo)) - A(lo) + C(max(x, hi)) - C(hi).

    Examples
    --------
    >>> f, y = sp.symbols("f y", real=True)
    >>> joined(sp.Piecewise((-1, f - y < -1), (1, f - y > 1), (f - y, True)))
    Max(-1, Min(1, f - y))
    """
    table = {}
    for node in expression.atoms(sp.Piecewise):
        if (found := _joined(node)) is not None:
            table[node] = found
    return expression.xreplace(table)


def _joined(node: sp.Piecewise) -> sp.Expr | None:
    if len(node.args) != 3 or node.args[-1].cond != sp.true:
        return None
    bounds = [_bound(piece.cond) for piece in node.args[:2]]
    found = sorted((b for b in bounds if b is not None), key=lambda b: not b[0])
    if [b[0] for b in found] != [True, False] or found[0][1] != found[1][1]:
        return None
    pieces = [piece.expr for piece in node.args]
    below, above = pieces[:2] if bounds[0] == found[0] else pieces[1::-1]
    (_, inside, lo), (_, _, hi) = found
    return _sum(inside, lo, hi, (below, pieces[2], above))


def _bound(condition: Any) -> tuple[bool, sp.Expr, sp.Rational] | None:
    """Return whether a relation bounds from above, what, and by which number."""
    if not isinstance(condition, (*_LOWER, *_UPPER)) or not condition.rhs.is_Rational:
        return None
    return isinstance(condition, _LOWER), condition.lhs, condition.rhs


def _sum(
    inside: sp.Expr, lo: sp.Rational, hi: sp.Rational, pieces: tuple[sp.Expr, sp.Expr, sp.Expr]
) -> sp.Expr | None:
    linear = [s for s in inside.free_symbols if inside.coeff(s) == 1]
    symbols = sorted(linear, key=lambda s: s.name)
    if lo > hi or not symbols or (inside - symbols[0]).has(symbols[0]):
        return None
    x = sp.Dummy("x", real=True)
    solved = {symbols[0]: x - (inside - symbols[0])}
    below, between, above = (sp.expand(p.xreplace(solved)) for p in pieces)
    if not below.free_symbols | between.free_symbols | above.free_symbols <= {x}:
        return None
    if below.subs(x, lo) != between.subs(x, lo) or above.subs(x, hi) != between.subs(x, hi):
        return None
    held = sp.Max(lo, sp.Min(hi, inside))
    outer = below.xreplace({x: sp.Min(inside, lo)}) - below.subs(x, lo)
    outer += above.xreplace({x: sp.Max(inside, hi)}) - above.subs(x, hi)
    return between.xreplace({x: held}) + outer


def clipped(e: sp.Expr) -> tuple[sp.Expr, sp.Expr, sp.Expr] | None:
    """Return (lo, x, hi) for max(lo, min(hi, x)) or min(hi, max(lo, x)) with lo <= hi, or None.

    Examples
    --------
    >>> x = sp.Symbol("x", real=True)
    >>> clipped(sp.Max(-1, sp.Min(1, x))), clipped(sp.Max(-1, x))
    ((-1, x, 1), None)
    """
    other = sp.Min if isinstance(e, sp.Max) else sp.Max
    numbers = [a for a in e.args if a.is_Rational]
    inner = [a for a in e.args if isinstance(a, other) and len(a.args) == 2]
    if len(e.args) != 2 or len(numbers) != 1 or len(inner) != 1:
        return None
    ends = [a for a in inner[0].args if a.is_Rational]
    if len(ends) != 1:
        return None
    (x,) = (a for a in inner[0].args if a not in ends)
    lo, hi = (numbers[0], ends[0]) if isinstance(e, sp.Max) else (ends[0], numbers[0])
    return (lo, x, hi) if lo <= hi else None


__all__ = ["clipped", "is_met", "joined"]
