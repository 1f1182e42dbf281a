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


class OutOfTime(Exception):
    """The time of the whole check is used up."""


class Abandoned(BaseException):
    """Thrown into a thread whose call hangs, so that a loop in Python ends."""


class Watch:
    """Counts the time of a check and of each call.

    `call` runs the user's code. `run` runs the whole check beside a watchdog: it returns what was being called when a call takes
    longer than `call_seconds`, and `None` if all calls came back. A call that hangs is left to its (daemon) thread.
    """

    def __init__(self, total_seconds: float, call_seconds: float | None) -> None:
        self._deadline = time.monotonic() + total_seconds
        self._call_seconds = call_seconds
        self._current: tuple[str, float] | None = None
        self._abandoned = False

    def call(self, method: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Calls the user's code; raises `OutOfTime` instead if no time is left."""
        if self._abandoned or time.monotonic() > self._deadline:
            raise OutOfTime
        self._current = (method, time.monotonic())
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
        while thread.is_alive():
            thread.join(0.02)
            method = self._hung(call_seconds)
            if method is not None and thread.is_alive():
                return method, self._abandon(thread)
        return None

    def _hung(self, call_seconds: float) -> str | None:
        current = self._current
        late = current is not None and time.monotonic() - current[1] > call_seconds
        return current[0] if current is not None and late else None

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
