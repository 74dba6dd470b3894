"""Looking up a name of a claim, and the error for one that means nothing."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from catapult_theory.errors import ClaimError

# What a message quotes of a name that may be as long as the claim.
_SHOWN = 30
_LETTERS = 15

# Why names are absent that claims about maps of either kind may expect.
ABSENT: Mapping[str, str] = {
    "omega": "this map has no weight decay: derive it with "
    "optimizer=ct.optimizers.gd(weight_decay=True)",
    "beta": "this map has no momentum: derive it with optimizer='heavy_ball'",
    "O": "leave O(...) out: the verdict itself states the order in 1/n",
    "oo": "numbers must be finite",
    "inf": "numbers must be finite",
    "nan": "numbers must be finite",
    "infinity": "numbers must be finite",
    "e": "write an exponential as exp(...)",
    "pi": "claims hold rational numbers alone",
}


def canonical_name(
    name: str,
    position: int,
    known: Sequence[str],
    aliases: Mapping[str, str],
    absent: Mapping[str, str],
) -> str:
    """Return the code-safe spelling of a name, or refuse it with the nearest valid one.

    Parameters
    ----------
    name : str
    position : int
        Where it stands in the user's text, from 1.
    known : sequence of str
        The names that mean something on the map, in the order of a reader's interest.
    aliases : mapping
        From other spellings to canonical ones.
    absent : mapping
        Why the map does not have a name that a reader may expect, by name.

    Returns
    -------
    str

    Raises
    ------
    ClaimError
        If the name means nothing on the map.

    Examples
    --------
    >>> canonical_name("λ", 1, ["lam", "eta"], {"λ": "lam"}, ABSENT)
    'lam'
    """
    own = name if name in known else aliases.get(name, name)
    if own in known:
        return own
    if own in absent:
        raise ClaimError(f"unknown name {name!r} at position {position}: {absent[own]}")
    if len(own) > 1 and all(letter in known for letter in own):
        raise ClaimError(
            f"unknown name {own[:_SHOWN]!r} at position {position}: for a product write "
            f"{'*'.join(own[:_LETTERS])}"
        )
    near = difflib.get_close_matches(name, [*known, *aliases], n=1, cutoff=0.5)
    hint = f" did you mean {near[0]!r}?" if near else ""
    shown = name if len(name) <= _SHOWN else name[: _SHOWN - 3] + "..."
    raise ClaimError(
        f"unknown name {shown!r} at position {position}:{hint} Valid names: {', '.join(known)}"
    )


__all__ = ["ABSENT", "canonical_name"]
