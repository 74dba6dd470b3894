"""The result of an attempt to falsify a claim: what was decided, how, and after how much search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from catapult_theory.rigor.claims.counterexample import Counterexample

STATUSES = ("proved", "counterexample", "unknown", "not falsified", "hypotheses cannot be met")


@dataclass(frozen=True, eq=False)
class OrbitCounterexample(Mapping[str, Fraction]):
    """An exact start from which a claim about an orbit is false.

    It reads like a dictionary from names to fractions.

    Parameters
    ----------
    numbers : mapping from names to Fraction
        The start and the parameters.
    step : int
        The first step at which the claim is false; for "eventually", the last one looked at.
    exact : bool
        Whether the orbit was followed in fractions to the end; otherwise in balls with
        rigorous error bounds.
    rests : bool
        Whether the orbit stays for ever where it is at that step.
    """

    numbers: Mapping[str, Fraction]
    step: int
    exact: bool
    rests: bool

    def __getitem__(self, name: str) -> Fraction:
        return self.numbers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)

    def __hash__(self) -> int:
        return hash((frozenset(self.numbers.items()), self.step))

    def __str__(self) -> str:
        start = ", ".join(f"{k} = {v}" for k, v in self.numbers.items())
        how = "in fractions" if self.exact else "in balls with rigorous error bounds"
        rest = ", where it rests for ever" if self.rests else ""
        return f"from {start}, followed {how} to step {self.step}{rest}"


@dataclass(frozen=True)
class Falsification:
    """What came of an attempt to falsify a claim.

    Parameters
    ----------
    claim : str
        As it was written.
    status : str
        "proved": decided by exact algebra, or by a solver that says that no state of the domain
        violates it. "counterexample": an exact state at which it is false. "unknown": the
        solver could not say. "not falsified": no counterexample in so many tries, which
        proves nothing. "hypotheses cannot be met": no state meets them, so that nothing is
        said.
    method : str
        What decided it, in words.
    counterexample : Counterexample, OrbitCounterexample or None
    hypotheses : tuple of str
    tries : int
        States that were tried at random.
    steps : int or None
        Of the orbit; None for a claim about one step.
    hint : str
        Why nothing was decided, or what is true instead.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> found = ct.falsify("lam_next <= lam", where="eta*lam < 5")
    >>> found.status, bool(found)
    ('counterexample', False)
    """

    claim: str
    status: str
    method: str = ""
    counterexample: Any = None
    hypotheses: tuple[str, ...] = ()
    tries: int = 0
    steps: int | None = None
    hint: str = ""

    def __bool__(self) -> bool:
        return self.status == "proved"

    @property
    def level(self) -> str:
        """How sure it is: "decided", "exact", "certified" (by balls), or "" for a mere search."""
        if self.status in ("proved", "hypotheses cannot be met"):
            return "decided"
        if self.status != "counterexample":
            return ""
        return "exact" if getattr(self.counterexample, "exact", True) else "certified"

    def __str__(self) -> str:
        lines = [self.claim, f"  {self._headline()}"]
        if self.hypotheses:
            lines.append(f"  hypotheses: {', '.join(self.hypotheses)}")
        if self.counterexample is not None:
            lines.append(f"  counterexample: {self.counterexample}")
        if self.method:
            lines.append(f"  {'found' if self.counterexample is not None else 'decided'} by: "
                         f"{self.method}")  # fmt: skip
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)

    def _headline(self) -> str:
        if self.status == "not falsified":
            return f"NOT FALSIFIED in {self.tries} tries, which proves nothing"
        words = {
            "proved": "PROVED (decided)",
            "counterexample": "FALSE",
            "unknown": "UNKNOWN",
            "hypotheses cannot be met": "HYPOTHESES CANNOT BE MET, so that nothing is said",
        }
        about = "" if self.steps is None or self.status != "proved" else ", at every step"
        return words[self.status] + about


__all__ = ["Counterexample", "Falsification", "OrbitCounterexample"]
