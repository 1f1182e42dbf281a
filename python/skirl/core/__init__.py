"""Parts of an algorithm that are used alone, and the names that they have in checkpoints.

A module's path in a checkpoint is `f"{COMPONENT_LEARNER_GROUP}/{COMPONENT_LEARNER}/{COMPONENT_RL_MODULE}/{DEFAULT_MODULE_ID}"`.
Constants of RLlib's for parts that checkpoints of skirl do not have as directories are not here.
"""

from typing import Final

#: Id of the only module (RLlib's older word: policy) when none is named.
DEFAULT_MODULE_ID: Final = "default_policy"
DEFAULT_POLICY_ID: Final = "default_policy"
#: Id of the agent of an environment that has one.
DEFAULT_AGENT_ID: Final = "default_agent"

#: Directories of a checkpoint.
COMPONENT_ENV_RUNNER: Final = "env_runner"
COMPONENT_ENV_TO_MODULE_CONNECTOR: Final = "env_to_module_connector"
COMPONENT_LEARNER: Final = "learner"
COMPONENT_LEARNER_GROUP: Final = "learner_group"
COMPONENT_RL_MODULE: Final = "rl_module"
