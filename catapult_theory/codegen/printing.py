"""Expressions as Python text, for scalars and for matrices, without SymPy in the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr
from sympy.matrices.expressions.slice import MatrixSlice

from catapult_theory.errors import ModelError
from catapult_theory.symbolic import matrix_nodes as nodes

# Sizes that stand for unknown ones when a product is put into its cheapest order.
TYPICAL_SIZES = {"k": 3, "d": 100, "m": 1000}
LARGEST_POWER = 16
_CALLS = ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "log", "sign")


@dataclass(frozen=True)
class Printer:
    """Python text of expressions.

    Parameters
    ----------
    namespace : str
        Where ``exp`` and the like come from: ``np`` or ``xp``.
    maximum, minimum : str
        Functions of two arguments.
    transpose : str
        A format for the transpose of a matrix.
    rows, cols : str
        Functions that stack a tuple of matrices below and beside each other.
    """

    namespace: str
    maximum: str
    minimum: str
    transpose: str = "{}.T"
    rows: str = "np.vstack"
    cols: str = "np.hstack"

    def scalar(self, e: Any) -> str:
        """Return a scalar expression as text that is safe inside any operator."""
        if isinstance(e, sp.Symbol):
            return str(e.name)
        if isinstance(e, (sp.Integer, sp.Float)):
            return f"({float(e)!r})" if e < 0 else repr(float(e))
        if isinstance(e, sp.Rational):
            return f"({float(e.p)!r} / {float(e.q)!r})"
        if isinstance(e, sp.NumberSymbol):
            return repr(float(e))
        if isinstance(e, sp.Add):
            return f"({self._sum(e)})"
        if isinstance(e, sp.Mul):
            return f"({self._product(e)})"
        if isinstance(e, (sp.Pow, sp.exp)):
            return self._power(e)
        return self._function(e)

    def _sum(self, e: sp.Add) -> str:
        text = ""
        for term in sorted(e.args, key=lambda t: bool(t.could_extract_minus_sign())):
            if term.could_extract_minus_sign() and text:
                text += f" - {self.scalar(-term)}"
            else:
                text += f" + {self.scalar(term)}" if text else self.scalar(term)
        return text

    def _product(self, e: sp.Mul) -> str:
        top, bottom, sign = [], [], ""
        for factor in e.args:
            base, power = factor.as_base_exp()
            if factor == -1:
                sign = "-"
            elif power.is_number and power.is_negative and base is not sp.E:
                bottom.append(sp.Pow(base, -power))
            else:
                top.append(factor)
        text = sign + (" * ".join(self.scalar(x) for x in top) or "1.0")
        return text + "".join(f" / {self.scalar(x)}" for x in bottom)

    def _power(self, e: Any) -> str:
        base, power = e.as_base_exp()
        if base is sp.E or isinstance(e, sp.exp):
            return f"{self.namespace}.exp({self.scalar(e.exp)})"
        if power.is_negative:
            return f"(1.0 / {self.scalar(sp.Pow(base, -power))})"
        if power.is_Integer and power <= LARGEST_POWER:
            return "(" + " * ".join([self.scalar(base)] * int(power)) + ")"
        root = f"{self.namespace}.sqrt({self.scalar(base)})"
        if power == sp.S.Half:
            return root
        if (2 * power).is_Integer and power <= LARGEST_POWER:
            return "(" + " * ".join([*[self.scalar(base)] * int(power), root]) + ")"
        return f"{self.scalar(base)} ** {self.scalar(power)}"

    def _function(self, e: Any) -> str:
        name = type(e).__name__
        if isinstance(e, sp.log) and (inner := _softplus_argument(e.args[0])) is not None:
            return f"softplus({self.scalar(inner)})"
        if name in _CALLS:
            return f"{self.namespace}.{name}({self.scalar(e.args[0])})"
        if isinstance(e, sp.Abs):
            return f"abs({self.scalar(e.args[0])})"
        if isinstance(e, (sp.Max, sp.Min)):
            call = self.maximum if isinstance(e, sp.Max) else self.minimum
            first, *rest = (self.scalar(a) for a in sorted(e.args, key=sp.default_sort_key))
            for other in rest:
                first = f"{call}({first}, {other})"
            return first
        if isinstance(e, sp.Trace):
            return self._trace(e.args[0])
        if isinstance(e, nodes.ElementSum):
            return f"total({self.matrix(e.args[0])})"
        raise ModelError(f"no code is known for {name} in {e}: write the loss without it")

    def _trace(self, inner: Any) -> str:
        if isinstance(inner, sp.MatMul):
            coefficient, factors = inner.as_coeff_matrices()
            if len(factors) > 1:
                left = self.matrix(sp.MatMul(*factors[:-1]))
                right = self.transpose.format(self.matrix(factors[-1]))
                text = f"total({left} * {right})"
                return text if coefficient == 1 else f"{self.scalar(coefficient)} * {text}"
        return f"trace({self.matrix(inner)})"

    def matrix(self, e: Any) -> str:
        """Return a matrix expression as text that is safe inside any operator."""
        if isinstance(e, sp.MatrixSymbol):
            return str(e.name)
        if isinstance(e, sp.Transpose):
            return self.transpose.format(self.matrix(e.arg))
        if isinstance(e, sp.MatAdd):
            return self._matrix_sum(e)
        if isinstance(e, sp.MatMul):
            return self._matrix_product(e)
        if isinstance(e, nodes.Elementwise):
            return self._elementwise(e)
        if isinstance(e, nodes.Softmax):
            return f"softmax({self.matrix(e.args[0])})"
        if isinstance(e, nodes.LogSumExp):
            return f"logsumexp({self.matrix(e.args[0])})"
        if isinstance(e, MatrixSlice):
            return self._slice(e)
        if isinstance(e, sp.BlockMatrix):
            rows, cols = e.blocks.shape
            lines = [
                f"{self.cols}(({', '.join(self.matrix(e.blocks[i, j]) for j in range(cols))},))"
                for i in range(rows)
            ]
            return f"{self.rows}(({', '.join(lines)},))"
        raise ModelError(f"no code is known for the matrix {e}")

    def _slice(self, e: Any) -> str:
        parts = [f"{self._size(a)}:{self._size(b)}" for a, b, _ in (e.rowslice, e.colslice)]
        return f"part({self.matrix(e.parent)}[..., {', '.join(parts)}])"

    def _size(self, e: Any) -> str:
        return str(e)

    def _matrix_sum(self, e: Any) -> str:
        text = ""
        for term in e.args:
            negative = isinstance(term, sp.MatMul) and term.args[0].could_extract_minus_sign()
            if negative and text:
                text += f" - {self.matrix(sp.MatMul(-term.args[0], *term.args[1:]))}"
            else:
                text += (" + " if text else "") + self.matrix(term)
        return f"({text})"

    def _matrix_product(self, e: Any) -> str:
        coefficient, factors = e.as_coeff_matrices()
        text = self._chain(list(factors))
        if coefficient == 1:
            return text
        return f"(-{text})" if coefficient == -1 else f"({self.scalar(coefficient)} * {text})"

    def _chain(self, factors: list[Any]) -> str:
        """Multiply in the order with the fewest operations for typical sizes."""
        sizes = [_typical(f.shape[0]) for f in factors] + [_typical(factors[-1].shape[1])]
        best: dict[tuple[int, int], tuple[int, str]] = {
            (i, i + 1): (0, self.matrix(f)) for i, f in enumerate(factors)
        }
        for length in range(2, len(factors) + 1):
            for i in range(len(factors) - length + 1):
                j = i + length
                best[i, j] = min(
                    (
                        best[i, s][0] + best[s, j][0] + sizes[i] * sizes[s] * sizes[j],
                        f"({best[i, s][1]} @ {best[s, j][1]})",
                    )
                    for s in range(i + 1, j)
                )
        return best[0, len(factors)][1]

    def _elementwise(self, e: Any) -> str:
        function, *arguments = e.args
        table = {
            v: sp.Symbol(self.matrix(a), real=True)
            for v, a in zip(function.variables, arguments, strict=True)
        }
        return self.scalar(function.expr.xreplace(table))


def _typical(size: Any) -> int:
    table = {s: TYPICAL_SIZES.get(s.name, 30) for s in sp.sympify(size).free_symbols}
    return max(1, int(sp.sympify(size).subs(table)))


def _softplus_argument(e: Any) -> Any:
    """Return z where e is 1 + exp(z)."""
    rest = sp.expand(e - 1) if isinstance(e, sp.Add) else None
    return rest.args[0] if isinstance(rest, sp.exp) else None


def is_matrix(e: Any) -> bool:
    """Whether an expression is a matrix."""
    return isinstance(e, MatrixExpr)
