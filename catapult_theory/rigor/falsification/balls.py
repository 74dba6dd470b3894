"""Ball arithmetic: an expression's value with a rigorous bound on its error.

A ball is a midpoint and a radius that holds the exact value; python-flint (Arb) rounds
outwards. Balls decide a sign wherever they stay clear of zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import sympy as sp

from catapult_theory.rigor.optional_parts import optional_part

Balls = Mapping[sp.Symbol, Any]

_FUNCTIONS: Mapping[type, str] = {
    sp.exp: "exp", sp.log: "log", sp.tanh: "tanh", sp.sinh: "sinh", sp.cosh: "cosh",
    sp.sin: "sin", sp.cos: "cos",
}  # fmt: skip


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Work with balls of so many bits, and with those of before afterwards."""
    context = optional_part("flint", "ball arithmetic").ctx
    before = context.prec
    context.prec = bits
    try:
        yield
    finally:
        context.prec = before


def ball(number: Fraction) -> Any:
    """Return the ball around a fraction."""
    flint = optional_part("flint", "ball arithmetic")
    return flint.arb(flint.fmpq(number.numerator, number.denominator))


def enclosure(expression: sp.Expr, point: Balls) -> Any:
    """Return a ball that holds an expression's value for all values in the given balls.

    Parameters
    ----------
    expression : sympy.Expr
    point : mapping from symbols to balls

    Returns
    -------
    flint.arb
        Without a finite radius where the expression may be undefined.
    """
    if expression.is_Symbol:
        return point[expression]
    if expression.is_Rational:
        return ball(Fraction(int(expression.p), int(expression.q)))
    if expression.is_Pow and expression.exp.is_Rational:
        return _power(enclosure(expression.base, point), expression.exp)
    values = [enclosure(a, point) for a in expression.args]
    if expression.is_Add:
        return sum(values[1:], values[0])
    if expression.is_Mul:
        return math.prod(values[1:], start=values[0])
    return _function(expression, values)


def _power(base: Any, exponent: sp.Rational) -> Any:
    if exponent.is_Integer:
        return base ** int(exponent)
    return base.sqrt() ** int(2 * exponent) if exponent.q == 2 else base ** _exponent(exponent)


def _exponent(exponent: sp.Rational) -> Any:
    return ball(Fraction(int(exponent.p), int(exponent.q)))


def _function(expression: sp.Expr, values: list[Any]) -> Any:
    if isinstance(expression, sp.Abs):
        return abs(values[0])
    if isinstance(expression, (sp.Max, sp.Min)):
        best: Callable[[Any, Any], Any] = _larger if isinstance(expression, sp.Max) else _smaller
        found = values[0]
        for other in values[1:]:
            found = best(found, other)
        return found
    for kind, name in _FUNCTIONS.items():
        if isinstance(expression, kind):
            return getattr(values[0], name)()
    return ball(Fraction(0)) / 0


def _larger(one: Any, other: Any) -> Any:
    return one.max(other)


def _smaller(one: Any, other: Any) -> Any:
    return one.min(other)


def sign_of(value: Any) -> int | None:
    """Return the sign of all numbers in a ball, None where it is not the same for all."""
    if value > 0:
        return 1
    if value < 0:
        return -1
    return 0 if value.is_zero() else None
