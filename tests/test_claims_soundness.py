"""What verdicts and proofs assert is never contradicted by numbers.

Random claims are judged, and every verdict is confronted with raw steps on vectors or with
sample points; a proof of something false would be found here.
"""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy.polys.rings import ring

from catapult_theory.errors import ClaimError
from catapult_theory.rigor import verify
from catapult_theory.rigor.claims.orders import order_of
from catapult_theory.rigor.claims.points import Irrational, Undefined, exact, precise, sign
from catapult_theory.rigor.claims.positivity import Known, Prover, coefficients
from catapult_theory.rigor.claims.reading import Scaling
from catapult_theory.rigor.claims.real_roots import decided_on_line
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.symbols import eta, f, lam, n

R, X, Y, Z = ring("x y z", sp.QQ)
NAMES = ("f", "lam", "a", "b", "q", "p", "kappa", "loss", "g", "eta")
COLUMNS = 3000


@pytest.fixture(scope="module")
def labelled():
    return derive(models.uv(label=True))


# Random polynomials: whatever is proved holds at every sample point.


def _polynomial(source: random.Random, depth: int = 2):
    pieces = [X, Y, Z, R.one, X * Y, X**2, Y**2, Z**2, X - Y, Y - 2 * Z]
    total = R.zero
    for _ in range(source.randint(1, 3)):
        total += source.choice([1, 2, -1, -2]) * source.choice(pieces)
    return total * _polynomial(source, depth - 1) if depth and source.random() < 0.5 else total


def seeds(count: int, every: int) -> list:
    """Seeds of which one in so many is in the default tier, the others in the full one."""
    rest = pytest.mark.full
    return [s if s % every == 0 else pytest.param(s, marks=rest) for s in range(count)]


@pytest.mark.parametrize("seed", seeds(60, 3))
def test_what_the_prover_proves_is_true_at_sample_points(seed) -> None:
    source = random.Random(seed)
    region = [Known(X, True, "x"), Known(Y, False, "y")]
    region += [Known(_polynomial(source, 0), False, "given") for _ in range(2)]
    region = tuple(k for k in region if k.polynomial)
    goals = [_polynomial(source) for _ in range(6)]
    goals += [k.polynomial * _polynomial(source, 0) ** 2 + X for k in region]
    numbers = np.random.default_rng(seed).normal(scale=2, size=(3, 20_000))
    inside = np.all([_at(k.polynomial, numbers) >= 0 for k in region], axis=0)
    proved = 0
    for goal in goals:
        if Prover(R).prove(goal, False, region):
            proved += 1
            values = _at(goal, numbers)
            # Sums of a dozen terms round by less than this part of the largest.
            assert (values >= -1e-12 * abs(values).max())[inside].all(), goal
    assert proved or seed % 7


def _narrow(source: random.Random):
    """Bounds on x and y, a root z of what they make, and sample points with all corners."""
    square = source.choice([4 + X, 9 - Y, 5 + X - Y, X**2 + 1])
    size = sp.QQ(1, source.choice([3000, 50, 1]))
    strict = [source.random() < 0.5 for _ in range(4)]
    bounds = (X + size, size - X, Y + 1, 1 - Y)
    region = [Known(p, open_end, "bound") for p, open_end in zip(bounds, strict, strict=True)]
    places = np.linspace(-1, 1, 41)
    x, y = (grid.ravel() for grid in np.meshgrid(float(size) * places, places))
    inside = [
        (v > -top) | (not low) for v, top, low in ((x, float(size), strict[0]), (y, 1, strict[2]))
    ]
    inside += [
        (v < top) | (not high) for v, top, high in ((x, float(size), strict[1]), (y, 1, strict[3]))
    ]
    x, y = (v[np.all(inside, axis=0)] for v in (x, y))
    root = np.sqrt(_at(square, np.array([x, y, 0 * x])))
    return square, (*region, Known(Z, False, "root")), np.array([x, y, root])


@pytest.mark.parametrize("seed", seeds(160, 16))
def test_what_the_prover_proves_of_roots_in_narrow_regions_is_true(seed) -> None:
    """Goals are shifted to where they just hold, or just fail, at the sample points."""
    source = random.Random(seed)
    square, region, numbers = _narrow(source)
    pieces = [X, Y, Z, X * Y, X * Z, Y * Z, X**2, Y**2]
    for _ in range(3):
        goal = sum(
            (source.choice([1, 2, -1, -2]) * source.choice(pieces) for _ in range(3)), R.zero
        )
        least = _at(goal, numbers).min() - source.choice([1e-4, 0, -1e-4])
        shift = Fraction(least).limit_denominator(10**6)
        goal -= sp.QQ(shift.numerator, shift.denominator)
        if goal and Prover(R, {2: square}).prove(goal, False, region):
            # A dozen terms of size 10 at most round by less.
            assert _at(goal, numbers).min() >= -1e-12, (goal, square, region)


def _at(polynomial, numbers: np.ndarray) -> np.ndarray:
    total = np.zeros(numbers.shape[1])
    for exponents, c in polynomial.terms():
        total += float(c) * np.prod([x**e for x, e in zip(numbers, exponents, strict=True)], axis=0)
    return total


@pytest.mark.parametrize(
    ("goal", "known", "strict", "proved"),
    [
        (X**2 - X * Y + Y**2, [], False, True),
        (X**2 - 3 * X * Y + Y**2, [], False, False),
        (4 - X, [4 - X], False, True),
        (5 - X, [4 - X], True, True),
        (3 - X, [4 - X], False, False),
        (X * Y, [X, Y], False, True),
        (X * Y, [X, -Y], False, False),
        (X - X**2, [X, 1 - X], False, True),
        (X - X**2, [X, 2 - X], False, False),
        (Y - X**2, [X, Y - X], False, False),
        (Y - X**2, [X, 1 - X, Y - X], False, True),
        (X**2 + 1, [], True, True),
        (X**2, [], True, False),
        (X**3 - 3 * X + 2, [X], False, True),
        (X**3 - 3 * X + 2, [X], True, False),
        (X**4 - 2 * X**2 * Y + Y**2, [], False, True),
        (2 * X * Y + Y**2, [X * Y], False, True),
        (2 * X * Y + Y**2, [-X * Y], False, False),
        (Y**2 - 2 * X * Y, [-X * Y], False, True),
        (X * Y * Z, [X * Y], False, False),
        (X * Y * Z, [X * Y, Z], False, True),
        (X * Y + Z**2, [X * Y], True, False),
    ],
)
def test_prover_decides_known_cases(goal, known, strict, proved) -> None:
    region = tuple(Known(k, False, "given") for k in known)
    assert bool(Prover(R).prove(goal, strict, region)) is proved


def test_a_prover_without_budget_proves_nothing_new() -> None:
    tired = Prover(R, steps=0)
    assert tired.prove(X**2 - X * Y + Y**2, False, ()) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=6), st.integers(-3, 3), st.booleans())
def test_signs_on_a_half_line_agree_with_a_fine_grid(numbers, start, strict) -> None:
    x = sp.Symbol("x")
    goal, half = sp.Poly(numbers, x, domain="QQ"), sp.Poly(x - start, x, domain="QQ")
    decided = decided_on_line(goal, strict, [(half, False)])
    grid = [Fraction(k, 16) + start for k in range(1600)]
    values = [goal.eval(sp.Rational(q.numerator, q.denominator)) for q in grid[:400]]
    if any(v < 0 or (strict and v == 0) for v in values):
        assert decided is False
    if decided is False and not strict:
        # A polynomial with small coefficients that is negative somewhere shows it on roots' gaps.
        # Without repeated roots, which make the numerical iteration stall.
        simple = goal.sqf_part()
        roots = [sp.re(r) for r in simple.nroots(n=30, maxsteps=200)] if simple.degree() > 0 else []
        cuts = sorted({start, *(r for r in roots if r > start), start + 50})
        middles = [(a + b) / 2 for a, b in pairwise(cuts)]
        assert any(goal.as_expr().subs(x, m) < 0 for m in [*middles, 10**6])


def test_coefficients_put_a_polynomial_together_again() -> None:
    goal = X**3 * Y - 2 * X * Z + Y - 7
    assert sum((c * X**i for i, c in enumerate(coefficients(goal, 0))), R.zero) == goal


# Random claims about the labelled model.


def _states(count: int) -> dict[str, np.ndarray]:
    """Return names at random states and after one raw step, without the engine."""
    rng = np.random.default_rng(11)
    width = rng.integers(1, 6, count)
    rate, y = np.exp(rng.normal(size=count)), rng.normal(size=count)
    used = np.arange(6)[:, None] < width
    u, v = (
        rng.normal(size=(6, count)) * np.exp(rng.normal(0, 0.7, count)) * used for _ in range(2)
    )
    v = np.where(rng.random(count) < 0.2, u, v)
    names = {"n": width + 0.0, "eta": rate, "y": y}
    out = (u * v).sum(0) / np.sqrt(width)
    step = rate * (out - y) / np.sqrt(width)
    for mark, (first, second) in {"": (u, v), "_next": (u - step * v, v - step * u)}.items():
        fn, ln = (first * second).sum(0) / np.sqrt(width), ((first**2 + second**2).sum(0)) / width
        q, k = rate * fn / np.sqrt(width), rate * y / np.sqrt(width)
        own = {"f": fn, "lam": ln, "g": fn - y, "loss": (fn - y) ** 2 / 2, "a": rate * ln}
        own |= {"q": q, "b": q**2, "kappa": k, "p": q - k}
        names |= {name + mark: x for name, x in own.items()}
    return names


STATES = _states(COLUMNS)


def _linear(source: random.Random) -> str:
    names = [*NAMES, *(m + "_next" for m in NAMES if m not in ("eta", "kappa")), "1"]
    terms = [f"({source.choice([1, 2, 4, -1, -2])})*{source.choice(names)}" for _ in range(2)]
    return f"({' + '.join(terms)})"


def _side(source: random.Random) -> str:
    kind = source.random()
    if kind < 0.4:
        return _linear(source)
    if kind < 0.7:
        return f"{_linear(source)}*{_linear(source)}"
    return f"{_linear(source)}**2 + {source.choice(NAMES)}*{_linear(source)}"


def _value(text: str) -> np.ndarray:
    symbols = {k: sp.Symbol(k) for k in STATES}
    expression = sp.sympify(text, locals=symbols)
    used = sorted(expression.free_symbols, key=str)
    function = sp.lambdify(used, expression, "numpy")
    return function(*(STATES[s.name] for s in used)) * np.ones(COLUMNS)


def _confront(update_map, claim: str, where: str | None) -> str:
    """Judge a claim "left >= 0" and compare the verdict with all states."""
    try:
        verdict = verify(claim, update_map, where=where)
    except ClaimError as cause:
        refusal = str(cause)
    else:
        refusal = ""
    if refusal:
        contradictory = "cannot be met" in refusal
        assert contradictory or "too large" in refusal
        assert not (contradictory and _admitted(where).any()), refusal
        return "refused"
    inside = _admitted(where if verdict.status == "holds-under-hypotheses" else None)
    if verdict.status.startswith("holds"):
        values = _value(claim.removesuffix(" >= 0"))
        assert (values >= -1e-9 * (1 + abs(values).max()))[inside].all(), str(verdict)
    return verdict.status


def _admitted(where: str | None) -> np.ndarray:
    inside = np.ones(COLUMNS, dtype=bool)
    for part in where.split(", ") if where else ():
        inside &= _value(part.removesuffix(" >= 0")) >= 0
    return inside


def _random_claim(source: random.Random) -> tuple[str, str | None]:
    given_ = [_linear(source) for _ in range(source.randint(1, 2))]
    where = ", ".join(f"{h} >= 0" for h in given_)
    if source.random() < 0.5:
        return f"{_side(source)} >= 0", where if source.random() < 0.6 else None
    # True by construction: products of what is nonnegative.
    known = [*given_, "lam", "loss", "lam_next", "eta", f"{_linear(source)}**2", "(a - 2*q)"]
    terms = [f"{source.choice(known)}*{source.choice(known)}" for _ in range(2)]
    return f"{' + '.join(terms)} >= 0", where


@pytest.mark.parametrize("seed", seeds(16, 2))
def test_random_inequality_is_never_proved_against_raw_steps(labelled, seed) -> None:
    _confront(labelled, *_random_claim(random.Random(seed)))


@pytest.mark.full
@pytest.mark.parametrize("seed", range(100, 350))
def test_many_random_inequalities_are_never_proved_against_raw_steps(labelled, seed) -> None:
    _confront(labelled, *_random_claim(random.Random(seed)))


@pytest.mark.parametrize("seed", seeds(16, 2))
def test_random_equation_is_judged_as_raw_steps_say(labelled, seed) -> None:
    source = random.Random(seed)
    shown = source.choice(["f_next", "lam_next", "p_next", "a_next"])
    exact_ = {
        "f_next": "f - eta*lam*g + eta**2*g**2*f/n",
        "lam_next": "lam - 4*eta*g*f/n + eta**2*g**2*lam/n",
        "p_next": "p*(1 - a + p*(p + kappa))",
        "a_next": "a - 4*p*(p + kappa) + p**2*a",
    }[shown]
    wrong = f"{exact_} + {_linear(source)}*{source.choice(['0', 'p', '1/n', '1'])}"
    verdict = verify(f"{shown} = {wrong}", labelled)
    errors = _value(f"({wrong}) - {shown}")
    if verdict.status == "holds":
        assert np.median(abs(errors)) < 1e-12
    else:
        assert np.median(abs(errors)) > 1e-9
    if verdict.status == "fails":
        assert verdict.counterexample.left != verdict.counterexample.right


# Values and orders.


@pytest.mark.parametrize(
    ("expression", "order"),
    [
        (f**2 / n, -1),
        (f / sp.sqrt(n) + 1, 0),
        (eta * f / sp.sqrt(n), Fraction(-1, 2)),
        (n**2 * (lam + 1) / (n + f), 1),
        (sp.sqrt(lam**2 + f / n) - lam, -1),
        (sp.sqrt(n * lam + f) - sp.sqrt(n * lam), Fraction(-1, 2)),
        (sp.exp(f / n) - 1, -1),
        (sp.log(1 + sp.exp(f / sp.sqrt(n))) - sp.log(2), Fraction(-1, 2)),
        (sp.Abs(f) - f, 0),
    ],
)
def test_order_in_the_width_is_read_off(expression, order) -> None:
    assert order_of(expression, Scaling({n: Fraction(1)})) == order


def test_no_order_is_claimed_where_there_is_none() -> None:
    assert order_of(sp.exp(-n), Scaling({n: Fraction(1)})) is None
    assert order_of(sp.log(n), Scaling({n: Fraction(1)})) is None


@settings(max_examples=60, deadline=None)
@given(st.fractions(-5, 5, max_denominator=20), st.fractions(0, 9, max_denominator=9))
def test_exact_and_precise_values_agree(first, second) -> None:
    point = {f: first, lam: second}
    expression = (f**3 - 2 * lam) / (1 + f**2) + sp.Max(f, lam) - sp.Abs(f - lam) ** 2
    found = exact(expression, point)
    with mpmath.workdps(60):
        error = precise(expression, point) * found.denominator - found.numerator
    # Sixty digits, a dozen operations, numbers up to 10^5.
    assert abs(error) < 1e-50
    assert sign(expression, point) == (found > 0) - (found < 0)


def test_irrational_values_are_told_from_zero_only_with_certainty() -> None:
    two, three = {lam: Fraction(2)}, {lam: Fraction(3)}
    with pytest.raises(Irrational):
        exact(sp.sqrt(lam), two)
    with pytest.raises(Undefined):
        exact(sp.sqrt(f), {f: Fraction(-1)})
    assert sign(sp.sqrt(lam) - sp.Rational(17, 10), two) == -1
    # sqrt(5 + 2 sqrt 6) = sqrt 2 + sqrt 3 exactly: numbers cannot decide this.
    nested = sp.sqrt(lam + 2 + 2 * sp.sqrt(2 * lam)) - sp.sqrt(2) - sp.sqrt(lam)
    assert sign(nested, three) is None
