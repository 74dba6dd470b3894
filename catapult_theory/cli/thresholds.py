"""The command on thresholds: closed forms beside bisections on trained raw networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from catapult_theory.cli.app import app, progress_bar, show
from catapult_theory.cli.files import check_target, save_text

SHOWN = 3


@app.command(epilog="Example: catapult thresholds --quick")
def thresholds(
    quick: Annotated[bool, typer.Option("--quick", help="fewer networks, wider brackets")] = False,
    width: Annotated[int, typer.Option(help="width n of the networks")] = 32,
    seeds: Annotated[int | None, typer.Option(help="networks for each threshold")] = None,
    out: Annotated[Path | None, typer.Option(help="Markdown file to write")] = None,
) -> None:
    """Print every threshold in closed form beside its measurement on trained raw networks.

    Exit code 1 if one disagrees. Interrupted, the thresholds done are kept.
    """
    from catapult_theory.validation.thresholds import Threshold, threshold_cases

    check_target(out)
    cases = threshold_cases(quick=quick, n=width, seeds=seeds)
    found: list[Threshold] = []
    try:
        with progress_bar() as bar:
            task = bar.add_task("training networks", total=len(cases))
            for what, measure in cases:
                bar.update(task, description=what)
                found.append(measure())
                bar.advance(task)
    finally:
        if found:
            show(_table(found))
        if out is not None:
            save_text(_markdown(found), out)
    if not all(row.passed for row in found):
        raise typer.Exit(1)


def _table(found: Sequence[Any]) -> Table:
    from catapult_theory.validation.thresholds import HEAD

    table = Table(title="thresholds", show_lines=True)
    for column in HEAD:
        # A number that is broken over two lines cannot be read.
        table.add_column(column, overflow="fold", no_wrap=column in ("value", "measured"))
    for row in found:
        table.add_row(*("\n".join(cell.split("\n")[:SHOWN]) for cell in row.cells))
    return table


def _markdown(found: Sequence[Any]) -> str:
    from catapult_theory.validation.thresholds import HEAD

    lines = [HEAD, ("---",) * len(HEAD)]
    lines += [tuple(cell.replace("\n", "<br>") for cell in row.cells) for row in found]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
