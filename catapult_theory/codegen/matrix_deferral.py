"""Product deferral: a product with a large matrix, delayed into the pass that renews the matrix.

Let one step read a large symmetric state M only through V = L M, with a thin L that M does not
enter, and renew it by a sum of thin products, M' = M + A^T B. Then L' is known before M' is
written, and one pass over M does the whole work: M' = M + A^T B and V' = L' M'. V takes the
place of M in the rest of the step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from catapult_theory.codegen import ir
from catapult_theory.codegen.chains import nominal
from catapult_theory.codegen.ir import Node
from catapult_theory.codegen.lowering import Input, Program, next_name
from catapult_theory.codegen.passes import STEP
from catapult_theory.codegen.sharing import Assignment
from catapult_theory.codegen.translate import transpose

Term = tuple[Node, Node, Node]


@dataclass(frozen=True)
class Factor:
    """One summand of A^T B: the thin matrices that give rows to A and to B.

    Parameters
    ----------
    left : Node
        A named matrix of k rows.
    right : Node
        An entrywise combination of named matrices of k rows.
    """

    left: Node
    right: Node

    @property
    def rows(self) -> ir.Size:
        """The number of rows k."""
        return self.left.shape[0]


@dataclass(frozen=True)
class Deferral:
    """A step whose only work with the large matrix is one pass.

    Parameters
    ----------
    large : Input
        The matrix M.
    probe : Node
        The thin matrix L.
    product : str
        The name of V = L M.
    before : tuple of Assignment
        What L rests on.
    after : tuple of Assignment
        The rest of the step, where V is known.
    factors : tuple of Factor
        M' = M + sum of left^T right.
    """

    large: Input
    probe: Node
    product: str
    before: tuple[Assignment, ...]
    after: tuple[Assignment, ...]
    factors: tuple[Factor, ...]


def deferral(program: Program, symmetric: Iterable[str]) -> Deferral | None:
    """Find the largest state matrix whose products can be deferred.

    Parameters
    ----------
    program : Program
    symmetric : iterable of str
        Names of state matrices that equal their transposes.

    Returns
    -------
    Deferral or None
        None where no state matrix is used in this way.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> from catapult_theory.codegen.lowering import loop_program
    >>> program = loop_program(ct.derive(ct.models.linear(inputs=4)))
    >>> found = deferral(program, ["G", "S"])
    >>> found.large.name, found.probe.value, [f.left.value for f in found.factors]
    ('G', 'Z', ['Z', 'W'])
    """
    known = frozenset(symmetric)
    candidates = [i for i in program.state if i.code in known and i.shape[0] != 1]
    for large in sorted(candidates, key=lambda i: (-nominal(i.shape[0]), i.code)):
        found = _deferred(program, large)
        if found is not None:
            return found
    return None


def _deferred(program: Program, large: Input) -> Deferral | None:
    steps = program.at_level(STEP)
    readers = [a for a in steps if large.code in ir.symbols_in(a.value)]
    image = next_name(large.code)
    others = [n for name, n in program.outputs if name != image]
    if len(readers) != 1 or any(large.code in ir.symbols_in(n) for n in others):
        return None
    (reader,) = readers
    value = reader.value
    if value.op != "matmul" or value.args[0].op != "symbol" or value.args[1].value != large.code:
        return None
    probe = value.args[0]
    before = needed(steps, [probe])
    new = program.output(image)
    if reader in before or not before or new is None:
        return None
    factors = _factors(new, large, {a.name: a.value for a in steps})
    if factors is None:
        return None
    roots = [*others, *(n for f in factors for n in (f.left, f.right))]
    rest = needed(steps, roots)
    after = tuple(a for a in rest if a not in before and a != reader)
    return Deferral(large, probe, reader.name, before, after, factors)


def needed(assignments: Sequence[Assignment], roots: Iterable[Node]) -> tuple[Assignment, ...]:
    """Return the assignments that some expressions rest on, in order.

    Parameters
    ----------
    assignments : sequence of Assignment
        Each after everything that it uses.
    roots : iterable of Node

    Returns
    -------
    tuple of Assignment
    """
    wanted = set().union(*(ir.symbols_in(root) for root in roots))
    kept = []
    for a in reversed(assignments):
        if a.name in wanted:
            kept.append(a)
            wanted |= ir.symbols_in(a.value)
    return tuple(reversed(kept))


def _factors(new: Node, large: Input, values: Mapping[str, Node]) -> tuple[Factor, ...] | None:
    """Return the thin products that are added to the matrix, one for each left side."""
    terms = _terms(new, ir.ONE, values)
    if terms is None:
        return None
    own = [t for t in terms if t[1].value == large.code]
    products = [t for t in terms if t not in own]
    if len(own) != 1 or own[0][0] != ir.ONE or not products:
        return None
    if not all(a.op == "symbol" and b.op == "symbol" for _, a, b in products):
        return None
    sides = {left.key: left for _, left, _ in products}
    return tuple(
        Factor(left, ir.add(*(ir.mul(c, b) for c, a, b in products if a == left)))
        for left in sides.values()
    )


def _terms(node: Node, scale: Node, values: Mapping[str, Node]) -> list[Term] | None:
    """Return a combination of products as (coefficient, transpose of the left side, right side).

    A summand that is no product has itself on the left and nothing on the right.
    """
    if node.op == "add":
        parts = [_terms(a, scale, values) for a in node.args]
        return None if None in parts else [t for part in parts if part for t in part]
    if node.op in ("mul", "div"):
        return _scaled(node, scale, values)
    if node.op in ("matmul", "outer"):
        left, right = node.args
        return [(scale, transpose(left), right)]
    if node.op == "transpose":
        inner = _terms(node.args[0], scale, values)
        return None if inner is None else [(c, b, a) for c, a, b in inner]
    if node.op == "symbol" and node.value in values:
        return _terms(values[node.value], scale, values)
    return [(scale, node, ir.ONE)]


def _scaled(node: Node, scale: Node, values: Mapping[str, Node]) -> list[Term] | None:
    matrices = [a for a in node.args if a.shape]
    scalars = [a for a in node.args if not a.shape]
    if len(matrices) != 1 or (node.op == "div" and node.args[1].shape):
        return None
    scale = Node("div", (scale, *scalars)) if node.op == "div" else ir.mul(scale, *scalars)
    return _terms(matrices[0], scale, values)
