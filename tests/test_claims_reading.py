"""Claims are read alike from text, LaTeX and SymPy; hostile text gets one clear error."""

from __future__ import annotations

import re

import pytest
import sympy as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catapult_theory.errors import ClaimError
from catapult_theory.rigor import verify
from catapult_theory.rigor.claims.reading import read_claim, read_hypotheses
from catapult_theory.rigor.claims.size import DEGREE, EXPONENT, TERMS, TEXT, size_of
from catapult_theory.rigor.claims.vocabulary import Vocabulary
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.update_map import tex


@pytest.fixture(scope="module")
def words() -> Vocabulary:
    return Vocabulary.of(derive(models.uv(label=True)))


@pytest.fixture(scope="module")
def uv():
    return derive(models.uv())


F = "f' = f*(1 - eta*lam + eta**2*f**2/n)"
LAM = "lam' = lam + eta*f**2/n*(eta*lam - 4)"
LABELLED = "f' = f - eta*lam*g + eta**2/n*g**2*f"

SAME = [
    (F, "f_next = f*(1 - eta*lambda + eta^2*f^2/n)"),
    (F, "f_{t+1} = f_t (1 - η λ_t + η² f_t² / n)"),
    (F, "f[t+1] = f[t]*(1 - eta*lam[t] + eta**2*f[t]**2/n)"),
    (F, "f(t+1) = f(t)(1 - eta lam(t) + eta^2 f(t)^2/n)"),
    (F, "f′ = f·(1 − ηλ + η²·f²÷n)"),
    (F, "fₜ₊₁ = fₜ(1 - ηλₜ + η²fₜ²/n)"),
    (F, "f' == f*{1 - [eta*lam] + eta^{2}*f^{2}/n}"),
    (F, "next(f) = f*(1 - a + b)"),
    (F, r"f_{t+1} = \left(1 - \eta\lambda_t + \frac{\eta^2 f_t^2}{n}\right) f_t"),
    (F, r"f_{t+1}=f_t\Big(1-\eta\lambda_{t}+\tfrac{\eta^{2}f^2_t}{n}\Big)\,."),
    (F, r"$$ f' = f \cdot \left[ 1 - \eta \lambda + \eta^2 f^2 / n \right] $$"),
    (F, r"\begin{equation} f^{\prime} = f (1 - a + b) \label{eq:f} \end{equation}"),
    (F, r"f_{t+1} &= f_t \left\{ 1 - \eta \Theta_t + \eta^2 \frac{f_t f_t}n \right\}"),
    (LAM, "lambda' = lambda + (eta f**2/n)*(eta lambda - 4)"),
    (LAM, "λ_{t+1} = λ_t + (η f²/n)(ηλ − 4)"),
    (LAM, r"\lambda_{t+1} = \lambda_t + \frac{\eta f_t^2}{n} \left( \eta \lambda_t - 4 \right)"),
    (LAM, r"\[\lambda_{t+1}-\lambda_t = \frac{\eta^2}{n}f_t^2\lambda_t-\frac{4\eta}{n}f_t^2.\]"),
    (LAM, r"\Theta_{t+1} = \lambda_t + \eta\frac{f^2}{n}\times(a - 4)"),
    (LABELLED, r"f_{t+1} = f_t - \eta \lambda_t \tilde f_t + \frac{\eta^2}{n} \tilde{f}_t^2 f_t"),
    (LABELLED, r"f_{t+1} = f_t - \eta \lambda_t \widetilde{f_t} + \frac{\eta^2}{n}(f_t-y)^2 f_t"),
    (LABELLED, "f' = f - eta*lam*ftilde + eta**2/n*f_tilde**2*f"),
    ("loss' <= loss", r"\mathcal{L}_{t+1} \leq \mathcal L_t"),
    ("loss' <= loss", r"\text{loss}_{t+1} \le L"),
    ("loss' <= loss", "L' =< L"),
    ("abs(f) <= sqrt(n)*lam/2", "|f| ≤ √(n) λ/2"),
    ("abs(f) <= sqrt(n)*lam/2", r"|f| \leq \frac12 \sqrt n \lambda"),
    ("abs(f) <= sqrt(n)*lam/2", r"\left| f_t \right| \leqslant \frac{\sqrt{n} \lambda_t}{2}"),
    ("abs(f)*abs(g) >= 0", "|f||g| >= 0"),
    ("exp(-y*f) > 0", "e^{-y f} > 0"),
    ("exp(-y*f) > 0", r"$e^{-yf} > 0$"),
    ("log(1 + exp(-y*f)) >= tanh(f)", r"\ln(1 + \exp(-y f)) \geq \tanh\left(f\right)"),
    ("lam' = lam/2 + 3*lam/2", "lam' = 0.5*lam + 1.5 lam"),
    ("lam' = lam/1000", "lam' = 1e-3*lam"),
    ("(a - 4 - kappa*p)' = 0", "next(a - 4 - kappa p) = 0"),
    ("(lam**2 - Delta**2)' = lam**2 - Delta**2", "conserved: lam**2 - Delta**2"),
    ("lam' = lam", r"conserved: \lambda"),
    ("f' = -(-f)", "f' = +f"),
]


@pytest.mark.parametrize(("plain", "other"), SAME)
def test_spellings_of_one_claim_are_read_alike(words, plain, other) -> None:
    first, second = (read_claim(t, words).relations[0] for t in (plain, other))
    assert first.sign == second.sign
    difference = [words.resolved(r.left) - words.resolved(r.right) for r in (first, second)]
    assert sp.simplify(difference[0] - difference[1]) == 0


def test_other_claims_are_read_as_others(words) -> None:
    first, second = (read_claim(t, words).relations[0] for t in (F, F.replace("1 -", "1 +")))
    assert sp.simplify(words.resolved(first.right) - words.resolved(second.right)) != 0


@pytest.mark.parametrize("optimizer", ["gd", "weight_decay"])
def test_latex_of_every_derived_update_holds(optimizer) -> None:
    update_map = derive(models.uv(label=True), optimizer=optimizer)
    for symbol, image in update_map.updates.items():
        claim = rf"{tex(symbol)}_{{t+1}} = {tex(image)}"
        assert verify(claim, update_map).status == "holds", claim


def test_printed_update_is_a_claim_that_holds() -> None:
    update_map = derive(models.uv(), optimizer="heavy_ball")
    for line in str(update_map).splitlines()[:-1]:
        assert verify(line, update_map).status == "holds", line


def test_sympy_relations_are_matched_by_name(uv) -> None:
    f, lam, eta, n = sp.symbols("f lambda eta n")
    after = sp.Symbol("f_next")
    exact = f * (1 - eta * lam + eta**2 * f**2 / n)
    assert verify(sp.Eq(after, exact), uv).status == "holds"
    assert verify(sp.Eq(sp.Symbol(r"f_{t+1}"), exact), uv).status == "holds"
    assert verify(sp.Eq(after, exact + f / 2), uv).status == "fails"
    assert verify(sp.Symbol("lam'") <= sp.Symbol("lam"), uv, where=eta * lam < 4).status == (
        "holds-under-hypotheses"
    )
    both = sp.And(sp.Symbol("a'") >= 0, sp.Symbol("a'") <= sp.Symbol("a"))
    assert verify(both, uv, where=["a < 4"]).status == "holds-under-hypotheses"


def test_decimals_are_exact(uv) -> None:
    assert verify("0.1*lam + 0.2*lam = 0.3*lam", uv).status == "holds"
    quarter = sp.Eq(sp.Symbol("lam") * 0.25, sp.Symbol("lam") / 4, evaluate=False)
    assert verify(quarter, uv).status == "holds"
    assert verify("0.333333*lam = lam/3", uv).status == "fails"


def test_hypotheses_are_split_at_commas_and_words(words) -> None:
    found = read_hypotheses("y = 0, eta*lam < 4; f >= min(y, 0) and lam > 0", words)
    assert [h.text for h in found] == ["y = 0", "eta*lam < 4", "f >= min(y, 0)", "lam > 0"]
    assert len(read_hypotheses(["y = 0", "0 < a < 4"], words)[1].relations) == 2


# Errors: (text, words of the message, position).

BAD = [
    ("", "empty", None),
    ("   ", "empty", None),
    ("f", "no relation", None),
    ("f' = f = f", "two equals signs", 8),
    ("f' =", "empty", 4),
    ("= f", "empty", 1),
    ("a < b = q", "more than one relation", None),
    ("a < b < q < p < a < b", "at most four", None),
    ("f' = lamda", "did you mean 'lambda'", 6),
    ("f' = f + yf", "for a product write y*f", 10),
    ("f' = f + phi", "unknown name 'phi'", 10),
    ("f'' = f", "one step", 2),
    ("next(next(f)) = f", "one step", None),
    ("(f')' = f", "one step", None),
    ("f_t+1 = f", "ambiguous", 4),
    ("f' = f/2n", "ambiguous", 9),
    ("f' = f 2", "operator is missing", 8),
    ("f' = f*(1 - a", "not closed", 8),
    ("f' = f)", "opens nowhere", 7),
    ("f' = |f", "not closed", 6),
    ("f' = sqrt f", "needs parentheses", 6),
    ("f' = min(f)", "two to four", None),
    ("f' = sqrt(f, f)", "one argument", None),
    ("f' ~ f", "not a relation that can be judged", 4),
    ("f' != f", "not a relation that can be judged", 4),
    ("f' = f + O(1/n)", "order in 1/n", 10),
    ("f' = oo", "finite", 6),
    ("f' = nan", "finite", 6),
    ("f' = 1e999", "too large", 6),
    ("f' = 1" + "0" * 60, "too many digits", 6),
    ("f' = f**17", "too large", 9),
    ("f' = f**(-17)", "too large", None),
    ("f' = f**(1/3)", "whole or half", None),
    ("f' = f**n", "whole or half", None),
    ("f' = 2**2**2", "tower", None),
    ("f' = f/0", "division by zero", 8),
    ("f' = f/(f - f)", "division by zero", None),
    ("f' = log(0)", "finite", None),
    ("f' = sqrt(-1)", "finite", None),
    ("omega = 0", "no weight decay", 1),
    ("beta = 0", "no momentum", 1),
    ("f' = f.real", "cannot read", 7),
    ("f' = 'f'", "follows neither", 6),
    ("f' = f if f else f", "unknown name 'if'", 8),
    ("f' = lambda x: x", "unknown name 'x'", 13),
    ("__import__('os').system('ls') = 1", "cannot read", 1),
    ("f' = eval(f)", "unknown name 'eval'", 6),
    ("f' = f; import os = 1", "cannot read", 7),
    ("f' = (f, f)", "cannot read", None),
    ("f' = f @ f", "cannot read", 8),
    ("f' = f\x00", "cannot read", 7),
    ("conserved:", "conserved", None),
    ("conserved: f'", "without primes", None),
    (r"f' = \evil{f}", "not read", 6),
    (r"f_{s} = f", "cannot read", None),
    (r"\lambda_{0} = f", "only t and t+1", 8),
    (r"f' = \frac{1}{", "not closed", None),
    (r"f' = f} \cdot 2", "opens nowhere", 7),
    (r"f' = \frac.1n", "put braces around the argument", 11),
    (r"f' = \frac1.n", "put braces around the argument", 11),
    (r"f' = \tilde y", "only f carries", 6),
    (r"f' &= f \\ \lambda' &= \lambda", "second row", 9),
    ("(" * 40 + "f" + ")" * 40 + " = f", "nested deeper", None),
    ("f' = " + "-" * 50 + "f", "signs in a row", None),
    ("f' = f" + " + f" * 400, "tokens", None),
    ("f' = f" + " " * TEXT, "characters", None),
    ("f' = ((f + lam)**16)**16", "too large to judge", None),
    ("f' = (f' + lam' + eta + y + 1)**16", "too large to judge", None),
    ("f' = (f + lam + eta + n + y + 1)**16", "too large to judge", None),
    ("f' = " + "*".join(["(1 + f + lam + y)**9"] * 20), "too large to judge", None),
    ("f' = " + "*".join(["(10**16)**16"] * 9), "too large to judge", None),
    ("f' = 1/(" + ") + 1/(".join(f"f + {k}*lam + y**{k}" for k in range(9)) + ")", "large", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message", "position"), BAD)
def test_bad_text_gets_one_clear_error(words, uv, text, message, position) -> None:
    with pytest.raises(ClaimError, match=re.escape(message)) as caught:
        verify(text, words.update_map)
    if position is not None:
        assert f"position {position}" in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("claim", [None, 7, b"f = f", ["f = f"], sp.Symbol("f"), sp.true, sp.I])
def test_what_is_no_claim_is_refused(uv, claim) -> None:
    with pytest.raises(ClaimError):
        verify(claim, uv)


@pytest.mark.parametrize(
    "side",
    [
        sp.Symbol("f") ** 17,
        sp.Symbol("f") ** sp.Symbol("n"),
        sp.sin(sp.Symbol("f")),
        sp.Function("f")(sp.Symbol("n")),
        sp.Symbol("f") * sp.I,
        sp.oo,
        sp.Symbol("no such name"),
        sp.Symbol("f + 1"),
        sp.Integral(sp.Symbol("f"), sp.Symbol("f")),
        sp.Add(*(sp.Symbol("f") ** k * sp.Symbol("y") ** j for k in range(16) for j in range(16))),
    ],
)  # fmt: skip
def test_sympy_side_that_is_not_admitted_is_refused(uv, side) -> None:
    with pytest.raises(ClaimError):
        verify(sp.Eq(sp.Symbol("f'"), side, evaluate=False), uv)


@pytest.mark.parametrize(
    "where", ["", "y", "y =", "y = 0,, z = 1", 7, ["y = 0"] * 20, "y = 0 " * 3]
)
def test_hypotheses_that_cannot_be_read_are_refused(words, where) -> None:
    with pytest.raises(ClaimError):
        read_hypotheses(where, words)


# Sizes.


@pytest.mark.parametrize(
    "text",
    [
        "(x + y)**5",
        "(x + 1)**3/(x*y) + 1/x",
        "(x - y)*(x + y)/(x + 1) + 1/(x + 1)**2",
        "x*y*(3*x)**4",
    ],
)
def test_size_bounds_the_expansion(text) -> None:
    x, y = sp.symbols("x y")
    expression = sp.sympify(text, locals={"x": x, "y": y})
    top = sp.Poly(sp.fraction(sp.together(expression))[0], x, y)
    size = size_of(expression, {})
    assert len(top.terms()) <= size.terms <= TERMS
    assert top.total_degree() <= size.degree <= DEGREE


# Fuzzing: whatever the text, a verdict or a ClaimError.

# White space separates the pieces.
_PIECES = r"""
f lam lambda eta n y a b p q kappa Delta loss g f' lam' f_{t+1} f_t _next ' ( ) [ ] { } | + - *
/ ** ^ = == <= >= < > ≤ , ; . 0 1 2 3 17 0.5 1e9 1e99 sqrt( exp( log( tanh( abs( min( max( next(
\frac \frac{1}{n} \eta \lambda \left( \right) \tilde \sqrt \, $ & _ __class__ lambda: import
eval( ² √ λ η · and conserved: O( oo e^{
"""
PIECES = st.sampled_from(re.split(r"\s+", _PIECES.strip()))
NEUTRAL = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _read(text: str, vocabulary: Vocabulary) -> None:
    try:
        claim = read_claim(text, vocabulary)
    except ClaimError as error:
        message = str(error)
    else:
        message = str(claim.relations[0])
    assert 0 < len(message) < 2 * TEXT


@NEUTRAL
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(words, text) -> None:
    _read(text, words)


@NEUTRAL
@given(st.lists(PIECES, max_size=25).map(" ".join))
def test_any_sequence_of_tokens_is_read_or_refused(words, text) -> None:
    _read(text, words)
    _read(text.replace(" ", ""), words)


@NEUTRAL
@given(st.lists(PIECES, max_size=12).map(lambda p: "".join(p) + " = f"))
def test_any_left_side_is_read_or_refused(words, text) -> None:
    _read(text, words)


@pytest.mark.full
@settings(NEUTRAL, max_examples=30_000)
@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=60).map(" ".join)))
def test_any_text_is_read_or_refused_at_length(words, text) -> None:
    _read(text, words)


def test_exponents_up_to_the_bound_are_read(words) -> None:
    assert read_claim(f"f**{EXPONENT} >= 0", words).relations[0].left.as_base_exp()[1] == EXPONENT
