"""Invariant factors: found by the engine, equal to the theory's, and kept on orbits."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from catapult_theory.errors import InputError
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.invariants import (
    conserved_quantities,
    edge_factors,
    invariant_factors,
    is_searched,
    verify_factor,
)
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.symbols import symbol, vectors

a, q, kappa = map(symbol, ("a", "q", "kappa"))
p = q - kappa

# label, optimizer, loss -> the factors of each kind
CASES = [
    (False, "gd", "squared", {"edge": [a - 4], "minimum": [q], "domain": [a - 2 * q, a + 2 * q]}),
    (
        True,
        "gd",
        "squared",
        {"edge": [a - 4 - kappa * p], "minimum": [p], "domain": [a - 2 * q, a + 2 * q]},
    ),
    (True, "weight_decay", "squared", {"domain": [a - 2 * q, a + 2 * q]}),
    (True, "heavy_ball", "squared", {}),
]


@functools.lru_cache(typed=True)  # True and 1 are different labels
def _case(label: object, optimizer: str = "gd", loss: str = "squared"):
    return derive(models.uv(label=label), optimizer=optimizer, loss=loss)


@pytest.mark.parametrize(("label", "optimizer", "loss", "kinds"), CASES)
def test_factors_are_those_of_the_theory(label, optimizer, loss, kinds):
    update_map = _case(label, optimizer, loss)
    found: dict[str, set[sp.Expr]] = {}
    for factor in invariant_factors(update_map):
        found.setdefault(factor.kind, set()).add(sp.expand(factor.expression))
    assert found == {kind: {sp.expand(w) for w in ws} for kind, ws in kinds.items()}


def test_edge_of_the_labelled_map_has_the_multiplier_of_the_theory():
    (edge,) = edge_factors(_case(True))
    assert sp.expand(edge.multiplier - (1 + kappa * p + p**2)) == 0


@pytest.mark.parametrize(
    ("label", "optimizer", "loss"),
    [
        (False, "gd", "squared"),
        (True, "gd", "squared"),
        (0.3, "gd", "squared"),
        (True, "weight_decay", "squared"),
        (True, "gd", "logistic"),
        (1, "gd", "logistic"),
        (1, "gd", "huber"),
        (False, "clipped", "squared"),
    ],
)
def test_every_factor_holds_and_a_wrong_one_does_not(label, optimizer, loss):
    update_map = _case(label, optimizer, loss)
    for factor in invariant_factors(update_map):
        assert verify_factor(update_map, factor)
        shifted = replace(factor, expression=factor.expression + 1)
        assert not verify_factor(update_map, shifted)


def test_a_step_with_roots_of_the_state_has_no_line_where_it_is_not_defined():
    u, v = vectors("u v")
    model = Model(output=u @ v / sp.sqrt(u @ u), vectors=(u, v), label=True)
    assert invariant_factors(derive(model)) == ()


def test_logistic_loss_has_the_sides_of_the_domain_but_no_edge():
    kinds = [w.kind for w in invariant_factors(_case(1, "gd", "logistic"))]
    assert kinds == ["domain", "domain"]


def test_momentum_is_said_not_to_be_searched():
    assert not is_searched(_case(True, "heavy_ball", "squared"))
    assert is_searched(_case(False))


def test_imbalance_is_handed_on():
    (delta,) = conserved_quantities(_case(False))
    assert (delta.symbol.name, delta.is_constant) == ("Delta", False)
    fixed = [c for c in conserved_quantities(_case(False).truncate()) if c.is_constant]
    assert [c.symbol.name for c in fixed] == ["lam"]


@given(
    u=st.floats(0.0, 1.0), v=st.floats(0.0, 1.0), k=st.floats(-1.9, 1.9), steps=st.integers(1, 60)
)
@settings(max_examples=200, deadline=None)
def test_sign_of_the_edge_factor_never_changes(u, v, k, steps):
    """w in [-4, 0) or above; the multiplier is at least 1 - kappa^2/4 > 0 for |kappa| < 2."""
    X, Y = 6 * (2 + k) * u, 6 * (2 - k) * v  # X, Y = a +- 2q span the domain
    A, Q = (X + Y) / 2, (X - Y) / 4
    start = A - 4 - k * (Q - k)
    if abs(start) < 1e-6:  # on the line itself rounding decides
        return
    for _ in range(steps):
        P = Q - k
        A, Q = A - 4 * P * Q + P**2 * A, Q - A * P + P**2 * Q
        w = A - 4 - k * (Q - k)
        if abs(A) > 1e6 or abs(w) < 1e-9:
            break
        assert np.sign(w) == np.sign(start)


def test_a_wrong_line_is_crossed():
    """The control of the sign test: a - 4 without its label term changes sign."""
    A, Q, k = 4.2, 1.2, 0.8
    signs = set()
    for _ in range(30):
        signs.add(np.sign(A - 4))
        P = Q - k
        A, Q = A - 4 * P * Q + P**2 * A, Q - A * P + P**2 * Q
    assert signs == {-1.0, 1.0}


def test_unknown_symbols_are_refused():
    update_map = _case(False)
    (edge,) = edge_factors(update_map)
    with pytest.raises(InputError, match="groups of this map"):
        verify_factor(update_map, replace(edge, expression=symbol("z") - 4))
