"""Orbits by brute force, to hold against certified phase maps.

Gradient descent on two real weights u and v of the network f = u v at width 1 and eta = 1, label
kappa: X = (u + v)^2 and Y = (u - v)^2 reach every start in the quadrant. No formula of
the theory is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import catapult_theory as ct
from catapult_theory.rigor.certified.phase_map import KINDS
from catapult_theory.rigor.certified.theorems import THEOREMS

ESCAPED = 1e6
# Round-off over a few thousand steps of a bounded orbit, in p and a.
ROUND_OFF = 1e-9


@dataclass(frozen=True)
class Ends:
    """Where orbits are after some steps: residual, curvature, whether they left every bound."""

    p: np.ndarray
    a: np.ndarray
    escaped: np.ndarray


def descend(u, v, kappa, steps):
    escaped = np.zeros(u.shape, bool)
    for _ in range(steps):
        g = u * v - kappa
        u, v = u - g * v, v - g * u
        escaped |= ~(np.abs(u) + np.abs(v) < ESCAPED)
        u, v = np.where(escaped, 0.0, u), np.where(escaped, 0.0, v)
    return u, v, escaped


def ends(x, y, kappa, steps):
    u, v = (np.sqrt(x) + np.sqrt(y)) / 2, (np.sqrt(x) - np.sqrt(y)) / 2
    u, v, escaped = descend(u, v, kappa, steps)
    return Ends(u * v - kappa, u * u + v * v, escaped)


def contradictions(phase_map, x, y, steps):
    """Which starts do not do what their cell's certificate says."""
    rows = phase_map.cell_at(x, y)
    kind = np.array(KINDS)[phase_map.kind[rows]]
    theorem = np.array(THEOREMS)[phase_map.theorem[rows]]
    end = ends(x, y, phase_map.kappa, steps)
    r, m, most, e = phase_map.trap[rows, :4].T
    left = steps - phase_map.steps[rows].astype(int)
    trapped = np.char.startswith(theorem, "trap")
    inside = (np.abs(end.p) <= e * r**left + ROUND_OFF) & (end.a >= m - ROUND_OFF)
    wrong = trapped & ~(inside & (end.a <= most + ROUND_OFF))
    wrong |= (theorem == "T3 and T4") & ~(end.a < 2 + ROUND_OFF)
    wrong |= (kind == "converges") & end.escaped
    settled = (np.abs(end.p) < 1e-6) & (end.a <= 2) & ~end.escaped
    wrong |= np.isin(kind, ("no stable minimum", "cycles", "diverges")) & settled
    wrong |= (kind == "diverges") & ~end.escaped
    if phase_map.cycle is not None:
        later = ends(x, y, phase_map.kappa, steps + phase_map.cycle.period)
        repeats = (np.abs(later.p - end.p) < 1e-6) & ~end.escaped & (np.abs(end.p) > 1e-3)
        wrong |= (kind == "cycles") & ~repeats
    return wrong


def starts(number, seed, side=8.0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, side, number), rng.uniform(0, side, number)


def count(kappa, number, steps, levels, seed=0, chunk=100_000):
    """Return how many starts were compared, on certified cells, and how many contradict them."""
    phase_map = ct.certify(kappa, levels=levels, budget=600.0)
    compared = wrong = 0
    for i in range(0, number, chunk):
        x, y = starts(min(chunk, number - i), seed + i)
        compared += int((phase_map.kind_at(x, y) != "open").sum())
        wrong += int(contradictions(phase_map, x, y, steps).sum())
    return compared, wrong
