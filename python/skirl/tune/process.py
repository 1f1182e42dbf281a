"""A trial's process as its parent holds it: started anew, never forked; its lines become events."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from queue import SimpleQueue
from typing import Any

import skirl

from .trial import Trial

# So much of what a trial printed last is told when its process dies.
_LAST_LINES = 20

Event = tuple[Any, dict[str, Any]]


class TrialProcess:
    """Starts `python -m skirl.tune._trial`, hands it the trial, and puts its lines into `events`."""

    def __init__(self, trial: Trial, blob: bytes, cpus: float, events: SimpleQueue[Event]) -> None:
        self.trial = trial
        self.events = events
        self.last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self.after_saving: str | None = None
        """The command that follows once the checkpoint under way is written."""
        self.kill_at: float | None = None
        self._blob = blob
        self.process = subprocess.Popen(
            [sys.executable, "-m", "skirl.tune._trial"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(cpus),
        )
        self._output = threading.Thread(target=self._read_output, name=f"{trial.name}-output", daemon=True)
        self._output.start()
        threading.Thread(target=self._read_results, name=f"{trial.name}-results", daemon=True).start()

    def command(self, command: str, **content: Any) -> None:
        """Sends one command. A process that is gone is noticed by its end, not here."""
        self._write(json.dumps({"command": command, **content}).encode() + b"\n")

    def _write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
        except (OSError, ValueError):
            pass

    def _read_results(self) -> None:
        assert self.process.stdout is not None
        header = {"size": len(self._blob), "sys_path": sys.path, "environment": _changed_variables()}
        # Written here and not by the main thread, which need not wait until the process has begun to read.
        self._write(json.dumps(header).encode() + b"\n" + self._blob)
        self._blob = b""
        for line in self.process.stdout:
            self.events.put((self, _parsed(line)))
        self.process.wait()
        self._output.join(1.0)
        self.events.put((self, {"event": "exited"}))

    def _read_output(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            text = line.decode(errors="replace").rstrip("\r\n")
            self.last_lines.append(text)
            self.events.put((self, {"event": "output", "line": text}))

    def end_within(self, seconds: float) -> None:
        """Kills the process if it is still there after so many seconds."""
        self.kill_at = time.monotonic() + seconds

    def is_overdue(self) -> bool:
        """Whether the time given to end has passed."""
        return self.kill_at is not None and time.monotonic() > self.kill_at

    def kill(self) -> None:
        """Ends the process at once."""
        if self.process.poll() is None:
            self.process.kill()

    def close(self) -> None:
        """Waits for the killed process and closes the pipe to it."""
        self.kill()
        self.process.wait()
        try:
            if self.process.stdin is not None:
                self.process.stdin.close()
        except OSError:
            pass

    def describe_end(self) -> str:
        """Why the process ended, with what it printed last."""
        code = self.process.poll()
        text = f"The trial's process (pid {self.process.pid}) ended before the trial did: {_end_in_words(code)}."
        if self.last_lines:
            text += "\nIts last lines:\n" + "\n".join(f"    {line}" for line in self.last_lines)
        return text


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            return event
    except ValueError:
        pass
    return {"event": "garbled", "line": line[:200].decode(errors="replace")}


def _end_in_words(code: int | None) -> str:
    if code is None:
        return "it closed its pipe"
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "a signal"
    hint = "; the system kills processes when memory runs out" if name == "SIGKILL" else ""
    return f"killed by {name} ({-code}){hint}"


def _changed_variables() -> dict[str, str | None]:
    return {"PYTHONPATH": os.environ.get("PYTHONPATH")}


def _environment(cpus: float) -> dict[str, str]:
    """Such that the process finds skirl where this one did, and linear algebra does not take all cores for each trial."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(skirl.__file__)))
    path = os.environ.get("PYTHONPATH")
    environment = {**os.environ, "PYTHONPATH": root + (os.pathsep + path if path else "")}
    environment.setdefault("OMP_NUM_THREADS", str(max(1, int(cpus))))
    return environment
