"""Evaluation trees as LLVM instructions on vectors: one lane an element, strictly IEEE.

No fast-math flag is set: which product is fused with which sum is written out (fma), so that
a lane has the same bits in every vector, group and chunk.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count

from catapult_theory.codegen.ir import ONE, Node, add, sign_split, symbol
from catapult_theory.errors import InputError

_COMPARISON = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
_INTRINSICS = {"sqrt": "sqrt", "abs": "fabs", "maximum": "maximum", "minimum": "minimum"}
# fmt: off
_LIBRARY = frozenset({
    "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos",
    "atan", "asinh", "acosh", "atanh", "pow", "erf",
})
# fmt: on


@dataclass(frozen=True)
class Types:
    """The vector types of a kernel.

    Parameters
    ----------
    dtype : str
    lanes : int
        Elements of a vector.
    fuses : bool
        Whether the machine has a fused multiply-add.
    """

    dtype: str
    lanes: int
    fuses: bool

    @property
    def real(self) -> str:
        """The type of a number."""
        return "double" if self.dtype == "float64" else "float"

    @property
    def size(self) -> int:
        """The bytes of a number."""
        return 8 if self.dtype == "float64" else 4

    @property
    def suffix(self) -> str:
        """The suffix of LLVM's intrinsics."""
        return f"v{self.lanes}f{8 * self.size}"

    @property
    def vector(self) -> str:
        """The type of a vector."""
        return f"<{self.lanes} x {self.real}>"

    @property
    def mask(self) -> str:
        """The type of a vector of truth values."""
        return f"<{self.lanes} x i1>"

    def number(self, value: Fraction | float) -> str:
        """Return a literal; hexadecimal, so that every bit is kept."""
        x = float(value)
        if self.dtype == "float32":
            x = struct.unpack("f", struct.pack("f", x))[0]
        return f"0x{struct.unpack('<Q', struct.pack('<d', x))[0]:016X}"

    def splat(self, value: Fraction | float) -> str:
        """Return a vector with the same literal in every element."""
        entry = f"{self.real} {self.number(value)}"
        return f"<{', '.join([entry] * self.lanes)}>"

    @property
    def whole(self) -> str:
        """The type of a vector of 64-bit integers."""
        return f"<{self.lanes} x i64>"

    def integers(self, value: int) -> str:
        """Return a vector of equal 64-bit integers."""
        return f"<{', '.join([f'i64 {value}'] * self.lanes)}>"

    def numbered(self, first: int = 0) -> str:
        """Return the vector of consecutive 64-bit integers: the numbers of its elements."""
        return f"<{', '.join(f'i64 {first + j}' for j in range(self.lanes))}>"

    def truth(self, value: bool) -> str:
        """Return a mask with the same truth value in every element."""
        return f"<{', '.join([f'i1 {str(value).lower()}'] * self.lanes)}>"


@dataclass
class Writer:
    """Instructions under way, and the values that symbols have.

    Parameters
    ----------
    types : Types
    prefix : str
        Of the names of values; different for writers that share a function.
    """

    types: Types
    prefix: str = "v"
    lines: list[str] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)
    declared: set[str] = field(default_factory=set)
    depths: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._fresh = count()

    def name(self) -> str:
        """Return a new name."""
        return f"%{self.prefix}{next(self._fresh)}"

    def emit(self, text: str) -> str:
        """Add an instruction and return the name of its value."""
        name = self.name()
        self.lines.append(f"  {name} = {text}")
        return name

    def bind(self, values: Mapping[str, str]) -> None:
        """Give symbols their values; what was computed from older ones is forgotten."""
        self.known = dict(values)

    def assign(self, assignments: Iterable[tuple[str, Node]]) -> None:
        """Compute named intermediates."""
        for name, node in assignments:
            self.depths[name] = self._depth(node)
            self.known[name] = self.value(node)

    def value(self, node: Node) -> str:
        """Return the vector that holds the value of an expression."""
        if node.op == "number":
            return self.types.splat(node.value)
        if node.op == "symbol":
            return self.known[str(node.value)]
        if node.key not in self.known:
            self.known[node.key] = self._computed(node)
        return self.known[node.key]

    def _computed(self, node: Node) -> str:
        if node.op == "add":
            return self._sum(node)
        if node.op == "mul":
            return self._product(node)
        if node.op == "div":
            return self.binary("fdiv", *(self.value(a) for a in node.args))
        if node.op in _COMPARISON:
            left, right = (self.value(a) for a in node.args)
            return self.compare(_COMPARISON[node.op], left, right)
        if node.op in ("and", "or"):
            return self._joined(node)
        if node.op == "not":
            return self.negated(self.value(node.args[0]))
        if node.op == "where":
            return self.select(*(self.value(a) for a in node.args))
        return self._function(node)

    def updated(self, node: Node, name: str) -> str:
        """Return the next value of a variable; x (1 + r) is x + x r, in one rounding.

        Where r is small that keeps digits which 1 + r drops, and it is an operation less.
        """
        growth = _growth(node, name) if self.types.fuses else None
        if growth is None or growth.key in self.known:
            return self.value(node)
        x = self.known[name]
        return self.call("fma", x, self.value(growth), x)

    def binary(self, op: str, left: str, right: str) -> str:
        """Return a rounded operation on two vectors."""
        return self.emit(f"{op} {self.types.vector} {left}, {right}")

    def compare(self, how: str, left: str, right: str) -> str:
        """Return the mask of a comparison; NaN compares as false, but for "une"."""
        return self.emit(f"fcmp {how} {self.types.vector} {left}, {right}")

    def both(self, how: str, left: str, right: str) -> str:
        """Return two masks joined by "and" or "or"."""
        return self.emit(f"{how} {self.types.mask} {left}, {right}")

    def negated(self, mask: str) -> str:
        """Return the mask of what is not set."""
        return self.emit(f"xor {self.types.mask} {mask}, {self.types.truth(True)}")

    def select(self, mask: str, yes: str, no: str) -> str:
        """Return a choice by elements."""
        t = self.types
        return self.emit(f"select {t.mask} {mask}, {t.vector} {yes}, {t.vector} {no}")

    def call(self, name: str, *values: str) -> str:
        """Return a vector intrinsic of LLVM."""
        t = self.types
        kinds = ", ".join([t.vector] * len(values))
        self.declared.add(f"declare {t.vector} @llvm.{name}.{t.suffix}({kinds})")
        arguments = ", ".join(f"{t.vector} {v}" for v in values)
        return self.emit(f"call {t.vector} @llvm.{name}.{t.suffix}({arguments})")

    def finite(self, value: str) -> str:
        """Return the mask of what is neither infinite nor NaN."""
        size = self.call("fabs", value)
        return self.compare("olt", size, self.types.splat(float("inf")))

    def _joined(self, node: Node) -> str:
        first, *rest = (self.value(a) for a in node.args)
        for other in rest:
            first = self.both(node.op, first, other)
        return first

    def _factors(self, node: Node) -> tuple[str, str]:
        """Return a product as two factors, all but the last multiplied."""
        *front, last = (self.value(a) for a in node.args)
        left = front[0]
        for factor in front[1:]:
            left = self.binary("fmul", left, factor)
        return left, last

    def _product(self, node: Node) -> str:
        negative, positive = sign_split(node)
        if negative:
            return self.emit(f"fneg {self.types.vector} {self.value(positive)}")
        return self.binary("fmul", *self._factors(node))

    def _sum(self, node: Node) -> str:
        # What is known early is added early: the chain from one step to the next stays short.
        signed = sorted((sign_split(t) for t in node.args), key=lambda s: self._depth(s[1]))
        plain = [i for i, (_, t) in enumerate(signed) if t.op != "mul"]
        first = next((i for i in plain if not signed[i][0]), plain[0] if plain else 0)
        negative, term = signed.pop(first)
        total = self.value(term)
        if negative:
            total = self.emit(f"fneg {self.types.vector} {total}")
        for negative, term in signed:
            total = self._added(total, negative, term)
        return total

    def _depth(self, node: Node) -> int:
        """Return how many operations lie one after another below an expression."""
        if node.op == "symbol":
            return self.depths.get(str(node.value), 0)
        return 1 + max((self._depth(a) for a in node.args), default=-1)

    def _added(self, total: str, negative: bool, term: Node) -> str:
        if term.op != "mul" or term.key in self.known or not self.types.fuses:
            return self.binary("fsub" if negative else "fadd", total, self.value(term))
        left, right = self._factors(term)
        if negative:
            left = self.emit(f"fneg {self.types.vector} {left}")
        return self.call("fma", left, right, total)

    def _function(self, node: Node) -> str:
        name = str(node.value)
        values = [self.value(a) for a in node.args]
        if name in _INTRINSICS:
            return self.call(_INTRINSICS[name], *values)
        if name == "ones_like":
            return self.types.splat(1.0)
        if name in ("softplus", "sigmoid"):
            return self._stable(name, values[0])
        if name == "sign":
            return self._sign(values[0])
        if name not in _LIBRARY:
            raise InputError(f"the llvm backend has no function {name}: use backend='numba'")
        return self._each(name, values)

    def _sign(self, x: str) -> str:
        t = self.types
        positive = self.compare("ogt", x, t.splat(0.0))
        negative = self.compare("olt", x, t.splat(0.0))
        return self.select(positive, t.splat(1.0), self.select(negative, t.splat(-1.0), x))

    def _stable(self, name: str, x: str) -> str:
        """Return log(1 + exp x) or 1 / (1 + exp(-x)), without overflow."""
        t = self.types
        size = self.call("fabs", x)
        small = self._each("exp", [self.emit(f"fneg {t.vector} {size}")])
        if name == "softplus":
            both = self.binary("fadd", x, size)
            half = self.binary("fmul", t.splat(0.5), both)
            return self.binary("fadd", self._each("log1p", [small]), half)
        above = self.select(self.compare("oge", x, t.splat(0.0)), t.splat(1.0), small)
        return self.binary("fdiv", above, self.binary("fadd", t.splat(1.0), small))

    def _each(self, name: str, values: list[str]) -> str:
        """Return a function of the mathematical library, called element by element."""
        t = self.types
        symbol = name if t.dtype == "float64" else f"{name}f"
        kinds = ", ".join([t.real] * len(values))
        self.declared.add(f"declare {t.real} @{symbol}({kinds}) nounwind willreturn memory(none)")
        result = "poison"
        for i in range(t.lanes):
            parts = [self.emit(f"extractelement {t.vector} {v}, i32 {i}") for v in values]
            arguments = ", ".join(f"{t.real} {p}" for p in parts)
            one = self.emit(f"call {t.real} @{symbol}({arguments})")
            result = self.emit(f"insertelement {t.vector} {result}, {t.real} {one}, i32 {i}")
        return result


def _growth(node: Node, name: str) -> Node | None:
    """Return r where an expression is the symbol of that name times 1 + r."""
    if node.op != "mul" or len(node.args) != 2:
        return None
    x, factor = sorted(node.args, key=lambda a: a.op == "add")
    if x != symbol(name) or factor.op != "add" or ONE not in factor.args:
        return None
    return add(*(t for t in factor.args if t != ONE))


def uses_library(nodes: Iterable[Node]) -> bool:
    """Return whether an expression calls functions element by element.

    Parameters
    ----------
    nodes : iterable of Node

    Returns
    -------
    bool
    """
    from catapult_theory.codegen.ir import walk

    single = _LIBRARY | {"softplus", "sigmoid"}
    return any(x.op == "call" and x.value in single for node in nodes for x in walk(node))
