"""The probe: where a PyTorch network's lazy, catapult and divergent learning rates lie."""

from catapult_theory.validation.probing.probe import probe
from catapult_theory.validation.probing.result import Edge, ProbeResult, ProbeRun, StartProbe

__all__ = ["Edge", "ProbeResult", "ProbeRun", "StartProbe", "probe"]
