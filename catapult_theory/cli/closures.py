"""The command on breadth: closures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from catapult_theory.cli.app import app
from catapult_theory.cli.files import check_target, save_text


@app.command(epilog="Example: catapult closures --model uv --optimizer sam --out closures.md")
def closures(
    model: Annotated[str | None, typer.Option(help="one model of the zoo; all by default")] = None,
    loss: Annotated[str | None, typer.Option(help="one loss; all by default")] = None,
    optimizer: Annotated[str | None, typer.Option(help="one optimizer; all by default")] = None,
    sampled: Annotated[bool, typer.Option("--sample", help="a fixed sample of the cells")] = False,
    out: Annotated[Path | None, typer.Option(help="Markdown file to write")] = None,
) -> None:
    """Work out the table model x loss x optimizer: exact, not closed, or not meaningful.

    Exit code 1 if a cell that closes is not exact. Interrupted, the cells done are kept.
    """
    from catapult_theory.validation.closures import ClosureTable, combinations, each, sample

    check_target(out)
    keys = combinations(model, loss, optimizer)
    keys = sample(keys) if sampled else keys
    done = []
    try:
        cells = each(keys)
        for cell in track(cells, "cells", len(keys), console=Console(stderr=True)):
            done.append(cell)
            typer.echo(str(cell))
    finally:
        table = ClosureTable(tuple(done))
        typer.echo(table.summary)
        if out is not None:
            save_text(table.to_markdown(), out)
    raise typer.Exit(0 if table.passed else 1)
