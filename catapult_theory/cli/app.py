"""The application: its errors, its options, and how models and numbers are written on it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

from catapult_theory.errors import CatapultError, InputError

# Typer names but this one of click's errors of usage, whose base is that of all.
_UsageError = cast(type[Exception], typer.BadParameter.__mro__[1])


class OneLineErrors(TyperGroup):
    """The commands, with errors of usage and of the toolkit as one line and exit code 2."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the options that stand before a command."""
        try:
            return super().make_context(*arguments, **options)
        except _UsageError as error:
            raise _ended(error) from error

    def invoke(self, ctx: Any) -> Any:
        """Run a command; typer itself would end an interrupted one without a word."""
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            raise _ended(error) from error
        except CatapultError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from error
        except KeyboardInterrupt as stop:
            typer.echo("interrupted; what was finished has been kept", err=True)
            raise typer.Exit(130) from stop


def _ended(error: Any) -> Exception:
    """Say an error of usage in one line, and return what ends the program."""
    if type(error).__name__ == "NoArgsIsHelpError":  # no error: the help is what was wanted
        return cast(Exception, error)
    text = " ".join(error.format_message().split()).rstrip(".")
    of_command = error.ctx is not None and error.ctx.parent is not None
    name = f"catapult {error.ctx.info_name}" if of_command else "catapult"
    typer.echo(f"error: {text[:1].lower()}{text[1:]}; see {name} --help", err=True)
    return typer.Exit(2)


app = typer.Typer(
    name="catapult",
    cls=OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

# Columns of a table that goes to a file; $COLUMNS says otherwise.
WIDE = 160
MODEL_HELP = (
    "a model of the zoo: uv, linear, quadratic_activation, ...; after a colon label (a symbol) or "
    "a number for the label, such as uv:0.5, k for any number of outputs (linear:k), or "
    "arguments by name: matrix_sensing:rows=2,cols=3, aligned_mode:depth=4"
)
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)]
ModelOption = Annotated[str, typer.Option("--model", help=MODEL_HELP)]
OPTIMIZER_HELP = (
    "gd, weight_decay, heavy_ball, nesterov, torch_heavy_ball, torch_nesterov, decoupled, clipped, "
    "normalised, sam, unnormalised_sam, sgd"
)
LossName = Annotated[
    str, typer.Option("--loss", help="squared, logistic, exponential, huber, softmax_cross_entropy")
]
OptimizerName = Annotated[str, typer.Option("--optimizer", help=OPTIMIZER_HELP)]
Inputs = Annotated[int | None, typer.Option("--inputs", help="matrix models: inputs d")]
Outputs = Annotated[int, typer.Option("--outputs", help="matrix models: outputs k")]


def show(table: Any) -> None:
    """Print a table: as wide as the terminal, wide enough to be read where it goes to a file.

    Parameters
    ----------
    table : rich.table.Table
    """
    from rich.console import Console

    console = Console()
    aside = not console.is_terminal and "COLUMNS" not in os.environ
    (Console(width=WIDE) if aside else console).print(table)


def progress_bar() -> Any:
    """Return a bar of progress on standard error; without a terminal it shows nothing at all.

    Returns
    -------
    rich.progress.Progress
    """
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def model_of(name: str, inputs: int | None = None, outputs: int = 1) -> Any:
    """Return the zoo model that a name on the command line means.

    Parameters
    ----------
    name : str
        A zoo name; after a colon ``label`` (a symbol), a number for the label, or ``k``.
    inputs, outputs : int
        Sizes of the matrix models that have them.

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

    return models.from_text(name, inputs, outputs)


def subject_of(name: str, loss: str, optimizer: str) -> Any:
    """Return what a claim is about: a zoo model, or an update map that is known by its name.

    Parameters
    ----------
    name : str
    loss, optimizer : str

    Returns
    -------
    Model or UpdateMap

    Raises
    ------
    InputError
        For an unknown name, label or optimizer.

    Examples
    --------
    >>> subject_of("uv", "squared", "gd").name
    'uv'
    """
    from catapult_theory.symbolic import models

    return models.map_from_text(name, loss, optimizer) or model_of(name)


def map_of(
    name: str, loss: str, optimizer: str, inputs: int | None = None, outputs: int = 1
) -> Any:
    """Return the exact dynamics that the words of a command line mean.

    Parameters
    ----------
    name : str
        A model of the zoo, as for `model_of`, or an update map: aligned_mode:depth=4.
    loss, optimizer : str
    inputs, outputs : int
        Sizes of the matrix models that have them.

    Returns
    -------
    UpdateMap

    Raises
    ------
    InputError
        For an unknown name, label, loss or optimizer.
    NotClosed
        If there is none.

    Examples
    --------
    >>> map_of("uv", "squared", "gd").state
    State(f=f, lam=lam)
    """
    from catapult_theory.symbolic import closure, models

    known = models.map_from_text(name, loss, optimizer)
    return known or closure.derive(model_of(name, inputs, outputs), loss, optimizer)


def check_one(options: Mapping[str, bool]) -> None:
    """Refuse options that exclude one another: each is a form of the whole output.

    Parameters
    ----------
    options : mapping of str to bool
        Whether each was given.

    Raises
    ------
    InputError

    Examples
    --------
    >>> check_one({"--latex": True, "--json": True})
    Traceback (most recent call last):
    ...
    catapult_theory.errors.InputError: --latex and --json exclude each other: give one of them
    """
    given = [option for option, is_given in options.items() if is_given]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} exclude each other: give one of them")


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
            if int(count) < 1:
                raise ValueError(count)
            return np.linspace(float(low), float(high), int(count))
        values = [float(part) for part in text.split(",")]
    except ValueError as cause:
        raise InputError(
            f"{text!r} is neither numbers (0.5,1,2) nor lo:hi:count, a count of at least 1"
        ) from cause
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
