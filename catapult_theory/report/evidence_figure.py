"""The figure of the evidence: measured medians with intervals over what the criteria ask for."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from catapult_theory.report.style import COLOURS, styled

HIGHEST = 45.0
LOWEST = 1.0
# Statistics that are values of eta lambda.
SCALE = ("onset", "stability", "divergence", "final")
TICKS = (1, 1.5, 2, 3, 4, 6, 8, 12, 20, 40)
VERDICT_COLOURS = {
    "holds": COLOURS["lazy"],
    "fails": COLOURS["divergent"],
    "undecided": COLOURS["catapult"],
    "censored": COLOURS["catapult"],
    "report only": COLOURS["mark"],
}


def evidence_figure(result: Any) -> Figure:
    """Draw every measured row that is an eta lambda: each start, the median, its interval.

    Rows of one statistic stand together.

    The criterion's interval is shaded. A triangle at an end of the axis: the interval goes on
    there, or a start has no edge up to the largest rate tried. A start of which no run survived
    has no mark of its own.

    Parameters
    ----------
    result : EvidenceResult

    Returns
    -------
    matplotlib.figure.Figure
    """
    drawn = [
        (found, width)
        for found in result.rows
        for width in found.medians
        if found.row.measure.statistic in SCALE and found.verdict != "not measured"
    ]
    drawn.sort(key=lambda pair: SCALE.index(pair[0].row.measure.statistic))
    with styled():
        figure = Figure(figsize=(8.2, 1.5 + 0.27 * max(len(drawn), 2)))
        axes = figure.subplots()
        for place, (found, width) in enumerate(drawn):
            _draw(axes, place, found, width)
        axes.set(
            xscale="log", xlim=(LOWEST, HIGHEST), ylim=(len(drawn) - 0.4, -0.6),
            xlabel=r"$\eta\lambda_0$ (rows final: $\eta\lambda$ after training)",
        )  # fmt: skip
        axes.set_yticks(range(len(drawn)), [_label(f, n) for f, n in drawn], fontsize=8)
        axes.set_xticks(TICKS)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        for value in (2, 4):
            axes.axvline(value, color=COLOURS["mark"], linestyle="--", linewidth=0.9, zorder=0)
        handles, labels = axes.get_legend_handles_labels()
        named = dict(zip(labels, handles, strict=True))
        figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=6, fontsize=8)
    return figure


def _label(found: Any, width: int) -> str:
    several = len(found.row.network.widths) > 1
    return f"{found.row.name}, n = {width}" if several else found.row.name


def _draw(axes: Any, place: int, found: Any, width: int) -> None:
    criterion, median, verdict = found.row.criterion, found.medians[width], found.verdict
    if criterion.kind == "interval":
        axes.fill_betweenx(
            [place - 0.4, place + 0.4], max(criterion.low, LOWEST), criterion.high,
            color=COLOURS["lazy"], alpha=0.15, linewidth=0, label="criterion",
        )  # fmt: skip
    colour = VERDICT_COLOURS[verdict]
    ends = [min(max(v, LOWEST), HIGHEST) for v in (median.low, median.high)]
    axes.plot(ends, [place, place], color=colour, linewidth=2.2, label=verdict)
    if math.isfinite(median.value):
        axes.plot(median.value, place, "o", color=colour, markersize=5)
    if median.low < LOWEST:
        axes.plot(1.02 * LOWEST, place, "<", color=colour, markersize=5, clip_on=False)
    edges = found.values[width]
    if median.high > HIGHEST or any(math.isinf(edge.high) for edge in edges):
        axes.plot(HIGHEST / 1.03, place, ">", color=colour, markersize=5, clip_on=False)
    for edge in edges:
        if edge.low > 0 and math.isfinite(edge.high):
            axes.plot(0.5 * (edge.low + edge.high), place, "|", color="black", markersize=6)
