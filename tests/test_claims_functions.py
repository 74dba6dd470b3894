"""Claims with functions, eigenvalues and losses in pieces in them: identities and orders.

Functions are not independent of each other, and their leading terms may cancel: what is true,
or right at leading order, must not be called false, nor the reverse.
"""

from __future__ import annotations

import functools
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

import catapult_theory as ct
from catapult_theory.rigor.claims.pieces import joined
from catapult_theory.rigor.claims.points import arrays, exact, precise

HOLDS, FAILS, NEAR, OPEN = "holds", "fails", "holds-asymptotically", "not-checked"
UNDER = "holds-under-hypotheses"
x = sp.Symbol("x", real=True)


@functools.cache
def linear(loss: str = "squared") -> ct.UpdateMap:
    return ct.derive(ct.models.linear(), loss=loss)


IDENTITIES = [
    ("exp(tr(S)+tr(G)) = exp(tr(S))*exp(tr(G))", HOLDS),
    ("exp(tr(S)+tr(G)) = exp(tr(S)) + exp(tr(G))", FAILS),
    ("exp(2*tr(S')) = exp(tr(S'))**2", HOLDS),
    ("exp(2*tr(S')) = exp(tr(S))**2", NEAR),
    ("exp(2*tr(S')) = exp(tr(S'))**3", FAILS),
    ("tanh(loss)*(exp(2*loss)+1) = exp(2*loss)-1", HOLDS),
    ("tanh(loss)*(exp(loss)+1) = exp(loss)-1", FAILS),
    ("norm(2*W) = 2*norm(W)", HOLDS),
    ("norm(2*W) = 4*norm(W)", FAILS),
    ("norm(W)*norm(W) = tr(W*W.T)", HOLDS),
    ("sqrt(tr(G)*tr(S)) = sqrt(tr(G))*sqrt(tr(S))", HOLDS),
    ("sqrt(tr(W.T*Z)**2) = tr(W.T*Z)", FAILS),
    ("abs(loss) = loss", HOLDS),
    ("abs(tr(W.T*Z)) = tr(W.T*Z)", FAILS),
]
ORDERS = [
    ("lam' = lam", NEAR),
    ("lam' = 2*lam", FAILS),
    ("1/lam' = 1/lam", NEAR),
    ("lam'**2 = lam**2 + 1", FAILS),
    ("n*lam' = n*lam + 5", NEAR),
    ("n*(lam' - lam) = 5", FAILS),
    ("n*(lam' - lam) = n*(lam' - lam) + 5", FAILS),
    ("norm(G') = norm(G)", NEAR),
    ("norm(G') = 2*norm(G)", FAILS),
    ("norm(W') = norm(W)", FAILS),
    ("log(1+tr(G')) = log(1+tr(G))", NEAR),
    ("log(1+tr(G')) = log(2+tr(G))", FAILS),
    ("exp(-tr(S')) = exp(-tr(S))", NEAR),
    ("exp(-tr(S')) = exp(tr(S))", FAILS),
    ("sqrt(tr(G')/tr(S')) = sqrt(tr(G)/tr(S))", NEAR),
    ("abs(tr(W'*Z'.T)) = abs(tr(W*Z.T))", FAILS),
]


@pytest.mark.parametrize(("claim", "status"), IDENTITIES + ORDERS)
def test_a_claim_with_functions_is_judged_without_an_error(claim: str, status: str) -> None:
    verdict = ct.verify(claim, linear())
    assert verdict.status == status, str(verdict)
    assert (verdict.order == 1) == (status == NEAR)


@pytest.mark.parametrize(
    ("claim", "status"),
    [
        ("lam' = lam", NEAR),
        ("loss' = loss", FAILS),
        ("loss' = 2*loss", FAILS),
        ("n*loss' = n*loss + loss", FAILS),
    ],
)
def test_a_loss_that_is_no_polynomial_has_an_order_too(claim: str, status: str) -> None:
    assert ct.verify(claim, linear("logistic")).status == status


@pytest.mark.parametrize("claim", ["log(n*tr(S')) = log(n)", "exp(tr(G')/n) = 1"])
def test_an_order_that_is_not_read_off_is_not_called_false(claim: str) -> None:
    assert ct.verify(claim, linear()).status == OPEN


BOUNDS = [
    ("sharpness >= lam", HOLDS),
    ("sharpness > lam", FAILS),
    ("sharpness <= 3*lam/2", HOLDS),
    ("sharpness <= 149*lam/100", FAILS),
    ("sharpness >= abs(f)/sqrt(n)", HOLDS),
    ("max(f, lam) >= f", HOLDS),
    ("max(f, lam) <= lam", FAILS),
    ("min(f, lam) <= lam", HOLDS),
    ("min(f, lam) >= lam", FAILS),
    ("exp(eta*lam) >= 1 + a", HOLDS),
    ("exp(eta*lam) >= 1 + 2*a", FAILS),
    ("exp(f) > f", HOLDS),
    ("exp(f) > 1 + f", FAILS),
    ("log(lam) <= lam - 1", HOLDS),
    ("log(lam) <= lam - 2", FAILS),
]


@functools.cache
def uv() -> ct.UpdateMap:
    return ct.derive(ct.models.uv())


@pytest.mark.parametrize(("claim", "status"), BOUNDS)
def test_largest_eigenvalues_and_convex_functions_are_bounded(claim: str, status: str) -> None:
    assert ct.verify(claim, uv()).status == status


SIGNED = [
    ("logistic", "lam' >= lam", "f*y >= 0", UNDER),
    ("logistic", "lam' <= lam", "f*y <= 0", FAILS),
    ("logistic", "loss <= log(2)", "f*y >= 0", UNDER),
    ("logistic", "loss <= log(2) - 1/1000", "f*y >= 0", FAILS),
    ("logistic", "g^2 <= y^2/4", "f*y >= 0", UNDER),
    ("logistic", "g^2 <= y^2/5", "f*y >= 0", FAILS),
    ("exponential", "loss <= 1", "f*y >= 0", UNDER),
    ("exponential", "loss <= 1", None, FAILS),
    ("exponential", "lam' >= lam", "f*y >= 0", UNDER),
    ("exponential", "lam' >= lam", "f*y <= 0", FAILS),
    ("squared", "sharpness >= lam", "f*y <= 0", UNDER),
    ("squared", "sharpness >= lam", None, FAILS),
]


@pytest.mark.parametrize(("loss", "claim", "where", "status"), SIGNED)
def test_a_product_of_known_sign_is_used(loss, claim, where, status) -> None:
    assert ct.verify(claim, ct.models.uv(label=True), loss=loss, where=where).status == status


def test_a_claim_that_grows_too_large_says_so_and_not_something_else() -> None:
    with pytest.raises(ct.ClaimError, match="too large"):
        ct.verify("S = (S'+1)**16", linear())


# Huber's loss is one expression below a bound, another above a second, a third between.
PIECES = [
    ("lam' = lam - 4*eta*f*g/n + eta^2*g^2*lam/n", None, HOLDS),
    ("lam' = lam - 4*eta*f*g/n", None, NEAR),
    ("g = f - y", "abs(f - y) <= 1", UNDER),
    ("g = f - y", None, FAILS),
    ("f' = f*(1 - eta*lam + eta^2*f^2/n)", "y = 0, abs(f) <= 1", UNDER),
    ("f' = f - eta*lam + eta^2*f/n", "f - y >= 1", UNDER),
    ("f' = f + eta*lam + eta^2*f/n", "f - y >= 1", FAILS),
    ("abs(g) <= 1", None, HOLDS),
    ("abs(g) < 1", None, FAILS),
    ("loss >= g^2/2", None, HOLDS),
    ("loss <= g^2/2", None, FAILS),
    ("loss <= (f - y)^2/2", None, HOLDS),
    ("loss = (f - y)^2/2", None, FAILS),
    ("abs(Delta') <= abs(Delta)", "eta^2 <= 2*n", UNDER),
    ("abs(Delta') <= abs(Delta)", "eta^2 <= 3*n", FAILS),
    ("sharpness = 0", "n = 4, f = 0, y = 2", FAILS),
]


@functools.cache
def huber() -> ct.UpdateMap:
    return ct.derive(ct.models.uv(label=True), loss="huber")


@pytest.mark.parametrize(("claim", "where", "status"), PIECES)
def test_a_loss_in_pieces_is_read_by_exact_algebra(claim: str, where: str, status: str) -> None:
    assert ct.verify(claim, huber(), where=where).status == status


def test_which_piece_holds_is_told_of_conditions_that_are_joined() -> None:
    inside = sp.Piecewise((1, sp.Or(x < -1, x > 1)), (2, sp.Not(sp.Eq(x, 0))), (3, True))
    columns = {x: np.array([-2.0, 0.5, 0.0, 2.0])}
    assert arrays(inside, columns).tolist() == [1, 2, 3, 1]
    points = [{x: Fraction(p)} for p in ("-2", "1/2", "0", "2")]
    assert [exact(inside, p) for p in points] == [1, 2, 3, 1]
    assert [precise(inside, p) for p in points] == [1, 2, 3, 1]


@pytest.mark.parametrize("above", [x - sp.Rational(1, 2), x])
def test_pieces_are_joined_only_where_they_meet(above: sp.Expr) -> None:
    pieces = sp.Piecewise((-x - sp.Rational(1, 2), x < -1), (above, x > 1), (x**2 / 2, True))
    found = joined(pieces)
    assert found.has(sp.Piecewise) == (above == x)
    for at in (-3, -1, sp.Rational(1, 3), 1, 5):
        assert found.subs(x, at) == pieces.subs(x, at)


STATES = [
    ("w1'^2 - w2'^2 = (w1^2 - w2^2)*(1 - eta^2*w3^2*(f - y)^2)", None, HOLDS),
    ("w1'^2 - w2'^2 = (w1^2 - w2^2)*(1 + eta^2*w3^2*(f - y)^2)", None, FAILS),
    ("conserved: w1^2 - w2^2", None, FAILS),
    ("conserved: w1", "y = f", UNDER),
    ("lam >= w1^2*w2^2", None, HOLDS),
    ("lam >= 2*w1^2*w2^2", None, FAILS),
]


@pytest.mark.parametrize(("claim", "where", "status"), STATES)
def test_a_state_that_is_no_gram_matrix_is_any_numbers(claim: str, where: str, status: str) -> None:
    assert ct.verify(claim, ct.models.aligned_mode(3), where=where).status == status
