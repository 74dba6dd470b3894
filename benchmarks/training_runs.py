"""Are PyTorch networks trained faster one learning rate after the other, or all rates together?

The probe and the evidence train one network after the other; this is the measurement behind that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from benchmarks.measuring import Answer, Entry, Setting, Work, contest

WIDTHS, SMALL = (64, 256, 1024), (16,)
RATES, STEPS, FEW = 8, 50, 5
ALONE, TOGETHER = "ours: one at a time", "together: vmap over learning rates"


@dataclass(frozen=True)
class Runs:
    """Training runs of one start that differ in their learning rate.

    Parameters
    ----------
    width, steps : int
    rates : int
        How many learning rates, between eta lambda_0 = 0.5 and 3.5.
    """

    width: int
    steps: int
    rates: int

    @property
    def units(self) -> float:
        """Steps of one run."""
        return float(self.steps * self.rates)


def answers(setting: Setting) -> Iterator[Answer | str]:
    """Yield an answer for each width; the numbers compared are the losses at the end."""
    if find_spec("torch") is None or find_spec("curvlinops") is None:
        yield "skipped: training_runs: PyTorch and curvlinops are not installed"
        return
    for width in SMALL if setting.small else WIDTHS:
        yield contest(
            f"training 128 digits, one hidden tanh layer of width {width}, {RATES} learning rates",
            "a step of one run",
            [Entry(ALONE, _alone), Entry(TOGETHER, _together)],
            Runs(width, STEPS, RATES),
            Runs(width, FEW, RATES),
            setting,
            tolerance={"loss": 1e-10},
            ours=(ALONE,),
            notes=("In double precision and on one thread, gradient descent on all samples.",),
        )


@cache
def _start(width: int) -> Any:
    """Return a network at its start, with its curvature."""
    from catapult_theory.networks.images import images
    from catapult_theory.networks.torch_part import torch_part
    from catapult_theory.networks.torch_problem import torch_problem
    from catapult_theory.networks.torch_training import leading
    from catapult_theory.validation.evidence.architectures import make_network
    from catapult_theory.validation.evidence.rows import Network

    torch_part().set_num_threads(1)
    X, Y = images("digits", 128, "classes")
    spec = Network("mlp", "tanh", 1, (width,), "ntk")
    problem = torch_problem(make_network(spec, width, X.shape[1], Y.shape[1], 0), X, Y)
    return problem, leading(problem, problem.start, 1).top


def _etas(problem: Runs, curvature: float) -> Any:
    return np.linspace(0.5, 3.5, problem.rates) / curvature


def _alone(runs: Runs) -> Work:
    problem, curvature = _start(runs.width)
    etas = _etas(runs, curvature)

    def one(eta: float) -> float:
        point = dict(problem.start)
        for _ in range(runs.steps):
            slope = problem.gradient(point)[2]
            point = {name: t - eta * slope[name] for name, t in point.items()}
        return problem.value(problem.forward(point))

    def work() -> Mapping[str, Any]:
        return {"loss": [one(eta) for eta in etas]}

    return work


def _together(runs: Runs) -> Work:
    import torch

    problem, curvature = _start(runs.width)
    etas = torch.tensor(_etas(runs, curvature))
    outputs = problem.network(slice(None))
    slopes = torch.func.vmap(torch.func.grad(lambda point: problem.loss(outputs(point), problem.Y)))

    def work() -> Mapping[str, Any]:
        points = {k: t.expand(runs.rates, *t.shape).clone() for k, t in problem.start.items()}
        for _ in range(runs.steps):
            slope = slopes(points)
            for name, t in points.items():
                points[name] = t - etas.reshape(-1, *[1] * (t.ndim - 1)) * slope[name]
        ends = ({name: t[i] for name, t in points.items()} for i in range(runs.rates))
        return {"loss": [problem.value(problem.forward(end)) for end in ends]}

    return work
