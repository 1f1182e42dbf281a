"""How often a fault has happened, counted in memory or in a file that outlives the process."""

from __future__ import annotations

import os
from collections import Counter


class FaultCounter:
    """Hands out faults: each kind `times` times, then never again. `times=None` means without end.

    With a `path` the count is a line for each fault in that file, written before the fault happens: it survives `kill -9`, and
    several processes share it (each appends its line, and its place among the lines decides). Without one, the count lives
    and dies with this object.
    """

    def __init__(self, times: int | None = 1, path: str | os.PathLike[str] | None = None) -> None:
        self._times = times
        self._path = path
        self._taken: Counter[str] = Counter()

    def take(self, kind: str, note: str = "") -> bool:
        """Whether a fault of this kind may happen now; if so, it is counted. The `note` goes into the file."""
        if self._path is None:
            if self._times is not None and self._taken[kind] >= self._times:
                return False
            self._taken[kind] += 1
            return True
        if self._times is not None and _count(faults_in(self._path), kind) >= self._times:
            return False
        place = self._append(self._path, kind, note)
        return self._times is None or place <= self._times

    @staticmethod
    def _append(path: str | os.PathLike[str], kind: str, note: str) -> int:
        """Adds a line; returns the how-many-th of its kind it is. Appending is atomic, so no two processes get the same place."""
        line = f"{kind} pid={os.getpid()} {note}".rstrip() + "\n"
        with open(path, "ab", buffering=0) as file:
            file.write(line.encode())
            end = file.tell()
        with open(path, "rb") as file:
            return _count(file.read(end).decode().splitlines(), kind)


def faults_in(path: str | os.PathLike[str]) -> list[str]:
    """The faults that a counter file tells of, oldest first: `kind pid=… worker=… env=… call=…`. No file: none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def _count(lines: list[str], kind: str) -> int:
    return sum(line.split(" ", 1)[0] == kind for line in lines)
