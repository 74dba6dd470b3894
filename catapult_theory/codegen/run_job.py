"""A checked run, and the work on it: kernels go through the lanes in portions.

Portions let a long run report its progress and be interrupted; results are handed on only
when the last one is done. Lanes do not depend on each other, so that the numbers do not
depend on the portions.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from catapult_theory.codegen.grid import Array, Lanes
from catapult_theory.codegen.kernel import LANES_PER_CHUNK, Kernel
from catapult_theory.codegen.kernel import compile as compile_kernel
from catapult_theory.codegen.run_checks import length_of
from catapult_theory.codegen.run_start import Start, core_dims
from catapult_theory.symbolic.schedules import Schedule
from catapult_theory.symbolic.update_map import UpdateMap

# Multiplications between two reports of progress: below a second on one core.
WORK_PER_PORTION = 2e8
# Matrix lanes below which a portion would not keep a thread busy; scalar lanes go to threads
# in chunks of the kernel's own size.
LEAST_MATRICES = 4
LEAST_SCALARS = LANES_PER_CHUNK


@dataclass(frozen=True)
class Job:
    """A run that has passed all checks.

    Parameters
    ----------
    update_map : UpdateMap
        With the carried quantities that were asked for in its state.
    kernel : Kernel
    start : Start
    steps : int
    data : mapping of str to array
        Empty for scalar maps.
    sizes : mapping of str to int
        Values of the symbolic sizes of a matrix map.
    shown : tuple of str
        The observables of the result, the loss first.
    threads : int or None
    dtype : str
    schedules : mapping of str to Schedule
        Of parameters that change from step to step; the lanes hold their peaks.
    """

    update_map: UpdateMap
    kernel: Kernel
    start: Start
    steps: int
    data: Mapping[str, Array]
    sizes: Mapping[str, int]
    shown: tuple[str, ...]
    threads: int | None
    dtype: str
    schedules: Mapping[str, Schedule] = field(default_factory=dict)

    @property
    def lanes(self) -> Lanes:
        """The independent runs."""
        return self.start.lanes

    @property
    def states(self) -> tuple[str, ...]:
        """Names of the state."""
        return tuple(s.name for s in self.update_map.variables)

    @property
    def core(self) -> dict[str, tuple[str, ...]]:
        """Dimension names of the matrices of the state."""
        return core_dims(self.update_map)

    @property
    def observer(self) -> Kernel:
        """The kernel that evaluates observables of single states: nothing to compile first."""
        return prepared(self.update_map, "array", self.dtype)

    @property
    def sides(self) -> list[tuple[int, ...]]:
        """Shape of one lane of every state."""
        shapes = (getattr(s, "shape", ()) for s in self.update_map.variables)
        return [tuple(length_of(side, self.sizes) for side in shape) for shape in shapes]

    def state(self, low: int, high: int) -> dict[str, Array]:
        """Return the starting state of some lanes."""
        return {name: self.lanes.take(name, low, high) for name in self.states}

    def arguments(self, low: int, high: int) -> dict[str, Any]:
        """Return parameters and data of some lanes, as the kernel takes them."""
        given = self._peaks(low, high)
        return given | {k: replace(s, peak=given[k]) for k, s in self.schedules.items()}

    def at_end(self, low: int, high: int) -> dict[str, Any]:
        """Return parameters and data of some lanes as they are at the last step."""
        given, last = self._peaks(low, high), max(self.steps, 1)
        ends = {k: s.factors(last)[-1] for k, s in self.schedules.items()}
        return given | {k: given[k] * end for k, end in ends.items() if end > 0}

    def _peaks(self, low: int, high: int) -> dict[str, Any]:
        names = [s.name for s in self.update_map.constants]
        given: dict[str, Any] = {name: self.lanes.take(name, low, high) for name in names}
        if self.data:
            given["data"] = tuple(self.data.values())
        return given

    def portions(self) -> Iterator[tuple[int, int]]:
        """Yield ranges of lanes that take about a second each."""
        least = LEAST_MATRICES if self.update_map.is_matrix else LEAST_SCALARS
        affordable = int(WORK_PER_PORTION // max(self.steps * self._cost(), 1.0))
        size = max(least * (self.threads or os.cpu_count() or 1), affordable)
        for low in range(0, self.lanes.count, size):
            yield low, min(low + size, self.lanes.count)

    def _cost(self) -> float:
        """Return the multiplications of a step of one lane, roughly."""
        if not self.update_map.is_matrix:
            return float(len(self.sides))
        return float(max(max(shape) for shape in self.sides)) * sum(map(np.prod, self.sides))

    def bytes_kept(self) -> int:
        """Return the bytes of one lane at one step: its state and observables."""
        numbers = len(self.shown) + sum(int(np.prod(shape)) for shape in self.sides)
        return numbers * np.dtype(self.dtype).itemsize

    def bytes_of_outcome(self) -> int:
        """Return the bytes of the status, the losses at the start and the peak, two steps."""
        return 2 * np.dtype(np.int64).itemsize + 2 * np.dtype(self.dtype).itemsize + 1


@lru_cache(maxsize=32)
def prepared(update_map: UpdateMap, backend: str, dtype: str) -> Kernel:
    """Return a kernel, the same for maps that are equal: what it has compiled is used again.

    Parameters
    ----------
    update_map : UpdateMap
    backend, dtype : str

    Returns
    -------
    Kernel
    """
    return compile_kernel(update_map, backend, dtype)


Part = dict[str, Array]
Progress = Callable[[int, int], None]
Work = Callable[[Job, int, int], Part]

OUTCOMES = ("status", "status_step", "loss_start", "peak_loss", "peak_step")


def collected(job: Job, progress: Progress | None, work: Work) -> Part:
    """Return the results of all lanes.

    Parameters
    ----------
    job : Job
    progress : callable or None
        Called with the lanes done and their number, before the first portion and after each.
    work : callable
        `final_part` or `orbit_part`.

    Returns
    -------
    dict of str to array
        Shape (lanes, ...) for results of `final_part`; an orbit has its steps in front.
    """
    total = job.lanes.count
    core = job.core
    report = progress if progress is not None else _silent
    whole: Part = {}
    report(0, total)
    for low, high in job.portions():
        for name, array in work(job, low, high).items():
            if high - low == total:
                whole[name] = array
                continue
            axis = array.ndim - 1 - len(core.get(name, ()))
            if name not in whole:
                shape = (*array.shape[:axis], total, *array.shape[axis + 1 :])
                whole[name] = np.empty(shape, array.dtype)
            whole[name][(slice(None),) * axis + (slice(low, high),)] = array
        report(high, total)
    return whole


def _silent(done: int, total: int) -> None:
    """Report nothing."""


def final_part(job: Job, low: int, high: int) -> Part:
    """Return the final state, observables there and the outcome of some lanes.

    Parameters
    ----------
    job : Job
    low, high : int
        Range of lanes.

    Returns
    -------
    dict of str to array
        Lanes first.
    """
    given, state = job.arguments(low, high), job.state(low, high)
    first = job.observer.observe(state, ("loss",), **given)["loss"]
    result = job.kernel.run(state, job.steps, threads=job.threads, **given)
    part: Part = {name: np.asarray(result.state[name]) for name in job.states}
    part["loss"] = np.asarray(result.loss)
    others = tuple(name for name in job.shown if name != "loss")
    if others:
        ends = job.at_end(low, high)
        part |= job.observer.observe(dict(result.state), others, **ends)
    return {**part, **_outcome(result, first)}


def orbit_part(job: Job, low: int, high: int, every: int) -> Part:
    """Return the states and observables at kept steps, and the outcome, of some lanes.

    Parameters
    ----------
    job : Job
    low, high : int
        Range of lanes.
    every : int
        Distance of kept steps.

    Returns
    -------
    dict of str to array
        Kept steps first, then lanes; outcomes have lanes alone.
    """
    given, state = job.arguments(low, high), job.state(low, high)
    orbit, result = job.kernel.traced(
        state, job.steps, every=every, observables=job.shown, threads=job.threads, **given
    )
    kept = {name: np.asarray(orbit[name]) for name in (*job.states, *job.shown)}
    return {**kept, **_outcome(result, kept["loss"][0])}


def _outcome(result: Any, first: Array) -> Part:
    return {
        "status": np.asarray(result.status).astype(np.int8),
        "status_step": np.asarray(result.status_step).astype(np.int64),
        "loss_start": np.array(first),
        "peak_loss": np.asarray(result.peak_loss),
        "peak_step": np.asarray(result.peak_step).astype(np.int64),
    }
