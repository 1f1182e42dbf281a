//! Callbacks by name: what a configuration and a checkpoint can ask for without holding code.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{CallbackList, Callbacks};

type Factory = Arc<dyn Fn() -> Arc<dyn Callbacks> + Send + Sync>;

static REGISTRY: Mutex<BTreeMap<String, Factory>> = Mutex::new(BTreeMap::new());

/// Makes callbacks known to this process by name: a run whose `callbacks.names` holds it gets new ones from `make`, and so
/// does one that is resumed. An older entry of the name is replaced.
pub fn register_callbacks<C: Callbacks + 'static>(
    name: impl Into<String>,
    make: impl Fn() -> C + Send + Sync + 'static,
) {
    let factory: Factory = Arc::new(move || Arc::new(make()));
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), factory);
}

/// Names of all registered callbacks.
#[must_use]
pub fn registered_callbacks() -> Vec<String> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
}

/// Adds the registered callbacks that `names` asks for and `list` lacks; returns the names that nobody knows.
pub(crate) fn complete(list: &mut CallbackList, names: &[String]) -> Vec<String> {
    let mut unknown = Vec::new();
    for name in names {
        if list.names().contains(name) {
            continue;
        }
        let factory = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        match factory {
            Some(make) => list.push(make()),
            None => unknown.push(name.clone()),
        }
    }
    unknown
}
