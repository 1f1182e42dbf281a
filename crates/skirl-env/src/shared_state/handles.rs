//! One named thing of the shared state.

use std::collections::BTreeMap;

use super::{Change, Parameter, Parameters, Reduced, SharedState, SharedStateError};

/// A number that everybody adds to. The order of additions does not matter.
#[derive(Debug, Clone)]
pub struct Counter {
    pub(super) shared: SharedState,
    pub(super) name: String,
}

impl Counter {
    /// Adds `amount`, which may be negative.
    ///
    /// # Errors
    /// With a direct handle: a sum beyond 64 bits. A transport that does not answer.
    pub fn add(&self, amount: i64) -> Result<(), SharedStateError> {
        self.shared.change(Change::Add { counter: self.name.clone(), amount })
    }

    /// The sum so far, as this handle sees it.
    ///
    /// # Errors
    /// A transport that does not answer.
    pub fn get(&self) -> Result<i64, SharedStateError> {
        Ok(self.shared.values()?.counters.get(&self.name).copied().unwrap_or(0))
    }
}

/// Named tensors and JSON values with a version.
#[derive(Debug, Clone)]
pub struct ParameterStore {
    pub(super) shared: SharedState,
    pub(super) name: String,
}

impl ParameterStore {
    /// Replaces these parameters and keeps the others. Where several environments put the same parameter in one step, the
    /// one with the highest index has the last word.
    ///
    /// # Errors
    /// A tensor that is not finite or does not have the elements of its shape. A transport that does not answer.
    pub fn put<N: Into<String>, P: Into<Parameter>>(
        &self,
        values: impl IntoIterator<Item = (N, P)>,
    ) -> Result<(), SharedStateError> {
        let values: BTreeMap<String, Parameter> =
            values.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self.shared.change(Change::Put { store: self.name.clone(), values })
    }

    /// All parameters with their version, as this handle sees them.
    ///
    /// # Errors
    /// A transport that does not answer.
    pub fn get(&self) -> Result<Parameters, SharedStateError> {
        Ok(self.shared.values()?.parameters.get(&self.name).cloned().unwrap_or_default())
    }

    /// As [`get`](Self::get), but nothing if the version is still `known`.
    ///
    /// # Errors
    /// A transport that does not answer.
    pub fn get_newer(&self, known: u64) -> Result<Option<Parameters>, SharedStateError> {
        let values = self.shared.values()?;
        Ok(values.parameters.get(&self.name).filter(|store| store.version != known).cloned())
    }
}

/// A sum over all who contribute in a training step.
#[derive(Debug, Clone)]
pub struct AllReduce {
    pub(super) shared: SharedState,
    pub(super) name: String,
}

impl AllReduce {
    /// Contributes to this step's sum. All contributions of a step have the same length.
    ///
    /// # Errors
    /// Values that are not finite. A transport that does not answer.
    pub fn contribute(&self, values: &[f64]) -> Result<(), SharedStateError> {
        self.shared.change(Change::Contribute { name: self.name.clone(), values: values.to_vec() })
    }

    /// The sum of the last step in which somebody contributed, as this handle sees it.
    ///
    /// # Errors
    /// A transport that does not answer.
    pub fn get(&self) -> Result<Option<Reduced>, SharedStateError> {
        Ok(self.shared.values()?.reductions.get(&self.name).cloned())
    }
}
