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
# Found by a search that lowers the curvature as long as some start diverges. One direction after
# another has its catapult; each raises s a little, until s + lambda_max(G) is above 4.
TWELVE = Start(
    s=0.00604609765089724,
    g=(
        3.0499478349071785,
        3.0190319455067196,
        3.049953825858945,
        3.04958391978716,
        3.0284760756992597,
        3.0449490872747162,
        2.646665294591789,
        3.0499538280760996,
        3.042072499750418,
        2.9881436192057693,
        3.0470044650051764,
        3.0498550284562596,
    ),
    w=(
        0.04077068343132555,
        0.0003258130337188222,
        0.036203214615522554,
        0.00045712649469869106,
        0.008908539176503817,
        0.06599716953851577,
        0.03950148822578456,
        4.176623057016316e-07,
        0.03277804523316808,
        0.026987131887416544,
        0.08589523806532032,
        6.551738560416778e-06,
    ),
    width=16,
    bound=3.056,
    escapes=119,
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


@pytest.mark.parametrize("start", [TWO, TWELVE], ids=["two inputs", "twelve inputs"])
def test_a_start_diverges_below_four(start):
    assert 2 < curvature(start) < start.bound < 4
    assert first_escape(start, 200) == start.escapes


@pytest.mark.parametrize("start", [TWO, TWELVE], ids=["two inputs", "twelve inputs"])
def test_the_same_start_does_not_escape_where_convergence_is_proved(start):
    assert first_escape(start, 200, rate=1.99 / curvature(start)) is None


def test_data_are_white():
    X = hadamard(16)[:, :12]
    assert np.array_equal(X.T @ X, 16 * np.eye(12))
