"""Target "jax": pure functions for jit, grad and vmap, and loops through `lax.scan`.

The functions of one step are those of the array target with `jax.numpy` as their library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from catapult_theory.codegen import array_target, jax_loops
from catapult_theory.codegen.arguments import Lanes
from catapult_theory.codegen.array_namespace import is_foreign
from catapult_theory.codegen.bodies import folded, uses
from catapult_theory.codegen.header import header
from catapult_theory.codegen.lowering import Program
from catapult_theory.codegen.storage import load_module
from catapult_theory.errors import InputError

_LOOKUP = re.compile(r"^ +xp = namespace\(.*\)\n", re.MULTILINE)


def emit(update_map: Any, program: Program, dtype: str) -> str:
    """Return the source of a module with ``step``, ``observe_...``, ``run``, ``trajectory``.

    Parameters
    ----------
    update_map : UpdateMap
    program : Program
        From `loop_program`.
    dtype : str

    Returns
    -------
    str
        Needs JAX alone; the same to the byte in every process.

    Examples
    --------
    >>> from catapult_theory.codegen.lowering import loop_program
    >>> from catapult_theory.symbolic import closure, models
    >>> uv = closure.derive(models.uv())
    >>> "lax.scan" in emit(uv, loop_program(uv), "float64")
    True
    """
    margin = "stability_margin" in update_map.observables
    body = "\n\n\n".join(array_target.functions(update_map, program))
    for name, plain in array_target.HELPERS.items():
        body = body.replace(plain, jax_loops.HELPERS.get(name, plain))
    if uses([body], "softplus") and array_target.HELPERS["sigmoid"] not in body:
        body = f"{jax_loops.HELPERS['sigmoid']}\n\n\n{body}"
    loops = jax_loops.loops(program, dtype, margin)
    whole = "\n\n\n".join([jax_loops.imports(program, dtype), body, loops])
    return header(update_map, "jax") + "\n" + folded(_LOOKUP.sub("", whole)) + "\n"


@dataclass(frozen=True)
class JaxExecutor:
    """The JAX target at work on NumPy arrays; XLA decides about its threads.

    Parameters
    ----------
    module : module
        The generated one.
    """

    module: ModuleType

    def taking(self, values: tuple[Any, ...]) -> ModuleType:
        """Return the module, for numbers and arrays of JAX, tracers included.

        Raises
        ------
        InputError
            For arrays of another library; or if float64 is asked for and JAX is kept to float32.
        """
        import jax

        if any(is_foreign(v) and not isinstance(v, jax.Array) for v in values):
            raise InputError(
                "the jax backend takes arrays of NumPy and JAX: convert the arguments, or "
                "compile with backend='array'"
            )
        if jax.dtypes.canonicalize_dtype(self.module.DTYPE) != self.module.DTYPE:
            raise InputError(
                "JAX is kept to float32: at the start of your program, add "
                f"{jax_loops.SWITCH}, or compile with dtype='float32'"
            )
        return self.module

    def run(self, lanes: Lanes, steps: int, threads: int | None) -> tuple[Any, Any]:
        """Return the final states and the verdicts."""
        given = (lanes.states, lanes.parameters, lanes.data, steps)
        states, verdicts = self.taking(()).run(*given)
        real, whole = verdicts[:2], verdicts[2:]
        counts = (np.array(a, np.int64) for a in whole)
        return tuple(map(np.array, states)), (*map(np.array, real), *counts)

    def follow(
        self, lanes: Lanes, steps: int, every: int, rows: tuple[Any, ...], threads: int | None
    ) -> tuple[Any, ...]:
        """Fill the rows with states 0, every, 2 every, ...; return the verdicts."""
        given = (lanes.states, lanes.parameters, lanes.data, steps, every)
        for buffer, values in zip(rows, self.taking(()).trajectory(*given), strict=True):
            buffer[...] = values
        ends, verdicts = self.run(lanes, steps, threads)
        for state, end in zip(lanes.states, ends, strict=True):
            state[...] = end
        return tuple(verdicts)


def load(source: str, update_map: Any, program: Program, dtype: str) -> JaxExecutor:
    """Import a generated source; XLA compiles it at the first call for each shape."""
    return JaxExecutor(load_module(source, ("jax", dtype)))
