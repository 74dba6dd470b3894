"""Target "numba": compiled loops over lanes, the time loop inside, decided lanes left early."""

from __future__ import annotations

from typing import Any

from catapult_theory.codegen.array_source import argument_names, function_text
from catapult_theory.codegen.header import header
from catapult_theory.codegen.programs import Lowered, Program
from catapult_theory.codegen.printing import Printer
from catapult_theory.codegen.status import CONVERGED_BELOW, DIVERGED_ABOVE, Status

PRINTER = Printer("np", "max", "min")
JIT = '@njit(nogil=True, cache=True, error_model="numpy")'

IMPORTS = """
import numpy as np
from numba import njit

"""

HELPERS = f'''
{JIT}
def softplus(z):
    """log(1 + exp(z)) without overflow."""
    return np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0.0)
'''

MATRIX_HELPERS = f"""

{JIT}
def total(a):
    return np.sum(a)


{JIT}
def trace(a):
    return np.trace(a)


{JIT}
def softmax(a):
    out = np.empty_like(a)
    for i in range(a.shape[0]):
        e = np.exp(a[i] - np.max(a[i]))
        out[i] = e / np.sum(e)
    return out


{JIT}
def logsumexp(a):
    out = np.empty((a.shape[0], 1), a.dtype)
    for i in range(a.shape[0]):
        top = np.max(a[i])
        out[i, 0] = np.log(np.sum(np.exp(a[i] - top))) + top
    return out


{JIT}
def part(a):
    return np.ascontiguousarray(a)
"""

DECIDE = """
        if size > {LIMIT} or not np.isfinite(loss):
            code = {DIVERGED}
        elif norm <= {SMALL} * top and {MARGIN}:
            code = {CONVERGED}
        if code != 0 or t == steps:
            break
"""

SCALAR_LOOP = """

{JIT}
def advance(steps, every, keep, {ARGS}, out):
    \"\"\"Run one lane; keep states every so many steps; return state, losses and verdict.\"\"\"
    loss, norm, size = watch({ARGS})
    best, best_step, top, code, t = loss, 0, norm, 0, 0
    if {NAN}:
        code = {INVALID}
        loss = np.nan
    while code == 0:
{DECIDE}
        if keep and t % every == 0:
{KEEP}
        {STATE} = step({ARGS})
        loss, norm, size = watch({ARGS})
        t += 1
        top = max(top, norm)
        if loss > best:
            best, best_step = loss, t
    if keep:
        for r in range((t + every - 1) // every, out.shape[1]):
{KEEP_REST}
    return {STATE}, loss, best, best_step, code, t


{JIT}
def run(lo, hi, steps, {ARRAYS}, {OUTS}, loss_, peak_, peak_step_, status_, status_step_):
    \"\"\"Run lanes lo to hi.\"\"\"
    unused = np.empty(({COUNT}, 0), loss_.dtype)
    for i in range(lo, hi):
        {RESULTS}, loss_[i], peak_[i], peak_step_[i], status_[i], status_step_[i] = advance(
            steps, 1, False, {ITEMS}, unused
        )


{JIT}
def trajectory(lo, hi, steps, every, {ARRAYS}, out):
    \"\"\"Fill out (states, kept steps, lanes) for lanes lo to hi.\"\"\"
    for i in range(lo, hi):
        advance(steps, every, True, {ITEMS}, out[:, :, i])
"""

MATRIX_LOOP = """

{JIT}
def run(steps, every, {ARGS}, {KEPT}):
    \"\"\"Run one lane; keep states every so many steps where the buffers have rows.\"\"\"
    loss, norm, size = watch({ARGS})
    best, best_step, top, code, t = loss, 0, norm, 0, 0
    rows = {FIRST_KEPT}.shape[0]
    if {NAN}:
        code = {INVALID}
        loss = np.nan
    while code == 0:
{DECIDE}
        if t % every == 0 and t // every < rows:
{KEEP}
        {STATE} = step({ARGS})
        loss, norm, size = watch({ARGS})
        t += 1
        top = max(top, norm)
        if loss > best:
            best, best_step = loss, t
    for r in range((t + every - 1) // every, rows):
{KEEP_REST}
    return {STATE}, loss, best, best_step, code, t
"""


def emit_numba(update_map: Any, lowered: Lowered, dtype: str) -> str:
    """Return the source of a module with compiled ``step`` and loops.

    Parameters
    ----------
    update_map : UpdateMap
    lowered : Lowered
    dtype : str

    Returns
    -------
    str
    """
    whole = Program("step", (*lowered.hoisted, *lowered.step.assignments), lowered.step.results)
    parts = [header(update_map, "numba"), IMPORTS, HELPERS]
    if update_map.is_matrix:
        parts.append(MATRIX_HELPERS)
    for program, doc in (
        (whole, "One step."),
        (lowered.watch, "Loss, |grad L|^2, size for divergence."),
        *(((lowered.margin, "Positive at a stable minimum."),) if lowered.margin else ()),
    ):
        parts.append(function_text(update_map, program, PRINTER, doc, JIT))
    loop = MATRIX_LOOP if update_map.is_matrix else SCALAR_LOOP
    return "".join(parts) + _filled(loop, _fields(update_map, lowered, dtype))


def _filled(text: str, fields: dict[str, str]) -> str:
    for _ in range(2):  # fields may hold fields
        for key, value in fields.items():
            text = text.replace("{" + key + "}", value)
    return text


def _fields(update_map: Any, lowered: Lowered, dtype: str) -> dict[str, str]:
    names = argument_names(update_map)
    states = [s.name for s in update_map.variables]
    args = ", ".join(names)
    single = len(states) == 1
    fields = {
        "JIT": JIT,
        "ARGS": args,
        "STATE": ", ".join(states),
        "COUNT": str(len(states)),
        "DECIDE": DECIDE.strip("\n"),
        "LIMIT": repr(DIVERGED_ABOVE[dtype]),
        "SMALL": repr(CONVERGED_BELOW),
        "DIVERGED": str(int(Status.DIVERGED)),
        "CONVERGED": str(int(Status.CONVERGED)),
        "INVALID": str(int(Status.INVALID)),
        "MARGIN": f"margin({args}) > 0.0" if lowered.margin else "True",
        "FIRST_KEPT": f"{states[0]}_kept",
        "KEPT": ", ".join(f"{s}_kept" for s in states),
    }
    if update_map.is_matrix:
        fields["NAN"] = (
            "np.isnan(loss + "
            + " + ".join(
                [f"np.sum({s.name})" for s in update_map.variables]
                + [s.name for s in update_map.constants]
            )
            + ")"
        )
        fields["KEEP"] = "\n".join(f"            {s}_kept[t // every] = {s}" for s in states)
        fields["KEEP_REST"] = "\n".join(f"        {s}_kept[r] = {s}" for s in states)
        return fields
    scalars = [s.name for s in (*update_map.variables, *update_map.constants)]
    fields |= {
        "NAN": f"np.isnan({' + '.join(scalars)})",
        "KEEP": "\n".join(f"            out[{i}, t // every] = {s}" for i, s in enumerate(states)),
        "KEEP_REST": "\n".join(f"            out[{i}, r] = {s}" for i, s in enumerate(states)),
        "ARRAYS": ", ".join(f"{s}_" for s in names),
        "ITEMS": ", ".join(f"{s}_[i]" for s in names),
        "OUTS": ", ".join(f"{s}_out" for s in states),
        "RESULTS": ", ".join(f"{s}_out[i]" for s in states),
    }
    del single
    return fields
