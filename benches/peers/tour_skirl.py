"""The training part of RLlib's sixty-minute tour: from process start to four iterations done. `pairs.py` times the process.

    pairs.py -n 3 "python tour_skirl.py" "python tour_rllib.py"
"""

from __future__ import annotations

import json
import time

started = time.perf_counter()

from skirl.algorithms.ppo import PPOConfig  # noqa: E402 - the import is a part of what is measured

config = (
    PPOConfig()
    .environment("Pendulum-v1")
    .env_runners(num_env_runners=2)
    .training(lr=0.0002, train_batch_size_per_learner=2000, num_epochs=10)
)
ppo = config.build_algo()
built = time.perf_counter()
for _ in range(4):
    result = ppo.train()
finished = time.perf_counter()
ppo.stop()
print(json.dumps({"peer": "skirl", "task": "tour", "build_s": built - started, "total_s": finished - started}))
