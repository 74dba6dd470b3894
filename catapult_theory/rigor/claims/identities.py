"""Equations: decided by exact expansion, with hypotheses, and by their order in 1/n."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp
from sympy.polys.rings import PolyElement

from catapult_theory.errors import ClaimError
from catapult_theory.rigor.claims.generators import Generators, ring_of, written_out
from catapult_theory.rigor.claims.inequalities import certificate
from catapult_theory.rigor.claims.orders import order_of
from catapult_theory.rigor.claims.problem import Branch, Facts
from catapult_theory.rigor.claims.quotient import Quotient, convert
from catapult_theory.rigor.claims.reading import Scaling
from catapult_theory.rigor.claims.tree import Relation


@dataclass(frozen=True)
class Difference:
    """An expression as a reduced quotient, with the way back to SymPy."""

    quotient: Quotient
    generators: Generators

    @classmethod
    def of(cls, expression: sp.Expr) -> Difference:
        """Expand an expression into a quotient of polynomials in symbols and generators.

        Raises
        ------
        ClaimError
            If it divides by an expression that is zero for every state.
        """
        generators, (lifted,) = Generators.of([expression])
        try:
            quotient = convert(lifted, ring_of([lifted], generators))
        except ZeroDivisionError as cause:
            raise ClaimError("the claim divides by an expression that is always zero") from cause
        return cls(generators.reduced(quotient), generators)

    @property
    def is_zero(self) -> bool:
        """Whether the numerator vanishes identically."""
        return not self.quotient.top

    def as_expr(self) -> sp.Expr:
        """Return the expression, factored where that is cheap."""
        if self.is_zero:
            return sp.S.Zero
        roots = {r: sp.sqrt(s) for s, r in self.generators.roots.items()}
        own = self.quotient.as_expr().xreplace(roots)
        return self.generators.unlifted(own)


def vanishes(expression: sp.Expr, facts: Facts) -> str | None:
    """Return how an expression is seen to vanish wherever the facts hold, or None.

    Parameters
    ----------
    expression : sympy.Expr
        In state variables and parameters.
    facts : Facts

    Returns
    -------
    str or None
    """
    reasons = [_on_branch(branch.at(expression), branch, facts) for branch in facts.branches]
    if any(reason is None for reason in reasons):
        return None
    return "; ".join(dict.fromkeys(r for r in reasons if r))


def _on_branch(expression: sp.Expr, branch: Branch, facts: Facts) -> str | None:
    difference = Difference.of(_with_known_signs(expression, facts))
    if difference.is_zero:
        return "expansion to zero over the rationals"
    equations = [Difference.of(c.expression) for c in branch.equations]
    if any(e.generators.squares for e in equations) or difference.generators.squares:
        return None
    return _in_ideal(difference, branch) if equations else None


def _in_ideal(difference: Difference, branch: Branch) -> str | None:
    """Reduce by equations that could not be solved for a symbol."""
    expressions = [difference.as_expr(), *(c.expression for c in branch.equations)]
    generators, lifted = Generators.of(expressions)
    ring = ring_of(lifted, generators)
    top, *others = (convert(e, ring).cancelled().top for e in lifted)
    if not _reduced(top, others):
        return "reduction to zero by the equations of the hypotheses"
    return None


def _reduced(top: PolyElement, others: Sequence[PolyElement]) -> PolyElement:
    return top.rem([o for o in others if o])


def _with_known_signs(expression: sp.Expr, facts: Facts) -> sp.Expr:
    """Replace absolute values whose inside has one sign in the domain."""
    expression = written_out(expression)
    table = {}
    for absolute in list(expression.atoms(sp.Abs))[:3]:
        inside = absolute.args[0]
        if certificate(inside, False, facts):
            table[absolute] = inside
        elif certificate(-inside, False, facts):
            table[absolute] = -inside
    return expression.xreplace(table)


def relative_order(
    relation: Relation, facts: Facts, branch: Branch, scaling: Scaling
) -> Fraction | None:
    """Return k such that the sides differ by O(n^-k) relative to their leading terms.

    Parameters
    ----------
    relation : Relation
        An equation that is not exact.
    facts : Facts
    branch : Branch
    scaling : Scaling

    Returns
    -------
    Fraction or None
        Zero or less if the equation is false at leading order; None if the orders could not
        be read off.
    """
    vocabulary = facts.vocabulary
    difference = order_of(
        branch.at(vocabulary.resolved(relation.left) - vocabulary.resolved(relation.right)), scaling
    )
    if difference is None:
        return None
    orders = []
    for side in (relation.left, relation.right):
        for term in sp.Add.make_args(side):
            value = branch.at(vocabulary.resolved(term))
            if Difference.of(value).is_zero:
                continue
            orders.append(order_of(value, scaling))
    if not orders or any(o is None for o in orders):
        return None
    return max(o for o in orders if o is not None) - difference
