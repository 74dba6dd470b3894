"""`ct.probe`: where do the lazy, catapult and divergent learning rates of a network lie?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from catapult_theory.errors import InputError, ModelError
from catapult_theory.networks.torch_part import torch_part
from catapult_theory.networks.torch_problem import TorchProblem, torch_problem
from catapult_theory.networks.torch_scores import score_kind, targets_vary
from catapult_theory.networks.users_code import is_of_the_call, one_line, said
from catapult_theory.validation.probing.measure import LOWEST, Measurement, Settings, prepare
from catapult_theory.validation.probing.measure import subspace as dimension
from catapult_theory.validation.probing.progress import Progress, shown
from catapult_theory.validation.probing.result import ProbeResult, StartProbe

if TYPE_CHECKING:
    from rich.console import Console

SEEDS = 3


def probe(
    network: Any,
    X: Any,
    y: Any,
    loss: Any = "squared",
    *,
    seeds: int | Sequence[int] | None = None,
    steps: int = 200,
    accuracy: float = 0.9,
    highest: float = 40.0,
    tolerance: float = 0.02,
    dtype: str = "float64",
    chunk: int | None = None,
    console: Console | None = None,
) -> ProbeResult:
    """Measure where a PyTorch network is lazy, is catapulted, stops to learn, and diverges.

    The uv-model predicts eta_crit = 2/lambda_0 and a window up to 4/lambda_0 (theory, section 4;
    section 4.5: no theorem for other networks). Measured by full-batch gradient descent, in
    eta lambda_0, lambda_0 that of the loss as it is (the top of its Gauss-Newton matrix):

    - onset: the residual along the top eigenvector of the tangent kernel grows in the first
      step, which shows before the loss as a whole rises;
    - divergence: the first, by a scan upward and a bisection, since divergence is not
      monotone; "> x" where none was found. The loss must pass 1e12 times that of the start;
    - useful edge: where training stops to end at the stated accuracy, the first such above
      rates where it does;
    - of every run the peak of the loss, rises that begin after the tenth step apart (edge of
      stability), eta lambda after training, and the share of the gradient in the top eigenspace.

    Every run is kept on disk under a key of its settings; a repeated call goes on from there.

    Parameters
    ----------
    network : torch.nn.Module or callable
        A network, probed from the start that it has; or a function, or class, that makes one,
        called once for each seed: lambda_0 scatters between starts.
    X : array or tensor, shape (m, ...)
    y : array or tensor
        Of the shape of the outputs, or class numbers.
    loss : str, torch.nn.Module or callable
        "squared" (the theory's), "mse" and "cross_entropy" (PyTorch's), "logistic", a loss of
        torch.nn, or (outputs, targets) -> scalar; always a mean over the samples.
    seeds : int or sequence of int, optional
        For a function: their number, 3 when left out, or the seeds themselves.
    steps : int
        Length of a run, at least ten.
    accuracy : float
        From which a run counts as useful: share of the training samples that are right, or of
        the variance explained where targets are no classes.
    highest : float
        Largest eta lambda_0 tried.
    tolerance : float
        Relative width of the brackets.
    dtype : str
        "float64", or "float32" for a network that cannot compute in double precision.
    chunk : int, optional
        Samples that go through the network at a time: bounds the memory of activations.
    console : rich.console.Console, optional
        Shows progress on it. An interrupt (Ctrl-C) ends the probe and returns what was measured.

    Returns
    -------
    ProbeResult
        Prints as a table; ``.advice``, ``.starts``, ``.to_dataset()``; `ct.probe_figure` draws it.

    Raises
    ------
    MissingBackend
        Without PyTorch and curvlinops.
    ModelError, InputError
        For a network, loss, data or number that cannot be used; the message says what to change.

    Examples
    --------
    >>> import torch, numpy as np  # doctest: +SKIP
    >>> def make():  # doctest: +SKIP
    ...     return torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Linear(8, 1))
    >>> found = probe(make, np.eye(2), [[1.0], [-1.0]], seeds=1, steps=30)  # doctest: +SKIP
    >>> found.starts[0].onset.low > 1.5, found.starts[0].divergence.high < 12  # doctest: +SKIP
    (True, True)
    """
    torch_part("curvlinops")
    settings = _settings(steps, accuracy, highest, tolerance)
    makers = _makers(network, seeds)
    # Before anything is measured: bad input should not come to light after minutes.
    first = torch_problem(makers[0][1](), X, y, loss, dtype, chunk)
    starts: list[StartProbe] = []
    stopped = "finished"
    with shown(console) as progress:
        for i, (seed, make) in enumerate(makers):
            problem = first if i == 0 else torch_problem(make(), X, y, loss, dtype, chunk)
            try:
                starts.append(_probed(problem, settings, seed, (i, len(makers)), progress, starts))
            except KeyboardInterrupt:
                stopped = "interrupted"
                break
    return _result(tuple(starts), first, settings, stopped)


def _probed(
    problem: TorchProblem,
    settings: Settings,
    seed: int | None,
    place: tuple[int, int],
    progress: Progress,
    starts: list[StartProbe],
) -> StartProbe:
    """Measure one start; of one that is interrupted what is there is kept."""
    done, (i, count) = 0.0, place
    name = "" if seed is None else f"seed {seed}: "

    def tick(text: str, steps: float) -> None:
        nonlocal done
        done = min(done + steps, settings.cost)
        progress(name + text, i * settings.cost + done, count * settings.cost)

    tick("curvature at the start", 0)
    measurement = Measurement(prepare(problem), settings, seed, tick)
    try:
        measurement.run_all()
    except KeyboardInterrupt:
        starts.append(measurement.result())
        raise
    return measurement.result()


def _result(
    starts: tuple[StartProbe, ...], problem: TorchProblem, settings: Settings, stopped: str
) -> ProbeResult:
    network = type(problem.module).__name__
    description = (
        f"{network}: {problem.size} parameters, m = {problem.samples} samples, "
        f"k = {problem.outputs} outputs"
    )
    return ProbeResult(
        starts, description, problem.loss.name, problem.scale, score_kind(problem),
        settings.wanted, settings.steps, dimension(problem), stopped, targets_vary(problem),
    )  # fmt: skip


def _settings(steps: Any, accuracy: Any, highest: Any, tolerance: Any) -> Settings:
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 10:
        raise InputError(f"steps must be a whole number of at least 10, got {steps!r}")
    if not 0 < accuracy <= 1:
        raise InputError(f"accuracy must lie above 0 and up to 1, got {accuracy!r}")
    if not LOWEST < highest < 1e6:
        raise InputError(f"highest must lie between {LOWEST:g} and 1e6, got {highest!r}")
    if not 1e-6 <= tolerance <= 0.15:
        raise InputError(f"tolerance must lie between 1e-6 and 0.15, got {tolerance!r}")
    return Settings(steps, float(accuracy), float(highest), float(tolerance))


def _makers(network: Any, seeds: Any) -> list[tuple[int | None, Callable[[], Any]]]:
    """Return seeds with functions that make a network each."""
    torch = torch_part()
    if isinstance(network, torch.nn.Module):
        if seeds is not None:
            raise InputError(
                "a network has the one start that it was made with: for several seeds give a "
                "function that makes one, such as lambda: Net(...)"
            )
        return [(None, lambda: network)]
    if not callable(network):
        raise InputError(f"{network!r} is neither a torch.nn.Module nor a function that makes one")
    numbers = range(SEEDS if seeds is None else seeds) if _is_count(seeds) else list(seeds)
    if not len(numbers):
        raise InputError("a probe needs at least one seed")
    return [(int(seed), partial(_made, network, int(seed))) for seed in numbers]


def _is_count(seeds: Any) -> bool:
    if seeds is None or (isinstance(seeds, int) and not isinstance(seeds, bool)):
        return True
    if isinstance(seeds, (bool, str, float)) or not hasattr(seeds, "__iter__"):
        raise InputError(f"seeds must be a number of seeds or a list of them, got {seeds!r}")
    return False


def _made(make: Any, seed: int) -> Any:
    """Return a network made from a seed; the user's stream of random numbers goes on as it was."""
    torch = torch_part()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            network = make()
        except Exception as cause:  # whatever the user's function raises
            name = getattr(make, "__name__", make)
            if isinstance(cause, TypeError) and is_of_the_call(cause):
                raise ModelError(
                    f"{name!r} cannot be called without arguments ({one_line(cause)}): give a "
                    "function that makes the network, such as lambda: Net(...)"
                ) from cause
            raise ModelError(f"{name!r} makes no network, {said(cause)}: mend it") from cause
    if not isinstance(network, torch.nn.Module):
        raise ModelError(
            f"{getattr(make, '__name__', make)!r} returns a {type(network).__name__}: it must "
            "return a torch.nn.Module"
        )
    return network
