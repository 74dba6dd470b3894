"""Fixed points, stability, invariants and cycles: found by the engine, equal to the theory's."""

from __future__ import annotations

import functools
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from catapult_theory.errors import InputError
from catapult_theory.symbolic import models, optimizers
from catapult_theory.symbolic.analysis import analyse
from catapult_theory.symbolic.cells import cells, where
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.components import components
from catapult_theory.symbolic.fixed_points import fixed_points
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.monotone import monotone_quantities
from catapult_theory.symbolic.signs import sign_of
from catapult_theory.symbolic.stability import first_root, jury_conditions, stability_of
from catapult_theory.symbolic.symbols import beta, eta, lam, n, omega, symbol, vectors, y

a, q, kappa, decay = map(symbol, ("a", "q", "kappa", "decay"))
x = sp.Symbol("x")


@functools.lru_cache(typed=True)  # True and 1 are different labels
def uv(label: object = False, optimizer: str = "gd", loss: str = "squared"):
    return derive(models.uv(label=label), optimizer=optimizer, loss=loss)


@functools.lru_cache(typed=True)
def found(label: object = False, optimizer: str = "gd", loss: str = "squared"):
    return analyse(uv(label, optimizer, loss))


# Jury's conditions


@given(
    real=st.lists(st.fractions(-2, 2, max_denominator=50), max_size=3),
    pairs=st.lists(
        st.tuples(
            st.fractions("1/50", 2, max_denominator=50), st.fractions(-1, 1, max_denominator=50)
        ),
        max_size=2,
    ),
    scale=st.sampled_from([1, -3]),
)
@settings(max_examples=60, deadline=None)
def test_jury_conditions_hold_exactly_when_all_roots_lie_inside_the_unit_circle(real, pairs, scale):
    """Roots are chosen: real ones r, and pairs of modulus m and cosine c."""
    if not real and not pairs:
        return
    factors = [x - sp.Rational(r) for r in real]
    factors += [x**2 - 2 * sp.Rational(m) * sp.Rational(c) * x + sp.Rational(m) ** 2
                for m, c in pairs]  # fmt: skip
    inside = all(abs(r) < 1 for r in real) and all(m < 1 for m, _ in pairs)
    conditions = jury_conditions(sp.expand(scale * sp.Mul(*factors)), x)
    assert all(c > 0 for c in conditions) == inside


def test_jury_needs_a_polynomial_with_roots():
    with pytest.raises(InputError, match="nothing to judge"):
        jury_conditions(sp.Integer(3), x)


def test_threshold_is_the_first_root_and_unknown_where_the_start_is_unknown():
    h = sp.Symbol("h", positive=True)
    assert first_root(2 - eta * h, eta) == 2 / h
    assert first_root(1 + eta + eta**2, eta) == sp.oo
    assert first_root(1 + eta**3, eta) is None
    assert stability_of([2 - eta * h, 1 - eta * h]).threshold == 1 / h
    assert stability_of([kappa - eta]).verdict == "by conditions"
    assert stability_of([-h]).verdict == "unstable"


def squared_product():
    u, v = vectors("u v")
    return derive(Model(output=(u @ v) ** 2 / n, vectors=(u, v), label=1))


def normalised():
    u, v = vectors("u v")
    return derive(Model(output=u @ v / sp.sqrt(u @ u), vectors=(u, v), label=True))


NOT_POLYNOMIAL = [
    ("clipped", lambda: uv(False, "clipped"), "zero-loss minima: f = 0, any a", "for eta < 2/lam"),
    ("huber", lambda: uv(1, "gd", "huber"), "zero-loss minima: f = 1, any a", "for eta < 2/lam"),
    ("a square", squared_product, "u_v = 1/sqrt(n), any x1_hat", "multiplier 1 - 8*rho"),
    ("a root", normalised, "Not searched", "fixed points: the map is not polynomial"),
]


@pytest.mark.parametrize(
    ("make", "point", "said"), [c[1:] for c in NOT_POLYNOMIAL], ids=[c[0] for c in NOT_POLYNOMIAL]
)
def test_maps_with_maxima_and_roots_are_analysed_as_far_as_they_go(make, point, said):
    text = str(analyse(make()))
    assert point in text
    assert said in text


NEUTRAL = [
    ("a root 1", [1, Fraction(1, 2)], "not decided"),
    ("a root -1", [-1, Fraction(1, 2)], "not decided"),
    ("a root 1 beside one outside", [1, -2], "unstable"),
    ("roots 2 and 1/2, whose product is 1", [2, Fraction(1, 2)], "unstable"),
    ("roots inside", [Fraction(-1, 2), Fraction(1, 2)], "always stable"),
]


@pytest.mark.parametrize(
    ("roots", "verdict"), [c[1:] for c in NEUTRAL], ids=[c[0] for c in NEUTRAL]
)
def test_a_multiplier_of_modulus_one_is_not_decided_unless_another_lies_outside(roots, verdict):
    polynomial = sp.expand(sp.Mul(*(x - sp.Rational(r) for r in roots)))
    assert stability_of(jury_conditions(polynomial, x)).verdict == verdict


def test_a_pair_on_the_unit_circle_is_not_decided():
    assert stability_of(jury_conditions(x**2 - x + 1, x)).verdict == "not decided"


@functools.cache
def flat():
    """(f - y)^4 is flat at its minimum: one step multiplies small errors e by 1 - eta lam e^2."""
    return derive(models.uv(label=1), loss=(symbol("f") - y) ** 4 / 4)


def test_a_minimum_without_curvature_is_not_decided_by_linear_analysis():
    minimum, saddle = fixed_points(flat())
    assert (minimum.kind, minimum.multipliers) == ("zero loss", (x - 1,))
    assert str(minimum.stability) == "not decided by linear analysis"
    # Negative control: the saddle at zero has the multiplier (1 + rho)^2.
    assert (saddle.kind, saddle.stability.verdict) == ("stationary", "unstable")


@pytest.mark.full  # half a minute of resultants
def test_nothing_in_an_analysis_calls_a_multiplier_of_one_unstable():
    whole = analyse(flat())
    assert whole.threshold is None
    assert len(whole.minima) == 1
    text = str(whole)
    assert "across it not decided by linear analysis" in text
    assert "fixed point f = 1, multiplier 1; not decided by linear analysis" in text


def test_signs_use_the_range_of_momentum():
    assert sign_of(1 - beta) == 1
    assert sign_of(beta - sp.Rational(1, 2)) is None
    assert sign_of((kappa + 2) * (beta - 1), [kappa + 2]) == -1


def test_cells_part_the_line_at_exact_roots():
    intervals = where(lambda s: bool(s**2 - 2 > 0), cells([x**2 - 2, x], x))
    assert intervals == ((-sp.oo, -sp.sqrt(2)), (sp.sqrt(2), sp.oo))
    assert where(lambda s: bool(s < 2), cells([x, x - 2], x)) == ((-sp.oo, 2),)


def test_components_are_all_solutions_of_a_system_without_factors():
    circle = components([x**2 + a**2 - 1, x - a], [x, a])
    assert {abs(one.values[a]) for one in circle} == {sp.sqrt(2) / 2}
    assert components([x - 1, x - 2], [x]) == ()


# Maps built by hand


def test_thresholds_follow_from_the_map_alone():
    """The step of sharpness-aware descent and of Nesterov near f = 0, as two linear maps."""
    from dataclasses import replace

    plain = uv()
    f = plain.variables[0]
    ascended = {f: f * (1 - eta * lam * (1 + 3 * lam)), lam: lam}
    by_hand = replace(plain, updates=ascended, domain=(), optimizer="ascent by hand")
    assert (
        sp.simplify(fixed_points(by_hand)[0].stability.threshold - 2 / (lam * (1 + 3 * lam))) == 0
    )
    h, z = sp.Symbol("h", positive=True), sp.Symbol("z")
    nesterov = z**2 - (1 + beta) * (1 - eta * h) * z + beta * (1 - eta * h)
    found = stability_of(jury_conditions(nesterov, z)).threshold
    assert sp.simplify(found - 2 * (1 + beta) / (h * (1 + 2 * beta))) == 0


# Thresholds

THRESHOLDS = [
    (False, "gd", 2 / lam),
    (True, "gd", 2 / lam),
    pytest.param(False, "heavy_ball", 2 * (1 + beta) / lam, marks=pytest.mark.full),
    (False, "weight_decay", 2 / omega),
]


@pytest.mark.parametrize(("label", "optimizer", "threshold"), THRESHOLDS)
def test_stability_thresholds_are_those_of_the_theory(label, optimizer, threshold):
    assert sp.simplify(found(label, optimizer).threshold - threshold) == 0
    assert sp.simplify(found(label, optimizer).threshold - 1.01 * threshold) != 0


@pytest.mark.full  # some seconds of derivation
def test_threshold_of_nesterov_is_that_of_its_linear_map():
    """By hand: z^2 - (1 + beta)(1 - h) z + beta (1 - h), the root -1 at the threshold in h."""
    (minima,) = fixed_points(uv(False, "nesterov"))
    wanted = 2 * (1 + beta) / (lam * (1 + 2 * beta))
    assert minima.kind == "zero loss"
    assert sp.simplify(minima.stability.threshold - wanted) == 0
    assert sp.simplify(minima.stability.threshold - 2 * (1 + beta) / lam) != 0


def test_decayed_minimum_of_the_labelled_model_is_balanced_and_has_a_threshold_of_its_own():
    """By hand: (u - v) = 0 and p = -eta omega, so that lam = 2 (y / sqrt(n) - omega) there."""
    minima = found(True, "weight_decay").minima
    wanted = 2 * (y / sp.sqrt(n) - omega)
    (here,) = [m for m in minima if sp.simplify(m.physical.get(lam, 0) - wanted) == 0]
    at = {y: 3, n: 4, omega: sp.Rational(1, 10)}
    assert here.stability.threshold.subs(at) == sp.Rational(10, 14)
    assert sp.simplify(2 / here.physical[lam] - here.stability.threshold).subs(at) == 0


def test_a_step_across_the_line_f_0_under_decay_has_the_multiplier_of_both_factors():
    """By hand: f' = (1 - d)(1 - d - a) f near f = 0."""
    report = found(False, "weight_decay")
    (across,) = [s for s in report.across if s is not None]
    numbers = {lam: 2, omega: sp.Rational(1, 10)}
    edge = across.threshold.subs(numbers)
    d, A = edge / 10, 2 * edge
    assert sp.simplify((1 - d) * (1 - d - A) + 1) == 0


@pytest.mark.parametrize(
    ("label", "optimizer"),
    [(True, "gd"), (True, "weight_decay"),
     pytest.param(False, "heavy_ball", marks=pytest.mark.full)],
)  # fmt: skip
def test_fixed_points_are_fixed_and_their_multipliers_are_those_of_the_jacobian(label, optimizer):
    update_map = uv(label, optimizer)
    numbers = {eta: 0.3, n: 5, y: 0.7, beta: 0.6, omega: 0.2}
    for family in fixed_points(update_map):
        free = {s: 1.7 for s in update_map.variables if s not in family.physical}
        at = {s: complex(e.subs(numbers)).real for s, e in family.physical.items()} | free
        for s, image in update_map.updates.items():
            assert float(image.subs(numbers).subs(at) - at[s]) == pytest.approx(0, abs=1e-12)
        jacobian = np.array(update_map.jacobian().subs(numbers).subs(at), dtype=float)
        product = sp.Mul(*family.multipliers).subs(
            {a: 0.3 * 1.7, kappa: 0.3 * 0.7 / np.sqrt(5), beta: 0.6, decay: 0.06}
        )
        roots = np.roots([float(c) for c in sp.Poly(product, x).all_coeffs()])
        expected = np.sort_complex(np.concatenate([roots, np.ones(len(family.free))]))
        actual = np.sort_complex(np.linalg.eigvals(jacobian))
        np.testing.assert_allclose(np.abs(expected), np.abs(actual), atol=2e-3)


def test_kinds_of_fixed_points():
    assert [m.kind for m in found(True).fixed] == [
        "zero loss", "stationary", "flipping", "flipping",
    ]  # fmt: skip


# The balanced labelled model: its cubic map and its three constants


def test_restriction_to_balanced_networks_is_the_cubic_map_of_the_theory():
    line = found(True).balanced
    e, c = sp.Symbol("e", real=True), kappa
    assert sp.expand(line.centred(kappa) - (e**3 + (c - 2) * e**2 + (1 - 2 * c) * e)) == 0


def test_constants_of_the_cubic_map_are_found():
    line = found(True).balanced
    (minimum,) = [one for one in line.fixed if one.values == (kappa,)]
    (cycle,) = line.cycles
    assert minimum.stable == ((0, 1),)
    assert cycle.stable == ((1, sp.sqrt(5) - 1),)
    assert line.kept == ((-2, 2),)


def test_constants_are_seen_by_iterating_the_map():
    """Brute force on numbers: attraction to the minimum, period 2, boundedness."""

    def orbit(c, e, steps=4000):
        for _ in range(steps):
            e = e**3 + (c - 2) * e**2 + (1 - 2 * c) * e
            if abs(e) > 1e6:
                return e, np.nan
        return e, e**3 + (c - 2) * e**2 + (1 - 2 * c) * e

    assert abs(orbit(0.98, 0.01)[0]) < 1e-9
    first, second = orbit(1.02, 0.01)
    assert abs(first - second) > 1e-2
    for c, period_two in ((1.22, True), (1.25, False)):  # sqrt(5) - 1 = 1.236
        first, second = orbit(c, 0.01)
        again, _ = orbit(c, second, 1)
        assert (abs(again - first) < 1e-9) == period_two
    critical = [(1 + c) / 3 - c for c in (1.99, 2.01)]
    assert abs(orbit(1.99, critical[0])[0]) < 10
    assert abs(orbit(2.01, critical[1])[0]) > 1e6


def test_two_cycles_are_cycles_of_the_whole_map():
    for label in (False, True):
        small = found(label).small
        for line in found(label).lines:
            for cycle in line.cycles:
                at = {kappa: sp.Rational(7, 5)}
                first, second = (v.subs(at) for v in cycle.values)
                image = line.image.subs(at)
                assert sp.simplify(image.subs(line.variable, first) - second) == 0
                assert sp.simplify(image.subs(line.variable, second) - first) == 0
        assert set(small.variables) == {a, q}


def test_weight_decay_shifts_the_label_of_the_balanced_map():
    plain = found(True).balanced.image
    decayed = found(True, "weight_decay").balanced.image
    assert sp.expand(plain.subs(kappa, kappa - decay) - decayed) == 0


# Monotone quantities


def test_curvature_is_monotone_on_either_side_of_the_edge():
    (quantity,) = monotone_quantities(uv())
    assert quantity.quantity == a
    assert sp.expand(quantity.sign - (a - 4)) == 0
    assert quantity.condition == ()
    assert monotone_quantities(uv(True)) == ()


# The report


def test_report_is_readable_and_says_what_it_did_not_search():
    assert "stable for eta < 2/lam" in str(found())
    assert "not polynomial" in str(found(1, "gd", "logistic"))
    assert r"\begin{itemize}" in found(True).latex()


@pytest.mark.full
def test_report_of_momentum():
    text = str(found(False, "heavy_ball"))
    assert "stable for eta < 2*(beta + 1)/lam" in text
    assert "more than three state variables" in text
    flipping = found(False, "heavy_ball").fixed[1]
    assert sp.simplify(flipping.physical[lam] - 4 * (1 + beta) / eta) == 0


def test_matrix_maps_are_refused_with_the_way_out():
    with pytest.raises(InputError, match="phase_bounds"):
        analyse(derive(models.linear(inputs=3)))


@pytest.mark.parametrize(
    ("ball", "threshold"),
    [("gd", 2 / lam), pytest.param("heavy_ball", 3 / lam, marks=pytest.mark.full)],
)
def test_a_model_of_ones_own_gets_the_same_analysis(ball, threshold):
    from catapult_theory.symbolic.model import Model
    from catapult_theory.symbolic.symbols import vectors

    u, v = vectors("u v")
    own = Model(output=3 * u @ v / sp.sqrt(n), vectors=(u, v))
    rule = optimizers.heavy_ball(sp.Rational(1, 2)) if ball == "heavy_ball" else ball
    assert sp.simplify(analyse(derive(own, optimizer=rule)).threshold - threshold) == 0


def test_command_prints_the_analysis_and_refuses_matrix_models_in_one_line():
    from typer.testing import CliRunner

    from catapult_theory.cli import app

    shown = CliRunner().invoke(app, ["analyse", "uv"])
    assert shown.exit_code == 0
    assert "stable for eta < 2/lam" in shown.output
    assert r"\begin{itemize}" in CliRunner().invoke(app, ["analyse", "uv", "--latex"]).output
    assert CliRunner().invoke(app, ["analyse", "linear"]).exit_code == 2
