"""The stages of the main job: each computes, saves its data and figures, and returns a section."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from catapult_theory.codegen.grid import grid
from catapult_theory.codegen.kernel import compile as compile_map
from catapult_theory.codegen.run import run, trajectory
from catapult_theory.networks.datasets import digits
from catapult_theory.phases.bounds import phase_bounds
from catapult_theory.phases.classification import classify
from catapult_theory.phases.final_curvature import final_curvature_band
from catapult_theory.phases.phase_plane import phase_plane
from catapult_theory.report import figures
from catapult_theory.report.cells import render
from catapult_theory.report.section import Section, Settings, Table
from catapult_theory.report.style import save
from catapult_theory.rigor.verify import verify
from catapult_theory.symbolic import models
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.update_map import UpdateMap
from catapult_theory.validation.boundary import digits_boundary
from catapult_theory.validation.exactness import exactness
from catapult_theory.validation.width_scaling import width_scaling

Progress = Callable[[int, int], None]

DERIVATIONS = Path(__file__).parents[2] / "derivations"
START = {"f": 1.0, "lam": 2.0}
CLAIMS = (
    ("lambda' = lambda + eta*f**2/n*(eta*lambda - 4)", "uv", None),
    ("f' = f*(1 - eta*lambda)", "uv", None),
    ("lambda' <= lambda", "uv", "eta*lambda < 4"),
    ("lambda' <= lambda", "uv", "eta*lambda < 5"),
    ("Delta' = (1 - eta**2*f**2/n)*Delta", "uv", None),
    ("f' = f - eta*lambda*f + eta**2/n*f**3", "uv:label", None),
    ("f' = f - eta*lambda*f + eta**2/n*f**3", "uv:label", "y = 0"),
)


@cache
def maps() -> dict[str, UpdateMap]:
    """Return the update maps of the report by name."""
    return {
        "uv-model": derive(models.uv()),
        "uv-model with a label": derive(models.uv(label=True)),
        "uv-model, heavy ball": derive(models.uv(), optimizer="heavy_ball"),
        "two-layer linear network": derive(models.linear(outputs=None)),
        "two-layer linear network, softmax": derive(
            models.linear(outputs=None), "softmax_cross_entropy"
        ),
    }


def derivation_stage(settings: Settings, progress: Progress) -> Section:
    """Derive the update equations; save them as text, LaTeX and JSON."""
    found = maps()
    lines, listings = [], []
    for i, (name, update_map) in enumerate(found.items()):
        lines.append(f"{name}\n{'-' * len(name)}\n{update_map}\n")
        listings.append((f"derivation: {name}", update_map.derivation()))
        stem = name.replace(",", "").replace(" ", "-")
        (settings.data / f"{stem}.json").write_text(update_map.to_json())
        progress(i + 1, len(found))
    (settings.out / "equations.txt").write_text("\n".join(lines))
    uv = found["uv-model"]
    return Section(
        "Update equations",
        "Found by the closure engine from the outputs alone, exact at every width n. "
        "In dimensionless groups, which the engine finds from the scaling symmetries, the "
        "uv-model has no parameter left.",
        equations=(
            *(m.latex() for m in (uv, found["uv-model with a label"])),
            uv.dimensionless().latex(),
            found["two-layer linear network"].latex(),
        ),
        listings=tuple(listings),
    )


def kernel_stage(settings: Settings, progress: Progress) -> Section:
    """Emit kernels as standalone files and count their operations."""
    rows, listings = [], []
    todo = [(n, m, b) for n, m in maps().items() for b in ("numba", "array")]
    for i, (name, update_map, backend) in enumerate(todo):
        kernel = compile_map(update_map, backend)
        stem = f"{name.replace(',', '').replace(' ', '_').replace('-', '_')}_{backend}"
        (settings.kernels / f"{stem}.py").write_text(kernel.source)
        if backend == "numba":
            counts = " → ".join(f"{c} {p}" for p, c in kernel.operations.items())
            rows.append((name, counts))
            listings.append((f"kernel: {name} (Numba)", kernel.source))
        progress(i + 1, len(todo))
    table = Table("Operations of one step after each pass", ("model", "operations"), tuple(rows))
    text = "Each file in the folder kernels/ runs without this package."
    return Section("Kernels", text, tables=(table,), listings=tuple(listings))


def phase_stage(settings: Settings, progress: Progress) -> Section:
    """Run the uv-model through its three phases; the plane; the final curvature."""
    uv = derive(models.uv())
    labels = ("lazy", "catapult", "divergent")
    orbits = trajectory(uv, START, 60, **grid(eta=[0.3, 1.5, 2.25]), n=4096.0)
    orbits.to_netcdf(settings.data / "trajectories.nc", engine="h5netcdf")
    save(figures.trajectories(orbits, labels), settings.figures, "trajectories")
    progress(1, 3)
    starts = [(1.2, 0.1), (1.7, 0.5), (2.4, 2e-3), (3.0, 1e-3), (3.6, 1e-3), (4.3, 2e-3)]
    plane = phase_plane(uv, starts, steps=300)
    save(figures.phase_plane(plane), settings.figures, "phase_plane")
    progress(2, 3)
    final = _final_curvature(uv, settings)
    final.to_netcdf(settings.data / "final_curvature.nc", engine="h5netcdf")
    count = 10 if settings.quick else 32
    samples = 64 if settings.quick else 256
    bands = [
        final_curvature_band(uv, float(a), samples=samples) for a in np.linspace(2.1, 3.95, count)
    ]
    save(figures.final_curvature(final, bands), settings.figures, "final_curvature")
    progress(3, 3)
    bounds = str(phase_bounds(derive(models.uv(label=True))))
    return Section(
        "Phases of the uv-model",
        "Below ηλ₀ = 2 the loss falls; between 2 and 4 it first grows to the order of n and ends "
        "at a smaller curvature; above 4 it diverges.",
        figures=(
            ("trajectories", "Loss and ηλ against the step for n = 4096"),
            ("final_curvature", "Final λ/λ₀ against ηλ₀; the band is the limit of large n"),
            ("phase_plane", "The (a, b) plane: orbits, the domain, and where the loss falls"),
        ),
        listings=(("bounds of the labelled model", bounds),),
    )


def _final_curvature(uv: UpdateMap, settings: Settings) -> xr.Dataset:
    rates = np.linspace(0.1, 4.5, 89 if settings.quick else 353)
    axes = grid(eta_lam0=rates, n=[1e4, 1e8])
    given = {"eta": axes["eta_lam0"] / START["lam"], "n": axes["n"]}
    result = run(uv, START, 4000, threads=settings.threads, **given)
    return result.assign(ratio=result.lam / START["lam"], behaviour=classify(result))


def claim_stage(settings: Settings, progress: Progress) -> Section:
    """Judge claims, true and false ones."""
    rows = []
    for i, (claim, name, where) in enumerate(CLAIMS):
        model = models.uv(label=name.endswith("label"))
        verdict = verify(claim, model, where=where)
        detail = verdict.counterexample or verdict.difference
        rows.append(
            (claim, name, where or "", verdict.status, "" if detail is None else str(detail))
        )
        progress(i + 1, len(CLAIMS))
    columns = ("claim", "model", "where", "verdict", "difference or counterexample")
    text = "Each claim about one training step is proved, refuted with numbers, or given its order."
    return Section("Claims", text, tables=(Table("Verdicts", columns, tuple(rows)),))


def exactness_stage(settings: Settings, progress: Progress) -> Section:
    """Hold the theory against networks trained by brute force."""
    parity, classes = digits(samples=256), digits(samples=256, protocol="classes")
    linear, ten = models.linear(inputs=64), models.linear(inputs=64, outputs=10)
    cases: list[tuple[str, dict[str, Any]]] = [
        ("uv, gd, ηλ₀ = 1.5", {"eta_lam0": 1.5}),
        ("uv, gd, ηλ₀ = 3", {"eta_lam0": 3.0}),
        ("uv, logistic, y = 1", {"model": models.uv(label=1), "loss": "logistic"}),
        ("uv, heavy ball 0.9", {"optimizer": "heavy_ball", "beta": 0.9}),
        ("digits k = 1, squared", {"model": linear, "data": parity, "eta_lam0": 1.5}),
        ("digits k = 1, catapult", {"model": linear, "data": parity, "eta_lam0": 3.0}),
        (
            "digits k = 10, softmax",
            {"model": ten, "data": classes, "loss": "softmax_cross_entropy", "eta_lam0": 1.5},
        ),
        (
            "digits k = 10, weight decay",
            {"model": ten, "data": classes, "optimizer": "weight_decay", "omega": 0.01},
        ),
    ]
    cases = cases[:6] if settings.quick else cases
    found = []
    for i, (_, arguments) in enumerate(cases):
        found.append(exactness(**{"n": 256, "seed": settings.seed, **arguments}))
        progress(i + 1, len(cases))
    names = [name for name, _ in cases]
    dataset = xr.Dataset(
        {
            "error": ("case", [r.worst for r in found]),
            "control": ("case", [r.worst_control for r in found]),
            "tolerance": ("case", [r.tolerance for r in found]),
        },
        {"case": names},
    )
    dataset.to_netcdf(settings.data / "exactness.nc", engine="h5netcdf")
    save(figures.exactness(dataset), settings.figures, "exactness")
    rows = tuple(
        (name, f"{r.worst:.1e}", f"{r.tolerance:.0e}", f"{r.worst_control:.1e}", _verdict(r.passed))
        for name, r in zip(names, found, strict=True)
    )
    columns = ("network", "largest error", "tolerance", "wrong coefficient", "verdict")
    return Section(
        "Exactness against trained networks",
        "The networks (width 256, 200 steps) are trained by code that shares no formula with the "
        "theory. The control is the same map with one coefficient changed; it must fail.",
        figures=(("exactness", "Largest error over all variables and steps"),),
        tables=(Table("Theory against brute force", columns, rows),),
    )


def _verdict(passed: bool) -> str:
    return "holds" if passed else "FAILS"


def scaling_stage(settings: Settings, progress: Progress) -> Section:
    """Measure how finite networks approach the infinite-width prediction."""
    seeds = range(settings.seed, settings.seed + (8 if settings.quick else 32))
    result = width_scaling(seeds=seeds)
    progress(1, 1)
    dataset = result.to_dataset()
    dataset.to_netcdf(settings.data / "width_scaling.nc", engine="h5netcdf")
    save(figures.scaling(dataset), settings.figures, "width_scaling")
    return Section(
        "Approach to infinite width",
        str(result),
        figures=(("width_scaling", "Deviation from the infinite-width prediction"),),
    )


def boundary_stage(settings: Settings, progress: Progress) -> Section:
    """Locate the first diverging learning rate on handwritten digits."""
    widths = (256, 10**6) if settings.quick else (256, 4096, 10**6, 10**10)
    count = 4 if settings.quick else 20
    result = digits_boundary(
        widths=widths,
        seeds=range(settings.seed, settings.seed + count),
        steps=500 if settings.quick else 2000,
        threads=settings.threads,
        progress=progress,
    )
    dataset = result.to_dataset()
    dataset.to_netcdf(settings.data / "digits_boundary.nc", engine="h5netcdf")
    save(figures.boundary(dataset), settings.figures, "digits_boundary")
    low, middle, high = dataset.boundary.quantile([0.25, 0.5, 0.75], "seed").values
    rows = tuple(
        (f"{w:,}", f"{m:.3f}", f"{a:.3f} to {b:.3f}")
        for w, m, a, b in zip(widths, middle, low, high, strict=True)
    )
    return Section(
        "The boundary on handwritten digits",
        "The first diverging ηλ₀ of a two-layer linear network on 256 digits, by bisection of "
        "exact runs from random starts. It is measured: ηλ₀ < 4 is not a theorem for several "
        "samples.",
        figures=(("digits_boundary", "First diverging ηλ₀ against the width"),),
        tables=(Table("First diverging ηλ₀", ("width", "median", "quartiles"), rows),),
    )


def text_stage(settings: Settings, progress: Progress) -> Section:
    """Run the derivation scripts and render them."""
    scripts = sorted(DERIVATIONS.glob("*.py"))
    if not scripts:
        return Section("Derivations", "The derivation scripts are not part of this installation.")
    parts = []
    for i, script in enumerate(scripts):
        title, html = render(script)
        parts.append(f"<details><summary>{title}</summary>{html}</details>")
        progress(i + 1, len(scripts))
    return Section("Derivations", "Run for this page.", html="\n".join(parts))


STAGES: tuple[tuple[str, Callable[[Settings, Progress], Section]], ...] = (
    ("derive", derivation_stage),
    ("compile", kernel_stage),
    ("phases", phase_stage),
    ("claims", claim_stage),
    ("exactness", exactness_stage),
    ("width scaling", scaling_stage),
    ("digits boundary", boundary_stage),
    ("derivations", text_stage),
)
