"""What callbacks share in the process of an environment runner."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from skirl.callbacks.arguments import Run
from skirl.callbacks.metrics_logger import Key, MetricsLogger, path_of
from skirl.errors import SkirlError


class WorkerRun(Run):
    """The algorithm is elsewhere; what is logged goes there, with the step and the environment of the hook that logged it."""

    is_worker = True

    def __init__(self, given: Mapping[str, Any], config: Any, no_config: str | None, worker_index: int) -> None:
        super().__init__(None, config, given)
        self._no_config = no_config
        self.worker_index = worker_index
        self._moment = (0, 0)
        self._records: list[list[Any]] = []
        self._logger = RecordingLogger(self)

    @property
    def config(self) -> Any:
        """The config of the algorithm, as it was when the run began."""
        if self._no_config is not None:
            raise SkirlError(
                f"the config could not be sent to this environment runner ({self._no_config}): keep what the hook needs in the "
                "callbacks, or set num_env_runners to 0"
            )
        return self._config

    @property
    def algorithm(self) -> Any:
        """Not here."""
        raise SkirlError(
            "the algorithm and its modules cannot be reached from a hook in an environment runner's process: use a hook that is "
            "given the algorithm, such as on_train_result, or set num_env_runners to 0"
        )

    def logger(self, in_evaluation: bool) -> MetricsLogger:
        """The logger for hooks of episodes."""
        return self._logger

    def begin_hook(self, runner_step: int, env_index: int) -> None:
        """A hook of an environment is about to be called."""
        self._moment = (runner_step, env_index)

    def record(self, path: Sequence[str], value: float | None, how: Mapping[str, Any] | None) -> None:
        """Keeps what was logged."""
        self._records.append([*self._moment, list(path), value, how])

    def logged(self) -> str:
        """What was logged since the last call, as text."""
        if not self._records:
            return ""
        records, self._records = self._records, []
        self._logger.after_rollout()
        return json.dumps(records)


class RecordingLogger(MetricsLogger):
    """Logs here, for `peek`, and in the process that trains."""

    def __init__(self, run: WorkerRun) -> None:
        super().__init__()
        self._run = run

    def log_value(self, key: Key, value: Any, **how: Any) -> None:
        """Logs one number, as `MetricsLogger.log_value` does."""
        plain = {name: _plain(given) for name, given in how.items()}
        super().log_value(key, value, **plain)
        self._run.record(path_of(key), float(value), plain)

    def delete(self, *key: str) -> None:
        """Forgets a key."""
        super().delete(*key)
        self._run.record(path_of(key), None, None)

    def reset(self) -> None:
        """Forgets everything."""
        super().reset()
        self._run.record((), None, None)


def _plain(given: Any) -> Any:
    """What can be written as text: NumPy's numbers as Python's."""
    if isinstance(given, Sequence) and not isinstance(given, str):
        return [float(each) for each in given]
    return given.item() if hasattr(given, "item") else given
