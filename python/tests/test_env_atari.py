"""ale-py's batches of Atari games: every autoreset mode that it has, the same data, however the environments are spread."""

import sys

import pytest
from env_runs import build, weights
from gymnasium.vector import AutoresetMode

from skirl.env import register_env

pytest.importorskip("ale_py")

SMALL = {"img_height": 12, "img_width": 12, "stack_num": 2, "noop_max": 5, "max_num_frames_per_episode": 60}


def creator(mode):
    def make(context):
        from ale_py.vector_env import AtariVectorEnv

        return AtariVectorEnv("pong", num_envs=context.num_envs, autoreset_mode=mode, **context)

    return make


def trained(mode, path, **env_runners):
    register_env("Pong-of-ale", creator(mode))
    algorithm = build("Pong-of-ale", num_envs=4, steps=40, env_config=SMALL, env_runners={"num_env_runners": 0, "num_envs_per_env_runner": 4, **env_runners})
    for _ in range(2):
        result = algorithm.train()
    # Episodes of 60 frames, four for each step.
    assert result["env_runners"]["episode_len_mean"] == 15 and result["env_runners"]["num_episodes_lifetime"] == 20
    found = weights(algorithm, path)
    algorithm.stop()
    return found


def test_both_autoreset_modes_give_the_same_data(tmp_path):
    next_step = trained(AutoresetMode.NEXT_STEP, tmp_path / "next")
    assert next_step == trained(AutoresetMode.SAME_STEP, tmp_path / "same")


@pytest.mark.skipif(sys.platform == "win32", reason="environments are stepped in the process on this system")
def test_a_process_for_each_environment_gives_the_same_data(tmp_path):
    here = trained(AutoresetMode.NEXT_STEP, tmp_path / "here")
    assert here == trained(AutoresetMode.NEXT_STEP, tmp_path / "there", num_env_runners=4, num_envs_per_env_runner=1)
