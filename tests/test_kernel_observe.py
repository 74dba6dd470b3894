"""Quantities at a state: those that a trajectory shows there, without a step being taken."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from cases import CASES

import catapult_theory as ct
from catapult_theory.errors import InputError

UV = ct.derive(ct.models.uv())
LINEAR = ct.derive(ct.models.linear(inputs=2))
RNG = np.random.default_rng(0)
MATRIX_STATE = {
    "W": RNG.normal(size=(3, 1, 2)),
    "G": np.stack([np.eye(2) * c for c in (1.0, 2.0, 3.0)]),
    "S": np.full((3, 1, 1), 1.5),
}
DATA = (RNG.normal(size=(4, 2)), RNG.normal(size=4))


def named(update_map):
    return {s.name for s in update_map.variables}


@pytest.mark.parametrize("backend", ["array", "llvm"])
@pytest.mark.parametrize("case", [c for c in CASES if not c.samples], ids=lambda c: c.name)
def test_every_observable_is_that_of_a_trajectorys_first_row(case, backend):
    this = ct.derive(case.model(), case.loss, case.optimizer)
    state = {s.name: RNG.uniform(0.5, 1.0, 5) for s in this.variables}
    given = {s.name: RNG.uniform(0.1, 0.9, 5) for s in this.constants}
    asked = [name for name in this.observables if name not in named(this)]
    kernel = ct.compile(this, backend)
    seen = kernel.observe(state, asked, **given)
    row = kernel.trajectory(state, 0, observables=asked, **given)
    assert seen.keys() == set(asked)
    for name in asked:
        assert seen[name].shape == (5,)
        # An expression is evaluated in vectors here, and one number after the other there.
        assert np.allclose(seen[name], row[name][0], rtol=1e-12, atol=0, equal_nan=True)
        assert not np.allclose(
            seen[name], 1.01 * row[name][0] + 1e-3, rtol=1e-12, atol=0, equal_nan=True
        )


def test_expressions_and_eigenvalues_are_observed_too():
    f, lam = UV.state
    eta, _ = UV.parameters
    seen = ct.compile(UV).observe({"f": [1.0, 3.0], "lam": 2.0}, [eta * lam + f], eta=0.5, n=4)
    assert seen[str(eta * lam + f)].tolist() == [2.0, 4.0]
    kernel = ct.compile(LINEAR, "array")
    seen = kernel.observe(MATRIX_STATE, ["loss", "lam"], data=DATA, eta=0.1, n=10.0)
    row = kernel.trajectory(
        MATRIX_STATE, 0, observables=["loss", "lam"], data=DATA, eta=0.1, n=10.0
    )
    for name in ("loss", "lam"):
        assert seen[name].shape == (3,)
        assert np.array_equal(seen[name], row[name][0])


def test_shapes_broadcast_and_numbers_give_numbers_without_dimensions():
    kernel = ct.compile(UV)
    state = {"f": np.ones((2, 1)), "lam": np.ones(3)}
    assert kernel.observe(state, ["loss"], eta=0.5, n=4)["loss"].shape == (2, 3)
    assert kernel.observe({"f": 2.0, "lam": 1.0}, ["loss"], eta=0.5, n=4)["loss"] == 2.0


@pytest.mark.parametrize(
    ("state", "asked", "said"),
    [
        ({"f": 1.0}, ["loss"], "missing state lam"),
        ({"f": 1.0, "lam": 2.0}, ["los"], "did you mean 'loss'"),
        ({"f": 1.0, "lam": 2.0}, [sp.Symbol("other")], "must be an expression"),
    ],
)
def test_what_cannot_be_observed_is_refused(state, asked, said):
    with pytest.raises(InputError, match=said):
        ct.compile(UV).observe(state, asked, eta=0.5, n=4)


def test_equal_maps_run_on_one_kernel_and_others_do_not():
    from catapult_theory.codegen.run_job import prepared

    again = ct.derive(ct.models.uv())
    assert again is not UV
    assert prepared(again, "array", "float64") is prepared(UV, "array", "float64")
    labelled = ct.derive(ct.models.uv(label=True))
    assert prepared(labelled, "array", "float64") is not prepared(UV, "array", "float64")
    assert prepared(UV, "array", "float32") is not prepared(UV, "array", "float64")
