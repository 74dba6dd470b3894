"""A token of a claim: what every reader of text hands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Token:
    """One token in the parser's own spelling.

    Parameters
    ----------
    kind : str
        "name", "number", "function", "operator", "relation", "open", "close", "comma", "prime";
        for matrices also "index", "transpose" and "sum".
    text : str
        A canonical name, a digit string or a Python operator.
    at : int
        Position in the user's text, from 1.
    spaced : bool
        Whether white space stands before it.
    """

    kind: str
    text: str
    at: int
    spaced: bool = False


# What ends an operand: a product may follow without a sign.
OPERAND_ENDS = ("name", "number", "close", "prime", "index", "transpose")


class Words(Protocol):
    """The names of a map, scalar or matrix, as the readers of text ask for them."""

    @property
    def is_matrix(self) -> bool:
        """Whether transposes and indices are read."""

    @property
    def base(self) -> Mapping[str, Any]:
        """State variables and parameters by name."""

    @property
    def known(self) -> tuple[str, ...]:
        """Every name that resolves."""

    def canonical(self, name: str, position: int) -> str:
        """Return the code-safe spelling of a name, or refuse it."""
