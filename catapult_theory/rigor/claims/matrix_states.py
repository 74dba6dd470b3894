"""States of matrix models as exact numbers, and the values that expressions have there.

Where the loss or an eigenvalue is irrational, everything is computed to sixty digits.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from catapult_theory.rigor.claims.contractions import CUT, Contraction, Cycle, Path
from catapult_theory.rigor.claims.matrix_hypotheses import fitted
from catapult_theory.rigor.claims.matrix_tree import ONES, SYMPY_FUNCTIONS, Function, Value
from catapult_theory.rigor.claims.matrix_vocabulary import MatrixVocabulary
from catapult_theory.rigor.claims.points import DIGITS, Irrational, Undefined, exact, precise
from catapult_theory.symbolic.matrix_nodes import (
    ElementSum,
    Elementwise,
    LogSumExp,
    Softmax,
    TopEigenvalue,
)

_NOISE = mpmath.mpf(10) ** -36
_INSIDE = sp.Symbol("x", real=True)


@dataclass(frozen=True)
class State:
    """One network in numbers.

    Parameters
    ----------
    vocabulary : MatrixVocabulary
    sizes : mapping
        From m, d, k and n to whole numbers.
    scalars : mapping
        Parameters: fractions, or numbers of sixty digits where hypotheses make them irrational.
    matrices : mapping
        From names of frame matrices, data and blocks to arrays of fractions.
    is_exact : bool
        Whether all values are rational; else they have sixty digits.
    """

    vocabulary: MatrixVocabulary
    sizes: Mapping[str, int]
    scalars: Mapping[str, Any]
    matrices: Mapping[str, np.ndarray]
    is_exact: bool = True
    _found: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def matrix(self, name: str) -> np.ndarray:
        """Return a matrix by name, the output gradient and values after the step included."""
        if name not in self._found:
            self._found[name] = self._matrix(name)
        return self._found[name]

    def _matrix(self, name: str) -> np.ndarray:
        if name in self.matrices:
            return self._numbers(self.matrices[name])
        if name.startswith(ONES):
            return self._numbers(np.full((1, self._size(name[len(ONES) :])), Fraction(1)))
        if name in self.vocabulary.slices:
            part = self.vocabulary.slices[name]
            rows, columns = (slice(*map(self._end, ends)) for ends in part.args[1:])
            return self.matrix(part.parent.name)[rows, columns]
        now = name.rstrip("'")
        if now == "g":
            output = self.vocabulary.output_after if name.endswith("'") else None
            return self.slope(output or self.vocabulary.value("f"))
        atom = self.vocabulary.atoms[now]
        return self.oriented(self.vocabulary.updated[now], atom)

    def _end(self, size: Any) -> int:
        return int(size.subs({s: self.sizes[s.name] for s in size.free_symbols}))

    def updated(self, name: str) -> np.ndarray:
        """Return a block after the step."""
        return self.matrix(f"{name}'")

    def sides(self, left: Value, right: Value) -> tuple[np.ndarray, np.ndarray]:
        """Return two values as arrays of one shape."""
        first, second = (fitted(a, b) for a, b in ((left, right), (right, left)))
        return np.asarray(self.quotient(first)), np.asarray(self.quotient(second))

    def oriented(self, value: Contraction, atom: Any) -> np.ndarray:
        """Return an expression as a matrix with the sides of an atom."""
        array = self.evaluated(value)  # its axes are sorted by label: columns before rows
        turned = array.T if array.ndim == 2 else array
        return turned.reshape(self._size(atom.rows), self._size(atom.columns))

    def _numbers(self, array: np.ndarray) -> np.ndarray:
        return array if self.is_exact else _mpf(array)

    def _size(self, size: str) -> int:
        return int(size) if size.isdigit() else self.sizes[size]

    def slope(self, output: Contraction) -> np.ndarray:
        """Return the output gradient at given outputs, from the loss's own derivative."""
        _, expression = self.vocabulary.definition("g")
        values = {"f": self.oriented(output, self.vocabulary.atoms["g"]), "Y": self.target}
        return _entries(expression, values)

    def evaluated(self, value: Contraction) -> np.ndarray:
        """Return an expression as an array whose axes are its open ends in sorted order."""
        labels = sorted(value.sides)
        total = np.full([self._size(value.sides[x]) for x in labels], self.number(0))
        for monomial, c in value.terms.items():
            factor = self.number(c)
            for name, power in monomial.scalars:
                factor = factor * self._power(name, power)
            axes: list[str] = []
            array = np.array(factor, dtype=object)
            for part in monomial.parts:
                own, ends = self._part(part, value.sides)
                array = np.multiply.outer(array, own)
                axes += ends
            total = total + np.transpose(array, [axes.index(x) for x in labels])
        return np.asarray(total, dtype=object)

    def number(self, value: Any) -> Any:
        """Return a fraction, or the same to sixty digits."""
        if isinstance(value, mpmath.mpf):
            return value
        own = Fraction(value)
        return own if self.is_exact else mpmath.mpf(own.numerator) / own.denominator

    def _part(self, part: Path | Cycle, sides: Mapping[str, str]) -> tuple[Any, list[str]]:
        key = part if isinstance(part, Cycle) else part.word
        if key not in self._found and part.word:
            product = None
            for name, flip in part.word:
                own = self.matrix(name).T if flip else self.matrix(name)
                product = own if product is None else product @ own
            self._found[key] = product
        if isinstance(part, Cycle):
            return np.array(np.trace(self._found[key]), dtype=object), []
        if not part.word:
            size = self._size(sides[part.left])
            one = np.full((size, size), self.number(0))
            one[range(size), range(size)] = self.number(1)
            return one, [part.left, part.right]
        array = self._found[key]
        at = tuple(slice(None) if end != CUT else 0 for end in (part.left, part.right))
        return array[at], [end for end in (part.left, part.right) if end != CUT]

    def _power(self, name: Any, power: Fraction) -> Any:
        base = self.scalar(name)
        if isinstance(base, Fraction):
            return _rational(_INSIDE ** sp.Rational(power.numerator, power.denominator), base)
        if base == 0 and power < 0:
            raise Undefined("division by zero")
        if power.denominator == 1:
            return base**power.numerator
        return mpmath.power(base, mpmath.mpf(power.numerator) / power.denominator)

    def scalar(self, name: Any) -> Any:
        """Return a parameter, a size, an observable or a function of them."""
        if name not in self._found:
            self._found[name] = self._scalar(name)
        return self._found[name]

    def _scalar(self, name: Any) -> Any:
        if isinstance(name, Function):
            return self._function(name)
        if name in self.scalars:
            return self.number(self.scalars[name])
        if name in self.sizes:
            return self.number(self.sizes[name])
        return self._observable(name)

    def _function(self, function: Function) -> Any:
        inside = self._inside(function)
        if self.is_exact:
            return _exact_value(function.name, inside)
        if function.name == "abs":
            return abs(inside)
        own = inside if not isinstance(inside, Fraction) else _as_mpf(inside)
        if (function.name == "sqrt" and own < 0) or (function.name == "log" and own <= 0):
            raise Undefined(function.name)
        return getattr(mpmath, function.name)(own)

    def _inside(self, function: Function) -> Any:
        """Return what stands inside a function, exactly where it is rational: of a root of what
        cancels half the digits would be lost."""
        parts = (function.top, function.bottom)
        scalars = {s for part in parts for m in part.terms for s, _ in m.scalars}
        own = self.exact if self.is_rational and scalars <= {*self.scalars, *self.sizes} else self
        top, bottom = (own.evaluated(part).item() for part in parts)
        if bottom == 0:
            raise Undefined("division by zero")
        return top / bottom

    def _observable(self, name: str) -> Any:
        if self.is_exact:
            raise Undefined("a loss or an eigenvalue is not rational")
        after = name.endswith("'")
        expression = self.vocabulary.update_map.observables[name.rstrip("'")]
        table = {}
        for node in expression.atoms(ElementSum, sp.Trace, TopEigenvalue):
            table[node] = sp.Dummy(real=True)
        point = {dummy: self._node(node, after) for node, dummy in table.items()}
        reduced = expression.xreplace(table)
        for s in reduced.free_symbols - set(point):
            point[s] = _as_mpf(self.scalar(s.name))
        return precise(reduced, point)

    def _node(self, node: Any, after: bool) -> mpmath.mpf:
        if isinstance(node, TopEigenvalue):
            return self._top_eigenvalue(after)
        output = self.vocabulary.output_after if after else self.vocabulary.value("f")
        values = {"f": self.oriented(output, self.vocabulary.atoms["g"]), "Y": self.target}
        entries = _entries(node.args[0], values)
        own = np.diagonal(entries) if isinstance(node, sp.Trace) else entries.ravel()
        return mpmath.fsum(_as_mpf(x) for x in own)

    @cached_property
    def target(self) -> np.ndarray:
        """The targets Y."""
        if "Y" in self.matrices:
            return self.matrix("Y")
        return self.oriented(self.vocabulary.value("Y"), self.vocabulary.atoms["g"])

    def _top_eigenvalue(self, after: bool) -> mpmath.mpf:
        names = self.vocabulary
        found = names.tensor_after("Theta") if after else names.tensor("Theta")
        if found is None:
            raise Undefined("no kernel")
        labels = sorted(found.value.sides)
        array = self.evaluated(found.value)
        array = np.transpose(array, [labels.index(s) for s in found.slots])
        size = int(np.prod(array.shape[: len(array.shape) // 2]))
        with mpmath.workdps(DIGITS):
            matrix = mpmath.matrix(_mpf(array.reshape(size, size)).tolist())
            return max(mpmath.eigsy(matrix, eigvals_only=True))

    @property
    def is_rational(self) -> bool:
        """Whether all matrices and parameters are rational, the output gradient included."""
        rational = all(isinstance(x, Fraction) for x in self.scalars.values())
        return rational and self.vocabulary.solves_target

    @cached_property
    def exact(self) -> State:
        """The same network in rational numbers, for what is rational."""
        return replace(self, is_exact=True, _found={})

    def quotient(self, value: Value) -> Any:
        """Return a value as an array of numbers."""
        bottom = self.evaluated(value.bottom).item()
        if bottom == 0:
            raise Undefined("division by zero")
        return self.evaluated(value.top) / bottom


def _as_mpf(number: Any) -> mpmath.mpf:
    if isinstance(number, Fraction):
        return mpmath.mpf(number.numerator) / number.denominator
    return mpmath.mpf(number)


def _mpf(array: np.ndarray) -> np.ndarray:
    return np.array([_as_mpf(x) for x in array.ravel()], dtype=object).reshape(array.shape)


def _entries(expression: Any, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return a matrix expression of outputs and targets in numbers."""
    if isinstance(expression, sp.MatrixSymbol):
        if expression.name not in values:
            raise Undefined(f"no numbers for {expression}")
        return values[expression.name]
    if isinstance(expression, sp.Transpose):
        return _entries(expression.args[0], values).T
    if isinstance(expression, Elementwise):
        function, *places = expression.args
        arrays = [_entries(p, values) for p in places]
        out = [
            precise(function.expr, dict(zip(function.variables, map(_as_mpf, pair), strict=True)))
            for pair in zip(*(a.ravel() for a in arrays), strict=True)
        ]
        return np.array(out, dtype=object).reshape(arrays[0].shape)
    if isinstance(expression, Softmax):
        rows = [
            [mpmath.exp(_as_mpf(x)) for x in row] for row in _entries(expression.args[0], values)
        ]
        return np.array([[x / mpmath.fsum(row) for x in row] for row in rows], dtype=object)
    if isinstance(expression, LogSumExp):
        outputs = _entries(expression.args[0], values)
        sums = [mpmath.fsum(mpmath.exp(_as_mpf(x)) for x in row) for row in outputs]
        return np.array([[mpmath.log(x)] for x in sums], dtype=object)
    if isinstance(expression, sp.MatAdd):
        first, *rest = (_entries(a, values) for a in expression.args)
        for other in rest:
            first = first + other
        return first
    if isinstance(expression, sp.MatMul):
        number, factors = expression.as_coeff_matrices()
        if number.is_Rational:
            product = functools.reduce(np.matmul, (_entries(x, values) for x in factors))
            return product * int(number.p) / int(number.q)
    raise Undefined(f"no numbers for {type(expression).__name__}")


def _exact_value(function: str, inside: Fraction) -> Fraction:
    """Return a function's value where it is rational."""
    symbolic = SYMPY_FUNCTIONS[function](_INSIDE)
    return _rational(symbolic, inside)


def _rational(expression: sp.Expr, inside: Fraction) -> Fraction:
    try:
        return exact(expression, {_INSIDE: inside})
    except Irrational as cause:
        raise Undefined("the value is not rational") from cause


def sign_of(number: Any, scale: Any) -> int | None:
    """Return the sign of a number; None where sixty digits do not tell it from zero."""
    if isinstance(number, Fraction):
        return (number > 0) - (number < 0)
    if abs(number) <= _NOISE * max(1, abs(_as_mpf(scale))):
        return None
    return 1 if number > 0 else -1
