"""One self-contained page that shows everything a report made."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import StringIO

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import Console
from rich.table import Table as RichTable

from catapult_theory.report.cells import math
from catapult_theory.report.section import Section, Settings, Table

TITLE = "The catapult mechanism, exactly"
LEAD = (
    "Update equations derived from the networks as they are written, compiled, run, and held "
    "against brute-force training. Every number on this page was computed for it."
)
TEXT_WIDTH = 140


def page(settings: Settings, sections: Sequence[Section], footer: str, stopped: str = "") -> str:
    """Return the HTML of a report.

    Parameters
    ----------
    settings : Settings
    sections : sequence of Section
    footer : str
        Versions and the command that makes the page again.
    stopped : str
        Where the report stopped, if it did.

    Returns
    -------
    str
    """

    def picture(name: str) -> str:
        return base64.b64encode((settings.figures / f"{name}.png").read_bytes()).decode()

    environment = Environment(
        loader=PackageLoader("catapult_theory.report"), autoescape=True, undefined=StrictUndefined
    )
    environment.globals.update(math=math, picture=picture)
    template = environment.get_template("page.html")
    return template.render(
        title=TITLE, lead=LEAD, sections=sections, footer=footer, stopped=stopped
    )


def as_text(tables: Sequence[Table]) -> str:
    """Return tables as plain text.

    Parameters
    ----------
    tables : sequence of Table

    Returns
    -------
    str

    Examples
    --------
    >>> "claim" in as_text([Table("t", ("claim",), (("x",),))])
    True
    """
    buffer = StringIO()
    console = Console(file=buffer, width=TEXT_WIDTH, no_color=True)
    for table in tables:
        drawn = RichTable(title=table.title, title_justify="left")
        for column in table.columns:
            drawn.add_column(column, overflow="fold")
        for row in table.rows:
            drawn.add_row(*row)
        console.print(drawn)
    return buffer.getvalue()
