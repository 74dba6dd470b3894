"""Exported kernels: files that work where nothing of this package is, and steps in njit code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

import catapult_theory as ct
from catapult_theory import cli
from catapult_theory.codegen import export
from catapult_theory.codegen.c_spelling import prefix_of
from catapult_theory.errors import InputError, OutputError

EPS = float(np.finfo(np.float64).eps)
STRICT = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Wshadow", "-Wconversion", "-Werror"]
ALLOWED = {"array": ("numpy",), "numba": ("numpy", "numba", "llvmlite")}
ALLOWED["jax"] = ("numpy", "jax", "jaxlib", "ml_dtypes", "opt_einsum", "scipy")
SCALAR = {
    "uv": ("uv", "squared", "gd", {}),
    "labelled, with momentum": ("uv:label", "squared", "heavy_ball", {"y": 0.5, "beta": 0.25}),
    "logistic": ("uv:1", "logistic", "gd", {}),
}
PYTHON = ("array", "numba", "jax")


@pytest.fixture
def catapult(monkeypatch, capsys):
    """Run the program as its console script does; return exit code, output and errors."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["catapult", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return (stop.value.code or 0, *capsys.readouterr())

    return call


@cache
def map_of(model, loss="squared", optimizer="gd", inputs=None, outputs=1):
    return ct.derive(cli.model_of(model, inputs, outputs), loss, optimizer)


UV = map_of("uv")


def write(catapult, target, folder, model="uv", loss="squared", optimizer="gd", *more):
    pytest.importorskip({"c": "numpy", "array": "numpy"}.get(target, target))
    path = folder / ("emitted.h" if target == "c" else "emitted.py")
    words = ("--loss", loss, "--optimizer", optimizer, "--target", target, "-o", path, *more)
    assert catapult("export", model, *words) == (0, "", "")
    return path


# Only the standard library, the allowed packages and the file itself can be imported.
ALONE = """
import sys, sysconfig
ALLOWED = {allowed!r}
SYSCONFIG = sysconfig._get_sysconfigdata_name()  # the standard library's, too
class Only:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in (*sys.stdlib_module_names, *ALLOWED, 'emitted', SYSCONFIG):
            return self.finder.find_spec(name, path, target)
sys.meta_path = [Only(finder) for finder in sys.meta_path]
for name in ('catapult_theory', 'sympy', 'rich'):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise SystemExit(name + ' was not kept out')
sys.path.insert(0, '.')
if 'jax' in ALLOWED:
    import jax
    jax.config.update('jax_enable_x64', True)
import numpy as np
import emitted
def show(*values):
    for value in values:
        print(*(float(x).hex() for x in np.asarray(value).ravel()))
"""


def alone(target, folder, code, *more):
    """Run code with an exported Python file; return the numbers that it shows, a row a line."""
    script = ALONE.format(allowed=(*ALLOWED[target], *more)) + code
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder / "numba")},
    )
    assert done.returncode == 0, done.stderr
    return numbers(done.stdout)


def compiled(folder, program):
    """Compile a program with an exported header by gcc, without a warning; return what it shows."""
    (folder / "main.c").write_text(program)
    command = ["gcc", *STRICT, "-O2", "-ffp-contract=off", "main.c", "-o", "program", "-lm"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(["./program"], cwd=folder, capture_output=True, text=True, env={})
    return numbers(done.stdout)


def numbers(text):
    return [np.array([float.fromhex(x) for x in line.split()]) for line in text.splitlines()]


def point(title):
    """The map of a title, numbers for its state and parameters, and what kernel.step gives."""
    model, loss, optimizer, given = SCALAR[title]
    this = map_of(model, loss, optimizer)
    state = [0.75, 2.0, *(0.125 * (i + 1) for i in range(len(this.variables) - 2))]
    given = {s.name: {"eta": 0.3, "n": 7.0, **given}[s.name] for s in this.constants}
    want = ct.compile(this, "array").step(*state, **given)
    return this, [*state, *given.values()], np.array(want)


def step_of_the_file(target, folder, this, values):
    """One step of a scalar map from nothing but the exported file."""
    if target != "c":
        return alone(target, folder, f"show(emitted.step(*{values!r}))")[0]
    names = [f"next{i}" for i in range(len(this.variables))]
    call = ", ".join([*map(repr, values), *(f"&{name}" for name in names)])
    shown = " ".join(["%a"] * len(names))
    return compiled(
        folder,
        '#include "emitted.h"\n#include <stdio.h>\n\nint main(void)\n{\n'
        f"    double {', '.join(names)};\n    {prefix_of(this, 'float64')}_step({call});\n"
        f'    printf("{shown}\\n", {", ".join(names)});\n    return 0;\n}}\n',
    )[0]


def misses(got, want):
    """How far numbers are off, in units of 4 eps of the largest."""
    return np.abs(got - want).max() / (4 * EPS * max(1.0, np.abs(want).max()))


@pytest.mark.parametrize("target", [*PYTHON, "c"])
@pytest.mark.parametrize("title", SCALAR)
def test_a_step_of_the_exported_file_is_the_kernels(catapult, tmp_path, target, title):
    write(catapult, target, tmp_path, *SCALAR[title][:3])
    this, values, want = point(title)
    assert misses(step_of_the_file(target, tmp_path, this, values), want) <= 1


@pytest.mark.parametrize("target", [*PYTHON, "c"])
def test_a_file_with_a_changed_coefficient_is_noticed(catapult, tmp_path, target):
    path = write(catapult, target, tmp_path)
    right = path.read_text()
    path.write_text(right.replace("x1 - 4.0", "x1 - 4.000001"))
    assert path.read_text() != right
    this, values, want = point("uv")
    assert misses(step_of_the_file(target, tmp_path, this, values), want) > 1


MATRIX = (("squared", "gd", 1), ("softmax_cross_entropy", "gd", 2))
MATRIX_MORE = {"numba": ("scipy",)}  # Numba multiplies matrices with its BLAS
# run() takes lanes: one, one step; the verdicts' buffers are NumPy's.
MATRIX_CALLS = {
    "array": "show(*emitted.step(W, G, S, 0.1, 11.0, X, Y))",
    "jax": "show(*emitted.step(*map(jax.numpy.asarray, (W, G, S)), 0.1, 11.0, X, Y))",
    "numba": """
lanes = [np.array([a]) for a in (W, G, S, 0.1, 11.0)]
real, whole = [np.empty(1) for _ in range(2)], [np.empty(1, np.int64) for _ in range(3)]
given = (X, Y, *emitted.diagonal(X, Y)) if hasattr(emitted, 'diagonal') else (X, Y)
emitted.run(0, 1, 1, *lanes, *given, *real, *whole)
show(*lanes[:3])
""",
}


def matrix_point(loss, optimizer, outputs):
    rng = np.random.default_rng(7)
    phi = rng.normal(size=(11, 3 + outputs))
    this = map_of("linear", loss, optimizer, 3, outputs)
    state = this.state_from_gram(phi.T @ phi / 11, 11.0)
    targets = rng.normal(size=(5, outputs))
    if loss == "softmax_cross_entropy":
        targets = np.eye(outputs)[rng.integers(outputs, size=5)]
    parts = {**state, "X": rng.normal(size=(5, 3)), "Y": targets}
    return this, {name: np.array(value, order="C") for name, value in parts.items()}


def flat(array, opening="{", closing="}"):
    return opening + ", ".join(map(repr, array.ravel().tolist())) + closing


def matrix_program(this, parts):
    """A C program that takes one step and prints the new state."""
    prefix = prefix_of(this, "float64")
    lines = [f"const double {k}[] = {flat(a)};" for k, a in parts.items()]
    lines += [f"double {k}n[{parts[k].size}];" for k in "WGS"]
    lines += ["double workspace[1000];", f"if ({prefix}_workspace(5) > 1000) return 1;"]
    lines.append(f"{prefix}_step(5, W, G, S, 0.1, 11.0, X, Y, Wn, Gn, Sn, workspace);")
    for k in "WGS":
        lines.append(f'for (int i = 0; i < {parts[k].size}; ++i) printf("%a ", {k}n[i]);')
        lines.append('printf("\\n");')
    body = "\n    ".join([*lines, "return 0;"])
    head = '#include "emitted.h"\n#include <stdio.h>\n\nint main(void)\n{\n    '
    return f"{head}{body}\n}}\n"


# Numba's file of a matrix model takes some twenty seconds to compile.
@pytest.mark.parametrize(
    "target", ["array", "jax", "c", pytest.param("numba", marks=pytest.mark.full)]
)
@pytest.mark.parametrize("case", MATRIX, ids=lambda case: case[0])
def test_a_step_of_an_exported_matrix_model_is_the_kernels(catapult, tmp_path, target, case):
    loss, optimizer, outputs = case
    sizes = ("--inputs", 3, "--outputs", outputs)
    write(catapult, target, tmp_path, "linear", loss, optimizer, *sizes)
    this, parts = matrix_point(*case)
    state, data = [parts[k] for k in "WGS"], {k: parts[k] for k in "XY"}
    want = ct.compile(this, "array").step(*state, eta=0.1, n=11.0, **data)
    wrong = ct.compile(this, "array").step(*state, eta=0.1 + 1e-9, n=11.0, **data)
    if target == "c":
        got = compiled(tmp_path, matrix_program(this, parts))
    else:
        given = "".join(f"{k} = np.array({a.tolist()!r}, dtype=float)\n" for k, a in parts.items())
        got = alone(target, tmp_path, given + MATRIX_CALLS[target], *MATRIX_MORE.get(target, ()))
    assert len(got) == 3
    for a, b in zip(got, want, strict=True):
        assert misses(a, b.ravel()) <= 1
    assert max(misses(a, b.ravel()) for a, b in zip(got, wrong, strict=True)) > 1


@pytest.mark.parametrize("target", [*PYTHON, "c"])
@pytest.mark.parametrize("model", ["uv:label", "linear"])
def test_the_head_of_the_file_holds_equations_symbols_shapes_and_source(
    catapult, tmp_path, target, model
):
    this = map_of(model)
    text = write(catapult, target, tmp_path, model).read_text()
    head = text.split("*/" if target == "c" else '"""\n\n')[0]
    for line in str(this).splitlines()[:-1]:
        assert line in head
    rows = [line.split(maxsplit=1) for line in head.partition("pure numbers")[2].splitlines()]
    shapes = {row[0]: row[1] for row in rows if len(row) == 2}
    for s in (*this.variables, *this.constants, *this.data):
        shape = f"({', '.join(map(str, s.shape))})" if hasattr(s, "shape") else "scalar"
        assert shapes[s.name].startswith(shape), s
    assert "arXiv 2003.02218" in head
    assert "This file needs only" in head
    assert ("SciPy" in head) == (target in MATRIX_MORE and this.is_matrix)


@pytest.mark.parametrize("target", [*PYTHON, "c"])
def test_a_file_says_that_it_draws_no_batches(target):
    said = "This file draws no mini-batches: give each step its batch as X and Y"
    assert said in export.exported(map_of("linear", "squared", "sgd"), target)
    assert said not in export.exported(map_of("linear"), target)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("optimizer", ["normalised", "clipped", "sam"])
def test_conditions_compile_without_a_warning(tmp_path, compiler, optimizer):
    if shutil.which(compiler) is None:
        pytest.skip(f"not installed: {compiler}")
    source = export.exported(map_of("uv:label", "squared", optimizer), "c")
    (tmp_path / "main.c").write_text(source + "\nint main(void) { return 0; }\n")
    command = [compiler, *STRICT, "-Wno-unused-function", "main.c", "-o", "program", "-lm"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


GRADIENT = """
grad = jax.grad(lambda eta: emitted.step(0.75, 2.0, eta, 7.0)[0])
show(grad(0.3), jax.vmap(grad)(jax.numpy.array([0.3, 0.5])))
"""


def test_an_exported_step_has_the_derivative_that_sympy_finds(catapult, tmp_path):
    write(catapult, "jax", tmp_path)
    one, two = alone("jax", tmp_path, GRADIENT)
    symbols = [*UV.variables, *UV.constants]
    slope = UV.updates[UV.variables[0]].diff(symbols[2])

    def at(rate):
        values = {"f": 0.75, "lam": 2.0, "eta": rate, "n": 7.0}
        return float(slope.subs({s: values[s.name] for s in symbols}))

    assert misses(one, np.array([at(0.3)])) <= 1
    assert misses(two, np.array([at(0.3), at(0.5)])) <= 1
    assert misses(two, np.array([at(0.3), at(0.5001)])) > 1


USER = """
import numba
import catapult_theory as ct

step = ct.compile(ct.derive(ct.models.uv()), "numba").njit


@numba.njit(cache=True)
def last(f, lam, eta, n, steps):
    for _ in range(steps):
        f, lam = step(f, lam, eta, n)
    return f, lam
"""
CALL = """
import sys
sys.path.insert(0, '.')
import user
print(*(x.hex() for x in user.last(1.0, 2.0, 1.4, 100.0, 25)))
user.step(1.0, 2.0, 1.4, 100.0)
for function in (user.last, user.step):
    stats = function.stats
    print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def test_a_loop_of_the_user_over_a_step_is_a_run_bit_for_bit_and_is_cached(tmp_path):
    (tmp_path / "user.py").write_text(USER)
    env = {**os.environ, "CATAPULT_CACHE": str(tmp_path / "kernels")}
    env["NUMBA_CACHE_DIR"] = str(tmp_path / "numba")
    first, second = (
        subprocess.run(
            [sys.executable, "-c", CALL],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=True,
            env=env,
        ).stdout.splitlines()
        for _ in range(2)
    )
    kernel = ct.compile(UV, "numba")
    want, other = (
        [x.item().hex() for x in kernel.run(START, 25, eta=eta, n=100.0).state.values()]
        for eta in (1.4, np.nextafter(1.4, 2.0))
    )
    assert first[0].split() == second[0].split() == want
    assert want != other
    assert [line.split()[0] for line in first[1:]] == ["0", "0"]
    assert second[1:] == ["1 0", "1 0"]


START = {"f": 1.0, "lam": 2.0}


def test_other_backends_and_matrix_maps_have_no_njit_and_say_what_to_do():
    with pytest.raises(InputError, match="compile with backend='numba'"):
        _ = ct.compile(UV, "array").njit
    with pytest.raises(InputError, match="matrix model"):
        _ = ct.compile(map_of("linear"), "numba").njit


@pytest.mark.parametrize("target", export.ENDINGS)
@pytest.mark.parametrize("dtype", export.DTYPES)
def test_standard_output_gets_what_a_file_gets(catapult, tmp_path, target, dtype):
    path = write(catapult, target, tmp_path, "uv", "squared", "gd", "--dtype", dtype)
    code, out, err = catapult("export", "uv", "--target", target, "--dtype", dtype)
    assert (code, err) == (0, "")
    assert out == path.read_text() == ct.compile(UV, target, dtype).source
    assert catapult("export", "uv", "--target", target, "-o", "-", "--dtype", dtype)[1] == out


def test_jax_and_numba_need_not_be_there_to_export(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "lax.scan" in export.exported(UV, "jax")
    with pytest.raises(ct.MissingBackend):
        ct.compile(UV, "jax")


def test_a_file_is_replaced_only_by_force(catapult, tmp_path):
    path = tmp_path / "uv.h"
    path.write_text("mine")
    code, out, err = catapult("export", "uv", "--target", "c", "-o", path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--force" in err
    assert path.read_text() == "mine"
    assert catapult("export", "uv", "--target", "c", "-o", path, "--force") == (0, "", "")
    assert path.read_text() == ct.compile(UV, "c").source
    assert [file.name for file in tmp_path.iterdir()] == ["uv.h"]


def test_a_file_that_fails_half_way_leaves_the_old_one(tmp_path):
    path = tmp_path / "uv.h"
    path.write_text("mine")
    with pytest.raises(UnicodeEncodeError):
        export.write_whole(path, "new \udc80")
    assert path.read_text() == "mine"
    assert [file.name for file in tmp_path.iterdir()] == ["uv.h"]
    with pytest.raises(OutputError, match="cannot write"):
        export.write_whole(tmp_path / "none" / "uv.h", "new")


BAD = [
    (("uv", "--target", "llvm"), "unknown target 'llvm'"),
    (("uv", "--target", "nunba"), "did you mean 'numba'"),
    (("uv", "--target", "c", "--dtype", "float16"), "unknown dtype"),
    (("uv", "--target", "c", "-o", "uv.py"), "name it uv.h"),
    (("uv", "--target", "jax", "-o", "uv"), "name it uv.py"),
    (("uv", "--target", "c", "-o", "none/uv.h"), "existing, writable folder"),
    (("uv", "--target", "c", "-o", "."), "existing, writable folder"),
    (("uvv", "--target", "c"), "did you mean 'uv'"),
    (("uv", "--target", "c", "--optimizer", "adam"), "does not close"),
]


@pytest.mark.parametrize(("words", "said"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_bad_input_is_one_line_exit_code_2_and_no_file(
    catapult, tmp_path, monkeypatch, words, said
):
    monkeypatch.chdir(tmp_path)
    code, out, err = catapult("export", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_a_target_must_be_named(catapult):
    assert catapult("export", "uv")[0] == 2
