"""The result of a run as a labelled data set: named dimensions, units, provenance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from catapult_theory.codegen.grid import Array
from catapult_theory.codegen.labels import describe, describe_start, fingerprint, flags, provenance
from catapult_theory.codegen.run_job import OUTCOMES, Job, Part
from catapult_theory.codegen.status import Status


def labelled(job: Job, values: Part, along: Mapping[str, Array], **settings: int) -> xr.Dataset:
    """Return the results of a job with names for everything.

    Parameters
    ----------
    job : Job
    values : dict of str to array
        From `collected`: flat lanes.
    along : mapping
        Leading dimensions of an orbit with their coordinates: ``{"step": ...}`` or empty.
    **settings : int
        Further attributes.

    Returns
    -------
    xarray.Dataset
    """
    lanes, core = job.lanes, job.core
    definitions = {s.name: job.update_map.gram.get(s) for s in job.update_map.variables}
    steps = tuple(len(c) for c in along.values())
    variables = {}
    for name, array in values.items():
        inner = core.get(name, ())
        own = array.shape[array.ndim - len(inner) :]
        leading, lengths = ((), ()) if name in OUTCOMES else (tuple(along), steps)
        attrs = flags(Status) if name == "status" else describe(name, definitions.get(name))
        shaped = array.reshape((*lengths, *lanes.shape, *own))
        variables[name] = ((*leading, *lanes.dims, *inner), shaped, attrs)
    coords = {name: ((name,), c, describe(name)) for name, c in along.items()}
    coords |= {name: _coordinate(job, name, c) for name, c in lanes.coords.items()}
    return xr.Dataset(variables, coords, {**_attributes(job), **settings})


def _coordinate(job: Job, name: str, values: xr.Variable) -> tuple[Any, Any, dict[str, Any]]:
    state = name.removesuffix("_0")
    if name != state and state in job.states:
        return values.dims, values.values, describe_start(state)
    return values.dims, values.values, {**describe(name), **values.attrs}


def _attributes(job: Job) -> dict[str, Any]:
    attrs = provenance(job.update_map, job.kernel.backend, job.dtype)
    attrs |= {"steps": job.steps, "start": job.start.description}
    if job.start.seeds:
        attrs["seeds"] = job.start.seeds
    attrs |= {f"schedule_of_{name}": str(s) for name, s in job.schedules.items()}
    if job.data:
        attrs["data"] = fingerprint(job.data)
    return attrs
