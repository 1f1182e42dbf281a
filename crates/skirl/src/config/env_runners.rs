//! Section `env_runners`: how experience is collected.

use super::choices::{BatchMode, ObservationFilter};
use super::declare::options;
use super::mixed::RolloutFragmentLength;

options! {
    /// How experience is collected: how many environments, how many steps, with which exploration.
    pub struct EnvRunnersOptions in "env_runners" {
        /// Number of environment runners; 0 means one, in the process. From 1 on each runner of Python environments is a process of its own; runners of native environments share the process. The total of environments is max(1, `num_env_runners`) × `num_envs_per_env_runner`, and the result does not depend on how the total is split.
        num_env_runners: usize = 0 => between(0.0, 4096.0), synonyms(&["num_rollout_workers", "num_workers"]);
        /// Environments per runner, stepped together.
        num_envs_per_env_runner: usize = 1 => between(1.0, 1_048_576.0), synonyms(&["num_envs_per_worker"]), called(&[("SB3", "n_envs"), ("CleanRL", "num_envs"), ("Tianshou", "training_num"), ("Tianshou", "num_train_envs")]);
        /// Steps that each environment contributes to one iteration. `auto` is the train batch divided by the number of environments, rounded up. With `complete_episodes` it is how far each goes before it is looked whether the batch is full, and `auto` an eighth of that.
        rollout_fragment_length: RolloutFragmentLength = RolloutFragmentLength::Auto => min(1.0), unit("environment steps"), called(&[("SB3", "n_steps"), ("CleanRL", "num_steps"), ("Tianshou", "step_per_collect")]);
        /// How long the process of an environment runner may take for one step or reset of its environments. One that takes longer hangs: it is killed, with a dump of its stack, and replaced. Only for runners in processes of their own.
        sample_timeout_s: f64 = 30.0 => between(0.1, 86_400.0), unit("seconds without a step");
        /// How rollouts are cut. `complete_episodes` collects until whole episodes make at least a train batch, and holds running ones back for the next one; their first rows are then older than the newest weights. For environments with one agent.
        batch_mode: BatchMode = BatchMode::TruncateEpisodes;
        /// Sample actions from the policy's distribution. `false` takes the most likely action.
        explore: bool = true => called(&[("SB3 (negated)", "deterministic")]);
        /// What is done to observations before the network sees them. `MeanStdFilter` normalises with running statistics, frozen during a rollout and saved in checkpoints.
        observation_filter: ObservationFilter = ObservationFilter::NoFilter => called(&[("SB3 VecNormalize", "norm_obs"), ("SB3 zoo", "normalize")]);
        /// Bound on normalised observations. Used by `MeanStdFilter` only.
        observation_filter_clip: f64 = 10.0 => above(0.0), unit("standard deviations"), called(&[("SB3 VecNormalize", "clip_obs")]);
    }
}

impl EnvRunnersOptions {
    /// Environments of all runners together: max(1, `num_env_runners`) × `num_envs_per_env_runner`.
    pub fn total_envs(&self) -> usize {
        self.num_env_runners.max(1).saturating_mul(self.num_envs_per_env_runner)
    }

    /// Steps per environment and iteration for a train batch of `train_batch_size` steps.
    pub fn fragment_length(&self, train_batch_size: usize) -> usize {
        match self.rollout_fragment_length {
            RolloutFragmentLength::Steps(steps) => steps,
            RolloutFragmentLength::Auto => {
                let parts = if self.batch_mode == BatchMode::CompleteEpisodes { 8 } else { 1 };
                train_batch_size.div_ceil(self.total_envs().max(1).saturating_mul(parts))
            }
        }
    }
}
