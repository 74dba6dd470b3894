"""The command on proofs: prove."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from catapult_theory.cli.app import app, progress_bar, show

if TYPE_CHECKING:
    from catapult_theory.rigor.proofs.registry import Proof

_COLOURS = {"proved": "green", "failed": "red", "not-checked": "yellow"}


@app.command(epilog="Example: catapult prove T3 edge sharp")
def prove(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="statements; all if left out")
    ] = None,
    claims: Annotated[
        bool, typer.Option("--claims", help="print each theorem as Coq states it")
    ] = False,
) -> None:
    """Check the proofs of statements with Coq, and list the axioms that they rest on."""

    from catapult_theory.rigor.proofs.registry import check_each, known

    wanted = known(ids)
    found: list[Proof] = []
    try:
        with progress_bar() as progress:
            task = progress.add_task("checking with coqc", total=len(wanted))
            for proofs in check_each(wanted):
                found += proofs
                progress.update(task, completed=len({p.statement for p in found}))
    finally:
        found.sort(key=lambda p: wanted.index(p.statement))
        _print_table(found)
    if claims:
        for proof in found:
            typer.echo(proof.claim)
    raise typer.Exit(_exit_code(found))


def _print_table(proofs: list[Proof]) -> None:
    from rich.table import Table

    known = sorted({axiom for p in proofs for axiom in p.axioms})
    table = Table(title="Theorems checked by Coq")
    for column in ("statement", "theorem", "file", "result", "axioms"):
        table.add_column(column, no_wrap=column != "theorem")
    for p in proofs:
        numbers = " ".join(str(known.index(axiom) + 1) for axiom in p.axioms)
        result, colour = p.status.replace("-", " "), _COLOURS[p.status]
        table.add_row(p.statement, p.theorem, p.file, f"[{colour}]{result}[/{colour}]", numbers)
    show(table)
    for number, axiom in enumerate(known, 1):
        typer.echo(f"axiom {number}: {axiom}")
    for detail in dict.fromkeys(f"{p.file}: {p.detail}" for p in proofs if p.detail):
        typer.echo(detail)
    counts = Counter(p.status for p in proofs)
    typer.echo(", ".join(f"{counts[s]} {s.replace('-', ' ')}" for s in _COLOURS if counts[s]))


def _exit_code(proofs: list[Proof]) -> int:
    """Return 0 if all are proved, 1 if one failed, 3 if one could not be checked."""
    statuses = {p.status for p in proofs}
    return 1 if "failed" in statuses else 3 if "not-checked" in statuses else 0
