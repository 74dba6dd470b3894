"""Statements about other optimizers, several samples and other networks."""

from __future__ import annotations

import sympy as sp
from sympy import Limit, oo

from catapult_theory.rigor.statements import balls as statement_balls
from catapult_theory.rigor.statements import measurements
from catapult_theory.rigor.statements.checks import ByCoq, ByRunning, Elsewhere
from catapult_theory.rigor.statements.statement import Statement, t
from catapult_theory.rigor.statements.symbols import PAPER, THEORY, a, equal, lam, loss
from catapult_theory.symbolic import models
from catapult_theory.symbolic.symbols import beta, eta, n, omega

C, eta_max = sp.symbols("C eta_max", positive=True)
mean_square = sp.Function("mean_f^2")
trace = sp.Function("tr_CG")(0)


def beyond() -> tuple[Statement, ...]:
    """Other optimizers, several samples, other networks."""
    u = omega * eta
    return (
        Statement(
            "wd",
            "weight decay: below 4 - 2 eta omega the curvature falls",
            (u > 0, u <= 1, a(t) > 0, a(t) < 4 - 2 * u),
            (a(t + 1) < a(t),),
            THEORY + "5",
            "proved",
            ByCoq(("wd",)),
        ),
        Statement(
            "momentum-linear",
            "heavy ball: a minimum is linearly stable up to 2 (1 + beta) / lambda",
            (beta < 1,),
            (eta < 2 * (1 + beta) / lam(t),),
            THEORY + "4.3",
            "decided",
            ByRunning("Jury's conditions at the fixed points that are found", _momentum_threshold),
        ),
        Statement(
            "momentum-edge",
            "heavy ball: from rest the upper edge is a band that depends on the phase",
            (equal(beta, sp.Rational(1, 2)),),
            (eta_max * lam(0) >= sp.Float("4.20", 3), eta_max * lam(0) <= sp.Float("4.92", 3)),
            THEORY + "5",
            "measured",
            ByRunning("64 phases at four momenta", measurements.momentum_bands),
        ),
        Statement(
            "samples-refuted",
            "for two samples eta lambda_max(Theta_0) < 4 does not imply convergence",
            (eta * lam(0) <= sp.Float("3.4", 2),),
            (equal(Limit(loss(t), t, oo), oo),),
            THEORY + "5",
            "certified",
            ByRunning(
                "one orbit in ball arithmetic, into the theorem samples-D",
                statement_balls.samples_counterexample,
            ),
        ),
        Statement(
            "samples-A",
            "m samples: eta C |theta|^2 / n < 4, C = lambda_max(X^T X / m), makes the loss vanish",
            (eta * C * sp.Function("weight")(0) / n < 4,),
            (equal(Limit(loss(t), t, oo), 0),),
            THEORY + "5",
            "proved",
            ByCoq(("samples-A",)),
        ),
        Statement(
            "samples-B",
            "m samples: eta max(s C, tr(G X^T X / m)) < 2 makes the loss vanish, s never grows",
            (eta * sp.Max(sp.Function("s")(0) * C, trace) < 2,),
            (equal(Limit(loss(t), t, oo), 0),),
            THEORY + "5",
            "proved",
            ByCoq(("samples-B",)),
        ),
        Statement(
            "samples-C",
            "whitened data, m samples: eta lambda_0 < 2 makes the loss vanish, from any start",
            (eta * lam(0) < 2,),
            (equal(Limit(loss(t), t, oo), 0),),
            "derived here",
            "proved",
            ByCoq(("samples-C",)),
        ),
        Statement(
            "samples-D",
            "whitened data: from outputs that are large enough the loss doubles at every step",
            (
                eta**2 * C * mean_square(0) / n >= 1,
                eta * C * mean_square(0) / n >= 4 * (sp.Function("s")(0) * C + trace),
            ),
            (loss(t + 1) >= 2 * loss(t),),
            "derived here",
            "proved",
            ByCoq(("samples-D",)),
        ),
        Statement(
            "samples-edge",
            "whitened data: the sharp bound on eta lambda_0 for convergence lies in [2, 3.056]",
            (),
            (eta_max * lam(0) >= 2, eta_max * lam(0) <= sp.Float("3.056", 4)),
            "derived here",
            "conjectured",
            Elsewhere("open between samples-C and starts that diverge; no bound for other data"),
        ),
        Statement(
            "digits",
            "linear networks on digits first diverge near eta lambda_0 = 4, nearer as n grows",
            (),
            (equal(Limit(eta_max * lam(0), n, oo), 4),),
            THEORY + "4.4",
            "measured",
            Elsewhere("`catapult report` measures it"),
        ),
        Statement(
            "deep-networks",
            "one hidden layer diverges near 4 / lambda_0, deep ReLU networks near 12 / lambda_0",
            (),
            (sp.Or(equal(eta_max, 4 / lam(0)), equal(eta_max, 12 / lam(0))),),
            PAPER + "3",
            "conjectured",
            Elsewhere("`catapult evidence` measures it, for one to three hidden layers"),
        ),
    )


def _momentum_threshold() -> tuple[bool, str]:
    """Compare the threshold that the analysis finds with the closed form."""
    from catapult_theory.symbolic.analysis import analyse
    from catapult_theory.symbolic.closure import derive
    from catapult_theory.symbolic.symbols import lam as kernel

    found = analyse(derive(models.uv(), optimizer="heavy_ball")).threshold
    same = found is not None and sp.simplify(found - 2 * (1 + beta) / kernel) == 0
    return bool(same), f"eta = {found}"
