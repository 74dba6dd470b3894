"""Lanes: how numbers, arrays and labelled arrays are brought together."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from catapult_theory.codegen.grid import grid, lanes_of
from catapult_theory.errors import InputError

LABELS = {"eta": "eta", "n": "n", "f": "f_0"}
SHAPES = hnp.mutually_broadcastable_shapes(num_shapes=3, min_side=1, max_dims=3, max_side=4)


def numbered(shape: tuple[int, ...], offset: int) -> np.ndarray:
    return offset + np.arange(int(np.prod(shape)), dtype=float).reshape(shape)


def spread(lanes, name: str) -> np.ndarray:
    return lanes.take(name, 0, lanes.count).reshape(lanes.shape)


@given(SHAPES)
def test_plain_arrays_broadcast_as_numpy_does_and_keep_the_shape(shapes):
    arrays = {
        name: numbered(shape, 100 * i)
        for i, (name, shape) in enumerate(zip(LABELS, shapes.input_shapes, strict=True))
    }
    lanes = lanes_of(arrays, LABELS, {})
    assert lanes.shape == shapes.result_shape
    for name, array in arrays.items():
        expected = np.broadcast_to(array, shapes.result_shape)
        np.testing.assert_array_equal(spread(lanes, name), expected)
        # Negative control: another order of the lanes is told apart.
        if expected.size > 1 and np.ptp(expected):
            assert not np.array_equal(spread(lanes, name), np.flip(expected))


DIMS = st.lists(st.sampled_from(["p", "q", "r"]), unique=True)
SIZES = {"p": 2, "q": 3, "r": 1}


@given(st.lists(DIMS, min_size=3, max_size=3))
def test_labelled_arrays_broadcast_as_xarray_does(dims):
    arrays = {
        name: xr.DataArray(numbered(tuple(SIZES[d] for d in own), 100 * i), dims=own)
        for i, (name, own) in enumerate(zip(LABELS, dims, strict=True))
    }
    lanes = lanes_of(arrays, LABELS, {})
    expected = dict(zip(arrays, xr.broadcast(*arrays.values()), strict=True))
    assert set(lanes.dims) == set(expected["eta"].dims)
    for name in arrays:
        mine = xr.DataArray(spread(lanes, name), dims=lanes.dims)
        xr.testing.assert_equal(mine, expected[name].transpose(*lanes.dims))


@given(st.integers(1, 30), st.integers(1, 30))
def test_any_range_of_lanes_is_that_range_of_all(low, high):
    lanes = lanes_of(grid(eta=np.arange(1.0, 6), n=np.arange(1, 7)), LABELS, {})
    low, high = min(low, high), max(low, high)
    for name in ("eta", "n"):
        part, whole = lanes.take(name, low, high), lanes.take(name, 0, lanes.count)
        np.testing.assert_array_equal(part, whole[low:high])


@pytest.mark.parametrize(
    ("values", "sizes"),
    [
        ({"eta": 0.5, "n": 64}, {}),
        ({"eta": [0.5, 1.0], "n": 64}, {"eta": 2}),
        ({"eta": 0.5, "n": 64, "f": [1.0, 2.0, 3.0]}, {"f_0": 3}),
        ({"eta": [0.5, 1.0], "n": [64, 128]}, {"dim_0": 2}),
        ({"eta": [[0.5], [1.0]], "n": [64, 128, 256]}, {"dim_0": 2, "dim_1": 3}),
        ({"eta": [[0.5, 1.0]], "n": 64}, {"dim_0": 1, "dim_1": 2}),
        (grid(eta=[0.5, 1.0], n=[64, 128, 256]), {"eta": 2, "n": 3}),
        ({"eta": [0.5, 1.0], **grid(n=[64, 128, 256])}, {"eta": 2, "n": 3}),
        ({"n": 64, **grid(f=[1.0, 2.0], eta=0.5)}, {"f_0": 2}),
    ],
)
def test_dimensions_are_named_after_what_makes_them(values, sizes):
    lanes = lanes_of(values, {k: LABELS[k] for k in values}, {})
    assert dict(lanes.sizes) == sizes
    for dim in set(sizes) & set(LABELS.values()):
        assert lanes.coords[dim].dims == (dim,)


def test_a_learning_rate_that_varies_along_its_own_dimension_and_another_keeps_both():
    axes = grid(eta=[0.5, 1.0], n=[4, 16])
    lanes = lanes_of({"eta": axes["eta"] / axes["n"], "n": axes["n"]}, LABELS, {})
    assert lanes.dims == ("eta_axis", "n")
    np.testing.assert_array_equal(lanes.coords["eta_axis"].values, [0.5, 1.0])
    np.testing.assert_array_equal(lanes.coords["eta"].values, [[0.125, 0.03125], [0.25, 0.0625]])


def test_the_recorded_parameter_is_the_one_that_runs_even_where_its_old_coordinate_remains():
    scaled = 2 * grid(eta=[0.5, 1.0])["eta"]
    np.testing.assert_array_equal(scaled["eta"], [0.5, 1.0])
    lanes = lanes_of({"eta": scaled}, LABELS, {})
    np.testing.assert_array_equal(lanes.coords["eta"].values, [1.0, 2.0])


def test_coordinates_of_labelled_arrays_are_kept():
    value = xr.DataArray([0.5, 1.0], {"trial": ["a", "b"], "day": ("trial", [3, 4])}, ("trial",))
    coords = lanes_of({"eta": value, "n": 64}, LABELS, {}).coords
    assert coords["trial"].values.tolist() == ["a", "b"]
    assert coords["day"].values.tolist() == [3, 4]


def test_matrices_have_their_own_dimensions_behind_those_of_the_lanes():
    core = {"W": ("output", "input")}
    lanes = lanes_of({"W": np.zeros((5, 2, 3)), "eta": 0.5}, LABELS, core)
    assert (lanes.dims, lanes.take("W", 1, 4).shape) == (("dim_0",), (3, 2, 3))
    turned = xr.DataArray(np.zeros((3, 5, 2)), dims=("input", "trial", "output"))
    assert lanes_of({"W": turned}, {}, core).take("W", 0, 5).shape == (5, 2, 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"eta": [1.0, 2.0, 3.0], "n": [1, 2]}, "do not broadcast.*grid"),
        ({"eta": "fast"}, "real numbers"),
        ({"eta": [1.0, [2.0]]}, "real numbers"),
        ({"eta": True}, "real numbers"),
        ({"eta": 1j}, "real numbers"),
        ({"eta": []}, "nothing to run"),
        ({"W": 1.0}, "W must be a matrix"),
        ({"W": xr.DataArray(np.ones((2, 2)))}, "needs the dimensions output, input"),
        ({"eta": xr.DataArray([1.0], dims="loss")}, "taken.*rename"),
        ({"eta": xr.DataArray([1.0], dims="input"), "W": np.ones((2, 2))}, "taken"),
        ({"eta": xr.DataArray([1.0], dims="p"), "n": xr.DataArray([1, 2], dims="p")}, "length"),
        (
            {
                "eta": xr.DataArray([1.0, 2.0], {"p": [0, 1]}, ("p",)),
                "n": xr.DataArray([1.0, 2.0], {"p": [1, 2]}, ("p",)),
            },
            "differs.*align",
        ),
        (
            {"eta": xr.DataArray([[1.0]], {"p": [0], "q": [0]}, ("p", "q")).stack(r=("p", "q"))},
            "reset_index",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_with_a_remedy(values, message):
    with pytest.raises(InputError, match=message):
        lanes_of(values, LABELS, {"W": ("output", "input")} if "W" in values else {}, {"loss"})


@pytest.mark.parametrize(
    "axes", [{}, {"eta": []}, {"eta": [[1.0]]}, {"eta": [np.nan]}, {"eta": ["a"]}]
)
def test_an_axis_that_cannot_be_one_is_refused(axes):
    with pytest.raises(InputError):
        grid(**axes)
