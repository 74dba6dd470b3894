"""A claim's tree written again as a reader would write it: W'*Z.T, f_{alpha beta}, x·y."""

from __future__ import annotations

import ast
from typing import Any

_SIGNS: dict[type, str] = {
    ast.Add: " + ", ast.Sub: " - ", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "·",
    ast.MatMult: "@", ast.Pow: "**",
}  # fmt: skip
_RELATIONS: dict[type, str] = {
    ast.Eq: "=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(5)


def words_of(node: ast.AST) -> str:
    """Return a node of a claim's tree as text that reads back as the same node.

    Examples
    --------
    >>> words_of(ast.parse("next(W)*transpose(Z + 1)*f[i_a, i_b]**2", mode="eval").body)
    "W'*(Z + 1).T*f_{a b}**2"
    """
    return _written(node)[0]


def labels_in(node: ast.Subscript) -> list[str]:
    """Return the labels of an indexed name."""
    inside = node.slice
    parts: list[Any] = list(inside.elts) if isinstance(inside, ast.Tuple) else [inside]
    return [str(getattr(p, "id", "i_?"))[2:] for p in parts]


def _written(node: ast.AST) -> tuple[str, int]:
    """Return the text of a node and how tightly it holds together."""
    if isinstance(node, ast.Compare):
        parts = [words_of(node.left)]
        for operator, side in zip(node.ops, node.comparators, strict=True):
            parts += [_RELATIONS[type(operator)], words_of(side)]
        return " ".join(parts), _SUM
    if isinstance(node, ast.Constant):
        return str(node.value), _ATOM
    if isinstance(node, ast.Name):
        return node.id, _ATOM
    if isinstance(node, ast.Subscript):
        return f"{_within(node.value, _ATOM)}_{{{' '.join(labels_in(node))}}}", _ATOM
    if isinstance(node, ast.UnaryOp):
        sign = "-" if isinstance(node.op, ast.USub) else "+"
        return f"{sign}{_within(node.operand, _PRODUCT)}", _SUM
    if isinstance(node, ast.BinOp):
        return _operation(node)
    return _called(node), _ATOM


def _operation(node: ast.BinOp) -> tuple[str, int]:
    sign = _SIGNS[type(node.op)]
    if isinstance(node.op, ast.Pow):
        return f"{_within(node.left, _ATOM)}**{_within(node.right, _ATOM)}", _POWER
    if isinstance(node.op, (ast.Add, ast.Sub)):
        return _sum(node)
    level = _PRODUCT
    if isinstance(node.op, ast.Mult) and _is_one(node.left):
        return _written(node.right)
    # The right operand binds more tightly, so that a/(b*c) keeps its meaning.
    return f"{_within(node.left, level)}{sign}{_within(node.right, level + 1)}", level


def _is_one(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 1


def _sum(node: ast.BinOp) -> tuple[str, int]:
    """Write a sum: a zero is left out, and a minus after a sign joins with it."""
    right, minus = node.right, isinstance(node.op, ast.Sub)
    while isinstance(right, ast.UnaryOp):
        minus ^= isinstance(right.op, ast.USub)
        right = right.operand
    if isinstance(right, ast.Constant) and right.value == 0:
        return _written(node.left)
    if isinstance(node.left, ast.Constant) and node.left.value == 0:
        return _written(ast.UnaryOp(ast.USub(), right) if minus else right)
    sign = " - " if minus else " + "
    # The right operand binds more tightly, so that a - (b - c) keeps its meaning.
    return f"{_within(node.left, _SUM)}{sign}{_within(right, _PRODUCT)}", _SUM


def _within(node: ast.AST, level: int) -> str:
    text, own = _written(node)
    return text if own >= level else f"({text})"


def _called(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return "..."
    name = getattr(node.func, "id", "")
    mark = {"next": "'", "transpose": ".T"}.get(name)
    if mark is not None:
        return f"{_within(node.args[0], _ATOM)}{mark}"
    if name == "total":
        return f"(sum_{getattr(node.args[0], 'id', '')[2:]} {_within(node.args[1], _PRODUCT)})"
    return f"{name}({', '.join(words_of(a) for a in node.args)})"
