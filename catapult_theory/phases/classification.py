"""How runs behaved: lazy, catapult, divergent, and those not done (theory, section 1)."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import xarray as xr

from catapult_theory.errors import InputError

# The loss may exceed its start by this much and the run still counts as lazy: rounding only.
TOLERANCE = 1e-9
NEEDED = ("status", "peak_loss", "peak_step")


class Behaviour(StrEnum):
    """What a run did; the prediction of the bounds has names of its own.

    Two are for runs that neither converged nor diverged within their steps: ``UNFINISHED`` where
    the loss never exceeded its start, ``OSCILLATING`` where it did and has not settled since.
    """

    LAZY = "lazy"
    CATAPULT = "catapult"
    UNFINISHED = "unfinished"
    OSCILLATING = "oscillating"
    DIVERGENT = "divergent"
    INVALID = "invalid"


def classify(dataset: xr.Dataset) -> xr.DataArray:
    """Return the behaviour of every lane of a run.

    Lazy: converged with loss <= L_0 (1 + 1e-9) throughout; catapult: converged after exceeding
    that; divergent and invalid: as the status says. Of runs that neither converged nor diverged
    within their steps (theory, section 1), unfinished: the loss never exceeded that;
    oscillating: it did, and is bounded. With more steps a slow descent becomes lazy and a
    catapult on its way down catapult; a cycle stays. L_0 is ``loss_start`` where the run
    recorded it; otherwise a run is lazy if its largest loss is the first one.

    Parameters
    ----------
    dataset : xarray.Dataset
        With ``status``, ``peak_loss``, ``peak_step``, as ``ct.run`` returns it.

    Returns
    -------
    xarray.DataArray of str
        Values of `Behaviour`, with the dimensions of ``status``.

    Raises
    ------
    InputError
        If a variable is missing, or a status is not known.

    Examples
    --------
    >>> runs = xr.Dataset(
    ...     {"status": ("eta", [1, 1, 2]), "peak_step": ("eta", [0, 9, 50]),
    ...      "peak_loss": ("eta", [0.5, 7.0, 1e100])},
    ...     coords={"eta": [0.5, 1.5, 2.5]},
    ... )
    >>> classify(runs).values.tolist()
    ['lazy', 'catapult', 'divergent']
    """
    missing = [name for name in NEEDED if name not in dataset]
    if missing:
        raise InputError(
            f"the dataset lacks {', '.join(missing)}: classify() reads the result of ct.run"
        )
    status = dataset["status"]
    codes = _codes(status)
    rose = _rose(dataset).broadcast_like(status).transpose(*status.dims)
    words = np.full(status.shape, Behaviour.OSCILLATING.value, dtype="<U11")
    words[~rose.values] = Behaviour.UNFINISHED.value
    converged = status.values == codes["converged"]
    words[converged & ~rose.values] = Behaviour.LAZY.value
    words[converged & rose.values] = Behaviour.CATAPULT.value
    words[status.values == codes["diverged"]] = Behaviour.DIVERGENT.value
    words[status.values == codes["invalid"]] = Behaviour.INVALID.value
    attrs = {"long_name": "behaviour of the run", "units": "1"}
    return xr.DataArray(words, status.coords, status.dims, "behaviour", attrs)


def _rose(dataset: xr.Dataset) -> xr.DataArray:
    """Whether the loss exceeded its start at any step."""
    if "loss_start" in dataset.variables:
        least = dataset["loss_start"] * (1 + TOLERANCE)
        return xr.DataArray(dataset["peak_loss"] > least)
    return xr.DataArray(dataset["peak_step"] > 0)


def _codes(status: xr.DataArray) -> dict[str, int]:
    """Return the code of each status, from the dataset's own flags where it has them."""
    codes = {"undecided": 0, "converged": 1, "diverged": 2, "invalid": 3}
    if "flag_values" in status.attrs and "flag_meanings" in status.attrs:
        names = str(status.attrs["flag_meanings"]).split()
        codes.update(zip(names, np.atleast_1d(status.attrs["flag_values"]).tolist(), strict=True))
    strange = set(np.unique(status.values).tolist()) - set(codes.values())
    if strange:
        raise InputError(f"status {sorted(strange)} is none of {codes}")
    return codes
