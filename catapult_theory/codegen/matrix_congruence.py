"""Congruence of the data: inputs and samples turned so that X becomes diagonal.

Orthogonal Q (inputs) and P (samples) act on a program whose every operation on these two
indices is a contraction or a linear combination: run with P^T X Q, P^T Y and the turned state,
it takes the same steps, turned. With the singular value decomposition X = P diag(s) Q^T the
products with X become entrywise: X W^T turns into s * W, and Z = g^T X / m into s * g / m. So Z
is known without any product. Samples beyond the rank see no input: they add a constant to the
sum of squares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from catapult_theory.codegen import ir
from catapult_theory.codegen.ir import Node
from catapult_theory.codegen.lowering import Input, Program, next_name
from catapult_theory.codegen.passes import STEP
from catapult_theory.codegen.sharing import Assignment
from catapult_theory.codegen.translate import transpose

Axis = tuple[str, int]
FIXED: Axis = ("", 0)
SCALE, TARGET, REST = "scale", "target", "rest"


@dataclass(frozen=True)
class Congruence:
    """A program in the basis in which the inputs are diagonal.

    Parameters
    ----------
    program : Program
        It reads "scale" (the singular values, a copy for each output), "target" (the turned
        targets) and "rest" (what the other samples add to the sum of squares) beside its data.
    turned : mapping of str to (bool, bool)
        For each state matrix whether its rows and its columns are turned by Q.
    """

    program: Program
    turned: Mapping[str, tuple[bool, bool]]


class _Classes:
    """Which indices run over the same thing, as a union of sets."""

    def __init__(self) -> None:
        self.parent: dict[Axis, Axis] = {}

    def of(self, axis: Axis) -> Axis:
        while self.parent.get(axis, axis) != axis:
            axis = self.parent[axis]
        return axis

    def join(self, first: Axis, second: Axis) -> None:
        self.parent[self.of(first)] = self.of(second)

    def join_all(self, first: tuple[Axis, Axis], second: tuple[Axis, Axis]) -> tuple[Axis, Axis]:
        for a, b in zip(first, second, strict=True):
            self.join(a, b)
        return second

    def axes(self, node: Node) -> tuple[Axis, Axis]:
        """Return the indices of an expression; scalars and what is not linear have FIXED ones."""
        if node.op == "symbol" and node.shape:
            return (str(node.value), 0), (str(node.value), 1)
        if node.op == "transpose":
            rows, cols = self.axes(node.args[0])
            return cols, rows
        if node.op in ("matmul", "outer"):
            (rows, inner), (also, cols) = map(self.axes, node.args)
            self.join(inner, also)
            return rows, cols
        if node.op == "sum" and node.args[0].op == "mul":
            return self._contraction(node.args[0])
        matrices = [a for a in node.args if a.shape]
        scalars = [a for a in node.args if not a.shape]
        for other in scalars:
            self.axes(other)
        found = [self.axes(a) for a in matrices]
        linear = len(matrices) == 1 and (node.op == "mul" or node.args[0].shape)
        if not (node.op == "add" and not scalars) and not (node.op in ("mul", "div") and linear):
            found.append((FIXED, FIXED))
        for pair in found[1:]:
            self.join_all(found[0], pair)
        return found[0] if found else (FIXED, FIXED)

    def _contraction(self, product: Node) -> tuple[Axis, Axis]:
        """Join the indices of two matrices that are multiplied entrywise and summed."""
        found = [self.axes(a) for a in product.args if a.shape]
        if len(found) != 2:
            found.append((FIXED, FIXED))
        for pair in found[1:]:
            self.join_all(found[0], pair)
        return FIXED, FIXED


def _classes(program: Program) -> _Classes:
    classes = _Classes()
    for a in program.at_level(STEP):
        found = classes.axes(a.value)
        if a.value.shape:
            classes.join_all(((a.name, 0), (a.name, 1)), found)
    images = {next_name(i.code): i for i in program.state}
    for name, node in program.outputs:
        found = classes.axes(node)
        if name in images:
            classes.join_all(((images[name].code, 0), (images[name].code, 1)), found)
    return classes


@dataclass(frozen=True)
class _Residual:
    """The part of a step that touches the samples: g = X L^T - Y, sums of g * g, g^T X."""

    outputs: Assignment
    residual: Assignment
    thin: Node
    squares: tuple[Assignment, ...]
    slopes: tuple[Assignment, ...]


def _residual(program: Program) -> _Residual | None:
    X, Y = (ir.symbol(i.code, i.shape) for i in program.data)
    steps = program.at_level(STEP)
    first = [a for a in steps if a.value.op == "matmul" and a.value.args[0] == X]
    if len(first) != 1 or first[0].value.args[1].op != "transpose":
        return None
    f = ir.symbol(first[0].name, first[0].value.shape)
    second = [a for a in steps if a.value == ir.add(f, ir.mul(ir.MINUS, Y))]
    if len(second) != 1:
        return None
    g = ir.symbol(second[0].name, f.shape)
    slope = Node("matmul", (transpose(g), X), None, (f.shape[1], X.shape[1]))
    squares = tuple(a for a in steps if a.value == Node("sum", (ir.mul(g, g),)))
    slopes = tuple(a for a in steps if a.value == slope)
    mine = {first[0], second[0], *squares, *slopes}
    touched = {str(s.value) for s in (X, Y, f, g)}
    rest = [a.value for a in program.assignments if a not in mine]
    rest += [node for _, node in program.outputs]
    if any(touched & ir.symbols_in(node) for node in rest):
        return None
    return _Residual(first[0], second[0], first[0].value.args[1].args[0], squares, slopes)


def congruence(program: Program) -> Congruence | None:
    """Return the program with diagonal inputs, where it takes the same steps.

    Parameters
    ----------
    program : Program

    Returns
    -------
    Congruence or None
        None where an operation on inputs or samples is more than a contraction.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> from catapult_theory.codegen.lowering import loop_program
    >>> linear = ct.models.linear(inputs=4, outputs=2)
    >>> congruence(loop_program(ct.derive(linear))).turned
    {'W': (False, True), 'G': (True, True), 'S': (False, False)}
    >>> congruence(loop_program(ct.derive(linear, "softmax_cross_entropy"))) is None
    True
    """
    if len(program.data) != 2:
        return None
    found = _residual(program)
    if found is None:
        return None
    classes = _classes(program)
    samples, inputs = (classes.of((program.data[0].code, axis)) for axis in (0, 1))
    others = {classes.of((program.data[1].code, 1)), classes.of(FIXED)}
    if inputs == samples or others & {inputs, samples}:
        return None
    turned = {
        i.code: (classes.of((i.code, 0)) == inputs, classes.of((i.code, 1)) == inputs)
        for i in program.state
    }
    return Congruence(_diagonal(program, found), turned)


def _diagonal(program: Program, found: _Residual) -> Program:
    shape = found.thin.shape
    scale, target, rest = ir.symbol(SCALE, shape), ir.symbol(TARGET, shape), ir.symbol(REST)
    f, g = ir.symbol(found.outputs.name, shape), ir.symbol(found.residual.name, shape)
    taken = {a.name for a in program.assignments}
    assignments: list[Assignment] = []
    for a in program.assignments:
        if a == found.outputs:
            assignments.append(replace(a, value=ir.mul(scale, found.thin)))
        elif a == found.residual:
            assignments.append(replace(a, value=ir.add(f, ir.mul(ir.MINUS, target))))
        elif a in found.slopes:
            assignments.append(replace(a, value=ir.mul(scale, g)))
        elif a in found.squares:
            inside = next(name for j in range(len(taken) + 1) if (name := f"r{j}") not in taken)
            taken.add(inside)
            assignments.append(Assignment(inside, Node("sum", (ir.mul(g, g),)), STEP))
            assignments.append(replace(a, value=ir.add(ir.symbol(inside), rest)))
        else:
            assignments.append(a)
    extra = (Input(SCALE, SCALE, shape), Input(TARGET, TARGET, shape), Input(REST, REST, ()))
    return replace(program, assignments=tuple(assignments), data=(*program.data, *extra))
