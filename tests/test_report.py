"""The report: what is finished is kept, what stops it is said, the page needs nothing else."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import xarray as xr
from matplotlib.figure import Figure

from catapult_theory.errors import CatapultError, InputError, OutputError
from catapult_theory.report import evidence_stage, pipeline, stages
from catapult_theory.report.cells import cells_of, math, printed, prose, render
from catapult_theory.report.page import page
from catapult_theory.report.pipeline import write_report
from catapult_theory.report.section import Section, Settings, Table
from catapult_theory.report.style import save
from catapult_theory.report.tables import as_text
from catapult_theory.validation.evidence import load, published

FOLDER = Path(__file__).parent.parent / "derivations"


def drawn(settings, progress):
    """A stage that saves one figure."""
    figure = Figure()
    figure.subplots().plot([1, 2])
    save(figure, settings.figures, "line")
    progress(1, 1)
    table = Table("Numbers", ("name", "value"), (("width", "17"),))
    return Section("First part", "Some text.", figures=(("line", "A line"),), tables=(table,))


def failing(error):
    def stage(settings, progress):
        raise error

    return stage


def with_stages(monkeypatch, *stages):
    names = ("first", "second", "third")
    monkeypatch.setattr(pipeline, "STAGES", tuple(zip(names, stages, strict=False)))


def test_report_writes_page_table_figures_and_how_it_was_made(monkeypatch, tmp_path):
    with_stages(monkeypatch, drawn)
    paths = write_report(tmp_path / "new" / "folder", seed=3)
    html = paths.index.read_text()
    assert "First part" in html
    assert "catapult report --seed 3" in html
    assert 'class="stopped"' not in html
    assert "17" in paths.table.read_text()
    assert {p.name for p in paths.figures.iterdir()} == {"line.png", "line.svg"}


def test_page_is_complete_in_itself(monkeypatch, tmp_path):
    with_stages(monkeypatch, drawn)
    html = write_report(tmp_path).index.read_text()
    assert "<script" not in html
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert sources
    assert all(s.startswith(("data:", "#", "figures/")) for s in sources)


def test_page_escapes_what_it_is_given(tmp_path):
    section = Section("a < b", "x & y", listings=(("code", "if a < b: pass"),))
    html = page(Settings(tmp_path, False, 0, None), [section])
    assert "a &lt; b" in html
    assert "if a &lt; b: pass" in html


def test_the_proofs_are_shown_with_their_statements_and_not_said_to_be_checked(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(stages, "DERIVATIONS", tmp_path)  # no script: nothing has to run
    section = stages.text_stage(Settings(tmp_path, False, 0, None), lambda i, n: None)
    assert "<summary>proof: whitened_data.v (samples-C, samples-D)</summary>" in section.html
    assert "<summary>proof: vectors.v (lemmas)</summary>" in section.html
    assert section.html.count("<details>") == len(list(FOLDER.glob("*.v")))
    assert "1 &lt;= energy O" in section.html
    assert "did not check" in section.html


STOPS = [
    (CatapultError("the cause, the remedy"), CatapultError, "the cause, the remedy"),
    (ZeroDivisionError("division by zero"), ZeroDivisionError, "division by zero"),
    (KeyboardInterrupt(), KeyboardInterrupt, "was interrupted"),
    (OSError(errno.ENOSPC, "No space left on device"), OutputError, "the disk is full"),
]


@pytest.mark.parametrize(("error", "raised", "said"), STOPS, ids=lambda x: type(x).__name__)
def test_report_that_stops_keeps_what_it_finished_and_says_where(
    monkeypatch, tmp_path, error, raised, said
):
    with_stages(monkeypatch, drawn, failing(error), drawn)
    with pytest.raises(raised):
        write_report(tmp_path)
    html = (tmp_path / "index.html").read_text()
    assert said in html
    assert "“second”" in html
    assert "First part" in html
    assert (tmp_path / "figures" / "line.svg").exists()


def test_page_is_there_after_each_stage(monkeypatch, tmp_path):
    seen = []

    def looks(settings, progress):
        seen.append((settings.out / "index.html").read_text())
        return Section("Second part")

    with_stages(monkeypatch, drawn, looks)
    write_report(tmp_path)
    assert "still to come: second" in seen[0]
    assert "First part" in seen[0]


def never(settings, progress):
    raise AssertionError("work began")


def test_folder_that_cannot_be_written_is_one_error_before_work(monkeypatch, tmp_path):
    with_stages(monkeypatch, never)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write to .*another folder with --out"):
        write_report(tmp_path / "file" / "report")


def test_full_disk_is_one_error_before_work(monkeypatch, tmp_path):
    with_stages(monkeypatch, never)
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=1, f_frsize=4096))
    with pytest.raises(OutputError, match="64 MiB"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"seed": -1}, {"seed": 1.5}, {"seed": True}, {"threads": 0}, {"threads": 1.5}]
)
def test_wrong_settings_are_refused_before_work(monkeypatch, tmp_path, wrong):
    with_stages(monkeypatch, never)
    with pytest.raises(InputError):
        write_report(tmp_path, **wrong)


def test_progress_is_silent_without_a_console(monkeypatch, tmp_path, capsys):
    with_stages(monkeypatch, drawn)
    write_report(tmp_path)
    assert capsys.readouterr().out == ""


def test_table_keeps_square_brackets_and_order():
    text = as_text([Table("T", ("a", "b"), (("[0, 1]", "x"), ("[red]", "y")))])
    assert text.index("[0, 1]") < text.index("[red]")


def test_cells_are_split_at_their_marks():
    cells = cells_of("# %% [markdown]\n# # Title\n#\n# text\n# %%\nx = 1\n# a comment\n")
    assert [c.prose for c in cells] == [True, False]
    assert cells[0].text == "# Title\n\ntext"
    assert cells[1].text == "x = 1\n# a comment"


def test_formulas_of_prose_and_output_become_mathml():
    assert prose("with $a<b$ and *more*").count("<math") == 1
    html = printed("before\n$$x^2$$\nafter <")
    assert html.count("<math") == 1
    assert "after &lt;" in html
    rows = math("\\begin{aligned}a &= 1 \\\\ b &= 2\\end{aligned}")
    assert rows.count("<mtr>") == 2


SCRIPT = "# %% [markdown]\n# # A sum of $n$ terms\n#\n# ## Part\n# %%\nprint(1 + 1)\n# %%\n{last}\n"


def test_rendered_script_shows_what_each_cell_printed(tmp_path):
    path = tmp_path / "sum.py"
    path.write_text(SCRIPT.format(last="print('done')"))
    title, html = render(path)
    assert title.startswith("A sum of <math")
    assert html.index("print(1 + 1)") < html.index(">2<") < html.index(">done<")
    assert "<h4>Part</h4>" in html
    assert "<h1>" not in html


def test_script_that_fails_is_named_with_its_error(tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text(SCRIPT.format(last="assert 1 == 2, 'one is not two'"))
    with pytest.raises(CatapultError, match=r"wrong\.py fails.*one is not two"):
        render(path)


def test_script_without_cells_is_refused(tmp_path):
    path = tmp_path / "empty.py"
    path.write_text("x = 1\n")
    with pytest.raises(InputError, match="no cell"):
        render(path)


@pytest.mark.full
def test_quick_report_does_the_whole_job(tmp_path):
    paths = write_report(tmp_path, quick=True)
    html = paths.index.read_text()
    assert "FAILS" not in html
    assert 'class="stopped"' not in html
    assert len(list(paths.kernels.glob("*.py"))) == 10
    for name in ("trajectories", "final_curvature", "error_against_step", "digits_boundary"):
        assert (paths.figures / f"{name}.png").exists()
        with xr.open_dataset(paths.data / f"{name}.nc", engine="h5netcdf") as dataset:
            assert dataset.sizes
    names = {p.stem for p in paths.figures.glob("*.svg")}
    assert names == {p.stem for p in paths.figures.glob("*.png")}
    with xr.open_dataset(paths.data / "exactness.nc", engine="h5netcdf") as found:
        assert bool((found.error <= found.tolerance).all())
        assert bool((found.control > found.tolerance).all())


def test_the_evidence_is_shown_as_measured_before_with_its_verdicts(tmp_path):
    settings = Settings(tmp_path, True, 0, None)
    for folder in (settings.figures, settings.data):
        folder.mkdir()
    section = evidence_stage.evidence_stage(settings, lambda i, n: None)
    (table,) = section.tables
    rows = {row[0]: row for row in table.rows}
    assert rows["uv-edge"][-1] == "holds"
    assert "measured beforehand" in section.text
    assert (settings.figures / "evidence.svg").exists()
    assert load(settings.data / "evidence.json").summary == published().summary


def test_a_report_without_the_measured_study_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(evidence_stage, "published", lambda: None)
    section = evidence_stage.evidence_stage(Settings(tmp_path, True, 0, None), lambda i, n: None)
    assert "not part of this installation" in section.text
