"""The domain of a state from its Gram matrix: which states some network of width n has."""

from __future__ import annotations

import itertools

import sympy as sp

from catapult_theory.symbolic.symbols import Inner
from catapult_theory.symbolic.update_map import UpdateMap


def gram_minors(update_map: UpdateMap) -> tuple[sp.Expr, ...]:
    """Return what is nonnegative because a Gram matrix is positive semidefinite.

    Parameters
    ----------
    update_map : UpdateMap
        Scalar; carried quantities count as known.

    Returns
    -------
    tuple of sympy.Expr
        All principal minors, in the state and n; empty unless the state determines all
        inner products, and for more than three vectors.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> len(gram_minors(ct.derive(ct.models.uv())))
    3
    """
    gram = update_map.gram
    inner = sorted(set().union(*(e.atoms(Inner) for e in gram.values())), key=str)
    vectors = sorted({s for pair in inner for s in pair.args}, key=str)
    if len(inner) != len(vectors) * (len(vectors) + 1) // 2 or len(vectors) > 3:
        return ()
    names = {pair: sp.Dummy(str(i)) for i, pair in enumerate(inner)}
    equations = [e.xreplace(names) - s for s, e in gram.items()]
    solved = sp.solve(equations, list(names.values()), dict=True)
    if len(solved) != 1 or len(solved[0]) != len(inner):
        return ()
    entries = {pair: solved[0][names[pair]] for pair in inner}
    matrix = sp.Matrix(
        len(vectors), len(vectors), lambda i, j: entries[Inner(vectors[i], vectors[j])]
    )
    rows = range(len(vectors))
    minors = [
        matrix.extract(list(k), list(k)).det()
        for size in range(1, len(vectors) + 1)
        for k in itertools.combinations(rows, size)
    ]
    return tuple(sp.factor(m) for m in minors)


def count_vectors(update_map: UpdateMap) -> int:
    """Return how many vectors of length n the inner products of a map are made of.

    Every positive semidefinite Gram matrix of p vectors belongs to a network of width p.
    """
    inner = set().union(*(e.atoms(Inner) for e in update_map.gram.values()))
    return len({s for pair in inner for s in pair.args})
