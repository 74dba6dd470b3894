"""Pieces that scalar and matrix loops of the Numba target have in common."""

from __future__ import annotations

from catapult_theory.codegen.lowering import Program

JIT = '@njit(nogil=True, cache=True, error_model="numpy")'


def indented(lines: list[str], depth: int) -> str:
    """Return lines as text, indented that many levels."""
    return "\n".join("    " * depth + line for line in lines)


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


def filled(template: str, fields: dict[str, str]) -> str:
    """Return a template with its fields replaced; lines left empty are dropped.

    Parameters
    ----------
    template : str
    fields : dict

    Returns
    -------
    str
    """
    for key, value in fields.items():
        template = template.replace("{" + key + "}", value)
    return "\n".join(line for line in template.splitlines() if line.strip())
