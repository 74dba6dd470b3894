"""The domain of the state: what positive semidefiniteness of the Gram matrix leaves of it.

A linear map T of the frame gives a smaller Gram matrix T^T Gamma T, positive semidefinite as
well. Where its entries are functions of the state, its principal minors are inequalities that
every network obeys (Cauchy-Schwarz, |f| <= sqrt(n) lam / 2 for the uv-model). The maps come
from the matrices that commute with all functionals of the state.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

import sympy as sp

from catapult_theory.symbolic.coordinates import Coordinates
from catapult_theory.symbolic.forms import tidy
from catapult_theory.symbolic.gram import GramMatrix, Row

# Larger minors are implied nowhere, but they are too long to read and slow to evaluate.
LARGEST_MINOR = 3
LARGEST_BLOCK_WITH_ALL_MINORS = 3


def domain_of(gram: GramMatrix, coordinates: Coordinates) -> tuple[Any, ...]:
    """Return inequalities in the state that hold for every network.

    Parameters
    ----------
    gram : GramMatrix
    coordinates : Coordinates

    Returns
    -------
    tuple of sympy relations
        Each of the form expression >= 0.
    """
    functionals = [_matrix_of(gram, row) for row in coordinates.basis]
    relations: list[Any] = []
    for block in _blocks_of_frames(gram, functionals):
        small = (block.T * gram.matrix * block).applyfunc(sp.expand)
        expressed = small.applyfunc(coordinates.express)
        if all(coordinates.closed(e) for e in expressed):
            relations += _minors(expressed)
        elif coordinates.closed(coordinates.express(small.trace())):
            relations += _relation(coordinates.express(small.trace()))
    size = coordinates.express(sp.expand(gram.matrix.trace()))
    if not relations and coordinates.closed(size):
        relations = _relation(size)
    return tuple(dict.fromkeys(relations))


def _matrix_of(gram: GramMatrix, row: Row) -> sp.Matrix:
    """Return the symmetric Q with the functional tr(Q Gamma)."""
    p = len(gram.names)
    weight = dict(zip(gram.entries, row, strict=True))
    return sp.Matrix(p, p, lambda i, j: weight.get(gram.matrix[i, j], 0) / (1 if i == j else 2))


def _blocks_of_frames(gram: GramMatrix, functionals: list[sp.Matrix]) -> list[sp.Matrix]:
    """Return the maps of each frame."""
    p = len(gram.names)
    labels = sorted(set(gram.groups))
    if len(labels) < 2:
        return _blocks(functionals, p)
    found = []
    for label in labels:
        rows = [i for i in range(p) if gram.groups[i] == label]
        inside = sp.eye(p)[:, rows]
        small = [Q.extract(rows, rows) for Q in functionals]
        found += [inside * block for block in _blocks(small, len(rows))]
    return found


def _blocks(functionals: list[sp.Matrix], p: int) -> list[sp.Matrix]:
    """Return bases of the eigenspaces of a generic matrix that commutes with the functionals."""
    unknowns = sp.symbols(f"z0:{p * p}")
    general = sp.Matrix(p, p, unknowns)
    equations = [e for Q in functionals for e in Q * general - general * Q]
    equations += list(general - general.T)
    solution = sp.linsolve(equations, unknowns)
    (values,) = solution
    free = sorted(set().union(*(v.free_symbols for v in values)), key=lambda s: s.name)
    # Powers of two keep the free directions apart, so that eigenspaces are as small as possible.
    generic = sp.Matrix(p, p, values).subs({s: 2**i for i, s in enumerate(free)})
    try:
        spaces = generic.eigenvects()
    except sp.MatrixError:  # no closed form for the eigenvalues: the frame as a whole
        return [sp.eye(p)]
    if any(not v.is_Rational for v, _, _ in spaces):
        return [sp.eye(p)]
    return [sp.Matrix.hstack(*vectors) for _, _, vectors in spaces]


def _minors(block: Any) -> list[Any]:
    found: list[Any] = []
    size = block.shape[0]
    largest = LARGEST_MINOR if size <= LARGEST_BLOCK_WITH_ALL_MINORS else 2
    for order in range(1, min(size, largest) + 1):
        for rows in combinations(range(size), order):
            found += _relation(block.extract(list(rows), list(rows)).det())
    return found


def _relation(expression: sp.Expr) -> list[Any]:
    relation = sp.Ge(_normalised(expression), 0)
    return [] if relation == sp.true else [relation]


def _normalised(expression: sp.Expr) -> sp.Expr:
    content, primitive = sp.expand(expression).as_content_primitive()
    return tidy(primitive if content.is_positive else expression)
