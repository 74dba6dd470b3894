"""Networks of the zoo beyond the paper's, their forward passes written by hand.

Gradients are automatic. The forward passes are those of the hidden units, as the networks are
defined: nothing here knows of frames, Gram matrices or update equations.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import autograd.numpy as anp

from catapult_theory.networks.forward import GenericNetwork
from catapult_theory.networks.parameters import positive_integer

HALF = Fraction(1, 2)


def quadratic_activation(inputs: int, positive: Fraction = HALF) -> GenericNetwork:
    """Return f(x) = (1/sqrt(n)) sum_i s_i (u_i . x)^2 with fixed signs.

    Parameters
    ----------
    inputs : int
        d.
    positive : Fraction
        The part of the units with s_i = 1; their weights are the rows of ``P``, those of the
        others the rows of ``Q``.

    Returns
    -------
    GenericNetwork

    Examples
    --------
    >>> quadratic_activation(3).shapes
    {'P': ('n/2', 3), 'Q': ('n/2', 3)}
    """
    d = positive_integer("inputs", inputs)
    names = _signed("P", "Q", positive)

    def function(parameters: Mapping[str, Any], X: Any) -> Any:
        n = sum(len(parameters[name]) for name in names)
        squares = (s * anp.sum((X @ parameters[k].T) ** 2, axis=1) for k, s in names.items())
        return sum(squares) / n**0.5

    return GenericNetwork(function, {name: (_side(positive, s), d) for name, s in names.items()})


def quadratic_activation_one_sample(label: Any = 0.0, positive: Fraction = HALF) -> GenericNetwork:
    """Return f = (1/sqrt(n)) sum_i s_i u_i^2: `quadratic_activation` with the one input x = 1.

    Parameters
    ----------
    label : float or array
    positive : Fraction

    Returns
    -------
    GenericNetwork

    Examples
    --------
    >>> quadratic_activation_one_sample().shapes
    {'p': ('n/2',), 'q': ('n/2',)}
    """
    names = _signed("p", "q", positive)

    def function(parameters: Mapping[str, Any], X: Any) -> Any:
        units = anp.concatenate([parameters[name] for name in names])
        signs = anp.concatenate([s * anp.ones(len(parameters[k])) for k, s in names.items()])
        return anp.sum(signs * units**2) / len(units) ** 0.5

    return GenericNetwork(function, {k: (_side(positive, s),) for k, s in names.items()}, label)


def matrix_sensing(rows: int, cols: int) -> GenericNetwork:
    """Return f_i = <A_i, V U> / sqrt(n), the entries of A_i in row i of the data.

    Parameters
    ----------
    rows, cols : int
        k and d; the rows of V are the parameters V1, V2, ...

    Returns
    -------
    GenericNetwork

    Examples
    --------
    >>> list(matrix_sensing(2, 3).shapes)
    ['V1', 'V2', 'U']
    """
    names = [f"V{a}" for a in range(1, rows + 1)]

    def function(parameters: Mapping[str, Any], X: Any) -> Any:
        U = parameters["U"]
        product = anp.concatenate([parameters[name] for name in names]) @ U
        measured = X.reshape(len(X), rows, cols) * product
        return anp.sum(measured, axis=(1, 2)) / len(U) ** 0.5

    shapes: dict[str, tuple[int | str, ...]] = {name: (1, "n") for name in names}
    return GenericNetwork(function, {**shapes, "U": ("n", cols)})


def tied_autoencoder(inputs: int) -> GenericNetwork:
    """Return f(x) = U^T U x / sqrt(n).

    Parameters
    ----------
    inputs : int

    Returns
    -------
    GenericNetwork

    Examples
    --------
    >>> tied_autoencoder(3).shapes
    {'U': ('n', 3)}
    """

    def function(parameters: Mapping[str, Any], X: Any) -> Any:
        U = parameters["U"]
        hidden = X @ U.T
        return hidden @ U / len(U) ** 0.5

    return GenericNetwork(function, {"U": ("n", inputs)})


def quadratic(
    matrix: Any, slope: Any = None, constant: float = 0.0, label: Any = 0.0
) -> GenericNetwork:
    """Return f = c + h.theta + theta^T A theta / 2 on the raw parameters theta.

    Parameters
    ----------
    matrix : array, shape (N, N)
        A; the width is N.
    slope : array, shape (N,), optional
        h.
    constant : float
        c.
    label : float or array

    Returns
    -------
    GenericNetwork

    Examples
    --------
    >>> import numpy as np
    >>> quadratic(np.eye(2)).forward({"theta": np.array([1.0, 2.0])}, None)
    array([[2.5]])
    """

    def function(parameters: Mapping[str, Any], X: Any) -> Any:
        theta = parameters["theta"]
        linear = 0.0 if slope is None else anp.dot(slope, theta)
        return constant + linear + anp.dot(theta, anp.dot(matrix, theta)) / 2

    return GenericNetwork(function, {"theta": ("n",)}, label)


def quadratic_outputs(matrices: Any) -> GenericNetwork:
    """Return f_a = theta^T A_a theta / 2 on the raw parameters theta, each output a sample.

    Parameters
    ----------
    matrices : array, shape (k, N, N)
        The A_a; the inputs of the data are not looked at.

    Returns
    -------
    GenericNetwork

    Examples
    --------
    >>> import numpy as np
    >>> network = quadratic_outputs([np.eye(2), 3 * np.eye(2)])
    >>> network.forward({"theta": np.array([1.0, 1.0])}, np.zeros((2, 1)))
    array([[1.],
           [3.]])
    """
    several = anp.array(matrices)

    def function(parameters: Mapping[str, Any], X: Any) -> Any:
        theta = parameters["theta"]
        return anp.dot(anp.dot(several, theta), theta) / 2

    return GenericNetwork(function, {"theta": ("n",)})


def relu_one_sample(slope: float = 0.0, label: Any = 0.0) -> GenericNetwork:
    """Return f = (1/sqrt(n)) sum_i v_i phi(u_i) with phi(u) = max(u, 0) + slope * min(u, 0).

    Parameters
    ----------
    slope : float
    label : float or array

    Returns
    -------
    GenericNetwork

    Examples
    --------
    >>> relu_one_sample().shapes
    {'u': ('n',), 'v': ('n',)}
    """

    def function(parameters: Mapping[str, Any], X: Any) -> Any:
        u = parameters["u"]
        hidden = anp.where(u > 0, u, slope * u)
        return anp.dot(parameters["v"], hidden) / len(u) ** 0.5

    return GenericNetwork(function, {"u": ("n",), "v": ("n",)}, label)


def _signed(plus: str, minus: str, positive: Fraction) -> dict[str, float]:
    return {plus: 1.0} if positive == 1 else {plus: 1.0, minus: -1.0}


def _side(positive: Fraction, sign: float) -> str:
    part = positive if sign > 0 else 1 - positive
    over = "" if part.denominator == 1 else f"/{part.denominator}"
    return f"{'' if part.numerator == 1 else part.numerator}n{over}"
