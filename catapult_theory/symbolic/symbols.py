"""The symbols of the theory: scalars, width-n vectors and their inner products, matrices, data.

One notation serves the whole toolkit (THEORY section 1): a symbol is found by its
code-safe name, so that the same ``eta`` stands in a model, an update map and a claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import sympy as sp

from catapult_theory.errors import ModelError

n = sp.Symbol("n", positive=True)
eta = sp.Symbol("eta", positive=True)
beta = sp.Symbol("beta", nonnegative=True)
omega = sp.Symbol("omega", nonnegative=True)
rho = sp.Symbol("rho", nonnegative=True)
clip = sp.Symbol("clip", positive=True)
y = sp.Symbol("y", real=True)
f = sp.Symbol("f", real=True)
g = sp.Symbol("g", real=True)
lam = sp.Symbol("lam", nonnegative=True)

STANDARD: Mapping[str, sp.Symbol] = {
    s.name: s for s in (n, eta, beta, omega, rho, clip, y, f, g, lam)
}

LATEX: Mapping[str, str] = {
    "eta": r"\eta",
    "beta": r"\beta",
    "omega": r"\omega",
    "rho": r"\rho",
    "lam": r"\lambda",
    "kappa": r"\kappa",
    "Delta": r"\Delta",
}

sqrt = sp.sqrt


def symbol(name: str) -> sp.Symbol:
    """Return the real symbol of that name, with the assumptions that the theory fixes.

    Parameters
    ----------
    name : str
        A code-safe name such as ``"eta"`` or ``"lam"``.

    Returns
    -------
    sympy.Symbol
        The standard symbol of THEORY section 1, or a new real one.

    Examples
    --------
    >>> symbol("eta").is_positive
    True
    """
    return STANDARD.get(name, sp.Symbol(name, real=True))


class Inner(sp.Expr):
    """The inner product of two width-n vectors, symmetric in its arguments.

    Written ``u @ v``; the closure theorem (THEORY section 2) is about functions of these.
    """

    is_commutative = True
    is_real = True

    def __new__(cls, left: sp.Symbol, right: sp.Symbol) -> Inner:
        first, second = sorted((left, right), key=lambda s: s.name)
        return sp.Expr.__new__(cls, first, second)

    def _eval_is_nonnegative(self) -> bool | None:
        return True if self.args[0] == self.args[1] else None

    def _sympystr(self, printer: Any) -> str:
        return f"<{self.args[0]},{self.args[1]}>"

    def _latex(self, printer: Any, exp: Any = None) -> str:
        first, second = (printer._print(a) for a in self.args)
        text = rf"{first}\cdot {second}"
        return rf"\left({text}\right)^{{{exp}}}" if exp is not None else text


class Vector:
    """A width-n vector, or a linear combination of such vectors.

    ``u @ v`` is the inner product; ``+``, ``-`` and multiplication by numbers or symbols
    combine vectors. A pointwise function (`relu`) or a pointwise product gives a vector
    that is no longer linear in the parameters: models that contain one do not close.

    Parameters
    ----------
    terms : mapping
        The coefficient of each atom of the combination.
    """

    __slots__ = ("terms",)
    __array_ufunc__ = None

    def __init__(self, terms: Mapping[sp.Symbol, sp.Expr]) -> None:
        self.terms = {atom: sp.sympify(c) for atom, c in terms.items() if c != 0}

    def __add__(self, other: Vector) -> Vector:
        if not isinstance(other, Vector):
            return NotImplemented
        total = dict(self.terms)
        for atom, coefficient in other.terms.items():
            total[atom] = total.get(atom, sp.S.Zero) + coefficient
        return Vector(total)

    def __mul__(self, factor: Any) -> Vector:
        if isinstance(factor, Vector):
            return Vector({sp.Symbol(f"({self})*({factor})", real=True): sp.S.One})
        return Vector({atom: c * sp.sympify(factor) for atom, c in self.terms.items()})

    __rmul__ = __mul__

    def __truediv__(self, factor: Any) -> Vector:
        return self * (1 / sp.sympify(factor))

    def __neg__(self) -> Vector:
        return self * -1

    def __sub__(self, other: Vector) -> Vector:
        return self + (-other)

    def __matmul__(self, other: Vector) -> sp.Expr:
        if not isinstance(other, Vector):
            return NotImplemented
        return sp.Add(
            *(
                c1 * c2 * Inner(a, b)
                for a, c1 in self.terms.items()
                for b, c2 in other.terms.items()
            )
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(frozenset(self.terms.items()))

    def __str__(self) -> str:
        return str(sp.Add(*(c * a for a, c in self.terms.items())))

    __repr__ = __str__

    @property
    def atom(self) -> sp.Symbol:
        """The symbol of a plain vector; a combination has none and raises `ModelError`."""
        if list(self.terms.values()) != [sp.S.One]:
            raise ModelError(f"{self} is a combination of vectors: name its parts in vectors=")
        return next(iter(self.terms))


def vectors(names: str) -> tuple[Vector, ...]:
    """Return width-n vectors, the parameters of one hidden layer.

    Parameters
    ----------
    names : str
        Names separated by spaces or commas.

    Returns
    -------
    tuple of Vector

    Raises
    ------
    ModelError
        If two have one name.

    Examples
    --------
    >>> u, v = vectors("u v")
    >>> u @ v, (u + v) @ u
    (<u,v>, <u,u> + <u,v>)
    """
    found = sp.symbols(names, seq=True, real=True)
    if len(set(found)) != len(found):
        raise ModelError(f"a vector is named twice in {names!r}: each needs a name of its own")
    return tuple(Vector({s: sp.S.One}) for s in found)


def relu(vector: Vector) -> Vector:
    """Return the vector with max(0, .) applied to every component.

    The result is not an inner product, so that `derive` answers `NotClosed`.

    Parameters
    ----------
    vector : Vector

    Returns
    -------
    Vector

    Examples
    --------
    >>> u, v = vectors("u v")
    >>> v @ relu(u)
    <relu(u),v>
    """
    return pointwise("relu", vector)


def pointwise(name: str, vector: Vector) -> Vector:
    """Return the vector with a named scalar function applied to every component.

    Parameters
    ----------
    name : str
        The function's name, as it shall be printed.
    vector : Vector

    Returns
    -------
    Vector

    Raises
    ------
    ModelError
        If it is no `Vector`.

    Examples
    --------
    >>> pointwise("tanh", vectors("u")[0])
    tanh(u)
    """
    if not isinstance(vector, Vector):
        raise ModelError(
            f"{name} is for width-n vectors (ct.vectors), not for {vector}: the output of a matrix "
            "model holds sums and products of matrices alone; simulate the network with ct.train"
        )
    return Vector({sp.Symbol(f"{name}({vector})", real=True): sp.S.One})


def matrix(name: str, rows: Any = None, cols: Any = None) -> sp.MatrixSymbol:
    """Return a parameter matrix with one side of length n.

    Parameters
    ----------
    name : str
    rows, cols : int, sympy.Symbol or None
        The side that is not the width; the other one, left out, is n.

    Returns
    -------
    sympy.MatrixSymbol

    Raises
    ------
    ModelError
        If both sides or neither are given, or a size is no positive integer and no symbol.

    Examples
    --------
    >>> matrix("V", rows=3).shape, matrix("U", cols=64).shape
    ((3, n), (n, 64))
    """
    if (rows is None) == (cols is None):
        raise ModelError(
            f"matrix {name!r} needs exactly one of rows= and cols=: the other side is the width n"
        )
    sides = (n if size is None else _size(name, size) for size in (rows, cols))
    return sp.MatrixSymbol(name, *sides)


def data(name: str = "X", rows: Any = None, cols: Any = None) -> sp.MatrixSymbol:
    """Return the data matrix, one sample a row.

    Parameters
    ----------
    name : str
    rows, cols : int, sympy.Symbol or None
        Number of samples m and of inputs d; left out, they are read from the data at run time.

    Returns
    -------
    sympy.MatrixSymbol

    Raises
    ------
    ModelError
        If a size is no positive integer and no symbol.

    Examples
    --------
    >>> data("X").shape
    (m, d)
    """
    samples = sp.Symbol("m", positive=True, integer=True) if rows is None else _size(name, rows)
    inputs = sp.Symbol("d", positive=True, integer=True) if cols is None else _size(name, cols)
    return sp.MatrixSymbol(name, samples, inputs)


def _size(name: str, size: Any) -> Any:
    """Return a side of a matrix that can be one: a positive integer, or a symbol for it."""
    if isinstance(size, sp.Expr) and not size.is_number:
        return size
    whole = isinstance(size, (Integral, sp.Integer)) and not isinstance(size, bool)
    if not whole or size < 1:
        raise ModelError(
            f"a side of matrix {name!r} is a positive integer or a symbol such as "
            f"ct.symbol('k'), got {size!r}"
        )
    return int(size)


def diagonal(square: Any) -> Any:
    """Return the diagonal of an m x m product, as a column of outputs.

    With it a quadratic activation is written for all samples at once: the column of
    sum_i (u_i . x)^2 over the units is ``diagonal(X @ U.T @ U @ X.T)``.

    Parameters
    ----------
    square : MatrixExpr
        Of shape (m, m).

    Returns
    -------
    MatrixExpr
        Of shape (m, 1).

    Examples
    --------
    >>> X, U = data("X"), matrix("U", cols=data("X").shape[1])
    >>> diagonal(X @ U.T @ U @ X.T).shape
    (m, 1)
    """

    from catapult_theory.symbolic.matrix_nodes import Diagonal

    return Diagonal(square)
