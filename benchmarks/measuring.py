"""Contests: one question, many contestants, timed in interleaved rounds and checked for agreement.

A question builds `Entry` objects and calls `contest`, which makes every contestant, checks
that all compute the same numbers on a small problem, times them round by round, and returns
an `Answer`: the seconds, who is missing and why, and the targets with the ratios reached.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

Numbers = Mapping[str, Any]
Work = Callable[[], Numbers | None]


class Skipped(Exception):
    """A contestant that cannot take part; the message is the reason that is printed."""


class Problem(Protocol):
    """What the contestants of one question are given."""

    @property
    def units(self) -> float:
        """Units of work, such as lane-steps."""


@dataclass(frozen=True)
class Setting:
    """How to measure: rounds, and whether everything is to be tiny (tests)."""

    rounds: int = 5
    small: bool = False


def whole(problem: Any) -> Any:
    """Return the problem as it is: the entry takes all of it."""
    return problem


@dataclass(frozen=True)
class Entry:
    """A contestant that may take part.

    Parameters
    ----------
    name : str
    make : callable
        From a problem to the work, a callable without arguments that returns its numbers
        (None for a limit). It raises `Skipped` or ImportError where it cannot take part.
    cut : callable
        From the problem to the part of it that is timed, for slow contestants.
    note : str
        Said beside the figures; how the problem was cut.
    limit : bool
        Whether this is the limit of the hardware that the others are measured by.
    """

    name: str
    make: Callable[[Any], Work]
    cut: Callable[[Any], Any] = whole
    note: str = ""
    limit: bool = False


@dataclass(frozen=True)
class Measured:
    """Seconds of one contestant in every round, and the units of work in one of them."""

    name: str
    seconds: tuple[float, ...]
    units: float
    note: str = ""
    limit: bool = False

    @property
    def median(self) -> float:
        """The median over rounds, in seconds."""
        return statistics.median(self.seconds)

    @property
    def costs(self) -> tuple[float, ...]:
        """Seconds per unit of work, by round."""
        return tuple(s / self.units for s in self.seconds)

    @property
    def cost(self) -> float:
        """The median of `costs`."""
        return statistics.median(self.costs)

    def over(self, other: Measured) -> float:
        """Return the median over rounds of this cost over the other's in the same round."""
        return statistics.median(a / b for a, b in zip(self.costs, other.costs, strict=True))


@dataclass(frozen=True)
class Target:
    """A ratio to reach: cost of ``slow`` over cost of ``fast``, at least (or at most) ``bound``.

    "ours" stands for the first of our backends that takes part, "ours, x" for its row x.
    """

    text: str
    slow: str
    fast: str
    bound: float
    at_most: bool = False

    def met(self, value: float) -> bool:
        """Whether the ratio reaches the bound."""
        return value <= self.bound if self.at_most else value >= self.bound


@dataclass(frozen=True)
class Answer:
    """Everything that was found out about one question.

    Parameters
    ----------
    title, unit : str
        ``unit`` is what a cost is per: "a lane-step".
    results : tuple of Measured
    missing : mapping of str to str
        Contestants that did not take part, and why.
    broken : mapping of str to str
        Contestants that raised an error: a fault, where `missing` is none.
    differences : mapping of str to mapping
        By contestant and number: the largest difference from the reference, over max(1, |x|).
    tolerance : mapping of str to float
        What these differences may be.
    reference : str
        The contestant that the others are compared with.
    ours : tuple of str
        The names of ours, the most important first.
    targets : tuple of Target
    flops, bytes : float
        Of one unit, for the roofline; 0 where that does not apply.
    notes : tuple of str
    """

    title: str
    unit: str
    results: tuple[Measured, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    differences: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    tolerance: Mapping[str, float] = field(default_factory=dict)
    reference: str = ""
    ours: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    flops: float = 0.0
    bytes: float = 0.0
    notes: tuple[str, ...] = ()

    def result(self, name: str) -> Measured | None:
        """Return a contestant's figures by name, or None; "ours" is the first of ours."""
        return next((r for r in self.results if r.name == self.named(name)), None)

    def named(self, name: str) -> str:
        """Return the contestant that a target means."""
        head, comma, rest = name.partition(",")
        return f"{self.our_name or head}{comma}{rest}" if head == "ours" else name

    @property
    def our_name(self) -> str:
        """The first of ours that takes part, or ""."""
        present = {r.name for r in self.results}
        return next((name for name in self.ours if name in present), "")

    @property
    def limit(self) -> Measured | None:
        """The measured limit of the hardware, or None."""
        return next((r for r in self.results if r.limit), None)

    def reached(self, target: Target) -> float | None:
        """Return the ratio that a target asks for, or None where a side is missing."""
        slow, fast = self.result(target.slow), self.result(target.fast)
        return None if slow is None or fast is None else slow.over(fast)

    @property
    def disagreeing(self) -> dict[str, dict[str, float]]:
        """Contestants whose numbers are off by more than the tolerance; NaN is off."""
        off = {
            name: {k: d for k, d in found.items() if not d <= self.tolerance.get(k, 0.0)}
            for name, found in self.differences.items()
        }
        return {name: found for name, found in off.items() if found}


def difference(found: Any, wanted: Any) -> float:
    """Return the largest ``|found - wanted| / max(1, |wanted|)``."""
    found, wanted = np.asarray(found, float), np.asarray(wanted, float)
    if found.shape != wanted.shape:
        return float("inf")
    scaled = np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted))
    return float(np.max(scaled, initial=0.0))


def interleaved(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Time every work once a round, after one uncounted round; every other round backwards."""
    for work in works.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for i in range(rounds):
        order = list(works.items())
        for name, work in reversed(order) if i % 2 else order:
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def contest(
    title: str,
    unit: str,
    entries: Sequence[Entry],
    problem: Problem,
    check: Problem,
    setting: Setting,
    *,
    tolerance: Mapping[str, float],
    **about: Any,
) -> Answer:
    """Check the contestants on a small problem, then time them.

    Parameters
    ----------
    title, unit : str
    entries : sequence of Entry
        The first that takes part and returns numbers is the reference for the others.
    problem, check : Problem
        What is timed, and what the numbers are compared on; only the latter in a small setting.
    setting : Setting
    tolerance : mapping of str to float
        By name of a number.
    **about
        Further fields of the `Answer`.

    Returns
    -------
    Answer
    """
    made, missing, broken, numbers = {}, {}, {}, {}
    problem = check if setting.small else problem
    for entry in entries:
        try:
            work = entry.make(check)
            numbers[entry.name] = work()
            part = entry.cut(problem)
            made[entry.name] = (entry, work if part is check else entry.make(part), part.units)
        except (Skipped, ImportError) as reason:
            missing[entry.name] = str(reason)
        except Exception as fault:  # named and counted; the other contestants go on
            broken[entry.name] = f"{type(fault).__name__}: {fault}".splitlines()[0]
    seconds = interleaved({name: work for name, (_, work, _) in made.items()}, setting.rounds)
    results = tuple(
        Measured(name, tuple(seconds[name]), units, _note(entry, units, problem), entry.limit)
        for name, (entry, _, units) in made.items()
    )
    reference = next((name for name, found in numbers.items() if found), "")
    differences = {
        name: {k: difference(found[k], value) for k, value in numbers[reference].items()}
        for name, found in numbers.items()
        if found and name in made and name != reference
    }
    return Answer(
        title,
        unit,
        results,
        missing,
        broken,
        differences,
        tolerance,
        reference=reference,
        **about,
    )


def _note(entry: Entry, units: float, problem: Problem) -> str:
    if entry.note and units < problem.units:
        return f"{entry.note}, scaled"
    return "" if units == problem.units else "scaled"
