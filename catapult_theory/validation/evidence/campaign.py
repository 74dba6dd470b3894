"""The study: rows measured one after the other, as far as the time allows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from catapult_theory.errors import CatapultError, InputError
from catapult_theory.networks.torch_part import torch_part
from catapult_theory.validation.evidence.result import EvidenceResult, RowResult
from catapult_theory.validation.evidence.rows import EvidenceRow
from catapult_theory.validation.evidence.statistics import Tick, measure
from catapult_theory.validation.probing.progress import Progress, shown
from catapult_theory.validation.probing.result import Edge

if TYPE_CHECKING:
    from rich.console import Console

LATE = "the time was used up before"


class _OutOfTime(Exception):
    """Ends a measurement between two of its runs; those that were made are kept."""


def study(
    rows: Sequence[EvidenceRow], minutes: float, console: Console | None = None
) -> EvidenceResult:
    """Measure rows, those that assert something first, and judge them.

    Every training run is kept on disk under a key of its settings, so that a later call goes on
    from there. No run begins after the time is used up; a row without all of its starts is "not
    measured", whatever those starts say. An interrupt (Ctrl-C) returns what was measured.

    Parameters
    ----------
    rows : sequence of EvidenceRow
    minutes : float
        Time for the training, above 0; the last run may pass it by its own length.
    console : rich.console.Console, optional
        Shows progress on it.

    Returns
    -------
    EvidenceResult

    Raises
    ------
    InputError
        Without rows or time.
    MissingBackend
        Without PyTorch and curvlinops.
    """
    if not rows:
        raise InputError("there are no rows to measure")
    if not minutes > 0:
        raise InputError(f"the budget must be a positive number of minutes, got {minutes!r}")
    torch = torch_part()
    torch_part("curvlinops")
    end = time.monotonic() + 60 * minutes
    order = sorted(rows, key=lambda row: not row.criterion.asserts)
    found: dict[str, RowResult] = {}
    stopped = "finished"
    with shown(console) as progress:
        for row in order:
            values: dict[int, list[Edge]] = {n: [] for n in row.network.widths}
            reason = ""
            try:
                _measure_row(row, values, end, _place(row, order, progress))
            except _OutOfTime:
                stopped = reason = "out of time"
            except KeyboardInterrupt:
                stopped = reason = "interrupted"
            except CatapultError as error:
                reason = str(error)
            found[row.name] = RowResult(row, {n: tuple(v) for n, v in values.items()}, reason)
            if stopped != "finished":
                break
    results = tuple(found.get(r.name, RowResult(r, {}, LATE)) for r in rows)
    versions = {"torch": str(torch.__version__), "numpy": np.__version__}
    return EvidenceResult(results, stopped, versions)


def _measure_row(row: EvidenceRow, values: dict[int, list[Edge]], end: float, report: Tick) -> None:
    """Fill in the brackets as they are measured, so that an interrupt loses none."""
    for width in row.network.widths:
        for seed in range(row.seeds):

            def tick(text: str, width: int = width, seed: int = seed) -> None:
                report(f"{row.name}, width {width}, start {seed}: {text}")
                if time.monotonic() > end:
                    raise _OutOfTime

            values[width].append(measure(row, width, seed, tick))


def _place(row: EvidenceRow, order: Sequence[EvidenceRow], progress: Progress) -> Tick:
    """Return how a row reports: its place among the rows, in starts."""
    sizes = [r.seeds * len(r.network.widths) for r in order]
    before = float(sum(sizes[: order.index(row)]))
    return lambda text: progress(text, before, float(sum(sizes)))
