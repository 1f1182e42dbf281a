"""The package itself: what is in it, how long importing it takes, whether stubs and command fit."""

import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import skirl

PACKAGE = Path(skirl.__file__).parent
#: Where the package was found, for processes of their own; and the sources.
FOUND = PACKAGE.parent
SOURCES = Path(__file__).resolve().parents[1]


def python(*arguments: str, timeout: float = 120) -> "subprocess.CompletedProcess[str]":
    """Another Python with this package."""
    path = os.pathsep.join([str(FOUND), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=timeout, check=False, env={**os.environ, "PYTHONPATH": path}
    )


def test_importing_is_quick_and_takes_nothing_along() -> None:
    code = (
        "import time\nstarted = time.perf_counter()\nimport skirl\nprint(time.perf_counter() - started)\n"
        "import sys\nfound = [name for name in ('gymnasium', 'torch', 'numpy', 'cloudpickle', 'skirl._native') if name in sys.modules]\n"
        "assert not found, found\nfrom skirl import PPOConfig\nPPOConfig().environment('CartPole-v1')\n"
        "assert 'gymnasium' not in sys.modules and 'torch' not in sys.modules\n"
    )
    runs = [python("-c", code) for _ in range(3)]
    assert all(run.returncode == 0 for run in runs), runs[0].stderr
    assert min(float(run.stdout) for run in runs) < 0.2


def test_every_name_is_there_and_the_same_everywhere() -> None:
    for name in skirl.__all__:
        assert getattr(skirl, name) is not None, name
    assert set(skirl.__all__) <= set(dir(skirl))
    for module, name in (
        ("skirl.algorithms.ppo", "PPOConfig"),
        ("skirl.algorithms", "PPOConfig"),
        ("skirl.algorithms.a2c", "A2CConfig"),
        ("skirl.algorithms.pg", "PG"),
        ("skirl.algorithms.algorithm", "Algorithm"),
        ("skirl.algorithms.algorithm_config", "AlgorithmConfig"),
        ("skirl.core.rl_module", "RLModule"),
        ("skirl.core.rl_module.rl_module", "RLModule"),
    ):
        assert getattr(import_module(module), name) is getattr(skirl, name)
    with pytest.raises(AttributeError, match="typo"):
        _ = skirl.typo


def test_rllibs_constants_name_what_is_there(tmp_path: Path) -> None:
    from skirl import core
    from skirl.algorithms.ppo import PPOConfig
    from skirl.core.columns import Columns
    from skirl.env.multi_agent_env import MultiAgentEnv
    from skirl.utils import metrics

    assert skirl.MultiAgentEnv is MultiAgentEnv
    seen: set[str] = set()
    columns: set[str] = set()

    def keep(train_batch: Any, **kwargs: Any) -> None:
        columns.update(train_batch)

    def keep_trajectory(postprocessed_batch: Any, **kwargs: Any) -> None:
        columns.update(postprocessed_batch)
        if len(postprocessed_batch["new_obs"]):
            columns.add("new_obs")

    config = PPOConfig().environment("CartPole-v1").env_runners(num_env_runners=0, num_envs_per_env_runner=2)
    config.training(train_batch_size=128, minibatch_size=64, num_epochs=1).rl_module(fcnet_hiddens=[4])
    config.evaluation(evaluation_interval=1, evaluation_duration=1)
    config.callbacks(on_learn_on_batch=keep, on_postprocess_trajectory=keep_trajectory)
    with config.build_algo() as algo:
        result = algo.train()
        saved = Path(algo.save_to_path(tmp_path / "saved"))
        module = "/".join([core.COMPONENT_LEARNER_GROUP, core.COMPONENT_LEARNER, core.COMPONENT_RL_MODULE, core.DEFAULT_MODULE_ID])
        algo.restore_from_path(saved, component=module)
    pending = [dict(result)]
    while pending:
        for key, value in pending.pop().items():
            seen.add(key)
            pending += [value] if isinstance(value, dict) else []
    assert set(_constants(metrics)) <= seen
    assert set(_constants(Columns)) <= columns
    assert core.DEFAULT_AGENT_ID in seen and core.DEFAULT_POLICY_ID in seen
    directories = {path.name for path in saved.rglob("*") if path.is_dir()}
    assert {value for name, value in vars(core).items() if name.startswith("COMPONENT_")} <= directories
    assert result[metrics.EVALUATION_RESULTS][metrics.ENV_RUNNER_RESULTS][metrics.EPISODE_RETURN_MEAN] > 0


def _constants(place: Any) -> list[str]:
    return [value for name, value in vars(place).items() if name.isupper() and isinstance(value, str)]


def test_the_example_of_an_own_environment_is_short() -> None:
    example = SOURCES.parent / "examples" / "python" / "custom_env.py"
    if example.exists():
        assert len(example.read_text().splitlines()) < 50


def test_an_interpreter_that_keeps_its_lock_off_is_refused() -> None:
    code = "import sys\nsys._is_gil_enabled = lambda: {}\nfrom skirl import PPOConfig\nprint(PPOConfig().lr)"
    refused, taken = python("-c", code.format(False)), python("-c", code.format(True))
    assert refused.returncode == 1 and refused.stderr.strip().splitlines()[-1] == (
        "ImportError: skirl needs the interpreter's lock, which PYTHON_GIL=0 or -X gil=0 keeps off: start Python without them, "
        "and the lock is turned on when skirl is imported"
    )
    assert taken.returncode == 0, taken.stderr


def test_the_version_is_the_engines() -> None:
    from skirl import _native

    assert skirl.__version__ == _native.__version__


def test_the_generated_stubs_are_up_to_date() -> None:
    run = python(str(SOURCES / "tools" / "generate_stubs.py"), "--check")
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_stubs_fit_the_binary() -> None:
    pytest.importorskip("mypy")
    run = python(
        "-m", "mypy.stubtest", "--mypy-config-file", str(SOURCES / "mypy.ini"),
        "skirl._native", "skirl.algorithms.ppo", "skirl.algorithms.a2c", "skirl.algorithms.pg", "skirl.algorithms._common_sections",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr


TYPED = """
from skirl import PPOConfig
from skirl.algorithms.ppo import PPO

config = PPOConfig().environment("CartPole-v1").training(lr=1e-3, lambda_=0.9).env_runners(num_env_runners=0)
algo: PPO = config.build_algo()
result: dict[str, object] = algo.train()
config.training(lrr=1e-3)
config.env_runners(batch_mode="whole")
"""


def test_a_type_checker_knows_the_options(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    script = tmp_path / "script.py"
    script.write_text(TYPED, encoding="utf-8")
    run = python("-m", "mypy", "--strict", "--config-file", str(SOURCES / "mypy.ini"), "--cache-dir", str(tmp_path), str(script))
    lines = [line for line in run.stdout.splitlines() if "script.py" in line and "error" in line]
    assert len(lines) == 2 and "lrr" in lines[0] and "batch_mode" in lines[1], run.stdout


def test_the_command_is_the_engines() -> None:
    listed = python("-m", "skirl", "algos")
    assert listed.returncode == 0 and "PPO" in listed.stdout
    refused = python("-m", "skirl", "train", "--run=PPO", "--env=CartPole-v1", "--set", "training.lrr=1")
    assert refused.returncode == 2 and "did you mean `training.lr`" in refused.stderr


ENV = """
import gymnasium
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

class Mine(CartPoleEnv):
    def __init__(self, config=None):
        super().__init__()
"""


def test_the_command_trains_python_environments(tmp_path: Path) -> None:
    (tmp_path / "my_module.py").write_text(ENV, encoding="utf-8")
    path = os.pathsep.join([str(FOUND), os.environ.get("PYTHONPATH", "")])
    for env in ("my_module:Mine", "gymnasium:CartPole-v1"):
        run = subprocess.run(
            [sys.executable, "-m", "skirl", "train", "--run=PPO", f"--env={env}", "--set", "training.train_batch_size=200",
             "--set", "training.minibatch_size=100", "--set", "env_runners.num_env_runners=0", "--stop", '{"training_iteration": 1}',
             "--set", f"checkpointing.output_dir={tmp_path / env.replace(':', '_')}"],
            capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
        assert run.returncode == 0, run.stdout + run.stderr


def test_training_in_python_is_the_commands(tmp_path: Path) -> None:
    """Same configuration and seed: the same weights, and checkpoints that go both ways."""
    import json

    from skirl import PPO, PPOConfig, RLModule

    config = PPOConfig().environment("CartPole-v1").env_runners(num_env_runners=0).debugging(seed=4)
    config.training(train_batch_size=256, minibatch_size=64, num_epochs=3, lr=1e-3).rl_module(fcnet_hiddens=[16])
    document = {"run": "PPO", "config": config.to_dict(), "stop": {"training_iteration": 3}}
    (tmp_path / "config.json").write_text(json.dumps(document), encoding="utf-8")
    run = python("-m", "skirl", "train", "file", str(tmp_path / "config.json"), "--set", f"checkpointing.output_dir={tmp_path / 'run'}")
    if run.returncode != 0:
        run = python("-m", "skirl", "train", str(tmp_path / "config.json"), "--set", f"checkpointing.output_dir={tmp_path / 'run'}")
    assert run.returncode == 0, run.stdout + run.stderr
    ours = config.build_algo()
    for _ in range(3):
        ours.train()
    theirs = PPO.from_checkpoint(tmp_path / "run" / "checkpoints")
    weights, expected = ours.get_weights()["default_policy"], theirs.get_weights()["default_policy"]
    assert theirs.iteration == 3 and all(weights[name].tobytes() == expected[name].tobytes() for name in expected)
    # And the other way: the command evaluates what Python saved.
    saved = ours.save_to_path(tmp_path / "ours")
    evaluated = python("-m", "skirl", "evaluate", saved, "--episodes", "3")
    assert evaluated.returncode == 0, evaluated.stderr
    module = Path(saved) / "learner_group" / "learner" / "rl_module" / "default_policy"
    assert RLModule.from_checkpoint(module).get_state().keys() == weights.keys()


def test_no_option_reaches_python_as_a_panic() -> None:
    """Values of every kind for every option: an option is set, or a ConfigError says why not."""
    from skirl import PPOConfig
    from skirl.errors import ConfigError

    values = [None, True, -1, 0, 1, 2**63, 2**64 - 1, 10**30, 1e308, -0.0, float("inf"), float("nan"), "", "x", "1", b"x", [], [[]],
              [1, 2], {}, {"a": 1}, object(), int, [object()], {1: 2}, "\ud800"]  # fmt: skip
    started = time.monotonic()
    for name in list(PPOConfig().keys()):
        if name in ("env", "evaluation_config", "stop", "callbacks", "callbacks_class"):
            continue
        for value in values:
            config = PPOConfig()
            try:
                config.update_from_dict({name: value})
            except ConfigError as error:
                assert name.rstrip("_") in str(error) or "problem" in str(error)
            else:
                assert isinstance(repr(config), str)
    assert time.monotonic() - started < 20


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_the_command_stops_and_saves_on_ctrl_c(tmp_path: Path) -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "skirl", "train", "--run=PPO", "--env=gymnasium:CartPole-v1", "--set", "training.train_batch_size=200",
         "--set", "rl_module.fcnet_hiddens=[16]", "--set", f"checkpointing.output_dir={tmp_path / 'run'}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(FOUND), os.environ.get("PYTHONPATH", "")])},
    )  # fmt: skip
    assert command.stdout is not None
    while not command.stdout.readline().startswith("iteration"):
        assert command.poll() is None
    command.send_signal(signal.SIGINT)
    out, _ = command.communicate(timeout=60)
    assert command.returncode == 130, out
    assert list((tmp_path / "run" / "checkpoints").iterdir())
