"""Three parts of a distance: wrong theory, finite width, round-off; each measured apart.

With fifty digits round-off is out of the way: what is left between the map and a raw network
trained at the same precision is the error of the theory, and what is left between the map and its
infinite-width limit is the effect of a finite width. Between the map in float64 and in fifty
digits there is round-off alone. The raw network is stepped with forward passes only: its
gradient is a central difference with a third of the working digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from catapult_theory.codegen.kernel import compile as compile_kernel
from catapult_theory.codegen.reference import DIGITS, reference
from catapult_theory.errors import InputError
from catapult_theory.networks import gaussian_start, top_eigenvalue
from catapult_theory.symbolic import losses, optimizers
from catapult_theory.symbolic.symbols import Inner, eta, f, lam, n, y
from catapult_theory.symbolic.update_map import UpdateMap
from catapult_theory.validation.controls import with_wrong_coefficient
from catapult_theory.validation.exactness import ORBIT_TOLERANCE
from catapult_theory.validation.problem import Pairing, closed_map, model_of, pair

# A raw step sums some hundred products, and a tame orbit amplifies by a few powers of ten.
SPARE_DIGITS = 15
WIDE = (10**6, 10**8)
# The next order in 1/n changes the distance at n = 10^6 by some millionths.
SLOPE_WITHIN = 1e-3

Course = dict[str, list[Any]]


@dataclass(frozen=True, eq=False)
class ErrorParts:
    """The parts of the error of every variable, over the running maximum of that variable.

    Parameters
    ----------
    n, steps, digits : int
    eta_lam0 : float
    theory, rounding : mapping of str to float
        Map against raw network, both in ``digits`` digits; map in float64 against ``digits``.
    finite_width : mapping of str to float
        Map against its infinite-width limit from the same start; empty where the state has no
        such limit (momentum).
    slopes : mapping of str to float
        d ln(finite width) / d ln n between n = 10^6 and 10^8.
    theory_control, rounding_control, slopes_control : mapping of str to float
        The same for a map with terms 0.1 % too large, in float32, and for a limit with terms
        5 % too large.
    """

    n: int
    steps: int
    digits: int
    eta_lam0: float
    theory: Mapping[str, float]
    rounding: Mapping[str, float]
    finite_width: Mapping[str, float]
    slopes: Mapping[str, float]
    theory_control: Mapping[str, float]
    rounding_control: Mapping[str, float]
    slopes_control: Mapping[str, float]

    @property
    def tolerance(self) -> float:
        """What the theory's error may be: all digits but fifteen."""
        return float(mpmath.mpf(10) ** (SPARE_DIGITS - self.digits))

    @property
    def theory_holds(self) -> bool:
        """Whether map and raw network agree to all digits but fifteen."""
        return max(self.theory.values()) <= self.tolerance

    @property
    def rounding_holds(self) -> bool:
        """Whether float64 stays within the tolerance of orbits."""
        return max(self.rounding.values()) <= ORBIT_TOLERANCE

    @property
    def width_holds(self) -> bool:
        """Whether the effect of the width falls as 1/n in every variable."""
        return all(abs(s + 1) <= SLOPE_WITHIN for s in self.slopes.values())

    @property
    def controls_fail(self) -> tuple[bool, bool, bool]:
        """Whether the controls of theory, finite width and rounding miss their criteria."""
        return (
            max(self.theory_control.values()) > self.tolerance,
            not all(abs(s + 1) <= SLOPE_WITHIN for s in self.slopes_control.values()),
            max(self.rounding_control.values()) > ORBIT_TOLERANCE,
        )

    @property
    def passed(self) -> bool:
        """Whether all parts meet their criteria and all controls miss them."""
        width = self.width_holds and (not self.slopes or self.controls_fail[1])
        return (
            self.theory_holds and self.rounding_holds and width
            and self.controls_fail[0] and self.controls_fail[2]
        )  # fmt: skip

    def table(self) -> list[tuple[str, str, str, str]]:
        """Return variable, theory error, effect of the width and round-off, one row each."""
        return [
            (
                name,
                f"{float(self.theory[name]):.1e}",
                f"{self.finite_width[name]:.1e}" if name in self.finite_width else "no limit",
                f"{self.rounding[name]:.1e}",
            )
            for name in self.theory
        ]

    def __str__(self) -> str:
        head = (
            f"n = {self.n}, eta*lam0 = {self.eta_lam0:g}, {self.steps} steps, "
            f"{self.digits} digits: theory, finite width, round-off"
        )
        return "\n".join([head, *("  " + "  ".join(row) for row in self.table())])


def error_parts(
    model: Any = "uv",
    loss: Any = "squared",
    optimizer: Any = "gd",
    n: int = 16,
    eta_lam0: float = 1.5,
    steps: int = 20,
    seed: int = 0,
    digits: int = DIGITS,
    **constants: Any,
) -> ErrorParts:
    """Separate theory error, finite-width error and round-off of a scalar model.

    Parameters
    ----------
    model : Model or str
        A scalar one.
    loss, optimizer
        As for `ct.derive`.
    n : int
        Width; raw training in many digits is slow, keep it below a hundred.
    eta_lam0 : float
    steps : int
    seed : int
    digits : int
    **constants
        Values of the symbols of model and optimizer.

    Returns
    -------
    ErrorParts

    Raises
    ------
    InputError
        For matrix models.
    NotClosed
        If there is no update map.

    Examples
    --------
    >>> parts = error_parts("uv", n=4, steps=5)
    >>> parts.theory_holds, parts.rounding_holds, parts.width_holds, parts.passed
    (True, True, True, True)
    """
    if model_of(model).is_matrix:
        raise InputError("the parts of the error are separated for scalar models")
    both = pair(model, None, optimizer, loss, **constants)
    update_map = closed_map(both, optimizer, loss)
    raw = gaussian_start(seed).raw(both.own_shapes, n)
    rate = float(eta_lam0 / top_eigenvalue(both.network, both.raw_start(raw), None))
    given = {c.name: constants[c.name] for c in update_map.constants if c.name in constants}
    given |= {"eta": rate, "n": n}
    network = _RawNetwork(both, update_map, loss, optimizer, {**constants, **given}, digits)
    brute = network.course(raw, steps)
    start = {k: v[0] for k, v in brute.items()}

    def mapped(update_map: UpdateMap, **other: Any) -> Course:
        course = reference(update_map, digits).trajectory(start, steps, **{**given, **other})
        return {name: course[name] for name in start}

    exact = mapped(update_map)
    wrong = mapped(with_wrong_coefficient(update_map))
    limit = _limit(update_map)
    wide = [_distance(mapped(update_map, n=w), mapped(limit, n=w)) if limit else {}
            for w in WIDE]  # fmt: skip
    false = with_wrong_coefficient(limit, order=1, excess=0.05) if limit else None
    blind = [_distance(mapped(update_map, n=w), mapped(false, n=w)) if false else {}
             for w in WIDE]  # fmt: skip
    return ErrorParts(
        n=n, steps=steps, digits=digits, eta_lam0=eta_lam0,
        theory=_distance(exact, brute), theory_control=_distance(wrong, brute),
        rounding=_distance(_floats(update_map, start, steps, given, "float64"), exact),
        rounding_control=_distance(_floats(update_map, start, steps, given, "float32"), exact),
        finite_width=_distance(exact, mapped(limit)) if limit else {},
        slopes=_slopes(wide), slopes_control=_slopes(blind),
    )  # fmt: skip


def _limit(update_map: UpdateMap) -> UpdateMap | None:
    """Return the infinite-width limit, for a state of order one: output and kernel alone."""
    if set(update_map.variables) != {f, lam} or n not in update_map.constants:
        return None
    return update_map.truncate()


def _slopes(distances: Sequence[Mapping[str, float]]) -> dict[str, float]:
    first, second = distances
    span = np.log(WIDE[1] / WIDE[0])
    return {name: float(np.log(second[name] / first[name]) / span) for name in first}


def _distance(one: Course, other: Course) -> dict[str, float]:
    """Return the largest distance of each variable over the running maximum of the other's."""
    found = {}
    with mpmath.workdps(2 * DIGITS):
        for name, values in other.items():
            largest, worst = mpmath.mpf(0), mpmath.mpf(0)
            for a, b in zip(one[name], values, strict=True):
                largest = max(largest, abs(b))
                gap = abs(mpmath.mpf(a) - b)
                worst = max(worst, gap / largest if largest else gap)
            found[name] = float(worst)
    return found


def _floats(
    update_map: UpdateMap,
    start: Mapping[str, Any],
    steps: int,
    given: Mapping[str, Any],
    dtype: str,
) -> Course:
    """Return the course of the compiled map in a floating-point type."""
    kernel = compile_kernel(update_map, "array", dtype=dtype)
    names = [s.name for s in update_map.variables]
    kind = np.dtype(dtype).type
    numbers = {k: kind(float(v)) for k, v in given.items()}
    row = tuple(kind(float(start[name])) for name in names)
    rows = [row]
    for _ in range(steps):
        row = tuple(kernel.step(*row, **numbers))
        rows.append(row)
    return {name: [float(r[i]) for r in rows] for i, name in enumerate(names)}


class _RawNetwork:
    """A scalar network trained on raw parameters in many digits, by forward passes alone."""

    def __init__(
        self,
        both: Pairing,
        update_map: UpdateMap,
        loss: Any,
        optimizer: Any,
        numbers: Mapping[str, Any],
        digits: int,
    ) -> None:
        self.both, self.update_map, self.digits = both, update_map, digits
        self.rule: Any = optimizers.get(optimizer)
        named = {s.name: s for s in self._symbols()}
        self.table = {named[k]: _exact(v) for k, v in numbers.items() if k in named}
        model = both.model
        cost: Any = losses.get(loss)
        at = {f: model.output, y: model.label}
        self.forward = self._compiled(cost.expression.subs(at, simultaneous=True))
        self.states = {s.name: self._compiled(update_map.gram[s]) for s in update_map.variables}

    def _symbols(self) -> set[sp.Symbol]:
        inside = set(self.both.model.parameters) | set(self.update_map.constants)
        return inside | set(self.rule.parameters) | {eta, n}

    def _compiled(self, expression: sp.Expr) -> Callable[[Mapping[str, list[Any]]], Any]:
        """Return an expression of inner products as a function of the vectors."""
        pairs = sorted(sp.sympify(expression).atoms(Inner), key=str)
        stand_ins = [sp.Dummy() for _ in pairs]
        body = expression.xreplace(dict(zip(pairs, stand_ins, strict=True))).subs(self.table)
        function = sp.lambdify(stand_ins, body, "mpmath")
        names = [[a.name for a in p.args] for p in pairs]

        def value(vectors: Mapping[str, list[Any]]) -> Any:
            return function(*(mpmath.fdot(vectors[a], vectors[b]) for a, b in names))

        return value

    def course(self, raw: Mapping[str, Any], steps: int) -> Course:
        """Return the states along the training, in the working digits of the comparison."""
        with mpmath.workdps(3 * self.digits):
            copies = [{k: [mpmath.mpf(float(x)) for x in a] for k, a in raw.items()}]
            for _ in range(1, self.rule.copies):
                copies.append({k: [mpmath.mpf(0)] * len(a) for k, a in raw.items()})
            rows = [self._states(copies)]
            for _ in range(steps):
                copies = self._step(copies)
                rows.append(self._states(copies))
        return {name: [row[name] for row in rows] for name in self.states}

    def _states(self, copies: Sequence[Mapping[str, list[Any]]]) -> dict[str, Any]:
        vectors = {f"{'P' * i + '_' if i else ''}{k}": a
                   for i, copy in enumerate(copies) for k, a in copy.items()}  # fmt: skip
        return {name: function(vectors) for name, function in self.states.items()}

    def _step(self, copies: list[dict[str, list[Any]]]) -> list[dict[str, list[Any]]]:
        """Phi_i' = sum_j transfer[i, j] Phi_j + slope[i] grad L(sum_j point[j] Phi_j)."""
        point = [self._number(e) for e in self.rule.point]
        slope = [self._number(e) for e in self.rule.slope]
        names = list(copies[0])
        place = {k: _combined(point, [c[k] for c in copies]) for k in names}
        gradient = self._pulled(place)
        new = []
        for i in range(len(copies)):
            row = [self._number(e) for e in self.rule.transfer[i, :]]
            new.append({
                k: _combined([*row, slope[i]], [*(c[k] for c in copies), gradient[k]])
                for k in names
            })  # fmt: skip
        return new

    def _pulled(self, place: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Return scale * grad L(place + ascent * grad L(place)), for rules that have these."""
        ascent, scale = getattr(self.rule, "ascent", 0), getattr(self.rule, "scale", 1)
        gradient = self._gradient(place)
        if ascent != 0:
            far = self._factor(ascent, gradient)
            moved = {k: _combined([1, far], [a, gradient[k]]) for k, a in place.items()}
            gradient = self._gradient(moved)
        size = self._factor(scale, gradient)
        return {k: [size * x for x in a] for k, a in gradient.items()}

    def _factor(self, expression: Any, gradient: Mapping[str, list[Any]]) -> Any:
        """Return a factor of the gradient, a function of its norm where that is a symbol."""
        body = sp.sympify(expression).subs(self.table)
        norm = mpmath.sqrt(mpmath.fsum(x * x for a in gradient.values() for x in a))
        symbols = sorted(body.free_symbols, key=str)
        return sp.lambdify(symbols, body, "mpmath")(*(norm for _ in symbols)) * mpmath.mpf(1)

    def _gradient(self, place: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Return central differences; their error is of the square of the small step."""
        small = mpmath.mpf(10) ** -self.digits
        found: dict[str, list[Any]] = {}
        for name, values in place.items():
            found[name] = []
            for i, value in enumerate(values):
                ends = []
                for moved in (value + small, value - small):
                    vector = [*values[:i], moved, *values[i + 1 :]]
                    ends.append(self.forward({**place, name: vector}))
                found[name].append((ends[0] - ends[1]) / (2 * small))
        return found

    def _number(self, expression: Any) -> Any:
        value = sp.sympify(expression).subs(self.table)
        return mpmath.mpf(value.p) / value.q if value.is_Rational else mpmath.mpf(str(value))


def _combined(weights: Sequence[Any], vectors: Sequence[Sequence[Any]]) -> list[Any]:
    return [mpmath.fdot(weights, column) for column in zip(*vectors, strict=True)]


def _exact(value: Any) -> sp.Expr:
    """Return a float at its binary value."""
    return sp.Rational(value) if isinstance(value, float) else sp.sympify(value)
