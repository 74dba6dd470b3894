"""The figure of a probe: peak of the loss, curvature and score against eta lambda_0."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from catapult_theory.report.style import COLOURS, styled

# Up to this loss over that of the start a survivor's peak is drawn where it is.
HIGHEST_PEAK = 1e6
TICKS = (0.5, 1, 2, 4, 8, 12, 16, 24, 40)
MARKERS = "osD^vP*"


def probe_figure(result: Any) -> Figure:
    """Draw what a probe measured, with the predictions 2 and 4.

    Three panels over eta lambda_0, one marker for each start: the largest loss over that of the
    start, crosses on the upper edge for runs that diverged; eta lambda after training; the score,
    with shaded brackets of onset, first divergence and useful edge.

    Parameters
    ----------
    result : ProbeResult
        As `ct.probe` returns it.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import torch, numpy as np  # doctest: +SKIP
    >>> net = torch.nn.Linear(2, 1)  # doctest: +SKIP
    >>> found = ct.probe(net, np.eye(2), [[1.0], [-1.0]], steps=10)  # doctest: +SKIP
    >>> probe_figure(found).savefig("probe.png")  # doctest: +SKIP
    """
    dataset = result.to_dataset()
    with styled():
        figure = Figure(figsize=(11.4, 3.9))
        peak, curvature, score = figure.subplots(1, 3, sharex=True)
        for i in range(dataset.sizes["start"]):
            one = dataset.isel(run=np.flatnonzero(dataset.of_start.values == i))
            _draw_start(one, i, (peak, curvature, score), _name(result.starts[i].seed))
        peak.set(yscale="log", ylabel="peak of the loss over its start", title="the loss")
        peak.axhline(1, color=COLOURS["mark"], linewidth=0.8)
        curvature.axhline(2, color=COLOURS["mark"], linewidth=0.8)
        curvature.set(ylabel=r"$\eta\lambda$ after training", title="the curvature", ylim=(0, None))
        score.set(ylabel=result.score, title="what is learned", ylim=(-0.03, 1.05))
        score.axhline(result.wanted, color=COLOURS["mark"], linewidth=0.8)
        _brackets(score, dataset)
        for axes in (peak, curvature, score):
            _axis(axes, float(dataset.eta_lam0.max()) if dataset.sizes["run"] else 4.0)
        figure.suptitle(f"{result.description}; loss {result.loss}", fontsize=10.5)
        handles, labels = score.get_legend_handles_labels()
        named = dict(zip(labels, handles, strict=True))
        figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=6, fontsize=9)
    return figure


def _name(seed: int | None) -> str:
    return "trained, as given" if seed is None else f"trained, start {seed}"


def _draw_start(one: xr.Dataset, index: int, panels: tuple[Any, Any, Any], name: str) -> None:
    peak, curvature, score = panels
    alive = ~one.diverged.values.astype(bool)
    style: dict[str, Any] = {
        "color": COLOURS["lazy"],
        "marker": MARKERS[index % len(MARKERS)],
        "markersize": 4.5,
        "linewidth": 0.9,
        "alpha": 0.85,
    }
    kept = one.isel(run=np.flatnonzero(alive))
    gone = one.isel(run=np.flatnonzero(~alive))
    peak.plot(kept.eta_lam0, np.minimum(kept.peak, HIGHEST_PEAK), **style)
    known = np.isfinite(kept.eta_lam.values)
    curvature.plot(kept.eta_lam0[known], kept.eta_lam[known], **style)
    score.plot(kept.eta_lam0, kept.score, **style, label=name)
    if not gone.sizes["run"]:
        return
    for axes in panels:
        axes.plot(
            gone.eta_lam0, np.full(gone.sizes["run"], 0.97), "x", color=COLOURS["divergent"],
            transform=axes.get_xaxis_transform(), markersize=6, label="diverged",
        )  # fmt: skip


def _brackets(axes: Any, dataset: xr.Dataset) -> None:
    """Shade the brackets; a mark at the lower end of one that was not closed."""
    for name, colour in (("onset", "theory"), ("divergence", "catapult"), ("useful", "measured")):
        for low, high in dataset[f"{name}_edge"].values:
            if np.isfinite(high) and low > 0:
                # A bracket may be narrower than a line.
                style: dict[str, Any] = {"color": COLOURS[colour], "alpha": 0.7, "label": name}
                axes.axvspan(low, max(high, low * 1.01), **style)


def _axis(axes: Any, highest: float) -> None:
    axes.set(xscale="log", xlabel=r"$\eta\lambda_0$")
    axes.xaxis.set_major_locator(FixedLocator([t for t in TICKS if t <= max(4, 1.1 * highest)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for value in (2, 4):
        style: dict[str, Any] = {"color": COLOURS["mark"], "linestyle": "--", "linewidth": 1.1}
        axes.axvline(value, **style, zorder=0)
