"""What a stage of the report hands to the page: text, equations, figures, tables, code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What a report is asked for.

    Parameters
    ----------
    out : pathlib.Path
    quick : bool
        Fewer seeds, widths and cases.
    seed : int
    threads : int or None
    """

    out: Path
    quick: bool
    seed: int
    threads: int | None

    @property
    def figures(self) -> Path:
        """The folder of figures."""
        return self.out / "figures"

    @property
    def data(self) -> Path:
        """The folder of netCDF files."""
        return self.out / "data"

    @property
    def kernels(self) -> Path:
        """The folder of emitted sources."""
        return self.out / "kernels"


@dataclass(frozen=True)
class Table:
    """A table with a title, column heads and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Parameters
    ----------
    title, text : str
    equations : tuple of (name, LaTeX)
        Shown as MathML below their names.
    figures : tuple of (name, caption)
        Names of files in the folder of figures, without suffix.
    tables : tuple of Table
    listings : tuple of (title, text)
        Source code and other preformatted text.
    html : str
        Trusted markup, such as a rendered derivation.
    """

    title: str
    text: str = ""
    equations: tuple[tuple[str, str], ...] = ()
    figures: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    listings: tuple[tuple[str, str], ...] = ()
    html: str = ""
