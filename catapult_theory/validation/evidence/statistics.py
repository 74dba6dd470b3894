"""The statistics of a row, from one start: each a bracket of one number, infinite if censored."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from catapult_theory.networks.torch_training import descend
from catapult_theory.validation.bisection import first_boundary
from catapult_theory.validation.evidence.rows import EvidenceRow, Measure
from catapult_theory.validation.evidence.subjects import Subject, subject
from catapult_theory.validation.probing.loss_curve import read_curve
from catapult_theory.validation.probing.measure import (
    ONSET_HIGHEST,
    ONSET_LOWEST,
    ONSET_STRIDE,
    STRIDE,
    Measurement,
    Settings,
    trained,
)
from catapult_theory.validation.probing.result import ONSET, Edge

Tick = Callable[[str], None]


def measure(row: EvidenceRow, width: int, seed: int, tick: Tick) -> Edge:
    """Return the statistic of a row from one start.

    Parameters
    ----------
    row : EvidenceRow
    width : int
    seed : int
    tick : callable
        Called before every run with what is being done; what it raises ends the measurement.

    Returns
    -------
    Edge
        The value lies between its ends, which are equal for what is no edge.
    """
    tick("curvature at the start")
    found = subject(row, width, seed)
    return _STATISTICS[row.measure.statistic](found, row.measure, tick)


def _onset(found: Subject, asked: Measure, tick: Tick) -> Edge:
    settings = Settings(asked.steps, 1.0, asked.high, asked.tolerance)
    parts = Measurement(found.start, settings, None, lambda text, _: tick(text))
    edge = first_boundary(
        parts.grows, ONSET_LOWEST, ONSET_HIGHEST, ONSET_STRIDE, asked.tolerance * ONSET
    )
    return Edge(max(float(edge.low), 0.0), float(edge.high))


def _onset_distance(found: Subject, asked: Measure, tick: Tick) -> Edge:
    """Return |onset - 2|, zero where the bracket holds 2."""
    edge = _onset(found, asked, tick)
    ends = sorted((abs(edge.low - ONSET), abs(edge.high - ONSET)))
    return Edge(0.0 if edge.low <= ONSET <= edge.high else ends[0], ends[1])


def _divergence(found: Subject, asked: Measure, tick: Tick) -> Edge:
    log, tried = math.log, [0.0]

    def diverges(x: Any) -> Any:
        rate = math.exp(float(x))
        ran = _run(found, asked.steps, rate, tick)
        tried.append(rate)
        return np.bool_(ran["diverged"])

    edge = first_boundary(diverges, log(asked.low), log(asked.high), STRIDE, asked.tolerance)
    if math.isinf(edge.high):
        return Edge(max(tried), math.inf)
    low = 0.0 if edge.low == -math.inf else float(np.exp(edge.low))
    return Edge(low, float(np.exp(edge.high)))


def _final(found: Subject, asked: Measure, tick: Tick) -> Edge:
    start = found.start
    ends = []
    for rate in asked.rates:
        tick(f"training, eta lambda_0 = {rate:.2f}")
        eta = rate / start.curvature
        what = {"measurement": "run", "eta": eta, "steps": asked.steps}
        ran = start.store.recall(what, partial(trained, start, eta, asked.steps))
        if not ran["diverged"]:
            ends.append(eta * ran["curvature"])
    # A curvature whose bound was not met is NaN, and so is then the largest.
    return _point(float(np.max(ends)) if ends else math.nan)


def _catapult(found: Subject, asked: Measure, tick: Tick) -> Edge:
    runs = [_run(found, asked.steps, rate, tick) for rate in asked.rates]
    peaks = [read_curve(np.array(r["losses"])).catapult for r in runs if not r["diverged"]]
    return _point(max(peaks) if peaks else math.nan)


def _accuracy_steps(found: Subject, asked: Measure, tick: Tick) -> Edge:
    lazy, window = asked.rates
    return _difference(found, tick, (lazy, asked.steps), (window, asked.steps))


def _accuracy_time(found: Subject, asked: Measure, tick: Tick) -> Edge:
    lazy, window = asked.rates
    fewer = max(1, round(asked.steps * lazy / window))
    return _difference(found, tick, (lazy, asked.steps), (window, fewer))


def _difference(
    found: Subject, tick: Tick, lazy: tuple[float, int], window: tuple[float, int]
) -> Edge:
    """Return the paired difference of held-out accuracy, window minus lazy."""
    runs = [_run(found, steps, rate, tick) for rate, steps in (lazy, window)]
    return _point(runs[1]["accuracy"] - runs[0]["accuracy"])


def _run(found: Subject, steps: int, eta_lam0: float, tick: Tick) -> dict[str, Any]:
    """Return a run without the curvature at its end, trained once."""
    tick(f"training, eta lambda_0 = {eta_lam0:.2f}")
    start = found.start
    eta = eta_lam0 / start.curvature
    held = len(found.X)

    def train() -> dict[str, Any]:
        ran = descend(start.problem, eta, steps, start.direction, start.limit)
        seen = held > 0 and not ran.diverged
        return {
            "diverged": ran.diverged, "losses": ran.losses.tolist(),
            "accuracy": found.accuracy(ran.final) if seen else math.nan,
        }  # fmt: skip

    what = {"measurement": "short run", "eta": eta, "steps": steps, "held out": held}
    return start.store.recall(what, train)


def _point(value: float) -> Edge:
    return Edge(value, value)


_STATISTICS: Mapping[str, Callable[[Subject, Measure, Tick], Edge]] = {
    "onset": _onset,
    "onset_distance": _onset_distance,
    "divergence": _divergence,
    "final": _final,
    "catapult": _catapult,
    "accuracy_steps": _accuracy_steps,
    "accuracy_time": _accuracy_time,
}
