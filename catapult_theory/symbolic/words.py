"""Polynomials in non-commuting matrices: sums of words with scalar coefficients.

SymPy's matrix expressions do not expand, collect or differentiate reliably; a word algebra
does with a dictionary what the closure of matrix models needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr
from sympy.matrices.expressions.slice import MatrixSlice

from catapult_theory.errors import ModelError

Factor = tuple[Any, bool]  # a MatrixSymbol and whether it stands transposed
Word = tuple[Factor, ...]


@dataclass(frozen=True)
class Polynomial:
    """A sum of words of one shape; the empty word is the identity.

    Parameters
    ----------
    terms : mapping
        From words to scalar coefficients.
    shape : tuple
        Rows and columns.
    """

    terms: Mapping[Word, sp.Expr]
    shape: tuple[Any, Any]

    def __add__(self, other: Polynomial) -> Polynomial:
        total = dict(self.terms)
        for word, c in other.terms.items():
            total[word] = total.get(word, sp.S.Zero) + c
        return Polynomial(
            {w: sp.expand(c) for w, c in total.items() if sp.expand(c) != 0}, self.shape
        )

    def __mul__(self, factor: Any) -> Polynomial:
        scaled = {w: c * factor for w, c in self.terms.items()}
        return Polynomial({w: c for w, c in scaled.items() if c != 0}, self.shape)

    def __sub__(self, other: Polynomial) -> Polynomial:
        return self + other * -1

    def __matmul__(self, other: Polynomial) -> Polynomial:
        total: dict[Word, sp.Expr] = {}
        for left, a in self.terms.items():
            for right, b in other.terms.items():
                total[left + right] = total.get(left + right, sp.S.Zero) + a * b
        return Polynomial(
            {w: c for w, c in total.items() if c != 0}, (self.shape[0], other.shape[1])
        )

    def transposed(self, symmetric: frozenset[Any]) -> Polynomial:
        """Return the transpose; symbols in ``symmetric`` are their own transposes."""
        rows, cols = self.shape
        return Polynomial({_flip(w, symmetric): c for w, c in self.terms.items()}, (cols, rows))

    def substituted(self, replace: Callable[[Factor], Polynomial | None]) -> Polynomial:
        """Return the polynomial with factors replaced by polynomials."""
        total = Polynomial({}, self.shape)
        for word, c in self.terms.items():
            product = Polynomial({(): c}, (self.shape[0], self.shape[0]))
            for factor in word:
                new = replace(factor)
                product = product @ (
                    Polynomial({(factor,): sp.S.One}, shape_of(factor)) if new is None else new
                )
            total = total + product
        return Polynomial(total.terms, self.shape)

    def differential(self, rate: Callable[[Factor], Polynomial | None]) -> Polynomial:
        """Return the derivative along given rates of change of the factors."""
        total = Polynomial({}, self.shape)
        for word, c in self.terms.items():
            for i, factor in enumerate(word):
                change = rate(factor)
                if change is None:
                    continue
                before = Polynomial({word[:i]: c}, (self.shape[0], change.shape[0]))
                after = Polynomial({word[i + 1 :]: sp.S.One}, (change.shape[1], self.shape[1]))
                total = total + before @ change @ after
        return total

    def matrix(self) -> Any:
        """Return the SymPy matrix expression, words of equal coefficient gathered."""
        groups: dict[sp.Expr, list[Any]] = {}
        for word, c in self.terms.items():
            c = sp.factor(sp.expand(c))
            sign = -1 if c.could_extract_minus_sign() else 1
            body = (
                sp.MatMul(*(a.T if t else a for a, t in word))
                if word
                else sp.Identity(self.shape[0])
            )
            groups.setdefault(sign * c, []).append(sign * body if sign < 0 else body)
        if not groups:
            return sp.ZeroMatrix(*self.shape)
        return sp.MatAdd(*(_scaled(c, bodies) for c, bodies in groups.items()))


def _scaled(coefficient: sp.Expr, bodies: list[Any]) -> Any:
    signs = [-1 if isinstance(b, sp.MatMul) and b.args[0] == -1 else 1 for b in bodies]
    if all(s < 0 for s in signs):
        coefficient, bodies = -coefficient, [(-b).doit(deep=False) for b in bodies]
    inner = sp.MatAdd(*bodies) if len(bodies) > 1 else bodies[0]
    return inner if coefficient == 1 else sp.MatMul(coefficient, *_factors(inner))


def _factors(inner: Any) -> tuple[Any, ...]:
    return inner.args if isinstance(inner, sp.MatMul) else (inner,)


def _flip(word: Word, symmetric: frozenset[Any]) -> Word:
    return tuple((a, False if a in symmetric else not t) for a, t in reversed(word))


def shape_of(factor: Factor) -> tuple[Any, Any]:
    """Return the shape of a factor as it stands."""
    rows, cols = factor[0].shape
    return (cols, rows) if factor[1] else (rows, cols)


def symbol(matrix: Any, transposed: bool = False) -> Polynomial:
    """Return a matrix symbol as a polynomial."""
    return Polynomial({((matrix, transposed),): sp.S.One}, shape_of((matrix, transposed)))


def identity(size: Any, coefficient: Any = 1) -> Polynomial:
    """Return a multiple of the identity; zero if the coefficient is."""
    terms: dict[Word, Any] = {(): sp.sympify(coefficient)} if coefficient != 0 else {}
    return Polynomial(terms, (size, size))


def _is_part(expression: Any) -> bool:
    """Whether it is some rows and columns of a matrix symbol, such as X[:, 0:3]."""
    return isinstance(expression, MatrixSlice) and isinstance(expression.parent, sp.MatrixSymbol)


def parse(expression: Any) -> Polynomial:
    """Return a SymPy matrix expression of sums, products and transposes as a polynomial.

    Slices of a symbol (some columns of the data) stand for themselves.

    Parameters
    ----------
    expression : MatrixExpr

    Returns
    -------
    Polynomial

    Raises
    ------
    ModelError
        If it holds anything else (an inverse, an elementwise function).

    Examples
    --------
    >>> A, B = sp.MatrixSymbol("A", 2, 3), sp.MatrixSymbol("B", 3, 2)
    >>> parse((A * B + 2 * B.T * A.T).T).matrix()
    2*A*B + B.T*A.T
    """
    if isinstance(expression, sp.MatrixSymbol) or _is_part(expression):
        return symbol(expression)
    if isinstance(expression, sp.Transpose):
        return parse(expression.arg).transposed(frozenset())
    if isinstance(expression, sp.MatAdd):
        parts = [parse(a) for a in expression.args]
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total
    if isinstance(expression, sp.MatMul):
        scalars = [a for a in expression.args if not isinstance(a, MatrixExpr)]
        matrices = [parse(a) for a in expression.args if isinstance(a, MatrixExpr)]
        product = matrices[0]
        for factor in matrices[1:]:
            product = product @ factor
        return product * sp.Mul(*scalars)
    if isinstance(expression, sp.Identity):
        return identity(expression.shape[0])
    raise ModelError(
        f"{expression} is not a sum of products of matrices: only +, @, .T and scalar factors "
        "may stand in the output of a matrix model"
    )
