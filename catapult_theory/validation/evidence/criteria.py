"""The criteria file: rows as they are written down before measuring, checked on entry.

A TOML file with one ``[[row]]`` each; what a row leaves out stands in ``[defaults]``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from catapult_theory.errors import InputError, unknown_name
from catapult_theory.validation.evidence import rows as known
from catapult_theory.validation.evidence.architectures import GROUPS
from catapult_theory.validation.evidence.optimizers import FullBatch, MiniBatch, optimizer_of
from catapult_theory.validation.evidence.rows import (
    Criterion,
    Data,
    EvidenceRow,
    Measure,
    Network,
)

LEAST_SEEDS = 5
Fields = Mapping[str, Any]
NUMBER = (int, float)
# Of each table its keys and their types.
SHAPES: Mapping[str, Mapping[str, Any]] = {
    "network": {"kind": str, "activation": str, "hidden": int, "widths": list,
                "parametrisation": str},
    "data": {"name": str, "samples": int, "protocol": str, "centred": bool, "held_out": int},
    "measure": {"statistic": str, "steps": int, "low": NUMBER, "high": NUMBER,
                "tolerance": NUMBER, "rates": list},
    "criterion": {"kind": str, "low": NUMBER, "high": NUMBER},
    "row": {"name": str, "prediction": str, "source": str, "start": str, "loss": str,
            "seeds": int, "network": dict, "data": dict, "optimizer": dict, "measure": dict,
            "criterion": dict},
}  # fmt: skip
CHOICES = {
    ("row", "source"): known.SOURCES, ("row", "start"): known.STARTS, ("row", "loss"): known.LOSSES,
    ("network", "kind"): known.KINDS, ("network", "activation"): known.ACTIVATIONS,
    ("network", "parametrisation"): known.PARAMETRISATIONS, ("data", "name"): known.SETS,
    ("data", "protocol"): ("classes", "parity"), ("measure", "statistic"): known.STATISTICS,
    ("criterion", "kind"): known.CRITERIA,
}  # fmt: skip


def bundled(name: str = "criteria") -> tuple[EvidenceRow, ...]:
    """Return the rows that come with the package.

    Parameters
    ----------
    name : str
        "criteria" for the study, "quick" for a few rows of tiny networks.

    Returns
    -------
    tuple of EvidenceRow

    Examples
    --------
    >>> rows = bundled()
    >>> rows[0].name, str(rows[0].criterion)
    ('uv-edge', 'median in [3.98, 4.02]')
    """
    file = files("catapult_theory.validation.evidence") / f"{name}.toml"
    return parse(file.read_text(encoding="utf-8"), f"{name}.toml")


def read(path: str | Path) -> tuple[EvidenceRow, ...]:
    """Return the rows of a criteria file.

    Parameters
    ----------
    path : path

    Returns
    -------
    tuple of EvidenceRow

    Raises
    ------
    InputError
        If it cannot be read, or a row says something that cannot be measured.

    Examples
    --------
    >>> read("/nowhere.toml")
    Traceback (most recent call last):
        ...
    catapult_theory.errors.InputError: cannot read /nowhere.toml: No such file or directory
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        raise InputError(f"cannot read {path}: {reason}") from cause
    return parse(text, str(path))


def parse(text: str, name: str = "criteria") -> tuple[EvidenceRow, ...]:
    """Return the rows of the text of a criteria file.

    Parameters
    ----------
    text : str
    name : str
        For messages.

    Returns
    -------
    tuple of EvidenceRow

    Raises
    ------
    InputError
        As for `read`.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as cause:
        raise InputError(f"{name} is not TOML: {cause}") from cause
    stray = sorted(set(content) - {"row", "defaults"})
    if stray:
        raise unknown_name(f"table of {name}", stray[0], ("row", "defaults"))
    entries, defaults = content.get("row"), content.get("defaults", {})
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise InputError(f"{name} has no rows: write one or more [[row]] tables")
    if not isinstance(defaults, dict):
        raise InputError(f"{name}: defaults must be a table, written [defaults]")
    found = tuple(
        row_of(_merged(defaults, entry), f"{name}, row {entry.get('name', i + 1)!r}")
        for i, entry in enumerate(entries)
    )
    names = [row.name for row in found]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise InputError(f"{name} has two rows of the name {twice[0]!r}: names tell rows apart")
    return found


def chosen(rows: Sequence[EvidenceRow], names: Sequence[str]) -> tuple[EvidenceRow, ...]:
    """Return the rows of some names, in the order of the file; all without names.

    Parameters
    ----------
    rows : sequence of EvidenceRow
    names : sequence of str

    Returns
    -------
    tuple of EvidenceRow

    Raises
    ------
    InputError
        For a name that no row has.

    Examples
    --------
    >>> [row.name for row in chosen(bundled(), ["uv-edge"])]
    ['uv-edge']
    """
    there = [row.name for row in rows]
    for name in names:
        if name not in there:
            raise unknown_name("row", name, there)
    return tuple(row for row in rows if not names or row.name in names)


def _merged(defaults: Fields, entry: Fields) -> dict[str, Any]:
    """Return an entry with the defaults for what it leaves out, inside its tables too."""
    merged = dict(defaults)
    for key, value in entry.items():
        inner = merged.get(key)
        # Optimizers have keys of their own, which do not carry over to another one.
        if isinstance(value, dict) and isinstance(inner, dict) and key != "optimizer":
            merged[key] = {**inner, **value}
        else:
            merged[key] = value
    return merged


def row_of(entry: Fields, where: str) -> EvidenceRow:
    """Return a row from its tables, in which nothing but an optimizer may be left out.

    Parameters
    ----------
    entry : mapping
        As in the file, or as ``dataclasses.asdict`` of a row.
    where : str
        For messages.

    Returns
    -------
    EvidenceRow

    Raises
    ------
    InputError
        As for `read`.
    """
    # Rows that were written before there were optimizers name none.
    fields = _checked({"optimizer": {"name": "gd"}, **entry}, "row", where)
    tables = {
        key: _checked(fields[key], key, where)
        for key in ("network", "data", "measure", "criterion")
    }
    widths, rates = tables["network"]["widths"], tables["measure"]["rates"]
    if not widths or not all(type(n) is int and n > 0 for n in widths):
        raise InputError(f"{where}: widths must be whole numbers above 0, got {widths!r}")
    if not all(isinstance(r, NUMBER) and r > 0 for r in rates):
        raise InputError(f"{where}: rates must be numbers above 0, got {rates!r}")
    numbers = {k: float(tables["measure"][k]) for k in ("low", "high", "tolerance")}
    ends = {k: float(tables["criterion"][k]) for k in ("low", "high")}
    try:
        optimizer = optimizer_of(fields["optimizer"])
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    row = EvidenceRow(
        network=Network(**{**tables["network"], "widths": tuple(sorted(widths))}),
        data=Data(**tables["data"]),
        measure=Measure(
            statistic=tables["measure"]["statistic"], steps=tables["measure"]["steps"],
            rates=tuple(float(r) for r in rates), **numbers,
        ),
        criterion=Criterion(kind=tables["criterion"]["kind"], **ends), optimizer=optimizer,
        **{k: fields[k] for k in ("name", "prediction", "source", "start", "loss", "seeds")},
    )  # fmt: skip
    _check_sense(row, where)
    return row


def _checked(table: Fields, kind: str, where: str) -> Fields:
    shape = SHAPES[kind]
    for key in table:
        if key not in shape:
            raise InputError(f"{where}: {unknown_name(f'key of {kind}', key, shape)}")
    for key, wanted in shape.items():
        if key not in table:
            raise InputError(f"{where}: {key!r} is missing in {kind}, and in [defaults]")
        value = table[key]
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise InputError(f"{where}: {kind}.{key} cannot be {value!r}")
        choices = CHOICES.get((kind, key))
        if choices and value not in choices:
            raise InputError(f"{where}: {unknown_name(f'{kind}.{key}', value, choices)}")
    return table


def _check_sense(row: EvidenceRow, where: str) -> None:
    """Refuse what could not be measured, or would assert more than it can show."""
    measure, criterion, data = row.measure, row.criterion, row.data
    accuracy = measure.statistic.startswith("accuracy")
    complaints = {
        f"a row that asserts something needs at least {LEAST_SEEDS} seeds, got {row.seeds}":
            criterion.asserts and row.seeds < LEAST_SEEDS,
        f"seeds must be at least 1, got {row.seeds}": row.seeds < 1,
        f"steps must be at least 10, got {measure.steps}": measure.steps < 10,
        f"hidden must be 1 to 3, got {row.network.hidden}": not 1 <= row.network.hidden <= 3,
        f"samples must be positive, got {data.samples}": data.samples < 1,
        "non-increasing needs at least two widths":
            criterion.kind == "non-increasing" and len(row.network.widths) < 2,
        f"one width for the criterion {criterion.kind!r}, several for non-increasing":
            criterion.kind != "non-increasing" and len(row.network.widths) > 1,
        f"criterion: low {criterion.low:g} must lie below high {criterion.high:g}":
            criterion.kind == "interval" and not criterion.low < criterion.high,
        f"measure: 0 < low < high, got {measure.low:g} and {measure.high:g}":
            not 0 < measure.low < measure.high,
        f"tolerance must lie between 1e-5 and 0.15, got {measure.tolerance:g}":
            not 1e-5 <= measure.tolerance <= 0.15,
        f"{measure.statistic} needs rates":
            measure.statistic in ("final", "catapult") and not measure.rates,
        f"{measure.statistic} needs two rates, lazy and in the window, and held_out images":
            accuracy and (len(measure.rates) != 2 or data.held_out < 1),
        "cross_entropy needs the protocol classes":
            row.loss == "cross_entropy" and data.protocol != "classes",
        f"{row.network.kind} needs images":
            row.network.kind in known.CONVOLUTIONAL and data.name == "one",
        f"the widths of residual-conv must be multiples of {GROUPS}":
            row.network.kind == "residual-conv" and any(n % GROUPS for n in row.network.widths),
        f"an onset shows in the first step of gradient descent and is not defined with "
        f"{row.optimizer}: ask for stability, divergence, final, catapult or accuracy":
            measure.statistic.startswith("onset") and not isinstance(row.optimizer, FullBatch),
        "stability needs the squared loss, whose minima any targets have":
            measure.statistic == "stability" and row.loss != "squared",
        f"a batch of {getattr(row.optimizer, 'batch', 0)} from {data.samples} samples":
            isinstance(row.optimizer, MiniBatch) and row.optimizer.batch > data.samples,
    }  # fmt: skip
    for complaint, wrong in complaints.items():
        if wrong:
            raise InputError(f"{where}: {complaint}")
