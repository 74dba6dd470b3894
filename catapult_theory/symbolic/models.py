"""The zoo: networks of the paper whose dynamics closes, written as any user would write them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from inspect import signature
from typing import Any

import sympy as sp

from catapult_theory.errors import InputError, unknown_name
from catapult_theory.symbolic.commuting_quadratics import quadratic_outputs
from catapult_theory.symbolic.deep_linear import aligned_mode, deep_linear
from catapult_theory.symbolic.factorisation_models import (
    linear_autoencoder,
    matrix_factorisation,
    matrix_sensing,
    tied_autoencoder,
    two_layers,
)
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.quadratic_models import quadratic, random_quadratic
from catapult_theory.symbolic.sign_units import relu_one_sample
from catapult_theory.symbolic.symbols import data, diagonal, matrix, n, vectors
from catapult_theory.symbolic.update_map import UpdateMap

__all__ = [
    "FROM_DATA",
    "MAPS",
    "NAMED",
    "aligned_mode",
    "arguments",
    "deep_linear",
    "get",
    "linear",
    "linear_autoencoder",
    "matrix_factorisation",
    "matrix_sensing",
    "quadratic",
    "quadratic_activation",
    "quadratic_activation_one_sample",
    "quadratic_outputs",
    "random_quadratic",
    "relu_one_sample",
    "tied_autoencoder",
    "uv",
]


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
    return two_layers(k, d, "linear")


def quadratic_activation(inputs: Any = None, positive: Any = Fraction(1, 2)) -> Model:
    """Return f(x) = (1/sqrt(n)) sum_i s_i (u_i . x)^2 with fixed signs s_i (THEORY section 3.4).

    The units of positive sign are the rows of P, those of negative sign the rows of Q: two
    frames that meet in the output alone, with A = P^T P / n and B = Q^T Q / n.

    Parameters
    ----------
    inputs : int or None
        d; left out, a symbol that is read from the data at run time.
    positive : fraction
        The part of the units whose sign is positive, up to 1.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        If a size or the fraction cannot be used.

    Examples
    --------
    >>> print(quadratic_activation())
    quadratic_activation: f = diag(1/sqrt(n)*(X*P.T*P*X.T - X*Q.T*Q*X.T))
    """
    share = _part(positive)
    d = _size(inputs, "d", "inputs")
    P, Q, X = matrix("P", cols=d), matrix("Q", cols=d), data("X", cols=d)
    plus, minus = X @ P.T @ P @ X.T, X @ Q.T @ Q @ X.T
    both = share != 1
    return Model(
        output=diagonal((plus - minus if both else plus) / sp.sqrt(n)),
        matrices=(P, Q) if both else (P,),
        data=X,
        observables={"A": P.T @ P / n, **({"B": Q.T @ Q / n} if both else {})},
        frames={"P": share, "Q": 1 - share} if both else None,
        name="quadratic_activation",
    )


def quadratic_activation_one_sample(label: Any = False, positive: Any = Fraction(1, 2)) -> Model:
    """Return f = (|p|^2 - |q|^2) / sqrt(n): `quadratic_activation` on one sample with x = 1.

    Parameters
    ----------
    label : number, symbol or bool
        The label y: 0 by default, ``True`` for the symbol ``y``.
    positive : fraction
        The part of the units whose sign is positive.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        If the fraction is not between 0 and 1.

    Examples
    --------
    >>> print(quadratic_activation_one_sample())
    quadratic_activation_one_sample: f = (<p,p> - <q,q>)/sqrt(n)
    """
    share = _part(positive)
    p, q = vectors("p q")
    both = share != 1
    return Model(
        output=(p @ p - q @ q if both else p @ p) / sp.sqrt(n),
        vectors=(p, q) if both else (p,),
        label=label,
        frames={"p": share, "q": 1 - share} if both else None,
        name="quadratic_activation_one_sample",
    )


def _part(positive: Any) -> sp.Rational:
    share = sp.nsimplify(positive, rational=True)
    if not (share.is_Rational and 0 < share <= 1):
        raise InputError(f"positive= is a fraction of the units, above 0 up to 1: {positive!r}")
    return share


def _size(value: Any, symbol: str, name: str) -> Any:
    if value is None:
        return sp.Symbol(symbol, positive=True, integer=True)
    if isinstance(value, bool) or not isinstance(value, (int, sp.Integer)) or value < 1:
        raise InputError(f"{name} must be a positive integer or None, got {value!r}")
    return sp.Integer(value)


NAMED: dict[str, Callable[..., Model]] = {
    model.__name__: model
    for model in (
        *(uv, linear, quadratic_activation, quadratic_activation_one_sample),
        *(quadratic, random_quadratic, quadratic_outputs),
        *(matrix_factorisation, matrix_sensing, linear_autoencoder, tied_autoencoder),
        *(relu_one_sample, deep_linear),
    )
}

# What is closed before a loss and an optimizer are chosen: functions that return update maps.
MAPS: dict[str, Callable[..., UpdateMap]] = {aligned_mode.__name__: aligned_mode}

# Models that read their sizes off the data: functions of its inputs d and outputs k.
FROM_DATA: dict[str, Callable[[int, int], Model]] = {
    "linear": linear,
    "quadratic_activation": lambda d, k: quadratic_activation(d),
    "matrix_factorisation": lambda d, k: matrix_factorisation(k, d),
    "linear_autoencoder": lambda d, k: linear_autoencoder(d),
    "tied_autoencoder": lambda d, k: tied_autoencoder(d),
}


def get(name: str, **arguments: Any) -> Model:
    """Return the zoo model of that name.

    Parameters
    ----------
    name : str
        A key of ``NAMED``: "uv", "linear", "quadratic_activation", ...
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
    _check_known(name)
    return NAMED[name](**arguments)


def arguments(name: str) -> tuple[str, ...]:
    """Return the names of the arguments that a zoo model takes.

    Parameters
    ----------
    name : str

    Returns
    -------
    tuple of str

    Raises
    ------
    InputError
        For an unknown name.

    Examples
    --------
    >>> arguments("linear")
    ('inputs', 'outputs')
    """
    _check_known(name)
    return tuple(signature(NAMED[name]).parameters)


def _check_known(name: str) -> None:
    if name in MAPS:
        raise InputError(
            f"{name} is no model but an update map: take ct.models.{name}(), which is derived"
        )
    if name not in NAMED:
        raise unknown_name("model", name, (*NAMED, *MAPS))


def from_text(text: str, inputs: int | None = None, outputs: int = 1) -> Model:
    """Return the zoo model that a name in a file or on a command line means.

    Parameters
    ----------
    text : str
        A zoo name; after a colon ``label`` (a symbol) or a number for the label, or ``k`` for any
        number of outputs: "uv:label", "uv:0.5", "linear:k"; or arguments by name:
        "matrix_sensing:rows=2,cols=3".
    inputs, outputs : int
        Sizes of the matrix models that have them.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        For an unknown name or label.

    Examples
    --------
    >>> from_text("uv:0.5").label, from_text("linear:k").output.shape
    (1/2, (m, k))
    """
    base = text.partition(":")[0]
    accepted = arguments(base)
    sizes = {"inputs": inputs, "outputs": outputs}
    given: dict[str, Any] = {k: v for k, v in sizes.items() if k in accepted and v is not None}
    return get(base, **{**given, **_given(text, accepted)})


def map_from_text(text: str, loss: Any = "squared", optimizer: Any = "gd") -> UpdateMap | None:
    """Return the update map that a name means by itself; None for the name of a model.

    Parameters
    ----------
    text : str
        A key of ``MAPS``, after a colon its label or arguments by name: "aligned_mode:depth=4".
    loss, optimizer : str

    Returns
    -------
    UpdateMap or None

    Raises
    ------
    InputError
        For arguments that are not its own, or an optimizer for which it is not stated.

    Examples
    --------
    >>> map_from_text("aligned_mode:depth=2").state
    State(w1=w1, w2=w2)
    >>> map_from_text("uv") is None
    True
    """
    base = text.partition(":")[0]
    if base not in MAPS:
        return None
    found = MAPS[base](**_given(text, ("depth", "label")), loss=loss)
    if optimizer != found.optimizer:
        raise InputError(f"{base} is known for {found.optimizer} alone, not for {optimizer}")
    return found


def _given(text: str, accepted: tuple[str, ...]) -> dict[str, Any]:
    """Return what stands after the colon, by the names of the arguments."""
    base, _, rest = text.partition(":")
    given: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if part == "k" and "outputs" in accepted:
            given["outputs"] = None
            continue
        key, value = (key, value) if equals else ("label", part)
        if key == "label" and key not in accepted:
            raise InputError(f"{text!r}: {base} takes its targets with the data")
        if key not in accepted:
            raise unknown_name(f"argument of {base}", key, accepted)
        given[key] = _argument(text, key, value)
    return given


def _argument(text: str, key: str, value: str) -> Any:
    """Return what stands after the colon: a symbol for the label, or a number."""
    if value == "label" and key == "label":
        return True
    try:
        number = Fraction(value)
    except (ValueError, ZeroDivisionError) as cause:
        plain = "after the colon stands 'label' or a number"
        what = plain if key == "label" else f"{key}= is a number"
        raise InputError(f"{text!r}: {what}") from cause
    if key == "label":
        try:
            return float(number)
        except OverflowError as cause:
            raise InputError(f"{text!r}: the label is too large for a number") from cause
    return int(number) if number.denominator == 1 else number
