"""Compiled matrix maps that take one pass a step: the same orbits, verdicts and bits.

The reference is the array target, which runs the lowered program as it stands. The compiled
kernels turn the data (squared loss), defer products and work in vectors, so that they differ in
rounding alone: a few eps a step, which add up over 200 steps to less than 1e-12.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import catapult_theory as ct
from catapult_theory.codegen.lowering import loop_program
from catapult_theory.codegen.matrix_congruence import congruence
from catapult_theory.codegen.matrix_deferral import deferral
from catapult_theory.codegen.numba_fused import fused

WIDTH = 512.0
ORBIT = 1e-12
EPS = float(np.finfo(float).eps)

# Outputs, inputs, samples, loss: rows in groups of lanes (10, 5), along one lane (37, 64), blocks
# (k > 1); sizes off the vector width; more and fewer samples than inputs; losses without a
# turned basis. Every number of outputs and inputs is compiled for itself, for seconds.
SHORT, FEW = (1, 10, 40, "squared"), (1, 10, 6, "squared")
LONG, LONG_FEW = (1, 37, 60, "squared"), (1, 37, 12, "squared")
BLOCKS, SOFTMAX = (3, 17, 9, "squared"), (3, 20, 30, "softmax_cross_entropy")
CASES = (SHORT, FEW, LONG, LONG_FEW, BLOCKS, SOFTMAX, (1, 11, 20, "logistic"))
MORE = ((1, 5, 3, "squared"), (1, 64, 100, "squared"), (10, 24, 40, "squared"))
ALL = [
    pytest.param(case, id="-".join(map(str, case)), marks=[pytest.mark.full] * (case in MORE))
    for case in CASES + MORE
]


@cache
def update_map(outputs, inputs, loss, optimizer="gd"):
    return ct.derive(ct.models.linear(inputs=inputs, outputs=outputs), loss, optimizer)


@cache
def kernel(outputs, inputs, loss, backend, dtype="float64"):
    return ct.compile(update_map(outputs, inputs, loss), backend, dtype)


def problem(outputs, inputs, samples, loss, lanes=5):
    """A start for each lane, and data of mean |x|^2 = 1."""
    rng = np.random.default_rng(inputs)
    X = rng.normal(size=(samples, inputs)) / np.sqrt(inputs)
    if loss == "softmax_cross_entropy":
        Y = np.eye(outputs)[rng.integers(outputs, size=samples)]
    else:
        Y = np.sign(rng.normal(size=(samples, outputs)))
    gram = ct.gaussian_start(seeds=range(lanes)).gram(inputs + outputs, int(WIDTH))
    return update_map(outputs, inputs, loss).state_from_gram(gram, WIDTH), (X, Y)


def both(case, steps, eta, scale=1.0):
    """Run a case with the array target and compiled, there with eta times a scale."""
    outputs, inputs, _, loss = case
    lanes = np.size(eta)
    start, data = problem(*case, lanes=lanes)
    runs = []
    for backend, factor in (("array", 1.0), ("numba", scale)):
        k = kernel(outputs, inputs, loss, backend)
        runs.append(k.run(start, steps, data=data, eta=factor * np.asarray(eta), n=WIDTH))
    return runs


def deviation(case, eta, scale=1.0):
    """The largest error of a block over the running maximum of its norm, along an orbit."""
    worst, largest = 0.0, {}
    # Fewer steps than half the inputs run in the given basis, all others in the turned one.
    for steps in (1, 2, 5, 20, 75, 200):
        expected, found = both(case, steps, eta, scale)
        for name, value in expected.state.items():
            axes = (-2, -1)
            norm = np.sqrt((value**2).sum(axes))
            largest[name] = np.maximum(largest.get(name, 0.0), norm)
            error = np.sqrt(((value - found.state[name]) ** 2).sum(axes))
            worst = max(worst, float((error / largest[name]).max()))
        error = np.abs(expected.loss - found.loss) / expected.peak_loss
        worst = max(worst, float(error.max()))
    return worst


@pytest.mark.parametrize("case", ALL)
def test_orbits_are_those_of_the_array_target(case):
    eta = np.linspace(0.1, 1.0, 5)
    assert deviation(case, eta) <= ORBIT
    # Negative control: a coefficient that is wrong by 1e-9.
    assert deviation(case, eta, 1 + 1e-9) > ORBIT


@pytest.mark.parametrize("case", ALL)
def test_a_step_is_right_to_four_units_of_the_largest_summand(case):
    turned = -(-case[1] // 2)  # the fewest steps that are taken in the turned basis
    for steps in (1, turned):
        expected, found = both(case, steps, np.linspace(0.1, 1.0, 5))
        wrong = both(case, steps, np.linspace(0.1, 1.0, 5), 1 + 1e-11)[1]
        apart = 0.0
        for name, value in expected.state.items():
            size = steps * np.abs(value).max()
            assert np.abs(value - found.state[name]).max() <= 4 * EPS * size, name
            apart = max(apart, np.abs(value - wrong.state[name]).max() / size)
        assert apart > 4 * EPS


@pytest.mark.parametrize("case", [FEW, LONG_FEW, BLOCKS], ids=["group", "lane", "blocks"])
def test_inputs_that_no_sample_has_keep_their_block_and_drive_the_rest(case):
    start, (X, _) = problem(*case)
    expected, found = both(case, 50, np.full(5, 0.7))
    null = np.linalg.svd(X)[2][len(X) :]
    before, after = (null @ G @ null.T for G in (start["G"], found.state["G"]))
    assert np.abs(before - after).max() <= 50 * EPS * np.abs(start["G"]).max()
    across = null @ (found.state["G"] - start["G"])
    assert np.abs(across).max() > 1e-6
    right = null @ (expected.state["G"] - start["G"])
    assert np.abs(across - right).max() <= ORBIT * np.abs(start["G"]).max()


def bits(result):
    arrays = (*result.state.values(), result.loss, result.peak_loss, result.peak_step)
    return [a.tobytes() for a in (*arrays, result.status, result.status_step)]


@pytest.mark.parametrize("case", [SHORT, LONG, BLOCKS], ids=["groups", "lanes", "blocks"])
def test_bits_depend_neither_on_threads_nor_on_the_lanes_beside(case):
    outputs, inputs, _, loss = case
    start, data = problem(*case, lanes=9)
    eta, k = np.linspace(0.2, 5.0, 9), kernel(outputs, inputs, loss, "numba")
    whole = k.run(start, 100, data=data, eta=eta, n=WIDTH)
    for threads in (1, 2, 5):
        again = k.run(start, 100, data=data, eta=eta, n=WIDTH, threads=threads)
        assert bits(again) == bits(whole)
    for lanes in range(1, 9):
        some = {name: a[-lanes:] for name, a in start.items()}
        part = k.run(some, 100, data=data, eta=eta[-lanes:], n=WIDTH)
        for name, a in whole.state.items():
            assert part.state[name].tobytes() == a[-lanes:].tobytes()
        assert part.loss.tobytes() == whole.loss[-lanes:].tobytes()
    # Negative control: another learning rate gives other bits.
    assert bits(k.run(start, 100, data=data, eta=1.0000001 * eta, n=WIDTH)) != bits(whole)


@pytest.mark.parametrize("case", [SHORT, LONG, BLOCKS], ids=["groups", "lanes", "blocks"])
def test_verdicts_are_those_of_the_array_target(case):
    # In units of the top eigenvalue of X^T X / m: lanes that converge, oscillate and diverge.
    eta = np.array([2.0, 0.5, 8.0, np.nan, 30.0, 1.0, 100.0, 0.01, 3.0, 60.0])
    _, (X, _) = problem(*case)
    eta /= np.linalg.norm(X, 2) ** 2 / len(X)
    expected, found = both(case, 3000, eta)
    np.testing.assert_array_equal(found.status, expected.status)
    np.testing.assert_array_equal(found.peak_step, expected.peak_step)
    assert {1, 2, 3} <= set(found.status.tolist())
    over = found.status == 2
    np.testing.assert_array_equal(found.status_step[over], expected.status_step[over])
    # Near the floor of its gradient a lane may be seen to converge a little sooner or later.
    np.testing.assert_allclose(found.status_step, expected.status_step, rtol=0.02)
    start, _ = problem(*case, lanes=10)
    for name, a in found.state.items():
        assert a[3].tobytes() == start[name][3].tobytes()
    # Negative control: other learning rates, other verdicts.
    assert both(case, 3000, eta, 0.1)[1].status.tolist() != found.status.tolist()


@pytest.mark.parametrize("case", [SHORT, LONG, BLOCKS], ids=["groups", "lanes", "blocks"])
def test_a_step_that_overflows_the_large_matrix_alone_is_not_taken(case):
    outputs, inputs, _, loss = case
    start, data = problem(*case, lanes=2)
    start["S"] = start["S"] * np.array([1.0, 1e200])[:, None, None]
    eta = np.array([0.1, 1e60])
    runs = [
        kernel(outputs, inputs, loss, backend).run(start, 100, data=data, eta=eta, n=WIDTH)
        for backend in ("array", "numba")
    ]
    for r in runs:
        assert r.status.tolist() == [0, 2]
        assert r.status_step.tolist() == [100, 1]
        for name, a in r.state.items():
            assert a[1].tobytes() == start[name][1].tobytes()


@pytest.mark.parametrize("case", [SHORT, LONG, BLOCKS], ids=["groups", "lanes", "blocks"])
def test_no_steps_give_the_start_back_bit_for_bit(case):
    start, _ = problem(*case)
    expected, found = both(case, 0, np.full(5, 0.3))
    for name, a in found.state.items():
        assert a.tobytes() == start[name].tobytes()
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-14)
    moved = both(case, 1, np.full(5, 0.3))[1]
    assert moved.state["W"].tobytes() != start["W"].tobytes()


@pytest.mark.full
@pytest.mark.parametrize("case", [SHORT, SOFTMAX], ids=["groups", "blocks"])
def test_single_precision_keeps_its_digits(case):
    outputs, inputs, _, loss = case
    start, data = problem(*case)
    runs = [
        kernel(outputs, inputs, loss, "numba", dtype).run(
            start, 50, data=data, eta=np.full(5, 0.3), n=WIDTH
        )
        for dtype in ("float64", "float32")
    ]
    for name, a in runs[0].state.items():
        error = np.abs(runs[1].state[name] - a).max() / np.abs(a).max()
        assert EPS < error < 50 * 2.0**-23, name


def test_passes_see_the_algebra_and_not_the_model():
    # Outputs and inputs of one size: indices are told apart by what they contract with.
    square = congruence(loop_program(update_map(3, 3, "squared")))
    assert square.turned == {"W": (False, True), "G": (True, True), "S": (False, False)}
    assert congruence(loop_program(update_map(3, 4, "softmax_cross_entropy"))) is None
    momentum = loop_program(update_map(1, 4, "squared", "heavy_ball"))
    assert deferral(momentum, ["G", "S"]) is None
    assert deferral(loop_program(update_map(3, 4, "squared")), []) is None


def test_maps_that_do_not_fit_run_as_before():
    momentum = update_map(1, 4, "squared", "heavy_ball")
    assert fused(momentum, loop_program(momentum)) is None
    source = ct.compile(momentum, "numba").source
    assert "sweep" not in source
    assert "def run(" in source


def test_groups_are_for_short_rows_of_known_length():
    def has_groups(outputs, inputs, loss):
        return "def run_groups(" in kernel(outputs, inputs, loss, "numba").source

    assert has_groups(1, 10, "squared")
    assert not has_groups(1, 64, "squared")
    assert not has_groups(3, 10, "squared")
    assert not has_groups(1, None, "squared")
