"""Matrix factorisation, matrix sensing and linear autoencoders as models of width n.

The inner dimension of the factors is the width: V is k x n, U is n x d, and the product V U is
learnt from its entries, from linear measurements, or as the identity on data. All are closed on
blocks of one Gram matrix, as the two-layer linear network is (THEORY section 3.3).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from catapult_theory.errors import InputError
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.symbols import data, matrix, n


def _positive(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"{name} must be a positive integer, got {value!r}")
    return int(value)


def two_layers(k: Any, d: Any, name: str) -> Model:
    """Return f(x) = V U x / sqrt(n) with the invariants W, G, S (THEORY section 3.3).

    Parameters
    ----------
    k, d : int or Symbol
        Numbers of outputs and inputs.
    name : str

    Returns
    -------
    Model

    Examples
    --------
    >>> two_layers(3, 2, "mine").output.shape
    (m, 3)
    """
    V, U, X = matrix("V", rows=k), matrix("U", cols=d), data("X", cols=d)
    return Model(
        output=X @ U.T @ V.T / sp.sqrt(n),
        matrices=(V, U),
        data=X,
        observables={"W": V @ U / sp.sqrt(n), "G": U.T @ U / n, "S": V @ V.T / n},
        name=name,
    )


def matrix_factorisation(rows: Any = 2, cols: Any = 2) -> Model:
    """Return the factorisation of a k x d matrix, |A - V U / sqrt(n)|^2 / (2 d).

    Its data are those of `factorisation_data`: the identity for inputs, so that sample j is
    column j of the product, and the columns of A for targets. The factor 1/d is that of the
    mean over samples; a loss without it has a learning rate d times smaller.

    Parameters
    ----------
    rows, cols : int
        k and d of the matrix.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        If a size is not a positive integer.

    Examples
    --------
    >>> matrix_factorisation(rows=3, cols=2).output.shape
    (m, 3)
    """
    return two_layers(_positive(rows, "rows"), _positive(cols, "cols"), "matrix_factorisation")


def factorisation_data(target: Any) -> tuple[Any, Any]:
    """Return the data with which `matrix_factorisation` learns a matrix.

    Parameters
    ----------
    target : array, shape (k, d)
        A.

    Returns
    -------
    X : array, shape (d, d)
    Y : array, shape (d, k)

    Examples
    --------
    >>> X, Y = factorisation_data([[1.0, 2.0, 3.0]])
    >>> X.shape, Y.shape
    ((3, 3), (3, 1))
    """
    A = np.asarray(target, dtype=float)
    return np.eye(A.shape[1]), A.T.copy()


def matrix_sensing(rows: Any = 2, cols: Any = 2) -> Model:
    """Return f_i = <A_i, V U> / sqrt(n): a k x d matrix seen through linear measurements.

    Row i of the data holds the k d entries of the measurement matrix A_i, row after row; row a
    of V is a parameter of its own, so that each meets its own columns of the data.

    Parameters
    ----------
    rows, cols : int
        k and d of the matrix; the state has (k + 1)(k + 2)/2 blocks.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        If a size is not a positive integer.

    Examples
    --------
    >>> [m.name for m in matrix_sensing(rows=2, cols=3).matrices]
    ['V1', 'V2', 'U']
    """
    k, d = _positive(rows, "rows"), _positive(cols, "cols")
    X, U = data("X", cols=k * d), matrix("U", cols=d)
    V = [matrix(f"V{a}", rows=1) for a in range(1, k + 1)]
    parts = [X[:, a * d : (a + 1) * d] @ U.T @ V[a].T for a in range(k)]
    seen = {f"W{a}": v @ U / sp.sqrt(n) for a, v in enumerate(V, 1)}
    seen |= {f"S{a + 1}{b + 1}": V[a] @ V[b].T / n for a in range(k) for b in range(a, k)}
    total = parts[0] if k == 1 else sp.MatAdd(*parts)
    return Model(
        output=total / sp.sqrt(n),
        matrices=(*V, U),
        data=X,
        observables={**seen, "G": U.T @ U / n},
        name="matrix_sensing",
    )


def linear_autoencoder(inputs: Any = 2) -> Model:
    """Return f(x) = V U x / sqrt(n) with as many outputs as inputs; its targets are the inputs.

    Parameters
    ----------
    inputs : int
        d; train it with data (X, X).

    Returns
    -------
    Model

    Raises
    ------
    InputError
        If the size is not a positive integer.

    Examples
    --------
    >>> linear_autoencoder(3).output.shape
    (m, 3)
    """
    d = _positive(inputs, "inputs")
    return two_layers(d, d, "linear_autoencoder")


def tied_autoencoder(inputs: Any = 2) -> Model:
    """Return f(x) = U^T U x / sqrt(n): a linear autoencoder whose two layers share weights.

    Parameters
    ----------
    inputs : int
        d; train it with data (X, X).

    Returns
    -------
    Model

    Raises
    ------
    InputError
        If the size is not a positive integer.

    Examples
    --------
    >>> tied_autoencoder(3).output.shape
    (m, 3)
    """
    d = _positive(inputs, "inputs")
    U, X = matrix("U", cols=d), data("X", cols=d)
    return Model(
        output=X @ U.T @ U / sp.sqrt(n),
        matrices=(U,),
        data=X,
        observables={"G": U.T @ U / n},
        name="tied_autoencoder",
    )
