"""Several frames at once: quadratic activations, and models of the user's own with two frames."""

from __future__ import annotations

import functools
import pickle
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from cases import TOLERANCES
from hypothesis import given, settings
from hypothesis import strategies as st

import catapult_theory as ct
from catapult_theory.errors import InputError, ModelError, NotClosed
from catapult_theory.networks import forward_zoo, gaussian_start
from catapult_theory.networks.parameters import gram, share_of
from catapult_theory.symbolic.symbols import eta, f, lam, n, y
from catapult_theory.validation.forward_pass import forward_pass

RNG = np.random.default_rng(7)
DATA = RNG.normal(size=(6, 3)) / np.sqrt(3), RNG.normal(size=6)


def two_frames():
    """A network outside the zoo: a uv-model in one half, |w|^2 in a quarter of the units."""
    u, v, w = ct.vectors("u v w")
    return ct.Model(
        output=(u @ v - w @ w / 2) / ct.sqrt(n),
        vectors=(u, v, w),
        frames={"u v": Fraction(3, 4), "w": Fraction(1, 4)},
        label=True,
        name="two frames",
    )


def matrix_frames():
    """A network outside the zoo: a linear part and a quadratic one, with units of their own."""
    V, U, P, X = (
        *(ct.matrix("V", rows=1), ct.matrix("U", cols=3)),
        *(ct.matrix("P", cols=3), ct.data("X", cols=3)),
    )
    return ct.Model(
        output=X @ U.T @ V.T / ct.sqrt(n) + ct.diagonal(X @ P.T @ P @ X.T) / (8 * ct.sqrt(n)),
        matrices=(V, U, P),
        data=X,
        frames={"V U": Fraction(1, 2), "P": Fraction(1, 2)},
        name="linear and quadratic",
    )


def test_one_sample_obeys_theory_3_4_frame_by_frame():
    p, q = ct.vectors("p q")
    model = ct.models.quadratic_activation_one_sample(label=True)
    asked = {"A": p @ p / n, "B": q @ q / n}
    derived = ct.derive(model, observables=asked)
    A, B = (lam + s * 4 * f / sp.sqrt(n) for s in (1, -1))  # 8 A and 8 B in the state
    g = f - y
    for sign, gram_entry in ((1, A / 8), (-1, B / 8)):
        image = gram_entry.subs(dict(derived.updates), simultaneous=True)
        stepped = (1 - sign * 2 * eta * g / sp.sqrt(n)) ** 2 * gram_entry
        assert sp.simplify(sp.expand(image - stepped)) == 0
        wrong = (1 - sign * eta * g / sp.sqrt(n)) ** 2 * gram_entry
        assert sp.simplify(sp.expand(image - wrong)) != 0


def test_many_samples_obey_theory_3_4_frame_by_frame():
    derived = ct.derive(ct.models.quadratic_activation(inputs=3))
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(5, 3)), rng.normal(size=(5, 1))
    A, B = (x.T @ x / 8 for x in rng.normal(size=(2, 8, 3)))
    h, width = 0.03, 16.0
    residual = np.sqrt(width) * np.einsum("ai,ij,aj->a", X, A - B, X) - Y[:, 0]
    Q = np.einsum("a,ai,aj->ij", residual, X, X) / 5
    new = ct.compile(derived, "array").step(A, B, eta=h, n=width, X=X, Y=Y)
    for got, old, sign in ((new.A, A, 1), (new.B, B, -1)):
        M = np.eye(3) - sign * 2 * h / np.sqrt(width) * Q
        assert np.abs(got - M @ old @ M).max() <= 1e-14
        assert np.abs(got - M @ old).max() > 1e-3


plain = functools.cache(ct.derive)

ZOO = [
    (ct.models.quadratic_activation_one_sample(label=True), None, {"y": 0.4}),
    (ct.models.quadratic_activation(positive=Fraction(3, 4)), DATA, {}),
]
OWN = [(two_frames(), None, {"y": 0.4}), (matrix_frames(), DATA, {})]
RULES = [("gd", {}), ("heavy_ball", {"beta": 0.5}), ("weight_decay", {"omega": 0.01})]
FULL = pytest.mark.full


@pytest.mark.parametrize(
    ("model", "data", "symbols", "rule"),
    [
        *((*case, RULES[0]) for case in (ZOO[1], *OWN)),
        *(pytest.param(*ZOO[0], rule, marks=FULL) for rule in RULES),
        *(pytest.param(*ZOO[1], rule, marks=FULL) for rule in RULES[1:]),
        *(pytest.param(*case, rule, marks=FULL) for case in OWN for rule in RULES[1:]),
    ],
    ids=lambda value: getattr(value, "name", value[0] if isinstance(value, tuple) else ""),
)
def test_exact_against_raw_training_at_every_width(model, data, symbols, rule):
    optimizer, numbers = rule
    wide = ct.exactness(model, optimizer=optimizer, n=64, eta_lam0=1.5, data=data,
                        steps=200, **symbols, **numbers)  # fmt: skip
    assert wide.over_orbit, str(wide)
    assert wide.worst <= TOLERANCES.orbit, str(wide)
    assert wide.control_fails, str(wide)
    tiny = ct.exactness(model, optimizer=optimizer, n=4, eta_lam0=3.7, data=data,
                        **symbols, **numbers)  # fmt: skip
    assert tiny.worst <= TOLERANCES.step, str(tiny)
    assert tiny.control_fails, str(tiny)


@pytest.mark.parametrize("model", [two_frames(), matrix_frames()], ids=lambda m: m.name)
@pytest.mark.parametrize(
    "backend", ["c", *(pytest.param(b, marks=FULL) for b in ("llvm", "numba"))]
)
def test_a_users_frames_run_on_every_backend(model, backend):
    derived = plain(model)
    backend = "array" if backend == "llvm" and derived.is_matrix else backend
    data = DATA if derived.is_matrix else None
    numbers = {} if derived.is_matrix else {"y": 0.4}
    law = ct.gaussian_start(seeds=range(2))
    orbits = [
        ct.trajectory(derived, law, 5, backend=b, data=data, eta=0.1, n=32, **numbers)
        for b in ("array", backend)
    ]
    for name in derived.state._fields:
        assert np.allclose(orbits[0][name], orbits[1][name], rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        (ct.models.quadratic_activation(), "heavy_ball"),
        (ct.models.quadratic_activation_one_sample(), "gd"),
        (two_frames(), "gd"),
        (matrix_frames(), "gd"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_maps_with_frames_survive_json_and_pickle_and_print(model, rule):
    derived = plain(model, optimizer=rule)
    assert ct.UpdateMap.from_json(derived.to_json()) == derived
    assert pickle.loads(pickle.dumps(derived)) == derived
    assert derived.frame.groups
    assert "aligned" in derived.latex()
    assert "exact" in str(derived)
    assert "f" in derived.derivation()


@pytest.mark.parametrize("share", [Fraction(1, 2), Fraction(3, 4), Fraction(1)])
def test_a_law_draws_each_frame_from_its_own_units(share):
    model = ct.models.quadratic_activation(inputs=3, positive=share)
    derived, law, width = ct.derive(model), ct.gaussian_start(seed=5), 64
    drawn = ct.run(derived, law, 0, backend="array", data=DATA, eta=0.1, n=width)
    shapes = forward_zoo.quadratic_activation(3, share).shapes
    raw = law.raw(shapes, width)
    assert sum(len(a) for a in raw.values()) == width
    for name, block in zip("PQ", "AB", strict=True):
        if name in raw:
            expected = raw[name].T @ raw[name] / width
            assert np.allclose(drawn[block], expected, rtol=1e-14)


def test_large_frames_have_the_mean_of_their_wishart_law():
    derived = ct.derive(ct.models.quadratic_activation(inputs=2, positive=Fraction(3, 4)))
    law = ct.gaussian_start(seeds=range(400))
    data = np.eye(2), np.zeros(2)
    ds = ct.run(derived, law, 0, backend="array", data=data, eta=0.1, n=10**8)
    for block, share in (("A", 0.75), ("B", 0.25)):
        z = (ds[block].mean("seed").values - share * np.eye(2)) * np.sqrt(400 * 1e8 / share / 2)
        assert np.abs(z).max() < 5


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**20))
@settings(max_examples=25, deadline=None)
def test_the_forward_pass_written_by_hand_is_the_models(halves, d, seed):
    width = 2 * halves
    network = forward_zoo.quadratic_activation(d)
    raw = gaussian_start(seed).raw(network.shapes, width)
    X = np.random.default_rng(seed).normal(size=(4, d))
    derived = forward_pass(ct.models.quadratic_activation(d))(raw, X)
    size = float(sum((X**2).sum(axis=1)) * sum((a**2).sum() for a in raw.values()))
    assert np.abs(network.forward(raw, X) - derived).max() <= 1e-14 * max(1.0, size)


@given(st.fractions(min_value=Fraction(1, 12), max_value=2, max_denominator=12))
@settings(max_examples=25, deadline=None)
def test_a_side_reads_back_as_the_share_that_was_written(share):
    from catapult_theory.symbolic.frames import side_of

    assert share_of(side_of(sp.Rational(share.numerator, share.denominator))) == share


def test_gram_entries_within_a_frame_do_not_depend_on_the_other_frame():
    shapes = {"P": ("n/2", 2), "Q": ("3n/2", 1)}
    raw = gaussian_start(3).raw(shapes, 8)
    whole = gram(raw, shapes)
    assert np.allclose(whole[:2, :2], raw["P"].T @ raw["P"] / 8, rtol=1e-15)
    assert np.allclose(whole[2, 2], raw["Q"].T @ raw["Q"] / 8, rtol=1e-15)


def test_one_sample_is_the_uv_model_at_twice_the_learning_rate():
    derived = ct.derive(ct.models.quadratic_activation_one_sample())
    uv = ct.derive(ct.models.uv())
    scaled = {lam: lam / 2, eta: 2 * eta}
    assert sp.expand(derived.updates[f] - uv.updates[f].subs(scaled, simultaneous=True)) == 0
    image = 2 * uv.updates[lam].subs(scaled, simultaneous=True)
    assert sp.expand(derived.updates[lam] - image) == 0


def test_sharpness_is_the_top_eigenvalue_of_the_full_hessian():
    derived = ct.derive(ct.models.quadratic_activation_one_sample(label=0.3))
    rng = np.random.default_rng(1)
    u, signs, width = rng.normal(size=6), np.repeat([1.0, -1.0], 3), 6
    out = (signs * u**2).sum() / np.sqrt(width)
    slope = 2 * signs * u / np.sqrt(width)
    hessian = np.outer(slope, slope) + np.diag(2 * signs / np.sqrt(width)) * (out - 0.3)
    values = {f: out, lam: slope @ slope, n: width}
    top = float(derived.observables["sharpness"].subs(values))
    assert top == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-12)


P_, Q_ = ct.vectors("p q")


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (
            lambda: ct.Model(output=P_ @ Q_, vectors=(P_, Q_), frames={"p": 1, "q": 1}),
            ModelError,
            "joins two frames",
        ),
        (
            lambda: ct.Model(output=P_ @ P_, vectors=(P_, Q_), frames={"p": 1}),
            ModelError,
            "every vector or matrix once",
        ),
        (
            lambda: ct.Model(output=P_ @ P_, vectors=(P_,), frames={"p": -1}),
            ModelError,
            "positive fraction",
        ),
        (lambda: ct.models.quadratic_activation(positive=1.5), InputError, "fraction"),
        (
            lambda: ct.run(
                ct.derive(ct.models.quadratic_activation_one_sample()),
                ct.gaussian_start(), 1, eta=0.1, n=5,
            ),
            InputError,
            "multiples of 2",
        ),
        (lambda: ct.train("quadratic_activation_one_sample", n=5, eta=0.1, steps=1),
         InputError, "multiple of 2"),
        (
            lambda: ct.derive(ct.models.quadratic_activation(), optimizer="adam"),
            NotClosed,
            "Adam",
        ),
    ],
)  # fmt: skip
def test_bad_input_gets_one_clear_error(make, error, says):
    with pytest.raises(error) as caught:
        make()
    assert says in str(caught.value)
