"""`restart_failed_sub_environments` in the process: one that fails is made anew, and the run goes on."""

import gymnasium
import numpy as np
import pytest

from skirl import SkirlWarning
from skirl.algorithms.ppo import PPOConfig
from skirl.env.multi_agent_env import MultiAgentEnv
from skirl.errors import EnvError


class Fails(gymnasium.Env):
    """Breaks down at its step `at`, `times` times over all environments, and raises ever after."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    made, left, closed, counted = [], 1, 0, 0

    def __init__(self, env_config):
        self.index, self.total, self.broken = env_config.vector_index, 0, False
        self.task, self.shared = 0, env_config.shared.counter("steps")
        type(self).made.append(self.index)

    def reset(self, *, seed=None, options=None):
        assert not self.broken
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        assert not self.broken
        self.t, self.total = self.t + 1, self.total + 1
        type(self).counted += 1
        self.shared.add(1)
        if self.index == 1 and self.total == 5 and type(self).left:
            type(self).left -= 1
            self.broken = True
            raise ValueError("boom")
        return np.zeros(1, np.float32), 1.0, self.t == 4, False, {}

    def set_task(self, task):
        self.task = task

    def get_task(self):
        return self.task

    def close(self):
        type(self).closed += 1


def failing(times):
    return type("Fails", (Fails,), {"made": [], "left": times, "closed": 0, "counted": 0})


def build(env, restart=True, **options):
    made = PPOConfig().environment(env).env_runners(num_env_runners=0, num_envs_per_env_runner=3).debugging(seed=1)
    made = made.training(train_batch_size=48, minibatch_size=48, num_epochs=1)
    return made.fault_tolerance(restart_failed_sub_environments=restart, **options).build_algo()


def test_the_one_that_failed_is_made_anew_and_the_run_goes_on():
    env = failing(2)
    algorithm = build(env)
    algorithm.env_runner.foreach_env(lambda env: env.set_task(7))
    with pytest.warns(SkirlWarning, match=r"(?s)environment 1 failed .*ValueError: boom.*made anew"):
        result = algorithm.train()
    assert env.made == [0, 1, 2, 1, 1] and env.closed == 2
    assert result["fault_tolerance"]["num_sub_environment_restarts"] == 2
    # Every step was trained on or is counted as dropped. In the step that failed, environment 2 was not stepped any more.
    dropped = result["env_runners"]["num_env_steps_dropped_lifetime"]
    assert env.counted == 48 + dropped - 2 and dropped == 30
    assert result["num_env_steps_sampled_lifetime"] == 48
    # Nothing of the rollouts that failed was shared.
    assert algorithm.shared_state.counter("steps").get() == 48
    assert algorithm.env_runner.foreach_env(lambda env: env.task) == [7, 7, 7]
    assert algorithm.train()["fault_tolerance"]["num_sub_environment_restarts"] == 2


def test_an_error_that_repeats_ends_the_run_with_the_first_one():
    env = failing(10**9)
    algorithm = build(env, num_consecutive_env_runner_failures_tolerance=2)
    with (
        pytest.warns(SkirlWarning, match="restart_failed_sub_environments") as warned,
        pytest.raises(EnvError, match=r"environment 1 failed .*ValueError: boom") as caught,
    ):
        algorithm.train()
    # Without these it would look as if nothing had been tried.
    assert len(warned) == 2
    assert isinstance(caught.value.__cause__, ValueError)
    assert env.made == [0, 1, 2, 1, 1]


def test_without_it_the_first_error_ends_the_run():
    env = failing(1)
    with pytest.raises(EnvError, match="boom"):
        build(env, restart=False).train()
    assert env.made == [0, 1, 2]


def test_several_agents():
    class Pair(MultiAgentEnv):
        possible_agents = agents = ["a", "b"]
        observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        action_space = gymnasium.spaces.Discrete(2)
        left, made = 1, []

        def __init__(self, env_config):
            self.index, self.t = env_config.vector_index, 0
            Pair.made.append(self.index)

        def see(self):
            return dict.fromkeys(self.agents, np.zeros(1, np.float32))

        def reset(self, *, seed=None, options=None):
            return self.see(), {}

        def step(self, actions):
            self.t += 1
            if self.index == 2 and self.t == 5 and Pair.left:
                Pair.left -= 1
                raise ValueError("boom")
            return self.see(), dict.fromkeys(self.agents, 1.0), {"__all__": self.t % 4 == 0}, {"__all__": False}, {}

    algorithm = build(Pair)
    with pytest.warns(SkirlWarning, match="made anew"):
        result = algorithm.train()
    assert Pair.made == [0, 1, 2, 2]
    assert result["fault_tolerance"]["num_sub_environment_restarts"] == 1


def test_an_interrupt_is_nobodys_fault():
    class Interrupts(Fails):
        made = []

        def step(self, action):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(Interrupts).train()
    assert Interrupts.made == [0, 1, 2]


def test_one_with_other_agents_is_refused():
    class Grows(MultiAgentEnv):
        made = 0
        observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        action_space = gymnasium.spaces.Discrete(2)

        def __init__(self, env_config):
            Grows.made += 1
            self.possible_agents = self.agents = ["a", "b", "c"][: 2 if Grows.made <= 3 else 3]

        def see(self):
            return dict.fromkeys(self.agents, np.zeros(1, np.float32))

        def reset(self, *, seed=None, options=None):
            return self.see(), {}

        def step(self, actions):
            raise ValueError("boom")

    with pytest.raises(EnvError, match=r"could not be made anew: expected agent a .*, agent b .*, found .*agent c "):
        build(Grows).train()


@pytest.mark.parametrize("method", ["get_task", "set_task"])
def test_a_task_that_cannot_be_handed_on_ends_the_run(method):
    def refuse(self, *task):
        if len(self.made) > 3:
            raise RuntimeError("not this one")
        return getattr(Fails, method)(self, *task)

    algorithm = build(type("Refuses", (Fails,), {"made": [], "left": 1, method: refuse}))
    algorithm.env_runner.foreach_env(lambda env: env.set_task(7))
    said = rf"environment 1 failed .*its task could not be handed on .*: {method} raised RuntimeError: not this one\. Let"
    with pytest.raises(EnvError, match=said) as caught:
        algorithm.train()
    assert isinstance(caught.value.__cause__, RuntimeError)


class FailsInReset(gymnasium.Env):
    """Its first step raises; the resets after that raise what `left` holds, if anything, one after another."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    left, steps = [], []

    def reset(self, *, seed=None, options=None):
        self.t = 0
        error = self.left.pop(0) if self.steps and self.left else None
        if error is not None:
            raise error
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps.append(1)
        if len(self.steps) == 1:
            raise ValueError("boom")
        self.t += 1
        return np.zeros(1, np.float32), 1.0, self.t == 4, False, {}


def failing_in_reset(*errors):
    return type("FailsInReset", (FailsInReset,), {"left": list(errors), "steps": []})


def test_resets_that_fail_after_a_restart_are_tried_again():
    # The first one is of the rollout that is given up.
    env = failing_in_reset(None, None, None, *(ValueError(f"reset {number}") for number in range(50)))
    algorithm = build(env, num_consecutive_env_runner_failures_tolerance=60)
    with pytest.warns(SkirlWarning, match="made anew"):
        result = algorithm.train()
    assert result["fault_tolerance"]["num_sub_environment_restarts"] == 51 and not env.left


@pytest.mark.parametrize("before", [[], [None] * 3], ids=["of the rollout that failed", "after the restart"])
def test_an_interruption_in_a_reset_goes_before_the_failure(before):
    env = failing_in_reset(*before, KeyboardInterrupt(), RuntimeError("another one"))
    algorithm = build(env, num_consecutive_env_runner_failures_tolerance=1)
    with pytest.raises(KeyboardInterrupt):
        algorithm.train()
    # What fails later is counted anew, and no consequence of what failed before.
    with pytest.warns(SkirlWarning, match="another one"):
        algorithm.train()
    assert not env.left
