"""The statistics of a row, from one start: each a bracket of one number, infinite if censored."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

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
    Start,
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


def _stability(found: Subject, asked: Measure, tick: Tick) -> Edge:
    near = found.start.near_minimum()
    return _first(lambda rate: _grows(near, asked.steps, rate, tick), asked)


def _grows(near: Start, steps: int, eta_lam0: float, tick: Tick) -> bool:
    """Return whether a run near a minimum leaves it."""
    tick(f"near a minimum, eta lambda_0 = {eta_lam0:.2f}")
    eta = eta_lam0 / near.curvature
    what = {"measurement": "near a minimum", "eta": eta, "steps": steps}
    return bool(near.recall(what, lambda: {"grows": near.run(eta, steps).diverged})["grows"])


def _divergence(found: Subject, asked: Measure, tick: Tick) -> Edge:
    return _first(lambda rate: _run(found, asked.steps, rate, tick)["diverged"], asked)


def _first(changes: Callable[[float], bool], asked: Measure) -> Edge:
    """Return the first rate at which the answer is yes, by a scan upward and a bisection."""
    log, tried = math.log, [0.0]

    def ask(x: Any) -> Any:
        rate = math.exp(float(x))
        answer = changes(rate)
        tried.append(rate)
        return np.bool_(answer)

    edge = first_boundary(ask, log(asked.low), log(asked.high), STRIDE, asked.tolerance)
    if math.isinf(edge.high):
        return Edge(max(tried), math.inf)
    low = 0.0 if edge.low == -math.inf else float(np.exp(edge.low))
    return Edge(low, float(np.exp(edge.high)))


def _final(found: Subject, asked: Measure, tick: Tick) -> Edge:
    start, steps = found.start, asked.steps
    ends = []
    for rate in asked.rates:
        tick(f"training, eta lambda_0 = {rate:.2f}")
        eta = rate / start.curvature
        what = {"measurement": "run", "eta": eta, "steps": steps}
        ran = start.recall(what, partial(trained, start, eta, steps))
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
        ran = start.run(eta, steps)
        seen = held > 0 and not ran.diverged
        return {
            "diverged": ran.diverged, "losses": ran.losses.tolist(),
            "accuracy": found.accuracy(ran.final) if seen else math.nan,
        }  # fmt: skip

    what = {"measurement": "short run", "eta": eta, "steps": steps, "held out": held}
    return start.recall(what, train)


def _point(value: float) -> Edge:
    return Edge(value, value)


_STATISTICS: Mapping[str, Callable[[Subject, Measure, Tick], Edge]] = {
    "onset": _onset,
    "onset_distance": _onset_distance,
    "stability": _stability,
    "divergence": _divergence,
    "final": _final,
    "catapult": _catapult,
    "accuracy_steps": _accuracy_steps,
    "accuracy_time": _accuracy_time,
}
