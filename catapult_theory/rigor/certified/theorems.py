"""The theorems that end a certificate, each as a finite check in outward-rounded arithmetic.

Orbits of the labelled uv-model: p' = p (1 - a + p (p + kappa)), a' = a - 4 p (p + kappa) + p^2 a,
kappa >= 0, on the domain X = a + 2q >= 0, Y = a - 2q >= 0, q = p + kappa (theory, sections 4.2
and 5). w = a - 4 - kappa p obeys w' = w (1 + kappa p + p^2).

From the theory: **trap_y**, **escape**, **edge**, **T3** and **T4**. Two more are used:

**trap_s.** Let g be real, 0 <= m <= M, e >= 0, 0 <= r < 1, |p_0| <= e, a_0 - g p_0 in [s, S] and

    1 - m + e (e + kappa) <= r,    M - 1 + e kappa <= r,
    D >= |g a - 4 kappa| + e |a - 4 - g kappa| + |g| e^2    for a = m and a = M,
    e D <= (s - |g| e - m)(1 - r),    e D <= (M - S - |g| e)(1 - r).

Then |p_t| <= r^t e and m <= a_t <= M for ever. With g = 0 it is trap_y but for the constant. The
point of g = 4 kappa / a is that p alternates in sign: to first order its pushes on a cancel, and
so do those in a - g p.

**cone.** |p_0| >= 4 + 2 kappa and p_0^2 >= 4 a_0 imply |p_t| >= 5^t |p_0|, so that a_t diverges
too.

Coq checks all of them: derivations/alternating_trap.v and cone.v, with phase_classes.v for what
follows of the orbit, and contracting_cycle.v for cycles (`catapult prove trap_s cone cycle`).
"""

from __future__ import annotations

from numba import njit

from catapult_theory.rigor.certified.interval import Interval, down, mul, size, sqr, sub, up

# The order is that of the codes in a file; the first stands for no certificate.
THEOREMS = ("none", "trap_y", "trap_s", "T3 and T4", "edge", "escape", "cone", "cycle")
NONE, TRAP_Y, TRAP_S, FALL, EDGE, ESCAPE, CONE, CYCLE = range(len(THEOREMS))

# r, m, M, e and g of a trap.
Trap = tuple[float, float, float, float, float]
_NO_TRAP = (2.0, 0.0, 0.0, 0.0, 0.0)
_ROUNDS = 5
# e is stored a little larger than it was found, so that another enclosure of the same orbit,
# rounded in another way, falls below it as well; the room around a is widened likewise.
_MARGIN = 1.0 + 2.0**-20
_LEAST = 1e-30
_WIDENED = 1.05


@njit(error_model="numpy")
def contraction(m: float, most: float, e: float, k: float) -> float:
    """Return an upper bound of the least r that the first two lines of a trap allow."""
    low = up(up(1.0 - m) + up(e * up(e + k)))
    high = up(up(most - 1.0) + up(e * k))
    return max(max(low, high), 0.0)


@njit(error_model="numpy")
def holds(room: float, r: float, needed: float) -> bool:
    """Return whether needed <= room (1 - r) for sure."""
    return room >= 0.0 and down(room * down(1.0 - r)) >= needed


@njit(error_model="numpy")
def trap_y(p: Interval, a: Interval, k: float) -> Trap:
    """Return numbers for which trap_y holds on a box, or r = 2."""
    e = size(p) * _MARGIN + _LEAST
    m, most = a[0], a[1]
    for _ in range(_ROUNDS):
        r = contraction(m, most, e, k)
        if not (m >= 0.0 and r < 1.0):
            return _NO_TRAP
        needed = up(e * up(up(4.0 * up(e + k)) + up(e * most)))
        if holds(down(a[0] - m), r, needed) and holds(down(most - a[1]), r, needed):
            return r, m, most, e, 0.0
        room = needed / (1.0 - r) * _WIDENED + 1e-14
        m, most = a[0] - room, a[1] + room
    return _NO_TRAP


@njit(error_model="numpy")
def drift(a: float, e: float, k: float, g: float) -> float:
    """Return an upper bound of |g a - 4 k| + e |a - 4 - g k| + |g| e^2."""
    first = size(sub(mul((g, g), (a, a)), (4.0 * k, 4.0 * k)))
    second = size(sub(sub((a, a), (4.0, 4.0)), mul((g, g), (k, k))))
    return up(up(first + up(e * second)) + up(abs(g) * up(e * e)))


@njit(error_model="numpy")
def trap_s(p: Interval, s: Interval, k: float, g: float) -> Trap:
    """Return numbers for which trap_s holds on a box with a - g p in s, or r = 2."""
    e = size(p) * _MARGIN + _LEAST
    tilt = up(abs(g) * e)
    m, most = s[0] - tilt, s[1] + tilt
    for _ in range(_ROUNDS):
        r = contraction(m, most, e, k)
        if not (m >= 0.0 and r < 1.0):
            return _NO_TRAP
        needed = up(e * max(drift(m, e, k, g), drift(most, e, k, g)))
        below = down(down(s[0] - tilt) - m)
        above = down(down(most - s[1]) - tilt)
        if holds(below, r, needed) and holds(above, r, needed):
            return r, m, most, e, g
        room = tilt + needed / (1.0 - r) * _WIDENED + 1e-14
        m, most = s[0] - room, s[1] + room
    return _NO_TRAP


@njit(error_model="numpy")
def falls(a: Interval, k: float) -> bool:
    """Return whether T3 and T4 give convergence to a minimum with a < 2: kappa = 0 and a < 2."""
    return k == 0.0 and a[1] < 2.0


@njit(error_model="numpy")
def is_above_edge(w: Interval, k: float) -> bool:
    """Return whether the theorem edge excludes convergence to a stable minimum: w > 0, k < 2."""
    return k < 2.0 and w[0] > 0.0


@njit(error_model="numpy")
def escapes(a: Interval, k: float) -> bool:
    """Return whether the theorem escape applies: kappa > 0 and a >= 4 + 4 kappa."""
    return k > 0.0 and a[0] >= up(4.0 + up(4.0 * k))


@njit(error_model="numpy")
def in_cone(p: Interval, a: Interval, k: float) -> bool:
    """Return whether the lemma cone gives divergence."""
    if p[0] <= 0.0 <= p[1]:
        return False
    least = min(abs(p[0]), abs(p[1]))
    return least >= up(4.0 + up(2.0 * k)) and sqr(p)[0] >= up(4.0 * a[1])
