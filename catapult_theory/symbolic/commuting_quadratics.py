"""Several quadratic outputs f_a = theta^T A_a theta / 2 with commuting A_a (THEORY 3.5).

Matrices that commute have common eigenspaces: A_a = sum_j x_aj P_j. The rotations of each
eigenspace leave every output alone, so that the components t_j = P_j theta are frames of their
own, and f_a = sum_j x_aj |t_j|^2 / 2 is a row of data, the eigenvalues of A_a, through one model.
That the dynamics closes on theta^T P_j theta is found by the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from catapult_theory.errors import InputError
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.quadratic_models import (
    LARGEST_SPECTRUM,
    Eigenspaces,
    check_commuting,
    eigenspaces,
)
from catapult_theory.symbolic.symbols import data, matrix

Array = Any


@dataclass(frozen=True, eq=False)
class JointEigenspaces(Eigenspaces):
    """The common eigenspaces of commuting symmetric matrices.

    Parameters
    ----------
    values : array, shape (k, r)
        x_aj, the eigenvalue of matrix a on eigenspace j.
    projectors : array, shape (r, N, N)
    """

    def data(self, targets: Any) -> tuple[Array, Array]:
        """Return the data with which `quadratic_outputs` learns a target for each matrix.

        Parameters
        ----------
        targets : array, shape (k,)

        Returns
        -------
        X : array, shape (k, r)
        Y : array, shape (k, 1)

        Raises
        ------
        InputError
            If there is not one target for each matrix.
        """
        Y = np.asarray(targets, dtype=float)
        if Y.shape != (len(self.values),):
            raise InputError(f"{len(self.values)} matrices need as many targets, got {Y.shape}")
        return self.values.copy(), Y[:, None]


def joint_eigenspaces(matrices: Any) -> JointEigenspaces:
    """Return the common eigenspaces of symmetric matrices that commute.

    They are those of a combination in general position, sum_a c_a A_a with random c.

    Parameters
    ----------
    matrices : array, shape (k, N, N)

    Returns
    -------
    JointEigenspaces

    Raises
    ------
    InputError
        If they are not symmetric matrices of one size and finite numbers.
    NotClosed
        If two of them do not commute; names the first quantity that leaves.

    Examples
    --------
    >>> spaces = joint_eigenspaces([np.diag([1.0, 1.0, 2.0]), np.diag([3.0, 0.0, 0.0])])
    >>> spaces.values.shape, sorted(spaces.multiplicities)
    ((2, 3), [1, 1, 1])
    """
    several = np.asarray(matrices, dtype=float)
    if several.ndim != 3 or len(several) < 1:
        raise InputError(f"several meta-feature matrices are k x N x N, got {several.shape}")
    for A in several:
        eigenspaces(A)  # refuses what is not symmetric
    check_commuting(several)
    sizes = np.abs(several).max(axis=(1, 2))
    weights = np.random.default_rng(0).uniform(1, 2, len(several)) / np.where(sizes > 0, sizes, 1)
    projectors = eigenspaces(np.tensordot(weights, several, axes=1)).projectors
    ranks = np.trace(projectors, axis1=1, axis2=2)
    values = np.einsum("aij,rji->ar", several, projectors) / ranks
    return JointEigenspaces(values, projectors)


def quadratic_outputs(
    matrices: Any = None, spaces: int = 2, multiplicities: Sequence[int] | None = None
) -> Model:
    """Return f_a = theta^T A_a theta / 2 for commuting A_a, one target for each.

    The closed state is T_j = theta^T P_j theta, one number for each common eigenspace, however
    many outputs there are. The data are those of ``joint_eigenspaces(matrices).data(targets)``:
    output a takes the place of a sample, so that the loss is a mean over outputs; a sum has a
    learning rate k times smaller.

    Parameters
    ----------
    matrices : array, shape (k, N, N), optional
        The A_a; theta then has the length n = N.
    spaces : int
        In place of the matrices, the number of common eigenspaces.
    multiplicities : sequence of int, optional
        Their dimensions, in parts of the width; left out, all the same.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        If sizes or matrices cannot be used.
    NotClosed
        If the matrices do not commute.

    Examples
    --------
    >>> from catapult_theory.symbolic.closure import derive
    >>> derive(quadratic_outputs(spaces=3)).state
    State(T1=T1, T2=T2, T3=T3)
    """
    if matrices is not None:
        found = joint_eigenspaces(matrices)
        spaces, multiplicities = len(found.projectors), found.multiplicities
    if isinstance(spaces, bool) or int(spaces) != spaces or not 1 <= spaces <= LARGEST_SPECTRUM:
        raise InputError(
            f"{spaces} common eigenspaces: a whole number of them up to {LARGEST_SPECTRUM} is "
            "derived"
        )
    counts = [1] * spaces if multiplicities is None else list(multiplicities)
    if len(counts) != spaces or any(int(c) != c or c < 1 for c in counts):
        raise InputError(f"{spaces} eigenspaces need as many positive multiplicities: {counts}")
    X = data("X", cols=spaces)
    parts = [matrix(f"t{j}", cols=1) for j in range(1, spaces + 1)]
    terms = [X[:, j : j + 1] @ t.T @ t / 2 for j, t in enumerate(parts)]
    total = sum(counts)
    return Model(
        output=terms[0] if spaces == 1 else sp.MatAdd(*terms),
        matrices=tuple(parts),
        data=X,
        observables={f"T{j}": t.T @ t for j, t in enumerate(parts, 1)},
        frames={t.name: sp.Rational(c, total) for t, c in zip(parts, counts, strict=True)}
        if spaces > 1
        else None,
        name="quadratic_outputs",
    )
