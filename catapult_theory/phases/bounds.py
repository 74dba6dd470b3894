"""Bounds on the learning rate: where training is linearly stable, and where it stops being bounded.

eta_crit is the stability threshold of the optimizer over the curvature at a minimum. eta_max is
the first learning rate at which the start lies on an invariant line of the map (theory, section 5,
"edge"); the line is found by the engine, what holds on either side of it is a theorem that names
its map. Where no line is found the bound is open, and can be measured.

The analysis has thresholds too: those of the fixed points of the map, whatever they are. Bounds
do not ask it. eta_crit is for the curvature at the start, which is no fixed point, and for losses
whose minimum lies at infinity; and the fixed points of a map with velocities take a minute, where
a bound takes a second. At the minima both must agree, which the tests see to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp

from catapult_theory.errors import InputError
from catapult_theory.phases.edge import EdgeFinding, edge_of, obeys_edge_theorem
from catapult_theory.phases.measure import first_edge
from catapult_theory.symbolic.minima import minimum_of, stationary_outputs
from catapult_theory.symbolic.symbols import eta, f, lam
from catapult_theory.symbolic.update_map import UpdateMap

EDGE_THEOREM = 'theory, section 5, "edge"'
EDGE_NOTE = (
    "the engine finds w with w' = c w, c > 0, so that the sign of w never changes; that training "
    "is bounded for w < 0 and that lambda grows without bound for w > 0 (unless the output hits "
    "the label exactly) is the theorem"
)
LARGE_WIDTH = "measured at large width, refuted as a theorem for m > 1"


@dataclass(frozen=True)
class Bound:
    """A bound on the learning rate.

    Parameters
    ----------
    name : str
    expr : sympy.Expr or None
        In the state at the start and the parameters; None where no closed form is known.
    status : str
        "derived", "theorem", "measured", "open", or words for what lies between.
    source : str
        Where the statement stands.
    bracket : tuple of float or None
        For a measured bound: the last bounded and the first unbounded learning rate.
    note : str
        What the bound says, and what it does not.
    condition : sympy relation
        What ``eta`` at the bound must obey for the status to hold.
    """

    name: str
    expr: sp.Expr | None
    status: str
    source: str
    bracket: tuple[float, float] | None = None
    note: str = ""
    condition: Any = sp.true

    def __call__(self, **values: Any) -> Any:
        """Return the bound at numbers or arrays that broadcast.

        Parameters
        ----------
        **values
            State at the start and parameters, by name; superfluous ones are ignored.

        Returns
        -------
        float or array

        Raises
        ------
        InputError
            If a value is missing, or no closed form and no bracket is known.

        Examples
        --------
        >>> Bound("eta_crit", 2 / lam, "derived", "")(lam=4.0)
        0.5
        """
        if self.expr is None:
            if self.bracket is not None:
                return float(np.mean(self.bracket))
            raise InputError(
                f"{self.name} has no closed form here ({self.status}); measure it with "
                "measure_edge(update_map, start, low, high, ...)"
            )
        return _evaluated(self.expr, values, self.name)

    def admits(self, **values: Any) -> Any:
        """Return whether a learning rate obeys the bound's condition.

        Parameters
        ----------
        **values
            ``eta``, state at the start and parameters, by name.

        Returns
        -------
        bool or array of bool
        """
        true = np.asarray(_evaluated(self.condition, values, self.name), dtype=bool)
        shape = np.broadcast_shapes(*(np.shape(v) for v in values.values()))
        return np.broadcast_to(true, shape)[()]

    def holds(self, **values: Any) -> Any:
        """Return whether the condition holds for the learning rate at the bound itself.

        Parameters
        ----------
        **values
            State at the start and parameters, by name.

        Returns
        -------
        bool or array of bool
        """
        return self.admits(**{**values, "eta": self(**values)})

    def __str__(self) -> str:
        if self.expr is None:
            bracket = "in [{:.8g}, {:.8g}]".format(*self.bracket) if self.bracket else ""
            head = f"{self.name}: {bracket or 'no closed form'}"
        else:
            head = f"{self.name} = {self.expr}"
        said = f"{self.status}; {self.source}" if self.source else self.status
        limits = f", for {self.condition}" if self.condition != sp.true else ""
        note = f"\n    {self.note}" if self.note else ""
        return f"{head}  [{said}{limits}]{note}"


@dataclass(frozen=True)
class PhaseBounds:
    """The bounds that part the phases of training.

    Parameters
    ----------
    eta_crit : Bound
        Above it the minimum near the start is linearly unstable: lazy below, catapult above.
    eta_max : Bound
        Above it training is unbounded.
    eta_stable : Bound
        Above it no network has a stable minimum (infinite without a label).
    """

    eta_crit: Bound
    eta_max: Bound
    eta_stable: Bound

    def __str__(self) -> str:
        return "\n".join(map(str, (self.eta_crit, self.eta_max, self.eta_stable)))


def phase_bounds(update_map: UpdateMap, **values: Any) -> PhaseBounds:
    """Return the bounds on the learning rate of an update map.

    With threshold s of the optimizer (2 for gradient descent, 2 (1 + beta) for heavy ball) and
    curvature h = lam l''(f) + omega, eta_crit = s / h. For the uv-model with squared loss
    eta_max = 8 / (lam + sqrt(lam^2 + 16 y (y - f) / n)), which is 4 / lam for y = 0
    (theory, section 5).

    Parameters
    ----------
    update_map : UpdateMap
    **values
        Numbers for the state at the start (f, lam) and parameters. If all that the map needs are
        given and no closed form is known, eta_max is measured.

    Returns
    -------
    PhaseBounds

    Raises
    ------
    InputError
        For a name that the map does not have, a kernel or a width that no network has.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> bounds = phase_bounds(derive(models.uv(label=True)))
    >>> bounds.eta_crit.expr, bounds.eta_max.expr
    (2/lam, 8/(lam + sqrt(lam**2 + 16*y*(-f + y)/n)))
    >>> bounds.eta_max(lam=2.0, f=0.0, y=0.0, n=100)
    2.0
    """
    known = {s.name: s for s in (*update_map.variables, *update_map.constants, lam)}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(f"unknown {', '.join(unknown)}; this map has {', '.join(known)}")
    check_signs(values)
    found = _matrix_bounds(update_map) if update_map.is_matrix else _scalar_bounds(update_map)
    if not values:
        return found
    table = {known[name]: sp.sympify(value) for name, value in values.items()}
    numeric = PhaseBounds(
        *(_at(bound, table) for bound in (found.eta_crit, found.eta_max, found.eta_stable))
    )
    return _measured(update_map, numeric, values)


def check_signs(values: Mapping[str, Any]) -> None:
    """Refuse numbers that no network has: eta, n, and the tops of its kernel and curvature.

    Parameters
    ----------
    values : mapping of str to number or array

    Raises
    ------
    InputError
        For one that is not positive.

    Examples
    --------
    >>> check_signs({"lam": -2.0})
    Traceback (most recent call last):
    ...
    catapult_theory.errors.InputError: lam must be positive, got -2
    """
    for name in ("eta", "n", "lam", "ggn"):
        given = np.asarray(values.get(name, 1.0), dtype=float)
        if np.any(given <= 0):
            raise InputError(f"{name} must be positive, got {given.min():g}")


def _at(bound: Bound, table: dict[Any, Any]) -> Bound:
    expr = None if bound.expr is None else bound.expr.subs(table)
    if expr == sp.zoo:  # without curvature every learning rate is stable
        expr = sp.oo
    return replace(bound, expr=expr, condition=bound.condition.subs(table))


def _measured(update_map: UpdateMap, bounds: PhaseBounds, values: dict[str, Any]) -> PhaseBounds:
    """Measure eta_max where it is open and the start and all parameters are numbers."""
    start_names = {"f", "lam"}
    needed = start_names | {c.name for c in update_map.constants if c != eta}
    states = {s.name for s in update_map.variables}
    if bounds.eta_max.expr is not None or not start_names <= states or not needed <= set(values):
        return bounds
    if bounds.eta_crit.expr == sp.oo:  # no scale from which to search upwards
        return bounds
    start = {k: float(v) for k, v in values.items() if k in states}
    rest = {k: float(v) for k, v in values.items() if k not in states}
    bracket = first_edge(update_map, start, 0.5 * float(bounds.eta_crit()), **rest)
    if bracket is None:
        return bounds
    note = "first unbounded learning rate above the last bounded one of a scan in float64"
    said = replace(bounds.eta_max, status="measured", bracket=bracket, note=note)
    return replace(bounds, eta_max=said)


def _scalar_bounds(update_map: UpdateMap) -> PhaseBounds:
    threshold, decay = update_map.threshold, update_map.decay
    loss, kernel = update_map.observables["loss"], update_map.observables["lam"]
    curvature = kernel * _second_derivative(update_map, loss) + decay
    crit = Bound(
        "eta_crit",
        _rate(sp.simplify(threshold), sp.simplify(curvature)),
        "derived",
        "linear stability",
        note="stability threshold of the optimizer over the Gauss-Newton curvature at the start",
    )
    finding = edge_of(update_map)
    return PhaseBounds(crit, _edge_bound(update_map, finding), _stable(update_map, threshold))


def _rate(threshold: sp.Expr, curvature: sp.Expr) -> sp.Expr:
    """Return the learning rate at which a curvature is unstable, infinite where there is none."""
    rate = threshold / curvature if curvature != 0 else sp.oo
    return sp.piecewise_fold(rate).xreplace({sp.zoo: sp.oo}) if rate.has(sp.Piecewise) else rate


def _second_derivative(update_map: UpdateMap, loss: sp.Expr) -> sp.Expr:
    if f in update_map.variables:
        return sp.diff(loss, f, 2)
    if "squared" in update_map.loss:
        return sp.S.One
    raise InputError("the curvature of this loss needs the output f among the state")


def _edge_bound(update_map: UpdateMap, finding: EdgeFinding | None) -> Bound:
    if finding is None:
        return Bound(
            "eta_max", None, "open", "",
            note="no closed form is known; the edge may depend on the starting phases",
        )  # fmt: skip
    if obeys_edge_theorem(update_map):
        return Bound(
            "eta_max", finding.expr, "theorem", EDGE_THEOREM, None, EDGE_NOTE, finding.condition
        )
    note = "an invariant line of the map; what holds on either side of it is not proved here"
    return Bound(
        "eta_max", finding.expr, "derived", "invariant factor", None, note, finding.condition
    )


def _stable(update_map: UpdateMap, threshold: sp.Expr) -> Bound:
    """Return where the flattest minimum that the domain admits loses its stability.

    Weight decay adds to its curvature. With a label it moves the minimum, and the bound is open.
    """
    if not {f, lam} <= set(update_map.variables):
        return Bound("eta_stable", None, "open", "")
    loss, decay = update_map.observables["loss"], update_map.decay
    minimum = minimum_of(loss)
    if minimum is None:
        return Bound("eta_stable", None, "open", "", note=_no_minimum(loss))
    if decay != 0 and minimum != 0:
        note = "with weight decay the loss is not zero where training ends"
        return Bound("eta_stable", None, "open", "", note=note)
    bend = sp.simplify(sp.diff(loss, f, 2).subs(f, minimum))
    if bend == 0:
        at = f"the loss has no curvature at its minimum f = {minimum}"
        note = f"{at}: not decided by linear analysis"
        return Bound("eta_stable", None, "open", "", note=note)
    least = [
        sp.solve(r.lhs.subs(f, minimum), lam)
        for r in update_map.domain
        if r.lhs.free_symbols & set(update_map.variables) <= {f, lam}
    ]
    floor = sp.Max(0, *(value for solutions in least for value in solutions))
    flattest = sp.simplify(floor.rewrite(sp.Abs)) if floor != 0 else floor
    expr = sp.simplify(_rate(threshold, bend * flattest + decay))
    note = "above it no zero-loss minimum of the domain is linearly stable"
    return Bound("eta_stable", expr, "derived", "domain and linear stability", note=note)


def _no_minimum(loss: sp.Expr) -> str:
    """Return why a loss has no known minimum."""
    roots = stationary_outputs(loss)
    if roots is None:
        return "no closed form of the minimum of the loss is known"
    return "the loss is not known to be convex" if roots else "the loss has no finite minimum"


def _matrix_bounds(update_map: UpdateMap) -> PhaseBounds:
    threshold, decay = update_map.threshold, update_map.decay
    squared = update_map.loss == "squared"
    top = lam if squared else sp.Symbol("ggn", positive=True)
    what = "lam" if squared else "ggn, the top eigenvalue of the Gauss-Newton matrix"
    crit = Bound(
        "eta_crit", threshold / (top + decay), "derived", "linear stability",
        note=f"in {what}, at the start",
    )  # fmt: skip
    # The estimate was measured on the two-layer linear network: one frame of two matrices.
    two_layers = update_map.frame.trained == 2 and not update_map.frame.groups
    plain = squared and update_map.optimizer == "gd" and two_layers
    largest = Bound(
        "eta_max", 4 / lam if plain else None, LARGE_WIDTH if plain else "open",
        "theory, section 5, m samples" if plain else "",
        note="a large-width estimate: at small width some starts diverge below it" if plain else "",
    )  # fmt: skip
    return PhaseBounds(crit, largest, Bound("eta_stable", None, "open", ""))


def _evaluated(expression: Any, values: dict[str, Any], name: str) -> Any:
    symbols = sorted(expression.free_symbols, key=lambda s: s.name)
    missing = [s.name for s in symbols if s.name not in values]
    if missing:
        raise InputError(f"{name} needs {', '.join(missing)}: give them by name")
    function = sp.lambdify(symbols, expression, "numpy")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        result = np.asarray(function(*(np.asarray(values[s.name], dtype=float) for s in symbols)))
    typed = result if result.dtype == bool else result.astype(float)
    return typed.item() if typed.ndim == 0 else typed
