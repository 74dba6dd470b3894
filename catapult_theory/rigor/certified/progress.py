"""How far a certified map has come: a bar over the budget, the open area beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

# Called with the level, the number of cells seen and the part of the area that is open.
Progress = Callable[[int, int, float], None]


@contextmanager
def silent() -> Iterator[Progress]:
    """Show nothing."""
    yield lambda level, cells, area: None


@contextmanager
def bar(console: Console, budget: float) -> Iterator[Progress]:
    """Show a bar that fills with the seconds of the budget.

    Parameters
    ----------
    console : rich.console.Console
    budget : float
    """
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    text = TextColumn("{task.description}")
    begun = time.monotonic()
    with Bar(text, BarColumn(), TimeElapsedColumn(), console=console, transient=True) as shown:
        task = shown.add_task("certifying", total=budget)

        def report(level: int, cells: int, area: float) -> None:
            text = f"halved {level} times, {cells:,} cells, open {100 * area:.2f} %"
            passed = min(time.monotonic() - begun, budget)
            shown.update(task, completed=passed, description=text)

        yield report
