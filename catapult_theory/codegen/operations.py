"""Operation counts: what each pass of the lowering leaves to be computed at every step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from catapult_theory.codegen.ir import Node
from catapult_theory.codegen.passes import STEP

KINDS = ("additions", "multiplications", "divisions", "functions", "products")


@dataclass(frozen=True)
class PassCount:
    """Operations per time step after one pass.

    Parameters
    ----------
    name : str
        The pass.
    additions, multiplications, divisions, functions : int
        Entrywise operations (one for a whole matrix); subtractions count as additions.
    products : int
        Matrix products.
    once : int
        Operations moved out of the time loop.
    """

    name: str
    additions: int
    multiplications: int
    divisions: int
    functions: int
    products: int
    once: int = 0

    @property
    def total(self) -> int:
        """All operations of a time step."""
        return sum(getattr(self, kind) for kind in KINDS)


@dataclass(frozen=True, eq=False)
class OperationTable(Mapping[str, int]):
    """The passes in order: a mapping from names to operations per step; prints as a table.

    Parameters
    ----------
    rows : tuple of PassCount
    """

    rows: tuple[PassCount, ...]

    def __getitem__(self, name: str) -> int:
        return {row.name: row.total for row in self.rows}[name]

    def __iter__(self) -> Iterator[str]:
        return iter(row.name for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        head = ("pass", "add", "mul", "div", "func", "matmul", "total", "hoisted")
        body = [
            (row.name, *(str(getattr(row, kind)) for kind in KINDS), str(row.total), str(row.once))
            for row in self.rows
        ]
        widths = [max(len(line[i]) for line in (head, *body)) for i in range(len(head))]
        lines = []
        for line in (head, *body):
            cells = [line[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
            lines.append("  ".join(cells))
        return "\n".join(lines)


def count(
    name: str,
    trees: Iterable[tuple[Node, int]],
    outputs: Iterable[Node],
    level: Callable[[Node], int] | None = None,
) -> PassCount:
    """Count the operations of definitions and outputs.

    Parameters
    ----------
    name : str
        Of the pass.
    trees : iterable of (Node, int)
        Definitions with their level.
    outputs : iterable of Node
    level : callable, optional
        How often an expression changes; without it everything counts at its tree's level.

    Returns
    -------
    PassCount

    Examples
    --------
    >>> from catapult_theory.codegen.ir import ONE, add, mul, symbol
    >>> x = symbol("x")
    >>> count("none", [], [add(ONE, mul(x, x))]).total
    2
    """
    tally: Counter[str] = Counter()
    once = 0
    pending = [*trees, *((node, STEP) for node in outputs)]
    while pending:
        node, above = pending.pop()
        here = min(above, level(node)) if level else above
        cost = _cost(node)
        if here == STEP:
            tally.update(cost)
        else:
            once += sum(cost.values())
        pending += [(a, here) for a in node.args]
    return PassCount(name, once=once, **{kind: tally[kind] for kind in KINDS})


def _cost(node: Node) -> dict[str, int]:
    if node.op == "add":
        return {"additions": len(node.args) - 1}
    if node.op == "mul":
        sign = int(node.args[0].op == "number" and abs(node.args[0].value) == 1)
        return {"multiplications": len(node.args) - 1 - sign}
    if node.op == "outer":
        return {"multiplications": 1}
    if node.op == "div":
        return {"divisions": 1}
    if node.op == "power":
        return _power_cost(node.value)
    if node.op == "matmul":
        return {"products": len(node.args) - 1}
    if node.op in ("number", "symbol", "identity", "ones", "transpose", "slice", "block"):
        return {}
    return {"functions": 1}


def _power_cost(exponent: Fraction) -> dict[str, int]:
    whole, rest = divmod(abs(exponent), 1)
    parts = int(whole) + (1 if rest else 0)
    return {
        "multiplications": parts - 1,
        "functions": 1 if rest else 0,
        "divisions": 1 if exponent < 0 else 0,
    }
