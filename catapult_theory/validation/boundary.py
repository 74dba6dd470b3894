"""The first learning rate that diverges, against width, from random starts.

The exact map of the linear network makes a step cost the same at any width; starts are drawn
from the Wishart law. Before that the data are reduced, without changing outputs, loss (up to
a constant), lambda or what becomes of the training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from catapult_theory.codegen.kernel import compile as compile_kernel
from catapult_theory.codegen.status import Status
from catapult_theory.errors import InputError
from catapult_theory.networks import digits, gaussian_start
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.update_map import UpdateMap
from catapult_theory.validation.bisection import Bracket, first_boundary

LOW, HIGH, STRIDE = 3.5, 6.0, 0.25
Array = Any
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class BoundaryResult:
    """The first diverging eta*lam0 of every start at every width, bracketed.

    Parameters
    ----------
    widths : tuple of int
    seeds : tuple of int
    low, high : array, shape (widths, seeds)
        Ends of the brackets; infinite where the search interval held no change.
    steps : int
        Training steps after which a bounded network counts as not diverging.
    description : str
        Data and training in words.
    """

    widths: tuple[int, ...]
    seeds: tuple[int, ...]
    low: Array
    high: Array
    steps: int
    description: str

    @property
    def middle(self) -> Array:
        """The middles of the brackets, shape (widths, seeds)."""
        return 0.5 * (self.low + self.high)

    @property
    def median(self) -> Array:
        """The median over seeds of each width."""
        return np.median(self.middle, axis=1)

    @property
    def quartiles(self) -> Array:
        """The quartiles over seeds, shape (2, widths)."""
        return np.quantile(self.middle, [0.25, 0.75], axis=1)

    @property
    def spread(self) -> Array:
        """Upper minus lower quartile, of each width."""
        return self.quartiles[1] - self.quartiles[0]

    def to_dataset(self) -> xr.Dataset:
        """Return the brackets with dimensions ``n`` and ``seed``.

        Returns
        -------
        xarray.Dataset
        """
        words = {"low": "largest eta*lam0 that stayed bounded",
                 "high": "smallest eta*lam0 that diverged"}  # fmt: skip
        variables = {
            name: (("n", "seed"), getattr(self, name), {"long_name": text, "units": "1"})
            for name, text in words.items()
        }
        coords = {"n": np.asarray(self.widths, dtype=float), "seed": np.asarray(self.seeds)}
        return xr.Dataset(variables, coords, {"steps": self.steps, "description": self.description})

    def __str__(self) -> str:
        rows = [f"first diverging eta*lam0 ({self.description}, {len(self.seeds)} seeds)"]
        for i, n in enumerate(self.widths):
            first, last = self.quartiles[:, i]
            rows.append(
                f"  n = {n:<12d} median {self.median[i]:.3f}, quartiles {first:.3f} to "
                f"{last:.3f}, range {self.middle[i].min():.3f} to {self.middle[i].max():.3f}"
            )
        return "\n".join(rows)


def digits_boundary(
    widths: Sequence[int] = (256, 4096, 10**6, 10**10),
    seeds: int | Sequence[int] = 20,
    steps: int = 2000,
    tolerance: float = 0.032,
    samples: int = 256,
    threads: int | None = None,
    progress: Progress | None = None,
) -> BoundaryResult:
    """Measure the first diverging eta*lam0 of the linear network on handwritten digits.

    The protocol of theory, section 4.4: parity labels, squared loss, gradient descent;
    eta in units of 1/lam0, lam0 the top eigenvalue of Theta/m at each start.

    Parameters
    ----------
    widths : sequence of int
        Up to 1e12.
    seeds : int or sequence of int
        Their number, or the seeds themselves.
    steps : int
    tolerance : float
        Width of the brackets in eta*lam0. The search scans from 3.5 to 6 in steps of 1/4
        and bisects the step before the first divergence: above its onset there are windows
        in which a network is caught again.
    samples : int
        m.
    threads : int, optional
    progress : callable, optional
        Called as ``progress(round, rounds)``.

    Returns
    -------
    BoundaryResult

    Raises
    ------
    InputError
        If an argument cannot be used.

    Examples
    --------
    >>> result = digits_boundary(widths=[10**10], seeds=2, steps=200, tolerance=0.2)
    >>> result.median.shape, bool(abs(result.median[0] - 4) < 0.2)
    ((1,), True)
    """
    return linear_boundary(
        digits(samples, "parity"), widths, seeds, steps, tolerance, threads, progress
    )


def linear_boundary(
    data: Any,
    widths: Sequence[int],
    seeds: int | Sequence[int] = 20,
    steps: int = 2000,
    tolerance: float = 0.032,
    threads: int | None = None,
    progress: Progress | None = None,
    altered: Callable[[UpdateMap], UpdateMap] | None = None,
    backend: str = "auto",
) -> BoundaryResult:
    """Measure the first diverging eta*lam0 of the linear network, squared loss, on any data.

    Parameters
    ----------
    data : pair (X, Y) or Dataset
    widths, seeds, steps, tolerance, threads, progress
        As for `digits_boundary`.
    altered : callable, optional
        Applied to the derived map, for negative controls.
    backend : str
        "array" spares the compilation, which counts for a few short runs.

    Returns
    -------
    BoundaryResult

    Raises
    ------
    InputError
        If an argument cannot be used.

    Examples
    --------
    >>> result = linear_boundary((np.eye(2), [1.0, -1.0]), [10**8], seeds=1, steps=500)
    >>> result.middle.shape
    (1, 1)
    """
    numbers = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not numbers or not len(widths):
        raise InputError("a boundary needs at least one width and one seed")
    lanes = _starts(data, tuple(widths), numbers)
    update_map = lanes.update_map if altered is None else altered(lanes.update_map)
    kernel = compile_kernel(update_map, backend)
    lam0 = kernel.trajectory(
        lanes.state, 0, data=lanes.data, observables=("lam",), eta=1.0, n=lanes.n
    )["lam"][0]
    rounds = int((HIGH - LOW) / STRIDE) + int(np.ceil(np.log2(STRIDE / tolerance)))
    asked = iter(range(1, rounds + 1))

    def diverges(rate: Array) -> Array:
        result = kernel.run(
            lanes.state, steps, data=lanes.data, threads=threads, eta=rate / lam0, n=lanes.n
        )
        if progress is not None:
            progress(next(asked, rounds), rounds)
        return np.asarray(result.status) == Status.DIVERGED

    found: Bracket = first_boundary(diverges, LOW, HIGH, STRIDE, tolerance)
    shape = (len(widths), len(numbers))
    described = f"{getattr(data, 'name', 'data')}, linear network, squared loss, {steps} steps"
    return BoundaryResult(
        tuple(widths), numbers, found.low.reshape(shape), found.high.reshape(shape), steps,
        described,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Lanes:
    """Starting states of all widths and seeds, the widths outermost."""

    update_map: UpdateMap
    state: Mapping[str, Array]
    n: Array
    data: tuple[Array, Array]


def _starts(data: Any, widths: tuple[int, ...], seeds: tuple[int, ...]) -> _Lanes:
    X, Y = (np.asarray(a, dtype=float) for a in data)
    Y = Y if Y.ndim == 2 else Y[:, None]
    k, d = Y.shape[1], X.shape[1]
    small, targets, basis = reduced(X, Y)
    update_map = derive(models.linear(outputs=k))
    projector = np.zeros((k + d, k + basis.shape[1]))
    projector[:k, :k] = np.eye(k)
    projector[k:, k:] = basis
    n = np.repeat(np.asarray(widths, dtype=float), len(seeds))
    law = gaussian_start(seeds=seeds)
    grams = [np.reshape(law.gram(k + d, width), (-1, k + d, k + d)) for width in widths]
    gram = projector.T @ np.concatenate(grams) @ projector
    state = update_map.state_from_gram(gram, n)
    return _Lanes(update_map, state, n, (small, targets))


def reduced(X: Array, Y: Array) -> tuple[Array, Array, Array]:
    """Return data of r = rank X samples and inputs with the same linear-network training.

    With X = P S Q^T (r singular values): the network sees X through its row space alone,
    u -> Q^T u, and the squared loss sees outputs through P^T alone, up to the constant
    |(1 - P P^T) Y|^2 / 2m. The factor sqrt(r/m) makes up for the mean over samples, so
    that gradients, and Theta/m on its range, are the same.

    Parameters
    ----------
    X : array, shape (m, d)
    Y : array, shape (m, k)

    Returns
    -------
    X : array, shape (r, r)
    Y : array, shape (r, k)
    basis : array, shape (d, r)
        Q, an orthonormal basis of the row space.

    Examples
    --------
    >>> X, Y, Q = reduced(np.ones((5, 3)), np.ones((5, 1)))
    >>> X.shape, Q.shape
    ((1, 1), (3, 1))
    """
    P, S, Qt = singular_parts(X)
    scale = np.sqrt(len(S) / len(X))
    return np.diag(scale * S), scale * (P.T @ Y), Qt.T


def singular_parts(X: Array) -> tuple[Array, Array, Array]:
    """Return P, S, Q^T of X = P S Q^T with the r = rank X positive singular values alone.

    Parameters
    ----------
    X : array, shape (m, d)

    Returns
    -------
    P : array, shape (m, r)
    S : array, shape (r,)
    Qt : array, shape (r, d)

    Raises
    ------
    InputError
        If X is zero.

    Examples
    --------
    >>> [a.shape for a in singular_parts(np.ones((5, 3)))]
    [(5, 1), (1,), (1, 3)]
    """
    P, S, Qt = np.linalg.svd(X, full_matrices=False)
    r = int((np.max(X.shape) * np.finfo(float).eps * S[0] < S).sum())
    if r == 0:
        raise InputError("X is zero: there is nothing to train on")
    return P[:, :r], S[:r], Qt[:r]
