"""Interleaved timing: every contestant once a round, medians over rounds."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("numpy", "numba", "sympy", "scipy", "xarray")


@dataclass(frozen=True)
class Measured:
    """Seconds of one contestant in every round."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median over rounds."""
        return statistics.median(self.seconds)


def interleaved(contestants: Mapping[str, Callable[[], object]], rounds: int) -> list[Measured]:
    """Time every contestant once a round, after one uncounted round."""
    for work in contestants.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, work in contestants.items():
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
    return [Measured(name, tuple(values)) for name, values in seconds.items()]


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    found = {"platform": platform.platform(), "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def table(title: str, results: list[Measured], per: float, unit: str) -> str:
    """Medians, the cost per unit of work, and ratios to the first contestant."""
    first = results[0].median
    lines = [title, f"  {'':34} {'median s':>10} {unit:>14} {'ratio':>8}"]
    for r in results:
        cost = f"{r.median / per * 1e9:.3g} ns"
        lines.append(f"  {r.name:34} {r.median:10.4f} {cost:>14} {r.median / first:8.1f}")
    return "\n".join(lines)
