"""Commands on the dynamics of a model: derive, export, run, phases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from catapult_theory.cli.app import (
    Inputs,
    LossName,
    ModelName,
    OptimizerName,
    Outputs,
    app,
    check_one,
    map_of,
    numbers,
    show,
)
from catapult_theory.cli.files import check_target, save_netcdf
from catapult_theory.cli.starts import start_of, start_options
from catapult_theory.errors import InputError, StartError


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
    check_one({"--steps": steps, "--latex": latex, "--json": json})
    found = map_of(model, loss, optimizer, inputs, outputs)
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

    if out != "-":
        check_destination(Path(out), target, force)
    source = exported(map_of(model, loss, optimizer, inputs, outputs), target, dtype)
    if out == "-":
        typer.echo(source, nl=False)
    else:
        write_whole(Path(out), source)


@app.command(epilog="Example: catapult run uv --eta 0.2:2.2:11 --n 4096 --f 1 --lam 2 --steps 500")
def run(
    model: ModelName,
    eta: Annotated[str, typer.Option(help="learning rates: 0.5,1 or lo:hi:count")],
    n: Annotated[str | None, typer.Option(help="widths; 4096 where the map has one")] = None,
    steps: Annotated[int, typer.Option(help="training steps")] = 500,
    f: Annotated[float | None, typer.Option(help="output at the start")] = None,
    lam: Annotated[float | None, typer.Option(help="tangent kernel at the start")] = None,
    start: Annotated[str | None, typer.Option(help="state by name: w1=1,w2=0.5")] = None,
    seed: Annotated[int | None, typer.Option(help="of a random start, the default: 0")] = None,
    y: Annotated[float | None, typer.Option(help="label")] = None,
    beta: Annotated[float | None, typer.Option(help="momentum")] = None,
    omega: Annotated[float | None, typer.Option(help="weight decay")] = None,
    clip: Annotated[float | None, typer.Option(help="clipped: largest gradient norm")] = None,
    rho: Annotated[float | None, typer.Option(help="sam: radius")] = None,
    loss: LossName = "squared",
    optimizer: OptimizerName = "gd",
    outputs: Outputs = 1,
    data: Annotated[
        Path | None, typer.Option(help="matrix models: .npz with X and y; linear: or digits")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="write the result as netCDF")] = None,
) -> None:
    """Run the exact dynamics over learning rates and widths."""
    from catapult_theory.codegen.grid import grid
    from catapult_theory.codegen.run import run as run_map
    from catapult_theory.phases.classification import classify

    check_target(out)
    found = map_of(model, loss, optimizer, outputs=outputs)
    pair = _data(found, model, data, outputs)
    names = {c.name for c in found.constants}
    widths = {"n": "4096" if n is None else n} if n is not None or "n" in names else {}
    axes: dict[str, Any] = grid(**{k: numbers(v) for k, v in {"eta": eta, **widths}.items()})
    options = {"y": y, "beta": beta, "omega": omega, "clip": clip, "rho": rho}
    given: dict[str, Any] = {k: v for k, v in options.items() if v is not None}
    _check_given(found, names & set(options), given)
    begun = start_of(found, {"f": f, "lam": lam}, start, seed)
    extra = ("lam",) if found.is_matrix else ()
    try:
        result = run_map(found, begun, steps, data=pair, observables=extra, **axes, **given)
    except StartError as error:
        raise InputError(f"{error.fact}; {start_options(found)}") from error
    result["behaviour"] = classify(result)
    if out is not None:
        save_netcdf(result, out)
    _print_runs(result)
    if out is not None:
        typer.echo(f"wrote {out}")


def _check_given(update_map: Any, needed: Iterable[str], given: Mapping[str, Any]) -> None:
    """Refuse a call without a number that has an option of its own here."""
    missing = sorted(set(needed) - set(given))
    if missing:
        options = ", ".join(f"--{name}" for name in missing)
        raise InputError(f"{update_map.model} needs {', '.join(missing)}: give {options}")


def _data(update_map: Any, model: str, path: Path | None, outputs: int) -> Any:
    if not update_map.is_matrix:
        if path is not None:
            raise InputError(
                f"{update_map.model} trains on no data: leave --data out, or take linear"
            )
        return None
    from catapult_theory.networks.datasets import load
    from catapult_theory.networks.images import digits

    if model.startswith("linear") and (path is None or str(path) == "digits"):
        return tuple(digits(protocol="parity" if outputs == 1 else "classes"))
    if path is None:
        raise InputError(f"{update_map.model} needs data: give --data, an .npz with X and y")
    return tuple(load(path))


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
    show(table)


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
    import numpy as np

    from catapult_theory.phases.bounds import phase_bounds
    from catapult_theory.phases.predict import predict_phase

    found = map_of(model, loss, optimizer)
    options = {"lam": lam, "f": f, "y": y, "n": n, "beta": beta, "omega": omega}
    given: dict[str, Any] = {k: v for k, v in options.items() if v is not None}
    # All that may be refused comes before the first line that is printed.
    bounds = phase_bounds(found)
    lines = [str(bounds)]
    if given:
        lines.append("\nat " + ", ".join(f"{k} = {v:g}" for k, v in given.items()))
        numeric = phase_bounds(found, **given)
        lines += map(_in_numbers, (numeric.eta_crit, numeric.eta_max, numeric.eta_stable))
    if eta is not None:
        rates = np.atleast_1d(numbers(eta))
        needed = {s.name for s in _symbols(bounds)} & set(options)
        _check_given(found, needed, given)
        predicted = predict_phase(found, eta=rates, **given)
        lines += [f"eta = {r:g}: {phase}" for r, phase in zip(rates, predicted, strict=True)]
    typer.echo("\n".join(lines))


def _symbols(bounds: Any) -> set[Any]:
    """Return what the bounds and their conditions depend on."""
    each = (bounds.eta_crit, bounds.eta_max, bounds.eta_stable)
    parts = [e for b in each for e in (b.expr, b.condition) if e is not None]
    return set().union(*(part.free_symbols for part in parts))
