"""Coordinates of a closed set of functionals: f and lam where they are linear, then the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from catapult_theory.symbolic.gram import GramMatrix, Row, independent
from catapult_theory.symbolic.symbols import f, lam, symbol


@dataclass(frozen=True)
class Coordinates:
    """State symbols and how the Gram matrix is expressed through them.

    Parameters
    ----------
    definitions : mapping
        Each state symbol as an affine function of the entries of Gamma.
    basis : tuple of rows
        The space of functionals that the coordinates span.
    elimination : mapping
        Entries of Gamma in state symbols and in the entries that are left free.
    """

    definitions: Mapping[Any, sp.Expr]
    basis: tuple[Row, ...]
    elimination: Mapping[sp.Symbol, sp.Expr]
    entries: tuple[sp.Symbol, ...]

    def express(self, expression: sp.Expr) -> sp.Expr:
        """Return an expression of Gamma in the state, expanded so that free entries cancel."""
        for s, definition in self.definitions.items():
            if sp.expand(expression - definition) == 0:
                return s
        replaced = expression.xreplace(dict(self.elimination))
        if replaced.free_symbols & set(self.entries):
            return sp.expand(replaced)
        return replaced

    def closed(self, expression: sp.Expr) -> bool:
        """Whether an expressed quantity is a function of the state alone."""
        return not expression.free_symbols & set(self.entries)


def choose_coordinates(
    gram: GramMatrix,
    basis: Sequence[Row],
    output: sp.Expr,
    kernel: sp.Expr,
    extra: Mapping[str, sp.Expr],
) -> Coordinates:
    """Return coordinates of the space spanned by the basis, f and lam first.

    Parameters
    ----------
    gram : GramMatrix
    basis : sequence of rows
        An invariant space of functionals.
    output, kernel : sympy.Expr
        f and lam in the entries of Gamma; used as coordinates where they are affine.
    extra : mapping
        Further named functions, used as coordinates where they are affine.

    Returns
    -------
    Coordinates

    Examples
    --------
    >>> g = GramMatrix(("u", "v"))
    >>> uu, uv, vv = g.entries
    >>> c = choose_coordinates(g, [(0, 1, 0), (1, 0, 1)], 3 * uv, uu + vv, {})
    >>> c.express(uu + 5 * uv + vv)
    5*f/3 + lam
    """
    definitions: dict[Any, sp.Expr] = {}
    chosen: list[Row] = []
    wishes = {f: output, lam: kernel, **{symbol(k): e for k, e in extra.items()}}
    for s, function in wishes.items():
        row = affine_row(gram, function)
        if row is not None and _spans(basis, row) and not _spans(chosen, row):
            definitions[s] = sp.expand(function)
            chosen.append(row)
    count = 0
    for row in basis:
        if _spans(chosen, row):
            continue
        single = [i for i, c in enumerate(row) if c != 0]
        if len(single) == 1:
            s = _entry_symbol(gram.entries[single[0]], gram)
        else:
            count += 1
            s = sp.Symbol(f"x{count}", real=True)
        definitions[s] = gram.expression(row)
        chosen.append(row)
    return Coordinates(definitions, tuple(basis), _eliminate(gram, definitions), gram.entries)


def affine_row(gram: GramMatrix, function: sp.Expr) -> Row | None:
    """Return the rational direction of an affine function of the entries, or None."""
    slopes = [sp.expand(sp.diff(function, e)) for e in gram.entries]
    if any(s.free_symbols & set(gram.entries) for s in slopes):
        return None
    scale = next((s for s in slopes if s != 0), None)
    if scale is None:
        return None
    row = tuple(sp.simplify(s / scale) for s in slopes)
    return row if all(c.is_Rational for c in row) else None


def _entry_symbol(entry: sp.Symbol, gram: GramMatrix) -> sp.Symbol:
    """Return the state symbol of a single entry: Gamma_u_v is followed as u_v."""
    diagonal = entry in [gram.matrix[i, i] for i in range(len(gram.names))]
    name = entry.name.removeprefix("Gamma_")
    return sp.Symbol(name, nonnegative=True) if diagonal else sp.Symbol(name, real=True)


def _spans(rows: Sequence[Row], row: Row) -> bool:
    return len(independent([*rows, row])) == len(independent(rows))


def _eliminate(gram: GramMatrix, definitions: Mapping[Any, sp.Expr]) -> dict[sp.Symbol, sp.Expr]:
    """Solve the definitions for as many entries of Gamma as there are state symbols."""
    equations = [sp.expand(e) - s for s, e in definitions.items()]
    slopes = sp.Matrix([[sp.diff(e, x) for x in gram.entries] for e in equations])
    _, pivots = slopes.rref()
    unknowns = [gram.entries[i] for i in pivots]
    (solution,) = sp.linsolve(equations, unknowns)
    return dict(zip(unknowns, solution, strict=True))
