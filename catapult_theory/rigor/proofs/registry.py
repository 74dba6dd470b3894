"""Proofs checked by Coq: which theorem proves which statement, and what it rests on.

The files lie beside the derivations. Statements on closures have no file: theirs is generated
from the engine's own map (`coq_closure`). A check that cannot run is "not-checked", never
"proved"; a theorem that rests on more than Coq's real numbers and classical logic is "failed".
"""

from __future__ import annotations

import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from catapult_theory.errors import unknown_name
from catapult_theory.rigor.proofs.coq import (
    STANDARD_AXIOMS,
    Outcome,
    Source,
    audit,
    check_sources,
    read_axioms,
)

if TYPE_CHECKING:
    from catapult_theory.rigor.proofs.closures import ClosureFile
    from catapult_theory.symbolic.update_map import UpdateMap

NO_FILES = "the proofs' .v files are not here: run from a checkout of the repository"


_LOST = Outcome("", "not-checked", detail=NO_FILES)


@dataclass(frozen=True)
class Place:
    """Where a statement is proved: the file's name without suffix, and its theorems."""

    file: str
    theorems: tuple[str, ...]


@dataclass(frozen=True)
class Closure:
    """A statement whose file is generated: the uv-model with its label, under an optimizer."""

    label: bool
    optimizer: str

    def file(self, name: str) -> ClosureFile:
        """Return the generated file."""
        from catapult_theory.rigor.proofs.closures import closure_file
        from catapult_theory.symbolic import models

        return closure_file(name, models.uv(label=self.label), optimizer=self.optimizer)


@dataclass(frozen=True)
class Proof:
    """One theorem and what became of its check.

    Parameters
    ----------
    statement : str
        Id of the statement that it belongs to.
    theorem, file : str
    status : str
        "proved", "failed" or "not-checked".
    axioms : tuple of str
        What the theorems of the statement rest on together, as Coq lists it.
    claim : str
        The theorem as Coq states it.
    seconds : float
        That coqc took for the whole file, audit included.
    detail : str
        Why it is not proved, with the remedy.
    """

    statement: str
    theorem: str
    file: str
    status: str
    axioms: tuple[str, ...] = ()
    claim: str = ""
    seconds: float = 0.0
    detail: str = ""

    @property
    def proved(self) -> bool:
        """Whether coqc accepted the proof, and it rests on standard axioms alone."""
        return self.status == "proved"


STATEMENTS: Mapping[str, Place | Closure] = MappingProxyType(
    {
        "T1": Place("uv_step", ("uv_gradient", "T1_output", "T1_kernel", "T1", "T1_unlabelled")),
        "T2": Place("uv_map", ("T2",)),
        "T3": Place("uv_map", ("T3",)),
        "T4": Place("uv_map", ("T4_sum", "T4_limit")),
        "T5": Place("uv_map", ("T5", "freeze", "freeze_examples")),
        "T6": Place("uv_map", ("T6_grows", "T6_diverges", "T6_edge")),
        "T7": Place("uv_map", ("T7_step", "T7_lazy")),
        "trap": Place("uv_map", ("trap",)),
        "factor": Place("uv_label_map", ("factor",)),
        "trap_y": Place("uv_label_map", ("trap_y",)),
        "escape": Place("uv_label_map", ("escape",)),
        "edge": Place("uv_edge", ("edge_sign", "edge_bounded", "edge_diverges", "edge_vertex")),
        "edge-2": Place(
            "uv_edge",
            (
                *("edge2_lyapunov", "edge2_dichotomy", "edge2_flat", "edge2_balanced"),
                "edge2_cubic",
            ),
        ),
        "trap_s": Place("alternating_trap", ("trap_s",)),
        "cone": Place("cone", ("cone",)),
        "box": Place("contracting_box", ("fixed_point", "mean_value")),
        "cycle": Place("contracting_cycle", ("cycle",)),
        "classes": Place(
            "phase_classes", ("class_converges", "class_no_minimum", "class_diverges")
        ),
        "wd": Place("weight_decay", ("wd_step", "wd", "wd_network", "wd_sharp")),
        "convergence": Place("uv_training", ("convergence",)),
        "flat": Place("uv_training", ("flat",)),
        "divergence": Place("uv_training", ("divergence",)),
        "sharp": Place("uv_training", ("sharp_below", "sharp_above", "sharp_unlabelled")),
        "samples-step": Place("linear_step", ("samples_gradient",)),
        "samples-A": Place("linear_network", ("samples_A",)),
        "samples-B": Place("linear_network", ("samples_B",)),
        "samples-C": Place("whitened_data", ("samples_C", "samples_C_kernel")),
        "samples-D": Place("whitened_data", ("samples_D",)),
        "closure-uv": Closure(False, "gd"),
        "closure-uv-label": Closure(True, "gd"),
        "closure-weight-decay": Closure(False, "weight_decay"),
        "closure-heavy-ball": Closure(False, "heavy_ball"),
    }
)


def find_folder() -> Path | None:
    """Return the folder of the .v files: beside the package, or where installing put them.

    Returns
    -------
    Path or None
    """
    places = [
        Path(__file__).parents[3] / "derivations",
        Path(sysconfig.get_path("data")) / "share" / "catapult-theory" / "derivations",
    ]
    return next((p for p in places if (p / "vectors.v").is_file()), None)


def check(ids: Iterable[str] | None = None, workers: int | None = None) -> tuple[Proof, ...]:
    """Check the proofs of statements with coqc.

    Parameters
    ----------
    ids : iterable of str, optional
        Of `STATEMENTS`; all of them if left out.
    workers : int, optional
        Files checked at a time; all cores if left out.

    Returns
    -------
    tuple of Proof
        Every theorem of every statement, in the order of the ids.

    Raises
    ------
    InputError
        For an unknown id.

    Examples
    --------
    >>> {proof.status for proof in check(["T2"])} <= {"proved", "not-checked"}
    True
    """
    wanted = known(ids)
    order = {name: k for k, name in enumerate(wanted)}
    proofs = [proof for found in check_each(wanted, workers) for proof in found]
    return tuple(sorted(proofs, key=lambda p: order[p.statement]))


def known(ids: Iterable[str] | None) -> tuple[str, ...]:
    """Return the ids, each once; all of them for None or an empty choice.

    Parameters
    ----------
    ids : iterable of str or None

    Returns
    -------
    tuple of str

    Raises
    ------
    InputError
        For an unknown id.

    Examples
    --------
    >>> known(["T2", "T1", "T2"])
    ('T2', 'T1')
    """
    chosen = tuple(dict.fromkeys(ids or ())) or tuple(STATEMENTS)
    for name in chosen:
        if name not in STATEMENTS:
            raise unknown_name("statement", name, STATEMENTS)
    return chosen


def check_each(ids: Sequence[str], workers: int | None = None) -> Iterator[tuple[Proof, ...]]:
    """Check statements, and yield the proofs of each file as soon as coqc is done with it.

    Parameters
    ----------
    ids : sequence of str
        As `known` returns them.
    workers : int, optional

    Yields
    ------
    tuple of Proof
        Of one file; empty for a file that holds lemmas alone.
    """
    folder = find_folder()
    if folder is None:
        lost = ((name, _places([name])[0][name]) for name in ids)
        yield tuple(p for name, place in lost for p in _proofs(name, place, _LOST, 0.0))
        return
    places, generated = _places(ids)
    yield from _checked(_library(folder, places, generated), places, workers)


def prove(
    model: Any,
    loss: Any = "squared",
    optimizer: Any = "gd",
    update_map: UpdateMap | None = None,
    workers: int | None = None,
) -> tuple[Proof, ...]:
    """Prove with Coq that the update equations of a model are those of training its vectors.

    For vectors of any length: that the gradient is the gradient of the loss, and that each
    quantity of the state has after a step on the vectors the value that its update equation
    states. Nothing of the engine's algebra is assumed.

    Parameters
    ----------
    model : Model
        Of inner products of vectors, its output and loss polynomial in them.
    loss, optimizer : str or object
        As in `derive`.
    update_map : UpdateMap, optional
        The equations to prove; those that `derive` finds if left out.
    workers : int, optional
        Files checked at a time; all cores if left out.

    Returns
    -------
    tuple of Proof
        One for each theorem; "not-checked" with the remedy where Coq is not installed.

    Raises
    ------
    InputError
        If the map is not polynomial.
    NotClosed
        If the dynamics does not close.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> u, v = ct.vectors("u v")
    >>> model = ct.Model(output=(u @ u - v @ v) / ct.n, vectors=(u, v))
    >>> {proof.status for proof in ct.prove(model)} <= {"proved", "not-checked"}
    True
    """
    from catapult_theory.rigor.proofs.closures import closure_file

    file = closure_file("closure", model, loss, optimizer, update_map)
    places = {"closure": Place("closure", file.theorems)}
    folder = find_folder()
    if folder is None:
        return _proofs("closure", places["closure"], _LOST, 0.0)
    sources = _library(folder, places, {"closure": file.source})
    return tuple(p for found in _checked(sources, places, workers) for p in found)


def _places(ids: Sequence[str]) -> tuple[dict[str, Place], dict[str, Source]]:
    """Return where each statement is proved, and the files that are generated for them."""
    places: dict[str, Place] = {}
    generated: dict[str, Source] = {}
    for name in ids:
        place = STATEMENTS[name]
        if isinstance(place, Closure):
            file = place.file(_identifier(name))
            generated[file.source.name] = file.source
            place = Place(file.source.name, file.theorems)
        places[name] = place
    return places, generated


def _checked(
    sources: Sequence[Source], places: Mapping[str, Place], workers: int | None
) -> Iterator[tuple[Proof, ...]]:
    seconds = {}
    for outcome in check_sources([*sources, *_audits(places)], workers):
        seconds[outcome.name] = outcome.seconds
        file = outcome.name.removeprefix("audit_")
        if file != outcome.name:
            spent = outcome.seconds + seconds[file]
            here = {name: place for name, place in places.items() if place.file == file}
            yield tuple(p for x in here for p in _proofs(x, here[x], outcome, spent))


def _library(
    folder: Path, places: Mapping[str, Place], generated: Mapping[str, Source]
) -> list[Source]:
    """Return the files of the statements and all that they need."""
    found: dict[str, Source] = {}
    todo = [place.file for place in places.values()]
    while todo:
        name = todo.pop(0)
        if name not in found:
            written = generated.get(name)
            found[name] = written or Source(name, (folder / f"{name}.v").read_text())
            todo += found[name].needs
    return list(found.values())


def _audits(places: Mapping[str, Place]) -> list[Source]:
    groups: dict[str, dict[str, tuple[str, ...]]] = {}
    for name, place in places.items():
        groups.setdefault(place.file, {})[_identifier(name)] = place.theorems
    return [audit(file, theorems) for file, theorems in groups.items()]


def _identifier(statement: str) -> str:
    return statement.replace("-", "_")


def _proofs(statement: str, place: Place, audited: Outcome, spent: float) -> tuple[Proof, ...]:
    """Return the proofs of one statement, given the audit of its file."""
    axioms: tuple[str, ...] = ()
    status, detail = audited.status, audited.detail
    if status == "checked":
        axioms = read_axioms(audited.printed[f"{_identifier(statement)}.axioms"])
        extra = sorted(set(axioms) - STANDARD_AXIOMS)
        status = "failed" if extra else "proved"
        detail = f"it rests on {', '.join(extra)}" if extra else ""
    return tuple(
        Proof(
            statement=statement,
            theorem=theorem,
            file=f"{place.file}.v",
            status=status,
            axioms=axioms,
            claim=" ".join(audited.printed.get(f"{theorem}.claim", "").split()),
            seconds=spent,
            detail=detail,
        )
        for theorem in place.theorems
    )
