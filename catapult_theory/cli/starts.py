"""Starts on the command line: by the options --f and --lam, by names in --start, or drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catapult_theory.cli.app import check_one
from catapult_theory.errors import InputError


def start_of(
    update_map: Any, numbers: Mapping[str, float | None], text: str | None, seed: int | None
) -> Any:
    """Return the start that the options mean: state values by name, or a law that draws them.

    Parameters
    ----------
    update_map : UpdateMap
    numbers : mapping of str to number or None
        --f and --lam; where one is given the other is f = 1 or lam = 2.
    text : str or None
        --start, as "w1=1,w2=0.5".
    seed : int or None

    Returns
    -------
    dict of str to float, or GaussianStart

    Raises
    ------
    InputError
        For options that exclude one another, or states that the map does not have.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> uv = ct.derive(ct.models.uv())
    >>> start_of(uv, {"f": 0.5, "lam": None}, None, None), start_of(uv, {}, "f=1,lam=3", None)
    ({'f': 0.5, 'lam': 2.0}, {'f': 1.0, 'lam': 3.0})
    """
    known = {name: value for name, value in numbers.items() if value is not None}
    ways = {", ".join(f"--{name}" for name in known): known, "--start": text, "--seed": seed}
    check_one({way: value not in (None, {}) for way, value in ways.items()})
    if text is not None:
        return _named(text)
    if known:
        return _output_and_kernel(update_map, known)
    from catapult_theory.networks.starts import gaussian_start

    return gaussian_start(seed=seed or 0)


def _output_and_kernel(update_map: Any, known: Mapping[str, float]) -> dict[str, float]:
    """Return output and tangent kernel as a state; velocities are left out, and start at zero."""
    if update_map.is_matrix or not {"f", "lam"} <= {s.name for s in update_map.variables}:
        raise InputError(
            f"--f and --lam are for models with the state f, lam, which {update_map.model} is "
            f"not; {start_options(update_map)}"
        )
    return {"f": 1.0, "lam": 2.0, **known}


def _named(text: str) -> dict[str, float]:
    pairs = [part.partition("=") for part in text.split(",")]
    try:
        return {name.strip(): float(value) for name, _, value in pairs}
    except ValueError as cause:
        raise InputError(
            f"--start {text!r} is no state: write names and numbers, as in f=1,lam=2"
        ) from cause


def start_options(update_map: Any) -> str:
    """Return what to do about a start that does not fit, in the options of the command line.

    Parameters
    ----------
    update_map : UpdateMap

    Returns
    -------
    str

    Examples
    --------
    >>> import catapult_theory as ct
    >>> start_options(ct.derive(ct.models.linear()))
    'give --seed for a random start'
    """
    if update_map.is_matrix:
        return "give --seed for a random start"
    names = [s.name for s in update_map.variables]
    shown = ",".join(f"{name}=..." for name in names)
    if "n" not in {c.name for c in update_map.constants}:
        return f"give --start {shown}"
    by_name = "--f and --lam" if {"f", "lam"} <= set(names) else f"--start {shown}"
    return f"give another {by_name}, or --seed for a random start"
