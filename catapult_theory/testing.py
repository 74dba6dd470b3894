"""For other people's test suites: Hypothesis strategies, and assertions about dynamics.

Strategies draw states, learning rates, widths, data sets and models; the assertions judge what
a user's code or conjecture says of them. Importing this module loads no optional package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from catapult_theory.codegen.kernel import compile as compile_kernel
from catapult_theory.codegen.run import run
from catapult_theory.errors import InputError
from catapult_theory.phases.bounds import phase_bounds
from catapult_theory.phases.classification import Behaviour, classify
from catapult_theory.phases.predict import PredictedPhase
from catapult_theory.rigor.claims.reading import read_claim
from catapult_theory.rigor.claims.vocabulary import Vocabulary
from catapult_theory.rigor.falsification.model_strategies import data_sets, matrix_states, models
from catapult_theory.rigor.falsification.number_strategies import dyadics, learning_rates, widths
from catapult_theory.rigor.falsification.orbits import Conditions, along
from catapult_theory.rigor.falsification.strategies import edge_states, states, states_near
from catapult_theory.symbolic.update_map import UpdateMap
from catapult_theory.validation.exactness import STEP_TOLERANCE
from catapult_theory.validation.train import train

Numbers = Mapping[str, Any]


def states_in_phase(phase: str, update_map: UpdateMap, where: Any = None, **parameters: Any) -> Any:
    """Return a strategy for states by the phase that the bounds predict.

    Lazy: eta < eta_crit; catapult: between eta_crit and eta_max; divergent: above eta_max
    (theory, section 4; the bounds are those of `phase_bounds`).

    Parameters
    ----------
    phase : str
        "lazy", "catapult" or "divergent".
    update_map : UpdateMap
    where : str, sympy relation or sequence, optional
        What the states meet besides.
    **parameters
        As for `states`.

    Returns
    -------
    SearchStrategy of dict from names to Fraction

    Raises
    ------
    InputError
        If the phase is none of the three, or needs a bound that is not known in closed form.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> from hypothesis import find
    >>> state = find(states_in_phase("catapult", ct.derive(ct.models.uv())), lambda state: True)
    >>> 2 < state["eta"] * state["lam"] < 4
    True
    """
    import sympy as sp

    if phase not in ("lazy", "catapult", "divergent"):
        raise InputError(f"unknown phase {phase!r}: lazy, catapult or divergent")
    bounds = phase_bounds(update_map)
    needed = {"lazy": (bounds.eta_crit,), "divergent": (bounds.eta_max,)}
    for bound in needed.get(phase, (bounds.eta_crit, bounds.eta_max)):
        if bound.expr is None:
            raise InputError(f"{bound.name} of this map is not known in closed form: {bound.note}")
    rate = update_map.parameters.eta
    less = sp.StrictLessThan
    relations = {
        "lazy": lambda: (less(rate, bounds.eta_crit.expr, evaluate=False),),
        "catapult": lambda: (
            less(bounds.eta_crit.expr, rate, evaluate=False),
            less(rate, bounds.eta_max.expr, evaluate=False),
        ),
        "divergent": lambda: (less(bounds.eta_max.expr, rate, evaluate=False),),
    }
    others = () if where is None else (where,)
    return states(update_map, [*relations[phase](), *others], **parameters)


def assert_holds_at_every_step(
    claim: Any, update_map: UpdateMap, start: Numbers, steps: int = 100
) -> None:
    """Assert that a claim is not false at any of the first steps of an orbit.

    For a claim in words the orbit is followed in exact fractions, then in balls with rigorous
    error bounds: a failure is a proof that the claim is false there. A callable is asked
    about states in float64, with whatever tolerance it has.

    Parameters
    ----------
    claim : str, sympy relation or callable
        As `verify` reads it (``"lam' <= lam"``); or a function of two mappings, the state before
        and after a step with the parameters in both, that returns whether it holds.
    update_map : UpdateMap
        For matrix maps the claim is a callable.
    start : mapping
        State variables and parameters by name, as the strategies draw them.
    steps : int

    Raises
    ------
    AssertionError
        With the step at which the claim is false.
    InputError
        If the start is not complete.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> uv = ct.derive(ct.models.uv())
    >>> start = {"f": 1, "lam": Fraction(39, 10), "eta": 1, "n": 100}
    >>> assert_holds_at_every_step("lam' <= lam", uv, start, steps=5)
    >>> assert_holds_at_every_step("loss' <= loss", uv, start)
    Traceback (most recent call last):
      ...
    AssertionError: loss' <= loss is false at step 0 from f = 1, lam = 39/10, eta = 1, n = 100
    """
    wrong = _step_that_fails(claim, update_map, start, steps)
    if wrong is not None:
        where = ", ".join(f"{k} = {_shown(v)}" for k, v in start.items())
        name = getattr(claim, "__name__", str(claim))
        raise AssertionError(f"{name} is false at step {wrong} from {where}")


def _step_that_fails(claim: Any, update_map: UpdateMap, start: Numbers, steps: int) -> int | None:
    if callable(claim) and not hasattr(claim, "free_symbols"):
        return _failure_of_callable(claim, update_map, start, steps)
    vocabulary = Vocabulary.of(update_map)
    conditions = Conditions.of(read_claim(claim, vocabulary), vocabulary)
    point = _exact_start(update_map, start, conditions)
    moments = along(conditions, update_map.updates, point, steps)
    return next((m.step for m in moments if m.holds is False), None)


def _exact_start(
    update_map: UpdateMap, start: Numbers, conditions: Conditions
) -> dict[Any, Fraction]:
    symbols = (*update_map.variables, *update_map.constants)
    if missing := [s.name for s in symbols if s.name not in start]:
        raise InputError(f"the start lacks {', '.join(missing)}")
    if extra := sorted(s.name for s in conditions.symbols - set(symbols)):
        raise InputError(
            f"the claim speaks of {', '.join(extra)}, which is not in the state: give the map "
            f"with it, update_map.with_observables({', '.join(map(repr, extra))})"
        )
    try:
        return {s: Fraction(start[s.name]) for s in symbols}
    except (TypeError, ValueError, OverflowError) as cause:
        raise InputError("the start holds numbers that are not finite") from cause


def _failure_of_callable(
    claim: Callable[[Any, Any], Any], update_map: UpdateMap, start: Numbers, steps: int
) -> int | None:
    kernel = compile_kernel(update_map, "array")
    names = [s.name for s in update_map.variables]
    numbers = {k: np.asarray(v, dtype=float)[()] for k, v in start.items()}
    if missing := [name for name in names if name not in numbers]:
        raise InputError(f"the start lacks {', '.join(missing)}")
    parameters = {k: v for k, v in numbers.items() if k not in names}
    for step in range(steps):
        after = kernel.step(*(numbers[k] for k in names), **parameters)
        following = {**parameters, **dict(zip(names, after, strict=True))}
        if not claim(numbers, following):
            return step
        numbers = following
    return None


def assert_phase(
    phase: Any, update_map: UpdateMap, start: Numbers, steps: int = 2000, data: Any = None
) -> None:
    """Assert how training from a start behaves: lazy, catapult, divergent, not done.

    The update map is run in float64 and classified (theory, section 1): a name of `Behaviour`.

    Parameters
    ----------
    phase : str, Behaviour or PredictedPhase
    update_map : UpdateMap
    start : mapping
        State variables and parameters by name.
    steps : int
    data : pair (X, Y), optional
        For matrix maps, unless ``start`` holds X and Y.

    Raises
    ------
    AssertionError
        With the behaviour found.
    InputError
        If the phase has no such name.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> uv = ct.derive(ct.models.uv())
    >>> assert_phase("catapult", uv, {"f": 1, "lam": 3, "eta": 1, "n": 1000})
    """
    expected = str(getattr(phase, "value", phase))
    known = {b.value for b in Behaviour} | {p.value for p in PredictedPhase} - {"unknown"}
    if expected not in known:
        raise InputError(f"unknown phase {expected!r}: one of {', '.join(sorted(known))}")
    pair = (start["X"], start["Y"]) if data is None and "X" in start else data
    states_named = {s.name for s in update_map.variables}
    plain = {k: v for k, v in start.items() if k not in ("X", "Y")}
    numbers: dict[str, Any] = {k: np.asarray(v, dtype=float)[()] for k, v in plain.items()}
    beginning = {k: v for k, v in numbers.items() if k in states_named}
    rest = {k: v for k, v in numbers.items() if k not in states_named}
    found = str(classify(run(update_map, beginning, steps, data=pair, **rest)).values[()])
    if found != expected:
        where = ", ".join(f"{k} = {_shown(v)}" for k, v in start.items())
        raise AssertionError(f"expected {expected}, but training is {found} from {where}")


def assert_matches_training(
    step: Any,
    model: Any,
    *,
    n: int = 256,
    eta: float,
    steps: int = 20,
    seed: int = 0,
    loss: Any = "squared",
    optimizer: Any = "gd",
    data: Any = None,
    tolerance: float = STEP_TOLERANCE,
    **parameters: float,
) -> None:
    """Assert that an update agrees with brute-force training, one step at a time.

    A network of width n is trained on its raw parameters, which knows nothing of any theory. From
    each state along the way the update makes one step; the error is measured against the
    running maximum of each variable.

    Parameters
    ----------
    step : UpdateMap or callable
        A callable takes the state by name and the parameters, ``step(f=..., lam=..., eta=...,
        n=...)``, and returns a mapping with what it predicts: some or all of the state, or
        observables that `train` records.
    model : Model or str
    n, eta, steps, seed, loss, optimizer, data, **parameters
        As for `train`.
    tolerance : float
        Of the relative error; rounding alone stays below the default.

    Raises
    ------
    AssertionError
        With variable, step, and both values.
    InputError
        If the update predicts nothing that training records.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> def wrong(f, lam, eta, n):
    ...     return {"lam": lam + eta * f**2 / n * (eta * lam + 4)}
    >>> assert_matches_training(ct.derive(ct.models.uv()), ct.models.uv(), eta=0.5)
    >>> assert_matches_training(wrong, ct.models.uv(), eta=0.5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
      ...
    AssertionError: lam after step 0 is ... in training, the update says ...
    """
    rule: dict[str, Any] = {"loss": loss, "optimizer": optimizer, "seed": seed, **parameters}
    trained = train(model, data, n=n, eta=eta, steps=steps, **rule)
    numbers = {"eta": eta, "n": n, **parameters}
    courses = {str(k): v.values for k, v in trained.data_vars.items() if "step" in v.dims}
    largest = {k: np.maximum.accumulate(_sizes(v)) for k, v in courses.items()}
    stepped = _as_callable(step, courses, data)
    for t in range(steps):
        now = {k: v[t] for k, v in courses.items()}
        said = stepped(now, numbers)
        shared = [k for k in said if k in courses]
        if not shared:
            raise InputError(
                f"the update predicts {', '.join(said)}, training records {', '.join(courses)}"
            )
        for name in shared:
            true = courses[name][t + 1]
            error = np.max(np.abs(np.asarray(said[name], dtype=float) - true))
            if not error <= tolerance * max(largest[name][t + 1], 1e-300):
                raise AssertionError(
                    f"{name} after step {t} is {true} in training, the update says {said[name]} "
                    f"(relative error {error / max(largest[name][t + 1], 1e-300):.2g}, "
                    f"tolerance {tolerance:.2g})"
                )


def _sizes(course: np.ndarray) -> np.ndarray:
    return np.abs(course).reshape(len(course), -1).max(axis=1)


def _as_callable(step: Any, courses: Numbers, data: Any) -> Callable[[Numbers, Numbers], Any]:
    """Return a function of state and parameters that returns the next state by name."""
    if not isinstance(step, UpdateMap):
        state = [k for k in courses if k in _arguments(step, courses)]
        return lambda now, numbers: step(**{k: now[k] for k in state}, **numbers)
    kernel = compile_kernel(step, "array")
    names = [s.name for s in step.variables]
    if missing := [name for name in names if name not in courses]:
        raise InputError(f"training does not record {', '.join(missing)} of the update map")
    pair = {} if data is None else {"X": np.asarray(data[0]), "Y": _columns(data[1])}

    def stepped(now: Numbers, numbers: Numbers) -> Any:
        after = kernel.step(*(now[k] for k in names), **numbers, **pair)
        return dict(zip(names, after, strict=True))

    return stepped


def _arguments(step: Any, courses: Numbers) -> set[str]:
    """Return the names that a function takes; all recorded ones where it takes any."""
    import inspect

    parameters = inspect.signature(step).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return set(courses)
    return set(parameters)


def _columns(targets: Any) -> np.ndarray:
    array = np.asarray(targets, dtype=float)
    return array[:, None] if array.ndim == 1 else array


def _shown(value: Any) -> str:
    return str(value) if np.ndim(value) == 0 else np.array2string(np.asarray(value), precision=6)


__all__ = [
    "assert_holds_at_every_step",
    "assert_matches_training",
    "assert_phase",
    "data_sets",
    "dyadics",
    "edge_states",
    "learning_rates",
    "matrix_states",
    "models",
    "states",
    "states_in_phase",
    "states_near",
    "widths",
]
