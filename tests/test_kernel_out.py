"""Runs into the arrays of an earlier one, `Kernel.run(..., out=)`: right numbers or one error."""

from __future__ import annotations

from collections import UserDict
from dataclasses import replace

import numpy as np
import pytest
from cases import CASES, three_vectors

import catapult_theory as ct
from catapult_theory.codegen import c_compiler
from catapult_theory.codegen.kernel import RunResult
from catapult_theory.errors import InputError, MissingBackend

BACKENDS = ("array", "numba", "llvm", "c", "jax")
UV = ct.derive(ct.models.uv())
COUNT = 70
STEPS = 60
VERDICTS = ("loss", "peak_loss", "peak_step", "status", "status_step")


def kernel(backend, update_map=UV, dtype="float64"):
    return ct.compile(update_map, backend, dtype)


def needs(backend):
    """Skip where a backend cannot work."""
    if backend == "jax":
        pytest.importorskip("jax")
    if backend == "c":
        try:
            c_compiler.find_compiler()
        except MissingBackend as cause:
            pytest.skip(str(cause))


@pytest.fixture(params=BACKENDS)
def backend(request):
    needs(request.param)
    if request.param != "jax":
        yield request.param
        return
    import jax

    with jax.enable_x64(True):
        yield request.param


def start(count=COUNT):
    """Lanes of all kinds: converged, diverged, undecided and invalid ones."""
    f = np.linspace(0.1, 1.0, count)
    f[::13] = np.nan
    return {"f": f, "lam": np.full(count, 2.0)}, {"eta": np.linspace(0.05, 2.3, count), "n": 100.0}


def other(count=COUNT):
    """Other lanes, which leave other numbers in the arrays."""
    return {"f": np.full(count, 0.7), "lam": np.full(count, 1.5)}, {"eta": 1.9, "n": 40.0}


def arrays(result):
    return {**result.state, **{name: getattr(result, name) for name in VERDICTS}}


def bits(result):
    return {name: np.ascontiguousarray(a).tobytes() for name, a in arrays(result).items()}


def copied(result):
    """Return an outcome with the same numbers in other arrays."""
    return fitted(result, np.copy)


def fitted(result, into, names=None):
    """Return an outcome with some of its arrays made by a function of them."""
    made = {k: into(a) if names is None or k in names else a for k, a in arrays(result).items()}
    return RunResult({k: made[k] for k in result.state}, *(made[k] for k in VERDICTS))


def test_the_arrays_of_an_earlier_run_are_filled_and_returned(backend):
    k = kernel(backend)
    lanes, given = start()
    want = k.run(lanes, STEPS, **given)
    out = k.run(other()[0], STEPS, **other()[1])
    own = arrays(out)
    assert bits(out) != bits(want)
    for threads in (1, 2):
        got = k.run(lanes, STEPS, out=out, threads=threads, **given)
        assert got is out
        assert all(a is own[name] for name, a in arrays(got).items())
        assert bits(got) == bits(want)
    assert {0, 1, 2, 3} == set(want.status.tolist())
    # And again, over other lanes; the earlier numbers leave no trace.
    again = k.run(other()[0], STEPS, out=out, **other()[1])
    assert bits(again) == bits(k.run(other()[0], STEPS, **other()[1]))


@pytest.mark.parametrize("steps", [0, 1, 300])
@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 4), (2, 0)])
def test_any_shape_and_number_of_steps(backend, steps, shape):
    k = kernel(backend)
    given = {"eta": np.full(shape, 1.4), "n": 100.0}
    out = k.run({"f": 0.2, "lam": 1.0}, 5, eta=np.full(shape, 0.3), n=10.0)
    got = k.run({"f": 1.0, "lam": 2.0}, steps, out=out, **given)
    assert got is out
    assert bits(got) == bits(k.run({"f": 1.0, "lam": 2.0}, steps, **given))


def test_single_precision(backend):
    k = kernel(backend, dtype="float32")
    lanes, given = start()
    out = k.run(other()[0], STEPS, **other()[1])
    assert bits(k.run(lanes, STEPS, out=out, **given)) == bits(k.run(lanes, STEPS, **given))


ARGUMENTS = {
    "the state": lambda r: ({"f": r.state["f"], "lam": r.state["lam"]}, {"eta": 0.9, "n": 100.0}),
    "the state, exchanged": lambda r: (
        {"f": r.state["lam"], "lam": r.state["f"]},
        {"eta": 0.2, "n": 100.0},
    ),
    "the state, reversed": lambda r: (
        {"f": r.state["f"][::-1], "lam": r.state["lam"][::-1]},
        {"eta": 0.9, "n": 100.0},
    ),
    "a part of it": lambda r: ({"f": r.state["f"][3], "lam": 2.0}, {"eta": r.loss, "n": 100.0}),
    "eta in lam": lambda r: (start()[0], {"eta": r.state["lam"], "n": 100.0}),
    "n in f": lambda r: (start()[0], {"eta": 0.9, "n": r.state["f"]}),
    "eta in the loss": lambda r: (start()[0], {"eta": r.loss, "n": r.peak_loss}),
    "n in whole numbers": lambda r: (start()[0], {"eta": 0.9, "n": r.status_step}),
}


@pytest.mark.parametrize("which", ARGUMENTS)
def test_arguments_may_lie_in_the_arrays_that_are_filled(backend, which):
    k = kernel(backend)
    rng = np.random.default_rng(3)
    out = k.run(other()[0], 3, **other()[1])
    for a in arrays(out).values():
        whole = a.dtype.kind == "i"
        a[...] = rng.integers(1, 99, COUNT) if whole else rng.uniform(0.3, 2.0, COUNT)
    out.status[...] = 1
    state, given = ARGUMENTS[which](copied(out))
    want = k.run(state, STEPS, **given)
    state, given = ARGUMENTS[which](out)
    assert bits(k.run(state, STEPS, out=out, threads=1, **given)) == bits(want)
    # Negative control: from where the arrays are now it goes on to other numbers.
    state, given = ARGUMENTS[which](out)
    assert bits(k.run(state, STEPS, **{**given, "n": 77.0})) != bits(want)


def strided(a):
    return np.zeros((*a.shape, 2), a.dtype)[..., 0]


def backwards(a):
    return np.zeros_like(a)[::-1]


def swapped(a):
    return np.zeros(a.shape, a.dtype.newbyteorder())


def misaligned(a):
    return np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)


def within(a):
    return np.zeros(a.size + 20, a.dtype)[10:-10].reshape(a.shape)


LAYOUTS = {f.__name__: f for f in (strided, backwards, swapped, misaligned, within)}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_arrays_may_have_any_layout(backend, layout):
    k = kernel(backend)
    lanes, given = start()
    want = k.run(lanes, STEPS, **given)
    out = fitted(want, LAYOUTS[layout])
    assert k.run(lanes, STEPS, out=out, **given) is out
    for name, a in arrays(out).items():
        assert np.array_equal(a, arrays(want)[name], equal_nan=True), name


def test_lanes_in_several_dimensions_and_in_any_order():
    k = kernel("llvm")
    given = {"eta": np.linspace(0.1, 2.2, 12).reshape(3, 4), "n": 100.0}
    want = k.run({"f": 1.0, "lam": 2.0}, STEPS, **given)
    out = fitted(want, lambda a: np.zeros(a.shape[::-1], a.dtype).T)
    k.run({"f": 1.0, "lam": 2.0}, STEPS, out=out, **given)
    assert all(np.array_equal(a, arrays(want)[name]) for name, a in arrays(out).items())


def test_nothing_beside_the_arrays_is_written():
    k = kernel("llvm")
    lanes, given = start()
    want = k.run(lanes, STEPS, **given)
    around = {name: np.full(COUNT + 20, -7, a.dtype) for name, a in arrays(want).items()}
    inside = {name: a[10:-10] for name, a in around.items()}
    out = RunResult({n: inside[n] for n in want.state}, *(inside[n] for n in VERDICTS))
    k.run(lanes, STEPS, out=out, **given)
    assert bits(out) == bits(want)
    assert all((a[:10] == -7).all() and (a[-10:] == -7).all() for a in around.values())


@pytest.mark.parametrize("kind", ["int32", "int16"])
def test_whole_numbers_may_be_shorter_where_they_hold_the_steps(kind):
    k = kernel("llvm")
    lanes, given = start()
    want = k.run(lanes, STEPS, **given)
    short = {"status": np.int8, "peak_step": kind, "status_step": kind}
    out = replace(want, **{n: np.zeros(COUNT, d) for n, d in short.items()})
    k.run(lanes, STEPS, out=out, **given)
    assert all(np.array_equal(getattr(out, n), getattr(want, n)) for n in short)


def frozen(a):
    a = a.copy()
    a.flags.writeable = False
    return a


REFUSED = {
    "shape": (lambda a: a[:-1].copy(), r"must be an array of shape \(70,\)"),
    "another dimension": (lambda a: a.reshape(7, 10).copy(), "must be an array of shape"),
    "read-only": (frozen, "is read-only"),
    "kind": (lambda a: a.astype(complex), "holds complex128"),
    "the other kind": (lambda a: a.astype("f8" if a.dtype.kind == "i" else "i8"), "holds"),
    "truth values": (lambda a: a.astype(bool), "holds bool"),
    "texts": (lambda a: a.astype(str), "holds <U"),
    "objects": (lambda a: a.astype(object), "holds object"),
    "a list": (lambda a: a.tolist(), "must be an array"),
    "none": (lambda a: None, "must be an array"),
    "one number over and over": (
        lambda a: np.lib.stride_tricks.as_strided(a.copy(), a.shape, (0,)),
        "share memory",
    ),
}


@pytest.mark.parametrize("name", ["f", "lam", *VERDICTS])
@pytest.mark.parametrize("how", REFUSED)
def test_arrays_that_cannot_serve_are_refused_before_anything_is_written(how, name):
    k = kernel("llvm")
    lanes, given = start()
    into, says = REFUSED[how]
    out = fitted(k.run(other()[0], STEPS, **other()[1]), into, [name])
    before = {n: np.array(a) for n, a in arrays(out).items()}
    shown = rf"out\.state\['{name}'\]" if name in lanes else rf"out\.{name}"
    with pytest.raises(InputError, match=f"{shown}.*{says}"):
        k.run(lanes, STEPS, out=out, **given)
    for n, a in arrays(out).items():
        assert np.array_equal(np.array(a), before[n]), n


@pytest.mark.parametrize("name", ["peak_step", "status_step"])
def test_steps_that_do_not_fit_are_refused(name):
    k = kernel("llvm")
    lanes, given = start()
    out = replace(k.run(lanes, 5, **given), **{name: np.zeros(COUNT, np.int8)})
    k.run(lanes, 127, out=out, **given)
    with pytest.raises(InputError, match=rf"out\.{name} holds int8: .*128"):
        k.run(lanes, 128, out=out, **given)


@pytest.mark.parametrize(
    ("one", "another"),
    [("f", "lam"), ("f", "loss"), ("loss", "peak_loss"), ("status", "peak_step")],
)
def test_arrays_that_share_memory_are_refused(one, another):
    k = kernel("llvm")
    lanes, given = start()
    out = k.run(lanes, STEPS, **given)
    shared = fitted(out, lambda a: arrays(out)[one], [another])
    with pytest.raises(InputError, match="share memory"):
        k.run(lanes, STEPS, out=shared, **given)
    whole = np.zeros(COUNT + 1)
    over = replace(out, loss=whole[1:], peak_loss=whole[:-1])
    with pytest.raises(InputError, match="share memory"):
        k.run(lanes, STEPS, out=over, **given)


NO_OUTCOME = {
    "a dict": lambda r: dict(r.state),
    "a tuple": lambda r: tuple(r.verdicts),
    "an array": lambda r: r.loss,
    "no state": lambda r: replace(r, state=None),
    "more states": lambda r: replace(r, state={**r.state, "x1": r.loss.copy()}),
    "fewer states": lambda r: replace(r, state={"f": r.state["f"]}),
    "other states": lambda r: replace(r, state={"f": r.state["f"], "mu": r.state["lam"]}),
}


@pytest.mark.parametrize("which", NO_OUTCOME)
def test_what_no_run_of_this_map_returned_is_refused(backend, which):
    k = kernel(backend)
    lanes, given = start()
    out = NO_OUTCOME[which](k.run(lanes, STEPS, **given))
    with pytest.raises(InputError, match="out"):
        k.run(lanes, STEPS, out=out, **given)


def test_the_state_may_be_any_mapping_in_any_order():
    k = kernel("llvm")
    lanes, given = start()
    want = k.run(lanes, STEPS, **given)
    out = copied(want)
    turned = replace(out, state=UserDict({n: out.state[n] for n in ("lam", "f")}))
    assert k.run(lanes, STEPS, out=turned, **given) is turned
    assert bits(turned) == {n: bits(want)[n] for n in bits(turned)}


BAD = {
    "steps": {"steps": -1},
    "eta must be positive": {"eta": -1.0},
    "threads": {"threads": 0},
    "unknown parameter": {"beta": 0.5},
    "broadcast": {"n": np.ones(3)},
    "array.*backend|schedule": {"eta": ct.schedules.warmup(1.0, 4)},
}


@pytest.mark.parametrize("says", BAD)
def test_other_errors_leave_the_arrays_as_they_are(says):
    k = kernel("llvm")
    lanes, given = start()
    out = k.run(lanes, STEPS, **given)
    before = bits(out)
    steps = BAD[says].get("steps", STEPS)
    rest = {name: v for name, v in BAD[says].items() if name != "steps"}
    with pytest.raises(InputError, match=says):
        k.run(other()[0], steps, out=out, **{**other()[1], **rest})
    assert bits(out) == before


def test_jax_without_float64_leaves_the_arrays_as_they_are():
    jax = pytest.importorskip("jax")
    lanes, given = start()
    out = kernel("array").run(lanes, STEPS, **given)
    before = bits(out)
    with jax.enable_x64(False), pytest.raises(InputError, match="float32"):
        kernel("jax").run(other()[0], STEPS, out=out, **other()[1])
    assert bits(out) == before


MATRICES = [case for case in CASES if case.samples]
# Numba takes many seconds to compile a map of matrices: one is enough here.
MATRIX_TARGETS = [
    (case, target)
    for case in MATRICES
    for target in ("array", "c", "numba")
    if target != "numba" or case.loss == "softmax_cross_entropy"
]


@pytest.mark.parametrize(("case", "target"), MATRIX_TARGETS)
def test_maps_of_matrices(case, target):
    needs(target)
    update_map = ct.derive(case.model(), case.loss, case.optimizer)
    k = kernel(target, update_map)
    state, given = begun(update_map, case)
    want = k.run(state, 20, **given)
    out = k.run(state, 3, **{**given, "eta": 0.01})
    first = bits(out)
    assert k.run(state, 20, out=out, **given) is out
    assert bits(out) == bits(want) != first
    # The data may lie in the arrays, too.
    name = next(n for n, a in out.state.items() if a[0].shape == given["data"][0].shape[1:] * 2)
    wide = out.state[name].reshape(-1, given["data"][0].shape[1])[: len(given["data"][0])]
    wide[...] = given["data"][0]
    inside = {**given, "data": (wide, given["data"][1])}
    assert bits(k.run(state, 20, out=out, threads=1, **inside)) == bits(want)


def begun(update_map, case):
    """Return the start of three lanes, and parameters."""
    rng = np.random.default_rng(0)
    columns = 3 + case.outputs
    frames = rng.normal(size=(3, 64, columns))
    gram = np.swapaxes(frames, 1, 2) @ frames / 64
    state = update_map.state_from_gram(gram, 64.0, sizes={"d": 3, "k": case.outputs})
    return state, {"eta": 0.3, "n": 64.0, "data": case.data, **case.parameters}


def test_a_map_of_more_numbers():
    k = kernel("llvm", ct.derive(three_vectors()))
    frames = np.random.default_rng(5).normal(size=(40, 64, 3))
    gram = np.swapaxes(frames, 1, 2) @ frames / 64
    state = k.update_map.state_from_gram(gram, 64.0)
    out = k.run(state, 5, eta=0.01, n=64.0)
    want = k.run(state, 200, eta=0.5, n=64.0)
    assert bits(k.run(state, 200, out=out, eta=0.5, n=64.0)) == bits(want)


def test_arrays_of_other_libraries_have_no_place_to_be_filled():
    array_api_strict = pytest.importorskip("array_api_strict")
    k = kernel("array")
    out = k.run({"f": 1.0, "lam": 2.0}, 5, eta=0.5, n=10.0)
    with pytest.raises(InputError, match="out= takes NumPy arrays"):
        k.run({"f": array_api_strict.asarray(1.0), "lam": 2.0}, 5, out=out, eta=0.5, n=10.0)
