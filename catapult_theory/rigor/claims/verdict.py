"""The verdict on a claim: what was decided, how, and a number to check it by hand."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy as sp

from catapult_theory.rigor.claims.counterexample import Counterexample

STATUSES = ("holds", "holds-asymptotically", "holds-under-hypotheses", "fails", "not-checked")
# The hint of a verdict that rests on hypotheses which nothing is known to meet.
UNMET = (
    "no state was found that meets the domain and the hypotheses, so that nothing is said by them"
)


@dataclass(frozen=True)
class Verdict:
    """The judgement of one claim about one step of training.

    Parameters
    ----------
    claim : str
        As it was written.
    status : str
        "holds": exact at every width, for every state in the map's domain.
        "holds-under-hypotheses": the same where the hypotheses hold, which are needed.
        "holds-asymptotically": an equation that is not exact, but whose difference vanishes
        beside its leading terms as n grows, under the stated scaling.
        "fails": false, with a counterexample.
        "not-checked": neither proved nor refuted; the hint says why.
    difference : sympy.Expr
        For an equation, what is claimed minus what is true, factored: without the hypotheses
        where the claim holds under them, else with them. For an inequality, the margin,
        which is nonnegative where it holds.
    counterexample : Counterexample or None
        A state in exact numbers at which the claim is false.
    hypotheses : tuple of str
        Those of the given hypotheses that the verdict rests on.
    order : int, Fraction or None
        For an asymptotic verdict, k such that the error is O(n^-k) relative to the leading
        terms of the equation.
    scaling : str
        How state and parameters grow with n, in words; it matters to equations alone.
    hint : str
        What is true instead, or why nothing was decided.
    certificate : str
        For what holds, the method that decided it.
    kind : str
        "equation" or "inequality".
    mended : str
        For an equation that is not exact, the nearest one that is, if a small change of it is.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> verdict = ct.verify("f' = f*(1 - eta*lam)", ct.models.uv())
    >>> verdict.status, verdict.order, bool(verdict)
    ('holds-asymptotically', 1, False)
    """

    claim: str
    status: str
    difference: sp.Expr
    scaling: str
    counterexample: Counterexample | None = None
    hypotheses: tuple[str, ...] = ()
    order: int | Fraction | None = None
    hint: str = ""
    certificate: str = ""
    kind: str = "equation"
    mended: str = ""

    def __bool__(self) -> bool:
        return self.status == "holds"

    def __str__(self) -> str:
        lines = [f"{self.claim}", f"  {self._headline()}"]
        if self.hypotheses:
            lines.append(f"  hypotheses: {', '.join(self.hypotheses)}")
        if self.difference not in (0, sp.nan):
            title = "margin" if self.kind == "inequality" else "claimed minus true"
            lines.append(f"  {title}: {_short(self.difference)}")
        if self.counterexample is not None:
            lines.append(f"  counterexample: {self.counterexample}")
        if self.certificate:
            lines.append(f"  certificate: {self.certificate}")
        lines.append(f"  scaling: {self.scaling}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)

    def _headline(self) -> str:
        words = {
            "holds": "HOLDS, exactly, at every width n",
            "holds-under-hypotheses": "HOLDS UNDER HYPOTHESES, exactly, at every width n",
            "holds-asymptotically": f"HOLDS ASYMPTOTICALLY, up to a relative error "
            f"O({power_text(self.order)})",
            "fails": "FAILS",
            "not-checked": "NOT CHECKED",
        }
        return words[self.status]


def power_text(order: Any) -> str:
    """Return 1/n^order as text.

    Examples
    --------
    >>> power_text(1), power_text(Fraction(1, 2)), power_text(2)
    ('1/n', '1/n^(1/2)', '1/n^2')
    """
    if order is None:
        return "?"
    if order == 1:
        return "1/n"
    return f"1/n^{order}" if Fraction(order).denominator == 1 else f"1/n^({order})"


def _short(expression: sp.Expr) -> str:
    text = str(expression)
    return text if len(text) <= 400 else f"{text[:380]} ... ({len(text)} characters)"
