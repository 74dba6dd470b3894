"""A file of claims: the equations of a paper, each with the verdict that is expected of it.

TOML, so that it can stand beside the paper and be judged in its continuous integration::

    [defaults]
    model = "uv:label"

    [[claim]]
    name = "equation 4"
    latex = 'f_{t+1} = f_t - \\eta\\lambda_t \\tilde f_t + \\frac{\\eta^2}{n} \\tilde f_t^2 f_t'
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from catapult_theory.errors import CatapultError, ClaimError, InputError, unknown_name
from catapult_theory.rigor.claims.deadline import SECONDS
from catapult_theory.rigor.claims.verdict import STATUSES, Verdict
from catapult_theory.rigor.claims.verify import verdict_of, vocabulary_of
from catapult_theory.symbolic import models

MOST_CLAIMS = 2000
MOST_BYTES = 1_000_000
PROVED = ("holds", "holds-under-hypotheses")


@dataclass(frozen=True)
class Entry:
    """One claim of a file.

    Parameters
    ----------
    name : str
        "claim 3" where none is given.
    claim : str
        Plain text or LaTeX (the keys ``claim`` and ``latex`` mean the same).
    model, loss, optimizer : str
        As on the command line: "uv:label", "linear:k".
    where, scaling : str or None
    expected : tuple of str
        The statuses that pass; by default those of what is proved.
    """

    name: str
    claim: str
    model: str = "uv"
    loss: str = "squared"
    optimizer: str = "gd"
    where: str | None = None
    scaling: str | None = None
    expected: tuple[str, ...] = PROVED


@dataclass(frozen=True)
class Result:
    """What was found about one claim of a file.

    Parameters
    ----------
    entry : Entry
    verdict : Verdict or None
        None where the claim could not be read.
    error : str
        Why it could not.
    """

    entry: Entry
    verdict: Verdict | None
    error: str = ""

    @property
    def status(self) -> str:
        """The status of the verdict, or "not read"."""
        return "not read" if self.verdict is None else self.verdict.status

    @property
    def passed(self) -> bool:
        """Whether the verdict is one that was expected."""
        return self.status in self.entry.expected


@dataclass(frozen=True)
class ClaimsReport:
    """The verdicts on a file of claims.

    Parameters
    ----------
    results : tuple of Result
    """

    results: tuple[Result, ...]

    def __bool__(self) -> bool:
        return all(r.passed for r in self.results)

    @property
    def failures(self) -> tuple[Result, ...]:
        """The claims whose verdict is not the expected one."""
        return tuple(r for r in self.results if not r.passed)

    def __str__(self) -> str:
        rows = [(r.entry.name, "ok" if r.passed else "NO", r.status, r.entry.model)
                for r in self.results]  # fmt: skip
        head = ("claim", "", "verdict", "model")
        widths = [max(len(row[i]) for row in (head, *rows)) for i in range(4)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
                 for row in (head, *rows)]  # fmt: skip
        for result in self.failures:
            said = result.error or str(result.verdict)
            lines += [
                "",
                f"{result.entry.name}, expected {' or '.join(result.entry.expected)}:",
                said,
            ]
        passed = len(self.results) - len(self.failures)
        return "\n".join([*lines, "", f"{passed} of {len(self.results)} claims as expected"])


def read_file(path: Any) -> tuple[Entry, ...]:
    """Read a file of claims.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    tuple of Entry

    Raises
    ------
    InputError
        If it is no TOML, is too large, or holds a key that is not known.
    """
    file = Path(path)
    try:
        if file.stat().st_size > MOST_BYTES:
            raise InputError(f"{file} is larger than {MOST_BYTES} bytes: split it")
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as cause:
        raise InputError(f"cannot read {file}: {cause.strerror}") from cause
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as cause:
        raise InputError(f"{file} is no TOML: {cause}") from cause
    for key in tree:
        if key not in ("defaults", "claim"):
            raise unknown_name("table", key, ("defaults", "claim"))
    tables, defaults = tree.get("claim", []), tree.get("defaults", {})
    if not isinstance(tables, list) or not isinstance(defaults, Mapping) or not tables:
        raise InputError(f"{file} holds no [[claim]]: write one table for each claim")
    if len(tables) > MOST_CLAIMS:
        raise InputError(f"{file} holds {len(tables)} claims; at most {MOST_CLAIMS} are read")
    return tuple(_entry({**defaults, **table}, i) for i, table in enumerate(tables, 1))


def _entry(table: Mapping[str, Any], number: int) -> Entry:
    """Return one entry of a file, its keys checked."""
    name = str(table.get("name", f"claim {number}"))
    known = [*(f.name for f in fields(Entry)), "latex"]
    for key, value in table.items():
        if key not in known:
            raise unknown_name(f"key of {name}", key, known)
        if not isinstance(value, str) and key != "expected":
            raise InputError(f"{name}: {key} is a text, not {type(value).__name__}")
    texts = [table[k] for k in ("claim", "latex") if k in table]
    if len(texts) != 1:
        raise InputError(f"{name} needs one of claim= and latex=")
    values = {k: v for k, v in table.items() if k not in ("name", "claim", "latex", "expected")}
    expected = _expected(table.get("expected", list(PROVED)), name)
    return Entry(name=name, claim=texts[0], expected=expected, **values)


def _expected(value: Any, name: str) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found:
        raise InputError(f"{name}: expected is a status or a list of them")
    for status in found:
        if status not in STATUSES:
            raise unknown_name(f"status of {name}", status, STATUSES)
    return tuple(found)


def judge_entries(entries: Iterable[Entry], timeout: float | None = SECONDS) -> Iterator[Result]:
    """Yield the result of each claim; a map is derived once for all its claims.

    Parameters
    ----------
    entries : iterable of Entry
    timeout : float or None
        Seconds for each claim.
    """
    known: dict[tuple[str, str, str], Any] = {}
    for entry in entries:
        key = entry.model, entry.loss, entry.optimizer
        try:
            if key not in known:
                subject = models.map_from_text(*key) or models.from_text(entry.model)
                known[key] = vocabulary_of(subject, *key[1:])
            yield Result(entry, _verdict(entry, known[key], timeout))
        except ClaimError as cause:
            yield Result(entry, None, str(cause))
        except CatapultError as cause:
            raise InputError(f"{entry.name}: {cause}") from cause


def _verdict(entry: Entry, vocabulary: Any, timeout: float | None) -> Verdict:
    return verdict_of(entry.claim, vocabulary, entry.where, entry.scaling, timeout)


def verify_file(path: Any, timeout: float | None = SECONDS) -> ClaimsReport:
    """Judge all claims of a TOML file.

    Parameters
    ----------
    path : str or path
        Tables ``[[claim]]`` with the keys ``claim`` or ``latex``, ``name``, ``model``, ``loss``,
        ``optimizer``, ``where``, ``scaling`` and ``expected``; a table ``[defaults]`` holds what
        they have in common.
    timeout : float or None
        Seconds for each claim.

    Returns
    -------
    ClaimsReport
        True if every verdict is one that was expected; its text is a table.

    Raises
    ------
    InputError
        If the file cannot be read, or names a model, loss or optimizer that is not known.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "claims.toml"
    ...     _ = file.write_text('[[claim]]\\nclaim = "a\\' = a + b*(a - 4)"\\n')
    ...     print(verify_file(file))
    claim        verdict  model
    claim 1  ok  holds    uv
    <BLANKLINE>
    1 of 1 claims as expected
    """
    return ClaimsReport(tuple(judge_entries(read_file(path), timeout)))
