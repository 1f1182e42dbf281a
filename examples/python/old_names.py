"""Listings from older tutorials: trainers made from dictionaries, and the same from the command line.

python examples/python/old_names.py
"""

import subprocess
import sys
import tempfile

from skirl.algorithms.ppo import PPO
from skirl.tune.logger import pretty_print

trainer = PPO(env="CartPole-v0", config={"train_batch_size": 4000, "num_workers": 2, "num_sgd_iter": 2})
for _ in range(2):
    print(pretty_print(trainer.train()))
trainer.stop()

with tempfile.TemporaryDirectory() as output:
    command = ["train", "--run=PPO", "--env=CartPole-v0", '--config={"train_batch_size": 4000, "num_epochs": 2}']
    stop = ['--stop={"training_iteration": 2}', f"--output={output}/run"]
    subprocess.run([sys.executable, "-m", "skirl", *command, *stop], check=True)
