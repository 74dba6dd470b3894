"""How fast are many independent uv-models, beside NumPy and lambdified SymPy?"""

from __future__ import annotations

import numpy as np
import sympy as sp

import catapult_theory as ct
from benchmarks.measuring import Measured, interleaved

LANES, STEPS, WIDTH = 20_000, 200, 4096.0


def contestants() -> dict:
    """The same lanes and steps, all of them lanes that neither converge nor diverge at once."""
    uv = ct.derive(ct.models.uv())
    rng = np.random.default_rng(0)
    f0, lam0 = rng.normal(size=LANES), np.full(LANES, 2.0)
    eta = rng.uniform(1.02, 1.3, LANES)
    kernel = ct.compile(uv, "numba")
    array = ct.compile(uv, "array")
    start = {"f": f0, "lam": lam0}
    step = sp.lambdify(
        [*uv.variables, *uv.constants], [uv.updates[s] for s in uv.variables], "numpy", cse=True
    )

    def naive() -> object:
        f, lam = f0, lam0
        peak = 0.5 * f**2
        for _ in range(STEPS):
            f, lam = (
                f * (1 - eta * lam + eta**2 * f**2 / WIDTH),
                lam + eta * f**2 / WIDTH * (eta * lam - 4),
            )
            peak = np.maximum(peak, 0.5 * f**2)
        return f, lam, peak

    def lambdified() -> object:
        f, lam = f0, lam0
        peak = 0.5 * f**2
        for _ in range(STEPS):
            f, lam = step(f, lam, eta, WIDTH)
            peak = np.maximum(peak, 0.5 * f**2)
        return f, lam, peak

    return {
        "numba, one thread": lambda: kernel.run(start, STEPS, eta=eta, n=WIDTH, threads=1),
        "numba, all cores": lambda: kernel.run(start, STEPS, eta=eta, n=WIDTH),
        "array target on NumPy": lambda: array.run(start, STEPS, eta=eta, n=WIDTH),
        "NumPy, written by hand": naive,
        "sympy.lambdify(cse=True)": lambdified,
    }


def measure(rounds: int) -> tuple[str, list[Measured], float, str]:
    """Title, results, units of work and their name."""
    title = f"uv-model: {LANES} lanes x {STEPS} steps with peak and status"
    return title, interleaved(contestants(), rounds), LANES * STEPS, "a lane-step"
