"""The symbols of statements: quantities at step t, constants, and where statements come from.

a = eta lam, b = eta^2 f^2 / n, q = eta f / sqrt(n), kappa = eta y / sqrt(n), p = q - kappa; X, Y =
a +- 2q. States are those of networks: |q| <= a / 2.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from catapult_theory.rigor.statements.statement import sequences, t

kappa = sp.Symbol("kappa", real=True)
a, b, p, q, f, lam, loss, Delta = sequences("a b p q f lam loss Delta")
# The curvature in the limit.
a_end = sp.Limit(a(t), t, sp.oo)
PAPER, THEORY = "paper, section ", "THEORY, section "


def equal(left: Any, right: Any) -> Any:
    """Return an equation, left as it is written.

    Examples
    --------
    >>> equal(kappa, kappa)
    Eq(kappa, kappa)
    """
    return sp.Eq(left, right, evaluate=False)
