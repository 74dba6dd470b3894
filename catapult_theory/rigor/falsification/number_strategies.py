"""Hypothesis strategies for numbers: fractions that float64 holds exactly, rates, widths."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from catapult_theory.errors import InputError
from catapult_theory.rigor.optional_parts import optional_part

STRATEGIES = "the strategies of catapult_theory.testing"


def strategies_module() -> Any:
    """Return hypothesis.strategies, or refuse with the line that installs it."""
    return optional_part("hypothesis", STRATEGIES).strategies


def dyadics(low: Any = 0, high: Any = 8, bits: int = 4) -> Any:
    """Return a strategy for fractions k / 2^j, which float64 holds exactly.

    Parameters
    ----------
    low, high : number
        Both ends belong to the range.
    bits : int
        The largest j, if the range holds such numbers. Shrinking leads to whole numbers, then
        to halves, quarters and so on.

    Returns
    -------
    SearchStrategy of Fraction

    Raises
    ------
    MissingBackend
        If Hypothesis is not installed.
    InputError
        If the range is empty.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(dyadics(0, 8), lambda x: x > 3)
    Fraction(4, 1)
    """
    st = strategies_module()
    low, high = Fraction(low), Fraction(high)
    unit = next((j for j in range(64) if math.ceil(low * 2**j) <= high * 2**j), None)
    if unit is None:
        raise InputError(f"no k / 2^j lies between {low} and {high}: give low < high")
    whole = st.integers(math.floor(low * 2**unit), math.floor(high * 2**unit))
    part = st.integers(0, 2**bits - 1).map(_mirrored)
    # The part first: shrinking then rather gives up the part than the size.
    numbers = st.builds(lambda x, k: (k + x) / 2**unit, part, whole)
    return numbers.filter(lambda x: low <= x <= high)


def _mirrored(index: int) -> Fraction:
    """Return 0, 1/2, 1/4, 3/4, 1/8, ...: the simpler a fraction, the smaller its index."""
    if index == 0:
        return Fraction(0)
    size = index.bit_length()
    return Fraction(int(f"{index:0{size}b}"[::-1], 2), 2**size)


def learning_rates(low: Any = Fraction(1, 64), high: Any = 8) -> Any:
    """Return a strategy for positive learning rates k / 2^j.

    Parameters
    ----------
    low, high : number
        0 < low <= eta <= high.

    Returns
    -------
    SearchStrategy of Fraction

    Raises
    ------
    InputError
        If ``low`` is not positive.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(learning_rates(), lambda eta: eta >= 2)
    Fraction(2, 1)
    """
    if Fraction(low) <= 0:
        raise InputError(f"a learning rate is positive, but low={low}")
    return dyadics(low, high, 6)


def widths(least: int = 1, most: int = 4**10) -> Any:
    """Return a strategy for widths that are powers of four, the smallest first.

    Parameters
    ----------
    least, most : int

    Returns
    -------
    SearchStrategy of int

    Raises
    ------
    InputError
        If no power of four lies between the two.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(widths(least=2), lambda n: True)
    4
    """
    powers = [4**k for k in range(200) if least <= 4**k <= most]
    if not powers:
        raise InputError(f"no power of four lies between {least} and {most}")
    return strategies_module().sampled_from(powers)
