"""Naive training loops in plain NumPy, one sample and one lane at a time.

They share nothing with the package: gradients are written out, loops are loops. Tests hold
both the theory and the package's own brute-force training against them.
"""

from __future__ import annotations

import numpy as np


def train_uv(u, v, eta, steps, label=0.0, loss="squared", beta=0.0, omega=0.0):
    """Train f = u.v / sqrt(n); return f, lam and loss at steps 0 .. steps."""
    u, v = np.array(u, dtype=float), np.array(v, dtype=float)
    width = len(u)
    pu, pv = np.zeros(width), np.zeros(width)
    course = {"f": [], "lam": [], "loss": []}
    for _ in range(steps + 1):
        f = sum(u[i] * v[i] for i in range(width)) / width**0.5
        lam = sum(u[i] ** 2 + v[i] ** 2 for i in range(width)) / width
        if loss == "squared":
            value, g = 0.5 * (f - label) ** 2, f - label
        else:
            value, g = np.log1p(np.exp(-label * f)), -label / (1.0 + np.exp(label * f))
        for name, number in (("f", f), ("lam", lam), ("loss", value)):
            course[name].append(number)
        du = g * v / width**0.5 + omega * u
        dv = g * u / width**0.5 + omega * v
        pu, pv = beta * pu - eta * du, beta * pv - eta * dv
        u, v = u + pu, v + pv
    return {name: np.array(values) for name, values in course.items()}


def train_linear(V, U, X, Y, eta, steps, loss="squared", beta=0.0, omega=0.0):
    """Train f(x) = V U^T x / sqrt(n), sample by sample; return W, G, S and loss at all steps."""
    V, U = np.array(V, dtype=float), np.array(U, dtype=float)
    width, samples = V.shape[1], len(X)
    PV, PU = np.zeros_like(V), np.zeros_like(U)
    course = {"W": [], "G": [], "S": [], "loss": []}
    for _ in range(steps + 1):
        dV, dU, total = omega * V, omega * U, 0.0
        for x, y in zip(X, Y, strict=True):
            hidden = U @ x
            f = V @ hidden / width**0.5
            if loss == "squared":
                total += 0.5 * np.sum((f - y) ** 2)
                g = f - y
            else:
                p = np.exp(f - f.max())
                p = p / p.sum()
                total -= np.log(p[np.argmax(y)])
                g = p - y
            dV = dV + np.outer(g, hidden) / width**0.5 / samples
            dU = dU + np.outer(V.T @ g, x) / width**0.5 / samples
        for name, array in (
            ("W", V @ U / width**0.5),
            ("G", U.T @ U / width),
            ("S", V @ V.T / width),
            ("loss", total / samples),
        ):
            course[name].append(array)
        PV, PU = beta * PV - eta * dV, beta * PU - eta * dU
        V, U = V + PV, U + PU
    return {name: np.array(values) for name, values in course.items()}
