//! Forwards of a rollout: what its actions are drawn from, and the values of its rows.
//!
//! A value function with layers of its own is asked when the rollout is whole. Forwards of many rows cost less for each of
//! them, and its weights do not go through the first-level cache at every step. The bytes are the same: a row of a forward
//! does not depend on the rows beside it.

use skirl_nn::{Mat, SeparateOutputs, Tape};

use super::blocks::Blocks;
use super::outputs::Outputs;
use super::{FORWARD_ROWS, copy_rows};
use crate::contract::ModuleRollout;
use crate::contract::policy::{DIST_INPUTS, Policy, VALUE};
use crate::error::Error;

/// Rows of this width, or narrower, are put together from lent blocks for a forward. Of wider ones a copy is not small
/// beside the forward.
const GATHERED_WIDTH: usize = 1024;

/// The network, where its value function is a function by itself.
fn with_own_values(policy: &Policy) -> Option<&dyn SeparateOutputs> {
    policy.net.separate_outputs().filter(|_| policy.has_value())
}

/// Memory for the forwards of a range of `num_envs` environments.
pub(super) fn tape(policy: &Policy, num_envs: usize) -> Tape {
    let rows = if with_own_values(policy).is_some() { FORWARD_ROWS } else { num_envs.min(FORWARD_ROWS) };
    policy.net.tape(rows)
}

/// What actions are drawn from for the rows of `obs`; their values, too, if they come with it.
pub(super) fn act<'a>(policy: &Policy, obs: Mat<'_>, tape: &'a mut Tape) -> Result<Outputs<'a>, Error> {
    let own_values = with_own_values(policy);
    match own_values {
        Some(net) => net.forward_output(DIST_INPUTS, &[obs], tape)?,
        None => policy.net.forward(&[obs], None, tape)?,
    }
    let values = (own_values.is_none() && policy.has_value()).then(|| tape.output(VALUE));
    Ok(Outputs { dist_inputs: tape.output(DIST_INPUTS), values })
}

/// The values of `obs`, `[to.len(), width]`.
fn value(policy: &Policy, obs: &[f32], width: usize, tape: &mut Tape, to: &mut [f32]) -> Result<(), Error> {
    let most = tape.max_rows().max(1);
    for (first, to) in (0..).step_by(most).zip(to.chunks_mut(most)) {
        let rows = [Mat::new(&obs[first * width..][..to.len() * width], to.len(), width)];
        match with_own_values(policy) {
            Some(net) => net.forward_output(VALUE, &rows, tape)?,
            None => policy.net.forward(&rows, None, tape)?,
        }
        copy_rows(tape.output(VALUE), to);
    }
    Ok(())
}

/// Fills in the values of all rows of a rollout of `steps` blocks that did not come with the actions. `spare` is memory for
/// rows that are put together.
pub(super) fn value_rows(
    policy: &Policy,
    table: &mut ModuleRollout,
    (blocks, steps): (&Blocks, usize),
    tape: &mut Tape,
    spare: &mut Vec<f32>,
) -> Result<(), Error> {
    if with_own_values(policy).is_none() {
        return Ok(());
    }
    let width = table.obs_width;
    if blocks.room().is_none() {
        return value(policy, &table.obs, width, tape, &mut table.values);
    }
    let num_envs = table.values.len() / steps.max(1);
    let together = if width > GATHERED_WIDTH { 1 } else { (FORWARD_ROWS / num_envs.max(1)).max(1) };
    for first in (0..steps).step_by(together) {
        let last = steps.min(first + together);
        let to = &mut table.values[first * num_envs..last * num_envs];
        if last - first == 1 {
            value(policy, blocks.at(first, &table.obs), width, tape, to)?;
            continue;
        }
        spare.clear();
        (first..last).for_each(|t| spare.extend_from_slice(blocks.at(t, &table.obs)));
        value(policy, spare, width, tape, to)?;
    }
    Ok(())
}

/// Fills in `V` of every end row whose episode did not terminate.
pub fn value_end_rows(policy: &Policy, table: &mut ModuleRollout, tape: &mut Tape) -> Result<(), Error> {
    if !policy.has_value() {
        return Ok(());
    }
    value(policy, &table.ends.obs, table.obs_width, tape, &mut table.ends.values)?;
    for (value, &row) in table.ends.values.iter_mut().zip(&table.ends.row) {
        if table.terminated[row as usize] {
            *value = 0.0;
        }
    }
    Ok(())
}
