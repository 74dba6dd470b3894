"""Each derivation runs, its checks pass, and they would notice a wrong equation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from catapult_theory.report.cells import cells_of, math

FOLDER = Path(__file__).parent.parent / "derivations"
SCRIPTS = sorted(FOLDER.glob("*.py"))

# One change of an equation written by hand, for each script.
MUTATIONS = {
    "closure_theorem": (
        "lam: (keep**2 + mix**2) * lam - 4 *",
        "lam: (keep**2 + mix**2) * lam - 3 *",
    ),
    "uv_model": ("(eta * lam - 4)", "(eta * lam - 3)"),
    "labelled_uv_model": ("lam - 4 * eta / n * g * f", "lam - 3 * eta / n * g * f"),
    "linear_network": (
        "S - eta / width * two * (Z @ W.T + W @ Z.T)",
        "S - eta / width * two * (Z @ W.T)",
    ),
}


def run(script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(script)], capture_output=True, text=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_derivation_runs_and_its_checks_pass(script):
    done = run(script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("every check passed")


def test_every_script_has_a_mutation():
    assert {s.stem for s in SCRIPTS} == set(MUTATIONS)


@pytest.mark.full
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_derivation_notices_a_wrong_equation(script, tmp_path):
    assert_mutant_fails(script, tmp_path)


def test_linear_network_notices_a_wrong_equation(tmp_path):
    assert_mutant_fails(FOLDER / "linear_network.py", tmp_path)


def assert_mutant_fails(script, folder):
    right, wrong = MUTATIONS[script.stem]
    source = script.read_text()
    assert source.count(right) == 1
    mutant = folder / script.name
    mutant.write_text(source.replace(right, wrong))
    done = run(mutant)
    assert done.returncode != 0
    assert "AssertionError" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_derivation_opens_with_a_title_and_alternates_prose_and_code(script):
    cells = cells_of(script.read_text())
    assert cells[0].prose
    assert cells[0].text.startswith("# ")
    assert sum(c.prose for c in cells) >= 4
    assert sum(not c.prose for c in cells) >= 4


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_every_formula_of_the_prose_becomes_mathml(script):
    for cell in cells_of(script.read_text()):
        if cell.prose:
            assert cell.text.count("$") % 2 == 0
            for formula in cell.text.replace("$$", "$").split("$")[1::2]:
                assert math(formula).startswith("<math")
