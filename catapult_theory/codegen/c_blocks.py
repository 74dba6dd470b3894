"""Runs of scalar maps in the C target: blocks of lanes side by side, for compilers to vectorise.

A block takes some steps at once, with nothing in the innermost loop but selections; a lane for
which it matters goes through them again, one step at a time, from a copy of its state. A lane that
is over leaves its place to the last one of the block. Every lane sees the same operations as alone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from catapult_theory.codegen.bodies import INDENT, WIDTH, names, uses
from catapult_theory.codegen.c_parts import (
    INTEGER,
    WHILE,
    arguments,
    comment_lines,
    declared,
    judgement,
    new_names,
    run_doc,
    signature,
)
from catapult_theory.codegen.c_spelling import Dialect
from catapult_theory.codegen.lowering import Program, judged_names
from catapult_theory.codegen.numba_parts import filled, indented

SETTLE = """{DOC}
{HEAD}
{
{LOAD}
    {REAL} now = NAN, peak = *peak_at;
{LARGEST}
    int64_t when = *when_at, decided = steps, verdict = CATAPULT_UNDECIDED;
{WHILE}
{STORE}
    *now_at = now;
    *peak_at = peak;
    *when_at = when;
    *decided_at = decided;
    return verdict;
}"""

RUN = """{DOC}
{HEAD}
{
    enum { BLOCK = 128, STRETCH = 16, FEW = 8 };
{ARRAYS}
    int64_t when_block[BLOCK], lane_block[BLOCK];
    for (int64_t low = first; low < last; low += BLOCK) {
        int64_t active = 0, t = 0;
        for (int64_t lane = low; lane < last && lane < low + BLOCK; ++lane) {
{TAKE_UP}
            if ({NAN}) {
                loss[lane] = peak_loss[lane] = NAN;
                peak_step[lane] = status_step[lane] = 0;
                status[lane] = CATAPULT_INVALID;
                continue;
            }
{BEGIN}
            when_block[active] = 0;
            lane_block[active++] = lane;
        }
        while (active > 0) {
            const int64_t ahead = active >= FEW && steps - t > STRETCH ? STRETCH : 0;
            const int64_t until = ahead > 0 ? t + ahead : steps;
            for (int64_t j = 0; j < active && ahead > 0; ++j) {
{COPY}
                step_block[j] = -1;
                stop_block[j] = 0;
            }
            for (int64_t i = 0; i < ahead; ++i) {
                for (int64_t j = 0; j < active; ++j) {
                    const {REAL} peak = peak_block[j], step = step_block[j];
{LARGEST_HERE}
                    {REAL} stop = stop_block[j];
{EVALUATE}
                    step_block[j] = now > peak ? ({REAL})i : step;
                    peak_block[j] = now > peak ? now : peak;
{LARGER}
{STOP}
                    stop_block[j] = stop;
{ADVANCE}
                }
            }
            for (int64_t j = active - 1; j >= 0; --j) {
                if (ahead > 0 && stop_block[j] == 0) {
                    when_block[j] = step_block[j] < 0 ? when_block[j] : t + (int64_t)step_block[j];
                    continue;
                }
                if (ahead > 0) {
{RESTORE}
                }
                {REAL} now;
                int64_t decided;
                const int64_t verdict = {SETTLED};
                if (ahead > 0 && verdict == CATAPULT_UNDECIDED) {
                    continue;
                }
                const int64_t lane = lane_block[j], end = --active;
                loss[lane] = now;
                peak_loss[lane] = peak_block[j];
                peak_step[lane] = when_block[j];
                status[lane] = verdict;
                status_step[lane] = decided;
{WRITE}
{CLOSE_UP}
                when_block[j] = when_block[end];
                lane_block[j] = lane_block[end];
            }
            t = until;
        }
    }
}"""


def block_run(
    program: Program, dialect: Dialect, hoisted: Sequence[str], calls: dict[str, str]
) -> list[str]:
    """Return the functions ``settle`` and ``run``.

    Parameters
    ----------
    program : Program
    dialect : Dialect
    hoisted : sequence of str
        What does not change from step to step.
    calls : dict of str to str
        "constants" and "evaluate": the lines that call these functions, with ``&`` before what
        they write; "margin": the expression, or "".

    Returns
    -------
    list of str
    """
    return [_settle(program, dialect, hoisted, calls), _run(program, dialect, hoisted, calls)]


def _settle(
    program: Program, dialect: Dialect, hoisted: Sequence[str], calls: dict[str, str]
) -> str:
    real, state = dialect.real, names(program.state)
    watched = "grad_norm2" in judged_names(program)
    given = [
        *arguments(INTEGER, ["t", "until", "steps"]),
        *arguments(f"{real} *", [f"{x}_at" for x in state]),
        *arguments(real, [*names(program.parameters), *hoisted]),
        *arguments(f"{real} *", ["now_at", "peak_at"]),
        *arguments("double *", ["largest_at"] if watched else []),
        *arguments(f"{INTEGER} *", ["when_at", "decided_at"]),
    ]
    parts = judgement(program, dialect.dtype, calls["margin"])
    loop = filled(WHILE, {**_steps(program, calls), **parts, "RECORD": "", "END": "until"})
    load = [f"{real} {x} = *{x}_at;" for x in state]
    store = [f"*{x}_at = {x};" for x in state]
    passed = [*names(program.parameters), *hoisted]
    unused = [f"(void){x};" for x in passed if not uses([loop], x)]
    doc = (
        "Take a lane from step t on, one step after the other, until it is decided, but no "
        "further than some step; return the verdict."
    )
    return filled(
        SETTLE,
        {
            "DOC": "\n".join(comment_lines(doc)),
            "HEAD": declared(f"static inline int64_t {dialect.prefix}_settle", given),
            "REAL": real,
            "LOAD": indented([*unused, *load], 1),
            "LARGEST": indented(["double largest = *largest_at;"] if watched else [], 1),
            "WHILE": "\n".join(line[4:] for line in loop.splitlines()),
            "STORE": indented([*store, *(["*largest_at = largest;"] if watched else [])], 1),
        },
    )


def _steps(program: Program, calls: dict[str, str]) -> dict[str, str]:
    """Return the fields of the careful loop that are the map's."""
    state, new = names(program.state), new_names(program)
    return {
        "EVALUATE": indented(calls["evaluate"].splitlines(), 3),
        "SOUND": " && ".join(f"isfinite({x})" for x in new),
        "TAKE": indented([f"{x} = {y};" for x, y in zip(state, new, strict=True)], 4),
    }


def _run(program: Program, dialect: Dialect, hoisted: Sequence[str], calls: dict[str, str]) -> str:
    real, state, new = dialect.real, names(program.state), new_names(program)
    given = [*state, *names(program.parameters)]
    rows = [*given, *hoisted]
    watched = "grad_norm2" in judged_names(program)
    copied = [*state, "peak", *(["largest"] if watched else [])]
    real_copies = [x for x in copied if x != "largest"]
    arrays = [*rows, "peak", *(f"{x}_copy" for x in real_copies), "step", "stop"]
    extremes = ["largest", "largest_copy"] if watched else []
    parts = judgement(program, dialect.dtype, calls["margin"])
    head = declared(f"static inline void {dialect.prefix}_run", signature(program, dialect, False))
    begin = [f"{x}_block[active] = {x};" for x in rows]
    begin += ["peak_block[active] = -INFINITY;"]
    begin += ["largest_block[active] = 0.0;"] if watched else []
    stops = [parts["DIVERGED"], *([parts["SMALL"]] if watched else [])]
    stops.append(f"!({' + '.join(f'({x} - {x})' for x in new)} == 0)")
    settled = [
        "t", "until", "steps",
        *(f"&{x}_block[j]" for x in state),
        *(f"{x}_block[j]" for x in rows[len(state):]),
        "&now", "&peak_block[j]",
        *(["&largest_block[j]"] if watched else []),
        "&when_block[j]", "&decided",
    ]  # fmt: skip
    fields = {
        "DOC": "\n".join(comment_lines(run_doc())),
        "HEAD": head,
        "REAL": real,
        "ARRAYS": "\n".join([*_arrays(real, arrays), *_arrays("double", extremes)]),
        "TAKE_UP": indented([f"const {real} {x} = {x}_lanes[lane];" for x in given], 3),
        "NAN": " || ".join(f"isnan({x})" for x in given),
        "BEGIN": indented([*calls["constants"].splitlines(), *begin], 3),
        "COPY": indented([f"{x}_copy_block[j] = {x}_block[j];" for x in copied], 4),
        "LARGEST_HERE": _if(watched, ["double largest = largest_block[j];"], 5),
        "EVALUATE": indented(_here(rows, calls, real), 5),
        "LARGER": _if(
            watched,
            [
                "largest = grad_norm2 > largest ? grad_norm2 : largest;",
                "largest_block[j] = largest;",
            ],
            5,
        ),
        "STOP": indented([f"stop = {test} ? 1 : stop;" for test in stops], 5),
        "ADVANCE": indented(
            [f"{x}_block[j] = {y};" for x, y in zip(state, new, strict=True)], 5
        ),
        "RESTORE": indented([f"{x}_block[j] = {x}_copy_block[j];" for x in copied], 5),
        "SETTLED": f"{dialect.prefix}_settle({', '.join(settled)})",
        "WRITE": indented([f"{x}_lanes[lane] = {x}_block[j];" for x in state], 4),
        "CLOSE_UP": indented(
            [
                f"{x}_block[j] = {x}_block[end];"
                for x in dict.fromkeys([*rows, *copied])
            ],
            4,
        ),
    }  # fmt: skip
    return filled(RUN, fields)


def _arrays(kind: str, rows: Sequence[str]) -> list[str]:
    if not rows:
        return []
    text = f"{kind} {', '.join(f'{x}_block[BLOCK]' for x in rows)};"
    return textwrap.wrap(text, WIDTH, initial_indent=INDENT, subsequent_indent=2 * INDENT)


def _if(wanted: bool, lines: list[str], depth: int) -> str:
    return indented(lines if wanted else [], depth)


def _here(rows: Sequence[str], calls: dict[str, str], real: str) -> list[str]:
    """Return the lines that evaluate lane j of a block."""
    lines = calls["evaluate"].splitlines()
    load = [f"const {real} {x} = {x}_block[j];" for x in rows if uses(lines, x)]
    return [*load, f"{real} now;", *lines]
