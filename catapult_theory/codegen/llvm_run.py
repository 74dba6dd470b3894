"""Runs in LLVM IR: lanes in and out of scratch memory, stretches of steps, compaction.

The lanes of a chunk advance together, some steps at a time. A lane found decided at a look goes
through the stretch again, judged, and leaves; the last lane takes its place, so that groups stay
full. Lanes out of range for the scaled form are left to the caller.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

from catapult_theory.codegen.execution import LANES_PER_CHUNK
from catapult_theory.codegen.llvm_copy import closer, copies
from catapult_theory.codegen.llvm_lanes import LaneLoop
from catapult_theory.codegen.llvm_layout import (
    FIRST,
    MARK,
    PIECE,
    SHORTEST,
    Function,
    Layout,
)
from catapult_theory.codegen.llvm_look import MOVED_BIT
from catapult_theory.codegen.scaled_form import FACTOR

# Stretches are doubled or halved from one to the next. Of n lanes g leave in a stretch of L steps.
# A look costs as much as some 14 steps of all lanes; a lane that leaves was idle for half of it:
# the best L has g L = 28 n. Where nobody left, the next one is four times as long.
SELDOM, OFTEN = 14, 56
# A lane starts in range if loss and squared gradient lie between these: what is small against them
# is no denormal number.
_RANGE = {"float64": (1e-280, 1e190), "float32": (1e-24, 1e30)}
# A unit beyond this, or below its inverse, is out of range.
_UNIT = {"float64": 1e140, "float32": 1e15}
# So is a state or constant beyond this: near the bound a label of that size hides a large output.
_SIZE = {"float64": 1e90, "float32": 1e15}
LEFT = -1
_CONVERGING = "call i1 @converging(ptr %scratch, i64 %L, i64 %t, i64 %end, i64 %count)"
_FROM_THE_START = (
    "call i1 @replay(ptr %qrows, ptr %qkept, ptr %qw, ptr %qwhen, i64 {QROW}, i64 {FIRST}, i64 0, "
    "i64 %count, i64 %until)"
)

FLUSH = {
    "x86": (
        """%csr = alloca i32
  %csr1 = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %csr)
  %control = load i32, ptr %csr
  %flushing = or i32 %control, 32832
  store i32 %flushing, ptr %csr1
  call void @llvm.x86.sse.ldmxcsr(ptr %csr1)""",
        "call void @llvm.x86.sse.ldmxcsr(ptr %csr)",
        (
            "declare void @llvm.x86.sse.stmxcsr(ptr)",
            "declare void @llvm.x86.sse.ldmxcsr(ptr)",
        ),
    ),
    "neon": (
        """%control = call i64 @llvm.aarch64.get.fpcr()
  %flushing = or i64 %control, 16777216
  call void @llvm.aarch64.set.fpcr(i64 %flushing)""",
        "call void @llvm.aarch64.set.fpcr(i64 %control)",
        (
            "declare i64 @llvm.aarch64.get.fpcr()",
            "declare void @llvm.aarch64.set.fpcr(i64)",
        ),
    ),
}


def pointers(layout: Layout) -> list[str]:
    """Return the names of the arrays that a run reads and writes, in order."""
    form = layout.form
    inputs = [i.code for i in (*form.enter.state, *form.enter.parameters)]
    seen = ["loss", "peak_loss", "peak_step", "status", "status_step"]
    return [*(f"%lanes_{x}" for x in inputs), *(f"%out_{x}" for x in seen)]


def scheduler(layout: Layout, flush: str) -> tuple[str, set[str]]:
    """Return the functions ``run``, ``chunk`` and ``settle``.

    Parameters
    ----------
    layout : Layout
    flush : str
        "x86" or "neon": how denormal numbers are flushed to zero.

    Returns
    -------
    text : str
    declarations : set of str
    """
    t = layout.types
    on, off, declared = FLUSH[flush]
    bounded = layout.form.ceiling is not None
    fields = {
        **copies(layout),
        "CHUNK_PARTS": _named(layout, ("rows", "kept", "w", "idx", "flags", "stations")),
        "QUEUE_PARTS": _named(layout, [name for name in layout.places if name[0] == "q"]),
        "FOUND_PARTS": _named(layout, ("slots", "extremes", "verdict", "decided")),
        "AGAIN": _FROM_THE_START if bounded else "",
        "FIRST": layout.first_row(FIRST) if bounded else "",
        "MARK": layout.first_row(MARK),
        "ROW": layout.row_bytes,
        "QROW": layout.queue_bytes,
        "FLUSH_ON": on,
        "FLUSH_OFF": off,
        "LANES": t.lanes,
        "GROUP": layout.group,
        "GROUP_1": layout.group - 1,
        "QUEUE": layout.queue,
        "SELDOM": SELDOM,
        "OFTEN": OFTEN,
        "SHORTEST": SHORTEST,
        "LONGEST": layout.longest,
        "LIGHT": _CONVERGING if layout.converges else "icmp eq i64 0, 0",
        "MOVED": MOVED_BIT,
        "EVERY": 2**t.lanes - 1,
        "K": layout.vectors,
        "CAPACITY": layout.capacity,
        "CHUNK": LANES_PER_CHUNK,
        "PIECE": PIECE,
        "PIECE_1": PIECE - 1,
    }
    text = files("catapult_theory.codegen").joinpath("llvm_scheduler.ll").read_text()
    text = text[text.index("define") :]
    for key, value in fields.items():
        text = text.replace("{" + key + "}", str(value))
    scans = {f"declare i64 @llvm.{way}.i64(i64, i1)" for way in ("ctlz", "cttz")}
    return text, {*declared, *scans}


def _named(layout: Layout, parts: Iterable[str]) -> str:
    return "\n".join(layout.pointers(**{name: name for name in parts}))


def record(layout: Layout) -> str:
    """Return the function that writes lanes that are over: state, peak and verdict.

    Verdicts and their steps lie ``%by`` apart, 0 for one that is all lanes'; a lane with the
    verdict ``%skipped`` is left out.
    """
    t = layout.types
    f = Function(layout)
    head = (
        "define internal void @record(ptr %rows, ptr %when, ptr %idx, i64 %stride, i64 %count, "
        "ptr %verdicts, ptr %steps, i64 %by, i64 %skipped, ptr %arrays) noinline {"
    )
    f.arrays(pointers(layout))
    f.put("br label %loop")
    f.label("loop")
    f.put("%s = phi i64 [ 0, %0 ], [ %s1, %next ]")
    f.put("%more = icmp slt i64 %s, %count")
    f.put("br i1 %more, label %body, label %done")
    f.label("body")
    at = f.emit("mul i64 %s, %by")
    verdict = _integer(f, "%verdicts", at)
    f.put(f"%out = icmp eq i64 {verdict}, %skipped")
    f.put("br i1 %out, label %next, label %write")
    f.label("write")
    lane = _integer(f, "%idx", "%s")
    targets = [f"%lanes_{i.code}" for i in layout.form.enter.state]
    names = [*layout.states, "peak"]
    for target, name in zip([*targets, "%out_loss"], names, strict=True):
        start = f.emit(f"mul i64 %stride, {layout.moving.index(name)}")
        here = f.emit(f"getelementptr {t.real}, ptr %rows, i64 {f.emit(f'add i64 {start}, %s')}")
        value = f.emit(f"load {t.real}, ptr {here}")
        there = f.emit(f"getelementptr {t.real}, ptr {target}, i64 {lane}")
        f.put(f"store {t.real} {value}, ptr {there}")
    found = {
        "peak_step": _integer(f, "%when", "%s"),
        "status": verdict,
        "status_step": _integer(f, "%steps", at),
    }
    for target, value in found.items():
        there = f.emit(f"getelementptr i64, ptr %out_{target}, i64 {lane}")
        f.put(f"store i64 {value}, ptr {there}")
    f.put("br label %next")
    f.label("next")
    f.put("%s1 = add i64 %s, 1")
    f.put("br label %loop")
    f.label("done")
    f.put("ret void")
    return "\n".join([head, *f.lines, "}"])


def _integer(f: Function, base: str, at: str) -> str:
    here = f.emit(f"getelementptr i64, ptr {base}, i64 {at}")
    return f.emit(f"load i64, ptr {here}")


def record_all(layout: Layout) -> tuple[str, set[str]]:
    """Return the function that writes all lanes of a chunk, none of which is over."""
    f = LaneLoop(layout)
    head = (
        "define internal void @record_all(i64 %low, i64 %high, i64 %steps, ptr %arrays, "
        "ptr %scratch) noinline {"
    )
    f.parts(rows="rows", when="w")
    f.begin(head, pointers(layout))
    place = f.emit("sub i64 %i, %low")
    targets = [f"%lanes_{i.code}" for i in layout.form.enter.state]
    names = [*layout.states, "peak"]
    for target, name in zip([*targets, "%out_loss"], names, strict=True):
        value = f.load("%rows", layout.moving.index(name), place)
        f.write(target, value, f.mask)
    _, when = f.integers("%when", place)
    f.write("%out_peak_step", when, f.mask, "i64")
    f.write("%out_status_step", f.spread("%steps", "i64"), f.mask, "i64")
    f.put("br label %end")
    f.label("end")
    return f.end("ret void")


def enter(layout: Layout) -> tuple[str, set[str]]:
    """Return the function that fills the scratch memory; it returns how many lanes it took."""
    f, form, t = LaneLoop(layout), layout.form, layout.types
    head = "define internal i64 @enter(i64 %low, i64 %high, ptr %arrays, ptr %scratch) noinline {"
    f.parts(rows="rows", kept="kept", w="w", idx="idx")
    f.begin(head, pointers(layout), "%a = phi i64 [ 0, %0 ], [ %a2, %end ]")
    w = f.writer
    inputs = [i.code for i in (*form.enter.state, *form.enter.parameters)]
    w.bind({c: f.lanes(f"%lanes_{c}") for c in inputs})
    w.assign((a.name, a.value) for a in form.enter.assignments)
    values = {name: w.value(node) for name, node in form.enter.outputs}
    loop = {code: values[f"{code}_in"] for code in _loop_inputs(layout)}
    w.bind(loop)
    w.assign((a.name, a.value) for a in form.hoisted)
    constants = {a.name: w.known[a.name] for a in form.hoisted} | loop
    f.bind(constants)
    loss, norm = str(f.output("loss")), f.output("grad_norm2")
    unit = _unit(f, {**constants, **_originals(f, layout)})
    first = w.binary("fmul", unit, loss)
    good = _in_range(f, layout, constants, loss, norm, unit)
    f.write("%out_peak_loss", first, f.mask)
    ok = w.both("and", good, f.mask)
    status = f.choose_integers(ok, t.integers(0), t.integers(LEFT))
    f.write("%out_status", status, f.mask, "i64")
    largest = norm or t.splat(0.0)
    for i, row in enumerate(layout.moving):
        value = {"peak": loss, "largest": largest}.get(row) or constants[row]
        f.store(value, "%rows", i, "%a")
    for i, row in enumerate(layout.kept):
        f.store(constants[row.removeprefix(MARK).removeprefix(FIRST)], "%kept", i, "%a")
    lane = f.emit(f"add {t.whole} {f.spread('%i', 'i64')}, {t.numbered()}")
    for base, value in (("%w", t.integers(0)), ("%idx", lane)):
        f.store_integers(value, base, "%a")
    _squeeze(f, ok)
    return f.end("ret i64 %a")


def _loop_inputs(layout: Layout) -> list[str]:
    step = layout.form.step
    return [i.code for i in (*step.state, *step.parameters)]


def _originals(f: LaneLoop, layout: Layout) -> dict[str, str]:
    """Return the user's parameters, which the way back needs, too."""
    codes = [i.code for i in layout.form.enter.parameters]
    return {c: f.lanes(f"%lanes_{c}") for c in codes if c not in _loop_inputs(layout)}


def _unit(f: Function, values: dict[str, str]) -> str:
    """Return the unit of the loss."""
    leave = f.layout.form.leave.restricted([FACTOR])
    f.writer.bind(values)
    f.writer.assign((a.name, a.value) for a in leave.assignments)
    ((_, node),) = leave.outputs
    return f.writer.value(node)


def _in_range(
    f: Function,
    layout: Layout,
    values: dict[str, str],
    loss: str,
    norm: str | None,
    unit: str,
) -> str:
    """Return the mask of lanes that can be iterated here: no NaN, no overflow, no denormals.

    Nor are they decided at their start.
    """
    w, t = f.writer, f.types
    least, most = (t.splat(x) for x in _RANGE[t.dtype])
    good = w.compare("ole", unit, t.splat(_UNIT[t.dtype]))
    good = w.both("and", good, w.compare("oge", unit, t.splat(1 / _UNIT[t.dtype])))
    for value in (loss, *([norm] if norm is not None else [])):
        good = w.both("and", good, w.compare("oge", value, least))
        good = w.both("and", good, w.compare("ole", value, most))
    for name in (*layout.states, *layout.constants):
        inside = w.compare("ole", w.call("fabs", values[name]), t.splat(_SIZE[t.dtype]))
        good = w.both("and", good, inside)
    f.bind(values)
    good = w.both("and", good, f.within())
    small = f.small(norm or loss)
    return good if small is None else w.both("and", good, w.negated(small))


def _squeeze(f: LaneLoop, ok: str) -> None:
    """Keep the lanes of the vector at %a that are in the mask, next to one another."""
    n = f.types.lanes
    f.put(f"%okbits = bitcast <{n} x i1> {ok} to i{n}")
    f.put(f"%all = icmp eq i{n} %okbits, -1")
    f.put(f"%full = add i64 %a, {n}")
    f.put("br i1 %all, label %end, label %pick")
    f.label("pick")
    f.put(f"%wide = zext i{n} %okbits to i32")
    f.put("br label %picking")
    f.label("picking")
    f.put("%j = phi i64 [ 0, %pick ], [ %j1, %picked ]")
    f.put("%c = phi i64 [ %a, %pick ], [ %c1, %picked ]")
    f.put(f"%morej = icmp slt i64 %j, {n}")
    f.put("br i1 %morej, label %test, label %end")
    f.label("test")
    f.put("%j32 = trunc i64 %j to i32")
    f.put("%shifted = lshr i32 %wide, %j32")
    f.put("%bit = trunc i32 %shifted to i1")
    f.put("%from = add i64 %a, %j")
    f.put("br i1 %bit, label %keep, label %picked")
    f.label("keep")
    f.lines.append(closer(f.layout, "%from", "%c"))
    f.put("%ck = add i64 %c, 1")
    f.put("br label %picked")
    f.label("picked")
    f.put("%c1 = phi i64 [ %c, %test ], [ %ck, %keep ]")
    f.put("%j1 = add i64 %j, 1")
    f.put("br label %picking")
    f.label("end")
    f.put("%a2 = phi i64 [ %full, %body ], [ %c, %picking ]")


def leave(layout: Layout) -> tuple[str, set[str]]:
    """Return the function that turns what `record` wrote into the user's units."""
    f, form, t = LaneLoop(layout), layout.form, layout.types
    head = "define internal void @leave(i64 %low, i64 %high, ptr %arrays) noinline {"
    f.begin(head, pointers(layout))
    w = f.writer
    inputs = [i.code for i in (*form.enter.state, *form.enter.parameters)]
    given = {c: f.lanes(f"%lanes_{c}") for c in inputs}
    peak = f.lanes("%out_loss")
    status = f.lanes("%out_status", "i64")
    here = w.both("and", f.mask, f.emit(f"icmp sge {t.whole} {status}, zeroinitializer"))
    states = zip(form.step.state, form.enter.state, strict=True)
    loop = {s.code: given[own.code] for s, own in states}
    parameters = {i.code: given[i.code] for i in form.enter.parameters}
    w.bind(parameters | dict.fromkeys((i.code for i in form.enter.state), t.splat(1.0)))
    w.assign((a.name, a.value) for a in form.enter.assignments)
    constants = {}
    for i in form.step.parameters:
        node = form.enter.output(f"{i.code}_in")
        constants[i.code] = w.value(node) if node is not None else ""
    w.bind({**loop, **constants})
    w.assign((a.name, a.value) for a in form.hoisted)
    f.bind(dict(w.known))
    loss = str(f.output("loss"))
    w.bind({**parameters, **constants, **loop})
    w.assign((a.name, a.value) for a in form.leave.assignments)
    out = {name: w.value(node) for name, node in form.leave.outputs}
    unit = out[FACTOR]
    when = f.lanes("%out_peak_step", "i64")
    first = f.lanes("%out_peak_loss")
    start = f.emit(f"icmp eq {t.whole} {when}, zeroinitializer")
    highest = w.select(start, first, w.binary("fmul", unit, peak))
    for i in form.enter.state:
        f.write(f"%lanes_{i.code}", out[f"{i.code}_out"], here)
    f.write("%out_loss", w.binary("fmul", unit, loss), here)
    f.write("%out_peak_loss", highest, here)
    f.put("br label %end")
    f.label("end")
    return f.end("ret void")
