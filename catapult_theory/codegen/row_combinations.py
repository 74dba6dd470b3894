"""Rows as combinations of few rows: what is arithmetic on numbers is not done on rows.

Sums of products of rows are turned into as few products as they need.
"""

from __future__ import annotations

from fractions import Fraction

from catapult_theory.codegen import ir
from catapult_theory.codegen.ir import Node
from catapult_theory.codegen.matrix_deferral import Deferral
from catapult_theory.codegen.spelling import Spelling, write


def inner_product(node: Node) -> tuple[str, str] | None:
    """Return the two rows of an inner product, None for anything else.

    Parameters
    ----------
    node : Node

    Returns
    -------
    tuple of str or None

    Examples
    --------
    >>> row = ir.symbol("Z", (1, 4))
    >>> inner_product(Node("sum", (ir.mul(row, row),))), inner_product(row)
    (('Z', 'Z'), None)
    """
    if node.op == "sum" and node.args[0].op == "mul":
        sides = node.args[0].args
        if len(sides) == 2 and all(a.op == "symbol" and a.shape for a in sides):
            return str(sides[0].value), str(sides[1].value)
    if node.op == "matmul" and node.shape == (1, 1):
        left, right = node.args
        if left.op == "symbol" and right.op == "transpose" and right.is_leaf:
            return str(left.value), str(right.args[0].value)
    return None


def line_of(name: str, node: Node, how: Spelling) -> str:
    """Return the line that works out a row or a number."""
    pair = inner_product(node)
    return f"{name} = inner({pair[0]}, {pair[1]})" if pair else f"{name} = {write(node, how)}"


class Combinations:
    """Rows as combinations of few rows, with the coefficients of each row gathered.

    W - eta (S Z + V) + c W Z^T Z becomes W + (c W Z^T - eta S) Z - eta V: arithmetic on numbers
    in place of arithmetic on rows.
    """

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Node]] = {}

    def of(self, node: Node) -> dict[str, Node] | None:
        """Return the coefficients of an expression by row, or None where it is not linear."""
        if node.op == "symbol":
            name = str(node.value)
            return self.known.get(name, {name: ir.ONE})
        if node.op == "add":
            found: dict[str, Node] = {}
            for part in map(self.of, node.args):
                if part is None:
                    return None
                for name, coefficient in part.items():
                    found[name] = ir.add(found.get(name, ir.ZERO), coefficient)
            return found
        rows = [a for a in node.args if a.shape and a.shape != (1, 1)]
        if len(rows) != 1 or (rows[0] == node.args[-1] != node.args[0] and node.op == "div"):
            return None
        numbers = [_number(a) for a in node.args if a != rows[0]]
        inside = self.of(rows[0])
        if inside is None or node.op not in ("mul", "div", "outer"):
            return None
        if node.op == "div":
            return {name: Node("div", (c, *numbers)) for name, c in inside.items()}
        return {name: ir.mul(c, *numbers) for name, c in inside.items()}

    def gathered(self, node: Node) -> Node:
        """Return an expression with its coefficients gathered, where it is a combination."""
        found = self.of(node) if node.shape not in ((), (1, 1)) else None
        if found is None:
            return node
        return ir.add(*(_multiple(c, ir.symbol(name, node.shape)) for name, c in found.items()))

    def text(self, node: Node, how: Spelling) -> str:
        """Return the text of a row."""
        return write(self.gathered(node), how)

    def lines(self, name: str, node: Node, how: Spelling) -> list[str]:
        """Return the lines of an assignment; a multiple of one row needs none."""
        pair = inner_product(node)
        if pair is not None:
            return [self._product(name, pair, how)]
        found = self.of(node) if node.shape not in ((), (1, 1)) else None
        if found is not None and len(found) == 1:
            self.known[name] = found
            return []
        return self.outcome(name, node, how)

    def outcome(self, name: str, node: Node, how: Spelling) -> list[str]:
        """Return the line of something that is read from outside."""
        return [line_of(name, self.gathered(node), how)]

    def sides(self, found: Deferral, how: Spelling) -> tuple[list[str], list[str]] | None:
        """Return lines and sides p, a, q, b, ... of the sum p^T a + a^T p + q^T b + b^T q + ...

        A symmetric sum of C_pq p^T q over rows p, q is one of p^T a + a^T p, where
        a = C_pp p / 2 + the C_pq q of all q that come later. None where it is not symmetric.
        """
        form = self._form(found)
        if form is None or any(form.get((q, p)) != c for (p, q), c in form.items()):
            return None
        names = list(dict.fromkeys(p for p, _ in form))
        lines, flat = [], []
        for i, p in enumerate(names):
            later = {q: form[p, q] for q in names[i + 1 :] if (p, q) in form}
            if (p, p) in form:
                later[p] = ir.mul(ir.number(Fraction(1, 2)), form[p, p])
            if later:
                flat += [p, f"a{i}"]
                terms = (_multiple(c, ir.symbol(q, found.probe.shape)) for q, c in later.items())
                lines.append(f"a{i} = {write(ir.add(*terms), how)}")
        return lines, flat

    def _form(self, found: Deferral) -> dict[tuple[str, str], Node] | None:
        """Return the coefficients C_pq of the products p^T q."""
        form: dict[tuple[str, str], Node] = {}
        for factor in found.factors:
            left, right = self.of(factor.left), self.of(factor.right)
            if left is None or right is None:
                return None
            for p, a in left.items():
                for q, b in right.items():
                    form[p, q] = ir.add(form.get((p, q), ir.ZERO), ir.mul(a, b))
        return {pair: c for pair, c in form.items() if c != ir.ZERO}

    def _product(self, name: str, pair: tuple[str, str], how: Spelling) -> str:
        """Return an inner product with the factors of its rows in front."""
        sides, front = [], []
        for side in pair:
            ((row, coefficient),) = self.known.get(side, {side: ir.ONE}).items()
            sides.append(row)
            front.append(coefficient)
        scale = ir.mul(*front)
        text = f"inner({sides[0]}, {sides[1]})"
        return f"{name} = {text if scale == ir.ONE else f'{text} * ({write(scale, how)})'}"


def _multiple(coefficient: Node, row: Node) -> Node:
    """Return a number times a row, with the number worked out first and its sign in front."""
    negative, size = ir.sign_split(coefficient)
    term = row if size == ir.ONE else Node("mul", (size, row), None, row.shape)
    return Node("mul", (ir.MINUS, term), None, row.shape) if negative else term


def _number(node: Node) -> Node:
    """Return an expression of numbers, with 1 x 1 matrices as the numbers they are."""

    def rule(x: Node) -> Node:
        if x.shape and x.is_leaf:
            return ir.symbol(str(x.args[0].value if x.op == "transpose" else x.value))
        return Node(x.op, x.args, x.value)

    return ir.rewrite(node, rule)
