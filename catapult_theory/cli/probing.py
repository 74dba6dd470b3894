"""The command on a user's own network: probe."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from catapult_theory.cli.app import app
from catapult_theory.cli.files import check_target, save_netcdf
from catapult_theory.errors import InputError


@app.command(epilog="Example: catapult probe mynets:make_net --data digits --loss cross_entropy")
def probe(
    network: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:NAME", help="a function that makes a torch.nn.Module, or such a module"
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            help="digits (ten classes, a network of 64 inputs and 10 outputs); a .npz file with X "
            "and y; or module:name of a pair (X, y)"
        ),
    ],
    loss: Annotated[str, typer.Option(help="squared, mse, cross_entropy, logistic")] = "mse",
    samples: Annotated[int, typer.Option(help="digits: how many")] = 256,
    seeds: Annotated[int | None, typer.Option(help="starts, for a function; 3")] = None,
    steps: Annotated[int, typer.Option(help="training steps of a run")] = 200,
    accuracy: Annotated[float, typer.Option(help="from which a run is useful")] = 0.9,
    highest: Annotated[float, typer.Option(help="largest eta*lambda_0 tried")] = 40.0,
    dtype: Annotated[str, typer.Option(help="float64 or float32")] = "float64",
    chunk: Annotated[int | None, typer.Option(help="samples at a time: less memory")] = None,
    figure: Annotated[Path | None, typer.Option(help="draw it: .png, .svg or .pdf")] = None,
    out: Annotated[Path | None, typer.Option(help="write the runs as netCDF")] = None,
) -> None:
    """Measure the lazy, catapult and divergent learning rates of a PyTorch network of yours."""
    from catapult_theory.validation.probing import probe as measure

    for target in (figure, out):
        check_target(target)
    _check_format(figure)
    found = named(network)
    X, y = _data(data, loss, samples)
    console = Console(stderr=True)
    shown = console if console.is_terminal else None
    result = measure(
        found, X, y, loss, seeds=seeds, steps=steps, accuracy=accuracy, highest=highest,
        dtype=dtype, chunk=chunk, console=shown,
    )  # fmt: skip
    typer.echo(str(result))
    if figure is not None:
        from catapult_theory.report.probe_figure import probe_figure

        probe_figure(result).savefig(figure, dpi=150)
        typer.echo(f"wrote {figure}")
    if out is not None:
        save_netcdf(result.to_dataset(), out)
        typer.echo(f"wrote {out}")
    if result.stopped == "interrupted":
        raise KeyboardInterrupt


def named(text: str) -> Any:
    """Return what ``module:name`` means, the current folder being searched first.

    Parameters
    ----------
    text : str

    Returns
    -------
    object

    Raises
    ------
    InputError
        If there is no such module or name.

    Examples
    --------
    >>> named("math:pi")
    3.141592653589793
    """
    module, colon, name = text.partition(":")
    if not (module and colon and name):
        raise InputError(f"{text!r} is no module:name, such as mynets:make_net")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    from catapult_theory.networks.users_code import said

    try:
        found = import_module(module)
    except ImportError as cause:
        raise InputError(
            f"cannot import {module!r} ({cause}): give the name of a Python file in this folder, "
            "without .py, or of an installed module"
        ) from cause
    except Exception as cause:  # whatever the user's file raises
        raise InputError(f"cannot import {module!r}, {said(cause)}: mend the file") from cause
    for part in name.split("."):
        if not hasattr(found, part):
            raise InputError(f"{module} has no {name!r}: give a function or class that it defines")
        found = getattr(found, part)
    return found


def _data(text: str, loss: str, samples: int) -> tuple[Any, Any]:
    if text == "digits":
        from catapult_theory.networks.images import digits

        # Ten classes: parity, for one output, is a call of ct.digits() in the user's file.
        X, rows = digits(samples, "classes")
        return X, rows.argmax(axis=1) if loss == "cross_entropy" else rows
    if text.endswith(".npz"):
        from catapult_theory.networks.datasets import read_arrays

        return read_arrays(text)
    if ":" not in text:
        raise InputError(f"--data {text!r} is neither digits, nor an .npz file, nor module:name")
    from catapult_theory.networks.users_code import said

    found = named(text)
    try:
        pair = found() if callable(found) else found
    except Exception as cause:  # whatever the user's function raises
        raise InputError(f"--data {text} gives no data, {said(cause)}: mend it") from cause
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise InputError(f"--data {text} must be a pair (X, y), or a function that returns one")
    return pair[0], pair[1]


def _check_format(path: Path | None) -> None:
    if path is not None and path.suffix not in (".png", ".svg", ".pdf"):
        raise InputError(f"cannot draw {path}: figures are .png, .svg or .pdf")
