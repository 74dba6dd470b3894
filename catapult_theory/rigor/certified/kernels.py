"""The loops over many boxes, compiled once and kept on disk.

Numba's cache looks at the file of the compiled function alone, and would go on using machine code
of an interval arithmetic that has been mended since. So the loops stand in a generated file whose
name depends on every source that is compiled into them.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from types import ModuleType

import numba

from catapult_theory.codegen.storage import load_module
from catapult_theory.rigor.certified import cell as certified_cell
from catapult_theory.rigor.certified import contraction as certified_contraction
from catapult_theory.rigor.certified import covering as certified_covering
from catapult_theory.rigor.certified import image as certified_image
from catapult_theory.rigor.certified import interval as certified_interval
from catapult_theory.rigor.certified import step as certified_step
from catapult_theory.rigor.certified import theorems as certified_theorems

_COMPILED = (
    certified_cell,
    certified_contraction,
    certified_covering,
    certified_image,
    certified_interval,
    certified_step,
    certified_theorems,
)
_SOURCE = '''"""Certified phase maps: the loops over boxes of starts."""

import numpy as np
from numba import njit

from catapult_theory.rigor.certified.cell import certify_cell
from catapult_theory.rigor.certified.contraction import contraction_of
from catapult_theory.rigor.certified.covering import follow


@njit(cache=True, nogil=True, error_model="numpy")
def certify_cells(cells, kappa, table, factors, box, cycle, basin, steps):
    """Return theorem, steps, side to split and trap numbers of many boxes, a row each."""
    count = len(cells)
    theorem, taken = np.zeros(count, np.uint8), np.zeros(count, np.uint16)
    side, data = np.zeros(count, np.uint8), np.zeros((count, 5))
    for i in range(count):
        theorem[i], taken[i], side[i] = certify_cell(
            cells[i], kappa, table, factors, box, cycle, basin, steps, data[i]
        )
    return theorem, taken, side, data


@njit(cache=True, nogil=True, error_model="numpy")
def images(cells, table, factors, box, cycle, steps, number):
    """Return the pixels that each image of each box meets (`covering.follow`), or -1."""
    found = np.full((len(cells), steps, 4), -1, np.int32)
    for i in range(len(cells)):
        follow(cells[i], table, factors, box, cycle, number, found[i])
    return found


@njit(cache=True, error_model="numpy")
def contraction(table, factors, box, corners, period, pieces):
    """Return a bound of the contraction of a box by some steps, or infinity."""
    return contraction_of(table, factors, box, corners, period, pieces)
'''


@cache
def kernels() -> ModuleType:
    """Return the module with ``certify_cells``, ``images`` and ``contraction``.

    Returns
    -------
    module

    Raises
    ------
    OutputError
        If the folder of generated code cannot be written.
    """
    texts = [Path(module.__file__ or "").read_text() for module in _COMPILED]
    sources = hashlib.sha256("".join(texts).encode()).hexdigest()
    return load_module(_SOURCE, ["certified", sources, numba.__version__])
