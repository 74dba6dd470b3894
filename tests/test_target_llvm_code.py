"""Target "llvm": the emitted text, what machines make of it, start-up, and the scaled form."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import re
import subprocess
import sys

import pytest
import sympy as sp

import catapult_theory as ct
from catapult_theory.codegen import llvm_host
from catapult_theory.codegen.ir import Node
from catapult_theory.codegen.llvm_host import assembly, named
from catapult_theory.codegen.llvm_target import emit_for, emit_trajectory
from catapult_theory.codegen.lowering import code_name, next_name
from catapult_theory.codegen.scaled_form import FACTOR, own_form, run_form
from catapult_theory.symbolic.units import scaling

UV = ct.derive(ct.models.uv())
LABELLED = ct.derive(ct.models.uv(label=True))
MOMENTUM = ct.derive(ct.models.uv(), optimizer="heavy_ball")
MAPS = {"uv": UV, "label": LABELLED, "momentum": MOMENTUM}
ROOMY = ("uv", "label")


def functions(text):
    """Return the lines of each function of an assembly, by name."""
    found, name = {}, ""
    for line in text.splitlines():
        if match := re.match(r"(\w+):", line):
            name = match[1]
        found.setdefault(name, []).append(line.strip())
    return found


def innermost_loop(lines):
    """Return the lines from the last label that a jump goes back to, to that jump."""
    return max(loops(lines), key=len, default=[])


def loops(lines):
    seen = {}
    for i, line in enumerate(lines):
        if match := re.match(r"(\.LBB\w+):", line):
            seen[match[1]] = i
        for label in re.findall(r"\.LBB\w+", line):
            # A straight stretch of code that jumps back to its own beginning.
            body = lines[seen[label] : i + 1] if label in seen and "j" in line[:1] else []
            if body and not any(re.match(r"\.LBB", x) for x in body[1:]):
                yield body


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_code_for_aarch64_fuses_and_calls_no_library(dtype):
    host = named("neon")
    for update_map in MAPS.values():
        texts = [emit_for(update_map, dtype, host), emit_trajectory(update_map, dtype, host)]
        for text in texts:
            made = assembly(text, host)
            assert re.search(r"\bfml[as]\b|\bfn?m(add|sub)\b", made)
            assert not re.search(r"\bbl?\s+_?fmaf?\b", made)
            calls = set(re.findall(r"\bbl\s+(\w+)", made))
            assert calls <= set(re.findall(r"define internal [^@]*@(\w+)", text)), calls
            assert "fpcr" in made.lower()


def test_a_library_function_would_be_seen():
    logistic = ct.derive(ct.models.uv(label=1), "logistic")
    made = assembly(emit_for(logistic, "float64", named("neon")), named("neon"))
    assert re.search(r"\bbl\s+(exp|log1p)\b", made)


@pytest.mark.parametrize(("instructions", "register"), [("avx512", "zmm"), ("avx2", "ymm")])
@pytest.mark.parametrize("title", ROOMY)
def test_the_time_loop_fills_registers_and_leaves_memory_alone(title, instructions, register):
    made = functions(
        assembly(emit_for(MAPS[title], "float64", named(instructions)), named(instructions))
    )
    groups = {name: lines for name, lines in made.items() if name.startswith("group")}
    assert groups
    for name, lines in groups.items():
        loop = innermost_loop(lines)
        assert register in "\n".join(loop), name
        assert any("fm" in line.split()[0] for line in loop), name
        # A spill is a write to the stack.
        assert not any("%rsp" in line for line in loop), name


def test_the_test_for_spills_sees_a_loop_that_needs_the_stack():
    crowded = functions(assembly(emit_for(UV, "float64", named("avx2")), named("avx512")))
    judged = "\n".join(crowded["judged"])
    assert "%rsp" in judged


# Not the names of values and blocks: %fast, fast:
FLAGS = re.compile(r"(?<![%\w])(fast|nnan|ninf|reassoc|arcp|afn)\b(?!:)")


@pytest.mark.parametrize("title", MAPS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_no_flag_lets_the_compiler_change_what_is_computed(title, dtype):
    for instructions in ("avx512", "avx2", "sse2", "neon"):
        host = named(instructions)
        text = emit_for(MAPS[title], dtype, host) + emit_trajectory(MAPS[title], dtype, host)
        code = "\n".join(line for line in text.splitlines() if not line.startswith(";"))
        assert not FLAGS.search(code)
        assert "call" in code
    assert FLAGS.search("%x = fmul fast double %a, %b")
    assert FLAGS.search("%x = fadd nnan ninf double %a, %b")


SOURCES = """
import sympy as sp
import catapult_theory as ct
from catapult_theory.codegen.llvm_host import named
from catapult_theory.codegen.llvm_target import emit_for, emit_trajectory
for model, loss, rule in (
    (ct.models.uv(), 'squared', 'gd'),
    (ct.models.uv(label=True), 'squared', 'heavy_ball'),
    (ct.models.uv(label=1), 'logistic', 'weight_decay'),
):
    update_map = ct.derive(model, loss, rule)
    seen = (update_map.observables['loss'], sp.Symbol('f') ** 2)
    for dtype in ('float64', 'float32'):
        for host in ('avx512', 'neon'):
            print(emit_for(update_map, dtype, named(host)))
            print(emit_trajectory(update_map, dtype, named(host), seen[:1]))
"""


def python(code, **variables):
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_text_is_the_same_to_the_byte_for_any_hash_seed():
    texts = [python(SOURCES, PYTHONHASHSEED=seed) for seed in ("0", "12345")]
    assert texts[0]
    assert len(set(texts)) == 1


PULLED = """
import sys
def seen():
    return sorted({'numba', 'llvmlite', 'jax', 'torch'} & sys.modules.keys())
import catapult_theory as ct
print(seen())
update_map = ct.derive(ct.models.uv())
print(seen())
kernel = ct.compile(update_map, 'llvm')
result = kernel.run({'f': 1.0, 'lam': 2.0}, 100, eta=1.5, n=1e4)
kernel.trajectory({'f': 1.0, 'lam': 2.0}, 5, eta=1.5, n=1e4, observables=['loss'])
print(seen())
"""


def test_only_what_is_needed_is_imported():
    """Nothing for importing and deriving; llvmlite alone for compiling "llvm"."""
    assert python(PULLED).split("\n")[:3] == ["[]", "[]", "['llvmlite']"]
    other = PULLED.replace("'llvm'", "'numba'")
    assert "numba" in python(other).split("\n")[2]


# Compiled code on disk.


def files(folder):
    return {path: path.read_bytes() for path in folder.glob("*.o")}


@pytest.fixture
def compilations(tmp_path, monkeypatch):
    """Return a cache folder of the test's own, and the list of what is compiled anew."""
    made = []
    module = llvm_host._module
    monkeypatch.setenv("CATAPULT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        llvm_host,
        "_module",
        lambda text, *rest: made.extend([text] * bool(text)) or module(text, *rest),
    )
    return tmp_path / "cache", made


SHORT = """define i64 @answer(i64 %x) {
  %y = add i64 %x, 41
  ret i64 %y
}"""


def answer(host=None):
    engine = llvm_host.compiled(SHORT, host or llvm_host.native())
    return ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(engine.get_function_address("answer"))(
        1
    )


def test_code_is_compiled_once_for_a_text_and_a_machine(compilations):
    folder, made = compilations
    assert [answer(), answer()] == [42, 42]
    assert (len(made), len(files(folder))) == (1, 1)
    other = dataclasses.replace(llvm_host.native(), features="")
    assert answer(other) == 42
    assert (len(made), len(files(folder))) == (2, 2)


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b"", lambda b: b[:-1] + b"\xff"])
def test_a_damaged_file_is_made_again(compilations, damage):
    folder, made = compilations
    answer()
    ((path, content),) = files(folder).items()
    path.write_bytes(damage(content))
    assert answer() == 42
    assert len(made) == 2
    assert files(folder) == {path: content}


def test_a_folder_that_cannot_be_written_costs_time_alone(compilations):
    folder, made = compilations
    folder.write_text("not a folder")
    assert [answer(), answer()] == [42, 42]
    assert len(made) == 2


# The scaled form: exact, and chosen where it saves work.


def test_units_are_scaled_away_where_the_map_allows_it():
    names = {title: [i.name for i in run_form(m).step.parameters] for title, m in MAPS.items()}
    assert names["uv"] == []
    assert names["label"] == ["kappa"]
    assert set(names["momentum"]) == {"beta"}
    assert {"eta", "n"} <= {i.name for i in own_form(UV).step.parameters}


FUNCTIONS = {"sqrt": sp.sqrt, "abs": sp.Abs, "maximum": sp.Max, "minimum": sp.Min}


def expression(node: Node, known):
    """Return an evaluation tree as the expression it evaluates."""
    if node.op == "number":
        return sp.nsimplify(node.value, rational=True)
    if node.op == "symbol":
        return known[str(node.value)]
    parts = [expression(a, known) for a in node.args]
    if node.op == "add":
        return sp.Add(*parts)
    if node.op == "mul":
        return sp.Mul(*parts)
    if node.op == "div":
        return parts[0] / parts[1]
    if node.op == "power":
        return parts[0] ** sp.nsimplify(node.value, rational=True)
    return FUNCTIONS[str(node.value)](*parts)


def evaluated(program, known):
    """Return the outputs of a program as expressions in what its inputs stand for."""
    known = dict(known)
    for a in program.assignments:
        known[a.name] = expression(a.value, known)
    return {name: expression(node, known) for name, node in program.outputs}


def composed(update_map):
    """Return new state and loss of a step in the loop's variables, entered and left."""
    form = run_form(update_map)
    own = {code_name(s.name): s for s in (*update_map.variables, *update_map.constants)}
    inside = evaluated(form.enter, own)
    inner = {name.removesuffix("_in"): e for name, e in inside.items()}
    step = evaluated(form.step, inner)
    after = {i.code: step[next_name(i.code)] for i in form.step.state}
    kept = {i.code: inner[i.code] for i in form.step.parameters}
    left = evaluated(form.leave, {**own, **kept, **after})
    states = [left[f"{code_name(s.name)}_out"] for s in update_map.variables]
    return states, step["loss"] * left[FACTOR]


@pytest.mark.parametrize("title", MAPS)
def test_entering_stepping_and_leaving_is_the_map_exactly(title):
    update_map = MAPS[title]
    states, loss = composed(update_map)
    for got, (symbol, want) in zip(states, update_map.updates.items(), strict=True):
        assert sp.simplify(sp.expand(got) - sp.expand(want)) == 0, symbol
        assert sp.simplify(sp.expand(got) - sp.expand(want + symbol / 1000)) != 0, symbol
    assert sp.simplify(loss - update_map.observables["loss"]) == 0
    assert sp.simplify(2 * loss - update_map.observables["loss"]) != 0


IN_DOMAIN = {
    "lam": sp.Integer(9),
    "f": sp.Rational(1, 7),
    "y": sp.Rational(1, 5),
    "n": sp.Integer(5),
}


@pytest.mark.parametrize("title", MAPS)
def test_unit_times_rest_is_the_expression(title):
    update_map = MAPS[title]
    units = scaling(update_map)
    back = {**units.groups}
    back |= {s: s for s in update_map.constants if s not in back}
    split = {**update_map.observables, **{str(s): e for s, e in update_map.updates.items()}}
    for name, e in split.items():
        found = units.split(e)
        assert found is not None, name
        unit, rest = found
        assert unit.free_symbols <= set(units.units)
        assert not rest.free_symbols & set(units.units)
        whole = unit * rest.subs(back, simultaneous=True)
        # Exact numbers where the simplification of maxima does not get through.
        at = {s: IN_DOMAIN.get(s.name, sp.Rational(2, 7)) for s in e.free_symbols}
        assert sp.simplify(whole - e) == 0 or sp.simplify((whole - e).subs(at)) == 0, name
        assert sp.simplify((2 * whole - e).subs(at)) != 0, name
    first, *_ = update_map.variables
    assert units.split(first + 1) is None
