//! Acting for whoever asks: one observation or many in, actions out, with everything in between that training does.

use std::collections::BTreeMap;

use skirl_env::{Column, Space};
use skirl_math::rng::StreamKey;
use skirl_nn::distributions::DistScratch;
use skirl_nn::{FlushDenormals, Mat, Tape};

use super::Algorithm;
use crate::collect::action_codec::{ActionCodec, ActionRules};
use crate::collect::normalizer::Normalizer;
use crate::collect::observations::find_non_finite;
use crate::collect::vector_runner::FORWARD_ROWS;
use crate::contract::policy::DIST_INPUTS;
use crate::contract::{ModuleId, Policies, Policy};
use crate::error::Error;
use crate::plan::module_for;

/// Stream below the run's seed from which actions outside training are drawn.
const STREAM: &str = "compute_actions";

/// Copies of the policies, brought up to date before they act.
#[derive(Debug, Default)]
pub(super) struct Actor {
    policies: Policies,
    seats: BTreeMap<ModuleId, Seat>,
    /// Calls so far: the counter of the stream.
    pub(super) calls: u64,
}

/// What one module needs to act.
#[derive(Debug)]
struct Seat {
    codec: ActionCodec,
    tape: Tape,
    scratch: DistScratch,
}

impl Actor {
    /// No policies yet, and a stream from which so many calls have drawn.
    pub(super) fn with_calls(calls: u64) -> Self {
        Self { calls, ..Self::default() }
    }

    /// Takes new copies of the policies when next asked.
    pub(super) fn forget_policies(&mut self) {
        self.policies.clear();
    }
}

impl Algorithm {
    /// The action for one observation of an environment whose agents all have the same policy: given and returned as the
    /// environment knows them, one column for each leaf of the observation space, and the action's column.
    ///
    /// Everything that training does is inside: flattening, the observation filter as it is now, the newest weights,
    /// unsquashing and clipping. `explore`: draw the action, or take the most likely one; `None` does what
    /// `env_runners.explore` says. Draws come from a stream of their own, so training gives the same bytes whether this is
    /// called or not.
    ///
    /// # Errors
    /// An observation that is not one value of the observation space, or not finite; several policies (then
    /// [`compute_actions`](Self::compute_actions) takes the one to ask).
    pub fn compute_single_action(
        &mut self,
        observation: &[Column],
        explore: Option<bool>,
    ) -> Result<Column, Error> {
        let mut ids = self.plan.modules.keys();
        let (Some(id), None) = (ids.next().cloned(), ids.next()) else {
            return Err(Error::Argument {
                what: "the policies of compute_single_action".to_owned(),
                expected: "one".to_owned(),
                found: self.module_ids().join(", "),
                remedy: "Call compute_actions(policy_id, …); policy_for(agent) gives the id".to_owned(),
            });
        };
        let action = self.act(&id, observation, explore, Some(1))?;
        Ok(action)
    }

    /// The actions of one policy for any number of observations: `[rows]` of each column. As
    /// [`compute_single_action`](Self::compute_single_action).
    ///
    /// # Errors
    /// Observations that are not values of the policy's observation space, or not finite; an unknown policy.
    pub fn compute_actions(
        &mut self,
        policy_id: &str,
        observations: &[Column],
        explore: Option<bool>,
    ) -> Result<Column, Error> {
        self.act(policy_id, observations, explore, None)
    }

    /// The policy (module) that acts for an agent, as `multi_agent.policy_mapping` says.
    ///
    /// # Errors
    /// An agent that no entry matches.
    pub fn policy_for(&self, agent: &str) -> Result<ModuleId, Error> {
        let known = self.plan.mapping.iter().find(|(known, _)| known == agent);
        known.map_or_else(|| module_for(self.config.common(), agent), |(_, id)| Ok(id.clone()))
    }

    fn act(
        &mut self,
        id: &str,
        observations: &[Column],
        explore: Option<bool>,
        rows: Option<usize>,
    ) -> Result<Column, Error> {
        let _flush = FlushDenormals::enable();
        let common = self.config.common();
        let explore = explore.unwrap_or(common.env_runners.explore);
        let rules = ActionRules {
            normalize: common.environment.normalize_actions,
            clip: common.environment.clip_actions,
        };
        if self.actor.policies.is_empty() {
            self.actor.policies = self.parts.learners.policies();
        }
        self.parts.board.update(&mut self.actor.policies)?;
        let policy = self.actor.policies.get(id).ok_or_else(|| Error::Argument {
            what: "the policy to act".to_owned(),
            expected: format!("one of {}", self.plan.modules.keys().cloned().collect::<Vec<_>>().join(", ")),
            found: format!("'{id}'"),
            remedy: "policy_for(agent) gives the policy of an agent".to_owned(),
        })?;
        let inputs = inputs(policy, observations, rows, self.parts.runner.lock().normalizers().get(id))?;
        if !self.actor.seats.contains_key(id) {
            self.actor.seats.insert(id.to_owned(), Seat::new(policy, rules)?);
        }
        let Some(seat) = self.actor.seats.get_mut(id) else {
            return Err(Error::Internal(format!("no seat for module '{id}'")));
        };
        let key = StreamKey::root(self.seed).child(STREAM);
        let actions = seat.act(policy, &inputs, explore.then_some((key, self.actor.calls)))?;
        self.actor.calls += u64::from(explore);
        Ok(actions)
    }
}

impl Seat {
    fn new(policy: &Policy, rules: ActionRules) -> Result<Self, Error> {
        Ok(Self {
            codec: ActionCodec::new(&policy.action_space, rules)?,
            tape: policy.net.tape(FORWARD_ROWS),
            scratch: policy.dist.scratch(),
        })
    }

    /// Actions for rows of inputs, drawn from the stream (key, counter) or the most likely ones.
    fn act(
        &mut self,
        policy: &Policy,
        inputs: &[f32],
        explore: Option<(StreamKey, u64)>,
    ) -> Result<Column, Error> {
        let width = policy.obs_width();
        let rows = inputs.len() / width.max(1);
        let (mut actions, mut logp) = (policy.empty_actions(), vec![0.0; rows]);
        actions.resize(rows);
        let keys: Vec<StreamKey> = match explore {
            Some((key, _)) => (0..rows).map(|row| key.index(row as u64)).collect(),
            None => Vec::new(),
        };
        for first in (0..rows).step_by(FORWARD_ROWS) {
            let end = rows.min(first + FORWARD_ROWS);
            let block = Mat::new(&inputs[first * width..end * width], end - first, width);
            policy.net.forward(&[block], None, &mut self.tape)?;
            let outputs = self.tape.output(DIST_INPUTS);
            let explore = explore.map(|(_, counter)| (&keys[first..end], counter));
            let logp = &mut logp[first..end];
            policy.choose(outputs, explore, &mut actions, first..end, logp, &mut self.scratch)?;
        }
        let mut column = self.codec.column(rows);
        self.codec.encode(&actions, 0, rows, &mut column);
        Ok(column)
    }
}

/// Observations as the module sees them, `[rows, width]`.
fn inputs(
    policy: &Policy,
    observations: &[Column],
    rows: Option<usize>,
    normalizer: Option<&Normalizer>,
) -> Result<Vec<f32>, Error> {
    let (space, width) = (&policy.observation_space, policy.obs_width());
    let refused = |found: String, remedy| Error::Observation {
        expected: match rows {
            Some(1) => format!("one value of {space}"),
            _ => format!("values of {space}"),
        },
        found,
        remedy,
    };
    let columns_of =
        "Give one column for each leaf of the space, in its order: space.columns(rows) makes them";
    let rows = match rows {
        Some(rows) => rows,
        None => num_rows(space, observations).ok_or_else(|| refused(describe(observations), columns_of))?,
    };
    let columns: Vec<_> = observations.iter().map(Column::as_ref).collect();
    let mut inputs = vec![0.0; rows * width];
    space
        .flatten_into(&columns, rows, &mut inputs)
        .map_err(|source| refused(format!("{}: {source}", describe(observations)), columns_of))?;
    if let Some((row, element, value)) = find_non_finite(&inputs, width) {
        let found = format!("{value} in element {element} of row {row}");
        return Err(refused(
            found,
            "Give finite numbers: an environment that ends an episode in time returns them",
        ));
    }
    if let Some(normalizer) = normalizer {
        inputs.chunks_exact_mut(width.max(1)).for_each(|row| normalizer.apply(row));
    }
    Ok(inputs)
}

/// Rows of the first column, if they are whole.
fn num_rows(space: &Space, observations: &[Column]) -> Option<usize> {
    let size = space.leaves().first()?.size();
    let elements = observations.first()?.len();
    (size > 0 && elements.is_multiple_of(size)).then(|| elements / size)
}

fn describe(columns: &[Column]) -> String {
    let one = |column: &Column| format!("{} × {}", column.len(), column.dtype());
    format!("columns [{}]", columns.iter().map(one).collect::<Vec<_>>().join(", "))
}
