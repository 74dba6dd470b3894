"""Quadratic models: two numbers for each distinct eigenvalue of the meta-feature matrix."""

from __future__ import annotations

import pickle
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from cases import TOLERANCES

import catapult_theory as ct
from catapult_theory.errors import InputError, NotClosed
from catapult_theory.networks import forward_zoo, train_network
from catapult_theory.symbolic.commuting_quadratics import joint_eigenspaces
from catapult_theory.symbolic.quadratic_models import eigenspaces, random_matrix
from catapult_theory.symbolic.symbols import eta, f, lam, n
from catapult_theory.validation.controls import with_wrong_coefficient

FULL = pytest.mark.full
QUADRATIC = ct.models.quadratic


def drawn(*shape, seed=3):
    """Normal numbers that do not hang on which tests ran before."""
    return np.random.default_rng(seed).normal(size=shape)


def rotated(values, counts):
    """A dense symmetric matrix with that spectrum, in a random basis."""
    size = sum(counts)
    basis, _ = np.linalg.qr(drawn(size, size))
    return basis @ np.diag(np.repeat(values, counts)) @ basis.T


def raw_errors(update_map, A, h, c, label, eta_lam0, steps):
    """The largest error of T_j, K_j and the loss against autograd training of theta itself.

    All T_j are parts of one |theta|^2, which is what theta's rounding is small against: the scale
    of an error is the largest of its family. Likewise K_j and H_j.
    """
    spaces = eigenspaces(A)
    theta = drawn(len(A), seed=5)
    slope = A @ theta + (0 if h is None else h)
    rate = eta_lam0 / (slope @ slope)
    network = forward_zoo.quadratic(A, h, c, label)
    raw = train_network(network, eta=rate, steps=steps, start={"theta": theta}, record="parameters")
    expected = {**spaces.state(raw["theta"], h), "loss": raw.loss}
    start = {k: float(np.atleast_1d(v)[0]) for k, v in expected.items() if k != "loss"}
    got = ct.trajectory(update_map, start, steps, backend="array", eta=rate, n=len(A))
    scales = {
        name: max(np.abs(v).max() for other, v in expected.items() if other[0] == name[0])
        for name in expected
    }
    return max(np.abs(got[k].values - values).max() / scales[k] for k, values in expected.items())


@pytest.mark.parametrize(
    ("slope", "eta_lam0"),
    [(False, 1.5), *(pytest.param(*case, marks=FULL) for case in ((False, 0.8), (True, 0.8))),
     (True, 1.5)],
)  # fmt: skip
def test_a_dense_matrix_in_any_basis_is_exact_over_200_steps(slope, eta_lam0):
    A = rotated([-0.7, 0.4, 1.1], [20, 30, 14])
    h = drawn(64, seed=4) if slope else None
    c = -6.7  # minus tr(A) / 2: the output starts at order one
    derived = ct.derive(QUADRATIC(A, slope=slope, constant=c, label=0.5))
    assert len(derived.state) == (9 if slope else 3)
    assert raw_errors(derived, A, h, c, 0.5, eta_lam0, 200) <= TOLERANCES.orbit
    wrong = with_wrong_coefficient(derived)
    assert raw_errors(wrong, A, h, c, 0.5, eta_lam0, 200) > TOLERANCES.orbit


@pytest.mark.parametrize("slope", [pytest.param(False, marks=FULL), True], ids=["h = 0", "h"])
def test_a_random_matrix_has_a_state_for_each_eigenvalue(slope):
    A = random_matrix(4, seed=1)
    h = drawn(4) if slope else None
    derived = ct.derive(ct.models.random_quadratic(4, seed=1, slope=slope))
    assert len(derived.state) == (12 if slope else 4)
    assert raw_errors(derived, A, h, 0.0, 0.0, 1.0, 1) <= TOLERANCES.step
    assert raw_errors(with_wrong_coefficient(derived), A, h, 0.0, 0.0, 1.0, 1) > TOLERANCES.step


@pytest.mark.full
@pytest.mark.parametrize("size", [8, 12])
def test_larger_random_matrices(size):
    A, h = random_matrix(size, seed=1), drawn(size)
    derived = ct.derive(ct.models.random_quadratic(size, seed=1, slope=True))
    assert len(derived.state) == 3 * size
    assert raw_errors(derived, A, h, 0.0, 0.0, 1.0, 1) <= TOLERANCES.step


def test_each_eigenspace_steps_by_itself_as_theory_3_5_says():
    derived = ct.derive(QUADRATIC(eigenvalues=(2, -3), slope=True))
    s = {v.name: v for v in (*derived.variables, *derived.observables) if hasattr(v, "name")}
    T1, K1, H1, T2 = (s[k] for k in ("T1", "K1", "H1", "T2"))
    g = f  # squared loss, label 0
    step = (1 - 2 * eta * g) ** 2 * T1 - 2 * eta * g * (1 - 2 * eta * g) * K1 + (eta * g) ** 2 * H1
    assert sp.expand(derived.updates[T1] - step) == 0
    assert sp.expand(derived.updates[K1] - ((1 - 2 * eta * g) * K1 - eta * g * H1)) == 0
    assert sp.expand(derived.updates[K1] - (1 - 2 * eta * g) * K1) != 0
    assert T2 in derived.updates
    assert derived.updates[H1] == H1


def test_two_opposite_eigenvalues_are_the_uv_model():
    derived = ct.derive(QUADRATIC(eigenvalues=(1 / sp.sqrt(n), -1 / sp.sqrt(n))))
    uv = ct.derive(ct.models.uv())
    assert derived.state == uv.state
    for s in (f, lam):
        assert sp.expand(derived.updates[s] - uv.updates[s]) == 0


def test_multiplicities_fill_parts_of_the_width_and_a_kernel_stays_where_it_is():
    model = QUADRATIC(eigenvalues=(1, 0), multiplicities=(3, 1))
    assert [str(share) for share in model.parts.shares] == ["3/4", "1/4"]
    assert {s.name for s in ct.derive(model).variables} == {"f", "T2"}
    assert ct.derive(model).updates[sp.Symbol("T2", real=True)] == sp.Symbol("T2", real=True)


@pytest.mark.parametrize("optimizer", ["gd", pytest.param("heavy_ball", marks=pytest.mark.full)])
def test_exact_in_its_eigenbasis_with_a_fixed_random_slope(optimizer):
    numbers = {"beta": 0.5} if optimizer == "heavy_ball" else {}
    model = QUADRATIC(eigenvalues=(1, Fraction(-1, 2)), slope=True)
    result = ct.exactness(model, optimizer=optimizer, n=64, eta_lam0=1.5, **numbers)
    assert result.over_orbit, str(result)
    assert result.passed, str(result)


@pytest.mark.parametrize("rule", ["weight_decay", pytest.param("heavy_ball", marks=FULL)])
def test_weight_decay_leaves_the_fixed_vectors_alone(rule):
    t, h = ct.vectors("t h")
    model = ct.Model(output=(t @ h + t @ t / 2) / ct.sqrt(n), vectors=(t,), fixed=(h,), label=0.2)
    numbers = {"omega": 0.05} if rule == "weight_decay" else {"beta": 0.5}
    result = ct.exactness(model, optimizer=rule, n=64, eta_lam0=1.5, **numbers)
    assert result.passed, str(result)
    assert result.over_orbit, str(result)


# Several outputs, one commuting matrix for each


COUNTS = (20, 30, 14)
SPECTRA = [(-0.7, 0.4, 1.1), (0.5, 0.5, -0.3)]


def commuting(spectra=SPECTRA, counts=COUNTS):
    """Dense symmetric matrices with these eigenvalues on the same random eigenspaces."""
    basis, _ = np.linalg.qr(drawn(sum(counts), sum(counts)))
    return [basis @ np.diag(np.repeat(values, counts)) @ basis.T for values in spectra]


def several_errors(update_map, trained, spaces, theta, eta_lam0, steps):
    """The largest error of T_j and the loss against autograd training on dense matrices."""
    X, Y = spaces.data([1.5, -0.8])
    slopes = np.array([A @ theta for A in trained])
    rate = eta_lam0 / (np.linalg.eigvalsh(slopes @ slopes.T)[-1] / len(trained))
    raw = train_network(
        forward_zoo.quadratic_outputs(trained), (X, Y), eta=rate, steps=steps,
        start={"theta": theta}, record="parameters",
    )  # fmt: skip
    expected = {**spaces.state(raw["theta"]), "loss": raw.loss}
    start = {f"T{j}": np.full((1, 1), expected[f"T{j}"][0]) for j in (1, 2, 3)}
    got = ct.trajectory(
        update_map, start, steps, backend="array", data=(X, Y), eta=rate, n=len(theta)
    )
    return max(
        np.abs(np.ravel(got[name].values) - values).max() / np.abs(values).max()
        for name, values in expected.items()
    )


@pytest.mark.parametrize("eta_lam0", [0.8, pytest.param(1.5, marks=FULL)])
def test_commuting_matrices_close_on_their_common_eigenspaces_in_any_basis(eta_lam0):
    matrices, theta = commuting(), drawn(64, seed=4)
    spaces = joint_eigenspaces(matrices)
    derived = ct.derive(ct.models.quadratic_outputs(matrices))
    assert derived.state._fields == ("T1", "T2", "T3")
    errors = (derived, matrices, spaces, theta, eta_lam0, 200)
    assert several_errors(*errors) <= TOLERANCES.orbit
    wrong = with_wrong_coefficient(derived)
    assert several_errors(wrong, *errors[1:]) > TOLERANCES.orbit


def test_matrices_that_commute_almost_are_told_apart_by_training_and_refused():
    """The control: one matrix turned by a thousandth, the map of the others."""
    matrices, theta = commuting(), drawn(64, seed=4)
    spaces = joint_eigenspaces(matrices)
    derived = ct.derive(ct.models.quadratic_outputs(matrices))
    skew = drawn(64, 64) / 64
    turn = np.eye(64) + 1e-3 * (skew - skew.T)
    turned = [matrices[0], turn @ matrices[1] @ turn.T]
    assert several_errors(derived, turned, spaces, theta, 0.8, 200) > TOLERANCES.orbit
    with pytest.raises(NotClosed, match="A1 and A2 do not commute"):
        ct.models.quadratic_outputs(turned)


@pytest.mark.parametrize(
    ("rule", "numbers"),
    [("heavy_ball", {"beta": 0.5}), pytest.param("weight_decay", {"omega": 0.05}, marks=FULL),
     pytest.param("nesterov", {"beta": 0.5}, marks=FULL), pytest.param("sam", {"rho": 0.1},
                                                                       marks=FULL)],
)  # fmt: skip
def test_several_outputs_are_exact_under_every_kind_of_rule(rule, numbers):
    model = ct.models.quadratic_outputs(spaces=3, multiplicities=(2, 1, 1))
    sample = drawn(4, 3), drawn(4)
    result = ct.exactness(model, optimizer=rule, data=sample, n=64, eta_lam0=0.5, **numbers)
    assert result.passed, str(result)


def test_eigenvalues_that_one_matrix_shares_are_told_apart_by_another():
    spaces = joint_eigenspaces(commuting([(1.0, 1.0, 2.0), (3.0, -1.0, 3.0)], (2, 1, 1)))
    counts = spaces.multiplicities
    found = {tuple(np.round(x, 12)): c for x, c in zip(spaces.values.T, counts, strict=True)}
    assert found == {(1.0, 3.0): 2, (1.0, -1.0): 1, (2.0, 3.0): 1}
    assert joint_eigenspaces([np.eye(3), np.zeros((3, 3))]).multiplicities == (3,)


def test_a_map_with_numbers_survives_json_and_pickle_and_draws_its_start():
    derived = ct.derive(QUADRATIC(rotated([0.3, -0.2], [3, 1]), slope=True))
    assert ct.UpdateMap.from_json(derived.to_json()) == derived
    assert pickle.loads(pickle.dumps(derived)) == derived
    ds = ct.run(derived, ct.gaussian_start(seeds=range(3)), 50, backend="array", eta=0.01, n=8)
    assert ds.T1.dims == ("seed",)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: QUADRATIC([[0, 1], [0, 0]]), InputError, "symmetric"),
        (lambda: QUADRATIC([[1, 2, 3]]), InputError, "N x N"),
        (lambda: QUADRATIC(eigenvalues=(1, 1)), InputError, "twice"),
        (lambda: QUADRATIC(eigenvalues=(1, 2), multiplicities=(1,)), InputError, "fit"),
        (lambda: QUADRATIC(eigenvalues=range(1, 40)), InputError, "up to"),
        (lambda: ct.models.random_quadratic(0), InputError, "positive integer"),
        (lambda: QUADRATIC([np.diag([1, 2]), [[0, 1], [1, 0]]]), NotClosed, "do not commute"),
        (lambda: QUADRATIC([np.diag([1, 2]), np.eye(2)]), InputError, "quadratic_outputs"),
        (lambda: ct.models.quadratic_outputs(np.eye(2)), InputError, "k x N x N"),
        (lambda: ct.models.quadratic_outputs([[[0, 1], [0, 0]]]), InputError, "symmetric"),
        (lambda: ct.models.quadratic_outputs(spaces=0), InputError, "eigenspaces"),
        (lambda: ct.models.quadratic_outputs(multiplicities=(1, 0)), InputError, "positive"),
        (lambda: joint_eigenspaces([np.eye(2)]).data([1, 2]), InputError, "as many targets"),
    ],
)
def test_bad_input_gets_one_clear_error(make, error, says):
    with pytest.raises(error) as caught:
        make()
    assert says in str(caught.value)
