//! The learners as checkpoints and evaluation see them.

use serde_json::Value;
use skirl_math::rng::{Stream, StreamKey};

use super::UpdateRule;
use super::stage::Learners;
use crate::contract::shared::Shared;
use crate::contract::{Herald, LearnerGroup, ModuleId, ModuleState, Policies, Policy};
use crate::error::Error;

/// The learners, and the policies that do not learn.
pub(super) struct OnPolicyGroup<R: UpdateRule> {
    pub(super) learners: Shared<Learners<R>>,
    /// Initial policies: what modules without a learner go on with.
    pub(super) untrained: Policies,
}

impl<R: UpdateRule> LearnerGroup for OnPolicyGroup<R> {
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
        let mut extra = learner.rule.save();
        let mut put = |name: &str, value: u64| extra.insert(name.to_owned(), value.to_string().into());
        put("shuffle_key", learner.shuffle.key.0);
        put("shuffle_counter", learner.shuffle.counter);
        put("rows_trained", learner.rows_trained);
        put("updates", learner.learner.updates());
        put("optimizer_steps", learner.learner.optimizer().num_steps());
        let extra = Value::Object(extra);
        let weights = learner.learner.policy().net.params().export();
        Some(learner.learner.save_optimizer().map(|optimizer| ModuleState { weights, optimizer, extra }))
    }

    fn set_herald(&mut self, herald: Herald) {
        self.learners.lock().values_mut().for_each(|learner| learner.set_herald(herald.clone()));
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
        learner.rule.restore(&state.extra)
    }
}

fn number(state: &Value, name: &str) -> Result<u64, Error> {
    let text = state.get(name).and_then(Value::as_str);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| missing(name))
}

/// The error of a saved state that lacks `name`.
pub fn missing(name: &str) -> Error {
    Error::Mismatch {
        what: format!("'{name}' in the learner's saved state"),
        expected: "a number".to_owned(),
        found: "nothing readable".to_owned(),
        remedy: "The checkpoint is damaged, or another algorithm wrote it; take an older one".to_owned(),
    }
}
