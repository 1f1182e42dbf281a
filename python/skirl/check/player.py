"""Plays an environment and looks at everything that it returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from skirl.check.actions import Actions, TeamActions
from skirl.check.case import CannotGoOn, Case
from skirl.check.same import copy_of, same, shown
from skirl.check.values import problems


@dataclasses.dataclass
class Outcome:
    """What a reset or a step returned; a reset has reward 0 and has not ended. By agent where there are several."""

    observation: Any
    reward: Any = 0.0
    terminated: Any = False
    truncated: Any = False
    info: Any = None
    #: The agents that act next, where there are several.
    acting: tuple[Any, ...] = ()
    #: Whether the episode is over for all of them.
    over: bool | None = None

    @property
    def ended(self) -> bool:
        return bool(self.terminated or self.truncated) if self.over is None else self.over


class Player:
    """One environment, played call by call. Findings go to the case."""

    def __init__(self, case: Case, env: Any, spaces: tuple[Any, Any] | None = None) -> None:
        """`spaces` are those of observations and actions, where they are not the environment's own."""
        self.case = case
        self.env = env
        self.observation_space, self.action_space = spaces or (getattr(env, "observation_space", None), env.action_space)
        #: Steps of the running episode.
        self.step_of_episode = 0
        self._last: tuple[str, Any, Any] | None = None
        self._declared = (copy_of(self.observation_space), copy_of(self.action_space))
        #: The agent that is looked at, where there are several, as `repr` shows it.
        self.agent = ""

    def like(self, env: Any) -> Player:
        """A player of another instance."""
        return Player(self.case, env)

    def actions(self, seed: int) -> Actions | TeamActions:
        """What draws actions."""
        return Actions(self.action_space, seed)

    def reset(self, seed: int | None = None, *, with_options: bool = False) -> Outcome:
        """Starts an episode."""
        named: dict[str, Any] = {}
        if seed is not None and self.case.takes_seed:
            named["seed"] = seed
        if with_options and self.case.takes_options:
            named["options"] = {}
        arguments = ", ".join(f"{name}={value}" for name, value in named.items())
        result = self.case.call(self.env, "reset", f"from reset({arguments})", **named)
        self.step_of_episode = 0
        self._look_at_last_observation("reset")
        outcome = self._reset_outcome(result)
        self._look_at_observation("reset", result[0] if isinstance(result, tuple) and result else result, outcome)
        self._look_at_spaces()
        return outcome

    def step(self, action: Any) -> Outcome:
        """Takes a step; the action must be one of the action space."""
        kept = copy_of(action)
        self.step_of_episode += 1
        result = self._call_step(action)
        self.case.report.num_steps += 1
        if not same(action, kept):
            self._action_was_changed(kept, action)
        self._look_at_last_observation("step")
        outcome = self._step_outcome(result)
        self._look_at_observation("step", result[0], outcome)
        self.case.report.num_episodes += outcome.ended
        return outcome

    def add(self, code: str, method: str, expected: str, found: str, advice: str, **more: Any) -> None:
        """A finding at the current step."""
        self.case.add(code, method, expected, found, advice, **{"step": self.step_of_episode, "agent": self.agent, **more})

    def _call_step(self, action: Any) -> Any:
        context = f"for {shown(action)}, a legal action of {shown(self.action_space)}"
        return self.case.call(self.env, "step", context, action, step=self.step_of_episode)

    def _action_was_changed(self, before: Any, after: Any) -> None:
        self.add(
            "action_changed", "step", "that step leaves the action that it is given as it is",
            f"{shown(before)} before the call and {shown(after)} after it",
            "Work on a copy: action = numpy.array(action). skirl hands out a copy; other libraries would learn from the changed "
            "action.",
            severity="warning",
        )  # fmt: skip

    # What reset and step return, taken apart.

    def _reset_outcome(self, result: Any) -> Outcome:
        if not (isinstance(result, tuple) and len(result) == 2):
            whole = isinstance(result, tuple) and not _is_tuple_space(self.observation_space)
            self.add(
                "reset_result", "reset", "a tuple of two, (observation, info)",
                f"a tuple of length {len(result)}" if isinstance(result, tuple) else f"a {type(result).__name__} alone",
                "End reset with: return observation, {} (the dict is the info, and may be empty).",
            )  # fmt: skip
            return Outcome(copy_of(result[0] if whole and result else result))
        self._look_at_info("reset", result[1])
        return Outcome(copy_of(result[0]), info=result[1])

    def _step_outcome(self, result: Any) -> Outcome:
        if not isinstance(result, tuple) or len(result) not in (4, 5):
            length = f"a tuple of length {len(result)}" if isinstance(result, tuple) else f"a {type(result).__name__}"
            self._wrong_step(length, "End step with: return observation, reward, terminated, truncated, info.")
            raise CannotGoOn
        if any(isinstance(part, Mapping) for part in result[1:-1]):
            self._several_agents(result)
            raise CannotGoOn
        if len(result) == 4:
            self._wrong_step(
                "4 values, as in the old Gym (observation, reward, done, info)",
                "Split done in two: terminated where the task itself is over, truncated where only a time limit ended the episode.",
            )
            observation, reward, terminated, info = result
            truncated: Any = False
        else:
            observation, reward, terminated, truncated, info = result
        outcome = Outcome(copy_of(observation), self._reward(reward), info=info)
        outcome.terminated = self._flag("terminated", terminated)
        outcome.truncated = self._flag("truncated", truncated)
        self._look_at_info("step", info, outcome)
        return outcome

    def _wrong_step(self, found: str, advice: str) -> None:
        self.add(
            "step_result", "step", "a tuple of five, (observation, reward, terminated, truncated, info)", found, advice
        )

    def _several_agents(self, result: tuple[Any, ...]) -> None:
        self.add(
            "multi_agent", "step", "one reward and one pair of flags, for the one agent of a gymnasium.Env",
            f"dicts, as for several agents: {shown(result[1])}",
            "Return the values of the one agent without a dict; or derive from skirl.env.multi_agent_env.MultiAgentEnv, and name the "
            "agents in possible_agents.",
        )  # fmt: skip

    def _reward(self, reward: Any) -> float:
        number = _number_in(reward)
        if number is None or number is not reward:
            kind = f"an array of shape {reward.shape}" if isinstance(reward, np.ndarray) else f"{type(reward).__name__}"
            converted = "" if number is None else "; skirl takes the one number in it, other libraries may not"
            self.add(
                "reward_type", "step", "one number", f"{kind}: {shown(reward)}{converted}", "Return float(reward).",
                field="reward", severity="error" if number is None else "warning",
            )  # fmt: skip
        try:
            value = float(0 if number is None else number)
        except OverflowError:
            value = float("inf")
        if not np.isfinite(value):
            self.add(
                "reward_not_finite", "step", "a finite number", f"{value}",
                "Look for a division by zero, or a penalty that is infinite; one such reward makes every weight of the network NaN.",
                field="reward",
            )  # fmt: skip
        return value

    def _flag(self, name: str, flag: Any) -> bool:
        number = _number_in(flag)
        number = number.item() if isinstance(number, np.ndarray) else number
        is_flag = isinstance(number, (bool, np.bool_)) or (isinstance(number, (int, np.integer)) and number in (0, 1))
        if not isinstance(flag, (bool, np.bool_)):
            self.add(
                "flag_type", "step", "True or False",
                f"{type(flag).__name__}: {shown(flag)}" + ("; skirl converts it, other libraries may not" if is_flag else ""),
                f"Return bool({name}).", field=name, severity="warning" if is_flag else "error",
            )  # fmt: skip
        return bool(number) if is_flag else False

    # What is looked at in every call.

    def _look_at_observation(self, method: str, raw: Any, outcome: Outcome) -> None:
        self._last = (method, raw, outcome.observation)
        if self.observation_space is None or not hasattr(self.observation_space, "contains"):
            return
        for problem in problems(self.observation_space, outcome.observation):
            self.add(
                problem.code, method, problem.expected, problem.found, problem.advice,
                field=f"observation{problem.path}", severity=problem.severity,
            )  # fmt: skip

    def _look_at_last_observation(self, method: str) -> None:
        """Whether the call wrote into the observation that the call before it returned."""
        if self._last is None:
            return
        source, raw, kept = self._last
        if not same(raw, kept):
            self.add(
                "observation_reused", method, "that an observation stays as it is once it was returned",
                f"that the one returned by {source}() has changed afterwards: the same array is written to in every call",
                "Return observation.copy(). skirl copies what it gets; a list of observations, a replay buffer or a wrapper "
                "would hold the last one many times.",
                field="observation", severity="warning",
            )  # fmt: skip

    def _look_at_info(self, method: str, info: Any, outcome: Outcome | None = None) -> None:
        if not isinstance(info, dict):
            self.add(
                "info_type", method, "a dict", f"{type(info).__name__}: {shown(info)}",
                "Return {} if there is nothing to tell.", field="info",
            )  # fmt: skip
            return
        old = [key for key in ("done", "TimeLimit.truncated") if key in info]
        if old and outcome is not None:
            self.add(
                "info_done", method, "that the flags terminated and truncated alone say whether the episode is over",
                f"the key {old[0]!r} in info, of the old Gym, with the value {shown(info[old[0]])}",
                "Nothing reads it: set terminated or truncated, and leave the key out.",
                field="info", severity="warning",
            )  # fmt: skip

    def _look_at_spaces(self) -> None:
        names = ("observation_space", "action_space")
        for name, declared in zip(names, self._declared, strict=True):
            now = getattr(self.env, name, None)
            if not equal_spaces(declared, now):
                self.add(
                    "space_changed", "reset", f"that {name} stays what it was when the environment was built: {shown(declared)}",
                    f"{shown(now)} after a reset",
                    "A network has a fixed size: declare the largest space, and fill what an episode does not need.",
                    field=name,
                )  # fmt: skip


def _number_in(value: Any) -> Any:
    """The value itself if it is a number or a truth value; the one number in an array or a tensor; else `None`."""
    if isinstance(value, (int, float, np.floating, np.integer, np.bool_)):
        return value
    if isinstance(value, np.ma.MaskedArray) or not hasattr(value, "item") or isinstance(value, type):
        return None
    try:
        number = value.item()
    except Exception:  # noqa: BLE001: several elements, or anything else that has such a method.
        return None
    if not isinstance(number, (int, float)):
        return None
    # An array without axes is a number to NumPy, and to everybody who computes with it.
    return value if isinstance(value, np.ndarray) and value.shape == () else number


def equal_spaces(first: Any, second: Any) -> bool:
    try:
        return bool(first == second) or repr(first) == repr(second)
    except Exception:  # noqa: BLE001: spaces of the user's own may raise anything.
        return repr(first) == repr(second)


def _is_tuple_space(space: Any) -> bool:
    from gymnasium import spaces

    return isinstance(space, spaces.Tuple)
