"""What hooks are given besides episodes and results."""

import json
import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from skirl.callbacks.metrics_logger import MetricsLogger
from skirl.errors import SkirlError

if TYPE_CHECKING:
    from skirl._native import Episode


class Run:
    """What all callbacks of one algorithm share."""

    #: Of the environment runner: 0 in the process that trains, as that of RLlib's local one.
    worker_index = 0
    is_worker = False

    def __init__(self, algorithm: Any = None, config: Any = None, given: Mapping[str, Any] | None = None) -> None:
        self._algorithm: Any = lambda: None
        self.bind(algorithm)
        self._config = config
        #: What the callbacks were made from.
        self.given = dict(given or {})
        #: Reported under `env_runners`, `evaluation/env_runners`, and at the top of a result.
        self.env_runners, self.evaluation, self.algorithm_metrics = MetricsLogger(), MetricsLogger(), MetricsLogger()
        #: Reported under `learners`.
        self.learners = MetricsLogger()

    def bind(self, algorithm: Any) -> None:
        """Says whose callbacks they are."""
        if algorithm is not None:
            self._algorithm = weakref.ref(algorithm)

    @property
    def config(self) -> Any:
        """The config of the algorithm."""
        return self._config

    def begin_hook(self, runner_step: int, env_index: int) -> None:
        """A hook of an environment is about to be called."""

    def logged(self) -> str:
        """What was logged for the process that trains: nothing, in that process."""
        return ""

    def take_logged(self, in_evaluation: bool, logged: Iterable[str]) -> None:
        """Logs what was logged in other processes, in the order of one process: by step, then by environment."""
        records = [record for text in logged for record in json.loads(text)]
        records.sort(key=lambda record: (record[0], record[1]))
        logger = self.logger(in_evaluation)
        for _, _, path, value, how in records:
            if how is not None:
                logger.log_value(tuple(path), value, **how)
            elif path:
                logger.delete(*path)
            else:
                logger.reset()

    @property
    def algorithm(self) -> Any:
        """The algorithm."""
        algorithm = self._algorithm()
        if algorithm is None:
            raise SkirlError("there is no algorithm here: this environment runner was made alone, or the algorithm is gone")
        return algorithm

    def logger(self, in_evaluation: bool) -> MetricsLogger:
        """The logger for hooks of episodes."""
        return self.evaluation if in_evaluation else self.env_runners

    def get_state(self) -> Any:
        """What was logged and not reported yet, as plain values; None if there is nothing."""
        state = {
            name: logger.get_state()
            for name, logger in (
                ("env_runners", self.env_runners),
                ("evaluation", self.evaluation),
                ("algorithm", self.algorithm_metrics),
                ("learners", self.learners),
            )
            if not logger.is_empty()
        }
        return state or None

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `get_state` gave."""
        self.env_runners.set_state(state.get("env_runners", {}))
        self.evaluation.set_state(state.get("evaluation", {}))
        self.algorithm_metrics.set_state(state.get("algorithm", {}))
        self.learners.set_state(state.get("learners", {}))


class RunnerOfHook:
    """The environment runner as hooks of episodes see it."""

    def __init__(self, run: Run, in_evaluation: bool, env: Any = None) -> None:
        self._run = run
        self.in_evaluation = in_evaluation
        #: The environment, while the hook runs.
        self.env = env
        #: From 1 in a process of its own; 0 in the process that trains, as RLlib's local one.
        self.worker_index = run.worker_index

    @property
    def config(self) -> Any:
        """The config of the run."""
        return self._run.config

    @property
    def metrics(self) -> MetricsLogger:
        """The same as `metrics_logger`."""
        return self._run.logger(self.in_evaluation)

    def foreach_env(self, function: Any) -> Any:
        """Not while the environments step."""
        raise SkirlError(
            "foreach_env cannot be called in a hook of an episode, as the environments are in the middle of a step: use `env`, "
            "which is this episode's, or call algorithm.env_runner_group.foreach_env in on_train_result"
        )


class EnvsOfHook:
    """The environments of a runner, of which a hook of an episode can reach its own: `env.envs[env_index]`."""

    def __init__(self, episode: "Episode") -> None:
        self._episode = episode

    @property
    def envs(self) -> "EnvsOfHook":
        """To be indexed with `env_index`."""
        return self

    @property
    def unwrapped(self) -> Any:
        """The episode's environment without wrappers."""
        return self._episode.env.unwrapped

    def get_sub_environments(self) -> "EnvsOfHook":
        """RLlib's older name of `envs`."""
        return self

    def __getitem__(self, index: int) -> Any:
        if index != self._episode.env_index:
            raise SkirlError(
                f"environment {index} cannot be reached from a hook of environment {self._episode.env_index}: expected "
                "env.envs[env_index]; on_train_result can reach all, by algorithm.env_runner_group.foreach_env"
            )
        return self._episode.env

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._episode.env, name)


class ModulesOfRun(Mapping[str, Any]):
    """The modules by id, as copies with the newest weights. In the middle of a rollout only their ids can be read."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __getitem__(self, module_id: str) -> Any:
        return self._run.algorithm.get_module(module_id)

    def _ids(self) -> list[str]:
        ids: list[str] = self._run.algorithm._native.module_ids()
        return ids

    def __contains__(self, module_id: object) -> bool:
        return module_id in self._ids()

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids())

    def __len__(self) -> int:
        return len(self._ids())


class ModuleOfRun:
    """One module, looked up when something is asked of it."""

    def __init__(self, run: Run, module_id: str) -> None:
        self._run = run
        self.module_id = self.policy_id = module_id

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._run.algorithm.get_module(self.module_id), name)
