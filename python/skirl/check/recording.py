"""What an environment did, kept so that it can be asked to do it again."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from skirl.check.player import Outcome, Player
from skirl.check.same import copy_of, differences


@dataclasses.dataclass
class Call:
    """One call and what it returned. A reset has no action."""

    outcome: Outcome
    action: Any = None
    #: Step of the episode, 0 for a reset.
    step: int = 0
    #: Episode since the seeded reset, from 0.
    episode: int = 0

    @property
    def method(self) -> str:
        return "step" if self.step else "reset"


@dataclasses.dataclass
class Recording:
    """The calls that followed `reset(seed=seed)`. Later episodes of it start without a seed."""

    seed: int
    calls: list[Call]

    @property
    def lengths(self) -> list[int]:
        """Steps of the episodes that ended."""
        return [call.step for call in self.calls if call.outcome.ended]


@dataclasses.dataclass
class Difference:
    """Where a repetition left its recording."""

    call: Call
    field: str
    text: str


def record(player: Player, seed: int, steps: int, *, with_options: bool = False) -> Recording:
    """Plays `steps` steps of random actions after `reset(seed=seed)`."""
    actions = player.actions(seed)
    outcome = player.reset(seed, with_options=with_options)
    calls = [Call(outcome)]
    episode = 0
    for _ in range(steps):
        if outcome.ended:
            episode += 1
            outcome = player.reset()
            calls.append(Call(outcome, episode=episode))
        action = actions.draw(outcome)
        kept = copy_of(action)
        outcome = player.step(action)
        calls.append(Call(outcome, kept, player.step_of_episode, episode))
    return Recording(seed, calls)


def repeat(player: Player, recording: Recording, *, spoil_actions: bool = False) -> Difference | None:
    """Plays a recording's calls again; returns where the environment first did something else."""
    return next(filter(None, repetition(player, recording, spoil_actions=spoil_actions)), None)


def repetition(player: Player, recording: Recording, *, spoil_actions: bool = False) -> Iterator[Difference | None]:
    """Plays a recording's calls again, one for each value that is asked for; the value is where it differs, or `None`.

    With `spoil_actions` the array that held an action is overwritten after the call, as a caller does who uses it again.
    """
    for call in recording.calls:
        if call.method == "reset":
            outcome = player.reset(recording.seed if call.episode == 0 else None)
        else:
            action = copy_of(call.action)
            outcome = player.step(action)
            if spoil_actions:
                action[...] = 0 if np.any(action) else 1
        yield _difference(call, outcome)


def _difference(call: Call, outcome: Outcome) -> Difference | None:
    for field in ("observation", "reward", "terminated", "truncated"):
        for text in differences(getattr(call.outcome, field), getattr(outcome, field), field):
            return Difference(call, field, text)
    return None


def seed_globals(seed: int) -> None:
    """Seeds the generators that belong to the whole process."""
    random.seed(seed)
    np.random.seed(seed)
    torch = _torch()
    if torch is not None:
        torch.manual_seed(seed)


def globals_state() -> tuple[Any, ...]:
    """The state of these generators; equal states compare equal."""
    torch = _torch()
    kind, words, *rest = np.random.get_state()
    drawn = torch.get_rng_state().numpy().tobytes() if torch is not None else b""
    return random.getstate(), (kind, np.asarray(words).tobytes(), *rest), drawn


@contextlib.contextmanager
def globals_kept() -> Iterator[None]:
    """Puts the process's generators back as they were."""
    torch = _torch()
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state() if torch is not None else None
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
        if torch is not None and kept[2] is not None:
            torch.set_rng_state(kept[2])


def _torch() -> Any:
    """The module, if it has been imported, to the end."""
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "get_rng_state") else None
