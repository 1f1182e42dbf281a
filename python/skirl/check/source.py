"""Which line of whose file: findings point into the user's code."""

from __future__ import annotations

import inspect
import os
import sysconfig
import traceback
from types import CodeType, FrameType
from typing import Any

# Frames of these packages are not the user's; the fault lies in who called them.
_NOT_THE_USERS = (
    *(os.sep + package + os.sep for package in ("gymnasium", "numpy", os.path.join("skirl", "check"))),
    os.sep + "threading.py",
)
_STANDARD_LIBRARY = sysconfig.get_paths()["stdlib"] + os.sep


def unwrapped(env: Any) -> Any:
    """The environment inside all wrappers."""
    try:
        return env.unwrapped
    except Exception:  # noqa: BLE001: a property of the user's own may raise anything.
        return env


def line_of(env: Any, method: str) -> str:
    """`file.py:42` of the method that the user wrote; of the class if there is no such method; empty if unknown."""
    owner = type(unwrapped(env))
    function = inspect.unwrap(getattr(owner, method, owner))
    code = getattr(function, "__code__", None)
    if isinstance(code, CodeType) and not _is_library(code.co_filename):
        return f"{_short(code.co_filename)}:{code.co_firstlineno}"
    return line_of_class(owner)


def line_of_class(owner: Any) -> str:
    """`file.py:12` of a class or function; empty if it has no file."""
    try:
        file = inspect.getsourcefile(owner)
        _, line = inspect.getsourcelines(owner)
    except (TypeError, OSError):
        return ""
    return f"{_short(file)}:{line}" if file else ""


def line_of_exception(error: BaseException) -> str:
    """`file.py:42`, the innermost line of the user's own code that the exception passed."""
    return _innermost([(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)])


def line_of_frame(frame: FrameType | None) -> str:
    """`file.py:42`, the innermost line of the user's own code in a running call."""
    return _innermost([(frame.f_code, line) for frame, line in traceback.walk_stack(frame)][::-1])


def _innermost(calls: list[tuple[CodeType, int]]) -> str:
    calls = [(code, line) for code, line in calls if not _is_library(code.co_filename)]
    if not calls:
        return ""
    # What is installed is the user's only if nothing else is.
    code, line = next((call for call in reversed(calls) if not _is_installed(call[0].co_filename)), calls[-1])
    return f"{_short(code.co_filename)}:{line} in {code.co_name}"


def _is_library(file: str) -> bool:
    return file.startswith("<frozen") or any(part in file for part in _NOT_THE_USERS)


def _is_installed(file: str) -> bool:
    return file.startswith(_STANDARD_LIBRARY) or f"{os.sep}site-packages{os.sep}" in file


def _short(file: str) -> str:
    """Relative to the working directory if it lies inside, to `site-packages` if it is installed."""
    installed = f"{os.sep}site-packages{os.sep}"
    if installed in file:
        return file.rpartition(installed)[2]
    try:
        relative = os.path.relpath(file)
    except ValueError:
        return file
    return file if relative.startswith(os.pardir) else relative
