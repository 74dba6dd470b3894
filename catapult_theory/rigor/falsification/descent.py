"""Local optimisation along orbits: from near misses to exact rational starts.

What is minimised is how nearly a claim is violated. For "always" that is the least margin along
the orbit; for "eventually" the time until the claim holds, which grows without bound towards an
exceptional start. One number after another is then made simple while the last is optimised
again, so that a start on a surface of exceptional ones is met exactly. Nothing that is found
here counts before it has been judged exactly.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
from scipy.optimize import minimize

from catapult_theory.rigor.falsification.drawn_states import Drawing, Member
from catapult_theory.rigor.falsification.orbits import Conditions

_DRAWN, _DESCENTS = 400, 12
_EVALUATIONS, _POLISHED = 160, 90
_SIMPLE, _LAST = (2, 5), (1, 2, 4, 16, 100, 1000)
_RESCALED = tuple(Fraction(2) ** k for k in (0, -1, 1, -2, 2, -3, 3, -4, 4))
_LOST = 1e60


@dataclass(frozen=True)
class _Height:
    """How far a start is from violating a claim, in float64."""

    drawing: Drawing
    conditions: Conditions
    steps: int
    mode: str

    @cached_property
    def _functions(self) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
        """One step, the margins, and the facts, as functions of state and parameters."""
        symbols = list(self.drawing.symbols)
        updates = [self.drawing.update_map.updates[s] for s in self.drawing.update_map.variables]
        margins = [e if kind != "=" else -sp.Abs(e) for e, kind in self.conditions.margins]
        facts = [c.expression for c in self.drawing.branches[0].constraints
                 if c.kind != "=" and c.expression.free_symbols <= set(symbols)]  # fmt: skip
        built = (sp.lambdify(symbols, e, "math", cse=True) for e in (updates, margins, facts))
        return tuple(built)  # type: ignore[return-value]

    def __call__(self, numbers: Sequence[float]) -> float:
        """Return the height; a start outside the facts lies above all inside."""
        step, margins, facts = self._functions
        count = len(self.drawing.update_map.variables)
        state, rest = list(numbers[:count]), list(numbers[count:])
        try:
            outside = sum(max(0.0, -float(x)) for x in facts(*state, *rest))
            if outside > 0:
                return 1e6 * (1 + outside)
            return self._of_orbit(state, rest, step, margins)
        except (ArithmeticError, ValueError, TypeError):
            return 1e9

    def _of_orbit(self, state: list[float], rest: list[float], step: Any, margins: Any) -> float:
        least, before = np.inf, 0.0
        for t in range(self.conditions.moments(self.steps)):
            now = float(min(margins(*state, *rest)))
            least = min(least, now)
            if self.mode == "eventually" and now >= 0:
                # Between two steps, so that the time is continuous in the start.
                return -(t - 1 + before / (before - now)) if t and before < 0 else 0.0
            before = now
            state = list(step(*state, *rest))
            if not all(abs(x) < _LOST for x in state):
                break
        return least if self.mode == "always" else -float(self.steps)


def rational_minima(
    drawing: Drawing, conditions: Conditions, steps: int, mode: str, seed: int, end: float
) -> Iterator[Member]:
    """Yield exact starts near local minima of the height, the simplest first for each.

    Parameters
    ----------
    drawing : Drawing
        The map, and the hypotheses about the start.
    conditions : Conditions
    steps : int
    mode : str
        "always" or "eventually".
    seed : int
    end : float
        The time, of `time.monotonic`, after which no descent begins.

    Yields
    ------
    dict from symbols to Fraction
    """
    if not drawing.by_domain:
        return
    height = _Height(drawing, conditions, steps, mode)
    starts = _starts(drawing, np.random.default_rng(seed))
    starts.sort(key=lambda point: height([float(point[s]) for s in drawing.symbols]))
    for point in starts[:_DESCENTS]:
        if time.monotonic() > end:
            return
        yield from _descended(drawing, height, point, end)


def _starts(drawing: Drawing, random: np.random.Generator) -> list[Member]:
    """Draw starts in the domain that meet the hypotheses, over several scales."""
    found = []
    for _ in range(_DRAWN):
        # Scaling symmetries make the rate and the width redundant in the maps of two vectors.
        point: Member = {s: Fraction(1) for s in drawing.constants}
        for s in drawing.constants:
            if s.name not in ("eta", "n"):
                point[s] = Fraction(int(random.integers(0, 33)), 16)
        coordinates = [(0, Fraction(int(k), 16)) for k in random.integers(0, 65, size=8)]
        count = len(drawing.update_map.domain)
        point |= drawing.placed(coordinates[:count], None, point)
        if full := drawing.completed(point, _RESCALED):
            found.append(full)
    return found


def _descended(drawing: Drawing, height: _Height, point: Member, end: float) -> Iterator[Member]:
    fixed = {"eta", "n"} | {s.name for b in drawing.branches for s in b.solved}
    moving = [s for s in drawing.symbols if s.name not in fixed]
    best = _minimised(
        drawing, height, {s: float(v) for s, v in point.items()}, moving, _EVALUATIONS
    )
    for last in reversed(moving):
        for bottom in _SIMPLE:
            if time.monotonic() > end:
                return
            numbers: dict[sp.Symbol, Any] = {s: point[s] for s in drawing.symbols}
            for s in moving:
                numbers[s] = Fraction(best[s]).limit_denominator(bottom)
            numbers[last] = best[last]
            plain = {s: float(v) for s, v in numbers.items()}
            polished = _minimised(drawing, height, plain, [last], _POLISHED)[last]
            for largest in _LAST:
                numbers[last] = Fraction(polished).limit_denominator(largest)
                if full := drawing.completed(numbers):
                    yield full


def _minimised(
    drawing: Drawing, height: _Height, start: dict[sp.Symbol, float], moving: Sequence[sp.Symbol],
    evaluations: int,
) -> dict[sp.Symbol, float]:  # fmt: skip
    def at(x: np.ndarray) -> dict[sp.Symbol, float]:
        return start | dict(zip(moving, (float(v) for v in x), strict=True))

    def value(x: np.ndarray) -> float:
        numbers = at(x)
        return height([numbers[s] for s in drawing.symbols])

    options = {"maxfev": evaluations, "xatol": 1e-15, "fatol": 1e-12}
    origin = np.array([start[s] for s in moving])
    found = minimize(value, origin, method="Nelder-Mead", options=options)
    return at(found.x) if np.all(np.isfinite(found.x)) else start
