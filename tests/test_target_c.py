"""The C target: a header that others compile without us, and that we load through ctypes."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import sympy as sp
from cases import CASES, EPS, TOLERANCES, Case

import catapult_theory as ct
from catapult_theory.codegen import c_compiler, c_matrix, c_target
from catapult_theory.codegen.backends import BACKENDS
from catapult_theory.codegen.c_spelling import Dialect, prefix_of
from catapult_theory.codegen.lowering import loop_program
from catapult_theory.codegen.storage import cache_folder
from catapult_theory.codegen.translate import translate
from catapult_theory.errors import MissingBackend, OutputError

STRICT = ["-Wall", "-Wextra", "-pedantic", "-Wshadow", "-Wconversion", "-Werror"]
MORE = (
    Case(
        "linear, ten outputs", lambda: ct.models.linear(inputs=3, outputs=10), samples=7, outputs=10
    ),
    Case(
        "linear, logistic",
        lambda: ct.models.linear(inputs=3),
        "logistic",
        "weight_decay",
        {"omega": 0.1},
        samples=5,
    ),
    Case(
        "linear, sizes from the data",
        lambda: ct.models.linear(outputs=None),
        "softmax_cross_entropy",
        samples=5,
    ),
)
ALL = {case.name: case for case in (*CASES, *MORE)}
SCALAR = [case.name for case in CASES if not case.samples]
WITH_FUNCTIONS = ("uv, logistic",)
MATRIX = [case.name for case in ALL.values() if case.samples and case.name != MORE[2].name]
UV = ct.derive(ct.models.uv())


@cache
def update_map(title):
    case = ALL[title]
    return ct.derive(case.model(), case.loss, case.optimizer)


def compiled(text, folder, *command, name="main.c"):
    """Compile a file in a folder; return the compiler's exit status and what it says."""
    (folder / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [*command, name, "-o", "program", "-lm"], cwd=folder, capture_output=True, text=True
    )
    return done.returncode, done.stderr


def compilers():
    clang = pytest.mark.skipif(shutil.which("clang") is None, reason="clang is not installed")
    return [pytest.param("gcc"), pytest.param("clang", marks=clang)]


def scalar_lanes(title, count=600):
    """Starts and rates that converge, diverge, stay undecided or are NaN."""
    case, this = ALL[title], update_map(title)
    rng = np.random.default_rng(len(title))
    start = {s.name: rng.uniform(-0.1, 0.1, count) for s in this.variables}
    for s in this.variables:
        if s.is_nonnegative:
            start[s.name] = np.abs(start[s.name])
    first, *rest = start
    start[first] = rng.uniform(-1, 1, count)
    start[rest[0]] = rng.uniform(1.0, 2.0, count)
    start[first][::50] = np.nan
    return this, start, {"eta": rng.uniform(0.02, 3.0, count), "n": 50.0, **case.parameters}


def matrix_lanes(title, inputs=3, samples=None):
    case, this = ALL[title], update_map(title)
    X, Y = case.data
    k = Y.shape[1]
    phi = np.random.default_rng(5).normal(size=(5, 20, inputs + k))
    start = this.state_from_gram(np.swapaxes(phi, -1, -2) @ phi / 20, 20.0)
    start = {name: np.array(value) for name, value in start.items()}
    next(iter(start.values()))[4] = np.nan
    eta = np.array([0.02, 0.1, 0.3, 40.0, 0.1])
    return this, start, {"eta": eta, "n": 20.0, "data": (X, Y), **case.parameters}


def largest_summands(this, state, given):
    """The largest term of each new variable, from SymPy's own expansion of the update."""
    symbols = [*this.variables, *this.constants]
    values = [state[s.name] if s.name in state else given[s.name] for s in symbols]
    for variable, image in this.updates.items():
        terms = sp.Add.make_args(sp.expand(image))
        sizes = [np.abs(sp.lambdify(symbols, t, "numpy")(*values)) for t in terms]
        yield variable.name, np.max(np.broadcast_arrays(*sizes), axis=0)


@pytest.mark.parametrize("title", SCALAR)
def test_one_step_is_that_of_the_array_target(title):
    this, start, given = scalar_lanes(title)
    start = {name: np.nan_to_num(value) for name, value in start.items()}
    want = ct.compile(this, "array").trajectory(start, 1, **given)
    got = ct.compile(this, "c").trajectory(start, 1, **given)
    wrong = ct.compile(this, "c").trajectory(start, 1, **{**given, "eta": 1.001 * given["eta"]})
    noticed = max(np.mean(wrong[name][1] != got[name][1]) for name in start)
    for name, size in largest_summands(this, start, given):
        miss = np.abs(got[name][1] - want[name][1])
        assert np.all(miss <= TOLERANCES.backends * size)
        if title not in WITH_FUNCTIONS:
            assert np.array_equal(got[name], want[name])
    assert noticed > 0.5


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("title", SCALAR)
def test_runs_decide_and_freeze_as_those_of_numba(title, dtype):
    this, start, given = scalar_lanes(title)
    first, second = (ct.compile(this, b, dtype).run(start, 300, **given) for b in ("numba", "c"))
    assert {ct.Status.DIVERGED, ct.Status.INVALID} & set(second.status.tolist())
    assert len(set(second.status.tolist())) >= 2
    if title in WITH_FUNCTIONS and dtype == "float32":
        # One unit in the last place of an exponential may move a verdict by a step.
        assert np.mean(first.status == second.status) > 0.95
        return
    for name in ("status", "status_step", "peak_step"):
        assert getattr(first, name).tolist() == getattr(second, name).tolist()
    for name, value in first.state.items():
        if title in WITH_FUNCTIONS:
            assert np.allclose(value, second.state[name], rtol=1e-9, atol=1e-12, equal_nan=True)
        else:
            assert np.array_equal(value, second.state[name], equal_nan=True)
            assert np.array_equal(first.loss, second.loss, equal_nan=True)
            assert np.array_equal(first.peak_loss, second.peak_loss, equal_nan=True)


def test_the_grid_has_lanes_of_every_kind():
    this, start, given = scalar_lanes("uv, label")
    status = ct.compile(this, "c").run(start, 300, **given).status
    assert set(status.tolist()) == {s.value for s in ct.Status}


@pytest.mark.parametrize("every", [1, 7])
@pytest.mark.parametrize("title", ["uv", "uv, momentum"])
def test_trajectories_are_those_of_numba(title, every):
    this, start, given = scalar_lanes(title)
    first, second = (
        ct.compile(this, b).trajectory(start, 120, every=every, **given) for b in ("numba", "c")
    )
    for name in start:
        assert first[name].shape == second[name].shape == (120 // every + 1, 600)
        assert np.array_equal(first[name], second[name], equal_nan=True)
    result = ct.compile(this, "c").run(start, 120 // every * every, **given)
    assert np.array_equal(second["f"][-1], result.state["f"], equal_nan=True)


@pytest.mark.parametrize("title", MATRIX)
def test_matrix_steps_and_runs_are_those_of_the_array_target(title):
    this, start, given = matrix_lanes(title)
    kernels = [ct.compile(this, b) for b in ("array", "c")]
    first, second = (k.trajectory(start, 1, **given) for k in kernels)
    wrong = kernels[1].trajectory(start, 1, **{**given, "eta": 1.001 * given["eta"]})
    for name in start:
        # an entry sums at most m d products, each of the size of the largest entry
        size = np.abs(first[name][:, :4]).max()
        assert np.abs(first[name] - second[name])[:, :4].max() <= 30 * EPS * size
    assert np.abs(first["W"] - wrong["W"])[:, :4].max() > 1e6 * EPS
    runs = [k.run(start, 80, **given) for k in kernels]
    assert runs[0].status.tolist() == runs[1].status.tolist()
    assert runs[1].status[4] == ct.Status.INVALID
    if ALL[title].loss == "squared":
        assert runs[1].status[3] == ct.Status.DIVERGED
    for name in ("status_step", "peak_step"):
        assert getattr(runs[0], name).tolist() == getattr(runs[1], name).tolist()
    assert np.allclose(runs[0].loss[:3], runs[1].loss[:3], rtol=1e-9, atol=1e-14)


def test_products_are_right_across_the_edges_of_their_blocks():
    this = ct.derive(ct.models.linear(inputs=70, outputs=3), "softmax_cross_entropy")
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(131, 70)) / 8, np.eye(3)[rng.integers(3, size=131)]
    phi = rng.normal(size=(90, 73))
    start = this.state_from_gram(phi.T @ phi / 90, 90.0)
    given = {"eta": 0.3, "n": 90.0, "data": (X, Y)}
    first, second = (ct.compile(this, b).trajectory(start, 4, **given) for b in ("array", "c"))
    for name in start:
        # sums of 131 terms, four steps
        assert np.abs(first[name] - second[name]).max() <= 1e-13 * np.abs(first[name]).max()
    assert np.abs(first["W"][1] - first["W"][0]).max() > 1e-3


@pytest.mark.parametrize("title", ["linear", "linear, softmax", "linear, ten outputs"])
def test_a_workspace_of_the_stated_size_is_enough(title, monkeypatch):
    spaces = []

    def marked(length, dtype):
        spaces.append((length, np.full(length + 64, 7.25, dtype)))
        return spaces[-1][1]

    monkeypatch.setattr(c_matrix, "workspace", marked)
    this, start, given = matrix_lanes(title)
    ct.compile(this, "c").run(start, 20, **given)
    assert all(np.all(space[length:] == 7.25) for length, space in spaces)
    assert any(space[length - 1] != 7.25 for length, space in spaces)


def test_bits_do_not_depend_on_threads():
    this, start, given = scalar_lanes("uv, label", count=9000)
    runs = [ct.compile(this, "c").run(start, 60, threads=t, **given) for t in (1, 2, 5)]
    for run in runs[1:]:
        assert run.state["f"].tobytes() == runs[0].state["f"].tobytes()
        assert run.peak_loss.tobytes() == runs[0].peak_loss.tobytes()
    matrices, start, given = matrix_lanes("linear, softmax")
    runs = [ct.compile(matrices, "c").run(start, 60, threads=t, **given) for t in (1, 2, 5)]
    assert len({run.state["G"].tobytes() for run in runs}) == 1


def test_a_changed_coefficient_is_noticed():
    kernel = ct.compile(UV, "c")
    source = kernel.source.replace("x1 - 4.0", "x1 - 4.000001")
    assert source != kernel.source
    program = loop_program(UV)
    changed = BACKENDS["c"].load(source, UV, program, "float64")
    right = BACKENDS["c"].load(kernel.source, UV, program, "float64")
    this, start, given = scalar_lanes("uv")
    want = ct.compile(this, "array").run(start, 1, **given)
    lanes = [ct.codegen.arguments.lanes_of(UV, start, given, None, "float64") for _ in range(2)]
    same, other = (
        executor.run(each, 1, 1)[0][1]
        for executor, each in zip((right, changed), lanes, strict=True)
    )
    assert np.array_equal(same, want.state["lam"], equal_nan=True)
    assert not np.allclose(other, want.state["lam"], rtol=1e-9, atol=0, equal_nan=True)


@pytest.mark.parametrize("language", [["-std=c99"], ["-x", "c++"]], ids=["C", "C++"])
@pytest.mark.parametrize("compiler", compilers())
def test_headers_compile_without_a_warning(tmp_path, compiler, language):
    programs, seen = {}, []  # each of headers whose names differ
    for number, title in enumerate(ALL):
        for dtype in ("float64", "float32"):
            name = f"h{number}_{dtype}.h"
            (tmp_path / name).write_text(ct.compile(update_map(title), "c", dtype).source)
            prefix = prefix_of(update_map(title), dtype)
            turn = seen.count(prefix)
            seen.append(prefix)
            programs.setdefault(turn, []).extend([f'#include "{name}"\n'] * 2)
    assert len(programs) == 2
    for lines in programs.values():
        sound = "".join(lines) + "int main(void) { return 0; }\n"
        assert compiled(sound, tmp_path, compiler, *language, *STRICT) == (0, "")
    broken = sound.replace("return 0", "int unused; return 0")
    assert "unused" in compiled(broken, tmp_path, compiler, *language, *STRICT)[1]


TWO = """
#include "one.h"
#include "two.h"
#include <stdio.h>

int main(void)
{
    double f, lam, now, rest, workspace[1000];
    const double W[2] = {0.5, -0.25}, G[4] = {1.0, 0.125, 0.125, 1.5}, S[1] = {0.75};
    const double X[6] = {1.0, 0.5, -0.5, 0.25, 0.0, 2.0}, Y[3] = {1.0, -1.0, 1.0};
    double Wn[2], Gn[4], Sn[1];
    if (linear_squared_gd_workspace(3) > 1000) {
        return 1;
    }
    uv_squared_gd_step(1.0, 2.0, 0.5, 7.0, &f, &lam);
    linear_squared_gd_step(3, W, G, S, 0.3, 11.0, X, Y, Wn, Gn, Sn, workspace);
    now = Wn[0];
    rest = Gn[1] + Sn[0];
    printf("%a %a %a %a\\n", f, lam, now, rest);
    return 0;
}
"""


def test_a_program_steps_with_two_headers_and_nothing_of_ours(tmp_path):
    linear = ct.derive(ct.models.linear(inputs=2))
    (tmp_path / "one.h").write_text(ct.compile(UV, "c").source)
    (tmp_path / "two.h").write_text(ct.compile(linear, "c").source)
    assert compiled(TWO, tmp_path, "gcc", "-std=c99", "-O2", *STRICT) == (0, "")
    done = subprocess.run(["./program"], cwd=tmp_path, capture_output=True, text=True, env={})
    f, lam, first, rest = map(float.fromhex, done.stdout.split())
    assert (f, lam) == tuple(ct.compile(UV, "array").step(1.0, 2.0, eta=0.5, n=7.0))
    state = np.array([[0.5, -0.25]]), np.array([[1.0, 0.125], [0.125, 1.5]]), np.array([[0.75]])
    X, Y = np.array([[1.0, 0.5], [-0.5, 0.25], [0.0, 2.0]]), np.array([1.0, -1.0, 1.0])
    W, G, S = ct.compile(linear, "array").step(*state, eta=0.3, n=11.0, X=X, Y=Y[:, None])
    assert first == pytest.approx(W[0, 0], rel=10 * EPS)
    assert rest == pytest.approx(G[0, 1] + S[0, 0], rel=10 * EPS)


def test_two_models_of_one_name_are_refused_and_not_confused(tmp_path):
    for name, label in (("one.h", 0.25), ("two.h", 0.75)):
        this = ct.derive(ct.models.uv(label=label))
        (tmp_path / name).write_text(ct.compile(this, "c").source)
    text = '#include "one.h"\n#include "two.h"\nint main(void) { return 0; }\n'
    status, said = compiled(text, tmp_path, "gcc", "-std=c99")
    assert status != 0
    assert "redefinition of ‘uv_squared_gd_step’" in said or "redefinition of 'uv" in said


HOSTILE = (
    "a */ #error out /* b",
    "*/",
    "back\\slash \\",
    'quote " and """ and \'',
    "line\nbreak */\n#error out",
    "trigraph ??/",
    "right \u202e to left",
    "λ-netz",
    "",
    "3 layers",
    "x" * 300,
)


@pytest.mark.parametrize("compiler", compilers())
def test_no_name_of_a_model_leaves_its_comment(tmp_path, compiler):
    text = ""
    for number, name in enumerate(HOSTILE):
        source = ct.compile(replace(UV, model=name), "c").source
        (tmp_path / f"h{number}.h").write_text(source, encoding="utf-8")
        assert source.count("*/", 0, source.index("#ifndef")) == 1
        text += f'#include "h{number}.h"\n'
    text += "int main(void) { return 0; }\n"
    assert compiled(text, tmp_path, compiler, "-std=c99", *STRICT) == (0, "")


def test_a_compiler_that_does_away_with_nan_is_refused(tmp_path):
    text = ct.compile(UV, "c").source + "int main(void) { return 0; }\n"
    assert compiled(text, tmp_path, "gcc", "-std=c99", "-O3") == (0, "")
    status, said = compiled(text, tmp_path, "gcc", "-std=c99", "-ffast-math")
    assert status != 0
    assert "without -ffast-math" in said


def test_a_folder_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CATAPULT_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="CATAPULT_CACHE"):
        c_compiler.load_library("int one(void);\nint one(void) { return 1; }\n")


def test_symbols_may_have_names_that_mean_something_in_c(tmp_path):
    u, v = ct.vectors("u v")
    double, y1 = sp.Symbol("double", real=True), sp.Symbol("y1", real=True)
    exp = sp.Symbol("exp", positive=True)
    output = exp * (u @ v) / ct.sqrt(ct.n) * (1 + double * (u @ v) / ct.n) + y1
    this = ct.derive(ct.Model(output=output, vectors=(u, v), label=1), "logistic")
    state = {s.name: 0.5 for s in this.variables}
    given = {"eta": 0.1, "n": 9.0, "double": 0.3, "y1": 0.2, "exp": 1.5}
    given = {s.name: given[s.name] for s in this.constants}
    first, second = (ct.compile(this, b).run(state, 3, **given).state for b in ("array", "c"))
    for name in state:
        assert first[name] == pytest.approx(second[name], rel=1e-14)
    source = ct.compile(this, "c").source
    assert "double_v" in source[: source.index("#ifndef")]
    assert compiled(source + "int main(void) { return 0; }", tmp_path, "gcc", *STRICT) == (0, "")


X, Y, Z = sp.symbols("x y z", real=True)
EXPRESSIONS = {
    "signs": (-((-X) ** sp.Rational(3, 2)) - (-2 - Y), lambda x, y: -((-x) ** 1.5) - (-2 - y)),
    "quotient": (X / (Y * Y) / (1 + X), lambda x, y: x / (y * y) / (1 + x)),
    "power": (sp.Abs(X) ** Y, lambda x, y: np.abs(x) ** y),
    "maximum": (sp.Max(X, Y), np.maximum),
    "minimum": (sp.Min(X, Y), np.minimum),
    "sign": (sp.sign(X) + 2 * sp.sign(Y), lambda x, y: np.sign(x) + 2 * np.sign(y)),
    "step": (sp.Heaviside(X), lambda x, y: (1 + np.sign(x)) / 2),
    "pieces": (
        sp.Piecewise((X, sp.And(X > 0, Y > 0)), (-Y, sp.Or(X > 1, ~(Y < 0))), (X * Y, True)),
        lambda x, y: np.where((x > 0) & (y > 0), x, np.where((x > 1) | ~(y < 0), -y, x * y)),
    ),
    "functions": (
        sp.log(1 + sp.exp(X)) + 1 / (1 + sp.exp(Y)) + sp.tanh(X) * sp.atan(Y),
        lambda x, y: np.logaddexp(0, x) + 1 / (1 + np.exp(y)) + np.tanh(x) * np.arctan(y),
    ),
}


AT_INFINITY = ("maximum", "minimum", "sign", "step", "pieces", "power")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("title", EXPRESSIONS)
def test_expressions_mean_the_same_in_c(title, dtype, tmp_path):
    expression, meaning = EXPRESSIONS[title]
    dialect = Dialect("p", dtype)
    (node,) = lowered(expression)
    helpers = "\n".join(c_target.HELPERS[n] for n in ("softplus", "sigmoid", "sign"))
    helpers += "\n".join(c_target.HELPERS[n] for n in ("maximum", "minimum"))
    for key, value in {"{P}": "p", "{REAL}": dialect.real, "{F}": dialect.suffix}.items():
        helpers = helpers.replace(key, value)
    real = dialect.real
    text = f"#include <math.h>\n{helpers}\n{real} value({real} x, {real} y);\n"
    text += f"{real} value({real} x, {real} y) {{ (void)y; return {dialect.write(node)}; }}\n"
    assert compiled(text, tmp_path, "gcc", "-shared", "-fPIC", "-std=c99", *STRICT) == (0, "")
    function = ctypes.CDLL(str(tmp_path / "program")).value
    function.restype = {"float64": ctypes.c_double, "float32": ctypes.c_float}[dtype]
    function.argtypes = [function.restype] * 2
    eps = float(np.finfo(dtype).eps)
    values = [-3.0, -1.0, -0.5, 0.0, 0.25, 1.0, 2.0, 80.0]
    values += [np.nan, np.inf, -np.inf] if title in AT_INFINITY else []
    with np.errstate(all="ignore"):
        for x in np.array(values, dtype):
            for y in np.array(values, dtype):
                got, want = function(x, y), meaning(x, y)
                near = pytest.approx(float(want), rel=8 * eps, abs=20 * eps, nan_ok=True)
                assert got == near, (x, y)


def lowered(expression):
    """The passes that every map goes through, for a bare expression."""
    from catapult_theory.codegen import passes

    trees = passes.stable_functions([translate(expression)])
    return passes.signs_outside(passes.powers_to_products(trees))


def test_literals_round_to_single_precision_as_numpy_does():
    single, double = Dialect("p", "float32"), Dialect("p", "float64")
    assert single.literal("0.1") == "0.1f"
    assert single.literal("0.3333333333333333") == f"{np.float32(1 / 3)!s}f"
    assert single.literal("1e+300") == "INFINITY"
    assert double.literal("0.1") == "0.1"


EMIT = """
import catapult_theory as ct
linear = ct.models.linear(inputs=3, outputs=2)
maps = [ct.derive(ct.models.uv(label=True), "logistic", "heavy_ball"),
        ct.derive(linear, "softmax_cross_entropy", "heavy_ball")]
import hashlib
text = "".join(ct.compile(m, "c").source for m in maps)
print(hashlib.sha256(text.encode()).hexdigest())
"""


def test_sources_are_the_same_to_the_byte_under_any_hash_seed():
    seen = {
        subprocess.run(
            [sys.executable, "-c", EMIT],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(seen) == 1
    assert len(seen.pop().strip()) == 64


def test_the_comment_holds_equations_symbols_shapes_and_source():
    head = ct.compile(update_map("linear"), "c").source.split("*/")[0]
    for part in ("W' = ", "(1, 3)", "learning rate", "number of samples", "arXiv 2003.02218"):
        assert part in head
    assert "pure numbers" in head


def test_a_missing_compiler_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setenv("CC", "/no/such/compiler --flag")
    with pytest.raises(MissingBackend, match=r"\$CC is '/no/such/compiler --flag'"):
        ct.compile(UV, "c").run({"f": 1.0, "lam": 2.0}, 1, eta=0.5, n=4.0)
    monkeypatch.delenv("CC")
    monkeypatch.setattr(c_compiler, "CANDIDATES", ("no-such-cc", "nor-this"))
    with pytest.raises(MissingBackend, match=r"none of no-such-cc, nor-this .* install one"):
        ct.compile(UV, "c").run({"f": 1.0, "lam": 2.0}, 1, eta=0.5, n=4.0)
    assert "uv_squared_gd_step" in ct.compile(UV, "c").source


ELSEWHERE = "from catapult_theory.codegen.c_compiler import load_library; load_library({!r})"


def test_libraries_are_kept_and_damaged_ones_made_anew(monkeypatch, tmp_path):
    monkeypatch.setenv("CATAPULT_CACHE", str(tmp_path / "kernels"))
    cache_folder().mkdir()
    source = "int answer(void);\nint answer(void) { return 42; }\n"
    before = set(cache_folder().iterdir())
    done = subprocess.run([sys.executable, "-c", ELSEWHERE.format(source)], capture_output=True)
    assert done.returncode == 0, done.stderr
    text, library = sorted(set(cache_folder().iterdir()) - before)
    assert (text.suffix, library.suffix) == (".c", ".so")
    library.write_bytes(b"damaged")
    assert c_compiler.load_library(source).answer() == 42
    stamp = library.stat().st_mtime_ns
    assert c_compiler.load_library(source).answer() == 42
    assert library.stat().st_mtime_ns == stamp
    assert c_compiler.load_library(source.replace("42", "43")).answer() == 43


def test_a_compiler_that_is_asked_for_is_the_one_that_is_used(monkeypatch):
    monkeypatch.setenv("CC", "gcc -O1")
    compiler = c_compiler.find_compiler()
    assert compiler.command == ("gcc", "-O1")
    assert not {"-ffast-math", "-Ofast"} & set(compiler.flags)
    assert "-ffp-contract=off" in compiler.flags
    result = ct.compile(UV, "c").run({"f": 1.0, "lam": 2.0}, 50, eta=1.5, n=100.0)
    assert (
        result.state["f"]
        == ct.compile(UV, "numba").run({"f": 1.0, "lam": 2.0}, 50, eta=1.5, n=100.0).state["f"]
    )
