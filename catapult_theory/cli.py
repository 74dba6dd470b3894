"""The command line: ``catapult report``, ``derive``, ``export``, ``run`` and more, see ``--help``.

Exit codes: 0 done (a claim holds); 1 a claim fails; 2 bad input, one line on standard error;
3 a claim that holds only asymptotically or was not decided; 130 interrupted.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from catapult_theory.errors import CatapultError, InputError, OutputError


class OneLineErrors(TyperGroup):
    """The commands, with errors of the toolkit as one line and exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; typer itself would end an interrupted one without a word."""
        try:
            return super().invoke(ctx)
        except CatapultError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from error
        except KeyboardInterrupt as stop:
            typer.echo("interrupted; what was finished has been kept", err=True)
            raise typer.Exit(130) from stop


app = typer.Typer(
    name="catapult",
    cls=OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

MODEL_HELP = "uv, uv:label, uv:0.5 (a label) or linear"
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)]
ModelOption = Annotated[str, typer.Option("--model", help=MODEL_HELP)]
LossName = Annotated[str, typer.Option("--loss", help="squared, logistic, softmax_cross_entropy")]
OptimizerName = Annotated[str, typer.Option("--optimizer", help="gd, weight_decay, heavy_ball")]
Inputs = Annotated[int | None, typer.Option("--inputs", help="linear: input dimension d")]
Outputs = Annotated[int, typer.Option("--outputs", help="linear: number of outputs k")]

EXIT_OF_VERDICT = {"holds": 0, "holds-under-hypotheses": 0, "fails": 1}


def model_of(name: str, inputs: int | None = None, outputs: int = 1) -> Any:
    """Return the zoo model that a name on the command line means.

    Parameters
    ----------
    name : str
        A zoo name; after a colon ``label`` (a symbol) or a number for the label.
    inputs, outputs : int
        Sizes of the linear network.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        For an unknown name or label.

    Examples
    --------
    >>> model_of("uv:0.5").label
    1/2
    """
    from catapult_theory.symbolic import models

    base, _, label = name.partition(":")
    if base == "linear":
        if label:
            raise InputError(f"{name!r}: the linear network takes its targets with the data")
        return models.get(base, inputs=inputs, outputs=outputs)
    if not label:
        return models.get(base)
    if label == "label":
        return models.get(base, label=True)
    try:
        return models.get(base, label=float(label))
    except ValueError as cause:
        raise InputError(f"{name!r}: after the colon stands 'label' or a number") from cause


def numbers(text: str) -> Any:
    """Return the numbers that a text lists: ``0.5,1,2``, or ``lo:hi:count`` for a range.

    Parameters
    ----------
    text : str

    Returns
    -------
    float or numpy.ndarray

    Raises
    ------
    InputError
        If it is neither.

    Examples
    --------
    >>> numbers("0:1:5")
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    import numpy as np

    try:
        if ":" in text:
            low, high, count = text.split(":")
            return np.linspace(float(low), float(high), int(count))
        values = [float(part) for part in text.split(",")]
    except ValueError as cause:
        raise InputError(f"{text!r} is neither numbers (0.5,1,2) nor lo:hi:count") from cause
    return values[0] if len(values) == 1 else np.array(values)


def _print_version(wanted: bool) -> None:
    if wanted:
        from catapult_theory import __version__

        typer.echo(f"catapult_theory {__version__}")
        raise typer.Exit()


Version = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print it and end")
]


@app.callback(epilog="Example: catapult report")
def options(version: Version = False) -> None:
    """Exact training dynamics at large learning rates: derive, run, verify, report."""


@app.command(epilog="Example: catapult derive uv:label --steps")
def derive(
    model: ModelName,
    loss: LossName = "squared",
    optimizer: OptimizerName = "gd",
    inputs: Inputs = None,
    outputs: Outputs = 1,
    steps: Annotated[bool, typer.Option("--steps", help="show the derivation")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="print LaTeX")] = False,
    json: Annotated[bool, typer.Option("--json", help="print the map as JSON")] = False,
) -> None:
    """Derive the exact closed update equations of a model."""
    from catapult_theory.symbolic.closure import derive as derive_map

    found = derive_map(model_of(model, inputs, outputs), loss, optimizer)
    if json:
        typer.echo(found.to_json())
    elif latex:
        typer.echo(found.latex())
    else:
        typer.echo(found.derivation() + "\n" if steps else "", nl=False)
        typer.echo(str(found))


@app.command(epilog="Example: catapult export uv --target c -o uv.h")
def export(
    model: ModelName,
    target: Annotated[str, typer.Option("--target", help="c, numba, jax or array")],
    loss: LossName = "squared",
    optimizer: OptimizerName = "gd",
    inputs: Inputs = None,
    outputs: Outputs = 1,
    dtype: Annotated[str, typer.Option(help="float64; float32 for surveys")] = "float64",
    out: Annotated[str, typer.Option("--out", "-o", help="file; - for standard output")] = "-",
    force: Annotated[bool, typer.Option("--force", help="replace an existing file")] = False,
) -> None:
    """Write a kernel as one file that needs nothing of this package."""
    from catapult_theory.codegen.export import check_destination, exported, write_whole
    from catapult_theory.symbolic.closure import derive as derive_map

    if out != "-":
        check_destination(Path(out), target, force)
    source = exported(derive_map(model_of(model, inputs, outputs), loss, optimizer), target, dtype)
    if out == "-":
        typer.echo(source, nl=False)
    else:
        write_whole(Path(out), source)


@app.command(epilog="Example: catapult run uv --eta 0.2:2.2:11 --n 4096 --f 1 --lam 2 --steps 500")
def run(
    model: ModelName,
    eta: Annotated[str, typer.Option(help="learning rates: 0.5,1 or lo:hi:count")],
    n: Annotated[str, typer.Option(help="widths")] = "4096",
    steps: Annotated[int, typer.Option(help="training steps")] = 500,
    f: Annotated[float | None, typer.Option(help="output at the start")] = None,
    lam: Annotated[float | None, typer.Option(help="tangent kernel at the start")] = None,
    y: Annotated[float | None, typer.Option(help="label")] = None,
    beta: Annotated[float | None, typer.Option(help="momentum")] = None,
    omega: Annotated[float | None, typer.Option(help="weight decay")] = None,
    seed: Annotated[int, typer.Option(help="random start, where f and lam are not given")] = 0,
    loss: LossName = "squared",
    optimizer: OptimizerName = "gd",
    outputs: Outputs = 1,
    data: Annotated[Path | None, typer.Option(help="linear: .npz with X and y; or digits")] = None,
    out: Annotated[Path | None, typer.Option(help="write the result as netCDF")] = None,
) -> None:
    """Run the exact dynamics over learning rates and widths."""
    from catapult_theory.codegen.grid import grid
    from catapult_theory.codegen.run import run as run_map
    from catapult_theory.phases.classification import classify
    from catapult_theory.symbolic.closure import derive as derive_map

    _check_target(out)
    pair = _data(model, data, outputs)
    found = derive_map(model_of(model, outputs=outputs), loss, optimizer)
    axes: dict[str, Any] = grid(eta=numbers(eta), n=numbers(n))
    given: dict[str, Any] = {
        k: v for k, v in {"y": y, "beta": beta, "omega": omega}.items() if v is not None
    }
    start = _start(found, f, lam, seed)
    extra = ("lam",) if found.is_matrix else ()
    result = run_map(found, start, steps, data=pair, observables=extra, **axes, **given)
    result["behaviour"] = classify(result)
    if out is not None:
        _save(result, out)
    _print_runs(result)


def _data(model: str, path: Path | None, outputs: int) -> Any:
    if not model.startswith("linear"):
        return None
    from catapult_theory.networks.datasets import digits, load

    if path is None or str(path) == "digits":
        return tuple(digits(protocol="parity" if outputs == 1 else "classes"))
    return tuple(load(path))


def _start(update_map: Any, f: float | None, lam: float | None, seed: int) -> Any:
    if f is None and lam is None:
        from catapult_theory.networks.starts import gaussian_start

        return gaussian_start(seed=seed)
    if update_map.is_matrix:
        raise InputError("--f and --lam are for the uv-model: give --seed instead")
    known = {"f": 1.0 if f is None else f, "lam": 2.0 if lam is None else lam}
    return {s.name: known.get(s.name, 0.0) for s in update_map.variables}


def _check_target(path: Path | None) -> None:
    """Refuse a file that cannot be written before work is done for it."""
    if path is None:
        return
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OutputError(f"cannot write {path}: give a file in an existing, writable folder")


def _save(dataset: Any, path: Path) -> None:
    try:
        dataset.to_netcdf(path, engine="h5netcdf")
    except OSError as cause:
        raise OutputError(f"cannot write {path}: {cause.strerror or cause}") from cause


def _print_runs(dataset: Any) -> None:
    frame = dataset[["loss", "lam", "peak_loss", "peak_step", "behaviour"]]
    rows = frame.to_dataframe().reset_index() if frame.dims else None
    if rows is None:
        for name in frame:
            typer.echo(f"{name}: {frame[name].item()}")
        return
    table = Table(title=f"{dataset.attrs['model']}, {dataset.attrs['exactness']}")
    columns = [c for c in ("eta", "n", "seed", *frame) if c in rows.columns]
    for column in columns:
        table.add_column(column, justify="right")
    for _, row in rows.iterrows():
        table.add_row(*(_shown(row[c]) for c in columns))
    Console().print(table)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def _in_numbers(bound: Any) -> str:
    """Return a bound in one line; what it rests on stands above, with the symbols."""
    import sympy as sp

    if bound.bracket is not None:
        value = "in [{:.10g}, {:.10g}]".format(*bound.bracket)
    elif bound.expr is None:
        value = "has no closed form"
    else:
        value = f"= {float(bound.expr):.10g}" if bound.expr.is_number else f"= {bound.expr}"
    condition = "" if bound.condition is sp.true else f", for {bound.condition}"
    return f"{bound.name} {value}  [{bound.status}{condition}]"


@app.command(epilog="Example: catapult phases uv:label --lam 2 --f 0.3 --y 5 --n 100 --eta 0.9,1.8")
def phases(
    model: ModelName,
    lam: Annotated[float | None, typer.Option(help="tangent kernel at the start")] = None,
    f: Annotated[float | None, typer.Option(help="output at the start")] = None,
    y: Annotated[float | None, typer.Option(help="label")] = None,
    n: Annotated[float | None, typer.Option(help="width")] = None,
    beta: Annotated[float | None, typer.Option(help="momentum")] = None,
    omega: Annotated[float | None, typer.Option(help="weight decay")] = None,
    eta: Annotated[str | None, typer.Option(help="learning rates to predict the phase of")] = None,
    loss: LossName = "squared",
    optimizer: OptimizerName = "gd",
) -> None:
    """Print the bounds of the phases, in symbols or numbers, and predicted phases."""
    from catapult_theory.phases.bounds import phase_bounds
    from catapult_theory.phases.predict import predict_phase
    from catapult_theory.symbolic.closure import derive as derive_map

    found = derive_map(model_of(model), loss, optimizer)
    options = {"lam": lam, "f": f, "y": y, "n": n, "beta": beta, "omega": omega}
    given: dict[str, Any] = {k: v for k, v in options.items() if v is not None}
    typer.echo(str(phase_bounds(found)))
    if given:
        typer.echo("\nat " + ", ".join(f"{k} = {v:g}" for k, v in given.items()))
        numeric = phase_bounds(found, **given)
        for bound in (numeric.eta_crit, numeric.eta_max, numeric.eta_stable):
            typer.echo(_in_numbers(bound))
    if eta is not None:
        import numpy as np

        rates = np.atleast_1d(numbers(eta))
        for rate, phase in zip(rates, predict_phase(found, eta=rates, **given), strict=True):
            typer.echo(f"eta = {rate:g}: {phase}")


@app.command(epilog='Example: catapult verify "lambda\' = lambda + eta*f**2/n*(eta*lambda - 4)"')
def verify(
    claim: Annotated[str, typer.Argument(metavar="CLAIM", help="an equation or inequality")],
    model: ModelOption = "uv",
    loss: LossName = "squared",
    optimizer: OptimizerName = "gd",
    where: Annotated[str | None, typer.Option(help="hypotheses: 'y = 0, eta*lam < 4'")] = None,
    scaling: Annotated[str | None, typer.Option(help="'f = O(sqrt(n))'")] = None,
) -> None:
    """Judge a claim about one training step: proof, counterexample, or order in 1/n."""
    from catapult_theory.rigor.verify import verify as judge

    verdict = judge(
        claim, model_of(model), loss=loss, optimizer=optimizer, where=where, scaling=scaling
    )
    typer.echo(str(verdict))
    raise typer.Exit(EXIT_OF_VERDICT.get(verdict.status, 3))


@app.command(epilog="Example: catapult report --out my-report")
def report(
    out: Annotated[Path, typer.Option(help="folder to write")] = Path("catapult-report"),
    quick: Annotated[bool, typer.Option("--quick", help="fewer seeds, widths and cases")] = False,
    seed: Annotated[int, typer.Option(help="seed of every random start")] = 0,
    threads: Annotated[int | None, typer.Option(help="default: all cores")] = None,
) -> None:
    """Do the main job on real data: derive, compile, run, validate; figures, data, one page."""
    from catapult_theory.report.pipeline import write_report

    paths = write_report(out, quick=quick, seed=seed, threads=threads, console=Console())
    typer.echo(f"open {paths.index}")


@app.command(epilog="Example: catapult doctor")
def doctor() -> None:
    """Print versions, compilers and optional parts, and how to get what is missing."""
    from catapult_theory import __version__
    from catapult_theory.codegen.storage import cache_folder
    from catapult_theory.doctor import examine

    table = Table(title=f"catapult_theory {__version__}")
    for column in ("part", "for", "version"):
        table.add_column(column)
    parts = examine()
    for part in parts:
        table.add_row(part.name, part.purpose, part.version or "[red]missing[/red]")
    Console().print(table)
    for part in parts:
        if part.version is None:
            typer.echo(f"to get {part.name}: {part.remedy}")
    typer.echo(f"generated code is cached in {cache_folder()}")


def main() -> None:
    """Run the command line.

    Examples
    --------
    >>> main.__name__
    'main'
    """
    app()
