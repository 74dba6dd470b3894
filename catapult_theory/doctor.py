"""What this machine has: versions, compilers, optional parts, and how to get what is missing."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

CORE = (
    *(
        "numpy",
        "scipy",
        "sympy",
        "numba",
        "llvmlite",
        "xarray",
        "h5netcdf",
        "h5py",
        "scikit-learn",
        "threadpoolctl",
    ),
    *("matplotlib", "rich", "typer", "jinja2", "autograd"),
)
OPTIONAL = {
    "hypothesis": ("property tests and strategies", "pip install -e '.[rigor]'"),
    "python-flint": ("ball arithmetic", "pip install -e '.[rigor]'"),
    "z3-solver": ("deciding inequalities", "pip install -e '.[rigor]'"),
    "torch": ("networks of your own", "pip install -e '.[torch]'"),
    "curvlinops-for-pytorch": ("curvature of networks of your own", "pip install -e '.[torch]'"),
    "jax": ("differentiable kernels", "pip install -e '.[jax]'"),
    "zarr": ("large sweeps", "pip install -e '.[sweeps]'"),
    "dask": ("distributed sweeps", "pip install -e '.[sweeps]'"),
}
PROGRAMS = {
    "gcc": ("C kernels", "your system's compiler package"),
    "coqc": ("checking proofs", "apt-get install coq libcoq-coquelicot"),
}


@dataclass(frozen=True)
class Finding:
    """One part: its name, what it is for, its version or None, and how to get it."""

    name: str
    purpose: str
    version: str | None
    remedy: str


def examine() -> list[Finding]:
    """Return what is installed and what is missing.

    Returns
    -------
    list of Finding
        Python first, then the core, optional packages and programs.

    Examples
    --------
    >>> examine()[0].name
    'python'
    """
    found = [Finding("python", platform.platform(), sys.version.split()[0], "")]
    found += [Finding(p, "core", _version(p), "pip install -e .") for p in CORE]
    for name, (purpose, remedy) in OPTIONAL.items():
        found.append(Finding(name, purpose, _version(name), remedy))
    for name, (purpose, remedy) in PROGRAMS.items():
        found.append(Finding(name, purpose, _program(name), remedy))
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        spec = importlib.util.find_spec(package) if package.isidentifier() else None
        return None if spec is None else "unknown"


def _program(name: str) -> str | None:
    path = shutil.which(name)
    if path is None:
        return None
    try:
        out = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return out.stdout.splitlines()[0] if out.stdout else "unknown"
