"""Target "c": one C99 header, without allocation, global variables or dependencies.

The same text serves others' C and C++ programs and, compiled into a shared library, this
package. Lanes do not depend on one another, and no reassociation is allowed, so that the bits
of a lane are the same for any number of threads and any split into chunks.
"""

from __future__ import annotations

import ctypes
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from catapult_theory.codegen import c_matrix
from catapult_theory.codegen.bodies import WIDTH, folded, names, uses
from catapult_theory.codegen.c_blocks import block_run
from catapult_theory.codegen.c_compiler import load_library
from catapult_theory.codegen.c_parts import (
    arguments,
    function,
    judgement,
    loop,
    needed,
    new_names,
    signature,
)
from catapult_theory.codegen.c_spelling import Dialect, fingerprint, prefix_of, respelled
from catapult_theory.codegen.execution import LoopExecutor
from catapult_theory.codegen.header import header
from catapult_theory.codegen.lowering import Program, code_name, expression_program
from catapult_theory.codegen.numba_parts import indented
from catapult_theory.codegen.passes import STEP

USAGE = (
    "{P}_step takes one step. {P}_run and {P}_trajectory work on lanes{SIDE}: "
    "states and parameters are arrays over lanes{MATRICES}. Nothing is allocated and there are "
    "no global variables, so that threads may call them at once. A status is one of "
    "CATAPULT_UNDECIDED, _CONVERGED (the gradient vanished at a stable state), _DIVERGED (the "
    "loss passed its bound, or the next state would not be finite) and _INVALID (NaN at the "
    "start); the lane rests from status_step on. Compilers that fuse a product and a sum change "
    "the last digits, unless they are given -ffp-contract=off.{VECTORS}"
)

MATRIX_USAGE = {"{SIDE}": ", one after the other", "{VECTORS}": ""}
SCALAR_USAGE = {
    "{SIDE}": "",
    "{VECTORS}": (
        " {P}_run takes lanes in blocks, which -O3 (with gcc also -fno-math-errno "
        "-fno-trapping-math) makes vector code of."
    ),
}

INCLUDES = """#include <math.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#error "NaN and infinity are needed here: compile without -ffast-math"
#endif

#ifndef CATAPULT_STATUS
#define CATAPULT_STATUS
enum {
    CATAPULT_UNDECIDED = 0,
    CATAPULT_CONVERGED = 1,
    CATAPULT_DIVERGED = 2,
    CATAPULT_INVALID = 3
};
#endif"""

SOFTPLUS = """/* log(1 + exp(x)) without overflow. */
static inline {REAL} {P}_softplus({REAL} x)
{
    const {REAL} size = fabs{F}(x);
    return log1p{F}(exp{F}(-size)) + 0.5{F} * (x + size);
}"""

SIGMOID = """/* 1 / (1 + exp(-x)) without overflow. */
static inline {REAL} {P}_sigmoid({REAL} x)
{
    const {REAL} below = exp{F}(-fabs{F}(x));
    return (x >= 0.0{F} ? 1.0{F} : below) / (1.0{F} + below);
}"""

SIGN = """/* -1, 0 or 1; NaN for NaN. */
static inline {REAL} {P}_sign({REAL} x)
{
    return x > 0.0{F} ? 1.0{F} : x < 0.0{F} ? -1.0{F} : isnan(x) ? x : 0.0{F};
}"""

MAXIMUM = """/* The larger number; NaN if either is. */
static inline {REAL} {P}_maximum({REAL} a, {REAL} b)
{
    return a >= b || isnan(a) ? a : b;
}"""

MINIMUM = """/* The smaller number; NaN if either is. */
static inline {REAL} {P}_minimum({REAL} a, {REAL} b)
{
    return a <= b || isnan(a) ? a : b;
}"""

HELPERS = {
    "softplus": SOFTPLUS,
    "sigmoid": SIGMOID,
    "sign": SIGN,
    "maximum": MAXIMUM,
    "minimum": MINIMUM,
    **c_matrix.HELPERS,
}


def emit(update_map: Any, program: Program, dtype: str) -> str:
    """Return the source of a header with ``step``, ``run`` and ``trajectory``.

    Their names begin with those of model, loss and optimizer, so that one program can include
    several headers.

    Parameters
    ----------
    update_map : UpdateMap
    program : Program
        From `loop_program`.
    dtype : str

    Returns
    -------
    str
        Standalone; the same to the byte in every process.
    """
    prefix = prefix_of(update_map, dtype)
    program, renamed = respelled(program, prefix)
    dialect = Dialect(prefix, dtype, frozenset(program.dims))
    if program.is_matrix:
        body = c_matrix.functions(program, dialect)
    else:
        body = _scalar_functions(update_map, program, dialect)
    text = "\n\n".join(body)
    used = [code for name, code in HELPERS.items() if uses([text], f"{prefix}_{name}")]
    top = [INCLUDES, c_matrix.RESTRICT] if program.is_matrix else [INCLUDES]
    whole = "\n\n".join([*top, *used, text])
    for key, value in {"{P}": prefix, "{REAL}": dialect.real, "{F}": dialect.suffix}.items():
        whole = whole.replace(key, value)
    guard = f"{prefix.upper()}_{fingerprint(update_map, dtype)}_H"

    def spelled(name: str) -> str:
        return renamed.get(code_name(name), code_name(name))

    matrices = ", which hold matrices row after row" if program.is_matrix else ""
    usage = USAGE.replace("{MATRICES}", matrices)
    for key, value in (MATRIX_USAGE if program.is_matrix else SCALAR_USAGE).items():
        usage = usage.replace(key, value)
    usage = usage.replace("{P}", prefix)
    note = comment(textwrap.fill(usage, WIDTH, break_on_hyphens=False))
    return (
        f"{header(update_map, 'c', comment, spelled)}\n#ifndef {guard}\n#define {guard}\n\n"
        f"{note}\n{folded(whole)}\n\n#endif\n"
    )


def comment(text: str) -> str:
    """Return a text as a comment, which nothing in the text can close.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> print(comment("a */ b"), end="")
    /*
    a * / b
    */
    """
    plain = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
    for mark in ("*/", "/*", "??"):
        plain = plain.replace(mark, " ".join(mark))
    return f"/*\n{plain}\n*/\n"


def load(source: str, update_map: Any, program: Program, dtype: str) -> LoopExecutor:
    """Compile a generated header into a shared library, or find it compiled, and load it.

    Parameters
    ----------
    source : str
        From `emit`.
    update_map : UpdateMap
    program : Program
    dtype : str

    Returns
    -------
    LoopExecutor

    Raises
    ------
    MissingBackend
        If there is no C compiler.
    OutputError
        If the folder of compiled code cannot be written.
    """
    dialect = Dialect(prefix_of(update_map, dtype), dtype)
    exports = "\n\n".join(_export(program, dialect, kept) for kept in (False, True))
    if program.is_matrix:
        exports += "\n\n" + c_matrix.export_workspace(program, dialect)
    library = load_library(f"{source}\n{exports}\n")
    return LoopExecutor(_Loops.of(library, program, dtype), dtype)


def _export(program: Program, dialect: Dialect, kept: bool) -> str:
    """Return a function of fixed signature that hands its arguments on."""
    name = "trajectory" if kept else "run"
    integers = [f"n[{i}]" for i in range((5 if kept else 3) + len(program.dims))]
    pointers = [a for a in signature(program, dialect, kept) if a.type.endswith("*")]
    passed = [f"({a.type})a[{i}]" for i, a in enumerate(pointers)]
    return (
        f"void catapult_{name}(const int64_t *n, void *const *a)\n"
        f"{{\n    {dialect.prefix}_{name}({', '.join([*integers, *passed])});\n}}"
    )


@dataclass(frozen=True)
class _Loops:
    """The loops of a library as functions of NumPy arrays; calls hold no lock."""

    run_function: Callable[..., None]
    trajectory_function: Callable[..., None]
    workspace_function: Callable[..., int] | None
    states: int
    sizes: tuple[tuple[int, int], ...]
    dtype: str

    @classmethod
    def of(cls, library: ctypes.CDLL, program: Program, dtype: str) -> _Loops:
        run, trajectory = library.catapult_run, library.catapult_trajectory
        run.restype = trajectory.restype = None
        space = None
        if program.is_matrix:
            space = library.catapult_workspace
            space.restype = ctypes.c_int64
        sizes = c_matrix.where_sizes(program)
        return cls(run, trajectory, space, len(program.state), sizes, dtype)

    def run(self, low: int, high: int, steps: int, *arrays: Any) -> None:
        """Work on lanes ``low`` to ``high``."""
        self._call(self.run_function, (low, high, steps), (), arrays)

    def trajectory(self, low: int, high: int, steps: int, every: int, *arrays: Any) -> None:
        """Work on lanes ``low`` to ``high`` and keep their states."""
        rows, rest = arrays[: self.states], arrays[self.states :]
        self._call(self.trajectory_function, (low, high, steps, every, len(rest[0])), rows, rest)

    def _call(
        self,
        function: Callable[..., None],
        counts: Sequence[int],
        rows: Sequence[Any],
        arrays: Sequence[Any],
    ) -> None:
        sizes = [arrays[place].shape[axis] for place, axis in self.sizes]
        given = [*rows, *arrays]
        if self.workspace_function is not None:
            length = self.workspace_function((ctypes.c_int64 * len(sizes))(*sizes))
            given.append(c_matrix.workspace(length, self.dtype))
        integers = (ctypes.c_int64 * (len(counts) + len(sizes)))(*counts, *sizes)
        function(integers, (ctypes.c_void_p * len(given))(*(a.ctypes.data for a in given)))


def _lines(program: Program, dialect: Dialect, levels: tuple[int, ...]) -> list[str]:
    return [
        f"const {dialect.real} {a.name} = {dialect.write(a.value)};"
        for a in program.assignments
        if a.level in levels
    ]


def _results(program: Program, dialect: Dialect) -> list[str]:
    return [f"*{name} = {dialect.write(node)};" for name, node in program.outputs]


def _scalar_functions(update_map: Any, program: Program, dialect: Dialect) -> list[str]:
    constants = _constants(program, dialect)
    evaluate, call = _evaluate(program, dialect)
    margin = update_map.observables.get("stability_margin")
    texts = [*([constants[0]] if constants else []), _step(program, dialect), evaluate]
    test = ""
    if margin is not None:
        text, test = _margin(update_map, margin, dialect)
        texts.append(text)
    lines = "\n".join(constants[1]) if constants else ""
    hoisted = [a.name for a in program.assignments if a.level < STEP]
    calls = {"constants": lines, "evaluate": "\n".join(call), "margin": test}
    texts += block_run(program, dialect, hoisted, calls)
    fields = _fields(program, dialect, call, test)
    fields["LOAD"] += "\n" + indented(constants[1], 2) if constants else ""
    return [*texts, loop(program, dialect, True, fields)]


def _constants(program: Program, dialect: Dialect) -> tuple[str, list[str]] | None:
    """Return the function for what does not change from step to step, and its call."""
    hoisted = [a.name for a in program.assignments if a.level < STEP]
    if not hoisted:
        return None
    lines = _lines(program, dialect, (0, 1))
    given = needed(arguments(dialect.real, names(program.parameters)), lines)
    results = [f"*{name}_out = {name};" for name in hoisted]
    head = f"{dialect.prefix}_constants"
    out = arguments(f"{dialect.real} *", [f"{name}_out" for name in hoisted])
    text = function(
        "What stays the same from step to step.", head, [*given, *out], [*lines, *results]
    )
    passed = [a.name for a in given] + [f"&{name}" for name in hoisted]
    call = [f"{dialect.real} {', '.join(hoisted)};", f"{head}({', '.join(passed)});"]
    return text, call


def _step(program: Program, dialect: Dialect) -> str:
    part = program.restricted(new_names(program))
    lines = [*_lines(part, dialect, (0, 1, 2)), *_results(part, dialect)]
    given = [
        *arguments(dialect.real, names(program.state, program.parameters)),
        *arguments(f"{dialect.real} *", new_names(program)),
    ]
    doc = "One step; the new state may replace the old one."
    return function(doc, f"{dialect.prefix}_step", given, lines)


def _evaluate(program: Program, dialect: Dialect) -> tuple[str, list[str]]:
    """Return the function for a state's verdicts and next state, and its call."""
    results = [name for name, _ in program.outputs]
    lines = [*_lines(program, dialect, (2,)), *_results(program, dialect)]
    hoisted = [a.name for a in program.assignments if a.level < STEP]
    values = [*names(program.state, program.parameters), *hoisted]
    given = needed(arguments(dialect.real, values), lines)
    head = f"{dialect.prefix}_evaluate"
    out = arguments(f"{dialect.real} *", results)
    doc = f"Write {', '.join(results)}."
    passed = [a.name for a in given]
    passed += [f"&{'now' if name == 'loss' else name}" for name in results]
    own = [name for name in results if name != "loss"]
    call = [f"{dialect.real} {', '.join(own)};", f"{head}({', '.join(passed)});"]
    return function(doc, head, [*given, *out], lines), call


def _margin(update_map: Any, expression: Any, dialect: Dialect) -> tuple[str, str]:
    """Return the function for the stability margin, and its call."""
    plain = expression_program(update_map, {"stability_margin": expression})
    program, _ = respelled(plain, dialect.prefix)
    ((_, node),) = program.outputs
    lines = [*_lines(program, dialect, (0, 1, 2)), f"return {dialect.write(node)};"]
    given = needed(arguments(dialect.real, names(program.state, program.parameters)), lines)
    head = f"{dialect.prefix}_stability_margin"
    doc = "Positive where a minimum at this state is linearly stable."
    text = function(doc, head, given, lines, dialect.real)
    return text, f"{head}({', '.join(a.name for a in given)})"


def _fields(program: Program, dialect: Dialect, call: list[str], margin: str) -> dict[str, str]:
    state, parameters, real = names(program.state), names(program.parameters), dialect.real
    new = new_names(program)
    load = [f"{real} {x} = {x}_lanes[lane];" for x in state]
    load += [f"const {real} {x} = {x}_lanes[lane];" for x in parameters]
    return {
        "ONCE": "",
        "LOAD": indented(load, 2),
        "NAN": " || ".join(f"isnan({x})" for x in (*state, *parameters)),
        "EVALUATE": indented(call, 3),
        "SOUND": " && ".join(f"isfinite({x})" for x in new),
        "TAKE": indented([f"{x} = {y};" for x, y in zip(state, new, strict=True)], 4),
        "KEEP": "\n".join(f"{x}_rows[row * lanes + lane] = {x};" for x in state),
        "STORE": indented([f"{x}_lanes[lane] = {x};" for x in state], 2),
        **judgement(program, dialect.dtype, margin),
    }
