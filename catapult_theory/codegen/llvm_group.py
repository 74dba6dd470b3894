"""The time loop of the LLVM target: groups of vectors in registers.

`group` iterates K vectors for some steps, a stretch, with nothing in the loop but the map and the
peak of the loss; what decides about a lane is looked at once, at its end. A lane with a new peak
keeps the state with which that stretch began, its mark: `llvm_search.replay` finds the step of the
peak from there, once, when the lane is over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from catapult_theory.codegen.ir import Node, symbols_in
from catapult_theory.codegen.llvm_values import Types, Writer, uses_library
from catapult_theory.codegen.lowering import next_name
from catapult_theory.codegen.scaled_form import RunForm
from catapult_theory.codegen.status import LIMITS

# Above this a loss is so large that a lane may have passed the bound between two looks.
_ALARM = {"float64": 1e190, "float32": 1e30}
# States of a lane to return to: the start of the stretch with its peak, and its own start.
MARK, FIRST = "at mark: ", "at first: "
# More are no faster: the processor does not see far enough ahead to overlap them.
MOST_VECTORS = 4


@dataclass(frozen=True)
class Layout:
    """The rows of a lane in the scratch memory, and how they are typed.

    Parameters
    ----------
    form : RunForm
    types : Types
    capacity : int
        Lanes in a row.
    registers : int
        Vector registers of the machine.
    """

    form: RunForm
    types: Types
    capacity: int
    registers: int

    @property
    def states(self) -> list[str]:
        """The variables of the loop."""
        return [i.code for i in self.form.step.state]

    @property
    def constants(self) -> list[str]:
        """What a lane carries besides: parameters and what is hoisted."""
        return [
            *(i.code for i in self.form.step.parameters),
            *(a.name for a in self.form.hoisted),
        ]

    @property
    def in_loop(self) -> list[str]:
        """The constants that every step needs."""
        form = self.form
        trees = [*(a.value for a in form.per_step), *(n for _, n in form.step.outputs)]
        used = set().union(*(symbols_in(t) for t in trees))
        return [c for c in self.constants if c in used]

    @property
    def moving(self) -> list[str]:
        """The rows of numbers that a stretch changes."""
        return [*self.states, "peak", "largest"]

    @property
    def kept(self) -> list[str]:
        """The rows of numbers that a lane takes along: constants, and states to return to."""
        places = [MARK, *([FIRST] if self.form.ceiling is not None else [])]
        return [*self.constants, *(place + s for place in places for s in self.states)]

    def first_row(self, place: str) -> int:
        """Return the row of the first variable of a state to return to: MARK or FIRST."""
        return self.kept.index(place + self.states[0])

    @property
    def vectors(self) -> int:
        """How many vectors fit in the registers with what a step needs of each."""
        trees = [*(a.value for a in self.form.per_step), *(n for _, n in self.form.step.outputs)]
        if uses_library(trees):
            return 1
        each = len(self.states) + 1 + self.watches + self.follows + len(self.in_loop) + 1
        return max(1, min(MOST_VECTORS, (self.registers - 2) // each))

    @property
    def watches(self) -> bool:
        """Whether the least squared gradient of a stretch is carried along."""
        return self.form.watched and self.converges

    @property
    def follows(self) -> bool:
        """Whether the running maximum of the squared gradient is carried at every step."""
        return self.form.ceiling is None and self.converges

    @property
    def queue(self) -> int:
        """How many lanes are judged at once."""
        return self.vectors * self.types.lanes

    @property
    def row_bytes(self) -> int:
        """The bytes of a row of numbers."""
        return self.capacity * self.types.size

    @property
    def queue_bytes(self) -> int:
        """The bytes of a row of queued lanes."""
        return self.queue * self.types.size

    @property
    def converges(self) -> bool:
        """Whether lanes can be found converged."""
        return self.form.step.output("grad_norm2") is not None

    @property
    def bytes(self) -> int:
        """The size of the scratch memory."""
        numbers = (2 * len(self.moving) + len(self.kept)) * self.row_bytes
        return numbers + 2 * 8 * self.capacity + 4 * self.capacity


class Function:
    """A function under way: a writer with loads, stores and blocks."""

    def __init__(self, layout: Layout, row_bytes: int | str | None = None) -> None:
        self.layout = layout
        self.types = layout.types
        self.row_bytes = layout.row_bytes if row_bytes is None else row_bytes
        self.writer = Writer(layout.types)

    def arrays(self, names: Iterable[str]) -> None:
        """Load the addresses of the caller's arrays, in the order in which they are given."""
        for i, name in enumerate(names):
            place = self.emit(f"getelementptr ptr, ptr %arrays, i64 {i}")
            self.put(f"{name} = load ptr, ptr {place}, align 8")

    @property
    def lines(self) -> list[str]:
        """The instructions so far."""
        return self.writer.lines

    def emit(self, text: str) -> str:
        """Add an instruction with a value."""
        return self.writer.emit(text)

    def put(self, text: str) -> None:
        """Add an instruction without a value."""
        self.lines.append(f"  {text}")

    def label(self, name: str) -> None:
        """Begin a block."""
        self.lines.append(f"{name}:")

    def address(self, base: str, row: int, offset: str) -> str:
        """Return the address of an element of a row of numbers."""
        if isinstance(self.row_bytes, int):
            before = str(row * self.row_bytes)
        else:
            before = self.emit(f"mul i64 {row}, {self.row_bytes}")
        start = self.emit(f"getelementptr i8, ptr {base}, i64 {before}")
        return self.emit(f"getelementptr {self.types.real}, ptr {start}, i64 {offset}")

    def load(self, base: str, row: int, offset: str) -> str:
        """Return a vector of a row."""
        place = self.address(base, row, offset)
        return self.emit(f"load {self.types.vector}, ptr {place}, align {self.types.size}")

    def store(self, value: str, base: str, row: int, offset: str) -> None:
        """Write a vector of a row."""
        place = self.address(base, row, offset)
        self.put(f"store {self.types.vector} {value}, ptr {place}, align {self.types.size}")

    def integers(self, base: str, offset: str) -> tuple[str, str]:
        """Return the address and the value of a vector of 64-bit integers."""
        place = self.emit(f"getelementptr i64, ptr {base}, i64 {offset}")
        return place, self.emit(f"load {self.types.whole}, ptr {place}, align 8")

    def store_integers(self, value: str, base: str, offset: str) -> None:
        """Write a vector of 64-bit integers."""
        place = self.emit(f"getelementptr i64, ptr {base}, i64 {offset}")
        self.put(f"store {self.types.whole} {value}, ptr {place}, align 8")

    def counted(self, value: str, first: str) -> str:
        """Return steps that were counted in numbers of the map's type, from some step on."""
        t = self.types
        steps = self.emit(f"fptosi {t.vector} {value} to {t.whole}")
        return self.emit(f"add {t.whole} {first}, {steps}")

    def below(self, count: str, places: str) -> str:
        """Return the mask of elements whose number is less than a count."""
        t = self.types
        return self.emit(f"icmp sgt {t.whole} {self.spread(count, 'i64')}, {places}")

    def choose_integers(self, mask: str, yes: str, no: str) -> str:
        """Return a choice by elements between integers."""
        kind = self.types.whole
        return self.emit(f"select {self.types.mask} {mask}, {kind} {yes}, {kind} {no}")

    def spread(self, value: str, kind: str) -> str:
        """Return a vector with a scalar in every element."""
        n = self.types.lanes
        one = self.emit(f"insertelement <{n} x {kind}> poison, {kind} {value}, i32 0")
        return self.emit(
            f"shufflevector <{n} x {kind}> {one}, <{n} x {kind}> poison, "
            f"<{n} x i32> zeroinitializer"
        )

    def any(self, mask: str) -> str:
        """Return whether an element of a mask is set."""
        n = self.types.lanes
        bits = self.emit(f"bitcast <{n} x i1> {mask} to i{n}")
        return self.emit(f"icmp ne i{n} {bits}, 0")

    def bind(self, values: dict[str, str]) -> None:
        """Give the symbols of the map their values and compute what every step needs."""
        self.writer.bind(values)
        self.writer.assign((a.name, a.value) for a in self.layout.form.per_step)

    def output(self, name: str) -> str | None:
        """Return an output of the step at the bound state."""
        node: Node | None = self.layout.form.step.output(name)
        return None if node is None else self.writer.value(node)

    def next_state(self) -> dict[str, str]:
        """Return the state after the step from the bound one."""
        form = self.layout.form
        found = {}
        for i in form.step.state:
            node = form.step.output(next_name(i.code))
            found[i.code] = self.writer.updated(node, i.code) if node is not None else ""
        return found

    def sound(self, state: dict[str, str]) -> str:
        """Return the mask of lanes whose state is finite."""
        first, *rest = (self.writer.finite(v) for v in state.values())
        for other in rest:
            first = self.writer.both("and", first, other)
        return first

    def within(self) -> str:
        """Return the mask of lanes that have not passed the bound."""
        limit = self.types.splat(LIMITS[self.types.dtype].bound)
        size = self.output("size") or self.output("loss")
        return self.writer.compare("ole", str(size), limit)

    def small(self, largest: str, least: str | None = None) -> str | None:
        """Return the mask of lanes whose gradient has, or had at its least, all but vanished."""
        limits = LIMITS[self.types.dtype]
        norm = self.output("grad_norm2")
        if norm is None:
            return None
        w = self.writer
        bound = w.binary("fmul", self.types.splat(limits.tolerance), largest)
        small = w.compare("ole", least or norm, bound)
        rounding = self.output("rounding")
        if rounding is None:
            return small
        floor = w.binary("fmul", self.types.splat(limits.rounding), rounding)
        return w.both("or", small, w.compare("ole", norm, floor))

    def stable(self, values: dict[str, str]) -> str | None:
        """Return the mask of lanes at a linearly stable state."""
        margin = self.layout.form.margin
        if margin is None:
            return None
        self.writer.bind(values)
        self.writer.assign((a.name, a.value) for a in margin.assignments)
        node = margin.output("margin")
        value = self.writer.value(node) if node is not None else ""
        return self.writer.compare("ogt", value, self.types.splat(0.0))

    def larger(self, largest: str, norm: str | None, where: str | None = None) -> str:
        """Return the running maximum of the squared gradient, updated in a mask."""
        if norm is None:
            return largest
        more = self.writer.compare("ogt", norm, largest)
        if where is not None:
            more = self.writer.both("and", more, where)
        return self.writer.select(more, norm, largest)


GROUP = "ptr %old, ptr %new, ptr %kept, ptr %w, ptr %flags, i64 %off, i64 %steps, i64 %start"
# Flags of a vector: bits of the lanes about which something may be decided, and, this far up, of
# those among them whose peak has moved in the stretch or that may have diverged.
MOVED_BIT = 16


def group(layout: Layout, vectors: int) -> tuple[str, set[str]]:
    """Return the function that iterates some vectors, all of them in registers.

    It reads the old rows, writes the new ones, the flags of its lanes and the marks of those with
    a new peak. A lane that may be decided keeps its mark: it will be gone through again.

    Parameters
    ----------
    layout : Layout
    vectors : int

    Returns
    -------
    text : str
    declarations : set of str
    """
    f, t = Function(layout), layout.types
    head = f"define internal void @group{vectors}({GROUP}) {{"
    offsets = [f.emit(f"add i64 %off, {k * t.lanes}") for k in range(vectors)]
    entry = [_loaded(f, "%old", offset) for offset in offsets]
    f.put("br label %loop")
    f.label("loop")
    carried = [*layout.states, "peak"]
    if layout.follows:
        carried.append("largest")
    if layout.watches:
        carried.append("least")
    f.put("%t = phi i64 [ 0, %0 ], [ %t1, %loop ]")
    place = len(f.lines)
    begins = [{**entry[k], **{s: f"%{s}.{k}" for s in carried}} for k in range(vectors)]
    ends = _side_by_side(f, begins)
    f.put("%t1 = add i64 %t, 1")
    f.put("%more = icmp slt i64 %t1, %steps")
    f.put("br i1 %more, label %loop, label %done")
    f.lines[place:place] = [
        f"  %{s}.{k} = phi {t.vector} [ {entry[k][s]}, %0 ], [ {ends[k][s]}, %loop ]"
        for k in range(vectors)
        for s in carried
    ]
    f.label("done")
    for k, (offset, end) in enumerate(zip(offsets, ends, strict=True)):
        _finish(f, k, offset, end)
    f.put("ret void")
    return "\n".join([head, *f.lines, "}"]), f.writer.declared


def _side_by_side(f: Function, begins: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return what the vectors carry after one step, each operation for all of them in turn.

    So written, operations that wait for one another stay apart in the compiled loop.
    """
    place = len(f.lines)
    ends, parts = [], []
    for begin in begins:
        start = len(f.lines)
        ends.append({**begin, **_advanced(f, begin)})
        parts.append(f.lines[start:])
    order = sorted(range(len(parts[0])), key=_levels(parts[0]).__getitem__)
    f.lines[place:] = [part[i] for i in order for part in parts]
    return ends


def _levels(lines: list[str]) -> list[int]:
    """Return how many of the instructions each of them has to wait for, one after another."""
    known: dict[str, int] = {}
    for line in lines:
        name, *used = re.findall(r"%[\w.]+", line)
        known[name] = 1 + max((known.get(u, 0) for u in used), default=0)
    return list(known.values())


def _loaded(f: Function, base: str, offset: str) -> dict[str, str]:
    """Return what a vector of lanes begins a stretch with."""
    rows = {s: f.load(base, i, offset) for i, s in enumerate(f.layout.moving)}
    constants = {c: f.load("%kept", i, offset) for i, c in enumerate(f.layout.constants)}
    return {**rows, **constants, "least": f.types.splat(float("inf"))}


def _advanced(f: Function, values: dict[str, str]) -> dict[str, str]:
    """Return what a vector carries after one step; the peak is that of the states before it.

    Looked at before the step, the loss shares its subexpressions with the map.
    """
    f.bind(values)
    return {**_peaked(f, values), **f.next_state()}


def _peaked(f: Function, values: dict[str, str]) -> dict[str, str]:
    """Return the peak of the loss and the extremes of the gradient, with the bound state."""
    loss = str(f.output("loss"))
    record = f.writer.compare("ogt", loss, values["peak"])
    found = {s: values[s] for s in ("least", "largest")}
    found["peak"] = f.writer.select(record, loss, values["peak"])
    if f.layout.watches:
        norm = str(f.output("grad_norm2"))
        less = f.writer.compare("olt", norm, values["least"])
        found["least"] = f.writer.select(less, norm, values["least"])
    if f.layout.follows:
        found["largest"] = f.larger(values["largest"], f.output("grad_norm2"))
    return found


def _finish(f: Function, k: int, offset: str, end: dict[str, str]) -> None:
    """Write the rows, the mark and the flags of a vector."""
    t, w, layout = f.types, f.writer, f.layout
    # Read again, so that no register holds it in the loop.
    begin = _loaded(f, "%old", offset)
    f.bind(end)
    values = {**end, **_peaked(f, end)}
    record = w.compare("ogt", values["peak"], begin["peak"])
    bounds = values
    if layout.form.ceiling is not None:
        # Of what came before its mark a lane knows but this bound.
        before = _ceiling(f, offset, begin["peak"])
        values["largest"] = w.select(record, before, begin["largest"])
        bounds = {**values, "largest": _ceiling(f, offset, values["peak"])}
    bad, small = flags(f, bounds, values["least"] if layout.watches else None)
    decided = bad if small is None else w.both("or", bad, small)
    moved = w.both("or", record, bad)
    if layout.follows:
        more = w.compare("ogt", values["largest"], begin["largest"])
        moved = w.both("or", moved, more)
    for i, row in enumerate(layout.moving):
        f.store(values[row], "%new", i, offset)
    number = f.emit(f"udiv i64 {offset}, {t.lanes}")
    place = f.emit(f"getelementptr i32, ptr %flags, i64 {number}")
    f.put(f"store i32 {_bits(f, decided, w.both('and', decided, moved))}, ptr {place}, align 4")
    fresh = w.both("and", record, f.writer.negated(decided))
    f.put(f"br i1 {f.any(fresh)}, label %mark{k}, label %past{k}")
    f.label(f"mark{k}")
    mark(f, offset, fresh, {s: begin[s] for s in layout.states}, "%start")
    f.put(f"br label %past{k}")
    f.label(f"past{k}")


def _ceiling(f: Function, offset: str, peak: str) -> str:
    """Return a bound on the squared gradient of lanes that have come to some loss at most."""
    layout, program = f.layout, f.layout.form.ceiling
    if program is None:
        return peak
    first = {s: f.load("%kept", layout.kept.index(FIRST + s), offset) for s in layout.states}
    (own,) = program.parameters
    f.writer.bind({**first, own.code: peak})
    f.writer.assign((a.name, a.value) for a in program.assignments)
    ((_, node),) = program.outputs
    return f.writer.value(node)


def _bits(f: Function, decided: str, moved: str) -> str:
    """Return two masks as the bits of an integer."""
    n = f.types.lanes
    wide = []
    for mask in (decided, moved):
        bits = f.emit(f"bitcast {f.types.mask} {mask} to i{n}")
        wide.append(f.emit(f"zext i{n} {bits} to i32"))
    up = f.emit(f"shl i32 {wide[1]}, {MOVED_BIT}")
    return f.emit(f"or i32 {wide[0]}, {up}")


def mark(f: Function, offset: str, fresh: str, state: dict[str, str], start: str) -> None:
    """Give the lanes in a mask a new mark: the state at the start of a stretch, and that step."""
    layout, t = f.layout, f.types
    for s in layout.states:
        row = layout.kept.index(MARK + s)
        value = f.writer.select(fresh, state[s], f.load("%kept", row, offset))
        f.store(value, "%kept", row, offset)
    place, old = f.integers("%w", offset)
    step = f.choose_integers(fresh, f.spread(start, "i64"), old)
    f.put(f"store {t.whole} {step}, ptr {place}, align 8")


def flags(f: Function, values: dict[str, str], least: str | None) -> tuple[str, str | None]:
    """Return the masks of lanes that may have diverged, and converged, at the state in values.

    The squared gradient is that of the state, or the least one since the last look.
    """
    w, t = f.writer, f.types
    f.bind(values)
    state = {s: values[s] for s in f.layout.states}
    fine = w.both("and", f.sound(state), f.within())
    alarm = w.compare("ole", values["peak"], t.splat(_ALARM[t.dtype]))
    bad = f.writer.negated(w.both("and", fine, alarm))
    return bad, f.small(values["largest"], least)


def joined(f: Function, masks: list[str]) -> str:
    """Return the mask of what is set in any of several masks."""
    first, *rest = masks
    for other in rest:
        first = f.writer.both("or", first, other)
    return first
