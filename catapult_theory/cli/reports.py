"""Commands that report: the main job, and what is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from catapult_theory.cli.app import app, show


@app.command(epilog="Example: catapult report --out my-report")
def report(
    out: Annotated[Path, typer.Option(help="folder to write")] = Path("catapult-report"),
    quick: Annotated[bool, typer.Option("--quick", help="fewer seeds, widths and cases")] = False,
    seed: Annotated[int, typer.Option(help="seed of every random start")] = 0,
    threads: Annotated[int | None, typer.Option(help="default: all cores")] = None,
) -> None:
    """Do the main job on real data: derive, compile, run, validate; figures, data, one page."""
    from catapult_theory.report.pipeline import write_report

    paths = write_report(out, quick=quick, seed=seed, threads=threads, console=Console())
    typer.echo(f"open {paths.index}")


@app.command(epilog="Example: catapult doctor")
def doctor() -> None:
    """Print versions, compilers and optional parts, and how to get what is missing."""
    from catapult_theory import __version__
    from catapult_theory.codegen.storage import cache_folder
    from catapult_theory.doctor import examine

    table = Table(title=f"catapult_theory {__version__}")
    for column in ("part", "for", "version"):
        table.add_column(column)
    parts = examine()
    for part in parts:
        table.add_row(part.name, part.purpose, part.version or "[red]missing[/red]")
    show(table)
    for part in parts:
        if part.version is None:
            typer.echo(f"to get {part.name}: {part.remedy}")
    typer.echo(f"generated code is cached in {cache_folder()}")
