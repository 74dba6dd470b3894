"""Sets of uv-models to run, and what every contestant makes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

# Multiplications and additions of b = q^2, q' = q (u + b), u' = u + b (u + 3), a fused one as two.
FLOPS = 6
# What must be read and written for a lane: f, lambda, eta, n in; f, lambda, peak, its step out.
BYTES_PER_LANE = 64.0


@dataclass(frozen=True)
class UvLanes:
    """Starts and parameters of lanes, float64 arrays of one length, and a number of steps."""

    f: Any
    lam: Any
    eta: Any
    n: Any
    steps: int

    @property
    def count(self) -> int:
        """The number of lanes."""
        return len(self.f)

    @property
    def units(self) -> float:
        """Lane-steps."""
        return float(self.count * self.steps)

    @property
    def arrays(self) -> tuple[Any, Any, Any, Any]:
        """f, lambda, eta, n."""
        return self.f, self.lam, self.eta, self.n

    def fewer_lanes(self, part: int) -> UvLanes:
        """Return every ``part``-th lane."""
        return UvLanes(*(np.ascontiguousarray(a[::part]) for a in self.arrays), self.steps)

    def fewer_steps(self, part: int) -> UvLanes:
        """Return all lanes for a ``part``-th of the steps."""
        return replace(self, steps=max(1, self.steps // part))


def _lanes(a: Any, f: Any, n: float, steps: int) -> UvLanes:
    """Lanes with eta lambda = a at the start, lambda = 2."""
    return UvLanes(f, np.full(len(a), 2.0), a / 2, np.full(len(a), n), steps)


def lasting(count: int, steps: int, seed: int = 0) -> UvLanes:
    """Return lanes of which none is decided within 1000 steps.

    Half have eta lambda near 0.01 (slow decay, the peak at the start), half just above 2 (slow
    growth, so that the peak moves).
    """
    rng = np.random.default_rng(seed)
    a = np.where(
        np.arange(count) % 2, rng.uniform(2.002, 2.012, count), rng.uniform(0.008, 0.012, count)
    )
    return _lanes(a, rng.uniform(0.2, 1.5, count), 1e7, steps)


def natural(count: int, steps: int, seed: int = 0, high: float = 4.3) -> UvLanes:
    """Return lanes with eta lambda uniform in [1, high]: lazy, catapult, chaotic, divergent."""
    rng = np.random.default_rng(seed)
    return _lanes(rng.uniform(1.0, high, count), rng.normal(size=count), 4096.0, steps)


def halving(count: int, steps: int, seed: int = 0) -> UvLanes:
    """Return lanes of which half have converged by step 250.

    Near a minimum |f| shrinks by |1 - eta lambda| a step, and |grad L|^2 has fallen to 1e-24
    after T = ln(1e-12) / ln|1 - eta lambda| of them: T is drawn from the exponential
    distribution with median 250.
    """
    rng = np.random.default_rng(seed)
    end = rng.exponential(250 / np.log(2.0), count)
    rate = np.exp(np.log(1e-12) / np.maximum(end, 1.0))
    a = np.where(rng.random(count) < 0.5, 1 - rate, 1 + rate)
    return _lanes(np.maximum(a, 1e-6), rng.uniform(0.2, 1.5, count), 1e10, steps)


def single(steps: int) -> UvLanes:
    """Return one lane whose loss grows for a million steps: it never ends."""
    one = np.ones(1)
    return UvLanes(one, (2 + 4e-6) * one, one, 1e16 * one, steps)
