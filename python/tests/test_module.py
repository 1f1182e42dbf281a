"""Modules outside their run: outputs for batches of any kind and size."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skirl import PPOConfig, RLModule
from skirl.core.rl_module import RLModule as ByPackage
from skirl.core.rl_module.rl_module import RLModule as ByModule
from skirl.errors import CheckpointError, EnvError, SkirlError

IN_CHECKPOINT = Path("learner_group") / "learner" / "rl_module" / "default_policy"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = PPOConfig().environment("Pendulum-v1").env_runners(num_env_runners=0).debugging(seed=1)
    algo = config.training(train_batch_size=200, num_epochs=2).rl_module(fcnet_hiddens=[32, 32]).build_algo()
    algo.train()
    return Path(algo.save_to_path(tmp_path_factory.mktemp("run") / "checkpoint"))


@pytest.fixture(scope="module")
def module(saved: Path) -> RLModule:
    return RLModule.from_checkpoint(saved / IN_CHECKPOINT)


def by_hand(module: RLModule, observations: Any, path: str = "pi") -> Any:
    """The same network in NumPy."""
    weights, rows = module.get_state(), np.asarray(observations, np.float64)
    for layer in range(3):
        rows = rows @ weights[f"{path}.{layer}.weight"].T.astype(np.float64) + weights[f"{path}.{layer}.bias"]
        rows = np.tanh(rows) if layer < 2 else rows
    return rows


def rows(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)


def test_the_names_are_one_class() -> None:
    assert RLModule is ByPackage is ByModule
    with pytest.raises(TypeError, match="from_checkpoint"):
        RLModule()


def test_outputs_are_those_of_the_weights(module: RLModule) -> None:
    observations = rows(200)
    outputs = module.forward_train({"obs": observations})
    assert outputs["action_dist_inputs"].shape == (200, 2) and outputs["vf_preds"].shape == (200,)
    np.testing.assert_allclose(outputs["action_dist_inputs"], by_hand(module, observations), atol=1e-4)
    np.testing.assert_allclose(outputs["vf_preds"], by_hand(module, observations, "vf")[:, 0], atol=1e-3)
    assert set(module.forward_inference({"obs": observations})) == {"action_dist_inputs"}
    assert np.array_equal(module.compute_values({"obs": observations}), outputs["vf_preds"])


@pytest.mark.parametrize("size", [0, 1, 2, 15, 63, 64, 65, 130, 1000])
def test_a_batch_is_its_rows_bit_for_bit(module: RLModule, size: int) -> None:
    observations = rows(size, seed=size)
    together = module.forward_train({"obs": observations})
    alone = [module.forward_train({"obs": observations[index : index + 1]}) for index in range(size)]
    for name, width in (("action_dist_inputs", (2,)), ("vf_preds", ())):
        joined = np.concatenate([each[name] for each in alone]) if alone else np.zeros((0, *width), np.float32)
        assert together[name].tobytes() == joined.tobytes() and together[name].shape == (size, *width)


def test_every_kind_of_array_is_taken(module: RLModule) -> None:
    observations = rows(6)
    expected = module.forward_inference({"obs": observations})["action_dist_inputs"]
    wide = np.zeros((6, 6), np.float32)
    wide[:, ::2] = observations
    for same in (observations.astype(np.float64), observations.tolist(), wide[:, ::2], np.asfortranarray(observations)):
        found = module.forward_exploration({"obs": same})["action_dist_inputs"]
        assert type(found) is np.ndarray and found.dtype == np.float32 and np.array_equal(found, expected)


def test_tensors_come_back_as_tensors(module: RLModule) -> None:
    torch = pytest.importorskip("torch")
    observations = rows(5)
    tensor = torch.from_numpy(observations).requires_grad_()
    found = module.forward_train({"obs": tensor})
    assert all(type(each) is torch.Tensor for each in found.values())
    assert np.array_equal(found["action_dist_inputs"].numpy(), module.forward_inference({"obs": observations})["action_dist_inputs"])
    # The tour of the acceptance: one observation, an action by its mean.
    outputs = module.forward_inference({"obs": torch.from_numpy(observations[0]).unsqueeze(0)})
    assert outputs["action_dist_inputs"][0].numpy()[0:1].shape == (1,)


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ({"obs": np.zeros((2, 4))}, r"\(2, 3\)"),
        ({"obs": np.zeros(3)}, r"write obs\[None\]"),
        ({"obs": np.zeros((2, 3, 1))}, "expected"),
        ({"obs": np.full((2, 3), np.nan)}, "element 0 of row 0"),
        ({"obs": "text"}, "expected"),
        ({"obs": np.array(["a"])}, "expected numbers"),
        ({"observations": np.zeros((2, 3))}, 'key "obs"'),
        (np.zeros((2, 3)), 'key "obs"'),
        ({"obs": 1.0}, "expected"),
    ],
)
def test_what_does_not_fit_is_said(module: RLModule, batch: Any, said: str) -> None:
    with pytest.raises(EnvError, match=said):
        module.forward_inference(batch)


def test_state_can_be_moved(module: RLModule, saved: Path) -> None:
    other = RLModule.from_checkpoint(str(saved / IN_CHECKPOINT))
    doubled = {name: 2 * array for name, array in module.get_state().items()}
    other.set_state(doubled)
    assert all(np.array_equal(other.get_state()[name], array) for name, array in doubled.items())
    observations = rows(3)
    np.testing.assert_allclose(other.forward_inference({"obs": observations})["action_dist_inputs"], by_hand(other, observations), atol=1e-3)
    for wrong in ({}, {"x": np.zeros(1)}, {**doubled, "pi.0.bias": np.zeros(3)}, {**doubled, "pi.0.bias": np.full(32, np.nan)}):
        with pytest.raises((SkirlError, ValueError)):
            other.set_state(wrong)
        assert np.array_equal(other.get_state()["pi.0.bias"], doubled["pi.0.bias"])


def test_spaces_are_gymnasiums(module: RLModule) -> None:
    gymnasium = pytest.importorskip("gymnasium")
    env = gymnasium.make("Pendulum-v1")
    assert module.observation_space == env.observation_space and module.action_space == env.action_space


def test_a_directory_above_says_where_the_module_is(saved: Path) -> None:
    for above in (saved, saved / "learner_group", (saved / IN_CHECKPOINT).parent):
        with pytest.raises(CheckpointError, match=f"give '{saved / IN_CHECKPOINT}'"):
            RLModule.from_checkpoint(above)


def test_no_directory_no_module(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        RLModule.from_checkpoint(tmp_path)


def test_torch_and_gymnasium_are_imported_only_when_needed(saved: Path) -> None:
    code = (
        "import sys\nimport numpy as np\nfrom skirl import RLModule\n"
        f"module = RLModule.from_checkpoint({str(saved / IN_CHECKPOINT)!r})\n"
        "module.forward_train({'obs': np.zeros((2, 3))})\n"
        "assert 'torch' not in sys.modules and 'gymnasium' not in sys.modules\nmodule.observation_space\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
