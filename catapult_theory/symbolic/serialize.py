"""Expressions as JSON trees and back, through a table of admitted node types.

Reading never evaluates text: a tree that names anything else is refused.
"""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.matrices.expressions.slice import MatrixSlice

from catapult_theory.errors import InputError
from catapult_theory.symbolic import matrix_nodes as nodes
from catapult_theory.symbolic.symbols import Inner

_NODES: dict[str, Any] = {
    cls.__name__: cls
    for cls in (
        sp.Add, sp.Mul, sp.Pow, sp.Abs, sp.Max, sp.Min, sp.exp, sp.log, sp.sin, sp.cos, sp.tan,
        sp.sinh, sp.cosh, sp.tanh, sp.sign, sp.Heaviside, sp.DiracDelta, sp.Piecewise, sp.And,
        sp.Or, sp.Not, sp.GreaterThan, sp.LessThan, sp.StrictGreaterThan, sp.StrictLessThan,
        sp.Equality, sp.Unequality, sp.Lambda, sp.Trace, sp.Transpose, sp.MatMul, sp.MatAdd,
        sp.Identity, sp.ZeroMatrix, sp.BlockMatrix, MatrixSlice, Inner, nodes.Elementwise,
        nodes.Softmax, nodes.LogSumExp, nodes.ElementSum, nodes.TopEigenvalue, nodes.Diagonal,
        nodes.Spread,
        sp.functions.elementary.piecewise.ExprCondPair,
    )
}  # fmt: skip
DOUBLE = 53
_ASSUMPTIONS = ("real", "positive", "nonnegative", "integer")
_CONSTANTS = {"pi": sp.pi, "E": sp.E, "oo": sp.oo, "true": sp.true, "false": sp.false}


def dump(expression: Any) -> Any:
    """Return the expression (or a nested tuple of expressions) as lists, strings and numbers.

    Parameters
    ----------
    expression : sympy object, int, str or tuple
        Integers and texts stand for themselves.

    Returns
    -------
    list, str or int

    Raises
    ------
    InputError
        If it holds a node that cannot be stored.

    Examples
    --------
    >>> x = sp.Symbol("x", real=True)
    >>> load(dump(x**2 + sp.Rational(1, 2))) == x**2 + sp.Rational(1, 2)
    True
    """
    if isinstance(expression, (str, int)):
        return expression
    if isinstance(expression, (tuple, sp.Tuple)):
        return ["tuple", *map(dump, expression)]
    if isinstance(expression, sp.MatrixSymbol):
        return ["MatrixSymbol", expression.name, *map(dump, expression.shape)]
    if isinstance(expression, sp.Symbol):
        known = [a for a in _ASSUMPTIONS if expression.assumptions0.get(a)]
        return ["Symbol", expression.name, *known]
    if isinstance(expression, sp.Rational):
        return ["Rational", int(expression.p), int(expression.q)]
    if isinstance(expression, sp.Float):
        double = expression._prec == DOUBLE
        return ["Float", repr(float(expression)) if double else str(expression),
                int(expression._prec)]  # fmt: skip
    for text, constant in _CONSTANTS.items():
        if expression == constant:
            return ["constant", text]
    if isinstance(expression, sp.ImmutableDenseMatrix):
        rows, cols = expression.shape
        return ["Matrix", rows, cols, *map(dump, expression)]
    title = type(expression).__name__
    if title not in _NODES:
        raise InputError(f"cannot store {expression}: {title} is not among the admitted nodes")
    return [title, *map(dump, expression.args)]


def load(tree: Any) -> Any:
    """Return the expression that `dump` wrote.

    Parameters
    ----------
    tree : list, str or int

    Returns
    -------
    sympy object, tuple, str or int

    Raises
    ------
    InputError
        If the tree names a node that is not admitted.
    """
    if isinstance(tree, (str, int)):
        return tree
    if not isinstance(tree, list) or not tree or not isinstance(tree[0], str):
        raise InputError(f"not an expression tree: {str(tree)[:60]}")
    title, *rest = tree
    if title == "Symbol":
        return sp.Symbol(str(rest[0]), **{a: True for a in rest[1:] if a in _ASSUMPTIONS})
    if title == "Float":
        return sp.Float(rest[0], precision=int(rest[1]))
    if title == "constant" and rest[0] in _CONSTANTS:
        return _CONSTANTS[rest[0]]
    args = [load(a) for a in rest]
    if title == "tuple":
        return tuple(args)
    if title == "MatrixSymbol":
        return sp.MatrixSymbol(*args)
    if title == "Rational":
        return sp.Rational(*args)
    if title == "Matrix":
        return sp.ImmutableDenseMatrix(args[0], args[1], args[2:])
    if title not in _NODES:
        raise InputError(f"expression node {title!r} is not admitted")
    return _rebuilt(_NODES[title], args)


def _rebuilt(cls: Any, args: list[Any]) -> Any:
    """Rebuild a node with the structure that was stored, without simplifying it anew."""
    if cls in (sp.Add, sp.Mul, sp.Pow, sp.MatMul, sp.MatAdd):
        return cls(*args, evaluate=False) if cls in (sp.Add, sp.Mul, sp.Pow) else cls(*args)
    return cls(*(sp.Tuple(*a) if isinstance(a, tuple) else a for a in args))
