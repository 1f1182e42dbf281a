"""The orders that a `FaultyEnv` follows."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

#: Faults that happen in a chosen call; `KIND_at` is the option that chooses it.
KINDS = (
    "raise", "hang", "sleep", "kill", "exit", "system_exit",
    "nan_obs", "out_of_bounds", "shape", "dtype", "nan_reward", "print",
)
#: Those of them that `reset` cannot have.
STEP_ONLY = ("nan_reward",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Faults:
    """What goes wrong in a `FaultyEnv`, and when.

    `KIND_at=n` means: in the n-th call of `step` since the environment was built (the first is 1; episodes do not matter), and
    in the `times - 1` calls after it. With `in_reset=True` calls of `reset` are counted instead, and fail.
    """

    #: Raises `PlantedFault`.
    raise_at: int | None = None
    #: Never returns; other threads go on.
    hang_at: int | None = None
    #: Makes a hanging call keep the interpreter lock, as C code that never returns does: no thread of the process runs Python any more.
    hang_keeps_gil: bool = False
    #: Sleeps `sleep` seconds, then works.
    sleep_at: int | None = None
    #: Seconds. Without `sleep_at` every call takes that much longer.
    sleep: float = 0.0
    #: Sends SIGKILL to its own process: what the out-of-memory killer does.
    kill_at: int | None = None
    #: Ends its process with `exit_code` at once (`os._exit`): what a crash in C code does.
    exit_at: int | None = None
    exit_code: int = 3
    #: Calls `sys.exit(exit_code)`, which is the exception `SystemExit`.
    system_exit_at: int | None = None
    #: The first element of the observation is NaN.
    nan_obs_at: int | None = None
    #: The first element of the observation is 1e6; its space ends at 1.
    out_of_bounds_at: int | None = None
    #: The observation has the shape `wrong_shape` instead of `(observation_size,)`.
    shape_at: int | None = None
    wrong_shape: tuple[int, ...] = (7,)
    #: The observation has the type `wrong_dtype` instead of `float32`.
    dtype_at: int | None = None
    wrong_dtype: str = "complex64"
    #: The reward is NaN.
    nan_reward_at: int | None = None
    #: Prints `print_text` to standard output (and flushes), then works.
    print_at: int | None = None
    print_text: str = "hello from FaultyEnv"

    #: The constructor raises `PlantedFault`, `times` times (across processes if there is a `counter_file`).
    init_fails: bool = False
    #: Seconds that the constructor takes.
    init_sleep: float = 0.0
    #: `close` raises `PlantedFault`.
    close_fails: bool = False
    #: Every observation is the same array, overwritten in each call.
    reuses_buffer: bool = False

    #: The `KIND_at`s count and strike calls of `reset` instead of `step`.
    in_reset: bool = False
    #: How often each kind of fault happens; `None` for every time from its call on.
    times: int | None = 1
    #: File in which faults are counted, so that "raises once, then works" holds across restarts of environment and process.
    counter_file: str | None = None
    #: Only in this worker process (`worker_index` of the `EnvContext`); `None` for all.
    only_worker: int | None = None
    #: Only in this environment of a runner (`vector_index` of the `EnvContext`); `None` for all.
    only_env: int | None = None

    #: Steps of an episode.
    episode_length: int = 10
    #: Whether episodes end by `truncated` instead of `terminated`.
    truncates: bool = False
    #: Elements of the observation, at least 2.
    observation_size: int = 2

    def __post_init__(self) -> None:
        for kind in KINDS:
            at = getattr(self, f"{kind}_at")
            if at is not None and at < 1:
                raise ValueError(f"{kind}_at: expected a call number from 1 on, found {at}; the first call is 1.")
            if at is not None and self.in_reset and kind in STEP_ONLY:
                raise ValueError(f"{kind}_at: expected in_reset=False, found True; reset has no such value. Plant it in a step.")
        if self.observation_size < 2 or self.episode_length < 1:
            raise ValueError("expected observation_size of 2 or more and episode_length of 1 or more, found "
                             f"{self.observation_size} and {self.episode_length}.")

    @classmethod
    def from_mapping(cls, options: Mapping[str, Any]) -> Faults:
        """From the `env_config` of a configuration. Raises `ValueError` with a suggestion for a name that is no option."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in options:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {near[0]}?" if near else f"; expected one of {', '.join(known)}."
                raise ValueError(f"FaultyEnv has no option {name}{hint}")
        return cls(**options)

    def concern(self, worker_index: int, vector_index: int) -> bool:
        """Whether these faults are meant for that environment."""
        return self.only_worker in (None, worker_index) and self.only_env in (None, vector_index)

    def due(self, call: int) -> list[str]:
        """The kinds of faults whose moment has come in the `call`-th call; how often they may happen is not looked at."""
        return [kind for kind in KINDS if (at := getattr(self, f"{kind}_at")) is not None and call >= at]
