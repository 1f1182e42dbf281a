//! PPO as a list of stages, and the parts that they share.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use skirl_math::rng::{Stream, StreamKey};
use skirl_nn::optim::GradClip;

use super::stage::{PpoLearners, PpoUpdate};
use super::update::PpoLearner;
use crate::algo::Parts;
use crate::callbacks::{CallbackList, LearnOnBatch};
use crate::collect::stage::Collect;
use crate::collect::{EnvRunner, Environments, RunnerOptions};
use crate::config::{GradClipBy, PpoConfig};
use crate::contract::shared::Shared;
use crate::contract::{LearnerGroup, ModuleId, ModuleState, Policies, Policy};
use crate::error::Error;
use crate::estimate::GaeRules;
use crate::estimate::stage::Gae;
use crate::learn::{Learner, LearnerOptions};
use crate::pipeline::{Context, Pipeline, Task, Timing};
use crate::plan::{Plan, build_optimizer, build_policy};
use crate::publish::WeightBoard;
use crate::publish::stage::Publish;
use crate::workers::Workers;

/// The stages in order, as `skirl explain` shows them.
pub const STAGES: [&str; 4] = [
    "collect      environments step with the newest policy        → sample, episodes",
    "gae          advantages and value targets                     sample → train_batch",
    "ppo_update   epochs of clipped minibatch updates              train_batch → new_weights, learner_results",
    "publish      new weights to whoever acts                      new_weights →",
];

/// Builds runner, learners and pipeline.
pub fn build(
    config: &PpoConfig,
    plan: &Plan,
    environments: Environments,
    workers: &Arc<Workers>,
    callbacks: &CallbackList,
    seed: u64,
) -> Result<Parts, Error> {
    let root = StreamKey::root(seed);
    let policies = policies(plan, root)?;
    let mut options = RunnerOptions::from_config(&config.common, root.child("training"));
    options.callbacks = callbacks.clone();
    let runner = EnvRunner::new(environments, policies.clone(), options, Arc::clone(workers))?;
    let runner = Shared::new(runner);
    let learners = Shared::new(learners(config, plan, policies.clone(), workers, root)?);
    let board = WeightBoard::default();
    let timing = Timing::new();
    let reader = timing.reader();
    let estimated = Pipeline::builder()
        .with(Collect::new(runner.clone(), board.clone(), plan.batch.fragment_length))
        .with(Gae::new(gae_rules(config), module_gae_rules(config, plan)?));
    let pipeline = LearnOnBatch::add_to(estimated, callbacks)
        .with(PpoUpdate::new(learners.clone()))
        .with(Publish::new(board.clone()))
        .wrap(timing)
        .build()
        .map_err(|errors| Error::Pipeline(errors.to_string()))?;
    let task = Task::new(pipeline, Context::new()).map_err(|errors| Error::Pipeline(errors.to_string()))?;
    let learners = Box::new(PpoLearnerGroup { learners, untrained: policies });
    Ok(Parts { task, runner, learners, board, timing: reader })
}

fn policies(plan: &Plan, root: StreamKey) -> Result<Policies, Error> {
    let build =
        |(id, module): (&ModuleId, _)| Ok((id.clone(), build_policy(module, root.child("init").child(id))?));
    plan.modules.iter().map(build).collect()
}

fn learners(
    config: &PpoConfig,
    plan: &Plan,
    policies: Policies,
    workers: &Arc<Workers>,
    root: StreamKey,
) -> Result<PpoLearners, Error> {
    let mut learners = BTreeMap::new();
    for (id, policy) in policies {
        if !plan.modules.get(&id).is_some_and(|module| module.trained) {
            continue;
        }
        let options = config.for_policy(&id)?.training;
        let clip = options.grad_clip.map(|bound| match options.grad_clip_by {
            GradClipBy::Value => GradClip::Value(bound as f32),
            GradClipBy::Norm => GradClip::Norm(bound as f32),
            GradClipBy::GlobalNorm => GradClip::GlobalNorm(bound as f32),
        });
        let learner = Learner::new(LearnerOptions {
            module: id.clone(),
            optimizer: build_optimizer(&options.optimizer, &policy)?,
            policy,
            clip,
            log_norm: config.common.reporting.log_gradients,
            workers: Arc::clone(workers),
        });
        let shuffle = root.child("minibatches").child(&id).stream();
        learners.insert(id, PpoLearner::new(learner, options, shuffle));
    }
    Ok(learners)
}

fn gae_rules(config: &PpoConfig) -> GaeRules {
    let training = &config.training;
    GaeRules {
        gamma: training.gamma,
        lambda: if training.use_gae { training.lambda_ } else { 1.0 },
        use_critic: training.use_critic,
    }
}

fn module_gae_rules(config: &PpoConfig, plan: &Plan) -> Result<BTreeMap<ModuleId, GaeRules>, Error> {
    plan.modules.keys().map(|id| Ok((id.clone(), gae_rules(&config.for_policy(id)?)))).collect()
}

/// PPO's learners as checkpoints and evaluation see them.
struct PpoLearnerGroup {
    learners: Shared<PpoLearners>,
    /// Initial policies: what modules without a learner go on with.
    untrained: Policies,
}

impl LearnerGroup for PpoLearnerGroup {
    fn module_ids(&self) -> Vec<ModuleId> {
        self.learners.lock().keys().cloned().collect()
    }

    fn policies(&self) -> Policies {
        let learners = self.learners.lock();
        let newest = |(id, policy): (&ModuleId, &Policy)| {
            let learner = learners.get(id).map(|learner| learner.learner.policy());
            (id.clone(), learner.unwrap_or(policy).clone())
        };
        self.untrained.iter().map(newest).collect()
    }

    fn save_state(&self, module: &str) -> Option<Result<ModuleState, Error>> {
        let learners = self.learners.lock();
        let learner = learners.get(module)?;
        let extra = json!({
            "kl_coeff": learner.kl_coeff,
            "shuffle_key": learner.shuffle.key.0.to_string(),
            "shuffle_counter": learner.shuffle.counter.to_string(),
            "rows_trained": learner.rows_trained.to_string(),
            "updates": learner.learner.updates().to_string(),
            "optimizer_steps": learner.learner.optimizer().num_steps().to_string(),
        });
        let weights = learner.learner.policy().net.params().export();
        Some(learner.learner.save_optimizer().map(|optimizer| ModuleState { weights, optimizer, extra }))
    }

    fn restore_state(&mut self, module: &str, state: &ModuleState) -> Result<(), Error> {
        let mut learners = self.learners.lock();
        let Some(learner) = learners.get_mut(module) else {
            let Some(policy) = self.untrained.get_mut(module) else { return Ok(()) };
            policy.net.params_mut().import(&state.weights)?;
            policy.net.refresh();
            return Ok(());
        };
        let policy = learner.learner.policy_mut();
        policy.net.params_mut().import(&state.weights)?;
        policy.net.refresh();
        learner.learner.restore_optimizer(&state.optimizer, number(&state.extra, "optimizer_steps")?)?;
        learner.learner.set_updates(number(&state.extra, "updates")?);
        learner.rows_trained = number(&state.extra, "rows_trained")?;
        learner.shuffle = Stream {
            key: StreamKey(number(&state.extra, "shuffle_key")?),
            counter: number(&state.extra, "shuffle_counter")?,
        };
        let kl_coeff = state.extra.get("kl_coeff").and_then(Value::as_f64);
        learner.kl_coeff = kl_coeff.ok_or_else(|| missing("kl_coeff"))?;
        Ok(())
    }
}

fn number(state: &Value, name: &str) -> Result<u64, Error> {
    let text = state.get(name).and_then(Value::as_str);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Error {
    Error::Mismatch {
        what: format!("'{name}' in the learner's saved state"),
        expected: "a number".to_owned(),
        found: "nothing readable".to_owned(),
        remedy: "The checkpoint was not written by PPO, or is damaged; take an older one".to_owned(),
    }
}
