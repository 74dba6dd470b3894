"""A(ii): 10^4 lanes over 1000 steps with every state kept: how near is the limit of the stores?"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.measuring import Answer, Entry, Setting, Target, contest
from benchmarks.rivals import c_lanes, jax_lanes, numpy_lanes, ours
from benchmarks.uv_lanes import FLOPS, lasting

COUNT, STEPS, SMALL = 10_000, 1000, (100, 40)
LIMIT, NUMPY = "limit: the same bytes, stored", "NumPy, row by row, new arrays"
REUSED = "NumPy, row by row, arrays used again"
VMAPPED, BEST = "JAX, vmap of scan", "JAX, one scan over all lanes"


def answers(setting: Setting) -> Iterator[Answer]:
    """Yield the answer: f and lambda at all steps, in buffers that are used again."""
    count, steps = SMALL if setting.small else (COUNT, STEPS)
    problem = lasting(count, steps)
    entries = [
        *ours.trajectories({"array": (lambda p: p.fewer_lanes(10), "a tenth of the lanes")}),
        Entry("C, blocked, stores past the cache", c_lanes.streamed),
        Entry("C, blocked, plain stores", c_lanes.stored_plainly),
        Entry(NUMPY, numpy_lanes.kept),
        Entry(REUSED, numpy_lanes.kept_in_place),
        Entry(VMAPPED, jax_lanes.kept_vmapped),
        Entry(BEST, jax_lanes.kept_best),
        Entry(LIMIT, c_lanes.stored, limit=True),
    ]
    targets = (
        Target("0.9 of the limit of the stores", LIMIT, "ours", 0.9),
        Target("12 x NumPy, new arrays", NUMPY, "ours", 12),
        Target("12 x NumPy, arrays used again", REUSED, "ours", 12),
        Target("15 x JAX, vmap of scan", VMAPPED, "ours", 15),
        Target("15 x JAX, the best", BEST, "ours", 15),
    )
    yield contest(
        f"A(ii) {count} uv lanes x {steps} steps, trajectories kept",
        "a lane-step",
        entries,
        problem,
        lasting(*SMALL, seed=1),
        setting,
        tolerance={"f": 1e-9, "lam": 1e-9},
        ours=ours.NAMES,
        targets=targets,
        flops=float(FLOPS),
        bytes=16.0,
        notes=("JAX and the first NumPy allocate their results; the others use buffers again.",),
    )
