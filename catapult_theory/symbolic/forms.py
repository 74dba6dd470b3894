"""Forms of an update that people read and that keep their digits near a fixed value.

A factored increment such as f (1 - eta lam + eta^2 f^2 / n) loses nothing where its factors
are small; an expanded one does. Among equal forms the one with the fewest operations is taken.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from catapult_theory.symbolic.symbols import eta, n


def collected(expression: sp.Expr) -> sp.Expr:
    """Return an expanded expression with equal powers of eta and n gathered and factored.

    Parameters
    ----------
    expression : sympy.Expr

    Returns
    -------
    sympy.Expr

    Examples
    --------
    >>> a, b = sp.symbols("a b")
    >>> collected(eta * a + eta * b + a)
    a + eta*(a + b)
    """
    groups: dict[sp.Expr, list[sp.Expr]] = {}
    for term in sp.Add.make_args(sp.expand(expression)):
        powers = term.as_powers_dict()
        key = sp.Mul(*(base**power for base, power in powers.items() if base in (eta, n)))
        groups.setdefault(key, []).append(term / key)
    return sp.Add(*(key * sp.factor(sp.Add(*terms)) for key, terms in groups.items()))


def tidy(expression: sp.Expr) -> sp.Expr:
    """Return the shortest of the usual forms of an expression.

    Parameters
    ----------
    expression : sympy.Expr

    Returns
    -------
    sympy.Expr

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> tidy(x**2 - 2 * x + 1)
    (x - 1)**2
    """
    expression = sp.sympify(expression)
    forms = [expression, collected(expression), _factored(expression)]
    return min(forms, key=_weight)


def tidy_update(symbol: Any, image: sp.Expr, anchors: tuple[sp.Expr, ...] = ()) -> sp.Expr:
    """Return an update in its shortest form, the increment factored where that is shorter.

    Parameters
    ----------
    symbol : sympy.Symbol
        The quantity that is updated.
    image : sympy.Expr
        Its value after the step.
    anchors : tuple of sympy.Expr
        Values around which the update may factor (the label, for an output).

    Returns
    -------
    sympy.Expr

    Examples
    --------
    >>> x, b = sp.symbols("x b")
    >>> tidy_update(x, x + b * x - 4 * b)
    b*(x - 4) + x
    """
    base = sp.together(image) if image.has(sp.exp) else image
    forms = [tidy(base), symbol + _grouped(sp.expand(base - symbol))]
    for anchor in (symbol, *anchors):
        forms.append(anchor + _factored(sp.expand(base - anchor)))
    return min(forms, key=_weight)


def _factored(expression: sp.Expr) -> sp.Expr:
    """Factor, then gather the inside of each factor by powers of eta and n."""
    whole = sp.factor(expression)
    parts = []
    for part in sp.Mul.make_args(whole):
        base, power = part.as_base_exp()
        if base.is_Add and power.is_Integer:
            base = collected(base)
            part = base**power
        parts.append(part)
    return _over_width(sp.Mul(*parts), expression)


def _over_width(product: sp.Expr, expression: sp.Expr) -> sp.Expr:
    """Move 1/n from a common denominator into the sum where it came from."""
    factors = sp.Mul.make_args(product)
    sums = [x for x in factors if x.is_Add]
    if len(sums) != 1:
        return product
    rest = product / sums[0]
    power = rest.as_powers_dict().get(n, sp.S.Zero)
    if not power.is_negative:
        return product
    inside = collected(sp.expand(sums[0] * n**power))
    return (rest / n**power) * inside if _has_free_term(inside) else product


def _has_free_term(total: sp.Expr) -> bool:
    return any(n not in t.free_symbols for t in sp.Add.make_args(total))


def _grouped(expression: sp.Expr) -> sp.Expr:
    return collected(expression)


def _weight(expression: sp.Expr) -> tuple[int, int, str]:
    return int(sp.count_ops(expression)), len(str(expression)), str(expression)
