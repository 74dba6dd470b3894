"""Matrix maps for the Numba target: BLAS for products, fused loops for everything entrywise.

All intermediate matrices of a lane live in buffers that are made once for each thread.
"""

from __future__ import annotations

from typing import Any

from catapult_theory.codegen import numba_fused, numba_fused_parts
from catapult_theory.codegen.bodies import function, names, packed, size_lines, uses
from catapult_theory.codegen.execution import LoopExecutor
from catapult_theory.codegen.lowering import Program, judged_names, next_name
from catapult_theory.codegen.numba_fused_run import DiagonalExecutor
from catapult_theory.codegen.numba_parts import JIT, indented, judgement, time_loop
from catapult_theory.codegen.numba_statements import Writer
from catapult_theory.codegen.passes import DATA, PARAMETERS, STEP

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

BOTH = '''{JIT}
def softmax_logsumexp(rows, out, logs):
    """Write softmax and logarithm of the sum of exponentials of each row."""
    for i in range(rows.shape[0]):
        top = rows[i, 0]
        for j in range(1, rows.shape[1]):
            top = max(top, rows[i, j])
        total = rows[i, 0] * 0
        for j in range(rows.shape[1]):
            out[i, j] = np.exp(rows[i, j] - top)
            total += out[i, j]
        for j in range(rows.shape[1]):
            out[i, j] /= total
        logs[i, 0] = np.log(total) + top'''

HELPERS = {
    "all_finite": FINITE,
    "softmax": SOFTMAX,
    "logsumexp": LOGSUMEXP,
    "softmax_logsumexp": BOTH,
}


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
    found = numba_fused.fused(update_map, program)
    runs = numba_fused.functions(found, dtype) if found else [_loop(writer, kept=False)]
    texts += [*runs, _loop(writer, kept=True)]
    return [text for text in texts if text]


def imports(text: str) -> str:
    """Return what a kernel imports beside NumPy and Numba's compiler, if anything."""
    return f"\n\n{numba_fused_parts.IMPORTS}" if uses([text], "intrinsic") else ""


def executor(loops: Any, dtype: str) -> LoopExecutor | DiagonalExecutor:
    """Return how a module of compiled loops is run."""
    return (DiagonalExecutor if hasattr(loops, "diagonal") else LoopExecutor)(loops, dtype)


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
    parts = {
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
        **judgement(program, ""),
    }
    return time_loop(program, parts, kept)
