//! Discounted returns over a rollout table: the estimate of algorithms without a value function.

use std::borrow::Cow;

use skirl_math::chain::{Chain, END, EndRow};
use skirl_math::returns::discounted_returns;

use super::Estimates;
use crate::contract::{Links, ModuleRollout};
use crate::error::Error;

/// Options of the estimator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReturnRules {
    /// Discount γ in `[0, 1]`.
    pub gamma: f64,
}

/// The discounted return of every row, `G_t = r_t + γ·G_{t+1}`, as its advantage and its value target. It ends where the
/// episode ended, by itself or by a time limit, and where the rollout was cut: no value stands in for what would follow.
pub fn returns(table: &ModuleRollout, rules: ReturnRules) -> Result<Estimates, Error> {
    let ends: Vec<EndRow> = table.ends.row.iter().map(|&row| EndRow { row, value: 0.0 }).collect();
    let next = successors(table);
    let mut advantages = vec![0.0; table.rows];
    let chain = Chain { next: &next, ends: &ends };
    discounted_returns(&table.rewards, chain, rules.gamma as f32, &mut advantages)
        .map_err(|source| Error::Internal(format!("discounted returns: {source}")))?;
    Ok(Estimates { value_targets: advantages.clone(), advantages })
}

/// The next row of every row: every row of a rectangle has one but those that an end row follows.
fn successors(table: &ModuleRollout) -> Cow<'_, [u32]> {
    let num_envs = match &table.links {
        Links::Chained { next } => return Cow::Borrowed(next),
        Links::Rectangular { num_envs } => *num_envs as u32,
    };
    let mut next: Vec<u32> = (0..table.rows as u32).map(|row| row + num_envs).collect();
    table.ends.row.iter().for_each(|&row| next[row as usize] = END);
    Cow::Owned(next)
}
