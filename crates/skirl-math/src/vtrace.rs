//! V-trace off-policy targets (Espeholt et al. 2018, "IMPALA", eq. 1).
//!
//! ```text
//! v_s = V(x_s) + Σ_{t≥s} γ^{t−s} (Π_{i=s}^{t−1} c_i) δ_t        δ_t = ρ_t (r_t + γ·V(x_{t+1}) − V(x_t))
//! ρ_t = min(ρ̄, π/μ)    c_t = λ·min(1, π/μ)                       advantage_s = min(ρ̄_pg, π/μ) (r_s + γ·v_{s+1} − V(x_s))
//! ```
//!
//! computed backwards: `v_s − V(x_s) = δ_s + γ c_s (v_{s+1} − V(x_{s+1}))`. After the end of a chain
//! `v = V =` its end value.

use crate::chain::{Chain, ChainError, Successor, check_len};

/// Discount and clipping thresholds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VtraceParams {
    /// Discount γ, in [0, 1].
    pub gamma: f32,
    /// Trace decay λ in [0, 1]; 1 in the paper.
    pub lambda: f32,
    /// ρ̄ of the temporal differences; infinity for no clipping.
    pub clip_rho_threshold: f32,
    /// ρ̄ of the policy-gradient advantage; infinity for no clipping.
    pub clip_pg_rho_threshold: f32,
}

/// The columns V-trace reads, one element per row.
#[derive(Debug, Clone, Copy)]
pub struct VtraceIn<'a> {
    /// `log π(a|x) − log μ(a|x)`: learner's minus behaviour policy's log-probability.
    pub log_rhos: &'a [f32],
    /// Rewards.
    pub rewards: &'a [f32],
    /// Values `V(x_t)`.
    pub values: &'a [f32],
}

/// Where the results go, one element per row.
#[derive(Debug)]
pub struct VtraceOut<'a> {
    /// Targets `v_s` of the value function.
    pub value_targets: &'a mut [f32],
    /// Policy-gradient advantages, importance weight included.
    pub advantages: &'a mut [f32],
}

/// V-trace over chained rows. Uses the platform's `exp`.
///
/// # Errors
/// A column of the wrong length or a broken chain.
pub fn vtrace(
    input: VtraceIn<'_>,
    chain: Chain<'_>,
    params: VtraceParams,
    out: VtraceOut<'_>,
) -> Result<(), ChainError> {
    let n = chain.num_rows();
    check_len("log_rhos", n, input.log_rhos.len())?;
    check_len("rewards", n, input.rewards.len())?;
    check_len("values", n, input.values.len())?;
    check_len("value_targets", n, out.value_targets.len())?;
    check_len("advantages", n, out.advantages.len())?;
    chain.visit_backwards(|row, successor| {
        let (next_value, next_target) = match successor {
            Successor::Row(next) => (input.values[next], out.value_targets[next]),
            Successor::End(value) => (value, value),
        };
        let (reward, value) = (input.rewards[row], input.values[row]);
        let rho = input.log_rhos[row].exp();
        let delta = rho.min(params.clip_rho_threshold) * (reward + params.gamma * next_value - value);
        let c = params.lambda * rho.min(1.0);
        out.value_targets[row] = value + delta + params.gamma * c * (next_target - next_value);
        let pg_rho = rho.min(params.clip_pg_rho_threshold);
        out.advantages[row] = pg_rho * (reward + params.gamma * next_target - value);
    })
}
