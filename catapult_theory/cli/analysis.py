"""The command on the long run: fixed points, stability, invariants and cycles of a map."""

from __future__ import annotations

from typing import Annotated

import typer

from catapult_theory.cli.app import LossName, ModelName, OptimizerName, app, map_of


@app.command(epilog="Example: catapult analyse uv:label")
def analyse(
    model: ModelName,
    loss: LossName = "squared",
    optimizer: OptimizerName = "gd",
    latex: Annotated[bool, typer.Option("--latex", help="print LaTeX")] = False,
) -> None:
    """Print fixed points, stability thresholds, invariant lines and 2-cycles, in closed form."""
    from catapult_theory.symbolic.analysis import analyse as find

    found = find(map_of(model, loss, optimizer))
    typer.echo(found.latex() if latex else str(found))
