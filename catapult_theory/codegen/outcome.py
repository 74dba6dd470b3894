"""What a kernel's run finds: final states, peaks and verdicts, over the lanes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from catapult_theory.codegen.arguments import Arguments, Lanes
from catapult_theory.codegen.buffers import flat_result, refuse_shared, refuse_unfit, store
from catapult_theory.codegen.execution import REAL_VERDICTS, WHOLE_VERDICTS, verdict_kinds
from catapult_theory.errors import InputError


@dataclass(frozen=True)
class RunResult:
    """The outcome of `Kernel.run`, arrays over lanes.

    Parameters
    ----------
    state : mapping of str to array
        The final state; a decided lane keeps the state in which it was decided.
    loss, peak_loss : array
        The data loss at the end, and its largest value from the start to the end.
    peak_step, status, status_step : array of int
        The step of the peak, a `Status`, and the step at which it was reached.
    """

    state: Mapping[str, Any]
    loss: Any
    peak_loss: Any
    peak_step: Any
    status: Any
    status_step: Any

    @property
    def verdicts(self) -> tuple[Any, ...]:
        """loss, peak_loss, peak_step, status, status_step."""
        return self.loss, self.peak_loss, self.peak_step, self.status, self.status_step


def writable(array: Any) -> Any:
    """Return an array that a later run may fill, a copy if need be."""
    return array if array.flags.writeable else array.copy()


def refuse_unfit_result(
    out: Any, names: list[str], asked: Arguments, dtype: str, steps: int
) -> None:
    """Refuse an earlier outcome whose arrays cannot take the new one, of so many steps.

    Raises
    ------
    InputError
        Before anything is written.
    """
    if not isinstance(out, RunResult) or not isinstance(out.state, Mapping):
        raise InputError(f"out must be what an earlier run returned, got {type(out).__name__}")
    if set(out.state) - set(names):
        theirs, own = ", ".join(map(str, out.state)), ", ".join(names)
        raise InputError(f"out is of another map: its state is {theirs}, that of this one is {own}")
    for name, shape in zip(names, asked.state_shapes, strict=True):
        refuse_unfit(f"out.state[{name!r}]", out.state.get(name), shape, dtype)
    shown = [f"out.{name}" for name in (*REAL_VERDICTS, *WHOLE_VERDICTS)]
    for label, buffer, kind in zip(shown, out.verdicts, verdict_kinds(dtype), strict=True):
        refuse_unfit(label, buffer, asked.shape, kind)
        if buffer.dtype.kind == "i" and np.iinfo(buffer.dtype).max < steps:
            raise InputError(f"{label} holds {buffer.dtype}: step {steps} needs one of int64")
    states = {f"out.state[{name!r}]": out.state[name] for name in names}
    refuse_shared({**states, **dict(zip(shown, out.verdicts, strict=True))})


def lanes_into(out: RunResult, names: list[str], asked: Arguments, dtype: str, steps: int) -> Lanes:
    """Return lanes whose states and verdicts are the arrays of an outcome, where their layout is.

    Raises
    ------
    InputError
        If an array cannot take the result; nothing is written then.
    """
    refuse_unfit_result(out, names, asked, dtype, steps)
    states = tuple(
        flat_result(out.state[name], len(tail), dtype)
        for name, tail in zip(names, asked.inner, strict=True)
    )
    verdicts = tuple(
        flat_result(buffer, 0, kind)
        for buffer, kind in zip(out.verdicts, verdict_kinds(dtype), strict=True)
    )
    return replace(asked.lanes((*states, *verdicts)), verdicts=verdicts)


def stored(out: RunResult, found: RunResult) -> RunResult:
    """Return an outcome with the values of another one in its arrays."""
    for name, values in found.state.items():
        store(out.state[name], values)
    for buffer, values in zip(out.verdicts, found.verdicts, strict=True):
        store(buffer, values)
    return out
