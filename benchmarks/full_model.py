"""B, B': what does a step of the two-layer linear network cost, beside C, JAX, NumPy and BLAS?

B: one output, squared loss, 104 learning rates, 10 or 64 inputs. No lane is over before the last
step, so that every contestant takes as many. B': 784 inputs, ten outputs, softmax, one lane,
beside its matrix products alone, with the BLAS that ours calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import catapult_theory as ct
from benchmarks.measuring import Answer, Entry, Setting, Target, Work, contest
from benchmarks.rivals.jax_lanes import double_precision
from benchmarks.rivals.ours import name_of
from benchmarks.yardsticks import call, library, needs

LANES, SAMPLES, WIDTH = 104, 256, 4096.0
STEPS = {64: 2000, 10: 4000}
OURS, BY_HAND = name_of("numba"), "C, AVX-512 intrinsics"
JAX, JAX_TURNED = "JAX, scan and vmap", "JAX, scan and vmap, inputs made diagonal"
NUMPY, ARRAY = "NumPy, all lanes at once", name_of("array")
PRODUCTS = "BLAS: the products alone"
TOLERANCE = {"S": 1e-11, "norm": 1e-11}


@dataclass(frozen=True)
class FullModel:
    """Data, a start, learning rates and a number of steps."""

    X: Any
    Y: Any
    start: Any
    eta: Any
    steps: int
    loss: str

    @property
    def units(self) -> float:
        """Lane-steps."""
        return float(len(self.eta) * self.steps)

    @property
    def update_map(self) -> Any:
        """The closed map."""
        model = ct.models.linear(inputs=self.X.shape[1], outputs=self.Y.shape[1])
        return ct.derive(model, self.loss)

    def fewer_steps(self, share: int) -> FullModel:
        """A part of the steps."""
        return replace(self, steps=max(1, self.steps // share))

    def turned(self) -> tuple[Any, ...]:
        """Return h, c and the start where X^T X / m is diagonal."""
        h, Q = np.linalg.eigh(self.X.T @ self.X / len(self.X))
        c = Q.T @ (self.X.T @ self.Y)[:, 0] / len(self.X)
        w, G = (self.start["W"] @ Q)[0], Q.T @ self.start["G"] @ Q
        return h, c, w, G, float(self.start["S"].item())

    def blocks(self) -> tuple[Any, ...]:
        """Return W, G, S of every lane."""
        count = len(self.eta)
        return tuple(np.repeat(self.start[x][None], count, 0) for x in ("W", "G", "S"))


def full_model(
    inputs: int, outputs: int, steps: int, eta: Any, loss: str = "squared", samples: int = SAMPLES
) -> FullModel:
    """Return random data of mean |x|^2 = 1, and a random start."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(samples, inputs)) / np.sqrt(inputs)
    Y = np.eye(outputs)[rng.integers(outputs, size=samples)]
    if loss == "squared":
        Y = np.sign(rng.normal(size=(samples, outputs)))
    problem = FullModel(X, Y, {}, np.asarray(eta), steps, loss)
    gram = ct.gaussian_start(seed=0).gram(inputs + outputs, int(WIDTH))
    start = problem.update_map.state_from_gram(gram, WIDTH)
    return replace(problem, start=start)


def answers(setting: Setting) -> Iterator[Answer]:
    """Yield the answers for long rows, for short rows and for the softmax network."""
    for inputs, steps in STEPS.items():
        yield _rates(inputs, steps, setting)
    yield _softmax(setting)


def _rates(inputs: int, steps: int, setting: Setting) -> Answer:
    # Slow enough that the slowest direction has not converged by the last step.
    problem = full_model(inputs, 1, steps, np.linspace(0.02, 0.06, LANES))
    check = problem.fewer_steps(steps // 30)
    entries = [
        Entry(OURS, _ours),
        Entry(BY_HAND, _by_hand),
        Entry(JAX_TURNED, _jax_turned, lambda p: p.fewer_steps(10), "a tenth of the steps"),
        Entry(JAX, _jax, lambda p: p.fewer_steps(10), "a tenth of the steps"),
        Entry(NUMPY, _numpy, lambda p: p.fewer_steps(40), "a fortieth of the steps"),
    ]
    targets = (
        Target(f"0.8 of {BY_HAND}", BY_HAND, "ours", 0.8),
        Target("10 x JAX", JAX, "ours", 10),
        Target("50 x NumPy", NUMPY, "ours", 50),
    )
    title = f"B full model, {LANES} learning rates x {steps} steps, r = {inputs}"
    notes = ("Ours decides about every lane at every step and turns the state there and back.",)
    about = {"targets": targets, "ours": (OURS,), "notes": notes, "tolerance": TOLERANCE}
    return contest(title, "a lane-step", entries, problem, check, setting, **about)


def _softmax(setting: Setting) -> Answer:
    problem = full_model(784, 10, 60, [0.1], "softmax_cross_entropy", samples=1000)
    check = full_model(16, 10, 5, [0.1], "softmax_cross_entropy", samples=20)
    entries = [
        Entry(OURS, _ours),
        Entry(ARRAY, partial(_ours, backend="array"), lambda p: p.fewer_steps(10), "a tenth"),
        Entry(PRODUCTS, _products, limit=True),
    ]
    targets = (Target("0.8 of its products alone", PRODUCTS, "ours", 0.8),)
    title = "B' two-layer linear, d = 784, k = 10, m = 1000, softmax, one lane"
    about = {"targets": targets, "ours": (OURS,), "tolerance": {"loss": 1e-12}}
    return contest(title, "a step", entries, problem, check, setting, **about)


def _numbers(w: Any, s: Any) -> dict[str, Any]:
    """What is compared: it does not depend on the basis of the inputs."""
    return {"S": np.ravel(s), "norm": (np.reshape(w, (np.size(s), -1)) ** 2).sum(1)}


def _ours(problem: FullModel, backend: str = "numba") -> Work:
    kernel = ct.compile(problem.update_map, backend)
    more = {"data": (problem.X, problem.Y), "eta": problem.eta, "n": WIDTH, "threads": 1}

    def work() -> dict[str, Any]:
        found = kernel.run(problem.start, problem.steps, **more)
        one = problem.Y.shape[1] == 1
        return _numbers(found.state["W"], found.state["S"]) if one else {"loss": found.loss}

    return work


def _by_hand(problem: FullModel) -> Work:
    needs("avx512")
    code, count = library("full_model"), len(problem.eta)
    h, c, w0, G0, s0 = problem.turned()
    size, s = len(h), np.empty(count)
    if size == 64:
        w, G = np.empty((count, size)), np.empty((count, size, size))
        given, function, groups = G0, code.long_rows, count
    else:
        groups = count // 8
        w, G = np.empty((groups, size, 8)), np.empty((groups, size * (size + 1) // 2, 8))
        given, function = G0[np.tril_indices(size)][:, None], code.short_rows
        w0 = w0[:, None]

    def work() -> dict[str, Any]:
        w[:], G[:], s[:] = w0, given, s0
        call(function, groups, problem.steps, WIDTH, h, c, problem.eta, w, G, s)
        return _numbers(w if size == 64 else w.transpose(0, 2, 1), s)

    return work


def _numpy(problem: FullModel) -> Work:
    X, Y, eta = problem.X, problem.Y[:, 0], problem.eta[:, None]

    def work() -> dict[str, Any]:
        W, G, S = problem.blocks()
        w, s, e = W[:, 0], S[:, 0], eta[:, :, None]
        for _ in range(problem.steps):
            z = (w @ X.T - Y) @ X / len(X)
            v = (z[:, None] @ G)[:, 0]
            wz, zv = (w * z).sum(1, keepdims=True), (z * v).sum(1, keepdims=True)
            wz_outer, zz = w[:, :, None] * z[:, None], z[:, :, None] * z[:, None]
            cross = wz_outer + wz_outer.transpose(0, 2, 1)
            G = G - e / WIDTH * cross + e**2 / WIDTH * s[:, :, None] * zz
            w = w - eta * (s * z + v) + eta**2 / WIDTH * wz * z
            s = s - 2 * eta / WIDTH * wz + eta**2 / WIDTH * zv
        return _numbers(w, s)

    return work


def _scanned(problem: FullModel, slope: Any, w0: Any, G0: Any, s0: float) -> Work:
    """JAX over lanes: slope(w) is the gradient of the loss by w."""
    import jax
    import jax.numpy as jnp

    def lane(eta: Any) -> Any:
        def step(carry: Any, _: Any) -> Any:
            w, G, s = carry
            z = slope(w)
            v, wz = G @ z, w @ z
            cross = jnp.outer(w, z)
            G = G - eta / WIDTH * (cross + cross.T) + eta**2 / WIDTH * s * jnp.outer(z, z)
            new = w - eta * (s * z + v) + eta**2 / WIDTH * wz * z
            return (new, G, s - 2 * eta / WIDTH * wz + eta**2 / WIDTH * (z @ v)), None

        start = (jnp.asarray(w0), jnp.asarray(G0), jnp.asarray(s0))
        (w, _, s), _ = jax.lax.scan(step, start, None, length=problem.steps)
        return w, s

    run = jax.jit(jax.vmap(lane))

    def work() -> dict[str, Any]:
        with double_precision():
            return _numbers(*(np.asarray(a) for a in run(problem.eta)))

    return work


def _jax(problem: FullModel) -> Work:
    X, Y, start = problem.X, problem.Y[:, 0], problem.start
    count = len(X)
    given = start["W"][0], start["G"], float(start["S"].item())
    return _scanned(problem, lambda w: (X @ w - Y) @ X / count, *given)


def _jax_turned(problem: FullModel) -> Work:
    h, c, *given = problem.turned()
    return _scanned(problem, lambda w: h * w - c, *given)


def _products(problem: FullModel) -> Work:
    """The products of a step, each once; the two updates of G as one."""
    from numba import njit

    W, G, S = (np.ascontiguousarray(problem.start[x]) for x in ("W", "G", "S"))
    sides = np.concatenate([W, W])
    f, wide, small, large = problem.Y.copy(), W.copy(), S.copy(), G.copy()

    @njit(nogil=True)
    def products(
        X: Any, W: Any, G: Any, S: Any, sides: Any, f: Any, wide: Any, small: Any, large: Any
    ) -> None:
        np.dot(X, W.T, f)
        np.dot(f.T, X, wide)
        np.dot(W, G, wide)
        np.dot(sides.T, sides, large)
        np.dot(S, W, wide)
        np.dot(W, W.T, small)
        np.dot(S, W, wide)
        np.dot(W, W.T, small)

    def work() -> None:
        with threadpool_limits(1, user_api="blas"):
            for _ in range(problem.steps):
                products(problem.X, W, G, S, sides, f, wide, small, large)

    return work
