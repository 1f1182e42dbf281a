"""The training part of RLlib's sixty-minute tour: from process start to four iterations done. `pairs.py` times the process.

    pairs.py -n 3 "python tour.py skirl" "python tour.py rllib"
"""

from __future__ import annotations

import importlib
import json
import sys
import time

PACKAGES = {"skirl": "skirl", "rllib": "ray.rllib"}


def main(peer: str) -> None:
    started = time.perf_counter()
    # The import is a part of what is measured.
    ppo_module = importlib.import_module(f"{PACKAGES[peer]}.algorithms.ppo")
    config = (
        ppo_module.PPOConfig()
        .environment("Pendulum-v1")
        .env_runners(num_env_runners=2)
        .training(lr=0.0002, train_batch_size_per_learner=2000, num_epochs=10)
    )
    ppo = config.build_algo()
    built = time.perf_counter()
    for _ in range(4):
        ppo.train()
    finished = time.perf_counter()
    ppo.stop()
    print(json.dumps({"peer": peer, "task": "tour", "build_s": built - started, "total_s": finished - started}))


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in PACKAGES:
        raise SystemExit(f"usage: tour.py {'|'.join(PACKAGES)}")
    main(sys.argv[1])
