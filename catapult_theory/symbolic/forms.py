"""Forms of an update that people read and that keep their digits near a fixed value.

A factored increment such as f (1 - eta lam + eta^2 f^2 / n) loses nothing where its factors
are small; an expanded one does. Among equal forms the one with the fewest operations is taken.
"""

from __future__ import annotations

import math
from typing import Any

import sympy as sp

from catapult_theory.symbolic.symbols import eta, n

# Above this many operations factoring costs seconds and its result is no longer read.
LARGEST_READABLE = 120
# With more symbols than this factoring may take minutes.
MOST_SYMBOLS = 10
# The same for the terms that it has when it is multiplied out.
LARGEST_EXPANDED = 40
# What has fewer operations is read at a glance; with more symbols gathering takes seconds.
SMALLEST_GATHERED = 16
MOST_SYMBOLS_GATHERED = 6
# A form that is no shorter than this part of another is not worth an unfamiliar look.
CLEARLY_SHORTER = 0.85


def readable(expression: sp.Expr) -> bool:
    """Whether an expression is small enough that a shorter form of it is worth finding.

    Parameters
    ----------
    expression : sympy.Expr

    Returns
    -------
    bool

    Examples
    --------
    >>> readable(eta + 1)
    True
    """
    few = len(expression.free_symbols) <= MOST_SYMBOLS
    return bool(
        few
        and sp.count_ops(expression) <= LARGEST_READABLE
        and _terms(sp.sympify(expression)) <= LARGEST_EXPANDED
    )


def _terms(expression: sp.Expr) -> int:
    """Return how many terms a sum of products has at most when multiplied out."""
    if expression.is_Add:
        return sum(_terms(part) for part in expression.args)
    if expression.is_Mul:
        return math.prod(_terms(part) for part in expression.args)
    if expression.is_Pow and expression.exp.is_Integer and expression.exp > 0:
        base = _terms(expression.base)
        return math.comb(base + int(expression.exp) - 1, int(expression.exp))
    return 1


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
    return sp.Add(*(key * oriented(sp.factor(sp.Add(*terms))) for key, terms in groups.items()))


def oriented(expression: sp.Expr) -> sp.Expr:
    """Return a product whose sums begin with a positive term, the sign taken outside.

    A sum with a constant term is turned so that the constant is positive.

    Parameters
    ----------
    expression : sympy.Expr

    Returns
    -------
    sympy.Expr

    Examples
    --------
    >>> f, y = sp.symbols("f y")
    >>> oriented(3 * f * (y - f))
    -3*f*(f - y)
    """
    sign, parts = sp.S.One, []
    for part in sp.Mul.make_args(expression):
        base, power = part.as_base_exp()
        if base.is_Add and power.is_Integer and _negative(base):
            sign *= (-1) ** power
            base = sp.Add(*(-t for t in base.args))
        parts.append(base**power)
    return sign * sp.Mul(*parts)


def _negative(total: sp.Expr) -> bool:
    constant, _ = total.as_coeff_Add()
    first = constant if constant != 0 else total.as_ordered_terms()[0]
    return bool(first.could_extract_minus_sign())


def tidy(expression: sp.Expr) -> sp.Expr:
    """Return the shortest of the usual forms of an expression, products before sums.

    Parameters
    ----------
    expression : sympy.Expr

    Returns
    -------
    sympy.Expr

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> tidy(x**2 + 2 * x + 1)
    (x + 1)**2
    """
    expression = sp.sympify(expression)
    if not readable(expression):
        return expression
    return min((expression, collected(expression), *_factored(expression)), key=_weight)


def printed(expression: sp.Expr) -> sp.Expr:
    """Return the form in which an update is shown, gathered by one symbol if clearly shorter.

    The stored form is chosen for its digits too (an increment stays apart); this is for reading.

    Parameters
    ----------
    expression : sympy.Expr

    Returns
    -------
    sympy.Expr

    Examples
    --------
    >>> a, b, x = sp.symbols("a b x")
    >>> printed(a * (a * b**2 * x + a * x**2 * (b + 2) - 4 * x**2 - 2 * b * x) + x)
    a*x**2*(a*b + 2*a - 4) + x*(a*b - 1)**2
    """
    if expression.is_Matrix or sp.count_ops(expression) < SMALLEST_GATHERED:
        return expression
    symbols = sorted(expression.free_symbols, key=str)
    rational = expression.is_rational_function(*symbols)
    if len(symbols) > MOST_SYMBOLS_GATHERED or not (rational and readable(expression)):
        return expression
    terms = sp.expand(expression)
    ways = (sp.factor, lambda part: oriented(sp.factor(part)))
    forms = [sp.collect(terms, s, way) for s in symbols for way in ways]
    best = min(forms, key=_weight)
    short = sp.count_ops(best) <= CLEARLY_SHORTER * sp.count_ops(expression)
    return best if short else expression


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
    if not readable(image):
        return image
    if not image.is_rational_function(*image.free_symbols - {n}):
        return image  # exponentials overflow when they are brought over one denominator
    forms = [tidy(image), symbol + collected(image - symbol)]
    for anchor in (symbol, *anchors):
        forms += [anchor + form for form in _factored(sp.expand(image - anchor))]
    return min(forms, key=_weight)


def _factored(expression: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Factor and gather the inside of each factor by powers of eta and n; both orientations."""
    parts = []
    for part in sp.Mul.make_args(sp.factor(expression)):
        base, power = part.as_base_exp()
        parts.append(collected(base) ** power if base.is_Add and power.is_Integer else part)
    product = _over_width(sp.Mul(*parts))
    return product, oriented(product)


def _over_width(product: sp.Expr) -> sp.Expr:
    """Move 1/n from a common denominator into the sum where it came from."""
    sums = [x for x in sp.Mul.make_args(product) if x.is_Add]
    rest = sp.Mul(*(x for x in sp.Mul.make_args(product) if not x.is_Add))
    power = rest.as_powers_dict().get(n, sp.S.Zero)
    if not power.is_negative:
        return product
    for total in sums:
        inside = collected(sp.expand(total * n**power))
        if any(n not in t.free_symbols for t in sp.Add.make_args(inside)):
            others = sp.Mul(*(x for x in sums if x is not total))
            return (rest / n**power) * others * inside
    return product


def plain_conditions(expression: sp.Expr) -> sp.Expr:
    """Return an expression whose conditions are inequalities joined by and, or.

    A condition on something piecewise (a Huber gradient) becomes one of conditions, which SymPy
    writes as if-then-else; no target of code has that, all have and, or.

    Parameters
    ----------
    expression : sympy.Expr

    Returns
    -------
    sympy.Expr

    Examples
    --------
    >>> x = sp.Symbol("x", real=True)
    >>> bent = sp.Piecewise((x, x > 1), (1, True))
    >>> sp.Piecewise((1, bent > 2), (0, True)).has(sp.ITE)
    True
    >>> plain_conditions(sp.Piecewise((1, bent > 2), (0, True)))
    Piecewise((1, (x > 1) & ((x <= 1) | (x > 2))), (0, True))
    """
    return expression.replace(lambda e: isinstance(e, sp.ITE), lambda e: e.to_nnf(simplify=False))


def _weight(expression: sp.Expr) -> tuple[int, int, str]:
    product_bonus = 3 if expression.is_Mul else 0
    return int(sp.count_ops(expression)) - product_bonus, len(str(expression)), str(expression)
