"""The table model x loss x optimizer: what closes, and how exactly.

Every cell is derived and compared with raw training (`exactness`), or says why there is nothing
to compare: the dynamics does not close, or the three do not belong together. No cell is assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from catapult_theory.errors import CatapultError, InputError, NotClosed, unknown_name
from catapult_theory.networks import gaussian_start
from catapult_theory.symbolic import losses, models, optimizers, schedules
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.symbols import f, y
from catapult_theory.symbolic.symbols import n as WIDTH
from catapult_theory.validation.exactness import exactness
from catapult_theory.validation.problem import Pairing, pair

# A tame regime: width at least 64, well below the edge of every loss. The learning rate is in
# units of the curvature at the start, and so is the ascent of SAM along the bare gradient.
WIDTH_OF_CELLS, RATE_OF_CELLS = 64, 0.5
NUMBERS = {"beta": 0.5, "omega": 0.05, "rho": 0.1, "clip": 0.3}
# Among so many starts the one with the smallest outputs: a saturated loss has no gradient to see.
STARTS = 32
# Samples are scaled down to outputs of this size: beyond it e^f leaves no step of a useful size.
LARGEST_OUTPUT = 3.0
SAMPLES, INPUTS, CLASSES = 6, 3, 3
# A value for symbols of a model that have none of their own.
OTHER_SYMBOL = 0.5

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Rule:
    """An optimizer with the schedule of its learning rate, one row of the table."""

    optimizer: Any
    schedule: Any = None


def rules() -> dict[str, Rule]:
    """Return the optimizers of the table by name.

    Returns
    -------
    dict of str to Rule

    Examples
    --------
    >>> "sam" in rules(), "torch_heavy_ball, cosine" in rules()
    (True, True)
    """
    table = {name: Rule(optimizers.get(name)) for name in optimizers.NAMED if name != "sgd"}
    table["sgd, epochs"] = Rule(optimizers.sgd(2))
    table["sgd, replacement"] = Rule(optimizers.sgd(2, "replacement"))
    cosine = schedules.cosine(1.0, 180, floor=0.1, warmup=20)
    for name in ("gd", "heavy_ball", "torch_heavy_ball"):
        table[f"{name}, cosine"] = Rule(optimizers.get(name), cosine)
    return table


@dataclass(frozen=True)
class Cell:
    """One combination and what was found.

    Parameters
    ----------
    model, loss, optimizer : str
    status : str
        "exact": within the tolerance, and a wrong coefficient is not. "not closed", "not
        meaningful": with the reason. "failed": closed, but not within the tolerance, or not to be
        computed.
    error, control, tolerance : float or None
        Largest error of the map, and of the map with a wrong coefficient.
    reason : str
    steps : int or None
        How many were compared.
    """

    model: str
    loss: str
    optimizer: str
    status: str
    error: float | None = None
    control: float | None = None
    tolerance: float | None = None
    reason: str = ""
    steps: int | None = None

    def __str__(self) -> str:
        head = f"{self.model}, {self.loss}, {self.optimizer}: {self.status}"
        if self.error is None:
            return f"{head} ({self.reason})"
        return (
            f"{head}, error {self.error:.1e} (at most {self.tolerance:.0e}, {self.steps} steps), "
            f"with a wrong coefficient {self.control:.1e}"
        )


@dataclass(frozen=True)
class ClosureTable:
    """Cells, printed as tables of losses against optimizers, one for each model.

    Parameters
    ----------
    cells : tuple of Cell
    """

    cells: tuple[Cell, ...]

    @property
    def passed(self) -> bool:
        """Whether no cell failed."""
        return all(cell.status != "failed" for cell in self.cells)

    def count(self, status: str) -> int:
        """Return how many cells have a status."""
        return sum(cell.status == status for cell in self.cells)

    def to_markdown(self) -> str:
        """Return the tables and the numbered reasons as Markdown."""
        reasons = {c.reason: 0 for c in self.cells if c.reason}
        numbers = {reason: i for i, reason in enumerate(reasons, 1)}
        parts = []
        for model in dict.fromkeys(c.model for c in self.cells):
            own = [c for c in self.cells if c.model == model]
            columns = list(dict.fromkeys(c.loss for c in own))
            lines = [f"## {model}", "", _row(["", *columns]), _row(["---"] * (len(columns) + 1))]
            for rule in dict.fromkeys(c.optimizer for c in own):
                found = {c.loss: c for c in own if c.optimizer == rule}
                texts = [_text(found.get(loss), numbers) for loss in columns]
                lines.append(_row([rule, *texts]))
            parts.append("\n".join(lines))
        notes = [f"{i}. {reason}" for reason, i in numbers.items()]
        return "\n\n".join([*parts, "\n".join(notes), self.summary]) + "\n"

    @property
    def summary(self) -> str:
        """How many cells there are of each kind."""
        kinds = ("exact", "not closed", "not meaningful", "failed")
        said = ", ".join(f"{self.count(kind)} {kind}" for kind in kinds)
        errors = [c.error for c in self.cells if c.error is not None]
        worst = f"; largest error {max(errors):.1e}" if errors else ""
        counted = "1 cell" if len(self.cells) == 1 else f"{len(self.cells)} cells"
        return f"{counted}: {said}{worst}."

    def __str__(self) -> str:
        return "\n".join([*map(str, self.cells), self.summary])


def _row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _text(cell: Cell | None, numbers: Mapping[str, int]) -> str:
    if cell is None:
        return ""
    if cell.error is None:
        return f"{cell.status} [{numbers[cell.reason]}]"
    return f"{cell.status} {cell.error:.0e}"


Key = tuple[str, str, str]


def combinations(
    model: str | None = None, loss: str | None = None, optimizer: str | None = None
) -> tuple[Key, ...]:
    """Return the names of all cells, or of those with the given model, loss or optimizer.

    Parameters
    ----------
    model, loss, optimizer : str, optional

    Returns
    -------
    tuple of (model, loss, optimizer)

    Raises
    ------
    InputError
        For an unknown name.

    Examples
    --------
    >>> combinations("uv", "huber", "sam")
    (('uv', 'huber', 'sam'),)
    """
    axes = (
        ("model", model, list(models.NAMED)),
        ("loss", loss, list(losses.NAMED)),
        ("optimizer", optimizer, list(rules())),
    )
    for kind, name, known in axes:
        if name is not None and name not in known:
            raise unknown_name(kind, name, known)
    one, two, three = ([name] if name is not None else known for _, name, known in axes)
    return tuple((a, b, c) for a in one for b in two for c in three)


def sample(keys: Sequence[Key]) -> tuple[Key, ...]:
    """Return a fixed sample in which every model, loss and optimizer of the keys occurs.

    Parameters
    ----------
    keys : sequence of (model, loss, optimizer)

    Returns
    -------
    tuple

    Examples
    --------
    >>> len(sample(combinations())) == len(rules())
    True
    """
    axes = [list(dict.fromkeys(key[i] for key in keys)) for i in range(3)]
    length = max(map(len, axes))
    picked = (tuple(axis[i % len(axis)] for axis in axes) for i in range(length))
    known = set(keys)
    return tuple(key for key in dict.fromkeys(picked) if key in known)  # type: ignore[misc]


def closures(keys: Iterable[Key] | None = None, progress: Progress | None = None) -> ClosureTable:
    """Return the table of the given cells, every one of them worked out.

    Parameters
    ----------
    keys : iterable of (model, loss, optimizer), optional
        From `combinations`; all of them by default, which takes many minutes.
    progress : callable, optional
        Called as ``progress(done, total)``.

    Returns
    -------
    ClosureTable

    Examples
    --------
    >>> print(closures([("uv", "squared", "adam"), ("uv", "softmax_cross_entropy", "gd")]).summary)
    2 cells: 0 exact, 1 not closed, 1 not meaningful, 0 failed.
    """
    chosen = tuple(combinations() if keys is None else keys)
    found = []
    for cell in each(chosen):
        found.append(cell)
        if progress is not None:
            progress(len(found), len(chosen))
    return ClosureTable(tuple(found))


def each(keys: Iterable[Key]) -> Iterator[Cell]:
    """Yield the cells one after the other, so that an interrupted table keeps what was done.

    Parameters
    ----------
    keys : iterable of (model, loss, optimizer)

    Yields
    ------
    Cell
    """
    table = rules()
    for model, loss, optimizer in keys:
        try:
            yield closure_cell(model, loss, optimizer, table[optimizer])
        except CatapultError as cause:  # the rest of the table is worked out all the same
            yield Cell(model, loss, optimizer, "failed", reason=str(cause))


def closure_cell(model: str, loss: str, optimizer: str, rule: Rule | None = None) -> Cell:
    """Return one cell, derived and compared with raw training.

    Parameters
    ----------
    model, loss, optimizer : str
        Names; the optimizer one of `rules`.
    rule : Rule, optional
        What the optimizer's name means; looked up if left out.

    Returns
    -------
    Cell

    Examples
    --------
    >>> closure_cell("linear", "squared", "sgd, epochs").status
    'exact'
    """
    row = rules()[optimizer] if rule is None else rule
    chosen, data = subject(model, loss)
    names = (model, loss, optimizer)
    if reason := _meaningless(chosen, loss, row):
        return Cell(*names, "not meaningful", reason=reason)
    constants = _constants(chosen, row)
    both = pair(chosen, data, row.optimizer, loss, **constants)
    if both.update_map is None:
        return Cell(*names, "not closed", reason=_why_not(chosen, loss, row))
    seed, outputs = _start(both, data)
    if data is not None and outputs.max() > LARGEST_OUTPUT:
        data = data[0] * LARGEST_OUTPUT / outputs.max(), data[1]
    steepness = _steepness(both, data, seed)
    if row.optimizer.name == "unnormalised_sam":
        constants["rho"] = NUMBERS["rho"] / steepness
    found = exactness(
        chosen,
        loss,
        row.optimizer,
        data=data,
        schedule=row.schedule,
        n=WIDTH_OF_CELLS,
        eta_lam0=RATE_OF_CELLS / steepness,
        seed=seed,
        **constants,
    )
    status = "exact" if found.passed else "failed"
    return Cell(
        *names, status, found.worst, found.worst_control, found.tolerance, steps=found.steps
    )


def _outputs(both: Pairing, data: Any, seed: int) -> np.ndarray:
    start = both.raw_start(gaussian_start(seed).raw(both.own_shapes, WIDTH_OF_CELLS))
    return np.asarray(both.network.forward(start, None if data is None else data[0]))


def _start(both: Pairing, data: Any) -> tuple[int, np.ndarray]:
    """Return the seed of the start with the smallest outputs, and their sizes there."""
    sizes = [np.abs(_outputs(both, data, seed)) for seed in range(STARTS)]
    seed = int(np.argmin([a.max() for a in sizes]))
    return seed, sizes[seed]


def _steepness(both: Pairing, data: Any, seed: int) -> float:
    """Return max(1, l'') at a start: the curvature of the loss over that of the squared one."""
    cost = losses.get(both.loss_name)
    if not isinstance(cost, losses.Loss):
        return 1.0  # softmax cross-entropy: its second derivative is at most 1
    Y = both.network.label if data is None else data[1]
    curvature = sp.lambdify([f, y], cost.derivative(2), "numpy")
    return max(1.0, float(np.max(curvature(_outputs(both, data, seed), np.asarray(Y)))))


def subject(name: str, loss: str) -> tuple[Model, Any]:
    """Return a model of the zoo with label 1, or with samples whose targets fit the loss.

    Parameters
    ----------
    name, loss : str

    Returns
    -------
    Model
    pair (X, Y) or None

    Examples
    --------
    >>> model, data = subject("linear", "softmax_cross_entropy")
    >>> model.output.shape[1], data[1].shape
    (3, (6, 3))
    """
    known = models.arguments(name)
    plain = models.get(name, label=1) if "label" in known else models.get(name)
    if not plain.is_matrix:
        return plain, None
    wanted = CLASSES if loss == losses.softmax_cross_entropy.name else 1
    inputs = _number(plain.data.shape[1], INPUTS)
    model = models.FROM_DATA[name](inputs, wanted) if name in models.FROM_DATA else plain
    return model, _samples(inputs, _number(model.output.shape[1], wanted), loss)


def _number(side: Any, otherwise: int) -> int:
    return int(side) if side.is_Integer else otherwise


def _samples(inputs: int, outputs: int, loss: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(SAMPLES, inputs)) / np.sqrt(inputs)
    if loss == losses.softmax_cross_entropy.name:
        return X, np.eye(outputs)[rng.integers(outputs, size=SAMPLES)]
    return X, rng.choice([-1.0, 1.0], size=(SAMPLES, outputs))


def _meaningless(model: Model, loss: str, rule: Rule) -> str:
    """Return why the three do not belong together; empty if they do."""
    one = not model.is_matrix or model.output.shape[1] == 1
    if one and loss == losses.softmax_cross_entropy.name:
        return "softmax cross-entropy couples at least two outputs; the model has one"
    batches = getattr(rule.optimizer, "batches", None)
    if batches is not None and not model.is_matrix:
        return "the model has one sample, so that there are no mini-batches"
    return ""


def _constants(model: Model, rule: Rule) -> dict[str, Any]:
    own = getattr(rule.optimizer, "parameters", ())
    values: dict[str, Any] = {s.name: NUMBERS[s.name] for s in own if s.name in NUMBERS}
    given = {getattr(s, "name", str(s)) for s in getattr(model, "values", {})}
    free = [s.name for s in model.parameters if s != WIDTH and s.name not in given]
    return values | dict.fromkeys(free, OTHER_SYMBOL)


def _why_not(model: Model, loss: str, rule: Rule) -> str:
    """Return the first quantity that leaves the closure, and why."""
    try:
        derive(model, loss, rule.optimizer)
    except NotClosed as cause:
        return f"{cause.term} leaves: {cause.reason}"
    raise InputError(f"{model.name} closes, but was refused by the comparison with raw training")
