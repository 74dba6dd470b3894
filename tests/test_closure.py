"""The closure engine derives the equations of the theory, and nothing that is not so."""

from __future__ import annotations

import pickle
import random

import autograd
import numpy as np
import pytest
import sympy as sp

from catapult_theory.errors import InputError, ModelError, NotClosed
from catapult_theory.symbolic import losses, models, optimizers
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.symbols import (
    Inner,
    beta,
    data,
    eta,
    f,
    lam,
    matrix,
    n,
    omega,
    relu,
    sqrt,
    vectors,
    y,
)
from catapult_theory.symbolic.update_map import UpdateMap

QUARTIC = (f - y) ** 4 / 4
SMOOTH_LOSSES = ["squared", "logistic", QUARTIC, sp.log(sp.cosh(f - y))]


def same(left: sp.Expr, right: sp.Expr) -> bool:
    return sp.simplify(sp.expand((left - right).rewrite(sp.exp))) == 0


@pytest.mark.parametrize("loss", SMOOTH_LOSSES, ids=str)
def test_uv_model_obeys_the_two_update_equations_for_any_smooth_loss(loss):
    uv = derive(models.uv(label=True), loss)
    g = losses.get(loss).derivative()
    assert uv.state._fields == ("f", "lam")
    assert uv.parameters._fields == ("eta", "n", "y")
    assert same(uv.updates[f], f - eta * lam * g + eta**2 / n * g**2 * f)
    assert same(uv.updates[lam], lam - 4 * eta / n * g * f + eta**2 / n * g**2 * lam)


def test_a_wrong_coefficient_is_told_apart():
    uv = derive(models.uv(label=True))
    g = f - y
    assert not same(uv.updates[lam], lam - 2 * eta / n * g * f + eta**2 / n * g**2 * lam)
    assert not same(uv.updates[f], f - eta * lam * f + eta**2 / n * g**2 * f)


def test_uv_model_without_label_takes_its_factored_form():
    uv = derive(models.uv())
    assert uv.updates[f] == f * (1 - eta * lam + eta**2 * f**2 / n)
    assert str(uv.updates[lam]) == "eta*f**2*(eta*lam - 4)/n + lam"


def test_substituting_a_label_equals_deriving_with_it():
    labelled = derive(models.uv(label=True))
    assert same(labelled.subs(y=0).updates[f], derive(models.uv()).updates[f])
    half = derive(models.uv(label=0.5))
    assert same(labelled.subs(y=sp.Rational(1, 2)).updates[lam], half.updates[lam])
    assert labelled.subs(y=0).parameters._fields == ("eta", "n")


def test_imbalance_is_carried_and_only_rescaled():
    uv = derive(models.uv(label=True), observables=("Delta",))
    delta = uv.state.Delta
    assert same(uv.updates[delta], (1 - eta**2 * (f - y) ** 2 / n) * delta)
    assert uv.state._fields == ("f", "lam", "Delta")


def test_domain_of_the_uv_model_is_cauchy_schwarz():
    uv = derive(models.uv())
    margins = {relation.lhs for relation in uv.domain}
    assert margins == {lam - 2 * f / sqrt(n), lam + 2 * f / sqrt(n)}


def test_balanced_labelled_model_is_a_cubic_map():
    q, c = sp.symbols("q c", real=True)
    uv = derive(models.uv(label=True))
    balanced = {f: q * sqrt(n) / eta, lam: 2 * q / eta, y: c * sqrt(n) / eta}
    e = q - c
    image = sp.expand(uv.updates[f].subs(balanced, simultaneous=True) * eta / sqrt(n) - c)
    assert sp.expand(image - (e**3 + (c - 2) * e**2 + (1 - 2 * c) * e)) == 0


def test_weight_decay_multiplies_the_frame():
    uv = derive(models.uv(), optimizer="weight_decay")
    d = 1 - eta * omega
    assert same(uv.updates[f], d**2 * f - d * eta * f * lam + eta**2 * f**3 / n)
    assert same(uv.updates[lam], d**2 * lam - 4 * d * eta * f**2 / n + eta**2 * f**2 * lam / n)


def test_heavy_ball_closes_on_six_invariants_and_reduces_to_descent():
    uv = derive(models.uv(label=True), optimizer="heavy_ball")
    assert len(uv.state) == 6
    assert uv.state._fields[:2] == ("f", "lam")
    at_rest = {s: 0 for s in uv.variables[2:]} | {beta: 0}
    plain = derive(models.uv(label=True))
    for s in (f, lam):
        assert same(uv.updates[s].subs(at_rest), plain.updates[s])


@pytest.mark.parametrize(
    ("rule", "threshold"),
    [
        (optimizers.gd(), 2),
        (optimizers.heavy_ball(), 2 * (1 + beta)),
        (optimizers.gd(weight_decay=True), 2 - eta * omega),
    ],
    ids=["gd", "heavy ball", "weight decay"],
)
def test_stability_threshold_is_found_from_the_step(rule, threshold):
    assert sp.expand(rule.stability_threshold() - threshold) == 0


@pytest.mark.parametrize("label", [0, sp.Rational(3, 10)])
@pytest.mark.parametrize("width", [1, 2, 3, 7])
def test_sharpness_is_the_top_eigenvalue_of_the_full_hessian(label, width):
    uv = derive(models.uv(label=label))
    rng = np.random.default_rng(width)
    theta = rng.normal(size=2 * width)

    def loss(theta):
        out = autograd.numpy.dot(theta[:width], theta[width:]) / np.sqrt(width)
        return 0.5 * (out - float(label)) ** 2

    top = np.linalg.eigvalsh(autograd.hessian(loss)(theta))[-1]
    phi = theta.reshape(2, width).T
    state = uv.state_from_gram(phi.T @ phi / width, width)
    values = {s: float(state[s.name]) for s in uv.variables} | {n: width}
    assert float(uv.observables["sharpness"].subs(values)) == pytest.approx(top, rel=1e-12)


def exact_matrices(seed: int, d: int, k: int, m: int) -> dict[str, sp.Matrix]:
    rng = random.Random(seed)

    def draw(rows: int, cols: int) -> sp.Matrix:
        return sp.Matrix(
            rows, cols, lambda i, j: sp.Rational(rng.randint(-5, 5), rng.randint(1, 3))
        )

    half, other = draw(d, d), draw(k, k)
    return {
        "W": draw(k, d),
        "G": half + half.T,
        "S": other + other.T,
        "X": draw(m, d),
        "Y": draw(m, k),
    }


def evaluate(
    update_map: UpdateMap, values: dict[str, sp.Matrix], numbers: dict
) -> dict[str, sp.Matrix]:
    m, d = values["X"].shape
    sizes = {"m": m, "d": d, "k": values["Y"].shape[1]}
    table: dict = {}

    def fix(expression):
        by_size = {s: sizes[s.name] for s in expression.free_symbols if s.name in sizes}
        fixed = expression.subs(by_size)
        named = {s: sp.ImmutableMatrix(values[s.name]) for s in fixed.atoms(sp.MatrixSymbol)}
        return fixed.subs({**named, **numbers}).doit().as_explicit()

    for s, e in update_map.definitions.items():
        values = {**values, s.name: fix(e)}
    for s, e in update_map.updates.items():
        table[s.name] = fix(e)
    return table


@pytest.mark.parametrize(("d", "k", "m"), [(3, 1, 4), (2, 3, 5)])
def test_linear_network_obeys_the_three_matrix_equations(d, k, m):
    derived = derive(models.linear(inputs=d, outputs=k))
    v = exact_matrices(d + k, d, k, m)
    h, width = sp.Rational(1, 7), sp.Integer(11)
    new = evaluate(derived, v, {eta: h, n: width})
    W, G, S, X = v["W"], v["G"], v["S"], v["X"]
    Z = (X * W.T - v["Y"]).T * X / m
    assert new["W"] == W - h * (S * Z + Z * G) + h**2 / width * Z * W.T * Z
    assert new["G"] == G - h / width * (W.T * Z + Z.T * W) + h**2 / width * Z.T * S * Z
    assert new["S"] == S - h / width * (Z * W.T + W * Z.T) + h**2 / width * Z * G * Z.T
    assert new["S"] != S - h / width * (2 * Z * W.T) + h**2 / width * Z * G * Z.T or k == 1


def raw_linear(theta, X, width):
    V, U = theta
    return X @ U.T @ V.T / np.sqrt(width)


@pytest.mark.parametrize("rule", ["gd", "heavy_ball", "weight_decay"])
@pytest.mark.parametrize("named", [True, False], ids=["named blocks", "whole Gram matrix"])
def test_matrix_models_follow_raw_training(rule, named):
    d, k, m, width, h, momentum, decay = 3, 2, 4, 5, 0.05, 0.7, 0.1
    V, U, X = matrix("V", rows=k), matrix("U", cols=d), data("X", cols=d)
    model = (
        models.linear(d, k)
        if named
        else Model(output=X @ U.T @ V.T / sqrt(n), matrices=(V, U), data=X)
    )
    derived = derive(model, optimizer=rule)
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=(m, d)), rng.normal(size=(m, k))
    v, u = rng.normal(size=(k, width)), rng.normal(size=(width, d))

    def state():
        phi = np.hstack([v.T, u])
        return derived.state_from_gram(phi.T @ phi / width, width)

    start = state()
    values = {s.name: sp.Matrix(start[s.name]) for s in derived.variables}
    values |= {"X": sp.Matrix(x), "Y": sp.Matrix(t)}
    new = evaluate(derived, values, {eta: h, n: width, beta: momentum, omega: decay})
    residual = (x @ u.T @ v.T / np.sqrt(width) - t) / m
    gv, gu = residual.T @ x @ u.T / np.sqrt(width), v.T @ residual.T @ x / np.sqrt(width)
    if rule == "weight_decay":
        gv, gu = gv + decay * v, gu + decay * u
    v, u = v - h * gv, u - h * gu
    after = state()
    for s in derived.variables:
        if "P" in s.name:
            continue
        got = np.array(new[s.name], dtype=float)
        size = (k + d) if not named else None
        assert np.allclose(got[:size, :size], after[s.name][:size, :size], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("loss", ["squared", "softmax_cross_entropy", "logistic"])
def test_matrix_maps_survive_json_and_pickle(loss):
    derived = derive(models.linear(outputs=3), loss, optimizers.heavy_ball(weight_decay=True))
    assert UpdateMap.from_json(derived.to_json()) == derived
    assert pickle.loads(pickle.dumps(derived)) == derived


@pytest.mark.parametrize("rule", ["gd", "heavy_ball", "weight_decay"])
@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_scalar_maps_survive_json_and_pickle(loss, rule):
    derived = derive(models.uv(label=True), loss, rule)
    assert UpdateMap.from_json(derived.to_json()) == derived
    assert pickle.loads(pickle.dumps(derived)) == derived


def random_model(seed: int) -> tuple[Model, list, int]:
    """An output up to cubic in the inner products of three to five vectors."""
    rng = random.Random(seed)
    p = rng.choice([3, 4, 5])
    frame = vectors(" ".join("abcde"[:p]))
    pairs = [(i, j) for i in range(p) for j in range(i, p)]
    terms = [
        (rng.choice([-2, -1, 1, 2]), [rng.choice(pairs) for _ in range(rng.choice([1, 2, 3]))])
        for _ in range(rng.choice([1, 2]))
    ]
    output = sp.Add(*(c * sp.Mul(*(frame[i] @ frame[j] / n for i, j in t)) for c, t in terms))
    return Model(output=output * sqrt(n), vectors=frame, label=0.3), terms, p


def raw_output(phi, terms):
    width = phi.shape[0]
    total = 0.0
    for c, factors in terms:
        product = c
        for i, j in factors:
            product = product * autograd.numpy.dot(phi[:, i], phi[:, j]) / width
        total = total + product
    return total * np.sqrt(width)


@pytest.mark.parametrize(
    "seed", [0, 2, 3, 7, *(pytest.param(s, marks=pytest.mark.full) for s in (5, 11))]
)
def test_random_models_follow_automatic_differentiation(seed):
    model, terms, p = random_model(seed)
    derived = derive(model)
    width, h = 6, 0.01
    phi = np.random.default_rng(seed).normal(size=(width, p)) / 2
    start = derived.state_from_gram(phi.T @ phi / width, width)
    step = sp.lambdify([*derived.variables, *derived.constants], [*derived.updates.values()])
    arguments = [float(start[s.name]) for s in derived.variables]

    def stepped(rate: float) -> list[float]:
        named = {"eta": rate, "n": width}
        return step(*arguments, *(named[c.name] for c in derived.constants))

    slope = autograd.grad(lambda w: 0.5 * (raw_output(w, terms) - 0.3) ** 2)(phi)
    phi = phi - h * slope
    after = derived.state_from_gram(phi.T @ phi / width, width)
    target = np.array([float(after[s.name]) for s in derived.variables])
    # one step sums a few dozen terms of order one: 1e-13 is some hundred units in the last place
    assert np.abs(stepped(h) - target).max() <= 1e-13 * max(1.0, *map(abs, arguments))
    assert np.abs(stepped(1.001 * h) - target).max() > 1e-10


def test_what_does_not_close_says_which_term_leaves_first():
    u, v = vectors("u v")
    with pytest.raises(NotClosed) as caught:
        derive(Model(output=v @ relu(u) / sqrt(n), vectors=(u, v)))
    assert caught.value.term == "<relu(u),v>"
    with pytest.raises(NotClosed) as caught:
        derive(models.uv(), optimizer="adam")
    assert caught.value.term == "grad_i^2"
    V, H, U, X = matrix("V", rows=1), sp.MatrixSymbol("H", n, n), matrix("U", cols=3), data("X")
    with pytest.raises(NotClosed) as caught:
        derive(Model(output=X @ U.T @ H.T @ V.T, matrices=(V, H, U), data=X))
    assert caught.value.term == "H.T*H"
    assert pickle.loads(pickle.dumps(caught.value)).term == "H.T*H"


U_, V_ = vectors("u v")


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: derive(models.uv(), "sqared"), InputError, "did you mean 'squared'"),
        (lambda: derive(models.uv(), optimizer="heavyball"), InputError, "heavy_ball"),
        (lambda: models.get("uvv"), InputError, "did you mean 'uv'"),
        (lambda: derive(models.uv(), "softmax_cross_entropy"), ModelError, "logistic"),
        *(
            (lambda loss=loss: derive(models.uv(), loss), InputError, "needs a label of +1 or -1")
            for loss in ("logistic", "exponential", sp.cosh(f * y))
        ),
        (lambda: derive("uv"), ModelError, "ct.Model"),
        (lambda: derive(models.uv(), sp.Symbol("z") ** 2), ModelError, "f and y alone"),
        (lambda: derive(models.uv(), y**2), ModelError, "does not depend"),
        (lambda: models.uv(label=float("nan")), ModelError, "finite"),
        (lambda: models.uv(label="one"), ModelError, "label must be"),
        (lambda: models.linear(inputs=0), InputError, "positive integer"),
        (lambda: optimizers.heavy_ball(beta=1.5), InputError, "[0, 1)"),
        (lambda: optimizers.gd(weight_decay=-1), InputError, "non-negative"),
        (lambda: Model(output=U_ @ V_), ModelError, "vectors="),
        (lambda: Model(output=n, vectors=(U_, V_)), ModelError, "no inner product"),
        (lambda: derive(Model(output=U_ @ V_, vectors=(U_,))), ModelError, "missing"),
        (
            lambda: Model(output=sp.Symbol("steps") * (U_ @ V_), vectors=(U_, V_)),
            ModelError,
            "rename",
        ),
        (lambda: matrix("V"), ModelError, "exactly one"),
        (lambda: derive(models.uv()).subs(etta=1), InputError, "did you mean 'eta'"),
        (lambda: derive(models.uv(), observables=("Delt",)), InputError, "did you mean 'Delta'"),
        (lambda: UpdateMap.from_json("{}"), InputError, "to_json"),
        (lambda: derive(models.uv()).state_from_gram(np.eye(3), 4), InputError, "(..., p, p)"),
    ],
)
def test_bad_input_gets_one_clear_error(make, error, says):
    with pytest.raises(error) as caught:
        make()
    assert says in str(caught.value)


def test_json_names_only_admitted_nodes():
    text = derive(models.uv()).to_json().replace('"Mul"', '"eval"', 1)
    with pytest.raises(InputError, match="not admitted"):
        UpdateMap.from_json(text)


def test_derivation_leads_from_the_gradient_to_the_result():
    text = derive(models.uv(label=True)).derivation()
    order = ["Gamma = Phi^T Phi / n", "grad L", "Phi' = Phi M", "smallest set", "f' =", "Delta' ="]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert r"\lambda_{t+1}" in derive(models.uv()).latex()


def test_a_named_observable_enters_the_state():
    u, v = vectors("u v")
    model = Model(output=u @ v / sqrt(n), vectors=(u, v), observables={"r": u @ u / n})
    derived = derive(model)
    assert derived.state._fields == ("f", "lam", "r")
    assert derived.gram[derived.state.r] == Inner(*sp.symbols("u u", real=True)) / n


def test_a_model_of_one_vector_follows_raw_training():
    (u,) = vectors("u")
    derived = derive(Model(output=u @ u / sqrt(n) - 1, vectors=(u,), label=1))
    width, h = 5, 0.01
    theta = np.random.default_rng(0).normal(size=width)

    def loss(theta):
        return 0.5 * (autograd.numpy.dot(theta, theta) / np.sqrt(width) - 2) ** 2

    start = derived.state_from_gram(np.array([[theta @ theta / width]]), width)
    step = sp.lambdify([*derived.variables, *derived.constants], [*derived.updates.values()])
    moved = theta - h * autograd.grad(loss)(theta)
    after = derived.state_from_gram(np.array([[moved @ moved / width]]), width)
    (new,) = step(float(start["f"]), h, width)
    assert new == pytest.approx(float(after["f"]), rel=1e-13)
    assert step(float(start["f"]), 1.001 * h, width)[0] != pytest.approx(new, rel=1e-9)
    top = np.linalg.eigvalsh(autograd.hessian(loss)(theta))[-1]
    found = derived.observables["sharpness"].subs({f: float(start["f"]), n: width})
    assert float(found) == pytest.approx(top, rel=1e-12)


@pytest.mark.parametrize("label", [False, True])
def test_an_update_is_shown_in_a_clearly_shorter_form_and_stored_as_it_was(label):
    found = derive(models.uv(label), optimizer="weight_decay")
    stored = found.updates[found.variables[1]]
    shown = str(found).splitlines()[1].removeprefix("lam' = ")
    assert len(shown) < 0.87 * len(str(stored))
    names = {s.name: s for s in (*found.variables, *found.constants)}
    assert sp.simplify(sp.sympify(shown, locals=names) - stored) == 0
    assert sp.simplify(sp.sympify(shown, locals=names) - stored * (1 + names["eta"])) != 0
    assert UpdateMap.from_json(found.to_json()).updates == found.updates


@pytest.mark.parametrize("optimizer", ["gd", "heavy_ball", "nesterov"])
def test_an_update_that_no_gathering_shortens_is_shown_as_it_is_stored(optimizer):
    found = derive(models.uv(), optimizer=optimizer)
    assert str(found).splitlines()[:-1] == [f"{s}' = {e}" for s, e in found.updates.items()]
