"""Trajectories in LLVM IR: a vector of lanes from start to end, every step judged.

Memory sets the pace here: a stored state costs more than a step. The state stays in the user's
units; rows that are aligned are written past the caches.
"""

from __future__ import annotations

from collections.abc import Mapping

from catapult_theory.codegen.llvm_group import Function, Layout, joined, judged_steps, negated
from catapult_theory.codegen.llvm_lanes import LaneLoop
from catapult_theory.codegen.llvm_run import FLUSH
from catapult_theory.codegen.lowering import Program

VERDICT = ("when", "verdict", "decided")
SEEN = ("loss", "peak_loss", "peak_step", "status", "status_step")


def pointers(layout: Layout, observed: Mapping[str, Program]) -> list[str]:
    """Return the names of the arrays: inputs, rows of states and observables, verdicts."""
    step = layout.form.step
    inputs = [f"%lanes_{i.code}" for i in (*step.state, *step.parameters)]
    rows = [f"%rows_{i.code}" for i in step.state]
    shown = [f"%seen{i}" for i in range(len(observed))]
    return [*inputs, *rows, *shown, *(f"%out_{x}" for x in SEEN)]


def trajectory(layout: Layout, observed: Mapping[str, Program], flush: str) -> tuple[str, set[str]]:
    """Return the function ``trajectory``.

    Parameters
    ----------
    layout : Layout
        Of the map's own form; only its names and types are used.
    observed : mapping of str to Program
        What to write beside the states, each with one output.
    flush : str
        "x86" or "neon": how denormal numbers are flushed to zero.

    Returns
    -------
    text : str
    declarations : set of str
    """
    f, t = LaneLoop(layout), layout.types
    on, off, declared = FLUSH[flush]
    f.writer.declared.update(declared)
    arrays = ", ".join(f"ptr {p}" for p in pointers(layout, observed))
    head = (
        "define void @trajectory(i64 %low, i64 %high, i64 %steps, i64 %every, i64 %stride, "
        f"{arrays}, ptr %scratch) {{"
    )
    f.lines.append(f"  {on}")
    streams = _streams(f, layout, observed)
    count = layout.vectors
    f.begin(head, vectors=count)
    starts = [_start(f, k) for k in range(count)]
    f.put("br label %time")
    f.label("time")
    place = len(f.lines)
    names = (*layout.moving, *VERDICT)
    values = [{**own, **{s: f"%{s}.{k}" for s in names}} for k, (_, own) in enumerate(starts)]
    _write_rows(f, values, observed, streams)
    f.put("%t1 = add i64 %t, 1")
    f.put("%over = icmp eq i64 %t, %steps")
    f.put("br i1 %over, label %finished, label %open")
    f.label("open")
    kind = f"<{t.lanes} x i64>"
    live = [f.emit(f"icmp eq {kind} {v['verdict']}, zeroinitializer") for v in values]
    f.put(f"br i1 {f.any(joined(f, live))}, label %advance, label %rest")
    f.label("rest")
    f.put("br label %time")
    f.label("advance")
    ends, back = judged_steps(f, values, "%t1", "advance")
    f.put("br label %time")
    phis = [
        f"  %{name} = phi i64 [ 0, %body ], [ %{name}1, %{back} ], [ %{name}1, %rest ]"
        for name in ("t", "left", "row")
    ]
    for k, ((first, _), end) in enumerate(zip(starts, ends, strict=True)):
        for s in names:
            of = kind if s in VERDICT else t.vector
            own = f"%{s}.{k}"
            phis.append(
                f"  {own} = phi {of} [ {first[s]}, %body ], [ {end[s]}, %{back} ], [ {own}, %rest ]"
            )
    f.lines[place:place] = phis
    f.label("finished")
    for k, carried in enumerate(values):
        _write_end(f, carried, k)
    f.put("br label %end")
    f.label("end")
    return f.end(f"{off}\n  ret void")


def _streams(f: Function, layout: Layout, observed: Mapping[str, Program]) -> str:
    """Return whether all rows of whole vectors are aligned."""
    size = layout.types.size
    rows = [p for p in pointers(layout, observed) if p.startswith(("%rows_", "%seen"))]
    total = f.emit(f"mul i64 %stride, {size}")
    lowest = f.emit(f"mul i64 %low, {size}")
    total = f.emit(f"or i64 {total}, {lowest}")
    for p in rows:
        total = f.emit(f"or i64 {total}, {f.emit(f'ptrtoint ptr {p} to i64')}")
    odd = f.emit(f"and i64 {total}, {size * layout.types.lanes - 1}")
    return f.emit(f"icmp eq i64 {odd}, 0")


def _start(f: LaneLoop, k: int) -> tuple[dict[str, str], dict[str, str]]:
    """Return what a lane begins with, judged at step 0, and its constants."""
    form, t, w = f.layout.form, f.types, f.writer
    codes = [i.code for i in (*form.step.state, *form.step.parameters)]
    given = {c: f.lanes(f"%lanes_{c}", k=k) for c in codes}
    w.bind(given)
    w.assign((a.name, a.value) for a in form.hoisted)
    values = given | {a.name: w.known[a.name] for a in form.hoisted}
    bad = [w.compare("uno", v, v) for v in given.values()]
    invalid = joined(f, bad)
    f.bind(values)
    loss, norm = str(f.output("loss")), f.output("grad_norm2")
    largest = norm or t.splat(0.0)
    over, small = negated(f, f.within()), f.small(largest)
    verdict = f.choose_integers(over, t.integers(2), t.integers(0))
    if small is not None:
        stable = f.stable(values)
        calm = small if stable is None else w.both("and", small, stable)
        calm = w.both("and", calm, negated(f, over))
        verdict = f.choose_integers(calm, t.integers(1), verdict)
    # Elements past the last lane are at rest, too.
    idle = w.both("or", invalid, negated(f, f.masks[k]))
    verdict = f.choose_integers(idle, t.integers(3), verdict)
    kind = f"<{t.lanes} x i64>"
    decided = f.emit(f"icmp ne {kind} {verdict}, zeroinitializer")
    last = f.spread("%steps", "i64")
    nan = t.splat(float("nan"))
    first = {
        **{s: given[s] for s in f.layout.states},
        "peak": w.select(invalid, nan, loss),
        "largest": largest,
        "when": t.integers(0),
        "verdict": verdict,
        "decided": f.choose_integers(decided, t.integers(0), last),
    }
    return first, {c: values[c] for c in f.layout.constants}


def _write_rows(
    f: LaneLoop, values: list[dict[str, str]], observed: Mapping[str, Program], streams: str
) -> None:
    """Store the states, and what else was asked for, where a row is due."""
    t = f.types
    f.put("%due = icmp eq i64 %left, 0")
    f.put("br i1 %due, label %store, label %stored")
    f.label("store")
    shown = [_shown(f, own, observed) for own in values]
    f.put("%rowstart = mul i64 %row, %stride")
    places = [f.emit(f"add i64 %rowstart, {place}") for place in f.places]
    f.put(f"%whole = add i64 %i, {t.lanes * len(values)}")
    f.put("%inside = icmp sle i64 %whole, %high")
    f.put(f"%stream = and i1 %inside, {streams}")
    f.put("br i1 %stream, label %streaming, label %masking")
    f.label("streaming")
    for p in shown[0]:
        for own, place in zip(shown, places, strict=True):
            here = f.emit(f"getelementptr {t.real}, ptr {p}, i64 {place}")
            size = t.size * t.lanes
            f.put(f"store {t.vector} {own[p]}, ptr {here}, align {size}, !nontemporal !0")
    f.put("br label %wrote")
    f.label("masking")
    for own, place, mask in zip(shown, places, f.masks, strict=True):
        for p, value in own.items():
            f.write(p, value, mask, place=place)
    f.put("br label %wrote")
    f.label("wrote")
    f.put("%row2 = add i64 %row, 1")
    f.put("br label %stored")
    f.label("stored")
    f.put("%row1 = phi i64 [ %row, %time ], [ %row2, %wrote ]")
    f.put("%lefted = phi i64 [ %left, %time ], [ %every, %wrote ]")
    f.put("%left1 = sub i64 %lefted, 1")


def _shown(f: LaneLoop, values: dict[str, str], observed: Mapping[str, Program]) -> dict[str, str]:
    """Return what is written of a vector, by array."""
    shown = {f"%rows_{s}": values[s] for s in f.layout.states}
    for i, program in enumerate(observed.values()):
        f.writer.bind(values)
        f.writer.assign((a.name, a.value) for a in program.assignments)
        ((_, node),) = program.outputs
        shown[f"%seen{i}"] = f.writer.value(node)
    return shown


def _write_end(f: LaneLoop, values: dict[str, str], k: int) -> None:
    f.bind(values)
    kind = f"<{f.types.lanes} x i64>"
    place, mask = f.places[k], f.masks[k]
    invalid = f.emit(f"icmp eq {kind} {values['verdict']}, {f.types.integers(3)}")
    loss = f.writer.select(invalid, f.types.splat(float("nan")), str(f.output("loss")))
    for s in f.layout.states:
        f.write(f"%lanes_{s}", values[s], mask, place=place)
    f.write("%out_loss", loss, mask, place=place)
    f.write("%out_peak_loss", values["peak"], mask, place=place)
    for name, s in zip(("peak_step", "status", "status_step"), VERDICT, strict=True):
        f.write(f"%out_{name}", values[s], mask, "i64", place)
