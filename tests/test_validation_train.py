"""Brute-force training under the theory's names agrees with naive loops."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from references import train_linear, train_uv

from catapult_theory.errors import InputError, ModelError
from catapult_theory.networks import GenericNetwork, UVNetwork, gaussian_start
from catapult_theory.symbolic import models, optimizers
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.symbols import (
    data,
    f,
    matrix,
    n,
    pointwise,
    relu,
    symbol,
    vectors,
    y,
)
from catapult_theory.validation import train
from catapult_theory.validation.forward_pass import network_of

# Rounding of sums of n terms over some tens of steps, as in the table of tolerances.
CLOSE = 1e-12

u, v, w = vectors("u v w")


def distance(ours, reference):
    ours, reference = np.asarray(ours), np.asarray(reference)
    return np.abs(ours - reference).max() / np.abs(reference).max()


UV_CASES = {
    "lazy": ({}, {"eta": 0.4}),
    "catapult": ({}, {"eta": 1.3}),
    "label": ({"y": 0.3}, {"eta": 0.4, "label": 0.3}),
    "logistic": ({"y": 1.0, "loss": "logistic"}, {"eta": 3.0, "label": 1.0, "loss": "logistic"}),
    "weight decay": ({"optimizer": "weight_decay", "omega": 0.02}, {"eta": 0.8, "omega": 0.02}),
    "heavy ball": ({"optimizer": "heavy_ball", "beta": 0.6}, {"eta": 0.8, "beta": 0.6}),
    "heavy ball by number": ({"optimizer": optimizers.heavy_ball(0.5)}, {"eta": 0.8, "beta": 0.5}),
}


@pytest.mark.parametrize("case", UV_CASES)
def test_uv_training_is_that_of_a_plain_loop(case):
    ours, theirs = UV_CASES[case]
    model = models.uv(label="y" in ours)
    start = gaussian_start(seed=3).raw({"u": ("n",), "v": ("n",)}, 70)
    ds = train(model, eta=theirs["eta"], steps=40, start=start, **ours)
    reference = train_uv(start["u"], start["v"], steps=40, **theirs)
    for name in ("f", "lam", "loss"):
        assert distance(ds[name], reference[name]) < CLOSE
    shifted = train_uv(start["u"], start["v"], steps=40, **{**theirs, "eta": theirs["eta"] * 1.001})
    assert distance(ds.f, shifted["f"]) > 1e-6


@pytest.mark.parametrize(
    ("loss", "rule", "numbers"),
    [
        ("squared", "gd", {}),
        ("squared", "weight_decay", {"omega": 0.05}),
        ("softmax_cross_entropy", "heavy_ball", {"beta": 0.5}),
    ],
)
def test_linear_training_is_that_of_a_plain_loop(loss, rule, numbers):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(6, 4)), np.eye(3)[rng.integers(0, 3, size=6)]
    start = gaussian_start(seed=1).raw({"V": (3, "n"), "U": ("n", 4)}, 12)
    ds = train("linear", (X, Y), eta=0.2, steps=15, start=start, loss=loss, optimizer=rule,
               **numbers)  # fmt: skip
    reference = train_linear(start["V"], start["U"], X, Y, 0.2, 15, loss, **numbers)
    for name in ("W", "G", "S", "loss"):
        assert distance(ds[name], reference[name]) < CLOSE
    other = train_linear(start["V"], start["U"], X, Y, 0.2002, 15, loss, **numbers)
    assert distance(ds.W, other["W"]) > 1e-6


def test_the_networks_of_the_zoo_are_hand_written_and_others_are_not():
    renamed = Model(output=w @ v / sp.sqrt(n), vectors=(w, v))
    assert isinstance(network_of(models.uv()), UVNetwork)
    assert isinstance(network_of(renamed), GenericNetwork)


def test_the_raw_forward_pass_trains_as_the_hand_written_network():
    start = gaussian_start(seed=5).raw({"u": ("n",), "v": ("n",)}, 20)
    by_hand = train(models.uv(), eta=1.2, steps=30, start=start)
    renamed = Model(output=w @ v / sp.sqrt(n), vectors=(w, v))
    by_autograd = train(renamed, eta=1.2, steps=30, start={"w": start["u"], "v": start["v"]})
    assert distance(by_autograd.f, by_hand.f) < CLOSE
    assert distance(by_autograd.lam, by_hand.lam) < CLOSE


def test_a_matrix_model_of_the_users_trains_as_the_hand_written_network():
    A, B, X = matrix("A", rows=2), matrix("B", cols=3), data("X")
    mine = Model(output=X @ B.T @ A.T / sp.sqrt(n), matrices=(A, B), data=X)
    rng = np.random.default_rng(2)
    sample = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    start = gaussian_start(seed=0).raw({"V": (2, "n"), "U": ("n", 3)}, 9)
    by_hand = train("linear", sample, eta=0.1, steps=10, start=start, observables="lam")
    renamed = {"A": start["V"], "B": start["U"]}
    by_autograd = train(mine, sample, eta=0.1, steps=10, start=renamed, observables="lam")
    for name in ("f", "loss", "lam"):
        assert distance(by_autograd[name], by_hand[name]) < CLOSE


def test_a_loss_of_the_users_is_differentiated():
    ds = train(models.uv(label=True), eta=0.5, steps=20, n=30, loss=sp.cosh(f - y), y=0.2)
    assert float(ds.loss[0]) == pytest.approx(np.cosh(float(ds.f[0]) - 0.2))
    assert float(ds.loss[-1]) < float(ds.loss[0])


@pytest.mark.parametrize(
    ("model", "optimizer"),
    [
        (Model(output=v @ relu(u) / sp.sqrt(n), vectors=(u, v)), "gd"),
        (Model(output=v @ pointwise("tanh", u + w) / sp.sqrt(n), vectors=(u, v, w)), "gd"),
        (models.uv(), "adam"),
    ],
    ids=["relu", "tanh of a sum", "adam"],
)
def test_what_does_not_close_is_trained_without_invariants(model, optimizer):
    ds = train(model, eta=0.1, steps=60, n=40, optimizer=optimizer)
    assert set(ds.data_vars) == {"f", "lam", "loss", "status", "status_step"}
    assert float(ds.loss[-1]) < float(ds.loss[0])
    assert ds.attrs["exactness"] == "does not close"


def test_relu_forward_pass_is_the_formula():
    network = network_of(Model(output=v @ relu(u - 2 * w) / sp.sqrt(n), vectors=(u, v, w)))
    p = {k: np.random.default_rng(1).normal(size=5) for k in "uvw"}
    expected = p["v"] @ np.maximum(p["u"] - 2 * p["w"], 0) / np.sqrt(5)
    assert float(network.forward(p, None)[0, 0]) == pytest.approx(expected, rel=1e-14)


def test_seeds_and_learning_rates_make_an_outer_product():
    ds = train("uv", n=16, eta=[0.2, 0.4, 2.5], seed=[4, 7], steps=12, every=4)
    assert ds.f.dims == ("step", "seed", "eta")
    assert ds.f.shape == (4, 2, 3)
    single = train("uv", n=16, eta=0.4, seed=7, steps=12, every=4)
    assert np.array_equal(ds.f.sel(seed=7, eta=0.4), single.f)


def test_a_diverged_training_keeps_its_length():
    ds = train("uv", n=16, eta=3.5, seed=0, steps=500)
    assert ds.sizes["step"] == 501
    assert int(ds.status) == 2


def test_velocity_invariants_start_at_zero_and_move():
    ds = train("uv", n=16, eta=0.5, optimizer="heavy_ball", beta=0.5, steps=5)
    moving = [name for name in ds.data_vars if "P_" in name or name.startswith("x")]
    assert moving
    for name in moving:
        assert float(ds[name][0]) == 0.0
        assert float(ds[name][2]) != 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "vu"}, "did you mean"),
        ({"model": 3}, "not 3"),
        ({"model": models.uv(label=True)}, "give a value for y"),
        ({"y": 1.0}, "unknown parameter"),
        ({"optimizer": "heavy_ball"}, "give a value for beta"),
        ({"optimizer": "hevy_ball"}, "did you mean 'heavy_ball'"),
        ({"optimizer": "evolution"}, "unknown optimizer"),
        ({"loss": "sqared"}, "did you mean 'squared'"),
        ({"n": None}, "give the width"),
        ({"n": 0}, "positive integer"),
        ({"eta": -1.0}, "positive"),
        ({"eta": [[1.0]]}, "one-dimensional"),
        ({"start": "gausian"}, "did you mean 'gaussian'"),
        ({"start": 3}, "start must be"),
        ({"observables": "sharpness"}, "unknown observable"),
        ({"model": "linear"}, "needs data"),
        ({"steps": -1}, "steps"),
    ],
)
def test_bad_input_is_refused_with_its_remedy(arguments, message):
    given = {"model": "uv", "n": 8, "eta": 0.1, "steps": 2, **arguments}
    with pytest.raises((InputError, ModelError), match=message):
        train(given.pop("model"), **given)


def test_a_pointwise_function_without_a_forward_pass_is_refused():
    model = Model(output=v @ pointwise("gamma", u) / sp.sqrt(n), vectors=(u, v))
    with pytest.raises(ModelError, match="gamma"):
        train(model, n=4, eta=0.1, steps=1)


def test_symbols_of_the_model_need_values():
    scaled = Model(output=symbol("alpha") * (u @ v) / sp.sqrt(n), vectors=(u, v))
    with pytest.raises(InputError, match="give a value for alpha"):
        train(scaled, n=4, eta=0.1, steps=1)
    ds = train(scaled, n=4, eta=0.1, steps=1, alpha=2.0)
    plain = train(models.uv(), n=4, eta=0.1, steps=1)
    assert float(ds.f[0]) == pytest.approx(2 * float(plain.f[0]))
