"""How compiled code writes numbers, functions and entries of matrices."""

from __future__ import annotations

from catapult_theory.codegen.ir import Node
from catapult_theory.codegen.spelling import Spelling

RENAMED = {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
}
OWN = ("softplus", "sigmoid")


def literal(dtype: str, digits: str) -> str:
    """Return a floating-point literal of the kernel's type.

    Parameters
    ----------
    dtype : str
    digits : str

    Returns
    -------
    str

    Examples
    --------
    >>> literal("float64", "0.5"), literal("float32", "0.5")
    ('0.5', 'F(0.5)')
    """
    return digits if dtype == "float64" else f"F({digits})"


def entry(node: Node, i: str, j: str, dtype: str, sizes: frozenset[str]) -> str:
    """Return the text of entry (i, j) of a leaf; scalars have one entry.

    Parameters
    ----------
    node : Node
    i, j : str
        Index expressions.
    dtype : str
    sizes : frozenset of str
        Names that are integers.

    Returns
    -------
    str

    Examples
    --------
    >>> from catapult_theory.codegen.ir import symbol
    >>> entry(symbol("W", (1, "d")), "i", "j", "float64", frozenset())
    'W[i, j]'
    """
    if node.op == "symbol":
        name = str(node.value)
        if name in sizes and dtype == "float32":
            return f"F({name})"
        return f"{name}[{i}, {j}]" if node.shape else name
    if node.op == "transpose":
        return entry(node.args[0], j, i, dtype, sizes)
    if node.op == "slice":
        r0, _, c0, _ = node.value
        return entry(node.args[0], _shifted(i, r0), _shifted(j, c0), dtype, sizes)
    if node.op == "outer":
        column, row = node.args
        left = entry(column, i, "0", dtype, sizes)
        return f"{left} * {entry(row, '0', j, dtype, sizes)}"
    if node.op == "ones":
        return literal(dtype, "1.0")
    one, zero = literal(dtype, "1.0"), literal(dtype, "0.0")
    return f"({one} if {i} == {j} else {zero})"


def _shifted(index: str, by: int | str) -> str:
    return index if by == 0 else f"{index} + {by}"


def numba_spelling(dtype: str, sizes: frozenset[str], i: str = "i", j: str = "j") -> Spelling:
    """Return how compiled code writes an expression, at entry (i, j) if it is a matrix.

    Parameters
    ----------
    dtype : str
    sizes : frozenset of str
        Names that are integers.
    i, j : str
        Index expressions.

    Returns
    -------
    Spelling
    """

    def call(node: Node, texts: list[str]) -> str:
        name = str(node.value)
        if name in OWN:
            return f"{name}({texts[0]})"
        if name == "pow":
            return f"({texts[0]}) ** ({texts[1]})"
        if name == "ones_like":
            return literal(dtype, "1.0")
        return f"np.{RENAMED.get(name, name)}({', '.join(texts)})"

    def where(args: tuple[Node, ...], texts: list[str]) -> str:
        return f"({texts[1]} if {texts[0]} else {texts[2]})"

    return Spelling(
        lambda digits: literal(dtype, digits),
        lambda node: entry(node, i, j, dtype, sizes),
        call,
        where,
        {"and": "and", "or": "or", "not": "not "},
    )
