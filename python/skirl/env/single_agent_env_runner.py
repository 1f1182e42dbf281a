"""RLlib's place of the environment runner."""

from skirl.env.env_runner import SingleAgentEnvRunner

__all__ = ["SingleAgentEnvRunner"]
