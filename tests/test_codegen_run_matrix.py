"""Runs of matrix maps: named matrix dimensions, lanes over seeds and widths, lambda on request."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import xarray as xr

from catapult_theory.codegen import run as runs
from catapult_theory.codegen import run_job
from catapult_theory.codegen.run import grid
from catapult_theory.errors import DomainError
from catapult_theory.networks.starts import gaussian_start
from catapult_theory.symbolic import models
from catapult_theory.symbolic import symbols as matrices
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.model import Model

# Compiling a matrix map takes seconds: where no backend is named, the one that compiles nothing.
run = partial(runs.run, backend="array")
trajectory = partial(runs.trajectory, backend="array")

SAMPLES, INPUTS, OUTPUTS = 7, 4, 2
RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((SAMPLES, INPUTS)) / 2
Y = RANDOM.standard_normal((SAMPLES, OUTPUTS))
DATA = (X, Y)
LINEAR = derive(models.linear(outputs=None))
# Exact closures against the loop over raw parameters, over the running maximum of the norm.
ORBIT = 1e-12


def same_bits(first: xr.Dataset, second: xr.Dataset) -> bool:
    return all(
        first[name].values.tobytes() == second[name].values.tobytes() for name in first.data_vars
    )


def raw_training(n: int, seed: int, eta: float, steps: int, wrong: float = 1.0):
    """Train V (k x n) and U (n x d) by hand; W, G, S and the loss at every step."""
    drawn = gaussian_start(seed=seed).raw({"V": (OUTPUTS, "n"), "U": ("n", INPUTS)}, n)
    V, U = drawn["V"], drawn["U"]
    rows = []
    for _ in range(steps + 1):
        residual = X @ U.T @ V.T / np.sqrt(n) - Y
        loss = (residual**2).sum() / (2 * SAMPLES)
        rows.append((V @ U / np.sqrt(n), U.T @ U / n, V @ V.T / n, loss))
        Z = residual.T @ X / SAMPLES
        V, U = V - eta * Z @ U.T / np.sqrt(n), U - wrong * eta * V.T @ Z / np.sqrt(n)
    return [np.array(column) for column in zip(*rows, strict=True)]


def deviation(ds: xr.Dataset, reference) -> float:
    worst = 0.0
    for name, expected in zip(("W", "G", "S", "loss"), reference, strict=True):
        axes = tuple(range(1, expected.ndim))
        norm = np.sqrt((expected**2).sum(axis=axes))
        error = np.sqrt(((ds[name].values - expected) ** 2).sum(axis=axes))
        worst = max(worst, float((error / np.maximum.accumulate(norm)).max()))
    return worst


@pytest.mark.parametrize("backend", ["array", "numba"])
@pytest.mark.parametrize("n", [64, 512])
def test_a_drawn_start_trains_as_the_network_of_that_seed(n, backend):
    start = gaussian_start(seed=3)
    ds = trajectory(LINEAR, start, 50, backend=backend, data=DATA, eta=0.3, n=n)
    assert deviation(ds, raw_training(n, 3, 0.3, 50)) <= ORBIT
    # Negative controls: a wrong coefficient in one layer, and another seed.
    assert deviation(ds, raw_training(n, 3, 0.3, 50, wrong=1.001)) > ORBIT
    assert deviation(ds, raw_training(n, 4, 0.3, 50)) > ORBIT


def test_matrices_have_named_sides_behind_the_lanes():
    start = gaussian_start(seeds=range(3))
    ds = run(LINEAR, start, 2, data=DATA, **grid(eta=[0.1, 0.2], n=[16, 10**6]))
    lanes = ("eta", "n", "seed")
    assert ds.W.dims == (*lanes, "output", "input")
    assert ds.G.dims == (*lanes, "input", "input2")
    assert ds.S.dims == (*lanes, "output", "output2")
    assert ds.loss.dims == ds.status.dims == lanes
    assert "lam" not in ds
    path = trajectory(LINEAR, start, 2, data=DATA, eta=0.1, n=16)
    assert path.W.dims == ("step", "seed", "output", "input")


@pytest.mark.parametrize("backend", ["array", pytest.param("numba", marks=pytest.mark.full)])
def test_lanes_equal_single_runs_bit_for_bit_in_any_portions(backend, monkeypatch):
    arguments = {"data": DATA, "backend": backend}
    axes = grid(eta=[0.1, 0.4], n=[16, 256])
    whole = run(LINEAR, gaussian_start(seeds=[0, 1]), 25, **arguments, **axes)
    for eta, n, seed in [(0.1, 16, 0), (0.4, 16, 1), (0.1, 256, 1), (0.4, 256, 0)]:
        alone = run(LINEAR, gaussian_start(seed=seed), 25, **arguments, eta=eta, n=n)
        assert same_bits(whole.sel(eta=eta, n=n, seed=seed), alone)
    # Negative control: another learning rate gives other bits.
    assert not same_bits(whole.sel(eta=0.1, n=256, seed=0), alone)
    monkeypatch.setattr(run_job, "WORK_PER_PORTION", 1.0)
    monkeypatch.setattr(run_job, "LEAST_MATRICES", 1)
    cut = run(LINEAR, gaussian_start(seeds=[0, 1]), 25, threads=1, **arguments, **axes)
    assert same_bits(cut, whole)


def test_lambda_on_request_is_the_top_eigenvalue_of_the_tangent_kernel():
    start = gaussian_start(seeds=range(2))
    arguments = {"data": DATA, "observables": "lam", "eta": 0.3, "n": 64}
    ds = trajectory(LINEAR, start, 20, every=10, **arguments)
    assert ds.lam.dims == ("step", "seed")
    for index in np.ndindex(ds.lam.shape):
        G, S = ds.G.values[index], ds.S.values[index]
        theta = np.kron(S, X @ X.T) + np.kron(np.eye(OUTPUTS), X @ G @ X.T)
        expected = np.linalg.eigvalsh(theta)[-1] / SAMPLES
        # A matrix-free eigenvalue, to the tolerance of its iteration.
        assert ds.lam.values[index] == pytest.approx(expected, rel=1e-8)
        assert ds.lam.values[index] != pytest.approx(1.001 * expected, rel=1e-8)
    final = run(LINEAR, start, 20, **arguments)
    np.testing.assert_allclose(final.lam, ds.lam.isel(step=-1), rtol=1e-8)


def test_given_blocks_broadcast_over_lanes_and_a_result_starts_a_run():
    blocks = {"W": np.zeros((OUTPUTS, INPUTS)), "G": np.eye(INPUTS), "S": np.eye(OUTPUTS)}
    etas = np.array([0.1, 0.2, 0.3])
    ds = run(LINEAR, blocks, 10, data=DATA, eta=etas, n=64)
    assert ds.W.dims == ("eta", "output", "input")
    stacked = {**blocks, "G": np.stack([np.eye(INPUTS)] * 3)}
    np.testing.assert_array_equal(run(LINEAR, stacked, 10, data=DATA, eta=etas, n=64).W, ds.W)
    rest = run(LINEAR, ds, 10, data=DATA, eta=ds.eta, n=64)
    whole = run(LINEAR, blocks, 20, data=DATA, eta=etas, n=64)
    np.testing.assert_array_equal(rest.W, whole.W)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_targets_of_one_output_may_be_a_vector(loss):
    single = derive(models.linear(outputs=1), loss=loss)
    labels = np.sign(Y[:, 0])
    flat = run(single, gaussian_start(), 5, data=(X, labels), eta=0.1, n=64)
    column = run(single, gaussian_start(), 5, data=(X, labels[:, None]), eta=0.1, n=64)
    xr.testing.assert_identical(flat, column)


def test_momentum_starts_at_rest_and_carries_its_blocks():
    momentum = derive(models.linear(outputs=None), optimizer="heavy_ball")
    begin = gaussian_start(seed=1)
    drawn = run(momentum, begin, 6, data=DATA, eta=0.1, n=64, beta=0.5)
    first = run(LINEAR, begin, 0, data=DATA, eta=0.1, n=64)
    blocks = {name: first[name] for name in ("W", "G", "S")}
    given = run(momentum, blocks, 6, data=DATA, eta=0.1, n=64, beta=0.5)
    assert same_bits(given, drawn)
    assert not same_bits(run(momentum, begin, 6, data=DATA, eta=0.1, n=64, beta=0.6), drawn)


def plain(tied: bool):
    """A model without names for its blocks: two layers, or one weight used twice."""
    inputs, U = matrices.data("X", cols=INPUTS), matrices.matrix("U", cols=INPUTS)
    if tied:
        return Model(output=inputs @ U.T @ U / matrices.n, matrices=(U,), data=inputs)
    V = matrices.matrix("V", rows=OUTPUTS)
    output = inputs @ U.T @ V.T / matrices.sqrt(matrices.n)
    return Model(output=output, matrices=(V, U), data=inputs)


def test_a_model_without_names_has_one_gram_matrix():
    ds = trajectory(derive(plain(tied=False)), gaussian_start(seed=3), 10, data=DATA, eta=0.3, n=64)
    assert ds.Gamma.dims == ("step", "parameter", "parameter2")
    named = trajectory(LINEAR, gaussian_start(seed=3), 10, data=DATA, eta=0.3, n=64)
    np.testing.assert_allclose(ds.loss, named.loss, rtol=ORBIT)


@pytest.mark.parametrize("tied", [False, True], ids=["two layers", "tied"])
@pytest.mark.parametrize(
    ("optimizer", "parameters"), [("gd", {}), ("heavy_ball", {"beta": 0.5})], ids=["gd", "momentum"]
)
def test_one_gram_matrix_given_by_hand_trains_as_the_parameters_it_is_of(
    tied, optimizer, parameters
):
    n, beta = 16, parameters.get("beta", 0.0)
    found = derive(plain(tied), optimizer=optimizer)
    Phi = RANDOM.standard_normal((n, INPUTS if tied else OUTPUTS + INPUTS))
    targets = X if tied else Y
    start = found.state_from_gram(Phi.T @ Phi / n, n)
    arguments = {"data": (X, targets), "eta": 0.1, "n": n, **parameters}
    ds = trajectory(found, start, 5, **arguments)

    def losses(eta):
        P, B = Phi, np.zeros_like(Phi)
        scale = n if tied else np.sqrt(n)
        for _ in range(6):
            out, into = (P, P) if tied else (P[:, :OUTPUTS], P[:, OUTPUTS:])
            residual = X @ into.T @ out / scale - targets
            yield (residual**2).sum() / (2 * SAMPLES)
            Z = residual.T @ X / SAMPLES / scale
            parts = [into @ Z.T + out @ Z] if tied else [into @ Z.T, out @ Z]
            B = beta * B - eta * np.hstack(parts)
            P = P + B

    np.testing.assert_allclose(ds.loss, list(losses(0.1)), rtol=ORBIT)
    assert not np.allclose(ds.loss, list(losses(0.1001)), rtol=ORBIT)
    np.testing.assert_array_equal(run(found, start, 5, **arguments).loss, ds.loss[-1])


@pytest.mark.parametrize("tied", [False, True], ids=["two layers", "tied"])
def test_one_gram_matrix_that_no_network_has_is_refused(tied):
    found = derive(plain(tied))
    gram = np.diag([-1.0] + [1.0] * (INPUTS - 1 if tied else OUTPUTS + INPUTS - 1))
    start = found.state_from_gram(gram, 16)
    with pytest.raises(DomainError, match=r"Gamma has the negative eigenvalue -1 at n = 16"):
        run(found, start, 5, data=(X, X if tied else Y), eta=0.1, n=16)


def test_attributes_identify_the_data_and_netcdf_keeps_everything(tmp_path):
    ds = run(LINEAR, gaussian_start(seeds=range(2)), 3, data=DATA, eta=[0.1, 0.2], n=64)
    assert ds.attrs["data"].startswith("X (7, 4), Y (7, 2), sha256 ")
    other = run(LINEAR, gaussian_start(), 3, data=(X, 2 * Y), eta=0.1, n=64)
    assert other.attrs["data"] != ds.attrs["data"]
    for name, variable in ds.variables.items():
        assert variable.attrs["units"] in ("1", "step"), name
    ds.to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as read:
        xr.testing.assert_identical(read.load(), ds)


def test_objects_with_inputs_and_targets_serve_as_data():
    class Samples:
        pass

    samples = Samples()
    samples.X, samples.Y = X, Y
    by_object = run(LINEAR, gaussian_start(), 2, data=samples, eta=0.1, n=64)
    by_pair = run(LINEAR, gaussian_start(), 2, data=DATA, eta=0.1, n=64)
    xr.testing.assert_identical(by_object, by_pair)
