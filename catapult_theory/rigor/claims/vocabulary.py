"""The names that a claim may use, and what each stands for on a given map.

A name is a state variable, a parameter, an observable, a carried quantity, or one of the
abbreviations of theory, section 1: each resolves to an expression in the state before the
step. The value after the step is the same expression at the updated state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

import sympy as sp

from catapult_theory.errors import ClaimError, InputError
from catapult_theory.rigor.claims.gram_domain import gram_minors
from catapult_theory.rigor.claims.names import ABSENT, canonical_name
from catapult_theory.rigor.claims.pieces import joined
from catapult_theory.rigor.claims.size import Size, size_of
from catapult_theory.symbolic.update_map import UpdateMap

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "lambda": "lam", "λ": "lam", "Theta": "lam", "Θ": "lam", "ntk": "lam", "NTK": "lam",
        "η": "eta", "β": "beta", "ω": "omega", "κ": "kappa", "Δ": "Delta", "∆": "Delta",
        "L": "loss", "ℓ": "loss", "ftilde": "g", "f_tilde": "g",
    }
)  # fmt: skip

_ABSENT: Mapping[str, str] = MappingProxyType(
    {
        **ABSENT,
        "y": "this map has no label as a symbol: make the model with label=True",
        "kappa": "this map has no label as a symbol: make the model with label=True",
        "Delta": "this map does not carry the imbalance",
        "t": "write the step as f_t and f_{t+1}, or f and f'",
    }
)


@dataclass(frozen=True)
class Vocabulary:
    """The names of one scalar map.

    Parameters
    ----------
    update_map : UpdateMap
        With its carried quantities in the state.
    label : sympy.Expr or None
        The label where it is a number, which the map itself does not name.
    carried : tuple of str
        The state variables that ride along and that the others do not need.
    """

    update_map: UpdateMap
    label: sp.Expr | None = None
    carried: tuple[str, ...] = ()
    _sizes: dict[sp.Symbol, Size] = field(default_factory=dict, compare=False, repr=False)

    is_matrix = False

    @classmethod
    def of(cls, update_map: UpdateMap, label: sp.Expr | None = None) -> Vocabulary:
        """Return the vocabulary of a scalar map.

        Raises
        ------
        ClaimError
            For a matrix map.
        """
        if update_map.is_matrix:
            raise ClaimError(
                "claims are judged for scalar maps; this one has matrices for its state. "
                "Check single entries numerically with ct.compile(...).step, or state the claim "
                "for the one-sample model ct.models.uv"
            )
        carried = tuple(s.name for s in update_map.carried)
        return cls(update_map.with_observables(*carried), label, carried)

    @cached_property
    def base(self) -> Mapping[str, sp.Symbol]:
        """State variables and parameters by name."""
        found = (*self.update_map.variables, *self.update_map.constants)
        return {s.name: s for s in found}

    @cached_property
    def known(self) -> tuple[str, ...]:
        """Every name that resolves on this map, in the order of a reader's interest."""
        names = [*self.base, *self.update_map.observables, *_DEFINED, *self._groups]
        return tuple(dict.fromkeys(name for name in names if self._value(name) is not None))

    @cached_property
    def minors(self) -> tuple[sp.Expr, ...]:
        """What is nonnegative because the Gram matrix of the state is; empty if not known."""
        return gram_minors(self.update_map)

    def canonical(self, name: str, position: int) -> str:
        """Return the code-safe spelling of a name, or refuse it with the nearest valid one.

        Parameters
        ----------
        name : str
        position : int
            Where it stands in the user's text, from 1.

        Raises
        ------
        ClaimError
            If the name means nothing on this map.
        """
        return canonical_name(name, position, self.known, ALIASES, _ABSENT)

    def symbol(self, name: str) -> sp.Symbol:
        """Return the symbol that stands for a canonical name in a claim's tree."""
        return self.base.get(name, sp.Symbol(name, real=True))

    def primed(self, expression: sp.Expr) -> sp.Expr:
        """Return an expression of a claim's tree at the state after the step."""
        table = {
            s: sp.Symbol(f"{s.name}'", real=True)
            for s in expression.free_symbols
            if s not in self.update_map.constants
        }
        return expression.xreplace(table)

    def value(self, symbol: sp.Symbol) -> sp.Expr:
        """Return what a symbol of a claim's tree stands for, in the state before the step."""
        name = symbol.name.rstrip("'")
        now = self._value(name)
        if now is None:
            raise ClaimError(f"unknown name {name!r}")
        return self.after(now) if symbol.name.endswith("'") else now

    def after(self, expression: sp.Expr) -> sp.Expr:
        """Return an expression of the state with the updated state put in."""
        return expression.xreplace(dict(self.update_map.updates))

    def resolved(self, expression: sp.Expr) -> sp.Expr:
        """Return a claim's tree in the state before the step and the parameters."""
        table = {s: self.value(s) for s in expression.free_symbols}
        return expression.xreplace({s: e for s, e in table.items() if s != e})

    def size(self, symbol: sp.Symbol) -> Size:
        """Return the size of what a symbol of a claim's tree stands for."""
        if symbol not in self._sizes:
            self._sizes[symbol] = size_of(self.value(symbol), {})
        return self._sizes[symbol]

    def sizes(self, expression: sp.Expr) -> dict[sp.Symbol, Size]:
        """Return the sizes of all symbols of a claim's tree."""
        return {s: self.size(s) for s in expression.free_symbols}

    def _value(self, name: str) -> sp.Expr | None:
        if name in self.base:
            return self.base[name]
        if name in self.update_map.observables:
            return joined(self.update_map.observables[name])
        if name in self._groups:
            return self._groups[name]
        return _DEFINED[name](self) if name in _DEFINED else None

    @cached_property
    def _groups(self) -> Mapping[str, sp.Expr]:
        found = _groups_of(self.update_map)
        return {k: e for k, e in found.items() if e.free_symbols <= set(self.base.values())}

    def _needs(self, build: Callable[..., sp.Expr], *names: str) -> sp.Expr | None:
        values = [self._value(name) for name in names]
        return None if any(v is None for v in values) else build(*values)

    def _slope(self) -> sp.Expr | None:
        loss, output = self.update_map.observables.get("loss"), self.base.get("f")
        if loss is None or output is None:
            return None
        return joined(sp.factor_terms(sp.diff(loss, output)))

    def _target(self) -> sp.Expr | None:
        if self.label is not None:
            return self.label
        slope, output = self._slope(), self.base.get("f")
        if slope is None or output is None or not slope.is_polynomial(output):
            return None
        target = sp.expand(output - slope)
        return target if target.is_Rational else None


@lru_cache(maxsize=32)
def _groups_of(update_map: UpdateMap) -> Mapping[str, sp.Expr]:
    """Return the dimensionless groups of a map by name; found once for each map."""
    try:
        groups = update_map.dimensionless().groups
    except InputError:
        return {}
    return {str(getattr(k, "name", k)): e for k, e in groups.items()}


_DEFINED: Mapping[str, Callable[[Vocabulary], Any]] = MappingProxyType(
    {
        "y": lambda v: v._target(),
        "g": lambda v: v._slope(),
        "a": lambda v: v._needs(lambda eta, lam: eta * lam, "eta", "lam"),
        "b": lambda v: v._needs(lambda eta, f, n: eta**2 * f**2 / n, "eta", "f", "n"),
        "q": lambda v: v._needs(lambda eta, f, n: eta * f / sp.sqrt(n), "eta", "f", "n"),
        "kappa": lambda v: v._needs(lambda eta, y, n: eta * y / sp.sqrt(n), "eta", "y", "n"),
        "p": lambda v: v._needs(lambda q, k: q - k, "q", "kappa"),
        "m": lambda v: sp.S.One,
    }
)
