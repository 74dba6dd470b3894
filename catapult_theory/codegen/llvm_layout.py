"""Lanes in scratch memory for the LLVM target, and functions that work on them.

A stretch of steps goes by in pieces; at the start of each a group of vectors leaves its state at a
station, so that what a look finds at the end of the stretch can be searched from close by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from catapult_theory.codegen.ir import Node, symbols_in
from catapult_theory.codegen.llvm_values import Types, Writer, uses_library
from catapult_theory.codegen.lowering import next_name
from catapult_theory.codegen.scaled_form import RunForm
from catapult_theory.codegen.status import LIMITS

# Above this a loss is so large that a lane may have passed the bound between two looks.
_ALARM = {"float64": 1e190, "float32": 1e30}
# States of a lane to return to: a station shortly before its peak, and its own start.
MARK, FIRST = "at mark: ", "at first: "
# Steps between two stations, and of the shortest stretch.
PIECE = SHORTEST = 16
# Stations of single vectors in the longest stretch: they stay in the first-level cache.
STATIONS = 64
# More are no faster: the processor does not see far enough ahead to overlap them.
MOST_VECTORS = 4
SEARCHED = 2


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
    most : int
        Vectors that are iterated side by side, if there are registers for so many.
    """

    form: RunForm
    types: Types
    capacity: int
    registers: int
    most: int = MOST_VECTORS

    @cached_property
    def states(self) -> list[str]:
        """The variables of the loop."""
        return [i.code for i in self.form.step.state]

    @cached_property
    def constants(self) -> list[str]:
        """What a lane carries besides: parameters and what is hoisted."""
        return [
            *(i.code for i in self.form.step.parameters),
            *(a.name for a in self.form.hoisted),
        ]

    @cached_property
    def in_loop(self) -> list[str]:
        """The constants that every step needs."""
        form = self.form
        trees = [*(a.value for a in form.per_step), *(n for _, n in form.step.outputs)]
        used = set().union(*(symbols_in(t) for t in trees))
        return [c for c in self.constants if c in used]

    @cached_property
    def moving(self) -> list[str]:
        """The rows of numbers that a stretch changes."""
        return [*self.states, "peak", "largest"]

    @cached_property
    def kept(self) -> list[str]:
        """The rows of numbers that a lane takes along: constants, and states to return to."""
        places = [MARK, *([FIRST] if self.form.ceiling is not None else [])]
        return [*self.constants, *(place + s for place in places for s in self.states)]

    def first_row(self, place: str) -> int:
        """Return the row of the first variable of a state to return to: MARK or FIRST."""
        return self.kept.index(place + self.states[0])

    @cached_property
    def vectors(self) -> int:
        """How many vectors fit in the registers with what a step needs of each."""
        trees = [*(a.value for a in self.form.per_step), *(n for _, n in self.form.step.outputs)]
        if uses_library(trees):
            return 1
        return max(1, min(self.most, (self.registers - 2) // self._each))

    @property
    def _each(self) -> int:
        """The registers that a vector needs in the loop."""
        return len(self.carried) + len(self.in_loop) + 1

    @property
    def crowded(self) -> bool:
        """Whether hardly a register is left for what the vectors compute on their way."""
        return self.registers - self.vectors * self._each <= 2

    @property
    def longest(self) -> int:
        """The steps of the longest stretch."""
        return STATIONS // self.vectors * PIECE

    @property
    def noted(self) -> list[str]:
        """What is carried of the current stretch alone.

        "least" is the least squared gradient; "above" the least that it had above its rounding,
        around which it comes and goes; "reach" the largest size, where the loss does not tell.
        """
        watched = self.form.watched and self.converges
        needed = (("least", watched), ("above", self.rounds), ("reach", self.reaches))
        return [name for name, is_needed in needed if is_needed]

    @property
    def reaches(self) -> bool:
        """Whether a lane may pass the bound and come back, its loss small all the time."""
        return self.form.step.output("size") is not None and not self.form.steep

    @property
    def rounds(self) -> bool:
        """Whether the squared gradient is a sum whose terms cancel."""
        return self.converges and self.form.step.output("rounding") is not None

    @property
    def follows(self) -> bool:
        """Whether the running maximum of the squared gradient is carried at every step."""
        return self.form.ceiling is None and self.converges

    @property
    def searched(self) -> int:
        """How many vectors are searched at once: some may be over long before the others."""
        return min(SEARCHED, self.vectors)

    @property
    def queue(self) -> int:
        """How many lanes are searched at once."""
        return self.searched * self.types.lanes

    @property
    def group(self) -> int:
        """How many lanes are iterated at once."""
        return self.vectors * self.types.lanes

    @property
    def group_bytes(self) -> int:
        """The bytes of a number for every lane of a group."""
        return self.group * self.types.size

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

    @cached_property
    def carried(self) -> list[str]:
        """What a vector takes from step to step in registers, and leaves at a station."""
        return [*self.states, *self.extremes, *self.noted]

    @property
    def extremes(self) -> list[str]:
        """What is carried of the past: its peaks, which a look may find lower at a station."""
        return ["peak", *(["largest"] if self.follows else [])]

    @property
    def station_bytes(self) -> int:
        """The bytes that a group leaves at one station."""
        return len(self.carried) * self.group_bytes

    @cached_property
    def places(self) -> dict[str, int]:
        """Where the parts of the scratch memory begin, and how long it is ("end")."""
        row, queued = 8 * self.capacity, 8 * self.queue
        sizes = {
            "stations": (self.longest // PIECE + 1) * self.station_bytes,
            "slots": 8 * self.group,
            "extremes": len(self.extremes) * self.group_bytes,
            "qrows": len(self.moving) * self.queue_bytes,
            "qkept": len(self.kept) * self.queue_bytes,
            **dict.fromkeys(("qw", "qwhen", "qidx", "qafter", "qpos"), queued),
            **dict.fromkeys(("verdict", "decided"), queued),
            "rows": len(self.moving) * self.row_bytes,
            "kept": len(self.kept) * self.row_bytes,
            **dict.fromkeys(("w", "idx"), row),
            "flags": row // 2,
            "end": 0,
        }
        return dict(zip(sizes, accumulate((0, *sizes.values())), strict=False))

    def pointers(self, **names: str) -> list[str]:
        """Return the instructions that give parts of the scratch memory names."""
        return [
            f"  %{name} = getelementptr i8, ptr %scratch, i64 {self.places[part]}"
            for name, part in names.items()
        ]

    @property
    def bytes(self) -> int:
        """The size of the scratch memory."""
        return self.places["end"]


class Function:
    """A function under way: a writer with loads, stores and blocks."""

    def __init__(
        self, layout: Layout, row_bytes: int | str | None = None, prefix: str = "v"
    ) -> None:
        self.layout = layout
        self.types = layout.types
        self.row_bytes = layout.row_bytes if row_bytes is None else row_bytes
        self.writer = Writer(layout.types, prefix)

    def arrays(self, names: Iterable[str]) -> None:
        """Load the addresses of the caller's arrays, in the order in which they are given."""
        for i, name in enumerate(names):
            place = self.emit(f"getelementptr ptr, ptr %arrays, i64 {i}")
            self.put(f"{name} = load ptr, ptr {place}, align 8")

    def parts(self, **names: str) -> None:
        """Give parts of the scratch memory names."""
        self.lines.extend(self.layout.pointers(**names))

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

    def choose_masks(self, mask: str, yes: str, no: str) -> str:
        """Return a choice by elements between masks."""
        kind = self.types.mask
        return self.emit(f"select {kind} {mask}, {kind} {yes}, {kind} {no}")

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

    def within(self, reach: str | None = None) -> str:
        """Return the mask of lanes that have not passed the bound, or had not by their reach."""
        limit = self.types.splat(LIMITS[self.types.dtype].bound)
        size = reach or self.output("size") or self.output("loss")
        return self.writer.compare("ole", str(size), limit)

    def small(self, largest: str, noted: Mapping[str, str] | None = None) -> str | None:
        """Return the mask of lanes whose gradient has all but vanished.

        Given what is noted of a stretch: of lanes where it may have in the meantime.
        """
        limits = LIMITS[self.types.dtype]
        norm, seen = self.output("grad_norm2"), noted or {}
        if norm is None:
            return None
        w = self.writer
        bound = w.binary("fmul", self.types.splat(limits.tolerance), largest)
        small = w.compare("ole", seen.get("least", norm), bound)
        if not self.layout.rounds:
            return small
        if "above" in seen:
            return w.both("or", small, w.compare("ole", seen["above"], self.types.splat(0.0)))
        return w.both("or", small, w.compare("ole", norm, self._floor()))

    def _floor(self) -> str:
        """Return below what the squared gradient is rounding."""
        limit = self.types.splat(LIMITS[self.types.dtype].rounding)
        return self.writer.binary("fmul", limit, str(self.output("rounding")))

    def noted(self, values: dict[str, str], names: Iterable[str]) -> dict[str, str]:
        """Return what is noted of a stretch, with the bound state; names as `Layout.noted`."""
        w, found = self.writer, {}
        for name in names:
            here = str(self.output("size" if name == "reach" else "grad_norm2"))
            if name == "above":
                here = w.binary("fsub", here, self._floor())
            beyond = w.compare("ogt" if name == "reach" else "olt", here, values[name])
            found[name] = w.select(beyond, here, values[name])
        return found

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

    def ceiling(self, offset: str, peak: str) -> str | None:
        """Return a bound on the squared gradient of lanes that have come to some loss at most."""
        layout, program = self.layout, self.layout.form.ceiling
        if program is None:
            return None
        rows = {s: layout.kept.index(FIRST + s) for s in layout.states}
        first = {s: self.load("%kept", row, offset) for s, row in rows.items()}
        (own,) = program.parameters
        self.writer.bind({**first, own.code: peak})
        self.writer.assign((a.name, a.value) for a in program.assignments)
        ((_, node),) = program.outputs
        return self.writer.value(node)

    def larger(self, largest: str, norm: str | None, where: str | None = None) -> str:
        """Return the running maximum of the squared gradient, updated in a mask."""
        if norm is None:
            return largest
        more = self.writer.compare("ogt", norm, largest)
        if where is not None:
            more = self.writer.both("and", more, where)
        return self.writer.select(more, norm, largest)

    def constants(self, offset: str) -> dict[str, str]:
        """Return what a vector of lanes keeps from step to step."""
        return {c: self.load("%kept", i, offset) for i, c in enumerate(self.layout.constants)}

    def peaked(self, values: dict[str, str]) -> dict[str, str]:
        """Return the peak of the loss and the extremes of the gradient, with the bound state."""
        loss = str(self.output("loss"))
        record = self.writer.compare("ogt", loss, values["peak"])
        found = {"peak": self.writer.select(record, loss, values["peak"])}
        found |= self.noted(values, self.layout.noted)
        if self.layout.follows:
            found["largest"] = self.larger(values["largest"], self.output("grad_norm2"))
        return found


def flags(f: Function, values: dict[str, str], noted: Iterable[str]) -> tuple[str, str | None]:
    """Return the masks of lanes that may have diverged, and converged, at the state in values.

    What values hold of the stretch, by these names, tells of the steps before.
    """
    w, t = f.writer, f.types
    f.bind(values)
    seen = {name: values[name] for name in noted}
    state = {s: values[s] for s in f.layout.states}
    fine = w.both("and", f.sound(state), f.within(seen.get("reach")))
    judged_by_loss = f.layout.form.step.output("size") is None
    highest = LIMITS[t.dtype].bound if judged_by_loss else _ALARM[t.dtype]
    alarm = w.compare("ole", values["peak"], t.splat(highest))
    bad = f.writer.negated(w.both("and", fine, alarm))
    return bad, f.small(values["largest"], seen)


def unnoted(t: Types, names: Iterable[str]) -> dict[str, str]:
    """Return what is noted of a stretch before its first step."""
    return {name: t.splat(0.0 if name == "reach" else float("inf")) for name in names}


def joined(f: Function, masks: list[str]) -> str:
    """Return the mask of what is set in any of several masks."""
    first, *rest = masks
    for other in rest:
        first = f.writer.both("or", first, other)
    return first
