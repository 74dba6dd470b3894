"""An optimizer that acts linearly on whole vectors, as data that the closure engine reads.

The parameters and their buffers are copies Phi_0, Phi_1, ... of one frame. A step is

    Phi_i' = sum_j transfer[i, j] Phi_j + slope[i] * scale * grad L(Theta + ascent * grad L(Theta)),
    Theta = sum_j point[j] Phi_j,

with ``scale`` and ``ascent`` functions of the norm of the gradient that they multiply. That norm
is an invariant (THEORY section 2), so that all of it is the frame times a matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from catapult_theory.symbolic.batches import Batches
from catapult_theory.symbolic.symbols import eta

# The norm of the gradient, in ``scale`` and ``ascent``.
GRAD_NORM = sp.Symbol("grad_norm", nonnegative=True)


@dataclass(frozen=True)
class Recipe:
    """An optimizer in words and numbers: what the theory builds a step from, and brute force too.

    Parameters
    ----------
    momentum : str
        "none", "heavy_ball", "nesterov", "torch_heavy_ball" or "torch_nesterov".
    beta, omega : sympy.Expr
        Momentum and weight decay.
    decay : str
        "coupled" (inside the gradient) or "decoupled".
    rescaling : str
        "none", "clip" (global norm at most ``clip``) or "normalise" (norm one).
    clip : sympy.Expr
    ascent : str
        "none", "sam" (of length ``rho``) or "unnormalised_sam" (``rho`` times the gradient).
    rho : sympy.Expr
    batches : Batches or None
    """

    momentum: str = "none"
    beta: sp.Expr = sp.S.Zero
    omega: sp.Expr = sp.S.Zero
    decay: str = "coupled"
    rescaling: str = "none"
    clip: sp.Expr = sp.S.Zero
    ascent: str = "none"
    rho: sp.Expr = sp.S.Zero
    batches: Batches | None = None


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
        The weight decay that the loss effectively has, 0 without.
    ascent : sympy.Expr
        How far up its own gradient that point is moved first (SAM), may contain `GRAD_NORM`.
    scale : sympy.Expr
        What multiplies the gradient, may contain its norm `GRAD_NORM`.
    batches : Batches or None
        The samples of each step; None for all of them.
    recipe : Recipe or None
        The same for brute-force training; None where that has no such rule.
    """

    name: str
    transfer: sp.ImmutableMatrix
    slope: tuple[sp.Expr, ...]
    point: tuple[sp.Expr, ...]
    decay: sp.Expr = sp.S.Zero
    ascent: sp.Expr = sp.S.Zero
    scale: sp.Expr = sp.S.One
    batches: Batches | None = None
    recipe: Recipe | None = None

    @property
    def copies(self) -> int:
        """The number of copies of the frame: 1 for gradient descent, 2 with momentum."""
        return len(self.slope)

    @property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """The symbols of the optimizer, the learning rate first."""
        parts = (*self.transfer, *self.slope, *self.point, self.ascent, self.scale)
        found = set().union(*(sp.sympify(e).free_symbols for e in parts))
        return (eta, *sorted(found - {eta, GRAD_NORM}, key=lambda s: str(s.name)))

    @property
    def looks_here(self) -> bool:
        """Whether the gradient is taken at the parameters themselves."""
        return self.ascent == 0 and self.point == (1, *(0,) * (self.copies - 1))

    def step_matrix(self, gradient: sp.Matrix) -> sp.ImmutableMatrix:
        """Return M with [Phi_0, Phi_1, ...]' = [Phi_0, Phi_1, ...] M.

        Parameters
        ----------
        gradient : sympy.Matrix
            G of shape (p, p): the gradient is G times the point where it is taken.

        Returns
        -------
        sympy.Matrix
            Of shape (c p, c p).

        Examples
        --------
        >>> from catapult_theory.symbolic.optimizers import gd
        >>> gd().step_matrix(sp.Matrix([[sp.Symbol("G")]]))
        Matrix([[-G*eta + 1]])
        """
        return self.step_from(sp.kronecker_product(sp.Matrix(self.point), sp.Matrix(gradient)))

    def step_from(self, gradient: sp.Matrix) -> sp.ImmutableMatrix:
        """Return M for a gradient that is given in all copies of the frame.

        Parameters
        ----------
        gradient : sympy.Matrix
            Of shape (c p, p): the gradient is [Phi_0, Phi_1, ...] times it.

        Returns
        -------
        sympy.Matrix
            Of shape (c p, c p).
        """
        unit = sp.eye(gradient.shape[1])
        moved = sp.kronecker_product(self.transfer.T, unit)
        push = sp.kronecker_product(sp.Matrix([self.slope]), sp.Matrix(gradient))
        return sp.ImmutableMatrix(moved + push)

    def full_threshold(self) -> sp.Expr:
        """Return the bound on eta times the full curvature, weight decay included.

        Returns
        -------
        sympy.Expr

        Examples
        --------
        >>> from catapult_theory.symbolic.optimizers import gd
        >>> gd(weight_decay=True).full_threshold()
        2
        """
        return sp.expand(self.stability_threshold() + eta * self.decay)

    def stability_threshold(self) -> sp.Expr:
        """Return the bound on eta * curvature below which a minimum is linearly stable.

        Along a Hessian eigenvector of curvature h the copies obey a linear map; its
        eigenvalue leaves the unit circle at -1. Gradient descent: 2; heavy ball: 2 (1 + beta);
        Nesterov: 2 (1 + beta)/(1 + 2 beta). Zero where the step does not vanish with the
        gradient (normalised gradients, SAM): no minimum is stable.

        Returns
        -------
        sympy.Expr

        Examples
        --------
        >>> from catapult_theory.symbolic.optimizers import gd, heavy_ball
        >>> gd().stability_threshold(), heavy_ball().stability_threshold()
        (2, 2*beta + 2)
        """
        if is_singular(self.ascent) or is_singular(self.scale):
            return sp.S.Zero
        h = sp.Symbol("h", positive=True)
        push = sp.Matrix(self.slope) * sp.Matrix([self.point]) * self.scale.subs(GRAD_NORM, 0)
        characteristic = (sp.Matrix(self.transfer) + h * push + sp.eye(self.copies)).det()
        (root,) = sp.solve(characteristic, h)
        if self.ascent == 0:
            return sp.expand(eta * sp.factor(root))
        # An ascent of rho h turns the curvature h into h (1 + rho h).
        return eta * (sp.sqrt(1 + 4 * self.ascent * sp.factor(root)) - 1) / (2 * self.ascent)


@dataclass(frozen=True)
class Coordinatewise:
    """An optimizer that treats every coordinate by itself; its dynamics does not close."""

    name: str
    term: str
    reason: str


def is_singular(factor: Any) -> bool:
    """Return whether a factor of the gradient is unbounded where the gradient vanishes.

    Parameters
    ----------
    factor : sympy.Expr
        In `GRAD_NORM`.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_singular(1 / GRAD_NORM), is_singular(1 / sp.Max(1, GRAD_NORM))
    (True, False)
    """
    return bool(sp.sympify(factor).subs(GRAD_NORM, 0).has(sp.zoo, sp.oo, sp.nan))


def at_norm2(factor: Any, norm2: sp.Expr) -> sp.Expr:
    """Return a factor of the gradient in terms of its squared norm.

    A vanishing gradient is not moved along: the factor is then set to zero where it would be
    unbounded. Rounding that makes a norm negative is cut off.

    Parameters
    ----------
    factor : sympy.Expr
        In `GRAD_NORM`.
    norm2 : sympy.Expr

    Returns
    -------
    sympy.Expr

    Examples
    --------
    >>> at_norm2(1 / GRAD_NORM, sp.Symbol("x", nonnegative=True))
    Piecewise((1/sqrt(x), x > 0), (0, True))
    """
    cut = norm2 if norm2.is_nonnegative else sp.Max(norm2, 0)
    value = sp.sympify(factor).subs(GRAD_NORM, sp.sqrt(cut))
    return sp.Piecewise((value, norm2 > 0), (0, True)) if is_singular(factor) else value
