"""The algorithm as its user holds it: train, evaluate, act, save, restore."""

import contextlib
import warnings
from collections.abc import Callable, Mapping
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from skirl._native import NativeAlgorithm
from skirl._rllib_names import TellsInstead
from skirl._weights import by_module
from skirl.algorithms._checkpoints import config_class_of, fresh_directory, here, module_weights
from skirl.algorithms._modules import ModuleChanges
from skirl.algorithms._seats import Seats
from skirl.callbacks.results import OlderKeys
from skirl.core import DEFAULT_POLICY_ID
from skirl.errors import ConfigError, EnvError, SkirlError, SkirlWarning

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    import numpy as np

    from skirl.algorithms.algorithm_config import AlgorithmConfig
    from skirl.core.learner.learner_group import LearnerGroup
    from skirl.core.rl_module.rl_module import RLModule
    from skirl.env.env_runner import EvaluationEnvRunner, TrainingEnvRunner
    from skirl.env.env_runner_group import EnvRunnerGroup
    from skirl.shared import SharedState



class Algorithm(ModuleChanges, TellsInstead):
    """A running algorithm: environments, policies, learners.

    Built by `config.build_algo()`, or by its class: `PPO(env="CartPole-v1", config={"lr": 1e-3})`. One thread may call it at
    a time.
    """

    #: The config of this algorithm, of which the options are.
    _config_class: ClassVar["type[AlgorithmConfig] | None"] = None

    def __init_subclass__(cls, config_class: "type[AlgorithmConfig] | None" = None, **more: Any) -> None:
        """`config_class` names the config that this class runs."""
        super().__init_subclass__(**more)
        if config_class is not None:
            cls._config_class = config_class
            config_class._algo_class = cls

    def __init__(
        self,
        config: "AlgorithmConfig | Mapping[str, Any] | None" = None,
        env: Any = None,
        logger_creator: Callable[..., Any] | None = None,
    ) -> None:
        """Builds environments, networks and learners.

        Args:
            config: The config, or a map of options that differ from the defaults.
            env: The environment, in place of the config's.
            logger_creator: RLlib's; only None is served.

        Raises:
            ConfigError: Everything that is wrong with the config, at once.
            EnvError: The environment cannot be made.
        """
        if logger_creator is not None:
            raise ConfigError("logger_creator is RLlib's and not served by skirl yet: remove it")
        settled = self._settle(config, env)
        #: The config with which this algorithm runs, frozen.
        self.config = settled
        settled._objects.register_evaluation()
        NativeAlgorithm.build(settled._settled(), self._dispatchers(settled), self)
        self._check_policy_spaces(settled._objects.policy_spaces)
        self._take_up()

    def _settle(self, config: "AlgorithmConfig | Mapping[str, Any] | None", env: Any) -> "AlgorithmConfig":
        """A config of this algorithm's own."""
        if config is None or isinstance(config, Mapping):
            made = self.get_default_config().update_from_dict(config or {})
        else:
            made = config.copy(copy_frozen=False)
        if env is not None:
            made.update_from_dict({"env": env})
        return made

    def _begin(self, native: NativeAlgorithm) -> None:
        """Before anything is built: hooks may use this object while it is."""
        self._native = native
        self._seats = Seats(native)
        self._told: set[str] = set()

    def _dispatchers(self, config: "AlgorithmConfig | None") -> list[Any]:
        """The callbacks of a config, as the engine calls them."""
        given = config._objects.callbacks() if config is not None else {}
        if not given:
            return []
        from skirl.callbacks.make import dispatchers

        return dispatchers(given, algorithm=self, config=config)

    def _check_policy_spaces(self, declared: Mapping[str, Any]) -> None:
        """What `policies` say of spaces must be what the environment says."""
        if not declared:
            return
        from skirl.algorithms._policies import check_spaces

        modules = {module: self._native.module(module).describe() for module in self._native.module_ids()}
        try:
            check_spaces(dict(declared), modules)
        except ConfigError:
            self.stop()
            raise

    def _take_up(self) -> None:
        # With the seed that was drawn, and what else was settled while it was built.
        self.config.__dict__["_values"] = self._native.config()
        self.config.freeze()
        self._warn()

    def _begin_anew(self, config: "AlgorithmConfig") -> None:
        """After a change of the modules: whoever holds the config sees the change."""
        self.config.__dict__.update(config.__dict__)
        self._seats = Seats(self._native)
        self._take_up()

    def _warn(self) -> None:
        """Tells what the engine has to say, once."""
        for warning in self._native.warnings():
            if warning not in self._told:
                self._told.add(warning)
                warnings.warn(warning, SkirlWarning, stacklevel=3)

    @classmethod
    def get_default_config(cls) -> "AlgorithmConfig":
        """The config of this algorithm with its defaults."""
        if cls._config_class is None:
            raise ConfigError(f"{cls.__name__} is what all algorithms share: expected one of them, for example PPO")
        return cls._config_class()

    # Training.

    def train(self) -> dict[str, Any]:
        """One training iteration: collects and learns; evaluates where that is due.

        Ctrl-C raises `KeyboardInterrupt` after the stage under way; the algorithm is then as it was after its last whole
        iteration, and can go on.

        Returns:
            The result as nested dicts of plain numbers, under RLlib's keys: `result["env_runners"]["episode_return_mean"]`.
            The names that some had in older versions are read too: `result["episode_reward_mean"]`.

        Raises:
            EnvError: An environment failed, or returned what its spaces do not allow.
            TrainingError: The loss or a gradient is not finite.
        """
        try:
            result = self._native.train()
        except EnvError:
            # What was put right before says why this was not.
            with contextlib.suppress(SkirlError, SkirlWarning):
                self._warn()
            raise
        self._warn()
        return OlderKeys(result)

    def step(self) -> dict[str, Any]:
        """RLlib's other name of `train`."""
        return self.train()

    def evaluate(
        self,
        parallel_train_future: Any = None,
        *,
        episodes: int | None = None,
        seed: int | None = None,
        explore: bool | None = None,
    ) -> dict[str, Any]:
        """Plays with the newest weights in environments of its own, as the config's `evaluation` says. Learns nothing.

        Args:
            parallel_train_future: RLlib's; only None is served.
            episodes: Episodes to play, in place of the config's.
            seed: Seed of the environments; without one it follows from the run's seed and iteration.
            explore: Draw actions, or take the most likely ones; in place of the config's.

        Returns:
            What `train` has under `evaluation`: `{"env_runners": {"episode_return_mean": ..., ...}}`.
        """
        if parallel_train_future is not None:
            raise ConfigError("parallel_train_future is RLlib's: expected None; use evaluation_parallel_to_training")
        for name, value, least in (("episodes", episodes, 1), ("seed", seed, 0)):
            if value is not None and (not isinstance(value, Integral) or value < least):
                raise ConfigError(f"evaluate({name}={value!r}): expected a whole number from {least} on, or None; correct the call")
        result: dict[str, Any] = self._native.evaluate(episodes, seed, explore)
        self._warn()
        return result

    @property
    def iteration(self) -> int:
        """Training iterations since the start of the run."""
        return self._native.training_iteration()

    @property
    def training_iteration(self) -> int:
        """Training iterations since the start of the run."""
        return self._native.training_iteration()

    # Checkpoints.

    def save_to_path(self, path: str | Path | None = None) -> str:
        """Writes the whole state: weights, optimizer, environments, random streams.

        Args:
            path: The directory of the checkpoint, made if absent. None makes a fresh one under `~/skirl_results`, or under
                `SKIRL_RESULTS` where that is set.

        Returns:
            The directory.

        Raises:
            CheckpointError: The files cannot be written completely; then nothing half-written stays.
        """
        directory = fresh_directory(self.config) if path is None else here(path)
        return str(self._native.save_to_path(directory))

    def save(self, checkpoint_dir: str | Path | None = None) -> str:
        """RLlib's older name of `save_to_path`."""
        return self.save_to_path(checkpoint_dir)

    def restore_from_path(self, path: str | Path, *, component: str | None = None) -> None:
        """Puts a saved state into this algorithm, which must have been built from the same config.

        Args:
            path: The directory of the checkpoint, or of the component.
            component: Restores the weights of one module alone: `"learner_group/learner/rl_module/default_policy"`. Optimizers keep
                their moments, as with `set_weights`.

        Raises:
            CheckpointError: The checkpoint is damaged, or of another algorithm, other spaces or another network; then this
                algorithm stays as it was.
        """
        if component is None:
            self._native.restore_from_path(here(path))
        else:
            self.set_weights(module_weights(self, here(path), component))
        self._warn()

    def restore(self, checkpoint_path: str | Path) -> None:
        """RLlib's older name of `restore_from_path`."""
        self.restore_from_path(checkpoint_path)

    def get_state(self) -> dict[str, Any]:
        """The whole state, as a checkpoint holds it: weights, optimizer, environments, random streams, counters, metrics, and the
        state of callbacks. `set_state` puts it back.

        Returns:
            Nested dicts with the parts of a checkpoint for keys, of plain values and NumPy arrays that nobody else holds. They can be
            pickled. `state["learner_group"]["learner"]["rl_module"]["default_policy"]` has the weights of a module by name.
        """
        return self._native.get_state()

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Puts a state into this algorithm, which must have been built from the same config. It goes on exactly as the one that the
        state was taken of.

        Args:
            state: What `get_state` returned, all of it.

        Raises:
            CheckpointError: A part is missing, unknown or not what it should be, or the state is of another algorithm, other spaces
                or another network; then this algorithm stays as it was.
        """
        self._native.set_state(state)
        self._warn()

    @classmethod
    def from_checkpoint(cls, path: str | Path, *, config: "AlgorithmConfig | None" = None) -> "Self":
        """The algorithm of a checkpoint, with its config and state. It goes on exactly where it was saved.

        Args:
            path: The directory of the checkpoint.
            config: Where the run had Python objects (an environment's class, callbacks): a config that has them. Its other
                options are not looked at; those of the checkpoint count.

        Raises:
            CheckpointError: The checkpoint is damaged, or of another algorithm than this class.
        """
        algorithm: Self = object.__new__(cls)
        if config is not None:
            algorithm.config = config.copy(copy_frozen=False)
            config._objects.register_evaluation()
        NativeAlgorithm.from_checkpoint(here(path), algorithm._dispatchers(config), algorithm)
        algorithm._adopt(algorithm._native.config().algorithm)
        return algorithm

    def _adopt(self, name: str) -> None:
        """Becomes an algorithm of this name, where the class that was asked for is not another one."""
        asked = type(self)
        algo_class: Any = asked if asked._config_class is not None else config_class_of(name)._algo_class
        config_class = algo_class._config_class
        if config_class._algorithm != name:
            self.stop()
            raise ConfigError(f"expected a checkpoint of {config_class._algorithm}, found one of {name}: write {name}.from_checkpoint")
        self.__class__ = algo_class
        if "config" not in self.__dict__:
            self.config = config_class()
        self._take_up()

    # The environments.

    @property
    def env_runner_group(self) -> "EnvRunnerGroup":
        """The environments of training: `algo.env_runner_group.foreach_env_runner(lambda runner: runner.foreach_env(...))`."""
        from skirl.env.env_runner_group import EnvRunnerGroup

        return EnvRunnerGroup(self.env_runner)

    @property
    def env_runner(self) -> "TrainingEnvRunner":
        """The runner of the environments of training."""
        from skirl.env.env_runner import TrainingEnvRunner

        return TrainingEnvRunner(self)

    @property
    def eval_env_runner_group(self) -> "EnvRunnerGroup | None":
        """The environments of evaluation, as `env_runner_group`; None where the config asks for no evaluation, neither by
        `evaluation_interval` nor by `evaluation_num_env_runners`."""
        from skirl.env.env_runner_group import EnvRunnerGroup

        runner = self.eval_env_runner
        return None if runner is None else EnvRunnerGroup(runner)

    @property
    def eval_env_runner(self) -> "EvaluationEnvRunner | None":
        """The runner of the environments of evaluation; None where the config asks for no evaluation."""
        from skirl.env.env_runner import EvaluationEnvRunner

        evaluates = self.config["evaluation_interval"] or self.config["evaluation_num_env_runners"]
        return EvaluationEnvRunner(self) if evaluates else None

    @property
    def workers(self) -> "EnvRunnerGroup":
        """RLlib's older name of `env_runner_group`."""
        return self.env_runner_group

    @property
    def evaluation_workers(self) -> "EnvRunnerGroup | None":
        """RLlib's older name of `eval_env_runner_group`."""
        return self.eval_env_runner_group

    @property
    def shared_state(self) -> "SharedState":
        """Named counters, parameters and sums that all environments share with callbacks and your own loop: see `skirl.shared`.

        Here a change is made at once, and a read sees it; environments see it from the next training step on.
        """
        from skirl.shared import SharedState

        return SharedState._over(self._native.shared_state())

    # Acting, weights, modules.

    def compute_single_action(
        self,
        observation: Any,
        state: Any = None,
        *,
        explore: bool | None = None,
        policy_id: str = DEFAULT_POLICY_ID,
    ) -> Any:
        """The action for one observation. Everything that training does in between is inside: flattening, the observation
        filter as it is now, the newest weights, unsquashing and clipping.

        Args:
            observation: As the environment returns it.
            state: Of recurrent networks; only None (or an empty list) is served.
            explore: Draw the action, or take the most likely one; None does what the config's `explore` says.
            policy_id: The module that acts.

        Returns:
            What `env.step` takes: an int, or an array.

        Raises:
            EnvError: The observation is not one of the observation space.
        """
        self._refuse_state(state)
        return self._seats[policy_id].act([observation], explore)[0]

    def compute_actions(
        self,
        observations: Mapping[Any, Any],
        state: Any = None,
        *,
        explore: bool | None = None,
        policy_id: str = DEFAULT_POLICY_ID,
    ) -> dict[Any, Any]:
        """The actions for several observations, as `compute_single_action`, with one evaluation of the network.

        Args:
            observations: Observations by any key, for example by the index of the environment.
            state: Of recurrent networks; only None is served.
            explore: As in `compute_single_action`.
            policy_id: The module that acts.

        Returns:
            Actions by the same keys.
        """
        self._refuse_state(state)
        if not isinstance(observations, Mapping):
            raise ConfigError(
                "compute_actions: expected observations by any key, as {0: observation, 1: observation}, found "
                f"{type(observations).__name__}: write dict(enumerate(observations)), or compute_single_action for one"
            )
        actions = self._seats[policy_id].act(list(observations.values()), explore)
        return dict(zip(observations, actions, strict=True))

    def _refuse_state(self, state: Any) -> None:
        if state is not None and len(state) > 0:
            raise ConfigError("state: expected None, because no network here is recurrent; leave it out")

    def get_module(self, module_id: str = DEFAULT_POLICY_ID) -> "RLModule":
        """A copy of a module (policy and value function) with the newest weights."""
        from skirl.core.rl_module.rl_module import RLModule

        return RLModule._over(self._native.module(module_id))

    def get_policy(self, policy_id: str = DEFAULT_POLICY_ID) -> "RLModule":
        """RLlib's older name of `get_module`."""
        return self.get_module(policy_id)

    def get_weights(self, policies: list[str] | None = None) -> dict[str, "dict[str, np.ndarray[Any, Any]]"]:
        """Weights by module and name, as copies.

        Args:
            policies: Ids of the modules; None gives all.
        """
        ids = self._native.module_ids() if policies is None else policies
        return {module: self._native.get_weights(module) for module in ids}

    def set_weights(self, weights: "Mapping[str, Mapping[str, np.ndarray[Any, Any]]]") -> None:
        """Replaces weights, for learning and acting alike. Optimizers keep their moments.

        Args:
            weights: Arrays by module and name, as `get_weights` gives them; modules that are not named stay as they are.

        Raises:
            SkirlError: A module, name or shape that is not there; the module concerned then stays as it was.
            ConfigError: Something else than arrays of finite floats by module and name.
        """
        for module, arrays in by_module(weights).items():
            self._native.set_weights(module, arrays)

    @property
    def learner_group(self) -> "LearnerGroup":
        """The learners: `algo.learner_group.get_weights()`."""
        from skirl.core.learner.learner_group import LearnerGroup

        return LearnerGroup(self)

    def get_config(self) -> "AlgorithmConfig":
        """The config with which this algorithm runs, frozen."""
        return self.config

    # The end.

    def stop(self) -> None:
        """Closes environments and threads. The algorithm cannot be used afterwards; a second call does nothing."""
        self._native.stop()

    def cleanup(self) -> None:
        """RLlib's other name of `stop`."""
        self.stop()

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self, kind: "type[BaseException] | None", error: "BaseException | None", trace: "TracebackType | None"
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(env={self.config['env']!r}, seed={self.config['seed']})"
