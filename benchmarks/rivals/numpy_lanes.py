"""NumPy, written by hand, and what writes NumPy-like loops: lambdify, ufuncify, numexpr, heyoka."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import sympy as sp

from benchmarks.measuring import Skipped, Work
from benchmarks.rivals.ours import update_map
from benchmarks.uv_lanes import UvLanes

Step = Callable[[Any, Any, Any, Any], tuple[Any, Any]]
BLOCK = 2048  # lanes whose arrays stay in the second-level cache


def by_formula(f: Any, lam: Any, eta: Any, n: Any) -> tuple[Any, Any]:
    """One step, as it stands in the paper."""
    return (
        f * (1 - eta * lam + eta**2 * f**2 / n),
        lam + eta * f**2 / n * (eta * lam - 4),
    )


def stepped(step: Step, problem: UvLanes) -> Work:
    """Return the run that applies a step to all lanes at once and keeps the peak."""

    def work() -> Mapping[str, Any]:
        f, lam, eta, n = problem.arrays
        peak, when = 0.5 * f**2, np.zeros(problem.count, np.int64)
        with np.errstate(all="ignore"):
            for t in range(1, problem.steps + 1):
                f, lam = step(f, lam, eta, n)
                loss = 0.5 * f**2
                when = np.where(loss > peak, t, when)
                peak = np.maximum(loss, peak)
        return {"f": f, "lam": lam, "peak": peak, "peak_step": when}

    return work


def naive(problem: UvLanes) -> Work:
    """The formulas on whole arrays."""
    return stepped(by_formula, problem)


def blocked(problem: UvLanes) -> Work:
    """The fewest operations, in place, on blocks of lanes that stay in the cache."""

    def work() -> Mapping[str, Any]:
        out = {
            **{name: np.empty(problem.count) for name in ("f", "lam", "peak")},
            "peak_step": np.empty(problem.count, np.int64),
        }
        with np.errstate(all="ignore"):
            for low in range(0, problem.count, BLOCK):
                part = slice(low, low + BLOCK)
                given = (a[part] for a in problem.arrays)
                for name, values in _block(*given, problem.steps).items():
                    out[name][part] = values
        return out

    return work


def _block(f: Any, lam: Any, eta: Any, n: Any, steps: int) -> Mapping[str, Any]:
    """In q = eta f / sqrt(n), u = 1 - eta lambda: b = q^2, q' = q (u + b), u' = u + b (u + 3)."""
    scale = np.sqrt(n) / eta
    q, u = f / scale, 1 - eta * lam
    b = q * q
    best, when = b.copy(), np.zeros(len(q), np.int64)
    h, more = np.empty_like(q), np.empty(len(q), bool)
    for t in range(1, steps + 1):
        np.add(u, b, out=h)
        np.multiply(q, h, out=q)
        np.add(u, 3.0, out=h)
        np.multiply(b, h, out=h)
        np.add(u, h, out=u)
        np.multiply(q, q, out=b)
        np.greater(b, best, out=more)
        np.copyto(when, t, where=more)
        np.maximum(b, best, out=best)
    peak = 0.5 * best * scale**2
    return {"f": q * scale, "lam": (1 - u) / eta, "peak": peak, "peak_step": when}


def _rows(problem: UvLanes) -> dict[str, Any]:
    return {name: np.empty((problem.steps + 1, problem.count)) for name in ("f", "lam")}


def _fill(problem: UvLanes, out: dict[str, Any]) -> Mapping[str, Any]:
    f, lam, eta, n = problem.arrays
    out["f"][0], out["lam"][0] = f, lam
    for t in range(1, problem.steps + 1):
        f, lam = by_formula(f, lam, eta, n)
        out["f"][t], out["lam"][t] = f, lam
    return out


def kept(problem: UvLanes) -> Work:
    """The formulas on whole arrays, each state written to its row of new arrays."""
    return lambda: _fill(problem, _rows(problem))


def kept_in_place(problem: UvLanes) -> Work:
    """The same in arrays that are used again."""
    out = _rows(problem)
    return lambda: _fill(problem, out)


def _symbols() -> tuple[list[Any], list[Any]]:
    """The symbols f, lambda, eta, n, and the images of f and lambda."""
    uv = update_map()
    return [*uv.variables, *uv.constants], [uv.updates[s] for s in uv.variables]


def lambdified(problem: UvLanes) -> Work:
    """sympy.lambdify with common subexpressions taken out, on whole arrays."""
    return stepped(sp.lambdify(*_symbols(), "numpy", cse=True), problem)


def ufuncified(problem: UvLanes) -> Work:
    """sympy's ufuncify: C written by SymPy, compiled and wrapped as NumPy ufuncs."""
    functions = _ufuncs()
    return stepped(lambda *given: tuple(u(*given) for u in functions), problem)


@cache
def _ufuncs() -> tuple[Any, ...]:
    from sympy.utilities.autowrap import ufuncify

    symbols, images = _symbols()
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return tuple(
                ufuncify(symbols, image, backend="numpy", tempdir=f"{folder}/{i}")
                for i, image in enumerate(images)
            )
    except Exception as cause:  # SymPy raises whatever the build raises
        last = str(cause).strip().splitlines()[-1:] or [type(cause).__name__]
        raise Skipped(f"cannot be built here ({last[0]:.100})") from cause


def numexprs(problem: UvLanes) -> Work:
    """numexpr: the expressions of SymPy, one compiled pass over the lanes for each."""
    import numexpr

    symbols, images = _symbols()
    names = [str(s) for s in symbols]
    texts = [str(sp.nsimplify(image)) for image in images]

    def step(*given: Any) -> tuple[Any, Any]:
        table = dict(zip(names, given, strict=True))
        f, lam = (numexpr.evaluate(text, local_dict=table) for text in texts)
        return f, lam

    return stepped(step, problem)


def heyokas(problem: UvLanes) -> Work:
    """heyoka's compiled function (LLVM, vectors of the host), on blocks of lanes."""
    import heyoka

    symbols, images = _symbols()
    table = {s: heyoka.make_vars(str(s)) for s in symbols}
    expressions = [heyoka.from_sympy(image, s_dict=table) for image in images]
    function = heyoka.cfunc(expressions, vars=list(table.values()))

    def block(given: Any, steps: int) -> Mapping[str, Any]:
        inputs = np.ascontiguousarray(given)
        state, new = inputs[:2], np.empty((2, inputs.shape[1]))
        peak, when = 0.5 * state[0] ** 2, np.zeros(inputs.shape[1], np.int64)
        loss, more = np.empty_like(peak), np.empty(len(peak), bool)
        for t in range(1, steps + 1):
            function(inputs, outputs=new)
            state[...] = new
            np.multiply(new[0], new[0], out=loss)
            np.multiply(loss, 0.5, out=loss)
            np.greater(loss, peak, out=more)
            np.copyto(when, t, where=more)
            np.maximum(loss, peak, out=peak)
        return {"f": state[0], "lam": state[1], "peak": peak, "peak_step": when}

    def work() -> Mapping[str, Any]:
        given = np.array(problem.arrays)
        parts = [
            block(given[:, low : low + BLOCK], problem.steps)
            for low in range(0, problem.count, BLOCK)
        ]
        return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}

    return work
