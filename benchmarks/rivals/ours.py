"""Our own kernels, one contestant for each backend that there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from functools import cache, partial
from typing import Any

import numpy as np

import catapult_theory as ct
from benchmarks.machine import cores
from benchmarks.measuring import Entry, Skipped, Work, whole
from benchmarks.rivals.jax_lanes import double_precision
from benchmarks.uv_lanes import UvLanes

FAST = ("llvm", "c", "numba")
BACKENDS = (*FAST, "jax", "array")


@cache
def update_map() -> Any:
    """The uv-model under gradient descent, derived once."""
    return ct.derive(ct.models.uv())


@cache
def kernel(backend: str) -> Any:
    """Compile the uv-model for a backend.

    Raises
    ------
    Skipped
        With our own message, where the backend does not exist or is not installed.
    """
    try:
        made = ct.compile(update_map(), backend)
        made.run({"f": 1.0, "lam": 2.0}, 1, eta=1.0, n=100.0)
    except (ct.CatapultError, ImportError) as reason:
        raise Skipped(str(reason)) from reason
    return made


def in_precision(backend: str, work: Work) -> Work:
    """Return work that runs with JAX's double precision on, where the backend is JAX's."""
    if backend != "jax":
        return work

    def inside() -> Any:
        with ExitStack() as stack:
            stack.enter_context(double_precision())
            return work()

    return inside


def _run(backend: str, threads: int, problem: UvLanes) -> Work:
    if cores() < threads:
        raise Skipped("this process may use one core")
    state, given = {"f": problem.f, "lam": problem.lam}, {"eta": problem.eta, "n": problem.n}

    def work() -> Mapping[str, Any]:
        r = made.run(state, problem.steps, threads=threads, out=again, **given)
        return {
            "f": r.state["f"],
            "lam": r.state["lam"],
            "peak": r.peak_loss,
            "peak_step": r.peak_step,
        }

    made = _made(backend)
    # A few lanes take no time to allocate.
    first = in_precision(backend, lambda: made.run(state, 0, threads=threads, **given))
    again = first() if problem.count > FEW else None
    return in_precision(backend, work)


def _made(backend: str) -> Any:
    if backend != "jax":
        return kernel(backend)
    with double_precision():
        return kernel(backend)


def _follow(backend: str, problem: UvLanes) -> Work:
    made = _made(backend)
    state, given = {"f": problem.f, "lam": problem.lam}, {"eta": problem.eta, "n": problem.n}
    out = {name: np.zeros((problem.steps + 1, problem.count)) for name in ("f", "lam")}

    def work() -> Mapping[str, Any]:
        return made.trajectory(state, problem.steps, out=out, threads=1, **given)

    return in_precision(backend, work)


def name_of(backend: str) -> str:
    """Return how a backend is called in the tables."""
    return f"ours: {backend}"


FEW = 100
NAMES = tuple(name_of(backend) for backend in FAST)
Cut = Callable[[Any], Any]
NOT = (whole, "")


def runs(cuts: Mapping[str, tuple[Cut, str]], backends: Iterable[str] = BACKENDS) -> list[Entry]:
    """Return entries that run lanes to the end, one thread each.

    Parameters
    ----------
    cuts : mapping of str to (callable, str)
        By backend: the part of the problem that it is timed on, and the note that says so.
    backends : iterable of str

    Returns
    -------
    list of Entry
    """
    return [Entry(name_of(b), partial(_run, b, 1), *cuts.get(b, NOT)) for b in backends]


def threaded(threads: int, cuts: Mapping[str, tuple[Cut, str]]) -> list[Entry]:
    """Return entries of the fast backends on several threads; cut as for one."""
    return [
        Entry(f"{name_of(b)}, {threads} threads", partial(_run, b, threads), *cuts.get(b, NOT))
        for b in FAST
    ]


def trajectories(cuts: Mapping[str, tuple[Cut, str]]) -> list[Entry]:
    """Return entries that keep every step, in buffers of the caller."""
    return [Entry(name_of(b), partial(_follow, b), *cuts.get(b, NOT)) for b in BACKENDS]
