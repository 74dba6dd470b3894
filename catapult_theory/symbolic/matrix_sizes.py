"""Whether the matrices of an expression fit: sizes that stay free are equal where they meet.

SymPy compares integers alone. The width and the number of samples are free: a product that needs
either to be 3 is refused rather than read as a condition on it. Other sizes that are symbols, such
as the number of inputs, are found from what they meet.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import sympy as sp

from catapult_theory.errors import ModelError
from catapult_theory.symbolic.symbols import n


def check_sizes(expression: Any, samples: Any) -> None:
    """Raise if two factors or summands of an expression do not have the sizes that they need.

    Parameters
    ----------
    expression : sympy expression
        Of matrices.
    samples : int or sympy.Symbol
        The number of rows of the data.

    Raises
    ------
    ModelError
        Naming the two that do not fit.

    Examples
    --------
    >>> m = sp.Symbol("m")
    >>> V, X = sp.MatrixSymbol("V", 2, 3), sp.MatrixSymbol("X", m, 3)
    >>> check_sizes(X @ V.T, m)
    >>> check_sizes(V @ X, m)
    Traceback (most recent call last):
    ...
    catapult_theory.errors.ModelError: V (2 x 3) times X (m x 3) in V*X: 3 is not m
    """
    free = {n, samples}
    for part in sp.preorder_traversal(expression):
        if isinstance(part, sp.MatMul):
            for left, right in pairwise(a for a in part.args if getattr(a, "is_Matrix", False)):
                meeting = (left.shape[1], right.shape[0])
                if _differ(meeting, free):
                    what = f"{_named(left)} times {_named(right)}"
                    raise ModelError(f"{what} in {part}: {meeting[0]} is not {meeting[1]}")
        elif isinstance(part, sp.MatAdd):
            for first, other in pairwise(part.args):
                if any(
                    _differ(sides, free) for sides in zip(first.shape, other.shape, strict=True)
                ):
                    raise ModelError(f"{_named(first)} and {_named(other)} cannot be added")


def _differ(sides: tuple[Any, Any], free: set[Any]) -> bool:
    return sides[0] != sides[1] and not free.isdisjoint(sides)


def _named(factor: Any) -> str:
    return f"{factor} ({factor.shape[0]} x {factor.shape[1]})"
