"""Deep linear networks in singular vectors: found to train mode by mode, or what stands in the way.

Every layer is written W = L diag(w) R^T with orthonormal columns in L and R, and put into the raw
gradient of the network. Where neighbouring frames are the same, their product cancels; what is
left is judged: a gradient L diag(...) R^T keeps the frames and moves the values, anything else
holds an overlap of two frames, or the second moments of the data, that no value determines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import sympy as sp

from catapult_theory.errors import InputError, ModelError, NotClosed
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.symbols import eta, f, y
from catapult_theory.symbolic.update_map import Step, prime
from catapult_theory.symbolic.words import Factor, Polynomial, Word, parse, symbol

# How many modes there are; no result depends on it.
_COUNT = sp.Symbol("p", positive=True, integer=True)
_RESIDUAL = sp.Symbol("g", real=True)


@dataclass(frozen=True)
class SingularVectors:
    """What is known of the singular vectors of a network, its target and its data at the start.

    Parameters
    ----------
    layers : tuple of pairs of str
        For each layer, the first one first: the frames to the left and to the right of its
        singular values. Frames of one name are the same.
    target : pair of str
        Those of A, where the targets are Y = X A^T.
    is_white : bool
        Whether X^T X / m = I.
    """

    layers: tuple[tuple[str, str], ...]
    target: tuple[str, str]
    is_white: bool = True


def aligned_vectors(depth: int) -> SingularVectors:
    """Return the aligned start: each layer begins with the singular vectors of the next.

    Parameters
    ----------
    depth : int
        The number of layers.

    Returns
    -------
    SingularVectors

    Examples
    --------
    >>> aligned_vectors(2).layers, aligned_vectors(2).target
    ((('R2', 'R1'), ('R3', 'R2')), ('R3', 'R1'))
    """
    layers = tuple((f"R{i + 2}", f"R{i + 1}") for i in range(depth))
    return SingularVectors(layers, (f"R{depth + 1}", "R1"))


def free_vectors(depth: int) -> SingularVectors:
    """Return a start of which nothing is known: each layer has singular vectors of its own.

    Parameters
    ----------
    depth : int
        The number of layers.

    Returns
    -------
    SingularVectors

    Examples
    --------
    >>> free_vectors(2).layers, free_vectors(2).target
    ((('L1', 'R1'), ('L2', 'R2')), ('LA', 'RA'))
    """
    layers = tuple((f"L{i + 1}", f"R{i + 1}") for i in range(depth))
    return SingularVectors(layers, ("LA", "RA"))


@dataclass(frozen=True)
class Modes:
    """The dynamics of one mode.

    Parameters
    ----------
    weights : tuple of Symbol
        w1, ..., wL: a singular value of each layer, the first one first.
    output : sympy.Expr
        f of the mode.
    slopes : mapping of Symbol to sympy.Expr
        df/dw_l, found as the factor of the residual in the gradient of layer l.
    residual : sympy.Expr
        g = dl/df of the mode, in its weights and in ``y``.
    steps : tuple of Step
        The derivation.
    """

    weights: tuple[sp.Symbol, ...]
    output: sp.Expr
    slopes: Mapping[sp.Symbol, sp.Expr]
    residual: sp.Expr
    steps: tuple[Step, ...]

    @property
    def updates(self) -> dict[sp.Symbol, sp.Expr]:
        """The weights after a step of gradient descent."""
        return {w: w - eta * self.residual * slope for w, slope in self.slopes.items()}


def modes_of(model: Model, loss: Any, vectors: SingularVectors) -> Modes:
    """Derive the dynamics of the singular values of a product of matrices.

    Parameters
    ----------
    model : Model
        Whose output is the data times the transpose of one matrix after the other.
    loss : Loss
    vectors : SingularVectors

    Returns
    -------
    Modes

    Raises
    ------
    InputError
        If the output is no such product, or the vectors are not those of so many layers.
    NotClosed
        If a gradient leaves L diag(...) R^T; it names the first quantity that it holds.

    Examples
    --------
    >>> from catapult_theory.symbolic import losses
    >>> from catapult_theory.symbolic.deep_linear import product_of_layers
    >>> found = modes_of(product_of_layers(2), losses.squared, aligned_vectors(2))
    >>> found.output, found.slopes, found.residual
    (w1*w2, {w1: w2, w2: w1}, w1*w2 - y)
    """
    words = [[own for own, _ in word] for word in parse(model.output).terms]
    if len(words) != 1 or sorted(words[0], key=str) != sorted(
        (model.data, *model.matrices), key=str
    ):
        raise InputError(
            f"the output of {model.name} is not one product of the data and its layers"
        )
    if len(vectors.layers) != len(model.matrices):
        raise InputError(
            f"{model.name} has {len(model.matrices)} layers, the singular vectors are those of "
            f"{len(vectors.layers)}"
        )
    return _Reduction(model, loss, vectors).modes()


class _Reduction:
    """One network in its singular vectors, multiplied out and reduced."""

    def __init__(self, model: Model, loss: Any, vectors: SingularVectors) -> None:
        self.model, self.loss, self.vectors = model, loss, vectors
        self.X = model.data
        self.output = parse(model.output)
        (word,) = self.output.terms
        self.layers = tuple(own for own, _ in word if own != self.X)

    @cached_property
    def weights(self) -> tuple[sp.Symbol, ...]:
        return sp.symbols(f"w1:{len(self.layers) + 1}", real=True)

    @cached_property
    def frames(self) -> dict[str, Any]:
        """The frames by name, with as many rows as the sides that they stand at."""
        sides = [
            (name, size)
            for pair, layer in zip(self.vectors.layers, self.layers, strict=True)
            for name, size in zip(pair, layer.shape, strict=True)
        ]
        ends = (self.layers[-1].shape[0], self.layers[0].shape[1])
        sides += zip(self.vectors.target, ends, strict=True)
        return {name: sp.MatrixSymbol(name, size, _COUNT) for name, size in sides}

    @cached_property
    def values(self) -> dict[Any, sp.Symbol]:
        """What stands on the diagonals, by the symbol of the diagonal matrix."""
        names = [*self.weights, y, _RESIDUAL]
        return {sp.MatrixSymbol(f"diag({s})", _COUNT, _COUNT): s for s in names}

    def diagonal(self, value: sp.Symbol) -> Polynomial:
        return symbol(next(d for d, s in self.values.items() if s == value))

    def between(self, pair: tuple[str, str], value: sp.Symbol) -> Polynomial:
        """Return L diag(value) R^T."""
        left, right = (self.frames[name] for name in pair)
        return symbol(left) @ self.diagonal(value) @ symbol(right, transposed=True)

    @cached_property
    def ansatz(self) -> dict[Any, Polynomial]:
        """Each layer in its singular vectors."""
        pairs = zip(self.layers, self.vectors.layers, self.weights, strict=True)
        return {layer: self.between(pair, w) for layer, pair, w in pairs}

    def modes(self) -> Modes:
        output = self._of_outputs(self.put_in(self.output))
        residual = self._of_outputs(self._residual())
        gradients = {w: self._gradient(layer) for layer, w in
                     zip(self.layers, self.weights, strict=True)}  # fmt: skip
        slopes = {w: sp.cancel(e / _RESIDUAL) for w, e in gradients.items()}
        found = Modes(self.weights, output, slopes, residual, ())
        return Modes(self.weights, output, slopes, residual, self._steps(found))

    def put_in(self, polynomial: Polynomial) -> Polynomial:
        """Return a polynomial in the layers, in singular vectors."""

        def replace(factor: Factor) -> Polynomial | None:
            own = self.ansatz.get(factor[0])
            return own.transposed(self.flat) if own is not None and factor[1] else own

        return self.reduced(polynomial.substituted(replace))

    @property
    def flat(self) -> frozenset[Any]:
        """The diagonal matrices, which are their own transposes."""
        return frozenset(self.values)

    def reduced(self, polynomial: Polynomial) -> Polynomial:
        """Return a polynomial with R^T R = I put in, and X^T X = m I where data are white."""
        total = Polynomial({}, polynomial.shape)
        for word, c in polynomial.terms.items():
            kept: list[Factor] = []
            for factor in word:
                before = kept[-1] if kept else None
                if before is not None and self._cancels(before, factor):
                    kept.pop()
                    c = c * (self.X.shape[0] if factor[0] == self.X else 1)
                else:
                    kept.append(factor)
            total = total + Polynomial({tuple(kept): c}, polynomial.shape)
        return total

    def _cancels(self, left: Factor, right: Factor) -> bool:
        """Whether two neighbours are a frame's transpose and the frame, or those of white data."""
        same = left == (right[0], True) and not right[1]
        white = self.vectors.is_white and right[0] == self.X
        return same and (white or right[0] in self.frames.values())

    def _residual(self) -> Polynomial:
        """Return g = dl/df, with the targets Y = X A^T."""
        F, Y = (sp.MatrixSymbol(name, *self.output.shape) for name in "fY")
        try:
            slope = parse(self.loss.gradient_rows(F, Y))
        except ModelError as cause:
            raise NotClosed(
                f"R {self.loss.name}'(R^T f)",
                "the gradient of this loss does not turn with the singular vectors: modes mix",
            ) from cause
        target = self.between(self.vectors.target, y).transposed(self.flat)
        known = {F: self.put_in(self.output), Y: self.reduced(symbol(self.X) @ target)}
        return self.reduced(slope.substituted(lambda factor: known[factor[0]]))

    def _of_outputs(self, polynomial: Polynomial) -> sp.Expr:
        """Return what stands between X R and L^T, R being the first frame and L the last."""
        first, last = self.vectors.layers[0][1], self.vectors.layers[-1][0]
        before = ((self.X, False), (self.frames[first], False))
        return self._inside(polynomial, before, ((self.frames[last], True),))

    def _gradient(self, layer: Any) -> sp.Expr:
        """Return the values on the diagonal of dL/dW, from that of tr(g^T f)/m."""
        first, last = self.vectors.layers[0][1], self.vectors.layers[-1][0]
        residual = symbol(self.X) @ self.between((last, first), _RESIDUAL).transposed(self.flat)
        ((word, c),) = self.output.terms.items()
        at = next(i for i, (own, _) in enumerate(word) if own == layer)
        before, after = (self._part(part) for part in (word[:at], word[at + 1 :]))
        slope = residual if before is None else before.transposed(self.flat) @ residual
        slope = slope if after is None else slope @ after.transposed(self.flat)
        slope = slope.transposed(self.flat) if word[at][1] else slope
        own = self.put_in(slope * (c / self.X.shape[0]))
        left, right = self.vectors.layers[self.layers.index(layer)]
        return self._inside(own, ((self.frames[left], False),), ((self.frames[right], True),))

    def _part(self, word: Word) -> Polynomial | None:
        """Return some neighbouring factors of the output; None where there are none."""
        product: Polynomial | None = None
        for factor in word:
            own = symbol(*factor)
            product = own if product is None else product @ own
        return product

    def _inside(self, polynomial: Polynomial, before: Word, after: Word) -> sp.Expr:
        """Return the values of a polynomial that is ``before`` diag(...) ``after``."""
        total = sp.S.Zero
        for word, c in polynomial.terms.items():
            inner = word[len(before) : -len(after)]
            fits = word[: len(before)] == before and word[-len(after) :] == after
            if not fits or any(own not in self.values for own, _ in inner):
                raise self._open(word, before, after)
            total += c * sp.Mul(*(self.values[own] for own, _ in inner))
        return sp.sympify(total)

    def _open(self, word: Word, before: Word, after: Word) -> NotClosed:
        """Return the error that names the first quantity of a word that no value determines."""
        for left, right in pairwise(word):
            if left[1] and left[0] in self.frames.values() and right[0] in self.frames.values():
                return _overlap(left[0], right[0])
            if left == (self.X, True) and right == (self.X, False):
                return NotClosed(
                    f"{self.X}.T*{self.X}",
                    "the data are not whitened: their second moments mix the modes at every step",
                )
        if word[: len(before)] != before:
            return _overlap(before[-1][0], word[len(before) - 1][0])
        return _overlap(after[0][0], word[-len(after)][0])

    def _steps(self, found: Modes) -> tuple[Step, ...]:
        moments = sp.Symbol(f"{self.X}^T*{self.X}/{self.X.shape[0]}")
        return (
            Step(
                "Each layer is written in singular vectors; the columns of each frame are "
                "orthonormal, and the data white:",
                (
                    *((layer, own.matrix()) for layer, own in self.ansatz.items()),
                    (moments, sp.S.One),
                ),
            ),
            Step(
                "Frames beside themselves cancel, so that output and residual are those of modes:",
                ((f, found.output), (_RESIDUAL, found.residual)),
            ),
            Step(
                "So they do in the gradient of each layer, which keeps the frames; with aligned "
                "singular vectors and whitened data each mode trains by itself:",
                tuple((prime(w), e) for w, e in found.updates.items()),
            ),
        )


def _overlap(one: Any, other: Any) -> NotClosed:
    return NotClosed(
        f"{one}.T*{other}",
        "singular vectors of two neighbours are not aligned: their overlaps are new quantities "
        "at every step",
    )


__all__ = ["Modes", "SingularVectors", "aligned_vectors", "free_vectors", "modes_of"]
