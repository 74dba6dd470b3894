"""Optimizers that act linearly on whole vectors, as data.

The parameters and their buffers are copies Phi_0, Phi_1, ... of one frame. A step is

    Phi_i' = sum_j transfer[i, j] Phi_j + slope[i] * grad L(sum_j point[j] Phi_j),

which is all that the closure engine needs to know (THEORY section 2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy as sp

from catapult_theory.errors import InputError, unknown_name
from catapult_theory.symbolic.symbols import beta as BETA
from catapult_theory.symbolic.symbols import eta, omega


@dataclass(frozen=True)
class Optimizer:
    """An optimizer that is linear in the frame, its buffers and the gradient.

    Parameters
    ----------
    name : str
    transfer : sympy.ImmutableMatrix
        Of shape (c, c), c copies of the frame (the parameters and the buffers).
    slope : tuple of sympy.Expr
        How much of the gradient enters each copy.
    point : tuple of sympy.Expr
        The combination of copies at which the gradient is taken.
    decay : sympy.Expr
        The weight decay omega of the loss, 0 without.
    """

    name: str
    transfer: sp.ImmutableMatrix
    slope: tuple[sp.Expr, ...]
    point: tuple[sp.Expr, ...]
    decay: sp.Expr = sp.S.Zero

    @property
    def copies(self) -> int:
        """The number of copies of the frame: 1 for gradient descent, 2 with momentum."""
        return len(self.slope)

    @property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """The symbols of the optimizer, the learning rate first."""
        found = set().union(*(sp.sympify(e).free_symbols for e in (*self.transfer, *self.slope)))
        return (eta, *sorted(found - {eta}, key=lambda s: str(s.name)))

    def step_matrix(self, gradient: sp.Matrix) -> sp.ImmutableMatrix:
        """Return M with [Phi_0, Phi_1, ...]' = [Phi_0, Phi_1, ...] M.

        Parameters
        ----------
        gradient : sympy.Matrix
            G of shape (p, p) with grad L = Phi G.

        Returns
        -------
        sympy.Matrix
            Of shape (c p, c p).

        Examples
        --------
        >>> gd().step_matrix(sp.Matrix([[sp.Symbol("G")]]))
        Matrix([[-G*eta + 1]])
        """
        unit = sp.eye(gradient.shape[0])
        c = range(self.copies)
        rows = [
            [self.transfer[i, j] * unit + self.slope[i] * self.point[j] * gradient for i in c]
            for j in c
        ]
        return sp.ImmutableMatrix(
            sp.BlockMatrix([[sp.ImmutableMatrix(b) for b in r] for r in rows])
        )

    def full_threshold(self) -> sp.Expr:
        """Return the bound on eta times the full curvature, weight decay included.

        Returns
        -------
        sympy.Expr

        Examples
        --------
        >>> gd(weight_decay=True).full_threshold()
        2
        """
        return sp.expand(self.stability_threshold() + eta * self.decay)

    def stability_threshold(self) -> sp.Expr:
        """Return the bound on eta * curvature below which a minimum is linearly stable.

        Along a Hessian eigenvector of curvature h the copies obey a linear map; its
        eigenvalue leaves the unit circle at -1. Gradient descent: 2; heavy ball: 2 (1 + beta).

        Returns
        -------
        sympy.Expr

        Examples
        --------
        >>> gd().stability_threshold(), heavy_ball().stability_threshold()
        (2, 2*beta + 2)
        """
        h = sp.Symbol("h", positive=True)
        push = sp.Matrix(self.slope) * sp.Matrix([self.point])
        characteristic = (sp.Matrix(self.transfer) + h * push + sp.eye(self.copies)).det()
        (root,) = sp.solve(characteristic, h)
        return sp.expand(eta * root)


@dataclass(frozen=True)
class Coordinatewise:
    """An optimizer that treats every coordinate by itself; its dynamics does not close."""

    name: str
    term: str
    reason: str


def _decay(weight_decay: Any) -> sp.Expr:
    return _parameter(weight_decay, omega, "weight_decay")


def _parameter(value: Any, symbol: sp.Symbol, name: str) -> sp.Expr:
    if value is None or value is False:
        return sp.S.Zero
    if value is True:
        return symbol
    number = (
        sp.nsimplify(sp.sympify(value), rational=True) if not isinstance(value, sp.Expr) else value
    )
    if number.is_number and not (number.is_real and number >= 0):
        raise InputError(f"{name} must be a non-negative number or a symbol, got {value!r}")
    return number


def gd(weight_decay: Any = None) -> Optimizer:
    """Return full-batch gradient descent, Phi' = Phi - eta (grad L + omega Phi).

    Parameters
    ----------
    weight_decay : number, symbol, True or None
        omega; ``True`` for the symbol ``omega``.

    Returns
    -------
    Optimizer

    Examples
    --------
    >>> gd(weight_decay=True).parameters
    (eta, omega)
    """
    decay = _decay(weight_decay)
    name = "gd" if decay == 0 else f"gd(weight_decay={decay})"
    return Optimizer(name, sp.ImmutableMatrix([[1 - eta * decay]]), (-eta,), (sp.S.One,), decay)


def heavy_ball(beta: Any = None, weight_decay: Any = None) -> Optimizer:
    """Return heavy-ball momentum, P' = beta P - eta grad L, Phi' = Phi + P', P = 0 at the start.

    Parameters
    ----------
    beta : number, symbol or None
        Momentum; left out, the symbol ``beta``.
    weight_decay : number, symbol, True or None
        Coupled: omega Phi is part of the gradient.

    Returns
    -------
    Optimizer

    Raises
    ------
    InputError
        If beta is a number outside [0, 1).

    Examples
    --------
    >>> heavy_ball(0.9).stability_threshold()
    19/5
    """
    momentum = BETA if beta is None else _parameter(beta, BETA, "beta")
    if momentum.is_number and momentum >= 1:
        raise InputError(f"beta must lie in [0, 1), got {beta}")
    decay = _decay(weight_decay)
    arguments = [str(momentum)] * (momentum != BETA) + [f"weight_decay={decay}"] * (decay != 0)
    name = "heavy_ball" + (f"({', '.join(arguments)})" if arguments else "")
    transfer = sp.ImmutableMatrix([[1 - eta * decay, momentum], [-eta * decay, momentum]])
    return Optimizer(name, transfer, (-eta, -eta), (sp.S.One, sp.S.Zero), decay)


def adam() -> Coordinatewise:
    """Return Adam, which `derive` refuses: it divides each coordinate by its own scale.

    Returns
    -------
    Coordinatewise

    Examples
    --------
    >>> adam().name
    'adam'
    """
    return Coordinatewise(
        "adam",
        "grad_i^2",
        "Adam rescales every coordinate by the running mean of its own squared gradient, "
        "which is not a function of inner products",
    )


def sign_descent() -> Coordinatewise:
    """Return sign descent, which `derive` refuses: the sign acts on each coordinate.

    Returns
    -------
    Coordinatewise

    Examples
    --------
    >>> sign_descent().name
    'sign_descent'
    """
    return Coordinatewise(
        "sign_descent",
        "sign(grad_i)",
        "the sign of every coordinate of the gradient is not a function of inner products",
    )


NAMED: dict[str, Callable[[], Optimizer | Coordinatewise]] = {
    "gd": gd,
    "weight_decay": lambda: gd(weight_decay=True),
    "heavy_ball": heavy_ball,
    "adam": adam,
    "sign_descent": sign_descent,
}


def get(optimizer: Any) -> Optimizer | Coordinatewise:
    """Return the optimizer of a name, or the object itself.

    Parameters
    ----------
    optimizer : str, Optimizer or Coordinatewise

    Returns
    -------
    Optimizer or Coordinatewise

    Raises
    ------
    InputError
        For an unknown name.

    Examples
    --------
    >>> get("heavy_ball").parameters
    (eta, beta)
    """
    if isinstance(optimizer, (Optimizer, Coordinatewise)):
        return optimizer
    if optimizer not in NAMED:
        raise unknown_name("optimizer", optimizer, NAMED)
    return NAMED[optimizer]()
