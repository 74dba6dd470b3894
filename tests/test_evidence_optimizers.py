"""Rows with momentum and mini-batches: read, measured against the engine's thresholds, kept apart.

The threshold of heavy ball is 2 (1 + beta), of gradient descent 2 (theory, section 4.3; derived
by the engine). A row with another beta than that of its criterion must fail.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from catapult_theory.errors import InputError
from catapult_theory.validation.evidence import bundled, parse, study
from catapult_theory.validation.evidence.optimizers import (
    FullBatch,
    MiniBatch,
    Momentum,
    optimizer_of,
)
from catapult_theory.validation.evidence.rows import Criterion

pytest.importorskip("curvlinops")
torch = pytest.importorskip("torch")

from catapult_theory.validation.evidence.subjects import subject  # noqa: E402

QUICK = {row.name: row for row in bundled("quick")}
ROWS = {row.name: row for row in bundled()}
RELU = QUICK["quick-divergence-relu"]
TOLERANCE, STEPS = 0.02, 30
# A run has 300 steps to grow a thousandfold: (1 + 2 x)^300 = 1000 at x = 0.0116.
LATE = 0.0116


@pytest.fixture(scope="module", autouse=True)
def kept(tmp_path_factory):
    """One folder of kept runs for all tests of this file, and one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATAPULT_CACHE", str(folder))
        yield folder / "probes"
    torch.set_num_threads(before)


def around(value):
    """The interval that a bracket of that tolerance lies in if the edge is the value."""
    high = (1 + LATE) * math.exp(TOLERANCE)
    return Criterion("interval", value * math.exp(-TOLERANCE), value * high)


def stability(optimizer, criterion):
    measure = replace(
        RELU.measure, statistic="stability", low=1.7, high=10.0, tolerance=TOLERANCE, steps=STEPS
    )
    return replace(
        RELU, name=f"{optimizer}", optimizer=optimizer, measure=measure, criterion=criterion,
        seeds=1,
    )  # fmt: skip


THRESHOLDS = [(FullBatch(), 2.0), (Momentum(0.5), 3.0), (Momentum(0.9), 3.8)]


@pytest.mark.parametrize(("optimizer", "threshold"), THRESHOLDS)
def test_a_minimum_turns_unstable_where_the_engine_says(optimizer, threshold):
    assert optimizer.threshold == threshold
    (found,) = study([stability(optimizer, around(threshold))], 10).rows
    assert found.verdict == "holds", found.shown


@pytest.mark.parametrize("trained", [FullBatch(), Momentum(0.5), Momentum(0.8)])
def test_a_row_with_another_momentum_misses_the_threshold(trained):
    (found,) = study([stability(trained, around(Momentum(0.9).threshold))], 10).rows
    assert found.verdict == "fails", found.shown


def test_a_network_with_another_curvature_than_the_start_misses_the_threshold(monkeypatch):
    from catapult_theory.validation.probing.measure import Start

    row = stability(Momentum(0.9), around(3.8))
    monkeypatch.setattr(Start, "curvature", property(lambda self: 1.1 * self.facts["curvature"]))
    (found,) = study([row], 10).rows
    assert found.verdict == "fails", found.shown


OPTIMIZERS = [Momentum(0.9), MiniBatch(8)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("statistic", ["final", "catapult", "accuracy_steps", "divergence"])
def test_every_other_statistic_is_measured_with_every_optimizer(optimizer, statistic):
    measure = replace(
        RELU.measure, statistic=statistic, steps=20, rates=(0.5, 1.0), low=1.0, tolerance=0.1
    )
    row = replace(
        RELU, optimizer=optimizer, measure=measure, seeds=1, data=replace(RELU.data, held_out=20)
    )
    (edge,) = study([row], 10).rows[0].values[RELU.network.widths[0]]
    assert np.isfinite(edge.low)


def losses(optimizer, seed=0):
    start = subject(replace(RELU, optimizer=optimizer), 32, seed).start
    return start.run(1.0 / start.curvature, 15).losses


def test_optimizers_train_differently_from_the_same_start():
    courses = [losses(o) for o in (FullBatch(), *OPTIMIZERS, MiniBatch(4))]
    assert len({c[0] for c in courses}) == 1
    assert len({c[-1] for c in courses}) == len(courses)


def test_every_start_has_its_own_order_of_batches_and_always_the_same():
    assert np.array_equal(losses(MiniBatch(8)), losses(MiniBatch(8)))
    orders = [MiniBatch(8).trainer(seed).batches.indices(32, 4) for seed in (0, 1)]
    assert not np.array_equal(*orders)


def name_of(fingerprint, **what):
    """The file of a measurement: the first 24 digits of the hash of what it depends on."""
    key = json.dumps({"schema": 1, "start": fingerprint, **what}, sort_keys=True)
    return f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"


def test_runs_of_gradient_descent_lie_where_they_lay_before_there_were_optimizers(kept):
    row = replace(
        RELU, seeds=1, data=replace(RELU.data, held_out=0),
        measure=replace(RELU.measure, statistic="final", rates=(1.5,), steps=15),
    )  # fmt: skip
    study([row], 10)
    start = subject(row, 32, 0).start
    mark = start.store.fingerprint
    run = {"measurement": "run", "eta": 1.5 / start.curvature, "steps": 15}
    assert (kept / name_of(mark, measurement="start")).exists()
    assert (kept / name_of(mark, **run)).exists()
    assert not (kept / name_of(mark, optimizer="heavy ball", beta=0.9, **run)).exists()
    study([replace(row, optimizer=Momentum(0.9))], 10)
    assert (kept / name_of(mark, optimizer="heavy ball", beta=0.9, **run)).exists()


READ = [
    ({"name": "gd"}, FullBatch()),
    ({"name": "momentum", "momentum": 0.9}, Momentum(0.9)),
    ({"name": "sgd", "batch": 32}, MiniBatch(32)),
]


@pytest.mark.parametrize(("table", "expected"), READ)
def test_an_optimizer_is_read(table, expected):
    assert optimizer_of(table) == expected


ROW = """[[row]]
name = "a"
prediction = "none"
source = "pilot"
start = "kept"
loss = "squared"
seeds = 5
network = { kind = "mlp", activation = "relu", hidden = 1, widths = [8], parametrisation = "ntk" }
data = { name = "digits", samples = 8, protocol = "classes", centred = true, held_out = 0 }
measure = { statistic = "divergence", steps = 20, low = 2, high = 9, tolerance = 0.02, rates = [] }
criterion = { kind = "report", low = 1.0, high = 3 }
"""
REFUSED = [
    ("{ name = 'adam' }", "", "unknown optimizer.name 'adam'"),
    ("{ momentum = 0.9 }", "", "unknown optimizer.name"),
    ("{ name = 'momentum' }", "", "momentum needs momentum, a number"),
    ("{ name = 'momentum', momentum = 1.0 }", "", "between 0 and 1"),
    ("{ name = 'momentum', momentum = 0.9, batch = 4 }", "", "'batch'"),
    ("{ name = 'sgd', batch = 4.5 }", "", "batch, a number"),
    ("{ name = 'sgd', batch = 0 }", "", "at least 1"),
    ("{ name = 'sgd', batch = 9 }", "", "a batch of 9 from 8 samples"),
    ("{ name = 'gd', batch = 4 }", "", "'batch'"),
    ("'sgd'", "", "row.optimizer cannot be 'sgd'"),
    ("{ name = 'sgd', batch = 4 }", "onset", "not defined with mini-batches of 4"),
    ("{ name = 'sgd', batch = 4 }", "onset_distance", "not defined with mini-batches"),
    ("{ name = 'momentum', momentum = 0.9 }", "onset", "not defined with momentum 0.9"),
]


@pytest.mark.parametrize(("optimizer", "statistic", "message"), REFUSED)
def test_what_cannot_be_trained_is_refused_when_the_file_is_read(optimizer, statistic, message):
    text = f"{ROW}optimizer = {optimizer}\n".replace("divergence", statistic or "divergence")
    with pytest.raises(InputError, match=message) as refused:
        parse(text)
    assert "row 'a'" in str(refused.value)


def test_stability_needs_targets_that_can_be_met():
    with pytest.raises(InputError, match="squared loss"):
        parse(ROW.replace("divergence", "stability").replace('"squared"', '"cross_entropy"'))


def test_a_file_that_names_no_optimizer_is_gradient_descent():
    (row,) = parse(ROW)
    assert row.optimizer == FullBatch()
    assert "descent" not in row.setting


def test_an_optimizer_replaces_that_of_the_defaults_with_its_keys():
    text = "[defaults]\noptimizer = { name = 'momentum', momentum = 0.9 }\n"
    (left_out,) = parse(text + ROW)
    (other,) = parse(f"{text}{ROW}optimizer = {{ name = 'sgd', batch = 4 }}\n")
    assert left_out.optimizer == Momentum(0.9)
    assert other.optimizer == MiniBatch(4)
    assert other.setting.endswith("; mini-batches of 4")


# Of each statistic what its criterion allows, in units of the threshold that the engine derives.
ALLOWED = {"stability": (0.98, 1.02), "final": (0.0, 1.05)}
DERIVED = [
    row
    for row in ROWS.values()
    if row.criterion.asserts and row.measure.statistic in ALLOWED
]  # fmt: skip


@pytest.mark.parametrize("row", DERIVED, ids=lambda row: row.name)
def test_criteria_are_those_of_the_derived_threshold(row):
    low, high = (share * row.optimizer.threshold for share in ALLOWED[row.measure.statistic])
    assert (row.criterion.low, row.criterion.high) == pytest.approx((low, high))
    # A run that could not end above is no test of where it ends.
    if row.measure.statistic == "final":
        assert min(row.measure.rates) > row.optimizer.threshold


def test_rows_with_momentum_and_mini_batches_assert_only_what_the_engine_derives():
    trained = [row for row in ROWS.values() if row.optimizer != FullBatch()]
    assert {row.optimizer for row in trained} == {Momentum(0.9), MiniBatch(32)}
    for row in trained:
        derived = row.optimizer.threshold is not None and row.source == "theory"
        assert derived or not row.criterion.asserts
