"""What does a step of the two-layer linear network on digits cost, by number of outputs?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import catapult_theory as ct
from benchmarks.measuring import Answer, Entry, Setting, Work, contest

STEPS, LANES, SMALL, WIDTH = 100, 4, (1, 2), 4096.0
CASES = (
    ("k = 1, squared", 1, "squared", "parity"),
    ("k = 10, squared", 10, "squared", "classes"),
    ("k = 10, softmax", 10, "softmax_cross_entropy", "classes"),
)


@dataclass(frozen=True)
class Ensemble:
    """Lanes that differ in their seed, and a number of steps."""

    lanes: int
    steps: int

    @property
    def units(self) -> float:
        """Lane-steps."""
        return float(self.lanes * self.steps)


def answers(setting: Setting) -> Iterator[Answer]:
    """Yield the answer."""
    problem = Ensemble(*(SMALL if setting.small else (LANES, STEPS)))
    entries = [Entry(f"ours: numba, {name}", _kernel(*case)) for name, *case in CASES]
    title = f"two-layer linear network, 256 digits: {problem.lanes} lanes x {problem.steps} steps"
    yield contest(title, "a lane-step", entries, problem, Ensemble(*SMALL), setting, tolerance={})


def _kernel(outputs: int, loss: str, protocol: str) -> Callable[[Ensemble], Work]:
    def make(problem: Ensemble) -> Work:
        data = tuple(ct.digits(protocol=protocol))
        linear = ct.derive(ct.models.linear(inputs=64, outputs=outputs), loss)
        gram = ct.gaussian_start(seeds=range(problem.lanes)).gram(64 + outputs, int(WIDTH))
        start = linear.state_from_gram(gram, WIDTH)
        kernel = ct.compile(linear, "numba")

        def work() -> Mapping[str, Any] | None:
            kernel.run(start, problem.steps, data=data, eta=1.0, n=WIDTH)
            return None

        return work

    return make
