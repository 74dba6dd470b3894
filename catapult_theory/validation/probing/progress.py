"""How far a probe has come: a bar with the time that is left, if every search goes to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

# Called with what is being done, steps done and steps in all.
Progress = Callable[[str, float, float], None]


@contextmanager
def shown(console: Console | None) -> Iterator[Progress]:
    """Show a bar on a console, or nothing without one.

    Parameters
    ----------
    console : rich.console.Console or None
    """
    if console is None:
        yield lambda text, done, total: None
        return
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    text = TextColumn("{task.description}")
    columns = (text, BarColumn(), TimeElapsedColumn(), TextColumn("at most"), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("probing", total=1.0)

        def report(what: str, done: float, total: float) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield report
