"""Figures: no label is cut off or lies on another, and every number drawn is in its frame."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.legend import Legend
from matplotlib.text import Text

import catapult_theory as ct
from catapult_theory.report import figures
from catapult_theory.report.certified_maps import certified_map as drawn_map
from catapult_theory.report.evidence_figure import HIGHEST, LOWEST, SCALE, evidence_figure
from catapult_theory.report.style import COLOURS, save, styled
from catapult_theory.validation.evidence.published import load

EVIDENCE = Path(__file__).parents[1] / "evidence" / "results.json"


def trajectories():
    step = np.arange(61)
    rates = np.array([0.5, 1.5, 2.25])
    loss = np.exp(np.outer([-1.0, -0.4, 2.0], step))
    lam = np.stack([np.full(61, 2.0), np.linspace(2, 0.2, 61), np.exp(0.2 * step)])
    dataset = xr.Dataset(
        {"loss": (("eta", "step"), loss), "lam": (("eta", "step"), lam)},
        {"eta": rates, "step": step},
    )
    return figures.trajectories(dataset, ("lazy", "catapult", "divergent"))


def final_curvature():
    starts = np.linspace(0.1, 4.5, 45)
    behaviour = np.where(starts < 2, "lazy", np.where(starts < 4, "catapult", "divergent"))
    dataset = xr.Dataset(
        {
            "ratio": (("n", "eta_lam0"), np.ones((2, 45))),
            "behaviour": (("n", "eta_lam0"), np.stack([behaviour, behaviour])),
        },
        {"n": [1e4, 1e8], "eta_lam0": starts},
    )
    bands = [SimpleNamespace(start=a, low=0.1, high=1.0) for a in (2.5, 3.0, 3.5)]
    return figures.final_curvature(dataset, bands)


def phase_plane():
    a = np.linspace(0, 6, 61)
    orbits = [
        np.array([[1.2, 0.1], [1.0, 0.05]]),
        np.array([[3.0, 0.1], [2.0, 0.9]]),
        np.array([[4.5, 0.1], [7.0, 30.0]]),
    ]
    plane = SimpleNamespace(
        a=a, falls_above=a - 2, falls_below=a, domain=a**2 / 4, edge=4.0, orbits=orbits
    )
    return figures.phase_plane(plane)


def exactness():
    names = ["uv, catapult", "digits, k = 10, weight decay"]
    dataset = xr.Dataset(
        {"error": ("case", [0.0, 1e-14]), "control": ("case", [1e-3, 1e-2]),
         "tolerance": ("case", [1e-12, 1e-13])},
        {"case": names},
    )  # fmt: skip
    return figures.exactness(dataset)


def courses():
    errors = np.concatenate([np.zeros((3, 1)), np.full((3, 9), 1e-15)], axis=1)
    dataset = xr.Dataset(
        {"error": (("case", "step"), errors), "control": (("case", "step"), errors * 1e9)},
        {"case": ["one", "two", "three"], "step": np.arange(10)},
        {"tolerance": 1e-12},
    )
    return figures.courses(dataset)


def boundary():
    low = np.array([[4.1, 4.2, np.inf], [3.99, 4.0, 4.01]])
    dataset = xr.Dataset(
        {"low": (("n", "seed"), low), "high": (("n", "seed"), low + 0.02)},
        {"n": [256.0, 1e10], "seed": [0, 1, 2]},
    )
    return figures.boundary(dataset)


def scaling():
    rng = np.random.default_rng(0)
    widths = np.array([256.0, 1024.0, 4096.0])
    attributes = {"slope": -1.0, "low": -1.1, "high": -0.9}
    distance = np.exp(rng.normal(size=(3, 9))) / widths[:, None]
    variables = {name: (("n", "seed"), distance, attributes) for name in ("f", "lam")}
    return figures.scaling(xr.Dataset(variables, {"n": widths, "seed": np.arange(9)}))


def limit_curves():
    rng = np.random.default_rng(0)
    widths, steps = np.array([256.0, 512.0, 1024.0, 2048.0]), np.arange(41)
    exact = np.broadcast_to(2.3 * np.exp(-steps / 20), (4, 3, 41))
    gap = rng.normal(size=(4, 3, 1)) * steps / 40 * (50 / widths)[:, None, None]
    axes = ("n", "seed", "step")
    dataset = xr.Dataset(
        {"trained": (axes, exact + gap), "exact": (axes, exact), "control": (axes, 0.9 * exact)},
        {"n": widths, "seed": np.arange(3), "step": steps},
        {"slope_exact": "-1.02 (95 %)", "slope_control": "-0.01 (95 %)"},
    )
    return figures.limit_curves(dataset)


def certified_map():
    return drawn_map(ct.certify(0.3, levels=8, budget=600.0))


def evidence():
    return evidence_figure(load(EVIDENCE))


ALL = [
    *(trajectories, final_curvature, phase_plane, exactness, courses, boundary, scaling),
    *(limit_curves, certified_map, evidence),
]


@pytest.mark.parametrize(
    "draw", [exactness, limit_curves, certified_map, evidence], ids=lambda f: f.__name__
)
def test_legends_stand_clear_of_what_is_drawn_and_of_the_edge(draw):
    figure = draw()
    with styled():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        legends = figure.findobj(Legend)
        assert legends
        for legend in legends:
            box = legend.get_window_extent(renderer)
            assert all(not box.overlaps(axes.get_window_extent(renderer)) for axes in figure.axes)
            assert figure.bbox.x0 + 2 < box.x0 < box.x1 < figure.bbox.x1 - 2


def test_rows_of_exactness_stand_clear_of_the_frame():
    (axes,) = exactness().axes
    bottom, top = axes.get_ylim()
    assert (bottom, top) == (1.7, -0.7)  # half a row for its marks, and some air


def test_an_interval_that_goes_on_at_an_edge_has_an_arrow_there():
    result = load(EVIDENCE)
    (axes,) = evidence_figure(result).axes
    arrows = [line for line in axes.lines if line.get_marker() == "<"]
    ends = [
        found.medians[width]
        for found in result.rows
        for width in found.medians
        if found.row.measure.statistic in SCALE and found.verdict != "not measured"
    ]
    assert len(arrows) == sum(median.low < LOWEST for median in ends) > 0
    on_the_right = {line.get_ydata()[0] for line in axes.lines if line.get_marker() == ">"}
    assert len(on_the_right) >= sum(median.high > HIGHEST for median in ends) > 0


def texts_outside(figure) -> list[str]:
    """Visible texts of a drawn figure that reach over its edge by more than a pixel."""
    with styled():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        frame = figure.bbox.padded(1)
        hidden = [text for axes in figure.axes for text in _hidden_ticks(axes)]
        found = []
        for text in figure.findobj(Text):
            if not (text.get_visible() and text.get_text().strip()) or text in hidden:
                continue
            box = text.get_window_extent(renderer)
            if not (frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0
                    and box.y1 <= frame.y1):  # fmt: skip
                found.append(text.get_text())
    return found


def _hidden_ticks(axes):
    """Labels of ticks that lie outside the limits: they exist but are not drawn."""
    hidden = []
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not low <= tick.get_loc() <= high:
                hidden += [tick.label1, tick.label2]
    return hidden


@pytest.mark.parametrize("draw", ALL, ids=lambda f: f.__name__)
def test_no_text_is_cut_off(draw):
    assert texts_outside(draw()) == []


def test_the_check_would_notice_a_text_that_is_cut_off():
    figure = boundary()
    figure.text(0.99, 0.5, "a text that leaves the figure")
    assert texts_outside(figure) == ["a text that leaves the figure"]


@pytest.mark.parametrize("draw", ALL, ids=lambda f: f.__name__)
def test_every_axis_has_a_name_or_shares_one(draw):
    figure = draw()
    assert any(axes.get_xlabel() for axes in figure.axes)
    assert (
        figure.get_supylabel()
        or any(axes.get_ylabel() for axes in figure.axes)
        or draw in (exactness, evidence)
    )


@pytest.mark.parametrize("draw", ALL, ids=lambda f: f.__name__)
def test_figures_are_written_alike_each_time(draw, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        save(draw(), tmp_path / folder, "figure")
    one, two = ((tmp_path / k / "figure.svg").read_bytes() for k in ("one", "two"))
    assert one == two


def test_divergent_curve_leaves_the_frame_instead_of_ending_in_it():
    left = trajectories().axes[0]
    divergent = left.lines[2].get_ydata()
    assert divergent[-1] > left.get_ylim()[1]
    assert np.all(divergent[:-1] <= left.get_ylim()[1])


def test_open_brackets_do_not_enter_median_and_quartiles():
    line = boundary().axes[0].containers[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), [4.16, 4.01])


def test_colours_differ_for_readers_who_see_no_red_or_no_green():
    """Simulated with the matrices of Vienot, Brettel and Mollon (1999), on linear RGB."""
    deuteranopia = np.array([[0.293, 0.707, 0], [0.293, 0.707, 0], [-0.021, 0.021, 1]])
    protanopia = np.array([[0.112, 0.888, 0], [0.112, 0.888, 0], [0.004, -0.004, 1]])
    names = [k for k in COLOURS if k != "mark"]
    rgb = np.array([[int(COLOURS[k][i : i + 2], 16) / 255 for i in (1, 3, 5)] for k in names])
    for view in (np.eye(3), deuteranopia, protanopia):
        seen = rgb**2.2 @ view.T
        for i in range(len(names)):
            for j in range(i):
                assert np.linalg.norm(seen[i] - seen[j]) > 0.05, (names[i], names[j])
