"""Rules about episodes and resources: how they end, what every action does, what is left behind."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from skirl.check.case import Case, described
from skirl.check.player import Player
from skirl.check.recording import Recording
from skirl.check.source import line_of_exception
from skirl.check.watch import Abandoned, OutOfTime

#: Discrete actions that are tried one by one.
MAX_TRIED_ACTIONS = 64
#: Steps of one episode after which it is taken to be endless.
ENDLESS = 5000
LARGE_SEED = 2**31 - 1
#: Bytes that each step may leave behind.
LEAK_PER_STEP = 1024


def check_large_seed(case: Case, player: Player) -> None:
    """Seeds of a run's environments have up to 31 bits, as every usual generator takes them."""
    if not case.takes_seed:
        return
    try:
        case.watch.call("reset", player.env.reset, seed=LARGE_SEED)
    except (OutOfTime, Abandoned):
        raise
    except Exception as error:  # noqa: BLE001: whatever generator the seed is given to may refuse it in its own way.
        case.add(
            "large_seed", "reset", f"that every seed from 0 to 2**31 - 1 is taken, for example {LARGE_SEED}", described(error),
            "Draw from self.np_random, which super().reset(seed=seed) makes; or give another generator the seed modulo what it takes. skirl's seeds are "
            "large, so that no two environments have the same one by chance.",
            line=line_of_exception(error) or None, cause=error,
        )  # fmt: skip


def try_every_action(case: Case, player: Player) -> None:
    """Each of a few discrete actions, and the corners of the others, right after a reset."""
    for action in corners(player.action_space):
        outcome = player.reset(case.seed)
        mask = outcome.info.get("action_mask") if isinstance(outcome.info, dict) else None
        if mask is None:
            player.step(action)


def corners(space: Any) -> Iterator[Any]:
    """Each of a few discrete actions, the first and the last of others."""
    if isinstance(space, spaces.Discrete):
        yield from (np.int64(int(space.start) + index) for index in range(min(int(space.n), MAX_TRIED_ACTIONS)))
    elif isinstance(space, spaces.MultiDiscrete):
        yield from (space.start.astype(space.dtype), (space.start + space.nvec - 1).astype(space.dtype))
    elif isinstance(space, spaces.MultiBinary):
        yield from (np.full(space.shape, bit, space.dtype) for bit in (0, 1))
    elif isinstance(space, spaces.Box):
        yield from (corner.copy() for corner in (space.low, space.high) if np.isfinite(corner).all())


def check_ends(case: Case, player: Player, recordings: list[Recording]) -> None:
    """Episodes end, but not at once."""
    lengths = [length for recording in recordings for length in recording.lengths]
    if len(lengths) >= 5 and max(lengths) == 1:
        case.add(
            "ends_at_once", "step", "episodes of several steps", f"that each of {len(lengths)} episodes ended in its first step",
            "Look at the condition for terminated. If one decision is the whole task (a bandit), all is well.",
            severity="warning",
        )  # fmt: skip
    elif not lengths and not _has_time_limit(case.env) and not _ends_within(case, player, ENDLESS):
        case.add(
            "never_ends", "step", "that episodes end, by the task or by a time limit",
            f"none in {ENDLESS} steps of random actions, and no time limit",
            "Give it one: gymnasium.wrappers.TimeLimit(env, max_episode_steps=…), or truncated=True after so many steps. Episode "
            "returns are reported when episodes end.",
            severity="warning",
        )  # fmt: skip


def _has_time_limit(env: Any) -> bool:
    while env is not None:
        limits = (getattr(env, "_max_episode_steps", None), getattr(getattr(env, "spec", None), "max_episode_steps", None))
        if any(limit is not None for limit in limits):
            return True
        env = getattr(env, "env", None)
    return False


def _ends_within(case: Case, player: Player, steps: int) -> bool:
    actions = player.actions(case.seed)
    outcome = player.reset(case.seed)
    for _ in range(steps):
        outcome = player.step(actions.draw(outcome))
        if outcome.ended:
            return True
    return False


def check_step_after_end(case: Case, player: Player, recordings: list[Recording]) -> None:
    """A step after the end of an episode had better be refused."""
    if not any(recording.lengths for recording in recordings):
        return
    actions = player.actions(case.seed)
    outcome = player.reset(case.seed)
    for _ in range(ENDLESS):
        action = actions.draw(outcome)
        if outcome.ended:
            break
        outcome = player.step(action)
    try:
        result = case.watch.call("step", player.env.step, action)
        went_on = outcome.ended and result[2] in (0, False) and result[3] in (0, False)
    except (OutOfTime, Abandoned):
        raise
    except Exception:  # noqa: BLE001: refusing is what is hoped for.
        return
    if went_on:
        case.add(
            "step_after_end", "step", "that a step after the end of an episode is refused, or ends again",
            "that it works, and the episode goes on without reset",
            "skirl always resets first. In a loop of your own a forgotten reset would go unnoticed; raise an exception to notice.",
            severity="note",
        )  # fmt: skip


def check_memory(case: Case, player: Player) -> None:
    """Episodes leave nothing behind: memory is looked at after each of some resets."""
    if tracemalloc.is_tracing():
        return
    steps = 60
    growth = _growth(case, player, steps, collect=False)
    if growth > LEAK_PER_STEP * steps:
        # It may be waiting for the garbage collector, whose runs take long where much is loaded.
        growth = _growth(case, player, steps, collect=True)
    if growth > LEAK_PER_STEP * steps:
        case.add(
            "memory_grows", "step", "that memory stays as it is after each reset",
            f"that each step leaves about {growth / steps / 1024:.0f} KiB of memory behind",
            "Something is kept on and on: a list that is appended to, a cache, a log. Clear it in reset.",
            severity="warning",
        )  # fmt: skip


def _growth(case: Case, player: Player, steps: int, *, collect: bool) -> float:
    """The least number of bytes by which memory grows from one reset to the next, over some rounds of that many steps."""
    freeze = collect and gc.get_freeze_count() == 0
    if freeze:
        # What is there already need not be looked through again and again.
        gc.freeze()
    tracemalloc.start()
    try:
        sizes = [_size_after(case, player, steps, collect) for _ in range(6)]
    finally:
        tracemalloc.stop()
        if freeze:
            gc.unfreeze()
    return float(np.diff(sizes[1:]).min())


def _size_after(case: Case, player: Player, steps: int, collect: bool) -> int:
    actions = player.actions(case.seed)
    outcome = player.reset(case.seed)
    for _ in range(steps):
        outcome = player.step(actions.draw(outcome))
        if outcome.ended:
            outcome = player.reset()
    player.reset()
    if collect:
        gc.collect()
    return tracemalloc.get_traced_memory()[0]


def close_all(case: Case) -> None:
    """Closes what the checker made. The environment that was handed over stays open."""
    for env in case.made:
        try:
            case.watch.call("close", getattr(env, "close", lambda: None) if case.several else env.close)
        except (OutOfTime, Abandoned):
            raise
        except BaseException as error:
            case.add(
                "close_raises", "close", "no exception when the environment is closed", described(error),
                "Let close work in every state, also before the first reset and when called twice.",
                line=line_of_exception(error) or None, cause=error,
            )  # fmt: skip

