"""Parts for training loops of one's own: environment runners and estimators."""

import math
from typing import Any

import gymnasium
import numpy as np
import pytest

from skirl.algorithms.ppo import PPOConfig
from skirl.env.single_agent_env_runner import SingleAgentEnvRunner
from skirl.errors import SkirlError, StoppedError
from skirl.estimators import add_gae, discounted_returns, gae, vtrace
from test_callbacks import NUM_ENVS, config

RNG = np.random.default_rng(7)


def test_a_runner_samples_what_the_algorithm_learns_from() -> None:
    learned: list[dict[str, Any]] = []

    def keep(train_batch: Any, **kwargs: Any) -> None:
        learned.append({name: np.array(column) for name, column in train_batch.items()})

    with config(on_learn_on_batch=keep).build_algo() as algo:
        algo.train()
        weights = algo.get_weights()
        algo.train()
    runner = SingleAgentEnvRunner(config())
    for iteration in range(2):
        batch = add_gae(runner.sample(num_timesteps=128), gamma=0.99, lambda_=1.0)
        for name in ("obs", "actions", "action_logp", "vf_preds", "action_dist_inputs", "advantages", "value_targets"):
            assert np.array_equal(batch[name], learned[iteration][name]), name
        runner.set_weights(weights)
    assert np.array_equal(runner.get_weights()["default_policy"]["pi.0.weight"], weights["default_policy"]["pi.0.weight"])


def test_a_runner_that_was_stopped_is_gone() -> None:
    closed: list[bool] = []

    class Closes(gymnasium.Env):  # type: ignore[type-arg]
        observation_space = gymnasium.spaces.Box(0.0, 1.0, (1,), np.float32)
        action_space = gymnasium.spaces.Discrete(2)

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            return np.zeros(1, np.float32), {}

        def step(self, action: Any) -> Any:
            return np.zeros(1, np.float32), 1.0, False, False, {}

        def close(self) -> None:
            closed.append(True)

    runner = SingleAgentEnvRunner(config().environment(Closes))
    kept = runner.sample(num_timesteps=8)
    runner.stop()
    runner.stop()
    assert len(closed) == NUM_ENVS and kept.count == 8
    calls: list[Any] = [
        runner.sample,
        runner.reset,
        runner.get_weights,
        runner.get_metrics,
        lambda: runner.num_envs,
        lambda: runner.set_weights({}),
        lambda: runner.foreach_env(len),
    ]
    for call in calls:
        with pytest.raises(StoppedError, match="this environment runner was stopped"):
            call()


def test_columns_are_numpy_arrays_that_own_their_memory() -> None:
    runner = SingleAgentEnvRunner(config())
    first = runner.sample(num_timesteps=126)  # Rounded up to whole steps of four environments.
    assert first.num_envs == NUM_ENVS and first.count == 128
    expected = {"obs": (128, 4), "actions": (128,), "rewards": (128,), "terminateds": (128,), "eps_id": (128,), "action_dist_inputs": (128, 2)}
    assert {name: first[name].shape for name in expected} == expected
    assert first["obs"].dtype == np.float32 and first["terminateds"].dtype == np.bool_ and first["actions"].dtype == np.int64
    time_major = first.time_major()
    assert time_major["obs"].shape == (32, NUM_ENVS, 4) and np.shares_memory(time_major["obs"], first["obs"])
    copies = {name: column.copy() for name, column in first.items()}
    runner.sample(num_timesteps=128)
    assert all(np.array_equal(first[name], copies[name]) for name in copies)
    first["obs"][0] = 0.0  # Theirs to write.
    # What follows a row is the next step's observation, or the one that ended the episode or the rollout.
    following = first["new_obs"].reshape(32, NUM_ENVS, 4)
    ended = (first["terminateds"] | first["truncateds"]).reshape(32, NUM_ENVS)
    goes_on = ~ended[:-1]
    assert np.array_equal(following[:-1][goes_on], time_major["obs"][1:][goes_on])
    assert (np.abs(following[ended][:, 2]) > 0.2).all()


def test_whole_episodes() -> None:
    runner = SingleAgentEnvRunner(config())
    batch = runner.sample(num_episodes=6)
    assert batch.num_envs == 0
    ids, starts, lengths = np.unique(batch["eps_id"], return_index=True, return_counts=True)
    assert len(ids) == 6
    for start, length in zip(starts, lengths, strict=True):
        rows = slice(start, start + length)
        assert batch["next_row"][rows].tolist() == [*range(start + 1, start + length), -1]
        assert batch["terminateds"][rows].tolist() == [False] * (length - 1) + [True]
    metrics = runner.get_metrics()
    assert metrics["num_episodes"] == 6 and metrics["episode_len_mean"] == pytest.approx(lengths.mean())
    again = SingleAgentEnvRunner(config()).sample(num_episodes=6)
    assert np.array_equal(again["obs"], batch["obs"])
    with pytest.raises(SkirlError, match="found both"):
        runner.sample(num_timesteps=1, num_episodes=1)


def test_explore_and_weights() -> None:
    runner = SingleAgentEnvRunner(config())
    weights = runner.get_weights()
    zeros = {module: {name: np.zeros_like(array) for name, array in arrays.items()} for module, arrays in weights.items()}
    runner.set_weights(zeros)
    batch = runner.sample(num_timesteps=64, explore=False)
    assert not batch["vf_preds"].any() and len(set(batch["actions"].tolist())) == 1
    with pytest.raises(SkirlError, match="expected default_policy, found other"):
        runner.set_weights({"other": {}})


def test_a_runner_calls_the_callbacks_of_its_config() -> None:
    ended: list[int] = []
    runner = SingleAgentEnvRunner(config(on_episode_end=lambda episode, **kwargs: ended.append(len(episode))))
    runner.sample(num_timesteps=256)
    assert len(ended) == runner.get_metrics()["num_episodes"] > 0


def oracle(rewards: Any, values: Any, terminated: Any, truncated: Any, bootstrap: Any, gamma: float, lambda_: float) -> Any:
    """The sum of discounted temporal-difference errors, term by term, in float64."""
    steps, envs = rewards.shape
    advantages = np.zeros((steps, envs))
    for env in range(envs):
        for start in range(steps):
            total, weight = 0.0, 1.0
            for step in range(start, steps):
                ends = terminated[step, env] or truncated[step, env]
                if terminated[step, env]:
                    following = 0.0
                elif truncated[step, env] or step == steps - 1:
                    following = bootstrap[step, env]
                else:
                    following = values[step + 1, env]
                total += weight * (rewards[step, env] + gamma * following - values[step, env])
                if ends:
                    break
                weight *= gamma * lambda_
            advantages[start, env] = total
    return advantages


def experience(steps: int, envs: int) -> tuple[Any, ...]:
    """Random columns with every kind of end, also both flags at once."""
    fate = RNG.random((steps, envs))
    terminated, truncated = fate < 0.15, (fate > 0.1) & (fate < 0.25)
    columns = RNG.normal(size=(3, steps, envs))
    return columns[0], columns[1], terminated, truncated, columns[2]


@pytest.mark.parametrize(("gamma", "lambda_"), [(0.99, 0.95), (1.0, 1.0), (0.9, 0.0), (0.0, 0.5)])
def test_gae_is_the_sum_of_temporal_differences(gamma: float, lambda_: float) -> None:
    for steps, envs in ((1, 1), (17, 3), (40, 1)):
        columns = experience(steps, envs)
        expected = oracle(*columns, gamma, lambda_)
        advantages, targets = gae(*columns, gamma=gamma, lambda_=lambda_)
        assert advantages.dtype == np.float32 and advantages.shape == (steps, envs)
        assert np.allclose(advantages, expected, atol=1e-4)
        assert np.allclose(targets, expected + columns[1], atol=1e-4)
        if envs == 1:
            flat = gae(*(column[:, 0] for column in columns), gamma=gamma, lambda_=lambda_)
            assert np.array_equal(flat[0], advantages[:, 0])


def test_chained_rows_in_any_order_of_agents() -> None:
    columns = experience(20, 3)
    expected, _ = gae(*columns)
    order = RNG.permutation(3)
    next_row = np.concatenate([[*range(20 * agent + 1, 20 * agent + 20), -1] for agent in range(3)])
    flat = [np.concatenate([column[:, env] for env in order]) for column in columns]
    found, _ = gae(*flat, next_row=next_row)
    assert np.array_equal(found.reshape(3, 20), expected[:, order].T)


def test_last_values_alone_are_enough_without_truncation() -> None:
    rewards, values, terminated, truncated, bootstrap = experience(12, 2)
    nowhere = np.zeros_like(truncated)
    assert np.array_equal(gae(rewards, values, terminated, nowhere, bootstrap[-1])[0], gae(rewards, values, terminated, nowhere, bootstrap)[0])
    truncated[3, 1], terminated[3, 1] = True, False
    with pytest.raises(ValueError, match="truncated before the last step"):
        gae(rewards, values, terminated, truncated, bootstrap[-1])
    with pytest.raises(ValueError, match="values: expected the shape of rewards, \\[12, 2\\], found \\[3, 2\\]"):
        gae(rewards, values[:3], terminated, truncated, bootstrap)


def test_discounted_returns() -> None:
    rewards, _, terminated, truncated, bootstrap = experience(15, 2)
    expected = oracle(rewards, np.zeros_like(rewards), terminated, truncated, bootstrap, 0.9, 1.0)
    # With values of 0 the sum of temporal differences is the return; values that bootstrap stand at ends alone.
    assert np.allclose(discounted_returns(rewards, terminated, truncated, bootstrap, gamma=0.9), expected, atol=1e-4)
    plain = oracle(rewards, np.zeros_like(rewards), terminated, truncated, np.zeros_like(bootstrap), 0.9, 1.0)
    assert np.allclose(discounted_returns(rewards, terminated, truncated, gamma=0.9), plain, atol=1e-4)


def vtrace_oracle(logp: Any, behaviour: Any, columns: Any, gamma: float, bar: float, pg_bar: float) -> tuple[Any, Any]:
    """Equation 1 of the paper, term by term."""
    rewards, values, terminated, truncated, bootstrap = columns
    (steps, envs), ratio = rewards.shape, np.exp(logp - behaviour)
    targets, advantages = np.zeros((steps, envs)), np.zeros((steps, envs))

    def following(step: int, env: int, later: Any) -> float:
        if terminated[step, env]:
            return 0.0
        return float(bootstrap[step, env] if truncated[step, env] or step == steps - 1 else later[step + 1, env])

    for env in range(envs):
        for start in reversed(range(steps)):
            total, weight = 0.0, 1.0
            for step in range(start, steps):
                delta = min(bar, ratio[step, env]) * (rewards[step, env] + gamma * following(step, env, values) - values[step, env])
                total += weight * delta
                if terminated[step, env] or truncated[step, env]:
                    break
                weight *= gamma * min(1.0, ratio[step, env])
            targets[start, env] = values[start, env] + total
            reach = rewards[start, env] + gamma * following(start, env, targets) - values[start, env]
            advantages[start, env] = min(pg_bar, ratio[start, env]) * reach
    return targets, advantages


def test_vtrace_is_the_papers_sum() -> None:
    columns = experience(14, 3)
    logp, behaviour = RNG.normal(size=(2, 14, 3)) * 0.5
    for bar, pg_bar in ((1.0, 1.0), (0.7, 2.0), (math.inf, math.inf)):
        expected = vtrace_oracle(logp, behaviour, columns, 0.95, bar, pg_bar)
        found = vtrace(logp, behaviour, *columns, gamma=0.95, clip_rho_threshold=bar, clip_pg_rho_threshold=pg_bar)
        assert np.allclose(found[0], expected[0], atol=1e-3) and np.allclose(found[1], expected[1], atol=1e-3)
    # On-policy it is GAE with a trace decay of 1.
    found = vtrace(logp, logp, *columns, gamma=0.95)
    assert np.allclose(found[0], gae(*columns, gamma=0.95, lambda_=1.0)[1], atol=1e-4)


def test_several_agents_give_a_batch_for_each_module() -> None:
    made = (
        PPOConfig()
        .environment("TwoCartPole-v0")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=2)
        .training(train_batch_size=64, minibatch_size=64)
        .debugging(seed=1)
    )
    batch = SingleAgentEnvRunner(made).sample(num_timesteps=64)
    add_gae(batch)
    assert set(np.unique(batch["agent_index"])) == {0, 1}
    assert np.isfinite(batch["advantages"]).all()
