"""Configurations: what is read back is what was set, and everything that is wrong is said at once."""

import copy
import pickle
from typing import Any

import cloudpickle
import gymnasium
import pytest

import skirl
from skirl.algorithms.a2c import A2C, A2CConfig
from skirl.algorithms.algorithm_config import AlgorithmConfig
from skirl.algorithms.pg import PGConfig
from skirl.algorithms.ppo import PPO, PPOConfig
from skirl.core.rl_module.default_model_config import DefaultModelConfig
from skirl.errors import ConfigError

CONFIGS = [PPOConfig, A2CConfig, PGConfig]


class Draw:
    """A sampler, as `skirl.tune` has them."""

    _skirl_search = True


def full() -> PPOConfig:
    return (
        PPOConfig()
        .environment("CartPole-v1", env_config={"gravity": 9.8})
        .env_runners(num_env_runners=1, num_envs_per_env_runner=4, explore=False)
        .training(lr=[[0, 1e-3], [1000, 1e-4]], optimizer={"eps": 1e-5}, grad_clip=0.5)
        .rl_module(fcnet_hiddens=[64, 64])
        .evaluation(evaluation_interval=2, evaluation_config=PPOConfig.overrides(explore=True))
        .debugging(seed=3)
    )


def test_values_are_read_back_by_attribute_item_and_path() -> None:
    config = full()
    assert config.env == "CartPole-v1"
    assert config.lr == [[0, 1e-3], [1000, 1e-4]]
    assert config["grad_clip"] == config["training.grad_clip"] == config.get("grad_clip") == 0.5
    assert config.optimizer["eps"] == config["training.optimizer.eps"] == 1e-5
    assert config.evaluation_config["explore"] is True and config.explore is False
    # RLlib's other names for one option read and write the same.
    assert config.num_workers == config.num_env_runners == 1
    config.num_workers = 2
    assert config.num_env_runners == 2
    config["lr"] = 1e-4
    config.lambda_ = 0.9
    assert (config.lr, config["lambda"]) == (1e-4, 0.9)
    assert "lr" in config and "typo" not in config and config.get("typo", 7) == 7
    assert not hasattr(config, "typo")


@pytest.mark.parametrize("config_class", CONFIGS)
def test_every_option_round_trips(config_class: type[AlgorithmConfig]) -> None:
    config = config_class()
    for name, value in config.items():
        assert config[name] == value
        # What is read can be set: no default is refused.
        config.update_from_dict({name: value})
    assert config == config_class()
    assert config_class.from_dict(config.to_dict()) == config
    assert repr(config) == f"{config_class.__name__}()"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda c: c.copy(), lambda c: pickle.loads(pickle.dumps(c)),
                                    lambda c: cloudpickle.loads(cloudpickle.dumps(c)), lambda c: type(c).from_dict(c.to_dict())])
def test_copies_are_equal_and_independent(copied: Any) -> None:
    config = full()
    other = copied(config)
    assert other == config
    other.training(gamma=0.5)
    assert config.gamma == 0.99 and other != config
    assert config != A2CConfig()


def test_repr_shows_the_calls_that_make_it() -> None:
    config = full()
    assert repr(config).splitlines() == [
        "PPOConfig()",
        "    .environment(env='CartPole-v1', env_config={'gravity': 9.8})",
        "    .env_runners(num_env_runners=1, num_envs_per_env_runner=4, explore=False)",
        "    .evaluation(evaluation_interval=2, evaluation_config={'explore': True})",
        "    .rl_module(fcnet_hiddens=[64, 64])",
        "    .debugging(seed=3)",
        "    .training(lr=[[0, 0.001], [1000, 0.0001]], grad_clip=0.5, optimizer={'eps': 1e-05})",
    ] or eval(repr(config).replace("\n    ", "")) == config  # noqa: S307
    assert eval(repr(config).replace("\n    ", "")) == config  # noqa: S307


def test_a_section_says_all_that_is_wrong_in_it_and_sets_nothing() -> None:
    config = PPOConfig()
    with pytest.raises(ConfigError) as raised:
        config.training(lrr=1e-3, lr=-1, num_epochs="ten", gamma=0.5, minibatch_size=object())
    lines = str(raised.value).splitlines()
    assert lines[0] == "4 errors in the configuration"
    assert "training.lrr = 0.001: unknown option in section training" in lines
    assert "  help: did you mean `training.lr`?" in lines
    assert "training.lr = -1: must be at least 0" in lines
    assert 'training.num_epochs = "ten": expected an integer, found the string "ten"' in lines
    assert any(line.startswith("training.minibatch_size: expected a plain value") for line in lines)
    assert config == PPOConfig()


GOLDEN = [
    (lambda c: c.training(num_sgd_iterations=3), ["training.num_sgd_iterations"]),
    (lambda c: c.training(use_lstm=True), ["RLlib option, not served by skirl yet"]),
    (lambda c: c.training(learner_class=int), ["training.learner_class", "RLlib option, not served by skirl yet"]),
    (lambda c: setattr(c, "env_to_module_connector", len), ["env_to_module_connector", "RLlib option, not served by skirl yet"]),
    (lambda c: c.training(typo=object()), ["training.typo", "unknown option in section training"]),
    (lambda c: c.evaluation(custom_evaluation_function=3), ["custom_evaluation_function: expected a function of", "found 3"]),
    (lambda c: c.training(clip_range=0.2), ["`clip_range` is called `clip_param` here"]),
    (lambda c: c.resources(num_gpus=1), ["skirl runs on the CPU"]),
    (lambda c: c.framework("tf2"), ["there is one native engine"]),
    (lambda c: c.offline_data(input_="/data"), ["RLlib option, not served by skirl: skirl neither reads nor writes recorded data"]),
    (lambda c: c.offline_data(map_batches_kwargs={"a": 1}), ["not served by skirl: skirl neither reads nor writes recorded data"]),
    (lambda c: c.experimental(_use_msgpack_checkpoints=True), ["not served by skirl: checkpoints are JSON and safetensors"]),
    (lambda c: c.experimental(_disable_preprocessor_api=True), ["not served by skirl: observations and actions are always flattened"]),
    (lambda c: c.evaluation(offline_eval_batch_size_per_runner=2), ["evaluation plays in environments, never on recorded data"]),
    (lambda c: c.env_runners(gym_env_vectorize_mode="async"), ["gym_env_vectorize_mode", "RLlib option, not served"]),
    (lambda c: c.update_from_dict({"num_learner_workers": 2}), ["one of older RLlib", "num_learners"]),
    (lambda c: c.training(minibatch_size=None), ["RLlib does not split the train batch", "write the size of the train batch"]),
    (lambda c: c.evaluation(evaluation_config=None), ["RLlib evaluates as it trains", 'evaluation_config={"explore": True}']),
    (lambda c: c.env_runners(num_envs_per_env_runner=0), ["env_runners.num_envs_per_env_runner = 0"]),
    (lambda c: c.env_runners(batch_mode="complete_episode"), ['did you mean "complete_episodes"?', "batch_mode"]),
    (lambda c: c.update_from_dict({"num_workers": 2, "num_env_runners": 3}), ["given twice"]),
    (lambda c: c.update_from_dict({"lr": float("nan")}), ["must be a finite number"]),
    (lambda c: c.training(lr={"grid_search": [1e-3, -5.0]}), ["training.lr = -5.0: must be at least 0"]),
    (lambda c: c.rl_module(model_config={"conv_filters": [[16, 8, 4]]}), ["rl_module.conv_filters"]),
    (lambda c: setattr(c, "typo", 1), ["typo = 1: unknown option"]),
    (lambda c: setattr(c, "training", 1), ["training is a section: expected a call"]),
    (lambda c: c.build_algo(logger_creator=print), ["logger_creator"]),
    (lambda c: c.environment(env=3.5), ["environment.env", "3.5"]),
    (
        lambda c: c.evaluation(evaluation_duration="auto"),
        ["evaluation.evaluation_duration: expected a whole number", "does not serve that yet", "write a number"],
    ),
    (
        lambda c: c.multi_agent(policies_to_train=len),
        ["multi_agent.policies_to_train: expected a list", "does not serve yet", "the function len", "name the policies"],
    ),
    (
        lambda c: c.update_from_dict({"agent_to_module_mapping_fn": lambda agent, episode: "p", "evaluation_duration": "auto"}),
        ["2 errors", "agent_to_module_mapping_fn: expected policy_mapping_fn", "does not serve this name yet", "write policy_mapping_fn"],
    ),
    (lambda c: c.environment(action_space=len), ["environment.action_space: expected None", "does not serve others yet", "wrap"]),
]


@pytest.mark.parametrize(("call", "said"), GOLDEN)
def test_errors_say_what_to_do(call: Any, said: list[str]) -> None:
    config = PPOConfig()
    with pytest.raises(ConfigError) as raised:
        call(config)
    for part in said:
        assert part in str(raised.value)
    assert config == PPOConfig()


OTHER_NAMES = """
    torch_compile_worker_dynamo_mode torch_compile_worker_dynamo_backend replay_mode policy_map_cache custom_stats_cls_lookup
    enable_tf1_exec_eagerly sampler_perf_stats_ema_coef synchronize_filter ignore_worker_failures worker_health_probe_timeout_s
    max_requests_in_flight_per_sampler_worker custom_resources_per_worker num_cpus_per_learner_worker num_gpus_per_learner_worker
    _validate_config _torch_grad_scaler_class _torch_lr_scheduler_classes _tf_policy_handles_more_than_one_loss
    _disable_action_flattening prelearner_buffer_kwargs output_max_rows_per_file dataset_num_iters_per_offline_eval_runner
    offline_evaluation_timeout_s
""".split()


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_an_option_of_rllibs_is_never_called_unknown(name: str) -> None:
    class Odd:
        """A value that nothing asks for anyway."""

    try:
        PPOConfig().update_from_dict({name: Odd()})
    except ConfigError as error:
        assert "RLlib option, not served by skirl: " in str(error)


def test_defaults_of_rllibs_that_ask_for_what_is_done_anyway_are_taken() -> None:
    config = (
        PPOConfig()
        .environment(disable_env_checking=False, action_mask_key="action_mask")
        .env_runners(gym_env_vectorize_mode="sync", max_requests_in_flight_per_env_runner=1, episode_lookback_horizon=1)
        .env_runners(gym_env_vectorize_mode=gymnasium.VectorizeMode.SYNC)
        .framework("torch", eager_tracing=True, torch_skip_nan_gradients=False)
        .learners(learner_config_dict={})
        .multi_agent(policy_map_capacity=100, algorithm_config_overrides_per_module={})
        .experimental(_validate_config=True)
    )
    assert config == PPOConfig()
    assert PGConfig().training(minibatch_size=None) == PGConfig()


def test_policies_to_train_may_be_any_container_of_names() -> None:
    for names in ({"b", "a"}, ("a", "b"), frozenset("ab"), ["a", "b"]):
        assert PPOConfig().multi_agent(policies={"a", "b"}, policies_to_train=names)["policies_to_train"] == ["a", "b"]


def test_rules_between_options_are_all_said_when_it_is_built() -> None:
    config = PPOConfig().environment("CartPole-v1").training(train_batch_size=64, minibatch_size=128)
    config.evaluation(evaluation_num_envs=3, evaluation_num_env_runners=2)
    for refused in (config.validate, config.build_algo, config.explain):
        with pytest.raises(ConfigError, match="minibatch_size") as raised:
            refused()
        assert "evaluation_num_env_runners" in str(raised.value)


def test_an_attribute_that_is_not_there_is_an_attribute_error_with_a_suggestion() -> None:
    with pytest.raises(AttributeError, match="did you mean 'train_batch_size'"):
        _ = PPOConfig().train_batchsize
    with pytest.raises(KeyError, match="no option 'typo'"):
        _ = PPOConfig()["typo"]


def test_a_frozen_config_refuses_changes() -> None:
    config = full()
    config.freeze()
    for change in (lambda: config.training(lr=1.0), lambda: setattr(config, "lr", 1.0), lambda: config.update_from_dict({})):
        with pytest.raises(ConfigError, match="frozen"):
            change()
    with pytest.raises(ConfigError, match="frozen"):
        config.copy().training(lr=1.0)
    assert config.copy(copy_frozen=False).training(lr=1.0).lr == 1.0


def test_old_listings_are_read() -> None:
    config = PPOConfig().update_from_dict(
        {
            "env": "CartPole-v1",
            "framework": "torch",
            "num_gpus": 0,
            "num_workers": 1,
            "num_cpus_per_worker": 1,
            "model": {"fcnet_hiddens": [32], "use_lstm": False},
            "explore": True,
            "exploration_config": {"type": "StochasticSampling"},
            "sgd_minibatch_size": 64,
            "evaluation_config": {"explore": False},
            "evaluation_num_workers": 1,
        }
    )
    assert (config.num_env_runners, config.minibatch_size, config.fcnet_hiddens) == (1, 64, [32])
    by_sections = (
        PPOConfig()
        .rollouts(num_rollout_workers=1)
        .framework("torch")
        .resources(num_gpus=0)
        .api_stack(enable_rl_module_and_learner=True, enable_env_runner_and_connector_v2=True)
        .training(model={"fcnet_hiddens": [32]}, sgd_minibatch_size=64)
        .evaluation(evaluation_num_env_runners=1)
        .environment("CartPole-v1")
    )
    assert by_sections == config
    assert PPOConfig().rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[32])).fcnet_hiddens == [32]


def test_search_spaces_are_kept_aside() -> None:
    draw = Draw()
    config = PPOConfig().environment("CartPole-v1", env_config={"gravity": draw, "length": 0.5})
    config.training(lr={"grid_search": [1e-3, 1e-4]}, optimizer={"eps": draw, "type": "adam"}, model={"fcnet_hiddens": draw})
    assert set(config._search_space()) == {
        "training.lr", "training.optimizer.eps", "environment.env_config.gravity", "rl_module.fcnet_hiddens",
    }  # fmt: skip
    assert config.lr == {"grid_search": [1e-3, 1e-4]} and config.env_config["gravity"] is draw
    with pytest.raises(ConfigError, match=r"training\.lr = \{'grid_search'"):
        config.build_algo()
    resolved = config
    for path, value in (("training.lr", 1e-3), ("training.optimizer.eps", 1e-5), ("environment.env_config.gravity", 9.8),
                        ("rl_module.fcnet_hiddens", [16])):
        resolved = resolved._with(path, value)
    assert resolved._search_space() == {} and resolved.env_config == {"gravity": 9.8, "length": 0.5}
    assert (resolved.lr, resolved.optimizer["eps"], resolved.fcnet_hiddens) == (1e-3, 1e-5, [16])
    assert len(config._search_space()) == 4
    # A value takes the place of a search space.
    assert "training.lr" not in config.copy().training(lr=1.0)._search_space()


def test_env_configs_may_hold_anything() -> None:
    kept = object()
    config = PPOConfig().environment("CartPole-v1", env_config={"pair": (1, 2), "thing": kept})
    assert config.env_config == {"pair": (1, 2), "thing": kept}
    assert pickle.loads(pickle.dumps(PPOConfig().environment(env_config={"pair": (1, 2)}))).env_config == {"pair": (1, 2)}


def test_classes_and_their_configs_know_each_other() -> None:
    assert PPOConfig().algo_class is PPO and A2CConfig().algo_class is A2C
    assert isinstance(PPO.get_default_config(), PPOConfig)
    assert skirl.PPOConfig is PPOConfig and skirl.algorithms.PPO is PPO
    with pytest.raises(ConfigError, match="PPOConfig"):
        AlgorithmConfig()


def test_help_names_every_option() -> None:
    import inspect

    assert "clip_param" in inspect.signature(PPOConfig.training).parameters
    doc = PPOConfig.training.__doc__ or ""
    assert "Bound ε on the probability ratio" in doc and "default 0.3" in doc
    assert "num_env_runners" in (A2CConfig.env_runners.__doc__ or "")
