"""The zoo: networks of the paper whose dynamics closes, written as any user would write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from catapult_theory.errors import InputError, unknown_name
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.symbols import data, matrix, n, vectors


def uv(label: Any = False) -> Model:
    """Return the uv-model f = u.v / sqrt(n) on one sample with x = 1 (paper, section 2.1).

    Parameters
    ----------
    label : number, symbol or bool
        The label y: 0 by default, ``True`` for the symbol ``y``.

    Returns
    -------
    Model

    Examples
    --------
    >>> print(uv(label=True))
    uv: f = <u,v>/sqrt(n), label y
    """
    u, v = vectors("u v")
    return Model(output=u @ v / sp.sqrt(n), vectors=(u, v), label=label, name="uv")


def linear(inputs: Any = None, outputs: Any = 1) -> Model:
    """Return the two-layer linear network f(x) = V U^T x / sqrt(n) (paper, section 2.2).

    U is n x d, V is k x n; the invariants are W = V U / sqrt(n), G = U^T U / n and
    S = V V^T / n (THEORY section 3.3).

    Parameters
    ----------
    inputs : int or None
        d; left out, a symbol that is read from the data at run time.
    outputs : int or None
        k; ``None`` for a symbol.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        If a size is not a positive integer.

    Examples
    --------
    >>> linear(inputs=64, outputs=10).output.shape
    (m, 10)
    """
    d = _size(inputs, "d", "inputs")
    k = _size(outputs, "k", "outputs")
    V, U, X = matrix("V", rows=k), matrix("U", cols=d), data("X", cols=d)
    return Model(
        output=X @ U.T @ V.T / sp.sqrt(n),
        matrices=(V, U),
        data=X,
        observables={"W": V @ U / sp.sqrt(n), "G": U.T @ U / n, "S": V @ V.T / n},
        name="linear",
    )


def _size(value: Any, symbol: str, name: str) -> Any:
    if value is None:
        return sp.Symbol(symbol, positive=True, integer=True)
    if isinstance(value, bool) or not isinstance(value, (int, sp.Integer)) or value < 1:
        raise InputError(f"{name} must be a positive integer or None, got {value!r}")
    return sp.Integer(value)


NAMED: dict[str, Callable[..., Model]] = {"uv": uv, "linear": linear}


def get(name: str, **arguments: Any) -> Model:
    """Return the zoo model of that name.

    Parameters
    ----------
    name : str
        "uv" or "linear".
    **arguments
        Passed on to the model's function.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        For an unknown name.

    Examples
    --------
    >>> get("uv", label=0.5).label
    1/2
    """
    if name not in NAMED:
        raise unknown_name("model", name, NAMED)
    return NAMED[name](**arguments)
