"""What a map does in the long run, in closed form: fixed points, stability, invariants, cycles.

One object gathers what the rooms `fixed_points`, `invariants`, `monotone` and `line_maps` find. All
of it is exact algebra on the derived map; nothing is known here about a particular model.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy as sp

from catapult_theory.errors import InputError
from catapult_theory.symbolic.fixed_points import (
    MULTIPLIER,
    FixedFamily,
    fixed_points,
    is_polynomial,
    is_searched_whole,
    open_equations,
    positive_groups,
)
from catapult_theory.symbolic.invariants import (
    Conserved,
    InvariantFactor,
    conserved_quantities,
    has_functions,
    invariant_factors,
    is_searched,
)
from catapult_theory.symbolic.line_maps import LineMap, line_maps
from catapult_theory.symbolic.monotone import Monotone, monotone_quantities
from catapult_theory.symbolic.scaling import DimensionlessMap, signed_dimensionless
from catapult_theory.symbolic.stability import Stability, jury_conditions, stability_of
from catapult_theory.symbolic.update_map import UpdateMap, tex


@dataclass(frozen=True)
class Analysis:
    """The long-run behaviour of a scalar map; made by `analyse`.

    Parameters
    ----------
    update_map : UpdateMap
    small : DimensionlessMap
        The map in its dimensionless groups, in which most of what follows is written.
    fixed : tuple of FixedFamily
        Fixed points with their stability, minima first.
    factors : tuple of InvariantFactor
        Lines that the dynamics cannot leave.
    across : tuple of Stability or None
        For each factor but the sides of the domain and the edge, when a step shrinks
        perturbations across its line.
    conserved : tuple of Conserved
    monotone : tuple of Monotone
    lines : tuple of LineMap
        The maps of one variable on the lines, with their 2-cycles.
    notes : tuple of str
        What was not searched, and why.
    """

    update_map: UpdateMap
    small: DimensionlessMap
    fixed: tuple[FixedFamily, ...]
    factors: tuple[InvariantFactor, ...]
    across: tuple[Stability | None, ...]
    conserved: tuple[Conserved, ...]
    monotone: tuple[Monotone, ...]
    lines: tuple[LineMap, ...]
    notes: tuple[str, ...]

    @property
    def minima(self) -> tuple[FixedFamily, ...]:
        """The fixed points at which the loss is stationary and that can be stable."""
        kinds = ("zero loss", "stationary")
        return tuple(x for x in self.fixed if x.kind in kinds and x.stability.verdict != "unstable")

    @property
    def threshold(self) -> sp.Expr | None:
        """The learning rate at which the first family of minima loses its stability."""
        found = (x.stability.threshold for x in self.minima)
        return next((e for e in found if e is not None), None)

    @property
    def balanced(self) -> LineMap | None:
        """The map on a side of the domain that holds a minimum: u = v for the uv-model."""
        sides = [line for line in self.lines if line.factor.kind == "domain"]
        return sides[-1] if sides else None

    def __str__(self) -> str:
        parts = [f"{self.update_map.model}, {self.update_map.loss} loss, "
                 f"{self.update_map.optimizer}", str(self.small)]  # fmt: skip
        across = [
            str(w) if s is None else f"{w}; across it {s}"
            for w, s in zip(self.factors, self.across, strict=True)
        ]
        for title, found in (
            ("Fixed points", self.fixed),
            ("Invariant lines", across),
            ("Conserved or rescaled", self.conserved),
            ("Monotone", self.monotone),
            ("On the invariant lines", self.lines),
            ("Not searched", self.notes),
        ):
            if found:
                parts.append("\n  ".join([f"{title}:", *_indented(found)]))
        return "\n\n".join(parts)

    def latex(self) -> str:
        """Return fixed points, thresholds, invariants and 2-cycles as LaTeX itemizations.

        Returns
        -------
        str

        Examples
        --------
        >>> from catapult_theory.symbolic import models
        >>> from catapult_theory.symbolic.closure import derive
        >>> r"\\eta < \\frac{2}{\\lambda}" in analyse(derive(models.uv())).latex()
        True
        """
        rows = [_fixed_tex(family) for family in self.fixed]
        rows += [
            f"$w = {tex(w.expression)},\\quad w_{{t+1}} = \\left({tex(w.multiplier)}\\right) w$"
            for w in self.factors
        ]
        rows += [
            f"${tex(c.symbol)}_{{t+1}} = \\left({tex(c.multiplier)}\\right) {tex(c.symbol)}$"
            for c in self.conserved
        ]
        rows += [_line_tex(line) for line in self.lines]
        items = "\n".join(rf"\item {row}" for row in rows)
        return "\\begin{itemize}\n" + items + "\n\\end{itemize}"

    def _repr_latex_(self) -> str:
        return self.latex()


@lru_cache(maxsize=64)
def analyse(update_map: UpdateMap) -> Analysis:
    """Return fixed points, stability thresholds, invariants and cycles of a map, in closed form.

    Fixed points T(x) = x are split into families over the factors of the equations. Along a
    family the Jacobian has multipliers 1; those across it lie inside the unit circle if and only
    if Jury's conditions hold, which are solved for the learning rate: 2 / lam for gradient
    descent, 2 (1 + beta) / lam for heavy ball (theory, section 4). On an invariant line a map of
    two variables is one of one, whose 2-cycles are solved.

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one.

    Returns
    -------
    Analysis

    Raises
    ------
    InputError
        For matrix maps.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> from catapult_theory.symbolic.closure import derive
    >>> analyse(derive(models.uv())).threshold
    2/lam
    """
    if update_map.is_matrix:
        raise InputError(
            "analyse() is for scalar maps; phase_bounds() has the linear threshold of a matrix map"
        )
    small = signed_dimensionless(update_map)
    factors = invariant_factors(update_map)
    return Analysis(
        update_map=update_map,
        small=small,
        fixed=fixed_points(update_map),
        factors=factors,
        across=tuple(_across(small, factor) for factor in factors),
        conserved=conserved_quantities(update_map),
        monotone=monotone_quantities(update_map),
        lines=line_maps(update_map),
        notes=_notes(update_map, small),
    )


def _across(small: DimensionlessMap, factor: InvariantFactor) -> Stability | None:
    """Return when the multiplier of a factor, on its line, is inside (-1, 1)."""
    if factor.kind in ("domain", "edge"):
        return None
    s = next(s for s in reversed(small.variables) if s in factor.expression.free_symbols)
    (root,) = sp.solve(factor.expression, s)
    multiplier = sp.factor(sp.cancel(factor.multiplier.subs(s, root)))
    conditions = jury_conditions(MULTIPLIER - multiplier, MULTIPLIER)
    return stability_of(conditions, small.groups, positive_groups(small))


def _notes(update_map: UpdateMap, small: DimensionlessMap) -> tuple[str, ...]:
    notes = []
    if not is_polynomial(small):
        which = "fixed points" + (" off the minima" if fixed_points(update_map) else "")
        notes.append(f"{which}: the map is not polynomial in its state")
    elif not is_searched_whole(small):
        notes.append("fixed points with velocities in motion: the step is too long to solve")
    if open_equations(update_map):
        notes.append("fixed points that are roots of polynomials without closed form")
    if not is_searched(update_map):
        notes.append("invariant lines: the map has more than three state variables")
    elif has_functions(small):
        notes.append("invariant lines that hold only for the values of a function of the state")
    if is_searched(update_map) and len(small.variables) != 2:
        notes.append("maps on invariant lines: the map has not two state variables")
    return tuple(notes)


def _indented(found: Any) -> list[str]:
    return [str(x).replace("\n", "\n  ") for x in found]


def _fixed_tex(family: FixedFamily) -> str:
    at = ",\\ ".join(f"{tex(s)} = {tex(e)}" for s, e in family.physical.items())
    stability = family.stability
    if stability.threshold is not None and stability.threshold != sp.oo:
        return rf"{family.kind}: ${at}$, stable for $\eta < {tex(stability.threshold)}$"
    if stability.verdict == "by conditions":
        conditions = ",\\ ".join(f"{tex(c)} > 0" for c in stability.conditions)
        return f"{family.kind}: ${at}$, stable where ${conditions}$"
    return f"{family.kind}: ${at}$, {stability}"


def _line_tex(line: LineMap) -> str:
    x = tex(line.variable)
    head = rf"on ${tex(line.factor.expression)} = 0$: ${x}_{{t+1}} = {tex(line.image)}$"
    cycles = [rf"2-cycle of ${tex(one.polynomial)} = 0$, multiplier ${tex(one.multiplier)}$"
              for one in line.cycles]  # fmt: skip
    return "; ".join([head, *cycles])
