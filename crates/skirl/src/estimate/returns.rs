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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use skirl_math::returns::n_step;
    use skirl_math::rng::StreamKey;

    use super::*;
    use crate::contract::Actions;
    use crate::estimate::{GaeRules, estimate};

    /// Random rewards, values and ends over `steps` × `num_envs`, with an end row wherever a chain ends.
    fn table(steps: usize, num_envs: usize, seed: u64) -> ModuleRollout {
        let mut stream = StreamKey::root(seed).stream();
        let mut next = || stream.next_u64() as f64 / u64::MAX as f64;
        let links = Links::Rectangular { num_envs };
        let mut table = ModuleRollout::new(1, 1, Actions::zeros(true, 1, 0), links);
        table.resize(steps * num_envs, steps * num_envs);
        for row in 0..table.rows {
            table.rewards[row] = next() as f32 - 0.3;
            table.values[row] = next() as f32;
            let fate = next();
            (table.terminated[row], table.truncated[row]) = (fate < 0.1, (0.1..0.2).contains(&fate));
            if fate < 0.2 || row + num_envs >= table.rows {
                table.ends.push(row as u32, &[0.0]);
                let value = if table.terminated[row] { 0.0 } else { next() as f32 };
                *table.ends.values.last_mut().unwrap() = value;
            }
        }
        table
    }

    /// The same rows, linked one by one.
    fn chained(table: &ModuleRollout) -> ModuleRollout {
        ModuleRollout { links: Links::Chained { next: successors(table).into_owned() }, ..table.clone() }
    }

    #[test]
    fn a_return_is_the_discounted_sum_to_the_end_of_the_episode_or_the_cut() {
        for (steps, num_envs) in [(1, 1), (7, 1), (40, 3)] {
            let table = table(steps, num_envs, 5);
            let found = returns(&table, ReturnRules { gamma: 0.9 }).unwrap();
            assert_eq!(returns(&chained(&table), ReturnRules { gamma: 0.9 }).unwrap(), found);
            assert_eq!(found.advantages, found.value_targets);
            for row in 0..table.rows {
                let (mut sum, mut discount, mut at) = (0.0f64, 1.0, row);
                loop {
                    sum += discount * f64::from(table.rewards[at]);
                    discount *= 0.9;
                    let ended = table.terminated[at] || table.truncated[at];
                    at += num_envs;
                    if ended || at >= table.rows {
                        break;
                    }
                }
                assert!((f64::from(found.advantages[row]) - sum).abs() < 1e-5, "{steps}×{num_envs}, {row}");
            }
        }
    }

    /// A2C with λ = 1: the n-step return of Mnih et al. (2016), n running to the end of the rollout, minus the value.
    #[test]
    fn gae_with_lambda_one_is_the_n_step_return_minus_the_value() {
        let table = table(20, 3, 6);
        let rules = GaeRules { gamma: 0.97, lambda: 1.0, use_critic: true };
        let found = estimate(&table, rules).unwrap();
        let next = successors(&table);
        for row in 0..table.rows {
            let step = n_step(&table.rewards, &next, row as u32, u32::MAX, 0.97);
            let end = table.ends.row.iter().position(|&end| end == step.last_row).unwrap();
            let target = step.reward_sum + step.discount * table.ends.values[end];
            assert!((found.value_targets[row] - target).abs() < 1e-5, "{row}");
            assert!((found.advantages[row] - (target - table.values[row])).abs() < 1e-5, "{row}");
        }
    }
}
