"""Figures of the phases, each a function of labelled data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from catapult_theory.report.style import COLOURS, styled

LARGEST_SHOWN = 1e12
# An error of exactly zero is drawn here, on the logarithmic axis.
FLOOR = 1e-17

# A legend under the name of the axis, where no curve can be.
BELOW: Any = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.17)}


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
            shown = _up_to_first(one.loss.values > LARGEST_SHOWN)
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


def _up_to_first(outside: Any) -> Any:
    """Return which points lie before the first one outside, and that one, so curves leave."""
    before = np.cumsum(outside) == 0
    return before | np.concatenate([[False], before[:-1]])


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
        _regions(axes, plane)
        named: set[str] = set()
        for orbit in plane.orbits:
            start = orbit[0, 0]
            name = "lazy" if start < 2 else "catapult" if start < plane.edge else "divergent"
            kept = _up_to_first((orbit[:, 0] > plane.a[-1]) | (orbit[:, 1] > plane.domain[-1]))
            label = None if name in named else f"{name} orbit, from the large dot"
            named.add(name)
            style: dict[str, Any] = {"color": COLOURS[name], "linewidth": 0.9, "markersize": 4}
            axes.plot(*orbit[kept].T, ".-", label=label, zorder=3, **style)
            axes.plot(*orbit[0], "o", color=COLOURS[name], markersize=7, zorder=4, clip_on=False)
        axes.set(
            xlabel=r"$a=\eta\lambda$",
            ylabel=r"$b=\eta^2f^2/n$",
            xlim=(0, 5.2),
            ylim=(0, 5.0),
        )
        axes.legend(loc="upper left", frameon=True, framealpha=0.95, edgecolor="none", fontsize=9.5)
    return figure


def _regions(axes: Any, plane: Any) -> None:
    """Fill what no network can reach, and where one step lowers the loss."""
    low = np.maximum(plane.falls_above, 0)
    high = np.minimum(plane.falls_below, plane.domain)
    axes.fill_between(
        plane.a, low, high, where=high > low, color="#56B4E9", alpha=0.25, label="the loss falls"
    )
    axes.fill_between(plane.a, plane.domain, 5.0, where=plane.domain < 5.0, color="#eeeeee")
    text = r"domain: $b\leq a^2/4$"
    axes.plot(plane.a, plane.domain, color=COLOURS["mark"], linewidth=1.5, label=text)
    edge = f"edge $a={plane.edge:g}$"
    axes.axvline(plane.edge, color=COLOURS["mark"], linestyle="--", linewidth=1.2, label=edge)


def courses(dataset: xr.Dataset) -> Figure:
    """Draw the error of the theory against the step, one panel for each network.

    Parameters
    ----------
    dataset : xarray.Dataset
        Dimensions case and step, variables error and control; attribute tolerance.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with styled():
        cases = dataset.case.values
        figure = Figure(figsize=(9.2, 2.7 * ((len(cases) + 1) // 2)))
        panels = figure.subplots((len(cases) + 1) // 2, 2, sharex=True, sharey=True, squeeze=False)
        for axes, case in zip(panels.flat, cases, strict=False):
            one = dataset.sel(case=case)
            axes.plot(one.step, np.maximum(one.control, FLOOR), color=COLOURS["catapult"])
            axes.plot(one.step, np.maximum(one.error, FLOOR), color=COLOURS["theory"])
            axes.axhline(
                dataset.attrs["tolerance"], color=COLOURS["mark"], linestyle="--", linewidth=1
            )
            axes.set_title(str(case), fontsize=10.5)
            axes.set(yscale="log", ylim=(FLOOR / 2, 10))
        for axes in panels[-1]:
            axes.set_xlabel("step")
        figure.supylabel("error over the running maximum", fontsize=11)
        names = ["theory with a wrong coefficient (control)", "theory", "tolerance"]
        figure.legend(panels[0, 0].lines, names, loc="outside upper center", ncols=3)
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
        axes.plot(
            np.maximum(dataset.error, FLOOR), rows, "o", color=COLOURS["theory"], label="theory"
        )
        axes.plot(
            np.maximum(dataset.control, FLOOR),
            rows,
            "x",
            color=COLOURS["catapult"],
            label="wrong coefficient (control)",
        )
        axes.plot(
            dataset.tolerance, rows, "|", color=COLOURS["mark"], markersize=12, label="tolerance"
        )
        axes.set_yticks(rows, [str(c) for c in dataset.case.values], fontsize=9)
        axes.set(
            xscale="log", xlabel="largest error over the running maximum", xlim=(FLOOR / 2, 10)
        )
        # The marks of the first and the last row stand clear of the frame.
        axes.set_ylim(len(rows) - 0.3, -0.7)
        figure.legend(loc="outside upper center", ncols=3)
    return figure


def boundary(dataset: xr.Dataset) -> Figure:
    """Draw the first diverging eta lambda_0 on digits against the width.

    Parameters
    ----------
    dataset : xarray.Dataset
        Dimensions n and seed, variables low and high, the ends of the brackets. Seeds whose
        bracket is open are left out.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with styled():
        figure = Figure(figsize=(7.2, 4.2))
        axes = figure.subplots()
        widths = dataset.n.values.astype(float)
        middle = (0.5 * (dataset.low + dataset.high)).transpose("n", "seed").values
        values = np.where(np.isfinite(middle), middle, np.nan)
        median, low, high = np.nanquantile(values, [0.5, 0.25, 0.75], axis=1)
        spread = 10 ** np.linspace(-0.16, 0.16, values.shape[1])
        axes.plot(
            np.outer(widths, spread).ravel(),
            values.ravel(),
            ".",
            color=COLOURS["measured"],
            markersize=5,
            label="one start",
        )
        axes.errorbar(
            widths,
            median,
            yerr=[median - low, high - median],
            fmt="o-",
            color=COLOURS["lazy"],
            capsize=5,
            label="median and quartiles",
        )
        axes.axhline(4, color=COLOURS["mark"], linestyle="--", label=r"$\eta\lambda_0=4$")
        axes.set(xscale="log", xlabel="width $n$", ylabel=r"first diverging $\eta\lambda_0$")
        axes.legend(loc="upper right")
    return figure


def scaling(dataset: xr.Dataset) -> Figure:
    """Draw the distance from the infinite-width limit against the width, with its slope.

    Parameters
    ----------
    dataset : xarray.Dataset
        Dimensions n and seed; a variable for each quantity, with attributes slope, low, high.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with styled():
        figure = Figure(figsize=(7.2, 4.2))
        axes = figure.subplots()
        widths = dataset.n.values.astype(float)
        colours = (COLOURS["lazy"], COLOURS["catapult"], COLOURS["theory"], COLOURS["measured"])
        for colour, (name, values) in zip(colours, dataset.data_vars.items(), strict=False):
            logs = np.log(values.transpose("n", "seed").values)
            median, low, high = np.exp(np.quantile(logs, [0.5, 0.25, 0.75], axis=1))
            slope = values.attrs["slope"]
            line = np.exp(logs.mean() + slope * (np.log(widths) - np.log(widths).mean()))
            sign = r"$\lambda$" if name == "lam" else f"${name}$"
            bounds = f"{values.attrs['low']:.3f} to {values.attrs['high']:.3f}"
            text = f"{sign}: slope {slope:.3f} ({bounds})"
            bars = [median - low, high - median]
            axes.errorbar(widths, median, yerr=bars, fmt="o", color=colour, capsize=4)
            axes.plot(widths, line, color=colour, linestyle="--", linewidth=1.3, label=text)
        axes.set(xscale="log", yscale="log", xlabel="width $n$")
        axes.set_ylabel(r"distance from $n=\infty$")
        axes.legend(loc="upper right")
    return figure


def limit_curves(dataset: xr.Dataset) -> Figure:
    """Draw how trained loss curves leave the exact ones, and how their distance falls with n.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of `LimitCurves.to_dataset`: trained, exact and control over n, seed and step.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with styled():
        figure = Figure(figsize=(10.4, 4.2))
        excess, fall = figure.subplots(1, 2)
        _excess_of_loss(excess, dataset)
        _fall_with_width(fall, dataset)
    return figure


def _excess_of_loss(axes: Any, dataset: xr.Dataset) -> None:
    """Draw the loss of raw training over the exact loss at each step, mean over seeds."""
    share = (dataset.trained - dataset.exact) / dataset.exact.isel(step=0)
    shades = matplotlib.colormaps["viridis_r"](np.linspace(0.15, 1.0, dataset.sizes["n"]))
    for n, shade in zip(dataset.n.values, shades, strict=True):
        axes.plot(dataset.step, share.sel(n=n).mean("seed"), color=shade, label=f"$n = {n:.0f}$")
    axes.axhline(0.0, color=COLOURS["mark"], linestyle="--", linewidth=1.3, label="exact, large n")
    axes.set(xlabel="step", ylabel="(trained - exact) loss / first loss")
    axes.legend(fontsize=9, ncols=3, **BELOW)


def _fall_with_width(axes: Any, dataset: xr.Dataset) -> None:
    """Draw the largest distance of each network from the exact map, and from a wrong one."""
    widths = dataset.n.values
    at = np.repeat(widths, dataset.sizes["seed"])
    first = dataset.trained.isel(step=0)
    maps = {"exact": ("exact map", "theory"), "control": ("wrong by 5 %", "divergent")}
    for name, (words, colour) in maps.items():
        gap = np.abs(dataset.trained - dataset[name]).max("step") / first
        slope = dataset.attrs[f"slope_{name}"].split(" (")[0]
        values = gap.transpose("n", "seed").values
        axes.plot(at, values.ravel(), "o", color=COLOURS[colour], label=f"{words}: slope {slope}")
        if name == "exact":
            line = np.exp(np.log(values * widths[:, None]).mean()) / widths
            axes.plot(widths, line, color=COLOURS[colour], linestyle="--", label="1/n")
    axes.set(xscale="log", yscale="log", xlabel="width $n$", ylabel="largest distance")
    axes.set_xticks(widths, [f"{n:.0f}" for n in widths])
    axes.minorticks_off()
    axes.legend(fontsize=9, ncols=2, **BELOW)
