"""Kernels through their public face: steps, runs and trajectories of every backend."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import catapult_theory as ct
from catapult_theory.errors import InputError
from catapult_theory.symbolic import models, optimizers
from catapult_theory.symbolic.closure import derive

BACKENDS = ("array", "numba")
EPS = np.finfo(float).eps
UV = derive(models.uv())
LABELLED = derive(models.uv(label=True))


def kernel(update_map, backend):
    return ct.compile(update_map, backend)


def by_hand(f, lam, eta, n):
    """One step of the uv-model from the raw rule, in the order of the theory's equations."""
    return f - eta * lam * f + eta**2 / n * f**3, lam + eta * f**2 / n * (eta * lam - 4)


def largest_summand(f, lam, eta, n):
    return max(abs(f), abs(eta * lam * f), eta**2 / n * abs(f) ** 3), max(
        lam, abs(4 * eta * f**2 / n), eta**2 * f**2 * lam / n
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_step_is_right_to_four_units_of_the_largest_summand(backend):
    rng = np.random.default_rng(0)
    step = kernel(UV, backend).step
    for f, lam, eta in zip(
        rng.normal(size=50), rng.uniform(1, 4, 50), rng.uniform(0, 1, 50), strict=True
    ):
        new = step(f, lam, eta=eta, n=7)
        right, wrong = by_hand(f, lam, eta, 7), by_hand(f, lam, 1.001 * eta, 7)
        scale = largest_summand(f, lam, eta, 7)
        for got, want, other, size in zip(new, right, wrong, scale, strict=True):
            assert abs(got - want) <= 4 * EPS * size
            assert abs(got - other) > 4 * EPS * size


@pytest.mark.parametrize(
    ("loss", "rule", "parameters"),
    [
        ("squared", "gd", {}),
        ("logistic", "gd", {}),
        ("squared", "weight_decay", {"omega": 0.01}),
        ("squared", "heavy_ball", {"beta": 0.8}),
    ],
)
def test_backends_agree_on_whole_runs(loss, rule, parameters):
    update_map = derive(models.uv(label=True), loss, rule)
    start = {s.name: {"f": 0.3, "lam": 2.0}.get(s.name, 0.0) for s in update_map.variables}
    given_ = {"eta": np.array([0.2, 0.7, 1.3]), "n": 100, "y": 1.0, **parameters}
    first, second = (kernel(update_map, b).run(start, 60, **given_) for b in BACKENDS)
    assert first.status.tolist() == second.status.tolist()
    # sixty steps of a catapult multiply rounding by at most some hundreds
    assert np.allclose(first.state["f"], second.state["f"], rtol=1e-10, atol=1e-13)
    assert np.allclose(first.peak_loss, second.peak_loss, rtol=1e-10)
    assert first.peak_step.tolist() == second.peak_step.tolist()


@pytest.mark.parametrize("backend", BACKENDS)
def test_status_peak_and_freezing(backend):
    run = kernel(UV, backend).run
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        r = run({"f": [1.0, 1.0, 1.0, np.nan], "lam": 2.0}, 400, eta=[0.25, 1.5, 2.5, 1.0], n=100.0)
    assert r.status.tolist() == [
        ct.Status.CONVERGED,
        ct.Status.CONVERGED,
        ct.Status.DIVERGED,
        ct.Status.INVALID,
    ]
    assert r.peak_step[0] == 0
    assert r.peak_loss[0] == 0.5
    assert r.peak_loss[1] > 1
    assert r.status_step[2] < 20
    assert np.isnan(r.state["f"][3])
    alone = run({"f": 1.0, "lam": 2.0}, 400, eta=1.5, n=100.0)
    assert alone.state["f"] == r.state["f"][1]
    assert alone.peak_loss == r.peak_loss[1]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_peak_includes_the_final_state(backend):
    r = kernel(UV, backend).run({"f": 1.0, "lam": 2.0}, 3, eta=1.5, n=4096)
    path = kernel(UV, backend).trajectory(
        {"f": 1.0, "lam": 2.0}, 3, eta=1.5, n=4096, observables=["loss"]
    )
    assert r.peak_step == 3
    assert r.peak_loss == path["loss"][3] == r.loss
    assert kernel(UV, backend).run({"f": 1.0, "lam": 2.0}, 0, eta=1.5, n=4096).peak_loss == 0.5


@pytest.mark.parametrize("backend", BACKENDS)
def test_trajectory_keeps_every_so_many_steps_and_agrees_with_run(backend):
    k = kernel(LABELLED, backend)
    given_ = {"eta": np.array([[0.3], [1.1]]), "n": np.array([50.0, 5000.0]), "y": 0.5}
    whole = k.trajectory({"f": 1.0, "lam": 2.0}, 12, **given_)
    some = k.trajectory({"f": 1.0, "lam": 2.0}, 12, every=5, **given_)
    assert whole["f"].shape == (13, 2, 2)
    assert some["lam"].shape == (3, 2, 2)
    assert np.array_equal(some["f"], whole["f"][::5])
    assert np.array_equal(whole["f"][-1], k.run({"f": 1.0, "lam": 2.0}, 12, **given_).state["f"])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_bits_do_not_depend_on_threads(threads):
    rng = np.random.default_rng(1)
    start = {"f": rng.normal(size=10_000), "lam": 2.0}
    runs = [kernel(UV, "numba").run(start, 50, eta=1.4, n=100, threads=t) for t in (None, threads)]
    assert runs[0].state["f"].tobytes() == runs[1].state["f"].tobytes()


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(0, 4), max_size=3),
    dtype=st.sampled_from([">f8", "<f4", "<i4", "<f8"]),
    flip=st.booleans(),
    backend=st.sampled_from(BACKENDS),
)
def test_step_takes_any_layout_and_keeps_the_shape(shape, dtype, flip, backend):
    f = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    f = f.T if flip else f
    new = kernel(UV, backend).step(f, 2.0, eta=0.5, n=9)
    assert np.shape(new.f) == f.shape == np.shape(new.lam)
    want = by_hand(f.astype(float), 2.0, 0.5, 9)[0]
    assert np.allclose(new.f, want, rtol=1e-12, atol=1e-12)


def test_scalars_in_scalars_out():
    new = kernel(UV, "array").step(1.0, 2.0, eta=0.5, n=4)
    assert (new.f, new.lam) == (0.0625, 1.625)
    assert isinstance(new.f, float)


def test_the_array_target_leaves_foreign_arrays_what_they_are():
    xp = array_api_strict
    f, lam = xp.asarray([1.0, 0.5]), xp.asarray([2.0, 2.0])
    new = kernel(UV, "array").step(f, lam, eta=xp.asarray(0.5), n=xp.asarray(4.0))
    assert type(new.f) is type(f)
    assert float(new.f[0]) == 0.0625


def raw_step(v, u, x, t, eta, width, slope):
    out = x @ u.T @ v.T / np.sqrt(width)
    g = slope(out, t) / len(x)
    return v - eta * g.T @ x @ u.T / np.sqrt(width), u - eta * v.T @ g.T @ x / np.sqrt(width)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


SLOPES = {
    "squared": lambda out, t: out - t,
    "logistic": lambda out, t: -t / (1 + np.exp(t * out)),
    "softmax_cross_entropy": lambda out, t: softmax(out) - t,
}


@pytest.mark.parametrize("backend", BACKENDS)
# Sizes of test_matrix_kernels: what was compiled there is found on disk.
@pytest.mark.parametrize(
    ("loss", "outputs", "d"),
    [("squared", 1, 10), ("logistic", 1, 11), ("softmax_cross_entropy", 3, 20)],
)
def test_matrix_kernels_follow_raw_training(backend, loss, outputs, d):
    width, m, eta = 24, 9, 0.4
    rng = np.random.default_rng(outputs)
    x, t = rng.normal(size=(m, d)), np.sign(rng.normal(size=(m, outputs)))
    if loss == "softmax_cross_entropy":
        t = np.eye(outputs)[rng.integers(0, outputs, m)]
    v, u = rng.normal(size=(outputs, width)), rng.normal(size=(width, d))
    update_map = derive(models.linear(inputs=d, outputs=outputs), loss)

    def state():
        phi = np.hstack([v.T, u])
        return update_map.state_from_gram(phi.T @ phi / width, width)

    start = state()
    for _ in range(5):
        v, u = raw_step(v, u, x, t, eta, width, SLOPES[loss])
    after = state()
    k = kernel(update_map, backend)
    r = k.run(start, 5, data=(x, t), eta=eta, n=width)
    wrong = k.run(start, 5, data=(x, t), eta=1.001 * eta, n=width)
    for name in after:
        size = np.abs(after[name]).max()
        assert np.abs(r.state[name] - after[name]).max() <= 1e-13 * size * 10
        assert np.abs(wrong.state[name] - after[name]).max() > 1e-6 * size


def test_the_kernel_eigenvalue_is_that_of_the_dense_tangent_kernel():
    width, d, m, k = 6, 3, 30, 3
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(m, d)), rng.normal(size=(m, k))
    v, u = rng.normal(size=(k, width)), rng.normal(size=(width, d))
    update_map = derive(models.linear(inputs=d, outputs=k))
    phi = np.hstack([v.T, u])
    start = update_map.state_from_gram(phi.T @ phi / width, width)
    jac_u = np.einsum("ki,ad->akid", v, x) / np.sqrt(width)
    jac_v = np.einsum("kl,ai->akli", np.eye(k), x @ u.T) / np.sqrt(width)
    jac = np.concatenate([jac_u.reshape(m * k, -1), jac_v.reshape(m * k, -1)], axis=1)
    top = np.linalg.eigvalsh(jac @ jac.T)[-1] / m
    lam = kernel(update_map, "array").trajectory(
        start, 0, data=(x, t), eta=0.1, n=width, observables=["lam"]
    )["lam"]
    assert lam.item() == pytest.approx(top, rel=1e-10)


SCRIPT = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('sympy', 'catapult_theory'):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
scope = {'__name__': 'emitted', '__file__': sys.argv[1]}
import importlib.util
spec = importlib.util.spec_from_file_location('emitted', sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules['emitted'] = module
spec.loader.exec_module(module)
print('loaded')
"""


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "update_map", [UV, derive(models.linear(), "logistic")], ids=["scalar", "matrix"]
)
def test_emitted_files_stand_alone(tmp_path, backend, update_map):
    file = tmp_path / "emitted.py"
    file.write_text(kernel(update_map, backend).source)
    out = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(file)], capture_output=True, text=True, cwd=tmp_path
    )
    assert out.stdout.strip() == "loaded", out.stderr


SOURCES = """
import catapult_theory as ct
for rule in ('gd', 'heavy_ball'):
    for model, loss in ((ct.models.uv(label=True), 'logistic'), (ct.models.linear(), 'squared')):
        for backend in ('array', 'numba'):
            print(ct.compile(ct.derive(model, loss, rule), backend).source)
"""


def test_sources_are_the_same_to_the_byte_for_any_hash_seed():
    texts = set()
    for seed in ("0", "12345"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        out = subprocess.run(
            [sys.executable, "-c", SOURCES], capture_output=True, env=env, check=True
        )
        texts.add(out.stdout)
    assert len(texts) == 1


def test_operations_are_counted_after_each_pass():
    counts = list(
        dict(kernel(derive(models.uv(), optimizer="heavy_ball"), "numba").operations).values()
    )
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < counts[0]


BAD = [
    (lambda: ct.compile(UV, "nunba"), "did you mean 'numba'"),
    (lambda: ct.compile(UV, dtype="float16"), "float"),
    (lambda: kernel(UV, "array").step(1.0, eta=1, n=1), "f, lam"),
    (lambda: kernel(UV, "array").step(1.0, 2.0, eta=1), "n"),
    (lambda: kernel(UV, "array").step(1.0, 2.0, eta=1, n=2, etta=3), "eta"),
    (lambda: kernel(UV, "array").step(1.0, 2.0, eta=-1, n=2), "positive"),
    (lambda: kernel(UV, "array").step([1.0, 2.0], [1.0, 2.0, 3.0], eta=1, n=2), "broadcast"),
    (lambda: kernel(UV, "array").step("a", 2.0, eta=1, n=2), "real"),
    (lambda: kernel(UV, "array").run({"f": 1.0}, 5, eta=1, n=2), "lam"),
    (lambda: kernel(UV, "array").run({"f": 1.0, "lam": 2.0}, -5, eta=1, n=2), "steps"),
    (lambda: kernel(UV, "array").run({"f": 1.0, "lam": 2.0}, 2.5, eta=1, n=2), "steps"),
    (
        lambda: kernel(UV, "array").trajectory({"f": 1.0, "lam": 2.0}, 5, every=0, eta=1, n=2),
        "every",
    ),
    (
        lambda: kernel(UV, "array").trajectory(
            {"f": 1.0, "lam": 2.0}, 5, observables=["los"], eta=1, n=2
        ),
        "did you mean 'loss'",
    ),
]


@pytest.mark.parametrize(("make", "says"), BAD)
def test_bad_input_gets_one_clear_error(make, says):
    with pytest.raises(InputError) as caught:
        make()
    assert says in str(caught.value)


def test_an_unwritable_cache_is_said_with_its_remedy(tmp_path, monkeypatch):
    file = tmp_path / "a file, not a folder"
    file.write_text("")
    monkeypatch.setenv("CATAPULT_CACHE", str(file / "cache"))
    fresh = derive(models.uv(label=0.123), optimizer=optimizers.heavy_ball(0.456))
    start = {s.name: 1.0 for s in fresh.variables}
    with pytest.raises(ct.OutputError, match="CATAPULT_CACHE"):
        ct.compile(fresh, "numba").run(start, 1, eta=0.1, n=10)
