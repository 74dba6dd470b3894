"""Pieces that scalar and matrix maps of the C target have in common: functions, the time loop."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from catapult_theory.codegen.bodies import INDENT, WIDTH, names, uses
from catapult_theory.codegen.c_spelling import Dialect
from catapult_theory.codegen.lowering import Program, judged_names, next_name
from catapult_theory.codegen.numba_parts import filled, indented
from catapult_theory.codegen.status import LIMITS

INTEGER = "int64_t"


@dataclass(frozen=True)
class Argument:
    """A parameter of a C function.

    Parameters
    ----------
    type : str
        With the star of a pointer.
    name : str
    """

    type: str
    name: str

    def __str__(self) -> str:
        return f"{self.type}{'' if self.type.endswith('*') else ' '}{self.name}"


def arguments(type: str, names: Iterable[str]) -> list[Argument]:
    """Return several parameters of one type."""
    return [Argument(type, name) for name in names]


def declared(head: str, given: Sequence[Argument]) -> str:
    """Return the first lines of a function, broken between its parameters.

    Parameters
    ----------
    head : str
        Result and name.
    given : sequence of Argument

    Returns
    -------
    str

    Examples
    --------
    >>> declared("static inline void set", arguments("int64_t *", "ab"))
    'static inline void set(int64_t *a, int64_t *b)'
    """
    lines = [f"{head}("]
    for i, argument in enumerate(given):
        text = f"{argument}{',' if i + 1 < len(given) else ')'}"
        if len(lines[-1]) + len(text) >= WIDTH:
            lines.append(INDENT + text)
        else:
            lines[-1] += text if i == 0 else f" {text}"
    return "\n".join(lines)


def function(
    doc: str, head: str, given: Sequence[Argument], lines: Sequence[str], result: str = "void"
) -> str:
    """Return a function; what the body leaves out is marked as unused.

    Parameters
    ----------
    doc : str
    head : str
        The name.
    given : sequence of Argument
    lines : sequence of str
        The body, without indentation of its own.
    result : str
        The type of what it returns.

    Returns
    -------
    str

    Examples
    --------
    >>> print(function("Twice x.", "twice", arguments("double *", "x"), ["*x *= 2.0;"]))
    /* Twice x. */
    static inline void twice(double *x)
    {
        *x *= 2.0;
    }
    """
    unused = [f"(void){a.name};" for a in given if not uses(lines, a.name)]
    body = [f"{INDENT}{line}" for line in (*unused, *lines)]
    top = declared(f"static inline {result} {head}", given)
    return "\n".join([*comment_lines(doc), top, "{", *body, "}"])


def comment_lines(text: str) -> list[str]:
    """Return a comment as lines."""
    return textwrap.wrap(f"/* {text} */", WIDTH, subsequent_indent="   ")


def needed(given: Iterable[Argument], lines: Sequence[str]) -> list[Argument]:
    """Return the parameters that occur in a body."""
    return [a for a in given if uses(lines, a.name)]


WHILE = """        while (verdict == CATAPULT_UNDECIDED) {
{EVALUATE}
{RECORD}
            if (now > peak || t == 0) {
                peak = now;
                when = t;
            }
{LARGER}
            if ({DIVERGED}) {
                verdict = CATAPULT_DIVERGED;
                decided = t;
{CONVERGED}
            } else if (t == {END}) {
                break;
            } else if (!({SOUND})) {
                verdict = CATAPULT_DIVERGED;
                decided = t + 1;
            } else {
{TAKE}
                ++t;
            }
        }"""

LOOP = """{DOC}
{HEAD}
{
{ONCE}
    for (int64_t lane = first; lane < last; ++lane) {
{LOAD}
        {REAL} now = NAN, peak = -INFINITY;
{LARGEST}
        int64_t when = 0, decided = steps, t = 0, verdict = CATAPULT_UNDECIDED;
        if ({NAN}) {
            verdict = CATAPULT_INVALID;
            decided = 0;
            peak = NAN;
            t = -1;
        }
{WHILE}
{FILL}
        loss[lane] = now;
        peak_loss[lane] = peak;
        peak_step[lane] = when;
        status[lane] = verdict;
        status_step[lane] = decided;
{STORE}
    }
}"""


def judgement(program: Program, dtype: str, margin: str) -> dict[str, str]:
    """Return the parts of the time loop that depend on what there is to judge by.

    Parameters
    ----------
    program : Program
    dtype : str
    margin : str
        The call that gives the stability margin, or "".

    Returns
    -------
    dict of str to str
        "LARGEST", "LARGER", "DIVERGED", "CONVERGED", and "SMALL", the test of the gradient alone.
    """
    judged, limits = judged_names(program), LIMITS[dtype]
    size = "size" if "size" in judged else "now"
    parts = {"DIVERGED": f"{size} > {limits.bound!r}"}
    if "grad_norm2" not in judged:
        return {**parts, "LARGEST": "", "LARGER": "", "CONVERGED": "", "SMALL": ""}
    small = f"grad_norm2 <= {limits.tolerance!r} * largest"
    if "rounding" in judged:
        small = f"({small} || grad_norm2 <= {limits.rounding!r} * rounding)"
    stable = f" && {margin} > 0" if margin else ""
    head = [f"}} else if ({small}{stable}) {{"]
    body = ["    verdict = CATAPULT_CONVERGED;", "    decided = t;"]
    larger = ["if (grad_norm2 > largest) {", "    largest = grad_norm2;", "}"]
    return {
        **parts,
        "LARGEST": indented(["double largest = 0.0;"], 2),
        "LARGER": indented(larger, 3),
        "CONVERGED": indented([*head, *body], 3),
        "SMALL": small,
    }


def signature(program: Program, dialect: Dialect, kept: bool) -> list[Argument]:
    """Return the parameters of ``run`` or, where states are kept, of ``trajectory``.

    Parameters
    ----------
    program : Program
    dialect : Dialect
    kept : bool

    Returns
    -------
    list of Argument
    """
    real, state = dialect.real, names(program.state)
    extra = ["every", "lanes"] if kept else []
    rows = [f"{x}_rows" for x in state] if kept else []
    return [
        *arguments(INTEGER, ["first", "last", "steps", *extra, *program.dims]),
        *arguments(f"{real} *", [*rows, *(f"{x}_lanes" for x in state)]),
        *arguments(f"const {real} *", [f"{x}_lanes" for x in names(program.parameters)]),
        *arguments(f"const {real} *", names(program.data)),
        *arguments(f"{real} *", ["loss", "peak_loss"]),
        *arguments(f"{INTEGER} *", ["peak_step", "status", "status_step"]),
        *arguments(f"{real} *", ["workspace"] if program.is_matrix else []),
    ]


def loop(program: Program, dialect: Dialect, kept: bool, fields: dict[str, str]) -> str:
    """Return ``run`` or ``trajectory``.

    Parameters
    ----------
    program : Program
    dialect : Dialect
    kept : bool
        Whether states are kept.
    fields : dict of str to str
        What depends on the kind of the state: "ONCE", "LOAD", "NAN", "EVALUATE", "SOUND",
        "TAKE", "STORE", the parts of the judgement, "KEEP" (lines that write to ``row``).

    Returns
    -------
    str
    """
    keep = fields.pop("KEEP")
    given = signature(program, dialect, kept)
    name = "trajectory" if kept else "run"
    record, fill = "", ""
    if kept:
        record = indented(
            [
                "if (t % every == 0) {",
                "    const int64_t row = t / every;",
                *(f"    {line}" for line in keep.splitlines()),
                "}",
            ],
            3,
        )
        fill = indented(
            [
                "for (int64_t row = (t + every) / every; row <= steps / every; ++row) {",
                *(f"    {line}" for line in keep.splitlines()),
                "}",
            ],
            2,
        )
    return filled(
        LOOP,
        {
            "WHILE": WHILE,
            "END": "steps",
            **fields,
            "DOC": "\n".join(comment_lines(_doc(program, dialect, kept))),
            "HEAD": declared(f"static inline void {dialect.prefix}_{name}", given),
            "REAL": dialect.real,
            "RECORD": record,
            "FILL": fill,
        },
    )


def _doc(program: Program, dialect: Dialect, kept: bool) -> str:
    own = dialect.prefix
    if kept:
        return (
            f"As {own}_run; keeps the states of steps 0, every, 2 every, ... in "
            "..._rows[step / every][lane][...], steps / every + 1 rows of that many lanes."
        )
    text = run_doc()
    if program.is_matrix:
        text += f" The workspace has {own}_workspace(...) entries, one for each thread."
    return text


def run_doc() -> str:
    """Return what ``run`` does."""
    return (
        "Run lanes first to last - 1 for that many steps; states are replaced by the final ones. "
        "Lanes do not depend on one another: threads may share the arrays."
    )


def new_names(program: Program) -> list[str]:
    """Return the names of the state after the step."""
    return [next_name(i.code) for i in program.state]
