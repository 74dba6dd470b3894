"""The registry of statements: all have their parts, checks pass, orbits do not contradict them."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from functools import cache

import numpy as np
import pytest
import sympy as sp
from sympy.core.function import AppliedUndef

import catapult_theory as ct
from catapult_theory import cli
from catapult_theory.errors import InputError
from catapult_theory.rigor.proofs import coq
from catapult_theory.rigor.statements import balls as statement_balls
from catapult_theory.rigor.statements.checks import ByAlgebra, ByCoq, ByRunning
from catapult_theory.rigor.statements.registry import check_statements, statements
from catapult_theory.rigor.statements.statement import LEVELS, as_claim, t

ALL = {s.id: s for s in statements()}
needs_coq = pytest.mark.skipif(shutil.which("coqc") is None, reason=f"no coqc: {coq.REMEDY}")

# The levels that the theory's table gives, or higher ones.
REACHED = {
    **dict.fromkeys(("T1", "T2", "T3", "T4", "T5", "T6", "T7", "trap", "trap_y"), "proved"),
    **dict.fromkeys(("escape", "edge", "edge-2", "sharp", "wd", "factor"), "proved"),
    **dict.fromkeys(("trap_s", "cone", "cycle"), "proved"),
    **dict.fromkeys(("convergence", "flat", "divergence", "samples-A", "samples-B"), "proved"),
    **dict.fromkeys(("edge-3", "edge-4", "momentum-edge"), "measured"),
    "samples-refuted": "certified",
}


@pytest.mark.parametrize("statement", ALL.values(), ids=lambda s: s.id)
def test_a_statement_has_all_its_parts(statement):
    assert statement.level in LEVELS
    assert statement.sentence
    assert statement.source
    assert statement.check.how
    assert statement.conclusion or statement.level == "conjectured"
    assert all(
        isinstance(r, (sp.logic.boolalg.Boolean, sp.core.relational.Relational))
        for r in (*statement.hypotheses, *statement.conclusion)
    )


def test_ids_are_unique_and_levels_no_lower_than_the_theory_has_them():
    assert len(ALL) == len(statements())
    for name, level in REACHED.items():
        assert LEVELS.index(ALL[name].level) <= LEVELS.index(level), name


def quick(kind):
    return [s.id for s in ALL.values() if isinstance(s.check, kind)]


# Long ones are run by the full tier, and by `catapult statements`.
SLOW = {"momentum-linear", "momentum-edge", "balanced-chaos"}


@pytest.mark.parametrize("name", [x for x in quick((ByAlgebra, ByRunning)) if x not in SLOW])
def test_what_is_decided_certified_or_measured_is_so_again(name):
    if ALL[name].level == "certified":
        pytest.importorskip("flint")
    (checked,) = check_statements([name])
    assert checked.status == "passed", checked.finding.detail


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(SLOW))
def test_what_takes_longer_is_so_again(name):
    (checked,) = check_statements([name])
    assert checked.status == "passed", checked.finding.detail


@needs_coq
@pytest.mark.full
def test_a_proved_statement_is_checked_by_coq():
    (checked,) = check_statements(["wd"])
    assert checked.status == "passed", checked.finding.detail


def test_without_coq_a_proof_is_not_checked(monkeypatch):
    monkeypatch.setattr(coq.shutil, "which", lambda _: None)
    found = list(check_statements(["T3", "edge"]))
    assert [c.status for c in found] == ["not checked", "not checked"]
    assert all("apt-get install coq" in c.finding.detail for c in found)


FALSE = {
    "imbalance": ("-", "+"),
    "peak": ("/8", "/9"),
    "edge-factor": ("kappa", "2*kappa"),
    "full-output": (None, "f_alpha' = f_alpha - 2*eta*Theta_{alpha beta}*ftilde_beta"),
}


@pytest.mark.parametrize("name", FALSE)
def test_a_wrong_statement_fails_its_check(name):
    old, new = FALSE[name]
    right = ALL[name]
    claims = (new,) if old is None else (as_claim(right.conclusion[0]).replace(old, new),)
    wrong = dataclasses.replace(right, check=dataclasses.replace(right.check, claims=claims))
    assert wrong.check.run(wrong).status == "failed"


def test_a_check_in_balls_leaves_their_precision_as_it_was():
    flint = pytest.importorskip("flint")
    before = flint.ctx.prec
    assert statement_balls.samples_counterexample()[0]
    assert flint.ctx.prec == before


def test_an_unknown_id_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="T8"):
        check_statements(["T8"])


# --- orbits as witnesses: they share the update map alone with the statements ---

ORBITS, STEPS = 1000, 60


@cache
def orbits(kappas, seed):
    """Quantities along orbits of the labelled map in long double; eta = n = 1: y is kappa."""
    rng = np.random.default_rng(seed)
    k = rng.choice(kappas, ORBITS).astype(np.longdouble)
    lam = rng.uniform(0, 7, ORBITS).astype(np.longdouble)
    f = rng.uniform(-0.5, 0.5, ORBITS) * lam
    update_map = ct.derive(ct.models.uv(label=True))
    names = ("f", "lam", "eta", "n", "y")
    by_name = {s.name: s for s in (*update_map.variables, *update_map.constants)}
    new = sp.lambdify([by_name[x] for x in names], list(update_map.updates.values()), "numpy")
    rows = [(f, lam)]
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            f, lam = new(f, lam, 1, 1, k)
            rows.append((f, lam))
        f, lam = (np.array(x) for x in zip(*rows, strict=True))
        found = {"f": f, "lam": lam, "a": lam, "q": f, "b": f**2, "p": f - k}
        return found | {"loss": (f - k) ** 2 / 2}, k


def truth(relation, values, constants, steps):
    """Whether a relation holds, by step and orbit; equations to rounding. None if not evaluable."""
    calls = {}
    for call in relation.atoms(AppliedUndef):
        place = {t: slice(0, steps), t + 1: slice(1, steps + 1), sp.S.Zero: slice(0, 1)}
        if call.args[0] not in place or call.func.__name__ not in values:
            return None
        calls[call] = values[call.func.__name__][place[call.args[0]]]
    if relation.has(sp.Limit, sp.Sum) or not hasattr(relation, "lhs"):
        return None
    free = relation.free_symbols - {t}
    if not {s.name for s in free} <= constants.keys():
        return None
    dummies = {c: sp.Symbol(f"x{i}") for i, c in enumerate(calls)}
    if t in relation.xreplace(dummies).free_symbols:
        return None
    arguments = [*dummies.values(), *free]
    numbers = [*calls.values(), *(constants[s.name] for s in free)]
    with np.errstate(all="ignore"):
        sides = [
            sp.lambdify(arguments, s.xreplace(dummies), "numpy")(*numbers)
            for s in (relation.lhs, relation.rhs)
        ]
        left, right = (np.asarray(s, np.longdouble) for s in sides)
        slack = 1e-12 * (1 + np.abs(left) + np.abs(right))
        if isinstance(relation, sp.Equality):
            return np.abs(left - right) <= slack
        if isinstance(relation, (sp.LessThan, sp.StrictLessThan)):
            return left <= right + slack
        return left >= right - slack


def contradictions(statement, conclusion, kappas=(0.0,), seed=0):
    """How often hypotheses hold and the conclusion does not, and how often they hold at all."""
    values, k = orbits(kappas, seed)
    constants = {"kappa": k, "y": k, "eta": 1.0, "n": 1.0}
    finite = np.isfinite(values["lam"]) & (np.abs(values["lam"]) < 1e6)
    steps = STEPS
    met = np.ones((steps, ORBITS), bool) & finite[:-1] & finite[1:]
    for hypothesis in statement.hypotheses:
        held = truth(hypothesis, values, constants, steps)
        if held is None:
            return None
        met = met & held
    held = truth(conclusion, values, constants, steps)
    if held is None:
        return None
    return int((met & ~np.broadcast_to(held, met.shape)).sum()), int(met.sum())


LABELLED = {"T1", "factor", "edge-factor", "edge", "edge-2", "edge-3", "escape", "uv-step-label"}
ORBIT_STATEMENTS = [
    (s, r)
    for s in ALL.values()
    for r in s.conclusion
    if s.id not in ("wd", "linearised", "frozen-kernel")
    and contradictions(s, r, (0.3, 1.2) if s.id in LABELLED else (0.0,)) is not None
]


@pytest.mark.parametrize(
    ("statement", "conclusion"), ORBIT_STATEMENTS, ids=lambda x: getattr(x, "id", "")
)
def test_orbits_do_not_contradict_a_statement(statement, conclusion):
    kappas = (0.3, 1.2) if statement.id in LABELLED else (0.0,)
    wrong, met = contradictions(statement, conclusion, kappas)
    assert met > 100
    assert wrong == 0


def test_most_statements_on_orbits_can_be_held_against_them():
    assert {s.id for s, _ in ORBIT_STATEMENTS} >= {
        *("uv-step", "uv-step-label", "factor", "T1", "T2", "T3", "T6", "T7", "lazy", "peak"),
        *("edge", "edge-factor", "escape", "convergence"),
    }


@pytest.mark.parametrize("name", ["T3", "T7", "edge", "escape", "lazy"])
def test_orbits_contradict_a_statement_without_its_hypotheses(name):
    bare = dataclasses.replace(ALL[name], hypotheses=())
    kappas = (0.3, 1.2) if name in LABELLED else (0.0,)
    assert any((contradictions(bare, r, kappas) or (0, 0))[0] for r in bare.conclusion)


def command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["catapult", "statements", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code, capsys.readouterr()


def test_the_command_prints_what_passed(monkeypatch, capsys):
    code, text = command(monkeypatch, capsys, "imbalance", "digits")
    assert code == 0
    assert "passed" in text.out
    assert "failed" not in text.out


def test_the_command_ends_with_3_where_a_proof_cannot_be_checked(monkeypatch, capsys):
    monkeypatch.setattr(coq.shutil, "which", lambda _: None)
    code, text = command(monkeypatch, capsys, "T3")
    assert code == 3
    assert "passed" not in text.out


def test_the_command_ends_with_1_where_a_check_fails(monkeypatch, capsys):
    from catapult_theory.rigor.statements import registry

    wrong = dataclasses.replace(ALL["peak"], check=ByRunning("wrong", lambda: (False, "no")))
    monkeypatch.setattr(registry, "statements", lambda: (wrong,))
    code, text = command(monkeypatch, capsys, "peak")
    assert code == 1
    assert "failed" in text.out


def test_formulas_are_printed_without_checks(monkeypatch, capsys):
    code, text = command(monkeypatch, capsys, "--formulas", "T3")
    assert code == 0
    assert "a(0) < 4  =>  a(t + 1) >= 0, a(t + 1) <= a(t)" in text.out


def test_every_theorem_of_the_proofs_belongs_to_a_statement():
    from catapult_theory.rigor.proofs.registry import STATEMENTS

    used = {x for s in ALL.values() if isinstance(s.check, ByCoq) for x in s.check.ids}
    assert used <= STATEMENTS.keys()
    assert {x for x in STATEMENTS if not x.startswith("closure-")} - {"samples-step"} <= used
