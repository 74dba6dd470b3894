"""Where an optimizer looks at the gradient, for matrix models.

The same as for scalar models (`looks`), block by block: the point is [Phi, P] A with A a matrix
of blocks, its Gram matrix A^T Gamma A is a definition of its own, and so are output, output
gradient and Z there. The gradient is [Phi, P] A G.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from catapult_theory.symbolic.optimizer import GRAD_NORM, at_norm2
from catapult_theory.symbolic.symbols import n
from catapult_theory.symbolic.words import Polynomial, identity

Block = tuple[int, int]
Blocks = Mapping[Block, Polynomial]


@dataclass(frozen=True)
class Look:
    """One evaluation of the gradient.

    Parameters
    ----------
    blocks : mapping
        The trained blocks Gamma_ij, i <= j, of the Gram matrix at the point.
    gradient : mapping
        The blocks of G = (2/n) D there.
    """

    blocks: Blocks
    gradient: Blocks


def norm2(look: Look, symmetric: frozenset[Any]) -> sp.Expr:
    """Return |grad L|^2 = n tr(G^T Gamma G) at a look.

    Parameters
    ----------
    look : Look
    symmetric : frozenset
        Symbols that are their own transposes.

    Returns
    -------
    sympy.Expr
    """
    terms = []
    for (i, a), left in look.gradient.items():
        for (j, b), right in look.gradient.items():
            if a == b:
                middle = _block_of(look.blocks, i, j, symmetric)
                product = (left.transposed(symmetric) @ middle @ right) * n
                terms += [c * _trace(word, symmetric) for word, c in product.terms.items()]
    return sp.Add(*terms)


def _block_of(blocks: Blocks, i: int, j: int, symmetric: frozenset[Any]) -> Polynomial:
    """Return a block for any order of its indices."""
    return blocks[i, j] if i <= j else blocks[j, i].transposed(symmetric)


def start_point(derivation: Any) -> dict[Block, Polynomial]:
    """Return A of the optimizer's own point: each copy of the frame with its weight.

    Parameters
    ----------
    derivation : the derivation of a matrix model

    Returns
    -------
    dict
        From (copy * p + i, j) to polynomials.
    """
    p = derivation.p
    return {
        (a * p + i, i): identity(derivation.gram.columns(i), weight)
        for a, weight in enumerate(derivation.rule.point)
        if weight != 0
        for i in range(p)
    }


def product(left: Blocks, right: Blocks) -> dict[Block, Polynomial]:
    """Return the product of two matrices of blocks."""
    total: dict[Block, Polynomial] = {}
    for (i, k), a in left.items():
        for (other, j), b in right.items():
            if k == other:
                term = a @ b
                total[i, j] = total[i, j] + term if (i, j) in total else term
    return total


def summed(left: Blocks, right: Blocks) -> dict[Block, Polynomial]:
    """Return the sum of two matrices of blocks."""
    total = dict(left)
    for k, b in right.items():
        total[k] = total[k] + b if k in total else b
    return total


def scaled(blocks: Blocks, factor: Any) -> dict[Block, Polynomial]:
    """Return a multiple of a matrix of blocks."""
    return {k: b * factor for k, b in blocks.items()}


def pushes(derivation: Any, definitions: dict[Any, Any], here: Look) -> dict[Block, Polynomial]:
    """Return the gradient of the step as [Phi, P] times a matrix of blocks.

    Parameters
    ----------
    derivation : the derivation of a matrix model
        With ``rule``, ``look_at`` and ``flat``, the matrices that are their own transposes.
    definitions : dict
        Gains what the optimizer looks at: blocks, f, g and Z at its points, norms.
    here : Look
        The gradient at the parameters themselves.

    Returns
    -------
    dict
    """
    rule = derivation.rule
    point, look, number = start_point(derivation), here, 0
    if list(rule.point) != [1, *(0,) * (rule.copies - 1)]:
        number += 1
        look = derivation.look_at(point, number, definitions)
    if rule.ascent != 0:
        move = _factor(derivation, rule.ascent, "ascent", look, definitions)
        point = summed(point, scaled(product(point, look.gradient), move))
        number += 1
        look = derivation.look_at(point, number, definitions)
    scale = _factor(derivation, rule.scale, "scale", look, definitions)
    return scaled(product(point, look.gradient), scale)


def _factor(
    derivation: Any, factor: sp.Expr, title: str, look: Look, definitions: dict[Any, Any]
) -> sp.Expr:
    """Return a factor of the gradient, as a defined symbol where it depends on the norm."""
    if GRAD_NORM not in factor.free_symbols:
        return factor
    squared = sp.Symbol(f"{title}_norm2", real=True)
    s = sp.Symbol(title, nonnegative=True)
    definitions[squared] = norm2(look, derivation.flat)
    definitions[s] = at_norm2(factor, squared)
    return s


def _trace(word: Any, symmetric: frozenset[Any]) -> sp.Expr:
    """Return the trace of a word, the same for all its rotations and for its transpose."""
    flipped = tuple((a, False if a in symmetric else not t) for a, t in reversed(word))
    turns = [w[i:] + w[:i] for w in (word, flipped) for i in range(len(w))]
    first = min(turns, key=lambda w: [(t, a.name) for a, t in w])
    return sp.Trace(sp.MatMul(*(a.T if t else a for a, t in first)))
