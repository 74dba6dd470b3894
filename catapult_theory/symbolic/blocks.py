"""The Gram matrix of width-n matrices, as blocks that stay matrices.

A parameter of shape n x c is c columns of the frame, one of shape c x n is c columns of its
transpose. Two neighbours in a product that share the side n are n times a block
Gamma_AB = Phi_A^T Phi_B / n.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from catapult_theory.errors import InputError, ModelError, NotClosed
from catapult_theory.symbolic.symbols import n
from catapult_theory.symbolic.words import (
    Factor,
    Polynomial,
    Word,
    identity,
    parse,
    shape_of,
    symbol,
)


@dataclass(frozen=True)
class BlockGram:
    """Blocks of the Gram matrix of named width-n matrices.

    Parameters
    ----------
    matrices : tuple of MatrixSymbol
        The trained ones first, then their buffers in the same order.
    trained : int
    groups : tuple of int
        The frame of each matrix; there are no blocks between frames. Left out, one frame.
    """

    matrices: tuple[Any, ...]
    trained: int
    groups: tuple[int, ...] = ()

    def columns(self, i: int) -> Any:
        """Return how many columns of the frame the i-th matrix is."""
        rows, cols = self.matrices[i].shape
        return cols if rows == n else rows

    @cached_property
    def blocks(self) -> dict[tuple[int, int], Any]:
        """The block symbols Gamma_ij for i <= j."""
        size = len(self.matrices)
        return {
            (i, j): sp.MatrixSymbol(
                f"Gamma_{self.matrices[i].name}_{self.matrices[j].name}",
                self.columns(i),
                self.columns(j),
            )
            for i in range(size)
            for j in range(i, size)
            if not self.groups or self.groups[i] == self.groups[j]
        }

    @cached_property
    def symmetric(self) -> frozenset[Any]:
        """The diagonal blocks, which are their own transposes."""
        return frozenset(self.blocks[i, i] for i in range(len(self.matrices)))

    def block(self, i: int, j: int) -> Polynomial:
        """Return Gamma_ij for any order of the indices."""
        if (min(i, j), max(i, j)) not in self.blocks:
            first, second = (self.matrices[k].name for k in (i, j))
            raise ModelError(
                f"{first} and {second} belong to different frames: a product over the width joins "
                "units that have nothing to do with each other"
            )
        return symbol(self.blocks[i, j]) if i <= j else symbol(self.blocks[j, i], transposed=True)

    def contract(self, expression: Any) -> Polynomial:
        """Return a matrix expression with products over the width replaced by blocks.

        Raises
        ------
        NotClosed
            If a side n is left over, or a matrix that is not a parameter has one.
        """
        polynomial = parse(expression)
        total = Polynomial({}, polynomial.shape)
        for word, c in polynomial.terms.items():
            total = total + self._contract_word(word, polynomial.shape) * c
        return total

    def _contract_word(self, word: Word, shape: tuple[Any, Any]) -> Polynomial:
        product = identity(shape[0])
        i = 0
        while i < len(word):
            if n not in shape_of(word[i]):
                product = product @ symbol(*word[i])
                i += 1
                continue
            if i + 1 == len(word) or shape_of(word[i])[1] != n or shape_of(word[i + 1])[0] != n:
                raise ModelError(f"the side n of {word[i][0]} is not summed over in the output")
            left, right = self._index(word[i]), self._index(word[i + 1])
            product = product @ (self.block(left, right) * n)
            i += 2
        return Polynomial(product.terms, shape)

    def _index(self, factor: Factor) -> int:
        matrix = factor[0]
        if matrix not in self.matrices:
            raise NotClosed(
                matrix.name,
                "it has a side of length n but is not a linear image of the trained matrices",
            )
        if matrix.shape == (n, n):
            raise NotClosed(
                f"{matrix.name}.T*{matrix.name}",
                f"{matrix.name} is n x n, so that its products leave the Gram matrix",
            )
        return self.matrices.index(matrix)


def block_state(
    update_map: Any, gram: np.ndarray, width: Any, sizes: Mapping[str, int] | None = None
) -> dict[str, np.ndarray]:
    """Return the numerical blocks of a network with the given Gram matrix.

    Parameters
    ----------
    update_map : UpdateMap
        Of a matrix model.
    gram : array, shape (..., p, p)
        Of the columns of all trained matrices in the order of the frame, divided by n.
    width : float or array
    sizes : mapping, optional
        Values of symbolic sizes; one unknown size is found from p.

    Returns
    -------
    dict of str to array

    Raises
    ------
    InputError
        If p does not fit, or several sizes are unknown.
    """
    frame = update_map.frame
    counts = _column_counts(frame, gram.shape[-1], sizes or {})
    edges = np.concatenate([[0], np.cumsum(counts)])
    full = int(sum(counts))
    padded = np.zeros((*gram.shape[:-2], full, full))
    padded[..., : gram.shape[-2], : gram.shape[-1]] = gram
    index = {name: i for i, name in enumerate(frame.names)}
    state = {}
    for s in update_map.variables:
        ((word, c),) = parse(update_map.gram[s]).terms.items()
        if len(index) and word[0][0].name not in index:  # the whole Gram matrix
            state[s.name] = padded
            continue
        i, j = index[word[0][0].name], index[word[1][0].name]
        block = padded[..., edges[i] : edges[i + 1], edges[j] : edges[j + 1]]
        scale = sp.lambdify(n, c * n)(np.asarray(width, dtype=float))
        state[s.name] = block * np.asarray(scale)[..., None, None]
    return state


def _column_counts(frame: Any, p: int, sizes: Mapping[str, int]) -> list[int]:
    known = {
        s: sizes[s.name]
        for c in frame.columns
        for s in sp.sympify(c).free_symbols
        if s.name in sizes
    }
    columns = [sp.sympify(c).subs(known) for c in frame.columns]
    total = sp.Add(*columns[: frame.trained])
    unknown = sorted(total.free_symbols, key=str)
    if len(unknown) > 1:
        raise InputError(
            f"sizes {', '.join(map(str, unknown))} are not known: give inputs= and outputs= "
            "to the model"
        )
    if unknown:
        (value,) = sp.solve(total - p, unknown[0]) or (0,)
        columns = [c.subs(unknown[0], value) for c in columns]
        total = total.subs(unknown[0], value)
    if total != p or any(not (c.is_Integer and c > 0) for c in columns):
        raise InputError(f"the Gram matrix has {p} columns, but the frame has {total}")
    return [int(c) for c in columns]
