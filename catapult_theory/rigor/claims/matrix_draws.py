"""Networks drawn at random: small whole numbers, and what hypotheses solve put in.

The width is a square, so that every state belongs to a network and its blocks are rational.
Layers are zero, or orthogonal, where hypotheses say so of blocks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from catapult_theory.rigor.claims.contractions import ROW, Contraction
from catapult_theory.rigor.claims.matrix_hypotheses import Hypotheses
from catapult_theory.rigor.claims.matrix_states import State
from catapult_theory.rigor.claims.matrix_vocabulary import MatrixVocabulary
from catapult_theory.rigor.claims.points import Undefined
from catapult_theory.symbolic.matrix_nodes import Softmax

_SEED = 20_030_202
# Sizes tried in turn: the smallest first, whose numbers are the easiest to check by hand.
_SIZES = ((1, 1, 1), (1, 2, 1), (2, 1, 1), (2, 2, 1), (2, 2, 2), (2, 3, 2), (3, 2, 2))
_WIDTHS = (1, 4, 4, 9, 100)
_RATES = ("1", "1/2", "2", "1/4", "3", "1/10", "3/2", "5")
_DRAWS = 10
# Hypotheses that are inequalities may leave a narrow region: more networks, with smaller data.
_MORE_DRAWS = 30
_SCALES = (Fraction(1), Fraction(1, 2), Fraction(1, 4), Fraction(1, 8))


def states(
    vocabulary: MatrixVocabulary, given: Hypotheses, is_exact: bool = True
) -> Iterator[State]:
    """Yield networks in exact numbers that meet the solved hypotheses, the smallest first.

    Parameters
    ----------
    vocabulary : MatrixVocabulary
    given : Hypotheses
    is_exact : bool
        Whether what will be asked of them is rational.
    """
    yield from _sweep(vocabulary, given, is_exact, (Fraction(1),), _DRAWS)
    if given.kept:
        yield from _sweep(vocabulary, given, is_exact, _SCALES, _MORE_DRAWS)


def _sweep(
    vocabulary: MatrixVocabulary,
    given: Hypotheses,
    is_exact: bool,
    scales: Sequence[Fraction],
    draws: int,
) -> Iterator[State]:
    """Yield so many networks of each size, with data of some of the scales."""
    rng = np.random.default_rng(_SEED)
    for sizes, _ in itertools.product(_SIZES, range(draws)):
        named = dict(zip(("m", "d", "k"), sizes, strict=True))
        own = {s: named.get(s, int(rng.integers(1, 4))) for s in vocabulary.sizes}
        own["n"] = int(rng.choice(_WIDTHS))
        prescribed = _prescribed(given, own, rng)
        drawn = _drawn(vocabulary, own, rng, is_exact, prescribed)
        if len(scales) > 1:
            drawn = _scaled(drawn, rng, scales)
        state = _constrained(drawn, given)
        if state is not None:
            yield state


def _scaled(state: State, rng: np.random.Generator, scales: Sequence[Fraction]) -> State:
    """Return the same layers with smaller data, output gradient and learning rate."""
    matrices, scalars = dict(state.matrices), dict(state.scalars)
    for name in ("X", "g"):
        if name not in matrices:
            continue
        matrices[name] = matrices[name] * scales[int(rng.integers(len(scales)))]
    scalars["eta"] = scalars["eta"] * scales[int(rng.integers(len(scales)))]
    return replace(state, matrices=matrices, scalars=scalars, _found={})


def _prescribed(
    given: Hypotheses, sizes: Mapping[str, int], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return matrices of the frame for which blocks are zero or identities, as hypotheses say."""
    blocks = given.vocabulary.blocks
    found: dict[str, np.ndarray] = {}
    zero = {k for k, value in given.matrices.items() if value.is_zero}
    unit = {blocks[k][0][0] for k, value in given.matrices.items()
            if k in blocks and _is_identity(value)}  # fmt: skip
    pairs = [[blocks[k][0][0], blocks[k][1][0]] for k in sorted(zero & set(blocks))]
    apart = any(set(pair) <= unit for pair in pairs) or rng.random() < 0.5
    places = list(rng.permutation(sizes["n"]))
    for name in sorted(unit):
        places = places if apart else list(rng.permutation(sizes["n"]))
        found |= _orthogonal(given.vocabulary.atoms[name], sizes, places, rng)
    rest = zero & set(given.vocabulary.update_map.frame.names)
    # A block with a factor that vanishes by itself needs no other.
    rest |= {str(rng.choice(p)) for p in pairs if not (rest & set(p) or set(p) <= unit)}
    return found | {name: _filled(given.vocabulary.atoms[name], sizes) for name in rest}


def _is_identity(value: Contraction) -> bool:
    return value.key == Contraction.identity(value.sides.get(ROW, "1")).key


def _filled(atom: Any, sizes: Mapping[str, int]) -> np.ndarray:
    """Return a matrix of zeros."""
    shape = [int(s) if s.isdigit() else sizes[s] for s in (atom.rows, atom.columns)]
    return np.full(shape, Fraction(0))


def _orthogonal(
    atom: Any, sizes: Mapping[str, int], places: list[int], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return a matrix of the frame with A^T A = n I, one unit to each column; none if too narrow.

    Widths are squares, so that sqrt(n) is whole.
    """
    matrix = _filled(atom, sizes)
    columns = matrix if atom.rows == "n" else matrix.T
    if columns.shape[1] > len(places):
        return {}
    for j in range(columns.shape[1]):
        columns[places.pop(), j] = Fraction(int(rng.choice([-1, 1])) * math.isqrt(sizes["n"]))
    return {atom.name: matrix}


def _constrained(state: State, given: Hypotheses) -> State | None:
    """Put in what the hypotheses solve; a block must have that value already."""
    scalars, sizes, matrices = dict(state.scalars), dict(state.sizes), dict(state.matrices)
    for name, value in given.scalars.items():
        number = _solved(state, value)
        if number is None or (name in sizes and number != sizes[name]):
            return None
        if name in sizes:
            continue
        own = given.vocabulary.base[name]
        if (number < 0 and own.is_nonnegative) or (number == 0 and own.is_positive):
            return None
        scalars[name] = number
    rational = all(isinstance(x, Fraction) for x in scalars.values())
    state = State(state.vocabulary, sizes, scalars, matrices, state.is_exact and rational)
    for name, value in given.matrices.items():
        atom = state.vocabulary.atoms[name]
        try:
            array = state.exact.oriented(value, atom)
        except Undefined:
            return None
        if name not in state.vocabulary.blocks:
            matrices[name] = array
        elif (array != matrices[name]).any():
            return None
    return State(state.vocabulary, sizes, scalars, matrices, state.is_exact)


def _solved(state: State, value: Contraction) -> Any:
    """Return the value of a parameter: a fraction, else sixty digits, None where it has none."""
    for own in (state.exact, replace(state, is_exact=False, _found={})):
        with suppress(Undefined, ZeroDivisionError):
            return own.evaluated(value).item()
    return None


def _drawn(
    vocabulary: MatrixVocabulary,
    sizes: Mapping[str, int],
    rng: np.random.Generator,
    is_exact: bool,
    prescribed: Mapping[str, np.ndarray],
) -> State:
    def draw(name: str, low: int = -2, high: int = 3) -> np.ndarray:
        atom = vocabulary.atoms[name]
        shape = _filled(atom, sizes).shape
        numbers = rng.integers(low, high, size=shape)
        return np.array([Fraction(int(x)) for x in numbers.ravel()], dtype=object).reshape(shape)

    frame = vocabulary.update_map.frame
    matrices: dict[str, np.ndarray] = {}
    for i, name in enumerate(frame.names):
        if name in vocabulary.atoms:
            wide = sizes["n"] > 30
            matrices[name] = draw(name, *((-1, 2) if wide else (-2, 3)))
            # A run starts at rest; a layer of zeros is a state too.
            if rng.random() < (0.1 if i < frame.trained else 0.3):
                matrices[name] = matrices[name] * Fraction(0)
    matrices |= prescribed
    for name in ("X", "Y", "g"):
        if name in vocabulary.atoms and (name != "g" or vocabulary.solves_target):
            matrices[name] = draw(name)
    if not vocabulary.solves_target:
        classes = vocabulary.definition("g")[1].has(Softmax)
        matrices["Y"] = _classes(matrices["Y"]) if classes else _signs(matrices["Y"])
    scalars = {
        s.name: _number_for(s, rng) for s in vocabulary.update_map.constants if s.name != "n"
    }
    blocks = {
        name: _block(matrices, first, second, c, sizes["n"])
        for name, (first, second, c) in vocabulary.blocks.items()
    }
    rational = is_exact and vocabulary.solves_target
    return State(vocabulary, sizes, scalars, {**matrices, **blocks}, rational)


def _number_for(symbol: sp.Symbol, rng: np.random.Generator) -> Fraction:
    """Return a number for a parameter, now and then zero where it may be."""
    number = Fraction(str(rng.choice(_RATES)))
    return Fraction(0) if not symbol.is_positive and rng.random() < 0.2 else number


def _classes(array: np.ndarray) -> np.ndarray:
    """Return labels of classes: a one in each row, where its largest entry is."""
    out = np.full(array.shape, Fraction(0))
    for row, best in zip(out, [max(range(len(r)), key=r.__getitem__) for r in array], strict=True):
        row[best] = Fraction(1)
    return out


def _signs(array: np.ndarray) -> np.ndarray:
    """Return labels +1 and -1."""
    out = [Fraction(1 if x > 0 else -1) for x in array.ravel()]
    return np.array(out, dtype=object).reshape(array.shape)


def _block(
    matrices: Mapping[str, np.ndarray], first: Any, second: Any, c: sp.Expr, width: int
) -> np.ndarray:
    turned: Callable[[Any], np.ndarray] = lambda f: (  # noqa: E731
        matrices[f[0]].T if f[1] else matrices[f[0]]
    )
    scale = c.subs({s: width for s in c.free_symbols})
    return (turned(first) @ turned(second)) * Fraction(int(scale.p), int(scale.q))
