"""Quadratic models f = c + h.theta + theta^T A theta / 2, in the eigenspaces of A (THEORY 3.5).

Each distinct eigenvalue a_j of the meta-feature matrix has an eigenspace, and its rotations
leave f alone: the components t_j = P_j theta are frames of their own, and h_j = P_j h vectors
that are held fixed. Nothing else is said; that the dynamics closes on theta^T P_j theta and
h^T P_j theta is found by the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from catapult_theory.errors import InputError, NotClosed
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.symbols import Vector, vectors

# Eigenvalues nearer than this, relative to the largest, are one eigenvalue.
SAME = 1e-10
LARGEST_SPECTRUM = 16

Array = Any


@dataclass(frozen=True, eq=False)
class Eigenspaces:
    """The distinct eigenvalues of a symmetric matrix and the projectors on their eigenspaces.

    Parameters
    ----------
    values : array, shape (r,)
        Ascending.
    projectors : array, shape (r, N, N)
    """

    values: Array
    projectors: Array

    @property
    def multiplicities(self) -> tuple[int, ...]:
        """The dimension of each eigenspace."""
        return tuple(round(float(np.trace(P))) for P in self.projectors)

    def state(self, theta: Array, slope: Array | None = None) -> dict[str, Array]:
        """Return theta^T P_j theta, and h^T P_j theta and h^T P_j h where there is a slope.

        Parameters
        ----------
        theta : array, shape (..., N)
        slope : array, shape (N,), optional
            h.

        Returns
        -------
        dict of str to array
            Named as the state of the update map: T1, K1, H1, T2, ...
        """
        found: dict[str, Array] = {}
        for j, P in enumerate(self.projectors, 1):
            part = theta @ P
            found[f"T{j}"] = (part * part).sum(axis=-1)
            if slope is not None:
                found[f"K{j}"] = part @ slope
                found[f"H{j}"] = slope @ P @ slope
        return found


def eigenspaces(matrix: Any) -> Eigenspaces:
    """Return the eigenspaces of a symmetric matrix, equal eigenvalues taken together.

    Parameters
    ----------
    matrix : array, shape (N, N)

    Returns
    -------
    Eigenspaces

    Raises
    ------
    InputError
        If it is not a symmetric matrix of finite numbers.

    Examples
    --------
    >>> spaces = eigenspaces([[0.0, 1.0], [1.0, 0.0]])
    >>> spaces.values.tolist(), spaces.multiplicities
    ([-1.0, 1.0], (1, 1))
    """
    A = np.asarray(matrix, dtype=float)
    if A.ndim != 2 or A.shape[0] != A.shape[1] or not np.isfinite(A).all():
        raise InputError(f"a meta-feature matrix is N x N and finite, got shape {A.shape}")
    if not np.allclose(A, A.T, rtol=0, atol=SAME * np.abs(A).max()):
        raise InputError("a meta-feature matrix is symmetric: take (A + A.T) / 2, the same f")
    values, vectors_ = np.linalg.eigh((A + A.T) / 2)
    size = np.abs(values).max()
    cuts = np.flatnonzero(np.diff(values) > SAME * size) + 1
    groups = np.split(np.arange(len(values)), cuts)
    projectors = np.stack([vectors_[:, g] @ vectors_[:, g].T for g in groups])
    return Eigenspaces(np.array([values[g].mean() for g in groups]), projectors)


def quadratic(
    matrix: Any = None,
    eigenvalues: Sequence[Any] = (1, -1),
    multiplicities: Sequence[int] | None = None,
    slope: Any = False,
    constant: Any = 0,
    label: Any = False,
) -> Model:
    """Return f = c + h.theta + theta^T A theta / 2 with a given meta-feature matrix A.

    The closed state is T_j = theta^T P_j theta and, with a slope, K_j = h^T P_j theta, next to
    H_j = h^T P_j h, which does not move (THEORY section 3.5; Zhu, Liu, Radhakrishnan and Belkin
    2022; Meltzer and Liu 2023; Agarwala, Pedregosa and Pennington 2022).

    Parameters
    ----------
    matrix : array, shape (N, N), optional
        A itself; theta then has the length n = N.
    eigenvalues : sequence, optional
        In place of A its distinct eigenvalues. Exact ones (integers, fractions, expressions)
        stay as they are; floats become symbols a1, a2, ... that are put in at the end.
    multiplicities : sequence of int, optional
        Of the eigenvalues; left out, all the same. They count in parts of the width.
    slope : bool
        Whether there is a linear term h.theta. h enters with its norms in the eigenspaces,
        which are part of the start.
    constant : number
        c.
    label : number, symbol or bool

    Returns
    -------
    Model

    Raises
    ------
    InputError
        If the spectrum cannot be used.
    NotClosed
        For several matrices that do not commute.

    Examples
    --------
    >>> from catapult_theory.symbolic.closure import derive
    >>> print(derive(quadratic(eigenvalues=(1, -1))))
    f' = f*(eta**2*f**2 - eta*lam + 1)
    lam' = eta*f**2*(eta*lam - 4) + lam
    exact at every width n
    """
    if matrix is not None:
        _refuse_several(matrix)
        spaces = eigenspaces(matrix)
        eigenvalues, multiplicities = list(spaces.values), spaces.multiplicities
    counts = [1] * len(eigenvalues) if multiplicities is None else list(multiplicities)
    _check_spectrum(eigenvalues, counts)
    total = sum(counts)
    numbers: dict[str, float] = {}
    output: Any = sp.nsimplify(constant, rational=True)
    seen: dict[str, Any] = {}
    trained: list[Vector] = []
    held: list[Vector] = []
    frames: dict[str, Any] = {}
    for j, (value, count) in enumerate(zip(eigenvalues, counts, strict=True), 1):
        (t,) = vectors(f"t{j}")
        output += _eigenvalue(value, f"a{j}", numbers) * (t @ t) / 2
        seen[f"T{j}"] = t @ t
        trained.append(t)
        names = f"t{j}"
        if slope:
            (h,) = vectors(f"h{j}")
            output += h @ t
            seen |= {f"K{j}": t @ h, f"H{j}": h @ h}
            held.append(h)
            names = f"t{j} h{j}"
        frames[names] = sp.Rational(count, total)
    return Model(
        output=output,
        vectors=tuple(trained),
        fixed=tuple(held),
        label=label,
        observables=seen,
        frames=frames if len(frames) > 1 else None,
        values=numbers,
        name="quadratic",
    )


def random_quadratic(size: int = 4, seed: int = 0, slope: Any = False, label: Any = False) -> Model:
    """Return a quadratic model whose meta-feature matrix is `random_matrix` of that size.

    Its eigenvalues are distinct, so that the state has a number (two with a slope) for each.

    Parameters
    ----------
    size : int
        N.
    seed : int
    slope : bool
    label : number, symbol or bool

    Returns
    -------
    Model

    Raises
    ------
    InputError
        If the size is not a positive integer, or too large.

    Examples
    --------
    >>> len(random_quadratic(size=3).vectors)
    3
    """
    return quadratic(random_matrix(size, seed), slope=slope, label=label)


def random_matrix(size: int, seed: int = 0) -> Array:
    """Return a symmetric matrix with normal entries of variance 1/N (twice that on the diagonal).

    Parameters
    ----------
    size : int
    seed : int

    Returns
    -------
    array, shape (size, size)

    Raises
    ------
    InputError
        If the size is not a positive integer.

    Examples
    --------
    >>> random_matrix(3).shape
    (3, 3)
    """
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
        raise InputError(f"size must be a positive integer, got {size!r}")
    draws = np.random.default_rng(seed).standard_normal((size, size))
    return np.asarray((draws + draws.T) / np.sqrt(2 * size))


def _eigenvalue(value: Any, name: str, numbers: dict[str, float]) -> Any:
    """Return an exact eigenvalue, or the symbol for a float, whose number is kept aside."""
    if not isinstance(value, (float, np.floating)):
        return value if isinstance(value, sp.Expr) else sp.Rational(value)
    numbers[name] = float(value)
    return sp.Symbol(name, real=True)


def _check_spectrum(eigenvalues: Sequence[Any], counts: Sequence[int]) -> None:
    if not len(eigenvalues) or len(counts) != len(eigenvalues):
        raise InputError(
            f"{len(eigenvalues)} eigenvalues and {len(counts)} multiplicities do not fit"
        )
    if len(set(eigenvalues)) != len(eigenvalues):
        raise InputError("an eigenvalue is named twice: give it once, with its multiplicity")
    if any(isinstance(c, bool) or int(c) != c or c < 1 for c in counts):
        raise InputError(f"multiplicities are positive integers, got {list(counts)}")
    if len(eigenvalues) > LARGEST_SPECTRUM:
        raise InputError(
            f"{len(eigenvalues)} distinct eigenvalues give that many state variables; up to "
            f"{LARGEST_SPECTRUM} are derived: give equal eigenvalues once, with multiplicities"
        )


def check_commuting(matrices: Array) -> None:
    """Name the first quantity that leaves for matrices, one an output, that do not commute.

    Parameters
    ----------
    matrices : array, shape (k, N, N)

    Raises
    ------
    NotClosed
        If two of them do not commute.
    """
    sizes = [float(np.abs(A).max()) for A in matrices]
    for i, A in enumerate(matrices):
        for j, B in enumerate(matrices[:i]):
            if not np.allclose(A @ B, B @ A, rtol=0, atol=SAME * len(A) * sizes[i] * sizes[j]):
                raise NotClosed(
                    f"theta^T (A{j + 1} A{i + 1} - A{i + 1} A{j + 1})^2 theta",
                    f"A{j + 1} and A{i + 1} do not commute: they have no common eigenspaces, and "
                    "each step mixes new products of them into the output",
                )


def _refuse_several(matrix: Any) -> None:
    several = np.asarray(matrix, dtype=float)
    if several.ndim == 3:
        check_commuting(several)
        raise InputError(
            "several matrices are several outputs: take quadratic_outputs(matrices), which closes "
            "where they commute"
        )
