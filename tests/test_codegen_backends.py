"""Backends against each other, layouts and libraries of arguments, files that stand alone."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import array_api_strict as strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import catapult_theory as ct
from catapult_theory.codegen.eigen import DENSE_UP_TO, top_eigenvalue
from catapult_theory.codegen.storage import cache_folder, load_module
from catapult_theory.errors import InputError

BACKENDS = ("array", "numba")
EPS = np.finfo(float).eps
UV = ct.derive(ct.models.uv())
SCALARS = {
    "label": (ct.derive(ct.models.uv(label=True)), {"y": 0.7}),
    "logistic": (ct.derive(ct.models.uv(label=1), "logistic"), {}),
    "momentum": (ct.derive(ct.models.uv(), optimizer="heavy_ball"), {"beta": 0.6}),
}
START = {"f": 1.0, "lam": 2.0}


def matrix_case(outputs, loss, optimizer):
    update_map = ct.derive(ct.models.linear(inputs=4, outputs=outputs), loss, optimizer)
    rng = np.random.default_rng(3)
    X, Y = rng.normal(size=(9, 4)), np.sign(rng.normal(size=(9, outputs)))
    if loss == "softmax_cross_entropy":
        Y = np.eye(outputs)[rng.integers(outputs, size=9)]
    phi = rng.normal(size=(3, 20, 4 + outputs))
    gram = np.swapaxes(phi, -1, -2) @ phi / 20
    extra = {"heavy_ball": {"beta": 0.5}, "weight_decay": {"omega": 0.1}}.get(optimizer, {})
    return update_map, update_map.state_from_gram(gram, 20.0), (X, Y), extra


@pytest.mark.parametrize("title", SCALARS)
def test_one_step_agrees_to_four_units_of_the_largest_summand(title):
    update_map, extra = SCALARS[title]
    rng = np.random.default_rng(0)
    names = [s.name for s in update_map.variables]
    state = {name: rng.uniform(0.1, 2.0, 40) for name in names}
    given_ = {"eta": 0.4, "n": 9.0, **extra}
    first, second = (ct.compile(update_map, b).trajectory(state, 1, **given_) for b in BACKENDS)
    wrong = ct.compile(update_map, "numba").trajectory(state, 1, **{**given_, "eta": 0.4001})
    for name in names:
        scale = 10.0 * max(1.0, np.abs(first[name]).max())
        assert np.abs(first[name] - second[name]).max() <= 4 * EPS * scale
    assert np.abs(first["f"] - wrong["f"]).max() > 4 * EPS * 100


@pytest.mark.full
@pytest.mark.parametrize(
    ("outputs", "loss", "optimizer"),
    [
        (1, "squared", "gd"),
        (3, "softmax_cross_entropy", "heavy_ball"),
        pytest.param(1, "logistic", "weight_decay", marks=pytest.mark.full),
        pytest.param(3, "squared", "heavy_ball", marks=pytest.mark.full),
    ],
)
def test_matrix_backends_agree_step_by_step(outputs, loss, optimizer):
    update_map, start, data, extra = matrix_case(outputs, loss, optimizer)
    given_ = {"eta": np.array([0.05, 0.1, 0.2]), "n": 20.0, "data": data, **extra}
    first, second = (ct.compile(update_map, b).trajectory(start, 6, **given_) for b in BACKENDS)
    for name in start:
        size = max(1.0, np.abs(first[name]).max())
        assert np.abs(first[name] - second[name]).max() <= 1e-13 * size
    given_["eta"] = 1.001 * given_["eta"]
    wrong = ct.compile(update_map, "numba").trajectory(start, 6, **given_)
    assert np.abs(first["W"] - wrong["W"]).max() > 1e-6


@pytest.mark.full
def test_blocks_without_names_follow_the_named_ones():
    V, U, X = ct.matrix("V", rows=2), ct.matrix("U", cols=4), ct.data("X")
    bare = ct.derive(ct.Model(output=X @ U.T @ V.T / ct.sqrt(ct.n), matrices=(V, U), data=X))
    named, _start, data, _ = matrix_case(2, "squared", "gd")
    phi = np.random.default_rng(3)
    gram = phi.normal(size=(20, 6))
    gram = gram.T @ gram / 20
    given_ = {"eta": 0.1, "n": 20.0, "data": data}
    for backend in BACKENDS:
        whole = ct.compile(bare, backend).run({"Gamma": gram}, 5, **given_)
        parts = ct.compile(named, backend).run(named.state_from_gram(gram, 20.0), 5, **given_)
        assert np.allclose(whole.state["Gamma"][2:, 2:], parts.state["G"], rtol=1e-12, atol=1e-13)
        assert np.allclose(whole.loss, parts.loss, rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    f=st.lists(st.integers(0, 3), max_size=3),
    eta=st.lists(st.sampled_from([1]), max_size=2),
    dtype=st.sampled_from([">f8", "<f4", "<i2", "<f8", ">i4"]),
    layout=st.sampled_from(["plain", "transposed", "strided", "read-only"]),
)
def test_a_step_takes_any_layout(f, eta, dtype, layout):
    values = np.arange(2 * np.prod(f, dtype=int)).astype(dtype)
    array = values[::2].reshape(f) if layout == "strided" else values[: len(values) // 2].reshape(f)
    array = array.T if layout == "transposed" else array
    array.flags.writeable = layout != "read-only"
    rate = np.full(eta, 0.5)
    before = array.copy()
    new = ct.compile(UV, "numba").step(array, 2.0, eta=rate, n=9)
    assert np.shape(new.f) == np.broadcast_shapes(array.shape, rate.shape)
    plain = np.array(array, dtype=float, order="C")
    assert np.array_equal(new.f, ct.compile(UV, "array").step(plain, 2.0, eta=rate, n=9).f)
    assert np.array_equal(array, before)


def test_runs_do_not_write_into_their_arguments():
    f = np.array([1.0, 0.5])
    f.flags.writeable = False
    lanes = {"f": f, "lam": np.array([2.0, 2.0])}
    ct.compile(UV, "numba").run(lanes, 20, eta=0.5, n=10.0)
    assert f.tolist() == [1.0, 0.5]
    assert lanes["lam"].tolist() == [2.0, 2.0]


def test_arrays_of_another_library_stay_there_in_runs_and_trajectories():
    kernel = ct.compile(UV, "array")
    f, lam = strict.asarray([1.0, 0.5, 0.1]), strict.asarray([2.0, 2.0, 1.0])
    eta = strict.asarray([0.3, 1.4, 2.5])
    there = kernel.run({"f": f, "lam": lam}, 60, eta=eta, n=100.0)
    here = kernel.run(
        {"f": [1.0, 0.5, 0.1], "lam": [2.0, 2.0, 1.0]}, 60, eta=[0.3, 1.4, 2.5], n=100.0
    )
    assert type(there.state["f"]) is type(f)
    assert np.asarray(there.state["f"]).tolist() == here.state["f"].tolist()
    assert np.asarray(there.status).tolist() == here.status.tolist()
    path = kernel.trajectory({"f": f, "lam": lam}, 6, every=3, eta=eta, n=100.0)
    assert path["lam"].shape == (3, 3)
    with pytest.raises(InputError, match="backend='array'"):
        ct.compile(UV, "numba").run({"f": f, "lam": lam}, 6, eta=eta, n=100.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_lanes_are_no_trouble(backend):
    none = {"f": np.empty((0, 2)), "lam": 2.0}
    kernel = ct.compile(UV, backend)
    assert kernel.run(none, 5, eta=0.5, n=10.0).status.shape == (0, 2)
    assert kernel.trajectory(none, 5, eta=0.5, n=10.0)["f"].shape == (6, 0, 2)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_trajectory_fills_the_buffers_it_is_given(backend):
    kernel = ct.compile(UV, backend)
    given_ = {"eta": np.array([0.5, 1.4]), "n": 100.0}
    want = kernel.trajectory(START, 7, every=2, **given_)
    for order in "CF":
        out = {name: np.empty((4, 2), order=order) for name in START}
        got = kernel.trajectory(START, 7, every=2, out=out, **given_)
        assert got["f"] is out["f"]
        assert all(np.array_equal(out[name], want[name]) for name in START)
    bad = {"read-only": np.empty((4, 2)), "shape": np.empty((3, 2)), "int": np.empty((4, 2), int)}
    bad["read-only"].flags.writeable = False
    for says, buffer in bad.items():
        with pytest.raises(InputError, match=says):
            kernel.trajectory(START, 7, every=2, out={**out, "f": buffer}, **given_)


def test_a_run_is_its_steps_bit_for_bit():
    kernel = ct.compile(UV, "numba")
    point = (1.0, 2.0)
    for _ in range(25):
        point = kernel.step(*point, eta=1.4, n=100.0)
    assert tuple(point) == tuple(kernel.run(START, 25, eta=1.4, n=100.0).state.values())


@pytest.mark.parametrize("value", [-1e3, -40.0, 40.0, 1e3])
def test_the_logistic_loss_does_not_overflow(value):
    update_map, _ = SCALARS["logistic"]
    kernel = ct.compile(update_map, "array")
    at = kernel.trajectory(
        {"f": value, "lam": 2e3}, 1, eta=0.1, n=1e6, observables=["loss", "grad_norm2"]
    )
    assert np.isfinite(at["f"]).all()
    assert at["loss"][0] == pytest.approx(np.logaddexp(0.0, -value), rel=1e-14)


def test_parameters_outside_their_range_are_refused():
    update_map, _ = SCALARS["momentum"]
    start = {s.name: 0.0 for s in update_map.variables}
    with pytest.raises(InputError, match="beta must not be negative"):
        ct.compile(update_map, "array").run(start, 1, eta=0.1, n=10.0, beta=-0.1)
    with pytest.raises(InputError, match="n must be positive"):
        ct.compile(UV, "array").run(START, 1, eta=0.1, n=[10.0, 0.0])


def test_a_kernel_travels_to_another_process():
    kernel = ct.compile(UV, "array")
    kernel.run(START, 1, eta=0.1, n=10.0)
    copy = pickle.loads(pickle.dumps(kernel))
    assert copy.source == kernel.source
    assert copy.step(1.0, 2.0, eta=0.5, n=4) == kernel.step(1.0, 2.0, eta=0.5, n=4)


@pytest.mark.parametrize("size", [DENSE_UP_TO, DENSE_UP_TO + 20])
def test_the_top_eigenvalue_is_that_of_the_dense_matrix(size):
    root = np.random.default_rng(size).normal(size=(size, size))
    matrix = root @ root.T
    found = top_eigenvalue(lambda r: (matrix @ r.ravel()).reshape(r.shape), (size, 1))
    values = np.linalg.eigvalsh(matrix)
    assert found == pytest.approx(values[-1], rel=1e-10)
    assert found != pytest.approx(values[-2], rel=1e-10)


def test_an_unchanged_file_is_left_alone_and_a_damaged_one_written_anew():
    source = "VALUE = 41\n"
    module = load_module(source, ("test",))
    path = cache_folder() / f"{module.__name__}.py"
    stamp = path.stat().st_mtime_ns
    del sys.modules[module.__name__]
    load_module(source, ("test",))
    assert path.stat().st_mtime_ns == stamp
    del sys.modules[module.__name__]
    path.write_text("VALUE = 4")
    assert load_module(source, ("test",)).VALUE == 41
    assert path.read_text() == source
    assert load_module(source, ("other key",)).__name__ != module.__name__


ALONE = """
import sys, runpy
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('sympy', 'catapult_theory'):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy as np
sys.path.insert(0, '.')
import emitted
print(*(float(x).hex() for x in emitted.step(1.0, 2.0, 0.5, 7.0)))
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_emitted_file_steps_by_itself(tmp_path, backend):
    kernel = ct.compile(UV, backend)
    (tmp_path / "emitted.py").write_text(kernel.source)
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ},
    )
    want = [x.hex() for x in kernel.step(1.0, 2.0, eta=0.5, n=7.0)]
    assert done.stdout.split() == want, done.stderr
