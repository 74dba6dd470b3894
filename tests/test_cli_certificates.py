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


def test_a_file_is_replaced_where_that_is_asked_for(certify, tmp_path):
    path = tmp_path / "map.nc"
    path.write_text("nothing")
    code, out, _ = certify(f"--kappa 0.3 --box 0:4,0:4 --levels 6 --force --out {path}")
    assert (code, out.splitlines()[-1]) == (0, f"wrote {path}")
    with h5py.File(path) as file:
        assert "kappa" in file.attrs


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--kappa 0.3 --box 0:8", "is no box"),
        ("--kappa -1", "u -> -u"),
        ("--check no-such-file.nc", "from no-such-file.nc: No such file or directory"),
        ("--check text.nc", "from text.nc: it is no netCDF file"),
        ("--check text.nc --sample -1", "at least 1 cell"),
        # With a budget that no test could wait for: they are refused before the search.
        ("--budget 1e6 --out /nonexistent/a.nc", "writable folder"),
        ("--budget 1e6 --out text.nc", "--force to replace it"),
        ("--budget 1e6 --out . --force", "writable folder"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(certify, tmp_path, monkeypatch, line, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.nc").write_text("nothing")
    code, _, err = certify(line)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
