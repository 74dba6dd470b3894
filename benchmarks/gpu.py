"""``python -m benchmarks gpu``: JAX kernels on a GPU, by the device's own measured limits.

The limits are measured in the same rounds: chains of multiply-adds in registers, and all
arrays read and written once. Without a GPU one line says so.
"""

from __future__ import annotations

import importlib.util
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks import printing
from benchmarks.machine import machine
from benchmarks.measuring import Answer, Entry, Measured, Setting, Skipped, Work, contest
from benchmarks.rivals import jax_lanes, ours
from benchmarks.uv_lanes import FLOPS, UvLanes, lasting

COUNT, STEPS, SMALL = 2**22, 1000, (512, 40)
UNROLLS, FEW = (1, 8, 40), (1, 8)
FUSED, MOVED = "limit: as many flops, fused", "limit: all arrays moved at each step"
CHAIN, SHORT = 1500, 50  # multiply-adds of a pass
TOLERANCE = {
    "float64": {"f": 1e-9, "lam": 1e-9, "peak": 1e-9, "peak_step": 0.0},
    # Just above eta lambda = 2 single precision hardly resolves the growth: any step will do.
    "float32": {"f": 1e-2, "lam": 1e-2, "peak": 1e-2, "peak_step": 40.0},
}
# Arrays that a pass over all lanes reads and writes: f, lambda, peak, its step; eta and n read.
ARRAYS = 10


@dataclass(frozen=True)
class OnDevice:
    """Lanes as arrays of one type on one device."""

    lanes: UvLanes
    dtype: str
    device: Any

    @property
    def units(self) -> float:
        """Lane-steps."""
        return self.lanes.units

    def arrays(self) -> tuple[Any, ...]:
        """Return f, lambda, eta, n on the device."""
        import jax

        return tuple(jax.device_put(a.astype(self.dtype), self.device) for a in self.lanes.arrays)

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        return 8 if self.dtype == "float64" else 4


def main(setting: Setting, out: Path | None) -> int:
    """Measure on the first GPU, print, and write JSON; 0 without a GPU, too."""
    device = first_gpu()
    if isinstance(device, str):
        print(f"no GPU: {device}: nothing measured")
        return 0
    found = {**machine(), "device": f"{device.device_kind} ({device.platform})"}
    print("\n".join(f"{k}: {v}" for k, v in found.items()), flush=True)
    results = {}
    for answer in answers(setting, device):
        print(f"\n{printing.text(answer)}\n" + "\n".join(shares(answer)), flush=True)
        results[answer.title] = {**printing.as_json(answer), "shares": shares(answer)}
    if out is not None:
        out.write_text(json.dumps({"machine": found, "results": results}, indent=1))
    return int(any(r["broken"] or r["disagreeing"] for r in results.values()))


def first_gpu() -> Any:
    """Return JAX's first GPU, or the reason why there is none."""
    if importlib.util.find_spec("jax") is None:
        return "JAX is not installed"
    import jax

    try:
        return jax.devices("gpu")[0]
    except RuntimeError as reason:
        return str(reason).splitlines()[0]


def answers(setting: Setting, device: Any) -> Iterator[Answer]:
    """Yield the answers in double and in single precision."""
    count, steps = SMALL if setting.small else (COUNT, STEPS)
    unrolls = FEW if setting.small else UNROLLS
    for dtype, tolerance in TOLERANCE.items():
        problem = OnDevice(lasting(count, steps), dtype, device)
        entries = [
            *(Entry(f"ours: jax, {u} steps a pass", partial(_ours, u)) for u in unrolls),
            *(Entry(f"JAX, scaled, {u} steps a pass", partial(_scaled, u)) for u in unrolls),
            Entry("JAX, Pallas, time loop in registers", _pallas),
            Entry(FUSED, partial(_fused, SHORT if setting.small else CHAIN), limit=True),
            Entry(MOVED, _moved, _one_step, "one step"),
        ]
        yield contest(
            f"GPU, {dtype}: {count} uv lanes x {steps} steps, peak and its step",
            "a lane-step",
            entries,
            problem,
            replace(problem, lanes=lasting(*SMALL, seed=1)),
            setting,
            tolerance=tolerance,
            ours=tuple(f"ours: jax, {u} steps a pass" for u in unrolls),
            flops=float(FLOPS),
            bytes=ARRAYS * problem.itemsize,
        )


def shares(answer: Answer) -> list[str]:
    """Return, for each kernel, its rate and its shares of the two limits of the device."""
    fused, moved = answer.result(FUSED), answer.result(MOVED)
    if fused is None or moved is None:
        return ["  the limits of the device were not measured"]
    flops, memory = FLOPS * 1e-9 / fused.cost, answer.bytes * 1e-9 / moved.cost
    lines = [f"  limits of the device, measured: {flops:.0f} GF/s, {memory:.0f} GB/s"]
    for r in answer.results:
        if r not in (fused, moved):
            lines.append(
                f"  {r.name}: {1e-9 / r.cost:.3g} 10^9 lane-steps/s, "
                f"{100 * fused.over(r):.1f} % of the multiply-adds, "
                f"{100 * moved.over(r) / _steps_a_pass(r):.1f} % of the memory"
            )
    return lines


def _steps_a_pass(result: Measured) -> int:
    """How many steps a kernel takes between reading and writing its arrays."""
    return next((u for u in UNROLLS if f", {u} steps a pass" in result.name), STEPS)


def _worked(run: Any, problem: OnDevice, unpack: Any = None) -> Work:
    """Return work on arrays that lie on the device, until the device has finished."""
    import jax

    with jax_lanes.double_precision():
        given = problem.arrays()

    def work() -> Mapping[str, Any]:
        with jax_lanes.double_precision():
            found = jax.block_until_ready(run(*given))
            values = unpack(found) if unpack else found
            return dict(zip(jax_lanes.ENDS, values, strict=True))

    return work


@cache
def _module(dtype: str) -> ModuleType:
    """Our generated file for JAX, imported as a user of it would."""
    import catapult_theory as ct

    try:
        source = ct.compile(ours.update_map(), "jax", dtype).source
    except (ct.CatapultError, ImportError) as reason:
        raise Skipped(str(reason)) from reason
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"uv_{dtype}.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def _ours(unroll: int, problem: OnDevice) -> Work:
    module, steps = _module(problem.dtype), problem.lanes.steps

    def run(f: Any, lam: Any, eta: Any, n: Any) -> Any:
        return module.run((f, lam), (eta, n), (), steps, block=0, unroll=unroll)

    def unpack(found: Any) -> Any:
        (f, lam), (_, peak, when, *_) = found
        return f, lam, peak, when

    return _worked(run, problem, unpack)


def _scaled(unroll: int, problem: OnDevice) -> Work:
    import jax

    whole = problem.lanes.count

    def run(*given: Any) -> Any:
        return jax_lanes.in_blocks(given, problem.lanes, whole, unroll)

    return _worked(jax.jit(run), problem)


def _pallas(problem: OnDevice) -> Work:
    """One kernel: each program keeps a block of lanes in registers for all steps."""
    import jax
    import jax.numpy as jnp
    from jax.experimental import pallas as pl

    steps, block, count = problem.lanes.steps, 256, problem.lanes.count
    if count % block:
        raise Skipped(f"takes a multiple of {block} lanes")

    def kernel(q_in: Any, u_in: Any, q_out: Any, u_out: Any, top_out: Any, when_out: Any) -> None:
        q, u = q_in[...], u_in[...]
        b = q * q

        def body(t: Any, carry: Any) -> Any:
            q, u, b, top, when = carry
            q, u = q * (u + b), u + b * (u + 3)
            b = q * q
            when = jnp.where(b > top, t.astype(jnp.int32), when)
            return q, u, b, jnp.maximum(b, top), when

        start = (q, u, b, b, jnp.zeros(q.shape, jnp.int32))
        q, u, _, top, when = jax.lax.fori_loop(1, steps + 1, body, start)
        q_out[...], u_out[...], top_out[...], when_out[...] = q, u, top, when

    part = pl.BlockSpec((block,), lambda i: (i,))
    real = jax.ShapeDtypeStruct((count,), problem.dtype)
    called = pl.pallas_call(
        kernel,
        grid=(count // block,),
        in_specs=[part] * 2,
        out_specs=[part] * 4,
        out_shape=[real, real, real, jax.ShapeDtypeStruct((count,), jnp.int32)],
        interpret=problem.device.platform == "cpu",
    )

    def run(f: Any, lam: Any, eta: Any, n: Any) -> Any:
        scale = jnp.sqrt(n) / eta
        q, u, top, when = called(f / scale, 1 - eta * lam)
        return q * scale, (1 - u) / eta, 0.5 * top * scale**2, when

    return _worked(jax.jit(run), problem)


def _fused(length: int, problem: OnDevice) -> Work:
    """As many flops as the lanes need: chains of multiply-adds that stay in registers."""
    import jax
    import jax.numpy as jnp

    rounds = max(1, round(problem.lanes.steps * FLOPS / 2 / length))

    def chain(_: Any, carry: Any) -> Any:
        x, m, c = carry
        for _ in range(length):
            x = x * m + c
        return x, m, c

    @jax.jit
    def run(x: Any, m: Any, c: Any) -> Any:
        return jax.lax.fori_loop(0, rounds, chain, (x, m, c))[0]

    with jax_lanes.double_precision():
        x = jax.device_put(jnp.ones(problem.lanes.count, problem.dtype), problem.device)

    def work() -> None:
        with jax_lanes.double_precision():
            jax.block_until_ready(run(x, 0.5 * x[:1], x[:1]))

    return work


def _one_step(problem: OnDevice) -> OnDevice:
    return replace(problem, lanes=problem.lanes.fewer_steps(problem.lanes.steps))


def _moved(problem: OnDevice) -> Work:
    """All arrays of the lanes read and written once, whatever the number of steps."""
    import jax
    import jax.numpy as jnp

    size = problem.lanes.count * ARRAYS // 2
    with jax_lanes.double_precision():
        x = jax.device_put(jnp.ones(size, problem.dtype), problem.device)
    run = jax.jit(lambda x: x + 1)

    def work() -> None:
        with jax_lanes.double_precision():
            jax.block_until_ready(run(x))

    return work
