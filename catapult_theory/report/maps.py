"""The update maps that a report is about, each derived once."""

from __future__ import annotations

from functools import cache

from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.update_map import UpdateMap


@cache
def maps() -> dict[str, UpdateMap]:
    """Return the update maps of the report by name."""
    return {
        "uv-model": derive(models.uv()),
        "uv-model with a label": derive(models.uv(label=True)),
        "uv-model, heavy ball": derive(models.uv(), optimizer="heavy_ball"),
        "two-layer linear network": derive(models.linear(outputs=None)),
        "two-layer linear network, softmax": derive(
            models.linear(outputs=None), "softmax_cross_entropy"
        ),
    }
