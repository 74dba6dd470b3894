"""A compiled update map: one step, a run to the end, a trajectory; it shows its own source."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from catapult_theory.codegen.arguments import (
    Arguments,
    Lanes,
    arguments_of,
    checked_steps,
    checked_threads,
    lanes_of,
)
from catapult_theory.codegen.array_namespace import foreign_among, foreign_arguments
from catapult_theory.codegen.array_target import ACTION, PREFIX, ArrayExecutor, loaded
from catapult_theory.codegen.backends import (
    BACKENDS,
    Executor,
    ForeignExecutor,
    ObservingExecutor,
    chosen,
)
from catapult_theory.codegen.buffers import flat_rows, result_buffers, store
from catapult_theory.codegen.driven import Changes, changes, check_backend
from catapult_theory.codegen.eigen import top_eigenvalue
from catapult_theory.codegen.execution import LANES_PER_CHUNK
from catapult_theory.codegen.lowering import Program, loop_program
from catapult_theory.codegen.operations import OperationTable
from catapult_theory.codegen.outcome import RunResult, lanes_into, stored, writable
from catapult_theory.errors import InputError, unknown_name
from catapult_theory.symbolic.matrix_nodes import TopEigenvalue
from catapult_theory.symbolic.schedules import peaks_and_schedules

DTYPES = ("float64", "float32")

__all__ = ["LANES_PER_CHUNK", "Kernel", "RunResult", "compile"]


@dataclass(frozen=True)
class Kernel:
    """A compiled update map; made by `compile`.

    Parameters
    ----------
    update_map : UpdateMap
    backend : str
    dtype : str
    """

    update_map: Any
    backend: str
    dtype: str

    def __reduce__(self) -> tuple[Any, ...]:
        return compile, (self.update_map, self.backend, self.dtype)

    @cached_property
    def _program(self) -> Program:
        return loop_program(self.update_map)

    @cached_property
    def source(self) -> str:
        """The generated source: readable, standalone, the same to the byte in every process."""
        return BACKENDS[self.backend].emit(self.update_map, self._program, self.dtype)

    @property
    def operations(self) -> OperationTable:
        """Operations of one time step (new state, loss, verdicts) after each pass.

        A mapping from the names of the passes to counts; prints as a table by kind.
        """
        return self._program.operations

    @cached_property
    def _array_executor(self) -> ArrayExecutor:
        return loaded(self.update_map, self._program, self.dtype)

    @cached_property
    def _arrays(self) -> Any:
        """The module of the array target, which steps and observes for every backend."""
        return self._array_executor.module

    @cached_property
    def _executor(self) -> Executor:
        if self.backend == "array":
            return self._array_executor
        backend = BACKENDS[self.backend]
        return backend.load(self.source, self.update_map, self._program, self.dtype)

    @property
    def njit(self) -> Any:
        """One step of a scalar map as a Numba function, for the user's own compiled code.

        It takes the state and then the parameters, numbers in the order of the map, returns the
        new state as a tuple, and is cached on disk.

        Raises
        ------
        InputError
            For another backend than "numba", or a matrix map.

        Examples
        --------
        >>> import catapult_theory as ct
        >>> ct.compile(ct.derive(ct.models.uv()), "numba").njit(1.0, 2.0, 0.5, 4.0)
        (0.0625, 1.625)
        """
        if self.update_map.is_matrix:
            raise InputError(
                "njit is for scalar maps: for a matrix model call kernel.run, or embed the file "
                "of `catapult export --target numba`, whose run takes lanes"
            )
        if self.backend != "numba":
            raise InputError(
                f"njit needs the numba backend, not {self.backend}: compile with backend='numba'"
            )
        executor: Any = self._executor
        return executor.loops.step

    @property
    def _names(self) -> list[str]:
        return [s.name for s in self.update_map.variables]

    @cached_property
    def _tuple(self) -> Any:
        return namedtuple("State", self._names)

    def step(self, *state: Any, **parameters: Any) -> Any:
        """Return the state after one step.

        Parameters
        ----------
        *state : number or array
            In state order; shapes broadcast. With the "array" backend arrays of any
            array-API library, with "jax" those of JAX, which the results are, too.
        **parameters : number or array
            eta, n, ... ; ``X`` and ``Y`` for matrix models.

        Returns
        -------
        namedtuple
            In state order. Scalars in give scalars out.

        Raises
        ------
        InputError
            If a name or a shape does not fit.

        Examples
        --------
        >>> import catapult_theory as ct
        >>> kernel = ct.compile(ct.derive(ct.models.uv()), "array")
        >>> kernel.step(1.0, 2.0, eta=0.5, n=4)
        State(f=0.0625, lam=1.625)
        """
        names = self._names
        if len(state) != len(names):
            raise InputError(f"step() takes the state {', '.join(names)} first, got {len(state)}")
        named = dict(zip(names, state, strict=True))
        parts = [parameters.pop(s.name, None) for s in self.update_map.data]
        data = tuple(parts) if any(part is not None for part in parts) else None
        if module := self._abroad(named, parameters, data):
            given = foreign_arguments(self.update_map, named, parameters, data, self.dtype)
            return self._tuple(*module.step(*(x for group in given for x in group)))
        lanes = lanes_of(self.update_map, named, parameters, data, self.dtype)
        with np.errstate(all="ignore"):
            new = self._arrays.step(*lanes.states, *lanes.parameters, *lanes.data)
        shaped = (a.reshape((*lanes.shape, *a.shape[1:])) for a in new)
        scalars = not lanes.shape and not self.update_map.is_matrix
        return self._tuple(*(a.item() if scalars else a for a in shaped))

    def _abroad(self, state: Mapping[str, Any], given: Mapping[str, Any], data: Any) -> Any:
        """Return the module that takes arrays of their library, or None if all are NumPy's."""
        values = (*state.values(), *given.values(), *(data or ()))
        if not foreign_among(values):
            return None
        if not isinstance(self._executor, ForeignExecutor):
            raise InputError(
                f"the {self.backend} backend takes NumPy arrays: convert the arguments, or "
                "compile with backend='array', which leaves them in their library"
            )
        return self._executor.taking(values)

    def run(
        self,
        state: Mapping[str, Any],
        steps: int,
        *,
        data: Any = None,
        threads: int | None = None,
        out: RunResult | None = None,
        **parameters: Any,
    ) -> RunResult:
        """Return the final state, the peak of the loss and the status of every lane.

        Parameters
        ----------
        state : mapping of str to number or array
        steps : int
        data : tuple (X, y), for matrix models
        threads : int or None
            None for all cores; the bits of the result do not depend on it.
        out : RunResult, optional
            What an earlier run over lanes of the same shape returned: its arrays are filled again
            and returned, which saves the time that new memory takes.
        **parameters : number, array or Schedule
            Schedules (and mini-batches) take the "array" backend.

        Returns
        -------
        RunResult

        Raises
        ------
        InputError
            If a name, a shape or a value cannot be used.

        Examples
        --------
        >>> import catapult_theory as ct
        >>> kernel = ct.compile(ct.derive(ct.models.uv()), "array")
        >>> r = kernel.run({"f": 1.0, "lam": 2.0}, 500, eta=[0.5, 1.5, 2.5], n=100)
        >>> r.status.tolist()
        [1, 1, 2]
        >>> kernel.run(r.state, 500, out=r, eta=0.5, n=100) is r
        True
        """
        count = checked_steps(steps)
        if module := self._abroad(state, parameters, data):
            if out is not None:
                raise InputError("out= takes NumPy arrays: convert the arguments")
            given = foreign_arguments(self.update_map, state, parameters, data, self.dtype)
            states, verdicts = module.run(*given, count)
            return self._result(states, verdicts)
        workers = checked_threads(threads)
        asked, changing = self._asked(state, count, parameters, data)
        executor = self._executor
        if isinstance(executor, ForeignExecutor):
            executor.taking(())  # what it refuses it refuses before anything is written
        into = (self._names, asked, self.dtype, count)
        lanes = asked.lanes() if out is None else lanes_into(out, *into)
        states, verdicts = executor.run(changing.driving(lanes), count, workers)
        found = self._result(
            (writable(a.reshape((*lanes.shape, *a.shape[1:]))) for a in states),
            (writable(v.reshape(lanes.shape)) for v in verdicts),
        )
        return found if out is None else stored(out, found)

    def _asked(
        self, state: Mapping[str, Any], steps: int, parameters: Mapping[str, Any], data: Any
    ) -> tuple[Arguments, Changes]:
        """Return the checked arguments of a run, and what changes from step to step."""
        check_backend(self.backend, self.update_map, parameters)
        peaks, schedules = peaks_and_schedules(dict(parameters))
        asked = arguments_of(self.update_map, state, peaks, data, self.dtype)
        return asked, changes(self.update_map, asked, schedules, steps)

    def _result(self, states: Iterable[Any], verdicts: Iterable[Any]) -> RunResult:
        return RunResult(dict(zip(self._names, states, strict=True)), *verdicts)

    def trajectory(
        self,
        state: Mapping[str, Any],
        steps: int,
        *,
        every: int = 1,
        out: Mapping[str, Any] | None = None,
        data: Any = None,
        observables: Iterable[Any] = (),
        threads: int | None = None,
        **parameters: Any,
    ) -> dict[str, Any]:
        """Return the states at steps 0, every, 2 every, ..., steps first.

        Parameters
        ----------
        state, steps, data, threads, **parameters
            As for `run`.
        every : int
        out : mapping of str to array, optional
            Buffers to be filled, in the shape of the result.
        observables : iterable of str or sympy.Expr
            What to add: names of observables, or expressions in state and parameters (scalar
            maps), which are shown under their text.

        Returns
        -------
        dict of str to array
            Of shape (steps // every + 1, lanes..., ...). Decided lanes keep their state.

        Raises
        ------
        InputError
            If a name, a shape or a value cannot be used.

        Examples
        --------
        >>> import catapult_theory as ct
        >>> kernel = ct.compile(ct.derive(ct.models.uv()), "array")
        >>> t = kernel.trajectory({"f": 1.0, "lam": 2.0}, 2, eta=0.5, n=4, observables=["loss"])
        >>> t["f"].shape, t["loss"][0].item()
        ((3,), 0.5)
        """
        if module := self._abroad(state, parameters, data):
            if out is not None or tuple(observables):
                raise InputError("out= and observables= take NumPy arrays: convert the arguments")
            count, stride = checked_steps(steps), checked_steps(every, "every", 1)
            given = foreign_arguments(self.update_map, state, parameters, data, self.dtype)
            kept = module.trajectory(*given, count, stride)
            return dict(zip(self._names, kept, strict=True))
        how = {"every": every, "out": out, "data": data, "observables": observables}
        return self.traced(state, steps, **how, threads=threads, **parameters)[0]

    def traced(
        self,
        state: Mapping[str, Any],
        steps: int,
        *,
        every: int = 1,
        out: Mapping[str, Any] | None = None,
        data: Any = None,
        observables: Iterable[Any] = (),
        threads: int | None = None,
        **parameters: Any,
    ) -> tuple[dict[str, Any], RunResult]:
        """Return a trajectory and its outcome, from one pass over the same numbers.

        Parameters
        ----------
        state, steps, every, out, data, observables, threads, **parameters
            As for `trajectory`; NumPy arrays.

        Returns
        -------
        dict of str to array
            As `trajectory` returns it.
        RunResult
            Its state is that at the end.

        Raises
        ------
        InputError
            If a name, a shape or a value cannot be used.

        Examples
        --------
        >>> import catapult_theory as ct
        >>> kernel = ct.compile(ct.derive(ct.models.uv()), "array")
        >>> rows, result = kernel.traced({"f": 1.0, "lam": 2.0}, 2, every=2, eta=0.5, n=4)
        >>> rows["f"].shape, result.peak_step.item()
        ((2,), 0)
        """
        count, stride = checked_steps(steps), checked_steps(every, "every", 1)
        workers = checked_threads(threads)
        shown = self._shown(observables)
        asked, changing = self._asked(state, count, parameters, data)
        lanes = changing.driving(asked.lanes().apart_from((out or {}).values()))
        rows = count // stride + 1
        shapes = {
            name: (rows, *lanes.shape, *a.shape[1:])
            for name, a in zip(self._names, lanes.states, strict=True)
        }
        shapes |= dict.fromkeys(shown, (rows, *lanes.shape))
        buffers = result_buffers(shapes, out, self.dtype)
        kept = tuple(
            flat_rows(buffers[name], a.shape, self.dtype)
            for name, a in zip(self._names, lanes.states, strict=True)
        )
        seen = {
            name: flat_rows(buffers[name], (lanes.count,), self.dtype)
            for name, e in shown.items()
            if not isinstance(e, TopEigenvalue)
        }
        wanted = {name: (shown[name], rows) for name, rows in seen.items()}
        verdicts = self._follow(lanes, (count, stride), kept, wanted, workers)
        for name, values in (*zip(self._names, kept, strict=True), *seen.items()):
            store(buffers[name], values)
        for name in shown.keys() - seen.keys():
            store(buffers[name], self._eigenvalues(lanes, kept))
        ends = (a.reshape((*lanes.shape, *a.shape[1:])) for a in lanes.states)
        return buffers, self._result(ends, (v.reshape(lanes.shape) for v in verdicts))

    def observe(
        self,
        state: Mapping[str, Any],
        observables: Iterable[Any],
        *,
        data: Any = None,
        **parameters: Any,
    ) -> dict[str, Any]:
        """Return quantities at a state.

        Parameters
        ----------
        state, data, **parameters
            As for `run`; a schedule counts with its first value.
        observables : iterable of str or sympy.Expr
            As for `trajectory`.

        Returns
        -------
        dict of str to array
            Of the shape of the lanes.

        Raises
        ------
        InputError
            If a name, a shape or a value cannot be used.

        Examples
        --------
        >>> import catapult_theory as ct
        >>> kernel = ct.compile(ct.derive(ct.models.uv()), "array")
        >>> kernel.observe({"f": [1.0, 2.0], "lam": 2.0}, ["loss"], eta=0.5, n=4)["loss"].tolist()
        [0.5, 2.0]
        """
        asked, changing = self._asked(state, 0, parameters, data)
        lanes = changing.driving(asked.lanes())
        given = lanes.drive(0)[0] if lanes.drive else lanes.parameters
        shown = self._shown(observables)
        plain = {name: e for name, e in shown.items() if not isinstance(e, TopEigenvalue)}
        values: dict[str, Any] = {}
        with np.errstate(all="ignore"):
            for name, function in self._functions(plain).items():
                values[name] = function(*lanes.states, *given, *lanes.data)
        for name in shown.keys() - plain.keys():
            values[name] = self._eigenvalues(lanes, tuple(a[None] for a in lanes.states))[0]
        return {
            name: np.broadcast_to(values[name], (lanes.count,)).reshape(lanes.shape).copy()
            for name in shown
        }

    def _shown(self, observables: Iterable[Any]) -> dict[str, Any]:
        """Return names and expressions of what a trajectory shows beside the state."""
        known = self.update_map.observables
        symbols = {*self.update_map.variables, *self.update_map.constants}
        shown: dict[str, Any] = {}
        for item in observables:
            if not isinstance(item, str):
                if self.update_map.is_matrix or not getattr(item, "free_symbols", {0}) <= symbols:
                    names = ", ".join(sorted(s.name for s in symbols))
                    raise InputError(f"the observable {item} must be an expression in {names}")
                shown[str(item)] = item
            elif item not in self._names:
                if item not in known:
                    raise unknown_name("observable", item, known)
                shown[item] = known[item]
        return shown

    def _follow(
        self,
        lanes: Lanes,
        times: tuple[int, int],
        kept: tuple[Any, ...],
        seen: Mapping[str, tuple[Any, Any]],
        threads: int | None,
    ) -> tuple[Any, ...]:
        """Fill the rows of states, and those of observables: inside the loop where it can."""
        executor = self._executor
        if isinstance(executor, ObservingExecutor):
            return executor.observe(lanes, *times, kept, seen, threads)
        verdicts = executor.follow(lanes, *times, kept, threads)
        if not seen:
            return verdicts
        functions = self._functions({name: e for name, (e, _) in seen.items()})
        for name, (_, values) in seen.items():
            with np.errstate(all="ignore"):
                for i, (row, state) in enumerate(zip(values, zip(*kept, strict=True), strict=True)):
                    given = lanes.drive(i * times[1])[0] if lanes.drive else lanes.parameters
                    row[...] = functions[name](*state, *given, *lanes.data)
        return verdicts

    def _functions(self, shown: Mapping[str, Any]) -> dict[str, Any]:
        """Return the array functions of expressions, which take state, parameters and data."""
        names, module = list(shown), self._arrays
        if not shown.keys() <= self.update_map.observables.keys():
            names = [f"shown{i}" for i in range(len(shown))]
            asked = dict(zip(names, shown.values(), strict=True))
            wider = replace(self.update_map, observables={**self.update_map.observables, **asked})
            module = loaded(wider, self._program, self.dtype).module
        own = (getattr(module, f"{PREFIX}{name}") for name in names)
        return dict(zip(shown, own, strict=True))

    def _eigenvalues(self, lanes: Lanes, kept: tuple[Any, ...]) -> Any:
        shape = lanes.data[1].shape
        action = getattr(self._arrays, ACTION)
        values = np.full((kept[0].shape[0], lanes.count), np.nan)
        for t, i in np.ndindex(*values.shape):
            own = (*(a[t, i] for a in kept), *(p[i] for p in lanes.parameters), *lanes.data)
            if all(np.isfinite(a).all() for a in own[: len(kept)]):
                values[t, i] = top_eigenvalue(partial(action, *own), shape)
        return values


def compile(update_map: Any, backend: str = "auto", dtype: str = "float64") -> Kernel:
    """Compile an update map.

    Parameters
    ----------
    update_map : UpdateMap
    backend : str
        "llvm" (scalar maps, vectors of the machine's width), "numba" (matrix models, and
        embedding), "c" (a C99 header), "jax" (grad, vmap and GPUs), "array" (any array-API
        library), or "auto": llvm for scalar maps, Numba for matrix models, else array.
    dtype : str
        "float64", or "float32" for surveys.

    Returns
    -------
    Kernel

    Raises
    ------
    InputError
        For an unknown backend or dtype.
    MissingBackend
        If the backend is not installed.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> ct.compile(ct.derive(ct.models.uv()), "array").backend
    'array'
    """
    target = chosen(backend, update_map)
    if str(dtype) not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    return Kernel(update_map, target.name, str(dtype))
