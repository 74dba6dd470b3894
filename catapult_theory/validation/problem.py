"""What a validation trains: a network, its raw rule and loss, read off the symbolic objects.

Only names and numbers pass from the symbolic side: which optimizer, which momentum, which
loss. The rules themselves are those of the networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import autograd.numpy as anp
import numpy as np
import sympy as sp
from autograd.tracer import getval

from catapult_theory.errors import InputError, NotClosed, unknown_name
from catapult_theory.networks.composite import Composite
from catapult_theory.networks.optimizers import NAMED as RULES
from catapult_theory.symbolic import losses, models, optimizers
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.schedules import peaks_and_schedules
from catapult_theory.symbolic.symbols import f, y
from catapult_theory.symbolic.update_map import UpdateMap
from catapult_theory.validation.forward_pass import evaluated, network_of
from catapult_theory.validation.velocities import (
    CompositeVelocities,
    VelocityRule,
    WithVelocities,
)


@dataclass(frozen=True)
class RawRule:
    """An optimizer of the networks, with the numbers that it needs.

    Parameters
    ----------
    rule : str or Composite
        A name, or parts.
    given : mapping
        ``beta``, ``weight_decay`` and ``numbers`` of `train_network`; peaks where scheduled.
    has_buffer : bool
        Whether velocities travel with the parameters.
    """

    rule: Any
    given: Mapping[str, Any]
    has_buffer: bool = False

    @property
    def name(self) -> str:
        """The name of the rule."""
        return self.rule if isinstance(self.rule, str) else str(self.rule.name)


@dataclass(frozen=True, eq=False)
class Pairing:
    """One training seen from both sides: the network, and the update map where there is one.

    Parameters
    ----------
    model : Model
    network : Network
        With velocities beside its parameters under momentum.
    rule : str or Optimizer
        What the networks train with.
    loss : str or callable
    rates : RawRule
    update_map : UpdateMap or None
        None where the dynamics does not close.
    constants : mapping
        Values of the update map's parameters besides eta and n.
    loss_name, optimizer_name : str
        As the symbolic side calls them.
    """

    model: Model
    network: Any
    rule: Any
    loss: Any
    rates: RawRule
    update_map: UpdateMap | None
    constants: Mapping[str, Any]
    loss_name: str
    optimizer_name: str

    def raw_start(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a start of the network: any velocities are zero."""
        if isinstance(self.network, WithVelocities):
            return self.network.at_rest(parameters)
        return parameters

    @property
    def own_shapes(self) -> Mapping[str, Any]:
        """The shapes of the parameters without velocities."""
        base = self.network.base if isinstance(self.network, WithVelocities) else self.network
        shapes: Mapping[str, Any] = base.shapes
        return shapes


def pair(
    model: Any,
    data: Any = None,
    optimizer: Any = "gd",
    loss: Any = "squared",
    **constants: Any,
) -> Pairing:
    """Return both sides of a training.

    Parameters
    ----------
    model : Model or str
        A model, or a name of the zoo (matrix models take their sizes from the data).
    data : pair (X, Y) or Dataset, optional
    optimizer : str or Optimizer
        Of `ct.optimizers`, or a name.
    loss : str, Loss or sympy.Expr
    **constants
        Values of the model's and the optimizer's symbols: ``y``, ``beta``, ``omega``, ...

    Returns
    -------
    Pairing

    Raises
    ------
    InputError
        If a value is missing or has no use, or if the networks have no such rule.

    Examples
    --------
    >>> pair("uv", optimizer="heavy_ball", beta=0.5).update_map.state._fields[:2]
    ('f', 'lam')
    """
    chosen = model_of(model, data)
    rates = raw_rule(optimizer, constants)
    own = {s.name for s in chosen.parameters}
    rest = _unused(optimizer, own, constants)
    network: Any = network_of(chosen, data, **{k: v for k, v in constants.items() if k in rest})
    update_map = _derived(chosen, losses.get(loss), optimizers.get(optimizer))
    rule: Any = rates.rule
    if rates.has_buffer:
        network = WithVelocities(network)
        rule = VelocityRule() if isinstance(rule, str) else CompositeVelocities(rule)
    return Pairing(
        model=chosen, network=network, rule=rule, loss=raw_loss(loss), rates=rates,
        update_map=update_map, constants=dict(constants), loss_name=losses.get(loss).name,
        optimizer_name=optimizers.get(optimizer).name,
    )  # fmt: skip


def model_of(model: Any, data: Any = None) -> Model:
    """Return the model, found in the zoo if it is a name.

    Parameters
    ----------
    model : Model or str
    data : pair (X, Y) or Dataset, optional
        Gives the matrix models their sizes.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        For an unknown name, or something that is not a model.

    Examples
    --------
    >>> model_of("uv").name
    'uv'
    """
    if isinstance(model, Model):
        return model
    if model in models.FROM_DATA and data is not None:
        X, Y = (np.asarray(a) for a in data)
        return models.FROM_DATA[model](X.shape[1], 1 if Y.ndim == 1 else Y.shape[1])
    if not isinstance(model, str):
        names = ", ".join(models.NAMED)
        raise InputError(f"a model is a ct.Model or one of {names}, not {model!r}")
    return models.get(model)


def raw_rule(optimizer: Any, constants: Mapping[str, Any]) -> RawRule:
    """Return the networks' rule of an optimizer, its symbols replaced by numbers.

    Parameters
    ----------
    optimizer : str or Optimizer
    constants : mapping
        Values of ``beta``, ``omega``, ``rho`` and ``clip`` where they are symbols.

    Returns
    -------
    RawRule

    Raises
    ------
    InputError
        If a value is missing, or the networks have no such rule.

    Examples
    --------
    >>> raw_rule("heavy_ball", {"beta": 0.9}).name
    'heavy_ball'
    """
    rule = optimizers.get(optimizer)
    if isinstance(rule, optimizers.Coordinatewise):
        if rule.name not in RULES:
            raise unknown_name("optimizer of networks", rule.name, RULES)
        return RawRule(rule.name, {"beta": 0.0, "weight_decay": 0.0})
    recipe = rule.recipe
    if recipe is None:
        raise InputError(
            f"brute-force training has no rule for {rule.name}: build it from gd, a momentum rule "
            "and what composes them in ct.optimizers"
        )
    peaks, _ = peaks_and_schedules(dict(constants))
    used = {"rho": recipe.ascent != "none", "clip": recipe.rescaling == "clip"}
    numbers = {k: evaluated(getattr(recipe, k), peaks) for k, wanted in used.items() if wanted}
    given = {
        "beta": evaluated(sp.sympify(recipe.beta), peaks),
        "weight_decay": evaluated(sp.sympify(recipe.omega), peaks),
        "numbers": numbers,
    }
    parts = (recipe.decay, recipe.rescaling, recipe.ascent)
    buffered = recipe.momentum != "none"
    if parts == ("coupled", "none", "none") and recipe.momentum in ("none", "heavy_ball"):
        return RawRule("heavy_ball" if buffered else "gd", given, buffered)
    return RawRule(Composite(recipe.momentum, *parts), given, buffered)


def raw_loss(loss: Any) -> Any:
    """Return the networks' own loss of that name, or the expression as an autograd function.

    Parameters
    ----------
    loss : str, Loss or sympy.Expr

    Returns
    -------
    str or callable

    Raises
    ------
    InputError, ModelError
        If the loss cannot be understood.

    Examples
    --------
    >>> raw_loss("logistic")
    'logistic'
    """
    cost = losses.get(loss)
    if losses.NAMED.get(cost.name) == cost or not isinstance(cost, losses.Loss):
        return cost.name
    if isinstance(cost.expression, sp.Piecewise):
        return _by_pieces(cost.expression)
    return sp.lambdify([f, y], cost.expression, modules=[anp])


def _by_pieces(expression: sp.Piecewise) -> Any:
    """Return a piecewise loss of arrays: of each entry the first piece whose condition holds."""
    pieces = [
        (sp.lambdify([f, y], piece, modules=[anp]), sp.lambdify([f, y], condition, modules="numpy"))
        for piece, condition in expression.args
    ]

    def loss(F: Any, Y: Any) -> Any:
        total, left = 0.0, np.ones(np.shape(getval(F)), dtype=bool)
        for piece, condition in pieces:
            here = left & np.asarray(condition(getval(F), getval(Y)), dtype=bool)
            left = left & ~here
            total = total + anp.where(here, piece(F, Y), 0.0)
        return total

    return loss


@lru_cache(maxsize=64)  # comparisons at several widths and seeds share one derivation
def _derived(model: Model, loss: Any, optimizer: Any) -> UpdateMap | None:
    try:
        return derive(model, loss, optimizer)
    except NotClosed:
        return None


def closed_map(both: Pairing, optimizer: Any, loss: Any) -> UpdateMap:
    """Return the update map of a pair, which must have one.

    Parameters
    ----------
    both : Pairing
    optimizer : str or Optimizer
    loss : str, Loss or sympy.Expr
        As `pair` was given them.

    Returns
    -------
    UpdateMap

    Raises
    ------
    NotClosed
        As `derive` says it, with the first term that leaves.

    Examples
    --------
    >>> closed_map(pair("uv"), "gd", "squared").state._fields
    ('f', 'lam')
    """
    if both.update_map is not None:
        return both.update_map
    return derive(both.model, losses.get(loss), optimizers.get(optimizer))


def _unused(optimizer: Any, own: set[str], constants: Mapping[str, Any]) -> set[str]:
    """Return the constants that belong to the model, having refused those of nobody."""
    rule = optimizers.get(optimizer)
    taken = {s.name for s in getattr(rule, "parameters", ())}
    for name in constants:
        if name not in own | taken or name in ("eta", "n"):
            known = sorted((own | taken) - {"n", "eta"})
            raise unknown_name("parameter", name, known or ["eta", "n"])
    return own & set(constants)
