"""Losses: what is averaged over samples, and what the closure engine differentiates.

A scalar output takes any smooth l(f, y). A row of k outputs takes the same function
elementwise, summed over outputs, or softmax cross-entropy, which couples them.
Conventions: L = (1/m) sum over samples (THEORY section 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from catapult_theory.errors import InputError, ModelError, unknown_name
from catapult_theory.symbolic.matrix_nodes import ElementSum, Elementwise, LogSumExp, Softmax
from catapult_theory.symbolic.symbols import f, y


@dataclass(frozen=True)
class Loss:
    """A loss that acts on each output by itself.

    Parameters
    ----------
    name : str
    expression : sympy.Expr
        In the symbols ``f`` (output) and ``y`` (label).
    """

    name: str
    expression: sp.Expr

    def derivative(self, order: int = 1) -> sp.Expr:
        """Return the derivative with respect to the output, in f and y.

        Parameters
        ----------
        order : int

        Returns
        -------
        sympy.Expr

        Examples
        --------
        >>> squared.derivative(), squared.derivative(2)
        (f - y, 1)
        """
        slope = sp.diff(self.expression, f, order)
        # Simplifying would merge the pieces of a piecewise loss into conditions nobody wrote.
        return slope if slope.has(sp.Piecewise) else sp.simplify(slope)

    def gradient_rows(self, outputs: Any, targets: Any) -> Any:
        """Return dl/dF for matrices of outputs and targets (m x k), a matrix expression."""
        slope = self.derivative()
        if sp.expand(slope - (f - y)) == 0:
            return outputs - targets
        return Elementwise(sp.Lambda((f, y), slope), outputs, targets)

    def total(self, outputs: Any, targets: Any) -> sp.Expr:
        """Return the sum of the loss over all entries, a scalar expression."""
        return ElementSum(Elementwise(sp.Lambda((f, y), self.expression), outputs, targets))


@dataclass(frozen=True)
class Huber(Loss):
    """The Huber loss, whose derivative is the residual cut off on both sides."""

    def derivative(self, order: int = 1) -> sp.Expr:
        """Return the derivative; the first as a cut, the same function as its pieces.

        Conditions on pieces, once a step (SAM) puts one derivative into another, are conditions
        on conditions; a maximum and a minimum go into each other as they are.
        """
        pieces = super().derivative(order)
        if order != 1:
            return pieces
        low, high, inside = (piece.expr for piece in pieces.args)
        return sp.Max(low, sp.Min(high, inside))


@dataclass(frozen=True)
class SoftmaxCrossEntropy:
    """Softmax cross-entropy of rows with one-hot targets: logsumexp(f) - y.f for each row."""

    name: str = "softmax_cross_entropy"

    def derivative(self, order: int = 1) -> sp.Expr:
        """Refuse: the loss couples several outputs, so that a scalar output has no derivative."""
        raise ModelError(
            "softmax cross-entropy needs k >= 2 outputs; for one output use loss='logistic'"
        )

    def gradient_rows(self, outputs: Any, targets: Any) -> Any:
        """Return dl/dF: the gradient of logsumexp is the softmax."""
        return Softmax(outputs) - targets

    def total(self, outputs: Any, targets: Any) -> sp.Expr:
        """Return the sum of the loss over all rows, a scalar expression."""
        return ElementSum(LogSumExp(outputs)) - sp.Trace(targets.T * outputs)


def huber(delta: Any = 1) -> Loss:
    """Return the Huber loss: r^2/2 for |r| <= delta, else delta |r| - delta^2/2, with r = f - y.

    Its derivative is continuous, r cut off at +-delta; so a step is the same from whichever side
    of the kink it is computed. The second derivative jumps there: at the kink itself it is taken
    as 1, the value inside.

    Parameters
    ----------
    delta : number

    Returns
    -------
    Loss

    Raises
    ------
    InputError
        If delta is not a positive number.

    Examples
    --------
    >>> slope = huber().derivative()
    >>> slope.subs({f: 5, y: 1}), slope.subs({f: sp.Rational(3, 2), y: 1})
    (1, 1/2)
    """
    width = sp.nsimplify(delta, rational=True) if isinstance(delta, (int, float)) else delta
    if isinstance(delta, bool) or not (isinstance(width, sp.Expr) and width.is_number):
        raise InputError(f"the Huber loss needs a number delta > 0, got {delta!r}")
    if not (width.is_finite and width > 0):
        raise InputError(f"the Huber loss needs delta > 0, got {delta!r}")
    r = f - y
    outside = width**2 / 2
    pieces = (
        (-width * r - outside, r < -width),
        (width * r - outside, r > width),
        (r**2 / 2, True),
    )
    return Huber("huber" if width == 1 else f"huber(delta={width})", sp.Piecewise(*pieces))


squared = Loss("squared", (f - y) ** 2 / 2)
logistic = Loss("logistic", sp.log(1 + sp.exp(-y * f)))
exponential = Loss("exponential", sp.exp(-y * f))
softmax_cross_entropy = SoftmaxCrossEntropy()

NAMED = {
    loss.name: loss for loss in (squared, logistic, exponential, huber(), softmax_cross_entropy)
}


def get(loss: Any) -> Loss | SoftmaxCrossEntropy:
    """Return the loss of a name, of an object, or of a SymPy expression in f and y.

    Parameters
    ----------
    loss : str, Loss or sympy.Expr
        An expression may use symbols named ``f`` and ``y`` of any assumptions.

    Returns
    -------
    Loss or SoftmaxCrossEntropy

    Raises
    ------
    InputError
        For an unknown name.
    ModelError
        For an expression in other symbols, or one that does not contain f.

    Examples
    --------
    >>> get(sp.cosh(sp.Symbol("f") - sp.Symbol("y"))).derivative()
    sinh(f - y)
    """
    if isinstance(loss, (Loss, SoftmaxCrossEntropy)):
        return loss
    if isinstance(loss, str):
        if loss not in NAMED:
            raise unknown_name("loss", loss, NAMED)
        return NAMED[loss]
    if not isinstance(loss, sp.Expr):
        raise InputError(f"a loss is a name, a ct.Loss or a SymPy expression, not {loss!r}")
    table = {s: {"f": f, "y": y}.get(s.name, s) for s in loss.free_symbols}
    expression = loss.subs(table, simultaneous=True)
    others = sorted(s.name for s in expression.free_symbols - {f, y})
    if others:
        raise ModelError(f"a loss may contain f and y alone; {loss} also contains {others}")
    if f not in expression.free_symbols:
        raise ModelError(f"the loss {loss} does not depend on the output f")
    return Loss(str(expression), expression)
