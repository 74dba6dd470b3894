"""From a network to labelled numbers through the public face alone, for every kind of model."""

from __future__ import annotations

import functools
import inspect
import pickle

import numpy as np
import pytest
from cases import CASES, TOLERANCES

import catapult_theory as ct
from catapult_theory.validation import with_wrong_coefficient

IDS = [case.name for case in CASES]
ORBIT = {"n": 64, "eta": 0.3, "steps": 40}
# So narrow and so fast that an orbit would leave every bound: one step is compared.
STEP = {"n": 5, "eta": 2.5, "steps": 1}

# Argument names that other people's code rests on.
PINNED = {
    "derive": ("model", "loss", "optimizer", "observables"),
    "compile": ("update_map", "backend", "dtype"),
    "run": ("update_map", "start", "steps", "backend", "data", "observables"),
    "trajectory": ("update_map", "start", "steps", "backend", "data", "observables"),
    "train": ("model", "data", "n", "eta", "steps", "optimizer", "loss", "seed"),
    "validate": ("model", "widths", "seeds"),
    "verify": ("claim", "model", "loss", "optimizer", "where", "scaling"),
    "gaussian_start": ("seed",),
}


@pytest.mark.parametrize("name", PINNED)
def test_arguments_keep_their_names(name):
    assert set(PINNED[name]) <= set(inspect.signature(getattr(ct, name)).parameters)


@functools.cache
def derived(index):
    case = CASES[index]
    return ct.derive(case.model(), loss=case.loss, optimizer=case.optimizer)


def course(update_map, case, where):
    start = ct.gaussian_start(seed=1)
    numbers = {**where, **case.parameters}
    return ct.trajectory(update_map, start, backend="array", data=case.data, **numbers)


def raw(case, where):
    rule = {"loss": case.loss, "optimizer": case.optimizer, "seed": 1}
    return ct.train(case.model(), case.data, **rule, **where, **case.parameters)


def distance(one, other):
    """Largest error of any common variable over the largest value of that variable."""
    shared = [v for v in one.data_vars if v in other and "step" in one[v].dims]
    assert "loss" in shared
    pairs = [(one[v].values, other[v].values) for v in shared]
    return max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs if np.abs(b).max() > 0)


@pytest.mark.parametrize(
    ("where", "tolerance"),
    [(ORBIT, TOLERANCES.orbit), (STEP, TOLERANCES.step)],
    ids=["orbit", "one step"],
)
@pytest.mark.parametrize("index", range(len(CASES)), ids=IDS)
def test_the_derived_course_is_that_of_raw_training(index, where, tolerance):
    case, update_map = CASES[index], derived(index)
    network = raw(case, where)
    assert distance(course(update_map, case, where), network) <= tolerance
    wrong = with_wrong_coefficient(update_map)
    assert distance(course(wrong, case, where), network) > tolerance


def test_backends_agree_on_a_step_to_a_few_units_of_the_largest_summand():
    # At f = 1, lam = 2, eta = 1, n = 3 the largest summand of both updates is 2.
    state, numbers, largest = (1.0, 2.0), {"eta": 1.0, "n": 3}, 2.0

    def step(update_map, backend):
        return np.array(ct.compile(update_map, backend).step(*state, **numbers))

    exact = step(derived(0), "array")
    wrong = with_wrong_coefficient(derived(0))
    assert np.abs(step(derived(0), "numba") - exact).max() <= TOLERANCES.backends * largest
    assert np.abs(step(wrong, "numba") - exact).max() > TOLERANCES.backends * largest


@pytest.mark.parametrize("index", range(len(CASES)), ids=IDS)
def test_a_map_survives_json_and_pickle(index):
    update_map = derived(index)
    assert ct.UpdateMap.from_json(update_map.to_json()) == update_map
    assert pickle.loads(pickle.dumps(update_map)) == update_map
    assert with_wrong_coefficient(update_map) != update_map


@pytest.mark.parametrize("index", range(len(CASES)), ids=IDS)
def test_what_a_map_says_of_itself_is_complete(index):
    update_map = derived(index)
    assert set(update_map.state) == set(update_map.updates)
    assert update_map.exactness.is_exact
    assert "loss" in update_map.observables
    assert update_map.derivation().startswith("1. ")
    assert all(f"{s.name}'" in str(update_map) for s in update_map.state)


def test_a_result_says_how_to_get_it_again():
    dataset = course(derived(0), CASES[0], ORBIT)
    for word in ("model", "loss", "optimizer", "backend", "dtype", "versions", "start", "schema"):
        assert word in dataset.attrs, word
    for name, variable in dataset.data_vars.items():
        assert {"long_name", "units"} <= set(variable.attrs), name


def test_a_misspelt_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="derrive"):
        ct.derrive  # noqa: B018


def test_every_error_is_a_catapult_error_and_a_builtin_one():
    classes = [c for c in (getattr(ct, name) for name in ct.__all__) if inspect.isclass(c)]
    errors = [c for c in classes if issubclass(c, Exception)]
    assert len(errors) >= 8
    for error in errors:
        assert issubclass(error, ct.CatapultError)
        if error is not ct.CatapultError:
            assert issubclass(error, (ValueError, ImportError, OSError, TypeError)), error
