"""The full Hessian of the loss in the frame, and the sharpness where it has a closed form.

For a displacement dPhi = Phi A the Hessian gives Phi B with
B = (2/n)(A g D + d(g D)), d along Gamma A + A^T Gamma; orthogonal to the frame it is
(2/n) g D. Its eigenvalues are therefore those of p^2 x p^2 and p x p matrices in Gamma.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from catapult_theory.symbolic.coordinates import Coordinates
from catapult_theory.symbolic.forms import tidy
from catapult_theory.symbolic.gram import GramMatrix
from catapult_theory.symbolic.symbols import g, n

LARGEST_FRAME = 2
# The square root of the width as a symbol: sqrt(n) itself is no polynomial generator.
ROOT = sp.Symbol("r", positive=True)


def sharpness(
    gram: GramMatrix, p: int, output: sp.Expr, coordinates: Coordinates
) -> sp.Expr | None:
    """Return the largest Hessian eigenvalue in the state, with l' = g and l'' = h opaque.

    Parameters
    ----------
    gram : GramMatrix
    p : int
        Number of trained vectors.
    output : sympy.Expr
        f in the entries of Gamma.
    coordinates : Coordinates

    Returns
    -------
    sympy.Expr or None
        None where the characteristic polynomial has a factor of degree above two or is not a
        function of the state.
    """
    if p > LARGEST_FRAME:
        return None
    x = sp.Symbol("x")
    polynomial = _characteristic(gram, p, output, x)
    expressed = coordinates.express(sp.expand(polynomial))
    if not coordinates.closed(expressed):
        return None
    _, factors = sp.Poly(expressed.subs(n, ROOT**2), x).factor_list()
    if any(part.degree() > 2 for part, _ in factors):
        return None
    parts = [part.as_expr().subs(ROOT, sp.sqrt(n)) for part, _ in factors]
    roots = [root for part in parts for root in _largest_roots(part, x)]
    return _maximum(roots)


def _characteristic(gram: GramMatrix, p: int, output: sp.Expr, x: sp.Symbol) -> sp.Expr:
    D = sp.Matrix(gram.symmetric_gradient(output)[:p, :p])
    base = sp.Matrix(gram.matrix[:p, :p])
    h = sp.Symbol("h")
    columns = []
    for k in range(p * p):
        A = sp.zeros(p, p)
        A[k] = 1
        move = base * A + A.T * base
        rate = _along(gram, p, output, move)
        dD = D.applyfunc(lambda e, move=move: _along(gram, p, e, move))
        image = (2 / n) * (g * A * D + h * rate * D + g * dD)
        columns.append(list(image))
    hessian = sp.Matrix(columns).T
    outside = (2 / n) * g * D
    parts = (matrix.subs(n, ROOT**2).charpoly(x).as_expr() for matrix in (hessian, outside))
    return sp.expand(sp.Mul(*parts).subs(ROOT, sp.sqrt(n)))


def _along(gram: GramMatrix, p: int, function: sp.Expr, move: Any) -> sp.Expr:
    """Return the derivative of a function of Gamma along a symmetric displacement."""
    return sp.Add(
        *(sp.diff(function, gram.matrix[i, j]) * move[i, j] for i, j in gram.pairs if j < p)
    )


def _largest_roots(part: sp.Expr, x: sp.Symbol) -> list[sp.Expr]:
    polynomial = sp.Poly(part, x)
    if polynomial.degree() == 0:
        return []
    if polynomial.degree() == 1:
        a, b = polynomial.all_coeffs()
        return [tidy(sp.cancel(-b / a))]
    a, b, c = polynomial.all_coeffs()
    middle, product = sp.cancel(-b / (2 * a)), sp.cancel(c / a)
    return [middle + sp.sqrt(tidy(sp.expand(middle**2 - product)))]


def _maximum(roots: list[sp.Expr]) -> sp.Expr:
    """Return the maximum, a pair of opposite roots as one absolute value."""
    kept: list[sp.Expr] = []
    for root in dict.fromkeys(roots):
        if -root in kept:
            kept[kept.index(-root)] = sp.Abs(root)
        else:
            kept.append(root)
    return sp.Max(*kept) if len(kept) > 1 else kept[0]
