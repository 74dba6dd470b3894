"""Trajectories in LLVM IR: the lanes of a chunk in blocks of steps, every step judged.

Memory sets the pace here: a stored state costs more than a step. The state stays in the user's
units; rows that are aligned are written past the caches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from catapult_theory.codegen.llvm_judged import judged_steps
from catapult_theory.codegen.llvm_lanes import LaneLoop
from catapult_theory.codegen.llvm_layout import Function, Layout, flags, joined, unnoted
from catapult_theory.codegen.llvm_run import FLUSH
from catapult_theory.codegen.lowering import Program

VERDICT = ("when", "verdict", "decided")
# Steps of a block: long enough that taking lanes up and laying them down costs little, and short
# enough that going through one again, for lanes that are decided in it, does.
BLOCK = 128
_COMMON = "i64 %low, i64 %high, i64 %steps, ptr %arrays, ptr %scratch"
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
    f = Function(layout)
    f.lines.append(f"  {on}")
    f.arrays(pointers(layout, observed))
    aligned, first = _streams(f, layout, observed)
    rows = f"i1 {aligned}, i64 {first}"
    driver = f"""define void @trajectory(i64 %low, i64 %high, i64 %steps, i64 %every, i64 %stride,
    ptr %arrays, ptr %scratch) {{
{chr(10).join(f.lines)}
  call void @begin({_COMMON})
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
  call void @advance({_COMMON}, i64 %every, i64 %stride, {rows}, i64 %from, i64 %to)
  br label %blocks
done:
  call void @end({_COMMON})
  {off}
  ret void
}}"""
    return "\n\n".join([*(text for text, _ in parts), driver]), set(declared).union(
        *(d for _, d in parts)
    )


def _head(name: str, rest: str = "") -> str:
    return f"define internal void @{name}({_COMMON}{rest}) noinline {{"


def scratch_bytes(layout: Layout) -> int:
    """Return the size of the memory in which the lanes of a chunk wait between blocks."""
    rows = len(layout.moving) + len(layout.constants)
    return rows * layout.row_bytes + len(VERDICT) * 8 * layout.capacity


def _places(f: LaneLoop, k: int) -> tuple[dict[str, tuple[int, str]], dict[str, str]]:
    """Return where a vector waits: rows of numbers, and addresses of integers."""
    layout = f.layout
    # A vector may begin a few lanes before the first.
    past = f.emit(f"sub i64 {f.places[k]}, %low")
    offset = f.emit(f"add i64 {past}, {layout.types.lanes}")
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
    f.begin(_head("begin"), pointers(layout, observed))
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
        f.put(f"store {f.types.whole} {values[s]}, ptr {place}, align 8")


def _kept(f: LaneLoop, k: int) -> dict[str, str]:
    numbers, integers = _places(f, k)
    kind = f.types.whole
    found = {s: f.load("%scratch", row, offset) for s, (row, offset) in numbers.items()}
    return found | {
        s: f.emit(f"load {kind}, ptr {place}, align 8") for s, place in integers.items()
    }


def _advance(layout: Layout, observed: Mapping[str, Program]) -> tuple[str, set[str]]:
    """Return the function that takes all lanes through a block of steps, writing rows.

    Where all lanes are open the steps are taken first and judged at the end; a block in which
    something is decided is gone through again, judged at every step.
    """
    f, count = LaneLoop(layout), layout.vectors
    rest = ", i64 %every, i64 %stride, i1 %aligned, i64 %first, i64 %from, i64 %to"
    f.begin(_head("advance", rest), pointers(layout, observed), vectors=count, start="%first")
    starts = [_kept(f, k) for k in range(count)]
    f.put("%phase = srem i64 %from, %every")
    f.put("%ahead = sub i64 %every, %phase")
    f.put("%onrow = icmp eq i64 %phase, 0")
    f.put("%left0 = select i1 %onrow, i64 0, i64 %ahead")
    f.put("%upto = add i64 %from, %left0")
    f.put("%row0 = sdiv i64 %upto, %every")
    idle = [
        f.writer.both(
            "and", f.emit(f"icmp ne {f.types.whole} {v['verdict']}, zeroinitializer"), mask
        )
        for v, mask in zip(starts, f.masks, strict=True)
    ]
    f.put("br label %entry")
    f.label("entry")
    f.put(f"br i1 {f.any(joined(f, idle))}, label %judge, label %quick")
    f.label("quick")
    quick = _quick(f, starts, observed)
    found = zip(quick, f.masks, strict=True)
    masks = [
        f.writer.both("and", joined(f, [x for x in flags(f, own, _noted(layout)) if x]), mask)
        for own, mask in found
    ]
    suspects = joined(f, masks)
    f.put(f"br i1 {f.any(suspects)}, label %judge, label %keep")
    f.label("keep")
    for k, own in enumerate(quick):
        _keep(f, own, k, constants=False)
    f.put("br label %end")
    f.label("judge")
    for k, own in enumerate(_careful(f, starts, observed)):
        _keep(f, own, k, constants=False)
    f.put("br label %end")
    f.label("end")
    return f.end("ret void")


Carried = list[dict[str, str]]
Step = Callable[[Carried], tuple[Carried, str]]


def _walk(
    f: LaneLoop, tag: str, starts: Carried, kinds: Mapping[str, str], step: Step, observed: Any
) -> Carried:
    """Go through the steps of the block, writing rows; return what the vectors carry after it."""

    def own(name: str, k: int) -> str:
        return f"%{tag}{name}.{k}"

    before = f"{tag}before"
    f.put(f"br label %{before}")
    f.label(before)
    f.put(f"br label %{tag}time")
    f.label(f"{tag}time")
    place = len(f.lines)
    values = [{**v, **{s: own(s, k) for s in kinds}} for k, v in enumerate(starts)]
    _write_rows(f, values, observed, tag)
    f.put(f"%{tag}t1 = add i64 %{tag}t, 1")
    f.put(f"%{tag}last = icmp eq i64 %{tag}t, %steps")
    f.put(f"br i1 %{tag}last, label %{tag}finished, label %{tag}open")
    f.label(f"{tag}open")
    ends, back = step(values)
    f.put(f"%{tag}within = icmp slt i64 %{tag}t1, %to")
    f.put(f"br i1 %{tag}within, label %{tag}time, label %{tag}finished")
    phis = [
        f"  %{tag}{name} = phi i64 [ {start}, %{before} ], [ %{tag}{name}1, %{back} ]"
        for name, start in (("t", "%from"), ("left", "%left0"), ("row", "%row0"))
    ]
    phis += [
        f"  {own(s, k)} = phi {kind} [ {first[s]}, %{before} ], [ {end[s]}, %{back} ]"
        for k, (first, end) in enumerate(zip(starts, ends, strict=True))
        for s, kind in kinds.items()
    ]
    f.lines[place:place] = phis
    f.label(f"{tag}finished")
    return [
        {
            **v,
            **{
                s: f.emit(f"phi {kind} [ {end[s]}, %{back} ], [ {own(s, k)}, %{tag}stored ]")
                for s, kind in kinds.items()
            },
        }
        for k, (v, end) in enumerate(zip(values, ends, strict=True))
    ]


def _noted(layout: Layout) -> list[str]:
    """Return what is noted of a block: the least gradient in any case."""
    return ["least", *(name for name in layout.noted if name != "least")][not layout.converges :]


def _quick(f: LaneLoop, starts: Carried, observed: Any) -> Carried:
    """Take the steps with nothing but the running peaks, and what is noted of the block."""
    t, w, noted = f.types, f.writer, _noted(f.layout)
    kinds = {s: t.vector for s in (*f.layout.moving, *noted)} | {"when": t.whole}

    def peaked(values: dict[str, str], time: str) -> dict[str, str]:
        f.bind(values)
        loss, norm = str(f.output("loss")), f.output("grad_norm2")
        record = w.compare("ogt", loss, values["peak"])
        return {
            "peak": w.select(record, loss, values["peak"]),
            "when": f.choose_integers(record, time, values["when"]),
            "largest": f.larger(values["largest"], norm),
            **f.noted(values, noted),
        }

    def step(values: Carried) -> tuple[Carried, str]:
        time = f.spread("%quick.t1", "i64")
        ends = []
        for own in values:
            f.bind(own)
            state = f.next_state()
            ends.append({**state, **peaked({**own, **state}, time)})
        return ends, "quick.open"

    begins = [{**v, **unnoted(t, noted)} for v in starts]
    return _walk(f, "quick.", begins, kinds, step, observed)


def _careful(f: LaneLoop, starts: Carried, observed: Any) -> Carried:
    """Take the steps with a verdict after each; lanes that are decided rest."""
    t = f.types
    kinds = {s: t.vector for s in f.layout.moving} | dict.fromkeys(VERDICT, t.whole)

    def step(values: Carried) -> tuple[Carried, str]:
        live = [
            f.writer.both("and", f.emit(f"icmp eq {t.whole} {v['verdict']}, zeroinitializer"), mask)
            for v, mask in zip(values, f.masks, strict=True)
        ]
        f.put(f"br i1 {f.any(joined(f, live))}, label %forward, label %rest")
        f.label("rest")
        f.put("br label %passed")
        f.label("forward")
        time = f.spread("%t1", "i64")
        ends, back = judged_steps(f, [{**v, "time": time} for v in values], "forward")
        f.put("br label %passed")
        f.label("passed")
        after = [
            {
                s: f.emit(f"phi {kind} [ {end[s]}, %{back} ], [ {own[s]}, %rest ]")
                for s, kind in kinds.items()
            }
            for own, end in zip(values, ends, strict=True)
        ]
        return after, "passed"

    return _walk(f, "", starts, kinds, step, observed)


def _end(layout: Layout, observed: Mapping[str, Program]) -> tuple[str, set[str]]:
    """Return the function that writes the final states and the verdicts."""
    f = LaneLoop(layout)
    f.begin(_head("end"), pointers(layout, observed))
    _write_end(f, _kept(f, 0), 0)
    f.put("br label %end")
    f.label("end")
    return f.end("ret void")


def _streams(f: Function, layout: Layout, observed: Mapping[str, Program]) -> tuple[str, str]:
    """Return whether rows can be written past the caches, and the lane to begin with for that.

    All rows must lie alike: the same distance from a multiple of the vector's size, in every
    array and at every step.
    """
    size, lanes = layout.types.size, layout.types.lanes
    rows = [p for p in pointers(layout, observed) if p.startswith(("%rows_", "%seen"))]
    places = [f.emit(f"ptrtoint ptr {p} to i64") for p in rows]
    apart = f.emit(f"mul i64 %stride, {size}")
    for place in places[1:]:
        apart = f.emit(f"or i64 {apart}, {f.emit(f'xor i64 {places[0]}, {place}')}")
    odd = f.emit(f"and i64 {apart}, {size * lanes - 1}")
    bytes_ = f.emit(f"and i64 {places[0]}, {size - 1}")
    alike = f.emit(f"icmp eq i64 {f.emit(f'or i64 {odd}, {bytes_}')}, 0")
    elements = f.emit(f"udiv i64 {places[0]}, {size}")
    phase = f.emit(f"and i64 {f.emit(f'add i64 {elements}, %low')}, {lanes - 1}")
    shift = f.emit(f"select i1 {alike}, i64 {phase}, i64 0")
    return alike, f.emit(f"sub i64 %low, {shift}")


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
    over, small = f.writer.negated(f.within()), f.small(largest)
    verdict = f.choose_integers(over, t.integers(2), t.integers(0))
    if small is not None:
        stable = f.stable(values)
        calm = small if stable is None else w.both("and", small, stable)
        calm = w.both("and", calm, f.writer.negated(over))
        verdict = f.choose_integers(calm, t.integers(1), verdict)
    # Elements past the last lane are at rest, too.
    idle = w.both("or", invalid, f.writer.negated(f.masks[k]))
    verdict = f.choose_integers(idle, t.integers(3), verdict)
    decided = f.emit(f"icmp ne {t.whole} {verdict}, zeroinitializer")
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
    f: LaneLoop, values: list[dict[str, str]], observed: Mapping[str, Program], tag: str
) -> None:
    """Store the states, and what else was asked for, where a row is due."""
    t = f.types
    p = f"%{tag}"
    f.put(f"{p}due = icmp eq i64 {p}left, 0")
    f.put(f"br i1 {p}due, label {p}store, label {p}skip")
    f.label(f"{tag}skip")
    f.put(f"br label {p}stored")
    f.label(f"{tag}store")
    shown = [_shown(f, own, observed) for own in values]
    start = f.emit(f"mul i64 {p}row, %stride")
    places = [f.emit(f"add i64 {start}, {place}") for place in f.places]
    whole = f.emit(f"add i64 %i, {t.lanes * len(values)}")
    below = f.emit(f"icmp sle i64 {whole}, %high")
    above = f.emit("icmp sge i64 %i, %low")
    inside = f.emit(f"and i1 {below}, {above}")
    stream = f.emit(f"and i1 {inside}, %aligned")
    f.put(f"br i1 {stream}, label {p}streaming, label {p}masking")
    f.label(f"{tag}streaming")
    for array in shown[0]:
        for own, place in zip(shown, places, strict=True):
            here = f.emit(f"getelementptr {t.real}, ptr {array}, i64 {place}")
            size = t.size * t.lanes
            f.put(f"store {t.vector} {own[array]}, ptr {here}, align {size}, !nontemporal !0")
    f.put(f"br label {p}wrote")
    f.label(f"{tag}masking")
    for own, place, mask in zip(shown, places, f.masks, strict=True):
        for array, value in own.items():
            f.write(array, value, mask, place=place)
    f.put(f"br label {p}wrote")
    f.label(f"{tag}wrote")
    f.put(f"{p}row2 = add i64 {p}row, 1")
    f.put(f"br label {p}stored")
    f.label(f"{tag}stored")
    f.put(f"{p}row1 = phi i64 [ {p}row, {p}skip ], [ {p}row2, {p}wrote ]")
    f.put(f"{p}lefted = phi i64 [ {p}left, {p}skip ], [ %every, {p}wrote ]")
    f.put(f"{p}left1 = sub i64 {p}lefted, 1")


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
    place, mask = f.places[k], f.masks[k]
    invalid = f.emit(f"icmp eq {f.types.whole} {values['verdict']}, {f.types.integers(3)}")
    loss = f.writer.select(invalid, f.types.splat(float("nan")), str(f.output("loss")))
    for s in f.layout.states:
        f.write(f"%lanes_{s}", values[s], mask, place=place)
    f.write("%out_loss", loss, mask, place=place)
    f.write("%out_peak_loss", values["peak"], mask, place=place)
    for name, s in zip(("peak_step", "status", "status_step"), VERDICT, strict=True):
        f.write(f"%out_{name}", values[s], mask, "i64", place)
