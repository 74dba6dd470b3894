"""Verdicts on claims: one table of true and false claims, and their mutations.

False claims stand beside the true ones that they were made from; what a verdict says is
checked against a raw gradient step on vectors, which shares nothing with the engine.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from catapult_theory.errors import ClaimError, InputError
from catapult_theory.rigor import Verdict, verify
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.symbols import data, matrix, vectors
from catapult_theory.symbolic.symbols import n as width

HOLDS, ASYMPTOTIC, UNDER = "holds", "holds-asymptotically", "holds-under-hypotheses"
FAILS = "fails"

RECIPES = {
    "uv": ({}, "squared", "gd"),
    "label": ({"label": True}, "squared", "gd"),
    "decay": ({"label": True}, "squared", "weight_decay"),
    "momentum": ({}, "squared", "heavy_ball"),
    "logistic": ({"label": True}, "logistic", "gd"),
    "number": ({"label": 0.5}, "squared", "gd"),
}


@pytest.fixture(scope="module")
def maps():
    return {
        name: derive(models.uv(**options), loss=loss, optimizer=optimizer)
        for name, (options, loss, optimizer) in RECIPES.items()
    }


def full(*case):
    return pytest.param(*case, marks=pytest.mark.full)


def cells(row):
    """The cells of a row, whichever tier it belongs to."""
    return getattr(row, "values", row)


# (map, claim, hypotheses, scaling, status, order)
EQUATIONS = [
    ("uv", "lambda' = lambda + eta*f**2/n*(eta*lambda - 4)", None, None, HOLDS, None),
    ("uv", "lambda' = lambda + eta*f**2/n*(eta*lambda + 4)", None, None, ASYMPTOTIC, 1),
    ("uv", "lambda' = lambda + eta*f**2/n*(eta*lambda - 2)", None, None, ASYMPTOTIC, 1),
    ("uv", "lambda' = lambda + eta*f**2/n**2*(eta*lambda - 4)", None, None, ASYMPTOTIC, 1),
    ("uv", "lambda' = lambda + eta*f**2*(eta*lambda - 4)", None, None, FAILS, None),
    ("uv", "lambda' = lambda + eta*f**2/sqrt(n)*(eta*lambda - 4)", None, None, ASYMPTOTIC, 0.5),
    ("uv", "lam' = lam", None, None, ASYMPTOTIC, 1),
    ("uv", "lam' = lam", None, "f = O(sqrt(n))", FAILS, None),
    ("uv", "conserved: lam", None, None, ASYMPTOTIC, 1),
    ("uv", "f' = f*(1 - eta*lam + eta**2*f**2/n)", None, None, HOLDS, None),
    ("uv", "f' = f*(1 - eta*lam - eta**2*f**2/n)", None, None, ASYMPTOTIC, 1),
    ("uv", "f' = f*(1 - eta*lam)", None, None, ASYMPTOTIC, 1),
    ("uv", "f' = f*(1 - eta*lam)", None, "f = O(sqrt(n))", FAILS, None),
    ("uv", "f' = f*(1 - eta*lam)", None, {"f": 0.5}, FAILS, None),
    ("uv", "f' = f*(1 - eta*lam)", None, {"f": Fraction(1, 4)}, ASYMPTOTIC, Fraction(1, 2)),
    ("uv", "f' = f*(1 - eta*lam)", None, "eta ~ 1/n", ASYMPTOTIC, 3),
    ("uv", "f' = f*(1 + eta*lam)", None, None, FAILS, None),
    ("uv", "f' = f*(1 - 2*eta*lam)", None, None, FAILS, None),
    ("uv", "f' = f", None, None, FAILS, None),
    ("uv", "f' = -f", "eta*lam = 2", None, ASYMPTOTIC, 1),
    ("uv", "Delta' = (1 - eta**2*f**2/n)*Delta", None, None, HOLDS, None),
    ("uv", "Delta' = (1 + eta**2*f**2/n)*Delta", None, None, ASYMPTOTIC, 1),
    ("uv", "Delta' = -Delta", None, None, FAILS, None),
    ("uv", "Delta' = 0", "b = 1", None, UNDER, None),
    ("uv", "a' = a + b*(a - 4)", None, None, HOLDS, None),
    ("uv", "b' = b*(1 - a + b)**2", None, None, HOLDS, None),
    ("uv", "b' = b*(1 - a)**2", None, None, ASYMPTOTIC, 1),
    ("uv", "b' = b*(1 - a - b)**2", None, None, ASYMPTOTIC, 1),
    ("uv", "b' = b", None, None, FAILS, None),
    ("uv", "b' = b*(1 - a + b)", None, None, FAILS, None),
    ("uv", "a'**2 - 4*b' = (a**2 - 4*b)*(1 - b)**2", None, None, HOLDS, None),
    ("uv", "a'**2 - 2*b' = (a**2 - 4*b)*(1 - b)**2", None, None, ASYMPTOTIC, 1),
    ("uv", "a' = (a - 2)**2", "b = a - 1", None, UNDER, None),
    ("uv", "a' = (a - 2)**2", None, None, FAILS, None),
    ("uv", "f' = 0", "b = a - 1", None, UNDER, None),
    ("uv", "b' = b*(b - 3)**2", "a = 4", None, UNDER, None),
    ("uv", "b' = b*(b - 3)**2", "a = 3", None, FAILS, None),
    ("uv", "q' = q*(1 - a + q**2)", None, None, HOLDS, None),
    ("uv", "(a + 2*q)' = (a + 2*q)*(1 - q)**2", None, None, HOLDS, None),
    ("uv", "loss' = loss*(1 - a + b)**2", None, None, HOLDS, None),
    ("uv", "loss' = loss*(1 - a)**2", None, None, ASYMPTOTIC, 1),
    ("uv", "loss' = loss*(1 - a)", None, None, FAILS, None),
    ("uv", "grad_norm2 = lam*f**2", None, None, HOLDS, None),
    ("uv", "f'/f = 1 - a + b", None, None, HOLDS, None),
    ("uv", "conserved: n*eta", None, None, HOLDS, None),
    ("uv", "abs(f) = f", None, None, FAILS, None),
    ("uv", "abs(f) = f", "f >= 0", None, UNDER, None),
    ("uv", "sqrt(f**2 + lam**2 + 2*f*lam) = f + lam", "n = 1", None, UNDER, None),
    ("uv", "max(a', a) = a", "a < 4", None, UNDER, None),
    ("label", "f' = f*(1 - eta*lam + eta**2*f**2/n)", None, None, FAILS, None),
    ("label", "f' = f*(1 - eta*lam + eta**2*f**2/n)", "y = 0", None, UNDER, None),
    ("label", "f' = f - eta*lam*(f - y) + eta**2/n*(f - y)**2*f", None, None, HOLDS, None),
    ("label", "f' = f - eta*lam*(f - y) + eta**2/n*(f - y)**2*f", "y = 0", None, HOLDS, None),
    ("label", "f' = f - eta*lam*f + eta**2/n*(f - y)**2*f", None, None, FAILS, None),
    ("label", "f' = f - eta*lam*(f + y) + eta**2/n*(f - y)**2*f", None, None, FAILS, None),
    ("label", "f' = f - eta*lam*(f - y) + eta**2/n*f**3", None, None, ASYMPTOTIC, 1),
    ("label", "lam' = lam - 4*eta/n*g*f + eta**2/n*g**2*lam", None, None, HOLDS, None),
    ("label", "lam' = lam - 4*eta/n*f**2 + eta**2/n*f**2*lam", None, None, ASYMPTOTIC, 1),
    ("label", "lam' = lam - 4*eta/n*f**2 + eta**2/n*f**2*lam", "y = 0", None, UNDER, None),
    ("label", "Delta' = (1 - eta**2*(f - y)**2/n)*Delta", None, None, HOLDS, None),
    ("label", "p' = p*(1 - a + p*(p + kappa))", None, None, HOLDS, None),
    ("label", "p' = p*(1 - a + p*(p - kappa))", None, None, ASYMPTOTIC, 1),
    ("label", "a' = a - 4*p*(p + kappa) + p**2*a", None, None, HOLDS, None),
    ("label", "(a-4-kappa*p)' = (a-4-kappa*p)*(1 + kappa*p + p**2)", None, None, HOLDS, None),
    ("label", "(a - 2*q)' = (a - 2*q)*(1 + p)**2", None, None, HOLDS, None),
    ("label", "(a - 2*q)' = (a - 2*q)*(1 - p)**2", None, None, ASYMPTOTIC, 0.5),
    ("number", "f' = f - eta*lam*(f - y) + eta**2/n*(f - y)**2*f", None, None, HOLDS, None),
    ("number", "f' = f - eta*lam*(f - 1/2) + eta**2/n*(f - 0.5)**2*f", None, None, HOLDS, None),
    ("number", "f' = f - eta*lam*f + eta**2/n*f**3", None, None, FAILS, None),
    (
        "decay",
        "lam' = (1 - eta*omega)**2*lam - 4*eta/n*(1 - eta*omega)*f*g + eta**2*g**2*lam/n",
        None, None, HOLDS, None,
    ),
    ("decay", "lam' = lam - 4*eta/n*f*g + eta**2*g**2*lam/n", None, None, FAILS, None),
    ("decay", "lam' = lam - 4*eta/n*f*g + eta**2*g**2*lam/n", "omega = 0", None, UNDER, None),
    ("momentum", "f' = f*(1 - eta*lam + eta**2*f**2/n)", "beta = 0", None, UNDER, None),
    ("momentum", "f' = f*(1 - eta*lam + eta**2*f**2/n)", None, None, FAILS, None),
    ("logistic", "f' = f - eta*lam*g + eta**2/n*g**2*f", None, None, HOLDS, None),
    ("logistic", "f' = f - eta*lam*g", None, None, ASYMPTOTIC, 1),
    ("logistic", "f' = f + eta*lam*g", None, None, FAILS, None),
    ("logistic", "f' = f - eta*lam*(f - y)", None, None, FAILS, None),
    ("logistic", "g = -y/(1 + exp(y*f))", None, None, HOLDS, None),
    ("logistic", "g = -y*exp(-y*f)/(1 + exp(-y*f))", None, None, HOLDS, None),
    ("logistic", "g = -y/2*(1 - tanh(y*f/2))", None, None, HOLDS, None),
    ("logistic", "g = -y/2*(1 + tanh(y*f/2))", None, None, FAILS, None),
    ("logistic", "loss = log(1 + exp(y*f)) - y*f", None, None, HOLDS, None),
    ("logistic", "loss' = log(1 + exp(-y*f'))", None, None, HOLDS, None),
    ("logistic", "loss' = loss", "y = 0", None, UNDER, None),
]  # fmt: skip

INEQUALITIES = [
    ("uv", "lam' <= lam", None, FAILS),
    ("uv", "lam' <= lam", "eta*lam < 5", FAILS),
    ("uv", "lam' <= lam", "eta*lam < 4", UNDER),
    ("uv", "lam_next <= lam", "eta*lam < 4, y = 0", UNDER),
    full("label", "lam_next <= lam", "eta*lam < 4, y = 0", UNDER),
    ("label", "lam_next <= lam", "eta*lam < 4", FAILS),
    ("uv", "lam' < lam", "eta*lam < 4", FAILS),
    ("uv", "lam' < lam", "eta*lam < 4, f > 0", UNDER),
    ("uv", "lam' >= lam", "a >= 4", UNDER),
    ("uv", "lam' >= lam", None, FAILS),
    ("uv", "lam' >= 0", None, HOLDS),
    ("label", "lam' >= 0", None, HOLDS),
    full("momentum", "lam' >= 0", None, HOLDS),
    ("momentum", "lam' <= lam", "eta*lam < 4", FAILS),
    ("uv", "lam' > 0", None, FAILS),
    ("uv", "f**2 <= n*lam**2/4", None, HOLDS),
    ("uv", "f**2 <= n*lam**2/5", None, FAILS),
    ("uv", "|f| <= sqrt(n)*lam/2", None, HOLDS),
    ("uv", "|f'| <= sqrt(n)*lam'/2", None, HOLDS),
    ("uv", "|f'| <= sqrt(n)*lam/2", None, FAILS),
    ("uv", "a'**2 >= 4*b'", None, HOLDS),
    ("uv", "Delta**2 <= lam**2 - 4*f**2/n", None, HOLDS),
    ("uv", "Delta**2 <= lam**2 - 5*f**2/n", None, FAILS),
    ("uv", "|Delta'| <= |Delta|", "b <= 2", UNDER),
    ("uv", "|Delta'| <= |Delta|", "b <= 3", FAILS),
    ("uv", "0 <= a' <= a", "a < 4", UNDER),
    ("uv", "0 <= a' <= a", None, FAILS),
    ("uv", "0 <= a' <= a", "a < 4.1", FAILS),
    ("uv", "loss' <= loss", "eta*lam < 2", UNDER),
    ("uv", "loss' <= loss", "eta*lam < 2.01", FAILS),
    ("label", "loss' <= loss", "eta*lam < 2", FAILS),
    full("label", "loss' <= loss", "eta*lam < 2, y = 0", UNDER),
    ("uv", "loss' < loss", "a - 2 < b < a, b > 0", UNDER),
    ("uv", "loss' >= loss", "b <= a - 2", UNDER),
    ("uv", "loss' <= loss", None, FAILS),
    ("uv", "a' > 4", "a > 4", UNDER),
    ("uv", "a' >= 0", "b = a - 1", HOLDS),
    ("label", "(a - 4 - kappa*p)' <= 0", "a - 4 - kappa*p <= 0, 0 <= kappa < 2", UNDER),
    ("label", "(a - 4 - kappa*p)' <= 0", "a - 4 - kappa*p >= 0", FAILS),
    full("label", "|p| <= 2", "a - 4 - kappa*p <= 0, 0 <= kappa < 2", UNDER),
    ("label", "|p| <= 1.9", "a - 4 - kappa*p <= 0, 0 <= kappa < 2", FAILS),
    full("label", "0 <= a <= 4 + 2*kappa", "a - 4 - kappa*p <= 0, 0 <= kappa < 2", UNDER),
    full("decay", "a' <= a", "a < 4 - 2*eta*omega, y = 0", UNDER),
    ("decay", "a' <= a", "a < 4, y = 0", FAILS),
    ("logistic", "loss >= 0", None, HOLDS),
    ("logistic", "g**2 <= y**2", None, HOLDS),
    ("logistic", "g <= 0", "y >= 0", UNDER),
    ("logistic", "loss' <= loss", "y = 1, f >= 0", UNDER),
    ("logistic", "loss' <= loss", None, FAILS),
    ("uv", "sqrt(lam) <= lam + 1", None, HOLDS),
    ("uv", "sqrt(lam) <= lam", None, FAILS),
    ("uv", "1 <= n", None, HOLDS),
    ("uv", "exp(f) >= 1 + f", None, HOLDS),
    ("uv", "exp(f) >= 1 + 2*f", None, FAILS),
    ("uv", "log(1 + lam) <= lam", None, HOLDS),
    ("uv", "log(1 + lam) <= lam/2", None, FAILS),
    ("uv", "f**2 <= n", None, FAILS),
]


@pytest.fixture(scope="module")
def judge(maps):
    """Judge each claim once; several tests look at the same verdict."""
    known = {}

    def judged(name: str, claim: str, where: str | None = None, scaling=None) -> Verdict:
        key = name, claim, where, str(scaling)
        if key not in known:
            known[key] = verify(claim, maps[name], where=where, scaling=scaling)
        return known[key]

    return judged


@pytest.mark.parametrize(("name", "claim", "where", "scaling", "status", "order"), EQUATIONS)
def test_equation_is_judged(judge, name, claim, where, scaling, status, order) -> None:
    verdict = judge(name, claim, where, scaling)
    assert verdict.status == status, str(verdict)
    assert verdict.order == order
    assert bool(verdict) is (status == HOLDS)
    _check_fields(verdict)


@pytest.mark.parametrize(("name", "claim", "where", "status"), INEQUALITIES)
def test_inequality_is_judged(judge, name, claim, where, status) -> None:
    verdict = judge(name, claim, where)
    assert verdict.status == status, str(verdict)
    assert verdict.order is None
    _check_fields(verdict)


def _check_fields(verdict: Verdict) -> None:
    """What every verdict of a status carries, whatever the claim."""
    assert (verdict.counterexample is not None) == (verdict.status == FAILS)
    assert bool(verdict.certificate) == (verdict.status in (HOLDS, UNDER))
    assert bool(verdict.hypotheses) or verdict.status != UNDER
    assert "O(1)" in verdict.scaling or "O(" in verdict.scaling
    assert verdict.claim in str(verdict)
    if verdict.status == FAILS:
        assert verdict.difference != 0
        assert all(isinstance(v, Fraction) for v in verdict.counterexample.values())


def test_half_of_the_table_is_false() -> None:
    statuses = [row[4] for row in EQUATIONS] + [row[3] for row in map(cells, INEQUALITIES)]
    false = sum(s in (FAILS, ASYMPTOTIC) for s in statuses)
    assert len(statuses) >= 50
    assert abs(false / len(statuses) - 0.5) < 0.1


# A raw step on two vectors: shares no formula with the engine.


def raw_step(point: dict[str, float], loss: str = "squared") -> dict[str, float]:
    """Return the state, its names and their next values from vectors u, v in the plane.

    The vectors have the inner products of the state; a plane is enough for two vectors, and
    the width enters as the number n alone.
    """
    n, eta, f, lam = (point.get(k, 1.0) for k in ("n", "eta", "f", "lam"))
    y, omega, imbalance = (point.get(k, 0.0) for k in ("y", "omega", "Delta"))
    long = np.sqrt(n * (lam + imbalance) / 2), np.sqrt(max(n * (lam - imbalance) / 2, 0.0))
    cosine = np.sqrt(n) * f / (long[0] * long[1]) if long[0] * long[1] > 0 else 0.0
    cosine = min(1.0, max(-1.0, cosine))
    u = np.array([long[0], 0.0])
    v = long[1] * np.array([cosine, np.sqrt(1 - cosine**2)])
    g = f - y if loss == "squared" else -y / (1 + np.exp(y * f))
    new = (
        (1 - eta * omega) * u - eta * g * v / np.sqrt(n),
        (1 - eta * omega) * v - eta * g * u / np.sqrt(n),
    )
    names = {"n": n, "eta": eta, "y": y, "omega": omega}
    for mark, (first, second) in {"": (u, v), "'": new}.items():
        names |= {k + mark: x for k, x in _invariants(first, second, n, eta, y, loss).items()}
    return names


def _invariants(u, v, n, eta, y, loss) -> dict[str, float]:
    f, lam = u @ v / np.sqrt(n), (u @ u + v @ v) / n
    g = f - y if loss == "squared" else -y / (1 + np.exp(y * f))
    value = (f - y) ** 2 / 2 if loss == "squared" else np.log1p(np.exp(-y * f))
    q, kappa = eta * f / np.sqrt(n), eta * y / np.sqrt(n)
    return {
        "f": f, "lam": lam, "Delta": (u @ u - v @ v) / n, "g": g, "loss": value, "a": eta * lam,
        "b": q**2, "q": q, "kappa": kappa, "p": q - kappa, "grad_norm2": lam * g**2,
    }  # fmt: skip


def _false_of_two_vectors():
    """Rows whose claim is false whatever the scaling, on maps that two vectors determine."""
    for name, claim, where, scaling, status, _ in EQUATIONS:
        if status == FAILS and scaling is None and name != "momentum":
            yield name, claim, where
    for name, claim, where, status in map(cells, INEQUALITIES):
        if status == FAILS and name != "momentum":
            yield name, claim, where


@pytest.mark.parametrize(("name", "claim", "where"), list(_false_of_two_vectors()))
def test_counterexample_agrees_with_a_raw_step_on_vectors(judge, name, claim, where) -> None:
    loss = "logistic" if name == "logistic" else "squared"
    verdict = judge(name, claim, where)
    assert verdict.status == FAILS
    point = {k: float(v) for k, v in verdict.counterexample.items()}
    if name == "number":
        point["y"] = 0.5
    names = raw_step(point, loss)
    left, _, right = verdict.counterexample.relation
    for side, value in ((left, verdict.counterexample.left), (right, verdict.counterexample.right)):
        symbols = {s: sp.Symbol(_plain(s)) for s in names}
        expression = sp.sympify(_plain(side), locals={v.name: v for v in symbols.values()})
        found = float(expression.subs({symbols[k]: x for k, x in names.items()}))
        # A step is a few dozen roundings of numbers of the size of the largest term.
        assert found == pytest.approx(
            float(value), rel=1e-9, abs=1e-9 * max(map(abs, names.values()))
        )


def _plain(text: str) -> str:
    return text.replace("'", "_next").replace("lambda", "lam")


# Mutations of exact equations.

EXACT = [
    ("uv", "f'", ["f", "- eta*lam*f", "+ eta**2*f**3/n"]),
    ("uv", "lam'", ["lam", "- 4*eta*f**2/n", "+ eta**2*f**2*lam/n"]),
    ("uv", "a'", ["a", "- 4*b", "+ a*b"]),
    ("label", "f'", ["f", "- eta*lam*(f - y)", "+ eta**2*(f - y)**2*f/n"]),
    ("label", "lam'", ["lam", "- 4*eta*(f - y)*f/n", "+ eta**2*(f - y)**2*lam/n"]),
    ("label", "p'", ["p", "- a*p", "+ p**3", "+ kappa*p**2"]),
    ("label", "Delta'", ["Delta", "- Delta*eta**2*(f - y)**2/n"]),
]
MUTATIONS = {
    "sign": lambda t: t.replace("- ", "+ ", 1) if t.startswith("-") else "- " + t.lstrip("+ "),
    "factor": lambda t: (t[:2] + "2*" + t[2:]) if t[0] in "+-" else "2*" + t,
    "power": lambda t: t.replace("/n", "/n**2") if "/n" in t else t + "/n",
    "label": lambda t: t.replace("(f - y)", "f", 1),
    "dropped": lambda t: "+ 0",
}


def _mutants():
    for name, left, terms in EXACT:
        yield name, f"{left} = {' '.join(terms)}", "none"
        for at, term in enumerate(terms):
            for title, change in MUTATIONS.items():
                mutant = change(term)
                if mutant != term:
                    right = " ".join([*terms[:at], mutant, *terms[at + 1 :]])
                    yield name, f"{left} = {right}", title


def _order_by_numbers(claim: str, y: float) -> float:
    """Return the order of a claim's error, from raw steps at two widths: inf if exact."""
    left, right = claim.split(" = ")
    errors = []
    for n in (1e4, 1e6):
        names = raw_step({"n": n, "eta": 0.7, "f": 1.1, "lam": 1.3, "y": y, "Delta": 0.3})
        values = {_plain(k): x for k, x in names.items()}
        true = values[_plain(left)]
        error = abs(_evaluated(right, values) - true)
        # Cancellation leaves some 1e-13 of the value; an error of order 1/n^2 is above it.
        errors.append(error / abs(true) if error > 3e-13 * abs(true) else 0.0)
    if 0.0 in errors:
        return np.inf
    return float(np.log(errors[0] / errors[1]) / np.log(100))


def _evaluated(text: str, values: dict[str, float]) -> float:
    symbols = {k: sp.Symbol(k) for k in values}
    return float(sp.sympify(_plain(text), locals=symbols).subs(values))


@pytest.mark.parametrize(("name", "claim", "mutation"), list(_mutants()))
def test_mutant_is_judged_as_raw_numbers_say(maps, name, claim, mutation) -> None:
    verdict = verify(claim, maps[name])
    order = _order_by_numbers(claim, y=0.4 if name == "label" else 0.0)
    if mutation == "none":
        assert (verdict.status, order) == (HOLDS, np.inf)
        return
    expected = ASYMPTOTIC if order > 0.25 else FAILS
    assert verdict.status == expected, str(verdict)
    if expected == ASYMPTOTIC and order < np.inf:
        # Terms of higher order bend the slope by about 1/sqrt(n).
        assert float(verdict.order) == pytest.approx(order, abs=0.05)


# What a verdict says.


def test_difference_is_claimed_minus_true(maps) -> None:
    verdict = verify("lam' = lam + eta*f**2/n*(eta*lam - 2)", maps["uv"])
    eta, f, n = maps["uv"].parameters.eta, maps["uv"].state.f, maps["uv"].parameters.n
    assert sp.simplify(verdict.difference - 2 * eta * f**2 / n) == 0
    turned = verify("lam + eta*f**2/n*(eta*lam - 2) = lam'", maps["uv"])
    assert turned.difference == verdict.difference


def test_margin_of_an_inequality_is_larger_minus_smaller(maps) -> None:
    eta, f, n = maps["uv"].parameters.eta, maps["uv"].state.f, maps["uv"].parameters.n
    verdict = verify("lam' <= lam", maps["uv"], where="eta*lam < 4")
    expected = eta * f**2 / n * (4 - eta * maps["uv"].state.lam)
    assert sp.simplify(verdict.difference - expected) == 0


def test_hint_states_the_exact_equation_and_the_special_case(maps) -> None:
    verdict = verify("f' = f*(1 - eta*lam + eta**2*f**2/n)", maps["label"])
    assert "right for y = 0" in verdict.hint
    assert "the exact equation is f' = " in verdict.hint


def test_hint_tells_wrong_terms_from_missing_ones(maps) -> None:
    missing = verify("lam' = lam", maps["uv"]).hint
    wrong = verify("lam' = lam + eta*f**2/n*(eta*lam + 4)", maps["uv"]).hint
    assert "right up to O(1/n)" in missing
    assert "are wrong" not in missing
    assert "its own terms of that order are wrong" in wrong


def test_only_hypotheses_that_are_needed_are_listed(maps) -> None:
    verdict = verify("lam' <= lam", maps["label"], where="y = 0, eta*lam < 4, f <= 7")
    assert verdict.hypotheses == ("y = 0", "eta*lam < 4")


def test_hypotheses_that_are_not_needed_leave_a_plain_verdict(maps) -> None:
    verdict = verify("lam' >= 0", maps["uv"], where="eta*lam < 4")
    assert verdict.status == HOLDS
    assert "not needed" in verdict.hint


@pytest.mark.parametrize(
    "where",
    [
        "eta*lam < 1, eta*lam > 2",
        "y = 1",
        "1 > 2",
        "f > sqrt(n)*lam",
        "lam < 0",
        ["lam <= 0", "lam > 0"],
    ],
)
def test_hypotheses_that_cannot_be_met_are_refused(maps, where) -> None:
    with pytest.raises(ClaimError, match="cannot be met"):
        verify("lam' <= lam", maps["uv"], where=where)


def test_scaling_outside_the_domain_is_refused(maps) -> None:
    with pytest.raises(ClaimError, match="leaves the domain"):
        verify("f' = f*(1 - eta*lam)", maps["uv"], scaling="f = O(n)")


def test_scaling_is_stated_in_words(maps) -> None:
    assert verify("lam' = lam", maps["uv"]).scaling == "f, lam, eta = O(1)"
    scaled = verify("lam' = lam", maps["uv"], scaling={"f": sp.Rational(1, 2)})
    assert scaled.scaling == "lam, eta = O(1); f = O(sqrt(n))"


@pytest.mark.parametrize(
    "scaling", ["n = O(1)", "f = O(f)", "f = O(2*n)", "phi = O(1)", "f", {"f": "x"}, {"f": 99}, 7]
)
def test_scaling_that_cannot_be_read_is_refused(maps, scaling) -> None:
    with pytest.raises(ClaimError):
        verify("lam' = lam", maps["uv"], scaling=scaling)


def test_truncated_map_proves_no_exact_equation(maps) -> None:
    limit = maps["uv"].truncate()
    verdict = verify("lam' = lam", limit)
    assert (verdict.status, verdict.order) == (ASYMPTOTIC, 1)


def test_model_is_derived_with_its_loss_and_optimizer() -> None:
    model = models.uv(label=True)
    claim = "f' = (1 - eta*omega)**2*f - eta*(1 - eta*omega)*lam*g + eta**2/n*g**2*f"
    assert verify(claim, model, loss="logistic", optimizer="weight_decay").status == HOLDS


def test_model_of_the_users_own_is_judged() -> None:
    u, v, w = vectors("u v w")
    model = Model(output=(u @ v + w @ w) / sp.sqrt(width), vectors=(u, v, w))
    own = derive(model)
    assert verify("lam' >= 0", model).status == HOLDS
    assert verify("f' = f*(1 - eta*lam)", own).status == ASYMPTOTIC
    assert verify("f' = f*(1 + eta*lam)", own).status == FAILS


def test_matrix_map_without_names_is_refused_with_a_remedy() -> None:
    V, U, X = matrix("V", rows=2), matrix("U", cols=3), data("X", cols=3)
    model = Model(output=X @ U.T @ V.T / sp.sqrt(width), matrices=(V, U), data=X)
    with pytest.raises(ClaimError, match="observables="):
        verify("Gamma' = Gamma", model)


def test_unknown_loss_is_an_input_error() -> None:
    with pytest.raises(InputError, match="squared"):
        verify("f' = f", models.uv(), loss="sqared")


def test_counterexample_reads_like_a_dictionary(maps) -> None:
    found = verify("lam' <= lam", maps["uv"], where="eta*lam < 5").counterexample
    assert set(found) == {"f", "lam", "eta", "n"}
    assert 4 < found["eta"] * found["lam"] < 5
    image = found["lam"] + found["eta"] * found["f"] ** 2 / found["n"] * (
        found["eta"] * found["lam"] - 4
    )
    assert (found.left, found.right) == (image, found["lam"])
    assert f"lam' is {image}" in str(found)


def test_same_claim_gives_the_same_verdict(maps) -> None:
    first, second = (verify("lam' <= lam", maps["uv"], where="a < 4.01") for _ in range(2))
    assert str(first) == str(second)
