"""Statements about one step: update equations, what they keep, the full linear network."""

from __future__ import annotations

from typing import Any

import sympy as sp

from catapult_theory.rigor.statements.checks import ByAlgebra, ByCoq
from catapult_theory.rigor.statements.statement import Statement, t
from catapult_theory.rigor.statements.symbols import PAPER, THEORY, Delta, a, equal, f, lam, p, q
from catapult_theory.symbolic import models
from catapult_theory.symbolic.symbols import eta, n, y

_ASYMPTOTIC = ByAlgebra(models.uv, accepted=("holds-asymptotically",))


i, j = sp.symbols("alpha beta", integer=True)
m = sp.Symbol("m", integer=True, positive=True)
out, out_next, residual, along = (sp.IndexedBase(x) for x in ("f", "f'", "ftilde", "x·zeta"))
Theta, Theta_next, inputs = (sp.IndexedBase(x) for x in ("Theta", "Theta'", "x·x"))
overlap = sp.Sum(out[j] * residual[j], (j, 1, m))
v2, zuuz, zeta2 = sp.symbols("|v|^2 |u*zeta|^2 |zeta|^2")


def _form(kernel: Any) -> Any:
    return sp.Sum(residual[i] * kernel[i, j] * residual[j], (i, 1, m), (j, 1, m))


def _linear() -> Any:
    return models.linear(outputs=1)


def equations() -> tuple[Statement, ...]:
    """The update equations, and what they keep."""
    kernel_step = 4 * eta / n * (f(t) - y) * f(t)
    return (
        Statement(
            "uv-step",
            "gradient descent on the uv-model closes on f and lambda, at every width",
            (),
            (
                equal(f(t + 1), f(t) * (1 - eta * lam(t) + eta**2 * f(t) ** 2 / n)),
                equal(lam(t + 1), lam(t) + eta * f(t) ** 2 / n * (eta * lam(t) - 4)),
            ),
            PAPER + "2.1",
            "proved",
            ByCoq(("closure-uv",)),
        ),
        Statement(
            "uv-step-label",
            "the same with a label",
            (),
            (
                equal(
                    f(t + 1),
                    f(t) - eta * lam(t) * (f(t) - y) + eta**2 / n * (f(t) - y) ** 2 * f(t),
                ),
                equal(lam(t + 1), lam(t) - kernel_step + eta**2 / n * (f(t) - y) ** 2 * lam(t)),
            ),
            THEORY + "3.1",
            "proved",
            ByCoq(("closure-uv-label",)),
        ),
        Statement(
            "linearised",
            "at large width the output follows its linearisation",
            (),
            (equal(f(t + 1), f(t) * (1 - eta * lam(t))),),
            PAPER + "2.1",
            "decided",
            _ASYMPTOTIC,
        ),
        Statement(
            "frozen-kernel",
            "at large width one step leaves the kernel as it is",
            (),
            (equal(lam(t + 1), lam(t)),),
            PAPER + "2.1",
            "decided",
            _ASYMPTOTIC,
        ),
        Statement(
            "imbalance",
            "Delta = (|u|^2 - |v|^2)/n shrinks by 1 - q^2, so that balanced networks stay balanced",
            (),
            (equal(Delta(t + 1), (1 - q(t) ** 2) * Delta(t)),),
            THEORY + "3.1",
            "decided",
            ByAlgebra(models.uv),
        ),
        Statement(
            "factor",
            "the sides X, Y = a +- 2q of the domain are invariant",
            (),
            (
                equal(a(t + 1) + 2 * q(t + 1), (a(t) + 2 * q(t)) * (1 - p(t)) ** 2),
                equal(a(t + 1) - 2 * q(t + 1), (a(t) - 2 * q(t)) * (1 + p(t)) ** 2),
            ),
            THEORY + "5",
            "proved",
            ByCoq(("factor",)),
        ),
        Statement(
            "full-output",
            "the outputs of the two-layer linear network after a step, for m samples",
            (),
            (
                equal(
                    out_next[i],
                    out[i]
                    - eta * sp.Sum(Theta[i, j] * residual[j], (j, 1, m))
                    + eta**2 / (n * m) * along[i] * overlap,
                ),
            ),
            PAPER + "2.2",
            "decided",
            ByAlgebra(
                _linear,
                claims=(
                    "f_alpha' = f_alpha - eta*Theta_{alpha beta}*ftilde_beta"
                    " + eta**2/(n*m)*(x_alpha·ζ)*(f.T*ftilde)",
                ),
            ),
        ),
        Statement(
            "full-kernel",
            "its tangent kernel after a step",
            (),
            (
                equal(
                    Theta_next[i, j],
                    Theta[i, j]
                    - eta
                    / (n * m)
                    * (along[i] * out[j] + along[j] * out[i] + 2 / m * inputs[i, j] * overlap)
                    + eta**2 / (n**2 * m) * (v2 * along[i] * along[j] + zuuz * inputs[i, j]),
                ),
            ),
            PAPER + "2.2",
            "decided",
            ByAlgebra(
                _linear,
                claims=(
                    r"\Theta_{\alpha\beta}' = \Theta_{\alpha\beta} - \frac{\eta}{nm}\left["
                    r"(x_\alpha\cdot\zeta) f_\beta + (x_\beta\cdot\zeta) f_\alpha"
                    r" + \frac{2}{m} (x_\alpha\cdot x_\beta)(f^T\tilde f)\right]"
                    r" + \frac{\eta^2}{n^2 m}\left[|v|^2 (x_\alpha\cdot\zeta)(x_\beta\cdot\zeta)"
                    r" + (\zeta^T u^T u\zeta)(x_\alpha\cdot x_\beta)\right]",
                ),
            ),
        ),
        Statement(
            "full-form",
            "its kernel along the residual",
            (),
            (
                equal(
                    _form(Theta_next),
                    _form(Theta) + eta / n * zeta2 * (eta * _form(Theta) - 4 * overlap),
                ),
            ),
            THEORY + "4.4",
            "decided",
            ByAlgebra(
                _linear,
                claims=(
                    "ftilde.T*Theta'*ftilde = ftilde.T*Theta*ftilde"
                    " + eta/n*|zeta|^2*(eta*ftilde.T*Theta*ftilde - 4*f.T*ftilde)",
                ),
            ),
        ),
    )
