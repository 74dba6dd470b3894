"""A user's model in three lines gets all that a model of the zoo gets.

Both models are outside the zoo; what is expected of them is worked out by hand.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest
import sympy as sp

import catapult_theory as ct
import catapult_theory.errors
from catapult_theory.symbolic.symbols import eta, f, lam, n

# f = u.z / sqrt(n) with z = v + w/2, and lam = (|z|^2 + 5/4 |u|^2) / n: by hand
# u' = u - eta g z / sqrt(n) and z' = z - 5/4 eta g u / sqrt(n).
U, V, W = ct.vectors("u v w")
SCALAR = ct.Model(output=U @ (V + W / 2) / ct.sqrt(n), vectors=(U, V, W), name="own scalar")
# Three times a linear network: W' of the linear network at three times the gradient.
A, B, X = ct.matrix("A", rows=1), ct.matrix("B", cols=3), ct.data("X", cols=3)
MATRIX = ct.Model(
    output=3 * X @ B.T @ A.T / ct.sqrt(n), matrices=(A, B), data=X,
    observables={"W": A @ B / ct.sqrt(n), "G": B.T @ B / n, "S": A @ A.T / n}, name="own matrix",
)  # fmt: skip
RNG = np.random.default_rng(5)
DATA = RNG.normal(size=(4, 3)) / np.sqrt(3), RNG.choice([-1.0, 1.0], size=4)
MODELS = pytest.mark.parametrize(
    ("model", "data"), [(SCALAR, None), (MATRIX, DATA)], ids=["scalar", "matrix"]
)
derived = functools.cache(ct.derive)


C, D, SAMPLES = ct.matrix("C", rows=2), ct.matrix("D", cols=3), ct.data("X", cols=3)
LINEAR = {"output": SAMPLES @ D.T @ C.T / ct.sqrt(n), "matrices": (C, D), "data": SAMPLES}
WRONG = [
    ("a size that is text", lambda: ct.matrix("Q", rows="k"), "positive integer or a symbol"),
    ("a size of zero", lambda: ct.matrix("Q", rows=0), "positive integer or a symbol"),
    ("a negative size", lambda: ct.matrix("Q", cols=-1), "positive integer or a symbol"),
    ("half an input", lambda: ct.data("X", cols=2.5), "positive integer or a symbol"),
    ("an activation of a matrix", lambda: ct.relu(SAMPLES @ D.T) @ C.T, "relu is for width-n"),
    ("two vectors of one name", lambda: ct.vectors("u u"), "named twice"),
    (
        "samples that would have to be as many as inputs",
        lambda: ct.Model(output=D.T @ C.T @ SAMPLES, matrices=(C, D), data=SAMPLES),
        "2 is not m",
    ),
    (
        "no row for each sample",
        lambda: ct.Model(output=C @ D @ SAMPLES.T, matrices=(C, D), data=SAMPLES),
        "has 2 rows, the data m",
    ),
    (
        "an observable whose sizes do not fit",
        lambda: ct.Model(**LINEAR, observables={"W": C @ D.T}),
        r"n is not 3",
    ),
    (
        "an observable of a derivation whose sizes do not fit",
        lambda: ct.derive(ct.Model(**LINEAR), observables={"W": D.T @ C}),
        r"n is not 2",
    ),
    (
        "a matrix that is not named",
        lambda: ct.Model(**{**LINEAR, "matrices": (C,)}),
        r"matrix D is missing from matrices=\['C'\]",
    ),
    (
        "a label named as the learning rate",
        lambda: ct.models.uv(label=ct.symbol("eta")),
        "eta is the learning rate",
    ),
    (
        "a factor named as the learning rate",
        lambda: ct.Model(output=eta * (U @ V), vectors=(U, V)),
        "eta is the learning rate",
    ),
    ("a label that is the width", lambda: ct.models.uv(label=n), "n the width"),
]


@pytest.mark.parametrize(("make", "says"), [c[1:] for c in WRONG], ids=[c[0] for c in WRONG])
def test_a_model_that_does_not_fit_together_is_refused_with_its_cause(make, says):
    with pytest.raises(ct.errors.ModelError, match=says):
        make()


def test_sizes_may_be_symbols_and_whole_numbers_of_any_type():
    assert ct.matrix("Q", rows=sp.Symbol("k"), cols=None).shape == (sp.Symbol("k"), n)
    assert ct.matrix("Q", cols=np.int64(3)).shape == (n, 3)


def test_the_scalar_map_is_the_one_by_hand():
    found = derived(SCALAR)
    right = {
        f: f * (1 - eta * lam + sp.Rational(5, 4) * eta**2 * f**2 / n),
        lam: lam + sp.Rational(5, 4) * eta * f**2 / n * (eta * lam - 4),
    }
    assert set(found.updates) == set(right)
    for s, image in right.items():
        assert sp.expand(found.updates[s] - image) == 0


@pytest.mark.parametrize(
    ("model", "claim", "holds"),
    [
        (SCALAR, "f' = f*(1 - eta*lambda + 5*eta**2*f**2/(4*n))", True),
        (SCALAR, "f' = f*(1 - eta*lambda + eta**2*f**2/n)", False),
        (MATRIX, "S' = S - eta/n*(Z*W.T + W*Z.T) + eta**2/n*Z*G*Z.T", True),
        (MATRIX, "S' = S - eta/n*(Z*W.T + W*Z.T) + 3*eta**2/n*Z*G*Z.T", False),
    ],
)  # fmt: skip
def test_claims_about_it_are_judged(model, claim, holds):
    assert (ct.verify(claim, model).status == "holds") == holds


def test_bounds_are_derived_and_no_theorem_is_claimed():
    bounds = ct.phase_bounds(derived(SCALAR))
    assert (bounds.eta_crit.expr, bounds.eta_max.expr) == (2 / lam, 4 / lam)
    assert bounds.eta_max.status == "derived"
    matrix = ct.phase_bounds(derived(MATRIX))
    assert matrix.eta_crit.expr == 2 / lam


def test_dimensionless_form_has_no_parameter_left():
    small = derived(SCALAR).dimensionless()
    assert not set().union(*(e.free_symbols for e in small.updates.values())) - set(small.variables)


@MODELS
def test_training_it_by_brute_force_follows_its_map(model, data):
    given = {} if data is None else {"data": data}
    names = [s.name for s in derived(model).variables]
    raw = ct.train(model, n=32, eta=0.1, steps=30, seed=0, **given)
    start = {name: raw[name].values[0] for name in names}
    for rate, close in ((0.1, True), (0.1001, False)):
        theory = ct.trajectory(derived(model), start, 30, eta=rate, n=32, **given)
        gap = max(
            np.abs(theory[k].values - raw[k].values).max() / np.abs(raw[k].values).max()
            for k in names
        )
        assert (gap < 1e-12) == close


@pytest.mark.parametrize(
    ("model", "data"),
    [(SCALAR, None), pytest.param(MATRIX, DATA, marks=pytest.mark.full)],
    ids=["scalar", "matrix"],
)
def test_validation_passes_with_its_controls(model, data):
    report = ct.validate(model, widths=(64,), seeds=2, data=data, quick=True)
    assert report.passed, str(report)
