"""Gradients and kernels of networks: by hand, by autograd and by finite differences."""

from __future__ import annotations

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import jacobian
from scipy.special import expit

from catapult_theory.errors import InputError
from catapult_theory.networks import (
    Dataset,
    GenericNetwork,
    LinearNetwork,
    UVNetwork,
    digits,
    gaussian_start,
    ggn_top,
    kernel,
    losses,
    top_eigenvalue,
    train_network,
)

WIDTH = 7
SOURCE = np.random.default_rng(5)
X = SOURCE.standard_normal((5, 3))

# Sums of at most 35 products of order one, in different orders of summation.
ROUND_OFF = 1e-13


def uv_forward(p, X):
    return anp.dot(p["u"], p["v"]) / anp.sqrt(len(p["u"]))


def linear_forward(p, X):
    return anp.dot(anp.dot(X, p["U"].T), p["V"].T) / anp.sqrt(p["U"].shape[0])


def mean_field_forward(p, X):
    return anp.dot(anp.dot(X, p["U"].T), p["V"].T) / p["U"].shape[0]


def tanh_forward(p, X):
    hidden = anp.tanh(anp.dot(X, p["U"].T) + p["b"])
    return anp.dot(anp.maximum(anp.dot(hidden, p["A"]), 0.0), p["v"]) / anp.sqrt(len(p["v"]))


TANH = {"U": ("n", 3), "b": ("n",), "A": ("n", "n"), "v": ("n",)}

# name: (network, its forward pass for autograd, data)
NETWORKS = {
    "uv": (UVNetwork(label=0.4), uv_forward, None),
    "linear": (LinearNetwork(3, 1), linear_forward, X),
    "linear, two outputs": (LinearNetwork(3, 2), linear_forward, X),
    "linear, mean field": (LinearNetwork(3, 2, "mean_field"), mean_field_forward, X),
    "generic uv": (GenericNetwork(uv_forward, {"u": ("n",), "v": ("n",)}, 0.4), uv_forward, None),
    "generic tanh and relu": (GenericNetwork(tanh_forward, TANH), tanh_forward, X),
}
CASES = pytest.mark.parametrize("name", list(NETWORKS))


def dense_jacobian(forward, parameters, X):
    """Return dF/dparameters as a matrix, one row for each output."""
    parts = []
    for key, array in parameters.items():

        def of_one(a, key=key):
            return anp.ravel(anp.atleast_1d(forward({**parameters, key: a}, X)))

        parts.append(jacobian(of_one)(array).reshape(-1, array.size))
    return np.concatenate(parts, axis=1)


def flat(gradient, parameters):
    return np.concatenate([gradient[k].ravel() for k in parameters])


@CASES
def test_forward_is_the_network(name):
    network, forward, X = NETWORKS[name]
    p = gaussian_start(1).raw(network.shapes, WIDTH)
    rows = 1 if X is None else len(X)
    expected = np.reshape(forward(p, X), (rows, -1))
    np.testing.assert_allclose(network.forward(p, X), expected, atol=ROUND_OFF)


@CASES
def test_backpropagation_is_the_transposed_jacobian(name):
    network, forward, X = NETWORKS[name]
    p = gaussian_start(1).raw(network.shapes, WIDTH)
    R = np.random.default_rng(2).standard_normal(network.forward(p, X).shape)
    outputs, gradient = network.backpropagate(p, X, lambda F: R)
    J = dense_jacobian(forward, p, X)
    assert np.array_equal(outputs, network.forward(p, X))
    assert {k: g.shape for k, g in gradient.items()} == {k: a.shape for k, a in p.items()}
    found, expected = flat(gradient, p), J.T @ R.ravel()
    np.testing.assert_allclose(found, expected, atol=ROUND_OFF * np.abs(expected).max())
    wrong = {**gradient, next(iter(p)): 2 * gradient[next(iter(p))]}
    assert np.abs(flat(wrong, p) - expected).max() > 1e-3


@CASES
def test_tangents_are_pushed_through_the_jacobian(name):
    network, forward, X = NETWORKS[name]
    p = gaussian_start(1).raw(network.shapes, WIDTH)
    t = gaussian_start(2).raw(network.shapes, WIDTH)
    expected = dense_jacobian(forward, p, X) @ flat(t, p)
    found = network.jvp(p, X, t).ravel()
    np.testing.assert_allclose(found, expected, atol=ROUND_OFF * np.abs(expected).max())
    assert np.abs(network.jvp(t, X, p).ravel() - expected).max() > 1e-3 or name in (
        "uv",
        "linear",
        "linear, two outputs",
        "linear, mean field",
        "generic uv",
    )


@CASES
@pytest.mark.parametrize("loss", [losses.squared, losses.logistic], ids=lambda loss: loss.name)
def test_the_gradient_of_the_loss_is_that_of_central_differences(name, loss):
    network, _, X = NETWORKS[name]
    p = gaussian_start(1).raw(network.shapes, WIDTH)
    Y = np.where(np.random.default_rng(3).random(network.forward(p, X).shape) < 0.5, -1.0, 1.0)
    _, gradient = network.backpropagate(p, X, lambda F: loss.gradient(F, Y) / len(Y))
    direction = gaussian_start(4).raw(network.shapes, WIDTH)
    h = 1e-5

    def along(step):
        moved = {k: a + step * direction[k] for k, a in p.items()}
        return loss.value(network.forward(moved, X), Y)

    slope = (along(h) - along(-h)) / (2 * h)
    found = flat(gradient, p) @ flat(direction, p)
    # Third derivatives along the direction reach some 1e3: h^2 1e3 / 6 < 2e-8; round-off
    # 100 eps / h < 2e-9.
    assert abs(found - slope) < 1e-7 * max(1.0, abs(slope))
    assert abs(1.001 * found - slope) > 1e-5 * max(1.0, abs(slope))


@CASES
def test_the_kernel_is_jacobian_times_its_transpose(name):
    network, forward, X = NETWORKS[name]
    p = gaussian_start(1).raw(network.shapes, WIDTH)
    J = dense_jacobian(forward, p, X)
    theta = J @ J.T
    scale = np.abs(theta).max()
    np.testing.assert_allclose(kernel(network, p, X), theta, atol=ROUND_OFF * scale)
    m = 1 if X is None else len(X)
    top = np.linalg.eigvalsh(theta)[-1] / m
    assert abs(top_eigenvalue(network, p, X) - top) < ROUND_OFF * scale
    assert abs(top_eigenvalue(network, p, X) - 1.001 * top) > 1e-5 * top


GGN_CASES = [
    ("uv", "logistic"),
    ("linear", "squared"),
    ("linear", "logistic"),
    ("linear, two outputs", "softmax_cross_entropy"),
    ("generic tanh and relu", "logistic"),
]


@pytest.mark.parametrize(("name", "loss"), GGN_CASES)
@pytest.mark.parametrize("dense_up_to", [64, 0], ids=["dense", "matrix-free"])
def test_gauss_newton_is_formed_from_the_jacobian(name, loss, dense_up_to, monkeypatch):
    monkeypatch.setattr("catapult_theory.networks.ntk.DENSE_UP_TO", dense_up_to)
    network, forward, X = NETWORKS[name]
    p = gaussian_start(1).raw(network.shapes, WIDTH)
    criterion = losses.get(loss)
    F = network.forward(p, X)
    Y = np.eye(2)[[0, 1, 1, 0, 1]] if F.shape[1] == 2 else np.ones_like(F)
    J = dense_jacobian(forward, p, X)
    basis = np.eye(F.size).reshape(F.size, *F.shape)
    H = np.stack([criterion.curvature(F, Y, e).ravel() for e in basis], axis=1)
    ggn = J.T @ H @ J / len(F)
    top = np.linalg.eigvalsh((ggn + ggn.T) / 2)[-1]
    found = ggn_top(network, p, X, Y, criterion)
    # The eigenvalues of the product Theta H carry its condition, here below a hundred.
    assert abs(found - top) < 100 * ROUND_OFF * top
    if loss == "squared":
        assert abs(found - top_eigenvalue(network, p, X)) < 100 * ROUND_OFF * top
    else:
        assert abs(found - top_eigenvalue(network, p, X)) > 0.1 * top


def test_matrix_free_eigenvalues_are_the_dense_ones_on_digits(monkeypatch):
    X, _ = digits(samples=60)
    network = LinearNetwork(64, 2)
    p = gaussian_start(0).raw(network.shapes, 40)
    assert 60 * 2 > 64
    lanczos = top_eigenvalue(network, p, X)
    monkeypatch.setattr("catapult_theory.networks.ntk.DENSE_UP_TO", 120)
    dense = top_eigenvalue(network, p, X)
    # Both are backward stable: errors of some eps times the largest eigenvalue and the size.
    assert abs(lanczos - dense) < 120 * np.finfo(float).eps * dense
    assert abs(top_eigenvalue(network, p, X[:59]) - dense) > 1e-4 * dense


def test_lanes_are_single_networks_side_by_side():
    for network, X in ((UVNetwork(), None), (LinearNetwork(3, 2), NETWORKS["linear"][2])):
        start = gaussian_start(seeds=range(3))
        together = start.raw(network.shapes, WIDTH)
        R = np.random.default_rng(0).standard_normal(network.forward(together, X).shape)
        outputs, gradient = network.backpropagate(together, X, lambda F, R=R: R)
        tops = top_eigenvalue(network, together, X)
        for seed in range(3):
            alone = start.raw(network.shapes, WIDTH, seed)
            one, pulled = network.backpropagate(alone, X, lambda F, R=R, s=seed: R[s])
            np.testing.assert_allclose(outputs[seed], one, atol=ROUND_OFF)
            assert tops[seed] == pytest.approx(top_eigenvalue(network, alone, X), rel=ROUND_OFF)
            for key in pulled:
                np.testing.assert_allclose(gradient[key][seed], pulled[key], atol=ROUND_OFF)


def test_generic_lanes_are_single_networks_side_by_side():
    network = NETWORKS["generic tanh and relu"][0]
    start = gaussian_start(seeds=range(2))
    together = start.raw(network.shapes, WIDTH)
    tangent = gaussian_start(seeds=[7, 8]).raw(network.shapes, WIDTH)
    pushed = network.jvp(together, X, tangent)
    _, gradient = network.backpropagate(together, X, np.ones_like)
    for i in range(2):
        alone = {k: a[i] for k, a in together.items()}
        assert np.array_equal(
            pushed[i], network.jvp(alone, X, {k: a[i] for k, a in tangent.items()})
        )
        _, pulled = network.backpropagate(alone, X, np.ones_like)
        assert all(np.array_equal(gradient[k][i], pulled[k]) for k in pulled)


def test_overflowing_kernels_are_infinite_and_disturb_no_other_lane():
    u = np.array([[1.0, 2.0], [1e200, 1.0]])
    with np.errstate(over="ignore", invalid="ignore"):
        tops = top_eigenvalue(UVNetwork(), {"u": u, "v": u}, None)
    assert tops[1] == np.inf
    # |u|^2 + |v|^2 = 10, over n = 2.
    assert tops[0] == pytest.approx(5.0, rel=1e-14)


def test_plain_operators_need_no_autograd_numpy():
    network = GenericNetwork(
        lambda p, X: X @ p["U"].T @ p["V"].T / p["U"].shape[0] ** 0.5,
        {"V": (2, "n"), "U": ("n", 3)},
    )
    p = gaussian_start(1).raw(network.shapes, WIDTH)
    by_hand = LinearNetwork(3, 2).backpropagate(p, X, lambda F: F)[1]
    by_autograd = network.backpropagate(p, X, lambda F: F)[1]
    for key in p:
        np.testing.assert_allclose(by_autograd[key], by_hand[key], atol=10 * ROUND_OFF)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda p, X: expit(p["u"] * p["v"])[:2], "cannot be differentiated"),
        (lambda p, X: np.multiply(p["u"], p["v"], out=np.zeros(4))[:2], "autograd.numpy"),
        (lambda p, X: np.outer(p["u"], p["v"])[None], "returned shape"),
        (lambda p, X: p["u"], "returned shape"),
        (lambda p, X: p["u"][:2] @ p["v"][:2], "returned shape"),
        (None, "needs a callable"),
    ],
)
def test_forward_passes_that_cannot_be_used_say_why(function, message):
    data = Dataset(np.ones((2, 1)), np.ones(2))
    with pytest.raises(InputError, match=message):
        train_network(
            GenericNetwork(function, {"u": ("n",), "v": ("n",)}), data, eta=0.1, steps=3, n=4
        )
