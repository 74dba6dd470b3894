"""The command line: what it prints, its exit codes, and one clear line for bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr

import catapult_theory as ct
from catapult_theory import cli, doctor

COMMANDS = ("derive", "export", "run", "phases", "verify", "prove", "probe", "report", "doctor")
TRUE_CLAIM = "lambda' = lambda + eta*f**2/n*(eta*lambda - 4)"


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def catapult(monkeypatch, capsys):
    """Run the program as its console script does."""
    monkeypatch.setenv("COLUMNS", "120")

    def call(line: str, *more: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["catapult", *line.split(), *more])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        return Outcome(stop.value.code or 0, printed.out, printed.err)

    return call


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_helps_with_an_example(catapult, command):
    done = catapult(f"{command} --help")
    assert done.code == 0
    assert f"Example: catapult {command}" in done.out


def test_help_names_every_command(catapult):
    done = catapult("--help")
    assert done.code == 0
    assert all(command in done.out for command in COMMANDS)


def test_the_version_is_the_packages(catapult):
    assert catapult("--version").out.split() == ["catapult_theory", ct.__version__]


def test_derive_prints_the_map_that_the_library_derives(catapult):
    done = catapult("derive uv")
    assert done.code == 0
    assert done.out.strip() == str(ct.derive(ct.models.uv()))
    assert done.out.strip() != str(ct.derive(ct.models.uv(label=True)))


def test_derive_shows_its_steps_before_the_result(catapult):
    done = catapult("derive uv:label --steps")
    labelled = ct.derive(ct.models.uv(label=True))
    assert done.out.startswith("1. ")
    assert done.out.strip().endswith(str(labelled))


def test_derive_prints_json_that_reads_back(catapult):
    done = catapult("derive linear --outputs 3 --json")
    assert json.loads(done.out)["schema"] == 1
    assert ct.UpdateMap.from_json(done.out) == ct.derive(ct.models.linear(outputs=3))


def test_derive_prints_latex(catapult):
    done = catapult("derive uv --optimizer heavy_ball --latex")
    assert done.out.startswith(r"\begin{aligned}")
    assert r"\beta" in done.out


def test_run_writes_what_the_library_computes(catapult, tmp_path):
    target = tmp_path / "runs.nc"
    words = "run uv --eta 0.2:2.2:3 --n 100,1000000 --f 1 --lam 2 --steps 400 --out"
    done = catapult(words, str(target))
    assert (done.code, done.out.splitlines()[-1]) == (0, f"wrote {target}")
    written = xr.load_dataset(target, engine="h5netcdf")
    axes = ct.grid(eta=np.linspace(0.2, 2.2, 3), n=np.array([100.0, 1e6]))
    expected = ct.run(ct.derive(ct.models.uv()), {"f": 1.0, "lam": 2.0}, 400, **axes)
    xr.testing.assert_equal(written[["f", "lam", "status"]], expected[["f", "lam", "status"]])
    assert written["behaviour"].sel(n=1e6).values.tolist() == ["lazy", "catapult", "divergent"]


@pytest.mark.parametrize("words", ["0", "50"])
def test_run_names_a_run_that_needs_more_steps(catapult, words):
    done = catapult("run uv --eta 0.01 --n 100 --f 0.5 --lam 2 --steps", words)
    assert "unfinished" in done.out
    assert "oscillating" not in done.out


def test_run_prints_a_row_per_lane(catapult):
    done = catapult("run uv --eta 0.2,1.2,2.2 --n 1e6 --f 1 --lam 2")
    assert done.code == 0
    assert [b in done.out for b in ("lazy", "catapult", "divergent")] == [True] * 3


def test_run_takes_the_users_data(catapult, tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "mine.npz"
    np.savez(path, X=rng.normal(size=(8, 10)) / 4, y=rng.normal(size=8))
    done = catapult("run linear --eta 0.1 --steps 20 --data", str(path))
    assert done.code == 0
    assert "linear" in done.out or "loss" in done.out


def test_a_random_start_is_a_function_of_its_seed(catapult):
    words = "run uv --eta 0.3 --steps 3 --seed"
    assert catapult(words, "4").out == catapult(words, "4").out
    assert catapult(words, "4").out != catapult(words, "5").out


def test_no_message_of_a_run_speaks_python(catapult):
    """Remedies of the library are calls; those of the command line are options."""
    for words, said in BAD_INPUT:
        if words.startswith("run "):
            assert "ct." not in catapult(words).err, said


def test_an_update_map_that_is_known_by_name_serves_the_commands(catapult):
    mode = ct.models.aligned_mode(2)
    words = "aligned_mode:depth=2"
    assert catapult(f"derive {words}").out.strip() == str(mode)
    assert catapult("derive aligned_mode").out.strip() == str(ct.models.aligned_mode())
    assert "w1 = 1" in catapult(f"analyse {words},label=1").out
    assert "w1**2" in catapult(f"phases {words}").out
    assert "aligned_mode_squared_gd_step" in catapult(f"export {words} --target c").out
    claim = "w1' = w1 - eta*w2*(w1*w2 - y)"
    assert catapult("verify", claim, "--model", words).code == 0
    assert catapult("verify", claim.replace("- y", "+ y"), "--model", words).code == 1
    done = catapult(f"run {words} --eta 0.1 --y 1.5 --start w1=1,w2=0.5")
    assert (done.code, "lazy" in done.out) == (0, True)


def test_a_start_by_name_is_the_one_of_the_options(catapult):
    words = "run uv --eta 1.2 --n 100 --steps 5"
    named = catapult(f"{words} --start f=0.5,lam=3").out
    assert named == catapult(f"{words} --f 0.5 --lam 3").out
    assert named != catapult(f"{words} --f 0.5 --lam 2").out
    assert catapult(f"{words} --seed 0").out == catapult(words).out


@pytest.mark.parametrize(
    ("optimizer", "name", "value"), [("clipped", "clip", 0.5), ("unnormalised_sam", "rho", 0.1)]
)
def test_run_takes_the_numbers_of_every_optimizer(catapult, optimizer, name, value):
    words = f"run uv --eta 0.3 --n 100 --f 1 --lam 2 --optimizer {optimizer}"
    done = catapult(f"{words} --{name} {value}")
    given = {"eta": 0.3, "n": 100.0, name: value}
    want = ct.run(
        ct.derive(ct.models.uv(), optimizer=optimizer), {"f": 1.0, "lam": 2.0}, 500, **given
    )
    assert f"lam: {float(want['lam'])}" in done.out


def test_phases_are_printed_in_symbols_and_in_numbers(catapult):
    done = catapult("phases uv --lam 2 --f 1 --n 1e6 --eta 0.5,1.5,2.5")
    assert done.code == 0
    assert "eta_max = 4/lam" in done.out
    assert "eta = 0.5: lazy" in done.out
    assert "eta = 1.5: catapult" in done.out
    assert "eta = 2.5: divergent" in done.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([TRUE_CLAIM], 0, "HOLDS"),
        (["lambda' <= lambda", "--where", "eta*lambda < 4"], 0, "HOLDS UNDER HYPOTHESES"),
        (["lambda' <= lambda"], 1, "FAILS"),
        (["f' = f*(1 + eta*lambda)"], 1, "FAILS"),
        (["f' = f*(1 - eta*lambda)"], 3, "HOLDS ASYMPTOTICALLY"),
    ],
)
def test_the_exit_code_of_a_claim_is_its_verdict(catapult, words, code, said):
    done = catapult("verify", *words)
    assert (done.code, done.err) == (code, "")
    assert said in done.out


BAD_INPUT = [
    ("derive uvv", "did you mean 'uv'"),
    ("derive uv:foo", "after the colon"),
    ("derive linear:3", "targets with the data"),
    ("derive linear --inputs 0", "positive integer"),
    ("derive uv --loss sqared", "did you mean 'squared'"),
    ("derive uv --optimizer heavybal", "did you mean 'heavy_ball'"),
    ("derive uv --optimizer adam", "does not close"),
    ("derive uv --loss softmax_cross_entropy", "logistic"),
    ("phases uv --loss logistic", "needs a label of +1 or -1: uv:1 or uv:label"),
    ("analyse uv --loss exponential", "needs a label of +1 or -1: uv:1 or uv:label"),
    ("run uv --eta fast", "lo:hi:count"),
    ("run uv --eta 0:1:-2", "lo:hi:count"),
    ("run uv --eta 1:2:0", "a count of at least 1"),
    ("run uv --eta 1 --optimizer heavy_ball --beta 2", "below 1, got 2"),
    ("derive uv:1e400", "too large"),
    ("run uv --eta 0", "positive"),
    ("run uv --eta -1", "positive"),
    ("run uv --eta nan", "finite"),
    ("run uv --eta 1 --n 0", "positive"),
    ("run uv --eta 1 --steps -3", "steps"),
    ("run uv --eta 1 --beta 0.5", "beta"),
    ("run uv:label --eta 1", "needs y: give --y"),
    ("run uv --optimizer heavy_ball --eta 1", "needs beta: give --beta"),
    ("run uv --eta 1 --data nofile.npz", "leave --data out"),
    ("run uv --eta 1 --data digits", "leave --data out"),
    ("run matrix_sensing:rows=2,cols=3 --eta 0.1", "give --data"),
    ("phases uv:label --lam 2 --eta 1", "needs f, n, y: give --f, --n, --y"),
    ("run uv --eta 1 --f 1e9 --lam 2", "no network of this width"),
    ("run uv --eta 1 --out /nowhere/runs.nc", "writable folder"),
    ("run linear --eta 1 --data /nowhere/data.npz", "no file"),
    ("run linear --eta 1 --f 1", "--seed"),
    ("derive uv --latex --json", "--latex and --json exclude each other"),
    ("derive uv --steps --json", "--steps and --json exclude each other"),
    ("derive uv --steps --latex", "--steps and --latex exclude each other"),
    ("certify --check a.nc --out b.nc", "--check and --out exclude each other"),
    ("run uv --eta 1 --f 1e9", "another --f and --lam, or --seed for a random start"),
    ("run uv --eta 1 --start f=1", "the start lacks lam; give another --f and --lam"),
    ("run uv --eta 1 --start f", "write names and numbers, as in f=1,lam=2"),
    ("run uv --eta 1 --start f=1,lm=2", "did you mean 'lam'"),
    ("run uv --eta 1 --start f=1,lam=2 --seed 1", "--start and --seed exclude each other"),
    ("run uv --eta 1 --f 1 --seed 1", "--f and --seed exclude each other"),
    ("run random_quadratic --eta 0.1 --f 1", "give another --start T1=...,T2=..."),
    ("run aligned_mode --eta 0.1 --y 1", "give --start w1=...,w2=...,w3=..."),
    ("run aligned_mode --eta 0.1 --y 1 --start w1=1", "lacks w2, w3; give --start w1="),
    ("run aligned_mode --eta 0.1 --y 1 --n 9 --start w1=1,w2=1,w3=1", "n"),
    ("run uv --eta 1 --optimizer clipped", "needs clip: give --clip"),
    ("run uv --eta 1 --optimizer sam", "needs rho: give --rho"),
    ("derive aligned_mod", "did you mean 'aligned_mode'"),
    ("derive aligned_mode:depth=1", "at least 2"),
    ("derive aligned_mode:width=3", "unknown argument of aligned_mode 'width'"),
    ("derive aligned_mode --optimizer sgd", "known for gd alone, not for sgd"),
    ("derive aligned_mode --loss logistic", "modes mix"),
    ("phases uv --lam -1", "lam must be positive, got -1"),
    ("phases uv --lam 2 --n 0", "n must be positive"),
    ("phases uv --lam 2 --eta abc", "lo:hi:count"),
    ("phases uv --lam 2 --eta 1,-1", "eta must be positive"),
    ("phases uv --lam 2 --eta 1 --beta 0.5", "unknown beta"),
    ("thresholds --quick --width -1", "at least 1, got -1"),
    ("thresholds --quick --seeds 0", "at least 1 network, got 0"),
    ("thresholds --quick --out /nowhere/t.md", "writable folder"),
    ("limit --widths abc", "lo:hi:count"),
    ("limit --widths 64", "at least two widths"),
    ("limit --out /nowhere/t.nc", "writable folder"),
    ("verify 1+", "no relation"),
    ("verify __import__('os').getcwd()=1", "cannot read"),
]


@pytest.mark.parametrize(("words", "said"), BAD_INPUT, ids=[words for words, _ in BAD_INPUT])
def test_bad_input_is_one_line_and_exit_code_2(catapult, words, said):
    done = catapult(words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert said in done.err


def test_nan_in_the_users_data_is_named(catapult, tmp_path):
    path = tmp_path / "holes.npz"
    np.savez(path, X=np.array([[1.0, np.nan]]), y=np.array([1.0]))
    done = catapult("run linear --eta 1 --data", str(path))
    assert done.code == 2
    assert "nan" in done.err.lower()


@pytest.mark.parametrize("words", ["", "run uv", "derive", "fly", "derive uv --fast"])
def test_misused_options_are_exit_code_2(catapult, words):
    assert catapult(words).code == 2


MISUSED = [
    ("run uv", "error: missing option '--eta'; see catapult run --help"),
    ("derive", "error: missing argument 'MODEL'; see catapult derive --help"),
    ("fly", "error: no such command 'fly'"),
    ("derive uv --fast", "error: no such option: --fast"),
    ("--fast", "error: no such option: --fast"),
    ("run uv --eta 1 --steps many", "error: invalid value for '--steps'"),
]


@pytest.mark.parametrize(("words", "said"), MISUSED, ids=[words for words, _ in MISUSED])
def test_misused_options_are_said_in_one_line(catapult, words, said):
    done = catapult(words)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert said in done.err


def test_an_interrupted_command_says_so_and_ends_with_130(catapult, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.dynamics, "map_of", interrupted)
    done = catapult("derive uv")
    assert done.code == 130
    assert done.err == "interrupted; what was finished has been kept\n"


def test_an_error_that_nobody_foresaw_is_not_hidden(monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(cli.dynamics, "map_of", broken)
    monkeypatch.setattr(sys, "argv", ["catapult", "derive", "uv"])
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_help_loads_no_heavy_module():
    heavy = ("numba", "sympy", "xarray", "matplotlib", "sklearn", "jax", "torch")
    code = (
        "import sys; from catapult_theory import cli\n"
        "try: cli.app(['run', '--help'])\n"
        "except SystemExit: pass\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "[]"


def test_a_closed_pipe_is_no_traceback():
    code = "import sys; from catapult_theory.cli import main; main()"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code, "derive", "uv"], stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    assert b"Traceback" not in done.stderr


def test_the_doctor_names_what_is_missing_and_how_to_get_it(catapult, monkeypatch):
    parts = [
        doctor.Finding("here", "core", "1.0", "unused line"),
        doctor.Finding("away", "extra", None, "pip install -e '.[away]'"),
    ]
    monkeypatch.setattr(doctor, "examine", lambda: parts)
    done = catapult("doctor")
    assert done.code == 0
    assert "to get away: pip install -e '.[away]'" in done.out
    assert "unused line" not in done.out


def test_the_doctor_finds_the_core():
    found = {part.name: part.version for part in doctor.examine()}
    assert all(found[name] for name in ("python", "numpy", "sympy", "numba", "xarray"))


def test_an_unwritable_report_folder_is_said_before_work(catapult, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    done = catapult("report --quick --out", str(blocker / "report"))
    assert done.code == 2
    assert done.err.startswith("error: ")
