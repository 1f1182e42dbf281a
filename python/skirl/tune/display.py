"""What an experiment tells the terminal: a table in place, or plain lines where nobody watches."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TextIO

from .metrics import is_number, lookup
from .table import duration, metric_paths, number, short_name, status_line, table
from .trial import ERROR, Trial

# Seconds between two drawings of the table, and between two lines about one trial in a pipe.
_REDRAW_SECONDS = 0.5
_LINE_SECONDS = 5.0
_PLAIN_WIDTH = 80


class Display:
    """Prints nothing; what the others build on."""

    def __init__(self, metric: str | None = None, cores: float = 1.0) -> None:
        self.metric = metric
        self.cores = cores
        self.cpus_in_use = 0.0
        self.is_broken = False
        """Whether nobody reads any more (`script.py | head`)."""
        self.started_at = time.monotonic()

    def started(self, trial: Trial) -> None:
        """A trial's process was started."""

    def result(self, trial: Trial) -> None:
        """A trial has a new result."""

    def ended(self, trial: Trial) -> None:
        """A trial has ended, well or not."""

    def output(self, trial: Trial, line: str) -> None:
        """A trial printed a line."""

    def note(self, text: str) -> None:
        """Something the user should know."""

    def tick(self, trials: Sequence[Trial]) -> None:
        """Time has passed."""

    def finish(self, trials: Sequence[Trial], directory: str) -> None:
        """All has ended."""


class PlainLines(Display):
    """A line when a trial starts, ends, and now and then between; at the end the table."""

    def __init__(self, metric: str | None, cores: float, stream: TextIO, every_result: bool) -> None:
        super().__init__(metric, cores)
        self.stream = stream
        self.every_result = every_result
        self._told: dict[str, float] = {}

    def write(self, text: str) -> None:
        """Prints lines."""
        self.emit(text + "\n")

    def emit(self, text: str) -> None:
        """Prints; what the stream cannot say becomes a question mark."""
        if self.is_broken:
            return
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        try:
            self.stream.write(text.encode(encoding, "replace").decode(encoding))
            self.stream.flush()
        except BrokenPipeError:
            self.is_broken = True

    def started(self, trial: Trial) -> None:
        self._told[trial.trial_id] = time.monotonic()
        self.write(self._line(trial))

    def result(self, trial: Trial) -> None:
        now = time.monotonic()
        if self.every_result or now - self._told.get(trial.trial_id, 0.0) >= _LINE_SECONDS:
            self._told[trial.trial_id] = now
            self.write(self._line(trial))

    def ended(self, trial: Trial) -> None:
        self.write(self._line(trial))
        if trial.status == ERROR:
            self.write(_failure(trial))

    def output(self, trial: Trial, line: str) -> None:
        self.write(f"({trial.name}) {line}")

    def note(self, text: str) -> None:
        self.write(text)

    def _line(self, trial: Trial) -> str:
        varied = [f"{path.rpartition('/')[2]}={number(value)}" for path, value in trial.variant.varied.items()]
        metrics = []
        if trial.last_result:
            metrics = [f"iter={trial.last_result['training_iteration']}", f"{trial.last_result['time_total_s']:.1f}s"]
        for path in metric_paths([trial], self.metric):
            value = lookup(trial.last_result, path)
            if is_number(value):
                metrics.append(f"{_brief(path)}={number(value)}")
        return _within(trial.name, [trial.status, *varied, *metrics])

    def finish(self, trials: Sequence[Trial], directory: str) -> None:
        self.write("\n" + "\n".join(self.summary(trials, _PLAIN_WIDTH)))
        self.write(f"Results: {directory}")

    def summary(self, trials: Sequence[Trial], width: int) -> list[str]:
        """State of all trials: a few lines and the table."""
        elapsed = duration(time.monotonic() - self.started_at)
        return [
            status_line(trials),
            f"Current time: {datetime.now():%Y-%m-%d %H:%M:%S}. Total running time: {elapsed}",
            *([f"Logical resource usage: {self.cpus_in_use:g}/{self.cores:g} CPUs"] if self.cpus_in_use else []),
            *table(trials, self.metric, width, is_ascii=not _can_draw(self.stream)),
        ]


class LiveTable(PlainLines):
    """The table, drawn anew in its place; what trials print goes above it."""

    def __init__(self, metric: str | None, cores: float, stream: TextIO, every_result: bool) -> None:
        super().__init__(metric, cores, stream, every_result)
        self._drawn_at = 0.0
        self._lines = 0

    def started(self, trial: Trial) -> None:
        self._drawn_at = 0.0

    def result(self, trial: Trial) -> None:
        if self.every_result:
            self.write(self._line(trial))

    def ended(self, trial: Trial) -> None:
        self._drawn_at = 0.0
        if trial.status == ERROR:
            self.write(_failure(trial))

    def write(self, text: str) -> None:
        self._erase()
        super().write(text)
        self._drawn_at = 0.0

    def tick(self, trials: Sequence[Trial]) -> None:
        now = time.monotonic()
        if now - self._drawn_at >= _REDRAW_SECONDS:
            self._drawn_at = now
            self._draw(trials)

    def _draw(self, trials: Sequence[Trial]) -> None:
        size = shutil.get_terminal_size()
        lines = [line[: size.columns] for line in self.summary(trials, size.columns)]
        # What has scrolled out of sight cannot be drawn over.
        lines = lines[: max(size.lines - 1, 1)]
        self._erase()
        self.emit("\n".join(lines) + "\n")
        self._lines = len(lines)

    def _erase(self) -> None:
        if self._lines:
            # From the first column, as a terminal may have shown ^C.
            self.emit(f"\r\x1b[{self._lines}A\x1b[J")
            self._lines = 0

    def finish(self, trials: Sequence[Trial], directory: str) -> None:
        self._erase()
        width = shutil.get_terminal_size().columns
        super(PlainLines, self).finish(trials, directory)
        super().write("\n".join(self.summary(trials, width)))
        super().write(f"Results: {directory}")


def make_display(verbose: int, metric: str | None, cores: float, stream: TextIO | None = None) -> Display:
    """What fits the verbosity and the place that is printed to."""
    out = sys.stdout if stream is None else stream
    if verbose <= 0 or out is None:
        return Display(metric, cores)
    is_live = out.isatty() and os.environ.get("TERM") != "dumb" and sys.platform != "win32"
    return (LiveTable if is_live else PlainLines)(metric, cores, out, verbose >= 2)


def _failure(trial: Trial) -> str:
    lines = str(trial.error).rstrip().splitlines()
    shown = "\n".join(f"    {line}" for line in lines[-_MAX_ERROR_LINES:])
    return f"{trial.name} failed; the whole error is in {trial.path / 'error.txt'}\n{shown}"


_MAX_ERROR_LINES = 30


def _brief(path: str) -> str:
    return {"env_runners/episode_return_mean": "return", "num_env_steps_sampled_lifetime": "steps"}.get(
        path, path.rpartition("/")[2]
    )


def _within(name: str, parts: list[str]) -> str:
    """Name and parts in one line of 80 characters: the name is cut before parts are left out."""
    if len(" ".join([name, *parts])) > _PLAIN_WIDTH:
        name = short_name(name)
    while len(" ".join([name, *parts])) > _PLAIN_WIDTH and len(parts) > 1:
        parts = parts[:-1]
    return " ".join([name, *parts])


def _can_draw(stream: TextIO) -> bool:
    try:
        "╭─╮│".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
