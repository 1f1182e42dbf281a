"""Environments: by name, by class, by creator."""

from typing import TYPE_CHECKING, Any

from skirl.env.env_context import EnvContext
from skirl.env.registry import register_env

if TYPE_CHECKING:
    from skirl.check import check_env
    from skirl.env.multi_agent_env import MultiAgentEnv

__all__ = ["EnvContext", "MultiAgentEnv", "check_env", "register_env"]


def __getattr__(name: str) -> Any:
    if name == "check_env":
        # Both need Gymnasium, which takes as long to import as all of skirl.
        from skirl.check import check_env

        return check_env
    if name == "MultiAgentEnv":
        from skirl.env.multi_agent_env import MultiAgentEnv

        return MultiAgentEnv
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
