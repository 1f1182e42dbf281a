"""What users see when something is wrong: one message, of the right class, that names class, index and action."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from env_runs import Env, build

import skirl
from skirl.algorithms.ppo import PPO, PPOConfig
from skirl.env.env_runner import EnvRunner
from skirl.errors import ConfigError, EnvError


def config(env, num_envs=2):
    made = PPOConfig().environment(env).env_runners(num_env_runners=0, num_envs_per_env_runner=num_envs).debugging(seed=1)
    return made.training(train_batch_size=32, minibatch_size=32, num_epochs=1)


@pytest.mark.parametrize("where", ["__init__", "reset", "step"])
def test_an_environment_that_exits_is_an_error(where):
    class Exits(Env):
        pass

    def leave(*args, **kwargs):
        sys.exit(3)

    setattr(Exits, where, leave)
    with pytest.raises(EnvError, match=r"sys\.exit\(3\) was called") as caught:
        build(Exits).train()
    assert isinstance(caught.value.__cause__.__cause__, SystemExit)


def test_a_nan_is_told_once():
    class Nan(Env):
        def observe(self):
            return np.array([0, np.nan, 0], np.float32) if self.t == 3 else super().observe()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(EnvError, match=r"environment 0 failed at its step 3 .*observation of .*Nan\.step .* is NaN at index 1"):
            build(Nan).train()


def test_a_discrete_observation_outside_its_space_names_everything():
    class Beyond(Env):
        observation_space = gymnasium.spaces.Discrete(3)

        def observe(self):
            return 3 if self.t == 2 else 0

    with pytest.raises(EnvError, match=r"environment 0 .*observation is 3, expected 0 to 2 .*Beyond\.step \(.*step 2 of the episode, action [01]"):
        build(Beyond).train()

    class Two(Env):
        observation_space = gymnasium.spaces.MultiDiscrete([2, 3])

        def observe(self):
            return np.array([0, 5 if self.t == 2 else 0])

    with pytest.raises(EnvError, match=r"observation is 5 in element 1, expected 0 to 2"):
        build(Two).train()


def test_a_mistyped_method_gets_a_suggestion():
    with pytest.raises(AttributeError, match=r"PPOConfig has no option or method 'trainig'; did you mean 'training'"):
        PPOConfig().trainig(lr=1e-3)
    with pytest.raises(AttributeError, match=r"did you mean 'build_algo'"):
        PPOConfig().build_alg()
    with pytest.raises(AttributeError, match=r"did you mean 'num_epochs'"):
        PPOConfig().num_epoch


def test_what_cannot_be_resumed_names_pythons_methods(tmp_path):
    algorithm = config(lambda context: Env()).build_algo()
    algorithm.save_to_path(tmp_path / "saved")
    with pytest.warns(skirl.SkirlWarning, match=r"get_state and set_state in Python"):
        algorithm.restore_from_path(tmp_path / "saved")


def test_acting_on_nan_is_an_error_of_the_environment():
    algorithm = config("CartPole-v1").build_algo()
    with pytest.raises(EnvError, match=r"NaN in element 2 of row 0"):
        algorithm.compute_single_action(np.array([0, 0, np.nan, 0], np.float32))


def test_an_environment_that_is_none_is_told_without_a_stutter():
    with pytest.raises(ConfigError) as caught:
        PPOConfig().environment(3)
    assert str(caught.value).startswith("environment.env: expected a name")


def test_a_runner_wants_a_config():
    for given in (None, {"env": "CartPole-v1"}):
        with pytest.raises(ConfigError, match=r"EnvRunner: expected a config with an environment"):
            EnvRunner(given)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nomod:Corr", "Python finds no module 'nomod'; looked in"),
        ("env_runs:Corr", "the module 'env_runs' has no class or function 'Corr'"),
        ("__main__:Corr", "it was defined in a script or notebook, and this one has no class or function 'Corr'. Define it before"),
    ],
)
def test_a_module_that_is_not_there_is_named(name, expected):
    with pytest.raises(EnvError, match=expected) as caught:
        PPO(env=name)
    assert "EnvError" not in str(caught.value)
    root = Path(skirl.__file__).parents[1]
    path = os.pathsep.join([str(root), str(Path(__file__).parent)])
    command = [sys.executable, "-m", "skirl", "train", "--run", "PPO", "--env", name]
    ran = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, check=False)
    assert expected in ran.stderr, ran


@pytest.mark.parametrize("runners", [0, 2])
def test_environments_are_visited_with_their_context(runners):
    made = config(lambda context: Env()).environment(env_config={"size": 7, "far": (1, 2)}).env_runners(num_env_runners=runners)
    algorithm = made.build_algo()
    found = algorithm.env_runner_group.foreach_env_with_context(
        lambda env, context: [context["size"], list(context["far"]), context.worker_index, context.vector_index, type(env).__name__]
    )
    workers = [0] if runners == 0 else [1, 2]
    assert found == [[[7, [1, 2], worker, index, "Env"] for index in range(2)] for worker in workers]
    algorithm.stop()
    bare = config(lambda context: Env()).env_runners(num_env_runners=runners).build_algo()
    found = bare.env_runner_group.foreach_env_with_context(lambda env, context: [context.worker_index, context.vector_index])
    assert found == [[[worker, index] for index in range(2)] for worker in workers], "an empty context is one, too"
    bare.stop()
    native = config("CartPole-v1").environment(env_config={"max_episode_steps": 9}).build_algo()
    if runners == 0:
        found = native.env_runner_group.foreach_env_with_context(lambda env, context: (context["max_episode_steps"], context.vector_index))
        assert found == [[(9, 0), (9, 1)]]


PRINTS = """
import gymnasium, numpy as np
from skirl import PPOConfig

class Talks(gymnasium.Env):
    observation_space, action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32), gymnasium.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}
    def step(self, action):
        print("step", flush=True)
        return np.zeros(1, np.float32), 1.0, False, False, {}

config = PPOConfig().environment(Talks).env_runners(num_env_runners=0)
config.training(train_batch_size=100000, minibatch_size=64).build_algo().train()
"""


def test_printing_where_nobody_reads_any_more_says_so():
    package = str(Path(skirl.__file__).parents[1])
    program = [sys.executable, "-c", PRINTS]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": package})
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(timeout=30) == 1
    assert "raised BrokenPipeError" in said and "Nobody reads sys.stdout any more" in said


def test_a_pipe_of_the_environments_own_is_its_own_affair():
    class Cut(Env):
        def step(self, action):
            raise BrokenPipeError(32, "simulator gone")

    with pytest.raises(EnvError, match="simulator gone") as caught:
        build(Cut).train()
    assert "Nobody reads" not in str(caught.value)
