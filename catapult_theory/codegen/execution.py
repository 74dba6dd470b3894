"""Running compiled functions over lanes: threads, BLAS limits, buffers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from catapult_theory.codegen.arguments import Lanes
from catapult_theory.codegen.storage import cache_folder
from catapult_theory.errors import OutputError

# Lanes that one call of a compiled loop works on: large against the cost of a call.
LANES_PER_CHUNK = 4096
LEAST_LANES = 64
# Chunks that compiled code may go through in one call, and lane-steps between two interrupts.
MOST_CHUNKS, LANE_STEPS = 16, 2**28

Portion = Callable[[int, int], None]


def cores() -> int:
    """Return the number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Keep BLAS to one thread: lanes run side by side, and bits do not depend on it."""
    with _libraries(len(sys.modules)).limit(limits=1, user_api="blas"):
        yield


@lru_cache(maxsize=1)
def _libraries(modules: int) -> Any:
    """Return the loaded BLAS libraries, looked for again when more modules are there."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def chunks_in_a_call(count: int, steps: int, threads: int | None) -> int:
    """Return how many chunks of lanes one call takes: few calls, but enough for all threads.

    Parameters
    ----------
    count : int
        Number of lanes.
    steps : int
    threads : int or None
        None for all cores.

    Returns
    -------
    int

    Examples
    --------
    >>> chunks_in_a_call(10**6, 1000, 2), chunks_in_a_call(10**6, 10**6, 2)
    (15, 1)
    """
    fair = count // (8 * (threads or cores()) * LANES_PER_CHUNK)
    patient = LANE_STEPS // (LANES_PER_CHUNK * max(steps, 1))
    return max(1, min(MOST_CHUNKS, fair, patient))


def in_threads(
    portion: Portion, count: int, threads: int | None, matrices: bool, chunks: int = 1
) -> None:
    """Work through the lanes in chunks, on several threads.

    Parameters
    ----------
    portion : callable
        Works on lanes ``low`` to ``high``; compiled code that holds no lock.
    count : int
        Number of lanes.
    threads : int or None
        None for all cores.
    matrices : bool
        Whether a lane is dear enough to be a chunk of its own.
    chunks : int
        How many chunks a call takes.

    Raises
    ------
    OutputError
        If compiled code cannot be cached (a full disk).
    """
    workers = threads or cores()
    share = -(-count // workers)
    chunk = 1 if matrices else min(chunks * LANES_PER_CHUNK, max(LEAST_LANES, share))
    bounds = [(i, min(i + chunk, count)) for i in range(0, count, chunk)]
    try:
        if workers == 1 or len(bounds) <= 1:
            for low, high in bounds:
                portion(low, high)
            return
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda b: portion(*b), bounds))
    except OSError as cause:
        raise OutputError(
            f"cannot store compiled code in {cache_folder()} ({cause.strerror}): free some space "
            "or set $CATAPULT_CACHE to another folder"
        ) from cause


# What a run finds of each lane, beside the state.
REAL_VERDICTS = ("loss", "peak_loss")
WHOLE_VERDICTS = ("peak_step", "status", "status_step")


def verdict_buffers(lanes: Lanes, dtype: str) -> tuple[Any, ...]:
    """Return buffers for loss, peak_loss, peak_step, status, status_step of each lane."""
    if lanes.verdicts:
        return lanes.verdicts
    return tuple(np.empty(lanes.count, kind) for kind in verdict_kinds(dtype))


def verdict_kinds(dtype: str) -> tuple[Any, ...]:
    """Return the types of the buffers for what a run finds."""
    return (*[dtype] * len(REAL_VERDICTS), *[np.int64] * len(WHOLE_VERDICTS))


@dataclass(frozen=True)
class LoopExecutor:
    """Compiled loops ``run(low, high, steps, *arrays)`` and ``trajectory(low, high, ...)``.

    They take the states, parameters and data of all lanes and buffers for the verdicts, work on
    lanes ``low`` to ``high``, and hold no lock.

    Parameters
    ----------
    loops : object
        With ``run`` and ``trajectory``.
    dtype : str
    """

    loops: Any
    dtype: str

    def run(
        self, lanes: Lanes, steps: int, threads: int | None
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the final states, and (loss, peak_loss, peak_step, status, status_step)."""
        verdicts = verdict_buffers(lanes, self.dtype)
        self._work(self.loops.run, (steps,), lanes, verdicts, threads)
        return lanes.states, verdicts

    def follow(
        self, lanes: Lanes, steps: int, every: int, rows: tuple[Any, ...], threads: int | None
    ) -> tuple[Any, ...]:
        """Fill rows of shape (steps // every + 1, lanes, ...); return the verdicts."""
        verdicts = verdict_buffers(lanes, self.dtype)
        self._work(self.loops.trajectory, (steps, every, *rows), lanes, verdicts, threads)
        return verdicts

    def _work(
        self,
        loop: Callable[..., object],
        first: tuple[Any, ...],
        lanes: Lanes,
        verdicts: tuple[Any, ...],
        threads: int | None,
    ) -> None:
        inputs = (*first, *lanes.states, *lanes.parameters, *lanes.data, *verdicts)

        def portion(low: int, high: int) -> None:
            loop(low, high, *inputs)

        # Scalar maps call no BLAS, and setting its threads costs more than a small run.
        with single_threaded_blas() if lanes.data else nullcontext():
            in_threads(portion, lanes.count, threads, bool(lanes.data))
