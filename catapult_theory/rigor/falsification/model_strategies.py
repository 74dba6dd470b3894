"""Hypothesis strategies for networks: random models that close, data sets, matrix states."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from catapult_theory.errors import InputError
from catapult_theory.rigor.claims.gram_domain import drawn_lengths, square_unit, width_unit
from catapult_theory.rigor.falsification.number_strategies import (
    dyadics,
    learning_rates,
    strategies_module,
    widths,
)
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.symbols import n, vectors
from catapult_theory.symbolic.update_map import UpdateMap

_NAMES = "abcdefgh"


def models(vectors_used: int = 3, degree: int = 3, terms: int = 2) -> Any:
    """Return a strategy for scalar models that `derive` closes.

    f = sqrt(n) sum_k c_k prod (phi_i . phi_j / n), polynomials in the inner products of a few
    vectors: by the closure theorem (theory, section 2) all of them close, exactly, at every
    width. The simplest is the uv-model without its label.

    Parameters
    ----------
    vectors_used : int
        The largest number of vectors, from 2 to 8; deriving takes seconds beyond 3.
    degree, terms : int
        Of the polynomial.

    Returns
    -------
    SearchStrategy of Model

    Raises
    ------
    InputError
        For sizes without a model.

    Examples
    --------
    >>> from hypothesis import find
    >>> print(find(models(), lambda model: True))
    model: f = <a,b>/sqrt(n)
    """
    st = strategies_module()
    if not 2 <= vectors_used <= len(_NAMES) or degree < 1 or terms < 1:
        raise InputError("a model needs 2 to 8 vectors, and at least one term of degree one")

    @st.composite
    def draw_model(draw: Any) -> Model:
        frame = vectors(" ".join(_NAMES[: draw(st.integers(2, vectors_used))]))
        # The mixed products first: the simplest model is then <a,b>/sqrt(n).
        pairs = [(i, j) for j in range(len(frame)) for i in range(j)]
        pairs += [(i, i) for i in range(len(frame))]
        coefficient = st.sampled_from((1, -1, 2, -2, sp.Rational(1, 2)))
        factors = st.lists(st.sampled_from(pairs), min_size=1, max_size=degree)
        parts = draw(st.lists(st.tuples(coefficient, factors), min_size=1, max_size=terms))
        output = sp.Add(
            *(c * sp.Mul(*(frame[i] @ frame[j] / n for i, j in pairs)) for c, pairs in parts)
        )
        if output == 0:
            output = frame[0] @ frame[1] / n
        label = draw(st.sampled_from((0, 1, -1, sp.Rational(1, 2))))
        return Model(output=output * sp.sqrt(n), vectors=frame, label=label)

    return draw_model()


def data_sets(samples: int = 4, inputs: int = 3, outputs: int = 1, targets: Any = None) -> Any:
    """Return a strategy for data sets (X, Y) of small numbers that are exact in float64.

    Parameters
    ----------
    samples, inputs, outputs : int
        The largest m and d; k.
    targets : strategy of numbers, optional
        Of each entry of Y; left out, -1, 0 and 1.

    Returns
    -------
    SearchStrategy of pair of arrays
        Of shape (m, d) and (m, k).

    Examples
    --------
    >>> from hypothesis import find
    >>> X, Y = find(data_sets(), lambda pair: len(pair[0]) >= 2)
    >>> X.tolist(), Y.tolist()
    ([[1.0], [0.0]], [[0.0], [0.0]])
    """
    st = strategies_module()
    entry = st.sampled_from((0, 1, -1)) if targets is None else targets

    @st.composite
    def draw_data(draw: Any) -> tuple[np.ndarray, np.ndarray]:
        m, d = draw(st.integers(1, samples)), draw(st.integers(1, inputs))
        X = _matrix(draw, dyadics(-2, 2, 2), (m, d))
        Y = _matrix(draw, entry, (m, outputs))
        # A data set of zeros alone trains nothing.
        return (X if X.any() else np.eye(m, d)), Y

    return draw_data()


def matrix_states(update_map: UpdateMap, data: Any = None, **parameters: Any) -> Any:
    """Return a strategy for states of a matrix map, with data and all parameters.

    The blocks are those of a Gram matrix of drawn columns, so that each state is one of some
    network; all entries are exact in float64 (theory, sections 2 and 3.3).

    Parameters
    ----------
    update_map : UpdateMap
        Whose state are matrices.
    data : strategy of pair, or pair (X, Y), optional
        Left out, `data_sets`.
    **parameters
        Numbers or strategies for parameters of the map.

    Returns
    -------
    SearchStrategy of dict
        From names to arrays: the state, ``X``, ``Y`` and the parameters, in float64.

    Raises
    ------
    InputError
        If the map is scalar, or does not have a parameter.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> from hypothesis import find
    >>> linear = ct.derive(ct.models.linear())
    >>> found = find(matrix_states(linear), lambda s: s["S"][0, 0] > 0)
    >>> found["S"].tolist(), sorted(found)
    ([[1.0]], ['G', 'S', 'W', 'X', 'Y', 'eta', 'n'])
    """
    st = strategies_module()
    if not update_map.is_matrix:
        raise InputError("the state of this map holds no matrices: use states() for it")
    square = square_unit(update_map)  # frames fill whole units, and sqrt(n) is whole
    usual = {"n": widths().map(lambda n: square * n)} | parameters
    drawn = {c.name: _of_parameter(c, usual) for c in update_map.constants}
    if unknown := sorted(set(parameters) - set(drawn)):
        raise InputError(f"{', '.join(unknown)} is no parameter of this map: {', '.join(drawn)}")
    pairs = data if isinstance(data, st.SearchStrategy) else data_sets() if data is None else None

    @st.composite
    def draw_state(draw: Any) -> dict[str, Any]:
        X, Y = draw(pairs) if pairs is not None else (np.asarray(part, float) for part in data)
        numbers = {name: float(draw(strategy)) for name, strategy in drawn.items()}
        width = int(numbers.get("n", 1))
        columns = _columns(update_map, X.shape[1], Y.reshape(len(X), -1).shape[1])
        lengths = _lengths(update_map, width, columns)
        frame = _matrix(draw, dyadics(-2, 2, 2), (max(lengths), len(lengths)))
        frame[np.arange(len(frame))[:, None] >= lengths] = 0
        # With sqrt(n) times these entries the Gram matrix is O(1) at every width.
        gram = frame.T @ frame / (1 if width >= width_unit(update_map) * sum(columns) else width)
        sizes = {"d": X.shape[1], "k": Y.reshape(len(X), -1).shape[1]}
        state = update_map.state_from_gram(gram, numbers.get("n", 1), sizes=sizes)
        return {**state, "X": X, "Y": Y, **numbers}

    return draw_state()


def _matrix(draw: Any, entry: Any, shape: tuple[int, int]) -> np.ndarray:
    st = strategies_module()
    count = shape[0] * shape[1]
    numbers = draw(st.lists(entry, min_size=count, max_size=count))
    return np.array([float(x) for x in numbers]).reshape(shape)


def _columns(update_map: UpdateMap, inputs: int, outputs: int) -> list[int]:
    """Return how many columns each trained matrix of the frame has for data of that shape."""
    sizes = {"d": inputs, "k": outputs}
    trained = update_map.frame.columns[: update_map.frame.trained]
    counts = [sp.sympify(c) for c in trained]
    known = {s: sizes[s.name] for c in counts for s in c.free_symbols if s.name in sizes}
    return [int(c.subs(known)) for c in counts]


def _lengths(update_map: UpdateMap, width: int, columns: list[int]) -> list[int]:
    """Return how many entries each column of the trained matrices has."""
    frame = update_map.frame
    buffers = [0] * (len(frame.names) - frame.trained)
    own = drawn_lengths(update_map, width, [*columns, *buffers])
    pairs = zip(frame.names[: frame.trained], columns, strict=True)
    return [own[name] for name, count in pairs for _ in range(count)]


def _of_parameter(symbol: sp.Symbol, given: Mapping[str, Any]) -> Any:
    st = strategies_module()
    value = given.get(symbol.name)
    if isinstance(value, st.SearchStrategy):
        return value
    if value is not None:
        return st.just(value)
    if symbol.name == "eta":
        return learning_rates()
    return dyadics(0, Fraction(15, 16)) if symbol.is_nonnegative else dyadics(-2, 2)
