"""States in coordinates in which every draw is one of a network: what strategies draw from.

With two vectors and a domain of as many linear inequalities as there are state variables, the
values of the inequalities are the coordinates. Otherwise the coordinates are those of vectors
of length min(n, p), times sqrt(n), and the state is read off their inner products; n is the
length, and p the number of vectors, of a frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy as sp

from catapult_theory.errors import InputError
from catapult_theory.rigor.claims.gram_domain import (
    count_vectors,
    drawn_lengths,
    least_width,
    square_unit,
    width_unit,
)
from catapult_theory.rigor.claims.points import Irrational, Undefined, exact, meets, sign
from catapult_theory.rigor.claims.problem import Branch, Constraint, Facts, margin
from catapult_theory.rigor.claims.reading import read_claim, read_hypotheses
from catapult_theory.rigor.claims.vocabulary import Vocabulary
from catapult_theory.rigor.falsification.number_strategies import dyadics, strategies_module
from catapult_theory.symbolic.symbols import Inner
from catapult_theory.symbolic.update_map import UpdateMap

Member = dict[sp.Symbol, Fraction]
Bound = Callable[[Member], Fraction | None]


@dataclass(frozen=True)
class Drawing:
    """How states of one map are put together from drawn numbers.

    Parameters
    ----------
    update_map : UpdateMap
    vocabulary : Vocabulary
    branches : tuple of Branch
        The ways to meet the hypotheses.
    """

    update_map: UpdateMap
    vocabulary: Vocabulary
    branches: tuple[Branch, ...]

    @classmethod
    def of(cls, update_map: UpdateMap, where: Any = None) -> Drawing:
        """Return the drawing of a scalar map under hypotheses.

        Raises
        ------
        InputError
            If the hypotheses speak of a carried quantity that is not in the state, or fix a
            state variable where states come from vectors.
        """
        vocabulary = Vocabulary.of(update_map)
        hypotheses = read_hypotheses(where, vocabulary)
        symbols = frozenset((*update_map.variables, *update_map.constants))
        facts = Facts(vocabulary, tuple((h.text, h.relations) for h in hypotheses), symbols)
        new = cls(update_map, vocabulary, facts.branches)
        new._check()
        return new

    def _check(self) -> None:
        known = set(self.symbols)
        for branch in self.branches:
            spoken = set(branch.solved).union(*(e.free_symbols for e in branch.solved.values()))
            for c in branch.constraints:
                spoken |= c.expression.free_symbols if c.source != "domain" else set()
            if extra := sorted(s.name for s in spoken - known):
                raise InputError(
                    f"where speaks of {', '.join(extra)}, which is not in the state: give the map "
                    f"with it, update_map.with_observables({', '.join(map(repr, extra))})"
                )
            if not self.by_domain and set(branch.solved) & set(self.update_map.variables):
                raise InputError(
                    "an equation in where fixes a state variable, but states of this map are drawn "
                    "as vectors: give inequalities, or equations between parameters"
                )

    @property
    def constants(self) -> tuple[sp.Symbol, ...]:
        """The parameters of the map."""
        return self.update_map.constants

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        """State variables, then parameters."""
        return (*self.update_map.variables, *self.constants)

    @cached_property
    def least_width(self) -> int:
        """The width from which on the domain says all: see `gram_domain.least_width`."""
        return 1 if self.by_domain else least_width(self.update_map)

    @cached_property
    def fixed_width(self) -> Fraction | None:
        """The width that the hypotheses fix; None where they leave it free.

        Raises
        ------
        InputError
            If no network has it.
        """
        values = {e for b in self.branches for s, e in b.solved.items() if s.name == "n"}
        value = values.pop() if len(values) == 1 else None
        if value is None or not value.is_Rational:
            return None
        if value < 1 or value % width_unit(self.update_map):
            raise InputError(f"where fixes the width to {value}, which no network has")
        return Fraction(int(value))

    @cached_property
    def square_unit(self) -> int:
        """Widths are this times a square: frames fill whole units, and sqrt(n) is whole."""
        return square_unit(self.update_map)

    @cached_property
    def by_domain(self) -> bool:
        """Whether coordinates are the values of the domain's inequalities."""
        return self._cone is not None and count_vectors(self.update_map) == 2

    @cached_property
    def _cone(self) -> dict[sp.Symbol, sp.Expr] | None:
        """Each state variable in the values of the inequalities, where these are linear."""
        variables = list(self.update_map.variables)
        if len(self.update_map.domain) != len(variables):
            return None
        values = self._coordinates
        sides = [r.lhs - r.rhs - c for r, c in zip(self.update_map.domain, values, strict=True)]
        if not all(e.is_polynomial(*variables) for e in sides):
            return None
        if any(sp.Poly(e, *variables).total_degree() > 1 for e in sides):
            return None
        matrix, right = sp.linear_eq_to_matrix(sides, variables)
        if matrix.det() == 0:
            return None
        solved = [sp.expand(e) for e in matrix.solve(right)]
        # In a unit in which whole coordinates give whole numbers: those shrink best.
        unit = sp.ilcm(1, *(c.q for e in solved for c in e.atoms(sp.Rational)))
        larger = {c: unit * c for c in values}
        return {s: sp.expand(e.xreplace(larger)) for s, e in zip(variables, solved, strict=True)}

    @cached_property
    def _coordinates(self) -> list[sp.Dummy]:
        return [sp.Dummy(f"c{i}", nonnegative=True) for i in range(len(self.update_map.domain))]

    @cached_property
    def _atoms(self) -> list[sp.Symbol]:
        inner = {pair for s in self.update_map.variables for pair in self._gram[s].atoms(Inner)}
        return sorted({a for pair in inner for a in pair.args}, key=str)

    @cached_property
    def _gram(self) -> dict[sp.Symbol, sp.Expr]:
        return {s: self.update_map.gram[s] for s in self.update_map.variables}

    def numbers(self) -> Any:
        """Return a strategy for the numbers that a state is put together from."""
        st = strategies_module()
        if self.by_domain:
            near = st.integers(0, 24)
            return st.lists(
                st.tuples(near, dyadics(0, 8, 3)),
                min_size=len(self._coordinates),
                max_size=len(self._coordinates),
            )
        count = len(self._atoms) ** 2
        return st.lists(dyadics(-4, 4, 2), min_size=count, max_size=count)

    def edges(self) -> Any:
        """Return a strategy for ways to lie on the edge of the domain."""
        st = strategies_module()
        if self.by_domain:
            return st.integers(0, len(self._coordinates) - 1)
        return st.tuples(st.integers(1, len(self._atoms) - 1), st.sampled_from((1, -1, 0)))

    def placed(self, numbers: Any, edge: Any, point: Member) -> Member:
        """Return the state that drawn numbers stand for.

        Parameters
        ----------
        numbers : list
            Drawn from `numbers`.
        edge : object or None
            Drawn from `edges`; None for a state that need not lie on the edge.
        point : mapping
            The parameters, as fractions.

        Returns
        -------
        dict from symbols to Fraction
        """
        place = self._in_cone if self.by_domain else self._from_vectors
        return place(numbers, edge, point)

    def _in_cone(self, numbers: Any, edge: Any, point: Member) -> Member:
        first, *others = self._coordinates
        values = {first: numbers[0][1]}
        for other, (nearness, number) in zip(others, numbers[1:], strict=True):
            # Coordinates that nearly agree are a small output: the usual start of training.
            values[other] = values[first] + number / 2**nearness if nearness else number
        if edge is not None:
            values[self._coordinates[edge]] = Fraction(0)
        cone = self._cone or {}
        return {s: exact(e, {**values, **point}) for s, e in cone.items()}

    def _from_vectors(self, numbers: Any, edge: Any, point: Member) -> Member:
        atoms = self._atoms
        count = len(atoms)
        full = width_unit(self.update_map) * count
        width = next((int(v) for s, v in point.items() if s.name == "n"), full)
        lengths = drawn_lengths(self.update_map, width)
        vectors = {a: numbers[i * count : i * count + lengths[a.name]] for i, a in enumerate(atoms)}
        if edge is not None:
            copied, factor = edge
            # Where the vector before is of another frame, the two share no edge but at zero.
            same = self._group(atoms[copied]) == self._group(atoms[copied - 1])
            source = vectors[atoms[copied - 1 if same else copied]]
            vectors[atoms[copied]] = [factor * x if same else Fraction(0) for x in source]
        scale = width if lengths == drawn_lengths(self.update_map, full) else 1
        stand_in, known = {}, dict(point)
        for pair in set().union(*(e.atoms(Inner) for e in self._gram.values())):
            stand_in[pair] = sp.Dummy(real=True)
            left, right = (vectors[a] for a in pair.args)
            known[stand_in[pair]] = scale * sum(
                (x * y for x, y in zip(left, right, strict=True)), Fraction(0)
            )
        return {s: exact(e.xreplace(stand_in), known) for s, e in self._gram.items()}

    def _group(self, atom: sp.Symbol) -> int:
        frame = self.update_map.frame
        return frame.groups[frame.names.index(atom.name)] if frame.groups else 0

    def completed(self, point: Member, rescalings: Sequence[Fraction] = ()) -> Member | None:
        """Return the first point that meets domain and hypotheses, with solved symbols put in.

        Parameters
        ----------
        point : mapping
            All state variables and parameters.
        rescalings : sequence of Fraction
            Factors for the learning rate that are tried in this order; empty for none.

        Returns
        -------
        dict or None
        """
        rate = next((s for s in self.constants if s.name == "eta"), None)
        factors = rescalings if rate is not None and rescalings else (Fraction(1),)
        for factor in factors:
            moved = point if factor == 1 or rate is None else {**point, rate: point[rate] * factor}
            for branch in self.branches:
                full = self._on(branch, moved)
                if full is not None:
                    return full
        return None

    def _on(self, branch: Branch, point: Member) -> Member | None:
        full = dict(point)
        try:
            for s, e in branch.solved.items():
                full[s] = exact(e, point)
            # Vectors were multiplied at the width of the point.
            if not self.by_domain and any(full[s] != point[s] for s in point if s.name == "n"):
                return None
            met = all(meets(sign(c.expression, full), c.kind) for c in self._checked(branch))
        except (Irrational, Undefined):
            return None
        return full if met else None

    def _checked(self, branch: Branch) -> list[Constraint]:
        known = set(self.symbols)
        return [c for c in branch.constraints if c.expression.free_symbols <= known]


def boundary_values(boundary: Any, drawing: Drawing) -> list[tuple[sp.Symbol, Bound]]:
    """Return where a boundary lies: a symbol, and its value there in terms of the others.

    Parameters
    ----------
    boundary : str or sympy relation
    drawing : Drawing

    Returns
    -------
    list of (symbol, function from points to the value, or None where there is none)

    Raises
    ------
    InputError
        If no factor of the boundary is linear in a symbol that may be moved.
    """
    vocabulary = drawing.vocabulary
    found: list[tuple[sp.Symbol, Bound]] = []
    for relation in read_claim(boundary, vocabulary).relations:
        expression, _ = margin(relation, vocabulary)
        for factor in _factors(expression):
            found += _solved(factor, drawing)
    if not found:
        raise InputError(
            f"the boundary {boundary} cannot be solved for a symbol: no factor of it is linear in "
            "one that may be moved"
        )
    return found


def _factors(expression: sp.Expr) -> list[sp.Expr]:
    top = sp.numer(sp.together(expression))
    return [factor for factor, _ in sp.factor_list(top)[1]]


def _solved(factor: sp.Expr, drawing: Drawing) -> list[tuple[sp.Symbol, Bound]]:
    """Return the symbols in which a factor is linear; where states are vectors, parameters."""
    state = drawing.update_map.variables if drawing.by_domain else ()
    movable = [s for s in (*state, *drawing.constants) if s.name != "n"]
    found = []
    for symbol in movable:
        if symbol not in factor.free_symbols or not factor.is_polynomial(symbol):
            continue
        parts = sp.Poly(factor, symbol).all_coeffs()
        if len(parts) == 2:
            found.append((symbol, _bound(*parts)))
    return found


def _bound(slope: sp.Expr, rest: sp.Expr) -> Bound:
    def value(point: Member) -> Fraction | None:
        try:
            bottom = exact(slope, point)
            return None if bottom == 0 else -exact(rest, point) / bottom
        except (Irrational, Undefined):
            return None

    return value
