"""Claims about matrix models and optimizers beyond the linear network under gradient descent.

Models whose output takes some columns of the data, an autoencoder whose traces hold powers, and
optimizers that look at the gradient elsewhere. Each claim was judged by hand from the raw step.
"""

from __future__ import annotations

from functools import cache

import pytest

import catapult_theory as ct

HOLDS, ASYMPTOTIC, UNDER = "holds", "holds-asymptotically", "holds-under-hypotheses"
FAILS = "fails"

MAPS = {
    "many": lambda: ct.derive(ct.models.linear(outputs=None)),
    "sensing": lambda: ct.derive(ct.models.matrix_sensing(2, 3)),
    "tied": lambda: ct.derive(ct.models.tied_autoencoder(3)),
    "sam": lambda: ct.derive(ct.models.linear(outputs=None), optimizer="unnormalised_sam"),
    "nesterov": lambda: ct.derive(ct.models.linear(outputs=None), optimizer="nesterov"),
    "outputs": lambda: ct.derive(
        ct.models.quadratic_outputs([[[1, 0], [0, -1]], [[2, 0], [0, 1]]])
    ),
}
DESCENT = "W' = W - eta*(S*Z + Z*G) + eta^2/n*Z*W.T*Z"
SENSED = "W1' = W1 - eta*(S11*Z_W1 + S12*Z_W2 + Z_W1*G) + eta^2/n*"
LAYER = (
    "tr(S') = tr(S) - 2*eta/n*tr(W*Z_1.T) - 2*eta*rho/n*tr(S*Z*Z_1.T) + eta^2/n*tr(Z_1*G_1*Z_1.T)"
)

CLAIMS_OF = {
    "sensing": [
        (HOLDS, SENSED + "(Z_W1*W1.T*Z_W1 + Z_W1*W2.T*Z_W2)", ""),
        (ASYMPTOTIC, SENSED + "(Z_W1*W1.T*Z_W1 + Z_W2*W2.T*Z_W1)", ""),
        (FAILS, SENSED.replace(" + S12*Z_W2", "") + "(Z_W1*W1.T*Z_W1 + Z_W1*W2.T*Z_W2)", ""),
        (HOLDS, "m*(W1*Z_W1.T + W2*Z_W2.T) = f.T*g", ""),
        (FAILS, "W1*Z_W1.T + W2*Z_W2.T = f.T*g", ""),
        (FAILS, "grad_norm2 = S11*Z_W1*Z_W1.T + Z_W1*G*Z_W1.T", ""),
        (HOLDS, "loss' = g'.T*g'/(2*m)", ""),
        (ASYMPTOTIC, "lam' = lam", ""),
        (FAILS, "f = X*X.T*f", ""),
    ],
    "tied": [
        (HOLDS, "grad_norm2 = 4/n*tr(G*Z*Z)", ""),
        (FAILS, "grad_norm2 = 2/n*tr(G*Z*Z)", ""),
        (HOLDS, "tr(G') = tr(G) - 4*eta/n*tr(G*Z) + 4*eta^2/n^2*tr(Z*G*Z)", ""),
    ],
    "sam": [
        (HOLDS, LAYER, ""),
        (ASYMPTOTIC, LAYER.replace("rho/n", "rho/n^2"), ""),
        (ASYMPTOTIC, "W' = W - eta*(S*Z_1 + Z_1*G)", ""),
        (FAILS, "W' = W - eta*(S*Z + Z*G)", ""),
        (FAILS, "W' = W - eta*(S*Z_1 + Z_1*G)/2", ""),
        (UNDER, DESCENT, "rho = 0"),
        (UNDER, "W' = W", "g = 0"),
        (HOLDS, "g_1 = f_1 - Y", ""),
        (HOLDS, "W_1 = W + rho*(S*Z + Z*G) + rho^2/n*Z*W.T*Z", ""),
        (FAILS, "W_1 = W - rho*(S*Z + Z*G) + rho^2/n*Z*W.T*Z", ""),
    ],
    "nesterov": [(UNDER, DESCENT, "beta = 0"), (FAILS, DESCENT, ""), (FAILS, "W' = W", "")],
    "outputs": [(FAILS, "T1' = T1", ""), (HOLDS, "T1' >= 0", "")],
}
CASES = [
    (name, claim, where, status)
    for name, rows in CLAIMS_OF.items()
    for status, claim, where in rows
]


@cache
def update_map(name):
    return MAPS[name]()


@pytest.mark.parametrize(("name", "claim", "where", "status"), CASES)
def test_a_claim_about_another_model_or_optimizer_is_judged(name, claim, where, status) -> None:
    assert ct.verify(claim, update_map(name), where=where or None).status == status


@pytest.mark.parametrize(
    ("loss", "optimizer"), [("squared", "sam"), ("squared", "clipped"), ("logistic", "nesterov")]
)
def test_a_step_that_is_no_polynomial_is_refused_with_another_way(loss, optimizer) -> None:
    with pytest.raises(ct.ClaimError, match=f"that of {optimizer} with the {loss} loss.*compile"):
        ct.verify("W' = W", ct.models.linear(), loss=loss, optimizer=optimizer)


# Sample indices above, steps after a transpose, and what is no product.
SPELLINGS = [
    (HOLDS, r"Z_{ia} = \frac{1}{m} \tilde f_{\mu i} x^{\mu}_{a}"),
    (HOLDS, r"Z_{ia} = \frac{1}{m} \tilde f^\mu_i x_a^\mu"),
    (FAILS, r"Z_{ia} = \tilde f^\mu_i x_a^\mu"),
    (FAILS, r"f^{\mu}_{i} = W_{ai} x^{\mu}_{a}"),
    (HOLDS, r"f^\mu_{i,t+1} = W_{ia}^{t+1} x^{\mu}_{a}"),
    (FAILS, r"\sum_\mu f^{\mu}_{i} \tilde f^\mu_j = m W_{ja} Z_{ia}"),
    (HOLDS, "tr(f^T_{t+1} f_{t+1}) = tr(f'.T*f')"),
    (HOLDS, r"\operatorname{tr}(f^T_{t+1} f_{t+1}) = \Vert f_{t+1} \Vert^2"),
    (FAILS, "tr(f^T_t f_{t+1}) = tr(f'.T*f')"),
]


@pytest.mark.parametrize(("status", "claim"), SPELLINGS)
def test_other_spellings_of_indices_and_steps_are_read(status: str, claim: str) -> None:
    assert ct.verify(claim, update_map("many")).status == status


@pytest.mark.parametrize("claim", [r"f_i(x_\mu) = W_{ia} x_{\mu a}", "f(X) = X*W.T"])
def test_an_output_as_a_function_of_its_input_is_refused_with_the_remedy(claim: str) -> None:
    with pytest.raises(ct.ClaimError, match=r"write f_\{alpha\}"):
        ct.verify(claim, update_map("many"))


def test_a_number_beside_a_square_matrix_is_told_from_the_identity() -> None:
    claim = "(1 - eta*S)*W = W - eta*S*W"
    assert "write I for the identity" in str(ct.verify(claim, update_map("many")))
    assert ct.verify(claim.replace("1 -", "I -"), update_map("many")).status == HOLDS


NARROW = [
    (FAILS, "tr(G') >= tr(G)", "tr(Z*W.T) <= 1"),
    (UNDER, "tr(G') >= tr(G)", "tr(Z*W.T) <= 0"),
    (FAILS, "tr(G') + tr(S') <= tr(G) + tr(S)", "eta*grad_norm2 <= 5*tr(Z*W.T)"),
    (UNDER, "tr(G') + tr(S') <= tr(G) + tr(S)", "eta*grad_norm2 <= 4*tr(Z*W.T)"),
]


@pytest.mark.parametrize(("status", "claim", "where"), NARROW)
def test_networks_are_found_in_narrow_regions(status: str, claim: str, where: str) -> None:
    assert ct.verify(claim, update_map("many"), where=where).status == status
