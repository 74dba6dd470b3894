"""How the network of a row is trained, as it stands in the criteria file.

The linear threshold of each, in eta times curvature, is derived by the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catapult_theory.errors import InputError, unknown_name
from catapult_theory.networks.torch_optimizers import (
    FULL_BATCH,
    HeavyBall,
    MiniBatches,
    TorchOptimizer,
)
from catapult_theory.symbolic.batches import Batches


@dataclass(frozen=True)
class FullBatch:
    """Gradient descent on all samples.

    Examples
    --------
    >>> FullBatch().threshold
    2.0
    """

    name: str = "gd"

    @property
    def threshold(self) -> float:
        """The eta * curvature at which a minimum loses its linear stability."""
        from catapult_theory.symbolic.optimizers import gd

        return float(gd().stability_threshold())

    def trainer(self, seed: int) -> TorchOptimizer:
        """Return what trains the network of a start."""
        return FULL_BATCH

    def __str__(self) -> str:
        return "gradient descent"


@dataclass(frozen=True)
class Momentum:
    """Heavy ball on all samples, P' = beta P - eta grad, theta' = theta + P'.

    Parameters
    ----------
    momentum : float
        beta.

    Raises
    ------
    InputError
        If it does not lie in (0, 1).

    Examples
    --------
    >>> Momentum(0.9).threshold
    3.8
    """

    momentum: float
    name: str = "momentum"

    def __post_init__(self) -> None:
        if not 0 < self.momentum < 1:
            raise InputError(f"momentum must lie between 0 and 1, got {self.momentum!r}")

    @property
    def threshold(self) -> float:
        """The eta * curvature at which a minimum loses its linear stability, 2 (1 + beta)."""
        from catapult_theory.symbolic.optimizers import heavy_ball

        return float(heavy_ball(self.momentum).stability_threshold())

    def trainer(self, seed: int) -> TorchOptimizer:
        """Return what trains the network of a start."""
        return HeavyBall(self.momentum)

    def __str__(self) -> str:
        return f"momentum {self.momentum:g}"


@dataclass(frozen=True)
class MiniBatch:
    """Gradient descent on mini-batches without replacement, a new order in every epoch.

    Parameters
    ----------
    batch : int
        Samples in a batch; those of an epoch that do not fill one are left out.

    Raises
    ------
    InputError
        If it is not positive.

    Examples
    --------
    >>> print(MiniBatch(32), MiniBatch(32).threshold)
    mini-batches of 32 None
    """

    batch: int
    name: str = "sgd"

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise InputError(f"batch must be at least 1, got {self.batch}")

    @property
    def threshold(self) -> None:
        """None: the kernel differs from batch to batch."""
        return None

    def trainer(self, seed: int) -> TorchOptimizer:
        """Return what trains the network of a start, in an order of its own."""
        return MiniBatches(Batches(self.batch, "epochs", seed))

    def __str__(self) -> str:
        return f"mini-batches of {self.batch}"


Optimizer = FullBatch | Momentum | MiniBatch
NAMES: tuple[str, ...] = ("gd", "momentum", "sgd")
# Of each its key beside the name, and that key's type.
_NUMBERS: Mapping[str, tuple[str, Any]] = {
    "momentum": ("momentum", (int, float)),
    "sgd": ("batch", int),
}


def optimizer_of(table: Mapping[str, Any]) -> Optimizer:
    """Return the optimizer of a table of the criteria file.

    Parameters
    ----------
    table : mapping
        ``name`` "gd"; "momentum" with ``momentum``; "sgd" with ``batch``.

    Returns
    -------
    FullBatch, Momentum or MiniBatch

    Raises
    ------
    InputError
        For an unknown name or key, one that is missing, or a number out of range.

    Examples
    --------
    >>> optimizer_of({"name": "sgd", "batch": 32})
    MiniBatch(batch=32, name='sgd')
    """
    name = table.get("name")
    if name not in NAMES:
        raise unknown_name("optimizer.name", str(name), NAMES)
    key, kinds = _NUMBERS.get(name, ("", int))
    for given in table:
        if given not in ("name", key):
            raise unknown_name(f"key of optimizer {name}", given, [k for k in ("name", key) if k])
    if not key:
        return FullBatch()
    number = table.get(key)
    if isinstance(number, bool) or not isinstance(number, kinds):
        raise InputError(f"optimizer {name} needs {key}, a number, got {number!r}")
    return Momentum(float(number)) if name == "momentum" else MiniBatch(number)
