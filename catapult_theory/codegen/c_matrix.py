"""Matrix maps for the C target: blocked loops for products, fused loops for what is entrywise.

All matrices of a lane live in a workspace that the caller hands in, one for each thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from catapult_theory.codegen import ir
from catapult_theory.codegen.bodies import names
from catapult_theory.codegen.c_parts import (
    INTEGER,
    Argument,
    arguments,
    function,
    judgement,
    loop,
    needed,
    new_names,
)
from catapult_theory.codegen.c_spelling import Dialect, bracketed, entries, shifted
from catapult_theory.codegen.ir import Node
from catapult_theory.codegen.lowering import Input, Program, next_name
from catapult_theory.codegen.numba_parts import indented
from catapult_theory.codegen.passes import DATA, PARAMETERS, STEP
from catapult_theory.codegen.sharing import Assignment

RESTRICT = """#ifndef CATAPULT_RESTRICT
#ifdef __cplusplus
#define CATAPULT_RESTRICT __restrict
#else
#define CATAPULT_RESTRICT restrict
#endif
#endif"""

PRODUCT = """/* out = a b, entry (i, p) of a at a[i * down + p * right], b and out row after row. */
static inline void {P}_product(int64_t rows, int64_t inner, int64_t cols, const {REAL} *a,
    int64_t down, int64_t right, const {REAL} *CATAPULT_RESTRICT b, {REAL} *CATAPULT_RESTRICT out)
{
    for (int64_t i = 0; i < rows * cols; ++i) {
        out[i] = 0.0{F};
    }
    for (int64_t from = 0; from < inner; from += 64) {
        const int64_t upto = inner - from < 64 ? inner : from + 64;
        for (int64_t i = 0; i < rows; ++i) {
            const {REAL} *x = a + i * down;
            {REAL} *y = out + i * cols;
            int64_t p = from;
            for (; p + 4 <= upto; p += 4) {
                const {REAL} x0 = x[p * right], x1 = x[(p + 1) * right];
                const {REAL} x2 = x[(p + 2) * right], x3 = x[(p + 3) * right];
                const {REAL} *z = b + p * cols;
                for (int64_t j = 0; j < cols; ++j) {
                    y[j] += x0 * z[j] + x1 * z[cols + j] + x2 * z[2 * cols + j]
                        + x3 * z[3 * cols + j];
                }
            }
            for (; p < upto; ++p) {
                const {REAL} *z = b + p * cols;
                for (int64_t j = 0; j < cols; ++j) {
                    y[j] += x[p * right] * z[j];
                }
            }
        }
    }
}"""

DOTS = """/* out = a b, entry (i, p) of a at a[i * down + p * right], b column after column. */
static inline void {P}_dots(int64_t rows, int64_t inner, int64_t cols, const {REAL} *a,
    int64_t down, int64_t right, const {REAL} *CATAPULT_RESTRICT b, {REAL} *CATAPULT_RESTRICT out)
{
    for (int64_t i = 0; i < rows; ++i) {
        const {REAL} *x = a + i * down;
        for (int64_t j = 0; j < cols; ++j) {
            const {REAL} *z = b + j * inner;
            {REAL} part[8] = {0.0{F}};
            int64_t p = 0;
            for (; p + 8 <= inner; p += 8) {
                for (int64_t s = 0; s < 8; ++s) {
                    part[s] += x[(p + s) * right] * z[p + s];
                }
            }
            for (; p < inner; ++p) {
                part[0] += x[p * right] * z[p];
            }
            out[i * cols + j] = ((part[0] + part[4]) + (part[1] + part[5]))
                + ((part[2] + part[6]) + (part[3] + part[7]));
        }
    }
}"""

SOFTMAX = """/* The softmax of each row. */
static inline void {P}_softmax(int64_t rows, int64_t cols, const {REAL} *a, {REAL} *out)
{
    for (int64_t i = 0; i < rows; ++i) {
        const {REAL} *x = a + i * cols;
        {REAL} *y = out + i * cols;
        {REAL} top = x[0], total = 0.0{F};
        for (int64_t j = 1; j < cols; ++j) {
            top = x[j] > top ? x[j] : top;
        }
        for (int64_t j = 0; j < cols; ++j) {
            y[j] = exp{F}(x[j] - top);
            total += y[j];
        }
        for (int64_t j = 0; j < cols; ++j) {
            y[j] /= total;
        }
    }
}"""

LOGSUMEXP = """/* The logarithm of the sum of exponentials of each row. */
static inline void {P}_logsumexp(int64_t rows, int64_t cols, const {REAL} *a, {REAL} *out)
{
    for (int64_t i = 0; i < rows; ++i) {
        const {REAL} *x = a + i * cols;
        {REAL} top = x[0], total = 0.0{F};
        for (int64_t j = 1; j < cols; ++j) {
            top = x[j] > top ? x[j] : top;
        }
        for (int64_t j = 0; j < cols; ++j) {
            total += exp{F}(x[j] - top);
        }
        out[i] = log{F}(total) + top;
    }
}"""

COPY = """/* Copy entries. */
static inline void {P}_copy(int64_t count, const {REAL} *from, {REAL} *to)
{
    for (int64_t i = 0; i < count; ++i) {
        to[i] = from[i];
    }
}"""

SOUND = """/* Whether no entry is infinite or NaN. */
static inline int {P}_all_finite(int64_t count, const {REAL} *a)
{
    int sound = 1;
    for (int64_t i = 0; i < count; ++i) {
        sound &= fabs{F}(a[i]) < INFINITY;
    }
    return sound;
}"""

ANY_NAN = """/* Whether an entry is NaN. */
static inline int {P}_any_nan(int64_t count, const {REAL} *a)
{
    int found = 0;
    for (int64_t i = 0; i < count; ++i) {
        found |= isnan(a[i]) != 0;
    }
    return found;
}"""

HELPERS = {
    "product": PRODUCT,
    "dots": DOTS,
    "softmax": SOFTMAX,
    "logsumexp": LOGSUMEXP,
    "copy": COPY,
    "all_finite": SOUND,
    "any_nan": ANY_NAN,
}


def where_sizes(program: Program) -> tuple[tuple[int, int], ...]:
    """Return, for each size of a program, an array that shows it and the axis.

    Arrays are counted as `LoopExecutor` passes them: states, parameters, data.

    Parameters
    ----------
    program : Program

    Returns
    -------
    tuple of (int, int)
    """
    places: dict[str, tuple[int, int]] = {}
    for place, i in enumerate((*program.state, *program.parameters, *program.data)):
        for axis, size in zip((-2, -1), i.shape, strict=False):
            places.setdefault(str(size), (place, axis))
    return tuple(places[size] for size in program.dims)


def workspace(length: int, dtype: str) -> Any:
    """Return memory for that many entries."""
    return np.empty(length, dtype)


def export_workspace(program: Program, dialect: Dialect) -> str:
    """Return a function of fixed signature for the size of the workspace."""
    sizes = ", ".join(f"n[{i}]" for i in range(len(program.dims)))
    return (
        "int64_t catapult_workspace(const int64_t *n)\n"
        f"{{\n    (void)n;\n    return (int64_t){dialect.prefix}_workspace({sizes});\n}}"
    )


@dataclass(frozen=True)
class Writer:
    """Statements of one header.

    Parameters
    ----------
    program : Program
    dialect : Dialect
    """

    program: Program
    dialect: Dialect

    def call(self, helper: str, *passed: object) -> str:
        """Return the call of a function of this header."""
        return f"{self.dialect.prefix}_{helper}({', '.join(map(str, passed))});"

    def over(self, shape: ir.Shape, line: Callable[[str, str], str]) -> list[str]:
        """Return loops over the entries of a matrix; axes of one entry need none."""
        rows, cols = shape
        i, j = ("0" if rows == 1 else "i"), ("0" if cols == 1 else "j")
        lines = [line(i, j)]
        for index, size in ((j, cols), (i, rows)):
            if index != "0":
                head = f"for (int64_t {index} = 0; {index} < {size}; ++{index}) {{"
                lines = [head, *(f"    {text}" for text in lines), "}"]
        return lines

    def statement(self, name: str, node: Node, target: str = "") -> list[str]:
        """Return the lines that compute a named quantity; matrices go to their buffer."""
        write, real = self.dialect.write, self.dialect.real
        if node.op == "matmul":
            return [self.product(name, node)]
        if node.op in ("softmax", "logsumexp"):
            (inside,) = node.args
            return [self.call(node.op, *inside.shape, inside.value, name)]
        if node.op == "sum":
            (inside,) = node.args
            start = f"{real} {name} = {self.dialect.literal('0.0')};"
            return [
                start,
                *self.over(inside.shape, lambda i, j: f"{name} += {write(inside, i, j)};"),
            ]
        if node.op == "block":
            return self._blocks(name, node)
        if node.shape:
            out = ir.symbol(name, node.shape)
            return self.over(node.shape, lambda i, j: f"{write(out, i, j)} = {write(node, i, j)};")
        return [f"{target or f'const {real} {name}'} = {write(node)};"]

    def _blocks(self, name: str, node: Node) -> list[str]:
        out = ir.symbol(name, node.shape)
        width = len(node.args) // int(node.value)
        lines: list[str] = []
        top: list[ir.Size] = []
        for r in range(0, len(node.args), width):
            left: list[ir.Size] = []
            for block in node.args[r : r + width]:
                lines += self._placed(out, block, _total(top), _total(left))
                left.append(block.shape[1])
            top.append(node.args[r].shape[0])
        return lines

    def _placed(self, out: Node, block: Node, above: ir.Size, before: ir.Size) -> list[str]:
        """Return the lines that write a block below and right of others."""
        write = self.dialect.write

        def line(i: str, j: str) -> str:
            return f"{write(out, shifted(i, above), shifted(j, before))} = {write(block, i, j)};"

        return self.over(block.shape, line)

    def product(self, target: str, node: Node) -> str:
        """Return the call for a product of two leaves, which may be transposed."""
        (a, flipped), (b, columns) = (_leaf(x) for x in node.args)
        (rows, inner), cols = node.args[0].shape, node.args[1].shape[1]
        if cols == 1 and flipped:
            return self.call("product", 1, inner, rows, b, inner, 1, a, target)
        if columns or cols == 1:
            step = (1, rows) if flipped else (inner, 1)
            return self.call("dots", rows, inner, cols, a, *step, b, target)
        step = (1, rows) if flipped and rows != 1 else (inner, 1)
        return self.call("product", rows, inner, cols, a, *step, b, target)

    def statements(self, assignments: Iterable[Assignment]) -> list[str]:
        """Return the lines of several assignments."""
        return [line for a in assignments for line in self.statement(a.name, a.value)]


def _leaf(node: Node) -> tuple[str, bool]:
    """Return the symbol of a leaf, and whether it is transposed."""
    if node.op == "transpose":
        return str(node.args[0].value), True
    return str(node.value), False


def _total(sizes: Sequence[ir.Size]) -> ir.Size:
    fixed = sum(s for s in sizes if isinstance(s, int))
    named = [s for s in sizes if isinstance(s, str)]
    if not named:
        return fixed
    return " + ".join([*named, *([str(fixed)] if fixed else [])])


def functions(program: Program, dialect: Dialect) -> list[str]:
    """Return workspace, prepare, constants, evaluate, step, run and trajectory.

    Parameters
    ----------
    program : Program
    dialect : Dialect

    Returns
    -------
    list of str
    """
    house = _House(Writer(program, dialect))
    texts = [house.workspace()]
    texts += [text for level in (DATA, PARAMETERS) for text, _ in house.once(level)]
    texts += [house.evaluate()[0], house.step()]
    return texts + [house.loop(kept) for kept in (False, True)]


@dataclass(frozen=True)
class _House:
    """The functions of one header, and how they call one another."""

    writer: Writer

    @property
    def program(self) -> Program:
        """The program."""
        return self.writer.program

    @property
    def real(self) -> str:
        """The floating-point type."""
        return self.writer.dialect.real

    def matrices(self) -> list[Assignment]:
        """Return the intermediate matrices, which live in the workspace."""
        return [a for a in self.program.assignments if a.value.shape]

    def states(self) -> list[tuple[str, Input]]:
        """Return the buffers of the state and of the next one."""
        return [(name, i) for i in self.program.state for name in (i.code, next_name(i.code))]

    def given(self) -> list[Argument]:
        """Return everything that a function could be passed, in order."""
        program, real = self.program, self.real
        once = [a for a in program.assignments if not a.value.shape and a.level < STEP]
        return [
            *arguments(INTEGER, program.dims),
            *arguments(f"const {real} *", names(program.state)),
            *arguments(real, names(program.parameters)),
            *arguments(f"const {real} *", names(program.data)),
            *arguments(real, [a.name for a in once]),
            *arguments(f"{real} *", [a.name for a in self.matrices()]),
        ]

    def workspace(self) -> str:
        """Return the function for the number of entries of a workspace."""
        parts = [entries(i.shape) for _, i in self.states()]
        parts += [entries(a.value.shape) for a in self.matrices()]
        fixed = sum(int(p) for p in parts if p.isdigit())
        total = " + ".join([*(p for p in parts if not p.isdigit()), str(fixed)])
        return function(
            f"The number of entries of a workspace, each a {self.real}.",
            f"{self.writer.dialect.prefix}_workspace",
            arguments(INTEGER, self.program.dims),
            [f"return (size_t)({total});"],
            "size_t",
        )

    def layout(self, states: bool) -> list[str]:
        """Return the lines that hand out the workspace."""
        parts = [(name, i.shape) for name, i in self.states()] if states else []
        parts += [(a.name, a.value.shape) for a in self.matrices()]
        lines, place = [], "workspace"
        for name, shape in parts:
            lines.append(f"{self.real} *{name} = {place};")
            place = f"{name} + {entries(shape)}"
        return lines

    def once(self, level: int) -> list[tuple[str, list[str]]]:
        """Return the function for what is computed that often, and its call; none if nothing."""
        assignments = self.program.at_level(level)
        if not assignments:
            return []
        lines = self.writer.statements(assignments)
        scalars = [a.name for a in assignments if not a.value.shape]
        inside = {a.name for a in assignments if not a.value.shape}
        given = [a for a in needed(self.given(), lines) if a.name not in inside]
        out = arguments(f"{self.real} *", [f"{name}_out" for name in scalars])
        name = {DATA: "prepare", PARAMETERS: "constants"}[level]
        doc = {
            DATA: "What depends on the data alone.",
            PARAMETERS: "What stays the same from step to step.",
        }[level]
        lines += [f"*{x}_out = {x};" for x in scalars]
        head = f"{self.writer.dialect.prefix}_{name}"
        passed = [*(a.name for a in given), *(f"&{x}" for x in scalars)]
        call = [f"{self.real} {', '.join(scalars)};"] if scalars else []
        return [
            (function(doc, head, [*given, *out], lines), [*call, self.writer.call(name, *passed)])
        ]

    def evaluate(self) -> tuple[str, list[str]]:
        """Return the function for a state's verdicts and next state, and its call."""
        program = self.program
        lines = self.writer.statements(program.at_level(STEP))
        judged = []
        for name, node in program.outputs:
            if name in new_names(program):
                lines += self.writer.statement(name, node)
            else:
                judged.append(name)
                lines += self.writer.statement(name, node, f"*{name}")
        inside = {a.name for a in program.at_level(STEP) if not a.value.shape}
        given = [a for a in needed(self.given(), lines) if a.name not in inside]
        out = arguments(f"{self.real} *", [*judged, *new_names(program)])
        doc = f"Write {', '.join([*judged, *new_names(program)])}."
        head = f"{self.writer.dialect.prefix}_evaluate"
        passed = [a.name for a in given]
        passed += [f"&{'now' if name == 'loss' else name}" for name in judged]
        own = [name for name in judged if name != "loss"]
        call = [f"{self.real} {', '.join(own)};"] if own else []
        call.append(self.writer.call("evaluate", *passed, *new_names(program)))
        return function(doc, head, [*given, *out], lines), call

    def step(self) -> str:
        """Return the function for one step."""
        program, real = self.program, self.real
        lines = [*self.layout(states=False), f"{real} now;"]
        for level in (DATA, PARAMETERS):
            lines += [line for _, call in self.once(level) for line in call]
        lines += self.evaluate()[1]
        given = [
            *arguments(INTEGER, program.dims),
            *arguments(f"const {real} *", names(program.state)),
            *arguments(real, names(program.parameters)),
            *arguments(f"const {real} *", names(program.data)),
            *arguments(f"{real} *", [*new_names(program), "workspace"]),
        ]
        doc = "One step; the new state needs memory of its own."
        return function(doc, f"{self.writer.dialect.prefix}_step", given, lines)

    def loop(self, kept: bool) -> str:
        """Return ``run`` or ``trajectory``."""
        program, real, copy = self.program, self.real, self.writer.call
        state, parameters = names(program.state), names(program.parameters)
        count = {i.code: entries(i.shape) for i in program.state}
        before = [line for _, call in self.once(DATA) for line in call]
        lane = {x: f"{x}_lanes + lane * {bracketed(count[x])}" for x in state}
        row = {x: f"{x}_rows + (row * lanes + lane) * {bracketed(count[x])}" for x in state}
        load = [copy("copy", count[x], lane[x], x) for x in state]
        load += [f"const {real} {x} = {x}_lanes[lane];" for x in parameters]
        load += [line for _, call in self.once(PARAMETERS) for line in call]
        helper = f"{self.writer.dialect.prefix}_"
        pairs = [(i.code, next_name(i.code)) for i in program.state]
        swap = [
            line
            for x, y in pairs
            for line in (f"{real} *{x}_old = {x};", f"{x} = {y};", f"{y} = {x}_old;")
        ]
        bad = [f"isnan({x})" for x in parameters]
        bad += [f"{helper}any_nan({count[x]}, {x})" for x in state]
        fields = {
            "ONCE": indented([*self.layout(states=True), *before], 1),
            "LOAD": indented(load, 2),
            "NAN": " || ".join(bad),
            "EVALUATE": indented(self.evaluate()[1], 3),
            "SOUND": " && ".join(f"{helper}all_finite({count[x]}, {y})" for x, y in pairs),
            "TAKE": indented(swap, 4),
            "KEEP": "\n".join(copy("copy", count[x], x, row[x]) for x in state),
            "STORE": indented([copy("copy", count[x], x, lane[x]) for x in state], 2),
            **judgement(program, self.writer.dialect.dtype, ""),
        }
        return loop(program, self.writer.dialect, kept, fields)
