"""The command line: ``catapult report``, ``derive``, ``export``, ``run`` and more, see ``--help``.

Exit codes: 0 done (a claim holds); 1 a claim fails; 2 bad input, one line on standard error;
3 a claim that holds only asymptotically or was not decided; 130 interrupted.
"""

from __future__ import annotations

# In the order in which the help lists them.
from catapult_theory.cli import (  # isort: skip
    dynamics,
    analysis,
    claims,
    falsification,
    statements,
    proofs,
    certificates,
    thresholds,
    limits,
    closures,
    probing,
    evidence,
    reports,
)
from catapult_theory.cli.app import OneLineErrors, app, model_of, numbers

__all__ = [
    "OneLineErrors",
    "analysis",
    "app",
    "certificates",
    "claims",
    "closures",
    "dynamics",
    "evidence",
    "falsification",
    "limits",
    "main",
    "model_of",
    "numbers",
    "probing",
    "proofs",
    "reports",
    "statements",
    "thresholds",
]


def main() -> None:
    """Run the command line.

    Examples
    --------
    >>> main.__name__
    'main'
    """
    app()
