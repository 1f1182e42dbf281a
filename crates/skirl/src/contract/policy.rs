//! A policy: the network, the action distribution and the spaces of one module id.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use skirl_env::Space;
use skirl_math::rng::StreamKey;
use skirl_nn::Module;
use skirl_nn::distributions::{DistScratch, Distribution, Evaluated};
use skirl_nn::{Mat, NnError};

use super::Actions;

/// Name of a module (RLlib: module id, once policy id).
pub type ModuleId = String;

/// Index of the distribution's inputs among the module's outputs.
pub const DIST_INPUTS: usize = 0;
/// Index of the value estimate among the module's outputs.
pub const VALUE: usize = 1;

/// One policy with its own copy of the weights.
pub struct Policy {
    /// Network with the outputs `[dist_inputs, value]`, or `[dist_inputs]` for algorithms without a value function.
    pub net: Box<dyn Module>,
    /// Distribution of the actions.
    pub dist: Arc<dyn Distribution>,
    /// Observation space of one agent.
    pub observation_space: Space,
    /// Action space of one agent.
    pub action_space: Space,
    /// Version of the weights: 0 at the start, one more at every publication.
    pub version: u64,
}

impl Policy {
    /// Whether the network has the output [`VALUE`]; without it every value is 0.
    pub fn has_value(&self) -> bool {
        self.net.output_widths().len() > VALUE
    }

    /// Width of the module's input.
    pub fn obs_width(&self) -> usize {
        self.net.input_widths().first().copied().unwrap_or(0)
    }

    /// Chooses actions for the rows of `inputs` (the network's distribution inputs): drawn from `keys` at `counter` with
    /// `explore`, else the most likely ones. `logp` gets their log-probabilities.
    pub fn choose(
        &self,
        inputs: Mat<'_>,
        explore: Option<(&[StreamKey], u64)>,
        actions: &mut Actions,
        rows: Range<usize>,
        logp: &mut [f32],
        scratch: &mut DistScratch,
    ) -> Result<(), NnError> {
        let chosen = actions.view_mut(rows.start, rows.end);
        if let Some((keys, counter)) = explore {
            return self.dist.sample(inputs, keys, counter, chosen, logp, scratch);
        }
        self.dist.mode(inputs, chosen, scratch)?;
        // Only greedy acting comes here, which is never the hot path: two small buffers do no harm.
        let (mut entropy, mut kl) = (vec![0.0; rows.len()], vec![0.0; rows.len()]);
        let out = Evaluated { logp, entropy: &mut entropy, kl: &mut kl };
        self.dist.evaluate(inputs, actions.view(rows.start, rows.end), None, out, scratch)
    }

    /// An empty action column for this policy.
    pub fn empty_actions(&self) -> Actions {
        Actions::zeros(self.dist.is_discrete(), self.dist.action_width(), 0)
    }
}

impl Clone for Policy {
    fn clone(&self) -> Self {
        Self {
            net: self.net.boxed_clone(),
            dist: Arc::clone(&self.dist),
            observation_space: self.observation_space.clone(),
            action_space: self.action_space.clone(),
            version: self.version,
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("observation_space", &self.observation_space)
            .field("action_space", &self.action_space)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// All policies of a run, in the order of their ids.
pub type Policies = BTreeMap<ModuleId, Policy>;
