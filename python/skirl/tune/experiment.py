"""Runs trials side by side: starts their processes, answers their results, and ends them all when told to."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from queue import Empty, SimpleQueue
from typing import Any

from .display import Display
from .keeper import CheckpointKeeper
from .process import Event, TrialProcess
from .stopping import Stopping
from .trial import ERROR, PENDING, RUNNING, TERMINATED, Trial
from .trial_files import TrialFiles

# Seconds that a trial which has said its last word may take to exit.
_EXIT_SECONDS = 10.0
# Seconds between looks at processes and terminal when nothing happens.
_TICK_SECONDS = 0.25
_INTERRUPT: Event = (None, {"event": "interrupt"})


class Experiment:
    """All trials of one `fit`."""

    def __init__(
        self,
        trials: list[Trial],
        blob_of: Callable[[Trial], bytes],
        cpus_of: Callable[[Trial], float],
        slots: float,
        max_concurrent: int,
        stopping: Stopping,
        keeper: CheckpointKeeper,
        fail_fast: bool,
        display: Display,
    ) -> None:
        self.trials = trials
        self.blob_of = blob_of
        self.cpus_of = cpus_of
        self.slots = slots
        self.max_concurrent = max_concurrent
        self.stopping = stopping
        self.keeper = keeper
        self.fail_fast = fail_fast
        self.display = display
        self.events: SimpleQueue[Event] = SimpleQueue()
        self.running: dict[str, TrialProcess] = {}
        self.files = {trial.trial_id: TrialFiles(trial.path) for trial in trials}
        self.is_interrupted = False
        self.is_to_end = False
        self._next_look = 0.0

    def run(self) -> None:
        """Returns when every trial has ended, or, after Ctrl-C, when every process has."""
        with self._interrupts():
            try:
                self._start_ready()
                while self.running:
                    self._handle_next()
                    self._end_overdue()
                    self._start_ready()
                    self.display.cpus_in_use = self._cpus_in_use()
                    self.display.tick(self.trials)
                    if self.display.is_broken and not self.is_interrupted:
                        # As the command does when nobody reads it any more.
                        self._interrupt()
            finally:
                self._end_all()

    # Starting.

    def _start_ready(self) -> None:
        for trial in self.trials:
            if trial.status != PENDING or self.is_interrupted:
                continue
            if not self._has_room(trial):
                return
            self._start(trial)

    def _has_room(self, trial: Trial) -> bool:
        """One trial always has room, however many cores it asks for."""
        if not self.running:
            return True
        return len(self.running) < self.max_concurrent and self._cpus_in_use() + self.cpus_of(trial) <= self.slots

    def _cpus_in_use(self) -> float:
        return sum(self.cpus_of(process.trial) for process in self.running.values())

    def _start(self, trial: Trial) -> None:
        self.files[trial.trial_id].write_params(trial.config)
        self.running[trial.trial_id] = TrialProcess(trial, self.blob_of(trial), self.cpus_of(trial), self.events)
        trial.status = RUNNING
        self.display.started(trial)

    # Events.

    def _handle_next(self) -> None:
        try:
            process, event = self.events.get(timeout=_TICK_SECONDS)
        except Empty:
            return
        if process is None:
            self._interrupt()
        elif process.trial.trial_id in self.running:
            self._handle(process, event)

    def _handle(self, process: TrialProcess, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "output":
            self.display.output(process.trial, event["line"])
        elif kind == "result":
            self._result(process, event["result"], event["offers_checkpoint"])
        elif kind == "saved":
            self.keeper.saved(process.trial, event["path"])
            process.command(process.after_saving or "continue")
        elif kind == "save_failed":
            self.display.note(f"{process.trial.name}: a checkpoint could not be written: {event['error']}")
            process.command(process.after_saving or "continue")
        elif kind == "interrupted":
            self._answer(process, "stop", self.keeper.is_unsaved(process.trial))
        elif kind == "done":
            self._ended(process, TERMINATED)
        elif kind == "failed":
            self._failed(process, event["summary"], event["traceback"])
        elif kind == "exited":
            self._exited(process)
        else:
            self._failed(process, "the trial's process sent what is no result", f"Not a result: {event}")
            process.kill()

    def _result(self, process: TrialProcess, result: dict[str, Any], offers: bool) -> None:
        trial = process.trial
        now = datetime.now()
        trial.num_results += 1
        trial.last_result = {
            **result,
            "trial_id": trial.trial_id,
            "date": f"{now:%Y-%m-%d_%H-%M-%S}",
            "timestamp": int(now.timestamp()),
        }
        is_last = self.stopping.is_over(trial, trial.last_result) or trial.interrupted
        trial.last_result["done"] = is_last
        self.files[trial.trial_id].write_result(trial.last_result)
        self.display.result(trial)
        self._answer(process, "stop" if is_last else "continue", self.keeper.is_due(trial, is_last, offers))

    def _answer(self, process: TrialProcess, command: str, saves_before: bool) -> None:
        process.after_saving = command
        if saves_before:
            process.command("save", path=self.keeper.next_path(process.trial))
        else:
            process.command(command)

    # Ends.

    def _ended(self, process: TrialProcess, status: str) -> None:
        """The trial has said its last word; its process may tidy up."""
        trial = process.trial
        trial.status = status
        if trial.last_result:
            trial.last_result["done"] = True
        process.end_within(_EXIT_SECONDS)
        self.display.ended(trial)

    def _failed(self, process: TrialProcess, summary: str, error: str) -> None:
        process.trial.error = error
        process.trial.error_summary = summary
        self.files[process.trial.trial_id].write_error(error)
        self._ended(process, ERROR)
        if self.fail_fast:
            self.display.note("fail_fast: the other trials are ended")
            self.is_interrupted = True
            self._kill_others(process)

    def _kill_others(self, process: TrialProcess) -> None:
        for other in self.running.values():
            if other is not process:
                other.trial.interrupted = True
                other.kill()

    def _exited(self, process: TrialProcess) -> None:
        trial = process.trial
        del self.running[trial.trial_id]
        process.close()
        if trial.status != RUNNING:
            return
        if trial.interrupted:
            trial.status = TERMINATED
            self.display.ended(trial)
        else:
            error = process.describe_end()
            self._failed(process, error.splitlines()[0], error)

    def _end_overdue(self) -> None:
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _TICK_SECONDS
        for process in list(self.running.values()):
            if process.is_overdue():
                process.kill()
            if process.process.poll() is None:
                continue
            if process.kill_at is None:
                # Its last lines are still on their way through the pipes.
                process.end_within(2.0)
            elif process.is_overdue():
                # A process that the trial forked holds the pipes open.
                self._exited(process)

    def _end_all(self) -> None:
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.close()
            if process.trial.status == RUNNING:
                process.trial.status = TERMINATED
        self.running.clear()

    # Ctrl-C.

    def _interrupt(self) -> None:
        if self.is_interrupted:
            self._end_all()
            raise KeyboardInterrupt
        self.is_interrupted = True
        self.display.note("stopping: trials finish what is under way, then save; Ctrl-C again ends at once")
        for process in self.running.values():
            process.trial.interrupted = True
            process.command("interrupt")
            if process.trial.num_results == 0:
                # There is nothing to save yet.
                process.kill()

    @contextmanager
    def _interrupts(self) -> Iterator[None]:
        """Ctrl-C becomes an event, so that it never falls into the middle of a file. Outside of the main thread Python has no say."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, _frame: object) -> None:
            self.is_to_end |= number == signal.SIGTERM
            self.events.put(_INTERRUPT)

        # Who ignores a signal (a job in the background) or is told of its end in another way stays with that.
        replaced = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
        before = {number: usual for number, usual in replaced.items() if signal.getsignal(number) is usual}
        for number in before:
            signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def pass_on_signal(self) -> None:
        """SIGTERM ends this process, as it always does, once all is saved and told."""
        if self.is_to_end:
            signal.raise_signal(signal.SIGTERM)

