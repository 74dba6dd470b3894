"""A compiled update map: one step, a run to the end, a trajectory; it shows its own source."""

from __future__ import annotations

import importlib.util
import os
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from catapult_theory.codegen.arguments import Lanes, checked_steps, lanes_of
from catapult_theory.codegen.array_source import emit_array
from catapult_theory.codegen.eigen import top_eigenvalue
from catapult_theory.codegen.programs import Lowered, lower
from catapult_theory.codegen.numba_source import emit_numba
from catapult_theory.codegen.storage import load_module
from catapult_theory.errors import InputError, MissingBackend, unknown_name
from catapult_theory.symbolic.matrix_nodes import TopEigenvalue

BACKENDS = ("array", "numba")
DTYPES = ("float64", "float32")
LANES_PER_CHUNK = 4096


@dataclass(frozen=True)
class RunResult:
    """The outcome of `Kernel.run`, arrays over lanes.

    Parameters
    ----------
    state : mapping of str to array
        The final state; a decided lane keeps the state in which it was decided.
    loss, peak_loss : array
        The data loss at the end, and its largest value from the start to the end.
    peak_step, status, status_step : array of int
        The step of the peak, a `Status`, and the step at which it was reached.
    """

    state: Mapping[str, Any]
    loss: Any
    peak_loss: Any
    peak_step: Any
    status: Any
    status_step: Any


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

    @cached_property
    def _lowered(self) -> Lowered:
        return lower(self.update_map)

    @cached_property
    def source(self) -> str:
        """The generated source: readable, standalone, the same to the byte in every process."""
        emit = emit_numba if self.backend == "numba" else emit_array
        return emit(self.update_map, self._lowered, self.dtype)

    @property
    def operations(self) -> dict[str, int]:
        """Operations of one step after each pass."""
        return dict(self._lowered.passes)

    @cached_property
    def _arrays(self) -> Any:
        """The module of the array target, which steps and observes for every backend."""
        source = self.source
        if self.backend != "array":
            source = emit_array(self.update_map, self._lowered, self.dtype)
        return load_module(source, ("array", self.dtype))

    @cached_property
    def _compiled(self) -> Any:
        import numba

        key = ("numba", self.dtype, numba.__version__, np.__version__)
        return load_module(self.source, key)

    @cached_property
    def _tuple(self) -> Any:
        return namedtuple("State", [s.name for s in self.update_map.variables])

    def step(self, *state: Any, **parameters: Any) -> Any:
        """Return the state after one step.

        Parameters
        ----------
        *state : number or array
            In state order; shapes broadcast. With the "array" backend arrays of any
            array-API library, which the results are, too.
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
        names = [s.name for s in self.update_map.variables]
        if len(state) != len(names):
            raise InputError(f"step() takes the state {', '.join(names)} first, got {len(state)}")
        foreign = any(_is_foreign(a) for a in (*state, *parameters.values()))
        if self.backend == "array" and foreign:
            return self._foreign_step(state, parameters)
        data = tuple(parameters.pop(s.name, None) for s in self.update_map.data)
        given = data if any(a is not None for a in data) else None
        named = dict(zip(names, state, strict=True))
        lanes = lanes_of(self.update_map, named, parameters, given, self.dtype)
        new = self._step_lanes(lanes)
        scalars = not lanes.shape and not self.update_map.is_matrix
        shaped = (a.reshape((*lanes.shape, *a.shape[1:])) for a in new)
        return self._tuple(*(a.item() if scalars else a for a in shaped))

    def _step_lanes(self, lanes: Lanes) -> tuple[Any, ...]:
        with np.errstate(all="ignore"):
            new = self._arrays.step(*lanes.states, *self._spread(lanes), *lanes.data)
        return new if isinstance(new, tuple) else (new,)

    def _foreign_step(self, state: tuple[Any, ...], parameters: Mapping[str, Any]) -> Any:
        """One step on arrays of another library, left as they are."""
        order = [s.name for s in (*self.update_map.constants, *self.update_map.data)]
        for name in parameters:
            if name not in order:
                raise unknown_name("parameter", name, order)
        missing = [name for name in order if name not in parameters]
        if missing:
            raise InputError(f"missing parameter {', '.join(missing)}: give {missing[0]}=...")
        new = self._arrays.step(*state, *(parameters[name] for name in order))
        return self._tuple(*(new if isinstance(new, tuple) else (new,)))

    def _spread(self, lanes: Lanes) -> tuple[Any, ...]:
        """Return parameters so that they broadcast against matrices of the lanes."""
        if not self.update_map.is_matrix:
            return lanes.parameters
        return tuple(p[:, None, None] for p in lanes.parameters)

    def run(
        self,
        state: Mapping[str, Any],
        steps: int,
        *,
        data: Any = None,
        threads: int | None = None,
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
        **parameters : number or array

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
        """
        count = checked_steps(steps)
        lanes = lanes_of(self.update_map, state, parameters, data, self.dtype)
        if self.backend == "array":
            return self._packed(lanes, self._run_arrays(lanes, count))
        work = self._run_matrices if self.update_map.is_matrix else self._run_scalars
        return self._packed(lanes, work(lanes, count, threads))

    def _packed(self, lanes: Lanes, parts: tuple[Any, ...]) -> RunResult:
        states = parts[: len(lanes.states)]
        names = [s.name for s in self.update_map.variables]
        shaped = {
            name: a.reshape((*lanes.shape, *a.shape[1:]))
            for name, a in zip(names, states, strict=True)
        }
        rest = (a.reshape(lanes.shape) for a in parts[len(lanes.states) :])
        return RunResult(shaped, *rest)

    def _run_scalars(self, lanes: Lanes, steps: int, threads: int | None) -> tuple[Any, ...]:
        states = tuple(np.empty_like(a) for a in lanes.states)
        outcome = _outcome_buffers(lanes.count, self.dtype)
        inputs = (*lanes.states, *lanes.parameters)

        def portion(low: int, high: int) -> None:
            self._compiled.run(low, high, steps, *inputs, *states, *outcome)

        _in_threads(portion, lanes.count, threads, LANES_PER_CHUNK)
        return (*states, *outcome)

    def _run_matrices(self, lanes: Lanes, steps: int, threads: int | None) -> tuple[Any, ...]:
        states = tuple(np.empty_like(a) for a in lanes.states)
        outcome = _outcome_buffers(lanes.count, self.dtype)
        kept = tuple(np.empty((0, *a.shape[1:]), a.dtype) for a in lanes.states)

        def portion(low: int, high: int) -> None:
            for i in range(low, high):
                *new, loss, peak, peak_step, status, at = self._lane(lanes, i, steps, 1, kept)
                for target, value in zip(states, new, strict=True):
                    target[i] = value
                for buffer, value in zip(outcome, (loss, peak, peak_step, status, at), strict=True):
                    buffer[i] = value

        _in_threads(portion, lanes.count, threads, 1)
        return (*states, *outcome)

    def _lane(self, lanes: Lanes, i: int, steps: int, every: int, kept: Any) -> Any:
        own = (*(a[i] for a in lanes.states), *(p[i] for p in lanes.parameters), *lanes.data)
        return self._compiled.run(steps, every, *own, *kept)

    def _run_arrays(self, lanes: Lanes, steps: int) -> tuple[Any, ...]:
        peak = peak_step = at = None
        for t, (state, code, loss) in enumerate(self._orbit(lanes, steps)):
            if peak is None:
                peak, peak_step, at = (
                    loss,
                    np.zeros(loss.shape, np.int64),
                    np.full(loss.shape, steps),
                )
            with np.errstate(all="ignore"):
                higher = loss > peak
            peak, peak_step = np.where(higher, loss, peak), np.where(higher, t, peak_step)
            at = np.where((code != 0) & (at > t), t, at)
            if (code != 0).all():
                break
        loss = np.where(code == 3, np.nan, loss)
        parts = (loss, peak, peak_step, code, at)
        return (*state, *(np.asarray(p).reshape(lanes.count) for p in parts))

    def _orbit(self, lanes: Lanes, steps: int) -> Iterable[Any]:
        start = tuple(lanes.states)
        given = (*self._spread(lanes), *lanes.data)
        with np.errstate(all="ignore"):
            yield from self._arrays.orbit(steps, start, given)

    def trajectory(
        self,
        state: Mapping[str, Any],
        steps: int,
        *,
        every: int = 1,
        out: Mapping[str, Any] | None = None,
        data: Any = None,
        observables: Iterable[str] = (),
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
        observables : iterable of str
            Names of observables to add.

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
        count, stride = checked_steps(steps), checked_steps(every, "every", 1)
        lanes = lanes_of(self.update_map, state, parameters, data, self.dtype)
        rows = count // stride + 1
        kept = self._kept(lanes, count, stride, rows, threads)
        names = [s.name for s in self.update_map.variables]
        result = {
            name: a.reshape((rows, *lanes.shape, *a.shape[2:]))
            for name, a in zip(names, kept, strict=True)
        }
        for name in observables:
            if name not in result:
                result[name] = self._observed(name, lanes, kept).reshape(rows, *lanes.shape)
        return result if out is None else _filled(out, result)

    def _kept(
        self, lanes: Lanes, steps: int, every: int, rows: int, threads: int | None
    ) -> tuple[Any, ...]:
        kept = tuple(np.empty((rows, *a.shape), a.dtype) for a in lanes.states)
        if self.backend == "array":
            for t, (state, _, _) in enumerate(self._orbit(lanes, steps)):
                if t % every == 0:
                    for buffer, value in zip(kept, state, strict=True):
                        buffer[t // every] = value
            return kept
        if self.update_map.is_matrix:

            def portion(low: int, high: int) -> None:
                for i in range(low, high):
                    own = tuple(np.empty((rows, *a.shape[1:]), a.dtype) for a in lanes.states)
                    self._lane(lanes, i, steps, every, own)
                    for buffer, value in zip(kept, own, strict=True):
                        buffer[:, i] = value

            _in_threads(portion, lanes.count, threads, 1)
            return kept
        whole = np.empty((len(kept), rows, lanes.count), np.dtype(self.dtype))
        inputs = (*lanes.states, *lanes.parameters)

        def scalars(low: int, high: int) -> None:
            self._compiled.trajectory(low, high, steps, every, *inputs, whole)

        _in_threads(scalars, lanes.count, threads, LANES_PER_CHUNK)
        return tuple(whole)

    def _observed(self, name: str, lanes: Lanes, kept: tuple[Any, ...]) -> Any:
        """Return an observable at the kept steps, of shape (rows, lanes)."""
        if name not in self.update_map.observables:
            raise unknown_name("observable", name, self.update_map.observables)
        given = (*self._spread(lanes), *lanes.data)
        rows = kept[0].shape[0]
        if isinstance(self.update_map.observables[name], TopEigenvalue):
            return self._eigenvalues(lanes, kept)
        function = getattr(self._arrays, f"observe_{name}")
        with np.errstate(all="ignore"):
            if self.update_map.is_matrix:
                values = [function(*(a[t] for a in kept), *given) for t in range(rows)]
                return np.array(values).reshape(rows, lanes.count)
            return np.broadcast_to(np.asarray(function(*kept, *given)), (rows, lanes.count)).copy()

    def _eigenvalues(self, lanes: Lanes, kept: tuple[Any, ...]) -> Any:
        rows, shape = kept[0].shape[0], lanes.data[1].shape
        values = np.full((rows, lanes.count), np.nan)
        for t in range(rows):
            for i in range(lanes.count):
                own = (*(a[t, i] for a in kept), *(p[i] for p in lanes.parameters), *lanes.data)
                if all(np.isfinite(a).all() for a in own):
                    values[t, i] = top_eigenvalue(
                        lambda r, own=own: self._arrays.kernel_action(*own, r), shape
                    )
        return values


def _outcome_buffers(count: int, dtype: str) -> tuple[Any, ...]:
    """Return buffers for loss, peak, its step, status and its step."""
    real = (np.empty(count, dtype), np.empty(count, dtype))
    return (*real, *(np.empty(count, np.int64) for _ in range(3)))


def _is_foreign(value: Any) -> bool:
    return hasattr(value, "__array_namespace__") and not isinstance(value, (np.ndarray, np.generic))


def _filled(out: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    for name, values in result.items():
        buffer = out.get(name)
        if not isinstance(buffer, np.ndarray) or buffer.shape != values.shape:
            raise InputError(f"out[{name!r}] must be an array of shape {values.shape}")
        if not buffer.flags.writeable:
            raise InputError(f"out[{name!r}] is read-only: give an array that can be written")
        buffer[...] = values
    return dict(out)


def _in_threads(
    portion: Callable[[int, int], None], count: int, threads: int | None, chunk: int
) -> None:
    """Work through the lanes in chunks, on several threads, BLAS single-threaded inside."""
    from threadpoolctl import threadpool_limits

    workers = checked_steps(threads, "threads", 1) if threads is not None else os.cpu_count() or 1
    bounds = [(i, min(i + chunk, count)) for i in range(0, count, chunk)]
    with threadpool_limits(1, user_api="blas"):
        if workers == 1 or len(bounds) <= 1:
            for low, high in bounds:
                portion(low, high)
            return
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda b: portion(*b), bounds))


def compile(update_map: Any, backend: str = "auto", dtype: str = "float64") -> Kernel:
    """Compile an update map.

    Parameters
    ----------
    update_map : UpdateMap
    backend : str
        "array" (any array-API library), "numba", or "auto": Numba where it is installed.
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
    if backend not in (*BACKENDS, "auto"):
        raise unknown_name("backend", backend, (*BACKENDS, "auto"))
    if str(dtype) not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    installed = importlib.util.find_spec("numba") is not None
    if backend == "auto":
        backend = "numba" if installed else "array"
    if backend == "numba" and not installed:
        raise MissingBackend("the numba backend needs Numba: pip install numba")
    return Kernel(update_map, backend, str(dtype))
