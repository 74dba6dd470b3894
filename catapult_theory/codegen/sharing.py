"""Common subexpressions: found by structure, chosen in canonical order, named once.

Two steps. Pairs of factors that several products contain become one product (most frequent
pair first; ties by canonical order, never by hash). Then every operation that is used more
than once gets a name. Sums are never regrouped: their order decides where digits cancel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from catapult_theory.codegen import ir
from catapult_theory.codegen.ir import Node, rewrite, walk
from catapult_theory.codegen.passes import DATA, PARAMETERS, STEP, Level

Pair = tuple[Node, Node]

# Operations that every target computes as a statement of its own, and those that take names.
STATEMENTS = frozenset(["matmul", "softmax", "logsumexp", "sum", "block"])
ON_NAMES = frozenset(["matmul", "outer", "softmax", "logsumexp", "block"])


@dataclass(frozen=True)
class Assignment:
    """A named intermediate quantity, in terms of inputs and earlier ones."""

    name: str
    value: Node
    level: int


def paired(roots: Sequence[Node], level: Level) -> list[Node]:
    """Give products the pairs of factors that they share.

    Parameters
    ----------
    roots : sequence of Node
    level : callable
        How often an expression changes; only what changes at every step is worth sharing.

    Returns
    -------
    list of Node

    Examples
    --------
    >>> x, y, z = (ir.symbol(s) for s in "xyz")
    >>> first, second = paired([ir.mul(x, y, z), ir.mul(x, y)], lambda e: STEP)
    >>> first.args[0] == second
    True
    """
    trees = list(roots)
    while True:
        pair = _most_frequent_pair(trees, level)
        if pair is None:
            return trees
        shared = Node("mul", pair)

        def rule(node: Node, pair: Pair = pair, shared: Node = shared) -> Node:
            return _with_pair(node, pair, shared)

        trees = [rewrite(tree, rule) for tree in trees]


def _countable(node: Node, level: Level) -> list[Node]:
    """Return the factors of a product that may be paired: scalars that are not numbers."""
    if node.op != "mul" or level(node) < STEP:
        return []
    return [a for a in node.args if not a.shape and a.op != "number"]


def _most_frequent_pair(trees: Sequence[Node], level: Level) -> Pair | None:
    products = {x.key: x for tree in trees for x in walk(tree)}
    counts: Counter[Pair] = Counter()
    for key in sorted(products):
        factors = Counter(_countable(products[key], level))
        members = sorted(factors, key=ir.order)
        for i, a in enumerate(members):
            counts[a, a] += factors[a] // 2
            for b in members[i + 1 :]:
                counts[a, b] += min(factors[a], factors[b])
    shared = [(p, c) for p, c in counts.items() if c >= 2]
    if not shared:
        return None
    return min(shared, key=lambda pc: (-pc[1], ir.order(pc[0][0]), ir.order(pc[0][1])))[0]


def _with_pair(node: Node, pair: Pair, shared: Node) -> Node:
    """Replace the pair among the factors of a product, as often as it occurs."""
    if node.op != "mul" or node == shared:
        return node
    factors = list(node.args)
    place = None
    while all(factors.count(x) >= (2 if pair[0] == pair[1] else 1) for x in pair):
        place = factors.index(pair[0])
        factors.remove(pair[0])
        factors.remove(pair[1])
        factors.insert(place, shared)
    if place is None:
        return node
    return factors[0] if len(factors) == 1 else node.rebuilt(factors)


class Namer:
    """Names for intermediates that avoid every name already in use."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = set(taken)
        self.counts: Counter[str] = Counter()

    def fresh(self, prefix: str) -> str:
        """Return the next free name with a prefix."""
        while True:
            name = f"{prefix}{self.counts[prefix]}"
            self.counts[prefix] += 1
            if name not in self.taken:
                return name


def named(
    outputs: Mapping[str, Node],
    definitions: Mapping[str, Node],
    level: Level,
    namer: Namer,
) -> tuple[tuple[Assignment, ...], dict[str, Node]]:
    """Turn trees into assignments: what is shared, hoisted, defined or a matrix operation.

    Parameters
    ----------
    outputs, definitions : mapping of str to Node
        In order; outputs and later definitions may use earlier definitions by name.
    level : callable
    namer : Namer

    Returns
    -------
    assignments : tuple of Assignment
        Each after everything that it uses.
    outputs : dict
        In terms of the assignments.
    """
    builder = _Builder(outputs, definitions, level, namer)
    result = {name: builder.lowered(node) for name, node in outputs.items()}
    return tuple(builder.assignments), result


class _Builder:
    def __init__(
        self,
        outputs: Mapping[str, Node],
        definitions: Mapping[str, Node],
        level: Level,
        namer: Namer,
    ) -> None:
        self.definitions, self.level, self.namer = definitions, level, namer
        self.assignments: list[Assignment] = []
        self.done: dict[str, Node] = {}
        trees = [*definitions.values(), *outputs.values()]
        self.uses, self.operands = _uses(trees), _operands(trees)
        values = {k: v for k, v in definitions.items() if not v.is_leaf}
        self.by_value = {v.key: ir.symbol(k, v.shape) for k, v in values.items()}

    def lowered(self, node: Node, above: int = STEP) -> Node:
        """Return the node with its named parts replaced, recording their assignments."""
        if node.op == "symbol" or node.key in self.by_value:
            node = self.by_value.get(node.key, node)
            self._define(node)
            return node
        if node.key not in self.done:
            result = self._rebuilt(node)
            if self._wanted(node, above):
                result = self._name(result, self.level(node))
            self.done[node.key] = result
        return self.done[node.key]

    def _rebuilt(self, node: Node) -> Node:
        """Lower the arguments of a node; matrix operations take names only."""
        here = self.level(node)
        args = [self.lowered(a, here) for a in node.args]
        if node.op in ON_NAMES:
            args = [self._operand(a, b) for a, b in zip(args, node.args, strict=True)]
        return node.rebuilt(args) if args else node

    def _wanted(self, node: Node, above: int) -> bool:
        if node.key in self.operands:
            return True
        if node.is_leaf or node.op in ("transpose", "outer") or node.is_negation:
            return False
        shared = self.uses[node.key] > 1 or self.level(node) < above
        return shared or node.op in STATEMENTS

    def _operand(self, lowered: Node, node: Node) -> Node:
        plain = lowered.op == "symbol" or (lowered.op == "transpose" and lowered.is_leaf)
        if not plain:
            self.done[node.key] = self._name(lowered, self.level(node))
        return self.done.get(node.key, lowered)

    def _define(self, node: Node) -> None:
        if node.value in self.definitions and node.key not in self.done:
            self.done[node.key] = node
            value = self.definitions[node.value]
            body = self._rebuilt(value)
            self.done[value.key] = node
            self.assignments.append(Assignment(node.value, body, self.level(node)))

    def _name(self, value: Node, level: int) -> Node:
        prefix = {DATA: "h", PARAMETERS: "c", STEP: "x"}[level]
        name = self.namer.fresh(prefix)
        self.assignments.append(Assignment(name, value, level))
        return ir.symbol(name, value.shape)


def _uses(roots: Iterable[Node]) -> Counter[str]:
    """Count how many distinct operations (or outputs) use each operation."""
    uses: Counter[str] = Counter()
    seen: set[str] = set()
    stack = [_unsigned(root) for root in roots]
    uses.update(root.key for root in stack)
    while stack:
        node = stack.pop()
        if node.key in seen:
            continue
        seen.add(node.key)
        below = [_unsigned(a) for a in node.args]
        uses.update(a.key for a in below)
        stack += below
    return uses


def _operands(roots: Iterable[Node]) -> frozenset[str]:
    """Return what operations on names are applied to and what is not a name itself."""
    nodes = [x for root in roots for x in walk(root) if x.op in ON_NAMES]
    inner = (a.args[0] if a.op == "transpose" else a for x in nodes for a in x.args)
    return frozenset(a.key for a in inner if a.op != "symbol")


def _unsigned(node: Node) -> Node:
    return node.args[1] if node.is_negation else node


def count_level(levels: Mapping[str, int]) -> Callable[[Node], int]:
    """Return the function that says how often an expression changes.

    Parameters
    ----------
    levels : mapping of str to int
        The level of each symbol; unknown symbols change at every step.

    Returns
    -------
    callable
    """
    known: dict[str, int] = {}

    def level(node: Node) -> int:
        if node.key not in known:
            inner = (
                levels.get(node.value, STEP) if node.op == "symbol" else DATA,
                *map(level, node.args),
            )
            known[node.key] = max(inner)
        return known[node.key]

    return level
