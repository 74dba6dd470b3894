"""The command on statements: the registry, with its checks run again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from catapult_theory.cli.app import app, progress_bar, show

if TYPE_CHECKING:
    from catapult_theory.rigor.statements.statement import Checked, Statement

_COLOURS = {"passed": "green", "failed": "red", "not checked": "yellow"}
# A statement at one of these levels has a check of its own, which should have run.
_BACKED = ("proved", "decided", "certified")


@app.command(epilog="Example: catapult statements T7 edge sharp")
def statements(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="all if left out")
    ] = None,
    formulas: Annotated[
        bool, typer.Option("--formulas", help="hypotheses and conclusions, without checks")
    ] = False,
) -> None:
    """Print the statements of the theory, their levels, and run their checks again.

    Exit code 1 if a check fails, 3 if the check of a proved, decided or certified statement
    cannot run.
    """

    from catapult_theory.rigor.statements.registry import check_statements, chosen

    wanted = chosen(ids)
    if formulas:
        for statement in wanted:
            typer.echo(f"{statement.id} [{statement.level}] {statement.sentence}")
            if statement.formula:
                typer.echo(f"    {statement.formula}")
        return
    found: dict[str, Checked] = {}
    try:
        with progress_bar() as progress:
            task = progress.add_task("checking", total=len(wanted))
            for checked in check_statements(ids):
                found[checked.statement.id] = checked
                progress.update(task, advance=1, description=f"checked {checked.statement.id}")
    finally:
        _print_table(wanted, found)
    raise typer.Exit(_exit_code(found))


def _print_table(wanted: tuple[Statement, ...], found: dict[str, Checked]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Statements and their checks")
    for column in ("id", "statement", "level", "source", "check", "result"):
        table.add_column(column, overflow="fold", no_wrap=column in ("id", "level"))
    for statement in wanted:
        checked = found.get(statement.id)
        status = checked.status if checked else "not checked"
        detail = checked.finding.detail if checked else "interrupted"
        result = f"[{_COLOURS[status]}]{status}[/]: {escape(_short(detail))}"
        table.add_row(
            statement.id,
            statement.sentence,
            statement.level,
            statement.source,
            statement.check.how,
            result,
        )
    show(table)


def _short(detail: str) -> str:
    return detail if len(detail) <= 120 else f"{detail[:117]}..."


def _exit_code(found: dict[str, Checked]) -> int:
    if any(c.status == "failed" for c in found.values()):
        return 1
    lost = [c for c in found.values() if c.status == "not checked"]
    return 3 if any(c.statement.level in _BACKED for c in lost) else 0
