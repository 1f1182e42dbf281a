"""`get_state` and `set_state`: the whole state in memory, exact, and refused where it does not fit."""

import copy
import json
import pickle
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skirl.algorithms.a2c import A2CConfig
from skirl.algorithms.ppo import PPOConfig
from skirl.callbacks import RLlibCallback
from skirl.errors import CheckpointError, StoppedError

MODULE = "learner_group/learner/rl_module/default_policy"
REMOVED = object()


class Counts(RLlibCallback):
    """Keeps a number in checkpoints."""

    def __init__(self) -> None:
        self.episodes = 0

    def on_episode_end(self, **kwargs: Any) -> None:
        self.episodes += 1

    def get_state(self) -> dict[str, int]:
        return {"episodes": self.episodes}

    def set_state(self, state: dict[str, int]) -> None:
        self.episodes = state["episodes"]


def config(env: str = "CartPole-v1", seed: int = 1, hiddens: int = 8, num_envs: int = 2) -> PPOConfig:
    """Everything that a state may hold: a filter, callbacks, schedules."""
    made = PPOConfig().environment(env).env_runners(num_env_runners=0, num_envs_per_env_runner=num_envs, observation_filter="MeanStdFilter")
    made = made.training(train_batch_size=64, minibatch_size=32, num_epochs=2, lr=[[0, 1e-3], [1000, 1e-4]]).debugging(seed=seed)
    return made.rl_module(fcnet_hiddens=[hiddens]).callbacks(Counts)


def trained(iterations: int = 2, **options: Any) -> Any:
    algo = config(**options).build_algo()
    algo.shared_state.counter("levels").add(3)
    algo.shared_state.parameter_store("maps").put({"grid": np.arange(6, dtype=np.float32).reshape(2, 3), "name": "maze"})
    for _ in range(iterations):
        algo.train()
    return algo


def files(algo: Any, directory: Path) -> dict[str, bytes]:
    """All bytes of a checkpoint but the seconds that training took, and the hashes of all bytes."""
    algo.save_to_path(directory)
    paths = [path for path in sorted(directory.rglob("*")) if path.is_file() and path.name not in ("manifest.json", "component.json")]
    return {str(path.relative_to(directory)): re.sub(rb'"time_total_s": [^,]*', b"", path.read_bytes()) for path in paths}


def leaves(state: Any, *keys: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(state, dict):
        for name, value in state.items():
            yield from leaves(value, *keys, name)
    else:
        yield keys, state


def changed(state: dict[str, Any], keys: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A copy in which one place has another value, or nothing."""
    made = copy.deepcopy(state)
    place = made
    for name in keys[:-1]:
        place = place[name]
    if value is REMOVED:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    return made


def equal(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(equal(left[name], right[name]) for name in left)
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    return type(left) is type(right) and left == right


def test_training_goes_on_byte_for_byte_after_a_pickle_round_trip(tmp_path: Path) -> None:
    straight = trained()
    state = pickle.loads(pickle.dumps(straight.get_state()))
    resumed = config(seed=9).build_algo()
    resumed.set_state(state)
    assert resumed.iteration == 2 and resumed.shared_state.counter("levels").get() == 3
    assert files(resumed, tmp_path / "resumed") == files(straight, tmp_path / "straight")
    for algo in (straight, resumed):
        algo.train()
    assert files(resumed, tmp_path / "resumed-on") == files(straight, tmp_path / "straight-on")
    # Back in time, in the algorithm that the state was taken of.
    straight.set_state(state)
    straight.train()
    assert files(straight, tmp_path / "again") == files(resumed, tmp_path / "resumed-on-2")


def test_a_state_is_plain_and_belongs_to_the_caller() -> None:
    algo = trained()
    state = algo.get_state()
    assert list(state) == ["manifest", "algorithm_state", "config", "shared_state", "env_runner", "learner_group"]
    assert state["manifest"]["algorithm"] == "PPO" and state["manifest"]["counters"]["training_iteration"] == 2
    assert state["algorithm_state"]["callbacks"] and state["shared_state"]["state"]["values"]
    plain = {keys: value for keys, value in leaves(state) if not isinstance(value, np.ndarray)}
    assert {type(value) for value in plain.values()} <= {int, float, str, bool, list, type(None)}
    json.dumps(list(plain.values()), allow_nan=False)
    weights = state["learner_group"]["learner"]["rl_module"]["default_policy"]
    assert equal(weights, dict(sorted(algo.get_weights()["default_policy"].items())))
    for _, value in leaves(state):
        if isinstance(value, np.ndarray):
            assert value.flags.writeable
            value[...] = 0
    assert all(array.any() for name, array in algo.get_weights()["default_policy"].items() if name.endswith("weight"))
    assert not equal(algo.get_state(), state)


def test_weights_may_be_replaced_in_a_state() -> None:
    algo, other = trained(), trained(seed=2)
    weights = other.get_weights()["default_policy"]
    algo.set_state(changed(algo.get_state(), tuple(MODULE.split("/")), weights))
    assert equal(algo.get_weights()["default_policy"], weights)
    algo.train()


def test_arrays_may_come_from_npz_files(tmp_path: Path) -> None:
    algo = trained()
    state = algo.get_state()
    np.savez(tmp_path / "optimizer.npz", **state["learner_group"]["learner"]["optimizer"])
    with np.load(tmp_path / "optimizer.npz") as optimizer:
        algo.set_state(changed(state, ("learner_group", "learner", "optimizer"), optimizer))
    assert equal(algo.get_state(), state)


def test_every_part_must_be_there_and_be_what_it_is() -> None:
    algo = trained()
    state = algo.get_state()
    parts = [
        "manifest", "algorithm_state", "config", "env_runner", "env_runner/state", "env_runner/arrays",
        "env_runner/env_to_module_connector", "learner_group", "learner_group/learner", "learner_group/learner/state",
        "learner_group/learner/optimizer", "learner_group/learner/rl_module", MODULE, "shared_state/arrays",
    ]  # fmt: skip
    for part in parts:
        keys = tuple(part.split("/"))
        with pytest.raises(CheckpointError, match=part):
            algo.set_state(changed(state, keys, REMOVED))
        with pytest.raises(CheckpointError, match=f"`{part}`: expected a dict, found a list"):
            algo.set_state(changed(state, keys, [1]))
        place = (*keys[:-1], "weihgts")
        with pytest.raises(CheckpointError, match=f"`{'/'.join(place)}` is no part of a state"):
            algo.set_state(changed(state, place, {}))
    with pytest.raises(CheckpointError, match="expected a dict, found a list"):
        algo.set_state([state])  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="expected keys that are strings, found 1"):
        algo.set_state(state | {1: {}})  # type: ignore[dict-item]
    assert equal(algo.get_state(), state)


def test_every_array_must_fit() -> None:
    algo = trained()
    state = algo.get_state()
    arrays = [(keys, value) for keys, value in leaves(state) if isinstance(value, np.ndarray)]
    assert len(arrays) > 20
    for keys, array in arrays:
        name = keys[-1].rpartition("/")[2].partition("#")[0]
        other_type = array.astype(np.float64 if array.dtype == np.float32 else np.float32)
        wrong = [REMOVED, other_type, array.astype(np.int8), np.append(array, array.ravel()[:1]), array.tolist(), "text"]
        if keys[0] == "learner_group":
            wrong += [np.full_like(array, np.nan), array.reshape(1, *array.shape)]
        for value in wrong:
            with pytest.raises(CheckpointError) as refused:
                algo.set_state(changed(state, keys, value))
            assert name in str(refused.value), (keys, value, str(refused.value))
    assert equal(algo.get_state(), state)


def test_every_field_must_be_there() -> None:
    algo = trained()
    state = algo.get_state()
    fields = [keys for keys, _ in leaves({"learner_group": state["learner_group"]}) if "state" in keys]
    fields += [("manifest", name) for name in state["manifest"]] + [("algorithm_state", name) for name in ("seed", "metrics")]
    fields += [("env_runner", "state", "vector"), ("env_runner", "state", "vector", "steps"), ("env_runner", "state", "vector", "episodes")]
    assert len(fields) > 15
    for keys in fields:
        with pytest.raises(CheckpointError):
            algo.set_state(changed(state, keys, REMOVED))
    with pytest.raises(CheckpointError, match="NaN|nan|finite"):
        algo.set_state(changed(state, ("algorithm_state", "seed"), float("nan")))
    with pytest.raises(CheckpointError, match="format_version.*expected 1, found 7"):
        algo.set_state(changed(state, ("manifest", "format_version"), 7))
    assert equal(algo.get_state(), state)


def test_what_is_of_something_else_is_refused() -> None:
    algo = trained()
    state = algo.get_state()
    with pytest.raises(CheckpointError, match="observation space of module `default_policy` differs"):
        algo.set_state(config("Pendulum-v1").build_algo().get_state())
    with pytest.raises(CheckpointError, match=r"module 'default_policy'.*\[8, 4\].*Restore with the rl_module options"):
        algo.set_state(config(hiddens=9).build_algo().get_state())
    with pytest.raises(CheckpointError, match="environments"):
        algo.set_state(config(num_envs=3).build_algo().get_state())
    a2c = A2CConfig().environment("CartPole-v1").env_runners(num_env_runners=0).rl_module(fcnet_hiddens=[8]).debugging(seed=1)
    with pytest.raises(CheckpointError, match="A2C"):
        algo.set_state(a2c.build_algo().get_state())
    assert equal(algo.get_state(), state)
    algo.stop()
    with pytest.raises(StoppedError):
        algo.get_state()


def test_several_agents_modules_of_any_name_and_untrained_ones(tmp_path: Path) -> None:
    def made(seed: int) -> Any:
        both = config("TwoCartPole-v0", seed=seed).multi_agent(
            policies={"team/1", "still"}, policy_mapping={"cart_0": "team/1", "cart_1": "still"}, policies_to_train=["team/1"]
        )
        return both.build_algo()

    straight, resumed = made(1), made(2)
    straight.train()
    state = pickle.loads(pickle.dumps(straight.get_state()))
    assert list(state["learner_group"]["learner"]["rl_module"]) == ["still", "team/1"]
    with pytest.raises(CheckpointError, match="no `learner_group/learner/rl_module/team/1`"):
        resumed.set_state(changed(state, ("learner_group", "learner", "rl_module", "team/1"), REMOVED))
    with pytest.raises(CheckpointError, match="`learner_group/learner/rl_module/other` is no part"):
        resumed.set_state(changed(state, ("learner_group", "learner", "rl_module", "other"), {}))
    resumed.set_state(state)
    straight.train(), resumed.train()
    assert files(resumed, tmp_path / "resumed") == files(straight, tmp_path / "straight")


@pytest.mark.skipif(sys.platform == "win32", reason="no environment runners in processes of their own")
def test_environments_in_python_here_and_in_workers(tmp_path: Path) -> None:
    import worker_runs as runs

    straight, resumed = runs.build(runs.Corridor, 2, 2), runs.build(runs.Corridor, 0, 4)
    straight.train()
    straight.env_runner.foreach_env(lambda env: env.unwrapped.set_task(4))
    resumed.set_state(straight.get_state())
    assert resumed.env_runner.foreach_env(lambda env: env.unwrapped.length) == [4] * 4
    straight.train(), resumed.train()
    assert runs.weights(resumed, tmp_path / "resumed") == runs.weights(straight, tmp_path / "straight")
    back = straight.get_state()
    straight.train()
    straight.set_state(back)
    straight.train(), resumed.train()
    assert runs.weights(resumed, tmp_path / "resumed-on") == runs.weights(straight, tmp_path / "straight-on")


def test_a_hook_may_take_the_state_and_put_it_back() -> None:
    taken: list[Any] = []

    def on_train_result(*, algorithm: Any, **kwargs: Any) -> None:
        taken.append(algorithm.get_state())
        if len(taken) == 3:
            algorithm.set_state(taken[0])

    algo = config().callbacks(on_train_result=on_train_result).build_algo()
    for _ in range(3):
        algo.train()
    assert algo.iteration == 1
    module = taken[0]["learner_group"]["learner"]["rl_module"]["default_policy"]
    assert equal(dict(sorted(algo.get_weights()["default_policy"].items())), module)
