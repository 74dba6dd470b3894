"""From Python's tree to relations between contractions: matrix and index notation.

A product joins columns with rows; equal labels are summed over, each at most twice. What
does not fit is no error of reading but a claim that means nothing at those sizes: `Misfit`.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy as sp

from catapult_theory.errors import ClaimError
from catapult_theory.rigor.claims import size as limits
from catapult_theory.rigor.claims.contractions import (
    COLUMN,
    CUT,
    ROW,
    Algebra,
    Contraction,
    Monomial,
    NotPolynomial,
    Path,
    Work,
)
from catapult_theory.rigor.claims.matrix_vocabulary import MatrixVocabulary, Tensor
from catapult_theory.rigor.claims.text import Source
from catapult_theory.rigor.claims.words import labels_in, words_of

_COMPARE: Mapping[type, str] = {
    ast.Eq: "=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
SYMPY_FUNCTIONS: Mapping[str, Any] = {
    "sqrt": sp.sqrt, "exp": sp.exp, "log": sp.log, "tanh": sp.tanh, "abs": sp.Abs,
}  # fmt: skip
_PRODUCTS = (ast.Mult, ast.Div, ast.FloorDiv, ast.MatMult)
ONES = "<ones>"
# Products of two terms that reading a claim may form: about a second.
READING = 20_000


class Misfit(ArithmeticError):
    """An operation that the sizes or the indices of its operands do not allow."""


@dataclass(frozen=True)
class Function:
    """A function of a scalar that is no polynomial: a scalar of its own."""

    name: str
    top: Contraction
    bottom: Contraction

    def __hash__(self) -> int:
        return hash((self.name, self.top.key, self.bottom.key))

    @property
    def is_signed(self) -> bool:
        """Whether it may be negative."""
        return self.name in ("log", "tanh")

    def __str__(self) -> str:
        return f"{self.name} {sorted(map(str, self.top.key))} {sorted(map(str, self.bottom.key))}"


ONE = Contraction.number(1)


@dataclass(frozen=True)
class Value:
    """A quotient of an expression and a scalar one.

    Parameters
    ----------
    top, bottom : Contraction
    identity : bool
        Whether it is a multiple of the identity of a size yet to be seen.
    """

    top: Contraction
    bottom: Contraction = ONE
    identity: bool = False

    @property
    def labels(self) -> list[str]:
        """The named indices that are open."""
        return [label for label in self.top.sides if not label.startswith("<")]

    @property
    def is_literal_zero(self) -> bool:
        """Whether it is the number zero, which fits beside any matrix."""
        return self.top.is_zero and not self.top.sides

    def shape(self) -> str:
        """Return the sizes in words."""
        sides = self.top.sides
        if any(s.startswith("<t") or s.startswith("<f") for s in sides):
            return "an array with four indices"
        own = f"{sides.get(ROW, '1')} x {sides.get(COLUMN, '1')}"
        labels = f" with index {', '.join(self.labels)}" if self.labels else ""
        if ROW not in sides and COLUMN not in sides:
            return f"a number{labels}"
        return f"{own}{labels}"


@dataclass(frozen=True)
class MatrixRelation:
    """Two sides and the sign between them, with the text of each side."""

    left: Value
    sign: str
    right: Value
    names: tuple[str, str]
    terms: tuple[Value, ...]

    @property
    def is_equation(self) -> bool:
        """Whether the sign is "="."""
        return self.sign == "="


@dataclass
class MatrixReader:
    """Turn admitted nodes of Python's tree into contractions.

    Parameters
    ----------
    vocabulary : MatrixVocabulary
    source : Source or None
        To name positions in the user's text.
    work : int
        How many products of two terms may be formed.
    """

    vocabulary: MatrixVocabulary
    source: Source | None = None
    work: int = READING
    _memo: dict[tuple[int, bool], tuple[ast.AST, Value]] = field(default_factory=dict)
    _functions: int = 0

    @cached_property
    def algebra(self) -> Algebra:
        """The products of the map, with a bound on their number."""
        return replace(self.vocabulary.algebra, work=Work(self.work))

    def relations(self, tree: ast.expr) -> tuple[MatrixRelation, ...]:
        """Return the relations of a tree: one, or the links of a chain.

        Raises
        ------
        ClaimError
            If the text is not an equation or a chain of inequalities.
        Misfit
            If sizes or indices do not fit.
        """
        if not isinstance(tree, ast.Compare):
            raise ClaimError(
                "the text holds no relation: write =, <, <=, > or >= between two sides"
            )
        signs = [_COMPARE[type(op)] for op in tree.ops]
        if len(signs) > 1 and "=" in signs:
            raise ClaimError("write one equation, or a chain of inequalities")
        if len(signs) > 4:
            raise ClaimError("a chain holds at most four inequalities")
        nodes = [tree.left, *tree.comparators]
        sides = [self.value(node) for node in nodes]
        for side in sides:
            self._check_frame(side)
        found = []
        for i, sign in enumerate(signs):
            self._check_alike(sides[i], sides[i + 1], "the two sides")
            names = (words_of(nodes[i]), words_of(nodes[i + 1]))
            if sign != "=":
                self._check_numbers(sides[i : i + 2])
            terms = [self.value(t) for n in nodes[i : i + 2] for t in summands(n)]
            found.append(MatrixRelation(sides[i], sign, sides[i + 1], names, tuple(terms)))
        return tuple(found)

    def _check_numbers(self, sides: Sequence[Value]) -> None:
        """Refuse an inequality between matrices."""
        for side in sides:
            self._check_sized(side, "an inequality")
            if side.top.sides:
                raise ClaimError(
                    f"the inequality compares {side.shape()}: only numbers are compared; "
                    "take a trace, a norm or a quadratic form"
                )

    def value(self, node: ast.expr, after: bool = False, depth: int = 0) -> Value:
        """Return the value of a node, before or after the step."""
        key = id(node), after
        if key not in self._memo:
            if depth > 3 * limits.DEPTH:
                raise ClaimError("the claim is nested too deeply to read")
            # The node is kept beside its value, so that its id stays its own.
            found = self._value(node, after, depth)
            self._memo[key] = node, self._settled(found)
        return self._memo[key][1]

    def _settled(self, value: Value) -> Value:
        """Return a value with the blocks after the step as functions of those before."""
        settled = self.vocabulary.settled
        return Value(settled(value.top), settled(value.bottom), value.identity)

    def _check_frame(self, value: Value) -> None:
        """Refuse a matrix of the frame after the step that no product over the width takes in."""
        name = self.vocabulary.open_frame(value.top) or self.vocabulary.open_frame(value.bottom)
        if name:
            blocks = ", ".join(f"{s}'" for s in self.vocabulary.blocks)
            raise ClaimError(
                f"{name} by itself is no function of the blocks: write the claim with {blocks}, or "
                f"with products over the width of two matrices after the step"
            )

    def _where(self, node: ast.expr) -> str:
        if self.source is None:
            return ""
        return f" at position {self.source.position(node.col_offset)}"

    def _value(self, node: ast.expr, after: bool, depth: int) -> Value:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return Value(Contraction.number(node.value))
        if isinstance(node, ast.Name):
            return self._name(node, after)
        if isinstance(node, ast.Subscript):
            return self._indexed(node, after)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            value = self.value(node.operand, after, depth + 1)
            sign = -1 if isinstance(node.op, ast.USub) else 1
            return Value(value.top * sign, value.bottom, value.identity)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            return self._power(node, after, depth)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            left = self.value(node.left, after, depth + 1)
            right = self.value(node.right, after, depth + 1)
            return self._sum(left, right, 1 if isinstance(node.op, ast.Add) else -1, node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, _PRODUCTS):
            return self._product(node, after, depth)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            return self._call(node, node.func.id, after, depth)
        raise ClaimError(
            f"cannot read the claim{self._where(node)}: only sums, products, powers, transposes, "
            "indices, traces and norms are admitted"
        )

    # Names

    def _tensor(self, name: str, after: bool) -> Tensor:
        found = self.vocabulary.tensor_after(name) if after else self.vocabulary.tensor(name)
        if found is None:
            raise ClaimError(f"unknown name {name!r}")
        return found

    def _name(self, node: ast.Name, after: bool) -> Value:
        if node.id.startswith("i_"):
            raise ClaimError(f"the index {node.id[2:]!r} stands where a quantity is expected")
        if node.id == "I":
            return Value(ONE, identity=True)
        found = self._tensor(node.id, after)
        if len(found.slots) > 2:
            raise ClaimError(
                f"{node.id} has four indices with several outputs: write "
                f"{node.id}_{{alpha i beta j}}, or take a model with one output"
            )
        return Value(found.value)

    def _indexed(self, node: ast.Subscript, after: bool) -> Value:
        """Return a quantity with labels on its sides of more than one entry, in order."""
        inner = node.value
        if isinstance(inner, ast.Call) and getattr(inner.func, "id", "") == "next":
            inner, after = inner.args[0], self._once(after)
        if not isinstance(inner, ast.Name):
            raise ClaimError(f"only names carry indices{self._where(node)}")
        labels = labels_in(node)
        found = self._tensor(inner.id, after)
        if len(labels) > len(found.slots):
            raise Misfit(
                f"{inner.id} has {len(found.slots)} indices, not {len(labels)}: {', '.join(labels)}"
            )
        rest = found.slots[len(labels) :]
        if len(rest) > 2:
            raise Misfit(f"{inner.id} has {len(found.slots)} indices, not {len(labels)}")
        table = dict(zip(found.slots, [f"<{i}>" for i in range(4)], strict=False))
        value = self.algebra.renamed(found.value, table)
        final = {f"<{i}>": label for i, label in enumerate(labels)}
        ends = (ROW, COLUMN)
        final |= {f"<{len(labels) + i}>": ends[i] for i in range(len(rest))}
        for label, count in Counter(labels).items():
            if count > 1:
                return self._diagonal(value, labels, label, final)
        return Value(self.algebra.renamed(value, final))

    def _diagonal(
        self, value: Contraction, labels: list[str], label: str, final: dict[str, str]
    ) -> Value:
        first, *more = [i for i, own in enumerate(labels) if own == label]
        if len(more) > 1 or value.sides[f"<{first}>"] != value.sides[f"<{more[0]}>"]:
            raise Misfit(f"the index {label} cannot be summed over")
        traced = self.algebra.traced(value, f"<{first}>", f"<{more[0]}>")
        return Value(self.algebra.renamed(traced, final))

    def _once(self, after: bool) -> bool:
        if after:
            raise ClaimError("two steps: a claim is about one step")
        return True

    # Sums and products

    def _check_alike(self, left: Value, right: Value, what: str) -> None:
        if left.is_literal_zero or right.is_literal_zero:
            return
        if left.identity != right.identity:
            matrix = right if left.identity else left
            if _is_square(matrix.top) and left.labels == right.labels:
                return
        if dict(left.top.sides) != dict(right.top.sides):
            less, more = sorted((left.top, right.top), key=lambda t: len(t.sides))
            unit = "; write I for the identity" if less.is_scalar and _is_square(more) else ""
            raise Misfit(f"{what} do not fit: {left.shape()} against {right.shape()}{unit}")

    def _sum(self, left: Value, right: Value, sign: int, node: ast.BinOp) -> Value:
        if left.is_literal_zero:
            return Value(right.top * sign, right.bottom, right.identity)
        if right.is_literal_zero:
            return left
        what = f"the summands {words_of(node.left)} and {words_of(node.right)}"
        self._check_alike(left, right, what)
        left, right = self._beside(left, right), self._beside(right, left)
        product = self.algebra.product
        if left.bottom.key == right.bottom.key:
            return Value(left.top + right.top * sign, left.bottom, left.identity)
        top = product(left.top, right.bottom) + product(right.top, left.bottom) * sign
        return Value(top, product(left.bottom, right.bottom), left.identity)

    def _beside(self, value: Value, other: Value) -> Value:
        """Give an identity the size of the matrix that it is added to."""
        if not value.identity or other.identity:
            return value
        own = Contraction.identity(other.top.sides.get(ROW, "1"))
        return Value(self.algebra.product(value.top, own), value.bottom)

    def _product(self, node: ast.BinOp, after: bool, depth: int) -> Value:
        chain: list[tuple[ast.operator, ast.expr]] = []
        first: ast.expr = node
        while isinstance(first, ast.BinOp) and isinstance(first.op, _PRODUCTS):
            chain.append((first.op, first.right))
            first = first.left
        start = self.value(first, after, depth + 1)
        values: list[tuple[ast.operator, ast.expr, Value]] = [(ast.Mult(), first, start)]
        for operator, right in reversed(chain):
            values.append((operator, right, self.value(right, after, depth + 1)))
        self._check_labels([v for _, _, v in values])
        total = values[0][2]
        for operator, right, value in values[1:]:
            if isinstance(operator, ast.Div):
                value = self._inverse(value, right)
            total = self._times(total, value, isinstance(operator, ast.FloorDiv), right)
        return total

    def _check_labels(self, values: Sequence[Value]) -> None:
        counts = Counter(label for v in values for label in v.labels)
        for label, count in counts.items():
            if count > 2:
                raise Misfit(f"the index {label} stands {count} times in one product")
            sizes = {v.top.sides[label] for v in values if label in v.top.sides}
            if len(sizes) > 1:
                raise Misfit(f"the index {label} runs over {' and over '.join(sorted(sizes))}")

    def _times(self, left: Value, right: Value, dotted: bool, node: ast.expr) -> Value:
        algebra = self.algebra
        inner = self._inner(left.top, right.top, dotted, node)
        a = algebra.renamed(left.top, {inner[0]: "<j>"}) if inner else left.top
        b = algebra.renamed(right.top, {inner[1]: "<j>"}) if inner else right.top
        bottom = algebra.product(left.bottom, right.bottom)
        other = {*a.sides, *b.sides}
        identity = (left.identity or right.identity) and not {ROW, COLUMN} & other
        return Value(algebra.product(a, b), bottom, identity)

    def _inner(
        self, left: Contraction, right: Contraction, dotted: bool, node: ast.expr
    ) -> tuple[str, str] | None:
        """Return which ends a product joins; None for a product with a number, or an outer one."""
        a, b = set(left.sides) & {ROW, COLUMN}, set(right.sides) & {ROW, COLUMN}
        if not a or not b:
            return None
        pair: tuple[str, str] | None
        if dotted and len(a) == len(b) == 1:
            pair = (min(a), min(b))
        elif COLUMN in a and ROW in b:
            pair = (COLUMN, ROW)
        elif COLUMN not in a and ROW not in b:
            return None
        else:
            pair = None
        if pair is None or left.sides[pair[0]] != right.sides[pair[1]]:
            raise Misfit(
                f"{Value(left).shape()} cannot be multiplied by {words_of(node)}, which is "
                f"{Value(right).shape()}"
            )
        return pair

    def _inverse(self, value: Value, node: ast.expr) -> Value:
        if value.top.is_zero:
            raise ClaimError(f"division by zero{self._where(node)}")
        if not value.top.is_scalar or value.identity:
            raise ClaimError(f"division by a matrix{self._where(node)}: only numbers divide")
        algebra = self.algebra
        try:
            return Value(algebra.product(algebra.power(value.top, -1), value.bottom))
        except NotPolynomial:
            return Value(value.bottom, value.top)

    def _power(self, node: ast.BinOp, after: bool, depth: int) -> Value:
        where = self._where(node.right)
        if any(isinstance(x, ast.Pow) for x in ast.walk(node.right)):
            raise ClaimError(f"a tower of powers{where} is not read")
        exponent = self._exponent(node.right, where)
        base = node.left
        if isinstance(base, ast.Call) and exponent % 2 == 0 and len(base.args) == 1:
            root = getattr(base.func, "id", "")
            if root in ("abs", "norm", "sqrt"):
                inside = self.value(base.args[0], after, depth + 1)
                inside = inside if root == "sqrt" else self._square(inside)
                return self._raised(inside, exponent / 2, where)
        return self._raised(self.value(base, after, depth + 1), exponent, where)

    def _exponent(self, node: ast.expr, where: str) -> Fraction:
        found = self.value(node)
        number = _number(found)
        if number is None or number.denominator > 2:
            raise ClaimError(f"the exponent{where} must be a whole or half number")
        if abs(number) > limits.EXPONENT:
            raise ClaimError(f"the exponent{where} is too large: at most {limits.EXPONENT}")
        return number

    def _raised(self, value: Value, exponent: Fraction, where: str) -> Value:
        algebra = self.algebra
        if value.top.sides or value.identity:
            return self._matrix_power(value, exponent, where)
        if value.top.is_zero and exponent <= 0:
            raise ClaimError(f"division by zero{where}")
        if exponent < 0:
            return self._raised(Value(value.bottom, value.top), -exponent, where)
        try:
            return Value(algebra.power(value.top, exponent), algebra.power(value.bottom, exponent))
        except NotPolynomial:
            root = self._function("sqrt", value)
            return self._raised(root, 2 * exponent, where)

    def _matrix_power(self, value: Value, exponent: Fraction, where: str) -> Value:
        if exponent.denominator != 1 or exponent < 1:
            raise ClaimError(f"a matrix has whole positive powers alone{where}")
        if value.labels and exponent > 2:
            raise Misfit("a power above two of a quantity with an index")
        node = ast.Constant(int(exponent))
        total = value
        for _ in range(int(exponent) - 1):
            self._check_labels([total, value])
            total = self._times(total, value, False, node)
        return total

    # Functions

    def _call(self, node: ast.Call, name: str, after: bool, depth: int) -> Value:
        where = self._where(node)
        if name == "next" and len(node.args) == 1:
            return self.value(node.args[0], self._once(after), depth + 1)
        if name == "total" and len(node.args) == 2:
            return self._total(node, after, depth)
        values = [self.value(a, after, depth + 1) for a in node.args]
        if name == "dot" and len(values) == 2:
            self._check_labels(values)
            return self._times(values[0], values[1], True, node.args[1])
        if len(values) != 1 or name == "dot":
            raise ClaimError(f"{name}{where} takes {'two arguments' if name == 'dot' else 'one'}")
        if name == "transpose":
            turned = self.vocabulary.transposed(values[0].top)
            return Value(turned, values[0].bottom, values[0].identity)
        if name == "trace":
            return self._trace(values[0], where)
        if name == "norm" or (name == "abs" and values[0].top.sides):
            return self._raised(self._square(values[0]), Fraction(1, 2), where)
        if name in SYMPY_FUNCTIONS:
            if name == "sqrt":
                return self._raised(values[0], Fraction(1, 2), where)
            return self._function(name, values[0])
        raise ClaimError(f"{name}{where} is not read in a claim about matrices")

    def _trace(self, value: Value, where: str) -> Value:
        self._check_sized(value, "the trace")
        if not _is_square(value.top):
            raise Misfit(f"the trace of {value.shape()}{where}")
        return Value(self.vocabulary.trace(value.top), value.bottom)

    def _square(self, value: Value) -> Value:
        """Return the squared Frobenius norm."""
        self._check_sized(value, "the norm")
        if value.labels:
            raise Misfit(f"the norm of a quantity with index {', '.join(value.labels)}")
        algebra = self.algebra
        ends = {ROW: "<p>", COLUMN: "<q>"}
        own = algebra.renamed(value.top, ends)
        square = Value(algebra.product(own, own), algebra.power(value.bottom, 2))
        return self._settled(square)

    def _check_sized(self, value: Value, what: str) -> None:
        """Refuse an identity whose size nothing tells, which is no number."""
        if value.identity:
            raise ClaimError(
                f"{what} of an identity I of unknown size: write its size m, d or k, or multiply "
                "I by the matrix that it belongs to"
            )

    def _function(self, name: str, value: Value) -> Value:
        self._check_sized(value, name)
        self._check_frame(value)
        if value.top.sides:
            raise Misfit(f"{name} of {value.shape()}: it takes a number")
        number = _number(value)
        if number is not None and name == "abs":
            return Value(Contraction.number(abs(number)))
        if number is not None and {"exp": 0, "log": 1, "tanh": 0}.get(name) == number:
            return Value(Contraction.number(1 if name == "exp" else 0))
        nested = 1 + max((_nesting(n) for m in value.top.terms for n, _ in m.scalars), default=0)
        if nested > limits.NESTED_FUNCTIONS:
            raise ClaimError(f"functions nested deeper than {limits.NESTED_FUNCTIONS}")
        return Value(Contraction.scalar(Function(name, value.top, value.bottom)))

    def _total(self, node: ast.Call, after: bool, depth: int) -> Value:
        """Return an explicit sum over an index; one that stands twice is summed already."""
        label = getattr(node.args[0], "id", "")[2:]
        value = self.value(node.args[1], after, depth + 1)
        if label in value.top.sides:
            size = value.top.sides[label]
            path = Path(CUT, ((f"{ONES}{size}", False),), label)
            ones = Contraction({Monomial((), (path,)): Fraction(1)}, {label: size})
            return Value(self.algebra.product(value.top, ones), value.bottom)
        inside = {x for n in ast.walk(node.args[1]) if isinstance(n, ast.Subscript)
                  for x in labels_in(n)}  # fmt: skip
        if label not in inside:
            raise Misfit(f"the sum over {label}: nothing in it has that index")
        return value


def summands(node: ast.expr) -> list[ast.expr]:
    """Return the terms of a sum, whatever their signs."""
    if isinstance(node, ast.UnaryOp):
        return summands(node.operand)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        return summands(node.left) + summands(node.right)
    return [node]


def _is_square(top: Contraction) -> bool:
    sides = top.sides
    return sides.get(ROW, "1") == sides.get(COLUMN, "1")


def _number(value: Value) -> Fraction | None:
    """Return the rational number that a value is, or None."""
    found = []
    for part in (value.top, value.bottom):
        if part.sides or len(part.terms) > 1 or any(m.scalars or m.parts for m in part.terms):
            return None
        found.append(next(iter(part.terms.values()), Fraction(0)))
    return found[0] / found[1]


def _nesting(name: Any) -> int:
    if not isinstance(name, Function):
        return 0
    inner = [_nesting(n) for m in name.top.terms for n, _ in m.scalars]
    return 1 + max(inner, default=0)
