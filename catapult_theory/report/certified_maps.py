"""Figures of certified phase maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from catapult_theory.report.style import COLOURS, styled

SHADES = {
    "open": "#F4F4F4",
    "converges": COLOURS["lazy"],
    "cycles": COLOURS["measured"],
    "no stable minimum": "#BBBBBB",
    "diverges": COLOURS["divergent"],
}
PIXELS = 800


def certified_map(phase_map: Any) -> Figure:
    """Draw what has been proved of each start, with the part of the box that each class covers.

    Parameters
    ----------
    phase_map : PhaseMap

    Returns
    -------
    matplotlib.figure.Figure
    """
    (x0, x1), (y0, y1) = phase_map.box
    x = x0 + (x1 - x0) * (np.arange(PIXELS) + 0.5) / PIXELS
    y = y0 + (y1 - y0) * (np.arange(PIXELS) + 0.5) / PIXELS
    kind = phase_map.kind[phase_map.cell_at(*np.meshgrid(x, y))]
    with styled():
        figure = Figure(figsize=(5.8, 6.0))
        axes = figure.subplots()
        axes.imshow(
            kind,
            origin="lower",
            extent=(x0, x1, y0, y1),
            cmap=ListedColormap(list(SHADES.values())),
            vmin=-0.5,
            vmax=len(SHADES) - 0.5,
            interpolation="nearest",
            aspect="auto",
        )
        axes.grid(visible=False)
        area = phase_map.area
        figure.legend(
            handles=[
                Patch(
                    facecolor=SHADES[name],
                    edgecolor=COLOURS["mark"],
                    linewidth=0.5,
                    label=f"{name}: {100 * area[name]:.2f} %",
                )
                for name in SHADES
                if area[name] > 0
            ],
            loc="outside lower center",
            ncols=2,
        )
        axes.set(
            xlabel=r"$X=a+2q$",
            ylabel=r"$Y=a-2q$",
            title=rf"proved for every start, $\kappa={phase_map.kappa:g}$",
        )
    return figure
