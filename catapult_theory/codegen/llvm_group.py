"""The time loop of the LLVM target: groups of vectors in registers, and one judged vector.

`group` iterates K vectors for some steps with nothing in the loop but the map, the peak of the
loss and its step; what decides about a lane is looked at once, at the end of the stretch.
`judged` repeats such a stretch for a vector of lanes that were found decided, with the verdict
after every step, so that the step and the frozen state are those of the definition.
"""

from __future__ import annotations

from dataclasses import dataclass

from catapult_theory.codegen.ir import Node, symbols_in
from catapult_theory.codegen.llvm_values import Types, Writer, uses_library
from catapult_theory.codegen.lowering import next_name
from catapult_theory.codegen.scaled_form import RunForm
from catapult_theory.codegen.status import LIMITS

# Above this a loss is so large that a lane may have passed the bound between two looks.
_ALARM = {"float64": 1e190, "float32": 1e30}
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
        return self.form.watched and self.form.step.output("grad_norm2") is not None

    @property
    def follows(self) -> bool:
        """Whether the running maximum of the squared gradient is carried at every step."""
        return not self.form.together and self.form.step.output("grad_norm2") is not None

    @property
    def queue(self) -> int:
        """How many lanes are judged at once."""
        return self.vectors * self.types.lanes

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


GROUP = "ptr %old, ptr %oldw, ptr %new, ptr %neww, ptr %con, ptr %flags"


def group_name(vectors: int, full: bool) -> str:
    """Return the name of a `group`."""
    return f"group{vectors}{'full' if full else ''}"


def group(layout: Layout, vectors: int, full: bool) -> tuple[str, set[str]]:
    """Return the function that iterates some vectors, all of them in registers.

    It reads the old rows, writes the new ones and the flags of decided lanes, and returns
    whether the loss of any lane has reached a new peak. Only the full variant notes the step
    of a peak and the squared gradient there: the other one is for stretches without a peak,
    and has to be repeated in full where it finds one. Where the largest gradient of a lane is
    found together with its largest loss, its running maximum goes over the stretches with a new
    peak and over the looks alone.

    Parameters
    ----------
    layout : Layout
    vectors : int
    full : bool

    Returns
    -------
    text : str
    declarations : set of str
    """
    f, t = Function(layout), layout.types
    name = group_name(vectors, full)
    head = f"define internal i1 @{name}({GROUP}, i64 %off, i64 %steps, i64 %start) {{"
    offsets = [f.emit(f"add i64 %off, {k * t.lanes}") for k in range(vectors)]
    entry = [_loaded(f, "%old", offset) for offset in offsets]
    f.put("br label %loop")
    f.label("loop")
    carried = [*layout.states, "peak", *(["when"] if full else [])]
    if full or layout.follows:
        carried.append("largest")
    if layout.watches:
        carried.append("least")
    f.put("%t = phi i64 [ 0, %0 ], [ %t1, %loop ]")
    if full:
        f.put(f"%now = phi {t.vector} [ {t.splat(0.0)}, %0 ], [ %later, %loop ]")
    place = len(f.lines)
    begins = [{**entry[k], **{s: f"%{s}.{k}" for s in carried}} for k in range(vectors)]
    ends = [{**begin, **_advanced(f, begin, full)} for begin in begins]
    if full:
        f.put(f"%later = fadd {t.vector} %now, {t.splat(1.0)}")
    f.put("%t1 = add i64 %t, 1")
    f.put("%more = icmp slt i64 %t1, %steps")
    f.put("br i1 %more, label %loop, label %done")
    f.lines[place:place] = [
        f"  %{s}.{k} = phi {t.vector} [ {entry[k][s]}, %0 ], [ {ends[k][s]}, %loop ]"
        for k in range(vectors)
        for s in carried
    ]
    f.label("done")
    reached = "false"
    for offset, begin, end in zip(offsets, entry, ends, strict=True):
        reached = f.emit(f"or i1 {reached}, {_finish(f, offset, begin, end, full)}")
    f.put(f"ret i1 {reached}")
    return "\n".join([head, *f.lines, "}"]), f.writer.declared


def _loaded(f: Function, base: str, offset: str) -> dict[str, str]:
    """Return what a vector of lanes begins a stretch with."""
    rows = {s: f.load(base, i, offset) for i, s in enumerate(f.layout.moving)}
    constants = {c: f.load("%con", i, offset) for i, c in enumerate(f.layout.constants)}
    infinite = f.types.splat(float("inf"))
    return {**rows, **constants, "when": f.types.splat(0.0), "least": infinite}


def _advanced(f: Function, values: dict[str, str], full: bool) -> dict[str, str]:
    """Return what a vector carries after one step; the peak is that of the states before it.

    Looked at before the step, the loss shares its subexpressions with the map.
    """
    f.bind(values)
    return {**_peaked(f, values, full, "%now"), **f.next_state()}


def _peaked(f: Function, values: dict[str, str], full: bool, now: str) -> dict[str, str]:
    """Return the peak of the loss, its step and what is recorded there, at the bound state."""
    loss = str(f.output("loss"))
    record = f.writer.compare("ogt", loss, values["peak"])
    found = {"peak": f.writer.select(record, loss, values["peak"])}
    found["least"] = values["least"]
    if f.layout.watches:
        norm = str(f.output("grad_norm2"))
        less = f.writer.compare("olt", norm, values["least"])
        found["least"] = f.writer.select(less, norm, values["least"])
    if full:
        found["when"] = f.writer.select(record, now, values["when"])
    if full or f.layout.follows:
        found["largest"] = f.larger(values["largest"], f.output("grad_norm2"))
    return found


def _finish(
    f: Function, offset: str, begin: dict[str, str], end: dict[str, str], full: bool
) -> str:
    """Write the rows and flags of a vector; return whether a peak was reached."""
    t = f.types
    f.bind(end)
    values = {**end, **_peaked(f, end, full, "%later")}
    record = f.writer.compare("ogt", values["peak"], begin["peak"])
    if full and not f.layout.follows:
        # A lane without a peak of its own keeps to the looks, whatever its neighbours do.
        values["largest"] = f.writer.select(record, values["largest"], begin["largest"])
    values["largest"] = f.larger(values["largest"], f.output("grad_norm2"))
    decided = flags(f, values, values["least"] if f.layout.watches else None)
    for i, row in enumerate(f.layout.moving):
        f.store(values[row], "%new", i, offset)
    _, when = f.integers("%oldw", offset)
    if full:
        kind = f"<{t.lanes} x i64>"
        count = f.emit(f"fptosi {t.vector} {values['when']} to {kind}")
        later = f.emit(f"add {kind} {f.spread('%start', 'i64')}, {count}")
        when = f.choose_integers(record, later, when)
    here = f.emit(f"getelementptr i64, ptr %neww, i64 {offset}")
    f.put(f"store <{t.lanes} x i64> {when}, ptr {here}, align 8")
    number = f.emit(f"udiv i64 {offset}, {t.lanes}")
    place = f.emit(f"getelementptr i32, ptr %flags, i64 {number}")
    bits = f.emit(f"bitcast {t.mask} {decided} to i{t.lanes}")
    wide = f.emit(f"zext i{t.lanes} {bits} to i32")
    f.put(f"store i32 {wide}, ptr {place}, align 4")
    return f.any(record)


def flags(f: Function, values: dict[str, str], least: str | None) -> str:
    """Return the mask of lanes about which something may be decided, at the state in values.

    The squared gradient is that of the state, or the least one since the last look.
    """
    w, t = f.writer, f.types
    f.bind(values)
    state = {s: values[s] for s in f.layout.states}
    fine = w.both("and", f.sound(state), f.within())
    alarm = w.compare("ole", values["peak"], t.splat(_ALARM[t.dtype]))
    bad = negated(f, w.both("and", fine, alarm))
    small = f.small(values["largest"], least)
    return bad if small is None else w.both("or", bad, small)


def judged(layout: Layout) -> tuple[str, set[str]]:
    """Return the function that repeats a stretch for queued lanes, judging after every step.

    Rows as in `group`, in place; ``%verdict`` and ``%decided`` receive 64-bit integers.

    Parameters
    ----------
    layout : Layout

    Returns
    -------
    text : str
    declarations : set of str
    """
    t, queue = layout.types, layout.queue
    f = Function(layout, queue * t.size)
    kind = f"<{t.lanes} x i64>"
    head = (
        "define internal void @judged(ptr %rows, ptr %w, ptr %con, ptr %verdict, ptr %decided, "
        "i64 %steps, i64 %start, i64 %end) {"
    )
    offsets = [str(k * t.lanes) for k in range(queue // t.lanes)]
    entry = [_loaded(f, "%rows", offset) for offset in offsets]
    last = f.spread("%end", "i64")
    starts = [
        {"when": f.integers("%w", offset)[1], "verdict": t.integers(0), "decided": last}
        for offset in offsets
    ]
    f.put("br label %loop")
    f.label("loop")
    place = len(f.lines)
    ends, back = judged_steps(f, entry, f.emit("add i64 %start, %t"), "loop")
    f.put("%t1 = add i64 %t, 1")
    f.put("%more = icmp sle i64 %t1, %steps")
    open_ = [f.emit(f"icmp eq {kind} {end['verdict']}, zeroinitializer") for end in ends]
    f.put(f"%go = and i1 %more, {f.any(joined(f, open_))}")
    f.put("br i1 %go, label %loop, label %done")
    phis = [f"  %t = phi i64 [ 1, %0 ], [ %t1, %{back} ]"]
    for k, (first, start, end) in enumerate(zip(entry, starts, ends, strict=True)):
        for s in layout.moving:
            phis.append(f"  %{s}.{k} = phi {t.vector} [ {first[s]}, %0 ], [ {end[s]}, %{back} ]")
        for s, value in start.items():
            phis.append(f"  %{s}.{k} = phi {kind} [ {value}, %0 ], [ {end[s]}, %{back} ]")
    f.lines[place:place] = phis
    f.label("done")
    for offset, end in zip(offsets, ends, strict=True):
        for i, s in enumerate(layout.moving):
            f.store(end[s], "%rows", i, offset)
        for name, base in (("when", "%w"), ("verdict", "%verdict"), ("decided", "%decided")):
            here = f.emit(f"getelementptr i64, ptr {base}, i64 {offset}")
            f.put(f"store {kind} {end[name]}, ptr {here}, align 8")
    f.put("ret void")
    return "\n".join([head, *f.lines, "}"]), f.writer.declared


def judged_steps(
    f: Function, entry: list[dict[str, str]], time: str, block: str
) -> tuple[list[dict[str, str]], str]:
    """Return what the vectors carry after a judged step, and the block in which it ends.

    Parameters
    ----------
    f : Function
        In the block of that name.
    entry : list of dict
        The constants of each vector; what it carries is named ``%name.k``.
    time : str
        The number of the step.
    block : str

    Returns
    -------
    ends : list of dict
    block : str
    """
    time = f.spread(time, "i64")
    ends = []
    for k, first in enumerate(entry):
        carried = (*f.layout.moving, "when", "verdict", "decided")
        ends.append(_judged_step(f, {**first, **{s: f"%{s}.{k}" for s in carried}}, time))
    back = _weighed(f, ends, block)
    kind = f"<{f.types.lanes} x i64>"
    for k, end in enumerate(ends):
        verdict = f"%verdict.{k}"
        if "small" in end:
            converged = f.types.integers(1)
            verdict = f.choose_integers(end["small"], converged, verdict)
        verdict = f.choose_integers(end["diverged"], f.types.integers(2), verdict)
        changed = f.emit(f"icmp ne {kind} {verdict}, %verdict.{k}")
        end["verdict"] = verdict
        end["decided"] = f.choose_integers(changed, time, f"%decided.{k}")
    return ends, back


def _judged_step(f: Function, values: dict[str, str], time: str) -> dict[str, str]:
    """Return the state after a step of the lanes still open, its peak, and what is suspected."""
    w = f.writer
    alive = f.emit(f"icmp eq <{f.types.lanes} x i64> {values['verdict']}, zeroinitializer")
    f.bind(values)
    new = f.next_state()
    sound = f.sound(new)
    moves = w.both("and", alive, sound)
    state = {s: w.select(moves, new[s], values[s]) for s in f.layout.states}
    f.bind({**values, **state})
    loss = str(f.output("loss"))
    record = w.both("and", moves, w.compare("ogt", loss, values["peak"]))
    largest = f.larger(values["largest"], f.output("grad_norm2"), moves)
    over = w.both("and", moves, negated(f, f.within()))
    small = f.small(largest)
    found = {
        **values,
        **state,
        "peak": w.select(record, loss, values["peak"]),
        "largest": largest,
        "when": f.choose_integers(record, time, values["when"]),
        "diverged": w.both("or", over, w.both("and", alive, negated(f, sound))),
    }
    return found if small is None else {**found, "small": w.both("and", moves, small)}


def _weighed(f: Function, ends: list[dict[str, str]], block: str) -> str:
    """Keep of the lanes with a small gradient those at a stable state.

    They are few, so that the margin is computed in a branch; its last block is returned.
    """
    masks = [end["small"] for end in ends if "small" in end]
    if f.layout.form.margin is None or not masks:
        return block
    f.put(f"br i1 {f.any(joined(f, masks))}, label %weigh, label %weighed")
    f.label("weigh")
    stable = [f.writer.both("and", end["small"], str(f.stable(end))) for end in ends]
    f.put("br label %weighed")
    f.label("weighed")
    for end, mask in zip(ends, stable, strict=True):
        kind = f.types.mask
        end["small"] = f.emit(f"phi {kind} [ {mask}, %weigh ], [ {end['small']}, %{block} ]")
    return "weighed"


def joined(f: Function, masks: list[str]) -> str:
    """Return the mask of what is set in any of several masks."""
    first, *rest = masks
    for other in rest:
        first = f.writer.both("or", first, other)
    return first


def negated(f: Function, mask: str) -> str:
    """Return the mask of what is not set."""
    ones = f"<{', '.join(['i1 true'] * f.types.lanes)}>"
    return f.emit(f"xor {f.types.mask} {mask}, {ones}")
