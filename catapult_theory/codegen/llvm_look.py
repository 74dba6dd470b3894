"""What is decided about a vector at the end of a stretch, and from which station on it is searched.

A lane with a new peak gets a new *mark*: the station before the piece of the stretch in which the
peak lies; `llvm_search.replay` finds its step from there, once, when the lane is over. A lane that
may be decided is set aside at the station before the first piece in which it may have been.
"""

from __future__ import annotations

from dataclasses import dataclass

from catapult_theory.codegen.llvm_group import at_station
from catapult_theory.codegen.llvm_layout import MARK, PIECE, Function, Layout, flags

Values = dict[str, str]
# What a look returns: bits of the lanes about which something may be decided, and, this far up, of
# those among them whose peak has moved since their station or that may have diverged.
MOVED_BIT = 16


@dataclass(frozen=True)
class _Seen:
    """A vector at a station: what it carries, and masks of lanes that may be decided there."""

    values: Values
    bad: str
    small: str | None


def look(layout: Layout) -> tuple[str, set[str]]:
    """Return the function that looks at one vector after a stretch, its stations still there.

    It is the one that lies ``%first`` lanes after the group's first, ``%off`` after the chunk's.
    Written are rows and marks, and for lanes that may be decided the station to go back to, with
    the extremes by then.

    Parameters
    ----------
    layout : Layout

    Returns
    -------
    text : str
    declarations : set of str
    """
    f, t = Function(layout), layout.types
    w = f.writer
    f.parts(rows="rows", kept="kept", w="w")
    for name, part, kind in (
        ("slots", "slots", "i64"),
        ("extremes", "extremes", t.real),
        ("stations", "stations", t.real),
    ):
        f.parts(**{f"{name}.all": part})
        f.put(f"%{name} = getelementptr {kind}, ptr %{name}.all, i64 %first")
    constants = f.constants("%off")
    last = f.emit(f"mul i64 %pieces, {layout.station_bytes}")
    end = _seen(f, f.emit(f"getelementptr i8, ptr %stations, i64 {last}"), constants)
    before = {s: f.load("%rows", i, "%off") for i, s in enumerate(layout.moving)}
    for s in layout.carried:
        if s in layout.moving:
            f.store(end.values[s], "%rows", layout.moving.index(s), "%off")
    decided = end.bad if end.small is None else w.both("or", end.bad, end.small)
    f.put(f"br i1 {f.any(decided)}, label %search, label %searched")
    f.label("search")
    peak, moved = _back_to(f, end, before, constants)
    bits = _bits(f, decided, w.both("and", decided, moved))
    f.put("br label %searched")
    f.label("searched")
    f.put(f"%found = phi i32 [ 0, %0 ], [ {bits}, %back.known ]")
    target = f.emit(f"phi {t.vector} [ {end.values['peak']}, %0 ], [ {peak}, %back.known ]")
    fresh = w.compare("ogt", target, before["peak"])
    f.put(f"br i1 {f.any(fresh)}, label %mark, label %marked")
    f.label("mark")
    f.put("%last = sub i64 %pieces, 1")
    _mark(f, target, fresh, before["largest"])
    f.put("br label %marked")
    f.label("marked")
    f.put("ret i32 %found")
    head = (
        "define internal i32 @look(ptr %scratch, i64 %off, i64 %first, i64 %pieces, i64 %start) "
        "noinline {"
    )
    return "\n".join([head, *f.lines, "}"]), w.declared


def _seen(f: Function, station: str, constants: Values) -> _Seen:
    """Return a vector as it was at a station, its own state taken into its extremes."""
    layout, t = f.layout, f.types
    values = {**constants, "largest": t.splat(0.0)}
    values |= at_station(f, station)
    f.bind(values)
    values |= f.peaked(values)
    bounds = {**values, "largest": f.ceiling("%off", values["peak"]) or values["largest"]}
    bad, small = flags(f, bounds, layout.noted)
    return _Seen(values, bad, small)


def _back_to(f: Function, end: _Seen, before: Values, constants: Values) -> tuple[str, str]:
    """Write the station before the first piece in which a lane may be decided.

    Return the peaks by then, the others' at the end, and the mask of lanes that moved since. A
    lane that may have diverged goes back to the start of the stretch.
    """
    layout, t, w = f.layout, f.types, f.writer
    shown = layout.extremes
    calm = t.truth(False) if end.small is None else end.small
    start = {f"here.{s}": before[s] for s in shown}
    start |= {f"back.{s}": w.select(end.bad, before[s], end.values[s]) for s in shown}
    start |= {"slot": t.integers(0), "open": w.both("and", calm, w.negated(end.bad))}
    kinds = dict.fromkeys(start, t.vector) | {"slot": t.whole, "open": t.mask}
    f.put("br label %back.piece")
    f.label("back.piece")
    top = len(f.lines)
    f.put("%back.next = add i64 %back.j, 1")
    f.put(f"%back.past = mul i64 %back.next, {layout.station_bytes}")
    f.put("%back.station = getelementptr i8, ptr %stations, i64 %back.past")
    there = _seen(f, "%back.station", constants)
    take = w.both("and", there.small or t.truth(False), "%open")
    after = {f"here.{s}": there.values[s] for s in shown}
    after |= {f"back.{s}": w.select(take, f"%here.{s}", f"%back.{s}") for s in shown}
    after["open"] = w.both("and", "%open", w.negated(take))
    one = f.emit(f"add {t.whole} %slot, {t.integers(1)}")
    after["slot"] = f.choose_integers(after["open"], one, "%slot")
    f.put("%back.within = icmp slt i64 %back.next, %pieces")
    f.put(f"%back.more = and i1 %back.within, {f.any(after['open'])}")
    f.put("br i1 %back.more, label %back.piece, label %back.known")
    f.lines[top:top] = [
        "  %back.j = phi i64 [ 0, %search ], [ %back.next, %back.piece ]",
        *(
            f"  %{s} = phi {kinds[s]} [ {v}, %search ], [ {after[s]}, %back.piece ]"
            for s, v in start.items()
        ),
    ]
    f.label("back.known")
    f.store_integers(after["slot"], "%slots", "0")
    found = {s: after[f"back.{s}"] for s in shown}
    for i, s in enumerate(shown):
        place = f.emit(f"getelementptr {t.real}, ptr %extremes, i64 {i * layout.group}")
        f.put(f"store {t.vector} {found[s]}, ptr {place}, align {t.size}")
    moved = w.both("or", end.bad, w.compare("ogt", end.values["peak"], found["peak"]))
    if layout.follows:
        more = w.compare("ogt", end.values["largest"], found["largest"])
        moved = w.both("or", moved, more)
    return found["peak"], moved


def _mark(f: Function, target: str, fresh: str, largest: str) -> None:
    """Write new marks: the last station before which a lane had not come to a loss."""
    layout, t, w = f.layout, f.types, f.writer
    bounded = layout.form.ceiling is not None
    start = {s: f.load("%kept", layout.kept.index(MARK + s), "%off") for s in layout.states}
    start |= {"peak": target, "step": f.integers("%w", "%off")[1], "sought": fresh}
    kinds = dict.fromkeys(start, t.vector) | {"step": t.whole, "sought": t.mask}
    f.put("br label %mark.piece")
    f.label("mark.piece")
    place = len(f.lines)
    f.put(f"%mark.past = mul i64 %mark.j, {layout.station_bytes}")
    f.put("%mark.station = getelementptr i8, ptr %stations, i64 %mark.past")
    f.put(f"%mark.steps = mul i64 %mark.j, {PIECE}")
    f.put("%mark.time = add i64 %start, %mark.steps")
    f.put("%mark.next = sub i64 %mark.j, 1")
    here = at_station(f, "%mark.station")
    below = w.both("and", w.compare("olt", here["peak"], target), "%mark.sought")
    after = {s: w.select(below, here[s], f"%mark.{s}") for s in (*layout.states, "peak")}
    after["step"] = f.choose_integers(below, f.spread("%mark.time", "i64"), "%mark.step")
    after["sought"] = w.both("and", "%mark.sought", w.negated(below))
    f.put(f"br i1 {f.any(after['sought'])}, label %mark.piece, label %mark.known")
    f.lines[place:place] = [
        "  %mark.j = phi i64 [ %last, %mark ], [ %mark.next, %mark.piece ]",
        *(
            f"  %mark.{s} = phi {kinds[s]} [ {v}, %mark ], [ {after[s]}, %mark.piece ]"
            for s, v in start.items()
        ),
    ]
    f.label("mark.known")
    for s in layout.states:
        f.store(after[s], "%kept", layout.kept.index(MARK + s), "%off")
    f.store_integers(after["step"], "%w", "%off")
    if bounded:
        # Of what came before its mark a lane knows but this bound.
        bound = w.select(fresh, str(f.ceiling("%off", after["peak"])), largest)
        f.store(bound, "%rows", layout.moving.index("largest"), "%off")


def _bits(f: Function, decided: str, moved: str) -> str:
    """Return two masks as the bits of an integer."""
    n = f.types.lanes
    wide = []
    for mask in (decided, moved):
        bits = f.emit(f"bitcast {f.types.mask} {mask} to i{n}")
        wide.append(f.emit(f"zext i{n} {bits} to i32"))
    up = f.emit(f"shl i32 {wide[1]}, {MOVED_BIT}")
    return f.emit(f"or i32 {wide[0]}, {up}")
