"""Coq files for the closures that the engine derives, from the training step on raw vectors.

Nothing of the engine's algebra on Gram matrices is used, otherwise a file would only restate it.
A file defines the output and the loss as the model writes them, on vectors of any length, and a
gradient; proves that it is the gradient, by differentiation along an arbitrary direction; takes
the optimizer's step on the vectors; and proves that every quantity of the state has after the
step the value that the update map states. Only these values come from the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from catapult_theory.errors import InputError
from catapult_theory.rigor.proofs.coq import Source
from catapult_theory.rigor.proofs.terms import Names, check_divisors, coq_term
from catapult_theory.symbolic import losses, optimizers
from catapult_theory.symbolic.closure import derive
from catapult_theory.symbolic.symbols import Inner, f, n, y
from catapult_theory.symbolic.update_map import UpdateMap

HEADER = """From Coq Require Import Reals Lra.
From Coquelicot Require Import Coquelicot.
From Catapult Require Import vectors.
Open Scope R_scope.
"""


@dataclass(frozen=True)
class ClosureFile:
    """A generated file and the theorems in it."""

    source: Source
    theorems: tuple[str, ...]


def closure_file(
    name: str,
    model: Any,
    loss: Any = "squared",
    optimizer: Any = "gd",
    update_map: UpdateMap | None = None,
) -> ClosureFile:
    """Return the Coq file that proves the closure of a scalar model.

    Parameters
    ----------
    name : str
        Of the file, a Coq identifier.
    model : Model
        Of inner products of vectors.
    loss, optimizer : str or object
        As `derive` takes them; the loss a polynomial of the output.
    update_map : UpdateMap, optional
        The equations to prove; those that `derive` finds if left out.

    Returns
    -------
    ClosureFile

    Raises
    ------
    InputError
        If the map is not polynomial, or the model is a matrix model.
    NotClosed
        If the dynamics does not close.

    Examples
    --------
    >>> from catapult_theory.symbolic import models
    >>> closure_file("closure_uv", models.uv()).theorems
    ('gradient_u', 'gradient_v', 'f_closes', 'lam_closes', 'Delta_closes', 'lam_is_the_kernel')
    """
    if model.is_matrix:
        raise InputError("closures are generated for models of inner products, not of matrices")
    found = update_map if update_map is not None else derive(model, loss, optimizer)
    return _Writer(name, model, losses.get(loss), optimizers.get(optimizer), found).file()


class _Writer:
    """The text of one file, part by part."""

    def __init__(self, name: str, model: Any, loss: Any, rule: Any, update_map: UpdateMap) -> None:
        self.name, self.model, self.loss, self.rule = name, model, loss, rule
        self.map = update_map
        self.names = Names()
        self.vectors = [v.atom.name for v in model.vectors]
        self.all = list(model.names)  # those that are not trained last
        self.frame = list(update_map.frame.names)
        self.output = sp.sympify(model.output).subs(
            {s: model.values[s.name] for s in model.parameters if s.name in model.values}
        )
        self.columns = {v: self.names[v] for v in self.frame}
        self.theorems: list[str] = []

    def file(self) -> ClosureFile:
        """Return the whole file."""
        parts = [
            f"(* {self.model}. Loss {self.loss.expression}, optimizer {self.rule.name}.\n"
            "   Generated: the training step on vectors of any length, and its closure. *)",
            HEADER,
            "Section Closure.\nVariable width : nat.\nHypothesis wide : (0 < width)%nat.",
            self._lengths(),
            self._parameters(),
            self._objective(),
            *(self._gradient(v) for v in self.vectors),
            self._step(),
            *(self._state(s) for s in self.states),
            self._tactic(),
            *(self._closes(s) for s in self.states),
            self._kernel(),
            "End Closure.",
        ]
        text = "\n\n".join(p for p in parts if p) + "\n"
        return ClosureFile(Source(self.name, text), tuple(self.theorems))

    # --- terms ---

    @cached_property
    def parameters(self) -> list[sp.Symbol]:
        """The real parameters of model, loss and optimizer: everything but the width."""
        used = {*self.model.parameters, *self.rule.parameters, *self.map.constants}
        return sorted(used - {n}, key=lambda s: str(s.name))

    @property
    def states(self) -> list[Any]:
        """Whatever the map says the next value of: its state, and what rides along."""
        return [*self.map.updates, *self.map.carried]

    def term(self, expression: Any, at: Mapping[str, str] | None = None) -> str:
        """Write an expression of inner products and parameters, at given vectors."""
        check_divisors(expression)
        column = at or self.columns

        def leaf(e: Any) -> str | None:
            if isinstance(e, Inner):
                a, b = (s.name for s in e.args)
                return f"({self.dot(a)} {column[a]} {column[b]})"
            return self.names[e.name] if e in self.parameters else None

        return coq_term(expression, leaf)

    def group(self, name: str) -> int:
        """Return the frame that a vector or its buffer belongs to."""
        owner = name if name in self.all else name.lstrip("P").removeprefix("_")
        return self.model.parts.group(owner)

    def dot(self, name: str) -> str:
        """Write the inner product of the frame that a vector belongs to."""
        single = self.model.parts.is_single
        return "dot width" if single else f"dot length_{self.group(name)}"

    def combination(self, weights: Mapping[str, str]) -> str:
        """Write a combination of vectors."""
        terms = [f"(scal {weight} {vector})" for vector, weight in weights.items()]
        text = terms[-1]
        for term in reversed(terms[:-1]):
            text = f"(add {term} {text})"
        return text

    def _arguments(self, names: Iterable[str]) -> str:
        return " ".join(self.columns[v] for v in names)

    # --- parts of the file ---

    def _lengths(self) -> str:
        """Write the lengths of several frames: whatever they are, the closure holds."""
        if self.model.parts.is_single:
            return ""
        lengths = (f"length_{k}" for k in range(len(self.model.parts.groups)))
        return f"(* Each frame has a length of its own. *)\nVariables ({' '.join(lengths)} : nat)."

    def _parameters(self) -> str:
        listed = " ".join(self.names[s.name] for s in self.parameters)
        return f"Variables ({listed} : R)." if listed else ""

    def _objective(self) -> str:
        arguments = self._arguments(self.all)
        spoken = {f: f"(output {arguments})"}
        loss = self._of_output(self.loss.expression.subs(y, self.model.label), spoken)
        slope = self._of_output(self.loss.derivative().subs(y, self.model.label), spoken)
        decay = self.term(self.rule.decay)
        moving = [(self.dot(v), self.columns[v]) for v in self.vectors]
        squares = " + ".join(f"{dot} {c} {c}" for dot, c in moving)
        penalty = "" if self.rule.decay == 0 else f" + {decay} / 2 * ({squares})"
        return (
            f"Definition output ({arguments} : vec) : R := {self.term(self.output)}.\n"
            f"Definition objective ({arguments} : vec) : R := {loss}{penalty}.\n"
            f"Definition slope ({arguments} : vec) : R := {slope}."
        )

    def _of_output(self, expression: Any, spoken: Mapping[Any, str]) -> str:
        check_divisors(expression)

        def leaf(e: Any) -> str | None:
            return spoken.get(e) or (self.names[e.name] if e in self.parameters else None)

        return coq_term(expression, leaf)

    def _weights(self, vector: str) -> dict[str, str]:
        """Return the gradient of the output along a vector, by the chain rule."""
        weights: dict[str, Any] = {}
        for pair in sorted(self.output.atoms(Inner), key=str):
            names = [s.name for s in pair.args]
            for this, other in (names, names[::-1]):
                if this == vector:
                    old = weights.get(other, sp.S.Zero)
                    weights[other] = old + _partial(self.output, pair)
        return {self.columns[v]: self.term(w) for v, w in weights.items()} or {
            self.columns[vector]: "0"
        }

    def _gradient(self, vector: str) -> str:
        arguments, column = self._arguments(self.all), self.columns[vector]
        slope = self.combination({f"(output_{column} {arguments})": f"(slope {arguments})"})
        decay = self.term(self.rule.decay)
        total = slope if self.rule.decay == 0 else f"(add {slope} (scal {decay} {column}))"
        moved = " ".join(f"(add {c} (scal t h))" if c == column else c for c in arguments.split())
        theorem = self._theorem(f"gradient_{column}")
        unfold = f"unfold objective, output, grad_{column}, output_{column}, slope, output"
        order = self._sorted(self.all, along=vector)
        return f"""(* The gradient along {vector}, and that it is one. *)
Definition output_{column} ({arguments} : vec) : vec := {self.combination(self._weights(vector))}.
Definition grad_{column} ({arguments} : vec) : vec := {total}.

Theorem {theorem} ({arguments} h : vec) :
  is_derive (fun t => objective {moved}) 0 ({self.dot(vector)} (grad_{column} {arguments}) h).
Proof.
  {unfold}.
  eapply is_derive_ext.
  {{ intros t. autorewrite with bilinear. {order}. reflexivity. }}
  autorewrite with bilinear. {order}.
  by_root wide. auto_derive; [repeat split; lra|field; lra].
Qed."""

    def _theorem(self, name: str) -> str:
        self.theorems.append(name)
        return name

    def _sorted(self, names: Sequence[str], along: str = "") -> str:
        """Write every inner product with its vectors in one order, a direction h last."""
        columns = [(self.group(v), self.dot(v), self.columns[v]) for v in names]
        if along:
            columns.append((self.group(along), self.dot(along), "h"))
        pairs = [
            f"?({dot.replace('dot', 'dot_sym', 1)} {b} {a})"
            for i, (group, dot, a) in enumerate(columns)
            for other, _, b in columns[i + 1 :]
            if group == other
        ]
        return f"rewrite {', '.join(pairs)}" if pairs else "idtac"

    def _step(self) -> str:
        """Write the optimizer's step: copies of the frame, the gradient at a point of them."""
        points = " ".join(
            f"at_{self.columns[v]}" if v in self.vectors else self.columns[v] for v in self.all
        )
        lines = [f"Variables ({self._arguments(self.frame)} : vec)."]
        for v in self.vectors:
            weights = dict(zip(self._copies(v), self.rule.point, strict=True))
            lines.append(f"Definition at_{self.columns[v]} : vec := {self._mixed(weights)}.")
        for c in range(self.rule.copies):
            for v in self.vectors:
                gradient = f"(grad_{self.columns[v]} {points})"
                # The weight decay is part of the gradient of the objective.
                kept = [
                    self.rule.transfer[c, j] - self.rule.slope[c] * point * self.rule.decay
                    for j, point in enumerate(self.rule.point)
                ]
                weights = dict(zip(self._copies(v), kept, strict=True))
                step = self._mixed({**weights, gradient: self.rule.slope[c]})
                lines.append(f"Definition next_{self._copies(v)[c]} : vec := {step}.")
        fixed = [self.columns[v] for v in self.all if v not in self.vectors]
        lines += [f"Definition next_{c} : vec := {c}." for c in fixed]
        return "(* The step on the vectors. *)\n" + "\n".join(lines)

    def _copies(self, vector: str) -> list[str]:
        """Return a vector and its buffers, as they stand in the frame."""
        k, p = self.vectors.index(vector), len(self.vectors)
        later = range(len(self.all) + k, len(self.frame), p)
        return [self.columns[vector], *(self.columns[self.frame[i]] for i in later)]

    def _mixed(self, weights: Mapping[str, Any]) -> str:
        """Write a combination of vectors, without those whose weight is 0."""
        expanded = {v: sp.expand(w) for v, w in weights.items()}
        return self.combination({v: self.term(w) for v, w in expanded.items() if w != 0})

    def _state(self, s: Any) -> str:
        name, arguments = self._symbol(s), self._arguments(self.frame)
        value = self.term(self.map.gram[s])
        return (
            f"Definition {name}_of ({arguments} : vec) : R := {value}.\n"
            f"Let {name} : R := {name}_of {arguments}."
        )

    def _symbol(self, s: Any) -> str:
        return self.names[f"{s.name}"] if s.name not in self.columns else self.names[f"{s.name} "]

    def _closes(self, s: Any) -> str:
        name = self._symbol(s)
        image = {**self.map.updates, **self.map.carried}[s]
        after = " ".join(f"next_{self.columns[v]}" for v in self.frame)
        theorem = self._theorem(f"{name}_closes")
        return f"""Theorem {theorem} : {name}_of {after} = {self._of_state(image)}.
Proof. closes. Qed."""

    def _of_state(self, expression: Any) -> str:
        check_divisors(expression)

        def leaf(e: Any) -> str | None:
            if e in self.states:
                return self._symbol(e)
            return self.names[e.name] if e in self.parameters else None

        return coq_term(expression, leaf)

    def _tactic(self) -> str:
        """Write how every identity is proved: by bilinearity, then as rational functions."""
        columns = [self.columns[v] for v in self.frame]
        first = [self.columns[v] for v in self.vectors]
        states = [self._symbol(s) for s in self.states]
        steps = [f"next_{c}" for c in columns]
        rest = [x for c in first for x in (f"at_{c}", f"grad_{c}", f"output_{c}")]
        unfold = [*states, *(f"{s}_of" for s in states), *steps, *rest, "slope", "output"]
        return (
            f"Ltac closes :=\n  unfold {', '.join(unfold)};\n  autorewrite with bilinear;\n"
            f"  {self._sorted(self.frame)};\n  by_root wide; field; lra."
        )

    def _kernel(self) -> str:
        """Write that lam, in the state, is the squared gradient of the output."""
        value = self.map.observables.get("lam")
        if value is None or not value.free_symbols <= {*self.states, *self.parameters, n}:
            return ""
        arguments = self._arguments(self.all)
        moving = [(self.dot(v), f"(output_{self.columns[v]} {arguments})") for v in self.vectors]
        squares = " + ".join(f"{dot} {slope} {slope}" for dot, slope in moving)
        theorem = self._theorem("lam_is_the_kernel")
        return f"""(* The tangent kernel is the squared gradient of the output. *)
Theorem {theorem} : {squares} = {self._of_state(value)}.
Proof. closes. Qed."""


def _partial(output: sp.Expr, pair: Any) -> sp.Expr:
    """Return the derivative of the output by one inner product."""
    place = sp.Dummy()
    return sp.diff(output.xreplace({pair: place}), place).xreplace({place: pair})
