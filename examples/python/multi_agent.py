"""Two agents with a policy each, and an environment of one's own: a sheep and a dog that take turns.

The dog sees the sheep's last move and wins by standing where it stands; the sheep wants to be elsewhere. Policies are chosen by
a function of the agent's id.

python examples/python/multi_agent.py [--iterations 20]
"""

import argparse

import gymnasium as gym
import numpy as np

from skirl.algorithms.ppo import PPOConfig
from skirl.env.multi_agent_env import MultiAgentEnv


class Meadow(MultiAgentEnv):
    """In every round the sheep goes to one of four corners, then the dog, which saw it; an episode has `rounds` rounds."""

    def __init__(self, config):
        self.rounds = config.get("rounds", 8)
        self.possible_agents = self.agents = ["sheep", "dog"]
        corners = gym.spaces.Discrete(4)
        self.observation_spaces = dict.fromkeys(self.possible_agents, gym.spaces.Box(0.0, 1.0, (4,), np.float32))
        self.action_spaces = dict.fromkeys(self.possible_agents, corners)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.round, self.sheep = 0, 0
        return {"sheep": self.see(0)}, {}

    def step(self, actions):
        flags = {"__all__": False}
        if "sheep" in actions:
            # The dog's turn. The sheep gets its reward when the dog has moved.
            self.sheep = int(actions["sheep"])
            return {"dog": self.see(self.sheep)}, {}, flags, flags, {}
        caught = actions["dog"] == self.sheep
        self.round += 1
        flags = {"__all__": self.round >= self.rounds}
        rewards = {"dog": float(caught), "sheep": -float(caught)}
        last = {"sheep": self.see(self.sheep)}
        return last, rewards, flags, {"__all__": False}, {}

    def see(self, corner):
        return np.eye(4, dtype=np.float32)[corner]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=20)
    config = (
        PPOConfig()
        .environment(Meadow, env_config={"rounds": 8})
        .env_runners(num_env_runners=0, num_envs_per_env_runner=8)
        .multi_agent(policies={"prey", "hunter"}, policy_mapping_fn=lambda agent_id, episode, **kwargs: {"sheep": "prey", "dog": "hunter"}[agent_id])
        .training(lr=3e-3, train_batch_size=512, minibatch_size=128, num_epochs=8)
        .debugging(seed=1)
    )
    with config.build_algo() as algo:
        for iteration in range(parser.parse_args().iterations):
            returns = algo.train()["env_runners"]["agent_episode_return_mean"]
            print(f"iteration {iteration + 1}: the dog catches the sheep {returns['dog']:.1f} times in 8 rounds")
        corner = np.eye(4, dtype=np.float32)[2]
        print("the sheep is in corner 2, the dog goes to", algo.compute_single_action(corner, policy_id="hunter", explore=False))
