"""Closure of matrix models: exact updates of blocks of the Gram matrix, kept as matrices.

The output is a polynomial in blocks; its derivative is taken by matrix rules with an opaque
output gradient g, G = (2/n) D is assembled block by block, and Gamma' = M^T Gamma M is
multiplied out as words (THEORY sections 2 and 3.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import sympy as sp
from sympy.matrices.expressions.slice import MatrixSlice

from catapult_theory.errors import InputError, NotClosed, unknown_name
from catapult_theory.symbolic.blocks import BlockGram
from catapult_theory.symbolic.matrix_looks import Look, norm2, pushes
from catapult_theory.symbolic.matrix_nodes import TopEigenvalue
from catapult_theory.symbolic.matrix_output import placed, read, spread
from catapult_theory.symbolic.matrix_sizes import check_sizes
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.symbols import n
from catapult_theory.symbolic.update_map import Frame, Step, UpdateMap, prime
from catapult_theory.symbolic.words import Factor, Polynomial, identity, shape_of, symbol

Block = tuple[int, int]
Blocks = Mapping[Block, Polynomial]


def derive_matrix(model: Model, loss: Any, rule: Any, observables: Any = None) -> UpdateMap:
    """Derive the closed dynamics of a matrix model.

    Parameters
    ----------
    model : Model
    loss : Loss or SoftmaxCrossEntropy
    rule : Optimizer
    observables : names or mapping, optional
        Names for further blocks.

    Returns
    -------
    UpdateMap

    Raises
    ------
    NotClosed
        If a product over the width involves anything but the trained matrices.

    Examples
    --------
    >>> from catapult_theory.symbolic import losses, models, optimizers
    >>> uv = derive_matrix(models.linear(), losses.squared, optimizers.gd())
    >>> uv.state
    State(W=W, G=G, S=S)
    """
    named = dict(model.observables)
    if isinstance(observables, Mapping):
        named.update(observables)
    elif observables is not None:
        for name in [observables] if isinstance(observables, str) else observables:
            if name not in named and name != "lam":
                raise unknown_name("observable", name, [*named, "lam"])
    for expression in named.values():
        check_sizes(expression, model.data.shape[0])
    return _MatrixDerivation(model, loss, rule, named).update_map()


class _MatrixDerivation:
    """One derivation of a matrix model, step by step."""

    def __init__(self, model: Model, loss: Any, rule: Any, named: Mapping[str, Any]) -> None:
        self.model, self.loss, self.rule = model, loss, rule
        _refuse_square(model)
        trained = model.matrices
        buffers = tuple(
            sp.MatrixSymbol("P" * c + f"_{m.name}", *m.shape)
            for c in range(1, rule.copies)
            for m in trained
        )
        self.p = len(trained)
        owners = tuple(model.parts.group(m.name) for m in trained) * rule.copies
        groups = () if model.parts.is_single else owners
        self.gram = BlockGram((*trained, *buffers), self.p, groups)
        self.output = read(model.output, self.gram.contract)
        self.names, self.scales = self._name_blocks(named)
        rows, cols = self.output.shape
        self.X = model.data
        self.F = sp.MatrixSymbol("f", rows, cols)
        self.Y = sp.MatrixSymbol("Y", rows, cols)
        self.R = sp.MatrixSymbol("R", rows, cols)
        self.flat = self.gram.symmetric | self.symmetric | {spread(self.R)}

    def _name_blocks(
        self, named: Mapping[str, Any]
    ) -> tuple[dict[Block, Any], dict[Block, sp.Expr]]:
        """Give each block its symbol and scale: Gamma_ij = scale * symbol."""
        names: dict[Block, Any] = {}
        scales: dict[Block, sp.Expr] = {}
        index = {s: pair for pair, s in self.gram.blocks.items()}
        for name, expression in named.items():
            polynomial = self.gram.contract(expression)
            if len(polynomial.terms) != 1:
                raise InputError(
                    f"observable {name} = {expression} is not a single block of the Gram matrix"
                )
            ((word, c),) = polynomial.terms.items()
            if len(word) != 1 or word[0][0] not in index or word[0][1]:
                raise InputError(
                    f"observable {name} = {expression} is not a block in the order of matrices=: "
                    "name its transpose"
                )
            names[index[word[0][0]]] = sp.MatrixSymbol(name, *expression.shape)
            scales[index[word[0][0]]] = 1 / c
        for pair, block in self.gram.blocks.items():
            names.setdefault(pair, block)
            scales.setdefault(pair, sp.S.One)
        order = [*names]
        return {k: names[k] for k in order}, scales

    @cached_property
    def symmetric(self) -> frozenset[Any]:
        """The diagonal blocks under their names."""
        return frozenset(s for (i, j), s in self.names.items() if i == j)

    def _renamed(
        self, polynomial: Polynomial, named: Mapping[Block, Any] | None = None
    ) -> Polynomial:
        """Return a polynomial of blocks in the names of the state, or those of another point."""
        index = {s: pair for pair, s in self.gram.blocks.items()}
        names = self.names if named is None else named

        def replace(factor: Factor) -> Polynomial | None:
            pair = index.get(factor[0])
            if pair is None:
                return None
            flip = factor[1] and self.names[pair] not in self.symmetric
            return symbol(names[pair], flip) * self.scales[pair]

        return polynomial.substituted(replace)

    def _slopes(self, direction: Any) -> dict[Block, Polynomial]:
        """Return the derivative of tr(direction^T f) with respect to each trained block."""
        total: dict[Block, Polynomial] = {}
        index = {s: pair for pair, s in self.gram.blocks.items()}
        for word, c, paired, width in self.output.terms(direction):
            for i, factor in enumerate(word):
                if factor[0] not in index:
                    continue
                slope = self._slope((word[:i], factor, word[i + 1 :]), paired, width) * c
                pair = index[factor[0]]
                total[pair] = total[pair] + slope if pair in total else slope
        for (i, j), slope in total.items():
            if i == j:
                total[i, j] = (slope + slope.transposed(self.flat)) * sp.Rational(1, 2)
        return dict(sorted(total.items()))

    def _slope(self, parts: Any, direction: Polynomial, width: Any) -> Polynomial:
        """d tr(R^T A B C) = tr((A^T R C^T)^T dB); a transposed B gives the transpose."""
        before, factor, after = parts
        rows, cols = shape_of(factor)
        A = Polynomial({before: sp.S.One}, (self.output.shape[0], rows))
        C = Polynomial({after: sp.S.One}, (cols, width))
        slope = A.transposed(self.flat) @ direction @ C.transposed(self.flat)
        return slope.transposed(self.flat) if factor[1] else slope

    def _gradient_blocks(self, slopes: Mapping[Block, Polynomial]) -> dict[Block, Polynomial]:
        """Return G = (2/n) D: the derivative on the diagonal, half of it off the diagonal."""
        blocks = {}
        for (i, j), slope in slopes.items():
            if i == j:
                blocks[i, i] = slope * (2 / n)
            else:
                blocks[i, j] = slope * (1 / n)
                blocks[j, i] = slope.transposed(self.flat) * (1 / n)
        return blocks

    def update_map(self) -> UpdateMap:
        """Run the derivation."""
        definitions, here = self._definitions()
        M = self._step_blocks(pushes(self, definitions, here))
        updates = self._updates(M)
        seen = self._observables(here)
        steps = self._steps(definitions, updates)
        shell = UpdateMap(
            model=self.model.name,
            loss=self.loss.name,
            optimizer=self.rule.name,
            variables=tuple(updates),
            constants=tuple(
                dict.fromkeys(
                    (self.rule.parameters[0], *self.model.parameters, *self.rule.parameters[1:])
                )
            ),
            updates=updates,
            observables=seen,
            carried={},
            domain=(),
            definitions=definitions,
            gram={self.names[k]: self._as_product(k) for k in self.names},
            frame=Frame(
                tuple(m.name for m in self.gram.matrices),
                tuple(self.gram.columns(i) for i in range(len(self.gram.matrices))),
                self.p,
                self.gram.groups,
                self.model.parts.shares if self.gram.groups else (),
            ),
            data=(self.X, self.Y),
            steps=steps,
            threshold=self.rule.full_threshold(),
            decay=self.rule.decay,
            batches=self.rule.batches,
        )
        named = self.model.observables or self.gram.groups
        return shell if named else _gathered(shell, self.gram)

    def _definitions(self) -> tuple[dict[Any, Any], Look]:
        """Return f, g and Z = dL/dblock in order, and the gradient at the parameters."""
        definitions: dict[Any, Any] = {}
        own = {k: s for k, s in self.names.items() if max(k) < self.p}
        return definitions, self._look(own, "", definitions)

    def look_at(self, point: Blocks, number: int, definitions: dict[Any, Any]) -> Look:
        """Return the gradient at [Phi, P] A, having defined the Gram matrix A^T Gamma A there."""
        flat, named = self.flat, {}
        for (i, j), name in self.names.items():
            if max(i, j) >= self.p:
                continue
            total = Polynomial({}, name.shape)
            for (a, left), A in point.items():
                for (b, right), B in point.items():
                    if (left, right) == (i, j):
                        total = total + A.transposed(flat) @ self._block(a, b) @ B
            named[i, j] = sp.MatrixSymbol(f"{name.name}_{number}", *name.shape)
            self.flat |= {named[i, j]} if i == j else set()
            definitions[named[i, j]] = (total * (1 / self.scales[i, j])).matrix()
        return self._look(named, f"_{number}", definitions)

    def _look(self, named: Mapping[Block, Any], suffix: str, definitions: dict[Any, Any]) -> Look:
        """Define f, g and Z from the blocks of a Gram matrix, and return the gradient there."""
        rows, cols = self.output.shape
        F, g = (sp.MatrixSymbol(f"{s}{suffix}", rows, cols) for s in "fg")
        output = self.output.mapped(lambda part: self._renamed(part, named))
        definitions[F] = output.expression()
        definitions[g] = self.loss.gradient_rows(F, self.Y)
        self.flat |= {spread(g)}
        slopes = self._slopes(g)
        opaque: dict[Block, Polynomial] = {}
        for pair, slope in slopes.items():
            title = "Z" if len(slopes) == 1 else f"Z_{self.names[pair].name}"
            Z = sp.MatrixSymbol(f"{title}{suffix}", *self.names[pair].shape)
            scale = self.scales[pair]
            value = (self._renamed(slope, named) * (scale / rows)).matrix()
            definitions[Z] = placed(value, (g,))
            self.flat |= {Z} if pair[0] == pair[1] else set()
            opaque[pair] = symbol(Z) * (1 / scale)
        blocks = {k: symbol(s) * self.scales[k] for k, s in named.items()}
        return Look(blocks, self._gradient_blocks(opaque))

    def _step_blocks(self, push: Blocks) -> dict[Block, Polynomial]:
        """Return the blocks of M with [Phi, P]' = [Phi, P] M, the gradient being [Phi, P] push."""
        p, c = self.p, range(self.rule.copies)
        blocks: dict[Block, Polynomial] = {}
        for new in c:
            for i in range(p):
                for old in c:
                    moved = identity(self.gram.columns(i), self.rule.transfer[new, old])
                    if moved.terms:
                        blocks[old * p + i, new * p + i] = moved
            for (k, j), gradient in push.items():
                pushed, place = gradient * self.rule.slope[new], (k, new * p + j)
                blocks[place] = blocks[place] + pushed if place in blocks else pushed
        return {k: b for k, b in blocks.items() if b.terms}

    def _block(self, i: int, j: int) -> Polynomial:
        """Return Gamma_ij in the names of the state."""
        return self._renamed(self.gram.block(i, j))

    def _updates(self, M: Mapping[Block, Polynomial]) -> dict[Any, Any]:
        flat = self.flat
        size = range(len(self.gram.matrices))
        updates = {}
        for (a, b), name in self.names.items():
            total = Polynomial({}, name.shape)
            for i in size:
                for j in size:
                    if (i, a) in M and (j, b) in M:
                        total = total + M[i, a].transposed(flat) @ self._block(i, j) @ M[j, b]
            updates[name] = (total * (1 / self.scales[a, b])).matrix()
        return updates

    def _observables(self, here: Look) -> dict[str, Any]:
        m = self.output.shape[0]
        total = {**here.gradient}
        decay = self.rule.decay
        for i in range(self.p):
            if decay != 0:
                extra = identity(self.gram.columns(i), decay)
                total[i, i] = total[i, i] + extra if (i, i) in total else extra
        return {
            "loss": self.loss.total(self.F, self.Y) / m,
            "grad_norm2": norm2(Look(here.blocks, total), self.flat),
            "lam": TopEigenvalue(self._kernel_action(), self.R),
        }

    def _kernel_action(self) -> Any:
        """Return Theta applied to R, over m: the rate of f along the gradient of tr(R^T f)."""
        G = self._gradient_blocks(self._slopes(self.R))
        flat = self.flat
        index = {s: pair for pair, s in self.gram.blocks.items()}

        def rate(factor: Factor) -> Polynomial | None:
            if factor[0] not in index:
                return None
            i, j = index[factor[0]]
            total = Polynomial({}, factor[0].shape)
            for k in range(self.p):
                if (k, i) in G:
                    total = total + G[k, i].transposed(flat) @ self.gram.block(k, j)
                if (k, j) in G:
                    total = total + self.gram.block(i, k) @ G[k, j]
            return total.transposed(flat) if factor[1] else total

        m = self.output.shape[0]
        action = self.output.along(rate).mapped(lambda part: self._renamed(part) * (1 / m))
        return placed(action.expression(), (self.R,))

    def _as_product(self, pair: Block) -> Any:
        left, right = (self.gram.matrices[i] for i in pair)
        a = left.T if left.shape[0] == n else left
        b = right if right.shape[0] == n else right.T
        return (a * b) * (1 / (n * self.scales[pair]))

    def _steps(
        self, definitions: Mapping[Any, Any], updates: Mapping[Any, Any]
    ) -> tuple[Step, ...]:
        names = ", ".join(m.name for m in self.gram.matrices[: self.p])
        return (
            Step(
                f"The output depends on {names} only through blocks of their Gram matrix:",
                tuple((self.names[k], self._as_product(k)) for k in self.names if max(k) < self.p),
            ),
            Step(
                "With the output gradient g = dl/df kept opaque, Z is the gradient of the loss "
                "with respect to the block that enters the output:",
                tuple(definitions.items()),
            ),
            Step(
                f"The optimizer ({self.rule.name}) acts on the frame from the right, "
                "Phi' = Phi M with M = I - eta (2/n) D and its extension to buffers; "
                "Gamma' = M^T Gamma M, block by block:",
                tuple((prime(s), e) for s, e in updates.items()),
            ),
        )


def _refuse_square(model: Model) -> None:
    for m in model.matrices:
        if m.shape == (n, n):
            raise NotClosed(
                f"{m.name}.T*{m.name}",
                f"{m.name} is n x n: the network is deeper than one hidden layer, and products of "
                "its hidden matrices with themselves are new quantities at every step",
            )


def _gathered(separate: UpdateMap, gram: BlockGram) -> UpdateMap:
    """Return a map whose state is the whole Gram matrix, for models that name no blocks."""
    size = range(len(gram.matrices))
    columns = [gram.columns(i) for i in size]
    edges = [sp.Add(*columns[:i]) for i in range(len(columns) + 1)]
    whole = sp.MatrixSymbol("Gamma", edges[-1], edges[-1])
    slices = {
        gram.blocks[i, j]: MatrixSlice(whole, (edges[i], edges[i + 1]), (edges[j], edges[j + 1]))
        for i in size
        for j in size
        if i <= j
    }

    def new(i: int, j: int) -> Any:
        return (
            separate.updates[gram.blocks[i, j]] if i <= j else separate.updates[gram.blocks[j, i]].T
        )

    image = sp.BlockMatrix([[new(i, j) for j in size] for i in size])
    frame = sp.MatrixSymbol("Phi", n, edges[-1])
    return replace(
        separate,
        variables=(whole,),
        updates={whole: image},
        definitions={**slices, **separate.definitions},
        gram={whole: frame.T * frame / n},
    )
