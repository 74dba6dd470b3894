"""Stretches in LLVM IR with a verdict after every step.

They serve lanes about which a look found something, so that the step and the frozen state are
those of the definition.
"""

from __future__ import annotations

from catapult_theory.codegen.llvm_layout import MARK, Function, Layout, joined

REPEAT = "ptr %scratch, i64 %steps, i64 %start, i64 %end, i64 %count"


def queued(f: Function) -> None:
    """Give the parts of the queue their names."""
    f.parts(rows="qrows", kept="qkept", w="qw", when="qwhen", after="qafter")
    f.parts(verdict="verdict", decided="decided")


def judged(layout: Layout) -> tuple[str, set[str]]:
    """Return the function that repeats a stretch for queued lanes, judging after every step.

    A lane goes from its station, ``%after`` the start of the stretch, to the end of it. Rows are
    in place; ``%when`` holds the steps of the peaks, ``%verdict`` and ``%decided`` receive 64-bit
    integers.

    Parameters
    ----------
    layout : Layout

    Returns
    -------
    text : str
    declarations : set of str
    """
    t = layout.types
    f = Function(layout, layout.queue_bytes)
    queued(f)
    offsets = [str(k * t.lanes) for k in range(layout.searched)]
    entry = [repeated(f, offset) for offset in offsets]
    last = f.spread("%end", "i64")
    starts = []
    for offset, first in zip(offsets, entry, strict=True):
        # Elements past the last queued lane are over.
        verdict = f.choose_integers(first["open"], t.integers(0), t.integers(3))
        when = f.integers("%when", offset)[1]
        starts.append({"when": when, "verdict": verdict, "decided": last})
        first["station"], first["remaining"] = stationed(f, offset)
    f.put("br label %loop")
    f.label("loop")
    place = len(f.lines)
    now = f.spread("%t", "i64")
    for first in entry:
        first["time"] = f.emit(f"add {t.whole} {first['station']}, {now}")
        first["within"] = f.emit(f"icmp sle {t.whole} {now}, {first['remaining']}")
    ends, back = judged_steps(f, entry, "loop")
    f.put("%t1 = add i64 %t, 1")
    f.put("%more = icmp sle i64 %t1, %steps")
    open_ = [f.emit(f"icmp eq {t.whole} {end['verdict']}, zeroinitializer") for end in ends]
    f.put(f"%go = and i1 %more, {f.any(joined(f, open_))}")
    f.put("br i1 %go, label %loop, label %done")
    phis = [f"  %t = phi i64 [ 1, %0 ], [ %t1, %{back} ]"]
    for k, (first, start, end) in enumerate(zip(entry, starts, ends, strict=True)):
        for s in layout.moving:
            phis.append(f"  %{s}.{k} = phi {t.vector} [ {first[s]}, %0 ], [ {end[s]}, %{back} ]")
        for s, value in start.items():
            phis.append(f"  %{s}.{k} = phi {t.whole} [ {value}, %0 ], [ {end[s]}, %{back} ]")
    f.lines[place:place] = phis
    f.label("done")
    for offset, first, end in zip(offsets, entry, ends, strict=True):
        record = f.writer.compare("ogt", end["peak"], first["peak"])
        _mark(f, offset, record, first)
        for i, s in enumerate(layout.moving):
            f.store(end[s], "%rows", i, offset)
        for s in ("when", "verdict", "decided"):
            f.store_integers(end[s], f"%{s}", offset)
    f.put("ret void")
    head = f"define internal void @judged({REPEAT}) {{"
    return "\n".join([head, *f.lines, "}"]), f.writer.declared


def _mark(f: Function, offset: str, fresh: str, first: dict[str, str]) -> None:
    """Give the lanes in a mask a new mark: their station."""
    layout, t = f.layout, f.types
    for s in layout.states:
        row = layout.kept.index(MARK + s)
        value = f.writer.select(fresh, first[s], f.load("%kept", row, offset))
        f.store(value, "%kept", row, offset)
    place, old = f.integers("%w", offset)
    step = f.choose_integers(fresh, first["station"], old)
    f.put(f"store {t.whole} {step}, ptr {place}, align 8")


def stationed(f: Function, offset: str) -> tuple[str, str]:
    """Return the steps at which queued lanes were at their stations, and what remains to go."""
    whole = f.types.whole
    after = f.integers("%after", offset)[1]
    station = f.emit(f"add {whole} {f.spread('%start', 'i64')}, {after}")
    return station, f.emit(f"sub {whole} {f.spread('%steps', 'i64')}, {after}")


def repeated(f: Function, offset: str) -> dict[str, str]:
    """Return what a vector of queued lanes begins a stretch with, and which elements are lanes."""
    layout = f.layout
    rows = {s: f.load("%rows", i, offset) for i, s in enumerate(layout.moving)}
    constants = {c: f.load("%kept", i, offset) for i, c in enumerate(layout.constants)}
    return {**rows, **constants, "open": valid(f, offset)}


def valid(f: Function, offset: str) -> str:
    """Return the mask of elements that are lanes, of ``%count`` in all."""
    return f.below(f.emit(f"sub i64 %count, {offset}"), f.types.numbered())


def judged_steps(
    f: Function, entry: list[dict[str, str]], block: str
) -> tuple[list[dict[str, str]], str]:
    """Return what the vectors carry after a judged step, and the block in which it ends.

    Parameters
    ----------
    f : Function
        In the block of that name.
    entry : list of dict
        Of each vector the constants, the number of the step ("time"), and, where lanes stop
        before others do, the mask of those that go on ("within"). What it carries is named
        ``%name.k``.
    block : str

    Returns
    -------
    ends : list of dict
    block : str
    """
    ends = []
    for k, first in enumerate(entry):
        carried = (*f.layout.moving, "when", "verdict", "decided")
        ends.append(_judged_step(f, {**first, **{s: f"%{s}.{k}" for s in carried}}))
    back = _weighed(f, ends, block)
    for k, end in enumerate(ends):
        verdict = f"%verdict.{k}"
        if "small" in end:
            converged = f.types.integers(1)
            verdict = f.choose_integers(end["small"], converged, verdict)
        verdict = f.choose_integers(end["diverged"], f.types.integers(2), verdict)
        changed = f.emit(f"icmp ne {f.types.whole} {verdict}, %verdict.{k}")
        end["verdict"] = verdict
        end["decided"] = f.choose_integers(changed, end["time"], f"%decided.{k}")
    return ends, back


def _judged_step(f: Function, values: dict[str, str]) -> dict[str, str]:
    """Return the state after a step of the lanes still open, its peak, and what is suspected."""
    w = f.writer
    alive = f.emit(f"icmp eq {f.types.whole} {values['verdict']}, zeroinitializer")
    if "within" in values:
        alive = w.both("and", alive, values["within"])
    f.bind(values)
    new = f.next_state()
    sound = f.sound(new)
    moves = w.both("and", alive, sound)
    state = {s: w.select(moves, new[s], values[s]) for s in f.layout.states}
    f.bind({**values, **state})
    loss = str(f.output("loss"))
    record = w.both("and", moves, w.compare("ogt", loss, values["peak"]))
    largest = f.larger(values["largest"], f.output("grad_norm2"), moves)
    over = w.both("and", moves, f.writer.negated(f.within()))
    small = f.small(largest)
    found = {
        **values,
        **state,
        "peak": w.select(record, loss, values["peak"]),
        "largest": largest,
        "when": f.choose_integers(record, values["time"], values["when"]),
        "diverged": w.both("or", over, w.both("and", alive, f.writer.negated(sound))),
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
