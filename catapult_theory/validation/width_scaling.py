"""How the distance between a network and its infinite-width limit falls with the width.

Brute-force training at several widths and seeds is compared with the infinite-width
dynamics, in which 1/n is set to zero: lambda (or the blocks of the Gram matrix) stands
still. Two comparisons differ by where the limit starts:

- from each network's own f_0 and lambda_0. Terms left out are those in eta/n and eta^2/n,
  so that the distance falls as 1/n: slope -1.
- for maps of f and lambda alone, from f_0 and the limit of lambda_0. In the uv-model with
  N(0, 1) parameters n lambda_0 is chi-squared with 2n degrees of freedom, lambda_0 = 2 +
  O(n^-1/2) with variance 4/n, and that fluctuation rules: slope -1/2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from scipy import stats

from catapult_theory.codegen.kernel import compile as compile_kernel
from catapult_theory.errors import InputError
from catapult_theory.networks import gaussian_start, top_eigenvalue, train_network
from catapult_theory.symbolic.update_map import UpdateMap
from catapult_theory.validation.controls import with_wrong_coefficient
from catapult_theory.validation.problem import Pairing, closed_map, pair
from catapult_theory.validation.train import sizes_of, states_of

CONFIDENCE = 0.95
# The control's error must stand out of the distance at moderate widths: 1/sqrt(n) for a
# start in the limit.
WRONG_BY = sp.Rational(1, 20)
STARTS = ("own", "limit")
Array = Any


@dataclass(frozen=True, eq=False)
class Slope:
    """A fitted power of the width, with its confidence interval.

    Parameters
    ----------
    value, low, high : float
        Least-squares slope of log distance against log width, and the ends of its interval.
    confidence : float
    """

    value: float
    low: float
    high: float
    confidence: float = CONFIDENCE

    def contains(self, slope: float) -> bool:
        """Whether the interval contains a slope."""
        return self.low <= slope <= self.high

    def __str__(self) -> str:
        percent = f"{100 * self.confidence:.0f} %"
        return f"{self.value:.3f} ({percent}: {self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True, eq=False)
class ScalingResult:
    """The slope in n of the distance from the infinite-width limit, for f and lambda.

    Maps whose state does not hold f and lambda are compared in all their variables.

    Parameters
    ----------
    model : str
    widths : tuple of int
    seeds : int
    start : str
        Where the limit starts: "own" or "limit".
    expected : float
    distance : mapping of str to array, shape (widths, seeds)
        Largest distance over the steps, over the largest norm of the variable.
    slopes, control : mapping of str to Slope
        For the limit, and for a limit whose coefficients of eta are 5 % too large.
    """

    model: str
    widths: tuple[int, ...]
    seeds: int
    start: str
    expected: float
    distance: Mapping[str, Array]
    slopes: Mapping[str, Slope]
    control: Mapping[str, Slope]

    @property
    def control_fails(self) -> bool:
        """Whether the wrong limit is told apart in some variable."""
        return not all(s.contains(self.expected) for s in self.control.values())

    @property
    def passed(self) -> bool:
        """Whether all intervals contain the expected slope, and one of the control's does not."""
        return all(s.contains(self.expected) for s in self.slopes.values()) and self.control_fails

    def __str__(self) -> str:
        return "\n".join(
            f"{self.model}, {name}: slope in n {s}, expected {self.expected:g}; "
            f"wrong coefficient {self.control[name]}"
            for name, s in self.slopes.items()
        )


def width_scaling(
    model: Any = "uv",
    loss: Any = "squared",
    optimizer: Any = "gd",
    widths: Sequence[int] = (256, 1024, 4096, 16384),
    seeds: int = 100,
    eta_lam0: float = 0.5,
    steps: int = 10,
    data: Any = None,
    start: str = "own",
    **constants: Any,
) -> ScalingResult:
    """Fit the slope in n of the distance between networks and the infinite-width limit.

    Parameters
    ----------
    model : Model or str
    loss, optimizer
        As for `ct.derive`.
    widths : sequence of int
        At least two.
    seeds : int
        Independent starts at each width; they differ between widths.
    eta_lam0 : float
        Learning rate over that of the limit: eta = eta_lam0 / lambda of the widest start.
    steps : int
        Few: at a fixed time the limit is uniform, at times of order log n it is not.
    data : pair (X, Y) or Dataset, optional
    start : str
        "own", or "limit" for maps whose state is f and lambda.
    **constants
        Values of the symbols of model and optimizer.

    Returns
    -------
    ScalingResult

    Raises
    ------
    InputError
        If there are too few widths or seeds, or the start is unknown.

    Examples
    --------
    >>> result = width_scaling("uv", seeds=40)
    >>> result.expected, sorted(result.slopes)
    (-1.0, ['f', 'lam'])
    """
    if len(set(widths)) < 2 or len(widths) * seeds < 4 or start not in STARTS:
        raise InputError("needs two widths, four networks, and start 'own' or 'limit'")
    both = pair(model, data, optimizer, loss, **constants)
    update_map = closed_map(both, optimizer, loss)
    if start == "limit" and (both.model.is_matrix or update_map.state._fields != ("f", "lam")):
        raise InputError("start='limit' is for maps whose state is f and lam alone")
    eta = _learning_rate(both, max(widths), data, eta_lam0)
    limit = infinite_width(update_map)
    wrong = with_wrong_coefficient(limit, order=1, excess=WRONG_BY)
    found = [_distances(both, m, n, seeds, eta, steps, data, start)
             for n in widths for m in [(limit, wrong)]]  # fmt: skip
    names = list(found[0][0])
    distance = {name: np.array([pair_[0][name] for pair_ in found]) for name in names}
    control = {name: np.array([pair_[1][name] for pair_ in found]) for name in names}
    return ScalingResult(
        model=both.model.name, widths=tuple(widths), seeds=seeds, start=start,
        expected=-0.5 if start == "limit" else -1.0, distance=distance,
        slopes={name: fitted_slope(widths, d) for name, d in distance.items()},
        control={name: fitted_slope(widths, d) for name, d in control.items()},
    )  # fmt: skip


def infinite_width(update_map: UpdateMap) -> UpdateMap:
    """Return the limit n -> infinity of an update map.

    Scalar maps are truncated in 1/n. Matrix maps are left as they are: their coefficients
    vanish when they are run at n = inf, which is how limits are run here.

    Parameters
    ----------
    update_map : UpdateMap

    Returns
    -------
    UpdateMap

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> print(infinite_width(derive(models.uv())).updates[derive(models.uv()).state.lam])
    lam
    """
    return update_map if update_map.is_matrix else update_map.truncate()


def limit_lam(update_map: UpdateMap, n: int) -> float:
    """Return what lambda_0 tends to when parameters start as N(0, 1): that of orthonormal ones.

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one with lam in its state.
    n : int
        Width, for models whose lambda depends on it.

    Returns
    -------
    float

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> limit_lam(derive(models.uv()), n=100)
    2.0
    """
    frame = update_map.frame
    groups = frame.groups[: frame.trained] or (0,) * frame.trained
    shares = [float((frame.shares or (1,))[group]) for group in groups]
    return float(update_map.state_from_gram(np.diag(shares), n)["lam"])


def fitted_slope(widths: Sequence[float], distance: Array, confidence: float = CONFIDENCE) -> Slope:
    """Return the least-squares slope of log distance against log width.

    With N points and residuals of variance s^2 its interval is that of Student's t with
    N - 2 degrees of freedom.

    Parameters
    ----------
    widths : sequence of float
    distance : array, shape (widths, seeds)
        Positive.
    confidence : float

    Returns
    -------
    Slope

    Raises
    ------
    InputError
        If a distance is not positive.

    Examples
    --------
    >>> n = np.array([10.0, 100.0, 1000.0])
    >>> str(fitted_slope(n, (1 / n)[:, None]).value)[:4]
    '-1.0'
    """
    d = np.asarray(distance, dtype=float)
    if not (np.isfinite(d) & (d > 0)).all():
        raise InputError("a distance is zero, infinite or NaN: take fewer steps or narrower widths")
    x = np.repeat(np.log(np.asarray(widths, dtype=float)), d.shape[1])
    fit = stats.linregress(x, np.log(d).ravel())
    half = stats.t.ppf(0.5 + confidence / 2, len(x) - 2) * fit.stderr
    return Slope(float(fit.slope), float(fit.slope - half), float(fit.slope + half), confidence)


def _learning_rate(both: Pairing, n: int, data: Any, eta_lam0: float) -> float:
    if not both.model.is_matrix and both.update_map.state._fields == ("f", "lam"):  # type: ignore[union-attr]
        return eta_lam0 / limit_lam(both.update_map, n)  # type: ignore[arg-type]
    start = both.raw_start(gaussian_start(0).raw(both.own_shapes, n))
    X = None if data is None else np.asarray(next(iter(data)))
    return float(eta_lam0 / top_eigenvalue(both.network, start, X))


def _distances(
    both: Pairing, maps: tuple[UpdateMap, UpdateMap], n: int, seeds: int, eta: float, steps: int,
    data: Any, start: str,
) -> tuple[dict[str, Array], ...]:  # fmt: skip
    """Return the distance of each variable and seed from both limits."""
    drawn = gaussian_start(seeds=range(seeds)).raw(both.own_shapes, n)
    drawn = {k: a.reshape(seeds, *a.shape[-len(both.own_shapes[k]) :]) for k, a in drawn.items()}
    result = train_network(
        both.network, data, eta=eta, steps=steps, start=both.raw_start(drawn),
        optimizer=both.rule, loss=both.loss, **both.rates.given,
        record={"output": 1, "gram": 1},
    )  # fmt: skip
    raw = states_of(both.update_map, result["gram"], n, sizes_of(data))  # type: ignore[arg-type]
    first = {name: a[0] for name, a in raw.items()}
    if start == "limit":
        first["lam"] = np.full_like(first["lam"], limit_lam(both.update_map, n))  # type: ignore[arg-type]
    # A truncated scalar map holds n where its state does (velocities); a matrix map has its
    # limit at n = inf.
    width = np.inf if both.model.is_matrix else float(n)
    given = {**both.constants, "eta": eta, "n": width}
    return tuple(_distance(m, raw, first, given, steps, data) for m in maps)


def _distance(
    limit: UpdateMap, raw: Mapping[str, Array], first: Mapping[str, Array],
    constants: Mapping[str, Any], steps: int, data: Any,
) -> dict[str, Array]:  # fmt: skip
    kernel = compile_kernel(limit, "array")
    given = {k: v for k, v in constants.items() if k in limit.parameters._fields}
    arrays: Any = {} if data is None else {"data": tuple(np.asarray(a) for a in data)}
    orbit = kernel.trajectory(first, steps, **given, **arrays)
    distances = {}
    for name in [k for k in ("f", "lam") if k in raw] or raw:
        axes = tuple(range(2, raw[name].ndim))
        size = np.sqrt(np.square(raw[name]).sum(axis=axes)).max(axis=0)
        gap = np.sqrt(np.square(raw[name] - orbit[name]).sum(axis=axes)).max(axis=0)
        distances[name] = gap / size
    return distances
