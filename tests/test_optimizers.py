"""Every optimizer of `ct.optimizers` is derived, and exact against raw training.

Brute force (`networks/composite.py`) is written by hand and shares no formula with the engine.
Tolerances and regimes are those of `ct.exactness`; each comparison is run again with the eta^2
terms a thousandth too large, which must fail.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest
import sympy as sp

import catapult_theory as ct
from catapult_theory.networks import Composite, UVNetwork, train_network
from catapult_theory.symbolic.batches import Batches
from catapult_theory.symbolic.optimizer import GRAD_NORM
from catapult_theory.symbolic.symbols import beta, clip, eta, f, lam, n, omega, rho

NUMBERS = {"beta": 0.5, "omega": 0.05, "rho": 0.1, "clip": 0.3}
CLOSING = sorted(set(ct.optimizers.NAMED) - {"adam", "sign_descent"})
COMPOSED = {
    "clipped heavy ball": ct.optimizers.clipped("heavy_ball"),
    "sam with momentum": ct.optimizers.sam("heavy_ball"),
    "unnormalised sam with decay": ct.optimizers.unnormalised_sam("weight_decay"),
    "normalised, decoupled": ct.optimizers.normalised(ct.optimizers.decoupled("heavy_ball")),
    "nesterov with decay": ct.optimizers.nesterov(weight_decay=True),
    "torch nesterov with decay": ct.optimizers.torch_nesterov(weight_decay=True),
    "clipped sam": ct.optimizers.clipped(ct.optimizers.sam()),
    "nesterov on batches": ct.optimizers.batched("nesterov", 2, "replacement", seed=3),
    "clipped on batches": ct.optimizers.batched(ct.optimizers.clipped(), 3),
    "everything": ct.optimizers.batched(
        ct.optimizers.clipped(ct.optimizers.sam(ct.optimizers.nesterov(weight_decay=True))), 2
    ),
}
# By default one of each kind; each part alone is checked by name.
SHORT = ("clipped sam", "clipped on batches", "normalised, decoupled")
FULL = pytest.mark.full
REGIMES = {"tame": (128, 1.5), "tiny": (3, 2.5), "divergent": (64, 5.0)}


def samples(outputs=1):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(6, 3)) / np.sqrt(3)
    return inputs, rng.choice([-1.0, 1.0], size=(6, outputs))


@functools.cache
def uv(label, name):
    """The uv-model under an optimizer, derived once."""
    return ct.derive(ct.models.uv(label=label), optimizer=name)


def values_of(rule):
    return {s.name: NUMBERS[s.name] for s in rule.parameters if s != eta}


def check(rule, model, data=None, regime="tame", **more):
    width, rate = REGIMES[regime]
    result = ct.exactness(
        model, optimizer=rule, n=width, eta_lam0=rate, data=data, **values_of(rule), **more
    )
    assert result.passed, str(result)
    assert result.tolerance <= 1e-12


@pytest.mark.parametrize("regime", ["tame", pytest.param("tiny", marks=FULL)])
@pytest.mark.parametrize("name", CLOSING)
def test_each_optimizer_by_name_is_exact_on_a_linear_network(name, regime):
    check(ct.optimizers.get(name), "linear", samples(), regime)


@pytest.mark.parametrize(("name", "regime"), [("sam", "tiny"), ("clipped", "tame")])
def test_optimizers_are_exact_on_the_uv_model(name, regime):
    check(ct.optimizers.get(name), ct.models.uv(label=1), regime=regime)


@pytest.mark.full
@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("name", sorted(set(CLOSING) - {"sgd"}))
def test_each_optimizer_by_name_is_exact_on_the_uv_model(name, regime):
    check(ct.optimizers.get(name), ct.models.uv(label=1), regime=regime)


@pytest.mark.parametrize(
    "name", [n if n in SHORT else pytest.param(n, marks=FULL) for n in COMPOSED]
)
def test_compositions_are_exact(name):
    check(COMPOSED[name], "linear", samples())


@pytest.mark.full
@pytest.mark.parametrize("regime", ["tiny", "divergent"])
@pytest.mark.parametrize("name", COMPOSED)
def test_compositions_are_exact_in_all_regimes(name, regime):
    check(COMPOSED[name], "linear", samples(2), regime)


SCHEDULES = {
    "cosine with warm-up": ct.schedules.cosine(1.0, 180, floor=0.1, warmup=20),
    "staircase": ct.schedules.staircase(1.0, 50, drop=0.5),
    "table": ct.schedules.table(np.linspace(1.0, 0.2, 7)),
}


@pytest.mark.parametrize("name", [pytest.param("heavy_ball", marks=FULL), "torch_heavy_ball"])
def test_both_conventions_of_momentum_are_exact_under_a_schedule(name):
    rule = ct.optimizers.get(name)
    check(rule, "linear", samples(), schedule=SCHEDULES["cosine with warm-up"])


def test_momentum_itself_may_be_scheduled():
    rising = ct.schedules.linear(0.8, 100, floor=0.25)
    result = ct.exactness("linear", optimizer="nesterov", n=64, data=samples(), beta=rising)
    assert result.passed, str(result)


@pytest.mark.full
@pytest.mark.parametrize("schedule", ["cosine with warm-up", "staircase"])
@pytest.mark.parametrize("name", CLOSING)
def test_every_optimizer_is_exact_under_every_schedule(name, schedule):
    rule = ct.optimizers.get(name)
    check(rule, "linear", samples(), schedule=SCHEDULES[schedule])
    if name != "sgd":
        check(rule, ct.models.uv(label=1), regime="tiny", schedule=SCHEDULES[schedule])


def test_the_conventions_agree_at_a_fixed_rate_and_part_under_a_schedule():
    start = ct.gaussian_start(seed=1)
    same = {"n": 100.0, "beta": 0.5}
    f_of = {}
    for name in ("heavy_ball", "torch_heavy_ball"):
        for kind, rate in (("fixed", 0.4), ("stairs", ct.schedules.staircase(0.4, 5, drop=0.5))):
            f_of[name, kind] = ct.run(uv(1, name), start, 12, eta=rate, **same).f.item()
    ours, theirs = "heavy_ball", "torch_heavy_ball"
    assert f_of[ours, "fixed"] == pytest.approx(f_of[theirs, "fixed"], rel=1e-13)
    assert f_of[ours, "stairs"] != pytest.approx(f_of[theirs, "stairs"], rel=1e-3)


@pytest.mark.parametrize("name", ["adam", "sign_descent"])
def test_coordinatewise_optimizers_do_not_close(name):
    with pytest.raises(ct.NotClosed) as caught:
        ct.derive(ct.models.uv(), optimizer=name)
    assert "grad_i" in caught.value.term


@FULL
def test_what_the_engine_finds_for_nesterov_is_the_step_on_vectors():
    """Against the raw step, symbolically: two components, exact rational numbers."""
    uv = ct.derive(ct.models.uv(), optimizer="nesterov")
    u, v, p, q = (sp.Matrix(x) for x in ([1, 2], [3, -1], [1, 1], [0, 2]))
    b, rate = sp.Rational(1, 2), sp.Rational(1, 3)
    x, z = u + b * p, v + b * q
    slope = x.dot(z) / sp.Integer(2)
    new = [b * p - rate * slope * z, b * q - rate * slope * x]
    moved = [u + new[0], v + new[1]]
    given = {eta: rate, n: 2, beta: b}

    def state(u, v, p, q):
        table = {"u": u, "v": v, "P_u": p, "P_v": q}
        pairs = {e: table[e.args[0].name].dot(table[e.args[1].name])
                 for s in uv.variables for e in uv.gram[s].atoms(sp.Expr) if hasattr(e, "args")
                 and type(e).__name__ == "Inner"}  # fmt: skip
        return {s: uv.gram[s].xreplace(pairs).subs(n, 2) for s in uv.variables}

    before, after = state(u, v, p, q), state(*moved, *new)
    for s, image in uv.updates.items():
        assert sp.simplify(image.subs({**before, **given}) - after[s]) == 0


def test_unnormalised_sam_has_the_textbook_step():
    """f' of the uv-model from g(f) at the ascended point, written out by hand."""
    uv = ct.derive(ct.models.uv(), optimizer="unnormalised_sam")
    r = rho
    up = f * (1 + r * lam + r**2 * f**2 / n)
    # u' = u - eta g2 (v + r f u/sqrt n)/sqrt n, and the same for v.
    expected = (
        f
        - eta * up * (lam + 2 * r * f**2 / n)
        + eta**2 * up**2 / n * (f + r * f * lam + r**2 * f**3 / n)
    )
    assert sp.expand(uv.updates[f] - expected) == 0


THRESHOLDS = {
    "gd": 2,
    "heavy_ball": 2 * (1 + beta),
    "nesterov": 2 * (1 + beta) / (1 + 2 * beta),
    "torch_heavy_ball": 2 * (1 + beta),
    "torch_nesterov": 2 * (1 + beta) / (1 + 2 * beta),
    "decoupled": (1 + beta) * (2 - eta * omega),
    "clipped": 2,
    "normalised": 0,
    "sam": 0,
    "unnormalised_sam": eta * (sp.sqrt(1 + 8 * rho / eta) - 1) / (2 * rho),
}


@pytest.mark.parametrize("name", THRESHOLDS)
def test_linear_stability_thresholds(name):
    found = ct.optimizers.get(name).stability_threshold()
    assert sp.simplify(found - THRESHOLDS[name]) == 0


def test_unnormalised_sam_is_stable_up_to_its_threshold_in_raw_training():
    """At a minimum of curvature h the bound is eta h (1 + rho h) < 2, measured on raw vectors."""
    size = 4
    start = {"u": np.full(size, 1e-6), "v": np.array([1.0, -1.0, 1.0, -1.0])}  # f = 0, lam = 1
    start["u"][0] += 1e-6
    rule = ct.optimizers.unnormalised_sam()
    shrank = {}
    for factor in (0.98, 1.02):
        curvature, radius = 1.0, 0.5
        rate = 2 * factor / (curvature * (1 + radius * curvature))
        ds = ct.train("uv", n=size, eta=rate, steps=60, optimizer=rule, rho=radius, start=start)
        shrank[factor] = abs(ds.f[-1].item()) < abs(ds.f[0].item())
    assert shrank == {0.98: True, 1.02: False}


def test_recipes_compose_in_any_order():
    opt = ct.optimizers
    assert opt.clipped(opt.sam("nesterov")) == opt.sam(opt.clipped("nesterov"))
    assert opt.sam(opt.gd(), rho=0.1) == opt.sam("gd", 0.1)
    assert hash(opt.sam()) == hash(opt.sam())
    with pytest.raises(AttributeError):
        opt.sam().name = "other"


def test_factors_of_the_gradient():
    assert ct.optimizers.clipped().scale == clip / sp.Max(clip, GRAD_NORM)
    assert ct.optimizers.sam().ascent == rho / GRAD_NORM


MISTAKES = {
    "momentum above one": (lambda: ct.optimizers.nesterov(1.5), "[0, 1)"),
    "no radius": (lambda: ct.optimizers.sam(rho=0), "positive"),
    "decay twice": (lambda: ct.optimizers.decoupled("weight_decay"), "already"),
    "composing adam": (lambda: ct.optimizers.sam("adam"), "cannot be composed"),
    "unknown name": (lambda: ct.optimizers.sam("nestrov"), "nesterov"),
    "unknown sampling": (lambda: ct.optimizers.sgd(2, "replacment"), "replacement"),
    "empty batch": (lambda: ct.optimizers.sgd(0), "size"),
    "sgd without data": (lambda: ct.derive(ct.models.uv(), optimizer="sgd"), "one sample"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_refused_with_a_remedy(case):
    attempt, words = MISTAKES[case]
    with pytest.raises(ct.CatapultError) as caught:
        attempt()
    assert words in str(caught.value)


@pytest.mark.parametrize("sampling", ["epochs", "replacement"])
def test_batches_are_a_function_of_the_seed_and_do_not_depend_on_the_number_of_steps(sampling):
    one, same, other = (Batches(3, sampling, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.indices(10, 50), same.indices(10, 50))
    assert np.array_equal(one.indices(10, 50)[:7], one.indices(10, 7))
    assert not np.array_equal(one.indices(10, 50), other.indices(10, 50))


def test_an_epoch_sees_each_sample_once():
    rows = Batches(2, "epochs", 0).indices(6, 9)
    for epoch in np.split(rows, 3):
        assert sorted(epoch.ravel()) == list(range(6))


def test_a_run_on_batches_reports_the_loss_of_all_samples():
    X, Y = samples()
    linear = ct.derive(ct.models.linear(inputs=3), optimizer=ct.optimizers.sgd(2, seed=5))
    ds = ct.trajectory(linear, ct.gaussian_start(seed=0), 30, data=(X, Y), eta=0.5, n=50.0)
    F = np.einsum("md,sod->smo", X, ds.W.values)
    assert np.allclose(ds.loss, ((F - Y) ** 2).sum(axis=2).mean(axis=1) / 2, rtol=1e-12)
    again = ct.run(linear, ct.gaussian_start(seed=0), 30, data=(X, Y), eta=0.5, n=50.0)
    assert np.array_equal(again.W, ds.W[-1])
    assert linear == ct.UpdateMap.from_json(linear.to_json())


def test_a_trajectory_of_theory_lies_on_brute_force_under_a_schedule_and_batches():
    X, Y = samples()
    rule = ct.optimizers.batched("torch_heavy_ball", 2, "replacement", seed=4)
    rate = ct.schedules.linear(np.array([0.3, 0.5]), 40, warmup=10)
    brute = ct.train("linear", (X, Y), n=64, eta=rate, steps=50, optimizer=rule, beta=0.5)
    start = {name: brute[name][0].values[0] for name in ("W", "G", "S")}
    linear = ct.derive(ct.models.linear(inputs=3), optimizer=rule)
    theory = ct.trajectory(linear, start, 50, data=(X, Y), eta=rate, n=64.0, beta=0.5)
    assert theory.W.dims == brute.W.dims
    assert np.abs(theory.W - brute.W).max() < 1e-12
    assert theory.attrs["schedule_of_eta"].startswith("warm-up")


def test_backends_that_hold_parameters_fixed_name_the_one_that_does_not():
    uv = ct.derive(ct.models.uv())
    for call in (
        lambda: ct.run(uv, {"f": 1.0, "lam": 2.0}, 5, backend="numba",
                       eta=ct.schedules.warmup(0.5, 5), n=9),
        lambda: ct.compile(uv, "llvm").run({"f": 1.0, "lam": 2.0}, 5,
                                           eta=ct.schedules.warmup(0.5, 5), n=9),
    ):  # fmt: skip
        with pytest.raises(ct.InputError, match="backend='array'"):
            call()


def test_a_constant_schedule_changes_nothing():
    ball, start = uv(1, "heavy_ball"), {"f": 0.3, "lam": 2.0}
    one = ct.run(ball, start, 60, backend="array", eta=0.7, n=50.0, beta=0.4)
    two = ct.run(ball, start, 60, eta=ct.schedules.constant(0.7), n=50.0, beta=0.4)
    for name in ("f", "lam", "loss", "status", "status_step", "peak_loss"):
        assert np.array_equal(one[name], two[name])


@pytest.mark.parametrize("name", ["sam", "normalised"])
def test_a_vanishing_gradient_stays_where_it_is(name):
    uv = ct.derive(ct.models.uv(), optimizer=name)
    more = {k: v for k, v in {"rho": 0.1}.items() if k in uv.parameters._fields}
    ds = ct.run(uv, {"f": 0.0, "lam": 1.5}, 10, eta=0.1, n=20.0, **more)
    assert (ds.f.item(), ds.lam.item()) == (0.0, 1.5)


def test_clipping_bounds_the_step():
    start = {"u": np.full(8, 3.0), "v": np.full(8, 2.0)}
    rule = ct.optimizers.clipped(clip=0.25)
    ds = train_network(
        UVNetwork(), eta=0.1, steps=1, start=start, record="parameters",
        optimizer=Composite(rescaling="clip"), numbers={"clip": 0.25},
    )  # fmt: skip
    moved = sum(np.square(a[1] - a[0]).sum() for a in (ds["u"], ds["v"]))
    assert np.sqrt(moved) == pytest.approx(0.1 * 0.25, rel=1e-12)
    assert rule.parameters == (eta,)
