"""Environment runners: what steps environments with a policy, alone or as part of an algorithm."""

import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from skirl._rllib_names import TellsInstead
from skirl._weights import by_module
from skirl.errors import ConfigError, SkirlError, StoppedError
from skirl.policy.sample_batch import MultiAgentBatch, SampleBatch

if TYPE_CHECKING:
    from typing import Self

    import numpy as np

    from skirl._native import NativeEnvRunner

Weights = dict[str, "dict[str, np.ndarray[Any, Any]]"]


class LiveEnvs(TellsInstead):
    """Environments that can be visited."""

    _native: Any
    config: Any
    #: RLlib's index of the runner: 0 in the main process, from 1 on for environments in processes of their own.
    worker_index: int = 0

    @property
    def num_envs(self) -> int:
        """Environments."""
        count: int = self._native.num_envs
        return count

    def processes(self) -> tuple[int, int, int] | None:
        """Processes of the environments, how many of them are up, and how many were replaced; None where they are stepped in
        this one."""
        found: tuple[int, int, int] | None = self._native.processes()
        return found

    def parts(self) -> list[Any]:
        """A runner for each process of the environments; this one where it is not divided."""
        return [self]

    def foreach_env(self, func: Callable[[Any], Any]) -> list[Any]:
        """Calls `func(env)` for every environment, in order, and gathers what it returns.

        `env` is the Python object of an environment that is written in Python; of a native one an object with `set_task` and
        `get_task`, for the time of the call. An exception of `func` is raised as it is.
        """
        found: list[Any] = self._native.foreach_env(func)
        return found

    def foreach_env_with_context(self, func: Callable[[Any, Any], Any]) -> list[Any]:
        """As `foreach_env`, with the `EnvContext` of each environment: the config's `env_config`, its worker, its index there."""
        return self.foreach_env(WithContext(func, self._env_config()))

    def _env_config(self) -> dict[str, Any]:
        """The arguments that environments are made with."""
        return dict((self.config["env_config"] if self.config is not None else None) or {})


class WithContext:
    """Calls `func(env, env_context)`, wherever the environment is."""

    def __init__(self, func: Callable[[Any, Any], Any], env_config: dict[str, Any]) -> None:
        self._func, self._env_config = func, env_config

    def __call__(self, env: Any) -> Any:
        """With the context that the environment was made with; native environments were made with none."""
        from skirl.env._build import context_of
        from skirl.env.env_context import EnvContext

        context = context_of(env)
        if context is None:
            context = EnvContext(self._env_config, vector_index=getattr(env, "index", 0))
        return self._func(env, context)


class RunnerElsewhere:
    """What a function that was sent to the environments sees of its runner there."""

    def __init__(self, worker_index: int, num_envs: int) -> None:
        #: As the runner's.
        self.worker_index, self.num_envs = worker_index, num_envs

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"{name!r} of environment runner {self.__dict__.get('worker_index')} cannot be reached from the process of its environments: "
            "use worker_index and num_envs there, and take what else is needed before foreach_env is called"
        )


class EnvsOfAlgorithm(LiveEnvs):
    """Environments of an algorithm: all of a kind, or those that one process has."""

    #: Whether evaluation plays in them.
    _in_evaluation: ClassVar[bool] = False

    def __init__(self, algorithm: Any) -> None:
        self._algorithm, self._native = algorithm, algorithm._native
        #: The config of the algorithm.
        self.config = algorithm.config
        #: The first environment and the one after the last; None for all.
        self._bounds: tuple[int, int] | None = None

    @property
    def num_envs(self) -> int:
        """Environments."""
        return self._count() if self._bounds is None else self._bounds[1] - self._bounds[0]

    def _count(self) -> int:
        """Environments of all processes."""
        return super().num_envs

    def foreach_env(self, func: Callable[[Any], Any]) -> list[Any]:
        """Calls `func(env)` for every environment, in order, and gathers what it returns.

        `env` is the Python object of an environment that is written in Python; of a native one an object with `set_task` and
        `get_task`, for the time of the call. An exception of `func` is raised as it is.
        """
        found: list[Any] = self._native.foreach_env(func, self._in_evaluation, self._bounds)
        return found

    def parts(self) -> "list[Self]":
        """A runner for each process of the environments; this one where they are in the main process."""
        processes = (self.processes() or (0, 0, 0))[0]
        return [self._part(index, processes) for index in range(processes)] or [self]

    def __reduce__(self) -> Any:
        # A function that goes to the environments may have been written with its runner in it.
        return RunnerElsewhere, (self.worker_index, self.num_envs)

    def _part(self, index: int, processes: int) -> "Self":
        part, count = type(self)(self._algorithm), self._count()
        part.worker_index = index + 1
        # As they are shared out when the processes are started.
        part._bounds = index * count // processes, (index + 1) * count // processes
        return part


class TrainingEnvRunner(EnvsOfAlgorithm):
    """The environments with which an algorithm trains. What steps them is the algorithm."""

    def get_weights(self) -> Weights:
        """Copies of the weights by module and name."""
        weights: Weights = self._algorithm.get_weights()
        return weights

    def set_weights(self, weights: Mapping[str, Mapping[str, Any]]) -> None:
        """Replaces the weights of the algorithm, for learning and acting alike."""
        self._algorithm.set_weights(weights)


class EvaluationEnvRunner(EnvsOfAlgorithm):
    """The environments of an algorithm's evaluation, made when they are first needed. Each evaluation resets them and plays with
    the newest weights.

    A task stays with its environment; what else `foreach_env` changes is gone where `algo.evaluate(episodes=...)` needs another
    number of environments (`evaluation_num_envs` fixes it).
    """

    _in_evaluation = True

    def _count(self) -> int:
        count: int = self._native.evaluation_envs()[0]
        return count

    def processes(self) -> tuple[int, int, int] | None:
        """As those of training have it."""
        found: tuple[int, int, int] | None = self._native.evaluation_envs()[1]
        return found

    def get_weights(self) -> Weights:
        """Copies of the weights by module and name: the algorithm's, with which it evaluates."""
        weights: Weights = self._algorithm.get_weights()
        return weights

    def _env_config(self) -> dict[str, Any]:
        own = self.config["evaluation_config"].get("env_config")
        return super()._env_config() | dict(own or {})


class EnvRunner(LiveEnvs):
    """Steps the environments of a config with the network of that config.

    The same seed gives the same networks and the same experience as an algorithm of the config has in its first iteration. It
    learns nothing: that is the caller's loop.
    """

    _native: "NativeEnvRunner | _Stopped"

    def __init__(self, config: Any = None, *, worker_index: int = 0, **kwargs: Any) -> None:
        """Makes environments and networks.

        Args:
            config: A config of any algorithm, with an environment.
            worker_index: RLlib's; only 0 is served.
            **kwargs: RLlib's others, not looked at.
        """
        if worker_index != 0:
            raise SkirlError(f"worker_index={worker_index}: expected 0, as a runner that is made alone is in this process")
        from skirl._native import NativeConfig, NativeEnvRunner
        from skirl.callbacks.make import dispatchers

        if not isinstance(config, NativeConfig) and not hasattr(config, "_settled"):
            raise ConfigError(
                f"{type(self).__name__}: expected a config with an environment, for example "
                f"{type(self).__name__}(config=PPOConfig().environment('CartPole-v1')), found {config!r}"
            )

        if isinstance(config, NativeConfig):
            native, given = config, {}
        else:
            config = config.copy(copy_frozen=False)
            if config["seed"] is None:
                config.debugging(seed=secrets.randbelow(1_000_000_000))
            native, given = config._settled(), config._objects.callbacks()
        #: The config.
        self.config = config
        #: Steps of environments, and decisions of agents, that were sampled so far.
        self.env_steps = self.agent_steps = 0
        self._native = NativeEnvRunner.build(native, dispatchers(given, config=config))

    @classmethod
    def _over(cls, native: "NativeEnvRunner", config: Any = None) -> "EnvRunner":
        runner = object.__new__(cls)
        runner.config, runner._native = config, native
        runner.env_steps = runner.agent_steps = 0
        return runner

    def sample(
        self,
        *,
        num_timesteps: int | None = None,
        num_episodes: int | None = None,
        explore: bool | None = None,
        random_actions: bool = False,
        force_reset: bool = False,
    ) -> SampleBatch | MultiAgentBatch:
        """Steps the environments.

        Args:
            num_timesteps: Steps of all environments together, rounded up to whole steps of all of them. Environments go on
                where they were.
            num_episodes: Whole episodes from fresh resets, as many in each environment (up to one). Without either argument
                the config's rollout length counts.
            explore: Draw actions, or take the most likely ones; None does what the config says.
            random_actions: RLlib's; only False is served.
            force_reset: Reset all environments first.

        Returns:
            Columns as NumPy arrays (nothing is copied): a `SampleBatch`, or one for each module where there are several.
        """
        if random_actions:
            raise SkirlError("random_actions=True is RLlib's and not served: expected False; step the environment yourself for it")
        if num_timesteps is not None and num_episodes is not None:
            raise SkirlError("sample(): expected num_timesteps or num_episodes, found both")
        for name, value in (("num_timesteps", num_timesteps), ("num_episodes", num_episodes)):
            if value is not None and value < 1:
                raise SkirlError(f"sample(): {name} must be at least 1, found {value}")
        if force_reset:
            self._native.reset()
        steps = -(-(num_timesteps or self._default_timesteps()) // self.num_envs)
        batches, env_steps = self._native.sample(steps, num_episodes, explore)
        self.env_steps += env_steps
        self.agent_steps += sum(batch.count for batch in batches.values())
        if list(batches) == ["default_policy"]:
            single: SampleBatch = batches["default_policy"]
            return single
        return MultiAgentBatch(batches)

    def _default_timesteps(self) -> int:
        length = self.config.get("rollout_fragment_length") if self.config is not None else None
        return self.num_envs * (length if isinstance(length, int) else 200)

    def reset(self, *, seed: int | None = None) -> None:
        """Resets all environments; with a seed, with the random streams of that seed."""
        self._native.reset(seed)

    def get_weights(self) -> Weights:
        """Copies of the weights by module and name."""
        weights: Weights = self._native.get_weights()
        return weights

    def set_weights(self, weights: Mapping[str, Mapping[str, Any]]) -> None:
        """Acts with these weights from the next sample on.

        Args:
            weights: By module and name, as `get_weights` (of a runner or an algorithm) gives them.
        """
        self._native.set_weights(by_module(weights))

    def get_metrics(self) -> dict[str, Any]:
        """What happened since the last call, under RLlib's keys. Without an episode that ended, keys of episodes are left out."""
        episodes = self._native.take_episodes()
        metrics: dict[str, Any] = {"num_episodes": len(episodes)}
        if episodes:
            for name, key in (("episode_return", "episode_return"), ("episode_len", "episode_len")):
                values = [episode[key] for episode in episodes]
                metrics |= {
                    f"{name}_mean": sum(values) / len(values),
                    f"{name}_min": min(values),
                    f"{name}_max": max(values),
                }
        return metrics

    def stop(self) -> None:
        """Closes the environments. The runner cannot be used afterwards; a second call does nothing."""
        self._native = _Stopped()


class _Stopped:
    """In the place of a runner's environments and networks, when they are gone."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise StoppedError(
            "this environment runner was stopped, its environments are gone: move the call before stop(), or make a new one from "
            "its config"
        )


#: RLlib's names. One class serves both: the environment says how many agents it has.
SingleAgentEnvRunner = EnvRunner
MultiAgentEnvRunner = EnvRunner
