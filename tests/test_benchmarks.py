"""The benchmarks in a tiny form: all contestants compute the same, and everything is reported.

No figure is judged here, only what it is a figure of.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the benchmarks are scripts of the checkout, not installed

import catapult_theory as ct  # noqa: E402
from benchmarks import __main__ as command  # noqa: E402
from benchmarks import lanes, printing, roofline, uv_lanes  # noqa: E402
from benchmarks.machine import instruction_sets  # noqa: E402
from benchmarks.measuring import (  # noqa: E402
    Answer,
    Entry,
    Measured,
    Setting,
    Skipped,
    Target,
    contest,
)
from benchmarks.rivals import c_lanes, numpy_lanes, ours  # noqa: E402

ROUNDS = 1


MATRICES = ("full_model", "linear_network")
SCALARS = tuple(name for name in command.QUESTIONS if name not in MATRICES)


@pytest.fixture(
    scope="module", params=[SCALARS, pytest.param(command.QUESTIONS, marks=pytest.mark.full)]
)
def found(request, tmp_path_factory):
    """Everything that a small run of the command writes, and the status it ends with.

    Kernels of matrix models take Numba a minute to compile: their questions are in the full tier.
    """
    folder = tmp_path_factory.mktemp("benchmarks")
    names = request.param
    arguments = ["--small", "--rounds", str(ROUNDS), "--json", str(folder / "all.json")]
    code = command.main([*names, *arguments, "--figure", str(folder / "roofline.png")])
    figures = json.loads((folder / "all.json").read_text())
    return {**figures, "code": code, "figure": folder / "roofline.png"}


def run_command(*arguments, **environment):
    """Run ``python -m benchmarks`` as a user does."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CATAPULT_BENCHMARKS")}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env={**clean, **environment},
        capture_output=True,
        text=True,
    )


class TestEveryQuestion:
    def test_all_contestants_of_a_question_compute_the_same_numbers(self, found):
        for title, result in found["results"].items():
            assert result["disagreeing"] == [], title
            for name, differences in result["differences"].items():
                for key, value in differences.items():
                    assert value <= result["tolerance"][key], (title, name, key)

    def test_no_contestant_fails(self, found):
        assert {t: r["broken"] for t, r in found["results"].items() if r["broken"]} == {}
        assert found["code"] == 0

    def test_ours_take_part_in_every_question(self, found):
        for title, result in found["results"].items():
            assert any(name.startswith("ours") for name in result["contestants"]), title

    def test_the_json_holds_every_contestant_with_all_its_rounds_or_the_reason(self, found):
        for title, result in found["results"].items():
            for name, contestant in result["contestants"].items():
                assert len(contestant["seconds"]) == ROUNDS, (title, name)
                assert contestant["units"] > 0, (title, name)
            assert all(result["missing"].values()), title
        titles = " ".join(found["results"])
        assert "A(i) 500 uv lanes x 40 steps" in titles
        assert all(x in titles for x in ("(a)", "(b)", "(c)", "A(ii)", "A(iii)", "C the network"))

    def test_every_target_has_its_ratio_and_verdict_unless_a_side_is_missing(self, found):
        targets = [(r, t) for r in found["results"].values() for t in r["targets"]]
        assert len(targets) >= 10
        for result, target in targets:
            if target["reached"] is None:
                absent = {**result["missing"], **result["broken"]}
                assert {target["slow"], target["fast"]} & set(absent), target["text"]
            else:
                reached, bound = target["reached"], target["bound"]
                right = reached <= bound if target["at_most"] else reached >= bound
                assert target["met"] is right

    def test_the_machine_and_the_versions_are_reported(self, found):
        assert {"processor", "instruction sets", "gcc", "numpy", "jax"} <= set(found["machine"])

    def test_the_figure_is_written(self, found):
        assert found["figure"].read_bytes()[:4] == b"\x89PNG"

    def test_the_roofline_shows_the_rate_of_the_flops_that_a_question_counts(self, found):
        title, _, rates = next(c for c in roofline.columns(found) if c[0].startswith("A(i) "))
        name = "NumPy, naive"
        cost = found["results"][title]["contestants"][name]["cost"]
        assert rates[name] == pytest.approx(6e-9 / cost)


@pytest.mark.full
def test_the_linear_network_is_timed_for_each_number_of_outputs(tmp_path):
    out = tmp_path / "linear.json"
    assert command.main(["linear_network", "--small", "--rounds", "1", "--json", str(out)]) == 0
    (result,) = json.loads(out.read_text())["results"].values()
    assert len(result["contestants"]) == 3


class TestAContest:
    """What `contest` does with contestants that are wrong, absent, broken or slow."""

    @dataclass(frozen=True)
    class Sum:
        count: int

        @property
        def units(self):
            return float(self.count)

    def contest(self, *entries):
        whole, check = self.Sum(1000), self.Sum(10)
        return contest("sums", "a term", entries, whole, check, Setting(2), tolerance={"sum": 1e-9})

    @staticmethod
    def right(problem):
        return lambda: {"sum": sum(range(problem.count))}

    @staticmethod
    def wrong(problem):
        return lambda: {"sum": sum(range(problem.count)) * (1 + 1e-8)}

    @staticmethod
    def absent(problem):
        raise Skipped("only on Sundays")

    @staticmethod
    def not_installed(problem):
        import nothing_of_this_name  # noqa: F401

    @staticmethod
    def broken(problem):
        raise ZeroDivisionError("of no avail")

    def test_a_contestant_with_other_numbers_is_named(self):
        answer = self.contest(Entry("right", self.right), Entry("wrong", self.wrong))
        assert list(answer.disagreeing) == ["wrong"]
        assert "DISAGREES with right: wrong" in printing.text(answer)

    def test_a_contestant_with_the_same_numbers_is_not(self):
        answer = self.contest(Entry("right", self.right), Entry("again", self.right))
        assert answer.disagreeing == {}

    def test_not_a_number_disagrees(self):
        nan = Entry("nan", lambda p: lambda: {"sum": float("nan")})
        assert list(self.contest(Entry("right", self.right), nan).disagreeing) == ["nan"]

    def test_other_shapes_disagree(self):
        other = Entry("other", lambda p: lambda: {"sum": [45.0]})
        assert list(self.contest(Entry("right", self.right), other).disagreeing) == ["other"]

    @pytest.mark.parametrize(
        ("make", "reason"),
        [("absent", "only on Sundays"), ("not_installed", "nothing_of_this_name")],
    )
    def test_a_missing_contestant_is_named_with_the_reason(self, make, reason):
        answer = self.contest(Entry("right", self.right), Entry("other", getattr(self, make)))
        assert reason in answer.missing["other"]
        assert "skipped: other: " in printing.text(answer)
        assert [r.name for r in answer.results] == ["right"]

    def test_a_broken_contestant_is_named_as_a_fault_and_the_others_go_on(self):
        answer = self.contest(Entry("broken", self.broken), Entry("right", self.right))
        assert answer.broken == {"broken": "ZeroDivisionError: of no avail"}
        assert [r.name for r in answer.results] == ["right"]
        found = {"results": {"sums": printing.as_json(answer)}}
        assert command.at_fault(found) == ["sums: broken"]

    def test_a_slow_contestant_is_charged_for_the_part_that_it_did(self):
        cut = Entry("part", self.right, lambda p: replace(p, count=p.count // 10), "a tenth")
        answer = self.contest(Entry("right", self.right), cut)
        assert answer.result("part").units == 100
        assert "(a tenth, scaled)" in printing.text(answer)
        assert "scaled" not in printing.text(self.contest(Entry("right", self.right)))


class TestRatios:
    ANSWER = Answer(
        "title",
        "a step",
        (
            Measured("ours: numba", (1.0, 2.0, 3.0), 10.0),
            Measured("ours: numba, 2 threads", (0.5, 1.0, 1.5), 10.0),
            Measured("slow", (4.0, 8.0, 9.0), 5.0),
        ),
        ours=("ours: llvm", "ours: numba"),
    )

    def test_a_ratio_is_the_median_of_the_ratios_of_costs_within_a_round(self):
        # 4/5 over 1/10, 8/5 over 2/10, 9/5 over 3/10: 8, 8, 6
        assert self.ANSWER.reached(Target("", "slow", "ours", 1)) == pytest.approx(8)

    def test_ours_is_the_first_that_takes_part_and_names_its_rows(self):
        assert self.ANSWER.our_name == "ours: numba"
        threads = Target("", "ours", "ours, 2 threads", 1.9)
        assert self.ANSWER.reached(threads) == pytest.approx(2)

    @pytest.mark.parametrize(
        ("bound", "at_most", "met"),
        [(8, False, True), (8.1, False, False), (8, True, True), (7.9, True, False)],
    )
    def test_a_target_is_met_at_its_bound_and_on_its_side(self, bound, at_most, met):
        assert Target("", "slow", "ours", bound, at_most).met(8.0) is met

    def test_a_target_without_one_side_is_not_measured(self):
        answer = replace(self.ANSWER, targets=(Target("goal", "absent", "ours", 1),))
        assert "not measured (without absent)" in printing.text(answer)


class TestTheSetsOfLanes:
    def outcome(self, problem):
        kernel = ct.compile(ours.update_map(), "numba")
        state = {"f": problem.f, "lam": problem.lam}
        return kernel.run(state, problem.steps, eta=problem.eta, n=problem.n)

    def test_lasting_lanes_are_not_decided_within_1000_steps(self):
        outcome = self.outcome(uv_lanes.lasting(2000, 1000))
        assert (outcome.status == ct.Status.UNDECIDED).all()
        moved = outcome.peak_step > 0
        assert 0.2 < moved.mean() < 0.8  # for some the peak moves, for others it does not

    def test_half_of_the_mix_is_finished_by_step_250(self):
        outcome = self.outcome(uv_lanes.halving(4000, 1000))
        # The median of 4000 draws of an exponential law scatters by 250 / ln 2 / sqrt(4000) = 6;
        # |f| counts from its largest value, which the first steps may move a little.
        assert np.median(outcome.status_step) == pytest.approx(250, abs=30)

    def test_the_natural_mix_has_all_kinds_of_lanes(self):
        status = self.outcome(uv_lanes.natural(2000, 1000)).status
        kinds = {ct.Status.UNDECIDED, ct.Status.CONVERGED, ct.Status.DIVERGED}
        assert set(map(int, status)) == set(map(int, kinds))

    def test_the_single_lane_has_its_peak_at_the_last_step(self):
        outcome = self.outcome(uv_lanes.single(10_000))
        assert outcome.status[0] == ct.Status.UNDECIDED
        assert outcome.peak_step[0] == 10_000


def made(make, problem):
    """Return a contestant's numbers; skip without a compiler."""
    try:
        return make(problem)()
    except Skipped as reason:
        pytest.skip(str(reason))


ALL_BY_HAND = {
    "scalar": c_lanes.scalar,
    "scaled variables": c_lanes.orbit,
    "blocked": c_lanes.blocked,
    "AVX2": c_lanes.avx2,
    "AVX-512": c_lanes.avx512,
    "AVX-512, refill": c_lanes.refill,
}


# Without the instructions there is nothing to test, and nothing to install.
SETS = {"AVX2": "avx2", "AVX-512": "avx512", "AVX-512, refill": "avx512"}
BY_HAND = {
    name: make
    for name, make in ALL_BY_HAND.items()
    if name not in SETS or SETS[name] in instruction_sets()
}


@pytest.mark.parametrize("name", BY_HAND)
class TestTheYardsticks:
    """Hand-written C against the formulas in NumPy."""

    @pytest.mark.parametrize("count", [1, 7, 48, 65, 203])
    def test_every_lane_is_run_whatever_their_number(self, name, count):
        problem = uv_lanes.lasting(count, 40, seed=count)
        found, wanted = made(BY_HAND[name], problem), numpy_lanes.naive(problem)()
        for key in wanted:
            np.testing.assert_allclose(found[key], wanted[key], rtol=1e-11, err_msg=key)

    def test_the_peak_may_be_the_initial_or_the_final_state(self, name):
        ends = np.array([0.5, 2.05])
        problem = uv_lanes.UvLanes(np.ones(2), ends, np.ones(2), np.full(2, 1e6), 20)
        found = made(BY_HAND[name], problem)
        assert found["peak_step"].tolist() == [0, 20]
        np.testing.assert_allclose(found["peak"][0], 0.5, rtol=1e-15)
        np.testing.assert_allclose(found["peak"], [0.5, 0.5 * found["f"][1] ** 2], rtol=1e-12)


def test_a_peak_that_leaves_out_the_final_state_would_be_seen():
    growing = uv_lanes.single(40)
    short = numpy_lanes.naive(replace(growing, steps=39))()
    assert short["peak_step"] != numpy_lanes.naive(growing)()["peak_step"]


@pytest.mark.parametrize("count", [5, 64, 1027])
@pytest.mark.parametrize("make", [c_lanes.streamed, c_lanes.stored_plainly])
def test_rows_written_by_hand_hold_every_state(make, count):
    problem = uv_lanes.lasting(count, 12)
    found, wanted = made(make, problem), numpy_lanes.kept(problem)()
    for key in wanted:
        np.testing.assert_allclose(found[key], wanted[key], rtol=1e-12, err_msg=key)


class TestTheCommand:
    def test_a_contestant_that_is_not_installed_is_skipped_by_name(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "numexpr", None)
        answer = next(iter(lanes.answers(Setting(1, small=True))))
        assert "numexpr" in answer.missing
        assert "skipped: numexpr: " in printing.text(answer)

    def test_a_question_that_is_not_there_is_named(self):
        (line,) = command.answered(["gravity"], Setting(1, small=True))
        assert line == "skipped: gravity: there is no benchmarks.gravity"

    def test_an_unknown_name_ends_with_the_names_there_are(self, capsys):
        with pytest.raises(SystemExit) as ended:
            command.main(["gravity"])
        assert ended.value.code == 2
        assert "trajectories" in capsys.readouterr().err

    def test_variables_that_slow_numpy_are_unset_and_that_is_said(self):
        done = run_command("width", "--small", "--rounds", "1", OPENBLAS_CORETYPE="Haswell")
        assert done.returncode == 0, done.stderr
        assert "unset for the comparison: OPENBLAS_CORETYPE=Haswell" in done.stdout

    def test_without_a_gpu_one_line_says_so(self, capsys, monkeypatch):
        gpu = pytest.importorskip("benchmarks.gpu")
        monkeypatch.setattr(gpu, "first_gpu", lambda: "none here")
        assert command.main(["gpu"]) == 0
        assert capsys.readouterr().out == "no GPU: none here: nothing measured\n"


@pytest.mark.full
def test_the_kernels_for_a_gpu_agree_where_there_is_only_a_processor():
    jax = pytest.importorskip("jax")
    from benchmarks import gpu

    for answer in gpu.answers(Setting(1, small=True), jax.devices("cpu")[0]):
        assert answer.broken == {}
        assert answer.disagreeing == {}
        assert len(gpu.shares(answer)) == len(answer.results) - 1
