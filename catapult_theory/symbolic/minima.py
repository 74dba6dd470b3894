"""The outputs at which a loss is stationary and least, solved where there is a closed form."""

from __future__ import annotations

import sympy as sp

from catapult_theory.symbolic.symbols import f


def stationary_outputs(loss: sp.Expr) -> tuple[sp.Expr, ...] | None:
    """Return the real outputs f with l'(f) = 0, or None where they are not found.

    Parameters
    ----------
    loss : sympy.Expr
        In ``f``, and parameters.

    Returns
    -------
    tuple of sympy.Expr or None
        Empty where there is none: log(1 + exp(-f)) falls for ever.

    Examples
    --------
    >>> stationary_outputs((f - 1) ** 4), stationary_outputs(sp.exp(-f))
    ((1,), ())
    """
    slope = sp.diff(loss, f)
    try:
        roots = sp.solve(slope, f)
    except NotImplementedError:
        return None
    if not roots and not _never_vanishes(slope):
        return None
    if any(isinstance(root, sp.Piecewise) for root in roots):
        return None
    return tuple(root for root in roots if root.is_real is not False)


def _never_vanishes(slope: sp.Expr) -> bool:
    """Whether a slope is a product of functions that have no zero, a label aside."""
    factors = sp.Mul.make_args(sp.factor(slope))
    return all(e.is_nonzero or f not in e.free_symbols for e in factors)


def minimum_of(loss: sp.Expr) -> sp.Expr | None:
    """Return the output at which a convex loss is least, or None where that is not known.

    Parameters
    ----------
    loss : sympy.Expr
        In ``f``, and parameters.

    Returns
    -------
    sympy.Expr or None

    Examples
    --------
    >>> minimum_of((f - 1) ** 4), minimum_of(f**4 - f**2)
    (1, None)
    """
    roots = stationary_outputs(loss)
    convex = sp.factor(sp.diff(loss, f, 2)).is_nonnegative
    return roots[0] if convex and roots is not None and len(roots) == 1 else None
