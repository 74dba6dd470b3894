"""A(iii): one lane over 10^6 steps: how near is the latency of its chain of operations?"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.measuring import Answer, Entry, Setting, Target, contest
from benchmarks.rivals import c_lanes, jax_lanes, numpy_lanes, ours
from benchmarks.uv_lanes import BYTES_PER_LANE, FLOPS, UvLanes, single

STEPS, SMALL = 10**6, 200
LIMIT = "limit: the chain of the map alone"
SCALAR, VMAPPED, BEST = "C, scalar", "JAX, vmap of fori_loop", "JAX, unrolled"


def hundredth(problem: UvLanes) -> UvLanes:
    """A hundredth of the steps."""
    return problem.fewer_steps(100)


def answers(setting: Setting) -> Iterator[Answer]:
    """Yield the answer for a lane whose loss grows at every step."""
    steps = SMALL if setting.small else STEPS
    few = (hundredth, "a hundredth of the steps")
    entries = [
        *ours.runs({"array": few}),
        Entry("C, scalar, scaled variables", c_lanes.orbit),
        Entry(SCALAR, c_lanes.scalar),
        Entry("NumPy, naive", numpy_lanes.naive, *few),
        Entry(VMAPPED, jax_lanes.vmapped),
        Entry(BEST, jax_lanes.best),
        Entry(LIMIT, c_lanes.chained, limit=True),
    ]
    targets = (
        Target("at most 1.1 x the time of scalar C", "ours", SCALAR, 1.1, at_most=True),
        Target(
            "at most 1.1 x the time of scalar C in scaled variables",
            "ours",
            "C, scalar, scaled variables",
            1.1,
            at_most=True,
        ),
        Target("4 x JAX, vmap of fori_loop", VMAPPED, "ours", 4),
        Target("4 x JAX, unrolled", BEST, "ours", 4),
    )
    yield contest(
        f"A(iii) one uv lane x {steps} steps, peak and its step",
        "a step",
        entries,
        single(steps),
        single(SMALL),
        setting,
        tolerance={"f": 1e-9, "lam": 1e-9, "peak": 1e-9, "peak_step": 0.0},
        ours=ours.NAMES,
        targets=targets,
        flops=float(FLOPS),
        bytes=BYTES_PER_LANE / steps,
        notes=("eta lambda = 2 + 4e-6: the loss grows at every step, so that the peak moves.",),
    )
