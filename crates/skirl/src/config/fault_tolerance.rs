//! Section `fault_tolerance`: what happens when the process of an environment runner fails.

use super::declare::options;

options! {
    /// What happens when the process of an environment runner dies, hangs, or its environment raises an error. Environments of the training process itself (`num_env_runners = 0`, native environments) are concerned by `restart_failed_sub_environments` and `num_consecutive_env_runner_failures_tolerance`.
    pub struct FaultToleranceOptions in "fault_tolerance" {
        /// Replace a failed process by a new one: the run goes on, its environments start new episodes, and what it had not delivered is sampled again. `false` ends the run with the first failure.
        restart_failed_env_runners: bool = true => synonyms(&["recreate_failed_env_runners", "recreate_failed_workers"]);
        /// Replacements of each process before a failure ends the run.
        max_num_env_runner_restarts: usize = 1000 => min(0.0), unit("restarts"), synonyms(&["max_num_worker_restarts"]);
        /// Pause before a process is replaced.
        delay_between_env_runner_restarts_s: f64 = 0.0 => between(0.0, 86_400.0), unit("seconds"), synonyms(&["delay_between_worker_restarts_s"]);
        /// Where an environment raises an error: reset the environments of its runner and keep the process; in the training process the environment is made anew and the rollout done again. `false` replaces the process, and in the training process ends the run.
        restart_failed_sub_environments: bool = false;
        /// Failures of one runner in a row, without a rollout between them, that are put right; one more ends the run with the first of them. An environment that always fails at the same place ends the run this way.
        num_consecutive_env_runner_failures_tolerance: usize = 3 => min(0.0), unit("failures"), synonyms(&["num_consecutive_worker_failures_tolerance"]);
        /// How long a new process may take until its environments are built.
        env_runner_restore_timeout_s: f64 = 120.0 => between(0.1, 86_400.0), unit("seconds"), synonyms(&["worker_restore_timeout_s"]);
    }
}
