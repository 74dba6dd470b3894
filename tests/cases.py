"""One table of tolerances and one of models, for tests that go across rooms.

Where the tolerances come from: a step sums a few dozen terms of the size of the state, so that
its rounding is some units in the last place (eps = 2.2e-16). Two backends order the terms
differently: a few eps of the largest. Raw training sums over n parameters, whose rounding grows
like the root of their number: 1e-15 to 1e-14 a step for n up to 4096. Over an orbit that neither
diverges nor is chaotic the errors add up over 200 steps, hence 1e-12.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import catapult_theory as ct

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Tolerances:
    """What a comparison may miss by, relative to the running maximum of the variable.

    orbit: exact map against raw training, 200 steps, n >= 64, eta lam_0 <= 3.
    step: the same for one step, anywhere.
    backends: one step on two backends, in units of the largest summand.
    """

    orbit: float = 1e-12
    step: float = 1e-13
    backends: float = 4 * EPS


TOLERANCES = Tolerances()


@dataclass(frozen=True)
class Case:
    """A model with a loss, an optimizer and numbers for all its symbols."""

    name: str
    model: Callable[[], Any]
    loss: Any = "squared"
    optimizer: Any = "gd"
    parameters: Mapping[str, float] = field(default_factory=dict)
    samples: int = 0
    outputs: int = 1

    @property
    def data(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Inputs of mean |x|^2 = 1 and targets that fit the loss, for matrix models."""
        if not self.samples:
            return None
        rng = np.random.default_rng(0)
        inputs = rng.normal(size=(self.samples, 3)) / np.sqrt(3)
        if self.loss == "softmax_cross_entropy":
            return inputs, np.eye(self.outputs)[rng.integers(self.outputs, size=self.samples)]
        return inputs, rng.choice([-1.0, 1.0], size=(self.samples, self.outputs))


def three_vectors() -> Any:
    """A model that is in no zoo: cubic in the inner products, with weight on |c|^2."""
    a, b, c = ct.vectors("a b c")
    output = (a @ b) / ct.sqrt(ct.n) + (a @ b) * (b @ c) * (c @ c) / ct.n**3
    return ct.Model(output=output, vectors=(a, b, c), label=1, name="three vectors")


CASES = (
    Case("uv", ct.models.uv),
    Case("uv, label", lambda: ct.models.uv(label=True), parameters={"y": 0.7}),
    Case("uv, logistic", lambda: ct.models.uv(label=1), "logistic"),
    Case("uv, decay", ct.models.uv, optimizer="weight_decay", parameters={"omega": 0.1}),
    Case("uv, momentum", ct.models.uv, optimizer="heavy_ball", parameters={"beta": 0.5}),
    Case("three vectors", three_vectors),
    Case("linear", lambda: ct.models.linear(inputs=3), samples=5),
    Case(
        "linear, softmax",
        lambda: ct.models.linear(inputs=3, outputs=2),
        "softmax_cross_entropy",
        samples=5,
        outputs=2,
    ),
    Case(
        "linear, momentum",
        lambda: ct.models.linear(inputs=3),
        optimizer="heavy_ball",
        parameters={"beta": 0.5},
        samples=5,
    ),
)
