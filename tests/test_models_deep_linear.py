"""Deep linear networks: open, unless singular vectors are aligned and the data whitened."""

from __future__ import annotations

from dataclasses import replace

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from cases import TOLERANCES

import catapult_theory as ct
from catapult_theory.errors import InputError, NotClosed
from catapult_theory.symbolic import losses
from catapult_theory.symbolic.deep_linear import product_of_layers
from catapult_theory.symbolic.singular_modes import aligned_vectors, free_vectors, modes_of

# Singular values of the target.
TARGET = np.array([1.5, 1.0, 0.4])


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


def network(depth, seed, aligned=True, white=True):
    """Frames, singular values, the layers made of them, inputs and targets."""
    rng = np.random.default_rng(seed)
    size, samples = 3, 8
    turns = [orthogonal(rng, size) for _ in range(depth + 1)]
    modes = rng.uniform(0.6, 1.2, size=(depth, size))
    own = [orthogonal(rng, size) for _ in range(depth)]
    rights = turns[:depth] if aligned else own
    layers = [turns[i + 1] @ np.diag(modes[i]) @ rights[i].T for i in range(depth)]
    X = np.linalg.qr(rng.normal(size=(samples, size)))[0] * np.sqrt(samples)
    X = X if white else X @ np.diag([1.3, 1.0, 0.6])
    Y = X @ (turns[-1] @ np.diag(TARGET) @ turns[0].T).T
    return turns, modes, layers, X, Y


def largest_gap(depth, eta, steps, turns, modes, layers, X, Y):
    """How far raw training leaves the frames and the modes of the derived map, by its size."""
    orbit = trained(layers, X, Y, eta, steps)
    start = {f"w{i + 1}": modes[i] for i in range(depth)}
    run = {"backend": "array", "eta": eta, "y": TARGET}
    ds = ct.trajectory(ct.models.aligned_mode(depth), start, steps, **run)
    gap, scale = 0.0, 1.0
    for i in range(depth):
        full = np.array([turns[i + 1].T @ layers[i] @ turns[i] for layers in orbit])
        theory = ds[f"w{i + 1}"].values[..., None] * np.eye(len(TARGET))
        gap, scale = max(gap, np.abs(full - theory).max()), max(scale, np.abs(full).max())
    return gap / scale


@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("eta", [0.05, 0.3])
def test_aligned_networks_train_mode_by_mode(depth, eta):
    turns, modes, layers, X, Y = network(depth, seed=depth)
    assert largest_gap(depth, eta, 200, turns, modes, layers, X, Y) <= TOLERANCES.orbit
    wrong = 1.001 * modes  # the control
    assert largest_gap(depth, eta, 200, turns, wrong, layers, X, Y) > 1e-6


@pytest.mark.parametrize(("aligned", "white"), [(False, True), (True, False)])
def test_other_starts_and_other_data_leave_the_modes(aligned, white):
    parts = network(3, seed=3, aligned=aligned, white=white)
    assert largest_gap(3, 0.1, 50, *parts) > 1e-2


ALIGNED = aligned_vectors(3)
FIRST, SECOND, THIRD = ALIGNED.layers


@pytest.mark.parametrize(
    ("vectors", "term"),
    [
        (free_vectors(3), "L1.T*R2"),
        (replace(ALIGNED, layers=(FIRST, ("R3", "Q2"), THIRD)), "R2.T*Q2"),
        (replace(ALIGNED, layers=(FIRST, ("Q3", "R2"), THIRD)), "Q3.T*R3"),
        (replace(ALIGNED, target=("LA", "R1")), "R4.T*LA"),
        (replace(ALIGNED, target=("R4", "RA")), "R1.T*RA"),
        (replace(ALIGNED, is_white=False), "X.T*X"),
    ],
)
def test_what_is_not_aligned_or_not_white_is_named(vectors, term):
    with pytest.raises(NotClosed) as caught:
        ct.models.aligned_mode(3, vectors=vectors)
    assert caught.value.term == term


def test_modes_are_found_for_layers_in_any_order_and_of_any_scale():
    """The derivation reads the product, not the list of its layers."""
    plain = product_of_layers(3)
    turned = replace(plain, output=3 * plain.output, matrices=plain.matrices[::-1])
    found = modes_of(turned, losses.squared, ALIGNED)
    w1, w2, w3 = found.weights
    assert found.output == 3 * w1 * w2 * w3
    assert found.slopes == {w1: 3 * w2 * w3, w2: 3 * w1 * w3, w3: 3 * w1 * w2}


def test_a_sum_of_products_or_a_wrong_number_of_layers_is_refused():
    plain = product_of_layers(2)
    with pytest.raises(InputError, match="not one product"):
        modes_of(replace(plain, output=plain.output + plain.output * plain.output.T * plain.output),
                 losses.squared, aligned_vectors(2))  # fmt: skip
    with pytest.raises(InputError, match="2 layers, the singular vectors are those of 3"):
        modes_of(plain, losses.squared, ALIGNED)


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
