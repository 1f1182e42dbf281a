"""What `policies` may say of one policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class PolicySpec:
    """One policy of a run with several.

    Attributes:
        policy_class: RLlib's; only None is served, as policies are skirl's own networks.
        observation_space: RLlib's. Spaces are the environment's; one that is given is compared with that of the agents for which
            the policy acts, and another one is a `ConfigError`.
        action_space: The same.
        config: Options of `training` and `rl_module` in which this policy differs.
    """

    policy_class: Any = None
    observation_space: Any = None
    action_space: Any = None
    config: Mapping[str, Any] = field(default_factory=dict)
