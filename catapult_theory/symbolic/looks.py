"""Where an optimizer looks at the gradient, for scalar models.

Nesterov looks at Phi + beta P, SAM at Phi + rho grad L: each point is the frame times a matrix,
[Phi, P] A, so that its Gram matrix A^T Gamma A is known, and the gradient there is [Phi, P] A G.
What G depends on (the output's derivative g, other functions of that Gram matrix, the norm of the
gradient) stays opaque while the closed set of invariants is sought, and is put in afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy as sp

from catapult_theory.symbolic.forms import plain_conditions, tidy
from catapult_theory.symbolic.gram import (
    GramMatrix,
    Row,
    by_coefficient,
    gradient_rows,
    independent,
    primitive,
)
from catapult_theory.symbolic.optimizer import GRAD_NORM, Optimizer, at_norm2
from catapult_theory.symbolic.symbols import g, n


@dataclass(frozen=True)
class Look:
    """One evaluation of the gradient.

    Parameters
    ----------
    g : Symbol
        The loss's derivative there.
    functions : mapping
        Further opaque symbols, and the functions of the parameters' Gram matrix that they are.
    point, gradient : Matrix
        A of shape (c p, p) and G of shape (p, p): [Phi, P] A, and [Phi, P] A G.
    entries : mapping
        The entries of the parameters' Gram matrix at the point.
    """

    g: sp.Symbol
    functions: dict[sp.Symbol, sp.Expr]
    point: sp.Matrix
    gradient: sp.Matrix
    entries: dict[sp.Symbol, sp.Expr]

    def at(self, function: sp.Expr) -> sp.Expr:
        """Return a function of the parameters' Gram matrix at this point."""
        return function.xreplace(self.entries)


@dataclass(frozen=True)
class Looks:
    """All evaluations of the gradient in one step, and the step that they make.

    Parameters
    ----------
    gram : GramMatrix
        Of the parameters and their buffers.
    trained : int
        Number of vectors that the output is made of.
    moving : int
        How many of them, the first ones, are trained; the others have no buffers.
    output : sympy.Expr
        f in the entries of the Gram matrix.
    rule : Optimizer
    """

    gram: GramMatrix
    trained: int
    moving: int
    output: sp.Expr
    rule: Optimizer
    ascent_symbol: sp.Symbol = field(default=sp.Symbol("ascent", nonnegative=True))
    scale_symbol: sp.Symbol = field(default=sp.Symbol("scale", nonnegative=True))

    @cached_property
    def _slopes(self) -> tuple[sp.ImmutableMatrix, dict[sp.Symbol, sp.Expr]]:
        whole = sp.Matrix(self.gram.symmetric_gradient(self.output))
        whole[:, self.moving :] = sp.zeros(whole.shape[0], whole.shape[1] - self.moving)
        return opaque_entries(sp.ImmutableMatrix(whole[: self.trained, : self.trained]), self.gram)

    def _look(self, number: int, point: sp.Matrix) -> Look:
        D, functions = self._slopes
        suffix = f"_{number}" if number else ""
        slope = sp.Symbol(f"g{suffix}", real=True) if number else g
        own = {t: sp.Symbol(f"{t.name}{suffix}", real=True) for t in functions}
        inside = point[self._kept, :]
        gamma = (inside.T * self.gram.matrix * inside).applyfunc(sp.expand)
        entries = {
            self.gram.matrix[i, j]: gamma[i, j]
            for i, j in self.gram.pairs
            if j < self.trained and gamma[i, j] != self.gram.matrix[i, j]
        }
        named = {own[t]: function for t, function in functions.items()}
        return Look(slope, named, point, (2 * slope / n) * sp.Matrix(D.xreplace(own)), entries)

    @cached_property
    def looks(self) -> tuple[Look, ...]:
        """The looks in order; the last one makes the step."""
        unit = sp.eye(self.trained)
        start = sp.Matrix(sp.kronecker_product(sp.Matrix(self.rule.point), unit))
        first = self._look(0, self._held(start))
        if self.rule.ascent == 0:
            return (first,)
        move = self._factor(self.rule.ascent, self.ascent_symbol)
        moved = first.point + move * first.point * first.gradient
        return first, self._look(1, moved)

    @staticmethod
    def _factor(factor: sp.Expr, symbol: sp.Symbol) -> sp.Expr:
        """Return a factor of the gradient, opaque where it depends on the norm."""
        return symbol if GRAD_NORM in factor.free_symbols else factor

    @cached_property
    def step(self) -> sp.ImmutableMatrix:
        """M with [Phi, P]' = [Phi, P] M, in opaque symbols."""
        last = self.looks[-1]
        scale = self._factor(self.rule.scale, self.scale_symbol)
        step = self._held(sp.Matrix(self.rule.step_from(scale * last.point * last.gradient)))
        return sp.ImmutableMatrix(step.extract(self._kept, self._kept))

    @property
    def _kept(self) -> list[int]:
        """The rows of copies of the frame that exist: fixed vectors have no buffers."""
        p = self.trained
        return [i for i in range(p * self.rule.copies) if i < p or i % p < self.moving]

    def _held(self, matrix: sp.Matrix) -> sp.Matrix:
        """Return a matrix with the columns of fixed vectors those of the identity."""
        for i in range(self.moving, self.trained):
            matrix[:, i] = sp.eye(matrix.shape[0])[:, i]
        return matrix

    def _norm2(self, look: Look) -> sp.Expr:
        """|grad L|^2 = n tr(G^T A^T Gamma A G)."""
        p = self.trained
        base = sp.Matrix(self.gram.matrix[:p, :p]).xreplace(look.entries)
        return sp.expand(n * (look.gradient.T * base * look.gradient).trace())

    @property
    def _norms(self) -> list[tuple[sp.Symbol, sp.Expr, Look]]:
        """The opaque factors: symbol, factor, and the look whose norm it depends on."""
        pairs = (
            (self.ascent_symbol, self.rule.ascent, self.looks[0]),
            (self.scale_symbol, self.rule.scale, self.looks[-1]),
        )
        return [(s, e, look) for s, e, look in pairs if GRAD_NORM in e.free_symbols]

    @cached_property
    def rows(self) -> list[Row]:
        """The functionals of Gamma that the step depends on, besides those that it maps."""
        seen = [self.gram.expression(row) for row in gradient_rows(self.gram, self.output)]
        wanted = [look.at(e) for look in self.looks if look.entries for e in seen]
        wanted += [self._norm2(look) for _, _, look in self._norms]
        rows = [r for e in wanted for r in by_coefficient(self.gram, sp.expand(e)).values()]
        return independent(primitive(row) for row in rows)

    def values(
        self, express: Callable[[sp.Expr], sp.Expr], slope: Callable[[sp.Expr], sp.Expr]
    ) -> dict[sp.Symbol, sp.Expr]:
        """Return what the opaque symbols are, in the state.

        Parameters
        ----------
        express : callable
            From functions of Gamma to the state; opaque symbols stay.
        slope : callable
            From the output to the derivative of the loss.

        Returns
        -------
        dict
        """
        known: dict[sp.Symbol, sp.Expr] = {}

        def inside(function: sp.Expr) -> sp.Expr:
            return express(function).xreplace(known)

        for look in self.looks:
            known |= {s: inside(look.at(e)) for s, e in look.functions.items()}
            known[look.g] = plain_conditions(slope(inside(look.at(self.output))))
            known |= {
                s: plain_conditions(at_norm2(factor, tidy(inside(self._norm2(at)))))
                for s, factor, at in self._norms
                if at is look and s not in known
            }
        return known


def opaque_entries(D: Any, gram: GramMatrix) -> tuple[sp.ImmutableMatrix, dict[sp.Symbol, sp.Expr]]:
    """Replace the linearly independent functions of Gamma in D by opaque symbols.

    Parameters
    ----------
    D : Matrix
        The symmetric gradient of the output.
    gram : GramMatrix

    Returns
    -------
    ImmutableMatrix
    dict
        The functions that the symbols stand for.
    """
    entries = [sp.expand(e) for e in D]
    varying = [e for e in entries if e.free_symbols & set(gram.entries)]
    terms = sorted(
        {t.as_coeff_Mul()[1] for e in varying for t in sp.Add.make_args(e)}, key=sp.default_sort_key
    )
    rows = [tuple(_coefficient(e, t) for t in terms) for e in varying]
    kept = independent(rows)
    symbols = {sp.Symbol(f"t_{i}", real=True): row for i, row in enumerate(kept)}
    functions = {
        s: sp.Add(*(c * t for c, t in zip(row, terms, strict=True))) for s, row in symbols.items()
    }
    if not kept:
        return sp.ImmutableMatrix(D), {}
    system = sp.Matrix(kept).T

    def opaque(e: sp.Expr) -> sp.Expr:
        if not e.free_symbols & set(gram.entries):
            return e
        target = sp.Matrix([_coefficient(e, t) for t in terms])
        weights = (system.T * system).LUsolve(system.T * target)
        return sp.Add(*(w * s for w, s in zip(weights, symbols, strict=True)))

    return sp.ImmutableMatrix(*D.shape, [opaque(e) for e in entries]), functions


def _coefficient(expression: sp.Expr, term: sp.Expr) -> sp.Expr:
    return sp.Add(
        *(c for c, t in (x.as_coeff_Mul() for x in sp.Add.make_args(expression)) if t == term)
    )
