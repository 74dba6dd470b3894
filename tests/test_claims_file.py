"""A file of claims is judged as a paper's continuous integration needs it; time is bounded."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catapult_theory import cli
from catapult_theory.errors import InputError
from catapult_theory.rigor import verify, verify_file
from catapult_theory.rigor.claims.deadline import OutOfTime, within
from catapult_theory.rigor.claims.file import Entry, judge_entries, read_file
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive

# The module, which the function of the same name hides.
VERIFY = sys.modules["catapult_theory.rigor.claims.verify"]

GOOD = """
[defaults]
model = "uv"

[[claim]]
name = "kernel"
claim = "lam' = lam + eta*f**2/n*(eta*lam - 4)"

[[claim]]
latex = 'f_{t+1} = (1 - \\\\eta\\\\lambda_t) f_t'
expected = ["holds-asymptotically", "holds"]

[[claim]]
name = "label"
model = "uv:0.5"
claim = "f' = f - eta*lam*(f - y) + eta**2/n*(f - y)**2*f"

[[claim]]
model = "linear:k"
claim = "S' = S'.T"
""".replace("\\\\", "\\")


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "claims.toml"
        path.write_text(text)
        return path

    return write


def test_every_claim_of_a_good_file_is_as_expected(written) -> None:
    report = verify_file(written(GOOD))
    assert report
    assert [r.status for r in report.results] == ["holds", "holds-asymptotically", "holds", "holds"]
    assert "4 of 4 claims as expected" in str(report)


@pytest.mark.parametrize(
    ("change", "status"),
    [(("- 4", "+ 4"), "holds-asymptotically"), (("lam' =", "f' ="), "fails"),
     (("lam' =", "import os ="), "not read"), (("lam' =", "lam'.x ="), "not read")],
)  # fmt: skip
def test_a_wrong_claim_is_a_failure_and_says_why(written, change, status) -> None:
    report = verify_file(written(GOOD.replace(*change, 1)))
    assert not report
    (failure,) = report.failures
    assert (failure.entry.name, failure.status) == ("kernel", status)
    assert "kernel, expected holds or holds-under-hypotheses" in str(report)


def test_command_prints_a_table_and_exits_with_one_if_any_fails(written) -> None:
    good, runner = written(GOOD), CliRunner()
    result = runner.invoke(cli.app, ["claims", str(good)])
    assert (result.exit_code, "as expected" in result.output) == (0, True)
    bad = written(GOOD.replace("- 4", "+ 4"))
    result = runner.invoke(cli.app, ["claims", str(bad)])
    assert result.exit_code == 1
    assert "3 of 4 claims as expected" in result.output


def test_an_interrupted_command_prints_what_was_judged(written, monkeypatch) -> None:
    from catapult_theory.rigor.claims import file as claim_file

    def interrupted(entries, timeout):
        yield next(iter(judge_entries(entries, timeout)))
        raise KeyboardInterrupt

    monkeypatch.setattr(claim_file, "judge_entries", interrupted)
    result = CliRunner().invoke(cli.app, ["claims", str(written(GOOD))])
    assert result.exit_code == 130
    assert "1 of 1 claims as expected" in result.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no [[claim]]"),
        ("claim = 3", "no [[claim]]"),
        ("[[claim]\n", "no TOML"),
        ("[[claims]]\nclaim = 'f = f'", "did you mean 'claim'"),
        ("[[claim]]\nwere = 'y = 0'\nclaim = 'f = f'", "did you mean 'where'"),
        ("[[claim]]\nclaim = 3", "claim is a text"),
        ("[[claim]]\nname = 'x'", "needs one of claim= and latex="),
        ("[[claim]]\nclaim = 'f = f'\nlatex = 'f = f'", "needs one of"),
        ("[[claim]]\nclaim = 'f = f'\nexpected = 'hold'", "did you mean 'holds'"),
        ("[[claim]]\nclaim = 'f = f'\nexpected = []", "a status or a list"),
        ("[[claim]]\nclaim = 'f = f'\nmodel = 'vu'", "did you mean 'uv'"),
        ("[[claim]]\nclaim = 'f = f'\nloss = 'square'", "did you mean 'squared'"),
        ("[[claim]]\nclaim = 'f = f'\n" * 2001, "at most 2000"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(written, text, message) -> None:
    with pytest.raises(InputError) as caught:
        verify_file(written(text))
    assert message in str(caught.value)


def test_a_missing_file_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_file(tmp_path / "none.toml")


def test_the_file_of_the_guide_holds() -> None:
    entries = read_file(Path(__file__).parent.parent / "docs" / "claims.toml")
    assert len(entries) >= 15
    results = list(judge_entries(entries[:3]))
    assert all(r.passed for r in results)


# Time.


@pytest.fixture(scope="module")
def uv():
    return derive(models.uv())


def test_a_judgement_whose_time_is_up_is_stopped_and_not_checked(uv, monkeypatch) -> None:
    def endless(*_: object, **__: object) -> None:
        while True:
            pass

    monkeypatch.setattr(VERIFY, "search", endless)
    verdict = verify("lam' = lam + f", uv, timeout=0.2)
    assert verdict.status == "not-checked"
    assert "stopped after 0.2 s" in verdict.hint
    assert "lam' = lam + f" in str(verdict)


def test_reading_whose_time_is_up_is_an_error(uv, monkeypatch) -> None:
    def endless(*_: object) -> None:
        while True:
            pass

    monkeypatch.setattr(VERIFY, "read_claim", endless)
    with pytest.raises(ValueError, match="longer than"):
        verify("lam' = lam", uv, timeout=0.2)


def nothing_is_left() -> bool:
    """Whether every worker is gone; one that has ended may still be tidied away."""
    for _ in range(1000):
        if not any(t.name == "bounded work" for t in threading.enumerate()):
            return True
        time.sleep(0.002)
    return False


def _endless() -> None:
    while True:
        pass


def _stubborn() -> None:
    while True:
        try:
            time.sleep(0.001)
        except Exception:
            continue


@pytest.mark.parametrize("work", [_endless, _stubborn])
def test_work_whose_time_is_up_is_stopped_and_leaves_no_thread_behind(work) -> None:
    with pytest.raises(OutOfTime):
        within(0.1, work)
    assert nothing_is_left()


def test_what_the_work_returns_or_raises_is_handed_on() -> None:
    for _ in range(50):
        assert within(5.0, lambda: 3) == 3
        assert within(None, threading.get_ident) == threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        within(5.0, lambda: 1 // 0)


def test_time_is_bounded_in_threads_other_than_the_first(uv) -> None:
    found: list[object] = []

    def work() -> None:
        try:
            within(0.1, _endless)
        except OutOfTime:
            found.append("stopped")
        found.append(within(5.0, lambda: "later"))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == ["stopped", "later"]


@pytest.mark.parametrize(("outer", "inner"), [(0.1, 60.0), (60.0, 0.1)])
def test_bounds_nest_and_the_nearer_one_stops_the_work(outer, inner) -> None:
    with pytest.raises(OutOfTime, match=r"stopped after 0\.1 s"):
        within(outer, lambda: within(inner, _endless))
    assert nothing_is_left()


def test_an_interrupted_caller_stops_the_work_and_is_interrupted() -> None:

    def interrupt() -> None:
        time.sleep(0.2)
        _thread.interrupt_main()
        _endless()

    # Programs that a shell starts in the background ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        within(60.0, interrupt)
    signal.signal(signal.SIGINT, before)
    assert nothing_is_left()


def test_interruptions_that_come_as_the_work_ends_touch_no_later_work() -> None:
    # Works that end about when their time is up: either answer, and nothing afterwards.
    for i in range(100):
        with suppress(OutOfTime):
            assert within(0.002, lambda: time.sleep(0.0018 + 4e-6 * i)) is None  # noqa: B023
        sum(range(1000))


@pytest.mark.parametrize("seconds", [0, -1, "1", True, float("nan")])
def test_a_time_that_is_none_is_refused(uv, seconds) -> None:
    with pytest.raises(InputError, match="timeout"):
        verify("lam' = lam", uv, timeout=seconds)


def test_entries_can_be_made_in_code() -> None:
    (result,) = judge_entries([Entry("x", "a' = a + b*(a - 4)")])
    assert result.passed
