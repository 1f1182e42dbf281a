"""PPO in CleanRL's manner under the protocol of ppo_tasks.py. The clock covers the training loop.

CleanRL is a set of single-file programs and not a package. This is an independent program, not CleanRL's code: it
keeps what decides speed and numerics there (torch modules, orthogonal initialisation, gymnasium's SyncVectorEnv with
the same wrappers, per-step tensors, GAE in a Python loop that takes an ended episode as terminated, a loop over
minibatches with advantage normalisation, Adam with eps 1e-5, gradient clipping, the same diagnostics per minibatch).
It writes no TensorBoard files, so it is slightly faster than CleanRL's own programs.
"""

from __future__ import annotations

import measure
import ppo_tasks
from ppo_tasks import PpoTask

import gymnasium as gym
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical, Normal

OBSERVATION_LIMIT = 10.0
REWARD_LIMIT = 10.0


def make_env(task: PpoTask) -> gym.Env:
    """Continuous control gets CleanRL's normalisation; returns are recorded below it, in the task's own rewards."""
    env = gym.wrappers.RecordEpisodeStatistics(gym.make(task.env_id))
    if isinstance(env.action_space, gym.spaces.Discrete):
        return env
    env = gym.wrappers.NormalizeObservation(gym.wrappers.ClipAction(env))
    env = gym.wrappers.TransformObservation(
        env, lambda obs: np.clip(obs, -OBSERVATION_LIMIT, OBSERVATION_LIMIT), env.observation_space)
    env = gym.wrappers.NormalizeReward(env, gamma=task.gamma)
    return gym.wrappers.TransformReward(env, lambda reward: float(np.clip(reward, -REWARD_LIMIT, REWARD_LIMIT)))


def make_envs(task: PpoTask) -> gym.vector.SyncVectorEnv:
    return gym.vector.SyncVectorEnv([lambda: make_env(task)] * task.num_envs,
                                    autoreset_mode=gym.vector.AutoresetMode.SAME_STEP)


def orthogonal(layer: nn.Linear, gain: float = 2**0.5) -> nn.Linear:
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def mlp(sizes: list[int], output_gain: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for num_in, num_out in zip(sizes[:-2], sizes[1:-1]):
        layers += [orthogonal(nn.Linear(num_in, num_out)), nn.Tanh()]
    return nn.Sequential(*layers, orthogonal(nn.Linear(sizes[-2], sizes[-1]), output_gain))


class Agent(nn.Module):
    """Separate actor and critic; a free log standard deviation for continuous actions."""

    def __init__(self, envs: gym.vector.VectorEnv, hidden: tuple[int, int]) -> None:
        super().__init__()
        space = envs.single_action_space
        self.discrete = isinstance(space, gym.spaces.Discrete)
        num_obs = int(np.prod(envs.single_observation_space.shape))
        num_out = int(space.n) if self.discrete else int(np.prod(space.shape))
        self.critic = mlp([num_obs, *hidden, 1], output_gain=1.0)
        self.actor = mlp([num_obs, *hidden, num_out], output_gain=0.01)
        if not self.discrete:
            self.log_std = nn.Parameter(torch.zeros(1, num_out))

    def act(self, obs: torch.Tensor, action: torch.Tensor | None = None):
        """Returns action, its log-probability, the entropy and the value, one each per row."""
        output = self.actor(obs)
        if self.discrete:
            dist = Categorical(logits=output)
            action = dist.sample() if action is None else action
            return action, dist.log_prob(action), dist.entropy(), self.critic(obs)
        dist = Normal(output, self.log_std.expand_as(output).exp())
        action = dist.sample() if action is None else action
        return action, dist.log_prob(action).sum(1), dist.entropy().sum(1), self.critic(obs)


class Rollout:
    """The columns of one iteration, time first."""

    def __init__(self, task: PpoTask, envs: gym.vector.VectorEnv) -> None:
        shape = (task.num_steps, task.num_envs)
        self.obs = torch.zeros(shape + envs.single_observation_space.shape)
        self.actions = torch.zeros(shape + envs.single_action_space.shape)
        self.logp, self.rewards, self.started, self.values = (torch.zeros(shape) for _ in range(4))


class Trainer:
    def __init__(self, task: PpoTask, seed: int) -> None:
        np.random.seed(seed)
        torch.manual_seed(seed)
        self.task = task
        self.envs = make_envs(task)
        self.agent = Agent(self.envs, task.hidden)
        self.optimizer = torch.optim.Adam(self.agent.parameters(), lr=task.lr, eps=1e-5)
        self.rollout = Rollout(task, self.envs)
        obs, _ = self.envs.reset(seed=seed)
        self.obs = torch.Tensor(obs)
        self.ended = torch.zeros(task.num_envs)
        self.env_steps = 0

    def collect(self, watch: measure.SolveWatch) -> None:
        for step in range(self.task.num_steps):
            self.env_steps += self.task.num_envs
            self.rollout.obs[step] = self.obs
            self.rollout.started[step] = self.ended
            with torch.no_grad():
                action, logp, _, value = self.agent.act(self.obs)
            self.rollout.values[step] = value.flatten()
            self.rollout.actions[step] = action
            self.rollout.logp[step] = logp
            obs, reward, terminated, truncated, infos = self.envs.step(action.numpy())
            self.rollout.rewards[step] = torch.tensor(reward).view(-1)
            self.obs, self.ended = torch.Tensor(obs), torch.Tensor(np.logical_or(terminated, truncated))
            if "final_info" in infos:
                for episode_return in infos["final_info"]["episode"]["r"][infos["final_info"]["_episode"]]:
                    watch.add(episode_return, self.env_steps)

    def advantages(self) -> torch.Tensor:
        """GAE (Schulman et al. 2016, eq. 16)."""
        task, rollout = self.task, self.rollout
        with torch.no_grad():
            next_value = self.agent.critic(self.obs).flatten()
            result = torch.zeros_like(rollout.rewards)
            carried = torch.zeros(task.num_envs)
            next_running = 1.0 - self.ended
            for step in reversed(range(task.num_steps)):
                delta = rollout.rewards[step] + task.gamma * next_value * next_running - rollout.values[step]
                carried = delta + task.gamma * task.gae_lambda * next_running * carried
                result[step] = carried
                next_value = rollout.values[step]
                next_running = 1.0 - rollout.started[step]
        return result

    def update(self) -> None:
        rollout, advantages = self.rollout, self.advantages()
        batch = {
            "obs": rollout.obs.reshape((-1,) + self.envs.single_observation_space.shape),
            "actions": rollout.actions.reshape((-1,) + self.envs.single_action_space.shape),
            "logp": rollout.logp.reshape(-1),
            "advantages": advantages.reshape(-1),
            "targets": (advantages + rollout.values).reshape(-1),
            "values": rollout.values.reshape(-1),
        }
        clip_fractions: list[float] = []
        order = np.arange(self.task.batch_size)
        for _ in range(self.task.num_epochs):
            np.random.shuffle(order)
            for start in range(0, self.task.batch_size, self.task.minibatch_size):
                rows = order[start:start + self.task.minibatch_size]
                clip_fractions.append(self.minibatch_step({name: column[rows] for name, column in batch.items()}))

    def minibatch_step(self, batch: dict[str, torch.Tensor]) -> float:
        """One optimizer step on the clipped surrogate (Schulman et al. 2017, eq. 7); returns the clipped share."""
        task = self.task
        clip = task.clip_at(self.env_steps)
        actions = batch["actions"].long() if self.agent.discrete else batch["actions"]
        _, logp, entropy, value = self.agent.act(batch["obs"], actions)
        log_ratio = logp - batch["logp"]
        ratio = log_ratio.exp()
        with torch.no_grad():
            # Two estimates of the KL divergence, computed for its log and counted here for their cost alone.
            (-log_ratio).mean()
            ((ratio - 1) - log_ratio).mean()
            clipped_share = ((ratio - 1.0).abs() > clip).float().mean().item()
        advantage = batch["advantages"]
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        policy_loss = torch.max(-advantage * ratio, -advantage * torch.clamp(ratio, 1 - clip, 1 + clip)).mean()
        value_loss = self.value_loss(value.view(-1), batch)
        loss = policy_loss - task.entropy_coeff * entropy.mean() + task.value_coeff * value_loss
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.agent.parameters(), task.max_grad_norm)
        self.optimizer.step()
        return clipped_share

    def value_loss(self, value: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        squared = (value - batch["targets"]) ** 2
        if self.task.clip_value_loss:
            near = batch["values"] + torch.clamp(value - batch["values"], -self.task.clip, self.task.clip)
            squared = torch.max(squared, (near - batch["targets"]) ** 2)
        return 0.5 * squared.mean()

    def train(self, env_steps: int, watch: measure.SolveWatch, stop_when_solved: bool) -> None:
        while self.env_steps < env_steps and not (stop_when_solved and watch.solved):
            self.optimizer.param_groups[0]["lr"] = self.task.lr_at(self.env_steps)
            self.collect(watch)
            self.update()


def train(task: PpoTask, seed: int, env_steps: int,
          stop_when_solved: bool) -> tuple[int, measure.Clock, measure.SolveWatch]:
    trainer = Trainer(task, seed)
    clock = measure.Clock()
    watch = measure.SolveWatch(task.solved_return, clock)
    trainer.train(env_steps, watch, stop_when_solved)
    clock.stop()
    return trainer.env_steps, clock, watch


def main() -> None:
    args, task = ppo_tasks.parse(__doc__, default_steps=40_960)
    torch.set_num_threads(args.threads)
    env_steps, clock, watch = train(task, args.seed, args.steps, args.solve)
    measure.emit(measure.record("cleanrl_style", args.task, args, env_steps, clock, watch))


if __name__ == "__main__":
    main()
