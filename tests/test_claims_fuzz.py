"""Hostile and mutated text: whatever it is, a verdict or one clear error, and soon.

Mutants are made from the tables of true and false claims by cutting, doubling and putting in
pieces of claims. All are read; a sample is judged too.
"""

from __future__ import annotations

import random
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catapult_theory.errors import ClaimError
from catapult_theory.rigor.claims.matrix_reading import read_matrix_claim
from catapult_theory.rigor.claims.matrix_tree import Misfit
from catapult_theory.rigor.claims.matrix_vocabulary import MatrixVocabulary
from catapult_theory.rigor.claims.reading import read_claim
from catapult_theory.rigor.claims.size import TEXT
from catapult_theory.rigor.claims.verdict import STATUSES
from catapult_theory.rigor.claims.verify import verdict_of
from catapult_theory.rigor.claims.vocabulary import Vocabulary
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive

SEEDS = {
    False: [
        "lambda' = lambda + eta*f**2/n*(eta*lambda - 4)",
        "a'**2 - 4*b' = (a**2 - 4*b)*(1 - b)**2",
        "f' = f - eta*lam*(f - y) + eta**2/n*(f - y)**2*f",
        "0 <= a' <= a",
        "|f| <= sqrt(n)*lam/2",
        "sqrt(f**2 + lam**2 + 2*f*lam) = f + lam",
        "max(a', a) = exp(f) + log(1 + lam) - tanh(y)",
        r"f_{t+1} = \left(1 - \eta\lambda_t + \frac{\eta^2 f_t^2}{n}\right) f_t",
        r"\mathcal{L}_{t+1} \leq \mathcal L_t",
        "conserved: lam**2 - Delta**2",
        "fₜ₊₁ = fₜ(1 - ηλₜ + η²fₜ²/n)",
    ],
    True: [
        "W' = W - eta*(S*Z + Z*G) + eta**2/n*Z*W.T*Z",
        "G' = G - eta/n*(W.T@Z + Z^T@W) + eta**2/n*Z.T*S*Z",
        "f_α' = f_α − η Θ_αβ f̃_β + (η²/nm)(x_α·ζ)(fᵀf̃)",
        r"\Theta_{\alpha\beta}^{t+1} = \Theta_{\alpha\beta} - \frac{\eta}{nm} (x_\alpha\cdot\zeta)",
        r"\zeta = \frac1m \sum_\alpha \tilde f_\alpha x_\alpha",
        r"\lVert \zeta \rVert^2 \geq 0",
        "tr(Z*G*Z.T) + norm(W)**2 <= 4*loss",
        "W_ia' = W_ia - eta*(S_ij*Z_ja + Z_ib*G_ba)",
        "(W*(I + G))' = W' + W'*G'",
        "conserved: trace(G) - trace(S)",
        "f.T*ftilde/(f.T*f) = 1 - sqrt(n)*abs(tr(S))",
    ],
}  # fmt: skip
# White space separates the pieces; the last ones have names.
PIECES = [*re.split(
    r"\s+",
    r"""f lam eta n y Z W S G Theta zeta g X I loss m d k a b q kappa ' _ ^ { } ( ) [ ] | * / + - **
    @ · = <= >= < , ; . : & $ ~ \ \\ ! \frac \sum_ \alpha \tilde \left \right \cdot \top ^T .T ᵀ Σ_
    sum_ x_ α ² ³ √ 0 1 2 9 16 17 0.5 1e9 1e99 sqrt( exp( log( abs( tr( next( norm( min( dot(
    total( _{t+1} (t+1) _{ab} _{αβ} __ __class__ lambda: import eval(""",
), "\u0303", "\x00", "\u202e", " "]  # fmt: skip


@pytest.fixture(scope="module")
def words():
    return {
        False: Vocabulary.of(derive(models.uv(label=True))),
        True: MatrixVocabulary.of(derive(models.linear())),
    }


def mutant(source: random.Random, text: str) -> str:
    """Return a text with one to three places cut, doubled or filled with a piece."""
    for _ in range(source.choice([1, 1, 1, 2, 3])):
        at = source.randrange(len(text) + 1)
        end = min(len(text), at + source.randint(0, 6))
        kind = source.random()
        piece = source.choice(PIECES)
        if kind < 0.3:
            text = text[:at] + text[end:]
        elif kind < 0.6:
            text = text[:at] + piece + text[at:]
        elif kind < 0.9:
            text = text[:at] + piece + text[end:]
        else:
            text = text[:at] + text[at:end] * source.randint(2, 40) + text[end:]
    return text


def read(words, is_matrix: bool, text: str) -> str:
    """Read a text, and return what came of it."""
    try:
        if is_matrix:
            read_matrix_claim(text, words[True]).relations()
        else:
            read_claim(text, words[False])
    except ClaimError as error:
        message = str(error)
    except Misfit:
        return "misfit"
    else:
        return "read"
    assert 0 < len(message) < 2 * TEXT
    return "refused"


def fuzz(words, seed: int, count: int, judged_of: int) -> dict[str, int]:
    """Read mutants, judge a sample of those that can be read, and return the counts."""
    source = random.Random(seed)
    counts = {"read": 0, "refused": 0, "misfit": 0, "judged": 0}
    for i in range(count):
        is_matrix = bool(i % 2)
        text = mutant(source, source.choice(SEEDS[is_matrix]))
        start = time.process_time()
        found = read(words, is_matrix, text)
        assert time.process_time() - start < 5, text
        counts[found] += 1
        if found != "refused" and source.randrange(judged_of) == 0:
            try:
                verdict = verdict_of(text, words[is_matrix], None, None, 20.0)
            except ClaimError:
                continue
            assert verdict.status in STATUSES
            assert str(verdict)
            counts["judged"] += 1
    return counts


def test_mutated_claims_are_read_or_refused_and_a_sample_is_judged(words) -> None:
    counts = fuzz(words, 1, 1000, judged_of=12)
    assert counts["read"] > 80
    assert counts["judged"] > 4


@pytest.mark.full
def test_a_million_mutated_claims_are_read_or_refused(words, capsys) -> None:
    counts = fuzz(words, 2, 1_000_000, judged_of=100)
    with capsys.disabled():
        print(f"\nmutated claims: {counts}")
    assert counts["read"] + counts["refused"] + counts["misfit"] == 1_000_000


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80))
def test_any_text_about_matrices_is_read_or_refused(text) -> None:
    read({True: _matrix_words()}, True, text)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25), st.sampled_from(["", " "]))
def test_any_pieces_about_matrices_are_read_or_refused(pieces, between) -> None:
    read({True: _matrix_words()}, True, between.join(pieces))
    read({True: _matrix_words()}, True, f"W' = {between.join(pieces)}")


def _matrix_words(found: list[MatrixVocabulary] = []) -> MatrixVocabulary:  # noqa: B006
    if not found:
        found.append(MatrixVocabulary.of(derive(models.linear())))
    return found[0]


HOSTILE = [
    "W' = " + "(" * 400 + "W" + ")" * 400,
    "W' = " + "*".join(["(S*S + G)"] * 40),
    "S = " + "*".join(["(S + S*S + S*S*S + 1)"] * 20),
    "S = (S + eta + n + m + d)**16",
    "S = ((S + eta + n)**16)**16",
    "W' = W**99999",
    "loss' = (loss' + tr(G') + tr(S'))**16",
    "loss' = loss'*loss'*loss'*loss'*loss'*loss'*loss'*loss'*loss'*loss'",
    "S = 10**16**16",
    "S = sqrt(sqrt(sqrt(sqrt(S))))",
    "S = exp(exp(exp(exp(S))))",
    "W' = W" + ".T" * 300,
    "W' = W" + "'" * 300,
    "f_" + "a" * 300 + " = f",
    "W_{" + ",".join("abcdefghij") + "} = W",
    "W' = W._name",
    "W' = W.T.__class__",
    "W' = W[0]",
    "W' = W[__import__('os')]",
    "W' = (lambda: W)()",
    "W' = [x for x in W]",
    "W' = W if W else Z",
    "W' = W; import os",
    "W' = f'{W}'",
    "next(next(W)) = W",
    r"W' = \input{/etc/passwd}",
    r"W' = \sum" + r"_{\alpha}" * 200 + " W",
    "Σ_αβγδ f_α = 1",
    "S = 1/(S - S)",
    "S = 1/(1/(1/(1/(S + 1) + S) + S) + S)" * 1,
    "\\" * 500 + " = W",
    "W' = W \u202e = W",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_about_matrices_gets_one_answer_soon(words, text) -> None:
    start = time.process_time()
    try:
        answer = verdict_of(text, words[True], None, None, 20.0).status
    except ClaimError as error:
        answer = str(error)
    assert answer in STATUSES or 0 < len(answer) < 600
    # A second on an idle machine; processor time is counted, which other programs do not take.
    assert time.process_time() - start < 4
