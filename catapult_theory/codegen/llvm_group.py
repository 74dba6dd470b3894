"""The time loop of the LLVM target: groups of vectors in registers, and one judged vector.

`group` iterates K vectors for some steps with nothing in the loop but the map, the peak of the
loss and its step; what decides about a lane is looked at once, at the end of the stretch.
`judged` repeats such a stretch for a vector of lanes that were found decided, with the verdict
after every step, so that the step and the frozen state are those of the definition.
"""

from __future__ import annotations

from dataclasses import dataclass

from catapult_theory.codegen.ir import Node
from catapult_theory.codegen.llvm_values import Types, Writer, uses_library
from catapult_theory.codegen.lowering import next_name
from catapult_theory.codegen.passes import STEP
from catapult_theory.codegen.scaled_form import RunForm
from catapult_theory.codegen.status import LIMITS

# Above this a loss is so large that a lane may have passed the bound between two looks.
_ALARM = {"float64": 1e190, "float32": 1e30}
MOST_VECTORS = 8


@dataclass(frozen=True)
class Layout:
    """The rows of a lane in the scratch memory, and how they are typed.

    Parameters
    ----------
    form : RunForm
    types : Types
    capacity : int
        Lanes in a row.
    """

    form: RunForm
    types: Types
    capacity: int

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
        from catapult_theory.codegen.ir import symbols_in

        form = self.form
        trees = [*(a.value for a in form.per_step), *(n for _, n in form.step.outputs)]
        used = set().union(*(symbols_in(t) for t in trees))
        return [c for c in self.constants if c in used]

    @property
    def moving(self) -> list[str]:
        """The rows of numbers that a stretch changes."""
        return [*self.states, "peak", "largest"]

    def vectors(self, registers: int) -> int:
        """Return how many vectors fit in the registers with what a step needs of each."""
        trees = [*(a.value for a in self.form.per_step), *(n for _, n in self.form.step.outputs)]
        if uses_library(trees):
            return 1
        each = len(self.states) + 2 + len(self.in_loop) + 1
        return max(1, min(MOST_VECTORS, (registers - 2) // each))

    @property
    def row_bytes(self) -> int:
        """The bytes of a row of numbers."""
        return self.capacity * self.types.size

    @property
    def bytes(self) -> int:
        """The size of the scratch memory."""
        numbers = (2 * len(self.moving) + len(self.constants)) * self.row_bytes
        return numbers + 3 * 8 * self.capacity + 4 * self.capacity


class Function:
    """A function under way: a writer with loads, stores and blocks."""

    def __init__(self, layout: Layout, row_bytes: int | None = None) -> None:
        self.layout = layout
        self.types = layout.types
        self.row_bytes = layout.row_bytes if row_bytes is None else row_bytes
        self.writer = Writer(layout.types)

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
        t = self.types
        start = self.emit(f"getelementptr i8, ptr {base}, i64 {row * self.row_bytes}")
        return self.emit(f"getelementptr {t.real}, ptr {start}, i64 {offset}")

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
        kind = f"<{self.types.lanes} x i64>"
        place = self.emit(f"getelementptr i64, ptr {base}, i64 {offset}")
        return place, self.emit(f"load {kind}, ptr {place}, align 8")

    def choose_integers(self, mask: str, yes: str, no: str) -> str:
        """Return a choice by elements between integers."""
        kind = f"<{self.types.lanes} x i64>"
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
            found[i.code] = self.writer.value(node) if node is not None else ""
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

    def small(self, largest: str) -> str | None:
        """Return the mask of lanes whose gradient has all but vanished."""
        limits = LIMITS[self.types.dtype]
        norm = self.output("grad_norm2")
        if norm is None:
            return None
        w = self.writer
        bound = w.binary("fmul", self.types.splat(limits.tolerance), largest)
        small = w.compare("ole", norm, bound)
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


GROUP = "ptr noalias %old, ptr %oldw, ptr noalias %new, ptr %neww, ptr %con, ptr %flags"


def group(layout: Layout, vectors: int, full: bool) -> tuple[str, set[str]]:
    """Return the function that iterates some vectors, all of them in registers.

    It reads the old rows, writes the new ones and the flags of decided lanes, and returns
    whether the loss of any lane has reached a new peak.

    Parameters
    ----------
    layout : Layout
    vectors : int
    full : bool
        Whether the squared gradient is recorded at the peaks of the loss.

    Returns
    -------
    text : str
    declarations : set of str
    """
    f, t = Function(layout), layout.types
    name = group_name(vectors, full)
    head = f"define internal i1 @{name}({GROUP}, i64 %off, i64 %steps, i64 %start) {{"
    offsets = [f.emit(f"add i64 %off, {k * t.lanes}") for k in range(vectors)]
    entry, phis = [], []
    for offset in offsets:
        entry.append(
            {
                **{s: f.load("%old", i, offset) for i, s in enumerate(layout.moving)},
                **{c: f.load("%con", i, offset) for i, c in enumerate(layout.constants)},
            }
        )
    f.put("br label %loop")
    f.label("loop")
    carried = [*layout.states, "peak", "when", *(["largest"] if full else [])]
    f.put("%t = phi i64 [ 0, %0 ], [ %t1, %loop ]")
    f.put(f"%now = phi {t.vector} [ {t.splat(1.0)}, %0 ], [ %later, %loop ]")
    f.put("; phis")
    place = len(f.lines) - 1
    ends: list[dict[str, str]] = []
    for k in range(vectors):
        begin = {s: f"%{s}.{k}" for s in carried}
        phis.append(begin)
        ends.append(_advanced(f, {**entry[k], **begin}, full))
    f.put(f"%later = fadd {t.vector} %now, {t.splat(1.0)}")
    f.put("%t1 = add i64 %t, 1")
    f.put("%more = icmp slt i64 %t1, %steps")
    f.put("br i1 %more, label %loop, label %done")
    lines = []
    for k in range(vectors):
        for s in carried:
            first = t.splat(0.0) if s == "when" else entry[k][s]
            lines.append(f"  %{s}.{k} = phi {t.vector} [ {first}, %0 ], [ {ends[k][s]}, %loop ]")
    f.lines[place : place + 1] = lines
    f.label("done")
    reached = _finish(f, offsets, entry, ends)
    f.put(f"ret i1 {reached}")
    return "\n".join([head, *f.lines, "}"]), f.writer.declared


def group_name(vectors: int, full: bool) -> str:
    """Return the name of a `group`."""
    return f"group{vectors}{'full' if full else ''}"


def _advanced(f: Function, values: dict[str, str], full: bool) -> dict[str, str]:
    """Return what a vector carries after one step."""
    f.bind(values)
    new = f.next_state()
    f.bind({**values, **new})
    loss = str(f.output("loss"))
    record = f.writer.compare("ogt", loss, values["peak"])
    found = {
        **new,
        "peak": f.writer.select(record, loss, values["peak"]),
        "when": f.writer.select(record, "%now", values["when"]),
    }
    if full:
        found["largest"] = f.larger(values["largest"], f.output("grad_norm2"), record)
    return found


def _finish(
    f: Function, offsets: list[str], entry: list[dict[str, str]], ends: list[dict[str, str]]
) -> str:
    """Write the rows and flags of the vectors; return whether a peak was reached."""
    t = f.types
    reached = "false"
    for offset, begin, end in zip(offsets, entry, ends, strict=True):
        values = {**begin, **end}
        state = {s: values[s] for s in f.layout.states}
        f.bind(values)
        largest = f.larger(values["largest"], f.output("grad_norm2"))
        decided = _flags(f, values, state, largest)
        for i, row in enumerate(f.layout.moving):
            value = largest if row == "largest" else values[row]
            f.store(value, "%new", i, offset)
        record = f.writer.compare("ogt", values["when"], t.splat(0.0))
        here, after = _when(f, offset, record, values["when"])
        f.put(f"store <{t.lanes} x i64> {after}, ptr {here}, align 8")
        reached = f.emit(f"or i1 {reached}, {f.any(record)}")
        number = f.emit(f"udiv i64 {offset}, {t.lanes}")
        place = f.emit(f"getelementptr i32, ptr %flags, i64 {number}")
        bits = f.emit(f"bitcast {t.mask} {decided} to i{t.lanes}")
        wide = f.emit(f"zext i{t.lanes} {bits} to i32")
        f.put(f"store i32 {wide}, ptr {place}, align 4")
    return reached


def _when(f: Function, offset: str, record: str, relative: str) -> tuple[str, str]:
    """Return where the steps of the peaks go, and their new values."""
    kind = f"<{f.types.lanes} x i64>"
    _, before = f.integers("%oldw", offset)
    count = f.emit(f"fptosi {f.types.vector} {relative} to {kind}")
    start = f.spread("%start", "i64")
    after = f.choose_integers(record, f.emit(f"add {kind} {start}, {count}"), before)
    return f.emit(f"getelementptr i64, ptr %neww, i64 {offset}"), after


def _flags(f: Function, values: dict[str, str], state: dict[str, str], largest: str) -> str:
    """Return the mask of lanes about which something may be decided."""
    w, t = f.writer, f.types
    fine = w.both("and", f.sound(state), f.within())
    alarm = w.compare("ole", values["peak"], t.splat(_ALARM[t.dtype]))
    fine = w.both("and", fine, alarm)
    ones = f"<{', '.join(['i1 true'] * t.lanes)}>"
    bad = f.emit(f"xor {t.mask} {fine}, {ones}")
    small = f.small(largest)
    return bad if small is None else w.both("or", bad, small)


def judged(layout: Layout) -> tuple[str, set[str]]:
    """Return the function that repeats a stretch for one vector, judging after every step.

    Rows as in `group`, in place; ``%verdict`` and ``%decided`` receive 64-bit integers.

    Parameters
    ----------
    layout : Layout

    Returns
    -------
    text : str
    declarations : set of str
    """
    t = layout.types
    f = Function(layout, t.lanes * t.size)
    kind = f"<{t.lanes} x i64>"
    head = (
        "define internal void @judged(ptr %rows, ptr %w, ptr %con, ptr %verdict, ptr %decided, "
        "i64 %steps, i64 %start, i64 %end) {"
    )
    first = {s: f.load("%rows", i, "0") for i, s in enumerate(layout.moving)}
    constants = {c: f.load("%con", i, "0") for i, c in enumerate(layout.constants)}
    _, when = f.integers("%w", "0")
    last = f.spread("%end", "i64")
    f.put("br label %loop")
    f.label("loop")
    f.put("%t = phi i64 [ 1, %0 ], [ %t1, %loop ]")
    names = {s: f"%{s}.p" for s in layout.moving}
    f.put("; phis")
    place = len(f.lines) - 1
    end = _judged_step(f, names, constants, last)
    f.put("%t1 = add i64 %t, 1")
    f.put("%more = icmp sle i64 %t1, %steps")
    f.put("br i1 %more, label %loop, label %done")
    phis = [
        f"  {names[s]} = phi {t.vector} [ {first[s]}, %0 ], [ {end[s]}, %loop ]"
        for s in layout.moving
    ]
    phis.append(f"  %when.p = phi {kind} [ {when}, %0 ], [ {end['when']}, %loop ]")
    phis.append(f"  %verdict.p = phi {kind} [ {t.integers(0)}, %0 ], [ {end['verdict']}, %loop ]")
    phis.append(f"  %decided.p = phi {kind} [ {last}, %0 ], [ {end['decided']}, %loop ]")
    f.lines[place : place + 1] = phis
    f.label("done")
    for i, s in enumerate(layout.moving):
        f.store(end[s], "%rows", i, "0")
    for name, base in (("when", "%w"), ("verdict", "%verdict"), ("decided", "%decided")):
        f.put(f"store {kind} {end[name]}, ptr {base}, align 8")
    f.put("ret void")
    return "\n".join([head, *f.lines, "}"]), f.writer.declared


def _judged_step(
    f: Function, values: dict[str, str], constants: dict[str, str], last: str
) -> dict[str, str]:
    w, t = f.writer, f.types
    kind = f"<{t.lanes} x i64>"
    time = f.spread(f.emit("add i64 %start, %t"), "i64")
    alive = f.emit(f"icmp eq {kind} %verdict.p, zeroinitializer")
    f.bind({**values, **constants})
    new = f.next_state()
    sound = f.sound(new)
    moves = w.both("and", alive, sound)
    state = {s: w.select(moves, new[s], values[s]) for s in f.layout.states}
    f.bind({**values, **constants, **state})
    loss = str(f.output("loss"))
    record = w.both("and", moves, w.compare("ogt", loss, values["peak"]))
    largest = f.larger(values["largest"], f.output("grad_norm2"), record)
    over = _not(f, f.within())
    small = f.small(largest)
    found = {
        **state,
        "peak": w.select(record, loss, values["peak"]),
        "largest": largest,
        "when": f.choose_integers(record, time, "%when.p"),
    }
    stable = f.stable({**values, **constants, **state})
    verdict = "%verdict.p"
    conv = small if stable is None or small is None else w.both("and", small, stable)
    if conv is not None:
        verdict = f.choose_integers(w.both("and", moves, conv), t.integers(1), verdict)
    diverged = w.both("or", w.both("and", moves, over), w.both("and", alive, _not(f, sound)))
    verdict = f.choose_integers(diverged, t.integers(2), verdict)
    changed = f.emit(f"icmp ne {kind} {verdict}, %verdict.p")
    return {
        **found,
        "verdict": verdict,
        "decided": f.choose_integers(changed, time, "%decided.p"),
    }


def _not(f: Function, mask: str) -> str:
    ones = f"<{', '.join(['i1 true'] * f.types.lanes)}>"
    return f.emit(f"xor {f.types.mask} {mask}, {ones}")


__all__ = ["STEP", "Function", "Layout", "group", "group_name", "judged"]
