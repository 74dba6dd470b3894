"""The roofline: what every contestant reaches, under what one core can do at most."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.uv_lanes import FLOPS

# Families in the order of the legend: how their names begin, marker, colour (Okabe and Ito's,
# which the colour-blind can tell apart), and where they stand beside the column's middle.
FAMILIES = (
    ("ours", "ours", "o", "#D55E00", -2),
    ("hand-written C", "C,", "s", "#0072B2", -1),
    ("JAX", "JAX", "^", "#009E73", 0),
    ("NumPy", "NumPy", "D", "#CC79A7", 1),
    ("SymPy, numexpr, heyoka", "", "x", "#555555", 2),
)
SPREAD = 1.28  # a family's place beside the middle, as a factor
CLOSE = 1.6  # rates nearer than this share a label


def columns(found: Mapping[str, Any]) -> list[tuple[str, float, dict[str, float]]]:
    """Return (title, flops per byte, rates in GF/s by contestant), where these are known."""
    kept = []
    for title, result in found["results"].items():
        if not (result["flops"] and result["bytes"]):
            continue
        rates = {
            name: 1e-9 * result["flops"] / r["cost"]
            for name, r in result["contestants"].items()
            if not r["limit"] and "threads" not in name
        }
        kept.append((title, result["flops"] / result["bytes"], rates))
    return kept


def family(name: str) -> tuple[str, str, str, str, int]:
    """Return the family that a contestant belongs to."""
    return next(f for f in FAMILIES if name.startswith(f[1]))


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Write the figure.

    Parameters
    ----------
    found : mapping
        What ``python -m benchmarks --json`` writes.
    path : Path
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    shown = columns(found)
    figure, axes = plt.subplots(figsize=(9, 5.6), layout="constrained")
    edges = _edges(shown)
    _roofs(axes, found["limits"], shown, edges)
    used = {}
    for _, intensity, rates in shown:
        for name, rate in rates.items():
            label, _, marker, colour, place = family(name)
            (used[label],) = axes.plot(
                intensity * SPREAD**place, rate, marker, color=colour, ms=7, mew=1.6, alpha=0.9
            )
    axes.set(xscale="log", yscale="log", xlim=edges)
    low = min((r for *_, rates in shown for r in rates.values()), default=0.1)
    top = max([*found["limits"]["gflops"].values(), 1.0])
    axes.set_ylim(low / 6, top * 2.2)
    for title, intensity, rates in shown:
        question, size = title.split(",")[0].split(":")[0].split(" ", 1)
        axes.text(intensity, low / 2.4, question, ha="center", va="bottom", weight="bold")
        axes.text(intensity, low / 2.6, size, ha="center", va="top", size=8)
        _name_ours(axes, intensity * SPREAD ** FAMILIES[0][-1], rates)
    axes.set_xlabel("floating-point operations per byte that must move")
    axes.set_ylabel("10$^9$ operations per second, one thread")
    axes.set_title(f"Roofline of one core: {found['machine']['processor']}", loc="left", size=11)
    axes.grid(True, which="major", alpha=0.25)
    ordered = [f[0] for f in FAMILIES if f[0] in used]
    handles = [used[label] for label in ordered]
    figure.legend(handles, ordered, loc="outside lower center", ncols=5, frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _edges(shown: list[tuple[str, float, dict[str, float]]]) -> tuple[float, float]:
    places = [x for _, x, _ in shown] or [1.0]
    return min(places) / 6, max(places) * 6


def _name_ours(axes: Any, place: float, rates: Mapping[str, float]) -> None:
    """Write the backends beside their points, those that lie close together on one line."""
    groups: list[list[tuple[str, float]]] = []
    mine = {k.removeprefix("ours: "): v for k, v in rates.items() if k.startswith("ours: ")}
    for name, rate in sorted(mine.items(), key=lambda item: -item[1]):
        if groups and rate > groups[-1][-1][1] / CLOSE:
            groups[-1].append((name, rate))
        else:
            groups.append([(name, rate)])
    for group in groups:
        middle = (group[0][1] * group[-1][1]) ** 0.5
        text = ", ".join(name for name, _ in group)
        axes.annotate(
            text,
            (place, middle),
            (-8, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            size=8,
            color=FAMILIES[0][3],
        )


def _roofs(
    axes: Any,
    limits: Mapping[str, Any],
    shown: list[tuple[str, float, dict[str, float]]],
    edges: tuple[float, float],
) -> None:
    """Draw what was measured: a peak, the stores up to it, the latency of one lane."""
    if not limits["gflops"]:
        return
    name, peak = next(iter(limits["gflops"].items()))
    ridge, one = peak / limits["gbytes"], FLOPS / limits["chain"]
    axes.plot([edges[0], ridge, edges[1]], [edges[0] * limits["gbytes"], peak, peak], "k", lw=1.5)
    axes.axhline(one, color="black", lw=1, ls="--")
    places = sorted(x for _, x, _ in shown)[-2:]
    free = (places[0] * places[1]) ** 0.5 if len(places) == 2 else edges[1] ** 0.7
    for text, at, side in (
        (f"fused multiply-add, {name}: {peak:.0f} GF/s", (edges[1] / 1.1, peak), "right"),
        (f"stores: {limits['gbytes']:.0f} GB/s", (ridge / 2.4, peak / 2), "right"),
        (f"one lane, {limits['chain']:.1f} ns a step", (free, one), "center"),
    ):
        axes.annotate(text, at, (0, 4), textcoords="offset points", ha=side, size=9)
