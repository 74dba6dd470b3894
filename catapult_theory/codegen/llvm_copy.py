"""One lane from place to place in LLVM IR: to a hole, to the queue and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from catapult_theory.codegen.llvm_layout import PIECE, Function, Layout


@dataclass(frozen=True)
class _Place:
    """Where a lane is: rows of what moves and of what is kept, rows of integers, its place."""

    rows: str
    kept: str
    integers: tuple[str, ...]
    length: int
    at: str


def _own(layout: Layout, at: str) -> _Place:
    return _Place("%rows", "%kept", ("%w", "%idx"), layout.capacity, at)


def closer(layout: Layout, source: str, target: str) -> str:
    """Return the instructions that move a lane among the others."""
    moving = range(len(layout.moving))
    return _copy(layout, "moved", _own(layout, source), _own(layout, target), moving)


def copies(layout: Layout) -> dict[str, str]:
    """Return the instructions that move one lane, by what they are filled in for.

    Parameters
    ----------
    layout : Layout

    Returns
    -------
    dict of str to str
    """
    queue = _Place("%qrows", "%qkept", ("%qw", "%qidx"), layout.queue, "%q1")
    moving = range(len(layout.moving))
    back = _copy(layout, "back", replace(queue, at="%s"), _own(layout, "%qp"), moving)
    return {
        "MOVE_LANE": closer(layout, "%last", "%pos.h"),
        "RESTORE_LANE": back,
        "QUEUE_LANE": _to_queue(layout, _own(layout, "%pos"), queue),
    }


def _element(f: Function, place: _Place, base: str, row: int) -> str:
    first = f.emit(f"getelementptr {f.types.real}, ptr {base}, i64 {place.at}")
    return f.emit(f"getelementptr {f.types.real}, ptr {first}, i64 {row * place.length}")


def _copy(
    layout: Layout, prefix: str, source: _Place, target: _Place, moving: Iterable[int]
) -> str:
    """Return the instructions that copy a lane: some rows of what moves, and all else."""
    t = layout.types
    f = Function(layout, prefix=prefix)
    rows = [(source.rows, target.rows, row) for row in moving]
    rows += [(source.kept, target.kept, row) for row in range(len(layout.kept))]
    for here, there, row in rows:
        value = f.emit(f"load {t.real}, ptr {_element(f, source, here, row)}")
        f.put(f"store {t.real} {value}, ptr {_element(f, target, there, row)}")
    for one, other in zip(source.integers, target.integers, strict=True):
        here = f.emit(f"getelementptr i64, ptr {one}, i64 {source.at}")
        there = f.emit(f"getelementptr i64, ptr {other}, i64 {target.at}")
        value = f.emit(f"load i64, ptr {here}")
        f.put(f"store i64 {value}, ptr {there}")
    return "\n".join(f.lines)


def _to_queue(layout: Layout, own: _Place, queue: _Place) -> str:
    """Return the instructions that put a lane into the queue as it was at its station."""
    t = layout.types
    f = Function(layout, prefix="seen")
    place = f.emit("getelementptr i64, ptr %slots, i64 %j")
    slot = f.emit(f"load i64, ptr {place}")
    past = f.emit(f"mul i64 {slot}, {layout.station_bytes}")
    there = f.emit(f"getelementptr i8, ptr %stations, i64 {past}")
    for i, s in enumerate(layout.carried[: len(layout.states)]):
        row = f.emit(f"getelementptr i8, ptr {there}, i64 {i * layout.group_bytes}")
        _put(f, f.emit(f"getelementptr {t.real}, ptr {row}, i64 %j"), queue, s)
    for i, s in enumerate(layout.extremes):
        at = f.emit(f"add i64 %j, {i * layout.group}")
        _put(f, f.emit(f"getelementptr {t.real}, ptr %extremes, i64 {at}"), queue, s)
    for name, base, value in (
        ("after", "%qafter", f.emit(f"mul i64 {slot}, {PIECE}")),
        ("place", "%qpos", "%pos"),
    ):
        f.put(f"%{name}.q = getelementptr i64, ptr {base}, i64 %q1")
        f.put(f"store i64 {value}, ptr %{name}.q")
    seen = {*layout.states, *layout.extremes}
    rest = [i for i, s in enumerate(layout.moving) if s not in seen]
    return "\n".join([*f.lines, _copy(layout, "kept", own, queue, rest)])


def _put(f: Function, source: str, queue: _Place, name: str) -> None:
    value = f.emit(f"load {f.types.real}, ptr {source}")
    there = _element(f, queue, queue.rows, f.layout.moving.index(name))
    f.put(f"store {f.types.real} {value}, ptr {there}")
