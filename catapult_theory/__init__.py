"""Exact training dynamics of solvable networks: derive, compile, run, validate, verify.

``import catapult_theory as ct``; names are loaded when they are first used, so that the
import itself pulls in neither Numba nor SymPy.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catapult_theory import testing
    from catapult_theory.codegen.grid import grid
    from catapult_theory.codegen.kernel import Kernel, compile
    from catapult_theory.codegen.reference import divergence, reference
    from catapult_theory.codegen.run import run, trajectory
    from catapult_theory.codegen.status import Status
    from catapult_theory.errors import (
        CatapultError,
        ClaimError,
        DomainError,
        InputError,
        MissingBackend,
        ModelError,
        NotClosed,
        OutputError,
    )
    from catapult_theory.networks.datasets import Dataset, one_hot
    from catapult_theory.networks.datasets import load as load_data
    from catapult_theory.networks.images import digits, fashion_mnist, images, mnist, photographs
    from catapult_theory.networks.spectra import Spectra, spectra
    from catapult_theory.networks.starts import gaussian_start
    from catapult_theory.phases.bounds import phase_bounds
    from catapult_theory.phases.classification import Behaviour, classify
    from catapult_theory.phases.final_curvature import final_curvature_band
    from catapult_theory.phases.measure import measure_edge
    from catapult_theory.phases.phase_plane import phase_plane
    from catapult_theory.phases.predict import PredictedPhase, predict_phase
    from catapult_theory.report.probe_figure import probe_figure
    from catapult_theory.rigor import (
        ClaimsReport,
        Falsification,
        Proof,
        Verdict,
        falsify,
        prove,
        verify,
        verify_file,
    )
    from catapult_theory.rigor.certified.certificate_check import check_file as check_phase_map
    from catapult_theory.rigor.certified.phase_map import PhaseMap
    from catapult_theory.rigor.certified.search import certify
    from catapult_theory.rigor.statements.registry import check_statements, statements
    from catapult_theory.rigor.statements.statement import Statement
    from catapult_theory.symbolic import losses, models, optimizers, schedules
    from catapult_theory.symbolic.analysis import Analysis, analyse
    from catapult_theory.symbolic.closure import derive
    from catapult_theory.symbolic.losses import Loss
    from catapult_theory.symbolic.model import Model
    from catapult_theory.symbolic.optimizers import Optimizer
    from catapult_theory.symbolic.sign_units import first_flip, unit_start, watch_signs
    from catapult_theory.symbolic.symbols import (
        data,
        diagonal,
        matrix,
        n,
        pointwise,
        relu,
        sqrt,
        symbol,
        vectors,
    )
    from catapult_theory.symbolic.update_map import UpdateMap
    from catapult_theory.validation import (
        ProbeResult,
        closures,
        digits_boundary,
        error_parts,
        exactness,
        limit_curves,
        probe,
        thresholds,
        train,
        validate,
    )

_HOMES = {
    "codegen.grid": ("grid",),
    "codegen.kernel": ("Kernel", "compile"),
    "codegen.reference": ("divergence", "reference"),
    "codegen.run": ("run", "trajectory"),
    "codegen.status": ("Status",),
    "errors": (
        *("CatapultError", "ClaimError", "DomainError", "InputError", "MissingBackend"),
        *("ModelError", "NotClosed", "OutputError"),
    ),
    "networks.datasets": ("Dataset", "one_hot"),
    "networks.images": ("digits", "fashion_mnist", "images", "mnist", "photographs"),
    "networks.spectra": ("Spectra", "spectra"),
    "networks.starts": ("gaussian_start",),
    "phases.bounds": ("phase_bounds",),
    "phases.classification": ("Behaviour", "classify"),
    "phases.final_curvature": ("final_curvature_band",),
    "phases.measure": ("measure_edge",),
    "phases.phase_plane": ("phase_plane",),
    "phases.predict": ("PredictedPhase", "predict_phase"),
    "report.probe_figure": ("probe_figure",),
    "rigor": (
        *("ClaimsReport", "Falsification", "Proof", "Verdict"),
        *("falsify", "prove", "verify", "verify_file"),
    ),
    "rigor.certified.search": ("certify",),
    "rigor.certified.phase_map": ("PhaseMap",),
    "rigor.statements.statement": ("Statement",),
    "rigor.statements.registry": ("check_statements", "statements"),
    "symbolic.analysis": ("Analysis", "analyse"),
    "symbolic.closure": ("derive",),
    "symbolic.losses": ("Loss",),
    "symbolic.model": ("Model",),
    "symbolic.optimizers": ("Optimizer",),
    "symbolic.sign_units": ("first_flip", "unit_start", "watch_signs"),
    "symbolic.symbols": (
        *("data", "diagonal", "matrix", "n", "pointwise", "relu", "sqrt", "symbol", "vectors"),
    ),
    "symbolic.update_map": ("UpdateMap",),
    "validation": (
        "ProbeResult",
        "closures",
        "digits_boundary",
        "error_parts",
        "exactness",
        "probe",
        "limit_curves",
        "thresholds",
        "train",
        "validate",
    ),
}
_PLACES = {name: (home, name) for home, names in _HOMES.items() for name in names}
_PLACES["load_data"] = ("networks.datasets", "load")
_PLACES["check_phase_map"] = ("rigor.certified.certificate_check", "check_file")
_MODULES = {name: f"symbolic.{name}" for name in ("losses", "models", "optimizers", "schedules")}
_MODULES["testing"] = "testing"

__all__ = [
    *_PLACES,
    *_MODULES,
]

try:
    __version__ = version("catapult-theory")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{_MODULES[name]}")
    if name in _PLACES:
        home, attribute = _PLACES[name]
        return getattr(import_module(f"{__name__}.{home}"), attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
