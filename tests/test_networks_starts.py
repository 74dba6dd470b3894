"""Starting states: reproducible by (seed, width) alone, and one law at every width."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from catapult_theory.errors import CatapultError, InputError
from catapult_theory.networks import frame, gaussian_start, gram
from catapult_theory.networks.parameters import checked, checked_shapes, columns, split
from catapult_theory.networks.starts import bartlett, generator

UV = {"u": ("n",), "v": ("n",)}
LINEAR = {"V": (3, "n"), "U": ("n", 5)}
DRAWS = 4000
COLUMNS = 4
NARROW = 6

# Sixteen z-scores are looked at once, at fixed seeds: |z| > 4 has probability 6e-5 for each.
LARGEST_Z = 4.0
# Two-sample Kolmogorov-Smirnov tests: five looks at p > 1e-3 pass together with probability
# 0.995 if the laws agree; the control's p-value must be a thousand times smaller.
SMALLEST_P = 1e-3


def raw_grams(n: int) -> np.ndarray:
    return gaussian_start(seeds=range(DRAWS), wishart_above=10**9).gram(COLUMNS, n)


def bartlett_grams(n: int) -> np.ndarray:
    return gaussian_start(seeds=range(DRAWS, 2 * DRAWS), wishart_above=0).gram(COLUMNS, n)


def wrong_grams(n: int) -> np.ndarray:
    """Bartlett's decomposition with n degrees of freedom in every row."""
    factors = [bartlett(generator(s, n), np.full(COLUMNS, n)) for s in range(DRAWS)]
    return np.stack([a @ a.T / n for a in factors])


def invariants(grams: np.ndarray, n: int) -> dict[str, np.ndarray]:
    return {
        "f": np.sqrt(n) * grams[:, 0, 1],
        "lam": grams[:, 0, 0] + grams[:, 1, 1],
        "last norm": grams[:, -1, -1],
        "last product": np.sqrt(n) * grams[:, -2, -1],
        "log det": np.linalg.slogdet(grams)[1],
    }


def z_scores(grams: np.ndarray, n: int) -> dict[str, float]:
    """Sample means against E of the Wishart law: first and second moments, determinant."""
    det = np.prod([1 - i / n for i in range(COLUMNS)])
    samples = {f"norm {i}": (grams[:, i, i], 1.0) for i in range(COLUMNS)}
    samples |= {f"norm2 {i}": (grams[:, i, i] ** 2, 1 + 2 / n) for i in range(COLUMNS)}
    samples |= {f"product {i}": (grams[:, 0, i], 0.0) for i in range(1, COLUMNS)}
    samples |= {f"product2 {i}": (grams[:, 0, i] ** 2, 1 / n) for i in range(1, COLUMNS)}
    samples["last product2"] = (grams[:, -2, -1] ** 2, 1 / n)
    samples["det"] = (np.linalg.det(grams), det)
    return {
        name: float((x.mean() - mean) / (x.std(ddof=1) / np.sqrt(len(x))))
        for name, (x, mean) in samples.items()
    }


@pytest.mark.parametrize("n", [NARROW, 40])
@pytest.mark.parametrize("draw", [raw_grams, bartlett_grams])
def test_both_laws_have_the_moments_of_the_wishart_law(draw, n):
    scores = z_scores(draw(n), n)
    assert max(map(abs, scores.values())) < LARGEST_Z, scores


def test_wrong_degrees_of_freedom_fail_the_moments():
    scores = z_scores(wrong_grams(NARROW), NARROW)
    assert max(map(abs, scores.values())) > 2 * LARGEST_Z


@pytest.mark.parametrize("n", [NARROW, 40])
def test_raw_and_bartlett_draws_follow_one_law(n):
    raw, drawn = invariants(raw_grams(n), n), invariants(bartlett_grams(n), n)
    p_values = {name: ks_2samp(raw[name], drawn[name]).pvalue for name in raw}
    assert min(p_values.values()) > SMALLEST_P, p_values


def test_wrong_degrees_of_freedom_fail_the_two_sample_test():
    raw, wrong = invariants(raw_grams(NARROW), NARROW), invariants(wrong_grams(NARROW), NARROW)
    p_values = [ks_2samp(raw[name], wrong[name]).pvalue for name in ("last norm", "log det")]
    assert max(p_values) < SMALLEST_P / 1000


def test_the_widest_networks_keep_their_fluctuations():
    n = 10**12
    grams = gaussian_start(seeds=range(DRAWS)).gram(2, n)
    f = np.sqrt(n) * grams[:, 0, 1]
    spread = np.sqrt(n / 2) * (grams[:, 0, 0] - 1)
    for sample in (f, spread):
        assert abs(sample.mean()) * np.sqrt(DRAWS) < LARGEST_Z
        assert abs(np.mean(sample**2) - 1) / np.sqrt(2 / DRAWS) < LARGEST_Z


@pytest.mark.parametrize("shapes", [UV, LINEAR])
def test_parameters_and_gram_matrices_are_one_draw(shapes):
    start = gaussian_start(seeds=[4, 9])
    drawn = start.raw(shapes, n=30)
    expected = start.gram(columns(shapes), n=30)
    # The same products summed in another order: 30 terms of order one.
    np.testing.assert_allclose(gram(drawn, shapes), expected, atol=30 * np.finfo(float).eps)
    other = gaussian_start(seeds=[5, 10]).gram(columns(shapes), n=30)
    assert np.abs(gram(drawn, shapes) - other).max() > 0.01


@settings(max_examples=25, deadline=None)
@given(
    seeds=st.lists(st.integers(0, 10**6), min_size=2, max_size=4, unique=True),
    widths=st.lists(
        st.sampled_from([1, 2, 7, 100, 30_000, 10**9, 10**12]),
        min_size=1, max_size=4,
    ),
)  # fmt: skip
def test_a_draw_depends_on_seed_and_width_alone(seeds, widths):
    together = gaussian_start(seeds=seeds).gram(3, np.array(widths))
    for i, seed in enumerate(seeds):
        for j, n in enumerate(widths):
            alone = gaussian_start(seed=seed).gram(3, n)
            assert np.array_equal(together[i, j], alone)
    backwards = gaussian_start(seeds=seeds[::-1]).gram(3, np.array(widths[::-1]))
    assert np.array_equal(together, backwards[::-1, ::-1])


def test_different_seeds_and_widths_give_different_draws():
    grams = gaussian_start(seeds=range(3)).gram(2, np.array([50, 51])).reshape(6, 2, 2)
    assert len({g.tobytes() for g in grams}) == 6


def test_lanes_of_one_seed_and_width_share_their_draw():
    grams = gaussian_start(seeds=range(3)).gram(2, 100, size=(3, 7))
    assert grams.shape == (3, 7, 2, 2)
    assert (grams == grams[:, :1]).all()


def test_fewer_units_than_columns_are_drawn_raw():
    start = gaussian_start(wishart_above=0)
    assert start.law(4, 3) == "raw"
    assert start.law(4, 4) == "bartlett"
    # Three length-3 vectors at most are independent.
    assert np.linalg.matrix_rank(start.gram(4, 3)) == 3


@settings(max_examples=30, deadline=None)
@given(
    sides=st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=4),
    n=st.integers(1, 6),
    lanes=st.sampled_from([(), (2,), (3, 2)]),
)
def test_split_undoes_frame(sides, n, lanes):
    shapes = {f"p{i}": ("n", s) if last else (s, "n") for i, (s, last) in enumerate(sides)}
    source = np.random.default_rng(0)
    parameters = {
        k: source.standard_normal((*lanes, *(n if s == "n" else s for s in shape)))
        for k, shape in shapes.items()
    }
    phi = frame(parameters, shapes)
    assert phi.shape == (*lanes, n, columns(shapes))
    back = split(phi, shapes)
    assert all(np.array_equal(back[k], parameters[k]) for k in shapes)


def test_parameters_without_a_single_width_are_drawn_but_have_no_gram_matrix():
    shapes = {"A": ("n", "n"), "b": (3,), "v": ("n",)}
    drawn = gaussian_start().raw(shapes, n=4)
    assert [drawn[k].shape for k in shapes] == [(4, 4), (3,), (4,)]
    with pytest.raises(InputError, match="exactly one side of length n"):
        gram(drawn, shapes)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian_start(seed=-1), "non-negative"),
        (lambda: gaussian_start(seed=0.5), "non-negative integer"),
        (lambda: gaussian_start(seed=True), "non-negative integer"),
        (lambda: gaussian_start(seeds=[]), "empty"),
        (lambda: gaussian_start(seeds=[1, 1]), "twice"),
        (lambda: gaussian_start(seeds=3), "range"),
        (lambda: gaussian_start(wishart_above="many"), "wishart_above"),
        (lambda: gaussian_start().gram(2, 0), "positive integer"),
        (lambda: gaussian_start().gram(2, 2.5), "positive integer"),
        (lambda: gaussian_start().gram(2, 1e13), "at most 1e\\+12"),
        (lambda: gaussian_start().gram(2, np.nan), "positive integer"),
        (lambda: gaussian_start().gram(0, 10), "columns"),
        (lambda: gaussian_start(seeds=range(3)).gram(2, 10, size=(2,)), "leading axis"),
        (lambda: gaussian_start().gram(2, np.array([10, 20]), size=(3,)), "do not fit"),
        (lambda: gaussian_start().raw(UV, n=-5), "width n"),
        (lambda: gaussian_start().raw({}, n=5), "mapping"),
        (lambda: gaussian_start().raw({"u": "n"}, n=5), "tuple"),
        (lambda: checked_shapes({"u": (0, "n")}), "positive integers"),
        (lambda: checked_shapes({"u": (3, 4)}), "side of the width"),
        (lambda: checked({"u": [1.0]}, UV), "parameters are"),
        (lambda: checked({"u": [1.0], "v": [1.0, 2.0]}, UV), "share one width"),
        (lambda: checked({"u": [np.nan], "v": [1.0]}, UV), "NaN"),
        (lambda: checked({"u": [1j], "v": [1.0]}, UV), "real numbers"),
        (lambda: checked({"u": np.ones((2, 3)), "v": np.ones(3)}, UV), "same lanes"),
        (lambda: checked({"V": np.ones((2, 4)), "U": np.ones((4, 5))}, LINEAR), "expected"),
        (lambda: checked({"u": [], "v": []}, UV), "n >= 1"),
    ],
)
def test_bad_starts_give_one_clear_error(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert isinstance(caught.value, (CatapultError, ValueError))
