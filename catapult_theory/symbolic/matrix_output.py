"""The output of a matrix model: a sum of products of matrices, and diagonals of such sums.

A diagonal is what a quadratic activation needs: sum_i (u_i . x)^2 over the units is, for all
samples at once, the diagonal of X U^T U X^T. Its derivative stays a product of matrices, since
tr(R^T diag(A B C)) = tr(Diag(R) A B C) for a column R.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sympy as sp

from catapult_theory.errors import ModelError
from catapult_theory.symbolic.matrix_nodes import Diagonal, Spread
from catapult_theory.symbolic.words import Factor, Polynomial, Word, symbol


@dataclass(frozen=True)
class MatrixOutput:
    """The m x k outputs as two polynomials in matrices.

    Parameters
    ----------
    plain : Polynomial
        Of shape (m, k).
    diagonal : Polynomial
        Of shape (m, m); its diagonal is added, as a column, to the output.
    """

    plain: Polynomial
    diagonal: Polynomial

    @property
    def shape(self) -> tuple[Any, Any]:
        """Samples and outputs."""
        return self.plain.shape

    def mapped(self, change: Callable[[Polynomial], Polynomial]) -> MatrixOutput:
        """Return the output with both polynomials changed."""
        return MatrixOutput(change(self.plain), change(self.diagonal))

    def expression(self) -> Any:
        """Return the SymPy matrix expression."""
        if not self.diagonal.terms:
            return self.plain.matrix()
        column = Diagonal(self.diagonal.matrix())
        return column if not self.plain.terms else sp.MatAdd(self.plain.matrix(), column)

    def along(self, rate: Callable[[Factor], Polynomial | None]) -> MatrixOutput:
        """Return the derivative along given rates of change of the blocks."""
        return self.mapped(lambda polynomial: polynomial.differential(rate))

    def terms(self, direction: Any) -> Iterator[tuple[Word, Any, Polynomial, Any]]:
        """Yield each word with its coefficient, the direction paired with it, and its width.

        The derivative of tr(R^T f) along a word of the diagonal is that of tr(Diag(R) A B C).
        """
        for word, c in self.plain.terms.items():
            yield word, c, symbol(direction), self.shape[1]
        for word, c in self.diagonal.terms.items():
            yield word, c, symbol(spread(direction)), self.shape[0]


def spread(direction: Any) -> Any:
    """Return the placeholder of the diagonal matrix that has a column on its diagonal."""
    rows = direction.shape[0]
    return sp.MatrixSymbol(f"Diag({direction.name})", rows, rows)


def placed(expression: Any, directions: tuple[Any, ...]) -> Any:
    """Return an expression with the placeholders of `spread` replaced by diagonal matrices."""
    return expression.xreplace({spread(r): Spread(r) for r in directions})


def read(expression: Any, contract: Callable[[Any], Polynomial]) -> MatrixOutput:
    """Return a model's output, its products over the width contracted to blocks.

    Parameters
    ----------
    expression : MatrixExpr
    contract : callable
        From a matrix expression to a polynomial of blocks.

    Returns
    -------
    MatrixOutput

    Raises
    ------
    ModelError
        If a diagonal stands inside a product, or beside several outputs.
    """
    rows, cols = expression.shape
    plain, diagonal = Polynomial({}, (rows, cols)), Polynomial({}, (rows, rows))
    for part in expression.args if isinstance(expression, sp.MatAdd) else (expression,):
        scale, column = _diagonal_part(part)
        if column is None:
            plain = plain + contract(part)
        elif cols != 1:
            raise ModelError(f"{part} is a column, but the model has {cols} outputs")
        else:
            diagonal = diagonal + contract(column.args[0]) * scale
    return MatrixOutput(plain, diagonal)


def _diagonal_part(part: Any) -> tuple[Any, Any]:
    """Split c diag(E); None where there is no diagonal."""
    if isinstance(part, Diagonal):
        return sp.S.One, part
    if not part.has(Diagonal):
        return sp.S.One, None
    if isinstance(part, sp.MatMul):
        scale, factors = part.as_coeff_matrices()
        if [type(factor) for factor in factors] == [Diagonal]:
            return scale, factors[0]
    raise ModelError(f"{part}: ct.diagonal may be added and scaled, not multiplied")
