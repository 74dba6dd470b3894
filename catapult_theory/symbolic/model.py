"""A network as a theorist writes it: an output in inner products, or in products of matrices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from catapult_theory.errors import ModelError
from catapult_theory.symbolic.frames import Frames, frames_of
from catapult_theory.symbolic.matrix_sizes import check_sizes
from catapult_theory.symbolic.symbols import Inner, Vector, eta, n, y

# Names that arguments of kernels and runs already carry.
_ARGUMENTS = (
    *("steps", "every", "out", "data", "start", "threads", "backend", "dtype", "observables"),
    *("seed", "seeds", "progress", "state", "step", "X", "Y"),
)
_RESULTS = (
    *("f", "g", "lam", "loss", "status", "status_step", "peak_loss", "peak_step"),
    *("sharpness", "grad_norm2", "stability_margin"),
)
RESERVED = frozenset(_ARGUMENTS + _RESULTS)


@dataclass(frozen=True)
class Model:
    """A network of width n and its label.

    Parameters
    ----------
    output : sympy expression
        Of inner products ``u @ v`` (scalar models), or a matrix of m x k outputs written
        with `matrix` and `data` (matrix models).
    vectors : tuple of Vector
        The trained width-n vectors of a scalar model.
    matrices : tuple of MatrixSymbol
        The trained matrices of a matrix model, each with one side n.
    data : MatrixSymbol or None
        The inputs of a matrix model, one sample a row; targets come with the data at run time.
    label : number, symbol or bool
        The label of a scalar model; ``True`` for the symbol ``y``.
    observables : mapping
        Names for invariants, each an expression of inner products or matrix products.
    name : str
    frames : mapping, optional
        Groups of parameters that no inner product connects, each turned by an orthogonal group
        of its own: from names, separated by spaces, to the share of the width that the group
        fills, such as ``{"u v": 1, "w": Fraction(1, 2)}``. Left out, one frame of width n.
    fixed : tuple of Vector
        Vectors of the output that are not trained (scalar models).
    values : mapping of str to number
        Numbers for symbols of the model, put in when its derivation is done.

    Raises
    ------
    ModelError
        If the parts do not fit together; the message says which.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> u, v = ct.vectors("u v")
    >>> ct.Model(output=u @ v / ct.sqrt(ct.n), vectors=(u, v)).parameters
    (n,)
    """

    output: Any
    vectors: tuple[Vector, ...] = ()
    matrices: tuple[sp.MatrixSymbol, ...] = ()
    data: Any = None
    label: Any = 0
    observables: Mapping[str, Any] = field(default_factory=dict)
    name: str = "model"
    frames: Mapping[str, Any] | None = None
    fixed: tuple[Vector, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fix = object.__setattr__
        fix(self, "fixed", tuple(self.fixed))
        fix(self, "values", MappingProxyType(dict(self.values)))
        fix(self, "observables", MappingProxyType(dict(self.observables)))
        fix(self, "vectors", tuple(self.vectors))
        fix(self, "matrices", tuple(self.matrices))
        fix(self, "label", _label(self.label))
        if bool(self.vectors) == bool(self.matrices):
            raise ModelError(
                "a model needs vectors=(u, v, ...) or matrices=(V, U, ...), one of the two"
            )
        if self.matrices:
            self._check_matrices()
        else:
            self._check_vectors()
        if eta in self.parameters or n in self.label.free_symbols:
            raise ModelError(
                "eta is the learning rate and n the width: give that symbol of the model another "
                "name"
            )
        _check_names([*(s.name for s in self.parameters), *self.observables])
        known = {s.name for s in self.parameters}
        if not set(self.values) <= known:
            raise ModelError(f"values= names {sorted(set(self.values) - known)}, not symbols of it")

    def __hash__(self) -> int:
        return hash((self.output, self.vectors, self.matrices, self.label, self.name))

    def _check_vectors(self) -> None:
        if not isinstance(self.output, sp.Expr) or isinstance(self.output, MatrixExpr):
            raise ModelError(
                "the output of a scalar model is an expression such as u @ v / ct.sqrt(ct.n)"
            )
        names = self.names
        if len(set(names)) != len(names):
            raise ModelError(f"a vector is named twice in {list(names)}")
        if not self.output.atoms(Inner):
            raise ModelError(
                f"the output {self.output} contains no inner product of width-n vectors"
            )
        bare = {v.atom for v in self.vectors} & (
            self.output.free_symbols - _inner_symbols(self.output)
        )
        if bare:
            raise ModelError(f"vectors {sorted(map(str, bare))} stand outside an inner product")
        for expression in (self.output, *self.observables.values()):
            for pair in sorted(expression.atoms(Inner), key=str):
                sides = [a.name for a in pair.args]
                if set(sides) <= set(names) and self.parts.apart(*sides):
                    raise ModelError(
                        f"{pair} joins two frames, whose units have nothing to do with each other"
                    )

    def _check_matrices(self) -> None:
        if self.data is None:
            raise ModelError(
                "a matrix model needs data=ct.data('X'), the matrix of inputs in its output"
            )
        if not isinstance(self.output, MatrixExpr):
            raise ModelError(
                "the output of a matrix model is a matrix such as X @ U.T @ V.T / ct.sqrt(ct.n)"
            )
        for m in self.matrices:
            if not isinstance(m, sp.MatrixSymbol) or n not in m.shape:
                raise ModelError(f"{m} is not a matrix with one side n: make it with ct.matrix")
        symbols = sorted(self.output.atoms(sp.MatrixSymbol), key=str)
        left_out = [m for m in symbols if n in m.shape and m not in (*self.matrices, self.data)]
        if left_out:
            raise ModelError(f"matrix {left_out[0]} is missing from matrices={list(self.names)}")
        for expression in (self.output, *self.observables.values()):
            check_sizes(expression, self.data.shape[0])
        if self.output.shape[0] != self.data.shape[0]:
            raise ModelError(
                f"the output {self.output} has {self.output.shape[0]} rows, the data "
                f"{self.data.shape[0]}: one row of outputs for each sample"
            )
        if self.fixed:
            raise ModelError("fixed= is for vectors: what a matrix model holds fixed is its data")
        if self.label != 0:
            raise ModelError("a matrix model takes its targets with the data: leave label out")

    @property
    def is_matrix(self) -> bool:
        """Whether the parameters are matrices."""
        return bool(self.matrices)

    @property
    def names(self) -> tuple[str, ...]:
        """The width-n parameters by name, those that are not trained last."""
        if self.is_matrix:
            return tuple(m.name for m in self.matrices)
        return tuple(v.atom.name for v in (*self.vectors, *self.fixed))

    @property
    def parts(self) -> Frames:
        """The groups of parameters, each with an orthogonal group of its own."""
        return frames_of(self.names, self.frames)

    @property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """The scalar symbols of the output and the label, the width first."""
        if self.is_matrix:
            sizes = {
                s for m in (*self.matrices, self.data) for d in m.shape for s in d.free_symbols
            }
            found = {s for s in self.output.free_symbols if isinstance(s, sp.Symbol)} - sizes
        else:
            atoms = _inner_symbols(self.output)
            found = (self.output.free_symbols - atoms) | sp.sympify(self.label).free_symbols
        return (n, *sorted(found - {n}, key=lambda s: str(s.name)))

    def __str__(self) -> str:
        return f"{self.name}: f = {self.output}" + (
            f", label {self.label}" if self.label != 0 else ""
        )


def _inner_symbols(expression: Any) -> set[sp.Symbol]:
    return {s for pair in expression.atoms(Inner) for s in pair.args}


def _label(label: Any) -> sp.Expr:
    if label is True:
        return y
    if label is False or label is None:
        return sp.S.Zero
    value = sp.sympify(label) if isinstance(label, (int, float, sp.Expr)) else None
    if value is None or value.is_real is False or value.has(sp.nan, sp.oo):
        raise ModelError(f"label must be a finite number, a symbol or True, got {label!r}")
    return sp.nsimplify(value, rational=True)


def _check_names(names: list[str]) -> None:
    taken = sorted(set(names) & RESERVED)
    if taken:
        raise ModelError(
            f"the names {taken} already mean an argument or a result of runs: rename those symbols"
        )
