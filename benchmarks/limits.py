"""What one core can do at most, measured: multiply-adds, stores, the latency of the map."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.machine import instruction_sets
from benchmarks.measuring import Setting, Skipped, interleaved
from benchmarks.yardsticks import call, library

CHAINS = 12
WIDTHS = {"avx512": 64, "avx2": 32}


@dataclass(frozen=True)
class Limits:
    """Limits of one core, the best of the rounds.

    Parameters
    ----------
    gflops : mapping of str to float
        10^9 operations a second by vector width, a multiply-add as two.
    gbytes : float
        10^9 bytes a second, stored past the cache to memory; 0 if not measured.
    chain : float
        Nanoseconds that one step of the map takes in one lane; 0 if not measured.
    missing : str
        Why nothing was measured, or "".
    """

    gflops: Mapping[str, float]
    gbytes: float = 0.0
    chain: float = 0.0
    missing: str = ""

    def lines(self) -> list[str]:
        """Return the limits as text."""
        if self.missing:
            return [f"not measured: {self.missing}"]
        lines = [f"fused multiply-add, {k}: {v:.1f} GF/s" for k, v in self.gflops.items()]
        lines.append(f"stores to memory: {self.gbytes:.1f} GB/s")
        return [*lines, f"latency of one step of the map: {self.chain:.2f} ns"]

    def as_json(self) -> dict[str, Any]:
        """Return the limits for JSON."""
        return {
            "gflops": dict(self.gflops),
            "gbytes": self.gbytes,
            "chain": self.chain,
            "missing": self.missing,
        }


def measure(setting: Setting) -> Limits:
    """Measure the limits of one core."""
    size = 1 if setting.small else 1000
    rows, width, steps = 10, 100 * size, 1000 * size
    rounds = {name: 5000 * size for name in _widths()}
    try:
        works = {name: _fused(name, rounds[name]) for name in rounds}
        works["stores"] = _stores(rows, width)
        works["chain"] = partial(call, library("limits").chain, steps, 1e-8, -1.000004)
    except Skipped as reason:
        return Limits({}, missing=str(reason))
    best = {name: min(s) for name, s in interleaved(works, setting.rounds).items()}
    gflops = {
        name: 2e-9 * rounds[name] * CHAINS * _widths()[name] / 8 / best[name] for name in rounds
    }
    return Limits(gflops, 16e-9 * rows * width / best["stores"], 1e9 * best["chain"] / steps)


def _widths() -> dict[str, int]:
    """Vector widths in bytes; 16 where the instruction sets are unknown."""
    found = {name: width for name, width in WIDTHS.items() if name in instruction_sets()}
    return found or {"128 bits": 16}


def _fused(name: str, rounds: int) -> Callable[[], object]:
    function = library("limits", f"-DWIDTH={_widths()[name]}").fused
    return partial(call, function, rounds, 0.5, 1.0)


def _stores(rows: int, width: int) -> Callable[[], object]:
    first, second = np.zeros((rows, width)), np.zeros((rows, width))
    return partial(call, library("limits").stores, rows, width, first, second, 1.0)
