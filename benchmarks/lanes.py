"""A(i): how fast are 10^6 independent uv-models over 1000 steps, with the peak and its step?

Three sets: (a) lanes that all last to the end, on one thread and on all cores; (b) a natural
mix of phases; (c) a mix of which half is finished by step 250, where lanes that are done can
make room for others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.machine import widest
from benchmarks.measuring import Answer, Entry, Setting, Target, Work, contest, whole
from benchmarks.rivals import c_lanes, jax_lanes, numpy_lanes, ours
from benchmarks.uv_lanes import BYTES_PER_LANE, FLOPS, UvLanes, halving, lasting, natural

COUNT, STEPS, SMALL = 10**6, 1000, (500, 40)
TOLERANCE = {"f": 1e-9, "lam": 1e-9, "peak": 1e-9, "peak_step": 0.0}
LIMIT = "limit: as many flops, fused"
ALL_LAST, REFILL = ", lanes that all last", "C, AVX-512 intrinsics, refill"
NAIVE, VMAPPED, BEST = "NumPy, naive", "JAX, vmap of fori_loop", "JAX, blocked and unrolled"


def answers(setting: Setting) -> Iterator[Answer]:
    """Yield the answers for the three sets of lanes."""
    count, steps = SMALL if setting.small else (COUNT, STEPS)
    yield _lasting(lasting(count, steps), setting)
    yield _natural(natural(count, steps), setting)
    yield _halving(halving(count, steps), setting)


def tenth(problem: UvLanes) -> UvLanes:
    """A tenth of the lanes: for loops that take lanes one after another or in blocks."""
    return problem.fewer_lanes(10)


def fiftieth(problem: UvLanes) -> UvLanes:
    """All lanes for a fiftieth of the steps: for loops that pass over all lanes at each step."""
    return problem.fewer_steps(50)


LANES_CUT = (tenth, "a tenth of the lanes")
STEPS_CUT = (fiftieth, "a fiftieth of the steps")
CUTS = {
    "array": STEPS_CUT,
    "numba": LANES_CUT,
    "c": LANES_CUT,
}


def _title(what: str, problem: UvLanes) -> str:
    return f"A(i) {problem.count} uv lanes x {problem.steps} steps, peak and its step: {what}"


def _about() -> dict[str, Any]:
    return {
        "tolerance": TOLERANCE,
        "ours": ours.NAMES,
    }


def _lasting(problem: UvLanes, setting: Setting) -> Answer:
    by_hand = c_lanes.BY_HAND[widest()]
    entries = [
        *ours.runs(CUTS),
        *ours.threaded(2, CUTS),
        *c_lanes.intrinsics(tenth, "a tenth of the lanes"),
        Entry("C, blocked, autovectorised", c_lanes.blocked, *LANES_CUT),
        Entry("C, scalar", c_lanes.scalar, *LANES_CUT),
        Entry(NAIVE, numpy_lanes.naive, *STEPS_CUT),
        Entry("NumPy, blocked", numpy_lanes.blocked, *LANES_CUT),
        Entry("sympy.lambdify(cse=True)", numpy_lanes.lambdified, *STEPS_CUT),
        Entry("sympy ufuncify", numpy_lanes.ufuncified, *STEPS_CUT),
        Entry("numexpr", numpy_lanes.numexprs, *STEPS_CUT),
        Entry("heyoka cfunc, blocked", numpy_lanes.heyokas, *LANES_CUT),
        Entry(VMAPPED, jax_lanes.vmapped, *STEPS_CUT),
        Entry(BEST, jax_lanes.best, *LANES_CUT),
        Entry(LIMIT, c_lanes.fused, limit=True),
    ]
    targets = (
        Target(f"at most 1.05 x the time of {by_hand}", "ours", by_hand, 1.05, at_most=True),
        Target("4 x the best JAX", BEST, "ours", 4),
        Target("13 x vmapped JAX", VMAPPED, "ours", 13),
        Target("100 x naive NumPy", NAIVE, "ours", 100),
        Target("1.9 x on two cores", "ours", "ours, 2 threads", 1.9),
    )
    title = _title("(a) all last to the end", problem)
    check = lasting(*SMALL, seed=1)
    work = {"flops": float(FLOPS), "bytes": BYTES_PER_LANE / problem.steps}
    return contest(
        title, "a lane-step", entries, problem, check, setting, targets=targets, **work, **_about()
    )


def _mixed(what: str, problem: UvLanes, check: UvLanes, setting: Setting, **more: Any) -> Answer:
    entries = [
        *ours.runs(CUTS, ours.FAST),
        *more.pop("also", ()),
        *c_lanes.intrinsics(tenth, "a tenth of the lanes"),
        Entry(REFILL, c_lanes.refill),
        Entry("C, scalar", c_lanes.scalar, *LANES_CUT),
        Entry(BEST, jax_lanes.best, *LANES_CUT),
    ]
    notes = ("Hand-written kernels without refill, and JAX, run every lane to the last step.",)
    about = {**_about(), "notes": notes, **more}
    return contest(_title(what, problem), "a lane-step", entries, problem, check, setting, **about)


def _natural(problem: UvLanes, setting: Setting) -> Answer:
    """Numbers are compared below eta lambda = 3: above, chaos makes any rounding large."""
    check = natural(*SMALL, seed=1, high=3.0)
    what = "(b) a natural mix, eta lambda in [1, 4.3]"
    return _mixed(what, problem, check, setting)


def _halving(problem: UvLanes, setting: Setting) -> Answer:
    steady = lasting(problem.count, problem.steps)
    also = [
        Entry(f"{ours.name_of(b)}{ALL_LAST}", _instead(steady, b), *CUTS.get(b, (whole, "")))
        for b in ours.FAST
    ]
    targets = (
        Target("2 x further than on lanes that all last", f"ours{ALL_LAST}", "ours", 2),
        Target("2 x further than by hand without refill", c_lanes.BY_HAND[widest()], "ours", 2),
    )
    what = "(c) a mix, half of it finished by step 250"
    check = halving(*SMALL, seed=1)
    return _mixed(what, problem, check, setting, targets=targets, also=also)


def _instead(steady: UvLanes, backend: str) -> Callable[[UvLanes], Work]:
    """Return how the same kernel is made for other lanes; its numbers are not compared."""
    (entry,) = ours.runs({}, (backend,))

    def make(problem: UvLanes) -> Work:
        part = steady.fewer_lanes(max(1, steady.count // problem.count))
        work = entry.make(part)

        def silent() -> None:
            work()

        return silent

    return make
