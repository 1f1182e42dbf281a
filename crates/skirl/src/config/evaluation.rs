//! Section `evaluation`: measuring the policy aside from training.

use serde_json::{Map, Value};

use super::choices::DurationUnit;
use super::declare::options;

options! {
    /// What evaluation does differently from training.
    pub struct EvaluationOverrides in "evaluation.evaluation_config" {
        /// Sample actions from the policy's distribution. `false` takes the most likely action.
        explore: bool = false => called(&[("SB3 (negated)", "deterministic")]);
        /// Arguments for the constructor of evaluation's environments, laid over the training ones key by key.
        env_config: Option<Map<String, Value>> = None;
        /// Environment for evaluation, when it is another one with the same spaces.
        env: Option<String> = None;
    }
}

options! {
    /// When and how the policy is evaluated, in environments of its own.
    pub struct EvaluationOptions in "evaluation" {
        /// Evaluate after every this many training iterations. `none` never does.
        evaluation_interval: Option<usize> = None => min(1.0), unit("iterations"), called(&[("SB3 (steps, not iterations)", "eval_freq")]);
        /// How long one evaluation lasts, in the unit of `evaluation_duration_unit`.
        evaluation_duration: usize = 10 => min(1.0), synonyms(&["evaluation_num_episodes"]), called(&[("SB3", "n_eval_episodes"), ("Tianshou", "episode_per_test")]);
        /// Unit of `evaluation_duration`.
        evaluation_duration_unit: DurationUnit = DurationUnit::Episodes;
        /// Number of environments for evaluation. `none` takes one per episode asked for, at most 64.
        evaluation_num_envs: Option<usize> = None => between(1.0, 65_536.0), called(&[("Tianshou", "test_num"), ("Tianshou", "num_test_envs")]);
        /// Runners of evaluation, each with `num_envs_per_env_runner` environments. Those of Python environments are processes of
        /// their own. 0 evaluates in the process, and leaves the number of environments to `evaluation_num_envs`.
        evaluation_num_env_runners: usize = 0 => between(0.0, 65_536.0), synonyms(&["evaluation_num_workers"]);
        /// Evaluate on a thread of its own while the iteration trains: the weights as they were when the iteration began. The
        /// result stands in that iteration's result, and training gives the same bytes as without.
        evaluation_parallel_to_training: bool = false;
        /// Name of an own evaluation function, which takes the place of playing `evaluation_duration`. It is registered in
        /// Rust with `register_evaluation_function`.
        custom_evaluation_function: Option<String> = None;
        /// Evaluate once more after the last training iteration. Works without `evaluation_interval`, too.
        evaluation_at_end: bool = false;
        groups {
            /// What evaluation does differently from training.
            evaluation_config: EvaluationOverrides;
        }
    }
}

impl EvaluationOptions {
    /// The environments that are asked for, where a number is.
    pub(crate) fn num_envs(&self, num_envs_per_env_runner: usize) -> Option<usize> {
        let by_runners = self.evaluation_num_env_runners.checked_mul(num_envs_per_env_runner);
        self.evaluation_num_envs.or(by_runners.filter(|&num_envs| num_envs > 0))
    }
}
