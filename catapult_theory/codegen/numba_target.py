"""Target "numba": compiled loops over lanes with the time loop inside.

Lanes do not depend on one another, and no reassociation is allowed, so that the bits of a
lane are the same for any number of threads and any split into chunks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from catapult_theory.codegen import numba_matrix
from catapult_theory.codegen.backends import Executor
from catapult_theory.codegen.bodies import folded, function, names, packed, uses
from catapult_theory.codegen.header import header
from catapult_theory.codegen.lowering import Program, expression_program, next_name
from catapult_theory.codegen.numba_parts import JIT, indented, judgement, time_loop
from catapult_theory.codegen.numba_spelling import numba_spelling
from catapult_theory.codegen.passes import STEP
from catapult_theory.codegen.spelling import write
from catapult_theory.codegen.status import LIMITS
from catapult_theory.codegen.storage import load_module

IMPORTS = """import numpy as np
from numba import njit

UNDECIDED, CONVERGED, DIVERGED, INVALID = 0, 1, 2, 3
BOUND = {BOUND}
TOLERANCE = {TOLERANCE}
ROUNDING = {ROUNDING}"""

SOFTPLUS = f'''{JIT}
def softplus(x):
    """log(1 + exp(x)) without overflow."""
    return np.log1p(np.exp(-np.abs(x))) + {{HALF}} * (x + np.abs(x))'''

SIGMOID = f'''{JIT}
def sigmoid(x):
    """1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(x))
    return ({{ONE}} if x >= 0.0 else small) / ({{ONE}} + small)'''


def emit(update_map: Any, program: Program, dtype: str) -> str:
    """Return the source of a module with compiled ``step``, ``run`` and ``trajectory``.

    Parameters
    ----------
    update_map : UpdateMap
    program : Program
        From `loop_program`.
    dtype : str

    Returns
    -------
    str
        Standalone; the same to the byte in every process.
    """
    if program.is_matrix:
        body = numba_matrix.functions(update_map, program, dtype)
    else:
        body = _scalar_functions(update_map, program, dtype)
    helpers = {"softplus": SOFTPLUS, "sigmoid": SIGMOID, **numba_matrix.HELPERS}
    text = "\n\n\n".join(body)
    used = [code for name, code in helpers.items() if uses([text], name)]
    limits = LIMITS[dtype]
    top = IMPORTS + ("\nF = np.float32" if dtype == "float32" else "")
    top += numba_matrix.imports(text)
    whole = "\n\n\n".join([top, *used, text])
    one = "1.0" if dtype == "float64" else "F(1.0)"
    fields = {
        "{BOUND}": repr(limits.bound),
        "{TOLERANCE}": repr(limits.tolerance),
        "{ROUNDING}": repr(limits.rounding),
        "{ONE}": one,
        "{HALF}": one.replace("1.0", "0.5"),
        "{JIT}": JIT,
    }
    for key, value in fields.items():
        whole = whole.replace(key, value)
    return header(update_map, "numba") + "\n" + folded(whole) + "\n"


def load(source: str, update_map: Any, program: Program, dtype: str) -> Executor:
    """Import a generated source; Numba compiles it at the first call, or reads its cache."""
    import numba

    key = ("numba", dtype, numba.__version__, np.__version__)
    return numba_matrix.executor(load_module(source, key), dtype)


def _lines(program: Program, dtype: str, levels: tuple[int, ...]) -> list[str]:
    how = numba_spelling(dtype, frozenset())
    return [f"{a.name} = {write(a.value, how)}" for a in program.assignments if a.level in levels]


def _outputs(program: Program, dtype: str) -> list[str]:
    how = numba_spelling(dtype, frozenset())
    return [f"{name} = {write(node, how)}" for name, node in program.outputs]


def _scalar_functions(update_map: Any, program: Program, dtype: str) -> list[str]:
    given = names(program.state, program.parameters)
    hoisted = [a.name for a in program.assignments if a.level < STEP]
    texts = []
    if hoisted:
        head = f"constants({', '.join(names(program.parameters))})"
        doc = "What stays the same from step to step."
        texts.append(function(head, doc, _lines(program, dtype, (0, 1)), packed(hoisted), JIT))
    texts.append(_step(program, dtype))
    results = [name for name, _ in program.outputs]
    doc = f"Return {', '.join(results)}."
    lines = [*_lines(program, dtype, (2,)), *_outputs(program, dtype)]
    head = f"evaluate({', '.join([*given, *hoisted])})"
    texts.append(function(head, doc, lines, ", ".join(results), JIT))
    margin = update_map.observables.get("stability_margin")
    if margin is not None:
        texts.append(_observable(update_map, "stability_margin", margin, dtype))
    texts += [_loop(program, kept, margin is not None) for kept in (False, True)]
    return texts


def _step(program: Program, dtype: str) -> str:
    new = [next_name(i.code) for i in program.state]
    part = program.restricted(new)
    lines = [*_lines(part, dtype, (0, 1, 2)), *_outputs(part, dtype)]
    head = f"step({', '.join(names(program.state, program.parameters))})"
    return function(head, "One step.", lines, packed(new), JIT)


def _observable(update_map: Any, name: str, expression: Any, dtype: str) -> str:
    program = expression_program(update_map, {name: expression})
    ((_, node),) = program.outputs
    head = f"{name}({', '.join(names(program.state, program.parameters))})"
    doc = "Positive where a minimum at this state is linearly stable."
    result = write(node, numba_spelling(dtype, frozenset()))
    return function(head, doc, _lines(program, dtype, (0, 1, 2)), result, JIT)


def _loop(program: Program, kept: bool, margin: bool) -> str:
    state, parameters = names(program.state), names(program.parameters)
    given = [*state, *parameters]
    hoisted = [a.name for a in program.assignments if a.level < STEP]
    load = [f"{x} = {x}_lanes[lane]" for x in given]
    if hoisted:
        load.append(f"{packed(hoisted)[1:-1]} = constants({', '.join(parameters)})")
    new = [next_name(i.code) for i in program.state]
    parts = {
        "SIZES": "", "BUFFERS": "", "PREPARE": "",
        "INPUTS": ", ".join(f"{x}_lanes" for x in given),
        "LOAD": indented(load, 2),
        "NAN": " or ".join(f"np.isnan({x})" for x in given),
        "RESULTS": ", ".join("now" if k == "loss" else k for k, _ in program.outputs),
        "ARGUMENTS": ", ".join([*given, *hoisted]),
        "OVERFLOWED": f"not ({' and '.join(f'np.isfinite({x})' for x in new)})",
        "SWAP": indented([f"{', '.join(state)} = {', '.join(new)}"], 4),
        **judgement(program, f"stability_margin({', '.join(given)})" if margin else ""),
    }  # fmt: skip
    return time_loop(program, parts, kept)
