"""Target "array": plain array-API Python, for NumPy and whatever the caller's arrays are."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from catapult_theory.codegen import array_loops
from catapult_theory.codegen.arguments import Lanes
from catapult_theory.codegen.bodies import folded, function, names, packed, size_lines, uses
from catapult_theory.codegen.execution import single_threaded_blas
from catapult_theory.codegen.header import header
from catapult_theory.codegen.ir import Node, symbols_in
from catapult_theory.codegen.lowering import (
    Program,
    action_program,
    expression_program,
    judged_names,
    next_name,
)
from catapult_theory.codegen.passes import STEP
from catapult_theory.codegen.spelling import Spelling, write
from catapult_theory.codegen.storage import load_module
from catapult_theory.symbolic.matrix_nodes import TopEigenvalue

HELPERS = {
    "softplus": array_loops.SOFTPLUS,
    "sigmoid": array_loops.SIGMOID,
    "total": array_loops.TOTAL,
    "softmax": array_loops.SOFTMAX,
    "logsumexp": array_loops.LOGSUMEXP,
}
PREFIX = "observe_"
ACTION = "kernel_action"


TRUTHS = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"})


def emit(update_map: Any, program: Program, dtype: str) -> str:
    """Return the source of a module with ``step``, ``orbit``, ``run``, ``trajectory``.

    Parameters
    ----------
    update_map : UpdateMap
    program : Program
        From `loop_program`.
    dtype : str
        "float64" or "float32"; sets the bounds of the verdicts.

    Returns
    -------
    str
        Standalone; the same to the byte in every process.
    """
    margin = "stability_margin" in update_map.observables
    parts = [array_loops.NAMESPACE, *functions(update_map, program)]
    parts.append(array_loops.loops(program, dtype, margin))
    return header(update_map, "array") + "\n\n" + folded("\n\n\n".join(parts)) + "\n"


def functions(update_map: Any, program: Program) -> list[str]:
    """Return the functions that any array library can run, and the helpers that they call.

    Parameters
    ----------
    update_map : UpdateMap
    program : Program

    Returns
    -------
    list of str
        Each finds its library with ``xp = namespace(...)``.
    """
    texts = [
        _constants(program),
        _step(program),
        _evaluate(program),
        *_observables(update_map),
    ]
    texts += [_margin()] if "stability_margin" in update_map.observables else []
    helpers = [text for name, text in HELPERS.items() if uses(texts, name)]
    columns = array_loops.COLUMNS if program.is_matrix else array_loops.NO_COLUMNS
    return [columns, *helpers, *texts]


@dataclass(frozen=True)
class ArrayExecutor:
    """The array target at work on NumPy arrays; all lanes at once, so on one thread.

    Parameters
    ----------
    module : module
        The generated one.
    """

    module: ModuleType

    @classmethod
    def load(cls, source: str, dtype: str) -> ArrayExecutor:
        """Import a generated source."""
        return cls(load_module(source, ("array", dtype)))

    def taking(self, values: tuple[Any, ...]) -> ModuleType:
        """Return the module, which finds the library of the values by itself."""
        return self.module

    def run(self, lanes: Lanes, steps: int, threads: int | None) -> tuple[Any, Any]:
        """Return the final states and the verdicts."""
        with np.errstate(all="ignore"), single_threaded_blas():
            return self.module.run(*_given(lanes), steps, lanes.drive)

    def follow(
        self, lanes: Lanes, steps: int, every: int, rows: tuple[Any, ...], threads: int | None
    ) -> tuple[Any, ...]:
        """Fill the rows with states 0, every, 2 every, ...; return the verdicts."""
        last = 0
        with np.errstate(all="ignore"), single_threaded_blas():
            orbit = self.module.orbit(*_given(lanes), steps, lanes.drive)
            for t, state, _ in orbit:
                if t % every == 0:
                    last = t // every
                    for buffer, value in zip(rows, state, strict=True):
                        buffer[last] = value
        for buffer, value in zip(rows, state, strict=True):
            buffer[last + 1 :] = value
        ends, verdicts = self.run(lanes, steps, threads)
        for state, end in zip(lanes.states, ends, strict=True):
            state[...] = end
        return tuple(verdicts)


def _given(lanes: Lanes) -> tuple[tuple[Any, ...], ...]:
    return lanes.states, lanes.parameters, lanes.data


def loaded(update_map: Any, program: Program, dtype: str) -> ArrayExecutor:
    """Return the array target of a map, which other targets fall back on."""
    return ArrayExecutor.load(emit(update_map, program, dtype), dtype)


def load(source: str, update_map: Any, program: Program, dtype: str) -> ArrayExecutor:
    """Return the executor of a generated source."""
    return ArrayExecutor.load(source, dtype)


def spelling(program: Program) -> Spelling:
    """Return how this target writes symbols, functions and conditions.

    Parameters
    ----------
    program : Program

    Returns
    -------
    Spelling
    """
    reference = program.state[0].code

    def leaf(node: Node) -> str:
        if node.op == "symbol":
            return str(node.value)
        if node.op == "transpose":
            return f"{leaf(node.args[0])}.mT"
        if node.op == "slice":
            r0, r1, c0, c1 = node.value
            return f"{leaf(node.args[0])}[..., {r0}:{r1}, {c0}:{c1}]"
        if node.op == "outer":
            return " * ".join(leaf(a) for a in node.args)
        if node.op == "ones":
            rows, cols = node.shape
            return f"xp.ones(({rows}, {cols}), dtype={program.data[0].code}.dtype)"
        return f"xp.eye({node.shape[0]}, dtype={reference}.dtype)"

    truths = {a.name: a.value for a in program.assignments if a.value.op in TRUTHS}

    def numbers(node: Node) -> set[str]:
        """Return the symbols of numbers in an expression: a condition by name is none."""
        found = symbols_in(node)
        inside = (numbers(truths[name]) for name in found & truths.keys())
        return (found - truths.keys()).union(*inside)

    def array(node: Node, text: str, others: tuple[Node, ...]) -> str:
        """Give a literal the shape of the other arguments: functions take arrays."""
        if node.op != "number":
            return text
        like = sorted(set().union(*(numbers(o) for o in others)))
        return f"xp.full_like({like[0]}, {text})"

    def call(node: Node, texts: list[str]) -> str:
        name = node.value if node.op == "call" else node.op
        if name in HELPERS:
            return f"{name}({', '.join(texts)})"
        if name == "sum":
            return f"total({texts[0]})"
        if name == "matmul":
            return " @ ".join(texts)
        if name == "block":
            return _block(texts, node.value)
        if name == "pow":
            return f"({texts[0]}) ** ({texts[1]})"
        if name in ("maximum", "minimum"):
            texts = [array(a, t, node.args) for a, t in zip(node.args, texts, strict=True)]
        return f"xp.{name}({', '.join(texts)})"

    def where(args: tuple[Node, ...], texts: list[str]) -> str:
        branches = [array(a, t, args) for a, t in zip(args[1:], texts[1:], strict=True)]
        return f"xp.where({', '.join([texts[0], *branches])})"

    return Spelling(lambda d: d, leaf, call, where, {"and": "&", "or": "|", "not": "~"})


def _block(texts: list[str], rows: int) -> str:
    width = len(texts) // rows
    lines = [texts[i : i + width] for i in range(0, len(texts), width)]
    wide = [f"xp.concat([{', '.join(line)}], axis=-1)" for line in lines]
    return f"xp.concat([{', '.join(wide)}], axis=-2)"


def _lines(program: Program, levels: tuple[int, ...]) -> list[str]:
    how = spelling(program)
    return [f"{a.name} = {write(a.value, how)}" for a in program.assignments if a.level in levels]


def _hoisted(program: Program) -> list[str]:
    return [a.name for a in program.assignments if a.level < STEP]


def _constants(program: Program) -> str:
    hoisted = _hoisted(program)
    lines = _lines(program, (0, 1))
    arguments = names(program.parameters, program.data)
    result = packed(hoisted)
    doc = "What stays the same from step to step."
    body = _preamble(program, lines, result, arguments)
    return function(f"constants({', '.join(arguments)})", doc, body, result)


def _columns(program: Program) -> list[str]:
    """Let parameters of lanes broadcast against their matrices."""
    if not program.is_matrix:
        return []
    return [f"{i.code} = columns({i.code})" for i in program.parameters]


def _step(program: Program) -> str:
    new = [next_name(i.code) for i in program.state]
    part = program.restricted(new)
    lines = _lines(part, (0, 1, 2))
    how = spelling(program)
    lines += [f"{name} = {write(node, how)}" for name, node in part.outputs]
    arguments = names(program.state, program.parameters, program.data)
    result = packed(new)
    doc = "One step: the new state; arguments broadcast against each other."
    body = _columns(program) + _preamble(program, lines, result)
    return function(f"step({', '.join(arguments)})", doc, body, result)


def _preamble(
    program: Program, lines: list[str], result: str, known: list[str] | None = None
) -> list[str]:
    """Put the namespace and the sizes before lines that need them."""
    everything = [*lines, result]
    preamble = size_lines(program, everything)
    if uses(everything, "xp"):
        of = names(program.state) if known is None else known
        preamble.insert(0, f"xp = namespace({', '.join(of)})")
    return [*preamble, *lines]


def _evaluate(program: Program) -> str:
    how = spelling(program)
    lines = [f"{packed(names(program.state))[1:-1]} = state"]
    if program.parameters:
        lines.append(f"{packed(names(program.parameters))[1:-1]} = parameters")
    if program.data:
        lines.append(f"{packed(names(program.data))[1:-1]} = data")
    if _hoisted(program):
        lines.append(f"{packed(_hoisted(program))[1:-1]} = hoisted")
    work = _lines(program, (2,))
    work += [f"{name} = {write(node, how)}" for name, node in program.outputs]
    new = packed([next_name(i.code) for i in program.state])
    judged = judged_names(program)
    seen = packed([f"scalars({name})" if program.is_matrix else name for name in judged])
    doc = f"Return {', '.join(judged)} at a state, and the state after it."
    body = [*lines, *_preamble(program, work, new)]
    return function("evaluate(state, parameters, data, hoisted)", doc, body, f"{seen}, {new}")


def _margin() -> str:
    return function(
        "stability_margin(state, parameters, data)",
        "Positive where a minimum at this state is linearly stable.",
        [],
        f"{PREFIX}stability_margin(*state, *parameters, *data)",
    )


def _observables(update_map: Any) -> list[str]:
    texts = []
    for name, expression in update_map.observables.items():
        if isinstance(expression, TopEigenvalue):
            texts.append(_action(update_map, name, expression))
            continue
        program = expression_program(update_map, {name: expression})
        ((_, node),) = program.outputs
        lines = _lines(program, (0, 1, 2))
        result = write(node, spelling(program))
        body = _columns(program) + _preamble(program, lines, result)
        arguments = names(program.state, program.parameters, program.data)
        shown = f"scalars({result})" if program.is_matrix else result
        head = f"{PREFIX}{name}({', '.join(arguments)})"
        texts.append(function(head, f"The observable {name}.", body, shown))
    return texts


def _action(update_map: Any, name: str, eigenvalue: Any) -> str:
    program = action_program(update_map, eigenvalue)
    ((_, node),) = program.outputs
    lines = _lines(program, (0, 1, 2))
    result = write(node, spelling(program))
    *state, direction = program.state
    arguments = names(state, program.parameters, program.data, [direction])
    doc = f"The linear map of {direction.code} whose top eigenvalue is {name}."
    body = _columns(program) + _preamble(program, lines, result)
    return function(f"{ACTION}({', '.join(arguments)})", doc, body, result)
