"""C: what does width cost? A network of width 10^6 is trained, and its closed map iterated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.measuring import Answer, Entry, Setting, Target, Work, contest
from benchmarks.rivals import ours
from benchmarks.yardsticks import call, library

WIDTH, STEPS, SMALL = 10**6, 10, (1000, 10)
CLOSED_STEPS = 10**6
NUMPY, BY_HAND = "the network, NumPy", "the network, C"
# The network learns this slowly, so that no step of the closed map is saved by convergence.
SLOW, CATAPULT = 1e-6, 1.2


@dataclass(frozen=True)
class Network:
    """Weights of f = u.v / sqrt(n), a learning rate and a number of steps."""

    u: Any
    v: Any
    eta: float
    steps: int

    @property
    def units(self) -> float:
        """Steps."""
        return float(self.steps)

    @property
    def width(self) -> int:
        """n."""
        return len(self.u)

    @property
    def start(self) -> Mapping[str, float]:
        """f and lambda of the weights."""
        u, v, n = self.u, self.v, self.width
        return {"f": float(u @ v) / np.sqrt(n), "lam": float(u @ u + v @ v) / n}


def network(width: int, steps: int, eta: float) -> Network:
    """Return a network with standard normal weights."""
    rng = np.random.default_rng(0)
    return Network(rng.normal(size=width), rng.normal(size=width), eta, steps)


def answers(setting: Setting) -> Iterator[Answer]:
    """Yield the answer; the numbers compared are f at every step of a catapult."""
    width, steps = SMALL if setting.small else (WIDTH, STEPS)
    entries = [
        *(
            Entry(ours.name_of(b), partial(_closed, b), partial(_longer, setting))
            for b in ours.FAST
        ),
        Entry(NUMPY, _numpy),
        Entry(BY_HAND, _by_hand),
        Entry("the network, PyTorch", _torch),
    ]
    targets = (
        Target("10^5 x the network in NumPy", NUMPY, "ours", 1e5),
        Target("10^5 x the network in C", BY_HAND, "ours", 1e5),
    )
    yield contest(
        f"C the network at width n = {width} against its closed map",
        "a step",
        entries,
        network(width, steps, SLOW),
        network(width, 10 if setting.small else 100, CATAPULT),
        setting,
        tolerance={"f": 1e-10},
        ours=ours.NAMES,
        targets=targets,
        notes=(
            f"The closed map runs {CLOSED_STEPS} steps of one lane, a call of the kernel included.",
            f"f / max |f| so far is compared at every step of a catapult, eta = {CATAPULT}.",
        ),
    )


def _longer(setting: Setting, problem: Network) -> Network:
    steps = 100 if setting.small else CLOSED_STEPS
    return Network(problem.u, problem.v, problem.eta, steps)


def _over_its_maximum(f: Any) -> Mapping[str, Any]:
    """f at every step, over its running maximum: where f has been large, so is its rounding."""
    return {"f": np.asarray(f) / np.maximum.accumulate(np.abs(f))}


def _closed(backend: str, problem: Network) -> Work:
    kernel, start = ours.kernel(backend), problem.start
    given = {"eta": problem.eta, "n": float(problem.width), "threads": 1}

    def work() -> Mapping[str, Any]:
        if problem.eta == SLOW:
            return kernel.run(start, problem.steps, **given).state
        return _over_its_maximum(kernel.trajectory(start, problem.steps, **given)["f"])

    return work


def _numpy(problem: Network) -> Work:
    def work() -> Mapping[str, Any]:
        u, v, n = problem.u, problem.v, problem.width
        f = [u @ v / np.sqrt(n)]
        for _ in range(problem.steps):
            slope = problem.eta * f[-1] / np.sqrt(n)
            u, v = u - slope * v, v - slope * u
            f.append(u @ v / np.sqrt(n))
        return _over_its_maximum(f)

    return work


def _by_hand(problem: Network) -> Work:
    function = library("network").network
    f = np.zeros(problem.steps + 1)

    def work() -> Mapping[str, Any]:
        call(function, problem.width, problem.steps, problem.eta, u, v, f)
        return _over_its_maximum(f)

    u, v = problem.u.copy(), problem.v.copy()
    return work


def _torch(problem: Network) -> Work:
    """Automatic differentiation and torch.optim.SGD on the weights."""
    import torch

    def work() -> Mapping[str, Any]:
        torch.set_num_threads(1)
        u, v = (torch.tensor(a, requires_grad=True) for a in (problem.u, problem.v))
        optimizer, f = torch.optim.SGD([u, v], lr=problem.eta), []
        for _ in range(problem.steps):
            optimizer.zero_grad()
            out = u @ v / problem.width**0.5
            (0.5 * out**2).backward()
            optimizer.step()
            f.append(out.item())
        with torch.no_grad():
            f.append((u @ v / problem.width**0.5).item())
        return _over_its_maximum(f)

    return work
