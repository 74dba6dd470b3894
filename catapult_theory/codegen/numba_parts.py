"""Pieces that scalar and matrix loops of the Numba target have in common."""

from __future__ import annotations

from collections.abc import Mapping

from catapult_theory.codegen.bodies import names
from catapult_theory.codegen.lowering import Program

JIT = '@njit(nogil=True, cache=True, error_model="numpy")'

LOOP = '''{JIT}
def {NAME}(first, last, steps, {EXTRA}{INPUTS}, loss, peak_loss, peak_step, status, status_step):
    """Run lanes first to last - 1; the states are replaced by the final ones.

    Fill loss, peak_loss, peak_step, status and status_step, one number a lane; return nothing.
    {DOC}"""
{SIZES}
{BUFFERS}
{PREPARE}
    for lane in range(first, last):
{LOAD}
        peak, when, largest, now = -np.inf, 0, 0.0, np.nan
        verdict, decided, t = UNDECIDED, steps, 0
        if {NAN}:
            verdict, decided, peak, t = INVALID, 0, np.nan, -1
        while verdict == UNDECIDED:
            {RESULTS} = evaluate({ARGUMENTS})
{RECORD}
            if now > peak or t == 0:
                peak, when = now, t
{LARGEST}
            if {DIVERGED}:
                verdict, decided = DIVERGED, t
{CONVERGED}
            elif t == steps:
                break
            elif {OVERFLOWED}:
                verdict, decided = DIVERGED, t + 1
            else:
{SWAP}
                t += 1
{FILL}
        loss[lane], peak_loss[lane], peak_step[lane] = now, peak, when
        status[lane], status_step[lane] = verdict, decided
{STORE}'''


def indented(lines: list[str], depth: int) -> str:
    """Return lines as text, indented that many levels."""
    return "\n".join("    " * depth + line for line in lines)


def time_loop(program: Program, parts: Mapping[str, str], kept: bool) -> str:
    """Return the function ``run`` over lanes, or ``trajectory``, which keeps states.

    Parameters
    ----------
    program : Program
    parts : mapping of str to str
        What differs between numbers and matrices, by field of `LOOP`.
    kept : bool
        Whether it is the trajectory.

    Returns
    -------
    str
    """
    state = names(program.state)
    fields = {
        "NAME": "run", "DOC": "", "EXTRA": "", "RECORD": "", "FILL": "",
        "STORE": indented([f"{x}_lanes[lane] = {x}" for x in state], 2),
    }  # fmt: skip
    if kept:
        record = ["if t % every == 0:", *(f"    {x}_rows[t // every, lane] = {x}" for x in state)]
        fill = [
            "for row in range((t + every) // every, steps // every + 1):",
            *(f"    {x}_rows[row, lane] = {x}" for x in state),
        ]
        fields |= {
            "NAME": "trajectory",
            "DOC": "Fill the rows with steps 0, every, 2 every, ...\n    ",
            "EXTRA": f"every, {', '.join(f'{x}_rows' for x in state)}, ",
            "RECORD": indented(record, 3),
            "FILL": indented(fill, 2),
        }
    return filled(LOOP, {**fields, **parts})


def judgement(program: Program, margin: str) -> dict[str, str]:
    """Return the parts of a time loop that depend on what there is to judge by.

    Parameters
    ----------
    program : Program
    margin : str
        The call that gives the stability margin, or "".

    Returns
    -------
    dict of str to str
        "LARGEST", "DIVERGED", "CONVERGED".
    """
    judged = [name for name, _ in program.outputs]
    parts = {"DIVERGED": "size > BOUND" if "size" in judged else "now > BOUND"}
    if "grad_norm2" not in judged:
        return {**parts, "LARGEST": "", "CONVERGED": ""}
    small = "grad_norm2 <= TOLERANCE * largest"
    if "rounding" in judged:
        small = f"({small} or grad_norm2 <= ROUNDING * rounding)"
    stable = f" and {margin} > 0.0" if margin else ""
    return {
        **parts,
        "LARGEST": indented(["if grad_norm2 > largest:", "    largest = grad_norm2"], 3),
        "CONVERGED": indented([f"elif {small}{stable}:", "    verdict, decided = CONVERGED, t"], 3),
    }


def filled(template: str, fields: Mapping[str, str]) -> str:
    """Return a template with its fields replaced; lines left empty are dropped.

    Parameters
    ----------
    template : str
    fields : mapping

    Returns
    -------
    str
    """
    for key, value in fields.items():
        template = template.replace("{" + key + "}", value)
    return "\n".join(line for line in template.splitlines() if line.strip())
