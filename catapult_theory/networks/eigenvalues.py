"""The largest eigenvalues of a symmetric operator from its products with vectors, with bounds.

A pair (theta, x) with |x| = 1 and |A x - theta x| = r says: some eigenvalue lies within r of
theta. That it is the largest rests on the Lanczos method from a random start, which misses the
top of the spectrum with probability zero. r is computed afresh, by one more product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from catapult_theory.errors import CatapultError, InputError

Array = Any
# Up to this size the matrix is formed and diagonalised.
DENSE_UP_TO = 32
# ARPACK is asked for more than is needed, so that the bound, computed apart, is met.
_STRICTER = 0.1


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """Largest eigenvalues, in descending order, with vectors and residuals.

    Parameters
    ----------
    values : array, shape (count,)
    vectors : array, shape (size, count)
        Orthonormal columns.
    residuals : array, shape (count,)
        |A x - theta x|: an eigenvalue lies within it of each value.
    """

    values: Array
    vectors: Array
    residuals: Array


def krylov_vectors(count: int) -> int:
    """Return how many vectors the Lanczos method keeps for so many eigenvalues.

    Parameters
    ----------
    count : int

    Returns
    -------
    int

    Examples
    --------
    >>> krylov_vectors(1)
    20
    """
    return max(2 * count + 1, 20)


def memory_needed(size: int, count: int) -> int:
    """Return the bytes that `leading_eigenpairs` keeps at once, besides what a product takes.

    Parameters
    ----------
    size : int
        The dimension.
    count : int
        Number of eigenvalues.

    Returns
    -------
    int

    Examples
    --------
    >>> memory_needed(1_000_000, 1)
    192000000
    """
    if size <= DENSE_UP_TO:
        return 8 * 3 * size**2
    # The Krylov space, ARPACK's three work vectors, the vectors found.
    return 8 * size * (min(krylov_vectors(count), size) + 3 + count)


def leading_eigenpairs(
    action: Callable[[Array], Array],
    size: int,
    count: int = 1,
    tolerance: float = 1e-7,
    seed: int = 0,
    rounding: Callable[[], float] = lambda: 0.0,
) -> Eigenpairs:
    """Return the largest eigenvalues of a symmetric operator with residual bounds.

    Small operators are formed and diagonalised, others go to ARPACK.

    Parameters
    ----------
    action : callable
        From a float64 array of shape (size,) to A x.
    size : int
    count : int
        How many, counted with multiplicity.
    tolerance : float
        Largest residual, in units of the largest of the values' sizes.
    seed : int
        Of the random start.
    rounding : callable
        Gives how far rounding alone may move an eigenvalue. Asked where the tolerance is not met:
        values that are all within it are zero as far as can be computed, and no residual can be
        small beside them. It is then the bound that is returned.

    Returns
    -------
    Eigenpairs

    Raises
    ------
    InputError
        If as many eigenvalues are asked for as there are not.
    CatapultError
        If the operator gives non-finite values, no pair is found or a residual is too large.

    Examples
    --------
    >>> d = np.arange(100.0)
    >>> leading_eigenpairs(lambda x: d * x, 100, count=2).values.round(6)
    array([99., 98.])
    """
    if not 1 <= count <= size:
        raise InputError(f"an operator of size {size} has 1 to {size} eigenvalues, not {count}")
    if size <= max(DENSE_UP_TO, count + 1):
        values, vectors = _dense(action, size, count)
    else:
        values, vectors = _lanczos(action, size, count, tolerance, seed, rounding)
    order = np.argsort(-values)
    values, vectors = values[order], vectors[:, order]
    residuals = np.array(
        [np.linalg.norm(action(x) - v * x) for v, x in zip(values, vectors.T, strict=True)]
    )
    allowed = tolerance * np.abs(values).max()
    if not (residuals <= allowed).all():
        lost = rounding()
        if max(np.abs(values).max(), residuals.max()) > lost:
            raise CatapultError(
                f"an eigenvalue is not settled: residual {residuals.max():.2e}, allowed "
                f"{allowed:.2e} (tolerance {tolerance:g}): take float64 if this was float32, or "
                "allow a larger tolerance"
            )
        residuals = np.full_like(residuals, lost)
    return Eigenpairs(values, vectors, residuals)


def _dense(action: Callable[[Array], Array], size: int, count: int) -> tuple[Array, Array]:
    matrix = np.stack([_finite(action(e)) for e in np.eye(size)], axis=-1)
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    return values[-count:], vectors[:, -count:]


def _lanczos(
    action: Callable[[Array], Array],
    size: int,
    count: int,
    tolerance: float,
    seed: int,
    rounding: Callable[[], float],
) -> tuple[Array, Array]:
    start = np.random.Generator(np.random.Philox(seed)).standard_normal(size)
    image = _finite(action(start))
    if not np.any(image):
        # Zero on a random vector is zero everywhere, which ARPACK cannot start from.
        return np.zeros(count), np.eye(size, count)
    operator = LinearOperator((size, size), matvec=action, dtype=np.float64)
    kept = min(krylov_vectors(count), size)
    options = {"k": count, "which": "LA", "v0": start, "ncv": kept, "tol": tolerance * _STRICTER}
    try:
        values, vectors = eigsh(operator, **options)
    except ArpackError as cause:
        # The image of a standard normal vector is as long as the matrix in Frobenius' norm.
        if np.linalg.norm(image) <= rounding():
            return np.zeros(count), np.eye(size, count)
        raise CatapultError(
            f"the Lanczos method found no {count} leading eigenvalues of {size} ({cause}): ask "
            "for fewer, or allow a larger tolerance"
        ) from cause
    return values, vectors


def _finite(image: Array) -> Array:
    if not np.isfinite(image).all():
        raise CatapultError(
            "the curvature overflows or is not a number at this point: the training has diverged, "
            "or the network returns non-finite derivatives"
        )
    return image
