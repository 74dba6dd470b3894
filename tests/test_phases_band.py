"""The band of the final curvature and the phase plane: golden values of the theory, section 4."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from catapult_theory.errors import DomainError, InputError
from catapult_theory.phases.final_curvature import balance_threshold, final_curvature_band
from catapult_theory.phases.phase_plane import phase_plane
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive

# a_0, band; digits as printed in the theory, so that half a unit of the last one is the tolerance
GOLDEN = [
    (2.05, 1.9483, 1.9483, 5e-5),
    (2.1, 1.8929, 1.8929, 5e-5),
    (2.2, 1.7697, 1.7697, 5e-5),
    (2.5, 1.2823, 1.2823, 5e-5),
    (3.0, 0.185, 0.247, 5e-4),
    (3.5, 0.0, 1.2724, 5e-5),
    (3.9, 0.0, 1.5434, 5e-5),
]


@functools.cache
def uv():
    return derive(models.uv())


@pytest.mark.parametrize(("start", "low", "high", "tolerance"), GOLDEN)
def test_band_is_that_of_the_theory(start, low, high, tolerance):
    band = final_curvature_band(uv(), start)
    assert (band.low, band.high) == pytest.approx((low, high), abs=tolerance)
    assert (4 - start, 4 - start) != pytest.approx((low, high), abs=tolerance)  # first order


@pytest.mark.parametrize("start", [2.1, 2.5, 3.0])
def test_band_does_not_depend_on_the_small_start(start):
    """A start of 1e-10 shifts the limit by O(1e-10); the scan's own error is below 1e-7."""
    first, second = (final_curvature_band(uv(), start, small=s) for s in (1e-12, 1e-10))
    assert (first.low, first.high) == pytest.approx((second.low, second.high), abs=1e-6)


def test_band_opens_where_the_theory_says():
    assert final_curvature_band(uv(), 2.5).width < 1e-5
    assert final_curvature_band(uv(), 2.65).width > 1e-4


def test_lower_edge_is_exactly_zero_above_the_threshold_only():
    low, high = balance_threshold(uv())
    assert low < high
    assert (low, high) == pytest.approx((3.08481, 3.08481), abs=1e-5)
    below, above = (final_curvature_band(uv(), a) for a in (3.08, 3.09))
    assert (below.touches_balance, above.touches_balance) == (False, True)
    assert below.low > 0
    assert above.low == 0.0


def test_peak_loss_is_below_its_bound():
    """Theory, section 4.1: b_peak = 2 eta^2 L_peak / n <= a_0^2 / 4."""
    for start in (2.5, 3.5, 3.9):
        assert 0 < final_curvature_band(uv(), start).peak <= start**2 / 4


def test_bands_are_refused_outside_their_meaning():
    with pytest.raises(InputError, match="between 2 and 4"):
        final_curvature_band(uv(), 4.5)
    with pytest.raises(InputError, match="a and b alone"):
        final_curvature_band(derive(models.uv(label=True)), 3.0)
    with pytest.raises(InputError, match="does not hold the threshold"):
        balance_threshold(uv(), 3.1, 3.2)


def test_plane_holds_orbits_and_curves():
    plane = phase_plane(uv(), [(3.0, 1e-3), (4.0, 1.0), (5.0, 1.0)], steps=50)
    assert plane.edge == 4.0
    np.testing.assert_allclose(plane.falls_above, plane.a - 2, atol=1e-14)
    np.testing.assert_allclose(plane.falls_below, plane.a, atol=1e-14)
    catapult, chaos, gone = plane.orbits
    assert catapult.shape == (51, 2)
    assert catapult[-1, 0] < 2
    assert (chaos[:, 0] == 4.0).all()
    assert len(gone) < 51


def test_the_loss_falls_exactly_between_the_curves():
    rng = np.random.default_rng(2)
    a = rng.uniform(0.1, 6, 2000)
    b = rng.uniform(0, 1, 2000) * a**2 / 4
    plane = phase_plane(uv(), np.column_stack([a, b]), steps=1)
    falls = np.array([orbit[1, 1] < orbit[0, 1] for orbit in plane.orbits])
    np.testing.assert_array_equal(falls, (a - 2 < b) & (b < a))
    assert not np.array_equal(falls, (a - 1.9 < b) & (b < a))  # the control


def test_plane_refuses_states_that_no_network_has():
    with pytest.raises(DomainError, match="start 1"):
        phase_plane(uv(), [(3.0, 0.1), (1.0, 0.3)])
    with pytest.raises(InputError, match="pairs"):
        phase_plane(uv(), [3.0, 0.1])
    with pytest.raises(InputError, match="a and b alone"):
        phase_plane(derive(models.uv(label=True)), [(3.0, 0.1)])
