"""What does a step of the two-layer linear network on digits cost, by number of outputs?"""

from __future__ import annotations

import catapult_theory as ct
from benchmarks.measuring import Measured, interleaved

STEPS, LANES = 100, 4


def measure(rounds: int) -> tuple[str, list[Measured], float, str]:
    """Title, results, units of work and their name."""
    contestants = {}
    for title, outputs, loss, protocol in (
        ("k = 1, squared", 1, "squared", "parity"),
        ("k = 10, squared", 10, "squared", "classes"),
        ("k = 10, softmax", 10, "softmax_cross_entropy", "classes"),
    ):
        data = tuple(ct.digits(protocol=protocol))
        linear = ct.derive(ct.models.linear(inputs=64, outputs=outputs), loss)
        gram = ct.gaussian_start(seeds=range(LANES)).gram(64 + outputs, 4096)
        start = linear.state_from_gram(gram, 4096.0)
        kernel = ct.compile(linear, "numba")

        def work(kernel=kernel, start=start, data=data) -> object:
            return kernel.run(start, STEPS, data=data, eta=1.0, n=4096.0)

        contestants[title] = work
    title = f"two-layer linear network, 256 digits: {LANES} lanes x {STEPS} steps"
    return title, interleaved(contestants, rounds), LANES * STEPS, "a lane-step"
