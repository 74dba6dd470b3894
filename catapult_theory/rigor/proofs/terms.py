"""From SymPy to Coq: rational expressions over the reals, and names that Coq accepts.

What is printed is fully parenthesised, so that no precedence is relied on. Only sums, products,
integer powers, rational numbers and square roots of the width are printed; anything else is
refused with its name, never approximated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import sympy as sp

from catapult_theory.errors import InputError
from catapult_theory.symbolic.symbols import n

WIDTH = "(INR width)"
ROOT = "(sqrt (INR width))"

# Words of Coq's language, and names that the generated files use themselves.
TAKEN = frozenset(
    (
        *("as", "at", "cofix", "else", "end", "exists", "exists2", "fix", "for", "forall", "fun"),
        *("if", "IF", "in", "let", "match", "mod", "return", "Prop", "Set", "SProp", "then"),
        *("Type", "using", "where", "with", "R", "S", "O", "I", "nat", "vec", "add", "scal"),
        *("dot", "total", "sqrt", "width", "wide", "INR", "t", "h", "exp", "ln", "PI"),
        *("output", "objective", "slope", "closes"),
    )
)


class Names:
    """Names for symbols, each a Coq identifier of its own.

    Parameters
    ----------
    taken : iterable of str
        Identifiers that may not be given out, besides Coq's own words.

    Examples
    --------
    >>> names = Names()
    >>> names["eta"], names["fun"], names["x'"], names["eta"]
    ('eta', 'fun_', 'x_0027', 'eta')
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {*TAKEN, *taken}
        self._given: dict[str, str] = {}

    def __getitem__(self, wish: str) -> str:
        if wish not in self._given:
            plain = re.sub(r"[^A-Za-z0-9_]", lambda c: f"_{ord(c[0]):04x}", wish)
            plain = plain if re.match(r"[A-Za-z]", plain) else f"x{plain}"
            while plain in self._taken:
                plain += "_"
            self._taken.add(plain)
            self._given[wish] = plain
        return self._given[wish]


def coq_term(expression: Any, leaf: Callable[[Any], str | None]) -> str:
    """Return a rational expression as a term of type R.

    Parameters
    ----------
    expression : sympy.Expr
    leaf : callable
        Returns the term of a symbol or other atom, or None where it has none.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If the expression is not rational, apart from square roots of the width.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> coq_term(x**2 / 3 - 1 / sp.sqrt(n), str)
    '(((1 / 3) * (x ^ 2)) + ((-1) * (/ (sqrt (INR width)))))'
    """
    e = sp.sympify(expression)
    if e == n:
        return WIDTH
    if e.is_Integer:
        return str(e) if e >= 0 else f"(-{-e})"
    if e.is_Rational:
        return f"({coq_term(e.p, leaf)} / {e.q})"
    if isinstance(e, (sp.Add, sp.Mul)):
        sign = " + " if isinstance(e, sp.Add) else " * "
        arguments = e.as_ordered_terms() if isinstance(e, sp.Add) else e.as_ordered_factors()
        return "(" + sign.join(coq_term(x, leaf) for x in arguments) + ")"
    if isinstance(e, sp.Pow):
        return _power(e, leaf)
    found = leaf(e)
    if found is None:
        raise InputError(
            f"{e} cannot be put to Coq's ring and field: only sums, products and quotients of "
            "inner products, parameters and square roots of the width can"
        )
    return found


def _power(e: sp.Pow, leaf: Callable[[Any], str | None]) -> str:
    if e.exp.is_Integer:
        power, base = int(e.exp), coq_term(e.base, leaf)
    elif e.base == n and (2 * e.exp).is_Integer:
        power, base = int(2 * e.exp), ROOT
    else:
        raise InputError(f"{e} is not rational: Coq's ring and field cannot decide it")
    size = base if abs(power) == 1 else f"({base} ^ {abs(power)})"
    return size if power > 0 else f"(/ {size})"


def check_divisors(expression: Any) -> None:
    """Refuse division by anything but the width and numbers, which may be zero.

    Parameters
    ----------
    expression : sympy.Expr

    Raises
    ------
    InputError

    Examples
    --------
    >>> check_divisors(sp.Symbol("x") / n)
    """
    for power in sp.sympify(expression).atoms(sp.Pow):
        if power.exp.is_negative and power.base != n and not power.base.is_number:
            raise InputError(
                f"{expression} divides by {power.base}, which may be zero: a closure is proved "
                "for polynomial maps, with powers of the width alone in denominators"
            )
