"""Hypothesis strategies for states, learning rates and widths: always inside the domain, exact.

States of maps of two vectors are drawn in the coordinates of their domain: each of its
inequalities is a nonnegative coordinate, so that a zero is a state on the edge. Other states
are computed from drawn vectors. All are rational; widths are powers of four, so that sqrt(n)
is whole, and numbers that are not solved for have a power of two below, so that they are exact
in float64 too.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import sympy as sp

from catapult_theory.errors import InputError
from catapult_theory.rigor.falsification.drawn_states import Bound, Drawing, Member, boundary_values
from catapult_theory.rigor.falsification.number_strategies import (
    dyadics,
    learning_rates,
    strategies_module,
    widths,
)
from catapult_theory.symbolic.update_map import UpdateMap

State = dict[str, Fraction]
# eta times these is tried where the hypotheses refuse eta itself: some power of two always
# brings eta lam into (2, 4), the catapult phase of gradient descent.
_RESCALED = tuple(Fraction(2) ** k for k in (0, -1, 1, -2, 2, -3, 3, -4, 4, -6, 6, -8, 8))


def states(update_map: UpdateMap, where: Any = None, **parameters: Any) -> Any:
    """Return a strategy for states of networks, with all parameters of the map.

    Every state drawn is one of some network of the width drawn with it: its Gram matrix is
    positive semidefinite (theory, section 2), exactly.

    Parameters
    ----------
    update_map : UpdateMap
        Scalar; for matrix maps see `matrix_states`.
    where : str, sympy relation or sequence, optional
        Hypotheses that the states meet, read as `verify` reads them.
    **parameters
        Numbers or strategies for parameters of the map: ``n=64``, ``eta=learning_rates()``.

    Returns
    -------
    SearchStrategy of dict from names to Fraction

    Raises
    ------
    MissingBackend
        If Hypothesis is not installed.
    ClaimError
        If the hypotheses cannot be read.
    InputError
        For a parameter that the map does not have.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> from hypothesis import find
    >>> uv = ct.derive(ct.models.uv())
    >>> simplest = find(states(uv), lambda state: state["f"] > 0)
    >>> {name: str(number) for name, number in simplest.items()}
    {'f': '1', 'lam': '2', 'eta': '1', 'n': '1'}
    """
    return _drawn(Drawing.of(update_map, where), parameters, ())


def edge_states(update_map: UpdateMap, where: Any = None, **parameters: Any) -> Any:
    """Return a strategy for states on the edge of the domain.

    There some vectors are linearly dependent; for the uv-model u = v or u = -v (the balanced
    states, |f| = sqrt(n) lam / 2).

    Parameters
    ----------
    update_map : UpdateMap
    where : str, sympy relation or sequence, optional
    **parameters
        As for `states`.

    Returns
    -------
    SearchStrategy of dict from names to Fraction

    Examples
    --------
    >>> import catapult_theory as ct
    >>> from hypothesis import find
    >>> balanced = find(edge_states(ct.derive(ct.models.uv()), "f > 0"), lambda state: True)
    >>> {name: str(number) for name, number in balanced.items()}
    {'f': '1', 'lam': '2', 'eta': '1', 'n': '1'}
    """
    drawing = Drawing.of(update_map, where)
    return _drawn(drawing, parameters, (), edge=drawing.edges())


def states_near(boundary: Any, update_map: UpdateMap, where: Any = None, **parameters: Any) -> Any:
    """Return a strategy for states by their distance from a boundary.

    The boundary is where an equation holds. It is factored, a factor is solved for one symbol in
    which it is linear, and that symbol is set to its value on the boundary times 1 + d, with
    d = 0 or d = +-2^-k, k up to 40. States on the boundary are the simplest.

    Parameters
    ----------
    boundary : str or sympy relation
        An equation, which may speak of the state after the step: ``"eta*lam = 4"``,
        ``"b' = 0"``; or an inequality, whose boundary is meant.
    update_map : UpdateMap
    where : str, sympy relation or sequence, optional
        What the states meet besides.
    **parameters
        As for `states`.

    Returns
    -------
    SearchStrategy of dict from names to Fraction

    Raises
    ------
    InputError
        If no symbol can be solved for.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> from hypothesis import find
    >>> uv = ct.derive(ct.models.uv())
    >>> on = find(states_near("eta*lam = 4", uv), lambda s: s["eta"] * s["lam"] == 4)
    >>> str(on["lam"])
    '4'
    """
    drawing = Drawing.of(update_map, where)
    found = boundary_values(boundary, drawing)
    return _drawn(drawing, parameters, found)


def _drawn(
    drawing: Drawing,
    parameters: dict[str, Any],
    boundary: Sequence[tuple[sp.Symbol, Bound]],
    edge: Any = None,
) -> Any:
    st = strategies_module()
    fixed = _fixed(drawing, parameters)
    rescaled = () if boundary or "eta" in parameters else _RESCALED
    sometimes = st.one_of(st.none(), st.none(), drawing.edges())
    parts = st.tuples(
        # First, so that a simplest example is one that needs no rescaling.
        st.sampled_from(((), rescaled)),
        st.tuples(*fixed.values()),
        sometimes if edge is None else edge,
        drawing.numbers(),
        st.sampled_from(boundary) if boundary else st.none(),
        _distances() if boundary else st.none(),
    )

    def put_together(drawn: Any) -> State | None:
        factors, numbers, where, coordinates, chosen, distance = drawn
        point: Member = dict(zip(fixed, numbers, strict=True))
        point |= drawing.placed(coordinates, where, point)
        if chosen is not None:
            symbol, bound = chosen
            value = bound(point)
            if value is None:
                return None
            point[symbol] = distance if value == 0 else value * (1 + distance)
        full = drawing.completed(point, factors)
        return None if full is None else {s.name: full[s] for s in drawing.symbols}

    return parts.map(put_together).filter(bool)


def _distances() -> Any:
    """Return a strategy for distances from a boundary: 0, or a power of two of either sign."""
    st = strategies_module()
    powers = st.builds(
        lambda k, sign: sign * Fraction(1, 2**k), st.integers(0, 40), st.sampled_from((1, -1))
    )
    return st.one_of(st.just(Fraction(0)), powers)


def _fixed(drawing: Drawing, parameters: dict[str, Any]) -> dict[sp.Symbol, Any]:
    """Return a strategy for every parameter of a map, and for state variables that are given."""
    st = strategies_module()
    names = {s.name: s for s in drawing.constants}
    unknown = sorted(set(parameters) - set(names))
    if unknown:
        raise InputError(
            f"{', '.join(unknown)} is no parameter of this map; it has {', '.join(names)}. "
            f"A condition on the state goes into where: where='{unknown[0]} = ...'"
        )
    found = {}
    for name, symbol in names.items():
        given = parameters.get(name)
        if given is None:
            found[symbol] = _default(symbol, drawing)
        elif isinstance(given, st.SearchStrategy):
            found[symbol] = given.map(Fraction)
        else:
            found[symbol] = st.just(Fraction(given))
    return found


def _default(symbol: sp.Symbol, drawing: Drawing) -> Any:
    st = strategies_module()
    if symbol.name == "n" and drawing.fixed_width is not None:
        return st.just(drawing.fixed_width)
    if symbol.name == "n":
        square = drawing.square_unit
        return widths(-(-drawing.least_width // square)).map(lambda n: Fraction(square * n))
    if symbol.name == "eta":
        # Mostly powers of two, so that numbers solved for keep a power of two below.
        few = [Fraction(2) ** k for k in (0, 1, -1, 2, -2, 3, -3, -4, -6)]
        return st.one_of(st.sampled_from(few), learning_rates())
    if symbol.name == "beta":
        return st.integers(0, 15).map(lambda k: Fraction(k, 16))
    if symbol.is_positive:
        return dyadics(Fraction(1, 16), 8)
    return dyadics(0, 8) if symbol.is_nonnegative else dyadics(-8, 8)


__all__ = [
    "dyadics",
    "edge_states",
    "learning_rates",
    "states",
    "states_near",
    "widths",
]
