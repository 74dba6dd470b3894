"""Evaluation trees as Python text; the targets differ in a small table of spellings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

from catapult_theory.codegen.ir import Node, sign_split

SUM, PRODUCT, ATOM = 1, 2, 4
_COMPARISON = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}


@dataclass(frozen=True)
class Spelling:
    """How a target writes what differs between targets.

    Parameters
    ----------
    number : callable
        From the digits of a float to a literal.
    leaf : callable
        From a symbol, transposed symbol, slice, identity or outer product to text.
    call : callable
        From a function or matrix operation and the texts of its arguments to text.
    where : callable
        From condition, both branches (nodes and texts) to text.
    conjunction : mapping
        Spelling of "and", "or" and "not".
    """

    number: Callable[[str], str]
    leaf: Callable[[Node], str]
    call: Callable[[Node, list[str]], str]
    where: Callable[[tuple[Node, ...], list[str]], str]
    conjunction: dict[str, str]


def digits(value: Fraction | float) -> str:
    """Return the shortest decimal text that reads back as the same double.

    Parameters
    ----------
    value : Fraction or float

    Returns
    -------
    str

    Examples
    --------
    >>> digits(Fraction(1, 3)), digits(Fraction(4))
    ('0.3333333333333333', '4.0')
    """
    return repr(float(value))


def write(node: Node, spelling: Spelling) -> str:
    """Return the expression as Python text that evaluates in the order of the tree.

    Parameters
    ----------
    node : Node
    spelling : Spelling

    Returns
    -------
    str
    """
    return _Writer(spelling).text(node)[0]


class _Writer:
    def __init__(self, spelling: Spelling) -> None:
        self.spelling = spelling

    def text(self, node: Node) -> tuple[str, int]:
        """Return the text and how tightly its outermost operator binds."""
        if node.op == "number":
            literal = self.spelling.number(digits(node.value))
            return literal, PRODUCT if literal.startswith("-") else ATOM
        if node.op in ("symbol", "transpose", "slice", "identity", "ones"):
            return self.spelling.leaf(node), ATOM
        if node.op == "outer":
            return self.spelling.leaf(node), PRODUCT
        if node.op == "add":
            return self._sum(node.args), SUM
        if node.op == "mul":
            return self._product(node), PRODUCT
        if node.op == "div":
            return self._quotient(node), PRODUCT
        return self._function(node), ATOM

    def at_least(self, node: Node, binding: int) -> str:
        text, own = self.text(node)
        return text if own >= binding else f"({text})"

    def _negated(self, node: Node) -> str:
        """Return minus a node; two signs in a row would be a decrement in C."""
        text = self.at_least(node, PRODUCT)
        return f"-({text})" if text.startswith("-") else f"-{text}"

    def _sum(self, terms: Iterable[Node]) -> str:
        signed = [sign_split(t) for t in terms]
        first = next((i for i, (negative, _) in enumerate(signed) if not negative), 0)
        ordered = [signed[first], *signed[:first], *signed[first + 1 :]]
        negative, term = ordered[0]
        parts = [self._negated(term) if negative else self.at_least(term, PRODUCT)]
        for negative, term in ordered[1:]:
            parts.append((" - " if negative else " + ") + self.at_least(term, PRODUCT))
        return "".join(parts)

    def _product(self, node: Node) -> str:
        negative, positive = sign_split(node)
        if negative:
            return self._negated(positive)
        first, *rest = node.args
        return " * ".join([self.at_least(first, PRODUCT), *(self.at_least(a, ATOM) for a in rest)])

    def _quotient(self, node: Node) -> str:
        above, below = node.args
        return f"{self.at_least(above, PRODUCT)} / {self.at_least(below, ATOM)}"

    def _function(self, node: Node) -> str:
        texts = [self.text(a)[0] for a in node.args]
        if node.op in _COMPARISON:
            return f"({texts[0]} {_COMPARISON[node.op]} {texts[1]})"
        if node.op == "not":
            return f"({self.spelling.conjunction['not']}{texts[0]})"
        if node.op in ("and", "or"):
            return "(" + f" {self.spelling.conjunction[node.op]} ".join(texts) + ")"
        if node.op == "where":
            return self.spelling.where(node.args, texts)
        return self.spelling.call(node, texts)
