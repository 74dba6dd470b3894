"""Rigor: claims about one step of training, judged by exact algebra or refuted by numbers."""

from catapult_theory.rigor.claim_file import ClaimsReport, verify_file
from catapult_theory.rigor.claims import Verdict
from catapult_theory.rigor.counterexample import Counterexample
from catapult_theory.rigor.proofs import Proof, prove
from catapult_theory.rigor.verify import verify

__all__ = [
    "ClaimsReport",
    "Counterexample",
    "Proof",
    "Verdict",
    "prove",
    "verify",
    "verify_file",
]
