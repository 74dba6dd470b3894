"""Phase boundaries are bracketed where theory puts them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catapult_theory.errors import InputError
from catapult_theory.networks import LinearNetwork, digits, gaussian_start, train_summary
from catapult_theory.validation import (
    bisect_boundary,
    digits_boundary,
    first_boundary,
    linear_boundary,
    with_wrong_coefficient,
)
from catapult_theory.validation.boundary import reduced
from catapult_theory.validation.scalar_edge import scalar_edge

WITHIN = 0.02 * 4.0


def too_strong(update_map):
    return with_wrong_coefficient(update_map, order=2, excess=0.1)


@given(
    edges=st.lists(st.floats(0.1, 3.9), min_size=1, max_size=5),
    tolerance=st.floats(1e-6, 0.5),
)
@settings(max_examples=50, deadline=None)
def test_brackets_contain_the_change_and_are_as_narrow_as_asked(edges, tolerance):
    edge = np.array(edges)
    lanes = np.zeros(len(edge))
    for found in (
        bisect_boundary(lambda x: x > edge, lanes, lanes + 4.0, tolerance),
        first_boundary(lambda x: x > edge, 0.0, 4.0, 0.25, tolerance),
    ):
        assert np.all((found.low <= edge) & (edge <= found.high))
        assert np.all(found.high - found.low <= tolerance * (1 + 1e-9) + 1e-12) or tolerance > 0.25


def test_no_change_and_a_change_before_the_start_are_said():
    def edges(x):
        return x > np.array([-1.0, 2.0, 9.0])

    for found in (
        bisect_boundary(edges, np.zeros(3), 4.0, 0.1),
        first_boundary(edges, 0.0, 4.0, 0.5, 0.1),
    ):
        assert found.low[0] == -np.inf
        assert found.high[2] == np.inf
        assert found.low[1] <= 2.0 <= found.high[1]


def test_the_first_of_several_changes_is_found():
    def twice(x):
        return ((x > 1.3) & (x < 2.2)) | (x > 3.2)

    found = first_boundary(lambda x: twice(np.atleast_1d(x)), 0.0, 4.0, 0.25, 0.01)
    assert found.low[0] <= 1.3 <= found.high[0]


@pytest.mark.parametrize(
    "arguments", [(3.0, 1.0, 0.1, 0.1), (0.0, np.nan, 0.1, 0.1), (0.0, 1.0, 0.0, 0.1),
                  (0.0, 1.0, 0.1, -1.0)]
)  # fmt: skip
def test_bad_scans_are_refused(arguments):
    with pytest.raises(InputError, match="scan needs"):
        first_boundary(lambda x: x > 2, *arguments)


def test_bad_bisections_are_refused():
    with pytest.raises(InputError, match="low < high"):
        bisect_boundary(lambda x: x > 2, 3.0, 1.0, 0.1)
    with pytest.raises(InputError, match="tolerance"):
        bisect_boundary(lambda x: x > 2, 1.0, 3.0, 0.0)


def test_uv_model_diverges_from_four_on_at_every_width():
    assert scalar_edge(widths=(3, 50, 10**6, 10**12), seeds=10).contains(4.0)
    assert not scalar_edge(widths=(3, 10**6), seeds=2, altered=too_strong).contains(4.0)


def test_reduced_data_keep_gradient_and_kernel():
    X, Y = digits(64)
    small, targets, basis = reduced(X, Y)
    rank = np.linalg.matrix_rank(X)
    assert small.shape == (rank, rank)
    assert np.allclose(basis.T @ basis, np.eye(rank), atol=1e-12)
    rng = np.random.default_rng(0)
    W = rng.normal(size=(1, 64))
    full = (X @ W.T - Y).T @ X / len(X)
    ours = (small @ (W @ basis).T - targets).T @ small / rank
    assert np.allclose(ours @ basis.T, full, rtol=0, atol=1e-12 * np.abs(full).max())
    G = rng.normal(size=(64, 64))
    G = G @ G.T
    top = np.linalg.eigvalsh(X @ G @ X.T / len(X))[-1]
    assert np.linalg.eigvalsh(small @ basis.T @ G @ basis @ small.T / rank)[-1] == pytest.approx(
        top, rel=1e-12
    )
    assert not np.allclose(ours * rank / len(X) @ basis.T, full)


def test_boundary_of_the_map_is_that_of_raw_networks():
    data, width, seeds = digits(32), 60, (0, 1)
    found = linear_boundary(data, [width], seeds, steps=200, tolerance=0.1, backend="array")
    network = LinearNetwork(64)
    for i, seed in enumerate(seeds):
        start = gaussian_start(seed).raw(network.shapes, width)
        V, U, X = start["V"], start["U"], data.X
        kernel = (np.sum(V**2) * X @ X.T + X @ (U.T @ U) @ X.T) / width
        lam0 = np.linalg.eigvalsh(kernel / len(X))[-1]
        ends = np.array([found.low[0, i], found.high[0, i]])
        lanes = {name: np.stack([a, a]) for name, a in start.items()}
        outcome = train_summary(network, data, eta=ends / lam0, steps=200, start=lanes)
        assert outcome.diverged.tolist() == [False, True]


def test_digits_diverge_from_four_on_at_large_width():
    result = digits_boundary(widths=[10**10], seeds=4, steps=1000, tolerance=0.07)
    assert abs(result.median[0] - 4.0) <= WITHIN
    wrong = linear_boundary(
        digits(), [10**10], 2, steps=200, tolerance=0.07, altered=too_strong, backend="array"
    )
    assert not abs(wrong.median[0] - 4.0) <= WITHIN


@pytest.mark.full
def test_digits_boundary_closes_on_four_with_the_width():
    result = digits_boundary()
    assert np.all(np.abs(result.median[2:] - 4.0) <= WITHIN)
    assert result.spread[3] < result.spread[0]
    assert result.spread[2] < result.spread[1]
    assert np.isfinite(result.middle).all()
    data = result.to_dataset()
    assert data.low.dims == ("n", "seed")


def test_a_boundary_needs_widths_and_seeds():
    with pytest.raises(InputError, match="at least one"):
        digits_boundary(widths=[], seeds=2)
    with pytest.raises(InputError, match="at least one"):
        digits_boundary(widths=[256], seeds=0)
