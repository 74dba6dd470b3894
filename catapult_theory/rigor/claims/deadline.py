"""A bound on time that really stops: the work has a thread of its own, which is interrupted.

A judgement is pure Python, so that its thread can be interrupted between two instructions, on
any platform. The interruption can only land in that thread: the caller's is never touched,
however late it comes; nothing is left running behind.
"""

from __future__ import annotations

import contextvars
import ctypes
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from catapult_theory.errors import InputError

SECONDS = 20.0
# How often a caller that waits can itself be interrupted.
_PAUSE = 0.02
# An interruption can be lost (in a callback whose errors are ignored), and is then repeated;
# not sooner than the work needs to unwind.
_AGAIN = 0.25

T = TypeVar("T")


class OutOfTime(Exception):
    """The time of a piece of work was up."""


class _Interruption(SystemExit):
    """Ends a thread silently, wherever it lands, past every handler of ordinary exceptions."""


def within(seconds: float | None, work: Callable[[], T]) -> T:
    """Return what a piece of work returns, or stop it when its time is up.

    Parameters
    ----------
    seconds : float or None
        Wall-clock time; None for no bound, in the caller's own thread.
    work : callable
        Without arguments. What it raises is raised here.

    Raises
    ------
    InputError
        If the time is not a positive number.
    OutOfTime
        When its time is up.

    Examples
    --------
    >>> within(1.0, lambda: 2 + 2)
    4
    >>> def endless():
    ...     while True:
    ...         pass
    >>> within(0.01, endless)
    Traceback (most recent call last):
        ...
    catapult_theory.rigor.claims.deadline.OutOfTime: stopped after 0.01 s
    """
    if seconds is None:
        return work()
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise InputError(f"timeout must be a positive number of seconds or None, got {seconds!r}")
    worker = _Worker(work)
    worker.start()
    try:
        worker.wait(time.monotonic() + seconds)
    finally:
        # Also when the caller is interrupted: by Ctrl-C, or by a bound of its own.
        worker.stop()
    if worker.error is not None:
        raise worker.error
    if not worker.found:
        raise OutOfTime(f"stopped after {seconds:g} s")
    return worker.found[0]


class _Worker(Generic[T]):
    """A thread for one piece of work, with what came of it.

    `Thread.join` is not used: interrupted by Ctrl-C, it takes a running thread for ended.
    """

    def __init__(self, work: Callable[[], T]) -> None:
        self.found: list[T] = []
        self.error: BaseException | None = None
        self._work = work
        self._context = contextvars.copy_context()
        self._ended = threading.Event()
        # Held to end and to interrupt, so that no interruption is sent to what has ended.
        self._gate = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True, name="bounded work")

    def start(self) -> None:
        """Begin the work."""
        self._thread.start()

    def _run(self) -> None:
        """Do the work, and keep what it returns or raises."""
        try:
            self.found.append(self._context.run(self._work))
        except _Interruption:
            pass
        except BaseException as error:
            self.error = error
        while not self._ended.is_set():
            with suppress(_Interruption), self._gate:
                self._ended.set()

    def wait(self, end: float) -> None:
        """Wait until the work has ended or its time is up, in pauses that can be interrupted."""
        while (left := end - time.monotonic()) > 0 and not self._ended.wait(min(left, _PAUSE)):
            continue

    def stop(self) -> None:
        """Interrupt the work, again and again until it has noticed."""
        while not self._ended.is_set():
            # Stopping is not itself stopped: who interrupts will try again.
            with suppress(_Interruption):
                if not self._interrupted():
                    return
                self._ended.wait(_AGAIN)

    def _interrupted(self) -> bool:
        """Send an interruption, and return whether there was a thread to receive it."""
        with self._gate:
            if self._ended.is_set():
                return False
            number, error = ctypes.c_ulong(self._thread.ident or 0), ctypes.py_object(_Interruption)
            return bool(ctypes.pythonapi.PyThreadState_SetAsyncExc(number, error))


__all__ = ["SECONDS", "OutOfTime", "within"]
