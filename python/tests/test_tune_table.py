"""The table of trials, and what appears in a terminal and in a pipe."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from skirl.tune.display import LiveTable, PlainLines, make_display
from skirl.tune.table import duration, status_line, table
from skirl.tune.trial import Trial
from skirl.tune.variants import Variant


def seed_001() -> list[Trial]:
    """The three trials of the sixty-minute tour."""
    rows = [(0.001, 29, 86.2426, -998.449, 108000), (0.0005, 25, 74.4335, -997.079, 100000), (0.0001, 20, 60.0421, -960.293, 80000)]
    trials = []
    for index, (lr, iteration, seconds, episode_return, steps) in enumerate(rows):
        result = {
            "training_iteration": iteration,
            "time_total_s": seconds,
            "num_env_steps_sampled_lifetime": steps,
            "env_runners": {"episode_return_mean": episode_return},
        }
        trials.append(
            Trial(
                index,
                f"b5c41_{index:05}",
                f"PPO_Pendulum-v1_b5c41_{index:05}",
                Variant({}, {"training/lr": lr}, 0),
                {},
                Path("."),
                status="RUNNING",
                last_result=result,
                num_results=iteration,
            )
        )
    return trials


def test_the_tours_table() -> None:
    lines = table(seed_001(), None, 120)
    cells = [re.split(r"\s{2,}", line.strip("│ ")) for line in lines if line.startswith("│")]
    assert cells[0] == [
        "Trial name",
        "status",
        "lr",
        "iter",
        "total time (s)",
        "episode_return_mean",
        ".._sampled_lifetime",
    ]
    assert cells[1] == ["PPO_Pendulum-v1_b5c41_00000", "RUNNING", "0.001", "29", "86.24", "-998.449", "108000"]
    assert len(lines) == 7
    assert len({len(line) for line in lines}) == 1
    assert status_line(seed_001()) == "Trial status: 3 RUNNING"
    assert duration(180) == "3min 0s"
    assert duration(3661) == "1h 1min 1s"


@pytest.mark.parametrize("width", [60, 70, 80, 90, 100])
def test_the_table_fits(width: int) -> None:
    trials = seed_001()
    trials[1].variant.varied["training/num_epochs"] = 12
    lines = table(trials, "env_runners/episode_return_mean", width)
    assert max(map(len, lines)) <= width
    assert all("b5c41_00001" in line for line in lines[4:5])


def test_long_experiments_are_cut() -> None:
    trials = [replace(seed_001()[0], index=index, trial_id=f"b5c41_{index:05}", name=f"PPO_b5c41_{index:05}") for index in range(30)]
    for trial in trials[:28]:
        trial.status = "TERMINATED"
    lines = table(trials, None, 100, is_ascii=True)
    assert lines[-1] == "... 10 more"
    assert all(line.isascii() for line in lines)
    assert "b5c41_00010" in lines[3] and "b5c41_00029  RUNNING" in lines[-3], "those at work are shown"


def test_lines_in_a_pipe_fit_80_columns() -> None:
    out = io.StringIO()
    display = make_display(2, None, 2, out)
    assert type(display) is PlainLines
    trials = seed_001()
    trials[0].status = "TERMINATED"
    trials[0].variant.varied.update({f"training/option_{i}": 0.123456789 for i in range(4)})
    for trial in trials:
        display.result(trial)
    display.finish(trials, "/somewhere")
    lines = out.getvalue().splitlines()
    assert "\x1b" not in out.getvalue()
    assert lines[1] == "..b5c41_00001 RUNNING lr=0.0005 iter=25 74.4s return=-997.079 steps=100000"
    assert max(len(line) for line in lines) <= 80


def test_a_failure_shows_its_traceback() -> None:
    out = io.StringIO()
    (trial, *_) = seed_001()
    trial.status, trial.error = "ERROR", "Traceback (most recent call last):\nValueError: planted"
    make_display(1, None, 2, out).ended(trial)
    assert "ValueError: planted" in out.getvalue()
    assert "error.txt" in out.getvalue()


class Screen(io.StringIO):
    """A terminal that understands what the live table writes."""

    def isatty(self) -> bool:
        return True

    def visible(self) -> list[str]:
        rows: list[str] = []
        for part in re.split(r"(\r\x1b\[\d+A\x1b\[J)", self.getvalue()):
            up = re.fullmatch(r"\r\x1b\[(\d+)A\x1b\[J", part)
            if up:
                rows = rows[: len(rows) - int(up[1])]
            else:
                rows += part.splitlines()
        return rows


def test_the_live_table_is_drawn_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "40")
    screen = Screen()
    display = make_display(1, None, 2, screen)
    assert type(display) is LiveTable
    trials = seed_001()
    for _ in range(3):
        display.tick(trials)
        display.output(trials[0], "hello")
    display.tick(trials)
    rows = screen.visible()
    assert rows[:3] == ["(PPO_Pendulum-v1_b5c41_00000) hello"] * 3
    assert sum(row.startswith("Trial status") for row in rows) == 1
    display.finish(trials, "/somewhere")
    assert sum(row.startswith("Trial status") for row in screen.visible()) == 1
    assert max(map(len, rows)) <= 80


def test_nothing_is_printed_when_told_so() -> None:
    out = io.StringIO()
    display = make_display(0, None, 2, out)
    display.note("text")
    display.finish(seed_001(), "/somewhere")
    assert out.getvalue() == ""
