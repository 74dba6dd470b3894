"""The domain of a state from its Gram matrix: which states some network of width n has."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import sympy as sp

from catapult_theory.errors import InputError
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


def width_unit(update_map: UpdateMap) -> int:
    """Return the number of which widths are multiples: 1, or as the shares of the frames say."""
    return math.lcm(*(int(share.q) for share in update_map.frame.shares))


def square_unit(update_map: UpdateMap) -> int:
    """Return the smallest square among the widths."""
    unit = width_unit(update_map)
    return next(k**2 for k in itertools.count(1) if k**2 % unit == 0)


def drawn_lengths(
    update_map: UpdateMap, width: int, columns: Sequence[int] | None = None
) -> dict[str, int]:
    """Return how many entries to draw for each width-n parameter at a given width.

    A frame of p columns that fills a share s of the width has columns of length s n; every Gram
    matrix that these have, columns of length min(s n, p) have too.

    Parameters
    ----------
    update_map : UpdateMap
    width : int
    columns : sequence of int, optional
        Of each parameter; 1 for vectors.

    Returns
    -------
    dict of str to int

    Raises
    ------
    InputError
        If the frames do not fill whole units at this width.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> drawn_lengths(ct.derive(ct.models.uv()), 1), drawn_lengths(ct.derive(ct.models.uv()), 9)
    ({'u': 1, 'v': 1}, {'u': 2, 'v': 2})
    """
    if width % (unit := width_unit(update_map)):
        raise InputError(f"the frames of {update_map.model} need widths in multiples of {unit}")
    frame = update_map.frame
    groups = frame.groups or (0,) * len(frame.names)
    shares = frame.shares or (sp.S.One,)
    counts = columns or (1,) * len(frame.names)
    filled = [0] * len(shares)
    for count, group in zip(counts, groups, strict=True):
        filled[group] += count
    return {
        name: min(int(shares[group] * width), filled[group])
        for name, group in zip(frame.names, groups, strict=True)
    }


def least_width(update_map: UpdateMap) -> int:
    """Return the smallest width at which every positive semidefinite Gram matrix is a network's.

    That is the number of vectors where they share one frame.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> least_width(ct.derive(ct.models.uv()))
    2
    """
    unit = width_unit(update_map)
    full = drawn_lengths(update_map, unit * len(update_map.frame.names))
    widths = itertools.count(unit, unit)
    return next(width for width in widths if drawn_lengths(update_map, width) == full)
