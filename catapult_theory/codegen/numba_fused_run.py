"""Running kernels whose data are made diagonal once, before any lane starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from catapult_theory.codegen.arguments import Lanes
from catapult_theory.codegen.execution import LoopExecutor, single_threaded_blas


@dataclass(frozen=True)
class DiagonalExecutor:
    """Compiled loops beside a function ``diagonal`` of the data, which ``run`` takes the result of.

    ``trajectory`` stays in the given basis: it hands the state out all the time.

    Parameters
    ----------
    loops : object
        With ``diagonal``, ``run`` and ``trajectory``.
    dtype : str
    """

    loops: Any
    dtype: str

    def run(
        self, lanes: Lanes, steps: int, threads: int | None
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the final states, and (loss, peak_loss, peak_step, status, status_step)."""
        with single_threaded_blas():
            reduced = self.loops.diagonal(*lanes.data)
        more = replace(lanes, data=(*lanes.data, *reduced))
        return LoopExecutor(self.loops, self.dtype).run(more, steps, threads)

    def follow(
        self, lanes: Lanes, steps: int, every: int, rows: tuple[Any, ...], threads: int | None
    ) -> None:
        """Fill rows of shape (steps // every + 1, lanes, ...)."""
        LoopExecutor(self.loops, self.dtype).follow(lanes, steps, every, rows, threads)
