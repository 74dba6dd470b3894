"""The labelled uv-model as the certificates see it: two factors, each multiplied at every step.

The engine derives the map and finds its invariant factors (`symbolic.invariants`). Two of them
serve as coordinates: the residual p, which vanishes at the minima, and w, which vanishes on the
edge. In them the map is

    p' = A(p, w) p,      w' = B(p, w) w,

with quadratic multipliers A and B; the other two factors are the box coordinates X and Y, which
every network keeps at or above 0. All relations between them are affine. This file turns
what the engine found into tables of coefficients, each an interval of doubles that holds the
exact number; nothing about the model is typed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
import sympy as sp
from numba import njit
from numpy.typing import NDArray

from catapult_theory.errors import InputError
from catapult_theory.rigor.certified.interval import Interval, add, down, mul, sqr, up
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.invariants import invariant_factors
from catapult_theory.symbolic.scaling import signed_dimensionless

Table = NDArray[np.float64]
P, W, X, Y = sp.symbols("P W X Y")
# The monomials of a quadratic in (p, w), in the order of the tables.
_MONOMIALS = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))


@dataclass(frozen=True)
class Factored:
    """The step in its factors, exactly, with kappa as a symbol.

    Parameters
    ----------
    kappa : sympy.Symbol
    p_multiplier, w_multiplier : sympy.Expr
        A and B, polynomials in `P` and `W`.
    p_from_box, w_from_box : sympy.Expr
        Affine in `X` and `Y`.
    x_from_factors, y_from_factors, a_from_factors : sympy.Expr
        Affine in `P` and `W`; a is the dimensionless curvature.
    """

    kappa: sp.Symbol
    p_multiplier: sp.Expr
    w_multiplier: sp.Expr
    p_from_box: sp.Expr
    w_from_box: sp.Expr
    x_from_factors: sp.Expr
    y_from_factors: sp.Expr
    a_from_factors: sp.Expr


@cache
def factored() -> Factored:
    """Return the labelled uv-model in the factors that the engine finds.

    Returns
    -------
    Factored

    Raises
    ------
    InputError
        If the map has not one edge, one minimum and two sides of its domain.

    Examples
    --------
    >>> factored().p_multiplier, factored().w_multiplier
    (P**2 - W - 3, P**2 + P*kappa + 1)
    """
    update_map = derive(models.uv(label=True))
    small = signed_dimensionless(update_map)
    found = invariant_factors(update_map)
    kinds = {kind: [w for w in found if w.kind == kind] for kind in ("edge", "minimum", "domain")}
    if [len(kinds[kind]) for kind in ("edge", "minimum", "domain")] != [1, 1, 2]:
        raise InputError("the map needs one edge, one minimum and two sides of its domain")
    output, curvature = small.variables
    (edge,), (minimum,) = kinds["edge"], kinds["minimum"]
    right, left = sorted(
        (w.expression for w in kinds["domain"]), key=lambda e: -float(sp.diff(e, output))
    )
    by_box = sp.solve([right - X, left - Y], [output, curvature])
    by_factors = sp.solve([minimum.expression - P, edge.expression - W], [output, curvature])
    (kappa,) = small.constants

    def in_factors(e: sp.Expr) -> sp.Expr:
        return sp.expand(e.subs(by_factors, simultaneous=True))

    def in_box(e: sp.Expr) -> sp.Expr:
        return sp.expand(e.subs(by_box, simultaneous=True))

    return Factored(
        kappa,
        in_factors(minimum.multiplier),
        in_factors(edge.multiplier),
        in_box(minimum.expression),
        in_box(edge.expression),
        in_factors(right),
        in_factors(left),
        in_factors(curvature),
    )


@dataclass(frozen=True, eq=False)
class StepTables:
    """Coefficients at one kappa, as intervals of doubles; the last axis is (low, high).

    Parameters
    ----------
    kappa : float
    multipliers : numpy.ndarray
        (2, 6, 2): A and B in 1, p, w, p^2, p w, w^2.
    factors : numpy.ndarray
        (2, 3, 2): p and w in 1, X, Y.
    box : numpy.ndarray
        (3, 3, 2): X, Y and a in 1, p, w.
    """

    kappa: float
    multipliers: Table
    factors: Table
    box: Table


def step_tables(kappa: float) -> StepTables:
    """Return the step at one kappa.

    Parameters
    ----------
    kappa : float
        eta y / sqrt(n), at least 0 (y < 0 is u -> -u).

    Returns
    -------
    StepTables

    Raises
    ------
    InputError
        If kappa is negative or not finite.

    Examples
    --------
    >>> step_tables(0.5).multipliers[1, :, 0]
    array([1. , 0.5, 0. , 1. , 0. , 0. ])
    """
    if not (math.isfinite(kappa) and kappa >= 0):
        raise InputError(f"kappa must be a finite number >= 0 (y < 0 is u -> -u), got {kappa}")
    exact = factored()
    value = {exact.kappa: sp.Rational(Fraction(kappa))}
    multipliers = [exact.p_multiplier, exact.w_multiplier]
    factors = [exact.p_from_box, exact.w_from_box]
    box = [exact.x_from_factors, exact.y_from_factors, exact.a_from_factors]
    return StepTables(
        float(kappa),
        np.array([_coefficients(e.subs(value), (P, W), _MONOMIALS) for e in multipliers]),
        np.array([_coefficients(e.subs(value), (X, Y), _MONOMIALS[:3]) for e in factors]),
        np.array([_coefficients(e.subs(value), (P, W), _MONOMIALS[:3]) for e in box]),
    )


def _coefficients(
    e: sp.Expr, variables: tuple[sp.Symbol, ...], monomials: tuple[tuple[int, int], ...]
) -> list[Interval]:
    polynomial = sp.Poly(e, *variables)
    if not set(polynomial.monoms()) <= set(monomials):
        raise InputError(f"{e} has terms beyond those that the kernel evaluates")
    return [_enclosed(polynomial.coeff_monomial(m)) for m in monomials]


def _enclosed(value: sp.Rational) -> Interval:
    """Return the narrowest known interval of doubles around a rational number."""
    exact = Fraction(int(value.p), int(value.q))
    near = float(exact)
    if Fraction(near) == exact:
        return near, near
    return float(down(near)), float(up(near))


@njit(error_model="numpy")
def entry(table: Table, i: int, j: int) -> Interval:
    """Return one coefficient."""
    return table[i, j, 0], table[i, j, 1]


@njit(error_model="numpy")
def affine(table: Table, i: int, x: Interval, y: Interval) -> Interval:
    """Return row i of an affine table at (x, y)."""
    linear = add(mul(entry(table, i, 1), x), mul(entry(table, i, 2), y))
    return add(entry(table, i, 0), linear)


@njit(error_model="numpy")
def _present(table: Table, i: int, j: int) -> bool:
    return table[i, j, 0] != 0.0 or table[i, j, 1] != 0.0


@njit(error_model="numpy")
def multiplier(table: Table, i: int, p: Interval, w: Interval) -> Interval:
    """Return A (i = 0) or B (i = 1) on a box."""
    total = entry(table, i, 0)
    if _present(table, i, 1):
        total = add(total, mul(entry(table, i, 1), p))
    if _present(table, i, 2):
        total = add(total, mul(entry(table, i, 2), w))
    if _present(table, i, 3):
        total = add(total, mul(entry(table, i, 3), sqr(p)))
    if _present(table, i, 4):
        total = add(total, mul(entry(table, i, 4), mul(p, w)))
    if _present(table, i, 5):
        total = add(total, mul(entry(table, i, 5), sqr(w)))
    return total


@njit(error_model="numpy")
def slopes(table: Table, i: int, p: Interval, w: Interval) -> tuple[Interval, Interval]:
    """Return the derivatives of A or B in p and in w on a box."""
    two = (2.0, 2.0)
    by_p, by_w = entry(table, i, 1), entry(table, i, 2)
    if _present(table, i, 3):
        by_p = add(by_p, mul(two, mul(entry(table, i, 3), p)))
    if _present(table, i, 4):
        by_p = add(by_p, mul(entry(table, i, 4), w))
        by_w = add(by_w, mul(entry(table, i, 4), p))
    if _present(table, i, 5):
        by_w = add(by_w, mul(two, mul(entry(table, i, 5), w)))
    return by_p, by_w
