"""What an exhibit of the gallery is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, TypeVar

_Class = TypeVar("_Class", bound=type)


@dataclasses.dataclass(frozen=True)
class Exhibit:
    """A faulty environment, and what a report about it must say."""

    name: str
    #: The class; it is built without arguments.
    make: Callable[[], Any]
    #: What is wrong with it, in words.
    wrong: str
    #: Code of the finding that tells of it.
    code: str
    #: Words that the finding must hold, so that its reader can see what is wrong.
    words: tuple[str, ...]
    severity: Literal["error", "warning", "note"]
    #: Packages that it needs besides NumPy and Gymnasium.
    needs: tuple[str, ...] = ()


#: All exhibits, in the order of the files.
EXHIBITS: list[Exhibit] = []


def exhibit(
    code: str,
    *words: str,
    severity: Literal["error", "warning", "note"] = "error",
    needs: tuple[str, ...] = (),
) -> Callable[[_Class], _Class]:
    """Hangs a class into the gallery; the first line of its docstring says what is wrong."""

    def hang(owner: _Class) -> _Class:
        wrong = (owner.__doc__ or "").strip().splitlines()[0]
        EXHIBITS.append(Exhibit(owner.__name__, owner, wrong, code, words, severity, needs))
        return owner

    return hang
