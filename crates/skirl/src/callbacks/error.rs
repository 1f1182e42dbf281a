//! What went wrong in a user's callbacks, and where.

use std::fmt;

use super::Hook;

/// A hook that failed.
#[derive(Debug, thiserror::Error)]
#[error(
    "callbacks '{callbacks}' failed in {}{place}: {source}. Correct the callbacks, or leave them out",
    hook.name()
)]
pub struct CallbackError {
    /// Name of the callbacks.
    pub callbacks: String,
    /// The hook.
    pub hook: Hook,
    /// The episode, where the hook belongs to one.
    pub place: Place,
    /// What it returned, or the message of its panic.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Where in the run a hook was called; written as ` (episode 3, environment 1, step 17)`, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Id of the episode.
    pub episode: Option<u64>,
    /// Index of the environment.
    pub env: Option<usize>,
    /// Environment steps of the episode so far.
    pub env_step: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.episode.map(|id| format!("episode {id}")),
            self.env.map(|env| format!("environment {env}")),
            self.env_step.map(|step| format!("step {step} of the episode")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { Ok(()) } else { write!(f, " ({})", parts.join(", ")) }
    }
}
