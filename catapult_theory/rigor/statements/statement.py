"""A statement as an object: hypotheses, conclusion, source, level, and the check that backs it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import sympy as sp
from sympy.core.function import AppliedUndef

LEVELS = ("proved", "decided", "certified", "measured", "conjectured")
PASSED, FAILED, NOT_CHECKED = "passed", "failed", "not checked"

t = sp.Symbol("t", integer=True, nonnegative=True)


@dataclass(frozen=True)
class Finding:
    """What came out of a check.

    Parameters
    ----------
    status : str
        "passed", "failed", or "not checked" where it could not run.
    detail : str
        What was found, or what is missing and how to get it.
    """

    status: str
    detail: str


class Check(Protocol):
    """How the level of a statement is established."""

    @property
    def how(self) -> str:
        """In a few words."""

    def run(self, statement: Statement) -> Finding:
        """Do it again."""


@dataclass(frozen=True)
class Statement:
    """One statement of the theory.

    Quantities that change from step to step are functions of t; where t is free, a relation is
    meant for every t = 0, 1, 2, ...

    Parameters
    ----------
    id : str
    sentence : str
        In words.
    hypotheses, conclusion : tuple of sympy relations
    source : str
        A section of the paper (arXiv 2003.02218) or of THEORY, or "derived here".
    level : str
        "proved" (a proof assistant checks it), "decided" (exact algebra or an SMT solver),
        "certified" (interval arithmetic), "measured" (with bracket and sample) or "conjectured".
    check : Check

    Examples
    --------
    >>> a, b = sequences("a b")
    >>> print(Statement("x", "a never grows", (a(t) < 4,), (a(t + 1) <= a(t),), "here", "decided",
    ...                 None).formula)
    a(t) < 4  =>  a(t + 1) <= a(t)
    """

    id: str
    sentence: str
    hypotheses: tuple[Any, ...]
    conclusion: tuple[Any, ...]
    source: str
    level: str
    check: Any

    @property
    def formula(self) -> str:
        """Hypotheses and conclusion in one line."""
        parts = [", ".join(map(shown, r)) for r in (self.hypotheses, self.conclusion) if r]
        return "  =>  ".join(parts)


@dataclass(frozen=True)
class Checked:
    """A statement and what became of its check.

    Parameters
    ----------
    statement : Statement
    finding : Finding
    seconds : float
    """

    statement: Statement
    finding: Finding
    seconds: float

    @property
    def status(self) -> str:
        """Of the finding."""
        return self.finding.status


def sequences(names: str) -> tuple[Any, ...]:
    """Return quantities that depend on the step, as functions.

    Parameters
    ----------
    names : str
        Separated by blanks.

    Returns
    -------
    tuple of sympy.Function

    Examples
    --------
    >>> a, b = sequences("a b")
    >>> a(t + 1)
    a(t + 1)
    """
    return tuple(sp.Function(name, real=True) for name in names.split())


def shown(relation: Any) -> str:
    """Return a relation as a reader would write it.

    Parameters
    ----------
    relation : sympy relation

    Returns
    -------
    str

    Examples
    --------
    >>> a, = sequences("a")
    >>> shown(sp.Eq(a(t + 1), a(t), evaluate=False))
    'a(t + 1) = a(t)'
    """
    if isinstance(relation, sp.Equality):
        return f"{relation.lhs} = {relation.rhs}"
    return str(relation)


def as_claim(relation: Any) -> str:
    """Return a relation about one step in the notation of claims: x for x(t), x_next for x(t + 1).

    Parameters
    ----------
    relation : sympy relation

    Returns
    -------
    str

    Examples
    --------
    >>> a, b = sequences("a b")
    >>> as_claim(sp.Eq(a(t + 1), a(t) + b(t), evaluate=False))
    'a_next = a + b'
    """
    names = {}
    for call in relation.atoms(AppliedUndef):
        suffix = "_next" if call.args[0] == t + 1 else ""
        names[call] = sp.Symbol(f"{call.func.__name__}{suffix}")
    return shown(relation.func(*(side.xreplace(names) for side in relation.args), evaluate=False))


def timed(statement: Statement, run: Callable[[Statement], Finding]) -> Checked:
    """Run a check and note how long it took.

    Parameters
    ----------
    statement : Statement
    run : callable

    Returns
    -------
    Checked

    Examples
    --------
    >>> timed(None, lambda _: Finding(PASSED, "")).status
    'passed'
    """
    start = time.perf_counter()
    finding = run(statement)
    return Checked(statement, finding, time.perf_counter() - start)
