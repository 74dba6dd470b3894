"""A reference of arbitrary precision: the map's own expressions, evaluated by mpmath.

Float64 cannot tell a wrong equation from a rounding that chaos has amplified. The reference steps,
runs and traces a scalar map like a kernel, at any number of digits; a divergence counts only if
its step is the same at several precisions (theory, section 5).
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import mpmath
import sympy as sp

from catapult_theory.codegen.status import LIMITS, Status
from catapult_theory.errors import InputError, unknown_name
from catapult_theory.symbolic.symbols import eta, f, n
from catapult_theory.symbolic.update_map import UpdateMap

DIGITS = 50
PRECISIONS = (30, 60, 120)
RunResult = namedtuple("RunResult", ["state", "status", "status_step"])


@dataclass(frozen=True)
class Reference:
    """A scalar map at a chosen number of decimal digits; made by `reference`.

    Numbers go in as ints, floats (taken at their binary value), strings, mpmath or SymPy numbers
    and come out as mpmath numbers.

    Parameters
    ----------
    update_map : UpdateMap
    digits : int
        Decimal digits of every operation.
    """

    update_map: UpdateMap
    digits: int

    def step(self, *state: Any, **parameters: Any) -> Any:
        """Return the state after one step.

        Parameters
        ----------
        *state : number
            In the order of the state.
        **parameters : number
            All parameters by name.

        Returns
        -------
        namedtuple of mpmath.mpf

        Raises
        ------
        InputError
            If a value is missing or superfluous.

        Examples
        --------
        >>> from catapult_theory.symbolic import models
        >>> from catapult_theory.symbolic.closure import derive
        >>> new = reference(derive(models.uv()), digits=30).step(1, 2, eta="0.1", n=10)
        >>> print(new.f, new.lam)
        0.801 1.962
        """
        with mpmath.workdps(self.digits):
            values = self._parameters(parameters)
            return self._named(self._image(self._state_of(state), values))

    def trajectory(
        self, state: Mapping[str, Any], steps: int, every: int = 1, **parameters: Any
    ) -> dict[str, list[Any]]:
        """Return state and observables at steps 0, every, 2 every, ...

        Parameters
        ----------
        state : mapping of str to number
        steps : int
        every : int
        **parameters : number

        Returns
        -------
        dict of str to list of mpmath.mpf
            The state variables and, where the map has them, ``loss`` and ``lam``.

        Raises
        ------
        InputError
            If a value is missing or superfluous.

        Examples
        --------
        >>> from catapult_theory.symbolic import models
        >>> from catapult_theory.symbolic.closure import derive
        >>> course = reference(derive(models.uv())).trajectory({"f": 1, "lam": 2}, 3, eta=1, n=4)
        >>> [str(v) for v in course["lam"]]
        ['2.0', '1.5', '1.1484375', '1.09664806723595']
        """
        names = [s.name for s in self.update_map.variables]
        with mpmath.workdps(self.digits):
            values = self._parameters(parameters)
            current = self._start(state)
            rows = [current]
            for number in range(1, steps + 1):
                current = self._image(current, values)
                if number % every == 0:
                    rows.append(current)
            course = {name: [row[i] for row in rows] for i, name in enumerate(names)}
            for name, function in self._observables.items():
                course[name] = [function(*row, *values) for row in rows]
        return course

    def run(self, state: Mapping[str, Any], steps: int, **parameters: Any) -> RunResult:
        """Return the last state, and the step at which training diverged, if it did.

        Parameters
        ----------
        state : mapping of str to number
        steps : int
        **parameters : number

        Returns
        -------
        namedtuple
            ``state``; ``status``, DIVERGED beyond the bound of float64 (|eta f| / sqrt(n), or
            the loss where the state has no output, above 1e100), otherwise UNDECIDED; and
            ``status_step``.

        Raises
        ------
        InputError
            If a value is missing or superfluous.

        Examples
        --------
        >>> from catapult_theory.symbolic import models
        >>> from catapult_theory.symbolic.closure import derive
        >>> result = reference(derive(models.uv())).run({"f": 1, "lam": 2}, 90, eta="2.1", n=4)
        >>> result.status.name, result.status_step
        ('DIVERGED', 8)
        """
        bound = mpmath.mpf(LIMITS["float64"].bound)
        with mpmath.workdps(self.digits):
            values = self._parameters(parameters)
            current = self._start(state)
            for number in range(1, steps + 1):
                current = self._image(current, values)
                if abs(self._size(*current, *values)) > bound:
                    return RunResult(self._named(current), Status.DIVERGED, number)
            return RunResult(self._named(current), Status.UNDECIDED, steps)

    @cached_property
    def _arguments(self) -> tuple[Any, ...]:
        return (*self.update_map.variables, *self.update_map.constants)

    @cached_property
    def _function(self) -> Callable[..., Sequence[Any]]:
        images = [self.update_map.updates[s] for s in self.update_map.variables]
        function: Callable[..., Sequence[Any]] = sp.lambdify(
            self._arguments, images, "mpmath", cse=True
        )
        return function

    @cached_property
    def _observables(self) -> dict[str, Callable[..., Any]]:
        names = {s.name for s in self.update_map.variables}
        found = {k: e for k, e in self.update_map.observables.items() if k in ("loss", "lam")}
        return {
            k: sp.lambdify(self._arguments, e, "mpmath") for k, e in found.items() if k not in names
        }

    @cached_property
    def _size(self) -> Callable[..., Any]:
        has_output = f in self.update_map.variables and n in self.update_map.constants
        measure = eta * f / sp.sqrt(n) if has_output else self.update_map.observables["loss"]
        function: Callable[..., Any] = sp.lambdify(self._arguments, measure, "mpmath")
        return function

    def _image(self, state: Sequence[Any], values: Sequence[Any]) -> list[Any]:
        return [mpmath.mpf(e) for e in self._function(*state, *values)]

    def _named(self, state: Sequence[Any]) -> Any:
        return namedtuple("State", [s.name for s in self.update_map.variables])(*state)

    def _start(self, state: Mapping[str, Any]) -> list[Any]:
        names = [s.name for s in self.update_map.variables]
        for name in state:
            if name not in names:
                raise unknown_name("state variable", name, names)
        missing = [name for name in names[:2] if name not in state]
        if missing:
            raise InputError(f"the start needs {', '.join(missing)}")
        return self._state_of([state.get(name, 0) for name in names])

    def _state_of(self, state: Sequence[Any]) -> list[Any]:
        if len(state) != len(self.update_map.variables):
            names = ", ".join(s.name for s in self.update_map.variables)
            raise InputError(f"a step takes {names}, got {len(state)} numbers")
        return [_number(v, self.digits) for v in state]

    def _parameters(self, given: Mapping[str, Any]) -> list[Any]:
        names = [c.name for c in self.update_map.constants]
        for name in given:
            if name not in names:
                raise unknown_name("parameter", name, names)
        missing = [name for name in names if name not in given]
        if missing:
            raise InputError(f"the reference needs values for {', '.join(missing)}")
        return [_number(given[name], self.digits) for name in names]


def reference(update_map: UpdateMap, digits: int = DIGITS) -> Reference:
    """Return a scalar map as a program of arbitrary precision.

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one.
    digits : int
        Decimal digits.

    Returns
    -------
    Reference

    Raises
    ------
    InputError
        For matrix maps, or fewer than one digit.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> exact = reference(derive(models.uv()), digits=60)
    >>> mpmath.nstr(exact.step(1, 2, eta="1e-30", n=1).f, 60)
    '0.999999999999999999999999999998000000000000000000000000000001'
    """
    if update_map.is_matrix:
        raise InputError("the reference of arbitrary precision is for scalar maps")
    if digits < 1:
        raise InputError(f"digits must be at least 1, got {digits}")
    return Reference(update_map, digits)


@dataclass(frozen=True)
class Divergence:
    """Whether and when an orbit diverges, at several precisions.

    Parameters
    ----------
    digits : tuple of int
    steps : tuple of int or None
        The step at which each precision passes the bound; None where it does not.
    """

    digits: tuple[int, ...]
    steps: tuple[int | None, ...]

    @property
    def confirmed(self) -> bool:
        """Whether it diverges at the same step at every precision."""
        return self.steps[0] is not None and len(set(self.steps)) == 1

    @property
    def agreed(self) -> bool:
        """Whether all precisions say the same, divergence or not."""
        return len(set(self.steps)) == 1


def divergence(
    update_map: UpdateMap,
    state: Mapping[str, Any],
    steps: int,
    digits: Sequence[int] = PRECISIONS,
    **parameters: Any,
) -> Divergence:
    """Return at which step an orbit diverges, at several precisions.

    A divergence counts only where the step is the same at all of them: an orbit that rounding
    has thrown out of a bounded set leaves it at another step, or not at all.

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one.
    state : mapping of str to number
    steps : int
    digits : sequence of int
    **parameters : number

    Returns
    -------
    Divergence

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> divergence(derive(models.uv()), {"f": 1, "lam": 2}, 90, eta="2.1", n=4).confirmed
    True
    """
    found = []
    for count in digits:
        result = reference(update_map, count).run(state, steps, **parameters)
        found.append(result.status_step if result.status == Status.DIVERGED else None)
    return Divergence(tuple(digits), tuple(found))


def _number(value: Any, digits: int) -> Any:
    if isinstance(value, sp.Expr):
        return mpmath.mpf(str(value.evalf(digits + 5)))
    try:
        return mpmath.mpf(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError) as cause:
        raise InputError(f"{value!r} is not a number") from cause
