"""Any network: a forward pass of a dict of parameter arrays, gradients by autograd.

autograd differentiates plain NumPy code in reverse mode; it is small, and independent of
the hand-written zoo and of the symbolic side alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from autograd import make_vjp

from catapult_theory.errors import InputError
from catapult_theory.networks.parameters import (
    Array,
    Parameters,
    Shapes,
    checked_shapes,
    real_array,
)


@dataclass(frozen=True, eq=False)
class GenericNetwork:
    """A network given by its forward pass alone.

    Parameters
    ----------
    function : callable
        ``function(parameters, X)`` with a dict of arrays and the data (m x d), or None in a
        network without data. It returns m x k outputs, m outputs, or one number. It
        uses array operators and functions of ``autograd.numpy``, and writes into no array.
        The width is the size of a parameter's axis.
    shapes : mapping of str to tuple
        Integers and ``"n"`` for the width, such as ``{"V": (1, "n"), "U": ("n", 64)}``; the
        order is that of the frame.
    label : float or array, optional
        The target of a network without data; left out, the network takes data.
    frozen : tuple of str
        Parameters that are not trained.

    Raises
    ------
    InputError
        If the function is not callable or a shape cannot be read.

    Examples
    --------
    >>> network = GenericNetwork(
    ...     lambda p, X: p["u"] @ p["v"] / p["u"].size ** 0.5, {"u": ("n",), "v": ("n",)}, label=0
    ... )
    >>> network.forward({"u": np.array([1.0, 2.0, 2.0, 1.0]), "v": np.ones(4)}, None)
    array([[3.]])
    """

    function: Callable[[Mapping[str, Any], Any], Any]
    shapes: Shapes
    label: Any = None
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InputError(f"a network needs a callable f(parameters, X), not {self.function!r}")
        object.__setattr__(self, "shapes", checked_shapes(self.shapes))
        if self.label is not None:
            label = real_array("the label", self.label)
            if not np.isfinite(label).all():
                raise InputError("the label must be finite")
            object.__setattr__(self, "label", label)

    def forward(self, parameters: Mapping[str, Array], X: Any) -> Array:
        """Return the outputs of every lane.

        Parameters
        ----------
        parameters : mapping of str to array
            With any lanes in front.
        X : array, shape (m, d), or None

        Returns
        -------
        array, shape (*lanes, m, k)

        Raises
        ------
        InputError
            If the function does not return one number, m or m x k of them.
        """
        return self._over_lanes(parameters, lambda p: _as_rows(self.function(p, X), X))

    def backpropagate(
        self, parameters: Mapping[str, Array], X: Any, output_gradient: Callable[[Array], Array]
    ) -> tuple[Array, Parameters]:
        """Return the outputs and the pull-back of their gradient to the parameters.

        Parameters
        ----------
        parameters : mapping of str to array
        X : array, shape (m, d), or None
        output_gradient : callable
            From outputs (*lanes, m, k) to a gradient of the same shape.

        Returns
        -------
        outputs : array, shape (*lanes, m, k)
        gradient : dict of arrays, shapes as the parameters
        """
        lanes = self._lanes(parameters)
        pulls, rows = [], []
        for lane in np.ndindex(*lanes):
            pull, value = self._pull_back({k: a[lane] for k, a in parameters.items()}, X)
            pulls.append(pull)
            rows.append(_as_rows(value, X))
        outputs = np.stack(rows).reshape(*lanes, *rows[0].shape)
        cotangents = output_gradient(outputs).reshape(len(rows), *rows[0].shape)
        parts = [pull(c) for pull, c in zip(pulls, cotangents, strict=True)]
        gradient = {
            k: np.stack([p[k] for p in parts]).reshape(parameters[k].shape) for k in self.shapes
        }
        gradient |= {k: np.zeros_like(gradient[k]) for k in self.frozen}
        return outputs, gradient

    def jvp(self, parameters: Mapping[str, Array], X: Any, tangent: Mapping[str, Array]) -> Array:
        """Return the derivative of the outputs along a direction of the parameters.

        The pull-back r -> J^T r is linear; pulling ``tangent`` back through it gives J t.

        Parameters
        ----------
        parameters, tangent : mapping of str to array
        X : array, shape (m, d), or None

        Returns
        -------
        array, shape (*lanes, m, k)
        """
        both = {("p", k): a for k, a in parameters.items()}
        both |= {("t", k): a for k, a in tangent.items()}

        def one(pair: Mapping[Any, Array]) -> Array:
            point = {k: pair["p", k] for k in self.shapes}
            direction = {k: pair["t", k] for k in self.shapes}
            pull, value = self._pull_back(point, X)
            push, _ = make_vjp(pull)(np.zeros(_as_rows(value, X).shape))
            return np.asarray(push(direction))

        lanes = self._lanes(parameters)
        rows = [one({k: a[lane] for k, a in both.items()}) for lane in np.ndindex(*lanes)]
        return np.stack(rows).reshape(*lanes, *rows[0].shape)

    def _pull_back(self, parameters: Mapping[str, Array], X: Any) -> tuple[Any, Any]:
        """Return r -> J^T r for r of shape (m, k), and the function's own value."""
        try:
            pull, value = make_vjp(lambda p: self.function(p, X))(dict(parameters))
        except (TypeError, ValueError, AttributeError, NotImplementedError) as cause:
            raise _not_differentiable(cause) from cause
        if not hasattr(value, "shape"):
            value = np.asarray(value, dtype=float)
        shape = value.shape
        return lambda r: pull(r.reshape(shape)), value

    def _lanes(self, parameters: Mapping[str, Array]) -> tuple[int, ...]:
        name, shape = next(iter(self.shapes.items()))
        array = parameters[name]
        return array.shape[: array.ndim - len(shape)]

    def _over_lanes(
        self, parameters: Mapping[str, Array], one: Callable[[Parameters], Array]
    ) -> Array:
        lanes = self._lanes(parameters)
        rows = [one({k: a[lane] for k, a in parameters.items()}) for lane in np.ndindex(*lanes)]
        return np.stack(rows).reshape(*lanes, *rows[0].shape)


def _as_rows(value: Any, X: Any) -> Array:
    array = np.asarray(value, dtype=float)
    samples = 1 if X is None else len(X)
    rows = array.shape[0] if array.ndim else 1
    if array.ndim > 2 or rows != samples:
        raise InputError(
            f"the forward pass returned shape {array.shape} for {samples} sample(s): return "
            "(m, k) or (m,) outputs, or one number in a network without data"
        )
    return array.reshape(samples, -1)


def _not_differentiable(cause: Exception) -> InputError:
    return InputError(
        "the forward pass cannot be differentiated "
        f"({str(cause)[:120]}): use array operators and the functions of autograd.numpy, and "
        "write into no array"
    )
