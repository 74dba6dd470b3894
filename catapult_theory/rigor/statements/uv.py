"""Statements about training the uv-model, without and with a label."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy import Limit, Or, Sum, oo, sqrt

from catapult_theory.rigor.statements import measurements
from catapult_theory.rigor.statements.checks import ByAlgebra, ByCoq, ByRunning
from catapult_theory.rigor.statements.statement import Statement, sequences, t
from catapult_theory.rigor.statements.symbols import (
    PAPER,
    THEORY,
    a,
    a_end,
    b,
    equal,
    f,
    kappa,
    lam,
    loss,
    p,
    q,
)
from catapult_theory.symbolic import models
from catapult_theory.symbolic.symbols import eta, n, y

m, M, e, r, ratio, C, eta_max = sp.symbols("m M e r q C eta_max", real=True)
# What a trap watches is in [s, S] at first, and moves by at most D |p| in a step.
g, s, S, D = sp.symbols("g s S D", real=True)
# The box of a cycle in X = a + 2q, Y = a - 2q; where P steps lead from a point in it, and the norm
# of their Jacobian there.
X, Y, x_0, x_1, y_0, y_1, L = sp.symbols("X Y x_0 x_1 y_0 y_1 L", real=True)
P, j = sp.symbols("P j", integer=True, positive=True)
X_P, Y_P, slope_P = sequences("X_P Y_P slope_P")

_UV = ByAlgebra(models.uv)


def _labelled() -> Any:
    return models.uv(label=True)


def _drift(end: Any) -> Any:
    """Return the bound on how far a - g p moves in a step, over |p|, at one end of [m, M]."""
    return sp.Abs(g * end - 4 * kappa) + e * sp.Abs(end - 4 - g * kappa) + sp.Abs(g) * e**2


def _inside(x: Any, z: Any) -> Any:
    """Return that a point (X, Y) is in the box of a cycle."""
    return sp.And(x_0 <= x, x <= x_1, y_0 <= z, z <= y_1)


def unlabelled() -> tuple[Statement, ...]:
    """The uv-model without label: T1 to T7, the phases, the peak."""
    below, positive = a(0) < 4, b(t) > 0
    return (
        Statement(
            "T1",
            "the dimensionless map, from the step on vectors of any dimension",
            (),
            (
                equal(a(t + 1), a(t) - 4 * p(t) * (p(t) + kappa) + p(t) ** 2 * a(t)),
                equal(p(t + 1), p(t) * (1 - a(t) + p(t) * (p(t) + kappa))),
            ),
            THEORY + "5",
            "proved",
            ByCoq(("T1",)),
        ),
        Statement(
            "T2",
            "the domain is invariant",
            (),
            (
                equal(
                    a(t + 1) ** 2 - 4 * b(t + 1),
                    (a(t) ** 2 - 4 * b(t)) * (1 - b(t)) ** 2,
                ),
                a(t + 1) >= 0,
            ),
            THEORY + "5",
            "proved",
            ByCoq(("T2",)),
        ),
        Statement(
            "T3",
            "below 4 the curvature never grows",
            (a(0) > 0, below),
            (a(t + 1) >= 0, a(t + 1) <= a(t), a(t) < 4),
            THEORY + "5",
            "proved",
            ByCoq(("T3",)),
        ),
        Statement(
            "T4",
            "what the curvature loses is the sum of b (4 - a), so that the output vanishes",
            (below,),
            (
                equal(Sum(b(t) * (4 - a(t)), (t, 0, oo)), a(0) - a_end),
                equal(Limit(b(t), t, oo), 0),
            ),
            THEORY + "5",
            "proved",
            ByCoq(("T4",)),
        ),
        Statement(
            "T5",
            "the minimum that is reached is flat, but for exact hits b = a - 1",
            (below, positive),
            (a_end <= 2,),
            THEORY + "5",
            "proved",
            ByCoq(("T5",)),
        ),
        Statement(
            "T6",
            "above 4 the curvature grows without bound, but for exact hits",
            (a(0) > 4, positive),
            (a(t + 1) >= a(t), equal(a_end, oo)),
            THEORY + "5",
            "proved",
            ByCoq(("T6",)),
        ),
        Statement(
            "T7",
            "one step lowers the loss if and only if a - 2 < b < a",
            (a(t) - 2 < b(t), b(t) < a(t), positive),
            (loss(t + 1) < loss(t),),
            THEORY + "5",
            "proved",
            ByCoq(("T7",)),
        ),
        Statement(
            "lazy",
            "below 2 the loss never grows, at any width",
            (a(t) < 2,),
            (loss(t + 1) <= loss(t),),
            PAPER + "2.1",
            "decided",
            _UV,
        ),
        Statement(
            "trap",
            "below 2 and near the minimum the output decays like a power",
            (
                a(0) > 0,
                a(0) < 2,
                (a(0) - 1) ** 2 <= ratio,
                (1 - a(0) / 4) ** 4 <= ratio,
                ratio < 1,
                8 * b(0) <= a(0) * (1 - ratio),
            ),
            (b(t) <= ratio**t * b(0), a(t) >= a(0) / 2, a(t) <= a(0)),
            THEORY + "5",
            "proved",
            ByCoq(("trap",)),
        ),
        Statement(
            "convergence",
            "gradient descent on the vectors converges below eta lambda_0 = 4, at every width",
            (eta * lam(0) < 4,),
            (equal(Limit(loss(t), t, oo), 0), lam(t + 1) <= lam(t)),
            PAPER + "2.1",
            "proved",
            ByCoq(("convergence",)),
        ),
        Statement(
            "flat",
            "it ends at a curvature of at most 2 / eta",
            (eta * lam(0) < 4, sp.Ne(f(t), 0)),
            (eta * Limit(lam(t), t, oo) <= 2,),
            PAPER + "2.1",
            "proved",
            ByCoq(("flat",)),
        ),
        Statement(
            "divergence",
            "it diverges above eta lambda_0 = 4",
            (eta * lam(0) > 4, sp.Ne(f(t), 0)),
            (equal(Limit(eta * lam(t), t, oo), oo),),
            PAPER + "2.1",
            "proved",
            ByCoq(("divergence",)),
        ),
        Statement(
            "peak",
            "the loss stays below n lambda^2 / 8 (with T3: below n lambda_0^2 / 8 for ever)",
            (),
            (loss(t) <= n * lam(t) ** 2 / 8,),
            THEORY + "4.1",
            "decided",
            _UV,
        ),
        Statement(
            "final-curvature",
            "from b_0 near 0 the curvature ends in a band: a point below 2.6, from 0 above 3.085",
            (equal(a(0), sp.Rational(5, 2)), equal(Limit(b(0), b(0), 0), 0)),
            (sp.Abs(a_end - sp.Float("1.2823", 5)) < sp.Float("5e-4", 2),),
            THEORY + "4",
            "measured",
            ByRunning(
                "4000 starts in a period of b_0, at 7 learning rates",
                measurements.final_curvatures,
            ),
        ),
    )


def labelled() -> tuple[Statement, ...]:
    """The uv-model with a label."""
    w = a(t) - 4 - kappa * p(t)
    w_0 = w.subs(t, 0)
    growth = 1 + kappa * p(t) + p(t) ** 2
    edge = 8 / (lam(0) + sqrt(lam(0) ** 2 + 16 * y * (y - f(0)) / n))
    moderate = (kappa >= 0, kappa < 2)
    return (
        Statement(
            "edge-factor",
            "w = a - 4 - kappa p never changes its sign where |kappa| < 2",
            (),
            (equal(w.subs(t, t + 1), w * growth),),
            THEORY + "5",
            "decided",
            ByAlgebra(_labelled),
        ),
        Statement(
            "edge",
            "below the edge residual and curvature stay bounded for ever (above it: see sharp)",
            (*moderate, w_0 <= 0),
            (sp.Abs(p(t)) <= 2, a(t) >= 0, a(t) <= 4 + 2 * kappa),
            THEORY + "5",
            "proved",
            ByCoq(("edge",)),
        ),
        Statement(
            "sharp",
            "the largest learning rate in closed form, from the vectors, but for exact hits f = y",
            (y >= 0, kappa < 2, equal(eta_max, edge)),
            (
                sp.Implies(eta < eta_max, eta * lam(t) <= 4 + 2 * kappa),
                sp.Implies(
                    sp.And(eta > eta_max, sp.Ne(f(t), y)), equal(Limit(eta * lam(t), t, oo), oo)
                ),
            ),
            "derived here",
            "proved",
            ByCoq(("sharp",)),
        ),
        Statement(
            "edge-2",
            "below the edge the residual vanishes or the network becomes balanced",
            (*moderate, w_0 < 0),
            (
                Or(
                    equal(Limit(p(t), t, oo), 0),
                    equal(Limit(a(t) - 2 * q(t), t, oo), 0),
                ),
            ),
            THEORY + "5",
            "proved",
            ByCoq(("edge-2",)),
        ),
        Statement(
            "edge-3",
            "almost every start below the edge converges for kappa < 1",
            (kappa >= 0, kappa < 1, w_0 < 0),
            (equal(Limit(p(t), t, oo), 0),),
            THEORY + "5",
            "measured",
            ByRunning("20,000 random starts", measurements.below_the_edge_converges),
        ),
        Statement(
            "edge-4",
            "for kappa >= 2, too, every start above the edge diverges",
            (kappa >= 2, w_0 > 0),
            (equal(a_end, oo),),
            THEORY + "5",
            "measured",
            ByRunning("5,000 random starts", measurements.above_the_edge_diverges),
        ),
        Statement(
            "trap_y",
            "near a stable minimum the residual decays like a power",
            (
                m >= 0,
                m <= M,
                sp.Abs(p(0)) <= e,
                r >= 0,
                r < 1,
                1 - m + e * (e + sp.Abs(kappa)) <= r,
                M - 1 + e * sp.Abs(kappa) <= r,
                4 * (e + sp.Abs(kappa)) + e * M <= C,
                e * C <= (a(0) - m) * (1 - r),
                e * C <= (M - a(0)) * (1 - r),
            ),
            (sp.Abs(p(t)) <= r**t * e, a(t) >= m, a(t) <= M),
            THEORY + "5",
            "proved",
            ByCoq(("trap_y",)),
        ),
        Statement(
            "escape",
            "from a_0 >= 4 + 4 kappa no stable minimum is reached",
            (kappa > 0, a(0) >= 4 + 4 * kappa),
            (a(t) >= 4 + 3 * kappa,),
            THEORY + "5",
            "proved",
            ByCoq(("escape",)),
        ),
        Statement(
            "trap_s",
            "the same with a - g p watched in place of a, on which alternating residuals cancel",
            (
                m >= 0,
                m <= M,
                e >= 0,
                sp.Abs(p(0)) <= e,
                r >= 0,
                r < 1,
                1 - m + e * (e + sp.Abs(kappa)) <= r,
                M - 1 + e * sp.Abs(kappa) <= r,
                _drift(m) <= D,
                _drift(M) <= D,
                s <= a(0) - g * p(0),
                a(0) - g * p(0) <= S,
                e * D <= (s - sp.Abs(g) * e - m) * (1 - r),
                e * D <= (M - S - sp.Abs(g) * e) * (1 - r),
            ),
            (sp.Abs(p(t)) <= r**t * e, a(t) >= m, a(t) <= M),
            "derived here",
            "proved",
            ByCoq(("trap_s", "classes")),
        ),
        Statement(
            "cone",
            "far out the residual grows fivefold at each step, and the curvature without bound",
            (kappa >= 0, sp.Abs(p(0)) >= 4 + 2 * kappa, p(0) ** 2 >= 4 * a(0)),
            (sp.Abs(p(t)) >= 5**t * sp.Abs(p(0)), equal(a_end, oo)),
            "derived here",
            "proved",
            ByCoq(("cone", "classes")),
        ),
        Statement(
            "cycle",
            "a box off p = 0 that P steps contract into itself attracts to one cycle, no minimum",
            (
                _inside(a(0) + 2 * q(0), a(0) - 2 * q(0)),
                sp.Implies(_inside(X, Y), _inside(X_P(X, Y), Y_P(X, Y))),
                sp.Implies(_inside(X, Y), slope_P(X, Y) <= L),
                sp.Implies(_inside(X, Y), sp.Ne(X - Y, 4 * kappa)),
                L < 1,
            ),
            (
                equal(Limit(p((j + 1) * P) - p(j * P), j, oo), 0),
                sp.Ne(Limit(p(j * P), j, oo), 0),
            ),
            "derived here",
            "proved",
            ByCoq(("box", "cycle")),
        ),
        Statement(
            "balanced-chaos",
            "the balanced labelled map becomes chaotic near kappa = 1.303",
            (equal(sp.Symbol("lyapunov_exponent"), 0), equal(a(t), 2 * q(t))),
            (kappa > sp.Float("1.302", 4), kappa < sp.Float("1.304", 4)),
            THEORY + "4.2",
            "measured",
            ByRunning("64 orbits on each side", measurements.chaos_of_the_balanced_map),
        ),
    )
