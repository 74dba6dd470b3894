"""How well a network has learned its samples: accuracy for classes, else variance explained."""

from __future__ import annotations

from catapult_theory.networks.torch_part import Tensor, torch_part
from catapult_theory.networks.torch_problem import TorchProblem

ACCURACY, VARIANCE = "accuracy", "variance explained"


def score_kind(problem: TorchProblem) -> str:
    """Return what is counted: "accuracy" for class targets, else "variance explained".

    Class targets are class numbers, rows with one value above an equal rest, or a single column
    of two values.

    Parameters
    ----------
    problem : TorchProblem

    Returns
    -------
    str
    """
    targets = problem.Y
    if not targets.is_floating_point():
        return ACCURACY
    if problem.outputs == 1:
        return ACCURACY if len(targets.unique()) == 2 else VARIANCE
    rows = targets.reshape(problem.samples, -1)
    at_top = (rows == rows.max(dim=1, keepdim=True).values).sum(dim=1)
    one_hot = bool((at_top == 1).all()) and len(rows.unique()) == 2
    return ACCURACY if one_hot else VARIANCE


def targets_vary(problem: TorchProblem) -> bool:
    """Return whether any two samples have different targets.

    Parameters
    ----------
    problem : TorchProblem

    Returns
    -------
    bool
    """
    return bool((problem.Y[:1] != problem.Y).any())


def score(problem: TorchProblem, outputs: Tensor) -> float:
    """Return the share of samples that are right, or of the variance that is explained.

    A column of two target values is told apart half way between them for a squared loss, and by
    the sign of the output for others.

    Parameters
    ----------
    problem : TorchProblem
    outputs : tensor

    Returns
    -------
    float
        At most 1.
    """
    targets = problem.Y
    if score_kind(problem) == VARIANCE:
        spread = (targets - targets.mean(dim=0)).square().sum()
        missed = (outputs - targets).square().sum()
        # Targets without spread are explained by fitting them exactly.
        return float(1 - missed / spread) if float(spread) > 0 else float(missed == 0)
    if not targets.is_floating_point():
        if problem.outputs == 1:
            right = (outputs.reshape(targets.shape) > 0) == (targets > 0)
        else:
            right = outputs.argmax(dim=1) == targets
    elif problem.outputs == 1:
        middle = 0.5 * (targets.max() + targets.min()) if problem.scale is not None else 0.0
        right = (outputs > middle) == (targets == targets.max())
    else:
        rows = (t.reshape(problem.samples, -1).argmax(dim=1) for t in (outputs, targets))
        right = torch_part().eq(*rows)
    return float(right.double().mean())
