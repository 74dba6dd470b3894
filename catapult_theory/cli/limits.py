"""The command on the limit of large width: trained loss curves beside the exact ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from catapult_theory.cli.app import app, numbers, progress_bar
from catapult_theory.cli.files import check_target, save_netcdf
from catapult_theory.errors import InputError, OutputError


@app.command(epilog="Example: catapult limit --data mnist --samples 1000 --figure limit.png")
def limit(
    data: Annotated[
        str, typer.Option(help="digits, mnist, fashion, photographs; or .npz with X and y")
    ] = "digits",
    samples: Annotated[int, typer.Option(help="how many images")] = 256,
    loss: Annotated[str, typer.Option(help="of the closed map")] = "softmax_cross_entropy",
    widths: Annotated[str, typer.Option(help="of the trained networks")] = "256,512,1024,2048",
    seeds: Annotated[int, typer.Option(help="networks of each width")] = 3,
    eta: Annotated[float, typer.Option(help="learning rate times lambda_0")] = 1.0,
    steps: Annotated[int, typer.Option(help="of training")] = 40,
    out: Annotated[Path | None, typer.Option(help="netCDF file to write")] = None,
    figure: Annotated[Path | None, typer.Option(help="picture to write: .png or .svg")] = None,
) -> None:
    """Train networks of several widths beside the exact map at width 10^10; fit the slope in n.

    Exit code 1 if the interval of the slope does not hold -1, or the wrong map passes too.
    """
    import numpy as np

    from catapult_theory.networks.datasets import load
    from catapult_theory.networks.images import images
    from catapult_theory.validation.limit_curves import limit_curves

    for target in (out, figure):
        check_target(target)
    sizes = [_width(n) for n in np.atleast_1d(numbers(widths))]
    whole = load(data) if data.endswith(".npz") else images(data, samples)
    with progress_bar() as bar:
        task = bar.add_task("training networks", total=None)
        found = limit_curves(
            whole, loss, sizes, seeds, eta, steps,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    typer.echo(str(found))
    dataset = found.to_dataset()
    try:
        if out is not None:
            save_netcdf(dataset, out)
            typer.echo(f"wrote {out}")
        if figure is not None:
            from catapult_theory.report.figures import limit_curves as drawn

            drawn(dataset).savefig(figure)
            typer.echo(f"wrote {figure}")
    except (OSError, ValueError) as cause:
        raise OutputError(f"cannot write: {cause}") from cause
    raise typer.Exit(0 if found.passed else 1)


def _width(n: float) -> int:
    if n < 1 or n != int(n):
        raise InputError(f"a width is a whole number of at least 1, not {n:g}")
    return int(n)
