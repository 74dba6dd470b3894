"""Certified phase maps of the labelled uv-model: boxes halved until a theorem applies."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from catapult_theory.errors import InputError
from catapult_theory.rigor.certified.basin import Basin, basin_of, covered_by
from catapult_theory.rigor.certified.cells import Cells, Rectangle, joined
from catapult_theory.rigor.certified.cycle import Cycle, attracting_cycle
from catapult_theory.rigor.certified.kernels import kernels
from catapult_theory.rigor.certified.phase_map import PhaseMap
from catapult_theory.rigor.certified.progress import Progress, silent
from catapult_theory.rigor.certified.step import StepTables, step_tables
from catapult_theory.rigor.certified.theorems import EDGE, ESCAPE, NONE

if TYPE_CHECKING:
    from rich.console import Console

SQUARE: Rectangle = ((0.0, 8.0), (0.0, 8.0))
STEPS = 400
LEVELS = 48
# Cells above the edge are halved this often in search of divergence.
DIVERGENCE_LEVELS = 16
CHUNK = 4096
MOST_CELLS = 40_000_000


def certify(
    kappa: float,
    box: Rectangle = SQUARE,
    *,
    budget: float = 60.0,
    levels: int = LEVELS,
    steps: int = STEPS,
    threads: int = 2,
    console: Console | None = None,
) -> PhaseMap:
    """Prove what gradient descent does from every start in a rectangle, box by box.

    The labelled uv-model with squared loss, in X = a + 2q and Y = a - 2q with a = eta lam,
    q = eta f / sqrt(n), at a label kappa = eta y / sqrt(n): at any width, no other parameter is
    left. A box of starts is followed in outward-rounded interval arithmetic until the
    hypotheses of a theorem hold on all of its image (`certified_theorems`); otherwise it is
    halved. Classes: "converges" to a minimum with eta lam < 2; "cycles": converges to a cycle
    whose loss is not zero; "no stable minimum": does not converge to a minimum with eta
    lam <= 2; "diverges"; "open": nothing has been shown.

    Parameters
    ----------
    kappa : float
        At least 0; y < 0 is u -> -u.
    box : tuple
        ((low X, high X), (low Y, high Y)), at least 0: the domain |q| <= a / 2.
    budget : float
        Seconds after which what is not yet shown stays open.
    levels : int
        Cells are halved at most this often; with it the result does not depend on the clock.
    steps : int
        How long a box is followed.
    threads : int
    console : rich.console.Console, optional
        Shows progress on it. An interrupt (Ctrl-C) ends the search and keeps what was shown.

    Returns
    -------
    PhaseMap

    Raises
    ------
    InputError
        If kappa, the box or a limit makes no sense.

    Notes
    -----
    Source: theory, sections 4.2 and 5.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> found = ct.certify(0.3, ((0, 4), (0, 4)), levels=12)
    >>> print(found.kind_at(1.5, 1.0))
    converges
    """
    rectangle = _checked(kappa, box, budget, levels, steps, threads)
    tables = step_tables(float(kappa))
    cycle = attracting_cycle(tables)
    basin = None if cycle is None else basin_of(tables, cycle)
    covered = covered_by(basin)
    search = _Search(tables, rectangle, cycle, basin, covered, steps, levels)
    search.examine(search.waiting[:0])  # compiles, where that was not done before
    begun, used = time.monotonic(), time.process_time()
    deadline = begun + budget
    with ThreadPoolExecutor(threads) as pool, _shown(console, budget) as progress:
        stopped = _run(search, pool, deadline, threads, progress)
    attrs = {
        "stopped": stopped,
        "budget": float(budget),
        "levels": levels,
        "followed": steps,
        "threads": threads,
        "seconds": time.monotonic() - begun,
        "cpu_seconds": time.process_time() - used,
    }
    return search.result(attrs)


def _checked(
    kappa: float, box: Any, budget: float, levels: int, steps: int, threads: int
) -> Rectangle:
    try:
        (x0, x1), (y0, y1) = box
        rectangle = ((float(x0), float(x1)), (float(y0), float(y1)))
    except (TypeError, ValueError) as cause:
        raise InputError(
            f"the box must be ((low X, high X), (low Y, high Y)), got {box}"
        ) from cause
    for low, high in rectangle:
        if not 0 <= low < high < math.inf:
            raise InputError(f"each side must obey 0 <= low < high, got {low:g}:{high:g}")
    if not budget > 0:
        raise InputError(f"the budget must be positive seconds, got {budget}")
    for name, value, most in (("levels", levels, 60), ("steps", steps, 65_535)):
        if not 1 <= value <= most:
            raise InputError(f"{name} must lie between 1 and {most}, got {value}")
    if threads < 1:
        raise InputError(f"threads must be at least 1, got {threads}")
    return rectangle


@dataclass
class _Search:
    """The cells that are done, and those that wait, all of one area."""

    tables: StepTables
    box: Rectangle
    cycle: Cycle | None
    basin: Basin | None
    covered: NDArray[np.int32]
    steps: int
    levels: int
    level: int = 0
    waiting: Cells = field(default_factory=lambda: Cells(*np.zeros((4, 1), np.int64)))
    # What is known of a waiting cell from the box that it was cut from.
    known: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(1, np.uint8))
    done: list[tuple[Any, ...]] = field(default_factory=list)
    count: int = 0
    open_area: float = 1.0

    def examine(self, cells: Cells) -> tuple[Any, ...]:
        """Return theorem, steps, side to split and trap of each cell."""
        cycle = np.zeros(0) if self.cycle is None else self.cycle.numbers()
        t = self.tables
        rule = (t.kappa, t.multipliers, t.factors, t.box, cycle, self.covered, self.steps)
        return kernels().certify_cells(cells.enclosures(self.box), *rule)

    def keep(self, cells: Cells, theorem: Any, steps: Any, trap: Any) -> None:
        """Put cells among those that are done."""
        self.done.append((cells, theorem, steps, trap))
        self.count += len(cells)
        self.open_area -= float(cells.area[theorem != NONE].sum())

    def keep_waiting(self, rows: Any) -> None:
        """Put waiting cells among those that are done, as far as they are known."""
        cells, known = self.waiting[rows], self.known[rows]
        self.keep(cells, known, np.zeros(len(cells), np.uint16), np.zeros((len(cells), 5)))

    def next_level(self, seen: list[tuple[Any, ...]], number: int) -> None:
        """Sort what was examined, the first ``number`` waiting cells: done, or cut in halves."""
        theorem, steps, side, trap = (np.concatenate(column) for column in zip(*seen, strict=True))
        cells = self.waiting[:number]
        above = np.isin(theorem, (EDGE, ESCAPE))
        wanted = (theorem == NONE) | (above & (self.level < DIVERGENCE_LEVELS))
        last = self.level >= self.levels
        cut = np.zeros_like(wanted) if last else wanted
        kept = ~cut
        self.keep(cells[kept], theorem[kept], steps[kept], trap[kept])
        self.waiting = cells[cut].halves(side[cut])
        self.known = np.tile(theorem[cut], 2)
        self.level += 1

    def result(self, attrs: dict[str, Any]) -> PhaseMap:
        """Return the map."""
        cells, *columns = zip(*self.done, strict=True)
        theorem, steps, trap = (np.concatenate(column) for column in columns)
        return PhaseMap(
            self.tables.kappa,
            self.box,
            joined(list(cells)),
            theorem,
            steps,
            trap,
            self.cycle,
            self.basin,
            attrs,
        )


def _run(
    search: _Search, pool: ThreadPoolExecutor, deadline: float, threads: int, progress: Progress
) -> str:
    """Examine level after level; say why it ended."""
    stopped = "every cell was decided or halved as often as was asked for"
    seen: list[tuple[Any, ...]] = []
    number = 0
    try:
        while len(search.waiting):
            seen, number = [], 0
            for parts in _rounds(len(search.waiting), threads):
                if time.monotonic() > deadline or search.count > MOST_CELLS:
                    raise _OutOfBudget
                seen += list(pool.map(search.examine, [search.waiting[part] for part in parts]))
                number = parts[-1].stop
                progress(search.level, search.count + number, search.open_area)
            with _together():
                search.next_level(seen, number)
                seen, number = [], 0
    except _OutOfBudget:
        stopped = "the budget was spent"
    except KeyboardInterrupt:
        stopped = "interrupted"
    _finish(search, seen, number)
    return stopped


@contextmanager
def _together() -> Iterator[None]:
    """Hold an interrupt back until all is done: between two of its steps cells count twice."""
    usual = signal.getsignal(signal.SIGINT)
    if usual is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if came:
        signal.raise_signal(signal.SIGINT)


class _OutOfBudget(Exception):
    """The time or the number of cells is used up."""


def _finish(search: _Search, seen: list[tuple[Any, ...]], number: int) -> None:
    """Keep what was examined of an unfinished level, and what waits as it is known."""
    number = sum(len(one[0]) for one in seen)
    search.keep_waiting(slice(number, None))
    if seen:
        search.levels = search.level
        search.next_level(seen, number)


def _rounds(count: int, threads: int) -> Iterator[list[slice]]:
    """Yield slices of all cells, a list for each round of the threads."""
    starts = range(0, count, CHUNK)
    slices = [slice(s, min(s + CHUNK, count)) for s in starts]
    for i in range(0, len(slices), threads):
        yield slices[i : i + threads]


def _shown(console: Console | None, budget: float) -> Any:
    from catapult_theory.rigor.certified.progress import bar

    return silent() if console is None else bar(console, budget)
