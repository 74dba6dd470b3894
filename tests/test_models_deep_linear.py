"""Deep linear networks: open, unless singular vectors are aligned and the data whitened."""

from __future__ import annotations

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from cases import TOLERANCES

import catapult_theory as ct
from catapult_theory.errors import InputError, NotClosed


def orthogonal(rng, size):
    return np.linalg.qr(rng.normal(size=(size, size)))[0]


def trained(weights, X, Y, eta, steps):
    """Brute force: all layers as full matrices, gradients by autograd."""

    def loss(layers):
        out = X
        for W in layers:
            out = out @ W.T
        return 0.5 * anp.sum((out - Y) ** 2) / len(X)

    slope = autograd.grad(loss)
    orbit = [list(weights)]
    for _ in range(steps):
        orbit.append([W - eta * G for W, G in zip(orbit[-1], slope(orbit[-1]), strict=True)])
    return orbit


@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("eta", [0.05, 0.3])
def test_aligned_networks_train_mode_by_mode(depth, eta):
    rng = np.random.default_rng(depth)
    size, samples, steps = 3, 8, 200
    turns = [orthogonal(rng, size) for _ in range(depth + 1)]
    modes = rng.uniform(0.6, 1.2, size=(depth, size))
    layers = [turns[i + 1] @ np.diag(modes[i]) @ turns[i].T for i in range(depth)]
    X = np.linalg.qr(rng.normal(size=(samples, size)))[0] * np.sqrt(samples)
    singular = np.array([1.5, 1.0, 0.4])
    Y = X @ (turns[-1] @ np.diag(singular) @ turns[0].T).T
    orbit = trained(layers, X, Y, eta, steps)
    derived = ct.models.aligned_mode(depth)
    start = {f"w{i + 1}": modes[i] for i in range(depth)}
    ds = ct.trajectory(derived, start, steps, backend="array", eta=eta, y=singular)
    off = ct.trajectory(derived, start, steps, backend="array", eta=1.001 * eta, y=singular)
    for i in range(depth):
        full = np.array([turns[i + 1].T @ layers[i] @ turns[i] for layers in orbit])
        diagonal = np.einsum("tjj->tj", full)
        scale = np.abs(full).max()
        assert np.abs(full - diagonal[..., None] * np.eye(size)).max() <= TOLERANCES.orbit * scale
        assert np.abs(ds[f"w{i + 1}"].values - diagonal).max() <= TOLERANCES.orbit * scale
        assert np.abs(off[f"w{i + 1}"].values - diagonal).max() > 1e-6


def test_without_alignment_modes_mix():
    rng = np.random.default_rng(0)
    X = np.linalg.qr(rng.normal(size=(8, 3)))[0] * np.sqrt(8)
    layers = [rng.normal(size=(3, 3)) / 2 for _ in range(3)]
    Y = X @ np.diag([1.5, 1.0, 0.4])
    last = trained(layers, X, Y, 0.1, 50)[-1]
    left, _, right = np.linalg.svd(layers[0])
    turned = left.T @ last[0] @ right.T
    assert np.abs(turned - np.diag(np.diag(turned))).max() > 1e-2


@pytest.mark.parametrize(("depth", "term"), [(3, "H1.T*H1"), (4, "H1.T*H1")])
def test_the_first_open_quantity_is_named(depth, term):
    with pytest.raises(NotClosed) as caught:
        ct.derive(ct.models.deep_linear(depth))
    assert caught.value.term == term


def test_depth_two_is_the_linear_network_and_closes():
    data = np.random.default_rng(0).normal(size=(5, 2)), np.ones(5)
    result = ct.exactness(ct.models.deep_linear(2), n=64, eta_lam0=1.0, data=data)
    assert result.passed, str(result)


def test_an_open_network_is_trained_all_the_same():
    data = np.random.default_rng(0).normal(size=(5, 2)), np.ones(5)
    ds = ct.train(ct.models.deep_linear(3), data=data, n=16, eta=0.05, steps=20)
    assert ds.loss[-1] < ds.loss[0]


def test_modes_survive_json_and_refuse_what_mixes_them():
    derived = ct.models.aligned_mode(3)
    assert ct.UpdateMap.from_json(derived.to_json()) == derived
    ds = ct.run(derived, {"w1": 1.0, "w2": 0.8, "w3": 1.1}, 500, eta=0.1, y=1.5)
    assert abs(float(ds.w1 * ds.w2 * ds.w3) - 1.5) < 1e-9
    with pytest.raises(NotClosed, match="modes mix"):
        ct.models.aligned_mode(3, loss="logistic")
    with pytest.raises(InputError, match="at least 2"):
        ct.models.deep_linear(1)
