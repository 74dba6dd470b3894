"""Tables as plain text, for the terminal and for the file beside the page."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from catapult_theory.report.section import Table

TEXT_WIDTH = 140


def rich_table(table: Table) -> RichTable:
    """Return a table for a rich console.

    Parameters
    ----------
    table : Table

    Returns
    -------
    rich.table.Table
    """
    drawn = RichTable(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in table.columns:
        drawn.add_column(column, overflow="fold")
    for row in table.rows:
        drawn.add_row(*(_plain(cell) for cell in row))
    return drawn


def _plain(cell: str) -> str:
    """Return a cell without its square brackets read as styles."""
    return cell.replace("[", r"\[")


def as_text(tables: Sequence[Table]) -> str:
    """Return tables as plain text, 140 columns wide.

    Parameters
    ----------
    tables : sequence of Table

    Returns
    -------
    str

    Examples
    --------
    >>> print(as_text([Table("Slopes", ("variable", "slope"), (("f", "-1.0"),))]).strip())
    Slopes
      variable   slope
     ──────────────────
      f          -1.0
    """
    buffer = StringIO()
    console = Console(file=buffer, width=TEXT_WIDTH, no_color=True, highlight=False)
    for table in tables:
        console.print(rich_table(table))
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"
