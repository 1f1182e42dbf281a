//! Returns and V-trace against direct sums in f64.

#![allow(clippy::unwrap_used)]

use skirl_math::chain::{Chain, END, EndRow};
use skirl_math::returns::{discounted_returns, n_step};
use skirl_math::rng::StreamKey;
use skirl_math::vtrace::{VtraceIn, VtraceOut, VtraceParams, vtrace};

struct Case {
    log_rhos: Vec<f32>,
    rewards: Vec<f32>,
    values: Vec<f32>,
    next: Vec<u32>,
    ends: Vec<EndRow>,
}

/// Two agents' interleaved rows with random ends.
fn case(seed: u64, n: usize) -> Case {
    let mut stream = StreamKey::root(seed).stream();
    let mut draw = |scale: f32| (0..n).map(|_| (stream.next_f32() - 0.5) * scale).collect::<Vec<_>>();
    let (log_rhos, rewards, values) = (draw(3.0), draw(2.0), draw(4.0));
    let mut next = Vec::new();
    let mut ends = Vec::new();
    for row in 0..n {
        let ended = row + 2 >= n || stream.next_f32() < 0.15;
        next.push(if ended { END } else { row as u32 + 2 });
        let value = if stream.next_f32() < 0.5 { 0.0 } else { stream.next_f32() };
        if ended {
            ends.push(EndRow { row: row as u32, value });
        }
    }
    Case { log_rhos, rewards, values, next, ends }
}

impl Case {
    fn chain(&self) -> Chain<'_> {
        Chain { next: &self.next, ends: &self.ends }
    }

    fn end(&self, row: usize) -> f64 {
        f64::from(self.ends.iter().find(|e| e.row as usize == row).unwrap().value)
    }

    /// The rows from `row` to the end of its chain.
    fn rows_from(&self, row: usize) -> Vec<usize> {
        let mut rows = vec![row];
        while self.next[rows[rows.len() - 1]] != END {
            rows.push(self.next[rows[rows.len() - 1]] as usize);
        }
        rows
    }

    fn value_after(&self, row: usize) -> f64 {
        if self.next[row] == END { self.end(row) } else { f64::from(self.values[self.next[row] as usize]) }
    }
}

fn close(got: f32, want: f64, row: usize) {
    assert!((f64::from(got) - want).abs() < 1e-4 * want.abs().max(1.0), "row {row}: {got} against {want}");
}

#[test]
fn returns_equal_the_direct_sum() {
    let c = case(1, 60);
    let mut returns = vec![0.0; 60];
    discounted_returns(&c.rewards, c.chain(), 0.95, &mut returns).unwrap();
    for (row, &got) in returns.iter().enumerate() {
        let rows = c.rows_from(row);
        let sum: f64 =
            rows.iter().enumerate().map(|(k, &r)| 0.95f64.powi(k as i32) * f64::from(c.rewards[r])).sum();
        close(got, sum + 0.95f64.powi(rows.len() as i32) * c.end(rows[rows.len() - 1]), row);
    }
}

#[test]
fn n_step_stops_at_n_or_at_the_end() {
    let c = case(2, 60);
    for n in [1u32, 2, 3, 10] {
        for row in 0..60 {
            let got = n_step(&c.rewards, &c.next, row as u32, n, 0.9);
            let rows = c.rows_from(row);
            let m = rows.len().min(n as usize);
            let sum = |(k, &r): (usize, &usize)| 0.9f64.powi(k as i32) * f64::from(c.rewards[r]);
            close(got.reward_sum, rows[..m].iter().enumerate().map(sum).sum(), row);
            close(got.discount, 0.9f64.powi(m as i32), row);
            assert_eq!((got.last_row as usize, got.num_steps as usize), (rows[m - 1], m));
        }
    }
}

/// Eq. 1 as written.
fn vtrace_oracle(c: &Case, p: VtraceParams) -> Vec<f64> {
    let (gamma, rho_bar) = (f64::from(p.gamma), f64::from(p.clip_rho_threshold));
    let rho = |r: usize| f64::from(c.log_rhos[r]).exp();
    let target = |start: usize| {
        let (mut sum, mut weight) = (f64::from(c.values[start]), 1.0);
        for r in c.rows_from(start) {
            let delta = f64::from(c.rewards[r]) + gamma * c.value_after(r) - f64::from(c.values[r]);
            sum += weight * rho(r).min(rho_bar) * delta;
            weight *= gamma * f64::from(p.lambda) * rho(r).min(1.0);
        }
        sum
    };
    (0..c.rewards.len()).map(target).collect()
}

fn run_vtrace(c: &Case, p: VtraceParams) -> (Vec<f32>, Vec<f32>) {
    let n = c.rewards.len();
    let (mut value_targets, mut advantages) = (vec![0.0; n], vec![0.0; n]);
    let input = VtraceIn { log_rhos: &c.log_rhos, rewards: &c.rewards, values: &c.values };
    let out = VtraceOut { value_targets: &mut value_targets, advantages: &mut advantages };
    vtrace(input, c.chain(), p, out).unwrap();
    (value_targets, advantages)
}

#[test]
fn vtrace_equals_the_direct_sum() {
    let c = case(3, 80);
    for (lambda, clip_rho_threshold, clip_pg_rho_threshold) in
        [(1.0, 1.0, 1.0), (0.9, 2.0, 1.5), (1.0, f32::INFINITY, 0.5)]
    {
        let p = VtraceParams { gamma: 0.97, lambda, clip_rho_threshold, clip_pg_rho_threshold };
        let want = vtrace_oracle(&c, p);
        let (targets, advantages) = run_vtrace(&c, p);
        for row in 0..80 {
            close(targets[row], want[row], row);
            let following = if c.next[row] == END { c.end(row) } else { want[c.next[row] as usize] };
            let rho = f64::from(c.log_rhos[row]).exp().min(f64::from(clip_pg_rho_threshold));
            let td = f64::from(c.rewards[row]) + 0.97 * following - f64::from(c.values[row]);
            close(advantages[row], rho * td, row);
        }
    }
}

#[test]
fn on_policy_vtrace_is_the_discounted_return() {
    let mut c = case(4, 60);
    c.log_rhos.fill(0.0);
    let p = VtraceParams { gamma: 0.95, lambda: 1.0, clip_rho_threshold: 1.0, clip_pg_rho_threshold: 1.0 };
    let mut returns = vec![0.0; 60];
    discounted_returns(&c.rewards, c.chain(), 0.95, &mut returns).unwrap();
    for (row, (&got, &want)) in run_vtrace(&c, p).0.iter().zip(&returns).enumerate() {
        close(got, f64::from(want), row);
    }
}
