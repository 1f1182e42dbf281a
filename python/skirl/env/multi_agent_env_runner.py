"""RLlib's place of the environment runner for several agents."""

from skirl.env.env_runner import MultiAgentEnvRunner

__all__ = ["MultiAgentEnvRunner"]
