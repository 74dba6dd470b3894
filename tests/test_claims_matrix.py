"""Claims about matrix models: one table of true and false ones, and what stands behind them.

The quantities that claims are compared with are checked against a raw gradient step on the
matrices of a network, which shares nothing with the engine.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from catapult_theory.errors import ClaimError
from catapult_theory.rigor import Verdict, verify
from catapult_theory.rigor.claims.contractions import COLUMN, ROW, Algebra, Atom, Contraction
from catapult_theory.rigor.claims.matrix_draws import states
from catapult_theory.rigor.claims.matrix_hypotheses import Hypotheses
from catapult_theory.rigor.claims.matrix_vocabulary import MatrixVocabulary
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive

HOLDS, ASYMPTOTIC, UNDER = "holds", "holds-asymptotically", "holds-under-hypotheses"
FAILS, OPEN = "fails", "not-checked"

RECIPES = {
    "one": (1, "squared", "gd"),
    "many": (None, "squared", "gd"),
    "decay": (None, "squared", "weight_decay"),
    "momentum": (None, "squared", "heavy_ball"),
    "logistic": (1, "logistic", "gd"),
    "softmax": (3, "softmax_cross_entropy", "gd"),
}


@pytest.fixture(scope="module")
def maps():
    return {
        name: derive(models.linear(outputs=k), loss=loss, optimizer=optimizer)
        for name, (k, loss, optimizer) in RECIPES.items()
    }


F = "f_alpha' = f_alpha - eta*Theta_{alpha beta}*ftilde_beta"
FULL = f"{F} + eta**2/(n*m)*(x_alpha·ζ)*(f.T*ftilde)"
THETA = (
    r"\Theta_{\alpha\beta}' = \Theta_{\alpha\beta} - \frac{\eta}{nm}\left[(x_\alpha\cdot\zeta) "
    r"f_\beta + (x_\beta\cdot\zeta) f_\alpha + \frac{2}{m} (x_\alpha\cdot x_\beta)(f^T\tilde f)"
    r"\right] + \frac{\eta^2}{n^2 m}\left[|v|^2 (x_\alpha\cdot\zeta)(x_\beta\cdot\zeta)"
    r" + (\zeta^T u^T u\zeta)(x_\alpha\cdot x_\beta)\right]"
)
FORM = (
    "ftilde.T*Theta'*ftilde = ftilde.T*Theta*ftilde"
    " + eta/n*|zeta|^2*(eta*ftilde.T*Theta*ftilde - 4*f.T*ftilde)"
)
W = "W' = W - eta*(S*Z + Z*G) + eta**2/n*Z*W.T*Z"
G = "G' = G - eta/n*(W.T*Z + Z.T*W) + eta**2/n*Z.T*S*Z"
S = "S' = S - eta/n*(Z*W.T + W*Z.T) + eta**2/n*Z*G*Z.T"

# (map, claim, hypotheses, scaling, status, order)
TABLE = [
    # Theory 3.3, in matrix notation, and the same with one thing wrong.
    ("many", W, None, None, HOLDS, None),
    ("many", W.replace("Z*W.T*Z", "Z*W*Z"), None, None, FAILS, None),
    ("many", W.replace("S*Z + Z*G", "Z*S + G*Z"), None, None, FAILS, None),
    ("many", W.replace("S*Z + Z*G", "S*Z - Z*G"), None, None, FAILS, None),
    ("many", W.replace("S*Z + Z*G", "S*Z"), None, None, FAILS, None),
    ("many", W.replace("- eta*(", "+ eta*("), None, None, FAILS, None),
    ("many", W.replace("eta*(", "2*eta*("), None, None, FAILS, None),
    ("many", W.replace("eta*(", "eta/n*("), None, None, FAILS, None),
    ("many", W.replace("+ eta**2", "- eta**2"), None, None, ASYMPTOTIC, 1),
    ("many", W.replace("/n*", "/n**2*"), None, None, ASYMPTOTIC, 1),
    ("many", W.replace("/n*", "/sqrt(n)*"), None, None, ASYMPTOTIC, 0.5),
    ("many", W.replace("/n*", "*"), None, None, FAILS, None),
    ("many", "W' = W - eta*(S*Z + Z*G)", None, None, ASYMPTOTIC, 1),
    ("many", "W' = W", None, None, FAILS, None),
    ("many", G, None, None, HOLDS, None),
    ("many", G.replace("Z.T*S*Z", "Z*S*Z.T"), None, None, FAILS, None),
    ("many", G.replace("W.T*Z + Z.T*W", "W.T*Z + W.T*Z"), None, None, ASYMPTOTIC, 1),
    ("many", G.replace("S*Z", "Z"), None, None, ASYMPTOTIC, 1),
    ("many", "G' = G", None, None, ASYMPTOTIC, 1),
    ("many", S, None, None, HOLDS, None),
    ("many", S.replace("Z*G*Z.T", "Z.T*G*Z"), None, None, FAILS, None),
    ("many", S.replace("Z*G*Z.T", "Z*Z.T"), None, None, ASYMPTOTIC, 1),
    ("many", S.replace("(Z*W.T + W*Z.T)", "(Z*W.T)"), None, None, ASYMPTOTIC, 1),
    ("many", "S' = S'.T", None, None, HOLDS, None),
    ("many", "W' = W'.T", None, None, FAILS, None),
    ("many", "Z = g.T*X/m", None, None, HOLDS, None),
    ("many", "Z = g.T*X", None, None, FAILS, None),
    ("many", "Z = X.T*g/m", None, None, FAILS, None),
    ("many", "W' - W = -eta/m*(S*g.T*X + g.T*X*G) + eta**2/(n*m**2)*g.T*X*W.T*g.T*X",
     None, None, HOLDS, None),
    ("many", "f' = X*W'.T", None, None, HOLDS, None),
    ("many", "g = f - Y", None, None, HOLDS, None),
    ("many", "g = f", None, None, FAILS, None),
    ("many", "g = f", "Y = 0", None, UNDER, None),
    ("many", "V*U = sqrt(n)*W", None, None, HOLDS, None),
    ("many", "V*U = n*W", None, None, FAILS, None),
    ("many", "U.T*U = n*G", None, None, HOLDS, None),
    ("many", "conserved: trace(G) - trace(S)", None, None, ASYMPTOTIC, 1),
    ("many", "trace(G)' - trace(S)' = trace(G) - trace(S) + eta**2/n*(tr(Z.T*S*Z) - tr(Z*G*Z.T))",
     None, None, HOLDS, None),
    ("many", "trace(G)' - trace(S)' = trace(G) - trace(S) - eta**2/n*(tr(Z.T*S*Z) - tr(Z*G*Z.T))",
     None, None, ASYMPTOTIC, 1),
    ("many", "tr(Z*W.T) = tr(W.T*Z)", None, None, HOLDS, None),
    ("many", "tr(Z*G*Z.T) = tr(Z.T*S*Z)", None, None, FAILS, None),
    ("many", "tr(S*W*G*W.T) = tr(G*W.T*S*W)", None, None, HOLDS, None),
    ("many", "tr(S*S*W*W.T) = tr(S*W*W.T)**2", None, None, FAILS, None),
    ("many", "loss = |g|^2/(2*m)", None, None, HOLDS, None),
    ("many", "loss = |g|^2/m", None, None, FAILS, None),
    ("many", "loss = |f|^2/(2*m)", None, None, FAILS, None),
    ("many", "loss = |f|^2/(2*m)", "Y = 0", None, UNDER, None),
    ("many", "grad_norm2 = tr(Z*G*Z.T) + tr(Z.T*S*Z)", None, None, HOLDS, None),
    ("many", "grad_norm2 = tr(Z*G*Z.T)", None, None, FAILS, None),
    ("many", "(W*(I + G))' = W' + W'*G'", None, None, HOLDS, None),
    ("many", "tr(I*S) = tr(S)", None, None, HOLDS, None),
    ("many", "S*S' = S'*S", None, None, ASYMPTOTIC, 1),
    # Theory 4.4, in index notation.
    ("one", FULL, None, None, HOLDS, None),
    ("one", F, None, None, ASYMPTOTIC, 1),
    ("one", F, None, "f = O(sqrt(n))", FAILS, None),
    ("one", FULL.replace("ftilde_beta", "f_beta"), None, None, FAILS, None),
    ("one", FULL.replace("ftilde_beta", "f_beta"), "Y = 0", None, UNDER, None),
    ("one", FULL.replace("ftilde_beta", "ftilde_alpha"), None, None, FAILS, None),
    ("one", FULL.replace("- eta", "+ eta"), None, None, FAILS, None),
    ("one", FULL.replace("(f.T*ftilde)", "(f.T*f)"), None, None, ASYMPTOTIC, 1),
    ("one", FULL.replace("(n*m)", "n"), None, None, ASYMPTOTIC, 1),
    ("one", FULL.replace("(n*m)", "(n*m**2)"), None, None, ASYMPTOTIC, 1),
    ("one", FULL.replace("eta**2", "eta"), None, None, ASYMPTOTIC, 1),
    ("one", FULL.replace("Theta_{alpha beta}", "Theta_{beta alpha}"), None, None, HOLDS, None),
    ("one", FULL.replace("Theta_{alpha beta}", "m*Theta_{alpha beta}"), None, None, FAILS, None),
    ("one", THETA, None, None, HOLDS, None),
    ("one", THETA.replace(r"\frac{2}{m}", r"\frac{1}{m}"), None, None, ASYMPTOTIC, 1),
    ("one", THETA.replace(r"\frac{2}{m}", "2"), None, None, ASYMPTOTIC, 1),
    ("one", THETA.replace("n^2 m", "n m"), None, None, FAILS, None),
    ("one", THETA.replace("n^2 m", "n^3 m"), None, None, ASYMPTOTIC, 1),
    ("one", THETA.replace(r"- \frac", r"+ \frac", 1), None, None, ASYMPTOTIC, 1),
    ("one", THETA.replace(r"(f^T\tilde f)", r"(f^T f)"), None, None, ASYMPTOTIC, 1),
    ("one", THETA.replace("f_\\beta", "f_\\alpha", 1), None, None, FAILS, None),
    ("one", THETA.replace("u^T u", "u u^T"), None, None, FAILS, None),
    ("one", r"\Theta_{\alpha\beta}' = \Theta_{\alpha\beta}", None, None, ASYMPTOTIC, 1),
    ("one", FORM, None, None, HOLDS, None),
    ("one", FORM.replace("- 4", "- 2"), None, None, ASYMPTOTIC, 1),
    ("one", FORM.replace("- 4", "+ 4"), None, None, ASYMPTOTIC, 1),
    ("one", FORM.replace("|zeta|^2", "|zeta|"), None, None, ASYMPTOTIC, 1),
    ("one", FORM.replace("/n", "/m"), None, None, FAILS, None),
    ("one", FORM.replace("4*f.T*ftilde", "4*ftilde.T*ftilde"), None, None, ASYMPTOTIC, 1),
    ("one", r"\zeta = \frac1m \sum_\alpha \tilde f_\alpha x_\alpha", None, None, HOLDS, None),
    ("one", r"\zeta = \sum_\alpha \tilde f_\alpha x_\alpha", None, None, FAILS, None),
    ("one", r"\zeta = \frac1m \sum_\alpha f_\alpha x_\alpha", None, None, FAILS, None),
    ("one", r"f_\alpha = w \cdot x_\alpha", None, None, HOLDS, None),
    ("one", r"L = \frac{1}{2m}\sum_{\alpha=1}^m (f_\alpha - y_\alpha)^2", None, None, HOLDS, None),
    ("one", r"L = \frac{1}{2m}\sum_\alpha f_\alpha^2", None, None, FAILS, None),
    ("one", r"\sum_\alpha f_\alpha = \sum_\alpha \tilde f_\alpha + \sum_\alpha y_\alpha",
     None, None, HOLDS, None),
    ("one", r"\sum_\alpha f_\alpha = \sum_\alpha \tilde f_\alpha", None, None, FAILS, None),
    ("one", r"\Theta_{\alpha\beta} = \frac1m (S\, x_\alpha\cdot x_\beta + x_\alpha^T G x_\beta)",
     None, None, HOLDS, None),
    ("one", r"\Theta_{\alpha\beta} = S\, x_\alpha\cdot x_\beta + x_\alpha^T G x_\beta",
     None, None, FAILS, None),
    ("one", r"\Theta_{\alpha\alpha} = \mathrm{tr}(\Theta)", None, None, HOLDS, None),
    ("one", r"\partial f", None, None, "refused", None),
    ("many", r"f_{\alpha i}' = f_{\alpha i} - \eta\Theta_{\alpha i\beta j}\tilde f_{\beta j}"
     r" + \frac{\eta^2}{n} x_{\alpha a} Z_{ja} W_{jb} Z_{ib}", None, None, HOLDS, None),
    ("many", r"f_{\alpha i}' = f_{\alpha i} - \eta\Theta_{\alpha i\beta j}\tilde f_{\beta j}",
     None, None, ASYMPTOTIC, 1),
    ("many", r"f_{\alpha i}' = f_{\alpha i} - \eta\Theta_{\alpha i\beta j}\tilde f_{\alpha j}",
     None, None, FAILS, None),
    ("many", "W_ia' = W_ia - eta*(S_ij*Z_ja + Z_ib*G_ba) + eta**2/n*Z_ib*W_jb*Z_ja",
     None, None, HOLDS, None),
    ("many", "W_ia' = W_ia - eta*(S_ij*Z_ja + Z_ib*G_ba) + eta**2/n*Z_ib*W_ja*Z_jb",
     None, None, ASYMPTOTIC, 1),
    # Other optimizers and losses.
    ("decay", W.replace("- eta*(S", "- eta*(1 - eta*omega)*(S").replace("W' = W",
     "W' = (1 - eta*omega)**2*W"), None, None, HOLDS, None),
    ("decay", W, None, None, FAILS, None),
    ("decay", W, "omega = 0", None, UNDER, None),
    ("decay", S.replace("S' = S", "S' = (1 - eta*omega)*S"), None, None, FAILS, None),
    ("momentum", W, "beta = 0", None, UNDER, None),
    ("momentum", W, None, None, FAILS, None),
    ("momentum", "Gamma_P_V_P_V' = Gamma_P_V_P_V'.T", None, None, HOLDS, None),
    ("logistic", W, None, None, HOLDS, None),
    ("logistic", FULL, None, None, HOLDS, None),
    ("logistic", "g = f - Y", None, None, FAILS, None),
    ("logistic", "W' = W - eta*(S*Z + Z*G)", None, None, ASYMPTOTIC, 1),
    ("logistic", W.replace("eta*(", "2*eta*("), None, None, FAILS, None),
    ("softmax", W, None, None, HOLDS, None),
    ("softmax", G, None, None, HOLDS, None),
    ("softmax", S.replace("- eta", "+ eta"), None, None, ASYMPTOTIC, 1),
    # Inequalities.
    ("one", "loss >= 0", None, None, HOLDS, None),
    ("one", "loss' <= loss", None, None, FAILS, None),
    ("one", "S >= 0", None, None, HOLDS, None),
    ("one", "S' >= 0", None, None, HOLDS, None),
    ("one", "S > 0", None, None, FAILS, None),
    ("one", "|zeta|^2 >= 0", None, None, HOLDS, None),
    ("one", "f.T*ftilde >= 0", None, None, FAILS, None),
    ("one", "f.T*ftilde >= 0", "Y = 0", None, UNDER, None),
    ("one", FORM.split(" = ")[0] + " <= ftilde.T*Theta*ftilde", None, None, FAILS, None),
    ("one", FORM.split(" = ")[0] + " <= ftilde.T*Theta*ftilde",
     "eta*ftilde.T*Theta*ftilde < 4*f.T*ftilde", None, UNDER, None),
    ("one", FORM.split(" = ")[0] + " <= ftilde.T*Theta*ftilde",
     "eta*ftilde.T*Theta*ftilde < 5*f.T*ftilde", None, FAILS, None),
    ("one", "lam' <= lam", None, None, FAILS, None),
    ("many", "trace(G) >= 0", None, None, HOLDS, None),
    ("many", "tr(Z*G*Z.T) >= 0", None, None, HOLDS, None),
    ("many", "tr(Z*W.T) >= 0", None, None, FAILS, None),
    ("many", "trace(G') <= trace(G)", None, None, FAILS, None),
    ("many", "trace(G)*trace(S) >= 0", None, None, HOLDS, None),
    ("many", "grad_norm2 >= 0", None, None, HOLDS, None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "claim", "where", "scaling", "status", "order"), TABLE)
def test_claim_is_judged(maps, name, claim, where, scaling, status, order) -> None:
    if status == "refused":
        with pytest.raises(ClaimError):
            verify(claim, maps[name])
        return
    verdict = verify(claim, maps[name], where=where, scaling=scaling)
    assert verdict.status == status, str(verdict)
    assert verdict.order == order
    _check_fields(verdict)


def _check_fields(verdict: Verdict) -> None:
    assert bool(verdict) is (verdict.status == HOLDS)
    assert (verdict.counterexample is not None) == (verdict.status == FAILS)
    assert bool(verdict.certificate) == (verdict.status in (HOLDS, UNDER))
    assert bool(verdict.hypotheses) or verdict.status != UNDER
    assert verdict.claim in str(verdict)


def test_half_of_the_table_is_false() -> None:
    false = [row for row in TABLE if row[4] in (FAILS, ASYMPTOTIC)]
    assert len(TABLE) >= 100
    assert 0.4 <= len(false) / len(TABLE) <= 0.65


# The quantities, against a raw step on the matrices of a network.


def _raw(k: int, loss: str, decay: float = 0.0):
    """Return named quantities of a network before and after a step, from its matrices alone."""
    rng = np.random.default_rng(7)
    m, d, n, eta = 4, 3, 9, 0.3
    V, U, X = rng.normal(size=(k, n)), rng.normal(size=(n, d)), rng.normal(size=(m, d))
    Y = np.sign(rng.normal(size=(m, k))) if loss != "squared" else rng.normal(size=(m, k))

    def slope(F):
        if loss == "squared":
            return F - Y
        return -Y / (1 + np.exp(Y * F)) if loss == "logistic" else None

    def named(V, U):
        F = X @ U.T @ V.T / np.sqrt(n)
        # Jacobian of every output by every parameter, one column at a time.
        jacobian = np.zeros((m, k, V.size + U.size))
        for i in range(k):
            for a in range(m):
                dV = np.zeros_like(V)
                dV[i] = U @ X[a] / np.sqrt(n)
                dU = np.outer(V[i], X[a]) / np.sqrt(n)
                jacobian[a, i] = np.concatenate([dV.ravel(), dU.ravel()])
        kernel = np.einsum("aip,bjp->aibj", jacobian, jacobian) / m
        gradient = np.einsum("ai,aip->p", slope(F), jacobian) / m
        return {
            "W": V @ U / np.sqrt(n), "G": U.T @ U / n, "S": V @ V.T / n, "f": F, "g": slope(F),
            "Z": slope(F).T @ X / m, "Theta": kernel, "Y": Y,
            "grad_norm2": (gradient**2).sum(), "loss": (slope(F) ** 2).sum() / (2 * m),
        }, gradient  # fmt: skip

    before, gradient = named(V, U)
    shift = eta * gradient
    V2 = (1 - eta * decay) * V - shift[: V.size].reshape(V.shape)
    U2 = (1 - eta * decay) * U - shift[V.size :].reshape(U.shape)
    after, _ = named(V2, U2)
    sizes = {"m": m, "d": d, "k": k, "n": n}
    return sizes, eta, {"X": X, "V": V, "U": U, **before}, after


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize(("loss", "decay"), [("squared", 0), ("logistic", 0), ("squared", 0.4)])
def test_values_before_and_after_are_those_of_a_raw_step(k, loss, decay) -> None:
    sizes, eta, before, after = _raw(k, loss, decay)
    optimizer = "weight_decay" if decay else "gd"
    update_map = derive(models.linear(outputs=k), loss=loss, optimizer=optimizer)
    words = MatrixVocabulary.of(update_map)
    state = next(iter(states(words, Hypotheses.of(words, ()))))
    state = type(state)(
        words,
        sizes,
        {"eta": Fraction(eta), "omega": Fraction(decay)},
        {name: _fractions(before[name]) for name in state.matrices},
    )
    names = ["W", "G", "S", "f", "g", "Z", "Theta"] + ["loss", "grad_norm2"] * (
        loss == "squared" and not decay
    )
    for name in names:
        for found, numbers in ((words.tensor(name), before), (words.tensor_after(name), after)):
            array = np.asarray(state.evaluated(found.value), dtype=float)
            order = sorted(found.value.sides)
            array = np.transpose(array, [order.index(s) for s in found.slots])
            expected = np.squeeze(np.asarray(numbers[name]))
            assert np.allclose(np.squeeze(array), expected, rtol=1e-11, atol=1e-12), name


def _fractions(array: np.ndarray) -> np.ndarray:
    return np.array([Fraction(x) for x in array.ravel()], dtype=object).reshape(array.shape)


def test_wrong_update_is_noticed_by_the_raw_step() -> None:
    _, _, before, after = _raw(2, "squared")
    wrong = before["W"] - 0.3 * (before["S"] @ before["Z"] + before["Z"] @ before["G"])
    assert abs(wrong - after["W"]).max() > 1e-6


# Normal forms.


def _random_words(seed: int):
    rng = np.random.default_rng(seed)
    atoms = {"A": Atom("A", "p", "q"), "H": Atom("H", "q", "q", True), "B": Atom("B", "q", "p")}
    numbers = {name: rng.integers(-3, 4, size=(2 if a.rows == "p" else 3,
               2 if a.columns == "p" else 3)) for name, a in atoms.items()}  # fmt: skip
    numbers["H"] = numbers["H"] + numbers["H"].T
    return rng, atoms, numbers, Algebra(frozenset({"H"}))


@pytest.mark.parametrize("seed", range(20))
def test_traces_of_random_words_have_equal_normal_forms_where_numbers_agree(seed) -> None:
    rng, atoms, numbers, algebra = _random_words(seed)
    found: dict[object, int] = {}
    for _ in range(60):
        word = ["A", *(["H"] * int(rng.integers(3))), "B"] * int(rng.integers(1, 3))
        turn = int(rng.integers(len(word)))
        word = word[turn:] + word[:turn]
        value, array = None, None
        flip = rng.random() < 0.5
        for name in reversed(word) if flip else word:
            own, number = Contraction.of(atoms[name]), numbers[name]
            if flip:
                own, number = algebra.renamed(own, {ROW: COLUMN, COLUMN: ROW}), number.T
            if value is None:
                value, array = own, number
                continue
            value = algebra.product(
                algebra.renamed(value, {COLUMN: "<j>"}), algebra.renamed(own, {ROW: "<j>"})
            )
            array = array @ number
        traced = algebra.traced(value, ROW, COLUMN)
        assert found.setdefault(traced.key, int(np.trace(array))) == int(np.trace(array))
    assert len(found) > 3
    assert len(set(found.values())) == len(found) or seed % 2


def test_counterexample_shows_matrices_and_sizes(maps) -> None:
    found = verify("W' = W - eta*(S*Z - Z*G)", maps["many"]).counterexample
    assert {"m", "d", "k", "n", "eta", "W", "G", "S", "X", "Y"} <= set(found)
    assert isinstance(found["W"], sp.MatrixBase)
    assert found.left != found.right
    numbers = {k: np.array(found[k].tolist(), dtype=float) for k in "WGSXY"}
    g = numbers["X"] @ numbers["W"].T - numbers["Y"]
    Z = g.T @ numbers["X"] / float(found["m"])
    eta, n = float(found["eta"]), float(found["n"])
    true = numbers["W"] - eta * (numbers["S"] @ Z + Z @ numbers["G"])
    true += eta**2 / n * Z @ numbers["W"].T @ Z
    assert np.allclose(true, np.array(found.left.tolist(), dtype=float))


def test_misfit_of_sizes_is_false_and_says_where(maps) -> None:
    verdict = verify("W' = W - eta*(Z*S + G*Z)", maps["many"])
    assert verdict.status == FAILS
    assert "cannot be multiplied" in str(verdict.counterexample)


def test_hypotheses_that_do_not_fit_are_refused(maps) -> None:
    with pytest.raises(ClaimError, match="in the hypotheses"):
        verify("W' = W", maps["many"], where="W = Z.T")


@pytest.mark.parametrize("text", [r"W' = \sum_{t+1} W", "W' = Σ W", r"W' = \sum_{ } W"])
def test_a_sum_without_an_index_is_refused(maps, text) -> None:
    with pytest.raises(ClaimError, match="lacks its index"):
        verify(text, maps["many"])
