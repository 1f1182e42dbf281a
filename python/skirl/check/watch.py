"""Calls into the user's code that may hang: made on a thread of their own, watched from the caller's."""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from skirl.check.source import line_of_frame

#: Seconds between two looks at the thread.
_POLL = 0.02


class OutOfTime(Exception):
    """The time of the whole check is used up."""


class Abandoned(BaseException):
    """Thrown into a thread whose call hangs, so that a loop in Python ends."""


class _Call:
    """One call under way; an object of its own, so that two calls of one method can be told apart."""

    def __init__(self, method: str) -> None:
        self.method = method


class Watch:
    """Counts the time of a check and of each call.

    `call` runs the user's code. `run` runs the whole check beside a watchdog: it returns what was being called when a call takes
    longer than `call_seconds`, and `None` if all calls came back. A call that hangs is left to its (daemon) thread.
    """

    def __init__(self, total_seconds: float, call_seconds: float | None) -> None:
        self._deadline = time.monotonic() + total_seconds
        self._call_seconds = call_seconds
        self._current: _Call | None = None
        self._abandoned = False

    def call(self, method: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Calls the user's code; raises `OutOfTime` instead if no time is left."""
        if self._abandoned or time.monotonic() > self._deadline:
            raise OutOfTime
        self._current = _Call(method)
        try:
            return function(*arguments, **named)
        finally:
            self._current = None

    def run(self, check: Callable[[], None]) -> tuple[str, str] | None:
        """Runs the check. Returns method and line of the call that hangs, if one does."""
        if self._call_seconds is None:
            check()
            return None
        failures: list[BaseException] = []
        thread = threading.Thread(target=_catching, args=(check, failures), name="skirl-check", daemon=True)
        thread.start()
        try:
            hung = self._wait(thread, self._call_seconds)
        except BaseException:
            # Ctrl-C: the thread ends at its next call.
            self._abandoned = True
            raise
        if failures:
            raise failures[0]
        return hung

    def _wait(self, thread: threading.Thread, call_seconds: float) -> tuple[str, str] | None:
        """Waits for the thread, or for a call of it that takes too long."""
        waited, call, before = 0.0, self._current, time.monotonic()
        while thread.is_alive():
            thread.join(_POLL)
            now = time.monotonic()
            # Time in which nobody ran (a stopped process, a sleeping laptop) is no time that the call took.
            waited = waited + min(now - before, 5 * _POLL) if self._current is call else 0.0
            call, before = self._current, now
            if call is not None and waited > call_seconds and thread.is_alive():
                return call.method, self._abandon(thread)
        return None

    def _abandon(self, thread: threading.Thread) -> str:
        self._abandoned = True
        assert thread.ident is not None
        line = line_of_frame(sys._current_frames().get(thread.ident))
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Abandoned))
        return line


def _catching(check: Callable[[], None], failures: list[BaseException]) -> None:
    with contextlib.suppress(Abandoned):
        try:
            check()
        except Exception as error:  # noqa: BLE001: raised again by the thread that waits.
            failures.append(error)
