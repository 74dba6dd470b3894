"""The names that a claim about a matrix model may use, and what each stands for.

Everything is written in independent matrices: the blocks of the state, the data X, and the
output gradient g, which stands for the targets too (Y = f - g for the squared loss). Values
after the step follow by putting in the updates; nothing is typed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType
from typing import Any

import sympy as sp
from sympy.matrices.expressions.slice import MatrixSlice

from catapult_theory.errors import ClaimError, ModelError
from catapult_theory.rigor.claims.contractions import (
    COLUMN,
    ROW,
    Algebra,
    Atom,
    Contraction,
    Cycle,
    Factor,
    Monomial,
    Path,
    Scalars,
    Work,
    flipped,
)
from catapult_theory.rigor.claims.names import ABSENT, canonical_name
from catapult_theory.symbolic.matrix_nodes import ElementSum, Elementwise, LogSumExp, TopEigenvalue
from catapult_theory.symbolic.update_map import UpdateMap
from catapult_theory.symbolic.words import parse

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "lambda": "lam", "λ": "lam", "Θ": "Theta", "NTK": "Theta", "ntk": "Theta", "η": "eta",
        "β": "beta", "ω": "omega", "L": "loss", "ℓ": "loss", "ftilde": "g", "f_tilde": "g",
        "ζ": "zeta", "x": "X", "y": "Y", "s": "S", "w": "W", "u": "U", "v": "V", "z": "Z",
    }
)  # fmt: skip
_ABSENT: Mapping[str, str] = MappingProxyType(
    {
        **ABSENT,
        "a": "with several samples write eta*lam",
        "t": "write the step as W_t and W_{t+1}, or W and W'",
    }
)
# Slots of the kernel beyond its first two.
THIRD, FOURTH = "<third>", "<fourth>"


@dataclass(frozen=True)
class Tensor:
    """What a name stands for: an expression and its open ends in the order of indices."""

    value: Contraction
    slots: tuple[str, ...]


@dataclass(frozen=True)
class MatrixVocabulary:
    """The names of one matrix map.

    Parameters
    ----------
    update_map : UpdateMap
        Of a model that names its blocks.
    """

    update_map: UpdateMap
    _known: dict[tuple[str, bool], Any] = field(default_factory=dict, compare=False, repr=False)

    is_matrix = True
    carried: tuple[str, ...] = ()

    @classmethod
    def of(cls, update_map: UpdateMap) -> MatrixVocabulary:
        """Return the vocabulary of a matrix map.

        Raises
        ------
        ClaimError
            If the map's state is one unnamed Gram matrix.
        """
        if any(s.name == "Gamma" for s in update_map.variables):
            raise ClaimError(
                "this model names no blocks of its Gram matrix, so that a claim has no words for "
                "them: make the model with observables={'W': ..., 'G': ...}"
            )
        own = cls(update_map)
        try:
            _ = own._output
        except ModelError as cause:
            raise ClaimError(
                "claims are judged for outputs that are sums of products of matrices; this "
                "model's takes a diagonal: state the claim for its one-sample form, or check "
                "entries with ct.compile(...).step"
            ) from cause
        try:
            _ = own._steps
        except ModelError as cause:
            raise ClaimError(
                f"claims are judged for steps that are sums of products of matrices; that of "
                f"{update_map.optimizer} with the {update_map.loss} loss is not one: state the "
                "claim for ct.models.uv, or check entries with ct.compile(...).step"
            ) from cause
        return own

    def bounded(self, products: int) -> MatrixVocabulary:
        """Return the same names with a bound on the products of two terms that may be formed."""
        own = replace(self)
        # What has been worked out about the map is kept: cached properties live in __dict__.
        own.__dict__.update(self.__dict__)
        own.__dict__["algebra"] = replace(self.algebra, work=Work(products))
        return own

    # Atoms.

    @cached_property
    def blocks(self) -> dict[str, tuple[Factor, Factor, sp.Expr]]:
        """Each state matrix as c times a product of two frame matrices."""
        found = {}
        for s in self.update_map.variables:
            ((word, c),) = parse(self.update_map.gram[s]).terms.items()
            (first, second) = ((a.name, t) for a, t in word)
            found[s.name] = (first, second, c)
        return found

    @cached_property
    def algebra(self) -> Algebra:
        """Products in which V U becomes sqrt(n) W, and the like."""
        symmetric = frozenset(k for k, (a, b, _) in self.blocks.items() if a[0] == b[0])
        neighbours: dict[tuple[Factor, Factor], tuple[Factor, Scalars]] = {}
        for name, (a, b, c) in self.blocks.items():
            number, powers = (1 / c).as_coeff_Mul()
            if number != 1:
                continue
            scalars = tuple((str(x), _fraction(e)) for x, e in powers.as_powers_dict().items())
            for mark in ("", "'"):
                first, second = (a[0] + mark, a[1]), (b[0] + mark, b[1])
                own = frozenset({name + mark} if name in symmetric else ())
                back = flipped((first, second), frozenset())
                neighbours[first, second] = ((name + mark, False), scalars)
                neighbours[back[0], back[1]] = (flipped(((name + mark, False),), own)[0], scalars)
        return Algebra(symmetric | {f"{s}'" for s in symmetric}, neighbours, self.signed)

    @cached_property
    def signed(self) -> frozenset[str]:
        """The scalars that may be negative, for all that is known."""
        parameters = {s.name for s in self.update_map.constants if not s.is_nonnegative}
        seen = self.update_map.observables.items()
        return frozenset(parameters | {k for k, e in seen if not _is_nonnegative(e)})

    @cached_property
    def atoms(self) -> Mapping[str, Atom]:
        """The independent matrices, and those of the frame, by name."""
        found = {}
        for s in (*self.update_map.variables, *self.update_map.data):
            found[s.name] = _atom(s.name, s.shape, s.name in self.algebra.symmetric)
        if self._solved_target is not None:
            del found["Y"]
        frame = self.update_map.frame
        letters = self.update_map.gram.values()
        shapes = {a.name: a.shape for e in letters for a in e.atoms(sp.MatrixSymbol)}
        for name in frame.names:
            if name in shapes:
                found[name] = _atom(name, shapes[name], False)
        found["g"] = _atom("g", self.definition("g")[0].shape, False)
        return MappingProxyType(found)

    @cached_property
    def slices(self) -> Mapping[str, MatrixSlice]:
        """The parts of the data that the map uses, by name: atoms of their own beside X."""
        own = self.update_map
        expressions = (*own.definitions.values(), *own.updates.values(), *own.observables.values())
        found = set().union(*(e.atoms(MatrixSlice) for e in expressions))
        return {name_of(s): s for s in found}

    def definition(self, name: str) -> tuple[Any, Any]:
        """Return the symbol and the expression of a definition of the map."""
        return next((s, e) for s, e in self.update_map.definitions.items() if s.name == name)

    @cached_property
    def _solved_target(self) -> Contraction | None:
        """The targets as f - g, where g is linear in them."""
        target = self.update_map.data[1]
        try:
            slope = parse(self.definition("g")[1])
        except ModelError:
            return None
        own = slope.terms.get(((target, False),))
        rest = {w: c for w, c in slope.terms.items() if all(a != target for a, _ in w)}
        if own is None or not sp.sympify(own).is_Rational or len(rest) + 1 != len(slope.terms):
            return None
        others = self._translated(type(slope)(rest, slope.shape), {"f": self._output})
        return (self._atom_value("g") - others) * (1 / _fraction(own))

    @cached_property
    def _output(self) -> Contraction:
        return self._translated(parse(self.definition("f")[1]), {})

    def _atom_value(self, name: str) -> Contraction:
        shape = self.definition("g")[0].shape if name == "g" else None
        return Contraction.of(_atom("g", shape, False) if shape else self.atoms[name])

    def _translated(self, polynomial: Any, known: Mapping[str, Contraction]) -> Contraction:
        """Return a polynomial in words as contractions, definitions put in."""
        rows, columns = (_size(s) for s in polynomial.shape)
        total = Contraction({}, {k: s for k, s in ((ROW, rows), (COLUMN, columns)) if s != "1"})
        for word, c in polynomial.terms.items():
            term = self._scalars(c)
            if not word:
                term = self.algebra.product(term, Contraction.identity(rows))
            chain: Contraction | None = None
            for matrix, flip in word:
                name = name_of(matrix)
                value = known.get(name)
                if value is None:
                    symmetric = name in self.algebra.symmetric
                    value = Contraction.of(_atom(name, matrix.shape, symmetric))
                value = self.transposed(value) if flip else value
                chain = value if chain is None else self.matmul(chain, value)
            total = total + (term if chain is None else self.algebra.product(term, chain))
        return total

    def _scalars(self, coefficient: Any) -> Contraction:
        total = Contraction.number(0)
        for term in sp.Add.make_args(sp.expand(coefficient)):
            number, rest = term.as_coeff_Mul()
            value = Contraction.number(_fraction(number))
            for base, power in rest.as_powers_dict().items():
                if base != 1:
                    one = Contraction.scalar(base.name, _fraction(power))
                    value = self.algebra.product(value, one)
            total = total + value
        return total

    def transposed(self, value: Contraction) -> Contraction:
        """Return a matrix with row and column exchanged."""
        return self.algebra.renamed(value, {ROW: COLUMN, COLUMN: ROW})

    def matmul(self, left: Contraction, right: Contraction) -> Contraction:
        """Return the matrix product of two expressions whose inner sizes fit."""
        return self.algebra.product(
            self.algebra.renamed(left, {COLUMN: "<j>"}), self.algebra.renamed(right, {ROW: "<j>"})
        )

    def scaled_with(self, name: str) -> list[str]:
        """Return the independent quantities that grow as a name does: f with W and g."""
        if name not in ("f", "Y"):
            return [name]
        output = {a for m in self._output.terms for part in m.parts for a, _ in part.word}
        blocks = [a for a in output if a in self.base] if name == "f" else []
        return [*blocks, "g", *(["Y"] if "Y" in self.atoms and name == "Y" else [])]

    # Values.

    @cached_property
    def base(self) -> Mapping[str, Any]:
        """State variables and parameters by name."""
        return {s.name: s for s in (*self.update_map.variables, *self.update_map.constants)}

    @cached_property
    def sizes(self) -> tuple[str, ...]:
        """The sizes that are symbols: m, d, k."""
        atoms = self.atoms.values()
        found = dict.fromkeys(s for a in atoms for s in (a.rows, a.columns))
        return tuple(s for s in found if not s.isdigit() and s != "n")

    @cached_property
    def known(self) -> tuple[str, ...]:
        """Every name that resolves, in the order of a reader's interest."""
        names = [*self.base, *self.sizes, "X", "Y", "f", "g", *self._gradients, *_DEFINED]
        names += [*self.update_map.observables, *self.update_map.frame.names, "I"]
        return tuple(dict.fromkeys(n for n in names if n == "I" or self.tensor(n) is not None))

    @property
    def _gradients(self) -> list[str]:
        return [s.name for s in self.update_map.definitions if s.name not in ("f", "g")]

    def canonical(self, name: str, position: int) -> str:
        """Return the code-safe spelling of a name, or refuse it with the nearest valid one.

        Raises
        ------
        ClaimError
            If the name means nothing on this map.
        """
        return canonical_name(name, position, self.known, ALIASES, _ABSENT)

    def knows(self, word: str) -> bool:
        """Return whether a word is a name or another spelling of one."""
        return word in self.known or ALIASES.get(word) in self.known

    def tensor(self, name: str) -> Tensor | None:
        """Return what a canonical name stands for before the step."""
        if (name, False) not in self._known:
            value = self._value(name)
            self._known[name, False] = value if isinstance(value, Tensor) else _tensor(value)
        return self._known[name, False]

    def value(self, name: str) -> Contraction:
        """Return what a name that is known stands for before the step, its open ends aside."""
        found = self.tensor(name)
        if found is None:
            raise ClaimError(f"unknown name {name!r}")
        return found.value

    def tensor_after(self, name: str) -> Tensor | None:
        """Return what a canonical name stands for after the step."""
        now = self.tensor(name)
        if now is None or (name in self.base and self.base[name] in self.update_map.constants):
            return now
        if (name, True) not in self._known:
            self._known[name, True] = Tensor(self.after(now.value), now.slots)
        return self._known[name, True]

    def after(self, value: Contraction) -> Contraction:
        """Return an expression with everything that the step changes put in."""
        primed = {a: Contraction.of(Atom(f"{a}'", s.rows, s.columns, s.symmetric))
                  for a, s in self.atoms.items() if a in self.update_map.frame.names}  # fmt: skip
        scalars = {s: Contraction.scalar(f"{s}'") for s in self.opaque}
        return self.algebra.substituted(value, {**self.updated, **primed}, scalars)

    @cached_property
    def opaque(self) -> tuple[str, ...]:
        """Observables that are no polynomials in the blocks: the kernel's top eigenvalue."""
        return tuple(k for k in self.update_map.observables if self._polynomial(k) is None)

    @property
    def solves_target(self) -> bool:
        """Whether the targets are f minus the output gradient, as for the squared loss."""
        return self._solved_target is not None

    @cached_property
    def output_after(self) -> Contraction:
        """The outputs after the step."""
        return self.after(self._output)

    @cached_property
    def updated(self) -> Mapping[str, Contraction]:
        """The blocks and the output gradient after the step."""
        gradients = self._steps
        updates = self.update_map.updates.items()
        new = {s.name: self._translated(parse(e), gradients) for s, e in updates}
        output = self.algebra.substituted(self._output, new, {})
        atom = self.atoms["g"]
        slope = Contraction.of(Atom("g'", atom.rows, atom.columns))
        if self._solved_target is not None:
            own = {"f": output, "Y": self._solved_target}
            slope = self._translated(parse(self.definition("g")[1]), own)
        # What a claim may say after the step but has no update of its own: the targets.
        return MappingProxyType({**new, "g": slope})

    @cached_property
    def _steps(self) -> Mapping[str, Contraction]:
        """What the map defines after f and g, in atoms: Z, and what an optimizer that looks
        elsewhere sees there (W_1, G_1, S_1, f_1, g_1, Z_1)."""
        known = {"f": self._output}
        if self._solved_target is not None:
            known["Y"] = self._solved_target
        found: dict[str, Contraction] = {}
        for name in self._gradients:
            expression = parse(self.definition(name)[1])
            found[name] = self._translated(expression, {**known, **found})
        return MappingProxyType(found)

    def _value(self, name: str) -> Any:
        if name in self._gradients:
            return self._steps[name]
        if name == "f":
            return self._output
        if name == "Y" and self._solved_target is not None:
            return self._solved_target
        if name in self.atoms:
            return Contraction.of(self.atoms[name])
        if name in self.sizes or name in self.base:
            return Contraction.scalar(name)
        if name in self.update_map.observables:
            found = self._polynomial(name)
            return Contraction.scalar(name) if found is None else found
        return _DEFINED[name](self) if name in _DEFINED else None

    def _polynomial(self, name: str) -> Contraction | None:
        """Return an observable as contractions; None for what is no polynomial."""
        total = Contraction.number(0)
        own = self.update_map.observables[name]
        # Products inside a trace stay as they are: expanded, they would become powers.
        table = {node: sp.Dummy() for node in own.atoms(sp.Trace, ElementSum)}
        meaning = {dummy: node for node, dummy in table.items()}
        for term in sp.Add.make_args(sp.expand(own.xreplace(table))):
            coefficient, nodes = sp.S.One, []
            for factor in sp.Mul.make_args(term):
                if factor in meaning:
                    nodes.append(meaning[factor])
                elif factor.has(TopEigenvalue, sp.MatrixSymbol):
                    return None
                else:
                    coefficient *= factor
            if len(nodes) != 1:
                return None
            value = self._summed(nodes[0])
            if value is None:
                return None
            total = total + self.algebra.product(self._scalars(coefficient), value)
        return total

    def _summed(self, node: Any) -> Contraction | None:
        """Return a trace, or a sum over entries of a function of at most second degree."""
        if isinstance(node, sp.Trace):
            try:
                return self.trace(self._translated(parse(node.args[0]), self._steps))
            except ModelError:
                return None
        inside = node.args[0]
        target = self._solved_target
        if not isinstance(inside, Elementwise) or target is None:
            return None
        function, _, _ = inside.args
        symbols = function.variables
        if not function.expr.is_polynomial(*symbols):
            return None
        own = sp.Poly(function.expr, *symbols)
        total = Contraction.number(0)
        for powers, c in own.terms():
            if sum(powers) != 2:
                return None
            factors = [self._output] * powers[0] + [target] * powers[1]
            square = self.matmul(self.transposed(factors[0]), factors[1])
            total = total + self.trace(square) * _fraction(c)
        return total

    def settled(self, value: Contraction) -> Contraction:
        """Return an expression with blocks that products of the frame after the step have made:
        U'.T*U' is n*G', and G' a function of the blocks before."""
        made = {a for a in _names(value) if a.endswith("'") and a[:-1] in self.blocks}
        if not made:
            return value
        return self.algebra.substituted(value, {a: self.updated[a[:-1]] for a in made}, {})

    def open_frame(self, value: Contraction) -> str:
        """Return a matrix of the frame after the step that stands in an expression, or nothing."""
        frame = self.update_map.frame.names
        return next((a for a in sorted(_names(value)) if a.endswith("'") and a[:-1] in frame), "")

    def trace(self, value: Contraction) -> Contraction:
        """Return the trace of a square matrix."""
        return self.algebra.traced(value, ROW, COLUMN) if ROW in value.sides else value

    def _kernel(self) -> Any:
        """Return the tangent kernel, normalised by 1/m, from its action on a matrix R."""
        node = self.update_map.observables.get("lam")
        if not isinstance(node, TopEigenvalue):
            return None
        try:
            action = self._translated(parse(node.args[0]), {})
        except ModelError:
            return None
        direction = node.args[1]
        single = _size(direction.shape[1]) == "1"
        ends = (COLUMN, "") if single else (THIRD, FOURTH)
        terms: dict[Monomial, Fraction] = {}
        for monomial, c in action.terms.items():
            parts = [p for part in monomial.parts for p in _split(part, direction.name, ends)]
            terms[Monomial(monomial.scalars, tuple(parts))] = c
        rows = _size(direction.shape[0])
        sides = {ROW: rows, COLUMN: rows if single else _size(direction.shape[1])}
        if not single:
            sides |= {THIRD: rows, FOURTH: sides[COLUMN]}
        # Renaming there and back puts every path into its normal direction.
        found = self.algebra.renamed(Contraction(terms, sides), {ROW: "<r>"})
        return Tensor(self.algebra.renamed(found, {"<r>": ROW}), tuple(sides))


def _names(value: Contraction) -> set[str]:
    return {a for m in value.terms for part in m.parts for a, _ in part.word}


def _is_nonnegative(observable: Any) -> bool:
    """Return whether an observable is seen to be nonnegative: an eigenvalue of a kernel, the
    cross-entropy of classes, a sum over entries of what is nonnegative."""
    if observable.has(TopEigenvalue, LogSumExp):
        return True
    functions = [node.args[0].expr for node in observable.atoms(Elementwise)]
    single = not observable.has(sp.Add) or not observable.is_Add
    return single and bool(functions) and all(e.is_nonnegative for e in functions)


def name_of(matrix: Any) -> str:
    """Return the name of a matrix, or of some columns of one: X[:, :3]."""
    return str(matrix) if isinstance(matrix, MatrixSlice) else str(matrix.name)


def _split(part: Path | Cycle, name: str, ends: tuple[str, str]) -> list[Path | Cycle]:
    """Take the matrix of a name out of a path, leaving two open ends in its place."""
    places = [i for i, (own, _) in enumerate(part.word) if own == name]
    if not places or isinstance(part, Cycle):
        return [part]
    (at,) = places
    row, column = ends if not part.word[at][1] else ends[::-1]
    pieces = [Path(part.left, part.word[:at], row), Path(column, part.word[at + 1 :], part.right)]
    return [p for p in pieces if p != Path("", (), "")]


def _tensor(value: Contraction | None) -> Tensor | None:
    if value is None:
        return None
    return Tensor(value, tuple(label for label in (ROW, COLUMN) if label in value.sides))


def _size(size: Any) -> str:
    return str(size)


def _atom(name: str, shape: Any, symmetric: bool) -> Atom:
    return Atom(name, _size(shape[0]), _size(shape[1]), symmetric)


def _fraction(number: Any) -> Fraction:
    own = sp.Rational(number)
    return Fraction(int(own.p), int(own.q))


_DEFINED: Mapping[str, Callable[[MatrixVocabulary], Any]] = MappingProxyType(
    {
        "Theta": lambda v: v._kernel(),
        "zeta": lambda v: v.transposed(v._steps["Z"]) if "Z" in v._gradients else None,
    }
)
