"""Measurements as files, one each under a key of all that they depend on.

A repeated or interrupted probe finds there what it has measured before. The folder is that of
generated code, $CATAPULT_CACHE or ~/.cache/catapult_theory, in it ``probes``.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catapult_theory.codegen.storage import VARIABLE, cache_folder
from catapult_theory.errors import OutputError
from catapult_theory.networks.torch_part import torch_part
from catapult_theory.networks.torch_problem import TorchProblem

SCHEMA = 1


@dataclass(frozen=True)
class Store:
    """Measurements of one network from one start.

    Parameters
    ----------
    fingerprint : str
    """

    fingerprint: str

    def recall(self, what: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return a measurement from its file, or make and keep it.

        Parameters
        ----------
        what : dict
            The settings of the measurement.
        measure : callable
            () -> dict of numbers, texts and lists.

        Returns
        -------
        dict

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        key = json.dumps({"schema": SCHEMA, "start": self.fingerprint, **what}, sort_keys=True)
        name = hashlib.sha256(key.encode()).hexdigest()[:24]
        path = cache_folder() / "probes" / f"{name}.json"
        kept = _read(path, key)
        if kept is not None:
            return kept
        found = measure()
        _write(path, json.dumps({"key": key, "found": found}))
        return found


def _read(path: Path, key: str) -> dict[str, Any] | None:
    """Return what a file holds; one that is missing, damaged or of another key is made anew."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("key") != key:
        return None
    return content["found"]


def _write(path: Path, text: str) -> None:
    """Write through a temporary file, so that an interrupt leaves no half of one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError as cause:
        raise OutputError(
            f"cannot keep measurements in {path.parent} ({cause.strerror}): set ${VARIABLE} to a "
            "folder that can be written"
        ) from cause


def fingerprint(problem: TorchProblem) -> str:
    """Return a text that is the same for the same network, start, data, loss and precision.

    The code of ``forward`` and of the loss enter by what they give: loss and size of the
    gradient at the start, to six digits.

    Parameters
    ----------
    problem : TorchProblem

    Returns
    -------
    str
    """
    torch = torch_part()
    digest = hashlib.sha256()
    tensors = {**dict(problem.module.named_buffers()), **dict(problem.module.named_parameters())}
    for name, tensor in [*sorted(tensors.items()), ("X", problem.X), ("Y", problem.Y)]:
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    _, loss, slope = problem.gradient(problem.start)
    size = sum(float(s.square().sum()) for s in slope.values()) ** 0.5
    words = (
        repr(problem.module), sorted(problem.start), problem.loss.name, problem.chunk,
        torch.__version__, f"{loss:.6e} {size:.6e}",
    )  # fmt: skip
    digest.update(repr(words).encode())
    return digest.hexdigest()
