"""The files of a trial, named as Ray names them: progress.csv, result.json, params.json, error.txt."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .metrics import flatten


class TrialFiles:
    """Writes the files of one trial."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.columns: list[str] = []

    def write_params(self, config: Mapping[str, Any]) -> None:
        """Makes the directory and writes the configuration; what JSON does not have is written as text."""
        self.directory.mkdir(parents=True, exist_ok=True)
        text = json.dumps(config, indent=2, default=readable)
        (self.directory / "params.json").write_text(text + "\n", encoding="utf-8")

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Adds one line to result.json and one row to progress.csv."""
        with open(self.directory / "result.json", "a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
        self._write_row(flatten(result))

    def _write_row(self, row: dict[str, Any]) -> None:
        path = self.directory / "progress.csv"
        new = [name for name in row if name not in self.columns]
        if new:
            self._widen(path, new)
        with open(path, "a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([row.get(name, "") for name in self.columns])

    def _widen(self, path: Path, new: list[str]) -> None:
        """Metrics that appear later get columns at the end; rows before have empty cells there."""
        rows: list[list[str]] = []
        if self.columns:
            with open(path, newline="", encoding="utf-8") as file:
                rows = list(csv.reader(file))[1:]
        self.columns += new
        width = len(self.columns)
        draft = path.with_suffix(".csv.new")
        with open(draft, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([self.columns, *([*row, *[""] * (width - len(row))] for row in rows)])
        os.replace(draft, path)

    def write_error(self, error: str) -> None:
        """What went wrong, with its traceback."""
        (self.directory / "error.txt").write_text(error.rstrip() + "\n", encoding="utf-8")


def readable(value: Any) -> Any:
    """A stand-in for what JSON does not have: numbers of NumPy as numbers, classes and functions by name."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    name = getattr(value, "__qualname__", None)
    return f"{getattr(value, '__module__', '')}:{name}" if name else str(value)
