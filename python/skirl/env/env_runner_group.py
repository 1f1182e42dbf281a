"""All environment runners of an algorithm."""

from collections.abc import Callable, Sequence
from typing import Any

from skirl.env.env_runner import LiveEnvs


class EnvRunnerGroup:
    """The environment runners of an algorithm, or of its evaluation.

    Environments in this process have one runner. Those in processes of their own have one for each process: an object of this process
    that sends functions to where the environments are.
    """

    def __init__(self, runner: LiveEnvs) -> None:
        self._runner = runner

    @property
    def local_env_runner(self) -> Any:
        """The runner of this process: it reaches all environments, wherever they are."""
        return self._runner

    def foreach_env_runner(
        self,
        func: Callable[..., Any],
        *,
        local_env_runner: bool = True,
        with_index: bool = False,
        remote_worker_ids: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> list[Any]:
        """Calls `func(env_runner)` in this process for every runner, and gathers what it returns.

        Runners in processes of their own have `worker_index` 1, 2, ... and reach the environments of their process by
        `env_runner.foreach_env`; without such processes there is one runner, whose `worker_index` is 0. Each environment belongs to
        exactly one of them. An evaluation function is given one runner for all, as that is what samples.

        Args:
            func: The function.
            local_env_runner: RLlib's: the runner of this process is visited where it has the environments, and only there.
            with_index: Calls `func(worker_index, env_runner)`.
            remote_worker_ids: Visits only the processes with these indices.
            **kwargs: RLlib's others, not looked at.
        """
        runners = self._runner.parts()
        if remote_worker_ids is not None:
            runners = [runner for runner in runners if runner.worker_index in (0, *remote_worker_ids)]
        return [func(runner.worker_index, runner) if with_index else func(runner) for runner in runners]

    def foreach_worker(self, func: Callable[..., Any], **kwargs: Any) -> list[Any]:
        """RLlib's older name of `foreach_env_runner`."""
        return self.foreach_env_runner(func, with_index=kwargs.pop("with_id", False), **kwargs)

    def foreach_env(self, func: Callable[[Any], Any]) -> list[list[Any]]:
        """Calls `func(env)` for every environment: a list for each runner."""
        return self._by_runner(self._runner.foreach_env(func))

    def foreach_env_with_context(self, func: Callable[[Any, Any], Any]) -> list[list[Any]]:
        """Calls `func(env, env_context)` for every environment: a list for each runner."""
        return self._by_runner(self._runner.foreach_env_with_context(func))

    def _by_runner(self, found: list[Any]) -> list[list[Any]]:
        count = max(1, self.num_remote_env_runners())
        bounds = [index * len(found) // count for index in range(count + 1)]
        return [found[first:end] for first, end in zip(bounds, bounds[1:], strict=False)]

    def local_worker(self) -> Any:
        """RLlib's older name of `local_env_runner`."""
        return self._runner

    def num_remote_env_runners(self) -> int:
        """Runners in processes of their own."""
        return self._processes()[0]

    def num_healthy_remote_env_runners(self) -> int:
        """Runners in processes of their own that are up."""
        return self._processes()[1]

    def num_remote_env_runner_restarts(self) -> int:
        """Processes that were replaced since this one was started."""
        return self._processes()[2]

    def num_healthy_env_runners(self) -> int:
        """Runners that work, with the one of this process."""
        return 1 + self.num_healthy_remote_env_runners()

    def _processes(self) -> tuple[int, int, int]:
        return self._runner.processes() or (0, 0, 0)
