"""Starting states: standard normal parameters, drawn one by one or through their Wishart law.

At initialisation every parameter is N(0, 1) (NTK parametrisation), so that n times the Gram
matrix of p width-n columns has the Wishart law with n degrees of freedom. Up to some ten
thousand columns entries are drawn as they are; beyond, Bartlett's decomposition draws the
p x p Gram matrix itself, at a cost that does not depend on n.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from catapult_theory.errors import InputError
from catapult_theory.networks.parameters import (
    Array,
    Parameters,
    Shapes,
    checked_shapes,
    columns,
    positive_integer,
    rows_of,
    share_of,
    split,
    width_axis,
)

LARGEST_WIDTH = 1e12


@dataclass(frozen=True)
class GaussianStart:
    """Parameters with independent N(0, 1) entries; made by `gaussian_start`.

    A draw is a function of (seed, width, number of columns) alone: it does not depend on
    which other widths, seeds or learning rates are run beside it, nor on their order.

    Parameters
    ----------
    seeds : tuple of int
        One for each independent start.
    wishart_above : int
        The width above which the Gram matrix is drawn from the Wishart law.
    """

    seeds: tuple[int, ...]
    wishart_above: int

    def law(self, columns: int, n: int) -> str:
        """Return how a Gram matrix is drawn: "raw" or "bartlett".

        Parameters
        ----------
        columns : int
            p. Bartlett's decomposition needs p <= n; narrower networks are drawn raw.
        n : int

        Returns
        -------
        str

        Examples
        --------
        >>> gaussian_start().law(2, 100), gaussian_start().law(2, 10**9)
        ('raw', 'bartlett')
        """
        return "bartlett" if n > self.wishart_above and n >= columns else "raw"

    def raw(self, shapes: Shapes, n: int, seed: int | None = None) -> Parameters:
        """Return parameter arrays with N(0, 1) entries.

        All parameters with one side of length n are cut from one n x p array, in the order
        of ``shapes``: the one whose Gram matrix `gram` returns where it draws raw.

        Parameters
        ----------
        shapes : mapping of str to tuple
            Integers and ``"n"``, such as ``{"V": (1, "n"), "U": ("n", 64)}``.
        n : int
            Width.
        seed : int, optional
            Left out, the seed of this start; if it has several, they become a leading axis.

        Returns
        -------
        dict of str to array

        Raises
        ------
        InputError
            If the shapes, the width or the seed cannot be used.

        Examples
        --------
        >>> start = gaussian_start(seeds=range(5))
        >>> start.raw({"u": ("n",), "v": ("n",)}, n=8)["u"].shape
        (5, 8)
        """
        table = checked_shapes(shapes)
        width = positive_integer("the width n", n, LARGEST_WIDTH)
        if seed is not None:
            return _raw(table, width, _seed(seed))
        if len(self.seeds) == 1:
            return _raw(table, width, self.seeds[0])
        lanes = [_raw(table, width, s) for s in self.seeds]
        return {name: np.stack([lane[name] for lane in lanes]) for name in table}

    def gram(self, columns: int, n: Any, size: tuple[int, ...] | None = None) -> Array:
        """Return Gram matrices of width-n columns with N(0, 1) entries, divided by n.

        Above ``wishart_above`` by Bartlett's decomposition: n Gamma = A A^T with A lower
        triangular, A_ij ~ N(0, 1) below the diagonal and A_ii^2 ~ chi^2 with n - i degrees
        of freedom (i = 0, 1, ...).

        Parameters
        ----------
        columns : int
            p, the number of columns.
        n : int or array of int
            Widths up to 1e12; broadcasts to ``size``.
        size : tuple of int, optional
            Shape of the lanes. With several seeds their axis comes first:
            ``size[0] == len(seeds)``. Left out, the shape of ``n`` with that axis in front.

        Returns
        -------
        array, shape (*size, p, p)
            Lanes of equal seed and width hold the same matrix.

        Raises
        ------
        InputError
            If the sizes do not fit, or a width is not a positive integer.

        Examples
        --------
        >>> gaussian_start(seed=1).gram(2, n=10**10).shape
        (2, 2)
        >>> gaussian_start(seeds=range(3)).gram(2, n=[10, 1000]).shape
        (3, 2, 2, 2)
        """
        p = positive_integer("columns", columns)
        widths = np.asarray(n)
        several = len(self.seeds) > 1
        lanes = (len(self.seeds),) * several + widths.shape if size is None else tuple(size)
        if several and (not lanes or lanes[0] != len(self.seeds)):
            raise InputError(
                f"{len(self.seeds)} seeds need a leading axis of that length, got size {lanes}"
            )
        try:
            spread = np.broadcast_to(widths, lanes)
        except ValueError as cause:
            raise InputError(f"widths of shape {widths.shape} do not fit lanes {lanes}") from cause
        result = np.empty((*lanes, p, p))
        for number, seed in enumerate(self.seeds):
            rows = number if several else ...
            self._fill(result[rows], spread[rows], seed)
        return result

    def _fill(self, target: Array, widths: Any, seed: int) -> None:
        p = target.shape[-1]
        for value in np.unique(widths):
            width = positive_integer("the width n", value.item(), LARGEST_WIDTH)
            target[widths == value] = self._one(p, width, seed)

    def _one(self, p: int, n: int, seed: int) -> Array:
        if self.law(p, n) == "raw":
            phi = generator(seed, n).standard_normal((n, p))
            return np.asarray(phi.T @ phi / n)
        factor = bartlett(generator(seed, n), n - np.arange(p))
        return np.asarray(factor @ factor.T / n)

    def describe(self) -> str:
        """Return the start in words, for the attributes of a run.

        Returns
        -------
        str

        Examples
        --------
        >>> gaussian_start(seeds=range(20)).describe()
        'N(0, 1) parameters, seeds 0..19, Wishart law (Bartlett) above n = 20000'
        """
        return (
            f"N(0, 1) parameters, {_in_words(self.seeds)}, "
            f"Wishart law (Bartlett) above n = {self.wishart_above}"
        )


def gaussian_start(
    seed: int = 0, seeds: Iterable[int] | None = None, wishart_above: int = 20_000
) -> GaussianStart:
    """Return the start at which every parameter is drawn from N(0, 1).

    For the uv-model it gives lambda_0 -> 2 and f_0 ~ N(0, 1) as n grows (theory, section 3.1).

    Parameters
    ----------
    seed : int
        Of a single start.
    seeds : iterable of int, optional
        Of several starts; takes the place of ``seed`` and adds a ``seed`` axis.
    wishart_above : int
        The width above which Gram matrices come from the Wishart law.

    Returns
    -------
    GaussianStart

    Raises
    ------
    InputError
        If a seed is not a non-negative integer, or appears twice.

    Examples
    --------
    >>> gaussian_start(seed=3).seeds, gaussian_start(seeds=range(2)).seeds
    ((3,), (0, 1))
    """
    try:
        chosen = (_seed(seed),) if seeds is None else tuple(_seed(s) for s in seeds)
    except TypeError as cause:
        raise InputError(f"seeds must be integers such as range(20), got {seeds!r}") from cause
    if not chosen:
        raise InputError("seeds is empty: give at least one")
    if len(set(chosen)) != len(chosen):
        raise InputError("seeds holds the same seed twice: equal seeds give equal starts")
    if isinstance(wishart_above, bool) or not isinstance(wishart_above, (int, np.integer)):
        raise InputError(f"wishart_above must be an integer, got {wishart_above!r}")
    return GaussianStart(chosen, int(wishart_above))


def generator(seed: int, n: int) -> np.random.Generator:
    """Return the random stream of one (seed, width).

    Parameters
    ----------
    seed : int
    n : int

    Returns
    -------
    numpy.random.Generator
        Philox, a counter-based stream whose draws are the same on every platform.

    Examples
    --------
    >>> first, again = generator(0, 10).random(), generator(0, 10).random()
    >>> first == again
    True
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(n,))))


def bartlett(source: np.random.Generator, degrees: Any) -> Array:
    """Return the lower triangular factor A of a Wishart matrix A A^T (Bartlett, 1933).

    Parameters
    ----------
    source : numpy.random.Generator
    degrees : array, shape (p,)
        Degrees of freedom of the squared diagonal entries: n, n - 1, ..., n - p + 1.

    Returns
    -------
    array, shape (p, p)

    Examples
    --------
    >>> bartlett(generator(0, 50), [50, 49]).shape
    (2, 2)
    """
    p = len(degrees)
    factor = np.tril(source.standard_normal((p, p)), -1)
    factor[np.diag_indices(p)] = np.sqrt(source.chisquare(degrees))
    return factor


def _raw(shapes: Shapes, n: int, seed: int) -> Parameters:
    source = generator(seed, n)
    framed = {name: shape for name, shape in shapes.items() if width_axis(shape) >= 0}
    drawn = _framed(framed, n, seed, source)
    for name, shape in shapes.items():
        if name not in drawn:
            sides = (share_of(s) for s in shape)
            lengths = [int(s) if part is None else rows_of(part, n)
                       for s, part in zip(shape, sides, strict=True)]  # fmt: skip
            drawn[name] = source.standard_normal(lengths)
    return {name: drawn[name] for name in shapes}


def _framed(shapes: Shapes, n: int, seed: int, source: np.random.Generator) -> Parameters:
    """Cut parameters from one array of all columns; from one of each length where they differ.

    A frame of n/2 units is made of columns of the start of width n/2, so that it has the Gram
    matrix that `gram` draws there.
    """
    count = columns(shapes)
    shares = {share_of(shape[width_axis(shape)]) for shape in shapes.values()}
    drawn: Parameters = {}
    for share in sorted(share for share in shares if share):
        rows = rows_of(share, n)
        stream = source if rows == n else generator(seed, rows)
        cut = split(stream.standard_normal((rows, count)), shapes)
        drawn |= {
            name: cut[name] for name, s in shapes.items() if share_of(s[width_axis(s)]) == share
        }
    return drawn


def _seed(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise InputError(f"a seed must be a non-negative integer, got {value!r}")
    return int(value)


def _in_words(seeds: tuple[int, ...]) -> str:
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if seeds == tuple(range(seeds[0], seeds[0] + len(seeds))):
        return f"seeds {seeds[0]}..{seeds[-1]}"
    return f"seeds {', '.join(map(str, seeds))}"
