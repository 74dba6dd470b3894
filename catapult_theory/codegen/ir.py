"""Expressions for code generation: immutable trees with a canonical key and order.

SymPy keeps the mathematics; these trees keep the *order of evaluation*. Every node has a
text key built from its structure alone, so that sorting, sharing and printing come out the
same in every process and under every hash seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

Size = int | str
Shape = tuple[Size, ...]
SCALAR: Shape = ()

# Operators that act on every entry of their arguments; all others are matrix operations.
# fmt: off
ELEMENTWISE = frozenset({
    "number", "symbol", "add", "mul", "div", "power", "call", "where", "lt", "le", "gt", "ge",
    "eq", "ne", "and", "or", "not", "identity", "outer", "ones",
})
# fmt: on
_SHAPED = ("identity", "ones", "slice", "symbol")


@dataclass(frozen=True, eq=False)
class Node:
    """One operation on other nodes.

    Parameters
    ----------
    op : str
        "number", "symbol", "add", "mul", "div", "power", "call", "where", a comparison, or a
        matrix operation: "matmul", "outer" (a column times a row), "transpose", "softmax",
        "logsumexp", "sum", "trace", "slice", "block", "identity", "ones".
    args : tuple of Node
    value : object
        The number, the name of a symbol or of a called function, the exponent of a power,
        the bounds of a slice, the number of rows of a block.
    shape : tuple
        () for a scalar, (rows, columns) for a matrix; sizes are integers or names.
    """

    op: str
    args: tuple[Node, ...] = ()
    value: Any = None
    shape: Shape = SCALAR
    key: str = field(init=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        inner = ",".join(a.key for a in self.args)
        label = "" if self.value is None else f":{self.value}"
        shape = f"@{self.shape}" if self.op in _SHAPED and self.shape else ""
        object.__setattr__(self, "key", f"{self.op}{label}{shape}({inner})")
        object.__setattr__(self, "size", 1 + sum(a.size for a in self.args))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return self.key

    @property
    def is_leaf(self) -> bool:
        """Whether the node is a number, a symbol, or a symbol seen through a transpose."""
        return not self.args or (self.op == "transpose" and not self.args[0].args)

    @property
    def is_negation(self) -> bool:
        """Whether the node is minus another one."""
        return self.op == "mul" and len(self.args) == 2 and self.args[0] == MINUS

    def rebuilt(self, args: Iterable[Node]) -> Node:
        """Return the node with other arguments, without simplifying it."""
        return Node(self.op, tuple(args), self.value, self.shape)


def number(value: Fraction | float | int) -> Node:
    """Return a constant; whole and rational numbers stay exact until they are printed."""
    return Node("number", (), value if isinstance(value, float) else Fraction(value))


def symbol(name: str, shape: Shape = SCALAR) -> Node:
    """Return a named input or intermediate quantity."""
    return Node("symbol", (), name, shape)


ZERO, ONE, MINUS = number(0), number(1), number(-1)


def order(node: Node) -> tuple[int, int, str]:
    """Return the canonical sort key: numbers, then small expressions, then by structure.

    Parameters
    ----------
    node : Node

    Returns
    -------
    tuple
    """
    return (0 if node.op == "number" else 1, node.size, node.key)


def shape_of(nodes: Iterable[Node]) -> Shape:
    """Return the shape that entrywise operations on these nodes give."""
    for node in nodes:
        if node.shape:
            return node.shape
    return SCALAR


def add(*terms: Node) -> Node:
    """Return a sum in canonical order, kept as it was grouped: no term is distributed."""
    kept = [t for t in terms if t != ZERO]
    if not kept:
        return ZERO
    if len(kept) == 1:
        return kept[0]
    if all(t.op == "number" for t in kept):
        return number(sum(t.value for t in kept))
    return Node("add", tuple(sorted(kept, key=order)), None, shape_of(kept))


def mul(*factors: Node) -> Node:
    """Return a product in canonical order, with one numerical coefficient in front."""
    coefficient: Any = Fraction(1)
    flat: list[Node] = []
    stack = list(factors)
    while stack:
        factor = stack.pop(0)
        if factor.op == "mul":
            stack = [*factor.args, *stack]
        elif factor.op == "number":
            coefficient = coefficient * factor.value
        else:
            flat.append(factor)
    if coefficient == 0:
        return ZERO
    rest = sorted(flat, key=order)
    if coefficient != 1 or not rest:
        rest = [number(coefficient), *rest]
    return rest[0] if len(rest) == 1 else Node("mul", tuple(rest), None, shape_of(rest))


def power(base: Node, exponent: Fraction) -> Node:
    """Return base**exponent for a rational exponent."""
    if exponent == 1:
        return base
    if exponent == 0:
        return ONE
    if base.op == "number" and isinstance(base.value, Fraction) and exponent.denominator == 1:
        return number(base.value**exponent.numerator)
    return Node("power", (base,), exponent, base.shape)


def call(name: str, *args: Node) -> Node:
    """Return a function applied to every entry."""
    return Node("call", args, name, shape_of(args))


def sign_split(node: Node) -> tuple[bool, Node]:
    """Return whether a term is negative by its coefficient, and its absolute form."""
    if node.op == "number" and node.value < 0:
        return True, number(-node.value)
    if node.op == "mul" and node.args[0].op == "number" and node.args[0].value < 0:
        first, *rest = node.args
        if first.value == -1:
            return True, rest[0] if len(rest) == 1 else node.rebuilt(rest)
        return True, node.rebuilt((number(-first.value), *rest))
    return False, node


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and everything below it, arguments first."""
    for arg in node.args:
        yield from walk(arg)
    yield node


def symbols_in(node: Node) -> set[str]:
    """Return the names of the symbols in an expression."""
    return {x.value for x in walk(node) if x.op == "symbol"}


def rewrite(node: Node, rule: Callable[[Node], Node]) -> Node:
    """Return the tree with a rule applied to every node, arguments first.

    Parameters
    ----------
    node : Node
    rule : callable
        From a node whose arguments are already rewritten to its replacement.

    Returns
    -------
    Node

    Examples
    --------
    >>> x = symbol("x")
    >>> rewrite(add(x, ONE), lambda e: symbol("z") if e == x else e)
    add(number:1(),symbol:z())
    """
    args = tuple(rewrite(a, rule) for a in node.args)
    same = all(a is b for a, b in zip(args, node.args, strict=True))
    return rule(node if same else node.rebuilt(args))
