"""Losses of PyTorch, and how their normalisation compares with the theory's.

The theory's squared loss is (1/2m) sum |f - y|^2 over m samples, summed over the k outputs.
``torch.nn.MSELoss`` divides by m k and lacks the 1/2: it is s = 2/k times the theory's, so that
a learning rate eta with it acts as s eta does in the theory. The scale s is measured, from
second derivatives, and not read off a name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from catapult_theory.errors import InputError, ModelError, unknown_name
from catapult_theory.networks.torch_part import Tensor, torch_part
from catapult_theory.networks.users_code import said

# How far second derivatives may be from a constant, in units of the rounding of the numbers.
_ROUNDINGS = 1e4
_NOT_A_MEAN = (
    'a loss must be a mean over the samples (reduction="mean"), so that its learning rates do '
    "not depend on their number"
)


def _squared(f: Tensor, y: Tensor) -> Tensor:
    return 0.5 * (f - y).square().sum() / len(f)


def _logistic(f: Tensor, y: Tensor) -> Tensor:
    return torch_part().nn.functional.softplus(-y * f).sum() / len(f)


def _mse(f: Tensor, y: Tensor) -> Tensor:
    return torch_part().nn.functional.mse_loss(f, y)


def _cross_entropy(f: Tensor, y: Tensor) -> Tensor:
    return torch_part().nn.functional.cross_entropy(f, y)


NAMED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared": _squared,
    "mse": _mse,
    "cross_entropy": _cross_entropy,
    "logistic": _logistic,
}


@dataclass(frozen=True, eq=False)
class TorchLoss:
    """A loss of outputs and targets, a mean over samples.

    Parameters
    ----------
    name : str
    function : callable
        (outputs, targets) -> scalar tensor.
    """

    name: str
    function: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss, a scalar tensor."""
        return self.function(outputs, targets)

    def gradient(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return dL/df, of the shape of the outputs; the factor 1/m is in it."""
        torch = torch_part()
        with torch.enable_grad():
            free = outputs.detach().requires_grad_()
            return torch.autograd.grad(self.function(free, targets), free)[0]

    def curvature(self, outputs: Tensor, targets: Tensor, direction: Tensor) -> Tensor:
        """Return (d^2 L/df^2) applied to a direction of the outputs; the factor 1/m is in it."""
        torch = torch_part()
        with torch.enable_grad():
            free = outputs.detach().requires_grad_()
            loss = self.function(free, targets)
            (slope,) = torch.autograd.grad(loss, free, create_graph=True)
            if not slope.requires_grad:  # linear in the outputs
                return torch.zeros_like(outputs)
            return torch.autograd.grad(slope, free, grad_outputs=direction)[0]

    def blocks(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return d^2 L/df^2 of each sample, shape (m, k, k); no two samples are coupled."""
        torch = torch_part()
        m, k = len(outputs), outputs[0].numel()
        columns = []
        for j in range(k):
            unit = torch.zeros((m, k), dtype=outputs.dtype, device=outputs.device)
            unit[:, j] = 1.0
            bent = self.curvature(outputs, targets, unit.reshape(outputs.shape))
            columns.append(bent.reshape(m, k))
        return torch.stack(columns, dim=-1)


def get_loss(loss: Any) -> TorchLoss:
    """Return the loss of a name, of a loss of PyTorch, or of a callable.

    Parameters
    ----------
    loss : str, torch.nn.Module or callable
        "squared" (the theory's), "mse" and "cross_entropy" (PyTorch's), "logistic"; or
        (outputs, targets) -> scalar.

    Returns
    -------
    TorchLoss

    Raises
    ------
    InputError
        For an unknown name, or something that cannot be called.
    ModelError
        For a loss with another reduction than "mean".

    Examples
    --------
    >>> get_loss("mse").name
    'mse'
    """
    if isinstance(loss, TorchLoss):
        return loss
    if isinstance(loss, str):
        if loss not in NAMED:
            raise unknown_name("loss", loss, NAMED)
        return TorchLoss(loss, NAMED[loss])
    if not callable(loss):
        raise InputError(
            f"a loss is a name ({', '.join(NAMED)}), a loss of torch.nn, or a function of outputs "
            f"and targets, got {loss!r}"
        )
    reduction = getattr(loss, "reduction", "mean")
    if reduction != "mean":
        raise ModelError(
            f"{type(loss).__name__}(reduction={reduction!r}): {_NOT_A_MEAN}. Write "
            f'{type(loss).__name__}(reduction="mean")'
        )
    name = getattr(loss, "__name__", type(loss).__name__)
    return TorchLoss(str(name), loss)


def check_mean(loss: TorchLoss, outputs: Tensor, targets: Tensor) -> None:
    """Refuse a loss that is not a finite scalar, or not a mean over the samples.

    Parameters
    ----------
    loss : TorchLoss
    outputs : tensor, shape (m, ...)
    targets : tensor, shape (m, ...)

    Raises
    ------
    InputError
        If the loss cannot take these shapes, or is not finite.
    ModelError
        If it is not the mean of its values on parts of the samples.
    """
    torch = torch_part()
    try:
        whole = loss(outputs, targets)
    except (RuntimeError, ValueError, IndexError, TypeError) as cause:
        raise InputError(
            f"the loss {loss.name} cannot compare outputs of shape {tuple(outputs.shape)} with "
            f"targets of shape {tuple(targets.shape)} and type {targets.dtype} ({said(cause)}): "
            "cross entropy takes class numbers of shape (m,), a squared loss targets of the shape "
            "of the outputs"
        ) from cause
    if not isinstance(whole, torch.Tensor):
        raise ModelError(
            f"the loss {loss.name} returns a {type(whole).__name__} and no tensor, so that it has "
            "no derivatives: compute it with operations of PyTorch, without float() and .item()"
        )
    if whole.ndim:
        shape = tuple(whole.shape)
        raise ModelError(f"the loss {loss.name} returns shape {shape} and no scalar: {_NOT_A_MEAN}")
    if not bool(torch.isfinite(whole)):
        raise InputError(
            f"the loss {loss.name} is {float(whole)} at the start: check targets and outputs"
        )
    m = len(outputs)
    if m == 1:
        twice = loss(torch.cat([outputs] * 2), torch.cat([targets] * 2))
        mean, total = twice, twice / 2
    else:
        cut = max(1, m // 3)
        first, rest = loss(outputs[:cut], targets[:cut]), loss(outputs[cut:], targets[cut:])
        mean, total = (cut * first + (m - cut) * rest) / m, first + rest
    allowed = _ROUNDINGS * torch.finfo(outputs.dtype).eps * max(1.0, abs(float(whole)))
    if abs(float(mean - whole)) <= allowed:
        return
    summed = abs(float(total - whole)) <= allowed
    raise ModelError(
        f"the loss {loss.name} is {'a sum over' if summed else 'not a plain mean over'} the "
        f"samples: {_NOT_A_MEAN}; weights of classes or samples are not supported"
    )


def scale_of(loss: TorchLoss, outputs: Tensor, targets: Tensor) -> float | None:
    """Return s where the loss is s times the theory's squared loss (up to a constant), else None.

    The theory's has second derivative 1/m in every output and no other; so s is m times that of
    the loss, if it is the same at two distant points and in random directions.

    Parameters
    ----------
    loss : TorchLoss
    outputs : tensor, shape (m, ...)
    targets : tensor, shape (m, ...)

    Returns
    -------
    float or None
    """
    torch = torch_part()
    draws = np.random.Generator(np.random.Philox(0)).standard_normal((2, *outputs.shape))
    direction, away = (
        torch.as_tensor(d, dtype=outputs.dtype, device=outputs.device) for d in draws
    )
    far = outputs + 10.0 * (1.0 + outputs.abs().max()) * away
    found = []
    for point in (outputs, far):
        bent = loss.curvature(point, targets, direction)
        c = float((direction * bent).sum() / direction.square().sum())
        rest = float((bent - c * direction).abs().max())
        if c <= 0 or rest > _ROUNDINGS * torch.finfo(outputs.dtype).eps * c:
            return None
        found.append(c)
    if abs(found[1] - found[0]) > _ROUNDINGS * torch.finfo(outputs.dtype).eps * found[0]:
        return None
    return float(len(outputs) * found[0])
