"""Several samples: how low can a learning rate diverge? Starts that do, in ball arithmetic.

The orbit of the raw network is enclosed in balls until it satisfies the hypotheses of the theorem
samples_D (whitened data: 1 <= energy and 4 size <= energy), which Coq proves to mean divergence.
From below, samples_C_kernel proves convergence for eta lam_0 < 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.linalg import hadamard

flint = pytest.importorskip("flint")

BITS = 2000


@dataclass(frozen=True)
class Start:
    """A Gram matrix of [v, U] in units of n, for eta = 1 and C = 1: s, the diagonal of G, W."""

    s: float
    g: tuple[float, ...]
    w: tuple[float, ...]
    width: int
    bound: float
    escapes: int


TWO = Start(0.2, (3.2, 2.95), (0.79, 0.1), 4, 3.4001, 11)
TEN = Start(
    s=0.0029158498075861996,
    g=(
        3.0597076533924,
        3.059682885039944,
        3.0587284509057424,
        3.058810593542786,
        3.0350178017711564,
        3.0596879382356237,
        2.922804741053167,
        3.0593070587360267,
        3.0521252429349643,
        3.0268544315711416,
    ),
    w=(
        0.0008617560380668317,
        1.7377725048929658e-05,
        1.4343635294679755e-06,
        3.159948084413163e-07,
        1.2715486709700398e-08,
        0.0008581212254751174,
        0.00021979855954324656,
        1.6595274246905187e-05,
        0.01076769230473194,
        4.928292298886014e-07,
    ),
    width=16,
    bound=3.063,
    escapes=95,
)


def vectors(start: Start) -> tuple[np.ndarray, np.ndarray]:
    """Vectors v, U of that Gram matrix, up to rounding: the rounded ones are the start."""
    g, w = np.array(start.g), np.array(start.w)
    U = np.zeros((start.width, len(g)))
    np.fill_diagonal(U, np.sqrt(g))
    v = np.zeros(start.width)
    v[: len(g)] = w / np.sqrt(g)
    v[len(g)] = np.sqrt(start.s - v @ v)
    return np.sqrt(start.width) * v, np.sqrt(start.width) * U


def balls(array: np.ndarray):
    rows = np.atleast_2d(array.T).T
    return flint.arb_mat([[flint.arb(float(x)) for x in row] for row in rows])


def squares(matrix) -> flint.arb:
    return sum((x * x for row in matrix.tolist() for x in row), flint.arb(0))


def first_escape(start: Start, steps: int, rate: float = 1.0) -> int | None:
    """The step at which the balls satisfy the theorem's hypotheses, with c = 1."""
    samples = max(2, 1 << (len(start.g) - 1).bit_length())
    X = balls(hadamard(samples)[:, : len(start.g)].astype(float))
    v, U = map(balls, vectors(start))
    n, eta, root = start.width, flint.arb(rate), flint.arb(start.width).sqrt()
    for step in range(steps):
        hidden = U * X.transpose()
        f = hidden.transpose() * v * (1 / root)
        energy = eta**2 * squares(f) / samples / n
        size = eta * (squares(v) / n + squares(hidden) / samples / n)
        if energy >= 1 and 4 * size <= energy:
            return step
        Z = X.transpose() * f * (flint.arb(1) / samples)
        push = eta / root
        v, U = v - U * Z * push, U - v * Z.transpose() * push
    return None


def curvature(start: Start) -> float:
    """The largest eigenvalue of Theta_0/m: with C = 1, of s + U^T U/n."""
    v, U = vectors(start)
    return float(v @ v / start.width + np.linalg.eigvalsh(U.T @ U / start.width)[-1])


@pytest.fixture(autouse=True)
def precision():
    before = flint.ctx.prec
    flint.ctx.prec = BITS
    yield
    flint.ctx.prec = before


@pytest.mark.parametrize("start", [TWO, TEN], ids=["two inputs", "ten inputs"])
def test_a_start_diverges_below_four(start):
    assert 2 < curvature(start) < start.bound < 4
    assert first_escape(start, 200) == start.escapes


@pytest.mark.parametrize("start", [TWO, TEN], ids=["two inputs", "ten inputs"])
def test_the_same_start_does_not_escape_where_convergence_is_proved(start):
    assert first_escape(start, 200, rate=1.99 / curvature(start)) is None


def test_data_are_white():
    X = hadamard(16)[:, :10]
    assert np.array_equal(X.T @ X, 16 * np.eye(10))
