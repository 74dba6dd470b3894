"""Claims that a slip of the prover, of a division or of rounding would misjudge.

Each was worked out by hand; beside what must not be proved stands what must be.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import sympy as sp
from sympy.polys.rings import ring

import catapult_theory as ct
from catapult_theory.codegen.kernel import compile as compiled
from catapult_theory.errors import ClaimError
from catapult_theory.rigor import falsify, verify
from catapult_theory.rigor.claims.matrix_draws import states
from catapult_theory.rigor.claims.matrix_hypotheses import Hypotheses
from catapult_theory.rigor.claims.matrix_vocabulary import MatrixVocabulary
from catapult_theory.rigor.claims.points import precise, sign
from catapult_theory.rigor.claims.positivity import Known, Prover
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive

HOLDS, ASYMPTOTIC, UNDER = "holds", "holds-asymptotically", "holds-under-hypotheses"
FAILS, OPEN = "fails", "not-checked"

RECIPES = {
    "uv": (models.uv, {}, "squared", "gd"),
    "many": (models.linear, {"outputs": None}, "squared", "gd"),
    "decay": (models.linear, {"outputs": None}, "squared", "weight_decay"),
    "momentum": (models.linear, {"outputs": None}, "squared", "heavy_ball"),
    "velocity": (models.uv, {"label": True}, "squared", "heavy_ball"),
    "softmax": (models.linear, {"outputs": 3}, "softmax_cross_entropy", "gd"),
    "logistic": (models.linear, {"outputs": 1}, "logistic", "gd"),
}
INDEXED = "G'_{ab} = G_{ab} - eta/n*(W_{ia} Z_{ib} + Z_{ia} W_{ib})"
# A region so small that no sample of a screen falls into it: the proof alone must be right.
NARROW = "f >= -1/2000, f <= 1/2000"

CLAIMS_OF = {
    "uv": [
        # A root of x turns with x where cases are told by the sign of x.
        (FAILS, "sqrt(4 + f) >= 2 - f/8", NARROW),
        (FAILS, "sqrt(4 - f) >= 2 + f/8", NARROW),
        (UNDER, "sqrt(4 + f) >= 2 - abs(f)", NARROW),
        # x^2 is below c^2 where -c < x < c, and not where x = -c is let in.
        (UNDER, "f^2 < lam^2 + (lam - 1.37)^2", "f > -lam, f < lam"),
        (UNDER, "f^2 <= lam^2 + (lam - 1.37)^2", "f >= -lam, f < lam"),
        (OPEN, "f^2 < lam^2 + (lam - 1.37)^2", "f >= -lam, f < lam"),
        # Where the roots vanish, sixty digits leave a number that looks like none.
        (HOLDS, "sqrt(a'^2 - 4*b') = sqrt(a^2 - 4*b)*abs(1 - b)", ""),
        (ASYMPTOTIC, "sqrt(a'^2 - 4*b') = sqrt(a^2 - 4*b)*abs(1 - 2*b)", ""),
        # Where what is divided by vanishes nothing is claimed, even if the division cancels.
        (HOLDS, "f'/f > 1 - a", ""),
        (UNDER, "f^2/f > 0", "f >= 0"),
        (FAILS, "f^2/f > 0", ""),
        (UNDER, "(lam' - lam)/f^2 < 0", "a < 4"),
        (FAILS, "(lam' - lam)/f^2 < 0", "a <= 4"),
        (UNDER, "loss'/loss < 1", "a <= 2"),
        (FAILS, "lam'/lam < 1", "a < 4"),
        (HOLDS, "(1/f)' = 1/(f*(1 - a + b))", ""),
        # Factors of known sign leave an absolute value.
        (HOLDS, "abs(4 - a') = abs(4 - a)*(1 + b)", ""),
        (ASYMPTOTIC, "abs(4 - a') = abs(4 - a)*(1 - b)", ""),
        (HOLDS, "abs(4 - a') >= abs(4 - a)", ""),
        (FAILS, "abs(4 - a') > abs(4 - a)", ""),
        # A step of a group.
        (HOLDS, r"{\lambda}_{t+1} = \lambda_t + \frac{\eta f_t^2}{n} (\eta {\lambda}_t - 4)", ""),
        (HOLDS, r"\left(a - 4\right)_{t+1} = (a - 4)_t (1 + b_t)", ""),
        (ASYMPTOTIC, r"\left(a - 4\right)_{t+1} = (a - 4)_{t+1} (1 + b_t)", ""),
        # Of two ways to meet a hypothesis one makes the claim exact, the other false.
        (FAILS, "eta = 1", "eta*f = f"),
        (FAILS, "f = 1", "f^2 = 1"),
        (UNDER, "f*(eta - 1) = 0", "eta*f = f"),
        (ASYMPTOTIC, "lam' = lam", "eta*f = f"),
    ],
    "many": [
        (UNDER, "tr(G') <= tr(G)", "g = 0"),
        (FAILS, "tr(G') < tr(G)", "g = 0"),
        (OPEN, "tr(S) >= 1", "tr(G) < 0"),
        (OPEN, "tr(G) <= 2", "tr(G) < 1, tr(G) > 2"),
        (FAILS, "sqrt(log(m/4)^2) = log(m/4)", ""),
        (HOLDS, "sqrt(log(m/4)^2) = abs(log(m/4))", ""),
        (HOLDS, "sqrt(eta^2*m^2) = eta*m", ""),
        (HOLDS, "tr(W*I*W.T) = tr(W.T*W)", ""),
        # Hypotheses with irrational numbers; what vanishes exactly.
        (FAILS, "W' = W", "eta = exp(1)"),
        (FAILS, "tr(G') <= tr(G)", "eta = sqrt(2)"),
        (FAILS, "W' = W", "eta*lam = 1"),
        (FAILS, "norm(f) > 0", ""),
        (FAILS, "exp(tr(G)) > 1", ""),
        (FAILS, "log(1 + tr(G)) < tr(G)", ""),
        (HOLDS, "log(1 + tr(G)) <= tr(G)", ""),
        # Orthogonal layers.
        (UNDER, "W' = W - 2*eta*Z + eta^2/n*Z*W.T*Z", "S = I, G = I"),
        (ASYMPTOTIC, "W' = W - 2*eta*Z", "S = I, G = I"),
        (FAILS, "W' = W - 3*eta*Z", "S = I, G = I"),
        (UNDER, "W' = -2*eta*Z", "S = I, G = I, W = 0"),
        (FAILS, "W' = -eta*Z", "S = I, G = I, W = 0"),
        # Matrices of the frame: what they make of blocks, before and after the step.
        (UNDER, "G = 0", "U = 0"),
        (UNDER, "tr(G) <= 0", "U = 0"),
        (UNDER, "S' = 0*S", "V = 0, U = 0"),
        (FAILS, "S' = 0*S", "V = 0"),
        (OPEN, "S' = 0*S", "V = 0, S = I"),
        (HOLDS, "U'.T*U' = n*G'", ""),
        (HOLDS, "V'*U' = sqrt(n)*W'", ""),
        (FAILS, "V'*U' = W'", ""),
        (HOLDS, "norm(V') = sqrt(n*tr(S'))", ""),
        # Blocks that vanish together; a block of two that vanishes although neither does.
        (UNDER, "W' = 0*W", "S = 0, G = 0, W = 0"),
        (FAILS, "tr(G') = 0", "W = 0"),
        (FAILS, "tr(S') = 0", "W = 0"),
        # A prime before the indices.
        (HOLDS, INDEXED + " + eta^2/n*Z_{ia} S_{ij} Z_{jb}", ""),
        (ASYMPTOTIC, INDEXED, ""),
        (FAILS, "W'_{ia} = W_{ia} - eta*(S_{ij} Z_{ja} - Z_{ib} G_{ba})", ""),
    ],
    # What holds of every state holds after the step.
    "velocity": [
        (HOLDS, "x3' >= 0", ""),
        (FAILS, "x3' > 0", ""),
        # A parameter that the hypotheses give in terms of the state.
        (UNDER, "x2' = beta*(x2 + beta*x3)", "f = y"),
        (FAILS, "x2' = beta*x2", "f = y"),
    ],
    "decay": [
        # omega = 0 meets these hypotheses too.
        (FAILS, "eta = 1", "eta*omega = omega"),
        (UNDER, "eta*omega^2 = omega^2", "eta = 1"),
        (UNDER, "omega = 1/2", "eta*omega = eta/2"),
        (FAILS, "omega > 0", ""),
        (UNDER, "tr(G) = d", "G = I"),
    ],
    "momentum": [(FAILS, "beta > 0", ""), (HOLDS, "beta >= 0", "")],
    "softmax": [
        (HOLDS, "loss >= 0", ""),
        (FAILS, "loss >= 5", ""),
        (FAILS, "loss <= 5", ""),
        (FAILS, "loss <= loss'", ""),
        (FAILS, "loss = 0", ""),
    ],
    "logistic": [(HOLDS, "loss >= 0", ""), (FAILS, "loss >= 5", "")],
}
CASES = [
    (name, claim, where, status)
    for name, rows in CLAIMS_OF.items()
    for status, claim, where in rows
]


@cache
def update_map(name):
    model, options, loss, optimizer = RECIPES[name]
    return derive(model(**options), loss=loss, optimizer=optimizer)


@pytest.mark.parametrize(("name", "claim", "where", "status"), CASES)
def test_a_trap_is_judged_right(name, claim, where, status):
    assert verify(claim, update_map(name), where=where or None).status == status


@pytest.mark.parametrize(
    ("scaling", "status"),
    [
        ("f = O(n^(1/4))", ASYMPTOTIC),
        ("f = O(n^(1/2))", FAILS),
        ("eta = O(1/n^(1/4))", ASYMPTOTIC),
        ("eta = O(n^-0.25)", ASYMPTOTIC),
    ],
)
def test_scalings_are_any_power_of_the_width(scaling, status):
    assert verify("lam' = lam", update_map("uv"), scaling=scaling).status == status


def test_functions_of_different_matrices_stay_apart_where_they_are_shown():
    verdict = verify("log(tr(G)) = log(tr(S))", update_map("many"))
    assert {str(s) for s in verdict.difference.free_symbols} == {"log(tr(G))", "log(tr(S))"}


@pytest.mark.parametrize(
    ("claim", "where", "words"),
    [
        ("V' = V - eta/sqrt(n)*Z*U.T", None, "V' by itself is no function of the blocks"),
        ("norm(V' - V) = 0", None, "V' by itself is no function of the blocks"),
        ("W' = V'*U", None, "V' by itself is no function of the blocks"),
        ("tr(I) = 1", None, "I of unknown size"),
        ("norm(I) = 1", None, "I of unknown size"),
        ("exp(I) = exp(1)", None, "I of unknown size"),
        ("I >= 0", None, "I of unknown size"),
        ("tr(G)/tr(g.T*g) = 7", "g = 0", "divides by zero"),
        ("tr(G)/tr(g.T*g) <= 7", "g = 0", "divides by zero"),
    ],
)
def test_what_means_nothing_is_refused_with_the_remedy(claim, where, words):
    with pytest.raises(ClaimError, match=words):
        verify(claim, update_map("many"), where=where)


@pytest.mark.parametrize("claim", ["(f' - f)/f = b - a", "f'/f >= 1 - a", "conserved: lam/f"])
def test_a_division_by_what_the_hypotheses_make_zero_is_refused(claim):
    with pytest.raises(ClaimError, match="divides by zero"):
        verify(claim, update_map("uv"), where="f = 0")


@pytest.mark.parametrize("optimizer", ["gd", "heavy_ball", "nesterov", "unnormalised_sam"])
def test_what_claims_say_of_a_step_is_what_the_kernel_computes(optimizer):
    step = derive(models.linear(inputs=2, outputs=2), optimizer=optimizer)
    drawn = states(MatrixVocabulary.of(step), Hypotheses(MatrixVocabulary.of(step), {}, {}, ()))
    state = next(
        s for s in drawn if s.sizes["m"] == 2 and all(m.any() for m in s.matrices.values())
    )
    before = {s.name: state.matrices[s.name].astype(float) for s in step.variables}
    rest = {k: float(v) for k, v in (state.scalars | {"n": state.sizes["n"]}).items()}
    seen = {"X": state.matrices["X"].astype(float), "Y": state.target.astype(float)}
    after = compiled(step, "array").step(*before.values(), **rest, **seen)
    for name, found in after._asdict().items():
        expected = state.updated(name).astype(float)
        assert np.abs(found - expected).max() <= 1e-12 * max(1, np.abs(expected).max())
        assert np.abs(found - before[name]).max() > 1e-3  # the control: the step moves it


def test_a_step_of_a_power_is_not_read():
    with pytest.raises(ClaimError, match="subscript"):
        verify(r"(f)^{2}_{t+1} = f_t^2 \left(1 - a + b\right)^2", update_map("uv"))


def test_hypotheses_that_no_network_meets_are_said_to_be_so():
    verdict = verify("tr(S) >= 1", update_map("many"), where="tr(G) < 0")
    assert "no state was found that meets" in verdict.hint


@pytest.mark.parametrize("claim", ["tr(G) >= 0", "tr(G) <= tr(G)", "tr(G) < 0", "tr(W*G) >= 0"])
def test_a_verdict_on_an_inequality_says_that_it_is_one(claim):
    assert verify(claim, update_map("many")).kind == "inequality"


def test_a_loss_that_may_be_negative_is_not_taken_for_a_square():
    y, f = sp.symbols("y f")
    shifted = derive(models.linear(outputs=1), loss=sp.exp(f - y) - sp.Rational(1, 10**9))
    assert verify("loss >= 0", shifted).status != HOLDS
    assert verify("sqrt(loss^2) = loss", shifted).status != HOLDS
    assert verify("loss >= 0", derive(models.linear(outputs=1), loss=sp.exp(f - y))).status == HOLDS


def test_losses_in_pieces_are_computed_with():
    from catapult_theory.symbolic.losses import huber

    hub = derive(models.linear(outputs=1), loss=huber(1))
    assert verify("loss >= 5", hub).status == FAILS
    assert verify("loss <= 5", hub).status == FAILS


R, X, Y = ring("x y", sp.QQ)


@pytest.mark.parametrize(("side", "proved"), [(-1, False), (1, True)])
def test_cases_by_a_sign_turn_the_facts_as_well(side, proved):
    """A fact about 5 x^2 + 5 side x y^2 + y^4 is one about the goal for one side alone."""
    region = tuple(Known(1 - 2000 * s * X, False, "narrow") for s in (1, -1))
    fact = 5 * X**2 + 5 * side * X * Y**2 + Y**4
    prover = Prover(R, facts=frozenset({fact}))
    assert bool(prover.prove(5 * X**2 + 5 * X * Y**2 + Y**4, False, region)) is proved


def test_the_sign_of_a_root_that_vanishes_is_not_told_from_its_rounding():
    x, y = sp.symbols("x y", positive=True)
    inside = (sp.sqrt(x) + sp.sqrt(y)) ** 2 - x - y - 2 * sp.sqrt(x * y + 0)
    at = {x: Fraction(2), y: Fraction(3)}
    vanishing = sp.sqrt(sp.Abs(inside))
    assert 0 < precise(vanishing, at) < 1e-25  # what sixty digits leave
    assert sign(vanishing, at) is None
    assert sign(sp.sqrt(sp.Abs(inside) + sp.Rational(1, 10**20)), at) == 1


# (u + v)^2 (P_u + P_v)^2 twice: true of networks of width 1, of no others.
SCALARS = "(x1 + x2)^2 = (lam + 2 f) (x3 + 2 P_u_P_v)"
NARROW_CLAIMS = [(SCALARS, "n = 1", OPEN), (SCALARS, None, FAILS),
                 (SCALARS.replace("2 P", "3 P"), "n = 1", FAILS)]  # fmt: skip


@pytest.mark.parametrize(("claim", "where", "status"), NARROW_CLAIMS)
def test_networks_narrower_than_their_vectors_are_many_are_not_refuted_by_wider_ones(
    claim, where, status
):
    ball = derive(models.uv(), "squared", "heavy_ball")
    assert verify(claim, ball, where=where).status == status


@pytest.mark.parametrize(("claim", "where", "status"), NARROW_CLAIMS)
def test_falsify_draws_networks_of_the_width_that_hypotheses_fix(claim, where, status):
    pytest.importorskip("z3")
    ball = derive(models.uv(), "squared", "heavy_ball")
    assert (falsify(claim, ball, where=where).status == "counterexample") is (status == FAILS)


def test_a_counterexample_is_as_wide_as_its_gram_matrix_has_rank():
    u, v = ct.vectors("u v")
    turned = derive(ct.Model(output=(u @ v) / ct.sqrt(u @ u), vectors=(u, v)))
    found = verify("lam' <= lam", turned, where="eta*lam < 2").counterexample
    assert found["n"] >= 2
    assert verify("u_u v_v = u_v^2", turned, where="n = 1").status == OPEN
    assert verify("u_u v_v = u_v^2", turned).status == FAILS
