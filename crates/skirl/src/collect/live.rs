//! Reaching the live environments, and remembering the tasks that they are given.

use std::collections::BTreeMap;

use serde_json::Value;
use skirl_env::{EnvError, LiveEnv};

use crate::error::Error;

/// Task by index of the environment.
pub type Tasks = BTreeMap<usize, Value>;

/// What the environments were told to do.
#[derive(Debug, Default)]
pub(super) struct TaskRecord {
    /// The last task of each environment that was given one.
    pub(super) newest: Tasks,
    /// What it did before it was given the first one, where it can tell: a checkpoint may be older than that.
    pub(super) initial: Tasks,
}

/// The environments visited so far.
pub(super) struct Visits<'a, T> {
    pub(super) tasks: &'a mut TaskRecord,
    pub(super) results: Vec<T>,
}

impl<T> Visits<'_, T> {
    pub(super) fn visit(
        &mut self,
        mut env: LiveEnv<'_>,
        visit: &mut impl FnMut(usize, &mut LiveEnv<'_>) -> Result<T, EnvError>,
    ) -> Result<(), Error> {
        let index = self.results.len();
        let outcome = visit(index, &mut env);
        // Also where the visit failed later on: the environment has taken the task.
        if let Some(change) = env.into_change() {
            if let (false, Some(before)) = (self.tasks.newest.contains_key(&index), change.before) {
                self.tasks.initial.entry(index).or_insert(before);
            }
            self.tasks.newest.insert(index, change.task);
        }
        self.results.push(outcome.map_err(|source| Error::ForeachEnv { env: index, source })?);
        Ok(())
    }
}

/// Tasks as a checkpoint holds them.
pub fn tasks_to_value(tasks: &Tasks) -> Value {
    tasks.iter().map(|(env, task)| (env.to_string(), task.clone())).collect::<serde_json::Map<_, _>>().into()
}

/// Tasks out of a checkpoint; none where it holds none.
pub fn tasks_from_value(value: Option<&Value>) -> Tasks {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(env, task)| Some((env.parse().ok()?, task.clone()))).collect()
}
