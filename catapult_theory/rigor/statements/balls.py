"""Orbits of matrix maps in ball arithmetic (python-flint): where float64 would prove nothing."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy as sp

from catapult_theory.errors import InputError
from catapult_theory.rigor.falsification.balls import precision
from catapult_theory.rigor.optional_parts import optional_part
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive

Found = tuple[bool, str]


def _flint() -> Any:
    return optional_part("flint", "ball arithmetic")


def samples_counterexample(bits: int = 1200, steps: int = 14) -> Found:
    """Follow two samples from eta lambda_max(Theta_0) <= 3.4 until they provably diverge.

    C = X^T X / m = I, eta = n = 1, y = 0; s = 0.2, G = diag(3.2, 2.95), W = (0.79, 0.1). The
    balls hold every rounding. The theorem samples-D: once mean(f^2) is at least 1 and at least
    4 (s + tr G), the loss at least doubles at every step.
    """
    with precision(bits):
        return _followed(bits, steps)


def _followed(bits: int, steps: int) -> Found:
    """Follow the two samples with balls of the precision that is set."""
    ball = _flint()
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
    for step in range(steps):
        if _diverges(values):
            words = f"eta lambda_max <= {float(top):.4g} diverges by samples-D from step {step}"
            return bool(top < ball.arb("3.4001")), f"{words}, in balls of {bits} bits"
        known = _with_definitions(update_map, values, scalars)
        values |= {s.name: evaluate(e, known, scalars) for s, e in update_map.updates.items()}
    return False, f"{steps} steps do not reach the hypotheses of samples-D"


def _diverges(values: dict[str, Any]) -> bool:
    """Whether mean(f^2) is at least 1 and at least 4 (s + tr G), for two samples."""
    out = values["X"] * values["W"].transpose()
    energy = (out[0, 0] ** 2 + out[1, 0] ** 2) / 2
    size = values["S"][0, 0] + values["G"][0, 0] + values["G"][1, 1]
    return bool(energy >= 1) and bool(energy >= 4 * size)


def _matrix(rows: list[list[str]]) -> Any:
    ball = _flint()
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
        ball = _flint()
        return ball.arb(ball.fmpq(int(expression.p), int(expression.q)))
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
