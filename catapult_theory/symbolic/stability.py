"""Linear stability in closed form: Jury's conditions on a characteristic polynomial, thresholds.

All roots of a real polynomial lie inside the unit circle if and only if finitely many polynomials
in its coefficients are positive (Jury 1964; Schur, Cohn). For x^2 + c1 x + c0 these are
1 + c1 + c0, 1 - c1 + c0, 1 - c0 and 1 + c0. As functions of the learning rate they give the
threshold: the first at which one of them vanishes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from catapult_theory.errors import InputError
from catapult_theory.symbolic.cells import cells, where
from catapult_theory.symbolic.forms import oriented
from catapult_theory.symbolic.signs import sign_core, sign_of
from catapult_theory.symbolic.symbols import eta


def jury_conditions(polynomial: sp.Expr, x: sp.Symbol) -> tuple[sp.Expr, ...]:
    """Return expressions that are all positive if and only if all roots have modulus below 1.

    Parameters
    ----------
    polynomial : sympy.Expr
        In ``x``, real coefficients, of degree at least 1.
    x : Symbol

    Returns
    -------
    tuple of sympy.Expr
        Factored; those that are positive numbers are left out.

    Raises
    ------
    InputError
        If the polynomial does not contain ``x``.

    Examples
    --------
    >>> x, h, m = sp.symbols("x h m")
    >>> jury_conditions(x**2 - (1 + m - h) * x + m, x)
    (h, -h + 2*m + 2, 1 - m, m + 1)
    """
    if not polynomial.is_polynomial(x) or sp.degree(polynomial, x) < 1:
        raise InputError(f"{polynomial} is no polynomial in {x}: there is nothing to judge")
    rising = sp.Poly(polynomial, x).monic().all_coeffs()[::-1]
    degree = len(rising) - 1
    at_one = sp.Add(*rising)
    at_minus_one = sp.Add(*(c * (-1) ** (degree - k) for k, c in enumerate(rising)))
    conditions = [at_one, at_minus_one]
    if degree > 1:
        conditions += [rising[-1] - rising[0], rising[-1] + rising[0]]
    row = _next_row(rising)
    while len(row) > 2:
        conditions.append((row[0] - row[-1]) * (row[0] + row[-1]))
        row = _next_row(row)
    factored = (sp.factor(c) for c in conditions)
    return tuple(c for c in dict.fromkeys(factored) if not c.is_positive or c.free_symbols)


def _next_row(row: Sequence[sp.Expr]) -> list[sp.Expr]:
    """Return the next row of Jury's table, one shorter."""
    turned = list(reversed(row))
    return [sp.cancel(row[0] * a - row[-1] * b) for a, b in zip(row[:-1], turned[:-1], strict=True)]


@dataclass(frozen=True)
class Stability:
    """When all multipliers lie inside the unit circle.

    Parameters
    ----------
    conditions : tuple of sympy.Expr
        What must be positive, in the groups of the map: Jury's conditions without those that
        always hold, or the one that never does; where linear analysis does not decide, what
        must not be negative.
    threshold : sympy.Expr or None
        The learning rate at which stability is lost, infinite where it never is; None where
        the conditions give no single one.
    verdict : str
        "stable below", "always stable", "unstable", "by conditions", or "not decided": a
        multiplier of modulus 1, of which higher orders decide.
    """

    conditions: tuple[sp.Expr, ...]
    threshold: sp.Expr | None
    verdict: str

    def __str__(self) -> str:
        if self.verdict == "stable below":
            return f"stable for eta < {self.threshold}"
        if self.verdict == "by conditions":
            return "stable where " + ", ".join(f"{c} > 0" for c in self.conditions)
        if self.verdict == "not decided":
            beyond = " or ".join(f"{c} < 0" for c in self.conditions)
            said = "not decided by linear analysis"
            return f"{said}, unstable where {beyond}" if beyond else said
        return {"always stable": "stable at every learning rate"}.get(self.verdict, self.verdict)


def stability_of(
    conditions: Iterable[sp.Expr],
    groups: Mapping[sp.Symbol, sp.Expr] | None = None,
    positive: Sequence[sp.Expr] = (),
) -> Stability:
    """Return what Jury's conditions say about the learning rate.

    Every condition is a polynomial in eta. If it is positive for small eta, stability is lost
    at the smallest of their first positive roots. If one is negative, a multiplier lies outside
    the unit circle; if one vanishes and none is negative, linear analysis does not decide.

    Parameters
    ----------
    conditions : iterable of sympy.Expr
    groups : mapping, optional
        From the groups of the conditions to original symbols.
    positive : sequence of sympy.Expr
        What is known to be positive besides, in the groups.

    Returns
    -------
    Stability

    Examples
    --------
    >>> h = sp.Symbol("h", positive=True)
    >>> print(stability_of([eta * h, 2 - eta * h, 2 * h + 1 - eta]))
    stable for eta < Min(2/h, 2*h + 1)
    >>> print(stability_of([sp.S.Zero, 2 - eta * h]))
    not decided by linear analysis, unstable where -eta*h + 2 < 0
    """
    signs = {condition: sign_of(condition, positive) for condition in conditions}
    negative = next((condition for condition, sign in signs.items() if sign == -1), None)
    if negative is not None:
        return Stability((negative,), None, "unstable")
    open_ones = (c for c, sign in signs.items() if sign is None)
    kept = tuple(dict.fromkeys(sign_core(c, positive) for c in open_ones))
    if _never(kept):
        return Stability(kept, None, "unstable")
    if 0 in signs.values():
        return Stability(kept, None, "not decided")
    table = dict(groups or {})
    known = [sign_core(e.subs(table, simultaneous=True)) for e in positive]
    roots: list[sp.Expr] = []
    for condition in kept:
        core = sign_core(condition.subs(table, simultaneous=True), known)
        if sign_of(core, known) == 1:
            continue
        found = first_root(core, eta) if sign_of(core.subs(eta, 0), known) == 1 else None
        if found is None:
            return Stability(kept, None, "by conditions")
        roots.append(found)
    first = smallest([root for root in roots if root != sp.oo])
    if not first:
        return Stability(kept, sp.oo, "always stable")
    return Stability(kept, sp.Min(*first), "stable below")


def _never(conditions: Sequence[sp.Expr]) -> bool:
    """Whether conditions on one parameter exclude each other."""
    symbols = sorted({s for c in conditions for s in c.free_symbols}, key=str)
    if len(symbols) != 1 or not all(c.is_polynomial(*symbols) for c in conditions):
        return False
    (x,) = symbols
    low = sp.S.Zero if x.is_nonnegative else -sp.oo
    return not where(lambda s: all(c.subs(x, s) > 0 for c in conditions), cells(conditions, x, low))


def first_root(polynomial: sp.Expr, x: sp.Symbol) -> sp.Expr | None:
    """Return the first positive root of A x^2 + B x + C with C > 0, where there is one.

    It is 2 C / (-B + sqrt(B^2 - 4 A C)), the root that stays finite as A goes to 0. If A and B
    are both positive, or the square root is not real, there is none.

    Parameters
    ----------
    polynomial : sympy.Expr
        Positive at ``x = 0``.
    x : Symbol

    Returns
    -------
    sympy.Expr or None
        Infinite where there is none; None for other degrees.

    Examples
    --------
    >>> x, h = sp.symbols("x h", positive=True)
    >>> first_root(2 - h * x, x), first_root(2 - x - x**2, x)
    (2/h, 1)
    """
    coefficients = scaled_quadratic(polynomial, x)
    if coefficients is None:
        return None
    A, B, C = coefficients
    if A == 0:
        return sp.oo if sign_of(B) == 1 else oriented(sp.factor(-C / B))
    inside = sp.factor(B**2 - 4 * A * C)
    if sign_of(inside) == -1 or (sign_of(A) == 1 and sign_of(B) in (0, 1)):
        return sp.oo
    root = root_from_zero(A, B, C)
    known = sign_of(inside) is not None
    return root if known else sp.Piecewise((root, sp.Ge(inside, 0)), (sp.oo, True))


def scaled_quadratic(polynomial: sp.Expr, x: sp.Symbol) -> tuple[sp.Expr, sp.Expr, sp.Expr] | None:
    """Return A, B and C of A x^2 + B x + C, over the number in front of B, to print short roots.

    Parameters
    ----------
    polynomial : sympy.Expr
    x : Symbol

    Returns
    -------
    tuple of sympy.Expr or None
        None for degrees other than 1 and 2.

    Examples
    --------
    >>> x, h = sp.symbols("x h")
    >>> scaled_quadratic(6 - 2 * h * x, x)
    (0, -h, 3)
    """
    if not polynomial.is_polynomial(x) or sp.degree(polynomial, x) not in (1, 2):
        return None
    C, B, A = (sp.factor(sp.expand(polynomial).coeff(x, k)) for k in range(3))
    scale = sp.Abs(B.as_coeff_Mul()[0]) if B != 0 else sp.S.One
    return A / scale, B / scale, C / scale


def root_from_zero(A: sp.Expr, B: sp.Expr, C: sp.Expr) -> sp.Expr:
    """Return the root of A x^2 + B x + C that stays finite as A goes to 0, where it is real.

    Parameters
    ----------
    A, B, C : sympy.Expr

    Returns
    -------
    sympy.Expr

    Examples
    --------
    >>> h = sp.Symbol("h", positive=True)
    >>> root_from_zero(sp.S.Zero, -h, sp.S(2)), root_from_zero(sp.S(-1), sp.S(-1), sp.S(2))
    (2/h, 1)
    """
    return -C / B if A == 0 else 2 * C / (-B + sp.sqrt(B**2 - 4 * A * C))


def smallest(values: Sequence[sp.Expr]) -> list[sp.Expr]:
    """Return the values that are not known to be larger than another one.

    Parameters
    ----------
    values : sequence of sympy.Expr

    Returns
    -------
    list of sympy.Expr

    Examples
    --------
    >>> h = sp.Symbol("h", positive=True)
    >>> smallest([2 / h, 1 / h])
    [1/h]
    """
    kept: list[sp.Expr] = []
    for value in dict.fromkeys(values):
        if any(sign_of(value - other) in (0, 1) for other in kept):
            continue
        kept = [other for other in kept if sign_of(other - value) != 1]
        kept.append(value)
    return kept
