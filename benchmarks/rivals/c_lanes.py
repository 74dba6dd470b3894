"""The hand-written yardsticks as contestants."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from benchmarks.machine import widest
from benchmarks.measuring import Entry, Work
from benchmarks.uv_lanes import FLOPS, UvLanes
from benchmarks.yardsticks import WIDE, call, library, needs

SCALAR = ("-fno-tree-vectorize", "-fno-tree-slp-vectorize")
AVX512, AVX2 = "C, AVX-512 intrinsics", "C, AVX2 intrinsics"
BY_HAND = {"avx512": AVX512, "avx2": AVX2, "": "C, blocked, autovectorised"}


def _work(source: str, flags: tuple[str, ...], instructions: str, problem: UvLanes) -> Work:
    if instructions:
        needs(instructions)
    function = library(source, *flags).lanes
    out = {
        **{name: np.zeros(problem.count) for name in ("f", "lam", "peak")},
        "peak_step": np.zeros(problem.count, np.int64),
    }

    def work() -> Mapping[str, Any]:
        call(function, problem.count, problem.steps, *problem.arrays, *out.values())
        return out

    return work


def run(source: str, flags: tuple[str, ...] = (), instructions: str = "") -> Any:
    """Return how a yardstick of ``lanes()`` is made from a problem."""
    return partial(_work, source, flags, instructions)


scalar = run("lanes_scalar", SCALAR)
orbit = run("orbit_scalar", SCALAR)
blocked = run("lanes_blocked", (WIDE,))
avx512 = run("lanes_avx512", (), "avx512")
avx2 = run("lanes_avx2", (), "avx2")
refill = run("refill_avx512", (), "avx512")


def intrinsics(cut: Any, note: str) -> list[Entry]:
    """Return the entries written with intrinsics, AVX2 on a part of the problem."""
    return [Entry(AVX512, avx512), Entry(AVX2, avx2, cut, note)]


def _rows(stream: bool, problem: UvLanes) -> Work:
    flags = (WIDE, "-DSTREAM") if stream else (WIDE,)
    function = library("rows", *flags).rows
    out = {name: np.zeros((problem.steps + 1, problem.count)) for name in ("f", "lam")}

    def work() -> Mapping[str, Any]:
        call(function, problem.count, problem.steps, *problem.arrays, *out.values())
        return out

    return work


streamed = partial(_rows, True)
stored_plainly = partial(_rows, False)


def fused(problem: UvLanes) -> Work:
    """The limit: as many flops as the lanes need, all of them fused multiply-adds."""
    width = 64 if widest() == "avx512" else 32
    function = library("limits", f"-DWIDTH={width}").fused
    rounds = int(problem.units * FLOPS / 2 / (12 * width // 8)) + 1

    def work() -> None:
        call(function, rounds, 0.5, 1.0)

    return work


def stored(problem: UvLanes) -> Work:
    """The limit: as many bytes as the trajectories have, written and nothing else."""
    function = library("limits").stores
    arrays = [np.zeros((problem.steps + 1, problem.count)) for _ in range(2)]

    def work() -> None:
        call(function, problem.steps + 1, problem.count, *arrays, 1.0)

    return work


def chained(problem: UvLanes) -> Work:
    """The limit: the map of one lane and nothing else, step after step."""
    function = library("limits").chain
    f, lam, eta, n = (float(a[0]) for a in problem.arrays)

    def work() -> None:
        call(function, problem.steps, eta * f / n**0.5, 1 - eta * lam)

    return work
