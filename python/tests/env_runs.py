"""Small runs on environments of Python, through the native half."""

import hashlib

import gymnasium
import numpy as np

from skirl import _native
from skirl.env import registry


def build(env, num_envs=2, steps=16, seed=3, env_config=None, training=None, **sections):
    """A PPO algorithm whose rollout is `steps` steps of `num_envs` environments."""
    batch = num_envs * steps
    options = {
        "environment": {"env": registry.resolve(env, env_config), "env_config": env_config or {}},
        "env_runners": {"num_env_runners": 0, "num_envs_per_env_runner": num_envs},
        "debugging": {"seed": seed},
        "training": {"train_batch_size": batch, "minibatch_size": batch, "num_epochs": 1, **(training or {})},
        **sections,
    }
    config, problems = _native.NativeConfig("ppo").with_options(None, options)
    assert not problems, problems
    return _native.NativeAlgorithm.build(config)


def train(env, iterations=2, **options):
    """The last result."""
    algorithm = build(env, **options)
    for _ in range(iterations):
        result = algorithm.train()
    algorithm.stop()
    return result


def weights(algorithm, directory):
    """A hash of the learner's files: weights and optimizer."""
    path = algorithm.save_to_path(directory)
    digest = hashlib.sha256()
    for file in sorted((path / "learner_group").rglob("*.safetensors")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


class Env(gymnasium.Env):
    """Returns what its functions say, one step after the other; an episode has five steps."""

    length = 5
    observation_space = gymnasium.spaces.Box(-10, 10, (3,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, **kwargs):
        vars(self).update(kwargs)
        self.t = self.total = 0

    def observe(self):
        return np.zeros(3, np.float32)

    def reward(self):
        return 1.0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self.observe(), {}

    def step(self, action):
        self.t += 1
        self.total += 1
        return self.observe(), self.reward(), self.t == self.length, False, {}
