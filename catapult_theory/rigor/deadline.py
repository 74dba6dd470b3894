"""A bound on time that really stops: an exception raised in the thread that works too long.

A judgement is pure Python, so that a watchdog thread can interrupt it between two
instructions, in any thread and on any platform; nothing is left running behind.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from catapult_theory.errors import InputError

SECONDS = 20.0
_AGAIN = 0.05


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
    finished = threading.Event()
    thread = threading.get_ident()
    watch = threading.Thread(target=_watch, args=(thread, float(seconds), finished), daemon=True)
    watch.start()
    try:
        yield
    finally:
        _settle(finished, watch, thread)


def _watch(thread: int, seconds: float, finished: threading.Event) -> None:
    """Interrupt a thread when its time is up, and again until it has noticed."""
    wait = min(seconds, threading.TIMEOUT_MAX)
    while not finished.wait(wait):
        _interrupt(thread)
        wait = _AGAIN


def _interrupt(thread: int) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(OutOfTime))


def _settle(finished: threading.Event, watch: threading.Thread, thread: int) -> None:
    """End the watch; an interruption that comes too late is taken back."""
    while True:
        try:
            finished.set()
            watch.join()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)
            return
        except OutOfTime:
            continue
