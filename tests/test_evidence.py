"""The evidence: criteria are read before measuring, and a wrong prediction is judged to fail."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from catapult_theory import cli
from catapult_theory.errors import CatapultError, InputError
from catapult_theory.report.evidence_figure import evidence_figure
from catapult_theory.validation.evidence import (
    EvidenceResult,
    RowResult,
    bundled,
    chosen,
    criteria,
    load,
    parse,
    published,
    read,
    study,
)
from catapult_theory.validation.evidence.medians import Median, median_of
from catapult_theory.validation.evidence.optimizers import FullBatch, MiniBatch, Momentum
from catapult_theory.validation.evidence.rows import CONVOLUTIONAL, KINDS, Criterion
from catapult_theory.validation.evidence.verdicts import verdict
from catapult_theory.validation.probing import Edge

pytest.importorskip("curvlinops")
torch = pytest.importorskip("torch")

from catapult_theory.networks.spectra import spectrum  # noqa: E402
from catapult_theory.networks.torch_problem import torch_problem  # noqa: E402
from catapult_theory.validation.evidence.architectures import make_network, subtracted  # noqa: E402

README = Path(__file__).parents[1] / "README.md"
STUDY = "catapult_theory.validation.evidence.campaign"
QUICK = {row.name: row for row in bundled("quick")}
ONSET = QUICK["quick-onset-linear"]
WRONG = replace(ONSET, name="wrong", criterion=Criterion("interval", 2.9, 3.1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder of kept runs for all tests of this file, and one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CATAPULT_CACHE", str(tmp_path_factory.mktemp("kept")))
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def quick(folder):
    return study([*QUICK.values(), WRONG], 10)


def verdicts_of(result):
    return {r.row.name: r.verdict for r in result.rows}


def test_the_predictions_of_solvable_networks_hold_and_a_wrong_one_fails(quick):
    assert verdicts_of(quick) == {
        "quick-uv-edge": "holds",
        "quick-onset-linear": "holds",
        "quick-divergence-relu": "report only",
        "wrong": "fails",
    }
    assert quick.failed
    assert not quick.undecided


def test_a_repeated_study_trains_nothing(quick, monkeypatch):
    def train(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr("catapult_theory.validation.probing.measure.descend", train)
    again = study([*QUICK.values(), WRONG], 10)
    assert again.to_json() == quick.to_json()


def test_a_study_is_read_back_with_the_verdicts_worked_out_again(quick, tmp_path):
    file = tmp_path / "results.json"
    content = json.loads(quick.to_json())
    for row in content["rows"]:
        row["verdict"] = "holds"
    file.write_text(json.dumps(content))
    assert load(file) == quick


def test_the_rows_in_the_readme_are_the_measured_ones():
    measured = {found.row.name: (found.shown, found.verdict) for found in published().rows}
    lines = [line.split("|") for line in README.read_text(encoding="utf-8").splitlines()]
    cells = [[c.strip() for c in line[1:-1]] for line in lines if len(line) == 6]
    rows = {c[0].strip("`"): (c[2], c[3]) for c in cells if c[0].strip("`") in measured}
    assert len(rows) >= 20
    assert rows == {name: measured[name] for name in rows}


def test_starts_without_an_edge_or_a_survivor_are_read_back(folder, tmp_path):
    lost = (Edge(40.0, np.inf), Edge(np.nan, np.nan))
    there = EvidenceResult((RowResult(ONSET, {128: lost}),), "finished", {})
    (tmp_path / "results.json").write_text(there.to_json())
    (back,) = load(tmp_path / "results.json").rows
    assert str(back.values) == str({128: lost})


@pytest.mark.parametrize("optimizer", [FullBatch(), Momentum(0.9), MiniBatch(4)])
def test_an_optimizer_is_read_back_and_one_that_is_not_named_is_gradient_descent(
    optimizer, tmp_path
):
    measure = replace(ONSET.measure, statistic="divergence")
    row = replace(ONSET, optimizer=optimizer, measure=measure)
    written = EvidenceResult((RowResult(row, {128: (Edge(2.0, 2.1),) * 5}),), "finished", {})
    file = tmp_path / "results.json"
    file.write_text(written.to_json())
    assert load(file) == written
    content = json.loads(written.to_json())
    del content["rows"][0]["optimizer"]
    file.write_text(json.dumps(content))
    assert load(file).rows[0].row == replace(row, optimizer=FullBatch())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": [{}]}', '{"rows": 3}'])
def test_what_is_no_study_is_refused(tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(InputError, match="is not a results"):
        load(tmp_path / "results.json")


def test_what_the_budget_does_not_reach_is_not_measured(folder):
    result = study(list(QUICK.values()), 1e-9)
    assert set(verdicts_of(result).values()) == {"not measured"}
    assert result.stopped == "out of time"
    assert result.undecided


def test_an_interrupt_keeps_the_starts_that_were_measured(folder, monkeypatch):
    starts = iter([Edge(2.0, 2.02), Edge(2.0, 2.02)])

    def measured(*_):
        found = next(starts, None)
        if found is None:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(f"{STUDY}.measure", measured)
    result = study([ONSET, WRONG], 10)
    assert [len(r.values.get(128, ())) for r in result.rows] == [2, 0]
    assert set(verdicts_of(result).values()) == {"not measured"}
    assert result.stopped == "interrupted"


def test_a_row_that_cannot_be_measured_does_not_stop_the_others(folder, monkeypatch):
    def measured(row, *_):
        if row.name == "wrong":
            raise CatapultError("no such images")
        return Edge(2.0, 2.02)

    monkeypatch.setattr(f"{STUDY}.measure", measured)
    result = study([WRONG, ONSET], 10)
    assert [r.verdict for r in result.rows] == ["not measured", "holds"]
    assert result.rows[0].reason == "no such images"


def test_rows_that_assert_something_come_first(folder, monkeypatch):
    seen = []

    def measured(row, *_):
        seen.append(row.name)
        return Edge(2.0, 2.02)

    monkeypatch.setattr(f"{STUDY}.measure", measured)
    study([QUICK["quick-divergence-relu"], ONSET], 10)
    assert list(dict.fromkeys(seen)) == ["quick-onset-linear", "quick-divergence-relu"]


@pytest.mark.parametrize("count", [1, 2, 5, 8, 11])
def test_the_coverage_of_an_interval_is_that_of_counting_all_cases(count):
    # The median lies between two order statistics unless too few values are on one side of it.
    values = np.arange(float(count))
    found = median_of([Edge(v, v) for v in values])
    rank = int(found.low) + 1
    sides = itertools.product([0, 1], repeat=count)
    covered = np.mean([rank <= sum(s) <= count - rank for s in sides])
    assert found.coverage == pytest.approx(max(0.0, covered))


def test_a_start_without_an_edge_leaves_the_interval_open():
    edges = [Edge(4.0, 4.1)] * 4 + [Edge(40.0, np.inf)]
    assert median_of(edges).high == np.inf
    assert median_of(edges).value == pytest.approx(4.05)
    nothing_survived = [Edge(np.nan, np.nan)] * 5
    assert median_of(nothing_survived).low == -np.inf


def between(low, high):
    return Median(0.5 * (low + high), low, high, 0.9375, 5)


ASKED = Criterion("interval", 4.0, 5.5)
FALLING = Criterion("non-increasing", 0.0, 0.0)
CASES = [
    (ASKED, [between(4.1, 5.0)], "holds"),
    (ASKED, [between(3.9, 5.0)], "undecided"),
    (ASKED, [between(5.6, 7.0)], "fails"),
    (ASKED, [between(2.0, 3.9)], "fails"),
    (ASKED, [between(4.1, np.inf)], "censored"),
    (ASKED, [between(6.0, np.inf)], "fails"),
    (FALLING, [between(4.5, 5.0), between(4.1, 4.9)], "holds"),
    (FALLING, [between(4.1, 4.9), between(4.5, 5.0)], "undecided"),
    (FALLING, [between(4.1, 4.4), between(4.5, 5.0)], "fails"),
    (FALLING, [between(4.1, np.inf), between(4.5, 5.0)], "censored"),
    (Criterion("report", 0.0, 0.0), [between(1.0, 2.0)], "report only"),
]


@pytest.mark.parametrize(("criterion", "medians", "expected"), CASES)
def test_verdicts(criterion, medians, expected):
    assert verdict(criterion, medians, True) == expected
    assert verdict(criterion, medians, False) == "not measured"


GOOD = """[[row]]
name = "a"
prediction = "none"
source = "pilot"
start = "kept"
loss = "squared"
seeds = 5
network = { kind = "mlp", activation = "relu", hidden = 1, widths = [8], parametrisation = "ntk" }
data = { name = "digits", samples = 8, protocol = "classes", centred = true, held_out = 0 }
measure = { statistic = "onset", steps = 20, low = 2.0, high = 9, tolerance = 0.02, rates = [] }
criterion = { kind = "interval", low = 1.0, high = 3 }
"""
BAD = {
    ("[[row]]", "[[rows]]"): "unknown table",
    ('name = "a"\n', ""): "'name' is missing",
    ("seeds = 5", "seeds = 4"): "at least 5 seeds",
    ("seeds = 5", "seeds = true"): "row.seeds cannot be True",
    ('source = "pilot"', 'source = "papr"'): "paper",
    ("widths = [8]", "widths = [8, 16]"): "one width",
    ("widths = [8]", "widths = [0]"): "widths must be whole numbers",
    ("hidden = 1", "hidden = 4"): "hidden must be 1 to 3",
    ("steps = 20", "step = 20"): "steps",
    ('"onset"', '"final"'): "final needs rates",
    ('"onset"', '"accuracy_time"'): "two rates",
    ("low = 1.0, high = 3", "low = 3.0, high = 3"): "must lie below",
    ('kind = "interval"', 'kind = "non-increasing"'): "two widths",
    ("tolerance = 0.02", "tolerance = 0"): "tolerance",
    ('"squared"', '"cross_entropy"'): None,
    ("seeds = 5", "seeds = "): "is not TOML",
    ('kind = "mlp"', 'kind = "residual-conv"'): None,
    ('kind = "mlp", activation = "relu", hidden = 1, widths = [8]',
     'kind = "residual-conv", activation = "relu", hidden = 1, widths = [6]'): "multiples of 4",
    ('name = "digits"', 'name = "photographs"'): None,
}  # fmt: skip


@pytest.mark.parametrize(("old", "new"), BAD)
def test_a_bad_file_is_refused_with_what_is_wrong(old, new):
    text, message = GOOD.replace(old, new), BAD[old, new]
    assert text != GOOD
    if message is None:
        assert parse(text)
        return
    with pytest.raises(InputError, match=message):
        parse(text)


def test_a_file_is_read_with_its_defaults(tmp_path):
    two = GOOD + "\n[defaults]\nseeds = 1\n" + GOOD.replace('"a"', '"b"').replace("seeds = 5\n", "")
    file = tmp_path / "mine.toml"
    file.write_text(two)
    with pytest.raises(InputError, match="row 'b': a row that asserts"):
        read(file)
    with pytest.raises(InputError, match="two rows"):
        parse(GOOD + GOOD)
    with pytest.raises(InputError, match="unknown row 'onset'"):
        chosen(bundled(), ["onset"])


def test_every_row_says_paper_only_for_numbers_of_the_paper():
    rows = bundled()
    assert {row.source for row in rows if "1.95" in str(row.criterion)} <= {"paper", "theory"}
    assert len({row.name for row in rows}) == len(rows)
    assert all(row.seeds >= criteria.LEAST_SEEDS for row in rows if row.criterion.asserts)


SPEC = ONSET.network


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ["linear", "relu", "tanh", "gelu"])
def test_every_network_trains_and_is_the_same_for_the_same_seed(kind, activation):
    spec = replace(SPEC, kind=kind, activation=activation, hidden=2)
    first, again, other = (make_network(spec, 8, 64, 3, seed) for seed in (0, 0, 1))
    x = torch.randn(5, 64, dtype=torch.float64)
    assert torch.equal(first(x), again(x))
    assert not torch.equal(first(x), other(x))
    problem = torch_problem(first, x, torch.zeros(5, 3))
    assert problem.outputs == 3


def test_parametrisations_agree_at_the_start_and_not_in_their_kernels():
    x = torch.randn(4, 64, dtype=torch.float64)
    ntk = make_network(SPEC, 400, 64, 2, 0)
    standard = make_network(replace(SPEC, parametrisation="standard"), 400, 64, 2, 0)
    assert torch.allclose(ntk(x), standard(x))
    tops = [spectrum(torch_problem(f, x, torch.zeros(4, 2)), "ntk").top for f in (ntk, standard)]
    assert tops[1] > 10 * tops[0]


@pytest.mark.parametrize("kind", CONVOLUTIONAL)
def test_a_convolutional_network_tells_colours_apart(kind):
    network = make_network(replace(SPEC, kind=kind), 8, 3 * 16, 2, 0, channels=3)
    x = torch.randn(5, 48, dtype=torch.float64)
    red_is_blue = x.reshape(5, 3, 16)[:, [2, 1, 0]].reshape(5, 48)
    assert float((network(x) - network(red_is_blue)).detach().abs().max()) > 1e-3
    with pytest.raises(InputError, match="square images, got 24 pixels and 2 channels"):
        make_network(replace(SPEC, kind=kind), 8, 48, 2, 0, channels=2)(x)


def test_the_residual_kinds_are_normalised_within_a_sample():
    for kind, layer in (("residual", "LayerNorm"), ("residual-conv", "GroupNorm")):
        network = make_network(replace(SPEC, kind=kind, hidden=2), 8, 64, 2, 0)
        assert [type(m).__name__ for m in network.modules()].count(layer) == 3


def test_a_subtracted_network_starts_at_zero_with_the_same_kernel():
    x = torch.randn(4, 64, dtype=torch.float64)
    network = make_network(replace(SPEC, activation="tanh"), 16, 64, 2, 0)
    shifted = subtracted(network)
    assert float(shifted(x).detach().abs().max()) == 0
    tops = [spectrum(torch_problem(f, x, torch.ones(4, 2)), "ntk").top for f in (network, shifted)]
    assert tops[0] == pytest.approx(tops[1])


@pytest.mark.parametrize("statistic", ["final", "catapult", "accuracy_steps", "accuracy_time"])
def test_the_other_statistics_are_numbers(statistic, folder):
    row = replace(
        QUICK["quick-divergence-relu"], seeds=1,
        measure=replace(ONSET.measure, statistic=statistic, steps=20, rates=(1.0, 2.5)),
        data=replace(ONSET.data, held_out=20),
    )  # fmt: skip
    result = study([row], 10)
    (edge,) = result.rows[0].values[32]
    assert np.isfinite(edge.low)
    assert edge.low == edge.high


@pytest.mark.parametrize(("ends", "low", "high"), [((2.0, 2.2), 2.0, np.inf), ((9.0, 12.0), 0, 9)])
def test_an_edge_outside_of_the_scan_is_said_to_be_there(ends, low, high, folder):
    row = QUICK["quick-divergence-relu"]
    measure = replace(row.measure, low=ends[0], high=ends[1])
    result = study([replace(row, measure=measure, seeds=1)], 10)
    (edge,) = result.rows[0].values[32]
    assert edge.low == pytest.approx(low, rel=0.2)
    assert edge.high == pytest.approx(high)


@pytest.mark.parametrize(
    ("statistic", "last", "rows", "triangles"),
    [
        ("stability", Edge(2.0, 2.02), 1, 0),
        ("divergence", Edge(40.0, np.inf), 1, 1),
        ("final", Edge(np.nan, np.nan), 1, 1),
        ("catapult", Edge(3.0, 3.0), 0, 0),
    ],
)
def test_the_figure_draws_rates_and_marks_open_edges(statistic, last, rows, triangles):
    row = replace(ONSET, measure=replace(ONSET.measure, statistic=statistic))
    edges = (*[Edge(2.0, 2.02)] * 4, last)
    found = EvidenceResult((RowResult(row, {128: edges}),), "finished", {})
    (axes,) = evidence_figure(found).axes
    assert len([t for t in axes.get_yticklabels() if t.get_text()]) == rows
    assert [line.get_marker() for line in axes.lines].count(">") == triangles


def test_the_command_writes_table_data_and_figure(quick, tmp_path):
    arguments = ["evidence", "--quick", "--budget", "5", "--out", str(tmp_path / "found")]
    done = CliRunner().invoke(cli.app, arguments)
    assert done.exit_code == 0, done.output
    assert "2 holds, 1 report only (finished)" in done.output
    content = json.loads((tmp_path / "found" / "results.json").read_text())
    assert [r["verdict"] for r in content["rows"]] == ["holds", "holds", "report only"]
    assert all(len(r["brackets"]) for r in content["rows"])
    assert "quick-uv-edge" in (tmp_path / "found" / "table.md").read_text()
    assert (tmp_path / "found" / "evidence.png").stat().st_size > 1000


def test_the_command_says_when_a_row_fails(quick, tmp_path):
    text = GOOD.replace('"relu"', '"linear"').replace("[8]", "[128]").replace("= 8,", "= 32,")
    text = text.replace('"classes"', '"parity"').replace("low = 1.0", "low = 2.9")
    (tmp_path / "mine.toml").write_text(text)
    command = ["evidence", "--criteria", str(tmp_path / "mine.toml"), "--budget", "5"]
    assert CliRunner().invoke(cli.app, command).exit_code == 1
    assert CliRunner().invoke(cli.app, [*command, "--rows", "b"]).exit_code == 2
