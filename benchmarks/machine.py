"""The machine that is measured on, and the environment that the comparison runs in."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    *("catapult-theory", "numpy", "numba", "llvmlite", "sympy", "scipy", "jax", "jaxlib"),
    *("numexpr", "heyoka", "torch"),
)
# A current NumPy is slower under these.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
# One thread for everybody; rows with more say so.
ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "NPROC": "1",  # JAX reads it when its CPU client starts
}
MARK = "CATAPULT_BENCHMARKS_UNSET"


def settled() -> None:
    """Start the process again in the environment of the comparison, unless it is in it.

    The variables in `UNSET` go, and numerical libraries get one thread each: they read these
    when they are loaded, so that it is too late to change them in a running process.
    """
    if MARK in os.environ:
        return
    kept = {k: v for k, v in os.environ.items() if k not in UNSET}
    removed = [f"{k}={os.environ[k]}" for k in UNSET if k in os.environ]
    environment = {**kept, **ONE_THREAD, MARK: ", ".join(removed)}
    os.execve(sys.executable, [sys.executable, "-m", "benchmarks", *sys.argv[1:]], environment)


@functools.cache
def instruction_sets() -> frozenset[str]:
    """Return the instruction sets that a yardstick may ask for: avx2, avx512."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return frozenset()
    words = next((set(x.split()) for x in text.splitlines() if x.startswith("flags")), set())
    found = {"avx2"} if {"avx2", "fma"} <= words else set()
    return frozenset(found | ({"avx512"} if {"avx512f", "avx512dq"} <= words else set()))


def widest() -> str:
    """Return the name of the widest instruction set that there is a yardstick for, or ""."""
    return next((s for s in ("avx512", "avx2") if s in instruction_sets()), "")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {k.strip(): v.strip() for k, v in fields.items()}
    model = named.get("model name", platform.machine())
    return f"{model}, family {named.get('cpu family', '?')} model {named.get('model', '?')}"


def _compiler() -> str:
    gcc = shutil.which("gcc")
    if gcc is None:
        return "missing"
    out = subprocess.run([gcc, "--version"], capture_output=True, text=True).stdout
    return out.splitlines()[0] if out else "unknown"


def _load() -> str:
    """How many processes wanted to run in the last minute: above 1 others are in the way."""
    try:
        busy = os.getloadavg()[0]
    except OSError:
        return "unknown"
    return f"{busy:.1f}" + (": a busy machine, figures are not to be relied on" if busy > 1 else "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def cores() -> int:
    """Return the number of cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def machine() -> dict[str, str]:
    """Return what the figures were measured on and with."""
    found = {
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(cores()),
        "load at the start": _load(),
        "instruction sets": " ".join(sorted(instruction_sets())) or "other",
        "python": platform.python_version(),
        "gcc": _compiler(),
        **{package: _version(package) for package in PACKAGES},
    }
    if MARK in os.environ:
        found["unset for the comparison"] = os.environ[MARK] or f"nothing ({', '.join(UNSET)})"
        found["threads"] = "one for every library; rows with more say so"
    return found
