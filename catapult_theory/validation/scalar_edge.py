"""The edge of divergence of the uv-model at any width, from Gaussian starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from catapult_theory.codegen.kernel import compile as compile_kernel
from catapult_theory.codegen.status import Status
from catapult_theory.networks import gaussian_start
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.update_map import UpdateMap
from catapult_theory.validation.bisection import first_boundary

# Off the edge itself: at eta*lam0 = 4 exactly the orbit is chaotic and rounding decides.
LOW, HIGH, STRIDE = 3.1, 6.1, 0.25


@dataclass(frozen=True, eq=False)
class EdgeResult:
    """Brackets of the first diverging eta*lam0 of the uv-model.

    Parameters
    ----------
    widths : tuple of int
    low, high : array, shape (widths, seeds)
    """

    widths: tuple[int, ...]
    low: Any
    high: Any

    def contains(self, value: float) -> bool:
        """Whether every bracket contains the value."""
        return bool(((self.low <= value) & (value <= self.high)).all())


def scalar_edge(
    widths: Sequence[int] = (4, 100, 10**4, 10**10),
    seeds: int = 20,
    steps: int = 5000,
    tolerance: float = 0.01,
    altered: Callable[[UpdateMap], UpdateMap] | None = None,
) -> EdgeResult:
    """Measure the first diverging eta*lam0 of the uv-model with label 0.

    Parameters
    ----------
    widths : sequence of int
    seeds : int
    steps : int
    tolerance : float
        Width of the brackets.
    altered : callable, optional
        Applied to the derived map, for negative controls.

    Returns
    -------
    EdgeResult

    Examples
    --------
    >>> scalar_edge(widths=[10, 10**6], seeds=3).contains(4.0)
    True
    """
    update_map = derive(models.uv())
    kernel = compile_kernel(update_map if altered is None else altered(update_map), "auto")
    n = np.repeat(np.asarray(widths, dtype=float), seeds)
    law = gaussian_start(seeds=range(seeds))
    gram = np.concatenate([np.reshape(law.gram(2, width), (-1, 2, 2)) for width in widths])
    state = update_map.state_from_gram(gram, n)

    def diverges(rate: Any) -> Any:
        result = kernel.run(state, steps, eta=rate / state["lam"], n=n)
        return np.asarray(result.status) == Status.DIVERGED

    found = first_boundary(diverges, LOW, HIGH, STRIDE, tolerance)
    shape = (len(widths), seeds)
    return EdgeResult(tuple(widths), found.low.reshape(shape), found.high.reshape(shape))
