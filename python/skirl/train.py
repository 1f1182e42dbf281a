"""What Ray has under `ray.train` and tuning needs; the same classes as in `skirl.tune`."""

from skirl.tune import Checkpoint, CheckpointConfig, FailureConfig, Result, RunConfig, report

__all__ = ["Checkpoint", "CheckpointConfig", "FailureConfig", "Result", "RunConfig", "report"]
