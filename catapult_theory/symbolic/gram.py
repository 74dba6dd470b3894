"""Linear functionals of the Gram matrix, and the smallest set of them that a step maps to itself.

A step acts as Gamma' = M^T Gamma M, which is linear in Gamma with coefficients made of
parameters and the opaque output gradient. Sorting by coefficient gives constant matrices;
the smallest space of functionals that contains what is asked for and is mapped to itself by
each of them is the state of the closed dynamics.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from catapult_theory.errors import InputError
from catapult_theory.symbolic.symbols import Inner, n

Row = tuple[sp.Rational, ...]


@dataclass(frozen=True)
class GramMatrix:
    """The symmetric matrix of symbols Gamma_ij = phi_i . phi_j / n of named vectors.

    Parameters
    ----------
    names : tuple of str
        Parameters first, then their buffers.
    groups : tuple of int
        The frame of each name; vectors of different frames have no inner product, and 0 stands
        in its place. Left out, all belong to one frame.
    """

    names: tuple[str, ...]
    groups: tuple[int, ...] = ()

    @cached_property
    def matrix(self) -> sp.ImmutableMatrix:
        """The matrix of entry symbols, of shape (p, p)."""
        p = len(self.names)

        def entry(i: int, j: int) -> sp.Expr:
            if self.groups and self.groups[i] != self.groups[j]:
                return sp.S.Zero
            a, b = self.names[min(i, j)], self.names[max(i, j)]
            return sp.Symbol(f"Gamma_{a}_{b}", real=True)

        return sp.ImmutableMatrix(p, p, entry)

    @cached_property
    def entries(self) -> tuple[sp.Symbol, ...]:
        """The distinct entries, row by row of the upper triangle."""
        return self.upper(self.matrix)

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The places of the entries."""
        p = len(self.names)
        return tuple((i, j) for i in range(p) for j in range(i, p) if self.matrix[i, j] != 0)

    def upper(self, matrix: Any) -> tuple[Any, ...]:
        """Return what stands in a matrix of the same shape where the entries stand."""
        return tuple(matrix[i, j] for i, j in self.pairs)

    @cached_property
    def inner(self) -> dict[sp.Symbol, Any]:
        """Each entry as an inner product divided by the width."""
        vectors = [sp.Symbol(name, real=True) for name in self.names]
        return {self.matrix[i, j]: Inner(vectors[i], vectors[j]) / n for i, j in self.pairs}

    def of(self, expression: sp.Expr) -> sp.Expr:
        """Return an expression of inner products as a function of the entries."""
        index = {name: i for i, name in enumerate(self.names)}
        table = {
            pair: n * self.matrix[index[pair.args[0].name], index[pair.args[1].name]]
            for pair in expression.atoms(Inner)
        }
        return expression.xreplace(table)

    def row(self, linear: sp.Expr) -> Row:
        """Return the coefficients of an expression that is linear in the entries."""
        return tuple(sp.expand(linear).coeff(e) for e in self.entries)

    def expression(self, row: Row) -> sp.Expr:
        """Return the linear functional of a coefficient row."""
        return sp.Add(*(c * e for c, e in zip(row, self.entries, strict=True)))

    def symmetric_gradient(self, function: sp.Expr) -> sp.ImmutableMatrix:
        """Return D: the derivative on the diagonal, half of it off the diagonal."""

        def entry(i: int, j: int) -> sp.Expr:
            if self.matrix[i, j] == 0:
                return sp.S.Zero
            d = sp.diff(function, self.matrix[i, j])
            return d if i == j else d / 2

        p = len(self.names)
        return sp.ImmutableMatrix(p, p, entry)


def by_coefficient(gram: GramMatrix, linear: sp.Expr) -> dict[sp.Expr, Row]:
    """Sort an expression linear in the entries by the symbolic coefficient of its terms.

    Parameters
    ----------
    gram : GramMatrix
    linear : sympy.Expr

    Returns
    -------
    dict
        From coefficients (products of symbols) to rows of rational numbers.

    Examples
    --------
    >>> g = GramMatrix(("u", "v"))
    >>> t = sp.Symbol("t")
    >>> by_coefficient(g, 2 * t * g.matrix[0, 0] - t * g.matrix[0, 1])
    {t: (2, -1, 0)}
    """
    index = {e: k for k, e in enumerate(gram.entries)}
    rows: dict[sp.Expr, list[sp.Rational]] = {}
    for term in sp.Add.make_args(sp.expand(linear)):
        number, factors = term.as_coeff_mul()
        (entry,) = [x for x in factors if x in index]
        coefficient = sp.Mul(*(x for x in factors if x != entry))
        row = rows.setdefault(coefficient, [sp.S.Zero] * len(index))
        row[index[entry]] += number
    return {c: tuple(r) for c, r in rows.items() if any(r)}


def independent(rows: Iterable[Row]) -> list[Row]:
    """Return the rows that are not combinations of earlier ones, in order."""
    kept: list[Row] = []
    reduced: list[tuple[int, Row]] = []
    for row in rows:
        rest = list(row)
        for pivot, other in reduced:
            if rest[pivot] != 0:
                factor = rest[pivot]
                rest = [a - factor * b for a, b in zip(rest, other, strict=True)]
        pivots = [i for i, value in enumerate(rest) if value != 0]
        if pivots:
            scale = rest[pivots[0]]
            reduced.append((pivots[0], tuple(a / scale for a in rest)))
            kept.append(row)
    return kept


def primitive(row: Row) -> Row:
    """Return the row scaled to coprime integers, its first entry positive."""
    numbers = [sp.Rational(c) for c in row if c != 0]
    scale = math.lcm(*(int(c.q) for c in numbers))
    whole = [sp.Rational(c) * scale for c in row]
    divisor = math.gcd(*(int(c) for c in whole))
    sign = 1 if next(c for c in whole if c != 0) > 0 else -1
    return tuple(sign * c / divisor for c in whole)


def gradient_rows(gram: GramMatrix, function: sp.Expr) -> list[Row]:
    """Return the smallest space of functionals through which a function sees the Gram matrix.

    The gradient of the function, sorted by the linearly independent functions that occur
    in it, is a set of constant rows.

    Parameters
    ----------
    gram : GramMatrix
    function : sympy.Expr

    Returns
    -------
    list of rows

    Examples
    --------
    >>> g = GramMatrix(("u", "v"))
    >>> gradient_rows(g, (g.matrix[0, 0] - g.matrix[1, 1]) ** 3)
    [(1, 0, -1)]
    """
    slopes = [sp.expand(sp.diff(function, e)) for e in gram.entries]
    coefficients: dict[sp.Expr, list[sp.Rational]] = {}
    for k, slope in enumerate(slopes):
        for term in sp.Add.make_args(slope):
            number, factors = term.as_coeff_mul()
            row = coefficients.setdefault(sp.Mul(*factors), [sp.S.Zero] * len(slopes))
            row[k] += number
    return independent(primitive(tuple(r)) for r in coefficients.values() if any(r))


class LinearStep:
    """The step Gamma' = M^T Gamma M as a linear map on functionals.

    Parameters
    ----------
    gram : GramMatrix
    step : sympy.Matrix
        M, of shape (p, p), its entries free of the entries of Gamma.
    """

    def __init__(self, gram: GramMatrix, step: sp.Matrix) -> None:
        self.gram = gram
        self.image = (step.T * gram.matrix * step).applyfunc(sp.expand)
        self._by_entry = [by_coefficient(gram, e) for e in gram.upper(self.image)]

    def apply(self, row: Row) -> dict[sp.Expr, Row]:
        """Return the functional of the image, sorted by coefficient."""
        total: dict[sp.Expr, list[sp.Rational]] = {}
        for weight, images in zip(row, self._by_entry, strict=True):
            if weight == 0:
                continue
            for coefficient, image in images.items():
                acc = total.setdefault(coefficient, [sp.S.Zero] * len(row))
                for k, value in enumerate(image):
                    acc[k] += weight * value
        return {c: tuple(r) for c, r in total.items() if any(r)}

    def closure(self, rows: Sequence[Row]) -> list[Row]:
        """Return the smallest invariant space that contains the rows, as a basis in order."""
        basis = independent(rows)
        done = 0
        while done < len(basis):
            images = self.apply(basis[done])
            order = sorted(images, key=sp.default_sort_key)
            basis = independent([*basis, *(primitive(images[c]) for c in order)])
            done += 1
        return basis


def state_from_gram(
    update_map: Any,
    gram: np.ndarray,
    width: Any,
    names: Sequence[str] = (),
    sizes: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Return the numerical state of a network with the given Gram matrix.

    Parameters
    ----------
    update_map : UpdateMap
    gram : array, shape (..., p, p)
        Of the trained columns, divided by the width.
    width : float or array
    names : sequence of str
        Carried quantities to add to the state.
    sizes : mapping, optional
        Values of symbolic sizes of a matrix model.

    Returns
    -------
    dict of str to array

    Raises
    ------
    InputError
        If the array does not fit the frame.
    """
    if update_map.is_matrix:
        from catapult_theory.symbolic.blocks import block_state

        return block_state(update_map, gram, width, sizes)
    frame = update_map.frame
    if gram.shape[-2:] != (frame.trained, frame.trained):
        raise InputError(
            f"the Gram matrix has shape {gram.shape}; this model needs (..., p, p) with "
            f"p = {frame.trained} for {', '.join(frame.names[: frame.trained])}"
        )
    index = {name: i for i, name in enumerate(frame.names)}
    carried = [s for s in update_map.carried if s.name in names]
    state = {}
    for s in (*update_map.variables, *carried):
        expression = update_map.gram[s]
        if expression == s:
            raise InputError(
                f"{s.name} is not a function of the Gram matrix: give the start as values "
                "(ct.unit_start makes them from raw weights)"
            )
        pairs = sorted(expression.atoms(Inner), key=str)
        arguments = [sp.Dummy() for _ in pairs]
        function = sp.lambdify(
            [*arguments, n], expression.xreplace(dict(zip(pairs, arguments, strict=True)))
        )
        values = [_entry(gram, width, index, frame.trained, pair) for pair in pairs]
        state[s.name] = np.asarray(function(*values, np.asarray(width, dtype=float)))
    return state


def _entry(
    gram: np.ndarray, width: Any, index: Mapping[str, int], trained: int, pair: Inner
) -> np.ndarray:
    i, j = (index[s.name] for s in pair.args)
    if max(i, j) >= trained:  # a velocity: zero at the start
        return np.zeros(gram.shape[:-2])
    return np.asarray(gram[..., i, j] * width)
