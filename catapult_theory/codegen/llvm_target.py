"""Target "llvm": scalar maps on vectors of the machine's width, the time loop in registers."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from catapult_theory.codegen import llvm_run, llvm_trajectory
from catapult_theory.codegen.arguments import Lanes
from catapult_theory.codegen.array_target import ArrayExecutor, loaded
from catapult_theory.codegen.backends import refuse_matrices
from catapult_theory.codegen.buffers import aligned
from catapult_theory.codegen.execution import (
    LANES_PER_CHUNK,
    chunks_in_a_call,
    in_threads,
    verdict_buffers,
)
from catapult_theory.codegen.header import header
from catapult_theory.codegen.llvm_group import group
from catapult_theory.codegen.llvm_host import Host, compiled, native
from catapult_theory.codegen.llvm_judged import judged
from catapult_theory.codegen.llvm_layout import MOST_VECTORS, Layout
from catapult_theory.codegen.llvm_look import look
from catapult_theory.codegen.llvm_search import converging, replay
from catapult_theory.codegen.llvm_values import Types
from catapult_theory.codegen.lowering import Program, expression_program
from catapult_theory.codegen.scaled_form import RunForm, own_form, run_form

# Rows must not all begin at the same place in the cache.
CAPACITY = LANES_PER_CHUNK + 72
# So few lanes wait for one operation after another, whatever the width of the vectors; a run of
# single vectors holds no more.
FEW = 4


def emit(update_map: Any, program: Program, dtype: str) -> str:
    """Return the LLVM IR of the run, for this machine.

    Parameters
    ----------
    update_map : UpdateMap
        A scalar one.
    program : Program
        From `loop_program`.
    dtype : str

    Returns
    -------
    str
        The same to the byte in every process on machines with the same instruction set.

    Raises
    ------
    InputError
        For matrix maps.
    """
    refuse_matrices(update_map, "llvm")
    return emit_for(update_map, dtype, native())


def emit_for(update_map: Any, dtype: str, host: Host, most: int = MOST_VECTORS) -> str:
    """Return the LLVM IR of the run, for some machine, with so many vectors side by side."""
    layout = layout_for(run_form(update_map), dtype, host, most)
    parts = [group(layout), look(layout)]
    parts.append(replay(layout))
    if layout.converges:
        parts.append(converging(layout))
    parts += [judged(layout), llvm_run.enter(layout), llvm_run.leave(layout)]
    parts.append(llvm_run.record_all(layout))
    parts.append(llvm_run.scheduler(layout, host.flush))
    texts = [text for text, _ in parts]
    texts.append(llvm_run.record(layout))
    declared = sorted(set().union(*(d for _, d in parts)))
    return "\n\n".join([header(update_map, "llvm", _comment), *texts, "\n".join(declared)]) + "\n"


def layout_for(form: RunForm, dtype: str, host: Host, most: int = MOST_VECTORS) -> Layout:
    """Return the layout of lanes for a form and a machine."""
    types = Types(dtype, host.lanes(dtype), host.fuses)
    return Layout(form, types, CAPACITY if most > 1 else 4 * FEW, host.registers, most)


def _comment(text: str) -> str:
    return "\n".join(f"; {line}".rstrip() for line in text.splitlines())


@dataclass(frozen=True)
class Machine:
    """A compiled module; the engine that holds the code lives as long as this object.

    Parameters
    ----------
    engine : object
        From `llvm_host.compiled`.
    name : str
        The function: numbers ``low, high, ...``, addresses of arrays, scratch memory.
    numbers : int
        How many numbers follow low and high.
    bytes : int
        Of scratch memory for a chunk of lanes.
    """

    engine: Any
    name: str
    numbers: int
    bytes: int

    @cached_property
    def _entry(self) -> Any:
        kinds = [ctypes.c_int64] * (2 + self.numbers) + [ctypes.c_void_p] * 2
        address = int(self.engine.get_function_address(self.name))
        return ctypes.CFUNCTYPE(None, *kinds)(address)

    def run(
        self,
        count: int,
        numbers: tuple[int, ...],
        arrays: tuple[Any, ...],
        threads: int | None,
        chunks: int = 1,
    ) -> None:
        """Run all lanes in chunks, on several threads; compiled code holds no lock."""
        entry = self._entry
        places = (a.__array_interface__["data"][0] for a in arrays)
        addresses = (ctypes.c_void_p * len(arrays))(*places)
        scratch = threading.local()

        def portion(low: int, high: int) -> None:
            if not hasattr(scratch, "memory"):
                scratch.memory = aligned((self.bytes,), np.uint8)
                scratch.address = scratch.memory.ctypes.data
            entry(low, high, *numbers, addresses, scratch.address)

        in_threads(portion, count, threads, False, chunks)


@dataclass(frozen=True)
class LlvmExecutor:
    """Runs in vectors; lanes out of range for them go through the array target.

    Parameters
    ----------
    source : str
        The IR of the run for this machine.
    update_map : UpdateMap
    program : Program
    dtype : str
    host : Host
    """

    source: str
    update_map: Any
    program: Program
    dtype: str
    host: Host

    @cached_property
    def wide(self) -> Machine:
        """The run in vectors of the machine's width."""
        return _runner(self.source, self.update_map, self.dtype, self.host)

    @cached_property
    def narrow(self) -> Machine:
        """The run of one narrow vector, with the same bits: its operations take less time."""
        host = self.host.limited_to("avx2") if self.host.instructions == "avx512" else self.host
        text = emit_for(self.update_map, self.dtype, host, 1)
        return _runner(text, self.update_map, self.dtype, host, 1)

    @cached_property
    def arrays(self) -> ArrayExecutor:
        """The array target, in the user's units."""
        return loaded(self.update_map, self.program, self.dtype)

    def run(self, lanes: Lanes, steps: int, threads: int | None) -> tuple[Any, Any]:
        """Return the final states, and (loss, peak_loss, peak_step, status, status_step)."""
        if steps == 0:
            return self.arrays.run(lanes, steps, threads)
        verdicts = verdict_buffers(lanes, self.dtype)
        arrays = (*lanes.states, *lanes.parameters, *verdicts)
        machine = self.narrow if lanes.count <= FEW else self.wide
        chunks = chunks_in_a_call(lanes.count, steps, threads)
        machine.run(lanes.count, (steps,), arrays, threads, chunks)
        left = verdicts[3] == llvm_run.LEFT
        if left.any():
            some = Lanes(
                (int(left.sum()),),
                tuple(a[left] for a in lanes.states),
                tuple(a[left] for a in lanes.parameters),
                (),
            )
            states, others = self.arrays.run(some, steps, threads)
            for mine, theirs in zip((*lanes.states, *verdicts), (*states, *others), strict=True):
                mine[left] = theirs
        return lanes.states, verdicts

    def follow(
        self, lanes: Lanes, steps: int, every: int, rows: tuple[Any, ...], threads: int | None
    ) -> tuple[Any, ...]:
        """Fill the rows with states 0, every, 2 every, ...; return the verdicts."""
        return self.observe(lanes, steps, every, rows, {}, threads)

    def observe(
        self,
        lanes: Lanes,
        steps: int,
        every: int,
        rows: tuple[Any, ...],
        shown: Mapping[str, tuple[Any, Any]],
        threads: int | None,
    ) -> tuple[Any, ...]:
        """Fill rows of states, and of (expression, rows) by name; return the verdicts."""
        verdicts = verdict_buffers(lanes, self.dtype)
        expressions = tuple(e for e, _ in shown.values())
        buffers = (a for _, a in shown.values())
        arrays = (*lanes.states, *lanes.parameters, *rows, *buffers, *verdicts)
        machine = _follower(self.update_map, self.dtype, self.host, expressions)
        machine.run(lanes.count, (steps, every, lanes.count), arrays, threads)
        return verdicts


def load(source: str, update_map: Any, program: Program, dtype: str) -> LlvmExecutor:
    """Compile the IR of a map for this machine."""
    return LlvmExecutor(source, update_map, program, dtype, native())


def _runner(
    source: str, update_map: Any, dtype: str, host: Host, most: int = MOST_VECTORS
) -> Machine:
    layout = layout_for(run_form(update_map), dtype, host, most)
    return Machine(compiled(source, host), "run", 1, layout.bytes)


def emit_trajectory(update_map: Any, dtype: str, host: Host, observed: tuple[Any, ...] = ()) -> str:
    """Return the LLVM IR of the trajectory with some observables.

    Parameters
    ----------
    update_map : UpdateMap
    dtype : str
    host : Host
    observed : tuple of sympy.Expr

    Returns
    -------
    str
    """
    layout = layout_for(own_form(update_map), dtype, host)
    seen = {str(e): expression_program(update_map, {"seen": e}) for e in observed}
    text, declared = llvm_trajectory.trajectory(layout, seen, host.flush)
    tail = "\n".join(sorted(declared))
    return f"{header(update_map, 'llvm', _comment)}\n\n{text}\n\n{tail}\n\n!0 = !{{i32 1}}\n"


@lru_cache(maxsize=64)
def _follower(update_map: Any, dtype: str, host: Host, observed: tuple[Any, ...]) -> Machine:
    text = emit_trajectory(update_map, dtype, host, observed)
    layout = layout_for(own_form(update_map), dtype, host)
    return Machine(compiled(text, host), "trajectory", 3, llvm_trajectory.scratch_bytes(layout))
