"""A network whose velocities are recorded with its parameters.

Under momentum the closed dynamics follows inner products of parameters and velocities. Here
the velocities are arrays of the network beside its parameters, moved by the same raw rule,
so that one Gram matrix of width-n columns holds them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from catapult_theory.networks import optimizers
from catapult_theory.networks.composite import Composite, GradientAt
from catapult_theory.networks.optimizers import Buffers, Optimizer, Rates
from catapult_theory.networks.parameters import Array, Network, Parameters, Shapes, frozen_of

PREFIX = "velocity of "


@dataclass(frozen=True, eq=False)
class WithVelocities:
    """A network that carries a velocity array beside each parameter; its output ignores them.

    Parameters
    ----------
    base : Network

    Examples
    --------
    >>> from catapult_theory.networks import UVNetwork
    >>> list(WithVelocities(UVNetwork()).shapes)
    ['u', 'v', 'velocity of u', 'velocity of v']
    """

    base: Network

    @property
    def shapes(self) -> Shapes:
        """Parameters, then their velocities in the same order."""
        own = self.base.shapes
        return {**own, **{PREFIX + name: own[name] for name in self._moving}}

    @property
    def frozen(self) -> tuple[str, ...]:
        """The parameters that the network holds fixed; they have no velocity."""
        return frozen_of(self.base)

    @property
    def _moving(self) -> tuple[str, ...]:
        return tuple(name for name in self.base.shapes if name not in self.frozen)

    @property
    def label(self) -> Any:
        """The label of the network."""
        return self.base.label

    def forward(self, parameters: Mapping[str, Array], X: Any) -> Array:
        """Return the outputs of the network."""
        return self.base.forward(self._own(parameters), X)

    def backpropagate(
        self, parameters: Mapping[str, Array], X: Any, output_gradient: Callable[[Array], Array]
    ) -> tuple[Array, Parameters]:
        """Return outputs and gradient; that of the velocities is zero."""
        outputs, gradient = self.base.backpropagate(self._own(parameters), X, output_gradient)
        zeros = {PREFIX + name: np.zeros_like(gradient[name]) for name in self._moving}
        return outputs, {**gradient, **zeros}

    def jvp(self, parameters: Mapping[str, Array], X: Any, tangent: Mapping[str, Array]) -> Array:
        """Return the derivative of the outputs along the parameters' part of a direction."""
        return self.base.jvp(self._own(parameters), X, self._own(tangent))

    def at_rest(self, parameters: Mapping[str, Array]) -> Parameters:
        """Return a start of the network with velocities zero."""
        zeros = {PREFIX + name: np.zeros_like(parameters[name]) for name in self._moving}
        return {**parameters, **zeros}

    def _own(self, parameters: Mapping[str, Array]) -> Parameters:
        return {name: parameters[name] for name in self.base.shapes}


@dataclass(frozen=True)
class VelocityRule:
    """A momentum rule of the networks, on parameters and velocities that travel together.

    Parameters
    ----------
    rule : Optimizer
        With a single buffer.

    Examples
    --------
    >>> VelocityRule().name
    'heavy_ball'
    """

    rule: Optimizer = field(default_factory=optimizers.HeavyBall)

    @property
    def name(self) -> str:
        """The name of the rule."""
        return self.rule.name

    def buffers(self, parameters: Mapping[str, Array]) -> Buffers:
        """Return no buffers: the velocities are parameters."""
        return {}

    def step(
        self,
        parameters: Parameters,
        buffers: Buffers,
        gradient: Parameters,
        rates: Rates,
        number: int,
    ) -> tuple[Parameters, Buffers]:
        """Return parameters and velocities after one step of the rule."""
        own = {name: a for name, a in parameters.items() if PREFIX + name in parameters}
        velocity = {name: parameters[PREFIX + name] for name in own}
        slope = {name: gradient[name] for name in own}
        new, moved = self.rule.step(own, {"P": velocity}, slope, rates, number)
        held = {name: a for name, a in parameters.items() if name not in own}
        return {**held, **new, **{PREFIX + name: a for name, a in moved["P"].items()}}, buffers

    def threshold(self, rates: Rates) -> Array | None:
        """Return the bound of the rule on eta * curvature."""
        return self.rule.threshold(rates)


@dataclass(frozen=True)
class CompositeVelocities:
    """A composite rule with momentum, on parameters and buffers that travel together.

    Parameters
    ----------
    rule : Composite

    Examples
    --------
    >>> CompositeVelocities(Composite("nesterov")).name
    'nesterov'
    """

    rule: Composite

    @property
    def name(self) -> str:
        """The name of the rule."""
        return self.rule.name

    @property
    def momentum(self) -> str:
        """Its kind of momentum."""
        return self.rule.momentum

    def buffers(self, parameters: Mapping[str, Array]) -> Buffers:
        """Return no buffers: the velocities are parameters."""
        return {}

    def advance(
        self,
        parameters: Parameters,
        buffers: Buffers,
        gradient_at: GradientAt,
        rates: Rates,
    ) -> tuple[Parameters, Buffers]:
        """Return parameters and velocities after one step of the rule."""
        own = {name: a for name, a in parameters.items() if not name.startswith(PREFIX)}
        velocity = {name: parameters[PREFIX + name] for name in own}

        new, moved = self.rule.advance(own, {"P": velocity}, gradient_at, rates)
        return {**new, **{PREFIX + name: a for name, a in moved["P"].items()}}, buffers

    def effective_decay(self, rates: Rates) -> Array:
        """Return the weight decay that the loss effectively has."""
        return self.rule.effective_decay(rates)

    def threshold(self, rates: Rates) -> Array | None:
        """Return the bound of the rule on eta * curvature."""
        return self.rule.threshold(rates)
