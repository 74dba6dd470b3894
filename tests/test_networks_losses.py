"""Losses by hand against automatic differentiation and finite differences."""

from __future__ import annotations

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import elementwise_grad, grad

from catapult_theory.errors import InputError
from catapult_theory.networks import losses

SAMPLES, OUTPUTS = 6, 4
EPS = np.finfo(float).eps


def squared(F, Y):
    return anp.sum((F - Y) ** 2) / 2


def logistic(F, Y):
    return anp.sum(anp.log(1 + anp.exp(-Y * F)))


def softmax_cross_entropy(F, Y):
    return anp.sum(anp.log(anp.sum(anp.exp(F), axis=1)) - anp.sum(Y * F, axis=1))


PLAIN = {"squared": squared, "logistic": logistic, "softmax_cross_entropy": softmax_cross_entropy}
CASES = pytest.mark.parametrize("name", list(PLAIN))


def pair(name: str, seed: int = 0):
    source = np.random.default_rng(seed)
    F = 2 * source.standard_normal((SAMPLES, OUTPUTS))
    if name == "softmax_cross_entropy":
        return F, np.eye(OUTPUTS)[source.integers(OUTPUTS, size=SAMPLES)]
    return F, np.where(source.random((SAMPLES, OUTPUTS)) < 0.5, -1.0, 1.0)


@CASES
def test_value_is_the_mean_over_samples_of_the_sum_over_outputs(name):
    F, Y = pair(name)
    # SAMPLES * OUTPUTS terms of order one to ten.
    tolerance = 10 * SAMPLES * OUTPUTS * EPS
    value = losses.get(name).value(F, Y)
    assert abs(value - PLAIN[name](F, Y) / SAMPLES) < tolerance
    assert abs(value - PLAIN[name](F, Y) / (SAMPLES * OUTPUTS)) > 1e-3


@CASES
def test_gradient_is_that_of_automatic_differentiation(name):
    F, Y = pair(name)
    expected = grad(PLAIN[name])(F, Y)
    # A few operations on numbers of order one for each entry.
    np.testing.assert_allclose(losses.get(name).gradient(F, Y), expected, atol=32 * EPS)
    assert np.abs(losses.get(name).gradient(F, -Y) - expected).max() > 0.1


@CASES
def test_gradient_is_that_of_central_differences(name):
    F, Y = pair(name)
    loss, h = losses.get(name), 1e-5
    found = np.empty_like(F)
    for place in np.ndindex(*F.shape):
        step = np.zeros_like(F)
        step[place] = h
        found[place] = SAMPLES * (loss.value(F + step, Y) - loss.value(F - step, Y)) / (2 * h)
    # Truncation h^2 |l'''| / 6 < 1e-10, round-off 6 * 10 * eps / h < 2e-9.
    np.testing.assert_allclose(loss.gradient(F, Y), found, atol=2e-9)
    assert np.abs(loss.gradient(F, Y) * (1 + 1e-6) - found).max() > 1e-7


@CASES
def test_curvature_is_the_derivative_of_the_gradient(name):
    F, Y = pair(name)
    R = np.random.default_rng(1).standard_normal(F.shape)
    expected = grad(lambda f: anp.sum(grad(PLAIN[name])(f, Y) * R))(F)
    np.testing.assert_allclose(losses.get(name).curvature(F, Y, R), expected, atol=64 * EPS)
    assert np.abs(losses.get(name).curvature(F, Y, 1.01 * R) - expected).max() > 1e-4


@CASES
def test_lanes_are_independent(name):
    pairs = [pair(name, seed) for seed in range(3)]
    F, Y = np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs])
    loss = losses.get(name)
    for i, (f, y) in enumerate(pairs):
        assert loss.value(F, Y)[i] == loss.value(f, y)
        assert np.array_equal(loss.gradient(F, Y)[i], loss.gradient(f, y))


@pytest.mark.parametrize("size", [800.0, 1e6, 1e300])
def test_large_outputs_neither_overflow_nor_lose_the_loss(size):
    with np.errstate(all="raise", under="ignore"):
        wrong = losses.logistic.value(np.array([[-size]]), np.array([[1.0]]))
        right = losses.logistic.value(np.array([[size]]), np.array([[1.0]]))
        row = losses.softmax_cross_entropy.value(np.array([[size, 0.0]]), np.array([[0.0, 1.0]]))
    assert wrong == size
    assert right == 0.0
    assert row == size


def test_a_users_loss_is_differentiated():
    loss = losses.get(lambda f, y: anp.cosh(f - y) - 1)
    F, Y = pair("squared")
    np.testing.assert_allclose(loss.gradient(F, Y), np.sinh(F - Y), rtol=16 * EPS)
    np.testing.assert_allclose(loss.curvature(F, Y, F), np.cosh(F - Y) * F, rtol=16 * EPS)
    np.testing.assert_allclose(loss.value(F, Y), (np.cosh(F - Y) - 1).sum() / SAMPLES, rtol=1e-13)
    assert np.abs(loss.gradient(F, Y) - (F - Y)).max() > 0.1


def test_a_users_squared_loss_is_the_hand_written_one():
    def half_square(f, y):
        return (f - y) ** 2 / 2

    F, Y = pair("squared")
    loss = losses.get(half_square)
    assert loss.name == "half_square"
    np.testing.assert_allclose(loss.gradient(F, Y), losses.squared.gradient(F, Y), rtol=4 * EPS)
    assert np.array_equal(elementwise_grad(half_square)(F, Y), loss.gradient(F, Y))


def test_unknown_losses_are_refused():
    with pytest.raises(InputError, match="did you mean 'squared'"):
        losses.get("sqared")
    with pytest.raises(InputError, match="callable"):
        losses.get(3)
    with pytest.raises(InputError, match="each entry by itself"):
        losses.get(lambda f, y: anp.sum((f - y) ** 2)).value(*pair("squared"))
