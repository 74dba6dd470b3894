"""Dimensionless groups: found from the null space, equal to the theory's, and true on orbits."""

from __future__ import annotations

import functools
import pickle

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from catapult_theory.errors import InputError
from catapult_theory.symbolic import models, optimizers
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.scaling import (
    dimensionless,
    scaling_weights,
    signed_dimensionless,
)
from catapult_theory.symbolic.symbols import eta, f, lam, n, omega, symbol, y

a, b, q, kappa = map(symbol, ("a", "b", "q", "kappa"))

# model label, optimizer, loss, groups that must be found, parameters that must be left
CASES = [
    (False, "gd", "squared", {"a": eta * lam, "b": eta**2 * f**2 / n}, ()),
    (
        True,
        "gd",
        "squared",
        {"a": eta * lam, "q": eta * f / sp.sqrt(n), "kappa": eta * y / sp.sqrt(n)},
        ("kappa",),
    ),
    (
        False,
        "weight_decay",
        "squared",
        {"a": eta * lam, "b": eta**2 * f**2 / n, "decay": eta * omega},
        ("decay",),
    ),
    (False, "heavy_ball", "squared", {"a": eta * lam, "q": eta * f / sp.sqrt(n)}, ("beta",)),
    (0.3, "gd", "squared", {"a": eta * lam, "f": f, "nu": eta**2 / n}, ("nu",)),
    (1, "gd", "logistic", {"a": eta * lam, "f": f, "nu": eta**2 / n}, ("nu",)),
    (True, "gd", "logistic", {"kappa2": eta**2 * y**2 / n}, ("kappa2",)),
]


@functools.lru_cache(typed=True)  # True and 1 are different labels
def _case(label: object, optimizer: str, loss: str):
    return derive(models.uv(label=label), loss=loss, optimizer=optimizer)


@functools.lru_cache(typed=True)
def found(find, label: object, optimizer: str, loss: str):
    return find(_case(label, optimizer, loss))


@pytest.mark.parametrize(("label", "optimizer", "loss", "groups", "left"), CASES)
def test_groups_are_those_of_the_theory(label, optimizer, loss, groups, left):
    small = found(dimensionless, label, optimizer, loss)
    assert {k: small.groups[symbol(k)] for k in groups} == groups
    assert tuple(s.name for s in small.constants) == left


def test_uv_map_has_no_parameter_left():
    small = dimensionless(_case(False, "gd", "squared"))
    assert small.parameters == ()
    assert sp.expand(small.updates[a] - (a + b * (a - 4))) == 0
    assert sp.expand(small.updates[b] - b * (1 - a + b) ** 2) == 0
    # the control: a wrong coefficient is seen
    assert sp.expand(small.updates[a] - (a + b * (a - 3))) != 0


def test_updates_keep_their_form_where_the_units_are_put_to_one():
    """No factoring again, which takes minutes for a long step."""
    update_map = _case(True, "gd", "squared")
    small = signed_dimensionless(update_map)
    ones = {n: 1, eta: 1}
    for s, group in ((f, q), (lam, a)):
        kept = update_map.updates[s].subs(ones).xreplace({f: q, lam: a, y: kappa})
        assert sp.count_ops(small.updates[group]) == sp.count_ops(kept)
        assert sp.expand(small.updates[group] - kept) == 0


def test_labelled_map_is_that_of_the_residual():
    small = dimensionless(_case(True, "gd", "squared"))
    p = q - kappa
    assert sp.expand(small.updates[a] - (a - 4 * p * q + p**2 * a)) == 0
    assert sp.expand(small.updates[q] - kappa - p * (1 - a + p * q)) == 0


@pytest.mark.parametrize(("label", "optimizer", "loss", "groups", "left"), CASES)
def test_no_unit_is_left_in_the_updates(label, optimizer, loss, groups, left):
    small = found(dimensionless, label, optimizer, loss)
    admitted = set(small.variables) | set(small.constants)
    assert set().union(*(e.free_symbols for e in small.updates.values())) <= admitted
    assert not set(small.units) & admitted


@pytest.mark.parametrize(("label", "optimizer", "loss", "groups", "left"), CASES)
@pytest.mark.parametrize("find", [dimensionless, signed_dimensionless])
def test_step_and_scaling_commute(find, label, optimizer, loss, groups, left):
    """Groups of the stepped state equal the stepped groups, to rounding (~30 operations)."""
    update_map = _case(label, optimizer, loss)
    small = found(find, label, optimizer, loss)
    symbols = (*update_map.variables, *update_map.constants)
    values = np.random.default_rng(7).uniform(0.2, 0.9, (len(symbols), 50))
    values[symbols.index(n)] *= 40
    table = dict(zip(symbols, values, strict=True))
    step = sp.lambdify(symbols, [update_map.updates[s] for s in update_map.variables])
    after = {**table, **dict(zip(update_map.variables, step(*values), strict=True))}
    group = sp.lambdify(symbols, list(small.groups.values()))
    before = dict(zip(small.groups, group(*table.values()), strict=True))
    new = dict(zip(small.groups, group(*after.values()), strict=True))
    for s, e in small.updates.items():
        image = sp.lambdify(list(small.groups), e)(*before.values())
        np.testing.assert_allclose(image, new[s], rtol=1e-11, atol=1e-12)
        with pytest.raises(AssertionError):  # the control: one part in a thousand is seen
            np.testing.assert_allclose(1.001 * image, new[s], rtol=1e-11, atol=1e-12)


@given(scale=st.floats(0.1, 10.0), which=st.integers(0, 1))
@settings(max_examples=30, deadline=None)
def test_every_generator_is_a_symmetry(scale, which):
    update_map = _case(True, "gd", "squared")
    weights = scaling_weights(update_map)[which]
    factor = {s: scale ** float(w) for s, w in weights.items()}
    point = {f: 0.7, lam: 1.9, eta: 0.3, n: 11.0, y: 0.4}
    moved = {s: v * factor[s] for s, v in point.items()}
    for s, e in update_map.updates.items():
        assert float(e.subs(moved)) == pytest.approx(float(e.subs(point)) * factor[s], rel=1e-10)


def test_physical_units_come_back():
    update_map = _case(True, "gd", "squared")
    small = dimensionless(update_map)
    assert small.physical(small.scaled(lam)) == lam
    back = small.physical(small.scaled(update_map.updates[f]))
    assert sp.simplify(back - update_map.updates[f]) == 0


def test_infinite_width_map_says_that_the_scale_of_f_drops_out():
    small = dimensionless(_case(False, "gd", "squared").truncate())
    assert small.free == (f,)
    assert sp.expand(small.updates[f] - f * (1 - a)) == 0
    assert "scale drops out: f" in str(small)


@pytest.mark.full  # four buffers and a decay: seconds of exact elimination
def test_momentum_with_decay_leaves_both_groups():
    small = dimensionless(derive(models.uv(), optimizer=optimizers.heavy_ball(weight_decay=True)))
    assert {s.name for s in small.constants} == {"beta", "decay"}


def test_text_latex_and_pickle():
    small = dimensionless(_case(False, "gd", "squared"))
    assert str(small).splitlines()[:3] == [
        "a = eta*lam", "b = eta**2*f**2/n", "a' = a + b*(a - 4)",
    ]  # fmt: skip
    assert r"\kappa &= " in dimensionless(_case(True, "gd", "squared")).latex()
    assert pickle.loads(pickle.dumps(small)) == small


def test_matrix_maps_are_refused_with_a_remedy():
    with pytest.raises(InputError, match="by hand"):
        dimensionless(derive(models.linear(inputs=2)))
