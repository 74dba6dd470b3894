"""Intervals in the kernel hold the exact result, whatever was rounded."""

from __future__ import annotations

import builtins
from fractions import Fraction
from functools import cache
from types import FunctionType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.dispatcher import Dispatcher

from catapult_theory.rigor.certified import interval as iv
from catapult_theory.rigor.certified.cells import Cells
from catapult_theory.rigor.certified.image import advance, combination, is_small, start
from catapult_theory.rigor.certified.step import entry, step_tables

NUMBERS = (
    st.floats(min_value=-1e150, max_value=1e150) | st.floats(-8, 8) | st.floats(-1e-160, 1e-160)
)
PARTS = st.fractions(0, 1, max_denominator=1000)
OPERATIONS = {
    "add": (iv.add, lambda x, y: x + y),
    "sub": (iv.sub, lambda x, y: x - y),
    "mul": (iv.mul, lambda x, y: x * y),
}


@st.composite
def intervals(draw):
    low, high = sorted((draw(NUMBERS), draw(NUMBERS)))
    return low, high


def inside(draw_part, interval):
    low, high = map(Fraction, interval)
    return low + (high - low) * draw_part


def holds(interval, exact):
    return Fraction(interval[0]) < exact < Fraction(interval[1])


@pytest.mark.parametrize("name", OPERATIONS)
@given(x=intervals(), y=intervals(), s=PARTS, t=PARTS)
@settings(max_examples=150, deadline=None)
def test_an_operation_holds_the_exact_result_of_any_two_members(name, x, y, s, t):
    rounded, exact = OPERATIONS[name]
    assert holds(rounded(x, y), exact(inside(s, x), inside(t, y)))


@given(x=intervals(), s=PARTS)
@settings(max_examples=150, deadline=None)
def test_a_square_holds_the_exact_square(x, s):
    low, high = iv.sqr(x)
    assert 0 <= Fraction(low) <= inside(s, x) ** 2 < Fraction(high)


@given(x=NUMBERS)
@settings(deadline=None)
def test_down_and_up_move_by_more_than_two_units_of_rounding(x):
    slack = 2 * Fraction(1, 2**53) * abs(Fraction(x)) + Fraction(2) ** -1021
    assert Fraction(float(iv.down(x))) < Fraction(x) - slack
    assert Fraction(float(iv.up(x))) > Fraction(x) + slack


def test_flushed_or_subnormal_products_are_held_too():
    tiny = 5e-324
    low, high = iv.mul((tiny, tiny), (0.5, 0.5))
    assert holds((low, high), Fraction(tiny) / 2)


def test_plain_arithmetic_would_not_hold_it():
    x, y = 0.1, 0.7
    assert not holds((x * y, x * y), Fraction(x) * Fraction(y))
    assert holds(iv.mul((x, x), (y, y)), Fraction(x) * Fraction(y))


def exact_step(p, a, k):
    """T1 of the theory, in rational numbers."""
    return p * (1 - a + p * (p + k)), a - 4 * p * (p + k) + p * p * a


BOXES = st.tuples(
    st.floats(0, 7), st.floats(0, 7), st.floats(1e-6, 0.5), st.floats(1e-6, 0.5), st.floats(0, 2.5)
)


@cache
def interpreted(compiled):
    """The same source as plain Python, down to the operations: compiling it takes seconds."""
    plain = compiled.py_func
    used = {name: v for name, v in plain.__globals__.items() if name in plain.__code__.co_names}
    below = {name: interpreted(v) for name, v in used.items() if isinstance(v, Dispatcher)}
    return FunctionType(plain.__code__, {"__builtins__": builtins, **used, **below})


@pytest.mark.parametrize(
    "form", [interpreted, pytest.param(lambda compiled: compiled, marks=pytest.mark.full)]
)
@given(numbers=BOXES, s=PARTS, t=PARTS)
@settings(max_examples=25, deadline=None)
def test_the_image_of_a_box_holds_the_exact_orbit_of_each_start(form, numbers, s, t):
    first, after, combined = form(start), form(advance), form(combination)
    low_x, low_y, width, height, kappa = numbers
    corners = np.array([low_x, low_x + width, low_y, low_y + height])
    tables = step_tables(kappa)
    k = Fraction(kappa)
    x, y = inside(s, corners[:2].tolist()), inside(t, corners[2:].tolist())
    p, a = (x - y) / 4 - k, (x + y) / 2
    state = first(tables.factors, corners)
    for _ in range(5):
        assert holds(state[0], p)
        assert holds(state[1], a - 4 - k * p)
        curvature = combined(state, *(entry(tables.box, 2, j) for j in range(3)))
        assert holds(curvature, a)
        # The sum of both rows, bounded together.
        assert holds(combined(state, (0.0, 0.0), (1.0, 1.0), (1.0, 1.0)), p + a - 4 - k * p)
        p, a = exact_step(p, a, k)
        state = after(tables.multipliers, state)
        if not form(is_small)(state):
            break


@given(
    low=st.floats(0, 10),
    width=st.floats(1e-3, 10),
    index=st.integers(0, 2**20 - 1),
    level=st.integers(20, 40),
)
@settings(deadline=None)
def test_the_corners_that_a_kernel_sees_lie_outside_the_exact_ones(low, width, index, level):
    box = ((low, low + width), (0.1, 7.3))
    column = np.array([index])
    cells = Cells(column, column, np.array([level]), np.array([20]))
    seen = cells.enclosures(box)[0]
    for (a, b), depth, (left, right) in zip(box, (level, 20), seen.reshape(2, 2), strict=True):
        exact = [
            Fraction(a) + (Fraction(b) - Fraction(a)) * Fraction(i, 2**depth)
            for i in (index, index + 1)
        ]
        assert Fraction(left) < exact[0]
        assert exact[1] < Fraction(right)
