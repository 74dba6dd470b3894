"""What a run decides about a lane, against a loop that anyone can read."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import catapult_theory as ct
from catapult_theory.codegen.lowering import loop_program

BACKENDS = ("array", "numba", "llvm")
CONVERGED, DIVERGED, INVALID, UNDECIDED = (
    ct.Status.CONVERGED,
    ct.Status.DIVERGED,
    ct.Status.INVALID,
    ct.Status.UNDECIDED,
)
UV = ct.derive(ct.models.uv())
LABELLED = ct.derive(ct.models.uv(label=True))
DECAYED = ct.derive(ct.models.uv(label=True), optimizer="weight_decay")


def reference(f, lam, eta, n, steps, tolerance=1e-24):
    """The verdict of the theory's section 1 on the uv-model, in plain Python numbers."""
    if any(math.isnan(v) for v in (f, lam, eta, n)):
        return INVALID, 0, math.nan, 0
    peak = largest = -1.0
    when = 0
    for t in range(steps + 1):
        loss, norm = 0.5 * f * f, f * f * lam
        if loss > peak:
            peak, when = loss, t
        largest = max(largest, norm)
        top = max(lam / 2 + math.sqrt(lam * lam / 4 + 3 * f * f / n), abs(f) / math.sqrt(n))
        if abs(eta * f / math.sqrt(n)) > 1e100:
            return DIVERGED, t, peak, when
        if norm <= tolerance * largest and eta * top < 2:
            return CONVERGED, t, peak, when
        if t < steps:
            f, lam = (
                f * (1 - eta * lam + eta * eta * f * f / n),
                lam + eta * f * f / n * (eta * lam - 4),
            )
    return UNDECIDED, steps, peak, when


def starts(count):
    rng = np.random.default_rng(7)
    lam = rng.uniform(0.5, 3.0, count)
    n = np.exp(rng.uniform(1, 20, count))
    f = rng.uniform(-1, 1, count) * np.minimum(np.sqrt(n) * lam / 2, 3.0)
    return f, lam, rng.uniform(0.05, 4.5, count) / lam, n


def references(lanes, steps, tolerance=1e-24):
    plain = zip(*(np.asarray(a).tolist() for a in lanes), strict=True)
    rows = [reference(*lane, steps, tolerance) for lane in plain]
    return tuple(np.array(column) for column in zip(*rows, strict=True))


@pytest.mark.parametrize("backend", BACKENDS)
def test_verdicts_are_those_of_a_plain_loop(backend):
    f, lam, eta, n = starts(300)
    f[::50] = np.nan
    got = ct.compile(UV, backend).run({"f": f, "lam": lam}, 150, eta=eta, n=n)
    status, step, peak, when = references((f, lam, eta, n), 150)
    assert {CONVERGED, DIVERGED, INVALID, UNDECIDED} == set(got.status.tolist())
    assert got.status.tolist() == status.tolist()
    # Lazy lanes are not chaotic: there, steps and peaks agree exactly.
    lazy = (eta * lam < 2) & ~np.isnan(f)
    assert got.status_step[lazy].tolist() == step[lazy].tolist()
    assert got.peak_step[lazy].tolist() == when[lazy].tolist()
    assert np.allclose(got.peak_loss[lazy], peak[lazy], rtol=1e-12)
    other = references((f, lam, eta, n), 150, 1e-20)[1]
    assert got.status_step[lazy].tolist() != other[lazy].tolist()


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_peak_may_be_the_first_a_middle_or_the_last_state(backend):
    kernel = ct.compile(UV, backend)
    ends = kernel.run({"f": 1.0, "lam": 2.0}, 6, eta=[0.3, 1.5], n=[1e4, 1e12])
    assert ends.peak_step.tolist() == [0, 6]
    assert ends.peak_loss[0] == 0.5
    assert ends.peak_loss[1] == ends.loss[1] > 0.5
    start = {"f": 1.0, "lam": 2.0}
    path, middle = kernel.traced(start, 30, eta=1.5, n=1e4, observables=["loss"])
    assert 0 < middle.peak_step < 30
    assert int(np.argmax(path["loss"])) == middle.peak_step
    assert path["loss"].max() == middle.peak_loss


@pytest.mark.parametrize("backend", BACKENDS)
def test_decided_lanes_do_not_touch_their_neighbours(backend):
    f, lam, eta, n = starts(64)
    run = ct.compile(UV, backend).run
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        together = run({"f": f, "lam": lam}, 200, eta=eta, n=n)
    assert len(set(together.status.tolist())) >= 2
    for i in (0, 17, 40):
        alone = run({"f": f[i], "lam": lam[i]}, 200, eta=eta[i], n=n[i])
        for name in ("f", "lam"):
            assert alone.state[name] == together.state[name][i]
        assert alone.status_step == together.status_step[i]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_decided_lane_rests_and_its_trajectory_with_it(backend):
    kernel = ct.compile(UV, backend)
    lanes = {"f": [1.0, 1.0, np.nan], "lam": 2.0}
    eta = [0.3, 2.5, 0.5]
    rows, traced = kernel.traced(lanes, 300, eta=eta, n=100.0)
    path, result = rows["f"], kernel.run(lanes, 300, eta=eta, n=100.0)
    assert traced.status_step.tolist() == result.status_step.tolist()
    for i in (0, 1):
        at = result.status_step[i]
        assert 0 < at < 300
        assert np.all(path[at:, i] == traced.state["f"][i])
        assert path[at - 1, i] != path[at, i]
    assert np.isnan(path[:, 2]).all()
    longer = kernel.run(lanes, 10_000, eta=eta, n=100.0)
    assert longer.status_step.tolist() == result.status_step.tolist()
    assert longer.loss[:2].tolist() == result.loss[:2].tolist()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_that_is_not_finite_is_not_taken(backend):
    # |q| = 1e99 has not diverged by itself; with lam near the largest double the step overflows
    start = {"f": 1e99, "lam": 1e307}
    result = ct.compile(UV, backend).run(start, 5, eta=1.0, n=1.0)
    assert (result.status, result.status_step) == (DIVERGED, 1)
    assert (result.state["f"], result.state["lam"]) == (1e99, 1e307)


@pytest.mark.parametrize("backend", BACKENDS)
def test_resting_on_an_unstable_minimum_is_not_convergence(backend):
    run = ct.compile(UV, backend).run
    assert run({"f": 0.0, "lam": 3.0}, 50, eta=1.0, n=10).status == UNDECIDED
    stable = run({"f": 0.0, "lam": 1.0}, 50, eta=1.0, n=10)
    assert (stable.status, stable.status_step) == (CONVERGED, 0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gradient_norm_that_cancels_to_its_rounding_is_zero(backend):
    """Weight decay with a label: |grad L|^2 = 4 omega f (f-y) + lam (f-y)^2 + n omega^2 lam."""
    assert "rounding" in dict(loop_program(DECAYED).outputs)
    assert "rounding" not in dict(loop_program(LABELLED).outputs)
    given = {"eta": 0.3, "n": 50.0, "y": 1.0, "omega": 0.05}
    result = ct.compile(DECAYED, backend).run({"f": 0.2, "lam": 2.0}, 3000, **given)
    assert result.status == CONVERGED
    after = ct.compile(DECAYED, "array").step(result.state["f"], result.state["lam"], **given)
    # |grad|^2 is known to some eps of its terms, so that the gradient is to the root of that
    assert abs(after.f - result.state["f"]) <= 1e-7
    moving = ct.compile(DECAYED, backend).run({"f": 0.2, "lam": 2.0}, 10, **given)
    assert moving.status == UNDECIDED


@pytest.mark.parametrize("backend", BACKENDS)
def test_single_precision_has_bounds_of_its_own(backend):
    kernel = ct.compile(LABELLED, backend, dtype="float32")
    given = {"eta": [0.3, 3.0], "n": 100.0, "y": 1.0}
    result = kernel.run({"f": 0.3, "lam": 2.0}, 400, **given)
    assert result.status.tolist() == [CONVERGED, DIVERGED]
    assert {a.dtype.name for a in result.state.values()} == {"float32"}
    assert abs(result.state["f"][0] - 1) < 1e-5
    double = ct.compile(LABELLED, backend).run({"f": 0.3, "lam": 2.0}, 400, **given)
    assert result.status_step[0] < double.status_step[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_limit_of_infinite_width_can_be_run(backend):
    path = ct.compile(UV, backend).trajectory({"f": 1.0, "lam": 2.0}, 4, eta=0.25, n=np.inf)
    assert path["f"].tolist() == [0.5**t for t in range(5)]
    assert set(path["lam"].tolist()) == {2.0}
