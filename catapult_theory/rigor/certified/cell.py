"""The certificate of one box of starts: its image after t steps, then one of the theorems.

The image is enclosed twice, and the enclosures are intersected: step by step in intervals, and by
`certified_image`, which follows the box as a parallelogram.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from catapult_theory.rigor.certified.covering import (
    are_covered,
    coordinates,
    is_in_cycle,
    pixels,
)
from catapult_theory.rigor.certified.image import (
    advance,
    below_edge,
    combination,
    is_small,
    is_usable,
    longer_side,
    start,
)
from catapult_theory.rigor.certified.interval import size, sub
from catapult_theory.rigor.certified.step import Table, affine, entry
from catapult_theory.rigor.certified.theorems import (
    CONE,
    CYCLE,
    EDGE,
    ESCAPE,
    FALL,
    NONE,
    TRAP_S,
    TRAP_Y,
    escapes,
    falls,
    in_cone,
    is_above_edge,
    trap_s,
    trap_y,
)

# A trap is looked for once |p| is below this.
NEAR = 0.5
STEPS_ABOVE = 16


@njit(error_model="numpy")
def above(state: tuple, table: Table, box: Table, k: float) -> tuple[int, int]:
    """Return theorem and steps for a box on which a minimum is out of reach, or may be."""
    for t in range(STEPS_ABOVE):
        a = combination(state, entry(box, 2, 0), entry(box, 2, 1), entry(box, 2, 2))
        if in_cone(state[0], a, k):
            return CONE, t
        state = advance(table, state)
        if not is_small(state):
            break
    return NONE, 0


@njit(error_model="numpy")
def certify_cell(
    cell: NDArray[np.float64],
    kappa: float,
    table: Table,
    factors: Table,
    box: Table,
    cycle: NDArray[np.float64],
    basin: NDArray[np.int32],
    steps: int,
    data: NDArray[np.float64],
) -> tuple[int, int, int]:
    """Return theorem, steps and the side to split; the numbers of a trap go into ``data``.

    ``cycle`` is (low X, high X, largest Y) of the box that a cycle contracts, or empty; ``basin``
    the table of sums of the cells known to lead into it.
    """
    state = start(factors, cell)
    side = longer_side(state)
    w = state[1]
    if w[0] > 0.0 or kappa >= 2.0:
        theorem, t = above(state, table, box, kappa)
        if theorem == NONE:
            a = affine(box, 2, state[0], w)
            theorem = EDGE if is_above_edge(w, kappa) else ESCAPE if escapes(a, kappa) else NONE
        return theorem, t, side
    if w[1] >= 0.0:
        return NONE, 0, side
    for t in range(steps):
        p, w = state[0], state[1]
        a = combination(state, entry(box, 2, 0), entry(box, 2, 1), entry(box, 2, 2))
        if falls(a, kappa):
            return FALL, t, side
        if kappa < 1.0 and size(p) < NEAR and a[0] > 0.0 and a[1] < 2.0:
            trap = trap_y(p, a, kappa)
            if trap[0] < 1.0:
                data[:] = trap
                return TRAP_Y, t, side
            g = 8.0 * kappa / (a[0] + a[1])
            by_p = sub(entry(box, 2, 1), (g, g))
            s = combination(state, entry(box, 2, 0), by_p, entry(box, 2, 2))
            trap = trap_s(p, s, kappa, g)
            if trap[0] < 1.0:
                data[:] = trap
                return TRAP_S, t, side
        if cycle.size:
            x, y = coordinates(state, box)
            found = pixels(x, y, len(basin) - 1)
            if is_in_cycle(x, y, cycle) or are_covered(basin, found):
                return CYCLE, t, side
        state = advance(table, state)
        side = longer_side(state)
        state = below_edge(state)
        if not is_usable(state):
            break
    return NONE, 0, side
