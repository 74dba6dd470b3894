"""Bounds, predictions and behaviour: the theory's closed forms, their laws and their refusals."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import sympy as sp
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from catapult_theory.codegen.run import run
from catapult_theory.errors import InputError
from catapult_theory.phases.bounds import phase_bounds
from catapult_theory.phases.classification import Behaviour, classify
from catapult_theory.phases.edge import obeys_edge_theorem
from catapult_theory.phases.iteration import bounded, stepper
from catapult_theory.phases.measure import first_edge, measure_edge
from catapult_theory.phases.predict import PredictedPhase, predict_phase
from catapult_theory.symbolic import models, optimizers
from catapult_theory.symbolic.analysis import analyse
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.symbols import beta, f, lam, n, omega, vectors, y


@functools.lru_cache(typed=True)  # True and 1 are different labels
def uv(label: object = False, optimizer: str = "gd", loss: str = "squared"):
    return derive(models.uv(label=label), optimizer=optimizer, loss=loss)


@functools.cache
def dimensionless_step():
    return stepper(uv().dimensionless().updates, {})


@functools.cache
def labelled_edge():
    return phase_bounds(uv(True)).eta_max


# label, optimizer, eta_crit, eta_max or None, its status, eta_stable or None
BOUNDS = [
    (False, "gd", 2 / lam, 4 / lam, "theorem", sp.oo),
    (
        True, "gd", 2 / lam, 8 / (lam + sp.sqrt(lam**2 + 16 * y * (y - f) / n)), "theorem",
        sp.sqrt(n) / sp.Abs(y),
    ),
    (False, "heavy_ball", 2 * (1 + beta) / lam, None, "open", sp.oo),
    (
        True, "heavy_ball", 2 * (1 + beta) / lam, None, "open",
        (1 + beta) * sp.sqrt(n) / sp.Abs(y),
    ),
    (False, "weight_decay", 2 / (lam + omega), None, "open", 2 / omega),
    (True, "weight_decay", 2 / (lam + omega), None, "open", None),
]  # fmt: skip


@pytest.mark.parametrize(("label", "optimizer", "crit", "largest", "status", "stable"), BOUNDS)
def test_bounds_are_those_of_the_theory(label, optimizer, crit, largest, status, stable):
    bounds = phase_bounds(uv(label, optimizer))
    assert sp.simplify(bounds.eta_crit.expr - crit) == 0
    assert bounds.eta_max.status == status
    for found, expected in ((bounds.eta_max.expr, largest), (bounds.eta_stable.expr, stable)):
        if expected is None or expected == sp.oo:
            assert found == expected
        else:
            assert sp.simplify(found - expected) == 0
            assert sp.simplify(found - 1.01 * expected) != 0  # the control


@pytest.mark.parametrize(
    ("label", "optimizer"),
    [(False, "gd"), (False, "weight_decay"), pytest.param(True, "gd", marks=pytest.mark.full)],
)
def test_bounds_at_minima_are_the_thresholds_that_the_analysis_finds(label, optimizer):
    update_map = uv(label, optimizer)
    bounds, minimum = phase_bounds(update_map), analyse(update_map).minima[0]
    threshold = minimum.stability.threshold
    assert sp.simplify(bounds.eta_crit.expr.subs(minimum.physical) - threshold) == 0
    assert sp.simplify(bounds.eta_crit.expr.subs(minimum.physical) - 1.01 * threshold) != 0
    if lam in minimum.physical:  # a single minimum, not a family of them
        assert bounds.eta_stable.expr == threshold


@pytest.mark.parametrize(("share", "settles"), [(0.95, True), (1.05, False)])
def test_with_weight_decay_and_no_label_training_settles_below_the_last_bound(share, settles):
    rate = share * phase_bounds(uv(False, "weight_decay")).eta_stable(omega=0.5)
    u, v = np.array([1e-3, 2e-3]), np.array([2e-3, -1e-3])
    for _ in range(100):
        f = u @ v / np.sqrt(2)
        gradients = f * v / np.sqrt(2) + 0.5 * u, f * u / np.sqrt(2) + 0.5 * v
        u, v = u - rate * gradients[0], v - rate * gradients[1]
    assert (np.abs([u, v]).max() < 1e-3) == settles


def test_a_loss_without_curvature_is_stable_at_every_rate():
    flat = derive(models.uv(), loss=f - y)
    assert phase_bounds(flat).eta_crit.expr == sp.oo
    assert phase_bounds(flat, f=1.0, lam=2.0, n=100).eta_crit() == np.inf
    assert phase_bounds(uv(False, "weight_decay"), omega=0).eta_stable() == np.inf


def test_the_loss_whose_minimum_is_flat_has_a_minimum_that_linear_analysis_does_not_decide():
    flat = phase_bounds(derive(models.uv(label=1), loss=(f - y) ** 4 / 4)).eta_stable
    assert (flat.expr, flat.status) == (None, "open")
    assert flat.note == (
        "the loss has no curvature at its minimum f = 1: not decided by linear analysis"
    )


# loss, eta_stable of the uv-model of label 1 where lam >= 2 / sqrt(n) at f = 1, the note otherwise
MINIMA = [
    ((f - y) ** 2, sp.sqrt(n) / 2, ""),
    (sp.cosh(f - y), sp.sqrt(n), ""),
    ("huber", sp.sqrt(n), ""),
    ("logistic", None, "no finite minimum"),
    (f**4 - f**2 + y, None, "not known to be convex"),
    (sp.Abs(f - y), None, "no closed form of the minimum"),
]


@pytest.mark.parametrize(("loss", "stable", "note"), MINIMA)
def test_the_last_bound_is_in_the_curvature_of_the_loss_at_its_minimum(loss, stable, note):
    bound = phase_bounds(derive(models.uv(label=1), loss=loss)).eta_stable
    assert stable is None or sp.simplify(bound.expr - stable) == 0
    assert stable is not None or (bound.expr is None and note in bound.note)


def test_the_huber_loss_has_no_curvature_beyond_its_kinks():
    bounds = phase_bounds(derive(models.uv(label=1), loss="huber"))
    assert [bounds.eta_crit.expr.subs(f, at) for at in (-1, 1, 5)] == [sp.oo, 2 / lam, sp.oo]


def test_clipping_leaves_the_bounds_near_the_minimum_as_they_are():
    clipped = phase_bounds(derive(models.uv(), optimizer="clipped"))
    assert clipped.eta_crit.expr == 2 / lam
    assert clipped.eta_max.expr is None


def test_bound_of_the_logistic_loss_is_in_the_gauss_newton_curvature():
    crit = phase_bounds(uv(1, "gd", "logistic")).eta_crit
    slope = 0.7310585786300049 * (1 - 0.7310585786300049)  # sigma'(1)
    assert crit(f=1.0, lam=3.0, n=10) == pytest.approx(2 / (3.0 * slope), rel=1e-12)


def test_matrix_maps_have_the_large_width_estimate_and_say_that_it_is_refuted():
    bounds = phase_bounds(derive(models.linear(inputs=3)))
    assert (bounds.eta_crit.expr, bounds.eta_max.expr) == (2 / lam, 4 / lam)
    assert bounds.eta_max.status == "measured at large width, refuted as a theorem for m > 1"
    ball = optimizers.heavy_ball(0.9)
    assert phase_bounds(derive(models.linear(inputs=3), optimizer=ball)).eta_crit(
        lam=1.0
    ) == pytest.approx(3.8)


def test_theorem_is_claimed_for_its_own_map_alone():
    u, v = vectors("u v")
    from catapult_theory.symbolic.model import Model

    doubled = derive(Model(output=2 * u @ v / sp.sqrt(n), vectors=(u, v)))
    assert not obeys_edge_theorem(doubled)
    assert phase_bounds(doubled).eta_max.status != "theorem"
    renamed = derive(Model(output=u @ v / sp.sqrt(n), vectors=(u, v), name="mine"))
    assert phase_bounds(renamed).eta_max.status == "theorem"


@given(
    scale=st.floats(0.1, 10),
    value=st.floats(0.5, 5),
    label=st.floats(-2, 2),
    width=st.floats(1, 99),
)
@settings(max_examples=60, deadline=None)
def test_edge_scales_as_the_groups_demand(scale, value, label, width):
    """f, lam, y -> s f, s lam, s y scales eta by 1/s; n -> s^2 n with f, y -> s f, s y none."""
    edge = labelled_edge()
    out = 0.3 * np.sqrt(width) * value
    at = edge(f=out, lam=value, y=label, n=width)
    assert edge(f=scale * out, lam=scale * value, y=scale * label, n=width) == pytest.approx(
        at / scale, rel=1e-9
    )
    assert edge(f=scale * out, lam=value, y=scale * label, n=scale**2 * width) == pytest.approx(
        at, rel=1e-9
    )


@given(share=st.floats(0, 1), start=st.floats(1e-3, 3.999), steps=st.integers(1, 60))
@settings(max_examples=100, deadline=None)
def test_curvature_never_rises_below_the_edge(share, start, steps):
    """Theory, section 5, T2 and T3: the domain is kept and 0 <= a' <= a < 4.

    Each step starts inside the domain (rounding may put an orbit of its boundary outside, and
    a^2 - 4b grows by (1 - b)^2 from there); a step has some ten roundings of terms up to
    (1 + a + b)^2 a.
    """
    step = dimensionless_step()
    b, a = np.array([share * start**2 / 4]), np.array([start])
    for _ in range(steps):
        b = np.minimum(b, a**2 / 4)
        new_b, new_a = step([b, a])
        slack = 10 * np.finfo(float).eps * (1 + a + b) ** 2 * a
        assert -slack <= new_a <= a + slack
        assert 4 * new_b <= new_a**2 + 4 * slack
        b, a = new_b, np.maximum(new_a, 0.0)


def test_curvature_rises_above_the_edge():
    """The control of the law above."""
    _, a = dimensionless_step()([np.array([1.0]), np.array([4.1])])
    assert a > 4.1


@given(eta=st.floats(0.01, 3.0), value=st.floats(0.1, 5.0))
@settings(max_examples=60, deadline=None)
def test_prediction_without_label_depends_on_eta_times_lam_alone(eta, value):
    a = eta * value
    assume(min(abs(a - 2), abs(a - 4)) > 1e-9)
    expected = "lazy" if a < 2 else "catapult" if a < 4 else "divergent"
    assert predict_phase(uv(), eta=eta, lam=value) == expected


def test_prediction_says_unknown_where_no_bound_decides():
    ball = predict_phase(uv(False, "heavy_ball"), eta=[1.0, 2.0], lam=2.0, beta=0.5)
    assert ball.tolist() == ["lazy", "unknown"]
    # eta_stable = sqrt(n)/|y| = 1: no stable minimum; kappa >= 2: the theorem does not reach
    labelled = predict_phase(uv(True), eta=[0.9, 1.1, 2.5], lam=0.5, f=1.0, y=2.0, n=4.0)
    assert labelled.tolist() == ["lazy", "unknown", "unknown"]
    assert predict_phase(uv(), eta=2.0, lam=2.0) == PredictedPhase.UNKNOWN
    assert predict_phase(uv(), eta=np.nan, lam=2.0) == PredictedPhase.UNKNOWN


def test_prediction_broadcasts():
    phases = predict_phase(uv(), eta=np.array([0.5, 1.5])[:, None], lam=np.ones(3) * 2, n=10.0)
    assert phases.shape == (2, 3)
    assert (phases[1] == PredictedPhase.CATAPULT).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lam": 2.0}, "give eta="),
        ({"eta": -1.0, "lam": 2.0}, "eta must be positive"),
        ({"eta": 1.0, "lam": 2.0, "n": 0}, "n must be positive"),
        ({"eta": 1.0}, "eta_crit needs lam"),
        ({"eta": 1.0, "lam": 2.0, "lambda_": 1}, "unknown lambda_"),
        ({"eta": "fast", "lam": 2.0}, "eta must be a number"),
    ],
)
def test_bad_input_to_a_prediction_is_one_clear_error(values, message):
    with pytest.raises(InputError, match=message):
        predict_phase(uv(), **values)


def test_open_bound_refuses_to_be_a_number_with_a_remedy():
    with pytest.raises(InputError, match="measure_edge"):
        phase_bounds(uv(False, "heavy_ball")).eta_max(lam=2.0)
    with pytest.raises(InputError, match="unknown z"):
        phase_bounds(uv(), z=1.0)


def test_measured_edge_is_the_theorem_where_there_is_one():
    low, high = measure_edge(uv(True), {"f": 0.4, "lam": 2.0}, 0.5, 3.0, n=9.0, y=-1.5)
    exact = labelled_edge()(f=0.4, lam=2.0, n=9.0, y=-1.5)
    assert low <= exact * (1 + 1e-6)
    assert exact * (1 - 1e-6) <= high
    assert not low <= 1.01 * exact <= high  # the control


def test_momentum_edge_lies_in_the_band_of_the_theory():
    """Theory, section 5, heavy ball: 4.202 to 4.920 in eta lam_0 at beta = 0.5, small f_0."""
    edge = phase_bounds(uv(False, "heavy_ball"), f=0.01, lam=2.0, n=1024, beta=0.5).eta_max
    assert edge.status == "measured"
    assert 4.2 <= 2.0 * edge.bracket[0] < 2.0 * edge.bracket[1] <= 4.93


def test_measurement_refuses_what_it_cannot_do():
    with pytest.raises(InputError, match="larger high"):
        measure_edge(uv(), {"f": 0.1, "lam": 2.0}, 0.1, 0.5, n=10)
    with pytest.raises(InputError, match="smaller low"):
        measure_edge(uv(), {"f": 0.1, "lam": 2.0}, 3.0, 4.0, n=10)
    with pytest.raises(InputError, match="needs values for n"):
        measure_edge(uv(), {"f": 0.1, "lam": 2.0}, 3.0, 4.0)
    assert first_edge(uv(), {"f": 0.1, "lam": 2.0}, 3.0, n=10) is None


def test_lanes_that_leave_do_not_touch_the_others():
    x = sp.Symbol("x")
    step = stepper({x: x**3}, {})
    with np.errstate(all="raise", under="ignore"):
        inside = bounded(step, [np.array([0.5, 2.0, -0.9])], 50)
    assert inside.tolist() == [True, False, True]


def _runs(**changes):
    table = {
        "status": [1, 1, 0, 2, 3, 0],
        "peak_loss": [0.5, 0.5 * (1 + 1e-8), 3.0, 1e100, np.nan, 0.5],
        "peak_step": [0, 4, 7, 20, 0, 0],
        "loss_start": [0.5] * 6,
    } | changes
    return xr.Dataset({k: ("eta", v) for k, v in table.items() if v is not None})


WORDS = ["lazy", "catapult", "oscillating", "divergent", "invalid", "unfinished"]


def test_behaviour_follows_status_and_peak():
    assert classify(_runs()).values.tolist() == WORDS
    assert classify(_runs(loss_start=None)).values.tolist() == WORDS


def test_every_behaviour_has_a_case_here():
    assert set(WORDS) == {b.value for b in Behaviour}


# eta, steps, label, start -> the name, of real runs at n = 100
RUNS = [
    ("few steps of a descent", 0.01, 50, 0.0, {"f": 0.5, "lam": 2.0}, "unfinished"),
    ("no step", 0.01, 0, 0.0, {"f": 0.5, "lam": 2.0}, "unfinished"),
    ("the same descent at its end", 0.01, 5000, 0.0, {"f": 0.5, "lam": 2.0}, "lazy"),
    ("the middle of a catapult", 1.5, 4, 0.0, {"f": 0.5, "lam": 2.0}, "oscillating"),
    ("a cycle around minima too sharp", 1.1, 3000, 10.0, {"f": 9.9, "lam": 2.1}, "oscillating"),
]


@pytest.mark.parametrize(
    ("eta", "steps", "label", "start", "name"), [c[1:] for c in RUNS], ids=[c[0] for c in RUNS]
)
def test_a_run_that_is_not_done_is_named_by_what_its_loss_has_done(eta, steps, label, start, name):
    result = run(uv(True), start, steps, backend="array", eta=eta, n=100, y=label)
    assert classify(result).item() == name


def test_a_rise_within_rounding_is_lazy():
    rounded = _runs(peak_loss=[0.5, 0.5 * (1 + 1e-10), 3.0, 1e100, np.nan, 0.5])
    assert classify(rounded).values[1] == "lazy"


def test_classify_reads_the_codes_of_the_dataset_and_refuses_others():
    runs = _runs(status=[0, 0, 1, 2, 3, 1])
    runs["status"].attrs = {
        "flag_values": [0, 1, 2, 3], "flag_meanings": "converged undecided diverged invalid",
    }  # fmt: skip
    assert classify(runs).values.tolist() == WORDS
    with pytest.raises(InputError, match="status"):
        classify(_runs(status=[1, 1, 0, 2, 9, 0]))
    with pytest.raises(InputError, match="lacks peak_loss"):
        classify(_runs(peak_loss=None))


@pytest.mark.parametrize("name", ["lam", "n"])
@pytest.mark.parametrize("value", [-2.0, 0.0, [1.0, -2.0]])
def test_a_kernel_or_a_width_that_no_network_has_is_refused(name, value):
    uv, given = derive(models.uv(label=True)), {"lam": 2.0, "f": 0.0, "y": 1.0, "n": 100.0}
    assert predict_phase(uv, eta=0.5, **given) == "lazy"
    with pytest.raises(InputError, match=f"{name} must be positive"):
        predict_phase(uv, eta=1.0, **{**given, name: value})
    if not isinstance(value, list):
        with pytest.raises(InputError, match=f"{name} must be positive"):
            phase_bounds(uv, **{**given, name: value})
