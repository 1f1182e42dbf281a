//! Changes that wait for the end of a training step, kept apart for each environment.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Change, SharedStateError, SharedTransport, SharedValues};

/// The handles that begin and commit together.
pub(super) struct Scope {
    transport: Arc<dyn SharedTransport>,
    /// What reads see; `None` until the first of them.
    seen: Mutex<Option<Arc<SharedValues>>>,
    writers: Mutex<BTreeMap<u64, Arc<Pending>>>,
}

/// What one environment changed since the last commit. Additions to a counter are one change, however many there were.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<Changes>);

#[derive(Debug, Default)]
struct Changes {
    adds: BTreeMap<String, i64>,
    others: Vec<Change>,
}

impl Pending {
    pub(super) fn push(&self, change: Change) {
        let mut changes = lock(&self.0);
        match change {
            Change::Add { counter, amount } => match changes.adds.get_mut(&counter) {
                Some(sum) if sum.checked_add(amount).is_some() => *sum += amount,
                // The commit finds the overflow, if it is one with the counter's own value.
                Some(_) => changes.others.push(Change::Add { counter, amount }),
                None => drop(changes.adds.insert(counter, amount)),
            },
            other => changes.others.push(other),
        }
    }

    fn take(&self) -> impl Iterator<Item = Change> + use<> {
        let changes = std::mem::take(&mut *lock(&self.0));
        let add = |(counter, amount)| Change::Add { counter, amount };
        changes.adds.into_iter().map(add).chain(changes.others)
    }
}

impl Scope {
    pub(super) fn new(transport: Arc<dyn SharedTransport>) -> Self {
        Self { transport, seen: Mutex::default(), writers: Mutex::default() }
    }

    pub(super) fn writer(&self, index: u64) -> Arc<Pending> {
        Arc::clone(lock(&self.writers).entry(index).or_default())
    }

    pub(super) fn seen(&self) -> Result<Arc<SharedValues>, SharedStateError> {
        let mut seen = lock(&self.seen);
        match &*seen {
            Some(values) => Ok(Arc::clone(values)),
            None => Ok(Arc::clone(seen.insert(self.transport.read()?))),
        }
    }

    pub(super) fn begin(&self) -> Result<(), SharedStateError> {
        let values = self.transport.read()?;
        *lock(&self.seen) = Some(values);
        Ok(())
    }

    pub(super) fn commit(&self) -> Result<(), SharedStateError> {
        let changes = self.take_changes();
        // Let go of the old values first: then nothing has to be copied.
        *lock(&self.seen) = None;
        if !changes.is_empty() {
            self.transport.apply(changes)?;
        }
        self.begin()
    }

    pub(super) fn take_changes(&self) -> Vec<Change> {
        lock(&self.writers).values().flat_map(|pending| pending.take()).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Scope").field("transport", &self.transport).finish_non_exhaustive()
    }
}
