"""A false equation that a small change makes right is mended, and by that change.

Mutants are made from exact equations by one slip each; what mends them must hold, and must
not be an equation that says nothing.
"""

from __future__ import annotations

import ast

import pytest

from catapult_theory.rigor import verify
from catapult_theory.rigor.claims.edits import MOST_EDITS, Editor
from catapult_theory.rigor.claims.words import words_of
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive

FULL = (
    "f_alpha' = f_alpha - eta*Theta_{alpha beta}*ftilde_beta"
    " + eta**2/(n*m)*(x_alpha·ζ)*(f.T*ftilde)"
)
W = "W' = W - eta*(S*Z + Z*G) + eta**2/n*Z*W.T*Z"
G = "G' = G - eta/n*(W.T*Z + Z.T*W) + eta**2/n*Z.T*S*Z"
LAM = "lam' = lam + eta*f**2/n*(eta*lam - 4)"
LABEL = "f' = f - eta*lam*(f - y) + eta**2/n*(f - y)**2*f"

# (map, exact equation, what is changed in it, into what, a word of the hint)
SLIPS = [
    ("uv", LAM, "- 4", "+ 4", "sign"),
    ("uv", LAM, "4", "2", "factor"),
    ("uv", LAM, "/n", "/n**2", "power"),
    ("uv", LAM, "/n", "/sqrt(n)", "power"),
    ("uv", LAM, "/n", "", "factor"),
    ("uv", LAM, "f**2", "f", "power"),
    ("uv", "b' = b*(1 - a + b)**2", ")**2", ")", "power"),
    ("uv", "b' = b*(1 - a + b)**2", "+ b", "- b", "sign"),
    ("uv", "Delta' = (1 - eta**2*f**2/n)*Delta", "1 -", "1 +", "sign"),
    ("uv", "a'**2 - 4*b' = (a**2 - 4*b)*(1 - b)**2", "4*b'", "2*b'", "factor"),
    ("uv", "a' = a - 4*b + a*b", "4*b + a*b", "2*b - a*b", "and"),
    ("label", LABEL, "lam*(f - y)", "lam*f", "name"),
    ("label", LABEL, "lam*(f - y)", "lam*(f + y)", "sign"),
    ("label", LABEL, "2/n*(f - y)**2*f", "2/n*f**3", "name"),
    ("label", LABEL, "- eta", "+ eta", "sign"),
    ("label", "p' = p*(1 - a + p*(p + kappa))", "p + kappa", "p - kappa", "sign"),
    ("label", "lam' = lam - 4*eta/n*g*f + eta**2/n*g**2*lam", "g*f", "f**2", "name"),
    ("decay", "f' = (1 - eta*omega)**2*f - eta*(1 - eta*omega)*lam*g + eta**2/n*g**2*f",
     "(1 - eta*omega)**2*f", "f", "factor"),
    ("many", W, "W.T", "W", "transpose"),
    ("many", W, "S*Z + Z*G", "Z*S + G*Z", "exchanged"),
    ("many", W, "S*Z + Z*G", "S*Z - Z*G", "sign"),
    ("many", W, "eta*(", "2*eta*(", "factor"),
    ("many", W, "/n", "/n**2", "power"),
    ("many", W, "/n*", "*", "factor"),
    ("many", G, "Z.T*S*Z", "Z.T*Z", "forgotten"),
    ("many", G, "Z.T*S*Z", "Z*S*Z.T", "transpose"),
    ("many", G, "Z.T*S*Z", "Z.T*G*Z", "name"),
    ("many", G, "Z.T*W", "W.T*Z", "transpose"),
    ("many", "loss = |g|^2/(2*m)", "g", "f", "name"),
    ("many", "loss = |g|^2/(2*m)", "2*m", "m", "factor"),
    ("many", "loss = |g|^2/(2*m)", "^2", "", "power"),
    ("one", FULL, "ftilde_beta", "f_beta", "name"),
    ("one", FULL, "ftilde_beta", "ftilde_alpha", "index"),
    ("one", FULL, "- eta", "+ eta", "sign"),
    ("one", FULL, "(n*m)", "n", "factor"),
    ("one", FULL, "(n*m)", "(n**2*m)", "power"),
    ("one", FULL, "f.T*ftilde", "f.T*f", "name"),
    ("one", FULL, "eta**2", "eta", "power"),
]  # fmt: skip


@pytest.fixture(scope="module")
def maps():
    return {
        "uv": derive(models.uv()),
        "label": derive(models.uv(label=True)),
        "decay": derive(models.uv(label=True), optimizer="weight_decay"),
        "one": derive(models.linear()),
        "many": derive(models.linear(outputs=None)),
    }


@pytest.mark.parametrize(("name", "equation", "old", "new", "word"), SLIPS)
def test_one_slip_is_mended_and_named(maps, name, equation, old, new, word) -> None:
    assert verify(equation, maps[name]).status == "holds"
    wrong = equation.replace(old, new, 1)
    verdict = verify(wrong, maps[name])
    assert verdict.status in ("fails", "holds-asymptotically")
    assert verdict.mended, str(verdict)
    assert word in verdict.hint, verdict.hint
    assert verify(verdict.mended, maps[name]).status == "holds", verdict.mended


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        ("uv", "f' = f"),
        ("uv", "lam' = lam"),
        ("uv", "f' = f*(1 - eta*lam)"),
        ("uv", "conserved: lam"),
        ("many", "W' = W"),
        ("many", "conserved: trace(G)"),
        ("many", "S*S' = S'*S"),
        ("one", "Theta_{alpha beta}' = Theta_{alpha beta}"),
    ],
)
def test_what_no_small_change_makes_right_is_not_mended(maps, name, claim) -> None:
    assert verify(claim, maps[name]).mended == ""


def test_a_claim_that_holds_needs_no_mending(maps) -> None:
    assert verify(LAM, maps["uv"]).mended == ""


def test_the_number_of_edits_is_bounded() -> None:
    text = "x == " + " + ".join(f"{k}*f**2*(lam - {k})*(eta + n)" for k in range(40))
    tree = ast.parse(text, mode="eval").body
    names = frozenset({"f", "g", "lam", "eta", "n"})
    assert len(list(Editor(tree, names, False).edits())) == MOST_EDITS


@pytest.mark.parametrize(
    "text",
    ["a - (b - c)", "a/(b*c)", "(a + b)**2*c", "next(W)*transpose(Z)", "-(a + b)*c", "a - -b",
     "f[i_a] + Theta[i_a, i_b]*g[i_b]", "sqrt(n)*abs(f)", "a*(b + 0)", "(a@b)//c"],
)  # fmt: skip
def test_words_keep_the_meaning_of_a_tree(text) -> None:
    tree = ast.parse(text, mode="eval").body
    again = words_of(tree)
    plain = again.replace("·", "//").replace("_{a b}", "[i_a, i_b]")
    for label in "ab":
        plain = plain.replace(f"_{{{label}}}", f"[i_{label}]")
    plain = plain.replace("W'", "next(W)").replace("Z.T", "transpose(Z)")
    values = {"a": 3, "b": 5, "c": 7}
    if set("WZfn") & set(text):
        assert words_of(ast.parse(plain, mode="eval").body) == again
        return
    names = compile(ast.Expression(ast.fix_missing_locations(tree)), "", "eval").co_names
    if "@" not in text:
        assert set(names) <= set(values)
        assert _value(tree, values) == _value(ast.parse(plain, mode="eval").body, values)


def _value(node: ast.expr, values: dict[str, int]) -> float:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return values[node.id]
    if isinstance(node, ast.UnaryOp):
        return -_value(node.operand, values)
    left, right = _value(node.left, values), _value(node.right, values)
    return {
        ast.Add: lambda: left + right, ast.Sub: lambda: left - right,
        ast.Mult: lambda: left * right, ast.Div: lambda: left / right,
        ast.Pow: lambda: left**right,
    }[type(node.op)]()  # fmt: skip
