"""What each variable of a result is called and measured in, and where the result came from."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np

SCHEMA = 1
DIMENSIONLESS = "1"
DISTRIBUTION = "catapult-theory"

LONG_NAMES: Mapping[str, str] = {
    "f": "network output",
    "lam": "NTK lambda: top eigenvalue of the tangent kernel over the number of samples",
    "eta": "learning rate",
    "n": "width of the hidden layer",
    "y": "label",
    "beta": "momentum",
    "omega": "weight decay",
    "loss": "training loss, mean over samples",
    "grad_norm2": "squared norm of the gradient of the loss",
    "sharpness": "top eigenvalue of the Hessian of the loss",
    "stability_margin": "linear stability: threshold minus learning rate times sharpness",
    "status": "outcome of the lane",
    "status_step": "step at which the outcome was decided, else the last step",
    "loss_start": "training loss at the start",
    "peak_loss": "largest loss of the run, first and last state included",
    "peak_step": "step of the largest loss",
    "seed": "seed of the random start",
    "step": "training steps done",
}
UNITS: Mapping[str, str] = {"step": "step", "status_step": "step", "peak_step": "step"}


def describe(name: str, definition: Any = None) -> dict[str, str]:
    """Return the ``long_name`` and ``units`` of a variable.

    Inputs, outputs and parameters of the theory are pure numbers, with the unit "1"; times
    are counted in steps.

    Parameters
    ----------
    name : str
        Of a state, parameter, observable or outcome.
    definition : sympy expression, optional
        What the variable is, in inner products or blocks of the parameters.

    Returns
    -------
    dict

    Examples
    --------
    >>> describe("eta")
    {'long_name': 'learning rate', 'units': '1'}
    """
    fallback = f"invariant {name}" if definition is not None else name
    attrs = {
        "long_name": LONG_NAMES.get(name, fallback),
        "units": UNITS.get(name, DIMENSIONLESS),
    }
    return attrs if definition is None else {**attrs, "definition": str(definition)}


def describe_start(name: str) -> dict[str, str]:
    """Return the attributes of the coordinate that records the starting value of a state.

    Parameters
    ----------
    name : str
        Of the state.

    Returns
    -------
    dict

    Examples
    --------
    >>> describe_start("f")["long_name"]
    'network output, at the start'
    """
    return {**describe(name), "long_name": f"{LONG_NAMES.get(name, name)}, at the start"}


def flags(status: type[Any]) -> dict[str, Any]:
    """Return the attributes of a status variable: its codes and their meanings (CF conventions).

    Parameters
    ----------
    status : enumeration
        Names and codes.

    Returns
    -------
    dict
    """
    return {
        **describe("status"),
        "flag_values": np.array([s.value for s in status], dtype=np.int8),
        "flag_meanings": " ".join(s.name.lower() for s in status),
    }


def provenance(update_map: Any, backend: str, dtype: str) -> dict[str, Any]:
    """Return what a reader needs to obtain the numbers again.

    Parameters
    ----------
    update_map : UpdateMap
    backend : str
        The one that ran, never "auto".
    dtype : str

    Returns
    -------
    dict
        Values that netCDF attributes can hold: texts and numbers.
    """
    return {
        "schema": SCHEMA,
        "model": update_map.model,
        "loss": update_map.loss,
        "optimizer": update_map.optimizer,
        "exactness": str(update_map.exactness),
        "update_map_sha256": hashlib.sha256(update_map.to_json().encode()).hexdigest(),
        "backend": backend,
        "dtype": dtype,
        "versions": versions(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def versions() -> str:
    """Return the versions of the packages that the numbers depend on.

    Returns
    -------
    str

    Examples
    --------
    >>> "numpy" in versions()
    True
    """
    names = (DISTRIBUTION, "sympy", "numpy", "numba", "xarray")
    return ", ".join(f"{name} {_version(name)}" for name in names)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def fingerprint(arrays: Mapping[str, Any]) -> str:
    """Return shapes and a SHA-256 of data, so that a reader can tell whether he has the same.

    Parameters
    ----------
    arrays : mapping of str to array

    Returns
    -------
    str

    Examples
    --------
    >>> fingerprint({"X": np.eye(2)})[:8]
    'X (2, 2)'
    """
    digest = hashlib.sha256()
    for array in arrays.values():
        digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
    shapes = ", ".join(f"{name} {np.shape(array)}" for name, array in arrays.items())
    return f"{shapes}, sha256 {digest.hexdigest()}"


def ranges(numbers: Sequence[int]) -> str:
    """Return integers as text, runs of consecutive ones shortened.

    Parameters
    ----------
    numbers : sequence of int

    Returns
    -------
    str

    Examples
    --------
    >>> ranges([0, 1, 2, 3, 7, 9, 10])
    '0..3, 7, 9, 10'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [f"{run[0]}..{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(texts)
