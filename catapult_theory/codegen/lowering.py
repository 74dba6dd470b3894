"""Lowering: from an update map to an ordered program, through named passes.

A `Program` is what every emitter reads: assignments in order, each computed once for the
data, once for the parameters of a lane, or at every step; and named outputs. It is immutable
and shows what each pass cost and saved.
"""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import sympy as sp

from catapult_theory.codegen import ir, passes
from catapult_theory.codegen.chains import associated, oriented, outer
from catapult_theory.codegen.ir import Node, call
from catapult_theory.codegen.operations import OperationTable, PassCount, count
from catapult_theory.codegen.passes import DATA, PARAMETERS, STEP
from catapult_theory.codegen.sharing import Assignment, Namer, count_level, named, paired
from catapult_theory.codegen.translate import matrix_shape, translate
from catapult_theory.errors import InputError
from catapult_theory.symbolic.update_map import UpdateMap

# fmt: off
_OWN = {
    "np", "xp", "njit", "F", "steps", "every", "lane", "lanes", "first", "last", "status",
    "status_step", "decided", "verdict", "loss", "now", "peak", "peak_loss", "peak_step", "when",
    "largest", "t", "i", "j", "row", "rows", "grad_norm2", "rounding", "size", "total", "state",
    "parameters", "data", "hoisted", "namespace", "columns", "scalars", "per_lane", "lanes_of",
    "orbit", "run", "step", "evaluate", "constants", "prepare", "trajectory", "softplus",
    "sigmoid", "softmax", "logsumexp", "all_finite", "stability_margin", "kernel_action",
    "UNDECIDED", "CONVERGED", "DIVERGED", "INVALID", "BOUND", "TOLERANCE", "ROUNDING",
    "mode", "careful", "again", "kept", "reach", "left_rows", "right_rows", "probe_rows",
    "product_rows", "basis", "rank", "scale", "target", "rest", "sweep", "dot", "fused", "splat",
    "padded", "turned", "diagonal", "platform", "binding", "ir", "types", "cgutils", "intrinsic",
    "left", "right", "sound", "live", "low", "moving", "l", "before", "after", "begin", "finish",
    "inner", "across", "unsound", "along", "tiled", "block", "group", "advance", "begin_group",
    "run_groups", "softmax_logsumexp", "Value", "Row", "Group", "PLACES", "IN_ROWS", "BEFORE",
    "BEGUN", "AFTER", "RESULTS", "NEW_ROWS", "NEW_NUMBERS", "LARGE", "PROBE", "PRODUCT",
    "rounding_mode", "set_rounding_mode", "entry", "start", "a0", "a1", "a2", "r0", "r1",
    "BYTES", "TILE", "WIDE", "TALL", "X86", "active", "ahead", "until", "stop", "end", "settle",
    "STRETCH", "FEW",
    "SIDES", "side_rows", "sides", "between", "blocks", "pack", "unpack_change", "packed_pass",
    "row_sums", "LENGTH", "ROWS", "align_stack", "move", "copied", "in_blocks",
}
# fmt: on
RESERVED = frozenset(_OWN | set(keyword.kwlist) | set(dir(builtins)))


@dataclass(frozen=True)
class Input:
    """A symbol that a program reads.

    Parameters
    ----------
    name : str
        As the update map has it.
    code : str
        As it is spelled in emitted code.
    shape : tuple
        () for a scalar, (rows, columns) for a matrix.
    """

    name: str
    code: str
    shape: ir.Shape


@dataclass(frozen=True)
class Program:
    """Ordered assignments and named outputs, ready to be written in any language.

    Parameters
    ----------
    state, parameters, data : tuple of Input
    dims : tuple of str
        Sizes that are read from the shapes of the data: m, d, k.
    assignments : tuple of Assignment
        Each after everything that it uses.
    outputs : tuple of (str, Node)
        In order.
    operations : OperationTable
        The cost after each pass.
    """

    state: tuple[Input, ...]
    parameters: tuple[Input, ...]
    data: tuple[Input, ...]
    dims: tuple[str, ...]
    assignments: tuple[Assignment, ...]
    outputs: tuple[tuple[str, Node], ...]
    operations: OperationTable

    @property
    def is_matrix(self) -> bool:
        """Whether the state consists of matrices."""
        return bool(self.data)

    def at_level(self, level: int) -> tuple[Assignment, ...]:
        """Return the assignments that are computed that often."""
        return tuple(a for a in self.assignments if a.level == level)

    def output(self, name: str) -> Node | None:
        """Return an output by name, or None."""
        return dict(self.outputs).get(name)

    def restricted(self, names: Iterable[str]) -> Program:
        """Return the program for some of the outputs, without what only the others need.

        Parameters
        ----------
        names : iterable of str

        Returns
        -------
        Program
        """
        wanted = set(names)
        outputs = tuple((name, node) for name, node in self.outputs if name in wanted)
        needed = set().union(*(ir.symbols_in(node) for _, node in outputs))
        kept = []
        for assignment in reversed(self.assignments):
            if assignment.name in needed:
                kept.append(assignment)
                needed |= ir.symbols_in(assignment.value)
        return replace(self, outputs=outputs, assignments=tuple(reversed(kept)))


@dataclass(frozen=True)
class _Draft:
    """Trees under way: definitions in order, then outputs."""

    definitions: dict[str, Node]
    outputs: dict[str, Node]

    def mapped(self, transform: Callable[[Sequence[Node]], list[Node]]) -> _Draft:
        trees = transform([*self.definitions.values(), *self.outputs.values()])
        cut = len(self.definitions)
        return _Draft(
            dict(zip(self.definitions, trees[:cut], strict=True)),
            dict(zip(self.outputs, trees[cut:], strict=True)),
        )


def next_name(code: str) -> str:
    """Return the name of the output that holds a state variable after the step."""
    return f"{code}_next"


def judged_names(program: Program) -> list[str]:
    """Return the outputs that decide about a lane: loss, grad_norm2, rounding, size."""
    new = {next_name(i.code) for i in program.state}
    return [name for name, _ in program.outputs if name not in new]


@lru_cache(maxsize=64)
def loop_program(update_map: UpdateMap) -> Program:
    """Lower one time step: what decides about a lane, then the new state.

    Outputs: "loss", "grad_norm2" (where the map has it), "rounding" (the size of the terms that
    cancel in grad_norm2, where they can), "size" (q = eta f / sqrt(n), in absolute value, of
    scalar maps), and the new state.

    Parameters
    ----------
    update_map : UpdateMap

    Returns
    -------
    Program

    Raises
    ------
    InputError
        If the map holds something that no target can compute.
    """
    seen = update_map.observables
    outputs: dict[str, Any] = {"loss": _translated(update_map, seen["loss"])}
    if "grad_norm2" in seen:
        norm = _translated(update_map, seen["grad_norm2"])
        outputs["grad_norm2"] = norm
        if _may_cancel(seen["grad_norm2"], update_map.gram):
            outputs["rounding"] = ir.add(*(call("abs", term) for term in norm.args))
    size = _output_size(update_map)
    if size is not None:
        outputs["size"] = call("abs", _translated(update_map, size))
    for variable, image in update_map.updates.items():
        outputs[next_name(code_name(variable.name))] = _translated(update_map, image)
    return _lower(update_map, outputs)


def expression_program(update_map: UpdateMap, expressions: Mapping[str, Any]) -> Program:
    """Lower functions of the state and the parameters, such as observables.

    Parameters
    ----------
    update_map : UpdateMap
    expressions : mapping of str to sympy.Expr

    Returns
    -------
    Program
    """
    return _lower(update_map, {k: _translated(update_map, e) for k, e in expressions.items()})


def action_program(update_map: UpdateMap, eigenvalue: Any) -> Program:
    """Lower the linear map whose top eigenvalue is asked for; its direction joins the data.

    Parameters
    ----------
    update_map : UpdateMap
    eigenvalue : TopEigenvalue

    Returns
    -------
    Program
        With the output "action".
    """
    action, direction = eigenvalue.args
    outputs = {"action": _translated(update_map, action)}
    return _lower(update_map, outputs, extra_state=(direction,))


def _translated(update_map: UpdateMap, expression: Any) -> Node:
    inputs = (*update_map.variables, *update_map.constants, *update_map.data)
    symbols = (*inputs, *update_map.definitions)
    values = {s: ir.symbol(code_name(s.name), _shape(s)) for s in symbols}
    return translate(sp.sympify(expression), values)


def _shape(symbol: Any) -> ir.Shape:
    return matrix_shape(symbol) if isinstance(symbol, sp.MatrixSymbol) else ir.SCALAR


def code_name(name: str) -> str:
    """Return the spelling of a symbol in emitted code.

    Parameters
    ----------
    name : str

    Returns
    -------
    str

    Examples
    --------
    >>> code_name("eta"), code_name("lambda"), code_name("u'")
    ('eta', 'lambda_', 'u_')
    """
    plain = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)
    if not plain or plain[0].isdigit() or plain[0] == "_":
        plain = f"s{plain}"
    return f"{plain}_" if plain in RESERVED else plain


def _may_cancel(expression: Any, gram: Mapping[Any, Any]) -> bool:
    """Whether a sum has terms that could be of different sign."""
    if not isinstance(expression, sp.Add):
        return False
    return not all(_never_negative(term, gram) for term in expression.args)


def _never_negative(term: Any, gram: Mapping[Any, Any]) -> bool:
    """Decide by assumptions; tr(A^T M A) of a diagonal Gram block M cannot be negative."""
    scalars = [a for a in sp.Mul.make_args(term) if not isinstance(a, sp.Trace)]
    traces = [a for a in sp.Mul.make_args(term) if isinstance(a, sp.Trace)]
    inside = (t.args[0] for t in traces)
    return bool(sp.Mul(*scalars).is_nonnegative) and all(_square_word(w, gram) for w in inside)


def _square_word(word: Any, gram: Mapping[Any, Any]) -> bool:
    factors = word.args if isinstance(word, sp.MatMul) else (word,)
    rotations = [factors[i:] + factors[:i] for i in range(len(factors))]
    return any(_is_square(r) and r[len(r) // 2] in squares(gram) for r in rotations)


def _is_square(factors: Sequence[Any]) -> bool:
    """Whether the word reads A ... M ... A^T around a single middle factor."""
    return all(
        left == sp.Transpose(right).doit()
        for left, right in zip(factors[: len(factors) // 2], reversed(factors), strict=False)
    ) and bool(len(factors) % 2)


def squares(gram: Mapping[Any, Any]) -> frozenset[Any]:
    """Return the blocks that are products A^T A, up to a positive factor.

    Parameters
    ----------
    gram : mapping
        The state in products of the parameters, as `UpdateMap.gram` has it.

    Returns
    -------
    frozenset
    """
    found = set()
    for block, value in gram.items():
        factors = [a for a in getattr(value, "args", ()) if getattr(a, "is_Matrix", False)]
        if len(factors) == 2 and factors[0] == sp.Transpose(factors[1]).doit():
            found.add(block)
    return frozenset(found)


def _output_size(update_map: UpdateMap) -> Any:
    """Return q = eta f / sqrt(n), where the map has these symbols."""
    if update_map.is_matrix:
        return None
    names = {s.name: s for s in (*update_map.variables, *update_map.constants)}
    if not {"f", "eta", "n"} <= set(names):
        return None
    return names["eta"] * names["f"] / sp.sqrt(names["n"])


def _inputs(symbols: Iterable[Any]) -> tuple[Input, ...]:
    return tuple(Input(s.name, code_name(s.name), _shape(s)) for s in symbols)


def _lower(
    update_map: UpdateMap, outputs: dict[str, Node], extra_state: tuple[Any, ...] = ()
) -> Program:
    state = _inputs((*update_map.variables, *extra_state))
    parameters, data = _inputs(update_map.constants), _inputs(update_map.data)
    _check_names((*state, *parameters, *data))
    definitions = {
        code_name(s.name): _translated(update_map, e) for s, e in update_map.definitions.items()
    }
    levels = {i.code: STEP for i in state}
    levels |= {i.code: PARAMETERS for i in parameters}
    levels |= {i.code: DATA for i in data}
    known = set(levels) | set(definitions)
    draft = _Draft(definitions, outputs)
    used = set().union(*(ir.symbols_in(x) for x in (*definitions.values(), *outputs.values())))
    dims = tuple(sorted((used - known) | _size_names((*state, *data))))
    levels |= dict.fromkeys(dims, DATA)
    for name, node in definitions.items():
        levels[name] = count_level(levels)(node)
    level = count_level(levels)
    symmetric = frozenset(code_name(b.name) for b in squares(update_map.gram))
    others = _matrix_passes(level, symmetric) if data else ()
    draft, rows = _run_passes(draft, level, (*others, *_scalar_passes(level)))
    namer = Namer({*levels, *outputs, *RESERVED})
    assignments, final = named(draft.outputs, draft.definitions, level, namer)
    trees = [(a.value, a.level) for a in assignments]
    rows.append(count("common subexpressions", trees, final.values()))
    table = OperationTable(tuple(rows))
    return Program(state, parameters, data, dims, assignments, tuple(final.items()), table)


def _size_names(inputs: Iterable[Input]) -> set[str]:
    """Return the symbols m, d, k in the shapes of matrices."""
    sizes = [size for i in inputs for size in i.shape if isinstance(size, str)]
    return {part for size in sizes for part in size.split(" + ") if part.isidentifier()}


def _check_names(inputs: Iterable[Input]) -> None:
    seen: dict[str, str] = {}
    for i in inputs:
        if i.code.endswith("_next"):
            raise InputError(f"the symbol {i.name!r} cannot be compiled: rename it in the model")
        if i.code in seen:
            raise InputError(
                f"the symbols {seen[i.code]!r} and {i.name!r} have the same spelling {i.code!r} in "
                "code: rename one of them in the model"
            )
        seen[i.code] = i.name


Transform = Callable[[Sequence[Node]], list[Node]]
Pass = tuple[str, Transform]


def _matrix_passes(level: passes.Level, symmetric: frozenset[str]) -> tuple[Pass, ...]:
    def fixed(node: Node) -> bool:
        return level(node) == DATA

    def ordered(roots: Sequence[Node]) -> list[Node]:
        return oriented(associated(roots, fixed, symmetric), symmetric)

    return (
        ("transposes", partial(oriented, symmetric=symmetric)),
        ("product order", ordered),
        ("outer products", outer),
    )


def _scalar_passes(level: passes.Level) -> tuple[Pass, ...]:
    def products(roots: Sequence[Node]) -> list[Node]:
        return passes.signs_outside(passes.powers_to_products(roots, level))

    return (("hoisting", partial(passes.hoisted, level=level)), ("powers", products))


def _run_passes(
    draft: _Draft, level: passes.Level, others: tuple[Pass, ...]
) -> tuple[_Draft, list[PassCount]]:
    """Run the passes that rewrite trees, with the operation count after each."""

    def tally(name: str, draft: _Draft, by_level: passes.Level | None) -> PassCount:
        trees = [(d, STEP if by_level is None else level(d)) for d in draft.definitions.values()]
        return count(name, trees, draft.outputs.values(), by_level)

    rows = [tally("translation", draft, None)]
    by_level = None
    for name, transform in (("stable functions", passes.stable_functions), *others):
        draft = draft.mapped(transform)
        by_level = level if name == "hoisting" else by_level
        rows.append(tally(name, draft, by_level))
    return draft.mapped(partial(paired, level=level)), rows


__all__ = [
    "Input",
    "Program",
    "action_program",
    "code_name",
    "expression_program",
    "judged_names",
    "loop_program",
    "next_name",
]
