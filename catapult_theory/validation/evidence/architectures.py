"""The networks of the evidence: perceptrons, convolutional and residual networks.

None has biases in its perceptron form: inputs are scaled to mean |x|^2 = 1, so that unit weights
give hidden units of order one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from catapult_theory.errors import InputError
from catapult_theory.networks.torch_part import Tensor, torch_part
from catapult_theory.validation.evidence.rows import Network

Module = Any
# Of group normalisation: channels that are normalised together are a fourth of all.
GROUPS = 4


@dataclass(frozen=True)
class Sizes:
    """What a network takes and gives.

    Parameters
    ----------
    inputs, outputs : int
        d and k.
    channels : int
        Of images.
    """

    inputs: int
    outputs: int
    channels: int

    @property
    def side(self) -> int:
        """Pixels of an image in either direction."""
        pixels = self.inputs // self.channels
        side = math.isqrt(pixels)
        if side * side * self.channels != self.inputs:
            raise InputError(
                f"a convolutional network needs square images, got {pixels} pixels and "
                f"{self.channels} channels"
            )
        return side

    def images(self, x: Tensor) -> Tensor:
        """Return rows as images with pixels of order one, as PyTorch's initialisation expects."""
        shaped = x.reshape(len(x), self.channels, self.side, self.side)
        return shaped * math.sqrt(self.inputs)


def make_network(
    spec: Network, width: int, inputs: int, outputs: int, seed: int, channels: int = 1
) -> Module:
    """Return a network at a random start.

    Parameters
    ----------
    spec : Network
    width : int
    inputs, outputs : int
        d and k.
    seed : int
        The user's stream of random numbers goes on as it was.
    channels : int
        Of images, which the inputs hold one after the other.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    MissingBackend
        Without PyTorch.
    InputError
        For a convolutional network on inputs that are no square images.
    """
    torch = torch_part()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return _BUILDERS[spec.kind](spec, width, Sizes(inputs, outputs, channels)).double()


def subtracted(network: Module) -> Module:
    """Return a network minus a frozen copy of its start, so that it starts at zero.

    Its tangent kernel is that of the network.

    Parameters
    ----------
    network : torch.nn.Module

    Returns
    -------
    torch.nn.Module
    """
    frozen = deepcopy(network).requires_grad_(False)
    parts = {"network": network, "start": frozen}
    return _composed(parts, lambda p, x: p["network"](x) - p["start"](x))


def _composed(parts: Mapping[str, Module], forward: Callable[[Any, Tensor], Tensor]) -> Module:
    """Return a module of named parts; the class is made here because PyTorch is optional."""
    nn: Any = torch_part().nn
    base: Any = nn.Module

    class Composed(base):
        """Parts, and how an input goes through them."""

        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleDict(parts)

        def forward(self, x: Tensor) -> Tensor:
            return forward(self.parts, x)

    return Composed()


def _activation(name: str) -> Callable[[Tensor], Tensor]:
    functional = torch_part().nn.functional
    return {
        "linear": lambda z: z, "relu": functional.relu, "tanh": torch_part().tanh,
        "gelu": functional.gelu,
    }[name]  # fmt: skip


def _perceptron(spec: Network, width: int, ends: Sizes) -> Module:
    """Return f = W sigma(...sigma(W_1 x)) with 1/sqrt(n) before every layer but the first.

    The same function in both parametrisations; "standard" has the factors in the weights.
    """
    nn = torch_part().nn
    sizes = [ends.inputs, *[width] * spec.hidden, ends.outputs]
    layers, factors = {}, []
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        layer = nn.Linear(fan_in, fan_out, bias=False)
        factor = 1.0 if i == 0 else 1 / math.sqrt(fan_in)
        inside = spec.parametrisation == "standard"
        nn.init.normal_(layer.weight, std=factor if inside else 1.0)
        layers[f"layer{i}"] = layer
        factors.append(1.0 if inside else factor)
    act = _activation(spec.activation)

    def forward(parts: Any, x: Tensor) -> Tensor:
        for i, factor in enumerate(factors):
            x = factor * parts[f"layer{i}"](act(x) if i else x)
        return x

    return _composed(layers, forward)


def _convolutional(spec: Network, width: int, ends: Sizes) -> Module:
    """Return 3 x 3 convolutions, strided from the second on, a mean over the image, a readout."""
    nn = torch_part().nn
    fans = [ends.channels, *[width] * spec.hidden]
    parts = {
        f"layer{i}": nn.Conv2d(fan_in, fan_out, 3, stride=2 if i else 1, padding=1)
        for i, (fan_in, fan_out) in enumerate(pairwise(fans))
    }
    parts["readout"] = nn.Linear(width, ends.outputs)
    act = _activation(spec.activation)

    def forward(parts: Any, x: Tensor) -> Tensor:
        x = ends.images(x)
        for i in range(spec.hidden):
            x = act(parts[f"layer{i}"](x))
        return parts["readout"](x.mean(dim=(2, 3)))

    return _composed(parts, forward)


def _residual(spec: Network, width: int, ends: Sizes) -> Module:
    """Return blocks x + W sigma(LayerNorm(x)) between two linear maps, the last normalised."""
    nn = torch_part().nn
    parts = {"first": nn.Linear(ends.inputs, width), "readout": nn.Linear(width, ends.outputs)}
    for i in range(spec.hidden):
        parts[f"norm{i}"] = nn.LayerNorm(width)
        parts[f"layer{i}"] = nn.Linear(width, width)
    parts["norm"] = nn.LayerNorm(width)
    act = _activation(spec.activation)

    def forward(parts: Any, x: Tensor) -> Tensor:
        x = parts["first"](x)
        for i in range(spec.hidden):
            x = x + parts[f"layer{i}"](act(parts[f"norm{i}"](x)))
        return parts["readout"](parts["norm"](x))

    return _composed(parts, forward)


def _residual_convolutional(spec: Network, width: int, ends: Sizes) -> Module:
    """Return blocks x + conv(sigma(GroupNorm(x))) between a convolution and a readout.

    3 x 3 convolutions throughout; the last images are normalised and averaged.
    """
    nn = torch_part().nn
    parts = {
        "first": nn.Conv2d(ends.channels, width, 3, padding=1),
        "readout": nn.Linear(width, ends.outputs),
    }
    for i in range(spec.hidden):
        parts[f"norm{i}"] = nn.GroupNorm(GROUPS, width)
        parts[f"layer{i}"] = nn.Conv2d(width, width, 3, padding=1)
    parts["norm"] = nn.GroupNorm(GROUPS, width)
    act = _activation(spec.activation)

    def forward(parts: Any, x: Tensor) -> Tensor:
        x = parts["first"](ends.images(x))
        for i in range(spec.hidden):
            x = x + parts[f"layer{i}"](act(parts[f"norm{i}"](x)))
        return parts["readout"](parts["norm"](x).mean(dim=(2, 3)))

    return _composed(parts, forward)


_BUILDERS: Mapping[str, Callable[[Network, int, Sizes], Module]] = {
    "mlp": _perceptron,
    "conv": _convolutional,
    "residual": _residual,
    "residual-conv": _residual_convolutional,
}
