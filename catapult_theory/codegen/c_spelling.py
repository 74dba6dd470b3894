"""How C writes numbers, functions, names and entries of matrices."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from catapult_theory.codegen import ir
from catapult_theory.codegen.ir import Node
from catapult_theory.codegen.lowering import Program, next_name
from catapult_theory.codegen.spelling import Spelling, write

# fmt: off
_KEYWORDS = """
    auto break case char const continue default do double else enum extern float for goto if
    inline int long register restrict return short signed sizeof static struct switch typedef
    union unsigned void volatile while alignas alignof and_eq asm bitand bitor bool
    catch char8_t char16_t char32_t class co_await co_return co_yield compl concept consteval
    constexpr constinit const_cast decltype delete dynamic_cast explicit export false friend
    mutable namespace new noexcept not_eq nullptr operator or_eq private protected public
    reinterpret_cast requires static_assert static_cast template this thread_local throw true
    typeid typename typeof using virtual wchar_t xor xor_eq NULL linux unix i386
"""
_LIBRARY = """
    acos asin atan atan2 cos sin tan acosh asinh atanh cosh sinh tanh exp exp2 expm1 frexp ilogb
    ldexp log log10 log1p log2 logb modf scalbn scalbln cbrt fabs hypot pow sqrt erf erfc lgamma
    tgamma ceil floor nearbyint rint lrint llrint round lround llround trunc fmod remainder remquo
    copysign nan nextafter nexttoward fdim fmax fmin fma j0 j1 jn y0 y1 yn gamma signgam
    isnan isfinite isinf isnormal signbit fpclassify isgreater isless isunordered
"""
# fmt: on
_OWN = {"workspace", "real", "NAN", "INFINITY", "HUGE_VAL", "HUGE_VALF", "MATH_ERRNO", "OVERFLOW"}
_LIBRARY_NAMES = set(_LIBRARY.split())
RESERVED = frozenset(
    _OWN
    | set(_KEYWORDS.split())
    | _LIBRARY_NAMES
    | {f"{name}{suffix}" for name in _LIBRARY_NAMES for suffix in "fl"}
)
HELPED = ("softplus", "sigmoid", "sign", "maximum", "minimum")
LONGEST_NAME = 40


@dataclass(frozen=True)
class Dialect:
    """The names and types of one header.

    Parameters
    ----------
    prefix : str
        Before every name that the header defines.
    dtype : str
    sizes : frozenset of str
        Names that are integers.
    """

    prefix: str
    dtype: str
    sizes: frozenset[str] = frozenset()

    @property
    def real(self) -> str:
        """The floating-point type."""
        return {"float64": "double", "float32": "float"}[self.dtype]

    @property
    def suffix(self) -> str:
        """The ending of literals and of functions of that type."""
        return {"float64": "", "float32": "f"}[self.dtype]

    def literal(self, digits: str) -> str:
        """Return a literal, rounded to the kernel's type.

        Parameters
        ----------
        digits : str
            Of a double.

        Returns
        -------
        str

        Examples
        --------
        >>> Dialect("uv", "float32").literal("0.3333333333333333")
        '0.33333334f'
        """
        if self.dtype == "float64":
            return digits
        with np.errstate(over="ignore"):
            rounded = str(np.float32(float(digits)))
        return rounded.replace("inf", "INFINITY") if "inf" in rounded else f"{rounded}f"

    def write(self, node: Node, i: str = "i", j: str = "j") -> str:
        """Return an expression, at entry (i, j) if it is a matrix."""
        return write(node, self._spelling(i, j))

    def _spelling(self, i: str, j: str) -> Spelling:
        def where(args: tuple[Node, ...], texts: list[str]) -> str:
            # A condition that has a name is a number there; clang warns where it becomes a bool.
            named = f" != {self.literal('0.0')}" if args[0].op == "symbol" else ""
            return f"({texts[0]}{named} ? {texts[1]} : {texts[2]})"

        words = {"and": "&&", "or": "||", "not": "!"}
        return Spelling(
            self.literal, lambda node: self._entry(node, i, j), self._call, where, words
        )

    def _call(self, node: Node, texts: list[str]) -> str:
        name = str(node.value)
        if name == "ones_like":
            return self.literal("1.0")
        if name in HELPED:
            return f"{self.prefix}_{name}({', '.join(texts)})"
        library = "fabs" if name == "abs" else name
        return f"{library}{self.suffix}({', '.join(texts)})"

    def _entry(self, node: Node, i: str, j: str) -> str:
        if node.op == "symbol":
            name = str(node.value)
            if name in self.sizes:
                return f"({self.real}){name}"
            return f"{name}[{flat(i, j, node.shape[1])}]" if node.shape else name
        if node.op == "transpose":
            return self._entry(node.args[0], j, i)
        if node.op == "slice":
            r0, _, c0, _ = node.value
            return self._entry(node.args[0], shifted(i, r0), shifted(j, c0))
        if node.op == "outer":
            column, row = node.args
            return f"{self._entry(column, i, '0')} * {self._entry(row, '0', j)}"
        if node.op == "ones":
            return self.literal("1.0")
        one, zero = self.literal("1.0"), self.literal("0.0")
        return one if i == j else f"({i} == {j} ? {one} : {zero})"


def shifted(index: str, by: ir.Size) -> str:
    """Return an index moved by a size.

    Parameters
    ----------
    index : str
    by : int or str

    Returns
    -------
    str

    Examples
    --------
    >>> shifted("i", 3), shifted("0", "d"), shifted("i", 0)
    ('i + 3', 'd', 'i')
    """
    if by == 0:
        return index
    return str(by) if index == "0" else f"{index} + {by}"


def flat(i: str, j: str, cols: ir.Size) -> str:
    """Return the place of entry (i, j) in a matrix that is stored row after row.

    Parameters
    ----------
    i, j : str
    cols : int or str

    Returns
    -------
    str

    Examples
    --------
    >>> flat("i", "j", 3), flat("0", "j", "d"), flat("i + d", "0", "d + 1"), flat("i", "0", 1)
    ('i*3+j', 'j', '(i+d)*(d+1)', 'i')
    """
    if i == "0":
        return j.replace(" ", "")
    row = i if cols == 1 else f"{bracketed(i)}*{bracketed(cols)}"
    return (row if j == "0" else f"{row}+{j}").replace(" ", "")


def bracketed(size: ir.Size) -> str:
    """Return a size or an index as a factor, without spaces at which a line could be broken."""
    text = str(size).replace(" ", "")
    return f"({text})" if not text.isalnum() else text


def entries(shape: ir.Shape) -> str:
    """Return the number of entries of a matrix.

    Examples
    --------
    >>> entries(("m", 1)), entries(("d + k", "d + k")), entries((2, 3))
    ('m', '(d+k)*(d+k)', '6')
    """
    rows, cols = shape
    if isinstance(rows, int) and isinstance(cols, int):
        return str(rows * cols)
    return "*".join(bracketed(size) for size in shape if size != 1)


def prefix_of(update_map: Any, dtype: str) -> str:
    """Return what the names of a header begin with: model, loss, optimizer, single precision.

    Parameters
    ----------
    update_map : UpdateMap
    dtype : str

    Returns
    -------
    str

    Examples
    --------
    >>> from catapult_theory.symbolic.closure import derive
    >>> from catapult_theory.symbolic import models
    >>> prefix_of(derive(models.uv()), "float32")
    'uv_squared_gd_f32'
    """
    parts = [_word(str(x)) for x in (update_map.model, update_map.loss, update_map.optimizer)]
    return "_".join([*parts, *(["f32"] if dtype == "float32" else [])])


def _word(name: str) -> str:
    """Return a name as part of an identifier; what it loses goes into a checksum."""
    word = re.sub("[^0-9A-Za-z]+", "_", name).strip("_")[:LONGEST_NAME].strip("_")
    if not word or word[0].isdigit():
        word = f"m{word}"
    if word == name:
        return word
    return f"{word}_{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:6]}"


def fingerprint(update_map: Any, dtype: str) -> str:
    """Return a checksum of the map, which tells two models of one name apart."""
    text = f"{update_map.to_json()} {dtype}"
    return hashlib.sha256(text.encode()).hexdigest()[:8].upper()


def c_names(names: Iterable[str], prefix: str) -> dict[str, str]:
    """Return new spellings for the names that C gives a meaning of its own.

    Parameters
    ----------
    names : iterable of str
    prefix : str
        Of the header.

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> c_names(["f", "double", "double_v", "y1"], "uv")
    {'double': 'double_vv', 'y1': 'y1_v'}
    """
    taken = list(names)
    found: dict[str, str] = {}
    for name in sorted(taken):
        if name in RESERVED or name.startswith(f"{prefix}_"):
            new = f"{name}_v" if name in RESERVED else f"v_{name}"
            while new in taken:
                new += "v"
            found[name] = new
    return found


def respelled(program: Program, prefix: str) -> tuple[Program, Mapping[str, str]]:
    """Return the program with names that C allows, and what was renamed.

    Parameters
    ----------
    program : Program
    prefix : str

    Returns
    -------
    program : Program
    renamed : mapping of str to str
    """
    inputs = (*program.state, *program.parameters, *program.data)
    table = c_names([*(i.code for i in inputs), *(a.name for a in program.assignments)], prefix)
    if not table:
        return program, table

    def new(name: str) -> str:
        return table.get(name, name)

    def rule(node: Node) -> Node:
        return ir.symbol(new(node.value), node.shape) if node.op == "symbol" else node

    nexts = {next_name(i.code): next_name(new(i.code)) for i in program.state}
    renamed = replace(
        program,
        state=tuple(replace(i, code=new(i.code)) for i in program.state),
        parameters=tuple(replace(i, code=new(i.code)) for i in program.parameters),
        data=tuple(replace(i, code=new(i.code)) for i in program.data),
        assignments=tuple(
            replace(a, name=new(a.name), value=ir.rewrite(a.value, rule))
            for a in program.assignments
        ),
        outputs=tuple(
            (nexts.get(name, name), ir.rewrite(node, rule)) for name, node in program.outputs
        ),
    )
    return renamed, table
