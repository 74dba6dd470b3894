"""What went wrong in code of the user's: in one line, with the place in that code."""

from __future__ import annotations

import traceback
from pathlib import Path

# Frames of installed packages and of this one are not where the user looks.
_OWN = str(Path(__file__).resolve().parents[1])


def said(cause: BaseException) -> str:
    """Return an error in one line, with the last place in the user's code that it passed.

    Parameters
    ----------
    cause : BaseException

    Returns
    -------
    str

    Examples
    --------
    >>> said(KeyError("width"))
    "KeyError: 'width'"
    """
    if isinstance(cause, SyntaxError) and cause.filename is not None:
        place = f" ({Path(cause.filename).name}, line {cause.lineno})"
        return f"{type(cause).__name__}: {one_line(cause.msg)}{place}"
    frames = [f for f in traceback.extract_tb(cause.__traceback__) if _is_the_users(f.filename)]
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    text = one_line(cause)
    return f"{type(cause).__name__}{': ' if text else ''}{text}{place}"


def one_line(text: object) -> str:
    """Return a text of several lines as one.

    Parameters
    ----------
    text : object

    Returns
    -------
    str

    Examples
    --------
    >>> one_line(" two\\n  lines")
    'two lines'
    """
    return " ".join(str(text).split())


def is_of_the_call(cause: BaseException) -> bool:
    """Return whether an error came from the call itself, before any line of what was called ran.

    Parameters
    ----------
    cause : BaseException
        As caught by the function that called.

    Returns
    -------
    bool

    Examples
    --------
    >>> try:
    ...     (lambda width: width)()
    ... except TypeError as cause:
    ...     is_of_the_call(cause)
    True
    """
    return cause.__traceback__ is not None and cause.__traceback__.tb_next is None


def _is_the_users(filename: str) -> bool:
    installed = any(part in filename for part in ("site-packages", "dist-packages", "<frozen"))
    return not installed and not filename.startswith(_OWN)
