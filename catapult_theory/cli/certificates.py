"""Commands on certificates: certify, which makes a map of proved phases or checks one again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from catapult_theory.cli.app import app, check_one
from catapult_theory.cli.files import check_new, check_target
from catapult_theory.errors import InputError


@app.command(epilog="Example: catapult certify --kappa 0.3 --box 0:8,0:8 --budget 60 --out map.nc")
def certify(
    kappa: Annotated[float, typer.Option(help="eta*y/sqrt(n), at least 0")] = 0.0,
    box: Annotated[str, typer.Option(help="X and Y = a +- 2q: low:high,low:high")] = "0:8,0:8",
    budget: Annotated[float, typer.Option(help="seconds")] = 60.0,
    levels: Annotated[int, typer.Option(help="halve a cell at most this often")] = 48,
    threads: Annotated[int, typer.Option(help="cores to use")] = 2,
    out: Annotated[Path | None, typer.Option(help="netCDF file to write")] = None,
    force: Annotated[bool, typer.Option("--force", help="replace an existing file")] = False,
    check: Annotated[Path | None, typer.Option(help="check this file instead")] = None,
    sample: Annotated[int, typer.Option(help="cells that --check draws")] = 200,
    seed: Annotated[int, typer.Option(help="of the sample")] = 0,
) -> None:
    """Prove the phase of every start in a box, with a label; or check such a map again.

    Exit code 1 if a check finds a certificate that does not hold.
    """
    check_one({"--check": check is not None, "--out": out is not None})
    if check is not None:
        _check(check, sample, seed)
        return
    (check_target if force else check_new)(out)
    from catapult_theory.rigor.certified.search import certify as search

    console = Console(stderr=True)
    shown = console if console.is_terminal else None
    found = search(
        kappa, _rectangle(box), budget=budget, levels=levels, threads=threads, console=shown
    )
    typer.echo(str(found))
    if out is not None:
        typer.echo(f"wrote {found.save(out)}")
    if found.attrs["stopped"] == "interrupted":
        raise KeyboardInterrupt


def _check(path: Path, sample: int, seed: int) -> None:
    from catapult_theory.rigor.certified.certificate_check import check_file

    found = check_file(path, sample, seed)
    typer.echo(str(found))
    raise typer.Exit(0 if found.valid else 1)


def _rectangle(text: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the box that ``low:high,low:high`` means."""
    try:
        (x0, x1), (y0, y1) = (map(float, side.split(":")) for side in text.split(","))
    except ValueError as cause:
        raise InputError(f"{text!r} is no box: write low:high,low:high, such as 0:8,0:8") from cause
    return (x0, x1), (y0, y1)
