"""In a notebook: an environment of a cell in worker processes, the interrupt button, and going on after it."""

import os
import signal
import sys
import threading
import time

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")
if sys.platform == "win32":
    pytest.skip("the kernel is interrupted by a signal", allow_module_level=True)

MAKE = """
import gymnasium, time
import numpy as np
from skirl import PPOConfig

class Slow(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        time.sleep(0.002)
        self.t += 1
        if self.t == 9:
            print("nearly there")
        return np.zeros(2, np.float32), 1.0, self.t == 10, False, {}

config = PPOConfig().environment(Slow).env_runners(num_env_runners=RUNNERS, num_envs_per_env_runner=2)
algo = config.training(train_batch_size=80, minibatch_size=40, num_epochs=1).debugging(seed=1).build_algo()
algo
"""
TRAIN = "algo.train()['env_runners']['episode_return_mean']"
INTERRUPTED = """
try:
    while True:
        algo.train()
except KeyboardInterrupt:
    before = algo.iteration
    print("interrupted")
"""
GO_ON = "print(algo.train()['training_iteration'] - before); algo.stop()"


@pytest.mark.parametrize("runners", [0, 2])
def test_train_interrupt_and_go_on(runners, monkeypatch):
    # Under pytest the kernel would not look at what other processes print.
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    cells = [MAKE.replace("RUNNERS", str(runners)), TRAIN, INTERRUPTED, GO_ON]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = nbclient.NotebookClient(notebook, timeout=60)
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            if index == 2:
                # As the interrupt button does.
                threading.Thread(target=lambda: (time.sleep(1.0), os.kill(client.km.provisioner.pid, signal.SIGINT))).start()
            client.execute_cell(cell, index)
    shown = ["".join(_texts(cell)) for cell in notebook.cells]
    assert "PPO(env=" in shown[0]
    assert "10.0" in shown[1] and "nearly there" in shown[1] + shown[2]
    assert ("[env_runner 2] nearly there" in "".join(shown)) == (runners == 2)
    assert "interrupted" in shown[2]
    assert "1" in shown[3].split()


def _texts(cell):
    for output in cell.outputs:
        yield output.get("text") or output.get("data", {}).get("text/plain", "")
