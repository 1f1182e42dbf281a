"""The base class of callbacks: every hook, doing nothing."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skirl._native import Episode
    from skirl.callbacks.metrics_logger import MetricsLogger
    from skirl.policy.sample_batch import SampleBatch


class SkirlCallback:
    """Your own code in a run: override the hooks that you want; only those are called.

    A hook is called with the arguments that it names, and with all of them where it ends in `**kwargs`. An exception ends the
    run with a `CallbackError` that names hook and episode and has your exception as its cause; what was learned before stays.

    A subclass with the methods `get_state()` and `set_state(state)` keeps state in checkpoints: plain values (numbers,
    strings, lists, dicts), no code.
    """

    def on_algorithm_init(self, *, algorithm: Any, metrics_logger: "MetricsLogger", **kwargs: Any) -> None:
        """The algorithm was built; nothing has been sampled."""

    def on_environment_created(
        self,
        *,
        env_runner: Any,
        metrics_logger: "MetricsLogger",
        env: Any,
        env_context: Any,
        env_index: int,
        in_evaluation: bool,
        **kwargs: Any,
    ) -> None:
        """An environment was made and has not been reset: once for each of training, and for each of evaluation."""

    def on_episode_created(
        self,
        *,
        episode: "Episode",
        env_runner: Any,
        metrics_logger: "MetricsLogger",
        env: Any,
        env_index: int,
        **kwargs: Any,
    ) -> None:
        """An episode is about to begin: its environment is reset right after."""

    def on_episode_start(
        self,
        *,
        episode: "Episode",
        env_runner: Any,
        metrics_logger: "MetricsLogger",
        env: Any,
        env_index: int,
        **kwargs: Any,
    ) -> None:
        """The environment was reset; `episode.get_observations(-1)` is there."""

    def on_episode_step(
        self,
        *,
        episode: "Episode",
        env_runner: Any,
        metrics_logger: "MetricsLogger",
        env: Any,
        env_index: int,
        **kwargs: Any,
    ) -> None:
        """The environment made a step, also the last one of an episode."""

    def on_episode_end(
        self,
        *,
        episode: "Episode",
        env_runner: Any,
        metrics_logger: "MetricsLogger",
        env: Any,
        env_index: int,
        **kwargs: Any,
    ) -> None:
        """The episode ended. Its `custom_metrics` are taken after this."""

    def on_postprocess_trajectory(
        self,
        *,
        agent_id: str,
        policy_id: str,
        postprocessed_batch: "SampleBatch",
        metrics_logger: "MetricsLogger",
        **kwargs: Any,
    ) -> None:
        """One agent's rows of one episode in this rollout, before advantages are estimated.

        `obs`, `rewards` and `vf_preds` may be written to, in place or by assignment, and `final_value`. A hook that names
        `episode` gets it, too.
        """

    def on_sample_end(
        self, *, env_runner: Any, samples: "SampleBatch", metrics_logger: "MetricsLogger", **kwargs: Any
    ) -> None:
        """A rollout is complete. Columns may be written to, their lengths stay."""

    def on_learn_on_batch(self, *, policy_id: str, train_batch: "SampleBatch", result: dict[str, Any], **kwargs: Any) -> None:
        """A module's rows with `advantages` and `value_targets`, before the first update. Rows may come and go.

        Numbers put into `result` are reported under `learners/<policy_id>/`.
        """

    def on_evaluate_start(self, *, algorithm: Any, metrics_logger: "MetricsLogger", **kwargs: Any) -> None:
        """An evaluation is about to begin."""

    def on_evaluate_end(
        self, *, algorithm: Any, metrics_logger: "MetricsLogger", evaluation_metrics: dict[str, Any], **kwargs: Any
    ) -> None:
        """An evaluation ended; numbers added to `evaluation_metrics` are reported."""

    def on_train_result(
        self, *, algorithm: Any, metrics_logger: "MetricsLogger", result: dict[str, Any], **kwargs: Any
    ) -> None:
        """The result of an iteration, which may be changed before stop criteria and files see it."""

    def on_env_runners_recreated(
        self, *, algorithm: Any, env_runner_group: Any, env_runner_indices: list[int], is_evaluation: bool, **kwargs: Any
    ) -> None:
        """Environment runners failed in the last rollout and were replaced; their environments began new episodes.

        `env_runner_indices` counts from 1, and names each runner once.
        """

    def on_checkpoint_saved(self, *, path: str, **kwargs: Any) -> None:
        """A checkpoint was written completely. The algorithm is not lent to this hook."""

    def on_checkpoint_loaded(self, *, algorithm: Any, metrics_logger: "MetricsLogger", **kwargs: Any) -> None:
        """A checkpoint was loaded into the algorithm."""


#: RLlib's name.
RLlibCallback = SkirlCallback
#: RLlib's older name.
DefaultCallbacks = SkirlCallback
