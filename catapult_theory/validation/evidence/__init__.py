"""The paper's predictions against real training: criteria first, then measured values."""

from catapult_theory.validation.evidence.campaign import study
from catapult_theory.validation.evidence.criteria import bundled, chosen, parse, read
from catapult_theory.validation.evidence.published import load, published
from catapult_theory.validation.evidence.result import EvidenceResult, RowResult
from catapult_theory.validation.evidence.rows import EvidenceRow

__all__ = [
    "EvidenceResult",
    "EvidenceRow",
    "RowResult",
    "bundled",
    "chosen",
    "load",
    "parse",
    "published",
    "read",
    "study",
]
