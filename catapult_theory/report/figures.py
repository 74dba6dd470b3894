"""Figures of the phases, each a function of labelled data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from catapult_theory.report.style import COLOURS, styled

LARGEST_SHOWN = 1e12


def trajectories(dataset: xr.Dataset, labels: Sequence[str]) -> Figure:
    """Draw loss and eta lambda against the step, one curve for each learning rate.

    Parameters
    ----------
    dataset : xarray.Dataset
        A trajectory with dimensions step and eta, and variables loss and lam.
    labels : sequence of str
        A name in `COLOURS` for each learning rate: "lazy", "catapult", "divergent".

    Returns
    -------
    matplotlib.figure.Figure
    """
    with styled():
        figure = Figure(figsize=(9.2, 3.9))
        left, right = figure.subplots(1, 2)
        for i, label in enumerate(labels):
            one = dataset.isel(eta=i)
            eta = float(one.eta)
            start = eta * float(one.lam[0])
            shown = one.loss.values < LARGEST_SHOWN
            text = rf"{label}, $\eta\lambda_0={start:.3g}$"
            left.plot(one.step[shown], one.loss[shown], color=COLOURS[label], label=text)
            right.plot(one.step[shown], eta * one.lam[shown], color=COLOURS[label], label=text)
        left.set(xlabel="step", ylabel="loss $L$", yscale="log")
        left.set_ylim(bottom=1e-14, top=LARGEST_SHOWN)
        right.set(xlabel="step", ylabel=r"$\eta\lambda$", ylim=(0, 5.4))
        for value, text in ((2, r"$\eta\lambda=2$"), (4, r"$\eta\lambda=4$")):
            right.axhline(value, color=COLOURS["mark"], linestyle="--", linewidth=1)
            right.annotate(
                text, (0.98, value), xycoords=("axes fraction", "data"), ha="right", va="bottom"
            )
        left.legend()
        left.set_title("the loss falls, is catapulted, or grows")
        right.set_title("the catapult ends in a flatter minimum")
    return figure


def final_curvature(dataset: xr.Dataset, bands: Sequence[Any]) -> Figure:
    """Draw the final curvature over the initial one against eta lambda_0.

    Parameters
    ----------
    dataset : xarray.Dataset
        Dimensions n and eta_lam0, variables ratio (final lam over initial) and behaviour.
    bands : sequence of CurvatureBand
        The range of a_inf as b_0 -> 0 at several a_0.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with styled():
        figure = Figure(figsize=(7.2, 4.4))
        axes = figure.subplots()
        starts = np.array([band.start for band in bands])
        low = np.array([band.low / band.start for band in bands])
        high = np.array([band.high / band.start for band in bands])
        axes.fill_between(
            starts, low, high, color=COLOURS["theory"], alpha=0.3, label=r"band, $n\to\infty$"
        )
        shades = ("#0072B2", "#D55E00", "#CC79A7", "#E69F00")
        for i, width in enumerate(dataset.n.values):
            one = dataset.sel(n=width)
            kept = one.behaviour.isin(["lazy", "catapult"])
            axes.plot(
                one.eta_lam0[kept],
                one.ratio[kept],
                ".",
                color=shades[i % len(shades)],
                markersize=4,
                label=f"$n=10^{{{np.log10(width):.0f}}}$",
            )
        for value in (2, 4):
            axes.axvline(value, color=COLOURS["mark"], linestyle="--", linewidth=1)
        axes.annotate("lazy", (1, 1.06), ha="center")
        axes.annotate("catapult", (3, 1.06), ha="center")
        axes.annotate("divergent", (4.28, 1.06), ha="center")
        axes.set(
            xlabel=r"$\eta\lambda_0$",
            ylabel=r"final $\lambda/\lambda_0$",
            xlim=(0, 4.6),
            ylim=(-0.03, 1.14),
        )
        axes.legend(loc="lower left")
    return figure


def phase_plane(plane: Any) -> Figure:
    """Draw orbits in the (a, b) plane with the domain and where the loss falls.

    Parameters
    ----------
    plane : PhasePlane

    Returns
    -------
    matplotlib.figure.Figure
    """
    with styled():
        figure = Figure(figsize=(7.2, 4.8))
        axes = figure.subplots()
        low = np.maximum(plane.falls_above, 0)
        high = np.minimum(plane.falls_below, plane.domain)
        axes.fill_between(
            plane.a,
            low,
            high,
            where=high > low,
            color="#56B4E9",
            alpha=0.25,
            label="the loss falls",
        )
        axes.plot(plane.a, plane.domain, color=COLOURS["mark"], label=r"domain: $b\leq a^2/4$")
        axes.axvline(plane.edge, color=COLOURS["divergent"], linestyle="--", label="edge $a=4$")
        for orbit in plane.orbits:
            start = orbit[0, 0]
            name = "lazy" if start < 2 else "catapult" if start < plane.edge else "divergent"
            kept = (orbit[:, 0] < plane.a[-1]) & (orbit[:, 1] < plane.domain[-1])
            axes.plot(*orbit[kept].T, ".-", color=COLOURS[name], linewidth=0.8, markersize=4)
            axes.plot(*orbit[0], "o", color=COLOURS[name], markersize=6)
        axes.set(
            xlabel=r"$a=\eta\lambda$",
            ylabel=r"$b=\eta^2f^2/n$",
            xlim=(0, 5.2),
            ylim=(0, 5.0),
        )
        axes.legend(loc="upper left")
    return figure


def exactness(dataset: xr.Dataset) -> Figure:
    """Draw the error of the theory against trained networks, one row for each comparison.

    Parameters
    ----------
    dataset : xarray.Dataset
        Dimension case, variables error, control and tolerance.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with styled():
        figure = Figure(figsize=(8.4, 0.36 * dataset.sizes["case"] + 1.5))
        axes = figure.subplots()
        rows = np.arange(dataset.sizes["case"])
        floor = 1e-17
        axes.plot(
            np.maximum(dataset.error, floor), rows, "o", color=COLOURS["theory"], label="theory"
        )
        axes.plot(
            np.maximum(dataset.control, floor),
            rows,
            "x",
            color=COLOURS["catapult"],
            label="wrong coefficient (control)",
        )
        axes.plot(
            dataset.tolerance, rows, "|", color=COLOURS["mark"], markersize=12, label="tolerance"
        )
        axes.set_yticks(rows, [str(c) for c in dataset.case.values], fontsize=9)
        axes.set(xscale="log", xlabel="largest error over the running maximum", xlim=(1e-17, 10))
        axes.invert_yaxis()
        axes.legend(loc="upper center", bbox_to_anchor=(0.4, 1.16), ncols=3)
    return figure


def boundary(dataset: xr.Dataset) -> Figure:
    """Draw the first diverging eta lambda_0 on digits against the width.

    Parameters
    ----------
    dataset : xarray.Dataset
        Dimensions n and seed, variable boundary (the middle of each bracket).

    Returns
    -------
    matplotlib.figure.Figure
    """
    with styled():
        figure = Figure(figsize=(7.2, 4.2))
        axes = figure.subplots()
        widths = dataset.n.values.astype(float)
        values = dataset.boundary.transpose("n", "seed").values
        middle, low, high = np.nanquantile(values, [0.5, 0.25, 0.75], axis=1)
        for width, row in zip(widths, values, strict=True):
            spread = np.exp(np.linspace(-0.25, 0.25, row.size))
            axes.plot(width * spread, row, ".", color=COLOURS["measured"], alpha=0.55, markersize=5)
        axes.errorbar(
            widths,
            middle,
            yerr=[middle - low, high - middle],
            fmt="o-",
            color=COLOURS["lazy"],
            capsize=4,
            label="median and quartiles over seeds",
        )
        axes.axhline(4, color=COLOURS["mark"], linestyle="--", label=r"$\eta\lambda_0=4$")
        axes.set(xscale="log", xlabel="width $n$", ylabel=r"first diverging $\eta\lambda_0$")
        axes.legend(loc="upper right")
    return figure


def scaling(dataset: xr.Dataset) -> Figure:
    """Draw the deviation from the infinite-width prediction against the width, with its slope.

    Parameters
    ----------
    dataset : xarray.Dataset
        Dimension n, variable deviation; attributes slope, slope_low and slope_high.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with styled():
        figure = Figure(figsize=(6.4, 4.0))
        axes = figure.subplots()
        widths, values = dataset.n.values.astype(float), dataset.deviation.values
        slope = dataset.attrs["slope"]
        line = np.exp(np.mean(np.log(values)) + slope * (np.log(widths) - np.mean(np.log(widths))))
        axes.plot(widths, values, "o", color=COLOURS["lazy"], label="measured")
        low, high = dataset.attrs["slope_low"], dataset.attrs["slope_high"]
        text = f"slope {slope:.3f} [{low:.3f}, {high:.3f}]"
        axes.plot(widths, line, color=COLOURS["mark"], linestyle="--", label=text)
        axes.set(
            xscale="log", yscale="log", xlabel="width $n$", ylabel="deviation from $n=\\infty$"
        )
        axes.legend()
    return figure
