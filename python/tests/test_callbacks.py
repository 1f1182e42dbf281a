"""Callbacks: which hooks are called, with what, and what they may change."""

from typing import Any

import numpy as np
import pytest

from skirl.algorithms.callbacks import DefaultCallbacks
from skirl.algorithms.ppo import PPOConfig
from skirl.callbacks.callbacks import RLlibCallback, SkirlCallback
from skirl.errors import ConfigError, SkirlWarning

NUM_ENVS = 4


def config(**callbacks: Any) -> PPOConfig:
    """A run of 128 rows an iteration, in 4 environments."""
    made = (
        PPOConfig()
        .environment("CartPole-v1")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=NUM_ENVS)
        .training(train_batch_size=128, minibatch_size=64, num_epochs=2)
        .rl_module(fcnet_hiddens=[8])
        .debugging(seed=3)
    )
    return made.callbacks(**callbacks) if callbacks else made


class Recorder(SkirlCallback):
    """Writes down which hook was called with which arguments."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, frozenset[str]]] = []


def _records(hook: str) -> Any:
    return lambda self, **kwargs: self.calls.append((hook, frozenset(kwargs)))


for _hook in [name for name in vars(SkirlCallback) if name.startswith("on_")]:
    setattr(Recorder, _hook, _records(_hook))


def test_every_hook_is_called_in_order_with_rllibs_arguments(tmp_path: Any) -> None:
    seen = Recorder()
    made = config(callbacks_class=seen).evaluation(evaluation_interval=1, evaluation_duration=2)
    with made.build_algo() as algo:
        algo.train()
        path = algo.save_to_path(tmp_path / "checkpoint")
        algo.restore_from_path(path)
    names = [name for name, _ in seen.calls]
    firsts = list(dict.fromkeys(names))
    assert firsts == [
        "on_environment_created",
        "on_algorithm_init",
        "on_episode_created",
        "on_episode_start",
        "on_episode_step",
        "on_episode_end",
        "on_postprocess_trajectory",
        "on_sample_end",
        "on_learn_on_batch",
        "on_evaluate_start",
        "on_evaluate_end",
        "on_train_result",
        "on_checkpoint_saved",
        "on_checkpoint_loaded",
    ]
    assert names.count("on_environment_created") == NUM_ENVS + 2
    given = dict(seen.calls)
    episode = {"episode", "env_runner", "metrics_logger", "env", "env_index"}
    for hook in ("on_episode_created", "on_episode_start", "on_episode_step", "on_episode_end"):
        assert given[hook] == episode
    assert given["on_train_result"] == {"algorithm", "metrics_logger", "result"}
    assert given["on_evaluate_end"] == {"algorithm", "metrics_logger", "evaluation_metrics"}
    assert given["on_sample_end"] == {"env_runner", "samples", "metrics_logger"}
    assert given["on_learn_on_batch"] == {"policy_id", "train_batch", "result"}


def test_only_what_is_overridden_is_called_and_nothing_changes_by_looking_on() -> None:
    class Looks(RLlibCallback):
        steps = 0

        def on_episode_step(self, *, episode: Any, **kwargs: Any) -> None:
            Looks.steps += 1

    results = []
    for callbacks in ({}, {"callbacks_class": Looks}):
        with config(**callbacks).build_algo() as algo:
            algo.train()
            algo.train()
            results.append(algo.get_weights()["default_policy"])
    assert Looks.steps == 256
    assert all(np.array_equal(results[0][name], results[1][name]) for name in results[0])


def test_all_ways_of_giving_callbacks() -> None:
    seen: list[str] = []

    class First(DefaultCallbacks):
        def on_train_result(self, *, algorithm: Any, result: Any, **kwargs: Any) -> None:
            seen.append("first")

    class Second(DefaultCallbacks):
        def on_train_result(self, *, algorithm: Any, result: Any, **kwargs: Any) -> None:
            seen.append("second")

    def plain(algorithm: Any, result: Any, **kwargs: Any) -> None:
        seen.append("plain")

    def old(info: dict[str, Any]) -> None:
        assert info["trainer"] is info["algorithm"]
        assert info["result"]["episode_reward_mean"] == info["result"]["env_runners"]["episode_return_mean"]
        seen.append("old")

    ways: list[tuple[PPOConfig, list[str]]] = [
        (config(callbacks_class=First), ["first"]),
        (config(callbacks_class=[First, Second]), ["first", "second"]),
        (config(callbacks_class=[Second(), First, First]), ["second", "first", "first"]),
        (config(on_train_result=plain), ["plain"]),
        (config(on_train_result=[plain, plain]), ["plain", "plain"]),
        (config(callbacks_class=First, on_train_result=plain), ["first", "plain"]),
        (config().update_from_dict({"callbacks": {"on_train_result": old}}), ["old"]),
        (config().update_from_dict({"callbacks": First}), ["first"]),
    ]
    for made, expected in ways:
        seen.clear()
        with made.build_algo() as algo:
            algo.train()
        assert seen == expected


def test_mistakes_are_named_at_once() -> None:
    with pytest.raises(ConfigError, match="did you mean on_episode_end"):
        config(on_episod_end=lambda episode: None)
    with pytest.raises(ConfigError, match="on_create_policy.*nothing in skirl would call"):
        config(on_create_policy=lambda policy: None)
    with pytest.raises(ConfigError, match="on_workers_recreated is the former name .*expected on_env_runners_recreated"):
        config(on_workers_recreated=lambda **kwargs: None)
    with pytest.raises(ConfigError, match="expected a function for on_train_result, found 3"):
        config(on_train_result=3)
    with pytest.raises(ConfigError, match="asks for 'weather' in on_train_result"):
        config(on_train_result=lambda result, weather: None)
    with pytest.raises(ConfigError, match="has no hook"):
        config(callbacks_class=dict)


def test_older_signatures_get_what_they_name() -> None:
    seen: dict[str, Any] = {}

    class Old(DefaultCallbacks):
        def on_episode_end(self, *, worker: Any, base_env: Any, policies: Any, episode: Any, **kwargs: Any) -> None:
            seen.setdefault("end", (worker.worker_index, base_env.get_sub_environments()[episode.env_id], len(policies.__class__.__mro__)))

        def on_postprocess_trajectory(
            self,
            *,
            worker: Any,
            episode: Any,
            agent_id: Any,
            policy_id: Any,
            policies: Any,
            postprocessed_batch: Any,
            original_batches: Any,
            **kwargs: Any,
        ) -> None:
            assert original_batches[agent_id][1]["rewards"] is not postprocessed_batch["rewards"]
            assert (episode.id_, policy_id) == (postprocessed_batch["eps_id"][0], "default_policy")
            seen["trajectory"] = postprocessed_batch.count

    with config(callbacks_class=Old).build_algo() as algo:
        algo.train()
    assert seen["end"][0] == 0
    assert seen["trajectory"] >= 1


def test_episodes_tell_what_happened() -> None:
    ended: list[dict[str, Any]] = []

    class Tells(SkirlCallback):
        def on_episode_start(self, *, episode: Any, **kwargs: Any) -> None:
            assert len(episode) == 0 and episode.user_data == {}
            episode.user_data["angles"] = [float(episode.get_observations(-1)[2])]
            episode.actions = []

        def on_episode_step(self, *, episode: Any, env_index: int, **kwargs: Any) -> None:
            observation = episode.get_observations(-1)
            assert observation.dtype == np.float32 and observation.shape == (4,)
            episode.user_data["angles"].append(float(observation[2]))
            assert episode.last_action_for() in (0, 1) and isinstance(episode.last_action_for(), int)
            episode.actions.append(episode.get_actions(-1))
            episode.add_temporary_timestep_data("speed", abs(float(observation[1])))
            assert episode.env_index == env_index

        def on_episode_end(self, *, episode: Any, **kwargs: Any) -> None:
            angles = [float(observation[2]) for observation in episode.get_observations()]
            assert angles == episode.custom_data["angles"]
            assert len(episode) == episode.length == len(angles) - 1 == len(episode.actions)
            assert episode.env_steps() == episode.agent_steps() == episode.length
            assert episode.get_actions() == episode.actions and episode.get_actions(0) == episode.actions[0]
            assert episode.get_rewards().tolist() == [1.0] * len(episode)
            assert episode.get_return() == episode.total_reward == sum(episode.get_rewards())
            assert len(episode.get_temporary_timestep_data("speed")) == len(episode)
            assert episode.is_done and episode.is_terminated and not episode.is_truncated
            episode.custom_metrics["return"] = np.float64(episode.get_return())
            episode.custom_metrics["steps"] = len(episode)
            ended.append({"id": episode.id_, "return": episode.get_return()})

    with config(callbacks_class=Tells).build_algo() as algo:
        for _ in range(3):
            result = algo.train()
    runners = result["env_runners"]
    returns = [each["return"] for each in ended]
    assert len({each["id"] for each in ended}) == len(ended) > 5
    assert runners["custom_metrics"]["return_mean"] == pytest.approx(np.mean(returns[-100:]))
    assert runners["custom_metrics"]["return_min"] == min(returns)
    assert runners["custom_metrics"]["steps_max"] == max(returns)
    assert runners["episode_return_mean"] == pytest.approx(runners["custom_metrics"]["return_mean"])


def test_steps_of_several_agents_are_counted() -> None:
    ended: list[tuple[int, int, int]] = []

    class Counts(SkirlCallback):
        def on_episode_start(self, *, episode: Any, **kwargs: Any) -> None:
            assert episode.env_steps() == episode.agent_steps() == 0
            episode.user_data["acted"] = 0

        def on_episode_step(self, *, episode: Any, **kwargs: Any) -> None:
            episode.user_data["acted"] += sum(episode.last_action_for(agent) is not None for agent in episode.agent_ids)

        def on_episode_end(self, *, episode: Any, **kwargs: Any) -> None:
            ended.append((episode.env_steps(), episode.agent_steps(), episode.user_data["acted"]))

    with config(callbacks_class=Counts).environment("TwoCartPole-v0").build_algo() as algo:
        algo.train(), algo.train()
    assert ended and all(agent_steps == acted > env_steps for env_steps, agent_steps, acted in ended)


def test_the_metrics_logger_reduces_as_it_is_told() -> None:
    lengths: list[int] = []

    class Logs(SkirlCallback):
        def on_episode_end(self, *, episode: Any, metrics_logger: Any, **kwargs: Any) -> None:
            lengths.append(len(episode))
            metrics_logger.log_value("longest", len(episode), reduce="max")
            metrics_logger.log_value(("nested", "last3"), len(episode), reduce="mean", window=3)
            metrics_logger.log_value("count", 1, reduce="lifetime_sum")

        def on_train_result(self, *, metrics_logger: Any, result: Any, **kwargs: Any) -> None:
            metrics_logger.log_value("mine", result["training_iteration"], reduce="item")

        def on_learn_on_batch(self, *, result: Any, train_batch: Any, **kwargs: Any) -> None:
            result["rows"] = train_batch.count

    with config(callbacks_class=Logs).build_algo() as algo:
        algo.train()
        seen = len(lengths)
        result = algo.train()
    runners = result["env_runners"]
    assert runners["longest"] == max(lengths[seen:])
    assert runners["nested"]["last3"] == pytest.approx(np.mean(lengths[-3:]))
    assert runners["count"] == len(lengths)
    assert result["learners"]["default_policy"]["rows"] == 128
    # What is logged when a result is made is in the next one.
    assert result["mine"] == 1


def test_a_misspelt_hook_of_a_class_is_told() -> None:
    class Misspelt(RLlibCallback):
        def on_episode_stepp(self, **kwargs: Any) -> None: ...

        def on_my_own_occasion(self) -> None: ...

        def on_train_result(self, **kwargs: Any) -> None: ...

        def on_workers_recreated(self, **kwargs: Any) -> None: ...

    with pytest.warns(SkirlWarning) as warned, config(callbacks_class=Misspelt).build_algo():
        pass
    messages = [str(each.message).rpartition("Misspelt.")[2] for each in warned if "hook" in str(each.message)]
    assert messages[0] == "on_episode_stepp: there is no such hook; did you mean on_episode_step?"
    assert messages[1].startswith("on_workers_recreated is not called: ") and "expected on_env_runners_recreated" in messages[1]
    assert len(messages) == 2
