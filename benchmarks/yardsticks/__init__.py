"""Hand-written C, compiled on the fly: what ours are measured by."""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import instruction_sets
from benchmarks.measuring import Skipped

HERE = Path(__file__).parent
FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-trapping-math", "-fno-math-errno")
WIDE = "-mprefer-vector-width=512"


@functools.cache
def _folder() -> tempfile.TemporaryDirectory:
    """The folder of compiled libraries; it goes when the process ends."""
    return tempfile.TemporaryDirectory(prefix="yardsticks-")


def needs(instructions: str) -> None:
    """Raise `Skipped` where the processor lacks an instruction set."""
    if instructions not in instruction_sets():
        raise Skipped(f"this processor has no {instructions.upper()}")


@functools.cache
def library(name: str, *flags: str) -> ctypes.CDLL:
    """Compile ``name.c`` with gcc and load it.

    Raises
    ------
    Skipped
        Without gcc, or if it refuses.
    """
    gcc = shutil.which("gcc")
    if gcc is None:
        raise Skipped("gcc is not installed")
    out = Path(_folder().name) / f"{name}{''.join(flags)}.so"
    command = [gcc, *FLAGS, *flags, "-shared", "-fPIC", str(HERE / f"{name}.c"), "-o", str(out)]
    done = subprocess.run([*command, "-lm"], capture_output=True, text=True)
    if done.returncode:
        raise Skipped(f"gcc refuses {name}.c: {done.stderr.strip().splitlines()[0]}")
    return ctypes.CDLL(str(out))


def argument(value: Any) -> Any:
    """Return a Python value as C takes it: int as long, float as double, arrays as pointers."""
    if isinstance(value, np.ndarray):
        return value.ctypes.data_as(ctypes.c_void_p)
    return ctypes.c_long(value) if isinstance(value, int) else ctypes.c_double(value)


def call(function: Any, *values: Any) -> None:
    """Call a C function."""
    function(*(argument(v) for v in values))
