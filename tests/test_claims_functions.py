"""Claims about matrix models with functions and eigenvalues in them: identities and orders.

Functions are not independent of each other, and their leading terms may cancel: what is true,
or right at leading order, must not be called false, nor the reverse.
"""

from __future__ import annotations

import functools

import pytest

import catapult_theory as ct

HOLDS, FAILS, NEAR, OPEN = "holds", "fails", "holds-asymptotically", "not-checked"


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


def test_a_claim_that_grows_too_large_says_so_and_not_something_else() -> None:
    with pytest.raises(ct.ClaimError, match="too large"):
        ct.verify("S = (S'+1)**16", linear())
