"""Frames: which width-n parameters are turned by one orthogonal group, and how long they are.

The hidden units of a network may fall into groups that the output treats differently (units of
positive and of negative sign). Each group has an orthogonal group of its own and its own Gram
matrix; inner products between groups are no invariants (THEORY section 2, several frames).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp

from catapult_theory.errors import ModelError


@dataclass(frozen=True)
class Frames:
    """Groups of parameters, each with an orthogonal group of its own.

    Parameters
    ----------
    groups : tuple of tuples of str
        The names of each group.
    shares : tuple of sympy.Rational
        The length of the parameters of each group, in units of the width n.
    """

    groups: tuple[tuple[str, ...], ...]
    shares: tuple[sp.Rational, ...]

    def group(self, name: str) -> int:
        """Return the number of the group that a parameter belongs to."""
        return next(i for i, names in enumerate(self.groups) if name in names)

    def share(self, name: str) -> sp.Rational:
        """Return the length of a parameter in units of the width."""
        return self.shares[self.group(name)]

    @property
    def is_single(self) -> bool:
        """Whether all parameters are turned together."""
        return len(self.groups) == 1

    def apart(self, first: str, second: str) -> bool:
        """Whether two parameters belong to different groups."""
        return self.group(first) != self.group(second)


def frames_of(names: Sequence[str], written: Mapping[str, Any] | None) -> Frames:
    """Return the frames of named parameters.

    Parameters
    ----------
    names : sequence of str
    written : mapping of str to number, or None
        From names, separated by spaces, to the share of the width that they fill; None for
        one frame of width n.

    Returns
    -------
    Frames

    Raises
    ------
    ModelError
        If a parameter is missing or named twice, or a share is not a positive fraction.

    Examples
    --------
    >>> frames_of(["u", "v", "w"], {"u v": "1/2", "w": "1/2"}).groups
    (('u', 'v'), ('w',))
    """
    if written is None:
        return Frames((tuple(names),), (sp.S.One,))
    groups = tuple(tuple(text.replace(",", " ").split()) for text in written)
    listed = [name for group in groups for name in group]
    if sorted(listed) != sorted(names):
        raise ModelError(
            f"frames= must name every vector or matrix once: it names {listed}, the model has "
            f"{list(names)}"
        )
    return Frames(groups, tuple(_share(value) for value in written.values()))


def _share(value: Any) -> sp.Rational:
    try:
        share = sp.Rational(str(value)) if not isinstance(value, float) else sp.nsimplify(value)
    except (TypeError, ValueError) as cause:
        raise ModelError(f"a frame's share of the width is a fraction, got {value!r}") from cause
    if not (share.is_Rational and share.is_positive):
        raise ModelError(f"a frame's share of the width is a positive fraction, got {value!r}")
    return share


def side_of(share: Any) -> str:
    """Return the length of a parameter as a shape writes it: ``n``, ``n/2``, ``3n/4``.

    Parameters
    ----------
    share : sympy.Rational

    Returns
    -------
    str

    Examples
    --------
    >>> side_of(sp.S.One), side_of(sp.Rational(3, 4))
    ('n', '3n/4')
    """
    over = "" if share.q == 1 else f"/{share.q}"
    return f"{'' if share.p == 1 else share.p}n{over}"
