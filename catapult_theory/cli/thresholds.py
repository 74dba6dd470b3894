"""The command on thresholds: closed forms beside bisections on trained raw networks."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from catapult_theory.cli.app import app

SHOWN = 3


@app.command(epilog="Example: catapult thresholds --quick")
def thresholds(
    quick: Annotated[bool, typer.Option("--quick", help="fewer networks, wider brackets")] = False,
    width: Annotated[int, typer.Option(help="width n of the networks")] = 32,
    seeds: Annotated[int | None, typer.Option(help="networks for each threshold")] = None,
) -> None:
    """Print every threshold in closed form beside its measurement on trained raw networks."""
    from catapult_theory.validation.thresholds import Threshold, threshold_cases

    table = Table(title="thresholds", show_lines=True)
    for column in ("training", "what changes", "closed form", "value", "measured", "agreement"):
        table.add_column(column, overflow="fold")
    cases = threshold_cases(quick=quick, n=width, seeds=seeds)
    found: list[Threshold] = []
    try:
        with Progress(transient=True) as bar:
            task = bar.add_task("training networks", total=len(cases))
            for what, measure in cases:
                bar.update(task, description=what)
                found.append(measure())
                bar.advance(task)
    finally:
        for row in found:
            values = "\n".join(f"{v:.5g}" for v in row.value[:SHOWN])
            pairs = zip(row.low[:SHOWN], row.high[:SHOWN], strict=True)
            brackets = "\n".join(f"[{a:.5g}, {b:.5g}]" for a, b in pairs)
            word = row.verdict
            table.add_row(row.name, row.meaning, str(row.expr), values, brackets, word)
        if found:
            Console().print(table)
    if not all(row.passed for row in found):
        raise typer.Exit(1)
