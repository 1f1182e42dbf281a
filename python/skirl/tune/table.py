"""The table of trials as text, cut to the width of the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .metrics import flatten, is_number, lookup
from .trial import ERROR, PENDING, RUNNING, TERMINATED, Trial

MAX_ROWS = 20
_MAX_METRICS = 4
_MAX_HEADER = 20
_ROUNDED, _ASCII = "╭─╮│├┤╰╯", "+-+|++++"

# Each metric with its header at full width, narrower, and narrowest.
_USUAL = {
    "env_runners/episode_return_mean": ("episode_return_mean", "return_mean", "return"),
    "num_env_steps_sampled_lifetime": (".._sampled_lifetime", "env_steps", "steps"),
}
# What every result has, and nobody asks a table for.
_COUNTED = {"training_iteration", "time_total_s", "time_this_iter_s", "timestamp", "pid", "time_since_restore"}


@dataclass
class _Column:
    headers: Sequence[str]
    """From the fullest to the shortest."""
    cells: list[str]
    is_number: bool = True
    level: int = 0

    @property
    def header(self) -> str:
        return self.headers[self.level]

    @property
    def width(self) -> int:
        return max(len(text) for text in (self.header, *self.cells))

    def can_shrink(self) -> bool:
        shorter = self.headers[self.level + 1 :]
        return any(max(len(header), *map(len, self.cells)) < self.width for header in shorter)


def status_line(trials: Sequence[Trial]) -> str:
    """How many trials are how far: `Trial status: 2 RUNNING | 1 PENDING`."""
    counts = [(status, sum(t.status == status for t in trials)) for status in (TERMINATED, RUNNING, PENDING, ERROR)]
    return "Trial status: " + " | ".join(f"{count} {status}" for status, count in counts if count)


def duration(seconds: float) -> str:
    """For example `1h 2min 3s`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h"] if hours else []
    parts += [f"{minutes}min"] if minutes or hours else []
    return " ".join([*parts, f"{rest}s"])


def metric_paths(trials: Sequence[Trial], metric: str | None) -> list[str]:
    """Metrics worth a column: the one that ranks trials, return and steps; else the first numbers that are reported."""
    reported = {path: None for t in trials for path, value in flatten(t.last_result).items() if is_number(value)}
    usual = [path for path in _USUAL if path in reported]
    shown = usual or [path for path in reported if path not in _COUNTED][:_MAX_METRICS]
    asked = [] if metric is None or metric in shown else [metric]
    return asked + shown


def number(value: Any) -> str:
    """A value for a cell: up to six digits of a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "" if value is None else short(getattr(value, "__name__", None) or str(value), 20)
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def short(text: str, width: int) -> str:
    """Cut from the left, with two dots for what is missing."""
    return text if len(text) <= width else ".." + text[len(text) - max(width - 2, 1) :]


def short_name(name: str) -> str:
    """Only the trial's id: `..b5c41_00000`."""
    return short(name, 13)


def varied_names(trials: Sequence[Trial]) -> list[str]:
    """Paths of what differs between the trials."""
    return list({path: None for trial in trials for path in trial.variant.varied})


def table(trials: Sequence[Trial], metric: str | None, width: int, is_ascii: bool = False) -> list[str]:
    """The lines of the table, at most `width` characters each where that is possible."""
    shown = sorted(trials, key=_prominence)[:MAX_ROWS]
    if not shown:
        return []
    shown.sort(key=lambda t: t.index)
    columns = _columns(shown, metric)
    _fit(columns, width)
    lines = _framed(columns, _ASCII if is_ascii else _ROUNDED)
    hidden = len(trials) - len(shown)
    return lines + ([f"... {hidden} more"] if hidden else [])


def _prominence(trial: Trial) -> tuple[int, int]:
    """Who is at work first, then who ended last, then who is next."""
    if trial.status == RUNNING:
        return 0, trial.index
    return (2, trial.index) if trial.status == PENDING else (1, -trial.index)


def _columns(trials: Sequence[Trial], metric: str | None) -> list[_Column]:
    columns = [
        _Column(["Trial name"], [t.name for t in trials], is_number=False),
        _Column(["status"], [t.status for t in trials], is_number=False),
    ]
    for path in varied_names(trials):
        name = path.rpartition("/")[2]
        columns.append(_Column([name, short(name, 10)], [number(t.variant.varied.get(path)) for t in trials]))
    columns.append(_metric_column("training_iteration", ("iter",), trials))
    columns.append(_Column(("total time (s)", "time (s)"), [_seconds(t.last_result.get("time_total_s")) for t in trials]))
    for path in metric_paths(trials, metric):
        name = path.rpartition("/")[2]
        columns.append(_metric_column(path, _USUAL.get(path, (short(name, _MAX_HEADER), short(name, 10))), trials))
    return columns


def _metric_column(path: str, headers: Sequence[str], trials: Sequence[Trial]) -> _Column:
    return _Column(headers, [number(lookup(t.last_result, path)) for t in trials])


def _seconds(value: Any) -> str:
    return f"{value:.2f}" if is_number(value) else ""


def _total(columns: list[_Column]) -> int:
    # Two spaces between columns, a bar and a space at either side.
    return sum(column.width for column in columns) + 2 * (len(columns) - 1) + 4


def _fit(columns: list[_Column], width: int) -> None:
    """Shorter headers first, then the trials' ids for their names, then columns from the right."""
    while _total(columns) > width:
        shrinkable = [column for column in columns if column.can_shrink()]
        if not shrinkable:
            break
        widest = max(shrinkable, key=lambda column: column.width)
        widest.level += 1
    if _total(columns) > width:
        columns[0].cells = [short_name(name) for name in columns[0].cells]
    while _total(columns) > width and len(columns) > 3:
        columns.pop(-1 if len(columns) > 4 else 2)


def _framed(columns: list[_Column], frame: str) -> list[str]:
    bar = frame[1] * (_total(columns) - 2)

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(column.width) if column.is_number else cell.ljust(column.width)
            for cell, column in zip(cells, columns, strict=True)
        ]
        return f"{frame[3]} {'  '.join(padded)} {frame[3]}"

    rows = [line([column.cells[row] for column in columns]) for row in range(len(columns[0].cells))]
    return [
        frame[0] + bar + frame[2],
        line([column.header for column in columns]),
        frame[4] + bar + frame[5],
        *rows,
        frame[6] + bar + frame[7],
    ]
