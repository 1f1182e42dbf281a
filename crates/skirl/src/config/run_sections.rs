//! Sections about the run itself: learners, reporting, checkpointing, debugging, resources.

use std::num::NonZero;

use super::choices::{LogLevel, ScoreOrder};
use super::declare::options;

options! {
    /// Who learns.
    pub struct LearnersOptions in "learners" {
        /// Number of learner processes; 0 learns in the process.
        num_learners: usize = 0 => between(0.0, 0.0), hint("learning runs in the process on resources.num_threads threads; leave it at 0");
    }
}

options! {
    /// The user's own code in the run.
    pub struct CallbacksOptions in "callbacks" {
        /// Names of the callbacks, in the order in which they are called. A run writes the names of those that it was given; names of registered callbacks add these; other names are a warning. A name never loads code.
        names: Vec<String> = Vec::<String>::new();
    }
}

options! {
    /// What one result covers.
    pub struct ReportingOptions in "reporting" {
        /// Episode metrics are means over this many last episodes.
        metrics_num_episodes_for_smoothing: usize = 100 => between(1.0, 1_000_000.0), unit("episodes"), synonyms(&["metrics_smoothing_episodes"]), called(&[("SB3", "stats_window_size")]);
        /// An iteration goes on at least this long before a result is made. `none` makes one after every batch.
        min_time_s_per_iteration: Option<f64> = None => min(0.0), unit("seconds"), synonyms(&["min_time_s_per_reporting"]);
        /// An iteration samples at least this many environment steps before a result is made.
        min_sample_timesteps_per_iteration: usize = 0 => min(0.0), unit("environment steps"), synonyms(&["min_sample_timesteps_per_reporting"]);
        /// Report the gradients' global norm.
        log_gradients: bool = false;
    }
}

options! {
    /// When the whole state is saved, and where the run writes.
    pub struct CheckpointingOptions in "checkpointing" {
        /// Save a checkpoint after every this many iterations. 0 saves none on the way: then only the end (`checkpoint_at_end`), Ctrl-C and a failure leave one.
        checkpoint_frequency: usize = 0 => min(0.0), unit("iterations"), synonyms(&["checkpoint_freq"]), called(&[("SB3 (steps, not iterations)", "save_freq")]);
        /// Save a checkpoint when the run ends.
        checkpoint_at_end: bool = true;
        /// Keep only this many checkpoints: the newest, or with `checkpoint_score_attribute` the newest and the best of the others. `none` keeps all.
        num_to_keep: Option<usize> = None => min(2.0), hint("two are the least: if the newest is damaged, the run goes on from the other"), synonyms(&["keep_checkpoints_num"]);
        /// Metric of the results by which checkpoints are ranked, for example `env_runners/episode_return_mean`: the file `BEST` names the best one. A checkpoint whose result lacks the metric has no rank. `none` ranks none.
        checkpoint_score_attribute: Option<String> = None => synonyms(&["checkpoint_score_attr"]);
        /// Whether the largest score is best or the smallest.
        checkpoint_score_order: ScoreOrder = ScoreOrder::Max;
        /// Directory of the run. `none` makes a new one under `runs/`, named after algorithm, environment, seed and time.
        output_dir: Option<String> = None => synonyms(&["storage_path", "local_dir"]), called(&[("SB3", "tensorboard_log"), ("Tianshou", "logdir")]);
    }
}

options! {
    /// Reproducibility and logging.
    pub struct DebuggingOptions in "debugging" {
        /// Seed of the run, from which all random streams derive. `none` draws one, prints it and stores it with the run.
        seed: Option<u64> = None => between(0.0, 18_446_744_073_709_551_615.0);
        /// How much the command says beside results. `ERROR` leaves remarks out, `WARN` shows them, `INFO` adds the plan, `DEBUG` the stages with all that they read and write.
        log_level: LogLevel = LogLevel::Warn => called(&[("SB3", "verbose")]);
    }
}

options! {
    /// What the run may use of the machine.
    pub struct ResourcesOptions in "resources" {
        /// Threads of the process. The result is the same for every number; one is fastest for small networks. `none` takes one; where environment runners are processes of their own as many as there are runners, at most one for each core: while the process learns they wait, and their cores are free.
        num_threads: Option<usize> = None => between(1.0, 1024.0), unit("threads"), called(&[("Tianshou and PyTorch", "torch_num_threads")]);
    }
}

impl ResourcesOptions {
    /// Threads of a process beside which `processes` others step the environments; 0 where it steps them itself.
    pub fn threads_beside(&self, processes: usize) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
        self.num_threads.unwrap_or_else(|| processes.min(cores()).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_follow_the_processes_that_wait() {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        let mut options = ResourcesOptions::default();
        for (processes, threads) in [(0, 1), (1, 1), (2, cores.min(2)), (4096, cores)] {
            assert_eq!(options.threads_beside(processes), threads, "{processes}");
        }
        options.num_threads = Some(3);
        assert_eq!([0, 1, 4096].map(|processes| options.threads_beside(processes)), [3; 3]);
    }
}
