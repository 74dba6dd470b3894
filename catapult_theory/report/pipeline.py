"""`catapult report`: the stages in order, each kept as it finishes, and one page at the end."""

from __future__ import annotations

import errno
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from catapult_theory.codegen.labels import versions
from catapult_theory.errors import InputError, OutputError
from catapult_theory.report.evidence_stage import evidence_stage
from catapult_theory.report.page import page
from catapult_theory.report.section import Section, Settings, Table
from catapult_theory.report.stages import (
    claim_stage,
    derivation_stage,
    kernel_stage,
    phase_stage,
    text_stage,
)
from catapult_theory.report.tables import as_text
from catapult_theory.report.validation_stages import (
    boundary_stage,
    exactness_stage,
    scaling_stage,
)

NEEDED_BYTES = 64 * 2**20
Stage = Callable[[Settings, Callable[[int, int], None]], Section]
STAGES: tuple[tuple[str, Stage], ...] = (
    ("derive", derivation_stage),
    ("compile", kernel_stage),
    ("phases", phase_stage),
    ("claims", claim_stage),
    ("exactness", exactness_stage),
    ("width scaling", scaling_stage),
    ("digits boundary", boundary_stage),
    ("PyTorch networks", evidence_stage),
    ("derivations", text_stage),
)


@dataclass(frozen=True)
class ReportPaths:
    """Where a report lies.

    Parameters
    ----------
    index, table, figures, data, kernels : pathlib.Path
    """

    index: Path
    table: Path
    figures: Path
    data: Path
    kernels: Path


def write_report(
    out: Any = "catapult-report",
    quick: bool = False,
    seed: int = 0,
    threads: int | None = None,
    console: Console | None = None,
) -> ReportPaths:
    """Do the main job and write figures, tables, data, kernels and index.html.

    Parameters
    ----------
    out : path
        Folder; made if needed, files of an earlier report are replaced.
    quick : bool
        Fewer seeds, widths and cases.
    seed : int
    threads : int or None
        None for all cores.
    console : rich.console.Console, optional
        Where progress is shown; silent without.

    Returns
    -------
    ReportPaths

    Raises
    ------
    InputError
        If the seed or the number of threads cannot be used.
    OutputError
        If the folder cannot be written or the disk is full; said before any work.

    Whatever else ends a stage early is raised after the page has been written with the stages
    that were finished; the page says where it stopped.
    """
    settings = _settings(out, quick, seed, threads)
    _prepare(settings)
    sections: list[Section] = []
    seconds: list[tuple[str, float]] = []
    for name, stage in STAGES:
        began = time.perf_counter()
        try:
            with _bar(console) as bar:
                sections.append(_run(bar, name, stage, settings))
        except (Exception, KeyboardInterrupt) as error:
            _leave(settings, sections, seconds, name, error)
            raise
        seconds.append((name, time.perf_counter() - began))
        _write(settings, [*sections, _made(settings, seconds)], _unfinished(len(seconds)))
    return _write(settings, [*sections, _made(settings, seconds)], "")


def _settings(out: Any, quick: bool, seed: int, threads: int | None) -> Settings:
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed must be a non-negative integer, got {seed!r}")
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise InputError(f"threads must be a positive integer or None, got {threads!r}")
    return Settings(Path(out), quick, seed, threads)


def _run(bar: Progress, name: str, stage: Stage, settings: Settings) -> Section:
    """Run a stage under a progress bar; files that cannot be written are one clear error."""
    task = bar.add_task(name, total=1)

    def report(done: int, total: int) -> None:
        # the last unit is drawn when the stage has been saved
        bar.update(task, completed=min(done, total - 0.01), total=total)

    try:
        section = stage(settings, report)
    except OSError as error:
        if isinstance(error, OutputError) or error.errno is None:
            raise
        raise _no_room(settings.out, error) from error
    bar.update(task, completed=1, total=1)
    return section


def _unfinished(done: int) -> str:
    following = ", ".join(name for name, _ in STAGES[done:])
    return f"Not finished; still to come: {following}." if following else ""


def _leave(
    settings: Settings,
    sections: list[Section],
    seconds: list[tuple[str, float]],
    name: str,
    error: BaseException,
) -> None:
    """Write the page with what is finished; what stopped the report is raised, not this."""
    interrupted = isinstance(error, KeyboardInterrupt)
    why = "was interrupted" if interrupted else f"stopped ({error})"
    with suppress(OutputError):
        text = f"The report {why} in the stage “{name}”; the stages before it are below."
        _write(settings, [*sections, _made(settings, seconds)], text)


def _made(settings: Settings, seconds: list[tuple[str, float]]) -> Section:
    """Return the section that says how the page was made."""
    rows = [(name, f"{spent:.1f} s") for name, spent in seconds]
    rows.append(("all", f"{sum(spent for _, spent in seconds):.1f} s"))
    facts = (
        ("command", _command(settings)),
        ("versions", versions()),
        ("Python", platform.python_version()),
        ("machine", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"),
    )
    return Section(
        "How this was made",
        "The same seed gives the same numbers on the same machine; times depend on it. Each "
        "netCDF file in data/ carries model, loss, optimizer, start and versions as attributes.",
        tables=(
            Table("Settings", ("what", "value"), facts),
            Table("Time of each stage", ("stage", "time"), tuple(rows)),
        ),
    )


def _command(settings: Settings) -> str:
    parts = ["catapult report", f"--seed {settings.seed}"]
    parts += ["--quick"] if settings.quick else []
    parts += [] if settings.threads is None else [f"--threads {settings.threads}"]
    return " ".join(parts)


def _prepare(settings: Settings) -> None:
    """Make the folders and check that they can be written, before any work."""
    try:
        for folder in (settings.figures, settings.data, settings.kernels):
            folder.mkdir(parents=True, exist_ok=True)
        probe = settings.out / ".probe"
        probe.write_bytes(b"x")
        probe.unlink()
        free = os.statvfs(settings.out)
    except OSError as error:
        raise _no_room(settings.out, error) from error
    if free.f_bavail * free.f_frsize < NEEDED_BYTES:
        raise OutputError(f"{settings.out}: less than 64 MiB are free; choose another --out")


def _no_room(folder: Path, error: OSError) -> OutputError:
    why = "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error))
    return OutputError(f"cannot write to {folder} ({why}): choose another folder with --out")


def _bar(console: Console | None) -> Progress:
    return Progress(
        TextColumn("{task.description:16}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=console is None,
    )


def _write(settings: Settings, sections: list[Section], stopped: str) -> ReportPaths:
    """Write the page and the tables from what is finished."""
    paths = ReportPaths(
        settings.out / "index.html",
        settings.out / "table.txt",
        settings.figures,
        settings.data,
        settings.kernels,
    )
    tables = [table for section in sections for table in section.tables]
    try:
        paths.index.write_text(page(settings, sections, stopped), encoding="utf-8")
        paths.table.write_text(as_text(tables), encoding="utf-8")
    except OSError as error:
        raise _no_room(settings.out, error) from error
    return paths
