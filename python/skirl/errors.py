"""The exceptions of skirl. Every one says what was expected, what was found, where, and what to do."""


class SkirlError(Exception):
    """Base class of all exceptions that skirl raises on purpose."""


class ConfigError(SkirlError, ValueError):
    """A configuration that does not hold; the message lists everything that is wrong with it."""


class EnvError(SkirlError):
    """An environment failed, or returned what its spaces do not allow. The environment's own exception is its cause."""


class CheckpointError(SkirlError):
    """A checkpoint that cannot be written, is damaged, or belongs to something else."""


class TrainingError(SkirlError):
    """Training diverged: a loss, a gradient or a weight is not finite."""


class CallbackError(SkirlError):
    """A callback or an evaluation function of the user's own failed; its exception is the cause."""


class StoppedError(SkirlError):
    """The run was asked to stop."""


class InternalError(SkirlError):
    """A defect of skirl itself."""


class TuneError(SkirlError):
    """A trial of an experiment failed; the message has the trial's traceback."""
