"""Whether a trial stops after a result, and stop criteria that no result can meet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skirl.errors import CallbackError, ConfigError

from .metrics import current_name, is_number, lookup, near_names
from .options import StopRule
from .trial import Trial


class Stopping:
    """The stop criteria of an experiment."""

    def __init__(self, rule: StopRule, is_function: bool, ranked_by: Mapping[str, str] | None = None) -> None:
        self.rule = rule
        self.is_function = is_function
        self._needed = {**(ranked_by or {}), **dict.fromkeys(rule.thresholds, "stop")}
        """Metrics that results must have, and who asks for them."""

    def is_over(self, trial: Trial, result: dict[str, Any]) -> bool:
        """Whether this result meets a criterion. Raises if one is on a metric that results do not have."""
        self._check_needed(result)
        reached = False
        for path, minimum in self.rule.thresholds.items():
            value = lookup(result, path)
            if value is None:
                continue
            if isinstance(value, bool):
                reached |= value is True
            elif is_number(value):
                reached |= value >= minimum
            else:
                raise ConfigError(f"stop: expected a number at `{path}` in the results, found {type(value).__name__}")
        return self._functions_say_so(trial, result) or reached

    def _functions_say_so(self, trial: Trial, result: dict[str, Any]) -> bool:
        try:
            # Each is asked, as a function may count the results it has seen.
            answers = [bool(function(trial.trial_id, result)) for function in self.rule.functions]
        except Exception as error:
            raise CallbackError(f"stop: the function failed at a result of {trial.name}: {error!r}") from error
        return any(answers)

    def _check_needed(self, result: dict[str, Any]) -> None:
        for path, whose in list(self._needed.items()):
            if lookup(result, path) is not None:
                del self._needed[path]
            elif self.is_function or not _is_awaited(current_name(path), result):
                raise ConfigError(f"{whose}: no result has a metric `{path}`; {near_names(result, path)}")


def _is_awaited(path: str, result: dict[str, Any]) -> bool:
    """A metric of episodes is absent until one has ended, one of evaluation until one was made; any other is a mistake."""
    if path.startswith("env_runners/"):
        return not lookup(result, "env_runners/num_episodes_lifetime")
    if path.startswith("evaluation/"):
        return "evaluation" not in result
    return False
