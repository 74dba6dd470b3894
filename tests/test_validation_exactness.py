"""The derived maps are exact: brute-force training on raw parameters agrees to rounding.

Tolerances: over 200 steps 1e-12 of the running maximum for n >= 64 and eta*lam0 <= 3, where
rounding is not amplified; elsewhere 1e-13 for one step from 100 states along the orbit.
Every case is run again with its eta^2 terms a thousandth too large, which must fail.
"""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from catapult_theory.errors import InputError, NotClosed
from catapult_theory.networks import digits
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.symbols import eta, f, lam, n, relu, vectors, y
from catapult_theory.validation import exactness, with_wrong_coefficient
from catapult_theory.validation.exactness import _largest, _summands

RULES = {
    "gd": {},
    "weight_decay": {"omega": 0.01},
    "heavy_ball": {"beta": 0.5},
}
UV_LOSSES = {
    "squared": {"model": models.uv()},
    "squared, label": {"model": models.uv(label=True), "y": 0.3},
    "logistic, label": {"model": models.uv(label=True), "y": 1.0, "loss": "logistic"},
}
DIGITS_LOSSES = {
    "squared, k = 1": ("squared", "parity"),
    "logistic, k = 1": ("logistic", "parity"),
    "squared, k = 10": ("squared", "classes"),
    "softmax, k = 10": ("softmax_cross_entropy", "classes"),
}
WIDTHS = (2, 5, 64, 256, 4096)
RATES = {"lazy": 0.5, "catapult": 2.5, "edge": 3.7, "divergent": 5.0}
ALL_UV = list(itertools.product(UV_LOSSES, RULES, WIDTHS, RATES))
ALL_DIGITS = list(itertools.product(DIGITS_LOSSES, RULES, (2, 64, 4096), ("lazy", "catapult")))
# Every loss, rule, width and rate occurs; the strides are coprime to the lengths.
SOME_UV = ALL_UV[::7]
SOME_DIGITS = [
    ("squared, k = 1", "gd", 64, "catapult"),
    ("squared, k = 10", "heavy_ball", 2, "catapult"),
    ("softmax, k = 10", "weight_decay", 2, "lazy"),
    ("logistic, k = 1", "heavy_ball", 64, "lazy"),
]


def check(result):
    assert result.worst <= result.tolerance, str(result)
    assert result.control_fails, str(result)
    assert result.passed
    assert result.tolerance <= 1e-12


def check_uv(loss, rule, width, rate):
    check(exactness(optimizer=rule, n=width, eta_lam0=RATES[rate], seed=width, **RULES[rule],
                    **UV_LOSSES[loss]))  # fmt: skip


def check_digits(loss, rule, width, rate):
    name, protocol = DIGITS_LOSSES[loss]
    check(exactness("linear", name, rule, n=width, eta_lam0=RATES[rate], steps=100 if width < 99
                    else 200, data=digits(protocol=protocol), **RULES[rule]))  # fmt: skip


def test_the_default_sample_covers_every_stratum():
    for axis, values in enumerate((UV_LOSSES, RULES, WIDTHS, RATES)):
        assert {case[axis] for case in SOME_UV} == set(values)
    for axis, values in enumerate((DIGITS_LOSSES, RULES)):
        assert {case[axis] for case in SOME_DIGITS} == set(values)


@pytest.mark.parametrize(("loss", "rule", "width", "rate"), SOME_UV)
def test_uv_model_is_exact(loss, rule, width, rate):
    check_uv(loss, rule, width, rate)


@pytest.mark.full
@pytest.mark.parametrize(("loss", "rule", "width", "rate"), ALL_UV)
def test_uv_model_is_exact_in_all_cases(loss, rule, width, rate):
    check_uv(loss, rule, width, rate)


@pytest.mark.parametrize(("loss", "rule", "width", "rate"), SOME_DIGITS)
def test_linear_network_on_digits_is_exact(loss, rule, width, rate):
    check_digits(loss, rule, width, rate)


@pytest.mark.full
@pytest.mark.parametrize(("loss", "rule", "width", "rate"), ALL_DIGITS)
def test_linear_network_on_digits_is_exact_in_all_cases(loss, rule, width, rate):
    check_digits(loss, rule, width, rate)


def test_tame_orbits_are_compared_whole_and_others_step_by_step():
    assert exactness(n=64, eta_lam0=3.0).over_orbit
    assert not exactness(n=63, eta_lam0=3.0).over_orbit
    assert not exactness(n=64, eta_lam0=3.1).over_orbit
    diverged = exactness(n=64, eta_lam0=6.0)
    assert 0 < diverged.steps < 200


def test_a_user_loss_and_a_number_as_label_are_exact():
    check(exactness(models.uv(label=0.25), sp.log(sp.cosh(f - y)), n=80, eta_lam0=1.0))
    check(exactness(models.uv(label=True), (f - y) ** 4 / 4, n=10, eta_lam0=0.3, y=-0.5))


def random_model(seed: int) -> Model:
    """Return a network of 3 to 5 vectors, its output up to cubic in their inner products."""
    source = random.Random(seed)
    names = list("abcde")[: source.randint(3, 5)]
    hidden = vectors(" ".join(names))
    pairs = list(itertools.combinations_with_replacement(hidden, 2))
    output = sp.S.Zero
    for degree in [1, *(source.randint(1, 3) for _ in range(source.randint(1, 3)))]:
        product = sp.Integer(source.choice([-2, -1, 1, 2]))
        for left, right in source.choices(pairs, k=degree):
            product *= (left @ right) / n
        output += product * sp.sqrt(n) / source.randint(1, 3)
    if not output.has(*[p @ q for p, q in pairs]):
        output += hidden[0] @ hidden[1] / sp.sqrt(n)
    label = source.choice([0, sp.Rational(1, 2)])
    return Model(output=output, vectors=hidden, label=label, name=f"random {seed}")


@given(seed=st.integers(0, 10**6))
@settings(max_examples=3, deadline=None, derandomize=True)
def test_random_models_match_automatic_differentiation(seed):
    check(exactness(random_model(seed), n=12, eta_lam0=0.3, steps=60, seed=seed))


@pytest.mark.full
@given(seed=st.integers(0, 10**6), rule=st.sampled_from(sorted(RULES)))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_many_random_models_match_automatic_differentiation(seed, rule):
    check(exactness(random_model(seed), optimizer=rule, n=12, eta_lam0=0.3, steps=60, seed=seed,
                    **RULES[rule]))  # fmt: skip


def test_a_wrong_coefficient_changes_that_order_alone():
    uv = derive(models.uv())
    wrong = with_wrong_coefficient(uv)
    change = sp.expand(wrong.updates[lam] - uv.updates[lam])
    assert sp.expand(change - eta**2 * f**2 * lam / n / 1000) == 0
    linear = derive(models.linear(inputs=2, outputs=1))
    altered = with_wrong_coefficient(linear)
    assert all(altered.updates[s] != linear.updates[s] for s in linear.variables)
    assert with_wrong_coefficient(linear, order=3).updates == linear.updates


def test_errors_are_measured_over_their_scale():
    raw = np.array([[0.0], [2.0], [-4.0], [0.1]])
    scale = np.array([0.0, 2.0, 4.0, 4.0])
    late, early = np.zeros((2, 4, 1))
    late[3], early[0] = 0.4, 0.1
    assert _largest(raw + late, raw, scale) == pytest.approx(0.1)
    assert _largest(raw + early, raw, scale) == np.inf


def test_inner_products_with_velocities_are_measured_over_their_summands():
    slow = derive(models.uv(), optimizer="heavy_ball")
    phi = np.random.default_rng(0).normal(size=(50, 4))
    gram = (phi.T @ phi / 50)[None]
    sizes = _summands(slow, gram, 50)
    assert set(sizes) == {s.name for s in slow.variables[2:]}
    u, v, pu, pv = np.linalg.norm(phi, axis=0)
    assert sizes["P_u_P_v"][0] == pytest.approx(pu * pv / 50)
    mixed = sorted(sizes[s.name][0] for s in slow.variables if s.name in ("x1", "x2"))
    assert mixed == pytest.approx(sorted([(pu * v + pv * u) / 50, (pu * u + pv * v) / 50]))


def test_what_does_not_close_has_nothing_to_compare():
    u, v = vectors("u v")
    with pytest.raises(NotClosed, match=r"first term that leaves is <relu\(u\),v>"):
        exactness(Model(output=v @ relu(u) / sp.sqrt(n), vectors=(u, v)))


def test_nothing_to_compare_is_refused():
    with pytest.raises(InputError, match="at least one step"):
        exactness(steps=0)


def test_a_result_reads_as_a_sentence():
    text = str(exactness(n=64))
    assert "uv, squared, gd, n = 64" in text
    assert "wrong coefficient" in text
