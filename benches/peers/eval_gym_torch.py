"""Policy evaluation with torch networks on bare vector environments: what a careful hand-written loop reaches.

--vector sync     gymnasium's SyncVectorEnv
--vector native   gymnasium's NumPy-vector CartPole (there is none for Pendulum)
--vector envpool  EnvPool, synchronous
"""

from __future__ import annotations

import measure
import eval_tasks

import gymnasium as gym
import numpy as np
import torch
from torch import nn

WARM_UP_STEPS = 32


def make_vector_env(args):
    """A vector environment in the manner asked for."""
    if args.vector == "envpool":
        import envpool

        return envpool.make_gymnasium(args.env_id, num_envs=args.num_envs, num_threads=args.threads, seed=args.seed)
    mode = {"sync": "sync", "native": "vector_entry_point"}[args.vector]
    return gym.make_vec(args.env_id, num_envs=args.num_envs, vectorization_mode=mode)


def mlp(num_in: int, hidden: int, num_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(num_in, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(),
                         nn.Linear(hidden, num_out))


class Policy:
    """Actor and critic; samples with plain tensor arithmetic, as torch.distributions costs more than the networks."""

    def __init__(self, args, num_obs: int) -> None:
        self.discrete = args.task == "eval_cartpole"
        num_out = 2 if self.discrete else 1
        self.actor, self.critic = mlp(num_obs, args.hidden, num_out), mlp(num_obs, args.hidden, 1)
        self.log_std = torch.zeros(num_out)

    def act(self, obs: np.ndarray) -> tuple[np.ndarray, torch.Tensor, torch.Tensor]:
        """Actions, their log-probabilities and the values."""
        obs = torch.as_tensor(obs, dtype=torch.float32)
        output, value = self.actor(obs), self.critic(obs)
        if self.discrete:
            log_probs = torch.log_softmax(output, 1)
            gumbel = -torch.empty_like(output).exponential_().log()
            action = (log_probs + gumbel).argmax(1)
            return action.numpy(), log_probs.gather(1, action[:, None]).squeeze(1), value
        noise = torch.randn_like(output)
        logp = (-0.5 * noise * noise - self.log_std - 0.9189385332).sum(1)
        return (output + self.log_std.exp() * noise).numpy(), logp, value


def run(envs, policy: Policy, obs: np.ndarray, num_steps: int) -> np.ndarray:
    for _ in range(num_steps):
        action, _, _ = policy.act(obs)
        obs = envs.step(action)[0]
    return obs


def main() -> None:
    args = eval_tasks.parse(__doc__, default_steps=131_072, vector=["sync", "native", "envpool"])
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    envs = make_vector_env(args)
    obs = envs.reset()[0]
    policy = Policy(args, obs.shape[1])
    num_steps = args.steps // args.num_envs
    with torch.inference_mode():
        obs = run(envs, policy, obs, WARM_UP_STEPS)
        clock = measure.Clock()
        run(envs, policy, obs, num_steps)
        clock.stop()
    eval_tasks.emit(f"{'gymnasium_' if args.vector != 'envpool' else ''}{args.vector}+torch", args,
                    num_steps * args.num_envs, clock)


if __name__ == "__main__":
    main()
