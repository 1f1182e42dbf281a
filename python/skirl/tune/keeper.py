"""When a trial's checkpoints are written, and which of them stay."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from .checkpoint import Checkpoint
from .metrics import is_number, lookup
from .options import CheckpointConfig
from .trial import Trial


class CheckpointKeeper:
    """One for an experiment."""

    def __init__(self, config: CheckpointConfig, is_function: bool) -> None:
        self.config = config
        self.is_function = is_function
        self.at_end = (not is_function) if config.checkpoint_at_end is None else config.checkpoint_at_end

    def is_due(self, trial: Trial, is_last: bool, offers: bool) -> bool:
        """Whether a checkpoint belongs to the newest result. A function decides for itself; an interrupted algorithm always saves."""
        if self.is_function:
            return offers
        if is_last and (self.at_end or trial.interrupted):
            return True
        every = self.config.checkpoint_frequency
        return every > 0 and trial.last_result["training_iteration"] % every == 0

    def is_unsaved(self, trial: Trial) -> bool:
        """Whether an interrupted algorithm has a result that no checkpoint belongs to."""
        return not trial.checkpoints or trial.checkpoints[-1][1] is not trial.last_result

    def next_path(self, trial: Trial) -> str:
        """Where the next checkpoint goes; a number is used once."""
        path = trial.path / f"checkpoint_{trial.num_checkpoints_written:06}"
        trial.num_checkpoints_written += 1
        return str(path)

    def saved(self, trial: Trial, path: str) -> None:
        """Notes a checkpoint and removes those that need not stay."""
        trial.checkpoints.append((Checkpoint(path), trial.last_result))
        kept = self._kept(trial.checkpoints)
        for checkpoint, _ in trial.checkpoints:
            if all(checkpoint is not other for other, _ in kept):
                shutil.rmtree(Path(checkpoint.path), ignore_errors=True)
        trial.checkpoints = kept

    def _kept(self, checkpoints: list[tuple[Checkpoint, dict[str, Any]]]) -> list[tuple[Checkpoint, dict[str, Any]]]:
        count = self.config.num_to_keep
        if count is None or len(checkpoints) <= count:
            return checkpoints
        if self.config.checkpoint_score_attribute is None:
            return checkpoints[-count:]
        ranked = sorted(range(len(checkpoints)), key=lambda index: self._rank(checkpoints[index][1], index), reverse=True)
        stays = {*ranked[:count], len(checkpoints) - 1}
        return [entry for index, entry in enumerate(checkpoints) if index in stays]

    def _rank(self, result: dict[str, Any], index: int) -> tuple[bool, float, int]:
        """A result without the metric is worse than any other; of equals the newer is better."""
        score = lookup(result, str(self.config.checkpoint_score_attribute))
        if not is_number(score) or score != score:
            return (False, 0.0, index)
        return (True, score if self.config.checkpoint_score_order == "max" else -score, index)
