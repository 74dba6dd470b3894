"""Losses by name and by expression: derived, differentiated, and exact against raw training."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from autograd import elementwise_grad

import catapult_theory as ct
from catapult_theory.networks import UVNetwork, train_network
from catapult_theory.networks import losses as raw
from catapult_theory.symbolic import losses
from catapult_theory.symbolic.losses import huber
from catapult_theory.symbolic.symbols import f, y
from catapult_theory.validation.problem import raw_loss

FULL = pytest.mark.full
ELEMENTWISE = ("squared", "logistic", "exponential", "huber")
OWN = {
    "log cosh": sp.log(sp.cosh(f - y)),
    "quartic": (f - y) ** 4 / 4,
    "pseudo-Huber": sp.sqrt(1 + (f - y) ** 2) - 1,
    "leaky squared": sp.Piecewise((f - y, f > y + 1), ((f - y) ** 2 / 2 + sp.Rational(1, 2), True)),
}


def data(loss):
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(6, 3)) / np.sqrt(3)
    if loss == "softmax_cross_entropy":
        return inputs, np.eye(3)[rng.integers(3, size=6)]
    return inputs, rng.choice([-1.0, 1.0], size=(6, 2))


def check(loss, model, sample=None, width=64, rate=0.5):
    result = ct.exactness(model, loss, n=width, eta_lam0=rate, data=sample)
    assert result.passed, str(result)


@pytest.mark.parametrize("loss", ELEMENTWISE)
def test_scalar_models_are_exact_with_every_loss(loss):
    check(loss, ct.models.uv(label=1))


@pytest.mark.parametrize("loss", losses.NAMED)
def test_matrix_models_are_exact_with_every_loss(loss):
    check(loss, "linear", data(loss))


@pytest.mark.parametrize(
    "loss", ["leaky squared", *(pytest.param(k, marks=FULL) for k in OWN if k != "leaky squared")]
)
def test_a_loss_of_ones_own_is_exact(loss):
    check(OWN[loss], ct.models.uv(label=1))
    check(ct.Loss(loss, OWN[loss]), "linear", data(loss))


@pytest.mark.full
@pytest.mark.parametrize("loss", [*losses.NAMED, *OWN])
@pytest.mark.parametrize(("width", "rate"), [(4, 2.5), (64, 5.0), (512, 2.5)])
def test_every_loss_is_exact_at_tiny_widths_and_in_divergence(loss, width, rate):
    own = OWN.get(loss, loss)
    check(own, "linear", data(loss), width, rate)
    if loss != "softmax_cross_entropy":
        check(own, ct.models.uv(label=1), None, width, rate)


@pytest.mark.parametrize("delta", [1, *(pytest.param(d, marks=FULL) for d in ("1/4", 3))])
def test_the_huber_loss_across_its_kink(delta):
    """Orbits that pass |f - y| = delta in both directions, at a kink where the start lies."""
    check(huber(sp.Rational(delta)), ct.models.uv(label=2), width=32, rate=1.9)


@pytest.mark.parametrize("delta", [0.5, 1.0, 2.0])
def test_the_huber_slope_is_continuous_and_the_curvature_at_the_kink_is_that_inside(delta):
    loss = huber(delta)
    slope, bend = loss.derivative(), loss.derivative(2)
    for sign in (-1, 1):
        at = [slope.subs({y: 0, f: sign * (delta + h)}) for h in (-1e-12, 0, 1e-12)]
        assert max(abs(float(v) - sign * delta) for v in at) <= 2e-12
        assert bend.subs({y: 0, f: sign * delta}) == 1
        assert bend.subs({y: 0, f: sign * (delta + 1e-9)}) == 0


@pytest.mark.parametrize("delta", [sp.Rational(1, 2), 1])
def test_the_huber_slope_is_the_derivative_of_its_pieces(delta):
    loss = huber(delta)
    pieces = sp.diff(loss.expression, f)
    assert loss.derivative().has(sp.Max)
    assert not loss.derivative().has(sp.Piecewise)
    for value in (-3, -delta, sp.Rational(-1, 5), 0, sp.Rational(1, 3), delta, 2):
        assert loss.derivative().subs({f: value, y: 0}) == pieces.subs({f: value, y: 0})
    assert loss.derivative().subs({f: 3, y: 0}) != huber(2 * delta).derivative().subs({f: 3, y: 0})


def test_a_piecewise_loss_of_ones_own_under_normalised_gradients_is_exact():
    """The gradient norm is a condition on something piecewise: it is written with and, or."""
    own = sp.Piecewise((2 * (f - y) ** 2, f > y), ((f - y) ** 2 / 2, True))
    assert not ct.derive(ct.models.uv(label=1), own, "normalised").updates[f].has(sp.ITE)
    result = ct.exactness(ct.models.uv(label=1), own, "normalised", n=64, eta_lam0=0.5)
    assert result.passed, str(result)


@pytest.mark.parametrize("backend", ["llvm", "c", pytest.param("numba", marks=FULL)])
def test_backends_agree_on_both_sides_of_the_kink_and_on_it(backend):
    uv = ct.derive(ct.models.uv(label=1), "huber")
    states = {"f": np.array([-3.0, 0.0, 0.5, 2.0, 2.0 + 1e-15, 7.0]), "lam": 2.0}
    want = ct.compile(uv, "array").run(states, 1, eta=0.7, n=1e3)
    got = ct.compile(uv, backend).run(states, 1, eta=0.7, n=1e3)
    for name in ("f", "lam"):
        assert np.allclose(got.state[name], want.state[name], rtol=4 * 2.0**-52, atol=0)


@pytest.mark.parametrize("loss", ELEMENTWISE)
def test_raw_losses_are_the_symbolic_ones(loss):
    """Written by hand on one side, by SymPy on the other; their slopes by autograd as well."""
    own, theirs = raw.get(loss), losses.get(loss)
    F, Y = np.linspace(-3, 3, 13)[:, None], np.ones((13, 1))
    value = sp.lambdify([f, y], theirs.expression, "numpy")(F, Y)
    slope = sp.lambdify([f, y], theirs.derivative(), "numpy")(F, Y)
    assert np.allclose(own.per_sample(F, Y)[:, None], value, rtol=1e-13, atol=1e-15)
    assert np.allclose(own.gradient(F, Y), slope, rtol=1e-13, atol=1e-15)
    callable_loss = raw_loss(theirs.expression)
    kink = np.abs(F - Y) != 1 if loss == "huber" else np.ones_like(F, dtype=bool)
    auto = elementwise_grad(callable_loss)(F, Y)
    assert np.allclose(auto[kink], own.gradient(F, Y)[kink], rtol=1e-12)
    assert np.allclose(own.curvature(F, Y, F), F * own.curvature(F, Y, np.ones_like(F)))


def test_a_wrong_slope_is_told_apart():
    wrong = raw.OutputLoss(
        "wrong", raw.huber().per_sample, lambda F, Y: 1.001 * raw.huber().gradient(F, Y),
        raw.huber().curvature,
    )  # fmt: skip
    start = {"u": np.full(64, 0.3), "v": np.full(64, 0.2)}
    uv = ct.derive(ct.models.uv(label=1), "huber")
    first = {"f": 0.06 * 8.0, "lam": 0.13}
    want = ct.run(uv, first, 20, backend="array", eta=0.5, n=64.0).f.item()
    for loss, agrees in ((raw.huber(), True), (wrong, False)):
        found = train_network(UVNetwork(1.0), eta=0.5, steps=20, start=start, loss=loss)
        assert (abs(float(found.output) - want) < 1e-12) == agrees


MISTAKES = {
    "softmax of one number": (lambda: ct.derive(ct.models.uv(), "softmax_cross_entropy"), "k >= 2"),
    "unknown": (lambda: losses.get("hubert"), "huber"),
    "another symbol": (lambda: losses.get(sp.Symbol("z") * f), "z"),
    "no output": (lambda: losses.get(y**2), "does not depend"),
    "no width": (lambda: huber(0), "delta > 0"),
    "a text as width": (lambda: huber("1"), "number delta"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_refused(case):
    attempt, words = MISTAKES[case]
    with pytest.raises(ct.CatapultError) as caught:
        attempt()
    assert words in str(caught.value)


def test_exponential_loss_needs_signs_as_labels():
    inputs, _ = data("squared")
    with pytest.raises(ct.InputError, match="labels -1 and 1"):
        ct.train("linear", (inputs, np.zeros(6)), n=8, eta=0.1, steps=1, loss="exponential")
