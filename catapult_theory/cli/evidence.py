"""The command on the paper's predictions against real training: evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from catapult_theory.cli.app import app, show
from catapult_theory.errors import InputError, OutputError

COLOURS = {"holds": "green", "fails": "red", "undecided": "yellow", "censored": "yellow"}


@app.command(epilog="Example: catapult evidence --budget 30 --rows onset-tanh-256 --out found")
def evidence(
    budget: Annotated[float, typer.Option(help="minutes of training")] = 120.0,
    quick: Annotated[bool, typer.Option("--quick", help="a few rows of tiny networks")] = False,
    rows: Annotated[str, typer.Option(help="names, separated by commas; all if left out")] = "",
    criteria: Annotated[Path | None, typer.Option(help="a criteria file of your own")] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder for results.json, table.md and evidence.png")
    ] = None,
) -> None:
    """Hold the paper's predictions against real training, by criteria written down before.

    Exit code 1 if a row fails, 3 if none fails but one that asserts something was not decided.
    """
    from catapult_theory.validation.evidence import bundled, chosen, read, study

    if quick and criteria is not None:
        raise InputError("--quick has criteria of its own: leave --criteria out")
    there = read(criteria) if criteria else bundled("quick" if quick else "criteria")
    wanted = chosen(there, [name.strip() for name in rows.split(",") if name.strip()])
    _make_folder(out)
    console = Console(stderr=True)
    result = study(wanted, budget, console if console.is_terminal else None)
    show(_table(result))
    typer.echo(result.summary)
    if out is not None:
        _write(result, out)
    if result.stopped == "interrupted":
        raise KeyboardInterrupt
    raise typer.Exit(1 if result.failed else 3 if result.undecided else 0)


def _table(result: Any) -> Table:
    table = Table()
    table.add_column("row", no_wrap=True)
    for head in ("criterion", "median [interval]", "starts", "verdict"):
        table.add_column(head)
    for found in result.rows:
        name, _, _, criterion, shown, starts, verdict = (escape(cell) for cell in found.cells)
        colour = COLOURS.get(verdict, "dim")
        table.add_row(name, criterion, shown, starts, f"[{colour}]{verdict}[/]")
    return table


def _make_folder(folder: Path | None) -> None:
    """Make the folder before work is done for it."""
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise OutputError(f"cannot make the folder {folder}: {cause.strerror}") from cause


def _write(result: Any, folder: Path) -> None:
    from catapult_theory.report.evidence_figure import evidence_figure

    try:
        (folder / "results.json").write_text(result.to_json() + "\n", encoding="utf-8")
        (folder / "table.md").write_text(result.to_markdown(), encoding="utf-8")
        evidence_figure(result).savefig(folder / "evidence.png", dpi=150)
    except OSError as cause:
        raise OutputError(f"cannot write to {folder}: {cause}") from cause
    typer.echo(f"wrote {folder}")
