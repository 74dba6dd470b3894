"""Data sets: inputs and targets, and the user's own files, checked on entry."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from catapult_theory.errors import InputError
from catapult_theory.networks.parameters import Array, positive_integer, real_array


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs and targets, one sample a row; unpacks as ``X, Y``.

    Parameters
    ----------
    X : array, shape (m, d)
        Inputs.
    Y : array, shape (m, k) or (m,)
        Targets; a single column may be given as a vector. Kept with shape (m, k).
    name : str
        For tables and figures.
    channels : int
        Of images: 3 for colour, one after the other in each row of X; 1 for anything else.

    Raises
    ------
    InputError
        If a shape does not fit, or a value is not a finite real number.

    Examples
    --------
    >>> data = Dataset(np.eye(3), [1, -1, 1], name="three points")
    >>> print(data)
    three points: m = 3 samples, d = 3 inputs (rank 3), k = 1 outputs
    """

    X: Array
    Y: Array
    name: str = "data"
    channels: int = 1

    def __post_init__(self) -> None:
        X = _finite("X", real_array("X", self.X))
        Y = _finite("Y", real_array("Y", self.Y))
        if X.ndim != 2:
            raise InputError(
                f"X must have shape (m, d), one sample a row, got {X.shape}"
                + ("; write X[:, None] for a single input" if X.ndim == 1 else "")
            )
        if 0 in X.shape:
            raise InputError(f"X is empty (shape {X.shape}): one sample and one input is the least")
        Y = Y[:, None] if Y.ndim == 1 else Y
        if Y.ndim != 2 or Y.shape[1] == 0:
            raise InputError(f"Y must have shape (m,) or (m, k), got {Y.shape}")
        if len(X) != len(Y):
            raise InputError(f"X has {len(X)} samples, Y has {len(Y)}: one target for each sample")
        if X.shape[1] % positive_integer("channels", self.channels):
            raise InputError(f"{X.shape[1]} inputs are no image of {self.channels} channels")
        for field, array in (("X", X), ("Y", Y)):
            array.setflags(write=False)
            object.__setattr__(self, field, array)

    @property
    def samples(self) -> int:
        """m, the number of samples."""
        return int(self.X.shape[0])

    @property
    def inputs(self) -> int:
        """d, the input dimension."""
        return int(self.X.shape[1])

    @property
    def outputs(self) -> int:
        """k, the number of outputs."""
        return int(self.Y.shape[1])

    @property
    def rank(self) -> int:
        """The rank of X."""
        return int(np.linalg.matrix_rank(self.X))

    def __iter__(self) -> Iterator[Array]:
        return iter((self.X, self.Y))

    def describe(self) -> str:
        """Return name and sizes in words.

        Returns
        -------
        str
        """
        return (
            f"{self.name}: m = {self.samples} samples, d = {self.inputs} inputs "
            f"(rank {self.rank}), k = {self.outputs} outputs"
        )

    def __str__(self) -> str:
        return self.describe()

    def __repr__(self) -> str:
        return f"<Dataset {self.describe()}>"


def _finite(what: str, array: Array) -> Array:
    wrong = ~np.isfinite(array)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InputError(
            f"{what} holds {int(wrong.sum())} NaN or infinite values, the first at {place}: "
            "remove or impute those samples"
        )
    return array


def one_hot(labels: Any, classes: int | None = None) -> Array:
    """Return one row of zeros with a one at the class, for each label.

    Parameters
    ----------
    labels : array of int, shape (m,)
        Classes 0, 1, ..., k - 1.
    classes : int, optional
        k; left out, the largest label plus one.

    Returns
    -------
    array, shape (m, k)

    Raises
    ------
    InputError
        If labels are not whole numbers from 0 to k - 1.

    Examples
    --------
    >>> one_hot([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    numbers = _finite("labels", real_array("labels", labels))
    if numbers.ndim == 2 and numbers.shape[1] == 1:
        numbers = numbers[:, 0]
    if numbers.ndim != 1 or not len(numbers) or (numbers % 1).any() or numbers.min() < 0:
        raise InputError("class labels must be a vector of whole numbers 0, 1, ..., k - 1")
    k = int(numbers.max()) + 1 if classes is None else positive_integer("classes", classes)
    if numbers.max() >= k:
        raise InputError(f"label {int(numbers.max())} needs more than {k} classes")
    if k > 10_000:
        raise InputError(f"{k} classes: labels look like numbers to fit rather than classes")
    return np.asarray(np.eye(k)[numbers.astype(int)])


def parity(labels: Any) -> Array:
    """Return +1 for even and -1 for odd labels, as a column.

    Parameters
    ----------
    labels : array of int, shape (m,)

    Returns
    -------
    array, shape (m, 1)

    Examples
    --------
    >>> parity([0, 7]).ravel()
    array([ 1., -1.])
    """
    return np.where(np.asarray(labels) % 2 == 0, 1.0, -1.0)[:, None]


def normalised(data: Dataset) -> Dataset:
    """Return the data centred per feature, then scaled to mean |x|^2 = 1.

    Constant features become zero and cost nothing.

    Parameters
    ----------
    data : Dataset

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If all samples are equal, so that there is nothing to scale.

    Examples
    --------
    >>> normalised(Dataset([[0.0, 5.0], [4.0, 5.0]], [1, -1])).X
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    centred = data.X - data.X.mean(axis=0)
    size = np.sqrt(np.square(centred).sum(axis=1).mean())
    if size <= 4 * np.finfo(float).eps * np.abs(data.X).max():
        raise InputError("all samples are equal: centring leaves nothing to train on")
    return replace(data, X=centred / size)


def load(path: str | Path, labels: Any = None) -> Dataset:
    """Return the data set of a file, as it stands.

    See `normalised` for centring and scaling and `one_hot` for class labels.

    Parameters
    ----------
    path : str or Path
        An ``.npz`` file with arrays ``X`` (m x d) and ``y`` or ``Y`` (m, or m x k), or an
        ``.npy`` file with X alone.
    labels : array or path, optional
        The targets that go with an ``.npy`` file, or the ``.npy`` file that holds them.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If the file is missing, cannot be read, lacks an array, or holds values that cannot
        be used. Pickled objects are refused.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(Path(folder) / "mine.npz", X=np.eye(2), y=[1, -1])
    ...     print(load(Path(folder) / "mine.npz"))
    mine: m = 2 samples, d = 2 inputs (rank 2), k = 1 outputs
    """
    file = Path(path)
    if file.suffix == ".npz":
        if labels is not None:
            raise InputError(f"{file} holds its own targets: leave labels out")
        return Dataset(*_from_npz(file), name=file.stem)
    if file.suffix == ".npy":
        if labels is None:
            raise InputError(f"{file} holds X alone: give labels=, an array or an .npy file")
        targets = _read(Path(labels)) if isinstance(labels, (str, Path)) else labels
        return Dataset(_read(file), targets, name=file.stem)
    raise InputError(f"cannot read {file}: data sets are .npz (X, y) or .npy with labels=")


def read_arrays(path: str | Path) -> tuple[Any, Any]:
    """Return X and y of an ``.npz`` file, of any shape, as they stand.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    X, y : array

    Raises
    ------
    InputError
        If the file is missing, cannot be read or lacks an array. Pickled objects are refused.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(Path(folder) / "mine.npz", X=np.zeros((2, 3, 8, 8)), y=[0, 1])
    ...     X, y = read_arrays(Path(folder) / "mine.npz")
    >>> X.shape
    (2, 3, 8, 8)
    """
    return _from_npz(Path(path))


def _from_npz(file: Path) -> tuple[Any, Any]:
    content = _read(file)
    targets = "y" if "y" in content else "Y"
    missing = [name for name in ("X", targets) if name not in content]
    if missing:
        raise InputError(
            f"{file} holds {sorted(content) or 'no arrays'}: expected X (m x d) and y; save it "
            "with numpy.savez(path, X=X, y=y)"
        )
    return content["X"], content[targets]


def _read(file: Path) -> Any:
    """Return the array of an .npy file, or a dict of the arrays of an .npz file."""
    try:
        content = np.load(file, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        with content:
            return {name: content[name] for name in content.files if name in ("X", "y", "Y")}
    except FileNotFoundError as cause:
        raise InputError(f"there is no file {file}") from cause
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as cause:
        raise InputError(f"{file} cannot be read as NumPy data: {cause}") from cause
