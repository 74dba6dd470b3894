"""From Python's tree to relations between SymPy expressions, node by admitted node."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import sympy as sp

from catapult_theory.errors import ClaimError
from catapult_theory.rigor.claims import size as limits
from catapult_theory.rigor.claims.latex import tokens_in
from catapult_theory.rigor.claims.size import SYMBOL, Size, power_size, size_of
from catapult_theory.rigor.claims.text import Source
from catapult_theory.rigor.claims.vocabulary import Vocabulary

_COMPARE: Mapping[type, str] = {
    ast.Eq: "=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_FUNCTIONS: Mapping[str, Callable[..., sp.Expr]] = MappingProxyType(
    {
        "sqrt": sp.sqrt, "exp": sp.exp, "log": sp.log, "tanh": sp.tanh, "abs": sp.Abs,
        "min": sp.Min, "max": sp.Max,
    }
)  # fmt: skip
_SYMPY_FUNCTIONS = (sp.exp, sp.log, sp.tanh, sp.Abs, sp.Min, sp.Max)
_RELATIONALS: Mapping[type, str] = {
    sp.Equality: "=", sp.LessThan: "<=", sp.GreaterThan: ">=",
    sp.StrictLessThan: "<", sp.StrictGreaterThan: ">",
}  # fmt: skip


@dataclass(frozen=True)
class Relation:
    """Two sides and the sign between them: "=", "<", "<=", ">" or ">=".

    The sides are a claim's tree: each name is a symbol, a primed symbol its value after the
    step. What the text divides by is kept, for where it vanishes nothing is claimed, even if
    the division cancels.
    """

    left: sp.Expr
    sign: str
    right: sp.Expr
    divisors: tuple[sp.Expr, ...] = ()

    @property
    def is_equation(self) -> bool:
        """Whether the sign is "="."""
        return self.sign == "="

    def __str__(self) -> str:
        return f"{self.left} {self.sign} {self.right}"


class Reader:
    """Turn admitted nodes of Python's tree into SymPy, with their sizes.

    Parameters
    ----------
    source : Source
    vocabulary : Vocabulary
    """

    def __init__(self, source: Source, vocabulary: Vocabulary) -> None:
        self._source = source
        self._vocabulary = vocabulary
        self._functions = 0
        self._divisors: list[sp.Expr] = []

    def relations(self) -> tuple[Relation, ...]:
        """Return the relations of the text: one, or the links of a chain such as 0 <= a' <= a.

        Raises
        ------
        ClaimError
            If the text is not an equation or a chain of inequalities.
        """
        return self.relations_of(self._source.tree())

    def relations_of(self, tree: ast.expr) -> tuple[Relation, ...]:
        """Return the relations of a tree of the parser's own making."""
        if not isinstance(tree, ast.Compare):
            raise ClaimError(
                "the text holds no relation: write =, <, <=, > or >= between two sides"
            )
        signs = [_COMPARE[type(op)] for op in tree.ops]
        if len(signs) > 1 and "=" in signs:
            second = self._at(tree.comparators[0])
            raise ClaimError(
                f"more than one relation near position {second}, one of them an equation: "
                "write one equation, or a chain of inequalities"
            )
        if len(signs) > 4:
            raise ClaimError("a chain holds at most four inequalities")
        sides = [self._expression(node, 0)[0] for node in (tree.left, *tree.comparators)]
        return tuple(
            Relation(a, s, b, self.divisors)
            for a, s, b in zip(sides[:-1], signs, sides[1:], strict=True)
        )

    @property
    def divisors(self) -> tuple[sp.Expr, ...]:
        """What has been divided by and may vanish."""
        return tuple(dict.fromkeys(d for d in self._divisors if d.free_symbols))

    def expression(self) -> sp.Expr:
        """Return the expression of a text without a relation."""
        return self._expression(self._source.tree(), 0)[0]

    def _at(self, node: ast.expr) -> int:
        return self._source.position(node.col_offset)

    def _where(self, node: ast.expr) -> str:
        return f" at position {self._at(node)}"

    def _expression(self, node: ast.expr, depth: int) -> tuple[sp.Expr, Size]:
        if depth > 3 * limits.DEPTH:
            raise ClaimError("the claim is nested too deeply to read")
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            number = sp.Integer(node.value)
            return number, size_of(number, {}, self._where(node))
        if isinstance(node, ast.Name):
            symbol = self._vocabulary.symbol(node.id)
            return symbol, self._vocabulary.size(symbol)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            value, size = self._expression(node.operand, depth + 1)
            return (-value if isinstance(node.op, ast.USub) else value), size
        if isinstance(node, ast.BinOp):
            return self._operation(node, depth)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            return self._call(node, node.func.id, depth)
        raise ClaimError(f"cannot read the claim{self._where(node)}: only sums, products, powers "
                         f"and the functions {', '.join(_FUNCTIONS)} are admitted")  # fmt: skip

    def _operation(self, node: ast.BinOp, depth: int) -> tuple[sp.Expr, Size]:
        if isinstance(node.op, ast.Pow):
            return self._power(node, depth)
        additive = isinstance(node.op, (ast.Add, ast.Sub))
        if not additive and not isinstance(node.op, (ast.Mult, ast.Div)):
            raise ClaimError(f"cannot read the operator{self._where(node)}")
        kinds = (ast.Add, ast.Sub) if additive else (ast.Mult, ast.Div)
        chain: list[tuple[ast.operator, ast.expr]] = []
        first: ast.expr = node
        while isinstance(first, ast.BinOp) and isinstance(first.op, kinds):
            chain.append((first.op, first.right))
            first = first.left
        value, size = self._expression(first, depth + 1)
        for operator, right in reversed(chain):
            other, other_size = self._expression(right, depth + 1)
            if isinstance(operator, ast.Div):
                other, other_size = self._inverse(other, other_size, right)
            elif isinstance(operator, ast.Sub):
                other = -other
            size = size.plus(other_size) if additive else size.times(other_size)
            size.check(self._where(right))
            value = value + other if additive else value * other
        return value, size

    def _inverse(self, value: sp.Expr, size: Size, node: ast.expr) -> tuple[sp.Expr, Size]:
        if value.is_zero:
            raise ClaimError(f"division by zero{self._where(node)}")
        self._divide(value)
        return 1 / value, size.inverse(value)

    def _divide(self, value: sp.Expr) -> None:
        if not value.is_positive:
            self._divisors.append(value)

    def _power(self, node: ast.BinOp, depth: int) -> tuple[sp.Expr, Size]:
        where = self._where(node.right)
        if any(
            isinstance(x, ast.BinOp) and isinstance(x.op, ast.Pow) for x in ast.walk(node.right)
        ):
            raise ClaimError(f"a tower of powers{where} is not read")
        base, size = self._expression(node.left, depth + 1)
        exponent, _ = self._expression(node.right, depth + 1)
        if not exponent.is_Rational or exponent.q > 2:
            raise ClaimError(f"the exponent{where} must be a whole or half number; for an "
                             "exponential write exp(...)")  # fmt: skip
        if abs(exponent) > limits.EXPONENT:
            raise ClaimError(f"the exponent{where} is too large: at most {limits.EXPONENT}")
        if base.is_zero and exponent < 0:
            raise ClaimError(f"division by zero{where}")
        if exponent < 0:
            self._divide(base)
        size = power_size(size, base, exponent, where)
        return _finite(sp.Pow(base, exponent), where), size

    def _call(self, node: ast.Call, name: str, depth: int) -> tuple[sp.Expr, Size]:
        where = self._where(node)
        self._functions += name != "next"
        if self._functions > limits.NESTED_FUNCTIONS:
            raise ClaimError(f"functions nested deeper than {limits.NESTED_FUNCTIONS}{where}")
        before = len(self._divisors)
        values = [self._expression(a, depth + 1)[0] for a in node.args]
        self._functions -= name != "next"
        if name in ("min", "max"):
            if len(values) < 2 or len(values) > 4:
                raise ClaimError(f"{name}{where} takes two to four arguments")
        elif len(values) != 1:
            raise ClaimError(f"{name}{where} takes one argument")
        if name == "next":
            inside = self._divisors[before:]
            self._divisors[before:] = [self._vocabulary.primed(d) for d in inside]
            return self._next(values[0], where)
        if name in ("min", "max"):
            # Without evaluation: SymPy would compare the arguments at length.
            return _FUNCTIONS[name](*values, evaluate=False), SYMBOL
        return _finite(_FUNCTIONS[name](*values), where), SYMBOL

    def _next(self, value: sp.Expr, where: str) -> tuple[sp.Expr, Size]:
        if any(s.name.endswith("'") for s in value.free_symbols):
            raise ClaimError(f"two steps{where}: a claim is about one step")
        primed = self._vocabulary.primed(value)
        return primed, size_of(primed, self._vocabulary.sizes(primed), where)


def _finite(value: sp.Expr, where: str) -> sp.Expr:
    if value.has(sp.zoo, sp.oo, sp.nan, sp.I):
        raise ClaimError(f"the value{where} is not a finite real number")
    return value


def from_sympy(relation: Any, vocabulary: Vocabulary) -> tuple[Relation, ...]:
    """Return the relations of a SymPy equation, inequality or conjunction of them.

    Symbols are matched by name, whatever their assumptions; ``f'``, ``f_next`` and
    ``f_{t+1}`` mark the value after the step.

    Parameters
    ----------
    relation : sympy relational or sympy.And
    vocabulary : Vocabulary

    Raises
    ------
    ClaimError
        For other objects, functions that are not admitted, or names that are not known.
    """
    if isinstance(relation, sp.And) and len(relation.args) <= 4:
        return tuple(r for a in relation.args for r in from_sympy(a, vocabulary))
    if relation in (sp.true, sp.false):
        raise ClaimError(
            "SymPy has evaluated the relation already: build it with evaluate=False, or give text"
        )
    if type(relation) not in _RELATIONALS:
        raise ClaimError(
            f"a claim is a text, an Eq or an inequality, not {type(relation).__name__}"
        )
    left, right = (_renamed(side, vocabulary) for side in relation.args)
    return (Relation(left, _RELATIONALS[type(relation)], right),)


def _renamed(side: Any, vocabulary: Vocabulary) -> sp.Expr:
    if not isinstance(side, sp.Expr):
        raise ClaimError(f"the side {str(side)[:60]} is not a scalar expression")
    waiting, nodes = [(side, 0, 0)], 0
    while waiting:
        node, depth, functions = waiting.pop()
        nodes += 1
        functions += isinstance(node, _SYMPY_FUNCTIONS)
        if functions > limits.NESTED_FUNCTIONS:
            raise ClaimError(f"functions nested deeper than {limits.NESTED_FUNCTIONS} in the claim")
        if nodes > limits.NODES or depth > 2 * limits.DEPTH:
            raise ClaimError(
                f"the claim has more than {limits.NODES} nodes, or is nested deeper than "
                f"{2 * limits.DEPTH}: shorten it"
            )
        _admit(node)
        waiting += [(a, depth + 1, functions) for a in node.args]
    rational = side.xreplace({x: sp.Rational(str(x)) for x in side.atoms(sp.Float)})
    table = {s: _symbol(s.name, vocabulary) for s in rational.free_symbols}
    size_of(rational, {s: vocabulary.size(t) for s, t in table.items()})
    return _finite(rational.xreplace(table), "")


def _symbol(name: str, vocabulary: Vocabulary) -> sp.Symbol:
    """Return the claim-tree symbol of a SymPy symbol's name, read as text or LaTeX names are."""
    tokens = tokens_in(name, vocabulary)
    if not tokens or tokens[0].kind != "name" or any(t.kind != "prime" for t in tokens[1:]):
        raise ClaimError(f"the symbol {name[:60]!r} is not the name of one quantity")
    symbol = vocabulary.symbol(tokens[0].text)
    return symbol if len(tokens) == 1 else vocabulary.primed(symbol)


def _admit(node: Any) -> None:
    if isinstance(node, sp.Float):
        if not node.is_finite or abs(node) > 10**limits.NUMBER_DIGITS:
            raise ClaimError(f"the number {node} is not finite or too large")
        return
    if isinstance(node, (sp.Symbol, sp.Rational, sp.Add, sp.Mul, *_SYMPY_FUNCTIONS)):
        return
    if isinstance(node, sp.Pow):
        exponent = node.exp
        if exponent.is_Rational and exponent.q <= 2 and abs(exponent) <= limits.EXPONENT:
            return
        raise ClaimError(f"the exponent in {node} must be a whole or half number up to "
                         f"{limits.EXPONENT}")  # fmt: skip
    raise ClaimError(f"{type(node).__name__} in a claim is not admitted: {str(node)[:60]}")
