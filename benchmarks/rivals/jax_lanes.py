"""JAX: as one writes it first, and as it runs best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from benchmarks.measuring import Work
from benchmarks.uv_lanes import UvLanes

BLOCK, UNROLL = 8192, 4  # the best of those measured


def double_precision() -> AbstractContextManager[Any]:
    """Return the context in which JAX computes in float64; nothing is set for the process."""
    import jax

    return jax.enable_x64(True)


def _worked(run: Callable[..., Any], problem: UvLanes, names: tuple[str, ...]) -> Work:
    def work() -> Mapping[str, Any]:
        with double_precision():
            found = run(*problem.arrays)
            return {k: np.asarray(v) for k, v in zip(names, found, strict=True)}

    return work


ENDS = ("f", "lam", "peak", "peak_step")


def vmapped(problem: UvLanes) -> Work:
    """vmap over lanes of a fori_loop, jitted: how a loop over lanes is written."""
    import jax
    import jax.numpy as jnp

    steps = problem.steps

    def lane(f: Any, lam: Any, eta: Any, n: Any) -> Any:
        def body(t: Any, carry: Any) -> Any:
            f, lam, peak, when = carry
            f, lam = (
                f * (1 - eta * lam + eta**2 * f**2 / n),
                lam + eta * f**2 / n * (eta * lam - 4),
            )
            loss = 0.5 * f**2
            when = jnp.where(loss > peak, t, when)
            return f, lam, jnp.maximum(loss, peak), when

        start = (f, lam, 0.5 * f**2, jnp.zeros((), int))
        return jax.lax.fori_loop(1, steps + 1, body, start)

    return _worked(jax.jit(jax.vmap(lane)), problem, ENDS)


def best(problem: UvLanes, block: int = BLOCK, unroll: int = UNROLL) -> Work:
    """Blocks of lanes, the scaled variables, an unrolled scan inside the block, jitted."""
    import jax

    def run(*given: Any) -> Any:
        return in_blocks(given, problem, min(block, problem.count), unroll)

    return _worked(jax.jit(run), problem, ENDS)


def in_blocks(given: Any, problem: UvLanes, block: int, unroll: int) -> Any:
    """Return f, lambda, peak and its step of lanes that are worked on block by block."""
    import jax
    import jax.numpy as jnp

    count = problem.count
    pad = -count % block
    f, lam, eta, n = (jnp.pad(a, (0, pad), mode="edge").reshape(-1, block) for a in given)
    scale = jnp.sqrt(n) / eta

    def step(carry: Any, t: Any) -> Any:
        q, u, b, top, when = carry
        q, u = q * (u + b), u + b * (u + 3)
        b = q * q
        when = jnp.where(b > top, t, when)
        return (q, u, b, jnp.maximum(b, top), when), None

    def of_block(start: Any) -> Any:
        q, u = start
        b = q * q
        times = jnp.arange(1, problem.steps + 1).astype(q.dtype)
        carry = (q, u, b, b, jnp.zeros_like(q))
        (q, u, _, top, when), _ = jax.lax.scan(step, carry, times, unroll=unroll)
        return q, u, top, when

    q, u, top, when = jax.lax.map(of_block, (f / scale, 1 - eta * lam))
    out = (q * scale, (1 - u) / eta, 0.5 * top * scale**2, when.astype(int))
    return tuple(x.reshape(-1)[:count] for x in out)


def kept_vmapped(problem: UvLanes) -> Work:
    """vmap over lanes of a scan that returns every state; time comes first in the result."""
    import jax

    def lane(f: Any, lam: Any, eta: Any, n: Any) -> Any:
        def body(carry: Any, _: Any) -> Any:
            f, lam = carry
            new = (
                f * (1 - eta * lam + eta**2 * f**2 / n),
                lam + eta * f**2 / n * (eta * lam - 4),
            )
            return new, carry

        last, kept = jax.lax.scan(body, (f, lam), None, length=problem.steps)
        return tuple(jax.numpy.append(a, b) for a, b in zip(kept, last, strict=True))

    return _worked(jax.jit(jax.vmap(lane, out_axes=1)), problem, ("f", "lam"))


def kept_best(problem: UvLanes) -> Work:
    """One scan over all lanes at once, which writes rows in the order of time."""
    import jax

    def run(f: Any, lam: Any, eta: Any, n: Any) -> Any:
        slope = eta / n

        def body(carry: Any, _: Any) -> Any:
            f, lam = carry
            a, s = eta * lam, slope * f * f
            return (f * (1 - a + eta * s), lam + s * (a - 4)), carry

        _, kept = jax.lax.scan(body, (f, lam), None, length=problem.steps + 1)
        return kept

    return _worked(jax.jit(run), problem, ("f", "lam"))
