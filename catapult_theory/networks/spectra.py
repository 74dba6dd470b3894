"""Spectra of the tangent kernel, of the Gauss-Newton matrix and of the Hessian, matrix-free.

For any PyTorch network f with m samples and k outputs, taken together, and any loss L that is a
mean over the samples. With J = df/dparameters:

- ``ntk``: Theta/m = J J^T / m, whose largest eigenvalue is the theory's lambda (theory,
  section 1). One output alone misstates it.
- ``ggn``: J^T (d^2 L/df^2) J. Gradient descent on L leaves the linear regime at
  eta = 2 / its largest eigenvalue. For a loss that is s times the theory's squared loss it is
  s times ``ntk`` (torch.nn.MSELoss: s = 2/k), so that eta * ggn is the theory's eta * lambda.
- ``hessian``: the second derivative of L; its largest eigenvalue is called the sharpness.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from catapult_theory.errors import InputError, unknown_name
from catapult_theory.networks.eigenvalues import leading_eigenpairs, memory_needed
from catapult_theory.networks.spectra_operators import (
    Operator,
    ggn_operator,
    hessian_operator,
    roots_of,
    rounding_of,
    sample_operator,
)
from catapult_theory.networks.torch_part import Tensor
from catapult_theory.networks.torch_problem import TorchProblem, torch_problem

Array = Any
KINDS = ("ntk", "ggn", "hessian")
SPACES = ("auto", "samples", "parameters")
# Largest residual over the largest eigenvalue: some hundred roundings of a product in float32.
TOLERANCES = {"float64": 1e-7, "float32": 1e-4}
MEMORY = 2 * 2**30


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The leading eigenvalues of a curvature matrix with their bounds.

    Parameters
    ----------
    kind : str
        "ntk", "ggn" or "hessian".
    values : array, shape (count,)
        In descending order.
    residuals : array, shape (count,)
        |A x - theta x| of each: an eigenvalue lies within it. That the values are the largest
        rests on the Lanczos method from a random start. Where all values are below the rounding of
        what the matrix is made of, that rounding: they are zero as far as can be computed.
    space : str
        "samples" or "parameters": where the products were taken.
    size : int
        The dimension of that space.
    memory : int
        Bytes kept for the search, besides those of one chunk of samples.
    vectors : array, shape (size, count)
        Eigenvectors in that space.
    operator : Operator
    """

    kind: str
    values: Array
    residuals: Array
    space: str
    size: int
    memory: int
    vectors: Array
    operator: Operator

    @property
    def top(self) -> float:
        """The largest eigenvalue."""
        return float(self.values[0])

    def directions(self) -> Array:
        """Return unit vectors in parameter space that belong to the values.

        Returns
        -------
        array, shape (P, count)
            Orthonormal, where no value is zero.
        """
        pairs = zip(self.vectors.T, self.values, strict=True)
        return np.stack([self.operator.to_parameters(x, v) for x, v in pairs], axis=-1)

    def __str__(self) -> str:
        listed = ", ".join(f"{v:.6g}" for v in self.values)
        return (
            f"{self.kind}: {listed} (residuals at most {self.residuals.max():.1e}; {self.space}, "
            f"size {self.size}, {self.memory / 2**20:.1f} MiB)"
        )


@dataclass(frozen=True, eq=False)
class Spectra:
    """The three spectra of one network at one point.

    Parameters
    ----------
    ntk, ggn, hessian : Spectrum
    scale : float or None
        s where the loss is s times the theory's squared loss.
    samples, outputs, parameters : int
        m, k and P.
    """

    ntk: Spectrum
    ggn: Spectrum
    hessian: Spectrum
    scale: float | None
    samples: int
    outputs: int
    parameters: int

    @property
    def lam(self) -> float:
        """The theory's lambda, the largest eigenvalue of Theta/m."""
        return self.ntk.top

    @property
    def sharpness(self) -> float:
        """The largest eigenvalue of the Hessian of the loss."""
        return self.hessian.top

    @property
    def eta_crit(self) -> float:
        """2 over the largest eigenvalue of the Gauss-Newton matrix, for the loss as it is."""
        return 2.0 / self.ggn.top if self.ggn.top > 0 else float("inf")

    def __str__(self) -> str:
        counts = f"{self.samples} samples, {self.outputs} outputs, {self.parameters} parameters"
        lines = [counts, *(f"  {s}" for s in (self.ntk, self.ggn, self.hessian))]
        return "\n".join([*lines, f"  {normalisation(self.scale)}"])


def normalisation(scale: float | None) -> str:
    """Return how learning rates of a loss compare with the theory's.

    Parameters
    ----------
    scale : float or None
        s where the loss is s times (1/2m) sum |f - y|^2.

    Returns
    -------
    str

    Examples
    --------
    >>> normalisation(0.2)
    "the loss is 0.2 times the theory's (1/2m) sum |f - y|^2: a learning rate eta acts as 0.2 eta"
    """
    if scale is None:
        return "the loss is not squared: its learning rates go with the Gauss-Newton matrix"
    if abs(scale - 1) < 1e-6:
        return "the loss is the theory's (1/2m) sum |f - y|^2"
    return (
        f"the loss is {scale:.4g} times the theory's (1/2m) sum |f - y|^2: a learning rate eta "
        f"acts as {scale:.4g} eta"
    )


def spectra(
    module: Any,
    X: Any,
    y: Any,
    loss: Any = "squared",
    count: int = 1,
    dtype: str = "float64",
    chunk: int | None = None,
) -> Spectra:
    """Return the leading spectra of the tangent kernel, the Gauss-Newton matrix and the Hessian.

    Theta/m = J J^T / m over all samples and outputs together; J^T (d^2 L/df^2) J; d^2 L (theory,
    section 1). Each eigenvalue comes with a residual bound, and is refused if that is not met.

    Parameters
    ----------
    module : torch.nn.Module
    X : array or tensor, shape (m, ...)
    y : array or tensor
        Of the shape of the outputs, or class numbers.
    loss : str, torch.nn.Module or callable
        "squared" (the theory's), "mse" and "cross_entropy" (PyTorch's), "logistic", a loss of
        torch.nn, or (outputs, targets) -> scalar; always a mean over the samples.
    count : int
        Eigenvalues of each.
    dtype : str
        "float64", or "float32" for a network that cannot compute in double precision.
    chunk : int, optional
        Samples that go through the network at a time: bounds the memory of activations.

    Returns
    -------
    Spectra

    Raises
    ------
    MissingBackend
        Without PyTorch and curvlinops.
    ModelError, InputError
        For a network, loss or data that cannot be used; the message says what to change.
    CatapultError
        If a residual bound is not met, or memory runs out.

    Examples
    --------
    >>> import torch, numpy as np  # doctest: +SKIP
    >>> net = torch.nn.Linear(2, 1, bias=False)  # doctest: +SKIP
    >>> found = spectra(net, 2 * np.eye(2), np.zeros((2, 1)), loss="mse")  # doctest: +SKIP
    >>> round(found.lam, 6), round(found.sharpness, 6), found.scale  # doctest: +SKIP
    (2.0, 4.0, 2.0)
    """
    problem = torch_problem(module, X, y, loss, dtype, chunk)
    found = {kind: spectrum(problem, kind, _at_most(problem, kind, count)) for kind in KINDS}
    sizes = problem.samples, problem.outputs, problem.size
    return Spectra(found["ntk"], found["ggn"], found["hessian"], problem.scale, *sizes)


def spectrum(
    problem: TorchProblem,
    kind: str = "ntk",
    count: int = 1,
    point: Mapping[str, Tensor] | None = None,
    space: str = "auto",
    tolerance: float | None = None,
    memory: int = MEMORY,
) -> Spectrum:
    """Return the leading eigenvalues of one curvature matrix.

    Parameters
    ----------
    problem : TorchProblem
    kind : str
        "ntk", "ggn" or "hessian".
    count : int
    point : mapping of str to tensor, optional
        The parameters; the start when left out.
    space : str
        "samples" (size mk), "parameters" (size P) or "auto", the smaller of the two. The Hessian
        has parameter space alone, and so has a loss that is not convex in the outputs.
    tolerance : float, optional
        Largest residual over the largest eigenvalue: 1e-7 in float64, 1e-4 in float32.
    memory : int
        Bytes that the search may keep.

    Returns
    -------
    Spectrum

    Raises
    ------
    InputError
        For an unknown kind or space, or a search that would not fit into the memory.
    CatapultError
        If a bound is not met.
    """
    for what, name, known in (("kind", kind, KINDS), ("space", space, SPACES)):
        if name not in known:
            raise unknown_name(what, name, known)
    where = dict(problem.start if point is None else point)
    operator = _operator(problem, kind, where, space)
    needed = memory_needed(operator.size, count)
    if needed > memory:
        raise InputError(
            f"{count} eigenvalues of size {operator.size} need {needed / 2**20:.0f} MiB, allowed "
            f"are {memory / 2**20:.0f} MiB: take fewer samples or eigenvalues, or allow more"
        )
    precision = str(next(iter(where.values())).dtype).removeprefix("torch.")
    allowed = TOLERANCES[precision] if tolerance is None else tolerance
    pairs = leading_eigenpairs(
        operator.action, operator.size, count, allowed,
        rounding=lambda: rounding_of(problem, where, kind),
    )  # fmt: skip
    return Spectrum(
        kind, pairs.values, pairs.residuals, operator.space, operator.size, needed,
        pairs.vectors, operator,
    )  # fmt: skip


def _operator(problem: TorchProblem, kind: str, point: dict[str, Tensor], space: str) -> Operator:
    outputs = problem.samples * problem.outputs
    wanted = space
    if space == "auto":
        wanted = "samples" if outputs <= problem.size else "parameters"
    if kind == "hessian":
        if space == "samples":
            raise InputError("the Hessian has no form in sample space: leave space out")
        return hessian_operator(problem, point)
    if wanted == "parameters":
        return ggn_operator(problem, point, kind)
    if kind == "ntk":
        return sample_operator(problem, point, None)
    roots = roots_of(problem, point)
    if roots is not None:
        return sample_operator(problem, point, roots)
    if space == "samples":
        raise InputError(
            f"the loss {problem.loss.name} is not convex in the outputs, so that its Gauss-Newton "
            "matrix has no symmetric form in sample space: leave space out"
        )
    return ggn_operator(problem, point)


def _at_most(problem: TorchProblem, kind: str, count: int) -> int:
    """Return count, or what there is of this spectrum in either space."""
    outputs = problem.samples * problem.outputs
    return min(count, problem.size if kind == "hessian" else min(outputs, problem.size))
