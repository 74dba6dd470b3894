"""Commands that search for counterexamples: falsify."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from catapult_theory.cli.app import LossName, ModelOption, OptimizerName, app, subject_of

EXIT_OF_STATUS = {"proved": 0, "counterexample": 1}


@app.command(epilog='Example: catapult falsify "lam_next <= lam" --where "eta*lam < 4"')
def falsify(
    claim: Annotated[str, typer.Argument(metavar="CLAIM", help="as for verify; or always: ...")],
    model: ModelOption = "uv",
    loss: LossName = "squared",
    optimizer: OptimizerName = "gd",
    where: Annotated[str | None, typer.Option(help="hypotheses: 'y = 0, eta*lam < 4'")] = None,
    steps: Annotated[int | None, typer.Option(help="at each of the first so many steps")] = None,
    tries: Annotated[int, typer.Option(help="starts drawn at random")] = 300,
    seed: Annotated[int, typer.Option(help="of the draws")] = 0,
    seconds: Annotated[float, typer.Option(help="after which no search begins")] = 20.0,
) -> None:
    """Search for a state at which a claim is false: exit 0 proved, 1 false, 3 undecided."""
    from catapult_theory.rigor.falsification.search import falsify as search

    with Console(stderr=True).status("searching"):
        subject = subject_of(model, loss, optimizer)
        found = search(
            claim, subject, loss=loss, optimizer=optimizer, where=where, steps=steps,
            tries=tries, seed=seed, seconds=seconds,
        )  # fmt: skip
    typer.echo(str(found))
    raise typer.Exit(EXIT_OF_STATUS.get(found.status, 3))
