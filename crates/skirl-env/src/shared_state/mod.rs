//! Named state that all runners of a run share: counters, parameter stores and sums over all environments.
//!
//! Flows in: additions, new parameters and contributions, from environments, callbacks and the user's loop. Flows out:
//! what all of them made together, the same for everybody. What travels is plain data ([`Change`] one way,
//! [`SharedValues`] the other), so that another [`SharedTransport`] can stand behind the same handle.
//!
//! **When is a change seen?** A handle is of one of two kinds.
//! - The *direct* handle, which the run's owner holds: a change is made at once, and a read sees it.
//! - The *deferred* handle, which an environment gets when it is made ([`EnvContext::shared`](crate::EnvContext)): it reads
//!   what was there when the training step began, and what it changes is seen after that step. Changes are then made in
//!   the order of the environments, whatever thread stepped them. So a run with shared state gives the same bytes with
//!   any number of threads.
//!
//! ```
//! use skirl_env::shared_state::SharedState;
//!
//! # fn main() -> Result<(), skirl_env::shared_state::SharedStateError> {
//! let shared = SharedState::new();
//! let (first, second) = (shared.deferred().for_env(0), shared.counter("steps"));
//! first.counter("steps").add(5)?;
//! assert_eq!(second.get()?, 0);
//! first.commit()?;
//! assert_eq!(second.get()?, 5);
//! # Ok(())
//! # }
//! ```

mod error;
mod handles;
mod scope;
mod transport;
mod values;

use std::fmt;
use std::sync::Arc;

pub use error::SharedStateError;
pub use handles::{AllReduce, Counter, ParameterStore};
pub use transport::{InProcess, SharedTransport};
pub use values::{Change, Parameter, Parameters, Reduced, SharedValues};

use scope::{Pending, Scope};

/// A handle to the state that a run shares. Clones are handles to the same state.
#[derive(Clone)]
pub struct SharedState {
    transport: Arc<dyn SharedTransport>,
    /// Where a deferred handle reads from and writes to.
    deferred: Option<(Arc<Scope>, Arc<Pending>)>,
}

impl SharedState {
    /// Empty state in this process, with a direct handle to it.
    #[must_use]
    pub fn new() -> Self {
        Self::over(Arc::new(InProcess::default()))
    }

    /// A direct handle to the state behind `transport`.
    #[must_use]
    pub fn over(transport: Arc<dyn SharedTransport>) -> Self {
        Self { transport, deferred: None }
    }

    /// A deferred handle to the same state, in a scope of its own: training has one, evaluation another.
    #[must_use]
    pub fn deferred(&self) -> Self {
        let scope = Arc::new(Scope::new(Arc::clone(&self.transport)));
        let pending = scope.writer(0);
        Self { transport: Arc::clone(&self.transport), deferred: Some((scope, pending)) }
    }

    /// The deferred handle of environment `env` in this scope. Changes are made in the order of the environments, so each
    /// needs a handle of its own: one environment gets it when it is made, those that step together call this for each.
    ///
    /// A direct handle stays what it is.
    #[must_use]
    pub fn for_env(&self, env: usize) -> Self {
        let deferred = self.deferred.as_ref().map(|(scope, _)| (Arc::clone(scope), scope.writer(env as u64)));
        Self { transport: Arc::clone(&self.transport), deferred }
    }

    /// The counter `name`; it starts at 0.
    #[must_use]
    pub fn counter(&self, name: &str) -> Counter {
        Counter { shared: self.clone(), name: name.to_owned() }
    }

    /// The parameter store `name`; it starts empty, with version 0.
    #[must_use]
    pub fn parameter_store(&self, name: &str) -> ParameterStore {
        ParameterStore { shared: self.clone(), name: name.to_owned() }
    }

    /// The sum `name` over all who contribute. Nobody waits for anybody: the result is there after the training step.
    #[must_use]
    pub fn all_reduce(&self, name: &str) -> AllReduce {
        AllReduce { shared: self.clone(), name: name.to_owned() }
    }

    /// Everything that a read through this handle sees.
    ///
    /// # Errors
    /// A transport that does not answer.
    pub fn values(&self) -> Result<Arc<SharedValues>, SharedStateError> {
        match &self.deferred {
            None => self.transport.read(),
            Some((scope, _)) => scope.seen(),
        }
    }

    fn change(&self, change: Change) -> Result<(), SharedStateError> {
        change.check()?;
        match &self.deferred {
            None => self.transport.apply(vec![change]),
            Some((_, pending)) => {
                pending.push(change);
                Ok(())
            }
        }
    }

    /// A training step begins: the scope's handles read what is there now. Nothing happens to a direct handle.
    ///
    /// # Errors
    /// A transport that does not answer.
    pub fn begin(&self) -> Result<(), SharedStateError> {
        self.deferred.as_ref().map_or(Ok(()), |(scope, _)| scope.begin())
    }

    /// The training step is over: all that the scope's handles changed is made, in the order of the environments.
    ///
    /// # Errors
    /// A transport that does not answer; changes that cannot be made, of which then none is.
    pub fn commit(&self) -> Result<(), SharedStateError> {
        self.deferred.as_ref().map_or(Ok(()), |(scope, _)| scope.commit())
    }

    /// Forgets what the scope's handles changed since the last commit: the step failed, or does not count.
    pub fn discard(&self) {
        if let Some((scope, _)) = &self.deferred {
            scope.take_changes();
        }
    }

    /// Takes what the scope's handles changed since the last commit, to be sent to where it is committed: a worker process
    /// hands its changes over together with its rollout.
    #[must_use]
    pub fn take_changes(&self) -> Vec<Change> {
        self.deferred.as_ref().map_or_else(Vec::new, |(scope, _)| scope.take_changes())
    }

    /// Replaces everything (a restored checkpoint) and forgets what was not committed in this scope.
    ///
    /// # Errors
    /// A transport that does not answer.
    pub fn restore(&self, values: SharedValues) -> Result<(), SharedStateError> {
        self.discard();
        self.transport.replace(values)?;
        self.begin()
    }
}

impl Default for SharedState {
    fn default() -> Self {
        Self::new()
    }
}

/// Handles are equal if they lead to the same state.
impl PartialEq for SharedState {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.transport, &other.transport)
    }
}

impl fmt::Debug for SharedState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SharedState")
            .field("deferred", &self.deferred.is_some())
            .finish_non_exhaustive()
    }
}
