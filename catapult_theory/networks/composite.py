"""Optimizers put together from parts, by hand, on arrays of parameters.

Momentum, weight decay, rescaling of the gradient and an ascent before it are taken, as in
PyTorch: the gradient is moved up to (SAM), taken, rescaled, weight decay added, and then the
momentum rule makes the step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from catapult_theory.errors import unknown_name
from catapult_theory.networks.optimizers import Buffers, Rates, over
from catapult_theory.networks.parameters import Array, Parameters

GradientAt = Callable[[Mapping[str, Array]], Parameters]

PARTS = {
    "momentum": ("none", "heavy_ball", "nesterov", "torch_heavy_ball", "torch_nesterov"),
    "decay": ("coupled", "decoupled"),
    "rescaling": ("none", "clip", "normalise"),
    "ascent": ("none", "sam", "unnormalised_sam"),
}


@dataclass(frozen=True)
class Composite:
    """An optimizer of parts.

    Parameters
    ----------
    momentum : str
        "heavy_ball": P' = beta P - eta g, theta' = theta + P'. "nesterov": the same with g at
        theta + beta P. "torch_heavy_ball": B' = beta B + g, theta' = theta - eta B'.
        "torch_nesterov": theta' = theta - eta (g + beta B'). Buffers are zero at the start.
    decay : str
        "coupled": omega times the point joins the gradient g. "decoupled": eta omega theta is
        taken off the parameters besides.
    rescaling : str
        "clip": g times min(1, clip/|g|). "normalise": g/|g|, zero where g is. Before the decay.
    ascent : str
        "sam": g at the point plus rho g/|g|. "unnormalised_sam": plus rho g.

    Raises
    ------
    InputError
        For an unknown part.

    Examples
    --------
    >>> Composite("nesterov").name
    'nesterov'
    """

    momentum: str = "none"
    decay: str = "coupled"
    rescaling: str = "none"
    ascent: str = "none"

    def __post_init__(self) -> None:
        for part, known in PARTS.items():
            if getattr(self, part) not in known:
                raise unknown_name(part, getattr(self, part), known)

    @property
    def name(self) -> str:
        """The parts that are there, joined."""
        parts = (self.momentum, self.decay, self.rescaling, self.ascent)
        return " + ".join(p for p in parts if p not in ("none", "coupled")) or "gd"

    def buffers(self, parameters: Mapping[str, Array]) -> Buffers:
        """Return the buffer P = 0 of momentum, else none."""
        if self.momentum == "none":
            return {}
        return {"P": {k: np.zeros_like(a) for k, a in parameters.items()}}

    def advance(
        self,
        parameters: Parameters,
        buffers: Buffers,
        gradient_at: GradientAt,
        rates: Rates,
    ) -> tuple[Parameters, Buffers]:
        """Return parameters and buffers after one step.

        Parameters
        ----------
        parameters, buffers
        gradient_at : callable
            From parameters to the gradient of the loss without weight decay.
        rates : Rates
        """
        place = parameters
        if self.momentum == "nesterov":
            place = {k: a + over(rates.beta, a) * buffers["P"][k] for k, a in parameters.items()}
        slope = self._rescaled(gradient_at(self._climbed(place, gradient_at, rates)), rates)
        if self.decay == "coupled":
            slope = {k: s + over(rates.omega, s) * place[k] for k, s in slope.items()}
        new, moved = self._moved(parameters, buffers, slope, rates)
        if self.decay == "decoupled":
            lost = {k: over(rates.eta * rates.omega, a) * a for k, a in parameters.items()}
            new = {k: a - lost[k] for k, a in new.items()}
        return new, moved

    def _climbed(self, place: Parameters, gradient_at: GradientAt, rates: Rates) -> Parameters:
        if self.ascent == "none":
            return place
        slope = gradient_at(place)
        length = rates.numbers["rho"]
        if self.ascent == "sam":
            length = length * _inverse(norm(slope))
        return {k: a + over(length, a) * slope[k] for k, a in place.items()}

    def _rescaled(self, slope: Parameters, rates: Rates) -> Parameters:
        if self.rescaling == "none":
            return slope
        size = norm(slope)
        if self.rescaling == "clip":
            factor = np.minimum(1.0, rates.numbers["clip"] * _inverse(size))
            factor = np.where(size > 0, factor, 1.0)
        else:
            factor = _inverse(size)
        return {k: over(factor, s) * s for k, s in slope.items()}

    def _moved(
        self, parameters: Parameters, buffers: Buffers, slope: Parameters, rates: Rates
    ) -> tuple[Parameters, Buffers]:
        eta, beta = rates.eta, rates.beta
        if self.momentum == "none":
            return {k: a - over(eta, a) * slope[k] for k, a in parameters.items()}, buffers
        old = buffers["P"]
        if self.momentum in ("heavy_ball", "nesterov"):
            P = {k: over(beta, p) * p - over(eta, p) * slope[k] for k, p in old.items()}
            return {k: a + P[k] for k, a in parameters.items()}, {"P": P}
        B = {k: over(beta, b) * b + slope[k] for k, b in old.items()}
        along = B
        if self.momentum == "torch_nesterov":
            along = {k: slope[k] + over(beta, b) * b for k, b in B.items()}
        return {k: a - over(eta, a) * along[k] for k, a in parameters.items()}, {"P": B}

    def effective_decay(self, rates: Rates) -> Array:
        """Return omega' with grad L + omega' theta = 0 where the parameters rest."""
        if self.decay == "decoupled" and self.momentum != "none":
            return np.asarray((1.0 - rates.beta) * rates.omega)
        return rates.omega

    def threshold(self, rates: Rates) -> Array | None:
        """Return the largest eta (curvature + effective decay) at which a minimum is stable."""
        eta, beta = rates.eta, rates.beta
        if self.rescaling == "normalise" or self.ascent == "sam":
            return np.zeros_like(eta)
        if self.decay == "decoupled" or self.ascent != "none":
            return None
        if self.momentum in ("nesterov", "torch_nesterov"):
            return np.asarray(2.0 * (1.0 + beta) / (1.0 + 2.0 * beta))
        return np.asarray(2.0 * (1.0 + beta))


def norm(gradient: Mapping[str, Array]) -> Array:
    """Return the global norm of each lane.

    Parameters
    ----------
    gradient : mapping of str to array, shape (lanes, ...)

    Returns
    -------
    array, shape (lanes,)

    Examples
    --------
    >>> norm({"u": np.array([[3.0, 0.0]]), "v": np.array([[0.0, 4.0]])})
    array([5.])
    """
    return np.asarray(np.sqrt(sum(np.square(g).reshape(len(g), -1).sum(1)
                                  for g in gradient.values())))  # fmt: skip


def _inverse(size: Array) -> Array:
    """Return 1/size, zero where the gradient vanishes: it has no direction there."""
    safe = np.where(size > 0, size, 1.0)
    return np.asarray(np.where(size > 0, 1.0 / safe, 0.0))
