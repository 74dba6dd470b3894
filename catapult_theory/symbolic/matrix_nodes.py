"""Matrix functions that SymPy lacks: elementwise functions, row softmax, sums, projections.

Each is an inert, immutable SymPy node. Their derivatives are never taken through SymPy's
matrix calculus: the closure engine stops at an opaque output gradient (THEORY section 2).
"""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalOf
from sympy.matrices.expressions.matexpr import MatrixExpr


class Elementwise(MatrixExpr):
    """A scalar function of (f, y) applied to each pair of entries of two matrices.

    Parameters
    ----------
    function : sympy.Lambda
        Of two scalar symbols.
    outputs, targets : MatrixExpr
        Of one shape.
    """

    is_commutative = False

    def __new__(cls, function: sp.Lambda, outputs: Any, targets: Any) -> Elementwise:
        return sp.Basic.__new__(cls, function, outputs, targets)

    @property
    def shape(self) -> tuple[sp.Expr, sp.Expr]:
        return self.args[1].shape

    def _entry(self, i: Any, j: Any, **kwargs: Any) -> sp.Expr:
        return self.args[0](self.args[1][i, j], self.args[2][i, j])

    def _sympystr(self, printer: Any) -> str:
        function, outputs, targets = self.args
        names = dict(zip(function.variables, (outputs, targets), strict=True))
        return f"[{printer._print(function.expr)} at {_assignments(names, printer, ' = ')}]"

    def _latex(self, printer: Any) -> str:
        function, outputs, targets = self.args
        names = dict(zip(function.variables, (outputs, targets), strict=True))
        body = printer._print(function.expr)
        return rf"\left[{body}\right]_{{{_assignments(names, printer, '=')}}}"


def _assignments(names: dict[Any, Any], printer: Any, equals: str) -> str:
    return ", ".join(f"{printer._print(k)}{equals}{printer._print(v)}" for k, v in names.items())


class Softmax(MatrixExpr):
    """The softmax of each row of a matrix."""

    is_commutative = False

    def __new__(cls, rows: Any) -> Softmax:
        return sp.Basic.__new__(cls, rows)

    @property
    def shape(self) -> tuple[sp.Expr, sp.Expr]:
        return self.args[0].shape

    def _entry(self, i: Any, j: Any, **kwargs: Any) -> sp.Expr:
        column = sp.Dummy("j", integer=True)
        total = sp.Sum(sp.exp(self.args[0][i, column]), (column, 0, self.shape[1] - 1))
        return sp.exp(self.args[0][i, j]) / total

    def _sympystr(self, printer: Any) -> str:
        return f"softmax({printer._print(self.args[0])})"

    def _latex(self, printer: Any) -> str:
        return rf"\operatorname{{softmax}}\left({printer._print(self.args[0])}\right)"


class LogSumExp(MatrixExpr):
    """The logarithm of the sum of exponentials of each row of a matrix, as a column."""

    is_commutative = False

    def __new__(cls, rows: Any) -> LogSumExp:
        return sp.Basic.__new__(cls, rows)

    @property
    def shape(self) -> tuple[sp.Expr, sp.Expr]:
        return (self.args[0].shape[0], sp.S.One)

    def _entry(self, i: Any, j: Any, **kwargs: Any) -> sp.Expr:
        column = sp.Dummy("j", integer=True)
        width = self.args[0].shape[1]
        return sp.log(sp.Sum(sp.exp(self.args[0][i, column]), (column, 0, width - 1)))

    def _sympystr(self, printer: Any) -> str:
        return f"logsumexp({printer._print(self.args[0])})"

    def _latex(self, printer: Any) -> str:
        return rf"\operatorname{{logsumexp}}\left({printer._print(self.args[0])}\right)"


class Diagonal(DiagonalOf):
    """The diagonal of a square matrix, as a column."""

    def _sympystr(self, printer: Any) -> str:
        return f"diag({printer._print(self.args[0])})"

    def _latex(self, printer: Any) -> str:
        return rf"\operatorname{{diag}}\left({printer._print(self.args[0])}\right)"


class Spread(DiagMatrix):
    """The diagonal matrix with a given column on its diagonal."""

    def doit(self, **hints: Any) -> Any:
        """Return the explicit matrix of an explicit column, otherwise itself."""
        column = self.args[0].doit(**hints)
        return super().doit(**hints) if isinstance(column, sp.MatrixBase) else Spread(column)

    def _sympystr(self, printer: Any) -> str:
        return f"Diag({printer._print(self.args[0])})"

    def _latex(self, printer: Any) -> str:
        return rf"\operatorname{{Diag}}\left({printer._print(self.args[0])}\right)"


class ElementSum(sp.Expr):
    """The sum of all entries of a matrix, a scalar."""

    is_commutative = True
    is_real = True

    def __new__(cls, matrix: Any) -> ElementSum:
        return sp.Expr.__new__(cls, matrix)

    def _sympystr(self, printer: Any) -> str:
        return f"sum({printer._print(self.args[0])})"

    def _latex(self, printer: Any) -> str:
        return rf"\sum_{{ij}}\left({printer._print(self.args[0])}\right)_{{ij}}"


class TopEigenvalue(sp.Expr):
    """The largest eigenvalue of a symmetric linear map of matrices, ``direction -> action``.

    The map is kept as its action, so that it can be applied without being formed.

    Parameters
    ----------
    action : MatrixExpr
        The image, linear in ``direction``.
    direction : MatrixSymbol
        The argument.
    """

    is_commutative = True
    is_real = True

    def __new__(cls, action: Any, direction: Any) -> TopEigenvalue:
        return sp.Expr.__new__(cls, action, direction)

    @property
    def free_symbols(self) -> set[Any]:
        return self.args[0].free_symbols - {self.args[1]}

    def _sympystr(self, printer: Any) -> str:
        return f"top_eigenvalue({printer._print(self.args[1])} -> {printer._print(self.args[0])})"

    def _latex(self, printer: Any) -> str:
        action, direction = (printer._print(a) for a in self.args)
        return rf"\lambda_{{\max}}\left[{direction}\mapsto {action}\right]"
