"""Rules about the agents of an environment with several: who they are, what they see and do."""

from __future__ import annotations

import itertools
from typing import Any

from gymnasium import spaces

from skirl.check.actions import TeamActions
from skirl.check.case import CannotGoOn, Case, described
from skirl.check.habits import corners
from skirl.check.same import copy_of, shown
from skirl.check.spaces import check_pair
from skirl.check.team import Members, TeamPlayer
from skirl.env._agents import ids_of, space_of
from skirl.errors import EnvError

#: Steps of an episode in which an agent may get its first turn.
PATIENCE = 50
#: Actions of one agent that are tried one by one.
MAX_TRIED = 16


def check_members(case: Case) -> Members:
    """The spaces of each agent. Raises `CannotGoOn` if there are no agents, or an agent without an action that can be drawn."""
    try:
        ids = ids_of(case.env)
    except Exception as error:  # noqa: BLE001: what the user's class has there may raise anything.
        case.add(
            "agent_ids", "__init__", "the ids of all agents that can ever appear in possible_agents, which differ as text",
            str(error) if isinstance(error, EnvError) else described(error), "Set self.possible_agents = [...] in __init__.", field="possible_agents",
        )  # fmt: skip
        raise CannotGoOn from None
    members: Members = {}
    usable = True
    for agent in ids:
        seen, done = _space(case, agent, "observation"), _space(case, agent, "action")
        usable &= seen is not None and check_pair(case, seen, done, repr(agent))
        # As they are declared: an environment may change the objects later.
        members[agent] = (copy_of(seen), copy_of(done))
    if not usable:
        raise CannotGoOn
    return members


def _space(case: Case, agent: Any, kind: str) -> Any:
    try:
        space = space_of(case.env, agent, kind)
        found = f"{shown(space)}, a {type(space).__name__}"
    except Exception as error:  # noqa: BLE001: as above.
        space, found = None, described(error)
    if isinstance(space, spaces.Space):
        return space
    case.add(
        "space_missing", "__init__", f"{kind}_spaces to have a space of gymnasium.spaces for each agent", found,
        f"Set it in __init__, for example: self.{kind}_spaces = {{agent: gymnasium.spaces.Discrete(2) for agent in self.possible_agents}}.",
        field=f"{kind}_space", agent=repr(agent),
    )  # fmt: skip
    return None


def members_now(env: Any) -> Members | None:
    """The agents of an environment with their spaces, as it says now; `None` if that cannot be read."""
    try:
        return {agent: (space_of(env, agent, "observation"), space_of(env, agent, "action")) for agent in ids_of(env)}
    except Exception:  # noqa: BLE001: as above.
        return None


def try_every_action_of_each(case: Case, player: TeamPlayer) -> None:
    """Each of a few discrete actions of each agent, and the corners of the others, when the agent has its first turn."""
    for agent in player.seen:
        for action in itertools.islice(corners(player.members[agent][1]), MAX_TRIED):
            _try(case, player, agent, action)


def _try(case: Case, player: TeamPlayer, agent: Any, action: Any) -> None:
    actions: TeamActions = player.actions(case.seed)
    outcome = player.reset(case.seed)
    for _ in range(PATIENCE):
        drawn = actions.draw(outcome)
        if agent in drawn:
            infos = outcome.info if isinstance(outcome.info, dict) else {}
            if not isinstance(infos.get(agent), dict) or "action_mask" not in infos[agent]:
                player.step({**drawn, agent: action})
            return
        outcome = player.step(drawn)
        if outcome.ended:
            return


def check_everybody_was_seen(case: Case, player: TeamPlayer) -> None:
    """Tells of agents that never took part."""
    unseen = [agent for agent in player.members if agent not in player.seen]
    if unseen:
        case.add(
            "agent_never_seen", "step", "that each of possible_agents takes part in some episode",
            f"no observation of {shown(unseen)} in {case.report.num_episodes} episodes of random actions",
            "If it appears only in rare moments, all is well. Else leave it out of possible_agents: it has a policy that never acts.",
            severity="note",
        )  # fmt: skip
