"""Roots, absolute values, exponentials and logarithms as new symbols with known relations.

An expression becomes a quotient of polynomials in the symbols of the map and in *generators*:
the square root of a positive symbol, a radical t with t^2 = A, exp of a monomial, a
logarithm. A numerator that vanishes modulo the relations proves an identity; one that does
not vanish proves nothing by itself, and is left to exact evaluation at a point.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy.polys.rings import PolyElement, PolyRing

from catapult_theory.errors import ClaimError
from catapult_theory.rigor.claims.pieces import clipped
from catapult_theory.rigor.claims.quotient import Quotient, convert, factors_of, is_small
from catapult_theory.rigor.claims.size import Size, size_of

MOST_GENERATORS = 7


@dataclass
class Generators:
    """The generators met so far, and the expression that each stands for.

    Attributes
    ----------
    roots : dict
        From a nonnegative symbol to the symbol of its square root.
    squares : dict
        From a radical's symbol to its square, a polynomial expression in symbols.
    meaning : dict
        From every generator to the SymPy expression that it stands for.
    positive, nonnegative : set
        Generators of known sign.
    """

    roots: dict[sp.Symbol, sp.Symbol] = field(default_factory=dict)
    squares: dict[sp.Symbol, sp.Expr] = field(default_factory=dict)
    meaning: dict[sp.Symbol, sp.Expr] = field(default_factory=dict)
    positive: set[sp.Symbol] = field(default_factory=set)
    nonnegative: set[sp.Symbol] = field(default_factory=set)
    _found: dict[tuple[str, sp.Expr], sp.Symbol] = field(default_factory=dict)
    _unit: int = 1

    @classmethod
    def of(cls, expressions: Iterable[sp.Expr]) -> tuple[Generators, list[sp.Expr]]:
        """Return the generators of some expressions, and the expressions written in them.

        Raises
        ------
        ClaimError
            If more generators are needed than the bound, or the result is too large.
        """
        plain = [written_out(e) for e in expressions]
        new = cls()
        new._find_roots(plain)
        new._unit = _common_denominator(plain)
        lifted = [new._lift(e) for e in plain]
        for expression in lifted:
            size_of(expression, {}).check(", with its roots and exponentials as symbols")
        return new, lifted

    def _find_roots(self, expressions: Iterable[sp.Expr]) -> None:
        for power in sp.Tuple(*expressions).atoms(sp.Pow):
            base = power.base
            if (
                base.is_Symbol
                and base.is_nonnegative
                and power.exp.is_Rational
                and power.exp.q == 2
            ):
                root = sp.Symbol(f"sqrt_{base.name}", positive=base.is_positive, nonnegative=True)
                self.roots[base] = root
                self._note(root, sp.sqrt(base), strict=bool(base.is_positive))

    def _note(self, symbol: sp.Symbol, meaning: sp.Expr, strict: bool | None) -> sp.Symbol:
        self.meaning[symbol] = meaning
        if strict is not None:
            self.nonnegative.add(symbol)
        if strict:
            self.positive.add(symbol)
        if len(self.meaning) > MOST_GENERATORS:
            raise ClaimError(
                f"the claim holds more than {MOST_GENERATORS} different roots, exponentials and "
                "logarithms: shorten it"
            )
        return symbol

    def _generator(
        self, kind: str, key: sp.Expr, meaning: sp.Expr, strict: bool | None
    ) -> sp.Symbol:
        if (kind, key) not in self._found:
            symbol = sp.Dummy(f"{kind}_{len(self._found)}", real=True)
            self._found[kind, key] = self._note(symbol, meaning, strict)
        return self._found[kind, key]

    def _lift(self, e: sp.Expr) -> sp.Expr:
        if e.is_Symbol:
            return self.roots[e] ** 2 if e in self.roots else e
        if e.is_Rational:
            return e
        if e.is_Add or e.is_Mul:
            return e.func(*(self._lift(a) for a in e.args))
        if e.is_Pow and e.exp.is_Integer:
            return self._lift(e.base) ** e.exp
        if e.is_Pow and e.exp.is_Rational and e.exp.q == 2:
            if e.base in self.roots:
                return self.roots[e.base] ** (2 * e.exp)
            return self._radical(e.base) ** (2 * e.exp)
        if isinstance(e, sp.exp):
            return self._exponential(e.args[0])
        if isinstance(e, sp.log):
            return self._logarithm(e.args[0])
        if isinstance(e, sp.Abs):
            return self._absolute(e.args[0])
        return self._generator("value", e, e, None)

    def canonical(self, argument: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
        """Return numerator and denominator of an argument, in symbols and generators."""
        lifted = self._lift(argument)
        size_of(lifted, {}).check(" inside a function")
        own = self.reduced(convert(lifted, ring_of([lifted], self))).cancelled()
        return own.top.as_expr(), own.bottom.as_expr()

    def _radical(self, base: sp.Expr) -> sp.Expr:
        top, bottom = self.canonical(base)
        if not self.is_positive(bottom):
            return self._generator("root", top / bottom, sp.sqrt(base), False)
        size_of(top * bottom, {}, " inside a root")
        inside = sp.expand(top * bottom)
        content, inside = inside.as_content_primitive()
        outer = sp.sqrt(content)
        if not outer.is_Rational:
            outer, inside = sp.S.One, content * inside
        if inside == 1:
            return outer / bottom
        meaning = self.unlifted(sp.sqrt(inside))
        symbol = self._generator("root", inside, meaning, self.is_positive(inside))
        self.squares[symbol] = inside
        return outer * symbol / bottom

    def _absolute(self, base: sp.Expr) -> sp.Expr:
        top, bottom = self.canonical(base)
        if not self.is_positive(bottom):
            top, bottom = top / bottom, sp.S.One
            return self._generator("abs", top, sp.Abs(base), False)
        own = convert(top, ring_of([top], self)).top
        if not own:
            return sp.S.Zero
        content, factors = factors_of(own)
        out = abs(sp.Rational(content.numerator, content.denominator)) / bottom
        rest = sp.S.One
        for factor, power in factors:
            inside = factor.as_expr()
            if power % 2 == 0 or inside.is_Symbol or self.is_nonnegative(inside):
                base = inside if power % 2 == 0 else self._absolute_factor(inside)
                out *= base**power
            else:
                # In one, for each absolute value doubles the cases of a proof.
                rest *= inside**power
        return out if rest == 1 else out * self._absolute_factor(sp.expand(rest))

    def _absolute_factor(self, inside: sp.Expr) -> sp.Expr:
        if inside.could_extract_minus_sign():
            inside = -inside
        if self.is_nonnegative(inside):
            return inside
        symbol = self._generator("abs", inside, self.unlifted(sp.Abs(inside)), False)
        size_of(inside**2, {}, " inside an absolute value")
        self.squares[symbol] = sp.expand(inside**2)
        return symbol

    def _exponential(self, argument: sp.Expr) -> sp.Expr:
        top, bottom = self.canonical(argument)
        one_term = not bottom.is_Add
        pieces = sp.Add.make_args(sp.expand(top / bottom) if one_term else top / bottom)
        product = sp.S.One
        for piece in pieces:
            number, monomial = piece.as_coeff_Mul()
            if monomial == 1:
                monomial, number = sp.S.One, number
            whole = number * self._unit
            unit = self._unit
            if not whole.is_Integer:
                whole, unit = sp.S.One, sp.S.One / number
            meaning = sp.exp(self.unlifted(monomial / unit))
            symbol = self._generator("exp", monomial / unit, meaning, True)
            product *= symbol**whole
        return product

    def _logarithm(self, argument: sp.Expr) -> sp.Expr:
        top, bottom = self.canonical(argument)
        if not (self.is_positive(top) and self.is_positive(bottom)):
            return self._generator("log", top / bottom, sp.log(argument), None)
        return self._log_of_product(top) - self._log_of_product(bottom)

    def _log_of_product(self, expression: sp.Expr) -> sp.Expr:
        total = sp.S.Zero
        exponents = {s: key for (kind, key), s in self._found.items() if kind == "exp"}
        for factor in sp.Mul.make_args(sp.factor_terms(expression)):
            base, power = factor.as_base_exp()
            if base in exponents:
                total += power * exponents[base]
            elif base != 1:
                total += power * self._generator("log", base, sp.log(self.unlifted(base)), None)
        return total

    @property
    def absolutes(self) -> dict[sp.Symbol, sp.Expr]:
        """The symbols of absolute values, and the polynomials inside."""
        pairs = ((s, key) for (kind, key), s in self._found.items() if kind == "abs")
        return {s: key for s, key in pairs if s in self.squares}

    def unlifted(self, expression: sp.Expr) -> sp.Expr:
        """Return an expression with every generator replaced by what it stands for."""
        return expression.xreplace(self.meaning)

    def is_positive(self, expression: sp.Expr) -> bool:
        """Return whether an expanded expression is positive by the signs of its terms."""
        terms = sp.Add.make_args(sp.expand(expression))
        return all(map(self._nonnegative_term, terms)) and any(map(self._positive_term, terms))

    def is_nonnegative(self, expression: sp.Expr) -> bool:
        """Return whether an expanded expression is nonnegative by the signs of its terms."""
        return all(map(self._nonnegative_term, sp.Add.make_args(sp.expand(expression))))

    def _nonnegative_term(self, term: sp.Expr) -> bool:
        number, rest = term.as_coeff_Mul()
        return number >= 0 and all(
            p % 2 == 0 or b.is_nonnegative or b in self.nonnegative
            for b, p in rest.as_powers_dict().items()
            if b != 1
        )

    def _positive_term(self, term: sp.Expr) -> bool:
        number, rest = term.as_coeff_Mul()
        return number > 0 and all(
            b.is_positive or b in self.positive for b in rest.as_powers_dict() if b != 1
        )

    def reduced(self, quotient: Quotient) -> Quotient:
        """Return the quotient with every t^2 in its numerator replaced by what it equals."""
        top = quotient.top
        for symbol, square in reversed(list(self.squares.items())):
            if symbol in quotient.ring.symbols:
                top = _without_squares(top, quotient.ring, symbol, square)
        return Quotient(top, quotient.divisors)


def _without_squares(top: PolyElement, ring: PolyRing, symbol: Any, square: sp.Expr) -> PolyElement:
    at = ring.symbols.index(symbol)
    value = convert(square, ring).top
    largest = max((exponents[at] for exponents in top.monoms()), default=0) // 2
    _check_power(value, largest, top)
    parts: dict[int, PolyElement] = {}
    for exponents, coefficient in top.terms():
        half, rest = divmod(exponents[at], 2)
        left = (*exponents[:at], rest, *exponents[at + 1 :])
        parts[half] = parts.get(half, ring.zero) + ring({left: coefficient})
    return sum((part * value**half for half, part in parts.items()), ring.zero)


def _check_power(value: PolyElement, power: int, top: PolyElement) -> None:
    """Refuse a power of a radical that is too large when its square is written out."""
    size = Size(len(value), max((sum(m) for m in value.monoms()), default=0))
    own = Size(len(top), max((sum(m) for m in top.monoms()), default=0))
    size.power(power).times(own).check(" with its roots squared")


def ring_of(expressions: Iterable[sp.Expr], generators: Generators) -> PolyRing:
    """Return a polynomial ring over the rationals that holds the expressions' symbols.

    Generators come first, and the square of a radical brings its own symbols along.
    """
    symbols = set().union(*(e.free_symbols for e in expressions))
    waiting = list(symbols)
    while waiting:
        square = generators.squares.get(waiting.pop())
        if square is not None:
            waiting += list(square.free_symbols - symbols)
            symbols |= square.free_symbols
    order = {s: i for i, s in enumerate(generators.meaning)}
    ordered = sorted(symbols, key=lambda s: (-order.get(s, -1), s.name))
    return PolyRing(ordered or [sp.Dummy("x")], sp.QQ, sp.polys.orderings.lex)


def written_out(e: sp.Expr) -> sp.Expr:
    """Return an expression with hyperbolic functions, min and max written out."""
    if not e.args:
        return e
    args = [written_out(a) for a in e.args]
    if e.is_Pow and e.exp == sp.Rational(1, 2) and args[0].is_Add:
        return _root(args[0])
    if isinstance(e, (sp.Max, sp.Min)):
        if held := clipped(e):
            # Without one absolute value inside another.
            lo, x, hi = held[0], written_out(held[1]), held[2]
            return (lo + hi + sp.Abs(x - lo) - sp.Abs(x - hi)) / 2
        first, *rest = sorted(args, key=sp.default_sort_key)
        sign = 1 if isinstance(e, sp.Max) else -1
        for other in rest:
            first = (first + other + sign * sp.Abs(first - other)) / 2
        return first
    if isinstance(e, sp.tanh):
        return 1 - 2 / (sp.exp(2 * args[0]) + 1)
    if isinstance(e, sp.cosh):
        return (sp.exp(args[0]) + sp.exp(-args[0])) / 2
    if isinstance(e, sp.sinh):
        return (sp.exp(args[0]) - sp.exp(-args[0])) / 2
    return e.func(*args)


def _root(inside: sp.Expr) -> sp.Expr:
    """Return a square root with the squares among the factors of its inside taken out."""
    symbols = sorted(inside.free_symbols, key=lambda s: s.name)
    if not symbols or not inside.is_rational_function(*symbols):
        return sp.sqrt(inside)
    try:
        own = convert(inside, PolyRing(symbols, sp.QQ, sp.polys.orderings.lex)).cancelled()
    except ZeroDivisionError:
        return sp.sqrt(inside)
    if not own.top or not is_small(own.top):
        return sp.sqrt(inside)
    content, factors = factors_of(own.top)
    left = sp.Rational(content.numerator, content.denominator)
    taken = sp.S.One
    for factor, power in (*factors, *((d, -p) for d, p in own.divisors.items())):
        left *= factor.as_expr() ** (power % 2)
        taken *= sp.Abs(factor.as_expr()) ** (power // 2)
    return sp.sqrt(left) * taken


def _common_denominator(expressions: Iterable[sp.Expr]) -> int:
    """Return the least common denominator of the numbers in front of exponents."""
    found = 1
    for function in sp.Tuple(*expressions).atoms(sp.exp):
        for term in sp.Add.make_args(sp.expand(function.args[0])):
            number, _ = term.as_coeff_Mul()
            if number.is_Rational and number.q <= 12:
                found = math.lcm(found, int(number.q))
    return found if found <= 12 else 1
