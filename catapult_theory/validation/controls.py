"""Negative controls: update maps with one kind of coefficient deliberately wrong.

A comparison that a slightly wrong map would pass proves nothing, so that every comparison
of this package is repeated with one of these and must fail.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sympy as sp

from catapult_theory.symbolic.symbols import eta
from catapult_theory.symbolic.update_map import UpdateMap

WRONG_BY = sp.Rational(1, 1000)


def with_wrong_coefficient(
    update_map: UpdateMap, order: int = 2, excess: Any = WRONG_BY
) -> UpdateMap:
    """Return the map with every coefficient of eta^order multiplied by 1 + excess.

    The terms in eta^2 are those that a first-order (gradient-flow) theory lacks; by default
    they are too large by a thousandth: eta^2 f^2 / n becomes 1.001 eta^2 f^2 / n.

    Parameters
    ----------
    update_map : UpdateMap
    order : int
        Power of eta: 1 or 2.
    excess : number

    Returns
    -------
    UpdateMap
        Not a theory of anything.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> from catapult_theory.symbolic.symbols import lam
    >>> sp.expand(with_wrong_coefficient(derive(models.uv()), order=1).updates[lam]).coeff(eta)
    -1001*f**2/(250*n)
    """
    wrong = {s: _perturbed(e, order, sp.Rational(excess)) for s, e in update_map.updates.items()}
    return replace(update_map, updates=wrong, model=f"{update_map.model}, wrong on purpose")


def _perturbed(expression: Any, order: int, excess: sp.Rational) -> Any:
    """Scale the coefficient of eta^order; definitions (g, Z) are opaque and hold no eta."""
    if isinstance(expression, sp.BlockMatrix):
        rows, cols = expression.blockshape
        blocks = [[_perturbed(expression.blocks[i, j], order, excess) for j in range(cols)]
                  for i in range(rows)]  # fmt: skip
        return sp.BlockMatrix(blocks)
    if isinstance(expression, sp.MatAdd):
        return sp.MatAdd(*(_perturbed(part, order, excess) for part in expression.args))
    if isinstance(expression, sp.Transpose):
        return sp.Transpose(_perturbed(expression.arg, order, excess))
    if isinstance(expression, sp.MatMul):
        scale, factors = expression.as_coeff_matrices()
        changed = _perturbed(sp.sympify(scale), order, excess)
        return expression if changed == scale else sp.MatMul(changed, *factors)
    if isinstance(expression, sp.MatrixExpr):
        return expression
    coefficient = sp.diff(expression, eta, order).subs(eta, 0) / sp.factorial(order)
    return expression + excess * eta**order * coefficient
