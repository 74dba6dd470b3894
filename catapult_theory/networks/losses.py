"""Losses by hand: value, gradient and curvature with respect to the outputs.

L = (1/m) sum over samples of l(f, y) (theory, section 1). Outputs and targets have shape
(*lanes, m, k); elementwise losses are summed over the k outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, log_softmax, logsumexp, softmax

from catapult_theory.errors import InputError, unknown_name
from catapult_theory.networks.parameters import Array


@dataclass(frozen=True)
class OutputLoss:
    """A loss as three functions of the outputs, none of which knows the network.

    Parameters
    ----------
    name : str
    per_sample : callable
        (F, Y) -> l for each sample, shape (*lanes, m).
    gradient : callable
        (F, Y) -> dl/dF, shape (*lanes, m, k), without the factor 1/m.
    curvature : callable
        (F, Y, R) -> (d^2 l/dF^2) R, shape (*lanes, m, k), without the factor 1/m.
    """

    name: str
    per_sample: Callable[[Array, Array], Array]
    gradient: Callable[[Array, Array], Array]
    curvature: Callable[[Array, Array, Array], Array]

    def value(self, F: Array, Y: Array) -> Array:
        """Return the mean over samples.

        Parameters
        ----------
        F : array, shape (*lanes, m, k)
        Y : array, broadcastable to it

        Returns
        -------
        array, shape (*lanes,)

        Examples
        --------
        >>> float(squared.value(np.array([[2.0], [0.0]]), np.array([[0.0], [0.0]])))
        1.0
        """
        return np.asarray(self.per_sample(F, Y).mean(axis=-1))


def _squared_value(F: Array, Y: Array) -> Array:
    return np.asarray(0.5 * np.square(F - Y).sum(axis=-1))


def _squared_gradient(F: Array, Y: Array) -> Array:
    return np.asarray(F - Y)


def _squared_curvature(F: Array, Y: Array, R: Array) -> Array:
    return R


def _logistic_value(F: Array, Y: Array) -> Array:
    return np.asarray(np.logaddexp(0.0, -Y * F).sum(axis=-1))


def _logistic_gradient(F: Array, Y: Array) -> Array:
    return np.asarray(-Y * expit(-Y * F))


def _logistic_curvature(F: Array, Y: Array, R: Array) -> Array:
    return np.asarray(Y**2 * expit(Y * F) * expit(-Y * F) * R)


def _exponential_value(F: Array, Y: Array) -> Array:
    return np.asarray(np.exp(-Y * F).sum(axis=-1))


def _exponential_gradient(F: Array, Y: Array) -> Array:
    return np.asarray(-Y * np.exp(-Y * F))


def _exponential_curvature(F: Array, Y: Array, R: Array) -> Array:
    return np.asarray(Y**2 * np.exp(-Y * F) * R)


def huber(delta: float = 1.0) -> OutputLoss:
    """Return the Huber loss: r^2/2 for |r| <= delta, else delta |r| - delta^2/2, r = f - y.

    Parameters
    ----------
    delta : float

    Returns
    -------
    OutputLoss

    Raises
    ------
    InputError
        If delta is not positive.

    Examples
    --------
    >>> huber().gradient(np.array([[3.0], [0.5]]), np.zeros((2, 1))).ravel().tolist()
    [1.0, 0.5]
    """
    if not (np.isfinite(delta) and delta > 0):
        raise InputError(f"the Huber loss needs delta > 0, got {delta!r}")

    def value(F: Array, Y: Array) -> Array:
        size = np.abs(F - Y)
        inside = np.minimum(size, delta)
        return np.asarray((inside * (size - inside / 2)).sum(axis=-1))

    def gradient(F: Array, Y: Array) -> Array:
        return np.asarray(np.clip(F - Y, -delta, delta))

    def curvature(F: Array, Y: Array, R: Array) -> Array:
        return np.asarray(np.where(np.abs(F - Y) <= delta, R, 0.0))

    return OutputLoss("huber", value, gradient, curvature)


def _softmax_value(F: Array, Y: Array) -> Array:
    """With one-hot rows -log p of the true class, written so that large outputs keep digits."""
    surplus = (1.0 - Y.sum(axis=-1)) * logsumexp(F, axis=-1)
    return np.asarray(surplus - (Y * log_softmax(F, axis=-1)).sum(axis=-1))


def _softmax_gradient(F: Array, Y: Array) -> Array:
    return np.asarray(softmax(F, axis=-1) - Y)


def _softmax_curvature(F: Array, Y: Array, R: Array) -> Array:
    p = softmax(F, axis=-1)
    return np.asarray(p * (R - (p * R).sum(axis=-1, keepdims=True)))


squared = OutputLoss("squared", _squared_value, _squared_gradient, _squared_curvature)
logistic = OutputLoss("logistic", _logistic_value, _logistic_gradient, _logistic_curvature)
exponential = OutputLoss(
    "exponential", _exponential_value, _exponential_gradient, _exponential_curvature
)
softmax_cross_entropy = OutputLoss(
    "softmax_cross_entropy", _softmax_value, _softmax_gradient, _softmax_curvature
)

NAMED = {
    loss.name: loss for loss in (squared, logistic, exponential, huber(), softmax_cross_entropy)
}


def elementwise(function: Callable[[Any, Any], Any], name: str | None = None) -> OutputLoss:
    """Return the loss of a user's function l(f, y), differentiated automatically.

    Parameters
    ----------
    function : callable
        Of an array of outputs and an array of targets, acting on each entry by itself and
        written with ``autograd.numpy`` in place of ``numpy``.
    name : str, optional
        Left out, the function's own name.

    Returns
    -------
    OutputLoss

    Raises
    ------
    InputError
        If it is not callable; on evaluation, if it does not act entry by entry.

    Examples
    --------
    >>> import autograd.numpy as anp
    >>> quartic = elementwise(lambda f, y: (f - y) ** 4 / 4)
    >>> quartic.gradient(anp.array([[2.0]]), anp.array([[0.0]]))
    array([[8.]])
    """
    if not callable(function):
        raise InputError(f"a loss is a name or a callable l(f, y), got {function!r}")
    from autograd import elementwise_grad

    slope = elementwise_grad(function, 0)
    bend = elementwise_grad(slope, 0)

    def per_sample(F: Array, Y: Array) -> Array:
        values = np.asarray(function(F, Y))
        if values.shape != F.shape:
            raise InputError(
                f"the loss maps outputs of shape {F.shape} to {values.shape}: it must act on "
                "each entry by itself; sums and means are taken by the training"
            )
        return np.asarray(values.sum(axis=-1))

    def gradient(F: Array, Y: Array) -> Array:
        return np.asarray(slope(F, np.broadcast_to(Y, F.shape)), dtype=float)

    def curvature(F: Array, Y: Array, R: Array) -> Array:
        return np.asarray(bend(F, np.broadcast_to(Y, F.shape)) * R, dtype=float)

    title = name or str(getattr(function, "__name__", "loss"))
    return OutputLoss(title, per_sample, gradient, curvature)


def get(loss: Any) -> OutputLoss:
    """Return the loss of a name, of a callable, or the object itself.

    Parameters
    ----------
    loss : str, callable or OutputLoss

    Returns
    -------
    OutputLoss

    Raises
    ------
    InputError
        For an unknown name, or something that is not a loss.

    Examples
    --------
    >>> get("logistic").name
    'logistic'
    """
    if isinstance(loss, OutputLoss):
        return loss
    if isinstance(loss, str):
        if loss not in NAMED:
            raise unknown_name("loss", loss, NAMED)
        return NAMED[loss]
    return elementwise(loss)
