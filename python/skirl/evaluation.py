"""Evaluation functions of one's own."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from skirl.errors import SkirlError

if TYPE_CHECKING:
    from skirl._native import NativeEnvRunner

EvaluationFunction = Callable[..., Any]


def register_evaluation_function(function: EvaluationFunction, name: str | None = None) -> str:
    """Makes a function known by name, which is what configurations and checkpoints hold. Configs do this by themselves.

    Args:
        function: Called as `function(algorithm, env_runner_group)` with the runners of evaluation: fresh episodes, the newest
            weights, `explore` as `evaluation_config` says. It returns a dict of metrics, or that with the environment steps
            and the agent steps.
        name: Its name; None takes `module:name` of the function.

    Returns:
        The name.
    """
    from skirl._native import register_evaluation_function as register

    chosen = name or name_of(function)
    register(chosen, _Evaluation(function, chosen))
    return chosen


def name_of(function: EvaluationFunction) -> str:
    """A name that is the same in every process that has the function."""
    module = getattr(function, "__module__", None) or "__main__"
    return f"{module}:{getattr(function, '__qualname__', type(function).__qualname__)}"


class _Evaluation:
    """A function as the engine calls it."""

    def __init__(self, function: EvaluationFunction, name: str) -> None:
        self._function, self._name = function, name

    def __call__(self, algorithm: Any, native: "NativeEnvRunner") -> tuple[dict[str, Any], int, int]:
        from skirl.env.env_runner import EnvRunner
        from skirl.env.env_runner_group import EnvRunnerGroup

        runner = EnvRunner._over(native, getattr(algorithm, "config", None))
        found = self._function(algorithm, EnvRunnerGroup(runner))
        if isinstance(found, tuple) and len(found) == 3 and isinstance(found[0], dict):
            return found[0], int(found[1]), int(found[2])
        if isinstance(found, dict):
            return found, runner.env_steps, runner.agent_steps
        raise SkirlError(
            f"the evaluation function {self._name} must return a dict of metrics, or (metrics, env_steps, agent_steps); found "
            f"{found!r}"
        )

