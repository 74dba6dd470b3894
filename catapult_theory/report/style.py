"""One look for every figure: colour-blind-safe colours, thin spines, readable labels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by readers with any colour vision.
COLOURS = {
    "lazy": "#0072B2",
    "catapult": "#D55E00",
    "divergent": "#7F7F7F",
    "theory": "#009E73",
    "measured": "#CC79A7",
    "mark": "#444444",
}
SETTINGS: Any = {
    "figure.dpi": 110,
    "savefig.dpi": 180,
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "svg.hashsalt": "catapult_theory",
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw with the toolkit's settings, and leave the user's as they were.

    Examples
    --------
    >>> with styled():
    ...     mpl.rcParams["legend.frameon"]
    False
    """
    with mpl.rc_context(SETTINGS):
        yield


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as PNG and SVG.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    folder : pathlib.Path
    name : str
        Without suffix.

    Returns
    -------
    list of pathlib.Path
    """
    paths = [folder / f"{name}.{kind}" for kind in ("png", "svg")]
    metadata: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".png": {}}
    with styled():
        for path in paths:
            figure.savefig(path, metadata=metadata[path.suffix])
    return paths
