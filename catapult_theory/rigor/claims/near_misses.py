"""Near misses: which small change of a false equation makes it right.

Candidates come from the claim's own tree. Each changes the difference of the two sides by
some amount; one edit mends the claim if what is left is zero, two edits of different
summands do if their amounts add up. Numbers screen them, and the exact method judges.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from catapult_theory.errors import ClaimError
from catapult_theory.rigor.claims.edits import Edit, Editor, are_apart, combined
from catapult_theory.rigor.claims.words import words_of

_CONFIRMED = 12
_PAIRS = 4000
_ALONE = ("dropped factor", "dropped term", "step", "forgotten factor")


@dataclass(frozen=True)
class Mended:
    """A claim that holds, and what was changed.

    Parameters
    ----------
    claim : str
    changes : tuple of str
        Each as "old -> new (kind)".
    """

    claim: str
    changes: tuple[str, ...]

    def __str__(self) -> str:
        return f"it holds with {' and '.join(self.changes)}: {self.claim}"


class Screen(Protocol):
    """How a candidate is screened and judged."""

    def difference(self, tree: ast.expr) -> Any:
        """Return the difference of the two sides in a form that adds, or None."""

    def vanishes(self, difference: Any) -> bool:
        """Return whether a difference looks like zero."""

    def pairs(self, base: Any, differences: Sequence[Any]) -> Iterator[tuple[int, int]]:
        """Yield pairs of differences whose changes add up to mend the base."""

    def holds(self, tree: ast.expr) -> bool:
        """Return whether a candidate holds, judged exactly, and says something."""


def mended(tree: ast.expr, names: Iterable[str], is_matrix: bool, screen: Screen) -> Mended | None:
    """Return the first small change that makes an equation right, or None.

    Parameters
    ----------
    tree : ast.expr
        The claim, an equation.
    names : iterable of str
        Names that resolve.
    is_matrix : bool
        Whether factors have an order and transposes.
    screen : Screen

    Returns
    -------
    Mended or None
    """
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1:
        return None
    found: list[tuple[Edit, Any]] = []
    tried = 0
    for edit in Editor(tree, frozenset(names), is_matrix).edits():
        difference = _quiet(screen.difference, edit.tree)
        if difference is None:
            continue
        if screen.vanishes(difference) and tried < _CONFIRMED:
            tried += 1
            if _quiet(screen.holds, edit.tree):
                return Mended(words_of(edit.tree), (_worded(edit),))
        found.append((edit, difference))
    base = _quiet(screen.difference, tree)
    return None if base is None else _pair(found, base, screen)


def _pair(found: list[tuple[Edit, Any]], base: Any, screen: Screen) -> Mended | None:
    """Return two edits of different summands that mend a claim together."""
    # Two changes of these kinds make almost any claim say nothing.
    found = [(edit, d) for edit, d in found if edit.kind not in _ALONE]
    tried = 0
    for i, j in itertools.islice(screen.pairs(base, [d for _, d in found]), _PAIRS):
        first, second = found[i][0], found[j][0]
        if not are_apart(first, second):
            continue
        tried += 1
        tree = combined(first, second)
        if _quiet(screen.holds, tree):
            return Mended(words_of(tree), (_worded(first), _worded(second)))
        if tried >= _CONFIRMED:
            return None
    return None


def _quiet(function: Callable[[ast.expr], Any], tree: ast.expr) -> Any:
    """Return what a function says of a candidate; None for one that means nothing."""
    try:
        return function(tree)
    except (ClaimError, ArithmeticError, ValueError):
        return None


def _worded(edit: Edit) -> str:
    return f"{edit.new} in place of {edit.old} ({edit.kind})"
