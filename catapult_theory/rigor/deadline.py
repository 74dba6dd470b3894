"""A bound on time that really stops: an exception raised in the thread that works too long.

A judgement is pure Python, so that a watchdog thread can interrupt it between two
instructions, in any thread and on any platform; nothing is left running behind.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from catapult_theory.errors import InputError

SECONDS = 20.0
_AGAIN = 0.01


class OutOfTime(BaseException):
    """Raised in a thread whose time is up; no handler of ordinary exceptions catches it."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Run a block that is interrupted by `OutOfTime` when its time is up.

    Parameters
    ----------
    seconds : float or None
        Wall-clock time; None for no bound.

    Raises
    ------
    InputError
        If the time is not a positive number.
    OutOfTime
        In the block, when its time is up.

    Examples
    --------
    >>> try:
    ...     with time_limit(0.01):
    ...         while True:
    ...             pass
    ... except OutOfTime:
    ...     print("stopped")
    stopped
    """
    if seconds is None:
        yield
        return
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise InputError(f"timeout must be a positive number of seconds or None, got {seconds!r}")
    watched = _Watched(threading.get_ident())
    threading.Thread(target=_watch, args=(watched, float(seconds)), daemon=True).start()
    try:
        yield
    finally:
        _settle(watched)


@dataclass
class _Watched:
    """What the two threads tell each other, in plain attributes: an interruption between two
    instructions can leave a lock held, but no attribute half set."""

    thread: int
    finished: bool = False
    ended: bool = False


def _watch(watched: _Watched, seconds: float) -> None:
    """Interrupt a thread when its time is up, and again until it has noticed."""
    end = time.monotonic() + seconds
    pause = min(_AGAIN, seconds)
    while not watched.finished:
        time.sleep(pause)
        if not watched.finished and time.monotonic() >= end:
            _interrupt(watched.thread)
    watched.ended = True


def _interrupt(thread: int) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(OutOfTime))


def _settle(watched: _Watched) -> None:
    """End the watch; an interruption that comes too late is taken back."""
    while True:
        try:
            watched.finished = True
            while not watched.ended:
                time.sleep(0.0005)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(watched.thread), None)
            return
        except OutOfTime:
            continue
