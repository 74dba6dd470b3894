"""Products with curvature matrices of a PyTorch network, never with the matrices themselves.

With J = df/dparameters (mk x P) and H = d^2 L/df^2 (blocks of k x k, the factor 1/m in them):

- in sample space, R J J^T R with R R = H, of size mk, by a backward pass and a jvp of torch.func;
- in parameter space, J^T H J, of size P, by curvlinops.

Both have the same non-zero spectrum; the smaller one is the cheaper. The Hessian of the loss has
parameter space alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from catapult_theory.errors import ModelError
from catapult_theory.networks.torch_losses import NAMED, TorchLoss
from catapult_theory.networks.torch_part import (
    Tensor,
    differentiable,
    load_forward_rules,
    torch_part,
)
from catapult_theory.networks.torch_problem import Point, TorchProblem
from catapult_theory.networks.users_code import said

Array = Any
Action = Callable[[Array], Array]
# A block of second derivatives may be negative by so much of its size and count as rounding.
_ROUNDINGS = 1e3


@dataclass(frozen=True, eq=False)
class Operator:
    """A symmetric matrix as its products with vectors.

    Parameters
    ----------
    action : callable
        float64 array of shape (size,) -> array of that shape.
    size : int
    space : str
        "samples" or "parameters".
    to_parameters : callable
        From an eigenvector with its eigenvalue to the unit vector in parameter space.
    """

    action: Action
    size: int
    space: str
    to_parameters: Callable[[Array, float], Array]


def jvp(problem: TorchProblem, point: Point, direction: Point) -> Tensor:
    """Return J t: how the outputs change along a direction of the parameters."""
    torch = torch_part()
    load_forward_rules()
    with differentiable(), _explained():
        parts = [
            torch.func.jvp(problem.network(rows), (point,), (direction,))[1].detach()
            for rows in problem.chunks()
        ]
    return torch.cat(parts)


def _pullback(problem: TorchProblem, point: Point) -> Callable[[Tensor], Point]:
    """Return J^T as a function; the graph of a single chunk is kept for all of its calls."""
    torch = torch_part()
    free = {name: t.detach().requires_grad_() for name, t in point.items()}
    leaves = list(free.values())

    def outputs(rows: slice) -> Tensor:
        with torch.enable_grad(), differentiable(), _explained():
            return problem.network(rows)(free)

    parts = list(problem.chunks())
    kept = outputs(parts[0]) if len(parts) == 1 else None

    def pull(cotangent: Tensor) -> Point:
        total: dict[str, Any] = dict.fromkeys(free, 0.0)
        for rows in parts:
            made = outputs(rows) if kept is None else kept
            slopes = torch.autograd.grad(
                made, leaves, cotangent[rows], retain_graph=kept is not None,
                materialize_grads=True,
            )  # fmt: skip
            for name, slope in zip(free, slopes, strict=True):
                total[name] = total[name] + slope
        return total

    return pull


def flat(point: Mapping[str, Tensor]) -> Array:
    """Return parameters as one float64 array."""
    return _joined(point.values())


def _joined(tensors: Iterable[Tensor]) -> Array:
    torch = torch_part()
    joined = torch.cat([t.detach().reshape(-1) for t in tensors])
    return joined.to("cpu", torch.float64).numpy()


def unflat(vector: Array, like: Mapping[str, Tensor]) -> Point:
    """Return an array as parameters of the shapes of others."""
    torch = torch_part()
    found, first = {}, 0
    for name, t in like.items():
        piece = torch.as_tensor(vector[first : first + t.numel()])
        found[name] = piece.reshape(t.shape).to(t.device, t.dtype)
        first += t.numel()
    return found


def sample_operator(problem: TorchProblem, point: Point, roots: Tensor | None) -> Operator:
    """Return R J J^T R, or J J^T / m without roots.

    Parameters
    ----------
    problem : TorchProblem
    point : dict of str to tensor
    roots : tensor, shape (m, k, k), or None
        The symmetric roots of the blocks of second derivatives.
    """
    torch = torch_part()
    m, k = problem.samples, problem.outputs
    like = next(iter(point.values()))
    pull = _pullback(problem, point)

    def rooted(direction: Array) -> Tensor:
        rows = torch.as_tensor(direction).reshape(m, k).to(like.device, like.dtype)
        rows = rows / np.sqrt(m) if roots is None else torch.einsum("mij,mj->mi", roots, rows)
        return rows.reshape(problem.shape)

    def pulled(direction: Array) -> Point:
        return pull(rooted(direction))

    def action(direction: Array) -> Array:
        image = jvp(problem, point, pulled(direction)).to("cpu", torch.float64).numpy()
        bent = rooted(image.reshape(-1))
        return bent.to("cpu", torch.float64).numpy().reshape(-1)

    def to_parameters(vector: Array, value: float) -> Array:
        direction = flat(pulled(vector))
        length = np.linalg.norm(direction)
        return direction / length if length > 0 else direction

    return Operator(action, m * k, "samples", to_parameters)


def roots_of(problem: TorchProblem, point: Point) -> Tensor | None:
    """Return the roots of the blocks of H, or None where a block is not positive."""
    torch = torch_part()
    blocks = problem.loss.blocks(problem.forward(point), problem.Y)
    values, vectors = torch.linalg.eigh(0.5 * (blocks + blocks.transpose(-1, -2)))
    largest = float(values.abs().max())
    if float(values.min()) < -_ROUNDINGS * torch.finfo(values.dtype).eps * largest:
        return None
    roots = vectors * values.clamp(min=0.0).sqrt()[..., None, :]
    return roots @ vectors.transpose(-1, -2)


def hessian_operator(problem: TorchProblem, point: Point) -> Operator:
    """Return the Hessian of the loss, by two backward passes.

    Not by curvlinops: it differentiates the gradient forward with gradients switched off
    (torch.no_grad), where PyTorch 2.13 gives a Hessian of layer normalisation that is wrong and
    not symmetric; of group normalisation it has no forward derivative at all. Two backward
    passes are right for both.

    Parameters
    ----------
    problem : TorchProblem
    point : dict of str to tensor
    """
    torch = torch_part()
    free = {name: t.detach().requires_grad_() for name, t in point.items()}
    leaves = list(free.values())

    def product(direction: list[Tensor], rows: slice) -> list[Tensor]:
        share = (rows.stop - rows.start) / problem.samples
        loss = share * problem.loss(problem.network(rows)(free), problem.Y[rows])
        slopes = torch.autograd.grad(loss, leaves, create_graph=True, materialize_grads=True)
        along = sum((s * d).sum() for s, d in zip(slopes, direction, strict=True))
        if not along.requires_grad:  # the loss is linear in the parameters
            return [torch.zeros_like(d) for d in direction]
        return torch.autograd.grad(along, leaves, materialize_grads=True)

    def action(vector: Array) -> Array:
        direction = list(unflat(vector, point).values())
        with torch.enable_grad(), differentiable(), _explained():
            parts = [_joined(product(direction, rows)) for rows in problem.chunks()]
        return np.sum(parts, axis=0)

    return Operator(action, problem.size, "parameters", lambda vector, value: vector)


def ggn_operator(problem: TorchProblem, point: Point, kind: str = "ggn") -> Operator:
    """Return J^T H J, or J^T J / m, in parameter space, by curvlinops.

    Parameters
    ----------
    problem : TorchProblem
    point : dict of str to tensor
    kind : str
        "ggn" or "ntk".
    """
    torch, curvlinops = torch_part(), torch_part("curvlinops")
    load_forward_rules()
    module = deepcopy(problem.module)
    free = dict(module.named_parameters())
    with torch.no_grad():
        for name, value in point.items():
            free[name].copy_(value)
    loss = TorchLoss("squared", NAMED["squared"]) if kind == "ntk" else problem.loss
    targets = torch.zeros_like(problem.forward(point)) if kind == "ntk" else problem.Y
    data = [(problem.X[rows], targets[rows]) for rows in problem.chunks()]
    # Whether the network is deterministic was checked when the problem was made.
    matrix = curvlinops.GGNLinearOperator(
        module, _as_module(loss), [free[n] for n in point], data, check_deterministic=False,
        num_data=problem.samples,
    )  # fmt: skip
    like = next(iter(point.values()))

    def action(direction: Array) -> Array:
        with differentiable(), _explained():
            image = matrix @ torch.as_tensor(direction).to(like.device, like.dtype)
        return image.detach().to("cpu", torch.float64).numpy()

    return Operator(action, problem.size, "parameters", lambda vector, value: vector)


def rounding_of(problem: TorchProblem, point: Point, kind: str) -> float:
    """Return how far rounding alone may move the eigenvalues of a curvature matrix.

    A softmax of distant outputs has second derivatives p (1 - p) and slopes p - 1 that cancel, and
    may be smaller than the rounding of what they are made of. At outputs of zero nothing cancels:
    B is the matrix with the loss taken there and the network where it is. A product with it is a
    chain of sums of N = P + mk terms at most, each off by N roundings of what it adds, so that
    the eigenvalues are off by N eps norm(B). The norm is at most that of Frobenius, which is the
    root of the mean square of B v over standard normal v; one v is drawn.

    Parameters
    ----------
    problem : TorchProblem
    point : dict of str to tensor
    kind : str
        "ntk", "ggn" or "hessian".

    Returns
    -------
    float
        Infinite nowhere: zero where the loss has no finite derivatives at outputs of zero.
    """
    torch = torch_part()
    draw = np.random.Generator(np.random.Philox(0)).standard_normal(problem.size)
    along = jvp(problem, point, unflat(draw, point))
    zero = torch.zeros_like(along)
    bent = along / problem.samples
    if kind != "ntk":
        bent = problem.loss.curvature(zero, problem.Y, along)
    image = flat(_pullback(problem, point)(bent))
    if kind == "hessian":
        slopes = problem.samples * problem.loss.gradient(zero, problem.Y)
        fixed = TorchLoss("along", lambda f, g: (f * g).sum() / len(f))
        image = image + hessian_operator(replace(problem, loss=fixed, Y=slopes), point).action(draw)
    length = float(np.linalg.norm(image))
    terms = problem.size + problem.samples * problem.outputs
    return terms * torch.finfo(along.dtype).eps * length if np.isfinite(length) else 0.0


@contextmanager
def _explained() -> Iterator[None]:
    """Turn PyTorch's word on an operation without a second derivative into the toolkit's."""
    try:
        yield
    except (RuntimeError, NotImplementedError) as cause:
        raise ModelError(
            f"the network or the loss cannot be differentiated twice by PyTorch ({said(cause)}): "
            "replace the operation that is named"
        ) from cause


def _as_module(loss: TorchLoss) -> Any:
    """Return the loss as curvlinops takes it."""
    from torch.nn import Module

    class Mean(Module):
        reduction = "mean"

        def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
            return loss(outputs, targets)

    return Mean()
