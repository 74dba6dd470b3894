"""Slopes with the width, and the report that gathers everything."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy import stats

from catapult_theory.errors import InputError, NotClosed
from catapult_theory.networks import digits
from catapult_theory.symbolic import models
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.symbols import n, relu, vectors
from catapult_theory.validation import validate, width_scaling
from catapult_theory.validation.report import Row, ValidationReport
from catapult_theory.validation.width_scaling import fitted_slope


@pytest.mark.parametrize(("start", "expected"), [("own", -1.0), ("limit", -0.5)])
def test_distance_from_the_limit_falls_as_the_expected_power(start, expected):
    result = width_scaling("uv", seeds=60, start=start)
    assert result.expected == expected
    for slope in result.slopes.values():
        assert slope.contains(expected)
        assert slope.high < -0.2
    assert not result.control["f"].contains(expected)
    assert result.passed


def test_distance_of_digits_from_the_limit_falls_as_one_over_n():
    result = width_scaling("linear", data=digits(64), widths=(64, 256, 1024), seeds=4, steps=5)
    assert result.passed, str(result)


@pytest.mark.full
def test_momentum_and_decay_have_the_same_limit_order():
    for rule, numbers in (("weight_decay", {"omega": 0.02}), ("heavy_ball", {"beta": 0.5})):
        result = width_scaling("uv", optimizer=rule, seeds=100, **numbers)
        assert result.passed, str(result)


def test_interval_of_the_slope_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    widths = np.array([10.0, 100.0, 1000.0])
    trials, hits = 400, 0
    for _ in range(trials):
        noise = np.exp(rng.normal(size=(3, 4)))
        hits += fitted_slope(widths, noise / widths[:, None]).contains(-1.0)
    # z-score of a binomial count with p = 0.95
    assert abs(hits - 0.95 * trials) / np.sqrt(trials * 0.95 * 0.05) < 3.5
    wider = fitted_slope(widths, noise / widths[:, None], confidence=0.99)
    assert wider.high - wider.low > stats.norm.ppf(0.995) * 1e-3


def test_bad_scalings_are_refused():
    with pytest.raises(InputError, match="two widths"):
        width_scaling("uv", widths=[64])
    with pytest.raises(InputError, match="f and lam alone"):
        width_scaling("linear", data=digits(16), widths=(8, 16), seeds=2, start="limit")
    with pytest.raises(InputError, match="zero"):
        fitted_slope([1, 2], np.zeros((2, 1)))


def test_validation_of_the_uv_model_passes():
    seen = []
    report = validate("uv", quick=True, progress=lambda *state: seen.append(state))
    assert report.passed, str(report)
    assert bool(report)
    assert len(report.rows) == 9
    assert seen[-1] == ("done", 6, 6)
    assert "4/lambda_0" in str(report)
    data = report.to_dataset()
    assert data.passed.values.all()
    assert data.attrs["optimizer"] == "gd"


@pytest.mark.full
def test_validation_of_a_labelled_model_under_momentum_passes():
    report = validate(models.uv(label=True), quick=True, optimizer="heavy_ball", y=0.3, beta=0.5)
    assert report.passed, str(report)


@pytest.mark.full
def test_validation_of_the_linear_network_on_digits_passes():
    report = validate("linear")
    assert report.passed, str(report)
    assert report.boundary is not None
    assert report.boundary.widths == (256, 4096, 10**6, 10**10)


def test_a_row_passes_only_with_a_failing_control():
    good = Row("c", "k", "m", True, "w", True)
    blind = Row("c", "k", "m", True, "w", False)
    wrong = Row("c", "k", "m", False, "w", True)
    assert [r.verdict for r in (good, blind, wrong)] == ["pass", "FAIL", "FAIL"]
    assert not ValidationReport("uv", "squared", "gd", "", (good, blind))
    assert not ValidationReport("uv", "squared", "gd", "", ())


def test_what_cannot_be_validated_is_refused():
    u, v = vectors("u v")
    with pytest.raises(NotClosed, match=r"first term that leaves is <relu\(u\),v>"):
        validate(Model(output=v @ relu(u) / sp.sqrt(n), vectors=(u, v)))
    with pytest.raises(InputError, match="leave data out"):
        validate("uv", data=digits(16))
    with pytest.raises(InputError, match="widths"):
        validate("uv", widths=[])
