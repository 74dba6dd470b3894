"""The exceptions of the toolkit: every message names a cause and a remedy.

All derive from `CatapultError` and from the built-in exception that fits, so that
``except ValueError`` works as a reader of the standard library expects.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CatapultError(Exception):
    """The base of every error that the toolkit raises on purpose."""


class InputError(CatapultError, ValueError):
    """A value that cannot be used: wrong shape, NaN, a non-positive width."""


class ModelError(CatapultError, ValueError):
    """A network, loss or optimizer that cannot be understood as written."""


class StartError(InputError):
    """A start that is missing, or that a run cannot take.

    Parameters
    ----------
    fact : str
        What is wrong.
    remedy : str
        What to do in Python; the command line says it in its own options.
    """

    def __init__(self, fact: str, remedy: str = "") -> None:
        self.fact = fact
        super().__init__(fact, remedy)

    def __str__(self) -> str:
        return "; ".join(filter(None, self.args))


class DomainError(StartError):
    """A state that no finite-width network can have, such as |f| > sqrt(n) lambda / 2."""


class ClaimError(CatapultError, ValueError):
    """The text of a claim that cannot be read, or that is too large to judge."""


class UnmetHypotheses(ClaimError):
    """Hypotheses that contradict each other, or the domain, so that nothing is said by them."""


class MissingBackend(CatapultError, ImportError):
    """An optional part that is not installed; the message holds the line that installs it."""


class OutputError(CatapultError, OSError):
    """A folder or file that cannot be written."""


class NotClosed(CatapultError, ValueError):
    """The dynamics leaves the inner products of the width-n vectors.

    Parameters
    ----------
    term : str
        The first quantity that the update needs and that is not among the invariants.
    reason : str
        Why that quantity is not a function of the Gram matrix.
    """

    def __init__(self, term: str, reason: str) -> None:
        self.term = term
        self.reason = reason
        super().__init__(
            f"the dynamics does not close: the first term that leaves is {term} ({reason}). "
            "Exact dynamics exists for outputs built from inner products of width-n vectors, "
            "under optimizers that act linearly on whole vectors; otherwise simulate the "
            "network with ct.train"
        )

    def __reduce__(self) -> tuple[type[NotClosed], tuple[str, str]]:
        return type(self), (self.term, self.reason)


def unknown_name(kind: str, name: object, known: Iterable[str]) -> InputError:
    """Return the error for a name that is not known, with the nearest valid one.

    Parameters
    ----------
    kind : str
        What is being named: "model", "loss", "optimizer", "backend".
    name : object
        The name that was given.
    known : iterable of str
        The valid names.

    Returns
    -------
    InputError
        Ready to be raised.

    Examples
    --------
    >>> print(unknown_name("loss", "sqared", ["squared", "logistic"]))
    unknown loss 'sqared': did you mean 'squared'? Valid names: squared, logistic
    """
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f" did you mean {near[0]!r}?" if near else ""
    return InputError(f"unknown {kind} {name!r}:{hint} Valid names: {', '.join(names)}")
