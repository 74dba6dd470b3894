"""Commands on statements: verify one claim, or a file of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from catapult_theory.cli.app import LossName, ModelOption, OptimizerName, app, subject_of

EXIT_OF_VERDICT = {"holds": 0, "holds-under-hypotheses": 0, "fails": 1}
_SECONDS = 20.0
Timeout = Annotated[float, typer.Option("--timeout", help="seconds for each claim")]


@app.command(epilog='Example: catapult verify "lambda\' = lambda + eta*f**2/n*(eta*lambda - 4)"')
def verify(
    claim: Annotated[str, typer.Argument(metavar="CLAIM", help="an equation or inequality")],
    model: ModelOption = "uv",
    loss: LossName = "squared",
    optimizer: OptimizerName = "gd",
    where: Annotated[str | None, typer.Option(help="hypotheses: 'y = 0, eta*lam < 4'")] = None,
    scaling: Annotated[str | None, typer.Option(help="'f = O(sqrt(n))'")] = None,
    timeout: Timeout = _SECONDS,
) -> None:
    """Judge a claim about one training step: proof, counterexample, or order in 1/n."""
    from catapult_theory.rigor.claims.verify import verify as judge

    verdict = judge(
        claim,
        subject_of(model, loss, optimizer),
        loss=loss,
        optimizer=optimizer,
        where=where,
        scaling=scaling,
        timeout=timeout,
    )
    typer.echo(str(verdict))
    raise typer.Exit(EXIT_OF_VERDICT.get(verdict.status, 3))


@app.command(epilog="Example: catapult claims docs/claims.toml")
def claims(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="TOML, one [[claim]] for each")],
    timeout: Timeout = _SECONDS,
) -> None:
    """Judge a file of claims: a table, and exit code 1 unless all are as expected."""
    from catapult_theory.rigor.claims.file import ClaimsReport, judge_entries, read_file

    entries = read_file(file)
    found: list[Any] = []
    try:
        for result in _with_progress(judge_entries(entries, timeout), len(entries)):
            found.append(result)
    except KeyboardInterrupt:
        typer.echo(str(ClaimsReport(tuple(found))))
        raise
    report = ClaimsReport(tuple(found))
    typer.echo(str(report))
    raise typer.Exit(0 if report else 1)


def _with_progress(results: Any, total: int) -> Any:
    """Show how many claims are judged while they are; on standard error, and on a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(
        results, "claims", total=total, console=console, transient=True,
        disable=not console.is_terminal,
    )  # fmt: skip
