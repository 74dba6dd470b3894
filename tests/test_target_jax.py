"""The JAX target: pure functions that are jitted, mapped and differentiated, alone or with us."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

import array_api_strict as strict
import numpy as np
import pytest
import sympy as sp
from cases import CASES, EPS, TOLERANCES, Case

import catapult_theory as ct
from catapult_theory.codegen.backends import BACKENDS
from catapult_theory.codegen.lowering import loop_program
from catapult_theory.codegen.status import Status
from catapult_theory.codegen.storage import load_module
from catapult_theory.errors import InputError, MissingBackend

jax = pytest.importorskip("jax")
xp = jax.numpy

TEN = Case(
    "linear, ten outputs", lambda: ct.models.linear(inputs=3, outputs=10), samples=7, outputs=10
)
ALL = {case.name: case for case in (*CASES, TEN)}
SCALAR = [name for name, case in ALL.items() if not case.samples]
MATRIX = [name for name, case in ALL.items() if case.samples]
UV = ct.derive(ct.models.uv())
START = {"f": 1.0, "lam": 2.0}
STEPS = 20


@pytest.fixture(autouse=True)
def doubles():
    """JAX holds float64 in these tests, and nowhere else in the process."""
    with jax.enable_x64(True):
        yield


@cache
def derived(title):
    case = ALL[title]
    return ct.derive(case.model(), case.loss, case.optimizer)


def start_of(title, lanes):
    """States that parameters of finite width can have; scalar ones need not."""
    case, update_map = ALL[title], derived(title)
    rng = np.random.default_rng(7)
    if not case.samples:
        return {s.name: rng.uniform(0.3, 1.5, lanes) for s in update_map.variables}
    factors = rng.normal(size=(lanes, 20, 3 + case.outputs))
    return update_map.state_from_gram(np.swapaxes(factors, -1, -2) @ factors / 20, 20.0)


def given_of(title, eta):
    case = ALL[title]
    data = {"data": case.data} if case.samples else {}
    return {"eta": np.asarray(eta), "n": 20.0, **case.parameters, **data}


def in_jax(values):
    return jax.tree.map(lambda x: xp.asarray(x, dtype=float), values)


def stepped(kernel, state, given, convert=lambda x: x):
    """One step with everything converted, data by name."""
    plain = {k: v for k, v in given.items() if k != "data"}
    if "data" in given:
        plain |= dict(zip("XY", given["data"], strict=True))
    ordered = [state[s.name] for s in kernel.update_map.variables]
    return kernel.step(*convert(ordered), **convert(plain))


def largest_summands(title, state, given):
    """The largest term of each sum of a scalar map, in the numbers at hand."""
    numbers = {**state, **given}
    sizes = {}
    for symbol, image in derived(title).updates.items():
        total = sp.expand(image)
        symbols = sorted(total.free_symbols, key=str)
        terms = sp.lambdify(symbols, sp.Add.make_args(total), "numpy")
        values = terms(*(numbers[s.name] for s in symbols))
        sizes[symbol.name] = np.max(np.abs(np.broadcast_arrays(*values)), axis=0)
    return sizes


@pytest.mark.parametrize("title", SCALAR)
def test_one_step_agrees_with_the_array_target_to_four_units_of_the_largest_summand(title):
    state, given = start_of(title, 50), given_of(title, 0.4)
    sizes = largest_summands(title, state, given)
    there = stepped(ct.compile(derived(title), "jax"), state, given, in_jax)
    here = stepped(ct.compile(derived(title), "array"), state, given)
    wrong = stepped(ct.compile(derived(title), "array"), state, given | {"eta": 0.4 * (1 + 1e-12)})
    seen = False
    for name, size in sizes.items():
        value = getattr(there, name)
        assert isinstance(value, jax.Array)
        bound = TOLERANCES.backends * size
        assert (np.abs(np.asarray(value) - getattr(here, name)) <= bound).all()
        seen |= bool((np.abs(np.asarray(value) - getattr(wrong, name)) > bound).any())
    assert seen


@pytest.mark.parametrize("title", MATRIX)
def test_one_step_of_matrices_over_leading_lanes_agrees_with_the_array_target(title):
    state = {k: a.reshape(2, 3, *a.shape[1:]) for k, a in start_of(title, 6).items()}
    given = given_of(title, [0.1, 0.2, 0.3])
    there = stepped(ct.compile(derived(title), "jax"), state, given, in_jax)
    here = stepped(ct.compile(derived(title), "array"), state, given)
    other = stepped(ct.compile(derived(title), "array"), state, given | {"eta": [0.1, 0.2, 0.31]})
    for name, start in state.items():
        value = np.asarray(getattr(there, name))
        assert value.shape == start.shape
        size = max(1.0, np.abs(getattr(here, name)).max())
        assert np.abs(value - getattr(here, name)).max() <= TOLERANCES.step * size
    assert np.abs(np.asarray(there.W) - other.W).max() > 1e3 * TOLERANCES.step


# Lazy, catapult or further on, divergent (softmax does not), invalid; chaos lies elsewhere.
RATES = np.array([0.05, 0.2, 0.5, 30.0, np.nan])
BOUNDED = np.array([0.05, 0.2, 0.5, 2.0, np.nan])


def runs():
    """Scalar loops against Numba's; those of matrices, too, in the full tier."""
    for title in ALL:
        if title in SCALAR:
            yield title, "numba"
        else:
            yield title, "array"
            yield pytest.param(title, "numba", marks=pytest.mark.full)


@pytest.mark.parametrize(("title", "backend"), list(runs()))
def test_a_run_gives_the_verdicts_of_another_backend(title, backend):
    rates = BOUNDED if ALL[title].loss == "softmax_cross_entropy" else RATES
    state, given = start_of(title, len(rates)), given_of(title, rates)
    here = ct.compile(derived(title), backend).run(state, 300, **given)
    there = ct.compile(derived(title), "jax").run(state, 300, **given)
    for name in ("status", "status_step", "peak_step"):
        assert getattr(there, name).dtype == np.int64
        assert getattr(there, name).tolist() == getattr(here, name).tolist(), name
    for name in ("loss", "peak_loss"):
        want = getattr(here, name)
        # Errors add up over the steps, in relative terms; a loss is a square.
        assert np.allclose(getattr(there, name), want, 2 * 300 * 8 * EPS, 1e-20, equal_nan=True)
    given["eta"] = 1.01 * rates
    other = ct.compile(derived(title), "jax").run(state, 300, **given)
    assert not np.allclose(other.loss, here.loss, 1e-4, 0.0, equal_nan=True)


def test_verdicts_of_all_kinds_were_compared():
    eta = [0.5, 1.5, 3.0, 0.001, np.nan, 0.5]
    state = {"f": [1.0, 1.0, 1.0, 1.0, 1.0, np.nan], "lam": 2.0}
    here, there = (
        ct.compile(UV, backend).run(state, 200, eta=eta, n=100.0) for backend in ("numba", "jax")
    )
    C, D, U, N = Status.CONVERGED, Status.DIVERGED, Status.UNDECIDED, Status.INVALID
    assert there.status.tolist() == here.status.tolist() == [C, C, D, U, N, N]
    assert there.peak_step.tolist() == here.peak_step.tolist()
    assert there.status_step.tolist() == here.status_step.tolist()


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_the_peak_counts_the_first_and_the_last_state(steps):
    # eta lam = 3: the output grows from the start; eta lam = 1 / 2: it shrinks.
    run = ct.compile(UV, "jax").run(START, steps, eta=[1.5, 0.25], n=1e6)
    assert run.peak_step.tolist() == [steps, 0]
    assert run.status_step.tolist() == [steps, steps]


def final_loss(kernel, eta, steps=STEPS, **given):
    return kernel.run(START, steps, eta=eta, **given).loss


@cache
def images():
    symbols = [*UV.variables, *UV.constants]
    return sp.lambdify(symbols, list(UV.updates.values()), "math")


def orbit(eta, n):
    """The uv orbit in Python numbers, complex ones included: f at steps 0 .. STEPS."""
    f, lam = START.values()
    course = [f]
    for _ in range(STEPS):
        f, lam = images()(f, lam, eta, n)
        course.append(f)
    return course


def complex_step(eta, n):
    """The derivatives of the loss at all steps by eta; exact but for rounding."""
    tiny = 1e-30
    return np.array([(0.5 * f * f).imag / tiny for f in orbit(eta + 1j * tiny, n)])


@pytest.mark.parametrize("mode", [jax.grad, jax.jacfwd])
@pytest.mark.parametrize(("eta", "n"), [(0.02, 100.0), (1.05, 1e6)])
def test_the_slope_of_the_loss_is_that_of_the_complex_step(mode, eta, n):
    kernel = ct.compile(UV, "jax")
    slopes = complex_step(eta, n)
    # Each step rounds a few dozen terms, of the size of the slopes so far; errors add up.
    bound = STEPS * 32 * EPS * np.abs(slopes).max()
    found = float(mode(lambda rate: final_loss(kernel, rate, n=n))(eta))
    assert abs(found - slopes[-1]) <= bound
    assert abs(found - complex_step(eta * (1 + 1e-9), n)[-1]) > bound

    def path(rate):
        return kernel.trajectory(START, STEPS, every=5, eta=rate, n=n)["f"]

    rows = np.asarray(mode(lambda rate: 0.5 * path(rate)[2] ** 2)(eta))
    assert abs(rows - slopes[10]) <= bound


def central(function, at):
    """A central difference and what it may miss by.

    Its error is h**2 / 6 of the third derivative and rounding eps / h of the values: both of
    the order eps**(2/3) at h = eps**(1/3). The third derivative is taken from the same
    function at wide points, and a factor of 8 is left for its variation.
    """
    h, wide = EPS ** (1 / 3), EPS ** (1 / 5)
    values = {k: function(at + k * wide) for k in (-2, -1, 1, 2)}
    third = abs(values[2] - 2 * values[1] + 2 * values[-1] - values[-2]) / (2 * wide**3)
    slope = (function(at + h) - function(at - h)) / (2 * h)
    steps = STEPS * 8 * max(map(abs, values.values()))
    return slope, 8 * (h**2 / 6 * third + EPS / h * steps)


@pytest.mark.parametrize(
    "title",
    [
        "uv, logistic",
        "linear, softmax",
        *(pytest.param(title, marks=pytest.mark.full) for title in ("linear", TEN.name)),
    ],
)
def test_slopes_by_the_learning_rate_are_central_differences(title):
    state, given = in_jax(start_of(title, 3)), in_jax(given_of(title, 0.3))
    kernel = ct.compile(derived(title), "jax")

    def total(eta):
        return kernel.run(state, STEPS, **{**given, "eta": xp.asarray(eta)}).loss.sum()

    slope, bound = central(lambda eta: float(total(eta)), 0.3)
    assert abs(float(jax.grad(total)(0.3)) - slope) <= bound
    assert abs(float(jax.jacfwd(total)(0.3)) - slope) <= bound
    assert abs(float(jax.grad(total)(0.3003)) - slope) > bound


def test_decided_and_invalid_lanes_leave_shared_gradients_alone():
    kernel = ct.compile(UV, "jax")
    f = xp.asarray([1.0, 0.5, 1.0, 1.0, xp.nan])
    lam = xp.asarray([2.0, 1.0, 1e200, 40.0, 2.0])  # the third overflows, the fourth diverges

    def total(eta, keep):
        run = kernel.run({"f": f[:keep], "lam": lam[:keep]}, 300, eta=eta, n=100.0)
        return xp.where(run.status <= Status.CONVERGED, run.peak_loss + run.loss, 0.0).sum()

    run = kernel.run({"f": f, "lam": lam}, 300, eta=xp.asarray(0.5), n=100.0)
    assert np.asarray(run.status).tolist() == [1, 1, 2, 2, 3]
    alone = float(jax.grad(total)(0.5, 2))
    for mode in (jax.grad, jax.jacfwd):
        assert float(mode(total)(0.5, 5)) == pytest.approx(alone, rel=1e-12)

    def rows(eta):
        kept = kernel.trajectory({"f": f, "lam": lam}, 300, every=100, eta=eta, n=100.0)
        return xp.where(run.status <= Status.CONVERGED, kept["lam"], 0.0).sum()

    assert np.isfinite(jax.grad(rows)(0.5))


def test_masking_after_the_step_alone_would_give_gradients_that_are_no_numbers():
    """The control: why the loop steps from harmless states where a lane is decided."""
    kernel = ct.compile(UV, "jax")
    f, lam = xp.asarray([1.0, 1.0]), xp.asarray([2.0, 1e200])

    def naive(eta):
        state = (f, lam)
        for _ in range(3):
            new = kernel.step(*state, eta=eta, n=100.0)
            sound = xp.isfinite(new.f) & xp.isfinite(new.lam)
            state = tuple(xp.where(sound, a, b) for a, b in zip(new, state, strict=True))
        return state[0][0]

    assert np.isnan(jax.grad(naive)(0.5))


@pytest.mark.parametrize("f", [0.0, -3.0, 3.0])
def test_the_logistic_loss_has_its_slope_where_the_output_is_zero(f):
    update_map = derived("uv, logistic")
    kernel = ct.compile(update_map, "jax")
    numbers = dict(zip([*update_map.variables, *update_map.constants], [f, 2, 0.5, 9], strict=True))
    want = float(update_map.jacobian()[0, 0].subs(numbers))
    slope = jax.grad(lambda x: kernel.step(x, 2.0, eta=0.5, n=9.0).f)(f)
    assert float(slope) == pytest.approx(want, rel=32 * EPS)
    loss = jax.grad(lambda x: kernel.run({"f": x, "lam": 2.0}, 0, eta=0.5, n=9.0).loss)(f)
    assert float(loss) == pytest.approx(-1 / (1 + np.exp(f)), rel=8 * EPS)
    assert float(slope) != pytest.approx(want - 0.25 * np.exp(-abs(f)), rel=1e-3)


def test_mapped_lanes_are_batched_lanes():
    kernel = ct.compile(UV, "jax")
    etas = xp.linspace(0.2, 3.0, 7)
    batch = kernel.run(START, 60, eta=etas, n=100.0)
    mapped = jax.vmap(lambda eta: kernel.run(START, 60, eta=eta, n=100.0).status)(etas)
    assert set(np.asarray(batch.status).tolist()) >= {1, 2}
    assert mapped.tolist() == batch.status.tolist()
    rows = kernel.trajectory(START, 6, every=2, eta=etas, n=100.0)["f"]
    mapped = jax.vmap(lambda eta: kernel.trajectory(START, 6, every=2, eta=eta, n=100.0)["f"])(etas)
    assert np.allclose(mapped.T, rows, rtol=6 * 8 * EPS, atol=0.0)
    slopes = jax.vmap(jax.grad(lambda eta: final_loss(kernel, eta, n=100.0)))(etas[:2])
    assert np.allclose(slopes, [complex_step(float(e), 100.0)[-1] for e in etas[:2]], rtol=1e-9)


@pytest.mark.parametrize("title", ["uv", "linear, softmax"])
def test_compiled_steps_are_the_eager_ones_but_for_rounding(title):
    state, given = in_jax(start_of(title, 4)), in_jax(given_of(title, 0.3))
    kernel = ct.compile(derived(title), "jax")
    eager = stepped(kernel, state, given)
    compiled = jax.jit(lambda s, g: stepped(kernel, s, g))(state, given)
    run = kernel.run(state, 5, **given)
    with jax.disable_jit():
        plain = kernel.run(state, 5, **given)
    for a, b in [*zip(eager, compiled, strict=True), (run.loss, plain.loss)]:
        assert np.allclose(a, b, rtol=TOLERANCES.step, atol=TOLERANCES.step)
    assert run.status.tolist() == plain.status.tolist()


def test_more_lanes_than_a_block_holds_keep_their_places_and_their_slopes():
    kernel = ct.compile(UV, "jax")
    eta = np.linspace(0.1, 1.8, 50 * 50).reshape(50, 50)
    here, there = (
        ct.compile(UV, backend).run(START, 300, eta=eta, n=100.0) for backend in ("numba", "jax")
    )
    for name in ("status", "status_step", "peak_step"):
        assert np.array_equal(getattr(here, name), getattr(there, name))
    assert len(np.unique(there.status_step)) > 10  # so that a lane out of place would be seen

    def peaks(n):
        return kernel.run(START, 30, eta=xp.asarray(eta), n=n).peak_loss.sum()

    slope, bound = central(lambda n: float(peaks(n)), 100.0)
    assert abs(float(jax.grad(peaks)(100.0)) - slope) <= bound
    assert abs(float(jax.grad(peaks)(100.1)) - slope) > bound


@pytest.mark.parametrize("title", ["uv", "linear"])
def test_blocks_of_lanes_do_not_change_the_result(title):
    case, update_map = ALL[title], derived(title)
    module = load_module(ct.compile(update_map, "jax").source, ("jax", "float64"))
    state = tuple(a.reshape(2, 5, *a.shape[1:]) for a in start_of(title, 10).values())
    parameters = (xp.linspace(0.05, 2.0, 10).reshape(2, 5), 20.0)
    data = case.data or ()
    whole, verdicts = module.run(state, parameters, data, 50, block=0)
    for block, unroll in ((3, 1), (4, 2), (10, 1)):
        parts, found = module.run(state, parameters, data, 50, block=block, unroll=unroll)
        assert found[3].tolist() == verdicts[3].tolist()
        assert all(a.shape == (2, 5) for a in found)
        for a, b in zip(parts, whole, strict=True):
            assert a.shape == b.shape
            sound = np.asarray(verdicts[3]) == Status.CONVERGED
            assert np.allclose(np.asarray(a)[sound], np.asarray(b)[sound], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("title", "every"),
    [*(("uv", k) for k in (1, 3, 7, 8)), ("linear, softmax", 3), ("linear, momentum", 7)],
)
def test_a_trajectory_keeps_every_so_manieth_state_of_the_array_target(title, every):
    state, given = start_of(title, 3), given_of(title, [0.1, 0.3, np.nan])
    here, there = (
        ct.compile(derived(title), backend).trajectory(state, 7, every=every, **given)
        for backend in ("array", "jax")
    )
    for name, rows in here.items():
        assert there[name].shape == rows.shape
        assert len(rows) == 7 // every + 1
        size = np.nanmax(np.abs(rows))
        assert np.allclose(there[name], rows, 0.0, 7 * TOLERANCES.step * size, equal_nan=True)
    if every < 8:
        given["eta"] = np.array([0.1, 0.3001, np.nan])
        other = ct.compile(derived(title), "jax").trajectory(state, 7, every=every, **given)
        name = next(iter(here))
        assert not np.allclose(other[name], here[name], 0.0, 1e-8, equal_nan=True)


def test_a_decided_lane_keeps_its_state_in_a_trajectory():
    rows = ct.compile(UV, "jax").trajectory(START, 400, eta=[0.5, 3.0], n=100.0)["f"]
    assert (rows[-1] == rows[-50]).all()
    assert np.isfinite(rows).all()


def test_arrays_of_jax_stay_in_jax_and_others_are_refused():
    kernel = ct.compile(UV, "jax")
    run = kernel.run({"f": xp.ones(3), "lam": 2.0}, 5, eta=0.5, n=100.0)
    assert all(isinstance(x, jax.Array) for x in (run.state["f"], run.loss, run.status))
    assert isinstance(kernel.run(START, 5, eta=0.5, n=100.0).status, np.ndarray)
    assert isinstance(kernel.step(xp.ones(3), 2.0, eta=0.5, n=4.0).lam, jax.Array)
    assert kernel.step(1.0, 2.0, eta=0.5, n=4) == (0.0625, 1.625)
    with pytest.raises(InputError, match="arrays of NumPy and JAX"):
        kernel.step(strict.asarray([1.0]), 2.0, eta=0.5, n=4.0)
    with pytest.raises(InputError, match="same library"):
        kernel.step(xp.ones(2), np.ones(2), eta=0.5, n=4.0)


def test_observables_can_be_differentiated():
    module = load_module(ct.compile(UV, "jax").source, ("jax", "float64"))
    assert float(jax.grad(module.observe_loss)(3.0, 2.0, 0.5, 4.0)) == 3.0
    assert np.allclose(jax.vmap(lambda f: module.observe_loss(f, 2.0, 0.5, 4.0))(xp.ones(2)), 0.5)


def process(code, folder, seed="0", **more):
    environment = {**os.environ, "PYTHONHASHSEED": seed, **more}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


ALONE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('sympy', 'numba', 'catapult_theory'):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, '.')
import jax, emitted
try:
    emitted.run((1.0, 2.0), (0.5, 7.0), (), 3)
except TypeError as error:
    assert 'jax.config.update("jax_enable_x64", True)' in str(error)
else:
    raise SystemExit('rounded silently')
jax.config.update('jax_enable_x64', True)
print(*(float(x).hex() for x in emitted.step(1.0, 2.0, 0.5, 7.0)))
(f, lam), verdicts = emitted.run((1.0, 2.0), (jax.numpy.array([0.5, 9.0]), 7.0), (), 300)
print(*verdicts[3].tolist())
print(*emitted.trajectory((1.0, 2.0), (0.5, 7.0), (), 6, every=3)[0].shape)
print(jax.grad(lambda eta: emitted.run((1.0, 2.0), (eta, 7.0), (), 2)[1][0])(0.0).item())
"""


def test_an_emitted_file_needs_jax_alone(tmp_path):
    kernel = ct.compile(UV, "jax")
    (tmp_path / "emitted.py").write_text(kernel.source)
    step, status, shape, slope = process(ALONE, tmp_path).splitlines()
    want = ct.compile(UV, "array").step(1.0, 2.0, eta=0.5, n=7.0)
    assert step.split() == [x.hex() for x in want]
    assert status.split() == ["1", "2"]
    assert shape == "3"
    # f' = f - eta f lam + O(eta^2): the loss f^2 / 2 starts off at -2 steps * f^2 lam.
    assert float(slope) == -4.0


EMIT = """
import hashlib, sys
import catapult_theory as ct
for model, loss in ((ct.models.uv(label=1), 'logistic'), (ct.models.linear(inputs=3), 'squared')):
    print(hashlib.sha256(ct.compile(ct.derive(model, loss), 'jax').source.encode()).hexdigest())
assert 'jax' not in sys.modules
"""


def test_the_source_is_the_same_to_the_byte_in_every_process(tmp_path):
    assert len({process(EMIT, tmp_path, seed) for seed in ("1", "2", "3")}) == 1


def test_the_head_of_the_file_names_equations_symbols_and_needs():
    source = ct.compile(UV, "jax").source
    head = source.split('"""')[1]
    for text in ("lam' = ", "eta  scalar   learning rate", "arXiv 2003.02218", "needs only\nJAX"):
        assert " ".join(text.split()) in " ".join(head.split())
    assert "namespace" not in source


WITHOUT = """
import sys
import catapult_theory as ct
uv = ct.derive(ct.models.uv())
for backend in ('array', 'numba'):
    ct.compile(uv, backend).run({'f': 1.0, 'lam': 2.0}, 3, eta=0.5, n=4.0)
assert not [name for name in sys.modules if name.split('.')[0] in ('jax', 'jaxlib')]
"""


def test_without_jax_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingBackend, match=r"pip install 'catapult-theory\[jax\]'"):
        ct.compile(UV, "jax")


def test_other_backends_do_not_import_jax(tmp_path):
    process(WITHOUT, tmp_path)


SINGLE = """
import jax, catapult_theory as ct
uv = ct.derive(ct.models.uv())
kernel = ct.compile(uv, 'jax')
calls = (
    lambda: kernel.run({'f': 1.0, 'lam': 2.0}, 3, eta=0.5, n=4.0),
    lambda: kernel.trajectory({'f': 1.0, 'lam': 2.0}, 3, eta=0.5, n=4.0),
    lambda: kernel.step(jax.numpy.ones(2), 2.0, eta=0.5, n=4.0),
)
for call in calls:
    try:
        call()
    except ct.errors.InputError as error:
        assert 'jax.config.update("jax_enable_x64", True)' in str(error), error
    else:
        raise SystemExit('rounded silently')
single = ct.compile(uv, 'jax', dtype='float32')
print(single.step(jax.numpy.ones(2), 2.0, eta=0.5, n=4.0).f.dtype)
print(single.run({'f': 1.0, 'lam': 2.0}, 99, eta=0.5, n=4.0).status)
assert not jax.config.jax_enable_x64
jax.config.update('jax_enable_x64', True)
print(*(call() is not None for call in calls))
"""


def test_float64_is_refused_where_jax_is_kept_to_float32(tmp_path):
    assert process(SINGLE, tmp_path).split() == ["float32", "1", "True", "True", "True"]


def test_a_wrong_coefficient_is_found():
    """The control of all comparisons above: one constant of the emitted step is changed."""
    program = loop_program(UV)
    source = BACKENDS["jax"].emit(UV, program, "float64")
    assert "4.0" in source
    wrong = BACKENDS["jax"].load(source.replace("4.0", "4.1"), UV, program, "float64").taking(())
    right = BACKENDS["jax"].load(source, UV, program, "float64").taking(())
    given = ((1.0, 2.0), (0.5, 100.0), ())
    want = ct.compile(UV, "numba").run(START, 20, eta=0.5, n=100.0)
    found = [float(module.run(*given, 20)[0][1]) for module in (right, wrong)]
    gaps = np.abs(np.array(found) - want.state["lam"])
    assert gaps[0] <= 20 * TOLERANCES.backends * 2.0
    assert gaps[1] > 1e-4
