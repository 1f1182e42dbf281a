"""The exceptions of skirl. Every one says what was expected, what was found, where, and what to do."""

from collections.abc import Iterable


class SkirlError(Exception):
    """Base class of all exceptions that skirl raises on purpose."""


class ConfigError(SkirlError, ValueError):
    """A configuration that does not hold, or an argument that a call does not take; the message lists everything that is wrong."""

    @classmethod
    def of(cls, problems: Iterable[tuple[str, str]]) -> "ConfigError":
        """One exception for all `problems`, each `(path of the option, message)`."""
        messages = [message for _, message in problems]
        head = f"{len(messages)} errors in the configuration\n" if len(messages) > 1 else ""
        return cls(head + "\n".join(messages))


class EnvError(SkirlError):
    """An environment failed, or returned what its spaces do not allow. The environment's own exception is its cause."""


class CheckpointError(SkirlError):
    """A checkpoint that cannot be written, is damaged, or belongs to something else."""


class TrainingError(SkirlError):
    """Training diverged: a loss, a gradient or a weight is not finite."""


class CallbackError(SkirlError):
    """A callback or an evaluation function of the user's own failed; its exception is the cause."""


class StoppedError(SkirlError):
    """The run was asked to stop, or was stopped before."""


class InternalError(SkirlError):
    """A defect of skirl itself."""


class TuneError(SkirlError):
    """A trial of an experiment failed; the message has the trial's traceback."""


class SkirlWarning(UserWarning):
    """Something that the user should know and that does not stop the run."""
