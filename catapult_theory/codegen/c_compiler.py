"""A C compiler: found by compiling something tiny, used to make shared libraries."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from catapult_theory.codegen.storage import VARIABLE, cache_folder
from catapult_theory.errors import MissingBackend, OutputError

CHOICE = "CC"
CANDIDATES = ("cc", "gcc", "clang")
# No flag here lets a compiler change a result: no reassociation, no fused multiply-add. Selections
# become vector code where floating-point exceptions are not asked for.
FLAGS = (
    *("-std=c99", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"),
    *("-fPIC", "-shared"),
)
# Compilers differ in how the host's instruction set is asked for; the first that works counts.
HOST_FLAGS = (("-march=native",), ("-mcpu=native",), ())
TINY = "#include <math.h>\ndouble root(double x);\ndouble root(double x) { return sqrt(x); }\n"
SECONDS = 120


@dataclass(frozen=True)
class Compiler:
    """A compiler that works.

    Parameters
    ----------
    command : tuple of str
    flags : tuple of str
    version : str
        What it says about itself.
    """

    command: tuple[str, ...]
    flags: tuple[str, ...]
    version: str

    def compile(self, source: Path, target: Path) -> None:
        """Make a shared library.

        Raises
        ------
        MissingBackend
            If the compiler refuses, with the first lines of what it says.
        """
        said = _tried((*self.command, *self.flags, str(source), "-o", str(target), "-lm"))
        if said is not None:
            raise MissingBackend(
                f"{' '.join(self.command)} does not compile {source.name}: {said[:300]}; set "
                f"${CHOICE} to another C compiler, such as gcc or clang"
            )


def find_compiler() -> Compiler:
    """Return $CC if it is set, else the first of cc, gcc and clang that works.

    Returns
    -------
    Compiler

    Raises
    ------
    MissingBackend
        If $CC does not work, or there is no compiler.
    """
    chosen = shlex.split(os.environ.get(CHOICE, ""))
    candidates = (tuple(chosen),) if chosen else tuple((name,) for name in CANDIDATES)
    for command in candidates:
        compiler = _probed(command)
        if compiler is not None:
            return compiler
    cause = (
        f"${CHOICE} is {shlex.join(chosen)!r}, which cannot compile"
        if chosen
        else f"none of {', '.join(CANDIDATES)} can compile"
    )
    raise MissingBackend(
        f"the c backend needs a C compiler, but {cause}: install one (on Debian: apt-get install "
        f"gcc) or set ${CHOICE}"
    )


@lru_cache
def _probed(command: tuple[str, ...]) -> Compiler | None:
    """Return a compiler if it makes a library of a function with a square root."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "tiny.c")
        source.write_text(TINY)
        for host in HOST_FLAGS:
            flags = (*FLAGS, *host)
            target = str(Path(folder, "tiny.so"))
            if _tried((*command, *flags, str(source), "-o", target, "-lm")) is None:
                return Compiler(command, flags, _version(command))
    return None


def _version(command: Sequence[str]) -> str:
    return subprocess.run(
        [*command, "--version"], capture_output=True, text=True, timeout=SECONDS
    ).stdout


def _tried(command: Sequence[str]) -> str | None:
    """Run a command; return None if it succeeds, else what it says."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as cause:
        return str(cause)
    return None if done.returncode == 0 else done.stderr or f"exit status {done.returncode}"


def processor() -> str:
    """Return what tells processors apart for which code would be compiled differently.

    Returns
    -------
    str

    Examples
    --------
    >>> processor() == processor()
    True
    """
    wanted = ("model name", "flags", "Features", "CPU implementer", "CPU part")
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        lines = []
    told = [line for line in lines if line.startswith(wanted)]
    return "\n".join([platform.machine(), *(told or [platform.processor()])])


def load_library(source: str) -> ctypes.CDLL:
    """Compile a C source into the folder of generated code, unless it is there, and load it.

    Parameters
    ----------
    source : str

    Returns
    -------
    ctypes.CDLL
        Its functions run without Python's lock.

    Raises
    ------
    MissingBackend
        If there is no compiler.
    OutputError
        If the folder cannot be written, or may not hold programs.
    """
    compiler = find_compiler()
    key = "\0".join([source, *compiler.command, *compiler.flags, compiler.version, processor()])
    name = f"catapult_kernel_{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    path = cache_folder() / f"{name}.so"
    if path.exists():
        try:
            return ctypes.CDLL(str(path))
        except OSError:
            path.unlink(missing_ok=True)  # a damaged file: made anew below
    try:
        _build(compiler, source, path)
        return ctypes.CDLL(str(path))
    except OSError as cause:
        raise OutputError(
            f"cannot keep compiled code in {path.parent} ({cause.strerror or cause}): set "
            f"${VARIABLE} to a folder that can be written and run from"
        ) from cause


def _build(compiler: Compiler, source: str, path: Path) -> None:
    """Compile in a folder of its own, so that no other process sees half a library."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        text, library = Path(folder, f"{path.stem}.c"), Path(folder, path.name)
        text.write_text(source, encoding="utf-8")
        compiler.compile(text, library)
        os.replace(text, path.with_suffix(".c"))
        os.replace(library, path)
