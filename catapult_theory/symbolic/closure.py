"""The closure engine: from a network, a loss and an optimizer to exact, closed updates.

For an output that is a function of the Gram matrix of the width-n parameters the gradient is
grad L = Phi G with G = (2/n) g D, D the symmetric gradient of the output and g = dl/df. An
optimizer that is linear in Phi then acts from the right, Phi' = Phi M, so that
Gamma' = M^T Gamma M is closed at every width (THEORY section 2). The engine differentiates,
finds the smallest set of invariants that the step maps to itself, and eliminates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import sympy as sp

from catapult_theory.errors import InputError, ModelError, NotClosed
from catapult_theory.symbolic import losses, optimizers
from catapult_theory.symbolic.coordinates import Coordinates, choose_coordinates
from catapult_theory.symbolic.curvature import sharpness
from catapult_theory.symbolic.domain import domain_of
from catapult_theory.symbolic.forms import collected, readable, tidy, tidy_update
from catapult_theory.symbolic.gram import GramMatrix, LinearStep, Row, gradient_rows, independent
from catapult_theory.symbolic.looks import Looks
from catapult_theory.symbolic.model import Model
from catapult_theory.symbolic.symbols import Inner, f, g, n, y
from catapult_theory.symbolic.update_map import Frame, Step, UpdateMap, prime


def derive(
    model: Model,
    loss: Any = "squared",
    optimizer: Any = "gd",
    observables: Iterable[str] | Mapping[str, Any] | None = None,
) -> UpdateMap:
    """Derive the exact closed dynamics of a network under training.

    Parameters
    ----------
    model : Model
        Scalar (inner products of vectors) or matrix.
    loss : str, Loss or sympy.Expr
        By name, as an object, or as an expression in ``f`` and ``y``.
    optimizer : str or Optimizer
        By name or as an object of `optimizers`.
    observables : names or mapping, optional
        Quantities to follow besides f and lam: names of the model's observables or of
        carried quantities ("Delta"), or a mapping from new names to expressions.

    Returns
    -------
    UpdateMap

    Raises
    ------
    NotClosed
        If the dynamics leaves the inner products; names the first term that leaves.
    ModelError, InputError
        If model, loss or optimizer cannot be understood.

    Examples
    --------
    >>> import catapult_theory as ct
    >>> print(ct.derive(ct.models.uv()))
    f' = f*(eta**2*f**2/n - eta*lam + 1)
    lam' = eta*f**2*(eta*lam - 4)/n + lam
    exact at every width n
    """
    if not isinstance(model, Model):
        raise ModelError(f"derive needs a ct.Model (or one of ct.models), not {model!r}")
    rule = optimizers.get(optimizer)
    if isinstance(rule, optimizers.Coordinatewise):
        raise NotClosed(rule.term, rule.reason)
    cost = losses.get(loss)
    if model.is_matrix:
        from catapult_theory.symbolic.matrix_closure import derive_matrix

        found = derive_matrix(model, cost, rule, observables)
    elif rule.batches is not None:
        raise ModelError(
            f"{model.name} has one sample, so that there are no mini-batches: take gd, or a "
            "matrix model, which takes data"
        )
    else:
        _check_label(model, cost)
        found = _Derivation(model, cost, rule, _requested(model, observables)).update_map()
    return found.subs(model.values) if model.values else found


def _check_label(model: Model, loss: Any) -> None:
    """Refuse a label of 0 where the loss then does not depend on the output: nothing trains."""
    if model.label == 0 and sp.simplify(loss.derivative().subs(y, 0)) == 0:
        raise InputError(
            f"the gradient of the loss {loss.name} vanishes at label 0: this loss needs a label "
            "of +1 or -1: uv:1 or uv:label (in Python label=1 or label=True)"
        )


def _requested(model: Model, observables: Any) -> dict[str, Any]:
    """Split the request into expressions by name; None where the engine shall find it."""
    if observables is None:
        return dict(model.observables)
    if isinstance(observables, Mapping):
        return {**model.observables, **observables}
    names = [observables] if isinstance(observables, str) else list(observables)
    return {**model.observables, **{name: model.observables.get(name) for name in names}}


class _Derivation:
    """One derivation of a scalar model, step by step."""

    def __init__(self, model: Model, loss: Any, rule: Any, named: Mapping[str, Any]) -> None:
        self.model, self.loss, self.rule = model, loss, rule
        self.named = {k: e for k, e in named.items() if e is not None}
        self.asked = [k for k, e in named.items() if e is None]
        names = list(model.names)
        _check_closed([model.output, *self.named.values()], names)
        self.moving = [v.atom.name for v in model.vectors]
        buffers = ["P" * c + f"_{name}" for c in range(1, rule.copies) for name in self.moving]
        self.trained = len(names)
        owners = [*names, *(self.moving * (rule.copies - 1))]
        single = model.parts.is_single
        groups = () if single else tuple(model.parts.group(name) for name in owners)
        self.gram = GramMatrix((*names, *buffers), groups)
        self.output = self.gram.of(model.output)
        self.steps: list[Step] = []

    def update_map(self) -> UpdateMap:
        """Run the derivation."""
        looks = Looks(self.gram, self.trained, len(self.moving), self.output, self.rule)
        self._explain_gradient(looks)
        linear = LinearStep(self.gram, looks.step)
        extra = {k: self.gram.of(e) for k, e in self.named.items()}
        rows = gradient_rows(self.gram, self.output) + looks.rows
        for function in extra.values():
            rows += gradient_rows(self.gram, function)
        coordinates = self._coordinates(linear, rows, extra)
        values = looks.values(coordinates.express, self._slope)
        maps = self._updates(linear, coordinates)
        carried = self._carried(linear, coordinates)
        result = self._assemble(coordinates, maps, carried, extra, values)
        return result.with_observables(*self.asked) if self.asked else result

    @cached_property
    def base(self) -> sp.ImmutableMatrix:
        """The Gram matrix of the parameters, without their buffers."""
        return sp.ImmutableMatrix(self.gram.matrix[: self.trained, : self.trained])

    @cached_property
    def slopes(self) -> sp.ImmutableMatrix:
        """The symmetric gradient D of the output in that matrix; 0 in columns of fixed vectors."""
        whole = sp.Matrix(self.gram.symmetric_gradient(self.output)[: self.trained, : self.trained])
        whole[:, len(self.moving) :] = sp.zeros(self.trained, self.trained - len(self.moving))
        return sp.ImmutableMatrix(whole)

    @cached_property
    def kernel(self) -> sp.Expr:
        """The tangent kernel (4/n) tr(D Gamma D)."""
        return sp.expand(4 / n * (self.slopes.T * self.base * self.slopes).trace())

    def _slope(self, output: sp.Expr) -> sp.Expr:
        """Return the derivative of the loss at an output."""
        here = {f: output, y: self.model.label}
        return self.loss.derivative().subs(here, simultaneous=True)

    def _explain_gradient(self, looks: Looks) -> None:
        D, G = self.slopes, looks.looks[0].gradient
        names = self.gram.names[: self.trained]
        gradients = tuple(
            (
                sp.Symbol(f"dL/d{name}"),
                sp.Add(*(G[i, j] * sp.Symbol(names[i]) for i in range(len(names)))),
            )
            for j, name in enumerate(self.moving)
        )
        self.steps += [
            Step(
                f"The output depends on the parameters Phi = [{', '.join(names)}] only through "
                "their Gram matrix Gamma = Phi^T Phi / n:",
                ((f, self.output),),
            ),
            Step(
                "With g = dl/df and D the symmetric gradient of f in Gamma, "
                "grad L = (2/n) g Phi D:",
                ((sp.Symbol("D"), D), *gradients),
            ),
            Step(
                f"The optimizer ({self.rule.name}) acts on the frame from the right, "
                "Phi' = Phi M, so that Gamma' = M^T Gamma M is closed at every width:",
                ((sp.Symbol("M"), looks.step),),
            ),
        ]

    def _coordinates(
        self, linear: LinearStep, rows: list[Row], extra: Mapping[str, Any]
    ) -> Coordinates:
        basis = linear.closure(rows)
        chosen = choose_coordinates(self.gram, basis, self.output, self.kernel, extra)
        self.steps.append(
            Step(
                f"The smallest set of invariants that contains f and is mapped to itself has "
                f"{len(basis)} members (of {len(self.gram.entries)} entries of Gamma):",
                tuple((s, self._readable(e)) for s, e in chosen.definitions.items()),
            )
        )
        return chosen

    def _readable(self, expression: sp.Expr) -> sp.Expr:
        return sp.expand(expression.xreplace(self.gram.inner))

    def _updates(self, linear: LinearStep, coordinates: Coordinates) -> dict[Any, Any]:
        """Return the new state with g opaque, and record that step."""
        images = dict(zip(self.gram.entries, self.gram.upper(linear.image), strict=True))
        updates = {}
        for s, definition in coordinates.definitions.items():
            image = coordinates.express(sp.expand(definition.xreplace(images)))
            updates[s] = collected(image) if readable(image) else image
        self.steps.append(
            Step("Eliminating the Gram matrix:", tuple((prime(s), e) for s, e in updates.items()))
        )
        return updates

    def _carried(
        self, linear: LinearStep, coordinates: Coordinates
    ) -> dict[Any, tuple[sp.Expr, sp.Expr]]:
        """Return imbalances |phi_i|^2 - |phi_j|^2 that the step only rescales."""
        found: dict[Any, tuple[sp.Expr, sp.Expr]] = {}
        p = len(self.moving)
        for i in range(p):
            for j in range(i + 1, p):
                difference = self.gram.matrix[i, i] - self.gram.matrix[j, j]
                row = self.gram.row(difference)
                if len(linear.closure([row])) != 1 or len(
                    independent([*coordinates.basis, row])
                ) == len(coordinates.basis):
                    continue
                suffix = "" if p == 2 else f"_{self.gram.names[i]}_{self.gram.names[j]}"
                symbol = sp.Symbol(f"Delta{suffix}", real=True)
                (pivot,) = [k for k, c in enumerate(row) if c == 1]
                factor = sp.Add(*(c * r[pivot] for c, r in linear.apply(row).items()))
                found[symbol] = (difference, sp.factor(factor))
        return found

    def _assemble(
        self,
        coordinates: Coordinates,
        updates: Mapping[Any, Any],
        carried: Mapping[Any, tuple[Any, Any]],
        extra: Mapping[str, Any],
        values: Mapping[sp.Symbol, sp.Expr],
    ) -> UpdateMap:
        label = self.model.label
        output = coordinates.express(self.output)
        here = {f: output, y: label}
        anchors = (label,) if label != 0 else ()
        new = {
            s: tidy_update(s, e.xreplace(values), anchors if s == f else ())
            for s, e in updates.items()
        }
        self.steps.append(
            Step(
                f"With the loss l = {self.loss.expression} and label {label}:",
                (*values.items(), *((prime(s), e) for s, e in new.items())),
            )
        )
        seen = self._observables(coordinates, here)
        rest = {s: tidy(factor.xreplace(values) * s) for s, (_, factor) in carried.items()}
        if rest:
            self.steps.append(
                Step(
                    "Quantities that the step only rescales:",
                    tuple((prime(s), e) for s, e in rest.items()),
                )
            )
        for name, function in extra.items():
            if name not in {s.name for s in new}:
                seen[name] = tidy(coordinates.express(function))
        constants = self._constants([*new.values(), *seen.values()])
        definitions = {**coordinates.definitions, **{s: d for s, (d, _) in carried.items()}}
        return UpdateMap(
            model=self.model.name,
            loss=self.loss.name,
            optimizer=self.rule.name,
            variables=tuple(new),
            constants=constants,
            updates=new,
            observables=seen,
            carried=rest,
            domain=domain_of(self.gram, coordinates),
            gram={s: self._readable(e) for s, e in definitions.items()},
            frame=Frame(
                self.gram.names,
                (1,) * len(self.gram.names),
                self.trained,
                self.gram.groups,
                self.model.parts.shares if self.gram.groups else (),
            ),
            steps=tuple(self.steps),
            threshold=self.rule.full_threshold(),
            decay=self.rule.decay,
        )

    def _constants(self, expressions: Iterable[sp.Expr]) -> tuple[sp.Symbol, ...]:
        used = set().union(*(e.free_symbols for e in expressions))
        ordered = [self.rule.parameters[0], *self.model.parameters, *self.rule.parameters[1:]]
        return tuple(dict.fromkeys(s for s in ordered if s in used or s == n))

    def _observables(self, coordinates: Coordinates, here: Mapping[Any, Any]) -> dict[str, Any]:
        """Return loss, kernel, gradient norm and, where they close, sharpness and its margin."""
        p = self.trained
        slope = self._slope(here[f])
        curve = self.loss.derivative(2).subs(here, simultaneous=True)
        moving = sp.diag(*(int(i < len(self.moving)) for i in range(p)))
        total = (2 * g / n) * self.slopes + self.rule.decay * moving
        norm = coordinates.express(sp.expand(n * (total.T * self.base * total).trace()))
        seen: dict[str, Any] = {"loss": self.loss.expression.subs(here, simultaneous=True)}
        if f not in coordinates.definitions:
            seen["f"] = here[f]
        seen["lam"] = tidy(coordinates.express(self.kernel))
        if coordinates.closed(norm):
            seen["grad_norm2"] = tidy(norm.subs(g, slope))
        top = sharpness(self.gram, p, self.output, coordinates) if p == len(self.moving) else None
        if top is not None:
            at = top.subs({g: slope, sp.Symbol("h"): curve}, simultaneous=True)
            seen["sharpness"] = at + self.rule.decay
            eta = self.rule.parameters[0]
            seen["stability_margin"] = self.rule.stability_threshold() - eta * at
        return seen


def _check_closed(expressions: Iterable[sp.Expr], names: list[str]) -> None:
    """Refuse an inner product with anything that is not a trained vector."""
    for expression in expressions:
        for pair in sorted(expression.atoms(Inner), key=str):
            for vector in pair.args:
                if vector.name not in names:
                    nonlinear = not vector.name.isidentifier()
                    if not nonlinear:
                        raise ModelError(f"vector {vector} is missing from vectors={names}")
                    raise NotClosed(
                        str(pair),
                        f"the gradient contains the pointwise function {vector}, which is not a "
                        "linear combination of the trained vectors",
                    )
