"""Commands on statements: verify."""

from __future__ import annotations

from typing import Annotated

import typer

from catapult_theory.cli.app import LossName, ModelOption, OptimizerName, app, model_of

EXIT_OF_VERDICT = {"holds": 0, "holds-under-hypotheses": 0, "fails": 1}


@app.command(epilog='Example: catapult verify "lambda\' = lambda + eta*f**2/n*(eta*lambda - 4)"')
def verify(
    claim: Annotated[str, typer.Argument(metavar="CLAIM", help="an equation or inequality")],
    model: ModelOption = "uv",
    loss: LossName = "squared",
    optimizer: OptimizerName = "gd",
    where: Annotated[str | None, typer.Option(help="hypotheses: 'y = 0, eta*lam < 4'")] = None,
    scaling: Annotated[str | None, typer.Option(help="'f = O(sqrt(n))'")] = None,
) -> None:
    """Judge a claim about one training step: proof, counterexample, or order in 1/n."""
    from catapult_theory.rigor.verify import verify as judge

    verdict = judge(
        claim, model_of(model), loss=loss, optimizer=optimizer, where=where, scaling=scaling
    )
    typer.echo(str(verdict))
    raise typer.Exit(EXIT_OF_VERDICT.get(verdict.status, 3))
