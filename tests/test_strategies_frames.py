"""States of networks with several frames: no vector is longer than its frame."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import HealthCheck, given, settings

import catapult_theory as ct
from catapult_theory import testing
from catapult_theory.errors import InputError
from catapult_theory.rigor.claims.gram_domain import drawn_lengths, least_width
from catapult_theory.rigor.claims.problem import Facts
from catapult_theory.rigor.claims.states import States
from catapult_theory.rigor.claims.vocabulary import Vocabulary


def few(strategy, count=40):
    """The examples of one run of a property test."""
    found = []
    quiet = settings(max_examples=count, database=None, derandomize=True, deadline=None,
                     suppress_health_check=list(HealthCheck))  # fmt: skip

    @quiet
    @given(strategy)
    def collect(state):
        found.append(state)

    collect()
    return found


def test_lengths_are_those_of_the_frames_and_at_most_their_vectors():
    lengths = functools.partial(drawn_lengths, quarter())
    assert lengths(4) == {"u": 1, "v": 1, "w": 1}
    assert lengths(64) == lengths(8) == {"u": 2, "v": 2, "w": 1}
    assert least_width(quarter()) == 8
    with pytest.raises(InputError, match="multiples of 4"):
        lengths(6)


@functools.cache
def quarter():
    """Two vectors in a quarter of the units: at n = 4 they have one entry each."""
    u, v, w = ct.vectors("u v w")
    model = ct.Model(
        output=(u @ v + w @ w) / ct.sqrt(ct.n), vectors=(u, v, w),
        observables={"A": u @ u / ct.n, "B": u @ v / ct.n}, frames={"u v": "1/4", "w": "3/4"},
    )  # fmt: skip
    return ct.derive(model)


def third(point):
    """|w|^2/n, from f = (u.v + |w|^2) / sqrt(n)."""
    return point["f"] / math.isqrt(int(point["n"])) - point["B"]


def parallel(point):
    """Whether u and v are: |u|^2 |v|^2 = (u.v)^2, |v|^2 from lam = (|u|^2 + |v|^2 + 4|w|^2)/n."""
    rest = point["lam"] - point["A"] - 4 * third(point)
    return point["A"] * rest == point["B"] ** 2


def searched(update_map):
    """The states among which `verify` looks for a counterexample."""
    vocabulary = Vocabulary.of(update_map)
    symbols = frozenset((*update_map.variables, *update_map.constants))
    (branch,) = Facts(vocabulary, (), symbols).branches
    states = States.of(vocabulary, branch, symbols)
    return [{s.name: v for s, v in point.items()} for point in next(states.batches())]


@pytest.mark.parametrize("draw", ["strategy", "search"])
def test_two_vectors_in_a_frame_of_one_unit_are_parallel(draw):
    update_map = quarter()
    if draw == "strategy":
        points = few(testing.states(update_map, n=4)) + few(testing.states(update_map, n=64))
    else:
        points = searched(update_map)
    narrow = [p for p in points if p["n"] == 4]
    wide = [p for p in points if p["n"] >= 16]
    assert narrow
    assert all(parallel(p) for p in narrow)
    assert not all(parallel(p) for p in wide)


def test_widths_are_those_at_which_frames_fill_whole_units():
    assert {int(s["n"]) % 4 for s in few(testing.states(quarter()))} == {0}
    assert {int(p["n"]) % 4 for p in searched(quarter())} == {0}
    one_sample = ct.derive(ct.models.quadratic_activation_one_sample())
    assert {int(s["n"]) % 4 for s in few(testing.states(one_sample))} == {0}


def test_a_state_on_the_edge_has_dependent_vectors_within_a_frame():
    on_edge = few(testing.edge_states(quarter(), n=16))
    assert all(parallel(s) or third(s) == 0 for s in on_edge)
    assert not all(parallel(s) or third(s) == 0 for s in few(testing.states(quarter(), n=16)))


def test_matrix_states_of_narrow_frames_have_gram_matrices_of_low_rank():
    model = ct.models.quadratic_activation(3, positive=sp.Rational(1, 2))
    update_map = ct.derive(model)
    ranks = {2: set(), 16: set()}
    for width, found in ranks.items():
        for state in few(testing.matrix_states(update_map, n=width), 15):
            if state["X"].shape[1] == 3:
                found.add(int(np.linalg.matrix_rank(state["A"])))
    assert max(ranks[2]) <= 1 < max(ranks[16])
