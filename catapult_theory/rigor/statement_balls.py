"""Orbits of matrix maps in ball arithmetic (python-flint): where float64 would prove nothing."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy as sp

from catapult_theory.errors import InputError
from catapult_theory.rigor.certificate_balls import flint
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive

Found = tuple[bool, str]


def samples_counterexample(bits: int = 1200, steps: int = 14) -> Found:
    """Follow two samples at eta lambda_max(Theta_0) <= 3.4 until the loss provably passes 1e100.

    C = X^T X / m = I, eta = n = 1, y = 0; s = 0.2, G = diag(3.2, 2.95), W = (0.79, 0.1). The
    balls hold every rounding, so that the last loss is a proved bound.
    """
    ball = flint()
    ball.ctx.prec = bits
    exact = {
        "W": [["0.79", "0.1"]],
        "G": [["3.2", "0"], ["0", "2.95"]],
        "S": [["0.2"]],
        "X": [["1", "1"], ["1", "-1"]],
        "Y": [["0"], ["0"]],
    }
    update_map = derive(models.linear(outputs=1))
    values = {name: _matrix(rows) for name, rows in exact.items()}
    scalars = {"eta": ball.arb(1), "n": ball.arb(1), "m": ball.arb(2)}
    top = _bound_of_kernel(values, scalars)
    for _ in range(steps):
        known = _with_definitions(update_map, values, scalars)
        new = {s.name: evaluate(e, known, scalars) for s, e in update_map.updates.items()}
        values |= new
    out = values["X"] * values["W"].transpose()
    loss = sum((out[i, 0] ** 2 for i in range(2)), ball.arb(0)) / 4
    passed = bool(loss > ball.arb(10) ** 100) and bool(top < ball.arb("3.4001"))
    words = f"eta lambda_max <= {float(top):.4g}, loss {float(loss):.3g} at step {steps}"
    return passed, f"{words}, in balls of {bits} bits"


def _matrix(rows: list[list[str]]) -> Any:
    ball = flint()
    exact = [[ball.fmpq(*Fraction(x).as_integer_ratio()) for x in row] for row in rows]
    return ball.arb_mat([[ball.arb(x) for x in row] for row in exact])


def _with_definitions(update_map: Any, values: dict[str, Any], scalars: dict[str, Any]) -> Any:
    known = dict(values)
    for symbol, expression in update_map.definitions.items():
        known[symbol.name] = evaluate(expression, known, scalars)
    return known


def _bound_of_kernel(values: dict[str, Any], scalars: dict[str, Any]) -> Any:
    """Return a bound on the eigenvalues of Theta / m = (s X X^T + X G X^T) / m: its row sums."""
    x = values["X"]
    theta = (x * x.transpose() * values["S"][0, 0] + x * values["G"] * x.transpose()) / scalars["m"]
    first, second = (abs(theta[i, 0]) + abs(theta[i, 1]) for i in range(2))
    return (first + second) / 2 + abs(first - second) / 2


def evaluate(expression: Any, matrices: dict[str, Any], scalars: dict[str, Any]) -> Any:
    """Return a matrix expression at matrices of balls.

    Parameters
    ----------
    expression : sympy.MatrixExpr or sympy.Expr
        Sums, products and transposes of matrix symbols, with scalar coefficients.
    matrices, scalars : dict
        By name.

    Returns
    -------
    flint.arb_mat or flint.arb

    Raises
    ------
    InputError
        For any other operation.
    """
    if isinstance(expression, sp.MatrixSymbol):
        return matrices[expression.name]
    if expression.is_Symbol:
        return scalars[expression.name]
    if expression.is_Rational:
        return flint().arb(flint().fmpq(int(expression.p), int(expression.q)))
    parts = [evaluate(a, matrices, scalars) for a in expression.args]
    if isinstance(expression, sp.Transpose):
        return parts[0].transpose()
    if expression.is_Pow and expression.exp.is_Integer:
        return parts[0] ** int(expression.exp)
    if isinstance(expression, (sp.MatAdd, sp.Add, sp.MatMul, sp.Mul)):
        total, *rest = parts
        for part in rest:
            total = total + part if isinstance(expression, (sp.MatAdd, sp.Add)) else total * part
        return total
    raise InputError(f"ball arithmetic has no {type(expression).__name__}")
