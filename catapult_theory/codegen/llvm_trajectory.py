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
    f.begin(head)
    first, constants = _start(f)
    f.put("br label %time")
    f.label("time")
    place = len(f.lines)
    carried = {s: f"%{s}.0" for s in (*layout.moving, "when", "verdict", "decided")}
    values = {**constants, **carried}
    _write_rows(f, values, observed, streams)
    f.put("%over = icmp eq i64 %t, %steps")
    f.put("br i1 %over, label %finished, label %loop.step")
    f.label("loop.step")
    f.put("%t1 = add i64 %t, 1")
    (end,), back = judged_steps(f, [values], "%t1", "loop.step")
    f.put("br label %time")
    kind = f"<{t.lanes} x i64>"
    phis = [
        f"  %t = phi i64 [ 0, %body ], [ %t1, %{back} ]",
        f"  %left = phi i64 [ 0, %body ], [ %left1, %{back} ]",
        f"  %row = phi i64 [ 0, %body ], [ %row1, %{back} ]",
    ]
    for s in carried:
        of = kind if s in ("when", "verdict", "decided") else t.vector
        phis.append(f"  %{s}.0 = phi {of} [ {first[s]}, %body ], [ {end[s]}, %{back} ]")
    f.lines[place:place] = phis
    f.label("finished")
    _write_end(f, values, carried)
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


def _start(f: LaneLoop) -> tuple[dict[str, str], dict[str, str]]:
    """Return what a lane begins with, judged at step 0, and its constants."""
    form, t, w = f.layout.form, f.types, f.writer
    codes = [i.code for i in (*form.step.state, *form.step.parameters)]
    given = {c: f.lanes(f"%lanes_{c}") for c in codes}
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
    verdict = f.choose_integers(invalid, t.integers(3), verdict)
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
    f: LaneLoop, values: dict[str, str], observed: Mapping[str, Program], streams: str
) -> None:
    """Store the states, and what else was asked for, where a row is due."""
    t, w = f.types, f.writer
    f.put("%due = icmp eq i64 %left, 0")
    f.put("br i1 %due, label %store, label %stored")
    f.label("store")
    shown = {f"%rows_{s}": values[s] for s in f.layout.states}
    for i, program in enumerate(observed.values()):
        w.bind(values)
        w.assign((a.name, a.value) for a in program.assignments)
        ((_, node),) = program.outputs
        shown[f"%seen{i}"] = w.value(node)
    f.put("%rowstart = mul i64 %row, %stride")
    f.put("%rowplace = add i64 %rowstart, %i")
    f.put("%whole = add i64 %i, " + str(t.lanes))
    f.put("%inside = icmp sle i64 %whole, %high")
    f.put(f"%stream = and i1 %inside, {streams}")
    f.put("br i1 %stream, label %streaming, label %masking")
    f.label("streaming")
    for p, value in shown.items():
        place = f.emit(f"getelementptr {t.real}, ptr {p}, i64 %rowplace")
        f.put(f"store {t.vector} {value}, ptr {place}, align {t.size * t.lanes}, !nontemporal !0")
    f.put("br label %wrote")
    f.label("masking")
    for p, value in shown.items():
        f.write(p, value, f.mask, place="%rowplace")
    f.put("br label %wrote")
    f.label("wrote")
    f.put("%row2 = add i64 %row, 1")
    f.put("br label %stored")
    f.label("stored")
    f.put("%row1 = phi i64 [ %row, %time ], [ %row2, %wrote ]")
    f.put("%lefted = phi i64 [ %left, %time ], [ %every, %wrote ]")
    f.put("%left1 = sub i64 %lefted, 1")


def _write_end(f: LaneLoop, values: dict[str, str], carried: dict[str, str]) -> None:
    f.bind(values)
    kind = f"<{f.types.lanes} x i64>"
    invalid = f.emit(f"icmp eq {kind} {carried['verdict']}, {f.types.integers(3)}")
    loss = f.writer.select(invalid, f.types.splat(float("nan")), str(f.output("loss")))
    for s in f.layout.states:
        f.write(f"%lanes_{s}", values[s], f.mask)
    f.write("%out_loss", loss, f.mask)
    f.write("%out_peak_loss", carried["peak"], f.mask)
    for name, s in (("peak_step", "when"), ("status", "verdict"), ("status_step", "decided")):
        f.write(f"%out_{name}", carried[s], f.mask, "i64")
