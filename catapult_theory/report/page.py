"""One self-contained page that shows everything a report made."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from catapult_theory.report.cells import math
from catapult_theory.report.section import Section, Settings

TITLE = "The catapult mechanism, exactly"
LEAD = (
    "Update equations derived from the networks as they are written, compiled, run, and held "
    "against brute-force training. Every number on this page was computed for it, but those of the "
    "section on PyTorch networks, whose training takes hours."
)


def page(settings: Settings, sections: Sequence[Section], stopped: str = "") -> str:
    """Return the HTML of a report: one file, with figures, formulas and styles inside it.

    Formulas are MathML and figures SVG, so that the page needs neither scripts nor a network.

    Parameters
    ----------
    settings : Settings
    sections : sequence of Section
    stopped : str
        Where the report stopped, if it did.

    Returns
    -------
    str
    """

    def picture(name: str) -> str:
        return base64.b64encode((settings.figures / f"{name}.svg").read_bytes()).decode()

    environment = Environment(
        loader=PackageLoader("catapult_theory.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(math=math, picture=picture)
    template = environment.get_template("page.html")
    return template.render(title=TITLE, lead=LEAD, sections=sections, stopped=stopped)
