"""Trajectories of the LLVM target: rows, decimation, buffers, observables, lanes at rest."""

from __future__ import annotations

import numpy as np
import pytest

import catapult_theory as ct

UV = ct.derive(ct.models.uv())
LABELLED = ct.derive(ct.models.uv(label=True))
KERNEL = ct.compile(UV, "llvm")
COUNT = 37


def lanes(count=COUNT):
    rng = np.random.default_rng(4)
    start = {"f": rng.uniform(-1, 1, count), "lam": rng.uniform(1, 3, count)}
    # Neither chaotic nor at an edge: rounding is not multiplied by much.
    return start, {"eta": rng.uniform(0.2, 2.6, count) / start["lam"], "n": np.full(count, 400.0)}


def close(got, want, tolerance=1e-11):
    """Whether rows are equal to rounding, relative to the largest value of the variable."""
    return np.all(np.abs(got - want) <= tolerance * np.abs(want).max())


@pytest.mark.parametrize("steps", [0, 1, 30, 300])
@pytest.mark.parametrize("every", [1, 3, 7, 200])
def test_rows_are_those_of_the_array_target(steps, every):
    start, given = lanes()
    got = KERNEL.trajectory(start, steps, every=every, **given)
    want = ct.compile(UV, "array").trajectory(start, steps, every=every, **given)
    wrong = ct.compile(UV, "array").trajectory(
        start, steps, every=every, **{**given, "eta": 1.001 * given["eta"]}
    )
    for name in start:
        assert got[name].shape == (steps // every + 1, COUNT)
        assert close(got[name], want[name])
        assert not close(got[name], wrong[name]) or steps < every
    assert np.array_equal(got["f"][0], start["f"])
    whole = KERNEL.trajectory(start, steps, **given)
    assert all(np.array_equal(got[k], whole[k][::every]) for k in start)


@pytest.mark.parametrize("count", [1, 5, 8, 33, 500])
def test_a_lane_has_the_same_rows_for_any_threads_and_company(count):
    start, given = lanes(count)
    whole = KERNEL.trajectory(start, 40, threads=1, **given)["f"]
    assert np.array_equal(whole, KERNEL.trajectory(start, 40, threads=5, **given)["f"])
    for i in (0, count // 2, count - 1):
        own = KERNEL.trajectory(
            {k: v[i] for k, v in start.items()}, 40, **{k: v[i] for k, v in given.items()}
        )
        assert np.array_equal(own["f"], whole[:, i])


def misaligned(shape):
    size = 8 * int(np.prod(shape))
    return np.zeros(size + 1, np.uint8)[1:].view(float).reshape(shape)


BUFFERS = {
    "contiguous": np.empty,
    "strided": lambda shape: np.empty((shape[0], 2 * shape[1]))[:, ::2],
    "transposed": lambda shape: np.empty(shape[::-1]).T,
    "big-endian": lambda shape: np.empty(shape, ">f8"),
    "misaligned": misaligned,
    "float32": lambda shape: np.empty(shape, np.float32),
    "middle of a larger array": lambda shape: np.empty((shape[0] + 2, shape[1]))[1:-1],
}


@pytest.mark.parametrize("kind", BUFFERS)
@pytest.mark.parametrize("count", [64, COUNT])
def test_the_buffers_of_the_caller_are_filled(kind, count):
    start, given = lanes(count)
    want = KERNEL.trajectory(start, 20, every=2, observables=["loss"], **given)
    out = {name: BUFFERS[kind]((11, count)) for name in want}
    got = KERNEL.trajectory(start, 20, every=2, observables=["loss"], out=out, **given)
    for name, rows in want.items():
        assert got[name] is out[name]
        assert np.array_equal(out[name], rows.astype(out[name].dtype))


def test_nothing_beside_the_buffers_is_written():
    start, given = lanes()
    around = {name: np.full((13, COUNT), -7.0) for name in start}
    KERNEL.trajectory(start, 10, out={k: v[1:-1] for k, v in around.items()}, **given)
    assert all((a[0] == -7).all() and (a[-1] == -7).all() for a in around.values())
    assert all((a[1:-1] != -7).all() for a in around.values())


@pytest.mark.parametrize("update_map", [UV, LABELLED], ids=["uv", "label"])
def test_observables_are_computed_from_the_rows_they_stand_beside(update_map):
    start, given = lanes()
    if update_map is LABELLED:
        given["y"] = np.full(COUNT, 0.4)
    f, lam = update_map.variables
    eta = next(s for s in update_map.constants if s.name == "eta")
    own = (eta * lam - 4) * f**2
    rows = ct.compile(update_map, "llvm").trajectory(
        start, 30, every=3, observables=["loss", own, "f"], **given
    )
    residual = rows["f"] - given.get("y", 0.0)
    assert np.allclose(rows["loss"], residual**2 / 2, rtol=1e-13, atol=0)
    size = 4 * rows["f"] ** 2
    found = (given["eta"] * rows["lam"] - 4) * rows["f"] ** 2
    assert np.all(np.abs(rows[str(own)] - found) <= 1e-14 * size)
    assert not np.allclose(rows["loss"][1:], residual[:-1] ** 2 / 2, rtol=1e-6)


def test_decided_lanes_rest_and_invalid_ones_leave_the_others_alone():
    start = {"f": np.array([1.0, 1.0, np.nan, 1.0]), "lam": np.array([2.0, 2.0, 2.0, np.nan])}
    given = {"eta": np.array([0.3, 2.5, 0.5, 0.5]), "n": 100.0}
    result = KERNEL.run(start, 300, **given)
    rows = KERNEL.trajectory(start, 300, observables=["loss"], **given)
    assert result.status.tolist() == [1, 2, 3, 3]
    for i in (0, 1):
        at = result.status_step[i]
        assert np.all(rows["f"][at:, i] == rows["f"][at, i])
        assert rows["f"][at - 1, i] != rows["f"][at, i]
    assert np.isnan(rows["f"][:, 2]).all()
    assert np.isnan(rows["loss"][:, 2]).all()
    assert np.isnan(rows["lam"][:, 3]).all()
    alone = KERNEL.trajectory({"f": 1.0, "lam": 2.0}, 300, eta=0.3, n=100.0)
    assert np.array_equal(alone["f"], rows["f"][:, 0])


def test_the_last_row_is_the_state_of_a_run():
    start, given = lanes()
    last = {k: v[-1] for k, v in KERNEL.trajectory(start, 60, **given).items()}
    state = KERNEL.run(start, 60, **given).state
    assert all(close(state[k], last[k]) for k in state)
