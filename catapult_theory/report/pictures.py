"""The picture of README: ``python -m catapult_theory.report.pictures [FOLDER]``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from catapult_theory.codegen.grid import grid
from catapult_theory.codegen.run import trajectory
from catapult_theory.errors import OutputError
from catapult_theory.report import figures
from catapult_theory.report.style import save
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive

FOLDER = Path("docs/images")
NAME = "phases"


def phases() -> Figure:
    """Return the three phases of the uv-model at width 4096: loss and eta lambda by step.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rates: dict[str, Any] = grid(eta=np.array([0.3, 1.5, 2.25]))
    orbits = trajectory(derive(models.uv()), {"f": 1.0, "lam": 2.0}, 60, n=4096.0, **rates)
    return figures.trajectories(orbits, ("lazy", "catapult", "divergent"))


def main(folder: Path = FOLDER) -> list[Path]:
    """Write the picture as PNG and SVG.

    Parameters
    ----------
    folder : pathlib.Path
        Made if needed.

    Returns
    -------
    list of pathlib.Path

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return save(phases(), folder, NAME)
    except OSError as cause:
        raise OutputError(f"cannot write to {folder}: {cause.strerror or cause}") from cause


if __name__ == "__main__":
    for path in main(*map(Path, sys.argv[1:2])):
        print(path)
