"""A row of the evidence: what is predicted, of which network, and what would count against it."""

from __future__ import annotations

from dataclasses import dataclass

from catapult_theory.validation.evidence.optimizers import FullBatch, Optimizer

# Where a prediction is from; "paper" only where the number is the paper's.
SOURCES = ("paper", "theory", "pilot")
KINDS = ("mlp", "conv", "residual", "residual-conv")
# Kinds that take images.
CONVOLUTIONAL = ("conv", "residual-conv")
ACTIVATIONS = ("linear", "relu", "tanh", "gelu")
PARAMETRISATIONS = ("ntk", "standard")
SETS = ("digits", "mnist", "fashion", "photographs", "one")
STARTS = ("kept", "subtracted")
LOSSES = ("squared", "cross_entropy")
STATISTICS = (
    "onset", "onset_distance", "stability", "divergence", "final", "catapult",
    "accuracy_steps", "accuracy_time",
)  # fmt: skip
CRITERIA = ("interval", "non-increasing", "report")


@dataclass(frozen=True)
class Network:
    """A network, up to its random start.

    Parameters
    ----------
    kind : str
        "mlp", "conv", "residual" (with layer normalisation) or "residual-conv" (with group
        normalisation).
    activation : str
        "linear", "relu", "tanh" or "gelu".
    hidden : int
        Hidden layers, or residual blocks.
    widths : tuple of int
        One, or those that a criterion on the width compares; channels of the convolutional kinds.
    parametrisation : str
        "ntk" (factors 1/sqrt(n) in front of unit weights) or "standard" (in the weights).
    """

    kind: str
    activation: str
    hidden: int
    widths: tuple[int, ...]
    parametrisation: str

    def __str__(self) -> str:
        widths = "/".join(str(n) for n in self.widths)
        return f"{self.kind} {self.activation}, {self.hidden} x {widths}, {self.parametrisation}"


@dataclass(frozen=True)
class Data:
    """Which images, and how they are prepared.

    Parameters
    ----------
    name : str
        "digits", "mnist", "fashion", "photographs", or "one": the sample x = 1 with label 0.
    samples : int
    protocol : str
        "classes" or "parity".
    centred : bool
        Whether each pixel's mean is subtracted; scaled to mean |x|^2 = 1 either way.
    held_out : int
        Images beside them that are not trained on.
    """

    name: str
    samples: int
    protocol: str
    centred: bool
    held_out: int

    def __str__(self) -> str:
        if self.name == "one":
            return "one sample"
        how = "centred" if self.centred else "raw"
        return f"{self.name} {self.samples} {self.protocol}, {how}"


@dataclass(frozen=True)
class Measure:
    """What is measured of each start, and how finely.

    Parameters
    ----------
    statistic : str
        "onset": of growth along the top eigenvector; "onset_distance": its distance from 2;
        "stability": the first at which a minimum as curved as the start is left;
        "divergence": the first; "final": the largest eta lambda after training of the runs at
        ``rates`` that survive; "catapult": their largest early loss over that of the start;
        "accuracy_steps", "accuracy_time": held-out accuracy at the second of the ``rates`` minus
        that at the first, after equally many steps, or at equal eta lambda_0 t.
    steps : int
        Of a run.
    low, high : float
        Of the scan for the first divergence, in eta lambda_0.
    tolerance : float
        Relative width of the brackets.
    rates : tuple of float
        In eta lambda_0.
    """

    statistic: str
    steps: int
    low: float
    high: float
    tolerance: float
    rates: tuple[float, ...]


@dataclass(frozen=True)
class Criterion:
    """What the measured values must do.

    Parameters
    ----------
    kind : str
        "interval": the median over the starts lies between ``low`` and ``high``;
        "non-increasing": the median does not grow with the width; "report": anything.
    low, high : float
    """

    kind: str
    low: float
    high: float

    @property
    def asserts(self) -> bool:
        """Whether the row can fail."""
        return self.kind != "report"

    def __str__(self) -> str:
        if self.kind == "interval":
            return f"median in [{self.low:g}, {self.high:g}]"
        return "median non-increasing in width" if self.asserts else "report only"


@dataclass(frozen=True)
class EvidenceRow:
    """One row, written down before it is measured.

    Parameters
    ----------
    name : str
    prediction : str
    source : str
        "paper", "theory" or "pilot".
    network : Network
    data : Data
    start : str
        "kept", or "subtracted": the network minus a frozen copy of its start.
    loss : str
        "squared" (the theory's) or "cross_entropy".
    optimizer : FullBatch, Momentum or MiniBatch
    measure : Measure
    seeds : int
        Starts at each width; at least five where the row asserts something.
    criterion : Criterion
    """

    name: str
    prediction: str
    source: str
    network: Network
    data: Data
    start: str
    loss: str
    optimizer: Optimizer
    measure: Measure
    seeds: int
    criterion: Criterion

    @property
    def setting(self) -> str:
        """Network, data, start, loss and, unless gradient descent, optimizer in words."""
        parts = [str(self.network), str(self.data), f"f0 {self.start}", self.loss]
        if self.optimizer != FullBatch():
            parts.append(str(self.optimizer))
        return "; ".join(parts)

    @property
    def command(self) -> str:
        """What measures the row again."""
        return f"catapult evidence --budget 60 --rows {self.name}"
