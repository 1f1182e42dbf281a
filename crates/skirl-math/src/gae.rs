//! Generalised advantage estimation (Schulman et al. 2016, "High-dimensional continuous control using
//! generalized advantage estimation", eq. 16), with termination and truncation apart.
//!
//! ```text
//! δ_t = r_t + γ·V_next − V(s_t)        V_next = 0             if the step terminated
//!                                               V(final obs)   if it was truncated
//!                                               V(next obs)    if the rollout was cut after it
//!                                               V(s_{t+1})     otherwise
//! A_t = δ_t + γλ·A_{t+1}               A_{t+1} = 0 after every episode end and rollout cut
//! target_t = A_t + V(s_t)              (the λ-return)
//! ```
//!
//! A truncated step bootstraps from the value of its *own* final observation, never from the value of the
//! state before it or of the next episode's first observation. With exact values every advantage is then
//! zero, for every γ, λ and truncation pattern.
//!
//! The two forms compute the same expression in the same order in f32: they agree bit for bit.

use crate::chain::{Chain, ChainError, EndRow, Successor, check_len};

/// Discount and trace decay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaeParams {
    /// Discount γ, in [0, 1].
    pub gamma: f32,
    /// Trace decay λ, in [0, 1]: 0 is the one-step temporal-difference error, 1 the discounted return minus
    /// the value.
    pub lambda: f32,
}

/// Where the results go, one element per row.
#[derive(Debug)]
pub struct GaeOut<'a> {
    /// Advantages `A_t`.
    pub advantages: &'a mut [f32],
    /// λ-returns `A_t + V(s_t)`, what the value function is trained towards.
    pub value_targets: &'a mut [f32],
}

impl GaeOut<'_> {
    fn check(&self, num_rows: usize) -> Result<(), ChainError> {
        check_len("advantages", num_rows, self.advantages.len())?;
        check_len("value_targets", num_rows, self.value_targets.len())
    }
}

#[inline(always)]
fn advantage(reward: f32, value: f32, next_value: f32, next_advantage: f32, p: GaeParams) -> f32 {
    (reward + p.gamma * next_value - value) + (p.gamma * p.lambda) * next_advantage
}

/// Advantages over chained rows: any number of agents, any order of turns.
///
/// # Errors
/// A column of the wrong length, a successor that is not later than its row, an end value missing or astray.
pub fn gae(
    rewards: &[f32],
    values: &[f32],
    chain: Chain<'_>,
    params: GaeParams,
    out: GaeOut<'_>,
) -> Result<(), ChainError> {
    let num_rows = chain.num_rows();
    check_len("rewards", num_rows, rewards.len())?;
    check_len("values", num_rows, values.len())?;
    out.check(num_rows)?;
    chain.visit_backwards(|row, successor| {
        let (next_value, next_advantage) = match successor {
            Successor::Row(next) => (values[next], out.advantages[next]),
            Successor::End(value) => (value, 0.0),
        };
        let a = advantage(rewards[row], values[row], next_value, next_advantage, params);
        out.advantages[row] = a;
        out.value_targets[row] = a + values[row];
    })
}

/// A rectangle of experience: `T` steps of `B` environments, row `t·B + b`.
#[derive(Debug, Clone, Copy)]
pub struct Rollout<'a> {
    /// Rewards `[T, B]`.
    pub rewards: &'a [f32],
    /// Values of the observations acted on, `[T, B]`.
    pub values: &'a [f32],
    /// The step ended its episode in a terminal state, `[T, B]`.
    pub terminated: &'a [bool],
    /// The step's episode was cut from outside, `[T, B]`. Where both flags are set, the step terminated.
    pub truncated: &'a [bool],
    /// Values of the final observations of all steps that were truncated and not terminated, in ascending
    /// order of row.
    pub final_values: &'a [EndRow],
    /// Values of the observations after the last step, `[B]`; not read where the last step ended its episode.
    pub last_values: &'a [f32],
}

impl Rollout<'_> {
    fn check(&self) -> Result<(), ChainError> {
        let (n, b) = (self.rewards.len(), self.last_values.len());
        check_len("values", n, self.values.len())?;
        check_len("terminated", n, self.terminated.len())?;
        check_len("truncated", n, self.truncated.len())?;
        if b == 0 || !n.is_multiple_of(b) {
            return Err(ChainError::Length { column: "last_values", expected: n, found: b });
        }
        self.check_final_values()
    }

    /// Final values are given for exactly the truncated steps.
    fn check_final_values(&self) -> Result<(), ChainError> {
        let needs = |row: usize| self.truncated[row] && !self.terminated[row];
        let mut previous = None;
        for e in self.final_values {
            let row = e.row as usize;
            if row >= self.truncated.len() || !needs(row) || previous >= Some(e.row) {
                return Err(ChainError::StrayEnd { row: e.row });
            }
            previous = Some(e.row);
        }
        let flags = self.truncated.iter().zip(self.terminated);
        let wanted: usize = flags.map(|(&cut, &end)| usize::from(u8::from(cut) > u8::from(end))).sum();
        if wanted == self.final_values.len() {
            return Ok(());
        }
        let given = |row: usize| self.final_values.binary_search_by_key(&row, |e| e.row as usize).is_ok();
        let missing = (0..self.truncated.len()).find(|&row| needs(row) && !given(row));
        missing.map_or(Ok(()), |row| Err(ChainError::MissingEnd { row }))
    }
}

/// Advantages over a rectangle `[T, B]`: the fast path, vectorised over the environments, bit-equal to
/// [`gae`](fn@gae).
///
/// # Errors
/// A column of the wrong length; a truncated step without its final value, or a final value for another step.
pub fn gae_rect(rollout: &Rollout<'_>, params: GaeParams, out: GaeOut<'_>) -> Result<(), ChainError> {
    rollout.check()?;
    out.check(rollout.rewards.len())?;
    let b = rollout.last_values.len();
    let mut final_values = rollout.final_values;
    for start in (0..rollout.rewards.len()).step_by(b).rev() {
        let (head, tail) = out.advantages.split_at_mut(start + b);
        let advantages = &mut head[start..];
        let row = start..start + b;
        // After the last step no advantage follows; its row of targets, written below, serves as the row of
        // zeros.
        let zeros = &mut out.value_targets[row.clone()];
        zeros.fill(0.0);
        let last = start + b == rollout.rewards.len();
        let (rewards, values) = (&rollout.rewards[row.clone()], &rollout.values[row.clone()]);
        let step = Step {
            rewards,
            values,
            terminated: &rollout.terminated[row.clone()],
            truncated: &rollout.truncated[row.clone()],
            next_values: if last { rollout.last_values } else { &rollout.values[start + b..start + 2 * b] },
            next_advantages: if last { zeros } else { &tail[..b] },
        };
        step.advantages(params, advantages);
        while let Some((e, rest)) = final_values.split_last().filter(|(e, _)| e.row as usize >= start) {
            let i = e.row as usize - start;
            advantages[i] = advantage(rewards[i], values[i], e.value, 0.0, params);
            final_values = rest;
        }
        for ((target, a), v) in out.value_targets[row].iter_mut().zip(advantages).zip(values) {
            *target = *a + v;
        }
    }
    Ok(())
}

/// One step of all environments.
struct Step<'a> {
    rewards: &'a [f32],
    values: &'a [f32],
    terminated: &'a [bool],
    truncated: &'a [bool],
    next_values: &'a [f32],
    next_advantages: &'a [f32],
}

impl Step<'_> {
    /// Advantages with every ended step taken as terminated: branch-free, so it vectorises. Truncated ones
    /// are few and are set right afterwards.
    fn advantages(&self, p: GaeParams, out: &mut [f32]) {
        let n = out.len();
        let (rewards, values) = (&self.rewards[..n], &self.values[..n]);
        let (next_values, next_advantages) = (&self.next_values[..n], &self.next_advantages[..n]);
        let (terminated, truncated) = (&self.terminated[..n], &self.truncated[..n]);
        for i in 0..n {
            // All bits set where the episode goes on: `and` makes an exact zero even of an infinity, and
            // costs no branch.
            let goes_on = u32::from(terminated[i] | truncated[i]).wrapping_sub(1);
            let next_value = f32::from_bits(next_values[i].to_bits() & goes_on);
            let next_advantage = f32::from_bits(next_advantages[i].to_bits() & goes_on);
            out[i] = advantage(rewards[i], values[i], next_value, next_advantage, p);
        }
    }
}
