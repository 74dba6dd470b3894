"""The form in which a scalar map is iterated: scaled to its groups where that saves work.

With units u (uv-model: eta and n) and groups g (q, a), the loss of a map that scales is
L = c(u) l(g): peaks and ratios of gradients may be found in l, and c(u) is restored outside
the time loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import sympy as sp

from catapult_theory.codegen.lowering import (
    Program,
    code_name,
    expression_program,
    loop_program,
    next_name,
)
from catapult_theory.codegen.passes import STEP
from catapult_theory.codegen.sharing import Assignment
from catapult_theory.symbolic.units import Scaling, scaling

FACTOR = "loss_unit"
# Wide enough for the rounding of any number of steps that may be taken.
_ROUNDING = 1 + sp.Rational(1, 2**20)


@dataclass(frozen=True)
class RunForm:
    """What a compiled loop computes at each of its stages.

    Parameters
    ----------
    step : Program
        New state, "loss" and what decides about a lane, in the variables of the loop.
    margin : Program or None
        "margin": positive where a minimum is linearly stable.
    enter : Program
        From the user's state and parameters to the variables and constants of the loop.
    leave : Program
        From the variables of the loop and the parameters to the user's state, and the unit of
        the loss.
    watched : bool
        Whether a gradient that has all but vanished may grow again on its way to a minimum, so
        that it has to be looked at after every step. Gradient descent near a minimum multiplies
        the gradient by I - eta H, symmetric and a contraction where the minimum is stable: its
        norm falls. With momentum it oscillates, and past a saddle it grows again; where the loss
        is a difference, such as f - y, its last digits come and go.
    ceiling : Program or None
        "bound" on the squared gradient of a lane, from "peak", its largest loss, and its first
        state, where that is easily had.
    steep : bool
        Whether the loss is the square of q but for terms of lower order: a lane cannot pass the
        bound while its loss is small.
    """

    step: Program
    margin: Program | None
    enter: Program
    leave: Program
    watched: bool
    ceiling: Program | None = None
    steep: bool = False

    @property
    def hoisted(self) -> tuple[Assignment, ...]:
        """What stays the same from step to step."""
        return tuple(a for a in self.step.assignments if a.level < STEP)

    @property
    def per_step(self) -> tuple[Assignment, ...]:
        """What every step computes on its way to the outputs."""
        return self.step.at_level(STEP)


@dataclass(frozen=True)
class _Form:
    """A map as far as lowering looks at it."""

    variables: tuple[Any, ...]
    constants: tuple[Any, ...]
    updates: Mapping[Any, Any] = field(default_factory=dict)
    observables: Mapping[str, Any] = field(default_factory=dict)
    data: tuple[Any, ...] = ()
    definitions: Mapping[Any, Any] = field(default_factory=dict)
    gram: Mapping[Any, Any] = field(default_factory=dict)
    is_matrix: bool = False


@lru_cache(maxsize=64)
def run_form(update_map: Any) -> RunForm:
    """Return the cheaper of the map's own form and its scaled one.

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one.

    Returns
    -------
    RunForm

    Examples
    --------
    >>> from catapult_theory.symbolic.closure import derive
    >>> from catapult_theory.symbolic import models
    >>> form = run_form(derive(models.uv()))
    >>> [i.name for i in form.step.state], [i.name for i in form.step.parameters]
    (['q', 'a'], [])
    """
    own = own_form(update_map)
    scaled = _scaled_form(update_map)
    return scaled if scaled is not None and _cost(scaled) < _cost(own) else own


def _cost(form: RunForm) -> int:
    """Operations of a step and values that it must keep at hand."""
    table = form.step.operations
    return int(table.rows[-1].total) + len(form.hoisted)


def own_form(update_map: Any) -> RunForm:
    """Return the form in the map's own variables."""
    step = loop_program(update_map)
    symbols = (*update_map.variables, *update_map.constants)
    enter = expression_program(update_map, {f"{code_name(s.name)}_in": s for s in symbols})
    states = {f"{code_name(s.name)}_out": s for s in update_map.variables}
    leave = expression_program(update_map, {**states, FACTOR: sp.S.One})
    margin = _margin(update_map, update_map.observables)
    watched = _oscillates(update_map) or _cancels(update_map.observables["loss"])
    return RunForm(step, margin, enter, leave, watched)


def _margin(form: Any, observables: Mapping[str, Any]) -> Program | None:
    margin = observables.get("stability_margin")
    return None if margin is None else expression_program(form, {"margin": margin})


def _scaled_form(update_map: Any) -> RunForm | None:
    groups = scaling(update_map)
    if groups.free or not groups.units or "eta" not in {s.name for s in groups.units}:
        return None
    seen = _scaled_observables(update_map, groups)
    size = _size(update_map, groups)
    images = [groups.split(e) for e in update_map.updates.values()]
    if seen is None or size is None or None in images:
        return None
    observables, factor = seen
    updates = {s: e[1] for s, e in zip(groups.variables, images, strict=True) if e is not None}
    form: Any = _Form(groups.variables, groups.constants, updates, observables)
    outputs = {**_judged(observables), "size": size}
    outputs |= {next_name(code_name(s.name)): e for s, e in updates.items()}
    inputs = (*groups.variables, *groups.constants)
    enter = {f"{code_name(s.name)}_in": groups.groups[s] for s in inputs}
    back: Any = _Form(groups.variables, (*groups.constants, *groups.units))
    leave = {f"{code_name(s.name)}_out": groups.originals[s] for s in update_map.variables}
    return RunForm(
        expression_program(form, outputs),
        _margin(form, observables),
        expression_program(update_map, enter),
        expression_program(back, {**leave, FACTOR: factor}),
        _oscillates(update_map) or _cancels(observables["loss"]),
        _ceiling(form),
        _is_steep(observables["loss"], size),
    )


def _ceiling(form: _Form) -> Program | None:
    """Return s_0 L_max where |grad L|^2 = s L up to a number, with an s that cannot turn back.

    That is so if s' - s is a square times s - c: below c the factor s never grows; above c it
    grows for ever, and no lane converges (uv-model without label: s = a, c = 4).
    """
    norm, loss = form.observables.get("grad_norm2"), form.observables["loss"]
    if norm is None or form.constants:
        return None
    ratio = sp.cancel(norm / loss)
    number, variable = ratio.as_coeff_Mul()
    if not number.is_positive or variable not in form.updates:
        return None
    change = sp.factor(form.updates[variable] - variable)
    odd = [base for base, power in sp.factor_list(change)[1] if power % 2]
    if len(odd) != 1 or odd[0].free_symbols != {variable} or sp.degree(odd[0]) != 1:
        return None
    peak = sp.Symbol("peak", positive=True)
    bounded: Any = _Form(form.variables, (peak,))
    return expression_program(bounded, {"bound": number * variable * peak * _ROUNDING})


def _is_steep(loss: Any, size: Any) -> bool:
    """Whether the loss is a square of what the size is the absolute value of, and less."""
    (own,) = size.args if isinstance(size, sp.Abs) else (size,)
    if not own.is_Symbol or not loss.is_polynomial(own):
        return False
    polynomial = sp.Poly(loss, own)
    return bool(polynomial.degree() == 2 and polynomial.LC() == 1)


def _oscillates(update_map: Any) -> bool:
    """Whether the optimizer is more than gradient descent, or a saddle may pass for a minimum."""
    frame = update_map.frame
    plain = frame.trained == len(frame.names) and update_map.decay == 0
    return not plain or "stability_margin" not in update_map.observables


def _cancels(loss: Any) -> bool:
    """Whether a loss is more than a product of powers, so that its last digits are rounding."""
    return bool(sp.sympify(loss).has(sp.Add))


def _judged(observables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides about a lane, as `loop_program` does."""
    judged = {"loss": observables["loss"]}
    norm = observables.get("grad_norm2")
    if norm is not None:
        judged["grad_norm2"] = norm
        if isinstance(norm, sp.Add):
            judged["rounding"] = sp.Add(*(sp.Abs(term) for term in norm.args))
    return judged


def _size(update_map: Any, groups: Scaling) -> Any:
    """Return |eta f / sqrt(n)| in the groups, or None if it is not a function of them."""
    symbols = {s.name: s for s in (*update_map.variables, *update_map.constants)}
    if not {"f", "eta", "n"} <= set(symbols):
        return None
    size = symbols["eta"] * symbols["f"] / sp.sqrt(symbols["n"])
    found = groups.split(sp.Abs(size))
    return found[1] if found is not None and found[0] == 1 else None


def _scaled_observables(update_map: Any, groups: Scaling) -> tuple[dict[str, Any], Any] | None:
    """Return loss, gradient and margin without their units, and the unit of the loss."""
    kept: dict[str, Any] = {}
    factor: Any = sp.S.One
    for name in ("loss", "grad_norm2", "stability_margin"):
        if name not in update_map.observables:
            continue
        found = groups.split(update_map.observables[name])
        if found is None or (name == "stability_margin" and found[0] != 1):
            return None
        kept[name] = found[1]
        factor = found[0] if name == "loss" else factor
    number, bare = kept["loss"].as_coeff_Mul()
    # A peak does not depend on a positive number in front.
    if not number.is_positive:
        return kept, factor
    return {**kept, "loss": bare}, factor * number
