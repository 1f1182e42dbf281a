//! What one on-policy algorithm does differently from the others in an update.

use serde_json::{Map, Value};

use super::EpochSums;
use crate::config::Training;
use crate::error::Error;
use crate::learn::Loss;
use crate::learn::gradient::GradientStats;

/// The loss of an algorithm, with what it keeps from iteration to iteration.
pub trait UpdateRule: std::fmt::Debug + Clone + Send + 'static {
    /// The options from which it is made.
    type Training: Training;
    /// The loss, with its coefficients.
    type Loss: Loss;

    /// Name of the stage that updates.
    const STAGE: &'static str;
    /// All stages in order, as `skirl explain` shows them.
    const STAGES: [&'static str; 4];

    /// For a module with these options.
    fn new(options: &Self::Training) -> Self;

    /// The loss with every schedule at its value after `env_steps` environment steps.
    fn loss(&self, env_steps: u64) -> Self::Loss;

    /// The coefficients of an iteration, under RLlib's names; none where the loss has none.
    fn coefficients(&self, _loss: &Self::Loss, _env_steps: u64) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// Whether the iteration's updates end before the step that these sums belong to.
    fn is_enough(&self, _minibatch: &GradientStats) -> bool {
        false
    }

    /// Adapts to the last epoch of an iteration.
    fn adapt(&mut self, _last_epoch: &EpochSums) {}

    /// What a checkpoint must hold.
    fn save(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Puts back what [`save`](Self::save) gave.
    fn restore(&mut self, _state: &Value) -> Result<(), Error> {
        Ok(())
    }
}
