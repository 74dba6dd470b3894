"""`catapult report`: the stages in order, each kept as it finishes, and one page at the end."""

from __future__ import annotations

import errno
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from catapult_theory.errors import CatapultError, InputError, OutputError
from catapult_theory.report.page import as_text, page
from catapult_theory.report.section import Section, Settings
from catapult_theory.report.stages import STAGES

NEEDED_BYTES = 64 * 2**20


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
    OutputError
        If the folder cannot be written or the disk is full; said before any work.
    CatapultError
        If a stage fails; what was finished is kept, and the page says where it stopped.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed must be a non-negative integer, got {seed!r}")
    settings = Settings(Path(out), quick, seed, threads)
    _prepare(settings)
    sections: list[Section] = []
    name = STAGES[0][0]
    try:
        with _bar(console) as bar:
            for name, stage in STAGES:
                task = bar.add_task(name, total=1)
                sections.append(stage(settings, _reporter(bar, task)))
                bar.update(task, completed=1, total=1)
    except (CatapultError, OSError, KeyboardInterrupt) as error:
        kind = "interrupted" if isinstance(error, KeyboardInterrupt) else f"stopped: {error}"
        _write(settings, sections, f"The report was {kind} in the stage “{name}”.")
        if isinstance(error, OSError) and not isinstance(error, CatapultError):
            raise _no_room(settings.out, error) from error
        raise
    return _write(settings, sections, "")


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


def _reporter(bar: Progress, task: Any) -> Any:
    def report(done: int, total: int) -> None:
        # the last unit is drawn when the stage has been saved
        bar.update(task, completed=min(done, total - 0.01), total=total)

    return report


def _write(settings: Settings, sections: list[Section], stopped: str) -> ReportPaths:
    """Write the page and the table from what is finished."""
    from catapult_theory import __version__

    paths = ReportPaths(
        settings.out / "index.html",
        settings.out / "table.txt",
        settings.figures,
        settings.data,
        settings.kernels,
    )
    again = f"catapult report --seed {settings.seed}" + (" --quick" if settings.quick else "")
    footer = (
        f"Made by catapult_theory {__version__} with Python {platform.python_version()}: {again}"
    )
    try:
        paths.index.write_text(page(settings, sections, footer, stopped), encoding="utf-8")
        tables = [table for section in sections for table in section.tables]
        paths.table.write_text(as_text(tables), encoding="utf-8")
    except OSError as error:
        raise _no_room(settings.out, error) from error
    return paths
