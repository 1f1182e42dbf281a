//! Section `environment`: what the agent acts in.

use serde_json::{Map, Value};

use super::declare::options;
use super::mixed::ClipRewards;

options! {
    /// The environment, and what is done to rewards and actions on the way.
    pub struct EnvironmentOptions in "environment" {
        /// Name of the environment, for example `CartPole-v1`. `skirl envs` lists them.
        env: Option<String> = None => synonyms(&["env_name"]), called(&[("SB3 and CleanRL", "env_id"), ("Tianshou", "task")]);
        /// Arguments for the environment's constructor.
        env_config: Map<String, Value> = Map::new() => called(&[("SB3", "env_kwargs")]);
        /// Clip rewards before learning. `true` keeps only the sign, a number x clips to ±x. Reported returns stay unclipped.
        clip_rewards: ClipRewards = ClipRewards::Off => above(0.0);
        /// Factor on every reward before learning. Applied before clipping; reported returns stay unscaled.
        reward_scale: f64 = 1.0 => above(0.0), called(&[("Tianshou", "reward_scaling")]);
        /// Continuous actions live in [−1, 1] for the network and are stretched to the environment's bounds. Bounded `Box` action spaces only.
        normalize_actions: bool = true => called(&[("Tianshou", "action_scaling")]);
        /// Clip continuous actions to the environment's bounds. For networks whose actions are already in the environment's units.
        clip_actions: bool = false => called(&[("Tianshou", "action_bound_method")]);
    }
}
