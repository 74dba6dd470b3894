"""Stages of the report about the theory alone: equations, kernels, phases, claims, derivations.

Each computes, saves what it made, and returns a section of the page.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from catapult_theory.codegen.grid import grid
from catapult_theory.codegen.kernel import compile as compile_map
from catapult_theory.codegen.run import run, trajectory
from catapult_theory.phases.bounds import phase_bounds
from catapult_theory.phases.classification import classify
from catapult_theory.phases.final_curvature import final_curvature_band
from catapult_theory.phases.phase_plane import phase_plane
from catapult_theory.report import figures
from catapult_theory.report.cells import render
from catapult_theory.report.maps import maps
from catapult_theory.report.section import Section, Settings, Table
from catapult_theory.report.style import save
from catapult_theory.rigor.claims.verify import verify
from catapult_theory.rigor.proofs.registry import STATEMENTS, Place, find_folder
from catapult_theory.symbolic import models
from catapult_theory.symbolic.update_map import UpdateMap

Progress = Callable[[int, int], None]

DERIVATIONS = Path(__file__).parents[2] / "derivations"
# The order of reading; scripts that are not named follow in the order of their names.
FIRST = ("closure_theorem", "uv_model", "labelled_uv_model", "linear_network")
NOT_CHECKED_HERE = (
    "The proofs about whole runs, as they are written for Coq. Making this page did not check "
    "them: catapult prove does."
)
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
            ("The uv-model:", uv.latex()),
            ("The same in its dimensionless groups:", uv.dimensionless().latex()),
            ("With a label y:", found["uv-model with a label"].latex()),
            ("The two-layer linear network:", found["two-layer linear network"].latex()),
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
            counts = " → ".join(f"{p} {c}" for p, c in kernel.operations.items())
            rows.append((name, counts))
            listings.append((f"kernel: {name} (Numba)", kernel.source))
        progress(i + 1, len(todo))
    table = Table("Operations of one step after each pass", ("model", "operations"), tuple(rows))
    text = "Each file in the folder kernels/ runs without this package."
    return Section("Kernels", text, tables=(table,), listings=tuple(listings))


def phase_stage(settings: Settings, progress: Progress) -> Section:
    """Run the uv-model through its three phases; the plane; the final curvature."""
    uv = maps()["uv-model"]
    labels = ("lazy", "catapult", "divergent")
    three: dict[str, Any] = grid(eta=[0.3, 1.5, 2.25])
    orbits = trajectory(uv, START, 60, n=4096.0, **three)
    orbits.to_netcdf(settings.data / "trajectories.nc", engine="h5netcdf")
    save(figures.trajectories(orbits, labels), settings.figures, "trajectories")
    progress(1, 3)
    starts = [(1.2, 0.1), (1.7, 0.5), (2.4, 2e-3), (3.0, 1e-3), (3.6, 1e-3), (4.3, 2e-3)]
    plane = phase_plane(uv, starts, steps=300)
    save(figures.phase_plane(plane), settings.figures, "phase_plane")
    progress(2, 3)
    final = _final_curvature(uv, settings)
    final.to_netcdf(settings.data / "final_curvature.nc", engine="h5netcdf")
    count = 16 if settings.quick else 48
    samples = 64 if settings.quick else 256
    bands = [
        final_curvature_band(uv, float(a), samples=samples) for a in np.linspace(2.1, 3.95, count)
    ]
    save(figures.final_curvature(final, bands), settings.figures, "final_curvature")
    progress(3, 3)
    bounds = str(phase_bounds(maps()["uv-model with a label"]))
    return Section(
        "Phases of the uv-model",
        "Below ηλ₀ = 2 the loss falls; between 2 and 4 it first grows to the order of n and ends "
        "at a smaller curvature; above 4 it diverges.",
        figures=(
            ("trajectories", "Loss and ηλ against the step for n = 4096"),
            ("final_curvature", "Final λ/λ₀ of converged runs against ηλ₀; the band is n → ∞"),
            ("phase_plane", "The (a, b) plane: orbits, the domain, and where the loss falls"),
        ),
        listings=(("bounds of the labelled model", bounds),),
    )


def _final_curvature(uv: UpdateMap, settings: Settings) -> xr.Dataset:
    rates = np.linspace(0.1, 4.5, 89 if settings.quick else 353)
    axes = grid(eta_lam0=rates, n=[1e4, 1e8])
    given: dict[str, Any] = {"eta": axes["eta_lam0"] / START["lam"], "n": axes["n"]}
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
    columns = ("claim", "model", "where", "verdict", "difference, margin or counterexample")
    text = (
        "Each claim about one training step is decided by exact algebra, refuted with numbers "
        "that can be checked by hand, or given its order in 1/n."
    )
    return Section("Claims", text, tables=(Table("Verdicts", columns, tuple(rows)),))


def text_stage(settings: Settings, progress: Progress) -> Section:
    """Run the derivation scripts, two at a time, and render them; show the proofs beside them."""
    scripts = sorted(DERIVATIONS.glob("*.py"), key=_reading_order)
    if settings.quick:
        return Section("Derivations", "Left out of a quick report: the full one runs them.")
    if not scripts:
        text = "The derivation scripts are not part of this installation."
        return Section("Derivations", text, html=_proofs())
    parts = []
    with ThreadPoolExecutor(max_workers=settings.threads or 2) as pool:
        for i, (title, html) in enumerate(pool.map(render, scripts)):
            parts.append(f"<details><summary>{title}</summary>{html}</details>")
            progress(i + 1, len(scripts))
    text = "Each is a script of the folder derivations/, run for this page; its checks passed."
    return Section("Derivations", text, html="\n".join([*parts, _proofs()]))


def _proofs() -> str:
    """Return the Coq files as HTML, each under its name and the statements that it proves."""
    folder = find_folder()
    if folder is None:
        return ""
    parts = [f"<p>{NOT_CHECKED_HERE}</p>"]
    for file in sorted(folder.glob("*.v")):
        text = escape(file.read_text())
        title = _proof_title(file.stem)
        parts.append(f"<details><summary>{title}</summary><pre>{text}</pre></details>")
    return "\n".join(parts)


def _proof_title(file: str) -> str:
    placed = [name for name, p in STATEMENTS.items() if isinstance(p, Place) and p.file == file]
    return f"proof: {file}.v ({', '.join(placed) or 'lemmas'})"


def _reading_order(script: Path) -> tuple[int, str]:
    return (FIRST.index(script.stem) if script.stem in FIRST else len(FIRST), script.stem)
