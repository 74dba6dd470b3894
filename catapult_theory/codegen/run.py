"""Runs of an update map: labelled arguments in, a labelled data set out.

Every argument is checked before a step is taken, so that a mistake costs no work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from catapult_theory.codegen import run_checks as checks
from catapult_theory.codegen.driven import DRIVEN_BACKEND, check_backend, is_driven
from catapult_theory.codegen.grid import grid
from catapult_theory.codegen.run_domain import check_domain
from catapult_theory.codegen.run_job import (
    OUTCOMES,
    Job,
    Progress,
    collected,
    final_part,
    orbit_part,
    prepared,
)
from catapult_theory.codegen.run_result import labelled
from catapult_theory.codegen.run_start import started
from catapult_theory.symbolic.schedules import peaks_and_schedules
from catapult_theory.symbolic.update_map import UpdateMap

__all__ = ["grid", "run", "trajectory"]


def run(
    update_map: UpdateMap,
    start: Any,
    steps: int,
    backend: str = "auto",
    data: Any = None,
    observables: Iterable[str] | str = (),
    dtype: str = "float64",
    threads: int | None = None,
    progress: Progress | None = None,
    **parameters: Any,
) -> xr.Dataset:
    """Return the state after training, with the outcome of every run.

    Iterates x_{t+1} = F(x_t; parameters) for all lanes at once. A lane is decided when it
    has converged or diverged (theory, section 1); it is frozen from then on.

    Plain arrays broadcast against each other and keep their shape (dimensions ``dim_0``, ...);
    a 1-d array given for one parameter alone makes a dimension of that name. Labelled arrays
    (`xarray.DataArray`, or `grid` for an outer product) bring their own dimensions.

    Parameters
    ----------
    update_map : UpdateMap
        From `derive`.
    start : mapping, xarray.Dataset or start law
        State values by name (numbers, arrays, or labelled arrays; matrices with any lane
        dimensions in front), the result of an earlier run, or a law such as
        ``gaussian_start(seeds=range(20))``: several seeds make a dimension ``seed``.
        Velocities that are left out start at zero. From an earlier result lanes go on
        afresh: maxima and outcomes are those of the new run.
    steps : int
        Number of training steps, zero or more.
    backend : str
        "auto" is resolved from the map and what is installed, and recorded.
    data : pair (X, y), or object with attributes X and Y
        For matrix maps: X of shape (m, d), y of shape (m,) or (m, k).
    observables : iterable of str
        Further quantities at the final state: names of ``update_map.observables`` (``"lam"``
        of a matrix map is found matrix-free) or of carried quantities.
    dtype : str
        "float64" or "float32".
    threads : int, optional
        The result does not depend on it.
    progress : callable, optional
        Called as ``progress(done, total)`` in lanes, about once a second.
    **parameters : number, array, xarray.DataArray or Schedule
        Every parameter of the map: learning rate ``eta``, width ``n``, ... (dimensionless).
        One of `ct.schedules` changes it from step to step ("auto" is then "array"); its peak
        labels the lanes.

    Returns
    -------
    xarray.Dataset
        Over the lanes: the state, ``loss``, ``lam`` (where cheap), the observables,
        ``status``, ``status_step``, ``loss_start``, ``peak_loss``, ``peak_step``.
        Parameters and scalar starts (``f_0``) are coordinates; attributes say how to obtain
        it again.

    Raises
    ------
    InputError
        For anything that cannot be run, before it begins.
    DomainError
        If a lane starts where no network can be, such as |f| > sqrt(n) lam / 2.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> uv = ct.derive(ct.models.uv())
    >>> ds = ct.run(uv, start={"f": 1.0, "lam": 2.0}, steps=500, eta=[0.5, 1.5, 2.5], n=1024)
    >>> ds.status.dims, ds.status.values.tolist()
    (('eta',), [1, 1, 2])
    """
    job = _checked(update_map, start, steps, backend, data, observables, dtype, threads, parameters)
    required = job.lanes.count * (job.bytes_kept() + job.bytes_of_outcome())
    checks.check_memory(required, "the result", "run fewer lanes at a time")
    return labelled(job, collected(job, progress, final_part), {})


def trajectory(
    update_map: UpdateMap,
    start: Any,
    steps: int,
    backend: str = "auto",
    data: Any = None,
    observables: Iterable[str] | str = (),
    dtype: str = "float64",
    threads: int | None = None,
    progress: Progress | None = None,
    every: int = 1,
    **parameters: Any,
) -> xr.Dataset:
    """Return the state at every step (or every so many), with the outcome of every run.

    The same orbits as `run`, kept at steps 0, ``every``, 2 ``every``, ...

    Parameters
    ----------
    update_map, start, steps, backend, data, dtype, threads, progress, **parameters
        As for `run`.
    observables : iterable of str
        Further quantities at every kept step; ``"lam"`` of a matrix map is dear, which a
        larger ``every`` mends.
    every : int
        Distance of kept steps, at least 1.

    Returns
    -------
    xarray.Dataset
        As for `run`; the state, ``loss``, ``lam`` and the observables have the dimension
        ``step`` first, the outcomes one value a lane.

    Raises
    ------
    InputError
        For anything that cannot be run, or would not fit the memory.
    DomainError
        If a lane starts where no network can be.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> uv = ct.derive(ct.models.uv())
    >>> ds = ct.trajectory(uv, {"f": 1.0, "lam": 2.0}, 100, every=50, eta=1.5, n=1024)
    >>> ds.step.values.tolist(), ds.loss.dims
    ([0, 50, 100], ('step',))
    """
    distance = checks.whole_number("every", every, least=1)
    job = _checked(update_map, start, steps, backend, data, observables, dtype, threads, parameters)
    length = job.steps // distance + 1
    required = job.lanes.count * (length * job.bytes_kept() + job.bytes_of_outcome())
    checks.check_memory(
        required, "the trajectory", f"keep fewer steps with every= (now {distance})"
    )
    values = collected(job, progress, partial(orbit_part, every=distance))
    return labelled(job, values, {"step": distance * np.arange(length)}, every=distance)


def _checked(
    update_map: UpdateMap,
    start: Any,
    steps: int,
    backend: str,
    data: Any,
    observables: Iterable[str] | str,
    dtype: str,
    threads: int | None,
    parameters: Mapping[str, Any],
) -> Job:
    """Check every argument and bring it to lanes."""
    plain_map = checks.checked_map(update_map)
    count = checks.whole_number("steps", steps, least=0)
    names = checks.checked_observables(plain_map, observables)
    precision = checks.checked_dtype(dtype)
    if threads is not None:
        threads = checks.whole_number("threads", threads, least=1)
    checks.check_parameter_names(plain_map, parameters)
    driven = is_driven(plain_map, parameters)
    parameters, schedules = peaks_and_schedules(dict(parameters))
    checks.check_parameter_values(plain_map, parameters)
    arrays = checks.checked_data(plain_map, data)
    sizes = checks.bound_sizes(plain_map, arrays)
    carrying = plain_map.with_observables(*names)
    target = DRIVEN_BACKEND if driven and backend == "auto" else backend
    kernel = prepared(carrying, target, precision)
    check_backend(kernel.backend, carrying, schedules)
    states = {s.name for s in carrying.variables}
    cheap = () if carrying.is_matrix else ("lam",)
    shown = tuple(
        name
        for name in dict.fromkeys(("loss", *cheap, *names))
        if name in carrying.observables and name not in states
    )
    taken = frozenset({*states, *shown, *OUTCOMES, "step"})
    begin = started(carrying, start, parameters, sizes, taken)
    if not begin.drawn:
        check_domain(carrying, begin.lanes, precision, sizes)
    return Job(carrying, kernel, begin, count, arrays, sizes, shown, threads, precision, schedules)
