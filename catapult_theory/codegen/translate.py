"""From SymPy's expressions to evaluation trees, one node type at a time.

Nothing is expanded or simplified here: a factored form keeps its digits near zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.matrices.expressions.slice import MatrixSlice

from catapult_theory.codegen import ir
from catapult_theory.codegen.ir import Node, add, call, mul, number, power, symbol
from catapult_theory.errors import InputError
from catapult_theory.symbolic.matrix_nodes import (
    Diagonal,
    ElementSum,
    Elementwise,
    LogSumExp,
    Softmax,
    Spread,
)

_FUNCTIONS: Mapping[Any, str] = {
    sp.exp: "exp",
    sp.log: "log",
    sp.sin: "sin",
    sp.cos: "cos",
    sp.tan: "tan",
    sp.sinh: "sinh",
    sp.cosh: "cosh",
    sp.tanh: "tanh",
    sp.asin: "asin",
    sp.acos: "acos",
    sp.atan: "atan",
    sp.asinh: "asinh",
    sp.acosh: "acosh",
    sp.atanh: "atanh",
    sp.Abs: "abs",
    sp.sign: "sign",
}
_COMPARISONS: Mapping[Any, str] = {
    sp.StrictLessThan: "lt",
    sp.LessThan: "le",
    sp.StrictGreaterThan: "gt",
    sp.GreaterThan: "ge",
    sp.Equality: "eq",
    sp.Unequality: "ne",
    sp.And: "and",
    sp.Or: "or",
    sp.Not: "not",
}


def size_name(size: Any) -> ir.Size:
    """Return a matrix size as an integer or as the text of its expression in m, d, k."""
    return int(size) if sp.sympify(size).is_Integer else str(size)


def matrix_shape(expression: Any) -> ir.Shape:
    """Return the shape of a matrix expression in sizes that can be printed."""
    return tuple(size_name(s) for s in expression.shape)


def translate(expression: Any, values: Mapping[Any, Node] | None = None) -> Node:
    """Return the evaluation tree of a scalar or matrix expression.

    Parameters
    ----------
    expression : sympy.Expr or MatrixExpr
    values : mapping, optional
        Trees that stand for some of its symbols.

    Returns
    -------
    Node

    Raises
    ------
    InputError
        If the expression holds something that no target can compute.

    Examples
    --------
    >>> x = sp.Symbol("x", real=True)
    >>> translate(2 * x - 1)
    add(number:-1(),mul(number:2(),symbol:x()))
    """
    return _Translator(values or {}).of(expression)


class _Translator:
    """Recursion over the tree with a table of what its symbols stand for."""

    def __init__(self, values: Mapping[Any, Node]) -> None:
        self.values = values

    def of(self, e: Any) -> Node:
        if e in self.values:
            return self.values[e]
        for cls, rule in self._rules():
            if isinstance(e, cls):
                return rule(e)
        title = type(e).__name__
        raise InputError(
            f"cannot generate code for {title} in {str(e)[:80]}: rewrite the loss or observable "
            "with exp, log, tanh, Abs, Max, Min, sqrt, Piecewise, sin, cos and powers"
        )

    def _rules(self) -> tuple[tuple[Any, Callable[[Any], Node]], ...]:
        return (
            (sp.MatrixBase, self._dense),
            (sp.MatrixExpr, self._matrix),
            (sp.Symbol, lambda e: symbol(e.name)),
            (sp.Number, self._number),
            (sp.NumberSymbol, lambda e: number(float(e))),
            (sp.Add, lambda e: add(*map(self.of, e.args))),
            (sp.Mul, lambda e: mul(*map(self.of, e.args))),
            (sp.exp, lambda e: call("exp", self.of(e.args[0]))),
            (sp.Pow, self._power),
            (sp.Heaviside, self._heaviside),
            (sp.DiracDelta, lambda e: ir.ZERO),
            (sp.Max, lambda e: self._fold("maximum", e)),
            (sp.Min, lambda e: self._fold("minimum", e)),
            (sp.Piecewise, self._piecewise),
            (tuple(_FUNCTIONS), self._function),
            (tuple(_COMPARISONS), self._comparison),
            (ElementSum, lambda e: element_sum(self.of(e.args[0]))),
            (sp.Trace, lambda e: trace(self.of(e.args[0]))),
        )

    def _number(self, e: Any) -> Node:
        if e.is_Rational and e.is_finite:
            return number(Fraction(int(e.p), int(e.q)))
        if not e.is_finite:
            raise InputError(f"cannot generate code for {e}: the map is not finite")
        return number(float(e))

    def _power(self, e: Any) -> Node:
        base, exponent = e.as_base_exp() if e.base is sp.E else (e.base, e.exp)
        if base is sp.E:
            return call("exp", self.of(exponent))
        if exponent.is_Rational:
            return power(self.of(base), Fraction(int(exponent.p), int(exponent.q)))
        return call("pow", self.of(base), self.of(exponent))

    def _function(self, e: Any) -> Node:
        return call(_FUNCTIONS[type(e)], self.of(e.args[0]))

    def _heaviside(self, e: Any) -> Node:
        return mul(number(Fraction(1, 2)), add(ir.ONE, call("sign", self.of(e.args[0]))))

    def _fold(self, name: str, e: Any) -> Node:
        first, *rest = sorted((self.of(a) for a in e.args), key=ir.order)
        for other in rest:
            first = call(name, other, first)
        return first

    def _comparison(self, e: Any) -> Node:
        args = tuple(self.of(a) for a in e.args)
        if isinstance(e, (sp.And, sp.Or)):
            args = tuple(sorted(args, key=ir.order))
        return Node(_COMPARISONS[type(e)], args, None, ir.shape_of(args))

    def _piecewise(self, e: Any) -> Node:
        *cases, last = e.args
        if last.cond != sp.true:
            raise InputError(f"{e} has no value where no condition holds: add (value, True)")
        result = self.of(last.expr)
        for case in reversed(cases):
            args = (self.of(case.cond), self.of(case.expr), result)
            result = Node("where", args, None, ir.shape_of(args))
        return result

    def _dense(self, e: Any) -> Node:
        raise InputError(f"cannot generate code for the explicit matrix {str(e)[:60]}")

    def _matrix(self, e: Any) -> Node:
        shape = matrix_shape(e)
        if isinstance(e, sp.MatrixSymbol):
            return symbol(e.name, shape)
        if isinstance(e, sp.MatAdd):
            return add(*(t for t in map(self.of, e.args) if t != ir.ZERO))
        if isinstance(e, sp.MatMul):
            return self._product(e)
        if isinstance(e, Diagonal):
            return diagonal(self.of(e.args[0]))
        if isinstance(e, sp.Transpose):
            return transpose(self.of(e.args[0]))
        if isinstance(e, sp.Identity):
            return Node("identity", (), None, shape)
        if isinstance(e, sp.ZeroMatrix):
            return ir.ZERO
        if isinstance(e, Elementwise):
            return self._elementwise(e)
        if isinstance(e, Softmax):
            return Node("softmax", (self.of(e.args[0]),), None, shape)
        if isinstance(e, LogSumExp):
            return Node("logsumexp", (self.of(e.args[0]),), None, shape)
        if isinstance(e, MatrixSlice):
            (r0, r1, _), (c0, c1, _) = e.rowslice, e.colslice
            bounds = tuple(size_name(b) for b in (r0, r1, c0, c1))
            return Node("slice", (self.of(e.parent),), bounds, shape)
        if isinstance(e, sp.BlockMatrix):
            rows, _ = e.blockshape
            return Node("block", tuple(self.of(b) for b in e.blocks), rows, shape)
        raise InputError(f"cannot generate code for {type(e).__name__} in {str(e)[:80]}")

    def _product(self, e: Any) -> Node:
        scalars = [self.of(a) for a in e.args if not getattr(a, "is_Matrix", False)]
        matrices: list[Node] = []
        columns: list[Node] = []
        for a in (a for a in e.args if getattr(a, "is_Matrix", False)):
            if isinstance(a, Spread):
                columns.append(self.of(a.args[0]))
                continue
            factor = self.of(a)
            while columns:
                factor = _scaled_rows(columns.pop(), factor)
            matrices.append(factor)
        if columns:
            raise InputError(f"cannot generate code for {e}: nothing follows the diagonal matrix")
        return mul(*scalars, matmul(*matrices))

    def _elementwise(self, e: Any) -> Node:
        function, *matrices = e.args
        inside = {s: self.of(m) for s, m in zip(function.variables, matrices, strict=True)}
        result = _Translator({**self.values, **inside}).of(function.expr)
        if result.shape:
            return result
        return mul(result, call("ones_like", inside[function.variables[0]]))


def matmul(*factors: Node) -> Node:
    """Return a matrix product, nested products flattened and scalar factors taken outside."""
    scalars: list[Node] = []
    chain: list[Node] = []
    for factor in factors:
        if factor == ir.ZERO:
            return ir.ZERO
        inner = factor
        if factor.op == "mul":
            matrices = [a for a in factor.args if a.shape]
            if len(matrices) == 1:
                scalars += [a for a in factor.args if not a.shape]
                inner = matrices[0]
        if inner.op == "identity":
            continue
        chain += inner.args if inner.op == "matmul" else (inner,)
    if not chain:
        return mul(*scalars, factors[0])
    if len(chain) == 1:
        return mul(*scalars, chain[0])
    shape = (chain[0].shape[0], chain[-1].shape[1])
    return mul(*scalars, Node("matmul", tuple(chain), None, shape))


def _scaled_rows(column: Node, matrix: Node) -> Node:
    """Return Diag(column) matrix: row i of the matrix times entry i of the column."""
    rows = Node("ones", (), None, (1, matrix.shape[1]))
    return mul(matmul(column, rows), matrix)


def diagonal(matrix: Node) -> Node:
    """Return the diagonal of a sum of products A B as a column: the row sums of A * B^T.

    Parameters
    ----------
    matrix : Node
        Square.

    Returns
    -------
    Node

    Examples
    --------
    >>> a, b = symbol("A", ("m", 3)), symbol("B", (3, "m"))
    >>> diagonal(matmul(a, b)).shape
    ('m', 1)
    """
    if matrix.op == "add":
        return add(*map(diagonal, matrix.args))
    if matrix.op == "mul":
        scalars = [a for a in matrix.args if not a.shape]
        others = [a for a in matrix.args if a.shape]
        if len(others) == 1:
            return mul(*scalars, diagonal(others[0]))
    if matrix.op != "matmul":
        raise InputError(f"cannot generate code for the diagonal of {matrix}: write a product")
    *left, right = matrix.args
    entries = mul(matmul(*left), transpose(right))
    return matmul(entries, Node("ones", (), None, (right.shape[0], 1)))


def transpose(matrix: Node) -> Node:
    """Return the transpose, moved inwards until it stands at a symbol.

    Parameters
    ----------
    matrix : Node

    Returns
    -------
    Node

    Examples
    --------
    >>> a, b = symbol("A", (2, 3)), symbol("B", (3, 4))
    >>> transpose(matmul(a, b))
    matmul(transpose(symbol:B@(3, 4)()),transpose(symbol:A@(2, 3)()))
    """
    if not matrix.shape:
        return matrix
    rows, cols = matrix.shape
    if matrix.op == "transpose":
        return matrix.args[0]
    if matrix.op == "matmul":
        return matmul(*(transpose(a) for a in reversed(matrix.args)))
    if matrix.op == "identity":
        return matrix
    if matrix.op == "outer":
        column, row = matrix.args
        return Node("outer", (transpose(row), transpose(column)), None, (cols, rows))
    if matrix.op == "ones":
        return Node("ones", (), None, (cols, rows))
    if matrix.op == "add":
        return add(*map(transpose, matrix.args))
    if matrix.op == "mul":
        return mul(*map(transpose, matrix.args))
    if matrix.op in ir.ELEMENTWISE and matrix.args:
        return Node(matrix.op, tuple(map(transpose, matrix.args)), matrix.value, (cols, rows))
    return Node("transpose", (matrix,), None, (cols, rows))


def element_sum(matrix: Node) -> Node:
    """Return the sum of all entries, scalar factors taken outside."""
    if matrix.op != "mul":
        return Node("sum", (matrix,))
    scalars = [a for a in matrix.args if not a.shape]
    others = [a for a in matrix.args if a.shape]
    inside = others[0] if len(others) == 1 else Node("mul", tuple(others), None, matrix.shape)
    return mul(*scalars, Node("sum", (inside,)))


def trace(matrix: Node) -> Node:
    """Return the trace: of a product it stays a cyclic word, otherwise the diagonal is summed."""
    if matrix == ir.ZERO:
        return ir.ZERO
    if matrix.op == "add":
        return add(*map(trace, matrix.args))
    if matrix.op == "mul":
        scalars = [a for a in matrix.args if not a.shape]
        others = [a for a in matrix.args if a.shape]
        if len(others) == 1:
            return mul(*scalars, trace(others[0]))
    if matrix.op == "matmul":
        return Node("trace", (matrix,))
    return element_sum(mul(matrix, Node("identity", (), None, matrix.shape)))
