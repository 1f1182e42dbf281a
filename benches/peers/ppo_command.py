"""PPO with the `skirl` command under the protocol of ppo_tasks.py, for comparison with ppo_skirl.py. Steps per second of the
training time that the command itself reports, its files written.

    pairs.py -n 10 "python ppo_skirl.py --task ppo_pendulum" "python ppo_command.py --task ppo_pendulum"
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

import ppo_tasks

REPEATS = 3
COMMAND = Path(__file__).resolve().parents[2] / "target" / "release" / "skirl"


def rate(task: ppo_tasks.PpoTask, steps: int) -> float:
    config = {
        "num_env_runners": 0, "num_envs_per_env_runner": task.num_envs, "lr": 1e-3, "gamma": task.gamma,
        "lambda_": task.gae_lambda, "train_batch_size": task.num_envs * task.num_steps,
        "minibatch_size": task.minibatch_size, "num_epochs": task.num_epochs, "clip_param": 0.2, "use_kl_loss": False,
        "vf_clip_param": None, "grad_clip": 0.5, "standardize_advantages": "minibatch",
        "fcnet_hiddens": list(task.hidden), "fcnet_kernel_initializer": "orthogonal", "seed": 1,
    }
    with tempfile.TemporaryDirectory() as output:
        subprocess.run(
            [COMMAND, "train", "--run=PPO", f"--env={task.env_id}", f"--config={json.dumps(config)}",
             f'--stop={{"num_env_steps_sampled_lifetime": {steps}}}', "--output", f"{output}/run"],
            check=True, capture_output=True,
        )  # fmt: skip
        last = json.loads((Path(output) / "run" / "result.jsonl").read_text().splitlines()[-1])
    return last["num_env_steps_sampled_lifetime"] / last["time_total_s"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=list(ppo_tasks.TASKS), default="ppo_cartpole")
    parser.add_argument("--steps", type=int, default=300_000)
    options = parser.parse_args()
    rates = [rate(ppo_tasks.TASKS[options.task], options.steps) for _ in range(REPEATS)]
    print(json.dumps({"peer": "skirl_command", "task": options.task, "steps_per_s": statistics.median(rates), "max": max(rates)}))


if __name__ == "__main__":
    main()
