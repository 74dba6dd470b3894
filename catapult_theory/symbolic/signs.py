"""The sign of an expression in parameters with known ranges, by exact algebra or not at all.

Momentum lies in [0, 1); learning rate and width are positive. With beta = s / (1 + s) a
polynomial whose coefficients have one sign has that sign.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from catapult_theory.symbolic.symbols import beta


def sign_of(expression: sp.Expr, positive: Sequence[sp.Expr] = ()) -> int | None:
    """Return the sign of an expression, or None where it is not known.

    Parameters
    ----------
    expression : sympy.Expr
        In real parameters; zeros on the border of a range (beta = 0) are left out.
    positive : sequence of sympy.Expr
        What is known to be positive besides.

    Returns
    -------
    int or None
        1, -1 or 0.

    Examples
    --------
    >>> k = sp.Symbol("k", real=True)
    >>> sign_of(1 - beta**2), sign_of(beta - sp.Rational(1, 2)), sign_of(2 * k + 1, [k])
    (1, None, 1)
    """
    if expression == 0:
        return 0
    total = 1
    for factor in sp.Mul.make_args(sp.factor(sp.together(expression))):
        base, power = factor.as_base_exp()
        if base.is_real and power.is_even:
            continue
        found = _plain_sign(base)
        if found is None:
            found = _sign_given(base, positive)
        if found is None or (found == -1 and not power.is_integer):
            return None
        total *= found
    return total


def sign_core(expression: sp.Expr, positive: Sequence[sp.Expr] = ()) -> sp.Expr:
    """Return a polynomial of the same sign, without even powers and factors of known sign.

    Parameters
    ----------
    expression : sympy.Expr
    positive : sequence of sympy.Expr
        What is known to be positive besides.

    Returns
    -------
    sympy.Expr
        Expanded, of content 1.

    Examples
    --------
    >>> k = sp.Symbol("k", real=True)
    >>> sign_core(-4 * (beta + 1) * (k - 2) / k**2)
    2 - k
    """
    numerator, denominator = sp.fraction(sp.together(expression))
    product = sp.S.One
    for factor in sp.Mul.make_args(sp.factor(numerator * denominator)):
        base, power = factor.as_base_exp()
        if base.is_real and power.is_even:
            continue
        known = sign_of(base, positive)
        product *= sp.Integer(known) if known else base
    content, primitive = sp.expand(product).as_content_primitive()
    return primitive if content.is_positive else sp.expand(product)


def _plain_sign(base: sp.Expr) -> int | None:
    """Return the sign that the ranges of the parameters alone give."""
    table = {}
    for s in base.free_symbols:
        if s == beta:
            t = sp.Dummy("s", positive=True)
            table[s] = t / (1 + t)
        elif s.is_nonnegative and not s.is_positive:
            table[s] = sp.Dummy(s.name, positive=True)
    opened = sp.factor(sp.together(base.xreplace(table))) if table else base
    expanded = sp.Mul(*(sp.expand(x) for x in sp.Mul.make_args(opened)))
    if expanded.is_positive:
        return 1
    return -1 if expanded.is_negative else None


def _sign_given(base: sp.Expr, positive: Sequence[sp.Expr]) -> int | None:
    """Return the sign of base = c * known + rest with both terms of one sign."""
    for known in positive:
        for s in sorted(known.free_symbols & base.free_symbols, key=str):
            ratio = sp.cancel(sp.expand(base).coeff(s) / sp.expand(known).coeff(s, 1))
            if not ratio.is_number or not ratio.is_real or ratio == 0:
                continue
            rest = sp.expand(base - ratio * known)
            sign = 1 if ratio > 0 else -1
            if rest == 0 or _plain_sign(rest) == sign:
                return sign
    return None
