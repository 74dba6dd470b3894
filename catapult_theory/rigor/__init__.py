"""Rigor: claims about training, judged by exact algebra, refuted by numbers, or searched."""

from catapult_theory.rigor.claims.counterexample import Counterexample
from catapult_theory.rigor.claims.file import ClaimsReport, verify_file
from catapult_theory.rigor.claims.verdict import Verdict
from catapult_theory.rigor.claims.verify import verify
from catapult_theory.rigor.falsification.result import Falsification
from catapult_theory.rigor.falsification.search import falsify
from catapult_theory.rigor.proofs.registry import Proof, prove

__all__ = [
    "ClaimsReport",
    "Counterexample",
    "Falsification",
    "Proof",
    "Verdict",
    "falsify",
    "prove",
    "verify",
    "verify_file",
]
