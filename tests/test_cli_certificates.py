"""catapult certify: writes a map, checks one, and says in one line what is wrong."""

from __future__ import annotations

import sys

import h5py
import pytest

from catapult_theory import cli


@pytest.fixture
def certify(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")

    def call(line):
        monkeypatch.setattr(sys, "argv", ["catapult", "certify", *line.split()])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        return stop.value.code or 0, printed.out, printed.err

    return call


def test_its_help_has_an_example(certify):
    code, out, _ = certify("--help")
    assert code == 0
    assert "Example: catapult certify" in out


def test_a_map_is_written_and_holds(certify, tmp_path):
    pytest.importorskip("flint")
    path = tmp_path / "map.nc"
    code, out, _ = certify(f"--kappa 0.3 --box 0:4,0:4 --levels 9 --out {path}")
    assert code == 0
    assert "converges" in out
    assert certify(f"--check {path} --sample 10")[0] == 0
    with h5py.File(path, "r+") as file:
        file["steps"][...] = 0
    code, out, _ = certify(f"--check {path} --sample 10")
    assert code == 1
    assert "does not hold" in out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--kappa 0.3 --box 0:8", "is no box"),
        ("--kappa -1", "u -> -u"),
        ("--check no-such-file.nc", "cannot read"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(certify, line, message):
    code, _, err = certify(line)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
