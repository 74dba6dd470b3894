"""The targets that a map can be compiled for: what each needs, and where it lives."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from catapult_theory.codegen.arguments import Lanes
from catapult_theory.codegen.lowering import Program
from catapult_theory.errors import InputError, MissingBackend, unknown_name

Arrays = tuple[Any, ...]


class Executor(Protocol):
    """Compiled loops over lanes."""

    def run(self, lanes: Lanes, steps: int, threads: int | None) -> tuple[Arrays, Arrays]:
        """Return the final states, and (loss, peak_loss, peak_step, status, status_step)."""

    def follow(
        self, lanes: Lanes, steps: int, every: int, rows: Arrays, threads: int | None
    ) -> Arrays:
        """Fill rows of shape (steps // every + 1, lanes, ...); return the verdicts."""


@runtime_checkable
class ForeignExecutor(Executor, Protocol):
    """Loops that take arrays of other libraries than NumPy, too."""

    def taking(self, values: Arrays) -> Any:
        """Return the module with step, run and trajectory for such values, or refuse them."""


@runtime_checkable
class ObservingExecutor(Executor, Protocol):
    """Loops that evaluate expressions beside the states that they write."""

    def observe(
        self,
        lanes: Lanes,
        steps: int,
        every: int,
        rows: Arrays,
        shown: Mapping[str, tuple[Any, Any]],
        threads: int | None,
    ) -> Arrays:
        """Fill rows of states, and of (expression, rows) by name; return the verdicts."""


@dataclass(frozen=True)
class Backend:
    """A target; the modules it needs are imported when it is first used.

    Parameters
    ----------
    name : str
    home : str
        The module with ``emit(update_map, program, dtype)``, which returns the source, and
        ``load(source, update_map, program, dtype)``, which returns an `Executor`.
    requires : str
        A module that must be importable, or "".
    remedy : str
        How to get it.
    """

    name: str
    home: str
    requires: str
    remedy: str

    @property
    def installed(self) -> bool:
        """Whether what it needs can be imported."""
        return not self.requires or importlib.util.find_spec(self.requires) is not None

    def emit(self, update_map: Any, program: Program, dtype: str) -> str:
        """Return the source for this target."""
        return importlib.import_module(self.home).emit(update_map, program, dtype)

    def load(self, source: str, update_map: Any, program: Program, dtype: str) -> Executor:
        """Compile a source."""
        return importlib.import_module(self.home).load(source, update_map, program, dtype)


_HOME = "catapult_theory.codegen"
_ALL = (
    Backend("array", f"{_HOME}.array_target", "", ""),
    Backend("llvm", f"{_HOME}.llvm_target", "llvmlite", "pip install llvmlite"),
    Backend("numba", f"{_HOME}.numba_target", "numba", "pip install numba"),
    Backend("c", f"{_HOME}.c_target", "", ""),
    Backend("jax", f"{_HOME}.jax_target", "jax", "pip install 'catapult-theory[jax]'"),
)
BACKENDS: Mapping[str, Backend] = {b.name: b for b in _ALL}


def chosen(name: str, update_map: Any) -> Backend:
    """Return a backend by name; "auto" depends on the map and on what is installed.

    Raises
    ------
    InputError
        For an unknown name.
    MissingBackend
        If it is not installed.
    """
    if name == "auto":
        if update_map.batches is not None:  # its data change from step to step
            return BACKENDS["array"]
        preferred = ("numba",) if update_map.is_matrix else ("llvm", "numba")
        return next((BACKENDS[b] for b in preferred if BACKENDS[b].installed), BACKENDS["array"])
    if name not in BACKENDS:
        raise unknown_name("backend", name, (*BACKENDS, "auto"))
    backend = BACKENDS[name]
    if not backend.installed:
        raise MissingBackend(f"the {name} backend needs {backend.requires}: {backend.remedy}")
    return backend


def refuse_matrices(update_map: Any, name: str) -> None:
    """Refuse a map whose state is made of matrices.

    Raises
    ------
    InputError
    """
    if update_map.is_matrix:
        raise InputError(
            f"the {name} backend takes scalar maps: for matrix models use 'numba', 'c', 'jax' or "
            "'array'"
        )
