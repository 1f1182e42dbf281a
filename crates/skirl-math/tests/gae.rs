//! Generalised advantage estimation: closed forms, the Bellman fixed point, chunk invariance, and proof that the usual wrong
//! treatments of truncation are wrong.

#![allow(clippy::unwrap_used)]

use skirl_math::chain::{Chain, ChainError, END, EndRow};
use skirl_math::gae::{GaeOut, GaeParams, Rollout, gae, gae_rect};
use skirl_math::rng::{Stream, StreamKey};

/// A table of `[T, B]` rows with both forms of bookkeeping.
#[derive(Clone, Default)]
struct Table {
    b: usize,
    rewards: Vec<f32>,
    values: Vec<f32>,
    terminated: Vec<bool>,
    truncated: Vec<bool>,
    final_values: Vec<EndRow>,
    last_values: Vec<f32>,
}

impl Table {
    fn random(t: usize, b: usize, stream: &mut Stream) -> Self {
        let mut draw = |n: usize| (0..n).map(|_| stream.next_f32() * 4.0 - 2.0).collect::<Vec<_>>();
        let (rewards, values, last_values) = (draw(t * b), draw(t * b), draw(b));
        let terminated = (0..t * b).map(|_| stream.next_f32() < 0.1).collect();
        let truncated = (0..t * b).map(|_| stream.next_f32() < 0.1).collect();
        let mut table =
            Self { b, rewards, values, terminated, truncated, last_values, final_values: Vec::new() };
        for row in 0..t * b {
            if table.truncated[row] && !table.terminated[row] {
                table.final_values.push(EndRow { row: row as u32, value: stream.next_f32() });
            }
        }
        table
    }

    fn rect(&self, params: GaeParams) -> (Vec<f32>, Vec<f32>) {
        let n = self.rewards.len();
        let (mut advantages, mut value_targets) = (vec![f32::NAN; n], vec![f32::NAN; n]);
        let rollout = Rollout {
            rewards: &self.rewards,
            values: &self.values,
            terminated: &self.terminated,
            truncated: &self.truncated,
            final_values: &self.final_values,
            last_values: &self.last_values,
        };
        let out = GaeOut { advantages: &mut advantages, value_targets: &mut value_targets };
        gae_rect(&rollout, params, out).unwrap();
        (advantages, value_targets)
    }

    /// The same table as a chain.
    fn chain(&self) -> (Vec<u32>, Vec<EndRow>) {
        let n = self.rewards.len();
        let mut next = Vec::new();
        let mut ends = Vec::new();
        for row in 0..n {
            let ended = self.terminated[row] || self.truncated[row];
            let last = row + self.b >= n;
            next.push(if ended || last { END } else { (row + self.b) as u32 });
            let value = if self.terminated[row] {
                0.0
            } else if self.truncated[row] {
                self.final_values.iter().find(|e| e.row as usize == row).unwrap().value
            } else {
                self.last_values[row % self.b]
            };
            if ended || last {
                ends.push(EndRow { row: row as u32, value });
            }
        }
        (next, ends)
    }

    fn chained(&self, params: GaeParams) -> (Vec<f32>, Vec<f32>) {
        let (next, ends) = self.chain();
        run(&self.rewards, &self.values, &next, &ends, params)
    }
}

fn run(
    rewards: &[f32],
    values: &[f32],
    next: &[u32],
    ends: &[EndRow],
    params: GaeParams,
) -> (Vec<f32>, Vec<f32>) {
    let n = rewards.len();
    let (mut advantages, mut value_targets) = (vec![f32::NAN; n], vec![f32::NAN; n]);
    let out = GaeOut { advantages: &mut advantages, value_targets: &mut value_targets };
    gae(rewards, values, Chain { next, ends }, params, out).unwrap();
    (advantages, value_targets)
}

/// Eq. 16 as written: the O(T²) sum of (γλ)^l δ_{t+l} over the rest of the chain, in f64.
fn oracle(rewards: &[f32], values: &[f32], next: &[u32], ends: &[EndRow], params: GaeParams) -> Vec<f64> {
    let (gamma, lambda) = (f64::from(params.gamma), f64::from(params.lambda));
    let delta = |row: usize| {
        let following = if next[row] == END {
            ends.iter().find(|e| e.row as usize == row).unwrap().value
        } else {
            values[next[row] as usize]
        };
        f64::from(rewards[row]) + gamma * f64::from(following) - f64::from(values[row])
    };
    let advantage = |start: usize| {
        let (mut row, mut l, mut sum) = (start, 0, 0.0);
        loop {
            sum += (gamma * lambda).powi(l) * delta(row);
            if next[row] == END {
                return sum;
            }
            row = next[row] as usize;
            l += 1;
        }
    };
    (0..rewards.len()).map(advantage).collect()
}

const PARAMS: [GaeParams; 5] = [
    GaeParams { gamma: 0.98, lambda: 0.95 },
    GaeParams { gamma: 1.0, lambda: 1.0 },
    GaeParams { gamma: 0.9, lambda: 0.0 },
    GaeParams { gamma: 0.0, lambda: 0.7 },
    GaeParams { gamma: 0.99, lambda: 1.0 },
];

#[test]
fn both_forms_agree_bit_for_bit_and_with_the_direct_sum() {
    let mut stream = StreamKey::root(1).stream();
    for (t, b) in [(1, 1), (1, 5), (40, 1), (33, 3), (17, 64), (25, 37)] {
        let table = Table::random(t, b, &mut stream);
        let (next, ends) = table.chain();
        for params in PARAMS {
            let (a, targets) = table.rect(params);
            assert_eq!((a.clone(), targets.clone()), table.chained(params));
            let exact = oracle(&table.rewards, &table.values, &next, &ends, params);
            for (row, (&got, &want)) in a.iter().zip(&exact).enumerate() {
                let bound = 4.0 * f64::from(f32::EPSILON) * t as f64 * want.abs().max(4.0);
                assert!((f64::from(got) - want).abs() <= bound, "row {row}: {got} against {want}");
                assert_eq!(targets[row], got + table.values[row]);
            }
        }
    }
}

#[test]
fn closed_forms() {
    let mut stream = StreamKey::root(2).stream();
    let table = Table::random(30, 4, &mut stream);
    let (next, ends) = table.chain();
    let after = |row: usize| {
        let end = || ends.iter().find(|e| e.row as usize == row).unwrap().value;
        if next[row] == END { end() } else { table.values[next[row] as usize] }
    };
    let (td, _) = table.rect(GaeParams { gamma: 0.9, lambda: 0.0 });
    let (myopic, _) = table.rect(GaeParams { gamma: 0.0, lambda: 0.9 });
    let (monte_carlo, targets) = table.rect(GaeParams { gamma: 0.9, lambda: 1.0 });
    let mut returns = vec![0.0; table.rewards.len()];
    let chain = Chain { next: &next, ends: &ends };
    skirl_math::returns::discounted_returns(&table.rewards, chain, 0.9, &mut returns).unwrap();
    for row in 0..table.rewards.len() {
        let (r, v) = (table.rewards[row], table.values[row]);
        assert_eq!(td[row], r + 0.9 * after(row) - v);
        assert_eq!(myopic[row], r - v);
        assert!((monte_carlo[row] - (returns[row] - v)).abs() < 1e-5);
        assert!((targets[row] - returns[row]).abs() < 1e-5);
    }
}

/// A deterministic Markov reward process of `n` states, some of them terminal, with its exact values.
struct Process {
    reward: Vec<f64>,
    next: Vec<Option<usize>>,
    value: Vec<f64>,
}

impl Process {
    fn random(n: usize, gamma: f64, stream: &mut Stream) -> Self {
        let reward: Vec<f64> = (0..n).map(|_| stream.next_f64() * 2.0 - 1.0).collect();
        let next: Vec<_> = (0..n)
            .map(|_| if stream.next_f64() < 0.1 { None } else { Some(stream.below(n as u64) as usize) })
            .collect();
        // (I − γP) V = R by Gaussian elimination with pivoting.
        let mut m = vec![vec![0.0; n + 1]; n];
        for s in 0..n {
            m[s][s] += 1.0;
            m[s][n] = reward[s];
            if let Some(to) = next[s] {
                m[s][to] -= gamma;
            }
        }
        for col in 0..n {
            let pivot = (col..n).max_by(|&i, &j| m[i][col].abs().total_cmp(&m[j][col].abs())).unwrap();
            m.swap(col, pivot);
            let pivot_row = m[col].clone();
            for (i, row) in m.iter_mut().enumerate() {
                let factor = if i == col { 0.0 } else { row[col] / pivot_row[col] };
                row.iter_mut().zip(&pivot_row).for_each(|(x, p)| *x -= factor * p);
            }
        }
        let value = (0..n).map(|s| m[s][n] / m[s][s]).collect();
        Self { reward, next, value }
    }

    /// Steps `b` environments for `t` steps in it, truncating at random.
    fn rollout(&self, t: usize, states: &mut [usize], truncate: f64, stream: &mut Stream) -> Table {
        let b = states.len();
        let mut table = Table { b, ..Table::default() };
        for row in 0..t * b {
            let s = states[row % b];
            table.rewards.push(self.reward[s] as f32);
            table.values.push(self.value[s] as f32);
            let cut = stream.next_f64() < truncate;
            table.terminated.push(self.next[s].is_none());
            table.truncated.push(cut);
            if let (Some(to), true) = (self.next[s], cut) {
                table.final_values.push(EndRow { row: row as u32, value: self.value[to] as f32 });
            }
            let fresh = || stream.below(self.reward.len() as u64) as usize;
            states[row % b] = self.next[s].filter(|_| !cut).unwrap_or_else(fresh);
        }
        table.last_values = states.iter().map(|&s| self.value[s] as f32).collect();
        table
    }
}

#[test]
fn exact_values_give_zero_advantages() {
    let mut stream = StreamKey::root(3).stream();
    for gamma in [0.0, 0.5, 0.9, 0.98] {
        for truncate in [0.0, 0.05, 0.5, 1.0] {
            let process = Process::random(12, gamma, &mut stream);
            for t in [1, 7, 64] {
                let mut states: Vec<_> = (0..5).map(|_| stream.below(12) as usize).collect();
                let table = process.rollout(t, &mut states, truncate, &mut stream);
                for lambda in [0.0, 0.5, 0.95, 1.0] {
                    let params = GaeParams { gamma: gamma as f32, lambda };
                    for a in [table.rect(params).0, table.chained(params).0].concat() {
                        assert!(a.abs() < 2e-4, "γ {gamma} λ {lambda} truncation {truncate} T {t}: {a}");
                    }
                }
            }
        }
    }
}

#[test]
fn wrong_treatments_of_truncation_are_wrong() {
    // Eight states in a row, reward 1 for ever: V = 1/(1−γ) = 50 everywhere when γ = 0.98; here with a slope so that the
    // value of a neighbouring state is wrong too.
    let (gamma, n) = (0.98f32, 8);
    let value = |s: usize| 50.0 + 10.0 * s as f32;
    let rewards: Vec<f32> = (0..n).map(|s| value(s) - gamma * value(s + 1)).collect();
    let values: Vec<f32> = (0..n).map(value).collect();
    let params = GaeParams { gamma, lambda: 0.95 };
    let mut next: Vec<u32> = (1..=n as u32).collect();
    next[n - 1] = END;
    let at_end = |v: f32| {
        let (a, _) = run(&rewards, &values, &next, &[EndRow { row: 7, value: v }], params);
        (a[n - 1], a[0])
    };
    let right = at_end(value(n));
    assert!(right.0.abs() < 1e-3 && right.1.abs() < 1e-3, "{right:?}");
    let wrong = [("as terminal", 0.0), ("V(s_t)", value(n - 1)), ("V(reset observation)", value(0))];
    for (name, v) in wrong {
        let (last, first) = at_end(v);
        assert!(last.abs() > 5.0 && first.abs() > 3.0, "{name}: {last} {first}");
    }
    // Ignoring the boundary: the next episode's rows leak into this one.
    let double = |xs: &[f32]| xs.iter().chain(xs).copied().collect::<Vec<_>>();
    let leaky: Vec<u32> = (1..=2 * n as u32).map(|i| if i == 16 { END } else { i }).collect();
    let end = [EndRow { row: 15, value: value(n) }];
    let (a, _) = run(&double(&rewards), &double(&values), &leaky, &end, params);
    assert!(a[n - 1].abs() > 5.0 && a[8].abs() < 1e-2);
}

#[test]
fn chunks_change_nothing_where_they_must_not() {
    let mut stream = StreamKey::root(4).stream();
    let (t, b) = (24, 6);
    let whole = Table::random(t, b, &mut stream);
    for cut in 1..t {
        let head = |xs: &[f32]| xs[..cut * b].to_vec();
        let tail = |xs: &[f32]| xs[cut * b..].to_vec();
        let split = (cut * b) as u32;
        let first = Table {
            b,
            rewards: head(&whole.rewards),
            values: head(&whole.values),
            terminated: whole.terminated[..cut * b].to_vec(),
            truncated: whole.truncated[..cut * b].to_vec(),
            final_values: whole.final_values.iter().copied().filter(|e| e.row < split).collect(),
            last_values: whole.values[cut * b..(cut + 1) * b].to_vec(),
        };
        let later = whole.final_values.iter().filter(|e| e.row >= split);
        let second = Table {
            b,
            rewards: tail(&whole.rewards),
            values: tail(&whole.values),
            terminated: whole.terminated[cut * b..].to_vec(),
            truncated: whole.truncated[cut * b..].to_vec(),
            final_values: later.map(|e| EndRow { row: e.row - split, value: e.value }).collect(),
            last_values: whole.last_values.clone(),
        };
        // The second chunk never sees the first; with λ = 0, or before an episode's end, neither does the first the second.
        let td = GaeParams { gamma: 0.97, lambda: 0.0 };
        assert_eq!([first.rect(td).0, second.rect(td).0].concat(), whole.rect(td).0);
        let params = GaeParams { gamma: 0.97, lambda: 0.9 };
        let (uncut, parts) = (whole.rect(params).0, [first.rect(params).0, second.rect(params).0].concat());
        assert_eq!(parts[cut * b..], uncut[cut * b..]);
        for env in 0..b {
            let rows = (0..cut).map(|t| t * b + env);
            let last_end = rows.clone().filter(|&r| whole.terminated[r] || whole.truncated[r]).max();
            for row in rows.filter(|&r| Some(r) <= last_end) {
                assert_eq!(parts[row], uncut[row]);
            }
        }
    }
}

#[test]
fn turn_based_rows_chain_past_each_other() {
    // Agents X and Y take turns: rows X Y X Y X; each agent's advantages are those of its own rows alone.
    let (rewards, values) = ([1.0, 2.0, 3.0, 4.0, 5.0], [0.5, -0.5, 0.25, 1.0, 2.0]);
    let params = GaeParams { gamma: 0.9, lambda: 0.8 };
    let ends = [EndRow { row: 3, value: 0.0 }, EndRow { row: 4, value: 7.0 }];
    let (both, _) = run(&rewards, &values, &[2, 3, 4, END, END], &ends, params);
    let x_end = [EndRow { row: 2, value: 7.0 }];
    let (x, _) = run(&[1.0, 3.0, 5.0], &[0.5, 0.25, 2.0], &[1, 2, END], &x_end, params);
    let (y, _) = run(&[2.0, 4.0], &[-0.5, 1.0], &[1, END], &[EndRow { row: 1, value: 0.0 }], params);
    assert_eq!(both, [x[0], y[0], x[1], y[1], x[2]]);
}

#[test]
fn rewards_times_k_are_advantages_times_k() {
    let table = Table::random(20, 8, &mut StreamKey::root(5).stream());
    let mut scaled = table.clone();
    let columns = [&mut scaled.rewards, &mut scaled.values, &mut scaled.last_values];
    columns.into_iter().flatten().for_each(|x| *x *= 4.0);
    scaled.final_values.iter_mut().for_each(|e| e.value *= 4.0);
    let a: Vec<f32> = table.rect(PARAMS[0]).0.iter().map(|x| x * 4.0).collect();
    assert_eq!(scaled.rect(PARAMS[0]).0, a);
}

#[test]
fn broken_tables_are_errors() {
    let (mut a, mut targets) = (vec![0.0; 3], vec![0.0; 3]);
    let mut check = |next: &[u32], ends: &[EndRow]| {
        let out = GaeOut { advantages: &mut a, value_targets: &mut targets };
        gae(&[0.0; 3], &[0.0; 3], Chain { next, ends }, PARAMS[0], out)
    };
    let e = |row| EndRow { row, value: 0.0 };
    assert_eq!(check(&[1, 2, END], &[e(2)]), Ok(()));
    assert_eq!(check(&[1, 2, END], &[]), Err(ChainError::MissingEnd { row: 2 }));
    assert_eq!(check(&[1, END, END], &[e(2)]), Err(ChainError::MissingEnd { row: 1 }));
    assert_eq!(check(&[1, 2, END], &[e(1), e(2)]), Err(ChainError::StrayEnd { row: 1 }));
    assert_eq!(check(&[1, 2, END], &[e(2), e(2)]), Err(ChainError::StrayEnd { row: 2 }));
    assert_eq!(check(&[1, 2, END], &[e(2), e(9)]), Err(ChainError::StrayEnd { row: 9 }));
    assert_eq!(check(&[0, 2, END], &[e(2)]), Err(ChainError::Successor { row: 0, next: 0, num_rows: 3 }));
    assert_eq!(check(&[1, 3, END], &[e(2)]), Err(ChainError::Successor { row: 1, next: 3, num_rows: 3 }));
    assert!(matches!(check(&[1, END], &[e(1)]), Err(ChainError::Length { column: "rewards", .. })));
}

#[test]
fn broken_rollouts_are_errors() {
    let good = Table::random(4, 3, &mut StreamKey::root(6).stream());
    let try_with = |truncated: &[bool], final_values: &[EndRow], last_values: &[f32]| {
        let (mut a, mut targets) = (vec![0.0; 12], vec![0.0; 12]);
        let (rewards, values) = (&good.rewards[..], &good.values[..]);
        let rollout =
            Rollout { rewards, values, terminated: &[false; 12], truncated, final_values, last_values };
        gae_rect(&rollout, PARAMS[0], GaeOut { advantages: &mut a, value_targets: &mut targets })
    };
    let mut cut = [false; 12];
    cut[5] = true;
    let e = |row| EndRow { row, value: 1.0 };
    assert_eq!(try_with(&cut, &[e(5)], &[0.0; 3]), Ok(()));
    assert_eq!(try_with(&cut, &[], &[0.0; 3]), Err(ChainError::MissingEnd { row: 5 }));
    assert_eq!(try_with(&cut, &[e(4)], &[0.0; 3]), Err(ChainError::StrayEnd { row: 4 }));
    assert_eq!(try_with(&cut, &[e(5), e(5)], &[0.0; 3]), Err(ChainError::StrayEnd { row: 5 }));
    assert!(matches!(try_with(&cut, &[e(5)], &[0.0; 5]), Err(ChainError::Length { .. })));
    assert!(matches!(try_with(&cut[1..], &[], &[0.0; 3]), Err(ChainError::Length { .. })));
    let message = ChainError::MissingEnd { row: 5 }.to_string();
    assert!(message.contains("row 5") && message.contains("terminated"), "{message}");
}
