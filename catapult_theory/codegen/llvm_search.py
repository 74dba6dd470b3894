"""Stretches gone through again in LLVM IR, to find for each lane the first step of its kind.

`replay` looks for the step of the peak. `converging` is for lanes whose peak has not moved in the
stretch and that cannot have diverged in it: all that is left to find is the step at which the
gradient had vanished. Lanes that have met theirs run on with the others, to no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from catapult_theory.codegen.llvm_judged import REPEAT, queued, repeated, stationed, valid
from catapult_theory.codegen.llvm_layout import MARK, Function, Layout, joined

Values = dict[str, str]


def _searched(
    f: Function,
    entry: list[Values],
    kinds: Mapping[str, str],
    step: Callable[[Values], Values],
    steps: tuple[int, str],
) -> list[Values]:
    """Iterate until no lane is "open", for the steps from the first to the last at most.

    ``%now`` is the number of the step in the map's type, which has no integers to be kept.
    """
    t, (first, last) = f.types, steps
    f.put("br label %loop")
    f.label("loop")
    place = len(f.lines)
    begins = [{**e, **{s: f"%{s}.{k}" for s in kinds}} for k, e in enumerate(entry)]
    ends = [step(begin) for begin in begins]
    f.put(f"%later = fadd {t.vector} %now, {t.splat(1.0)}")
    f.put("%t1 = add i64 %t, 1")
    f.put(f"%within = icmp sle i64 %t1, {last}")
    f.put(f"%more = and i1 %within, {f.any(joined(f, [end['open'] for end in ends]))}")
    f.put("br i1 %more, label %loop, label %done")
    f.lines[place:place] = [
        f"  %t = phi i64 [ {first}, %0 ], [ %t1, %loop ]",
        f"  %now = phi {t.vector} [ {t.splat(first)}, %0 ], [ %later, %loop ]",
        *(
            f"  %{s}.{k} = phi {kind} [ {entry[k][s]}, %0 ], [ {ends[k][s]}, %loop ]"
            for k in range(len(entry))
            for s, kind in kinds.items()
        ),
    ]
    f.label("done")
    return ends


def replay(layout: Layout) -> tuple[str, set[str]]:
    """Return the function that finds the steps of peaks, going back to some state of the lanes.

    A lane is iterated from there until its loss is its peak, to the bit. Where lanes have but a
    bound on the squared gradient, the function writes the largest one that it has met, and
    returns whether there may have been a larger one before.

    ``%row`` is the distance of rows in bytes; ``%place`` the row of the first variable of the
    state to go back to: that at the mark, of step ``%w``, from which ``%when`` is found, or the
    lane's first.

    Parameters
    ----------
    layout : Layout

    Returns
    -------
    text : str
    declarations : set of str
    """
    f, t = Function(layout, "%row"), layout.types
    bounded = layout.form.ceiling is not None
    head = (
        "define internal i1 @replay(ptr %rows, ptr %kept, ptr %w, ptr %when, i64 %row, "
        "i64 %place, i64 %off, i64 %count, i64 %limit) {"
    )
    start = f.emit("mul i64 %row, %place")
    f.put(f"%from = getelementptr i8, ptr %kept, i64 {start}")
    f.put(f"%marked = icmp eq i64 %place, {layout.first_row(MARK)}")
    offsets = [f.emit(f"add i64 %off, {k * t.lanes}") for k in range(layout.searched)]
    entry = [_returned(f, offset) for offset in offsets]
    kinds = dict.fromkeys((*layout.states, "when"), t.vector)
    kinds |= {"largest": t.vector} if bounded else {}

    def step(values: Values) -> Values:
        f.bind(values)
        here = f.writer.compare("oeq", str(f.output("loss")), values["peak"])
        hit = f.writer.both("and", here, values["open"])
        end = {**f.next_state(), "when": f.writer.select(hit, "%now", values["when"])}
        if bounded:
            end["largest"] = f.larger(values["largest"], f.output("grad_norm2"), values["open"])
        return {**end, "open": f.writer.both("and", values["open"], f.writer.negated(here))}

    ends = _searched(f, entry, {**kinds, "open": t.mask}, step, (0, "%limit"))
    doubts = "false"
    for offset, first, end in zip(offsets, entry, ends, strict=True):
        found = f.counted(end["when"], f.integers("%w", offset)[1])
        known = f.integers("%when", offset)[1]
        when = f.emit(f"select i1 %marked, {t.whole} {found}, {t.whole} {known}")
        f.store_integers(when, "%when", offset)
        if bounded:
            row = layout.moving.index("largest")
            less = f.writer.compare("olt", end["largest"], f.load("%rows", row, offset))
            doubt = f.any(f.writer.both("and", less, first["open"]))
            doubts = f.emit(f"or i1 {doubts}, {doubt}")
            f.store(end["largest"], "%rows", row, offset)
    f.put(f"ret i1 {doubts}")
    return "\n".join([head, *f.lines, "}"]), f.writer.declared


def _returned(f: Function, offset: str) -> Values:
    """Return what a vector of lanes had at some state of theirs, and which elements are lanes."""
    layout, t = f.layout, f.types
    constants = {c: f.load("%kept", i, offset) for i, c in enumerate(layout.constants)}
    own = {s: f.load("%from", i, offset) for i, s in enumerate(layout.states)}
    peak = f.load("%rows", layout.moving.index("peak"), offset)
    values = {**constants, **own, "peak": peak, "when": t.splat(0.0), "largest": t.splat(0.0)}
    return {**values, "open": valid(f, offset)}


def converging(layout: Layout) -> tuple[str, set[str]]:
    """Return the function that repeats a stretch for queued lanes without a new peak.

    As `llvm_judged.judged`; lanes run on after their gradient has vanished or the stretch is over,
    and what they had then is set aside. Where a gradient has vanished at a state that is not
    stable, it returns true and leaves all as it was.

    Parameters
    ----------
    layout : Layout

    Returns
    -------
    text : str
    declarations : set of str
    """
    f, t = Function(layout, layout.queue_bytes), layout.types
    queued(f)
    offsets = [str(k * t.lanes) for k in range(layout.searched)]
    entry = [repeated(f, offset) for offset in offsets]
    aside = [f"last_{s}" for s in layout.states]
    for first, offset in zip(entry, offsets, strict=True):
        first |= {f"last_{s}": first[s] for s in layout.states} | {"decided": t.splat(0.0)}
        first["station"], remaining = stationed(f, offset)
        first["remaining"] = f.emit(f"sitofp {t.whole} {remaining} to {t.vector}")
    kinds = dict.fromkeys((*layout.states, *aside, "decided"), t.vector) | {"open": t.mask}

    def step(values: Values) -> Values:
        f.bind(values)
        end = {**values, **f.next_state()}
        f.bind(end)
        over = f.writer.compare("oge", "%now", values["remaining"])
        stops = f.writer.both("or", str(f.small(end["largest"])), over)
        stops = f.writer.both("and", stops, values["open"])
        for s in layout.states:
            end[f"last_{s}"] = f.writer.select(stops, end[s], end[f"last_{s}"])
        end["decided"] = f.writer.select(stops, "%now", end["decided"])
        return {**end, "open": f.writer.both("and", end["open"], f.writer.negated(stops))}

    ends = _searched(f, entry, kinds, step, (1, "%steps"))
    for end in ends:
        end |= {s: end[f"last_{s}"] for s in layout.states}
        f.bind(end)
        end["calm"] = str(f.small(end["largest"]))
    unstable = joined(f, [_unstable(f, *both) for both in zip(entry, ends, strict=True)])
    f.put(f"br i1 {f.any(unstable)}, label %unsure, label %sure")
    f.label("unsure")
    f.put("ret i1 true")
    f.label("sure")
    last = f.spread("%end", "i64")
    for offset, end in zip(offsets, ends, strict=True):
        for i, s in enumerate(layout.states):
            f.store(end[s], "%rows", i, offset)
        verdict = f.choose_integers(end["calm"], t.integers(1), t.integers(0))
        f.store_integers(verdict, "%verdict", offset)
        decided = f.choose_integers(end["calm"], f.counted(end["decided"], end["station"]), last)
        f.store_integers(decided, "%decided", offset)
    f.put("ret i1 false")
    head = f"define internal i1 @converging({REPEAT}) {{"
    return "\n".join([head, *f.lines, "}"]), f.writer.declared


def _unstable(f: Function, entry: Values, end: Values) -> str:
    """Return the mask of lanes whose gradient has vanished where no minimum is stable."""
    stable = f.stable(end)
    if stable is None:
        return f.types.truth(False)
    calm = f.writer.both("and", entry["open"], end["calm"])
    return f.writer.both("and", calm, f.writer.negated(stable))
