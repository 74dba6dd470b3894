"""Matrix factorisation and sensing, linear autoencoders: closed, and exact against training."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from cases import TOLERANCES

import catapult_theory as ct
from catapult_theory.errors import InputError
from catapult_theory.networks import forward_zoo, gaussian_start
from catapult_theory.symbolic.factorisation_models import factorisation_data
from catapult_theory.validation.forward_pass import forward_pass, network_of

RNG = np.random.default_rng(11)
INPUTS = RNG.normal(size=(7, 3)) / np.sqrt(3)
CASES = [
    (ct.models.matrix_factorisation(2, 3), factorisation_data(RNG.normal(size=(2, 3)))),
    (ct.models.matrix_sensing(2, 3), (RNG.normal(size=(5, 6)) / 2, RNG.normal(size=5))),
    (ct.models.linear_autoencoder(3), (INPUTS, INPUTS)),
    (ct.models.tied_autoencoder(3), (INPUTS, INPUTS)),
]
RULES = [("gd", {}), ("heavy_ball", {"beta": 0.5}), ("weight_decay", {"omega": 0.01})]
each = pytest.mark.parametrize(
    ("model", "data"), CASES, ids=lambda v: v.name if isinstance(v, ct.Model) else ""
)


@each
@pytest.mark.parametrize(
    "rule", [RULES[0], *(pytest.param(r, marks=pytest.mark.full) for r in RULES[1:])]
)
def test_exact_against_raw_training_at_every_width(model, data, rule):
    optimizer, numbers = rule
    # the tied product starts at sqrt(n) times the identity: only small rates keep it bounded
    rate = 0.2 if model.name == "tied_autoencoder" else 1.5
    wide = ct.exactness(model, optimizer=optimizer, n=64, eta_lam0=rate, data=data, **numbers)
    assert wide.over_orbit, str(wide)
    assert wide.worst <= TOLERANCES.orbit, str(wide)
    assert wide.control_fails, str(wide)
    tiny = ct.exactness(model, optimizer=optimizer, n=3, eta_lam0=3.5, data=data, **numbers)
    assert tiny.worst <= TOLERANCES.step, str(tiny)
    assert tiny.control_fails, str(tiny)


@pytest.mark.parametrize(
    ("model", "data"),
    [CASES[1], *(pytest.param(*c, marks=pytest.mark.full) for c in (CASES[0], *CASES[2:]))],
    ids=["matrix_sensing", "matrix_factorisation", "linear_autoencoder", "tied_autoencoder"],
)
def test_maps_survive_json_and_pickle_and_run_alike_on_two_backends(model, data):
    derived = ct.derive(model)
    assert ct.UpdateMap.from_json(derived.to_json()) == derived
    assert pickle.loads(pickle.dumps(derived)) == derived
    assert "aligned" in derived.latex()
    law = ct.gaussian_start(seed=1)
    first, second = (
        ct.trajectory(derived, law, 3, backend=b, data=data, eta=0.01, n=32) for b in ("array", "c")
    )
    for name in derived.state._fields:
        assert np.allclose(first[name], second[name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("which", [1, 3])
def test_forward_passes_by_hand_are_those_of_the_models(which):
    model, data = CASES[which]
    network = network_of(model, data)
    raw = gaussian_start(2).raw(network.shapes, 16)
    written = forward_pass(model)(raw, data[0])
    assert np.allclose(network.forward(raw, data[0]), written, rtol=1e-13, atol=1e-13)


def test_sensing_with_all_entries_measured_is_factorisation():
    target = RNG.normal(size=(2, 3))
    derived = ct.derive(ct.models.matrix_sensing(2, 3))
    data = np.eye(6), target.ravel()
    ds = ct.run(derived, ct.gaussian_start(seed=0), 600, backend="array", eta=2.0, n=200, data=data)
    product = np.concatenate([ds.W1.values, ds.W2.values])
    assert np.abs(product - target).max() < 1e-6


def test_factorisation_learns_the_matrix_of_its_data():
    target = RNG.normal(size=(2, 3))
    ds = ct.run(
        ct.derive(ct.models.matrix_factorisation(2, 3)), ct.gaussian_start(seed=0), 400,
        backend="array", data=factorisation_data(target), eta=1.5, n=200,
    )  # fmt: skip
    assert np.abs(ds.W.values - target).max() < 1e-6


def test_the_hand_written_sensing_network_measures_by_inner_products():
    raw = gaussian_start(0).raw(forward_zoo.matrix_sensing(2, 3).shapes, 9)
    A = RNG.normal(size=(4, 2, 3))
    W = np.concatenate([raw["V1"], raw["V2"]]) @ raw["U"] / 3
    got = forward_zoo.matrix_sensing(2, 3).forward(raw, A.reshape(4, 6))[:, 0]
    assert np.allclose(got, [np.trace(a.T @ W) for a in A], rtol=1e-13)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ct.models.matrix_factorisation(0, 2),
        lambda: ct.models.matrix_sensing(2, 1.5),
        lambda: ct.models.linear_autoencoder(True),
    ],
)
def test_sizes_are_positive_integers(make):
    with pytest.raises(InputError, match="positive integer"):
        make()


@pytest.mark.parametrize(
    ("text", "name", "symbols"),
    [
        ("matrix_sensing:rows=2,cols=3", "matrix_sensing", 3),
        ("random_quadratic:size=3,seed=1,label=0.5", "quadratic", 3),
        ("quadratic_activation:positive=3/4", "quadratic_activation", 2),
        ("deep_linear:depth=4", "deep_linear", 4),
        ("quadratic_activation_one_sample:label", "quadratic_activation_one_sample", 2),
    ],
)
def test_the_command_line_takes_models_with_their_arguments(text, name, symbols):
    from catapult_theory.cli.app import model_of

    model = model_of(text)
    assert model.name == name
    assert len(model.names) == symbols


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("matrix_sensing:row=2", "did you mean 'rows'"),
        ("matrix_sensing:rows=two", "rows= is a number"),
        ("linear:0.5", "targets with the data"),
        ("matrix_sensng", "did you mean 'matrix_sensing'"),
    ],
)
def test_the_command_line_says_what_is_wrong_with_a_model(text, says):
    from catapult_theory.cli.app import model_of

    with pytest.raises(InputError, match=says):
        model_of(text)


def test_no_upper_edge_is_claimed_where_none_was_measured():
    for model in (ct.models.quadratic_activation(), ct.models.matrix_sensing()):
        assert ct.phase_bounds(ct.derive(model)).eta_max.status == "open"
    linear = ct.phase_bounds(ct.derive(ct.models.linear(outputs=2))).eta_max
    assert linear.status.startswith("measured")
