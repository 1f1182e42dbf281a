"""From a hook of the engine to the functions that the user wrote for it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from skirl.callbacks.arguments import EnvsOfHook, ModuleOfRun, ModulesOfRun, Run, RunnerOfHook
from skirl.callbacks.metrics_logger import MetricsLogger
from skirl.callbacks.results import OlderKeys
from skirl.callbacks.signatures import Wish
from skirl.errors import SkirlError
from skirl.policy.sample_batch import MultiAgentBatch, SampleBatch

if TYPE_CHECKING:
    from skirl._native import Episode

Arguments = dict[str, Callable[[], Any]]

_EPISODE = ("episode", "env_runner", "metrics_logger", "env", "env_index")
_EPISODE_OTHERS = ("worker", "base_env", "policies", "rl_module", "policy", "prev_episode_chunks")
_ALGORITHM = ("algorithm", "metrics_logger")
_ALGORITHM_OTHERS = ("trainer", "env_runner_group", "policies")
#: For each hook: what `**kwargs` gets, and what is given where it is named.
ARGUMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "on_algorithm_init": (_ALGORITHM, _ALGORITHM_OTHERS),
    "on_environment_created": (
        ("env_runner", "metrics_logger", "env", "env_context", "env_index", "in_evaluation"),
        ("worker", "sub_environment"),
    ),
    "on_episode_created": (_EPISODE, _EPISODE_OTHERS),
    "on_episode_start": (_EPISODE, _EPISODE_OTHERS),
    "on_episode_step": (_EPISODE, _EPISODE_OTHERS),
    "on_episode_end": (_EPISODE, _EPISODE_OTHERS),
    "on_postprocess_trajectory": (
        ("agent_id", "policy_id", "postprocessed_batch", "env_runner", "metrics_logger"),
        ("episode", "worker", "policies", "original_batches", "module_id"),
    ),
    "on_sample_end": (("env_runner", "samples", "metrics_logger"), ("worker",)),
    "on_learn_on_batch": (("policy_id", "train_batch", "result"), ("policy", "module_id", "metrics_logger")),
    "on_evaluate_start": (_ALGORITHM, _ALGORITHM_OTHERS),
    "on_evaluate_end": ((*_ALGORITHM, "evaluation_metrics"), _ALGORITHM_OTHERS),
    "on_train_result": ((*_ALGORITHM, "result"), _ALGORITHM_OTHERS),
    "on_env_runners_recreated": (
        ("algorithm", "env_runner_group", "env_runner_indices", "is_evaluation"),
        ("metrics_logger", "trainer"),
    ),
    "on_checkpoint_saved": (("path",), ()),
    "on_checkpoint_loaded": (_ALGORITHM, _ALGORITHM_OTHERS),
}


class Dispatcher:
    """One callbacks object, or one set of functions, as the engine calls it: one method for each hook."""

    def __init__(self, name: str, functions: Mapping[str, list[Callable[..., Any]]], run: Run, target: Any = None) -> None:
        """`functions` by hook; `target` is the user's object, which may keep state."""
        #: In errors, in the configuration and in checkpoints.
        self.name = name
        self._wishes = {hook: [Wish(each, hook, *ARGUMENTS[hook]) for each in given] for hook, given in functions.items()}
        #: What it shares with the other callbacks of the run.
        self.run = self._run = run
        self._target = target
        #: Hooks that are called.
        self.hooks = list(self._wishes)
        trajectory = self._wishes.get("on_postprocess_trajectory", [])
        #: Whether trajectories are handed out with their episodes.
        self.tracks_episodes = any("episode" in wish.names or wish.takes_info for wish in trajectory)
        #: Whether it puts what was logged into results: one does for all.
        self.logs_metrics = False

    def logs(self) -> bool:
        """Whether a function is given a `metrics_logger`, or another thing that logs."""
        given = {"metrics_logger", "env_runner", "worker", "result"}
        return any(given & set(wish.names) for wishes in self._wishes.values() for wish in wishes)

    def _call(self, hook: str, arguments: Arguments) -> None:
        for wish in self._wishes.get(hook, ()):
            wish.call(arguments)

    def _call_to_write(self, hook: str, arguments: Arguments, may: str) -> None:
        """A hook that is given columns; `may` says which of them it may rewrite."""
        try:
            self._call(hook, arguments)
        except ValueError as error:
            # NumPy's own message does not say what could be written instead.
            if "read-only" in str(error) and not isinstance(error, SkirlError):
                raise ValueError(f"{error}: of the columns given to {hook}, {may} may be rewritten") from error
            raise

    # State.

    def get_state(self) -> Any:
        """Plain values for a checkpoint, or None."""
        state: dict[str, Any] = {}
        own = getattr(self._target, "get_state", None)
        if own is not None:
            state["own"] = own()
        metrics = self._run.get_state() if self.logs_metrics else None
        if metrics is not None:
            state["metrics"] = metrics
        return state or None

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `get_state` gave."""
        if self.logs_metrics:
            self._run.set_state(state.get("metrics", {}))
        own = getattr(self._target, "set_state", None)
        if own is not None and "own" in state:
            own(state["own"])

    # What is logged in other processes.

    def logged(self) -> str:
        """What was logged in this worker since the last call."""
        return self._run.logged()

    def take_logged(self, in_evaluation: bool, logged: list[str]) -> None:
        """Logs what was logged in the workers."""
        self._run.take_logged(in_evaluation, logged)

    # Hooks of episodes.

    def _episode(self, hook: str, episode: "Episode") -> None:
        run, in_evaluation = self._run, episode.in_evaluation
        run.begin_hook(episode.runner_step, episode.env_index)

        def runner() -> RunnerOfHook:
            return RunnerOfHook(run, in_evaluation, EnvsOfHook(episode))

        self._call(
            hook,
            {
                "episode": lambda: episode,
                "env_runner": runner,
                "worker": runner,
                "metrics_logger": lambda: run.logger(in_evaluation),
                "env": lambda: EnvsOfHook(episode),
                "base_env": lambda: EnvsOfHook(episode),
                "env_index": lambda: episode.env_index,
                "policies": lambda: ModulesOfRun(run),
                "rl_module": lambda: ModuleOfRun(run, "default_policy"),
                "policy": lambda: ModuleOfRun(run, "default_policy"),
                "prev_episode_chunks": list,
            },
        )

    def on_episode_created(self, episode: "Episode") -> None:
        """Called by the engine."""
        self._episode("on_episode_created", episode)

    def on_episode_start(self, episode: "Episode") -> None:
        """Called by the engine."""
        self._episode("on_episode_start", episode)

    def on_episode_step(self, episode: "Episode") -> None:
        """Called by the engine."""
        self._episode("on_episode_step", episode)

    def on_episode_end(self, episode: "Episode") -> None:
        """Called by the engine."""
        self._episode("on_episode_end", episode)

    def on_environment_created(self, env: Any, env_index: int, in_evaluation: bool) -> None:
        """Called by the engine."""
        run = self._run
        run.begin_hook(0, env_index)
        runner = RunnerOfHook(run, in_evaluation, env)
        self._call(
            "on_environment_created",
            {
                "env_runner": lambda: runner,
                "worker": lambda: runner,
                "metrics_logger": lambda: run.logger(in_evaluation),
                "env": lambda: env,
                "sub_environment": lambda: env,
                "env_context": lambda: _env_context(run, env, env_index),
                "env_index": lambda: env_index,
                "in_evaluation": lambda: in_evaluation,
            },
        )

    # Hooks of rollouts and batches.

    def on_postprocess_trajectory(self, batch: SampleBatch, episode: "Episode | None") -> None:
        """Called by the engine."""
        run, runner = self._run, RunnerOfHook(self._run, False)
        self._call_to_write(
            "on_postprocess_trajectory",
            {
                "agent_id": lambda: batch.agent_id,
                "policy_id": lambda: batch.module_id,
                "module_id": lambda: batch.module_id,
                "postprocessed_batch": lambda: batch,
                "original_batches": lambda: {batch.agent_id: (ModuleOfRun(run, batch.module_id), batch.copy())},
                "episode": lambda: episode,
                "env_runner": lambda: runner,
                "worker": lambda: runner,
                "policies": lambda: ModulesOfRun(run),
                "metrics_logger": lambda: run.env_runners,
            },
            "obs, rewards and vf_preds (and the number final_value)",
        )

    def on_sample_end(self, samples: dict[str, SampleBatch]) -> None:
        """Called by the engine."""
        single = samples.get("default_policy") if len(samples) == 1 else None
        given = single if single is not None else MultiAgentBatch(samples)
        runner = RunnerOfHook(self._run, False)
        self._call_to_write(
            "on_sample_end",
            {
                "env_runner": lambda: runner,
                "worker": lambda: runner,
                "samples": lambda: given,
                "metrics_logger": lambda: self._run.env_runners,
            },
            "all but terminateds, truncateds, eps_id, env_index and agent_index",
        )

    def on_learn_on_batch(self, module_id: str, batch: SampleBatch) -> None:
        """Called by the engine."""
        run = self._run
        result: dict[str, Any] = {}
        self._call(
            "on_learn_on_batch",
            {
                "policy": lambda: ModuleOfRun(run, module_id),
                "policy_id": lambda: module_id,
                "module_id": lambda: module_id,
                "train_batch": lambda: batch,
                "result": lambda: result,
                "metrics_logger": lambda: run.learners,
            },
        )
        run.learners.log_dict(result, key=module_id, reduce="mean")

    # Hooks that are given the algorithm.

    def _of_algorithm(self, algorithm: Any, **more: Any) -> Arguments:
        self._run.bind(algorithm)
        arguments: Arguments = {name: partial(more.__getitem__, name) for name in more}
        arguments["algorithm"] = arguments["trainer"] = lambda: algorithm
        arguments["env_runner_group"] = lambda: algorithm.env_runner_group
        arguments["policies"] = lambda: ModulesOfRun(self._run)
        arguments["metrics_logger"] = lambda: self._run.algorithm_metrics
        return arguments

    def on_algorithm_init(self, algorithm: Any) -> None:
        """Called by the engine."""
        self._call("on_algorithm_init", self._of_algorithm(algorithm))

    def on_evaluate_start(self, algorithm: Any) -> None:
        """Called by the engine."""
        self._call("on_evaluate_start", self._of_algorithm(algorithm))

    def on_evaluate_end(self, algorithm: Any, metrics: dict[str, Any]) -> None:
        """Called by the engine."""
        if self.logs_metrics:
            self._report(self._run.evaluation, metrics, "env_runners")
        self._call("on_evaluate_end", self._of_algorithm(algorithm, evaluation_metrics=metrics))

    def on_train_result(self, algorithm: Any, result: dict[str, Any]) -> None:
        """Called by the engine, with a dict that it reads afterwards."""
        if self.logs_metrics:
            self._report(self._run.env_runners, result, "env_runners")
            self._report(self._run.learners, result, "learners")
            self._run.algorithm_metrics.report_into(result)
        if self.hooks:
            given = OlderKeys(result)
            self._call("on_train_result", self._of_algorithm(algorithm, result=given))
            result.clear()
            result.update(given)

    @staticmethod
    def _report(logger: MetricsLogger, result: dict[str, Any], section: str) -> None:
        if not logger.is_empty():
            logger.report_into(result.setdefault(section, {}))

    def on_env_runners_recreated(self, algorithm: Any, indices: list[int], is_evaluation: bool) -> None:
        """Called by the engine."""
        given = self._of_algorithm(algorithm, env_runner_indices=indices, is_evaluation=is_evaluation)
        if is_evaluation:
            given["env_runner_group"] = lambda: algorithm.eval_env_runner_group
        self._call("on_env_runners_recreated", given)

    def on_checkpoint_saved(self, path: Any) -> None:
        """Called by the engine."""
        self._call("on_checkpoint_saved", {"path": lambda: str(path)})

    def on_checkpoint_loaded(self, algorithm: Any) -> None:
        """Called by the engine."""
        self._call("on_checkpoint_loaded", self._of_algorithm(algorithm))


def _env_context(run: Run, env: Any, env_index: int) -> Any:
    """The context that an environment was made with; native environments were made with none."""
    from skirl.env._build import context_of, is_batched
    from skirl.env.env_context import EnvContext

    context = context_of(env)
    # A batch has one for all of its environments.
    if context is not None and not is_batched(env):
        return context
    env_config = run.config["env_config"] if run.config is not None else {}
    return EnvContext(dict(env_config or {}), worker_index=run.worker_index, vector_index=env_index)
