//! The parts that the stages share, and the stages made from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use skirl_math::rng::StreamKey;
use skirl_nn::optim::GradClip;

use super::group::OnPolicyGroup;
use super::stage::Learners;
use super::{BatchLearner, Update, UpdateRule};
use crate::algo::{BuildFrom, Parts};
use crate::callbacks::{CallbackList, LearnOnBatch};
use crate::collect::stage::Collect;
use crate::collect::{EnvRunner, Environments, RunnerOptions};
use crate::config::{ConfigOf, GradClipBy, HasOptimizer, Training, UpdateOptions};
use crate::contract::shared::Shared;
use crate::contract::{ModuleId, Policies};
use crate::error::Error;
use crate::estimate::stage::{Estimate, EstimatorRules, Gae, Returns};
use crate::estimate::{GaeRules, ReturnRules};
use crate::learn::{Learner, LearnerOptions};
use crate::pipeline::{Context, PipelineBuilder, Task, Timing};
use crate::plan::{Plan, build_optimizer, build_policy};
use crate::publish::WeightBoard;
use crate::publish::stage::Publish;
use crate::workers::Workers;

/// Runner, learners and board of an on-policy algorithm: asked for its stages, then [finished](Self::finish).
#[derive(Debug)]
pub struct OnPolicy<'a, R: UpdateRule> {
    config: &'a ConfigOf<R::Training>,
    plan: &'a Plan,
    callbacks: &'a CallbackList,
    workers: &'a Arc<Workers>,
    runner: Shared<EnvRunner>,
    learners: Shared<Learners<R>>,
    policies: Policies,
    board: WeightBoard,
}

impl<'a, R: UpdateRule> OnPolicy<'a, R> {
    /// Builds what the plan says.
    pub fn new(config: &'a ConfigOf<R::Training>, from: BuildFrom<'a>) -> Result<Self, Error> {
        let BuildFrom { plan, environments, workers, callbacks, seed } = from;
        check_batch_mode(plan, &environments)?;
        let root = StreamKey::root(seed);
        let policies = policies(plan, root)?;
        let mut options = RunnerOptions::from_config(&config.common, root.child("training"));
        options.callbacks = callbacks.clone();
        options.shared = plan.environment.shared.clone();
        let runner = EnvRunner::new(environments, policies.clone(), options, Arc::clone(workers))?;
        let learners = learners(config, plan, policies.clone(), workers, root)?;
        let (runner, learners) = (Shared::new(runner), Shared::new(learners));
        let board = WeightBoard::default();
        Ok(Self { config, plan, callbacks, workers, runner, learners, policies, board })
    }

    /// Steps the environments.
    pub fn collect(&self) -> Collect {
        let batch = &self.plan.batch;
        let collect = Collect::new(self.runner.clone(), self.board.clone(), batch.fragment_length);
        if batch.whole_episodes { collect.whole_episodes(batch.rows) } else { collect }
    }

    /// Estimates advantages.
    pub fn gae(&self) -> Result<Gae, Error> {
        self.estimator(|options| {
            let critic = options.critic;
            GaeRules {
                gamma: options.gamma,
                lambda: critic.filter(|critic| critic.use_gae).map_or(1.0, |critic| critic.lambda),
                use_critic: critic.is_some_and(|critic| critic.use_critic),
            }
        })
    }

    /// Estimates returns.
    pub fn returns(&self) -> Result<Returns, Error> {
        self.estimator(|options| ReturnRules { gamma: options.gamma })
    }

    fn estimator<E: EstimatorRules>(&self, rules: fn(UpdateOptions) -> E) -> Result<Estimate<E>, Error> {
        let own = |id: &ModuleId| {
            let config = self.config.for_policy(id)?;
            Ok((id.clone(), rules(config.training.update())))
        };
        let by_module = self.plan.modules.keys().map(own).collect::<Result<_, Error>>()?;
        Ok(Estimate::new(rules(self.config.training.update()), by_module))
    }

    /// Shows the batch to the callbacks that want to see it.
    pub fn learn_on_batch(&self, stages: PipelineBuilder) -> PipelineBuilder {
        LearnOnBatch::add_to(stages, self.callbacks, self.plan)
    }

    /// Learns.
    pub fn update(&self) -> Update<R> {
        Update::new(self.learners.clone(), Arc::clone(self.workers))
    }

    /// Hands out the new weights.
    pub fn publish(&self) -> Publish {
        Publish::new(self.board.clone())
    }

    /// The running algorithm around a list of stages.
    pub fn finish(self, stages: PipelineBuilder) -> Result<Parts, Error> {
        let timing = Timing::new();
        let reader = timing.reader();
        let pipeline = stages.wrap(timing).build().map_err(|errors| Error::Pipeline(errors.to_string()))?;
        let task =
            Task::new(pipeline, Context::new()).map_err(|errors| Error::Pipeline(errors.to_string()))?;
        let learners = Box::new(OnPolicyGroup { learners: self.learners, untrained: self.policies });
        Ok(Parts { task, runner: self.runner, learners, board: self.board, timing: reader })
    }
}

/// Rows of whole episodes are told apart by their environment alone.
fn check_batch_mode(plan: &Plan, environments: &Environments) -> Result<(), Error> {
    if !plan.batch.whole_episodes || !environments.is_multi_agent() {
        return Ok(());
    }
    Err(Error::Misfit {
        what: "env_runners.batch_mode".to_owned(),
        expected: "\"truncate_episodes\" for an environment with several agents".to_owned(),
        found: "\"complete_episodes\"".to_owned(),
        remedy: "Leave it out".to_owned(),
    })
}

fn policies(plan: &Plan, root: StreamKey) -> Result<Policies, Error> {
    let build =
        |(id, module): (&ModuleId, _)| Ok((id.clone(), build_policy(module, root.child("init").child(id))?));
    plan.modules.iter().map(build).collect()
}

fn learners<R: UpdateRule>(
    config: &ConfigOf<R::Training>,
    plan: &Plan,
    policies: Policies,
    workers: &Arc<Workers>,
    root: StreamKey,
) -> Result<Learners<R>, Error> {
    let mut learners = BTreeMap::new();
    for (id, policy) in policies {
        if !plan.modules.get(&id).is_some_and(|module| module.trained) {
            continue;
        }
        let training = config.for_policy(&id)?.training;
        let options = training.update();
        let learner = Learner::new(LearnerOptions {
            module: id.clone(),
            optimizer: build_optimizer(training.optimizer_options(), &policy)?,
            policy,
            clip: grad_clip(&options),
            log_norm: config.common.reporting.log_gradients,
            workers: Arc::clone(workers),
        });
        let shuffle = root.child("minibatches").child(&id).stream();
        learners.insert(id, BatchLearner::new(learner, options, R::new(&training), shuffle));
    }
    Ok(learners)
}

fn grad_clip(options: &UpdateOptions) -> Option<GradClip> {
    let bound = options.grad_clip? as f32;
    Some(match options.grad_clip_by {
        GradClipBy::Value => GradClip::Value(bound),
        GradClipBy::Norm => GradClip::Norm(bound),
        GradClipBy::GlobalNorm => GradClip::GlobalNorm(bound),
    })
}
