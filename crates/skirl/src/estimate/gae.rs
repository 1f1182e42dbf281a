//! Generalised advantage estimation over a rollout table (Schulman et al. 2016, equation 16).

use skirl_math::chain::{Chain, EndRow};
use skirl_math::gae::{GaeOut, GaeParams, Rollout as Rectangle, gae, gae_rect};

use super::Estimates;
use crate::contract::{Links, ModuleRollout};
use crate::error::Error;

/// Options of the estimator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaeRules {
    /// Discount γ in `[0, 1]`.
    pub gamma: f64,
    /// Trace decay λ in `[0, 1]`; 1 where `use_gae` is off.
    pub lambda: f64,
    /// Without a critic every value counts as 0 and the advantage is the discounted return of the rollout.
    pub use_critic: bool,
}

/// Advantages and value targets of every row.
pub fn estimate(table: &ModuleRollout, rules: GaeRules) -> Result<Estimates, Error> {
    let mut estimates = Estimates { advantages: vec![0.0; table.rows], value_targets: vec![0.0; table.rows] };
    let params = GaeParams { gamma: rules.gamma as f32, lambda: rules.lambda as f32 };
    let out = GaeOut { advantages: &mut estimates.advantages, value_targets: &mut estimates.value_targets };
    let zeros = if rules.use_critic { Vec::new() } else { vec![0.0; table.rows] };
    let values = if rules.use_critic { table.values.as_slice() } else { zeros.as_slice() };
    let ends: Vec<EndRow> = table
        .ends
        .row
        .iter()
        .zip(&table.ends.values)
        .map(|(&row, &value)| EndRow { row, value: if rules.use_critic { value } else { 0.0 } })
        .collect();
    match &table.links {
        Links::Chained { next } => gae(&table.rewards, values, Chain { next, ends: &ends }, params, out),
        Links::Rectangular { num_envs } => rectangle(table, values, &ends, *num_envs, params, out),
    }
    .map_err(|source| Error::Internal(format!("advantage estimation: {source}")))?;
    Ok(estimates)
}

fn rectangle(
    table: &ModuleRollout,
    values: &[f32],
    ends: &[EndRow],
    num_envs: usize,
    params: GaeParams,
    out: GaeOut<'_>,
) -> Result<(), skirl_math::chain::ChainError> {
    let last_block = table.rows - num_envs;
    let (mut final_values, mut last_values) = (Vec::new(), vec![0.0; num_envs]);
    for end in ends {
        let row = end.row as usize;
        if table.truncated[row] && !table.terminated[row] {
            final_values.push(*end);
        } else if !table.terminated[row] && row >= last_block {
            last_values[row - last_block] = end.value;
        }
    }
    let rollout = Rectangle {
        rewards: &table.rewards,
        values,
        terminated: &table.terminated,
        truncated: &table.truncated,
        final_values: &final_values,
        last_values: &last_values,
    };
    gae_rect(&rollout, params, out)
}
