"""Proofs: Coq accepts every theorem, on the axioms that are expected, and no wrong one."""

from __future__ import annotations

import dataclasses
import re
import shutil
import sys
from pathlib import Path

import pytest

import catapult_theory as ct
from catapult_theory import cli
from catapult_theory.rigor.proofs import coq
from catapult_theory.rigor.proofs import registry as proofs
from catapult_theory.rigor.proofs.terms import Names, coq_term

FOLDER = Path(__file__).parent.parent / "derivations"
FILES = sorted(FOLDER.glob("*.v"))
needs_coq = pytest.mark.skipif(shutil.which("coqc") is None, reason=f"no coqc: {coq.REMEDY}")

REALS = frozenset(
    {
        "ClassicalDedekindReals.sig_forall_dec",
        "FunctionalExtensionality.functional_extensionality_dep",
    }
)
ROOTS = REALS | {"ClassicalDedekindReals.sig_not_dec"}  # square roots, limits
CLASSICAL = ROOTS | {"Classical_Prop.classic"}

# What the theorems of each statement rest on, no more and no less.
AXIOMS = {
    **dict.fromkeys(("T2", "T3", "T7", "trap", "factor", "trap_y", "escape"), REALS),
    **dict.fromkeys(("trap_s", "cone"), REALS),
    **dict.fromkeys(("T4", "T5", "wd", "convergence", "flat", "samples-A", "samples-B"), ROOTS),
    **dict.fromkeys(("samples-C", "samples-D", "classes"), ROOTS),
    **dict.fromkeys(("T1", "T6", "edge", "edge-2", "divergence", "sharp"), CLASSICAL),
    **dict.fromkeys(("samples-step", "box", "cycle"), CLASSICAL),
    **dict.fromkeys(("closure-uv", "closure-uv-label"), CLASSICAL),
    **dict.fromkeys(("closure-weight-decay", "closure-heavy-ball"), CLASSICAL),
}

# The quantities of the state that a generated file proves to close.
UV = ("f", "lam", "Delta")
CLOSED = {
    "closure-uv": UV,
    "closure-uv-label": UV,
    "closure-weight-decay": UV,
    "closure-heavy-ball": ("f", "lam", "x1", "P_u_P_v", "x2", "x3"),
}
# The labelled model, and another with weight decay, are checked in every run.
LONG = ("closure-uv", "closure-weight-decay", "closure-heavy-ball")
OFTEN = [name for name in proofs.STATEMENTS if name not in LONG]


def theorems_of(statement: str) -> tuple[str, ...]:
    place = proofs.STATEMENTS[statement]
    if isinstance(place, proofs.Place):
        return place.theorems
    closed = (f"{name}_closes" for name in CLOSED[statement])
    return ("gradient_u", "gradient_v", *closed, "lam_is_the_kernel")


# One change in each of the theorems that end a certificate, and in what they rest on.
MUTANTS = {
    "trap: the contraction at a small": ("uv_label_map", "1 - m + e * (e + Rabs k) <= r ->", ""),
    "trap_s: the push of the label": ("alternating_trap", "Rabs (g * a - 4 * k)", "Rabs (g * a)"),
    "trap_s: no room for the tilt": ("alternating_trap", "(M - high - Rabs g * e)", "(M - high)"),
    "cone: too low": ("cone", "4 + 2 * k <= Rabs p", "2 + 2 * k <= Rabs p"),
    "cone: a too large": ("cone", "4 * a <= p^2", "a <= 4 * p^2"),
    "box: no contraction": ("contracting_box", "0 <= L < 1", "0 <= L <= 1"),
    "cycle: half of the Jacobian": (
        "contracting_cycle",
        "snd z * (1 + p) / 2,",
        "snd z * (1 + p),",
    ),
    "cycle: it may be a minimum": ("contracting_cycle", "B z -> residual k z <> 0", "B z -> True"),
    "classes: the minimum at 2": ("phase_classes", "0 < l < 2", "0 < l < 1"),
    "classes: below the edge": (
        "phase_classes",
        "0 < side k (a T) (p T)",
        "0 > side k (a T) (p T)",
    ),
}


def mutant(name: str) -> coq.Source:
    """A file with one change, under a name of its own."""
    file, old, new = MUTANTS[name]
    text = (FOLDER / f"{file}.v").read_text()
    assert old in text
    return coq.Source(f"mutant_{list(MUTANTS).index(name)}", text.replace(old, new))


def bound(axioms: frozenset[str]) -> str:
    return {REALS: "reals", ROOTS: "roots", CLASSICAL: "classical"}[axioms]


def joint_audit(places: dict[str, proofs.Place]) -> coq.Source:
    """One walk through the foundations for all the statements with the same list of axioms."""
    groups: dict[str, list[str]] = {}
    for name, place in places.items():
        named = [f"{place.file}.{theorem}" for theorem in place.theorems]
        groups.setdefault(bound(AXIOMS[name]), []).extend(named)
    lines = [f"From {coq.LIBRARY} Require {' '.join(sorted({p.file for p in places.values()}))}."]
    for group, theorems in groups.items():
        lines.append(f"Definition audited_{group} := ({', '.join(theorems)}).")
        lines.append(f'Redirect "audit_all.{group}" Print Assumptions audited_{group}.')
    return coq.Source("audit_all", "\n".join(lines), tuple(groups))


@pytest.fixture(scope="module")
def compiled() -> dict[str, coq.Outcome]:
    """Every file, one audit of all theorems, and the mutants: each compiled once, side by side."""
    places, generated = proofs._places(OFTEN)
    sources = proofs._library(FOLDER, places, generated)
    changed = [mutant(name) for name in MUTANTS]
    found = coq.check_sources([*sources, joint_audit(places), *changed])
    return {outcome.name: outcome for outcome in found}


def test_the_axioms_of_every_statement_are_listed():
    assert set(AXIOMS) == set(proofs.STATEMENTS)


@needs_coq
@pytest.mark.parametrize("file", FILES, ids=lambda p: p.name)
def test_coq_accepts_every_file(compiled, file):
    assert (compiled[file.stem].status, compiled[file.stem].detail) == ("checked", "")


@needs_coq
@pytest.mark.parametrize("axioms", [REALS, ROOTS, CLASSICAL], ids=bound)
def test_no_theorem_rests_on_more_than_is_listed(compiled, axioms):
    audit = compiled["audit_all"]
    assert (audit.status, audit.detail) == ("checked", "")
    assert set(coq.read_axioms(audit.printed[bound(axioms)])) == axioms


@needs_coq
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutated_theorem_fails_to_check(compiled, name):
    outcome = compiled[mutant(name).name]
    assert outcome.status == "failed"
    assert outcome.detail.startswith("line "), outcome.detail


@pytest.fixture(scope="module")
def checked() -> dict[str, tuple[proofs.Proof, ...]]:
    """The proofs of all statements, as users check them."""
    found = proofs.check()
    return {name: tuple(p for p in found if p.statement == name) for name in proofs.STATEMENTS}


@needs_coq
@pytest.mark.full
@pytest.mark.parametrize("statement", proofs.STATEMENTS)
def test_every_theorem_of_a_statement_is_proved(checked, statement):
    assert tuple(p.theorem for p in checked[statement]) == theorems_of(statement)
    assert [(p.theorem, p.detail) for p in checked[statement] if not p.proved] == []


@needs_coq
@pytest.mark.full
@pytest.mark.parametrize("statement", proofs.STATEMENTS)
def test_a_statement_rests_on_the_axioms_that_are_expected(checked, statement):
    assert {frozenset(p.axioms) for p in checked[statement]} == {AXIOMS[statement]}


@pytest.mark.parametrize("file", FILES, ids=lambda p: p.name)
def test_no_file_assumes_what_it_should_prove(file):
    text = re.sub(r"\(\*.*?\*\)", "", file.read_text(), flags=re.DOTALL)
    words = r"\b(Admitted|admit|Axiom|Axioms|Parameter|Parameters|Conjecture|Abort|Unset Guard)\b"
    assert re.findall(words, text) == []
    # Hypotheses are discharged at the end of their section: none stands outside one.
    depth = 0
    for word in re.findall(r"^(Section|End|Hypothesis|Variables?|Context)\b", text, re.MULTILINE):
        depth += {"Section": 1, "End": -1}.get(word, 0)
        assert depth > 0 or word == "End", word


@pytest.mark.parametrize("file", FILES, ids=lambda p: p.name)
def test_every_theorem_has_a_comment_that_states_it(file):
    lines = file.read_text().splitlines()
    for k, line in enumerate(lines):
        if line.startswith("Theorem "):
            assert lines[k - 1].endswith("*)"), line


def test_every_theorem_of_the_files_belongs_to_a_statement():
    listed = {
        (p.file, t)
        for p in proofs.STATEMENTS.values()
        if hasattr(p, "file")
        for t in getattr(p, "theorems", ())
    }
    for file in FILES:
        for theorem in re.findall(r"^Theorem (\w+)", file.read_text(), re.MULTILINE):
            assert (file.stem, theorem) in listed


# --- what must fail ---


def run_coq(text: str) -> coq.Outcome:
    return next(iter(coq.check_sources([coq.Source("lemma", text)])))


@needs_coq
def test_an_admitted_lemma_is_found_among_the_axioms():
    text = "Lemma gap : 1 = 2. Admitted.\nTheorem t : 2 = 1. Proof. symmetry; exact gap. Qed."
    lemma, audit = coq.check_sources([coq.Source("a", text), coq.audit("a", {"all": ["t"]})])
    assert lemma.status == "checked"
    assert coq.read_axioms(audit.printed["all.axioms"]) == ("a.gap",)


@needs_coq
def test_a_false_lemma_fails_with_its_line():
    outcome = run_coq("Theorem t : 1 = 2.\nProof. reflexivity. Qed.")
    assert outcome.status == "failed"
    assert outcome.detail.startswith("line 2: ")


@needs_coq
def test_a_file_that_needs_a_failed_one_fails():
    sources = [coq.Source("a", "Fail."), coq.Source("b", "From Catapult Require Import a.")]
    assert [o.status for o in coq.check_sources(sources)] == ["failed", "failed"]


def test_files_that_need_each_other_are_refused(monkeypatch):
    monkeypatch.setattr(coq, "missing", lambda: "")
    with pytest.raises(ValueError, match="a"):
        list(coq.check_sources([coq.Source("a", "From Catapult Require Import a.")]))


# --- generated closures ---

u, v, w = ct.vectors("u v w")
CUBIC = ct.Model(
    output=(u @ v) * (u @ w) / ct.n**2 + ct.symbol("alpha") * (v @ w) / ct.sqrt(ct.n),
    vectors=(u, v, w),
    label=True,
    name="cubic",
)
MODELS = {
    "two frames": (ct.models.get("quadratic_activation_one_sample", label=True), "gd"),
    "a fixed vector": (
        ct.Model(output=u @ v / ct.sqrt(ct.n) + u @ w / ct.n, vectors=(u, v), fixed=(w,)),
        "weight_decay",
    ),
}


def mutated(update_map: ct.UpdateMap, name: str, change) -> ct.UpdateMap:
    symbol = {s.name: s for s in update_map.updates}[name]
    wrong = change(update_map.updates[symbol].expand())
    assert wrong != update_map.updates[symbol]
    return dataclasses.replace(update_map, updates={**update_map.updates, symbol: wrong})


@needs_coq
@pytest.mark.parametrize(
    "name", [pytest.param("two frames", marks=pytest.mark.full), "a fixed vector"]
)
def test_the_closure_of_a_model_is_proved_from_its_vectors(name):
    model, optimizer = MODELS[name]
    found = ct.prove(model, optimizer=optimizer)
    assert [(p.theorem, p.detail) for p in found if not p.proved] == []
    states = [s.name for s in ct.derive(model, optimizer=optimizer).updates]
    assert {f"{s}_closes" for s in states} <= {p.theorem for p in found}
    assert {p.axioms for p in found} == {tuple(sorted(CLASSICAL))}


@needs_coq
@pytest.mark.full
def test_the_closure_of_a_cubic_model_of_three_vectors_is_proved():
    assert all(p.proved for p in ct.prove(CUBIC))


def negated_term(k):
    return lambda e: e - 2 * e.as_ordered_terms()[k]


def scaled_term(k):
    return lambda e: e + e.as_ordered_terms()[k]


MUTATIONS = {
    "sign of a term of f'": ("f", negated_term(0)),
    "coefficient of a term of f'": ("f", scaled_term(1)),
    "sign of a term of lam'": ("lam", negated_term(1)),
    "4 replaced by 8 in lam'": ("lam", scaled_term(-1)),
    "1/n forgotten": ("lam", lambda e: e.subs(ct.n, 1)),
}


# One of each kind in every run.
FEW = ("sign of a term of f'", "4 replaced by 8 in lam'")


@needs_coq
@pytest.mark.parametrize(
    "name", [x if x in FEW else pytest.param(x, marks=pytest.mark.full) for x in MUTATIONS]
)
def test_a_mutated_closure_fails_to_check(name):
    model = ct.models.uv(label=True)
    wrong = mutated(ct.derive(model), *MUTATIONS[name])
    found = ct.prove(model, update_map=wrong)
    assert {p.status for p in found} == {"failed"}
    assert all("line" in p.detail for p in found)


def test_a_generated_file_knows_nothing_of_the_gram_matrix():
    from catapult_theory.rigor.proofs.closures import closure_file

    text = closure_file("closure", ct.models.uv(), optimizer="heavy_ball").source.text
    assert "Gamma" not in text
    assert "Definition next_u : vec :=" in text


REFUSED = {
    "logistic loss": (ct.models.uv(label=True), "logistic", "exp"),
    "matrix model": (ct.models.linear(), "squared", "not of matrices"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_polynomial_is_refused_by_name(name):
    model, loss, said = REFUSED[name]
    with pytest.raises(ct.InputError, match=said):
        ct.prove(model, loss=loss)


@pytest.mark.parametrize("wish", ["fun", "λ", "x'", "1a", "a;Axiom b:False", "(*", "vec", "_"])
def test_every_name_becomes_an_identifier_of_coq(wish):
    name = Names()[wish]
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)
    assert name not in ("fun", "vec")


def test_two_names_never_become_one():
    names = Names()
    wishes = ["fun", "fun_", "x'", "x_0027", "vec", "vec_"]
    assert len({names[w] for w in wishes}) == len(wishes)


def test_a_term_is_printed_without_relying_on_precedence():
    x = ct.symbol("lam")
    assert coq_term(-(x**2) / ct.n, str) == "((-1) * (lam ^ 2) * (/ (INR width)))"


# --- where Coq is not there ---


@pytest.fixture
def without_coq(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


def test_without_coq_nothing_is_said_to_be_proved(without_coq):
    found = [*proofs.check(), *ct.prove(ct.models.uv())]
    assert {p.status for p in found} == {"not-checked"}
    assert all(coq.REMEDY in p.detail for p in found)
    assert not any(p.proved for p in found)


def test_without_the_files_nothing_is_said_to_be_proved(monkeypatch):
    monkeypatch.setattr(proofs, "find_folder", lambda: None)
    found = [*proofs.check(["T2"]), *ct.prove(ct.models.uv())]
    assert {p.status for p in found} == {"not-checked"}
    assert all("checkout" in p.detail for p in found)


def test_without_coquelicot_the_package_is_named():
    place = "Cannot find a physical path bound to logical path\nCoquelicot with prefix Coquelicot."
    printed = f'File "./a.v", line 2, characters 0-42:\nError:\n{place}\n'
    outcome = coq._failure(coq.Source("a", ""), 0.1, printed)
    assert outcome.status == "not-checked"
    assert coq.REMEDY in outcome.detail


def catapult(monkeypatch, capsys, *words):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "argv", ["catapult", "prove", *words])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0, capsys.readouterr()


@needs_coq
def test_the_command_lists_theorems_and_axioms(monkeypatch, capsys):
    code, printed = catapult(monkeypatch, capsys, "factor", "--claims")
    assert code == 0
    assert "1 proved" in printed.out
    assert "functional_extensionality_dep" in printed.out
    assert "next_a" in printed.out


def test_the_command_says_not_checked_without_coq(monkeypatch, capsys, without_coq):
    code, printed = catapult(monkeypatch, capsys, "T2")
    assert code == 3
    assert "1 not checked" in printed.out
    assert coq.REMEDY in printed.out


def test_an_unknown_statement_is_bad_input(monkeypatch, capsys):
    code, printed = catapult(monkeypatch, capsys, "T22")
    assert code == 2
    assert "did you mean 'T2'" in printed.err
