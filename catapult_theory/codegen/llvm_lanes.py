"""Loops over the vectors of lanes in the caller's arrays, the last vector masked."""

from __future__ import annotations

from collections.abc import Iterable

from catapult_theory.codegen.llvm_layout import Function


class LaneLoop(Function):
    """A loop over the vectors of lanes low to high, one or several at a time, masked."""

    def begin(
        self,
        head: str,
        arrays: Iterable[str],
        carried: str = "",
        vectors: int = 1,
        start: str = "%low",
    ) -> None:
        """Open the loop: ``places`` and ``masks`` tell the vectors of an iteration.

        It may start a few lanes before the first, which are masked as well.
        """
        n = self.types.lanes
        self.head = head
        self.arrays(arrays)
        self.put("br label %loop")
        self.label("loop")
        self.put(f"%i = phi i64 [ {start}, %0 ], [ %next, %end ]")
        if carried:
            self.put(carried)
        self.put("%more = icmp slt i64 %i, %high")
        self.put("br i1 %more, label %body, label %done")
        self.label("body")
        left = self.emit("sub i64 %high, %i")
        self.places, self.masks = [], []
        for k in range(vectors):
            numbers = self.types.numbered(k * n)
            self.places.append(self.emit(f"add i64 %i, {k * n}"))
            mask = self.below(left, numbers)
            if start != "%low":
                early = self.below(self.emit("sub i64 %low, %i"), numbers)
                mask = self.writer.both("and", mask, self.writer.negated(early))
            self.masks.append(mask)

    @property
    def mask(self) -> str:
        """The mask of the only vector."""
        return self.masks[0]

    def lanes(self, array: str, kind: str = "", k: int = 0) -> str:
        """Return a vector of an array, ones outside the mask."""
        size = 8 if kind else self.types.size
        place, kind, suffix = self._where(array, kind, self.places[k])
        if kind.startswith("<") and "i64" in kind:
            other = self.types.integers(1)
        else:
            other = self.types.splat(1.0)
        m = self.types.mask
        self.writer.declared.add(
            f"declare {kind} @llvm.masked.load.{suffix}.p0(ptr, i32, {m}, {kind})"
        )
        mask = f"{m} {self.masks[k]}"
        return self.emit(
            f"call {kind} @llvm.masked.load.{suffix}.p0(ptr {place}, i32 {size}, {mask}, "
            f"{kind} {other})"
        )

    def write(self, array: str, value: str, mask: str, kind: str = "", place: str = "%i") -> None:
        """Write a vector of an array where a mask is set."""
        size = 8 if kind else self.types.size
        place, kind, suffix = self._where(array, kind, place)
        m = self.types.mask
        self.writer.declared.add(
            f"declare void @llvm.masked.store.{suffix}.p0({kind}, ptr, i32, {m})"
        )
        self.put(
            f"call void @llvm.masked.store.{suffix}.p0({kind} {value}, ptr {place}, i32 "
            f"{size}, {m} {mask})"
        )

    def _where(self, array: str, kind: str, index: str = "%i") -> tuple[str, str, str]:
        t = self.types
        element = kind or t.real
        place = self.emit(f"getelementptr {element}, ptr {array}, i64 {index}")
        suffix = f"v{t.lanes}i64" if kind else t.suffix
        return place, f"<{t.lanes} x {element}>", suffix

    def end(self, result: str) -> tuple[str, set[str]]:
        """Close the loop."""
        self.put(f"%next = add i64 %i, {self.types.lanes * len(self.masks)}")
        self.put("br label %loop")
        self.label("done")
        self.put(result)
        return "\n".join([self.head, *self.lines, "}"]), self.writer.declared
