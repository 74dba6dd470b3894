"""Whether a starting state belongs to a network: inequalities, or a Gram matrix of blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import sympy as sp

from catapult_theory.codegen.grid import Array, Lanes
from catapult_theory.codegen.run_checks import length_of
from catapult_theory.errors import DomainError
from catapult_theory.symbolic.symbols import n
from catapult_theory.symbolic.update_map import UpdateMap
from catapult_theory.symbolic.words import parse

# A balanced network lies on the edge of the domain. Rounding moves it across by a few eps, and
# by more after a long run; a state beyond this many eps of the summands is no rounding error.
ROUNDING = 1000
LANES_AT_ONCE = 1 << 18
MATRICES_AT_ONCE = 64


def check_domain(update_map: UpdateMap, lanes: Lanes, dtype: str, sizes: Mapping[str, int]) -> None:
    """Raise if a lane starts where no network of its width can be.

    For scalar maps the inequalities of `UpdateMap.domain` are evaluated
    (|f| <= sqrt(n) lam / 2 for the uv-model, by Cauchy-Schwarz); for matrix maps the blocks
    must form a symmetric positive semidefinite Gram matrix. Lanes that hold NaN are passed
    over: their status will say so.

    Parameters
    ----------
    update_map : UpdateMap
    lanes : Lanes
    dtype : str
        Sets the rounding that is tolerated.
    sizes : mapping of str to int
        Of a matrix map.

    Raises
    ------
    DomainError
        Naming the first offending lane and its numbers.
    """
    slack = ROUNDING * float(np.finfo(dtype).eps)
    if update_map.is_matrix:
        _check_blocks(update_map, lanes, slack, sizes)
    else:
        _check_relations(update_map, lanes, slack)


def _check_relations(update_map: UpdateMap, lanes: Lanes, slack: float) -> None:
    symbols = (*update_map.variables, *update_map.constants)
    for relation in update_map.domain:
        margin = relation.gts - relation.lts
        summands = sp.Add(*(sp.Abs(term) for term in sp.Add.make_args(sp.expand(margin))))
        evaluate = sp.lambdify(symbols, [margin, summands], "numpy", cse=True)
        for low, high in _spans(lanes.count, LANES_AT_ONCE):
            values = [lanes.take(s.name, low, high).astype(float) for s in symbols]
            with np.errstate(all="ignore"):
                inside, scale = (np.broadcast_to(v, (high - low,)) for v in evaluate(*values))
                bad = np.flatnonzero(inside < -slack * scale)
            if bad.size:
                numbers = {s.name: v[bad[0]] for s, v in zip(symbols, values, strict=True)}
                raise _error(
                    lanes.where(low + int(bad[0])),
                    f"{_listed(numbers)} give {relation.lhs} = {inside[bad[0]]:.6g}, "
                    f"but {relation} for every network",
                )


def _error(where: str, what: str) -> DomainError:
    return DomainError(
        f"no network of this width has the state of {where}: {what}",
        "give a state inside the domain, or draw one with ct.gaussian_start(seed=0)",
    )


def _listed(numbers: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {float(value):.6g}" for name, value in numbers.items())


def _spans(count: int, size: int) -> Iterator[tuple[int, int]]:
    for low in range(0, count, size):
        yield low, min(low + size, count)


def _check_blocks(
    update_map: UpdateMap, lanes: Lanes, slack: float, sizes: Mapping[str, int]
) -> None:
    places = _places(update_map, sizes)
    if places is None:
        return
    for low, high in _spans(lanes.count, MATRICES_AT_ONCE):
        width = lanes.take(n.name, low, high).astype(float)
        with np.errstate(all="ignore"):
            gram = _assembled(update_map, lanes, places, (low, high), width)
            usable = np.isfinite(gram).all(axis=(1, 2))
            gram[~usable] = 0.0
            size = np.abs(gram).max(axis=(1, 2))
            skew = np.abs(gram - gram.swapaxes(1, 2)).max(axis=(1, 2))
            lowest = np.linalg.eigvalsh((gram + gram.swapaxes(1, 2)) / 2)[:, 0]
        allowed = slack * gram.shape[-1] * size
        for bad in np.flatnonzero((skew > allowed) | (lowest < -allowed)):
            names = ", ".join(s.name for s in update_map.variables)
            what = (
                f"the Gram matrix of {names} is not symmetric (entries differ by {skew[bad]:.3g})"
                if skew[bad] > allowed[bad]
                else f"the Gram matrix of {names} has the negative eigenvalue {lowest[bad]:.6g} "
                f"at n = {width[bad]:.6g}"
            )
            raise _error(lanes.where(low + int(bad)), what)


Places = dict[str, tuple[slice, slice, Any]]


def _places(update_map: UpdateMap, sizes: Mapping[str, int]) -> Places | None:
    """Return the block of the Gram matrix that each state holds, and its factor.

    None if the states do not cover the matrix, or the width is not a parameter.
    """
    frame = update_map.frame
    if n not in update_map.constants:
        return None
    counts = [length_of(c, sizes) for c in frame.columns]
    edges = np.concatenate([[0], np.cumsum(counts)])
    index = {name: i for i, name in enumerate(frame.names)}
    places: Places = {}
    owner = frame.groups or (0,) * len(index)
    needed = {(i, j) for i, a in enumerate(owner) for j, b in enumerate(owner) if a == b}
    covered: set[tuple[int, int]] = set()
    for s in update_map.variables:
        terms = list(parse(update_map.gram[s]).terms.items())
        if len(terms) != 1 or len(terms[0][0]) not in (1, 2):
            return None
        ((word, factor),) = terms
        if len(word) == 1 or word[0][0].name not in index:
            # One block of all columns: Gamma itself, or Phi^T Phi / n of a map without names.
            places[s.name] = (slice(None), slice(None), sp.S.One if len(word) == 1 else factor * n)
            covered = needed
            continue
        i, j = (index[matrix.name] for matrix, _ in word)
        covered |= {(i, j), (j, i)}
        span_i, span_j = slice(edges[i], edges[i + 1]), slice(edges[j], edges[j + 1])
        places[s.name] = (span_i, span_j, factor * n)
    return places if covered == needed else None


def _assembled(
    update_map: UpdateMap, lanes: Lanes, places: Places, span: tuple[int, int], width: Array
) -> Array:
    total = max(
        (rows.stop for rows, _, _ in places.values() if rows.stop is not None),
        default=lanes.values[next(iter(places))].shape[-1],
    )
    gram = np.zeros((len(width), total, total))
    for name, (rows, cols, factor) in places.items():
        scale = np.broadcast_to(sp.lambdify(n, factor)(width), width.shape)[:, None, None]
        block = lanes.take(name, *span) / scale
        if rows != cols:
            gram[:, cols, rows] = block.swapaxes(1, 2)
        gram[:, rows, cols] = block
    return gram
