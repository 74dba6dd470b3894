"""The update map: one step of training as mathematics, immutable, between symbols and code.

Everything downstream (kernels, phases, claims, reports) reads an `UpdateMap` and nothing
else of the symbolic side. It knows nothing of compilers.
"""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import sympy as sp

from catapult_theory.errors import InputError, unknown_name
from catapult_theory.symbolic import serialize
from catapult_theory.symbolic.batches import Batches
from catapult_theory.symbolic.forms import printed
from catapult_theory.symbolic.symbols import LATEX, Inner, n

SCHEMA = 1


@dataclass(frozen=True)
class Step:
    """One line of a derivation: a sentence and the equations that it states."""

    text: str
    equations: tuple[tuple[Any, Any], ...] = ()

    def __str__(self) -> str:
        lines = [f"    {left} = {show(right)}" for left, right in self.equations]
        return "\n".join([self.text, *lines])

    def latex(self) -> str:
        """Return the line as text followed by display equations."""
        rows = [rf"\[{tex(a)} = {tex(b)}\]" for a, b in self.equations]
        return "\n".join([self.text, *rows])


@dataclass(frozen=True)
class Exactness:
    """How the updates relate to the network: exact at every width, or an order in 1/n.

    Parameters
    ----------
    order : int or None
        None for exact; otherwise the updates hold up to O(n^-order).
    """

    order: int | None = None

    @property
    def is_exact(self) -> bool:
        """Whether the updates hold exactly at every width."""
        return self.order is None

    def __str__(self) -> str:
        if self.order is None:
            return "exact at every width n"
        return f"up to O(1/n^{self.order}) for f, lam, eta = O(1)"


@dataclass(frozen=True)
class Frame:
    """The width-n parameters, in the order of the rows of the Gram matrix.

    Parameters
    ----------
    names : tuple of str
        Vectors or matrices, buffers (velocities) after parameters.
    columns : tuple
        Number of length-n columns of each (1 for a vector; an int or symbol for a matrix).
    trained : int
        How many of the names are parameters; the rest are buffers that start at zero.
    groups : tuple of int
        The orthogonal group of each name; empty where all share one.
    shares : tuple of sympy.Rational
        The length of the columns of each group in units of the width; empty for 1.
    """

    names: tuple[str, ...]
    columns: tuple[Any, ...]
    trained: int
    groups: tuple[int, ...] = ()
    shares: tuple[Any, ...] = ()


@dataclass(frozen=True)
class UpdateMap:
    """One exact step of training, closed on a few invariants.

    Made by `derive`; see `state`, `updates`, `observables` and `steps`.

    Parameters
    ----------
    model, loss, optimizer : str
        What the map was derived from.
    variables : tuple of symbols
        The state, scalars (Symbol) or matrices (MatrixSymbol).
    constants : tuple of symbols
        The parameters: learning rate, width, label, momentum.
    updates : mapping
        From each state symbol to its value after the step.
    observables : mapping
        From names ("loss", "lam", "grad_norm2", "sharpness", ...) to functions of the state.
        "stability_margin", where present, is positive when a minimum at this state is
        linearly stable.
    carried : mapping
        Further quantities that ride along: their value after the step, in the state and
        themselves (the imbalance Delta of the uv-model).
    domain : tuple of relations
        Inequalities that every state of a network obeys.
    definitions : mapping
        Intermediate quantities in order of use (matrix maps): f, g, Z.
    gram : mapping
        Each state and carried symbol in inner products (or blocks) of the frame.
    frame : Frame
    data : tuple of MatrixSymbol
        (X, Y) for matrix maps, () for scalar ones.
    threshold, decay : sympy.Expr
        A minimum is linearly stable where eta times the Hessian's top eigenvalue, which
        includes the weight decay, is below the threshold.
    batches : Batches or None
        The samples that each step sees, where these are not all of them.
    """

    model: str
    loss: str
    optimizer: str
    variables: tuple[Any, ...]
    constants: tuple[sp.Symbol, ...]
    updates: Mapping[Any, Any]
    observables: Mapping[str, Any]
    carried: Mapping[Any, Any]
    domain: tuple[Any, ...]
    gram: Mapping[Any, Any]
    frame: Frame
    exactness: Exactness = Exactness()
    definitions: Mapping[Any, Any] = field(default_factory=dict)
    data: tuple[Any, ...] = ()
    steps: tuple[Step, ...] = ()
    threshold: Any = field(default_factory=lambda: sp.Integer(2))
    decay: Any = sp.S.Zero
    batches: Batches | None = None

    def __post_init__(self) -> None:
        for name in ("updates", "observables", "carried", "gram", "definitions"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __hash__(self) -> int:
        return hash((self.model, self.loss, self.optimizer, tuple(self.updates.items())))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_json, (self.to_json(),)

    @property
    def state(self) -> Any:
        """The state as a namedtuple of symbols (uv-model: f, lam)."""
        return _named("State", self.variables)

    @property
    def parameters(self) -> Any:
        """The parameters as a namedtuple of symbols (uv-model: eta, n, and y when labelled)."""
        return _named("Parameters", self.constants)

    @property
    def is_matrix(self) -> bool:
        """Whether the state consists of matrices."""
        return bool(self.data)

    def subs(self, values: Mapping[Any, Any] | None = None, /, **named: Any) -> UpdateMap:
        """Return the map with parameters replaced by numbers or expressions.

        Parameters
        ----------
        values : mapping, optional
            From symbols (or their names) to values.
        **named
            The same by name: ``uv.subs(y=0)``.

        Returns
        -------
        UpdateMap

        Raises
        ------
        InputError
            If a name is not a parameter of the map.

        Examples
        --------
        >>> import catapult_theory as ct
        >>> labelled = ct.derive(ct.models.uv(label=True))
        >>> labelled.subs(y=0).updates == ct.derive(ct.models.uv()).updates
        True
        """
        by_name = {c.name: c for c in self.constants}
        table = {}
        for key, value in {**(values or {}), **named}.items():
            key_name = getattr(key, "name", key)
            if key_name not in by_name:
                raise unknown_name("parameter", key_name, by_name)
            table[by_name[key_name]] = sp.sympify(value)
        return self._substituted(table)

    def _substituted(self, table: Mapping[Any, Any]) -> UpdateMap:
        from catapult_theory.symbolic.forms import tidy_update

        def plain(e: Any) -> Any:
            return e.subs(table) if hasattr(e, "subs") else e

        new = {s: plain(e) for s, e in self.updates.items()}
        # Factoring polynomials whose coefficients are floats is slow, and inexact.
        if not self.is_matrix and not any(e.has(sp.Float) for e in table.values()):
            new = {s: tidy_update(s, e) for s, e in new.items()}
        left = {s for e in table.values() for s in e.free_symbols}
        kept = [c for c in self.constants if c not in table]
        kept += sorted(left - set(kept) - set(self.variables), key=lambda s: s.name)
        said = ", ".join(f"{k} = {v}" for k, v in table.items())
        return replace(
            self,
            constants=tuple(kept),
            updates=new,
            observables={k: plain(e) for k, e in self.observables.items()},
            carried={s: plain(e) for s, e in self.carried.items()},
            definitions={s: plain(e) for s, e in self.definitions.items()},
            gram={s: plain(e) for s, e in self.gram.items()},
            domain=tuple(plain(r) for r in self.domain),
            threshold=plain(self.threshold),
            decay=plain(self.decay),
            steps=(
                *self.steps,
                Step(f"With {said}:", tuple((prime(s), e) for s, e in new.items())),
            ),
        )

    def with_observables(self, *names: str) -> UpdateMap:
        """Return the map with carried quantities (the imbalance Delta) added to the state.

        Parameters
        ----------
        *names : str
            Names among ``carried``.

        Returns
        -------
        UpdateMap

        Raises
        ------
        InputError
            If the map does not carry a quantity of that name.

        Examples
        --------
        >>> import catapult_theory as ct
        >>> ct.derive(ct.models.uv()).with_observables("Delta").state
        State(f=f, lam=lam, Delta=Delta)
        """
        carried = {s.name: s for s in self.carried}
        new = []
        for name in names:
            if name in {v.name for v in self.variables} or name in self.observables:
                continue
            if name not in carried:
                known = [*carried, *(v.name for v in self.variables), *self.observables]
                raise unknown_name("observable", name, known)
            new.append(carried[name])
        return replace(
            self,
            variables=(*self.variables, *new),
            updates={**self.updates, **{s: self.carried[s] for s in new}},
            carried={s: e for s, e in self.carried.items() if s not in new},
        )

    def jacobian(self) -> sp.ImmutableMatrix:
        """Return the derivative of the new state with respect to the old one (scalar maps).

        Returns
        -------
        sympy.ImmutableMatrix
            Of shape (s, s) for s state variables.

        Raises
        ------
        InputError
            For matrix maps.

        Examples
        --------
        >>> import catapult_theory as ct
        >>> ct.derive(ct.models.uv()).jacobian().subs(ct.symbol("f"), 0)
        Matrix([
        [-eta*lam + 1, 0],
        [           0, 1]])
        """
        if self.is_matrix:
            raise InputError("jacobian() is for scalar maps; differentiate numerically instead")
        images = sp.Matrix([self.updates[s] for s in self.variables])
        return sp.ImmutableMatrix(images.jacobian(sp.Matrix(self.variables)))

    def truncate(self, order: int = 1) -> UpdateMap:
        """Return the updates up to O(n^-order), for a state of order one.

        ``truncate(1)`` is the infinite-width limit f' = f (1 - eta lam).

        Parameters
        ----------
        order : int
            At least 1.

        Returns
        -------
        UpdateMap
            With `exactness` O(1/n^order).

        Examples
        --------
        >>> import catapult_theory as ct
        >>> ct.derive(ct.models.uv()).truncate().updates[ct.symbol("lam")]
        lam
        """
        if self.is_matrix or n not in self.constants:
            raise InputError("truncate() needs a scalar map with the width n as a parameter")
        if order < 1:
            raise InputError(f"order must be at least 1, got {order}")
        small = sp.Dummy("epsilon", positive=True)
        new = {}
        for s, e in self.updates.items():
            series = sp.series(sp.expand(e.subs(n, 1 / small)), small, 0, order).removeO()
            new[s] = sp.factor(series.subs(small, 1 / n))
        return replace(self, updates=new, exactness=Exactness(order))

    def dimensionless(self) -> Any:
        """Return the map in its dimensionless groups, found from its scaling symmetries.

        Returns
        -------
        DimensionlessMap
            With ``groups`` (each in the original symbols), ``updates`` and ``parameters``.

        Raises
        ------
        InputError
            For matrix maps.

        Examples
        --------
        >>> import catapult_theory as ct
        >>> print(ct.derive(ct.models.uv()).dimensionless())
        a = eta*lam
        b = eta**2*f**2/n
        a' = a + b*(a - 4)
        b' = b*(a - b - 1)**2
        no parameter is left
        """
        from catapult_theory.symbolic.scaling import dimensionless

        return dimensionless(self)

    def state_from_gram(
        self,
        gram: Any,
        n: Any,
        names: tuple[str, ...] = (),
        sizes: Mapping[str, int] | None = None,
    ) -> dict[str, Any]:
        """Return the state of a network with the given Gram matrix.

        Parameters
        ----------
        gram : array, shape (..., p, p)
            Inner products divided by n, of the trained columns in the order of `frame`
            (p columns in all); buffers start at zero.
        n : float or array
            Width; arrays broadcast against the leading shape of ``gram``.
        names : tuple of str
            Carried quantities to add.
        sizes : mapping, optional
            Values of symbolic sizes of a matrix model, such as ``{"d": 64}``; one unknown
            size is found from p.

        Returns
        -------
        dict of str to array
            One entry per state variable.

        Raises
        ------
        InputError
            If ``gram`` does not fit the frame.

        Examples
        --------
        >>> import catapult_theory as ct, numpy as np
        >>> ct.derive(ct.models.uv()).state_from_gram(np.array([[1.0, 0.1], [0.1, 1.0]]), n=100)
        {'f': array(1.), 'lam': array(2.)}
        """
        from catapult_theory.symbolic.gram import state_from_gram

        return state_from_gram(self, np.asarray(gram, dtype=float), n, names, sizes)

    def latex(self) -> str:
        """Return the definitions and updates as a LaTeX aligned block.

        Returns
        -------
        str

        Examples
        --------
        >>> import catapult_theory as ct
        >>> r"f_{t+1}" in ct.derive(ct.models.uv()).latex()
        True
        """
        rows = [rf"{tex(s)} &= {tex(e)}" for s, e in self.definitions.items()]
        rows += [f"{tex(prime(s))} &= {tex(e)}" for s, e in self.updates.items()]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    def derivation(self) -> str:
        """Return the steps of the derivation as text, numbered.

        Returns
        -------
        str

        Examples
        --------
        >>> import catapult_theory as ct
        >>> ct.derive(ct.models.uv()).derivation().startswith("1. ")
        True
        """
        return "\n".join(f"{i}. {step}" for i, step in enumerate(self.steps, 1))

    def __str__(self) -> str:
        rows = [f"{name(s)} = {show(e)}" for s, e in self.definitions.items()]
        rows += [f"{name(s)}' = {show(printed(e))}" for s, e in self.updates.items()]
        rows.append(str(self.exactness))
        return "\n".join(rows)

    def __repr__(self) -> str:
        return f"<UpdateMap of {self.model}, {self.loss} loss, {self.optimizer}>"

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def to_json(self) -> str:
        """Return the map as JSON text, deterministic to the byte.

        Returns
        -------
        str

        Examples
        --------
        >>> import catapult_theory as ct
        >>> uv = ct.derive(ct.models.uv())
        >>> ct.UpdateMap.from_json(uv.to_json()) == uv
        True
        """
        tree = {
            "schema": SCHEMA,
            "model": self.model,
            "loss": self.loss,
            "optimizer": self.optimizer,
            "order": self.exactness.order,
            "frame": _frame_tree(self.frame),
            "variables": serialize.dump(self.variables),
            "constants": serialize.dump(self.constants),
            "data": serialize.dump(self.data),
            "domain": serialize.dump(self.domain),
            "threshold": serialize.dump(self.threshold),
            "decay": serialize.dump(self.decay),
            "batches": None if self.batches is None else astuple(self.batches),
            "observables": {k: serialize.dump(e) for k, e in self.observables.items()},
            "steps": [[s.text, serialize.dump(s.equations)] for s in self.steps],
        }
        for key in ("updates", "carried", "definitions", "gram"):
            tree[key] = serialize.dump(tuple(getattr(self, key).items()))
        return json.dumps(tree, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> UpdateMap:
        """Return the map that `to_json` wrote; the text is read without evaluating it.

        Parameters
        ----------
        text : str

        Returns
        -------
        UpdateMap

        Raises
        ------
        InputError
            If the text is not an update map of a known schema.
        """
        try:
            tree = json.loads(text)
            schema = tree["schema"]
        except (ValueError, TypeError, KeyError) as cause:
            raise InputError("the text is not an update map written by to_json()") from cause
        if schema != SCHEMA:
            raise InputError(f"update map of schema {schema}; this version reads schema {SCHEMA}")
        try:
            return _from_tree(tree)
        except (KeyError, TypeError, IndexError, AttributeError) as cause:
            raise InputError(f"the update map is damaged: {cause}") from cause


def _frame_tree(frame: Frame) -> list[Any]:
    """Return a frame for JSON; groups are written only where there are several."""
    several = [frame.groups, serialize.dump(frame.shares)] if frame.groups else []
    return [frame.names, serialize.dump(frame.columns), frame.trained, *several]


def _from_tree(tree: Mapping[str, Any]) -> UpdateMap:
    load = serialize.load
    names, columns, trained, *several = tree["frame"]
    groups, shares = several or ((), ["tuple"])
    return UpdateMap(
        model=tree["model"],
        loss=tree["loss"],
        optimizer=tree["optimizer"],
        exactness=Exactness(tree["order"]),
        frame=Frame(tuple(names), load(columns), trained, tuple(groups), load(shares)),
        variables=load(tree["variables"]),
        constants=load(tree["constants"]),
        data=load(tree["data"]),
        domain=load(tree["domain"]),
        threshold=load(tree["threshold"]),
        decay=load(tree["decay"]),
        batches=Batches(*tree["batches"]) if tree.get("batches") else None,
        observables={k: load(e) for k, e in tree["observables"].items()},
        steps=tuple(Step(text, load(equations)) for text, equations in tree["steps"]),
        **{k: dict(load(tree[k])) for k in ("updates", "carried", "definitions", "gram")},
    )


def _named(title: str, symbols: tuple[Any, ...]) -> Any:
    return namedtuple(title, [s.name for s in symbols])(*symbols)


def name(symbol: Any) -> str:
    """Return the code-safe name of a state symbol."""
    return str(symbol.name)


def prime(symbol: Any) -> Any:
    """Return the symbol that stands for the value after the step."""
    if isinstance(symbol, sp.MatrixSymbol):
        return sp.MatrixSymbol(f"{symbol.name}'", *symbol.shape)
    return sp.Symbol(f"{symbol.name}'", real=True)


def show(expression: Any) -> str:
    """Return the expression as plain text, sums of matrices in the order of a textbook."""
    if isinstance(expression, sp.MatAdd):
        return _joined(expression, str)
    return str(expression)


def _joined(total: Any, write: Callable[[Any], str]) -> str:
    """Write a sum of matrices: positive terms and short ones first."""
    signed = []
    for term in total.args:
        coefficient, _ = term.as_coeff_mmul()
        negative = bool(sp.sympify(coefficient).could_extract_minus_sign())
        size = len(term.args) if isinstance(term, sp.MatMul) else 0
        signed.append((size, negative, write(-term if negative else term)))
    (_, negative, text), *rest = sorted(signed, key=lambda item: (item[0] > 0, item[0], item[1]))
    text = f"-{text}" if negative else text
    return text + "".join(f" {'-' if minus else '+'} {other}" for _, minus, other in rest)


def tex(expression: Any) -> str:
    """Return the expression as LaTeX in the notation of THEORY section 1."""
    if isinstance(expression, str):
        return expression
    if isinstance(expression, sp.MatAdd):
        return _joined(expression, tex)
    table = {}
    for s in getattr(expression, "free_symbols", ()):
        base, primes = s.name.rstrip("'"), len(s.name) - len(s.name.rstrip("'"))
        if base in LATEX or primes:
            plain = LATEX.get(base) or sp.latex(sp.Symbol(base))
            plain = f"{{{plain}}}" if primes and "_" in plain else plain
            table[s] = plain + ("_{t+1}" if primes else "")
    return sp.latex(expression, symbol_names=table)


__all__ = ["Exactness", "Frame", "Inner", "Step", "UpdateMap"]
