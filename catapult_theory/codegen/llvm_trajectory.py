"""Trajectories in LLVM IR: the lanes of a chunk in blocks of steps, every step judged.

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
# Steps of a block: the lanes of a chunk go through one before any goes on to the next, so that
# neighbouring parts of a row are written close to one another in time.
BLOCK = 4
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
    parts = [part(layout, observed) for part in (_begin, _advance, _end)]
    on, off, declared = FLUSH[flush]
    arrays = ", ".join(f"ptr {p}" for p in pointers(layout, observed))
    f = Function(layout)
    f.lines.append(f"  {on}")
    aligned = _streams(f, layout, observed)
    common = f"i64 %low, i64 %high, i64 %steps, {arrays}, ptr %scratch"
    driver = f"""define void @trajectory(i64 %low, i64 %high, i64 %steps, i64 %every, i64 %stride,
    {arrays}, ptr %scratch) {{
{chr(10).join(f.lines)}
  call void @begin({common})
  br label %blocks
blocks:
  %from = phi i64 [ 0, %0 ], [ %to, %block ]
  %more = icmp sle i64 %from, %steps
  br i1 %more, label %block, label %done
block:
  %far = add i64 %from, {BLOCK}
  %over = icmp sgt i64 %far, %steps
  %end = add i64 %steps, 1
  %to = select i1 %over, i64 %end, i64 %far
  call void @advance({common}, i64 %every, i64 %stride, i1 {aligned}, i64 %from, i64 %to)
  br label %blocks
done:
  call void @end({common})
  {off}
  ret void
}}"""
    return "\n\n".join([*(text for text, _ in parts), driver]), set(declared).union(
        *(d for _, d in parts)
    )


def _head(name: str, layout: Layout, observed: Mapping[str, Program], rest: str = "") -> str:
    arrays = ", ".join(f"ptr {p}" for p in pointers(layout, observed))
    common = f"i64 %low, i64 %high, i64 %steps, {arrays}, ptr %scratch"
    return f"define internal void @{name}({common}{rest}) noinline {{"


def scratch_bytes(layout: Layout) -> int:
    """Return the size of the memory in which the lanes of a chunk wait between blocks."""
    rows = len(layout.moving) + len(layout.constants)
    return rows * layout.row_bytes + len(VERDICT) * 8 * layout.capacity


def _places(f: LaneLoop, k: int) -> tuple[dict[str, tuple[int, str]], dict[str, str]]:
    """Return where a vector waits: rows of numbers, and addresses of integers."""
    layout = f.layout
    offset = f.emit(f"sub i64 {f.places[k]}, %low")
    numbers = {s: (i, offset) for i, s in enumerate((*layout.moving, *layout.constants))}
    start = len(numbers) * layout.row_bytes
    integers = {}
    for j, s in enumerate(VERDICT):
        row = f.emit(f"getelementptr i8, ptr %scratch, i64 {start + j * 8 * layout.capacity}")
        integers[s] = f.emit(f"getelementptr i64, ptr {row}, i64 {offset}")
    return numbers, integers


def _begin(layout: Layout, observed: Mapping[str, Program]) -> tuple[str, set[str]]:
    """Return the function that judges the lanes at step 0 and lays them out."""
    f = LaneLoop(layout)
    f.begin(_head("begin", layout, observed))
    first, own = _start(f, 0)
    _keep(f, {**own, **first}, 0)
    f.put("br label %end")
    f.label("end")
    return f.end("ret void")


def _keep(f: LaneLoop, values: dict[str, str], k: int, constants: bool = True) -> None:
    numbers, integers = _places(f, k)
    for s, (row, offset) in numbers.items():
        if constants or s in f.layout.moving:
            f.store(values[s], "%scratch", row, offset)
    for s, place in integers.items():
        f.put(f"store <{f.types.lanes} x i64> {values[s]}, ptr {place}, align 8")


def _kept(f: LaneLoop, k: int) -> dict[str, str]:
    numbers, integers = _places(f, k)
    kind = f"<{f.types.lanes} x i64>"
    found = {s: f.load("%scratch", row, offset) for s, (row, offset) in numbers.items()}
    return found | {
        s: f.emit(f"load {kind}, ptr {place}, align 8") for s, place in integers.items()
    }


def _advance(layout: Layout, observed: Mapping[str, Program]) -> tuple[str, set[str]]:
    """Return the function that takes all lanes through a block of steps, writing rows."""
    f, t = LaneLoop(layout), layout.types
    count = layout.vectors
    rest = ", i64 %every, i64 %stride, i1 %aligned, i64 %from, i64 %to"
    f.begin(_head("advance", layout, observed, rest), vectors=count)
    starts = [_kept(f, k) for k in range(count)]
    f.put("%phase = srem i64 %from, %every")
    f.put("%ahead = sub i64 %every, %phase")
    f.put("%onrow = icmp eq i64 %phase, 0")
    f.put("%left0 = select i1 %onrow, i64 0, i64 %ahead")
    f.put("%upto = add i64 %from, %left0")
    f.put("%row0 = sdiv i64 %upto, %every")
    f.put("br label %time")
    f.label("time")
    place = len(f.lines)
    names = (*layout.moving, *VERDICT)
    values = [{**own, **{s: f"%{s}.{k}" for s in names}} for k, own in enumerate(starts)]
    _write_rows(f, values, observed)
    f.put("%t1 = add i64 %t, 1")
    f.put("%last = icmp eq i64 %t, %steps")
    f.put("br i1 %last, label %finished, label %open")
    f.label("open")
    kind = f"<{t.lanes} x i64>"
    live = [f.emit(f"icmp eq {kind} {v['verdict']}, zeroinitializer") for v in values]
    f.put(f"br i1 {f.any(joined(f, live))}, label %forward, label %rest")
    f.label("rest")
    f.put("br label %passed")
    f.label("forward")
    ends, back = judged_steps(f, values, "%t1", "forward")
    f.put("br label %passed")
    f.label("passed")
    kinds = {s: kind if s in VERDICT else t.vector for s in names}
    after = [
        {s: f.emit(f"phi {kinds[s]} [ {end[s]}, %{back} ], [ %{s}.{k}, %rest ]") for s in names}
        for k, end in enumerate(ends)
    ]
    f.put("%within = icmp slt i64 %t1, %to")
    f.put("br i1 %within, label %time, label %finished")
    phis = [
        f"  %{name} = phi i64 [ {start}, %body ], [ %{name}1, %passed ]"
        for name, start in (("t", "%from"), ("left", "%left0"), ("row", "%row0"))
    ]
    phis += [
        f"  %{s}.{k} = phi {kinds[s]} [ {first[s]}, %body ], [ {end[s]}, %passed ]"
        for k, (first, end) in enumerate(zip(starts, after, strict=True))
        for s in names
    ]
    f.lines[place:place] = phis
    f.label("finished")
    for k, end in enumerate(after):
        final = {
            s: f.emit(f"phi {kinds[s]} [ {end[s]}, %passed ], [ %{s}.{k}, %stored ]") for s in names
        }
        values[k] = {**values[k], **final}
    for k, own in enumerate(values):
        _keep(f, own, k, constants=False)
    f.put("br label %end")
    f.label("end")
    return f.end("ret void")


def _end(layout: Layout, observed: Mapping[str, Program]) -> tuple[str, set[str]]:
    """Return the function that writes the final states and the verdicts."""
    f = LaneLoop(layout)
    f.begin(_head("end", layout, observed))
    _write_end(f, _kept(f, 0), 0)
    f.put("br label %end")
    f.label("end")
    return f.end("ret void")


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


def _write_rows(f: LaneLoop, values: list[dict[str, str]], observed: Mapping[str, Program]) -> None:
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
    f.put("%stream = and i1 %inside, %aligned")
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
