"""How statements are checked: by Coq, by exact algebra, by ball arithmetic, by measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from catapult_theory.errors import MissingBackend
from catapult_theory.rigor.statements.statement import (
    FAILED,
    NOT_CHECKED,
    PASSED,
    Checked,
    Finding,
    Statement,
    as_claim,
    timed,
)


@dataclass(frozen=True)
class ByCoq:
    """Theorems that coqc checks, by their ids in `proofs.STATEMENTS`."""

    ids: tuple[str, ...]

    @property
    def how(self) -> str:
        """In a few words."""
        return f"Coq: {', '.join(self.ids)}"

    def run(self, statement: Statement) -> Finding:
        """Check the theorems of this statement alone."""
        from catapult_theory.rigor.proofs.registry import check

        return self.judged(check(self.ids))

    def judged(self, proofs: Iterable[Any]) -> Finding:
        """Return the finding that theorems give together."""
        own = [p for p in proofs if p.statement in self.ids]
        for status, found in (("failed", FAILED), ("not-checked", NOT_CHECKED)):
            bad = [p for p in own if p.status == status]
            if bad:
                return Finding(found, f"{bad[0].theorem}: {bad[0].detail}")
        if not own:
            return Finding(NOT_CHECKED, "no theorem was checked")
        axioms = {axiom for p in own for axiom in p.axioms}
        theorems = "1 theorem" if len(own) == 1 else f"{len(own)} theorems"
        return Finding(PASSED, f"{theorems}, on {len(axioms)} standard axioms of Coq's reals")


@dataclass(frozen=True)
class ByAlgebra:
    """The conclusion as claims about a derived map, each judged by `verify`.

    Parameters
    ----------
    model : callable
        Returns the model.
    loss, optimizer : str
    claims : tuple of str
        Where the conclusion is not written in the notation of claims: its text.
    accepted : tuple of str
        The verdicts that establish the statement.
    """

    model: Callable[[], Any]
    loss: str = "squared"
    optimizer: str = "gd"
    claims: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ("holds", "holds-under-hypotheses")

    @property
    def how(self) -> str:
        """In a few words."""
        return "exact algebra on the derived map"

    def run(self, statement: Statement) -> Finding:
        """Judge every claim."""
        from catapult_theory.rigor.claims.verify import verify
        from catapult_theory.symbolic.closure import derive

        update_map = derive(self.model(), self.loss, self.optimizer)
        where = ", ".join(map(as_claim, statement.hypotheses)) or None
        methods = []
        for claim in self.claims or map(as_claim, statement.conclusion):
            verdict = verify(claim, update_map, where=where)
            if verdict.status == "not-checked":
                return Finding(NOT_CHECKED, f"{claim}: {verdict.hint}")
            if verdict.status not in self.accepted:
                return Finding(FAILED, f"{claim}: {verdict.status}")
            methods.append(verdict.certificate or f"order 1/n^{verdict.order}")
        return Finding(PASSED, "; ".join(dict.fromkeys(methods)))


@dataclass(frozen=True)
class ByRunning:
    """A function that looks: it returns whether the statement holds up, and what it found.

    Parameters
    ----------
    how : str
    look : callable
        Returns (bool, str).
    """

    how: str
    look: Callable[[], tuple[bool, str]]

    def run(self, statement: Statement) -> Finding:
        """Look."""
        try:
            good, words = self.look()
        except MissingBackend as missing:
            return Finding(NOT_CHECKED, str(missing))
        return Finding(PASSED if good else FAILED, words)


@dataclass(frozen=True)
class Elsewhere:
    """No check here: what would have to be done, or what is open."""

    how: str

    def run(self, statement: Statement) -> Finding:
        """Say so."""
        return Finding(NOT_CHECKED, self.how)


def check_each(statements: Iterable[Statement]) -> Iterator[Checked]:
    """Run the checks of statements; the theorems of one Coq file are checked together.

    Parameters
    ----------
    statements : iterable of Statement

    Yields
    ------
    Checked
        As they end, those of Coq last.
    """
    wanted = tuple(statements)
    by_coq = [s for s in wanted if isinstance(s.check, ByCoq)]
    for statement in wanted:
        if not isinstance(statement.check, ByCoq):
            yield timed(statement, statement.check.run)
    if by_coq:
        yield from _proved(by_coq)


def _proved(statements: list[Statement]) -> Iterator[Checked]:
    from catapult_theory.rigor.proofs.registry import check_each as checked
    from catapult_theory.rigor.proofs.registry import known

    waiting = {s.id: s for s in statements}
    proofs: list[Any] = []
    ids = known(dict.fromkeys(name for s in statements for name in s.check.ids))
    for found in checked(ids):
        proofs += found
        done = {p.statement for p in proofs}
        for statement in [s for s in waiting.values() if set(s.check.ids) <= done]:
            del waiting[statement.id]
            own = [p for p in proofs if p.statement in statement.check.ids]
            seconds = max(p.seconds for p in own)
            yield Checked(statement, statement.check.judged(own), seconds)
    for statement in waiting.values():
        yield Checked(statement, Finding(NOT_CHECKED, "no theorem was checked"), 0.0)
