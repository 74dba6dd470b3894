"""Thresholds in closed form against bisections on raw networks."""

from __future__ import annotations

import functools
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from typer.testing import CliRunner

from catapult_theory.cli import app
from catapult_theory.errors import InputError
from catapult_theory.symbolic import models
from catapult_theory.validation import scanned_boundary, thresholds
from catapult_theory.validation.thresholds import (
    bounded_threshold,
    cycle_threshold,
    edge_threshold,
    linear_threshold,
    threshold_cases,
)

LINEAR = [
    pytest.param(models.uv(), "gd", {}, marks=pytest.mark.full),
    (models.uv(label=True), "gd", {"y": 0.7}),
    pytest.param(
        models.uv(label=True), "weight_decay", {"y": 4.0, "omega": 0.1}, marks=pytest.mark.full
    ),
]


@functools.cache
def momentum():
    """The threshold of heavy ball at beta = 1/2, measured once."""
    return linear_threshold(
        models.uv(), "heavy_ball", n=16, seeds=2, tolerance=0.04, steps=500, beta=0.5
    )


@pytest.mark.parametrize(("model", "optimizer", "constants"), LINEAR)
def test_perturbations_of_raw_minima_begin_to_grow_at_the_closed_form(model, optimizer, constants):
    found = linear_threshold(
        model, optimizer, n=16, seeds=2, tolerance=0.04, steps=500, **constants
    )
    assert found.agrees, str(found)
    assert found.control_fails
    assert np.all(found.high - found.low < 0.05 * found.high)


def test_threshold_of_one_optimizer_is_not_that_of_another():
    """The control across rows: momentum is not held to the closed form of plain descent."""
    found = momentum()
    plain = replace(found, value=found.value / 1.5)
    assert found.passed
    assert np.all(found.high - found.low < 0.05 * found.high)
    assert not plain.agrees


def test_edge_and_constants_of_the_balanced_network_are_measured():
    for found in (
        edge_threshold(n=16, seeds=2, tolerance=0.04, y=1.0, steps=1000),
        cycle_threshold(n=8, tolerance=0.02, steps=600),
        bounded_threshold(n=8, tolerance=0.02, steps=1000),
    ):
        assert found.passed, str(found)


@pytest.mark.full
def test_every_threshold_agrees_with_its_measurement():
    found = thresholds()
    assert len(found) == len(threshold_cases())
    for row in found:
        assert row.passed, str(row)


def test_scans_find_the_first_change_of_each_lane():
    caught_again = [lambda x: ((x > 1.3) & (x < 2.0)) | (x > 3.0)]
    found = scanned_boundary(lambda v: caught_again[0](v), [0.0], [4.0], 0.01)
    assert found.low[0] <= 1.3 < found.high[0]
    none = scanned_boundary(lambda v: v > 9, [0.0], [4.0], 0.01)
    assert np.isinf(none.high[0])
    always = scanned_boundary(lambda v: v > -1, [0.0], [4.0], 0.01)
    assert np.isneginf(always.low[0])
    for bad in (
        dict(low=[1.0], high=[0.0], tolerance=0.1),
        dict(low=[0.0], high=[1.0], tolerance=0),
    ):
        with pytest.raises(InputError, match="scan needs"):
            scanned_boundary(lambda v: v > 0, **bad)


def test_command_prints_the_table_and_writes_it(monkeypatch, tmp_path):
    room = import_module("catapult_theory.validation.thresholds")
    few = [("uv, gd", lambda: linear_threshold(models.uv(), n=8, seeds=1, steps=300))]
    monkeypatch.setattr(room, "threshold_cases", lambda **_: few)
    file = tmp_path / "thresholds.md"
    result = CliRunner().invoke(app, ["thresholds", "--quick", "--out", str(file)])
    assert result.exit_code == 0, result.output
    assert "2/lam" in result.output
    assert file.read_text().splitlines()[2].startswith("| uv, gd | a minimum loses its stability |")
    lost = CliRunner().invoke(app, ["thresholds", "--out", str(tmp_path / "none" / "x.md")])
    assert lost.exit_code == 2
    assert "cannot write" in lost.stderr
    wrong = [("uv, gd", lambda: replace(few[0][1](), value=np.array([9.0])))]
    monkeypatch.setattr(room, "threshold_cases", lambda **_: wrong)
    assert CliRunner().invoke(app, ["thresholds"]).exit_code == 1
