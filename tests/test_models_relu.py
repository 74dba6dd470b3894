"""(Leaky) ReLU units on one sample: exact up to the first change of sign, which is found too."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import sympy as sp
from cases import TOLERANCES

import catapult_theory as ct
from catapult_theory.errors import InputError, NotClosed
from catapult_theory.networks import forward_zoo, gaussian_start, train_network

STEPS = 60
FULL = pytest.mark.full


def raw_training(slope, label, eta, seed, width, steps=STEPS):
    """Brute force: parameters and loss of a ReLU network, and where a sign first changed."""
    network = forward_zoo.relu_one_sample(slope, label)
    start = gaussian_start(seed).raw(network.shapes, width)
    result = train_network(network, eta=eta, steps=steps, start=start, record="parameters")
    changed = (np.sign(result["u"]) != np.sign(result["u"][0])).any(axis=1)
    flip = int(np.flatnonzero(changed)[0]) if changed.any() else -1
    return start, result, flip


def theory(derived, start, eta, width, steps, backend="array"):
    begin = ct.unit_start(derived, start["u"], start["v"])
    return ct.trajectory(derived, begin, steps, backend=backend, eta=eta, n=width)


@functools.cache
def watched(slope):
    return ct.watch_signs(ct.models.relu_one_sample(slope, label=0.7))


@pytest.mark.parametrize("slope", [0, sp.Rational(1, 5), pytest.param(-1, marks=FULL)])
def test_the_step_of_the_first_flip_is_that_of_brute_force(slope):
    derived = watched(slope)
    found, expected = [], []
    for seed in range(6):
        for eta in (0.02, 0.4, 1.2, 2.2):
            start, _, flip = raw_training(float(slope), 0.7, eta, seed, 32)
            found.append(int(ct.first_flip(theory(derived, start, eta, 32, STEPS))))
            expected.append(flip)
    assert found == expected
    assert -1 in expected or slope == -1
    assert len({step for step in expected if step > 0}) >= 3


@pytest.mark.parametrize("slope", [pytest.param(0, marks=FULL), sp.Rational(1, 5)])
@pytest.mark.parametrize("eta", [0.05, 1.0])
def test_exact_against_raw_training_up_to_the_first_flip(slope, eta):
    width = 256
    derived = watched(slope)
    start, raw, flip = raw_training(float(slope), 0.7, eta, 3, width, 200)
    last = 200 if flip < 0 else flip - 1
    ds = theory(derived, start, eta, width, 200)
    positive = start["u"] > 0
    hidden = np.where(positive, raw["u"], float(slope) * raw["u"])
    outputs = (raw["v"] * hidden).sum(axis=1) / np.sqrt(width)
    kernels = (np.where(positive, 1, float(slope)) ** 2 * (raw["u"] ** 2 + raw["v"] ** 2)).sum(
        axis=1
    ) / width
    for name, values in (("f", outputs), ("lam", kernels), ("loss", raw.loss)):
        got = ds[name].values[: last + 1]
        scale = np.abs(values[: last + 1]).max()
        assert np.abs(got - values[: last + 1]).max() <= TOLERANCES.orbit * scale
    low = start["v"][positive] / start["u"][positive]
    unit = np.flatnonzero(positive)[np.argmin(low)]
    row = raw["u"][: last + 1, unit] / start["u"][unit]
    assert np.abs(ds.low_u1.values[: last + 1] - row).max() <= TOLERANCES.orbit * np.abs(row).max()
    wrong = theory(derived, start, 1.001 * eta, width, 200)
    assert np.abs(wrong.f.values[: last + 1] - outputs[: last + 1]).max() > 1e-6


@pytest.mark.parametrize(
    "backend", ["llvm", *(pytest.param(b, marks=FULL) for b in ("c", "numba"))]
)
def test_the_flip_is_the_same_on_every_backend_and_in_runs(backend):
    derived = watched(sp.Rational(1, 5))
    start, _, flip = raw_training(0.2, 0.7, 1.2, 1, 32)
    assert flip > 0
    begin = ct.unit_start(derived, start["u"], start["v"])
    ds = ct.run(derived, begin, STEPS, backend=backend, eta=[1.2, 0.02], n=32)
    assert ct.first_flip(ds)[0] == flip


def test_a_watched_map_survives_json():
    model = ct.models.relu_one_sample(sp.Rational(1, 5), label=0.7)
    derived = ct.watch_signs(model, optimizer="weight_decay")
    assert ct.UpdateMap.from_json(derived.to_json()) == derived
    assert "first entries are positive" in derived.derivation()


@FULL
def test_relu_units_are_exact_in_their_frames():
    model = ct.models.relu_one_sample(sp.Rational(1, 5), label=0.7)
    assert ct.exactness(model, n=64, eta_lam0=1.5).passed


def test_what_cannot_be_watched_says_why():
    u, v, w = ct.vectors("u v w")
    model = ct.Model(output=(u @ v + u @ w) / ct.sqrt(ct.n), vectors=(u, v, w))
    with pytest.raises(NotClosed, match="two rows"):
        ct.watch_signs(model)
    derived = ct.watch_signs(ct.models.relu_one_sample())
    with pytest.raises(InputError, match="unit_start"):
        ct.run(derived, ct.gaussian_start(), 1, eta=0.1, n=4)
    with pytest.raises(InputError, match="gradient descent"):
        ct.watch_signs(ct.models.relu_one_sample(), optimizer="heavy_ball")
    with pytest.raises(InputError, match="no unit"):
        ct.unit_start(derived, [-1.0, -2.0], [1.0, 1.0])
