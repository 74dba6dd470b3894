"""From an update map to straight-line programs, in named passes with operation counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp

from catapult_theory.errors import unknown_name
from catapult_theory.symbolic.matrix_nodes import TopEigenvalue
from catapult_theory.symbolic.symbols import eta, f, n

Assignment = tuple[Any, Any]


@dataclass(frozen=True)
class Program:
    """A straight-line function: assignments in order, then results.

    Parameters
    ----------
    name : str
    assignments : tuple of (symbol, expression)
    results : tuple of expressions
    """

    name: str
    assignments: tuple[Assignment, ...]
    results: tuple[Any, ...]

    @property
    def operations(self) -> int:
        """Additions, multiplications and function calls of the program."""
        return sum(int(sp.count_ops(e)) for _, e in self.assignments) + sum(
            int(sp.count_ops(e)) for e in self.results
        )


@dataclass(frozen=True)
class Lowered:
    """The programs of an update map and how many operations each pass left.

    Parameters
    ----------
    hoisted : tuple of (symbol, expression)
        Subexpressions of parameters alone, evaluated once before the time loop.
    step, watch : Program
        One step; and the loss, the squared gradient norm and the size that bounds divergence.
    margin : Program or None
        Positive where a minimum at this state is linearly stable.
    passes : tuple of (name, operations of one step)
    """

    hoisted: tuple[Assignment, ...]
    step: Program
    watch: Program
    margin: Program | None
    passes: tuple[tuple[str, int], ...]


def lower(update_map: Any) -> Lowered:
    """Return the programs of an update map.

    Parameters
    ----------
    update_map : UpdateMap

    Returns
    -------
    Lowered

    Examples
    --------
    >>> from catapult_theory.symbolic.closure import derive
    >>> from catapult_theory.symbolic import models
    >>> [name for name, _ in lower(derive(models.uv())).passes]
    ['as derived', 'common subexpressions', 'hoisting']
    """
    results = tuple(update_map.updates[s] for s in update_map.variables)
    plain = Program("step", tuple(update_map.definitions.items()), results)
    if update_map.is_matrix:
        shared, hoisted = plain, ()
        counts = (plain, plain, plain)
    else:
        shared = _shared(plain)
        hoisted, step = _hoist(shared, set(update_map.constants))
        counts = (plain, shared, step)
        shared = step
    names = ("as derived", "common subexpressions", "hoisting")
    margin = update_map.observables.get("stability_margin")
    return Lowered(
        hoisted=tuple(hoisted),
        step=shared,
        watch=_with_definitions(update_map, "watch", _watched(update_map)),
        margin=None if margin is None else _with_definitions(update_map, "margin", (margin,)),
        passes=tuple(zip(names, (p.operations for p in counts), strict=True)),
    )


def observable_program(update_map: Any, name: str) -> Program:
    """Return the program of one observable.

    Parameters
    ----------
    update_map : UpdateMap
    name : str

    Returns
    -------
    Program

    Raises
    ------
    InputError
        For an unknown name.
    """
    if name not in update_map.observables:
        raise unknown_name("observable", name, update_map.observables)
    expression = update_map.observables[name]
    if isinstance(expression, TopEigenvalue):
        return _with_definitions(update_map, "kernel_action", (expression.args[0],))
    return _with_definitions(update_map, f"observe_{name}", (expression,))


def _watched(update_map: Any) -> tuple[Any, Any, Any]:
    """Return loss, squared gradient norm and the size that bounds divergence."""
    seen = update_map.observables
    loss = seen["loss"]
    norm = seen.get("grad_norm2", sp.S.One)
    if not update_map.is_matrix and f in update_map.variables and n in update_map.constants:
        return loss, norm, sp.Abs(f) * eta / sp.sqrt(n)
    return loss, norm, loss


def _with_definitions(update_map: Any, name: str, results: tuple[Any, ...]) -> Program:
    """Return a program with the definitions that its results need, and shared subexpressions."""
    needed: list[Assignment] = []
    wanted = set().union(*(_symbols(e) for e in results))
    for s, e in reversed(tuple(update_map.definitions.items())):
        if s in wanted:
            needed.insert(0, (s, e))
            wanted |= _symbols(e)
    program = Program(name, tuple(needed), results)
    return program if update_map.is_matrix else _shared(program)


def _symbols(e: Any) -> set[Any]:
    return set(e.free_symbols) | set(e.atoms(sp.MatrixSymbol))


def _shared(program: Program) -> Program:
    names = (sp.Symbol(f"c{i}_", real=True) for i in range(10**6))
    assignments, results = sp.cse(program.results, symbols=names, order="canonical")
    return Program(program.name, tuple(assignments), tuple(results))


def _hoist(program: Program, constants: set[Any]) -> tuple[list[Assignment], Program]:
    """Move assignments that depend on parameters alone out of the step."""
    fixed = set(constants)
    out, inside = [], []
    for s, e in program.assignments:
        if e.free_symbols <= fixed:
            out.append((s, e))
            fixed.add(s)
        else:
            inside.append((s, e))
    return out, Program(program.name, tuple(inside), program.results)


def free_names(assignments: Iterable[Assignment]) -> list[str]:
    """Return the names that assignments define."""
    return [str(s.name) for s, _ in assignments]


def sizes_used(expressions: Iterable[Any], known: Mapping[str, Any]) -> list[str]:
    """Return the size symbols (m, d, k) that expressions contain as scalars."""
    found = set()
    for e in expressions:
        found |= {s.name for s in e.free_symbols if s.name in known}
    return sorted(found)
