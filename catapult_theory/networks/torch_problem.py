"""A user's PyTorch network with data and loss, checked once and then used as pure functions.

The network is copied, and its copy computes in the precision that is asked for; the user's own
stays as it is. Samples go through it in chunks, which bounds the memory of the activations and
changes nothing else, because no sample may depend on another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np

from catapult_theory.errors import InputError, ModelError, unknown_name
from catapult_theory.networks.torch_checks import check_network
from catapult_theory.networks.torch_losses import TorchLoss, check_mean, get_loss, scale_of
from catapult_theory.networks.torch_part import Tensor, differentiable, torch_part
from catapult_theory.networks.users_code import said

Point = dict[str, Tensor]
CHUNK = 1024
PRECISIONS = ("float64", "float32")


@dataclass(frozen=True, eq=False)
class TorchProblem:
    """A network, its trainable parameters at the start, data and loss.

    Parameters
    ----------
    module : torch.nn.Module
        The copy.
    start : dict of str to tensor
        Trainable parameters, detached.
    X, Y : tensor
        One sample a row.
    loss : TorchLoss
    scale : float or None
        s where the loss is s times the theory's squared loss, as found from its second
        derivatives; None for a loss of another kind.
    shape : tuple of int
        (m, ...), the shape of the outputs.
    chunk : int
        Samples that go through the network at a time.
    """

    module: Any
    start: Point
    X: Tensor
    Y: Tensor
    loss: TorchLoss
    scale: float | None
    shape: tuple[int, ...]
    chunk: int

    @property
    def samples(self) -> int:
        """m."""
        return self.shape[0]

    @property
    def outputs(self) -> int:
        """k, the number of outputs of one sample."""
        return int(np.prod(self.shape[1:], dtype=int))

    @property
    def size(self) -> int:
        """P, the number of trainable parameters."""
        return sum(t.numel() for t in self.start.values())

    def chunks(self) -> Iterator[slice]:
        """Yield the samples that go through the network together."""
        for first in range(0, self.samples, self.chunk):
            yield slice(first, min(first + self.chunk, self.samples))

    def network(self, rows: slice) -> Callable[[Point], Tensor]:
        """Return the outputs of some samples as a function of the parameters."""
        torch = torch_part()
        inputs = self.X[rows]

        def outputs(point: Point) -> Tensor:
            return torch.func.functional_call(self.module, point, (inputs,))

        return outputs

    def forward(self, point: Mapping[str, Tensor]) -> Tensor:
        """Return all outputs, without derivatives."""
        torch = torch_part()
        with torch.no_grad(), differentiable():
            return torch.cat([self.network(rows)(dict(point)) for rows in self.chunks()])

    def gradient(self, point: Mapping[str, Tensor]) -> tuple[Tensor, float, Point]:
        """Return outputs, loss and gradient of the loss."""
        torch = torch_part()
        free = {name: t.detach().requires_grad_() for name, t in point.items()}
        total = dict.fromkeys(free, 0.0)
        outputs, loss = [], 0.0
        with torch.enable_grad(), differentiable():
            for rows in self.chunks():
                part = self.network(rows)(free)
                share = (rows.stop - rows.start) / self.samples
                value = share * self.loss(part, self.Y[rows])
                slopes = torch.autograd.grad(value, list(free.values()), materialize_grads=True)
                for name, slope in zip(free, slopes, strict=True):
                    total[name] = total[name] + slope
                outputs.append(part.detach())
                loss += float(value.detach())
        return torch.cat(outputs), loss, total

    def value(self, outputs: Tensor) -> float:
        """Return the loss of outputs."""
        with torch_part().no_grad():
            return float(self.loss(outputs, self.Y))


def torch_problem(
    module: Any,
    X: Any,
    y: Any,
    loss: Any = "squared",
    dtype: str = "float64",
    chunk: int | None = None,
) -> TorchProblem:
    """Check a network, data and loss, and return them ready for use.

    Parameters
    ----------
    module : torch.nn.Module
        Without anything random or in-place, and without coupling of samples: dropout and batch
        normalisation in evaluation mode. Frozen parameters stay as they are.
    X : array or tensor, shape (m, ...)
        Whole numbers are kept as such (tokens).
    y : array or tensor
        Of the shape of the outputs; or class numbers, shape (m,), for cross entropy.
    loss : str, torch.nn.Module or callable
        As for `catapult_theory.networks.torch_losses.get_loss`.
    dtype : str
        "float64", or "float32" for a network that cannot compute in double precision.
    chunk : int, optional
        Samples that go through the network at a time; 1024 when left out.

    Returns
    -------
    TorchProblem

    Raises
    ------
    MissingBackend
        Without PyTorch.
    ModelError
        For a network or loss that cannot be used; the message says what to change.
    InputError
        For data that do not fit, or that are not finite.
    """
    torch = torch_part()
    if dtype not in PRECISIONS:
        raise unknown_name("dtype", dtype, PRECISIONS)
    if chunk is not None and (isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1):
        raise InputError(f"chunk must be a positive whole number of samples, got {chunk!r}")
    criterion = get_loss(loss)
    precision = getattr(torch, dtype)
    inputs, targets = _tensor("X", X, precision), _tensor("y", y, precision)
    if not len(inputs):
        raise InputError("X is empty: one sample is the least")
    if len(inputs) != len(targets):
        raise InputError(
            f"X has {len(inputs)} samples, y has {len(targets)}: one target for each sample"
        )
    copy = _copy(module, precision)
    device = next(copy.parameters()).device if any(True for _ in copy.parameters()) else "cpu"
    inputs, targets = inputs.to(device), targets.to(device)
    outputs = check_network(copy, inputs)
    targets = _fitting(targets, outputs, criterion)
    with differentiable():
        check_mean(criterion, outputs, targets)
        scale = scale_of(criterion, outputs, targets)
    start = {n: p.detach() for n, p in copy.named_parameters() if p.requires_grad}
    shape, together = tuple(outputs.shape), chunk or CHUNK
    return TorchProblem(copy, start, inputs, targets, criterion, scale, shape, together)


def _copy(module: Any, precision: Any) -> Any:
    torch = torch_part()
    if not isinstance(module, torch.nn.Module):
        raise InputError(
            f"{module!r} is not a torch.nn.Module: give the network itself, made with its "
            "parameters"
        )
    try:
        return deepcopy(module).to(precision)
    except (RuntimeError, TypeError) as cause:
        old = any(hasattr(layer, "weight_g") for layer in module.modules())
        remedy = (
            "torch.nn.utils.weight_norm keeps a tensor that PyTorch cannot copy: write the "
            "product g v/|v| in a forward of your own"
            if old
            else "keep only parameters, buffers and modules in it"
        )
        raise ModelError(f"the network cannot be copied ({said(cause)}): {remedy}") from cause


def _tensor(name: str, values: Any, precision: Any) -> Tensor:
    torch = torch_part()
    try:
        tensor = torch.as_tensor(values if torch.is_tensor(values) else np.array(values))
    except (TypeError, ValueError, RuntimeError) as cause:
        raise InputError(f"{name} is not an array of numbers: {cause}") from cause
    if tensor.ndim == 0:
        raise InputError(f"{name} must have one sample a row, got a single number")
    if tensor.is_floating_point():
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{name} holds NaN or infinite values: remove or impute them")
        return tensor.detach().to(precision).clone()
    if tensor.is_complex():
        raise InputError(f"{name} is complex: give real and imaginary parts as features")
    return tensor.detach().to(torch.int64).clone()


def _fitting(targets: Tensor, outputs: Tensor, loss: TorchLoss) -> Tensor:
    """Return targets that the loss compares entry by entry, or class numbers."""
    wanted, given = tuple(outputs.shape), tuple(targets.shape)
    if given == wanted:
        return targets.to(outputs.dtype)
    if not targets.is_floating_point() and loss.name in ("squared", "mse", "MSELoss", "logistic"):
        raise InputError(
            f"y holds whole numbers of shape {given}, the outputs have shape {wanted}: for class "
            "numbers take ct.one_hot(y), or the loss cross_entropy; for numbers to fit give them "
            "the shape of the outputs"
        )
    if targets.is_floating_point():
        if len(given) == 2 and wanted == (given[0], 1):
            digits = " (--data digits is ten classes, ct.digits() tells even from odd)"
            raise InputError(
                f"y has {given[1]} columns{digits if given[1] == 10 else ''}, the network has 1 "
                f"output: let it return {given[1]} outputs, or give one number for each sample, "
                f"of shape ({given[0]}, 1)"
            )
        column = given == (wanted[0],) and wanted == (wanted[0], 1)
        hint = "write y[:, None]" if column else "give y the shape of the outputs"
        raise InputError(
            f"y has shape {given}, the outputs have shape {wanted}, which PyTorch would broadcast "
            f"against each other: {hint}, or let the network return outputs of the shape of y"
        )
    return targets
