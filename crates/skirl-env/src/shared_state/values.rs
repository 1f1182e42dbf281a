//! What is shared, and the changes to it: plain data that can travel and be saved.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SharedStateError;

/// Everything that is shared, by name. Counters, stores and sums each have names of their own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SharedValues {
    /// Counters.
    pub counters: BTreeMap<String, i64>,
    /// Parameter stores.
    pub parameters: BTreeMap<String, Parameters>,
    /// Sums of the last step in which somebody contributed.
    pub reductions: BTreeMap<String, Reduced>,
}

/// The content of a parameter store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// Number of `put`s so far.
    pub version: u64,
    /// Newest value of each parameter.
    pub values: BTreeMap<String, Parameter>,
}

/// One named parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parameter {
    /// An array in C order.
    Tensor {
        /// Its shape.
        shape: Vec<usize>,
        /// Its elements, all finite.
        data: Vec<f32>,
    },
    /// Anything else.
    Json(Value),
}

impl From<Vec<f32>> for Parameter {
    fn from(data: Vec<f32>) -> Self {
        Self::Tensor { shape: vec![data.len()], data }
    }
}

impl From<Value> for Parameter {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

/// What all contributed in one step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reduced {
    /// Contributions.
    pub count: u64,
    /// Their sum, element by element, added in the order of the environments.
    pub sum: Vec<f64>,
}

impl Reduced {
    /// The mean over the contributions, element by element.
    #[must_use]
    pub fn mean(&self) -> Vec<f64> {
        let count = self.count.max(1) as f64;
        self.sum.iter().map(|sum| sum / count).collect()
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Adds to a counter.
    Add {
        /// The counter.
        counter: String,
        /// How much; may be negative.
        amount: i64,
    },
    /// Replaces parameters of a store; those that are not named keep their values.
    Put {
        /// The store.
        store: String,
        /// New values.
        values: BTreeMap<String, Parameter>,
    },
    /// Contributes to a sum.
    Contribute {
        /// The sum.
        name: String,
        /// The contribution.
        values: Vec<f64>,
    },
}

impl Change {
    /// Refuses what a checkpoint could not hold.
    pub(super) fn check(&self) -> Result<(), SharedStateError> {
        match self {
            Self::Add { .. } => Ok(()),
            Self::Put { store, values } => {
                values.iter().try_for_each(|(name, value)| value.check(&format!("{store}/{name}")))
            }
            Self::Contribute { name, values } => check_finite(name, values.iter().copied()),
        }
    }
}

impl Parameter {
    fn check(&self, name: &str) -> Result<(), SharedStateError> {
        let Self::Tensor { shape, data } = self else { return Ok(()) };
        let expected = shape.iter().fold(1, |elements: usize, &dim| elements.saturating_mul(dim));
        if data.len() != expected {
            return Err(SharedStateError::WrongLength { name: name.to_owned(), expected, found: data.len() });
        }
        check_finite(name, data.iter().map(|&value| f64::from(value)))
    }
}

fn check_finite(name: &str, values: impl Iterator<Item = f64>) -> Result<(), SharedStateError> {
    match values.enumerate().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some((index, value)) => Err(SharedStateError::NonFinite { name: name.to_owned(), index, value }),
    }
}

impl SharedValues {
    /// Makes all changes, in this order, or none of them. Contributions of one call make one sum.
    ///
    /// # Errors
    /// A counter that would overflow, contributions of different lengths.
    pub fn apply(&mut self, changes: Vec<Change>) -> Result<(), SharedStateError> {
        let (counters, sums) = self.totals(&changes)?;
        self.counters.extend(counters);
        self.reductions.extend(sums);
        for change in changes {
            let Change::Put { store, values } = change else { continue };
            let store = self.parameters.entry(store).or_default();
            store.version += 1;
            store.values.extend(values);
        }
        Ok(())
    }

    /// New values of the counters and sums that change.
    fn totals(&self, changes: &[Change]) -> Result<Totals, SharedStateError> {
        let (mut counters, mut sums) = Totals::default();
        for change in changes {
            match change {
                Change::Add { counter, amount } => {
                    let before = counters.get(counter).or_else(|| self.counters.get(counter)).unwrap_or(&0);
                    let after = before.checked_add(*amount);
                    let after =
                        after.ok_or_else(|| SharedStateError::Overflow { counter: counter.clone() })?;
                    counters.insert(counter.clone(), after);
                }
                Change::Contribute { name, values } => {
                    sums.entry(name.clone()).or_insert_with(Reduced::default).add(name, values)?;
                }
                Change::Put { .. } => {}
            }
        }
        Ok((counters, sums))
    }
}

type Totals = (BTreeMap<String, i64>, BTreeMap<String, Reduced>);

impl Reduced {
    fn add(&mut self, name: &str, values: &[f64]) -> Result<(), SharedStateError> {
        if self.count == 0 {
            self.sum = vec![0.0; values.len()];
        }
        if self.sum.len() != values.len() {
            return Err(SharedStateError::UnequalLengths {
                name: name.to_owned(),
                expected: self.sum.len(),
                found: values.len(),
            });
        }
        self.sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        self.count += 1;
        // Finite contributions may add up to infinity, which no checkpoint holds.
        check_finite(name, self.sum.iter().copied())
    }
}
