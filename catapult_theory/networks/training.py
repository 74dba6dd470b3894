"""Brute-force training of finite-width networks, in float64, one step after the other.

Raw parameters, gradients by backpropagation, optimizers as in theory, section 1. Lanes
(independent networks of one width) are trained side by side and leave the batch when
they are decided, so that they cannot disturb the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from catapult_theory.errors import InputError
from catapult_theory.networks import ntk
from catapult_theory.networks.optimizers import Buffers, Rates, over
from catapult_theory.networks.parameters import Array, Network, Parameters, frozen_of
from catapult_theory.networks.problem import Problem, pose
from catapult_theory.networks.recorder import NoRecorder, Recorder, StepRecorder, cadence
from catapult_theory.networks.result import TrainingResult, TrainingStatus, TrainingSummary

DIVERGED_ABOVE = 1e100
CONVERGED_BELOW = 1e-24
PROGRESS_CALLS = 200

Progress = Callable[[int, int], None]


def train_network(
    network: Network,
    data: Any = None,
    *,
    eta: Any,
    steps: int,
    n: int | None = None,
    start: Any = None,
    optimizer: Any = "gd",
    loss: Any = "squared",
    beta: Any = 0.0,
    weight_decay: Any = 0.0,
    numbers: Mapping[str, Any] | None = None,
    schedules: Mapping[str, Any] | None = None,
    batches: Any = None,
    record: str | Iterable[str] | Mapping[str, int] = (),
    every: int = 1,
    progress: Progress | None = None,
) -> TrainingResult:
    """Train a network of width n step by step and return its course.

    theta' = theta - eta grad(L + weight_decay |theta|^2 / 2), or heavy ball
    P' = beta P - eta grad, theta' = theta + P' with P = 0 at the start (theory, section 1).
    Start, eta, beta, weight_decay and label broadcast to the lanes, independent networks.
    A lane stops at divergence (|eta f / sqrt(n)| > 1e100 without data, loss > 1e100 with
    data, or overflow); the training stops early when all lanes have.

    Parameters
    ----------
    network : UVNetwork, LinearNetwork or GenericNetwork
    data : pair (X, y) or Dataset, optional
        X of shape (m, d), y of shape (m,) or (m, k); left out for a network without data.
    eta : float or array
        Learning rate.
    steps : int
    n : int, optional
        Width; may be left out when ``start`` holds arrays.
    start : GaussianStart or dict of arrays, optional
        Left out, N(0, 1) with seed 0.
    optimizer : str or Optimizer
        "gd", "heavy_ball", "weight_decay" (the same as "gd") or "adam".
    loss : str or callable
        "squared", "logistic", "softmax_cross_entropy", or a function l(f, y) of arrays,
        entry by entry, written with ``autograd.numpy``.
    beta, weight_decay : float or array
    numbers : mapping of str to float or array, optional
        What a `Composite` optimizer needs besides: ``rho``, ``clip``.
    schedules : mapping of str to array, optional
        ``eta`` and other rates step by step, of shape (steps,) or (steps, *lanes).
    batches : array of int, shape (steps, size), optional
        The samples that each step sees; loss and status are those of all samples.
    record : str, iterable of str or mapping
        What to keep besides the loss, among "output", "gram" (inner products of the width-n
        columns over n), "lam" (largest eigenvalue of Theta/m), "ggn" (of the Gauss-Newton
        matrix) and "parameters"; a mapping gives each its own number of steps.
    every : int
        Record at steps 0, every, 2 every, ... unless ``record`` is a mapping.
    progress : callable, optional
        Called as ``progress(step, steps)``, some 200 times.

    Returns
    -------
    TrainingResult

    Raises
    ------
    InputError
        If an input cannot be used; the message says which.

    Examples
    --------
    >>> from catapult_theory.networks import UVNetwork, gaussian_start
    >>> result = train_network(UVNetwork(), eta=1.5, n=1000, steps=300, record="lam")
    >>> bool(result.converged), result.loss.shape, bool(result["lam"][-1] < result["lam"][0])
    (True, (301,), True)
    """
    problem = pose(
        network, data, eta=eta, n=n, start=start, optimizer=optimizer, loss=loss, beta=beta,
        weight_decay=weight_decay, numbers=numbers, schedules=schedules, batches=batches,
    )  # fmt: skip
    recorder = StepRecorder(problem, cadence(record, every, problem))
    ledger = _simulate(problem, steps, recorder, progress, {TrainingStatus.DIVERGED})
    return TrainingResult(**_outcome(problem, ledger), **recorder.arrays())


def train_summary(
    network: Network,
    data: Any = None,
    *,
    eta: Any,
    steps: int,
    n: int | None = None,
    start: Any = None,
    optimizer: Any = "gd",
    loss: Any = "squared",
    beta: Any = 0.0,
    weight_decay: Any = 0.0,
    numbers: Mapping[str, Any] | None = None,
    schedules: Mapping[str, Any] | None = None,
    batches: Any = None,
    progress: Progress | None = None,
) -> TrainingSummary:
    """Train many lanes and return what became of each, without a trace of the steps.

    The same steps as `train_network`. A lane leaves when it has diverged or converged
    (|grad L|^2 <= 1e-24 of its running maximum, and eta times the Gauss-Newton eigenvalue
    below 2, or 2 (1 + beta) with momentum), so that thousands of starts cost little.

    Parameters
    ----------
    network, data, eta, steps, n, start, optimizer, loss, beta, weight_decay, numbers, schedules
        As in `train_network`.
    batches, progress
        As in `train_network`.

    Returns
    -------
    TrainingSummary

    Raises
    ------
    InputError
        If an input cannot be used; the message says which.

    Examples
    --------
    >>> from catapult_theory.networks import UVNetwork, gaussian_start
    >>> start = gaussian_start(seeds=range(100))
    >>> outcome = train_summary(UVNetwork(), eta=0.2, n=5, start=start, steps=2000)
    >>> outcome.status.shape, bool(outcome.diverged.any())
    ((100,), False)
    """
    problem = pose(
        network, data, eta=eta, n=n, start=start, optimizer=optimizer, loss=loss, beta=beta,
        weight_decay=weight_decay, numbers=numbers, schedules=schedules, batches=batches,
    )  # fmt: skip
    leaving = {TrainingStatus.DIVERGED, TrainingStatus.CONVERGED}
    ledger = _simulate(problem, steps, NoRecorder(), progress, leaving)
    return TrainingSummary(**_outcome(problem, ledger))


@dataclass(frozen=True, eq=False)
class Batch:
    """The lanes still in training: their numbers, parameters, buffers, rates and targets."""

    index: Any
    parameters: Parameters
    buffers: Buffers
    rates: Rates
    Y: Array

    def take(self, kept: Any) -> Batch:
        """Return the batch of the lanes that are kept."""
        if kept.all():
            return self
        return Batch(
            self.index[kept],
            {k: a[kept] for k, a in self.parameters.items()},
            {name: {k: a[kept] for k, a in b.items()} for name, b in self.buffers.items()},
            self.rates.take(kept),
            self.Y if len(self.Y) == 1 else self.Y[kept],
        )


@dataclass(frozen=True, eq=False)
class Point:
    """The state of a batch at one step: outputs, data loss and the whole gradient."""

    F: Array
    loss: Array
    gradient: Parameters
    grad_norm2: Array


@dataclass(frozen=True, eq=False)
class Ledger:
    """What is known of every lane; its arrays are filled as the training goes on."""

    steps: int
    last_step: Any
    status: Any
    status_step: Any
    peak_loss: Array
    peak_step: Any
    peak_gradient: Array
    final_loss: Array
    output: Array
    parameters: Parameters

    @classmethod
    def blank(cls, problem: Problem, steps: int) -> Ledger:
        """Return the ledger before the first step."""
        size = len(problem.rates.eta)
        return cls(
            steps=steps,
            last_step=np.zeros(size, dtype=np.int64),
            status=np.full(size, TrainingStatus.UNDECIDED, dtype=np.int64),
            status_step=np.full(size, steps, dtype=np.int64),
            peak_loss=np.full(size, -np.inf),
            peak_step=np.zeros(size, dtype=np.int64),
            peak_gradient=np.zeros(size),
            final_loss=np.empty(size),
            output=np.empty((size, *problem.Y.shape[1:])),
            parameters={k: np.empty_like(a) for k, a in problem.parameters.items()},
        )

    def note(self, step: int, lanes: Any, point: Point) -> None:
        """Enter the peaks of one step."""
        higher = point.loss > self.peak_loss[lanes]
        self.peak_loss[lanes[higher]] = point.loss[higher]
        self.peak_step[lanes[higher]] = step
        self.peak_gradient[lanes] = np.fmax(self.peak_gradient[lanes], point.grad_norm2)

    def decide(self, step: int, lanes: Any, status: TrainingStatus) -> None:
        """Enter a status reached at this step."""
        self.status[lanes] = status
        self.status_step[lanes] = step

    def close(self, step: int, batch: Batch, point: Point, leaving: Any) -> None:
        """Enter the last state of lanes that leave."""
        lanes = batch.index[leaving]
        self.last_step[lanes] = step
        self.final_loss[lanes] = point.loss[leaving]
        self.output[lanes] = point.F[leaving]
        for name, array in batch.parameters.items():
            self.parameters[name][lanes] = array[leaving]


def _simulate(
    problem: Problem,
    steps: int,
    recorder: Recorder,
    progress: Progress | None,
    leaving: set[TrainingStatus],
) -> Ledger:
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 0:
        raise InputError(f"steps must be a non-negative integer, got {steps!r}")
    buffers = problem.optimizer.buffers(problem.parameters)
    lanes = np.arange(len(problem.rates.eta))
    batch = Batch(lanes, problem.parameters, buffers, problem.rates, problem.Y)
    ledger = Ledger.blank(problem, int(steps))
    stride = max(1, steps // PROGRESS_CALLS)
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(steps + 1):
            batch = replace(batch, rates=problem.plan.at(batch.rates, batch.index, step))
            point = _evaluate(problem, batch)
            recorder.observe(step, batch, point)
            ledger.note(step, batch.index, point)
            _judge(problem, step, batch, point, ledger)
            status = ledger.status[batch.index]
            gone = np.full(len(status), step == steps)
            for code in leaving:
                gone |= status == code
            if progress is not None and (step % stride == 0 or gone.all()):
                progress(step, steps)
            if gone.any():
                ledger.close(step, batch, point, gone)
            if gone.all():
                break
            batch = _advance(problem, step + 1, batch.take(~gone), _kept(point.gradient, ~gone))
    return ledger


def _evaluate(problem: Problem, batch: Batch) -> Point:
    outputs, gradient = _loss_gradient(problem, batch.parameters, problem.X, batch.Y)
    gradient = _with_decay(problem, gradient, batch.parameters, _decay(problem, batch.rates))
    loss = problem.loss.value(outputs, batch.Y)
    flat = [g.reshape(len(g), -1) for g in gradient.values()]
    norm2 = sum((np.einsum("li,li->l", g, g) for g in flat), np.zeros(len(loss)))
    return Point(outputs, np.where(np.isnan(loss), np.inf, loss), gradient, np.asarray(norm2))


def _loss_gradient(
    problem: Problem, parameters: Mapping[str, Array], X: Any, Y: Array
) -> tuple[Array, Parameters]:
    """Return outputs and gradient of the mean loss over the given samples, without decay."""
    samples = Y.shape[-2]
    return problem.network.backpropagate(
        parameters, X, lambda F: problem.loss.gradient(F, Y) / samples
    )


def _decay(problem: Problem, rates: Rates) -> Array:
    """Return the weight decay that the loss effectively has."""
    effective = getattr(problem.optimizer, "effective_decay", None)
    return rates.omega if effective is None else np.asarray(effective(rates))


def _with_decay(
    problem: Problem, gradient: Parameters, parameters: Parameters, omega: Array
) -> Parameters:
    if not omega.any():
        return gradient
    held = frozen_of(problem.network)
    return {k: g if k in held else g + over(omega, g) * parameters[k] for k, g in gradient.items()}


def _advance(problem: Problem, number: int, batch: Batch, gradient: Parameters) -> Batch:
    rule, X, Y = problem.optimizer, problem.X, batch.Y
    if problem.plan.batches is not None:
        rows = problem.plan.batches[number - 1]
        X, Y = None if X is None else X[rows], Y[..., rows, :]

    held = {k: batch.parameters[k] for k in frozen_of(problem.network)}

    def gradient_at(parameters: Mapping[str, Array]) -> Parameters:
        slope = _loss_gradient(problem, {**parameters, **held}, X, Y)[1]
        return {k: slope[k] for k in parameters}

    if hasattr(rule, "advance"):
        own = {k: a for k, a in batch.parameters.items() if k not in held}
        new, buffers = rule.advance(own, batch.buffers, gradient_at, batch.rates)
        whole = {k: new.get(k, a) for k, a in batch.parameters.items()}
        return replace(batch, parameters=whole, buffers=buffers)
    if problem.plan.batches is not None:
        part = gradient_at(batch.parameters)
        gradient = _with_decay(problem, part, batch.parameters, batch.rates.omega)
    new, buffers = rule.step(batch.parameters, batch.buffers, gradient, batch.rates, number)
    return replace(batch, parameters=new, buffers=buffers)


def _kept(gradient: Parameters, kept: Any) -> Parameters:
    return gradient if kept.all() else {k: g[kept] for k, g in gradient.items()}


def _judge(problem: Problem, step: int, batch: Batch, point: Point, ledger: Ledger) -> None:
    """Enter which lanes have diverged or converged at this step."""
    diverged = _diverged(problem, batch, point)
    ledger.decide(step, batch.index[diverged], TrainingStatus.DIVERGED)
    small = point.grad_norm2 <= CONVERGED_BELOW * ledger.peak_gradient[batch.index]
    small &= ledger.status[batch.index] == TrainingStatus.UNDECIDED
    if small.any():
        still = batch.take(small)
        stable = _stable(problem, still)
        ledger.decide(step, still.index[stable], TrainingStatus.CONVERGED)


def _diverged(problem: Problem, batch: Batch, point: Point) -> Any:
    finite = np.isfinite(point.F).all(axis=(-1, -2)) & np.isfinite(point.loss)
    if problem.has_data:
        return ~finite | (point.loss > DIVERGED_ABOVE)
    q = batch.rates.eta * np.abs(point.F[:, 0, 0]) / np.sqrt(problem.n)
    return ~finite | (q > DIVERGED_ABOVE)


def _stable(problem: Problem, batch: Batch) -> Any:
    """Return whether the Gauss-Newton matrix plus weight decay lies below the threshold."""
    threshold = problem.optimizer.threshold(batch.rates)
    if threshold is None:
        return np.ones(len(batch.index), dtype=bool)
    top = ntk.ggn_top(problem.network, batch.parameters, problem.X, batch.Y, problem.loss)
    return batch.rates.eta * (top + _decay(problem, batch.rates)) < threshold


def _outcome(problem: Problem, ledger: Ledger) -> dict[str, Any]:
    shaped = problem.over_lanes
    rates = problem.rates
    return {
        "network": type(problem.network).__name__,
        "optimizer": problem.optimizer.name,
        "loss_name": problem.loss.name,
        "start": problem.start,
        "n": problem.n,
        "eta": shaped(rates.eta),
        "beta": shaped(rates.beta),
        "weight_decay": shaped(rates.omega),
        "steps": ledger.steps,
        "last_step": int(ledger.last_step.max()),
        "status": shaped(ledger.status),
        "status_step": shaped(ledger.status_step),
        "peak_loss": shaped(ledger.peak_loss),
        "peak_step": shaped(ledger.peak_step),
        "final_loss": shaped(ledger.final_loss),
        "output": problem.outputs_over_lanes(ledger.output),
        "parameters": {k: shaped(a) for k, a in ledger.parameters.items()},
    }
