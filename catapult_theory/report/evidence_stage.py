"""The stage of the report on trained PyTorch networks: the study that comes with the toolkit."""

from __future__ import annotations

from collections.abc import Callable

from catapult_theory.report.evidence_figure import evidence_figure
from catapult_theory.report.section import Section, Settings, Table
from catapult_theory.report.style import save
from catapult_theory.validation.evidence import EvidenceResult, published
from catapult_theory.validation.evidence.result import HEAD, INTERVALS
from catapult_theory.validation.evidence.verdicts import MISSING

TITLE = "The predictions on trained PyTorch networks"
TEXT = (
    "PyTorch networks on real images, judged by criteria that were written down before measuring. "
    "These numbers were measured beforehand, not for this page; catapult evidence measures them "
    "again, with --rows NAME a single one. The file data/evidence.json has every start and setting."
)
# A name says the setting, and every row here has all its starts.
SHOWN = ("row", "prediction (source)", "criterion", "median [interval]", "verdict")


def evidence_stage(settings: Settings, progress: Callable[[int, int], None]) -> Section:
    """Show the rows that were measured, their criteria and their verdicts."""
    study = published()
    if study is None:
        return Section(TITLE, "The measured study is not part of this installation.")
    save(evidence_figure(study), settings.figures, "evidence")
    (settings.data / "evidence.json").write_text(study.to_json() + "\n", encoding="utf-8")
    progress(1, 1)
    caption = "Each start (a stroke), the median and its interval, over what the criterion asks for"
    table = Table("Rows and verdicts", SHOWN, _rows(study))
    return Section(
        TITLE,
        f"{TEXT} {INTERVALS} {_versions(study)}",
        figures=(("evidence", caption),),
        tables=(table,),
    )


def _rows(study: EvidenceResult) -> tuple[tuple[str, ...], ...]:
    places = [HEAD.index(name) for name in SHOWN]
    there = [found.cells for found in study.rows if found.verdict != MISSING]
    return tuple(tuple(cells[i] for i in places) for cells in there)


def _versions(study: EvidenceResult) -> str:
    parts = ", ".join(f"{name} {version}" for name, version in study.versions.items())
    return f"{study.summary}; with {parts}."
