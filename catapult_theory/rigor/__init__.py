"""Rigor: claims about training, judged by exact algebra, refuted by numbers, or searched."""

from catapult_theory.rigor.claim_file import ClaimsReport, verify_file
from catapult_theory.rigor.claims import Verdict
from catapult_theory.rigor.counterexample import Counterexample
from catapult_theory.rigor.falsification import Falsification
from catapult_theory.rigor.falsify import falsify
from catapult_theory.rigor.proofs import Proof, prove
from catapult_theory.rigor.verify import verify

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
