"""Theory against networks: brute-force training, exactness, scaling with width, boundaries."""

from catapult_theory.validation.bisection import (
    Bracket,
    bisect_boundary,
    first_boundary,
    scanned_boundary,
)
from catapult_theory.validation.boundary import BoundaryResult, digits_boundary, linear_boundary
from catapult_theory.validation.closures import Cell, ClosureTable, closure_cell, closures
from catapult_theory.validation.controls import with_wrong_coefficient
from catapult_theory.validation.error_parts import ErrorParts, error_parts
from catapult_theory.validation.exactness import ExactnessResult, exactness
from catapult_theory.validation.limit_curves import LimitCurves, limit_curves
from catapult_theory.validation.probing import Edge, ProbeResult, ProbeRun, StartProbe, probe
from catapult_theory.validation.report import Row, ValidationReport, validate
from catapult_theory.validation.thresholds import Threshold, thresholds
from catapult_theory.validation.train import train
from catapult_theory.validation.width_scaling import ScalingResult, Slope, width_scaling

__all__ = [
    "BoundaryResult",
    "Bracket",
    "Cell",
    "ClosureTable",
    "Edge",
    "ErrorParts",
    "ExactnessResult",
    "LimitCurves",
    "ProbeResult",
    "ProbeRun",
    "Row",
    "ScalingResult",
    "Slope",
    "StartProbe",
    "Threshold",
    "ValidationReport",
    "bisect_boundary",
    "closure_cell",
    "closures",
    "digits_boundary",
    "error_parts",
    "exactness",
    "first_boundary",
    "limit_curves",
    "linear_boundary",
    "probe",
    "scanned_boundary",
    "thresholds",
    "train",
    "validate",
    "width_scaling",
    "with_wrong_coefficient",
]
