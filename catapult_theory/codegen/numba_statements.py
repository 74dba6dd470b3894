"""Statements of matrix kernels in Numba: BLAS for products, loops for everything entrywise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from catapult_theory.codegen import ir
from catapult_theory.codegen.ir import Node
from catapult_theory.codegen.lowering import Program
from catapult_theory.codegen.numba_spelling import literal, numba_spelling
from catapult_theory.codegen.sharing import Assignment
from catapult_theory.codegen.spelling import write


@dataclass(frozen=True)
class Writer:
    """Statements of one kernel.

    Parameters
    ----------
    program : Program
    dtype : str
    """

    program: Program
    dtype: str

    def scalar(self, node: Node) -> str:
        """Return a scalar expression."""
        return write(node, numba_spelling(self.dtype, self._sizes))

    @property
    def _sizes(self) -> frozenset[str]:
        return frozenset(self.program.dims)

    def entry(self, node: Node, i: str = "i", j: str = "j") -> str:
        """Return the text of one entry of an entrywise expression."""
        return write(node, numba_spelling(self.dtype, self._sizes, i, j))

    def over(self, shape: ir.Shape, line: str) -> list[str]:
        """Return a double loop over the entries of a matrix."""
        rows, cols = shape
        return [f"for i in range({rows}):", f"    for j in range({cols}):", f"        {line}"]

    def statement(self, target: str, node: Node) -> list[str]:
        """Return the lines that compute a named quantity; matrices go to their buffer."""
        if node.op == "matmul":
            return [product(target, node)]
        if node.op in ("softmax", "logsumexp"):
            return [f"{node.op}({node.args[0].value}, {target})"]
        if node.op == "sum":
            (inside,) = node.args
            start = f"{target} = {literal(self.dtype, '0.0')}"
            return [start, *self.over(inside.shape, f"{target} += {self.entry(inside)}")]
        if node.op == "block":
            return self._blocks(target, node)
        if node.shape:
            return self.over(node.shape, f"{target}[i, j] = {self.entry(node)}")
        return [f"{target} = {self.scalar(node)}"]

    def _blocks(self, target: str, node: Node) -> list[str]:
        width = len(node.args) // int(node.value)
        lines: list[str] = []
        top: list[ir.Size] = []
        for r in range(0, len(node.args), width):
            left: list[ir.Size] = []
            for block in node.args[r : r + width]:
                i, j = _offset("i", top), _offset("j", left)
                lines += self.over(block.shape, f"{target}[{i}, {j}] = {self.entry(block)}")
                left.append(block.shape[1])
            top.append(node.args[r].shape[0])
        return lines

    def statements(self, assignments: Sequence[Assignment]) -> list[str]:
        """Return the lines of several assignments."""
        return [line for a in assignments for line in self.statement(a.name, a.value)]

    def buffers(self, assignments: Sequence[Assignment], like: str) -> list[str]:
        """Return the lines that make the buffers of matrix-valued assignments."""
        return [
            f"{a.name} = np.empty(({a.value.shape[0]}, {a.value.shape[1]}), {like}.dtype)"
            for a in assignments
            if a.value.shape
        ]


def _offset(index: str, before: Sequence[ir.Size]) -> str:
    fixed = sum(b for b in before if isinstance(b, int))
    parts = [index, *(str(b) for b in before if isinstance(b, str)), *([str(fixed)] * bool(fixed))]
    return " + ".join(parts)


def product(target: str, node: Node) -> str:
    """Return the BLAS call of a product, matrix times vector where one side is a single row.

    Parameters
    ----------
    target : str
    node : Node
        A product of two leaves.

    Returns
    -------
    str

    Examples
    --------
    >>> from catapult_theory.codegen.translate import matmul, transpose
    >>> X, W = ir.symbol("X", ("m", "d")), ir.symbol("W", (1, "d"))
    >>> product("f", matmul(X, transpose(W)))
    'np.dot(X, W.reshape(-1), f.reshape(-1))'
    """
    left, right = node.args
    row, column = left.shape[0] == 1, right.shape[1] == 1
    first = f"{left_name(left)}.reshape(-1)" if row else operand(left)
    second = f"{left_name(right)}.reshape(-1)" if column else operand(right)
    if row and column:
        return f"{target}[0, 0] = np.dot({first}, {second})"
    out = f"{target}.reshape(-1)" if row or column else target
    return f"np.dot({first}, {second}, {out})"


def left_name(node: Node) -> str:
    """Return the symbol of a leaf, whatever its orientation."""
    return str(node.args[0].value if node.op == "transpose" else node.value)


def operand(node: Node) -> str:
    """Return a leaf as an operand of a product."""
    return f"{node.args[0].value}.T" if node.op == "transpose" else str(node.value)
