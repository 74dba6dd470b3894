"""Mini-batches as data: which samples each step sees, a reproducible function of a seed.

Theory and brute force both receive the table of indices; neither draws its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from catapult_theory.errors import InputError, unknown_name

SAMPLINGS = ("epochs", "replacement")


@dataclass(frozen=True)
class Batches:
    """A rule that draws the mini-batch of every step.

    Parameters
    ----------
    size : int
        Samples in a batch.
    sampling : str
        "epochs": without replacement, each epoch a new permutation of the samples cut into
        batches, the rest that does not fill a batch left out. "replacement": each sample of
        each batch drawn by itself.
    seed : int

    Raises
    ------
    InputError
        If a part cannot be used.

    Examples
    --------
    >>> Batches(2, "epochs", seed=0).indices(samples=4, steps=4)
    array([[2, 0],
           [1, 3],
           [3, 2],
           [1, 0]])
    """

    size: int = 1
    sampling: str = "epochs"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("size", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"the batch {name} must be an integer >= {least}, got {value!r}")
        if self.sampling not in SAMPLINGS:
            raise unknown_name("sampling", self.sampling, SAMPLINGS)

    def indices(self, samples: int, steps: int) -> np.ndarray:
        """Return the samples of each step; more steps do not change the first ones.

        Parameters
        ----------
        samples, steps : int

        Returns
        -------
        array of int, shape (steps, size)

        Raises
        ------
        InputError
            If the batch is larger than the data.
        """
        if self.size > samples:
            raise InputError(
                f"a batch of {self.size} from {samples} samples: take a size of at most {samples}"
            )
        rng = np.random.default_rng(self.seed)
        if self.sampling == "replacement":
            return rng.integers(samples, size=(steps, self.size))
        per_epoch = samples // self.size
        epochs = -(-steps // per_epoch)
        drawn = [
            rng.permutation(samples)[: per_epoch * self.size].reshape(per_epoch, self.size)
            for _ in range(epochs)
        ]
        rows = np.concatenate(drawn) if drawn else np.empty((0, self.size), dtype=np.int64)
        return np.asarray(rows[:steps])

    def __str__(self) -> str:
        return f"{self.size} samples, {self.sampling}, seed {self.seed}"
