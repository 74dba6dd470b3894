"""Every threshold twice: the closed form of the analysis, and a bisection on trained raw networks.

A linear threshold is measured without the theory: raw parameters are trained to a minimum, moved a
little, and trained on at the learning rate in question; the gradient, which vanishes at the
minimum, then grows or decays. The constants of the balanced labelled network and the upper edge
are measured in the same way: by asking what training does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import sympy as sp

from catapult_theory.errors import InputError
from catapult_theory.networks import (
    TrainingStatus,
    gaussian_start,
    top_eigenvalue,
    train_network,
    train_summary,
)
from catapult_theory.phases.bounds import phase_bounds
from catapult_theory.symbolic import models
from catapult_theory.symbolic.analysis import analyse
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.fixed_points import fixed_points
from catapult_theory.symbolic.symbols import lam
from catapult_theory.validation.bisection import Bracket, scanned_boundary
from catapult_theory.validation.problem import Pairing, pair

Array = Any
Progress = Callable[[str, int, int], None]

# In units of 1/lambda at the minimum.
LOW, HIGH = 0.1, 5.0
SMALL_RATE = 0.3
SETTLING_STEPS = 1500
PERTURBATION = 1e-6
GROWN = 1e3
WRONG_BY = 1.05
HEAD = ("training", "what changes", "closed form", "value", "measured", "agreement")
# A settled cycle changes by rounding alone, some units in the last place of the output.
ROUNDING, VISIBLE, SATURATED = 1e-12, 1e-6, 1e-3


@dataclass(frozen=True, eq=False)
class Threshold:
    """A threshold in closed form beside its brackets on raw networks.

    Parameters
    ----------
    name : str
        Model and optimizer.
    meaning : str
        What changes at the threshold.
    expr : sympy.Expr
        The closed form that the analysis found.
    value : array, shape (networks,)
        It, at the numbers of each network.
    low, high : array, shape (networks,)
        The last learning rate (or constant) below the change and the first above, as measured.
    """

    name: str
    meaning: str
    expr: Any
    value: Array
    low: Array
    high: Array

    @property
    def agrees(self) -> bool:
        """Whether every bracket contains the closed form."""
        return bool(np.all((self.low <= self.value) & (self.value <= self.high)))

    @property
    def control_fails(self) -> bool:
        """Whether a closed form wrong by five per cent lies in no bracket."""
        wrong = WRONG_BY * self.value
        return bool(np.all((wrong < self.low) | (wrong > self.high)))

    @property
    def passed(self) -> bool:
        """Whether the closed form agrees and its control does not."""
        return self.agrees and self.control_fails

    @property
    def verdict(self) -> str:
        """The outcome in a word."""
        return "agrees" if self.passed else "DISAGREES"

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of a table, under `HEAD`; a line for each network."""
        values = [f"{v:.5g}" for v in self.value]
        ends = zip(self.low, self.high, strict=True)
        brackets = [f"[{a:.5g}, {b:.5g}]" for a, b in ends]
        return (
            self.name, self.meaning, str(self.expr), "\n".join(values), "\n".join(brackets),
            self.verdict,
        )  # fmt: skip

    def __str__(self) -> str:
        name, meaning, expr, values, brackets, verdict = (
            cell.replace("\n", ", ") for cell in self.cells
        )
        return f"{name}, {meaning}: {expr} = {values}; measured {brackets}; {verdict}"


def thresholds(
    quick: bool = False,
    n: int = 32,
    seeds: int | None = None,
    progress: Progress | None = None,
) -> tuple[Threshold, ...]:
    """Measure every threshold of the analysis on raw networks, beside its closed form.

    Parameters
    ----------
    quick : bool
        Fewer networks and wider brackets, for a look in some seconds.
    n : int
        Width.
    seeds : int, optional
        Networks for each threshold.
    progress : callable, optional
        Called as ``progress(what, done, total)`` before each threshold.

    Returns
    -------
    tuple of Threshold

    Examples
    --------
    >>> found = linear_threshold(models.uv(), "gd", n=16, seeds=1, tolerance=0.05, steps=400)
    >>> found.expr, found.passed
    (2/lam, True)
    """
    cases = threshold_cases(quick, n, seeds)
    found = []
    for done, (what, measure) in enumerate(cases):
        if progress is not None:
            progress(what, done, len(cases))
        found.append(measure())
    if progress is not None:
        progress("done", len(cases), len(cases))
    return tuple(found)


def threshold_cases(
    quick: bool = False, n: int = 32, seeds: int | None = None
) -> list[tuple[str, Callable[[], Threshold]]]:
    """Return the name of each threshold and what measures it, so that they can be run one by one.

    Parameters
    ----------
    quick, n, seeds
        As for `thresholds`.

    Returns
    -------
    list of pairs

    Raises
    ------
    InputError
        For a width or a number of networks below 1.

    Examples
    --------
    >>> threshold_cases(quick=True)[0][0]
    'uv, gd'
    """
    if n < 1:
        raise InputError(f"the width must be a whole number of at least 1, got {n}")
    count = seeds if seeds is not None else (2 if quick else 5)
    if count < 1:
        raise InputError(f"a threshold needs at least 1 network, got {count}")
    tolerance, steps = (0.04, 600) if quick else (0.01, 2000)
    linear = partial(linear_threshold, n=n, seeds=count, tolerance=tolerance, steps=steps)
    plain, labelled = models.uv(), models.uv(label=True)
    far = {"y": float(np.sqrt(n))}  # a label of the size at which balanced minima are sharp
    rows: list[tuple[Any, Any, dict[str, float]]] = [
        (plain, "gd", {}),
        (labelled, "gd", {"y": 0.7}),
        (plain, "heavy_ball", {"beta": 0.5}),
        (plain, "heavy_ball", {"beta": 0.9}),
        (labelled, "weight_decay", {**far, "omega": 0.1}),
        (plain, "nesterov", {"beta": 0.5}),
        (plain, "nesterov", {"beta": 0.9}),
        (plain, "unnormalised_sam", {"rho": 0.2}),
    ]
    data = _few_samples()
    return [
        *((_named(m, o, c), partial(linear, m, o, **c)) for m, o, c in rows),
        ("linear, gd", partial(linear, "linear", "gd", data=data)),
        ("linear, heavy_ball", partial(linear, "linear", "heavy_ball", data=data, beta=0.5)),
        ("uv, edge", partial(edge_threshold, n, count, tolerance)),
        ("uv, labelled edge", partial(edge_threshold, n, count, tolerance, y=2.0)),
        ("balanced uv, 2-cycle", partial(cycle_threshold, n, tolerance, steps)),
        ("balanced uv, bounded", partial(bounded_threshold, n, tolerance, 4 * steps)),
    ]


def _named(model: Any, optimizer: Any, constants: Mapping[str, float]) -> str:
    numbers = ", ".join(f"{k} = {v:g}" for k, v in constants.items())
    name = getattr(model, "name", model)
    return f"{name}, {optimizer}" + (f" ({numbers})" if numbers else "")


def _few_samples() -> tuple[Array, Array]:
    """Return fewer samples than inputs, so that the loss reaches zero."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(3, 5)) / np.sqrt(5), rng.choice([-1.0, 1.0], size=3)


def linear_threshold(
    model: Any,
    optimizer: Any = "gd",
    *,
    data: Any = None,
    n: int = 32,
    seeds: int = 2,
    tolerance: float = 0.02,
    steps: int = 2000,
    **constants: float,
) -> Threshold:
    """Measure at which learning rate a small perturbation of a minimum begins to grow.

    Networks are trained to a minimum at a small learning rate by plain gradient descent, with
    the weight decay if there is one; every raw parameter is then moved by 1e-6 N(0, 1). The
    bracket reaches from the last learning rate at which the gradient norm clearly shrinks to
    the first at which it clearly grows, by a factor e over a training.

    Parameters
    ----------
    model : Model or str
    optimizer : str or Optimizer
    data : pair (X, Y), optional
        For matrix models; with fewer samples than inputs.
    n : int
    seeds : int
        Networks.
    tolerance : float
        Width of the brackets, in units of 1/lambda.
    steps : int
    **constants : float
        Values of the symbols of model and optimizer.

    Returns
    -------
    Threshold

    Examples
    --------
    >>> linear_threshold(models.uv(), "heavy_ball", beta=0.5, n=16, seeds=1, steps=400).passed
    True
    """
    trained = pair(model, data, optimizer, "squared", **constants)
    settled = _minimum(model, data, n, seeds, constants)
    X = None if data is None else np.asarray(data[0])
    curvature = np.array([
        float(top_eigenvalue(_base(trained), {k: a[i] for k, a in settled.items()}, X))
        for i in range(seeds)
    ])  # fmt: skip
    moved = _moved(settled)

    def grows(rates: Array) -> Array:
        start = trained.raw_start(_repeated(moved, len(rates)))
        result = _trained(trained, data, np.ravel(rates / curvature), steps, start)
        return np.reshape(_growth(result, steps), rates.shape)

    ends = (np.full(seeds, LOW), np.full(seeds, HIGH))
    found = scanned_boundary(grows, *ends, tolerance)
    expr, value = _closed_form(trained, settled, curvature, n, constants)
    return Threshold(
        _named(model, optimizer, constants), "a minimum loses its stability", expr, value,
        found.low / curvature, found.high / curvature,
    )  # fmt: skip


def _base(both: Pairing) -> Any:
    """Return the network itself, without velocities beside its parameters."""
    return getattr(both.network, "base", both.network)


def _trained(both: Pairing, data: Any, eta: Array, steps: int, start: Any) -> Any:
    return train_network(
        both.network, data, eta=eta, steps=steps, start=start, optimizer=both.rule,
        loss=both.loss, **both.rates.given,
    )  # fmt: skip


def _minimum(
    model: Any, data: Any, n: int, seeds: int, constants: Mapping[str, float]
) -> dict[str, Array]:
    """Return raw parameters at minima of the loss, weight decay included; networks first."""
    kept = {k: v for k, v in constants.items() if k in ("y", "omega")}
    rule = "weight_decay" if "omega" in kept else "gd"
    both = pair(model, data, rule, "squared", **kept)
    start = gaussian_start(seeds=range(seeds)).raw(both.own_shapes, n)
    lanes = {k: np.reshape(a, (seeds, *np.shape(a)[-len(both.own_shapes[k]) :]))
             for k, a in start.items()}  # fmt: skip
    X = None if data is None else np.asarray(data[0])
    rates = np.array([
        SMALL_RATE / top_eigenvalue(both.network, {k: a[i] for k, a in lanes.items()}, X)
        for i in range(seeds)
    ])  # fmt: skip
    summary = train_summary(
        both.network, data, eta=rates, steps=SETTLING_STEPS, start=lanes, optimizer=both.rule,
        loss=both.loss, **both.rates.given,
    )  # fmt: skip
    return dict(summary.parameters)


def _repeated(parameters: Mapping[str, Array], times: int) -> dict[str, Array]:
    """Return the networks once for each learning rate, all in one axis of lanes."""
    return {k: np.tile(a, (times, *(1,) * (a.ndim - 1))) for k, a in parameters.items()}


def _moved(settled: Mapping[str, Array]) -> dict[str, Array]:
    rng = np.random.default_rng(1)
    return {k: a + PERTURBATION * rng.normal(size=a.shape) for k, a in settled.items()}


def _growth(result: Any, steps: int) -> Array:
    """Return 1 where the gradient clearly grew, -1 where it clearly shrank, otherwise 0.

    Clearly: by a factor e between the second and the last tenth of the training, or by a
    thousand from the start; a training that diverged has grown.
    """
    size = np.sqrt(result.grad_norm2)
    if len(size) <= steps:  # all lanes have diverged
        return np.ones(size.shape[1:], dtype=int)
    tenth = max(1, steps // 10)
    early, late = np.max(size[tenth : 2 * tenth], axis=0), np.max(size[-tenth:], axis=0)
    grew = (late > np.e * early) | (np.max(size, axis=0) > GROWN * size[0])
    grew |= result.status == TrainingStatus.DIVERGED
    # What has shrunk to rounding fluctuates there, and has shrunk all the same.
    gone = (np.max(size, axis=0) <= GROWN * size[0]) & (late < size[0] / GROWN)
    return np.where(gone, -1, np.where(grew, 1, np.where(late < early / np.e, -1, 0)))


def _closed_form(
    both: Pairing, settled: Mapping[str, Array], curvature: Array, n: int,
    constants: Mapping[str, float],
) -> tuple[Any, Array]:  # fmt: skip
    """Return the threshold of the analysis, at the minimum that the networks have reached."""
    update_map = both.update_map
    if update_map is None or update_map.is_matrix:
        bound = phase_bounds(derive(both.model, optimizer=both.optimizer_name)).eta_crit
        values = [float(bound(lam=c, **constants)) for c in curvature]
        return bound.expr, np.array(values)
    numbers = {s: constants[s.name] for s in update_map.constants if s.name in constants}
    numbers |= {s: n for s in update_map.constants if s.name == "n"}
    for family in fixed_points(update_map):
        place = family.physical.get(lam, lam)
        here = [float(sp.sympify(place).subs({**numbers, lam: c})) for c in curvature]
        expr = family.stability.threshold
        if expr is not None and np.allclose(here, curvature, rtol=1e-6):
            at = [float(expr.subs({**numbers, lam: c})) for c in curvature]
            return expr, np.array(at)
    return sp.nan, np.full(len(curvature), np.nan)


def edge_threshold(
    n: int = 32, seeds: int = 2, tolerance: float = 0.02, y: float = 0.0, steps: int = 3000
) -> Threshold:
    """Measure the first diverging learning rate of the uv-model from Gaussian starts.

    Parameters
    ----------
    n : int
    seeds : int
    tolerance : float
        Width of the brackets, in units of 1/lambda of the start.
    y : float
        The label.
    steps : int

    Returns
    -------
    Threshold

    Examples
    --------
    >>> edge_threshold(n=8, seeds=1, tolerance=0.05, steps=1000).passed
    True
    """
    model = models.uv(label=y) if y else models.uv()
    both = pair(model)
    start = gaussian_start(seeds=range(seeds)).raw(both.own_shapes, n)
    lanes = {k: np.reshape(a, (seeds, n)) for k, a in start.items()}
    lam0 = (np.sum(lanes["u"] ** 2, axis=1) + np.sum(lanes["v"] ** 2, axis=1)) / n
    f0 = np.sum(lanes["u"] * lanes["v"], axis=1) / np.sqrt(n)

    def diverges(rates: Array) -> Array:
        start = _repeated(lanes, len(rates))
        summary = train_summary(both.network, eta=np.ravel(rates / lam0), steps=steps, start=start)
        return np.reshape(summary.diverged, rates.shape)

    found = scanned_boundary(diverges, np.full(seeds, LOW), np.full(seeds, HIGH + 1), tolerance)
    bound = phase_bounds(derive(models.uv(label=True) if y else models.uv())).eta_max
    value = np.asarray(bound(f=f0, lam=lam0, n=n, y=y)) * np.ones(seeds)
    name = f"uv, gd (y = {y:g})"
    return Threshold(
        name, "training becomes unbounded", bound.expr, value, found.low / lam0, found.high / lam0
    )


@dataclass(frozen=True, eq=False)
class _Balanced:
    """Networks with u = v and label sqrt(n), for which kappa = eta: the cubic map in the raw."""

    n: int
    sizes: Array
    both: Pairing = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "both", pair(models.uv(label=True), y=float(np.sqrt(self.n))))

    def trained(self, kappas: Array, steps: int) -> Any:
        """Train networks of q = sizes at the start, eta f / sqrt(n) = eta |u|^2 / n."""
        direction = np.random.default_rng(2).normal(size=self.n)
        unit = direction / np.sqrt(np.mean(direction**2))
        q, kappa = (a.ravel() for a in np.meshgrid(self.sizes, np.ravel(kappas)))
        u = np.sqrt(q / kappa)[:, None] * unit
        return train_network(
            self.both.network, eta=kappa, steps=steps, start={"u": u, "v": u.copy()},
            record="output",
        )  # fmt: skip


def cycle_threshold(n: int = 32, tolerance: float = 0.02, steps: int = 2000) -> Threshold:
    """Measure up to which kappa balanced networks settle on a 2-cycle.

    They clearly do if the change over two steps is at rounding, or falls by a factor e from the
    second to the last tenth of a training; they clearly do not if it is visible and falls no
    more.

    Parameters
    ----------
    n : int
    tolerance : float
    steps : int

    Returns
    -------
    Threshold

    Examples
    --------
    >>> cycle_threshold(n=8, tolerance=0.05, steps=600).expr
    -1 + sqrt(5)
    """
    networks = _Balanced(n, np.array([0.9, 1.1]))  # on both sides of the minimum

    def unsettled(kappas: Array) -> Array:
        output = networks.trained(kappas, steps)["output"]
        change = np.abs(output[2:] - output[:-2])
        tenth = steps // 10
        size = np.max(np.abs(output), axis=0)
        late, early = np.max(change[-tenth:], axis=0), np.max(change[tenth : 2 * tenth], axis=0)
        settles = (late < ROUNDING * size) | (late < early / np.e)
        stays = (late > VISIBLE * size) & (late > (1 - SATURATED) * early)
        answers = np.where(stays, 1, np.where(settles, -1, 0))
        return answers.reshape(*kappas.shape, -1).max(axis=-1)

    line = _balanced_line()
    ((_, expr),) = (cycle.stable[0] for cycle in line.cycles)
    found = scanned_boundary(unsettled, 1.05, 1.6, tolerance)
    return _constant("the 2-cycle loses its stability", expr, found)


def bounded_threshold(n: int = 32, tolerance: float = 0.02, steps: int = 8000) -> Threshold:
    """Measure up to which kappa balanced networks stay bounded.

    Parameters
    ----------
    n : int
    tolerance : float
    steps : int

    Returns
    -------
    Threshold

    Examples
    --------
    >>> bounded_threshold(n=8, tolerance=0.05, steps=1000).passed
    True
    """
    networks = _Balanced(n, np.linspace(0.5, 1.5, 11))

    def diverges(kappas: Array) -> Array:
        gone = networks.trained(kappas, steps).status == TrainingStatus.DIVERGED
        return np.any(gone.reshape(*kappas.shape, -1), axis=-1)

    expr = _balanced_line().kept[-1][1]
    found = scanned_boundary(diverges, 1.3, 2.6, tolerance)
    return _constant("training becomes unbounded", expr, found)


def _balanced_line() -> Any:
    return analyse(derive(models.uv(label=True))).balanced


def _constant(meaning: str, expr: Any, found: Bracket) -> Threshold:
    low, high = np.atleast_1d(found.low), np.atleast_1d(found.high)
    return Threshold(
        "balanced uv, gd: kappa", meaning, expr, np.full(len(low), float(expr)), low, high
    )
