"""The study as it was measured and written to results.json, read back."""

from __future__ import annotations

import json
import math
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from catapult_theory.errors import InputError
from catapult_theory.validation.evidence.criteria import SHAPES, row_of
from catapult_theory.validation.evidence.result import EvidenceResult, RowResult
from catapult_theory.validation.probing.result import Edge

FILE = "results.json"


def published() -> EvidenceResult | None:
    """Return the study that comes with the toolkit; None where it was not installed.

    Returns
    -------
    EvidenceResult or None

    Examples
    --------
    >>> study = published()
    >>> study.rows[0].row.name, study.rows[0].verdict
    ('uv-edge', 'holds')
    """
    places = [
        Path(__file__).parents[3] / "evidence",
        Path(sysconfig.get_path("data")) / "share" / "catapult-theory" / "evidence",
    ]
    file = next((p / FILE for p in places if (p / FILE).is_file()), None)
    return None if file is None else load(file)


def load(path: str | Path) -> EvidenceResult:
    """Return a study from the file that `catapult evidence --out` wrote.

    Medians and verdicts are worked out again from the brackets; those in the file are not read.

    Parameters
    ----------
    path : path
        Of results.json.

    Returns
    -------
    EvidenceResult

    Raises
    ------
    InputError
        If it cannot be read, or is not such a file.

    Examples
    --------
    >>> load("/nowhere.json")
    Traceback (most recent call last):
        ...
    catapult_theory.errors.InputError: cannot read /nowhere.json: No such file or directory
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        rows = tuple(_row_result(entry, str(path)) for entry in content["rows"])
        return EvidenceResult(rows, content["stopped"], content["versions"])
    except OSError as cause:
        raise InputError(f"cannot read {path}: {cause.strerror}") from cause
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        if isinstance(cause, InputError):
            raise
        text = "is not a results.json that catapult evidence wrote"
        raise InputError(f"{path} {text} ({cause!r})") from cause


def _row_result(entry: Mapping[str, Any], path: str) -> RowResult:
    row = row_of(
        {key: entry[key] for key in SHAPES["row"] if key in entry}, f"{path}, row {entry['name']!r}"
    )
    values = {
        int(width): tuple(_edge(low, high) for low, high in brackets)
        for width, brackets in entry["brackets"].items()
    }
    return RowResult(row, values, entry["reason"])


def _edge(low: float | None, high: float | None) -> Edge:
    """Return a bracket; what is not finite was written as nothing."""
    if low is None:
        return Edge(math.nan, math.nan)
    return Edge(low, math.inf if high is None else high)
