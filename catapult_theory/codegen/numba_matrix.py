"""Matrix maps for the Numba target: BLAS for products, fused loops for everything entrywise.

All intermediate matrices of a lane live in buffers that are made once for each thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from catapult_theory.codegen import ir
from catapult_theory.codegen.bodies import function, names, packed, size_lines
from catapult_theory.codegen.ir import Node
from catapult_theory.codegen.lowering import Program, judged_names, next_name
from catapult_theory.codegen.numba_parts import JIT, filled, indented, judgement
from catapult_theory.codegen.numba_spelling import literal, numba_spelling
from catapult_theory.codegen.passes import DATA, PARAMETERS, STEP
from catapult_theory.codegen.sharing import Assignment
from catapult_theory.codegen.spelling import write

FINITE = '''{JIT}
def all_finite(matrix):
    """Whether no entry is infinite or NaN."""
    sound = True
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            sound &= np.abs(matrix[i, j]) < np.inf
    return sound'''

SOFTMAX = '''{JIT}
def softmax(rows, out):
    """Write the softmax of each row."""
    for i in range(rows.shape[0]):
        top = rows[i, 0]
        for j in range(1, rows.shape[1]):
            top = max(top, rows[i, j])
        total = rows[i, 0] * 0
        for j in range(rows.shape[1]):
            out[i, j] = np.exp(rows[i, j] - top)
            total += out[i, j]
        for j in range(rows.shape[1]):
            out[i, j] /= total'''

LOGSUMEXP = '''{JIT}
def logsumexp(rows, out):
    """Write the logarithm of the sum of exponentials of each row."""
    for i in range(rows.shape[0]):
        top = rows[i, 0]
        for j in range(1, rows.shape[1]):
            top = max(top, rows[i, j])
        total = rows[i, 0] * 0
        for j in range(rows.shape[1]):
            total += np.exp(rows[i, j] - top)
        out[i, 0] = np.log(total) + top'''

HELPERS = {"all_finite": FINITE, "softmax": SOFTMAX, "logsumexp": LOGSUMEXP}

LOOP = '''{JIT}
def {NAME}(first, last, steps, {EXTRA}{INPUTS}, loss, peak_loss, peak_step, status, status_step):
    """Run lanes first to last; the state is replaced by the final one.{DOC}"""
{SIZES}
{BUFFERS}
{PREPARE}
    for lane in range(first, last):
{LOAD}
        peak, when, largest, now = -np.inf, 0, 0.0, np.nan
        verdict, decided, t = UNDECIDED, steps, 0
        if {NAN}:
            verdict, decided, peak, t = INVALID, 0, np.nan, -1
        while verdict == UNDECIDED:
            {RESULTS} = evaluate({ARGUMENTS})
{RECORD}
            if now > peak or t == 0:
                peak, when = now, t
{LARGEST}
            if {DIVERGED}:
                verdict, decided = DIVERGED, t
{CONVERGED}
            elif t == steps:
                break
            elif {OVERFLOWED}:
                verdict, decided = DIVERGED, t + 1
            else:
{SWAP}
                t += 1
{FILL}
        loss[lane], peak_loss[lane], peak_step[lane] = now, peak, when
        status[lane], status_step[lane] = verdict, decided
{STORE}'''


@dataclass(frozen=True)
class Writer:
    """Statements of one kernel.

    Parameters
    ----------
    program : Program
    dtype : str
    """

    program: Program
    dtype: str

    def scalar(self, node: Node) -> str:
        """Return a scalar expression."""
        return write(node, numba_spelling(self.dtype, self._sizes))

    @property
    def _sizes(self) -> frozenset[str]:
        return frozenset(self.program.dims)

    def entry(self, node: Node, i: str = "i", j: str = "j") -> str:
        """Return the text of one entry of an entrywise expression."""
        return write(node, numba_spelling(self.dtype, self._sizes, i, j))

    def over(self, shape: ir.Shape, line: str) -> list[str]:
        """Return a double loop over the entries of a matrix."""
        rows, cols = shape
        return [f"for i in range({rows}):", f"    for j in range({cols}):", f"        {line}"]

    def statement(self, target: str, node: Node) -> list[str]:
        """Return the lines that compute a named quantity; matrices go to their buffer."""
        if node.op == "matmul":
            return [product(target, node)]
        if node.op in ("softmax", "logsumexp"):
            return [f"{node.op}({node.args[0].value}, {target})"]
        if node.op == "sum":
            (inside,) = node.args
            start = f"{target} = {literal(self.dtype, '0.0')}"
            return [start, *self.over(inside.shape, f"{target} += {self.entry(inside)}")]
        if node.op == "block":
            return self._blocks(target, node)
        if node.shape:
            return self.over(node.shape, f"{target}[i, j] = {self.entry(node)}")
        return [f"{target} = {self.scalar(node)}"]

    def _blocks(self, target: str, node: Node) -> list[str]:
        width = len(node.args) // int(node.value)
        lines: list[str] = []
        top: list[ir.Size] = []
        for r in range(0, len(node.args), width):
            left: list[ir.Size] = []
            for block in node.args[r : r + width]:
                i, j = _offset("i", top), _offset("j", left)
                lines += self.over(block.shape, f"{target}[{i}, {j}] = {self.entry(block)}")
                left.append(block.shape[1])
            top.append(node.args[r].shape[0])
        return lines

    def statements(self, assignments: Sequence[Assignment]) -> list[str]:
        """Return the lines of several assignments."""
        return [line for a in assignments for line in self.statement(a.name, a.value)]

    def buffers(self, assignments: Sequence[Assignment], like: str) -> list[str]:
        """Return the lines that make the buffers of matrix-valued assignments."""
        return [
            f"{a.name} = np.empty(({a.value.shape[0]}, {a.value.shape[1]}), {like}.dtype)"
            for a in assignments
            if a.value.shape
        ]


def _offset(index: str, before: Sequence[ir.Size]) -> str:
    fixed = sum(b for b in before if isinstance(b, int))
    parts = [index, *(str(b) for b in before if isinstance(b, str)), *([str(fixed)] * bool(fixed))]
    return " + ".join(parts)


def product(target: str, node: Node) -> str:
    """Return the BLAS call of a product, matrix times vector where one side is a single row.

    Parameters
    ----------
    target : str
    node : Node
        A product of two leaves.

    Returns
    -------
    str

    Examples
    --------
    >>> from catapult_theory.codegen.translate import matmul, transpose
    >>> X, W = ir.symbol("X", ("m", "d")), ir.symbol("W", (1, "d"))
    >>> product("f", matmul(X, transpose(W)))
    'np.dot(X, W.reshape(-1), f.reshape(-1))'
    """
    left, right = node.args
    row, column = left.shape[0] == 1, right.shape[1] == 1
    first = f"{left_name(left)}.reshape(-1)" if row else operand(left)
    second = f"{left_name(right)}.reshape(-1)" if column else operand(right)
    if row and column:
        return f"{target}[0, 0] = np.dot({first}, {second})"
    out = f"{target}.reshape(-1)" if row or column else target
    return f"np.dot({first}, {second}, {out})"


def left_name(node: Node) -> str:
    """Return the symbol of a leaf, whatever its orientation."""
    return str(node.args[0].value if node.op == "transpose" else node.value)


def operand(node: Node) -> str:
    """Return a leaf as an operand of a product."""
    return f"{node.args[0].value}.T" if node.op == "transpose" else str(node.value)


def functions(update_map: Any, program: Program, dtype: str) -> list[str]:
    """Return the functions of a matrix kernel: prepare, constants, evaluate, run, trajectory.

    Parameters
    ----------
    update_map : UpdateMap
    program : Program
    dtype : str

    Returns
    -------
    list of str
    """
    writer = Writer(program, dtype)
    texts = [_once(writer, "prepare", DATA, names(program.data))]
    given = [*names(program.parameters, program.data), *_named(program, DATA)]
    texts.append(_once(writer, "constants", PARAMETERS, given))
    texts.append(_evaluate(writer))
    texts += [_loop(writer, kept) for kept in (False, True)]
    return [text for text in texts if text]


def _named(program: Program, level: int) -> list[str]:
    return [a.name for a in program.at_level(level)]


def _once(writer: Writer, name: str, level: int, arguments: list[str]) -> str:
    assignments = writer.program.at_level(level)
    if not assignments:
        return ""
    first = writer.program.data[0].code
    lines = [*writer.buffers(assignments, first), *writer.statements(assignments)]
    doc = {
        DATA: "What depends on the data alone.",
        PARAMETERS: "What stays the same from step to step.",
    }[level]
    body = [*size_lines(writer.program, lines), *lines]
    result = packed([a.name for a in assignments])
    return function(f"{name}({', '.join(arguments)})", doc, body, result, JIT)


def _buffer_names(program: Program) -> list[str]:
    return [a.name for a in program.at_level(STEP) if a.value.shape]


def _evaluate_arguments(program: Program) -> list[str]:
    new = [next_name(i.code) for i in program.state]
    return [
        *names(program.state, program.parameters, program.data),
        *_named(program, DATA),
        *_named(program, PARAMETERS),
        *_buffer_names(program),
        *new,
    ]


def _evaluate(writer: Writer) -> str:
    program = writer.program
    lines = writer.statements(program.at_level(STEP))
    judged = judged_names(program)
    for name, node in program.outputs:
        lines += writer.statement(name, node)
    body = [*size_lines(program, lines), *lines]
    head = f"evaluate({', '.join(_evaluate_arguments(program))})"
    doc = f"Write the new state into its buffers and return {', '.join(judged)}."
    return function(head, doc, body, packed(judged), JIT)


def _loop(writer: Writer, kept: bool) -> str:
    program = writer.program
    state, parameters = names(program.state), names(program.parameters)
    new = [next_name(i.code) for i in program.state]
    once, each = _named(program, DATA), _named(program, PARAMETERS)
    load = [f"{x}[:] = {x}_lanes[lane]" for x in state]
    load += [f"{x} = {x}_lanes[lane]" for x in parameters]
    if each:
        given = ", ".join([*parameters, *names(program.data), *once])
        load.append(f"{packed(each)[1:-1]} = constants({given})")
    buffers = writer.buffers(program.at_level(STEP), state[0] + "_lanes")
    for x in state:
        buffers += [f"{y} = np.empty_like({x}_lanes[0])" for y in (x, next_name(x))]
    prepare = [f"{packed(once)[1:-1]} = prepare({', '.join(names(program.data))})"] if once else []
    sound = [*(f"all_finite({x})" for x in new)]
    judged = ["now" if k == "loss" else k for k in judged_names(program)]
    fields = {
        "NAME": "trajectory" if kept else "run",
        "DOC": "",
        "EXTRA": "",
        "INPUTS": ", ".join([*(f"{x}_lanes" for x in (*state, *parameters)), *names(program.data)]),
        "SIZES": indented(size_lines(program, buffers), 1),
        "BUFFERS": indented(buffers, 1),
        "PREPARE": indented(prepare, 1),
        "LOAD": indented(load, 2),
        "NAN": " or ".join(
            [*(f"np.isnan({x})" for x in parameters), *(f"np.isnan(np.sum({x}))" for x in state)]
        ),
        "RESULTS": packed(judged)[1:-1],
        "ARGUMENTS": ", ".join(_evaluate_arguments(program)),
        "OVERFLOWED": f"not ({' and '.join(sound)})",
        "SWAP": indented([f"{x}, {y} = {y}, {x}" for x, y in zip(state, new, strict=True)], 4),
        "RECORD": "",
        "FILL": "",
        "STORE": indented([f"{x}_lanes[lane] = {x}" for x in state], 2),
        **judgement(program, ""),
    }
    if kept:
        record = ["if t % every == 0:", *(f"    {x}_rows[t // every, lane] = {x}" for x in state)]
        fill = [
            "for row in range((t + every) // every, steps // every + 1):",
            *(f"    {x}_rows[row, lane] = {x}" for x in state),
        ]
        fields["EXTRA"] = f"every, {', '.join(f'{x}_rows' for x in state)}, "
        fields["DOC"] = "\n\n    Fill the rows with steps 0, every, 2 every, ...\n    "
        fields["RECORD"], fields["FILL"] = indented(record, 3), indented(fill, 2)
    return filled(LOOP, fields)
