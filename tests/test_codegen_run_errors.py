"""Bad input to runs: one clear error each, before a step is taken."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from catapult_theory.codegen import run_checks
from catapult_theory.codegen.run import grid, run, trajectory
from catapult_theory.errors import CatapultError, DomainError, InputError
from catapult_theory.networks.starts import gaussian_start
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive

UV = derive(models.uv())
MOMENTUM = derive(models.uv(), optimizer="heavy_ball")
LINEAR = derive(models.linear(inputs=3, outputs=2))
GOOD = {"start": {"f": 1.0, "lam": 2.0}, "steps": 5, "eta": 0.1, "n": 16}
X, Y = np.ones((4, 3)), np.ones((4, 2))
BLOCKS = {"W": np.zeros((2, 3)), "G": np.eye(3), "S": np.eye(2)}
MATRIX = {"start": BLOCKS, "steps": 2, "data": (X, Y), "eta": 0.1, "n": 16}

CASES = [
    ("a model in place of a map", {"update_map": models.uv()}, "ct.derive"),
    ("fractional steps", {"steps": 2.5}, "steps must be an integer"),
    ("steps as a float", {"steps": 10.0}, "write 10"),
    ("steps as a truth value", {"steps": True}, "steps must be an integer"),
    ("negative steps", {"steps": -1}, "at least 0"),
    ("no threads", {"threads": 0}, "threads must be at least 1"),
    ("a missing parameter", {"n": None}, "missing parameter n.*n=\\.\\.\\."),
    ("a misspelt parameter", {"etta": 0.1}, "did you mean 'eta'"),
    ("a parameter of another map", {"beta": 0.9}, "unknown parameter 'beta'"),
    ("a width of zero", {"n": 0}, "n must be positive"),
    ("a negative learning rate", {"eta": [0.1, -0.1]}, "eta must be positive.*position 1"),
    ("an infinite learning rate", {"eta": np.inf}, "eta must be positive and finite"),
    ("a learning rate that is no number", {"eta": np.nan}, "got nan"),
    ("a negative momentum", {"update_map": MOMENTUM, "beta": -0.1}, "beta must be non-negative"),
    ("a momentum of one", {"update_map": MOMENTUM, "beta": 1.0}, "non-negative and below 1"),
    ("text for a number", {"eta": "0.1"}, "eta must be real numbers"),
    ("shapes that differ", {"eta": [1, 2, 3], "n": [1, 2]}, "ct.grid"),
    ("no lanes", {"eta": []}, "nothing to run"),
    ("a misspelt observable", {"observables": "sharpnes"}, "did you mean 'sharpness'"),
    ("a misspelt backend", {"backend": "nunba"}, "did you mean 'numba'"),
    ("a misspelt dtype", {"dtype": "float46"}, "did you mean 'float64'"),
    ("data for a scalar map", {"data": (X, Y)}, "takes no data"),
    ("a number as start", {"start": 1.0}, "gaussian_start"),
    ("an incomplete start", {"start": {"f": 1.0}}, "the start lacks lam"),
    ("a misspelt state", {"start": {"f": 1.0, "lamb": 2.0}}, "did you mean 'lam'"),
    ("a carried quantity without start", {"observables": "Delta"}, "the start lacks Delta"),
    ("a fractional width drawn", {"start": gaussian_start(), "n": 2.5}, "positive integer"),
    (
        "a result of several steps as start",
        {"start": xr.Dataset({"f": ("step", [1.0]), "lam": ("step", [2.0])})},
        "'step' is taken",
    ),
    (
        "a seed that is another",
        {
            "start": gaussian_start(seeds=[0, 1]),
            "eta": xr.DataArray([1.0, 2.0], {"seed": [5, 6]}, ("seed",)),
        },
        "the coordinate seed",
    ),
]
MATRIX_CASES = [
    ("no data", {"data": None}, "needs data="),
    ("a lonely array", {"data": X}, "pair"),
    ("NaN inputs", {"data": (np.where(np.eye(4, 3) > 0, np.nan, X), Y)}, "X holds nan at row 0"),
    ("infinite targets", {"data": (X, np.inf * Y)}, "Y holds inf at row 0, column 0"),
    ("inputs of one dimension", {"data": (X[0], Y)}, "X must be a non-empty matrix"),
    ("fewer targets", {"data": (X, Y[:3])}, "4 samples but Y has 3"),
    ("other inputs than the model's", {"data": (np.ones((4, 5)), Y)}, "inputs=5"),
    ("other outputs than the model's", {"data": (X, Y[:, :1])}, "outputs=1"),
    ("a vector as matrix", {"start": {**BLOCKS, "G": np.ones(3)}}, "G must be a matrix"),
    ("a matrix of another size", {"start": {**BLOCKS, "G": np.eye(4)}}, "G must be 3 x 3.*4 x 4"),
    ("text as data", {"data": (X.astype(str), Y)}, "X must be real numbers"),
]


def call(make, arguments, changes):
    given_arguments = {**arguments, **changes}
    given_arguments.setdefault("backend", "array")
    wanted = {k: v for k, v in given_arguments.items() if v is not None or k == "data"}
    return make(wanted.pop("update_map", UV if arguments is GOOD else LINEAR), **wanted)


@pytest.mark.parametrize("make", [run, trajectory])
@pytest.mark.parametrize(("changes", "message"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_scalar_runs_refuse(make, changes, message):
    call(make, GOOD, {})
    with pytest.raises(InputError, match=message):
        call(make, GOOD, changes)


@pytest.mark.parametrize(
    ("changes", "message"), [c[1:] for c in MATRIX_CASES], ids=[c[0] for c in MATRIX_CASES]
)
def test_matrix_runs_refuse(changes, message):
    call(run, MATRIX, {})
    with pytest.raises(InputError, match=message):
        call(run, MATRIX, changes)


@pytest.mark.parametrize("every", [0, -1, 2.0, "2"])
def test_a_distance_of_kept_steps_that_is_no_positive_integer_is_refused(every):
    with pytest.raises(InputError, match="every must be"):
        trajectory(UV, every=every, **GOOD)


def test_errors_are_those_of_the_toolkit_and_of_the_language():
    with pytest.raises(ValueError, match="steps") as caught:
        call(run, GOOD, {"steps": -1})
    assert isinstance(caught.value, CatapultError)


def test_a_trajectory_larger_than_memory_is_refused_with_its_size():
    with pytest.raises(InputError, match=r"would take 2.4e\+06 GB.*every="):
        call(trajectory, GOOD, {"steps": 10**14})


def test_the_memory_of_matrices_is_counted(monkeypatch):
    # 11 kept steps of 2 x 3 + 3 x 3 + 2 x 2 state entries and the loss in float64, and the
    # outcome of 33 bytes.
    needed = 11 * (6 + 9 + 4 + 1) * 8 + 33
    monkeypatch.setattr(run_checks, "MEMORY_SHARE", 1.0)
    monkeypatch.setattr(run_checks, "available_memory", lambda: needed)
    call(trajectory, MATRIX, {"steps": 10})
    monkeypatch.setattr(run_checks, "available_memory", lambda: needed - 1)
    with pytest.raises(InputError, match="memory are free"):
        call(trajectory, MATRIX, {"steps": 10})


def test_a_state_that_no_network_has_is_refused_with_lane_and_numbers():
    axes = grid(f=[1.0, 50.0], n=[4, 10**4])
    with pytest.raises(
        DomainError, match=r"lane n\[0\], f_0\[1\]: f = 50, lam = 2.*n = 4"
    ) as error:
        run(UV, {"f": axes["f"], "lam": 2.0}, 5, eta=0.1, n=axes["n"])
    assert "gaussian_start" in str(error.value)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 100), st.integers(1, 10**12), st.sampled_from([-1, 1]))
def test_the_edge_of_the_domain_is_inside_and_a_hair_beyond_is_not(lam, n, sign):
    edge = sign * np.sqrt(n) * lam / 2
    run(UV, {"f": edge, "lam": lam}, 0, backend="array", eta=0.1, n=n)
    with pytest.raises(DomainError):
        run(UV, {"f": edge * (1 + 1e-10), "lam": lam}, 0, backend="array", eta=0.1, n=n)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ({"G": np.diag([1.0, 1.0, -0.1])}, "negative eigenvalue -0.1"),
        ({"W": np.eye(2, 3) * 4.1}, "negative eigenvalue"),
        ({"S": np.array([[1.0, 0.5], [0.0, 1.0]])}, "not symmetric"),
    ],
)
def test_blocks_that_are_no_gram_matrix_are_refused(blocks, message):
    # |W| = sqrt(n) = 4 is the edge for G and S equal to the identity.
    call(run, MATRIX, {"start": {**BLOCKS, "W": np.eye(2, 3) * 4.0}})
    with pytest.raises(DomainError, match=message):
        call(run, MATRIX, {"start": {**BLOCKS, **blocks}})


def test_the_offending_matrix_lane_is_named():
    good = np.stack([np.eye(3)] * 3)
    good[2, 0, 0] = -1
    with pytest.raises(DomainError, match=r"lane dim_0\[2\]"):
        call(run, MATRIX, {"start": {**BLOCKS, "G": good}})


def test_a_map_without_frames_has_no_velocities_to_leave_out():
    mode = models.aligned_mode(2)
    with pytest.raises(InputError, match="the start lacks w2; give start="):
        run(mode, {"w1": 1.0}, 5, eta=0.1, y=1.0)
    assert run(mode, {"w1": 1.0, "w2": 0.0}, 5, eta=0.1, y=1.0).sizes == {}


def test_a_start_law_needs_a_width():
    fixed = UV.subs(n=sp.Integer(64))
    with pytest.raises(InputError, match="needs the width n"):
        run(fixed, gaussian_start(), 5, eta=0.1)
    assert run(fixed, {"f": 1.0, "lam": 2.0}, 5, eta=0.1).sizes == {}
