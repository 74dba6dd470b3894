"""Small changes of a claim, made on its own tree: signs, factors, powers, names, transposes.

Each candidate is a whole new tree that shares what did not change with the old one.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from catapult_theory.rigor.claims.words import labels_in, words_of

MOST_EDITS = 600
# What is mistaken for what. A replacement is text of the parser's own spelling.
_CONFUSED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "f": ("g", "y", "q"), "g": ("f",), "y": ("f", "g"), "p": ("q", "kappa"), "q": ("p", "f"),
        "kappa": ("p",), "a": ("b",), "b": ("a", "q"), "lam": ("Delta", "g"), "Delta": ("lam",),
        "loss": ("lam",), "eta": ("beta", "omega"), "beta": ("eta",), "omega": ("eta",),
        "S": ("G",), "G": ("S",), "W": ("Z", "f"), "Z": ("W", "zeta"), "U": ("V",), "V": ("U",),
        "zeta": ("Z", "W"), "Y": ("f", "g"), "X": ("g",), "Theta": ("G",),
        "n": ("m", "d"), "m": ("n", "d"), "d": ("m", "n", "k"), "k": ("m", "d"),
    }
)  # fmt: skip
_FACTORS = (
    *("2", "1/2", "4", "1/4", "1/n", "n", "1/sqrt(n)", "sqrt(n)", "1/m", "m", "eta", "1/eta"),
    *("1 - eta*omega", "(1 - eta*omega)**2", "beta", "1 + beta"),
)
# Names that are exchanged as a pair, and those that are forgotten between two factors.
_SWAPPED = (("S", "G"), ("U", "V"), ("f", "g"))
_FORGOTTEN = ("S", "G")
_NUMBERS = (1, 2, 3, 4, 8)

Path = tuple[tuple[str, int | None], ...]


@dataclass(frozen=True)
class Edit:
    """One changed place of a claim.

    Parameters
    ----------
    kind : str
        What was changed, in words: "sign", "factor", "power", "name", ...
    old, new : str
        The changed part before and after.
    tree : ast.expr
        The whole claim after the change.
    place : Path
        Where it is.
    term : Path
        The summand of a side that holds the place: edits in two summands add up.
    replacement : ast.expr
        The changed part.
    """

    kind: str
    old: str
    new: str
    tree: ast.expr
    place: Path
    term: Path
    replacement: ast.expr


@dataclass(frozen=True)
class Spot:
    """A node of a claim, with its place, its summand and its parent."""

    node: Any
    place: Path
    term: Path
    parent: Any

    @property
    def is_summand(self) -> bool:
        """Whether the node is a term of a sum, or a whole side."""
        if isinstance(self.node, ast.BinOp) and isinstance(self.node.op, (ast.Add, ast.Sub)):
            return False
        if isinstance(self.parent, ast.BinOp):
            return isinstance(self.parent.op, (ast.Add, ast.Sub))
        return isinstance(self.parent, (ast.Compare, ast.UnaryOp))

    @property
    def is_side(self) -> bool:
        """Whether the node is a whole side."""
        return isinstance(self.parent, ast.Compare)

    @property
    def is_exponent(self) -> bool:
        """Whether the node is the exponent of a power."""
        powers = isinstance(self.parent, ast.BinOp) and isinstance(self.parent.op, ast.Pow)
        return powers and self.place[-1][0] == "right"

    @property
    def is_base(self) -> bool:
        """Whether the node is raised to a power."""
        powers = isinstance(self.parent, ast.BinOp) and isinstance(self.parent.op, ast.Pow)
        return powers and self.place[-1][0] == "left"

    @property
    def is_name(self) -> bool:
        """Whether the node names a quantity."""
        plain = isinstance(self.node, ast.Name) and not self.node.id.startswith("i_")
        return plain and self.place[-1][0] != "func"

    @property
    def is_factor(self) -> bool:
        """Whether the node is a quantity with its marks: a name, W', W.T, f_alpha, |v|."""
        if isinstance(self.node, ast.Call):
            return _called(self.node) in ("next", "transpose", "abs", "norm")
        inside = isinstance(self.parent, (ast.Subscript, ast.Call))
        return (self.is_name or isinstance(self.node, ast.Subscript)) and not inside


Changes = Iterator[tuple[str, ast.expr]]


@dataclass(frozen=True)
class Editor:
    """All small changes of one claim.

    Parameters
    ----------
    tree : ast.Compare
        The claim.
    names : frozenset of str
        The names that resolve on the map.
    is_matrix : bool
        Whether factors have an order and transposes.
    """

    tree: ast.Compare
    names: frozenset[str]
    is_matrix: bool

    def edits(self) -> Iterator[Edit]:
        """Yield changes, the likeliest slips first; at most `MOST_EDITS`."""
        spots = list(self._spots())
        count = 0
        for rule in self._rules():
            for spot in spots:
                for kind, new in rule(spot):
                    own = _like(spot.node, new)
                    tree = _replaced(self.tree, spot.place, own)
                    words = words_of(spot.node), words_of(own)
                    yield Edit(kind, *words, tree, spot.place, spot.term, own)
                    count += 1
                    if count >= MOST_EDITS:
                        return

    def _rules(self) -> Sequence[Callable[[Spot], Changes]]:
        matrix = [self._transpose, self._order, self._label, self._swapped]
        rare = [self._turned, self._forgotten] if self.is_matrix else []
        first = [self._sign, self._number, self._name, *(matrix if self.is_matrix else [])]
        return [*first, self._power, self._dropped, self._factor, *rare, self._step]

    def _spots(self) -> Iterator[Spot]:
        """Yield all places of both sides but a side that is the quantity after the step alone."""
        sides: list[tuple[Path, ast.expr]] = [((("left", None),), self.tree.left)]
        sides += [((("comparators", i),), s) for i, s in enumerate(self.tree.comparators)]
        free = [(place, side) for place, side in sides if not _is_quantity(side)]
        for place, side in free or sides[1:]:
            yield from _walked(Spot(side, place, place, self.tree))

    # Rules: from a spot to what may stand there instead.

    def _sign(self, spot: Spot) -> Changes:
        if isinstance(spot.node, ast.UnaryOp):
            yield "sign", spot.node.operand
        elif spot.is_summand and not isinstance(spot.parent, ast.UnaryOp):
            yield "sign", ast.UnaryOp(ast.USub(), spot.node)

    def _number(self, spot: Spot) -> Changes:
        if isinstance(spot.node, ast.Constant) and not spot.is_exponent:
            for value in _NUMBERS:
                if value != spot.node.value:
                    yield "factor", ast.Constant(value)

    def _name(self, spot: Spot) -> Changes:
        node = spot.node
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            yield from self._mixed(node)
        elif spot.is_name:
            for other in _CONFUSED.get(spot.node.id, ()):
                if other in self.names:
                    yield "name", ast.Name(other)
        elif words_of(spot.node) in ("f - y", "p - kappa", "f - Y"):
            # A label that does not belong.
            yield "name", spot.node.left

    def _mixed(self, node: ast.BinOp) -> Changes:
        """Put f g for f^2, and g^2 f for f^3: a label that was dropped in one factor."""
        other = {"f": "g", "g": "f"}.get(words_of(node.left), "")
        exponent = _whole(node.right)
        if other in self.names and exponent in (2, 3):
            rest = exponent - 1
            new = ast.Name(other)
            single = node.left if rest == 1 else ast.BinOp(node.left, ast.Pow(), ast.Constant(rest))
            yield "name", ast.BinOp(single, ast.Mult(), new)
            if rest == 2:
                square = ast.BinOp(new, ast.Pow(), ast.Constant(2))
                yield "name", ast.BinOp(square, ast.Mult(), node.left)
            yield "name", ast.BinOp(new, ast.Pow(), node.right)

    def _power(self, spot: Spot) -> Changes:
        node = spot.node
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            exponent = _whole(node.right)
            if exponent is not None:
                for value in (exponent + 1, exponent - 1):
                    if value == 1:
                        yield "power", node.left
                    elif value != 0:
                        yield "power", ast.BinOp(node.left, ast.Pow(), ast.Constant(value))
        elif _called(node) == "sqrt":
            yield "power", node.args[0]
        elif not spot.is_base and (spot.is_factor or _is_sum(node)) and not spot.is_side:
            yield "power", ast.BinOp(node, ast.Pow(), ast.Constant(2))
            if words_of(node) == "n":
                yield "power", ast.Call(ast.Name("sqrt"), [node], [])

    def _factor(self, spot: Spot) -> Changes:
        if not spot.is_summand or isinstance(spot.node, ast.UnaryOp):
            return
        for text in _FACTORS:
            factor = ast.parse(text, mode="eval").body
            names = {x.id for x in ast.walk(factor) if isinstance(x, ast.Name)}
            if names <= {*self.names, "sqrt"}:
                yield "factor", ast.BinOp(factor, ast.Mult(), spot.node)

    def _transpose(self, spot: Spot) -> Changes:
        node = spot.node
        if _called(node) == "transpose":
            yield "transpose", node.args[0]
        elif spot.is_factor and not isinstance(spot.parent, (ast.Call, ast.Subscript)):
            yield "transpose", ast.Call(ast.Name("transpose"), [node], [])

    def _order(self, spot: Spot) -> Changes:
        node = spot.node
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, (ast.Mult, ast.MatMult)):
            return
        left, right = node.left, node.right
        yield "order", ast.BinOp(right, node.op, left)
        if isinstance(left, ast.BinOp) and isinstance(left.op, (ast.Mult, ast.MatMult)):
            yield "order", ast.BinOp(ast.BinOp(left.left, node.op, right), left.op, left.right)

    def _label(self, spot: Spot) -> Changes:
        if not isinstance(spot.node, ast.Subscript):
            return
        indexed = [n for n in ast.walk(self.tree) if isinstance(n, ast.Subscript)]
        everywhere = {x for n in indexed for x in labels_in(n)}
        labels = labels_in(spot.node)
        for at, own in enumerate(labels):
            for other in sorted(everywhere - {own}):
                changed = _labels([*labels[:at], other, *labels[at + 1 :]])
                yield "index", ast.Subscript(spot.node.value, changed)

    def _swapped(self, spot: Spot) -> Changes:
        """Exchange two names throughout a summand."""
        if spot.is_summand:
            inside = {x.id for x in ast.walk(spot.node) if isinstance(x, ast.Name)}
            for first, second in _SWAPPED:
                if inside & {first, second}:
                    yield (
                        "names exchanged",
                        _Exchange(first, second).visit(copy.deepcopy(spot.node)),
                    )

    def _turned(self, spot: Spot) -> Changes:
        """Transpose a product, or each of its factors."""
        if spot.is_summand and isinstance(spot.node, ast.BinOp):
            yield "transpose", ast.Call(ast.Name("transpose"), [spot.node], [])
            yield "transposes", _each_turned(spot.node)

    def _forgotten(self, spot: Spot) -> Changes:
        """Put a symmetric matrix between two factors."""
        node = spot.node
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.MatMult)):
            for name in _FORGOTTEN:
                if name in self.names:
                    longer = ast.BinOp(node.left, node.op, ast.Name(name))
                    yield "forgotten factor", ast.BinOp(longer, node.op, node.right)

    def _dropped(self, spot: Spot) -> Changes:
        node = spot.node
        if isinstance(node, ast.BinOp) and isinstance(
            node.op, (ast.Mult, ast.MatMult, ast.FloorDiv, ast.Div)
        ):
            yield "dropped factor", node.left
            if not isinstance(node.op, ast.Div):
                yield "dropped factor", node.right
        elif spot.is_summand and not isinstance(spot.parent, ast.Compare):
            yield "dropped term", ast.Constant(0)

    def _step(self, spot: Spot) -> Changes:
        node = spot.node
        if _called(node) == "next":
            yield "step", node.args[0]
        elif spot.is_name and not isinstance(spot.parent, ast.Call):
            yield "step", ast.Call(ast.Name("next"), [node], [])


class _Exchange(ast.NodeTransformer):
    """Exchange two names."""

    def __init__(self, first: str, second: str) -> None:
        self._table = {first: second, second: first}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.copy_location(ast.Name(self._table.get(node.id, node.id)), node)


def _each_turned(node: Any) -> Any:
    """Return a product with every matrix factor transposed where it stands."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.MatMult)):
        return ast.BinOp(_each_turned(node.left), node.op, _each_turned(node.right))
    if _called(node) == "transpose":
        return node.args[0]
    if isinstance(node, (ast.Name, ast.Call)) and words_of(node)[0].isupper():
        return ast.Call(ast.Name("transpose"), [node], [])
    return node


def _called(node: Any) -> str:
    """Return the name of the function that a node calls, or nothing."""
    return getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""


def _whole(node: ast.expr) -> int | None:
    """Return the whole number that a node is, or None."""
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int) else None


def _is_sum(node: Any) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub))


def are_apart(first: Edit, second: Edit) -> bool:
    """Return whether two edits change different summands, so that their changes add up."""
    shorter = min(len(first.term), len(second.term))
    return first.term[:shorter] != second.term[:shorter]


def combined(first: Edit, second: Edit) -> ast.expr:
    """Return the tree with two edits of different summands."""
    return _replaced(first.tree, second.place, second.replacement)


def _is_quantity(side: ast.expr) -> bool:
    """Return whether a side is one name with its marks: what the claim is about."""
    if isinstance(side, ast.Call):
        return getattr(side.func, "id", "") in ("next", "transpose") and _is_quantity(side.args[0])
    return isinstance(side, ast.Name) or (
        isinstance(side, ast.Subscript) and _is_quantity(side.value)
    )


def _walked(spot: Spot) -> Iterator[Spot]:
    """Yield a spot and everything in it but labels and names of functions."""
    yield spot
    node = spot.node
    signs = isinstance(node, ast.UnaryOp)
    opens = isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub))
    for name, value in ast.iter_fields(node):
        if name in ("func", "slice"):
            continue
        items = [(None, value)] if not isinstance(value, list) else list(enumerate(value))
        for i, item in items:
            if isinstance(item, ast.expr):
                place = (*spot.place, (name, i))
                top = (opens or signs) and spot.place == spot.term
                yield from _walked(Spot(item, place, place if top else spot.term, node))


def _replaced(root: Any, place: Path, new: ast.expr) -> Any:
    """Return a copy of a tree with the node at a place replaced; the rest is shared."""
    if not place:
        return new
    (name, index), *rest = place
    own = copy.copy(root)
    value = getattr(root, name)
    if index is None:
        setattr(own, name, _replaced(value, tuple(rest), new))
    else:
        items = list(value)
        items[index] = _replaced(items[index], tuple(rest), new)
        setattr(own, name, items)
    return own


def _like(node: ast.expr, new: ast.expr) -> ast.expr:
    """Give a new node, and what was made with it, the position of an old one."""
    for inner in ast.walk(new):
        if isinstance(inner, ast.expr) and not hasattr(inner, "lineno"):
            ast.copy_location(inner, node)
    return new


def _labels(names: Sequence[str]) -> ast.expr:
    nodes: list[ast.expr] = [ast.Name(f"i_{name}") for name in names]
    return nodes[0] if len(nodes) == 1 else ast.Tuple(nodes)
