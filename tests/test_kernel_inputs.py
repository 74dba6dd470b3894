"""What kernels do with arguments of any shape, layout and kind: the right answer or an error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import catapult_theory as ct
from catapult_theory.errors import InputError

UV = ct.derive(ct.models.uv())
LLVM, ARRAY = ct.compile(UV, "llvm"), ct.compile(UV, "array")
KINDS = ("<f8", ">f8", "<f4", ">f4", "<f2", "<i8", ">i4", "<u2", "|b1", "|i1")
LAYOUTS = ("plain", "strided", "reversed", "fortran", "misaligned", "read-only", "broadcast")
SPECIAL = (np.nan, np.inf, -np.inf, 0.0, 1e308, 5e-324)


def laid_out(values, layout):
    """Return an array of equal values in some layout."""
    if layout == "strided" and values.ndim:
        wide = np.zeros((*values.shape[:-1], 3 * values.shape[-1]), values.dtype)
        wide[..., ::3] = values
        return wide[..., ::3]
    if layout == "reversed" and values.ndim:
        return values[..., ::-1].copy()[..., ::-1]
    if layout == "fortran":
        return np.asfortranarray(values)
    if layout == "misaligned":
        memory = np.zeros(values.nbytes + 1, np.uint8)[1 : values.nbytes + 1]
        odd = memory.view(values.dtype).reshape(values.shape)
        odd[...] = values
        return odd
    if layout == "read-only":
        values = values.copy()
        values.flags.writeable = False
    if layout == "broadcast":
        return np.broadcast_to(values, (2, *values.shape))
    return values


@st.composite
def arguments(draw, low, high, special=False):
    """Return an array of numbers in a range, whose shape fits (3, 4, 5) or, now and then, not."""
    ends = (
        (),
        (1,),
        (5,),
        (4, 1),
        (4, 5),
        (1, 5),
        (3, 1, 1),
        (3, 4, 5),
        (0,),
        (4, 0),
        (2,),
        (7, 5),
    )
    shape = draw(st.sampled_from(ends))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    values = rng.uniform(low, high, shape).astype(draw(st.sampled_from(KINDS)))
    if special and values.dtype.kind == "f" and values.size and draw(st.booleans()):
        with np.errstate(over="ignore"):
            values = values.copy()
            values.flat[0] = draw(st.sampled_from(SPECIAL))
    return laid_out(values, draw(st.sampled_from(LAYOUTS)))


def plainly(values):
    return np.array(values, dtype=float, order="C")


def lane_by_lane(f, lam, eta, n, steps):
    """Return what the array target makes of plain copies, or None where shapes do not fit."""
    values = [plainly(x) for x in (f, lam, eta, n)]
    try:
        np.broadcast_shapes(*(v.shape for v in values))
    except ValueError:
        return None
    if any(np.any(v <= 0) for v in values[2:]):
        return None
    return ARRAY.run({"f": values[0], "lam": values[1]}, steps, eta=values[2], n=values[3])


@settings(max_examples=1000, deadline=None)
@given(
    f=arguments(-2, 2, special=True),
    lam=arguments(0, 3, special=True),
    eta=arguments(0.5, 1.5),
    n=arguments(4, 100),
    steps=st.sampled_from([0, 1, 2, 17]),
)
def test_a_run_is_right_or_refused_for_any_shape_layout_and_kind(f, lam, eta, n, steps):
    before = [x.tobytes() for x in (f, lam, eta, n)]
    want = lane_by_lane(f, lam, eta, n, steps)
    if want is None:
        with pytest.raises(InputError, match=r"broadcast|positive"):
            LLVM.run({"f": f, "lam": lam}, steps, eta=eta, n=n)
        return
    got = LLVM.run({"f": f, "lam": lam}, steps, eta=eta, n=n)
    assert got.status.shape == want.status.shape
    assert np.array_equal(got.status, want.status)
    # Lanes in the domain forget rounding; far outside it grows by the cube at every step.
    calm = (want.status != 2) & (np.abs(want.peak_loss) < 1e3)
    assert np.allclose(got.state["f"][calm], want.state["f"][calm], rtol=1e-7, atol=1e-9)
    assert np.array_equal(np.isnan(got.state["f"]), np.isnan(want.state["f"]))
    assert [x.tobytes() for x in (f, lam, eta, n)] == before


START = {"f": 1.0, "lam": 2.0}
GIVEN = {"eta": 0.5, "n": 100.0}


@pytest.mark.parametrize("steps", [-1, 2.0, 2.5, True, "3", None, np.float64(3), [3]])
@pytest.mark.parametrize("backend", ["llvm", "numba", "array"])
def test_steps_are_a_non_negative_integer(steps, backend):
    kernel = ct.compile(UV, backend)
    with pytest.raises(InputError, match="steps must be an integer"):
        kernel.run(START, steps, **GIVEN)
    with pytest.raises(InputError, match="steps must be an integer"):
        kernel.trajectory(START, steps, **GIVEN)
    assert kernel.run(START, np.int32(3), **GIVEN).status_step == 3


@pytest.mark.parametrize("backend", ["llvm", "numba", "c", "array"])
def test_counts_that_compiled_code_cannot_hold_are_refused(backend):
    """Of 64 bits 2**70 leaves nothing: a stride of 0, or no step at all."""
    kernel = ct.compile(UV, backend)
    for count in (2**62 + 1, 2**63, 2**64, 2**70):
        with pytest.raises(InputError, match=r"steps must be at most 2\*\*62"):
            kernel.run(START, count, **GIVEN)
        with pytest.raises(InputError, match=r"every must be at most 2\*\*62"):
            kernel.trajectory(START, 5, every=count, **GIVEN)


@pytest.mark.parametrize("backend", ["llvm", "numba", "c"])
def test_the_largest_counts_serve(backend):
    kernel = ct.compile(UV, backend)
    assert kernel.run(START, 2**62, **GIVEN) == kernel.run(START, 1000, **GIVEN)
    rows = kernel.trajectory(START, 40, every=2**62, **GIVEN)
    assert [a.tolist() for a in rows.values()] == [[1.0], [2.0]]


@pytest.mark.parametrize("backend", ["llvm", "numba", "c", "array"])
@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_threads_are_a_positive_integer(backend, threads):
    kernel = ct.compile(UV, backend)
    with pytest.raises(InputError, match="threads must be an integer"):
        kernel.run(START, 5, threads=threads, **GIVEN)
    with pytest.raises(InputError, match="threads must be an integer"):
        kernel.trajectory(START, 5, threads=threads, **GIVEN)


@pytest.mark.parametrize("shape", [(0, 3), (4, 0)])
def test_data_without_numbers_are_refused(shape):
    kernel = ct.compile(ct.derive(ct.models.linear()), "array")
    inputs = shape[1]
    state = {"W": np.ones((1, inputs)), "G": np.eye(inputs), "S": np.ones((1, 1))}
    with pytest.raises(InputError, match="hold no numbers"):
        kernel.run(state, 5, data=(np.ones(shape), np.ones(shape[0])), **GIVEN)


@pytest.mark.parametrize("backend", ["llvm", "numba", "c", "array"])
def test_a_buffer_may_hold_the_parameters(backend):
    kernel = ct.compile(UV, backend)
    count = 9000
    out = {name: np.empty((6, count)) for name in ("f", "lam")}
    eta = np.linspace(0.1, 1.9, count)
    want = kernel.trajectory(START, 5, eta=eta, n=100.0)
    # In front of the rows by a few lanes: what one chunk writes the next one reads.
    given = out["f"].reshape(-1)[count + 7 : 2 * count + 7]
    given[:] = eta
    kernel.trajectory(START, 5, out=out, threads=1, eta=given, n=100.0)
    assert all(np.array_equal(out[k], want[k]) for k in out)


BAD = {
    "every must be": {"every": 0},
    "threads must be": {"threads": 0},
    "eta must be positive": {"eta": -0.1},
    "n must be positive": {"n": [10.0, 0.0]},
    "f must be real": {},
}


@pytest.mark.parametrize("says", BAD)
def test_bad_numbers_get_one_clear_error(says):
    state = {"f": 1j, "lam": 2.0} if says.startswith("f ") else START
    with pytest.raises(InputError, match=says):
        LLVM.trajectory(state, 5, **{**GIVEN, **BAD[says]})


@pytest.mark.parametrize("text", ["a", None, [[1.0], [1.0, 2.0]], {"f": 1.0}, object()])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(InputError, match="real numbers"):
        LLVM.run({"f": text, "lam": 2.0}, 5, **GIVEN)


def test_what_no_machine_holds_is_refused_with_its_size_before_it_is_allocated():
    with pytest.raises(InputError, match=r"PB.*every="):
        LLVM.trajectory({"f": np.ones(10), "lam": 2.0}, 10**13, **GIVEN)
    f = np.broadcast_to(1.0, (10**7, 10**7))
    with pytest.raises(InputError, match=r"[TP]B.*portions"):
        LLVM.run({"f": f, "lam": 2.0}, 5, **GIVEN)


def overlapping():
    whole = np.empty((6, 4))
    return {"f": whole[:, :3], "lam": whole[:, 1:]}


def read_only():
    array = np.empty((6, 3))
    array.flags.writeable = False
    return array


OUT = {
    "read-only": lambda: {"f": read_only(), "lam": np.empty((6, 3))},
    "share memory": overlapping,
    "shape": lambda: {"f": np.empty((5, 3)), "lam": np.empty((6, 3))},
    "holds int": lambda: {"f": np.empty((6, 3), int), "lam": np.empty((6, 3))},
    r"out\['lam'\]": lambda: {"f": np.empty((6, 3))},
    "must be an array": lambda: {"f": [[0.0] * 3] * 6, "lam": np.empty((6, 3))},
}


@pytest.mark.parametrize("says", OUT)
def test_buffers_that_cannot_serve_are_refused(says):
    with pytest.raises(InputError, match=says):
        LLVM.trajectory({"f": np.ones(3), "lam": 2.0}, 5, out=OUT[says](), **GIVEN)


def test_a_buffer_may_hold_the_start():
    out = {"f": np.empty((6, 3)), "lam": np.empty((6, 3))}
    out["f"][3], out["lam"][3] = [1.0, 0.5, -1.0], 2.0
    want = LLVM.trajectory({k: v[3].copy() for k, v in out.items()}, 5, **GIVEN)
    LLVM.trajectory({k: v[3] for k, v in out.items()}, 5, out=out, **GIVEN)
    assert all(np.array_equal(out[k], want[k]) for k in out)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (0, 2), (1, 1, 1), (2, 3)])
def test_shapes_without_lanes_and_without_axes(shape):
    result = LLVM.run({"f": np.ones(shape), "lam": 2.0}, 5, **GIVEN)
    assert result.status.shape == shape
    rows = LLVM.trajectory({"f": np.ones(shape), "lam": 2.0}, 5, observables=["loss"], **GIVEN)
    assert {a.shape for a in rows.values()} == {(6, *shape)}


def test_invalid_lanes_are_marked_and_the_others_untouched():
    f = np.linspace(0.1, 1.0, 100)
    want = LLVM.run({"f": f, "lam": 2.0}, 200, **GIVEN)
    f = np.where(np.arange(100) % 7 == 3, np.nan, f)
    got = LLVM.run({"f": f, "lam": 2.0}, 200, **GIVEN)
    bad = np.isnan(f)
    assert np.all(got.status[bad] == 3)
    assert np.isnan(got.peak_loss[bad]).all()
    assert np.array_equal(got.state["f"][~bad], want.state["f"][~bad])
    assert np.array_equal(got.status_step[~bad], want.status_step[~bad])
