"""True claims are never refuted, false ones are found, and what is not known is said.

The claims are theory, section 5, and perturbations of it. Counterexamples are put into the
update equations of sections 3.1 and 3.2 as written there, in fractions.
"""

from __future__ import annotations

import functools
import math
import time
from fractions import Fraction

import pytest
from typer.testing import CliRunner

import catapult_theory as ct
from catapult_theory import cli
from catapult_theory.errors import ClaimError, InputError, MissingBackend
from catapult_theory.rigor import optional_parts
from catapult_theory.rigor.claims.counterexample import Goal
from catapult_theory.rigor.claims.problem import Facts, margin
from catapult_theory.rigor.claims.reading import read_claim, read_hypotheses
from catapult_theory.rigor.claims.vocabulary import Vocabulary
from catapult_theory.rigor.falsification import smt
from catapult_theory.rigor.falsification.result import STATUSES
from catapult_theory.rigor.falsification.search import METHODS, _goal, _violated

RECIPES = {
    "uv": ({}, "gd"),
    "label": ({"label": True}, "gd"),
    "decay": ({}, "weight_decay"),
    "momentum": ({}, "heavy_ball"),
}
BELOW_EDGE = "a <= 4 + kappa*p, kappa >= 0, kappa < 2"


@functools.cache
def derived(name: str) -> ct.UpdateMap:
    options, optimizer = RECIPES[name]
    return ct.derive(ct.models.uv(**options), optimizer=optimizer)


# (map, claim, hypotheses, status)
def full(*case):
    return pytest.param(*case, marks=pytest.mark.full)


ONE_STEP = [
    # T2: the domain is invariant, and what nearly is.
    ("uv", "4*b' <= a'^2", None, "proved"),
    ("uv", "5*b' <= a'^2", None, "counterexample"),
    ("uv", "a'^2 - 4*b' <= a^2 - 4*b", "b < 2", "proved"),
    ("uv", "a'^2 - 4*b' <= a^2 - 4*b", "b < 3", "counterexample"),
    ("uv", "a' >= 0", None, "proved"),
    ("uv", "a' > 0", "a > 0", "counterexample"),
    # T3 and T6: 4 is sharp.
    ("uv", "lam_next <= lam", "eta*lam < 4", "proved"),
    ("uv", "lam_next <= lam", "eta*lam < 401/100", "counterexample"),
    ("uv", "lam_next < lam", "eta*lam < 4", "counterexample"),
    ("uv", "lam_next >= lam", "a > 4", "proved"),
    ("uv", "lam_next >= lam", "a > 39/10", "counterexample"),
    # T5: the exception is real, and the only one.
    ("uv", "b' > 0", "b > 0, a < 4", "counterexample"),
    ("uv", "b' > 0", "b > 0, b > a - 1", "proved"),
    ("uv", "b' > 0", "b > 0, b < a - 1", "proved"),
    # T7.
    ("uv", "loss' < loss", "b > 0, a - 2 < b, b < a", "proved"),
    full("uv", "loss' < loss", "b > 0, a - 21/10 < b, b < a", "counterexample"),
    ("uv", "loss' < loss", "b > 0, a < 2", "proved"),
    ("uv", "loss' < loss", "b > 0, a < 21/10", "counterexample"),
    # Weight decay.
    full("decay", "a' < a", "a < 4 - 2*eta*omega, a > 0, omega > 0", "proved"),
    ("decay", "a' < a", "a < 4 - eta*omega, a > 0, omega > 0", "counterexample"),
    # The labelled edge and escape.
    full("label", "a' <= 4 + kappa*p'", BELOW_EDGE, "proved"),
    full("label", "abs(p') <= 2", BELOW_EDGE, "proved"),
    full("label", "abs(p') <= 19/10", BELOW_EDGE, "counterexample"),
    ("label", "lam_next <= lam", "a < 4, kappa > 0", "counterexample"),
    # Equations.
    ("uv", "f' = f*(1 - eta*lam)", None, "counterexample"),
    ("uv", "b' = b*(1 - a + b)^2", None, "proved"),
]


@functools.cache
def searched(name: str, claim: str, where: str | None) -> ct.Falsification:
    return ct.falsify(claim, derived(name), where=where, seconds=120)


@pytest.mark.parametrize(("name", "claim", "where", "status"), ONE_STEP)
def test_a_claim_about_one_step(name, claim, where, status):
    found = searched(name, claim, where)
    assert found.status == status, str(found)
    assert bool(found) == (status == "proved")
    assert (found.counterexample is not None) == (status == "counterexample")


def test_half_of_the_table_is_false():
    rows = [getattr(row, "values", row) for row in ONE_STEP]
    false = sum(status == "counterexample" for *_, status in rows)
    assert abs(false - len(ONE_STEP) / 2) <= 2


def groups(numbers) -> tuple[Fraction, Fraction]:
    eta, f, lam, n = (Fraction(numbers[k]) for k in ("eta", "f", "lam", "n"))
    return eta * lam, eta**2 * f**2 / n


def step(a: Fraction, b: Fraction) -> tuple[Fraction, Fraction]:
    """The dimensionless map of theory, section 3.2."""
    return a + b * (a - 4), b * (1 - a + b) ** 2


REFUTES = {
    "5*b' <= a'^2": lambda a, b, c, d: 5 * d > c**2,
    "lam_next <= lam": lambda a, b, c, d: c > a,
    "lam_next >= lam": lambda a, b, c, d: c < a,
    "b' > 0": lambda a, b, c, d: d <= 0,
    "loss' < loss": lambda a, b, c, d: d >= b,
}


@pytest.mark.parametrize(
    ("claim", "where"),
    [row[1:3] for row in ONE_STEP if "uv" in row and "counterexample" in row and row[1] in REFUTES],
)
def test_a_counterexample_refutes_by_hand(claim, where):
    numbers = searched("uv", claim, where).counterexample
    a, b = groups(numbers)
    assert 4 * b <= a**2
    assert REFUTES[claim](a, b, *step(a, b))


# Orbits


ORBITS = [
    ("uv", "lam_next <= lam", "a < 4", 1000, "proved"),
    ("uv", "always: 4*b <= a^2", None, 1000, "proved"),
    full("label", "a <= 4 + 2*kappa", BELOW_EDGE, 1000, "proved"),
    full("label", "abs(p) <= 2", BELOW_EDGE + ", abs(p) <= 2", 1000, "proved"),
    ("uv", "always: lam_next <= lam", "a < 9/2", 20, "counterexample"),
    ("uv", "always: b > 0", "b > 0, a < 4", 20, "counterexample"),
    full("uv", "always: a > 5/2", "a = 3, b > 1/100", 30, "counterexample"),
]


@pytest.mark.parametrize(("name", "claim", "where", "steps", "status"), ORBITS)
def test_a_claim_about_an_orbit(name, claim, where, steps, status):
    pytest.importorskip("flint")
    found = ct.falsify(claim, derived(name), where=where, steps=steps, seconds=120)
    assert found.status == status, str(found)
    assert found.steps == steps


def test_what_cannot_be_proved_by_induction_is_not_called_proved():
    pytest.importorskip("flint")
    where = "a >= 4 + 4*kappa, kappa > 0"
    escape = ct.falsify("a >= 4 + 3*kappa", derived("label"), where=where, steps=6, tries=8,
                        seconds=60, methods=("algebra", "hypothesis"))  # fmt: skip
    assert escape.status == "not falsified"
    assert escape.tries > 0
    assert "proves nothing" in str(escape)


def test_the_exceptional_set_is_found_and_not_typed_in():
    """T5: the final curvature is at most 2, unless the orbit meets b = a - 1."""
    pytest.importorskip("flint")
    claim, where = "eventually: a <= 2", "b > 1/10, a < 4"
    found = ct.falsify(claim, derived("uv"), where=where, steps=60, seconds=120)
    assert found.status == "counterexample", str(found)
    assert found.level == "exact"
    assert found.counterexample.rests
    a, b = groups(found.counterexample)
    for _ in range(found.counterexample.step):
        a, b = (a, b) if b == a - 1 else step(a, b)
    assert b == a - 1
    assert step(a, b) == ((a - 2) ** 2, 0)
    assert (a - 2) ** 2 > 2


# What is not known


IMPOSSIBLE = [
    ("uv", "a < 4, a > 5"),
    ("uv", "b > a^2/4"),
    ("label", "kappa > 2, p > 0, f < 0"),
    ("uv", "lam < 0"),
]


@pytest.mark.parametrize(("name", "where"), IMPOSSIBLE)
@pytest.mark.parametrize("steps", [None, 5])
def test_hypotheses_that_cannot_be_met_prove_nothing(name, where, steps):
    found = ct.falsify("lam_next <= lam", derived(name), where=where, steps=steps, seconds=120)
    assert found.status == "hypotheses cannot be met"
    assert not found


def asked(name: str, claim: str, where: str | None):
    words = Vocabulary.of(derived(name))
    (relation,) = read_claim(claim, words).relations
    expression, kind = margin(relation, words)
    names = (str(relation.left), relation.sign, str(relation.right))
    goal = Goal(words.resolved(relation.left), words.resolved(relation.right), expression, kind,
                names)  # fmt: skip
    hypotheses = tuple((h.text, h.relations) for h in read_hypotheses(where, words))
    return goal, Facts(words, hypotheses, goal.symbols)


SOLVED = [
    ("uv", "lam_next <= lam", "eta*lam < 4", "unsat"),
    ("uv", "lam_next <= lam", "eta*lam < 5", "sat"),
    ("uv", "b' > 0", "b > 0, a < 4", "sat"),
    ("uv", "b' > 0", "b > 0, b < a - 1", "unsat"),
    ("uv", "loss' < loss", "b > 0, a < 2", "unsat"),
    ("uv", "loss' < loss", "b > 0, a < 21/10", "sat"),
    ("label", "a' <= 4 + kappa*p'", BELOW_EDGE, "unsat"),
    full("label", "loss' <= loss", "a < 1, kappa > 0, kappa < 1/2", "unsat"),
    ("uv", "4*b' <= a'^2", None, "unsat"),
]


@pytest.mark.parametrize(("name", "claim", "where", "status"), SOLVED)
def test_the_solver_alone_says_the_same(name, claim, where, status):
    pytest.importorskip("z3")
    goal, facts = asked(name, claim, where)
    answer = smt.violation(goal, facts, 60)
    assert answer.status == status, answer
    if status == "sat":
        assert goal.is_false_at(answer.point)
        assert all(isinstance(x, Fraction) for x in answer.point.values())
    assert smt.can_be_met(facts, 60).status == "sat"


def test_the_solver_sees_contradictions():
    pytest.importorskip("z3")
    _, facts = asked("uv", "lam_next <= lam", "a < 4, a > 5")
    assert smt.can_be_met(facts, 60).status == "unsat"


def test_a_violation_of_necessary_inequalities_is_not_called_a_counterexample():
    pytest.importorskip("z3")
    goal, facts = asked("momentum", "lam_next <= lam", "a < 1")
    answer = smt.violation(goal, facts, 60)
    assert answer.status == "unknown"
    assert "need not be a network's" in answer.reason


def test_unknown_is_said_to_be_unknown(monkeypatch):
    pytest.importorskip("z3")
    monkeypatch.setattr(smt._Query, "check", lambda self: "unknown")
    claim = "a'^2*a + b' >= b^3 - 10*a*b - 1/7"
    # With nothing but the solver left, and no answer from it.
    found = ct.falsify(claim, derived("uv"), where="a < 5/2, a > 1, b < 1/3", tries=1)
    if found.status not in ("proved", "counterexample"):
        assert found.status == "unknown"
        assert "z3" in found.hint
    goal, facts = asked("uv", "lam_next <= lam", "eta*lam < 4")
    assert smt.violation(goal, facts, 5).status == "unknown"


HOSTILE = [
    "a'^9 + b'^7 >= a^5*b^3 - 1",
    "(a'*b' - 3)^4 + (a - b')^6 + 1/1000 >= a'*b*(a - 2)^3",
    "abs(abs(abs(a' - b) - b') - a) <= max(a, b', 3)^3",
    "(" * 200 + "a" + ")" * 200 + " <= 1",
    "a'^999999999 <= 1",
    "__import__('os').system('true') <= 1",
    "always: " * 50 + "a <= 1",
    "exp(exp(exp(a'))) <= exp(exp(exp(a)))",
]


@pytest.mark.parametrize("claim", HOSTILE, ids=lambda c: c[:24])
def test_hostile_claims_end(claim):
    start = time.monotonic()
    try:
        found = ct.falsify(claim, derived("label"), seconds=1, tries=5)
        assert found.status in STATUSES
    except ClaimError:
        pass
    # Not a measurement: without any bound it would be hours.
    assert time.monotonic() - start < 120


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"steps": 0}, InputError),
        ({"steps": 10**9}, InputError),
        ({"tries": -1}, InputError),
        ({"seed": 0.5}, InputError),
        ({"seconds": math.nan}, InputError),
        ({"methods": ("luck",)}, InputError),
        ({"where": "a <"}, ClaimError),
    ],
)
def test_what_cannot_be_searched_is_refused(options, error):
    with pytest.raises(error):
        ct.falsify("lam_next <= lam", derived("uv"), **options)


@pytest.mark.parametrize(("package", "line"), [("z3", "z3-solver"), ("hypothesis", "hypothesis")])
def test_a_missing_package_is_named_with_the_line_that_installs_it(package, line, monkeypatch):
    def missing(name):
        if name == package:
            raise ImportError(name)
        return __import__(name)

    monkeypatch.setattr(optional_parts, "import_module", missing)
    goal, facts = asked("uv", "lam_next <= lam", "eta*lam < 5")
    call = {
        "z3": lambda: smt.violation(goal, facts, 1),
        "hypothesis": lambda: ct.falsify("always: a >= 0", derived("label"), where="a < 3, b < 1"),
    }
    with pytest.raises(MissingBackend, match=line):
        call[package]()


def test_matrix_models_are_judged_for_one_step_and_orbits_are_refused():
    linear = ct.derive(ct.models.linear())
    assert ct.falsify("S' = 2*S", linear).status == "counterexample"
    with pytest.raises(ClaimError, match="matrix_states"):
        ct.falsify("always: S' = S", linear)


@pytest.mark.full
def test_the_same_seed_gives_the_same_result():
    pytest.importorskip("flint")
    results = {
        str(ct.falsify("always: b > 0", derived("uv"), where="b > 0, a < 4", steps=5, seed=3))
        for _ in range(2)
    }
    assert len(results) == 1


def test_the_default_model_is_the_uv_model_and_methods_are_named():
    assert ct.falsify("lam_next <= lam", where="eta*lam < 4")
    assert METHODS == ("algebra", "hypothesis", "descent", "z3")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["lam_next <= lam", "--where", "eta*lam < 4"], 0, "PROVED"),
        (["lam_next <= lam", "--where", "eta*lam < 5"], 1, "so that lam' <= lam is false"),
        (["lam_next <= lam", "--where", "a < 4, a > 5"], 3, "CANNOT BE MET"),
        (["lam_next <="], 2, ""),
        (["b' > 0", "--where", "b > 0, a < 4", "--steps", "5", "--model", "uv"], 1, "FALSE"),
    ],
)
def test_the_command_line_says_it_with_its_exit_code(arguments, code, says):
    outcome = CliRunner().invoke(cli.app, ["falsify", *arguments])
    assert outcome.exit_code == code, outcome.output
    assert says in outcome.output


def test_states_that_could_not_be_drawn_are_not_counted_as_tries():
    ball, claim = derived("momentum"), "lam' <= lam + 1000*(1 + abs(f))^9 + x3^2"
    few = {"seconds": 2, "tries": 7, "methods": ("hypothesis",)}
    refused = ct.falsify(claim, ball, where="f = 0", **few)
    assert (refused.tries, refused.status) == (0, "not falsified")
    assert "no states were drawn: an equation in where fixes a state variable" in refused.hint
    assert "timeout" not in refused.hint  # which is not an argument here
    drawn = ct.falsify(claim, ball, **few)
    assert 0 < drawn.tries <= 7 or drawn.status == "counterexample"


def test_a_link_about_a_quantity_that_is_not_drawn_is_passed_over():
    words = Vocabulary.of(derived("uv"))
    links = [_goal(r, words) for r in read_claim("Delta <= f <= 0", words).relations]
    state = {words.base[name]: Fraction(1) for name in ("f", "lam", "eta", "n")}
    assert [g.names for g in _violated(links, state)] == [("f", "<=", "0")]
