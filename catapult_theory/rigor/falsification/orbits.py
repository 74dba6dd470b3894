"""Claims along an orbit: at each step true, false, or not decided, and never a guess.

An orbit starts at a rational state. It is followed in exact fractions as long as these are
short (a cubic map makes them three times longer at each step), then in balls of growing
precision. An orbit that comes to rest is known for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp

from catapult_theory.rigor.claims.points import Irrational, Point, Undefined, exact, meets
from catapult_theory.rigor.claims.problem import margin
from catapult_theory.rigor.claims.reading import Claim
from catapult_theory.rigor.claims.vocabulary import Vocabulary
from catapult_theory.rigor.falsification.balls import ball, enclosure, precision, sign_of

# Digits of a state, in bits, up to which it is followed in fractions.
_LONGEST = 4000
# Bits of a ball at first, more for each step, and how many precisions are tried, each of four
# times the bits.
_BITS, _BITS_A_STEP, _REFINEMENTS = 128, 6, 2
# A state beyond 2^this has diverged: nothing more is said about its orbit.
_LARGEST = 20_000


@dataclass(frozen=True)
class Conditions:
    """A claim as signs of expressions in one state and the parameters.

    Parameters
    ----------
    margins : tuple of (expression, kind)
        Compared with zero: ">=", ">" or "=".
    is_step : bool
        Whether the claim speaks of the state after the step.
    """

    margins: tuple[tuple[sp.Expr, str], ...]
    is_step: bool

    @classmethod
    def of(cls, claim: Claim, vocabulary: Vocabulary) -> Conditions:
        """Return the conditions that a claim states."""
        symbols = {s for r in claim.relations for s in (r.left - r.right).free_symbols}
        sides = {s for r in claim.relations for e in (r.left, r.right) for s in e.free_symbols}
        primed = any(s.name.endswith("'") for s in symbols | sides)
        return cls(tuple(margin(r, vocabulary) for r in claim.relations), primed)

    def moments(self, steps: int) -> int:
        """Return at how many states a claim about so many steps is looked at."""
        return steps if self.is_step else steps + 1

    @property
    def symbols(self) -> frozenset[sp.Symbol]:
        """The symbols of all margins."""
        return frozenset(s for e, _ in self.margins for s in e.free_symbols)


@dataclass(frozen=True)
class Moment:
    """What is known of a claim at one state of an orbit.

    Parameters
    ----------
    step : int
    holds : bool or None
        None where the sign of a margin is not decided.
    exact : bool
        Whether the state is known in fractions; otherwise in balls.
    rests : bool
        Whether the orbit stays at this state for ever.
    """

    step: int
    holds: bool | None
    exact: bool
    rests: bool = False


def along(
    conditions: Conditions, updates: Mapping[sp.Symbol, sp.Expr], start: Point, steps: int
) -> Iterator[Moment]:
    """Follow a claim along the orbit of an exact start.

    Parameters
    ----------
    conditions : Conditions
    updates : mapping
        From each state symbol to its value after the step.
    start : mapping from symbols to Fraction
        State and parameters.
    steps : int

    Yields
    ------
    Moment
        At steps 0, 1, ...; the last one early where the orbit rests or has diverged.
    """
    point, count = dict(start), conditions.moments(steps)
    for step in range(count):
        if max(_bits(x) for x in point.values()) > _LONGEST:
            yield from _in_balls(conditions, updates, point, step, count)
            return
        try:
            after = point | {s: exact(e, point) for s, e in updates.items()}
            holds = _both([meets(_exact_sign(e, point), kind) for e, kind in conditions.margins])
        except Undefined:
            return
        except Irrational:
            yield from _in_balls(conditions, updates, point, step, count)
            return
        yield Moment(step, holds, True, after == point)
        if after == point:
            return
        point = after


def _bits(number: Fraction) -> int:
    return max(number.numerator.bit_length(), number.denominator.bit_length())


def _exact_sign(expression: sp.Expr, point: Point) -> int:
    number = exact(expression, point)
    return (number > 0) - (number < 0)


def _both(found: Sequence[bool | None]) -> bool | None:
    if any(x is False for x in found):
        return False
    return None if any(x is None for x in found) else True


def _in_balls(
    conditions: Conditions, updates: Mapping[sp.Symbol, sp.Expr], point: Point, first: int, end: int
) -> Iterator[Moment]:
    """Follow the orbit in balls; start again with finer ones where a sign is not decided."""
    bits = _BITS + _BITS_A_STEP * (end - first)
    moments: list[Moment] = []
    for refinement in range(_REFINEMENTS):
        with precision(bits * 4**refinement):
            moments = list(_ball_moments(conditions, updates, point, first, end))
        if all(m.holds is not None for m in moments):
            break
    yield from moments


def _ball_moments(
    conditions: Conditions, updates: Mapping[sp.Symbol, sp.Expr], point: Point, first: int, end: int
) -> Iterator[Moment]:
    state: dict[sp.Symbol, Any] = {s: ball(x) for s, x in point.items()}
    for step in range(first, end):
        signs = [(sign_of(enclosure(e, state)), kind) for e, kind in conditions.margins]
        yield Moment(step, _both([meets(found, kind) for found, kind in signs]), False)
        state = state | {s: enclosure(e, state) for s, e in updates.items()}
        if any(_is_lost(x) for x in state.values()):
            return


def _is_lost(number: Any) -> bool:
    """Return whether a ball says nothing any more, or is far outside of every bound."""
    return not number.is_finite() or (number.abs_upper().man_exp()[1] > _LARGEST)
