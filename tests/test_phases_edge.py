"""The edge of the labelled uv-model against raw training of width 1 to 40.

The brute force below knows only u and v, the loss and the chain rule.
"""

from __future__ import annotations

import numpy as np
import pytest

from catapult_theory.phases.bounds import phase_bounds
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive

WIDEST = 40
STEPS = 3000
# Below the edge eta lam <= 4 + 2 kappa < 8 for ever (theory, section 5), so this is far outside.
OUTSIDE = 1e4


def starts(lanes: int, seed: int):
    """Random widths, vectors (zero beyond the width) and labels of either sign."""
    rng = np.random.default_rng(seed)
    n = rng.integers(1, WIDEST + 1, lanes)
    inside = np.arange(WIDEST) < n[:, None]
    scale = rng.uniform(0.2, 2.0, (lanes, 1))
    u, v = (scale * rng.standard_normal((lanes, WIDEST)) * inside for _ in range(2))
    y = rng.standard_normal(lanes) * rng.uniform(0.0, 3.0, lanes)
    return n, u, v, y


def training_is_bounded(n, u, v, y, eta):
    """Gradient descent on 1/2 (u.v/sqrt(n) - y)^2, written out for each lane."""
    u, v = u.copy(), v.copy()
    root = np.sqrt(n)[:, None]
    inside = np.ones(len(n), dtype=bool)
    for _ in range(STEPS):
        g = (np.sum(u * v, axis=1, keepdims=True) / root) - y[:, None]
        push = eta[:, None] * g / root
        u, v = u - push * v, v - push * u
        size = eta * (np.sum(u**2, axis=1) + np.sum(v**2, axis=1)) / n
        inside &= size < OUTSIDE
        u[~inside], v[~inside] = 0.0, 0.0
    return inside


@pytest.fixture(scope="module")
def bound():
    return phase_bounds(derive(models.uv(label=True))).eta_max


def predicted(bound, n, u, v, y):
    f = np.sum(u * v, axis=1) / np.sqrt(n)
    lam = (np.sum(u**2, axis=1) + np.sum(v**2, axis=1)) / n
    eta = bound(f=f, lam=lam, y=y, n=n)
    return eta, lam, eta * np.abs(y) / np.sqrt(n) < 1.98


def disagreements(n, u, v, y, eta):
    """Lanes that are not bounded half a per cent below, or not unbounded half a per cent above."""
    below = training_is_bounded(n, u, v, y, 0.995 * eta)
    above = training_is_bounded(n, u, v, y, 1.005 * eta)
    return ~below | above


def _compare(bound, lanes, seed):
    n, u, v, y = starts(lanes, seed)
    eta, lam, stated = predicted(bound, n, u, v, y)
    n, u, v, y, eta, lam = (x[stated] for x in (n, u, v, y, eta, lam))
    wrong = disagreements(n, u, v, y, eta)
    few = slice(0, 400)
    dropped = disagreements(n[few], u[few], v[few], y[few], 4 / lam[few])
    return wrong, dropped


def test_edge_agrees_with_raw_training_and_the_edge_without_label_does_not(bound):
    wrong, dropped = _compare(bound, 2500, seed=3)
    assert wrong.size > 2000
    assert wrong.sum() == 0
    assert dropped.mean() > 0.5  # the control: 4 / lam ignores the label


@pytest.mark.full
def test_edge_agrees_in_tens_of_thousands_of_starts(bound):
    for seed in range(10, 20):
        wrong, dropped = _compare(bound, 4000, seed)
        assert wrong.sum() == 0
        assert dropped.mean() > 0.5


def test_edge_without_label_agrees_with_raw_training():
    bound = phase_bounds(derive(models.uv())).eta_max
    n, u, v, _ = starts(500, seed=5)
    lam = (np.sum(u**2, axis=1) + np.sum(v**2, axis=1)) / n
    assert not disagreements(n, u, v, np.zeros(500), bound(lam=lam)).any()
    assert disagreements(n, u, v, np.zeros(500), 1.02 * bound(lam=lam)).all()
