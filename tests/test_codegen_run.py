"""Runs of scalar maps: labels, outcomes, starts, provenance, and the same bits in any grouping."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from catapult_theory.codegen import run_job
from catapult_theory.codegen.run import grid, run, trajectory
from catapult_theory.networks.starts import gaussian_start
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive

BACKENDS = ("array", "numba", "llvm")
UV = derive(models.uv())
START = {"f": 1.0, "lam": 2.0}
# Rounding of an orbit against a loop that orders its sums differently, relative to the running
# maximum, over 200 steps in the lazy and the catapult phase (the bound for exact closures).
ORBIT = 1e-12


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def same_bits(first: xr.Dataset, second: xr.Dataset) -> bool:
    return all(
        first[name].dtype == second[name].dtype
        and first[name].values.tobytes() == second[name].values.tobytes()
        for name in first.data_vars
    )


# "llvm" runs in scaled units: the same numbers up to the bound for stable orbits.
SCALED = {"llvm": 1e-12}


def same_numbers(first: xr.Dataset, second: xr.Dataset, backend: str) -> bool:
    if backend not in SCALED:
        return same_bits(first, second)
    return all(
        np.allclose(first[name], second[name], rtol=SCALED[backend], atol=0, equal_nan=True)
        for name in first.data_vars
    )


def loop(steps: int, eta: float, n: float, four: float = 4.0) -> np.ndarray:
    """Iterate the uv-model with label 0 by hand; columns f and lam, a row for every step."""
    f, lam = START["f"], START["lam"]
    rows = [(f, lam)]
    for _ in range(steps):
        f, lam = (
            f * (1 - eta * lam + eta**2 * f**2 / n),
            lam + eta * f**2 / n * (eta * lam - four),
        )
        rows.append((f, lam))
    return np.array(rows)


def deviation(ds: xr.Dataset, reference: np.ndarray) -> float:
    """The largest error of f and lam over the running maximum, until the lane is frozen."""
    moving = ds.status_step.item() + 1
    mine = np.stack([ds.f.values, ds.lam.values], axis=1)[:moving]
    scale = np.maximum.accumulate(np.abs(reference), axis=0)[:moving]
    return float((np.abs(mine - reference[:moving]) / scale).max())


@pytest.mark.parametrize("eta", [0.5, 1.5])
def test_a_trajectory_is_the_orbit_of_the_map(backend, eta):
    ds = trajectory(UV, START, 200, backend=backend, eta=eta, n=1024)
    assert ds.step.values.tolist() == list(range(201))
    assert deviation(ds, loop(200, eta, 1024)) <= ORBIT
    # Negative control: 4 replaced by 4.001.
    assert deviation(ds, loop(200, eta, 1024, four=4.001)) > ORBIT


def test_kept_steps_are_those_of_the_full_trajectory_and_the_last_is_the_final_state(backend):
    axes = grid(eta=[0.5, 1.5], n=[64, 1024])
    full = trajectory(UV, START, 30, backend=backend, **axes)
    kept = trajectory(UV, START, 30, backend=backend, every=7, **axes)
    assert kept.step.values.tolist() == [0, 7, 14, 21, 28]
    assert same_bits(kept, full.sel(step=kept.step))
    final = run(UV, START, 30, backend=backend, **axes)
    assert same_numbers(final, full.isel(step=-1)[list(final.data_vars)], backend)
    # Negative control: the step before the last is another state.
    assert not same_numbers(final, full.isel(step=-2)[list(final.data_vars)], backend)


def test_a_grid_equals_the_loop_of_single_runs_bit_for_bit(backend):
    etas, widths = [0.5, 1.0, 1.7, 2.5], [3, 64, 10**6]
    start = gaussian_start(seeds=range(3))
    whole = run(UV, start, 60, backend=backend, **grid(eta=etas, n=widths))
    assert dict(whole.sizes) == {"eta": 4, "n": 3, "seed": 3}
    for eta, n, seed in itertools.product(etas, widths, range(3)):
        lane = whole.sel(eta=eta, n=n, seed=seed)
        alone = run(UV, gaussian_start(seed=seed), 60, backend=backend, eta=eta, n=n)
        assert same_bits(lane, alone), (eta, n, seed)
    # Negative control: the neighbouring floating-point learning rate gives other bits.
    other = run(UV, gaussian_start(seed=0), 60, backend=backend, eta=np.nextafter(0.5, 1), n=64)
    assert not same_bits(whole.sel(eta=0.5, n=64, seed=0), other)


@pytest.mark.parametrize("make", [run, trajectory])
def test_neither_portions_nor_threads_change_a_bit(backend, make, monkeypatch):
    arguments = {"backend": backend, **grid(eta=np.linspace(0.1, 3, 37), n=[16, 4096])}
    whole = make(UV, START, 40, **arguments)
    monkeypatch.setattr(run_job, "WORK_PER_PORTION", 1.0)
    monkeypatch.setattr(run_job, "LEAST_SCALARS", 5)
    seen = []

    def progress(done, total):
        seen.append((done, total))

    cut = make(UV, START, 40, threads=1, progress=progress, **arguments)
    assert seen == [(min(done, 74), 74) for done in range(0, 79, 5)]
    assert same_bits(cut, whole)
    assert same_bits(make(UV, START, 40, threads=3, **arguments), whole)


@settings(max_examples=15, deadline=None)
@given(hnp.mutually_broadcastable_shapes(num_shapes=3, min_side=1, max_dims=2, max_side=3))
def test_results_have_the_broadcast_shape_and_every_lane_is_its_own_run(shapes):
    def values(shape, low, high):
        return np.linspace(low, high, int(np.prod(shape))).reshape(shape)

    f, eta, n = (
        values(shape, *ends)
        for shape, ends in zip(shapes.input_shapes, [(0.1, 1), (0.2, 1.5), (16, 99)], strict=True)
    )
    ds = run(UV, {"f": f, "lam": 2.0}, 5, backend="array", eta=eta, n=n)
    assert ds.loss.shape == shapes.result_shape
    spread = np.broadcast_arrays(f, eta, n)
    for index in np.ndindex(shapes.result_shape):
        f0, e, w = (float(a[index]) for a in spread)
        alone = run(UV, {"f": f0, "lam": 2.0}, 5, backend="array", eta=e, n=w)
        assert ds.f.values[index] == alone.f.item()
        assert ds.lam.values[index] == alone.lam.item()


def test_numbers_give_results_without_dimensions():
    ds = run(UV, START, 10, eta=0.5, n=64)
    assert dict(ds.sizes) == {}
    assert (ds.eta.item(), ds.n.item(), ds.f_0.item()) == (0.5, 64, 1.0)


def test_no_step_gives_the_start():
    ds = run(UV, START, 0, eta=0.5, n=64)
    assert (ds.f.item(), ds.lam.item(), ds.loss.item(), ds.peak_step.item()) == (1.0, 2.0, 0.5, 0)
    assert trajectory(UV, START, 0, eta=0.5, n=64).sizes == {"step": 1}


def test_outcomes_name_the_three_phases(backend):
    ds = run(UV, START, 500, backend=backend, eta=[0.5, 1.5, 2.5], n=1024)
    meaning = ds.status.attrs["flag_meanings"].split()
    assert [meaning[s] for s in ds.status.values] == ["converged", "converged", "diverged"]
    assert ds.peak_step.values[0] == 0
    assert ds.peak_loss.values[1] > 100 * ds.peak_loss.values[0]
    assert (ds.status_step.values < 500).all()
    assert ds.loss_start.values.tolist() == [0.5] * 3


def test_a_lane_that_is_not_a_number_says_so_and_leaves_the_others_alone(backend):
    ds = run(UV, {"f": [1.0, np.nan], "lam": 2.0}, 20, backend=backend, eta=0.5, n=64)
    alone = run(UV, START, 20, backend=backend, eta=0.5, n=64)
    assert ds.status.values[1] == 3
    assert ds.f.values[0] == alone.f.item()


def test_several_seeds_make_a_dimension_and_one_seed_a_coordinate():
    axes = grid(eta=[0.5, 1.0], n=[10, 10**9])
    several = run(UV, gaussian_start(seeds=[3, 1, 4]), 5, **axes)
    assert several.f.dims == ("eta", "n", "seed")
    assert several.seed.values.tolist() == [3, 1, 4]
    assert several.f_0.dims == ("n", "seed")
    one = run(UV, gaussian_start(seed=1), 5, **axes)
    assert one.seed.item() == 1
    assert same_bits(several.sel(seed=1), one)
    # Negative control: another seed is another start.
    assert not same_bits(several.sel(seed=3), one)


def test_the_learning_rate_may_depend_on_the_seed():
    start = gaussian_start(seeds=range(4))
    first = run(UV, start, 0, n=1000, eta=1.0)
    ds = run(UV, start, 500, n=1000, eta=3 / first.lam)
    assert ds.eta.dims == ds.f.dims == ("seed",)
    np.testing.assert_allclose(ds.eta * ds.lam_0, 3, rtol=1e-15)
    assert (ds.status == 1).all()


def test_a_run_goes_on_from_the_result_of_another(backend):
    # No lane converges within 20 steps: a decided lane would stay where it is.
    axes = grid(eta=[0.1, 0.2], n=[64, 1024])
    half = run(UV, START, 10, backend=backend, **axes)
    whole = run(UV, START, 20, backend=backend, **axes)
    rest = run(UV, half, 10, backend=backend, eta=half.eta, n=half.n)
    assert same_numbers(rest[["f", "lam"]], whole[["f", "lam"]], backend)


def test_velocities_that_are_left_out_start_at_zero():
    momentum = derive(models.uv(), optimizer="heavy_ball")
    ds = run(momentum, START, 0, backend="array", eta=0.1, n=64, beta=0.9)
    velocities = [s.name for s in momentum.variables[2:]]
    assert velocities
    assert [ds[name].item() for name in velocities] == [0.0] * len(velocities)


def test_observables_are_those_of_the_state():
    asked = ("sharpness", "grad_norm2", "Delta", "lam")
    start = {**START, "Delta": 0.5}
    ds = trajectory(UV, start, 8, observables=asked, eta=0.5, n=64)
    assert set(asked) <= set(ds.data_vars)
    # |grad L|^2 = lam f^2 and Delta' = (1 - eta^2 f^2 / n) Delta (theory, section 3.1); each is a
    # product of at most four rounded factors, hence a few eps.
    np.testing.assert_allclose(ds.grad_norm2, ds.lam * ds.f**2, rtol=1e-15)
    shrink = 1 - 0.25 * ds.f.values[:-1] ** 2 / 64
    np.testing.assert_allclose(ds.Delta.values[1:], shrink * ds.Delta.values[:-1], rtol=1e-15)
    final = run(UV, start, 8, observables=asked, eta=0.5, n=64)
    assert same_bits(final[list(asked)], ds[list(asked)].isel(step=-1))


@pytest.mark.parametrize("make", [run, trajectory])
def test_every_variable_has_a_name_and_a_unit(make):
    start = gaussian_start(seeds=range(2))
    ds = make(UV, start, 5, observables=("Delta", "sharpness"), **grid(eta=[0.5], n=[64]))
    for name, variable in ds.variables.items():
        assert variable.attrs["long_name"], name
        assert variable.attrs["units"] in ("1", "step"), name
    assert ds.status_step.attrs["units"] == "step"


def test_attributes_are_enough_to_obtain_the_numbers_again():
    start = gaussian_start(seeds=range(5))
    ds = run(UV, start, 50, backend="auto", dtype="float32", **grid(eta=[0.5, 1.5], n=[64, 10**6]))
    attrs = ds.attrs
    assert attrs["backend"] in BACKENDS
    assert (attrs["model"], attrs["loss"], attrs["optimizer"]) == ("uv", "squared", "gd")
    assert attrs["exactness"] == "exact at every width n"
    assert (attrs["schema"], attrs["seeds"]) == (1, "0..4")
    assert all(name in attrs["versions"] for name in ("numpy", "sympy", "numba"))
    low, high = map(int, attrs["seeds"].split(".."))
    again = run(
        derive(models.uv(), loss=attrs["loss"], optimizer=attrs["optimizer"]),
        gaussian_start(seeds=range(low, high + 1)),
        attrs["steps"],
        backend=attrs["backend"],
        dtype=attrs["dtype"],
        eta=ds.eta,
        n=ds.n,
    )
    xr.testing.assert_identical(again, ds)


@pytest.mark.parametrize("make", [run, trajectory])
@pytest.mark.parametrize("start", [START, gaussian_start(seeds=range(3))], ids=["given", "law"])
def test_netcdf_gives_back_what_was_written(make, start, tmp_path):
    ds = make(UV, start, 5, observables="sharpness", **grid(eta=[0.5, 1.5], n=[64, 128]))
    ds.to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as read:
        xr.testing.assert_identical(read.load(), ds)


@pytest.mark.parametrize("portions_before", [1, 2])
def test_an_interrupted_run_leaves_nothing_changed(portions_before, monkeypatch):
    monkeypatch.setattr(run_job, "WORK_PER_PORTION", 1.0)
    monkeypatch.setattr(run_job, "LEAST_SCALARS", 2)
    start = {"f": np.linspace(0.1, 1, 9), "lam": np.full(9, 2.0)}
    before = {name: value.copy() for name, value in start.items()}

    def stop(done, total):
        if done >= 2 * portions_before:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(UV, start, 20, threads=1, progress=stop, eta=0.5, n=64)
    for name, value in before.items():
        np.testing.assert_array_equal(start[name], value)
    done = run(UV, start, 20, eta=0.5, n=64)
    assert np.isfinite(done.f).all()
