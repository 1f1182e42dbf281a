//! The algorithm's own hooks, and which callbacks it has.

use std::path::Path;

use super::{Algorithm, CallbackList, Evaluator, Hook, Place};
use crate::callbacks::{Callbacks, HookResult, HookSet, RecreatedRunners, complete};
use crate::config::AlgorithmConfig;
use crate::error::Error;

/// Adds the registered callbacks that the configuration names, and makes it name what is there; returns a warning for
/// each name that nobody knows.
pub(super) fn settle(
    config: &mut dyn AlgorithmConfig,
    callbacks: &mut CallbackList,
) -> Result<Vec<String>, Error> {
    let names = &mut config.common_mut().callbacks.names;
    let unknown = complete(callbacks, names);
    callbacks.check_names()?;
    *names = callbacks.names();
    Ok(unknown.iter().map(|name| missing(name)).collect())
}

fn missing(name: &str) -> String {
    format!(
        "the configuration names the callbacks '{name}', which this program has not: the run goes on without them. Give \
         them with build_with or from_checkpoint_with_callbacks (in Python: from_checkpoint(path, config=config)), or make \
         them known with register_callbacks"
    )
}

impl Algorithm {
    /// The callbacks of the run.
    pub fn callbacks(&self) -> &CallbackList {
        &self.callbacks
    }

    /// Whether somebody may add metrics of their own to results, at any time: callbacks, or an evaluation function.
    pub fn has_own_metrics(&self) -> bool {
        let hooks = [Hook::TrainResult, Hook::EvaluateEnd];
        let adds = hooks.into_iter().any(|hook| self.callbacks.wants(hook));
        adds || self.callbacks.wants_any(HookSet::EPISODE) || self.own_evaluation.is_some()
    }

    /// Calls a hook that has the algorithm in hand.
    pub(super) fn call_hook(
        &mut self,
        hook: Hook,
        mut call: impl FnMut(&dyn Callbacks, &mut Self) -> HookResult,
    ) -> Result<(), Error> {
        if !self.callbacks.wants(hook) {
            return Ok(());
        }
        self.in_hooks.push(hook);
        let called = self.callbacks.clone().call(hook, Place::default(), |each| call(each, self));
        self.in_hooks.pop();
        called
    }

    /// Tells callbacks which environment runners of training were replaced since the last call.
    pub(super) fn tell_of_recreated(&mut self) -> Result<(), Error> {
        let recreated = self.told.since(self.parts.runner.lock().restarts(), false);
        self.announce_recreated(recreated)
    }

    /// As [`tell_of_recreated`](Self::tell_of_recreated), of evaluation's.
    pub(super) fn tell_of_recreated_in_evaluation(&mut self) -> Result<(), Error> {
        let restarts = self.evaluator.as_ref().map(Evaluator::restarts).unwrap_or_default();
        let recreated = self.told_evaluation.since(restarts, true);
        self.announce_recreated(recreated)
    }

    fn announce_recreated(&mut self, recreated: Option<RecreatedRunners>) -> Result<(), Error> {
        match recreated {
            Some(recreated) => self.call_hook(Hook::EnvRunnersRecreated, |each, algorithm| {
                each.on_env_runners_recreated(algorithm, &recreated)
            }),
            None => Ok(()),
        }
    }

    /// Tells callbacks that a checkpoint was written.
    pub(crate) fn announce_saved(&self, path: &Path) -> Result<(), Error> {
        let place = Place::default();
        self.callbacks.call(Hook::CheckpointSaved, place, |each| each.on_checkpoint_saved(self, path))
    }

    /// A warning for each of the callbacks that a saved configuration names and this run has not.
    pub(super) fn missing_callbacks(&self, saved: &dyn AlgorithmConfig) -> Vec<String> {
        let names = self.callbacks.names();
        let gone = saved.common().callbacks.names.iter().filter(|name| !names.contains(name));
        gone.map(|name| missing(name)).collect()
    }
}
