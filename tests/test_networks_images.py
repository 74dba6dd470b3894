"""Sets of images: what is read, in which order it is drawn, colour, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_images

from catapult_theory.errors import InputError
from catapult_theory.networks import Dataset, normalised
from catapult_theory.networks.image_sources import PATCH, photograph_source
from catapult_theory.networks.images import images, photographs, raw_images

EPS = np.finfo(float).eps


@pytest.mark.parametrize("name", ["digits", "photographs"])
@pytest.mark.parametrize("protocol", ["classes", "parity"])
def test_prepared_images_are_the_raw_ones_centred_and_scaled(name, protocol):
    raw, prepared = raw_images(name, 60, protocol), images(name, 60, protocol)
    again = normalised(Dataset(raw.X, raw.Y))
    assert np.abs(again.X - prepared.X).max() <= 60 * EPS
    assert np.array_equal(raw.Y, prepared.Y)
    assert raw.channels == prepared.channels
    for data in (raw, prepared):
        assert abs(np.square(data.X).sum(axis=1).mean() - 1) <= 60 * EPS
    assert raw.X.min() >= 0 > prepared.X.min()


def test_raw_digits_are_those_of_the_bundled_set_in_its_order():
    pixels, labels = load_digits(return_X_y=True)
    X, Y = raw_images("digits", 50)
    assert np.allclose(X / X.max(), pixels[:50] / pixels[:50].max())
    assert np.array_equal(Y.argmax(axis=1), labels[:50])


def test_photographs_are_balanced_and_the_first_are_among_more():
    for m in (2, 31, 100):
        ones = photographs(m).Y[:, 0].sum()
        assert abs(ones - m / 2) <= 0.5
    few, more = photograph_source().drawn(40, "classes"), photograph_source().drawn(80, "classes")
    assert np.array_equal(few.X, more.X[:40])
    assert few.outputs == 2


def test_a_patch_is_a_part_of_its_photograph_channels_first():
    photos = dict(enumerate(load_sample_images().images))
    data = photograph_source().drawn(6, "classes")
    for row, target in zip(data.X, data.Y, strict=True):
        patch = row.reshape(3, PATCH, PATCH).transpose(1, 2, 0)
        places = [
            (i, j)
            for i in range(0, photos[0].shape[0] - PATCH + 1, PATCH)
            for j in range(0, photos[0].shape[1] - PATCH + 1, PATCH)
            if np.array_equal(photos[int(target[1])][i : i + PATCH, j : j + PATCH], patch)
        ]
        assert places


def test_patches_do_not_overlap_and_all_are_drawn_once():
    source = photograph_source()
    rows, columns = (size // PATCH for size in load_sample_images().images[0].shape[:2])
    assert len(source.pixels) == 2 * rows * columns
    assert sorted(source.order) == list(range(len(source.pixels)))
    # Shuffled: neighbours in the order are no neighbours in the photograph.
    assert np.mean(np.abs(np.diff(source.order[::2])) == 1) < 0.01


BAD = [
    (lambda: photographs(8481), "ask for 2 to 8480"),
    (lambda: photographs(1), "not 1"),
    (lambda: photographs(8, "colours"), "unknown protocol"),
    (lambda: raw_images("photos"), "photographs"),
    (lambda: Dataset(np.ones((2, 4)), np.ones(2), channels=3), "4 inputs are no image"),
    (lambda: Dataset(np.ones((2, 4)), np.ones(2), channels=0), "channels"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_what_cannot_be_drawn_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
