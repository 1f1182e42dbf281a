//! One environment of a running algorithm, as `foreach_env` hands it out.

use std::any::{Any, type_name};

use serde_json::Value;

use crate::env::Env;
use crate::error::EnvError;
use crate::multi_agent::MultiAgentEnv;
use crate::vector::VectorEnv;

/// A live environment: its task can be set, and it can be reached by its type behind all wrappers.
#[derive(Debug)]
pub struct LiveEnv<'a> {
    place: Place<'a>,
    change: Option<TaskChange>,
}

/// A task that was set, and the one before it, where the environment can tell.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskChange {
    /// Before the change.
    pub before: Option<Value>,
    /// Since then.
    pub task: Value,
}

#[derive(Debug)]
enum Place<'a> {
    Among(&'a mut dyn VectorEnv, usize),
    Multi(&'a mut dyn MultiAgentEnv),
}

impl<'a> LiveEnv<'a> {
    /// Environment `index` of those that step together.
    pub fn among(envs: &'a mut dyn VectorEnv, index: usize) -> Self {
        Self { place: Place::Among(envs, index), change: None }
    }

    /// An environment with several agents.
    pub fn multi(env: &'a mut dyn MultiAgentEnv) -> Self {
        Self { place: Place::Multi(env), change: None }
    }

    /// Sets the task; when it takes effect is the environment's to say ([`Env::set_task`]).
    ///
    /// # Errors
    /// A task that the environment refuses; an environment without tasks.
    pub fn set_task(&mut self, task: &Value) -> Result<(), EnvError> {
        let before = match &self.change {
            Some(change) => change.before.clone(),
            None => self.get_task().ok(),
        };
        match &mut self.place {
            Place::Among(envs, index) => envs.set_task(*index, task),
            Place::Multi(env) => env.set_task(task),
        }?;
        self.change = Some(TaskChange { before, task: task.clone() });
        Ok(())
    }

    /// The task.
    ///
    /// # Errors
    /// An environment without tasks.
    pub fn get_task(&mut self) -> Result<Value, EnvError> {
        match &mut self.place {
            Place::Among(envs, index) => envs.get_task(*index),
            Place::Multi(env) => env.get_task(),
        }
    }

    /// Does something that this handle does not see, for example in another language, and notices a task that the
    /// environment has afterwards and did not have before, as if it had been set here.
    pub fn noticing<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.get_task().ok();
        let done = work(self);
        if let (Some(before), Ok(task)) = (before, self.get_task())
            && task != before
        {
            let first = self.change.take().map_or(Some(before), |change| change.before);
            self.change = Some(TaskChange { before: first, task });
        }
        done
    }

    /// The environment as the type `E` that was registered, or a wrapper of that type around it.
    ///
    /// What is changed in this way is saved in checkpoints only if the environment's own `save_state` holds it.
    ///
    /// # Errors
    /// An environment of another type; environments that step as one block of numbers, which are no objects of their own.
    pub fn downcast_mut<E: Any>(&mut self) -> Result<&mut E, EnvError> {
        let other = |found: String| EnvError::OtherType { expected: type_name::<E>(), found };
        match &mut self.place {
            Place::Among(envs, index) => {
                let (kind, index) = (format!("{:?}", &**envs), *index);
                let env = envs.env_mut(index).ok_or(EnvError::NoSingleEnv { envs: kind.clone() })?;
                layer(env).ok_or_else(|| other(kind))
            }
            Place::Multi(env) => {
                let kind = format!("{:?}", &**env);
                multi_layer(&mut **env).ok_or_else(|| other(kind))
            }
        }
    }

    /// The environments among which this one steps, and its index there; `None` for one with several agents.
    pub fn vector(&mut self) -> Option<(&mut dyn VectorEnv, usize)> {
        match &mut self.place {
            Place::Among(envs, index) => Some((&mut **envs, *index)),
            Place::Multi(_) => None,
        }
    }

    /// What was set through this handle, if anything.
    pub fn into_change(self) -> Option<TaskChange> {
        self.change
    }
}

/// The outermost layer of type `E`.
fn layer<E: Any>(env: &mut dyn Env) -> Option<&mut E> {
    if (&*env as &dyn Any).is::<E>() {
        return (env as &mut dyn Any).downcast_mut();
    }
    layer(env.inner_mut()?)
}

fn multi_layer<E: Any>(env: &mut dyn MultiAgentEnv) -> Option<&mut E> {
    if (&*env as &dyn Any).is::<E>() {
        return (env as &mut dyn Any).downcast_mut();
    }
    multi_layer(env.inner_mut()?)
}
