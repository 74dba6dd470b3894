"""The registry: every statement of the paper and of THEORY, at its level, with its check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from catapult_theory.errors import unknown_name
from catapult_theory.rigor.statements.beyond import beyond
from catapult_theory.rigor.statements.checks import check_each
from catapult_theory.rigor.statements.statement import Checked, Statement
from catapult_theory.rigor.statements.steps import equations
from catapult_theory.rigor.statements.uv import labelled, unlabelled


@lru_cache(maxsize=1)
def statements() -> tuple[Statement, ...]:
    """Return all statements.

    Returns
    -------
    tuple of Statement

    Examples
    --------
    >>> [s.id for s in statements()][:2]
    ['uv-step', 'uv-step-label']
    """
    return (*equations(), *unlabelled(), *labelled(), *beyond())


def chosen(ids: Iterable[str] | None) -> tuple[Statement, ...]:
    """Return statements by their ids, each once; all for None or an empty choice.

    Parameters
    ----------
    ids : iterable of str or None

    Returns
    -------
    tuple of Statement

    Raises
    ------
    InputError
        For an unknown id.

    Examples
    --------
    >>> chosen(["T3"])[0].sentence
    'below 4 the curvature never grows'
    """
    known = {s.id: s for s in statements()}
    wanted = tuple(dict.fromkeys(ids or ())) or tuple(known)
    for name in wanted:
        if name not in known:
            raise unknown_name("statement", name, known)
    return tuple(known[name] for name in wanted)


def check_statements(ids: Iterable[str] | None = None) -> Iterator[Checked]:
    """Run the checks of statements again.

    Parameters
    ----------
    ids : iterable of str, optional
        All if left out.

    Yields
    ------
    Checked
        "passed", "failed", or "not checked" where a check cannot run.

    Raises
    ------
    InputError
        For an unknown id.

    Examples
    --------
    >>> [(c.statement.id, c.status) for c in check_statements(["imbalance", "peak"])]
    [('imbalance', 'passed'), ('peak', 'passed')]
    """
    return check_each(chosen(ids))
