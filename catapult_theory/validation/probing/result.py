"""What a probe found: edges with brackets, runs, one line of advice; a table and labelled data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from catapult_theory.networks.spectra import normalisation
from catapult_theory.validation.probing.loss_curve import LossCurve, read_curve

# eta lambda_0 of the uv-model; for deep ReLU networks the paper reports about 12.
ONSET, EDGE, DEEP_RELU = 2.0, 4.0, 12.0


@dataclass(frozen=True)
class Edge:
    """A bracket of eta lambda_0 in which a behaviour changes.

    Parameters
    ----------
    low, high : float
        The last value tried before the change and the first after it. ``high`` is infinite where
        no change was found up to ``low``, ``low`` zero where it came before the first value.
    """

    low: float
    high: float

    @property
    def found(self) -> bool:
        """Whether both ends are known."""
        return self.low > 0 and math.isfinite(self.high)

    def __str__(self) -> str:
        if not math.isfinite(self.high):
            return f"> {self.low:.3g}"
        return f"{self.low:.3f} to {self.high:.3f}" if self.low > 0 else f"< {self.high:.3g}"


@dataclass(frozen=True, eq=False)
class ProbeRun:
    """One training run.

    Parameters
    ----------
    eta : float
    eta_lam0, eta_lam : float
        eta times the top of the Gauss-Newton matrix before and after; the latter zero where it is
        so to rounding, NaN after a divergence or where its bound was not met.
    diverged, useful : bool
        Whether the loss passed the ceiling; whether the run ended at the stated score or above.
    losses : tuple of float
    score : float
        Accuracy, or variance explained, at the end.
    alignment : float
        Share of the squared gradient in the top eigenspace at the end; NaN where either is zero.
    """

    eta: float
    eta_lam0: float
    eta_lam: float
    diverged: bool
    useful: bool
    losses: tuple[float, ...]
    score: float
    alignment: float

    @property
    def curve(self) -> LossCurve:
        """Peak, catapult and later rises."""
        return read_curve(np.array(self.losses))


@dataclass(frozen=True, eq=False)
class StartProbe:
    """What was measured from one start.

    Parameters
    ----------
    seed : int or None
        None for the network as it was given.
    lam0 : float
        The theory's lambda, the largest eigenvalue of Theta/m.
    curvature0 : float
        The top of the Gauss-Newton matrix of the loss as it is: eta times it is eta lambda_0.
    sharpness0 : float
        The top of the Hessian.
    residual : float
        Largest residual bound of the three.
    alignment0 : float
        Share of the squared gradient in the top eigenspace.
    onset, divergence, useful : Edge or None
        In eta lambda_0; None where it was not measured (interrupted, or nothing trained).
    runs : tuple of ProbeRun
        In the order of eta.
    """

    seed: int | None
    lam0: float
    curvature0: float
    sharpness0: float
    residual: float
    alignment0: float
    onset: Edge | None
    divergence: Edge | None
    useful: Edge | None
    runs: tuple[ProbeRun, ...]

    @property
    def eta_crit(self) -> float:
        """Predicted onset, 2 over the curvature."""
        return ONSET / self.curvature0

    @property
    def eta_max(self) -> float:
        """Predicted end of the window, 4 over the curvature."""
        return EDGE / self.curvature0


@dataclass(frozen=True, eq=False)
class ProbeResult:
    """Where lazy, catapult and divergent learning rates lie, predicted and measured.

    Parameters
    ----------
    starts : tuple of StartProbe
    description : str
        Network and data in words.
    loss : str
    scale : float or None
        s where the loss is s times the theory's squared loss.
    score : str
        "accuracy" or "variance explained".
    wanted : float
        The score from which a run counts as useful.
    steps, subspace : int
        Steps of a run; dimension of the top eigenspace.
    stopped : str
        "finished" or "interrupted".
    targets_vary : bool
        Whether there is anything for a score to tell apart.
    """

    starts: tuple[StartProbe, ...]
    description: str
    loss: str
    scale: float | None
    score: str
    wanted: float
    steps: int
    subspace: int
    stopped: str
    targets_vary: bool = True

    @property
    def advice(self) -> str:
        """One line on which learning rate to take."""
        from catapult_theory.validation.probing.advice import advice_of

        return advice_of(self)

    def to_dataset(self) -> xr.Dataset:
        """Return all runs with a dimension ``run`` and all starts with a dimension ``start``.

        Returns
        -------
        xarray.Dataset
        """
        runs = [(start, run, run.curve) for start in self.starts for run in start.runs]
        columns: dict[str, tuple[str, list[float]]] = {
            "eta": ("learning rate", [r.eta for _, r, _ in runs]),
            "eta_lam0": ("eta lambda before training", [r.eta_lam0 for _, r, _ in runs]),
            "eta_lam": ("eta lambda after training", [r.eta_lam for _, r, _ in runs]),
            "diverged": ("the loss passed the ceiling", [r.diverged for _, r, _ in runs]),
            "useful": ("ended at the wanted score", [r.useful for _, r, _ in runs]),
            "score": (self.score, [r.score for _, r, _ in runs]),
            "alignment": ("gradient in the top eigenspace", [r.alignment for _, r, _ in runs]),
            "peak": ("largest loss over that of the start", [c.peak for *_, c in runs]),
            "peak_step": ("step of the largest loss", [c.peak_step for *_, c in runs]),
            "catapult": ("rise begun in the first ten steps", [c.catapult for *_, c in runs]),
            "later_rises": ("rises begun later", [c.later_rises for *_, c in runs]),
            "later_peak": ("largest later rise", [c.later_peak for *_, c in runs]),
            "of_start": ("index of the start", [self.starts.index(s) for s, *_ in runs]),
        }
        variables: dict[str, Any] = {
            name: ("run", np.array(values), {"long_name": text, "units": "1"})
            for name, (text, values) in columns.items()
        }
        for name in ("lam0", "curvature0", "sharpness0", "alignment0"):
            values = np.array([getattr(s, name) for s in self.starts])
            variables[name] = ("start", values, {"long_name": name, "units": "1"})
        for name in ("onset", "divergence", "useful"):
            ends = [getattr(s, name) or Edge(math.nan, math.nan) for s in self.starts]
            pairs = np.array([(e.low, e.high) for e in ends]).reshape(-1, 2)
            attrs = {"long_name": f"{name}, eta lambda_0", "units": "1"}
            variables[f"{name}_edge"] = (("start", "end"), pairs, attrs)
        attributes = {
            "description": self.description, "loss": self.loss, "score": self.score,
            "wanted": self.wanted, "steps": self.steps, "stopped": self.stopped,
            "advice": self.advice, "normalisation": normalisation(self.scale),
        }  # fmt: skip
        return xr.Dataset(variables, attrs=attributes)

    def __str__(self) -> str:
        lines = [
            f"{self.description}; loss {self.loss}, {self.steps} steps of gradient descent",
            normalisation(self.scale),
            "",
            *_aligned(
                ("start", "lambda_0", "sharpness", "2/lambda", "4/lambda", "onset", "divergence",
                 f"{self.score} {self.wanted:g} up to"),
                [_start_row(s) for s in self.starts],
            ),
            "predicted (uv-model): onset 2, divergence 4; in the paper about 12 for deep ReLU",
        ]  # fmt: skip
        for start in self.starts:
            share = f"{100 * start.alignment0:.0f} %"
            top = f"{share} of the first gradient in the top {self.subspace} directions"
            lines += ["", f"runs of start {_name(start)}; {top}:"]
            head = ("eta", "eta lam_0", "eta lam", "outcome", "peak L/L_0", "at step",
                    "later rises", self.score, "aligned")  # fmt: skip
            lines += _aligned(head, [_run_row(run) for run in start.runs])
        lines += ["", *notes] if (notes := self._notes()) else []
        if self.stopped != "finished":
            lines += ["", "interrupted: repeat the call to go on from here"]
        return "\n".join([*lines, "", f"advice: {self.advice}"])

    def _notes(self) -> list[str]:
        """Return what the table has no number for, in words."""
        alive = [run for start in self.starts for run in start.runs if not run.diverged]
        notes = []
        if any(math.isnan(run.eta_lam) for run in alive):
            notes.append(
                "eta lam ?: the curvature at the end, small beside what it is made of, is known to "
                "fewer digits than are shown"
            )
        if any(run.eta_lam == 0 for run in alive):
            notes.append(
                "eta lam 0.000: at the end the loss is flat to rounding, as of a softmax that is "
                "sure of every sample"
            )
        if any(math.isnan(run.alignment) for run in alive):
            notes.append("aligned ?: the gradient or the curvature at the end is zero or not known")
        return notes


def _name(start: StartProbe) -> str:
    return "as given" if start.seed is None else str(start.seed)


def _start_row(start: StartProbe) -> tuple[str, ...]:
    edges = ("-" if e is None else str(e) for e in (start.onset, start.divergence, start.useful))
    numbers = (start.lam0, start.sharpness0, start.eta_crit, start.eta_max)
    return (_name(start), *(f"{v:.4g}" for v in numbers), *edges)


def _run_row(run: ProbeRun) -> tuple[str, ...]:
    numbers = (f"{run.eta:.4g}", f"{run.eta_lam0:.3f}")
    if run.diverged:
        return (*numbers, "-", "diverges", *("-",) * 5)
    curve = run.curve
    word = _word(run, curve)
    later = f"{curve.later_rises}, to {curve.later_peak:.2g}x" if curve.later_rises else "0"
    return (
        *numbers, _or_unknown(run.eta_lam, 3), word if run.useful else f"{word}, not useful",
        f"{curve.peak:.3g}", str(curve.peak_step), later, f"{run.score:.3f}",
        _or_unknown(run.alignment, 2),
    )  # fmt: skip


def _or_unknown(value: float, digits: int) -> str:
    return "?" if math.isnan(value) else f"{value:.{digits}f}"


def _word(run: ProbeRun, curve: LossCurve) -> str:
    """Return what a run that did not diverge is called."""
    if curve.peak > 1 and curve.peak_step == len(run.losses) - 1:
        return "still grows"
    if curve.catapult > 1:
        return "catapult"
    if curve.catapult > 0:
        return "early rise"
    return "late rise" if curve.later_rises else "lazy"


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return ["  ".join(f"{c:>{w}}" for c, w in zip(r, widths, strict=True)) for r in [head, *rows]]
