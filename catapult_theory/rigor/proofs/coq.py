"""The Coq proof assistant: files are checked in a folder of their own, and audited for axioms.

Every file is compiled by coqc, never trusted from an earlier run; files that do not need each
other are compiled side by side. An audit is a file too: it requires a compiled one and asks with
``Print Assumptions`` what the theorems in it rest on, admitted lemmas among it. (It imports
nothing, so that Coq prints every axiom with the name of its file.)
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

LIBRARY = "Catapult"
REMEDY = "apt-get install coq libcoq-coquelicot"

# What Coq's real numbers themselves rest on, with classical logic (of Coquelicot's limits).
STANDARD_AXIOMS = frozenset(
    {
        "ClassicalDedekindReals.sig_forall_dec",
        "ClassicalDedekindReals.sig_not_dec",
        "FunctionalExtensionality.functional_extensionality_dep",
        "Classical_Prop.classic",
    }
)

# Nothing here runs longer than ten seconds; a proof that does not end is a failure.
TIME_LIMIT = 300.0


@dataclass(frozen=True)
class Source:
    """One file of Coq.

    Parameters
    ----------
    name : str
        Of the file, without its suffix.
    text : str
    answers : tuple of str
        Names of what its ``Redirect`` commands write.
    """

    name: str
    text: str
    answers: tuple[str, ...] = ()

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of the files of the same library that this one requires.

        Examples
        --------
        >>> Source("b", "From Catapult Require Import a.").needs
        ('a',)
        """
        lines = re.findall(rf"From {LIBRARY} Require(?: Import| Export)? ([\w\s]+)\.", self.text)
        return tuple(name for line in lines for name in line.split())


@dataclass(frozen=True)
class Outcome:
    """What coqc said of one file.

    Parameters
    ----------
    name : str
    status : str
        "checked", "failed", or "not-checked" where Coq or Coquelicot is missing.
    seconds : float
    detail : str
        The first error, or what is missing and how to get it.
    printed : mapping
        The answers of the file, by name.
    """

    name: str
    status: str
    seconds: float = 0.0
    detail: str = ""
    printed: Mapping[str, str] = field(default_factory=dict)


def missing() -> str:
    """Return what is missing to check proofs, with its remedy; empty where coqc is found.

    Returns
    -------
    str
    """
    return "" if shutil.which("coqc") else f"coqc is not installed: {REMEDY}"


def read_axioms(printed: str) -> tuple[str, ...]:
    """Return the names of the axioms that ``Print Assumptions`` lists, sorted.

    Parameters
    ----------
    printed : str

    Returns
    -------
    tuple of str

    Raises
    ------
    ValueError
        If the text is neither a list of axioms nor says that there are none.

    Examples
    --------
    >>> read_axioms("Closed under the global context")
    ()
    >>> read_axioms("Axioms:\\nclassic : forall P : Prop,\\n          P\\nb\\n  : nat")
    ('b', 'classic')
    """
    if printed.startswith("Closed under the global context"):
        return ()
    head, _, rest = printed.partition("\n")
    if head.strip() != "Axioms:":
        raise ValueError(f"not an answer of Print Assumptions: {head!r}")
    return tuple(sorted(re.findall(r"^([^\s:]+)\s*(?::|$)", rest, re.MULTILINE)))


def audit(file: str, groups: Mapping[str, Sequence[str]]) -> Source:
    """Return the file that asks what the theorems of another one rest on.

    A walk through the reals' foundations takes most of a second, so that the theorems of a
    group share one.

    Parameters
    ----------
    file : str
    groups : mapping
        From the name of a group, a Coq identifier, to the theorems in it.

    Returns
    -------
    Source
        Its answers are ``<group>.axioms`` and, for each theorem, ``<theorem>.claim``.

    Examples
    --------
    >>> print(audit("a", {"g": ("b", "c")}).text)
    From Catapult Require a.
    Definition audited_g := (a.b, a.c).
    Redirect "audit_a.g.axioms" Print Assumptions audited_g.
    Redirect "audit_a.b.claim" Check a.b.
    Redirect "audit_a.c.claim" Check a.c.
    """
    lines, answers = [f"From {LIBRARY} Require {file}."], []
    for group, theorems in groups.items():
        names = ", ".join(f"{file}.{t}" for t in theorems)
        lines.append(f"Definition audited_{group} := ({names}).")
        lines.append(_redirect(file, f"{group}.axioms", f"Print Assumptions audited_{group}"))
        answers.append(f"{group}.axioms")
        for t in theorems:
            lines.append(_redirect(file, f"{t}.claim", f"Check {file}.{t}"))
            answers.append(f"{t}.claim")
    return Source(f"audit_{file}", "\n".join(lines), tuple(answers))


def _redirect(file: str, answer: str, command: str) -> str:
    return f'Redirect "audit_{file}.{answer}" {command}.'


def check_sources(sources: Sequence[Source], workers: int | None = None) -> Iterator[Outcome]:
    """Check files with coqc, in the order of their needs and side by side; yield as they end.

    Parameters
    ----------
    sources : sequence of Source
        With every file of the library that any of them needs.
    workers : int, optional
        How many run at a time; all cores if left out.

    Yields
    ------
    Outcome
        One for each source. A file whose need failed is itself "failed".
    """
    absent = missing()
    if absent:
        yield from (Outcome(s.name, "not-checked", detail=absent) for s in sources)
        return
    with (
        tempfile.TemporaryDirectory(prefix="catapult-proofs-") as folder,
        ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool,
    ):
        try:
            yield from _scheduled(sources, Path(folder), pool)
        finally:
            pool.shutdown(cancel_futures=True)  # an interrupted check starts nothing more


def _scheduled(
    sources: Sequence[Source], folder: Path, pool: ThreadPoolExecutor
) -> Iterator[Outcome]:
    left = {s.name: s for s in sources}
    done: dict[str, Outcome] = {}
    running: dict[Future[Outcome], str] = {}
    while left or running:
        for source in _ready(left, done):
            del left[source.name]
            running[pool.submit(_settled, source, done, folder)] = source.name
        if not running:
            stuck = ", ".join(sorted(left))
            raise ValueError(f"these files need each other, or files that are not there: {stuck}")
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            done[running.pop(future)] = future.result()
            yield future.result()


def _ready(left: Mapping[str, Source], done: Mapping[str, Outcome]) -> list[Source]:
    return [s for s in left.values() if all(need in done for need in s.needs)]


def _settled(source: Source, done: Mapping[str, Outcome], folder: Path) -> Outcome:
    """Check a file unless one that it needs was not: then it shares that one's fate."""
    for need in source.needs:
        if done[need].status != "checked":
            detail = f"it needs {need}.v: {done[need].detail}"
            return Outcome(source.name, done[need].status, detail=detail)
    return check_source(source, folder)


def check_source(source: Source, folder: Path) -> Outcome:
    """Check one file in a folder that holds the compiled files that it needs.

    Parameters
    ----------
    source : Source
    folder : Path

    Returns
    -------
    Outcome
    """
    path = folder / f"{source.name}.v"
    path.write_text(source.text)
    command = ["coqc", "-q", "-w", "none", "-Q", ".", LIBRARY, path.name]
    began = time.perf_counter()
    try:
        run = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=TIME_LIMIT
        )
    except subprocess.TimeoutExpired:
        return Outcome(source.name, "failed", TIME_LIMIT, f"no end after {TIME_LIMIT:.0f} s")
    seconds = time.perf_counter() - began
    if run.returncode != 0:
        return _failure(source, seconds, run.stderr)
    printed = {x: (folder / f"{source.name}.{x}.out").read_text() for x in source.answers}
    return Outcome(source.name, "checked", seconds, printed=printed)


def _failure(source: Source, seconds: float, printed: str) -> Outcome:
    if re.search(r"bound to logical path\s+Coquelicot|library Coquelicot", printed):
        detail = f"Coquelicot is not installed: {REMEDY}"
        return Outcome(source.name, "not-checked", seconds, detail)
    place = re.search(r"line (\d+), characters", printed)
    error = re.search(r"Error:(.*)", printed, re.DOTALL)
    words = " ".join((error[1] if error else printed).split())
    where = f"line {place[1]}: " if place else ""
    return Outcome(source.name, "failed", seconds, f"{where}{words[:300]}")
