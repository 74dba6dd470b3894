"""What does width cost: training the network itself against its closed map?"""

from __future__ import annotations

import numpy as np

import catapult_theory as ct
from benchmarks.measuring import Measured, interleaved

WIDTH, STEPS = 10**6, 50


def measure(rounds: int) -> tuple[str, list[Measured], float, str]:
    """Title, results, units of work and their name."""
    uv = ct.derive(ct.models.uv())
    kernel = ct.compile(uv, "numba")
    rng = np.random.default_rng(0)
    u0, v0 = rng.normal(size=WIDTH), rng.normal(size=WIDTH)
    start = uv.state_from_gram(np.array([[u0 @ u0, u0 @ v0], [u0 @ v0, v0 @ v0]]) / WIDTH, WIDTH)

    def network() -> object:
        u, v = u0, v0
        for _ in range(STEPS):
            slope = 1.5 * (u @ v) / WIDTH
            u, v = u - slope * v, v - slope * u
        return u @ v / np.sqrt(WIDTH)

    def closed() -> object:
        return kernel.run(start, STEPS, eta=1.5, n=WIDTH)

    results = interleaved({"closed map": closed, "the network, NumPy": network}, rounds)
    return f"width n = {WIDTH}: {STEPS} steps of one network", results, STEPS, "a step"
