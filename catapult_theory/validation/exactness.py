"""Exactness: the derived update map against brute-force training on raw parameters.

Both start from one set of raw parameters. Errors are measured against the running maximum
of each variable's norm; for inner products with velocities, which start at zero and cancel
at large width, against that of their summands |phi_i| |phi_j|, the size of the rounding of
an inner product. Over whole orbits they stay near rounding where the dynamics is
tame; at tiny widths and in chaos or divergence rounding is amplified, and the map is
compared one step at a time from states along the brute-force orbit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp

from catapult_theory.codegen.kernel import compile as compile_kernel
from catapult_theory.errors import InputError
from catapult_theory.networks import gaussian_start, top_eigenvalue, train_network
from catapult_theory.symbolic import optimizers as symbolic_rules
from catapult_theory.symbolic.schedules import Schedule, peak
from catapult_theory.symbolic.symbols import Inner
from catapult_theory.symbolic.symbols import n as WIDTH
from catapult_theory.symbolic.update_map import UpdateMap
from catapult_theory.validation.controls import with_wrong_coefficient
from catapult_theory.validation.course import Course
from catapult_theory.validation.problem import Pairing, closed_map, pair
from catapult_theory.validation.train import sizes_of, states_of

ORBIT_TOLERANCE = 1e-12
STEP_TOLERANCE = 1e-13
# Rounding, some 1e-15 of the state, reaches the tolerance of orbits where it grows so much.
SENSITIVE = 1e3
# A relative change that is small, and whose effect stands far above rounding.
CHANGE = 1e-8
TAME_WIDTH = 64
TAME_RATE = 3.0
STATES_ALONG = 100
# Beyond this size squares and products of three approach the largest float.
COMPARED_UP_TO = 1e90
# Below it the square of a gradient loses digits to the smallest float.
SMALLEST_GRADIENT2 = 1e-280
LAM_EVERY = 100

Array = Any
Orbit = dict[str, Array]


@dataclass(frozen=True)
class ExactnessResult:
    """How far an update map and brute-force training are apart.

    Parameters
    ----------
    model, loss, optimizer : str
    n : int
    eta, eta_lam0 : float
    steps : int
        How many were compared: fewer than asked for in a divergence.
    over_orbit : bool
        Whether whole orbits were compared, or single steps along the orbit.
    errors : mapping of str to float
        Largest error of each variable over the running maximum of its norm.
    control : mapping of str to float
        The same for the map with a wrong coefficient.
    tolerance : float
    """

    model: str
    loss: str
    optimizer: str
    n: int
    eta: float
    eta_lam0: float
    steps: int
    over_orbit: bool
    errors: Mapping[str, float]
    control: Mapping[str, float]
    tolerance: float

    @property
    def worst(self) -> float:
        """The largest error of any variable."""
        return max(self.errors.values())

    @property
    def worst_control(self) -> float:
        """The largest error of any variable with the wrong coefficient."""
        return max(self.control.values())

    @property
    def control_fails(self) -> bool:
        """Whether the wrong coefficient is told apart."""
        return not self.worst_control <= self.tolerance

    @property
    def passed(self) -> bool:
        """Whether the errors are within the tolerance and those of the control are not."""
        return self.worst <= self.tolerance and self.control_fails

    def __str__(self) -> str:
        kind = f"over {self.steps} steps" if self.over_orbit else "one step at a time"
        largest = max(self.errors, key=lambda name: self.errors[name])
        return (
            f"{self.model}, {self.loss}, {self.optimizer}, n = {self.n}, "
            f"eta*lam0 = {self.eta_lam0:g}, {kind}: {self.worst:.1e} in {largest} "
            f"(at most {self.tolerance:.0e}); wrong coefficient {self.worst_control:.1e}"
        )


def exactness(
    model: Any = "uv",
    loss: Any = "squared",
    optimizer: Any = "gd",
    n: int = 256,
    eta_lam0: float = 1.5,
    steps: int = 200,
    seed: int = 0,
    data: Any = None,
    schedule: Schedule | None = None,
    **constants: Any,
) -> ExactnessResult:
    """Compare the derived update map with brute-force training from the same raw parameters.

    For n >= 64, eta lam_0 <= 3 and an optimizer under which minima can be stable the largest
    error over the orbit must be at most 1e-12; elsewhere the error of one step from 100 states
    along the orbit at most 1e-13 (rounding of sums over n and p grows like the root of their
    length, some 1e-15 to 1e-14; over an orbit it adds up). Orbits that multiply a change of
    their start by more than 1e3 are compared by steps too. A step that divides by a small
    difference of large products (SAM, where the gradient is small) multiplies the rounding of
    its state: its error is measured over what the step makes of a relative change of the state.
    Loss and lambda of the network come from forward passes and gradients.

    Parameters
    ----------
    model : Model or str
    loss : str, Loss or sympy.Expr
    optimizer : str or Optimizer
    n : int
    eta_lam0 : float
        Learning rate in units of 1/lambda of the start.
    steps : int
    seed : int
    data : pair (X, y) or Dataset, optional
    schedule : Schedule, optional
        Of the learning rate, in units of it: ``ct.schedules.cosine(1.0, 200)``.
    **constants
        Values, or schedules, of the symbols of model and optimizer.

    Returns
    -------
    ExactnessResult

    Raises
    ------
    NotClosed
        If there is no update map to compare with.
    InputError
        If an argument cannot be used.

    Examples
    --------
    >>> result = exactness("uv", n=128, eta_lam0=2.5)
    >>> result.passed, result.worst < 1e-12 < result.worst_control
    (True, True)
    """
    if steps < 1:
        raise InputError(f"exactness compares at least one step, got steps={steps!r}")
    both = pair(model, data, optimizer, loss, **constants)
    update_map = closed_map(both, optimizer, loss)
    start = both.raw_start(gaussian_start(seed).raw(both.own_shapes, n))
    X = None if data is None else np.asarray(next(iter(data)))
    eta = float(eta_lam0 / top_eigenvalue(both.network, start, X))
    rate = eta if schedule is None else replace(schedule, peak=eta)
    course = Course({**both.constants, "eta": rate}, data, update_map.batches, steps)
    raw, scales, compared = _brute_force(both, update_map, start, course)
    # Without a stable minimum (normalised gradients, SAM) orbits never settle: rounding grows.
    settles = symbolic_rules.get(optimizer).stability_threshold() != 0  # type: ignore[union-attr]
    tame = settles and n >= TAME_WIDTH and eta_lam0 <= TAME_RATE and compared == steps
    given = {**{k: v for k, v in both.constants.items() if k in update_map.parameters._fields},
             "eta": rate, "n": float(n)}  # fmt: skip
    errors, tame = _errors(update_map, raw, scales, compared, given, data, tame)
    measure = orbit_errors if tame else step_errors
    control = measure(with_wrong_coefficient(update_map), raw, scales, compared, given, data)
    return ExactnessResult(
        model=update_map.model, loss=update_map.loss, optimizer=update_map.optimizer, n=n,
        eta=eta, eta_lam0=eta_lam0, steps=compared, over_orbit=tame, errors=errors,
        control=control, tolerance=ORBIT_TOLERANCE if tame else STEP_TOLERANCE,
    )  # fmt: skip


def _errors(
    update_map: UpdateMap,
    raw: Orbit,
    scales: Orbit,
    steps: int,
    given: Mapping[str, Any],
    data: Any,
    tame: bool,
) -> tuple[dict[str, float], bool]:
    """Return the errors, and whether they are those of a whole orbit: of one that is tame."""
    if tame:
        own = _followed(update_map, raw, steps, given, data)
        errors = _errors_along(update_map, own, raw, scales, given, data)
        beyond = max(errors.values()) > ORBIT_TOLERANCE
        if not beyond or not _is_sensitive(update_map, own, given, data):
            return errors, True
    return step_errors(update_map, raw, scales, steps, given, data), False


def orbit_errors(
    update_map: UpdateMap,
    raw: Orbit,
    scales: Orbit,
    steps: int,
    given: Mapping[str, Any],
    data: Any,
) -> dict[str, float]:
    """Return the largest error of each variable over an orbit from the first raw state.

    Parameters
    ----------
    update_map : UpdateMap
    raw : dict of str to array
        Brute-force orbit, steps first: states, and ``loss`` and ``lam`` (the latter every
        100 steps for matrix models).
    scales : dict of str to array
        What errors are measured against, at the steps of ``raw``.
    steps : int
    given : mapping
        Values of the parameters.
    data : pair (X, Y) or None

    Returns
    -------
    dict of str to float
    """
    own = _followed(update_map, raw, steps, given, data)
    return _errors_along(update_map, own, raw, scales, given, data)


def _followed(
    update_map: UpdateMap, raw: Orbit, steps: int, given: Mapping[str, Any], data: Any
) -> Orbit:
    """Return the orbit of the map from the first raw state."""
    start = [raw[s.name][0] for s in update_map.variables]
    return _orbit(update_map, start, Course(given, data, update_map.batches, steps))


def _errors_along(
    update_map: UpdateMap,
    own: Orbit,
    raw: Orbit,
    scales: Orbit,
    given: Mapping[str, Any],
    data: Any,
) -> dict[str, float]:
    """Return the largest error of each state and observable along an orbit of the map."""
    course = Course(given, data, update_map.batches, _steps(own))
    orbit = own | _observed(update_map, own, course.parameters(0), data)
    return {
        name: _largest(theory, raw[name][: len(theory)], scales[name][: len(theory)])
        for name, theory in orbit.items()
    }


def step_errors(
    update_map: UpdateMap,
    raw: Orbit,
    scales: Orbit,
    steps: int,
    given: Mapping[str, Any],
    data: Any,
) -> dict[str, float]:
    """Return the largest error of one step from states along the raw orbit.

    Parameters
    ----------
    update_map, raw, scales, steps, given, data
        As for `orbit_errors`.

    Returns
    -------
    dict of str to float
    """
    kernel = _kernel(update_map)
    names = [s.name for s in update_map.variables]
    chosen = np.unique(np.linspace(0, steps - 1, STATES_ALONG).astype(int))
    course = Course(given, data, update_map.batches, steps)
    if update_map.batches is None:
        stacked = [raw[name][chosen] for name in names]
        seen = _named_data(update_map, data)
        new = kernel.step(*stacked, **course.parameters(chosen), **seen)
        other = kernel.step(*_moved(stacked), **course.parameters(chosen), **seen)
    else:  # every step sees samples of its own
        new = other = _stepped(kernel, course, update_map, [raw[name] for name in names], chosen)
    return {
        name: _largest(
            np.asarray(image), raw[name][chosen + 1],
            np.fmax(scales[name][chosen + 1], _norms(np.asarray(twin) - image) / CHANGE),
        )
        for name, image, twin in zip(names, new, other, strict=True)
    }  # fmt: skip


def _is_sensitive(update_map: UpdateMap, own: Orbit, given: Mapping[str, Any], data: Any) -> bool:
    """Whether the map multiplies a relative change of an orbit's start by more than `SENSITIVE`."""
    course = Course(given, data, update_map.batches, _steps(own))
    moved = _orbit(update_map, [a[0] * (1.0 + CHANGE) for a in own.values()], course)
    growth = [_largest(moved[name], a, np.maximum.accumulate(_norms(a))) for name, a in own.items()]
    return max(growth) > SENSITIVE * CHANGE


def _steps(orbit: Orbit) -> int:
    """Return how many steps an orbit has."""
    return len(next(iter(orbit.values()))) - 1


def _orbit(update_map: UpdateMap, start: Sequence[Array], course: Course) -> Orbit:
    """Return the states of the map, step by step."""
    kernel = _kernel(update_map)
    point = tuple(start)
    rows = [point]
    for t in range(course.steps):
        seen = _named_data(update_map, course.samples(t))
        point = tuple(kernel.step(*point, **course.parameters(t), **seen))
        rows.append(point)
    names = [s.name for s in update_map.variables]
    return {name: np.array([row[i] for row in rows]) for i, name in enumerate(names)}


def _moved(states: Sequence[Array]) -> list[Array]:
    """Change every entry by a small part of itself, up or down; symmetric blocks stay so."""
    rng = np.random.default_rng(0)
    moved = []
    for state in states:
        signs = rng.choice([-1.0, 1.0], size=state.shape[1:])
        if signs.ndim == 2 and signs.shape[0] == signs.shape[1]:
            signs = np.triu(signs) + np.triu(signs, 1).T
        moved.append(state * (1 + CHANGE * signs))
    return moved


def _stepped(
    kernel: Any, course: Course, update_map: UpdateMap, states: list[Array], chosen: Array
) -> list[Array]:
    """Return the states after the chosen steps, one step at a time."""
    images = []
    for t in chosen:
        seen = _named_data(update_map, course.samples(int(t)))
        images.append(kernel.step(*(a[t] for a in states), **course.parameters(int(t)), **seen))
    return [np.array(column) for column in zip(*images, strict=True)]


@lru_cache(maxsize=32)
def _kernel(update_map: UpdateMap) -> Any:
    return compile_kernel(update_map, "array")


def _brute_force(
    both: Pairing, update_map: UpdateMap, start: Any, course: Course
) -> tuple[Orbit, Orbit, int]:
    """Return the raw orbit (states, loss, lam), its scales and the number of steps to compare."""
    lam_every = LAM_EVERY if both.model.is_matrix else 1
    result = train_network(
        both.network, course.data, eta=peak(course.given["eta"]), steps=course.steps, start=start,
        optimizer=both.rule, loss=both.loss, **both.rates.given, **course.raw,
        record={"output": 1, "gram": 1, "lam": lam_every},
    )  # fmt: skip
    raw: Orbit = dict(states_of(update_map, result["gram"], result.n, sizes_of(course.data)))
    if "f" in raw:
        raw["f"] = result["output"]
    raw |= {"loss": result.loss, "lam": result["lam"]}
    sizes = np.max([_norms(raw[s.name]) for s in update_map.variables], axis=0)
    vanished = (result.grad_norm2 > 0) & (result.grad_norm2 < SMALLEST_GRADIENT2)
    lost = np.flatnonzero(~(sizes < COMPARED_UP_TO) | vanished[: len(sizes)])
    scales = {name: np.maximum.accumulate(_norms(a)) for name, a in raw.items()}
    scales |= _summands(update_map, result["gram"], result.n)
    return raw, scales, int(lost[0]) - 1 if len(lost) else len(sizes) - 1


def _summands(update_map: UpdateMap, gram: Array, n: int) -> Orbit:
    """Return the running maximum of |c| |phi_i| |phi_j| of scalar states with velocities."""
    frame = update_map.frame
    index = {name: i for i, name in enumerate(frame.names)}
    norms = np.sqrt(n * np.diagonal(gram, axis1=-2, axis2=-1))
    sizes: Orbit = {}
    for s in () if update_map.is_matrix else update_map.variables:
        expression = sp.expand(update_map.gram[s])
        pairs = [(p, [index[a.name] for a in p.args]) for p in expression.atoms(Inner)]
        if all(max(sides) >= frame.trained for _, sides in pairs):
            weights = [abs(float(expression.coeff(p).subs(WIDTH, n))) for p, _ in pairs]
            total = sum(
                w * norms[:, i] * norms[:, j] for w, (_, (i, j)) in zip(weights, pairs, strict=True)
            )
            sizes[s.name] = np.maximum.accumulate(np.asarray(total))
    return sizes


def _observed(
    update_map: UpdateMap, orbit: Orbit, given: Mapping[str, Any], data: Any
) -> dict[str, Array]:
    """Return loss and lam of the theory along its orbit."""
    kernel = _kernel(update_map)
    arrays: Any = {} if data is None else {"data": tuple(np.asarray(a) for a in data)}
    found: dict[str, Array] = {}
    for name in ("loss", "lam"):
        if name in update_map.observables and name not in orbit:
            every = LAM_EVERY if name == "lam" and update_map.is_matrix else 1
            state = {s.name: orbit[s.name][::every] for s in update_map.variables}
            found |= kernel.observe(state, (name,), **given, **arrays)
    return found


def _named_data(update_map: UpdateMap, data: Any) -> dict[str, Array]:
    if data is None:
        return {}
    X, Y = (np.asarray(a) for a in data)
    names = [s.name for s in update_map.data]
    return dict(zip(names, (X, Y if Y.ndim == 2 else Y[:, None]), strict=True))


def _norms(array: Array) -> Array:
    """Return the largest entry of each row: a norm that cannot overflow."""
    return np.abs(array).reshape(len(array), -1).max(axis=1)


def _largest(theory: Array, raw: Array, scale: Array) -> float:
    """Return the largest distance over the scale; infinite where a zero scale is missed."""
    distance = _norms(theory - raw)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.where(distance == 0.0, 0.0, distance / scale)
    return float(relative.max(initial=0.0)) if np.isfinite(relative).all() else float("inf")
