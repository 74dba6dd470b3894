"""The phase that the bounds predict for a learning rate, before any training."""

from __future__ import annotations

import functools
from enum import StrEnum
from typing import Any

import numpy as np

from catapult_theory.errors import InputError
from catapult_theory.phases.bounds import Bound, PhaseBounds, check_signs, phase_bounds
from catapult_theory.symbolic.update_map import UpdateMap


class PredictedPhase(StrEnum):
    """A phase as the bounds predict it; the behaviour of a run has names of its own.

    ``UNKNOWN`` is said where no bound decides: on an edge, above the stability threshold of a map
    without a known edge, and where no network has a stable minimum.
    """

    LAZY = "lazy"
    CATAPULT = "catapult"
    DIVERGENT = "divergent"
    UNKNOWN = "unknown"


def predict_phase(update_map: UpdateMap, **values: Any) -> Any:
    """Return the phase that the bounds predict for each learning rate.

    Divergent above eta_max; below it lazy up to eta_crit and catapult above (theory, section 4).
    Where the label is too large for any stable minimum (eta >= eta_stable, kappa >= 1 for the
    uv-model) training below the edge is bounded but the phase is not decided.

    Parameters
    ----------
    update_map : UpdateMap
    **values
        ``eta``, the state at the start (``lam``, ``f``) and the parameters, numbers or arrays that
        broadcast.

    Returns
    -------
    array of str, or str
        Values of `PredictedPhase`.

    Raises
    ------
    InputError
        If a value is missing, or eta, n or lam is not positive.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> uv = derive(models.uv())
    >>> predict_phase(uv, eta=[0.5, 1.5, 2.5], lam=2.0).tolist()
    ['lazy', 'catapult', 'divergent']
    """
    rates = _checked(update_map, values)
    bounds = _bounds(update_map)
    shape = np.broadcast_shapes(*(np.shape(v) for v in values.values()))
    lazy = rates < bounds.eta_crit(**values)
    phases = np.where(lazy, PredictedPhase.LAZY.value, PredictedPhase.CATAPULT.value)
    phases = np.where(_undecided(bounds, values, rates, lazy), PredictedPhase.UNKNOWN.value, phases)
    phases = np.where(_above_edge(bounds.eta_max, values, rates), "divergent", phases)
    known = np.all([np.isfinite(np.broadcast_to(v, shape)) for v in values.values()], axis=0)
    phases = np.where(known, phases, PredictedPhase.UNKNOWN.value)
    return np.broadcast_to(phases, shape)[()]


@functools.lru_cache(maxsize=32)
def _bounds(update_map: UpdateMap) -> PhaseBounds:
    """Keep the bounds of a map: maps are immutable, and solving for its lines takes a while."""
    return phase_bounds(update_map)


def _checked(update_map: UpdateMap, values: dict[str, Any]) -> Any:
    for name, value in values.items():
        try:
            values[name] = np.asarray(value, dtype=float)
        except (TypeError, ValueError) as cause:
            raise InputError(f"{name} must be a number or an array of numbers") from cause
    known = {s.name for s in (*update_map.variables, *update_map.constants)} | {"lam", "ggn"}
    unknown = sorted(set(values) - known)
    if unknown:
        raise InputError(f"unknown {', '.join(unknown)}; this map has {', '.join(sorted(known))}")
    if "eta" not in values:
        raise InputError("predict_phase() needs the learning rate: give eta=")
    check_signs(values)
    return values["eta"]


def _above_edge(edge: Bound, values: dict[str, Any], rates: Any) -> Any:
    """Whether the rate lies above the edge; the theorem's condition is on the rate itself."""
    if edge.expr is None:
        return np.zeros((), dtype=bool)
    return (rates > edge(**values)) & edge.admits(**values)


def _undecided(bounds: PhaseBounds, values: dict[str, Any], rates: Any, lazy: Any) -> Any:
    edge = bounds.eta_max
    unstable = np.zeros((), dtype=bool)
    if bounds.eta_stable.expr is not None:
        unstable = rates >= bounds.eta_stable(**values)
    if edge.expr is None:
        return unstable | ~lazy
    return unstable | (rates >= edge(**values)) | ~edge.admits(**values)
