"""Matrix products: which order to multiply in, and which products are one another's transpose.

The order is chosen by dynamic programming over nominal sizes (many samples m, fewer inputs d,
few outputs k), with products that the program needs anyway counted as free. A product of
samples by samples is never formed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from catapult_theory.codegen.ir import Node, Size, mul, rewrite, walk
from catapult_theory.codegen.translate import transpose

# What symbolic sizes count as when orders are compared: primes, so that ties are rare.
NOMINAL: Mapping[str, int] = {"m": 9973, "d": 499, "k": 11}
OTHER_SIZE = 101
FORBIDDEN = 1e30


def nominal(size: Size) -> int:
    """Return the number that a size counts as when costs are compared.

    Parameters
    ----------
    size : int or str

    Returns
    -------
    int

    Examples
    --------
    >>> nominal("m") > nominal("d") > nominal("k")
    True
    """
    if isinstance(size, int):
        return size
    return sum(
        int(part) if part.isdigit() else NOMINAL.get(part, OTHER_SIZE) for part in size.split(" + ")
    )


def product(chain: Sequence[Node]) -> Node:
    """Return the unassociated product of a chain, or its only member."""
    if len(chain) == 1:
        return chain[0]
    return Node("matmul", tuple(chain), None, (chain[0].shape[0], chain[-1].shape[1]))


def chains_in(roots: Iterable[Node]) -> set[str]:
    """Return the keys of the products that occur as such."""
    return {x.key for root in roots for x in walk(root) if x.op == "matmul"}


def mirrored(node: Node, symmetric: frozenset[str] = frozenset()) -> Node:
    """Return the transpose of a product with its grouping kept.

    Parameters
    ----------
    node : Node
    symmetric : frozenset of str
        Names of matrices that equal their transposes (diagonal Gram blocks).

    Returns
    -------
    Node

    Examples
    --------
    >>> from catapult_theory.codegen.ir import symbol
    >>> Z, G = symbol("Z", (1, 4)), symbol("G", (4, 4))
    >>> mirrored(product([Z, G]), frozenset({"G"}))
    matmul(symbol:G@(4, 4)(),transpose(symbol:Z@(1, 4)()))
    """
    if node.op == "matmul":
        rows, cols = node.shape
        flipped = tuple(mirrored(a, symmetric) for a in reversed(node.args))
        return Node("matmul", flipped, None, (cols, rows))
    return node if node.value in symmetric else transpose(node)


def oriented(roots: Sequence[Node], symmetric: frozenset[str] = frozenset()) -> list[Node]:
    """Compute a product once where both it and its transpose occur.

    Parameters
    ----------
    roots : sequence of Node
    symmetric : frozenset of str
        Names of matrices that equal their transposes.

    Returns
    -------
    list of Node
        With the later of the two (in canonical order) written as a transpose.
    """
    roots = [rewrite(root, lambda x: _untransposed(x, symmetric)) for root in roots]
    present = chains_in(roots)

    def rule(node: Node) -> Node:
        if node.op != "matmul":
            return node
        other = mirrored(node, symmetric)
        if other.key in present and other.key < node.key:
            return Node("transpose", (other,), None, node.shape)
        return node

    return [rewrite(root, rule) for root in roots]


def _untransposed(node: Node, symmetric: frozenset[str]) -> Node:
    return node.args[0] if node.op == "transpose" and node.args[0].value in symmetric else node


def outer(roots: Sequence[Node]) -> list[Node]:
    """Turn products over a single inner index into entrywise ones, a column times a row.

    Parameters
    ----------
    roots : sequence of Node

    Returns
    -------
    list of Node
    """

    def rule(node: Node) -> Node:
        if node.op == "matmul" and len(node.args) == 2 and node.args[0].shape[1] == 1:
            return Node("outer", node.args, None, node.shape)
        if node.op == "transpose" and node.args[0].op == "outer":
            column, row = node.args[0].args
            return Node("outer", (transpose(row), transpose(column)), None, node.shape)
        return node

    return [rewrite(root, rule) for root in roots]


@dataclass(frozen=True)
class Association:
    """The cheapest order of a product, given what is there anyway.

    Parameters
    ----------
    available : set of str
        Keys of products that the program computes in any case.
    fixed : callable
        Whether a product depends on the data alone, so that it is computed once.
    symmetric : frozenset of str
        Names of matrices that equal their transposes.
    """

    available: set[str]
    fixed: Callable[[Node], bool]
    symmetric: frozenset[str]

    def best(self, chain: Sequence[Node]) -> tuple[float, Node]:
        """Return cost and associated product of a chain of two or more factors."""
        table: dict[tuple[int, int], tuple[float, Node]] = {
            (i, i): (0.0, node) for i, node in enumerate(chain)
        }
        size = len(chain)
        for length in range(2, size + 1):
            for i in range(size - length + 1):
                j = i + length - 1
                table[i, j] = self._cheapest(chain, table, i, j)
        return table[0, size - 1]

    def _cheapest(
        self,
        chain: Sequence[Node],
        table: Mapping[tuple[int, int], tuple[float, Node]],
        i: int,
        j: int,
    ) -> tuple[float, Node]:
        whole = (i, j) == (0, len(chain) - 1)
        options = []
        for split in range(i, j):
            (left_cost, left), (right_cost, right) = table[i, split], table[split + 1, j]
            cost = left_cost + right_cost + self._cost(left, right)
            node = Node("matmul", (left, right), None, (left.shape[0], right.shape[1]))
            options.append((cost, split, node))
        cost, _, node = min(options, key=lambda option: option[:2])
        if not whole:
            if node.shape == ("m", "m"):
                cost = FORBIDDEN
            else:
                cost = min(cost, self._known_cost(product(chain[i : j + 1])))
        return cost, node

    @staticmethod
    def _cost(left: Node, right: Node) -> float:
        rows, inner, cols = left.shape[0], left.shape[1], right.shape[1]
        return float(nominal(rows) * nominal(inner) * nominal(cols))

    def _known_cost(self, chain: Node) -> float:
        """Return what a product costs that is there anyway; a transpose is second best."""
        if chain.key in self.available or self.fixed(chain):
            return 0.0
        return 0.5 if mirrored(chain, self.symmetric).key in self.available else FORBIDDEN

    def split_trace(self, chain: Sequence[Node]) -> Node:
        """Return tr(A B ...) as an entrywise sum over the two halves of a cyclic word.

        tr(P Q) = sum of P * Q^T, with the rotation and the cut that cost least.

        Parameters
        ----------
        chain : sequence of Node

        Returns
        -------
        Node
        """
        options = []
        for start in range(len(chain)):
            word = [*chain[start:], *chain[:start]]
            for cut in range(1, len(word)):
                left_cost, left = self._half(word[:cut])
                right_cost, right = self._half(word[cut:])
                cost = left_cost + right_cost + nominal(left.shape[0]) * nominal(left.shape[1])
                options.append((cost, start, cut, left, right))
        _, _, _, left, right = min(options, key=lambda option: option[:3])
        if left.op == "transpose" and right.op != "transpose":
            return Node("sum", (mul(self._flipped(left), right),))
        return Node("sum", (mul(left, self._flipped(right)),))

    def _half(self, word: Sequence[Node]) -> tuple[float, Node]:
        if len(word) == 1:
            return 0.0, word[0]
        cost, node = self.best(word)
        if node.shape == ("m", "m"):
            return FORBIDDEN, node
        return min(cost, self._known_cost(product(word))), node

    def _flipped(self, node: Node) -> Node:
        if node.op == "matmul":
            return Node("transpose", (node,), None, (node.shape[1], node.shape[0]))
        return mirrored(node, self.symmetric)


def associated(
    roots: Sequence[Node], fixed: Callable[[Node], bool], symmetric: frozenset[str]
) -> list[Node]:
    """Return the trees with every product of two factors and every trace split.

    Parameters
    ----------
    roots : sequence of Node
    fixed : callable
        Whether an expression depends on the data alone.
    symmetric : frozenset of str
        Names of matrices that equal their transposes.

    Returns
    -------
    list of Node
    """
    rule = Association(chains_in(roots), fixed, symmetric)

    def replace(node: Node) -> Node:
        if node.op == "matmul" and len(node.args) > 2:
            return rule.best(node.args)[1]
        return node

    def split(node: Node) -> Node:
        if node.op == "trace":
            return rule.split_trace(node.args[0].args)
        return Node(node.op, tuple(map(split, node.args)), node.value, node.shape)

    return [rewrite(split(root), replace) for root in roots]
