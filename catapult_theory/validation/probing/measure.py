"""The measurements from one start: curvature, onset, first divergence, useful edge."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from catapult_theory.errors import CatapultError, InputError
from catapult_theory.networks.spectra import Spectrum, spectrum
from catapult_theory.networks.torch_optimizers import FULL_BATCH, TorchOptimizer
from catapult_theory.networks.torch_part import Tensor, torch_part
from catapult_theory.networks.torch_problem import TorchProblem
from catapult_theory.networks.torch_scores import score
from catapult_theory.networks.torch_training import (
    Descent,
    alignment,
    ceiling,
    descend,
    leading,
    top_direction,
)
from catapult_theory.validation.bisection import Bracket, first_boundary
from catapult_theory.validation.probing.loss_curve import growth
from catapult_theory.validation.probing.result import Edge, ProbeRun, StartProbe
from catapult_theory.validation.probing.store import Store, fingerprint

# Curvature that grows in training ends what is useful below eta lambda_0 = 1 in some networks.
LOWEST = 0.5
ONSET_LOWEST, ONSET_HIGHEST, ONSET_STRIDE, ONSET_TOLERANCE = 1.0, 4.0, 0.25, 0.02
# Distance of the learning rates of the first scan, in log(eta lambda_0).
STRIDE = 0.15
MOST_DIRECTIONS = 10
# The kernel of the start is that of the first step alone.
GROWTH_STEPS = 1
# How far from a minimum its stability is tried, over the size of the outputs; and how much the
# loss must grow to have left it: heavy ball's grows by 4/(1 - beta)^2 first even where it returns.
NEAR, LEFT = 1e-6, 1e6
# Residual over value at the end of a run, which is shown with two digits.
END_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Settings:
    """What is asked of every start.

    Parameters
    ----------
    steps : int
    wanted : float
        Score from which a run counts as useful.
    highest : float
        Largest eta lambda_0 tried.
    tolerance : float
        Relative width of a bracket.
    """

    steps: int
    wanted: float
    highest: float
    tolerance: float

    @property
    def cost(self) -> float:
        """Steps that one start takes if no search ends early."""
        halvings = math.ceil(math.log2(max(2.0, STRIDE / self.tolerance)))
        scan = math.log(self.highest / LOWEST) / STRIDE + 1
        onset = (ONSET_HIGHEST - ONSET_LOWEST) / ONSET_STRIDE + 1
        onset += math.log2(ONSET_STRIDE / ONSET_TOLERANCE)
        return (scan + 2 * halvings) * self.steps + onset * GROWTH_STEPS


@dataclass(frozen=True, eq=False)
class Start:
    """A network at its start, with what every run needs to know of it.

    Parameters
    ----------
    problem : TorchProblem
    store : Store
    facts : dict of str to float
        Curvatures, residual and alignment at the start.
    direction : tensor
        The direction of the outputs that the top eigenvector moves.
    limit : float
        A larger loss counts as divergence.
    optimizer : TorchOptimizer
        How it is trained.
    """

    problem: TorchProblem
    store: Store
    facts: dict[str, float]
    direction: Tensor
    limit: float
    optimizer: TorchOptimizer = FULL_BATCH

    def run(self, eta: float, steps: int) -> Descent:
        """Return a training run from here."""
        return descend(self.problem, eta, steps, self.direction, self.limit, self.optimizer)

    def recall(self, what: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return a measurement of its training from the store, or make and keep it."""
        return self.store.recall({**what, **self.optimizer.key}, measure)

    @property
    def curvature(self) -> float:
        """The top of the Gauss-Newton matrix."""
        return self.facts["curvature"]

    def near_minimum(self) -> Start:
        """Return the same network with targets at which its start is all but a minimum.

        The outputs are off them by a millionth of their size along the top direction. There the
        Hessian is the Gauss-Newton matrix of the start up to that millionth, and a run that
        leaves the minimum is told by its loss before it gets far.

        Returns
        -------
        Start
            Whose limit is a million times its loss.
        """
        problem = self.problem
        outputs = problem.forward(problem.start)
        offset = NEAR * max(float(outputs.norm()), 1.0) * self.direction
        moved = replace(problem, Y=outputs - offset)
        limit = LEFT * moved.value(outputs)
        return replace(self, problem=moved, limit=limit)


def subspace(problem: TorchProblem) -> int:
    """Return the dimension of the top eigenspace: one for each output, at most ten."""
    return min(MOST_DIRECTIONS, problem.outputs, problem.size)


def prepare(problem: TorchProblem, optimizer: TorchOptimizer = FULL_BATCH) -> Start:
    """Return a start with its curvatures, from the store where they were measured before.

    Parameters
    ----------
    problem : TorchProblem
    optimizer : TorchOptimizer
        Full-batch gradient descent when left out.

    Returns
    -------
    Start

    Raises
    ------
    InputError
        If the tangent kernel is zero, so that there are no learning rates to speak of.
    """
    store = Store(fingerprint(problem))

    def measure() -> dict[str, Any]:
        top = leading(problem, problem.start, subspace(problem))
        if not top.top > 0 or _is_lost(top):
            raise InputError(
                "the tangent kernel is zero at the start, or the loss flat there to rounding, so "
                "that training does nothing: initialise the network with weights that let "
                "gradients through"
            )
        ntk, hessian = (spectrum(problem, kind) for kind in ("ntk", "hessian"))
        residual = max(float(s.residuals.max()) for s in (top, ntk, hessian))
        return {
            "curvature": top.top,
            "lam": ntk.top,
            "sharpness": hessian.top,
            "residual": residual,
            "alignment": alignment(problem, problem.start, top),
            "direction": top_direction(problem, top).reshape(-1).tolist(),
        }

    facts = dict(store.recall({"measurement": "start"}, measure))
    flat = torch_part().tensor(facts.pop("direction"), dtype=torch_part().float64)
    like = next(iter(problem.start.values()))
    direction = flat.reshape(problem.shape).to(like.device, like.dtype)
    return Start(problem, store, facts, direction, ceiling(problem), optimizer)


@dataclass(eq=False)
class Measurement:
    """The measurements of one start as they come in, so that an interrupt loses none."""

    start: Start
    settings: Settings
    seed: int | None
    tick: Callable[[str, float], None]
    onset: Edge | None = None
    divergence: Edge | None = None
    useful: Edge | None = None
    runs: dict[float, ProbeRun] = field(default_factory=dict)

    def run_all(self) -> None:
        """Measure the onset, the first divergence and the useful edge."""
        log = math.log
        self.onset = _edge(
            first_boundary(self.grows, ONSET_LOWEST, ONSET_HIGHEST, ONSET_STRIDE, ONSET_TOLERANCE)
        )
        found = first_boundary(
            lambda x: np.bool_(self.run(math.exp(float(x))).diverged),
            log(LOWEST), log(self.settings.highest), STRIDE, self.settings.tolerance,
        )  # fmt: skip
        low = float(np.exp(found.low)) if np.isfinite(found.high) else max(self.runs)
        self.divergence = Edge(low, float(np.exp(found.high)))
        self.useful = self.useful_edge()

    def grows(self, eta_lam0: Any) -> Any:
        """Return whether the residual along the top eigenvector grows."""
        rate, start = float(eta_lam0), self.start
        eta = rate / start.curvature
        what = {"measurement": "growth", "eta": eta, "steps": GROWTH_STEPS}

        def measure() -> dict[str, Any]:
            ran = start.run(eta, GROWTH_STEPS)
            return {"growth": math.inf if ran.diverged else growth(ran.amplitudes)}

        found = start.recall(what, measure)["growth"]
        self.tick(f"onset, eta lambda_0 = {rate:.2f}", GROWTH_STEPS)
        return np.bool_(found > 1)

    def run(self, eta_lam0: float) -> ProbeRun:
        """Return the run at a learning rate, trained once."""
        if eta_lam0 not in self.runs:
            text = f"training, eta lambda_0 = {eta_lam0:.2f}"
            self.tick(text, 0)
            self.runs[eta_lam0] = self._trained(eta_lam0)
            self.tick(text, self.settings.steps)
        return self.runs[eta_lam0]

    def _trained(self, eta_lam0: float) -> ProbeRun:
        start, settings = self.start, self.settings
        eta = eta_lam0 / start.curvature
        what = {"measurement": "run", "eta": eta, "steps": settings.steps}
        found = start.recall(what, lambda: trained(start, eta, settings.steps))
        value = found["score"]
        return ProbeRun(
            eta, eta_lam0, eta * found["curvature"], found["diverged"],
            not found["diverged"] and value >= settings.wanted, tuple(found["losses"]), value,
            found["alignment"],
        )  # fmt: skip

    def useful_edge(self) -> Edge | None:
        """Return where training to the wanted score ends, or None where it never begins."""
        tried = sorted(self.runs)
        good = [rate for rate in tried if self.runs[rate].useful]
        if not good:
            return None
        after = [rate for rate in tried if rate > good[0] and not self.runs[rate].useful]
        if not after:
            return Edge(good[-1], math.inf)
        low, high = max(r for r in good if r < after[0]), after[0]
        while math.log(high / low) > self.settings.tolerance:
            middle = math.sqrt(low * high)
            low, high = (middle, high) if self.run(middle).useful else (low, middle)
        return Edge(low, high)

    def result(self) -> StartProbe:
        """Return what has been measured so far."""
        facts = self.start.facts
        runs = tuple(self.runs[rate] for rate in sorted(self.runs))
        return StartProbe(
            self.seed, facts["lam"], facts["curvature"], facts["sharpness"], facts["residual"],
            facts["alignment"], self.onset, self.divergence, self.useful, runs,
        )  # fmt: skip


def trained(start: Start, eta: float, steps: int) -> dict[str, Any]:
    """Return a training run in numbers, with the curvature at its end where it survives.

    Parameters
    ----------
    start : Start
    eta : float
    steps : int

    Returns
    -------
    dict
    """
    problem = start.problem
    ran = start.run(eta, steps)
    found: dict[str, Any] = {
        "losses": ran.losses.tolist(), "diverged": ran.diverged, "score": math.nan,
        "curvature": math.nan, "alignment": math.nan,
    }  # fmt: skip
    if ran.diverged:
        return found
    found["score"] = score(problem, ran.outputs)
    with _left_out():
        top = leading(problem, ran.final, subspace(problem), END_TOLERANCE)
        if _is_lost(top):
            # Zero as far as can be computed: a direction at its top means nothing.
            found["curvature"] = 0.0
            return found
        found["curvature"] = top.top
        found["alignment"] = alignment(problem, ran.final, top)
    return found


def _is_lost(found: Spectrum) -> bool:
    """Return whether the largest eigenvalue lies within the rounding of what it is made of."""
    return found.top < float(found.residuals.max())


@contextmanager
def _left_out() -> Iterator[None]:
    """Leave the curvature at the end as NaN where its bound is not met, and keep the run."""
    try:
        yield
    except CatapultError as error:
        if isinstance(error, (ValueError, ImportError)):
            raise


def _edge(found: Bracket) -> Edge:
    return Edge(max(float(found.low), 0.0), float(found.high))
