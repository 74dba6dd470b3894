"""Screening near misses: numbers at generic states for scalars, normal forms for matrices."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from catapult_theory.errors import ClaimError
from catapult_theory.rigor.claims.contractions import Contraction
from catapult_theory.rigor.claims.identities import Difference, vanishes
from catapult_theory.rigor.claims.matrix_hypotheses import Hypotheses, quotient_difference
from catapult_theory.rigor.claims.matrix_tree import ONE, MatrixReader, Misfit
from catapult_theory.rigor.claims.points import arrays
from catapult_theory.rigor.claims.problem import Branch, Facts, margin
from catapult_theory.rigor.claims.text import Source
from catapult_theory.rigor.claims.tree import Reader, Relation
from catapult_theory.rigor.claims.vocabulary import Vocabulary
from catapult_theory.rigor.claims.words import words_of

_POINTS = 5
# Generic states of order one: rounding is far below this, a wrong term far above.
_TOLERANCE = 1e-8

_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "tanh": np.tanh, "abs": np.abs,
    "min": np.minimum, "max": np.maximum,
}  # fmt: skip
_OPERATIONS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide,
    ast.Pow: np.power,
}  # fmt: skip


@dataclass
class ScalarScreen:
    """Candidates of a scalar claim: float64 at a few states, then exact expansion.

    Parameters
    ----------
    vocabulary : Vocabulary
    source : Source
    facts : Facts
        With the hypotheses of the claim.
    """

    vocabulary: Vocabulary
    source: Source
    facts: Facts
    _memo: dict[tuple[int, bool], tuple[ast.AST, Any]] = field(default_factory=dict)
    _scale: Any = 1.0

    @cached_property
    def _columns(self) -> dict[sp.Symbol, np.ndarray]:
        """Generic states that meet the solved hypotheses."""
        random = np.random.default_rng(6)
        branch: Branch = self.facts.branches[0]
        columns = {}
        for s in (*self.vocabulary.update_map.variables, *self.vocabulary.update_map.constants):
            signs = 1.0 if s.is_nonnegative else random.choice([-1.0, 1.0], size=_POINTS)
            columns[s] = signs * random.uniform(0.4, 1.7, size=_POINTS)
        for s, e in branch.solved.items():
            columns[s] = arrays(branch.at(e), columns) * np.ones(_POINTS)
        return columns

    def difference(self, tree: ast.expr) -> Any:
        """Return left minus right at the states; None where that is not finite."""
        if not isinstance(tree, ast.Compare):
            return None
        with np.errstate(all="ignore"):
            left, right = self._value(tree.left, False), self._value(tree.comparators[0], False)
        self._scale = np.maximum(1.0, abs(left) + abs(right))
        found = (left - right) * np.ones(_POINTS)
        return found if np.isfinite(found).all() else None

    def _value(self, node: ast.expr, after: bool) -> Any:
        key = id(node), after
        if key not in self._memo:
            self._memo[key] = node, self._computed(node, after)
        return self._memo[key][1]

    def _computed(self, node: ast.expr, after: bool) -> Any:
        if isinstance(node, ast.Constant):
            return float(node.value)  # type: ignore[arg-type]
        if isinstance(node, ast.Name):
            symbol = self.vocabulary.symbol(node.id)
            primed = self.vocabulary.primed(symbol) if after else symbol
            return arrays(self.vocabulary.value(primed), self._columns) * np.ones(_POINTS)
        if isinstance(node, ast.UnaryOp):
            value = self._value(node.operand, after)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.BinOp):
            operation = _OPERATIONS[type(node.op)]
            return operation(self._value(node.left, after), self._value(node.right, after))
        name = node.func.id  # type: ignore[attr-defined]
        if name == "next":
            if after:
                raise ClaimError("two steps: a claim is about one step")
            return self._value(node.args[0], True)  # type: ignore[attr-defined]
        values = [self._value(a, after) for a in node.args]  # type: ignore[attr-defined]
        return _FUNCTIONS[name](*values)

    def vanishes(self, difference: Any) -> bool:
        """Return whether a difference is zero up to rounding."""
        return bool((abs(difference) <= _TOLERANCE * self._scale).all())

    def pairs(self, base: Any, differences: Sequence[Any]) -> Iterator[tuple[int, int]]:
        """Yield pairs whose changes add up to minus the base."""
        table = np.array(differences)
        near = np.ones((len(table), len(table)), dtype=bool)
        for at in range(_POINTS):
            column = table[:, at]
            total = column[:, None] + column[None, :] - base[at]
            near &= abs(total) <= _TOLERANCE * (1 + abs(base[at]))
        yield from ((int(i), int(j)) for i, j in zip(*np.nonzero(np.triu(near, 1)), strict=True))

    def holds(self, tree: ast.expr) -> bool:
        """Return whether a candidate is an identity that uses the update."""
        (relation,) = Reader(self.source, self.vocabulary).relations_of(tree)
        expression, _ = margin(relation, self.vocabulary)
        if _says_nothing(relation):
            return False
        return Difference.of(expression).is_zero or vanishes(expression, self.facts) is not None


def _says_nothing(relation: Relation) -> bool:
    """Return whether two sides are equal whatever the step does."""
    return Difference.of(relation.left - relation.right).is_zero


@dataclass
class MatrixScreen:
    """Candidates of a matrix claim: their normal forms decide at once.

    Parameters
    ----------
    reader : MatrixReader
    given : Hypotheses
    """

    reader: MatrixReader
    given: Hypotheses

    def difference(self, tree: ast.expr) -> Any:
        """Return left minus right in normal form; None for quotients."""
        (relation,) = self.reader.relations(tree)
        if relation.left.bottom.key != ONE.key or relation.right.bottom.key != ONE.key:
            return None
        found = quotient_difference(relation.left, relation.right, self.reader.vocabulary)
        return self.given.at(found)

    def vanishes(self, difference: Contraction) -> bool:
        """Return whether no term is left."""
        return difference.is_zero

    def pairs(
        self, base: Contraction, differences: Sequence[Contraction]
    ) -> Iterator[tuple[int, int]]:
        """Yield pairs whose changes add up to minus the base."""
        places: dict[Any, list[int]] = {}
        for i, found in enumerate(differences):
            for j in places.get((base - found).key, ()):
                yield j, i
            places.setdefault(found.key, []).append(i)

    def holds(self, tree: ast.expr) -> bool:
        """Return whether a candidate is an identity between two different sides."""
        found = self.difference(tree)
        return found is not None and found.is_zero and not self._says_nothing(tree)

    def _says_nothing(self, tree: ast.expr) -> bool:
        """Return whether a claim about the step is true without any step."""
        if not any(isinstance(x, ast.Name) and x.id == "next" for x in ast.walk(tree)):
            return words_of(tree.left) == words_of(tree.comparators[0])  # type: ignore[attr-defined]
        still = _Standing().visit(copy.deepcopy(tree))
        found = self.difference(still)
        return bool(found is not None and found.is_zero)


class _Standing(ast.NodeTransformer):
    """Put the state before the step for the one after it."""

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        return node.args[0] if getattr(node.func, "id", "") == "next" else node


__all__ = ["MatrixScreen", "Misfit", "ScalarScreen"]
