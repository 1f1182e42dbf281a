//! Discounted and n-step returns over chained rows.

use crate::chain::{Chain, ChainError, END, Successor, check_len};

/// Discounted returns `G_t = r_t + γ·G_{t+1}`, with `G = end value` after the last row of a chain (0 if
/// terminated).
///
/// # Errors
/// A column of the wrong length or a broken chain.
pub fn discounted_returns(
    rewards: &[f32],
    chain: Chain<'_>,
    gamma: f32,
    returns: &mut [f32],
) -> Result<(), ChainError> {
    check_len("rewards", chain.num_rows(), rewards.len())?;
    check_len("returns", chain.num_rows(), returns.len())?;
    chain.visit_backwards(|row, successor| {
        let following = match successor {
            Successor::Row(next) => returns[next],
            Successor::End(value) => value,
        };
        returns[row] = rewards[row] + gamma * following;
    })
}

/// An n-step transition seen from one row:
/// `G = reward_sum + discount · (value of what stands at last_row's successor)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NStep {
    /// `Σ_{k<m} γ^k r_{t+k}` over the `m ≤ n` steps taken.
    pub reward_sum: f32,
    /// `γ^m`. For a chain that terminated the bootstrap value itself is 0, so no special case is needed.
    pub discount: f32,
    /// The last row whose reward was added. Its successor (a row, or its end entry) is the state to bootstrap
    /// from.
    pub last_row: u32,
    /// Number of rewards summed, `1..=n`; fewer than n only at an episode end or a rollout cut.
    pub num_steps: u32,
}

/// The n-step transition that starts at `row` (Sutton and Barto 2018, eq. 7.1): walks the chain for at most
/// `n` rows and never crosses an episode end. `n == 0` is taken as 1. Follows `next` as it stands; a chain is
/// checked by [`Chain::visit_backwards`].
pub fn n_step(rewards: &[f32], next: &[u32], row: u32, n: u32, gamma: f32) -> NStep {
    let mut step = NStep { reward_sum: rewards[row as usize], discount: gamma, last_row: row, num_steps: 1 };
    while step.num_steps < n {
        let following = next[step.last_row as usize];
        if following == END {
            break;
        }
        step.reward_sum += step.discount * rewards[following as usize];
        step.discount *= gamma;
        step.last_row = following;
        step.num_steps += 1;
    }
    step
}
