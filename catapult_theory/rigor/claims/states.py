"""States that networks can have, as exact rational points: grids, random draws, vectors.

Where the domain is known in closed form, small numbers are tried directly and those outside
are dropped. Elsewhere (momentum) rational vectors are drawn and the state is computed from
their inner products, so that every point belongs to some network.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import sympy as sp

from catapult_theory.rigor.claims.gram_domain import (
    count_vectors,
    drawn_lengths,
    least_width,
    square_unit,
    width_unit,
)
from catapult_theory.rigor.claims.points import (
    Irrational,
    Undefined,
    arrays,
    exact,
    meets,
    plain_float,
    sign,
)
from catapult_theory.rigor.claims.problem import Branch, Constraint, solutions
from catapult_theory.rigor.claims.vocabulary import Vocabulary
from catapult_theory.symbolic.symbols import Inner

GRIDS = (1_500, 20_000)
RANDOM = 6_000
VECTORS = 600
_SEED = 20_030_202

# Small numbers first: the first violation found is the easiest to check by hand. Widths are
# squares, so that sqrt(n) is a whole number.
_POOLS: Mapping[str, tuple[str, ...]] = {
    "n": ("1", "4", "9", "16", "100", "10000"),
    "eta": ("1", "1/2", "2", "1/4", "3", "4", "1/10", "3/2", "5"),
    "beta": ("1/2", "0", "9/10", "1/4", "1/10"),
    "omega": ("1/10", "0", "1/2", "1", "1/100", "1/4"),
}
_NONNEGATIVE = ("1", "2", "0", "1/2", "3", "4", "5", "3/2", "1/4", "6", "8", "5/2", "10", "7/2")
_SIGNED = ("1", "0", "-1", "2", "-2", "1/2", "-1/2", "3", "-3", "4", "-4", "3/2", "-3/2", "1/4")

Point = dict[sp.Symbol, Fraction]


@dataclass(frozen=True)
class States:
    """Where to look for states of one map on one branch of the hypotheses.

    Parameters
    ----------
    vocabulary : Vocabulary
    branch : Branch
    symbols : tuple of symbols
        The state variables and parameters that are free on the branch and matter.
    """

    vocabulary: Vocabulary
    branch: Branch
    symbols: tuple[sp.Symbol, ...]

    @classmethod
    def of(cls, vocabulary: Vocabulary, branch: Branch, used: frozenset[sp.Symbol]) -> States:
        """Return the states of a branch, in the symbols that a claim and its branch use."""
        everything = (*vocabulary.update_map.variables, *vocabulary.update_map.constants)
        linked = set(used)
        for constraint in branch.constraints:
            if constraint.source != "domain":
                linked |= constraint.expression.free_symbols
        for solved in branch.solved.values():
            linked |= solved.free_symbols
        carried = {vocabulary.base[name] for name in vocabulary.carried}
        domain = (c.expression.free_symbols for c in branch.constraints if c.source == "domain")
        for symbols in domain:
            if symbols & linked and not symbols & (carried - linked):
                linked |= symbols
        free = tuple(s for s in everything if s in linked and s not in branch.solved)
        return cls(vocabulary, branch, free)

    @cached_property
    def _state(self) -> set[sp.Symbol]:
        """The state variables that matter, solved ones included."""
        return set(self.vocabulary.update_map.variables) & {*self.symbols, *self.branch.solved}

    @cached_property
    def from_vectors(self) -> bool:
        """Whether states are computed from vectors, as for more than f, lam and Delta.

        A state without a frame is its own parameters, and any numbers are one.
        """
        if not self.vocabulary.update_map.frame.names:
            return False
        return len(self._state) > 3 or (bool(self._state) and not self.vocabulary.minors)

    @cached_property
    def _put_in(self) -> Mapping[sp.Symbol, sp.Expr]:
        """The solved symbols whose values are computed; those of vectors are compared."""
        if not self.from_vectors:
            return self.branch.solved
        drawn = self.vocabulary.update_map.variables
        return {s: e for s, e in self.branch.solved.items() if s not in drawn}

    @cached_property
    def _least_width(self) -> int:
        """The width at which every state inside the domain belongs to a network.

        One vector has any length at every width. With two vectors and one of their three inner
        products left free, that one can be chosen so that the Gram matrix has rank one: then
        every width will do.
        """
        carried = {self.vocabulary.base[name] for name in self.vocabulary.carried}
        update_map = self.vocabulary.update_map
        vectors = count_vectors(update_map)
        free = vectors == 2 and len(self._state) < 3 and not self._state & carried
        return self._unit if vectors < 2 or free else least_width(update_map)

    @cached_property
    def _unit(self) -> int:
        """The number of which widths are multiples, so that frames fill whole units."""
        return width_unit(self.vocabulary.update_map)

    def batches(self) -> Iterator[list[Point]]:
        """Yield points, the simplest first: grids, random draws, points near bounds."""
        if self.from_vectors:
            yield from (self._vectors(np.random.default_rng((_SEED, k)), VECTORS) for k in range(2))
            return
        for size in GRIDS:
            yield list(self._grid(size))
        drawn = self._random(np.random.default_rng(_SEED), RANDOM)
        yield drawn
        yield self._near_bounds(drawn[: RANDOM // 6])

    def _near_bounds(self, points: Sequence[Point]) -> list[Point]:
        """Move points to where a hypothesis is an equality, and a little to either side."""
        moved = []
        for constraint in self.checked:
            cases = [] if constraint.source == "domain" else solutions(constraint, self.branch)
            for (symbol, bound), point in itertools.product(
                (pair for case in cases for pair in case.items()), points
            ):
                try:
                    edge = exact(bound, point)
                except (Irrational, Undefined):
                    continue
                nudges = (Fraction(0), Fraction(1, 1000), Fraction(-1, 1000), Fraction(-1, 20))
                moved += [{**point, symbol: edge * (1 + nudge)} for nudge in nudges]
        return moved

    def _grid(self, size: int) -> Iterator[Point]:
        scales = [
            square_unit(self.vocabulary.update_map) if s.name == "n" else 1 for s in self.symbols
        ]
        pools = [[k * Fraction(t) for t in _pool(s)]
                 for k, s in zip(scales, self.symbols, strict=True)]  # fmt: skip
        while np.prod([len(p) for p in pools], dtype=float) > size:
            longest = max(pools, key=len)
            longest.pop()
        for values in itertools.product(*pools):
            yield dict(zip(self.symbols, values, strict=True))

    def _random(self, random: np.random.Generator, count: int) -> list[Point]:
        """Draw rational numbers over several scales; outputs also as parts of their bound."""
        columns = [self._drawn(s, random, count) for s in self.symbols]
        points = [dict(zip(self.symbols, row, strict=True)) for row in zip(*columns, strict=True)]
        names = {s.name: s for s in self.symbols}
        if {"f", "lam", "n"} <= set(names):
            f, lam, n = names["f"], names["lam"], names["n"]
            for point in points:
                part = Fraction(
                    int(random.integers(-8, 9)), 8 * 10 ** int(random.choice([0, 0, 1, 3]))
                )
                root = _square_root(point[n])
                if root is not None:
                    point[f] = part * root * point[lam] / 2
        return points

    def _vectors(self, random: np.random.Generator, count: int) -> list[Point]:
        """Draw rational vectors and return the states that they have."""
        constants = self.vocabulary.update_map.constants
        columns = [self._drawn(s, random, count) for s in constants]
        points = []
        for row in zip(*columns, strict=True):
            try:
                point = self._fixed(dict(zip(constants, row, strict=True)))
                numbers = self._inner_products(random, point)
                points.append(point | {s: exact(e, {**numbers, **point})
                                       for s, e in self._images.items()})  # fmt: skip
            except (Irrational, Undefined):
                continue
        return points

    def _fixed(self, point: Point) -> Point:
        """Return parameters with those that the hypotheses fix, the width above all, put in."""
        known = {s: e for s, e in self._put_in.items() if e.free_symbols <= set(point)}
        fixed = {s: exact(e, point) for s, e in known.items() if s in point}
        width = next((v for s, v in fixed.items() if s.name == "n"), Fraction(self._unit))
        if width < 1 or width % self._unit:
            raise Undefined(f"there is no width {width}")
        return {**point, **fixed}

    @cached_property
    def _stand_ins(self) -> dict[Inner, sp.Dummy]:
        gram = self.vocabulary.update_map.gram
        inner = sorted(set().union(*(e.atoms(Inner) for e in gram.values())), key=str)
        return {i: sp.Dummy(str(i), real=True) for i in inner}

    @cached_property
    def _images(self) -> dict[sp.Symbol, sp.Expr]:
        """The state in stand-ins for the inner products."""
        return {s: e.xreplace(self._stand_ins) for s, e in self.vocabulary.update_map.gram.items()}

    def _inner_products(self, random: np.random.Generator, point: Point) -> Point:
        """Draw vectors as long as their frames are at the width of a point, and multiply them."""
        frame = self.vocabulary.update_map.frame
        atoms = sorted({a.name for pair in self._stand_ins for a in pair.args})
        trained = [k for k, a in enumerate(atoms) if a in frame.names[: frame.trained]]
        buffers = [k for k in range(len(atoms)) if k not in trained]
        width = next((int(v) for s, v in point.items() if s.name == "n"), self._unit)
        own = drawn_lengths(self.vocabulary.update_map, width)
        lengths = np.array([own[a] for a in atoms])
        entries = random.integers(-4, 5, size=(len(atoms), lengths.max()))
        # Vectors u = v are the boundary of the domain; a run starts at rest.
        if random.integers(4) == 0 and len(trained) > 1:
            entries[trained[-1]] = entries[trained[-2]]
        if random.integers(4) == 0:
            entries[buffers] = 0
        entries[np.arange(lengths.max()) >= lengths[:, None]] = 0
        products = entries @ entries.T
        unit = Fraction(1, int(random.choice([1, 1, 4, 4, 16])))
        where = {a: k for k, a in enumerate(atoms)}
        return {
            s: int(products[where[i.args[0].name], where[i.args[1].name]]) * unit
            for i, s in self._stand_ins.items()
        }

    def _drawn(self, symbol: sp.Symbol, random: np.random.Generator, count: int) -> list[Fraction]:
        """Draw numbers for a symbol; widths so that frames fill whole units."""
        scale = square_unit(self.vocabulary.update_map) if symbol.name == "n" else 1
        return [scale * number for number in _draw(symbol, random, count)]

    def completed(self, point: Point) -> Point | None:
        """Return a point with the solved symbols put in, or None if it meets not all facts."""
        full = dict(point)
        width = next((v for s, v in point.items() if s.name == "n"), Fraction(self._unit))
        if width % self._unit:
            return None
        try:
            for s, e in self._put_in.items():
                full[s] = exact(e, point)
            for constraint in self.checked:
                if not meets(sign(constraint.expression, full), constraint.kind):
                    return None
        except (Irrational, Undefined):
            return None
        return full

    @cached_property
    def checked(self) -> list[Constraint]:
        """The facts that speak of nothing but the symbols of the points."""
        have = set(self.symbols) | set(self.branch.solved)
        if self.from_vectors:
            have |= {*self.vocabulary.update_map.variables, *self.vocabulary.update_map.constants}
        return [c for c in self._facts if c.expression.free_symbols <= have]

    @cached_property
    def _facts(self) -> list[Constraint]:
        """The branch's constraints, the Gram matrix at the carried value 0, and the width."""
        found = list(self.branch.constraints)
        if self.from_vectors:
            compared = set(self.branch.solved) - set(self._put_in)
            return found + [Constraint(s - self.branch.solved[s], "=", "solved") for s in compared]
        if not self._state:
            return found
        names = self.vocabulary.carried
        unused = {self.vocabulary.base[k]: sp.S.Zero for k in names}
        unused = {s: z for s, z in unused.items() if s not in self._state}
        minors = (self.branch.at(m.xreplace(unused)) for m in self.vocabulary.minors)
        found += [Constraint(m, ">=", "domain") for m in minors]
        width = self.vocabulary.base.get("n")
        if width is not None and self._least_width > 1:
            found.append(Constraint(self.branch.at(width - self._least_width), ">=", "domain"))
        return found

    def inside(self, points: Sequence[Point]) -> np.ndarray:
        """Return which points may meet all facts, by float64 with a margin for rounding."""
        columns = self.columns(points)
        keep = np.ones(len(points), dtype=bool)
        for constraint in self.checked:
            values = arrays(constraint.expression, columns)
            if constraint.kind == "=":
                keep &= abs(values) <= 1e-7
            else:
                keep &= values >= (1e-12 if constraint.kind == ">" else -1e-9)
        return keep

    def columns(self, points: Sequence[Point]) -> dict[sp.Symbol, np.ndarray]:
        """Return points as float64 arrays, the solved symbols included."""
        names = list(points[0]) if points else list(self.symbols)
        columns = {s: np.array([plain_float(p[s]) for p in points]) for s in names}
        solved = {s: arrays(e, columns) for s, e in self._put_in.items()}
        ones = np.ones(len(points))
        return columns | {s: v * ones for s, v in solved.items()}


def _pool(symbol: sp.Symbol) -> tuple[str, ...]:
    if symbol.name in _POOLS:
        return _POOLS[symbol.name]
    if symbol.is_positive:
        return tuple(t for t in _NONNEGATIVE if t != "0")
    return _NONNEGATIVE if symbol.is_nonnegative else _SIGNED


def _draw(symbol: sp.Symbol, random: np.random.Generator, count: int) -> list[Fraction]:
    """Draw small rational numbers over several scales, of the sign that a symbol has."""
    if symbol.name == "n":
        widths = [1, 1, 4, 4, 9, 16, 25, 100, 10_000, 1_000_000]
        return [Fraction(int(k)) for k in random.choice(widths, size=count)]
    if symbol.name == "beta":
        return [Fraction(int(k), 10) for k in random.integers(0, 10, size=count)]
    bottoms = random.choice([1, 2, 3, 4, 5, 8, 10], size=count)
    tops = np.ceil(bottoms * np.exp(random.normal(loc=0.3, scale=1.3, size=count)))
    signs = 1 if symbol.is_nonnegative else random.choice([-1, 1], size=count)
    return [Fraction(int(t), int(b)) for t, b in zip(signs * tops, bottoms, strict=True)]


def _square_root(number: Fraction) -> Fraction | None:
    symbol = sp.Symbol("x", positive=True)
    try:
        return exact(sp.sqrt(symbol), {symbol: number})
    except Irrational:
        return None
