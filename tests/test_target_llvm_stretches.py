"""Target "llvm": what a stretch of steps hides until its end is found, wherever it lies in it.

A run to every number of steps shows the states of a lane one after another, to the bit; peak and
verdict of a long run must be those that its own states give by the definition of status.py.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import catapult_theory as ct
from catapult_theory.codegen.llvm_host import native
from catapult_theory.codegen.llvm_layout import PIECE
from catapult_theory.codegen.llvm_target import layout_for
from catapult_theory.codegen.scaled_form import run_form
from catapult_theory.codegen.status import LIMITS, Status

LONG = np.longdouble
EPS = float(np.finfo(float).eps)
needs_long_double = pytest.mark.skipif(np.finfo(LONG).nmant < 63, reason="long double is double")

MAPS = {
    "uv": (lambda: ct.models.uv(), "squared", "gd", {}),
    "label": (lambda: ct.models.uv(label=True), "squared", "gd", {"y": 0.7}),
    "huber": (lambda: ct.models.uv(label=1), "huber", "gd", {}),
    "momentum": (lambda: ct.models.uv(), "squared", "heavy_ball", {"beta": 0.6}),
    "decay": (
        lambda: ct.models.uv(label=True),
        "squared",
        "weight_decay",
        {"y": 3.0, "omega": 0.5},
    ),
    "one frame": (
        lambda: ct.models.quadratic_activation_one_sample(positive=1, label=True),
        *("squared", "gd", {"y": 0.7}),
    ),
    "clipped": (lambda: ct.models.uv(label=True), "squared", "clipped", {"y": 0.7, "clip": 1.0}),
}


@cache
def kernel(title, backend="llvm", dtype="float64"):
    model, loss, optimizer, _ = MAPS[title]
    return ct.compile(ct.derive(model(), loss, optimizer), backend, dtype)


def lanes(title, count, seed, low=0.1, high=4.1):
    """Return a start and parameters: from lazy to divergent, several widths."""
    rng = np.random.default_rng(seed)
    update_map = kernel(title).update_map
    state = {s.name: np.zeros(count) for s in update_map.variables}
    lam, n = rng.uniform(1, 3, count), rng.choice([4.0, 16.0, 256.0, 1e4, 1e8, 1e12], count)
    f = np.clip(rng.normal(size=count), -0.4 * np.sqrt(n) * lam, 0.4 * np.sqrt(n) * lam)
    given_ = {"eta": rng.uniform(low, high, count) / lam, "n": n}
    started = {**state, "f": f, "lam": lam}
    return {name: started[name] for name in state}, {**given_, **MAPS[title][-1]}


def taken(values, where):
    return {k: v[where] if np.ndim(v) else v for k, v in values.items()}


def history(k, state, given_, steps):
    """Return the outcomes of runs to 1, 2, ..., steps."""
    return [k.run(state, t, threads=1, **given_) for t in range(1, steps + 1)]


def followed(runs):
    """Return status, its step, and the peak that the states of the runs give, after each of them.

    A lane that a run has found decided stays so.
    """
    first = runs[0]
    peak = np.where(first.peak_step == 0, first.peak_loss, first.loss)
    status, when = np.zeros_like(first.status), np.zeros_like(first.status)
    for t, run in enumerate(runs, 1):
        peak = np.where((status == 0) & (run.loss > peak), run.loss, peak)
        new = (status == 0) & (run.status > 0)
        status, when = np.where(new, run.status, status), np.where(new, run.status_step, when)
        yield run, status, np.where(status > 0, when, t), peak


CASES = [
    *((title, "float64") for title in MAPS),
    *((title, "float32") for title in ("uv", "label", "decay", "one frame")),
]


@pytest.mark.parametrize(("title", "dtype"), CASES)
def test_a_run_decides_and_peaks_where_its_own_states_say(title, dtype):
    """Whether the step is the first of a piece, the last of a stretch, or in a last part."""
    longest = layout_for(run_form(kernel(title).update_map), dtype, native()).longest
    steps = longest + 3 * PIECE + 5
    state, given_ = lanes(title, 400, seed=1)
    runs = history(kernel(title, dtype=dtype), state, given_, steps)
    ends, peaks = set(), set()
    for run, status, when, peak in followed(runs):
        assert np.array_equal(run.status, status)
        assert np.array_equal(run.status_step, when)
        assert np.array_equal(run.peak_loss, peak)
        ends |= set((run.status_step[run.status > 0] % PIECE).tolist())
        peaks |= set((run.peak_step % PIECE).tolist())
    assert ends == set(range(PIECE))
    assert peaks == ends or title == "one frame"
    # The step of the peak is the first at which a run of so many steps ends with that loss. Beyond
    # the units of the loop losses may be equal that are not in them.
    for t, run in enumerate(runs, 1):
        own = runs[t - 1].peak_step
        for lane in np.flatnonzero(own == t):
            assert run.loss[lane] == run.peak_loss[lane]
            assert t == 1 or run.loss[lane] >= runs[t - 2].peak_loss[lane]
    # Negative control: an earlier loss is no peak of these runs.
    last = runs[-1]
    assert not np.array_equal(runs[PIECE].peak_loss, last.peak_loss)
    assert {0, 1} <= set(last.status.tolist())


@pytest.mark.parametrize("title", ["uv", "label", "decay", "momentum"])
@pytest.mark.parametrize("seed", [2, 8, 9])
def test_a_lane_ends_alike_alone_and_among_others_after_long_stretches(title, seed):
    """Peak and end may lie in one stretch, and others of the queue may be in doubt."""
    state, given_ = lanes(title, 600, seed, low=1.9)
    k = kernel(title)
    whole = k.run(state, 1000, **given_)
    fast = np.flatnonzero((whole.status_step - whole.peak_step < 60) & (whole.status == 1))
    lanes_ = fast[:150] if len(fast) else np.arange(100)
    for lane in lanes_:
        own = k.run(taken(state, lane), 1000, **taken(given_, lane))
        found = [own.loss, own.peak_loss, own.peak_step, own.status, own.status_step]
        want = [v[lane] for v in whole.verdicts]
        assert np.array_equal(found, want), (lane, found, want)


@cache
def growing(count=700):
    """Return lanes whose peaks lie at steps 0, 1, 2, ... and later: the smaller the later."""
    rng = np.random.default_rng(4)
    a = np.concatenate(
        [rng.uniform(0.2, 1.9, count // 4), rng.uniform(2.3, 3.3, count - count // 4)]
    )
    lam = rng.uniform(1, 3, count)
    f = 10.0 ** rng.uniform(-120, 0, count)
    return {"f": f, "lam": lam}, {"eta": a / lam, "n": rng.choice([1e4, 1e8], count)}


@settings(max_examples=60, deadline=None)
@given(
    steps=st.one_of(
        st.integers(1, 40),
        st.sampled_from([63, 64, 65, 255, 256, 257, 271, 511, 512, 513]),
        st.integers(1, 600),
    ),
    first=st.integers(0, 600),
    count=st.one_of(st.sampled_from([1, 4, 5, 8, 31, 32, 33, 100]), st.integers(1, 100)),
)
def test_peaks_and_verdicts_are_those_of_numba_for_any_steps_and_lanes(steps, first, count):
    state, given_ = (taken(x, slice(first, first + count)) for x in growing())
    got, want = (kernel("uv", b).run(state, steps, **given_) for b in ("llvm", "numba"))
    for name in ("status", "status_step", "peak_step"):
        assert np.array_equal(getattr(got, name), getattr(want, name)), name
    assert np.allclose(got.peak_loss, want.peak_loss, rtol=1e-9, atol=0)
    later = kernel("uv").run(state, steps + 1, **given_)
    moved = (later.status_step != got.status_step) | (later.peak_step != got.peak_step)
    assert np.array_equal(moved, (got.status == 0) | (later.peak_step != got.peak_step))


def test_those_lanes_peak_at_every_position_of_a_stretch():
    state, given_ = growing()
    found = kernel("uv").run(state, 600, **given_)
    assert set((found.peak_step % PIECE).tolist()) == set(range(PIECE))
    assert np.unique(found.peak_step // PIECE).size > 12
    assert {0, 1} <= set(found.status.tolist())


def test_the_first_of_equal_peaks_counts():
    """At a label with kappa = 0 and a = 2 the output only changes its sign: f' = -f + O(q^2)."""
    state = {"f": np.full(40, 2.0**-30), "lam": np.full(40, 2.0)}
    given_ = {"eta": 1.0, "n": 2.0**200}
    for backend in ("llvm", "numba", "array"):
        found = kernel("uv", backend).run(state, 700, **given_)
        assert found.peak_step.tolist() == [0] * 40
        assert found.status.tolist() == [Status.UNDECIDED] * 40


def test_a_lane_that_passes_the_bound_and_comes_back_has_diverged():
    """The Huber loss grows like |f|: it tells nothing of |q| > 1e100, and a step may undo it."""
    state, given_ = lanes("huber", 4000, seed=3)
    given_["eta"] = given_["eta"] * np.random.default_rng(3).uniform(1, 3, 4000)
    want, got = (kernel("huber", b).run(state, 400, **given_) for b in ("array", "llvm"))
    over = np.flatnonzero((want.status == Status.DIVERGED) & np.isfinite(want.loss))
    names = [s.name for s in kernel("huber").update_map.variables]
    after = kernel("huber", "array").step(
        *(want.state[n][over] for n in names), **taken(given_, over)
    )
    q = np.abs(given_["eta"][over] * after.f) / np.sqrt(given_["n"][over])
    back = over[q < LIMITS["float64"].bound]
    assert back.size >= 3
    assert np.all(got.status[back] == Status.DIVERGED)
    assert np.array_equal(got.status_step[back], want.status_step[back])


def test_what_is_decided_at_the_start_is_so_at_step_zero():
    k, array = kernel("decay"), kernel("decay", "array")
    given_ = {"eta": 0.1, "n": 50.0, "y": 3.0, "omega": 0.05}
    rest = array.run({"f": 2.5, "lam": 2.0}, 30_000, **given_).state
    for backend in (k, array):
        found = backend.run(rest, 300, **given_)
        assert (found.status, found.status_step) == (Status.CONVERGED, 0)
    moved = k.run({**rest, "f": rest["f"] - 1e-3}, 300, **given_)
    assert moved.status_step > 0


@needs_long_double
@pytest.mark.skipif(not native().fuses, reason="no fused multiply-add here")
def test_a_step_keeps_the_digits_of_a_tiny_learning_rate():
    """f' = f (1 - eta lam + q^2) is f + f (q^2 - eta lam) in one rounding.

    1 - 1e-9 has lost eta lam's digits below eps, alike in every step; 1000 steps add that up.
    """
    count, steps = 200, 1000
    rng = np.random.default_rng(6)
    f, lam, n = rng.uniform(0.5, 2, count), rng.uniform(1, 3, count), np.full(count, 1e6)
    eta = 1e-9 * rng.uniform(0.5, 2, count) / lam
    got = kernel("uv").run({"f": f, "lam": lam}, steps, eta=eta, n=n)
    exact = [np.asarray(x, LONG) for x in (f, lam)]
    plain = [f.copy(), lam.copy()]
    for _ in range(steps):
        exact = stepped(*exact, np.asarray(eta, LONG), np.asarray(n, LONG))
        plain = stepped(*plain, eta, n)
    fine, coarse = (np.abs(x / exact[0] - 1).astype(float) for x in (got.state["f"], plain[0]))
    assert np.all(got.status == Status.UNDECIDED)
    assert fine.max() <= 100 * EPS
    assert np.sqrt(np.mean(fine**2)) <= 30 * EPS
    assert np.sqrt(np.mean(coarse**2)) > 4 * np.sqrt(np.mean(fine**2))
    # The change itself, 1e-6 of f, is known to 1e-9 of it.
    change = np.abs((got.state["f"] - f) / (exact[0] - f).astype(float) - 1)
    assert change.max() <= 1e-7


def stepped(f, lam, eta, n):
    b = eta * eta * f * f / n
    return f * (1 - eta * lam + b), lam + b / eta * (eta * lam - 4)
