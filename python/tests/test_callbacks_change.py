"""What callbacks change: trajectories, batches, results; and what they may do with the algorithm."""

import threading
from typing import Any

import gymnasium
import numpy as np
import pytest

from skirl.algorithms.ppo import PPOConfig
from skirl.callbacks.callbacks import SkirlCallback
from skirl.errors import CallbackError, SkirlError
from test_callbacks import NUM_ENVS, config

SEEN: list[Any] = []


def test_a_trajectory_is_rewritten_without_copies_and_what_is_kept_stays_valid() -> None:
    kept: list[tuple[Any, Any]] = []
    batches: list[Any] = []

    class Rewrites(SkirlCallback):
        def on_postprocess_trajectory(self, *, postprocessed_batch: Any, agent_id: str, **kwargs: Any) -> None:
            batch = postprocessed_batch
            assert agent_id == "default_agent"
            assert batch["obs"].shape == (batch.count, 4)
            assert batch["new_obs"].shape == batch["obs"].shape
            assert np.array_equal(batch["new_obs"][:-1], batch["obs"][1:])
            with pytest.raises(ValueError, match="read-only"):
                batch["terminateds"][0] = True
            batch["rewards"][:] = 7.0
            batch["vf_preds"] = np.zeros(batch.count)  # Another type: it is converted.
            if not batch["terminateds"][-1]:
                batch.final_value = 0.0
            kept.append((batch["rewards"], batch["obs"]))

        def on_sample_end(self, *, samples: Any, **kwargs: Any) -> None:
            assert (samples["rewards"] == 7.0).all() and not samples["vf_preds"].any()
            samples["rewards"] *= 2.0

        def on_learn_on_batch(self, *, train_batch: Any, policy_id: str, **kwargs: Any) -> None:
            assert policy_id == "default_policy"
            batches.append({name: np.array(column) for name, column in train_batch.items()})

    with config(callbacks_class=Rewrites).training(gamma=0.5, lambda_=1.0).build_algo() as algo:
        algo.train()
        firsts = [(rewards.copy(), obs.copy()) for rewards, obs in kept]
        algo.train()
    assert len(firsts) >= NUM_ENVS
    for (rewards, obs), (rewards_then, obs_then) in zip(kept, firsts, strict=False):
        assert np.array_equal(rewards, rewards_then) and np.array_equal(obs, obs_then)
    # Rewards of 14 and values of 0: the discounted sum of what is left of the episode, or of the rollout.
    targets = batches[0]["value_targets"]
    possible = np.cumsum(14.0 * 0.5 ** np.arange(128))
    assert all(np.isclose(possible, target).any() for target in targets)
    assert np.allclose(batches[0]["advantages"], targets)


def test_what_a_hook_must_not_do_is_an_error_that_says_so() -> None:
    def not_finite(postprocessed_batch: Any, **kwargs: Any) -> None:
        postprocessed_batch["rewards"][0] = np.nan

    def too_short(samples: Any, **kwargs: Any) -> None:
        samples["rewards"] = np.zeros(3)

    def rows_differ(train_batch: Any, **kwargs: Any) -> None:
        train_batch["advantages"] = np.zeros(3)

    def terminal_value(postprocessed_batch: Any, **kwargs: Any) -> None:
        if postprocessed_batch["terminateds"][-1]:
            postprocessed_batch.final_value = 1.0

    def illegal(samples: Any = None, train_batch: Any = None, **kwargs: Any) -> None:
        (train_batch if samples is None else samples)["actions"][3] = 7

    for callbacks, text in (
        ({"on_postprocess_trajectory": not_finite}, "rewards.*finite"),
        ({"on_postprocess_trajectory": terminal_value}, "final_value to 1 after a terminated"),
        ({"on_sample_end": too_short}, "'rewards'.*expected 128 rows.*shape \\[3\\]"),
        ({"on_learn_on_batch": rows_differ}, "advantages"),
        ({"on_sample_end": illegal}, "action of row 3 of module 'default_policy' to 7, where 0 to 1 was expected"),
        ({"on_learn_on_batch": illegal}, "action of row 3 of module 'default_policy' to 7, where 0 to 1 was expected"),
    ):
        with config(**callbacks).build_algo() as algo, pytest.raises(CallbackError, match=text):
            algo.train()


def test_no_write_of_a_hook_is_lost_without_a_word() -> None:
    def in_place(name: str) -> Any:
        def hook(postprocessed_batch: Any, **kwargs: Any) -> None:
            postprocessed_batch[name][:] = 0

        return hook

    def final_obs(postprocessed_batch: Any, **kwargs: Any) -> None:
        postprocessed_batch.final_obs[:] = 0

    def replaced(postprocessed_batch: Any, **kwargs: Any) -> None:
        postprocessed_batch["actions"] = np.zeros(postprocessed_batch.count, np.int64)

    def new_column(postprocessed_batch: Any, **kwargs: Any) -> None:
        postprocessed_batch["foo"] = np.zeros(postprocessed_batch.count)

    def new_in_sample(samples: Any, **kwargs: Any) -> None:
        samples["foo"] = np.zeros(samples.count)

    def flags_in_sample(samples: Any, **kwargs: Any) -> None:
        samples["terminateds"] = np.zeros(samples.count, bool)

    def new_in_batch(train_batch: Any, **kwargs: Any) -> None:
        train_batch["foo"] = np.zeros(train_batch.count)

    rewritable = "obs, rewards and vf_preds"
    for callbacks, text in (
        ({"on_postprocess_trajectory": in_place("actions")}, f"read-only: .*{rewritable}"),
        ({"on_postprocess_trajectory": in_place("action_logp")}, f"read-only: .*{rewritable}"),
        ({"on_postprocess_trajectory": in_place("action_dist_inputs")}, f"read-only: .*{rewritable}"),
        ({"on_postprocess_trajectory": final_obs}, "read-only"),
        ({"on_postprocess_trajectory": replaced}, "'actions' was replaced.*may be rewritten: obs, rewards, vf_preds"),
        ({"on_postprocess_trajectory": new_column}, "new column 'foo'.*may be rewritten: obs, rewards, vf_preds"),
        ({"on_sample_end": new_in_sample}, "new column 'foo'.*may be rewritten: obs, actions"),
        ({"on_sample_end": flags_in_sample}, "'terminateds' was replaced"),
        ({"on_learn_on_batch": new_in_batch}, "new column 'foo'.*advantages"),
    ):
        with config(**callbacks).build_algo() as algo, pytest.raises(CallbackError, match=text):
            algo.train()


def test_rows_of_a_batch_may_be_left_out() -> None:
    def half(train_batch: Any, **kwargs: Any) -> None:
        for name in list(train_batch):
            train_batch[name] = train_batch[name][::2]

    with config(on_learn_on_batch=half).build_algo() as algo:
        result = algo.train()
    assert result["learners"]["default_policy"]["num_module_steps_trained"] in (64, 128)


def test_the_result_may_be_changed() -> None:
    def changes(result: dict[str, Any], **kwargs: Any) -> None:
        result["own"] = {"number": np.float32(0.5), "flag": True, "nothing": float("nan")}
        del result["env_runners"]["episode_return_mean"]
        result["training_iteration"] += 10

    with config(on_train_result=changes).build_algo() as algo:
        result = algo.train()
    assert result["own"] == {"number": 0.5, "flag": True}
    assert "episode_return_mean" not in result["env_runners"]
    assert result["training_iteration"] == 11

    def lists(result: dict[str, Any], **kwargs: Any) -> None:
        result["many"] = [1, 2]

    with config(on_train_result=lists).build_algo() as algo, pytest.raises(CallbackError, match='result\\["many"\\].*expected a number'):
        algo.train()


def test_the_algorithm_may_be_used_inside_a_hook(tmp_path: Any) -> None:
    class Uses(SkirlCallback):
        def on_algorithm_init(self, *, algorithm: Any, **kwargs: Any) -> None:
            SEEN.append(algorithm)
            assert algorithm.training_iteration == 0
            assert algorithm.compute_single_action(np.zeros(4, np.float32), explore=False) in (0, 1)

        def on_evaluate_end(self, *, algorithm: Any, evaluation_metrics: Any, **kwargs: Any) -> None:
            evaluation_metrics["env_runners"]["half"] = evaluation_metrics["env_runners"]["episode_return_mean"] / 2

        def on_train_result(self, *, algorithm: Any, result: Any, **kwargs: Any) -> None:
            assert algorithm is SEEN[0]
            found = algorithm.evaluate(episodes=2)
            result["evaluated"] = found["env_runners"]["episode_return_mean"]
            result["half"] = found["env_runners"]["half"]
            algorithm.save_to_path(tmp_path / "inside")
            result["weights"] = sum(float(np.abs(array).sum()) for array in algorithm.get_weights()["default_policy"].values())
            assert algorithm.get_module().forward_inference({"obs": np.zeros((1, 4), np.float32)})

    SEEN.clear()
    with config(callbacks_class=Uses).build_algo() as algo:
        assert SEEN == [algo]
        result = algo.train()
        assert result["half"] == result["evaluated"] / 2 > 0
        weights = algo.get_weights()["default_policy"]
        assert result["weights"] == pytest.approx(sum(float(np.abs(array).sum()) for array in weights.values()))
    assert (tmp_path / "inside").is_dir()


def test_what_was_lent_is_taken_back() -> None:
    kept: dict[str, Any] = {}

    class Keeps(SkirlCallback):
        def on_episode_step(self, *, episode: Any, env: Any, env_index: int, **kwargs: Any) -> None:
            kept.update(episode=episode, env=env.envs[env_index])

        def on_train_result(self, *, algorithm: Any, **kwargs: Any) -> None:
            def elsewhere() -> None:
                try:
                    algorithm.get_weights()
                except SkirlError as error:
                    kept["thread"] = str(error)

            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
            # On the same thread, but the hook that had it is over.
            with pytest.raises(SkirlError, match="only while the function"):
                kept["env"].get_task()
            with pytest.raises(ValueError, match="mine"):
                algorithm.env_runner.foreach_env(_raises)
            assert algorithm.training_iteration == 1

    with config(callbacks_class=Keeps).build_algo() as algo:
        algo.train()
        assert "at work in another thread" in kept["thread"]
        with pytest.raises(SkirlError, match="only while the function"):
            kept["env"].get_task()
        with pytest.raises(SkirlError, match="only in hooks of episodes"):
            _ = kept["episode"].env
        assert kept["episode"].length > 0
        algo.get_weights()


def _raises(env: Any) -> None:
    raise ValueError("mine")


def test_hooks_in_the_middle_of_the_work_cannot_call_the_algorithm_and_say_so() -> None:
    made = config(on_episode_step=lambda **kwargs: SEEN[0].get_weights())
    SEEN[:] = [algo := made.build_algo()]
    with pytest.raises(CallbackError, match="middle of its work"):
        algo.train()
    algo.stop()


def test_hooks_that_call_each_other_without_end_are_stopped() -> None:
    made = config(on_evaluate_end=lambda algorithm, **kwargs: algorithm.evaluate(episodes=1))
    with made.build_algo() as algo:
        with pytest.raises(CallbackError, match="hooks are inside each other") as raised:
            algo.evaluate(episodes=1)
        assert str(raised.value).count("failed in") == 1
        algo.get_weights()


def test_training_and_the_end_do_not_come_from_inside_a_hook() -> None:
    for call, expected in (
        (lambda algorithm: algorithm.train(), "call train() in your loop"),
        (lambda algorithm: algorithm.stop(), "call stop() where train() has returned"),
    ):
        made = config(on_train_result=lambda algorithm, call=call, **kwargs: call(algorithm))
        with made.build_algo() as algo, pytest.raises(CallbackError) as raised:
            algo.train()
        said = str(raised.value)
        assert expected in said and said.count("on_train_result") == 1 and "do it in" not in said


def test_policies_can_be_listed_in_the_middle_of_a_rollout() -> None:
    seen: list[Any] = []

    def lists(policies: Any, **kwargs: Any) -> None:
        seen.append((list(policies), len(policies), "default_policy" in policies, "other" in policies))

    with config(on_postprocess_trajectory=lists).build_algo() as algo:
        algo.train()
    assert set(map(str, seen)) == {str((["default_policy"], 1, True, False))}


def test_an_exception_keeps_its_traceback_and_the_weights() -> None:
    class Fails(SkirlCallback):
        def on_episode_step(self, *, episode: Any, **kwargs: Any) -> None:
            if episode.length == 5 and SEEN:
                raise KeyError("gone")

    SEEN.clear()
    with config(callbacks_class=Fails).build_algo() as algo:
        algo.train()
        before = algo.get_weights()["default_policy"]
        SEEN.append(True)
        with pytest.raises(CallbackError, match=r"'Fails' failed in on_episode_step \(episode \d+, environment \d, step 5") as caught:
            algo.train()
        cause = caught.value.__cause__
        assert isinstance(cause, KeyError) and cause.__traceback__ is not None
        frames = []
        trace = cause.__traceback__
        while trace is not None:
            frames.append(trace.tb_frame.f_code.co_name)
            trace = trace.tb_next
        assert frames[-1] == "on_episode_step"
        after = algo.get_weights()["default_policy"]
        assert all(np.array_equal(before[name], after[name]) for name in before)
        SEEN.clear()
        assert algo.train()["training_iteration"] == 2
    with config(on_train_result=_interrupted).build_algo() as algo, pytest.raises(KeyboardInterrupt):
        algo.train()


def _interrupted(**kwargs: Any) -> None:
    raise KeyboardInterrupt


def test_subnormal_numbers_are_numbers_in_hooks() -> None:
    found: set[bool] = set()

    def looks(**kwargs: Any) -> None:
        found.add(bool(np.float32(1e-38) * np.float32(0.1) > 0))

    every = dict.fromkeys(("on_episode_step", "on_sample_end", "on_learn_on_batch", "on_train_result"), looks)
    with config(**every).build_algo() as algo:
        algo.train()
    assert found == {True}


class Corridor(gymnasium.Env):  # type: ignore[type-arg]
    """Walks right for `goal` steps."""

    observation_space = gymnasium.spaces.Box(0.0, 10.0, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, goal: int = 3) -> None:
        self.goal, self.place = goal, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.place += 1
        return np.array([self.place], np.float32), 1.0, self.place >= self.goal, False, {}

    def set_phase(self, phase: int) -> int:
        self.goal = 3 + phase
        return self.goal


def corridor(**callbacks: Any) -> PPOConfig:
    """The same run in an environment that is written in Python."""
    return config(**callbacks).environment(Corridor)


def test_hooks_reach_the_python_environment() -> None:
    seen: list[Any] = []

    class Looks(SkirlCallback):
        def on_environment_created(self, *, env: Any, env_context: Any, **kwargs: Any) -> None:
            seen.append((type(env.unwrapped), env_context.vector_index))

        def on_episode_step(self, *, episode: Any, env: Any, env_index: int, **kwargs: Any) -> None:
            inner = env.envs[env_index].unwrapped
            assert inner.place == episode.length == env.unwrapped.place == episode.env.unwrapped.place

    with corridor(callbacks_class=Looks).build_algo() as algo:
        algo.train()
    assert seen == [(Corridor, index) for index in range(NUM_ENVS)]


def test_a_curriculum_from_the_loop_and_from_a_callback() -> None:
    with corridor().build_algo() as algo:
        assert algo.train()["env_runners"]["episode_len_mean"] == 3
        goals = algo.env_runner_group.foreach_env_runner(lambda runner: runner.foreach_env(lambda env: env.unwrapped.set_phase(2)))
        assert goals == [[5] * NUM_ENVS]
        algo.workers.foreach_worker(lambda ev: ev.foreach_env(lambda env: env.unwrapped.set_phase(1)))
        algo.train()
        assert algo.train()["env_runners"]["episode_len_max"] >= 4

    def on_train_result(info: dict[str, Any]) -> None:
        phase = 2 if info["result"]["episode_reward_mean"] >= 3 else 0
        info["trainer"].workers.foreach_worker(lambda ev: ev.foreach_env(lambda env: env.unwrapped.set_phase(phase)))

    with corridor().update_from_dict({"callbacks": {"on_train_result": on_train_result}}).build_algo() as algo:
        algo.train()
        assert algo.env_runner.foreach_env(lambda env: env.unwrapped.goal) == [5] * NUM_ENVS


def test_native_environments_are_reached_by_their_task() -> None:
    with config().build_algo() as algo:
        with pytest.raises(AttributeError, match="one of skirl's own and has no 'set_phase'"):
            algo.env_runner.foreach_env(lambda env: env.set_phase(1))


class Counts(SkirlCallback):
    """Counts episodes, and measures them by what it keeps with them."""

    def __init__(self) -> None:
        self.episodes = 0

    def get_state(self) -> dict[str, int]:
        return {"episodes": self.episodes}

    def set_state(self, state: dict[str, int]) -> None:
        self.episodes = state["episodes"]

    def on_episode_step(self, *, episode: Any, **kwargs: Any) -> None:
        data = episode.user_data
        data["sum"] = data.get("sum", 0.0) + abs(float(episode.get_observations(-1)[0]))

    def on_episode_end(self, *, episode: Any, metrics_logger: Any, **kwargs: Any) -> None:
        self.episodes += 1
        episode.custom_metrics["sum"] = episode.user_data["sum"]
        metrics_logger.log_value("sums", episode.user_data["sum"], reduce="lifetime_sum")

    def on_train_result(self, *, result: Any, **kwargs: Any) -> None:
        result["counted"] = self.episodes


def test_a_resumed_run_goes_on_exactly(tmp_path: Any) -> None:
    def told(result: dict[str, Any]) -> tuple[Any, ...]:
        return result["counted"], result["env_runners"]["sums"], result["env_runners"]["custom_metrics"]

    with config(callbacks_class=Counts).build_algo() as algo:
        algo.train()
        path = algo.save_to_path(tmp_path / "checkpoint")
        straight = told(algo.train())
    from skirl.algorithms.ppo import PPO

    with PPO.from_checkpoint(path, config=config(callbacks_class=Counts)) as algo:
        assert told(algo.train()) == straight
    with pytest.warns(UserWarning, match="Counts"), PPO.from_checkpoint(path) as algo:
        assert "counted" not in algo.train()


def test_what_cannot_be_saved_is_said(tmp_path: Any) -> None:
    class Keeps(SkirlCallback):
        def on_episode_start(self, *, episode: Any, **kwargs: Any) -> None:
            episode.user_data["object"] = object()

    with config(callbacks_class=Keeps).build_algo() as algo:
        algo.train()
        with pytest.warns(UserWarning, match=r"user_data\['object'\]"):
            algo.save_to_path(tmp_path / "one")

    class State(SkirlCallback):
        def get_state(self) -> Any:
            return {"object": object()}

        def on_train_result(self, **kwargs: Any) -> None:
            pass

    with config(callbacks_class=State).build_algo() as algo:
        with pytest.raises(CallbackError, match="the state of callbacks 'State'"):
            algo.save_to_path(tmp_path / "two")
        assert not (tmp_path / "two").exists()
