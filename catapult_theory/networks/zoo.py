"""Networks of the paper with forward and backward passes written by hand.

Plain backpropagation through the raw width-n parameters: nothing here knows of Gram
matrices or update equations. The prefactor is explicit (``parametrisation``); all entries
of the parameters start as N(0, 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from catapult_theory.errors import InputError, unknown_name
from catapult_theory.networks.parameters import (
    Array,
    Parameters,
    Shapes,
    positive_integer,
    real_array,
)

PARAMETRISATIONS = ("ntk", "mean_field")


def prefactor(parametrisation: str, n: int) -> float:
    """Return the factor in front of the sum over hidden units.

    Parameters
    ----------
    parametrisation : str
        "ntk" for 1/sqrt(n) (the paper's), "mean_field" for 1/n.
    n : int

    Returns
    -------
    float

    Raises
    ------
    InputError
        For an unknown name.

    Examples
    --------
    >>> prefactor("ntk", 100), prefactor("mean_field", 100)
    (0.1, 0.01)
    """
    if parametrisation not in PARAMETRISATIONS:
        raise unknown_name("parametrisation", parametrisation, PARAMETRISATIONS)
    return 1.0 / math.sqrt(n) if parametrisation == "ntk" else 1.0 / n


@dataclass(frozen=True, eq=False)
class UVNetwork:
    """f = u.v / sqrt(n) on the single input x = 1 (paper, section 2.1; theory, section 3.1).

    Parameters are ``u`` and ``v`` of shape (*lanes, n): any number of independent networks
    of one width are evaluated side by side.

    Parameters
    ----------
    label : float or array
        The target y; an array gives each lane its own.
    parametrisation : str
        "ntk" (1/sqrt(n)) or "mean_field" (1/n).

    Raises
    ------
    InputError
        If the label is not finite or the parametrisation unknown.

    Examples
    --------
    >>> network = UVNetwork()
    >>> network.forward({"u": np.array([1.0, 2.0, 2.0, 1.0]), "v": np.ones(4)})
    array([[3.]])
    """

    label: Any = 0.0
    parametrisation: str = "ntk"

    def __post_init__(self) -> None:
        label = real_array("the label", self.label)
        if not np.isfinite(label).all():
            raise InputError("the label must be finite")
        object.__setattr__(self, "label", label)
        prefactor(self.parametrisation, 1)

    @property
    def shapes(self) -> Shapes:
        """The shape of each parameter, in the order of the frame."""
        return {"u": ("n",), "v": ("n",)}

    def forward(self, parameters: Mapping[str, Array], X: Any = None) -> Array:
        """Return the output of every lane.

        Parameters
        ----------
        parameters : mapping
            u and v, shape (*lanes, n).
        X : None
            There is one sample with x = 1.

        Returns
        -------
        array, shape (*lanes, 1, 1)
        """
        u, v = parameters["u"], parameters["v"]
        return self._scale(u) * _dot(u, v)[..., None, None]

    def backpropagate(
        self, parameters: Mapping[str, Array], X: Any, output_gradient: Callable[[Array], Array]
    ) -> tuple[Array, Parameters]:
        """Return the outputs and the pull-back of their gradient to u and v.

        df/du = v / sqrt(n), df/dv = u / sqrt(n).

        Parameters
        ----------
        parameters : mapping
        X : None
        output_gradient : callable
            From outputs to a gradient of the same shape.

        Returns
        -------
        outputs : array, shape (*lanes, 1, 1)
        gradient : dict of arrays of shape (*lanes, n)
        """
        outputs = self.forward(parameters)
        u, v = parameters["u"], parameters["v"]
        slope = self._scale(u) * output_gradient(outputs)[..., 0]
        return outputs, {"u": slope * v, "v": slope * u}

    def jvp(self, parameters: Mapping[str, Array], X: Any, tangent: Mapping[str, Array]) -> Array:
        """Return the derivative of the output along (du, dv): (du.v + u.dv) / sqrt(n).

        Parameters
        ----------
        parameters, tangent : mapping
        X : None

        Returns
        -------
        array, shape (*lanes, 1, 1)
        """
        u, v = parameters["u"], parameters["v"]
        change = _dot(tangent["u"], v) + _dot(u, tangent["v"])
        return self._scale(u) * change[..., None, None]

    def _scale(self, u: Array) -> float:
        return prefactor(self.parametrisation, u.shape[-1])


@dataclass(frozen=True)
class LinearNetwork:
    """f(x) = V U^T x / sqrt(n) with inputs x in R^d and k outputs (paper, section 2.2).

    Row i of ``U`` (n x d) holds the input weights of hidden unit i, column i of ``V``
    (k x n) its output weights. Lanes in front of both are allowed.

    Parameters
    ----------
    inputs, outputs : int
        d and k.
    parametrisation : str
        "ntk" (1/sqrt(n)) or "mean_field" (1/n).

    Raises
    ------
    InputError
        If a size is not a positive integer or the parametrisation unknown.

    Examples
    --------
    >>> LinearNetwork(inputs=64, outputs=10).shapes
    {'V': (10, 'n'), 'U': ('n', 64)}
    """

    inputs: int
    outputs: int = 1
    parametrisation: str = "ntk"
    label = None

    def __post_init__(self) -> None:
        positive_integer("inputs", self.inputs)
        positive_integer("outputs", self.outputs)
        prefactor(self.parametrisation, 1)

    @property
    def shapes(self) -> Shapes:
        """The shape of each parameter, in the order of the frame."""
        return {"V": (self.outputs, "n"), "U": ("n", self.inputs)}

    def forward(self, parameters: Mapping[str, Array], X: Array) -> Array:
        """Return the outputs of all samples.

        Parameters
        ----------
        parameters : mapping
            V of shape (*lanes, k, n) and U of shape (*lanes, n, d).
        X : array, shape (m, d)

        Returns
        -------
        array, shape (*lanes, m, k)
        """
        hidden = X @ _transposed(parameters["U"])
        return self._outputs(hidden, parameters["V"])

    def backpropagate(
        self, parameters: Mapping[str, Array], X: Array, output_gradient: Callable[[Array], Array]
    ) -> tuple[Array, Parameters]:
        """Return the outputs and the pull-back of their gradient to V and U.

        With hidden layer H = X U^T and output gradient R (m x k): dV = R^T H / sqrt(n),
        dH = R V / sqrt(n), dU = dH^T X.

        Parameters
        ----------
        parameters : mapping
        X : array, shape (m, d)
        output_gradient : callable
            From outputs to a gradient of the same shape.

        Returns
        -------
        outputs : array, shape (*lanes, m, k)
        gradient : dict of arrays, shapes as the parameters
        """
        V = parameters["V"]
        hidden = X @ _transposed(parameters["U"])
        outputs = self._outputs(hidden, V)
        R = self._scale(V) * output_gradient(outputs)
        hidden_gradient = R @ V
        return outputs, {"V": _transposed(R) @ hidden, "U": _transposed(hidden_gradient) @ X}

    def jvp(self, parameters: Mapping[str, Array], X: Array, tangent: Mapping[str, Array]) -> Array:
        """Return the derivative of the outputs along (dV, dU).

        Parameters
        ----------
        parameters, tangent : mapping
        X : array, shape (m, d)

        Returns
        -------
        array, shape (*lanes, m, k)
        """
        hidden = X @ _transposed(parameters["U"])
        hidden_change = X @ _transposed(tangent["U"])
        return self._outputs(hidden_change, parameters["V"]) + self._outputs(hidden, tangent["V"])

    def _outputs(self, hidden: Array, V: Array) -> Array:
        return np.asarray(self._scale(V) * (hidden @ _transposed(V)))

    def _scale(self, V: Array) -> float:
        return prefactor(self.parametrisation, V.shape[-1])


NAMED: Mapping[str, Callable[..., Any]] = {"uv": UVNetwork, "linear": LinearNetwork}


def get(name: str, **arguments: Any) -> UVNetwork | LinearNetwork:
    """Return the zoo network of that name.

    Parameters
    ----------
    name : str
        "uv" or "linear".
    **arguments
        Passed on to the class.

    Returns
    -------
    UVNetwork or LinearNetwork

    Raises
    ------
    InputError
        For an unknown name.

    Examples
    --------
    >>> get("linear", inputs=3).outputs
    1
    """
    if name not in NAMED:
        raise unknown_name("network", name, NAMED)
    network: UVNetwork | LinearNetwork = NAMED[name](**arguments)
    return network


def _dot(left: Array, right: Array) -> Array:
    return np.asarray(np.einsum("...i,...i->...", left, right))


def _transposed(array: Array) -> Array:
    return np.swapaxes(array, -1, -2)
