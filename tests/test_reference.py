"""The reference of arbitrary precision, and the parts of an error that it tells apart."""

from __future__ import annotations

import functools
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from catapult_theory.codegen.kernel import compile as compile_kernel
from catapult_theory.codegen.reference import divergence, reference
from catapult_theory.errors import InputError
from catapult_theory.symbolic import models, optimizers
from catapult_theory.symbolic.closure import derive
from catapult_theory.validation import error_parts
from catapult_theory.validation.controls import with_wrong_coefficient


@functools.cache
def uv(optimizer: str = "gd", loss: str = "squared", label: object = False):
    return derive(models.uv(label=label), loss, optimizer)


@given(
    f=st.fractions(-2, 2, max_denominator=16),
    lam=st.fractions(0, 3, max_denominator=16),
    eta=st.fractions("1/16", 2, max_denominator=16),
)
@settings(max_examples=50, deadline=None)
def test_a_step_equals_exact_rational_arithmetic(f, lam, eta):
    """The step at n = 4, written out in fractions."""
    width = Fraction(4)
    exact_f = f * (1 - eta * lam + eta**2 * f**2 / width)
    exact_lam = lam + eta * f**2 / width * (eta * lam - 4)
    numbers = [sp.Rational(v.numerator, v.denominator) for v in (f, lam)]
    step = reference(uv(), 40).step(*numbers, eta=sp.Rational(eta.numerator, eta.denominator), n=4)
    for found, exact in ((step.f, exact_f), (step.lam, exact_lam)):
        with mpmath.workdps(60):
            gap = abs(found - mpmath.mpf(exact.numerator) / exact.denominator)
            assert gap < mpmath.mpf(10) ** -36


@pytest.mark.parametrize(
    ("update_map", "numbers"),
    [
        (uv(), {}),
        (uv("heavy_ball"), {"beta": 0.5}),
        (uv("gd", "logistic", 1), {}),
        (uv("weight_decay"), {"omega": 0.1}),
    ],
    ids=lambda v: getattr(v, "optimizer", ""),
)
def test_reference_at_sixteen_digits_and_kernel_agree(update_map, numbers):
    kernel = compile_kernel(update_map, "array")
    start = {"f": 0.5, "lam": 2.0}
    course = reference(update_map, 40).trajectory(start, 20, eta=0.6, n=50, **numbers)
    state = [start.get(s.name, 0.0) for s in update_map.variables]
    for _ in range(20):
        state = list(kernel.step(*state, eta=0.6, n=50.0, **numbers))
    for s, value in zip(update_map.variables, state, strict=True):
        scale = max(1e-3, *(abs(float(v)) for v in course[s.name]))
        assert abs(float(course[s.name][-1]) - value) < 1e-13 * scale
    assert len(course["loss"]) == 21


def test_more_digits_are_more_digits():
    coarse = reference(uv(), 20).trajectory({"f": "0.3", "lam": 2}, 30, eta="1.3", n=7)["f"][-1]
    fine = reference(uv(), 60).trajectory({"f": "0.3", "lam": 2}, 30, eta="1.3", n=7)["f"][-1]
    finest = reference(uv(), 90).trajectory({"f": "0.3", "lam": 2}, 30, eta="1.3", n=7)["f"][-1]
    with mpmath.workdps(100):
        assert abs(fine - finest) < mpmath.mpf(10) ** -55 < abs(coarse - finest)


def test_working_precision_of_others_is_left_alone():
    before = mpmath.mp.dps
    reference(uv(), 200).run({"f": 1, "lam": 2}, 5, eta=1, n=4)
    assert mpmath.mp.dps == before


def test_every_kept_step_is_asked_for():
    course = reference(uv()).trajectory({"f": 1, "lam": 2}, 10, every=5, eta=1, n=4)
    assert [len(v) for v in course.values()] == [3, 3, 3]


def test_a_divergence_is_confirmed_only_at_one_step():
    start = {"f": 1, "lam": 2}
    assert divergence(uv(), start, 90, eta="2.1", n=4).confirmed
    below = divergence(uv(), start, 90, eta="1.9", n=4)
    assert below.agreed
    assert not below.confirmed


def test_rounding_on_the_edge_is_not_taken_for_divergence():
    """At eta lam = 4 the orbit is chaotic and bounded; few digits leave it, each at its step."""
    coarse = divergence(uv(), {"f": "0.7", "lam": 4}, 400, digits=(5, 8, 300), eta=1, n=1)
    assert not coarse.confirmed
    assert coarse.steps[-1] is None


def test_bad_input_is_refused():
    exact = reference(uv())
    with pytest.raises(InputError, match="values for n"):
        exact.step(1, 2, eta=1)
    with pytest.raises(InputError, match="unknown parameter 'nn'"):
        exact.step(1, 2, eta=1, nn=3)
    with pytest.raises(InputError, match="a step takes f, lam"):
        exact.step(1, eta=1, n=3)
    with pytest.raises(InputError, match="start needs lam"):
        exact.run({"f": 1}, 3, eta=1, n=3)
    with pytest.raises(InputError, match="is not a number"):
        exact.step("one", 2, eta=1, n=3)
    with pytest.raises(InputError, match="scalar maps"):
        reference(derive(models.linear(inputs=3)))
    with pytest.raises(InputError, match="digits"):
        reference(uv(), 0)


# The parts of an error

PARTS = [
    ("squared", "gd", False, {}),
    ("squared", "heavy_ball", False, {"beta": 0.5}),
    ("squared", "weight_decay", True, {"omega": 0.1, "y": 0.3}),
    ("logistic", "gd", 1, {}),
]


@pytest.mark.parametrize(("loss", "optimizer", "label", "numbers"), PARTS)
def test_theory_is_exact_to_all_digits_and_every_control_is_told_apart(
    loss, optimizer, label, numbers
):
    parts = error_parts(models.uv(label=label), loss, optimizer, n=6, steps=10, **numbers)
    assert parts.passed, str(parts)
    assert max(parts.theory.values()) < 1e-45
    assert min(parts.controls_fail[0], parts.controls_fail[2])
    assert max(parts.rounding.values()) < 1e-13


def test_effect_of_the_width_is_the_distance_from_the_limit():
    """By hand, one step at y = 0: f' differs from its limit by eta^2 f^3 / n."""
    parts = error_parts("uv", n=6, steps=1, eta_lam0=1.0)
    assert 1e-4 < parts.finite_width["f"] < 1
    assert parts.slopes["f"] == pytest.approx(-1, abs=1e-3)
    assert abs(parts.slopes_control["f"]) < 0.1
    assert error_parts("uv", "squared", optimizers.heavy_ball(0.5), n=4, steps=2).slopes == {}


def test_a_wrong_map_cannot_hide_behind_round_off():
    """A coefficient wrong by 1e-20 is invisible in float64 and seen in fifty digits."""
    wrong = with_wrong_coefficient(uv(), excess=sp.Rational(1, 10**20))
    numbers = {"eta": 0.5, "n": 9}
    right = reference(uv(), 50).trajectory({"f": 1, "lam": 2}, 10, **numbers)["f"][-1]
    other = reference(wrong, 50).trajectory({"f": 1, "lam": 2}, 10, **numbers)["f"][-1]
    with mpmath.workdps(60):
        assert 1e-22 < abs(right - other) / abs(right) < 1e-18
    assert np.float64(right) == np.float64(other)


def test_matrix_models_are_refused():
    with pytest.raises(InputError, match="scalar models"):
        error_parts(models.linear(inputs=3))
