"""More memory than there is: an error before the first step, and not the end of the process."""

import subprocess
import sys
import textwrap

import pytest

SCRIPT = """
import resource
import gymnasium, numpy as np
from skirl.algorithms.ppo import PPOConfig
from skirl.errors import ConfigError

class Picture(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 255, (500, 500, 3), np.uint8)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        print("reset")
        return np.zeros((500, 500, 3), np.uint8), {{}}

    def step(self, action):
        return np.zeros((500, 500, 3), np.uint8), 0.0, False, False, {{}}

config = PPOConfig().environment({env}).env_runners(num_env_runners=0).training(train_batch_size={rows})
resource.setrlimit(resource.RLIMIT_AS, (8_000_000_000, 8_000_000_000))
try:
    config.build()
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("env", "rows", "parts"),
    [
        ('"CartPole-v1"', 2**30, ["at least 118.1 GB", "1073741824 rows"]),
        ("Picture", 100_000, ["at least 607.7 GB", "100000 rows", "750000 numbers"]),
    ],
)
def test_a_batch_that_the_memory_cannot_hold_is_refused_before_any_step(env: str, rows: int, parts: list[str]) -> None:
    script = textwrap.dedent(SCRIPT).format(env=env, rows=rows)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "reset" not in ran.stdout
    for part in [*parts, "memory of an iteration", "training.train_batch_size"]:
        assert part in ran.stdout, ran.stdout
