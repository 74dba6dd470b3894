"""Bodies of emitted functions: assignments as lines, with only the names that they need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from catapult_theory.codegen.lowering import Input, Program

INDENT = "    "
WIDTH = 96


def uses(lines: Iterable[str], name: str) -> bool:
    """Return whether a name occurs in any of the lines.

    Parameters
    ----------
    lines : iterable of str
    name : str

    Returns
    -------
    bool

    Examples
    --------
    >>> uses(["y = max_x + 1"], "x"), uses(["y = x + 1"], "x")
    (False, True)
    """
    pattern = re.compile(rf"\b{re.escape(name)}\b")
    return any(pattern.search(line) for line in lines)


def size_lines(program: Program, lines: Sequence[str]) -> list[str]:
    """Return the assignments of the sizes m, d, k that the lines need, from array shapes.

    Parameters
    ----------
    program : Program
    lines : sequence of str

    Returns
    -------
    list of str
    """
    found: dict[str, str] = {}
    for i in (*program.data, *program.state):
        for axis, size in zip((-2, -1), i.shape, strict=False):
            if isinstance(size, str) and size.isidentifier():
                found.setdefault(size, f"{size} = {i.code}.shape[{axis}]")
    return [line for size, line in found.items() if uses(lines, size)]


def names(*groups: Iterable[Input]) -> list[str]:
    """Return the spellings of inputs, in order."""
    return [i.code for group in groups for i in group]


def function(head: str, doc: str, lines: Iterable[str], result: str, decorator: str = "") -> str:
    """Return the text of a function.

    Parameters
    ----------
    head : str
        Name and arguments.
    doc : str
    lines : iterable of str
        The body, without indentation of its own.
    result : str
        What is returned.
    decorator : str
        A line put before it.

    Returns
    -------
    str

    Examples
    --------
    >>> function("double(x)", "Twice x.", ["y = 2 * x"], "y").splitlines()[-1]
    '    return y'
    """
    body = [f'"""{doc}"""', *lines, f"return {result}"]
    text = "\n".join([f"def {head}:", *(INDENT + line for line in body)])
    return f"{decorator}\n{text}" if decorator else text


def packed(items: Sequence[str]) -> str:
    """Return the text of a tuple, correct for one item and for none."""
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})" if items else "()"


def folded(source: str) -> str:
    """Break long lines inside their brackets.

    Parameters
    ----------
    source : str

    Returns
    -------
    str

    Examples
    --------
    >>> print(folded("total = function(" + ", ".join(["argument"] * 10) + ")"))
    total = function(argument, argument, argument, argument, argument, argument, argument,
            argument, argument, argument)
    """
    return "\n".join(_folded_line(line) for line in source.split("\n"))


def _folded_line(line: str) -> str:
    start = line[: len(line) - len(line.lstrip())]
    parts, depth, rest = [], 0, line
    while len(rest) > WIDTH:
        cut, open_ = 0, depth
        for i, character in enumerate(rest[:WIDTH]):
            open_ += (character in "([{") - (character in ")]}")
            if character == " " and open_ and rest[:i].strip():
                cut, depth_at_cut = i, open_
        if not cut:
            break
        parts.append(rest[:cut])
        depth, rest = depth_at_cut, start + INDENT * 2 + rest[cut + 1 :]
    return "\n".join([*parts, rest])
