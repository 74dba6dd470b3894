"""Data sets: the digits by their protocol, and files checked on entry."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from catapult_theory.errors import InputError
from catapult_theory.networks import Dataset, digits, load, normalised, one_hot, parity


def test_digits_follow_the_protocol():
    data = digits()
    assert data.X.shape == (256, 64)
    assert data.rank == 54
    # 256 terms of order one each: sums are right to 256 eps.
    tolerance = 256 * np.finfo(float).eps
    assert np.abs(data.X.mean(axis=0)).max() < tolerance
    assert abs(np.square(data.X).sum(axis=1).mean() - 1) < tolerance
    assert set(np.unique(data.Y)) == {-1.0, 1.0}
    assert data.Y.shape == (256, 1)


def test_digits_are_the_first_samples_in_their_order():
    from sklearn.datasets import load_digits

    _, labels = load_digits(return_X_y=True)
    assert np.array_equal(digits(samples=100).Y[:, 0] > 0, labels[:100] % 2 == 0)
    classes = digits(samples=100, protocol="classes")
    assert classes.outputs == 10
    assert np.array_equal(classes.Y.argmax(axis=1), labels[:100])
    assert np.array_equal(classes.Y.sum(axis=1), np.ones(100))


def test_normalising_is_of_the_chosen_samples():
    few, many = digits(samples=100), digits(samples=256)
    assert np.abs(few.X - many.X[:100]).max() > 1e-3


def test_constant_features_cost_nothing():
    data = normalised(Dataset([[1.0, 7.0], [3.0, 7.0], [8.0, 7.0]], [1, 1, -1]))
    assert np.array_equal(data.X[:, 1], np.zeros(3))
    assert data.rank == 1


def test_data_sets_are_immutable_and_unpack():
    source = np.eye(3)
    data = Dataset(source, np.ones(3))
    X, Y = data
    assert Y.shape == (3, 1)
    with pytest.raises(ValueError, match="read-only"):
        X[0, 0] = 5.0
    source[0, 0] = 5.0
    assert X[0, 0] == 1.0


def test_files_give_back_what_was_saved(tmp_path):
    X, y = np.arange(6.0).reshape(3, 2), np.array([1, -1, 1])
    np.savez(tmp_path / "a.npz", X=X, y=y)
    np.savez(tmp_path / "b.npz", X=X, Y=one_hot([0, 1, 1]))
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", y)
    named = load(tmp_path / "a.npz")
    assert named.name == "a"
    assert np.array_equal(named.X, X)
    assert np.array_equal(named.Y[:, 0], y)
    assert load(str(tmp_path / "b.npz")).outputs == 2
    for labels in (y, tmp_path / "y.npy", str(tmp_path / "y.npy")):
        assert np.array_equal(load(tmp_path / "x.npy", labels=labels).Y[:, 0], y)


def test_label_codes():
    assert np.array_equal(parity(np.array([3, 4]))[:, 0], [-1, 1])
    assert np.array_equal(one_hot([1, 0], classes=3), [[0, 1, 0], [1, 0, 0]])


def test_scikit_learn_is_loaded_only_for_its_digits():
    code = (
        "import sys, catapult_theory.networks;"
        "print([m for m in ('sklearn', 'sympy', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Dataset(np.ones(3), np.ones(3)), r"X\[:, None\]"),
        (lambda: Dataset(np.ones((2, 2, 2)), np.ones(2)), "one sample a row"),
        (lambda: Dataset(np.ones((0, 4)), np.ones(0)), "empty"),
        (lambda: Dataset(np.ones((4, 0)), np.ones(4)), "empty"),
        (lambda: Dataset(np.ones((4, 2)), np.ones(3)), "4 samples, Y has 3"),
        (lambda: Dataset(np.ones((4, 2)), np.ones((4, 1, 1))), "Y must have shape"),
        (lambda: Dataset([[1.0, np.nan]], [1.0]), r"1 NaN or infinite values, the first at \(0, 1"),
        (lambda: Dataset([[1.0, 2.0]], [np.inf]), "Y holds"),
        (lambda: Dataset([["a", "b"]], [1.0]), "real numbers"),
        (lambda: Dataset([[1j, 2.0]], [1.0]), "real numbers"),
        (lambda: Dataset([[1.0], [1.0, 2.0]], [1.0, 2.0]), "real numbers"),
        (lambda: normalised(Dataset(np.full((3, 2), 0.1), np.ones(3))), "all samples are equal"),
        (lambda: digits(samples=1798), "1797 samples"),
        (lambda: digits(samples=1), "2 to 1797"),
        (lambda: digits(protocol="party"), "did you mean 'parity'"),
        (lambda: one_hot([0.5, 1.0]), "whole numbers"),
        (lambda: one_hot([-1, 1]), "whole numbers"),
        (lambda: one_hot([0, 5], classes=3), "more than 3"),
        (lambda: one_hot([0, 1e9]), "numbers to fit"),
    ],
)
def test_bad_data_gives_one_clear_error(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize(
    ("name", "content", "labels", "message"),
    [
        ("none.npz", None, None, "there is no file"),
        ("text.npz", b"hello", None, "cannot be read"),
        ("broken.npz", b"PK\x03\x04 not a zip file", None, "cannot be read"),
        ("empty.npy", b"", [1, 2], "cannot be read"),
        ("data.csv", b"1,2", None, "cannot read"),
        ("lacking.npz", {"inputs": np.eye(2)}, None, "expected X"),
        ("halved.npz", {"X": np.eye(2)}, None, "expected X"),
        ("twice.npz", {"X": np.eye(2), "y": np.ones(2)}, [1, 1], "leave labels out"),
        ("objects.npz", {"X": np.array([{}, {}], dtype=object), "y": [1, 2]}, None, "cannot be"),
        ("alone.npy", np.eye(2), None, "give labels="),
        ("short.npy", np.eye(3), [1, 2], "one target for each sample"),
        ("nan.npz", {"X": np.array([[np.nan]]), "y": [1]}, None, "NaN"),
    ],
)
def test_bad_files_give_one_clear_error(tmp_path, name, content, labels, message):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict):
        np.savez(path, **content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(InputError, match=message):
        load(path, labels=labels)
