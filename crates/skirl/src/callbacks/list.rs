//! The callbacks of a run, called in the order in which they were added.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{CallbackError, Callbacks, Hook, HookResult, HookSet, Place};
use crate::collect::episodes::RunningEpisode;
use crate::error::Error;

/// Callbacks in the order in which they are called. A clone shares them.
#[derive(Clone, Default)]
pub struct CallbackList {
    entries: Vec<Entry>,
    wanted: HookSet,
}

#[derive(Clone)]
struct Entry {
    callbacks: Arc<dyn Callbacks>,
    hooks: HookSet,
}

impl CallbackList {
    /// No callbacks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The list with one more at its end.
    #[must_use]
    pub fn with(mut self, callbacks: impl Callbacks + 'static) -> Self {
        self.push(Arc::new(callbacks));
        self
    }

    /// Adds callbacks at the end.
    pub fn push(&mut self, callbacks: Arc<dyn Callbacks>) {
        let hooks = callbacks.hooks();
        self.wanted = self.wanted.union(hooks);
        self.entries.push(Entry { callbacks, hooks });
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The callbacks, in order.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Callbacks> {
        self.entries.iter().map(|entry| &*entry.callbacks)
    }

    /// Names, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.entries.iter().map(|entry| entry.callbacks.name().to_owned()).collect()
    }

    /// Whether somebody wants this hook.
    #[must_use]
    pub fn wants(&self, hook: Hook) -> bool {
        self.wanted.contains(hook)
    }

    /// Whether somebody wants one of these hooks.
    #[must_use]
    pub fn wants_any(&self, hooks: HookSet) -> bool {
        self.wanted.meets(hooks)
    }

    /// Two callbacks of one name cannot be told apart in errors and checkpoints.
    pub(crate) fn check_names(&self) -> Result<(), Error> {
        let mut names = self.names();
        names.sort();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            None => Ok(()),
            Some(pair) => Err(Error::Misfit {
                what: "the callbacks of the run".to_owned(),
                expected: "names that differ".to_owned(),
                found: format!("'{}' twice", pair[0]),
                remedy: "Give one of them another name".to_owned(),
            }),
        }
    }

    /// Calls `run` with each of the callbacks that want this hook. The first error or panic ends it.
    pub(crate) fn call(
        &self,
        hook: Hook,
        place: Place,
        mut run: impl FnMut(&dyn Callbacks) -> HookResult,
    ) -> Result<(), Error> {
        self.entries.iter().filter(|entry| entry.hooks.contains(hook)).try_for_each(|entry| {
            guarded(&*entry.callbacks, hook, place, || run(&*entry.callbacks)).map_err(Error::Callback)
        })
    }

    /// The callbacks' own state by name; those without one are left out.
    pub(crate) fn save_state(&self) -> Result<Map<String, Value>, Error> {
        let mut states = Map::new();
        for Entry { callbacks, .. } in &self.entries {
            let save = || {
                states.extend(callbacks.save_state()?.map(|state| (callbacks.name().to_owned(), state)));
                Ok(())
            };
            guarded(&**callbacks, Hook::CheckpointSaved, Place::default(), save).map_err(Error::Callback)?;
        }
        Ok(states)
    }

    /// Puts what callbacks keep with the running episodes elsewhere into their `user_data`.
    pub(crate) fn save_episodes<'a>(
        &self,
        episodes: impl Iterator<Item = (u64, &'a mut RunningEpisode)>,
    ) -> Result<(), Error> {
        for (id, running) in episodes {
            for Entry { callbacks, .. } in &self.entries {
                let place = Place { episode: Some(id), ..Place::default() };
                let save = || {
                    running.user_data.extend(callbacks.episode_data(id)?);
                    Ok(())
                };
                guarded(&**callbacks, Hook::CheckpointSaved, place, save).map_err(Error::Callback)?;
            }
        }
        Ok(())
    }

    /// Other episodes follow.
    pub(crate) fn forget_episodes(&self) {
        self.iter().for_each(Callbacks::forget_episodes);
    }

    /// Hands on what the same callbacks logged in other processes.
    pub(crate) fn take_logged(&self, in_evaluation: bool, logged: &[String]) -> Result<(), Error> {
        for Entry { callbacks, .. } in self.entries.iter().filter(|_| !logged.is_empty()) {
            let take = || callbacks.take_logged(in_evaluation, logged);
            guarded(&**callbacks, Hook::EpisodeEnd, Place::default(), take).map_err(Error::Callback)?;
        }
        Ok(())
    }

    /// Gives each of the callbacks its state back.
    pub(crate) fn restore_state(&self, saved: Option<&Map<String, Value>>) -> Result<(), Error> {
        for Entry { callbacks, .. } in &self.entries {
            let Some(state) = saved.and_then(|saved| saved.get(callbacks.name())) else { continue };
            guarded(&**callbacks, Hook::CheckpointLoaded, Place::default(), || {
                callbacks.restore_state(state)
            })
            .map_err(Error::Callback)?;
        }
        Ok(())
    }
}

/// A panic of the user's code becomes an error, so that the run can save what it has. What a hook was changing when it
/// panicked may be half-changed; the iteration that it belongs to is given up.
fn guarded(
    callbacks: &dyn Callbacks,
    hook: Hook,
    place: Place,
    run: impl FnOnce() -> HookResult,
) -> Result<(), Box<CallbackError>> {
    let source = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(source)) => source,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            format!("it panicked: {}", text.as_deref().unwrap_or("without a message")).into()
        }
    };
    Err(Box::new(CallbackError { callbacks: callbacks.name().to_owned(), hook, place, source }))
}

impl fmt::Debug for CallbackList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hooks = |entry: &Entry| (entry.callbacks.name().to_owned(), entry.hooks);
        f.debug_map().entries(self.entries.iter().map(hooks)).finish()
    }
}
