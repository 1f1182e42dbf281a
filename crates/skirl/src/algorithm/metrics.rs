//! From what happened in an iteration to its result, under RLlib's keys.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::algo::Parts;
use crate::collect::episodes::EpisodeRecord as Collected;
use crate::contract::slots::LearnerResults;
use crate::evaluate::Evaluation;
use crate::plan::Plan;
use crate::report::TrainResult;
use crate::report::metrics::{CustomMetrics, EpisodeMetrics, EpisodeRecord, EpisodeWindow, Throughput};

/// Everything that results are made of. The serialised part is what exact resume needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RunMetrics {
    /// Results so far.
    pub(super) training_iteration: u64,
    episodes: EpisodeMetrics,
    time_total_s: f64,
    agent_steps_lifetime: u64,
    /// Rows that a time limit left without a successor.
    agent_steps_dropped_lifetime: u64,
    /// Steps that failed processes of environments had made and not delivered.
    #[serde(default)]
    env_steps_dropped_lifetime: u64,
    /// What was evaluated so far.
    pub(super) evaluation: EvaluationCounts,
    /// Those that the processes of this run's environments have counted, of `env_steps_dropped_lifetime`.
    #[serde(skip)]
    env_steps_dropped_here: u64,
    #[serde(skip)]
    learners: LearnerResults,
    #[serde(skip)]
    env_steps: u64,
    #[serde(skip)]
    agent_steps: u64,
    #[serde(skip)]
    agent_steps_dropped: u64,
    #[serde(skip)]
    throughput: Throughput,
}

/// What all evaluations of a run played.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct EvaluationCounts {
    num_episodes_lifetime: u64,
    env_steps_lifetime: u64,
    /// Number of the next episode.
    pub(super) next_episode_id: u64,
}

impl EvaluationCounts {
    pub(super) fn add(&mut self, evaluation: &Evaluation) {
        self.num_episodes_lifetime += evaluation.episodes.len() as u64;
        self.env_steps_lifetime += evaluation.env_steps;
    }
}

/// Stages of the pipeline and the timers that RLlib's users know them by.
const TIMERS: [(&str, &str); 7] = [
    ("collect", "env_runner_sampling_timer"),
    ("gae", "advantage_estimation_timer"),
    ("returns", "advantage_estimation_timer"),
    ("ppo_update", "learner_update_timer"),
    ("a2c_update", "learner_update_timer"),
    ("pg_update", "learner_update_timer"),
    ("publish", "synch_weights"),
];

/// Rows that a module's updates went over in one pass of the pipeline.
const ROWS_TRAINED: &str = "num_module_steps_trained";

impl RunMetrics {
    /// Nothing yet; means go over the last `window` episodes.
    pub(super) fn new(window: usize) -> Self {
        Self {
            training_iteration: 0,
            episodes: EpisodeMetrics::new(window),
            time_total_s: 0.0,
            agent_steps_lifetime: 0,
            agent_steps_dropped_lifetime: 0,
            env_steps_dropped_lifetime: 0,
            env_steps_dropped_here: 0,
            evaluation: EvaluationCounts::default(),
            learners: LearnerResults::new(),
            env_steps: 0,
            agent_steps: 0,
            agent_steps_dropped: 0,
            throughput: Throughput::new(),
        }
    }

    /// Counts of the iteration start at zero.
    pub(super) fn begin_iteration(&mut self) {
        self.episodes.begin_iteration();
        self.throughput.begin_iteration();
        (self.agent_steps, self.agent_steps_dropped) = (0, 0);
        self.learners.clear();
    }

    /// Means go over the last `window` episodes from now on.
    pub(super) fn set_window(&mut self, window: usize) {
        self.episodes.set_capacity(window);
    }

    /// Adds one pass of the pipeline.
    pub(super) fn take(
        &mut self,
        plan: &Plan,
        episodes: &[Collected],
        learners: LearnerResults,
        agent_steps: u64,
    ) {
        for episode in episodes {
            let whole = EpisodeRecord {
                episode_return: episode.episode_return,
                len: episode.len,
                duration_sec: None,
            };
            self.episodes.push_episode(whole);
            self.episodes.push_custom(&episode.custom_metrics);
            self.agent_steps_dropped += episode.rows_dropped;
            self.agent_steps_dropped_lifetime += episode.rows_dropped;
            for ((agent, module), &episode_return) in plan.mapping.iter().zip(&episode.agent_returns) {
                self.episodes.push_agent(agent, module, EpisodeRecord { episode_return, ..whole });
            }
            if let (true, [(agent, module)]) = (episode.agent_returns.is_empty(), plan.mapping.as_slice()) {
                self.episodes.push_agent(agent, module, whole);
            }
        }
        self.take_learners(learners);
        self.agent_steps += agent_steps - self.agent_steps_lifetime;
        self.agent_steps_lifetime = agent_steps;
    }

    /// The newest metrics of each module count, but its rows add up over the passes of an iteration.
    fn take_learners(&mut self, learners: LearnerResults) {
        for (module, mut metrics) in learners {
            let before = self.learners.get(&module).map_or(0.0, |metrics| rows_trained(metrics));
            let rows = metrics.iter_mut().filter(|(name, _)| *name == ROWS_TRAINED);
            rows.for_each(|(_, rows)| *rows += before);
            self.learners.insert(module, metrics);
        }
    }

    /// Takes how many steps failed environments have dropped since this run was built.
    pub(super) fn take_dropped(&mut self, dropped: u64) {
        self.env_steps_dropped_lifetime += dropped - self.env_steps_dropped_here;
        self.env_steps_dropped_here = dropped;
    }

    /// Goes on from saved metrics: what processes have dropped here is no part of them.
    pub(super) fn go_on_from(&mut self, saved: Self) {
        *self = Self { env_steps_dropped_here: self.env_steps_dropped_here, ..saved };
    }

    /// Means of modules that are gone are not reported any more.
    pub(super) fn retain_modules_of(&mut self, plan: &Plan) {
        self.episodes.retain_modules(|module| plan.modules.contains_key(module));
    }

    /// Closes the iteration.
    pub(super) fn end_iteration(&mut self, env_steps: u64, elapsed: Duration) {
        self.training_iteration += 1;
        self.env_steps = env_steps;
        self.time_total_s += elapsed.as_secs_f64();
        self.throughput.add(env_steps, elapsed);
    }

    /// The result of the iteration that was just closed.
    pub(super) fn report(
        &self,
        plan: &Plan,
        parts: &Parts,
        env_steps: u64,
        calls: u64,
        elapsed: Duration,
    ) -> TrainResult {
        let mut result = TrainResult::new();
        Self::report_timers(&mut result, parts, elapsed);
        self.report_sampling(&mut result, plan, env_steps);
        self.report_faults(&mut result, parts);
        self.report_learners(&mut result);
        result.set("num_training_step_calls_per_iteration", calls);
        result.set("num_env_steps_sampled_lifetime", env_steps);
        result.set("training_iteration", self.training_iteration);
        result.set("time_this_iter_s", elapsed.as_secs_f64());
        result.set("time_total_s", self.time_total_s);
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        result.set("timestamp", timestamp);
        result.set("pid", u64::from(std::process::id()));
        result
    }

    fn report_timers(result: &mut TrainResult, parts: &Parts, elapsed: Duration) {
        result.set("timers/training_iteration", elapsed.as_secs_f64());
        for stage in parts.timing.stages() {
            let timer = TIMERS.iter().find(|(name, _)| *name == stage.stage);
            result.set(
                &format!("timers/{}", timer.map_or(stage.stage.as_str(), |(_, timer)| timer)),
                stage.total_s(),
            );
        }
    }

    fn report_sampling(&self, result: &mut TrainResult, plan: &Plan, env_steps: u64) {
        self.episodes.report_into(result, "env_runners");
        result.set("env_runners/num_env_steps_sampled", self.env_steps);
        result.set("env_runners/num_env_steps_sampled_lifetime", env_steps);
        self.throughput.report_into(result, "env_runners/num_env_steps_sampled_lifetime_throughput");
        if let [(agent, module)] = plan.mapping.as_slice() {
            result.set_at(&["env_runners", "num_agent_steps_sampled", agent], self.agent_steps);
            result.set_at(&["env_runners", "num_module_steps_sampled", module], self.agent_steps);
        }
        result.set("env_runners/num_agent_steps_sampled_lifetime", self.agent_steps_lifetime);
        if plan.mapping.len() > 1 {
            result.set("env_runners/num_agent_steps_dropped", self.agent_steps_dropped);
            result.set("env_runners/num_agent_steps_dropped_lifetime", self.agent_steps_dropped_lifetime);
        }
    }

    fn report_learners(&self, result: &mut TrainResult) {
        let mut trained = 0.0;
        for (module, metrics) in &self.learners {
            for &(name, value) in metrics {
                let count = name.starts_with("num_");
                match count {
                    true => result.set_at(&["learners", module, name], value as u64),
                    false => result.set_at(&["learners", module, name], value),
                };
            }
            trained += rows_trained(metrics);
        }
        if !self.learners.is_empty() {
            result.set("learners/__all_modules__/num_module_steps_trained", trained as u64);
        }
    }
}

fn rows_trained(metrics: &[(&'static str, f64)]) -> f64 {
    metrics.iter().filter(|(name, _)| *name == ROWS_TRAINED).map(|(_, rows)| rows).sum()
}

impl RunMetrics {
    /// How the processes of the environment runners are, where there are some: since this process was started, but for what
    /// was dropped.
    fn report_faults(&self, result: &mut TrainResult, parts: &Parts) {
        let runner = parts.runner.lock();
        if let Some(restarts) = runner.env_restarts() {
            result.set("fault_tolerance/num_sub_environment_restarts", restarts);
            result.set("env_runners/num_env_steps_dropped_lifetime", self.env_steps_dropped_lifetime);
        }
        let Some(faults) = runner.faults() else { return };
        result.set("fault_tolerance/num_healthy_workers", faults.healthy);
        result.set("fault_tolerance/num_remote_worker_restarts", faults.restarts);
        result.set("fault_tolerance/num_sub_environment_restarts", faults.env_restarts);
        result.set("env_runners/num_env_steps_dropped_lifetime", self.env_steps_dropped_lifetime);
    }

    /// Puts an evaluation's episodes under `evaluation/env_runners`, and what callbacks added under `evaluation`.
    pub(super) fn report_evaluation(&self, evaluation: &Evaluation, result: &mut TrainResult) {
        let prefix = "evaluation/env_runners";
        if let Some(own) = &evaluation.custom {
            result.merge("evaluation", own);
        }
        let mut window = EpisodeWindow::new(evaluation.episodes.len());
        let mut custom = CustomMetrics::new(evaluation.episodes.len());
        for episode in &evaluation.episodes {
            window.push(EpisodeRecord {
                episode_return: episode.episode_return,
                len: episode.len,
                duration_sec: None,
            });
            custom.push(&episode.custom_metrics);
        }
        window.report_into(result, prefix);
        custom.report_into(result, prefix);
        let counts = &self.evaluation;
        result.set("evaluation/env_runners/num_episodes_lifetime", counts.num_episodes_lifetime);
        result.set("evaluation/env_runners/num_env_steps_sampled", evaluation.env_steps);
        result.set("evaluation/env_runners/num_env_steps_sampled_lifetime", counts.env_steps_lifetime);
        if let Some(faults) = &evaluation.faults {
            result.set("evaluation/num_healthy_workers", faults.healthy);
            result.set("evaluation/num_remote_worker_restarts", faults.restarts);
        }
        for (name, &value) in &evaluation.extra {
            result.set(&format!("evaluation/{name}"), value);
        }
    }
}
