"""The trial's own side: `tune.report`, and what a trial may know of itself."""

from __future__ import annotations

import _thread
import json
import os
import queue
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, TextIO

from skirl.errors import SkirlError

from .checkpoint import Checkpoint

# The trial's exit code when its parent is gone.
PARENT_GONE = 3


class TrialStopped(BaseException):
    """Ends a trial's function where it reports. No `Exception`, so that `except Exception` does not swallow it."""


class TrialInterrupted(TrialStopped):
    """Ends what the trial is doing: somebody pressed Ctrl-C. The algorithm is as after its last whole iteration."""


class Link:
    """JSON lines to the parent, and the parent's commands."""

    def __init__(self, results: TextIO, commands: BinaryIO) -> None:
        self._results = results
        self._commands: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._sending = threading.Lock()
        self.is_ending = False
        self.is_interrupted = False
        # Whether an interruption may fall into what the main thread is doing: the user's code, but no saving.
        self.is_interruptible = False
        signal.signal(signal.SIGINT, self._on_signal)
        threading.Thread(target=self._listen, args=(commands,), name="tune-commands", daemon=True).start()

    def _listen(self, commands: BinaryIO) -> None:
        for line in commands:
            command = json.loads(line)
            if command["command"] == "interrupt":
                self.is_interrupted = True
                _signal_main_thread()
            else:
                self._commands.put(command)
        # The parent has ended, in whatever way: nobody waits for this trial any more.
        if not self.is_ending:
            os._exit(PARENT_GONE)

    def _on_signal(self, _number: int, _frame: Any) -> None:
        """Ctrl-C reaches the whole process group, but the parent decides what becomes of the trials."""
        if self.is_interrupted and self.is_interruptible:
            self.is_interruptible = False
            raise TrialInterrupted

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """While the main thread is inside, an interruption raises `TrialInterrupted`."""
        self.is_interruptible = True
        try:
            # It may have come before.
            self._on_signal(signal.SIGINT, None)
            yield
        finally:
            self.is_interruptible = False

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """While the main thread is inside, an interruption waits."""
        before, self.is_interruptible = self.is_interruptible, False
        yield
        self.is_interruptible = before
        self._on_signal(signal.SIGINT, None)

    def send(self, event: str, **content: Any) -> None:
        """Writes one line; values that JSON does not have are an error that names their type."""
        text = json.dumps({"event": event, **content}, default=_plain)
        with self._sending:
            self._results.write(text + "\n")
            self._results.flush()

    def command(self) -> dict[str, Any]:
        """Waits for the parent."""
        return self._commands.get()


def _signal_main_thread() -> None:
    """A signal ends waiting and sleeping, and long iterations after the stage under way."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main(signal.SIGINT)


def _plain(value: Any) -> Any:
    """Numbers and arrays of NumPy and torch as Python's."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a result holds numbers, texts, booleans, lists and maps of these; found {type(value).__name__}: {value!r}")


@dataclass
class TuneContext:
    """What a trial may know of itself."""

    trial_id: str
    trial_name: str
    trial_dir: str
    experiment_name: str

    def get_trial_id(self) -> str:
        """For example `b5c41_00000`."""
        return self.trial_id

    def get_trial_name(self) -> str:
        """For example `train_b5c41_00000`."""
        return self.trial_name

    def get_trial_dir(self) -> str:
        """Where this trial's results and checkpoints are written."""
        return self.trial_dir

    def get_experiment_name(self) -> str:
        """Name of the experiment's directory."""
        return self.experiment_name


class Session:
    """Sends results and does what the parent answers."""

    def __init__(self, link: Link, context: TuneContext) -> None:
        self.link = link
        self.context = context
        self.started = self.last = time.monotonic()
        self.num_results = 0
        # Functions may report from a thread of theirs.
        self._reporting = threading.Lock()

    def exchange(self, result: dict[str, Any], save: Callable[[str], Any] | None, offers_checkpoint: bool = False) -> None:
        """Sends a result, saves if told to, and raises `TrialStopped` if the trial is to end."""
        with self.link.undisturbed(), self._reporting:
            self.link.send("result", result=self._complete(result), offers_checkpoint=offers_checkpoint)
            self._obey(save)

    def interrupted(self, save: Callable[[str], Any]) -> None:
        """Tells the parent that an iteration was interrupted, saves if told to, and raises `TrialStopped`."""
        self.link.send("interrupted")
        self._obey(save)

    def _obey(self, save: Callable[[str], Any] | None) -> None:
        while True:
            command = self.link.command()
            if command["command"] == "stop":
                raise TrialStopped
            if command["command"] == "continue":
                return
            self._save(command["path"], save)

    def _save(self, path: str, save: Callable[[str], Any] | None) -> None:
        try:
            if save is not None:
                save(path)
        except (OSError, SkirlError) as error:
            # A full disk is no reason to lose the trial; the parent says so.
            self.link.send("save_failed", error=str(error))
        else:
            self.link.send("saved", path=path)

    def _complete(self, result: dict[str, Any]) -> dict[str, Any]:
        """What every result has, where the trainable does not count it itself."""
        now = time.monotonic()
        self.num_results += 1
        counted = {
            "training_iteration": self.num_results,
            "time_this_iter_s": now - self.last,
            "time_total_s": now - self.started,
            "pid": os.getpid(),
            "hostname": socket.gethostname(),
        }
        self.last = now
        return {**counted, **result}


_session: Session | None = None


def begin(session: Session) -> None:
    """Makes `report` of this process go to this session."""
    global _session
    _session = session


def _current(what: str) -> Session:
    if _session is None:
        raise SkirlError(f"{what} belongs into a function that skirl.tune runs as a trial; this process runs no trial")
    return _session


def report(
    metrics: Mapping[str, Any] | None = None, *, checkpoint: Checkpoint | None = None, **more: Any
) -> None:
    """Reports a result of the trial, with a checkpoint if there is one (its directory is copied).

    Does not return when the trial is to stop: the function ends here.
    """
    session = _current("tune.report")
    if metrics is not None and not isinstance(metrics, Mapping):
        raise SkirlError(f"tune.report: expected a map from names to values, found {metrics!r}")
    save = None if checkpoint is None else lambda path: _copy(checkpoint, path)
    session.exchange({**(metrics or {}), **more}, save, checkpoint is not None)


def _copy(checkpoint: Checkpoint, path: str) -> None:
    draft = f"{path}.new"
    shutil.copytree(checkpoint.path, draft, dirs_exist_ok=True)
    os.rename(draft, path)


def get_context() -> TuneContext:
    """The running trial's names and directory."""
    return _current("tune.get_context").context


def get_checkpoint() -> Checkpoint | None:
    """The checkpoint that this trial goes on from: None, as trials always begin anew."""
    _current("tune.get_checkpoint")
    return None
