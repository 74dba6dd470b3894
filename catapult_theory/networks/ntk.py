"""The tangent kernel and the Gauss-Newton matrix from products with the network's Jacobian.

With J = dF/dparameters (mk x P): Theta = J J^T is the raw kernel and lambda its largest
eigenvalue over m (theory, section 1). Products J t and J^T r suffice; the Jacobian, of some
gigabytes for a wide network on real data, is never formed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from catapult_theory.errors import CatapultError
from catapult_theory.networks import losses
from catapult_theory.networks.parameters import Array, Network, Parameters

# Up to this many outputs in all the kernel is formed column by column and diagonalised.
DENSE_UP_TO = 64
# A Krylov space needs room; smaller problems are diagonalised.
LANCZOS_ABOVE = 20


def apply_kernel(
    network: Network, parameters: Mapping[str, Array], X: Any, direction: Array
) -> Array:
    """Return Theta R = J (J^T R), the raw kernel applied to a direction of the outputs.

    Parameters
    ----------
    network : Network
    parameters : mapping of str to array
    X : array, shape (m, d), or None
    direction : array, shape (*lanes, m, k)

    Returns
    -------
    array, shape (*lanes, m, k)

    Examples
    --------
    >>> from catapult_theory.networks.zoo import UVNetwork
    >>> uv = {"u": np.array([1.0, 2.0]), "v": np.array([3.0, 4.0])}
    >>> apply_kernel(UVNetwork(), uv, None, np.ones((1, 1)))
    array([[15.]])
    """
    _, pulled = network.backpropagate(parameters, X, lambda outputs: direction)
    return network.jvp(parameters, X, pulled)


def kernel(network: Network, parameters: Mapping[str, Array], X: Any) -> Array:
    """Return the raw tangent kernel as a matrix.

    Parameters
    ----------
    network : Network
    parameters : mapping of str to array
    X : array, shape (m, d), or None

    Returns
    -------
    array, shape (*lanes, m k, m k)
        Outputs run fastest.

    Examples
    --------
    >>> from catapult_theory.networks.zoo import LinearNetwork
    >>> start = {"V": np.ones((1, 4)), "U": np.zeros((4, 2))}
    >>> kernel(LinearNetwork(2), start, np.eye(2))
    array([[1., 0.],
           [0., 1.]])
    """
    shape = network.forward(parameters, X).shape
    columns = [apply_kernel(network, parameters, X, basis) for basis in _basis(shape)]
    return _as_columns(columns, shape)


def top_eigenvalue(network: Network, parameters: Mapping[str, Array], X: Any) -> Array:
    """Return lambda, the largest eigenvalue of Theta / m, of every lane.

    Small kernels are diagonalised; for large ones the Lanczos method runs to machine
    precision from a fixed start.

    Parameters
    ----------
    network : Network
    parameters : mapping of str to array
    X : array, shape (m, d), or None

    Returns
    -------
    array, shape (*lanes,)
        Infinite where the kernel overflows.

    Examples
    --------
    >>> from catapult_theory.networks.zoo import UVNetwork
    >>> top_eigenvalue(UVNetwork(), {"u": np.array([1.0, 2.0]), "v": np.array([3.0, 4.0])}, None)
    array(15.)
    """
    shape = network.forward(parameters, X).shape
    lanes, (m, k) = shape[:-2], shape[-2:]
    if m * k <= DENSE_UP_TO:
        return _top_of_dense(np.asarray(kernel(network, parameters, X) / m))
    tops = np.empty(lanes)
    for lane in np.ndindex(*lanes):
        point = {name: a[lane] for name, a in parameters.items()}

        def action(r: Array, point: Parameters = point) -> Array:
            image = apply_kernel(network, point, X, r.reshape(m, k))
            return np.asarray(image.ravel() / m)

        tops[lane] = _top(action, m * k)
    return tops


def ggn_top(
    network: Network,
    parameters: Mapping[str, Array],
    X: Any,
    Y: Array,
    loss: losses.OutputLoss = losses.squared,
) -> Array:
    """Return the largest eigenvalue of the Gauss-Newton matrix J^T H J / m of every lane.

    H is the second derivative of the loss in the outputs; for the squared loss the result
    is `top_eigenvalue`. Gradient descent is linearly stable at an interpolating minimum
    iff eta times it is below 2.

    Parameters
    ----------
    network : Network
    parameters : mapping of str to array
    X : array, shape (m, d), or None
    Y : array, broadcastable to (*lanes, m, k)
    loss : OutputLoss

    Returns
    -------
    array, shape (*lanes,)
        Infinite where it overflows.

    Examples
    --------
    >>> from catapult_theory.networks.zoo import UVNetwork
    >>> uv = {"u": np.array([1.0, 2.0]), "v": np.array([3.0, 4.0])}
    >>> ggn_top(UVNetwork(), uv, None, np.zeros((1, 1)))
    array(15.)
    """
    F = network.forward(parameters, X)
    lanes, (m, k) = F.shape[:-2], F.shape[-2:]
    targets = np.broadcast_to(Y, F.shape)
    if m * k <= DENSE_UP_TO:
        bent = (loss.curvature(F, targets, basis) for basis in _basis(F.shape))
        columns = [apply_kernel(network, parameters, X, b) for b in bent]
        # Theta H has the non-zero spectrum of J^T H J, which is real.
        return _top_of_product(_as_columns(columns, F.shape) / m)
    tops = np.empty(lanes)
    for lane in np.ndindex(*lanes):
        point = {name: a[lane] for name, a in parameters.items()}
        tops[lane] = _ggn_lanczos(network, point, X, (F[lane], targets[lane]), loss)
    return tops


def _ggn_lanczos(
    network: Network, point: Parameters, X: Any, pair: tuple[Array, Array], loss: losses.OutputLoss
) -> float:
    def action(t: Array) -> Array:
        change = network.jvp(point, X, _unflat(t, point))
        bent = loss.curvature(*pair, change) / len(change)
        return _flat(network.backpropagate(point, X, lambda outputs: bent)[1], point)

    return _top(action, sum(a.size for a in point.values()))


def _flat(parameters: Mapping[str, Array], like: Mapping[str, Array]) -> Array:
    return np.concatenate([parameters[name].ravel() for name in like])


def _unflat(vector: Array, like: Mapping[str, Array]) -> Parameters:
    ends = np.cumsum([a.size for a in like.values()])[:-1]
    parts = np.split(vector.ravel(), ends)
    return {name: p.reshape(a.shape) for p, (name, a) in zip(parts, like.items(), strict=True)}


def _basis(shape: tuple[int, ...]) -> Array:
    m, k = shape[-2:]
    return np.stack([np.broadcast_to(e.reshape(m, k), shape) for e in np.eye(m * k)])


def _as_columns(columns: list[Array], shape: tuple[int, ...]) -> Array:
    size = shape[-2] * shape[-1]
    return np.stack([c.reshape(*shape[:-2], size) for c in columns], axis=-1)


def _top_of_dense(matrices: Array) -> Array:
    finite = np.asarray(np.isfinite(matrices).all(axis=(-1, -2)))
    tops = np.linalg.eigvalsh(np.where(finite[..., None, None], matrices, 0.0))[..., -1]
    return np.where(finite, tops, np.inf)


def _top_of_product(matrices: Array) -> Array:
    finite = np.asarray(np.isfinite(matrices).all(axis=(-1, -2)))
    spectra = np.linalg.eigvals(np.where(finite[..., None, None], matrices, 0.0))
    return np.where(finite, np.maximum(spectra.real.max(axis=-1), 0.0), np.inf)


def _top(action: Callable[[Array], Array], size: int) -> float:
    if size <= LANCZOS_ABOVE:
        return float(_top_of_dense(np.stack([action(e) for e in np.eye(size)], axis=-1)))
    start = np.random.Generator(np.random.Philox(0)).standard_normal(size)
    if not np.isfinite(action(start)).all():
        return np.inf
    operator = LinearOperator((size, size), matvec=action, dtype=np.float64)
    try:
        return float(eigsh(operator, k=1, which="LA", v0=start, return_eigenvectors=False)[0])
    except ArpackError as cause:
        raise CatapultError(
            f"the Lanczos method found no top eigenvalue among {size} ({cause}): take fewer "
            "samples, or diagonalise ct.networks.kernel(...)"
        ) from cause
