"""Values of expressions at points: exact where they are rational, else to many digits.

Three readings of one tree: `exact` in fractions, `precise` in sixty digits, `arrays` in
float64 over many points at once. None of them compiles or evaluates text.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from catapult_theory.rigor.claims.pieces import is_met

DIGITS = 60
# A number of sixty digits that is smaller than this, in units of its terms, is not decided.
_NOISE = mpmath.mpf(10) ** -36
# A root of what cancels keeps half the digits, so that its rounding may look like a number: one
# that more digits change by more than this is not decided either.
_MORE_DIGITS = 3 * DIGITS
_CHANGE = mpmath.mpf(10) ** -6
# Exponents of e beyond this are not written out in digits.
_LARGEST_EXPONENT = 5000
_COMPARED = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip

Point = Mapping[sp.Symbol, Fraction]


class Irrational(ArithmeticError):
    """The value at a rational point is not rational."""


class Undefined(ArithmeticError):
    """The expression has no real value at the point."""


def exact(expression: sp.Expr, point: Point) -> Fraction:
    """Return the rational value of an expression at a rational point.

    Parameters
    ----------
    expression : sympy.Expr
    point : mapping from symbols to fractions

    Returns
    -------
    Fraction

    Raises
    ------
    Irrational
        If a root or a transcendental function gives an irrational number.
    Undefined
        If it divides by zero or takes the root of a negative number.

    Examples
    --------
    >>> x = sp.Symbol("x", positive=True)
    >>> exact(sp.sqrt(x) / 3, {x: Fraction(4, 9)})
    Fraction(2, 9)
    """
    if expression.is_Symbol:
        return point[expression]
    if expression.is_Rational:
        return Fraction(int(expression.p), int(expression.q))
    if expression.is_Piecewise:
        return exact(_case(expression, lambda e: exact(e, point)), point)
    values = [exact(a, point) for a in expression.args]
    if expression.is_Add:
        return sum(values, Fraction(0))
    if expression.is_Mul:
        return math.prod(values, start=Fraction(1))
    if expression.is_Pow:
        return _power(*values)
    if isinstance(expression, sp.Abs):
        return abs(values[0])
    if isinstance(expression, (sp.Max, sp.Min)):
        return max(values) if isinstance(expression, sp.Max) else min(values)
    known = {sp.exp: (0, 1), sp.log: (1, 0), sp.tanh: (0, 0), sp.sinh: (0, 0), sp.cosh: (0, 1)}
    for function, (argument, value) in known.items():
        if isinstance(expression, function) and values[0] == argument:
            return Fraction(value)
    raise Irrational(str(type(expression)))


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if base == 0 and exponent < 0:
        raise Undefined("division by zero")
    if exponent.denominator == 2:
        if base < 0:
            raise Undefined("root of a negative number")
        roots = math.isqrt(base.numerator), math.isqrt(base.denominator)
        if (roots[0] ** 2, roots[1] ** 2) != (base.numerator, base.denominator):
            raise Irrational("root")
        return Fraction(*roots) ** exponent.numerator
    if exponent.denominator != 1:
        raise Irrational("root")
    return base**exponent.numerator


def precise(
    expression: sp.Expr, point: Mapping[sp.Symbol, Any], digits: int = DIGITS
) -> mpmath.mpf:
    """Return the value of an expression to many digits.

    Parameters
    ----------
    expression : sympy.Expr
    point : mapping from symbols to fractions or mpmath numbers
    digits : int

    Raises
    ------
    Undefined
        Where there is no finite real value.
    """
    with mpmath.workdps(digits):
        return +_precise(expression, point)


def _precise(e: sp.Expr, point: Mapping[sp.Symbol, Any]) -> mpmath.mpf:
    if e.is_Symbol:
        value = point[e]
        if isinstance(value, Fraction):
            return mpmath.mpf(value.numerator) / value.denominator
        return value
    if e.is_Rational:
        return mpmath.mpf(int(e.p)) / int(e.q)
    if e.is_NumberSymbol:
        return mpmath.mpf(sp.Float(e, mpmath.mp.dps)._mpf_)
    if e.is_Piecewise:
        return _precise(_case(e, lambda x: _precise(x, point)), point)
    values = [_precise(a, point) for a in e.args]
    if e.is_Add:
        return mpmath.fsum(values)
    if e.is_Mul:
        return mpmath.fprod(values)
    if e.is_Pow:
        base, exponent = values
        if (base == 0 and exponent < 0) or (base < 0 and not e.exp.is_Integer):
            raise Undefined("no real power")
        return mpmath.power(base, int(e.exp) if e.exp.is_Integer else exponent)
    if isinstance(e, (sp.Max, sp.Min)):
        return max(values) if isinstance(e, sp.Max) else min(values)
    functions = {sp.exp: mpmath.exp, sp.log: mpmath.log, sp.tanh: mpmath.tanh, sp.Abs: abs,
                 sp.sinh: mpmath.sinh, sp.cosh: mpmath.cosh, sp.sin: mpmath.sin,
                 sp.cos: mpmath.cos, sp.sign: mpmath.sign}  # fmt: skip
    for kind, function in functions.items():
        if isinstance(e, kind):
            _check_argument(kind, values[0])
            return function(values[0])
    raise Undefined(f"no numbers for {type(e).__name__}")


def _case(e: sp.Piecewise, difference: Callable[[sp.Expr], Any]) -> sp.Expr:
    """Return the piece that holds where expressions have the values that are given."""
    for piece in e.args:
        if is_met(piece.cond, difference):
            return piece.expr
    raise Undefined("no case of an expression in pieces holds")


def _check_argument(kind: Any, value: mpmath.mpf) -> None:
    if kind is sp.log and value <= 0:
        raise Undefined("logarithm of a number that is not positive")
    if kind in (sp.exp, sp.sinh, sp.cosh) and abs(value) > _LARGEST_EXPONENT:
        raise Undefined("exponential out of reach")


def sign(expression: sp.Expr, point: Point) -> int | None:
    """Return the sign of an expression at a rational point, None where it cannot be told.

    A rational value is exact. An irrational one counts when it stands out from the rounding
    of sixty digits by more than twenty, and stays what it is when computed with more digits.

    Raises
    ------
    Undefined
        Where there is no finite real value.
    """
    try:
        value = exact(expression, point)
        return (value > 0) - (value < 0)
    except Irrational:
        pass
    total, scale = _summed(expression, point, DIGITS)
    if abs(total) <= _NOISE * scale:
        return None
    closer, _ = _summed(expression, point, _MORE_DIGITS)
    if abs(closer - total) > _CHANGE * abs(total):
        return None
    return 1 if total > 0 else -1


def _summed(expression: sp.Expr, point: Point, digits: int) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Return an expression's value and the size of its largest term."""
    terms = [precise(t, point, digits) for t in sp.Add.make_args(expression)]
    with mpmath.workdps(digits):
        return mpmath.fsum(terms), max(mpmath.mpf(1), *(abs(t) for t in terms))


def meets(found: int | None, kind: str) -> bool | None:
    """Return whether a margin of a known sign meets ">=", ">" or "="; None where none is known."""
    if found is None:
        return None
    return found == 0 if kind == "=" else found > 0 or (found == 0 and kind == ">=")


def value(expression: sp.Expr, point: Point) -> Any:
    """Return the value as a Fraction, or as a SymPy number where it is irrational."""
    try:
        return exact(expression, point)
    except Irrational:
        numbers = {s: sp.Rational(q.numerator, q.denominator) for s, q in point.items()}
        return expression.xreplace(numbers)


def arrays(expression: sp.Expr, columns: Mapping[sp.Symbol, np.ndarray]) -> np.ndarray:
    """Return float64 values over many points; NaN where undefined, without warnings.

    Parameters
    ----------
    expression : sympy.Expr
    columns : mapping from symbols to arrays of one shape

    Returns
    -------
    numpy.ndarray
    """
    with np.errstate(all="ignore"):
        return np.asarray(_arrays(expression, columns), dtype=float)


def _arrays(e: sp.Expr, columns: Mapping[sp.Symbol, np.ndarray]) -> Any:
    if e.is_Symbol:
        return columns[e]
    if e.is_number:
        return _plain(e)
    if e.is_Pow and e.exp.is_number:
        base = _arrays(e.base, columns)
        return (
            base ** int(e.exp) if e.exp.is_Integer and e.exp > 0 else np.power(base, float(e.exp))
        )
    if e.is_Piecewise:
        return _chosen(e, columns)
    values = [_arrays(a, columns) for a in e.args]
    if e.is_Add:
        return sum(values)
    if e.is_Mul:
        return math.prod(values[1:], start=values[0])
    if isinstance(e, (sp.Max, sp.Min)):
        best = np.maximum if isinstance(e, sp.Max) else np.minimum
        first, *rest = values
        for other in rest:
            first = best(first, other)
        return first
    functions = {sp.exp: np.exp, sp.log: np.log, sp.tanh: np.tanh, sp.Abs: np.abs,
                 sp.sinh: np.sinh, sp.cosh: np.cosh, sp.sin: np.sin, sp.cos: np.cos,
                 sp.sign: np.sign}  # fmt: skip
    for kind, function in functions.items():
        if isinstance(e, kind):
            return function(values[0])
    return np.nan


def _chosen(e: sp.Piecewise, columns: Mapping[sp.Symbol, np.ndarray]) -> Any:
    """Return at each point the value of the first piece whose condition is met there."""
    out: Any = np.nan
    for piece in reversed(e.args):
        out = np.where(_truths(piece.cond, columns), _arrays(piece.expr, columns), out)
    return out


def _truths(condition: Any, columns: Mapping[sp.Symbol, np.ndarray]) -> Any:
    if isinstance(condition, sp.core.relational.Relational):
        return _COMPARED[condition.rel_op](_arrays(condition.lhs - condition.rhs, columns), 0)
    inside = [_truths(c, columns) for c in condition.args]
    if isinstance(condition, sp.Not):
        return np.logical_not(inside[0])
    if isinstance(condition, (sp.And, sp.Or)):
        best = np.logical_and if isinstance(condition, sp.And) else np.logical_or
        return functools.reduce(best, inside)
    return condition == sp.true


def plain_float(number: Fraction) -> float:
    """Return a fraction in float64, infinite where it is too large."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _plain(number: sp.Expr) -> float:
    try:
        return float(number)
    except (TypeError, OverflowError):
        return math.nan
