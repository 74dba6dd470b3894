"""The dynamics on an invariant line: a map of one variable, its fixed points and 2-cycles, solved.

An invariant factor w of a map with two state variables leaves one on the line w = 0. On the side
u = v of the domain (balanced networks) the labelled uv-model becomes a cubic map, whose constants
are found here as roots of polynomials in the parameter: where the minimum loses its stability,
where the 2-cycle does, up to where the map keeps an interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp

from catapult_theory.symbolic.cells import Cell, cells, where
from catapult_theory.symbolic.fixed_points import is_polynomial, positive_groups
from catapult_theory.symbolic.invariants import InvariantFactor, invariant_factors
from catapult_theory.symbolic.scaling import DimensionlessMap, signed_dimensionless
from catapult_theory.symbolic.update_map import UpdateMap

Windows = tuple[tuple[sp.Expr, sp.Expr], ...]


@dataclass(frozen=True)
class Cycle:
    """A fixed point (one value) or a 2-cycle (two values) of a map of one variable.

    Parameters
    ----------
    polynomial : sympy.Expr
        Whose roots the values are, in the variable and the parameter.
    values : tuple of sympy.Expr
    multiplier : sympy.Expr
        The derivative of the map along the cycle.
    exists, stable : tuple of pairs, or None
        The open intervals of the parameter on which the values are real, distinct and in the
        domain, and those on which the multiplier is besides inside (-1, 1); None where the map
        has several parameters.
    """

    polynomial: sp.Expr
    values: tuple[sp.Expr, ...]
    multiplier: sp.Expr
    exists: Windows | None
    stable: Windows | None


@dataclass(frozen=True)
class LineMap:
    """The map on an invariant line.

    Parameters
    ----------
    factor : InvariantFactor
        The line is where it vanishes.
    variable : Symbol
        The state variable that is left.
    image : sympy.Expr
        Its value after the step.
    parameter : Symbol or None
        The one parameter, where there is exactly one.
    domain : tuple of sympy.Expr
        Expressions in the variable that are not negative on the line.
    fixed, cycles : tuple of Cycle
        Those in closed form (roots of polynomials of degree one and two).
    kept : tuple of pairs, or None
        Where the part of the line between the domain's end and the outermost fixed point is
        mapped into itself, so that training from there is bounded; None as in `Cycle`.
    """

    factor: InvariantFactor
    variable: sp.Symbol
    image: sp.Expr
    parameter: sp.Symbol | None
    domain: tuple[sp.Expr, ...]
    fixed: tuple[Cycle, ...]
    cycles: tuple[Cycle, ...]
    kept: Windows | None

    def centred(self, at: sp.Expr, name: str = "e") -> sp.Expr:
        """Return the image of e = variable - at, as a polynomial in e.

        Parameters
        ----------
        at : sympy.Expr
            A fixed point.
        name : str

        Returns
        -------
        sympy.Expr

        Examples
        --------
        >>> from catapult_theory.symbolic import models
        >>> from catapult_theory.symbolic.closure import derive
        >>> balanced = line_maps(derive(models.uv(label=True)))[-1]
        >>> balanced.centred(balanced.parameter)
        e**3 + e**2*(kappa - 2) + e*(1 - 2*kappa)
        """
        e = sp.Symbol(name, real=True)
        return sp.collect(sp.expand(self.image.subs(self.variable, e + at) - at), e)

    def __str__(self) -> str:
        x, c = self.variable, self.parameter
        rows = [f"{self.factor.expression} = 0 ({self.factor.kind}): {x}' = {self.image}"]
        for words, found in (("fixed point", self.fixed), ("2-cycle", self.cycles)):
            for one in found:
                values = ", ".join(map(str, one.values))
                rows.append(f"{words} {x} = {values}, multiplier {one.multiplier}{_told(one, c)}")
        if self.kept is not None:
            rows.append(f"mapped into itself up to the outermost fixed point {_said(self.kept, c)}")
        return "\n    ".join(rows)


@lru_cache(maxsize=64)
def line_maps(update_map: UpdateMap) -> tuple[LineMap, ...]:
    """Return the maps of one variable on the invariant lines of a polynomial map of two.

    Lines on which nothing moves (the zero-loss minima) are left out.

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one.

    Returns
    -------
    tuple of LineMap
        Empty for maps of another number of variables.

    Raises
    ------
    InputError
        For matrix maps.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> edge, *_, balanced = line_maps(derive(models.uv(label=True)))
    >>> [cycle.stable for cycle in balanced.cycles][0]
    ((1, -1 + sqrt(5)),)
    >>> balanced.kept
    ((-2, 2),)
    """
    small = signed_dimensionless(update_map)
    if len(small.variables) != 2 or not is_polynomial(small):
        return ()
    found = (_line_map(small, factor) for factor in invariant_factors(update_map))
    return tuple(one for one in found if one is not None)


def _line_map(small: DimensionlessMap, factor: InvariantFactor) -> LineMap | None:
    first, second = small.variables
    solved = second if second in factor.expression.free_symbols else first
    x = first if solved == second else second
    (root,) = sp.solve(factor.expression, solved)
    image = sp.factor(sp.expand(small.updates[x].subs(solved, root)))
    if sp.expand(image - x) == 0:
        return None
    ends = (sp.factor(r.lhs.subs(solved, root)) for r in small.domain)
    domain = tuple(e for e in dict.fromkeys(ends) if x in e.free_symbols)
    others = sorted(image.free_symbols - {x}, key=str)
    parameter = others[0] if len(others) == 1 else None
    line = _Line(x, image, parameter, domain, not others, parameter in positive_groups(small))
    return LineMap(
        factor, x, image, line.parameter, domain, line.fixed(), line.cycles(), line.kept()
    )


@dataclass(frozen=True)
class _Line:
    """A map of one variable, with at most one parameter where windows are asked for."""

    x: sp.Symbol
    image: sp.Expr
    parameter: sp.Symbol | None
    domain: tuple[sp.Expr, ...]
    is_free: bool
    is_positive: bool

    def fixed(self) -> tuple[Cycle, ...]:
        return self._solved(sp.expand(self.image - self.x), 1)

    def cycles(self) -> tuple[Cycle, ...]:
        twice = sp.expand(self.image.subs(self.x, self.image) - self.x)
        once = sp.expand(self.image - self.x)
        quotient, remainder = sp.div(sp.Poly(twice, self.x), sp.Poly(once, self.x))
        return self._solved(quotient.as_expr(), 2) if remainder.is_zero else ()

    def _solved(self, polynomial: sp.Expr, period: int) -> tuple[Cycle, ...]:
        """Return the cycles among the roots of factors of degree one and two."""
        _, parts = sp.factor_list(sp.fraction(sp.together(polynomial))[0])
        found = []
        for part, _ in parts:
            degree = sp.degree(part, self.x) if self.x in part.free_symbols else 0
            if degree == period == 2 and self._swaps(part):
                found.append(self._cycle(part, self._roots(part)))
            elif degree in (1, 2) and period == 1:
                found += [self._cycle(self.x - r, [r]) for r in self._roots(part)]
        return tuple(one for one in found if not self.is_free or one.exists)

    def _roots(self, part: sp.Expr) -> list[sp.Expr]:
        """Return the roots in closed form, complex ones as well."""
        coefficients = sp.Poly(part, self.x).all_coeffs()
        if len(coefficients) == 2:
            return [sp.factor(-coefficients[1] / coefficients[0])]
        a, b, c = coefficients
        root = sp.sqrt(sp.factor(b**2 - 4 * a * c))
        return [(-b - root) / (2 * a), (-b + root) / (2 * a)]

    def _swaps(self, part: sp.Expr) -> bool:
        """Whether the map exchanges the two roots, rather than sending them to another pair."""
        leading, middle, _ = sp.Poly(part, self.x).all_coeffs()
        gap = self.x + self.image + middle / leading
        return bool(sp.rem(sp.Poly(gap, self.x), sp.Poly(part, self.x)).is_zero)

    def _cycle(self, part: sp.Expr, values: Sequence[sp.Expr]) -> Cycle:
        monic = sp.Poly(part, self.x).monic().as_expr()
        multiplier = sp.factor(sp.resultant(monic, sp.diff(self.image, self.x), self.x))
        if self.parameter is None and not self.is_free:
            return Cycle(part, tuple(values), multiplier, None, None)
        if self.parameter is None:
            here = self._inside(values, {})
            anywhere: Windows = ((-sp.oo, sp.oo),)
            stable = here and abs(multiplier) < 1
            return Cycle(
                part, tuple(values), multiplier, anywhere if here else (),
                anywhere if stable else (),
            )  # fmt: skip
        c = self.parameter
        border = [multiplier - 1, multiplier + 1, sp.discriminant(part, self.x)]
        border += [sp.resultant(part, end, self.x) for end in self.domain]
        found = self._cells(border, c)
        return Cycle(
            part, tuple(values), multiplier,
            where(lambda s: self._inside(values, {c: s}), found),
            where(
                lambda s: self._inside(values, {c: s}) and abs(multiplier.subs(c, s)) < 1, found
            ),
        )  # fmt: skip

    def _cells(self, border: Sequence[sp.Expr], c: sp.Symbol) -> tuple[Cell, ...]:
        low = sp.S.Zero if self.is_positive else -sp.oo
        return cells([e for e in map(sp.together, border) if c in e.free_symbols], c, low)

    def _inside(self, values: Sequence[sp.Expr], at: dict[sp.Symbol, sp.Expr]) -> bool:
        """Whether the values are real and in the domain."""
        numbers = [sp.sympify(v).subs(at) for v in values]
        if any(v.is_real is not True for v in numbers):
            return False
        return all(end.subs(at).subs(self.x, v) >= 0 for v in numbers for end in self.domain)

    def kept(self) -> Windows | None:
        """Return where the line up to the outermost fixed point is mapped into itself."""
        if self.parameter is None:
            return None
        c, slope = self.parameter, sp.diff(self.image, self.x)
        points = [one.values[0] for one in self.fixed()]
        points += [r for end in self.domain for r in sp.solve(end, self.x)]
        border = [sp.resultant(slope, self.image - p, self.x) for p in points]
        border += [sp.resultant(slope, self.x - p, self.x) for p in points]
        border += [p - r for i, p in enumerate(points) for r in points[:i]]
        border += [self.image.subs(self.x, p) - r for p in points for r in points]
        found = self._cells(border, c)
        return where(lambda s: self._keeps([sp.sympify(p).subs(c, s) for p in points], s), found)

    def _keeps(self, points: Sequence[sp.Expr], value: sp.Expr) -> bool:
        """Whether the hull of fixed points and ends of the domain is mapped into itself."""
        at = {self.parameter: value}
        inside = [p for p in points if self._inside([p], at)]
        if not inside or min(inside) == max(inside):
            return False
        image = self.image.subs(at)
        turning = sp.real_roots(sp.Poly(sp.diff(image, self.x), self.x))
        tried = [*inside, *(t for t in turning if min(inside) < t < max(inside))]
        return all(min(inside) <= image.subs(self.x, t) <= max(inside) for t in tried)


def _told(one: Cycle, c: sp.Symbol | None) -> str:
    if one.stable is None:
        return ""
    if sp.Abs(one.multiplier) == 1:
        return "; not decided by linear analysis"
    return f"; stable {_said(one.stable, c)}"


def _said(windows: Windows, c: sp.Symbol | None) -> str:
    if not windows:
        return "nowhere"
    if windows == ((-sp.oo, sp.oo),):
        return "everywhere"
    return "for " + " or ".join(_interval(low, high, c) for low, high in windows)


def _interval(low: sp.Expr, high: sp.Expr, c: sp.Symbol | None) -> str:
    left = "" if low == -sp.oo else f"{low} < "
    right = "" if high == sp.oo else f" < {high}"
    return f"{left}{c}{right}"
