//! PPO, A2C and PG solve CartPole with the shipped settings, within a budget of steps.
//!
//! Two of three fixed seeds must solve it and hold it. Runs are deterministic, so on one instruction set the test passes
//! always or never. Where the last bits differ, each seed is a new draw. PPO: of 28 draws (seeds 1 to 20 with AVX-512, which
//! AVX2 repeats to the bit here, and 1 to 8 with portable code) one did not solve within the budget and one did not
//! hold, so a seed fails with about 7 % and the test with 3 × 0.07² ≈ 1.5 % (false alarms).
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;

use skirl::Algorithm;
use skirl::algorithm::EvaluateRequest;
use skirl::config;

/// Environment steps within which the mean of the last 100 episodes must reach 475.
const BUDGET: u64 = 250_000;
const SOLVED: f64 = 475.0;

/// What a seed reached: the mean of the last 100 training episodes, then of 100 unseen greedy ones if that was enough.
fn solve(file: &Path, seed: u64) -> (f64, f64) {
    let mut config = config::load_file(file).unwrap();
    config.common_mut().debugging.seed = Some(seed);
    let mut algorithm = Algorithm::build(config).unwrap();
    let mut reached = 0.0;
    while reached < SOLVED && algorithm.env_steps() < BUDGET {
        reached = algorithm.train().unwrap().get("env_runners/episode_return_mean").unwrap_or(0.0);
    }
    if reached < SOLVED {
        return (reached, 0.0);
    }
    let request = EvaluateRequest { episodes: Some(100), seed: Some(1000), ..EvaluateRequest::default() };
    (reached, algorithm.evaluate(&request).unwrap().return_mean().unwrap())
}

#[test]
fn cart_pole_is_solved_and_stays_solved() {
    most_seeds_solve("ppo");
}

/// Of 24 seeds all reached 475 within the budget and one did not hold it (473.9): a seed fails with about 4 %, the test
/// with 3 × 0.04² ≈ 0.5 %.
#[test]
fn a2c_solves_cart_pole() {
    most_seeds_solve("a2c");
}

/// Of 30 seeds 29 solved it within 250 000 steps and held it: a seed fails with about 3 %, the test with 3 × 0.03² ≈ 0.3 %.
#[test]
fn pg_solves_cart_pole() {
    most_seeds_solve("pg");
}

fn most_seeds_solve(algorithm: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../configs/{algorithm}/cartpole.toml"));
    let outcomes: Vec<(f64, f64)> = (1..=3).map(|seed| solve(&file, seed)).collect();
    let solved = outcomes.iter().filter(|(_, held)| *held >= SOLVED).count();
    assert!(solved >= 2, "{algorithm}: {outcomes:?}");
}
