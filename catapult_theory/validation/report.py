"""One report on how far a model's derived dynamics holds: claims, criteria, figures, controls."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from rich.console import Console
from rich.table import Table

from catapult_theory.errors import InputError
from catapult_theory.networks import digits
from catapult_theory.symbolic import losses, optimizers
from catapult_theory.symbolic.model import Model
from catapult_theory.validation.boundary import BoundaryResult, linear_boundary
from catapult_theory.validation.controls import with_wrong_coefficient
from catapult_theory.validation.error_parts import SLOPE_WITHIN, ErrorParts, error_parts
from catapult_theory.validation.exactness import ORBIT_TOLERANCE, ExactnessResult, exactness
from catapult_theory.validation.forward_pass import is_linear_network, is_uv_network
from catapult_theory.validation.problem import closed_map, model_of, pair
from catapult_theory.validation.scalar_edge import scalar_edge
from catapult_theory.validation.width_scaling import ScalingResult, width_scaling

LAZY, CATAPULT, DIVERGENT = 0.5, 2.5, 5.0
TINY_WIDTHS = (2, 8)
BOUNDARY_WIDTHS = (256, 4096, 10**6, 10**10)
WIDE = 10**6
EDGE = 4.0
EDGE_WITHIN = 0.02
TABLE_COLUMNS = 132
WORDS = {True: "pass", False: "FAIL"}

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Row:
    """One claim, what was asked of it, and what was found.

    Parameters
    ----------
    claim, criterion, measured : str
    holds : bool
        Whether the measured figures meet the criterion.
    control : str
        What the negative control gave.
    control_fails : bool
        Whether the control misses the criterion, as it must.
    """

    claim: str
    criterion: str
    measured: str
    holds: bool
    control: str
    control_fails: bool

    @property
    def passed(self) -> bool:
        """Whether the claim holds and its control fails."""
        return self.holds and self.control_fails

    @property
    def verdict(self) -> str:
        """The outcome in a word."""
        return WORDS[self.passed]


@dataclass(frozen=True)
class ValidationReport:
    """What was validated about a model; made by `validate`, true when all of it passed.

    Parameters
    ----------
    model, loss, optimizer, data : str
    rows : tuple of Row
    boundary : BoundaryResult or None
        The brackets behind the boundary's rows, where one was measured.
    errors : ErrorParts or None
        Theory error, effect of the width and round-off of every variable (scalar models).
    """

    model: str
    loss: str
    optimizer: str
    data: str
    rows: tuple[Row, ...]
    boundary: BoundaryResult | None = field(default=None, compare=False)
    errors: ErrorParts | None = field(default=None, compare=False)

    @property
    def passed(self) -> bool:
        """Whether every claim holds and every negative control fails."""
        return bool(self.rows) and all(row.passed for row in self.rows)

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        title = f"Validation of {self.model}, {self.loss} loss, {self.optimizer}, {self.data}"
        table = Table(title=title, title_justify="left", show_lines=True)
        for column in ("claim", "criterion", "measured", "negative control", "verdict"):
            table.add_column(column, overflow="fold")
        for row in self.rows:
            table.add_row(row.claim, row.criterion, row.measured, row.control, row.verdict)
        page = io.StringIO()
        console = Console(file=page, width=TABLE_COLUMNS, color_system=None)
        console.print(table)
        if self.errors is not None:
            console.print(_errors_table(self.errors))
        return page.getvalue()

    def to_dataset(self) -> xr.Dataset:
        """Return the rows with dimension ``claim``, ready to be stored.

        Returns
        -------
        xarray.Dataset

        Examples
        --------
        >>> row = Row("c", "at most 1", "0.5", True, "2", True)
        >>> ds = ValidationReport("uv", "squared", "gd", "no data", (row,)).to_dataset()
        >>> ds.passed.values.tolist(), ds.attrs["model"]
        ([True], 'uv')
        """
        texts = {
            name: ("claim", np.array([getattr(row, name) for row in self.rows], dtype=str))
            for name in ("criterion", "measured", "control", "verdict")
        }
        answers = {
            name: ("claim", np.array([getattr(row, name) for row in self.rows], dtype=bool))
            for name in ("holds", "control_fails", "passed")
        }
        claims = np.array([row.claim for row in self.rows], dtype=str)
        attrs = {k: getattr(self, k) for k in ("model", "loss", "optimizer", "data")}
        return xr.Dataset({**texts, **answers}, {"claim": claims}, attrs)


def _errors_table(errors: ErrorParts) -> Table:
    title = (
        f"Parts of the error over the running maximum: n = {errors.n}, "
        f"eta*lam0 = {errors.eta_lam0:g}, {errors.steps} steps, {errors.digits} digits"
    )
    table = Table(title=title, title_justify="left")
    for column in ("variable", "theory error", "finite width", "round-off (float64)"):
        table.add_column(column)
    for row in errors.table():
        table.add_row(*row)
    return table


def validate(
    model: Any = "uv",
    widths: Sequence[int] | None = None,
    seeds: int | None = None,
    loss: Any = "squared",
    optimizer: Any = "gd",
    data: Any = None,
    quick: bool = False,
    progress: Progress | None = None,
    **constants: Any,
) -> ValidationReport:
    """Hold the derived dynamics of a model against networks trained by brute force.

    Rows: exactness in the lazy and the catapult range and, one step at a time, at tiny
    widths and in divergence; the slope in n of the distance from the infinite-width limit;
    for scalar models theory error, effect of the width and round-off apart, in fifty digits;
    and, for gradient descent with squared loss, the first diverging learning rate: of the
    uv-model with label 0 at 4/lambda_0, of the linear network against width. Each has a
    negative control, a map with a wrong coefficient, which must miss the criterion.

    Parameters
    ----------
    model : Model or str
    widths : sequence of int, optional
        Of the exactness rows: 64 and more.
    seeds : int, optional
        Of the boundary rows (20); the slopes take five times as many.
    loss, optimizer
        As for `ct.derive`.
    data : pair (X, y) or Dataset, optional
        For matrix models; left out, the digits with labels that fit the loss.
    quick : bool
        Fewer widths and seeds, for a look in some seconds.
    progress : callable, optional
        Called as ``progress(what, done, total)`` before each part.
    **constants
        Values of the symbols of model and optimizer.

    Returns
    -------
    ValidationReport

    Raises
    ------
    NotClosed
        If the model has no update map.
    InputError
        If an argument cannot be used.

    Examples
    --------
    >>> report = validate("uv", quick=True)
    >>> report.passed, len(report.rows)
    (True, 9)
    """
    chosen, sample = _model_and_data(model, data, loss)
    closed_map(pair(chosen, sample, optimizer, loss, **constants), optimizer, loss)
    if widths is not None and (not len(widths) or min(widths) < 1):
        raise InputError(f"widths must be positive integers, got {widths!r}")
    sizes = tuple(widths) if widths is not None else ((64,) if quick else (64, 256, 1024))
    count = seeds if seeds is not None else (4 if quick else 20)
    same = partial(_Subject, chosen, loss, optimizer, sample, constants)
    subject = same(quick)
    parts = list(_parts(subject, sizes, count))
    rows: list[Row] = []
    boundary = errors = None
    for done, (what, part) in enumerate(parts):
        if progress is not None:
            progress(what, done, len(parts))
        found, measured = part()
        rows += found
        boundary = measured if isinstance(measured, BoundaryResult) else boundary
        errors = measured if isinstance(measured, ErrorParts) else errors
    if progress is not None:
        progress("done", len(parts), len(parts))
    described = "no data" if sample is None else str(getattr(sample, "name", "own data"))
    return ValidationReport(
        chosen.name, losses.get(loss).name, optimizers.get(optimizer).name, described,
        tuple(rows), boundary, errors,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Subject:
    """What is validated, with its values."""

    model: Model
    loss: Any
    optimizer: Any
    data: Any
    constants: dict[str, Any]
    quick: bool

    def exactness(self, n: int, eta_lam0: float) -> ExactnessResult:
        return exactness(
            self.model, self.loss, self.optimizer, n=n, eta_lam0=eta_lam0, data=self.data,
            **self.constants,
        )  # fmt: skip

    @property
    def is_plain(self) -> bool:
        """Whether it is gradient descent with squared loss, without weight decay or label."""
        plain_rule = optimizers.get(self.optimizer) == optimizers.gd()
        return plain_rule and losses.get(self.loss) == losses.squared and self.model.label == 0


Part = Callable[[], tuple[list[Row], Any]]


def _parts(subject: _Subject, widths: tuple[int, ...], seeds: int) -> Iterator[tuple[str, Part]]:
    """Yield the parts of a validation, each with its name."""
    regimes = (("lazy", LAZY), ("catapult", CATAPULT))
    for name, rate in regimes:
        cases = [(n, rate) for n in widths]
        yield f"exactness, {name}", partial(_exactness_rows, subject, name, cases)
    cases = [(n, rate) for n in TINY_WIDTHS for rate in (LAZY, CATAPULT)]
    cases += [(n, DIVERGENT) for n in widths[:1]]
    words = "tiny widths and divergence"
    yield f"exactness, {words}", partial(_exactness_rows, subject, words, cases)
    yield "scaling with width", partial(_scaling_rows, subject, seeds)
    if not subject.model.is_matrix:
        yield "parts of the error", partial(_error_rows, subject)
    if subject.is_plain and is_uv_network(subject.model):
        yield "boundary", partial(_edge_rows, seeds)
    if subject.is_plain and is_linear_network(subject.model):
        yield "boundary", partial(_boundary_rows, subject, seeds)


def _exactness_rows(
    subject: _Subject, name: str, cases: Sequence[tuple[int, float]]
) -> tuple[list[Row], Any]:
    results = [subject.exactness(n, rate) for n, rate in cases]
    whole = all(r.over_orbit for r in results)
    worst = max(results, key=lambda r: r.worst / r.tolerance)
    weakest = min(results, key=lambda r: r.worst_control / r.tolerance)
    spans = sorted({n for n, _ in cases})
    row = Row(
        claim=f"exact at every width: {name}, n = {', '.join(map(str, spans))}, "
        f"eta*lam0 = {', '.join(f'{r:g}' for r in sorted({r for _, r in cases}))}",
        criterion="error over running maximum at most "
        + (f"{worst.tolerance:.0e} over {worst.steps} steps" if whole else
           f"{worst.tolerance:.0e} a step"),
        measured=f"{worst.worst:.1e} at n = {worst.n}",
        holds=all(r.worst <= r.tolerance for r in results),
        control=f"eta^2 terms 0.1 % too large: {weakest.worst_control:.1e} or more",
        control_fails=all(r.control_fails for r in results),
    )  # fmt: skip
    return [row], results


def _scaling_rows(subject: _Subject, seeds: int) -> tuple[list[Row], Any]:
    matrix = subject.model.is_matrix
    settings: dict[str, Any] = (
        {"widths": (64, 256, 1024), "seeds": 4} if matrix else {"seeds": 5 * seeds}
    )
    plain = not matrix and pair(
        subject.model, None, subject.optimizer, subject.loss, **subject.constants
    ).update_map.state._fields == ("f", "lam")  # type: ignore[union-attr]
    rows, results = [], []
    for start in ("own", "limit") if plain else ("own",):
        result = width_scaling(
            subject.model, subject.loss, subject.optimizer, data=subject.data, start=start,
            **settings, **subject.constants,
        )  # fmt: skip
        rows.append(_scaling_row(result))
        results.append(result)
    return rows, results


def _scaling_row(result: ScalingResult) -> Row:
    where = "the limit of lambda_0" if result.start == "limit" else "each network's own start"
    told = [name for name, s in result.control.items() if not s.contains(result.expected)]
    return Row(
        claim=f"distance from the infinite-width limit (from {where}) ~ n^{result.expected:g}",
        criterion=f"95 % interval of the slope contains {result.expected:g}",
        measured="; ".join(f"{name} {s}" for name, s in result.slopes.items()),
        holds=all(s.contains(result.expected) for s in result.slopes.values()),
        control="eta terms 5 % too large: "
        + "; ".join(f"{name} {result.control[name]}" for name in told or result.control),
        control_fails=result.control_fails,
    )


def _error_rows(subject: _Subject) -> tuple[list[Row], Any]:
    """Return theory, finite width and round-off, each told apart from the other two."""
    parts = error_parts(subject.model, subject.loss, subject.optimizer, **subject.constants)
    theory, width, rounding = parts.controls_fail

    def worst(found: Mapping[str, float]) -> str:
        return f"{max(found.values()):.1e}"

    rows = [
        Row(
            claim=f"theory error: map and raw network in {parts.digits} digits, n = {parts.n}",
            criterion=f"at most {parts.tolerance:.0e} in every variable over {parts.steps} steps",
            measured=worst(parts.theory), holds=parts.theory_holds,
            control=f"eta^2 terms 0.1 % too large: {worst(parts.theory_control)}",
            control_fails=theory,
        ),
        Row(
            claim=f"round-off: map in float64 and in {parts.digits} digits",
            criterion=f"at most {ORBIT_TOLERANCE:.0e} in every variable over {parts.steps} steps",
            measured=worst(parts.rounding), holds=parts.rounding_holds,
            control=f"float32: {worst(parts.rounding_control)}", control_fails=rounding,
        ),
    ]  # fmt: skip
    if parts.slopes:
        said = ", ".join(f"{k} {v:.6f}" for k, v in parts.slopes.items())
        blind = ", ".join(f"{k} {v:.3f}" for k, v in parts.slopes_control.items())
        rows.append(Row(
            claim=f"finite width: map and its limit in {parts.digits} digits ~ 1/n",
            criterion=f"slope within {SLOPE_WITHIN:g} of -1 from n = 1e6 to 1e8",
            measured=said, holds=parts.width_holds,
            control=f"eta terms of the limit 5 % too large: {blind}", control_fails=width,
        ))  # fmt: skip
    return rows, parts


def _edge_rows(seeds: int) -> tuple[list[Row], Any]:
    result = scalar_edge(seeds=seeds)
    wrong = scalar_edge(seeds=min(seeds, 4), altered=_too_strong)
    row = Row(
        claim=f"eta_max = 4/lambda_0 at n = {', '.join(f'{n:g}' for n in result.widths)}",
        criterion="every start's bracket contains eta*lam0 = 4",
        measured=f"brackets from {result.low.min():.4f} to {result.high.max():.4f}, "
        f"{result.low.size} starts",
        holds=result.contains(EDGE),
        control=f"eta^2 terms 10 % too large: from {wrong.low.min():.4f} to {wrong.high.max():.4f}",
        control_fails=not wrong.contains(EDGE),
    )
    return [row], result


def _boundary_rows(subject: _Subject, seeds: int) -> tuple[list[Row], Any]:
    widths = (256, 10**10) if subject.quick else BOUNDARY_WIDTHS
    result = linear_boundary(subject.data, widths, seeds)
    wrong = linear_boundary(
        subject.data, widths[-1:], min(seeds, 4), steps=500, altered=_too_strong, backend="array"
    )
    wide = [i for i, n in enumerate(widths) if n >= WIDE]
    medians = ", ".join(f"{result.median[i]:.3f} at {widths[i]:g}" for i in range(len(widths)))
    near = Row(
        claim="the first diverging learning rate closes on 4/lambda_0",
        criterion=f"median within 2 % of 4 for n >= {WIDE:g} ({seeds} seeds)",
        measured=medians,
        holds=all(abs(result.median[i] - EDGE) <= EDGE_WITHIN * EDGE for i in wide),
        control=f"eta^2 terms 10 % too large: {wrong.median[0]:.3f} at {widths[-1]:g}",
        control_fails=not abs(wrong.median[0] - EDGE) <= EDGE_WITHIN * EDGE,
    )
    spread = Row(
        claim="its spread between seeds shrinks with the width",
        criterion="distance of the quartiles smaller at the largest width than at the smallest",
        measured=", ".join(f"{s:.3f} at {n:g}" for s, n in zip(result.spread, widths, strict=True)),
        holds=bool(result.spread[-1] < result.spread[0]),
        control=f"widths in reverse: {result.spread[0]:.3f} after {result.spread[-1]:.3f}",
        control_fails=not result.spread[0] < result.spread[-1],
    )
    return [near, spread], result


_too_strong = partial(with_wrong_coefficient, order=2, excess=0.1)


def _model_and_data(model: Any, data: Any, loss: Any) -> tuple[Model, Any]:
    softmax = losses.get(loss) == losses.softmax_cross_entropy
    is_matrix = model.is_matrix if isinstance(model, Model) else model == "linear"
    if is_matrix and data is None:
        outputs = model.output.shape[1] if isinstance(model, Model) else None
        many = softmax or outputs == 10
        data = digits(protocol="classes" if many else "parity")
    if not is_matrix and data is not None:
        raise InputError("this model has one sample and a label of its own: leave data out")
    return model_of(model, data), data
