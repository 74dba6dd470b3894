"""Stages of the report that hold the theory against trained networks.

Each computes, saves what it made, and returns a section of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr

from catapult_theory.codegen.kernel import compile as compile_map
from catapult_theory.networks.images import digits
from catapult_theory.report import figures
from catapult_theory.report.maps import maps
from catapult_theory.report.section import Section, Settings, Table
from catapult_theory.report.style import save
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.update_map import UpdateMap
from catapult_theory.validation.boundary import BoundaryResult, digits_boundary
from catapult_theory.validation.controls import with_wrong_coefficient
from catapult_theory.validation.exactness import ORBIT_TOLERANCE, exactness
from catapult_theory.validation.train import train
from catapult_theory.validation.width_scaling import ScalingResult, Slope, width_scaling

Progress = Callable[[int, int], None]

WIDTH = 256
STEPS = 200
PHASES = {"lazy": 1.5, "catapult": 3.0}


def exactness_stage(settings: Settings, progress: Progress) -> Section:
    """Hold the theory against networks trained by brute force."""
    cases = _cases(settings.quick)
    names = list(cases)
    found = []
    for i, arguments in enumerate(cases.values()):
        found.append(exactness(**{"n": WIDTH, "seed": settings.seed, **arguments}))
        progress(i + 1, len(cases) + 2)
    summary = xr.Dataset(
        {
            "error": ("case", [r.worst for r in found]),
            "control": ("case", [r.worst_control for r in found]),
            "tolerance": ("case", [r.tolerance for r in found]),
        },
        {"case": names},
    )
    summary.to_netcdf(settings.data / "exactness.nc", engine="h5netcdf")
    save(figures.exactness(summary), settings.figures, "exactness")
    courses = _courses(settings, lambda i: progress(len(cases) + i, len(cases) + 2))
    courses.to_netcdf(settings.data / "error_against_step.nc", engine="h5netcdf")
    save(figures.courses(courses), settings.figures, "error_against_step")
    rows = tuple(
        (name, f"{r.worst:.1e}", f"{r.tolerance:.0e}", f"{r.worst_control:.1e}", _word(r.passed))
        for name, r in zip(names, found, strict=True)
    )
    columns = ("network", "largest error", "tolerance", "wrong coefficient", "verdict")
    return Section(
        "Exactness against trained networks",
        f"Networks of width {WIDTH} are trained for {STEPS} steps by code that shares no formula "
        "with the theory, which starts from the same parameters. Errors are measured against the "
        "running maximum of each variable. The control is the same map with one coefficient "
        "changed: it must fail.",
        figures=(
            ("error_against_step", "Error of outputs, kernel or Gram blocks against the step"),
            ("exactness", "Largest error over all variables and steps"),
        ),
        tables=(Table("Theory against brute force", columns, rows),),
    )


def _cases(quick: bool) -> dict[str, dict[str, Any]]:
    """Return the comparisons by name, as arguments of `exactness`."""
    one = {"model": models.linear(inputs=64), "data": digits(samples=256)}
    ten = {
        "model": models.linear(inputs=64, outputs=10),
        "data": digits(samples=256, protocol="classes"),
    }
    cases: dict[str, dict[str, Any]] = {
        "uv, catapult": {"eta_lam0": 3.0},
        "uv, heavy ball 0.9": {"optimizer": "heavy_ball", "beta": 0.9},
        "digits, k = 1, catapult": {**one, "eta_lam0": 3.0},
    }
    if quick:
        return cases
    return cases | {
        "uv, lazy": {"eta_lam0": 1.5},
        "uv, logistic, label 1": {"model": models.uv(label=1), "loss": "logistic"},
        "digits, k = 10, softmax": {**ten, "loss": "softmax_cross_entropy"},
        "digits, k = 10, weight decay": {**ten, "optimizer": "weight_decay", "omega": 0.01},
    }


def _word(passed: bool) -> str:
    return "holds" if passed else "FAILS"


def _courses(settings: Settings, progress: Callable[[int], None]) -> xr.Dataset:
    """Return errors against the step for the uv-model and digits, lazy and catapult."""
    samples = 128 if settings.quick else 256
    linear = models.linear(inputs=64)
    found = [*_course("uv-model", models.uv(), maps()["uv-model"], None, settings.seed)]
    progress(1)
    found += _course("digits", linear, derive(linear), digits(samples), settings.seed)
    progress(2)
    joined = xr.concat(found, "case", coords="minimal", data_vars="all")
    joined.attrs = {"tolerance": ORBIT_TOLERANCE, "n": WIDTH, "seed": settings.seed}
    return joined


def _course(
    name: str, model: Any, update_map: UpdateMap, data: Any, seed: int
) -> Iterator[xr.Dataset]:
    """Yield the error at each step, of the theory and of its control, for two learning rates."""
    first = train(model, data, n=WIDTH, eta=1.0, steps=0, seed=seed, observables="lam")
    rates = np.array(list(PHASES.values())) / first.lam.item()
    networks = train(model, data, n=WIDTH, eta=rates, steps=STEPS, seed=seed)
    both = {"error": update_map, "control": with_wrong_coefficient(update_map)}
    for i, (phase, eta_lam0) in enumerate(PHASES.items()):
        one = networks.isel(eta=i)
        raw = [one[s.name].values for s in update_map.variables]
        start = [values[0] for values in raw]
        errors = {k: _distance(_orbit(m, start, rates[i], data), raw) for k, m in both.items()}
        title = rf"{name}, {phase}, $\eta\lambda_0={eta_lam0:g}$"
        variables: dict[str, Any] = {k: ("step", v) for k, v in errors.items()}
        found = xr.Dataset({**variables, "eta": rates[i]}, {"step": np.arange(STEPS + 1)})
        yield found.expand_dims(case=[title])


def _orbit(update_map: UpdateMap, start: list[Any], eta: float, data: Any) -> list[Any]:
    """Return the states along an orbit, steps first; runs would stop where it converges."""
    step = compile_map(update_map, "array").step
    arrays = {} if data is None else dict(zip(("X", "Y"), data, strict=True))
    rows = [tuple(start)]
    for _ in range(STEPS):
        rows.append(tuple(step(*rows[-1], eta=eta, n=float(WIDTH), **arrays)))
    return [np.array(values) for values in zip(*rows, strict=True)]


def _distance(theory: list[Any], network: list[Any]) -> Any:
    """Return the largest error of any state variable at each step, over its running maximum."""
    worst = np.zeros(STEPS + 1)
    for state, raw in zip(theory, network, strict=True):
        flat = raw.reshape(STEPS + 1, -1)
        error = np.abs(state.reshape(STEPS + 1, -1) - flat).max(axis=1)
        worst = np.maximum(worst, error / np.maximum.accumulate(np.abs(flat).max(axis=1)))
    return worst


def scaling_stage(settings: Settings, progress: Progress) -> Section:
    """Measure how finite networks approach the infinite-width prediction."""
    result = width_scaling("uv", seeds=20 if settings.quick else 100)
    dataset = _scaling_dataset(result)
    dataset.to_netcdf(settings.data / "width_scaling.nc", engine="h5netcdf")
    save(figures.scaling(dataset), settings.figures, "width_scaling")
    progress(1, 1)
    rows = tuple(
        (name, str(slope), _told(result.control[name], result.expected), f"{result.expected:g}")
        for name, slope in result.slopes.items()
    )
    columns = ("variable", "slope in n", "slope with a wrong coefficient", "expected")
    return Section(
        "Approach to infinite width",
        "The distance between trained networks and the infinite-width dynamics from the same "
        "start falls as a power of the width; the slope is fitted with its confidence interval. "
        "A wrong coefficient that enters a variable at order 1/n alone does not show in its slope.",
        figures=(("width_scaling", "Median and quartiles over starts, and the fitted power"),),
        tables=(Table("Slope of the distance", columns, rows),),
    )


def _told(control: Slope, expected: float) -> str:
    return f"{control}, the same" if control.contains(expected) else str(control)


def _scaling_dataset(result: ScalingResult) -> xr.Dataset:
    variables = {}
    for name, distance in result.distance.items():
        slope = result.slopes[name]
        attributes = {"slope": slope.value, "low": slope.low, "high": slope.high}
        variables[name] = (("n", "seed"), distance, attributes)
    coords = {"n": np.asarray(result.widths, dtype=float), "seed": np.arange(result.seeds)}
    return xr.Dataset(variables, coords, {"model": result.model, "expected": result.expected})


def boundary_stage(settings: Settings, progress: Progress) -> Section:
    """Locate the first diverging learning rate on handwritten digits."""
    count = 4 if settings.quick else 20
    result = digits_boundary(
        widths=(256, 10**6) if settings.quick else (256, 4096, 10**6, 10**10),
        seeds=range(settings.seed, settings.seed + count),
        steps=300 if settings.quick else 2000,
        tolerance=0.1 if settings.quick else 0.025,
        threads=settings.threads,
        progress=progress,
    )
    dataset = result.to_dataset()
    dataset.to_netcdf(settings.data / "digits_boundary.nc", engine="h5netcdf")
    save(figures.boundary(dataset), settings.figures, "digits_boundary")
    columns = ("width", "median", "quartiles", "range")
    return Section(
        "The boundary on handwritten digits",
        "The first diverging ηλ₀ of the two-layer linear network on 256 digits "
        f"({count} random starts at each width, {result.steps} steps), by bisection of exact "
        "runs. It is measured: for several samples ηλ₀ < 4 is not a theorem.",
        figures=(("digits_boundary", "First diverging ηλ₀ against the width"),),
        tables=(Table("First diverging ηλ₀", columns, _boundary_rows(result)),),
    )


def _boundary_rows(result: BoundaryResult) -> tuple[tuple[str, ...], ...]:
    first, last = result.quartiles
    return tuple(
        (
            f"{width:,}".replace(",", " "),
            f"{result.median[i]:.3f}",
            f"{first[i]:.3f} to {last[i]:.3f}",
            f"{result.middle[i].min():.3f} to {result.middle[i].max():.3f}",
        )
        for i, width in enumerate(result.widths)
    )
