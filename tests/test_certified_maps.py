"""Certified phase maps: what they rest on, what they say, and that orbits do it."""

from __future__ import annotations

import dataclasses
import signal
import threading
from fractions import Fraction

import certified_orbits as orbits
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import catapult_theory as ct
from catapult_theory.rigor.certified import search
from catapult_theory.rigor.certified import step as certified_step
from catapult_theory.rigor.certified import theorems as certified_theorems
from catapult_theory.rigor.certified.cells import Cells
from catapult_theory.rigor.certified.phase_map import KINDS

P, W, X, Y = certified_step.P, certified_step.W, certified_step.X, certified_step.Y
LEVELS = 13


def made(kappa, levels=LEVELS):
    return ct.certify(kappa, levels=levels, budget=600.0)


@pytest.fixture(scope="module")
def maps():
    return {kappa: made(kappa) for kappa in (0.0, 0.3, 0.9, 1.1, 2.5)}


def test_the_step_from_the_engine_is_that_of_the_theory():
    found = certified_step.factored()
    k = found.kappa
    a = found.a_from_factors
    p_next = sp.expand(P * found.p_multiplier)
    w_next = sp.expand(W * found.w_multiplier)
    assert sp.expand(p_next - P * (1 - a + P * (P + k))) == 0
    a_next = a - 4 * P * (P + k) + P**2 * a
    assert sp.expand(w_next - (a_next - 4 - k * p_next)) == 0
    box = {X: found.x_from_factors, Y: found.y_from_factors}
    assert sp.expand(found.p_from_box.subs(box) - P) == 0
    assert sp.expand(found.p_from_box - (X - Y) / 4 + k) == 0
    assert sp.expand(found.x_from_factors + found.y_from_factors - 2 * a) == 0


def test_tables_hold_the_exact_coefficients():
    found, tables = certified_step.factored(), certified_step.step_tables(0.3)
    constant = found.w_from_box.subs({X: 0, Y: 0, found.kappa: sp.Rational(Fraction(0.3))})
    low, high = map(Fraction, tables.factors[1, 0])
    assert low < Fraction(int(constant.p), int(constant.q)) < high


KAPPA = st.floats(0, 1.2)


@given(k=KAPPA, p=st.floats(1e-6, 0.3), low=st.floats(0.01, 1.99), width=st.floats(0, 0.2))
@settings(max_examples=150, deadline=None)
def test_the_numbers_of_a_trap_meet_its_hypotheses_exactly(k, p, low, width):
    box, a = (-p, p / 2), (low, low + width)
    found = certified_theorems.trap_y(box, a, k)
    r, m, most, e, _ = map(Fraction, found)
    k, low, high = Fraction(k), *map(Fraction, a)
    if r < 1:
        assert 0 <= m <= low <= high <= most
        assert 1 - m + e * (e + k) <= r
        assert most - 1 + e * k <= r
        moved = e * (4 * (e + k) + e * most)
        assert moved <= (low - m) * (1 - r)
        assert moved <= (most - high) * (1 - r)


@given(k=KAPPA, p=st.floats(1e-6, 0.3), low=st.floats(0.01, 1.99), width=st.floats(0, 0.2))
@settings(max_examples=150, deadline=None)
def test_the_numbers_of_a_tilted_trap_meet_its_hypotheses_exactly(k, p, low, width):
    tilt = 4 * k / low
    found = certified_theorems.trap_s((-p, p / 2), (low, low + width), k, tilt)
    r, m, most, e, g = map(Fraction, found)
    k, low, high = Fraction(k), Fraction(low), Fraction(low + width)
    if r < 1:
        assert 1 - m + e * (e + k) <= r
        assert most - 1 + e * k <= r
        for a in (m, most):
            rate = abs(g * a - 4 * k) + e * abs(a - 4 - g * k) + abs(g) * e * e
            assert e * rate <= (low - abs(g) * e - m) * (1 - r)
            assert e * rate <= (most - high - abs(g) * e) * (1 - r)


def test_a_tilted_trap_changes_a_minus_g_p_by_what_its_proof_says():
    p, a, k, g = sp.symbols("p a k g")
    p_next, a_next = p * (1 - a + p * (p + k)), a - 4 * p * (p + k) + p**2 * a
    change = (a_next - g * p_next) - (a - g * p)
    assert sp.expand(change - p * ((g * a - 4 * k) + p * (a - 4 - g * k) - g * p**2)) == 0


@given(
    u=st.fractions(0, 20),
    sign=st.sampled_from([-1, 1]),
    k=st.fractions(0, 4),
    part=st.fractions(0, 1),
)
def test_the_cone_is_entered_for_ever(u, sign, k, part):
    u += 4 + 2 * k
    p, a = sign * u, part * u * u / 4
    p_next, a_next = p * (1 - a + p * (p + k)), a - 4 * p * (p + k) + p**2 * a
    assert abs(p_next) >= 5 * abs(p)
    assert p_next**2 >= 4 * a_next


@pytest.mark.parametrize(
    ("kappa", "start", "kind"),
    [
        (0.0, (1.0, 1.5), "converges"),
        (0.3, (2.0, 1.0), "converges"),
        (0.3, (5.0, 5.0), "diverges"),
        (0.3, (7.9, 4.0), "no stable minimum"),
        (0.9, (3.7, 0.2), "open"),
        (1.1, (2.9, 0.01), "cycles"),
        (2.5, (7.0, 7.0), "diverges"),
    ],
)
def test_a_start_is_of_the_kind_that_is_known(maps, kappa, start, kind):
    assert maps[kappa].kind_at(*start) == kind


def test_cells_tile_the_box(maps):
    for phase_map in maps.values():
        assert sum(phase_map.area.values()) == 1.0
        x, y = orbits.starts(2000, 1)
        rows = phase_map.cell_at(x, y)
        corners = phase_map.corners()[rows].T
        assert np.all((corners[0] <= x) & (x <= corners[1]) & (corners[2] <= y) & (y <= corners[3]))


def test_more_halvings_leave_less_open():
    areas = [made(0.3, levels).area["open"] for levels in (8, 11, 14)]
    assert areas[0] > areas[1] > areas[2]


def test_cells_above_the_edge_alone_are_said_to_miss_every_stable_minimum(maps):
    phase_map = maps[0.3]
    kind = np.array(KINDS)[phase_map.kind]
    x0, x1, y0, y1 = phase_map.corners().T
    k = phase_map.kappa

    def w(x, y):
        return ((2 - k) * x + (2 + k) * y) / 4 - (4 - k * k)

    assert np.all(w(x0, y0)[np.isin(kind, ("no stable minimum", "diverges"))] > 0)
    assert np.all(w(x1, y1)[kind == "converges"] < 0)


@pytest.mark.parametrize("kappa", [0.0, 0.3, 0.9, 1.1, 2.5])
def test_orbits_do_what_their_cells_say(maps, kappa):
    x, y = orbits.starts(4000, 7)
    wrong = orbits.contradictions(maps[kappa], x, y, 600)
    assert wrong.sum() == 0
    assert (maps[kappa].kind_at(x, y) != "open").sum() > 2000


@pytest.mark.parametrize("kappa", [0.3, 1.1])
def test_a_figure_names_every_class_that_the_map_has_with_its_area(maps, kappa):
    from catapult_theory.report.certified_maps import certified_map

    (legend,) = certified_map(maps[kappa]).legends
    named = [text.get_text().split(":")[0] for text in legend.get_texts()]
    assert named == [kind for kind in KINDS if maps[kappa].area[kind] > 0]
    assert ("cycles" in named) == (kappa > 1)


def test_a_map_for_another_label_would_be_contradicted(maps):
    x, y = orbits.starts(4000, 7)
    wrong = dataclasses.replace(maps[0.3], kappa=0.6)
    assert orbits.contradictions(wrong, x, y, 500).sum() > 100


def test_a_cycle_is_that_of_the_cubic_map():
    cycle = made(1.1, 4).cycle
    # Its two points solve (x'') = x for the balanced orbit, e' = e^3 + (c-2) e^2 + (1-2c) e.
    e, c = (cycle.x_low + cycle.x_high) / 8 - 1.1, 1.1

    def after(e):
        return e**3 + (c - 2) * e**2 + (1 - 2 * c) * e

    assert cycle.period == 2
    assert abs(after(after(e)) - e) < 1e-6 < abs(after(e) - e)


def test_a_map_survives_its_file(maps, tmp_path):
    for kappa in (0.3, 1.1):
        phase_map = maps[kappa]
        again = ct.PhaseMap.load(phase_map.save(tmp_path / "map.nc"))
        assert again.area == phase_map.area
        assert (again.kappa, again.box, again.cycle) == (kappa, phase_map.box, phase_map.cycle)
        assert np.array_equal(again.trap, phase_map.trap)
        assert again.certificate(0) == phase_map.certificate(0)


def test_a_map_cannot_be_changed(maps):
    with pytest.raises(dataclasses.FrozenInstanceError):
        maps[0.3].kappa = 1.0
    with pytest.raises(ValueError, match="read-only"):
        maps[0.3].theorem[0] = 1
    assert isinstance(maps[0.3].cells, Cells)


def test_the_result_does_not_depend_on_the_threads():
    one, two = (ct.certify(0.3, levels=10, threads=t) for t in (1, 2))
    assert np.array_equal(one.theorem, two.theorem)
    assert np.array_equal(one.trap, two.trap)


def test_an_interrupt_keeps_what_was_shown():
    # Programs that a shell starts in the background ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    ct.certify(0.3, levels=4)  # compiles

    def interrupt():
        signal.raise_signal(signal.SIGINT)

    timer = threading.Timer(1.0, interrupt)
    timer.start()
    found = ct.certify(0.3, levels=48, budget=600.0)
    timer.join()
    signal.signal(signal.SIGINT, before)
    assert found.attrs["stopped"] == "interrupted"
    assert sum(found.area.values()) == 1.0
    assert found.area["converges"] > 0


@pytest.mark.parametrize("level", [1, 5, 9])
def test_an_interrupt_in_the_middle_of_a_levels_end_counts_no_cell_twice(monkeypatch, level):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    keep, calls = search._Search.keep, []

    def interrupted(self, *cells):
        keep(self, *cells)
        calls.append(len(calls))
        if len(calls) == level:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(search._Search, "keep", interrupted)
    found = ct.certify(0.3, levels=48, budget=600.0)
    signal.signal(signal.SIGINT, before)
    assert found.attrs["stopped"] == "interrupted"
    assert len(calls) >= level
    assert sum(found.area.values()) == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kappa": -0.1}, "u -> -u"),
        ({"kappa": float("nan")}, "finite"),
        ({"kappa": 0.3, "box": ((0, 8), (8, 0))}, "low < high"),
        ({"kappa": 0.3, "box": ((-1, 8), (0, 8))}, "0 <= low"),
        ({"kappa": 0.3, "box": (0, 8)}, "box must be"),
        ({"kappa": 0.3, "budget": 0.0}, "budget"),
        ({"kappa": 0.3, "levels": 99}, "levels"),
        ({"kappa": 0.3, "threads": 0}, "threads"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ct.InputError, match=message):
        ct.certify(**arguments)


@pytest.mark.full
@pytest.mark.parametrize(
    ("kappa", "levels"), [(0.0, 20), (0.1, 20), (0.3, 20), (0.6, 20), (0.9, 18), (1.1, 18)]
)
def test_a_million_orbits_do_what_their_cells_say(kappa, levels):
    compared, wrong = orbits.count(kappa, 170_000, 600, levels)
    print(f"kappa = {kappa}: {compared} orbits on certified cells, {wrong} contradictions")
    assert wrong == 0
    assert compared > 100_000
