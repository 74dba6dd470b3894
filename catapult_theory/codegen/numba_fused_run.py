"""Running kernels whose data are made diagonal once, before any lane starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from catapult_theory.codegen.arguments import Lanes
from catapult_theory.codegen.execution import (
    LoopExecutor,
    in_threads,
    single_threaded_blas,
    verdict_buffers,
)

# Lanes that ``run_groups`` works on side by side.
GROUP = 8


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
        if 2 * steps < lanes.data[0].shape[1]:
            return self._briefly(lanes, steps, threads)
        verdicts = verdict_buffers(lanes, self.dtype)
        together = GROUP if hasattr(self.loops, "run_groups") else 1
        loop = self.loops.run_groups if together > 1 else self.loops.run
        with single_threaded_blas():
            data = (*lanes.data, *self.loops.diagonal(*lanes.data))
            inputs = (steps, *lanes.states, *lanes.parameters, *data, *verdicts)

            def portion(low: int, high: int) -> None:
                loop(low, high, *inputs)

            in_threads(portion, -(-lanes.count // together), threads, matrices=True)
        return lanes.states, verdicts

    def _briefly(
        self, lanes: Lanes, steps: int, threads: int | None
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Run few steps in the given basis: turning the state costs as much as many steps."""
        verdicts = verdict_buffers(lanes, self.dtype)
        stride = max(steps, 1)
        ends = tuple(np.empty((steps // stride + 1, *a.shape), a.dtype) for a in lanes.states)
        arrays = (*ends, *lanes.states, *lanes.parameters, *lanes.data, *verdicts)

        def portion(low: int, high: int) -> None:
            self.loops.trajectory(low, high, steps, stride, *arrays)

        with single_threaded_blas():
            in_threads(portion, lanes.count, threads, matrices=True)
        return lanes.states, verdicts

    def follow(
        self, lanes: Lanes, steps: int, every: int, rows: tuple[Any, ...], threads: int | None
    ) -> tuple[Any, ...]:
        """Fill rows of shape (steps // every + 1, lanes, ...); return the verdicts."""
        return LoopExecutor(self.loops, self.dtype).follow(lanes, steps, every, rows, threads)
