"""The time loop of the LLVM target: groups of vectors in registers.

`group` iterates K vectors for some steps, a stretch, with nothing in the loop but the map and the
peak of the loss; every few steps it leaves what the vectors carry at a station. What decides about
a lane is looked at once, at the end of the stretch: `llvm_look`.
"""

from __future__ import annotations

import re

from catapult_theory.codegen.llvm_layout import PIECE, Function, Layout, unnoted

Values = dict[str, str]


def group(layout: Layout) -> tuple[str, set[str]]:
    """Return the function that iterates some vectors, all of them in registers.

    It reads the rows of its lanes, and writes the stations alone.

    Parameters
    ----------
    layout : Layout

    Returns
    -------
    text : str
    declarations : set of str
    """
    f, t = Function(layout), layout.types
    f.parts(rows="rows", kept="kept", stations="stations")
    offsets = [f.emit(f"add i64 %off, {k * t.lanes}") for k in range(layout.vectors)]
    entry = [_loaded(f, offset) for offset in offsets]
    f.put("br label %piece")
    f.label("piece")
    place = len(f.lines)
    firsts = [{**e, **{s: f"%{s}.first.{k}" for s in layout.carried}} for k, e in enumerate(entry)]
    leave(f, "%station", firsts)
    f.put("%left = sub i64 %steps, %gone")
    f.put(f"%whole = icmp sgt i64 %left, {PIECE}")
    f.put(f"%length = select i1 %whole, i64 {PIECE}, i64 %left")
    f.put("br label %loop")
    f.label("loop")
    inner = len(f.lines)
    begins = [{**e, **{s: f"%{s}.{k}" for s in layout.carried}} for k, e in enumerate(entry)]
    ends = _side_by_side(f, begins)
    f.put("%t1 = add i64 %t, 1")
    f.put("%more = icmp slt i64 %t1, %length")
    f.put("br i1 %more, label %loop, label %next")
    f.lines[inner:inner] = [
        "  %t = phi i64 [ 0, %piece ], [ %t1, %loop ]",
        *_phis(f, "", firsts, "piece", ends, "loop"),
    ]
    f.label("next")
    f.put("%gone1 = add i64 %gone, %length")
    f.put(f"%station1 = getelementptr i8, ptr %station, i64 {layout.station_bytes}")
    f.put("%further = icmp slt i64 %gone1, %steps")
    f.put("br i1 %further, label %piece, label %end")
    f.lines[place:place] = [
        "  %gone = phi i64 [ 0, %0 ], [ %gone1, %next ]",
        "  %station = phi ptr [ %stations, %0 ], [ %station1, %next ]",
        *_phis(f, ".first", entry, "0", ends, "next"),
    ]
    f.label("end")
    leave(f, "%station1", ends)
    f.put("ret void")
    head = "define internal void @group(ptr %scratch, i64 %off, i64 %steps) noinline {"
    return "\n".join([head, *f.lines, "}"]), f.writer.declared


def _phis(
    f: Function, tag: str, firsts: list[Values], before: str, ends: list[Values], back: str
) -> list[str]:
    return [
        f"  %{s}{tag}.{k} = phi {f.types.vector} [ {first[s]}, %{before} ], [ {end[s]}, %{back} ]"
        for k, (first, end) in enumerate(zip(firsts, ends, strict=True))
        for s in f.layout.carried
    ]


def _loaded(f: Function, offset: str) -> Values:
    """Return what a vector of lanes begins a stretch with."""
    rows = {s: f.load("%rows", i, offset) for i, s in enumerate(f.layout.moving)}
    return {**rows, **f.constants(offset), **unnoted(f.types, f.layout.noted)}


def leave(f: Function, station: str, vectors: list[Values]) -> None:
    """Write what the vectors carry to a station."""
    for i, s in enumerate(f.layout.carried):
        for k, values in enumerate(vectors):
            here, size = _place(f, station, i, k)
            f.put(f"store {f.types.vector} {values[s]}, ptr {here}, align {size}")


def at_station(f: Function, station: str) -> Values:
    """Return what the first vector of a group carried, or another one at its own address."""
    found = {}
    for i, s in enumerate(f.layout.carried):
        here, size = _place(f, station, i, 0)
        found[s] = f.emit(f"load {f.types.vector}, ptr {here}, align {size}")
    return found


def _place(f: Function, station: str, row: int, k: int) -> tuple[str, int]:
    """Return the address of a vector at a station, and its size."""
    size = f.types.lanes * f.types.size
    offset = row * f.layout.group_bytes + k * size
    return f.emit(f"getelementptr i8, ptr {station}, i64 {offset}"), size


def _side_by_side(f: Function, begins: list[Values]) -> list[Values]:
    """Return what the vectors carry after one step, each operation for all of them in turn.

    So written, operations that wait for one another stay apart in the compiled loop. Where
    registers are few the vectors go one after another.
    """
    place = len(f.lines)
    ends, parts = [], []
    for begin in begins:
        start = len(f.lines)
        ends.append({**begin, **_advanced(f, begin)})
        parts.append(f.lines[start:])
    if f.layout.crowded:
        return ends
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


def _advanced(f: Function, values: Values) -> Values:
    """Return what a vector carries after one step; the peak is that of the states before it.

    Looked at before the step, the loss shares its subexpressions with the map.
    """
    f.bind(values)
    return {**f.peaked(values), **f.next_state()}
