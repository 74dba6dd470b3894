"""The roofline: what every contestant reaches, under what one core can do at most."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Families in the order of the legend: how their names begin, marker, colour (Okabe and Ito's,
# which the colour-blind can tell apart), and where they stand beside the column's middle.
FAMILIES = (
    ("ours", "ours", "o", "#D55E00", -2),
    ("hand-written C", "C,", "s", "#0072B2", -1),
    ("JAX", "JAX", "^", "#009E73", 0),
    ("NumPy", "NumPy", "D", "#CC79A7", 1),
    ("SymPy, numexpr, heyoka, PyTorch", "", "x", "#555555", 2),
)
SPREAD = 1.28  # a family's place beside the middle, as a factor


def columns(found: Mapping[str, Any]) -> list[tuple[str, float, dict[str, float]]]:
    """Return (question, flops per byte, rates in GF/s by contestant), where these are known."""
    kept = []
    for title, result in found["results"].items():
        if not (result["flops"] and result["bytes"]):
            continue
        rates = {
            name: 1e-9 * result["flops"] / r["cost"]
            for name, r in result["contestants"].items()
            if not r["limit"] and "threads" not in name
        }
        kept.append((title.split()[0], result["flops"] / result["bytes"], rates))
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
    _roofs(axes, found["limits"], edges)
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
    axes.set_ylim(low / 3, top * 2.2)
    for question, intensity, _ in shown:
        axes.text(intensity, low / 2.2, question, ha="center", va="center", weight="bold")
    axes.set_xlabel("floating-point operations per byte that must move")
    axes.set_ylabel("10$^9$ operations per second, one thread")
    axes.set_title(f"Roofline of one core: {found['machine']['processor']}", loc="left", size=11)
    axes.grid(True, which="major", alpha=0.25)
    ordered = [f[0] for f in FAMILIES if f[0] in used]
    axes.legend(
        [used[label] for label in ordered],
        ordered,
        loc="outside lower center",
        ncols=5,
        frameon=False,
    )
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _edges(shown: list[tuple[str, float, dict[str, float]]]) -> tuple[float, float]:
    places = [x for _, x, _ in shown] or [1.0]
    return min(places) / 6, max(places) * 6


def _roofs(axes: Any, limits: Mapping[str, Any], edges: tuple[float, float]) -> None:
    """Draw what was measured: peaks, the store limit up to the highest peak, the latency."""
    if not limits["gflops"]:
        return
    name, peak = max(limits["gflops"].items(), key=lambda item: item[1])
    ridge = peak / limits["gbytes"]
    line = {"color": "black", "lw": 1.5}
    axes.plot([ridge, edges[1]], [peak, peak], **line)
    axes.plot([edges[0], ridge], [edges[0] * limits["gbytes"], peak], **line)
    axes.annotate(
        f"fused multiply-add, {name}: {peak:.0f} GF/s",
        (edges[1], peak),
        (-4, 4),
        textcoords="offset points",
        ha="right",
    )
    axes.annotate(
        f"stores: {limits['gbytes']:.0f} GB/s",
        (ridge / 2, peak / 2),
        (-6, 4),
        textcoords="offset points",
        ha="right",
    )
    one = 6 / limits["chain"]
    axes.axhline(one, color="black", lw=1, ls="--")
    axes.annotate(
        f"one lane, latency {limits['chain']:.1f} ns a step: {one:.1f} GF/s",
        (edges[1], one),
        (-4, 4),
        textcoords="offset points",
        ha="right",
    )
